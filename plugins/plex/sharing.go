package plex

import (
	"encoding/json"
	"maps"
	"strings"
)

// sharing is what an owner allows one person, on all of the owner's servers. A
// write replaces the whole set, so what is not understood here is kept and
// written back.
type sharing struct {
	AllowSync          bool
	AllowCameraUpload  bool
	AllowChannels      bool
	AllowSubtitleAdmin bool
	// AllowTuners: 0 none, 1 live TV, 2 live TV and recording.
	AllowTuners int
	// Filters by their name on the wire; a nil value is null there.
	Filters map[string]*string
	rest    map[string]json.RawMessage
}

// filterNames are the content filters that Plex knows.
func filterNames() []string {
	return []string{"filterAll", "filterMovies", "filterMusic", "filterPhotos", "filterTelevision"}
}

// UnmarshalJSON reads a sharingSettings object.
func (s *sharing) UnmarshalJSON(data []byte) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return err
	}
	*s = sharing{}
	if all == nil {
		return nil
	}
	take := func(name string, into any) error {
		raw, ok := all[name]
		delete(all, name)
		if !ok {
			return nil
		}
		return json.Unmarshal(raw, into)
	}
	flags := map[string]*bool{
		"allowSync": &s.AllowSync, "allowCameraUpload": &s.AllowCameraUpload,
		"allowChannels": &s.AllowChannels, "allowSubtitleAdmin": &s.AllowSubtitleAdmin,
	}
	for name, into := range flags {
		if err := take(name, (*flag)(into)); err != nil {
			return err
		}
	}
	if err := take("allowTuners", (*number)(&s.AllowTuners)); err != nil {
		return err
	}
	for _, name := range filterNames() {
		if _, ok := all[name]; !ok {
			continue
		}
		var text *string
		if err := take(name, &text); err != nil {
			return err
		}
		if s.Filters == nil {
			s.Filters = map[string]*string{}
		}
		s.Filters[name] = text
	}
	s.rest = all
	return nil
}

// MarshalJSON writes the full set.
func (s sharing) MarshalJSON() ([]byte, error) {
	out := map[string]any{
		"allowSync": s.AllowSync, "allowCameraUpload": s.AllowCameraUpload, "allowChannels": s.AllowChannels,
		"allowSubtitleAdmin": s.AllowSubtitleAdmin, "allowTuners": s.AllowTuners,
	}
	for _, name := range filterNames() {
		if text := s.Filters[name]; text != nil {
			out[name] = *text
		} else if name == "filterPhotos" || name == "filterAll" {
			out[name] = nil
		} else {
			out[name] = ""
		}
	}
	for name, raw := range s.rest {
		out[name] = raw
	}
	return json.Marshal(out)
}

// older gives the set for the calls of the older API: flags are 0 and 1, and it
// knows only some of them.
func (s sharing) older() map[string]string {
	out := map[string]string{
		"allowSync": zeroOne(s.AllowSync), "allowCameraUpload": zeroOne(s.AllowCameraUpload), "allowChannels": zeroOne(s.AllowChannels),
	}
	for _, name := range []string{"filterMovies", "filterTelevision", "filterMusic"} {
		out[name] = s.filter(name)
	}
	return out
}

func zeroOne(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

func (s sharing) filter(name string) string {
	if text := s.Filters[name]; text != nil {
		return *text
	}
	return ""
}

// clone gives a set that can be changed.
func (s sharing) clone() sharing {
	s.Filters = maps.Clone(s.Filters)
	s.rest = maps.Clone(s.rest)
	return s
}

// differences names, for people, what differs in another set. The two flags of
// features that Plex has retired may get lost there, but not appear.
func (s sharing) differences(other sharing) []string {
	var out []string
	add := func(differs bool, name string) {
		if differs {
			out = append(out, name)
		}
	}
	add(s.AllowSync != other.AllowSync, "downloads")
	add(s.AllowTuners != other.AllowTuners, "live TV")
	add(!s.AllowCameraUpload && other.AllowCameraUpload, "camera upload")
	add(!s.AllowChannels && other.AllowChannels, "channels")
	add(s.AllowSubtitleAdmin != other.AllowSubtitleAdmin, "subtitle administration")
	for _, name := range filterNames() {
		add(s.filter(name) != other.filter(name), "the content filter "+strings.TrimPrefix(name, "filter"))
	}
	return out
}

// empty says that the set allows nothing and filters nothing.
func (s sharing) empty() bool { return len(sharing{}.differences(s)) == 0 }

// against says what another set holds where a wish would change it, or "".
func (s sharing) against(other sharing) string {
	var held []string
	if s.AllowSync != other.AllowSync {
		held = append(held, "may"+unless(other.AllowSync)+" download")
	}
	if s.AllowTuners != other.AllowTuners {
		held = append(held, "may"+unless(other.AllowTuners > 0)+" watch live TV")
	}
	return strings.Join(held, " and ")
}

func unless(yes bool) string {
	if yes {
		return ""
	}
	return " not"
}
