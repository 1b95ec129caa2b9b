package plex

import (
	"encoding/json"
	"testing"
)

// The decoders of everything that Plex sends: no input makes them panic, and
// what they accept is complete enough to act on.

func FuzzShares(f *testing.F) {
	f.Add([]byte(`[{"id":1,"machineIdentifier":"m","invitedId":2,"accepted":true,"allLibraries":false,"numLibraries":1,"libraries":[{"id":3,"key":1}],"sharingSettings":{"allowSync":"1","filterMovies":null,"x":{}}}]`))
	f.Add([]byte(`[{"id":1,"machineIdentifier":"m","invitedId":null,"invitedEmail":"a@b","invited":{"id":0}}]`))
	f.Add([]byte(`[]`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := decodeShares(reply{body: data})
		if err != nil {
			return
		}
		for _, sh := range list {
			checkShare(t, sh)
		}
	})
}

func FuzzSharesV1(f *testing.F) {
	f.Add([]byte(`<MediaContainer><SharedServer id="1" userID="2" acceptedAt="3" allLibraries="0" allowSync="1"><Section id="4" shared="1"/><Section id="5" shared="0"/></SharedServer></MediaContainer>`))
	f.Add([]byte(`<MediaContainer><SharedServer id="1" userID="" email="a@b" accepted="0" allLibraries="true"/></MediaContainer>`))
	f.Add([]byte(`<html/>`))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := decodeSharesV1(reply{body: data}, "m")
		if err != nil {
			return
		}
		for _, sh := range list {
			checkShare(t, sh)
		}
	})
}

func checkShare(t *testing.T, sh share) {
	t.Helper()
	if sh.ID == "" || sh.Machine == "" || sh.Who.key() == "" {
		t.Fatalf("half a share: %+v", sh)
	}
	u, err := sh.userWithState()
	if err != nil || u.ID == "" || u.Status == "" {
		t.Fatalf("%+v: %v", u, err)
	}
	s, err := sh.selection()
	if err != nil {
		return
	}
	data, err := json.Marshal(s)
	if err != nil || string(data) == "[]" && !sh.All {
		t.Fatalf("a share of %v would be written as %s, %v", sh.Sections, data, err)
	}
}

func FuzzSharing(f *testing.F) {
	f.Add([]byte(`{"allowSync":true,"allowTuners":2,"filterMovies":"label=a","filterAll":null,"new":[1]}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var set sharing
		if json.Unmarshal(data, &set) != nil {
			return
		}
		out, err := json.Marshal(set)
		if err != nil {
			t.Fatal(err)
		}
		var again sharing
		if err := json.Unmarshal(out, &again); err != nil {
			t.Fatal(err)
		}
		if d := set.differences(again); len(d) > 0 {
			t.Fatalf("%s becomes %s: %v differ", data, out, d)
		}
	})
}

func FuzzOtherDecoders(f *testing.F) {
	f.Add([]byte(`{"users":[{"id":1,"title":"a","restricted":"1"}]}`))
	f.Add([]byte(`{"MediaContainer":{"Metadata":[{"title":"x","User":{"id":"1"},"Session":{"id":"s"}}]}}`))
	f.Add([]byte(`<errors><error code="1" message="m"/></errors>`))
	f.Add([]byte(`{"v":1,"client":"c","pin":"1","code":"x","token":"t"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := reply{body: data}
		if list, err := decodeMembers(r); err == nil && len(list) == 0 {
			t.Fatal("a Home without anybody")
		}
		_, _ = decodeSessions(r)
		_, _ = decodeOpenInvites(r)
		_ = parseRefusal(data)
		if l, err := readLink(data); err == nil && (!headerSafe(l.Token) || !digits(string(l.Pin))) {
			t.Fatalf("a link that cannot be sent: %+v", l)
		}
	})
}
