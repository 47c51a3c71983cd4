package restv2_test

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
)

// The .NET SDK links a new locator to its asset and its access policy.
func TestLocatorLinked(t *testing.T) {
	s, _, _ := newWorld(t)
	_, parent := create(t, s, "Assets", `{"StorageAccount":{"__metadata":{"uri":"https://media.windows.net/api/StorageAccounts('store')"}}}`)
	_, other := create(t, s, "Assets", `{}`)
	_, policy := create(t, s, "AccessPolicies", `{"Name":"p","DurationInMinutes":440,"Permissions":1}`)
	for _, body := range []string{
		`{"Type":2,"Asset@odata.bind":"https://media.windows.net/api/Assets('` + parent + `')","AccessPolicy@odata.bind":"AccessPolicies('` + strings.ToUpper(policy) + `')"}`,
		`{"Type":1,"AssetId":null,"Asset":{"__metadata":{"uri":"Assets('` + parent + `')"}},"AccessPolicy":{"Id":"` + policy + `"},"AccessPolicyId":"` + policy + `"}`,
	} {
		if l, _ := create(t, s, "Locators", body); l["AssetId"] != parent || l["AccessPolicyId"] != policy {
			t.Errorf("%s: %v", body, l)
		}
	}
	entry := `<entry xmlns:d="http://schemas.microsoft.com/ado/2007/08/dataservices" xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata" xmlns="http://www.w3.org/2005/Atom">
		<category scheme="http://schemas.microsoft.com/ado/2007/08/dataservices/scheme" term="Microsoft.Cloud.Media.Vod.Rest.Data.Models.Locator" />
		<link rel="http://schemas.microsoft.com/ado/2007/08/dataservices/related/AccessPolicy" type="application/atom+xml;type=entry" href="https://media.windows.net/api/AccessPolicies('` + url.QueryEscape(policy) + `')" />
		<link rel="http://schemas.microsoft.com/ado/2007/08/dataservices/related/Asset" type="application/atom+xml;type=entry" href="https://media.windows.net/api/Assets('` + url.QueryEscape(parent) + `')" />
		<title /><author><name /></author><updated>2026-01-01T00:00:00Z</updated><id />
		<content type="application/xml"><m:properties><d:AccessPolicyId m:null="true" /><d:AssetId m:null="true" /><d:Id m:null="true" /><d:StartTime m:type="Edm.DateTime" m:null="true" /><d:Type m:type="Edm.Int32">1</d:Type></m:properties></content></entry>`
	if status, body := sendAs(t, s, "application/atom+xml", "application/json", "POST", "Locators", entry); status != 201 || !strings.Contains(body, parent) || !strings.Contains(body, policy) {
		t.Errorf("%d %s", status, body)
	}
	for _, body := range []string{
		`{"Type":1,"AssetId":"` + other + `","Asset@odata.bind":"Assets('` + parent + `')","AccessPolicyId":"` + policy + `"}`,
		`{"Type":1,"Asset@odata.bind":"AccessPolicies('` + policy + `')","AccessPolicyId":"` + policy + `"}`,
		`{"Type":1,"Asset@odata.bind":["Assets('` + parent + `')","Assets('` + parent + `')"],"AccessPolicyId":"` + policy + `"}`,
		`{"Type":1,"AccessPolicyId":"` + policy + `"}`,
	} {
		if code, _, v := ask(t, s, "Contributor", "POST", "Locators", body); code != 400 {
			t.Errorf("%s: %d %v", body, code, v)
		}
	}
}

