package pluginhost

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/pluginapproval"
	"github.com/zondarr/zondarr/ent/db/pluginbinary"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/sdk/sdkplugin"
)

// records are the approvals, and what is known of each binary by its hash, in
// the database.
type records struct {
	db *database.DB
}

const (
	approvalEntity = "plugin approval"
	binaryEntity   = "plugin binary"
)

// approval is what admins decided about one hash under one name.
type approval struct {
	sha256     string
	fileName   string
	origin     Origin
	approvedAt time.Time // zero: never
	approvedBy string
	disabled   bool
}

func (a approval) approved() bool { return !a.approvedAt.IsZero() }

// load gives every approval, by name.
func (r records) load(ctx context.Context) (map[string][]approval, error) {
	rows, err := r.db.Ent.PluginApproval.Query().Order(db.Asc(pluginapproval.FieldCreatedAt, pluginapproval.FieldID)).All(ctx)
	if err != nil {
		return nil, database.Wrap("list", approvalEntity, err)
	}
	out := map[string][]approval{}
	for _, row := range rows {
		a := approval{sha256: row.Sha256, fileName: row.FileName, origin: Origin(row.Origin), disabled: row.Disabled}
		if row.ApprovedAt != nil {
			a.approvedAt = row.ApprovedAt.UTC()
		}
		if row.ApprovedBy != nil {
			a.approvedBy = *row.ApprovedBy
		}
		out[row.Name] = append(out[row.Name], a)
	}
	return out, nil
}

// approve approves a hash under a name and enables the name.
func (r records) approve(ctx context.Context, name string, a approval) error {
	_, err := database.WithTx(ctx, r.db, func(ctx context.Context, tx *db.Tx) (struct{}, error) {
		var none struct{}
		err := tx.PluginApproval.Create().
			SetName(name).SetSha256(a.sha256).SetFileName(a.fileName).SetOrigin(pluginapproval.Origin(a.origin)).
			SetApprovedAt(a.approvedAt).SetApprovedBy(a.approvedBy).
			OnConflictColumns(pluginapproval.FieldName, pluginapproval.FieldSha256).
			Update(func(u *db.PluginApprovalUpsert) {
				u.UpdateFileName().UpdateOrigin().UpdateApprovedAt().UpdateApprovedBy().UpdateUpdatedAt()
			}).Exec(ctx)
		if err != nil {
			return none, database.Wrap("approve", approvalEntity, err)
		}
		_, err = tx.PluginApproval.Update().Where(pluginapproval.Name(name), pluginapproval.Disabled(true)).SetDisabled(false).Save(ctx)
		return none, database.Wrap("enable", approvalEntity, err)
	})
	return err
}

// disable marks a name. a is the hash that is known, for a name that has no row
// yet.
func (r records) disable(ctx context.Context, name string, a approval) error {
	_, err := database.WithTx(ctx, r.db, func(ctx context.Context, tx *db.Tx) (struct{}, error) {
		var none struct{}
		err := tx.PluginApproval.Create().
			SetName(name).SetSha256(a.sha256).SetFileName(a.fileName).SetOrigin(pluginapproval.Origin(a.origin)).SetDisabled(true).
			OnConflictColumns(pluginapproval.FieldName, pluginapproval.FieldSha256).
			Update(func(u *db.PluginApprovalUpsert) { u.UpdateDisabled().UpdateUpdatedAt() }).Exec(ctx)
		if err != nil {
			return none, database.Wrap("disable", approvalEntity, err)
		}
		_, err = tx.PluginApproval.Update().Where(pluginapproval.Name(name)).SetDisabled(true).Save(ctx)
		return none, database.Wrap("disable", approvalEntity, err)
	})
	return err
}

// remember keeps what a binary said of itself.
func (r records) remember(ctx context.Context, art *artefact, d sdkplugin.Declaration) error {
	create := r.db.Ent.PluginBinary.Create().
		SetSha256(art.sha256).SetSizeBytes(art.size).SetServerType(d.Description.ServerType).SetDescription(d.JSON)
	if art.build != nil {
		build, err := json.Marshal(art.build)
		if err != nil {
			return err
		}
		create.SetBuild(build)
	}
	err := create.OnConflictColumns(pluginbinary.FieldSha256).Update(func(u *db.PluginBinaryUpsert) {
		u.UpdateServerType().UpdateDescription().UpdateBuild().UpdateUpdatedAt()
	}).Exec(ctx)
	return database.Wrap("save", binaryEntity, err)
}

// recall gives what a binary said of itself when it last ran, anywhere; nil when
// it never did.
func (r records) recall(ctx context.Context, sha string) (*binaryRecord, error) {
	row, err := r.db.Ent.PluginBinary.Query().Where(pluginbinary.Sha256(sha)).Only(ctx)
	switch {
	case db.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, database.Wrap("get", binaryEntity, err)
	}
	b := &binaryRecord{size: row.SizeBytes}
	if len(row.Build) > 0 && json.Unmarshal(row.Build, &b.build) != nil {
		b.build = nil // written by another version; the file tells again
	}
	if len(row.Description) > 0 {
		d, err := sdkplugin.ParseDeclaration(row.Description)
		if err != nil {
			return nil, fmt.Errorf("the stored description of a plugin: %w", err)
		}
		b.declaration = &d
	}
	return b, nil
}

// binaryRecord is what is known of a binary by its hash.
type binaryRecord struct {
	size        int64
	build       *Build
	declaration *sdkplugin.Declaration
}
