package plextest

import "net/http"

func (f *Fake) authPage(w http.ResponseWriter, _ *http.Request) { http.NotFound(w, nil) }

// ControlHandler x
func (f *Fake) ControlHandler() http.Handler { return http.NotFoundHandler() }
