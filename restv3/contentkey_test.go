package restv3_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
)

const (
	keyID    = "aaaaaaaa-1111-2222-3333-444444444444"
	keyValue = "MDEyMzQ1Njc4OWFiY2RlZg=="
)

// custom is a streaming policy of all schemes.
const custom = `{"properties":{"defaultContentKeyPolicyName":"p",
	"noEncryption":{"enabledProtocols":{"download":true,"dash":false,"hls":false,"smoothStreaming":false}},
	"envelopeEncryption":{"enabledProtocols":{"download":false,"dash":true,"hls":true,"smoothStreaming":true},"customKeyAcquisitionUrlTemplate":"https://keys.example.com/{ContentKeyId}",
		"contentKeys":{"defaultKey":{"label":"aes"}}},
	"commonEncryptionCenc":{"enabledProtocols":{"download":false,"dash":true,"hls":false,"smoothStreaming":true},
		"clearTracks":[{"trackSelections":[{"property":"FourCC","operation":"Equal","value":"mp4a"}]}],
		"contentKeys":{"defaultKey":{"label":"cenc","policyName":"q"},"keyToTrackMappings":[{"label":"uhd","policyName":"P","tracks":[{"trackSelections":[{"property":"FourCC","operation":"Equal","value":"hev1"}]}]}]},
		"drm":{"playReady":{"customLicenseAcquisitionUrlTemplate":"https://drm.example.com/{AlternativeMediaId}","playReadyCustomAttributes":"a"},"widevine":{}}},
	"commonEncryptionCbcs":{"enabledProtocols":{"download":false,"dash":false,"hls":true,"smoothStreaming":false},
		"contentKeys":{"defaultKey":{"label":"cbcs"}},"drm":{"fairPlay":{"allowPersistentLicense":true}},"clearKeyEncryptionConfiguration":{"customKeysAcquisitionUrlTemplate":"https://keys.example.com/"}}}}`

func TestCustomStreamingPolicies(t *testing.T) {
	w := newWorld(t, func(c *account.Config) { c.Now = clock })
	w.refused(400, "BadRequest", "properties.defaultContentKeyPolicyName", "'p' is not found", "PUT", "/streamingPolicies/c", custom)
	w.want(201, "PUT", "/contentKeyPolicies/p", `{"properties":{"options":[`+openClearKey+`]}}`)
	w.refused(400, "BadRequest", "properties.commonEncryptionCenc.contentKeys.defaultKey.policyName", "'q' is not found", "PUT", "/streamingPolicies/c", custom)
	w.want(201, "PUT", "/contentKeyPolicies/q", `{"properties":{"options":[`+openClearKey+`]}}`)
	made := w.want(201, "PUT", "/streamingPolicies/c", custom)
	golden(t, "custompolicy.2023-01-01.json", w.want(200, "GET", "/streamingPolicies/c?api-version=2023-01-01", "").body)
	if again := w.want(201, "PUT", "/streamingPolicies/C", custom); again.body != made.body {
		t.Errorf("a retry answers %s", again.body)
	}
	w.refused(409, "Conflict", "", "can't be changed", "PUT", "/streamingPolicies/c", strings.Replace(custom, `"label":"aes"`, `"label":"AES"`, 1))
	w.refused(409, "Conflict", "", "can't be changed", "PUT", "/streamingPolicies/c", strings.Replace(custom, `"defaultContentKeyPolicyName":"p"`, `"defaultContentKeyPolicyName":"q"`, 1))
	for _, tt := range []struct{ from, to, code, target string }{
		{`"allowPersistentLicense":true`, ``, "BadRequest", "properties.commonEncryptionCbcs.drm.fairPlay.allowPersistentLicense"},
		{`"label":"cbcs"`, `"label":7`, "InvalidRequestContent", "properties.commonEncryptionCbcs.contentKeys.defaultKey.label"},
		{`"operation":"Equal","value":"mp4a"`, `"operation":"Like","value":"mp4a"`, "BadRequest", "properties.commonEncryptionCenc.clearTracks[0].trackSelections[0].operation"},
		{`"download":true`, `"download":"yes"`, "InvalidRequestContent", "properties.noEncryption.enabledProtocols.download"},
		{`"https://keys.example.com/{ContentKeyId}"`, `"{ContentKeyId}"`, "BadRequest", "properties.envelopeEncryption.customKeyAcquisitionUrlTemplate"},
	} {
		w.refused(400, tt.code, tt.target, "", "PUT", "/streamingPolicies/bad", strings.Replace(custom, tt.from, tt.to, 1))
	}
}

