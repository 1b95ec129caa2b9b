// Package scaffold writes the beginning of a plugin: a Go module that builds, passes the
// conformance checks of tier 1 and serves in a host as it is, for its author to go on
// from. It knows the SDK and the shape of a Go module, and nothing of hosts.
package scaffold

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"

	"golang.org/x/mod/modfile"
)

// sdkModule is the module that holds the SDK.
const sdkModule = "github.com/zondarr/zondarr"

// Options say what to write.
type Options struct {
	// Name of the plugin, and of the server type that it serves: lower case letters,
	// digits, "_" and "-", starting with a letter, at most 32.
	Name string
	// Dir is the new module's folder, made if need be; it must be empty.
	// zondarr-plugin-<Name> in the current folder when empty.
	Dir string
	// Module is the new module's path; example.com/zondarr-plugin-<Name> when empty.
	Module string
	// SDK is a folder with the source of Zondarr, for a replace line; the module then
	// builds without a network where the SDK does. Empty to fetch a released SDK, which
	// "go mod tidy" does.
	SDK string
}

//go:embed all:template
var templates embed.FS

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)

// Write writes the module and gives the folder and the names of the files in it.
func Write(o Options) (dir string, files []string, err error) {
	if !nameForm.MatchString(o.Name) {
		return "", nil, fmt.Errorf("the name %q: want lower case letters, digits, _ and -, starting with a letter, at most 32", o.Name)
	}
	if o.Dir == "" {
		o.Dir = "zondarr-plugin-" + o.Name
	}
	if o.Module == "" {
		o.Module = "example.com/zondarr-plugin-" + o.Name
	}
	if entries, err := os.ReadDir(o.Dir); err == nil && len(entries) > 0 {
		return "", nil, fmt.Errorf("the folder %s is not empty", o.Dir)
	}
	out, err := render(o)
	if err != nil {
		return "", nil, err
	}
	mod, sum, err := moduleFiles(o)
	if err != nil {
		return "", nil, err
	}
	out["go.mod"] = mod
	if sum != nil {
		out["go.sum"] = sum
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil { //nolint:gosec // source code is for everybody to read
		return "", nil, err
	}
	for name, text := range out {
		if err := os.WriteFile(filepath.Join(o.Dir, name), text, 0o644); err != nil { //nolint:gosec // source code is for everybody to read
			return "", nil, err
		}
		files = append(files, name)
	}
	return o.Dir, files, nil
}

// render fills the templates in.
func render(o Options) (map[string][]byte, error) {
	title := strings.ToUpper(o.Name[:1]) + strings.NewReplacer("-", " ", "_", " ").Replace(o.Name[1:])
	values := map[string]string{"Name": o.Name, "Title": title, "Module": o.Module, "SDKModule": sdkModule, "SDK": o.SDK}
	out := map[string][]byte{}
	err := fs.WalkDir(templates, "template", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := templates.ReadFile(path)
		if err != nil {
			return err
		}
		t, err := template.New(path).Delims("<<", ">>").Parse(string(text))
		if err != nil {
			return err
		}
		var b bytes.Buffer
		if err := t.Execute(&b, values); err != nil {
			return err
		}
		out[strings.TrimSuffix(filepath.Base(path), ".tmpl")] = b.Bytes()
		return nil
	})
	return out, err
}

// needed are the modules that the SDK's packages and their tests are built from. The new
// module has to name them all, or go build asks for go mod tidy.
var needed = []string{
	"github.com/fatih/color", "github.com/golang/protobuf", "github.com/hashicorp/go-hclog", "github.com/hashicorp/go-plugin",
	"github.com/hashicorp/yamux", "github.com/mattn/go-colorable", "github.com/mattn/go-isatty", "github.com/oklog/run",
	"golang.org/x/net", "golang.org/x/sys", "golang.org/x/text", "google.golang.org/genproto/googleapis/rpc",
	"google.golang.org/grpc", "google.golang.org/protobuf",
}

// moduleFiles gives go.mod and, with the SDK's source at hand, its go.sum.
func moduleFiles(o Options) (mod, sum []byte, err error) {
	f := &modfile.File{}
	if err := f.AddModuleStmt(o.Module); err != nil {
		return nil, nil, fmt.Errorf("the module path %q: %w", o.Module, err)
	}
	if o.SDK == "" {
		// No version is named: go mod tidy takes the newest.
		if err := f.AddGoStmt("1.26.0"); err != nil {
			return nil, nil, err
		}
		mod, err = f.Format()
		return mod, nil, err
	}
	sdkDir, err := filepath.Abs(o.SDK)
	if err != nil {
		return nil, nil, err
	}
	data, err := os.ReadFile(filepath.Join(sdkDir, "go.mod"))
	if err != nil {
		return nil, nil, fmt.Errorf("the SDK's folder: %w", err)
	}
	theirs, err := modfile.ParseLax("go.mod", data, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("the SDK's folder: %w", err)
	}
	if theirs.Module == nil || theirs.Module.Mod.Path != sdkModule || theirs.Go == nil {
		return nil, nil, fmt.Errorf("the folder %s does not hold the module %s", o.SDK, sdkModule)
	}
	versions := map[string]string{}
	for _, r := range theirs.Require {
		versions[r.Mod.Path] = r.Mod.Version
	}
	errs := []error{f.AddGoStmt(theirs.Go.Version), f.AddRequire(sdkModule, "v0.0.0"), f.AddReplace(sdkModule, "", sdkDir, "")}
	for _, path := range needed {
		if v := versions[path]; v != "" {
			f.AddNewRequire(path, v, true)
		}
	}
	f.SetRequireSeparateIndirect(f.Require)
	f.Cleanup()
	if err := errors.Join(errs...); err != nil {
		return nil, nil, err
	}
	if mod, err = f.Format(); err != nil {
		return nil, nil, err
	}
	sum, err = os.ReadFile(filepath.Join(sdkDir, "go.sum"))
	return mod, sum, err
}
