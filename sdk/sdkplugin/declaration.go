package sdkplugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/zondarr/zondarr/sdk"
	pb "github.com/zondarr/zondarr/sdk/internal/pluginpb"
)

// Declaration is what a plugin says about itself, as the host keeps it.
type Declaration struct {
	// Description is the plugin's own, with capabilities in the place of a Client.
	Description sdk.Description
	// SDKVersion is what the plugin was built with, in its own words.
	SDKVersion string
	// ProtocolVersion is the major version of the contract.
	ProtocolVersion int
	// JSON is the whole declaration in one canonical form: the same description
	// gives the same bytes, and ParseDeclaration reads them.
	JSON []byte
}

// The fields of the JSON that are not those of DescribeResponse.
const (
	protocolField = "protocol_version"
	settingsField = "settings_schema"
	optionsField  = "options_schema"
)

// maxDeclaration bounds what ParseDeclaration reads, and what a plugin may declare, in
// bytes.
const maxDeclaration = 1 << 20

// ParseDeclaration reads Declaration.JSON, of this version of the SDK or of a newer
// one. The description is validated.
func ParseDeclaration(data []byte) (Declaration, error) {
	if len(data) > maxDeclaration {
		return Declaration{}, fmt.Errorf("declaration: %d bytes, %d are allowed", len(data), maxDeclaration)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return Declaration{}, fmt.Errorf("declaration: %w", err)
	}
	var version int
	if err := json.Unmarshal(fields[protocolField], &version); err != nil {
		return Declaration{}, errors.New("declaration: protocol_version is missing or no number")
	}
	delete(fields, protocolField)
	for from, to := range map[string]string{settingsField: "settings_schema_json", optionsField: "options_schema_json"} {
		schema, ok := fields[from]
		if !ok {
			continue
		}
		text, err := json.Marshal(string(schema))
		if err != nil {
			return Declaration{}, fmt.Errorf("declaration: %s: %w", from, err)
		}
		delete(fields, from)
		fields[to] = text
	}
	flat, err := json.Marshal(fields)
	if err != nil {
		return Declaration{}, fmt.Errorf("declaration: %w", err)
	}
	resp := &pb.DescribeResponse{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(flat, resp); err != nil {
		return Declaration{}, errors.New("declaration: not of the form that ParseDeclaration knows")
	}
	d, err := declarationOf(resp)
	d.ProtocolVersion = version
	return d, err
}

// declarationOf reads and validates what a plugin answered.
func declarationOf(resp *pb.DescribeResponse) (Declaration, error) {
	// Before anything is looked at: what follows takes a multiple of it.
	if size := proto.Size(resp); size > maxDeclaration {
		return Declaration{}, fmt.Errorf("declaration: %d bytes, %d are allowed", size, maxDeclaration)
	}
	desc, err := fromDescription(resp)
	if err != nil {
		return Declaration{}, fmt.Errorf("declaration: %w", err)
	}
	if err := desc.Validate(); err != nil {
		return Declaration{}, fmt.Errorf("declaration: %w", err)
	}
	text, err := canonical(resp)
	if err != nil {
		return Declaration{}, fmt.Errorf("declaration: %w", err)
	}
	if len(text) > maxDeclaration {
		return Declaration{}, fmt.Errorf("declaration: %d bytes, %d are allowed", len(text), maxDeclaration)
	}
	return Declaration{Description: desc, SDKVersion: resp.GetSdkVersion(), ProtocolVersion: ProtocolVersion, JSON: text}, nil
}

// canonical gives the JSON of a description with sorted keys and with the schemas
// as objects. protojson varies its blanks from build to build, so its output is
// read and written again.
func canonical(resp *pb.DescribeResponse) ([]byte, error) {
	resp = proto.CloneOf(resp)
	settings, options := resp.GetSettingsSchemaJson(), resp.GetOptionsSchemaJson()
	resp.SettingsSchemaJson, resp.OptionsSchemaJson = "", ""
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(resp)
	if err != nil {
		return nil, err
	}
	fields := map[string]any{}
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	fields[protocolField] = ProtocolVersion
	for name, schema := range map[string]string{settingsField: settings, optionsField: options} {
		parsed, err := fromSchema(schema) // written again, so that blanks and order are ours
		if err != nil {
			return nil, err
		}
		if len(parsed.Properties) > 0 {
			fields[name] = parsed
		}
	}
	return json.Marshal(fields)
}

// sdkVersion gives the version of this module as it was built in.
func sdkVersion() string {
	const module = "github.com/zondarr/zondarr"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if info.Main.Path == module {
		return info.Main.Version
	}
	for _, dep := range info.Deps {
		if dep.Path == module {
			return dep.Version
		}
	}
	return "unknown"
}
