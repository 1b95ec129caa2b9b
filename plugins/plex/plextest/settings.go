package plextest

import (
	"strconv"
	"strings"
)

// Settings are what an owner allows one person, on all of his servers alike.
type Settings struct {
	AllowSync          bool   `json:"allow_sync"`
	AllowChannels      bool   `json:"allow_channels"`
	AllowCameraUpload  bool   `json:"allow_camera_upload"`
	AllowSubtitleAdmin bool   `json:"allow_subtitle_admin"`
	AllowTuners        int    `json:"allow_tuners"` // 0 none, 1 live TV, 2 live TV and DVR
	FilterMovies       string `json:"filter_movies"`
	FilterTelevision   string `json:"filter_television"`
	FilterMusic        string `json:"filter_music"`
	FilterPhotos       string `json:"filter_photos"`
	FilterAll          string `json:"filter_all"`
}

// settingsKey is the owner and the invitee: an account id, or the address of
// somebody who has no account yet.
type settingsKey struct {
	owner   int64
	invited string
}

type pair struct{ a, b int64 }

func friendship(a, b int64) pair { return pair{min(a, b), max(a, b)} }

func keyFor(owner, invited int64, email string) settingsKey {
	if invited != 0 {
		return settingsKey{owner, strconv.FormatInt(invited, 10)}
	}
	return settingsKey{owner, strings.ToLower(email)}
}

func (f *Fake) settingsOf(key settingsKey) Settings {
	if s := f.settings[key]; s != nil {
		return *s
	}
	return Settings{}
}

// SharingSettings gives what owner allows the account.
func (f *Fake) SharingSettings(owner, account int64) Settings {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.settingsOf(keyFor(owner, account, ""))
}

// SetSharingSettings replaces what owner allows the account, unchecked.
func (f *Fake) SetSharingSettings(owner, account int64, s Settings) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settings[keyFor(owner, account, "")] = &s
}

func (s Settings) needsPass() bool {
	return s.AllowSync || s.FilterMovies+s.FilterTelevision+s.FilterMusic+s.FilterPhotos+s.FilterAll != ""
}

// storeSettings replaces the whole set. Without the owner's Plex Pass, sync
// and filters stay off or the write is refused (false); tuners are for home
// members.
func (f *Fake) storeSettings(owner *Account, invited int64, email string, s Settings) bool {
	if s.needsPass() && !f.hasPass(owner) {
		if f.switches.RefuseWithoutPass {
			return false
		}
		s = Settings{
			AllowChannels: s.AllowChannels, AllowCameraUpload: s.AllowCameraUpload,
			AllowSubtitleAdmin: s.AllowSubtitleAdmin, AllowTuners: s.AllowTuners,
		}
	}
	if !f.switches.TunersForAnyone && !f.sameHome(owner.ID, invited) {
		s.AllowTuners = 0
	}
	if f.switches.SyncStaysOff {
		s.AllowSync = false
	}
	f.settings[keyFor(owner.ID, invited, email)] = &s
	return true
}

// readSettings takes the set out of a request; what is absent is off.
func readSettings(in fields) Settings {
	return Settings{
		AllowSync: in.truth("allowSync"), AllowChannels: in.truth("allowChannels"),
		AllowCameraUpload: in.truth("allowCameraUpload"), AllowSubtitleAdmin: in.truth("allowSubtitleAdmin"),
		AllowTuners:  int(in.number("allowTuners")),
		FilterMovies: in.text("filterMovies"), FilterTelevision: in.text("filterTelevision"),
		FilterMusic: in.text("filterMusic"), FilterPhotos: in.text("filterPhotos"), FilterAll: in.text("filterAll"),
	}
}

