package host

import (
	"go/build"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/zondarr/zondarr/"

// rule says what the packages under dir may not import, and why.
type rule struct {
	dir    string   // relative to the module; its subfolders count
	banned []string // prefixes of import paths
	only   []string // if set, imports from the module must have one of these prefixes
	why    string
}

var rules = []rule{
	{dir: "sdk", only: []string{"sdk"}, why: "an SDK that imports its host cannot be used without it"},
	{dir: "plugins", only: []string{"sdk", "plugins"}, why: "a plugin lives in another process and sees the contract alone"},
	{dir: "plugins/jellyfin", banned: []string{module + "plugins/plex"}, why: "plugins share nothing but the SDK"},
	{dir: "plugins/plex", banned: []string{module + "plugins/jellyfin"}, why: "plugins share nothing but the SDK"},
	{dir: "ent/schema", only: []string{"ent/schema"}, why: "the schema is data"},
	{dir: "ent/db", only: []string{"ent"}, why: "generated code knows its schema alone"},
	{dir: "migrations", only: []string{"migrations", "ent", "host/internal/database"}, why: "the embedded SQL depends on nothing"},
	{dir: "host/internal/api", banned: []string{module + "ent", module + "sdk/sdkplugin"}, why: "ent rows and the wire never reach the edge"},
	{dir: "host/internal/registry", banned: []string{module + "ent", module + "host/internal/mediaserver", module + "host/internal/redeem"}, why: "the registry knows no noun"},
	{dir: "host/internal/redeem", banned: []string{"net/http", "github.com/go-chi", "github.com/danielgtaylor", module + "sdk/sdkplugin", module + "host/internal/api", module + "host/internal/mediaserver", module + "host/internal/registry", module + "host/internal/pluginhost"}, why: "a use-case declares what it needs and knows no edge and no wire"},
	{dir: "host/internal/pluginhost", banned: []string{"net/http", module + "host/internal/api", module + "host/internal/mediaserver", module + "host/internal/invitation", module + "host/internal/identity", module + "host/internal/redeem"}, why: "processes are supervised the same whatever they serve"},
	{dir: "host/internal/database", only: []string{"ent", "migrations", "host/internal/database", "host/internal/hosttest"}, why: "storage knows tables and no rule of what is in them"},
	{dir: "host/internal/grant", only: []string{"sdk", "host/internal/fault"}, why: "what a grant means needs no database and no edge"},
	{dir: "host/internal/page", only: []string{"host/internal/fault"}, why: "paging knows no table"},
	{dir: "host/internal/job", only: []string{"ent", "host/internal/database"}, why: "recurring work does not know what the work is"},
	{dir: "host/internal/instance", only: []string{"ent", "host/internal/database", "host/internal/secret"}, why: "what an installation knows of itself needs no noun"},
	{dir: "host/internal/fault", only: []string{}, banned: []string{"net/http"}, why: "each edge maps a kind on its own"},
	{dir: "host/internal/secret", only: []string{"host/internal/secret"}, why: "sealing knows nothing of what it seals"},
}

// nouns own their tables; a verb that two of them share is a use-case package.
var nouns = []string{"auth", "identity", "invitation", "mediaserver"}

func TestImports(t *testing.T) {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Clone(rules)
	for _, noun := range nouns {
		r := rule{dir: "host/internal/" + noun, why: "a noun knows no edge, no wire and no other noun"}
		r.banned = []string{"net/http", "github.com/go-chi", "github.com/danielgtaylor", module + "sdk/sdkplugin", module + "host/internal/api", module + "host/internal/redeem"}
		for _, other := range nouns {
			if other != noun {
				r.banned = append(r.banned, module+"host/internal/"+other)
			}
		}
		all = append(all, r)
	}
	seen := map[string]bool{}
	for path, imports := range packages(t, root) {
		for i, r := range all {
			if path != r.dir && !strings.HasPrefix(path, r.dir+"/") {
				continue
			}
			seen[all[i].dir] = true
			for _, imp := range imports {
				own, inside := strings.CutPrefix(imp, module)
				bad := slices.ContainsFunc(r.banned, func(p string) bool { return imp == p || strings.HasPrefix(imp, p+"/") })
				if r.only != nil && inside && !slices.ContainsFunc(r.only, func(p string) bool { return own == p || strings.HasPrefix(own, p+"/") }) {
					bad = true
				}
				if bad {
					t.Errorf("%s imports %s: %s", path, imp, r.why)
				}
			}
		}
	}
	for _, r := range all {
		if !seen[r.dir] {
			t.Errorf("the rule for %s matches no package", r.dir)
		}
	}
}

// TestNoDoublesInTheProduct: test kits live in …test packages, which the product
// does not carry; the demo, `zondarr plugin test` and the migration generator are
// what they are for.
func TestNoDoublesInTheProduct(t *testing.T) {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	allowed := map[string]string{"cmd/zondarr-demo": "jellyfintest plextest", "host": "sdktest", "host/internal/database/mkmigrate": "hosttest"}
	for path, imports := range packages(t, root) {
		if strings.HasSuffix(path, "test") || strings.Contains(path, "test/") {
			continue
		}
		for _, imp := range imports {
			own, inside := strings.CutPrefix(imp, module)
			if name := filepath.Base(own); inside && strings.HasSuffix(name, "test") && !strings.Contains(allowed[path], name) {
				t.Errorf("%s imports %s", path, imp)
			}
		}
	}
}

func TestSDKIsStandardLibraryOnly(t *testing.T) {
	pkg, err := build.ImportDir(filepath.Join("..", "sdk"), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, imp := range pkg.Imports {
		if strings.Contains(strings.SplitN(imp, "/", 2)[0], ".") {
			t.Errorf("sdk imports %s: an author's plugin would carry it", imp)
		}
	}
}

// packages gives the imports of every package of the module, tests excluded.
func packages(t *testing.T, root string) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		name := d.Name()
		if path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin" || name == "node_modules") {
			return filepath.SkipDir
		}
		if _, err := os.Stat(filepath.Join(path, "go.mod")); path != root && err == nil {
			return filepath.SkipDir
		}
		pkg, err := build.ImportDir(path, 0)
		if err != nil {
			return nil //nolint:nilerr // a folder without Go files is no package
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		out[filepath.ToSlash(rel)] = pkg.Imports
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 10 {
		t.Fatalf("found only %d packages", len(out))
	}
	return out
}
