package restv2_test

import (
	"encoding/json"
	"encoding/xml"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	aGUID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	aTime = regexp.MustCompile(`20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z`)
	aBox  = regexp.MustCompile(`[0-9A-Za-z+/]{342}==`) // RSA 2048 in base64
	aSum  = regexp.MustCompile(`[0-9A-F]{40}`)         // thumbprint of a certificate
)

// golden compares an answer in all formats with a file of testdata. Guids are
// numbered, times are all one, and so is what a new certificate wraps.
func golden(t *testing.T, base, name, path string) {
	t.Helper()
	var all strings.Builder
	for _, accept := range []string{"application/json", "application/json;odata=fullmetadata", "application/json;odata=nometadata",
		"application/json;odata=verbose", "application/atom+xml,application/xml"} {
		code, body := send(t, "GET", base+"/api/"+path, "", http.Header{"Accept": {accept}})
		fmt.Fprintf(&all, "%d %s\n%s\n\n", code, accept, body)
	}
	seen := map[string]string{}
	got := strings.ReplaceAll(all.String(), base, "http://host")
	got = aGUID.ReplaceAllStringFunc(got, func(g string) string {
		if seen[g] == "" {
			seen[g] = fmt.Sprintf("00000000-0000-0000-0000-%012d", len(seen)+1)
		}
		return seen[g]
	})
	got = aTime.ReplaceAllString(got, "2015-01-18T22:06:40.601Z")
	got = aBox.ReplaceAllString(got, "RSA-OAEP")
	got = aSum.ReplaceAllString(got, "7D9BB04D9D0A4A24800CADBFEF232689E048F69C")
	file := filepath.Join("testdata", name+".txt")
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", path, d)
	}
}

// What jobs and all about them look like.
func TestJobGolden(t *testing.T) {
	w := openWorld(t)
	asset := input(t, w)
	_, endpoint := create(t, w.Server, "NotificationEndPoints", `{"Name":"hook","EndPointType":3,"EndPointAddress":"https://example.org/in?code=x"}`)
	task := strings.Replace(encodeTask, `{`, `{"Name":"encode","Priority":1,"TaskNotificationSubscriptions":[{"NotificationEndPointId":"`+endpoint+`","TargetTaskState":1,"IncludeTaskProgress":true}],`, 1)
	_, job := create(t, w.Server, "Jobs", `{"Name":"NewTestJob","Priority":5,"JobNotificationSubscriptions":[{"NotificationEndPointId":"`+endpoint+`","TargetJobState":2}],
		"InputMediaAssets":[{"__metadata":{"uri":"`+uri("Assets", asset)+`"}}],"Tasks":[`+task+`]}`)
	_, template := create(t, w.Server, "JobTemplates", `{"Name":"t","JobTemplateBody":"<jobTemplate><taskBody taskTemplateId=\"nb:ttid:UUID:071370A3-E63E-4E81-A099-AD66BCAC3789\"><inputAsset>JobInputAsset(0)</inputAsset><outputAsset>JobOutputAsset(0)</outputAsset></taskBody></jobTemplate>",
		"TaskTemplates":[{"Id":"nb:ttid:UUID:071370A3-E63E-4E81-A099-AD66BCAC3789","Configuration":"H264 Broadband 720p","MediaProcessorId":"nb:mpid:UUID:2e7aa8f3-4961-4e0c-b4db-0e0439e524f5","Name":"n","Description":"d","NumberofInputAssets":1,"NumberofOutputAssets":1}]}`)
	for name, path := range map[string]string{
		"job":                  key("Jobs", job),
		"task":                 "Tasks",
		"jobtemplate":          key("JobTemplates", template) + "?$expand=TaskTemplates",
		"tasktemplate":         "TaskTemplates('nb:ttid:UUID:071370A3-E63E-4E81-A099-AD66BCAC3789')",
		"notificationendpoint": key("NotificationEndPoints", endpoint),
		"joboutputs":           key("Jobs", job) + "/$links/OutputMediaAssets",
		"mediaprocessor":       "MediaProcessors?$filter=Name%20eq%20'Media%20Encoder%20Standard'",
		"jobmissing":           "Jobs('nb:jid:UUID:00000000-0000-0000-0000-000000000000')",
	} {
		golden(t, w.URL, name, path)
	}
}

