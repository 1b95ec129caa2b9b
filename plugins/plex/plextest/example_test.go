package plextest_test

import (
	"fmt"
	"time"

	"github.com/zondarr/zondarr/plugins/plex/plextest"
)

// A person signs in by pin and a library is shared with her.
func Example() {
	fake := plextest.New(plextest.Config{})
	if err := fake.Start(); err != nil {
		fmt.Println(err)
		return
	}
	defer fake.Close() //nolint:errcheck // an example

	owner := fake.MustAddAccount(plextest.Account{Username: "olga", PlexPass: true})
	guest := fake.MustAddAccount(plextest.Account{Username: "ines"})
	server := fake.MustAddServer(plextest.ServerSpec{
		Owner: owner.ID, Name: "Attic", Sections: []plextest.Section{{Title: "Movies"}, {Title: "Shows", Type: "show"}},
	})
	_ = fake.Token(owner.ID, "the plugin's client identifier") // what the plugin is given
	_ = fake.CloudURL()                                        // and where it finds plex.tv
	_ = server.URL()                                           // and the media server

	// The code under test creates a pin; here is the person who approves it:
	for _, code := range fake.Pins() {
		fmt.Println(fake.Approve(code, guest.ID))
	}
	fake.MustAddShare(plextest.ShareSpec{Server: server.ID(), Invited: "ines", Sections: []int64{server.Section("Movies").ID}})
	fake.Advance(2 * time.Second) // the invite has reached her
	pending, _ := fake.ShareOf(server.ID(), guest.ID)
	fake.Accept(pending.ID)

	libraries, access := fake.Access(server.ID(), guest.ID)
	fmt.Println(pending.State, access, libraries)
	// Output: pending true [Movies]
}