func (s Settings) element() *element {
	orNull := func(v string) any {
		if v == "" {
			return nil
		}
		return v
	}
	return el("sharingSettings",
		at("allowChannels", s.AllowChannels), at("filterMovies", s.FilterMovies), at("filterMusic", s.FilterMusic),
		at("filterPhotos", orNull(s.FilterPhotos)), at("filterTelevision", s.FilterTelevision), at("filterAll", orNull(s.FilterAll)),
		at("allowSync", s.AllowSync), at("allowCameraUpload", s.AllowCameraUpload),
		at("allowSubtitleAdmin", s.AllowSubtitleAdmin), at("allowTuners", s.AllowTuners))
}

// flags are the settings as v1 attributes of a User or SharedServer.
func (s Settings) flags() []attribute {
	return []attribute{
		at("allowSync", s.AllowSync), at("allowCameraUpload", s.AllowCameraUpload), at("allowChannels", s.AllowChannels),
		at("allowTuners", s.AllowTuners), at("allowSubtitleAdmin", s.AllowSubtitleAdmin),
	}
}

func (s Settings) filters() []attribute {
	return []attribute{
		at("filterAll", s.FilterAll), at("filterMovies", s.FilterMovies), at("filterMusic", s.FilterMusic),
		at("filterPhotos", s.FilterPhotos), at("filterTelevision", s.FilterTelevision),
	}
}

// knows says whether the owner has any tie to the account.
func (f *Fake) knows(owner, account int64) bool {
	if f.isConnected(owner, account) {
		return true
	}
	for _, s := range f.shares {
		if s.Owner == owner && s.InvitedID == account && s.live() {
			return true
		}
	}
	return false
}

// getSettings is GET v2/sharing_settings?invitedId=.
func (c *call) getSettings() reply {
	a := c.f.findAccount(c.query("invitedId"))
	if a == nil || !c.f.knows(c.who.ID, a.ID) {
		return notFoundV2()
	}
	return ok(c.f.settingsOf(keyFor(c.who.ID, a.ID, "")).element())
}

// postSettings replaces the set of one person.
func (c *call) postSettings() reply {
	a := c.f.findAccount(c.fields.text("invitedId"))
	if !c.fields.has("invitedId") {
		a = c.f.byAddress(c.fields.text("invitedEmail"))
	}
	if a == nil || !c.f.knows(c.who.ID, a.ID) {
		return notFoundV2()
	}
	if !c.f.storeSettings(c.who, a.ID, "", readSettings(c.fields.sub("settings"))) {
		return needsPassV2()
	}
	return ok(c.f.settingsOf(keyFor(c.who.ID, a.ID, "")).element())
}

// putSharings is the older call: only the flags in the query are written.
func (c *call) putSharings() reply {
	id, err := strconv.ParseInt(c.r.PathValue("uid"), 10, 64)
	if err != nil || c.f.account(id) == nil || !c.f.knows(c.who.ID, id) {
		return notFoundV2()
	}
	s := c.f.settingsOf(keyFor(c.who.ID, id, ""))
	for name, values := range c.r.URL.Query() {
		s.set(name, values[0])
	}
	if !c.f.storeSettings(c.who, id, "", s) {
		return needsPassV2()
	}
	return ok(c.f.settingsOf(keyFor(c.who.ID, id, "")).element())
}

func (s *Settings) set(name, value string) {
	switch name {
	case "allowSync":
		s.AllowSync = truth(value)
	case "allowChannels":
		s.AllowChannels = truth(value)
	case "allowCameraUpload":
		s.AllowCameraUpload = truth(value)
	case "allowSubtitleAdmin":
		s.AllowSubtitleAdmin = truth(value)
	case "allowTuners":
		s.AllowTuners, _ = strconv.Atoi(value)
	case "filterMovies":
		s.FilterMovies = value
	case "filterTelevision":
		s.FilterTelevision = value
	case "filterMusic":
		s.FilterMusic = value
	case "filterPhotos":
		s.FilterPhotos = value
	case "filterAll":
		s.FilterAll = value
	}
}

func needsPassV2() reply { return invalidV2(422, "This setting requires a Plex Pass") }