// What content keys and the policies about them look like.
func TestKeyGolden(t *testing.T) {
	c := newKeyClient(t)
	asset := c.made("Assets", `{"Name":"a","Options":1}`)
	path := c.key(keyGUID, 4, []byte("0123456789abcdef"))
	c.link(204, key("Assets", asset), "ContentKeys", "ContentKeys", "nb:kid:UUID:"+keyGUID)
	policy := c.made("ContentKeyAuthorizationPolicies", `{"Name":"p"}`)
	option := c.made("ContentKeyAuthorizationPolicyOptions", quoted(t, map[string]any{"Name": "o", "KeyDeliveryType": 1, "KeyDeliveryConfiguration": playReadyTemplate,
		"Restrictions": []any{map[string]any{"Name": "r", "KeyRestrictionType": 1, "Requirements": tokenTemplate}}}))
	c.link(204, key("ContentKeyAuthorizationPolicies", policy), "Options", "ContentKeyAuthorizationPolicyOptions", option)
	c.call(204, "Contributor", "MERGE", path, `{"AuthorizationPolicyId":"`+policy+`"}`)
	delivery := c.made("AssetDeliveryPolicies", quoted(t, map[string]any{"Name": "d", "AssetDeliveryProtocol": 7, "AssetDeliveryPolicyType": 3,
		"AssetDeliveryConfiguration": `[{"Key":2,"Value":"https://keys.example.org/"},{"Key":3,"Value":"YWJjZGVmZ2hpamtsbW5vcA=="}]`}))
	c.link(204, key("Assets", asset), "DeliveryPolicies", "AssetDeliveryPolicies", delivery)
	for name, path := range map[string]string{
		"contentkey":          path,
		"contentkey-of-asset": key("Assets", asset) + "/ContentKeys?$inlinecount=allpages",
		"contentkey-links":    key("Assets", asset) + "/$links/ContentKeys",
		"keypolicy-expanded":  key("ContentKeyAuthorizationPolicies", policy) + "?$expand=Options",
		"keypolicyoption-drm": key("ContentKeyAuthorizationPolicies", policy) + "/Options",
		"deliverypolicy-aes":  key("Assets", asset) + "/DeliveryPolicies",
		"protectionkeyid":     "GetProtectionKeyId?contentKeyType=1",
	} {
		golden(t, c.URL, name, path)
	}
}

// aSet finds the first entity of an answer in all formats: the set, and the JSON
// with full metadata.
var aSet = regexp.MustCompile(`(?s)^200 application/json\n\{"odata.metadata":"http://host/api/\$metadata#([A-Za-z]+)(?:/@Element",|","value":\[\{)` +
	`.*\n200 application/json;odata=fullmetadata\n(\{[^\n]*\})\n.*\n200 application/json;odata=nometadata\n.*\n200 application/json;odata=verbose\n.*\n200 application/atom\+xml,application/xml\n.*<m:properties>`)

// goldenEntities are entities of the golden files with full metadata, by set.
func goldenEntities(t *testing.T) map[string]map[string]any {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]map[string]any{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		m := aSet.FindSubmatch(b)
		if m == nil {
			continue
		}
		var e map[string]any
		if err := json.Unmarshal(m[2], &e); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		if list, ok := e["value"].([]any); ok {
			e = list[0].(map[string]any)
		}
		if set := string(m[1]); len(e) > len(shown[set]) { // one with all properties
			shown[set] = e
		}
	}
	return shown
}

