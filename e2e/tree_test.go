package e2e

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// rows is the picture of docs/architecture.md, top to bottom: a folder may
// import its own subfolders and folders of lower rows.
var rows = [][]string{
	{"cmd", "e2e"},
	{"restv2", "restv3", "restblob", "origin", "keydelivery", "encoder", "live", "portal"},
	{"account", "jobqueue", "notify"},
	{"blob", "catalog", "identity"},
	{"ams", "packager", "ffmpeg", "sas", "filter", "dial", "middleware", "probe"},
}

const module = "github.com/openams/openams/"

type goPackage struct {
	ImportPath, Doc string
	Imports         []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Doc,Imports", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// folder is the top folder of one of our import paths.
func folder(path string) (name string, ours bool) {
	rest, ours := strings.CutPrefix(path, module)
	name, _, _ = strings.Cut(rest, "/")
	return name, ours
}

func row(name string) int {
	return slices.IndexFunc(rows, func(r []string) bool { return slices.Contains(r, name) })
}

func TestImportsPointDown(t *testing.T) {
	for _, p := range packages(t) {
		from, _ := folder(p.ImportPath)
		if row(from) < 0 {
			t.Errorf("%s has no row in docs/architecture.md", from)
			continue
		}
		for _, imp := range p.Imports {
			to, ours := folder(imp)
			if !ours || to == from {
				continue
			}
			if row(to) <= row(from) {
				t.Errorf("%s imports %s: against the arrows of docs/architecture.md", strings.TrimPrefix(p.ImportPath, module), to)
			}
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range packages(t) {
		if p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}
