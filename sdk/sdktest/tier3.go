package sdktest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// fixtureChecks are about simulated media servers that fail at any request and lie.
func fixtureChecks() []Check {
	check := func(name, why string, run func(ctx context.Context, s *Subject) error) Check {
		return Check{Tier: 3, Name: name, Why: why, Run: func(ctx context.Context, s *Subject) error {
			if s.fixture == nil {
				return NotApplicable("there is no fixture")
			}
			return run(ctx, s)
		}}
	}
	return []Check{
		check("creates a user wholly or not at all, whatever fails", "A user that is left behind by a failed invitation has access that nobody knows of.", checkAllOrNothing),
		check("fails with the exact reason", "Each reason has its own words and its own remedy.", checkReasons),
		check("is not taken in by a server that lies", "Media servers say yes to what they do not understand; only reading back tells.", checkLies),
		check("never writes to protected users", "An administrator who is locked out cannot repair it.", checkProtected),
		check("shows its credentials to no other server", "An address that was given to somebody else must not collect keys.", checkCredentials),
	}
}

// upstream is a simulated server behind proxies.
type upstream struct {
	Upstream
	ref   sdk.ServerRef
	proxy *proxies
}

// start starts a fresh simulated server; the caller closes the proxies.
func (s *Subject) start() upstream {
	up := upstream{Upstream: s.fixture.Start(s.tb)}
	up.ref, up.proxy = between(up.Ref, s.Description)
	up.ref.ID = "fixture-" + s.name() // clients are kept by id
	return up
}

func (up upstream) has(username string) bool {
	return slices.ContainsFunc(up.Usernames(), func(u string) bool { return strings.EqualFold(u, username) })
}

// on makes the subject's second tier use a simulated server, for what it shares.
func (s *Subject) on(up upstream) *Subject {
	other := &Subject{
		Mode: s.Mode, Description: s.Description, plugin: s.plugin, remote: s.remote, program: s.program,
		opened: s.opened, run: s.run + strings.ToLower(up.ref.ID[len(up.ref.ID)-1:]),
	}
	other.target = &Target{Server: up.ref, Link: up.Link}
	return other
}

func checkAllOrNothing(ctx context.Context, s *Subject) error {
	if err := s.needs(sdk.CapProvision); err != nil {
		return err
	}
	up := s.start()
	defer up.proxy.close()
	c := s.Client(up.ref)
	on := s.on(up)
	g, facts, _, err := on.grantFor(ctx, c)
	if err != nil {
		return err
	}
	const most = 60
	var wrong []error
	for _, after := range []bool{false, true} {
		for n := 1; ; n++ {
			if n > most {
				return fmt.Errorf("creating a user takes more than %d requests", most)
			}
			req, err := on.newRequest(facts, g)
			if err != nil {
				return err
			}
			up.proxy.arm(n, after)
			callCtx, cancel := context.WithTimeout(ctx, 20*time.Second)
			resp, err := c.CreateUser(callCtx, req)
			cancel()
			struck := up.proxy.disarm()
			s.heard(err)
			if fault := judgeCreate(up, after, req, resp.User, err); fault != nil {
				how := "request %d of CreateUser is refused with HTTP 500"
				if after {
					how = "the answer to request %d of CreateUser is lost"
				}
				if !struck {
					how = "nothing fails (%d)"
				}
				wrong = append(wrong, fmt.Errorf("when "+how+": %w", n, fault))
			}
			cleanUp(ctx, c, req)
			if !struck {
				break
			}
		}
	}
	return errors.Join(wrong...)
}

// judgeCreate says what is wrong with how a creation ended.
func judgeCreate(up upstream, after bool, req sdk.CreateUserRequest, u sdk.User, err error) error {
	username := req.Username
	if req.Link != nil {
		username = req.Link.Username
	}
	there := up.has(username)
	if err == nil {
		if !there {
			return errors.New("it succeeds, and there is no user")
		}
		return sameGrant(u, req.Grant)
	}
	e, wrong := typedError("CreateUser", err)
	if wrong != nil {
		return wrong
	}
	if !there {
		return nil
	}
	if after && (e.Retryable || e.Kind() == sdk.ReasonAmbiguous) {
		return nil // it says that it does not know
	}
	return fmt.Errorf("it fails with %q and leaves the user behind", e.Kind())
}

