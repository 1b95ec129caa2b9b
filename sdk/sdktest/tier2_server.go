package sdktest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/zondarr/zondarr/sdk"
)

func checkFacts(ctx context.Context, s *Subject, c Client) error {
	resp, err := c.TestConnection(ctx, sdk.TestConnectionRequest{})
	if err != nil {
		return fmt.Errorf("TestConnection: %w", err)
	}
	f, d := resp.Facts, s.Description
	var wrong []error
	say := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Errorf(format, args...))
		}
	}
	say(f.Product != "" && f.Version != "", "product %q and version %q are not told", f.Product, f.Version)
	say(f.ExternalID != "", "the server's own id is not told")
	say(slices.Contains([]sdk.JoinFlow{sdk.JoinPassword, sdk.JoinLinkedAccount, sdk.JoinNone}, f.JoinFlow), "the join flow is %q", f.JoinFlow)
	say(f.JoinFlow == sdk.JoinNone || slices.Contains(f.Capabilities, sdk.CapProvision), "people can join (%s), but users cannot be created here", f.JoinFlow)
	parts(say, "capability", d.Capabilities(), f.Capabilities, f.Missing)
	parts(say, "permission", names(d.Permissions, func(p sdk.PermissionInfo) string { return p.Name }), f.Permissions, f.Missing)
	parts(say, "limit", names(d.Limits, func(l sdk.LimitInfo) string { return l.Name }), f.Limits, f.Missing)
	parts(say, "library mode", d.Traits.LibraryModes, f.LibraryModes, f.Missing)
	for _, m := range f.Missing {
		say(m.Reason != "", "%q is missing without a reason", m.Name)
	}
	return errors.Join(wrong...)
}

func names[T any](list []T, name func(T) string) []string {
	out := make([]string, 0, len(list))
	for _, x := range list {
		out = append(out, name(x))
	}
	return out
}

// parts compares what a type declares with what a server has.
func parts[T ~string](say func(bool, string, ...any), kind string, declared, here []T, missing []sdk.Missing) {
	for _, x := range here {
		say(slices.Contains(declared, x), "the %s %q is told, but not declared", kind, x)
	}
	for _, x := range declared {
		told := slices.ContainsFunc(missing, func(m sdk.Missing) bool { return m.Name == string(x) })
		say(slices.Contains(here, x) || told, "the %s %q does not hold here, and Missing does not say why", kind, x)
	}
}

func checkUnsaved(ctx context.Context, s *Subject, _ Client) error {
	ref := s.target.Server
	ref.ID, ref.Revision = "", 0
	resp, err := s.Client(ref).TestConnection(ctx, sdk.TestConnectionRequest{})
	if err != nil {
		return err
	}
	if resp.Facts.ExternalID == "" {
		return errors.New("the server's own id is not told")
	}
	return nil
}

func checkWrongServer(ctx context.Context, s *Subject, _ Client) error {
	ref := s.target.Server
	ref.ID, ref.ExternalID = "another-server", "an-id-that-no-server-has"
	_, err := s.Client(ref).TestConnection(ctx, sdk.TestConnectionRequest{})
	return wantReason("the id of the stored server is another one, and TestConnection", err, sdk.ReasonWrongServer)
}

// withSecrets gives the target's server with other secrets.
func (s *Subject) withSecrets() (sdk.ServerRef, error) {
	ref := s.target.Server
	if len(ref.Secrets) == 0 {
		return ref, NotApplicable("the server has no secrets")
	}
	wrong := map[string]string{}
	for _, p := range s.Description.SettingsSchema.Properties {
		if p.Secret && ref.Secrets[p.Name] != "" {
			wrong[p.Name] = s.secret(p)
		}
	}
	ref.Secrets = wrong
	return ref, nil
}

func rejected(err error) error {
	return wantReason("with made-up secrets TestConnection", err, sdk.ReasonCredentialsRejected, sdk.ReasonNotAdmin)
}

func checkWrongSecrets(ctx context.Context, s *Subject, _ Client) error {
	ref, err := s.withSecrets()
	if err != nil {
		return err
	}
	ref.ID = ""
	_, err = s.Client(ref).TestConnection(ctx, sdk.TestConnectionRequest{})
	s.heard(err)
	return rejected(err)
}

func checkRevision(ctx context.Context, s *Subject, _ Client) error {
	good := s.target.Server
	good.ID = "revised"
	if _, err := s.Client(good).TestConnection(ctx, sdk.TestConnectionRequest{}); err != nil {
		return fmt.Errorf("revision %d: %w", good.Revision, err)
	}
	bad, err := s.withSecrets()
	if err != nil {
		return err
	}
	bad.ID, bad.Revision = good.ID, good.Revision+1
	_, err = s.Client(bad).TestConnection(ctx, sdk.TestConnectionRequest{})
	s.heard(err)
	if err := rejected(err); err != nil {
		return fmt.Errorf("at the next revision: %w", err)
	}
	good.Revision += 2
	if _, err := s.Client(good).TestConnection(ctx, sdk.TestConnectionRequest{}); err != nil {
		return fmt.Errorf("at the revision after that, with the right secrets again: %w", err)
	}
	return nil
}

func checkLibraries(ctx context.Context, _ *Subject, c Client) error {
	resp, err := c.ListLibraries(ctx, sdk.ListLibrariesRequest{})
	if err != nil {
		return err
	}
	again, err := c.ListLibraries(ctx, sdk.ListLibrariesRequest{})
	if err != nil {
		return err
	}
	if !slices.Equal(resp.Libraries, again.Libraries) {
		return errors.New("the second list differs from the first")
	}
	seen := map[string]bool{}
	for _, l := range resp.Libraries {
		if l.ID == "" || l.Name == "" || l.Type == "" {
			return fmt.Errorf("the library %+v lacks an id, a name or a type", l)
		}
		if seen[l.ID] {
			return fmt.Errorf("the library %q is listed twice", l.ID)
		}
		seen[l.ID] = true
	}
	return nil
}
