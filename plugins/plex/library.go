package plex

import (
	"context"
	"encoding/xml"
	"net/http"
	"slices"

	"github.com/zondarr/zondarr/sdk"
)

// section is a library as plex.tv knows it. Every sharing call takes its id; the
// key is the media server's own number for the same library, and is kept to
// compare the two lists. The two are never the same thing.
type section struct {
	ID    ident  `json:"id" xml:"id,attr"`
	Key   ident  `json:"key" xml:"key,attr"`
	Title string `json:"title" xml:"title,attr"`
	Type  string `json:"type" xml:"type,attr"`
}

// directory is a library as the media server knows it.
type directory struct {
	Key   ident  `json:"key"`
	Title string `json:"title"`
	Type  string `json:"type"`
	Agent string `json:"agent"`
}

// ListLibraries gives the libraries by their id at plex.tv. plex.tv sometimes
// lists a part only, and learns of a new library late: the media server is
// asked too, and a list that lacks one of its libraries is not believed.
func (c *client) ListLibraries(ctx context.Context, _ sdk.ListLibrariesRequest) (sdk.ListLibrariesResponse, error) {
	machine, err := c.introduced(ctx)
	if err != nil {
		return sdk.ListLibrariesResponse{}, err
	}
	as, err := c.local(ctx, machine)
	if err != nil {
		return sdk.ListLibrariesResponse{}, err
	}
	local, err := c.directories(ctx, as)
	if err != nil {
		return sdk.ListLibrariesResponse{}, err
	}
	published, err := c.sections(ctx, machine, func(list []section) bool { return unpublished(local, list) == 0 })
	if err != nil {
		return sdk.ListLibrariesResponse{}, err
	}
	if n := unpublished(local, published); n > 0 {
		return sdk.ListLibrariesResponse{}, sdk.Errorf(sdk.ReasonServerError,
			"plex.tv does not list %d of the server's %d libraries; a new library takes a while to get there. Nothing was changed; try again in a few minutes", n, len(local))
	}
	out := make([]sdk.Library, 0, len(published))
	for _, s := range published {
		out = append(out, library(s, local))
	}
	return sdk.ListLibrariesResponse{Libraries: out}, nil
}

// library takes the name from the media server, where it was typed, when the two
// agree on the key.
func library(s section, local []directory) sdk.Library {
	lib := sdk.Library{ID: string(s.ID), Name: s.Title, Type: libraryType(s.Type, "")}
	if i := slices.IndexFunc(local, func(d directory) bool { return d.Key == s.Key }); i >= 0 {
		lib.Name, lib.Type = local[i].Title, libraryType(local[i].Type, local[i].Agent)
	}
	return lib
}

// unpublished counts the libraries of the media server that a list of plex.tv
// lacks.
func unpublished(local []directory, published []section) int {
	n := 0
	for _, d := range local {
		if !slices.ContainsFunc(published, func(s section) bool { return s.Key == d.Key }) {
			n++
		}
	}
	return n
}

func libraryType(plexType, agent string) sdk.LibraryType {
	switch plexType {
	case "movie":
		if agent == "com.plexapp.agents.none" || agent == "tv.plex.agents.none" {
			return sdk.LibraryHomeVideos
		}
		return sdk.LibraryMovies
	case "show":
		return sdk.LibraryShows
	case "artist":
		return sdk.LibraryMusic
	case "photo":
		return sdk.LibraryPhotos
	default:
		return sdk.LibraryOther
	}
}

// directories lists the libraries of the media server itself.
func (c *client) directories(ctx context.Context, as principal) ([]directory, error) {
	out, err := c.wire.send(ctx, request{method: http.MethodGet, at: atServer, path: "/library/sections", as: as, always: true})
	if err != nil {
		return nil, err
	}
	var answer struct {
		Container *struct {
			Directory []directory `json:"Directory"`
		} `json:"MediaContainer"`
	}
	if err := out.json(&answer); err != nil {
		return nil, err
	}
	if answer.Container == nil || slices.ContainsFunc(answer.Container.Directory, func(d directory) bool { return d.Key == "" }) {
		return nil, out.unreadable()
	}
	return answer.Container.Directory, nil
}

// sections lists the libraries that plex.tv knows of a server. When the newer
// call gives too little, or is gone, the older one is asked; enough judges.
func (c *client) sections(ctx context.Context, machine string, enough func([]section) bool) ([]section, error) {
	list, err := c.sectionsV2(ctx, machine)
	if err == nil && enough(list) || err != nil && !goneOrAbsent(err) {
		return list, err
	}
	older, errV1 := c.sectionsV1(ctx, machine)
	switch {
	case errV1 != nil && err == nil && goneOrAbsent(errV1):
		return list, nil
	case errV1 != nil:
		return nil, errV1
	case len(older) < len(list):
		return list, nil
	}
	return older, nil
}

func (c *client) sectionsV2(ctx context.Context, machine string) ([]section, error) {
	out, err := c.wire.send(ctx, request{method: http.MethodGet, at: atCloud, path: "/api/v2/servers/{}", args: []string{machine}, as: c.owner})
	if err != nil {
		return nil, err
	}
	var answer struct {
		Machine  string    `json:"machineIdentifier"`
		Sections []section `json:"librarySections"`
	}
	if err := out.json(&answer); err != nil {
		return nil, err
	}
	if answer.Machine != machine || !numbered(answer.Sections) {
		return nil, out.unreadable()
	}
	return answer.Sections, nil
}

func (c *client) sectionsV1(ctx context.Context, machine string) ([]section, error) {
	out, err := c.wire.send(ctx, request{method: http.MethodGet, at: atCloud, path: "/api/servers/{}", args: []string{machine}, as: c.owner})
	if err != nil {
		return nil, err
	}
	var answer struct {
		XMLName xml.Name `xml:"MediaContainer"`
		Servers []struct {
			Machine  string    `xml:"machineIdentifier,attr"`
			Sections []section `xml:"Section"`
		} `xml:"Server"`
	}
	if err := out.xml(&answer); err != nil {
		return nil, err
	}
	for _, s := range answer.Servers {
		if s.Machine == machine && numbered(s.Sections) {
			return s.Sections, nil
		}
	}
	return nil, out.unreadable()
}

// numbered says that every section has an id: one without could be shared as
// nothing, which Plex takes for everything.
func numbered(list []section) bool {
	return !slices.ContainsFunc(list, func(s section) bool { return !digits(string(s.ID)) })
}
