package jellyfintest

import (
	"net/http"
	"slices"
)

// Configuration is what a user chose for themselves.
type Configuration struct {
	AudioLanguagePreference    string
	PlayDefaultAudioTrack      bool
	SubtitleLanguagePreference string
	DisplayMissingEpisodes     bool
	GroupedFolders             []string
	SubtitleMode               string
	DisplayCollectionsView     bool
	EnableLocalPassword        bool
	OrderedViews               []string
	LatestItemsExcludes        []string
	MyMediaExcludes            []string
	HidePlayedInLatest         bool
	RememberAudioSelections    bool
	RememberSubtitleSelections bool
	EnableNextEpisodeAutoPlay  bool
	CastReceiverId             string // 10.9
}

var subtitleModes = []string{"Default", "Always", "OnlyForced", "None", "Smart"}

// castReceivers are the ids that the server knows, the default first.
var castReceivers = []string{"F007D354", "6F511C87"}

// defaultConfiguration is a new user's, and what omitted members are worth.
func defaultConfiguration() *Configuration {
	return &Configuration{
		PlayDefaultAudioTrack:      true,
		SubtitleMode:               subtitleModes[0],
		HidePlayedInLatest:         true,
		RememberAudioSelections:    true,
		RememberSubtitleSelections: true,
		EnableNextEpisodeAutoPlay:  true,
		CastReceiverId:             castReceivers[0],
	}
}

func (g *Configuration) encode(e *encoder, p *profile) {
	e.open()
	e.optStr("AudioLanguagePreference", g.AudioLanguagePreference)
	e.boolean("PlayDefaultAudioTrack", g.PlayDefaultAudioTrack)
	e.str("SubtitleLanguagePreference", g.SubtitleLanguagePreference)
	e.boolean("DisplayMissingEpisodes", g.DisplayMissingEpisodes)
	e.strs("GroupedFolders", g.GroupedFolders)
	e.str("SubtitleMode", g.SubtitleMode)
	e.boolean("DisplayCollectionsView", g.DisplayCollectionsView)
	e.boolean("EnableLocalPassword", g.EnableLocalPassword)
	e.strs("OrderedViews", g.OrderedViews)
	e.strs("LatestItemsExcludes", g.LatestItemsExcludes)
	e.strs("MyMediaExcludes", g.MyMediaExcludes)
	e.boolean("HidePlayedInLatest", g.HidePlayedInLatest)
	e.boolean("RememberAudioSelections", g.RememberAudioSelections)
	e.boolean("RememberSubtitleSelections", g.RememberSubtitleSelections)
	e.boolean("EnableNextEpisodeAutoPlay", g.EnableNextEpisodeAutoPlay)
	if p.castReceivers {
		e.str("CastReceiverId", g.CastReceiverId)
	}
	e.close()
}

// decodeConfiguration reads a full replacement; only the cast receiver is kept
// when an unknown one is sent.
func decodeConfiguration(d *decoder, p *profile) *Configuration {
	g := defaultConfiguration()
	ids := d.strs
	if p.guidLists {
		ids = d.ids
	}
	g.AudioLanguagePreference = d.strOr("AudioLanguagePreference", "")
	d.boolean("PlayDefaultAudioTrack", &g.PlayDefaultAudioTrack)
	g.SubtitleLanguagePreference = d.strOr("SubtitleLanguagePreference", "")
	d.boolean("DisplayMissingEpisodes", &g.DisplayMissingEpisodes)
	ids("GroupedFolders", &g.GroupedFolders)
	d.enum("SubtitleMode", subtitleModes, &g.SubtitleMode)
	d.boolean("DisplayCollectionsView", &g.DisplayCollectionsView)
	d.boolean("EnableLocalPassword", &g.EnableLocalPassword)
	ids("OrderedViews", &g.OrderedViews)
	ids("LatestItemsExcludes", &g.LatestItemsExcludes)
	ids("MyMediaExcludes", &g.MyMediaExcludes)
	d.boolean("HidePlayedInLatest", &g.HidePlayedInLatest)
	d.boolean("RememberAudioSelections", &g.RememberAudioSelections)
	d.boolean("RememberSubtitleSelections", &g.RememberSubtitleSelections)
	d.boolean("EnableNextEpisodeAutoPlay", &g.EnableNextEpisodeAutoPlay)
	g.CastReceiverId = d.strOr("CastReceiverId", "")
	return g
}

