package mediaserver

import (
	"strings"
	"testing"

	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/sdk"
)

func TestSentence(t *testing.T) {
	for in, want := range map[string]string{
		"":                      "It gave no reason.",
		" refused\n":            "Refused.",
		"Is it running?":        "Is it running?",
		"échec de la connexion": "Échec de la connexion.",
		"über die Grenze":       "Über die Grenze.",
		"连接被拒绝":                 "连接被拒绝.",
	} {
		if got := sentence(in); got != want {
			t.Errorf("sentence(%q) = %q, want %q", in, got, want)
		}
	}
}

// Whoever reads that another server answers reads how to accept it, whether the plugin
// compared the ids or the host did.
func TestIdentityChangedTellsHowToConfirm(t *testing.T) {
	typed := target{id: "1", name: "Home", typed: true}
	plugins := typed.asFault(sdk.Errorf(sdk.ReasonWrongServer, "another server answers at this URL than the one that was confirmed"))
	hosts := fault.As(sameServer(sdk.ServerRef{ExternalID: "old"}, sdk.ServerFacts{ExternalID: "new-id"}, typed))
	for f, want := range map[*fault.Error]string{plugins: "POST /api/v1/servers/test", hosts: "new-id"} {
		if f.Kind != fault.Conflict || f.Code != fault.CodeServerIdentityChanged || f.Server == nil || len(f.Fields) != 1 {
			t.Errorf("got %+v", f)
		}
		if !strings.Contains(f.Message, want) || !strings.Contains(f.Message, "confirm_external_server_id") || strings.Count(f.Message, "at this URL") != 1 {
			t.Errorf("it says %q", f.Message)
		}
	}
}
