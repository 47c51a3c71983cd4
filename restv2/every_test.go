package restv2_test

import (
	"encoding/json"
	"fmt"
	"net/http"
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

// Every navigation leads somewhere, from the entity and in an $expand; its links
// and their number are read too.
func TestEveryNavigation(t *testing.T) {
	c := newKeyClient(t)
	asset := input(t, c.world)
	file := c.get(key("Assets", asset) + "/Files")["value"].([]any)[0].(map[string]any)["Id"].(string)
	access := c.made("AccessPolicies", `{"Name":"p","DurationInMinutes":60,"Permissions":1}`)
	locator := c.made("Locators", `{"AccessPolicyId":"`+access+`","AssetId":"`+asset+`","Type":1}`)
	c.made("AssetFilters", `{"Name":"F","ParentAssetId":"`+asset+`"}`)
	c.key(keyGUID, 4, []byte("0123456789abcdef"))
	c.link(204, key("Assets", asset), "ContentKeys", "ContentKeys", "nb:kid:UUID:"+keyGUID)
	delivery := c.made("AssetDeliveryPolicies", `{"AssetDeliveryProtocol":7,"AssetDeliveryPolicyType":2}`)
	c.link(204, key("Assets", asset), "DeliveryPolicies", "AssetDeliveryPolicies", delivery)
	policy := c.made("ContentKeyAuthorizationPolicies", `{"Name":"p"}`)
	c.link(204, key("ContentKeyAuthorizationPolicies", policy), "Options", "ContentKeyAuthorizationPolicyOptions", c.made("ContentKeyAuthorizationPolicyOptions", `{"KeyDeliveryType":2,"Restrictions":[{"KeyRestrictionType":0}]}`))
	manifest := c.made("IngestManifests", `{"Name":"m"}`)
	in := c.made("IngestManifestAssets", `{"ParentIngestManifestId":"`+manifest+`","Asset":{"Id":"`+c.made("Assets", `{}`)+`"}}`)
	c.made("IngestManifestFiles", `{"Name":"one.mp4","ParentIngestManifestId":"`+manifest+`","ParentIngestManifestAssetId":"`+in+`"}`)
	job := c.made("Jobs", chained(asset))
	task := c.get(key("Jobs", job) + "/Tasks?$filter=" + url.QueryEscape("Configuration ne null")[:0])["value"].([]any)[0].(map[string]any)["Id"].(string)
	template := c.made("JobTemplates", `{"JobTemplateBody":"<jobTemplate><taskBody taskTemplateId=\"nb:ttid:UUID:071370A3-E63E-4E81-A099-AD66BCAC3789\"><inputAsset>JobInputAsset(0)</inputAsset><outputAsset>JobOutputAsset(0)</outputAsset></taskBody></jobTemplate>",
		"TaskTemplates":[{"Id":"nb:ttid:UUID:071370A3-E63E-4E81-A099-AD66BCAC3789","Configuration":"H264 Broadband 720p","MediaProcessorId":"nb:mpid:UUID:2e7aa8f3-4961-4e0c-b4db-0e0439e524f5","NumberofInputAssets":1,"NumberofOutputAssets":1}]}`)
	output := c.get(key("Jobs", job) + "/OutputMediaAssets")["value"].([]any)[0].(map[string]any)["Id"].(string)
	from := map[string]string{"Assets": asset, "Files": file, "Locators": locator, "ContentKeyAuthorizationPolicies": policy, "IngestManifests": manifest,
		"IngestManifestAssets": in, "Jobs": job, "Tasks": task, "JobTemplates": template}
	for _, set := range servedSets(t) {
		for _, n := range set.Navigation {
			entity := key(set.Name, from[set.Name])
			if n.Name == "ParentAssets" { // of what a job made
				entity = key(set.Name, output)
			}
			whole := c.get(entity + "?$expand=" + n.Name)[n.Name]
			if !n.Many {
				one, _ := whole.(map[string]any)
				shown := c.get(entity + "/" + n.Name)
				if link := c.get(entity + "/$links/" + n.Name)["url"]; len(one) == 0 || shown["odata.metadata"] == nil || link == nil {
					t.Errorf("%s/%s: expanded %v, read %v, linked %v", set.Name, n.Name, one, shown, link)
				}
				continue
			}
			expanded, _ := whole.([]any)
			read, _ := c.get(entity + "/" + n.Name)["value"].([]any)
			links, _ := c.get(entity + "/$links/" + n.Name)["value"].([]any)
			code, count := send(t, "GET", c.URL+"/api/"+entity+"/"+n.Name+"/$count", "", http.Header{})
			if len(read) == 0 || len(read) != len(expanded) || len(links) != len(read) || code != 200 || count != fmt.Sprint(len(read)) {
				t.Errorf("%s/%s: %d read, %d expanded, %d linked, %d %s counted", set.Name, n.Name, len(read), len(expanded), len(links), code, count)
			}
		}
	}
}
