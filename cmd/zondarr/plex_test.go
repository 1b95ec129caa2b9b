package main

import (
	"bytes"
	"context"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/zondarr/zondarr/plugins/plex/plextest"
)

// plex starts a simulated plex.tv with an owner, the people alice, bob and carol
// (whose e-mail address is not verified), and two servers, Home and Second. It
// sets PLEX_URL, PLEX2_URL, PLEX_TOKEN and PLEX_SETTINGS.
func (w *world) startPlex(ts *testscript.TestScript, _ bool, _ []string) error {
	f := plextest.New(plextest.Config{RealTime: true})
	w.plex = f
	if err := f.Start(); err != nil {
		return err
	}
	owner, err := f.AddAccount(plextest.Account{Username: "owner", PlexPass: true})
	if err != nil {
		return err
	}
	for _, name := range []string{"alice", "bob", "carol"} {
		if _, err := f.AddAccount(plextest.Account{Username: name, Unconfirmed: name == "carol"}); err != nil {
			return err
		}
	}
	for i, spec := range []plextest.ServerSpec{
		{Owner: owner.ID, Name: "Home", Sections: []plextest.Section{{Title: "Movies", Type: "movie"}, {Title: "Shows", Type: "show"}}},
		{Owner: owner.ID, Name: "Second", Sections: []plextest.Section{{Title: "Films", Type: "movie"}}},
	} {
		s, err := f.AddServer(spec)
		if err != nil {
			return err
		}
		ts.Setenv([]string{"PLEX_URL", "PLEX2_URL"}[i], s.URL())
	}
	// The host does not say which port its metrics got, so one that is free is given.
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if err := free.Close(); err != nil {
		return err
	}
	w.host.env = append(w.host.env, metricsAddr+free.Addr().String())
	ts.Setenv("PLEX_TOKEN", f.Token(owner.ID, "owner-device"))
	ts.Setenv("PLEX_SETTINGS", fmt.Sprintf(`{"cloud_url":%q,"clients_url":%q,"app_url":%q}`, f.CloudURL(), f.CloudURL(), f.CloudURL()))
	return nil
}

const metricsAddr = "ZONDARR_METRICS_ADDR="

// approve ACCOUNT: the person signs in at Plex for the oldest pin that waits.
//
// approve ACCOUNT AUTHORIZE_URL: the same in a browser.
func (w *world) approve(_ *testscript.TestScript, _ bool, args []string) error {
	if len(args) > 1 {
		return signInAtPlex(args[1], args[0])
	}
	account, ok := w.plex.Account(args[0])
	if !ok {
		return fmt.Errorf("no account %s", args[0])
	}
	pins := w.plex.Pins()
	if len(pins) == 0 {
		return fmt.Errorf("no pin waits")
	}
	return w.plex.Approve(pins[0], account.ID)
}

var (
	hiddenField = regexp.MustCompile(`type="hidden" name="(\w+)" value="([^"]*)"`)
	oneAccount  = regexp.MustCompile(`name="account" value="(\d+)"[^>]*> (\w+) \(`)
)

// signInAtPlex does what a browser and its person do at an authorize URL: the
// script of the page moves what stands behind the # into the query, the person
// picks an account and allows.
func signInAtPlex(authorizeURL, username string) error {
	page, given, ok := strings.Cut(authorizeURL, "#?")
	if !ok {
		return fmt.Errorf("%s carries nothing behind a #", authorizeURL)
	}
	browser := &http.Client{Timeout: 10 * time.Second}
	res, err := browser.Get(page + "?" + given)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	form := url.Values{"decision": {"approve"}}
	for _, field := range hiddenField.FindAllStringSubmatch(string(text), -1) {
		form.Set(field[1], html.UnescapeString(field[2]))
	}
	for _, account := range oneAccount.FindAllStringSubmatch(string(text), -1) {
		if account[2] == username {
			form.Set("account", account[1])
		}
	}
	done, err := browser.PostForm(page, form)
	if err != nil {
		return err
	}
	defer done.Body.Close()
	if done.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("the form is answered with %s", done.Status)
	}
	return nil
}

// verify ACCOUNT: the person verifies the e-mail address.
func (w *world) verify(_ *testscript.TestScript, _ bool, args []string) error {
	account, ok := w.plex.Account(args[0])
	if !ok || !w.plex.Edit(account.ID, func(a *plextest.Account) { a.Unconfirmed = false }) {
		return fmt.Errorf("no account %s", args[0])
	}
	return nil
}

