package api

import (
	"html/template"
	"net/http"
	"net/url"

	"github.com/go-chi/chi/v5"
)

// joinPage answers the public link of an invitation. It says nothing of whether
// the code exists, and so needs no limit.
func (a *API) joinPage(w http.ResponseWriter, r *http.Request) {
	code, err := url.PathUnescape(chi.URLParam(r, "code"))
	if err != nil {
		a.routeNotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store") // the code is as good as a key
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	_ = joinTemplate.Execute(w, map[string]string{"Code": code}) // the client may be gone
}

var joinTemplate = template.Must(template.New("join").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Invitation</title>
<style>body{font:1.1rem/1.6 system-ui,sans-serif;max-width:36rem;margin:3rem auto;padding:0 1rem}code{font-size:1.2em}</style>
<h1>You are invited</h1>
<p>Your invitation code is <code>{{.Code}}</code>.</p>
<p>It is redeemed through the API of this server: <code>GET /api/v1/join/{{.Code}}</code> tells what is asked, and <code>POST</code> to the same path creates the account.
The <a href="/docs">documentation</a> shows how.</p>
</html>
`))
