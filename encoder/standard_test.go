package encoder

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	stdimage "image"
	_ "image/jpeg"
	_ "image/png"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/ffmpeg"
	"github.com/openams/openams/packager/mp4"
)

// standard makes a preset of JSON in which "#" stands for "#Microsoft.Media."
// after a type.
func standard(body string) ams.Preset {
	body = regexp.MustCompile(`"#(\w+)"`).ReplaceAllString(body, `"@odata.type":"#Microsoft.Media.$1"`)
	return ams.Preset{Type: standardPreset, Body: json.RawMessage(body)}
}

// standards are presets that between them say everything a preset can say.
var standards = map[string]string{
	"ladder": `{"codecs":[{"#AacAudio","channels":2,"samplingRate":48000,"bitrate":128000,"profile":"HeAacV1","label":"aac"},
		{"#H264Video","keyFrameInterval":"PT1S","complexity":"Speed","stretchMode":"AutoFit","layers":[
			{"bitrate":300000,"width":"160","height":"160","label":"HD","profile":"Main","level":"3.1","bFrames":2,"referenceFrames":2,"bufferWindow":"PT3S","maxBitrate":400000},
			{"bitrate":100000,"width":"50%","height":"50%","label":"SD","entropyMode":"Cavlc","adaptiveBFrame":false,"slices":2}]}],
		"formats":[{"#Mp4Format","filenamePattern":"Video-{Basename}-{Label}-{Bitrate}-{Nothing}{Extension}"}]}`,
	"labels": `{"codecs":[{"#AacAudio","label":"st"},{"#AacAudio","label":"six","channels":6,"bitrate":384000},
		{"#H264Video","complexity":"Speed","rateControlMode":"CBR","layers":[{"bitrate":200000,"height":"90","label":"a"},{"bitrate":100000,"height":"46","label":"b"}]}],
		"formats":[{"#Mp4Format","filenamePattern":"{Basename}_{Label}_{Codec}_{Resolution}{Extension}","outputFiles":[{"labels":["a","st"]},{"labels":["six"]},{"labels":["b","a"]}]}]}`,
	"transport": `{"codecs":[{"#DDAudio","channels":1,"samplingRate":44100,"bitrate":96000},
		{"#H264Video","complexity":"Speed","rateControlMode":"CRF","sceneChangeDetection":true,"layers":[{"bitrate":500000,"crf":30,"profile":"Baseline","frameRate":"12.5"}]}],
		"formats":[{"#TransportStreamFormat","filenamePattern":"{Basename}{Extension}"}]}`,
	"hevc": `{"codecs":[{"#H265Video","complexity":"Speed","keyFrameInterval":"PT1S","layers":[{"bitrate":200000,"profile":"Main10"},{"bitrate":100000,"width":"80","height":"46"}]},{"#CopyAudio"}],
		"formats":[{"#Mp4Format","filenamePattern":"{Basename}_{Bitrate}{Extension}"}]}`,
	"images": `{"codecs":[{"#JpgImage","start":"25%","step":"PT0.5S","range":"50%","layers":[{"width":"50%","height":"50%","quality":90,"label":"half"},{"width":"64","height":"64"}]},
		{"#PngImage","start":"{Best}","layers":[{"width":"100%","height":"100%"}]},
		{"#JpgImage","start":"0","step":"5","range":"100%","spriteColumn":4,"layers":[{"width":"32","height":"18"}],"label":"sprite"}],
		"formats":[{"#JpgFormat","filenamePattern":"Thumbnail-{Basename}-{Label}-{Index}{Extension}"},{"#PngFormat","filenamePattern":"best{Extension}"}]}`,
	"filters": `{"codecs":[{"#H264Video","complexity":"Speed","layers":[{"bitrate":300000}]}],
		"filters":{"deinterlace":{"mode":"AutoPixelAdaptive","parity":"TopFieldFirst"},"rotation":"Rotate90","crop":{"left":"10","top":"25%","width":"40","height":"50%"},
			"fadeIn":{"duration":"PT0.4S","fadeColor":"0xFF0000"},"fadeOut":{"duration":"10","fadeColor":"rgb(0, 0, 255)"}},
		"formats":[{"#Mp4Format","filenamePattern":"{Basename}{Extension}"}]}`,
	"both": `{"codecs":[{"#AacAudio"},{"#H264Video","complexity":"Speed","layers":[{"bitrate":200000}]},{"#H265Video","complexity":"Speed","layers":[{"bitrate":100000}]}],
		"formats":[{"#Mp4Format","filenamePattern":"{Basename}_{Codec}{Extension}"}]}`,
	"copy": `{"codecs":[{"#CopyVideo"},{"#CopyAudio"}],"formats":[{"#Mp4Format","filenamePattern":"{Basename}-{Resolution}{Extension}"},{"#TransportStreamFormat","filenamePattern":"{Basename}{Extension}"}]}`,
}

