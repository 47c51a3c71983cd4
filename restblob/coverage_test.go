package restblob

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the blob section of docs/coverage.md")

const (
	coverage      = "../docs/coverage.md"
	coverageBegin = "<!-- blob: written by `go test ./restblob -run Coverage -update` -->\n"
	coverageEnd   = "<!-- end of blob -->\n"
)

// azureOperations is the Blob service REST reference, operation by operation.
var azureOperations = []struct{ name, request, headers string }{
	{"List Containers", "GET /?comp=list", ""},
	{"Get Blob Service Properties", "GET /?restype=service&comp=properties", ""},
	{"Set Blob Service Properties", "PUT /?restype=service&comp=properties", ""},
	{"Preflight Blob Request", "OPTIONS /{container}/{blob}", ""},
	{"Get Blob Service Stats", "GET /?restype=service&comp=stats", ""},
	{"Get Account Information", "GET /?restype=account&comp=properties", ""},
	{"Get User Delegation Key", "POST /?restype=service&comp=userdelegationkey", ""},
	{"Blob Batch", "POST /?comp=batch", ""},
	{"Find Blobs by Tags", "GET /?comp=blobs", ""},
	{"Create Container", "PUT /{container}?restype=container", ""},
	{"Get Container Properties", "GET /{container}?restype=container", ""},
	{"Get Container Metadata", "GET /{container}?restype=container&comp=metadata", ""},
	{"Set Container Metadata", "PUT /{container}?restype=container&comp=metadata", ""},
	{"Get Container ACL", "GET /{container}?restype=container&comp=acl", ""},
	{"Set Container ACL", "PUT /{container}?restype=container&comp=acl", ""},
	{"Delete Container", "DELETE /{container}?restype=container", ""},
	{"Lease Container", "PUT /{container}?restype=container&comp=lease", ""},
	{"Restore Container", "PUT /{container}?restype=container&comp=undelete", ""},
	{"List Blobs", "GET /{container}?restype=container&comp=list", ""},
	{"Put Blob", "PUT /{container}/{blob}", "x-ms-blob-type: BlockBlob"},
	{"Put Blob From URL", "PUT /{container}/{blob}", "x-ms-blob-type: BlockBlob, x-ms-copy-source: URL"},
	{"Put Block", "PUT /{container}/{blob}?comp=block", ""},
	{"Put Block From URL", "PUT /{container}/{blob}?comp=block", "x-ms-copy-source: URL"},
	{"Put Block List", "PUT /{container}/{blob}?comp=blocklist", ""},
	{"Get Block List", "GET /{container}/{blob}?comp=blocklist", ""},
	{"Get Blob", "GET /{container}/{blob}", ""},
	{"Get Blob Properties", "HEAD /{container}/{blob}", ""},
	{"Set Blob Properties", "PUT /{container}/{blob}?comp=properties", ""},
	{"Get Blob Metadata", "GET /{container}/{blob}?comp=metadata", ""},
	{"Set Blob Metadata", "PUT /{container}/{blob}?comp=metadata", ""},
	{"Get Blob Tags", "GET /{container}/{blob}?comp=tags", ""},
	{"Set Blob Tags", "PUT /{container}/{blob}?comp=tags", ""},
	{"Set Blob Tier", "PUT /{container}/{blob}?comp=tier", ""},
	{"Delete Blob", "DELETE /{container}/{blob}", ""},
	{"Undelete Blob", "PUT /{container}/{blob}?comp=undelete", ""},
	{"Lease Blob", "PUT /{container}/{blob}?comp=lease", ""},
	{"Snapshot Blob", "PUT /{container}/{blob}?comp=snapshot", ""},
	{"Copy Blob", "PUT /{container}/{blob}", "x-ms-copy-source: URL"},
	{"Copy Blob From URL", "PUT /{container}/{blob}", "x-ms-copy-source: URL, x-ms-requires-sync: true"},
	{"Abort Copy Blob", "PUT /{container}/{blob}?comp=copy", ""},
	{"Query Blob Contents", "POST /{container}/{blob}?comp=query", ""},
	{"Set Immutability Policy", "PUT /{container}/{blob}?comp=immutabilityPolicies", ""},
	{"Set Legal Hold", "PUT /{container}/{blob}?comp=legalhold", ""},
	{"Set Blob Expiry", "PUT /{container}/{blob}?comp=expiry", ""},
	{"Put Page", "PUT /{container}/{blob}?comp=page", ""},
	{"Get Page Ranges", "GET /{container}/{blob}?comp=pagelist", ""},
	{"Incremental Copy Blob", "PUT /{container}/{blob}?comp=incrementalcopy", ""},
	{"Append Block", "PUT /{container}/{blob}?comp=appendblock", ""},
	{"Seal Append Blob", "PUT /{container}/{blob}?comp=seal", ""},
}

// serves reports whether an operation is routed to more than a refusal.
func serves(t *testing.T, line, headers string) bool {
	method, path, _ := strings.Cut(line, " ")
	if method == http.MethodOptions {
		return true // before any route; TestCORS holds it
	}
	path = strings.NewReplacer("{container}", "videos", "{blob}", "f").Replace(path)
	r := httptest.NewRequest(method, "/openamsstore"+path, nil)
	for h := range strings.SplitSeq(headers, ", ") {
		if name, value, ok := strings.Cut(h, ": "); ok {
			r.Header.Set(name, value)
		}
	}
	q := &request{Request: r, query: r.URL.Query()}
	var err error
	if q.target, err = parseTarget(r); err != nil {
		t.Fatal(line, err)
	}
	op, err := route(q)
	if err != nil {
		t.Fatalf("%s is unknown: %v", line, err)
	}
	return !op.refused
}

// TestCoverage compares the routes with docs/coverage.md.
func TestCoverage(t *testing.T) {
	var b strings.Builder
	served := 0
	b.WriteString("| operation | request | |\n|---|---|---|\n")
	for _, o := range azureOperations {
		state := "no"
		if serves(t, o.request, o.headers) {
			state = "yes"
			served++
		}
		line := "`" + o.request + "`"
		if o.headers != "" {
			line += " with `" + o.headers + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", o.name, line, state)
	}
	want := coverageBegin + fmt.Sprintf("%d of %d operations.\n\n", served, len(azureOperations)) + b.String() + coverageEnd
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
		t.Errorf("%s is not what the routes say (-want +got):\n%s", coverage, diff)
	}
}
