package restv2_test

import (
	"encoding/base64"
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/openams/openams/ams"
)

// What one account has is not there for another one of the server, with the
// same storage account, whatever id it names and however it refers to it.
func TestAccountsAreApart(t *testing.T) {
	c := newKeyClient(t)
	if _, _, _, err := c.accounts.CreateOrUpdateAccount(t.Context(), ams.Account{Name: "victim", SubscriptionID: "s", ResourceGroup: "g",
		Location: "here", Storage: []ams.AccountStorage{{Name: "store", Primary: true}}}); err != nil {
		t.Fatal(err)
	}
	mine, theirs := c.Server, serve(t, c.accounts, "victim")
	type account struct {
		s   *httptest.Server
		ids map[string]string // by set
	}
	fill := func(s *httptest.Server, seed byte) account {
		t.Helper()
		a := account{s, map[string]string{}}
		made := func(set, format string, args ...any) string {
			t.Helper()
			code, _, v := ask(t, s, "Contributor", "POST", set, fmt.Sprintf(format, args...))
			if code != 201 && code != 202 {
				t.Fatalf("%s: %d %v", set, code, v)
			}
			a.ids[set], _ = v["Id"].(string)
			return a.ids[set]
		}
		asset := made("Assets", `{"Name":"film"}`)
		made("Files", `{"Name":"film.mp4","ParentAssetId":%q}`, asset)
		access := made("AccessPolicies", `{"Name":"p","DurationInMinutes":60,"Permissions":1}`)
		made("ContentKeys", `{"ContentKeyType":4,"EncryptedContentKey":%q}`, c.wrap([]byte(strings.Repeat(string('a'+rune(seed)), 16))))
		made("ContentKeyAuthorizationPolicies", `{"Name":"p"}`)
		made("ContentKeyAuthorizationPolicyOptions", `{"Name":"o","KeyDeliveryType":2,"Restrictions":[{"Name":"r","KeyRestrictionType":0}]}`)
		made("AssetDeliveryPolicies", `{"Name":"d","AssetDeliveryProtocol":2,"AssetDeliveryPolicyType":2}`)
		manifest := made("IngestManifests", `{"Name":"m"}`)
		bulk := made("IngestManifestAssets", `{"ParentIngestManifestId":%q,"Asset":{"Id":%q}}`, manifest, asset)
		made("IngestManifestFiles", `{"Name":"f.mp4","ParentIngestManifestId":%q,"ParentIngestManifestAssetId":%q}`, manifest, bulk)
		made("NotificationEndPoints", `{"Name":"n","EndPointType":3,"EndPointAddress":"https://example.com/h"}`)
		made("AssetFilters", `{"Name":"f","ParentAssetId":%q}`, asset)
		made("StreamingEndpoints", `{"Name":"e%d"}`, seed)
		job := made("Jobs", `{"Name":"j","InputMediaAssets":[{"__metadata":{"uri":"Assets('%s')"}}],"Tasks":[%s]}`, asset, encodeTask)
		a.ids["Tasks"] = strings.Split(names(t, s, key("Jobs", job)+"/Tasks", "Id"), " ")[0]
		made("JobTemplates", `{"Name":"t","JobTemplateBody":"<jobTemplate><taskBody taskTemplateId=\"nb:ttid:UUID:%[1]s\"><inputAsset>JobInputAsset(0)</inputAsset><outputAsset>JobOutputAsset(0)</outputAsset></taskBody></jobTemplate>","TaskTemplates":[{"Id":"nb:ttid:UUID:%[1]s","Configuration":"H264 Smooth Streaming 720p","MediaProcessorId":"nb:mpid:UUID:1b1da727-93ae-4e46-a8a1-268828765609","NumberofInputAssets":1,"NumberofOutputAssets":1}]}`,
			fmt.Sprintf("0000000%d-0000-4000-8000-000000000000", seed))
		for _, kind := range []int{1, 2} {
			made("Locators", `{"AccessPolicyId":%q,"AssetId":%q,"Type":%d}`, access, asset, kind)
		}
		return a
	}
	own, other := fill(mine, 0), fill(theirs, 1)
	ask403or404 := func(method, path, body string) {
		t.Helper()
		code, _, v := ask(t, mine, "Contributor", method, path, body)
		if code != 404 && code != 403 && code != 400 && code != 405 {
			t.Errorf("%s %s %s: %d %v", method, path, body, code, v)
		}
		if code == 400 && !strings.Contains(fmt.Sprint(v), "cannot be updated") && !strings.Contains(fmt.Sprint(v), "There is no") && !strings.Contains(fmt.Sprint(v), "not found") {
			t.Errorf("%s %s %s: %v: does it look at what is another's?", method, path, body, v)
		}
	}
	for set, id := range other.ids {
		for method, body := range map[string]string{"GET": "", "DELETE": "", "MERGE": `{}`} {
			if set == "Tasks" && method != "GET" {
				continue
			}
			ask403or404(method, key(set, id), body)
		}
		if got := names(t, mine, set, "Id"); strings.Contains(got, id) {
			t.Errorf("%s lists %s", set, id)
		}
	}
	o := func(set string) string { return other.ids[set] }
	m := func(set string) string { return own.ids[set] }
	link := func(set, id string) string { return `{"uri":"` + uri(set, id) + `"}` }
	for _, tt := range [][3]string{
		{"POST", key("Assets", m("Assets")) + "/$links/ContentKeys", link("ContentKeys", o("ContentKeys"))},
		{"POST", key("Assets", o("Assets")) + "/$links/ContentKeys", link("ContentKeys", m("ContentKeys"))},
		{"DELETE", key("Assets", o("Assets")) + "/$links/ContentKeys('" + o("ContentKeys") + "')", ""},
		{"POST", key("Assets", m("Assets")) + "/$links/DeliveryPolicies", link("AssetDeliveryPolicies", o("AssetDeliveryPolicies"))},
		{"POST", key("Assets", o("Assets")) + "/$links/DeliveryPolicies", link("AssetDeliveryPolicies", m("AssetDeliveryPolicies"))},
		{"POST", key("ContentKeyAuthorizationPolicies", m("ContentKeyAuthorizationPolicies")) + "/$links/Options", link("ContentKeyAuthorizationPolicyOptions", o("ContentKeyAuthorizationPolicyOptions"))},
		{"POST", key("ContentKeyAuthorizationPolicies", o("ContentKeyAuthorizationPolicies")) + "/$links/Options", link("ContentKeyAuthorizationPolicyOptions", m("ContentKeyAuthorizationPolicyOptions"))},
		{"MERGE", key("ContentKeys", m("ContentKeys")), `{"AuthorizationPolicyId":"` + o("ContentKeyAuthorizationPolicies") + `"}`},
		{"POST", "Files", `{"Name":"x.mp4","ParentAssetId":"` + o("Assets") + `"}`},
		{"POST", key("Assets", o("Assets")) + "/Files", `{"Name":"x.mp4"}`},
		{"POST", "AssetFilters", `{"Name":"x","ParentAssetId":"` + o("Assets") + `"}`},
		{"MERGE", key("AssetFilters", o("Assets")+"__###__f"), `{"Tracks":[]}`},
		{"POST", "Locators", `{"Type":1,"AccessPolicyId":"` + m("AccessPolicies") + `","AssetId":"` + o("Assets") + `"}`},
		{"POST", "Locators", `{"Type":2,"AccessPolicyId":"` + o("AccessPolicies") + `","AssetId":"` + m("Assets") + `"}`},
		{"POST", "Locators", `{"Type":2,"AccessPolicyId":"` + m("AccessPolicies") + `","Asset@odata.bind":"` + uri("Assets", o("Assets")) + `"}`},
		{"POST", "IngestManifestAssets", `{"ParentIngestManifestId":"` + m("IngestManifests") + `","Asset":{"Id":"` + o("Assets") + `"}}`},
		{"POST", "IngestManifestAssets", `{"ParentIngestManifestId":"` + o("IngestManifests") + `","Asset":{"Id":"` + m("Assets") + `"}}`},
		{"POST", "IngestManifestFiles", `{"Name":"g","ParentIngestManifestId":"` + m("IngestManifests") + `","ParentIngestManifestAssetId":"` + o("IngestManifestAssets") + `"}`},
		{"POST", "IngestManifestFiles", `{"Name":"g","ParentIngestManifestId":"` + o("IngestManifests") + `","ParentIngestManifestAssetId":"` + o("IngestManifestAssets") + `"}`},
		{"POST", "Jobs", `{"Name":"x","InputMediaAssets@odata.bind":["` + uri("Assets", o("Assets")) + `"],"Tasks":[` + encodeTask + `]}`},
		{"POST", "Jobs", `{"Name":"x","InputMediaAssets@odata.bind":["` + uri("Assets", m("Assets")) + `"],"TemplateId":"` + o("JobTemplates") + `"}`},
		{"POST", "Jobs", `{"Name":"x","JobNotificationSubscriptions":[{"NotificationEndPointId":"` + o("NotificationEndPoints") + `","TargetJobState":2}],"InputMediaAssets@odata.bind":["` + uri("Assets", m("Assets")) + `"],"Tasks":[` + encodeTask + `]}`},
		{"POST", "MonitoringConfigurations", `{"NotificationEndPointId":"` + o("NotificationEndPoints") + `","Settings":[]}`},
		{"POST", "ContentKeyAuthorizationPolicyOptions", `{"Name":"f","KeyDeliveryType":4,"KeyDeliveryConfiguration":"{\"ASkId\":\"` + o("ContentKeys")[len("nb:kid:UUID:"):] + `\",\"FairPlayPfxPasswordId\":\"` + o("ContentKeys")[len("nb:kid:UUID:"):] + `\",\"FairPlayPfx\":\"AAAA\",\"ContentEncryptionIV\":\"0102\"}","Restrictions":[{"Name":"r","KeyRestrictionType":0}]}`},
		{"POST", key("StreamingEndpoints", o("StreamingEndpoints")) + "/Start", ""},
		{"GET", "CancelJob?jobid='" + url.QueryEscape(o("Jobs")) + "'", ""},
		{"GET", "CreateFileInfos?assetid='" + url.QueryEscape(o("Assets")) + "'", ""},
		{"GET", "RebindContentKey?id='" + url.QueryEscape(o("ContentKeys")) + "'&x509Certificate=''", ""},
		{"POST", key("ContentKeys", o("ContentKeys")) + "/GetKeyDeliveryUrl", `{"keyDeliveryType":2}`},
	} {
		code, _, v := ask(t, mine, "Contributor", tt[0], tt[1], tt[2])
		if code != 404 && code != 400 {
			t.Errorf("%s %s %s: %d %v", tt[0], tt[1], tt[2], code, v)
		}
		if text := fmt.Sprint(v); code == 400 && !strings.Contains(text, "There is no") && !strings.Contains(text, "not found") && !strings.Contains(text, "names no") {
			t.Errorf("%s %s: %s: is it another's that this is about?", tt[0], tt[1], text)
		}
	}
	// Nor has a role on one account any meaning on the other.
	const outsider = "Owner@/subscriptions/s/resourceGroups/g/providers/Microsoft.Media/mediaServices/victim"
	for set, id := range own.ids {
		for _, path := range []string{set, key(set, id), key(set, id) + "/Id"} {
			if code, _, v := ask(t, mine, outsider, "GET", path, ""); code != 403 {
				t.Errorf("GET %s by who belongs to the other account: %d %v", path, code, v)
			}
		}
		if code, _, v := ask(t, theirs, outsider, "GET", set, ""); code != 200 {
			t.Errorf("GET %s by who belongs to the account: %d %v", set, code, v)
		}
	}
	for _, path := range []string{"Assets?$expand=Files", "StorageAccounts", "EncodingReservedUnitTypes", "MediaProcessors", "GetProtectionKeyId?contentKeyType=1",
		"RebindContentKey?id='" + url.QueryEscape(m("ContentKeys")) + "'&x509Certificate=''"} {
		if code, _, v := ask(t, mine, outsider, "GET", path, ""); code != 403 {
			t.Errorf("GET %s by who belongs to the other account: %d %v", path, code, v)
		}
	}
	// An id of a locator or a key is one for the server, so that it leads to one
	// thing; it can't be taken over.
	for _, body := range []string{
		`{"Type":1,"Id":"` + o("Locators") + `","AccessPolicyId":"` + m("AccessPolicies") + `","AssetId":"` + m("Assets") + `"}`,
		`{"Type":2,"Id":"` + o("Locators") + `","AccessPolicyId":"` + m("AccessPolicies") + `","AssetId":"` + m("Assets") + `"}`,
	} {
		if code, _, v := ask(t, mine, "Contributor", "POST", "Locators", body); code != 409 {
			t.Errorf("%s: %d %v", body, code, v)
		}
	}
	if code, _, v := ask(t, mine, "Contributor", "POST", "ContentKeys", c.keyBody(o("ContentKeys")[len("nb:kid:UUID:"):], 4, []byte("0123456789abcdef"))); code != 409 {
		t.Errorf("%d %v", code, v)
	}
	// All of theirs is as it was.
	for set, id := range other.ids {
		if code, _, v := ask(t, theirs, "Contributor", "GET", key(set, id), ""); code != 200 {
			t.Errorf("%s: %d %v", set, code, v)
		}
	}
	if got := names(t, theirs, key("Assets", o("Assets"))+"/Files", "Name"); got != "film.mp4" {
		t.Errorf("files: %s", got)
	}
	if _, _, v := ask(t, theirs, "Contributor", "GET", "RebindContentKey?id='"+url.QueryEscape(o("ContentKeys"))+"'&x509Certificate=''", ""); v["value"] != base64.StdEncoding.EncodeToString([]byte("bbbbbbbbbbbbbbbb")) {
		t.Errorf("%v", v)
	}
	if s := names(t, theirs, "Jobs", "State"); s != "0" {
		t.Errorf("jobs: %s", s)
	}
}