// TestStandardPlans holds plan and command line of presets that users write.
func TestStandardPlans(t *testing.T) {
	for name, body := range standards {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			for _, source := range []string{"bbb-720p25-5.1-5s.mp4", "phone-portrait-rot90-2s.mov", "interlaced-576i25-tff.ts", "video-only-360p-40s.mp4", "siesta-stereo-140s.mp3"} {
				q := One(source, readProbe(t, "testdata/probes/"+source+".json"), Clip{})
				showPlan(t, &got, standard(body), q, source)
				q.Feeds[0].Clip = Clip{Start: time.Second, End: 2500 * time.Millisecond}
				showPlan(t, &got, standard(body), q, source+" from 1 s to 2.5 s")
			}
			golden(t, filepath.Join("testdata/plans/standard", name+".txt"), got.Bytes())
		})
	}
}

// TestStandardEncode runs every one of the presets and looks at what comes out.
func TestStandardEncode(t *testing.T) {
	path := film(t, "2", "160x90", "25")

	// Names that users choose never meet those of work in progress, or each other.
	dir := filepath.Join(t.TempDir(), "out")
	if _, _, err := encodeWith(t, standard(`{"codecs":[{"#AacAudio"},{"#H264Video","layers":[{"bitrate":300000},{"bitrate":200000}]},{"#PngImage","start":"0","range":"1"}],
		"formats":[{"#Mp4Format","filenamePattern":"v0{Extension}"},{"#PngFormat","filenamePattern":"v0.mp4"}]}`), Clip{}, dir, path); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"v0.mp4", "v0_2.mp4", "v0_3.mp4"} {
		if names := list(t, dir); !slices.Contains(names, name) {
			t.Errorf("no %s among %v", name, names)
		}
	}

	for _, tt := range []struct {
		preset string
		want   []string // name: tracks and their frames, or the size of a picture
	}{
		{"ladder", []string{
			"Video-film-HD-300000-.mp4: avc1 160x160 50 frames, IDR 25; mp4a 2 fra",
			"Video-film-SD-100000-.mp4: avc1 80x46 50 frames, IDR 25; mp4a 2 fra", "film.ism", "film.ismc"}},
		{"labels", []string{"film_a_H264_160x90.mp4: avc1 160x90 50 frames, IDR 50; mp4a 2 fra", "film_b_H264_82x46.mp4: avc1 82x46 50 frames, IDR 50; avc1 160x90 50 frames, IDR 50", "film_six_AAC_.mp4: mp4a 6 fra", "film.ism", "film.ismc"}},
		{"transport", []string{"film.ts: 25 frames of h264, ac3 1 at 44100"}},
		{"hevc", []string{"film_200000.mp4: hvc1 160x90 50 frames, IDR 25; mp4a 1 fra", "film_100000.mp4: hvc1 80x46 50 frames, IDR 25; mp4a 1 fra", "film.ism", "film.ismc"}},
		{"images", []string{"Thumbnail-film-half-000001.jpg: 80x46", "Thumbnail-film-half-000002.jpg: 80x46", "Thumbnail-film--000001.jpg: 64x36", "Thumbnail-film--000002.jpg: 64x36",
			"best.png: 160x90", "Thumbnail-film-sprite-000001.jpg: 128x54", "Thumbnail-film-sprite-000001.vtt"}},
		{"filters", []string{"film.mp4: avc1 40x80 50 frames, IDR 50", "film.ism", "film.ismc"}},
		{"both", []string{"film_H264.mp4: avc1 160x90 50 frames, IDR 50; mp4a 2 fra", "film_HEVC.mp4: hvc1 160x90 50 frames, IDR 50; mp4a 2 fra", "film.ism", "film.ismc"}},
		{"copy", []string{"film-160x90.mp4: avc1 160x90 50 frames, IDR 50; mp4a 1 fra", "film.ts: 50 frames of h264, aac 1 at 44100", "film.ism", "film.ismc"}},
	} {
		t.Run(tt.preset, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "out")
			files, plan, err := encodeWith(t, standard(standards[tt.preset]), Clip{}, dir, path)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range files {
				if s := show(t, f); s != "" {
					got = append(got, s)
				}
			}
			slices.Sort(got)
			slices.Sort(tt.want)
			if !slices.Equal(got, tt.want) {
				t.Errorf("outputs\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
			if slices.Contains(tt.want, "film.ism") {
				check(t, files, plan, dir)
			} else if n := len(list(t, dir)); n != len(files) {
				t.Errorf("the folder holds %d files, the outputs are %d", n, len(files))
			}
			switch tt.preset {
			case "ladder":
				if b := read(t, filepath.Join(dir, "film_manifest.json")); !bytes.Contains(b, []byte(`"RequestedProfile": "HeAacV1"`)) {
					t.Errorf("the metadata does not tell of HE-AAC: %s", b)
				}
			case "images":
				vtt := string(read(t, filepath.Join(dir, "Thumbnail-film-sprite-000001.vtt")))
				if !strings.Contains(vtt, "00:00:01.000 --> 00:00:01.200\nThumbnail-film-sprite-000001.jpg#xywh=32,18,32,18\n") {
					t.Errorf("sprite: %s", vtt)
				}
			case "filters":
				// It starts red and ends blue, and the middle is the middle of the source on its side.
				for _, at := range []struct{ name, frame, r, b string }{{"first", "0", ">200", "<60"}, {"last", "49", "<80", ">150"}} {
					r, b := pixel(t, filepath.Join(dir, "film.mp4"), at.frame)
					if at.name == "first" && (r < 200 || b > 60) || at.name == "last" && (b < 150 || r > 80) {
						t.Errorf("%s frame: red %d blue %d", at.name, r, b)
					}
				}
			}
		})
	}
}

