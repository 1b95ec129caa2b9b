package sdk

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Schema is a flat JSON Schema (2020-12): one object whose properties are
// strings, integers, numbers, booleans or arrays of strings. The host validates
// against it and a form is drawn from it, in the order given here.
type Schema struct {
	Properties []Property
}

// Property is one value of a Schema.
type Property struct {
	// Name is the key: lower case letters, digits and "_".
	Name string
	Type PropertyType
	// Title labels the field; Description helps.
	Title       string
	Description string
	Required    bool
	// Secret marks the value as write-only ("writeOnly" in the JSON): it is
	// sealed at rest, never shown, and arrives in ServerRef.Secrets. Only
	// strings can be secret.
	Secret bool
	// Endpoint marks a string as a URL that the plugin calls ("x-endpoint"), so
	// that test kits can point it elsewhere.
	Endpoint bool
	// Default is told to the form; the plugin applies it itself. Nil for none.
	Default any
	// Enum lists the allowed strings; empty for any.
	Enum []string
	// Minimum and Maximum bound a number; nil for no bound.
	Minimum, Maximum *float64
	// MinLength and MaxLength bound a string in characters; 0 for no bound.
	MinLength, MaxLength int
	// Pattern is an anchored regular expression in the common part of RE2 and
	// ECMAScript with the u flag.
	Pattern string
	// Format is "uri" or "email", or empty.
	Format   string
	Examples []string
}

// PropertyType is the JSON type of a property.
type PropertyType string

// The property types.
const (
	TypeString  PropertyType = "string"
	TypeInteger PropertyType = "integer"
	TypeNumber  PropertyType = "number"
	TypeBoolean PropertyType = "boolean"
	// TypeStrings is an array of strings.
	TypeStrings PropertyType = "array"
)

// Property gives the property of a name.
func (s Schema) Property(name string) (Property, bool) {
	i := slices.IndexFunc(s.Properties, func(p Property) bool { return p.Name == name })
	if i < 0 {
		return Property{}, false
	}
	return s.Properties[i], true
}

// The JSON forms. Field order is fixed, so the same schema gives the same bytes.
type (
	schemaJSON struct {
		Type                 string                  `json:"type"`
		AdditionalProperties bool                    `json:"additionalProperties"`
		Required             []string                `json:"required,omitempty"`
		Order                []string                `json:"x-order"`
		Properties           map[string]propertyJSON `json:"properties"`
	}
	propertyJSON struct {
		Type        PropertyType `json:"type"`
		Items       *itemsJSON   `json:"items,omitempty"`
		Title       string       `json:"title,omitempty"`
		Description string       `json:"description,omitempty"`
		Default     any          `json:"default,omitempty"`
		Enum        []string     `json:"enum,omitempty"`
		Minimum     *float64     `json:"minimum,omitempty"`
		Maximum     *float64     `json:"maximum,omitempty"`
		MinLength   int          `json:"minLength,omitempty"`
		MaxLength   int          `json:"maxLength,omitempty"`
		Pattern     string       `json:"pattern,omitempty"`
		Format      string       `json:"format,omitempty"`
		WriteOnly   bool         `json:"writeOnly,omitempty"`
		Endpoint    bool         `json:"x-endpoint,omitempty"`
		Examples    []string     `json:"examples,omitempty"`
	}
	itemsJSON struct {
		Type PropertyType `json:"type"`
		Enum []string     `json:"enum,omitempty"`
	}
)

// MarshalJSON gives the JSON Schema.
func (s Schema) MarshalJSON() ([]byte, error) {
	out := schemaJSON{Type: "object", Order: []string{}, Properties: map[string]propertyJSON{}}
	for _, p := range s.Properties {
		pj := propertyJSON{
			Type: p.Type, Title: p.Title, Description: p.Description, Default: p.Default, Enum: p.Enum,
			Minimum: p.Minimum, Maximum: p.Maximum, MinLength: p.MinLength, MaxLength: p.MaxLength,
			Pattern: p.Pattern, Format: p.Format, WriteOnly: p.Secret, Endpoint: p.Endpoint, Examples: p.Examples,
		}
		if p.Type == TypeStrings {
			pj.Items, pj.Enum = &itemsJSON{Type: TypeString, Enum: p.Enum}, nil
		}
		if p.Required {
			out.Required = append(out.Required, p.Name)
		}
		out.Order = append(out.Order, p.Name)
		out.Properties[p.Name] = pj
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads a flat JSON Schema. Properties come in the order of
// "x-order", then by name. A property of another form is an error.
func (s *Schema) UnmarshalJSON(data []byte) error {
	var in schemaJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	if in.Type != "object" {
		return fmt.Errorf("schema: type is %q, want \"object\"", in.Type)
	}
	ordered, required := make(map[string]bool, len(in.Order)), make(map[string]bool, len(in.Required))
	for _, name := range in.Order {
		if ordered[name] {
			return fmt.Errorf("schema: x-order names %q twice", name)
		}
		ordered[name] = true
	}
	for _, name := range in.Required {
		required[name] = true
	}
	rest := make([]string, 0, len(in.Properties))
	for name := range in.Properties {
		if !ordered[name] {
			rest = append(rest, name)
		}
	}
	slices.Sort(rest)
	s.Properties = nil
	for _, name := range slices.Concat(in.Order, rest) {
		p, ok := in.Properties[name]
		if !ok {
			return fmt.Errorf("schema: x-order names %q, which is no property", name)
		}
		switch p.Type {
		case TypeString, TypeInteger, TypeNumber, TypeBoolean, TypeStrings:
		default:
			return fmt.Errorf("schema: property %q has type %q, want string, integer, number, boolean or array", name, p.Type)
		}
		enum := p.Enum
		if p.Items != nil {
			if p.Items.Type != TypeString {
				return fmt.Errorf("schema: property %q is an array of %q, want string", name, p.Items.Type)
			}
			enum = p.Items.Enum
		}
		s.Properties = append(s.Properties, Property{
			Name: name, Type: p.Type, Title: p.Title, Description: p.Description, Required: required[name],
			Secret: p.WriteOnly, Endpoint: p.Endpoint, Default: p.Default, Enum: enum, Minimum: p.Minimum, Maximum: p.Maximum,
			MinLength: p.MinLength, MaxLength: p.MaxLength, Pattern: p.Pattern, Format: p.Format, Examples: p.Examples,
		})
	}
	return nil
}
