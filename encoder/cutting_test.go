package encoder

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
	"github.com/openams/openams/jobqueue"
	"github.com/openams/openams/packager/mp4"
)

// clockPicture is a filter graph whose frame n shows n in bits of 20 pixels, the
// lowest on the left; clockSound sounds in every second second.
const (
	clockPicture = "nullsrc=size=16x2:rate=25:duration=11,format=gray,geq=lum='255*mod(floor(N/pow(2,X)),2)',scale=320:180:flags=neighbor,format=yuv420p"
	clockSound   = "aevalsrc='0.5*sin(880*PI*t)*lt(mod(t,2),1)':sample_rate=48000:duration=11"
)

// shownFrame reads the clock of the first picture of a file.
func shownFrame(t *testing.T, path string) (n int) {
	t.Helper()
	row := command(t, "-i", path, "-map", "0:v:0", "-frames:v", "1", "-vf", "scale=320:180,crop=320:20:0:80,scale=16:1:flags=area,format=gray", "-f", "rawvideo", "-")
	if len(row) != 16 {
		t.Fatalf("%d pixels of a clock", len(row))
	}
	for i, v := range row {
		if v > 127 {
			n |= 1 << i
		}
	}
	return n
}

// sounding is the first time in seconds at which silence of at least 0.2 s turns into
// sound.
func sounding(t *testing.T, path string) float64 {
	t.Helper()
	pcm := command(t, "-i", path, "-map", "0:a:0", "-af", "aresample=async=1:first_pts=0", "-ar", "48000", "-ac", "1", "-f", "s16le", "-")
	quiet := 0
	for i := 0; i+1 < len(pcm); i += 2 {
		v := int(int16(binary.LittleEndian.Uint16(pcm[i:])))
		if v > 1500 || v < -1500 {
			if quiet > 9600 {
				return float64(i/2) / 48000
			}
			quiet = 0
		} else {
			quiet++
		}
	}
	t.Fatalf("%s never falls silent and sounds again", path)
	return 0
}

// clockSet makes a multi-bitrate set with a clock: two pictures without sound and
// a sound, with key frames every 2 s.
func clockSet(t *testing.T) map[string]string {
	t.Helper()
	video := func(name, size string) string {
		return clip(t, name, "-f", "lavfi", "-i", clockPicture, "-vf", "scale="+size, "-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-g", "50", "-keyint_min", "50", "-sc_threshold", "0", "-crf", "24")
	}
	ism := filepath.Join(t.TempDir(), "film.ism")
	body := `<?xml version="1.0" encoding="utf-8"?><smil xmlns="http://www.w3.org/2001/SMIL20/Language"><head><meta name="formats" content="mp4-v3"/></head><body><switch>` +
		`<video src="film_600.mp4" systemBitrate="600000"/><video src="film_150.mp4" systemBitrate="150000"/><audio src="film_a.mp4" systemBitrate="64000"/></switch></body></smil>`
	if err := os.WriteFile(ism, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"film_600.mp4": video("a.mp4", "320:180"), "film_150.mp4": video("b.mp4", "160:90"), "film.ism": ism,
		"film_a.mp4": clip(t, "c.mp4", "-f", "lavfi", "-i", clockSound, "-c:a", "aac", "-b:a", "64k"),
	}
}

// fetched copies the files of an asset that end so into a folder.
func (s *service) fetched(a *ams.Asset, suffix string) map[string]string {
	s.t.Helper()
	dir, all := s.t.TempDir(), map[string]string{}
	for _, name := range s.files(a) {
		if !strings.HasSuffix(name, suffix) {
			continue
		}
		r, err := s.blobs.OpenLocal(s.t.Context(), a.StorageAccount, a.Container, name)
		if err != nil {
			s.t.Fatal(err)
		}
		p, _ := r.LocalPath()
		all[name] = filepath.Join(dir, name)
		if err := os.WriteFile(all[name], read(s.t, p), 0o600); err != nil {
			s.t.Fatal(err)
		}
		r.Close()
	}
	return all
}