// show tells of one output what a test can know beforehand, "" for metadata and
// indexes.
func show(t *testing.T, f OutputFile) string {
	t.Helper()
	var tracks []string
	switch ext := filepath.Ext(f.Name); ext {
	case ".json", ".mpi":
		return ""
	case ".jpg", ".png":
		r, err := os.Open(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		c, kind, err := stdimage.DecodeConfig(r)
		if err != nil || strings.TrimSuffix(ext[1:], "g") != strings.TrimSuffix(strings.Replace(kind, "jpeg", "jpg", 1), "g") {
			t.Errorf("%s: %s, %v", f.Name, kind, err)
		}
		return fmt.Sprintf("%s: %dx%d", f.Name, c.Width, c.Height)
	case ".ts":
		info, err := tools(t).Probe(t.Context(), f.Path)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%s: %d frames of %s, %s %d at %d", f.Name, frames(t, f.Path), info.Streams[0].Codec, info.Streams[1].Codec, info.Streams[1].Channels, info.Streams[1].SampleRate)
	case ".mp4", ".ismv":
		x, err := indexFile(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range x.Tracks {
			if k.Kind == mp4.Audio {
				tracks = append(tracks, fmt.Sprintf("%s %d %s", k.Codec, k.Channels, k.Language))
				continue
			}
			gop := k.NumSamples()
			for i := 1; i < gop; i++ {
				if k.Sample(i).Sync {
					gop = i
				}
			}
			tracks = append(tracks, fmt.Sprintf("%s %dx%d %d frames, IDR %d", k.Codec, k.Width, k.Height, k.NumSamples(), gop))
		}
		return f.Name + ": " + strings.Join(tracks, "; ")
	}
	return f.Name
}

// frames counts the frames that decode.
func frames(t *testing.T, path string) int {
	t.Helper()
	n := 0
	out := command(t, "-i", path, "-map", "0:v", "-f", "framecrc", "-")
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "#") {
			n++
		}
	}
	return n
}

