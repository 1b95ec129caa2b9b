package plex

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/zondarr/zondarr/plugins/plex/plextest"
	"github.com/zondarr/zondarr/sdk"
)

func (r *rig) begin() sdk.BeginLinkResponse {
	r.t.Helper()
	out, err := r.c.BeginLink(r.t.Context(), sdk.BeginLinkRequest{ReturnURL: "https://join.example.org/j/CODE?x=1&y=2"})
	if err != nil {
		r.t.Fatal(r.saw(err))
	}
	return out
}

func (r *rig) poll(state []byte) sdk.PollLinkResponse {
	r.t.Helper()
	out, err := r.c.PollLink(r.t.Context(), sdk.PollLinkRequest{State: state})
	if err != nil {
		r.t.Fatal(r.saw(err))
	}
	return out
}

func (r *rig) liveTokens(account int64) (n int) {
	for _, token := range r.fake.Tokens() {
		if token.Account == account && !token.Revoked {
			n++
		}
	}
	return n
}

func TestLink(t *testing.T) {
	r := newRig(t)
	begun := r.begin()
	u, err := url.Parse(begun.AuthorizeURL)
	if err != nil || !strings.HasPrefix(begun.AuthorizeURL, r.fake.AuthURL()+"#?") || u.RawQuery != "" {
		t.Fatalf("authorize URL %q, %v", begun.AuthorizeURL, err)
	}
	q, err := url.ParseQuery(strings.TrimPrefix(u.EscapedFragment(), "?"))
	if err != nil {
		t.Fatal(err)
	}
	if q.Get("code") != codeOf(t, begun.State) || q.Get("forwardUrl") != "https://join.example.org/j/CODE?x=1&y=2" ||
		q.Get("context[device][product]") != "Zondarr" || !strings.HasPrefix(q.Get("clientID"), "zondarr-") {
		t.Errorf("authorize parameters %v", q)
	}
	if begun.PollAfter < time.Second || !begun.ExpiresAt.After(r.fake.Now()) || begun.UserCode != "" || len(begun.State) > 16<<10 {
		t.Errorf("begun %+v", begun)
	}
	polled := r.poll(begun.State)
	if polled.Status != sdk.LinkPending || polled.Account != nil {
		t.Errorf("before approval: %+v", polled)
	}
	if err := r.fake.Approve(q.Get("code"), r.alice.ID); err != nil {
		t.Fatal(err)
	}
	polled = r.poll(polled.State)
	want := sdk.LinkedAccount{Realm: "plex", ID: str(r.alice.ID), Username: "alice", DisplayName: "alice", Email: r.alice.Email}
	if polled.Status != sdk.LinkApproved || polled.Account == nil || polled.Account.State != nil {
		t.Fatalf("after approval: %+v", polled)
	}
	if got := *polled.Account; got.Realm != want.Realm || got.ID != want.ID || got.Username != want.Username || got.DisplayName != want.DisplayName || got.Email != want.Email {
		t.Errorf("account %+v, want %+v", got, want)
	}
	// Another replica, with the same installation, goes on with the state.
	other := r.open(nil)
	again, err := other.PollLink(t.Context(), sdk.PollLinkRequest{State: polled.State})
	if err != nil || again.Status != sdk.LinkApproved || !bytes.Equal(again.State, polled.State) {
		t.Errorf("on a replica: %+v, %v", again, err)
	}
	// A replica that lost the last answer, too.
	again, err = other.PollLink(t.Context(), sdk.PollLinkRequest{State: begun.State})
	if err != nil || again.Status != sdk.LinkApproved {
		t.Errorf("with the first state: %+v, %v", again, err)
	}
	for range 2 { // idempotent
		if _, err := other.EndLink(t.Context(), sdk.EndLinkRequest{State: polled.State}); err != nil {
			t.Fatal(r.saw(err))
		}
	}
	if n := r.liveTokens(r.alice.ID); n != 0 {
		t.Errorf("%d of alice's tokens still live", n)
	}
	if got := r.poll(polled.State).Status; got != sdk.LinkExpired {
		t.Errorf("after the end: %s", got)
	}
	// The owner's token never had to do with it.
	for _, req := range r.fake.Requests() {
		if req.Account == r.owner.ID || req.Target != "cloud" {
			t.Errorf("linking asked %s %s as the owner or the server", req.Method, req.Path)
		}
	}
}

// One sign-in does not end another, nor the owner's, even when the owner tries
// an invitation.
func TestLinksDoNotKillEachOther(t *testing.T) {
	r := newRig(t)
	first := r.link(r.alice)
	second := r.link(r.alice)
	own := r.link(r.owner)
	for _, l := range []sdk.LinkedAccount{first, second, own} {
		if got := r.poll(l.State).Status; got != sdk.LinkApproved {
			t.Errorf("a link of %s is %s", l.Username, got)
		}
	}
	if _, err := r.c.TestConnection(t.Context(), sdk.TestConnectionRequest{}); err != nil {
		t.Errorf("the owner's token: %v", r.saw(err))
	}
	if _, err := r.c.EndLink(t.Context(), sdk.EndLinkRequest{State: own.State}); err != nil {
		t.Fatal(r.saw(err))
	}
	if _, err := r.c.TestConnection(t.Context(), sdk.TestConnectionRequest{}); err != nil {
		t.Errorf("the owner's token after signing out: %v", r.saw(err))
	}
}

