package mediaserver

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/sdk"
)

// CreateParams are what an admin says of a new server.
type CreateParams struct {
	Name string
	Connection
	PublicURL *string
	Enabled   bool
}

// Patch changes what is not nil. A nil inner pointer of PublicURL clears it.
type Patch struct {
	Name      *string
	URL       *string
	PublicURL **string
	// Settings and Secrets merge by key; a nil value clears the key.
	Settings map[string]any
	Secrets  map[string]*string
	TLS      *TLSPatch
	Enabled  *bool
	// ConfirmExternalID is the id of another media server that an admin accepts
	// behind the URL.
	ConfirmExternalID *string
}

// TLSPatch changes what is not nil.
type TLSPatch struct {
	// CAPEM replaces the certificates; empty clears them.
	CAPEM      *string
	SkipVerify *bool
}

func (p *TLSPatch) apply(o *sdk.TLSOptions) {
	if p == nil {
		return
	}
	if p.CAPEM != nil {
		o.CAPEM = *p.CAPEM
	}
	if p.SkipVerify != nil {
		o.SkipVerify = *p.SkipVerify
	}
}

// Create tests the connection, reads the libraries and stores both, or stores
// nothing (R6.3, P10).
func (s *Service) Create(ctx context.Context, p CreateParams) (Server, error) {
	d, err := s.Registry.Describe(p.ServerType)
	if err != nil {
		return Server{}, unknownType(err)
	}
	name, problems := checkName(p.Name)
	publicURL, more := checkPublicURL(p.PublicURL)
	problems = append(append(problems, more...), p.check(d)...)
	if len(problems) > 0 {
		return Server{}, fault.InvalidInput(problems...)
	}
	facts, libraries, err := s.probe(ctx, s.unsavedRef(p.Connection), target{plugin: d.Name, typed: true, secrets: secretNames(d)})
	if err != nil {
		return Server{}, err
	}
	id := uuid.Must(uuid.NewV7())
	sealed, err := s.seal(id, p.Secrets)
	if err != nil {
		return Server{}, err
	}
	created, err := database.WithTx(ctx, s.DB, func(ctx context.Context, tx *db.Tx) (Server, error) {
		now := s.Now()
		err := insert(ctx, tx, Server{
			ID: id, Name: name, ServerType: p.ServerType, URL: p.URL, PublicURL: publicURL, ExternalID: facts.ExternalID,
			Settings: p.Settings, TLS: p.TLS, Enabled: p.Enabled, Revision: 1, Facts: facts,
			Health: Health{State: HealthOK, Since: now, CheckedAt: &now}, CreatedAt: now, UpdatedAt: now,
		}, sealed)
		if err != nil {
			return Server{}, err
		}
		if _, err := applyLibraries(ctx, tx, id, 1, libraries, now); err != nil {
			return Server{}, err
		}
		return s.get(ctx, tx.Client(), id)
	})
	if errors.Is(err, database.ErrConflict) {
		return Server{}, s.alreadyAdded(ctx, p.ServerType, facts.ExternalID, err)
	}
	return created, err
}

// alreadyAdded names the stored server that is the same one.
func (s *Service) alreadyAdded(ctx context.Context, serverType, externalID string, cause error) error {
	f := fault.New(fault.Conflict, fault.CodeServerAlreadyAdded, "This media server is already managed here: it says the same id as a stored one.").Wrap(cause)
	if row, err := byExternalID(ctx, s.DB.Ent, serverType, externalID); err == nil {
		f.Message = fmt.Sprintf("This media server is already managed here, as %s.", row.Name)
		f.Server = &fault.Server{ID: row.ID.String(), Name: row.Name}
	}
	f.Fields = []fault.Field{{Location: "body.url", Code: fault.FieldDuplicate, Message: "The media server at this URL is already added."}}
	return f
}

// Get gives one server, or not_found.
func (s *Service) Get(ctx context.Context, id uuid.UUID) (Server, error) {
	return s.get(ctx, s.DB.Ent, id)
}

// Update applies a patch. Whatever changes how the server is reached is tested
// first, with the values merged; when the test fails nothing is stored.
func (s *Service) Update(ctx context.Context, id uuid.UUID, p Patch) (Server, error) {
	for {
		updated, err := s.update(ctx, id, p)
		if !errors.Is(err, errRevisionMoved) {
			return updated, err
		}
	}
}

// errRevisionMoved says that somebody else changed the server, or removed it, while it
// was being asked; what was to be done with the answer must begin again.
var errRevisionMoved = errors.New("the server was changed meanwhile")