// pixel returns the mean red and blue of a frame.
func pixel(t *testing.T, path, frame string) (red, blue byte) {
	t.Helper()
	out := command(t, "-i", path, "-vf", "select='eq(n,"+frame+")',scale=1:1:flags=area,format=rgb24", "-frames:v", "1", "-f", "rawvideo", "-")
	if len(out) != 3 {
		t.Fatalf("%d bytes", len(out))
	}
	return out[0], out[2]
}

// TestBuiltInEncode runs the built-in presets that are not H.264.
func TestBuiltInEncode(t *testing.T) {
	path := film(t, "1", "160x90", "25")
	small := clip(t, "small.mp4", "-i", path, "-vf", "scale=80:-2", "-c:v", "libx264", "-c:a", "copy")
	for _, tt := range []struct {
		preset string
		paths  []string
		want   string // of the MP4s; # is any number
	}{
		{"H265AdaptiveStreaming", []string{path}, "film_160x90_AACAudio_#.mp4: hvc1 160x90 25 frames, IDR 25; mp4a 2 fra|film_AACAudio_128.mp4: mp4a 2 fra"},
		{"DDGoodQualityAudio", []string{path}, "film_DDAudio_192.mp4: ac-3 2 fra"},
		{"CopyAllBitrateNonInterleaved", []string{small, path}, "film_160x90_#.mp4: avc1 160x90 25 frames, IDR 25|film_80x46_#.mp4: avc1 80x46 25 frames, IDR 25|film_AACAudio_#.mp4: mp4a 1 fra|film_AACAudio_#_2.mp4: mp4a 1 fra"},
		{"CopyAllBitrateInterleaved", []string{small, path}, "film_160x90_AACAudio_#.mp4: avc1 160x90 25 frames, IDR 25; mp4a 1 fra|film_80x46_AACAudio_#.mp4: avc1 80x46 25 frames, IDR 25; mp4a 1 fra"},
	} {
		dir := filepath.Join(t.TempDir(), "out")
		files, plan, err := encodeWith(t, preset(tt.preset), Clip{}, dir, tt.paths...)
		if err != nil {
			t.Errorf("%s: %v", tt.preset, err)
			continue
		}
		if tt.preset != "DDGoodQualityAudio" {
			_, p := check(t, files, plan, dir)
			if len(p.Tracks) != 2 {
				t.Errorf("%s: the presentation has %d tracks", tt.preset, len(p.Tracks))
			}
		}
		var got []string
		number := regexp.MustCompile(`(_16\dx\d+|_8\dx\d+|)(_AACAudio|)_\d+(_2|)\.mp4`)
		for _, f := range files {
			if strings.HasSuffix(f.Name, ".mp4") {
				s := show(t, f)
				if !strings.Contains(s, "_128.mp4") && !strings.Contains(s, "_192.mp4") {
					s = number.ReplaceAllString(s, "$1${2}_#$3.mp4")
				}
				got = append(got, s)
			}
		}
		slices.Sort(got)
		if s := strings.Join(got, "|"); s != tt.want {
			t.Errorf("%s:\n%s\nwant\n%s", tt.preset, s, tt.want)
		}
	}
}

