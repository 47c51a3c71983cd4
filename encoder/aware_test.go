package encoder

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openams/openams/ams"
)

// aware is a content-aware preset with configurations.
func aware(name, configurations string) ams.Preset {
	return ams.Preset{Type: ams.BuiltIn, Body: json.RawMessage(`{"presetName":"` + name + `","configurations":` + configurations + `}`)}
}

// easy and hard are what Analyse measured of a cartoon and of a waterfall, about.
var (
	easy = &Title{Curves: []Curve{
		{1280, 720, Point{22, 600e3, 23.9}, Point{34, 69e3, 20.4}},
		{960, 540, Point{22, 304e3, 22.7}, Point{34, 40e3, 19.8}},
		{640, 360, Point{22, 156e3, 22.1}, Point{34, 25e3, 19.2}},
	}}
	hard = &Title{Curves: []Curve{
		{1280, 720, Point{22, 6e6, 17.7}, Point{34, 1.1e6, 11.2}},
		{960, 540, Point{22, 3.6e6, 15.8}, Point{34, 690e3, 9.9}},
		{640, 360, Point{22, 1.9e6, 13.1}, Point{34, 385e3, 8.4}},
	}}
)

func TestTitleRungs(t *testing.T) {
	for _, tt := range []struct {
		name           string
		title          *Title
		configurations string
		source         int64 // bit/s
		want           string
	}{
		{"an easy title gets few rungs, the best below what the fixed ladder gives", easy, `{}`, 0, "1280x720@860k/20.0 1280x720@478k/23.3 640x360@265k/18.5"},
		{"a hard title is held to the fixed ladder's rate", hard, `{}`, 0, "1280x720@2942k 960x540@1634k/27.7 640x360@908k/27.5 640x360@504k/32.0 640x360@280k/36.4"},
		{"the source's bitrate is the limit", hard, `{}`, 1_000_000, "1280x720@1000k 640x360@555k/31.2 640x360@308k/35.7 640x360@171k/40.1"},
		{"a source poorer than a slow line gets one rung, not of a size that would be coarse", hard, `{}`, 290_000, "640x360@290k"},
		{"maxBitrateBps", hard, `{"maxBitrateBps":800000}`, 0, ""},
		{"minBitrateBps", easy, `{"minBitrateBps":400000}`, 0, "1280x720@860k/20.0 1280x720@478k/23.3"},
		{"maxLayers", hard, `{"maxLayers":2}`, 0, "1280x720@2942k 960x540@1634k/27.7"},
	} {
		r, err := lookup(aware("ContentAwareEncoding", tt.configurations))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		layers := tt.title.rungs(r.aware, 24, tt.source)
		for i, l := range layers {
			s := fmt.Sprintf("%vx%v@%dk", l.width.n, l.height.n, l.bitrate/1000)
			if l.coding.Mode == "CRF" {
				s += fmt.Sprintf("/%.1f", l.coding.CRF)
			}
			got = append(got, s)
			if i > 0 && (l.bitrate >= layers[i-1].bitrate || l.width.n > layers[i-1].width.n) {
				t.Errorf("%s: %s does not follow %s", tt.name, s, got[i-1])
			}
			if m := r.aware.maxBitrate; m > 0 && l.coding.MaxBitrate > m {
				t.Errorf("%s: %s has peaks of %d", tt.name, s, l.coding.MaxBitrate)
			}
		}
		if have := strings.Join(got, " "); tt.want != "" && have != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, have, tt.want)
		}
	}
}

func TestContentAwareConfigurations(t *testing.T) {
	for _, tt := range []struct{ name, configurations, says string }{
		{"ContentAwareEncoding", `{"complexity":"Speed","interleaveOutput":"NonInterleavedOutput","keyFrameIntervalInSeconds":4,"maxHeight":720,"minHeight":360}`, ""},
		{"H265ContentAwareEncoding", `null`, ""},
		{"ContentAwareEncodingExperimental", `{}`, ""},
		{"ContentAwareEncoding", `{"complexity":"Fast"}`, "configurations.complexity"},
		{"ContentAwareEncoding", `{"interleaveOutput":"Some"}`, "configurations.interleaveOutput"},
		{"ContentAwareEncoding", `{"keyFrameIntervalInSeconds":0.1}`, "configurations.keyFrameIntervalInSeconds"},
		{"ContentAwareEncoding", `{"maxLayers":0}`, "configurations.maxLayers"},
		{"ContentAwareEncoding", `{"minHeight":-1}`, "configurations.minHeight"},
		{"ContentAwareEncoding", `{"maxHeight":200,"minHeight":300}`, "configurations.maxHeight"},
		{"ContentAwareEncoding", `{"maxBitrateBps":1000000,"minBitrateBps":2000000}`, "configurations.maxBitrateBps"},
		{"AdaptiveStreaming", `{"maxLayers":2}`, "configurations"},
	} {
		err := Supported(aware(tt.name, tt.configurations))
		switch {
		case tt.says == "" && err != nil:
			t.Errorf("%s %s: %v", tt.name, tt.configurations, err)
		case tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)):
			t.Errorf("%s %s: %v, want something about %q", tt.name, tt.configurations, err, tt.says)
		}
	}
}

