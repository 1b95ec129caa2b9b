package sdkplugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/zondarr/zondarr/sdk"
	pb "github.com/zondarr/zondarr/sdk/internal/pluginpb"
)

// Bounds of what is opaque to the host, in bytes.
const (
	maxPluginState = 64 << 10
	maxLinkState   = 16 << 10
)

// toObject and fromObject carry a JSON object as text; nil and empty are "".
func toObject(m map[string]any) (string, error) {
	if len(m) == 0 {
		return "", nil
	}
	b, err := json.Marshal(m)
	return string(b), err
}

func fromObject(text string) (map[string]any, error) {
	if text == "" {
		return nil, nil
	}
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return nil, errors.New("what should be one JSON object is not") // the text may hold anything
	}
	if len(m) == 0 {
		return nil, nil
	}
	return m, nil
}

func toTime(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func fromTime(t *timestamppb.Timestamp) time.Time {
	if t == nil || !t.IsValid() {
		return time.Time{}
	}
	return t.AsTime()
}

func toTri(t sdk.Tri) pb.Tri {
	switch t {
	case sdk.Allow:
		return pb.Tri_TRI_ALLOW
	case sdk.Deny:
		return pb.Tri_TRI_DENY
	default:
		return pb.Tri_TRI_UNSPECIFIED
	}
}

func fromTri(t pb.Tri) sdk.Tri {
	switch t {
	case pb.Tri_TRI_ALLOW:
		return sdk.Allow
	case pb.Tri_TRI_DENY:
		return sdk.Deny
	default:
		return sdk.Unset
	}
}

// toTris fills into, which may be nil, and gives it back.
func toTris(m map[string]sdk.Tri, into map[string]pb.Tri) map[string]pb.Tri {
	clear(into)
	if len(m) > 0 && into == nil {
		into = make(map[string]pb.Tri, len(m))
	}
	for name, t := range m {
		into[name] = toTri(t)
	}
	return into
}

func fromTris(m map[string]pb.Tri) map[string]sdk.Tri {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]sdk.Tri, len(m))
	for name, t := range m {
		out[name] = fromTri(t)
	}
	return out
}

func fromLimits(m map[string]int64) map[string]int64 {
	if len(m) == 0 {
		return nil
	}
	return m
}

func toAccess(a sdk.LibraryAccess) *pb.LibraryAccess {
	return &pb.LibraryAccess{Mode: toMode.of(a.Mode), Ids: a.IDs}
}

func fromAccess(a *pb.LibraryAccess) sdk.LibraryAccess {
	return sdk.LibraryAccess{Mode: fromMode.of(a.GetMode()), IDs: a.GetIds()}
}

func toGrant(g sdk.Grant) (*pb.Grant, error) {
	options, err := toObject(g.Options)
	return &pb.Grant{
		Libraries: toAccess(g.Libraries), Permissions: toTris(g.Permissions, nil), Limits: g.Limits, OptionsJson: options,
	}, err
}

func fromGrant(g *pb.Grant) (sdk.Grant, error) {
	options, err := fromObject(g.GetOptionsJson())
	return sdk.Grant{
		Libraries: fromAccess(g.GetLibraries()), Permissions: fromTris(g.GetPermissions()), Limits: fromLimits(g.GetLimits()),
		Options: options,
	}, err
}

// toUser gives the user's wire form, or says what is wrong with the user.
func toUser(u sdk.User) (*pb.User, error) {
	dst := &pb.User{}
	return dst, fillUser(dst, u)
}

// fillUser is toUser into a message that may have been used before: a stream of
// 100,000 users would otherwise be 100,000 messages for the garbage collector. It keeps
// nothing of the user, whose maps and slices an author may use for the next one.
func fillUser(dst *pb.User, u sdk.User) error {
	switch {
	case u.ID == "":
		return errors.New("a user has no ID")
	case toStatus.of(u.Status) == pb.UserStatus_USER_STATUS_UNSPECIFIED:
		return fmt.Errorf("user %q has the status %q", u.ID, u.Status)
	case len(u.PluginState) > maxPluginState:
		return fmt.Errorf("user %q has a PluginState of %d bytes, %d are allowed", u.ID, len(u.PluginState), maxPluginState)
	}
	options, err := toObject(u.Options)
	if err != nil {
		return fmt.Errorf("user %q has Options that are no JSON: %w", u.ID, err)
	}
	dst.Id, dst.Username, dst.DisplayName, dst.Email, dst.Kind = u.ID, u.Username, u.DisplayName, u.Email, u.Kind
	dst.Protected, dst.Status, dst.OptionsJson = u.Protected, toStatus.of(u.Status), options
	dst.PluginState = append(dst.PluginState[:0], u.PluginState...)
	dst.Permissions, dst.Limits = toTris(u.Permissions, dst.Permissions), copyLimits(u.Limits, dst.Limits)
	dst.CreatedAt, dst.LastActiveAt, dst.SignedIn = toTime(u.CreatedAt), toTime(u.LastActiveAt), nil
	if u.SignedIn != nil {
		dst.SignedIn = new(*u.SignedIn)
	}
	if u.Libraries == nil {
		dst.Libraries = nil
		return nil
	}
	if dst.Libraries == nil {
		dst.Libraries = &pb.LibraryAccess{}
	}
	dst.Libraries.Mode, dst.Libraries.Ids = toMode.of(u.Libraries.Mode), append(dst.Libraries.Ids[:0], u.Libraries.IDs...)
	return nil
}