// TestCopyOffset: sound that starts later than the picture still does so if one
// of them, or both, are copied.
func TestCopyOffset(t *testing.T) {
	path := clip(t, "late.mp4",
		"-f", "lavfi", "-i", "color=black:size=160x90:rate=25:duration=3",
		"-itsoffset", "1.013", "-f", "lavfi", "-i", "sine=frequency=1000:sample_rate=48000:duration=1",
		"-map", "0:v", "-map", "1:a", "-c:v", "libx264", "-bf", "2", "-c:a", "aac")
	const formats = `"formats":[{"#Mp4Format","filenamePattern":"out{Extension}"}]`
	for _, p := range []string{
		`{"codecs":[{"#CopyVideo"},{"#CopyAudio"}],` + formats + `}`,
		`{"codecs":[{"#CopyVideo"},{"#AacAudio"}],` + formats + `}`,
		`{"codecs":[{"#H264Video","layers":[{"bitrate":100000}]},{"#CopyAudio"}],` + formats + `}`,
	} {
		dir := filepath.Join(t.TempDir(), "out")
		if _, _, err := encodeWith(t, standard(p), Clip{}, dir, path); err != nil {
			t.Errorf("%s: %v", p, err)
			continue
		}
		out := filepath.Join(dir, "out.mp4")
		info, err := tools(t).Probe(t.Context(), out)
		if err != nil {
			t.Fatal(err)
		}
		if v := info.Streams[0].Start; v < -10*time.Millisecond || v > 10*time.Millisecond {
			t.Errorf("%s: the picture starts at %v", p, v)
		}
		// The decoder fills in what is missing before the sound.
		pcm := command(t, "-i", out, "-map", "0:a", "-af", "aresample=48000:async=1:first_pts=0", "-ac", "1", "-f", "s16le", "-")
		at := 0.0
		for i := 0; i+1 < len(pcm); i += 2 {
			if v := int16(uint16(pcm[i]) | uint16(pcm[i+1])<<8); v > 1000 || v < -1000 {
				at = float64(i/2) / 48000
				break
			}
		}
		if at < 0.99 || at > 1.04 {
			t.Errorf("%s: the sound starts at %.3f s, want 1.013", p, at)
		}
	}
}

// TestClip: a part of a source is that part, to the frame, whether it is sought
// for or read up to.
func TestClip(t *testing.T) {
	// A frame's grey is its number.
	source := []string{"-f", "lavfi", "-i", "nullsrc=size=64x64:rate=25:duration=4,format=gray,geq=lum='40+N*2':cb=128:cr=128",
		"-f", "lavfi", "-i", "sine=duration=4", "-c:v", "libx264", "-qp", "0", "-pix_fmt", "yuv420p", "-g", "30", "-c:a", "aac"}
	for _, name := range []string{"grey.mp4", "grey.mkv", "grey.ts"} {
		path := clip(t, name, source...)
		info, err := tools(t).Probe(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), "out")
		c := Clip{Start: info.Start + 1400*time.Millisecond, End: info.Start + 2600*time.Millisecond}
		files, plan, err := encodeWith(t, standard(`{"codecs":[{"#AacAudio"},{"#H264Video","complexity":"Speed","layers":[{"bitrate":900000}]}],"formats":[{"#Mp4Format","filenamePattern":"{Basename}{Extension}"}]}`), c, dir, path)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		indexes, _ := check(t, files, plan, dir)
		x := indexes["grey.mp4"]
		if n := x.Tracks[0].NumSamples(); n < 29 || n > 31 {
			t.Errorf("%s: %d frames, want 30", name, n)
		}
		if d := float64(x.Tracks[1].Duration()) / 48000; d < 1.17 || d > 1.24 {
			t.Errorf("%s: the sound lasts %.3f s, want 1.2", name, d)
		}
		out := command(t, "-i", filepath.Join(dir, "grey.mp4"), "-vf", "scale=1:1,format=gray", "-frames:v", "1", "-f", "rawvideo", "-")
		if want := 40 + 2*35; len(out) != 1 || int(out[0]) < want-3 || int(out[0]) > want+3 {
			t.Errorf("%s: the first frame is %v, want %d", name, out, want)
		}
	}
	for _, tt := range []struct {
		start, end string
		says       string
	}{
		{`{"@odata.type":"#Microsoft.Media.AbsoluteClipTime","time":"PT1.5S"}`, `{"@odata.type":"#Microsoft.Media.AbsoluteClipTime","time":"PT3S"}`, ""},
		{`{"@odata.type":"#Microsoft.Media.UtcClipTime","time":"2020-01-01T00:00:00Z"}`, ``, ""}, // of a live archive, as is seen when it runs
		{`{"@odata.type":"#Microsoft.Media.UtcClipTime","time":"noon"}`, ``, "noon"},
		{`{"@odata.type":"#Microsoft.Media.AbsoluteClipTime","time":"PT3S"}`, `{"@odata.type":"#Microsoft.Media.AbsoluteClipTime","time":"PT3S"}`, "not after"},
		{`{"@odata.type":"#Microsoft.Media.AbsoluteClipTime","time":"yesterday"}`, ``, "yesterday"},
	} {
		err := SupportedInput(ams.JobInput{Kind: ams.InputAsset, Start: json.RawMessage(tt.start), End: json.RawMessage(tt.end)})
		if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s to %s: %v", tt.start, tt.end, err)
		}
	}
	q := One("x", readProbe(t, "testdata/probes/bbb-720p25-5.1-5s.mp4.json"), Clip{Start: time.Hour})
	_, err := NewPlan(preset("AdaptiveStreaming"), q)
	if e, ok := errors.AsType[*ams.JobError](err); !ok || e.Code != ams.ConfigurationUnsupported || !strings.Contains(e.Message, "3600.00") {
		t.Errorf("a clip behind the end: %v", err)
	}
}

