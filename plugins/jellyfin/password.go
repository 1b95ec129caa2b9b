package jellyfin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// noPasswords is why 10.8 sets none.
const noPasswords = "needs Jellyfin 10.9 or newer: before that, an API key cannot set passwords"

// defaultProvider keeps passwords in Jellyfin itself; others are extensions.
const defaultProvider = "Jellyfin.Server.Implementations.Users.DefaultAuthenticationProvider"

// logoutTime is what the sign-out after a sign-in may take when the call's own
// time is up: a session left behind counts against the person's limit.
const logoutTime = 5 * time.Second

// SetPassword replaces the password and signs the person out everywhere. The
// request's ResetPassword is never used: it blanks the password.
func (c *client) SetPassword(ctx context.Context, req sdk.SetPasswordRequest) (sdk.SetPasswordResponse, error) {
	var none sdk.SetPasswordResponse
	if err := checkPassword(req.Password); err != nil {
		return none, err
	}
	id, ok := parseID(req.ID)
	if !ok {
		return none, noSuchUser()
	}
	s, err := c.current(ctx)
	if err != nil {
		return none, err
	}
	done, err := c.users.take(ctx, id.String())
	if err != nil {
		return none, err
	}
	defer done()
	r, err := c.user(ctx, id)
	if err != nil {
		return none, err
	}
	if err := r.writable(); err != nil {
		return none, err
	}
	if !s.version.keySetsPasswords() {
		if userToken, err := c.hasUserToken(ctx); err != nil {
			return none, err
		} else if !userToken {
			return none, sdk.Errorf(sdk.ReasonUnsupported, "setting a password %s", noPasswords)
		}
	}
	rq := request{method: http.MethodPost, path: "/Users/Password", auth: c.withKey(), noContent: true}
	if s.version.passwordByQuery() {
		rq.query = url.Values{"userId": {id.String()}}
	} else {
		rq.path = "/Users/" + id.String() + "/Password"
	}
	rq.body = struct{ NewPw string }{req.Password}
	_, err = c.retried(ctx, rq)
	if provider := r.Policy.AuthenticationProviderID; threw(err) && provider != "" && provider != defaultProvider {
		return none, sdk.Errorf(sdk.ReasonUnsupported, "this account's password is kept outside Jellyfin, by a sign-in extension that does not change it")
	}
	return none, err
}

// VerifyPassword signs in and out again. A sign-in that the server refuses for
// another reason than the password (a disabled account) is one that did not work.
func (c *client) VerifyPassword(ctx context.Context, req sdk.VerifyPasswordRequest) (sdk.VerifyPasswordResponse, error) {
	var none sdk.VerifyPasswordResponse
	if strings.TrimSpace(req.Username) == "" || req.Password == "" {
		return none, nil // an empty password opens accounts that have none
	}
	if _, err := c.ready(ctx); err != nil {
		return none, err
	}
	id, ok, err := c.signIn(ctx, req.Username, req.Password)
	if err != nil || !ok {
		return none, err
	}
	return sdk.VerifyPasswordResponse{OK: true, UserID: id.String()}, nil
}

// signIn signs in and out again, and gives who that was.
func (c *client) signIn(ctx context.Context, username, password string) (id guid, ok bool, err error) {
	body, err := c.do(ctx, request{
		method: http.MethodPost, path: "/Users/AuthenticateByName", auth: c.device(username),
		body: struct{ Username, Pw string }{username, password},
	})
	switch {
	case refusedWith(err, http.StatusUnauthorized), refusedWith(err, http.StatusForbidden):
		return guid{}, false, nil
	case err != nil:
		return guid{}, false, err
	}
	var reply struct {
		User struct {
			ID string `json:"Id"`
		}
		AccessToken string
	}
	if err := decode(body, &reply); err != nil {
		return guid{}, false, err
	}
	id, ok = parseID(reply.User.ID)
	if !ok || reply.AccessToken == "" {
		return guid{}, false, sdk.Errorf(sdk.ReasonServerError, "Jellyfin's answer to a sign-in names no user")
	}
	c.signOut(ctx, reply.AccessToken)
	return id, true, nil
}

// device names who signs in. The device id is the same for the same person,
// so that the next check takes the place of the last one, and another one for
// everybody else: 10.8 signs out whoever else has used it, and with none at all,
// every user of the server.
func (c *client) device(username string) string {
	sum := sha256.Sum256([]byte("zondarr jellyfin device\x00" + c.installation + "\x00" + c.base.String() + "\x00" + fold(username)))
	return `MediaBrowser Client="Zondarr", Device="Zondarr", DeviceId="` + hex.EncodeToString(sum[:16]) + `", Version="` + pluginVersion + `"`
}

// signOut ends the session that a check began. The check's answer stands without
// it.
func (c *client) signOut(ctx context.Context, token string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), logoutTime)
	defer cancel()
	_, err := c.do(ctx, request{
		method: http.MethodPost, path: "/Sessions/Logout", auth: `MediaBrowser Token="` + headerValue(token) + `"`, noContent: true,
	})
	if err != nil {
		c.log.WarnContext(ctx, "the session of a password check could not be ended", "error", err)
	}
}
