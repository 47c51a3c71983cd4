package odata_test

import (
	"encoding/json"
	"encoding/xml"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite golden files")

var formats = []struct{ name, accept string }{
	{"minimal.json", "application/json"},
	{"full.json", "application/json;odata=fullmetadata"},
	{"none.json", "application/json;odata=nometadata"},
	{"verbose.json", "application/json;odata=verbose"},
	{"atom.xml", "application/atom+xml,application/xml"},
}

// today stands for what Atom needs where an entity has no date.
var today = regexp.MustCompile(`<updated>202[^<]*</updated>`)

// Each kind of answer, in each format, is as a file of testdata has it, and
// can be read as what it says that it is.
func TestGolden(t *testing.T) {
	for _, tt := range []struct{ name, path string }{
		{"service", "/api/"},
		{"asset", "/api/Assets('" + assetID + "')"},
		{"assets", "/api/Assets?$inlinecount=allpages"},
		{"file", "/api/Files('" + fileID + "')"},
		{"policy", "/api/AccessPolicies('" + policy + "')"},
		{"locator", "/api/Locators('nb:lid:UUID:1')"},
		{"contentkey", "/api/ContentKeys('" + keyID + "')"},
		{"job", "/api/Jobs('nb:jid:UUID:1')"},
		{"job_tasks", "/api/Jobs('nb:jid:UUID:1')?$expand=Tasks"},
		{"task", "/api/Jobs('nb:jid:UUID:1')/Tasks('nb:tid:UUID:1')"},
		{"manifest", "/api/IngestManifests('nb:mid:UUID:1')"},
		{"statistics", "/api/IngestManifests('nb:mid:UUID:1')/Statistics"},
		{"processors", "/api/MediaProcessors?$filter=Name%20eq%20'Media%20Encoder%20Standard'"},
		{"none", "/api/MediaProcessors()?$filter=Name%20eq%20'none'"},
		{"select", "/api/Assets?$select=Id,Name"},
		{"page", "/api/StorageAccounts?$top=5000"},
		{"units", "/api/EncodingReservedUnitTypes(guid'" + unitID + "')"},
		{"state", "/api/Jobs('nb:jid:UUID:1')/State"},
		{"null", "/api/Jobs('nb:jid:UUID:1')/EndTime"},
		{"links", "/api/Assets('" + assetID + "')/$links/ContentKeys"},
		{"function", "/api/GetProtectionKeyId?contentKeyType=1"},
		{"error", "/api/Assets('nb:cid:UUID:none')"},
	} {
		for _, f := range formats {
			t.Run(tt.name+"."+f.name, func(t *testing.T) {
				_, s := newWorld(t)
				w := ask(s, "GET", tt.path, "", "Accept", f.accept)
				check(t, f.name, w.Body.Bytes())
				got := w.Header().Get("Content-Type") + "\n" + w.Header().Get("DataServiceVersion") + "\n" + w.Body.String() + "\n"
				golden(t, tt.name+"."+f.name, today.ReplaceAllString(got, "<updated>NOW</updated>"))
			})
		}
	}
	t.Run("metadata", func(t *testing.T) {
		_, s := newWorld(t)
		w := ask(s, "GET", "/api/$metadata", "", "x-ms-version", "")
		check(t, "xml", w.Body.Bytes())
		golden(t, "metadata.xml", strings.ReplaceAll(w.Body.String(), "><", ">\n<")+"\n")
	})
}

func check(t *testing.T, name string, b []byte) {
	t.Helper()
	if strings.HasSuffix(name, "json") {
		if !json.Valid(b) {
			t.Errorf("not JSON: %s", b)
		}
		return
	}
	d := xml.NewDecoder(strings.NewReader(string(b)))
	for {
		if _, err := d.Token(); err == io.EOF {
			return
		} else if err != nil {
			t.Fatalf("not XML: %v: %s", err, b)
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got)\n%s", name, d)
	}
}
