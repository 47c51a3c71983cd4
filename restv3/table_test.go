package restv3

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTable compares the table with the list of the operations that AMS had.
func TestTable(t *testing.T) {
	b, err := os.ReadFile("operations.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []operation
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	if len(list) != 99 {
		t.Errorf("operations.json has %d operations, not 99", len(list))
	}
	key := func(o operation) string { return strings.ToLower(o.Op + " " + o.Method + " " + o.Path) }
	want := map[string]bool{}
	for _, o := range list {
		want[key(o)] = true
	}
	for _, o := range (&api{}).table() {
		if !want[key(o)] {
			t.Errorf("%s is no operation of AMS", key(o))
		}
		delete(want, key(o))
	}
	for k := range want {
		t.Errorf("%s is not in the table", k)
	}
}

const (
	coverage      = "../docs/coverage.md"
	coverageBegin = "<!-- v3: written by `go test ./restv3 -run Coverage -update` -->\n"
	coverageEnd   = "<!-- end of v3 -->\n"
)

// TestCoverage compares the table with docs/coverage.md.
func TestCoverage(t *testing.T) {
	var b strings.Builder
	served := 0
	b.WriteString("| operation | request | |\n|---|---|---|\n")
	table := (&api{}).table()
	for _, o := range table {
		state := "yes"
		if o.handle == nil && !o.elsewhere {
			state = "not yet"
		} else {
			served++
		}
		_, path, _ := strings.Cut(o.Path, "/providers/Microsoft.Media")
		fmt.Fprintf(&b, "| %s | `%s …%s` | %s |\n", o.Op, o.Method, path, state)
	}
	for _, o := range (&api{}).extensions() {
		_, path, _ := strings.Cut(o.Path, "/providers/Microsoft.Media")
		fmt.Fprintf(&b, "| %s | `%s …%s` | ours |\n", o.Op, o.Method, path)
	}
	want := coverageBegin + fmt.Sprintf("%d of %d operations, and %d of ours.\n\n", served, len(table), len((&api{}).extensions())) + b.String() + coverageEnd
	page, err := os.ReadFile(coverage)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(page), coverageBegin)
	_, after, ok2 := strings.Cut(rest, coverageEnd)
	if flag.Lookup("update").Value.String() == "true" {
		if !ok1 || !ok2 {
			t.Fatalf("%s has no lines %q and %q", coverage, coverageBegin, coverageEnd)
		}
		if err := os.WriteFile(coverage, []byte(before+want+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got := coverageBegin + strings.TrimSuffix(rest, coverageEnd+after) + coverageEnd
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s is not what the table says (-want +got):\n%s", coverage, diff)
	}
}