func (s *Service) update(ctx context.Context, id uuid.UUID, p Patch) (Server, error) {
	old, sealed, err := s.load(ctx, s.DB.Ent, id)
	if err != nil {
		return Server{}, err
	}
	next, conn, problems, err := s.merge(old, sealed, p)
	if err != nil {
		return Server{}, err
	}
	var libraries []sdk.Library // of a server that replaces the stored one
	reconnect := p.URL != nil || p.Settings != nil || p.Secrets != nil || p.TLS != nil || p.ConfirmExternalID != nil
	t := target{id: id.String(), name: old.Name, typed: true}
	if reconnect {
		d, err := s.Registry.Describe(old.ServerType)
		if err != nil {
			return Server{}, t.asFault(err)
		}
		t.plugin, t.secrets = d.Name, secretNames(d)
		problems = append(problems, conn.check(d)...)
		next.URL = conn.URL
		if len(problems) == 0 {
			if next.Facts, libraries, err = s.retest(ctx, old, conn, p.ConfirmExternalID, t); err != nil {
				return Server{}, err
			}
			next.ExternalID = next.Facts.ExternalID
			now := s.Now()
			next.Revision = old.Revision + 1
			next.Health = Health{State: HealthOK, Since: now, CheckedAt: &now}
			if sealed, err = s.seal(id, conn.Secrets); err != nil {
				return Server{}, err
			}
		}
	}
	if len(problems) > 0 {
		return Server{}, fault.InvalidInput(problems...)
	}
	updated, err := database.WithTx(ctx, s.DB, func(ctx context.Context, tx *db.Tx) (Server, error) {
		next.UpdatedAt = s.Now()
		switch stored, err := replace(ctx, tx, next, p, old.Revision, sealed, reconnect); {
		case err != nil:
			return Server{}, err
		case !stored:
			if _, err := s.get(ctx, tx.Client(), id); err != nil {
				return Server{}, err // deleted meanwhile
			}
			return Server{}, errRevisionMoved
		}
		if next.ExternalID != old.ExternalID {
			if err := replaceLibraries(ctx, tx, id, next.Revision, libraries, next.UpdatedAt); err != nil {
				return Server{}, err
			}
		}
		return s.get(ctx, tx.Client(), id)
	})
	if errors.Is(err, database.ErrConflict) {
		return Server{}, s.alreadyAdded(ctx, next.ServerType, next.ExternalID, err)
	}
	return updated, err
}

// merge applies the patch to what is stored.
func (s *Service) merge(old Server, sealed []byte, p Patch) (Server, Connection, []fault.Field, error) {
	next := old
	secrets, err := s.open(old.ID, sealed)
	if err != nil {
		return Server{}, Connection{}, nil, err
	}
	var problems []fault.Field
	if p.Name != nil {
		var more []fault.Field
		next.Name, more = checkName(*p.Name)
		problems = append(problems, more...)
	}
	if p.PublicURL != nil {
		var more []fault.Field
		next.PublicURL, more = checkPublicURL(*p.PublicURL)
		problems = append(problems, more...)
	}
	if p.Enabled != nil {
		next.Enabled = *p.Enabled
	}
	if p.URL != nil {
		next.URL = *p.URL
	}
	p.TLS.apply(&next.TLS)
	next.Settings = maps.Clone(old.Settings)
	if next.Settings == nil {
		next.Settings = map[string]any{}
	}
	for name, v := range p.Settings {
		if v == nil {
			delete(next.Settings, name)
		} else {
			next.Settings[name] = v
		}
	}
	for name, v := range p.Secrets {
		if v == nil {
			delete(secrets, name)
		} else {
			secrets[name] = *v
		}
	}
	return next, Connection{ServerType: old.ServerType, URL: next.URL, Settings: next.Settings, Secrets: secrets, TLS: next.TLS}, problems, nil
}

// retest tests a changed connection and compares the media server's own id with
// the stored one, unless the admin confirmed the new one: then it reads the
// libraries of the new server too.
func (s *Service) retest(ctx context.Context, old Server, c Connection, confirm *string, t target) (sdk.ServerFacts, []sdk.Library, error) {
	ref := s.unsavedRef(c)
	ref.ExternalID = old.ExternalID
	if confirm != nil && *confirm != "" { // an empty id would confirm any server
		ref.ExternalID = *confirm
	}
	facts, err := s.connect(ctx, ref, t)
	if err != nil {
		return sdk.ServerFacts{}, nil, err
	}
	if err := sameServer(ref, facts, t); err != nil {
		return sdk.ServerFacts{}, nil, err
	}
	if facts.ExternalID == old.ExternalID {
		return facts, nil, nil
	}
	libraries, err := s.listLibraries(ctx, ref, t)
	return facts, libraries, err
}

// sameServer compares the id that the media server says with the confirmed one.
func sameServer(ref sdk.ServerRef, facts sdk.ServerFacts, t target) error {
	if facts.ExternalID == ref.ExternalID {
		return nil
	}
	f := t.anotherServer("send its id, " + facts.ExternalID + ",")
	f.Server = t.server()
	return f
}

// Delete removes a server with its libraries and its users' records, never an
// account on the media server itself (R2.8). It is refused while a redemption
// works on it.
func (s *Service) Delete(ctx context.Context, id uuid.UUID) error {
	_, err := database.WithTx(ctx, s.DB, func(ctx context.Context, tx *db.Tx) (struct{}, error) {
		return struct{}{}, remove(ctx, tx, id)
	})
	return err
}

