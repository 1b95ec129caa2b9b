package jellyfintest

import (
	"net/http"
	"strings"
)

// loading is what up to 10.10 everything answers while the server starts.
func loading() reply {
	return page(http.StatusServiceUnavailable, "Jellyfin Server is loading. Please try again shortly.", false)
}

// setupServerReply is the answer of the small server that from 10.11 on stands
// in while the real one starts.
func setupServerReply(c *call, path string) reply {
	switch strings.ToLower(strings.Trim(path, "/")) {
	case "health":
		return reply{status: http.StatusOK, contentType: typeText, body: []byte("Degraded")}
	case "system/info/public":
		// It speaks camelCase, and says that the wizard is not done, whatever
		// is true.
		return encoded(func(e *encoder) {
			e.open()
			e.str("localAddress", c.localAddress())
			e.str("serverName", c.st.serverName)
			e.str("version", c.p.version.String())
			e.str("productName", "Jellyfin Server")
			e.str("operatingSystem", "")
			e.str("id", c.st.serverID)
			e.boolean("startupWizardCompleted", false)
			e.close()
		})
	default:
		r := page(http.StatusServiceUnavailable, "Jellyfin is still starting. Please wait.", false)
		r.header = map[string]string{"Retry-After": "005"}
		return r
	}
}

func page(status int, text string, foreign bool) reply {
	return reply{
		status: status, contentType: typeHTML, foreign: foreign,
		body: []byte("<!DOCTYPE html><html><head><title>" + text + "</title></head><body>" + text + "</body></html>"),
	}
}
