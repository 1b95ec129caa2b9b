// Zondarr-plugin-fake serves sdktest.Fake as a plugin process, for tests. Its media
// servers live in the test that starts it (FakeServer.Listen).
//
// Its name and server type are those of its file: a copy named
// zondarr-plugin-other is a plugin of the type "other". With "linked" in the name
// people join by linked accounts, and with "minimal" in it the plugin can do nothing
// but what every plugin must.
package main

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdkplugin"
	"github.com/zondarr/zondarr/sdk/sdktest"
)

func main() {
	fake := sdktest.NewFake()
	if path, err := os.Executable(); err == nil {
		fake.Type, _ = strings.CutPrefix(filepath.Base(path), "zondarr-plugin-")
	}
	if strings.Contains(fake.Type, "linked") {
		fake.JoinFlow = sdk.JoinLinkedAccount
	}
	fake.Minimal = strings.Contains(fake.Type, "minimal")
	sdkplugin.Serve(fake)
}
