package encoder

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image/jpeg"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/jobqueue"
	"github.com/openams/openams/packager/text"
)

// plugin builds the sample of a command and names it for everything.
func plugin(t *testing.T, flags ...string) Commands {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "plugin")
	if out, err := exec.Command("go", "build", "-o", bin, "../e2e/plugin").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	command := append([]string{bin}, flags...)
	return Commands{Speech: command, Faces: command, Text: command, Motion: command, Moderation: command}
}

// with sets what the service's workers and submissions know of commands.
func (s *service) with(c Commands) *Worker {
	s.commands = c
	w := s.worker("commands")
	w.c.Commands = c
	s.run(w)
	return w
}

// speech is a film whose sound is there from its second second on.
func speech(t *testing.T) string {
	return clip(t, "talk.mp4", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=10:duration=4",
		"-f", "lavfi", "-i", "sine=frequency=300:sample_rate=44100:duration=4", "-af", "volume='if(gte(t,2),1,0)':eval=frame",
		"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac")
}

// v3 runs a preset of v3 over an asset, and returns its output.
func (s *service) v3(preset ams.Preset, in *ams.Asset, start, end string) (*ams.Asset, *ams.JobError) {
	s.t.Helper()
	ctx := s.t.Context()
	name := fmt.Sprintf("t%d", time.Now().UnixNano())
	out := s.asset("out-"+name, nil)
	if _, _, err := s.account.CreateOrUpdateTransform(ctx, name, account.TransformInput{Outputs: []ams.TransformOutput{{Preset: preset}}}); err != nil {
		s.t.Fatal(err)
	}
	input := ams.JobInput{Kind: ams.InputAsset, Asset: in.Name}
	clipTime := func(t string) []byte {
		return fmt.Appendf(nil, `{"@odata.type":"#Microsoft.Media.AbsoluteClipTime","time":"%s"}`, t)
	}
	if start != "" {
		input.Start, input.End = clipTime(start), clipTime(end)
	}
	j, err := s.account.SubmitJob(ctx, name, "j", account.JobRequest{Input: input, Outputs: []account.JobOutput{{Asset: out.Name}}})
	if err != nil {
		s.t.Fatal(err)
	}
	for c := range s.changes {
		if c.Task == j.Tasks[0].ID && c.To.Final() {
			break
		}
	}
	if j, err = s.account.Job(ctx, name, "j"); err != nil {
		s.t.Fatal(err)
	}
	return out, j.Tasks[0].Error
}

