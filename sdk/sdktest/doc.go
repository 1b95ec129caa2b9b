// Package sdktest tells plugin authors what is wrong, and gives everybody else a media
// server to test with.
//
// # Conformance
//
// Checks are the contract as data: each has a name, the reason why it matters, and a
// function that gives an error naming the fault. Run runs them in a Go test, in
// process and over gRPC; RunBinary runs them against a plugin's file, whatever
// language it was written in. They come in tiers:
//
//  1. Always, with nothing but the plugin: what it declares, how it answers, how it
//     fails on a media server that is down, hostile or slow.
//  2. With settings of a real or simulated media server that may be written to.
//  3. In Go, with a Fixture: a simulated server that can be looked into, that fails at
//     any request, and that lies.
//
// # Fake
//
// Fake is a plugin with every capability, and FakeServer the media server behind it:
// in memory, with faults for each verb. It passes every tier itself. The program in
// sdktest/zondarr-plugin-fake serves it as a plugin process.
//
// The package is for tests. It imports no host and no plugin.
package sdktest
