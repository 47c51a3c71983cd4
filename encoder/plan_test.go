package encoder

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/ffmpeg"
)

var update = flag.Bool("update", false, "rewrite golden files")

func preset(name string) ams.Preset {
	return ams.Preset{Type: ams.BuiltIn, Body: fmt.Appendf(nil, `{"presetName":%q}`, name)}
}

// builtInNames are the presets of v3 that this encoder has.
var builtInNames = []string{
	"AACGoodQualityAudio", "AdaptiveStreaming", "ContentAwareEncoding", "CopyAllBitrateInterleaved", "CopyAllBitrateNonInterleaved", "DDGoodQualityAudio",
	"H264MultipleBitrate1080p", "H264MultipleBitrate720p", "H264MultipleBitrateSD",
	"H264SingleBitrate1080p", "H264SingleBitrate720p", "H264SingleBitrateSD",
	"H265AdaptiveStreaming", "H265ContentAwareEncoding", "H265SingleBitrate1080p", "H265SingleBitrate4K", "H265SingleBitrate720p",
}

// TestPlans holds plan and command line of every preset for every probe result
// in testdata/probes, which are those of the project's sample media.
func TestPlans(t *testing.T) {
	probes, err := filepath.Glob("testdata/probes/*.json")
	if err != nil || len(probes) == 0 {
		t.Fatalf("no probe results: %v", err)
	}
	for _, name := range builtInNames {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			for _, probe := range probes {
				source := strings.TrimSuffix(filepath.Base(probe), ".json")
				showPlan(t, &got, preset(name), One(source, readProbe(t, probe), Clip{}), source)
			}
			golden(t, filepath.Join("testdata/plans", name+".txt"), got.Bytes())
		})
	}
}

// showPlan prints what a preset makes of a source.
func showPlan(t *testing.T, got *bytes.Buffer, p ams.Preset, q Request, title string) {
	t.Helper()
	fmt.Fprintf(got, "== %s\n", title)
	plan, err := NewPlan(p, q)
	if err != nil {
		fmt.Fprintf(got, "%v\n\n", err)
		return
	}
	b, err := json.MarshalIndent(plan, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(got, "%s\n", b)
	showArgs(got, plan, q)
}

// showCommand prints the command line alone.
func showCommand(t *testing.T, got *bytes.Buffer, p ams.Preset, q Request, title string) {
	t.Helper()
	fmt.Fprintf(got, "== %s\n", title)
	plan, err := NewPlan(p, q)
	if err != nil {
		fmt.Fprintf(got, "%v\n\n", err)
		return
	}
	showArgs(got, plan, q)
}

func showArgs(got *bytes.Buffer, plan *Plan, q Request) {
	var paths []string
	for _, s := range plan.sources(q) {
		paths = append(paths, "/in/"+s.Name)
	}
	for _, arg := range plan.Args(paths, "/out") {
		if strings.HasPrefix(arg, "-") {
			got.WriteString("\n\t" + arg)
		} else {
			got.WriteString(" " + arg)
		}
	}
	got.WriteString("\n\n")
}

func readProbe(t *testing.T, file string) *ffmpeg.Info {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	info, err := ffmpeg.ParseInfo(b)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return info
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s (-want +got; rewrite with -update):\n%s", file, d)
	}
}

