package host

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// sources say where settings come from; a later one wins (R1.3): defaults, the
// file, the environment, the flags.
type sources struct {
	file    string // path of the YAML file, or ""
	environ []string
	flags   *pflag.FlagSet
}

// addFlags gives a command a flag for every setting that is not a secret (command
// lines are seen by everybody on the machine), and for the database's URL, which
// often holds none.
func addFlags(fs *pflag.FlagSet) {
	for _, s := range settings {
		if !s.secret || s.key == "database_url" {
			usage := s.usage + " [" + s.env() + "]"
			fs.String(s.flag(), s.def, usage)
		}
	}
}

// load merges the sources and parses them. The warnings are for the log: they
// name variables that mean nothing.
func load(src sources, needKey bool) (Config, []string, error) {
	k := koanf.New(".")
	defaults := map[string]any{}
	for _, s := range settings {
		if s.def != "" {
			defaults[s.key] = s.def
		}
	}
	if err := k.Load(confmap.Provider(defaults, "."), nil); err != nil {
		return Config{}, nil, err
	}
	var problems Problems
	if src.file != "" {
		f := koanf.New(".")
		if err := f.Load(file.Provider(src.file), yaml.Parser()); err != nil {
			return Config{}, nil, Problems{{Setting: "config", Message: fmt.Sprintf("cannot read the file %s: %v", src.file, err)}}
		}
		for key := range f.Raw() {
			if !known(key) {
				problems.add(key, "is no setting of the file %s%s", src.file, suggest(key))
			}
		}
		if err := k.Merge(f); err != nil {
			return Config{}, nil, err
		}
	}
	var warnings []string
	err := k.Load(env.Provider(".", env.Opt{
		Prefix:      envPrefix,
		EnvironFunc: func() []string { return src.environ },
		TransformFunc: func(name, value string) (string, any) {
			key := strings.ToLower(strings.TrimPrefix(name, envPrefix))
			if !known(key) {
				if !slices.Contains(otherVariables, name) {
					warnings = append(warnings, fmt.Sprintf("the variable %s is no setting%s", name, suggest(key)))
				}
				return "", nil
			}
			return key, value
		},
	}), nil)
	if err != nil {
		return Config{}, nil, err
	}
	if src.flags != nil {
		// Only flags that were given count; those of the command itself are not
		// settings.
		err := k.Load(posflag.ProviderWithFlag(src.flags, ".", k, func(f *pflag.Flag) (string, any) {
			key := strings.ReplaceAll(f.Name, "-", "_")
			if !f.Changed || !known(key) {
				return "", nil
			}
			return key, f.Value.String()
		}), nil)
		if err != nil {
			return Config{}, nil, err
		}
	}
	c, err := parse(values{k}, needKey)
	if more, ok := err.(Problems); ok { //nolint:errorlint // parse returns Problems as they are
		problems = append(problems, more...)
		err = problems
	} else if err == nil && len(problems) > 0 {
		err = problems
	}
	slices.Sort(warnings)
	return c, warnings, err
}

// otherVariables start with the prefix and are no settings of the host.
var otherVariables = []string{"ZONDARR_API_KEY", "ZONDARR_URL", "ZONDARR_TEST_POSTGRES_URL"}

func known(key string) bool {
	return slices.ContainsFunc(settings, func(s setting) bool {
		return s.key == key || s.secret && s.key+"_file" == key
	})
}

// suggest names the setting nearest to a wrong one, if one is near.
func suggest(key string) string {
	best, distance := "", 4
	for _, s := range settings {
		if d := editDistance(key, s.key); d < distance {
			best, distance = s.key, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(": did you mean %s (%s%s)?", best, envPrefix, strings.ToUpper(best))
}

func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

// values reads merged settings; whatever is wrong is added to the problems.
type values struct{ k *koanf.Koanf }

func (v values) set(key string) bool { return v.k.Exists(key) && v.text(key) != "" }

func (v values) text(key string) string {
	if _, isList := v.k.Get(key).([]any); isList {
		return strings.Join(v.k.Strings(key), ",")
	}
	return strings.TrimSpace(v.k.String(key))
}

// list reads a YAML list or a text with commas.
func (v values) list(key string) []string {
	var out []string
	for part := range strings.SplitSeq(v.text(key), ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// secret reads a setting that may also stand in a file (key_file).
func (v values) secret(p *Problems, key string) string {
	path := v.text(key + "_file")
	if path == "" {
		return v.text(key)
	}
	if v.set(key) {
		p.add(key, "is set together with %s_file: keep one of the two", key)
		return ""
	}
	b, err := os.ReadFile(path)
	if err != nil {
		p.add(key+"_file", "cannot be read: %v", err)
		return ""
	}
	return strings.TrimSpace(string(b))
}

func (v values) dir(p *Problems, key string) string {
	raw := v.text(key)
	if raw == "" {
		p.add(key, "is empty: want a directory")
		return ""
	}
	abs, err := filepath.Abs(raw)
	if err != nil {
		p.add(key, "%q is no path: %v", raw, err)
		return ""
	}
	if info, err := os.Stat(abs); err == nil && !info.IsDir() {
		p.add(key, "%s is a file: want a directory", abs)
	}
	return abs
}

func (v values) duration(p *Problems, key string, least, most time.Duration) time.Duration {
	d, err := time.ParseDuration(v.text(key))
	if err != nil || d < least || d > most {
		p.add(key, "must be a duration between %s and %s, such as 8s", least, most)
	}
	return d
}
