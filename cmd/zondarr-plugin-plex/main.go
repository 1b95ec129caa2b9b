// Command zondarr-plugin-plex serves the Plex plugin to a Zondarr host.
package main

import (
	"github.com/zondarr/zondarr/plugins/plex"
	"github.com/zondarr/zondarr/sdk/sdkplugin"
)

func main() { sdkplugin.Serve(plex.New()) }
