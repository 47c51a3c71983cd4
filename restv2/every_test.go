package restv2_test

import (
	"encoding/json"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
)

// A set of the model, with what it is asked for.
type modelSet struct {
	Name       string
	Properties []struct{ Name, Type string }
	Navigation []struct {
		Name string
		Many bool
	}
}

// servedSets are the entity sets of AMS but those of live.
func servedSets(t *testing.T) (sets []modelSet) {
	t.Helper()
	b, err := os.ReadFile("model.json")
	if err != nil {
		t.Fatal(err)
	}
	var model struct{ Sets []modelSet }
	if err := json.Unmarshal(b, &model); err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(model.Sets, func(s modelSet) bool { return s.Name == "Channels" || s.Name == "Programs" })
}

// unfiltered are the properties that are made on reading, or sealed.
var unfiltered = map[string][]string{
	"Assets":          {"Uri"},
	"Locators":        {"Path", "BaseUri", "ContentAccessComponent"},
	"ContentKeys":     {"EncryptedContentKey"},
	"IngestManifests": {"BlobStorageUriForUpload"},
	"Jobs":            {"RunningDuration"},
	"Tasks":           {"Configuration", "TaskBody", "PerfMessage", "RunningDuration"},

	"ContentKeyAuthorizationPolicyOptions": {"KeyDeliveryConfiguration"},
}

// Every property filters and orders, but those that docs/coverage.md names.
func TestFilterEveryProperty(t *testing.T) {
	s := newServer(t)
	literals := map[string]string{"Edm.String": "'x'", "Edm.Int32": "1", "Edm.Int64": "1L", "Edm.Double": "1.5", "Edm.Boolean": "true",
		"Edm.DateTime": "datetime'2015-01-18T22:06:40.601Z'", "Edm.Guid": "guid'9bc8ff20-24fb-4fdb-9d7c-b04c7ee573a1'"}
	page, err := os.ReadFile("../docs/coverage.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range servedSets(t) {
		if set.Name == "Operations" { // are read one by one
			continue
		}
		for _, name := range unfiltered[set.Name] {
			if !strings.Contains(string(page), name) {
				t.Errorf("docs/coverage.md does not say that %s of %s cannot be filtered by", name, set.Name)
			}
		}
		for _, p := range set.Properties {
			literal := literals[p.Type]
			if literal == "" { // complex, or a collection
				continue
			}
			want := 200
			if slices.Contains(unfiltered[set.Name], p.Name) {
				want = 400
			}
			filter, order := url.QueryEscape(p.Name+" eq "+literal+" or "+p.Name+" ne null"), url.QueryEscape(p.Name+" desc")
			for _, query := range []string{"$filter=" + filter, "$orderby=" + order, "$select=" + p.Name} {
				if strings.HasPrefix(query, "$select") {
					want = 200
				}
				if code, _, v := ask(t, s, "Contributor", "GET", set.Name+"?"+query, ""); code != want {
					t.Errorf("%s?%s: %d %v", set.Name, query, code, v)
				}
			}
		}
	}
}
