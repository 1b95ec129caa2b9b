package registry

import (
	"fmt"
	"strings"
	"time"
)

// UnknownTypeError says that no plugin, running or not, has ever offered a
// server type (R4.4).
type UnknownTypeError struct {
	// ServerType is the name that was asked for.
	ServerType string
	// Known are the types that there are, sorted.
	Known []string
}

// Error names the type and lists the known ones.
func (e *UnknownTypeError) Error() string {
	if len(e.Known) == 0 {
		return fmt.Sprintf("unknown server type %q: no plugin has registered any type", e.ServerType)
	}
	return fmt.Sprintf("unknown server type %q: the known types are %s", e.ServerType, strings.Join(e.Known, ", "))
}

// TypeTakenError says that another plugin holds a server type.
type TypeTakenError struct {
	ServerType string
	// Holder is the name of the plugin that keeps it.
	Holder string
}

// Error names the type and its holder.
func (e *TypeTakenError) Error() string {
	return fmt.Sprintf("server type %q is already served by the plugin %q", e.ServerType, e.Holder)
}

// PluginDownError says that a type is known and nobody serves it now. It is the
// cause inside the *sdk.Error that a client returns.
type PluginDownError struct {
	Plugin     string
	ServerType string
	// Reason tells an admin why, in words.
	Reason string
	// RetryAfter is when it may be back; 0 when unknown.
	RetryAfter time.Duration
}

// Error names the plugin and the reason.
func (e *PluginDownError) Error() string {
	return fmt.Sprintf("the plugin %q, which serves the type %q, is not running: %s", e.Plugin, e.ServerType, e.Reason)
}