// TestStandardRefuses: what this encoder cannot do is refused by its name.
func TestStandardRefuses(t *testing.T) {
	const mp4 = `"formats":[{"#Mp4Format","filenamePattern":"{Basename}{Extension}"}]`
	const h264 = `{"#H264Video","layers":[{"bitrate":1000000}]}`
	for _, tt := range []struct {
		body string
		code ams.Code
		says string
	}{
		{`{"codecs":[` + h264 + `],` + mp4 + `}`, 0, ""},
		{`[]`, ams.Invalid, "StandardEncoderPreset"},
		{`{"codecs":[],` + mp4 + `}`, ams.Invalid, "codecs"},
		{`{"codecs":[` + h264 + `],"formats":[]}`, ams.Invalid, "formats"},
		{`{"codecs":[{"#VC1Video"}],` + mp4 + `}`, ams.Unsupported, "VC1Video"},
		{`{"codecs":[` + h264 + `],"formats":[{"#JpgFormat","filenamePattern":"{Basename}{Extension}"}]}`, ams.Invalid, "formats"},
		{`{"codecs":[` + h264 + `,{"#JpgImage","start":"{Best}"}],` + mp4 + `}`, ams.Invalid, "JpgImage"},
		{`{"codecs":[` + h264 + `],"formats":[{"#Mp4Format","filenamePattern":"../{Basename}{Extension}"}]}`, ams.Invalid, "filenamePattern"},
		{`{"codecs":[` + h264 + `],"formats":[{"#Mp4Format","filenamePattern":"a{Extension}","outputFiles":[{"labels":["no"]}]}]}`, ams.Invalid, "'no'"},
		{`{"codecs":[{"#H264Video","layers":[{"bitrate":1000000,"frameRate":"25"},{"bitrate":500000}]}],` + mp4 + `}`, ams.Unsupported, "frameRate"},
		{`{"codecs":[{"#H264Video","sceneChangeDetection":true,"layers":[{"bitrate":1000000},{"bitrate":500000}]}],` + mp4 + `}`, ams.Invalid, "sceneChangeDetection"},
		{`{"codecs":[{"#H264Video","keyFrameInterval":"PT30S","layers":[{"bitrate":1000000}]}],` + mp4 + `}`, ams.Invalid, "keyFrameInterval"},
		{`{"codecs":[{"#H264Video","layers":[{"bitrate":1000000,"profile":"Main10"}]}],` + mp4 + `}`, ams.Invalid, "profile"},
		{`{"codecs":[{"#H264Video","layers":[{"bitrate":1000000,"level":"3:evil=1"}]}],` + mp4 + `}`, ams.Invalid, "level"},
		{`{"codecs":[{"#H264Video","layers":[{"bitrate":1000000,"width":"99999"}]}],` + mp4 + `}`, ams.Invalid, "width"},
		{`{"codecs":[{"#DDAudio","bitrate":100000}],` + mp4 + `}`, ams.Invalid, "bitrate"},
		{`{"codecs":[{"#AacAudio","samplingRate":12345}],` + mp4 + `}`, ams.Invalid, "samplingRate"},
		{`{"codecs":[{"#CopyAudio"},{"#AacAudio"}],` + mp4 + `}`, ams.Unsupported, "copy and encode"},
		{`{"codecs":[` + h264 + `],"filters":{"fadeIn":{"duration":"PT1S","fadeColor":"red:enable=0"}},` + mp4 + `}`, ams.Invalid, "fadeColor"},
		{`{"codecs":[` + h264 + `],"experimentalOptions":{"a":"true"},` + mp4 + `}`, ams.Unsupported, "experimentalOptions"},
	} {
		err := Supported(standard(tt.body))
		if (err == nil) != (tt.says == "") || err != nil && (ams.CodeOf(err) != tt.code || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%s: %v", tt.body, err)
		}
	}
}

