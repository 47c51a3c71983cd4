package restv3

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/restv3/arm"
)

// refusal is the status code word, target and text of an error.
func refusal(err error) (code, target, text string) {
	if e, ok := err.(*ams.Error); ok {
		err = fault(e)
	}
	if e, ok := err.(*arm.Error); ok {
		return e.Code, e.Target, e.Message
	}
	return "", "", ""
}

func TestCheckModel(t *testing.T) {
	const preset = `{"properties":{"outputs":[{"preset":`
	for _, tt := range []struct{ model, body, want string }{
		{"Asset", `{"NAME":"x","id":7,"Properties":{"ALTERNATEID":"a","created":3,"container":null,"new":{}}}`, `{"properties":{"alternateId":"a"}}`},
		{"Asset", `{"properties":{"Description":"b","description":"a"}}`, `{"properties":{"description":"a"}}`},
		{"Asset", `{"properties":null}`, `{}`},
		{"Transform", preset + `{"@odata.type":"Microsoft.Media.builtinStandardEncoderPreset","presetName":"adaptiveSTREAMING"}}]}}`,
			preset + `{"@odata.type":"#Microsoft.Media.BuiltInStandardEncoderPreset","presetName":"AdaptiveStreaming"}}]}}`},
		{"H264Video", `{"@odata.type":"#Microsoft.Media.H264Video","layers":[{"@odata.type":"#Microsoft.Media.H264Layer","bitrate":1e6,"crf":2.50}],"keyFrameInterval":"PT2S"}`,
			`{"@odata.type":"#Microsoft.Media.H264Video","keyFrameInterval":"PT2S","layers":[{"bitrate":1000000,"crf":2.50}]}`},
		{"StreamingLocator", `{"properties":{"endTime":"2030-01-01T02:00:00+02:00","streamingLocatorId":"{AAAAAAAA-1111-2222-3333-444444444444}","filters":["<a>"]}}`,
			`{"properties":{"endTime":"2030-01-01T00:00:00Z","streamingLocatorId":"aaaaaaaa-1111-2222-3333-444444444444","filters":["<a>"]}}`},
		{"Job", `{"properties":{"correlationData":{"b":"2","a":"1"}}}`, `{"properties":{"correlationData":{"a":"1","b":"2"}}}`},
		{"PresentationTimeRange", `{"startTimestamp":9223372036854775807,"forceEndTimestamp":false}`, `{"startTimestamp":9223372036854775807,"forceEndTimestamp":false}`},
		{"ContentKeyPolicySymmetricTokenKey", `{"@odata.type":"#Microsoft.Media.ContentKeyPolicySymmetricTokenKey","keyValue":null}`, `{"@odata.type":"#Microsoft.Media.ContentKeyPolicySymmetricTokenKey"}`},
	} {
		got, err := checkModel(json.RawMessage(tt.body), tt.model, "")
		if err != nil || string(got) != tt.want {
			t.Errorf("%s %s:\n got %s, %v\nwant %s", tt.model, tt.body, got, err, tt.want)
			continue
		}
		if again, err := checkModel(got, tt.model, ""); err != nil || string(again) != string(got) {
			t.Errorf("%s %s: reads back as %s, %v", tt.model, got, again, err)
		}
	}
	for _, tt := range []struct{ model, body, code, target, text string }{
		{"Asset", `{"properties":{"description":7}}`, "InvalidRequestContent", "properties.description", "number"},
		{"Asset", `{"properties":[]}`, "InvalidRequestContent", "properties", "array"},
		{"Transform", preset + `{}}]}}`, "BadRequest", "properties.outputs[0].preset.@odata.type", "missing"},
		{"Transform", preset + `{"@odata.type":7}}]}}`, "InvalidRequestContent", "properties.outputs[0].preset.@odata.type", ""},
		{"Transform", preset + `{"@odata.type":"#Microsoft.Media.H264Video"}}]}}`, "BadRequest", "properties.outputs[0].preset.@odata.type", "H264Video"},
		{"Transform", preset + `{"@odata.type":"#Microsoft.Media.Preset"}}]}}`, "BadRequest", "properties.outputs[0].preset.@odata.type", ""},
		{"Transform", preset + `{"@odata.type":"#Microsoft.Media.BuiltInStandardEncoderPreset"}}]}}`, "BadRequest", "properties.outputs[0].preset.presetName", "missing"},
		{"Transform", `{"properties":{"outputs":[null]}}`, "InvalidRequestContent", "properties.outputs[0]", "null"},
		{"Transform", `{"properties":{"outputs":[{"onError":"Ignore"}]}}`, "BadRequest", "properties.outputs[0].onError", "StopProcessingJob"},
		{"H264Layer", `{"bitrate":1,"crf":52}`, "BadRequest", "crf", "0 to 51"},
		{"H264Layer", `{"bitrate":1.5}`, "InvalidRequestContent", "bitrate", "integers"},
		{"H264Layer", `{"bitrate":3000000000}`, "BadRequest", "bitrate", "out of range"},
		{"H264Layer", `{"bitrate":1e999}`, "BadRequest", "bitrate", "out of range"},
		{"H264Layer", `{"bitrate":"1"}`, "InvalidRequestContent", "bitrate", "string"},
		{"H264Layer", `{"bitrate":1,"bufferWindow":"5 seconds"}`, "BadRequest", "bufferWindow", "ISO 8601"},
		{"PngImage", `{"@odata.type":"#Microsoft.Media.PngImage","start":"soon"}`, "BadRequest", "start", "{Best}"},
		{"StreamingLocator", `{"properties":{"endTime":"soon"}}`, "InvalidRequestContent", "properties.endTime", "soon"},
		{"StreamingLocator", `{"properties":{"streamingLocatorId":"7"}}`, "BadRequest", "properties.streamingLocatorId", "GUID"},
		{"StreamingLocatorContentKey", `{"id":"aaaaaaaa-1111-2222-3333-444444444444","value":"%"}`, "BadRequest", "value", "base64"},
		{"Job", `{"properties":{"correlationData":{"a":1}}}`, "InvalidRequestContent", "properties.correlationData.a", "number"},
		{"StreamingEndpoint", `{"properties":{}}`, "BadRequest", "location", "missing"},
		{"ContentKeyPolicyPlayReadyPlayRight", `{"analogVideoOpl":101,"digitalVideoOnlyContentRestriction":true,"imageConstraintForAnalogComponentVideoRestriction":true,"imageConstraintForAnalogComputerMonitorRestriction":true,"allowPassingVideoContentToUnknownOutput":"Allowed"}`,
			"BadRequest", "analogVideoOpl", "100 150 200"},
	} {
		got, err := checkModel(json.RawMessage(tt.body), tt.model, "")
		code, target, text := refusal(err)
		if code != tt.code || target != tt.target || !strings.Contains(text, tt.text) {
			t.Errorf("%s %s: got %s, %q at %q %v, want %q at %q with %q", tt.model, tt.body, got, code, target, err, tt.code, tt.target, tt.text)
		}
	}
}

