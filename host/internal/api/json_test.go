package api

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/zondarr/zondarr/host/internal/auth"
	"github.com/zondarr/zondarr/host/internal/invitation"
	"github.com/zondarr/zondarr/host/internal/pluginhost"
)

// drawn fills a value of any type with what a service may give: times in any zone,
// any text, nil or not. It follows only exported fields.
func drawn(rt *rapid.T, v reflect.Value, name string) {
	switch x := v.Addr().Interface().(type) {
	case *time.Time:
		zone := time.FixedZone("", 60*rapid.IntRange(-840, 840).Draw(rt, name+" zone"))
		*x = time.Unix(0, 1000*rapid.Int64Range(0, 4_102_444_800_000_000).Draw(rt, name)).In(zone)
		return
	case *uuid.UUID:
		*x = uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(rt, name))
		return
	case *map[string]any:
		*x = map[string]any{"text": rapid.String().Draw(rt, name), "list": []any{"a", true, 1.5}}
		return
	case *error:
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(rapid.String().Draw(rt, name))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(rt, name))
	case reflect.Int, reflect.Int64:
		v.SetInt(rapid.Int64Range(-1<<53, 1<<53).Draw(rt, name))
	case reflect.Float64:
		v.SetFloat(rapid.Float64Range(0, 1e6).Draw(rt, name))
	case reflect.Pointer:
		if rapid.Bool().Draw(rt, name+" is there") {
			v.Set(reflect.New(v.Type().Elem()))
			drawn(rt, v.Elem(), name)
		}
	case reflect.Slice:
		n := rapid.IntRange(0, 2).Draw(rt, name+" length")
		if n == 0 {
			return // nil: it must be [] all the same
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			drawn(rt, v.Index(i), name)
		}
	case reflect.Map:
		if rapid.Bool().Draw(rt, name+" is empty") {
			return
		}
		value := reflect.New(v.Type().Elem()).Elem()
		drawn(rt, value, name)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("name").Convert(v.Type().Key()), value)
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && v.Field(i).CanSet() {
				drawn(rt, v.Field(i), name+"."+f.Name)
			}
		}
	}
}

// resource shows that what a service gives is JSON of the documented schema and back
// the same, with every id a text and every time in UTC.
func resource[S, R any](t *testing.T, schema string, to func(S) R) {
	t.Run(schema, func(t *testing.T) {
		d := theDocument(t)
		rapid.Check(t, func(rt *rapid.T) {
			var s S
			drawn(rt, reflect.ValueOf(&s).Elem(), schema)
			shown := to(s)
			raw, err := json.Marshal(shown)
			if err != nil {
				rt.Fatal(err)
			}
			if err := d.validate("#/components/schemas/"+schema, raw); err != nil {
				rt.Fatalf("not as documented: %v\n%s", err, raw)
			}
			var again R
			if err := json.Unmarshal(raw, &again); err != nil {
				rt.Fatal(err)
			}
			if twice, err := json.Marshal(again); err != nil || string(twice) != string(raw) {
				rt.Fatalf("there and back:\n%s\n%s, %v", raw, twice, err)
			}
			var tree any
			if err := json.Unmarshal(raw, &tree); err != nil {
				rt.Fatal(err)
			}
			checkTimes(t, schema, tree)
			checkInstants(rt, reflect.ValueOf(s), tree)
		})
	})
}

// checkInstants compares the times of the entity itself with those that are shown.
func checkInstants(rt *rapid.T, s reflect.Value, tree any) {
	for member, field := range map[string]string{"created_at": "CreatedAt", "updated_at": "UpdatedAt", "expires_at": "ExpiresAt", "finished_at": "FinishedAt"} {
		text, ok := at(tree, member).(string)
		f := reflect.Indirect(s).FieldByName(field)
		if !ok || !f.IsValid() {
			continue
		}
		want := reflect.Indirect(f).Interface().(time.Time)
		if got, err := time.Parse(time.RFC3339, text); err != nil || !got.Equal(want) {
			rt.Fatalf("%s is %s, want %s", member, text, want)
		}
	}
	if id, ok := at(tree, "id").(string); ok {
		if f := reflect.Indirect(s).FieldByName("ID"); f.Type() == reflect.TypeFor[uuid.UUID]() && f.Interface().(uuid.UUID).String() != id {
			rt.Fatalf("id is %s", id)
		}
	}
}