// TestContentAware encodes the same moving picture clear and under noise: noise
// costs more bits, so its ladder must be the dearer one. Limits hold, and all
// rungs have the same frames (Encode sees to that).
func TestContentAware(t *testing.T) {
	tools := tools(t)
	top := map[string]int{}
	for name, filter := range map[string]string{"clear": "null", "noisy": "noise=alls=20:allf=t"} {
		path := clip(t, name+".mp4", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=4,"+filter, "-f", "lavfi", "-i", "sine=duration=4",
			"-c:v", "libx264", "-preset", "ultrafast", "-crf", "10", "-c:a", "aac", "-shortest")
		info, err := tools.Probe(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		p := aware("ContentAwareEncoding", `{"complexity":"Speed","interleaveOutput":"NonInterleavedOutput","maxHeight":270,"maxLayers":2}`)
		q := Request{Feeds: []Feed{{Files: []Source{{Name: name + ".mp4", Path: path, Info: info}}}}}
		samples := filepath.Join(t.TempDir(), "it's: 100%") // a name that filters would trip over
		title, err := Analyse(t.Context(), tools, p, q, samples, func(float64) {})
		if err != nil || title == nil {
			t.Fatalf("%s: %v, %v", name, title, err)
		}
		for _, c := range title.Curves {
			if !(c.Fine.Bitrate > c.Coarse.Bitrate && c.Fine.Quality > c.Coarse.Quality && c.Fine.Quality < 60) {
				t.Errorf("%s: %+v", name, c)
			}
		}
		q.Title = title
		plan, err := NewPlan(p, q)
		if err != nil {
			t.Fatal(err)
		}
		files, err := Encode(t.Context(), tools, plan, plan.sources(q), filepath.Join(t.TempDir(), "out"), nil)
		if err != nil {
			t.Fatal(err)
		}
		var tracks []string
		for _, f := range files {
			if !strings.HasSuffix(f.Name, ".mp4") {
				continue
			}
			info, err := tools.Probe(t.Context(), f.Path)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range info.Streams {
				tracks = append(tracks, fmt.Sprintf("%s %dx%d", s.Codec, s.Width, s.Height))
			}
			if len(info.Streams) != 1 {
				t.Errorf("%s: %s has %d tracks", name, f.Name, len(info.Streams))
			}
		}
		slices.Sort(tracks)
		if n := len(plan.Video.Rungs); n > 2 || !slices.Contains(tracks, "aac 0x0") || !slices.Contains(tracks, "h264 480x270") {
			t.Errorf("%s: %d rungs, tracks %v", name, n, tracks)
		}
		top[name] = plan.Video.Rungs[0].Bitrate
	}
	if top["noisy"] < top["clear"]*5/4 {
		t.Errorf("noise deserves more bits: %v", top)
	}
}

func TestSamples(t *testing.T) {
	for _, tt := range []struct {
		seconds float64
		fps     float64
		n       int
	}{{0, 25, 0}, {0.5, 25, 0}, {2, 25, 2}, {42, 24, 4}, {7200, 30, 24}} {
		starts, frames := samples(0, time.Duration(tt.seconds*float64(time.Second)), tt.fps)
		if len(starts) != tt.n {
			t.Errorf("%v s at %v: %d samples, want %d", tt.seconds, tt.fps, len(starts), tt.n)
		}
		for i, s := range starts {
			if end := s.Seconds() + float64(frames)/tt.fps; end > tt.seconds || i > 0 && s <= starts[i-1] {
				t.Errorf("%v s at %v: a sample from %v", tt.seconds, tt.fps, s)
			}
		}
	}
}
