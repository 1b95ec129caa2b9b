package jellyfintest

import (
	"net/http"
	"slices"
	"strings"
)

// Library is a collection of media. There are no media in it.
type Library struct {
	// ID is 32 hex digits; AddLibrary makes one up when it is empty.
	ID string `json:"id"`
	// Name is unique; the server appends digits to one that is taken.
	Name string `json:"name"`
	// Type is movies, tvshows, music, musicvideos, homevideos, boxsets, books
	// or empty, which means mixed.
	Type string `json:"type"`
	// Paths are the folders on the server's disk.
	Paths []string `json:"paths"`
	// Unscanned libraries have no ItemId yet.
	Unscanned bool `json:"unscanned"`
	// Disabled libraries are missing from MediaFolders from 10.9 on.
	Disabled bool `json:"disabled"`
	// Hidden ones are what isHidden filters by.
	Hidden bool `json:"hidden"`
	// ViewOnly marks what MediaFolders has and VirtualFolders lacks:
	// playlists, live TV.
	ViewOnly bool `json:"view_only"`
}

var collectionTypes = []string{"movies", "tvshows", "music", "musicvideos", "homevideos", "boxsets", "books", "mixed"}

func (st *state) addLibrary(l Library) *Library {
	if l.ID == "" {
		l.ID = randomHex(16)
	}
	for slices.ContainsFunc(st.libraries, func(have *Library) bool { return strings.EqualFold(have.Name, l.Name) }) {
		l.Name += "1" // as the server does, until the name is free
	}
	st.libraries = append(st.libraries, &l)
	return &l
}

func listVirtualFolders(c *call) reply {
	return encoded(func(e *encoder) {
		e.openList()
		for _, l := range c.st.libraries {
			if l.ViewOnly {
				continue
			}
			e.open()
			e.str("Name", l.Name)
			e.strs("Locations", l.Paths)
			e.optStr("CollectionType", l.Type)
			e.key("LibraryOptions")
			l.encodeOptions(e, c.p)
			if !l.Unscanned {
				e.str("ItemId", l.ID)
				e.str("PrimaryImageItemId", l.ID)
			}
			e.str("RefreshStatus", "Idle")
			e.close()
		}
		e.closeList()
	})
}

func (l *Library) encodeOptions(e *encoder, p *profile) {
	e.open()
	if p.disabledLibraries {
		e.boolean("Enabled", !l.Disabled)
	}
	e.boolean("EnablePhotos", true)
	e.boolean("EnableRealtimeMonitor", true)
	e.boolean("EnableChapterImageExtraction", false)
	e.boolean("ExtractChapterImagesDuringLibraryScan", false)
	e.key("PathInfos")
	e.openList()
	for _, path := range l.Paths {
		e.open()
		e.str("Path", path)
		e.close()
	}
	e.closeList()
	e.boolean("SaveLocalMetadata", false)
	e.boolean("EnableAutomaticSeriesGrouping", false)
	e.boolean("EnableEmbeddedTitles", false)
	e.boolean("EnableEmbeddedEpisodeInfos", false)
	e.integer("AutomaticRefreshIntervalDays", 0)
	e.str("SeasonZeroDisplayName", "Specials")
	e.strs("DisabledLocalMetadataReaders", nil)
	e.strs("DisabledSubtitleFetchers", nil)
	e.strs("SubtitleFetcherOrder", nil)
	e.boolean("SkipSubtitlesIfEmbeddedSubtitlesPresent", false)
	e.boolean("SkipSubtitlesIfAudioTrackMatches", false)
	e.boolean("RequirePerfectSubtitleMatch", true)
	e.boolean("SaveSubtitlesWithMedia", true)
	e.boolean("AutomaticallyAddToCollection", false)
	e.str("AllowEmbeddedSubtitles", "AllowAll")
	e.key("TypeOptions")
	e.openList()
	e.closeList()
	e.close()
}

// addVirtualFolder makes a library. It has an id only after a scan.
func addVirtualFolder(c *call) reply {
	name, kind := c.query["name"], strings.ToLower(c.query["collectiontype"])
	var paths []string
	if text := c.query["paths"]; text != "" {
		paths = strings.Split(text, ",")
	}
	scan := c.queryBool("refreshLibrary")
	if len(c.body) > 0 { // the options may be left out, body and all
		c.decode("libraryOptionsDto")
	}
	if kind != "" && !slices.Contains(collectionTypes, kind) {
		c.errs.add("collectionType", "The value '"+kind+"' is not valid.")
	}
	if c.p.edgeBlankLibraries && name != strings.TrimSpace(name) {
		c.errs.add("name", "The library name must not begin or end with a space.")
	}
	if r, bad := c.invalid(); bad {
		return r
	}
	if strings.TrimSpace(name) == "" {
		return thrown(http.StatusBadRequest)
	}
	if slices.ContainsFunc(paths, missingPath) {
		return thrown(http.StatusNotFound)
	}
	if kind == "mixed" {
		kind = ""
	}
	c.commit(func() {
		c.st.addLibrary(Library{Name: name, Type: kind, Paths: paths, Unscanned: scan == nil || !*scan})
	})
	return empty(http.StatusNoContent)
}

// missingPath says which folders the simulated disk lacks: all under /missing.
func missingPath(path string) bool {
	return path == "/missing" || strings.HasPrefix(path, "/missing/")
}

func listMediaFolders(c *call) reply {
	hidden := c.queryBool("isHidden")
	if r, bad := c.invalid(); bad {
		return r
	}
	var shown []*Library
	for _, l := range c.st.libraries {
		switch {
		case l.Unscanned, hidden != nil && l.Hidden != *hidden, l.Disabled && c.p.disabledLibraries:
		default:
			shown = append(shown, l)
		}
	}
	return encoded(func(e *encoder) {
		e.queryResult(len(shown), func(i int) {
			l := shown[i]
			kind := "CollectionFolder"
			if l.ViewOnly {
				kind = "UserView"
			}
			e.open()
			e.str("Name", l.Name)
			e.str("ServerId", c.st.serverID)
			e.str("Id", l.ID)
			e.boolean("CanDelete", false)
			e.boolean("CanDownload", false)
			e.str("SortName", strings.ToLower(l.Name))
			e.boolean("EnableMediaSourceDisplay", true)
			e.boolean("IsFolder", true)
			e.str("Type", kind)
			e.optStr("CollectionType", l.Type)
			e.str("LocationType", "FileSystem")
			e.str("MediaType", "Unknown")
			e.close()
		})
	})
}
