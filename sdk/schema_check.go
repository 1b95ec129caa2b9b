package sdk

import (
	"fmt"
	"maps"
	"math"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Codes of the problems that Schema.Check finds.
const (
	ProblemRequired   = "required"
	ProblemUnknown    = "unknown"
	ProblemInvalid    = "invalid" // of another type or format
	ProblemTooShort   = "too_short"
	ProblemTooLong    = "too_long"
	ProblemPattern    = "pattern"
	ProblemOutOfRange = "out_of_range"
)

// Check says what is wrong with values, which are as encoding/json decodes them
// into an any; nil for a property counts as absent. The problems come in the
// order of the schema, unknown names last, and never repeat a value.
func (s Schema) Check(values map[string]any) []FieldProblem {
	var out []FieldProblem
	known := make(map[string]bool, len(s.Properties))
	for _, p := range s.Properties {
		known[p.Name] = true
		v := values[p.Name]
		if v == nil || v == "" && p.Required {
			if p.Required {
				out = append(out, FieldProblem{Field: p.Name, Code: ProblemRequired, Message: p.label() + " is required."})
			}
			continue
		}
		if code, msg := p.check(v); code != "" {
			out = append(out, FieldProblem{Field: p.Name, Code: code, Message: p.label() + " " + msg})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !known[name] {
			out = append(out, FieldProblem{Field: name, Code: ProblemUnknown, Message: fmt.Sprintf("There is no setting of this name; known are: %s.", s.names())})
		}
	}
	return out
}

func (p Property) label() string {
	if p.Title != "" {
		return p.Title
	}
	return p.Name
}

func (s Schema) names() string {
	names := make([]string, len(s.Properties))
	for i, p := range s.Properties {
		names[i] = p.Name
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// check gives the code and the rest of the sentence, or "".
func (p Property) check(v any) (code, msg string) {
	switch p.Type {
	case TypeString:
		text, ok := v.(string)
		if !ok {
			return ProblemInvalid, "must be a text."
		}
		return p.checkText(text)
	case TypeBoolean:
		if _, ok := v.(bool); !ok {
			return ProblemInvalid, "must be true or false."
		}
	case TypeStrings:
		list, ok := v.([]any)
		if !ok {
			return ProblemInvalid, "must be a list of texts."
		}
		for _, item := range list {
			text, ok := item.(string)
			if !ok {
				return ProblemInvalid, "must be a list of texts."
			}
			if code, msg := p.checkText(text); code != "" {
				return code, "holds an entry that " + msg
			}
		}
	default:
		n, ok := v.(float64)
		switch {
		case p.Type == TypeInteger && (!ok || n != math.Trunc(n)):
			return ProblemInvalid, "must be a whole number."
		case !ok:
			return ProblemInvalid, "must be a number."
		}
		if p.Minimum != nil && n < *p.Minimum {
			return ProblemOutOfRange, fmt.Sprintf("must be at least %v.", *p.Minimum)
		}
		if p.Maximum != nil && n > *p.Maximum {
			return ProblemOutOfRange, fmt.Sprintf("must be at most %v.", *p.Maximum)
		}
	}
	return "", ""
}

func (p Property) checkText(text string) (code, msg string) {
	n := utf8.RuneCountInString(text)
	switch {
	case !utf8.ValidString(text):
		return ProblemInvalid, "must be valid UTF-8."
	case n < p.MinLength:
		return ProblemTooShort, fmt.Sprintf("must have at least %d characters.", p.MinLength)
	case p.MaxLength > 0 && n > p.MaxLength:
		return ProblemTooLong, fmt.Sprintf("must have at most %d characters.", p.MaxLength)
	case len(p.Enum) > 0 && !slices.Contains(p.Enum, text):
		return ProblemInvalid, "must be one of: " + strings.Join(p.Enum, ", ") + "."
	}
	if p.Pattern != "" {
		// A pattern that does not compile was refused when the plugin was
		// described; here it would match nothing.
		if re, err := regexp.Compile(p.Pattern); err != nil || !re.MatchString(text) {
			return ProblemPattern, "does not have the form that is asked for."
		}
	}
	switch p.Format {
	case "uri":
		if u, err := url.Parse(text); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
			return ProblemInvalid, "must be an http or https URL without a user."
		}
	case "email":
		if a, err := mail.ParseAddress(text); err != nil || a.Address != text {
			return ProblemInvalid, "must be an e-mail address."
		}
	}
	return "", ""
}
