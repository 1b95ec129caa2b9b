package plextest

import (
	"fmt"
	"net/http"
)

// librarySections lists what the caller may open; a friend sees his share only.
func (c *call) librarySections() reply {
	sections := c.server.spec.Sections
	if c.role == pmsFriend {
		sections = nil
		if v, open := c.viewer.presentView(); open {
			sections = c.viewer.opened(v)
		}
	}
	var items []*element
	for i, section := range sections {
		base := "/library/sections/" + section.Key
		items = append(items, el("Directory",
			at("allowSync", true), at("art", "/:/resources/"+section.Type+"-fanart.jpg"), at("composite", base+"/composite"),
			at("filters", true), at("refreshing", false), at("thumb", "/:/resources/"+section.Type+".png"), at("key", section.Key),
			at("type", section.Type), at("title", section.Title), at("agent", "tv.plex.agents."+section.Type),
			at("scanner", "Plex "+section.Type), at("language", "en-US"), at("uuid", section.UUID),
			at("updatedAt", epoch(c.server.createdAt)), at("createdAt", epoch(c.server.createdAt)), at("scannedAt", epoch(c.server.createdAt)),
			at("content", true), at("directory", true), at("contentChangedAt", 1), at("hidden", 0),
		).inline("Location", el("Location", at("id", i+1), at("path", "/media/"+section.Key))))
	}
	return c.page(el("MediaContainer", at("allowSync", true), at("title1", "Plex Library")), "Directory", items)
}

func (c *call) library() reply {
	return okPMS(el("MediaContainer", at("size", 1), at("allowSync", false), at("art", "/:/resources/library-art.png"),
		at("content", ""), at("identifier", "com.plexapp.plugins.library"), at("title1", "Plex Library"),
	).inline("Directory", el("Directory", at("key", "sections"), at("title", "Library Sections"))))
}

// localAccounts are rows of the server's own history, not an access list: id 1
// is the owner, the others are plex.tv ids of people who came by.
func (c *call) localAccounts() reply {
	return c.page(el("MediaContainer", at("identifier", "com.plexapp.system.accounts")), "Account", c.accountRows())
}

func (c *call) localAccount() reply {
	for _, row := range c.accountRows() {
		if fmt.Sprint(row.attrs[0].value) == c.r.PathValue("id") {
			return okPMS(el("MediaContainer", at("size", 1), at("identifier", "com.plexapp.system.accounts")).inline("Account", row))
		}
	}
	return html(http.StatusNotFound, "Not Found")
}

func (c *call) accountRows() []*element {
	row := func(id int64, name string) *element {
		return el("Account", at("id", id), at("key", fmt.Sprintf("/accounts/%d", id)), at("name", name),
			at("defaultAudioLanguage", "en"), at("autoSelectAudio", true), at("defaultSubtitleLanguage", "en"),
			at("subtitleMode", 1), at("thumb", ""))
	}
	rows := []*element{row(0, "")}
	if a := c.f.account(c.server.spec.Owner); a != nil && !c.server.spec.Unclaimed {
		rows = append(rows, row(1, a.Username))
	}
	for _, id := range c.server.localUsers {
		name := ""
		if a := c.f.account(id); a != nil {
			name = a.Title
		}
		rows = append(rows, row(id, name))
	}
	return rows
}

func (c *call) myPlexAccount() reply {
	username, state := "", "none"
	if a := c.f.account(c.server.spec.Owner); a != nil && !c.server.spec.Unclaimed {
		username, state = a.Username, "ok"
	}
	return okPMS(el("MyPlex", at("username", username), at("mappingState", "mapped"), at("mappingError", ""), at("signInState", state),
		at("publicAddress", "203.0.113.1"), at("publicPort", 32400), at("privateAddress", "127.0.0.1"), at("privatePort", 32400),
		at("subscriptionFeatures", ""), at("subscriptionActive", false), at("subscriptionState", "Unknown")))
}

// LocalAccounts lists the plex.tv ids of people the server has rows of.
func (s *Server) LocalAccounts() []int64 {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	return append([]int64(nil), s.localUsers...)
}