func TestLocatorKeys(t *testing.T) {
	w := newWorld(t, func(c *account.Config) { c.Now = clock })
	ctx := t.Context()
	w.want(201, "PUT", "/assets/a", `{"properties":{}}`)
	w.put("a", "clip.ism")
	w.put("a", "clip.mp4")
	w.want(201, "PUT", "/contentKeyPolicies/p", `{"properties":{"options":[`+openClearKey+`]}}`)
	w.want(201, "PUT", "/contentKeyPolicies/q", `{"properties":{"options":[`+openClearKey+`]}}`)
	w.want(201, "PUT", "/streamingPolicies/c", custom)
	locator := func(policy, rest string) string {
		return `{"properties":{"assetName":"a","streamingPolicyName":"` + policy + `"` + rest + `}}`
	}

	// Predefined policies: a key for each scheme, generated unless given.
	const p = `,"defaultContentKeyPolicyName":"P"`
	a := w.want(201, "PUT", "/streamingLocators/multi", locator("Predefined_MultiDrmStreaming", p))
	if a.at("properties/defaultContentKeyPolicyName") != "p" || strings.Contains(a.body, `"value"`) {
		t.Errorf("created: %s", a.body)
	}
	keys := w.want(200, "POST", "/streamingLocators/multi/listContentKeys", "")
	for i, want := range []struct{ scheme, label string }{{"EnvelopeEncryption", "clearKeyDefault"}, {"CommonEncryptionCenc", "cencDefaultKey"}, {"CommonEncryptionCbcs", "cbcsDefaultKey"}} {
		at := fmt.Sprintf("contentKeys/%d/", i)
		value, _ := keys.at(at + "value").(string)
		if keys.at(at+"type") != want.scheme || keys.at(at+"labelReferenceInStreamingPolicy") != want.label || keys.at(at+"policyName") != "p" || len(value) != 24 {
			t.Errorf("key %d: %s", i, keys.body)
		}
		if a.at("properties/"+at+"id") != keys.at(at+"id") {
			t.Errorf("ids: %s and %s", a.body, keys.body)
		}
	}
	if keys.at("contentKeys/0/value") == keys.at("contentKeys/1/value") || keys.at("contentKeys/0/id") == keys.at("contentKeys/1/id") || keys.at("contentKeys/3") != nil {
		t.Errorf("keys: %s", keys.body)
	}
	if again := w.want(201, "PUT", "/streamingLocators/multi", locator("Predefined_MultiDrmStreaming", p)); again.body != a.body {
		t.Errorf("a retry answers %s", again.body)
	}

	// Given keys, by label. A custom policy with all schemes, filtered paths.
	given := `,"streamingLocatorId":"bbbbbbbb-1111-2222-3333-444444444444","contentKeys":[{"id":"{` + strings.ToUpper(keyID) + `}","labelReferenceInStreamingPolicy":"aes","value":"` + keyValue + `"},
		{"id":"cccccccc-1111-2222-3333-444444444444","labelReferenceInStreamingPolicy":"UHD"}]`
	a = w.want(201, "PUT", "/streamingLocators/custom", locator("c", given))
	keys = w.want(200, "POST", "/streamingLocators/custom/listContentKeys", "")
	if keys.at("contentKeys/0/id") != keyID || keys.at("contentKeys/0/value") != keyValue || keys.at("contentKeys/2/id") != "cccccccc-1111-2222-3333-444444444444" ||
		keys.at("contentKeys/1/policyName") != "q" || keys.at("contentKeys/2/policyName") != "p" || keys.at("contentKeys/2/tracks/0/trackSelections/0/value") != "hev1" || keys.at("contentKeys/4") != nil {
		t.Errorf("given: %s", keys.body)
	}
	w.want(201, "PUT", "/streamingLocators/custom", locator("c", given))
	w.refused(409, "Conflict", "", "exists already", "PUT", "/streamingLocators/custom", locator("c", strings.Replace(given, `"aes"`, `"cbcs"`, 1)))
	w.refused(409, "Conflict", "", "exists already", "PUT", "/streamingLocators/custom", locator("c", ""))
	for _, version := range []string{"2018-07-01", "2023-01-01"} {
		golden(t, "protectedlocator."+version+".json", w.want(200, "GET", "/streamingLocators/custom?api-version="+version, "").body)
		golden(t, "protectedpaths."+version+".json", w.want(200, "POST", "/streamingLocators/custom/listPaths?api-version="+version, "").body)
	}

	// One id, one value in an account.
	w.refused(409, "Conflict", "properties.contentKeys[0].value", "another value", "PUT", "/streamingLocators/other",
		locator("Predefined_ClearKey", p+`,"contentKeys":[{"id":"`+keyID+`","value":"AAAAAAAAAAAAAAAAAAAAAA=="}]`))
	w.want(201, "PUT", "/streamingLocators/shared", locator("Predefined_ClearKey", p+`,"contentKeys":[{"id":"`+keyID+`"}]`))
	if a := w.want(200, "POST", "/streamingLocators/shared/listContentKeys", ""); a.at("contentKeys/0/value") != keyValue {
		t.Errorf("a shared key: %s", a.body)
	}
	w.want(201, "PUT", "/streamingLocators/documented", locator("Predefined_MultiDrmCencStreaming", p+`,"contentKeys":[{"id":"dddddddd-1111-2222-3333-444444444444","labelReferenceInStreamingPolicy":"cencKeyDefault"}]`))

	for _, tt := range []struct{ policy, rest, target, text string }{
		{"Predefined_ClearKey", "", "properties.defaultContentKeyPolicyName", "needs a content key policy"},
		{"Predefined_ClearKey", `,"defaultContentKeyPolicyName":"none"`, "properties.defaultContentKeyPolicyName", "'none' is not found"},
		{"Predefined_ClearKey", p + `,"contentKeys":[{"id":"` + keyID + `","value":"AAAA"}]`, "properties.contentKeys[0].value", "16 bytes"},
		{"Predefined_ClearKey", p + `,"contentKeys":[{"value":"AAAA"}]`, "properties.contentKeys[0].id", "missing"},
		{"Predefined_ClearKey", p + `,"contentKeys":[{"id":"` + keyID + `","labelReferenceInStreamingPolicy":"other"}]`, "properties.contentKeys[0].labelReferenceInStreamingPolicy", "'other'"},
		{"Predefined_MultiDrmStreaming", p + `,"contentKeys":[{"id":"` + keyID + `"}]`, "properties.contentKeys[0].labelReferenceInStreamingPolicy", "label"},
		{"Predefined_ClearKey", p + `,"contentKeys":[{"id":"` + keyID + `"},{"id":"` + keyID + `"}]`, "properties.contentKeys[1].labelReferenceInStreamingPolicy", "Two"},
	} {
		w.refused(400, "BadRequest", tt.target, tt.text, "PUT", "/streamingLocators/bad", locator(tt.policy, tt.rest))
	}

	// Keys that somebody else delivers need no policy here.
	w.want(201, "PUT", "/streamingPolicies/elsewhere", `{"properties":{"envelopeEncryption":{"enabledProtocols":{"download":false,"dash":true,"hls":true,"smoothStreaming":true},"customKeyAcquisitionUrlTemplate":"https://keys.example.com/{ContentKeyId}"}}}`)
	w.want(201, "PUT", "/streamingLocators/elsewhere", locator("elsewhere", ""))

	// What origin and key delivery see.
	grants := must(w.accounts.LocatorKeys(ctx, "BBBBBBBB-1111-2222-3333-444444444444"))(t)
	if len(grants) != 4 || grants[0].Key.Scheme != ams.Envelope || string(grants[0].Key.Value) != "0123456789abcdef" || grants[1].Policy.Name != "q" || grants[0].Account.Name != acct {
		t.Errorf("LocatorKeys: %+v", grants)
	}
	grants = must(w.accounts.KeyGrants(ctx, strings.ToUpper(keyID)))(t)
	if len(grants) != 2 || grants[0].Policy.Options[0].Restricts() != ams.OpenRestriction {
		t.Errorf("KeyGrants: %+v", grants)
	}
	for _, id := range []string{"00000000-0000-0000-0000-000000000000", "x", ""} {
		if _, err := w.accounts.KeyGrants(ctx, id); ams.CodeOf(err) != ams.NotFound {
			t.Errorf("KeyGrants(%q): %v", id, err)
		}
	}

	// In use: by a locator's default, or by one of its keys alone.
	w.refused(409, "Conflict", "", "used by 4", "DELETE", "/contentKeyPolicies/p", "")
	w.refused(409, "Conflict", "", "used by 1", "DELETE", "/contentKeyPolicies/q", "")
	w.refused(409, "Conflict", "", "used by", "DELETE", "/streamingPolicies/c", "")
	if a := w.as("Reader", "POST", "/streamingLocators/multi/listContentKeys", ""); a.status != 403 {
		t.Errorf("a Reader sees keys: %d", a.status)
	}
	w.want(404, "POST", "/streamingLocators/none/listContentKeys", "")
	w.want(200, "DELETE", "/streamingLocators/custom", "")
	w.want(200, "DELETE", "/contentKeyPolicies/q", "")
	w.want(200, "DELETE", "/assets/a", "")
	if _, err := w.accounts.KeyGrants(ctx, keyID); ams.CodeOf(err) != ams.NotFound {
		t.Errorf("the keys of a deleted asset: %v", err)
	}
	w.want(200, "DELETE", "/contentKeyPolicies/p", "")
}

