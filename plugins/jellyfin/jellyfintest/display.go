package jellyfintest

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// displayPrefs is how one client shows things to one user.
type displayPrefs struct {
	SortBy          string
	SortOrder       string
	ScrollDirection string
	ShowBackdrop    bool
	ShowSidebar     bool
	RememberSorting bool
	RememberIndex   bool
	Custom          map[string]*string
}

// hashID turns a text into an id as the server does: MD5 of UTF-16, read as a
// Guid, whose first three groups are little-endian.
func hashID(text string) string {
	var raw []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		raw = append(raw, byte(unit), byte(unit>>8))
	}
	sum := md5.Sum(raw) // ids are derived from it; nothing is protected by it
	slices.Reverse(sum[0:4])
	slices.Reverse(sum[4:6])
	slices.Reverse(sum[6:8])
	return hex.EncodeToString(sum[:])
}

// displayKey finds whose preferences are meant, and under which id.
func (c *call) displayKey() (key, id, client string) {
	userID, given := c.queryID("userId")
	if !given {
		userID = c.who.id()
	}
	if client = c.query["client"]; client == "" {
		c.errs.required("client")
	}
	id, ok := parseID(c.param("displayPreferencesId"))
	if !ok {
		id = hashID(c.param("displayPreferencesId"))
	}
	return userID + "/" + id + "/" + strings.ToLower(client), id, client
}

func getDisplayPreferences(c *call) reply {
	key, id, client := c.displayKey()
	if r, bad := c.invalid(); bad {
		return r
	}
	prefs := c.st.prefs[key]
	if prefs == nil {
		prefs = defaultDisplay()
	}
	names := make([]string, 0, len(prefs.Custom))
	for name := range prefs.Custom {
		names = append(names, name)
	}
	slices.Sort(names)
	return encoded(func(e *encoder) {
		e.open()
		e.str("Id", id)
		e.str("SortBy", prefs.SortBy)
		e.boolean("RememberIndexing", prefs.RememberIndex)
		e.integer("PrimaryImageHeight", 250)
		e.integer("PrimaryImageWidth", 250)
		e.key("CustomPrefs")
		e.open()
		for _, name := range names {
			e.anyKey(name)
			if value := prefs.Custom[name]; value != nil {
				e.text(*value)
			} else { // a dictionary keeps its nulls
				e.b = append(e.b, "null"...)
				e.more = true
			}
		}
		e.close()
		e.str("ScrollDirection", prefs.ScrollDirection)
		e.boolean("ShowBackdrop", prefs.ShowBackdrop)
		e.boolean("RememberSorting", prefs.RememberSorting)
		e.str("SortOrder", prefs.SortOrder)
		e.boolean("ShowSidebar", prefs.ShowSidebar)
		e.str("Client", client)
		e.close()
	})
}

func defaultDisplay() *displayPrefs {
	text := func(s string) *string { return &s }
	return &displayPrefs{
		SortBy: "SortName", SortOrder: "Ascending", ScrollDirection: "Horizontal", ShowBackdrop: true,
		Custom: map[string]*string{
			"chromecastVersion":          text("stable"),
			"skipForwardLength":          text("30000"),
			"skipBackLength":             text("10000"),
			"enableNextVideoInfoOverlay": text("False"),
			"tvhome":                     nil,
			"dashboardTheme":             nil,
		},
	}
}

func setDisplayPreferences(c *call) reply {
	key, _, _ := c.displayKey()
	d := c.decode("displayPreferences")
	prefs := defaultDisplay()
	prefs.SortBy = d.strOr("SortBy", prefs.SortBy)
	d.enum("SortOrder", []string{"Ascending", "Descending"}, &prefs.SortOrder)
	d.enum("ScrollDirection", []string{"Horizontal", "Vertical"}, &prefs.ScrollDirection)
	d.boolean("ShowBackdrop", &prefs.ShowBackdrop)
	d.boolean("ShowSidebar", &prefs.ShowSidebar)
	d.boolean("RememberSorting", &prefs.RememberSorting)
	d.boolean("RememberIndexing", &prefs.RememberIndex)
	raw, sent := d.raw("CustomPrefs")
	var custom map[string]*string
	if sent && json.Unmarshal(raw, &custom) != nil {
		d.wrongType("CustomPrefs", "System.Collections.Generic.Dictionary")
	}
	if r, bad := c.invalid(); bad {
		return r
	}
	if custom == nil {
		return thrown(http.StatusInternalServerError) // a null dereference
	}
	for name, value := range custom {
		if value == nil {
			continue
		}
		if strings.EqualFold(name, "skipForwardLength") || strings.EqualFold(name, "skipBackLength") {
			if _, err := strconv.Atoi(*value); err != nil {
				return thrown(http.StatusInternalServerError)
			}
		}
	}
	for name, value := range custom {
		prefs.Custom[name] = value
	}
	c.commit(func() { c.st.prefs[key] = prefs })
	return empty(http.StatusNoContent)
}