// copyLimits fills into, which may be nil, and gives it back.
func copyLimits(m, into map[string]int64) map[string]int64 {
	clear(into)
	if len(m) > 0 && into == nil {
		into = make(map[string]int64, len(m))
	}
	maps.Copy(into, m)
	return into
}

// fromUser gives a user as it came, or says what the plugin got wrong.
func fromUser(u *pb.User) (sdk.User, error) {
	switch {
	case u.GetId() == "":
		return sdk.User{}, errors.New("the plugin answered a user without an id")
	case fromStatus.of(u.GetStatus()) == "":
		return sdk.User{}, fmt.Errorf("the plugin answered user %q without a status", u.GetId())
	case len(u.GetPluginState()) > maxPluginState:
		return sdk.User{}, fmt.Errorf("the plugin answered user %q with %d bytes of state, %d are allowed", u.GetId(), len(u.GetPluginState()), maxPluginState)
	}
	options, err := fromObject(u.GetOptionsJson())
	if err != nil {
		return sdk.User{}, fmt.Errorf("the plugin answered user %q with broken options: %w", u.GetId(), err)
	}
	out := sdk.User{
		ID: u.GetId(), Username: u.GetUsername(), DisplayName: u.GetDisplayName(), Email: u.GetEmail(), Kind: u.GetKind(),
		Protected: u.GetProtected(), Status: fromStatus.of(u.GetStatus()), Permissions: fromTris(u.GetPermissions()),
		Limits: fromLimits(u.GetLimits()), Options: options, PluginState: u.GetPluginState(),
		CreatedAt: fromTime(u.GetCreatedAt()), LastActiveAt: fromTime(u.GetLastActiveAt()), SignedIn: u.SignedIn,
	}
	if u.GetLibraries() != nil {
		access := fromAccess(u.GetLibraries())
		if access.Mode == "" {
			return sdk.User{}, fmt.Errorf("the plugin answered user %q with an unknown library mode", u.GetId())
		}
		out.Libraries = &access
	}
	return out, nil
}

func toLink(l *sdk.LinkedAccount) *pb.LinkedAccount {
	if l == nil {
		return nil
	}
	return &pb.LinkedAccount{
		Realm: l.Realm, Id: l.ID, Username: l.Username, DisplayName: l.DisplayName, Email: l.Email, State: l.State,
	}
}

func fromLink(l *pb.LinkedAccount) *sdk.LinkedAccount {
	if l == nil {
		return nil
	}
	return &sdk.LinkedAccount{
		Realm: l.GetRealm(), ID: l.GetId(), Username: l.GetUsername(), DisplayName: l.GetDisplayName(), Email: l.GetEmail(),
		State: l.GetState(),
	}
}

func toServer(r sdk.ServerRef) (*pb.ServerRef, error) {
	settings, err := toObject(r.Settings)
	ref := &pb.ServerRef{
		Id: r.ID, ServerType: r.ServerType, Revision: r.Revision, Url: r.URL, ExternalId: r.ExternalID, Version: r.Version,
		SettingsJson: settings, Secrets: r.Secrets, InstallationId: r.InstallationID,
	}
	if r.TLS != (sdk.TLSOptions{}) {
		ref.Tls = &pb.TLSOptions{CaPem: r.TLS.CAPEM, SkipVerify: r.TLS.SkipVerify}
	}
	return ref, err
}

func fromServer(r *pb.ServerRef) (sdk.ServerRef, error) {
	settings, err := fromObject(r.GetSettingsJson())
	ref := sdk.ServerRef{
		ID: r.GetId(), ServerType: r.GetServerType(), Revision: r.GetRevision(), URL: r.GetUrl(), ExternalID: r.GetExternalId(), Version: r.GetVersion(),
		Settings: settings, InstallationID: r.GetInstallationId(),
		TLS: sdk.TLSOptions{CAPEM: r.GetTls().GetCaPem(), SkipVerify: r.GetTls().GetSkipVerify()},
	}
	if len(r.GetSecrets()) > 0 {
		ref.Secrets = r.GetSecrets()
	}
	return ref, err
}
