package sdkplugin

import (
	"cmp"
	"encoding/json"
	"fmt"

	"github.com/zondarr/zondarr/sdk"
	pb "github.com/zondarr/zondarr/sdk/internal/pluginpb"
)

func toRule(r sdk.FieldRule) *pb.FieldRule {
	return &pb.FieldRule{
		Use: toFieldUse.of(r.Use), MinLength: int32(r.MinLength), MaxLength: int32(r.MaxLength), MaxBytes: int32(r.MaxBytes),
		Pattern: r.Pattern, Help: r.Help,
	}
}

func fromRule(r *pb.FieldRule) sdk.FieldRule {
	rule := sdk.FieldRule{
		Use: fromFieldUse.of(r.GetUse()), MinLength: int(r.GetMinLength()), MaxLength: int(r.GetMaxLength()),
		MaxBytes: int(r.GetMaxBytes()), Pattern: r.GetPattern(), Help: r.GetHelp(),
	}
	if rule.Use == "" {
		rule.Use = sdk.FieldUnused
	}
	return rule
}

func toRules(r sdk.AccountRules) *pb.AccountRules {
	return &pb.AccountRules{Username: toRule(r.Username), Password: toRule(r.Password), Email: toRule(r.Email)}
}

func fromRules(r *pb.AccountRules) sdk.AccountRules {
	return sdk.AccountRules{
		Username: fromRule(r.GetUsername()), Password: fromRule(r.GetPassword()), Email: fromRule(r.GetEmail()),
	}
}

func toFacts(f sdk.ServerFacts) *pb.ServerFacts {
	facts := &pb.ServerFacts{
		Product: f.Product, Version: f.Version, ExternalId: f.ExternalID, Name: f.Name,
		Capabilities: toCapability.all(f.Capabilities), Permissions: f.Permissions, Limits: f.Limits,
		LibraryModes: toMode.all(f.LibraryModes), JoinFlow: toJoinFlow.of(f.JoinFlow),
		AccountRules: toRules(f.AccountRules), Warnings: f.Warnings,
	}
	for _, m := range f.Missing {
		facts.Missing = append(facts.Missing, &pb.MissingPart{Name: m.Name, Reason: m.Reason})
	}
	return facts
}

func fromFacts(f *pb.ServerFacts) sdk.ServerFacts {
	facts := sdk.ServerFacts{
		Product: f.GetProduct(), Version: f.GetVersion(), ExternalID: f.GetExternalId(), Name: f.GetName(),
		Capabilities: fromCapability.all(f.GetCapabilities()), Permissions: f.GetPermissions(), Limits: f.GetLimits(),
		LibraryModes: fromMode.all(f.GetLibraryModes()), JoinFlow: cmp.Or(fromJoinFlow.of(f.GetJoinFlow()), sdk.JoinNone),
		AccountRules: fromRules(f.GetAccountRules()), Warnings: f.GetWarnings(),
	}
	for _, m := range f.GetMissing() {
		facts.Missing = append(facts.Missing, sdk.Missing{Name: m.GetName(), Reason: m.GetReason()})
	}
	return facts
}

