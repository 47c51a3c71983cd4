package encoder

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openams/openams/ams"
)

// solid makes a film of one colour with one tone, 0 Hz for none.
func solid(t *testing.T, name, color, size, rate, seconds string, tone int) string {
	args := []string{"-f", "lavfi", "-i", "color=" + color + ":size=" + size + ":rate=" + rate + ":duration=" + seconds}
	if tone > 0 {
		args = append(args, "-f", "lavfi", "-i", fmt.Sprintf("sine=frequency=%d:sample_rate=48000:duration=%s", tone, seconds), "-c:a", "aac")
	}
	return clip(t, name, append(args, "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")...)
}

// feed probes files as a job's input.
func feed(t *testing.T, label string, clip Clip, paths ...string) Feed {
	t.Helper()
	var files []Source
	for _, p := range paths {
		files = append(files, Source{Name: filepath.Base(p), Path: p})
	}
	media, chosen, err := Choose(t.Context(), tools(t), files)
	if err != nil {
		t.Fatal(err)
	}
	return Feed{Label: label, Files: media, Chosen: chosen, Clip: clip}
}

// pcm decodes a channel of an audio stream, 48,000 samples a second, silence
// where there is none.
func pcm(t *testing.T, path string, stream, channel int) []float64 {
	t.Helper()
	b := command(t, "-i", path, "-map", fmt.Sprintf("0:a:%d", stream), "-af",
		fmt.Sprintf("aresample=48000:async=1:first_pts=0,pan=mono|c0=c%d", channel), "-f", "s16le", "-")
	out := make([]float64, len(b)/2)
	for i := range out {
		out[i] = float64(int16(uint16(b[2*i]) | uint16(b[2*i+1])<<8))
	}
	return out
}

// tone returns the frequency, of those given, that samples are loudest at; 0 if
// they are silent.
func tone(samples []float64, of ...int) int {
	best, loudest := 0, 100.0
	for _, f := range of {
		var re, im float64
		for i, s := range samples {
			phase := 2 * math.Pi * float64(f) * float64(i) / 48000
			re += s * math.Cos(phase)
			im += s * math.Sin(phase)
		}
		if a := 2 * math.Hypot(re, im) / float64(len(samples)); a > loudest {
			best, loudest = f, a
		}
	}
	return best
}

// part of samples, by seconds.
func span(samples []float64, from, to float64) []float64 {
	return samples[int(from*48000):min(int(to*48000), len(samples))]
}

// shades are the average red, green and blue of each frame in a part of the
// picture.
func shades(t *testing.T, path, crop string) [][3]byte {
	t.Helper()
	b := command(t, "-i", path, "-map", "0:v", "-vf", "crop="+crop+",scale=1:1:flags=area,format=rgb24", "-fps_mode", "passthrough", "-f", "rawvideo", "-")
	var out [][3]byte
	for ; len(b) >= 3; b = b[3:] {
		out = append(out, [3]byte(b))
	}
	return out
}

// name is the colour that a pixel is nearest to.
func name(c [3]byte) string { return near(c, 40) }

// near is the colour that no part of a pixel is further from than so much.
func near(c [3]byte, far int) string {
	for n, want := range map[string][3]byte{"red": {255, 0, 0}, "blue": {0, 0, 255}, "green": {0, 128, 0}, "black": {0, 0, 0}, "white": {255, 255, 255}} {
		d := 0
		for i := range c {
			d = max(d, max(int(c[i])-int(want[i]), int(want[i])-int(c[i])))
		}
		if d < far {
			return n
		}
	}
	return fmt.Sprint(c)
}

const plainMP4 = `"formats":[{"#Mp4Format","filenamePattern":"out{Extension}"}]`

