package jellyfintest

import (
	"strings"
	"testing"
)

func TestSystem(t *testing.T) {
	bare := func(method, path string) func(d *double) answer {
		return func(d *double) answer { return d.bare(method, path, "") }
	}
	keyed := func(method, path string) func(d *double) answer {
		return func(d *double) answer { return d.do(method, path, "") }
	}
	byUser := func(method, path string) func(d *double) answer {
		return func(d *double) answer {
			d.AddUser("bob", "pw")
			return d.as(d.token("bob", "pw", "dev"), method, path, "")
		}
	}
	run(t, []row{
		{name: "PublicInfo", act: bare("GET", "/System/Info/Public"), want: all("200")},
		{name: "InfoAnonymous", act: bare("GET", "/System/Info"), want: all("401")},
		{name: "InfoUser", act: byUser("GET", "/System/Info"), want: all("200")},
		{name: "InfoKey", act: keyed("GET", "/System/Info"), want: all("200")},
		{name: "PingGet", act: bare("GET", "/System/Ping"), want: all("200 B Jellyfin Server")},
		{name: "PingPost", act: bare("POST", "/System/Ping"), want: all("200 B Jellyfin Server")},
		{name: "Branding", act: bare("GET", "/Branding/Configuration"), want: all("200")},
		{name: "ProvidersAnonymous", act: bare("GET", "/Auth/Providers"), want: all("401")},
		{name: "ProvidersUser", act: byUser("GET", "/Auth/Providers"), want: all("403")},
		{name: "ProvidersKey", act: keyed("GET", "/Auth/Providers"), want: all("200")},
		{name: "ResetProviders", act: keyed("GET", "/Auth/PasswordResetProviders"), want: all("200")},
		{name: "ResetProvidersUser", act: byUser("GET", "/Auth/PasswordResetProviders"), want: all("403")},
		{name: "Counts", act: keyed("GET", "/Items/Counts"), want: all("200")},
		{name: "CountsUser", act: byUser("GET", "/Items/Counts?isFavorite=true"), want: all("200")},
		{name: "CountsAnonymous", act: bare("GET", "/Items/Counts"), want: all("401")},
		{name: "Ratings", act: keyed("GET", "/Localization/ParentalRatings"), want: all("200")},
		{name: "RatingsAnonymous", act: bare("GET", "/Localization/ParentalRatings"), want: all("401")},
	})
}

func TestSystemBodies(t *testing.T) {
	reported := want{"10.8.13", "10.10.7", "10.11.6", "10.11.11", "12.0.0"}
	each(t, Config{ServerName: "Home", ServerID: someID}, func(d *double) {
		info := d.bare("GET", "/System/Info/Public", "").members(d.t)
		if info["Version"] != reported[d.column] || info["ProductName"] != "Jellyfin Server" || info["ServerName"] != "Home" ||
			info["Id"] != someID || info["StartupWizardCompleted"] != true || info["OperatingSystem"] != "" || info["LocalAddress"] != d.URL() {
			d.t.Fatal(info)
		}
		more := d.do("GET", "/System/Info", "").members(d.t)
		if more["HasPendingRestart"] != false || more["ProgramDataPath"] == nil {
			d.t.Fatal(more)
		}
		if _, there := more["CastReceiverApplications"]; there != (d.column > 0) {
			d.t.Fatal("cast receivers came with 10.9")
		}
		health := d.bare("GET", "/health", "")
		if health.status != 200 || health.body != "Healthy" || health.header.Get("Content-Type") != "text/plain" {
			d.t.Fatalf("%+v", health)
		}
		if a := d.bare("GET", "/Branding/Configuration", ""); a.body != `{"SplashscreenEnabled":false}` { // nulls are left out
			d.t.Fatal(a.body)
		}
		d.AddProvider(Provider{Name: "LDAP", ID: "Ldap", Foreign: true})
		if a := d.do("GET", "/Auth/Providers", ""); a.body != `[{"Name":"Default","Id":"`+DefaultAuthenticationProvider+`"},{"Name":"LDAP","Id":"Ldap"}]` {
			d.t.Fatal(a.body)
		}
		if a := d.do("GET", "/Auth/PasswordResetProviders", ""); a.body != `[{"Name":"Default","Id":"`+DefaultPasswordResetProvider+`"}]` {
			d.t.Fatal(a.body)
		}
		d.SetItemCounts(ItemCounts{Movies: 3, Items: 3})
		if counts := d.do("GET", "/Items/Counts", "").members(d.t); counts["MovieCount"] != 3.0 || len(counts) != 12 {
			d.t.Fatal(counts)
		}
		ratings := d.do("GET", "/Localization/ParentalRatings", "").body
		if strings.Contains(ratings, "RatingScore") != (d.column >= 2) || strings.Contains(ratings, `"score"`) != (d.column >= 2) {
			d.t.Fatal(ratings)
		}
	})
}

