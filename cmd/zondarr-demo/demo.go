package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/zondarr/zondarr/host"
	"github.com/zondarr/zondarr/plugins/jellyfin/jellyfintest"
	"github.com/zondarr/zondarr/plugins/plex/plextest"
)

// demo starts the simulated media servers and the host, seeds them, says what to
// do, and serves until ctx ends.
func demo(ctx context.Context, addr string, out io.Writer) (err error) {
	data, err := os.MkdirTemp("", "zondarr-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(data)) }()

	jellyfin := jellyfintest.New(jellyfintest.Config{ServerName: "Demo Jellyfin", Version: "10.11.6"})
	for _, l := range []jellyfintest.Library{{Name: "Films", Type: "movies"}, {Name: "Series", Type: "tvshows"}, {Name: "Music", Type: "music"}} {
		jellyfin.AddLibrary(l)
	}
	if err := jellyfin.Start(); err != nil {
		return fmt.Errorf("start the simulated Jellyfin: %w", err)
	}
	defer jellyfin.Close() //nolint:contextcheck // a test double ends by itself

	cloud, plexToken, err := startPlex() //nolint:contextcheck // a test double lives until it is closed
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cloud.Close()) }()

	p := &product{environ: []string{
		"PATH=" + os.Getenv("PATH"), "ZONDARR_DATA_DIR=" + data, "ZONDARR_ADDR=" + addr, "ZONDARR_LOG_LEVEL=warn",
	}}
	logs, err := os.OpenFile(filepath.Join(data, "zondarr.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, logs.Close()) }()
	if err := p.start(ctx, logs); err != nil {
		return fmt.Errorf("%w\n%s", err, tail(logs.Name()))
	}
	defer func() { err = errors.Join(err, p.stop()) }()

	code, err := p.seedJellyfin(ctx, jellyfin)
	if err != nil {
		return err
	}
	plexCode, err := p.seedPlex(ctx, cloud, plexToken)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, `
Zondarr is serving at %[1]s, with a simulated Jellyfin and a simulated Plex behind it.

Jellyfin, where the invitee chooses a name and a password:
  the join code:     %[2]s
  redeem it:         curl -sS -i %[1]s/api/v1/join/%[2]s -H 'Content-Type: application/json' -d '{"username":"bob","password":"correct horse"}'

Plex, where the account lives at plex.tv:
  the join code:     %[4]s
  begin a sign-in:   curl -sS %[1]s/api/v1/join/%[4]s/links -H 'Content-Type: application/json' -d '{"realm":"plex"}'
                     then open its authorize_url in a browser on this machine and choose alice
  see it approved:   curl -sS %[1]s/api/v1/join/%[4]s/links/LINK_ID
                     with the id of the answer before, until the state is approved; it is asked for every 2 seconds at most
  redeem it:         curl -sS -i %[1]s/api/v1/join/%[4]s -H 'Content-Type: application/json' -d '{"link_ids":["LINK_ID"]}'

  the API, to try:   %[1]s/docs
  an admin's key:    %[3]s

Nothing is kept. Stop with Ctrl-C.

`, p.base, code, p.key, plexCode)
	select {
	case <-ctx.Done():
		return nil
	case err := <-p.ended:
		p.ended <- err
		return fmt.Errorf("the host ended: %w", err)
	}
}

// tail gives the end of the log, for when the host does not start.
func tail(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-2000):])
}

// product is the host, run in this process as its command line runs it.
type product struct {
	environ []string
	base    string
	key     string
	cancel  context.CancelFunc
	ended   chan error
}

