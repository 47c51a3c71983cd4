package encoder

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/packager/mp4"
)

// mesNamed are the 29 presets of Media Encoder Standard, as Microsoft's tools
// shipped them.
var mesNamed = []string{
	"AAC Audio", "AAC Good Quality Audio", "Adaptive Streaming", "Content Adaptive Multiple Bitrate MP4",
	"H264 Multiple Bitrate 1080p Audio 5.1", "H264 Multiple Bitrate 1080p", "H264 Multiple Bitrate 16x9 SD Audio 5.1", "H264 Multiple Bitrate 16x9 SD",
	"H264 Multiple Bitrate 16x9 for iOS", "H264 Multiple Bitrate 4K Audio 5.1", "H264 Multiple Bitrate 4K",
	"H264 Multiple Bitrate 4x3 SD Audio 5.1", "H264 Multiple Bitrate 4x3 SD", "H264 Multiple Bitrate 4x3 for iOS",
	"H264 Multiple Bitrate 720p Audio 5.1", "H264 Multiple Bitrate 720p",
	"H264 Single Bitrate 1080p Audio 5.1", "H264 Single Bitrate 1080p", "H264 Single Bitrate 16x9 SD Audio 5.1", "H264 Single Bitrate 16x9 SD",
	"H264 Single Bitrate 4K Audio 5.1", "H264 Single Bitrate 4K", "H264 Single Bitrate 4x3 SD Audio 5.1", "H264 Single Bitrate 4x3 SD",
	"H264 Single Bitrate 720p Audio 5.1", "H264 Single Bitrate 720p for Android", "H264 Single Bitrate 720p",
	"H264 Single Bitrate High Quality SD for Android", "H264 Single Bitrate Low Quality SD for Android",
}

// ameNamed are the 32 of Azure Media Encoder.
func ameNamed() []string {
	return append(slices.Sorted(maps.Keys(expressions)), "AAC Good Quality Audio", "WMA High Quality Audio", "Thumbnails")
}

