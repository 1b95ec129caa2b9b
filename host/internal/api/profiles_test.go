package api

import (
	"net/http"
	"reflect"
	"testing"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/hosttest"
)

func TestProfileLife(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		server := w.addServer()
		before := w.made(w.post("/api/v1/profiles", object{
			"name": "Family", "label": "For family", "note": "n", "expires_after_days": 7, "max_uses": nil, "duration_days": 30, "on_expiry": "delete",
			"email": "off", "servers": []any{everything(server)},
		}))
		if before["max_uses"] != nil || before["is_default"] != false || before["on_expiry"] != "delete" {
			t.Errorf("created %v", before)
		}
		w.post("/api/v1/profiles", object{"name": "Family", "servers": []any{everything(server)}}).want(http.StatusConflict)
		path := "/api/v1/profiles/" + before["id"].(string)

		i := w.post("/api/v1/invitations", object{"profile_id": before["id"], "label": "Aunt"}).want(http.StatusCreated).object()
		for name, want := range map[string]any{
			"label": "Aunt", "note": "n", "max_uses": nil, "duration_days": 30.0, "on_expiry": "delete", "email": "off", "profile_id": before["id"],
		} {
			if !reflect.DeepEqual(i[name], want) {
				t.Errorf("%s of the invitation is %v, want %v", name, i[name], want)
			}
		}
		if i["expires_at"] == nil || len(i["servers"].([]any)) != 1 {
			t.Errorf("the invitation is %v", i)
		}
		change := func(body object) object {
			t.Helper()
			return w.patch(path, body).want(http.StatusOK).object()
		}
		same(t, before, change(object{}))
		for member, v := range map[string]any{
			"name": "Friends", "label": "For friends", "note": "m", "expires_after_days": 8.0, "max_uses": 2.0, "duration_days": 31.0, "on_expiry": "disable", "email": "required", "is_default": true,
		} {
			after := change(object{member: v})
			if !reflect.DeepEqual(after[member], v) {
				t.Errorf("%s is %v, want %v", member, after[member], v)
			}
			same(t, before, after, member)
			same(t, before, change(object{member: before[member]}))
		}
		for _, member := range []string{"note", "expires_after_days", "max_uses", "duration_days"} {
			if after := change(object{member: nil}); after[member] != nil {
				t.Errorf("%s is %v after null", member, after[member])
			}
		}
		for _, member := range []string{"name", "label", "on_expiry", "email", "is_default", "servers"} {
			w.patch(path, object{member: nil}).refused(http.StatusBadRequest, fault.CodeInvalidInput).blames(t, "body."+member, fault.FieldRequired)
		}
		for _, member := range []string{"id", "created_at", "updated_at"} {
			w.patch(path, object{member: before[member]}).refused(http.StatusBadRequest, fault.CodeInvalidInput).blames(t, "body."+member, fault.FieldReadOnly)
		}
		same(t, i, w.get("/api/v1/invitations/"+i["id"].(string)).object()) // it keeps its own copy

		change(object{"is_default": true, "label": "Default"})
		if made := w.post("/api/v1/invitations", object{}).want(http.StatusCreated).object(); made["label"] != "Default" || made["profile_id"] != before["id"] {
			t.Errorf("without servers and profile: %v", made)
		}
		w.delete(path).want(http.StatusNoContent)
		w.get(path).refused(http.StatusNotFound, fault.CodeNotFound)
		if kept := w.get("/api/v1/invitations/" + i["id"].(string)).want(http.StatusOK).object(); kept["profile_id"] != nil {
			t.Errorf("the profile is gone and the invitation names %v", kept["profile_id"])
		}
	})
}
