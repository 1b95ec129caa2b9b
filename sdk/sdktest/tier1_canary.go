package sdktest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// canaryChecks look for secrets in everything that the checks before them made the plugin
// say.
func canaryChecks() []Check {
	return []Check{{
		Tier: 1, Name: "keeps secrets to itself",
		Why: "Failures and log lines are shown to admins, sent to log stores and pasted into bug reports.",
		Run: checkCanaries,
	}}
}

func checkCanaries(_ context.Context, s *Subject) error {
	s.mu.Lock()
	canaries, texts := slices.Clone(s.canaries), strings.Join(s.texts, "\n")
	s.mu.Unlock()
	places := map[string]string{"a failure's text": texts, "its log": s.logs.String(), "its description": string(s.json)}
	if s.program != nil {
		places["its standard output"] = s.program.stdout()
	}
	var wrong []error
	for _, place := range []string{"a failure's text", "its log", "its description", "its standard output"} {
		for _, c := range canaries {
			if strings.Contains(places[place], c.text) || strings.Contains(places[place], url.QueryEscape(c.text)) {
				wrong = append(wrong, fmt.Errorf("the secret %q is in %s", c.kind, place))
				break
			}
		}
	}
	if strings.Contains(texts, pageWords) {
		wrong = append(wrong, errors.New("the words of the media server's error page are in a failure's text"))
	}
	return errors.Join(wrong...)
}
