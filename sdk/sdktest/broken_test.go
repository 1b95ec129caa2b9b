package sdktest_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdktest"
	"github.com/zondarr/zondarr/sdk/sdktest/testdata/broken/fault"
)

// Each broken program is caught by one check, with a message that names the fault.
func TestBrokenPrograms(t *testing.T) {
	const start = "starts, shakes hands and describes itself"
	program := build(t, "./testdata/broken", "broken")
	for _, tt := range []struct{ fault, check, says string }{
		{"chatty", start, `handshake failed: Unrecognized remote plugin message: Starting up…`},
		{"crashes", start, "it said: "},
		{"networked", start, `it listens on tcp 127.0.0.1:`},
		{"homesick", start, "it said: "},
		{"lawless", start, `"Watch Everything" is neither a standard name nor starts with`},
		{"misnamed", "is named after its file", `Describe says "somebody-else"`},
		{"outlives-host", "ends when its host does", "still runs 5s after its standard input has ended"},
		{"leaves-a-child", "ends when its host does", "still runs 5s after its standard input has ended"},
		{"mortal", "ignores signals that are meant for its host", `died of the signal "hangup"`},
		{"leaks", "does not grow over many calls", "open files"},
		{"waits", "does not grow over many calls", "goroutines, after 1100 calls 1"},
		{"fickle", "describes itself the same way each time", "changed from one start to the next"},
		{"hollow", "answers what it declares", "ListSessions is declared and unsupported"},
		{"panics", "fails well on HTTP 401", `TestConnection after`},
		{"untyped", "fails well on HTTP 500", `the reason is "internal"`},
		{"vague", "fails well on HTTP 401", `the reason is "unavailable" (cannot connect), want one of [credentials_rejected not_admin]`},
		{"blaming", "fails well on HTTP 403", `the source is "request", want "upstream"`},
		{"impatient", "fails well on HTTP 429", "RetryAfter is 0s, but the server asked to wait 7s"},
		{"optimistic", "fails well on HTML instead of JSON", "it succeeds"},
		{"deaf", "fails well on no answer", "the plugin did not answer before the deadline"},
		{"patient", "hangs up when a call is cancelled", "TestConnection was cancelled, and 2 s later its request to the media server is still open"},
		{"boastful", "tells the facts of a server", `the permission "fly" is told, but not declared`},
		{"stingy", "tells the facts of a server", `the capability "suspend" does not hold here, and Missing does not say why`},
		{"stale", "uses changed credentials at once", "at the next revision"},
		{"confused", "keeps two servers apart under 64 callers", "either they are one server, or the plugin takes one for the other"},
		{"generous", "creates a user with exactly the grant", "the user's libraries are all []"},
		{"insistent", "deletes a user, and is content when it is gone", "DeleteUser"},
		{"tidy", "sets permissions and limits, and leaves the rest", "setting "},
		{"lazy", "replaces a password", "an empty password is accepted"},
		{"nostalgic", "asks the media server now when it is told to", "FindUser with MaxAge 0 answers from what it knew before the call"},
		{"short", "lists every user, and admits when the list is cut", "was made and is not in the list"},
	} {
		t.Run(tt.fault, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "zondarr-plugin-broken-"+tt.fault)
			if err := os.Link(program, path); err != nil {
				t.Fatal(err)
			}
			fake := sdktest.NewFake()
			one, two := fake.AddServer("one"), fake.AddServer("two")
			one.Listen()
			two.Listen()
			t.Cleanup(one.Close)
			t.Cleanup(two.Close)
			second := two.Ref()
			var out bytes.Buffer
			started := time.Now()
			report := sdktest.RunSome(t.Context(), path, &sdktest.Target{Server: one.Ref(), Second: &second}, &out, tt.check)
			if report.OK() || !strings.Contains(out.String(), tt.says) || !strings.Contains(out.String(), "why it matters: ") {
				t.Errorf("want the check %q to fail and to say %q, got:\n%s", tt.check, tt.says, out.String())
			}
			if took := time.Since(started); took > 80*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// What cannot be seen from outside is caught in process, or on a server that lies.
func TestBrokenPlugins(t *testing.T) {
	for _, tt := range []struct{ fault, check, says string }{
		{"eager", "opens a server without asking it", "Open makes a request"},
		{"untyped", "fails well on HTTP 500", "TestConnection failed with an error that is no *sdk.Error"},
		{"untidy", "creates a user wholly or not at all, whatever fails", "leaves the user behind"},
		{"swallows", "lists every user, and admits when the list is cut", "a list that its caller cuts"},
		{"credulous", "is not taken in by a server that lies", "says yes and stores nothing: CreateUser answers what was asked, and not what the server has"},
		{"irreverent", "never writes to protected users", `Suspend of a protected user succeeds, want "protected"`},
		{"mistaken", "creates a user with exactly the grant", `FindUser gives user "somebody-else", want user "user-`},
		{"trusting", "refuses a library that is not there", `CreateUser with an unknown library succeeds, want "library_not_found"`},
		{"careless", "shows its credentials to no other server", `sends the secret "api_key" to another server than the stored one`},
	} {
		t.Run(tt.fault, func(t *testing.T) {
			t.Parallel()
			results := sdktest.RunInProcess(t, sdktest.Config{
				New:     func() sdk.Plugin { return fault.New("fake", tt.fault) },
				Fixture: sdktest.FakeFixture(sdk.JoinPassword),
			}, tt.check)
			if len(results) != 1 || results[0].Outcome != sdktest.Failed || !strings.Contains(results[0].Detail, tt.says) {
				t.Errorf("got %+v, want %q", results, tt.says)
			}
		})
	}
}

// Secrets that get past the SDK, and error pages that are quoted, are found when all the
// checks before have made the plugin speak.
func TestIndiscretions(t *testing.T) {
	program := build(t, "./testdata/broken", "broken")
	for fault, says := range map[string]string{
		"indiscreet": `the secret "api-key" is in its log`,
		"verbose":    "the words of the media server's error page are in a failure's text",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "zondarr-plugin-broken-"+fault)
			if err := os.Link(program, path); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if report := sdktest.RunBinary(t.Context(), path, nil, &out); report.OK() || !strings.Contains(out.String(), says) {
				t.Errorf("want %q, got:\n%s", says, out.String())
			}
		})
	}
	// "prints" is seen on standard output only after the calls.
	path := filepath.Join(t.TempDir(), "zondarr-plugin-broken-prints")
	if err := os.Link(program, path); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if report := sdktest.RunBinary(t.Context(), path, nil, &out); report.OK() || !strings.Contains(out.String(), `it printed "testing http://`) {
		t.Errorf("got:\n%s", out.String())
	}
}
