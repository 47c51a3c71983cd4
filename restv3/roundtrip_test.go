package restv3_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/openams/openams/account"
	"github.com/openams/openams/blob"
)

// A modelData is a model of models.json, read here on its own so that what
// the server makes of the file is tested too.
type modelData struct {
	Kind       string                  `json:"kind"`
	Subtypes   []string                `json:"subtypes"`
	Properties map[string]propertyData `json:"properties"`
}

type propertyData struct {
	Type     string    `json:"type"`
	Enum     string    `json:"enum"`
	ReadOnly bool      `json:"readOnly"`
	Min      *float64  `json:"min"`
	OneOf    []float64 `json:"oneOf"`
}

// A generator writes bodies that have every property of a model, with every
// type that may stand in its place and every value of its enums.
type generator struct {
	enums  map[string][]string
	models map[string]modelData
	// values are what properties take that rules bind together, by "Model.property".
	values map[string][]any
	// either are pairs of properties that exclude one another, by model.
	either map[string][][2]string
	// leaves are what ends a model that may hold itself.
	leaves map[string][]any
	seen   map[string]bool // "Model.property" of what was written
	serial int
}

// chunk is how many elements a generated array has at most.
const chunk = 5

// variants are objects of a model that together have all it may have.
func (g *generator) variants(name string, stack ...string) []map[string]any {
	m := g.models[name]
	var all []map[string]any
	if m.Kind != "abstract" {
		all = g.objects(name, m, stack)
	}
	for _, sub := range m.Subtypes {
		all = append(all, g.variants(sub, stack...)...)
	}
	return all
}

func (g *generator) objects(name string, m modelData, stack []string) []map[string]any {
	stack = append(stack, name)
	members := map[string][]any{}
	n := 1
	if len(g.either[name]) > 0 {
		n = 2
	}
	for p, d := range m.Properties {
		if d.ReadOnly {
			continue
		}
		v := g.values[name+"."+p]
		if v == nil {
			v = g.member(d, stack)
		}
		if len(v) > 0 {
			members[p], n = v, max(n, len(v))
		}
	}
	objects := make([]map[string]any, n)
	for i := range objects {
		o := map[string]any{}
		if m.Kind == "typed" {
			o["@odata.type"] = "#Microsoft.Media." + name
		}
		for p, v := range members {
			if slices.ContainsFunc(g.either[name], func(e [2]string) bool { return e[i%2] == p }) {
				continue
			}
			g.seen[name+"."+p] = true
			into, leaf := o, p
			if envelope, rest, ok := strings.Cut(p, "/"); ok {
				leaf = rest
				if o[envelope] == nil {
					o[envelope] = map[string]any{}
				}
				into = o[envelope].(map[string]any)
			}
			into[leaf] = v[i%len(v)]
			if f, ok := into[leaf].(func() any); ok {
				into[leaf] = f()
			}
		}
		objects[i] = o
	}
	return objects
}

// member are values of a property.
func (g *generator) member(d propertyData, stack []string) []any {
	of := d.Type
	list := strings.HasPrefix(of, "array<")
	dict := strings.HasPrefix(of, "map<")
	of = strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(of, "array<"), "map<"), ">")
	var values []any
	if _, ok := g.models[of]; ok {
		depth := 0
		for _, s := range stack {
			if s == of || slices.Contains(g.models[of].Subtypes, s) {
				depth++
			}
		}
		if depth > 1 {
			return []any{g.leaves[of]}
		}
		for _, v := range g.variants(of, stack...) {
			values = append(values, v)
		}
	} else {
		values = g.scalar(of, d)
	}
	switch {
	case list:
		var lists []any
		for c := range slices.Chunk(values, chunk) {
			lists = append(lists, slices.Clone(c))
		}
		return lists
	case dict:
		return []any{map[string]any{"a b": values[0], "c": values[len(values)-1]}}
	}
	return values
}

