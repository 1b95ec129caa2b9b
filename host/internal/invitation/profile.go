package invitation

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/profile"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/grant"
	"github.com/zondarr/zondarr/host/internal/page"
)

// Profile is a named set of choices that an invitation starts from. The
// invitation keeps a copy: a later change of the profile does not reach it.
type Profile struct {
	ID   uuid.UUID
	Name string
	// Label, Note and so on are those of the invitations made from it.
	Label string
	Note  *string
	// ExpiresAfterDays is how long such an invitation is valid; nil for ever.
	ExpiresAfterDays *int
	// MaxUses is nil for unlimited.
	MaxUses      *int
	DurationDays *int
	OnExpiry     string
	Email        string
	// Default is true for the one profile that is taken when an invitation names
	// neither servers nor a profile.
	Default              bool
	Servers              []Server
	CreatedBy            string
	CreatedAt, UpdatedAt time.Time
}

// ProfileParams are what an admin says of a new profile.
type ProfileParams struct {
	Name             string
	Label            string
	Note             *string
	ExpiresAfterDays *int
	// MaxUses: nil is 1, a nil within is unlimited.
	MaxUses      **int
	DurationDays *int
	OnExpiry     *string
	Email        *string
	Default      bool
	Servers      []ServerGrant
	CreatedBy    string
}

// ProfilePatch changes what is not nil; a nil within clears.
type ProfilePatch struct {
	Name             *string
	Label            *string
	Note             **string
	ExpiresAfterDays **int
	MaxUses          **int
	DurationDays     **int
	OnExpiry         *string
	Email            *string
	Default          *bool
	Servers          *[]ServerGrant
}

var profiles = page.List[*db.Profile]{
	Default: "name",
	ID:      func(r *db.Profile) uuid.UUID { return r.ID },
	Fields: map[string]page.Field[*db.Profile]{
		"name":       {Column: profile.FieldName, Value: func(r *db.Profile) any { return r.Name }},
		"created_at": {Column: profile.FieldCreatedAt, Kind: page.Time, Value: func(r *db.Profile) any { return r.CreatedAt }},
	},
}

// ProfileFilter narrows a list of profiles.
type ProfileFilter struct {
	// Query is a case-insensitive part of name or label.
	Query string
}

// CreateProfile stores a profile. Errors as Create, and name_taken.
func (s *Service) CreateProfile(ctx context.Context, params ProfileParams) (Profile, error) {
	p := Profile{
		Name: params.Name, Label: params.Label, Note: params.Note, ExpiresAfterDays: params.ExpiresAfterDays,
		MaxUses: value(params.MaxUses, new(1)), DurationDays: params.DurationDays,
		OnExpiry: value(params.OnExpiry, grant.ExpiryDisable), Email: value(params.Email, EmailOptional), Default: params.Default,
	}
	if err := p.check(); err != nil {
		return Profile{}, err
	}
	return s.profileTx(ctx, func(ctx context.Context, tx *db.Tx) (uuid.UUID, error) {
		targets, err := s.checkTargets(ctx, tx.Client(), params.Servers, p.DurationDays != nil, p.OnExpiry)
		if err != nil {
			return uuid.Nil, err
		}
		return createProfile(ctx, tx, p, cmp.Or(params.CreatedBy, "system"), targets, s.Now())
	})
}

// UpdateProfile changes a profile; invitations made from it stay as they are.
func (s *Service) UpdateProfile(ctx context.Context, id uuid.UUID, patch ProfilePatch) (Profile, error) {
	return s.profileTx(ctx, func(ctx context.Context, tx *db.Tx) (uuid.UUID, error) {
		// The lock comes first, so that of two changes at once none is lost.
		if err := lockProfile(ctx, tx, id, s.Now()); err != nil {
			return id, err
		}
		row, err := profileByID(ctx, tx.Client(), id)
		if err != nil {
			return id, missing(err, entityProfile, id)
		}
		p := s.toProfile(row)
		p.Name, p.Label, p.Note = value(patch.Name, p.Name), value(patch.Label, p.Label), value(patch.Note, p.Note)
		p.ExpiresAfterDays, p.MaxUses = value(patch.ExpiresAfterDays, p.ExpiresAfterDays), value(patch.MaxUses, p.MaxUses)
		p.DurationDays, p.OnExpiry = value(patch.DurationDays, p.DurationDays), value(patch.OnExpiry, p.OnExpiry)
		p.Email, p.Default = value(patch.Email, p.Email), value(patch.Default, p.Default)
		if err := p.check(); err != nil {
			return id, err
		}
		targets, err := s.changedTargets(ctx, tx.Client(), Invitation{DurationDays: p.DurationDays, OnExpiry: p.OnExpiry, Servers: p.Servers},
			Patch{Servers: patch.Servers, DurationDays: patch.DurationDays, OnExpiry: patch.OnExpiry})
		if err != nil {
			return id, err
		}
		if patch.Servers == nil {
			targets = nil
		}
		return id, updateProfile(ctx, tx, p, targets, s.Now())
	})
}

// maxDefaults bounds how often a write is tried that lost to another who made a
// profile the default at the same moment: each time one of them got through.
const maxDefaults = 20

// profileTx writes a profile and reads it back.
func (s *Service) profileTx(ctx context.Context, write func(context.Context, *db.Tx) (uuid.UUID, error)) (Profile, error) {
	for attempt := 1; ; attempt++ {
		p, err := s.profileOnce(ctx, write)
		if !database.ConflictOn(err, profile.Table, profile.FieldIsDefault) {
			return p, err
		}
		if attempt == maxDefaults {
			return p, &fault.Error{
				Kind: fault.Conflict, Code: fault.CodeConflict, Message: "Another profile was made the default at the same moment. Try again.",
				Retryable: true, Err: err,
			}
		}
	}
}

