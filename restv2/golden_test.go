package restv2_test

import (
	"encoding/json"
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

// A modelSet is what the golden files are held against.
type modelSet struct {
	Name, Type string
	Navigation []struct{ Name string }
	Properties []struct{ Name, Type string }
}

// Every entity set but those of live has an entity in golden files, which are
// answers in all formats. With full metadata it tells its type, its links and
// its actions.
func TestGoldenOfEachSet(t *testing.T) {
	b, err := os.ReadFile("model.json")
	if err != nil {
		t.Fatal(err)
	}
	var model struct {
		Sets      []modelSet
		Functions []struct{ Name, Set string }
	}
	if err := json.Unmarshal(b, &model); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]map[string]any{} // the entities of the sets, with full metadata
	aSet := regexp.MustCompile(`(?s)^200 application/json\n\{"odata.metadata":"http://host/api/\$metadata#([A-Za-z]+)(/@Element",|","value":\[\{)` +
		`.*\n200 application/json;odata=fullmetadata\n(\{[^\n]*\})\n.*\n200 application/json;odata=nometadata\n.*\n200 application/json;odata=verbose\n.*\n200 application/atom\+xml,application/xml\n.*<m:properties>`)
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
		if err := json.Unmarshal(m[3], &e); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		if list, ok := e["value"].([]any); ok {
			e = list[0].(map[string]any)
		}
		if len(e) > len(shown[string(m[1])]) { // that with all properties
			shown[string(m[1])] = e
		}
	}
	for _, s := range model.Sets {
		e := shown[s.Name]
		if live := s.Name == "Channels" || s.Name == "Programs"; live || e == nil {
			if !live || e != nil {
				t.Errorf("%s: in golden files: %v", s.Name, e != nil)
			}
			continue
		}
		want := []string{"odata.id", "odata.editLink"}
		for _, n := range s.Navigation {
			want = append(want, n.Name+"@odata.navigationLinkUrl")
		}
		for _, p := range s.Properties {
			want = append(want, p.Name)
			if e[p.Name] != nil && !strings.HasPrefix(p.Type, "Self.") && !slices.Contains([]string{"Edm.String", "Edm.Int32", "Edm.Double", "Edm.Boolean"}, p.Type) {
				want = append(want, p.Name+"@odata.type")
			}
		}
		for _, f := range model.Functions {
			if f.Set == s.Name {
				want = append(want, "#WindowsAzureMediaServices."+f.Name)
			}
		}
		for _, name := range want {
			if _, ok := e[name]; !ok {
				t.Errorf("%s: with full metadata it has no %s", s.Name, name)
			}
		}
		if e["odata.type"] != "Microsoft.Cloud.Media.Vod.Rest.Data.Models."+s.Type {
			t.Errorf("%s: the type is %v", s.Name, e["odata.type"])
		}
	}
	if len(model.Sets) != 26 {
		t.Errorf("%d sets", len(model.Sets))
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