func (g *generator) scalar(of string, d propertyData) (values []any) {
	for _, e := range g.enums[d.Enum] {
		values = append(values, e)
	}
	for _, n := range d.OneOf {
		values = append(values, json.Number(fmt.Sprint(n)))
	}
	if values != nil {
		return values
	}
	switch of {
	case "boolean":
		return []any{true, false}
	case "int32", "int64":
		if d.Min != nil {
			return []any{json.Number(fmt.Sprint(int(*d.Min)))}
		}
		return []any{json.Number("7"), json.Number("0")}
	case "float":
		return []any{json.Number("0.5")}
	case "datetime":
		return []any{"2026-05-06T07:08:09.1234567Z"}
	case "duration":
		return []any{"PT2.5S"}
	case "position":
		return []any{"PT1S", "10%", "3", "{Best}"}
	case "uuid":
		return []any{"01234567-89ab-cdef-0123-456789abcdef"}
	case "base64":
		return []any{"AAEC/w=="}
	case "any":
		return []any{map[string]any{}}
	}
	g.serial++
	return []any{fmt.Sprintf("text %d <é>", g.serial), ""}
}

// contains reports the first path at which got lacks what sent has.
func contains(sent, got any, at string) string {
	switch sent := sent.(type) {
	case map[string]any:
		got, ok := got.(map[string]any)
		if !ok && len(sent) > 0 {
			return at
		}
		for _, name := range slices.Sorted(maps.Keys(sent)) {
			if p := contains(sent[name], got[name], at+"."+name); p != "" {
				return p
			}
		}
		return ""
	case []any:
		got, ok := got.([]any)
		if !ok || len(got) != len(sent) {
			return at
		}
		for i := range sent {
			if p := contains(sent[i], got[i], fmt.Sprintf("%s[%d]", at, i)); p != "" {
				return p
			}
		}
		return ""
	case string:
		if sent == "" && got == nil {
			return "" // an empty text may be shown as none
		}
	}
	if sent != got {
		return fmt.Sprintf("%s: %v, not %v", at, got, sent)
	}
	return ""
}

func parse(t *testing.T, body string) (v map[string]any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return v
}

