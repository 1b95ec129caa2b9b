package plextest

import (
	"cmp"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
)

// authPage stands in for https://app.plex.tv/auth: a person picks one of the
// accounts that exist here and approves the pin, or does not. Looking changes
// nothing; only the POST of the form does. Plex hands the parameters over in
// the fragment, which a server never sees, so a script moves them to the query.
func (f *Fake) authPage(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		f.showAuth(w, r.URL.Query())
	case http.MethodPost:
		if err := http.NewCrossOriginProtection().Check(r); err != nil {
			f.writeAuth(w, http.StatusForbidden, authView{Message: "This form was sent from another site."})
			return
		}
		f.postAuth(w, r)
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		f.writeAuth(w, http.StatusMethodNotAllowed, authView{Message: "This page can be read and sent."})
	}
}

type authView struct {
	Product, Code, ClientID, Forward, Message string
	Accounts                                  []Account
	Start                                     bool // no code yet: the fragment must be moved
}

func (f *Fake) showAuth(w http.ResponseWriter, q url.Values) {
	view := authView{
		Product: cmp.Or(q.Get("context[device][product]"), "An application"),
		Code:    q.Get("code"), ClientID: q.Get("clientID"), Forward: q.Get("forwardUrl"),
	}
	if view.Code == "" {
		view.Start = true
		f.writeAuth(w, http.StatusOK, view)
		return
	}
	f.mu.Lock()
	err := f.checkPage(view.Code, view.ClientID)
	for _, a := range f.accounts {
		if !a.Restricted {
			view.Accounts = append(view.Accounts, *a)
		}
	}
	f.mu.Unlock()
	if err != nil {
		f.writeAuth(w, http.StatusNotFound, authView{Message: authMessage(err)})
		return
	}
	f.writeAuth(w, http.StatusOK, view)
}

// checkPage says whether the code waits for a person, on this client.
func (f *Fake) checkPage(code, clientID string) error {
	p := f.openPin(code)
	switch {
	case p == nil, clientID != "" && p.clientID != clientID:
		return ErrPinNotFound
	case p.token != nil, p.denied:
		return ErrPinSettled
	}
	return nil
}

func (f *Fake) postAuth(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		f.writeAuth(w, http.StatusBadRequest, authView{Message: "The form could not be read."})
		return
	}
	code := r.PostForm.Get("code")
	f.mu.Lock()
	err := f.checkPage(code, r.PostForm.Get("clientID"))
	if err == nil && r.PostForm.Get("decision") == "approve" {
		account, _ := strconv.ParseInt(r.PostForm.Get("account"), 10, 64)
		err = f.approve(code, account)
	} else if err == nil {
		f.openPin(code).denied = true
	}
	f.mu.Unlock()
	if err != nil {
		f.writeAuth(w, http.StatusNotFound, authView{Message: authMessage(err)})
		return
	}
	if u, err := url.Parse(r.PostForm.Get("forwardUrl")); err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" {
		http.Redirect(w, r, u.String(), http.StatusSeeOther)
		return
	}
	f.writeAuth(w, http.StatusOK, authView{Message: "Done. You can close this window."})
}

func authMessage(err error) string {
	switch {
	case errors.Is(err, ErrPinSettled):
		return "This sign-in was answered already. You can close this window."
	case errors.Is(err, ErrNoAccount):
		return "There is no such account."
	default:
		return "This sign-in is unknown or has expired. Go back and start again."
	}
}

func (f *Fake) writeAuth(w http.ResponseWriter, status int, view authView) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	authTemplate().Execute(w, view) //nolint:errcheck // a browser that left is no error here
}

func authTemplate() *template.Template {
	return template.Must(template.New("auth").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Simulated Plex sign-in</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:28rem;margin:3rem auto;padding:0 1rem}
label{display:block;padding:.3rem 0}button{font:inherit;padding:.4rem 1.2rem;margin:1rem .5rem 0 0}</style></head>
<body><h1>Simulated Plex</h1>
{{if .Message}}<p>{{.Message}}</p>
{{else if .Start}}<p>Nothing asks to sign in here.</p>
<script>var given = location.hash.replace(/^#!?\??/, ''); if (given) location.replace(location.pathname + '?' + given);</script>
{{else}}<p><strong>{{.Product}}</strong> asks to sign in with a Plex account. This is not Plex: pick whom to be.</p>
<form method="post" action="/auth">
<input type="hidden" name="code" value="{{.Code}}"><input type="hidden" name="clientID" value="{{.ClientID}}">
<input type="hidden" name="forwardUrl" value="{{.Forward}}">
{{range $i, $a := .Accounts}}<label><input type="radio" name="account" value="{{$a.ID}}"{{if eq $i 0}} checked{{end}}> {{$a.Title}} ({{$a.Email}})</label>
{{else}}<p>No account exists yet.</p>{{end}}
<button name="decision" value="approve">Allow</button><button name="decision" value="deny">Refuse</button>
</form>{{end}}
</body></html>
`))
}
