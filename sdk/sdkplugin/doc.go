// Package sdkplugin puts a plugin on the wire.
//
// For an author it is one line, sdkplugin.Serve(plugin), in main. Serve speaks to
// the host over gRPC, keeps one opened client for each media server and revision,
// turns what goes wrong into failures that the host understands, and ends the
// process when the host is gone.
//
// For a host it is the other half: Handshake, VersionedPlugins and DialOptions go
// into a go-plugin client, whose Dispense(PluginName) gives a *Remote. Remote
// describes the plugin and gives, for a media server, an sdk.MediaClient that also
// has every optional interface; calls of what the plugin lacks fail as unsupported.
// ParseLogLine reads the plugin's log, and Redact keeps secrets out of what it says.
//
// The package knows nothing of how plugin processes are found, approved, started or
// watched, and nothing of any media server.
package sdkplugin
