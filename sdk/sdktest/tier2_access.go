package sdktest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/zondarr/zondarr/sdk"
)

// accesses gives an access of each mode that a server claims.
func accesses(modes []sdk.LibraryMode, libraries []sdk.Library) []sdk.LibraryAccess {
	var out []sdk.LibraryAccess
	for _, m := range modes {
		switch {
		case m != sdk.LibraryOnly:
			out = append(out, sdk.LibraryAccess{Mode: m})
		case len(libraries) > 1:
			out = append(out, sdk.LibraryAccess{Mode: m, IDs: []string{libraries[1].ID, libraries[0].ID}})
			fallthrough
		case len(libraries) > 0:
			out = append(out, sdk.LibraryAccess{Mode: m, IDs: []string{libraries[0].ID}})
		}
	}
	return out
}

func checkModes(ctx context.Context, s *Subject, c Client) error {
	if err := s.needsHere(ctx, c, sdk.CapLibraryAccess); err != nil {
		return err
	}
	_, facts, libraries, err := s.grantFor(ctx, c)
	if err != nil {
		return err
	}
	m, removeIt, err := s.create(ctx, c)
	if err != nil {
		return err
	}
	defer removeIt()
	if m.user.Status == sdk.StatusPending {
		return NotApplicable("the new user waits for the person to accept")
	}
	for _, access := range accesses(facts.LibraryModes, libraries) {
		for range 2 {
			resp, err := c.SetLibraryAccess(ctx, sdk.SetLibraryAccessRequest{ID: m.user.ID, Access: access})
			if err != nil {
				return fmt.Errorf("SetLibraryAccess %s %v: %w", access.Mode, access.IDs, err)
			}
			if err := sameGrant(resp.User, sdk.Grant{Libraries: access}); err != nil {
				return fmt.Errorf("SetLibraryAccess %s %v: %w", access.Mode, access.IDs, err)
			}
		}
		if err := s.reads(ctx, c, m.user.ID, sdk.Grant{Libraries: access}); err != nil {
			return fmt.Errorf("after SetLibraryAccess %s %v: %w", access.Mode, access.IDs, err)
		}
	}
	return nil
}

// reads makes sure that GetUser tells a grant.
func (s *Subject) reads(ctx context.Context, c Client, id string, g sdk.Grant) error {
	if !s.has(sdk.CapReadUsers) {
		return nil
	}
	got, err := c.GetUser(ctx, sdk.GetUserRequest{ID: id})
	if err != nil {
		return fmt.Errorf("GetUser: %w", err)
	}
	return sameGrant(got.User, g)
}

func checkUnknownLibrary(ctx context.Context, s *Subject, c Client) error {
	if err := s.needs(sdk.CapProvision); err != nil {
		return err
	}
	g, facts, _, err := s.grantFor(ctx, c)
	if err != nil {
		return err
	}
	if !slices.Contains(facts.LibraryModes, sdk.LibraryOnly) {
		return NotApplicable("the server cannot name libraries")
	}
	unknown := sdk.LibraryAccess{Mode: sdk.LibraryOnly, IDs: append(slices.Clone(g.Libraries.IDs), s.aProbe().id)}
	req, err := s.newRequest(facts, sdk.Grant{Libraries: unknown})
	if err != nil {
		return err
	}
	resp, err := c.CreateUser(ctx, req)
	if err == nil {
		remove(ctx, c, resp.User.ID)
	}
	if err := wantReason("CreateUser with an unknown library", err, sdk.ReasonLibraryNotFound); err != nil {
		return err
	}
	if err := absent(ctx, s, c, "", req); err != nil {
		return fmt.Errorf("after that refusal: %w", err)
	}
	if !s.has(sdk.CapLibraryAccess) {
		return nil
	}
	m, removeIt, err := s.create(ctx, c)
	if err != nil {
		return err
	}
	defer removeIt()
	_, err = c.SetLibraryAccess(ctx, sdk.SetLibraryAccessRequest{ID: m.user.ID, Access: unknown})
	if err := wantReason("SetLibraryAccess with an unknown library", err, sdk.ReasonLibraryNotFound); err != nil {
		return err
	}
	return s.reads(ctx, c, m.user.ID, m.request.Grant)
}

