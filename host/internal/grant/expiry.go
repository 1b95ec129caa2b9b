package grant

import "github.com/zondarr/zondarr/sdk"

// What happens to an account when it expires.
const (
	ExpiryDisable = "disable"
	ExpiryDelete  = "delete"
)

// ExpiryNeeds gives the capabilities without which a server cannot do to an account
// what is to happen when it expires: one is suspended only after it was read.
func ExpiryNeeds(action string) []sdk.Capability {
	if action == ExpiryDelete {
		return []sdk.Capability{sdk.CapProvision}
	}
	return []sdk.Capability{sdk.CapReadUsers, sdk.CapSuspend}
}
