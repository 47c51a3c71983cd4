package encoder

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/packager/mp4"
)

// level is how strong a tone is in samples: 1 is full scale.
func level(samples []float64, frequency int) float64 {
	var re, im float64
	for i, s := range samples {
		phase := 2 * math.Pi * float64(frequency) * float64(i) / 48000
		re += s * math.Cos(phase)
		im += s * math.Sin(phase)
	}
	return 2 * math.Hypot(re, im) / float64(len(samples)) / (1 << 15)
}

// TestSounds: each channel of the source is where it belongs in the outputs,
// as strong as it was or as a mix has it.
func TestSounds(t *testing.T) {
	// Every channel has a tone of its own, of a quarter of full scale.
	source := func(name, layout, rate string, args []string, tones ...int) string {
		var exprs []string
		for _, f := range tones {
			exprs = append(exprs, fmt.Sprintf("0.25*sin(2*PI*%d*t)", f))
		}
		return clip(t, name, slices.Concat([]string{"-f", "lavfi", "-i", "aevalsrc=" + strings.Join(exprs, "|") + ":channel_layout=" + layout + ":sample_rate=" + rate + ":duration=0.8"}, args)...)
	}
	pcmArgs := []string{"-c:a", "pcm_s16le"}
	two := clip(t, "two.mov", "-i", source("l.wav", "mono", "48000", pcmArgs, 400), "-i", source("r.wav", "mono", "48000", pcmArgs, 700), "-map", "0", "-map", "1", "-c", "copy")
	six := source("six.mkv", "5.1", "48000", pcmArgs, 400, 700, 1000, 60, 1500, 1800)
	for _, tt := range []struct {
		name, path string
		channels   int
		want       []map[int]float64 // of each channel: tones and their levels against 0.25; others are not there
	}{
		{"5.1 to stereo", six, 2, []map[int]float64{{400: 1, 1000: .707, 1500: .707}, {700: 1, 1000: .707, 1800: .707}}},
		{"5.1", six, 6, []map[int]float64{{400: 1}, {700: 1}, {1000: 1}, {60: 1}, {1500: 1}, {1800: 1}}},
		{"5.1 to mono", six, 1, []map[int]float64{{400: .5, 700: .5, 1000: .707, 1500: .354, 1800: .354}}},
		{"mono to stereo", source("mono.wav", "mono", "22050", pcmArgs, 400), 2, []map[int]float64{{400: 1}, {400: 1}}},
		{"mono", source("mono.wav", "mono", "32000", pcmArgs, 400), 1, []map[int]float64{{400: 1}}},
		{"stereo to mono", source("stereo.flac", "stereo", "44100", nil, 400, 700), 1, []map[int]float64{{400: .5, 700: .5}}},
		{"stereo in 5.1", source("stereo.ac3", "stereo", "48000", nil, 400, 700), 6, []map[int]float64{{400: 1}, {700: 1}, {}, {}, {}, {}}},
		{"two mono tracks", two, 2, []map[int]float64{{400: 1}, {700: 1}}},
		{"two mono tracks to mono", two, 1, []map[int]float64{{400: .5, 700: .5}}},
		{"7.1 to stereo", source("eight.mkv", "7.1", "48000", pcmArgs, 400, 700, 1000, 60, 1500, 1800, 2100, 2400), 2,
			[]map[int]float64{{400: 1, 1000: .707, 1500: .707, 2100: .707}, {700: 1, 1000: .707, 1800: .707, 2400: .707}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "out")
			_, _, err := encodeWith(t, standard(fmt.Sprintf(`{"codecs":[{"#AacAudio","channels":%d,"bitrate":%d}],`+plainMP4+`}`, tt.channels, 96000*tt.channels)), Clip{}, dir, tt.path)
			if err != nil {
				t.Fatal(err)
			}
			for c, want := range tt.want {
				s := span(pcm(t, filepath.Join(dir, "out.mp4"), 0, c), 0.2, 0.7)
				for _, f := range []int{60, 400, 700, 1000, 1500, 1800, 2100, 2400} {
					if got := level(s, f) / 0.25; math.Abs(got-want[f]) > 0.03+0.08*want[f] {
						t.Errorf("channel %d: %d Hz at %.3f, want %.3f", c, f, got, want[f])
					}
				}
			}
		})
	}
}

