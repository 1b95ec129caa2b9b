package plextest_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func (w *world) page(q url.Values) answer {
	w.t.Helper()
	return w.do("GET", w.f.AuthURL()+"?"+q.Encode(), nil, nobody)
}

func (w *world) press(form url.Values, options ...option) answer {
	w.t.Helper()
	w.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return w.do("POST", w.f.AuthURL(), form.Encode(), append([]option{nobody}, options...)...)
}

func TestAuthPage(t *testing.T) {
	w := newWorld(t)
	w.f.AddManagedUser(w.owner.ID, "Kid")
	p := w.pin("join", true)
	code := p.text("code")
	start := string(w.page(url.Values{}).is(200).body) // the parameters are in the fragment, which no server sees
	if !strings.Contains(start, "location.hash") {
		t.Errorf("start page: %s", start)
	}
	q := url.Values{"clientID": {"join"}, "code": {code}, "forwardUrl": {"http://127.0.0.1:1/j/ABCD"}, "context[device][product]": {"<Zondarr>"}}
	body := string(w.page(q).is(200).body)
	for _, want := range []string{"&lt;Zondarr&gt;", "alice@example.com", "bob@example.com", code, `method="post"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(body, "Kid") {
		t.Error("a managed user cannot sign in")
	}
	if w.poll(p, "join").is(200).object().at("authToken") != nil {
		t.Fatal("looking approved the pin")
	}
	form := url.Values{
		"code": {code}, "clientID": {"join"}, "forwardUrl": {"http://127.0.0.1:1/j/ABCD"},
		"account": {fmt.Sprint(w.alice.ID)}, "decision": {"approve"},
	}
	w.press(form, header("Sec-Fetch-Site", "cross-site")).is(403)
	if a := w.press(form).is(303); a.header.Get("Location") != "http://127.0.0.1:1/j/ABCD" {
		t.Errorf("forwarded to %s", a.header.Get("Location"))
	}
	token := w.poll(p, "join").is(200).object().text("authToken")
	if w.get("/api/v2/user", as(token)).is(200).object().number("id") != w.alice.ID {
		t.Error("not alice")
	}
	w.press(form).is(404) // answered
	w.page(q).is(404)
	w.do("DELETE", w.f.AuthURL(), nil, nobody).is(405)
}

func TestAuthPageRefusals(t *testing.T) {
	w := newWorld(t)
	p := w.pin("join", true)
	form := url.Values{"code": {p.text("code")}, "clientID": {"other"}, "decision": {"approve"}, "account": {fmt.Sprint(w.alice.ID)}}
	w.press(form).is(404)
	form.Set("clientID", "join")
	form.Set("account", "12")
	w.press(form).is(404)
	form.Set("decision", "deny")
	form.Set("forwardUrl", "javascript:alert(1)")
	if body := string(w.press(form).is(200).body); !strings.Contains(body, "close this window") {
		t.Errorf("%s", body)
	}
	if w.poll(p, "join").is(200).object().at("authToken") != nil {
		t.Error("a refusal signed in")
	}
	late := w.pin("join", true)
	w.f.Advance(time.Hour)
	form.Set("code", late.text("code"))
	w.press(form).is(404)
}
