package restv3_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/sas"
)

const (
	adaptive = `{"@odata.type":"#Microsoft.Media.BuiltInStandardEncoderPreset","presetName":"AdaptiveStreaming"}`
	oneJob   = `{"properties":{"input":{"@odata.type":"#Microsoft.Media.JobInputAsset","assetName":"in"},
		"outputs":[{"@odata.type":"#Microsoft.Media.JobOutputAsset","assetName":"out"}]}}`
	anyJob = "/transforms/abr/jobs/"
)

// prepare makes the assets in and out and the transform abr.
func (w *world) prepare() {
	w.t.Helper()
	w.want(201, "PUT", "/assets/in", `{"properties":{}}`)
	w.want(201, "PUT", "/assets/out", `{"properties":{}}`)
	w.want(201, "PUT", "/transforms/abr", `{"properties":{"outputs":[{"preset":`+adaptive+`}]}}`)
}

// TestGolden compares the body of every resource with what AMS recorded or
// documented, at the first api-version and the newest.
func TestGolden(t *testing.T) {
	w := newWorld(t, func(c *account.Config) { c.Now = clock })
	w.want(201, "PUT", "/assets/in", `{"properties":{"description":"d","alternateId":"alt"}}`)
	w.want(201, "PUT", "/assets/out", `{"properties":{"container":"mine"}}`)
	w.put("out", "clip.ism")
	w.put("out", "clip_640x360_650.mp4")
	w.want(201, "PUT", "/transforms/abr", `{"properties":{"description":"ladder","outputs":[
		{"preset":`+adaptive+`,"onError":"ContinueJob","relativePriority":"High"},
		{"preset":{"@odata.type":"#Microsoft.Media.BuiltInStandardEncoderPreset","presetName":"AACGoodQualityAudio","configurations":{"maxLayers":2}}}]}}`)
	w.want(201, "PUT", anyJob+"j1", `{"properties":{"description":"x","priority":"Low","correlationData":{"a":"b"},
		"input":{"@odata.type":"#Microsoft.Media.JobInputHttp","label":"l","baseUri":"https://media.example.com/","files":["a.mp4?sig=secret"]},
		"outputs":[{"@odata.type":"#Microsoft.Media.JobOutputAsset","assetName":"out"},
		{"@odata.type":"#Microsoft.Media.JobOutputAsset","assetName":"OUT","label":"sound","presetOverride":`+adaptive+`}]}}`)
	w.want(201, "PUT", "/streamingLocators/l1", `{"properties":{"assetName":"out","streamingPolicyName":"Predefined_DownloadAndClearStreaming",
		"streamingLocatorId":"{AAAAAAAA-1111-2222-3333-444444444444}","startTime":"2026-01-01T00:00:00Z"}}`)
	for _, tt := range []struct{ name, method, path, body string }{
		{"account", "GET", "", ""},
		{"asset", "GET", "/assets/in", ""},
		{"transform", "GET", "/transforms/abr", ""},
		{"job", "GET", anyJob + "j1", ""},
		{"locator", "GET", "/streamingLocators/l1", ""},
		{"policy", "GET", "/streamingPolicies/predefined_multidrmstreaming", ""},
		{"endpoint", "GET", "/streamingEndpoints/default", ""},
		{"assets", "GET", "/assets?$top=1", ""},
		{"paths", "POST", "/streamingLocators/l1/listPaths", ""},
		{"contentkeys", "POST", "/streamingLocators/l1/listContentKeys", ""},
		{"assetlocators", "POST", "/assets/out/listStreamingLocators", ""},
		{"sas", "POST", "/assets/out/listContainerSas", `{"permissions":"ReadWrite","expiryTime":"2026-03-04T06:00:00Z"}`},
	} {
		for _, version := range []string{"2018-07-01", "2023-01-01"} {
			sep := "?"
			if strings.Contains(tt.path, "?") {
				sep = "&"
			}
			a := w.want(200, tt.method, tt.path+sep+"api-version="+version, tt.body)
			golden(t, tt.name+"."+version+".json", strings.ReplaceAll(a.body, w.server.URL, "https://HOST"))
		}
	}
}