func checkPermissions(ctx context.Context, s *Subject, c Client) error {
	if !s.has(sdk.CapPermissions) && !s.has(sdk.CapLimits) {
		return NotApplicable("the plugin declares neither permissions nor limits")
	}
	_, facts, _, err := s.grantFor(ctx, c)
	if err != nil {
		return err
	}
	m, removeIt, err := s.create(ctx, c)
	if err != nil {
		return err
	}
	defer removeIt()
	if m.user.Status == sdk.StatusPending {
		return NotApplicable("the new user waits for the person to accept")
	}
	now := sdk.Grant{Libraries: m.request.Grant.Libraries, Permissions: map[string]sdk.Tri{}, Limits: map[string]int64{}}
	set := func(req sdk.SetPermissionsRequest) error {
		req.ID = m.user.ID
		for range 2 {
			resp, err := c.SetPermissions(ctx, req)
			if err != nil {
				return err
			}
			if err := sameGrant(resp.User, now); err != nil {
				return err
			}
		}
		return s.reads(ctx, c, m.user.ID, now)
	}
	for _, name := range facts.Permissions {
		for _, t := range []sdk.Tri{sdk.Deny, sdk.Allow, sdk.Deny} {
			now.Permissions[name] = t
			if err := set(sdk.SetPermissionsRequest{Permissions: map[string]sdk.Tri{name: t}}); err != nil {
				return fmt.Errorf("setting %s to %s: %w", name, t, err)
			}
		}
	}
	for _, l := range s.Description.Limits {
		if !slices.Contains(facts.Limits, l.Name) {
			continue
		}
		for _, n := range []int64{max(l.Min, 1), 0} {
			now.Limits[l.Name] = n
			if err := set(sdk.SetPermissionsRequest{Limits: map[string]int64{l.Name: n}}); err != nil {
				return fmt.Errorf("setting %s to %d: %w", l.Name, n, err)
			}
		}
	}
	unset := map[string]sdk.Tri{}
	for name := range maps.Keys(now.Permissions) {
		unset[name] = sdk.Unset
	}
	if err := set(sdk.SetPermissionsRequest{Permissions: unset}); err != nil {
		return fmt.Errorf("a request that leaves everything unset: %w", err)
	}
	return nil
}

func checkSuspend(ctx context.Context, s *Subject, c Client) error {
	if err := s.needsHere(ctx, c, sdk.CapSuspend, sdk.CapReadUsers); err != nil {
		return err
	}
	m, removeIt, err := s.create(ctx, c)
	if err != nil {
		return err
	}
	defer removeIt()
	before, err := c.GetUser(ctx, sdk.GetUserRequest{ID: m.user.ID})
	if err != nil {
		return fmt.Errorf("GetUser: %w", err)
	}
	if before.User.Status == sdk.StatusPending {
		return NotApplicable("the new user waits for the person to accept")
	}
	for range 2 {
		resp, err := c.Suspend(ctx, sdk.SuspendRequest{ID: m.user.ID})
		if err != nil {
			return fmt.Errorf("Suspend: %w", err)
		}
		if resp.User.Status != sdk.StatusSuspended {
			return fmt.Errorf("after Suspend the user is %s", resp.User.Status)
		}
	}
	if s.has(sdk.CapVerifyPassword) && m.password != "" && !s.Description.Traits.SuspendEmulated {
		if err := signsIn(ctx, c, m.user, m.password, false); err != nil {
			return fmt.Errorf("while the user is suspended: %w", err)
		}
	}
	grant := sdk.Grant{Permissions: before.User.Permissions, Limits: before.User.Limits, Options: before.User.Options}
	if before.User.Libraries == nil {
		return errors.New("GetUser does not tell the libraries, so that nothing could be given back")
	}
	grant.Libraries = *before.User.Libraries
	for range 2 {
		resp, err := c.Resume(ctx, sdk.ResumeRequest{ID: m.user.ID, Grant: grant, PluginState: before.User.PluginState})
		if err != nil {
			return fmt.Errorf("Resume: %w", err)
		}
		if resp.User.Status != sdk.StatusActive && resp.User.Status != sdk.StatusPending {
			return fmt.Errorf("after Resume the user is %s", resp.User.Status)
		}
		if err := sameGrant(resp.User, grant); err != nil {
			return fmt.Errorf("after Resume: %w", err)
		}
	}
	return s.reads(ctx, c, m.user.ID, grant)
}