// TestRoundTrip writes every property of every resource and reads it back:
// PUT, GET, PATCH with what GET said, GET.
func TestRoundTrip(t *testing.T) {
	w := newWorld(t, func(c *account.Config) { c.Supports, c.SupportsInput, c.CheckURL = nil, nil, nil })
	g := &generator{seen: map[string]bool{}}
	b := must(os.ReadFile("models.json"))(t)
	var file struct {
		Enums  map[string][]string  `json:"enums"`
		Models map[string]modelData `json:"models"`
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	g.enums, g.models = file.Enums, file.Models
	der, public := certificate(t)
	label := func() any { g.serial++; return fmt.Sprint("label", g.serial) }
	num := func(s string) any { return json.Number(s) }
	condition := func(property, value string) any {
		return map[string]any{"property": property, "operation": "Equal", "value": value}
	}
	g.either = map[string][][2]string{
		"ContentKeyPolicyPlayReadyLicense": {{"beginDate", "relativeBeginDate"}, {"expirationDate", "relativeExpirationDate"}},
	}
	clip := []any{map[string]any{"@odata.type": "#Microsoft.Media.JobInputAsset", "assetName": "in"}}
	g.leaves = map[string][]any{"JobInput": clip, "JobInputClip": clip}
	store := strings.Replace(w.account, "Microsoft.Media/mediaServices/openams", "Microsoft.Storage/storageAccounts/openamsstore", 1)
	g.values = map[string][]any{
		// Names of what exists.
		"StreamingLocator.properties/assetName":                      {"in"},
		"StreamingLocator.properties/streamingPolicyName":            {"keys"},
		"StreamingLocator.properties/defaultContentKeyPolicyName":    {"p"},
		"StreamingLocator.properties/filters":                        {[]any{"f"}},
		"StreamingLocator.properties/endTime":                        {"2030-01-01T00:00:00Z"},
		"StreamingLocatorContentKey.labelReferenceInStreamingPolicy": {"clearKeyDefault"},
		"StreamingLocatorContentKey.value":                           {keyValue},
		"StreamingPolicy.properties/defaultContentKeyPolicyName":     {"p"},
		"StreamingPolicyContentKey.policyName":                       {"p"},
		"DefaultKey.policyName":                                      {"p"},
		"JobInputAsset.assetName":                                    {"in"},
		"JobOutputAsset.assetName":                                   {"out"},
		"Job.properties/outputs":                                     nil,
		"Asset.properties/storageAccountName":                        {"openamsstore"},
		"Asset.properties/container":                                 {func() any { g.serial++; return fmt.Sprint("container", g.serial) }},
		// Rules of values.
		"ContentKeyPolicyFairPlayConfiguration.ask":                       {"MTIzNDU2Nzg5MDEyMzQ1Ng=="},
		"ContentKeyPolicyFairPlayConfiguration.fairPlayPfxPassword":       {"pw"},
		"ContentKeyPolicyX509CertificateTokenKey.rawBody":                 {b64(der)},
		"ContentKeyPolicyRsaTokenKey.modulus":                             {b64(public.N.Bytes())},
		"ContentKeyPolicyRsaTokenKey.exponent":                            {"AQAB"},
		"ContentKeyPolicyTokenRestriction.restrictionTokenType":           {"Jwt"}, // the other is in TestContentKeyPolicyValidate
		"ContentKeyPolicyTokenRestriction.openIdConnectDiscoveryDocument": {"https://issuer/.well-known/openid-configuration"},
		"ContentKeyPolicyTokenClaim.claimType":                            {"urn:x"},
		"ContentKeyPolicyWidevineConfiguration.widevineTemplate":          {`{"a":"b"}`},
		"DefaultKey.label":                                                          {label},
		"StreamingPolicyContentKey.label":                                           {label},
		"TrackPropertyCondition.property":                                           {"FourCC"},
		"TrackPropertyCondition.operation":                                          {"Equal"},
		"TrackPropertyCondition.value":                                              {"hev1"},
		"EnvelopeEncryption.customKeyAcquisitionUrlTemplate":                        {"https://k/{ContentKeyId}"},
		"ClearKeyEncryptionConfiguration.customKeysAcquisitionUrlTemplate":          {"https://k/"},
		"StreamingPolicyPlayReadyConfiguration.customLicenseAcquisitionUrlTemplate": {"https://k/"},
		"StreamingPolicyWidevineConfiguration.customLicenseAcquisitionUrlTemplate":  {"https://k/"},
		"StreamingPolicyFairPlayConfiguration.customLicenseAcquisitionUrlTemplate":  {"skd://k/{AlternativeMediaId}"},
		"EnabledProtocols.download":                                                 {false}, // true is in TestCustomStreamingPolicies
		"EnabledProtocols.smoothStreaming":                                          {false},
		"EnabledProtocols.dash":                                                     {true},
		"FilterTrackSelection.trackSelections":                                      {[]any{condition("Type", "audio"), condition("Language", "en")}, []any{condition("FourCC", "avc1"), condition("Bitrate", "0-2427000")}, []any{condition("Name", "x")}},
		"FirstQuality.bitrate":                                                      {num("128000")},
		"PresentationTimeRange.startTimestamp":                                      {num("9007199254740993")},
		"PresentationTimeRange.endTimestamp":                                        {num("9223372036854775806")},
		"PresentationTimeRange.presentationWindowDuration":                          {num("18000000000")},
		"PresentationTimeRange.liveBackoffDuration":                                 {num("0")},
		"PresentationTimeRange.timescale":                                           {num("10000000")},
		"JobInputClip.files":                                                        {[]any{"a.mp4"}},
		"JobInputAsset.files":                                                       {[]any{"a.mp4", "b.mp4"}},
		"JobInputHttp.files":                                                        {[]any{"a.mp4"}},
		"JobInputHttp.baseUri":                                                      {"https://media.example.com/"},
		"AudioTrack.fileName":                                                       {"a.mp4"},
		"AudioTrack.mpeg4TrackId":                                                   {num("2")},
		"AudioTrack.languageCode":                                                   {"en"},
		"AccessControl.ipAllowList":                                                 {[]any{"10.0.0.0/8"}},
		"AccessControl.defaultAction":                                               {"Allow", "Deny"},
		"AkamaiSignatureHeaderAuthenticationKey.base64Key":                          {"MTIzNDU2Nzg5MDEyMzQ1Ng=="},
		"AkamaiSignatureHeaderAuthenticationKey.identifier":                         {label},
		"IPRange.address":                                                           {"10.1.2.0"},
		"IPRange.subnetPrefixLength":                                                {num("24")},
		"StreamingEndpoint.properties/scaleUnits":                                   {num("2")},
		"ArmStreamingEndpointCurrentSku.capacity":                                   {num("2")}, // the same by another name
		"MediaService.properties/storageAccounts":                                   {[]any{map[string]any{"id": store, "type": "Primary", "identity": map[string]any{"useSystemAssignedIdentity": false, "userAssignedIdentity": "/u"}}}},
		"MediaServiceIdentity.type":                                                 {"SystemAssigned,UserAssigned"},
		"AccountEncryption.type":                                                    {"CustomerKey"},
		"StreamingEndpoint.properties/cdnEnabled":                                   {false}, // true excludes access control and custom hosts
		"StreamingEndpoint.properties/customHostNames":                              {[]any{"media.example.com"}},
		"CrossSiteAccessPolicies.clientAccessPolicy":                                {"<access-policy/>"},
		"CrossSiteAccessPolicies.crossDomainPolicy":                                 {"<cross-domain-policy/>"},
		"TextTrack.fileName":                                                        {"a.vtt"},
	}
	outputs := []any{map[string]any{"@odata.type": "#Microsoft.Media.JobOutputAsset", "assetName": "out", "label": "l",
		"presetOverride": map[string]any{"@odata.type": "#Microsoft.Media.BuiltInStandardEncoderPreset", "presetName": "AdaptiveStreaming"}}}
	g.values["Job.properties/outputs"] = []any{outputs}
	for _, p := range []string{"JobOutputAsset.assetName", "JobOutputAsset.label", "JobOutputAsset.presetOverride", "FilterTrackPropertyCondition.property", "FilterTrackPropertyCondition.operation", "FilterTrackPropertyCondition.value",
		"StorageAccount.id", "StorageAccount.type", "StorageAccount.identity"} {
		g.seen[p] = true // in the values above
	}

	w.want(201, "PUT", "/assets/in", `{"properties":{}}`)
	w.want(201, "PUT", "/assets/out", `{"properties":{}}`)
	w.put("in", "a.mp4")
	a := w.want(200, "GET", "/assets/in", "")
	must(w.blobs.Put(t.Context(), "openamsstore", a.at("properties/container").(string), "a.vtt", strings.NewReader("WEBVTT\n\n"), blob.PutOptions{}))(t)
	w.want(201, "PUT", "/transforms/abr", `{"properties":{"outputs":[{"preset":`+adaptive+`}]}}`)
	w.want(201, "PUT", "/accountFilters/f", `{"properties":{}}`)
	w.want(201, "PUT", "/contentKeyPolicies/p", `{"properties":{"options":[`+openClearKey+`]}}`)
	w.want(201, "PUT", "/streamingPolicies/keys", `{"properties":{"envelopeEncryption":{"enabledProtocols":{"download":false,"dash":true,"hls":true,"smoothStreaming":true},"contentKeys":{"defaultKey":{"label":"clearKeyDefault"}}}}}`)

	plain := func(path string) map[string]any {
		return parse(t, w.want(200, "GET", path+"?api-version=2023-01-01", "").body) // the newest shows all
	}
	for _, r := range []struct {
		model, path string
		patch, slow bool                             // slow: by long-running operations
		read        func(path string) map[string]any // with the secrets
	}{
		{"MediaService", strings.TrimSuffix(w.account, "openams") + "more", true, true, plain},
		{"PrivateEndpointConnection", "/privateEndpointConnections/", false, true, plain},
		{"Asset", "/assets/", true, false, plain},
		{"AccountFilter", "/accountFilters/", true, false, plain},
		{"AssetFilter", "/assets/in/assetFilters/", true, false, plain},
		{"AssetTrack", "/assets/in/tracks/", true, true, plain},
		{"StreamingEndpoint", "/streamingEndpoints/", true, true, plain},
		{"Transform", "/transforms/", true, false, plain},
		{"Job", "/transforms/abr/jobs/", true, false, plain},
		{"ContentKeyPolicy", "/contentKeyPolicies/", true, false, func(path string) map[string]any {
			return map[string]any{"properties": parse(t, w.want(200, "POST", path+"/getPolicyPropertiesWithSecrets", "").body)}
		}},
		{"StreamingPolicy", "/streamingPolicies/", false, false, plain},
		{"StreamingLocator", "/streamingLocators/", false, false, func(path string) map[string]any {
			v := plain(path)
			v["properties"].(map[string]any)["contentKeys"] = parse(t, w.want(200, "POST", path+"/listContentKeys", "").body)["contentKeys"]
			return v
		}},
	} {
		t.Run(r.model, func(t *testing.T) {
			w.t = t
			for i, sent := range g.variants(r.model) {
				path := fmt.Sprintf("%sr%d", r.path, i)
				if sent["location"] == "" {
					sent["location"] = "local" // what is nowhere is put where its account is
				}
				var body bytes.Buffer
				if err := json.NewEncoder(&body).Encode(sent); err != nil {
					t.Fatal(err)
				}
				sent = parse(t, body.String()) // with one type for all numbers
				if a := w.do("PUT", path, body.String()); a.status != 201 && !(r.slow && a.status == 200) {
					t.Errorf("PUT %s: %d %s\n%s", body.String(), a.status, a.body, path)
					continue
				}
				w.accounts.Close() // waits for the operation
				if at := contains(sent, r.read(path), ""); at != "" {
					t.Errorf("PUT, GET: %s is lost of %s", at, body.String())
				}
				if r.patch {
					if a := w.do("PATCH", path, w.want(200, "GET", path+"?api-version=2023-01-01", "").body); a.status != 200 && a.status != 202 {
						t.Errorf("PATCH: %d %s", a.status, a.body)
					}
					w.accounts.Close()
					if at := contains(sent, r.read(path), ""); at != "" {
						t.Errorf("PATCH, GET: %s is lost of %s", at, body.String())
					}
				}
				if a := w.do("DELETE", path, ""); a.status != 200 && !(r.slow && a.status == 202) {
					t.Errorf("DELETE: %d %s", a.status, a.body)
				}
				w.accounts.Close()
			}
		})
	}
	w.t = t

	// No property forgotten. The rest have tests of their own, or no server yet.
	elsewhere := map[string]bool{}
	var mark func(name string)
	mark = func(name string) {
		if elsewhere[name] {
			return
		}
		elsewhere[name] = true
		for _, d := range g.models[name].Properties {
			of := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(d.Type, "array<"), "map<"), ">")
			if _, ok := g.models[of]; ok {
				mark(of)
			}
		}
		for _, sub := range g.models[name].Subtypes {
			mark(sub)
		}
	}
	for _, name := range []string{"LiveEvent", "LiveOutput", "LiveEventActionInput", "ListContainerSasInput", "StreamingEntityScaleUnit",
		"SyncStorageKeysInput", "ListEdgePoliciesInput", "CheckNameAvailabilityInput"} {
		mark(name)
	}
	elsewhere["MediaServiceUpdate"] = true // MediaService, without the location
	for _, name := range slices.Sorted(maps.Keys(g.models)) {
		m := g.models[name]
		for p, d := range m.Properties {
			if !d.ReadOnly && m.Kind != "abstract" && !elsewhere[name] && !g.seen[name+"."+p] {
				t.Errorf("%s.%s is never written", name, p)
			}
		}
	}
}

// TestLayerTypes: the layers of codecs named their type until 2021-11-01, and
// either spelling is taken.
func TestLayerTypes(t *testing.T) {
	w := newWorld(t, nil)
	const old, recent = `{"@odata.type":"#Microsoft.Media.H264Layer","bitrate":1000000}`, `{"bitrate":1000000}`
	body := func(layer string) string {
		return `{"properties":{"outputs":[{"preset":{"@odata.type":"#Microsoft.Media.StandardEncoderPreset","codecs":[
			{"@odata.type":"#Microsoft.Media.H264Video","layers":[` + layer + `]}],
			"formats":[{"@odata.type":"#Microsoft.Media.Mp4Format","filenamePattern":"{Basename}{Extension}"}]}}]}}`
	}
	for _, sent := range []string{old, recent} {
		w.do("PUT", "/transforms/t?api-version=2021-06-01", body(sent))
		for version, want := range map[string]string{"2018-07-01": old, "2021-06-01": old, "2021-11-01": recent, "2022-08-01": recent} {
			if a := w.want(200, "GET", "/transforms/t?api-version="+version, ""); !strings.Contains(a.body, "["+want+"]") {
				t.Errorf("%s of %s: %s", version, sent, a.body)
			}
		}
	}
}
