package sdktest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

func checkCreate(ctx context.Context, s *Subject, c Client) error {
	m, removeIt, err := s.create(ctx, c)
	if err != nil {
		return err
	}
	defer removeIt()
	u := m.user
	switch {
	case u.ID == "":
		return errors.New("the new user has no id")
	case u.Protected:
		return errors.New("the new user is protected: an administrator was made")
	case u.Status != sdk.StatusActive && u.Status != sdk.StatusPending:
		return fmt.Errorf("the new user is %s", u.Status)
	case m.request.Username != "" && u.Username != m.request.Username:
		return fmt.Errorf("the new user is called %q, want %q", u.Username, m.request.Username)
	}
	if err := sameGrant(u, m.request.Grant); err != nil {
		return fmt.Errorf("CreateUser: %w", err)
	}
	find := sdk.FindUserRequest{Username: m.request.Username}
	if m.request.Link != nil {
		find = sdk.FindUserRequest{AccountID: m.request.Link.ID}
	}
	found, err := c.FindUser(ctx, find)
	if err != nil {
		return fmt.Errorf("FindUser: %w", err)
	}
	if found.User.ID != u.ID {
		return fmt.Errorf("FindUser gives user %q, want user %q", found.User.ID, u.ID)
	}
	if s.has(sdk.CapReadUsers) {
		got, err := c.GetUser(ctx, sdk.GetUserRequest{ID: u.ID})
		if err != nil {
			return fmt.Errorf("GetUser: %w", err)
		}
		if got.User.ID != u.ID || got.User.Status != u.Status {
			return fmt.Errorf("GetUser gives %q, which is %s; CreateUser gave %q, which was %s", got.User.ID, got.User.Status, u.ID, u.Status)
		}
		if err := sameGrant(got.User, m.request.Grant); err != nil {
			return fmt.Errorf("GetUser: %w", err)
		}
	}
	if s.has(sdk.CapVerifyPassword) && m.password != "" {
		return signsIn(ctx, c, u, m.password, true)
	}
	return nil
}

func signsIn(ctx context.Context, c Client, u sdk.User, password string, want bool) error {
	resp, err := c.VerifyPassword(ctx, sdk.VerifyPasswordRequest{Username: u.Username, Password: password})
	if err != nil {
		return fmt.Errorf("VerifyPassword: %w", err)
	}
	if resp.OK != want {
		return fmt.Errorf("VerifyPassword says %v, want %v", resp.OK, want)
	}
	if want && resp.UserID != u.ID {
		return fmt.Errorf("VerifyPassword signed in %q, want %q", resp.UserID, u.ID)
	}
	return nil
}

func checkTaken(ctx context.Context, s *Subject, c Client) error {
	m, removeIt, err := s.create(ctx, c)
	if err != nil {
		return err
	}
	defer removeIt()
	want := sdk.ReasonUsernameTaken
	if m.request.Link != nil {
		want = sdk.ReasonAlreadyMember
	}
	again, err := c.CreateUser(ctx, m.request)
	if err == nil {
		if again.User.ID != m.user.ID {
			remove(ctx, c, again.User.ID)
		}
		return errors.New("the same user was created twice")
	}
	if err := wantReason("creating the same user again", err, want); err != nil {
		return err
	}
	if s.has(sdk.CapReadUsers) {
		if _, err := c.GetUser(ctx, sdk.GetUserRequest{ID: m.user.ID}); err != nil {
			return fmt.Errorf("after that the first user is gone: %w", err)
		}
	}
	return nil
}

func checkDelete(ctx context.Context, s *Subject, c Client) error {
	m, removeIt, err := s.create(ctx, c)
	if err != nil {
		return err
	}
	defer removeIt()
	for _, gone := range []bool{false, true} {
		resp, err := c.DeleteUser(ctx, sdk.DeleteUserRequest{ID: m.user.ID})
		if err != nil {
			return fmt.Errorf("DeleteUser: %w", err)
		}
		if resp.AlreadyGone != gone {
			return fmt.Errorf("DeleteUser says that the user was gone already: %v, want %v", resp.AlreadyGone, gone)
		}
	}
	return absent(ctx, s, c, m.user.ID, m.request)
}

