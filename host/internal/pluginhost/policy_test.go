package pluginhost

import (
	"bufio"
	"io"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/zondarr/zondarr/sdk"
)

// R4.7: 250 ms doubled with each crash, at most 30 s, less the jitter, and from
// the start again after a minute of health.
func TestBackoff(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := DefaultPolicy()
		n := rapid.IntRange(1, 1000).Draw(rt, "crashes")
		full := 30 * time.Second
		if n <= 7 { // 250 ms · 2⁶ = 16 s
			full = 250 * time.Millisecond << (n - 1)
		}
		least := time.Duration(float64(full) * (1 - p.BackoffJitter))
		if got := p.backoff(n); got < least || got > full {
			rt.Fatalf("after %d crashes %s, want %s to %s", n, got, least, full)
		}
	})
}

// What go-plugin does not do is not promised.
func TestStopGraceIsBounded(t *testing.T) {
	for asked, want := range map[time.Duration]time.Duration{time.Second: time.Second, time.Hour: maxStopGrace} {
		h := newHouse(t, withPolicy(func(p *Policy) { p.StopGrace = asked }))
		if h.policy.StopGrace != want || h.launcher.policy.StopGrace != want {
			t.Errorf("asked for %s, it is %s", asked, h.policy.StopGrace)
		}
	}
	if d := DefaultPolicy().StopGrace; d > maxStopGrace {
		t.Errorf("the default is %s", d)
	}
}

func TestCrashHistory(t *testing.T) {
	p := DefaultPolicy()
	var c crashes
	now := time.Now()
	for range p.CrashLoop - 1 {
		c.add(p, time.Second, nil, now)
	}
	if c.looping(p, now) || c.inRow != p.CrashLoop-1 {
		t.Errorf("after four it is %+v", c)
	}
	c.add(p, time.Second, nil, now)
	if !c.looping(p, now) {
		t.Error("five in a moment are no loop")
	}
	if c.looping(p, now.Add(p.CrashWindow+time.Second)) {
		t.Error("it loops for ever")
	}
	c.add(p, p.HealthyAfter, nil, now)
	if c.inRow != 1 {
		t.Errorf("after a minute of health it goes on counting: %d", c.inRow)
	}
	c.reset()
	if c.looping(p, now) || c.inRow != 0 {
		t.Errorf("after a reset it is %+v", c)
	}
}

func TestMisfits(t *testing.T) {
	schema := func(properties ...sdk.Property) sdk.Schema { return sdk.Schema{Properties: properties} }
	key := sdk.Property{Name: "api_key", Type: sdk.TypeString, Required: true, Secret: true}
	base := sdk.Description{ServerType: "media", SettingsSchema: schema(key)}.WithCapabilities([]sdk.Capability{sdk.CapProvision, sdk.CapSuspend})
	ref := sdk.ServerRef{ID: "1", ServerType: "media", URL: "http://a.test", Secrets: map[string]string{"api_key": "s3cr3t-value"}}
	for _, test := range []struct {
		name    string
		after   sdk.Description
		ref     sdk.ServerRef
		problem string // "" for none
	}{
		{"Same", base, ref, ""},
		{"More", sdk.Description{ServerType: "media", SettingsSchema: schema(key, sdk.Property{Name: "x", Type: sdk.TypeInteger})}.
			WithCapabilities([]sdk.Capability{sdk.CapProvision, sdk.CapSuspend, sdk.CapSessions}), ref, ""},
		{"FewerCapabilities", base.WithCapabilities([]sdk.Capability{sdk.CapProvision}), ref, "suspend"},
		{"KeyNoLongerSecret", sdk.Description{ServerType: "media", SettingsSchema: schema(sdk.Property{Name: "api_key", Type: sdk.TypeString})}.
			WithCapabilities(base.Capabilities()), ref, "not secret"},
		{"KeyGone", sdk.Description{ServerType: "media"}.WithCapabilities(base.Capabilities()), ref, "api_key"},
		{"KeyLonger", sdk.Description{ServerType: "media", SettingsSchema: schema(sdk.Property{Name: "api_key", Type: sdk.TypeString, Secret: true, MinLength: 64})}.
			WithCapabilities(base.Capabilities()), ref, "64"},
		{"AnotherType", base, sdk.ServerRef{ServerType: "other"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := misfits(base, test.after, []sdk.ServerRef{test.ref})
			switch text := tellMisfits(got); {
			case test.problem == "" && len(got) > 0, test.problem != "" && !strings.Contains(text, test.problem):
				t.Errorf("it says %q", text)
			case strings.Contains(text, "s3cr3t"):
				t.Errorf("it tells a value: %q", text)
			}
		})
	}
}

// FuzzHandshake feeds arbitrary first lines.
func FuzzHandshake(f *testing.F) {
	f.Add("1|1|unix|/run/x.sock|grpc|" + strings.Repeat("A", 300))
	f.Add("1|1|unix|/run/x.sock")
	f.Add("|||||\xff")
	f.Fuzz(func(t *testing.T, line string) {
		for _, err := range []error{nil, io.EOF, bufio.ErrBufferFull} {
			if r := checkHandshake([]byte(line), err, "/run"); r != nil && (r.code == "" || r.message == "" || strings.Contains(r.message, "\xff")) {
				t.Errorf("%q is refused with %+v", line, r)
			}
		}
	})
}
