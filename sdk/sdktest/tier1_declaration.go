package sdktest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdkplugin"
)

// declarationChecks are about what a plugin says of itself.
func declarationChecks() []Check {
	return []Check{
		{
			Tier: 1, Name: "describes itself the same way each time",
			Why: "The host keeps the description by the file's hash and draws forms from it while the plugin is down.",
			Run: checkDescribeTwice,
		},
		{
			Tier: 1, Name: "refuses what it does not declare",
			Why: "An undeclared call that does something is a capability that no admin has seen; UNIMPLEMENTED is how the host tells it from a failure.",
			Run: checkUndeclared,
		},
		{
			Tier: 1, Name: "answers what it declares",
			Why: "The host offers every declared capability to admins; one that is not there fails when somebody needs it.",
			Run: checkDeclared,
		},
		{
			Tier: 1, Name: "opens a server without asking it",
			Why: "Opening happens under a lock that other calls wait for, and a server that is down must not make its neighbours wait.",
			Run: checkOpenIsLocal,
		},
		{
			Tier: 1, Name: "prints nothing on standard output",
			Why: "Standard output carries the handshake; a stray line there, on another machine or another day, keeps the plugin from starting.",
			Run: checkStdout,
		},
	}
}

func checkDescribeTwice(ctx context.Context, s *Subject) error {
	if s.remote == nil {
		again := s.plugin.Describe()
		if !reflect.DeepEqual(s.plugin.Describe(), again) {
			return errors.New("Describe gives another description the second time")
		}
		return nil
	}
	again, err := s.describe(ctx)
	if err != nil {
		return err
	}
	if !bytes.Equal(again.JSON, s.json) {
		return fmt.Errorf("the description changed from one call to the next: %s", difference(s.json, again.JSON))
	}
	p, err := s.another()
	if _, no := errors.AsType[notApplicable](err); no {
		return nil
	}
	if err != nil {
		return err
	}
	defer p.stop()
	restarted, err := p.remote.Describe(ctx)
	if err != nil {
		return err
	}
	if !bytes.Equal(restarted.JSON, s.json) {
		return fmt.Errorf("the description changed from one start to the next: %s", difference(s.json, restarted.JSON))
	}
	return nil
}

// describe asks within the time that the host gives.
func (s *Subject) describe(ctx context.Context) (sdkplugin.Declaration, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return s.remote.Describe(ctx)
}

// difference shows where two texts part.
func difference(a, b []byte) string {
	at := 0
	for at < min(len(a), len(b)) && a[at] == b[at] {
		at++
	}
	show := func(t []byte) string { return string(t[max(0, at-20):min(len(t), at+30)]) }
	return fmt.Sprintf("…%s… and …%s…", show(a), show(b))
}

func checkUndeclared(ctx context.Context, s *Subject) error {
	listener, err := newFault(kindStatus(500))
	if err != nil {
		return err
	}
	defer listener.close()
	c := s.Client(s.refAt("undeclared", listener.url))
	var wrong []error
	tried := 0
	for _, v := range verbs() {
		if s.declares(v) {
			continue
		}
		tried++
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := v.call(ctx, c, s.aProbe())
		cancel()
		s.heard(err)
		if err == nil {
			wrong = append(wrong, fmt.Errorf("%s is not declared and succeeds", v.op))
		} else if sdk.ReasonOf(err) != sdk.ReasonUnsupported {
			wrong = append(wrong, fmt.Errorf("%s is not declared and fails with %q, want %q", v.op, sdk.ReasonOf(err), sdk.ReasonUnsupported))
		}
	}
	if tried == 0 {
		return NotApplicable("the plugin declares everything")
	}
	if n := listener.reached(); n > 0 {
		wrong = append(wrong, fmt.Errorf("undeclared calls reached the media server %d times", n))
	}
	return errors.Join(wrong...)
}

func checkDeclared(ctx context.Context, s *Subject) error {
	listener, err := newFault(kindStatus(500))
	if err != nil {
		return err
	}
	defer listener.close()
	c := s.Client(s.refAt("declared", listener.url))
	var wrong []error
	for _, v := range verbs() {
		if !s.declares(v) {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := v.call(ctx, c, s.aProbe())
		cancel()
		s.heard(err)
		if sdk.ReasonOf(err) == sdk.ReasonUnsupported {
			wrong = append(wrong, fmt.Errorf("%s is declared and unsupported", v.op))
		}
	}
	return errors.Join(wrong...)
}

// noNetwork fails every request, and remembers that there was one.
type noNetwork struct{ asked bool }

// RoundTrip fails.
func (n *noNetwork) RoundTrip(*http.Request) (*http.Response, error) {
	n.asked = true
	return nil, sdk.Errorf(sdk.ReasonUnavailable, "there is no network here")
}

func checkOpenIsLocal(ctx context.Context, s *Subject) error {
	if s.plugin == nil {
		// A program cannot be watched opening; one that asks is seen by how long it
		// takes to fail on a server that never answers, which the faults check.
		return NotApplicable("it can be seen in process only")
	}
	net := &noNetwork{}
	ref := s.refAt("local", "http://127.0.0.1:9")
	req := openRequest(ref)
	req.HTTP = &http.Client{Transport: net}
	c, err := s.plugin.Open(ctx, req)
	s.heard(err)
	if err != nil {
		return fmt.Errorf("Open fails with settings that fit the schema: %w", err)
	}
	defer func() { _ = c.Close() }() // what is of interest came before
	if net.asked {
		return errors.New("Open makes a request")
	}
	if got, want := reflect.TypeOf(c), reflect.TypeOf(s.Description.Client); got != want {
		return fmt.Errorf("Open gives a %v, but Describe declares a %v", got, want)
	}
	return nil
}

func checkStdout(_ context.Context, s *Subject) error {
	if s.program == nil {
		return NotApplicable("it runs in this process")
	}
	if out := s.program.stdout(); out != "" {
		return fmt.Errorf("it printed %q", firstLine(out))
	}
	return nil
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	if len(line) > 200 {
		line = line[:200] + "…"
	}
	return line
}

var _ io.Writer = (*locked)(nil)
