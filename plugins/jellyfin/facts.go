package jellyfin

import (
	"context"
	"net/http"

	"github.com/zondarr/zondarr/sdk"
)

// TestConnection asks the server who it is, without the key, and then proves
// that the key is an administrator's. The proof is a list that only they may
// see and that is never long: /System/Info was open to anybody in some versions.
func (c *client) TestConnection(ctx context.Context, _ sdk.TestConnectionRequest) (sdk.TestConnectionResponse, error) {
	s, err := c.identify(ctx)
	if err != nil {
		return sdk.TestConnectionResponse{}, err
	}
	var providers []struct{ ID string }
	if err := c.read(ctx, request{method: http.MethodGet, path: "/Auth/Providers", auth: c.withKey()}, &providers); err != nil {
		return sdk.TestConnectionResponse{}, err
	}
	userToken, err := c.hasUserToken(ctx)
	if err != nil {
		return sdk.TestConnectionResponse{}, err
	}
	if userToken && s.version.keySetsPasswords() {
		e := sdk.Errorf(sdk.ReasonCredentialsRejected, "this is the token of somebody's sign-in, which ends when they sign out or change their password; an API key does not")
		e.Fields = []sdk.FieldProblem{{Field: "secrets." + apiKey, Code: "user_token", Message: "Make a key in Jellyfin under Dashboard → API Keys."}}
		return sdk.TestConnectionResponse{}, e
	}
	return sdk.TestConnectionResponse{Facts: facts(s, userToken)}, nil
}

// hasUserToken tells a user's access token from an API key: a key belongs to
// nobody, so that "me" is a bad request.
func (c *client) hasUserToken(ctx context.Context) (bool, error) {
	_, err := c.retried(ctx, request{method: http.MethodGet, path: "/Users/Me", auth: c.withKey()})
	switch {
	case err == nil:
		return true, nil
	case refusedWith(err, http.StatusBadRequest), refusedWith(err, http.StatusNotFound):
		return false, nil
	default:
		return false, err
	}
}

// facts are what holds on one server, and what does not, with the reason.
func facts(s server, userToken bool) sdk.ServerFacts {
	d := New().Describe()
	f := sdk.ServerFacts{
		Product: s.product, Version: s.saidAs, ExternalID: s.id, Name: s.name,
		LibraryModes: d.Traits.LibraryModes,
		JoinFlow:     sdk.JoinPassword,
		AccountRules: accountRules(s.version),
	}
	for _, capability := range d.Capabilities() {
		if capability == sdk.CapSetPassword && !userToken && !s.version.keySetsPasswords() {
			f.Missing = append(f.Missing, sdk.Missing{Name: string(capability), Reason: noPasswords})
			continue
		}
		f.Capabilities = append(f.Capabilities, capability)
	}
	for _, p := range permissions {
		if !s.version.atLeast(p.since) {
			f.Missing = append(f.Missing, sdk.Missing{Name: p.info.Name, Reason: "needs Jellyfin " + p.since.short() + " or newer"})
			continue
		}
		f.Permissions = append(f.Permissions, p.info.Name)
	}
	for _, l := range limits {
		f.Limits = append(f.Limits, l.info.Name)
	}
	if userToken {
		f.Warnings = append(f.Warnings, "The key is the token of somebody's sign-in: it ends when they sign out or change their password.")
	}
	if !s.wizardDone {
		f.Warnings = append(f.Warnings, "The set-up wizard of this server is not finished: until then anybody who reaches it can administer it.")
	}
	if s.version.atLeast(v13) {
		f.Warnings = append(f.Warnings, "This Jellyfin is newer than what Zondarr was tested with.")
	}
	return f
}
