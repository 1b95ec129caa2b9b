package jellyfintest

import "net/http"

// ItemCounts is what GET /Items/Counts answers.
type ItemCounts struct {
	Movies, Series, Episodes, Artists, Programs, Trailers, Songs, Albums, MusicVideos, BoxSets, Books, Items int
}

// Provider checks passwords, or resets them.
type Provider struct {
	Name string
	ID   string
	// Foreign providers (LDAP, SSO) keep passwords elsewhere: changing one
	// there fails with 500.
	Foreign bool
	// Passwords is what a foreign provider accepts, by user name.
	Passwords map[string]string
}

func (c *call) localAddress() string { return "http://" + c.r.Host + c.s.base }

func (c *call) encodePublicInfo(e *encoder) {
	e.str("LocalAddress", c.localAddress())
	e.str("ServerName", c.st.serverName)
	e.str("Version", c.p.version.String())
	e.str("ProductName", "Jellyfin Server")
	e.str("OperatingSystem", "")
	e.str("Id", c.st.serverID)
	e.boolean("StartupWizardCompleted", c.st.wizardDone)
}

func publicInfo(c *call) reply {
	return encoded(func(e *encoder) {
		e.open()
		c.encodePublicInfo(e)
		e.close()
	})
}

func systemInfo(c *call) reply {
	return encoded(func(e *encoder) {
		e.open()
		c.encodePublicInfo(e)
		e.str("OperatingSystemDisplayName", "")
		e.boolean("HasPendingRestart", false)
		e.boolean("IsShuttingDown", false)
		e.boolean("SupportsLibraryMonitor", true)
		e.integer("WebSocketPortNumber", 8096)
		e.strs("CompletedInstallations", nil)
		e.boolean("CanSelfRestart", true)
		e.boolean("CanLaunchWebBrowser", false)
		e.str("ProgramDataPath", "/config")
		e.str("WebPath", "/jellyfin/jellyfin-web")
		e.str("ItemsByNamePath", "/config/metadata")
		e.str("CachePath", "/cache")
		e.str("LogPath", "/config/log")
		e.str("InternalMetadataPath", "/config/metadata")
		e.str("TranscodingTempPath", "/cache/transcodes")
		if c.p.castReceivers {
			e.key("CastReceiverApplications")
			e.openList()
			for i, name := range []string{"Stable", "Unstable"} {
				e.open()
				e.str("Id", castReceivers[i])
				e.str("Name", name)
				e.close()
			}
			e.closeList()
		}
		e.boolean("HasUpdateAvailable", false)
		e.str("EncoderLocation", "System")
		e.str("SystemArchitecture", "X64")
		e.close()
	})
}

func ping(*call) reply { return said(http.StatusOK, "Jellyfin Server") }

func health(*call) reply {
	return reply{status: http.StatusOK, contentType: typeText, body: []byte("Healthy")}
}

// webClient stands where the redirects lead.
func webClient(*call) reply { return page(http.StatusOK, "Jellyfin", false) }

func branding(*call) reply {
	return encoded(func(e *encoder) {
		e.open()
		e.boolean("SplashscreenEnabled", false)
		e.close()
	})
}

func itemCounts(c *call) reply {
	c.queryID("userId")
	c.queryBool("isFavorite")
	if r, bad := c.invalid(); bad {
		return r
	}
	n := c.st.counts
	return encoded(func(e *encoder) {
		e.open()
		e.integer("MovieCount", n.Movies)
		e.integer("SeriesCount", n.Series)
		e.integer("EpisodeCount", n.Episodes)
		e.integer("ArtistCount", n.Artists)
		e.integer("ProgramCount", n.Programs)
		e.integer("TrailerCount", n.Trailers)
		e.integer("SongCount", n.Songs)
		e.integer("AlbumCount", n.Albums)
		e.integer("MusicVideoCount", n.MusicVideos)
		e.integer("BoxSetCount", n.BoxSets)
		e.integer("BookCount", n.Books)
		e.integer("ItemCount", n.Items)
		e.close()
	})
}

// parentalRatings: the scale changed in 10.11, from values to scores.
func parentalRatings(c *call) reply {
	ratings := []struct {
		name             string
		value            int
		score, sub       int
		unrated, noMinor bool
	}{
		{name: "Unrated", unrated: true},
		{name: "G", value: 1, score: 0, noMinor: true},
		{name: "PG", value: 5, score: 10, sub: 0},
		{name: "PG-13", value: 7, score: 13, sub: 0},
		{name: "R", value: 9, score: 17, sub: 0},
		{name: "NC-17", value: 10, score: 17, sub: 1},
	}
	return encoded(func(e *encoder) {
		e.openList()
		for _, r := range ratings {
			e.open()
			e.str("Name", r.name)
			switch {
			case r.unrated: // null, so left out
			case !c.p.ratingScores:
				e.integer("Value", r.value)
			default:
				e.integer("Value", r.score)
				e.key("RatingScore")
				e.open()
				e.integer("score", r.score)
				if !r.noMinor {
					e.integer("subScore", r.sub)
				}
				e.close()
			}
			e.close()
		}
		e.closeList()
	})
}

func authProviders(c *call) reply { return providerList(c.st.providers) }

func resetProviders(*call) reply {
	return providerList([]Provider{{Name: "Default", ID: DefaultPasswordResetProvider}})
}

// providerList puts the default first, which is where it stands.
func providerList(all []Provider) reply {
	return encoded(func(e *encoder) {
		e.openList()
		for _, p := range all {
			e.open()
			e.str("Name", p.Name)
			e.str("Id", p.ID)
			e.close()
		}
		e.closeList()
	})
}
