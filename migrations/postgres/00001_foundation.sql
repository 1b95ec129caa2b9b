-- +goose Up
-- create "plugin_binaries" table
CREATE TABLE "plugin_binaries" (
  "id" uuid NOT NULL,
  "sha256" character varying NOT NULL,
  "size_bytes" bigint NOT NULL,
  "build" jsonb NULL,
  "server_type" character varying NULL,
  "description" jsonb NULL,
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "plugin_binaries_sha256_786c63e3" CHECK ((length((sha256)::text) = 64) AND (ltrim((sha256)::text, '0123456789abcdef'::text) = ''::text)),
  CONSTRAINT "plugin_binaries_size_bytes_55533312" CHECK (size_bytes >= 0)
);
-- create index "plugin_binaries_sha256_key" to table: "plugin_binaries"
CREATE UNIQUE INDEX "plugin_binaries_sha256_key" ON "plugin_binaries" ("sha256");
-- create "instance" table
CREATE TABLE "instance" (
  "key" character varying NOT NULL,
  "value" bytea NOT NULL,
  "updated_at" timestamptz NOT NULL,
  PRIMARY KEY ("key")
);
-- create "api_keys" table
CREATE TABLE "api_keys" (
  "id" uuid NOT NULL,
  "name" character varying NOT NULL,
  "prefix" character varying NOT NULL,
  "hash" bytea NOT NULL,
  "created_by" character varying NOT NULL DEFAULT 'system',
  "last_used_at" timestamptz NULL,
  "revoked_at" timestamptz NULL,
  "created_at" timestamptz NOT NULL,
  PRIMARY KEY ("id")
);
-- create index "api_keys_prefix_key" to table: "api_keys"
CREATE UNIQUE INDEX "api_keys_prefix_key" ON "api_keys" ("prefix");
-- create index "apikey_created_at_id" to table: "api_keys"
CREATE INDEX "apikey_created_at_id" ON "api_keys" ("created_at", "id");
-- create "leases" table
CREATE TABLE "leases" (
  "name" character varying NOT NULL,
  "owner" character varying NOT NULL,
  "fence" bigint NOT NULL DEFAULT 1,
  "until" timestamptz NOT NULL,
  PRIMARY KEY ("name"),
  CONSTRAINT "leases_fence_c005023b" CHECK (fence >= 1)
);
-- create "profiles" table
CREATE TABLE "profiles" (
  "id" uuid NOT NULL,
  "name" character varying NOT NULL,
  "label" character varying NOT NULL DEFAULT '',
  "note" character varying NULL,
  "expires_after_days" bigint NULL,
  "max_uses" bigint NULL,
  "duration_days" bigint NULL,
  "on_expiry" character varying NOT NULL DEFAULT 'disable',
  "email" character varying NOT NULL DEFAULT 'optional',
  "is_default" boolean NOT NULL DEFAULT false,
  "created_by" character varying NOT NULL DEFAULT 'system',
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "profiles_duration_days_2dfffb23" CHECK ((duration_days IS NULL) OR (duration_days >= 1)),
  CONSTRAINT "profiles_email_10dc832c" CHECK ((email)::text = ANY ((ARRAY['off'::character varying, 'optional'::character varying, 'required'::character varying])::text[])),
  CONSTRAINT "profiles_expires_after_days_5ac7d681" CHECK ((expires_after_days IS NULL) OR (expires_after_days >= 1)),
  CONSTRAINT "profiles_max_uses_03368f7e" CHECK ((max_uses IS NULL) OR (max_uses >= 1)),
  CONSTRAINT "profiles_on_expiry_4748dd58" CHECK ((on_expiry)::text = ANY ((ARRAY['delete'::character varying, 'disable'::character varying])::text[]))
);
-- create index "profile_created_at_id" to table: "profiles"
CREATE INDEX "profile_created_at_id" ON "profiles" ("created_at", "id");
-- create index "profile_is_default" to table: "profiles"
CREATE UNIQUE INDEX "profile_is_default" ON "profiles" ("is_default") WHERE (is_default = true);
-- create index "profiles_name_key" to table: "profiles"
CREATE UNIQUE INDEX "profiles_name_key" ON "profiles" ("name");
-- create "plugin_approvals" table
CREATE TABLE "plugin_approvals" (
  "id" uuid NOT NULL,
  "name" character varying NOT NULL,
  "sha256" character varying NOT NULL,
  "file_name" character varying NOT NULL DEFAULT '',
  "origin" character varying NOT NULL,
  "approved_at" timestamptz NULL,
  "approved_by" character varying NULL,
  "disabled" boolean NOT NULL DEFAULT false,
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "plugin_approvals_origin_7e2dd3b0" CHECK ((origin)::text = ANY ((ARRAY['directory'::character varying, 'installation'::character varying, 'store'::character varying])::text[])),
  CONSTRAINT "plugin_approvals_sha256_786c63e3" CHECK ((length((sha256)::text) = 64) AND (ltrim((sha256)::text, '0123456789abcdef'::text) = ''::text))
);
-- create index "pluginapproval_name_sha256" to table: "plugin_approvals"
CREATE UNIQUE INDEX "pluginapproval_name_sha256" ON "plugin_approvals" ("name", "sha256");
-- create index "pluginapproval_sha256" to table: "plugin_approvals"
CREATE INDEX "pluginapproval_sha256" ON "plugin_approvals" ("sha256");
-- create "invitations" table
CREATE TABLE "invitations" (
  "id" uuid NOT NULL,
  "code" character varying NOT NULL,
  "label" character varying NOT NULL DEFAULT '',
  "note" character varying NULL,
  "expires_at" timestamptz NULL,
  "max_uses" bigint NULL,
  "use_count" bigint NOT NULL DEFAULT 0,
  "duration_days" bigint NULL,
  "on_expiry" character varying NOT NULL DEFAULT 'disable',
  "email" character varying NOT NULL DEFAULT 'optional',
  "enabled" boolean NOT NULL DEFAULT true,
  "created_by" character varying NOT NULL DEFAULT 'system',
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "profile_id" uuid NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "invitations_profiles_invitations" FOREIGN KEY ("profile_id") REFERENCES "profiles" ("id") ON UPDATE NO ACTION ON DELETE SET NULL,
  CONSTRAINT "invitations_code_bb098d4d" CHECK ((length((code)::text) >= 4) AND (length((code)::text) <= 64) AND (ltrim((code)::text, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-'::text) = ''::text)),
  CONSTRAINT "invitations_duration_days_2dfffb23" CHECK ((duration_days IS NULL) OR (duration_days >= 1)),
  CONSTRAINT "invitations_email_10dc832c" CHECK ((email)::text = ANY ((ARRAY['off'::character varying, 'optional'::character varying, 'required'::character varying])::text[])),
  CONSTRAINT "invitations_max_uses_03368f7e" CHECK ((max_uses IS NULL) OR (max_uses >= 1)),
  CONSTRAINT "invitations_on_expiry_4748dd58" CHECK ((on_expiry)::text = ANY ((ARRAY['delete'::character varying, 'disable'::character varying])::text[])),
  CONSTRAINT "invitations_use_count_d30c6f19" CHECK ((use_count >= 0) AND ((max_uses IS NULL) OR (use_count <= max_uses)))
);
-- create index "invitation_created_at_id" to table: "invitations"
CREATE INDEX "invitation_created_at_id" ON "invitations" ("created_at", "id");
-- create index "invitation_created_by_created_at_id" to table: "invitations"
CREATE INDEX "invitation_created_by_created_at_id" ON "invitations" ("created_by", "created_at", "id");
-- create index "invitation_enabled_created_at_id" to table: "invitations"
CREATE INDEX "invitation_enabled_created_at_id" ON "invitations" ("enabled", "created_at", "id");
-- create index "invitation_expires_at_id" to table: "invitations"
CREATE INDEX "invitation_expires_at_id" ON "invitations" ("expires_at", "id");
-- create index "invitation_profile_id_created_at_id" to table: "invitations"
CREATE INDEX "invitation_profile_id_created_at_id" ON "invitations" ("profile_id", "created_at", "id");
-- create index "invitations_code_key" to table: "invitations"
CREATE UNIQUE INDEX "invitations_code_key" ON "invitations" ("code");
-- create "identities" table
CREATE TABLE "identities" (
  "id" uuid NOT NULL,
  "display_name" character varying NOT NULL,
  "email" character varying NULL,
  "note" character varying NULL,
  "enabled" boolean NOT NULL DEFAULT true,
  "expires_at" timestamptz NULL,
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "invitation_id" uuid NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "identities_invitations_identities" FOREIGN KEY ("invitation_id") REFERENCES "invitations" ("id") ON UPDATE NO ACTION ON DELETE SET NULL
);
-- create index "identity_created_at_id" to table: "identities"
CREATE INDEX "identity_created_at_id" ON "identities" ("created_at", "id");
-- create index "identity_display_name_id" to table: "identities"
CREATE INDEX "identity_display_name_id" ON "identities" ("display_name", "id");
-- create index "identity_enabled_created_at_id" to table: "identities"
CREATE INDEX "identity_enabled_created_at_id" ON "identities" ("enabled", "created_at", "id");
-- create index "identity_expires_at_id" to table: "identities"
CREATE INDEX "identity_expires_at_id" ON "identities" ("expires_at", "id");
-- create index "identity_invitation_id_created_at_id" to table: "identities"
CREATE INDEX "identity_invitation_id_created_at_id" ON "identities" ("invitation_id", "created_at", "id");
-- create "media_servers" table
CREATE TABLE "media_servers" (
  "id" uuid NOT NULL,
  "name" character varying NOT NULL,
  "server_type" character varying NOT NULL,
  "url" character varying NOT NULL,
  "public_url" character varying NULL,
  "external_server_id" character varying NOT NULL,
  "settings" jsonb NOT NULL,
  "secrets" bytea NULL,
  "tls" jsonb NULL,
  "facts" jsonb NULL,
  "enabled" boolean NOT NULL DEFAULT true,
  "revision" bigint NOT NULL DEFAULT 1,
  "health_state" character varying NOT NULL DEFAULT 'unknown',
  "health_since" timestamptz NOT NULL,
  "health_checked_at" timestamptz NULL,
  "health_error_code" character varying NULL,
  "health_message" character varying NULL,
  "libraries_synced_at" timestamptz NULL,
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "media_servers_health_state_fc53ac34" CHECK ((health_state)::text = ANY ((ARRAY['ok'::character varying, 'plugin_unavailable'::character varying, 'settings_invalid'::character varying, 'unauthorized'::character varying, 'unknown'::character varying, 'unreachable'::character varying, 'wrong_server'::character varying])::text[])),
  CONSTRAINT "media_servers_revision_4c1277ee" CHECK (revision >= 1)
);
-- create index "mediaserver_created_at_id" to table: "media_servers"
CREATE INDEX "mediaserver_created_at_id" ON "media_servers" ("created_at", "id");
-- create index "mediaserver_enabled_created_at_id" to table: "media_servers"
CREATE INDEX "mediaserver_enabled_created_at_id" ON "media_servers" ("enabled", "created_at", "id");
-- create index "mediaserver_name_id" to table: "media_servers"
CREATE INDEX "mediaserver_name_id" ON "media_servers" ("name", "id");
-- create index "mediaserver_server_type_external_server_id" to table: "media_servers"
CREATE UNIQUE INDEX "mediaserver_server_type_external_server_id" ON "media_servers" ("server_type", "external_server_id");
-- create "invitation_servers" table
CREATE TABLE "invitation_servers" (
  "id" uuid NOT NULL,
  "library_access" character varying NOT NULL,
  "permissions" jsonb NOT NULL,
  "limits" jsonb NOT NULL,
  "options" jsonb NOT NULL,
  "position" bigint NOT NULL DEFAULT 0,
  "invitation_id" uuid NOT NULL,
  "server_id" uuid NOT NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "invitation_servers_invitations_servers" FOREIGN KEY ("invitation_id") REFERENCES "invitations" ("id") ON UPDATE NO ACTION ON DELETE CASCADE,
  CONSTRAINT "invitation_servers_media_servers_invitation_servers" FOREIGN KEY ("server_id") REFERENCES "media_servers" ("id") ON UPDATE NO ACTION ON DELETE CASCADE,
  CONSTRAINT "invitation_servers_library_access_b1954f88" CHECK ((library_access)::text = ANY ((ARRAY['all'::character varying, 'none'::character varying, 'only'::character varying])::text[]))
);
-- create index "invitationserver_invitation_id_server_id" to table: "invitation_servers"
CREATE UNIQUE INDEX "invitationserver_invitation_id_server_id" ON "invitation_servers" ("invitation_id", "server_id");
-- create index "invitationserver_server_id" to table: "invitation_servers"
CREATE INDEX "invitationserver_server_id" ON "invitation_servers" ("server_id");
-- create "libraries" table
CREATE TABLE "libraries" (
  "id" uuid NOT NULL,
  "external_id" character varying NOT NULL,
  "name" character varying NOT NULL,
  "library_type" character varying NOT NULL,
  "missing_since" timestamptz NULL,
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "server_id" uuid NOT NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "libraries_media_servers_libraries" FOREIGN KEY ("server_id") REFERENCES "media_servers" ("id") ON UPDATE NO ACTION ON DELETE CASCADE
);
-- create index "library_server_id_created_at_id" to table: "libraries"
CREATE INDEX "library_server_id_created_at_id" ON "libraries" ("server_id", "created_at", "id");
-- create index "library_server_id_external_id" to table: "libraries"
CREATE UNIQUE INDEX "library_server_id_external_id" ON "libraries" ("server_id", "external_id");
-- create index "library_server_id_name_id" to table: "libraries"
CREATE INDEX "library_server_id_name_id" ON "libraries" ("server_id", "name", "id");
-- create "invitation_libraries" table
CREATE TABLE "invitation_libraries" (
  "id" uuid NOT NULL,
  "invitation_server_id" uuid NOT NULL,
  "library_id" uuid NOT NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "invitation_libraries_invitation_servers_libraries" FOREIGN KEY ("invitation_server_id") REFERENCES "invitation_servers" ("id") ON UPDATE NO ACTION ON DELETE CASCADE,
  CONSTRAINT "invitation_libraries_libraries_invitation_libraries" FOREIGN KEY ("library_id") REFERENCES "libraries" ("id") ON UPDATE NO ACTION ON DELETE CASCADE
);
-- create index "invitationlibrary_invitation_server_id_library_id" to table: "invitation_libraries"
CREATE UNIQUE INDEX "invitationlibrary_invitation_server_id_library_id" ON "invitation_libraries" ("invitation_server_id", "library_id");
-- create index "invitationlibrary_library_id" to table: "invitation_libraries"
CREATE INDEX "invitationlibrary_library_id" ON "invitation_libraries" ("library_id");
-- create "redemptions" table
CREATE TABLE "redemptions" (
  "id" uuid NOT NULL,
  "code" character varying NOT NULL,
  "public_id" character varying NOT NULL,
  "state" character varying NOT NULL DEFAULT 'in_progress',
  "username" character varying NOT NULL DEFAULT '',
  "email" character varying NULL,
  "display_name" character varying NULL,
  "client_address" character varying NOT NULL DEFAULT '',
  "duration_days" bigint NULL,
  "on_expiry" character varying NOT NULL DEFAULT 'disable',
  "idempotency_key" character varying NULL,
  "request_mac" bytea NULL,
  "lease_owner" character varying NULL,
  "lease_fence" bigint NOT NULL DEFAULT 0,
  "lease_until" timestamptz NULL,
  "next_attempt_at" timestamptz NULL,
  "correlation_id" character varying NOT NULL DEFAULT '',
  "finished_at" timestamptz NULL,
  "error_code" character varying NULL,
  "error_message" character varying NULL,
  "error_detail" character varying NULL,
  "error_retryable" boolean NOT NULL DEFAULT false,
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "identity_id" uuid NULL,
  "invitation_id" uuid NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "redemptions_identities_redemptions" FOREIGN KEY ("identity_id") REFERENCES "identities" ("id") ON UPDATE NO ACTION ON DELETE SET NULL,
  CONSTRAINT "redemptions_invitations_redemptions" FOREIGN KEY ("invitation_id") REFERENCES "invitations" ("id") ON UPDATE NO ACTION ON DELETE SET NULL,
  CONSTRAINT "redemptions_duration_days_2dfffb23" CHECK ((duration_days IS NULL) OR (duration_days >= 1)),
  CONSTRAINT "redemptions_lease_fence_85b52f02" CHECK (lease_fence >= 0),
  CONSTRAINT "redemptions_on_expiry_4748dd58" CHECK ((on_expiry)::text = ANY ((ARRAY['delete'::character varying, 'disable'::character varying])::text[])),
  CONSTRAINT "redemptions_state_0becd07b" CHECK ((state)::text = ANY ((ARRAY['completed'::character varying, 'failed'::character varying, 'in_progress'::character varying, 'needs_attention'::character varying, 'undoing'::character varying])::text[]))
);
-- create index "redemption_code_idempotency_key" to table: "redemptions"
CREATE UNIQUE INDEX "redemption_code_idempotency_key" ON "redemptions" ("code", "idempotency_key");
-- create index "redemption_created_at_id" to table: "redemptions"
CREATE INDEX "redemption_created_at_id" ON "redemptions" ("created_at", "id");
-- create index "redemption_identity_id_created_at_id" to table: "redemptions"
CREATE INDEX "redemption_identity_id_created_at_id" ON "redemptions" ("identity_id", "created_at", "id");
-- create index "redemption_invitation_id_created_at_id" to table: "redemptions"
CREATE INDEX "redemption_invitation_id_created_at_id" ON "redemptions" ("invitation_id", "created_at", "id");
-- create index "redemption_lease_until" to table: "redemptions"
CREATE INDEX "redemption_lease_until" ON "redemptions" ("lease_until") WHERE (finished_at IS NULL);
-- create index "redemption_state_created_at_id" to table: "redemptions"
CREATE INDEX "redemption_state_created_at_id" ON "redemptions" ("state", "created_at", "id");
-- create index "redemptions_public_id_key" to table: "redemptions"
CREATE UNIQUE INDEX "redemptions_public_id_key" ON "redemptions" ("public_id");
-- create "links" table
CREATE TABLE "links" (
  "id" uuid NOT NULL,
  "public_id" character varying NOT NULL,
  "code" character varying NOT NULL,
  "realm" character varying NOT NULL,
  "state" character varying NOT NULL DEFAULT 'pending',
  "sealed_state" bytea NULL,
  "account_id" character varying NULL,
  "account_name" character varying NULL,
  "account_email" character varying NULL,
  "authorize_url" character varying NOT NULL DEFAULT '',
  "user_code" character varying NULL,
  "poll_after_ms" bigint NOT NULL DEFAULT 0,
  "expires_at" timestamptz NOT NULL,
  "client_address" character varying NOT NULL DEFAULT '',
  "attempted_at" timestamptz NULL,
  "ended_at" timestamptz NULL,
  "error_code" character varying NULL,
  "error_message" character varying NULL,
  "error_detail" character varying NULL,
  "error_retryable" boolean NOT NULL DEFAULT false,
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "invitation_id" uuid NULL,
  "server_id" uuid NULL,
  "claimed_by" uuid NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "links_invitations_links" FOREIGN KEY ("invitation_id") REFERENCES "invitations" ("id") ON UPDATE NO ACTION ON DELETE SET NULL,
  CONSTRAINT "links_media_servers_links" FOREIGN KEY ("server_id") REFERENCES "media_servers" ("id") ON UPDATE NO ACTION ON DELETE SET NULL,
  CONSTRAINT "links_redemptions_links" FOREIGN KEY ("claimed_by") REFERENCES "redemptions" ("id") ON UPDATE NO ACTION ON DELETE SET NULL,
  CONSTRAINT "links_poll_after_ms_b42f97fc" CHECK (poll_after_ms >= 0),
  CONSTRAINT "links_state_3f4d021f" CHECK ((state)::text = ANY ((ARRAY['approved'::character varying, 'claimed'::character varying, 'consumed'::character varying, 'denied'::character varying, 'expired'::character varying, 'failed'::character varying, 'pending'::character varying])::text[]))
);
-- create index "link_claimed_by" to table: "links"
CREATE INDEX "link_claimed_by" ON "links" ("claimed_by");
-- create index "link_expires_at" to table: "links"
CREATE INDEX "link_expires_at" ON "links" ("expires_at") WHERE (ended_at IS NULL);
-- create index "link_invitation_id" to table: "links"
CREATE INDEX "link_invitation_id" ON "links" ("invitation_id");
-- create index "link_server_id" to table: "links"
CREATE INDEX "link_server_id" ON "links" ("server_id");
-- create index "links_public_id_key" to table: "links"
CREATE UNIQUE INDEX "links_public_id_key" ON "links" ("public_id");
-- create "profile_servers" table
CREATE TABLE "profile_servers" (
  "id" uuid NOT NULL,
  "library_access" character varying NOT NULL,
  "permissions" jsonb NOT NULL,
  "limits" jsonb NOT NULL,
  "options" jsonb NOT NULL,
  "position" bigint NOT NULL DEFAULT 0,
  "server_id" uuid NOT NULL,
  "profile_id" uuid NOT NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "profile_servers_media_servers_profile_servers" FOREIGN KEY ("server_id") REFERENCES "media_servers" ("id") ON UPDATE NO ACTION ON DELETE CASCADE,
  CONSTRAINT "profile_servers_profiles_servers" FOREIGN KEY ("profile_id") REFERENCES "profiles" ("id") ON UPDATE NO ACTION ON DELETE CASCADE,
  CONSTRAINT "profile_servers_library_access_b1954f88" CHECK ((library_access)::text = ANY ((ARRAY['all'::character varying, 'none'::character varying, 'only'::character varying])::text[]))
);
-- create index "profileserver_profile_id_server_id" to table: "profile_servers"
CREATE UNIQUE INDEX "profileserver_profile_id_server_id" ON "profile_servers" ("profile_id", "server_id");
-- create index "profileserver_server_id" to table: "profile_servers"
CREATE INDEX "profileserver_server_id" ON "profile_servers" ("server_id");
-- create "profile_libraries" table
CREATE TABLE "profile_libraries" (
  "id" uuid NOT NULL,
  "library_id" uuid NOT NULL,
  "profile_server_id" uuid NOT NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "profile_libraries_libraries_profile_libraries" FOREIGN KEY ("library_id") REFERENCES "libraries" ("id") ON UPDATE NO ACTION ON DELETE CASCADE,
  CONSTRAINT "profile_libraries_profile_servers_libraries" FOREIGN KEY ("profile_server_id") REFERENCES "profile_servers" ("id") ON UPDATE NO ACTION ON DELETE CASCADE
);
-- create index "profilelibrary_library_id" to table: "profile_libraries"
CREATE INDEX "profilelibrary_library_id" ON "profile_libraries" ("library_id");
-- create index "profilelibrary_profile_server_id_library_id" to table: "profile_libraries"
CREATE UNIQUE INDEX "profilelibrary_profile_server_id_library_id" ON "profile_libraries" ("profile_server_id", "library_id");
-- create "users" table
CREATE TABLE "users" (
  "id" uuid NOT NULL,
  "external_id" character varying NOT NULL,
  "username" character varying NOT NULL,
  "username_folded" character varying NOT NULL,
  "email" character varying NULL,
  "kind" character varying NOT NULL DEFAULT 'user',
  "protected" boolean NOT NULL DEFAULT false,
  "enabled" boolean NOT NULL DEFAULT true,
  "status" character varying NOT NULL DEFAULT 'unknown',
  "expires_at" timestamptz NULL,
  "on_expiry" character varying NOT NULL DEFAULT 'disable',
  "library_access" character varying NULL,
  "libraries" jsonb NULL,
  "permissions" jsonb NULL,
  "limits" jsonb NULL,
  "options" jsonb NULL,
  "access_read_at" timestamptz NULL,
  "plugin_state" bytea NULL,
  "origin" character varying NOT NULL,
  "last_active_at" timestamptz NULL,
  "last_seen_at" timestamptz NULL,
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "identity_id" uuid NOT NULL,
  "invitation_id" uuid NULL,
  "server_id" uuid NOT NULL,
  "redemption_id" uuid NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "users_identities_users" FOREIGN KEY ("identity_id") REFERENCES "identities" ("id") ON UPDATE NO ACTION ON DELETE CASCADE,
  CONSTRAINT "users_invitations_users" FOREIGN KEY ("invitation_id") REFERENCES "invitations" ("id") ON UPDATE NO ACTION ON DELETE SET NULL,
  CONSTRAINT "users_media_servers_users" FOREIGN KEY ("server_id") REFERENCES "media_servers" ("id") ON UPDATE NO ACTION ON DELETE CASCADE,
  CONSTRAINT "users_redemptions_users" FOREIGN KEY ("redemption_id") REFERENCES "redemptions" ("id") ON UPDATE NO ACTION ON DELETE SET NULL,
  CONSTRAINT "users_library_access_b1954f88" CHECK ((library_access)::text = ANY ((ARRAY['all'::character varying, 'none'::character varying, 'only'::character varying])::text[])),
  CONSTRAINT "users_on_expiry_4748dd58" CHECK ((on_expiry)::text = ANY ((ARRAY['delete'::character varying, 'disable'::character varying])::text[])),
  CONSTRAINT "users_origin_955963be" CHECK ((origin)::text = ANY ((ARRAY['import'::character varying, 'manual'::character varying, 'redemption'::character varying])::text[])),
  CONSTRAINT "users_status_e9acafba" CHECK ((status)::text = ANY ((ARRAY['active'::character varying, 'missing'::character varying, 'pending'::character varying, 'suspended'::character varying, 'unknown'::character varying])::text[]))
);
-- create index "user_created_at_id" to table: "users"
CREATE INDEX "user_created_at_id" ON "users" ("created_at", "id");
-- create index "user_enabled_created_at_id" to table: "users"
CREATE INDEX "user_enabled_created_at_id" ON "users" ("enabled", "created_at", "id");
-- create index "user_expires_at_id" to table: "users"
CREATE INDEX "user_expires_at_id" ON "users" ("expires_at", "id");
-- create index "user_identity_id_created_at_id" to table: "users"
CREATE INDEX "user_identity_id_created_at_id" ON "users" ("identity_id", "created_at", "id");
-- create index "user_identity_id_server_id" to table: "users"
CREATE INDEX "user_identity_id_server_id" ON "users" ("identity_id", "server_id");
-- create index "user_invitation_id_created_at_id" to table: "users"
CREATE INDEX "user_invitation_id_created_at_id" ON "users" ("invitation_id", "created_at", "id");
-- create index "user_on_expiry_status_expires_at" to table: "users"
CREATE INDEX "user_on_expiry_status_expires_at" ON "users" ("on_expiry", "status", "expires_at");
-- create index "user_origin_created_at_id" to table: "users"
CREATE INDEX "user_origin_created_at_id" ON "users" ("origin", "created_at", "id");
-- create index "user_redemption_id" to table: "users"
CREATE INDEX "user_redemption_id" ON "users" ("redemption_id");
-- create index "user_server_id_created_at_id" to table: "users"
CREATE INDEX "user_server_id_created_at_id" ON "users" ("server_id", "created_at", "id");
-- create index "user_server_id_external_id" to table: "users"
CREATE UNIQUE INDEX "user_server_id_external_id" ON "users" ("server_id", "external_id");
-- create index "user_server_id_username_folded" to table: "users"
CREATE INDEX "user_server_id_username_folded" ON "users" ("server_id", "username_folded");
-- create index "user_status_created_at_id" to table: "users"
CREATE INDEX "user_status_created_at_id" ON "users" ("status", "created_at", "id");
-- create index "user_username_id" to table: "users"
CREATE INDEX "user_username_id" ON "users" ("username", "id");
-- create "redemption_steps" table
CREATE TABLE "redemption_steps" (
  "id" uuid NOT NULL,
  "server_name" character varying NOT NULL,
  "server_type" character varying NOT NULL,
  "state" character varying NOT NULL DEFAULT 'pending',
  "operation_id" uuid NOT NULL,
  "deadline_at" timestamptz NULL,
  "username" character varying NOT NULL DEFAULT '',
  "username_folded" character varying NULL,
  "released_at" timestamptz NULL,
  "external_id" character varying NULL,
  "linked_account_id" character varying NULL,
  "absent_before" boolean NULL,
  "library_access" character varying NOT NULL,
  "permissions" jsonb NOT NULL,
  "limits" jsonb NOT NULL,
  "options" jsonb NOT NULL,
  "libraries" jsonb NOT NULL,
  "join_flow" character varying NOT NULL DEFAULT '',
  "noticed" boolean NOT NULL DEFAULT true,
  "position" bigint NOT NULL DEFAULT 0,
  "notice" character varying NULL,
  "attempts" bigint NOT NULL DEFAULT 0,
  "next_attempt_at" timestamptz NULL,
  "error_code" character varying NULL,
  "error_message" character varying NULL,
  "error_detail" character varying NULL,
  "error_retryable" boolean NOT NULL DEFAULT false,
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "link_id" uuid NULL,
  "server_id" uuid NULL,
  "redemption_id" uuid NOT NULL,
  "user_id" uuid NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "redemption_steps_links_steps" FOREIGN KEY ("link_id") REFERENCES "links" ("id") ON UPDATE NO ACTION ON DELETE SET NULL,
  CONSTRAINT "redemption_steps_media_servers_redemption_steps" FOREIGN KEY ("server_id") REFERENCES "media_servers" ("id") ON UPDATE NO ACTION ON DELETE SET NULL,
  CONSTRAINT "redemption_steps_redemptions_steps" FOREIGN KEY ("redemption_id") REFERENCES "redemptions" ("id") ON UPDATE NO ACTION ON DELETE CASCADE,
  CONSTRAINT "redemption_steps_users_redemption_steps" FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON UPDATE NO ACTION ON DELETE SET NULL,
  CONSTRAINT "redemption_steps_attempts_34c54dbe" CHECK (attempts >= 0),
  CONSTRAINT "redemption_steps_library_access_b1954f88" CHECK ((library_access)::text = ANY ((ARRAY['all'::character varying, 'none'::character varying, 'only'::character varying])::text[])),
  CONSTRAINT "redemption_steps_state_ebabaf1a" CHECK ((state)::text = ANY ((ARRAY['creating'::character varying, 'done'::character varying, 'failed'::character varying, 'needs_attention'::character varying, 'pending'::character varying, 'skipped'::character varying, 'undoing'::character varying, 'undone'::character varying])::text[]))
);
-- create index "redemptionstep_link_id" to table: "redemption_steps"
CREATE INDEX "redemptionstep_link_id" ON "redemption_steps" ("link_id");
-- create index "redemptionstep_redemption_id_server_id" to table: "redemption_steps"
CREATE UNIQUE INDEX "redemptionstep_redemption_id_server_id" ON "redemption_steps" ("redemption_id", "server_id");
-- create index "redemptionstep_server_id_created_at_id" to table: "redemption_steps"
CREATE INDEX "redemptionstep_server_id_created_at_id" ON "redemption_steps" ("server_id", "created_at", "id");
-- create index "redemptionstep_server_id_external_id" to table: "redemption_steps"
CREATE INDEX "redemptionstep_server_id_external_id" ON "redemption_steps" ("server_id", "external_id");
-- create index "redemptionstep_server_id_username_folded" to table: "redemption_steps"
CREATE UNIQUE INDEX "redemptionstep_server_id_username_folded" ON "redemption_steps" ("server_id", "username_folded") WHERE (released_at IS NULL);
-- create index "redemptionstep_user_id" to table: "redemption_steps"
CREATE INDEX "redemptionstep_user_id" ON "redemption_steps" ("user_id");
-- create "sync_runs" table
CREATE TABLE "sync_runs" (
  "id" uuid NOT NULL,
  "scope" character varying NOT NULL,
  "state" character varying NOT NULL DEFAULT 'running',
  "dry_run" boolean NOT NULL DEFAULT false,
  "counts" jsonb NOT NULL,
  "started_at" timestamptz NOT NULL,
  "finished_at" timestamptz NULL,
  "error_code" character varying NULL,
  "error_message" character varying NULL,
  "error_detail" character varying NULL,
  "error_retryable" boolean NOT NULL DEFAULT false,
  "server_id" uuid NOT NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "sync_runs_media_servers_sync_runs" FOREIGN KEY ("server_id") REFERENCES "media_servers" ("id") ON UPDATE NO ACTION ON DELETE CASCADE,
  CONSTRAINT "sync_runs_scope_a05e0680" CHECK ((scope)::text = ANY ((ARRAY['libraries'::character varying, 'users'::character varying])::text[])),
  CONSTRAINT "sync_runs_state_704447f0" CHECK ((state)::text = ANY ((ARRAY['completed'::character varying, 'failed'::character varying, 'running'::character varying])::text[]))
);
-- create index "syncrun_server_id_started_at_id" to table: "sync_runs"
CREATE INDEX "syncrun_server_id_started_at_id" ON "sync_runs" ("server_id", "started_at", "id");
-- create index "syncrun_started_at_id" to table: "sync_runs"
CREATE INDEX "syncrun_started_at_id" ON "sync_runs" ("started_at", "id");

-- +goose Down
-- drop "plugin_binaries" table
DROP TABLE "plugin_binaries";
-- drop "instance" table
DROP TABLE "instance";
-- drop "api_keys" table
DROP TABLE "api_keys";
-- drop "leases" table
DROP TABLE "leases";
-- drop "redemption_steps" table
DROP TABLE "redemption_steps";
-- drop "plugin_approvals" table
DROP TABLE "plugin_approvals";
-- drop "links" table
DROP TABLE "links";
-- drop "users" table
DROP TABLE "users";
-- drop "redemptions" table
DROP TABLE "redemptions";
-- drop "identities" table
DROP TABLE "identities";
-- drop "invitation_libraries" table
DROP TABLE "invitation_libraries";
-- drop "invitation_servers" table
DROP TABLE "invitation_servers";
-- drop "invitations" table
DROP TABLE "invitations";
-- drop "profile_libraries" table
DROP TABLE "profile_libraries";
-- drop "libraries" table
DROP TABLE "libraries";
-- drop "profile_servers" table
DROP TABLE "profile_servers";
-- drop "sync_runs" table
DROP TABLE "sync_runs";
-- drop "media_servers" table
DROP TABLE "media_servers";
-- drop "profiles" table
DROP TABLE "profiles";