// TestLargest: no preset makes pictures that no machine can hold.
func TestLargest(t *testing.T) {
	q := One("x", readProbe(t, "testdata/probes/bbb-720p25-5.1-5s.mp4.json"), Clip{})
	p := standard(`{"codecs":[{"#H264Video","stretchMode":"None","layers":[{"bitrate":1000000,"width":"16384","height":"16384"}]}],"formats":[{"#Mp4Format","filenamePattern":"x{Extension}"}]}`)
	_, err := NewPlan(p, q)
	if e, ok := errors.AsType[*ams.JobError](err); !ok || e.Code != ams.ConfigurationUnsupported || !strings.Contains(e.Message, "16384x16384") {
		t.Errorf("a picture of 268 million pixels: %v", err)
	}
}

// FuzzPreset: whatever a preset says, it is refused, or makes a plan for every
// kind of source whose arguments hold nothing that the preset did not mean.
func FuzzPreset(f *testing.F) {
	for _, body := range standards {
		f.Add([]byte(standard(body).Body))
	}
	f.Add([]byte(`{"codecs":[{"@odata.type":"#Microsoft.Media.JpgImage","start":"{Best}","step":"1","range":"1","layers":[{"width":"16384","height":"1%"}],"spriteColumn":100}],"formats":[{"@odata.type":"#Microsoft.Media.JpgFormat","filenamePattern":"{Index}{Extension}"}]}`))
	var sources []Request
	for _, source := range []string{"bbb-720p25-5.1-5s.mp4", "phone-portrait-rot90-2s.mov", "interlaced-576i25-tff.ts", "one-frame-16x16.mp4"} {
		b, err := os.ReadFile("testdata/probes/" + source + ".json")
		if err != nil {
			f.Fatal(err)
		}
		info, err := ffmpeg.ParseInfo(b)
		if err != nil {
			f.Fatal(err)
		}
		sources = append(sources, One("x", info, Clip{}))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p := ams.Preset{Type: standardPreset, Body: body}
		if err := Supported(p); err != nil {
			if code := ams.CodeOf(err); code != ams.Invalid && code != ams.Unsupported {
				t.Fatal(err)
			}
			return
		}
		for _, q := range sources {
			plan, err := NewPlan(p, q)
			if err != nil {
				if _, ok := errors.AsType[*ams.JobError](err); !ok {
					t.Fatal(err)
				}
				continue
			}
			if plan.Video != nil {
				for _, r := range plan.Video.Rungs {
					w, h := r.size()
					if w < 2 || h < 2 || w > maxPixels || h > maxPixels || w%2+h%2 != 0 || r.GOP < 1 {
						t.Fatalf("%+v", r)
					}
				}
				for _, im := range plan.Video.Images {
					if im.Count < 1 || im.Count > maxImages || im.Step < 1 {
						t.Fatalf("%+v", im)
					}
				}
			}
			for _, a := range plan.Args([]string{"/in"}, "/out") {
				if strings.ContainsAny(a, "\x00\n") {
					t.Fatalf("argument %q", a)
				}
			}
		}
	})
}
