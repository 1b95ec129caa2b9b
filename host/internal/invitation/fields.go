package invitation

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/grant"
	"github.com/zondarr/zondarr/sdk"
)

// Bounds of what an admin writes.
const (
	maxLabel = 200  // characters
	maxNote  = 4000 // characters
	maxDays  = 36500
	maxCount = 1_000_000
	maxOfAll = 50 // servers of one invitation
)

// problems collects what is wrong with a request.
type problems []fault.Field

func (p *problems) add(at, code, format string, args ...any) {
	*p = append(*p, fault.Field{Location: at, Code: code, Message: fmt.Sprintf(format, args...)})
}

func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return fault.InvalidInput(p...)
}

func (p *problems) text(at, value string, most int) {
	switch {
	case !utf8.ValidString(value) || strings.ContainsFunc(value, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\r' }):
		p.add(at, fault.FieldInvalid, "Text without control characters.")
	case utf8.RuneCountInString(value) > most:
		p.add(at, fault.FieldTooLong, "At most %d characters.", most)
	}
}

func (p *problems) count(at string, n *int, most int) {
	if n != nil && (*n < 1 || *n > most) {
		p.add(at, fault.FieldOutOfRange, "From 1 to %d, or null.", most)
	}
}

func (p *problems) oneOf(at, value string, words ...string) {
	for _, w := range words {
		if value == w {
			return
		}
	}
	p.add(at, fault.FieldInvalid, "One of: %s.", strings.Join(words, ", "))
}

func (p *problems) onExpiry(value string) {
	p.oneOf("body.on_expiry", value, grant.ExpiryDisable, grant.ExpiryDelete)
}

func (p *problems) email(value string) {
	p.oneOf("body.email", value, EmailOff, EmailOptional, EmailRequired)
}

// checkTargets judges what is granted on each server, and gives the grants in
// their stored form. The expiry action counts only where accounts expire.
func (s *Service) checkTargets(ctx context.Context, c *db.Client, targets []ServerGrant, expires bool, onExpiry string) ([]ServerGrant, error) {
	var p problems
	if len(targets) == 0 {
		p.add("body.servers", fault.FieldRequired, "At least one server.")
	}
	if len(targets) > maxOfAll {
		p.add("body.servers", fault.FieldTooLong, "At most %d servers.", maxOfAll)
	}
	if p != nil {
		return nil, p.err()
	}
	ids := make([]uuid.UUID, len(targets))
	for i, t := range targets {
		ids[i] = t.ServerID
	}
	known, err := servers(ctx, c, ids)
	if err != nil {
		return nil, err
	}
	judged := make([]grant.Target, 0, len(targets))
	out := make([]ServerGrant, len(targets))
	seen := map[uuid.UUID]bool{}
	for i, t := range targets {
		at := fmt.Sprintf("body.servers[%d]", i)
		row, ok := known[t.ServerID]
		switch {
		case !ok:
			p.add(at+".server_id", fault.FieldNotFound, "There is no server with this id.")
			continue
		case seen[t.ServerID]:
			p.add(at+".server_id", fault.FieldDuplicate, "Each server once.")
			continue
		}
		seen[t.ServerID] = true
		desc, err := s.Types.Describe(row.ServerType)
		if err != nil {
			return nil, fmt.Errorf("describe %s: %w", row.Name, err)
		}
		out[i] = ServerGrant{ServerID: row.ID, Grant: t.Grant.Normalize()}
		judged = append(judged, grant.Target{
			ServerID: row.ID, ServerName: row.Name, Location: at, Grant: out[i].Grant, Description: desc,
			Abilities: grant.AbilitiesOf(desc, grant.Facts(row.Facts)), Libraries: libraries(row.Edges.Libraries),
		})
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	if err := grant.Check(judged); err != nil {
		return nil, err
	}
	if !expires {
		return out, nil
	}
	return out, checkExpiry(judged, onExpiry)
}

// checkExpiry refuses an action that a server cannot take when the time comes.
func checkExpiry(targets []grant.Target, onExpiry string) error {
	for _, t := range targets {
		needs := grant.ExpiryNeeds(onExpiry)
		i := slices.IndexFunc(needs, func(c sdk.Capability) bool { return !t.Abilities.Has(c) })
		if i < 0 {
			continue
		}
		msg := fmt.Sprintf("%s cannot %s accounts when they expire.", t.ServerName, onExpiry)
		if why := t.Abilities.Why(string(needs[i])); why != "" {
			msg = strings.TrimSuffix(msg, ".") + ": " + strings.TrimSuffix(why, ".") + "."
		}
		return &fault.Error{
			Kind: fault.Invalid, Code: fault.CodeExpiryActionUnsupported, Message: msg,
			Fields: []fault.Field{{Location: "body.on_expiry", Code: fault.FieldUnsupported, Message: msg}},
			Server: &fault.Server{ID: t.ServerID.String(), Name: t.ServerName},
		}
	}
	return nil
}
