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
// # A plugin in an afternoon
//
// "zondarr plugin new <name>" writes a module that builds, passes and serves.
// Then, in this order, with the package's example beside you:
//
//  1. Describe: the names, the settings that an admin types (SettingsSchema), and
//     a nil pointer of your client's type. Nothing is asked; it is the same each
//     time.
//  2. Open: put the request's ServerRef, HTTP client and Logger into your client.
//     Nothing is asked here either.
//  3. TestConnection: find out who answers before the key is shown, then that the
//     key suffices, and say what holds on this server (ServerFacts).
//  4. ListLibraries, and with it the ids that access is granted by.
//  5. Provisioner, and with it a JoinFlow. CreateUser makes a user with exactly the
//     grant or none at all: undo when a later request fails, with a context of
//     your own (context.WithoutCancel), and read back what the server has made of
//     it. Servers say yes to what they do not understand.
//  6. The other interfaces, one at a time. Each change reads back as well, and each
//     may be asked for twice.
//
// # Failures
//
// Every failure is an *Error with a Reason: the admin is told what to do by it, and
// the host decides by it whether to try again. OpenRequest.HTTP names what goes
// wrong on the way (its errors hold an *Error, which errors.AsType finds),
// UpstreamError what a status means, and Errorf the rest. Return what you know, in
// your own words, and nothing of a body or of a secret. An error without a reason
// becomes ReasonInternal, and its words go to the log.
//
// # Contexts
//
// A call's context ends a little before the host's deadline, and when the host
// gives up; hand it to every request. It carries the correlation id of the request
// that caused the call, which log lines repeat when they are given it
// (Logger.InfoContext), and W3C trace context.
//
// # Knowing that it works
//
// sdktest.Run in a test runs the contract's checks, in process, over gRPC and as a
// program, on media servers that fail in every way; with a simulated server of
// yours (sdktest.Fixture) also those of what the plugin writes. "zondarr plugin
// test" does what it can from outside.
//
// The package knows the standard library and nothing else: no gRPC, no host, no
// database. Whoever writes a plugin needs this package to think in, sdkplugin
// to serve, and sdktest to be told what is wrong. Authors in other languages find
// the wire in sdk/proto.
package sdk