func toDescription(d sdk.Description) (*pb.DescribeResponse, error) {
	settings, err := json.Marshal(d.SettingsSchema)
	if err != nil {
		return nil, fmt.Errorf("settings schema: %w", err)
	}
	options, err := json.Marshal(d.OptionsSchema)
	if err != nil {
		return nil, fmt.Errorf("options schema: %w", err)
	}
	out := &pb.DescribeResponse{
		Name: d.Name, Version: d.Version, ServerType: d.ServerType, DisplayName: d.DisplayName, Homepage: d.Homepage,
		DefaultPublicUrl: d.DefaultPublicURL, SdkVersion: sdkVersion(), Capabilities: toCapability.all(d.Capabilities()),
		SettingsSchemaJson: string(settings), OptionsSchemaJson: string(options),
		JoinFlow: toJoinFlow.of(d.JoinFlow), Realm: d.Realm, RealmLabel: d.RealmLabel, AccountRules: toRules(d.AccountRules),
		Traits: &pb.Traits{
			SuspendEmulated: d.Traits.SuspendEmulated, SuspendNote: d.Traits.SuspendNote,
			LibraryModes: toMode.all(d.Traits.LibraryModes), AllIncludesFuture: d.Traits.AllIncludesFuture,
			LibraryNote: d.Traits.LibraryNote, CreationNoticed: d.Traits.CreationNoticed,
		},
		CallLimits: &pb.CallLimits{MaxConcurrent: int32(d.CallLimits.MaxConcurrent), MaxPerSecond: d.CallLimits.MaxPerSecond},
	}
	for _, p := range d.Permissions {
		out.Permissions = append(out.Permissions, &pb.PermissionInfo{Name: p.Name, Label: p.Label, Help: p.Help, Default: toTri(p.Default)})
	}
	for _, l := range d.Limits {
		out.Limits = append(out.Limits, &pb.LimitInfo{
			Name: l.Name, Label: l.Label, Help: l.Help, Unit: l.Unit, Min: l.Min, Max: l.Max, Default: l.Default,
		})
	}
	for _, k := range d.UserKinds {
		out.UserKinds = append(out.UserKinds, &pb.UserKindInfo{Name: k.Name, Label: k.Label, Protected: k.Protected})
	}
	return out, nil
}

func fromDescription(d *pb.DescribeResponse) (sdk.Description, error) {
	out := sdk.Description{
		Name: d.GetName(), Version: d.GetVersion(), ServerType: d.GetServerType(), DisplayName: d.GetDisplayName(),
		Homepage: d.GetHomepage(), DefaultPublicURL: d.GetDefaultPublicUrl(), JoinFlow: fromJoinFlow.of(d.GetJoinFlow()),
		Realm: d.GetRealm(), RealmLabel: d.GetRealmLabel(), AccountRules: fromRules(d.GetAccountRules()),
		Traits: sdk.Traits{
			SuspendEmulated: d.GetTraits().GetSuspendEmulated(), SuspendNote: d.GetTraits().GetSuspendNote(),
			LibraryModes: fromMode.all(d.GetTraits().GetLibraryModes()), AllIncludesFuture: d.GetTraits().GetAllIncludesFuture(),
			LibraryNote: d.GetTraits().GetLibraryNote(), CreationNoticed: d.GetTraits().GetCreationNoticed(),
		},
		CallLimits: sdk.CallLimits{
			MaxConcurrent: int(d.GetCallLimits().GetMaxConcurrent()), MaxPerSecond: d.GetCallLimits().GetMaxPerSecond(),
		},
	}
	if d.GetJoinFlow() != pb.JoinFlow_JOIN_FLOW_UNSPECIFIED && out.JoinFlow == "" {
		out.JoinFlow = sdk.JoinNone // a flow of a later version: nobody joins by it here
	}
	for _, p := range d.GetPermissions() {
		out.Permissions = append(out.Permissions, sdk.PermissionInfo{Name: p.GetName(), Label: p.GetLabel(), Help: p.GetHelp(), Default: fromTri(p.GetDefault())})
	}
	for _, l := range d.GetLimits() {
		out.Limits = append(out.Limits, sdk.LimitInfo{
			Name: l.GetName(), Label: l.GetLabel(), Help: l.GetHelp(), Unit: l.GetUnit(), Min: l.GetMin(), Max: l.GetMax(), Default: l.GetDefault(),
		})
	}
	for _, k := range d.GetUserKinds() {
		out.UserKinds = append(out.UserKinds, sdk.UserKindInfo{Name: k.GetName(), Label: k.GetLabel(), Protected: k.GetProtected()})
	}
	var err error
	if out.SettingsSchema, err = fromSchema(d.GetSettingsSchemaJson()); err != nil {
		return sdk.Description{}, fmt.Errorf("the settings schema: %w", err)
	}
	if out.OptionsSchema, err = fromSchema(d.GetOptionsSchemaJson()); err != nil {
		return sdk.Description{}, fmt.Errorf("the options schema: %w", err)
	}
	return out.WithCapabilities(fromCapability.all(d.GetCapabilities())), nil
}

func fromSchema(text string) (sdk.Schema, error) {
	var s sdk.Schema
	if text == "" {
		return s, nil
	}
	err := json.Unmarshal([]byte(text), &s)
	return s, err
}
