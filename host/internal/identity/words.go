package identity

import (
	"errors"
	"fmt"
	"strings"

	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/sdk"
)

// asFault puts a failed call for a user into words for an admin, who may read the
// plugin's own.
func asFault(u User, err error) error {
	if f := fault.As(err); f != nil {
		return f
	}
	e, ok := errors.AsType[*sdk.Error](err)
	if !ok {
		return err
	}
	f := fromReason(u, e)
	f.Server, f.Err = u.server(), err
	f.Retryable, f.RetryAfter = e.Retryable, e.RetryAfter
	return f
}

func fromReason(u User, e *sdk.Error) *fault.Error {
	say := func(kind fault.Kind, code, what string) *fault.Error {
		return fault.New(kind, code, "%s: %s.", what, strings.TrimRight(e.Message, "."))
	}
	if e.Origin() == sdk.SourceHost && e.Kind() == sdk.ReasonUnavailable {
		f := say(fault.Unavailable, fault.CodePluginUnavailable, "The plugin for "+u.ServerName+" is not running")
		f.Plugin = u.ServerType
		return f
	}
	switch e.Kind() {
	case sdk.ReasonNotFound:
		f := fault.New(fault.Conflict, fault.CodeNotFound, "The account %s no longer exists on %s.", u.Username, u.ServerName)
		f.Resource = &fault.Resource{Type: entityUser, ID: u.ID.String()}
		return f
	case sdk.ReasonProtected:
		return protected(u)
	case sdk.ReasonUnsupported:
		return unsupported(u, "this")
	case sdk.ReasonWrongServer:
		return say(fault.Upstream, fault.CodeServerWrongServer, "Another media server answers in place of "+u.ServerName)
	case sdk.ReasonCredentialsRejected, sdk.ReasonNotAdmin:
		return say(fault.Upstream, fault.CodeServerCredentialsRejected, u.ServerName+" refuses Zondarr's credentials")
	case sdk.ReasonRateLimited:
		return say(fault.Upstream, fault.CodeServerRateLimited, u.ServerName+" asks to slow down")
	case sdk.ReasonUnavailable, sdk.ReasonTimeout, sdk.ReasonStarting, sdk.ReasonAmbiguous:
		return say(fault.Upstream, fault.CodeServerUnreachable, u.ServerName+" did not answer")
	case sdk.ReasonAccessNotApplied:
		return say(fault.Upstream, fault.CodeAccessNotApplied, u.ServerName+" did not do what it was asked")
	default:
		return say(fault.Upstream, fault.CodeServerError, u.ServerName+" failed")
	}
}

func (u User) server() *fault.Server {
	return &fault.Server{ID: u.ServerID.String(), Name: u.ServerName}
}

// protected refuses a write to an administrator, an owner, or the account that
// Zondarr itself uses.
func protected(u User) *fault.Error {
	f := fault.New(fault.Conflict, fault.CodeProtectedAccount,
		"%s is protected on %s (an administrator, the owner, or the account that Zondarr uses) and is never changed.", u.Username, u.ServerName)
	f.Resource, f.Server = &fault.Resource{Type: entityUser, ID: u.ID.String()}, u.server()
	return f
}

func unsupported(u User, what string) *fault.Error {
	f := fault.New(fault.Conflict, fault.CodeCapabilityUnsupported, "%s cannot do %s with accounts.", u.ServerName, what)
	f.Server = u.server()
	return f
}

// changedMeanwhile is the end of an attempt that others were faster than, again
// and again.
func changedMeanwhile(resource, id string) error {
	f := fault.New(fault.Conflict, fault.CodeConflict, "Somebody else is changing this at the same time. Look again, then repeat.")
	f.Resource, f.Retryable = &fault.Resource{Type: resource, ID: id}, true
	return f
}

func invalid(at, code, format string, args ...any) fault.Field {
	return fault.Field{Location: at, Code: code, Message: fmt.Sprintf(format, args...)}
}