// TestAutoRungs holds the documented ladders of AdaptiveStreaming.
func TestAutoRungs(t *testing.T) {
	for _, tt := range []struct {
		name          string
		width, height float64
		fps           float64
		bitrate       int64
		want          []box
	}{
		{"1080p29.97", 1920, 1080, 30000. / 1001, 0, []box{{1920, 1080, 6780e3}, {1280, 720, 3520e3}, {960, 540, 2210e3}, {640, 360, 1150e3}, {480, 270, 720e3}, {320, 180, 380e3}}},
		{"720p23.97", 1280, 720, 23.97, 0, []box{{1280, 720, 2940e3}, {960, 540, 1850e3}, {640, 360, 960e3}, {480, 270, 600e3}, {320, 180, 320e3}}},
		{"360p29.97 of 700 kbps", 640, 360, 29.97, 700e3, []box{{640, 360, 700e3}, {480, 270, 440e3}, {320, 180, 230e3}}},
		{"tall", 1080, 1920, 30000. / 1001, 0, []box{{1080, 1920, 6780e3}, {720, 1280, 3520e3}, {540, 960, 2210e3}, {360, 640, 1150e3}, {270, 480, 720e3}, {180, 320, 380e3}}},
		{"4:3", 640, 480, 25, 0, []box{{480, 360, 790e3}, {360, 270, 500e3}, {240, 180, 260e3}}},
		{"odd", 321, 181, 25, 0, []box{{320, 180, 330e3}}},
		{"smaller than every line", 101, 51, 25, 0, []box{{100, 50, 50e3}}},
		{"two pixels", 2, 1, 25, 0, []box{{2, 2, 50e3}}},
	} {
		got := autoRungs(tt.width, tt.height, tt.fps, tt.bitrate)
		if len(got) != len(tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
			continue
		}
		for i, r := range got {
			w := tt.want[i]
			// The formula that stands for the documented numbers is good to 10 kbps.
			if r.width != w.width || r.height != w.height || r.bitrate < w.bitrate-10e3 || r.bitrate > w.bitrate+10e3 {
				t.Errorf("%s: rung %d is %v, want %v", tt.name, i, r, w)
			}
			if tt.bitrate > 0 && int64(r.bitrate) > tt.bitrate {
				t.Errorf("%s: rung %d has more bits than the source", tt.name, i)
			}
		}
	}
}

func TestFit(t *testing.T) {
	px := func(n float64) measure { return measure{n: n} }
	pc := func(n float64) measure { return measure{n: n, percent: true} }
	for _, tt := range []struct {
		width, height float64
		w, h          measure
		stretch       string
		want          []int // width, height, and those of the padded picture
	}{
		{1920, 1080, px(1280), px(720), "AutoSize", []int{1280, 720}},
		{1920, 800, px(1280), px(720), "AutoSize", []int{1280, 534}},
		{1280, 720, px(848), px(480), "AutoSize", []int{848, 480}},
		{1440, 1080, px(1280), px(720), "AutoSize", []int{960, 720}},
		{1080, 1920, px(1280), px(720), "AutoSize", []int{720, 1280}},
		{640, 360, px(1280), px(720), "AutoSize", []int{1280, 720}}, // the preset says so
		{16, 16, px(848), px(480), "AutoSize", []int{480, 480}},
		{1440, 1080, px(1280), px(720), "AutoFit", []int{960, 720, 1280, 720}},
		{1080, 1920, px(1280), px(720), "AutoFit", []int{406, 720, 1280, 720}},
		{1440, 1080, px(1280), px(720), "None", []int{1280, 720}},
		{1440, 1080, pc(50), pc(50), "AutoSize", []int{720, 540}},
		{1080, 1920, pc(50), pc(50), "AutoSize", []int{540, 960}},
		{1920, 1080, px(640), measure{}, "AutoSize", []int{640, 360}},
		{1920, 1080, measure{}, px(360), "None", []int{640, 360}},
		{1920, 1080, measure{}, measure{}, "AutoSize", []int{1920, 1080}},
		{321, 181, measure{}, measure{}, "AutoSize", []int{320, 180}},
	} {
		l := layer{width: tt.w, height: tt.h, stretch: tt.stretch}
		w, h, pad := l.fit(tt.width, tt.height)
		if got := append([]int{w, h}, pad...); !slices.Equal(got, tt.want) {
			t.Errorf("%v x %v into %v x %v, %s = %v, want %v", tt.width, tt.height, tt.w, tt.h, tt.stretch, got, tt.want)
		}
	}
}

