package ffmpeg

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func tools(t *testing.T) Tools {
	t.Helper()
	tools, err := Find("", "")
	if err != nil {
		t.Fatal(err)
	}
	return tools
}

// clip makes a file with ffmpeg; args are what stands before the output.
func clip(t *testing.T, name string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := tools(t).Run(t.Context(), slices.Concat([]string{"-y"}, args, []string{path}), nil); err != nil {
		t.Fatalf("make %s: %v", name, err)
	}
	return path
}

func TestCheck(t *testing.T) {
	b, err := tools(t).Check(t.Context())
	if err != nil || b.Version == "" || len(b.Features) != len(features) {
		t.Fatalf("%+v, %v", b, err)
	}
	for _, f := range b.Features {
		if !f.Have && f.For == "" {
			t.Errorf("%s is missing, and no error", f)
		}
	}
	if _, err := Find("no-such-program", ""); err == nil || !strings.Contains(err.Error(), "apt install") {
		t.Errorf("Find of a missing program: %v", err)
	}
}

// TestCheckPoorBuild: what a build lacks is named; only some of it is fatal.
func TestCheckPoorBuild(t *testing.T) {
	poor := func(version string, without ...string) (*Build, error) {
		real := tools(t)
		text := "#!/bin/sh\ncase \"$2\" in -version) echo 'ffmpeg version " + version + " Copyright'; exit;; esac\n" + real.FFmpeg + " \"$@\""
		for _, name := range without {
			text += " | grep -vw " + name
		}
		path := filepath.Join(t.TempDir(), "ffmpeg")
		if err := os.WriteFile(path, []byte(text+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		real.FFmpeg = path
		return real.Check(t.Context())
	}
	b, err := poor("6.0", "libx265", "tonemap")
	if err != nil {
		t.Fatal(err)
	}
	if got := b.Missing(); len(got) != 2 || got[0].String() != "encoder libx265" || got[0].For != "H.265 presets" || got[1].Name != "tonemap" {
		t.Errorf("missing %+v", got)
	}
	if _, err := poor("6.0", "libx264"); err == nil || !strings.Contains(err.Error(), "lacks encoder libx264") {
		t.Errorf("without libx264: %v", err)
	}
	if _, err := poor("4.4.2-0ubuntu0.22.04.1"); err == nil || !strings.Contains(err.Error(), "needs 5.1 or later") {
		t.Errorf("an old one: %v", err)
	}
	for version, old := range map[string]bool{"4.4": true, "5.0.3": true, "5.1": false, "5.1.9-0+deb12u1": false, "7": false, "n6.1.1": false, "n4.2": true, "N-109542-g1bf1": false, "": false} {
		if tooOld(version) != old {
			t.Errorf("%q is too old: %v", version, !old)
		}
	}
}

func TestLacks(t *testing.T) {
	source := []string{"-f", "lavfi", "-i", "testsrc2=size=64x64:duration=0.1"}
	for want, args := range map[string][]string{"encoder libnone": {"-c:v", "libnone"}, "filter nosuch": {"-vf", "nosuch=1"}, "": {"-t", "never"}} {
		err := tools(t).Run(t.Context(), slices.Concat(source, args, []string{"-f", "null", "-"}), nil)
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Lacks() != want {
			t.Errorf("%v: lacks %q", err, want)
		}
	}
}

func TestProbe(t *testing.T) {
	path := clip(t, "film.mp4",
		"-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30000/1001:duration=2",
		"-f", "lavfi", "-i", "sine=duration=2", "-vf", "setsar=4/3", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p",
		"-color_trc", "arib-std-b67", "-c:a", "aac", "-metadata:s:a", "language=deu")
	turn(t, path)
	info, err := tools(t).Probe(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if len(info.Streams) != 2 || !strings.HasPrefix(info.Format, "mov") || info.Size == 0 || info.BitRate == 0 {
		t.Fatalf("%+v", info)
	}
	v, a := info.Streams[0], info.Streams[1]
	if v.Kind != "video" || v.Codec != "h264" || v.Width != 320 || v.Height != 180 || v.SAR != (Rational{4, 3}) ||
		v.Rate != (Rational{30000, 1001}) || v.VariableRate() || !v.HDR() || v.Interlaced() || v.Frames != 60 || v.Picture {
		t.Errorf("video %+v", v)
	}
	if w, h := v.DisplaySize(); v.Rotation != 90 || w != 180 || h < 426 || h > 427 {
		t.Errorf("rotated %d, shown as %v x %v", v.Rotation, w, h)
	}
	if a.Kind != "audio" || a.Channels != 1 || a.SampleRate != 44100 || a.Language != "deu" {
		t.Errorf("audio %+v", a)
	}
	if d := info.Duration; d < 2*time.Second || d > 2100*time.Millisecond {
		t.Errorf("duration %v", d)
	}
}

// turn writes the matrix of a phone held upright, a quarter turn clockwise, into
// the header of the first track: this ffmpeg cannot.
func turn(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(b, []byte("tkhd")) + 4 + 40
	for i, v := range []int32{0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30} {
		binary.BigEndian.PutUint32(b[at+4*i:], uint32(v))
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestParseInfo(t *testing.T) {
	for _, tt := range []struct {
		name, stream string
		ok           func(*Stream) bool
	}{
		{"rotation", `"side_data_list":[{"side_data_type":"Display Matrix","rotation":-90}]`, func(s *Stream) bool { return s.Rotation == 90 }},
		{"half turn", `"side_data_list":[{"side_data_type":"Display Matrix","rotation":180}]`, func(s *Stream) bool { return s.Rotation == 180 }},
		{"no sense", `"width":-4,"sample_aspect_ratio":"0:1","r_frame_rate":"1/0","duration":"1e300","bit_rate":"-3"`, func(s *Stream) bool {
			return s.Width == 0 && s.SAR == Rational{1, 1} && s.Rate == Rational{} && s.Duration == 0 && s.BitRate == 0
		}},
		{"Matroska", `"tags":{"DURATION":"00:01:02.500000000"}`, func(s *Stream) bool { return s.Duration == 62500*time.Millisecond }},
		{"cover", `"disposition":{"attached_pic":1}`, func(s *Stream) bool { return s.Picture }},
		{"variable", `"r_frame_rate":"57600/1","avg_frame_rate":"36/5"`, func(s *Stream) bool { return s.VariableRate() }},
		{"GXF", `"r_frame_rate":"25/1","avg_frame_rate":"50/1"`, func(s *Stream) bool { return !s.VariableRate() }},
		{"fields", `"r_frame_rate":"50/1","avg_frame_rate":"25/1","field_order":"tt"`, func(s *Stream) bool { return !s.VariableRate() && s.Interlaced() }},
	} {
		info, err := ParseInfo([]byte(`{"streams":[{` + tt.stream + `}],"format":{}}`))
		if err != nil || len(info.Streams) != 1 || !tt.ok(&info.Streams[0]) {
			t.Errorf("%s: %v %+v", tt.name, err, info)
		}
	}
}

func TestRunProgress(t *testing.T) {
	var seen []Progress
	err := tools(t).Run(t.Context(), []string{"-re", "-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25:duration=2", "-f", "null", "-"},
		func(p Progress) { seen = append(seen, p) })
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) < 2 {
		t.Fatalf("%d reports", len(seen))
	}
	for i := 1; i < len(seen); i++ {
		if seen[i].Time < seen[i-1].Time || seen[i].Frame < seen[i-1].Frame {
			t.Errorf("%v after %v", seen[i], seen[i-1])
		}
	}
	if last := seen[len(seen)-1]; last.Frame != 50 || last.Time < 1900*time.Millisecond {
		t.Errorf("the last report is %+v", last)
	}
}

func TestRunError(t *testing.T) {
	err := tools(t).Run(t.Context(), append(Input("/no/such/file"), "-f", "null", "-"), nil)
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Exit != 1 || !strings.Contains(e.Tail, "No such file") {
		t.Errorf("%v", err)
	}
}

// TestContainment: no input makes ffmpeg open what it was not given.
func TestContainment(t *testing.T) {
	secret := clip(t, "secret.mp4", "-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25:duration=1")
	var hits atomic.Int64
	web := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	defer web.Close()
	playlist := func(uri string) string {
		return "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n" + uri + "\n#EXT-X-ENDLIST\n"
	}
	for name, text := range map[string]string{
		"concat of the password file": "ffconcat version 1.0\nfile file:///etc/passwd\n",
		"concat of a URL":             "ffconcat version 1.0\nfile " + web.URL + "/a.mp4\n",
		"playlist of a password file": playlist("file:///etc/passwd"),
		"playlist of a URL":           playlist(web.URL + "/a.ts"),
		"playlist in a film.mp4":      playlist(web.URL + "/a.ts"),
		"DASH manifest":               `<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT1S"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>` + web.URL + `/a.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>`,
		"concat":                      "ffconcat version 1.0\nfile " + secret + "\n",
		"playlist":                    "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://" + secret + "\n#EXT-X-ENDLIST\n",
		"sdp":                         "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
	} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if info, err := tools(t).Probe(t.Context(), path); err == nil {
			t.Errorf("%s was read: %+v", name, info)
		}
	}
	for _, name := range []string{"concat:" + secret, "http://127.0.0.1:1/x", "-version"} {
		if _, err := tools(t).Probe(t.Context(), name); err == nil {
			t.Errorf("%q was opened", name)
		}
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("a URL in an input was asked for %d times", n)
	}
}

func TestRunCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var begin time.Time
	err := tools(t).Run(ctx, []string{"-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25", "-f", "null", "-"}, func(Progress) {
		if begin.IsZero() {
			begin = time.Now()
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("it took %v to stop", took)
	}
}

func TestFirstFault(t *testing.T) {
	path := clip(t, "film.mp4", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=4", "-c:v", "libx264",
		"-preset", "ultrafast", "-g", "25", "-movflags", "+faststart")
	if f, err := tools(t).FirstFault(t.Context(), path, []int{0}); f != nil || err != nil {
		t.Errorf("a whole file: %+v, %v", f, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, info.Size()/2); err != nil {
		t.Fatal(err)
	}
	f, err := tools(t).FirstFault(t.Context(), path, []int{0})
	if err != nil || f == nil || f.Stream != 0 || f.At < time.Second || f.At > 3*time.Second || f.Cause == "" {
		t.Errorf("half a file: %+v, %v", f, err)
	}
}

func TestTail(t *testing.T) {
	tail := &tail{limit: 20}
	for i := range 100 {
		tail.Write([]byte("line " + strconv.Itoa(i) + "\n"))
	}
	if got := tail.String(); got != "line 98\nline 99\n" {
		t.Errorf("%q", got)
	}
}

func FuzzParseInfo(f *testing.F) {
	f.Add([]byte(`{"streams":[{"index":0,"codec_name":"h264","width":640,"r_frame_rate":"25/1","tags":{"DURATION":"00:00:05.2"}}],"format":{"duration":"5.28"}}`))
	f.Add([]byte(`{"streams":[{"side_data_list":[{"side_data_type":"Display Matrix","rotation":-90}]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		new(Stream).parseGrading(b)
		info, err := ParseInfo(b)
		if err != nil {
			return
		}
		for i := range info.Streams {
			s := &info.Streams[i]
			if w, h := s.DisplaySize(); w < 0 || h < 0 || s.Rotation%90 != 0 || s.Rotation < 0 || s.Rotation > 270 || s.Duration < 0 || s.SAR.Den <= 0 {
				t.Fatalf("%+v", s)
			}
		}
		if _, err := json.Marshal(info); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzProgress(f *testing.F) {
	f.Add("frame=1\nout_time_us=N/A\nprogress=continue\nframe=25\nout_time_us=1000000\nprogress=end\n")
	f.Fuzz(func(t *testing.T, s string) {
		var last Progress
		readProgress(strings.NewReader(s), func(p Progress) {
			if p.Time < last.Time || p.Frame < last.Frame || p.Time > maxDuration {
				t.Fatalf("%+v after %+v", p, last)
			}
			last = p
		}, nil)
		lastEnd(strings.NewReader(s))
	})
}
