package plextest

import (
	"net/http"
	"strings"
	"time"
)

// Token is the account token of one device, as an inspection shows it.
type Token struct {
	Value     string    `json:"value"`
	Account   int64     `json:"account"`
	ClientID  string    `json:"client_id"`
	JWT       bool      `json:"jwt,omitempty"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	Revoked   bool      `json:"revoked,omitempty"`
}

type token struct{ Token }

const jwtLife = 7 * 24 * time.Hour

// Token signs an account in on a device and gives its legacy token. Like a
// completed pin it kills the earlier token of the same account and client.
func (f *Fake) Token(account int64, clientID string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.signIn(account, clientID, "").Value
}

// JWT issues a JWT to a device, which kills the device's legacy token. It
// lives seven days.
func (f *Fake) JWT(account int64, clientID string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.issueJWT(account, clientID).Value
}

// Rotate signs the account in again on the same client, as another program
// with the same client identifier would: every earlier token of that pair dies.
func (f *Fake) Rotate(account int64, clientID string) string { return f.Token(account, clientID) }

// SignOutEverywhere kills every token of an account.
func (f *Fake) SignOutEverywhere(account int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range f.tokens {
		t.Revoked = t.Revoked || t.Account == account
	}
}

// Tokens lists the account tokens, live and dead, in the order of their issue.
func (f *Fake) Tokens() []Token {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]Token, len(f.tokens))
	for i, t := range f.tokens {
		out[i] = t.Token
	}
	return out
}

func (f *Fake) signIn(account int64, clientID, product string) *token {
	f.revoke(account, clientID, false)
	t := &token{Token{Value: f.random.token(), Account: account, ClientID: clientID}}
	f.tokens = append(f.tokens, t)
	f.registerDevice(account, clientID, product)
	return t
}

// revoke kills the tokens of one account on one client; only legacy ones
// unless all is set.
func (f *Fake) revoke(account int64, clientID string, all bool) {
	for _, t := range f.tokens {
		if t.Account == account && t.ClientID == clientID && (all || !t.JWT) {
			t.Revoked = true
		}
	}
}

func (f *Fake) findToken(value string) *token {
	if value == "" {
		return nil
	}
	for _, t := range f.tokens {
		if t.Value == value {
			return t
		}
	}
	return nil
}

type tokenState int

const (
	tokenDead tokenState = iota
	tokenLive
	tokenExpired
)

func (f *Fake) check(t *token) tokenState {
	switch {
	case t == nil || t.Revoked || f.account(t.Account) == nil:
		return tokenDead
	case t.JWT && (f.switches.JWTExpired || !f.now().Before(t.ExpiresAt)):
		return tokenExpired
	default:
		return tokenLive
	}
}

// authenticate sets the caller, or gives the refusal of the v2 API.
func (c *call) authenticate() (reply, bool) {
	t := c.f.findToken(plexHeader(c.r, "Token"))
	switch c.f.check(t) {
	case tokenDead:
		return unauthenticated(), false
	case tokenExpired:
		return errorsV2(statusTokenExpired, codeUnauthenticated, "The token has expired"), false
	case tokenLive:
	}
	c.token, c.who = t, c.f.account(t.Account)
	return reply{}, true
}

// statusTokenExpired is Plex's own status for an expired JWT.
const statusTokenExpired = 498

// signedIn wraps a v2 handler.
func signedIn(h handler) handler {
	return func(c *call) reply {
		if refused, live := c.authenticate(); !live {
			return refused
		}
		return h(c)
	}
}

// signedInV1 wraps a v1 handler: the refusal is XML whatever Accept says.
func signedInV1(h handler) handler {
	return func(c *call) reply {
		if refused, live := c.authenticate(); !live {
			refused.forms = alwaysXML
			return refused
		}
		return h(c)
	}
}

// signedInOld wraps /users/account, which says 422 to a bad token.
func signedInOld(h handler) handler {
	return func(c *call) reply {
		if _, live := c.authenticate(); !live {
			if wantsJSON(c.r) || strings.HasSuffix(c.r.URL.Path, ".json") {
				return reply{
					status: http.StatusUnprocessableEntity, forms: asIs, contentType: "application/json",
					raw: []byte(`{"error":"Invalid token"}`),
				}
			}
			return errorsV1(http.StatusUnprocessableEntity, "Invalid token")
		}
		return h(c)
	}
}
