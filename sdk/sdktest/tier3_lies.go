package sdktest

import (
	"context"
	"errors"
	"fmt"

	"github.com/zondarr/zondarr/sdk"
)

func checkLies(ctx context.Context, s *Subject) error {
	if err := s.needs(sdk.CapProvision); err != nil {
		return err
	}
	told := 0
	var wrong []error
	for _, lie := range Lies() {
		if lie == LieNoSignIn && !s.has(sdk.CapVerifyPassword) {
			continue
		}
		for _, run := range []func(context.Context, *Subject, upstream, Lie) (bool, error){lieOnCreate, lieOnSet} {
			up := s.start()
			did, err := run(ctx, s, up, lie)
			up.proxy.close()
			if _, skip := errors.AsType[notApplicable](err); skip {
				continue
			}
			if did {
				told++
			}
			if err != nil {
				wrong = append(wrong, fmt.Errorf("when the server %s: %w", lie, err))
			}
		}
	}
	if told == 0 && wrong == nil {
		return NotApplicable("the simulated server does not lie")
	}
	return errors.Join(wrong...)
}

// richGrant is a grant with as much in it as the server takes, none of it the default.
func richGrant(ctx context.Context, s *Subject, c Client) (sdk.Grant, sdk.ServerFacts, error) {
	g, facts, _, err := s.grantFor(ctx, c)
	g.Permissions, g.Limits = map[string]sdk.Tri{}, map[string]int64{}
	for _, p := range s.Description.Permissions {
		for _, here := range facts.Permissions {
			if p.Name == here {
				g.Permissions[p.Name] = sdk.TriOf(p.Default != sdk.Allow)
			}
		}
	}
	return g, facts, err
}

// lieOnCreate creates a user on a server that lies. The plugin fails, and leaves nobody
// behind; or it tells what it read back, and the host sees the difference.
func lieOnCreate(ctx context.Context, s *Subject, up upstream, lie Lie) (bool, error) {
	c, on := s.Client(up.ref), s.on(up)
	g, facts, err := richGrant(ctx, on, c)
	if err != nil {
		return false, err
	}
	req, err := on.newRequest(facts, g)
	if err != nil {
		return false, err
	}
	if lie == LieNoSignIn && req.Password == "" || up.Tell == nil || !up.Tell(lie) {
		return false, nil
	}
	resp, err := c.CreateUser(ctx, req)
	s.heard(err)
	up.Tell(NoLie)
	if err == nil {
		if lie == LieNoSignIn {
			return true, errors.New("CreateUser succeeds, and the user cannot sign in")
		}
		if resp.User.Status == sdk.StatusActive && sameGrant(resp.User, g) == nil {
			return true, errors.New("CreateUser answers what was asked, and not what the server has")
		}
		return true, nil
	}
	username := req.Username
	if req.Link != nil {
		username = req.Link.Username
	}
	if up.has(username) && sdk.ReasonOf(err) != sdk.ReasonAmbiguous {
		return true, fmt.Errorf("CreateUser fails with %q and leaves the user behind", sdk.ReasonOf(err))
	}
	return true, nil
}

// lieOnSet changes a user on a server that has begun to lie.
func lieOnSet(ctx context.Context, s *Subject, up upstream, lie Lie) (bool, error) {
	if lie != LieStoreNothing && lie != LieRevert {
		return false, nil
	}
	c, on := s.Client(up.ref), s.on(up)
	m, removeIt, err := on.create(ctx, c)
	if err != nil {
		return false, err
	}
	defer removeIt()
	if m.user.Status == sdk.StatusPending || up.Tell == nil || !up.Tell(lie) {
		return false, nil
	}
	defer up.Tell(NoLie)
	var wrong []error
	if s.has(sdk.CapLibraryAccess) {
		_, _, libraries, err := on.grantFor(ctx, c)
		if err != nil {
			return true, err
		}
		for _, access := range accesses(s.Description.Traits.LibraryModes, libraries) {
			if sameAccess(m.user.Libraries, access) {
				continue
			}
			resp, err := c.SetLibraryAccess(ctx, sdk.SetLibraryAccessRequest{ID: m.user.ID, Access: access})
			if err == nil && sameAccess(resp.User.Libraries, access) {
				wrong = append(wrong, errors.New("SetLibraryAccess answers what was asked, and not what the server has"))
				break
			}
		}
	}
	if s.has(sdk.CapSuspend) {
		resp, err := c.Suspend(ctx, sdk.SuspendRequest{ID: m.user.ID})
		if err == nil && resp.User.Status == sdk.StatusSuspended {
			wrong = append(wrong, errors.New("Suspend says that the user is suspended, and it is not"))
		}
	}
	return true, errors.Join(wrong...)
}
