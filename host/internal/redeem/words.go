package redeem

import (
	"errors"
	"fmt"
	"strings"

	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/sdk"
)

// Codes of failures that are stored and told for each server. Those that
// package fault has too mean the same.
const (
	codeUsernameInvalid  = "username_invalid"
	codePasswordRejected = "password_rejected"
	codeEmailRequired    = "email_required"
)

// failureOf turns a failed call into words, for the invitee and for the admin.
// It is the one place where that happens.
func failureOf(err error, server, username string) *Failure {
	if f := fault.As(err); f != nil {
		return &Failure{ErrorCode: f.Code, Message: f.Message, Detail: text(f.Detail, err), Retryable: f.Retryable}
	}
	e, ok := errors.AsType[*sdk.Error](err)
	if !ok {
		return &Failure{
			ErrorCode: fault.CodeInternal, Message: fmt.Sprintf("Something went wrong on our side while your account on %s was made.", server),
			Detail: err.Error(), Retryable: true,
		}
	}
	code, message, retryable := wordsFor(e, server, username)
	return &Failure{ErrorCode: code, Message: message, Detail: detail(e), Retryable: retryable}
}

func wordsFor(e *sdk.Error, server, username string) (code, message string, retryable bool) {
	if e.Origin() == sdk.SourceHost && e.Kind() == sdk.ReasonUnavailable {
		if !e.Retryable { // its plugin is disabled, or does not heal by itself
			return fault.CodePluginUnavailable, server + " cannot be reached at the moment. Ask whoever invited you.", false
		}
		return fault.CodePluginUnavailable, server + " cannot be reached at the moment. Try again in a few minutes.", true
	}
	switch e.Kind() {
	case sdk.ReasonUsernameTaken:
		return fault.CodeUsernameTaken, fmt.Sprintf("The name %s is already taken on %s. Choose another.", username, server), false
	case sdk.ReasonUsernameInvalid:
		return codeUsernameInvalid, fieldWords(e, "username", server+" does not take this name. Choose another."), false
	case sdk.ReasonPasswordRejected:
		return codePasswordRejected, fieldWords(e, "password", server+" does not take this password. Choose another."), false
	case sdk.ReasonEmailRequired:
		return codeEmailRequired, server + " needs your e-mail address.", false
	case sdk.ReasonEmailTaken:
		return fault.CodeEmailTaken, "Somebody on " + server + " already has this e-mail address.", false
	case sdk.ReasonAlreadyMember:
		return fault.CodeAlreadyMember, "You already have access to " + server + ". Nothing was changed there.", false
	case sdk.ReasonAccountNotReady:
		return fault.CodeAccountNotReady, "Your account is not ready yet: verify your e-mail address first, then try again.", true
	case sdk.ReasonProtected:
		return fault.CodeLinkedAccountIsOwner, "This account owns or runs " + server + " and needs no invitation.", false
	case sdk.ReasonLinkExpired:
		return fault.CodeLinkNotApproved, "Your sign-in has expired. Sign in again.", true
	case sdk.ReasonLibraryNotFound:
		return fault.CodeLibraryGone, "What this invitation gives access to is no longer on " + server + ". Ask whoever invited you.", false
	case sdk.ReasonLimitReached:
		return fault.CodeServerLimitReached, server + " takes no more accounts. Ask whoever invited you.", false
	case sdk.ReasonAccessNotApplied:
		return fault.CodeAccessNotApplied, server + " did not give the access that this invitation promises, so the account was not kept. Ask whoever invited you.", false
	case sdk.ReasonWrongServer, sdk.ReasonWrongProduct:
		return fault.CodeServerWrongServer, server + " is not set up as it should be. Ask whoever invited you.", false
	case sdk.ReasonCredentialsRejected, sdk.ReasonNotAdmin, sdk.ReasonVersionUnsupported:
		return fault.CodeServerError, server + " is not set up as it should be. Ask whoever invited you.", false
	case sdk.ReasonRateLimited:
		return fault.CodeServerRateLimited, server + " is busy. Try again in a few minutes.", true
	case sdk.ReasonUnavailable, sdk.ReasonTimeout, sdk.ReasonStarting, sdk.ReasonAmbiguous:
		return fault.CodeServerUnreachable, server + " did not answer. Try again in a few minutes.", true
	case sdk.ReasonUnsupported:
		return fault.CodeCapabilityUnsupported, server + " takes no new accounts. Ask whoever invited you.", false
	default:
		return fault.CodeServerError, server + " could not make your account. Try again later, or ask whoever invited you.", e.Retryable
	}
}

