package restv2_test

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/openams/openams/restv2/odata"
)

// nasty are values that no property wants, but for a few.
var nasty = []any{nil, []any{}, []any{nil}, []any{[]any{}}, []any{map[string]any{}}, map[string]any{}, map[string]any{"no": nil}, "", "x\x00", "\u202e", strings.Repeat("x", 5000), -1, 1e308, "9223372036854775808", true,
	"NaN", "2015-13-45", "P99999999999999Y", "nb:cid:UUID:x"}

// broken are objects of a complex type, each with one member that is wrong.
func broken(m *odata.Model, typ string, depth int) (all []any) {
	name, _ := strings.CutSuffix(strings.TrimPrefix(typ, "Collection("), ")")
	name = name[strings.LastIndexByte(name, '.')+1:]
	i := slices.IndexFunc(m.Types, func(t *odata.ComplexType) bool { return t.Name == name })
	if i < 0 || depth > 2 {
		return nil
	}
	for _, p := range m.Types[i].Properties {
		for _, v := range []any{nil, []any{nil}, map[string]any{}, "x", -1} {
			all = append(all, map[string]any{p.Name: v})
		}
		for _, inner := range broken(m, p.Type, depth+1) {
			if strings.HasPrefix(p.Type, "Collection") {
				inner = []any{inner}
			}
			all = append(all, map[string]any{p.Name: inner})
		}
	}
	return all
}

// No value of a property makes the server fail: every one is taken, or refused
// with a reason.
func TestNoValueBreaks(t *testing.T) {
	c := newKeyClient(t)
	text, err := os.ReadFile("model.json")
	if err != nil {
		t.Fatal(err)
	}
	m, err := odata.ParseModel(text)
	if err != nil {
		t.Fatal(err)
	}
	asset := c.made("Assets", `{}`)
	access := c.made("AccessPolicies", `{"Name":"p","DurationInMinutes":1,"Permissions":1}`)
	manifest := c.made("IngestManifests", `{}`)
	bulk := c.made("IngestManifestAssets", `{"ParentIngestManifestId":"`+manifest+`","Asset":{"Id":"`+asset+`"}}`)
	hook := c.made("NotificationEndPoints", `{"Name":"n","EndPointType":3,"EndPointAddress":"https://example.com/"}`)
	good := map[string]string{
		"Assets": `{}`, "Files": `{"Name":"f.mp4","ParentAssetId":"` + asset + `"}`, "AccessPolicies": `{"Name":"p","DurationInMinutes":1}`,
		"Locators":    `{"AccessPolicyId":"` + access + `","AssetId":"` + asset + `","Type":2}`,
		"ContentKeys": c.keyBody(keyGUID, 4, []byte("0123456789abcdef")), "ContentKeyAuthorizationPolicies": `{}`,
		"ContentKeyAuthorizationPolicyOptions": `{"Name":"o","KeyDeliveryType":2,"Restrictions":[{"Name":"r","KeyRestrictionType":0}]}`,
		"AssetDeliveryPolicies":                `{"AssetDeliveryProtocol":2,"AssetDeliveryPolicyType":2}`, "IngestManifests": `{}`,
		"IngestManifestAssets": `{"ParentIngestManifestId":"` + manifest + `","Asset":{"Id":"` + asset + `"}}`,
		"IngestManifestFiles":  `{"Name":"f","ParentIngestManifestId":"` + manifest + `","ParentIngestManifestAssetId":"` + bulk + `"}`,
		"Jobs":                 chained(asset), "JobTemplates": `{"JobTemplateBody":"<jobTemplate/>","TaskTemplates":[{"Id":"nb:ttid:UUID:00000000-0000-4000-8000-000000000000","MediaProcessorId":"x"}]}`,
		"NotificationEndPoints": `{"Name":"n","EndPointType":3,"EndPointAddress":"https://example.com/"}`, "StreamingEndpoints": `{"Name":"e"}`,
		"Filters": `{"Name":"f"}`, "AssetFilters": `{"Name":"f","ParentAssetId":"` + asset + `"}`, "MonitoringConfigurations": `{"NotificationEndPointId":"` + hook + `","Settings":[]}`,
	}
	ask := func(method, path string, body any) map[string]any {
		t.Helper()
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		code, _, v := ask(t, c.Server, "Contributor", method, path, string(text))
		if code >= 500 && code != 501 && !strings.Contains(string(text), "DurationInMinutes") { // a documented 500
			t.Errorf("%s %s %s: %d %v", method, path, text, code, v)
		}
		return v
	}
	for _, set := range m.Sets {
		body := map[string]any{}
		if good[set.Name] == "" {
			continue
		}
		if err := json.Unmarshal([]byte(good[set.Name]), &body); err != nil {
			t.Fatal(set.Name, err)
		}
		made := ask("POST", set.Name, body)
		id, _ := made[set.Key().Name].(string)
		values := map[string][]any{}
		for _, p := range set.Properties {
			values[p.Name] = append(slices.Clone(nasty), broken(m, p.Type, 0)...)
			for _, v := range broken(m, p.Type, 0) {
				values[p.Name] = append(values[p.Name], []any{v})
			}
		}
		for _, n := range set.Navigation {
			values[n.Name] = nasty
			values[n.Name+"@odata.bind"] = nasty
		}
		for name, list := range values {
			for _, v := range list {
				other := maps.Clone(body)
				other[name] = v
				ask("POST", set.Name, other)
				if id != "" {
					ask("MERGE", key(set.Name, id), map[string]any{name: v})
				}
			}
		}
	}
}