func (s *Service) profileOnce(ctx context.Context, write func(context.Context, *db.Tx) (uuid.UUID, error)) (Profile, error) {
	p, err := database.WithTx(ctx, s.DB, func(ctx context.Context, tx *db.Tx) (Profile, error) {
		id, err := write(ctx, tx)
		if err != nil {
			return Profile{}, err
		}
		row, err := profileByID(ctx, tx.Client(), id)
		if err != nil {
			return Profile{}, err
		}
		return s.toProfile(row), nil
	})
	if database.ConflictOn(err, profile.Table, profile.FieldName) {
		return p, &fault.Error{
			Kind: fault.Conflict, Code: fault.CodeNameTaken, Message: "Another profile has this name.", Err: err,
			Fields: []fault.Field{{Location: "body.name", Code: fault.FieldTaken, Message: "Another profile has this name."}},
		}
	}
	return p, err
}

func (p *Profile) check() error {
	var bad problems
	p.Name = strings.TrimSpace(p.Name)
	if p.Name == "" {
		bad.add("body.name", fault.FieldRequired, "A name is required.")
	}
	bad.text("body.name", p.Name, maxLabel)
	bad.count("body.expires_after_days", p.ExpiresAfterDays, maxDays)
	if err := checkFields(Invitation{
		Label: p.Label, Note: p.Note, MaxUses: p.MaxUses, DurationDays: p.DurationDays, OnExpiry: p.OnExpiry, Email: p.Email,
	}); err != nil {
		bad = append(bad, fault.As(err).Fields...)
	}
	return bad.err()
}

// GetProfile gives one profile.
func (s *Service) GetProfile(ctx context.Context, id uuid.UUID) (Profile, error) {
	row, err := profileByID(ctx, s.DB.Ent, id)
	if err != nil {
		return Profile{}, missing(err, entityProfile, id)
	}
	return s.toProfile(row), nil
}

// ListProfiles gives one page of profiles.
func (s *Service) ListProfiles(ctx context.Context, f ProfileFilter, req page.Request) (page.Page[Profile], error) {
	q, err := profiles.Open(req, f)
	if err != nil {
		return page.Page[Profile]{}, err
	}
	query := withProfileTargets(s.DB.Ent.Profile.Query())
	if f.Query != "" {
		query.Where(profile.Or(profile.NameContainsFold(f.Query), profile.LabelContainsFold(f.Query)))
	}
	rows, err := query.Where(q.Apply).Limit(q.Fetch()).All(ctx)
	if err != nil {
		return page.Page[Profile]{}, database.Wrap("list", entityProfile, err)
	}
	return page.Of(q, rows, s.toProfile), nil
}

// DeleteProfile removes a profile; the invitations made from it stay.
func (s *Service) DeleteProfile(ctx context.Context, id uuid.UUID) error {
	err := database.Wrap("delete", entityProfile, s.DB.Ent.Profile.DeleteOneID(id).Exec(ctx))
	return missing(err, entityProfile, id)
}

// fromProfile fills what the admin left out from the profile that was named, or
// from the default one.
func (s *Service) fromProfile(ctx context.Context, tx *db.Tx, p CreateParams) (CreateParams, error) {
	if p.ProfileID != nil && len(p.Servers) > 0 {
		return p, fault.InvalidInput(fault.Field{
			Location: "body.profile_id", Code: fault.FieldConflict, Message: "Name a profile or servers, not both.",
		})
	}
	q := withProfileTargets(tx.Profile.Query())
	switch {
	case p.ProfileID != nil:
		q.Where(profile.ID(*p.ProfileID))
	case len(p.Servers) == 0:
		q.Where(profile.IsDefault(true))
	default:
		return p, nil
	}
	row, err := q.Only(ctx)
	switch {
	case db.IsNotFound(err) && p.ProfileID == nil:
		return p, nil // and the check of the servers says what is missing
	case db.IsNotFound(err):
		return p, fault.InvalidInput(fault.Field{
			Location: "body.profile_id", Code: fault.FieldNotFound, Message: "There is no profile with this id.",
		})
	case err != nil:
		return p, database.Wrap("get", entityProfile, err)
	}
	from := s.toProfile(row)
	p.ProfileID = &from.ID
	p.Label = or(p.Label, from.Label)
	p.Note = cmpOr(p.Note, from.Note)
	p.MaxUses, p.DurationDays = or(p.MaxUses, from.MaxUses), or(p.DurationDays, from.DurationDays)
	p.OnExpiry, p.Email = or(p.OnExpiry, from.OnExpiry), or(p.Email, from.Email)
	if p.ExpiresAt == nil && from.ExpiresAfterDays != nil {
		until := s.Now().Add(time.Duration(*from.ExpiresAfterDays) * 24 * time.Hour)
		p.ExpiresAt = new(&until)
	}
	for _, t := range from.Servers {
		g := t.Grant
		// A library that is gone is not asked for; where none is left, the check
		// of the grant says so.
		g.LibraryIDs = slices.DeleteFunc(slices.Clone(g.LibraryIDs), func(id uuid.UUID) bool { return goneIn(row, id) })
		p.Servers = append(p.Servers, ServerGrant{ServerID: t.ID, Grant: g})
	}
	return p, nil
}

func or[T any](v *T, otherwise T) *T {
	if v == nil {
		return &otherwise
	}
	return v
}

func cmpOr[T any](v, otherwise *T) *T {
	if v == nil {
		return otherwise
	}
	return v
}