func TestAssets(t *testing.T) {
	w := newWorld(t, nil)
	a := w.want(201, "PUT", "/assets/My Asset été", `{"properties":{"description":"","unknown":[1,{}]},"unknown":1}`)
	id := a.at("properties/assetId").(string)
	// As printed in "Manage assets".
	w.want(201, "PUT", "/assets/printed", "{\n  \"properties\": {\n    \"description\": \"\",\n  }\n}")
	if got, want := a.at("properties/container"), "asset-"+id; got != want {
		t.Errorf("container %v, want %v", got, want)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json; odata.metadata=minimal", "OData-Version": "4.0",
		"Cache-Control": "no-cache", "Pragma": "no-cache", "Expires": "-1", "X-Content-Type-Options": "nosniff",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if a.header.Get("x-ms-request-id") == "" {
		t.Error("no x-ms-request-id")
	}

	// Names match without case and keep the casing of their creator.
	a = w.want(200, "PUT", "/ASSETS/my asset ÉTÉ", `{"properties":{"description":"two","alternateId":"x"}}`)
	if a.at("name") != "My Asset été" || a.at("properties/assetId") != id || a.at("properties/description") != "two" {
		t.Errorf("second PUT: %s", a.body)
	}
	a = w.want(200, "PATCH", "/assets/My Asset été", `{"properties":{"alternateId":null}}`)
	if a.at("properties/alternateId") != nil || a.at("properties/description") != "two" {
		t.Errorf("PATCH: %s", a.body)
	}
	w.want(200, "PUT", "/assets/My Asset été", `{"properties":{"container":"asset-`+id+`","storageAccountName":"openamsstore"}}`)
	w.refused(400, "BadRequest", "properties.container", "can't be changed", "PUT", "/assets/My Asset été", `{"properties":{"container":"other"}}`)
	w.refused(400, "BadRequest", "properties.storageAccountName", "can't be changed", "PATCH", "/assets/My Asset été", `{"properties":{"storageAccountName":"other"}}`)

	// A container that exists is adopted with its blobs, by one asset only.
	ctx := t.Context()
	if _, err := w.blobs.CreateContainer(ctx, "openamsstore", "mine", blob.ContainerOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.blobs.Put(ctx, "openamsstore", "mine", "clip.mp4", strings.NewReader("bytes"), blob.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	w.want(201, "PUT", "/assets/adopted", `{"properties":{"container":"mine"}}`)
	if _, err := w.blobs.Stat(ctx, "openamsstore", "mine", "clip.mp4"); err != nil {
		t.Errorf("the blob of an adopted container: %v", err)
	}
	w.refused(409, "Conflict", "properties.container", "mine", "PUT", "/assets/other", `{"properties":{"container":"mine"}}`)
	w.refused(400, "BadRequest", "properties.container", "Bad_Name", "PUT", "/assets/other", `{"properties":{"container":"Bad_Name"}}`)
	w.refused(400, "BadRequest", "properties.storageAccountName", "nowhere", "PUT", "/assets/other", `{"properties":{"storageAccountName":"nowhere"}}`)
	w.refused(400, "InvalidResourceName", "", "clip.mp4", "PUT", "/assets/clip.mp4", `{"properties":{}}`)
	w.want(404, "GET", "/assets/other", "")

	// Deleting takes the container and the locators along.
	w.want(201, "PUT", "/streamingLocators/l1", `{"properties":{"assetName":"adopted","streamingPolicyName":"Predefined_ClearStreamingOnly"}}`)
	w.want(200, "DELETE", "/assets/ADOPTED", "")
	w.want(204, "DELETE", "/assets/adopted", "")
	w.want(404, "GET", "/streamingLocators/l1", "")
	if _, err := w.blobs.Container(ctx, "openamsstore", "mine"); ams.CodeOf(err) != ams.NotFound {
		t.Errorf("the container of a deleted asset: %v", err)
	}
	for _, call := range []struct{ method, path, body string }{
		{"GET", "/assets/none", ""}, {"PATCH", "/assets/none", `{}`}, {"POST", "/assets/none/getEncryptionKey", ""},
		{"POST", "/assets/none/listStreamingLocators", ""}, {"POST", "/assets/none/listContainerSas", `{"permissions":"Read","expiryTime":"2999-01-01T00:00:00Z"}`},
	} {
		w.refused(404, "NotFound", "", "The requested resource was not found.", call.method, call.path, call.body)
	}
	w.refused(400, "BadRequest", "", "not storage encrypted", "POST", "/assets/My Asset été/getEncryptionKey", "")
}

func TestContainerSAS(t *testing.T) {
	w := newWorld(t, nil)
	w.want(201, "PUT", "/assets/a", `{"properties":{"container":"box"}}`)
	keys, err := w.accounts.StorageKeys(t.Context(), "openamsstore")
	if err != nil {
		t.Fatal(err)
	}
	soon := time.Now().Add(time.Hour).UTC()
	for permission, sp := range map[string]string{"Read": "rl", "ReadWrite": "rwl", "ReadWriteDelete": "rwdl"} {
		a := w.want(200, "POST", "/assets/a/listContainerSas", fmt.Sprintf(`{"permissions":%q,"expiryTime":%q}`, permission, soon.Format(time.RFC3339)))
		for i, key := range keys {
			u, err := url.Parse(a.at(fmt.Sprintf("assetContainerSasUrls/%d", i)).(string))
			if err != nil || u.Host != "127.0.0.1:10000" || u.Path != "/openamsstore/box" {
				t.Fatalf("%v, %v", u, err)
			}
			v, err := sas.Parse(u.Query())
			if err != nil || v.Permissions != sp || v.Resource != "c" || v.Expiry != sas.Time(soon) || !v.Verify(key, "openamsstore", "box", "") {
				t.Errorf("%s, key %d: %v, %v", permission, i+1, u, err)
			}
		}
	}
	ahead := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
	for _, tt := range []struct{ body, code, target string }{
		{`{"permissions":"Read"}`, "BadRequest", "expiryTime"},
		{`{"permissions":"Read","expiryTime":null}`, "BadRequest", "expiryTime"},
		{`{"permissions":"Read","expiryTime":"` + ahead(-time.Minute) + `"}`, "BadRequest", "expiryTime"},
		{`{"permissions":"Read","expiryTime":"` + ahead(24*time.Hour+time.Minute) + `"}`, "BadRequest", "expiryTime"},
		{`{"permissions":"Read","expiryTime":"tomorrow"}`, "InvalidRequestContent", "expiryTime"},
		{`{"permissions":"Read","expiryTime":5}`, "InvalidRequestContent", "expiryTime"},
		{`{"permissions":"Write","expiryTime":"` + ahead(time.Hour) + `"}`, "BadRequest", "permissions"},
		{`{"expiryTime":"` + ahead(time.Hour) + `"}`, "BadRequest", "permissions"},
		{``, "InvalidRequestContent", ""},
	} {
		w.refused(400, tt.code, tt.target, "", "POST", "/assets/a/listContainerSas", tt.body)
	}
}

func TestTransforms(t *testing.T) {
	w := newWorld(t, nil)
	w.want(201, "PUT", "/transforms/t", `{"properties":{"outputs":[{"preset":`+adaptive+`}]}}`)
	a := w.want(200, "PATCH", "/transforms/t", `{"properties":{"description":"d"}}`)
	if a.at("properties/outputs/0/onError") != "StopProcessingJob" || a.at("properties/outputs/0/relativePriority") != "Normal" ||
		a.at("properties/outputs/0/preset/presetName") != "AdaptiveStreaming" || a.at("properties/description") != "d" {
		t.Errorf("defaults: %s", a.body)
	}
	// Every type of preset is kept; only a job asks whether it can run.
	standard := `{"@odata.type":"#Microsoft.Media.StandardEncoderPreset","codecs":[{"@odata.type":"#Microsoft.Media.AacAudio","bitrate":128000}],"formats":[]}`
	w.want(200, "PUT", "/transforms/t", `{"properties":{"outputs":[{"preset":`+standard+`}]}}`)
	a = w.want(200, "GET", "/transforms/t", "")
	if a.at("properties/outputs/0/preset/codecs/0/@odata.type") != "#Microsoft.Media.AacAudio" || a.at("properties/description") != nil {
		t.Errorf("after PUT: %s", a.body)
	}
	for _, tt := range []struct{ body, code, target string }{
		{`{"properties":{}}`, "BadRequest", "properties.outputs"},
		{`{"properties":{"outputs":[]}}`, "BadRequest", "properties.outputs"},
		{`{"properties":{"outputs":[{}]}}`, "BadRequest", "properties.outputs[0].preset"},
		{`{"properties":{"outputs":[{"preset":{}}]}}`, "BadRequest", "properties.outputs[0].preset.@odata.type"},
		{`{"properties":{"outputs":[{"preset":{"@odata.type":"#Microsoft.Media.Nonsense"}}]}}`, "BadRequest", "properties.outputs[0].preset.@odata.type"},
		{`{"properties":{"outputs":[{"preset":{"@odata.type":"#Microsoft.Media.BuiltInStandardEncoderPreset","presetName":"Best"}}]}}`, "BadRequest", "properties.outputs[0].preset.presetName"},
		{`{"properties":{"outputs":[{"preset":` + adaptive + `,"onError":"Ignore"}]}}`, "BadRequest", "properties.outputs[0].onError"},
		{`{"properties":{"outputs":[{"preset":` + adaptive + `,"relativePriority":"Urgent"}]}}`, "BadRequest", "properties.outputs[0].relativePriority"},
		{`{"properties":{"outputs":{"a":1}}}`, "InvalidRequestContent", "properties.outputs"},
		{`{"properties":{"description":7,"outputs":[{"preset":` + adaptive + `}]}}`, "InvalidRequestContent", "properties.description"},
		{`{"properties":{"outputs":[` + strings.Repeat(`{"preset":`+adaptive+`},`, 20) + `{"preset":` + adaptive + `}]}}`, "BadRequest", "properties.outputs"},
		{`[]`, "InvalidRequestContent", ""},
		{`{`, "InvalidRequestContent", ""},
	} {
		w.refused(400, tt.code, tt.target, "", "PUT", "/transforms/u", tt.body)
	}
	w.want(404, "PATCH", "/transforms/u", `{}`)
	w.want(200, "DELETE", "/transforms/t", "")
	w.want(204, "DELETE", "/transforms/t", "")
}

func TestJobSubmission(t *testing.T) {
	w := newWorld(t, nil)
	w.prepare()
	a := w.want(201, "PUT", anyJob+"j", oneJob)
	if a.at("properties/state") != "Queued" || a.at("properties/outputs/0/state") != "Queued" || a.at("properties/outputs/0/progress") != 0.0 ||
		a.at("properties/outputs/0/label") != "BuiltInStandardEncoderPreset_0" || a.at("properties/priority") != "Normal" ||
		a.at("type") != "Microsoft.Media/mediaservices/transforms/jobs" || !strings.Contains(a.body, `"files":[]`) {
		t.Errorf("first answer: %s", a.body)
	}
	// The retry of a lost answer is no conflict; another job of the name is.
	w.want(201, "PUT", anyJob+"J", oneJob)
	w.refused(409, "Conflict", "", "exists already", "PUT", anyJob+"j", strings.Replace(oneJob, `{"properties":{`, `{"properties":{"priority":"High",`, 1))
	w.want(404, "PUT", "/transforms/none/jobs/j", oneJob)

	input := func(in string) string {
		return `{"properties":{"input":` + in + `,"outputs":[{"@odata.type":"#Microsoft.Media.JobOutputAsset","assetName":"out"}]}}`
	}
	http := func(rest string) string { return input(`{"@odata.type":"#Microsoft.Media.JobInputHttp",` + rest + `}`) }
	output := func(out string) string {
		return `{"properties":{"input":{"@odata.type":"#Microsoft.Media.JobInputAsset","assetName":"in"},"outputs":[` + out + `]}}`
	}
	for _, tt := range []struct{ name, body, code, target, text string }{
		{"no asset", strings.Replace(oneJob, `"in"`, `"gone"`, 1), "BadRequest", "properties.input.assetName", "Asset 'gone' is not found under account 'openams'"},
		{"no output asset", output(`{"@odata.type":"#Microsoft.Media.JobOutputAsset","assetName":"gone"}`), "BadRequest", "properties.outputs[0].assetName", "Asset 'gone' is not found"},
		{"counts", output(``), "BadRequest", "properties.outputs", "must be equal"},
		{"output type", output(`{"assetName":"out"}`), "BadRequest", "properties.outputs[0].@odata.type", ""},
		{"no assetName", output(`{"@odata.type":"#Microsoft.Media.JobOutputAsset"}`), "BadRequest", "properties.outputs[0].assetName", "missing"},
		{"folder", input(`{"@odata.type":"#Microsoft.Media.JobInputAsset","assetName":"in","files":["videos/inputs/input.mp4"]}`),
			"BadRequest", "properties.input.files[0]", "Only blobs in the container root are supported, not paths in the file name."},
		{"device", input(`{"@odata.type":"#Microsoft.Media.JobInputAsset","assetName":"in","files":["a.mp4","CON.mp4"]}`), "BadRequest", "properties.input.files[1]", "NTFS"},
		{"no input", `{"properties":{"outputs":[{"@odata.type":"#Microsoft.Media.JobOutputAsset","assetName":"out"}]}}`, "BadRequest", "properties.input", ""},
		{"no input type", input(`{"assetName":"in"}`), "BadRequest", "properties.input.@odata.type", "missing"},
		{"foreign input type", input(`{"@odata.type":"#Foo"}`), "BadRequest", "properties.input.@odata.type", "'#Foo'"},
		{"input type", input(`{"@odata.type":"#Microsoft.Media.JobInputTape"}`), "BadRequest", "properties.input.@odata.type", "JobInputTape"},
		{"http", http(`"files":["http://h/a.mp4"]`), "BadRequest", "properties.input.files[0]", "https"},
		{"ftp base", http(`"baseUri":"ftp://h","files":["a.mp4"]`), "BadRequest", "properties.input.files[0]", "https"},
		{"no file", http(`"baseUri":"https://h/"`), "BadRequest", "properties.input.files", ""},
		{"no URL", http(`"files":["a.mp4"]`), "BadRequest", "properties.input.files[0]", "not a URL"},
		{"long URL", http(`"files":["https://h/` + strings.Repeat("x", 4000) + `"]`), "BadRequest", "properties.input.files[0]", "4000"},
		{"private", http(`"files":["https://10.0.0.1/a.mp4?sig=secret"]`), "BadRequest", "properties.input.files[0]", "10.0.0.1"},
		{"sequence", input(`{"@odata.type":"#Microsoft.Media.JobInputSequence","inputs":[{"@odata.type":"#Microsoft.Media.JobInputAsset","assetName":"in"}]}`), "NotSupported", "properties.input", "JobInputSequence"},
		{"clip", strings.Replace(oneJob, `"assetName":"in"`, `"assetName":"in","start":{"@odata.type":"#Microsoft.Media.AbsoluteClipTime","time":"PT2S"}`, 1), "NotSupported", "properties.input", "PT2S"},
		{"51 inputs", input(`{"@odata.type":"#Microsoft.Media.JobInputs","inputs":[` + strings.Repeat(`{"@odata.type":"#Microsoft.Media.JobInputAsset","assetName":"in"},`, 50) + `{"@odata.type":"#Microsoft.Media.JobInputAsset","assetName":"in"}]}`), "BadRequest", "properties.input", "50"},
		{"override type", output(`{"@odata.type":"#Microsoft.Media.JobOutputAsset","assetName":"out","presetOverride":{"@odata.type":"#Microsoft.Media.AudioAnalyzerPreset"}}`), "BadRequest", "properties.outputs[0].presetOverride", "types must be equal"},
		{"override unsupported", output(`{"@odata.type":"#Microsoft.Media.JobOutputAsset","assetName":"out","presetOverride":{"@odata.type":"#Microsoft.Media.BuiltInStandardEncoderPreset","presetName":"H265AdaptiveStreaming"}}`), "NotSupported", "properties.outputs[0]", "H265AdaptiveStreaming"},
		{"priority", strings.Replace(oneJob, `{"properties":{`, `{"properties":{"priority":"Urgent",`, 1), "BadRequest", "properties.priority", "Urgent"},
		{"files type", input(`{"@odata.type":"#Microsoft.Media.JobInputAsset","assetName":"in","files":"a.mp4"}`), "InvalidRequestContent", "properties.input.files", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.refused(400, tt.code, tt.target, tt.text, "PUT", anyJob+"bad", tt.body)
		})
	}
	w.want(404, "GET", anyJob+"bad", "")
	w.want(201, "PUT", anyJob+"web", http(`"files":["https://h/a.mp4?sig=secret"]`))
	if a := w.want(200, "GET", anyJob+"web", ""); strings.Contains(a.body, "secret") {
		t.Errorf("the query of a URL came back: %s", a.body)
	}
}

// TestJobLife walks a job through its states as a worker would.
func TestJobLife(t *testing.T) {
	w := newWorld(t, nil)
	w.prepare()
	ctx := t.Context()
	move := func(job string, to ams.JobState) {
		t.Helper()
		err := w.db.Update(ctx, func(tx *catalog.Tx) error {
			acc, err := tx.Account("openams")
			if err != nil {
				return err
			}
			j, err := tx.Job(acc.ID, "abr", job)
			if err != nil {
				return err
			}
			r, err := tx.TaskRecord(j.Tasks[0].ID)
			if err != nil {
				return err
			}
			r.State = to
			if to == ams.Failed {
				r.Error = &ams.JobError{Code: ams.DownloadTransientError, Message: "it rains"}
			}
			return tx.SaveTask(r)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	state := func(job string) any { return w.want(200, "GET", anyJob+job, "").at("properties/state") }

	w.want(201, "PUT", anyJob+"queued", oneJob)
	a := w.want(200, "PATCH", anyJob+"queued", strings.Replace(oneJob, `{"properties":{`, `{"properties":{"priority":"High","description":"d",`, 1))
	if a.at("properties/priority") != "High" || a.at("properties/description") != "d" {
		t.Errorf("PATCH: %s", a.body)
	}
	w.want(200, "POST", anyJob+"queued/cancelJob", "")
	w.want(200, "POST", anyJob+"queued/cancelJob", "")
	if s := state("queued"); s != "Canceled" {
		t.Errorf("a queued job, cancelled, is %v", s)
	}
	w.want(200, "DELETE", anyJob+"queued", "")
	w.want(204, "DELETE", anyJob+"queued", "")

	w.want(201, "PUT", anyJob+"busy", oneJob)
	move("busy", ams.Scheduled)
	move("busy", ams.Processing)
	w.refused(409, "Conflict", "", "Processing", "DELETE", anyJob+"busy", "")
	w.refused(409, "Conflict", "", "busy", "DELETE", "/transforms/abr", "")
	if a := w.want(200, "PATCH", anyJob+"busy", `{"properties":{"priority":"Low"}}`); a.at("properties/priority") != "Normal" {
		t.Errorf("the priority of a running job changed: %s", a.body)
	}
	w.want(200, "POST", anyJob+"busy/cancelJob", "")
	if s := state("busy"); s != "Canceling" {
		t.Errorf("a running job, cancelled, is %v", s)
	}
	move("busy", ams.Canceled)

	w.want(201, "PUT", anyJob+"failed", oneJob)
	move("failed", ams.Processing)
	move("failed", ams.Failed)
	w.refused(409, "Conflict", "", "Error", "POST", anyJob+"failed/cancelJob", "")
	a = w.want(200, "GET", anyJob+"failed", "")
	if a.at("properties/outputs/0/error/category") != "Download" || a.at("properties/outputs/0/error/retry") != "MayRetry" ||
		a.at("properties/outputs/0/error/message") != "it rains" || a.at("properties/endTime") == nil {
		t.Errorf("failed: %s", a.body)
	}
	w.want(404, "POST", anyJob+"none/cancelJob", "")
	w.want(404, "GET", "/transforms/none/jobs", "")
	if a := w.want(200, "GET", "/transforms/abr/jobs?$filter="+url.QueryEscape("properties/state eq Microsoft.Media.JobState'Error'"), ""); a.at("value/0/name") != "failed" || a.at("value/1") != nil {
		t.Errorf("filtered: %s", a.body)
	}
	w.want(200, "DELETE", "/transforms/abr", "")
	w.want(404, "GET", anyJob+"failed", "")
}

func TestLocators(t *testing.T) {
	w := newWorld(t, nil)
	w.want(201, "PUT", "/assets/a", `{"properties":{}}`)
	clear := func(rest string) string {
		return `{"properties":{"assetName":"a","streamingPolicyName":"predefined_clearstreamingonly"` + rest + `}}`
	}
	a := w.want(201, "PUT", "/streamingLocators/l", clear(""))
	if a.at("properties/endTime") != "9999-12-31T23:59:59.9999999Z" || a.at("properties/streamingPolicyName") != "Predefined_ClearStreamingOnly" || a.at("properties/startTime") != nil {
		t.Errorf("created: %s", a.body)
	}
	id := a.at("properties/streamingLocatorId").(string)
	if again := w.want(201, "PUT", "/streamingLocators/L", clear("")); again.at("properties/streamingLocatorId") != id {
		t.Errorf("a retry made another locator: %s", again.body)
	}
	w.refused(409, "Conflict", "", "exists already", "PUT", "/streamingLocators/l", clear(`,"alternativeMediaId":"x"`))
	w.refused(409, "Conflict", "properties.streamingLocatorId", "in use", "PUT", "/streamingLocators/m", clear(`,"streamingLocatorId":"`+strings.ToUpper(id)+`"`))
	for _, tt := range []struct{ body, code, target, text string }{
		{clear(`,"streamingLocatorId":"7"`), "BadRequest", "properties.streamingLocatorId", "GUID"},
		{clear(`,"startTime":"2026-01-02T00:00:00Z","endTime":"2026-01-01T00:00:00Z"`), "BadRequest", "properties.endTime", ""},
		{clear(`,"endTime":"soon"`), "InvalidRequestContent", "properties.endTime", ""},
		{clear(`,"filters":["f"]`), "BadRequest", "properties.filters[0]", "Filter 'f'"},
		{clear(`,"contentKeys":[{"id":"x"}]`), "BadRequest", "properties.contentKeys[0].id", "GUID"},
		{clear(`,"contentKeys":[{"id":"aaaaaaaa-1111-2222-3333-444444444444"}]`), "BadRequest", "properties.contentKeys", "encrypts nothing"},
		{clear(`,"defaultContentKeyPolicyName":"p"`), "BadRequest", "properties.defaultContentKeyPolicyName", "Content key policy 'p' is not found"},
		{`{"properties":{"assetName":"none","streamingPolicyName":"Predefined_ClearStreamingOnly"}}`, "BadRequest", "properties.assetName", "Asset 'none' is not found"},
		{`{"properties":{"assetName":"a","streamingPolicyName":"none"}}`, "BadRequest", "properties.streamingPolicyName", "none"},
		{`{"properties":{"streamingPolicyName":"Predefined_ClearStreamingOnly"}}`, "BadRequest", "properties.assetName", "missing"},
		{`{"properties":{"assetName":"a"}}`, "BadRequest", "properties.streamingPolicyName", "missing"},
		{`{"properties":{"assetName":"a","streamingPolicyName":"Predefined_ClearKey"}}`, "BadRequest", "properties.defaultContentKeyPolicyName", "needs a content key policy"},
	} {
		w.refused(400, tt.code, tt.target, tt.text, "PUT", "/streamingLocators/bad", tt.body)
	}
	if a := w.want(200, "POST", "/streamingLocators/l/listPaths", ""); a.body != `{"streamingPaths":[],"downloadPaths":[]}` {
		t.Errorf("paths of an empty asset: %s", a.body)
	}
	w.put("a", "my clip.ism")
	w.put("a", "folder/x.mp4")
	w.put("a", "x.mp4")
	a = w.want(200, "POST", "/streamingLocators/l/listPaths", "")
	for i, want := range []string{"manifest(format=m3u8-aapl)", "manifest(format=mpd-time-csf)", "manifest"} {
		if got := a.at(fmt.Sprintf("streamingPaths/%d/paths/0", i)); got != "/"+id+"/my%20clip.ism/"+want {
			t.Errorf("path %d: %v", i, got)
		}
	}
	w.want(201, "PUT", "/streamingPolicies/hls only", `{"properties":{"noEncryption":{"enabledProtocols":{"hls":true,"dash":false,"smoothStreaming":false,"download":true}}}}`)
	w.want(201, "PUT", "/streamingLocators/h", `{"properties":{"assetName":"a","streamingPolicyName":"HLS only"}}`)
	a = w.want(200, "POST", "/streamingLocators/h/listPaths", "")
	if a.at("streamingPaths/0/streamingProtocol") != "Hls" || a.at("streamingPaths/1") != nil || !strings.HasSuffix(fmt.Sprint(a.at("downloadPaths/0")), "/x.mp4") || a.at("downloadPaths/1") != nil {
		t.Errorf("paths of hls only: %s", a.body)
	}
	w.refused(409, "Conflict", "", "used by", "DELETE", "/streamingPolicies/hls only", "")
	w.refused(409, "Conflict", "", "predefined", "DELETE", "/streamingPolicies/Predefined_ClearKey", "")
	w.refused(409, "Conflict", "", "exists", "PUT", "/streamingPolicies/hls only", `{"properties":{"noEncryption":{"enabledProtocols":{"hls":false,"dash":true,"smoothStreaming":false,"download":false}}}}`)
	w.refused(400, "BadRequest", "properties.envelopeEncryption.enabledProtocols", "missing", "PUT", "/streamingPolicies/e", `{"properties":{"envelopeEncryption":{}}}`)
	w.refused(400, "BadRequest", "properties", "no protocol", "PUT", "/streamingPolicies/e", `{"properties":{}}`)
	w.want(200, "DELETE", "/streamingLocators/h", "")
	w.want(204, "DELETE", "/streamingLocators/h", "")
	w.want(200, "DELETE", "/streamingPolicies/hls only", "")
	w.want(204, "DELETE", "/streamingPolicies/hls only", "")
	if a := w.want(200, "POST", "/streamingLocators/l/listContentKeys", ""); a.body != `{"contentKeys":[]}` {
		t.Errorf("content keys: %s", a.body)
	}

	// What origin sees of it.
	ctx := t.Context()
	for _, spelled := range []string{id, strings.ToUpper(id)} {
		p, err := w.accounts.ResolveLocator(ctx, "localhost:8888", spelled)
		if err != nil || p.Asset.Name != "a" || p.Policy.Name != "Predefined_ClearStreamingOnly" || p.Endpoint.Name != ams.DefaultEndpoint {
			t.Errorf("ResolveLocator(%s) = %+v, %v", spelled, p, err)
		}
	}
	w.want(201, "PUT", "/streamingLocators/past", clear(`,"endTime":"2020-01-01T00:00:00Z","streamingLocatorId":"00000000-0000-0000-0000-000000000001"`))
	for id, code := range map[string]ams.Code{"00000000-0000-0000-0000-000000000001": ams.Conflict, "00000000-0000-0000-0000-000000000002": ams.NotFound, "x": ams.NotFound} {
		if _, err := w.accounts.ResolveLocator(ctx, "", id); ams.CodeOf(err) != code {
			t.Errorf("ResolveLocator(%s): %v", id, err)
		}
	}
}

func TestEndpointOperations(t *testing.T) {
	entered, leave := make(chan ams.EndpointState), make(chan error)
	w := newWorld(t, func(c *account.Config) {
		c.Follow = func(ctx context.Context, e *ams.StreamingEndpoint) error {
			entered <- e.State
			return <-leave
		}
	})
	const endpoint = "/streamingEndpoints/DEFAULT"
	w.want(404, "POST", "/streamingEndpoints/none/stop", "")
	a := w.want(202, "POST", endpoint+"/stop", "")
	status, location := a.header.Get("Azure-AsyncOperation"), a.header.Get("Location")
	if a.body != "" || a.header.Get("Retry-After") != "1" || !strings.HasPrefix(status, w.server.URL+"/") || !strings.Contains(status, "/streamingendpointoperations/") ||
		!strings.Contains(location, "/operationlocations/") || !strings.HasSuffix(location, "?api-version=2022-08-01") {
		t.Errorf("stop: %q %v", a.body, a.header)
	}
	if s := <-entered; s != ams.EndpointStopping {
		t.Errorf("following %s", s)
	}
	w.refused(409, "Conflict", "", "in progress", "POST", endpoint+"/start", "")
	a = w.want(200, "GET", status, "")
	if a.at("status") != "InProgress" || a.at("error/code") != "None" || a.header.Get("Retry-After") != "1" || a.header.Get("Azure-AsyncOperation") != status {
		t.Errorf("poll: %s %v", a.body, a.header)
	}
	if a := w.want(202, "GET", location, ""); a.header.Get("Retry-After") != "1" || a.header.Get("Location") == "" {
		t.Errorf("location: %v", a.header)
	}
	if a := w.want(200, "GET", endpoint, ""); a.at("properties/resourceState") != "Stopping" {
		t.Errorf("meanwhile: %s", a.body)
	}
	leave <- nil
	w.accounts.Close() // waits for the operation
	if a := w.want(200, "GET", status, ""); a.at("status") != "Succeeded" || a.header.Get("Retry-After") != "1" {
		t.Errorf("poll at the end: %s %v", a.body, a.header)
	}
	if a := w.want(200, "GET", location, ""); a.at("properties/resourceState") != "Stopped" {
		t.Errorf("result: %s", a.body)
	}
	w.want(404, "GET", "/streamingendpointoperations/00000000-0000-0000-0000-000000000000", "")
	w.want(404, "GET", "/streamingendpointoperations/none", "")

	// A failure leaves the endpoint as it was.
	a = w.want(202, "POST", endpoint+"/start", "")
	<-entered
	leave <- fmt.Errorf("the port is taken")
	w.accounts.Close()
	if p := w.want(200, "GET", a.header.Get("Azure-AsyncOperation"), ""); p.at("status") != "Failed" || p.at("error/message") != "the port is taken" {
		t.Errorf("a failed operation: %s", p.body)
	}
	if a := w.want(200, "GET", endpoint, ""); a.at("properties/resourceState") != "Stopped" {
		t.Errorf("after a failure: %s", a.body)
	}

	// What a kill leaves in progress, the next start ends.
	a = w.want(202, "POST", endpoint+"/start", "")
	<-entered
	after := account.New(account.Config{Catalog: w.db, Blobs: w.blobs})
	if err := after.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p := w.want(200, "GET", a.header.Get("Azure-AsyncOperation"), ""); p.at("status") != "Succeeded" {
		t.Errorf("recovered: %s", p.body)
	}
	leave <- nil
	if a := w.want(202, "POST", endpoint+"/start", ""); a.header.Get("Location") == "" {
		t.Error("starting what runs")
	}
	w.refused(409, "Conflict", "", "default", "DELETE", endpoint, "") // it stays (documented)
}

func TestAccounts(t *testing.T) {
	w := newWorld(t, nil)
	subscription := "/subscriptions/" + w.folder.SubscriptionID
	for _, path := range []string{subscription + "/providers/Microsoft.Media/mediaservices", subscription + "/resourceGroups/OPENAMS/providers/microsoft.media/MediaServices"} {
		if a := w.want(200, "GET", path, ""); a.at("value/0/name") != "openams" || a.at("value/1") != nil {
			t.Errorf("%s: %s", path, a.body)
		}
	}
	check := subscription + "/providers/Microsoft.Media/locations/local/checkNameAvailability"
	for name, want := range map[string]string{
		"openams": `"nameAvailable":false,"reason":"AlreadyExists"`, "free": `"nameAvailable":true`, "Bad-Name": `"nameAvailable":false,"reason":"Invalid"`,
	} {
		if a := w.want(200, "POST", check, `{"name":"`+name+`","type":"MICROSOFT.MEDIA/MEDIASERVICES"}`); !strings.Contains(a.body, want) {
			t.Errorf("%s: %s", name, a.body)
		}
	}
	group := subscription + "/resourceGroups/openams/providers/Microsoft.Media/mediaservices/"
	w.refused(404, "ResourceNotFound", "", "other", "GET", group+"other", "")
	w.refused(404, "ResourceNotFound", "", "other", "GET", group+"other/assets/a", "")
	w.refused(404, "ResourceGroupNotFound", "", "nogroup", "GET", strings.Replace(group, "/openams/", "/nogroup/", 1)+"openams/assets", "")
	w.refused(404, "SubscriptionNotFound", "", "", "GET", "/subscriptions/00000000-0000-0000-0000-000000000000/providers/Microsoft.Media/mediaservices", "")
}

func TestPermission(t *testing.T) {
	w := newWorld(t, nil)
	if a := w.as("nobody", "GET", "/assets", ""); a.status != 401 || a.at("error/code") != "AuthenticationFailed" || a.header.Get("WWW-Authenticate") == "" {
		t.Errorf("no token: %d %s", a.status, a.body)
	}
	for _, path := range []string{"", "/assets", "/transforms", "/streamingLocators", "/streamingPolicies", "/streamingEndpoints"} {
		if a := w.as("Reader", "GET", path, ""); a.status != 200 {
			t.Errorf("a Reader's GET %s: %d %s", path, a.status, a.body)
		}
	}
	// Permission comes before existence, before the body and before "not yet".
	for _, call := range []struct{ method, path, action string }{
		{"PUT", "/assets/none", "Microsoft.Media/mediaServices/assets/write"},
		{"DELETE", "/assets/none", "Microsoft.Media/mediaServices/assets/delete"},
		{"POST", "/assets/none/listContainerSas", "Microsoft.Media/mediaServices/assets/listContainerSas/action"},
		{"POST", "/streamingLocators/none/listPaths", "Microsoft.Media/mediaServices/streamingLocators/listPaths/action"},
		{"POST", "/contentKeyPolicies/none/getPolicyPropertiesWithSecrets", "Microsoft.Media/mediaServices/contentKeyPolicies/getPolicyPropertiesWithSecrets/action"},
		{"PUT", "/liveEvents/none", "Microsoft.Media/mediaServices/liveEvents/write"},
	} {
		a := w.as("Reader", call.method, call.path, "{")
		message, _ := a.at("error/message").(string)
		if a.status != 403 || a.at("error/code") != "AuthorizationFailed" || !strings.Contains(message, "'"+call.action+"'") {
			t.Errorf("a Reader's %s %s: %d %s", call.method, call.path, a.status, a.body)
		}
	}
	w.refused(501, "NotImplemented", "", "liveEvents.list", "GET", "/liveEvents", "")
}

func TestVersions(t *testing.T) {
	w := newWorld(t, nil)
	w.want(201, "PUT", "/assets/a", `{"properties":{}}`)
	for _, version := range []string{
		"2018-03-30-preview", "2018-06-01-preview", "2018-07-01", "2019-05-01-preview", "2020-05-01", "2021-05-01", "2021-06-01",
		"2021-11-01", "2022-05-01-preview", "2022-07-01", "2022-08-01", "2022-11-01", "2023-01-01",
	} {
		for _, path := range []string{"", "/assets/a", "/transforms", "/streamingEndpoints/default"} {
			a := w.want(200, "GET", path+"?api-version="+version, "")
			if has := strings.Contains(a.body, `"systemData"`); has != (version >= "2020-05-01") && path != "/transforms" {
				t.Errorf("%s at %s: systemData %v", path, version, has)
			}
		}
	}
	w.refused(400, "MissingApiVersionParameter", "", "", "GET", "/assets?nov=1", "")
}

func TestPaging(t *testing.T) {
	w := newWorld(t, nil)
	ctx := t.Context()
	acc, err := w.accounts.Account(ctx, w.folder.SubscriptionID, "openams", "openams")
	if err != nil {
		t.Fatal(err)
	}
	const n = 2*catalog.PageSize + 5
	err = w.db.Update(ctx, func(tx *catalog.Tx) error {
		for i := range n {
			id := fmt.Sprintf("00000000-0000-0000-0000-%012d", i)
			a := &ams.Asset{Account: acc.ID, Name: fmt.Sprintf("a%04d", i), ID: id, StorageAccount: "openamsstore", Container: ams.DefaultContainer(id), Created: clock().Add(time.Duration(-i) * time.Second)}
			if err := tx.InsertAsset(a); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		query       string
		want        int
		first, last string
	}{
		{"", n, "a0000", fmt.Sprintf("a%04d", n-1)},
		{"$orderby=properties/created", n, fmt.Sprintf("a%04d", n-1), "a0000"},
		{"$orderby=name desc&$top=1003", 1003, fmt.Sprintf("a%04d", n-1), fmt.Sprintf("a%04d", n-1003)},
		{"$top=2", 2, "a0000", "a0001"},
		{"$top=0", 0, "", ""},
		{"$filter=name gt 'a0999' and name lt 'A1010'", 10, "a1000", "a1009"},
		{"$filter=properties/created ge " + clock().Add(-9*time.Second).Format(time.RFC3339Nano) + "&$top=5000", 10, "a0000", "a0009"},
		{"$filter=properties/assetId eq 00000000-0000-0000-0000-000000000007", 1, "a0007", "a0007"},
	} {
		var names []string
		for next := w.server.URL + w.account + "/assets?" + strings.ReplaceAll(tt.query, " ", "%20"); next != ""; {
			a := w.want(200, "GET", next, "")
			for _, v := range a.at("value").([]any) {
				names = append(names, v.(map[string]any)["name"].(string))
			}
			next, _ = a.at("@odata.nextLink").(string)
			if next != "" && (!strings.HasPrefix(next, w.server.URL+w.account+"/assets?") || !strings.Contains(next, "api-version=2022-08-01")) {
				t.Fatalf("nextLink %s", next)
			}
		}
		if len(names) != tt.want || tt.want > 0 && (names[0] != tt.first || names[len(names)-1] != tt.last) {
			t.Errorf("%s: %d names, %v … ; want %d, %s … %s", tt.query, len(names), names[:min(1, len(names))], tt.want, tt.first, tt.last)
		}
	}
	for query, target := range map[string]string{
		"$filter=name eq": "$filter", "$filter=properties/description eq 'x'": "$filter", "$filter=properties/alternateId gt 'x'": "$filter",
		"$orderby=properties/container": "$orderby", "$orderby=name,properties/created": "$orderby", "$orderby=name sideways": "$orderby",
		"$top=-1": "$top", "$top=many": "$top", "$skiptoken=x": "$skiptoken", "$skiptoken=1.x": "$skiptoken",
	} {
		w.refused(400, "BadRequest", target, "", "GET", "/assets?"+strings.ReplaceAll(query, " ", "%20"), "")
	}
	if a := w.want(200, "GET", "/streamingPolicies?$filter=name%20eq%20'Predefined_ClearKey'", ""); a.at("value/0/name") != "Predefined_ClearKey" {
		t.Errorf("predefined policies in lists: %s", a.body)
	}
}

// FuzzPut sends any body to every operation that takes one: refusing is fine,
// a fault of ours is not.
func FuzzPut(f *testing.F) {
	w := newWorld(f, nil)
	w.prepare()
	w.want(201, "PUT", "/contentKeyPolicies/p", `{"properties":{"options":[`+openClearKey+`]}}`)
	paths := []string{"PUT /assets/fuzz", "PATCH /assets/in", "PUT /transforms/fuzz", "PATCH /transforms/abr", "PUT " + anyJob + "fuzz",
		"PUT /streamingLocators/fuzz", "PUT /streamingPolicies/fuzz", "PUT /contentKeyPolicies/fuzz", "PATCH /contentKeyPolicies/p", "POST /assets/in/listContainerSas"}
	for i := range paths {
		f.Add(uint8(i), oneJob)
		f.Add(uint8(i), `{"properties":{"outputs":[{"preset":`+adaptive+`}],"description":"",}}`)
		f.Add(uint8(i), `{"properties":{"assetName":"in","streamingPolicyName":"Predefined_ClearStreamingOnly","endTime":"2030-01-01T00:00:00Z"}}`)
		f.Add(uint8(i), `{"permissions":"Read","expiryTime":"2026-03-04T06:00:00Z"}`)
		f.Add(uint8(i), `{"properties":{"noEncryption":{"enabledProtocols":{"hls":true,"dash":true,"smoothStreaming":true,"download":false}}}}`)
		f.Add(uint8(i), `{"properties":{"assetName":"in","streamingPolicyName":"Predefined_ClearKey","defaultContentKeyPolicyName":"p","contentKeys":[{"id":"aaaaaaaa-1111-2222-3333-444444444444","value":"MTIzNDU2Nzg5MDEyMzQ1Ng=="}]}}`)
		f.Add(uint8(i), `{"properties":{"options":[`+tokenPlayReady+`]}}`)
		f.Add(uint8(i), `{"properties":null}`)
		f.Add(uint8(i), `null`)
	}
	f.Fuzz(func(t *testing.T, which uint8, body string) {
		w.t = t
		method, path, _ := strings.Cut(paths[int(which)%len(paths)], " ")
		if a := w.do(method, path, body); a.status >= 500 {
			t.Fatalf("%s %s %q: %d %s", method, path, body, a.status, a.body)
		}
		if strings.HasSuffix(path, "/fuzz") {
			w.do("DELETE", path, "")
		}
	})
}