// configure replaces a user's configuration.
func (st *state) configure(e *entry, g *Configuration) {
	st.change(e, func(u *user) {
		if !slices.Contains(castReceivers, g.CastReceiverId) {
			g.CastReceiverId = u.config.CastReceiverId
		}
		u.config = g
	})
}

func updateConfiguration(c *call) reply {
	id, _ := c.userID()
	g := decodeConfiguration(c.decode("userConfig"), c.p)
	e, r, done := c.settable(id, "User configuration update not allowed", false)
	if done {
		return r
	}
	c.commit(func() { c.st.configure(e, g) })
	return empty(http.StatusNoContent)
}

// updateUser renames a user and replaces the configuration; of the rest of the
// body, the policy included, nothing is used.
func updateUser(c *call) reply {
	id, _ := c.userID()
	d := c.decode("updateUser")
	name := d.strOr("Name", "")
	g := defaultConfiguration()
	inner, nulled := d.object("Configuration")
	if inner != nil {
		g = decodeConfiguration(inner, c.p)
	}
	e, r, done := c.settable(id, "User update not allowed.", false)
	if done {
		return r
	}
	if current := e.rec.Load().name; name != current {
		if !c.renameAllowed(e, current, name) {
			return thrown(http.StatusBadRequest)
		}
		if c.st.conflicts(name, e) {
			return thrown(http.StatusInternalServerError)
		}
		c.commit(func() { c.st.change(e, func(u *user) { u.name = name }) })
	}
	if nulled {
		return thrown(http.StatusInternalServerError) // after the rename was stored
	}
	c.commit(func() { c.st.configure(e, g) })
	return empty(http.StatusNoContent)
}

func (c *call) renameAllowed(e *entry, current, name string) bool {
	if name == "" || !c.p.validName(name) {
		return false
	}
	if c.p.fold(current) == c.p.fold(name) && !c.p.caseOnlyRename {
		return false // the server finds the user's own name taken
	}
	return !slices.ContainsFunc(c.st.named(name), func(other *entry) bool { return other != e })
}

// settable finds the user of a request that changes one, and refuses what may
// not be changed. refusal is the text for those without the right.
func (c *call) settable(id, refusal string, passwordStyle bool) (*entry, reply, bool) {
	if r, bad := c.invalid(); bad {
		return nil, r, true
	}
	if c.p.keyIsNobody && c.who.kind == keyHolder {
		return nil, thrown(http.StatusInternalServerError), true // the key's user is null
	}
	if id == zeroID {
		return nil, thrown(http.StatusBadRequest), true
	}
	e := c.st.entries[id]
	// 10.8 asks for the right first, later versions for the user.
	if c.p.keyIsNobody && !c.maySet(id) {
		return nil, said(http.StatusForbidden, refusal), true
	}
	if e == nil {
		switch {
		case passwordStyle && !c.p.unknownProblem:
			return nil, said(http.StatusNotFound, "User not found"), true
		case c.p.nullUserBreaks:
			return nil, thrown(http.StatusInternalServerError), true
		default:
			return nil, c.p.problem(http.StatusNotFound), true
		}
	}
	if !c.maySet(id) {
		return nil, said(http.StatusForbidden, refusal), true
	}
	if e.ghost() {
		return nil, thrown(http.StatusInternalServerError), true
	}
	return e, reply{}, false
}