// TestSequence: inputs of a JobInputSequence play one after another, with the
// picture and the sound of each starting at the same instant, whatever size,
// rate and tracks they have.
func TestSequence(t *testing.T) {
	q := Request{Sequence: true, Feeds: []Feed{
		feed(t, "", Clip{}, solid(t, "red.mp4", "red", "160x90", "25", "1", 400)),
		feed(t, "", Clip{Start: 500 * time.Millisecond, End: 1200 * time.Millisecond}, solid(t, "blue.mp4", "blue", "96x96", "30", "2", 1000)),
		feed(t, "", Clip{}, solid(t, "silent.mp4", "green", "320x180", "12.5", "0.64", 0)),
		feed(t, "", Clip{}, clip(t, "sound.mp4", "-f", "lavfi", "-i", "sine=frequency=2000:sample_rate=44100:duration=0.6", "-c:a", "aac")),
	}}
	dir := filepath.Join(t.TempDir(), "out")
	files, plan, err := encodeRequest(t, standard(`{"codecs":[{"#H264Video","keyFrameInterval":"PT0.52S","layers":[{"bitrate":200000,"width":"160","height":"90"},{"bitrate":100000,"width":"80","height":"46"}]},{"#AacAudio"}],"formats":[{"#Mp4Format","filenamePattern":"out-{Bitrate}{Extension}"}]}`), q, dir)
	if err != nil {
		t.Fatal(err)
	}
	check(t, files, plan, dir)
	path := filepath.Join(dir, "out-200000.mp4")
	got := shades(t, path, "40:80:60:5")
	// 25 frames of red, 0.7 s of blue, 0.64 s of green, 0.6 s without a picture.
	want := []struct {
		color string
		until int
	}{{"red", 25}, {"blue", 43}, {"green", 59}, {"black", 74}}
	if len(got) != 74 {
		t.Fatalf("%d frames, want 74", len(got))
	}
	n := 0
	for _, w := range want {
		for ; n < w.until; n++ {
			if name(got[n]) != w.color {
				t.Errorf("frame %d is %s, want %s", n, name(got[n]), w.color)
			}
		}
	}
	if side := name(shades(t, path, "20:80:2:5")[30]); side != "black" {
		t.Errorf("beside the square picture it is %s", side)
	}
	s := pcm(t, path, 0, 0)
	for _, w := range []struct {
		from, to float64
		tone     int
	}{{0.02, 0.99, 400}, {1.01, 1.71, 1000}, {1.74, 2.35, 0}, {2.37, 2.9, 2000}} {
		for at := w.from; at+0.01 < w.to; at += 0.01 {
			if f := tone(span(s, at, at+0.01), 400, 1000, 2000); f != w.tone {
				t.Errorf("at %.2f s there is a tone of %d Hz, want %d", at, f, w.tone)
				break
			}
		}
	}
}

