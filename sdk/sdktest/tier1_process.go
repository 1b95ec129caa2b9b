package sdktest

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// processChecks are about a plugin program: how it starts, keeps quiet and ends.
func processChecks() []Check {
	return []Check{
		{
			Tier: 1, Name: "is named after its file",
			Why: "The file's name is how operators approve, disable and replace a plugin; the host refuses one that calls itself otherwise.",
			Run: checkFileName,
		},
		{
			Tier: 1, Name: "answers when it is asked whether it lives",
			Why: "The host asks every 15 s and restarts a plugin that gives no answer within 2 s three times in a row.",
			Run: func(ctx context.Context, s *Subject) error {
				if s.remote == nil {
					return NotApplicable("it runs in this process")
				}
				ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
				defer cancel()
				if err := s.remote.Ping(ctx); err != nil {
					return fmt.Errorf("the gRPC health service does not say that %q serves: %w", "plugin", err)
				}
				return nil
			},
		},
		{
			Tier: 1, Name: "ends when its host does",
			Why: "A host that is killed cannot stop its plugins: one that stays keeps credentials in memory, and two of them act for one server.",
			Run: checkEndsWithHost,
		},
		{
			Tier: 1, Name: "ends when it is told to",
			Why: "The host stops plugins before an upgrade; one that has to be killed loses the calls in flight.",
			Run: checkEndsWhenTold,
		},
		{
			Tier: 1, Name: "ignores signals that are meant for its host",
			Why: "Service managers and terminals signal the whole group: a plugin that dies of it cuts the calls that the host is finishing.",
			Run: checkSignals,
		},
		{
			Tier: 1, Name: "does not grow over many calls",
			Why: "Plugins run for months; what is leaked with each call ends in an outage of every server of the type.",
			Run: checkGrowth,
		},
	}
}

// checkFileName compares the file's name with the declared one.
func checkFileName(_ context.Context, s *Subject) error {
	if s.program == nil {
		return NotApplicable("there is no file")
	}
	file := strings.TrimSuffix(filepath.Base(s.program.process.cmd.Path), ".exe")
	name, ok := strings.CutPrefix(file, "zondarr-plugin-")
	if !ok {
		return fmt.Errorf("the file is named %q, want zondarr-plugin-%s", file, s.Description.Name)
	}
	if name != s.Description.Name {
		return fmt.Errorf("the file is named %q, but Describe says %q", file, s.Description.Name)
	}
	return nil
}

// another starts the program once more, to be ended.
func (s *Subject) another() (*program, error) {
	if s.program == nil {
		return nil, NotApplicable("it runs in this process")
	}
	p, err := startProgram(s.program.process.cmd.Path, io.Discard)
	if err != nil {
		return nil, fmt.Errorf("starting it a second time: %w", err)
	}
	return p, nil
}

func checkEndsWithHost(_ context.Context, s *Subject) error {
	p, err := s.another()
	if err != nil {
		return err
	}
	defer p.stop()
	const within = 5 * time.Second
	_ = p.process.stdin.Close()
	if !p.process.exited(within) {
		return fmt.Errorf("it, or a child that holds its output open, still runs %s after its standard input has ended, which is how it learns that its host is gone", within)
	}
	return nil
}

func checkEndsWhenTold(_ context.Context, s *Subject) error {
	p, err := s.another()
	if err != nil {
		return err
	}
	defer p.stop()
	const within = 2 * time.Second // go-plugin kills after that
	rpc, err := p.client.Client()
	if err != nil {
		return err
	}
	_ = rpc.Close() // calls GRPCController.Shutdown; the connection may break first
	if !p.process.exited(within) {
		return fmt.Errorf("it still runs %s after the host called plugin.GRPCController/Shutdown", within)
	}
	return nil
}

func checkSignals(ctx context.Context, s *Subject) error {
	if runtime.GOOS == "windows" {
		return NotApplicable("there are no such signals on Windows")
	}
	p, err := s.another()
	if err != nil {
		return err
	}
	defer p.stop()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT} {
		if err := p.process.cmd.Process.Signal(sig); err != nil {
			return fmt.Errorf("sending %s: %w", sig, err)
		}
		if p.process.exited(300 * time.Millisecond) {
			return fmt.Errorf("it died of the signal %q", sig)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := p.remote.Ping(ctx); err != nil {
		return fmt.Errorf("after the signals it does not answer: %w", err)
	}
	return nil
}

// growth is how much a plugin may hold more than at the beginning.
const growth = 20

// checkGrowth makes 1,000 calls, for stored servers at ever new revisions and for unsaved
// ones, and counts what the plugin holds before and after.
func checkGrowth(ctx context.Context, s *Subject) error {
	listener, err := newFault(kindStatus(401))
	if err != nil {
		return err
	}
	defer listener.close()
	count := 1000
	if s.quick {
		count = 300
	}
	round := func(client func(sdk.ServerRef) Client, from, to int) error {
		var group sync.WaitGroup
		errs := make(chan error, to-from)
		slots := make(chan struct{}, 20)
		for i := from; i < to; i++ {
			slots <- struct{}{}
			group.Go(func() {
				defer func() { <-slots }()
				ref := s.refAt("growth", listener.url)
				if i%2 == 0 {
					ref.ID = ""
				}
				ref.Revision = int64(i/50) + 1
				ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
				defer cancel()
				if _, err := client(ref).TestConnection(ctx, sdk.TestConnectionRequest{}); err == nil {
					errs <- fmt.Errorf("TestConnection succeeds on a server that answers 401 to everything")
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
	if err := round(s.Client, 0, 100); err != nil {
		return err
	}
	before, ok := s.holdings()
	if !ok {
		return NotApplicable("this system does not tell what a program holds")
	}
	if err := round(s.Client, 100, 100+count); err != nil {
		return err
	}
	var after holdings
	for range 60 { // connections and clients need a moment to close
		after, _ = s.holdings()
		if after.threads <= before.threads+growth && after.files <= before.files+growth {
			return s.checkGoroutines(count, round)
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("after %d calls it holds %s, before %s", count, after, before)
}

// checkGoroutines compares two runs of a program in Go, one of few calls and one of
// many: what waits for ever on something is no thread and no file.
func (s *Subject) checkGoroutines(count int, round func(client func(sdk.ServerRef) Client, from, to int) error) error {
	if s.program == nil {
		return nil // they were counted where they are
	}
	if _, err := buildinfo.ReadFile(s.program.process.cmd.Path); err != nil {
		return nil //nolint:nilerr // it is written in another language
	}
	var held [2]int
	for i, calls := range []int{100, 100 + count} {
		var logs locked
		p, err := startProgram(s.program.process.cmd.Path, &logs)
		if err != nil {
			return fmt.Errorf("starting it once more: %w", err)
		}
		err = round(func(ref sdk.ServerRef) Client { return p.remote.Client(ref) }, 0, calls)
		time.Sleep(time.Second) // connections and clients need a moment to close
		held[i] = p.goroutines(&logs)
		p.stop()
		if err != nil {
			return err
		}
	}
	if held[0] > 0 && held[1] > held[0]+growth {
		return fmt.Errorf("after 100 calls it has %d goroutines, after %d calls %d", held[0], 100+count, held[1])
	}
	return nil
}
