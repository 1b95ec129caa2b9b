// Command zondarr-plugin-plex serves Plex to Zondarr: people whose accounts live
// at plex.tv, and the libraries that a media server shares with them. The host
// starts it and speaks gRPC with it; run by hand, --describe shows what it can do.
package main

import (
	"github.com/zondarr/zondarr/plugins/plex"
	"github.com/zondarr/zondarr/sdk/sdkplugin"
)

func main() { sdkplugin.Serve(plex.New()) }
