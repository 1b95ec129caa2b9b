package plex

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/zondarr/zondarr/sdk"
)

// selection is the list of libraries of a share, as it is sent. Plex takes an
// empty list for "all libraries, also those to come", so the zero value and an
// empty list cannot be written at all: only everyLibrary makes the value that
// becomes one.
type selection struct {
	all bool
	ids []string // sorted, each once
}

var errNoSelection = errors.New("an empty list of libraries would mean all of them")

// everyLibrary is the only way to share all libraries.
func everyLibrary() selection { return selection{all: true} }

// theseLibraries shares exactly some libraries, at least one.
func theseLibraries(ids []string) (selection, error) {
	if len(ids) == 0 {
		return selection{}, invalid("libraries", sdk.ProblemRequired, "at least one library must be chosen: Plex takes an empty choice for all libraries")
	}
	for _, id := range ids {
		if !digits(id) {
			return selection{}, noLibrary()
		}
	}
	ids = slices.Clone(ids)
	slices.Sort(ids)
	return selection{ids: slices.Compact(ids)}, nil
}

// selectionOf translates a grant. None cannot be expressed: a share without
// libraries is one with all of them, or none that Plex keeps.
func selectionOf(a sdk.LibraryAccess) (selection, error) {
	switch a.Mode {
	case sdk.LibraryAll:
		if len(a.IDs) > 0 {
			return selection{}, invalid("libraries", sdk.ProblemInvalid, "all libraries and a choice of some exclude each other")
		}
		return everyLibrary(), nil
	case sdk.LibraryOnly:
		return theseLibraries(a.IDs)
	case sdk.LibraryNone:
		err := sdk.Errorf(sdk.ReasonUnsupported, "Plex cannot share a server without any library; suspend or delete the person instead")
		err.Fields = []sdk.FieldProblem{{Field: "libraries", Code: "unsupported", Message: "Plex cannot share a server without any library."}}
		return selection{}, err
	default:
		return selection{}, invalid("libraries", sdk.ProblemRequired, "the libraries must be said: all, or some of them")
	}
}

// MarshalJSON writes the ids as numbers.
func (s selection) MarshalJSON() ([]byte, error) {
	if !s.all && len(s.ids) == 0 || s.all && len(s.ids) > 0 {
		return nil, errNoSelection
	}
	numbers := make([]json.Number, len(s.ids))
	for i, id := range s.ids {
		if !digits(id) {
			return nil, errIdent
		}
		numbers[i] = json.Number(strings.TrimLeft(id, "0"))
	}
	return json.Marshal(numbers)
}

// matches says whether a share holds exactly this.
func (s selection) matches(sh share) bool {
	return s.all == sh.All && (s.all || slices.Equal(s.ids, sh.sortedSections()))
}

func noLibrary() error {
	err := sdk.Errorf(sdk.ReasonLibraryNotFound, "a library that was asked for does not exist on this Plex server; sync the libraries. Nothing was changed")
	err.Fields = []sdk.FieldProblem{{Field: "libraries", Code: "not_found", Message: "A library does not exist on this server."}}
	return err
}

func invalid(field, code, message string) error {
	err := sdk.Errorf(sdk.ReasonInvalid, "%s", message)
	err.Fields = []sdk.FieldProblem{{Field: field, Code: code, Message: message}}
	return err
}
