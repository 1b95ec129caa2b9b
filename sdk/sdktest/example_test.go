package sdktest_test

import (
	"testing"

	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdktest"
)

// The whole test of a plugin: its constructor, and a fixture that starts simulated media
// servers. Here the plugin is the Fake, whose fixture is FakeFixture; its source shows how to
// write one.
func ExampleRun() {
	_ = func(t *testing.T) { // TestConformance
		sdktest.Run(t, sdktest.Config{
			New:     func() sdk.Plugin { return sdktest.NewFake() },
			Fixture: sdktest.FakeFixture(sdk.JoinPassword),
			Skip:    map[string]string{"replaces a password": "the reason is printed with the test"},
		})
	}
}