// Test tests a server that is not stored, and gives what it told. It checks what
// Create checks, but for the name.
func (s *Service) Test(ctx context.Context, p CreateParams) (sdk.ServerFacts, error) {
	d, err := s.Registry.Describe(p.ServerType)
	if err != nil {
		return sdk.ServerFacts{}, unknownType(err)
	}
	_, problems := checkPublicURL(p.PublicURL)
	if problems = append(problems, p.check(d)...); len(problems) > 0 {
		return sdk.ServerFacts{}, fault.InvalidInput(problems...)
	}
	return s.connect(ctx, s.unsavedRef(p.Connection), target{plugin: d.Name, typed: true, secrets: secretNames(d)})
}

// TestStored tests a stored server and keeps what it told: facts and health.
func (s *Service) TestStored(ctx context.Context, id uuid.UUID) (Server, error) {
	server, sealed, err := s.load(ctx, s.DB.Ent, id)
	if err != nil {
		return Server{}, err
	}
	ref, err := s.ref(server, sealed)
	if err != nil {
		return Server{}, err
	}
	t := target{id: id.String(), name: server.Name, plugin: s.pluginOf(server.ServerType)}
	facts, err := s.connect(ctx, ref, t)
	if err == nil {
		err = sameServer(ref, facts, t)
	}
	if keepErr := s.keepHealth(ctx, server, facts, err); keepErr != nil {
		return Server{}, errors.Join(err, keepErr)
	}
	if err != nil {
		return Server{}, err
	}
	return s.Get(ctx, id)
}

func (s *Service) pluginOf(serverType string) string {
	d, err := s.Registry.Describe(serverType)
	if err != nil {
		return ""
	}
	return d.Name
}

// connect makes the connection test and refuses an answer without the id by
// which the server is known again.
func (s *Service) connect(ctx context.Context, ref sdk.ServerRef, t target) (sdk.ServerFacts, error) {
	client, err := s.Registry.Client(ctx, ref)
	if err != nil {
		return sdk.ServerFacts{}, t.asFault(err)
	}
	res, err := client.TestConnection(ctx, sdk.TestConnectionRequest{})
	if err != nil {
		return sdk.ServerFacts{}, t.asFault(err)
	}
	if res.Facts.ExternalID == "" {
		return sdk.ServerFacts{}, t.asFault(sdk.Errorf(sdk.ReasonServerError, "the server did not say its own id"))
	}
	return res.Facts, nil
}

// probe tests a connection and lists the libraries.
func (s *Service) probe(ctx context.Context, ref sdk.ServerRef, t target) (sdk.ServerFacts, []sdk.Library, error) {
	facts, err := s.connect(ctx, ref, t)
	if err != nil {
		return sdk.ServerFacts{}, nil, err
	}
	ref.ExternalID = facts.ExternalID
	libraries, err := s.listLibraries(ctx, ref, t)
	return facts, libraries, err
}

func (s *Service) unsavedRef(c Connection) sdk.ServerRef {
	return sdk.ServerRef{
		ServerType: c.ServerType, URL: c.URL, Settings: c.Settings, Secrets: c.Secrets, TLS: c.TLS, InstallationID: s.InstallationID,
	}
}

// Ref gives what a media client of a stored server is opened with, the secrets
// opened. A disabled server has one too: whoever calls decides.
func (s *Service) Ref(ctx context.Context, id uuid.UUID) (sdk.ServerRef, error) {
	server, sealed, err := s.load(ctx, s.DB.Ent, id)
	if err != nil {
		return sdk.ServerRef{}, err
	}
	return s.ref(server, sealed)
}

// Refs gives a ref of every stored server.
func (s *Service) Refs(ctx context.Context) ([]sdk.ServerRef, error) {
	rows, err := all(ctx, s.DB.Ent)
	if err != nil {
		return nil, err
	}
	refs := make([]sdk.ServerRef, 0, len(rows))
	for _, row := range rows {
		server, err := s.toServer(row)
		if err != nil {
			return nil, err
		}
		ref, err := s.ref(server, row.Secrets)
		if err != nil {
			return nil, err
		}
		refs = append(refs, ref)
	}
	return refs, nil
}

func (s *Service) ref(server Server, sealed []byte) (sdk.ServerRef, error) {
	secrets, err := s.open(server.ID, sealed)
	if err != nil {
		return sdk.ServerRef{}, err
	}
	return sdk.ServerRef{
		ID: server.ID.String(), ServerType: server.ServerType, Revision: server.Revision, URL: server.URL, ExternalID: server.ExternalID, Version: server.Facts.Version,
		Settings: server.Settings, Secrets: secrets, TLS: server.TLS, InstallationID: s.InstallationID,
	}, nil
}

// sealContext binds sealed secrets to their row.
func sealContext(id uuid.UUID) string { return fmt.Sprintf("media_servers:%s", id) }