// What is said becomes captions in every format, by either API.
func TestSpeech(t *testing.T) {
	s := newService(t, jobqueue.Config{})
	s.with(plugin(t))
	talk := speech(t)

	const ami = `<?xml version="1.0" encoding="utf-8"?><configuration version="2.0"><input><metadata key="title" value="x"/></input><settings></settings>
		<features><feature name="ASR"><settings><add key="Language" value="German"/><add key="CaptionFormats" value="ttml;sami;webvtt"/>
		<add key="GenerateAIB" value="False"/><add key="GenerateKeywords" value="True"/></settings></feature></features></configuration>`
	out, e := s.runTask(ams.MediaIndexer, ami, "talk.mp4", talk)
	if e != nil {
		t.Fatal(e)
	}
	if got, want := s.files(out), []string{"talk.info", "talk.kw.xml", "talk.smi", "talk.ttml", "talk.vtt"}; !slices.Equal(got, want) {
		t.Fatalf("%q, want %q", got, want)
	}
	for _, name := range []string{"talk.vtt", "talk.ttml"} {
		_, b := s.read(out, name)
		d, err := text.Parse(b)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, b)
		}
		cues := string(d.WebVTT(0, time.Hour, 0))
		if strings.Count(cues, "-->") != 2 || !strings.Contains(cues, "00:00:02.000 --> 00:00:03.000\nA sound &lt;number&gt; 2.") {
			t.Errorf("%s: %s", name, cues)
		}
	}
	if _, b := s.read(out, "talk.vtt"); !strings.Contains(string(b), "NOTE language:de-DE\n") || !strings.Contains(string(b), "NOTE Confidence: 0.8000\n") {
		t.Errorf("%s", b)
	}
	if _, b := s.read(out, "talk.smi"); !strings.Contains(string(b), "<SYNC Start=2000><P Class=DEDECC>A sound &lt;number&gt; 2.</P></SYNC>") || !strings.Contains(string(b), ".DEDECC { Name: de-DE; lang: de-DE; SAMIType: CC; }") {
		t.Errorf("%s", b)
	}
	if _, b := s.read(out, "talk.kw.xml"); !strings.Contains(string(b), "<text>sound</text>\n    <frequency>2</frequency>\n    <offset>2.000</offset>") {
		t.Errorf("%s", b)
	}

	const spreco = `{"version":"1.0","Features":[{"Options":{"Formats":["WebVtt","Sami"],"Language":"EnUs","Type":"RecoOptions"},"Type":"SpReco"}]}`
	if out, e = s.runTask(ams.MediaIndexer2, spreco, "talk.mp4", talk); e != nil {
		t.Fatal(e)
	}
	if got, want := s.files(out), []string{"talk_aud_SpReco.smi", "talk_aud_SpReco.vtt"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}

	mute := clip(t, "mute.mp4", "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=10:duration=1", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
	if _, e = s.runTask(ams.MediaIndexer2, spreco, "mute.mp4", mute); e == nil || e.Code != ams.ConfigurationUnsupported || !strings.Contains(e.Message, "No audio stream can be extracted") {
		t.Errorf("%v", e)
	}

	// The sound of a set may be in a file of its own.
	dir := t.TempDir()
	split := func(name string, args ...string) string {
		to := filepath.Join(dir, name)
		if err := tools(t).Run(t.Context(), append(append([]string{"-i", talk}, args...), to), nil); err != nil {
			t.Fatal(err)
		}
		return to
	}
	apart := s.asset("apart", map[string]string{"v.mp4": split("v.mp4", "-an", "-c", "copy"), "a.mp4": split("a.mp4", "-vn", "-c", "copy")})
	if out, e = s.v3(ams.Preset{Type: audioAnalyzer, Body: []byte(`{"mode":"Basic"}`)}, apart, "", ""); e != nil {
		t.Fatal(e)
	}
	if _, b := s.read(out, "transcript.vtt"); strings.Count(string(b), "-->") != 2 {
		t.Errorf("%s", b)
	}

	// Of a part, times are those of the whole.
	in := s.asset("v3", map[string]string{"talk.mp4": talk})
	out, e = s.v3(ams.Preset{Type: audioAnalyzer, Body: []byte(`{"@odata.type":"#Microsoft.Media.AudioAnalyzerPreset","audioLanguage":"en-GB","mode":"Standard"}`)}, in, "PT1S", "PT3S")
	if e != nil {
		t.Fatal(e)
	}
	if got, want := s.files(out), []string{"insights.json", "transcript.vtt"}; !slices.Equal(got, want) {
		t.Fatalf("%q, want %q", got, want)
	}
	var insights struct {
		Duration   string
		Language   string `json:"sourceLanguage"`
		Transcript []struct {
			ID        int
			Text      string
			Language  string
			Instances []struct{ Start, End string }
		}
		Keywords   []struct{ Text string }
		Statistics map[string]any
		Faces      any
	}
	_, b := s.read(out, "insights.json")
	if err := json.Unmarshal(b, &insights); err != nil {
		t.Fatal(err)
	}
	if len(insights.Transcript) != 1 || insights.Transcript[0].Instances[0].Start != "00:00:02.0000000" || insights.Language != "en-GB" ||
		len(insights.Keywords) == 0 || insights.Statistics == nil || insights.Faces != nil {
		t.Errorf("%s", b)
	}
}

