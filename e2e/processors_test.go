package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	media "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/mediaservices/armmediaservices/v3"
)

// mediaProcessor finds a processor as clients do.
func (c *v2Client) mediaProcessor(name string) string {
	c.Helper()
	found := c.list("MediaProcessors()?$filter=Name%20eq%20'" + strings.ReplaceAll(name, " ", "%20") + "'")
	if len(found) != 1 {
		c.Fatalf("%d processors are called %s", len(found), name)
	}
	return found[0]["Id"].(string)
}

// A v2Task is a task of a job with one input and one output.
type v2Task struct{ processor, configuration, input string }

// job writes the body of a job over an asset.
func (c *v2Client) job(asset any, tasks ...v2Task) string {
	c.Helper()
	var list []map[string]any
	for i, t := range tasks {
		list = append(list, map[string]any{"MediaProcessorId": c.mediaProcessor(t.processor), "Configuration": t.configuration, "Name": t.processor,
			"TaskBody": fmt.Sprintf(`<?xml version="1.0" encoding="utf-8"?><taskBody><inputAsset>%s</inputAsset><outputAsset>JobOutputAsset(%d)</outputAsset></taskBody>`, t.input, i)})
	}
	b, err := json.Marshal(map[string]any{"Name": "processors", "Tasks": list,
		"InputMediaAssets": []any{map[string]any{"__metadata": map[string]string{"uri": "https://media.windows.net/api/" + keyed("Assets", asset)}}}})
	if err != nil {
		c.Fatal(err)
	}
	return string(b)
}

// publish returns the path under which the files of an asset are served.
func (c *v2Client) publish(asset any) string {
	c.Helper()
	policy := c.create("AccessPolicies", `{"Name":"p","DurationInMinutes":"300","Permissions":1}`)["Id"]
	locator := c.create("Locators", fmt.Sprintf(`{"AccessPolicyId":%q,"AssetId":%q,"StartTime":%q,"Type":2}`, policy, asset, time.Now().UTC().Add(-5*time.Minute).Format("2006-01-02T15:04:05")))
	return locator["Path"].(string)
}

func definition(id string, properties ...string) string {
	text := `<?xml version="1.0" encoding="utf-8"?><taskDefinition xmlns="http://schemas.microsoft.com/iis/media/v4/TM/TaskDefinition#"><name>Task</name><id>` + id +
		`</id><description xml:lang="en"/><inputFolder/><properties namespace="n" prefix="p">`
	for _, p := range properties {
		name, value, _ := strings.Cut(p, "=")
		text += `<property name="` + name + `" value="` + value + `"/>`
	}
	return text + `</properties><taskCode><type>T</type></taskCode></taskDefinition>`
}

