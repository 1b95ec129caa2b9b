package sdk

import "slices"

// Capability is something that a media client may or may not support. Except
// for "limits" and "permissions", which also need the description to name some,
// each follows from one optional interface.
type Capability string

// The capabilities.
const (
	CapReadUsers      Capability = "read_users"
	CapProvision      Capability = "provision"
	CapSuspend        Capability = "suspend"
	CapLibraryAccess  Capability = "library_access"
	CapPermissions    Capability = "permissions"
	CapLimits         Capability = "limits"
	CapSetPassword    Capability = "set_password"
	CapVerifyPassword Capability = "verify_password"
	CapSessions       Capability = "sessions"
	CapLinkAccount    Capability = "link_account"
)

// Capabilities gives what the described client supports, sorted by name. It
// looks only at the interfaces that Description.Client implements and at the
// permissions and limits that are named. Without a Client they are those of
// WithCapabilities.
func (d Description) Capabilities() []Capability {
	c := d.Client
	if c == nil {
		return slices.Clone(d.declared)
	}
	_, setsPermissions := c.(PermissionSetter)
	var caps []Capability
	add := func(has bool, name Capability) {
		if has {
			caps = append(caps, name)
		}
	}
	add(implements[AccessSetter](c), CapLibraryAccess)
	add(setsPermissions && len(d.Limits) > 0, CapLimits)
	add(implements[AccountLinker](c), CapLinkAccount)
	add(setsPermissions && len(d.Permissions) > 0, CapPermissions)
	add(implements[Provisioner](c), CapProvision)
	add(implements[UserReader](c), CapReadUsers)
	add(implements[SessionReader](c), CapSessions)
	add(implements[PasswordSetter](c), CapSetPassword)
	add(implements[Suspender](c), CapSuspend)
	add(implements[PasswordVerifier](c), CapVerifyPassword)
	return caps
}

// WithCapabilities gives the description as the other side of the wire sees it:
// without a Client, and with the capabilities that came in its place. Plugin
// authors do not need it.
func (d Description) WithCapabilities(caps []Capability) Description {
	d.Client, d.declared = nil, append([]Capability{}, caps...)
	slices.Sort(d.declared)
	return d
}

// Has says whether the described client supports a capability.
func (d Description) Has(c Capability) bool { return slices.Contains(d.Capabilities(), c) }

func implements[I any](c MediaClient) bool {
	_, ok := c.(I)
	return ok
}
