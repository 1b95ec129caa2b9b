package registry

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/zondarr/zondarr/sdk"
)

// Registry is the table of server types. Make it with New; it is safe for use
// by many goroutines.
type Registry struct {
	limits limits

	mu     sync.Mutex
	policy CallPolicy
	types  map[string]*entry
}

// entry is one server type. It is guarded by Registry.mu.
type entry struct {
	seat    *Seat // the holder; a vacated one stays until another claims the type
	offer   Offer
	current *Served // who answers now; nil while nobody does
	down    Down    // why nobody does
	changed chan struct{}
}

// New makes an empty registry with the default call policy.
func New() *Registry {
	return &Registry{policy: DefaultCallPolicy(), types: map[string]*entry{}}
}

// UsePolicy replaces the call policy; calls that are under way keep the old one.
func (r *Registry) UsePolicy(p CallPolicy) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.policy = p
}

// Type is what the registry tells about a server type.
type Type struct {
	// Description as the plugin gave it, now or when it last ran.
	Description sdk.Description
	// Plugin is the name of the plugin that serves the type.
	Plugin string
	// Available says whether it runs and answers now.
	Available bool
	// Version of the plugin and SDKVersion that it was built with.
	Version    string
	SDKVersion string
	// ProtocolVersion is the major version that was negotiated.
	ProtocolVersion int
}

// Types gives every type, sorted by name. A type whose plugin is down stays.
func (r *Registry) Types() []Type {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]Type, 0, len(r.types))
	for _, name := range slices.Sorted(maps.Keys(r.types)) {
		out = append(out, r.types[name].public())
	}
	return out
}

// Type gives one type, or an *UnknownTypeError.
func (r *Registry) Type(name string) (Type, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, err := r.entry(name)
	if err != nil {
		return Type{}, err
	}
	return e.public(), nil
}

// Describe gives the description of a type, also while its plugin is down, or
// an *UnknownTypeError.
func (r *Registry) Describe(serverType string) (sdk.Description, error) {
	t, err := r.Type(serverType)
	return t.Description, err
}

// Client gives the media client for a server, or an *UnknownTypeError. The value
// implements every optional interface of the contract; what the plugin does not
// declare answers ReasonUnsupported. It costs nothing to make, need not be
// closed, and outlives restarts and replacements of the plugin.
func (r *Registry) Client(_ context.Context, ref sdk.ServerRef) (sdk.MediaClient, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.entry(ref.ServerType); err != nil {
		return nil, err
	}
	return &client{registry: r, ref: ref}, nil
}

// entry needs r.mu.
func (r *Registry) entry(name string) (*entry, error) {
	if e, ok := r.types[name]; ok {
		return e, nil
	}
	return nil, &UnknownTypeError{ServerType: name, Known: slices.Sorted(maps.Keys(r.types))}
}

func (e *entry) public() Type {
	return Type{
		Description: e.offer.Description, Plugin: e.offer.Plugin, Available: e.current != nil,
		Version: e.offer.Description.Version, SDKVersion: e.offer.SDKVersion, ProtocolVersion: e.offer.ProtocolVersion,
	}
}

// tell wakes whoever waits for a change of the entry. It needs r.mu.
func (e *entry) tell() {
	close(e.changed)
	e.changed = make(chan struct{})
}
