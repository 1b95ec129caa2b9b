package plex

import (
	"context"
	"errors"

	"github.com/zondarr/zondarr/sdk"
)

// TestConnection proves, in this order: which server is at the address, that
// plex.tv takes the token, that its account owns the server, and that the
// server takes what plex.tv hands out for it. Each step has its own words, since
// each has its own cure.
func (c *client) TestConnection(ctx context.Context, _ sdk.TestConnectionRequest) (sdk.TestConnectionResponse, error) {
	who, err := c.identity(ctx)
	if err != nil {
		return sdk.TestConnectionResponse{}, err
	}
	if c.ref.ExternalID != "" && who.Machine != c.ref.ExternalID {
		return sdk.TestConnectionResponse{}, c.wrongServer()
	}
	if who.Claimed == nil || !bool(*who.Claimed) {
		return sdk.TestConnectionResponse{}, unclaimed()
	}
	owner, err := c.account(ctx, c.owner)
	if err != nil {
		return sdk.TestConnectionResponse{}, tokenTrouble(err)
	}
	own, err := c.ownedResource(ctx, who.Machine)
	if err != nil {
		return sdk.TestConnectionResponse{}, tokenTrouble(err)
	}
	if own.AccessToken == "" {
		return sdk.TestConnectionResponse{}, sdk.Errorf(sdk.ReasonServerError, "plex.tv gives no token for this server; sign the server out of Plex and in again")
	}
	root, err := c.serverRoot(ctx, principal{token: own.AccessToken, clientID: c.owner.clientID})
	if err != nil {
		return sdk.TestConnectionResponse{}, err
	}
	if root.Machine != who.Machine {
		return sdk.TestConnectionResponse{}, c.wrongServer()
	}
	return sdk.TestConnectionResponse{Facts: facts(who, root, owner)}, nil
}

func unclaimed() error {
	err := sdk.Errorf(sdk.ReasonInvalid, "the Plex server belongs to no account: sign it in to Plex (Settings → General) before it can be shared")
	err.Source = sdk.SourceUpstream
	err.Fields = []sdk.FieldProblem{{Field: "url", Code: "unclaimed", Message: "This Plex server is not signed in to Plex."}}
	return err
}

// tokenTrouble says what a failure at plex.tv means for the token: rejected, or
// not known. A plex.tv that is away says nothing about the token.
func tokenTrouble(err error) error {
	failure, ok := errors.AsType[*sdk.Error](err)
	if !ok {
		return err
	}
	out := *failure
	switch {
	case out.Kind() == sdk.ReasonCredentialsRejected:
		out.Fields = []sdk.FieldProblem{{Field: "secrets.token", Code: "rejected", Message: "plex.tv does not accept this token."}}
	case out.Kind().Transient():
		out.Message = "the token could not be checked: " + out.Message
	}
	return &out
}

// facts tells what holds on this server, and what does not and why.
func facts(who identity, root serverRoot, owner account) sdk.ServerFacts {
	f := sdk.ServerFacts{
		Product: "Plex Media Server", Version: root.Version, ExternalID: who.Machine, Name: root.Name,
		Capabilities: plugin{}.Describe().Capabilities(),
		LibraryModes: libraryModes(),
		JoinFlow:     sdk.JoinLinkedAccount,
		AccountRules: accountRules(),
	}
	if owner.passHolder() {
		f.Permissions = append(f.Permissions, sdk.PermissionDownload)
	} else {
		f.Missing = append(f.Missing, sdk.Missing{Name: sdk.PermissionDownload, Reason: "Downloads need Plex Pass on the account of the server's owner."})
		f.Warnings = append(f.Warnings, "The owner has no Plex Pass: people outside the owner's network need a Remote Watch Pass of their own.")
	}
	// Who joins may be a member of the Home, or not: that is judged per person.
	if owner.leadsHome() {
		f.Permissions = append(f.Permissions, sdk.PermissionLiveTV)
	} else {
		f.Missing = append(f.Missing, sdk.Missing{
			Name: sdk.PermissionLiveTV, Reason: "Plex offers Live TV to Home members only, and the owner of this server leads no Plex Home with others in it.",
		})
	}
	return f
}
