// Package pluginpb is the wire between host and plugin, generated from
// sdk/proto. Only sdkplugin speaks it: everybody else, on both sides, knows the
// types of package sdk, so that the wire can grow without their noticing.
package pluginpb
