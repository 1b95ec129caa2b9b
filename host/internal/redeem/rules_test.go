package redeem

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/grant"
	"github.com/zondarr/zondarr/host/internal/invitation"
	"github.com/zondarr/zondarr/sdk"
)

// planFor gives a plan of servers with these rules, named A, B, …
func planFor(email string, rules ...sdk.AccountRules) plan {
	p := plan{offer: invitation.Offer{Email: email}}
	for i, r := range rules {
		p.targets = append(p.targets, planned{
			offer: invitation.Target{Name: string(rune('A' + i)), Enabled: true}, described: true,
			abilities: grant.Abilities{JoinFlow: sdk.JoinPassword, Rules: r},
		})
	}
	return p
}

func required(r sdk.FieldRule) sdk.FieldRule {
	r.Use = sdk.FieldRequired
	return r
}

func TestFieldsAreMerged(t *testing.T) {
	p := planFor(invitation.EmailOptional,
		sdk.AccountRules{Username: required(sdk.FieldRule{MinLength: 3, MaxLength: 100, Pattern: "^[a-z]+$", Help: "Small letters."}), Password: required(sdk.FieldRule{MinLength: 4})},
		sdk.AccountRules{Username: required(sdk.FieldRule{MinLength: 3, Pattern: "^[a-z]+$", Help: "Small letters"}), Password: required(sdk.FieldRule{MinLength: 10, MaxBytes: 72})},
	)
	want := []Field{
		// One rule where both ask the same, and the host's ceiling beneath a higher one.
		{Name: "username", Required: true, Rules: []Rule{{MinLength: 3, MaxLength: 64, Pattern: "^[a-z]+$", Message: "3 to 64 characters. Small letters (A, B)"}}},
		// A floor below the host's adds nothing.
		{Name: "password", Required: true, Rules: []Rule{{MinLength: 10, MaxLength: 128, MaxBytes: 72, Message: "10 to 128 characters, at most 72 bytes (B)"}}},
		{Name: "email", Rules: []Rule{}},
	}
	got := p.fields()
	for i := range got {
		for j, r := range got[i].Rules {
			got[i].Rules[j].length, got[i].Rules[j].form = "", "" // what Message is made of
			if r.Message == "" {
				t.Errorf("%s: a rule without words", got[i].Name)
			}
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	// Without rules of the servers the floor is told.
	got = planFor(invitation.EmailOff, sdk.AccountRules{}).fields()
	if len(got) != 2 || got[0].Rules[0].Message != "1 to 64 characters" || got[0].Rules[0].asks() != (Rule{MinLength: 1, MaxLength: 64}) || got[1].Rules[0].Message != "8 to 128 characters" || got[1].Rules[0].MinLength != 8 {
		t.Errorf("the floor: %+v", got)
	}
}

func TestFieldsFollowWhoTakesPart(t *testing.T) {
	p := planFor(invitation.EmailOff, sdk.AccountRules{Username: required(sdk.FieldRule{MinLength: 5})}, sdk.AccountRules{})
	p.targets[0].offer.Enabled = false
	if got := p.fields(); got[0].Rules[0].MinLength != 1 {
		t.Errorf("a disabled server's rule is asked: %+v", got[0])
	}
	unused := sdk.AccountRules{Username: sdk.FieldRule{Use: sdk.FieldUnused}, Password: sdk.FieldRule{Use: sdk.FieldUnused}}
	p = planFor(invitation.EmailOff, unused)
	p.targets[0].abilities.JoinFlow = sdk.JoinLinkedAccount
	if got := p.fields(); len(got) != 0 {
		t.Errorf("a linked account asks for %+v", got)
	}
	p = planFor(invitation.EmailOff, sdk.AccountRules{Email: required(sdk.FieldRule{})})
	if got := p.fields(); len(got) != 3 || got[2].Name != "email" || !got[2].Required {
		t.Errorf("a server that needs an e-mail address: %+v", got)
	}
}

func TestRequestIsJudged(t *testing.T) {
	p := planFor(invitation.EmailRequired, sdk.AccountRules{Username: required(sdk.FieldRule{Pattern: `^[^/]+$`})})
	good := Request{Username: "bob", Password: "12345678", Email: new(" bob@example.org ")}
	for name, tc := range map[string]struct {
		change   func(*Request)
		location string
		code     string
	}{
		"OK":                  {func(*Request) {}, "", ""},
		"NoUsername":          {func(r *Request) { r.Username = "" }, "body.username", fault.FieldRequired},
		"UsernameLong":        {func(r *Request) { r.Username = strings.Repeat("ä", 65) }, "body.username", fault.FieldTooLong},
		"UsernameJustFits":    {func(r *Request) { r.Username = strings.Repeat("ä", 64) }, "", ""},
		"UsernamePattern":     {func(r *Request) { r.Username = "a/b" }, "body.username", fault.FieldPattern},
		"UsernameBlanks":      {func(r *Request) { r.Username = " bob" }, "body.username", fault.FieldPattern},
		"UsernameControl":     {func(r *Request) { r.Username = "bo\u0007b" }, "body.username", fault.FieldPattern},
		"UsernameInvisible":   {func(r *Request) { r.Username = "bob\u202e" }, "body.username", fault.FieldPattern},
		"UsernameNoUTF8":      {func(r *Request) { r.Username = "bob\xff" }, "body.username", fault.FieldInvalid},
		"PasswordShort":       {func(r *Request) { r.Password = "1234567" }, "body.password", fault.FieldTooShort},
		"PasswordLong":        {func(r *Request) { r.Password = strings.Repeat("x", 129) }, "body.password", fault.FieldTooLong},
		"NoEmail":             {func(r *Request) { r.Email = nil }, "body.email", fault.FieldRequired},
		"EmailNoAddress":      {func(r *Request) { r.Email = new("bob") }, "body.email", fault.FieldInvalid},
		"EmailWithName":       {func(r *Request) { r.Email = new("Bob <bob@example.org>") }, "body.email", fault.FieldInvalid},
		"DisplayNameTooLong":  {func(r *Request) { r.DisplayName = new(strings.Repeat("x", 101)) }, "body.display_name", fault.FieldTooLong},
		"DisplayNameControl":  {func(r *Request) { r.DisplayName = new("Bob\u0007") }, "body.display_name", fault.FieldPattern},
		"DisplayNameTurns":    {func(r *Request) { r.DisplayName = new("Bob \u202eecilA") }, "body.display_name", fault.FieldPattern},
		"DisplayNameIsolates": {func(r *Request) { r.DisplayName = new("Bob \u2066x\u2069") }, "body.display_name", fault.FieldPattern},
		"DisplayNameJoined":   {func(r *Request) { r.DisplayName = new("\U0001F468\u200d\U0001F469 family") }, "", ""},
		// NFC would put a character into it that nobody typed.
		"UsernameManyMarks":   {func(r *Request) { r.Username = "e" + strings.Repeat("\u0323", 31) }, "body.username", fault.FieldPattern},
		"UsernameSomeMarks":   {func(r *Request) { r.Username = "e" + strings.Repeat("\u0323", 30) }, "", ""},
		"DisplayNameIsBlanks": {func(r *Request) { r.DisplayName = new("  ") }, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			req := good
			tc.change(&req)
			got, err := p.check(req)
			if tc.code == "" {
				if err != nil || *got.Email != "bob@example.org" {
					t.Errorf("refused: %v", err)
				}
				return
			}
			f := fault.As(err)
			if f == nil || len(f.Fields) != 1 || f.Fields[0].Location != tc.location || f.Fields[0].Code != tc.code {
				t.Errorf("got %+v, want %s at %s", f, tc.code, tc.location)
			}
		})
	}
	// Names are compared in one form of Unicode.
	if got, err := p.check(Request{Username: "Zoe\u0308", Password: "12345678", Email: good.Email}); err != nil || got.Username != "Zo\u00eb" {
		t.Errorf("%q, %v", got.Username, err)
	}
}

// Every reason of the contract has words for the invitee that name the server and
// hold nothing of the plugin's, and a code that the edge can map.
func TestEveryReasonHasWords(t *testing.T) {
	for _, reason := range append(sdk.Reasons(), "a reason of tomorrow") {
		err := sdk.Errorf(reason, "INTERNAL http://10.0.0.1")
		f := failureOf(fmt.Errorf("wrapped: %w", err), "Living room", "bob")
		if f.ErrorCode == "" || f.Message == "" || strings.Contains(f.Message, "INTERNAL") || !strings.HasSuffix(f.Message, ".") {
			t.Errorf("%s: %+v", reason, f)
		}
		if !strings.Contains(f.Detail, "INTERNAL") || !strings.Contains(f.Detail, string(reason)) {
			t.Errorf("%s: the admin does not see the cause: %q", reason, f.Detail)
		}
		if kindOf(f.ErrorCode) == fault.Internal {
			t.Errorf("%s is told as an internal error", reason)
		}
	}
	for _, tc := range []struct {
		err      error
		kind     fault.Kind
		code, at string
	}{
		{sdk.Errorf(sdk.ReasonUsernameTaken, "x"), fault.Conflict, fault.CodeUsernameTaken, "body.username"},
		{sdk.Errorf(sdk.ReasonUsernameInvalid, "x"), fault.Invalid, fault.CodeInvalidInput, "body.username"},
		{sdk.Errorf(sdk.ReasonPasswordRejected, "x"), fault.Invalid, fault.CodeInvalidInput, "body.password"},
		{sdk.Errorf(sdk.ReasonEmailRequired, "x"), fault.Invalid, fault.CodeInvalidInput, "body.email"},
		{sdk.Errorf(sdk.ReasonEmailTaken, "x"), fault.Conflict, fault.CodeEmailTaken, "body.email"},
		{sdk.Errorf(sdk.ReasonAlreadyMember, "x"), fault.Conflict, fault.CodeAlreadyMember, ""},
		{sdk.Errorf(sdk.ReasonAccountNotReady, "x"), fault.Conflict, fault.CodeAccountNotReady, ""},
		{sdk.Errorf(sdk.ReasonLimitReached, "x"), fault.Upstream, fault.CodeServerLimitReached, ""},
		{sdk.Errorf(sdk.ReasonTimeout, "x"), fault.Upstream, fault.CodeServerUnreachable, ""},
		{sdk.Errorf(sdk.ReasonStarting, "x"), fault.Upstream, fault.CodeServerUnreachable, ""},
		{sdk.Errorf(sdk.ReasonAccessNotApplied, "x"), fault.Upstream, fault.CodeAccessNotApplied, ""},
		{&sdk.Error{Reason: sdk.ReasonUnavailable, Source: sdk.SourceHost}, fault.Unavailable, fault.CodePluginUnavailable, ""},
		{sdk.Errorf(sdk.ReasonProtected, "x"), fault.Conflict, fault.CodeLinkedAccountIsOwner, ""},
	} {
		got := Redemption{State: Failed, Error: failureOf(tc.err, "Living room", "bob")}.asFault()
		at := ""
		if len(got.Fields) > 0 {
			at = got.Fields[0].Location
		}
		if got.Kind != tc.kind || got.Code != tc.code || at != tc.at {
			t.Errorf("%v is told as %s %s at %q, want %s %s at %q", tc.err, got.Kind, got.Code, at, tc.kind, tc.code, tc.at)
		}
		if !strings.Contains(got.Message, "Nothing was created") {
			t.Errorf("%s does not say that nothing was created: %q", got.Code, got.Message)
		}
	}
}

func TestAmbiguousIsNotNothing(t *testing.T) {
	safe := []sdk.Reason{
		sdk.ReasonUsernameTaken, sdk.ReasonUsernameInvalid, sdk.ReasonPasswordRejected, sdk.ReasonEmailRequired, sdk.ReasonEmailTaken,
		sdk.ReasonAlreadyMember, sdk.ReasonAccountNotReady, sdk.ReasonLibraryNotFound, sdk.ReasonLimitReached, sdk.ReasonProtected,
		sdk.ReasonUnsupported, sdk.ReasonLinkExpired, sdk.ReasonInvalid, sdk.ReasonAccessNotApplied, sdk.ReasonCredentialsRejected,
		sdk.ReasonNotAdmin, sdk.ReasonWrongProduct, sdk.ReasonWrongServer, sdk.ReasonVersionUnsupported, sdk.ReasonEndpointGone, sdk.ReasonNotFound,
	}
	for _, reason := range append(sdk.Reasons(), "a reason of tomorrow") {
		if got := nothingMade(sdk.Errorf(reason, "x")); got != slices.Contains(safe, reason) {
			t.Errorf("%s: nothing was made is %v", reason, got)
		}
	}
	for name, tc := range map[string]struct {
		err  error
		want bool
	}{
		"NeverSent":       {&sdk.Error{Reason: sdk.ReasonUnavailable, Source: sdk.SourceHost, Retryable: true}, true},
		"ProcessDied":     {&sdk.Error{Reason: sdk.ReasonAmbiguous, Source: sdk.SourceHost}, false},
		"HostTimeout":     {&sdk.Error{Reason: sdk.ReasonTimeout, Source: sdk.SourceHost}, false},
		"MarkedRetryable": {&sdk.Error{Reason: sdk.ReasonInvalid, Retryable: true}, false},
		"NoReason":        {fmt.Errorf("something"), false},
	} {
		if got := nothingMade(tc.err); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

// What a server says of the form of a password does not hide how long it must be,
// and a refusal tells the part that failed (R6.4).
func TestRefusalsTellWhatFailed(t *testing.T) {
	p := planFor(invitation.EmailOff, sdk.AccountRules{
		Username: required(sdk.FieldRule{MinLength: 1, Pattern: "^[a-z]+$", Help: "Small letters."}),
		Password: required(sdk.FieldRule{MinLength: 1, Pattern: `^.*[^ ].*$`, Help: "Not only blanks"}),
	}, sdk.AccountRules{Password: required(sdk.FieldRule{MinLength: 10, Pattern: "^[^#]*$"})})
	told := p.fields()
	if got := told[1].Rules[0].Message; got != "8 to 128 characters. Not only blanks (A)" {
		t.Errorf("told before they type: %q", got)
	}
	for _, tc := range []struct {
		name, username, password string
		want                     []fault.Field
	}{
		{"PasswordShort", "bob", "1234567", []fault.Field{
			{Location: "body.password", Code: fault.FieldTooShort, Message: "8 to 128 characters."},
			{Location: "body.password", Code: fault.FieldTooShort, Message: "10 to 128 characters (B)."},
		}},
		{"PasswordLong", "bob", strings.Repeat("x", 129), []fault.Field{
			{Location: "body.password", Code: fault.FieldTooLong, Message: "8 to 128 characters."},
			{Location: "body.password", Code: fault.FieldTooLong, Message: "10 to 128 characters (B)."},
		}},
		{"PasswordBlank", "bob", strings.Repeat(" ", 10), []fault.Field{{Location: "body.password", Code: fault.FieldPattern, Message: "Not only blanks (A)."}}},
		{"PasswordForm", "bob", "1234567890#", []fault.Field{{Location: "body.password", Code: fault.FieldPattern, Message: "Of the form ^[^#]*$ (B)."}}},
		{"UsernameLong", strings.Repeat("x", 65), "1234567890", []fault.Field{{Location: "body.username", Code: fault.FieldTooLong, Message: "1 to 64 characters."}}},
		{"UsernameForm", "BOB", "1234567890", []fault.Field{{Location: "body.username", Code: fault.FieldPattern, Message: "Small letters (A)."}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := p.check(Request{Username: tc.username, Password: tc.password})
			if f := fault.As(err); f == nil || !slices.Equal(f.Fields, tc.want) {
				t.Errorf("got %+v, want %+v", f, tc.want)
			}
		})
	}
}
