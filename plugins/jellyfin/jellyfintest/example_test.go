package jellyfintest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/zondarr/zondarr/plugins/jellyfin/jellyfintest"
)

// A server with a library and a key; the second POST of a policy takes effect,
// and its answer is lost.
func Example() {
	server := jellyfintest.New(jellyfintest.Config{Version: "10.11.6"})
	if err := server.Start(); err != nil {
		panic(err)
	}
	defer server.Close()

	key := server.CreateAPIKey("example")
	server.AddLibrary(jellyfintest.Library{Name: "Films", Type: "movies"})
	server.AddFault(jellyfintest.Fault{
		Method: "POST", Path: "/Users/*/Policy", Skip: 1, Count: 1,
		Action: jellyfintest.Cut, AfterCommit: true,
	})

	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, server.URL()+"/Users/New",
		strings.NewReader(`{"Name":"bob","Password":"a good one"}`))
	if err != nil {
		panic(err)
	}
	r.Header.Set("Authorization", `MediaBrowser Token="`+key+`"`)
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		panic(err)
	}
	defer res.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	_, _ = io.Copy(io.Discard, res.Body)

	bob, _ := server.User("bob")
	fmt.Println(res.StatusCode, bob.Name, bob.Policy.EnableAllFolders, server.SignIn("bob", "a good one"))
	fmt.Println(server.CountRequests("POST", "/Users/New"))
	// Output:
	// 200 bob true <nil>
	// 1
}
