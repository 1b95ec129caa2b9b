package jellyfin

import (
	"context"
	"net/http"
	"sync"

	"github.com/zondarr/zondarr/sdk"
)

// libraryIDs are the libraries that the last list held.
type libraryIDs struct {
	mu  sync.Mutex
	ids map[string]bool // nil before the first list
}

func (l *libraryIDs) keep(libs []sdk.Library) {
	ids := make(map[string]bool, len(libs))
	for _, lib := range libs {
		ids[lib.ID] = true
	}
	l.mu.Lock()
	l.ids = ids
	l.mu.Unlock()
}

// lacks says whether one of the ids was missing from the last list, and whether
// there was one.
func (l *libraryIDs) lacks(ids []string) (missing, listed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		if !l.ids[normalID(id)] {
			return true, l.ids != nil
		}
	}
	return false, l.ids != nil
}

// ListLibraries gives the libraries, under the ids that a policy's folders take.
func (c *client) ListLibraries(ctx context.Context, _ sdk.ListLibrariesRequest) (sdk.ListLibrariesResponse, error) {
	if _, err := c.ready(ctx); err != nil {
		return sdk.ListLibrariesResponse{}, err
	}
	libs, err := c.listLibraries(ctx)
	return sdk.ListLibrariesResponse{Libraries: libs}, err
}

func (c *client) listLibraries(ctx context.Context) ([]sdk.Library, error) {
	var folders []struct {
		Name           string
		CollectionType string
		ItemID         string `json:"ItemId"`
	}
	if err := c.read(ctx, request{method: http.MethodGet, path: "/Library/VirtualFolders", auth: c.withKey()}, &folders); err != nil {
		return nil, err
	}
	libs := make([]sdk.Library, 0, len(folders))
	for _, f := range folders {
		id, ok := parseID(f.ItemID)
		if !ok { // not scanned yet: access to it cannot be given
			continue
		}
		libs = append(libs, sdk.Library{ID: id.String(), Name: f.Name, Type: libraryType(f.CollectionType)})
	}
	c.libraries.keep(libs)
	return libs, nil
}

func libraryType(collection string) sdk.LibraryType {
	switch collection {
	case "movies":
		return sdk.LibraryMovies
	case "tvshows":
		return sdk.LibraryShows
	case "music":
		return sdk.LibraryMusic
	case "musicvideos":
		return sdk.LibraryMusicVideos
	case "homevideos":
		return sdk.LibraryHomeVideos
	case "photos":
		return sdk.LibraryPhotos
	case "books":
		return sdk.LibraryBooks
	case "livetv":
		return sdk.LibraryLiveTV
	case "", "mixed":
		return sdk.LibraryMixed
	default: // boxsets, playlists, and what later versions add
		return sdk.LibraryOther
	}
}

// checkLibraries refuses libraries that the server does not have: it would keep
// any id without a word. A list that holds them all is good at any age, since a
// library that is gone shows nothing; one that lacks them is made again, which costs
// a creation one request more.
//
// With ask unset, a client that has never seen the libraries trusts the host,
// which has: a creation spends no request on what can only show less.
func (c *client) checkLibraries(ctx context.Context, access sdk.LibraryAccess, ask bool) error {
	missing, listed := c.libraries.lacks(access.IDs)
	if !missing || !listed && !ask {
		return nil
	}
	if _, err := c.listLibraries(ctx); err != nil {
		return err
	}
	if missing, _ := c.libraries.lacks(access.IDs); missing {
		return noSuchLibrary()
	}
	return nil
}