func TestLibraries(t *testing.T) {
	add := func(query string) func(d *double) answer {
		return func(d *double) answer { return d.do("POST", "/Library/VirtualFolders?"+query, "{}") }
	}
	run(t, []row{
		{name: "Add", act: add("name=Films&collectionType=movies&paths=/media/films&refreshLibrary=true"), want: all("204"), then: func(d *double) {
			l := d.Libraries()[0]
			if l.Name != "Films" || l.Type != "movies" || l.Paths[0] != "/media/films" || l.Unscanned {
				d.t.Fatalf("%+v", l)
			}
		}},
		{name: "AddWithoutBody", act: func(d *double) answer { return d.do("POST", "/Library/VirtualFolders?name=Films", "") }, want: all("204")},
		{name: "MissingPath", act: add("name=Films&paths=/missing/films"), want: all("404 A")},
		{name: "EdgeBlank", act: add("name=Films%20"), want: only12("204", "400 C name")},
		{name: "NoName", act: add(""), want: all("400 A")},
		{name: "BadType", act: add("name=Films&collectionType=pictures"), want: all("400 C collectionType")},
		{name: "Anonymous", act: func(d *double) answer { return d.bare("GET", "/Library/VirtualFolders", "") }, want: all("401")},
		{name: "List", act: func(d *double) answer { return d.do("GET", "/Library/VirtualFolders", "") }, want: all("200")},
		{name: "MediaFoldersAnonymous", act: func(d *double) answer { return d.bare("GET", "/Library/MediaFolders", "") }, want: all("401")},
		{name: "MediaFolders", act: func(d *double) answer { return d.do("GET", "/Library/MediaFolders", "") }, want: all("200")},
	})
}

func TestLibraryBodies(t *testing.T) {
	each(t, Config{}, func(d *double) {
		films := d.AddLibrary(Library{Name: "Films", Type: "movies", Paths: []string{"/media/films"}})
		d.AddLibrary(Library{Name: "Mixed"})
		d.AddLibrary(Library{Name: "New", Unscanned: true})
		d.AddLibrary(Library{Name: "Off", Disabled: true})
		d.AddLibrary(Library{Name: "Secret", Hidden: true})
		d.AddLibrary(Library{Name: "Playlists", Type: "playlists", ViewOnly: true})

		var folders []map[string]any
		d.do("GET", "/Library/VirtualFolders", "").get(d.t, &folders)
		if len(folders) != 5 || folders[0]["ItemId"] != films || folders[0]["CollectionType"] != "movies" {
			d.t.Fatal(folders)
		}
		if _, there := folders[1]["CollectionType"]; there { // absent means mixed
			d.t.Fatal(folders[1])
		}
		if _, there := folders[2]["ItemId"]; there { // not scanned yet
			d.t.Fatal(folders[2])
		}
		d.ScanLibraries()
		names := func(query string) string {
			var list struct {
				Items []struct {
					Name, ID, ServerID string
					CollectionType     string
				}
				TotalRecordCount int
			}
			d.do("GET", "/Library/MediaFolders"+query, "").get(d.t, &list)
			var all []string
			for _, i := range list.Items {
				all = append(all, i.Name)
			}
			if list.TotalRecordCount != len(all) {
				d.t.Fatalf("%+v", list)
			}
			return strings.Join(all, " ")
		}
		disabled := since109(" Off", "")[d.column]
		if got := names(""); got != "Films Mixed New"+disabled+" Secret Playlists" {
			d.t.Fatal(got)
		}
		if got := names("?isHidden=false"); got != "Films Mixed New"+disabled+" Playlists" {
			d.t.Fatal(got)
		}
		if d.AddLibrary(Library{Name: "films"}); d.Libraries()[6].Name != "films1" {
			d.t.Fatal(d.Libraries()[6])
		}
		if err := d.RemoveLibrary("Mixed"); err != nil || len(d.Libraries()) != 6 {
			d.t.Fatal(err)
		}
	})
}