// packets lists the coded packets of a stream of a file by their MD5, with their
// times in seconds.
func packets(t *testing.T, path, stream string) (sums []string, at []float64) {
	t.Helper()
	scale := 0.0
	for line := range strings.Lines(string(command(t, "-copyts", "-i", path, "-map", "0:"+stream, "-c", "copy", "-f", "framemd5", "-"))) {
		line = strings.TrimSpace(line)
		if tb, ok := strings.CutPrefix(line, "#tb 0: 1/"); ok {
			scale, _ = strconv.ParseFloat(tb, 64)
		}
		f := strings.Split(line, ",")
		if len(f) < 6 || strings.HasPrefix(line, "#") {
			continue
		}
		pts, err := strconv.ParseFloat(strings.TrimSpace(f[2]), 64)
		if err != nil {
			t.Fatal(err)
		}
		sums, at = append(sums, strings.TrimSpace(f[5])), append(at, pts/scale)
	}
	return sums, at
}

// sameFrom makes sure that all packets of a copy are packets of the source, zero
// seconds later there, and returns how many there are.
func sameFrom(t *testing.T, source, copied, stream string, zero float64) int {
	t.Helper()
	want, wantAt := packets(t, source, stream)
	got, at := packets(t, copied, stream)
	first := slices.IndexFunc(wantAt, func(w float64) bool { return math.Abs(w-at[0]-zero) < 0.005 })
	if first < 0 {
		t.Fatalf("%s: its first packet, at %.4f s, is none of the source", copied, at[0])
	}
	for i := range got {
		if first+i >= len(want) || got[i] != want[first+i] {
			t.Fatalf("%s: packet %d is not the source's", copied, i)
		}
		if d := wantAt[first+i] - at[i] - zero; math.Abs(d) > 0.001 {
			t.Fatalf("%s: packet %d is %.4f s off", copied, i, d)
		}
	}
	return len(got)
}

