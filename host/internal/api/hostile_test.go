package api

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/hosttest"
	"github.com/zondarr/zondarr/sdk/sdktest"
)

// What the database cannot hold or the services do not expect is never a 500.
func TestHostileTextIsTheCallersFault(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		ids := w.oneOfEach()
		texts := []string{"\u0000", "'; DROP TABLE users; --", "%", "_", "\\", "\u202e", "\U0010ffff", strings.Repeat("ü", 90), "-1", "1e999", "null", "{}", "../../etc/passwd", "\n\r\t", "<script>", "", " ", "\x7f"}
		if testing.Short() {
			texts = texts[:6]
		}
		accepted := 0
		eachOperation(t, func(t *testing.T, d *document, op operation) {
			if op.method == http.MethodDelete {
				return
			}
			w := w.in(t)
			for _, text := range texts {
				r := request{method: op.method, path: op.url(ids.of(op.path))}
				if op.body != nil {
					r.body = ids.put(d.fill(op.body, text, text))
				}
				var query []string
				for _, p := range op.params {
					if p.in == "query" && kind(p.schema) == "string" && p.schema["enum"] == nil && p.name != "cursor" && p.name != "sort" && p.schema["format"] == nil {
						query = append(query, p.name+"="+url.QueryEscape(text))
					}
				}
				if len(query) > 0 {
					r.path += "?" + strings.Join(query, "&")
				}
				a := w.do(r)
				if a.status >= 500 && a.status != http.StatusBadGateway {
					t.Errorf("%q: %d: %s", text, a.status, a.body)
				}
				if a.status < 300 {
					accepted++
				}
				// One member at a time, so that one that is refused hides no other.
				if o, ok := r.body.(object); ok {
					for name, v := range o {
						body := ids.put(d.sample(op.body, false)).(object)
						body[name] = v
						r.body = body
						if a := w.do(r); a.status >= 500 && a.status != http.StatusBadGateway {
							t.Errorf("%s %q: %d: %s", name, text, a.status, a.body)
						}
					}
				}
			}
		})
		if accepted < 10*len(texts) {
			t.Errorf("only %d calls did something", accepted)
		}
	})
}

// resourceIDs are ids of what is there, by the first part of the path.
type resourceIDs map[string]string

// oneOfEach makes a resource of each kind.
func (w *world) oneOfEach() resourceIDs {
	w.t.Helper()
	server := w.addServer()
	inv := w.invite(server, nil)
	w.post("/api/v1/join/"+inv["code"].(string), object{"username": "bob", "password": "correct horse"}).want(http.StatusCreated)
	code := w.invite(server, object{"max_uses": nil})
	return resourceIDs{
		"servers": server, "server_id": server, "invitations": code["id"].(string), "code": code["code"].(string),
		"profiles":    w.post("/api/v1/profiles", object{"name": "family", "servers": []any{everything(server)}}).want(http.StatusCreated).str("id"),
		"redemptions": w.get("/api/v1/redemptions").items()[0]["id"].(string),
		"identities":  w.get("/api/v1/identities").items()[0]["id"].(string),
		"users":       w.get("/api/v1/users").items()[0]["id"].(string),
		"api-keys":    w.get("/api/v1/api-keys").items()[0]["id"].(string),
	}
}

// of gives the values of a path.
func (ids resourceIDs) of(path string) map[string]string {
	out := map[string]string{"server_type": sdktest.FakeType, "server_id": ids["server_id"], "code": ids["code"]}
	if id := ids[strings.Split(path, "/")[3%len(strings.Split(path, "/"))]]; id != "" {
		out["id"] = id
	}
	return out
}

// put lets the ids in a body be of what is there.
func (ids resourceIDs) put(body any) any {
	switch v := body.(type) {
	case object:
		for name, member := range v {
			if id, ok := ids[name]; ok && name != "code" {
				if _, text := member.(string); text {
					v[name] = id
					continue
				}
			}
			v[name] = ids.put(member)
		}
	case []any:
		for i := range v {
			v[i] = ids.put(v[i])
		}
	}
	return body
}

// fill gives a body with a text wherever a text may stand, and a name wherever a
// member may have any.
func (d *document) fill(s object, text, name string) any {
	s = d.resolve(s)
	switch {
	case kind(s) == "object":
		out := object{}
		properties, _ := s["properties"].(object)
		for member, p := range properties {
			out[member] = d.fill(p.(object), text, name)
		}
		if more, ok := s["additionalProperties"].(object); ok {
			if kind(d.resolve(more)) != "" {
				out[name] = d.fill(more, text, name)
			} else {
				out[name] = text
			}
		}
		return out
	case kind(s) == "array":
		return []any{d.fill(s["items"].(object), text, name)}
	case kind(s) == "string" && s["enum"] == nil && s["format"] == nil && s["pattern"] == nil:
		if n, ok := s["maxLength"].(float64); ok && len([]rune(text)) > int(n) {
			return string([]rune(text)[:int(n)])
		}
		return text
	default:
		return d.sample(s, false)
	}
}