// fieldWords gives what the plugin says of a field: it was written for a person.
func fieldWords(e *sdk.Error, field, otherwise string) string {
	for _, p := range e.Fields {
		if p.Field == field && p.Message != "" {
			return p.Message
		}
	}
	return otherwise
}

// detail is what an admin reads: the plugin's own words, which hold no secret.
func detail(e *sdk.Error) string {
	out := string(e.Kind()) + ": " + e.Error()
	if e.UpstreamStatus != 0 {
		out += fmt.Sprintf(" (HTTP status %d)", e.UpstreamStatus)
	}
	return out
}

func text(detail string, err error) string {
	if detail != "" {
		return detail
	}
	return err.Error()
}

// asFault gives the error that answers a redemption which did not work. What was
// stored is enough, so that another host, or the same after a restart, gives the
// same answer.
func (r Redemption) asFault() *fault.Error {
	f := r.Error
	if f == nil {
		f = &Failure{ErrorCode: fault.CodeInternal, Message: "Your account could not be made."}
	}
	e := &fault.Error{Kind: kindOf(f.ErrorCode), Code: f.ErrorCode, Message: r.told(), Detail: f.Detail, Retryable: f.Retryable}
	switch f.ErrorCode {
	case codeUsernameInvalid:
		e.Code, e.Fields = fault.CodeInvalidInput, blame("body.username", fault.FieldRejected, f.Message)
	case codePasswordRejected:
		e.Code, e.Fields = fault.CodeInvalidInput, blame("body.password", fault.FieldRejected, f.Message)
	case codeEmailRequired:
		e.Code, e.Fields = fault.CodeInvalidInput, blame("body.email", fault.FieldRequired, f.Message)
	case fault.CodeUsernameTaken:
		e.Fields = blame("body.username", fault.FieldTaken, f.Message)
	case fault.CodeEmailTaken:
		e.Fields = blame("body.email", fault.FieldTaken, f.Message)
	}
	for _, s := range r.Steps {
		if s.Error == nil || s.Error.ErrorCode != f.ErrorCode || s.ServerID == nil {
			continue
		}
		e.Server = &fault.Server{ID: s.ServerID.String(), Name: s.ServerName}
		if f.ErrorCode == fault.CodePluginUnavailable {
			e.Plugin = s.ServerType
		}
		break
	}
	return e
}

func blame(at, code, message string) []fault.Field {
	return []fault.Field{{Location: at, Code: code, Message: message}}
}

// told is the message for the invitee, with what became of the rest.
func (r Redemption) told() string {
	if r.Error == nil {
		return ""
	}
	message := r.Error.Message
	left := false // an account that was kept or forgotten
	for _, st := range r.Steps {
		left = left || st.UserID != nil || st.State == StepFailed && st.Error != nil && st.Error.ErrorCode == fault.CodeInterrupted
	}
	switch {
	case left:
		return message + " Your invitation was not used up."
	case r.State == Failed:
		return message + " Nothing was created, and your invitation was not used up."
	default:
		return message + " Your invitation was not used up; what had been begun is being taken back, which may take some minutes."
	}
}

// kindOf gives the class of a stored code.
func kindOf(code string) fault.Kind {
	switch code {
	case codeUsernameInvalid, codePasswordRejected, codeEmailRequired, fault.CodeInvalidInput:
		return fault.Invalid
	case fault.CodeForbidden:
		return fault.Forbidden
	case fault.CodeUsernameTaken, fault.CodeEmailTaken, fault.CodeAlreadyMember, fault.CodeLinkedAccountIsOwner,
		fault.CodeAccountNotReady, fault.CodeLinkNotApproved, fault.CodeLinkUsed, fault.CodeLibraryGone,
		fault.CodeCapabilityUnsupported, fault.CodePreviousAttemptUnfinished, fault.CodeServerDisabled:
		return fault.Conflict
	case fault.CodePluginUnavailable, fault.CodeInterrupted, fault.CodeDatabaseUnavailable:
		return fault.Unavailable
	case fault.CodeServerUnreachable, fault.CodeServerError, fault.CodeServerLimitReached, fault.CodeServerRateLimited,
		fault.CodeServerWrongServer, fault.CodeServerCredentialsRejected, fault.CodeAccessNotApplied:
		return fault.Upstream
	default:
		return fault.Internal
	}
}

// sentence makes words readable on their own.
func sentence(s string) string {
	if s = strings.TrimSpace(s); s == "" || strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}
