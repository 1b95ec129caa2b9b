package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// client is the API as the commands call it that act on a running host.
type client struct {
	url string
	key string
}

// remote adds the flags of a command that calls a running host.
func (p *program) remote(cmd *cobra.Command) func() (*client, error) {
	url := cmd.Flags().String("url", p.variable("ZONDARR_URL", "http://127.0.0.1:8000"), "base URL of the host [ZONDARR_URL]")
	return func() (*client, error) {
		key := p.variable("ZONDARR_API_KEY", "")
		if key == "" {
			return nil, usage("ZONDARR_API_KEY is not set: make a key with `zondarr api-key create --name NAME`")
		}
		return &client{url: strings.TrimRight(*url, "/"), key: key}, nil
	}
}

// variable gives an environment variable of this run.
func (p *program) variable(name, otherwise string) string {
	for _, v := range p.environ {
		if value, ok := strings.CutPrefix(v, name+"="); ok && value != "" {
			return value
		}
	}
	return otherwise
}

// callTimeout bounds a call: an approval waits until the old version has
// finished its work.
const callTimeout = 90 * time.Second

// call makes one API call; a problem becomes an error in its own words.
func (c *client) call(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, &body)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("call the host: %w", err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if res.StatusCode >= http.StatusBadRequest {
		return problemOf(res.StatusCode, answer)
	}
	if out == nil || len(answer) == 0 {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("the answer is not the API's: is %s a Zondarr host?", c.url)
	}
	return nil
}

func problemOf(status int, answer []byte) error {
	var p struct {
		Detail        string `json:"detail"`
		ErrorCode     string `json:"error_code"`
		CorrelationID string `json:"correlation_id"`
	}
	if json.Unmarshal(answer, &p) != nil || p.ErrorCode == "" {
		return fmt.Errorf("the host answers %d", status)
	}
	return errors.New(p.Detail + " [" + p.ErrorCode + ", correlation id " + p.CorrelationID + "]")
}
