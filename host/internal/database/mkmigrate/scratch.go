package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/google/uuid"
	"github.com/lib/pq"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// scratchSQLite is an empty database in memory: one connection, or it would be several.
// ent insists on foreign keys; without rows they cannot cascade.
func scratchSQLite(context.Context) (*sql.DB, error) {
	scratch, err := sql.Open("sqlite", "file::memory:?_pragma=foreign_keys(1)")
	if err != nil {
		return nil, err
	}
	scratch.SetMaxOpenConns(1)
	return scratch, nil
}

// scratchPostgres makes an empty database on the server; closing the handle drops it.
func scratchPostgres(serverURL string) func(context.Context) (*sql.DB, error) {
	return func(ctx context.Context) (*sql.DB, error) {
		u, err := url.Parse(serverURL)
		if err != nil {
			return nil, err
		}
		name := "scratch_" + strings.ReplaceAll(uuid.NewString(), "-", "")
		if err := execOn(ctx, serverURL, "CREATE DATABASE "+name); err != nil {
			return nil, err
		}
		u.Path = "/" + name
		c, err := pq.NewConnector(u.String())
		if err != nil {
			return nil, err
		}
		return sql.OpenDB(dropping{c, func() error {
			return execOn(context.WithoutCancel(ctx), serverURL, "DROP DATABASE "+name+" WITH (FORCE)")
		}}), nil
	}
}

// dropping is a connector whose closing removes what it connected to.
type dropping struct {
	driver.Connector
	drop func() error
}

func (d dropping) Close() error { return d.drop() }

func execOn(ctx context.Context, serverURL, statement string) error {
	server, err := sql.Open("postgres", serverURL)
	if err != nil {
		return err
	}
	if _, err := server.ExecContext(ctx, statement); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", statement, err), server.Close())
	}
	return server.Close()
}