// TestPatchModel: what a PATCH leaves out or clears.
func TestPatchModel(t *testing.T) {
	got, err := check(json.RawMessage(`{"tags":null,"properties":{"description":null,"accessControl":{"ip":null},"cdnEnabled":true}}`), "StreamingEndpoint", "", true)
	if want := `{"tags":null,"properties":{"description":null,"accessControl":{},"cdnEnabled":true}}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v\nwant %s", got, err, want)
	}
	if _, err := check(json.RawMessage(`{"properties":{"outputs":[{"preset":{"@odata.type":"#Microsoft.Media.FaceDetectorPreset","mode":"x"}}]}}`), "Transform", "", true); err == nil {
		t.Error("a PATCH takes what a PUT refuses")
	}
}

// requests are the models of the bodies that operations take.
var requests = []string{
	"AccountFilter", "Asset", "AssetFilter", "AssetTrack", "CheckNameAvailabilityInput", "ContentKeyPolicy", "Job",
	"ListContainerSasInput", "ListEdgePoliciesInput", "LiveEvent", "LiveEventActionInput", "LiveOutput", "MediaService",
	"MediaServiceUpdate", "PrivateEndpointConnection", "StreamingEndpoint", "StreamingEntityScaleUnit", "StreamingLocator",
	"StreamingPolicy", "SyncStorageKeysInput", "Transform",
}

// TestModelData compares the models with themselves: nothing refers to what
// is not there, and the secrets are those that ams hides.
func TestModelData(t *testing.T) {
	models, err := parseModels(modelData)
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for name, m := range models {
		for _, x := range m.order {
			members := []*member{x}
			if x.envelope {
				members = x.model.order
			}
			for _, x := range members {
				if x.model != nil {
					used[x.model.name] = true
				}
				if x.readOnly && x.required {
					t.Errorf("%s.%s is required of clients who can't write it", name, x.name)
				}
			}
		}
		for _, sub := range m.concrete {
			used[sub.name] = true
		}
	}
	for _, name := range requests {
		if models[name] == nil {
			t.Errorf("the model %s of a request is not in models.json", name)
		}
		used[name] = true
	}
	for name, m := range models {
		if !used[name] && m.kind != abstractModel {
			t.Errorf("nothing uses %s", name)
		}
	}
}

func versioned(version string) *http.Request {
	return httptest.NewRequest("GET", "/?api-version="+version, nil)
}

func TestShowModel(t *testing.T) {
	stored := json.RawMessage(`{"@odata.type":"#Microsoft.Media.StandardEncoderPreset","codecs":[{"@odata.type":"#Microsoft.Media.H264Video","layers":[{"bitrate":1000000}]}],"formats":[]}`)
	old := `{"@odata.type":"#Microsoft.Media.StandardEncoderPreset","codecs":[{"@odata.type":"#Microsoft.Media.H264Video","layers":[{"@odata.type":"#Microsoft.Media.H264Layer","bitrate":1000000}]}],"formats":[]}`
	for version, want := range map[string]string{"2018-07-01": old, "2021-06-01": old, "2021-11-01": string(stored), "2023-01-01": string(stored)} {
		if got := showModel(versioned(version), "Preset", stored); string(got) != want {
			t.Errorf("%s: %s", version, got)
		}
	}
	tls := json.RawMessage(`{"properties":{"minimumTlsVersion":"Tls12"}}`)
	if got := showModel(versioned("2021-11-01"), "MediaService", tls); string(got) != `{"properties":{}}` {
		t.Errorf("2021-11-01 shows %s", got)
	}
	if got := showModel(versioned("2023-01-01"), "MediaService", tls); string(got) != string(tls) {
		t.Errorf("2023-01-01 shows %s", got)
	}
}

// smallest is a body of m that is taken: what is required, and no more.
func smallest(m *model) map[string]any {
	o := map[string]any{}
	for _, sub := range m.types() {
		o["@odata.type"] = sub
		m = m.concrete[strings.ToLower(typeName(sub))]
		break
	}
	for _, x := range m.order {
		if x.required {
			o[x.name] = right(x)
		}
	}
	return o
}

// right is a value of x that is taken.
func right(x *member) any {
	var v any
	switch {
	case x.model != nil:
		v = smallest(x.model)
	case x.enum != nil:
		v = x.enum[0]
	default:
		v = map[string]any{
			"string": "s", "boolean": true, "int32": 1, "int64": 1, "float": 1, "datetime": "2026-01-01T00:00:00Z",
			"duration": "PT1S", "position": "1", "uuid": anyID, "base64": "AAAA", "any": 1,
		}[x.scalar]
		if x.oneOf != nil {
			v = x.oneOf[0]
		}
	}
	switch {
	case x.list:
		return []any{v}
	case x.dict:
		return map[string]any{"k": v}
	}
	return v
}

const anyID = "00000000-0000-0000-0000-000000000001"

// wrong are values of x that are refused, and at which path below it.
func wrong(x *member) (values []any, below []string) {
	add := func(v any, at string) { values, below = append(values, v), append(below, at) }
	at := ""
	switch {
	case x.list:
		add(map[string]any{}, "")
		add("s", "")
		add([]any{nil}, "[0]")
		at = "[0]"
	case x.dict:
		add([]any{}, "")
		add(map[string]any{"k": nil}, ".k")
		at = ".k"
	}
	wrap := func(v any) {
		switch {
		case x.list:
			v = []any{v}
		case x.dict:
			v = map[string]any{"k": v}
		}
		add(v, at)
	}
	switch {
	case x.scalar == "any":
	case x.model != nil:
		wrap([]any{})
		wrap("s")
	default:
		wrap([]any{})
		wrap(map[string]any{})
	}
	switch x.scalar {
	case "boolean":
		wrap("true")
		wrap(1)
	case "int32", "int64", "float":
		wrap("1")
		wrap(true)
		if x.scalar != "float" {
			wrap(1.5)
			wrap(1e30)
		}
		if x.scalar == "int32" {
			wrap(1 << 40)
		}
	case "", "any":
	default:
		wrap(1)
		wrap(false)
	}
	switch x.scalar {
	case "datetime", "duration", "position", "uuid":
		wrap("never")
	case "base64":
		wrap("%")
	}
	if x.enum != nil {
		wrap("no such value")
	}
	if x.min != nil {
		wrap(*x.min - 1)
	}
	if x.max != nil {
		wrap(*x.max + 1)
	}
	if x.oneOf != nil {
		wrap(x.oneOf[0] + 1)
	}
	return values, below
}

// TestRefusals refuses, for every property of every model, each kind of wrong
// value and, where it is required, none: with the path of the property.
func TestRefusals(t *testing.T) {
	refused := func(m *model, o map[string]any, at string) {
		t.Helper()
		b, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		_, err = checkModel(b, m.name, "body")
		if _, target, _ := refusal(err); target != at {
			t.Errorf("%s %s: %v at %q, want %q", m.name, b, err, target, at)
		}
	}
	checks := 0
	for _, m := range schema() {
		if m.kind == abstractModel {
			refused(m, map[string]any{}, "body.@odata.type")
			continue
		}
		type place struct {
			x  *member
			at string
		}
		var places []place
		for _, x := range m.order {
			places = append(places, place{x, ""})
			if x.envelope {
				for _, y := range x.model.order {
					places = append(places, place{y, x.name})
				}
			}
		}
		for _, p := range places {
			x := p.x
			if x.readOnly || x.envelope {
				continue
			}
			with := func(v any) map[string]any {
				o := map[string]any{}
				if m.kind == typedModel {
					o["@odata.type"] = discriminator + m.name
				}
				for _, y := range m.order {
					if y.required {
						o[y.name] = right(y)
					}
				}
				into := o
				if p.at != "" {
					into = map[string]any{}
					o[p.at] = into
				}
				if into[x.name] = v; v == nil {
					delete(into, x.name)
				}
				return o
			}
			at := "body." + x.name
			if p.at != "" {
				at = "body." + p.at + "." + x.name
			}
			b, err := json.Marshal(with(right(x)))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := checkModel(b, m.name, "body"); err != nil {
				t.Errorf("%s %s: %v", m.name, b, err)
			}
			values, below := wrong(x)
			for i, v := range values {
				refused(m, with(v), at+below[i])
				checks++
			}
			if x.required {
				refused(m, with(nil), at)
			}
		}
	}
	if checks < 1500 {
		t.Errorf("%d wrong values only", checks)
	}
}

// FuzzCheckModel: whatever is taken has one spelling.
func FuzzCheckModel(f *testing.F) {
	names := []string{}
	for name := range schema() {
		names = append(names, name)
	}
	slices.Sort(names)
	at := func(name string) uint8 { return uint8(slices.Index(names, name)) }
	f.Add(at("Transform"), `{"properties":{"outputs":[{"preset":{"@odata.type":"#Microsoft.Media.BuiltInStandardEncoderPreset","presetName":"AdaptiveStreaming"}}]}}`)
	f.Add(at("Job"), `{"properties":{"correlationData":{"b":"2"},"input":{"@odata.type":"#Microsoft.Media.JobInputs","inputs":[]}}}`)
	f.Add(at("StreamingLocator"), `{"properties":{"endTime":"2030-01-01T02:00:00+02:00","streamingLocatorId":"{AAAAAAAA-1111-2222-3333-444444444444}"}}`)
	f.Add(at("H264Layer"), `{"bitrate":1e6,"crf":2.50,"bufferWindow":"PT5S"}`)
	f.Fuzz(func(t *testing.T, which uint8, body string) {
		name := names[int(which)%len(names)]
		got, err := checkModel(json.RawMessage(body), name, "")
		if err != nil {
			return
		}
		if again, err := checkModel(got, name, ""); err != nil || string(again) != string(got) {
			t.Fatalf("%s %s: %s reads back as %s, %v", name, body, got, again, err)
		}
	})
}
