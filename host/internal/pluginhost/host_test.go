package pluginhost

import (
	"testing"

	"github.com/zondarr/zondarr/sdk"
)

// R4.1, R4.2, R4.3, R4.6: the installation's plugins run when Start returns.
func TestInstallationPluginsRunAtStart(t *testing.T) {
	h := newHouse(t)
	drop(t, h.install, "alpha", variant{Version: "1.2.3"})
	drop(t, h.install, "beta", variant{})
	h.start()

	for _, name := range []string{"alpha", "beta"} {
		s := h.status(name)
		if s.State != StateReady || s.PID == 0 || s.Origin != OriginInstallation || s.ServerType != name {
			t.Errorf("%s is %+v", name, s)
		}
	}
	s := h.status("alpha")
	if s.Version != "1.2.3" || s.ProtocolVersion != 1 || len(s.SHA256) != 64 || s.SizeBytes == 0 || s.Build == nil ||
		s.Build.Module != "github.com/zondarr/zondarr" || s.MemoryBytes == 0 || s.StartedAt.IsZero() {
		t.Errorf("alpha is %+v", s)
	}
	types := h.registry.Types()
	if len(types) != 2 || types[0].Description.ServerType != "alpha" || !types[0].Available || !types[0].Description.Has(sdk.CapProvision) {
		t.Errorf("the types are %+v", types)
	}
	u, err := h.get(server("alpha", 1), "bob")
	if err != nil || u.Username != "1.2.3" {
		t.Errorf("GetUser gives %+v, %v", u, err)
	}
}
