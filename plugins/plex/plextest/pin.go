package plextest

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// pin is one sign-in that waits for a person.
type pin struct {
	id        int64
	code      string
	strong    bool
	clientID  string
	product   string
	createdAt time.Time
	expiresAt time.Time
	denied    bool
	token     *token  // once claimed
	jwk       *keyJWK // the device asked for a JWT
}

// Errors of Approve and Deny.
var (
	ErrPinNotFound = errors.New("plextest: no such pin, or it expired")
	ErrPinSettled  = errors.New("plextest: the pin was approved or denied before")
	ErrNoAccount   = errors.New("plextest: no such account")
)

// Approve is what a person does at app.plex.tv/auth: the account claims the
// pin with this code. It kills the earlier token of the account on that client.
func (f *Fake) Approve(code string, account int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.approve(code, account)
}

// Deny is the person who refuses: the pin is never claimed and runs out.
// (Plex has no refusal that a poll could see.)
func (f *Fake) Deny(code string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.openPin(code)
	switch {
	case p == nil:
		return ErrPinNotFound
	case p.token != nil || p.denied:
		return ErrPinSettled
	}
	p.denied = true
	return nil
}

// Pins lists the codes of pins that wait for a person, oldest first.
func (f *Fake) Pins() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for _, p := range f.pins {
		if p.token == nil && !p.denied && f.now().Before(p.expiresAt) {
			out = append(out, p.code)
		}
	}
	return out
}

func (f *Fake) approve(code string, account int64) error {
	p := f.openPin(code)
	switch {
	case p == nil:
		return ErrPinNotFound
	case p.token != nil || p.denied:
		return ErrPinSettled
	case f.account(account) == nil || f.account(account).Restricted: // managed users cannot sign in alone
		return ErrNoAccount
	}
	if p.jwk != nil {
		f.registerDevice(account, p.clientID, p.product)
		f.deviceKeys[p.clientID] = deviceKey{account: account, jwk: *p.jwk}
		p.token = f.issueJWT(account, p.clientID)
		return nil
	}
	p.token = f.signIn(account, p.clientID, p.product)
	return nil
}

func (f *Fake) openPin(code string) *pin {
	for _, p := range f.pins {
		if strings.EqualFold(p.code, code) && f.now().Before(p.expiresAt) {
			return p
		}
	}
	return nil
}

func (c *call) createPin() reply {
	client := c.clientID()
	if client == "" {
		return clientIDMissing()
	}
	f := c.f
	p := &pin{
		id: f.random.id(10), clientID: client, product: plexHeader(c.r, "Product"), createdAt: f.now(),
		strong: truth(c.arg("strong")), expiresAt: f.now().Add(f.switches.PinTTL),
	}
	p.code = f.random.word(4, "ABCDEFGHJKLMNPQRSTUVWXYZ23456789")
	if c.fields.has("jwk") {
		key, valid := parseJWK(c.fields.sub("jwk"))
		if !valid {
			return errorsV2(http.StatusBadRequest, codeInvalid, "The key is malformed")
		}
		p.jwk = key
	}
	if p.strong {
		p.code = f.random.word(25, "abcdefghijklmnopqrstuvwxyz0123456789")
		p.expiresAt = f.now().Add(2 * f.switches.PinTTL)
	}
	f.pins = append(f.pins, p)
	return created(f.pinElement(p))
}

func (c *call) getPin() reply {
	client := c.clientID()
	if client == "" {
		return clientIDMissing()
	}
	for _, p := range c.f.pins {
		if strconv.FormatInt(p.id, 10) != c.r.PathValue("id") || p.clientID != client || !c.f.now().Before(p.expiresAt) {
			continue
		}
		if p.jwk != nil {
			if refused, valid := c.checkDeviceJWT(*p.jwk, c.query("deviceJWT")); !valid {
				return refused
			}
		}
		return ok(c.f.pinElement(p))
	}
	return pinNotFound()
}

// linkPin is plex.tv/link: a device that has a token claims a short code.
func (c *call) linkPin() reply {
	if err := c.f.approve(c.arg("code"), c.who.ID); err != nil {
		return pinNotFound()
	}
	return noContent()
}

func pinNotFound() reply {
	return errorsV2(http.StatusNotFound, codePinNotFound, "Code not found or expired")
}

func clientIDMissing() reply {
	return errorsV2(http.StatusBadRequest, codeClientIDMissing, "X-Plex-Client-Identifier is missing")
}

func (f *Fake) pinElement(p *pin) *element {
	var authToken any
	if p.token != nil {
		authToken = p.token.Value
	}
	return el("pin",
		at("id", p.id), at("code", p.code), at("product", p.product), at("trusted", false),
		at("qr", "https://plex.tv/api/v2/pins/qr/"+p.code), at("clientIdentifier", p.clientID),
		at("expiresIn", int64(p.expiresAt.Sub(f.now())/time.Second)),
		at("createdAt", iso(p.createdAt)), at("expiresAt", iso(p.expiresAt)),
		at("authToken", authToken), at("newRegistration", nil),
	).one("location", el("location",
		at("code", "DE"), at("european_union_member", true), at("continent_code", "EU"), at("country", "Germany"),
		at("city", "Berlin"), at("time_zone", "Europe/Berlin"), at("postal_code", "10115"),
		at("in_privacy_restricted_country", true), at("subdivisions", "Land Berlin"), at("coordinates", "52.5, 13.4")))
}

func iso(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// isoOrNil is for times that may not have come yet: JSON null, XML "".
func isoOrNil(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return iso(t)
}

func epoch(t time.Time) int64 { return t.Unix() }
