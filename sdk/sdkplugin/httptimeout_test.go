package sdkplugin

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// roundTrip is a function as a transport.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// An author who takes the deadline away, to undo something, does not wait for ever
// on a media server that hangs.
func TestRequestWithoutADeadlineEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs := roundTrip(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		client := &http.Client{Transport: &transport{base: hangs, timeout: requestTimeout}}
		req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodDelete, "http://media.example", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		started := time.Now()
		resp, err := client.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		if sdk.ReasonOf(err) != sdk.ReasonTimeout || time.Since(started) != requestTimeout {
			t.Errorf("after %s: %v", time.Since(started), err)
		}
	})
}