// absent makes sure that a user cannot be found in any way.
func absent(ctx context.Context, s *Subject, c Client, id string, req sdk.CreateUserRequest) error {
	find := sdk.FindUserRequest{Username: req.Username}
	if req.Link != nil {
		find = sdk.FindUserRequest{AccountID: req.Link.ID}
	}
	if err := notFoundNow(ctx, c, find); err != nil {
		return err
	}
	if !s.has(sdk.CapReadUsers) || id == "" {
		return nil
	}
	_, err := c.GetUser(ctx, sdk.GetUserRequest{ID: id})
	return wantReason("GetUser of a user that is not there", err, sdk.ReasonNotFound)
}

// notFoundNow makes sure that FindUser, asked with MaxAge 0, finds nobody and vouches for
// it.
func notFoundNow(ctx context.Context, c Client, find sdk.FindUserRequest) error {
	_, err := c.FindUser(ctx, find)
	if err := wantReason("FindUser of a user that is not there", err, sdk.ReasonNotFound); err != nil {
		return err
	}
	if e, ok := errors.AsType[*sdk.Error](err); ok && e.Stale {
		return errors.New("FindUser with MaxAge 0 answers from what it knew before the call: its error says Stale")
	}
	return nil
}

func checkNotFound(ctx context.Context, s *Subject, c Client) error {
	if err := s.needs(sdk.CapProvision); err != nil {
		return err
	}
	p := s.aProbe()
	req := sdk.CreateUserRequest{Username: p.username}
	if p.flow == sdk.JoinLinkedAccount {
		req.Link = &sdk.LinkedAccount{ID: p.id}
	}
	return absent(ctx, s, c, p.id, req)
}

func checkNow(ctx context.Context, s *Subject, c Client) error {
	if err := s.needs(sdk.CapProvision); err != nil {
		return err
	}
	p := s.aProbe()
	find := sdk.FindUserRequest{Username: p.username}
	if p.flow == sdk.JoinLinkedAccount {
		find = sdk.FindUserRequest{AccountID: p.id}
	}
	kept := find
	kept.MaxAge = time.Minute
	// A plugin that keeps a list has one after the first of these, and may answer the
	// second from it.
	for range 2 {
		_, err := c.FindUser(ctx, kept)
		if err := wantReason("FindUser, with a MaxAge, of a user that is not there", err, sdk.ReasonNotFound); err != nil {
			return err
		}
	}
	return notFoundNow(ctx, c, find)
}

func checkPassword(ctx context.Context, s *Subject, c Client) error {
	if err := s.needsHere(ctx, c, sdk.CapSetPassword); err != nil {
		return err
	}
	m, removeIt, err := s.create(ctx, c)
	if err != nil {
		return err
	}
	defer removeIt()
	if m.password == "" {
		return NotApplicable("people do not join by password")
	}
	if _, err := c.SetPassword(ctx, sdk.SetPasswordRequest{ID: m.user.ID, Password: ""}); err == nil {
		return errors.New("an empty password is accepted")
	}
	next := "Zt-" + s.canary("password")
	for range 2 {
		if _, err := c.SetPassword(ctx, sdk.SetPasswordRequest{ID: m.user.ID, Password: next}); err != nil {
			return fmt.Errorf("SetPassword: %w", err)
		}
	}
	if !s.has(sdk.CapVerifyPassword) {
		return nil
	}
	if err := signsIn(ctx, c, m.user, m.password, false); err != nil {
		return fmt.Errorf("with the old password: %w", err)
	}
	if err := signsIn(ctx, c, m.user, next, true); err != nil {
		return fmt.Errorf("with the new password: %w", err)
	}
	return nil
}