// The $metadata describe what is served, and nothing else: each entity set and
// function of AMS either is in it and answers, or is not in it and answers 501.
// Every entity set but those of live has an entity in golden files, in all
// formats; it has the properties that the $metadata say, and with full metadata
// its type, its links and its actions.
func TestMetadata(t *testing.T) {
	b, err := os.ReadFile("model.json")
	if err != nil {
		t.Fatal(err)
	}
	var model struct {
		Sets      []struct{ Name string }
		Functions []struct{ Name, Set, Method string }
	}
	if err := json.Unmarshal(b, &model); err != nil {
		t.Fatal(err)
	}
	s := newServer(t)
	code, doc := send(t, "GET", s.URL+"/api/$metadata", "", http.Header{})
	var edmx struct {
		Services struct {
			Schema []struct {
				Types []struct {
					Name       string `xml:",attr"`
					Properties []struct {
						Name string `xml:",attr"`
						Type string `xml:",attr"`
					} `xml:"Property"`
					Navigation []struct {
						Name string `xml:",attr"`
					} `xml:"NavigationProperty"`
				} `xml:"EntityType"`
				Container struct {
					Sets []struct {
						Name string `xml:",attr"`
						Type string `xml:"EntityType,attr"`
					} `xml:"EntitySet"`
					Functions []struct {
						Name       string `xml:",attr"`
						Parameters []struct {
							Name string `xml:",attr"`
							Type string `xml:",attr"`
						} `xml:"Parameter"`
					} `xml:"FunctionImport"`
				} `xml:"EntityContainer"`
			} `xml:"Schema"`
		} `xml:"DataServices"`
	}
	if err := xml.Unmarshal([]byte(doc), &edmx); err != nil || code != 200 || len(edmx.Services.Schema) == 0 {
		t.Fatalf("%d %v %s", code, err, doc)
	}
	const namespace = "Microsoft.Cloud.Media.Vod.Rest.Data.Models."
	typeOf := map[string]string{} // of a set that is described
	functions := map[string]bool{}
	for _, schema := range edmx.Services.Schema {
		for _, set := range schema.Container.Sets {
			typeOf[set.Name] = strings.TrimPrefix(set.Type, namespace)
		}
		for _, f := range schema.Container.Functions {
			id := f.Name
			if len(f.Parameters) > 0 && f.Parameters[0].Name == "bindingParameter" {
				id = strings.TrimPrefix(f.Parameters[0].Type, namespace) + "/" + id
			}
			functions[id] = true
		}
	}

	// The service document names the same sets.
	_, _, v := ask(t, s, "Reader", "GET", "", "")
	listed, _ := v["value"].([]any)
	for _, item := range listed {
		if e := item.(map[string]any); typeOf[e["name"].(string)] == "" || e["url"] != e["name"] {
			t.Errorf("the service document has %v", e)
		}
	}
	if len(listed) != len(typeOf) || len(typeOf) != 24 || len(model.Sets) != 26 {
		t.Errorf("%d sets in the service document, %d in $metadata, %d in AMS", len(listed), len(typeOf), len(model.Sets))
	}
	setType := map[string]string{}
	for _, set := range model.Sets {
		want := 501
		if setType[set.Name] = typeOf[set.Name]; typeOf[set.Name] != "" {
			want = 200
		}
		if set.Name == "Operations" { // are read one by one
			want = 400
		}
		if code, _, v := ask(t, s, "Reader", "GET", set.Name, ""); code != want {
			t.Errorf("%s: %d %v, want %d", set.Name, code, v, want)
		}
	}
	for _, f := range model.Functions {
		id, path := f.Name, f.Name
		if f.Set != "" {
			id, path = setType[f.Set]+"/"+f.Name, f.Set+"('x')/"+f.Name
		}
		code, _, v := ask(t, s, "Contributor", f.Method, path, "")
		if functions[id] == (code == 501) {
			t.Errorf("%s: described %v, answered %d %v", path, functions[id], code, v)
		}
	}

	shown := goldenEntities(t)
	for _, schema := range edmx.Services.Schema {
		for _, typ := range schema.Types {
			var e map[string]any
			for name, of := range typeOf {
				if of == typ.Name {
					e = shown[name]
				}
			}
			if e == nil {
				t.Errorf("no golden file has a %s", typ.Name)
				continue
			}
			want := map[string]bool{"odata.metadata": true, "odata.type": true, "odata.id": true, "odata.editLink": true}
			for _, n := range typ.Navigation {
				want[n.Name+"@odata.navigationLinkUrl"] = true
				delete(e, n.Name) // expanded
			}
			for _, p := range typ.Properties {
				want[p.Name] = true
				if e[p.Name] != nil && !strings.Contains(p.Type, namespace) && !slices.Contains([]string{"Edm.String", "Edm.Int32", "Edm.Double", "Edm.Boolean"}, p.Type) {
					want[p.Name+"@odata.type"] = true
				}
			}
			for id := range functions {
				if of, name, ok := strings.Cut(id, "/"); ok && of == typ.Name {
					want["#WindowsAzureMediaServices."+name] = true
				}
			}
			for name := range want {
				if _, ok := e[name]; !ok && name != "odata.metadata" { // an entity of a list has none
					t.Errorf("a %s has no %s", typ.Name, name)
				}
			}
			for name := range e {
				if of, ok := strings.CutSuffix(name, "@odata.type"); !want[name] && (!ok || !want[of]) {
					t.Errorf("a %s has %s", typ.Name, name)
				}
			}
			if e["odata.type"] != namespace+typ.Name {
				t.Errorf("%s: the type is %v", typ.Name, e["odata.type"])
			}
		}
	}
}

