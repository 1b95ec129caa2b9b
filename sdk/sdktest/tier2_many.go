package sdktest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/zondarr/zondarr/sdk"
)

// manyChecks are about lists and about many callers.
func manyChecks() []Check {
	return []Check{
		{
			Tier: 2, Name: "lists every user, and admits when the list is cut",
			Why: "What is missing from a list that is called complete is taken for deleted.",
			Run: checkList,
		},
		{
			Tier: 2, Name: "keeps two servers apart under 64 callers",
			Why: "One process serves every server of the type; a mix-up creates accounts, and shows keys, where they do not belong.",
			Run: checkApart,
		},
	}
}

func checkList(ctx context.Context, s *Subject) error {
	if s.target == nil {
		return NotApplicable("no media server was given")
	}
	if err := s.needs(sdk.CapReadUsers); err != nil {
		return err
	}
	c := s.Client(s.target.Server)
	var want []string
	if s.has(sdk.CapProvision) {
		m, removeIt, err := s.create(ctx, c)
		if _, skip := errors.AsType[notApplicable](err); err != nil && !skip {
			return err
		}
		if err == nil {
			defer removeIt()
			want = append(want, m.user.ID)
		}
	}
	kinds := names(s.Description.UserKinds, func(k sdk.UserKindInfo) string { return k.Name })
	seen := map[string]bool{}
	err := c.ListUsers(ctx, sdk.ListUsersRequest{}, func(u sdk.User) error {
		switch {
		case seen[u.ID]:
			return fmt.Errorf("user %q is listed twice", u.ID)
		case len(kinds) > 0 && !slices.Contains(kinds, u.Kind):
			return fmt.Errorf("user %q is of the kind %q, which is not declared", u.ID, u.Kind)
		}
		seen[u.ID] = true
		return nil
	})
	if err != nil {
		return fmt.Errorf("ListUsers: %w", err)
	}
	for _, id := range want {
		if !seen[id] {
			return fmt.Errorf("user %q was made and is not in the list", id)
		}
	}
	enough := errors.New("enough")
	count := 0
	err = c.ListUsers(ctx, sdk.ListUsersRequest{}, func(sdk.User) error { count++; return enough })
	if len(seen) > 0 && (!errors.Is(err, enough) || count != 1) {
		return fmt.Errorf("a list that its caller cuts calls yield %d times and gives the error %v, want once and the caller's error", count, err) //nolint:errorlint // the error may be nil
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if err := c.ListUsers(cancelled, sdk.ListUsersRequest{}, func(sdk.User) error { return nil }); err == nil {
		return errors.New("a list whose context is over is called complete")
	}
	return nil
}

func checkApart(ctx context.Context, s *Subject) error {
	if s.target == nil || s.target.Second == nil {
		return NotApplicable("no second media server was given")
	}
	refs := [2]sdk.ServerRef{s.target.Server, *s.target.Second}
	refs[0].ID, refs[1].ID = "apart-1", "apart-2"
	var want [2]string
	for i, ref := range refs {
		resp, err := s.Client(ref).TestConnection(ctx, sdk.TestConnectionRequest{})
		if err != nil {
			return fmt.Errorf("server %d: %w", i+1, err)
		}
		want[i] = resp.Facts.ExternalID
	}
	if want[0] == want[1] {
		return fmt.Errorf("both servers say that they are %q: either they are one server, or the plugin takes one for the other", want[0])
	}
	var group sync.WaitGroup
	errs := make(chan error, 64)
	for caller := range 64 {
		group.Go(func() {
			for round := range 5 {
				i := (caller + round) % 2
				ref := refs[i]
				ref.Revision += int64(round) // opened anew under everybody's feet
				resp, err := s.Client(ref).TestConnection(ctx, sdk.TestConnectionRequest{})
				if err != nil {
					errs <- fmt.Errorf("caller %d: %w", caller, err)
					return
				}
				if resp.Facts.ExternalID != want[i] {
					errs <- fmt.Errorf("caller %d asked server %q and was answered by %q", caller, want[i], resp.Facts.ExternalID)
					return
				}
			}
		})
	}
	group.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}
