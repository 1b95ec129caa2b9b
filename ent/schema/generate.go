package schema

//go:generate go tool ent generate --target ../db --feature sql/versioned-migration,sql/upsert,sql/modifier,sql/lock,sql/execquery,intercept .
