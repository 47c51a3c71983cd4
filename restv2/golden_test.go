package restv2_test

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	aGUID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	aTime = regexp.MustCompile(`20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z`)
)

// golden compares an answer in all formats with a file of testdata. Guids are
// numbered, and times are all one.
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