// TestV2Processors: what is packaged plays, clear and encrypted, from the
// streaming endpoint and as files; what the sample program sees and hears becomes
// AMS's files; what needs a program that is not there is refused in the format of
// its API.
func TestV2Processors(t *testing.T) {
	t.Parallel()
	plugin := filepath.Join(t.TempDir(), "plugin")
	if out, err := exec.Command("go", "build", "-o", plugin, "./plugin").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s := startWith(t, "", []string{"OPENAMS_SPEECH_COMMAND=" + plugin}, "--workers", "2", "--faces-command", "'"+plugin+"'", "--motion-command", plugin)
	c := newV2(t, s)
	film := clip(t, "film.mp4", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=2", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=2",
		"-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-pix_fmt", "yuv420p", "-c:a", "aac")
	asset := c.upload("film.mp4", film)
	const (
		packager  = "Windows Azure Media Packager"
		toSmooth  = "5e1e1a1c-bba6-11df-8991-0019d1916af0"
		toHLS     = "A72D7A5D-3022-45f2-89B4-1DDC5457C111"
		validate  = "859515BF-9BA3-4BDD-A3B6-400CEF07F870"
		playReady = "9A3BFEAC-F8AE-41CA-87FA-D639E4D1C753"
	)
	job := c.create("Jobs", c.job(asset,
		v2Task{packager, definition(validate, "SmoothRequired=true", "HLSRequired=true"), "JobInputAsset(0)"},
		v2Task{packager, definition(toSmooth, "keepSourceNames=true"), "JobOutputAsset(0)"},
		v2Task{packager, definition(toHLS, "maxbitrate=6600000", "encrypt=true", "codecs=true"), "JobOutputAsset(1)"},
		v2Task{"Windows Azure Media Encryptor", definition(playReady, "contentKey=AQIDBAUGBwgJCgsMDQ4PEA==", "licenseAcquisitionUrl=https://licence.example/", "useSencBox=true", "adjustSubSamples=true"), "JobOutputAsset(1)"},
		v2Task{"Azure Media Indexer 2 Preview", `{"version":"1.0","Features":[{"Options":{"Formats":["WebVtt","ttml"],"Language":"EnUs","Type":"RecoOptions"},"Type":"SpReco"}]}`, "JobInputAsset(0)"},
		v2Task{"Azure Media Redactor", `{"version":"1.0","options":{"mode":"analyze"}}`, "JobInputAsset(0)"},
		v2Task{"Azure Media Motion Detector", `{"version":"1.0","options":{"sensitivityLevel":"medium"}}`, "JobInputAsset(0)"},
	))["Id"]
	if state := c.wait(job); state != `{"d":{"State":3}}` {
		t.Fatalf("%s: %v", state, c.list(keyed("Jobs", job)+"/Tasks"))
	}
	outputs := c.list(keyed("Jobs", job) + "/OutputMediaAssets()")
	files := func(n int) (names []string) {
		for _, f := range c.list(keyed("Assets", outputs[n]["Id"]) + "/Files") {
			names = append(names, f["Name"].(string))
		}
		slices.Sort(names)
		return names
	}
	for n, want := range [][]string{
		{"film.ism", "film.ismc", "film.mp4", "film.mp4.mpi"},
		{"film.ism", "film.isma", "film.isma.mpi", "film.ismc", "film.ismv", "film.ismv.mpi"},
		nil,
		{"film.ism", "film.isma", "film.ismc", "film.ismv"},
		{"film_aud_SpReco.ttml", "film_aud_SpReco.vtt"},
		{"film_annotations.json", "film_thumb000001.jpg", "film_thumb000002.jpg"},
		{"film_motion.json"},
	} {
		if got := files(n); want != nil && !slices.Equal(got, want) {
			t.Errorf("output %d: %q, want %q", n, got, want)
		}
	}
	for _, n := range []int{0, 1} {
		root := c.publish(outputs[n]["Id"])
		for _, format := range []string{"", "(format=m3u8-aapl)", "(format=mpd-time-csf)"} {
			run(t, t.Context(), os.Environ(), binary, "probe", root+"film.ism/manifest"+format)
		}
	}
	frames := func(input string, options ...string) string {
		return strings.TrimSpace(run(t, t.Context(), os.Environ(), "ffprobe", append(options, "-v", "error", "-count_frames", "-select_streams", "v:0", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", input)...))
	}
	// As files from a web server: the key lies beside them.
	if got := frames(c.publish(outputs[2]["Id"])+"film-m3u8-aapl.m3u8", "-allowed_extensions", "ALL"); !strings.HasPrefix(got, "50") {
		t.Errorf("the HLS files have %s frames", got)
	}
	protected := filepath.Join(t.TempDir(), "film.ismv")
	if status, b := s.get(t, c.publish(outputs[3]["Id"])+"film.ismv"); status != 200 || os.WriteFile(protected, b, 0o600) != nil {
		t.Fatalf("the encrypted file: %d", status)
	}
	if got := frames(protected, "-decryption_key", "0102030405060708090a0b0c0d0e0f10"); !strings.HasPrefix(got, "50") {
		t.Errorf("the encrypted file has %s frames", got)
	}
	if _, b := s.get(t, c.publish(outputs[4]["Id"])+"film_aud_SpReco.vtt"); !strings.Contains(string(b), "00:00:01.000 --> 00:00:02.000\nA sound &lt;number&gt; 1.") {
		t.Errorf("captions %s", b)
	}
	var found struct {
		Timescale int
		Fragments []struct{ Events [][]struct{ ID int } }
	}
	if _, b := s.get(t, c.publish(outputs[5]["Id"])+"film_annotations.json"); json.Unmarshal(b, &found) != nil || len(found.Fragments) != 1 || len(found.Fragments[0].Events[0]) != 2 {
		t.Errorf("annotations %.500s", b)
	}

	for _, refused := range []v2Task{
		{"Azure Media OCR", `{"Version":1.0}`, "JobInputAsset(0)"},
		{"Media Encoder Premium Workflow", "<transform/>", "JobInputAsset(0)"},
	} {
		var e struct {
			Error struct{ Message struct{ Value string } } `json:"odata.error"`
		}
		b := c.send("POST", "Jobs", c.job(asset, refused), 400)
		if err := json.Unmarshal(b, &e); err != nil || !strings.Contains(e.Error.Message.Value, refused.processor) {
			t.Errorf("%s: %s", refused.processor, b)
		}
	}
	v3 := newSDK(t, s, s.ClientID, s.ClientSecret)
	ctx := t.Context()
	v3.createAsset(t, "in")
	v3.createAsset(t, "out")
	v3.upload(t, "in", film)
	analyze := func(name string, preset media.PresetClassification) error {
		t.Helper()
		if _, err := v3.transforms.CreateOrUpdate(ctx, s.ResourceGroup, s.AccountName, name, media.Transform{Properties: &media.TransformProperties{
			Outputs: []*media.TransformOutput{{Preset: preset}},
		}}, nil); err != nil {
			t.Fatal(err)
		}
		_, err := v3.jobs.Create(ctx, s.ResourceGroup, s.AccountName, name, "j", media.Job{Properties: &media.JobProperties{
			Input:   &media.JobInputAsset{ODataType: to.Ptr("#Microsoft.Media.JobInputAsset"), AssetName: to.Ptr("in")},
			Outputs: []media.JobOutputClassification{&media.JobOutputAsset{ODataType: to.Ptr("#Microsoft.Media.JobOutputAsset"), AssetName: to.Ptr("out")}},
		}}, nil)
		return err
	}
	err := analyze("see", &media.VideoAnalyzerPreset{ODataType: to.Ptr("#Microsoft.Media.VideoAnalyzerPreset"), InsightsToExtract: to.Ptr(media.InsightsTypeAllInsights)})
	if e, ok := errors.AsType[*azcore.ResponseError](err); !ok || e.StatusCode != 400 || e.ErrorCode != "NotSupported" || !strings.Contains(e.Error(), "ocr-command") {
		t.Errorf("insights without a program that reads: %v", err)
	}
	if err := analyze("hear", &media.AudioAnalyzerPreset{ODataType: to.Ptr("#Microsoft.Media.AudioAnalyzerPreset"), AudioLanguage: to.Ptr("en-US"), Mode: to.Ptr(media.AudioAnalysisModeBasic)}); err != nil {
		t.Fatal(err)
	}
	if j := v3.await(t, "hear", "j", 3*time.Minute); *j.Properties.State != media.JobStateFinished {
		t.Fatalf("%+v", j.Properties.Outputs[0].GetJobOutput().Error)
	}
	if got := v3.blobs(t, "out"); !slices.Equal(got, []string{"insights.json", "transcript.vtt"}) {
		t.Errorf("%q", got)
	}
}