// A SAS locator is spelled as the documents print it, backed by a stored access
// policy that dies with it.
func TestSASLocator(t *testing.T) {
	s, _, blobs := newWorld(t)
	_, parent := create(t, s, "Assets", `{"Name":"a"}`)
	p, policy := create(t, s, "AccessPolicies", `{"Name":"NewUploadPolicy", "DurationInMinutes":"440", "Permissions":"2"}`)
	if p["DurationInMinutes"] != 440.0 || p["Permissions"] != 2.0 || p["Name"] != "NewUploadPolicy" || !strings.HasPrefix(policy, "nb:pid:UUID:") {
		t.Errorf("%v", p)
	}
	l, id := create(t, s, "Locators", `{"AccessPolicyId":"`+strings.ToUpper(policy)+`","AssetId":"`+parent+`","StartTime":"2015-02-18T16:45:53","Type":1}`)
	guid, container := strings.TrimPrefix(id, "nb:lid:UUID:"), "asset-"+strings.TrimPrefix(parent, "nb:cid:UUID:")
	component := l["ContentAccessComponent"].(string)
	for name, want := range map[string]any{"ExpirationDateTime": "2015-02-19T00:05:53", "Type": 1.0, "BaseUri": "http://127.0.0.1:10000/store/" + container,
		"Path": "http://127.0.0.1:10000/store/" + container + component, "AccessPolicyId": policy, "AssetId": parent, "StartTime": "2015-02-18T16:45:53", "Name": nil} {
		if l[name] != want {
			t.Errorf("%s is %v, want %v", name, l[name], want)
		}
	}
	if want := regexp.MustCompile(`^\?sv=2012-02-12&sr=c&si=` + guid + `&sig=[0-9A-Za-z%]+%3D&st=2015-02-18T16%3A45%3A53Z&se=2015-02-19T00%3A05%3A53Z$`); !want.MatchString(component) {
		t.Errorf("ContentAccessComponent %s", component)
	}
	stored := func() string {
		t.Helper()
		c, err := blobs.Container(t.Context(), "store", container)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, p := range c.Policies {
			out = append(out, p.ID+" "+p.Permissions)
		}
		return strings.Join(out, ",")
	}
	if got := stored(); got != guid+" w" {
		t.Errorf("stored access policies: %s", got)
	}
	// Who may only read does not see what opens the container.
	if _, _, v := ask(t, s, "Reader", "GET", "Locators('"+id+"')", ""); v["Path"] != nil || v["ContentAccessComponent"] != nil || v["BaseUri"] != l["BaseUri"] {
		t.Errorf("a Reader sees %v", v)
	}
	// Without a start there is none in the URL; one with a zone keeps it.
	l, _ = create(t, s, "Locators", `{"AccessPolicyId":"`+policy+`","AssetId":"`+parent+`","Type":"1","Name":"n"}`)
	if component = l["ContentAccessComponent"].(string); strings.Contains(component, "&st=") || l["StartTime"] != nil || l["Name"] != "n" {
		t.Errorf("%v", l)
	}
	l, _ = create(t, s, "Locators", `{"AccessPolicyId":"`+policy+`","AssetId":"`+parent+`","Type":1,"StartTime":"2014-05-23T17:53:50.5Z"}`)
	if l["StartTime"] != "2014-05-23T17:53:50Z" || l["ExpirationDateTime"] != "2014-05-24T01:13:50Z" {
		t.Errorf("%v", l)
	}
	create(t, s, "Locators", `{"AccessPolicyId":"`+policy+`","AssetId":"`+parent+`","Type":1,"StartTime":"11/21/2026 10:58:50 PM"}`)
	own := "nb:lid:UUID:AF57BDD8-6751-4e84-b403-f3c140444b54"
	if _, got := create(t, s, "Locators", `{"Id":"`+own+`","AccessPolicyId":"`+policy+`","AssetId":"`+parent+`","Type":2}`); got != "nb:lid:UUID:af57bdd8-6751-4e84-b403-f3c140444b54" {
		t.Errorf("Id %s", got)
	}
	_, other := create(t, s, "Assets", `{"Options":1}`)
	_, plain := create(t, s, "Assets", `{}`)
	none := strings.Repeat("0", 36)
	post := func(asset, more string) string {
		return `{"AccessPolicyId":"` + policy + `","AssetId":"` + asset + `"` + more + `}`
	}
	for _, tt := range []struct {
		role, method, path, body string
		code                     int
	}{
		{"Contributor", "POST", "Locators", post(parent, `,"Type":1`), 409}, // the sixth
		{"Contributor", "POST", "Locators", post(other, `,"Type":1,"Id":"`+own+`"`), 409},
		{"Contributor", "POST", "Locators", post(plain, `,"Type":2,"Id":"`+id+`"`), 409},
		{"Contributor", "POST", "Locators", post(other, `,"Type":2`), 400}, // storage encrypted
		{"Contributor", "POST", "Locators", post(other, `,"Type":0`), 400},
		{"Contributor", "POST", "Locators", post(other, ``), 400},
		{"Contributor", "POST", "Locators", post(other, `,"Type":1,"Id":"x"`), 400},
		{"Contributor", "POST", "Locators", post(other, `,"Type":1,"StartTime":"soon"`), 400},
		{"Contributor", "POST", "Locators", post("nb:cid:UUID:"+none, `,"Type":1`), 404},
		{"Contributor", "POST", "Locators", `{"AccessPolicyId":"nb:pid:UUID:` + none + `","AssetId":"` + other + `","Type":1}`, 404},
		{"Reader", "POST", "Locators", post(other, `,"Type":1`), 403},
		{"Contributor", "MERGE", "Locators('" + id + "')", `{"StartTime":"2016-02-18T16:45:53"}`, 400},
		{"Contributor", "MERGE", "AccessPolicies('" + policy + "')", `{"Name":"x"}`, 400},
		{"Contributor", "POST", "AccessPolicies", `{"Name":"x"}`, 500}, // documented
		{"Contributor", "POST", "AccessPolicies", `{"DurationInMinutes":1}`, 400},
		{"Contributor", "POST", "AccessPolicies", `{"Name":"x","DurationInMinutes":0}`, 400},
		{"Contributor", "POST", "AccessPolicies", `{"Name":"x","DurationInMinutes":1,"Permissions":16}`, 400},
		{"Contributor", "GET", "Locators('nb:lid:UUID:" + none + "')", ``, 404},
		{"Contributor", "DELETE", "Locators('nb:lid:UUID:" + none + "')", ``, 404},
	} {
		if code, _, v := ask(t, s, tt.role, tt.method, tt.path, tt.body); code != tt.code {
			t.Errorf("%s %s %s: %d %v, want %d", tt.method, tt.path, tt.body, code, v, tt.code)
		}
	}
	if _, _, v := ask(t, s, "Contributor", "GET", "Locators('"+id+"')/AccessPolicy", ""); v["Id"] != policy {
		t.Errorf("%v", v)
	}
	if _, _, v := ask(t, s, "Contributor", "GET", "Locators('"+id+"')/Asset", ""); v["Id"] != parent {
		t.Errorf("%v", v)
	}
	if got := names(t, s, "Assets('"+parent+"')/Locators?$orderby=Type%20desc,ExpirationDateTime&$top=3", "ExpirationDateTime"); !strings.HasSuffix(got, " 2014-05-24T01:13:50Z 2015-02-19T00:05:53") {
		t.Error(got)
	}
	if got := names(t, s, "Locators?$filter=AccessPolicyId%20eq%20'"+policy+"'%20and%20Type%20eq%202", "Id"); got != "nb:lid:UUID:af57bdd8-6751-4e84-b403-f3c140444b54" {
		t.Error(got)
	}
	// A deleted locator takes its stored access policy along; the policy of v2 may go first.
	for _, path := range []string{"AccessPolicies('" + policy + "')", "Locators('" + id + "')"} {
		if code, _, v := ask(t, s, "Contributor", "DELETE", path, ""); code != 204 {
			t.Errorf("DELETE %s: %d %v", path, code, v)
		}
	}
	if got := stored(); strings.Contains(got, guid) || strings.Count(got, ",") != 2 {
		t.Errorf("stored access policies: %s", got)
	}
	if code, _, _ := ask(t, s, "Contributor", "DELETE", "Assets('"+parent+"')?keepcontainer=true", ""); code != 204 {
		t.Errorf("%d", code)
	}
	if got := stored(); got != "" {
		t.Errorf("the locators outlive the asset: %s", got)
	}
	if got := names(t, s, "Locators", "Id"); got != "" {
		t.Errorf("locators of a deleted asset: %s", got)
	}
}