// TestOverlay: a picture and a sound lie over the input where, when and how
// strongly the preset says.
func TestOverlay(t *testing.T) {
	logo := clip(t, "logo.png", "-f", "lavfi", "-i", "color=red:size=40x20", "-frames:v", "1")
	moving := solid(t, "moving.mp4", "white", "64x36", "30", "0.5", 3000)
	jingle := clip(t, "jingle.mp3", "-f", "lavfi", "-i", "sine=frequency=5000:sample_rate=44100:duration=0.5")
	q := Request{Feeds: []Feed{
		feed(t, "", Clip{}, solid(t, "base.mp4", "blue", "160x90", "25", "2", 500)),
		feed(t, "logo", Clip{}, logo), feed(t, "movie", Clip{}, moving), feed(t, "jingle", Clip{}, jingle),
	}}
	p := standard(`{"codecs":[{"#H264Video","layers":[{"bitrate":400000,"width":"320","height":"180"}]},{"#AacAudio"}],"filters":{"overlays":[
		{"#VideoOverlay","inputLabel":"logo","start":"PT0.4S","end":"PT1.2S","position":{"left":"10%","top":"9","width":"40"}},
		{"#VideoOverlay","inputLabel":"logo","opacity":0.5,"position":{"left":"100","top":"60","width":"40","height":"20"}},
		{"#VideoOverlay","inputLabel":"movie","start":"PT1S","audioGainLevel":0.5,"fadeInDuration":"PT0.2S","position":{"left":"0","top":"50","width":"64","height":"36"}},
		{"#AudioOverlay","inputLabel":"jingle","start":"PT0.2S"}]},` + plainMP4 + `}`)
	dir := filepath.Join(t.TempDir(), "out")
	files, plan, err := encodeRequest(t, p, q, dir)
	if err != nil {
		t.Fatal(err)
	}
	check(t, files, plan, dir)
	path := filepath.Join(dir, "out.mp4")
	first, half, movie := shades(t, path, "60:20:42:28"), shades(t, path, "60:20:210:130"), shades(t, path, "100:40:10:115")
	if len(first) != 50 {
		t.Fatalf("%d frames", len(first))
	}
	for n, want := range map[int]string{0: "blue", 9: "blue", 10: "red", 20: "red", 29: "red", 30: "blue", 49: "blue"} {
		if got := name(first[n]); got != want {
			t.Errorf("the first overlay: frame %d is %s, want %s", n, got, want)
		}
	}
	for _, n := range []int{0, 25, 49} {
		if c := half[n]; c[0] < 90 || c[0] > 170 || c[2] < 90 || c[2] > 170 {
			t.Errorf("half-transparent red on blue: frame %d is %v", n, c)
		}
	}
	for n, want := range map[int]string{24: "blue", 31: "white", 36: "white", 39: "blue", 49: "blue"} {
		if got := name(movie[n]); got != want {
			t.Errorf("the moving overlay: frame %d is %s, want %s", n, got, want)
		}
	}
	if c := movie[27]; name(c) == "white" || name(c) == "blue" {
		t.Errorf("the moving overlay does not fade in: %v", c)
	}
	s := pcm(t, path, 0, 0)
	for _, w := range []struct {
		from, to float64
		tone     int
		there    bool
	}{{0.02, 0.19, 5000, false}, {0.22, 0.68, 5000, true}, {0.74, 0.98, 5000, false}, {1.25, 1.45, 3000, true}, {1.55, 1.9, 3000, false}, {0.1, 1.9, 500, true}} {
		if got := tone(span(s, w.from, w.to), w.tone) == w.tone; got != w.there {
			t.Errorf("%d Hz from %.2f s to %.2f s: %v", w.tone, w.from, w.to, got)
		}
	}
	// What no input is labelled as is told by the property.
	q.Feeds[1].Label = "other"
	_, _, err = encodeRequest(t, p, q, dir)
	if err == nil || !strings.Contains(err.Error(), "preset.filters.overlays[0].inputLabel: no input of the job has the label 'logo'") {
		t.Errorf("a missing label: %v", err)
	}
}

