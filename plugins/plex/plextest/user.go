package plextest

import (
	"net/http"
	"strings"
	"time"
)

// user is GET v2/user: who the token belongs to. The body repeats the token,
// and clients replace theirs by it.
func (c *call) user() reply {
	if c.clientID() == "" {
		return clientIDMissing()
	}
	return ok(c.f.userElement(c.who, c.token.Value))
}

func (f *Fake) userElement(a *Account, authToken string) *element {
	h := f.homeOf(a.ID)
	pass := f.hasPass(a)
	var roles, features []string
	status, plan := "Inactive", any(nil)
	description := any(nil)
	if pass {
		roles = []string{"plexpass"}
		features = []string{"content_filter", "home", "livetv", "pass", "session_kick", "sync", "tuner-sharing"}
		status, plan, description = "Active", "lifetime", "Lifetime Plex Pass"
	}
	homeSize := 0
	if h != nil {
		homeSize = len(h.members)
	}
	subscription := el("subscription", at("active", pass), at("status", status), at("paymentService", nil), at("plan", plan))
	if pass {
		subscription.attrs = append(subscription.attrs,
			atJSON("subscribedAt", iso(a.CreatedAt)), atXML("subscribedAt", a.CreatedAt.UTC().Format("2006-01-02 15:04:05 UTC")))
	} else {
		subscription.attrs = append(subscription.attrs, at("subscribedAt", nil))
	}
	subscription.words("features", "feature", features...)
	profile := el("profile",
		at("autoSelectAudio", true), at("defaultAudioLanguage", "en"), at("defaultSubtitleLanguage", "en"),
		at("autoSelectSubtitle", 0), at("defaultSubtitleAccessibility", 0), at("defaultSubtitleForced", 0),
		at("watchedIndicator", 1), at("mediaReviewsVisibility", 0))
	root := el("user",
		at("id", a.ID), at("uuid", a.UUID), at("username", a.Username), at("title", a.Title), at("email", a.Email),
		at("friendlyName", a.FriendlyName), at("locale", nil), at("confirmed", !a.Unconfirmed), at("joinedAt", epoch(a.CreatedAt)),
		at("emailOnlyAuth", false), at("hasPassword", !a.NoPassword && !a.Restricted), at("protected", a.PIN != ""), at("thumb", a.thumb()),
		at("authToken", authToken), at("mailingListStatus", "unsubscribed"), at("mailingListActive", false), at("scrobbleTypes", ""),
		at("country", "DE"), at("pin", ""), at("subscriptionDescription", description), at("restricted", a.Restricted),
		at("anonymous", nil), at("home", h != nil), at("guest", false), at("homeSize", homeSize),
		at("homeAdmin", h != nil && h.admin == a.ID), at("maxHomeSize", maxHomeSize),
		at("rememberExpiresAt", epoch(f.now().Add(14*24*time.Hour))), at("twoFactorEnabled", false), at("backupCodesCreated", false))
	return root.one("subscription", subscription).one("profile", profile).
		words("entitlements", "entitlement").words("roles", "role", roles...).list("subscriptions").list("services")
}

// userAccount is the older equivalent, /users/account and /users/account.json.
func (c *call) userAccount() reply {
	a := c.who
	pass := c.f.hasPass(a)
	status := "Inactive"
	var roles []string
	if pass {
		status, roles = "Active", []string{"plexpass"}
	}
	user := el("user",
		at("id", a.ID), at("uuid", a.UUID), at("email", a.Email), at("username", a.Username), at("title", a.Title),
		at("thumb", a.thumb()), at("authToken", c.token.Value), atXML("authenticationToken", c.token.Value),
		atJSON("authentication_token", c.token.Value), at("joined_at", iso(a.CreatedAt)), at("hasPassword", !a.NoPassword),
		at("confirmed", !a.Unconfirmed), at("restricted", a.Restricted), at("home", c.f.homeOf(a.ID) != nil),
	).one("subscription", el("subscription", at("active", pass), at("status", status), at("plan", nil)).words("features", "feature")).
		words("roles", "role", roles...).words("entitlements", "entitlement")
	if strings.HasSuffix(c.r.URL.Path, ".json") {
		return reply{
			status: http.StatusOK, forms: asIs, contentType: "application/json; charset=utf-8",
			raw: renderJSON(el("").one("user", user)),
		}
	}
	return okXML(user)
}

func (c *call) ping() reply {
	if wantsJSON(c.r) {
		return ok(el("pong", at("pong", true)))
	}
	pong := el("pong")
	pong.text = "true"
	return ok(pong)
}

// signOut kills the token and leaves the device entry.
func (c *call) signOut() reply {
	c.token.Revoked = true
	return noContent()
}

// validate says whether a name or address can be invited.
func (c *call) validate() reply {
	key := c.arg("invited_email")
	if c.f.byAddress(key) != nil || strings.Contains(key, "@") {
		return response2(0, "Valid user")
	}
	return response2(1, "We couldn't find a user with that name")
}

// response2 is the <Response> shape with a code of its own and status 200.
func response2(code int, text string) reply {
	r := response(code, text)
	r.status = http.StatusOK
	return r
}