// cleanUp removes the user of a request, if there is one.
func cleanUp(ctx context.Context, c Client, req sdk.CreateUserRequest) {
	find := sdk.FindUserRequest{Username: req.Username}
	if req.Link != nil {
		find = sdk.FindUserRequest{AccountID: req.Link.ID}
	}
	if found, err := c.FindUser(ctx, find); err == nil {
		remove(ctx, c, found.User.ID)
	}
}

func checkReasons(ctx context.Context, s *Subject) error {
	first := s.start()
	reasons := slices.Sorted(maps.Keys(first.Provoke))
	first.proxy.close()
	if len(reasons) == 0 {
		return NotApplicable("the fixture provokes no reason")
	}
	var wrong []error
	for _, want := range reasons {
		up := s.start()
		err := up.Provoke[want](ctx, s.Client, up.ref)
		up.proxy.close()
		s.heard(err)
		if err == nil {
			wrong = append(wrong, fmt.Errorf("what must fail with %q succeeds", want))
			continue
		}
		e, fault := typedError("the call", err)
		if fault != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", want, fault))
		} else if e.Kind() != want {
			wrong = append(wrong, fmt.Errorf("what must fail with %q fails with %q (%s)", want, e.Kind(), e.Message))
		}
	}
	return errors.Join(wrong...)
}

func checkProtected(ctx context.Context, s *Subject) error {
	if err := s.needs(sdk.CapReadUsers); err != nil {
		return err
	}
	up := s.start()
	defer up.proxy.close()
	c := s.Client(up.ref)
	var protected sdk.User
	err := c.ListUsers(ctx, sdk.ListUsersRequest{}, func(u sdk.User) error {
		if u.Protected {
			protected = u
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("ListUsers: %w", err)
	}
	if protected.ID == "" {
		return errors.New("no user is protected, not even the administrator")
	}
	before := up.Usernames()
	p := s.aProbe()
	p.id = protected.ID
	var wrong []error
	for _, v := range verbs() {
		switch v.op {
		case "DeleteUser", "Suspend", "SetLibraryAccess", "SetPermissions", "SetPassword":
		default:
			continue
		}
		if !s.declares(v) {
			continue
		}
		if v.op == "SetPermissions" && len(s.Description.Permissions) > 0 {
			p.grant.Permissions = map[string]sdk.Tri{s.Description.Permissions[0].Name: sdk.Deny}
		}
		err := v.call(ctx, c, p)
		s.heard(err)
		if err := wantReason(v.op+" of a protected user", err, sdk.ReasonProtected); err != nil {
			wrong = append(wrong, err)
		}
	}
	if after := up.Usernames(); len(after) != len(before) {
		wrong = append(wrong, fmt.Errorf("there were the users %v, and now there are %v", before, after))
	}
	return errors.Join(wrong...)
}

func checkCredentials(ctx context.Context, s *Subject) error {
	up := s.start()
	defer up.proxy.close()
	up.ref.ExternalID = "an-id-that-no-server-has"
	var wrong []error
	for _, v := range verbs() {
		if !s.declares(v) || slices.Contains(v.caps, sdk.CapLinkAccount) {
			continue
		}
		ref := up.ref
		ref.ID = v.op + "-" + up.ref.ID
		up.proxy.record()
		callCtx, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := v.call(callCtx, s.Client(ref), s.aProbe())
		cancel()
		s.heard(err)
		if err == nil {
			wrong = append(wrong, fmt.Errorf("%s succeeds on another server than the stored one", v.op))
		}
		sent := up.proxy.recorded()
		for name, secret := range ref.Secrets {
			if len(secret) > 3 && (strings.Contains(sent, secret) || strings.Contains(sent, url.QueryEscape(secret))) {
				wrong = append(wrong, fmt.Errorf("%s sends the secret %q to another server than the stored one", v.op, name))
			}
		}
	}
	return errors.Join(wrong...)
}