// TestChannels: mono tracks become the channels that the client maps them to.
func TestChannels(t *testing.T) {
	var args []string
	for i := range 8 {
		args = append(args, "-f", "lavfi", "-i", fmt.Sprintf("sine=frequency=%d:sample_rate=48000:duration=1", 300*(i+1)))
	}
	for i := range 8 {
		args = append(args, "-map", fmt.Sprint(i), fmt.Sprintf("-metadata:s:a:%d", i), []string{"language=eng", "language=deu"}[i%2])
	}
	path := clip(t, "tracks.mp4", append(args, "-c:a", "aac")...)
	run := func(codecs, definitions string) (string, *Plan) {
		t.Helper()
		f := feed(t, "", Clip{}, path)
		var err error
		if f.Tracks, err = parseDefinitions(standard(definitions).Body); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), "out")
		files, plan, err := encodeRequest(t, standard(`{"codecs":[`+codecs+`],"formats":[{"#Mp4Format","filenamePattern":"out-{Channel}{Extension}"}]}`), Request{Feeds: []Feed{f}}, dir)
		if err != nil {
			t.Fatal(err)
		}
		check(t, files, plan, dir)
		return dir, plan
	}
	all := []int{300, 600, 900, 1200, 1500, 1800, 2100, 2400}
	var tracks []string
	// The other way round than they lie in the file.
	for i, c := range []string{"BackRight", "BackLeft", "LowFrequencyEffects", "Center", "FrontRight", "FrontLeft", "StereoLeft", "StereoRight"} {
		tracks = append(tracks, fmt.Sprintf(`{"#SelectAudioTrackById","trackId":%d,"channelMapping":"%s"}`, i, c))
	}
	dir, _ := run(`{"#AacAudio","channels":6,"bitrate":384000},{"#AacAudio","channels":2}`, `[{"#FromAllInputFile","includedTracks":[`+strings.Join(tracks, ",")+`]}]`)
	for file, want := range map[string][]int{"out-6.mp4": {1800, 1500, 1200, 900, 600, 300}, "out-2.mp4": {2100, 2400}} {
		for c, f := range want {
			s := pcm(t, filepath.Join(dir, file), 0, c)
			if got := tone(span(s, 0.2, 0.8), all...); got != f && !(c == 3 && f == 900) { // AAC cuts the LFE at 120 Hz
				t.Errorf("%s: channel %d has %d Hz, want %d", file, c, got, f)
			}
		}
	}

	// By attribute, every track that fits is a sound of its own.
	_, plan := run(`{"#AacAudio"}`, `[{"#InputFile","filename":"tracks.mp4","includedTracks":[{"#SelectAudioTrackByAttribute","attribute":"Language","filter":"ValueEquals","filterValue":"de-DE"}]}]`)
	if len(plan.Audio) != 4 || plan.Audio[0].Language != "deu" || plan.Audio[0].Parts[0].Tracks[0].Stream != 1 {
		t.Errorf("the German tracks: %+v", plan.Audio)
	}
	for raw, want := range map[string]string{
		`[{"#FromAllInputFile","includedTracks":[{"#SelectAudioTrackById","trackId":9}]}]`:                                                             "id 9",
		`[{"#InputFile","filename":"no.mp4","includedTracks":[{"#AudioTrackDescriptor"}]}]`:                                                            "'no.mp4'",
		`[{"#FromEachInputFile","includedTracks":[{"#SelectAudioTrackById","trackId":1,"channelMapping":"StereoLeft"}]}]`:                              "leaves out StereoRight",
		`[{"#FromAllInputFile","includedTracks":[{"#SelectAudioTrackByAttribute","attribute":"Language","filter":"ValueEquals","filterValue":"ja"}]}]`: "Language",
	} {
		f := feed(t, "", Clip{}, path)
		f.Tracks, _ = parseDefinitions(standard(raw).Body)
		_, err := NewPlan(preset("AACGoodQualityAudio"), Request{Feeds: []Feed{f}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", raw, err, want)
		}
	}
	for _, raw := range []string{`[{"#Nothing"}]`, `[{"#InputFile"}]`, `[{"#FromAllInputFile","includedTracks":[{"#SelectAudioTrackById","trackId":"x"}]}]`,
		`[{"#FromAllInputFile","includedTracks":[{"#SelectAudioTrackByAttribute","attribute":"Size"}]}]`,
		`[{"#FromAllInputFile","includedTracks":[{"#SelectAudioTrackById","trackId":1,"channelMapping":"Top"}]}]`} {
		in := ams.JobInput{Kind: ams.InputAsset, Definitions: standard(raw).Body}
		if err := SupportedInput(in); ams.CodeOf(err) != ams.Invalid {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

// TestOptions: what this server does beyond AMS, by experimentalOptions.
func TestOptions(t *testing.T) {
	path := film(t, "2", "160x90", "25")
	run := func(body string) (string, []OutputFile, error) {
		dir := filepath.Join(t.TempDir(), "out")
		files, _, err := encodeWith(t, standard(body), Clip{}, dir, path)
		return filepath.Join(dir, "out.mp4"), files, err
	}
	out, files, err := run(`{"codecs":[{"#H265Video","keyFrameInterval":"PT1S","layers":[{"bitrate":200000,"width":"160","height":"90"}]}],"experimentalOptions":{"openams.videoCodec":"AV1"},` + plainMP4 + `}`)
	if err != nil {
		t.Fatal(err)
	}
	if got := show(t, files[0]); got != "out.mp4: av01 160x90 50 frames, IDR 25" {
		t.Error(got)
	}
	if n := frames(t, out); n != 50 {
		t.Errorf("%d frames can be decoded", n)
	}

	path = film(t, "1", "160x90", "24000/1001")
	out, _, err = run(`{"codecs":[{"#H264Video","layers":[{"bitrate":2000000,"width":"160","height":"90"},{"bitrate":20000,"width":"160","height":"90"}]}],"experimentalOptions":{"openams.qualityReport":"true"},"formats":[{"#Mp4Format","filenamePattern":"out-{Bitrate}{Extension}"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	var doc outputAsset
	if err := json.Unmarshal(read(t, filepath.Join(filepath.Dir(out), "film_manifest.json")), &doc); err != nil {
		t.Fatal(err)
	}
	good, bad := doc.AssetFile[0].VideoTracks[0], doc.AssetFile[1].VideoTracks[0]
	if good.SSIMMean < 0.98 || good.SSIMMinimum > good.SSIMMean || bad.SSIMMean > good.SSIMMean-0.02 || bad.SSIMMinimum <= 0 {
		t.Errorf("quality of 2 Mbit/s: %v, %v; of 20 kbit/s: %v, %v", good.SSIMMean, good.SSIMMinimum, bad.SSIMMean, bad.SSIMMinimum)
	}

	path = clip(t, "quiet.mp4", "-f", "lavfi", "-i", "sine=frequency=1000:sample_rate=48000:duration=4", "-af", "volume=-30dB", "-ac", "2", "-c:a", "aac")
	out, _, err = run(`{"codecs":[{"#AacAudio"}],"experimentalOptions":{"openams.loudness":"true"},` + plainMP4 + `}`)
	if err != nil {
		t.Fatal(err)
	}
	if l := loudness(t, out); l < -24.5 || l > -21.5 {
		t.Errorf("%.1f LUFS, want -23", l)
	}
}

// loudness is the integrated loudness of a file in LUFS (EBU R128).
func loudness(t *testing.T, path string) float64 {
	t.Helper()
	b := command(t, "-i", path, "-map", "0:a", "-af", "ebur128=metadata=1,ametadata=print:key=lavfi.r128.I:file=-", "-f", "null", "-")
	last := b[strings.LastIndex(string(b), "r128.I=")+7:]
	var v float64
	if err := json.Unmarshal([]byte(strings.TrimSpace(string(last))), &v); err != nil {
		t.Fatalf("%v: %s", err, last)
	}
	return v
}

// TestAsTimed: with syncMode Vfr frames keep their times, and the rungs their
// common IDRs.
func TestAsTimed(t *testing.T) {
	path := clip(t, "vfr.mp4", "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=50:duration=3",
		"-vf", "select='lt(n,50)+gte(n,50)*not(mod(n,7))'", "-fps_mode", "passthrough", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
	for _, codec := range []string{"H264Video", "H265Video"} {
		dir := filepath.Join(t.TempDir(), "out")
		files, plan, err := encodeWith(t, standard(`{"codecs":[{"#`+codec+`","syncMode":"Vfr","keyFrameInterval":"PT1S","layers":[{"bitrate":200000,"width":"160","height":"90"},{"bitrate":100000,"width":"80","height":"46"}]}],"formats":[{"#Mp4Format","filenamePattern":"out-{Bitrate}{Extension}"}]}`), Clip{}, dir, path)
		if err != nil {
			t.Fatal(err)
		}
		indexes, _ := check(t, files, plan, dir)
		times := func(x string) (all, keys []string) {
			k := indexes[x].Tracks[0]
			for _, s := range k.AppendSamples(nil, 0, k.NumSamples()) {
				at := fmt.Sprintf("%.3f", float64(int64(s.DTS)+int64(s.CTO)-k.EditStart)/float64(k.Timescale))
				all = append(all, at)
				if s.Sync {
					keys = append(keys, at)
				}
			}
			return all, keys
		}
		all, keys := times("out-200000.mp4")
		other, _ := times("out-100000.mp4")
		slices.Sort(all)
		slices.Sort(other)
		if len(all) != 64 || strings.Join(all, " ") != strings.Join(other, " ") {
			t.Errorf("%s: %d frames at %v, %d at %v", codec, len(all), all, len(other), other)
		}
		if got := strings.Join(keys, " "); got != "0.000 1.120 2.100" && got != "0.000 1.040 2.020" {
			t.Errorf("%s: IDRs at %s", codec, got)
		}
	}
}
