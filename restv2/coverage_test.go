package restv2

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openams/openams/restv2/odata"
)

var update = flag.Bool("update", false, "rewrite docs/coverage.md")

const (
	coverage      = "../docs/coverage.md"
	coverageBegin = "<!-- v2: written by `go test ./restv2 -run Coverage -update` -->\n"
	coverageEnd   = "<!-- end of v2 -->\n"
)

// TestCoverage compares the sets and functions that are served with
// docs/coverage.md.
func TestCoverage(t *testing.T) {
	all, err := odata.ParseModel(model)
	if err != nil {
		t.Fatal(err)
	}
	oc := entitySets(all)
	sets := oc.Sets
	var b strings.Builder
	b.WriteString("| entity set | |\n|---|---|\n")
	served := 0
	for _, s := range all.Sets {
		state := "not yet"
		if sets[s.Name] != nil {
			state = "yes"
			served++
		}
		fmt.Fprintf(&b, "| %s | %s |\n", s.Name, state)
	}
	b.WriteString("\n| function or action | |\n|---|---|\n")
	calls := 0
	for _, f := range all.Functions {
		state := "not yet"
		if oc.Calls[f.ID()] != nil {
			state = "yes"
			calls++
		}
		fmt.Fprintf(&b, "| %s %s | %s |\n", f.Method, f.ID(), state)
	}
	want := coverageBegin + fmt.Sprintf("%d of %d entity sets, %d of %d functions and actions.\n\n", served, len(all.Sets), calls, len(all.Functions)) + b.String() + coverageEnd
	page, err := os.ReadFile(coverage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(page), coverageBegin)
	got, after, ok2 := strings.Cut(rest, coverageEnd)
	if !ok1 || !ok2 {
		t.Fatalf("%s has no lines %q and %q", coverage, coverageBegin, coverageEnd)
	}
	if *update {
		if err := os.WriteFile(coverage, []byte(before+want+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, coverageBegin+got+coverageEnd); diff != "" {
		t.Errorf("%s is not what is served (-want +got):\n%s", coverage, diff)
	}
}