// An OnDemandOrigin locator is a streaming locator of v3, and the other way
// round.
func TestOriginLocator(t *testing.T) {
	s, acc, _ := newWorld(t)
	ctx := t.Context()
	_, parent := create(t, s, "Assets", `{"Name":"a"}`)
	_, policy := create(t, s, "AccessPolicies", `{"Name":"p","DurationInMinutes":60,"Permissions":1}`)
	l, id := create(t, s, "Locators", `{"AccessPolicyId":"`+policy+`","AssetId":"`+parent+`","StartTime":"2014-05-17T16:45:53",, "Type":2}`)
	guid := strings.TrimPrefix(id, "nb:lid:UUID:")
	for name, want := range map[string]any{"Path": "http://localhost:8888/" + guid + "/", "BaseUri": "http://localhost:8888", "ContentAccessComponent": guid,
		"StartTime": "2014-05-17T16:45:53", "ExpirationDateTime": "2014-05-17T17:45:53"} {
		if l[name] != want {
			t.Errorf("%s is %v, want %v", name, l[name], want)
		}
	}
	v3, err := acc.Locator(ctx, "locator-"+guid)
	if err != nil || v3.ID != guid || v3.Policy != "Predefined_DownloadAndClearStreaming" || !v3.End.Equal(time.Date(2014, 5, 17, 17, 45, 53, 0, time.UTC)) {
		t.Fatalf("%+v %v", v3, err)
	}
	// v2 moves its times: the start alone takes the end along.
	for _, step := range []struct {
		change string
		code   int
		want   string
	}{
		{`{"StartTime":"2020-01-01T00:00:00Z"}`, 204, "2020-01-01T00:00:00Z 2020-01-01T01:00:00Z"},
		{`{"ExpirationDateTime":"2030-01-01T00:00:00"}`, 204, "2020-01-01T00:00:00Z 2030-01-01T00:00:00Z"},
		{`{"StartTime":"2021-01-01T00:00:00","ExpirationDateTime":"2022-01-01T00:00:00","Path":"x","Type":"2"}`, 204, "2021-01-01T00:00:00 2022-01-01T00:00:00"},
		{`{"ExpirationDateTime":"2020-01-01T00:00:00"}`, 400, "2021-01-01T00:00:00 2022-01-01T00:00:00"},
		{`{"AssetId":"nb:cid:UUID:x"}`, 400, "2021-01-01T00:00:00 2022-01-01T00:00:00"},
	} {
		if code, _, v := ask(t, s, "Contributor", "MERGE", "Locators('"+id+"')", step.change); code != step.code {
			t.Errorf("%s: %d %v", step.change, code, v)
		}
		_, _, l := ask(t, s, "Reader", "GET", "Locators('"+id+"')", "")
		if got := fmt.Sprint(l["StartTime"], " ", l["ExpirationDateTime"]); got != step.want {
			t.Errorf("%s: %s, want %s", step.change, got, step.want)
		}
	}
	if v3, err = acc.Locator(ctx, v3.Name); err != nil || v3.Start.Year() != 2021 {
		t.Errorf("%+v %v", v3, err)
	}
	if _, err := acc.DeleteLocator(ctx, v3.Name); err != nil {
		t.Fatal(err)
	}
	if code, _, _ := ask(t, s, "Reader", "GET", "Locators('"+id+"')", ""); code != 404 {
		t.Errorf("v3 deleted it, but %d", code)
	}
	// One that v3 made.
	if _, _, err := acc.CreateOrUpdateAsset(ctx, "v3 asset", account.AssetInput{}); err != nil {
		t.Fatal(err)
	}
	made, err := acc.CreateLocator(ctx, "v3 locator", account.LocatorRequest{Asset: "v3 asset", Policy: "Predefined_ClearStreamingOnly", Filters: nil})
	if err != nil {
		t.Fatal(err)
	}
	_, _, l = ask(t, s, "Reader", "GET", "Locators('nb:lid:UUID:"+made.ID+"')", "")
	if l["Name"] != "v3 locator" || l["AccessPolicyId"] != nil || l["StartTime"] != nil || l["ExpirationDateTime"] != "9999-12-31T23:59:59.9999999Z" || l["Type"] != 2.0 {
		t.Errorf("%v", l)
	}
	if _, _, a := ask(t, s, "Reader", "GET", "Locators('nb:lid:UUID:"+made.ID+"')/Asset", ""); a["Name"] != "v3 asset" {
		t.Errorf("%v", a)
	}
	if code, _, _ := ask(t, s, "Contributor", "DELETE", "Locators('nb:lid:UUID:"+made.ID+"')", ""); code != 204 {
		t.Errorf("%d", code)
	}
	if _, err := acc.Locator(ctx, "v3 locator"); ams.CodeOf(err) != ams.NotFound {
		t.Errorf("v2 deleted it, but %v", err)
	}
}
