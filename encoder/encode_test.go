package encoder

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/ffmpeg"
	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/ism"
	"github.com/openams/openams/packager/mp4"
)

func tools(t *testing.T) ffmpeg.Tools {
	t.Helper()
	tools, err := ffmpeg.Find("", "")
	if err != nil {
		t.Fatal(err)
	}
	return tools
}

// clip makes a file with ffmpeg; args are what stands before the output.
func clip(t *testing.T, name string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	cmd := exec.Command(tools(t).FFmpeg, slices.Concat([]string{"-nostdin", "-v", "error", "-y"}, args, []string{path})...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make %s: %v\n%s", name, err, out)
	}
	return path
}

// command runs ffmpeg and returns what it writes to stdout.
func command(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(tools(t).FFmpeg, append([]string{"-nostdin", "-v", "error"}, args...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ffmpeg %v: %v\n%s", args, err, stderr.String())
	}
	return out
}

// film makes a clip of moving bars with a tone.
func film(t *testing.T, seconds, size, rate string) string {
	return clip(t, "film.mp4",
		"-f", "lavfi", "-i", "testsrc2=size="+size+":rate="+rate+":duration="+seconds,
		"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100:duration="+seconds,
		"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", "-metadata:s:a:0", "language=fra")
}

// encode runs the whole way from file to outputs.
func encode(t *testing.T, presetName, path, dir string) ([]OutputFile, *Plan, error) {
	t.Helper()
	return encodeWith(t, preset(presetName), Clip{}, dir, path)
}

func encodeWith(t *testing.T, preset ams.Preset, clip Clip, dir string, paths ...string) ([]OutputFile, *Plan, error) {
	t.Helper()
	ctx := t.Context()
	var files []Source
	for _, path := range paths {
		files = append(files, Source{Name: filepath.Base(path), Path: path})
	}
	media, chosen, err := Choose(ctx, tools(t), files)
	if err != nil {
		return nil, nil, err
	}
	return encodeRequest(t, preset, Request{Feeds: []Feed{{Files: media, Chosen: chosen, Clip: clip}}}, dir)
}

func encodeRequest(t *testing.T, preset ams.Preset, q Request, dir string) ([]OutputFile, *Plan, error) {
	t.Helper()
	ctx := t.Context()
	plan, err := NewPlan(preset, q)
	if err != nil {
		return nil, nil, err
	}
	last := 0.0
	out, err := Encode(ctx, tools(t), plan, plan.sources(q), dir, func(p float64) {
		if p < last || p > 100 {
			t.Errorf("progress %v after %v", p, last)
		}
		last = p
	})
	if err == nil && last != 100 {
		t.Errorf("progress ends at %v", last)
	}
	return out, plan, err
}

// check holds a set of outputs together: the server manifest makes a
// presentation of them, each MP4 is laid out by fragments and indexed, the
// folder holds nothing else.
func check(t *testing.T, files []OutputFile, plan *Plan, dir string) (map[string]*mp4.Index, *packager.Presentation) {
	t.Helper()
	var names []string
	indexes := map[string]*mp4.Index{}
	for _, f := range files {
		names = append(names, f.Name)
		if f.Path != filepath.Join(dir, f.Name) || f.ContentType == "" {
			t.Errorf("output %+v", f)
		}
		if strings.HasSuffix(f.Name, ".json") {
			var doc struct{ AssetFile []map[string]any }
			if err := json.Unmarshal(read(t, f.Path), &doc); err != nil || len(doc.AssetFile) == 0 {
				t.Errorf("%s: %v, %d files", f.Name, err, len(doc.AssetFile))
			}
		}
		if !strings.HasSuffix(f.Name, ".mp4") && !strings.HasSuffix(f.Name, ".ismv") {
			continue
		}
		index, err := indexFile(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		indexes[f.Name] = index
		if saved, err := mp4.ParseIndex(read(t, indexName(f.Path))); err != nil || saved.Size != index.Size {
			t.Errorf("%s: %v", indexName(f.Name), err)
		}
		for _, track := range index.Tracks {
			for _, fragment := range track.Fragments(mp4.DefaultFragment) {
				if n := len(track.Extents(fragment.First, fragment.N)); n != 1 {
					t.Errorf("%s: the %s fragment at %d lies in %d pieces", f.Name, track.Kind, fragment.Time, n)
				}
			}
		}
	}
	if last := names[len(names)-1]; last != plan.Basename+".ism" {
		t.Errorf("the last output is %s, not the server manifest", last)
	}
	kind := ".json"
	if plan.v2 {
		kind = ".xml"
	}
	for _, suffix := range []string{".ismc", "_manifest" + kind, "_metadata" + kind} {
		if !slices.ContainsFunc(names, func(n string) bool { return strings.HasSuffix(n, suffix) }) {
			t.Errorf("no %s among %v", suffix, names)
		}
	}
	if there := list(t, dir); len(there) != len(names) {
		t.Errorf("the folder holds %v, the outputs are %v", there, names)
	}
	manifest, err := ism.Parse(read(t, files[len(files)-1].Path))
	if err != nil {
		t.Fatal(err)
	}
	p, err := packager.New(manifest, indexes)
	if err != nil {
		t.Fatal(err)
	}
	return indexes, p
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func list(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestEncodeLadder(t *testing.T) {
	path := film(t, "7", "640x360", "24000/1001")
	dir := filepath.Join(t.TempDir(), "out")
	files, plan, err := encode(t, "AdaptiveStreaming", path, dir)
	if err != nil {
		t.Fatal(err)
	}
	indexes, p := check(t, files, plan, dir)

	// Three rungs with sound, and the sound alone.
	var shapes []string
	for name, x := range indexes {
		var shape string
		for _, track := range x.Tracks {
			shape += track.Kind.String() + " "
			switch track.Kind {
			case mp4.Video:
				if n := track.NumSamples(); n != 168 || track.SARNum != track.SARDen || track.Codec != "avc1" {
					t.Errorf("%s: %d frames of %s, SAR %d:%d", name, n, track.Codec, track.SARNum, track.SARDen)
				}
				var idr []int
				for i, s := range track.AppendSamples(nil, 0, track.NumSamples()) {
					if s.Sync {
						idr = append(idr, i)
					}
				}
				if !slices.Equal(idr, []int{0, 48, 96, 144}) {
					t.Errorf("%s: IDRs at frames %v", name, idr)
				}
			case mp4.Audio:
				if track.Channels != 2 || track.SampleRate != 48000 || track.Language != "fra" {
					t.Errorf("%s: audio has %d channels at %d Hz, language %s", name, track.Channels, track.SampleRate, track.Language)
				}
				if d := float64(track.Duration()) / float64(track.Timescale); d < 6.99 || d > 7.05 {
					t.Errorf("%s: audio lasts %.3f s", name, d)
				}
			}
		}
		shapes = append(shapes, shape)
	}
	slices.Sort(shapes)
	if want := []string{"audio ", "video audio ", "video audio ", "video audio "}; !slices.Equal(shapes, want) {
		t.Errorf("the files hold %q", shapes)
	}
	if len(p.Tracks) != 2 {
		t.Errorf("the presentation has %d tracks", len(p.Tracks))
	}
	var video *packager.Track
	for _, track := range p.Tracks {
		if len(track.Renditions) == 3 {
			video = track
		}
	}
	if video == nil {
		t.Fatalf("no track of three renditions: %+v", p.Tracks)
	}
}

// TestEncodeInterleaved: the fixed ladders have their sound in every file and
// none beside.
func TestEncodeInterleaved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	files, plan, err := encode(t, "H264MultipleBitrateSD", film(t, "1", "320x180", "25"), dir)
	if err != nil {
		t.Fatal(err)
	}
	indexes, _ := check(t, files, plan, dir)
	if len(indexes) != 5 {
		t.Errorf("%d MP4s, want the 5 rungs", len(indexes))
	}
	for name, x := range indexes {
		if len(x.Tracks) != 2 {
			t.Errorf("%s has %d tracks", name, len(x.Tracks))
		}
	}
}

func TestEncodeAudio(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	files, plan, err := encode(t, "AACGoodQualityAudio", film(t, "1", "320x180", "25"), dir)
	if err != nil {
		t.Fatal(err)
	}
	indexes, _ := check(t, files, plan, dir)
	x := indexes["film_AACAudio_192.mp4"]
	if len(indexes) != 1 || x == nil || len(x.Tracks) != 1 || x.Tracks[0].Kind != mp4.Audio {
		t.Errorf("outputs %v", files)
	}
}

// TestEncodeOffset: sound that starts a second after the picture still does so.
func TestEncodeOffset(t *testing.T) {
	path := clip(t, "late.mkv",
		"-f", "lavfi", "-i", "color=black:size=160x90:rate=25:duration=3",
		"-itsoffset", "1.013", "-f", "lavfi", "-i", "sine=frequency=1000:sample_rate=48000:duration=1",
		"-map", "0:v", "-map", "1:a", "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "pcm_s16le")
	dir := filepath.Join(t.TempDir(), "out")
	if _, _, err := encode(t, "AACGoodQualityAudio", path, dir); err != nil {
		t.Fatal(err)
	}
	// Alone, the sound starts at once: there is nothing it could be late for.
	if at := soundStart(t, filepath.Join(dir, "late_AACAudio_192.mp4")); at > 0.01 {
		t.Errorf("alone, the sound starts at %.3f s", at)
	}
	dir = filepath.Join(t.TempDir(), "out")
	if _, _, err := encode(t, "AdaptiveStreaming", path, dir); err != nil {
		t.Fatal(err)
	}
	if at := soundStart(t, filepath.Join(dir, "late_AACAudio_128.mp4")); at < 1.003 || at > 1.023 {
		t.Errorf("the sound starts at %.3f s, want 1.013", at)
	}
}

// TestEncodeHDR: a picture that tells no more than its HDR transfer function is
// tone-mapped all the same.
func TestEncodeHDR(t *testing.T) {
	for _, transfer := range []string{"arib-std-b67", "smpte2084"} {
		path := clip(t, "hdr.mp4", "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25:duration=1",
			"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le", "-color_trc", transfer)
		dir := filepath.Join(t.TempDir(), "out")
		files, _, err := encode(t, "AdaptiveStreaming", path, dir)
		if err != nil {
			t.Errorf("%s: %v", transfer, err)
			continue
		}
		info, err := tools(t).Probe(t.Context(), files[0].Path)
		if err != nil {
			t.Fatal(err)
		}
		if v := info.Streams[0]; v.HDR() || v.PixelFormat != "yuv420p" || v.Transfer != "bt709" || v.Primaries != "bt709" {
			t.Errorf("%s became %s, transfer %s, primaries %s", transfer, v.PixelFormat, v.Transfer, v.Primaries)
		}
	}
}

// soundStart returns the second at which a file stops being silent.
func soundStart(t *testing.T, path string) float64 {
	t.Helper()
	out, err := exec.Command(tools(t).FFmpeg, "-nostdin", "-v", "error", "-i", path, "-ac", "1", "-f", "s16le", "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(out); i += 2 {
		if v := int16(uint16(out[i]) | uint16(out[i+1])<<8); v > 1000 || v < -1000 {
			return float64(i/2) / 48000
		}
	}
	t.Fatalf("%s is silent", path)
	return 0
}

// TestEncodeDamage: a file that ffmpeg alone would take fails, says where, and
// leaves nothing.
func TestEncodeDamage(t *testing.T) {
	whole := read(t, clip(t, "film.mp4",
		"-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=4", "-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-movflags", "+faststart"))
	rotten := slices.Clone(whole)
	for i := len(rotten) / 2; i < len(rotten)/2+400; i++ {
		rotten[i] ^= 0x55
	}
	for _, tt := range []struct {
		name string
		data []byte
		code ams.JobErrorCode
		says []string
	}{
		{"cut.mp4", whole[:len(whole)*6/10], ams.ContentMalformed, []string{"cut.mp4", "cut short", "video, at 2."}},
		{"rotten.mp4", rotten, ams.ContentMalformed, []string{"rotten.mp4", "video stream 0 (h264)", "cannot be decoded"}},
		{"empty.mp4", nil, ams.ContentMalformed, []string{"empty.mp4", "0 bytes"}},
		{"text.mp4", []byte("not a film at all, but a letter\n"), ams.ContentUnsupported, []string{"text.mp4", "text"}},
		{"list.mp4", []byte("ffconcat version 1.0\nfile /etc/hostname\n"), ams.ContentUnsupported, []string{"list.mp4"}},
		{"playlist.mp4", []byte("#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n"), ams.ContentUnsupported, []string{"playlist.mp4"}},
		{"film.jpg", whole, ams.ContentUnsupported, []string{"no media file", "film.jpg"}},
	} {
		path := filepath.Join(t.TempDir(), tt.name)
		if err := os.WriteFile(path, tt.data, 0o600); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), "out")
		_, _, err := encode(t, "H264SingleBitrateSD", path, dir)
		fail, ok := errors.AsType[*ams.JobError](err)
		if !ok || fail.Code != tt.code {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.code)
			continue
		}
		for _, s := range tt.says {
			if !strings.Contains(fail.Message, s) {
				t.Errorf("%s: %q does not say %q", tt.name, fail.Message, s)
			}
		}
		if left := list(t, dir); left != nil {
			t.Errorf("%s: %v is left", tt.name, left)
		}
	}
}

func TestPlanErrors(t *testing.T) {
	silent := clip(t, "silent.mp4", "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25:duration=1", "-c:v", "libx264")
	_, _, err := encode(t, "AACGoodQualityAudio", silent, t.TempDir())
	if e, ok := errors.AsType[*ams.JobError](err); !ok || e.Code != ams.ConfigurationUnsupported {
		t.Errorf("sound of a silent film: %v", err)
	}
	titles := filepath.Join(t.TempDir(), "titles.mkv")
	srt := filepath.Join(t.TempDir(), "in.srt")
	if err := os.WriteFile(srt, []byte("1\n00:00:00,000 --> 00:00:01,000\nHello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(tools(t).FFmpeg, "-v", "error", "-i", srt, titles).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	_, _, err = encode(t, "AdaptiveStreaming", titles, t.TempDir())
	if e, ok := errors.AsType[*ams.JobError](err); !ok || e.Code != ams.ContentUnsupported {
		t.Errorf("subtitles alone: %v", err)
	}
}

// TestEncodeCancel: when the context ends, ffmpeg dies and its files go.
func TestEncodeCancel(t *testing.T) {
	path := film(t, "30", "160x90", "25")
	src, _, err := Choose(t.Context(), tools(t), []Source{{Name: "film.mp4", Path: path}})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := NewPlan(preset("H264MultipleBitrate1080p"), One("film", src[0].Info, Clip{}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	dir := filepath.Join(t.TempDir(), "out")
	var canceled atomic.Int64 // when, in Unix nanoseconds
	_, err = Encode(ctx, tools(t), plan, src, dir, func(p float64) {
		if canceled.CompareAndSwap(0, time.Now().UnixNano()) {
			cancel()
		}
	})
	took := time.Since(time.Unix(0, canceled.Load()))
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("Encode: %v", err)
	}
	if took > 2*time.Second {
		t.Errorf("it took %v to stop", took)
	}
	if left := list(t, dir); left != nil {
		t.Errorf("%v is left", left)
	}
}

// TestChoose: what lies beside media does not confuse the choice.
func TestChoose(t *testing.T) {
	big, small := film(t, "1", "320x180", "25"), film(t, "1", "160x90", "25")
	sound := clip(t, "sound.mp4", "-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac")
	note := filepath.Join(t.TempDir(), "note")
	if err := os.WriteFile(note, []byte("<smil/>"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		files []Source
		want  string
	}{
		{[]Source{{Name: "a.ism", Path: note}, {Name: "a.mpi", Path: note}, {Name: "b.mp4", Path: small}}, "b.mp4"},
		{[]Source{{Name: "a_audio.mp4", Path: sound}, {Name: "b.mp4", Path: small}, {Name: "c.mp4", Path: big}}, "c.mp4"},
		{[]Source{{Name: "b.mp4", Path: small}, {Name: "c.mp4", Path: small}}, "b.mp4"},
		{[]Source{{Name: "notes", Path: note}, {Name: "b.mp4", Path: sound}}, "b.mp4"},
	} {
		got, n, err := Choose(t.Context(), tools(t), tt.files)
		if err != nil || got[n].Name != tt.want || got[n].Info == nil {
			t.Errorf("%v: %v, %d, %v", tt.files, got, n, err)
		}
	}
}
