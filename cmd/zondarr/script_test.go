package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/zondarr/zondarr/plugins/jellyfin/jellyfintest"
	"github.com/zondarr/zondarr/plugins/plex/plextest"
)

// TestScript runs the whole program, with real processes and simulated media
// servers. The commands of the scripts are the methods of world.
func TestScript(t *testing.T) {
	t.Parallel()
	p := params("")
	p.Dir = scripts
	testscript.Run(t, p)
}

// TestMainJobOnEveryJellyfin runs the main job against each version that has a
// tested profile.
func TestMainJobOnEveryJellyfin(t *testing.T) {
	for _, version := range jellyfintest.Versions() {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			p := params(version)
			p.Files = []string{filepath.Join(scripts, "main_job.txtar"), filepath.Join(scripts, "fail_closed.txtar")}
			testscript.Run(t, p)
		})
	}
}

var scripts = filepath.Join("testdata", "script")

// params are those of every script; a Jellyfin that names no version is of the
// one given.
func params(jellyfinVersion string) testscript.Params {
	return testscript.Params{
		Setup: func(e *testscript.Env) error {
			w := &world{version: jellyfinVersion, host: newInstalled(filepath.Join(e.WorkDir, "data"), "ZONDARR_JOIN_RATE=off"), jellyfins: map[string]*jellyfintest.Server{}}
			e.Values[worldKey{}] = w
			e.Setenv("PATH", installation+string(os.PathListSeparator)+os.Getenv("PATH"))
			e.Setenv("ZONDARR_DATA_DIR", w.host.data)
			repository, err := filepath.Abs(filepath.Join("..", ".."))
			if err != nil {
				return err
			}
			e.Setenv("REPOSITORY", repository)
			for _, name := range []string{"GOCACHE", "GOMODCACHE"} {
				value, err := exec.Command("go", "env", name).Output()
				if err != nil {
					return err
				}
				e.Setenv(name, strings.TrimSpace(string(value)))
			}
			e.Defer(w.close)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"host": script((*world).hostCommand), "api": script((*world).api), "set": script((*world).set), "want": script((*world).want),
			"jellyfin": script((*world).jellyfin), "fault": script((*world).fault), "clearfaults": script((*world).clearFaults), "user": script((*world).user), "signin": script((*world).signIn),
			"killplugin": script((*world).killPlugin), "noplugins": script((*world).noPlugins), "nolog": script((*world).noLog), "await": script((*world).await),
			"crowd": script((*world).crowd), "hostenv": script((*world).hostEnv), "dropin": script((*world).dropIn),
			"installation": script((*world).ownInstallation), "stopping": script((*world).stopping), "stranger": script((*world).stranger),
			"plex": script((*world).startPlex), "approve": script((*world).approve), "verify": script((*world).verify), "share": script((*world).share),
			"plexfault": script((*world).plexFault), "noplexsecrets": script((*world).noPlexSecrets), "signedout": script((*world).signedOut),
		},
	}
}

type worldKey struct{}

// world is what one script acts on.
type world struct {
	host      *installed
	version   string // of Jellyfins that name none
	jellyfins map[string]*jellyfintest.Server
	plex      *plextest.Fake
	answer    []byte
	// authorizeURLs are the addresses that browsers were sent to.
	authorizeURLs string
}

// script makes a command of a method; what it returns fails the script.
func script(do func(*world, *testscript.TestScript, bool, []string) error) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		w := ts.Value(worldKey{}).(*world)
		if err := do(w, ts, neg, args); err != nil {
			ts.Fatalf("%v\nlast answer: %s\nlog of the host:\n%s", err, w.answer, w.host.logs)
		}
	}
}

func (w *world) close() {
	_ = w.host.stop(syscall.SIGKILL) // the script may have ended it
	for _, j := range w.jellyfins {
		j.Close()
	}
	if w.plex != nil {
		_ = w.plex.Close() // what hangs is cut off
	}
}

// host start [flags] | stop | kill
//
// The first start makes the keys.
func (w *world) hostCommand(ts *testscript.TestScript, _ bool, args []string) error {
	switch args[0] {
	case "start":
		if w.host.key == "" {
			if err := w.host.setUp(); err != nil {
				return err
			}
			ts.Setenv("ZONDARR_API_KEY", w.host.key)
		}
		err := w.host.start(args[1:]...)
		ts.Setenv("BASE", w.host.base)
		return err
	case "stop":
		return w.host.stop(syscall.SIGTERM)
	case "kill":
		return w.host.stop(syscall.SIGKILL)
	}
	return fmt.Errorf("host %s?", args[0])
}