// Several recordings are told of in JobResult.txt; one that cannot be heard does
// not keep the others from it.
func TestSpeechOfSeveral(t *testing.T) {
	s := newService(t, jobqueue.Config{})
	s.with(plugin(t))
	ctx := t.Context()
	mute := clip(t, "mute.mp4", "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=10:duration=1", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
	r := account.TaskJobRequest{Tasks: []account.TaskRequest{taskOf(ams.MediaIndexer, `<configuration version="2.0"/>`, account.Port{}, 0)}}
	for i, path := range []string{speech(t), mute} {
		a := s.asset(fmt.Sprint("in", i), map[string]string{filepath.Base(path): path})
		if err := s.account.CreateFileInfos(ctx, a.ID); err != nil {
			t.Fatal(err)
		}
		if r.Inputs = append(r.Inputs, a.ID); i > 0 {
			r.Tasks[0].Inputs = append(r.Tasks[0].Inputs, account.Port{N: i})
		}
	}
	j, err := s.account.SubmitTasks(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	if j = s.ended(j, 0); j.State != ams.Finished {
		t.Fatal(j.Tasks[0].Error)
	}
	out, _ := s.account.Asset(ctx, j.Tasks[0].Asset)
	_, b := s.read(out, "JobResult.txt")
	if want := "InputFile\tAlias\tMediaLength\tError\r\ntalk.mp4\ttalk\t00:00:04\t0\r\nmute.mp4\tmute\t00:00:01\t3000\r\n"; string(b) != want {
		t.Errorf("%q, want %q", b, want)
	}
	if got := s.files(out); slices.ContainsFunc(got, func(n string) bool { return strings.HasPrefix(n, "mute") }) || !slices.Contains(got, "talk.vtt") {
		t.Errorf("%q", got)
	}
}

// A list of files (.lst) stands for them.
func TestSpeechOfList(t *testing.T) {
	s := newService(t, jobqueue.Config{})
	s.with(plugin(t))
	ctx := t.Context()
	talk := speech(t)
	for _, tt := range []struct{ list, says string }{
		{"\ufefftalk.mp4\r\n\r\nagain.mp4\r\n", ""},
		{"lost.mp4\n", "'lost.mp4'"},
		{"../talk.mp4\n", "neither a file nor an https URL"},
		{"\n", "empty"},
		{strings.Repeat("talk.mp4\n", 11), "at most 10"},
	} {
		list := filepath.Join(t.TempDir(), "list")
		if err := os.WriteFile(list, []byte(tt.list), 0o600); err != nil {
			t.Fatal(err)
		}
		in := s.asset(fmt.Sprintf("in %d", time.Now().UnixNano()), map[string]string{"all.lst": list, "talk.mp4": talk, "again.mp4": talk, "other.mp4": talk})
		for _, name := range []string{"all.lst", "talk.mp4", "again.mp4", "other.mp4"} {
			if _, err := s.account.CreateFile(ctx, ams.AssetFile{Asset: in.ID, Name: name, Primary: name == "all.lst"}); err != nil {
				t.Fatal(err)
			}
		}
		j, err := s.account.SubmitTasks(ctx, account.TaskJobRequest{Inputs: []string{in.ID}, Tasks: []account.TaskRequest{
			taskOf(ams.MediaIndexer, `<configuration version="2.0"/>`, account.Port{}, 0)}})
		if err != nil {
			t.Fatal(err)
		}
		j = s.ended(j, 0)
		if tt.says != "" {
			if e := j.Tasks[0].Error; e == nil || !strings.Contains(e.Message, tt.says) {
				t.Errorf("%q: %v, want %q", tt.list, e, tt.says)
			}
			continue
		}
		if j.State != ams.Finished {
			t.Fatal(j.Tasks[0].Error)
		}
		out, _ := s.account.Asset(ctx, j.Tasks[0].Asset)
		if got := s.files(out); !slices.Contains(got, "talk.vtt") || !slices.Contains(got, "again.vtt") || slices.Contains(got, "other.vtt") || !slices.Contains(got, "JobResult.txt") {
			t.Errorf("%q", got)
		}
	}
}

// detected is the JSON of AMS's detectors.
type detected struct {
	Version   int
	Timescale int64
	Framerate float64
	Width     int
	Height    int
	Total     int64 `json:"totalDuration"`
	Regions   []map[string]any
	Fragments []struct {
		Start, Duration, Interval int64
		Events                    [][]map[string]any
	}
	Faces *int `json:"facesDetected"`
}

// at returns the events at a second.
func (d *detected) at(second float64) []map[string]any {
	tick := int64(second * float64(d.Timescale))
	for _, f := range d.Fragments {
		if tick >= f.Start && tick < f.Start+f.Duration && f.Interval > 0 {
			return f.Events[(tick-f.Start)/f.Interval]
		}
	}
	return nil
}

func TestDetectors(t *testing.T) {
	s := newService(t, jobqueue.Config{})
	s.with(plugin(t))
	talk := speech(t) // 4 s, 10 fps, 320x180
	see := func(processor, configuration, file string) *detected {
		t.Helper()
		out, e := s.runTask(processor, configuration, "talk.mp4", talk)
		if e != nil {
			t.Fatalf("%s: %v", processor, e)
		}
		if got := s.files(out); !slices.Equal(got, []string{file}) {
			t.Fatalf("%s: %q, want %s", processor, got, file)
		}
		_, b := s.read(out, file)
		d := new(detected)
		if err := json.Unmarshal(b, d); err != nil {
			t.Fatal(err)
		}
		if d.Width != 320 || d.Height != 180 || d.Framerate != 10 || d.Timescale < 1000 {
			t.Errorf("%s: %.300s", processor, b)
		}
		next := int64(0)
		for i, f := range d.Fragments {
			if f.Start != next || f.Interval > 0 && int64(len(f.Events))*f.Interval != f.Duration {
				t.Errorf("%s: fragment %d: %d + %d, interval %d, %d events, after %d", processor, i, f.Start, f.Duration, f.Interval, len(f.Events), next)
			}
			next = f.Start + f.Duration
		}
		if end := float64(next) / float64(d.Timescale); end < 4 || end > 4.6 {
			t.Errorf("%s: fragments end at %.2f s", processor, end)
		}
		return d
	}
	faces := see(ams.FaceDetector, `{"version":"1.0","options":{"TrackingMode":"Faster","mode":"perFaceEmotion"}}`, "talk_annotations.json")
	if early, late := faces.at(1), faces.at(3); len(early) != 2 || len(late) != 1 || *faces.Faces != 2 || early[0]["x"] != 0.1 || early[0]["scores"].(map[string]any)["happiness"] != 0.8 {
		t.Errorf("faces %v, %v, %d", early, late, *faces.Faces)
	}
	emotions := see(ams.FaceDetector, `{"version":"1.0","options":{"mode":"aggregateEmotion","aggregateEmotionWindowMs":"1000","aggregateEmotionIntervalMs":"500"}}`, "talk_annotations.json")
	if e := emotions.at(3)[0]; e["windowFaceDistribution"].(map[string]any)["happiness"] != 1.0 || e["windowMeanScores"].(map[string]any)["neutral"] != 0.2 {
		t.Errorf("emotions %v", e)
	}
	motion := see(ams.MotionDetector, `{"version":"1.0","options":{"sensitivityLevel":"high","frameSamplingValue":2,"detectLightChange":"False","mergeTimeThreshold":"00:00:02",
		"detectionZones":[[{"x":0,"y":0},{"x":0.5,"y":0},{"x":0,"y":1}]]}}`, "talk_motion.json")
	if motion.Version != 2 || motion.at(1) != nil && len(motion.at(1)) > 0 || motion.at(3)[0]["typeName"] != "motion" || motion.Regions[0]["type"] != "polygon" || motion.Fragments[0].Interval != 0 {
		t.Errorf("motion %+v", motion)
	}
	light := see(ams.MotionDetector, `{"version":"1.0","options":{"detectLightChange":true}}`, "talk_motion.json")
	if light.at(0)[0]["typeName"] != "lightChange" || light.Regions[0]["type"] != "rectangle" {
		t.Errorf("light %+v", light)
	}
	words := see(ams.OCR, `<?xml version="1.0" encoding="utf-16"?><VideoOcrPreset Version="1.0" xmlns="http://www.windowsazure.com/media/encoding/Preset/2014/03"><Options><AdvancedOutput>true</AdvancedOutput>
		<Language>English</Language><TimeInterval>PT1.5S</TimeInterval><DetectRegions><DetectRegion><Left>10</Left><Top>10</Top><Width>100</Width><Height>50</Height></DetectRegion></DetectRegions>
		<TextOrientation>Up</TextOrientation></Options></VideoOcrPreset>`, "talk_ocr.json")
	region := words.at(2)[0]["region"].(map[string]any)
	line := region["lines"].([]any)[0].(map[string]any)
	word := line["word"].([]any)[1].(map[string]any)
	if line["text"] != "Hello world" || word["text"] != "world" || word["left"] != 160.0 || word["right"] != 240.0 || word["confidence"] != 990.0 {
		t.Errorf("text %v", region)
	}
	simple := see(ams.OCR, `{"Version":1.0,"Options":{"Language":"English"}}`, "talk_ocr.json")
	if e := simple.at(2)[0]; e["text"] != "Hello world" || e["language"] != "English" {
		t.Errorf("text %v", e)
	}
	moderation := see(ams.ContentModerator, `{"version":"2.0"}`, "talk_moderation.json")
	if e := moderation.at(3)[0]; moderation.Total != 4*moderation.Timescale || e["reviewRecommended"] != true || e["racyScore"] != 0.75 || e["index"] != 30.0 {
		t.Errorf("moderation %v of %d", e, moderation.Total)
	}
}

// blurred compares a part of a picture with that of the source, at a second: the
// mean of differences.
func blurred(t *testing.T, a, b string, second float64, box string) float64 {
	t.Helper()
	file := filepath.Join(t.TempDir(), "d.txt")
	graph := fmt.Sprintf("[0:v]crop=%[1]s[a];[1:v]crop=%[1]s[b];[a][b]blend=all_mode=difference,trim=start=%[2]g:end=%[3]g,signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=%[4]s",
		box, second, second+0.1, escapeFilter(file))
	if err := tools(t).Run(t.Context(), []string{"-y", "-i", a, "-i", b, "-filter_complex", graph, "-f", "null", os.DevNull}, nil); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, v, _ := strings.Cut(string(text), "YAVG=")
	var n float64
	if _, err := fmt.Sscan(v, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// Faces are found, covered at once, or covered later by a list that the client
// has changed.
func TestRedactor(t *testing.T) {
	s := newService(t, jobqueue.Config{})
	s.with(plugin(t))
	talk := speech(t)
	const ( // inside of the faces of the sample, and apart from both
		one   = "iw*0.18:ih*0.26:iw*0.11:ih*0.12"
		two   = "iw*0.18:ih*0.26:iw*0.61:ih*0.52"
		apart = "iw*0.2:ih*0.3:iw*0.35:ih*0.1"
	)
	covered := func(path string, want [3]bool, second float64) {
		t.Helper()
		for i, box := range []string{one, two, apart} {
			if got := blurred(t, talk, path, second, box); (got > 5) != want[i] {
				t.Errorf("second %g, %s differs by %.1f, want it covered: %v", second, box, got, want[i])
			}
		}
	}
	redacted := func(out *ams.Asset) string {
		t.Helper()
		if !slices.Contains(s.files(out), "talk_redacted.mp4") {
			t.Fatalf("%q", s.files(out))
		}
		path, _ := s.read(out, "talk_redacted.mp4")
		info, err := tools(t).Probe(t.Context(), path)
		if err != nil || pickVideo(info).Frames != 40 || pickAudio(info) == nil {
			t.Errorf("%+v, %v", info, err)
		}
		return path
	}
	out, e := s.runTask(ams.Redactor, `{"version":"1.0","options":{"mode":"combined","blurType":"Black"}}`, "talk.mp4", talk)
	if e != nil {
		t.Fatal(e)
	}
	path := redacted(out)
	covered(path, [3]bool{true, true, false}, 1)
	covered(path, [3]bool{true, false, false}, 3)

	found, e := s.runTask(ams.Redactor, `{"version":"1.0","options":{"mode":"analyze"}}`, "talk.mp4", talk)
	if e != nil {
		t.Fatal(e)
	}
	if got, want := s.files(found), []string{"talk_annotations.json", "talk_thumb000001.jpg", "talk_thumb000002.jpg"}; !slices.Equal(got, want) {
		t.Fatalf("%q, want %q", got, want)
	}
	_, b := s.read(found, "talk_thumb000001.jpg")
	if picture, err := jpeg.DecodeConfig(bytes.NewReader(b)); err != nil || math.Abs(float64(picture.Width)-64) > 2 || math.Abs(float64(picture.Height)-54) > 2 {
		t.Errorf("%+v, %v", picture, err)
	}
	annotations, b := s.read(found, "talk_annotations.json")
	if !strings.Contains(string(b), `"index": 1`) {
		t.Errorf("%.600s", b)
	}
	list := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(list, []byte("2\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	in := s.asset("to redact", map[string]string{"talk.mp4": talk, "talk_annotations.json": annotations, "talk_IDList.txt": list})
	for _, blur := range []string{"Low", "Box"} {
		out, e = s.v3(ams.Preset{Type: faceDetector, Body: []byte(`{"@odata.type":"#Microsoft.Media.FaceDetectorPreset","mode":"Redact","blurType":"` + blur + `"}`)}, in, "", "")
		if e != nil {
			t.Fatal(e)
		}
		path = redacted(out)
		if blur != "Box" { // which has but an edge
			covered(path, [3]bool{false, true, false}, 1)
			covered(path, [3]bool{false, false, false}, 3)
		} else if edge := blurred(t, talk, path, 1, "iw*0.02:ih*0.26:iw*0.573:ih*0.52"); edge < 10 {
			t.Errorf("no frame around the face: %.1f", edge)
		}
	}
	if _, e = s.runTask(ams.Redactor, `{"version":"1.0","options":{"mode":"redact"}}`, "talk.mp4", talk); e == nil || e.Code != ams.ConfigurationUnsupported || !strings.Contains(e.Message, "talk_annotations.json") {
		t.Errorf("without annotations: %v", e)
	}
}

// All that can be found is in insights.json.
func TestVideoAnalyzer(t *testing.T) {
	s := newService(t, jobqueue.Config{})
	s.with(plugin(t))
	in := s.asset("in", map[string]string{"talk.mp4": speech(t)})
	out, e := s.v3(ams.Preset{Type: videoAnalyzer, Body: []byte(`{"@odata.type":"#Microsoft.Media.VideoAnalyzerPreset","insightsToExtract":"AllInsights"}`)}, in, "", "")
	if e != nil {
		t.Fatal(e)
	}
	if got, want := s.files(out), []string{"insights.json", "talk_thumb000001.jpg", "talk_thumb000002.jpg", "transcript.vtt"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	_, b := s.read(out, "insights.json")
	var insights map[string]any
	if err := json.Unmarshal(b, &insights); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{"transcript": 2, "ocr": 1, "faces": 2, "shots": 1, "visualContentModeration": 8}
	for name, n := range count {
		if list, _ := insights[name].([]any); len(list) != n {
			t.Errorf("%d %s, want %d: %.1500s", len(list), name, n, b)
		}
	}
	second := insights["faces"].([]any)[1].(map[string]any)
	if second["thumbnail"] != "talk_thumb000002.jpg" || fmt.Sprint(second["instances"]) != "[map[end:00:00:02.0000000 start:00:00:00.0000000]]" {
		t.Errorf("%v", second)
	}
}

// A command that fails, hangs or writes nonsense fails its task, and says so.
func TestCommandFails(t *testing.T) {
	talk := speech(t)
	for _, tt := range []struct {
		flags []string
		code  ams.JobErrorCode
		says  string
	}{
		{[]string{"--fail", "65"}, ams.ContentUnsupported, "the pictures are too dark"},
		{[]string{"--fail", "3"}, ams.ServiceError, "'faces-command' names failed for \"talk.mp4\" (exit status 3)"},
		{[]string{"--bad"}, ams.ServiceError, "samples[0].faces[0]: the box"},
		{[]string{"--hang"}, ams.ServiceError, "did not end within"},
	} {
		t.Run(tt.flags[0]+tt.flags[len(tt.flags)-1], func(t *testing.T) {
			s := newService(t, jobqueue.Config{})
			c := plugin(t, tt.flags...)
			c.Timeout = 20 * time.Second
			if tt.flags[0] == "--hang" {
				c.Timeout = 200 * time.Millisecond
			}
			s.with(c)
			_, e := s.runTask(ams.FaceDetector, "", "talk.mp4", talk)
			if e == nil || e.Code != tt.code || !strings.Contains(e.Message, tt.says) {
				t.Errorf("%v, want %s %q", e, tt.code, tt.says)
			}
			if tt.code != ams.ContentUnsupported && strings.Contains(e.Message, "too dark") {
				t.Errorf("what the program printed is the user's to read: %s", e.Message)
			}
		})
	}
}

// What needs a command that is not there is refused by its name, in both APIs.
func TestCommandMissing(t *testing.T) {
	var none Commands
	for _, tt := range []struct {
		processor, text string
		need            need
	}{
		{ams.MediaIndexer, `<configuration version="2.0"/>`, speechCommand},
		{ams.MediaIndexer2, `{"version":"1.0","Features":[]}`, speechCommand},
		{ams.FaceDetector, `{"version":"1.0"}`, facesCommand},
		{ams.Redactor, `{"version":"1.0","options":{"mode":"analyze"}}`, facesCommand},
		{ams.MotionDetector, `{"version":"1.0"}`, motionCommand},
		{ams.OCR, `{"version":1.0}`, textCommand},
		{ams.ContentModerator, `{"version":"2.0"}`, moderationCommand},
	} {
		_, err := none.TaskPreset(tt.processor, tt.text, 1, 1)
		if ams.CodeOf(err) != ams.Unsupported || !strings.Contains(err.Error(), tt.processor) || !strings.Contains(err.Error(), string(tt.need)) {
			t.Errorf("%s: %v", tt.processor, err)
		}
	}
	if _, err := none.TaskPreset(ams.Redactor, `{"version":"1.0","options":{"mode":"redact"}}`, 1, 1); err != nil {
		t.Errorf("redaction of faces that are known: %v", err)
	}
	all := Commands{Speech: []string{"a"}, Faces: []string{"a"}, Text: []string{"a"}}
	for _, tt := range []struct {
		kind, body string
		need       need
	}{
		{audioAnalyzer, `{}`, speechCommand},
		{videoAnalyzer, `{"insightsToExtract":"VideoInsightsOnly"}`, facesCommand},
		{videoAnalyzer, `{}`, speechCommand},
		{faceDetector, `{"mode":"Combined"}`, facesCommand},
	} {
		p := ams.Preset{Type: tt.kind, Body: []byte(tt.body)}
		if err := none.Supported(p); ams.CodeOf(err) != ams.Unsupported || !strings.Contains(err.Error(), string(tt.need)) || !strings.Contains(err.Error(), tt.kind) {
			t.Errorf("%s: %v", tt.kind, err)
		}
		if err := Supported(p); ams.CodeOf(err) != ams.Unsupported {
			t.Errorf("%s without commands: %v", tt.kind, err)
		}
		if err := all.Supported(p); err != nil {
			t.Errorf("%s: %v", tt.kind, err)
		}
	}
	for _, tt := range []struct{ kind, body, says string }{
		{audioAnalyzer, `{"audioLanguage":"en_US"}`, "audioLanguage"},
		{audioAnalyzer, `{"mode":"Fast"}`, "mode"},
		{videoAnalyzer, `{"insightsToExtract":"Everything"}`, "insightsToExtract"},
		{faceDetector, `{"blurType":"Fog"}`, "Fog"},
		{faceDetector, `{"resolution":"4K"}`, "resolution"},
	} {
		if err := all.Supported(ams.Preset{Type: tt.kind, Body: []byte(tt.body)}); ams.CodeOf(err) != ams.Invalid || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s %s: %v", tt.kind, tt.body, err)
		}
	}
	for _, tt := range []struct{ processor, text, says string }{
		{ams.MediaIndexer, `{"version":"2.0"}`, "configuration"},
		{ams.MediaIndexer, `<configuration><features><feature name="OCR"/></features></configuration>`, "OCR"},
		{ams.MediaIndexer, `<configuration><features><feature name="ASR"><settings><add key="GenerateAIB" value="True"/></settings></feature></features></configuration>`, "AIB"},
		{ams.MediaIndexer, `<configuration><features><feature name="ASR"><settings><add key="Language" value="Klingon"/></settings></feature></features></configuration>`, "Klingon"},
		{ams.MediaIndexer2, `{"Features":[{"Type":"SpReco","Options":{"Formats":["srt"]}}]}`, "srt"},
		{ams.MediaIndexer2, `{"Features":[{"Type":"SpReco","Options":{"Language":"English"}}]}`, "English"},
		{ams.FaceDetector, `{"options":{"mode":"guess"}}`, "guess"},
		{ams.FaceDetector, `{"options":{"mode":"aggregateEmotion","aggregateEmotionWindowMs":"5"}}`, "250"},
		{ams.MotionDetector, `{"options":{"detectionZones":[[{"x":0,"y":0}]]}}`, "3 to 100 points"},
		{ams.MotionDetector, `{"options":{"sensitivityLevel":"some"}}`, "some"},
		{ams.OCR, `{"options":{"detectRegions":[{"Left":0,"Top":0,"Width":10,"Height":100}]}}`, "40"},
		{ams.Redactor, `{"options":{"mode":"hide"}}`, "hide"},
	} {
		if _, err := TaskPreset(tt.processor, tt.text, 1, 1); ams.CodeOf(err) != ams.Invalid && ams.CodeOf(err) != ams.Unsupported || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s %s: %v", tt.processor, tt.text, err)
		}
	}
}
