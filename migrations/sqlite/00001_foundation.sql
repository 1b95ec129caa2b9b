-- +goose Up
-- create "api_keys" table
CREATE TABLE `api_keys` (
  `id` uuid NOT NULL,
  `name` text NOT NULL,
  `prefix` text NOT NULL,
  `hash` blob NOT NULL,
  `created_by` text NOT NULL DEFAULT ('system'),
  `last_used_at` datetime NULL,
  `revoked_at` datetime NULL,
  `created_at` datetime NOT NULL,
  PRIMARY KEY (`id`)
);
-- create index "api_keys_prefix_key" to table: "api_keys"
CREATE UNIQUE INDEX `api_keys_prefix_key` ON `api_keys` (`prefix`);
-- create index "apikey_created_at_id" to table: "api_keys"
CREATE INDEX `apikey_created_at_id` ON `api_keys` (`created_at`, `id`);
-- create "identities" table
CREATE TABLE `identities` (
  `id` uuid NOT NULL,
  `display_name` text NOT NULL,
  `email` text NULL,
  `note` text NULL,
  `enabled` bool NOT NULL DEFAULT (true),
  `expires_at` datetime NULL,
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  `invitation_id` uuid NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `identities_invitations_identities` FOREIGN KEY (`invitation_id`) REFERENCES `invitations` (`id`) ON DELETE SET NULL
);
-- create index "identity_created_at_id" to table: "identities"
CREATE INDEX `identity_created_at_id` ON `identities` (`created_at`, `id`);
-- create index "identity_display_name_id" to table: "identities"
CREATE INDEX `identity_display_name_id` ON `identities` (`display_name`, `id`);
-- create index "identity_enabled_created_at_id" to table: "identities"
CREATE INDEX `identity_enabled_created_at_id` ON `identities` (`enabled`, `created_at`, `id`);
-- create index "identity_invitation_id_created_at_id" to table: "identities"
CREATE INDEX `identity_invitation_id_created_at_id` ON `identities` (`invitation_id`, `created_at`, `id`);
-- create index "identity_expires_at_id" to table: "identities"
CREATE INDEX `identity_expires_at_id` ON `identities` (`expires_at`, `id`);
-- create "instance" table
CREATE TABLE `instance` (
  `key` text NOT NULL,
  `value` blob NOT NULL,
  `updated_at` datetime NOT NULL,
  PRIMARY KEY (`key`)
);
-- create "invitations" table
CREATE TABLE `invitations` (
  `id` uuid NOT NULL,
  `code` text NOT NULL,
  `label` text NOT NULL DEFAULT (''),
  `note` text NULL,
  `expires_at` datetime NULL,
  `max_uses` integer NULL,
  `use_count` integer NOT NULL DEFAULT (0),
  `duration_days` integer NULL,
  `on_expiry` text NOT NULL DEFAULT ('disable'),
  `email` text NOT NULL DEFAULT ('optional'),
  `enabled` bool NOT NULL DEFAULT (true),
  `created_by` text NOT NULL DEFAULT ('system'),
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  `profile_id` uuid NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `invitations_profiles_invitations` FOREIGN KEY (`profile_id`) REFERENCES `profiles` (`id`) ON DELETE SET NULL,
  CONSTRAINT `invitations_code_bb098d4d` CHECK (length(code) >= 4 AND length(code) <= 64 AND ltrim(code, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-') = ''),
  CONSTRAINT `invitations_duration_days_2dfffb23` CHECK (duration_days IS NULL OR duration_days >= 1),
  CONSTRAINT `invitations_email_10dc832c` CHECK (email IN ('off', 'optional', 'required')),
  CONSTRAINT `invitations_max_uses_03368f7e` CHECK (max_uses IS NULL OR max_uses >= 1),
  CONSTRAINT `invitations_on_expiry_4748dd58` CHECK (on_expiry IN ('delete', 'disable')),
  CONSTRAINT `invitations_use_count_d30c6f19` CHECK (use_count >= 0 AND (max_uses IS NULL OR use_count <= max_uses))
);
-- create index "invitations_code_key" to table: "invitations"
CREATE UNIQUE INDEX `invitations_code_key` ON `invitations` (`code`);
-- create index "invitation_created_at_id" to table: "invitations"
CREATE INDEX `invitation_created_at_id` ON `invitations` (`created_at`, `id`);
-- create index "invitation_enabled_created_at_id" to table: "invitations"
CREATE INDEX `invitation_enabled_created_at_id` ON `invitations` (`enabled`, `created_at`, `id`);
-- create index "invitation_profile_id_created_at_id" to table: "invitations"
CREATE INDEX `invitation_profile_id_created_at_id` ON `invitations` (`profile_id`, `created_at`, `id`);
-- create index "invitation_created_by_created_at_id" to table: "invitations"
CREATE INDEX `invitation_created_by_created_at_id` ON `invitations` (`created_by`, `created_at`, `id`);
-- create index "invitation_expires_at_id" to table: "invitations"
CREATE INDEX `invitation_expires_at_id` ON `invitations` (`expires_at`, `id`);
-- create "invitation_libraries" table
CREATE TABLE `invitation_libraries` (
  `id` uuid NOT NULL,
  `invitation_server_id` uuid NOT NULL,
  `library_id` uuid NOT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `invitation_libraries_invitation_servers_libraries` FOREIGN KEY (`invitation_server_id`) REFERENCES `invitation_servers` (`id`) ON DELETE CASCADE,
  CONSTRAINT `invitation_libraries_libraries_invitation_libraries` FOREIGN KEY (`library_id`) REFERENCES `libraries` (`id`) ON DELETE CASCADE
);
-- create index "invitationlibrary_invitation_server_id_library_id" to table: "invitation_libraries"
CREATE UNIQUE INDEX `invitationlibrary_invitation_server_id_library_id` ON `invitation_libraries` (`invitation_server_id`, `library_id`);
-- create index "invitationlibrary_library_id" to table: "invitation_libraries"
CREATE INDEX `invitationlibrary_library_id` ON `invitation_libraries` (`library_id`);
-- create "invitation_servers" table
CREATE TABLE `invitation_servers` (
  `id` uuid NOT NULL,
  `library_access` text NOT NULL,
  `permissions` json NOT NULL,
  `limits` json NOT NULL,
  `options` json NOT NULL,
  `position` integer NOT NULL DEFAULT (0),
  `invitation_id` uuid NOT NULL,
  `server_id` uuid NOT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `invitation_servers_invitations_servers` FOREIGN KEY (`invitation_id`) REFERENCES `invitations` (`id`) ON DELETE CASCADE,
  CONSTRAINT `invitation_servers_media_servers_invitation_servers` FOREIGN KEY (`server_id`) REFERENCES `media_servers` (`id`) ON DELETE CASCADE,
  CONSTRAINT `invitation_servers_library_access_b1954f88` CHECK (library_access IN ('all', 'none', 'only'))
);
-- create index "invitationserver_invitation_id_server_id" to table: "invitation_servers"
CREATE UNIQUE INDEX `invitationserver_invitation_id_server_id` ON `invitation_servers` (`invitation_id`, `server_id`);
-- create index "invitationserver_server_id" to table: "invitation_servers"
CREATE INDEX `invitationserver_server_id` ON `invitation_servers` (`server_id`);
-- create "leases" table
CREATE TABLE `leases` (
  `name` text NOT NULL,
  `owner` text NOT NULL,
  `fence` integer NOT NULL DEFAULT (1),
  `until` datetime NOT NULL,
  PRIMARY KEY (`name`),
  CONSTRAINT `leases_fence_c005023b` CHECK (fence >= 1)
);
-- create "libraries" table
CREATE TABLE `libraries` (
  `id` uuid NOT NULL,
  `external_id` text NOT NULL,
  `name` text NOT NULL,
  `library_type` text NOT NULL,
  `missing_since` datetime NULL,
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  `server_id` uuid NOT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `libraries_media_servers_libraries` FOREIGN KEY (`server_id`) REFERENCES `media_servers` (`id`) ON DELETE CASCADE
);
-- create index "library_server_id_external_id" to table: "libraries"
CREATE UNIQUE INDEX `library_server_id_external_id` ON `libraries` (`server_id`, `external_id`);
-- create index "library_server_id_name_id" to table: "libraries"
CREATE INDEX `library_server_id_name_id` ON `libraries` (`server_id`, `name`, `id`);
-- create index "library_server_id_created_at_id" to table: "libraries"
CREATE INDEX `library_server_id_created_at_id` ON `libraries` (`server_id`, `created_at`, `id`);
-- create "links" table
CREATE TABLE `links` (
  `id` uuid NOT NULL,
  `public_id` text NOT NULL,
  `code` text NOT NULL,
  `realm` text NOT NULL,
  `state` text NOT NULL DEFAULT ('pending'),
  `sealed_state` blob NULL,
  `account_id` text NULL,
  `account_name` text NULL,
  `account_email` text NULL,
  `authorize_url` text NOT NULL DEFAULT (''),
  `user_code` text NULL,
  `poll_after_ms` integer NOT NULL DEFAULT (0),
  `expires_at` datetime NOT NULL,
  `client_address` text NOT NULL DEFAULT (''),
  `attempted_at` datetime NULL,
  `ended_at` datetime NULL,
  `error_code` text NULL,
  `error_message` text NULL,
  `error_detail` text NULL,
  `error_retryable` bool NOT NULL DEFAULT (false),
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  `invitation_id` uuid NULL,
  `server_id` uuid NULL,
  `claimed_by` uuid NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `links_invitations_links` FOREIGN KEY (`invitation_id`) REFERENCES `invitations` (`id`) ON DELETE SET NULL,
  CONSTRAINT `links_media_servers_links` FOREIGN KEY (`server_id`) REFERENCES `media_servers` (`id`) ON DELETE SET NULL,
  CONSTRAINT `links_redemptions_links` FOREIGN KEY (`claimed_by`) REFERENCES `redemptions` (`id`) ON DELETE SET NULL,
  CONSTRAINT `links_poll_after_ms_b42f97fc` CHECK (poll_after_ms >= 0),
  CONSTRAINT `links_state_3f4d021f` CHECK (state IN ('approved', 'claimed', 'consumed', 'denied', 'expired', 'failed', 'pending'))
);
-- create index "links_public_id_key" to table: "links"
CREATE UNIQUE INDEX `links_public_id_key` ON `links` (`public_id`);
-- create index "link_invitation_id" to table: "links"
CREATE INDEX `link_invitation_id` ON `links` (`invitation_id`);
-- create index "link_server_id" to table: "links"
CREATE INDEX `link_server_id` ON `links` (`server_id`);
-- create index "link_claimed_by" to table: "links"
CREATE INDEX `link_claimed_by` ON `links` (`claimed_by`);
-- create index "link_expires_at" to table: "links"
CREATE INDEX `link_expires_at` ON `links` (`expires_at`) WHERE ended_at IS NULL;
-- create "media_servers" table
CREATE TABLE `media_servers` (
  `id` uuid NOT NULL,
  `name` text NOT NULL,
  `server_type` text NOT NULL,
  `url` text NOT NULL,
  `public_url` text NULL,
  `external_server_id` text NOT NULL,
  `settings` json NOT NULL,
  `secrets` blob NULL,
  `tls` json NULL,
  `facts` json NULL,
  `enabled` bool NOT NULL DEFAULT (true),
  `revision` integer NOT NULL DEFAULT (1),
  `health_state` text NOT NULL DEFAULT ('unknown'),
  `health_since` datetime NOT NULL,
  `health_checked_at` datetime NULL,
  `health_error_code` text NULL,
  `health_message` text NULL,
  `libraries_synced_at` datetime NULL,
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `media_servers_health_state_fc53ac34` CHECK (health_state IN ('ok', 'plugin_unavailable', 'settings_invalid', 'unauthorized', 'unknown', 'unreachable', 'wrong_server')),
  CONSTRAINT `media_servers_revision_4c1277ee` CHECK (revision >= 1)
);
-- create index "mediaserver_server_type_external_server_id" to table: "media_servers"
CREATE UNIQUE INDEX `mediaserver_server_type_external_server_id` ON `media_servers` (`server_type`, `external_server_id`);
-- create index "mediaserver_created_at_id" to table: "media_servers"
CREATE INDEX `mediaserver_created_at_id` ON `media_servers` (`created_at`, `id`);
-- create index "mediaserver_name_id" to table: "media_servers"
CREATE INDEX `mediaserver_name_id` ON `media_servers` (`name`, `id`);
-- create index "mediaserver_enabled_created_at_id" to table: "media_servers"
CREATE INDEX `mediaserver_enabled_created_at_id` ON `media_servers` (`enabled`, `created_at`, `id`);
-- create "plugin_approvals" table
CREATE TABLE `plugin_approvals` (
  `id` uuid NOT NULL,
  `name` text NOT NULL,
  `sha256` text NOT NULL,
  `file_name` text NOT NULL DEFAULT (''),
  `origin` text NOT NULL,
  `approved_at` datetime NULL,
  `approved_by` text NULL,
  `disabled` bool NOT NULL DEFAULT (false),
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `plugin_approvals_origin_7e2dd3b0` CHECK (origin IN ('directory', 'installation', 'store')),
  CONSTRAINT `plugin_approvals_sha256_786c63e3` CHECK (length(sha256) = 64 AND ltrim(sha256, '0123456789abcdef') = '')
);
-- create index "pluginapproval_name_sha256" to table: "plugin_approvals"
CREATE UNIQUE INDEX `pluginapproval_name_sha256` ON `plugin_approvals` (`name`, `sha256`);
-- create index "pluginapproval_sha256" to table: "plugin_approvals"
CREATE INDEX `pluginapproval_sha256` ON `plugin_approvals` (`sha256`);
-- create "plugin_binaries" table
CREATE TABLE `plugin_binaries` (
  `id` uuid NOT NULL,
  `sha256` text NOT NULL,
  `size_bytes` integer NOT NULL,
  `build` json NULL,
  `server_type` text NULL,
  `description` json NULL,
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `plugin_binaries_sha256_786c63e3` CHECK (length(sha256) = 64 AND ltrim(sha256, '0123456789abcdef') = ''),
  CONSTRAINT `plugin_binaries_size_bytes_55533312` CHECK (size_bytes >= 0)
);
-- create index "plugin_binaries_sha256_key" to table: "plugin_binaries"
CREATE UNIQUE INDEX `plugin_binaries_sha256_key` ON `plugin_binaries` (`sha256`);
-- create "profiles" table
CREATE TABLE `profiles` (
  `id` uuid NOT NULL,
  `name` text NOT NULL,
  `label` text NOT NULL DEFAULT (''),
  `note` text NULL,
  `expires_after_days` integer NULL,
  `max_uses` integer NULL,
  `duration_days` integer NULL,
  `on_expiry` text NOT NULL DEFAULT ('disable'),
  `email` text NOT NULL DEFAULT ('optional'),
  `is_default` bool NOT NULL DEFAULT (false),
  `created_by` text NOT NULL DEFAULT ('system'),
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `profiles_duration_days_2dfffb23` CHECK (duration_days IS NULL OR duration_days >= 1),
  CONSTRAINT `profiles_email_10dc832c` CHECK (email IN ('off', 'optional', 'required')),
  CONSTRAINT `profiles_expires_after_days_5ac7d681` CHECK (expires_after_days IS NULL OR expires_after_days >= 1),
  CONSTRAINT `profiles_max_uses_03368f7e` CHECK (max_uses IS NULL OR max_uses >= 1),
  CONSTRAINT `profiles_on_expiry_4748dd58` CHECK (on_expiry IN ('delete', 'disable'))
);
-- create index "profiles_name_key" to table: "profiles"
CREATE UNIQUE INDEX `profiles_name_key` ON `profiles` (`name`);
-- create index "profile_created_at_id" to table: "profiles"
CREATE INDEX `profile_created_at_id` ON `profiles` (`created_at`, `id`);
-- create index "profile_is_default" to table: "profiles"
CREATE UNIQUE INDEX `profile_is_default` ON `profiles` (`is_default`) WHERE is_default = true;
-- create "profile_libraries" table
CREATE TABLE `profile_libraries` (
  `id` uuid NOT NULL,
  `library_id` uuid NOT NULL,
  `profile_server_id` uuid NOT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `profile_libraries_libraries_profile_libraries` FOREIGN KEY (`library_id`) REFERENCES `libraries` (`id`) ON DELETE CASCADE,
  CONSTRAINT `profile_libraries_profile_servers_libraries` FOREIGN KEY (`profile_server_id`) REFERENCES `profile_servers` (`id`) ON DELETE CASCADE
);
-- create index "profilelibrary_profile_server_id_library_id" to table: "profile_libraries"
CREATE UNIQUE INDEX `profilelibrary_profile_server_id_library_id` ON `profile_libraries` (`profile_server_id`, `library_id`);
-- create index "profilelibrary_library_id" to table: "profile_libraries"
CREATE INDEX `profilelibrary_library_id` ON `profile_libraries` (`library_id`);
-- create "profile_servers" table
CREATE TABLE `profile_servers` (
  `id` uuid NOT NULL,
  `library_access` text NOT NULL,
  `permissions` json NOT NULL,
  `limits` json NOT NULL,
  `options` json NOT NULL,
  `position` integer NOT NULL DEFAULT (0),
  `server_id` uuid NOT NULL,
  `profile_id` uuid NOT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `profile_servers_media_servers_profile_servers` FOREIGN KEY (`server_id`) REFERENCES `media_servers` (`id`) ON DELETE CASCADE,
  CONSTRAINT `profile_servers_profiles_servers` FOREIGN KEY (`profile_id`) REFERENCES `profiles` (`id`) ON DELETE CASCADE,
  CONSTRAINT `profile_servers_library_access_b1954f88` CHECK (library_access IN ('all', 'none', 'only'))
);
-- create index "profileserver_profile_id_server_id" to table: "profile_servers"
CREATE UNIQUE INDEX `profileserver_profile_id_server_id` ON `profile_servers` (`profile_id`, `server_id`);
-- create index "profileserver_server_id" to table: "profile_servers"
CREATE INDEX `profileserver_server_id` ON `profile_servers` (`server_id`);
-- create "redemptions" table
CREATE TABLE `redemptions` (
  `id` uuid NOT NULL,
  `code` text NOT NULL,
  `public_id` text NOT NULL,
  `state` text NOT NULL DEFAULT ('in_progress'),
  `username` text NOT NULL DEFAULT (''),
  `email` text NULL,
  `display_name` text NULL,
  `client_address` text NOT NULL DEFAULT (''),
  `duration_days` integer NULL,
  `on_expiry` text NOT NULL DEFAULT ('disable'),
  `idempotency_key` text NULL,
  `request_mac` blob NULL,
  `lease_owner` text NULL,
  `lease_fence` integer NOT NULL DEFAULT (0),
  `lease_until` datetime NULL,
  `next_attempt_at` datetime NULL,
  `correlation_id` text NOT NULL DEFAULT (''),
  `finished_at` datetime NULL,
  `error_code` text NULL,
  `error_message` text NULL,
  `error_detail` text NULL,
  `error_retryable` bool NOT NULL DEFAULT (false),
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  `identity_id` uuid NULL,
  `invitation_id` uuid NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `redemptions_identities_redemptions` FOREIGN KEY (`identity_id`) REFERENCES `identities` (`id`) ON DELETE SET NULL,
  CONSTRAINT `redemptions_invitations_redemptions` FOREIGN KEY (`invitation_id`) REFERENCES `invitations` (`id`) ON DELETE SET NULL,
  CONSTRAINT `redemptions_duration_days_2dfffb23` CHECK (duration_days IS NULL OR duration_days >= 1),
  CONSTRAINT `redemptions_lease_fence_85b52f02` CHECK (lease_fence >= 0),
  CONSTRAINT `redemptions_on_expiry_4748dd58` CHECK (on_expiry IN ('delete', 'disable')),
  CONSTRAINT `redemptions_state_0becd07b` CHECK (state IN ('completed', 'failed', 'in_progress', 'needs_attention', 'undoing'))
);
-- create index "redemptions_public_id_key" to table: "redemptions"
CREATE UNIQUE INDEX `redemptions_public_id_key` ON `redemptions` (`public_id`);
-- create index "redemption_code_idempotency_key" to table: "redemptions"
CREATE UNIQUE INDEX `redemption_code_idempotency_key` ON `redemptions` (`code`, `idempotency_key`);
-- create index "redemption_created_at_id" to table: "redemptions"
CREATE INDEX `redemption_created_at_id` ON `redemptions` (`created_at`, `id`);
-- create index "redemption_invitation_id_created_at_id" to table: "redemptions"
CREATE INDEX `redemption_invitation_id_created_at_id` ON `redemptions` (`invitation_id`, `created_at`, `id`);
-- create index "redemption_identity_id_created_at_id" to table: "redemptions"
CREATE INDEX `redemption_identity_id_created_at_id` ON `redemptions` (`identity_id`, `created_at`, `id`);
-- create index "redemption_state_created_at_id" to table: "redemptions"
CREATE INDEX `redemption_state_created_at_id` ON `redemptions` (`state`, `created_at`, `id`);
-- create index "redemption_lease_until" to table: "redemptions"
CREATE INDEX `redemption_lease_until` ON `redemptions` (`lease_until`) WHERE finished_at IS NULL;
-- create "redemption_steps" table
CREATE TABLE `redemption_steps` (
  `id` uuid NOT NULL,
  `server_name` text NOT NULL,
  `server_type` text NOT NULL,
  `state` text NOT NULL DEFAULT ('pending'),
  `operation_id` uuid NOT NULL,
  `deadline_at` datetime NULL,
  `username` text NOT NULL DEFAULT (''),
  `username_folded` text NULL,
  `released_at` datetime NULL,
  `external_id` text NULL,
  `linked_account_id` text NULL,
  `absent_before` bool NULL,
  `library_access` text NOT NULL,
  `permissions` json NOT NULL,
  `limits` json NOT NULL,
  `options` json NOT NULL,
  `libraries` json NOT NULL,
  `join_flow` text NOT NULL DEFAULT (''),
  `noticed` bool NOT NULL DEFAULT (true),
  `position` integer NOT NULL DEFAULT (0),
  `notice` text NULL,
  `attempts` integer NOT NULL DEFAULT (0),
  `next_attempt_at` datetime NULL,
  `error_code` text NULL,
  `error_message` text NULL,
  `error_detail` text NULL,
  `error_retryable` bool NOT NULL DEFAULT (false),
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  `link_id` uuid NULL,
  `server_id` uuid NULL,
  `redemption_id` uuid NOT NULL,
  `user_id` uuid NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `redemption_steps_links_steps` FOREIGN KEY (`link_id`) REFERENCES `links` (`id`) ON DELETE SET NULL,
  CONSTRAINT `redemption_steps_media_servers_redemption_steps` FOREIGN KEY (`server_id`) REFERENCES `media_servers` (`id`) ON DELETE SET NULL,
  CONSTRAINT `redemption_steps_redemptions_steps` FOREIGN KEY (`redemption_id`) REFERENCES `redemptions` (`id`) ON DELETE CASCADE,
  CONSTRAINT `redemption_steps_users_redemption_steps` FOREIGN KEY (`user_id`) REFERENCES `users` (`id`) ON DELETE SET NULL,
  CONSTRAINT `redemption_steps_attempts_34c54dbe` CHECK (attempts >= 0),
  CONSTRAINT `redemption_steps_library_access_b1954f88` CHECK (library_access IN ('all', 'none', 'only')),
  CONSTRAINT `redemption_steps_state_ebabaf1a` CHECK (state IN ('creating', 'done', 'failed', 'needs_attention', 'pending', 'skipped', 'undoing', 'undone'))
);
-- create index "redemptionstep_redemption_id_server_id" to table: "redemption_steps"
CREATE UNIQUE INDEX `redemptionstep_redemption_id_server_id` ON `redemption_steps` (`redemption_id`, `server_id`);
-- create index "redemptionstep_server_id_username_folded" to table: "redemption_steps"
CREATE UNIQUE INDEX `redemptionstep_server_id_username_folded` ON `redemption_steps` (`server_id`, `username_folded`) WHERE released_at IS NULL;
-- create index "redemptionstep_server_id_created_at_id" to table: "redemption_steps"
CREATE INDEX `redemptionstep_server_id_created_at_id` ON `redemption_steps` (`server_id`, `created_at`, `id`);
-- create index "redemptionstep_user_id" to table: "redemption_steps"
CREATE INDEX `redemptionstep_user_id` ON `redemption_steps` (`user_id`);
-- create index "redemptionstep_link_id" to table: "redemption_steps"
CREATE INDEX `redemptionstep_link_id` ON `redemption_steps` (`link_id`);
-- create index "redemptionstep_server_id_external_id" to table: "redemption_steps"
CREATE INDEX `redemptionstep_server_id_external_id` ON `redemption_steps` (`server_id`, `external_id`);
-- create "sync_runs" table
CREATE TABLE `sync_runs` (
  `id` uuid NOT NULL,
  `scope` text NOT NULL,
  `state` text NOT NULL DEFAULT ('running'),
  `dry_run` bool NOT NULL DEFAULT (false),
  `counts` json NOT NULL,
  `started_at` datetime NOT NULL,
  `finished_at` datetime NULL,
  `error_code` text NULL,
  `error_message` text NULL,
  `error_detail` text NULL,
  `error_retryable` bool NOT NULL DEFAULT (false),
  `server_id` uuid NOT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `sync_runs_media_servers_sync_runs` FOREIGN KEY (`server_id`) REFERENCES `media_servers` (`id`) ON DELETE CASCADE,
  CONSTRAINT `sync_runs_scope_a05e0680` CHECK (scope IN ('libraries', 'users')),
  CONSTRAINT `sync_runs_state_704447f0` CHECK (state IN ('completed', 'failed', 'running'))
);
-- create index "syncrun_server_id_started_at_id" to table: "sync_runs"
CREATE INDEX `syncrun_server_id_started_at_id` ON `sync_runs` (`server_id`, `started_at`, `id`);
-- create index "syncrun_started_at_id" to table: "sync_runs"
CREATE INDEX `syncrun_started_at_id` ON `sync_runs` (`started_at`, `id`);
-- create "users" table
CREATE TABLE `users` (
  `id` uuid NOT NULL,
  `external_id` text NOT NULL,
  `username` text NOT NULL,
  `username_folded` text NOT NULL,
  `email` text NULL,
  `kind` text NOT NULL DEFAULT ('user'),
  `protected` bool NOT NULL DEFAULT (false),
  `enabled` bool NOT NULL DEFAULT (true),
  `status` text NOT NULL DEFAULT ('unknown'),
  `expires_at` datetime NULL,
  `on_expiry` text NOT NULL DEFAULT ('disable'),
  `library_access` text NULL,
  `libraries` json NULL,
  `permissions` json NULL,
  `limits` json NULL,
  `options` json NULL,
  `access_read_at` datetime NULL,
  `plugin_state` blob NULL,
  `origin` text NOT NULL,
  `last_active_at` datetime NULL,
  `last_seen_at` datetime NULL,
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  `identity_id` uuid NOT NULL,
  `invitation_id` uuid NULL,
  `server_id` uuid NOT NULL,
  `redemption_id` uuid NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `users_identities_users` FOREIGN KEY (`identity_id`) REFERENCES `identities` (`id`) ON DELETE CASCADE,
  CONSTRAINT `users_invitations_users` FOREIGN KEY (`invitation_id`) REFERENCES `invitations` (`id`) ON DELETE SET NULL,
  CONSTRAINT `users_media_servers_users` FOREIGN KEY (`server_id`) REFERENCES `media_servers` (`id`) ON DELETE CASCADE,
  CONSTRAINT `users_redemptions_users` FOREIGN KEY (`redemption_id`) REFERENCES `redemptions` (`id`) ON DELETE SET NULL,
  CONSTRAINT `users_library_access_b1954f88` CHECK (library_access IN ('all', 'none', 'only')),
  CONSTRAINT `users_on_expiry_4748dd58` CHECK (on_expiry IN ('delete', 'disable')),
  CONSTRAINT `users_origin_955963be` CHECK (origin IN ('import', 'manual', 'redemption')),
  CONSTRAINT `users_status_e9acafba` CHECK (status IN ('active', 'missing', 'pending', 'suspended', 'unknown'))
);
-- create index "user_server_id_external_id" to table: "users"
CREATE UNIQUE INDEX `user_server_id_external_id` ON `users` (`server_id`, `external_id`);
-- create index "user_server_id_username_folded" to table: "users"
CREATE INDEX `user_server_id_username_folded` ON `users` (`server_id`, `username_folded`);
-- create index "user_created_at_id" to table: "users"
CREATE INDEX `user_created_at_id` ON `users` (`created_at`, `id`);
-- create index "user_username_id" to table: "users"
CREATE INDEX `user_username_id` ON `users` (`username`, `id`);
-- create index "user_identity_id_created_at_id" to table: "users"
CREATE INDEX `user_identity_id_created_at_id` ON `users` (`identity_id`, `created_at`, `id`);
-- create index "user_identity_id_server_id" to table: "users"
CREATE INDEX `user_identity_id_server_id` ON `users` (`identity_id`, `server_id`);
-- create index "user_server_id_created_at_id" to table: "users"
CREATE INDEX `user_server_id_created_at_id` ON `users` (`server_id`, `created_at`, `id`);
-- create index "user_invitation_id_created_at_id" to table: "users"
CREATE INDEX `user_invitation_id_created_at_id` ON `users` (`invitation_id`, `created_at`, `id`);
-- create index "user_redemption_id" to table: "users"
CREATE INDEX `user_redemption_id` ON `users` (`redemption_id`);
-- create index "user_enabled_created_at_id" to table: "users"
CREATE INDEX `user_enabled_created_at_id` ON `users` (`enabled`, `created_at`, `id`);
-- create index "user_status_created_at_id" to table: "users"
CREATE INDEX `user_status_created_at_id` ON `users` (`status`, `created_at`, `id`);
-- create index "user_origin_created_at_id" to table: "users"
CREATE INDEX `user_origin_created_at_id` ON `users` (`origin`, `created_at`, `id`);
-- create index "user_expires_at_id" to table: "users"
CREATE INDEX `user_expires_at_id` ON `users` (`expires_at`, `id`);
-- create index "user_on_expiry_status_expires_at" to table: "users"
CREATE INDEX `user_on_expiry_status_expires_at` ON `users` (`on_expiry`, `status`, `expires_at`);

-- +goose Down
-- drop "api_keys" table
DROP TABLE `api_keys`;
-- drop "identities" table
DROP TABLE `identities`;
-- drop "instance" table
DROP TABLE `instance`;
-- drop "invitations" table
DROP TABLE `invitations`;
-- drop "invitation_libraries" table
DROP TABLE `invitation_libraries`;
-- drop "invitation_servers" table
DROP TABLE `invitation_servers`;
-- drop "leases" table
DROP TABLE `leases`;
-- drop "libraries" table
DROP TABLE `libraries`;
-- drop "links" table
DROP TABLE `links`;
-- drop "media_servers" table
DROP TABLE `media_servers`;
-- drop "plugin_approvals" table
DROP TABLE `plugin_approvals`;
-- drop "plugin_binaries" table
DROP TABLE `plugin_binaries`;
-- drop "profiles" table
DROP TABLE `profiles`;
-- drop "profile_libraries" table
DROP TABLE `profile_libraries`;
-- drop "profile_servers" table
DROP TABLE `profile_servers`;
-- drop "redemptions" table
DROP TABLE `redemptions`;
-- drop "redemption_steps" table
DROP TABLE `redemption_steps`;
-- drop "sync_runs" table
DROP TABLE `sync_runs`;
-- drop "users" table
DROP TABLE `users`;