// [!] share SERVER ACCOUNT [SECTION…]: the account sees exactly these.
func (w *world) share(_ *testscript.TestScript, neg bool, args []string) error {
	account, ok := w.plex.Account(args[1])
	if !ok {
		return fmt.Errorf("no account %s", args[1])
	}
	for _, s := range w.plex.Servers() {
		if s.Spec().Name != args[0] {
			continue
		}
		titles, has := w.plex.Access(s.ID(), account.ID)
		switch {
		case neg && has:
			return fmt.Errorf("%s sees %q on %s, and should see nothing", args[1], titles, args[0])
		case !neg && (!has || !slices.Equal(slices.Sorted(slices.Values(titles)), slices.Sorted(slices.Values(args[2:])))):
			return fmt.Errorf("%s sees %q on %s (%v), want %q", args[1], titles, args[0], has, args[2:])
		}
		return nil
	}
	return fmt.Errorf("no server %s", args[0])
}

// plexfault KIND METHOD PATH [TIMES [FROM]] | clear
func (w *world) plexFault(_ *testscript.TestScript, _ bool, args []string) error {
	if args[0] == "clear" {
		w.plex.ClearFaults()
		return nil
	}
	f := plextest.Fault{Kind: plextest.FaultKind(args[0]), Method: args[1], Path: args[2]}
	for i, into := range []*int{&f.Times, &f.From} {
		if len(args) <= 3+i {
			break
		}
		n, err := strconv.Atoi(args[3+i])
		if err != nil {
			return err
		}
		*into = n
	}
	w.plex.AddFault(f)
	return nil
}

// noplexsecrets: no token of anybody is in the log, in the last answer, in what an
// admin can list, in a metric, or in the data directory. The owner's is sealed
// there.
func (w *world) noPlexSecrets(ts *testscript.TestScript, _ bool, _ []string) error {
	// The code of a pin stands in the address that the browser is sent to: it is
	// told to the invitee, and opens nothing without the pin's id.
	secrets := slices.DeleteFunc(w.plex.Secrets(), func(s string) bool { return strings.Contains(w.authorizeURLs, s) })
	if len(secrets) == 0 {
		return fmt.Errorf("there are no secrets to look for")
	}
	look := map[string][]byte{"the log": []byte(w.host.logs.String()), "the last answer": w.answer}
	for _, path := range []string{"servers", "users", "identities", "invitations", "redemptions", "plugins"} {
		status, answer, err := w.host.call(context.Background(), "GET", "/api/v1/"+path, "")
		if err != nil || status != http.StatusOK {
			return fmt.Errorf("%s answers %d (%w)", path, status, err)
		}
		look[path] = answer
	}
	metrics, err := w.metrics()
	if err != nil {
		return err
	}
	look["a metric"] = metrics
	err = filepath.WalkDir(w.host.data, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.Contains(path, "plugin") {
			return err
		}
		look[path], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		return err
	}
	for where, text := range look {
		for _, s := range secrets {
			if bytes.Contains(text, []byte(s)) {
				return fmt.Errorf("%s holds a token", where)
			}
		}
	}
	return nil
}

// metrics gives what a scraper reads.
func (w *world) metrics() ([]byte, error) {
	i := slices.IndexFunc(w.host.env, func(v string) bool { return strings.HasPrefix(v, metricsAddr) })
	res, err := http.Get("http://" + strings.TrimPrefix(w.host.env[i], metricsAddr) + "/metrics")
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && !bytes.Contains(text, []byte("zondarr_")) {
		err = fmt.Errorf("these are no metrics of the host: %.200s", text)
	}
	return text, err
}

// signedout ACCOUNT: within 10 s the account has no live token.
func (w *world) signedOut(_ *testscript.TestScript, _ bool, args []string) error {
	account, ok := w.plex.Account(args[0])
	if !ok {
		return fmt.Errorf("no account %s", args[0])
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		live := 0
		for _, t := range w.plex.Tokens() {
			if t.Account == account.ID && !t.Revoked {
				live++
			}
		}
		if live == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s still has %d live tokens", args[0], live)
		}
	}
}