// TestCutCopies: parts of a multi-bitrate set are copied from key frame to key
// frame, picture and sound together, through both APIs.
func TestCutCopies(t *testing.T) {
	s := newService(t, jobqueue.Config{})
	s.run(s.worker("one"))
	sources := clockSet(t)
	in := s.asset("in", sources)
	clipped := assetInput("in")
	clipped.Start = []byte(`{"@odata.type":"#Microsoft.Media.AbsoluteClipTime","time":"PT3S"}`)
	clipped.End = []byte(`{"@odata.type":"#Microsoft.Media.AbsoluteClipTime","time":"PT6.5S"}`)
	clockAt := func(files map[string]string, frame int, sounds float64) {
		t.Helper()
		for name, path := range files {
			info, err := tools(t).Probe(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			for _, st := range info.Streams {
				if st.Kind == "video" && shownFrame(t, path) != frame {
					t.Errorf("%s begins with frame %d, want %d", name, shownFrame(t, path), frame)
				}
				if st.Kind == "audio" {
					if at := sounding(t, path); math.Abs(at-sounds) > 0.01 {
						t.Errorf("%s sounds at %.3f s, want %.3f", name, at, sounds)
					}
				}
			}
		}
	}

	// v3: every track, apart. Key frames are at 2 and 8 s.
	apart := s.asset("apart", nil)
	if task := s.wait(s.submit("apart", "CopyAllBitrateNonInterleaved", clipped, "apart")); task.State != ams.Finished {
		t.Fatalf("%s %v", task.State, task.Error)
	}
	files := s.fetched(apart, ".mp4")
	if len(files) != 3 {
		t.Fatalf("outputs %q", s.files(apart))
	}
	for name, path := range files {
		info, err := tools(t).Probe(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		switch st := info.Streams[0]; {
		case st.Kind == "audio":
			if n := sameFrom(t, sources["film_a.mp4"], path, "a:0", 2); n < 281 || n > 283 {
				t.Errorf("%s has %d packets of sound", name, n)
			}
		case st.Width == 320:
			if n := sameFrom(t, sources["film_600.mp4"], path, "v:0", 2); n != 150 {
				t.Errorf("%s has %d frames", name, n)
			}
		default:
			if n := sameFrom(t, sources["film_150.mp4"], path, "v:0", 2); n != 150 {
				t.Errorf("%s has %d frames", name, n)
			}
		}
	}
	clockAt(files, 50, 2) // sound begins at 4 s

	// v2: the best picture with the sound, and all of them, as the subclips of Media
	// Encoder Standard were written.
	if err := s.account.CreateFileInfos(t.Context(), in.ID); err != nil {
		t.Fatal(err)
	}
	for streams, want := range map[string]int{"TopBitrate": 1, "*": 2} {
		task := s.mes(in, `{"Version":1.0,"Sources":[{"StartTime":"00:00:05","Duration":"00:00:02.5","Streams":[{"AudioStream":"`+streams+`","VideoStream":"`+streams+`"}]}],
			"Codecs":[{"Type":"CopyVideo"},{"Type":"CopyAudio"}],"Outputs":[{"FileName":"Clip_{Basename}_{Resolution}_{Bitrate}.mp4","Format":{"Type":"MP4Format"}}]}`)
		if task.State != ams.Finished {
			t.Fatalf("%s: %s %v", streams, task.State, task.Error)
		}
		out, err := s.account.Asset(t.Context(), task.Asset)
		if err != nil {
			t.Fatal(err)
		}
		files := s.fetched(out, ".mp4")
		videos := 0
		for _, path := range files {
			if info, err := tools(t).Probe(t.Context(), path); err == nil && info.Streams[0].Kind == "video" {
				videos++
				if d := info.Streams[0].Duration; d != 4*time.Second {
					t.Errorf("%s: %v", streams, d)
				}
			}
		}
		if videos != want {
			t.Errorf("%s: %d videos in %q", streams, videos, s.files(out))
		}
		clockAt(files, 100, 2) // from 4 s on it sounds, and again at 6 s
	}
}

// TestCutRefusals: what cannot be cut says why.
func TestCutRefusals(t *testing.T) {
	s := newService(t, jobqueue.Config{})
	s.run(s.worker("one"))
	film := film(t, "2", "320x180", "25")
	s.asset("mkv", map[string]string{"film.mkv": clip(t, "film.mkv", "-i", film, "-c", "copy")})
	s.asset("mp4", map[string]string{"film.mp4": film})
	s.asset("out", nil)
	at := func(kind, start string) []byte {
		return fmt.Appendf(nil, `{"@odata.type":"#Microsoft.Media.%s","time":"%s"}`, kind, start)
	}
	for name, tt := range map[string]struct {
		asset  string
		start  []byte
		preset string
		says   string
	}{
		"container": {"mkv", at("AbsoluteClipTime", "PT1S"), "CopyAllBitrateNonInterleaved", "only MP4 files can be cut without being encoded again"},
		"late":      {"mp4", at("AbsoluteClipTime", "PT5S"), "CopyAllBitrateNonInterleaved", "the clip starts at 5.00 s, and it ends at 2.0"},
		"utc":       {"mp4", at("UtcClipTime", "2024-05-01T12:00:00Z"), "AACGoodQualityAudio", "UTC, which only live archives have"},
	} {
		in := assetInput(tt.asset)
		in.Start = tt.start
		task := s.wait(s.submit(name, tt.preset, in, "out"))
		if task.Error == nil || task.Error.Code != ams.ConfigurationUnsupported || !strings.Contains(task.Error.Message, tt.says) {
			t.Errorf("%s: %s %v", name, task.State, task.Error)
		}
	}
	bad := assetInput("mp4")
	for _, start := range []string{"yesterday", "1969-01-01T00:00:00Z", ""} {
		bad.Start = at("UtcClipTime", start)
		if err := SupportedInput(bad); ams.CodeOf(err) != ams.Invalid {
			t.Errorf("%q: %v", start, err)
		}
	}
}

// TestArchive: clips of a live archive by UTC, encoded and copied, show what was
// on at that time by its burnt-in clock.
func TestArchive(t *testing.T) {
	const epoch = 1_714_564_800 // 2024-05-01T12:00:00Z
	for _, format := range []string{"vod-fmp4", "vod-cmaf"} {
		t.Run(format, func(t *testing.T) {
			s := newService(t, jobqueue.Config{})
			s.run(s.worker("one"))
			in := s.asset("in", nil)
			for name, b := range clockArchive(t, format, epoch) {
				if _, err := s.blobs.Put(t.Context(), in.StorageAccount, in.Container, name, bytes.NewReader(b), blob.PutOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			clipped := assetInput("in")
			clipped.Start = []byte(`{"@odata.type":"#Microsoft.Media.UtcClipTime","time":"2024-05-01T12:00:05.2Z"}`)
			clipped.End = []byte(`{"@odata.type":"#Microsoft.Media.UtcClipTime","time":"2024-05-01T12:00:07.6Z"}`)
			// Encoded, it is exact: frame 130; the tone begins at 6 s.
			out := s.asset("out", nil)
			if task := s.wait(s.submit("encode", "AdaptiveStreaming", clipped, "out")); task.State != ams.Finished {
				t.Fatalf("%s %v", task.State, task.Error)
			}
			checked := 0
			for name, path := range s.fetched(out, ".mp4") {
				info, err := tools(t).Probe(t.Context(), path)
				if err != nil {
					t.Fatal(err)
				}
				for _, st := range info.Streams {
					checked++
					if st.Kind == "video" {
						if n := shownFrame(t, path); n != 130 || st.Frames != 60 {
							t.Errorf("%s begins with frame %d and has %d frames, want 130 and 60", name, n, st.Frames)
						}
					} else if at := sounding(t, path); math.Abs(at-0.8) > 0.015 {
						t.Errorf("%s sounds at %.3f s, want 0.8", name, at)
					}
				}
			}
			if checked < 2 {
				t.Errorf("%d tracks in %q", checked, s.files(out))
			}
			// Copied, it goes from key frame to key frame: 4 s to 8 s.
			out = s.asset("copy", nil)
			if task := s.wait(s.submit("copy", "CopyAllBitrateNonInterleaved", clipped, "copy")); task.State != ams.Finished {
				t.Fatalf("%s %v", task.State, task.Error)
			}
			for name, path := range s.fetched(out, ".mp4") {
				x, err := indexFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if k := x.Tracks[0]; k.Kind == mp4.Video {
					if n := shownFrame(t, path); n != 100 || k.NumSamples() != 100 {
						t.Errorf("%s begins with frame %d and has %d, want 100 and 100", name, n, k.NumSamples())
					}
				} else if at := sounding(t, path); math.Abs(at-2) > 0.015 {
					t.Errorf("%s sounds at %.3f s, want 2", name, at)
				}
			}
			if n := len(s.fetched(out, ".mp4")); n != 3 {
				t.Errorf("%d files: %q", n, s.files(out))
			}
			// v2: absolute times count from 1970 too.
			if err := s.account.CreateFileInfos(t.Context(), in.ID); err != nil {
				t.Fatal(err)
			}
			task := s.mes(in, `<?xml version="1.0" encoding="utf-16"?><Preset Version="1.0" xmlns="http://www.windowsazure.com/media/encoding/Preset/2014/03">
				<Sources><Source StartTime="P19844DT12H0M5.2S" Duration="PT1S"><Streams><VideoStream>TopBitrate</VideoStream><AudioStream>TopBitrate</AudioStream></Streams></Source></Sources>
				<Encoding><CopyVideo/><CopyAudio/></Encoding><Outputs><Output FileName="ClipTopBitrate_{Basename}.mp4"><MP4Format/></Output></Outputs></Preset>`)
			if task.State != ams.Finished {
				t.Fatalf("%s %v", task.State, task.Error)
			}
			made, err := s.account.Asset(t.Context(), task.Asset)
			if err != nil {
				t.Fatal(err)
			}
			if path := s.fetched(made, ".mp4")["ClipTopBitrate_video.mp4"]; path == "" {
				t.Errorf("outputs %q", s.files(made))
			} else if n := shownFrame(t, path); n != 100 {
				t.Errorf("it begins with frame %d, want 100", n)
			}
			// Behind its end there is nothing.
			clipped.Start = []byte(`{"@odata.type":"#Microsoft.Media.UtcClipTime","time":"2024-05-01T13:00:00Z"}`)
			clipped.End = nil
			if task := s.wait(s.submit("late", "AdaptiveStreaming", clipped, "out")); task.Error == nil || task.Error.Code != ams.ConfigurationUnsupported {
				t.Errorf("a clip behind the end: %s %v", task.State, task.Error)
			}
		})
	}
}

// mes runs a task of Media Encoder Standard over an asset.
func (s *service) mes(in *ams.Asset, configuration string) *ams.Task {
	s.t.Helper()
	j, err := s.account.SubmitTasks(s.t.Context(), account.TaskJobRequest{
		Name: "job", Inputs: []string{in.ID},
		Tasks: []account.TaskRequest{{
			Spec:    ams.TaskSpec{Processor: ams.Processors[0].ID, Configuration: configuration, Body: "<taskBody/>"},
			Inputs:  []account.Port{{N: 0}},
			Outputs: []account.OutputPort{{N: 0}},
		}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return s.wait(j)
}

// clockArchive makes a live archive as AMS left one behind (documented layout)
// that shows the clock from the epoch on: a folder for each track, with the init
// segment and a blob for each fragment, named by its time since 1970.
func clockArchive(t *testing.T, format string, epoch uint64) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	var streams strings.Builder
	for _, a := range []struct {
		kind, folder string
		bitrate      int
		args         []string
	}{
		{"video", "cam_600000", 600000, []string{"-f", "lavfi", "-i", clockPicture, "-c:v", "libx264", "-preset", "veryfast", "-bf", "0", "-g", "50", "-keyint_min", "50", "-sc_threshold", "0", "-b:v", "600k"}},
		{"video", "cam_150000", 150000, []string{"-f", "lavfi", "-i", clockPicture, "-vf", "scale=160:90", "-c:v", "libx264", "-preset", "veryfast", "-bf", "0", "-g", "50", "-keyint_min", "50", "-sc_threshold", "0", "-b:v", "150k"}},
		{"audio", "mic_64000", 64000, []string{"-f", "lavfi", "-i", clockSound, "-c:a", "aac", "-b:a", "64k"}},
	} {
		args := a.args
		flags := "isml+frag_keyframe"
		if a.kind == "audio" {
			flags = "isml"
			args = append(args, "-frag_duration", "2000000", "-min_frag_duration", "2000000")
		}
		if format == "vod-fmp4" {
			args = append(args, "-f", "ismv", "-movflags", flags)
		} else {
			args = append(args, "-f", "mp4", "-movflags", strings.Replace(flags, "isml", "empty_moov+default_base_moof", 1))
		}
		early := uint64(0) // an encoder's first 1024 samples of sound lie before the time at which it began; ismv tells by an edit list
		if a.kind == "audio" && format == "vod-cmaf" {
			early = 1024
		}
		for name, b := range pieces(t, read(t, clip(t, a.folder, args...)), epoch, early) {
			files[a.folder+"/"+name] = b
		}
		fmt.Fprintf(&streams, `<%s src="%s" systemBitrate="%d"><param name="trackName" value="%s" valuetype="data"/></%s>`, a.kind, a.folder, a.bitrate, a.kind, a.kind)
	}
	files["rec.ism"] = fmt.Appendf(nil, `<?xml version="1.0" encoding="utf-8"?><smil xmlns="http://www.w3.org/2001/SMIL20/Language"><head><meta name="clientManifestRelativePath" content="rec.ismc"/><meta name="formats" content="%s"/></head><body><switch>%s</switch></body></smil>`, format, &streams)
	files["rec.ismc"] = []byte(`<SmoothStreamingMedia MajorVersion="2" MinorVersion="2" Duration="0"/>`)
	return files
}

// pieces cuts a fragmented file into its header and fragments, and moves these by
// epoch seconds less early/48000.
func pieces(t *testing.T, b []byte, epoch, early uint64) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	name := ""
	for len(b) > 8 {
		n := binary.BigEndian.Uint32(b)
		box, kind := b[:n], string(b[4:8])
		b = b[n:]
		switch kind {
		case "ftyp", "moov":
			files["header"] = append(files["header"], box...)
		case "moof":
			at := bytes.Index(files["header"], []byte("mdhd"))
			scale := uint64(binary.BigEndian.Uint32(files["header"][at+16:]))
			if files["header"][at+4] == 1 {
				scale = uint64(binary.BigEndian.Uint32(files["header"][at+24:]))
			}
			if at = bytes.Index(box, []byte("tfdt")) + 8; at < 8 {
				at = bytes.Index(box, []byte("\x6d\x1d\x9b\x05\x42\xd5\x44\xe6")) + 20 // the uuid of tfxd
			}
			if at < 8 || box[at-4] != 1 {
				t.Fatal("a fragment has no time of 64 bits")
			}
			time := binary.BigEndian.Uint64(box[at:]) + epoch*scale - early*scale/48000
			binary.BigEndian.PutUint64(box[at:], time)
			name = fmt.Sprint(time/scale*1e7 + time%scale*1e7/scale)
			files[name] = slices.Clone(box)
		case "mdat":
			files[name] = append(files[name], box...)
		}
	}
	return files
}