// What the other entities look like that no test of their own shows.
func TestOtherGolden(t *testing.T) {
	s := newServer(t)
	create := func(set, body string) string {
		t.Helper()
		code, _, e := ask(t, s, "Contributor", "POST", set, body)
		if code != http.StatusCreated {
			t.Fatalf("%s: %d %v", set, code, e)
		}
		return e["Id"].(string)
	}
	asset := create("Assets", `{"Name":"a"}`)
	manifest := create("IngestManifests", `{"Name":"m"}`)
	in := create("IngestManifestAssets", `{"ParentIngestManifestId":"`+manifest+`","Asset":{"Id":"`+asset+`"}}`)
	file := create("IngestManifestFiles", `{"Name":"one.mp4","ParentIngestManifestId":"`+manifest+`","ParentIngestManifestAssetId":"`+in+`","IsPrimary":true,"MimeType":"video/mp4"}`)
	const filter = `"PresentationTimeRange":{"StartTimestamp":"0","Timescale":"10000000"},"FirstQuality":{"Bitrate":550000},"Tracks":[{"PropertyConditions":[{"Property":"Type","Value":"audio","Operator":"Equal"}]}]`
	of := create("AssetFilters", `{"Name":"F","ParentAssetId":"`+asset+`",`+filter+`}`)
	if code, _, v := ask(t, s, "Contributor", "POST", "Filters", `{"Name":"F",`+filter+`}`); code != http.StatusCreated {
		t.Fatalf("%d %v", code, v)
	}
	hook := create("NotificationEndPoints", `{"Name":"n","EndPointType":3,"EndPointAddress":"https://example.org/in"}`)
	monitoring := create("MonitoringConfigurations", `{"NotificationEndPointId":"`+hook+`","Settings":[{"Component":"StreamingEndpoint","Level":"Normal"}]}`)
	option := create("ContentKeyAuthorizationPolicyOptions", `{"Name":"o","KeyDeliveryType":2,"KeyDeliveryConfiguration":null,"Restrictions":[{"Name":"r","KeyRestrictionType":0,"Requirements":null}]}`)
	policy := create("ContentKeyAuthorizationPolicies", `{"Name":"p"}`)
	delivery := create("AssetDeliveryPolicies", `{"Name":"d","AssetDeliveryProtocol":7,"AssetDeliveryPolicyType":2,"AssetDeliveryConfiguration":null}`)
	_, h, _ := ask(t, s, "Contributor", "POST", "StreamingEndpoints", `{"Name":"second","CacheControl":{"MaxAge":"60"},"AccessControl":{"IP":{"Allow":[{"Name":"all","Address":"0.0.0.0","SubnetPrefixLength":0}]}}}`)
	finish(t, s, h)
	for name, path := range map[string]string{
		"ingestmanifest":      key("IngestManifests", manifest),
		"ingestmanifestasset": key("IngestManifestAssets", in),
		"ingestmanifestfile":  key("IngestManifestFiles", file),
		"ingeststatistics":    key("IngestManifests", manifest) + "/Statistics",
		"assetfilter":         key("AssetFilters", of),
		"accountfilter":       "Filters('F')",
		"monitoring":          key("MonitoringConfigurations", monitoring),
		"keypolicyoption":     key("ContentKeyAuthorizationPolicyOptions", option),
		"keypolicy":           key("ContentKeyAuthorizationPolicies", policy),
		"deliverypolicy":      key("AssetDeliveryPolicies", delivery),
		"streamingendpoint":   "StreamingEndpoints?$filter=Name%20eq%20'second'",
		"operation":           key("Operations", h.Get("operation-id")),
	} {
		golden(t, s.URL, name, path)
	}
}
