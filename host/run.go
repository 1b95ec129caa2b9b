package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/host/internal/api"
	"github.com/zondarr/zondarr/host/internal/auth"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/identity"
	"github.com/zondarr/zondarr/host/internal/instance"
	"github.com/zondarr/zondarr/host/internal/invitation"
	"github.com/zondarr/zondarr/host/internal/job"
	"github.com/zondarr/zondarr/host/internal/mediaserver"
	"github.com/zondarr/zondarr/host/internal/pluginhost"
	"github.com/zondarr/zondarr/host/internal/redeem"
	"github.com/zondarr/zondarr/host/internal/registry"
	"github.com/zondarr/zondarr/host/internal/secret"
)

// options are what a run is given beside the settings.
type options struct {
	// installation is the directory of the plugins that ship with Zondarr.
	installation string
	// paused starts without touching a media server.
	paused bool
	log    *slog.Logger
	// ready is told the address once the host serves.
	ready func(addr net.Addr)
}

// run serves until ctx ends, then stops in order: no new requests, those in
// flight finish, redemptions in hand finish, plugins, database. The parts are
// put together here and nowhere else.
func run(ctx context.Context, c Config, o options) (err error) {
	log := o.log
	box, err := secret.New(c.SecretKey, c.SecretKeyPrev)
	if err != nil {
		return err
	}
	if err := makeDataDir(c); err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", c.Addr, err)
	}
	defer func() { _ = listener.Close() }() // closed already, when the server ran

	db, err := database.Open(ctx, database.Options{URL: c.DatabaseURL, Key: box.KeyID(), Logger: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := instance.CheckKey(ctx, db, box); err != nil {
		return err
	}
	installationID, err := instance.ID(ctx, db)
	if err != nil {
		return err
	}

	clients := registry.New()
	pause := &job.Pause{DB: db}
	if o.paused {
		if err := pause.Set(ctx, "started with --paused"); err != nil {
			return err
		}
	}
	servers := &mediaserver.Service{DB: db, Registry: clients, Box: box, InstallationID: installationID, Now: database.Now}
	invitations := &invitation.Service{DB: db, Types: clients, Now: database.Now}
	identities := &identity.Service{DB: db, Servers: servers, Clients: clients, Box: box, Pause: pause, Log: log, Now: database.Now}
	owner := uuid.NewString()
	redemptions := &redeem.Service{
		DB: db, Invitations: invitations, Identities: identities, Servers: servers, Clients: clients, Box: box, Pause: pause,
		Policy: redeem.DefaultPolicy(), Owner: owner, BaseURL: c.BaseURL, Log: log, Now: database.Now,
	}
	plugins := pluginhost.New(pluginhost.Config{
		InstallationDir: o.installation, Dirs: c.PluginDirs, DataDir: c.DataDir, RunDir: c.RunDir, DB: db, Registry: clients,
		Logger: log, Policy: pluginhost.DefaultPolicy(), StoredServers: servers.Refs,
	})
	counted := newMetrics(plugins.List)
	var allStarted atomic.Bool
	edge := &api.API{
		Keys: &auth.Service{DB: db, Log: log, Now: database.Now}, Servers: servers, Invitations: invitations, Redemptions: redemptions,
		Identities: identities, Registry: clients, Plugins: plugins, Pause: pause, Database: db, Version: Version(), BaseURL: c.BaseURL,
		TrustedProxies: c.TrustedProxies, Limits: api.Limits(c.JoinRate), Logger: log, Now: database.Now,
		Observe: counted.observe, Started: allStarted.Load,
	}
	server := &http.Server{
		Handler:           edge.Handler(), //nolint:contextcheck // each request has a context of its own
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      3 * time.Minute, // a test of a slow media server is waited for
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}

	if c.MetricsAddr != "" {
		scraped, err := counted.serve(ctx, c.MetricsAddr)
		if err != nil {
			return fmt.Errorf("listen on %s for metrics: %w", c.MetricsAddr, err)
		}
		defer func() { _ = scraped.Close() }() // a scrape that is cut off costs one sample
	}
	// Served first: a plugin that is slow to start must not keep the health checks
	// waiting, nor the admin who would disable it.
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	if err := plugins.Start(ctx); err != nil {
		return errors.Join(err, server.Close())
	}
	redemptions.Start(ctx)
	server.RegisterOnShutdown(redemptions.Hurry)
	jobs, endJobs := context.WithCancel(context.WithoutCancel(ctx))
	jobsEnded := make(chan struct{})
	go func() {
		defer close(jobsEnded)
		runner := &job.Runner{DB: db, Owner: owner, LeaseFor: time.Minute, Log: log}
		runner.Run(jobs, job.Periodic{Name: "expiry", Every: 30 * time.Second, Leased: true, Run: identities.Expire})
	}()
	allStarted.Store(true)
	log.InfoContext(ctx, "serving", "addr", listener.Addr().String(), "version", Version())
	o.ready(listener.Addr())

	select {
	case err = <-served:
	case <-ctx.Done():
		log.Info("stopping")
	}
	// Every part gets what is left of one budget, in the order of the stop.
	budget, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.StopTimeout)
	defer cancel()
	if stopErr := server.Shutdown(budget); stopErr != nil {
		log.Warn("requests were cut off", "error", errors.Join(stopErr, server.Close()))
	}
	endJobs()
	select {
	case <-jobsEnded:
	case <-budget.Done(): // a dead connection to the database may outlast its context
		log.Warn("a job was cut off")
	}
	redemptions.Stop(budget)
	err = errors.Join(err, plugins.Stop(budget))
	log.Info("stopped")
	return err
}

// makeDataDir makes the data directory, readable by its owner alone.
func makeDataDir(c Config) error {
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	return nil
}

// installationDir is where the plugins that ship with Zondarr are: beside the
// binary, links followed.
func installationDir() (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find the installation: %w", err)
	}
	if exe, err = filepath.EvalSymlinks(exe); err != nil {
		return "", fmt.Errorf("find the installation: %w", err)
	}
	return filepath.Join(filepath.Dir(exe), "plugins"), nil
}

// welcome says in plain words what to do next.
func welcome(w io.Writer, c Config, addr net.Addr, flags string) {
	base := c.BaseURL
	if base == "" {
		base = "http://" + strings.Replace(addr.String(), "[::]", "localhost", 1)
	}
	fmt.Fprintf(w, "\nZondarr is serving at %s\n  the API, to read and try:  %s/docs\n", base, base)
	fmt.Fprintf(w, "  in another terminal, once: %s api-key create --name me%s\n"+
		"                             then add a media server and an invitation, as the README shows\n  stop with Ctrl-C\n\n", os.Args[0], flags)
}