// TestCoverArt: the picture on the sleeve is no film.
func TestCoverArt(t *testing.T) {
	cover := clip(t, "cover.png", "-f", "lavfi", "-i", "color=red:size=640x640", "-frames:v", "1")
	song := []string{"-f", "lavfi", "-i", "sine=frequency=440:duration=1"}
	film := []string{"-f", "lavfi", "-i", "color=blue:size=160x90:rate=25:duration=1"}
	for _, tt := range []struct {
		name  string
		path  string
		video string // size of the film, "" for none
	}{
		{"a song", clip(t, "a.m4a", slices.Concat([]string{"-i", cover}, song, []string{"-map", "0", "-map", "1", "-c:v", "copy", "-c:a", "aac", "-disposition:v:0", "attached_pic"})...), ""},
		{"a song in MP3", clip(t, "a.mp3", slices.Concat(song, []string{"-i", cover, "-map", "0", "-map", "1", "-c:v", "copy"})...), ""},
		{"a film", clip(t, "a.mp4", slices.Concat([]string{"-i", cover}, song, film, []string{"-map", "0", "-map", "1", "-map", "2", "-c:v:0", "copy", "-c:v:1", "libx264", "-pix_fmt:v:1", "yuv420p", "-c:a", "aac", "-disposition:v:0", "attached_pic"})...), "160x90"},
	} {
		dir := filepath.Join(t.TempDir(), "out")
		files, plan, err := encode(t, "AdaptiveStreaming", tt.path, dir)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		indexes, _ := check(t, files, plan, dir)
		size := ""
		for name, x := range indexes {
			for _, k := range x.Tracks {
				if k.Kind == mp4.Video {
					size = fmt.Sprintf("%dx%d", k.Width, k.Height)
					if c := shades(t, filepath.Join(dir, name), "80:40:10:10"); near(c[12], 40) != "blue" {
						t.Errorf("%s: it shows %v", tt.name, c[12])
					}
				}
			}
		}
		if size != tt.video {
			t.Errorf("%s: a film of %q, want %q", tt.name, size, tt.video)
		}
	}
}

// TestMissing: what a preset puts in the place of a missing picture or sound is
// black and silent, and lasts as long as the other.
func TestMissing(t *testing.T) {
	const preset = `{"Version":1.0,"Codecs":[{"Type":"H264Video","Condition":"InsertBlackIfNoVideo","H264Layers":[{"Bitrate":200,"Width":160,"Height":90}]},
		{"Type":"AACAudio","Condition":"InsertSilenceIfNoAudio"}],"Outputs":[{"FileName":"out.mp4","Format":{"Type":"MP4Format"}}]}`
	for _, tt := range []struct{ name, path string }{
		{"no sound", solid(t, "mute.mp4", "red", "160x90", "24000/1001", "1.3", 0)},
		{"no picture", clip(t, "blind.m4a", "-f", "lavfi", "-i", "sine=frequency=400:sample_rate=44100:duration=1.3", "-c:a", "aac")},
		{"both", solid(t, "both.mp4", "red", "160x90", "25", "1.3", 400)},
	} {
		dir := filepath.Join(t.TempDir(), "out")
		files, plan, err := encodeWith(t, configured(t, ams.MediaEncoderStandard, preset), Clip{}, dir, tt.path)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		indexes, _ := check(t, files, plan, dir)
		for _, k := range indexes["out.mp4"].Tracks {
			if d := time.Duration(float64(k.Duration()) / float64(k.Timescale) * 1e9); d < 1250*time.Millisecond || d > 1360*time.Millisecond {
				t.Errorf("%s: %v lasts %v", tt.name, k.Kind, d)
			}
		}
		color, f := name(shades(t, filepath.Join(dir, "out.mp4"), "80:40:10:10")[20]), tone(span(pcm(t, filepath.Join(dir, "out.mp4"), 0, 0), 0.3, 1), 400)
		if want := map[string]string{"no sound": "red 0", "no picture": "black 400", "both": "red 400"}[tt.name]; fmt.Sprint(color, " ", f) != want {
			t.Errorf("%s: it is %s and has a tone of %d Hz, want %s", tt.name, color, f, want)
		}
	}
}
