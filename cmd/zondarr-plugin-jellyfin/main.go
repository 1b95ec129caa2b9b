// Command zondarr-plugin-jellyfin serves Jellyfin to Zondarr. The host starts
// it; run by hand, it describes itself with --describe.
package main

import (
	"github.com/zondarr/zondarr/plugins/jellyfin"
	"github.com/zondarr/zondarr/sdk/sdkplugin"
)

func main() { sdkplugin.Serve(jellyfin.New()) }