// api METHOD PATH STATUS [BODY]
func (w *world) api(_ *testscript.TestScript, _ bool, args []string) error {
	body := ""
	if len(args) > 3 {
		body = args[3]
	}
	status, answer, err := w.host.call(context.Background(), args[0], args[1], body)
	w.answer = answer
	if err != nil {
		return err
	}
	if u, err := at(answer, "authorize_url"); err == nil {
		w.authorizeURLs += u
	}
	if strconv.Itoa(status) != args[2] {
		return fmt.Errorf("%s %s answers %d, want %s", args[0], args[1], status, args[2])
	}
	return nil
}

// set VARIABLE PATH takes a value of the last answer.
func (w *world) set(ts *testscript.TestScript, _ bool, args []string) error {
	v, err := at(w.answer, args[1])
	ts.Setenv(args[0], v)
	return err
}

// [!] want PATH VALUE compares a value of the last answer.
func (w *world) want(_ *testscript.TestScript, neg bool, args []string) error {
	v, err := at(w.answer, args[0])
	if err != nil {
		return err
	}
	if (v == args[1]) == neg {
		return fmt.Errorf("%s is %q, want %q (negated: %v)", args[0], v, args[1], neg)
	}
	return nil
}

// await PATH METHOD-PATH VALUE: polls until the value is there, at most 20 s.
func (w *world) await(_ *testscript.TestScript, _ bool, args []string) error {
	deadline := time.Now().Add(20 * time.Second)
	for {
		_, answer, err := w.host.call(context.Background(), "GET", args[0], "")
		w.answer = answer
		v := ""
		if err == nil {
			v, err = at(answer, args[1])
		}
		if err == nil && v == args[2] {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s of %s is %q after 20 s, want %q (%w)", args[1], args[0], v, args[2], err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// jellyfin NAME [VERSION] starts a simulated Jellyfin with three libraries and
// sets NAME_URL and NAME_KEY.
func (w *world) jellyfin(ts *testscript.TestScript, _ bool, args []string) error {
	config := jellyfintest.Config{ServerName: args[0], Version: w.version}
	if len(args) > 1 {
		config.Version = args[1]
	}
	j := jellyfintest.New(config)
	for _, l := range []jellyfintest.Library{{Name: "Films", Type: "movies"}, {Name: "Series", Type: "tvshows"}, {Name: "Music", Type: "music"}} {
		j.AddLibrary(l)
	}
	w.jellyfins[args[0]] = j
	if err := j.Start(); err != nil {
		return err
	}
	ts.Setenv(args[0]+"_URL", j.URL())
	ts.Setenv(args[0]+"_KEY", j.CreateAPIKey("zondarr"))
	return nil
}

// fault NAME METHOD PATH ACTION [COUNT]
func (w *world) fault(_ *testscript.TestScript, _ bool, args []string) error {
	f := jellyfintest.Fault{Method: args[1], Path: args[2], Action: jellyfintest.Action(args[3])}
	if len(args) > 4 {
		n, err := strconv.Atoi(args[4])
		if err != nil {
			return err
		}
		f.Count = n
	}
	w.jellyfins[args[0]].AddFault(f)
	return nil
}

// clearfaults NAME
func (w *world) clearFaults(_ *testscript.TestScript, _ bool, args []string) error {
	w.jellyfins[args[0]].ClearFaults()
	return nil
}

// [!] user NAME USERNAME [LIBRARY…]: the account is there and sees exactly these.
func (w *world) user(_ *testscript.TestScript, neg bool, args []string) error {
	u, found := w.jellyfins[args[0]].User(args[1])
	switch {
	case neg && found:
		return fmt.Errorf("%s is on %s, and should not be", args[1], args[0])
	case neg:
		return nil
	case !found:
		return fmt.Errorf("%s is not on %s", args[1], args[0])
	case u.Policy.EnableAllFolders:
		return fmt.Errorf("%s sees all libraries", args[1])
	}
	var got []string
	for _, l := range w.jellyfins[args[0]].Libraries() {
		if slices.Contains(u.Policy.EnabledFolders, l.ID) {
			got = append(got, l.Name)
		}
	}
	if !slices.Equal(got, args[2:]) || len(got) != len(u.Policy.EnabledFolders) {
		return fmt.Errorf("%s sees %q and %d ids, want %q", args[1], got, len(u.Policy.EnabledFolders), args[2:])
	}
	return nil
}

// [!] signin NAME USERNAME PASSWORD
func (w *world) signIn(_ *testscript.TestScript, neg bool, args []string) error {
	err := w.jellyfins[args[0]].SignIn(args[1], args[2])
	if (err == nil) == neg {
		return fmt.Errorf("sign in as %s: %w (negated: %v)", args[1], err, neg)
	}
	return nil
}

// killplugin NAME sends SIGKILL to a plugin of the host.
func (w *world) killPlugin(_ *testscript.TestScript, _ bool, args []string) error {
	_, answer, err := w.host.call(context.Background(), "GET", "/api/v1/plugins/"+args[0], "")
	if err != nil {
		return err
	}
	pid, err := at(answer, "pid")
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(pid)
	if err != nil {
		return fmt.Errorf("pid of %s: %w", args[0], err)
	}
	return syscall.Kill(n, syscall.SIGKILL)
}

// noplugins: within a second no plugin process is left.
func (w *world) noPlugins(*testscript.TestScript, bool, []string) error {
	deadline := time.Now().Add(time.Second)
	for {
		pids, err := w.host.plugins()
		if err != nil || len(pids) == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("plugin processes are left: %v", pids)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// nolog TEXT…: the host has logged none of them.
func (w *world) noLog(_ *testscript.TestScript, _ bool, args []string) error {
	for _, text := range args {
		if strings.Contains(w.host.logs.String(), text) {
			return fmt.Errorf("the log holds %q", text)
		}
	}
	return nil
}

// crowd N CODE PASSWORD: N clients redeem at once; sets nothing, and fails unless
// exactly one gets an account.
func (w *world) crowd(_ *testscript.TestScript, _ bool, args []string) error {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	statuses := make(chan string, n)
	for i := range n {
		go func() {
			body := fmt.Sprintf(`{"username":"guest%d","password":%q}`, i, args[2])
			status, answer, err := w.host.call(context.Background(), "POST", "/api/v1/join/"+args[1], body)
			code, _ := at(answer, "error_code")
			statuses <- fmt.Sprint(status, " ", code, err)
		}()
	}
	counts := map[string]int{}
	for range n {
		counts[<-statuses]++
	}
	if counts["201 null<nil>"] != 1 || counts["409 invitation_exhausted<nil>"] != n-1 {
		return fmt.Errorf("%d clients at a single-use code got %v", n, counts)
	}
	return nil
}

// hostenv NAME=VALUE sets a variable of the host's next starts.
func (w *world) hostEnv(_ *testscript.TestScript, _ bool, args []string) error {
	w.host.env = append(w.host.env, args[0])
	return nil
}

// dropin NAME copies the plugin of that name into the operator's directory, as a
// slow copy does: in pieces.
func (w *world) dropIn(_ *testscript.TestScript, _ bool, args []string) error {
	from, err := os.ReadFile(filepath.Join(installation, "extra", "zondarr-plugin-"+args[0]))
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(w.host.data, "plugins", "zondarr-plugin-"+args[0]), os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	defer f.Close()
	for piece := range slices.Chunk(from, len(from)/4+1) {
		if _, err := f.Write(piece); err != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
	return nil
}

// installation gives the script an installation of its own, at $WORK/inst, to
// put plugins into.
func (w *world) ownInstallation(ts *testscript.TestScript, _ bool, _ []string) error {
	w.host.bin = filepath.Join(filepath.Dir(w.host.data), "inst")
	plugins := filepath.Join(w.host.bin, "plugins")
	ts.Setenv("PLUGINS", plugins)
	return errors.Join(
		os.MkdirAll(plugins, 0o755),
		os.Link(filepath.Join(installation, "zondarr"), filepath.Join(w.host.bin, "zondarr")),
	)
}

// stranger METHOD PATH STATUS [BODY]: as api, without the key.
func (w *world) stranger(ts *testscript.TestScript, neg bool, args []string) error {
	key := w.host.key
	w.host.key = ""
	defer func() { w.host.key = key }()
	return w.api(ts, neg, args)
}

// stopping STATUS PATH BODY: the host is told to stop while it works on a POST.
func (w *world) stopping(ts *testscript.TestScript, _ bool, args []string) error {
	answered := make(chan error, 1)
	go func() { answered <- w.api(ts, false, []string{"POST", args[1], args[0], args[2]}) }()
	time.Sleep(500 * time.Millisecond) // until it is under way; later is as good
	began := time.Now()
	if err := w.host.stop(syscall.SIGTERM); err != nil {
		return err
	}
	if took := time.Since(began); took > 12*time.Second {
		return fmt.Errorf("the stop took %s", took)
	}
	return <-answered
}
