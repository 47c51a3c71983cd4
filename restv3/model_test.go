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
