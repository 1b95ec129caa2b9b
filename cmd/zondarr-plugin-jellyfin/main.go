// Command zondarr-plugin-jellyfin serves Jellyfin to Zondarr: accounts with a
// password of their own, and what they may see and do. The host starts it and
// speaks gRPC with it; run by hand, --describe shows what it can do.
package main

import (
	"github.com/zondarr/zondarr/plugins/jellyfin"
	"github.com/zondarr/zondarr/sdk/sdkplugin"
)

func main() { sdkplugin.Serve(jellyfin.New()) }
