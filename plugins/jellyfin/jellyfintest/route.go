package jellyfintest

import (
	"net/http"
	"slices"
	"strings"
)

// access is who may call a route.
type access int

const (
	open            access = iota // anybody
	anyToken                      // any user or key
	elevated                      // administrators and keys
	setupOrAny                    // anybody before the wizard is done, then any token
	setupOrElevated               // anybody before the wizard is done, then administrators
)

// route is one verb on one path. A segment in braces is a parameter.
type route struct {
	method  string
	path    string
	access  access
	handle  func(c *call) reply
	segment []string
}

// routeTable finds routes, ignoring case as ASP.NET does.
type routeTable struct {
	byLength map[int][]*route
}

// newRouteTable lists everything that a version serves: the whole API of the
// simulated server on one screen.
func newRouteTable(p *profile) *routeTable {
	t := &routeTable{byLength: map[int][]*route{}}
	add := func(there bool, method, path string, who access, handle func(c *call) reply) {
		if !there {
			return
		}
		r := &route{method: method, path: path, access: who, handle: handle, segment: segments(path)}
		t.byLength[len(r.segment)] = append(t.byLength[len(r.segment)], r)
	}
	const get, post, del = http.MethodGet, http.MethodPost, http.MethodDelete

	add(true, get, "/System/Info/Public", open, publicInfo)
	add(!p.infoForAll, get, "/System/Info", setupOrAny, systemInfo)
	add(p.infoForAll, get, "/System/Info", open, systemInfo)
	add(true, get, "/System/Ping", open, ping)
	add(true, post, "/System/Ping", open, ping)
	add(true, get, "/health", open, health)
	add(true, get, "/web", open, webClient)
	add(true, get, "/Branding/Configuration", open, branding)
	add(true, get, "/Items/Counts", anyToken, itemCounts)
	add(true, get, "/Localization/ParentalRatings", setupOrAny, parentalRatings)

	add(true, get, "/Startup/Configuration", setupOrElevated, getStartupConfiguration)
	add(true, post, "/Startup/Configuration", setupOrElevated, setStartupConfiguration)
	add(true, get, "/Startup/User", setupOrElevated, getStartupUser)
	add(true, get, "/Startup/FirstUser", setupOrElevated, getStartupUser)
	add(true, post, "/Startup/User", setupOrElevated, setStartupUser)
	add(true, post, "/Startup/RemoteAccess", setupOrElevated, setStartupRemoteAccess)
	add(true, post, "/Startup/Complete", setupOrElevated, completeStartup)

	add(true, get, "/Auth/Providers", elevated, authProviders)
	add(true, get, "/Auth/PasswordResetProviders", elevated, resetProviders)
	add(true, get, "/Auth/Keys", elevated, listKeys)
	add(true, post, "/Auth/Keys", elevated, createKey)
	add(true, del, "/Auth/Keys/{key}", elevated, deleteKey)

	add(true, get, "/Library/VirtualFolders", setupOrElevated, listVirtualFolders)
	add(true, post, "/Library/VirtualFolders", setupOrElevated, addVirtualFolder)
	add(true, get, "/Library/MediaFolders", elevated, listMediaFolders)

	add(true, get, "/Users", anyToken, listUsers)
	add(true, get, "/Users/Public", open, listPublicUsers)
	add(true, get, "/Users/Me", anyToken, getMe)
	add(true, post, "/Users/New", elevated, createUser)
	add(true, post, "/Users/AuthenticateByName", open, authenticateByName)
	add(true, post, "/Users/AuthenticateWithQuickConnect", open, authenticateWithQuickConnect)
	add(true, post, "/Users/ForgotPassword", open, forgotPassword)
	add(true, post, "/Users/ForgotPassword/Pin", open, redeemPin)
	add(true, get, "/Users/{userId}", anyToken, getUser)
	add(true, del, "/Users/{userId}", elevated, deleteUser)
	add(true, post, "/Users/{userId}/Policy", elevated, updatePolicy)

	// The forms with the id in the path are hidden from the documents since
	// 10.9, yet still served.
	add(true, post, "/Users/{userId}", anyToken, updateUser)
	add(true, post, "/Users/{userId}/Configuration", anyToken, updateConfiguration)
	add(true, post, "/Users/{userId}/Password", anyToken, updatePassword)
	add(true, post, "/Users/{userId}/Images/Primary", anyToken, setAvatar)
	add(true, del, "/Users/{userId}/Images/Primary", anyToken, deleteAvatar)
	add(p.byQuery, post, "/Users", anyToken, updateUser)
	add(p.byQuery, post, "/Users/Configuration", anyToken, updateConfiguration)
	add(p.byQuery, post, "/Users/Password", anyToken, updatePassword)
	add(p.byQuery, post, "/UserImage", anyToken, setAvatar)
	add(p.byQuery, del, "/UserImage", anyToken, deleteAvatar)
	add(p.easyPassword, post, "/Users/{userId}/EasyPassword", anyToken, updateEasyPassword)

	add(true, get, "/DisplayPreferences/{displayPreferencesId}", anyToken, getDisplayPreferences)
	add(true, post, "/DisplayPreferences/{displayPreferencesId}", anyToken, setDisplayPreferences)

	add(true, get, "/QuickConnect/Enabled", open, quickConnectEnabled)
	add(p.initiateGet, get, "/QuickConnect/Initiate", open, quickConnectInitiate)
	add(p.initiatePost, post, "/QuickConnect/Initiate", open, quickConnectInitiate)
	add(true, get, "/QuickConnect/Connect", open, quickConnectState)
	add(true, post, "/QuickConnect/Authorize", anyToken, quickConnectAuthorize)

	add(true, get, "/Sessions", anyToken, listSessions)
	add(true, post, "/Sessions/Logout", anyToken, logout)
	add(true, post, "/Sessions/Capabilities", anyToken, setCapabilities)
	add(true, post, "/Sessions/Capabilities/Full", anyToken, setFullCapabilities)
	add(true, post, "/Sessions/{sessionId}/Playing/{command}", anyToken, commandSession)
	add(true, post, "/Sessions/{sessionId}/Message", anyToken, messageSession)
	add(true, get, "/Devices", elevated, listDevices)
	add(true, del, "/Devices", elevated, deleteDevice)
	return t
}

func segments(path string) []string {
	path = strings.Trim(path, "/")
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}

// find gives the route and its parameters; without one, the verbs that the
// path does know, if any.
func (t *routeTable) find(method, path string) (found *route, params map[string]string, allow []string) {
	parts := segments(path)
	best := -1
	for _, r := range t.byLength[len(parts)] {
		literal, ok := r.match(parts)
		if !ok {
			continue
		}
		if r.method != method {
			if !slices.Contains(allow, r.method) {
				allow = append(allow, r.method)
			}
			continue
		}
		if literal > best { // literal segments win over parameters
			best, found = literal, r
		}
	}
	if found == nil {
		return nil, nil, allow
	}
	params = map[string]string{}
	for i, seg := range found.segment {
		if strings.HasPrefix(seg, "{") {
			params[strings.Trim(seg, "{}")] = parts[i]
		}
	}
	return found, params, nil
}

func (r *route) match(parts []string) (literal int, ok bool) {
	for i, seg := range r.segment {
		switch {
		case strings.HasPrefix(seg, "{"):
		case strings.EqualFold(seg, parts[i]):
			literal++
		default:
			return 0, false
		}
	}
	return literal, true
}
