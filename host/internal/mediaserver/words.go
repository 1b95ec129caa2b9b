package mediaserver

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/sdk"
)

// target says whose call failed, for the words of the error.
type target struct {
	id     string // empty before the server is stored
	name   string
	plugin string
	// typed says that the caller typed the credentials or the URL just now, so
	// that a refusal is the caller's input (400), not the server's (502).
	typed bool
	// secrets are the names of the secret settings of the type.
	secrets []string
}

func (t target) server() *fault.Server {
	if t.id == "" {
		return nil
	}
	return &fault.Server{ID: t.id, Name: t.name}
}

// asFault turns a failed call to a media server into an error in the words of
// whoever manages servers: an admin, who may read the plugin's own words.
func (t target) asFault(err error) *fault.Error {
	if f := fault.As(err); f != nil {
		return f
	}
	e, ok := errors.AsType[*sdk.Error](err)
	switch {
	case !ok && t.plugin == "": // the registry knows of no such type
		return t.pluginDown("No plugin serves this server type. Put its plugin back, or remove the server.").Wrap(err)
	case !ok:
		return fault.New(fault.Internal, fault.CodeInternal, "Something went wrong on our side.").Wrap(err)
	case e.Origin() == sdk.SourceHost && e.Retryable:
		f := t.pluginDown(sentence(e.Message) + " Try again shortly.").Wrap(err)
		f.Retryable, f.RetryAfter = true, cmp.Or(e.RetryAfter, pluginRetry)
		return f
	case e.Origin() == sdk.SourceHost:
		return t.pluginDown(sentence(e.Message)).Wrap(err)
	}
	f := t.fromReason(e)
	f.Server, f.Err = t.server(), err
	if f.Kind != fault.Invalid {
		f.Retryable = e.Retryable
		f.RetryAfter = e.RetryAfter
	}
	return f
}

// pluginRetry is how long to wait for a plugin that did not say when it is back: it
// starts within seconds, or is known by then to have failed.
const pluginRetry = 5 * time.Second

func (t target) pluginDown(message string) *fault.Error {
	return &fault.Error{Kind: fault.Unavailable, Code: fault.CodePluginUnavailable, Message: message, Server: t.server(), Plugin: t.plugin}
}

func (t target) fromReason(e *sdk.Error) *fault.Error {
	switch e.Kind() {
	case sdk.ReasonCredentialsRejected:
		return t.blame(e, fault.CodeServerCredentialsRejected, t.secretLocations(e))
	case sdk.ReasonNotAdmin:
		return t.blame(e, fault.CodeServerNotAdmin, t.secretLocations(e))
	case sdk.ReasonVersionUnsupported:
		return t.blame(e, fault.CodeServerVersionUnsupported, []string{"body.url"})
	case sdk.ReasonWrongProduct:
		return t.blame(e, fault.CodeServerWrongProduct, []string{"body.url"})
	case sdk.ReasonWrongServer:
		return t.anotherServer("read its id with POST /api/v1/servers/test, and send it")
	case sdk.ReasonInvalid:
		if t.typed && len(e.Fields) > 0 {
			f := fault.InvalidInput()
			for _, p := range e.Fields {
				f.Fields = append(f.Fields, fault.Field{Location: "body." + p.Field, Code: p.Code, Message: p.Message})
			}
			return f
		}
		return t.blame(e, fault.CodeInvalidInput, []string{"body.settings"})
	case sdk.ReasonUnavailable, sdk.ReasonTimeout, sdk.ReasonStarting:
		f := fault.New(fault.Upstream, fault.CodeServerUnreachable, "The media server, or what it depends on, could not be reached: %s", sentence(e.Message))
		f.Fields = t.at("body.url", fault.FieldRejected, "The media server at this URL, or what it depends on, did not answer.")
		return f
	case sdk.ReasonRateLimited:
		return fault.New(fault.Upstream, fault.CodeServerRateLimited, "The media server asks to slow down: %s", sentence(e.Message))
	default:
		return fault.New(fault.Upstream, fault.CodeServerError, "The media server failed: %s", sentence(e.Message))
	}
}

// anotherServer is the error for a server that says another id than the confirmed one;
// send tells which id to confirm.
func (t target) anotherServer(send string) *fault.Error {
	f := fault.New(fault.Conflict, fault.CodeServerIdentityChanged,
		"Another media server answers at this URL than the one that was confirmed. If it was replaced on purpose, %s as confirm_external_server_id.", send)
	f.Fields = t.at("body.url", fault.FieldConflict, "Another media server answers here.")
	return f
}

// blame is an invalid input where the caller typed it, else a failing server.
func (t target) blame(e *sdk.Error, code string, locations []string) *fault.Error {
	kind := fault.Upstream
	if t.typed {
		kind = fault.Invalid
	}
	f := fault.New(kind, code, "%s", sentence(e.Message))
	for _, location := range locations {
		f.Fields = append(f.Fields, t.at(location, fault.FieldRejected, sentence(e.Message))...)
	}
	return f
}

func (t target) at(location, code, message string) []fault.Field {
	if !t.typed {
		return nil
	}
	return []fault.Field{{Location: location, Code: code, Message: message}}
}

func (t target) secretLocations(e *sdk.Error) []string {
	var out []string
	for _, p := range e.Fields {
		out = append(out, "body."+p.Field)
	}
	if len(out) == 0 {
		for _, name := range t.secrets {
			out = append(out, "body.secrets."+name)
		}
	}
	return out
}

// sentence makes a cause in words readable on its own.
func sentence(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return "It gave no reason."
	}
	if last := s[len(s)-1]; last != '.' && last != '!' && last != '?' {
		s += "."
	}
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[size:]
}

// healthOf gives the state that an error leaves a stored server in.
func healthOf(err error) (HealthState, *fault.Error) {
	f := fault.As(err)
	if f == nil {
		return HealthUnknown, nil
	}
	switch f.Code {
	case fault.CodeServerUnreachable, fault.CodeServerError, fault.CodeServerRateLimited:
		return HealthUnreachable, f
	case fault.CodeServerCredentialsRejected, fault.CodeServerNotAdmin:
		return HealthUnauthorized, f
	case fault.CodeServerIdentityChanged, fault.CodeServerWrongProduct:
		return HealthWrongServer, f
	case fault.CodePluginUnavailable, fault.CodeUnknownServerType:
		return HealthPluginUnavailable, f
	case fault.CodeInvalidInput, fault.CodeServerVersionUnsupported:
		return HealthSettingsInvalid, f
	default:
		return HealthUnknown, f
	}
}

// unknownType turns the registry's error into one at body.server_type. The text
// of the cause lists the known types (R4.4).
func unknownType(err error) error {
	msg := sentence(fmt.Sprint(err))
	f := fault.InvalidInput(fault.Field{Location: "body.server_type", Code: fault.FieldUnknown, Message: msg})
	f.Code = fault.CodeUnknownServerType
	return f.Wrap(err)
}
