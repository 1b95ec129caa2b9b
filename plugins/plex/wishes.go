package plex

import "github.com/zondarr/zondarr/sdk"

// wishes is what a grant asks of the sharing settings.
type wishes struct {
	download, liveTV sdk.Tri
}

// wishesOf reads the permissions of a request, and refuses what Plex has not.
func wishesOf(permissions map[string]sdk.Tri, limits map[string]int64, options map[string]any) (wishes, error) {
	var w wishes
	for name, value := range permissions {
		switch name {
		case sdk.PermissionDownload:
			w.download = value
		case sdk.PermissionLiveTV:
			w.liveTV = value
		default:
			if value != sdk.Unset {
				return w, unsupported("permissions", "Plex has no permission %q for a person", name)
			}
		}
	}
	for name := range limits {
		return w, unsupported("limits", "Plex has no limit %q for a person", name)
	}
	for name := range options {
		return w, unsupported("options", "Plex has no option %q", name)
	}
	return w, nil
}

func unsupported(field, format string, args ...any) error {
	err := sdk.Errorf(sdk.ReasonUnsupported, format, args...)
	err.Fields = []sdk.FieldProblem{{Field: field, Code: "unsupported", Message: err.Message + "."}}
	return err
}

// apply changes a set as it is wished, and nothing else in it. A member who may
// record keeps that when live TV is allowed.
func (w wishes) apply(set sharing) sharing {
	set = set.clone()
	switch w.download {
	case sdk.Allow:
		set.AllowSync = true
	case sdk.Deny:
		set.AllowSync = false
	case sdk.Unset:
	}
	switch w.liveTV {
	case sdk.Allow:
		set.AllowTuners = max(set.AllowTuners, 1)
	case sdk.Deny:
		set.AllowTuners = 0
	case sdk.Unset:
	}
	return set
}

// orDefaults fills in what the plugin declares for a new person.
func (w wishes) orDefaults() wishes {
	if w.download == sdk.Unset {
		w.download = sdk.Deny
	}
	if w.liveTV == sdk.Unset {
		w.liveTV = sdk.Deny
	}
	return w
}

// withoutHome leaves out that somebody outside the owner's Home shall have no live
// TV: none of them has it, and the flag that Plex keeps about it stays as it is.
func (w wishes) withoutHome() wishes {
	if w.liveTV == sdk.Deny {
		w.liveTV = sdk.Unset
	}
	return w
}

func needsPass() error {
	return unsupported("permissions", "Plex allows downloads only with Plex Pass on the account of the server's owner")
}

func needsHome() error {
	return unsupported("permissions", "Plex offers Live TV to members of the owner's Plex Home only")
}
