package sdktest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// stateChecks are about what a plugin does on a media server that may be written to.
func stateChecks() []Check {
	check := func(name, why string, run func(ctx context.Context, s *Subject, c Client) error) Check {
		return Check{Tier: 2, Name: name, Why: why, Run: func(ctx context.Context, s *Subject) error {
			if s.target == nil {
				return NotApplicable("no media server was given")
			}
			return run(ctx, s, s.Client(s.target.Server))
		}}
	}
	return []Check{
		check("tells the facts of a server", "Forms and checks are made from the facts: what they promise beyond the declaration fails later, and what they leave out without a reason nobody understands.", checkFacts),
		check("tests a server that is not stored yet", "A server is stored only after its test, which carries no id.", checkUnsaved),
		check("notices another server at the same address", "Users made on the wrong server cannot be found again.", checkWrongServer),
		check("says that credentials are refused", "The admin has to know that it is the key and not the network.", checkWrongSecrets),
		check("uses changed credentials at once", "A changed server has a new revision; whoever keeps the old client keeps an old key.", checkRevision),
		check("lists every library once", "Access is granted by these ids, and what is missing from the list is marked as gone.", checkLibraries),
		check("creates a user with exactly the grant", "Whoever gets more than was granted sees what they should not; the host undoes every difference.", checkCreate),
		check("refuses a name that is taken", "The invitee can choose another one only if the reason says so.", checkTaken),
		check("expresses each library mode that it claims", "Collapsing none into all is how access silently widens.", checkModes),
		check("refuses a library that is not there", "An access that silently lacks a library is found out by the invitee.", checkUnknownLibrary),
		check("sets permissions and limits, and leaves the rest", "What is unset stays as it is; a plugin that writes defaults undoes what somebody else has set.", checkPermissions),
		check("suspends and resumes", "Access ends when an invitation does, and comes back as it was.", checkSuspend),
		check("replaces a password", "The old one must not go on working.", checkPassword),
		check("deletes a user, and is content when it is gone", "Undoing is repeated until it succeeds; a second delete that fails is retried for ever.", checkDelete),
		check("says that a user is not there", "The host resolves an unknown outcome by looking: a wrong answer deletes or forgets an account.", checkNotFound),
		check("asks the media server now when it is told to", "A name is free again, and an unknown outcome is settled, only by an answer from after the question; what rests on a kept list proves nothing.", checkNow),
	}
}

// grantFor gives a grant that the server can express: its first library if it can.
func (s *Subject) grantFor(ctx context.Context, c Client) (sdk.Grant, sdk.ServerFacts, []sdk.Library, error) {
	tested, err := c.TestConnection(ctx, sdk.TestConnectionRequest{})
	if err != nil {
		return sdk.Grant{}, sdk.ServerFacts{}, nil, fmt.Errorf("TestConnection: %w", err)
	}
	listed, err := c.ListLibraries(ctx, sdk.ListLibrariesRequest{})
	if err != nil {
		return sdk.Grant{}, sdk.ServerFacts{}, nil, fmt.Errorf("ListLibraries: %w", err)
	}
	modes := tested.Facts.LibraryModes
	g := sdk.Grant{Libraries: sdk.LibraryAccess{Mode: sdk.LibraryAll}}
	switch {
	case slices.Contains(modes, sdk.LibraryOnly) && len(listed.Libraries) > 0:
		g.Libraries = sdk.LibraryAccess{Mode: sdk.LibraryOnly, IDs: []string{listed.Libraries[0].ID}}
	case len(modes) > 0 && !slices.Contains(modes, sdk.LibraryAll):
		g.Libraries.Mode = modes[0]
	}
	return g, tested.Facts, listed.Libraries, nil
}

// made is a user that a check has made.
type made struct {
	user     sdk.User
	password string
	request  sdk.CreateUserRequest
}

// newRequest makes up a user for a server.
func (s *Subject) newRequest(facts sdk.ServerFacts, g sdk.Grant) (sdk.CreateUserRequest, error) {
	req := sdk.CreateUserRequest{OperationID: "00000000-0000-4000-8000-000000000002", Grant: g}
	switch facts.JoinFlow {
	case sdk.JoinLinkedAccount:
		if s.target.Link == nil {
			return req, NotApplicable("people join by a linked account, and none was given")
		}
		if req.Link = s.target.Link(); req.Link == nil {
			return req, NotApplicable("the linked account that was given is used up")
		}
	case sdk.JoinPassword:
		req.Username, req.Password = s.name(), "Zt-"+s.canary("password")
		if facts.AccountRules.Email.Use == sdk.FieldRequired {
			req.Email = req.Username + "@example.com"
		}
	default:
		return req, NotApplicable("nobody can join this server")
	}
	return req, nil
}

// create makes a user; whoever calls it also calls remove.
func (s *Subject) create(ctx context.Context, c Client) (made, func(), error) {
	if err := s.needsHere(ctx, c, sdk.CapProvision); err != nil {
		return made{}, nil, err
	}
	g, facts, _, err := s.grantFor(ctx, c)
	if err != nil {
		return made{}, nil, err
	}
	req, err := s.newRequest(facts, g)
	if err != nil {
		return made{}, nil, err
	}
	resp, err := c.CreateUser(ctx, req)
	if err != nil {
		return made{}, nil, fmt.Errorf("CreateUser: %w", err)
	}
	m := made{user: resp.User, password: req.Password, request: req}
	return m, func() { remove(ctx, c, m.user.ID) }, nil
}

// remove removes a user that a check has made, also after the check's time.
func remove(ctx context.Context, c Client, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	_, _ = c.DeleteUser(ctx, sdk.DeleteUserRequest{ID: id}) // what is left behind is told by a check
}

// sameGrant says how a user differs from what was asked, or nil.
func sameGrant(u sdk.User, g sdk.Grant) error {
	if u.Libraries == nil {
		return errors.New("the user's libraries are not told")
	}
	if !sameAccess(u.Libraries, g.Libraries) {
		return fmt.Errorf("the user's libraries are %s %v, want %s %v", u.Libraries.Mode, u.Libraries.IDs, g.Libraries.Mode, g.Libraries.IDs)
	}
	for _, name := range slices.Sorted(maps.Keys(g.Permissions)) {
		if want := g.Permissions[name]; want != sdk.Unset && u.Permissions[name] != want {
			return fmt.Errorf("the permission %q is %s, want %s", name, u.Permissions[name], want)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(g.Limits)) {
		if got, ok := u.Limits[name]; !ok || got != g.Limits[name] {
			return fmt.Errorf("the limit %q is %d (told: %v), want %d", name, got, ok, g.Limits[name])
		}
	}
	return nil
}
