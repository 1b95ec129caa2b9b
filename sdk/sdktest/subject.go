package sdktest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdkplugin"
)

// Client has every interface of the contract. What a plugin does not declare fails with
// ReasonUnsupported.
type Client interface {
	sdk.MediaClient
	sdk.UserReader
	sdk.Provisioner
	sdk.Suspender
	sdk.AccessSetter
	sdk.PermissionSetter
	sdk.PasswordSetter
	sdk.PasswordVerifier
	sdk.SessionReader
	sdk.AccountLinker
}

// Mode is how a plugin is reached.
type Mode string

// The modes.
const (
	InProcess Mode = "in process"
	OverGRPC  Mode = "over gRPC"
	Binary    Mode = "as a program"
)

// Subject is a plugin under test.
type Subject struct {
	// Mode is how it is reached.
	Mode Mode
	// Description is what it declares.
	Description sdk.Description

	plugin  sdk.Plugin        // nil for a program
	remote  *sdkplugin.Remote // nil in process
	program *program          // nil but for a program
	json    []byte            // the first declaration
	target  *Target           // nil without tier 2
	fixture *Fixture          // nil without tier 3
	tb      testing.TB        // nil without tier 3
	quick   bool              // fewer repetitions

	logs locked // what the plugin logged

	mu       sync.Mutex
	texts    []string // what failures said
	canaries []canary
	opened   map[string]*directClient // in process, by server id and revision
	nextName int
	run      string // part of every name that this run makes up
}

// locked is a buffer that many may write to. It keeps the first maxKept bytes: a plugin
// that floods fails the checks, and not the machine.
type locked struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf.Write(p[:min(len(p), maxKept-l.buf.Len())])
	return len(p), nil
}

const maxKept = 32 << 20

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func newSubject(mode Mode) *Subject {
	return &Subject{Mode: mode, opened: map[string]*directClient{}, run: strings.ToLower(rand.Text()[:6])}
}

// Client gives a client of a media server.
func (s *Subject) Client(ref sdk.ServerRef) Client {
	if s.remote != nil {
		return s.remote.Client(ref)
	}
	key := fmt.Sprintf("%s#%d", ref.ID, ref.Revision)
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.opened[key]
	if d == nil || ref.ID == "" {
		d = s.open(ref)
		if ref.ID != "" {
			s.opened[key] = d
		}
	}
	return d
}

func (s *Subject) open(ref sdk.ServerRef) *directClient {
	web, free, err := sdkplugin.NewHTTPClient(ref, "")
	if err != nil {
		return &directClient{err: err}
	}
	req := sdk.OpenRequest{Server: ref, HTTP: web, Logger: slog.New(slog.NewJSONHandler(&s.logs, nil))}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := s.plugin.Open(ctx, req)
	return &directClient{client: c, err: err, free: free, unsaved: ref.ID == ""}
}

// close closes what was opened in process.
func (s *Subject) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, d := range s.opened {
		d.shut()
		delete(s.opened, key)
	}
}

// heard keeps what a failure says, to look for secrets in it.
func (s *Subject) heard(err error) {
	if err == nil {
		return
	}
	texts := []string{err.Error()}
	if e, ok := errors.AsType[*sdk.Error](err); ok {
		texts = append(texts, e.Message)
		for _, f := range e.Fields {
			texts = append(texts, f.Field, f.Code, f.Message)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.texts = append(s.texts, texts...)
}

// canary gives a secret that must not be seen again.
func (s *Subject) canary(kind string) string {
	c := "canary-" + kind + "-" + strings.ToLower(rand.Text()[:12])
	s.mu.Lock()
	defer s.mu.Unlock()
	s.canaries = append(s.canaries, canary{c, kind})
	return c
}

// canary is a made-up secret and what it stands for.
type canary struct{ text, kind string }

// name makes up a username.
func (s *Subject) name() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nextName++
	return fmt.Sprintf("zt%s%d", s.run, s.nextName)
}

// has says whether the plugin declares a capability.
func (s *Subject) has(c sdk.Capability) bool { return c == "" || s.Description.Has(c) }

// needs gives NotApplicable unless the plugin declares all of them.
func (s *Subject) needs(caps ...sdk.Capability) error {
	for _, c := range caps {
		if !s.has(c) {
			return NotApplicable("the plugin does not declare %s", c)
		}
	}
	return nil
}

// needsHere is needs for one media server, which may have less than its type.
func (s *Subject) needsHere(ctx context.Context, c Client, caps ...sdk.Capability) error {
	if err := s.needs(caps...); err != nil {
		return err
	}
	tested, err := c.TestConnection(ctx, sdk.TestConnectionRequest{})
	if err != nil {
		return fmt.Errorf("TestConnection: %w", err)
	}
	for _, want := range caps {
		if !slices.Contains(tested.Facts.Capabilities, want) {
			return NotApplicable("this server does not have %s", want)
		}
	}
	return nil
}