func TestFrameRate(t *testing.T) {
	r := func(num, den int64) ffmpeg.Rational { return ffmpeg.Rational{Num: num, Den: den} }
	for _, tt := range []struct {
		name      string
		rate, avg ffmpeg.Rational
		want      ffmpeg.Rational
	}{
		{"film", r(24000, 1001), r(24000, 1001), r(24000, 1001)},
		{"phone, nearly even", r(30000, 1001), r(37200, 1241), r(30000, 1001)},
		{"phone, uneven", r(30, 1), r(140000, 5087), r(30, 1)},
		{"screen capture", r(57600, 1), r(3628800, 502589), r(30, 1)},
		{"game capture", r(1000, 1), r(58, 1), r(60, 1)},
		{"fields for frames", r(50, 1), r(25, 1), r(25, 1)},
		{"only an average", r(0, 0), r(25, 1), r(25, 1)},
		{"nothing known", r(0, 0), r(0, 0), r(30, 1)},
		{"time base for a rate", r(90000, 1), r(90000, 1), r(60, 1)},
	} {
		if got := frameRate(&ffmpeg.Stream{Rate: tt.rate, AverageRate: tt.avg}); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestBasename(t *testing.T) {
	for _, tt := range []struct{ file, want string }{
		{"BigBuckBunny.mp4", "BigBuckBunny"},
		{"a/b/film.final.mov", "film.final"},
		{`c:\video\film.avi`, "film"},
		{"no extension", "no extension"},
		{".mp4", ".mp4"},
		{strings.Repeat("é", 40) + ".mp4", strings.Repeat("é", 32)}, // characters, not bytes
		{`a:b*"c".mp4`, "a_b__c_"},
		{"ends with dots...mp4", "ends with dots"},
		{"", "output"},
	} {
		if got := basename(tt.file, maxBasename); got != tt.want {
			t.Errorf("basename(%q) = %q, want %q", tt.file, got, tt.want)
		}
	}
}

func TestSupported(t *testing.T) {
	for _, tt := range []struct {
		preset ams.Preset
		code   ams.Code
		names  string // what the error must name
	}{
		{preset("AdaptiveStreaming"), 0, ""},
		{preset("AACGoodQualityAudio"), 0, ""},
		{preset("H265AdaptiveStreaming"), 0, ""},
		{preset("ContentAwareEncoding"), 0, ""},
		{ams.Preset{Type: ams.BuiltIn, Body: json.RawMessage(`{"presetName":"AdaptiveStreaming","configurations":{"maxLayers":2}}`)}, ams.Unsupported, "configurations"},
		{ams.Preset{Type: mesPreset, Body: json.RawMessage(`{"presetName":"H264 Multiple Bitrate 720p Audio 5.1"}`)}, 0, ""},
		{ams.Preset{Type: "FaceDetectorPreset", Body: json.RawMessage(`{}`)}, ams.Unsupported, "FaceDetectorPreset"},
		{preset("NoSuchPreset"), ams.Unsupported, "NoSuchPreset"},
		{ams.Preset{Type: ams.BuiltIn, Body: json.RawMessage(`[]`)}, ams.Invalid, "presetName"},
	} {
		err := Supported(tt.preset)
		if tt.names == "" {
			if err != nil {
				t.Errorf("%s: %v", tt.preset.Body, err)
			}
			continue
		}
		if err == nil || ams.CodeOf(err) != tt.code || !strings.Contains(err.Error(), tt.names) {
			t.Errorf("%s %s: %v", tt.preset.Type, tt.preset.Body, err)
		}
	}
}

// TestPlanRefuses: sources of which nothing can be made are told from damaged
// ones.
func TestPlanRefuses(t *testing.T) {
	for _, tt := range []struct {
		stream ffmpeg.Stream
		preset string
		code   ams.JobErrorCode
		says   string
	}{
		{ffmpeg.Stream{Kind: "video", Codec: "h264", Tag: "encv", Width: 16, Height: 16}, "AdaptiveStreaming", ams.ContentUnsupported, "video stream 0 is encrypted"},
		{ffmpeg.Stream{Kind: "video", Tag: "XYZW", Width: 16, Height: 16}, "AdaptiveStreaming", ams.ContentUnsupported, `"XYZW"`},
		{ffmpeg.Stream{Kind: "video", Codec: "h264"}, "AdaptiveStreaming", ams.ContentMalformed, "no readable picture"},
		{ffmpeg.Stream{Kind: "data"}, "AdaptiveStreaming", ams.ContentUnsupported, "(data)"},
		{ffmpeg.Stream{Kind: "video", Codec: "h264", Width: 16, Height: 16}, "AACGoodQualityAudio", ams.ConfigurationUnsupported, "no audio"},
		{ffmpeg.Stream{Kind: "video", Codec: "h264", Width: 16, Height: 16}, "NoSuchPreset", ams.ConfigurationUnsupported, "NoSuchPreset"},
	} {
		_, err := NewPlan(preset(tt.preset), One("x", &ffmpeg.Info{Streams: []ffmpeg.Stream{tt.stream}}, Clip{}))
		if e, ok := errors.AsType[*ams.JobError](err); !ok || e.Code != tt.code || !strings.Contains(e.Message, tt.says) {
			t.Errorf("%+v with %s: %v, want %s: %s", tt.stream, tt.preset, err, tt.code, tt.says)
		}
	}
}

// TestPick says which streams are the picture and the sound.
func TestPick(t *testing.T) {
	type S = ffmpeg.Stream
	moving := ffmpeg.Rational{Num: 25, Den: 1}
	for _, tt := range []struct {
		name    string
		streams []S
		video   int // index, -1 for none
		audio   []int
	}{
		{"flagged cover first", []S{{Kind: "video", Codec: "mjpeg", Picture: true}, {Kind: "video", Codec: "wmv3", AverageRate: moving}}, 1, nil},
		{"unflagged cover first", []S{{Kind: "video", Codec: "mjpeg"}, {Kind: "video", Codec: "wmv3", AverageRate: moving}}, 1, nil},
		{"cover art alone", []S{{Kind: "video", Codec: "png"}, {Kind: "audio", Codec: "mp3", Channels: 2}}, -1, []int{1}},
		{"motion JPEG", []S{{Kind: "video", Codec: "mjpeg", AverageRate: moving}}, 0, nil},
		{"default picture", []S{{Kind: "video", Codec: "h264"}, {Kind: "video", Codec: "h264", Default: true}}, 1, nil},
		{"default sound", []S{{Kind: "audio", Codec: "aac", Channels: 2}, {Kind: "audio", Codec: "aac", Channels: 2, Default: true}}, -1, []int{1}},
		{"commentary first", []S{{Kind: "audio", Codec: "aac", Channels: 2, Commented: true}, {Kind: "audio", Codec: "aac", Channels: 2}}, -1, []int{1}},
		{"two mono tracks", []S{{Kind: "audio", Codec: "pcm_s24le", Channels: 1}, {Kind: "audio", Codec: "pcm_s24le", Channels: 1}}, -1, []int{0, 1}},
		{"two mono languages", []S{{Kind: "audio", Codec: "aac", Channels: 1, Language: "eng"}, {Kind: "audio", Codec: "aac", Channels: 1, Language: "fra"}}, -1, []int{0}},
		{"no streams", nil, -1, nil},
	} {
		for i := range tt.streams {
			tt.streams[i].Index = i
		}
		info := &ffmpeg.Info{Streams: tt.streams}
		video := -1
		if v := pickVideo(info); v != nil {
			video = v.Index
		}
		var audio []int
		for _, a := range pickAudio(info) {
			audio = append(audio, a.Index)
		}
		if video != tt.video || !slices.Equal(audio, tt.audio) {
			t.Errorf("%s: video %d audio %v, want %d %v", tt.name, video, audio, tt.video, tt.audio)
		}
	}
}
