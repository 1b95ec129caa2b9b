package mediaserver

import "testing"

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
