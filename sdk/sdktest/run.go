package sdktest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/zondarr/zondarr/sdk"
)

// Config says what Run tests.
type Config struct {
	// New gives the plugin, each time another one.
	New func() sdk.Plugin
	// Program is the file of the same plugin, to be tested as the host would start it;
	// empty to test in process and over gRPC only.
	Program string
	// Fixture starts simulated media servers, for tiers 2 and 3; without one only tier 1
	// runs.
	Fixture Fixture
	// Skip leaves checks out, by name, each with a reason that the test prints.
	Skip map[string]string
}

// Run runs every check on a plugin, in process, over gRPC and, where it is given, as a
// program. With -short it repeats less.
func Run(t *testing.T, config Config) {
	t.Helper()
	for name := range config.Skip {
		if !slices.ContainsFunc(Checks(), func(c Check) bool { return c.Name == name }) {
			t.Fatalf("there is no check named %q to skip", name)
		}
	}
	modes := []Mode{InProcess, OverGRPC}
	if config.New == nil {
		modes = nil
	}
	if config.Program != "" {
		modes = append(modes, Binary)
	}
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			s, stop, err := config.subject(t, mode)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(stop)
			ran := [4]int{}
			for _, c := range Checks() {
				t.Run(fmt.Sprintf("tier %d/%s", c.Tier, c.Name), func(t *testing.T) {
					if why, skip := config.Skip[c.Name]; skip {
						t.Skipf("skipped: %s", why)
					}
					s.tb = t
					switch r := c.run(t.Context(), s); r.Outcome {
					case Failed:
						ran[c.Tier]++
						t.Errorf("%s\nwhy it matters: %s", r.Detail, c.Why)
					case Skipped:
						t.Skip(r.Detail)
					case Passed:
						ran[c.Tier]++
					}
				})
			}
			t.Logf("%s: %d checks of tier 1, %d of tier 2, %d of tier 3", mode, ran[1], ran[2], ran[3])
		})
	}
}

// subject brings a plugin up in a mode.
func (config Config) subject(t *testing.T, mode Mode) (*Subject, func(), error) {
	s := newSubject(mode)
	s.quick = testing.Short()
	stop, err := s.bringUp(config.New, config.Program)
	if err != nil {
		return nil, nil, err
	}
	if config.Fixture.Start != nil {
		first, second := config.Fixture.Start(t), config.Fixture.Start(t)
		s.fixture = &config.Fixture
		first.Ref.ID, second.Ref.ID = "conformance-1", "conformance-2"
		s.target = &Target{Server: first.Ref, Second: &second.Ref, Link: first.Link}
	}
	return s, stop, nil
}