func configured(t *testing.T, processor, text string) ams.Preset {
	t.Helper()
	p, err := ParseConfiguration(processor, text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestNamedPlans holds plan and command line of the presets of v2 processors.
func TestNamedPlans(t *testing.T) {
	for processor, names := range map[string][]string{"Media Encoder Standard": mesNamed, "Azure Media Encoder": ameNamed()} {
		if want := map[string]int{"Media Encoder Standard": 29, "Azure Media Encoder": 32}[processor]; len(names) != want {
			t.Errorf("%s has %d presets, not %d", processor, len(names), want)
		}
		var got bytes.Buffer
		for _, name := range names {
			fmt.Fprintf(&got, "# %s\n", name)
			for _, source := range []string{"bbb-720p25-5.1-5s.mp4", "phone-portrait-rot90-2s.mov"} {
				showPlan(t, &got, configured(t, processor, name), One(source, readProbe(t, "testdata/probes/"+source+".json"), Clip{}), source)
			}
			for _, source := range []string{"video-only-360p-40s.mp4", "siesta-stereo-140s.mp3", "hdr-pq-1080p-1s.mp4", "interlaced-576i25-tff.ts", "malformed/one-frame-16x16.mp4"} {
				showCommand(t, &got, configured(t, processor, name), One(source, readProbe(t, "testdata/probes/"+filepath.Base(source)+".json"), Clip{}), source)
			}
		}
		golden(t, "testdata/plans/"+strings.ToLower(strings.ReplaceAll(processor, " ", "-"))+".txt", got.Bytes())
	}
}

// TestConfiguration: what is no preset of a processor is refused by its name.
func TestConfiguration(t *testing.T) {
	for _, tt := range []struct{ processor, text, want string }{
		{"Media Encoder Standard", "", "has no configuration"},
		{"Media Encoder Standard", "H264 Broadband 720p", "'H264 Broadband 720p' is a preset of the processor Azure Media Encoder"},
		{"Azure Media Encoder", "H264 Multiple Bitrate 720p", "'H264 Multiple Bitrate 720p' is a preset of the processor Media Encoder Standard"},
		{"Windows Azure Media Encoder", "H264 Nothing", "preset 'H264 Nothing'"},
		{"Azure Media Indexer", "x", "does not run the processor 'Azure Media Indexer'"},
	} {
		if _, err := ParseConfiguration(tt.processor, tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s, %q: %v, want %q", tt.processor, tt.text, err, tt.want)
		}
	}
	configured(t, "Windows Azure Media Encoder", "\ufeff Thumbnails\n")
}

// TestNamedEncode runs v2 presets of each kind.
func TestNamedEncode(t *testing.T) {
	path := film(t, "1", "160x90", "25")
	for _, tt := range []struct {
		processor, preset string
		want              []string // the first outputs
	}{
		{"Media Encoder Standard", "H264 Single Bitrate Low Quality SD for Android", []string{"film_176x100_56.mp4: avc1 176x100 12 frames, IDR 12; mp4a 2 fra"}},
		{"Media Encoder Standard", "H264 Single Bitrate High Quality SD for Android", []string{"film_480x270_500.mp4: avc1 480x270 25 frames, IDR 25; mp4a 2 fra"}},
		{"Media Encoder Standard", "H264 Single Bitrate 16x9 SD Audio 5.1", []string{"film_848x480_2200.mp4: avc1 848x480 25 frames, IDR 25; mp4a 6 fra"}},
		{"Media Encoder Standard", "Content Adaptive Multiple Bitrate MP4", []string{"film_160x90_106.mp4: avc1 160x90 25 frames, IDR 25; mp4a 2 fra"}},
		{"Media Encoder Standard", "AAC Audio", []string{"film_AAC_128.mp4: mp4a 2 fra"}},
		{"Azure Media Encoder", "H264 Adaptive Bitrate MP4 Set SD 4x3", []string{
			"film_H264_1600kbps_AAC_fra_ch2_96kbps.mp4: avc1 640x360 25 frames, IDR 25; mp4a 2 fra",
			"film_H264_1300kbps_AAC_fra_ch2_96kbps.mp4: avc1 640x360 25 frames, IDR 25; mp4a 2 fra",
			"film_H264_800kbps_AAC_fra_ch2_96kbps.mp4: avc1 480x270 25 frames, IDR 25; mp4a 2 fra",
			"film_H264_600kbps_AAC_fra_ch2_96kbps.mp4: avc1 480x270 25 frames, IDR 25; mp4a 2 fra",
			"film_H264_400kbps_AAC_fra_ch2_96kbps.mp4: avc1 320x180 25 frames, IDR 25; mp4a 2 fra",
			"film_AAC_fra_ch2_96kbps.mp4: mp4a 2 fra", "film_AAC_fra_ch2_56kbps.mp4: mp4a 2 fra",
		}},
		{"Azure Media Encoder", "VC1 Broadband SD 4x3", []string{"film_H264_1800kbps_AAC_fra_ch2_128kbps.mp4: avc1 640x360 25 frames, IDR 25; mp4a 2 fra"}},
		{"Azure Media Encoder", "WMA High Quality Audio", []string{"film_AAC_fra_ch2_192kbps.mp4: mp4a 2 fra"}},
		{"Azure Media Encoder", "Thumbnails", []string{"film_000001.jpg: 300x168"}},
		{"Azure Media Encoder", "VC1 Smooth Streaming SD 4x3", []string{
			"film_H264_1600kbps_AAC_fra_ch2_64kbps.ismv: avc1 640x360 25 frames, IDR 25; mp4a 2 fra",
			"film_H264_1300kbps_AAC_fra_ch2_64kbps.ismv: avc1 512x288 25 frames, IDR 25; mp4a 2 fra",
		}},
	} {
		t.Run(tt.preset, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "out")
			files, plan, err := encodeWith(t, configured(t, tt.processor, tt.preset), Clip{}, dir, path)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range files {
				if s := show(t, f); s != "" {
					got = append(got, s)
				}
			}
			if len(got) < len(tt.want) || !slices.Equal(got[:len(tt.want)], tt.want) {
				t.Errorf("outputs\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
			if plan.Files != nil {
				check(t, files, plan, dir)
			}
			if strings.HasPrefix(tt.preset, "VC1") && !bytes.Contains(read(t, filepath.Join(dir, "film_manifest.xml")), []byte(`RequestedCodec="VC1"`)) {
				t.Error("the metadata does not tell that VC-1 was asked for")
			}
		})
	}
}

// TestNamedTorture runs every preset with a name on a clip of 2 s, and compares
// the best picture with the clip.
func TestNamedTorture(t *testing.T) {
	if os.Getenv("OPENAMS_TEST_TORTURE") == "" {
		t.Skip("OPENAMS_TEST_TORTURE is not set")
	}
	path := film(t, "2", "640x360", "5")
	presets := map[string]ams.Preset{}
	for _, name := range builtInNames {
		presets["v3/"+name] = preset(name)
	}
	for processor, names := range map[string][]string{"Media Encoder Standard": mesNamed, "Azure Media Encoder": ameNamed()} {
		for _, name := range names {
			presets[processor+"/"+name] = configured(t, processor, name)
		}
	}
	for name, p := range presets {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "out")
			files, plan, err := encodeWith(t, p, Clip{}, dir, path)
			if err != nil {
				t.Fatal(err)
			}
			if plan.Files == nil {
				return
			}
			if strings.Contains(name, "DDGood") { // Smooth has no Dolby Digital
				return
			}
			indexes, _ := check(t, files, plan, dir)
			for file, x := range indexes {
				for _, k := range x.Tracks {
					if k.Kind != mp4.Video || plan.Copies != nil {
						continue
					}
					least := 0.8 // of 56 kbit/s; the frame rate of that preset is another, too
					if k.Bitrate > 300_000 && k.Width >= 300 {
						least = 0.93
					}
					if k.Width < 200 {
						continue
					}
					if got := ssim(t, path, filepath.Join(dir, file), 0, "", int(k.Width), int(k.Height)); got < least {
						t.Errorf("%s: SSIM %.4f, want %.2f", file, got, least)
					}
				}
			}
		})
	}
}