// start makes the keys, serves, and waits until the host answers.
func (p *product) start(ctx context.Context, logs io.Writer) error {
	for _, args := range [][]string{{"init"}, {"api-key", "create", "--name", "demo"}} {
		var out, errOut bytes.Buffer
		if code := host.Main(ctx, args, p.environ, host.Stdio{In: strings.NewReader(""), Out: &out, Err: &errOut}); code != 0 {
			return fmt.Errorf("zondarr %s: %s", strings.Join(args, " "), errOut.String())
		}
		p.key = strings.TrimSpace(out.String())
	}
	serving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p.cancel, p.ended = cancel, make(chan error, 1)
	said := make(chan string, 1)
	go func() {
		code := host.Main(serving, []string{"serve"}, p.environ, host.Stdio{In: strings.NewReader(""), Out: &listener{said: said}, Err: logs})
		if code != 0 {
			p.ended <- fmt.Errorf("exit code %d", code)
			return
		}
		p.ended <- nil
	}()
	select {
	case p.base = <-said:
		return nil
	case err := <-p.ended:
		p.ended <- nil
		return fmt.Errorf("the host did not start: %w", err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *product) stop() error {
	p.cancel()
	select {
	case err := <-p.ended:
		return err
	case <-time.After(30 * time.Second):
		return errors.New("the host did not stop")
	}
}

// listener waits for the line in which the host says where it serves.
type listener struct {
	said chan string
	text strings.Builder
}

func (l *listener) Write(b []byte) (int, error) {
	l.text.Write(b)
	if _, after, ok := strings.Cut(l.text.String(), "serving at "); ok && strings.Contains(after, "\n") && l.said != nil {
		address, _, _ := strings.Cut(after, "\n")
		l.said <- address
		l.said = nil
	}
	return len(b), nil
}

func (p *product) seedJellyfin(ctx context.Context, jellyfin *jellyfintest.Server) (string, error) {
	return p.seed(ctx, map[string]any{
		"name": "Living room", "server_type": "jellyfin", "url": jellyfin.URL(), "public_url": jellyfin.URL(),
		"secrets": map[string]string{"api_key": jellyfin.CreateAPIKey("Zondarr")},
	})
}

func (p *product) seedPlex(ctx context.Context, cloud *plextest.Fake, token string) (string, error) {
	return p.seed(ctx, map[string]any{
		"name": "Plex", "server_type": "plex", "url": cloud.Servers()[0].URL(), "secrets": map[string]string{"token": token},
		"settings": map[string]string{"cloud_url": cloud.CloudURL(), "clients_url": cloud.CloudURL(), "app_url": cloud.CloudURL()},
	})
}

// startPlex starts a simulated plex.tv with an owner's server and two people, and
// gives the owner's token.
func startPlex() (*plextest.Fake, string, error) {
	f := plextest.New(plextest.Config{RealTime: true})
	if err := f.Start(); err != nil {
		return nil, "", fmt.Errorf("start the simulated Plex: %w", err)
	}
	var owner plextest.Account
	for _, a := range []plextest.Account{{Username: "alice"}, {Username: "bob"}, {Username: "owner", PlexPass: true}} {
		var err error
		if owner, err = f.AddAccount(a); err != nil {
			return nil, "", errors.Join(err, f.Close())
		}
	}
	_, err := f.AddServer(plextest.ServerSpec{Owner: owner.ID, Name: "Demo Plex", Sections: []plextest.Section{{Title: "Movies", Type: "movie"}, {Title: "Shows", Type: "show"}}})
	if err != nil {
		return nil, "", errors.Join(err, f.Close())
	}
	return f, f.Token(owner.ID, "demo"), nil
}

// seed adds a media server and an invitation for one of its libraries, and gives
// the code.
func (p *product) seed(ctx context.Context, add map[string]any) (string, error) {
	var server struct {
		ID string `json:"id"`
	}
	if err := p.call(ctx, http.MethodPost, "/api/v1/servers", add, &server); err != nil {
		return "", err
	}
	var libraries struct {
		Items []struct {
			ID string `json:"id"`
		} `json:"items"`
	}
	if err := p.call(ctx, http.MethodGet, "/api/v1/servers/"+server.ID+"/libraries", nil, &libraries); err != nil {
		return "", err
	}
	var invitation struct {
		Code string `json:"code"`
	}
	err := p.call(ctx, http.MethodPost, "/api/v1/invitations", map[string]any{
		"label": "Demo", "duration_days": 30, "servers": []any{map[string]any{
			"server_id": server.ID, "libraries": map[string]any{"access": "only", "library_ids": []string{libraries.Items[0].ID}},
		}},
	}, &invitation)
	return invitation.Code, err
}

func (p *product) call(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, p.base+path, &body)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+p.key)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s %s answers %d: %s", method, path, res.StatusCode, answer)
	}
	return json.Unmarshal(answer, out)
}
