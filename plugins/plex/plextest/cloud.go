package plextest

import "net/http"

// CloudHandler answers for plex.tv and clients.plex.tv, and for the sign-in
// page of app.plex.tv under /auth. It needs no Start.
func (f *Fake) CloudHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/auth" || r.URL.Path == "/auth/" {
			f.authPage(w, r)
			return
		}
		f.serve(w, r, "cloud", f.cloudMux, &call{}, unknownPath)
	})
}

// unknownPath is the answer to what plex.tv does not have.
func unknownPath(r *http.Request) reply {
	if len(r.URL.Path) >= 8 && r.URL.Path[:8] == "/api/v2/" {
		return notFoundV2()
	}
	return html(http.StatusNotFound, "Not Found")
}

// cloudRoutes is the whole surface of the cloud.
func (f *Fake) cloudRoutes() *http.ServeMux {
	mux := http.NewServeMux()
	open := func(pattern string, h handler) { mux.Handle(pattern, endpoint(h)) }
	v1 := func(pattern string, h handler) { mux.Handle(pattern, endpoint(signedInV1(h))) }
	v2 := func(pattern string, h handler) { mux.Handle(pattern, endpoint(signedIn(h))) }

	// Sign-in
	open("POST /api/v2/pins", (*call).createPin)
	open("GET /api/v2/pins/{id}", (*call).getPin)
	v2("PUT /api/v2/pins/link", (*call).linkPin)
	open("GET /api/v2/auth/nonce", (*call).nonce)
	open("POST /api/v2/auth/token", (*call).exchangeJWT)
	open("GET /api/v2/auth/keys", (*call).signingKeys)
	v2("POST /api/v2/auth/jwk", (*call).bindKey)

	// The account behind a token, and its devices
	v2("GET /api/v2/user", (*call).user)
	v2("GET /api/v2/ping", (*call).ping)
	v2("DELETE /api/v2/users/signout", (*call).signOut)
	open("GET /users/account", signedInOld((*call).userAccount))
	open("GET /users/account.json", signedInOld((*call).userAccount))
	v1("POST /api/users/validate", (*call).validate)
	v1("GET /devices.xml", (*call).devicesXML)
	v1("DELETE /devices/{file}", (*call).deleteDevice)

	// Servers
	v2("GET /api/v2/resources", (*call).resources)
	v2("GET /api/v2/servers/{mid}", (*call).serverV2)
	v1("GET /api/servers/{mid}", (*call).serverV1)

	// Shares, v1
	v1("GET /api/servers/{mid}/shared_servers", (*call).listSharesV1)
	v1("POST /api/servers/{mid}/shared_servers", (*call).createShareV1)
	v1("DELETE /api/servers/{mid}/shared_servers", func(*call) reply { return html(http.StatusNotFound, "Not Found") })
	v1("GET /api/servers/{mid}/shared_servers/{id}", (*call).getShareV1)
	v1("PUT /api/servers/{mid}/shared_servers/{id}", (*call).updateShareV1)
	v1("DELETE /api/servers/{mid}/shared_servers/{id}", (*call).deleteShareV1)
	v1("GET /api/users", (*call).usersV1)

	// Shares, v2
	v2("POST /api/v2/shared_servers", (*call).createShareV2)
	v2("GET /api/v2/shared_servers", func(*call) reply {
		return errorsV2(http.StatusMethodNotAllowed, codeNotFound, "Method not allowed").withHeader("Allow", "OPTIONS, POST")
	})
	v2("POST /api/v2/shared_servers/{id}", (*call).updateShareV2)
	v2("DELETE /api/v2/shared_servers/{id}", (*call).deleteShareV2)
	v2("POST /api/v2/shared_servers/{id}/accept", (*call).acceptShareV2)
	v2("GET /api/v2/shared_servers/owned/accepted", (*call).ownedAccepted)
	v2("GET /api/v2/shared_servers/owned/pending", (*call).ownedPending)
	v2("GET /api/v2/shared_servers/invites/owned/pending", (*call).invitesOwned)
	v2("GET /api/v2/shared_servers/invites/received/pending", (*call).invitesReceived)

	// Settings and friendship
	v2("GET /api/v2/sharing_settings", (*call).getSettings)
	v2("POST /api/v2/sharing_settings", (*call).postSettings)
	v2("PUT /api/v2/sharings/{uid}", (*call).putSharings)
	v2("DELETE /api/v2/sharings/{uid}", (*call).deleteSharings)
	v2("DELETE /api/v2/friends/{uid}", (*call).deleteFriendV2)

	// Invites, v1
	v1("GET /api/invites/requested", (*call).invitesRequested)
	v1("DELETE /api/invites/requested/{id}", (*call).cancelRequested)
	v1("GET /api/invites/requests", (*call).inviteRequests)
	v1("PUT /api/invites/requests/{id}", (*call).acceptRequest)

	// Home
	v1("GET /api/home/users", (*call).homeUsersV1)
	v1("POST /api/home/users", (*call).addHomeUserV1)
	v1("PUT /api/home/users/{id}", (*call).ownPIN)
	v1("DELETE /api/home/users/{id}", (*call).removeHomeUser)
	v1("POST /api/home/users/{id}/switch", (*call).switchV1)
	v2("GET /api/v2/home/users", (*call).homeUsersV2)
	v2("POST /api/v2/home/users/restricted", (*call).addManagedUser)
	v2("POST /api/v2/home/users/restricted/{id}", (*call).managedPIN)
	v2("POST /api/v2/home/users/{uuid}/{verb}", (*call).switchV2)

	// Removed by Plex
	v2("GET /api/v2/friends", func(*call) reply { return gone() })
	v1("PUT /api/friends/{id}", func(*call) reply { return gone() })
	v1("DELETE /api/friends/{id}", func(*call) reply { return gone() })
	v1("GET /pms/friends/all", func(*call) reply { return gone() })
	return mux
}
