// Package sdk is the contract between Zondarr and a media server plugin.
//
// A plugin is an executable that serves one server type. Its author implements
// Plugin (describe the type, open a client) and MediaClient (test the
// connection, list libraries, close), then whichever of the optional interfaces
// the media server allows: UserReader, Provisioner, Suspender, AccessSetter,
// PermissionSetter, PasswordSetter, PasswordVerifier, SessionReader,
// AccountLinker. The capabilities that the host offers to admins follow from the
// interfaces that are implemented; there is no list to keep in step and no base
// class. A one-line main hands the plugin to sdkplugin.Serve.
//
// The package knows the standard library and nothing else: no gRPC, no host, no
// database. Whoever writes a plugin needs this package to think in, sdkplugin
// to serve, and sdktest to be told what is wrong.
package sdk
