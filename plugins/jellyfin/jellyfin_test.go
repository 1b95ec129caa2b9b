package jellyfin

import (
	"slices"
	"testing"

	"github.com/zondarr/zondarr/plugins/jellyfin/jellyfintest"
	"github.com/zondarr/zondarr/sdk"
)

// R3.1, R3.7
func TestConnection(t *testing.T) {
	eachVersion(t, func(t *testing.T, u *upstream, c *client) {
		got := must(c.TestConnection(t.Context(), sdk.TestConnectionRequest{}))(t).Facts
		if got.Product != "Jellyfin Server" || got.Version != u.Version() || got.ExternalID != u.ID() || got.Name != "Jellyfin" {
			t.Errorf("facts are %+v", got)
		}
		if len(got.LibraryModes) != 3 || got.JoinFlow != sdk.JoinPassword || got.AccountRules.Username.Pattern == "" {
			t.Errorf("facts are %+v", got)
		}
		d := New().Describe()
		missing := len(d.Capabilities()) + len(d.Permissions) - len(got.Capabilities) - len(got.Permissions)
		if missing != len(got.Missing) {
			t.Errorf("%d capabilities and permissions are missing, %d have a reason", missing, len(got.Missing))
		}
		if old := u.Version() == "10.8.13"; old != (missing == 3) {
			t.Errorf("%d are missing on %s: %+v", missing, u.Version(), got.Missing)
		}
	})
}

func TestDescriptionIsValid(t *testing.T) {
	if err := New().Describe().Validate(); err != nil {
		t.Fatal(err)
	}
}

// R3.2
func TestListLibraries(t *testing.T) {
	eachVersion(t, func(t *testing.T, u *upstream, c *client) {
		u.AddLibrary(jellyfintest.Library{Name: "Later", Type: "books", Unscanned: true})
		got := must(c.ListLibraries(t.Context(), sdk.ListLibrariesRequest{}))(t).Libraries
		want := []sdk.Library{{ID: u.movies, Name: "Movies", Type: "movies"}, {ID: u.shows, Name: "Shows", Type: "shows"}, {ID: u.music, Name: "Music", Type: "music"}}
		if !slices.Equal(got, want) {
			t.Errorf("libraries are %+v, want %+v", got, want)
		}
	})
}

// R3.3, R3.4, R3.11, R3.12
func TestUserLifecycle(t *testing.T) {
	eachVersion(t, func(t *testing.T, u *upstream, c *client) {
		created := must(c.CreateUser(t.Context(), newBob(only(u.movies, u.music))))(t).User
		if created.Username != "bob" || created.Protected || created.Status != sdk.StatusActive || created.Kind != kindUser {
			t.Errorf("created %+v", created)
		}
		have, ok := u.User("bob")
		if !ok || have.ID != created.ID || have.Policy.EnableAllFolders || !sameIDs(have.Policy.EnabledFolders, []string{u.movies, u.music}) {
			t.Errorf("the server has %+v", have)
		}
		if err := u.SignIn("bob", password); err != nil {
			t.Error(err)
		}
		got := must(c.GetUser(t.Context(), sdk.GetUserRequest{ID: created.ID}))(t).User
		if got.Username != "bob" || got.Libraries == nil || !sameIDs(got.Libraries.IDs, []string{u.movies, u.music}) {
			t.Errorf("read back %+v", got)
		}
		var names []string
		if err := c.ListUsers(t.Context(), sdk.ListUsersRequest{}, func(u sdk.User) error { names = append(names, u.Username); return nil }); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(names, []string{"admin", "bob"}) {
			t.Errorf("users are %q", names)
		}
		found := must(c.FindUser(t.Context(), sdk.FindUserRequest{Username: "BOB"}))(t).User
		if found.ID != created.ID {
			t.Errorf("found %+v", found)
		}
		_, err := c.CreateUser(t.Context(), newBob(only(u.movies)))
		wantReason(t, err, sdk.ReasonUsernameTaken)

		if gone := must(c.DeleteUser(t.Context(), sdk.DeleteUserRequest{ID: created.ID}))(t); gone.AlreadyGone {
			t.Error("the first delete found nothing")
		}
		if gone := must(c.DeleteUser(t.Context(), sdk.DeleteUserRequest{ID: created.ID}))(t); !gone.AlreadyGone {
			t.Error("the second delete found something")
		}
		_, err = c.GetUser(t.Context(), sdk.GetUserRequest{ID: created.ID})
		wantReason(t, err, sdk.ReasonNotFound)
		_, err = c.FindUser(t.Context(), sdk.FindUserRequest{Username: "bob"})
		wantReason(t, err, sdk.ReasonNotFound)
	})
}

// Behind a base path everything is where it was, however deep.
func TestBasePath(t *testing.T) {
	for _, path := range []string{"/jellyfin", "/media/jf"} {
		u := start(t, jellyfintest.Config{BasePath: path})
		c := u.open()
		must(testConnection(t, c))(t)
		id := u.AddUser("bob", password)
		for verb, call := range everyVerb(t, c, id) {
			if err := call(); err != nil && sdk.ReasonOf(err) != sdk.ReasonNotFound { // bob is deleted on the way
				t.Errorf("%s under %s: %v", verb, path, err)
			}
		}
	}
}