func TestLinkExpires(t *testing.T) {
	r := newRig(t)
	begun := r.begin()
	r.fake.Advance(time.Until(begun.ExpiresAt)) // long enough on any clock
	r.fake.Advance(begun.ExpiresAt.Sub(r.fake.Now()) + time.Second)
	if got := r.poll(begun.State).Status; got != sdk.LinkExpired {
		t.Errorf("status %s", got)
	}
	if _, err := r.c.EndLink(t.Context(), sdk.EndLinkRequest{State: begun.State}); err != nil {
		t.Error(r.saw(err))
	}
}

// Plex does not tell that somebody refused: the sign-in runs out.
func TestLinkDenied(t *testing.T) {
	r := newRig(t)
	begun := r.begin()
	if err := r.fake.Deny(codeOf(t, begun.State)); err != nil {
		t.Fatal(err)
	}
	if got := r.poll(begun.State).Status; got != sdk.LinkPending {
		t.Errorf("status %s", got)
	}
}

// Somebody approves, and the host never polls again: signing out still finds it.
func TestEndLinkApprovedUnseen(t *testing.T) {
	r := newRig(t)
	begun := r.begin()
	if err := r.fake.Approve(codeOf(t, begun.State), r.alice.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := r.c.EndLink(t.Context(), sdk.EndLinkRequest{State: begun.State}); err != nil {
		t.Fatal(r.saw(err))
	}
	if n := r.liveTokens(r.alice.ID); n != 0 {
		t.Errorf("%d tokens live", n)
	}
}

// Signing out removes the entry from the person's devices too, once it shows.
func TestEndLinkForgetsDevice(t *testing.T) {
	r := newRig(t)
	linked := r.link(r.alice)
	r.fake.Advance(time.Minute)
	if _, err := r.c.EndLink(t.Context(), sdk.EndLinkRequest{State: linked.State}); err != nil {
		t.Fatal(r.saw(err))
	}
	removed := false
	for _, req := range r.fake.Requests() {
		removed = removed || req.Method == http.MethodDelete && strings.HasPrefix(req.Path, "/devices/") && req.Status == 200
	}
	if !removed || r.liveTokens(r.alice.ID) != 0 {
		t.Errorf("device removed: %t, %d tokens live", removed, r.liveTokens(r.alice.ID))
	}
}

func TestLinkFailures(t *testing.T) {
	r := newRig(t)
	begun := r.begin()
	fault := func(kind plextest.FaultKind, path string) func() {
		r.fake.AddFault(plextest.Fault{Kind: kind, Path: path})
		return r.fake.ClearFaults
	}
	t.Run("BeginRateLimited", func(t *testing.T) {
		defer fault(plextest.FaultRateLimit, "/api/v2/pins")()
		_, err := r.c.BeginLink(t.Context(), sdk.BeginLinkRequest{})
		r.want(err, sdk.ReasonRateLimited, "try again in a few minutes")
	})
	t.Run("PollDown", func(t *testing.T) {
		defer fault(plextest.FaultDown, "/api/v2/pins/*")()
		_, err := r.c.PollLink(t.Context(), sdk.PollLinkRequest{State: begun.State})
		r.want(err, sdk.ReasonUnavailable)
	})
	t.Run("PollGone", func(t *testing.T) {
		defer fault(plextest.FaultGone, "/api/v2/pins/*")()
		_, err := r.c.PollLink(t.Context(), sdk.PollLinkRequest{State: begun.State})
		r.want(err, sdk.ReasonEndpointGone, "GET /api/v2/pins/{}")
	})
	t.Run("AccountDownAfterApproval", func(t *testing.T) {
		if err := r.fake.Approve(codeOf(t, begun.State), r.alice.ID); err != nil {
			t.Fatal(err)
		}
		over := fault(plextest.FaultDown, "/api/v2/user")
		_, err := r.c.PollLink(t.Context(), sdk.PollLinkRequest{State: begun.State})
		r.want(err, sdk.ReasonUnavailable)
		over()
		if got := r.poll(begun.State).Status; got != sdk.LinkApproved {
			t.Errorf("afterwards: %s", got)
		}
	})
	t.Run("SignOutDown", func(t *testing.T) {
		approved := r.poll(begun.State)
		over := fault(plextest.FaultDown, "/api/v2/users/signout")
		_, err := r.c.EndLink(t.Context(), sdk.EndLinkRequest{State: approved.State})
		r.want(err, sdk.ReasonUnavailable)
		over()
		if _, err := r.c.EndLink(t.Context(), sdk.EndLinkRequest{State: approved.State}); err != nil {
			t.Error(r.saw(err))
		}
		if n := r.liveTokens(r.alice.ID); n != 0 {
			t.Errorf("%d tokens live", n)
		}
	})
	for _, state := range []string{"", "{}", "nonsense", `{"v":2,"client":"c","pin":"1"}`, `{"v":1,"client":"a\nb","pin":"1"}`, `{"v":1,"client":"c","pin":"../user"}`} {
		_, err := r.c.PollLink(t.Context(), sdk.PollLinkRequest{State: []byte(state)})
		r.want(err, sdk.ReasonInvalid)
		_, err = r.c.EndLink(t.Context(), sdk.EndLinkRequest{State: []byte(state)})
		r.want(err, sdk.ReasonInvalid)
	}
}

// Identifiers come from the installation, and differ by purpose.
func TestClientID(t *testing.T) {
	if got := clientID("installation", "server"); got != "zondarr-16eb8401c4090e82c3b7bc403045513b" {
		t.Errorf("the server's identifier is %s; an update of the plugin must not change it", got)
	}
	if clientID("a", "server") == clientID("b", "server") || clientID("a", "server") == clientID("a", "link x") {
		t.Error("two purposes share an identifier")
	}
	if strings.Contains(clientID("installation", "server"), "installation") {
		t.Error("the installation's id is shown")
	}
}