// TestKeyIDsOfTwoAccounts: the URL of a key names its id alone, so an id has
// one value in the whole server, and no account takes over another's.
func TestKeyIDsOfTwoAccounts(t *testing.T) {
	w := newWorld(t, nil)
	second := strings.TrimSuffix(w.account, "openams") + "second"
	store := strings.Replace(w.account, "Microsoft.Media/mediaServices/openams", "Microsoft.Storage/storageAccounts/openamsstore", 1)
	w.want(201, "PUT", second, `{"location":"local","properties":{"storageAccounts":[{"id":"`+store+`","type":"Primary"}]}}`)
	for _, account := range []string{w.account, second} {
		w.want(201, "PUT", account+"/assets/a", `{"properties":{}}`)
		w.want(201, "PUT", account+"/contentKeyPolicies/p", `{"properties":{"options":[`+openClearKey+`]}}`)
	}
	locator := func(value string) string {
		return `{"properties":{"assetName":"a","streamingPolicyName":"Predefined_ClearKey","defaultContentKeyPolicyName":"p","contentKeys":[{"id":"` + keyID + `"` + value + `}]}}`
	}
	const same, other = `,"value":"` + keyValue + `"`, `,"value":"AAAAAAAAAAAAAAAAAAAAAA=="`
	w.want(201, "PUT", "/streamingLocators/one", locator(same))
	w.refused(409, "Conflict", "properties.contentKeys[0].id", "in use", "PUT", second+"/streamingLocators/x", locator(other))
	w.refused(409, "Conflict", "properties.contentKeys[0].id", "in use", "PUT", second+"/streamingLocators/x", locator(""))
	w.want(201, "PUT", second+"/streamingLocators/x", locator(same))
	w.want(201, "PUT", second+"/streamingLocators/y", locator(""))
	w.want(201, "PUT", "/streamingLocators/two", locator(""))
	w.refused(409, "Conflict", "properties.contentKeys[0].value", "another value", "PUT", "/streamingLocators/three", locator(other))
}
