package plextest_test

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/zondarr/zondarr/plugins/plex/plextest"
)

// m is a JSON object to send.
type m map[string]any

const v2Shares = "/api/v2/shared_servers"

func v1Shares(s *plextest.Server) string { return "/api/servers/" + s.ID() + "/shared_servers" }

// ids gives the plex.tv ids of the home server's libraries.
func (w *world) ids(titles ...string) []int64 {
	out := []int64{}
	for _, title := range titles {
		out = append(out, w.home.Section(title).ID)
	}
	return out
}

// invite is what the owner sends over v2 for the home server.
func (w *world) invite(invited int64, titles ...string) m {
	return m{"machineIdentifier": w.home.ID(), "invitedId": invited, "librarySectionIds": w.ids(titles...)}
}

// inviteV1 is the same over v1; the address is an e-mail or a username.
func (w *world) inviteV1(address string, titles ...string) m {
	return m{"server_id": w.home.ID(), "shared_server": m{"library_section_ids": w.ids(titles...), "invited_email": address}}
}

// shared makes a share that alice has accepted.
func (w *world) shared(titles ...string) plextest.Share {
	return w.f.MustAddShare(plextest.ShareSpec{Server: w.home.ID(), Invited: "alice", Sections: w.ids(titles...), Accepted: true})
}

// aliceToken signs alice in.
func (w *world) aliceToken() string { return w.f.Token(w.alice.ID, "alice-client") }

// pendingIDs are the share ids of a v2 list.
func shareIDs(list []object) []int64 {
	out := []int64{}
	for _, o := range list {
		out = append(out, o.number("id"))
	}
	return out
}

func sharePath(id int64) string { return fmt.Sprintf("%s/%d", v2Shares, id) }

func attrs(nodes []*node, name string) string {
	var out []string
	for _, n := range nodes {
		out = append(out, n.attr(name))
	}
	return strings.Join(out, ",")
}

func titlesOf(libraries []object) string {
	var out []string
	for _, l := range libraries {
		out = append(out, l.text("title"))
	}
	return strings.Join(out, ",")
}

func query(pairs ...string) string {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return q.Encode()
}
