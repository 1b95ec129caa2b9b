package sdktest

import (
	"context"
	"fmt"
	"time"

	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdkplugin"
)

// bringUp makes the plugin reachable in the subject's mode and learns what it declares.
// What it gives ends that.
func (s *Subject) bringUp(newPlugin func() sdk.Plugin, path string) (func(), error) {
	switch s.Mode {
	case InProcess:
		s.plugin = newPlugin()
		s.Description = s.plugin.Describe()
		if err := s.Description.Validate(); err != nil {
			return nil, fmt.Errorf("the description is wrong: %w", err)
		}
		return s.close, nil
	case OverGRPC:
		remote, stop, err := serveInProcess(newPlugin(), sdkplugin.LogTo(&s.logs))
		if err != nil {
			return nil, err
		}
		s.remote = remote
		return stop, s.learn(stop)
	default:
		p, err := startProgram(path, &s.logs)
		if err != nil {
			return nil, fmt.Errorf("%w%s", err, s.lastWords())
		}
		s.program, s.remote = p, p.remote
		return p.stop, s.learn(p.stop)
	}
}

// learn asks what the plugin declares.
func (s *Subject) learn(stop func()) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	d, err := s.remote.Describe(ctx)
	if err != nil {
		stop()
		return fmt.Errorf("it does not describe itself: %w%s", err, s.lastWords())
	}
	s.Description, s.json = d.Description, d.JSON
	return nil
}

// lastWords gives the first thing that a program said on standard error, for the
// failure to start that nobody understands otherwise.
func (s *Subject) lastWords() string {
	if line := firstLine(s.logs.String()); line != "" {
		return "; it said: " + line
	}
	return ""
}