func TestResourcesAreJSONAndBack(t *testing.T) { // P3, R2.7
	a := &API{BaseURL: "https://join.example.org"}
	resource(t, "Server", toServer)
	resource(t, "Library", toLibrary)
	resource(t, "SyncRun", toSyncRun)
	resource(t, "Invitation", func(i invitation.Invitation) Invitation { return a.toInvitation(i, nil) })
	resource(t, "Profile", toProfile)
	resource(t, "Redemption", toRedemption)
	resource(t, "Identity", toIdentity)
	resource(t, "User", toUser)
	resource(t, "JoinResult", toJoinResult)
	resource(t, "JoinLink", toJoinLink)
	resource(t, "APIKey", func(k auth.APIKey) APIKey { return toAPIKey(k, map[string]string{k.CreatedBy: "laptop"}) })
	resource(t, "Plugin", func(s pluginhost.Status) Plugin { return toPlugin(s, nil, true) })
}

// patchOf is what a PATCH with one clearable member decodes to.
type patchOf[T any] struct {
	V Opt[T] `json:"v,omitempty"`
}

// FuzzOpt holds Opt to what encoding/json says of the same member: absent, null, or a
// value, and of several the last.
func FuzzOpt(f *testing.F) {
	for _, seed := range []string{`{}`, `{"v":null}`, `{"v":1}`, `{"v":"a"}`, `{"v":null,"v":1}`, `{"v":1,"v":null}`, `{"v": [1] }`, `{"v":{"a":1},"v":{"b":2}}`, `{"V":1}`, `nonsense`, `{"v":1e400}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		optAgrees[int](t, data)
		optAgrees[string](t, data)
		optAgrees[map[string]int](t, data)
		optAgrees[[]string](t, data)
	})
}

func optAgrees[T any](t *testing.T, data []byte) {
	var got patchOf[T]
	if json.Unmarshal(data, &got) != nil {
		return
	}
	var members struct {
		V json.RawMessage `json:"v"`
	}
	if err := json.Unmarshal(data, &members); err != nil {
		t.Fatalf("%q decodes as a PATCH and not as an object: %v", data, err)
	}
	set, null := members.V != nil, string(members.V) == "null"
	if got.V.Set != set || got.V.Null != null {
		t.Fatalf("%q: set %v, null %v; want %v, %v", data, got.V.Set, got.V.Null, set, null)
	}
	var want T
	if set && !null {
		if err := json.Unmarshal(members.V, &want); err != nil {
			t.Fatalf("%q was taken: %v", data, err)
		}
	}
	if !reflect.DeepEqual(got.V.Value, want) {
		t.Fatalf("%q is %v, want %v", data, got.V.Value, want)
	}
	if p := got.V.ptr(); (p != nil) != (set && !null) {
		t.Fatalf("%q: ptr is %v", data, p)
	}
	if p := got.V.ptrPtr(); (p != nil) != set || set && (*p == nil) != null {
		t.Fatalf("%q: ptrPtr is %v", data, p)
	}
}

// FuzzDecode never panics, and refuses nothing that is JSON but U+0000.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":"\u0000"}`, `{"a":"\\u0000"}`, `[{"b":["\u0000"]}]`, "\xff", `{"name":"x","servers":[]}`, `{"name":1}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var tree any
		err := decode(data, &tree)
		var plain any
		want := json.Unmarshal(data, &plain)
		if err == nil && (want != nil || holdsNUL(plain)) {
			t.Fatalf("%q was taken", data)
		}
		if err != nil && !slices.Contains([]string{notJSON, unstorable}, err.Error()) {
			t.Fatalf("%q: %v", data, err)
		}
		var typed ProfileCreate
		if err := decode(data, &typed); err != nil && err.Error() != notJSON && len(err.Error()) > len(data)+len(doesNotFit)+64 {
			t.Fatalf("%q: %v", data, err)
		}
	})
}
