package origin

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/openams/openams/packager/mp4"
	"github.com/openams/openams/probe"
)

// The source of all inputs: a black picture that flashes, with a beep at the same
// time, at 3.0 s. Where both are found again says whether they are in step.
const (
	flash = "-f lavfi -i color=black:s=160x90:r=25:d=9,drawbox=color=white:t=fill:enable='between(t,3,3.39)'"
	beep  = "-f lavfi -i sine=frequency=1000:sample_rate=48000:d=9,volume=enable='not(between(t,3,3.4))':volume=0"
	x264  = "-c:v libx264 -preset ultrafast -bf 2 -sc_threshold 0 -pix_fmt yuv420p -b:v 100k "
	gop2  = "-g 50 -keyint_min 50 "
)

// An input is an asset as somebody uploaded it.
type input struct {
	name  string
	files [][2]string // name, arguments of ffmpeg behind the two sources
	ism   string      // streams; "": there is no .ism
	at    float64     // when flash and beep are, if not at 3 s: fragmented files of ffmpeg are late by the composition offset
	audio int         // streams of it
}

func amsStream(kind, src, bitrate string, id int, name, lang string) string {
	return fmt.Sprintf(`<%[1]s src="%[2]s" systemBitrate="%[3]s"><param name="systemBitrate" value="%[3]s" valuetype="data"/><param name="trackID" value="%[4]d" valuetype="data"/><param name="trackName" value="%[5]s" valuetype="data"/><param name="systemLanguage" value="%[6]s" valuetype="data"/><param name="trackIndex" value="%[2]s_%[4]d.mpi" valuetype="data"/></%[1]s>`,
		kind, src, bitrate, id, name, lang)
}

var inputs = []input{
	{name: "ams-muxed", audio: 1, files: [][2]string{
		{"f_360.mp4", x264 + gop2 + "-b:v 300k -c:a aac -b:a 64k"},
		{"f_180.mp4", x264 + gop2 + "-s 80x44 -c:a aac -b:a 64k -movflags +faststart"},
	}, ism: amsStream("audio", "f_180.mp4", "64000", 2, "aac_eng_2_64000_2_1", "eng") + amsStream("video", "f_360.mp4", "300000", 1, "video", "und") + amsStream("video", "f_180.mp4", "100000", 1, "video", "und")},
	{name: "ams-single", audio: 2, files: [][2]string{
		{"v.mp4", "-an " + x264 + gop2},
		{"en.mp4", "-vn -c:a aac -b:a 64k"},
		{"fr.mp4", "-vn -c:a aac -b:a 96k -ar 44100 -ac 2"},
	}, ism: amsStream("video", "v.mp4", "100000", 1, "video", "und") + amsStream("audio", "en.mp4", "64000", 1, "aac_eng", "eng") + amsStream("audio", "fr.mp4", "96000", 1, "aac_fra", "fra")},
	{name: "minimal", audio: 1, files: [][2]string{
		{"one.mp4", x264 + gop2 + "-c:a aac"}, {"two.mp4", x264 + gop2 + "-s 80x44 -c:a aac"},
	}, ism: `<video src="one.mp4"/><video src="two.mp4"/><audio src="one.mp4"/>`},
	{name: "no-ism", audio: 1, files: [][2]string{
		{"in_1.mp4", x264 + gop2 + "-c:a aac"}, {"in_2.mp4", x264 + gop2 + "-s 80x44 -c:a aac"},
	}},
	{name: "fragmented", audio: 1, at: 3.05, files: [][2]string{
		{"v.cmfv", "-an " + x264 + gop2 + "-movflags empty_moov+default_base_moof+frag_keyframe -f mp4"},
		{"v2.mp4", "-an " + x264 + gop2 + "-s 80x44 -movflags empty_moov+default_base_moof+frag_keyframe"},
		{"a.cmfa", "-vn -c:a aac -movflags cmaf+delay_moov -frag_duration 2000000 -f mp4"},
	}, ism: `<video src="v.cmfv"/><video src="v2.mp4"/><audio src="a.cmfa"/>`},
	{name: "ismv", audio: 1, files: [][2]string{
		{"x.ismv", x264 + gop2 + "-c:a aac -movflags isml+frag_keyframe -f ismv"},
	}, ism: `<video src="x.ismv"/><audio src="x.ismv"/>`},
	{name: "cut-start", audio: 1, at: 1.3, files: [][2]string{
		{"whole.mp4", x264 + gop2 + "-c:a aac"},
		{"cut.mp4", "!-ss 1.7 -i {dir}/whole.mp4 -c copy"}, // edit lists into the middle of a GOP
	}, ism: `<video src="cut.mp4"/><audio src="cut.mp4"/>`},
	{name: "gops-differ", audio: 1, files: [][2]string{
		{"two.mp4", x264 + gop2 + "-an"}, {"three.mp4", x264 + "-g 75 -keyint_min 75 -s 80x44 -c:a aac -video_track_timescale 90000"},
		{"four.mp4", x264 + "-g 100 -keyint_min 100 -s 48x28 -an"},
	}, ism: `<video src="two.mp4"/><video src="four.mp4"/><audio src="three.mp4"/>`},
	{name: "5994", audio: 1, files: [][2]string{
		{"m.mp4", "-r 60000/1001 " + x264 + "-g 120 -keyint_min 120 -c:a aac"},
	}, ism: `<video src="m.mp4"/><audio src="m.mp4"/>`},
}

// make puts the files of in into a fresh asset and returns the .ism's name.
func (in input) make(s *stage) string {
	s.Helper()
	dir := s.TempDir()
	for name := range media(s) {
		s.remove(name)
	}
	for _, f := range in.files {
		args := "-v error -nostdin "
		if own, ok := strings.CutPrefix(f[1], "!"); ok {
			args += strings.ReplaceAll(own, "{dir}", dir)
		} else {
			args += flash + " " + beep + " " + f[1]
		}
		path := filepath.Join(dir, f[0])
		// The expressions hold no blanks.
		list := strings.Fields(strings.ReplaceAll(args, "'", ""))
		for i, a := range list {
			list[i] = strings.NewReplacer("between(t,3,3.39)", `between(t\,3\,3.39)`, "not(between(t,3,3.4))", `not(between(t\,3\,3.4))`).Replace(a)
		}
		if out, err := exec.Command("ffmpeg", append(list, path)...).CombinedOutput(); err != nil {
			s.Fatalf("ffmpeg %q: %v: %s", list, err, out)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			s.Fatal(err)
		}
		s.put(f[0], b)
	}
	if in.ism == "" {
		return "in.ism"
	}
	s.put("in.ism", []byte(`<?xml version="1.0"?><smil xmlns="http://www.w3.org/2001/SMIL20/Language"><head><meta name="formats" content="mp4"/></head><body><switch>`+in.ism+`</switch></body></smil>`))
	return "in.ism"
}

// TestInputs plays every kind of input in every format: by the probe, segment by
// segment; and by ffmpeg, which must find picture and sound whole and in step.
func TestInputs(t *testing.T) {
	for _, in := range inputs {
		t.Run(in.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, nil)
			name := in.make(s)
			s.inStep(name, in)
		})
	}
	// What our encoder leaves: one extent for a fragment, and an index beside.
	t.Run("ours", func(t *testing.T) {
		s := newStage(t, nil)
		in := inputs[0]
		name := in.make(s)
		for _, f := range in.files {
			_, b := s.do("GET", s.at(f[0]))
			var out bytes.Buffer
			if err := mp4.Relayout(&out, bytes.NewReader(b), int64(len(b)), 0); err != nil {
				t.Fatal(err)
			}
			s.put(f[0], out.Bytes())
			s.put(f[0]+".mpi", index(t, out.Bytes()))
		}
		s.inStep(name, in)
	})
}

// inStep plays a title in every format.
func (s *stage) inStep(name string, in input) {
	s.Helper()
	want := in.at
	if want == 0 {
		want = 3
	}
	for _, f := range append(slices.Clone(everyFormat), muxedFormat) {
		var mu sync.Mutex
		streams := map[string][]byte{}
		r := s.played(name+"/manifest("+f+")", probe.Config{Save: func(name string, b []byte) error {
			mu.Lock()
			defer mu.Unlock()
			streams[name] = append(streams[name], b...)
			return nil
		}})
		audio := 0
		var heard, seen []float64
		for _, x := range r.Streams {
			if x.Kind == "audio" {
				audio++
			}
			if r.Format == "Smooth Streaming" || x.Kind == "I-frames" {
				continue // clients make the init segment: see packager/formats
			}
			at := s.event(f, x.Kind, streams[x.Name])
			if x.Kind == "audio" {
				heard = append(heard, at)
			} else {
				seen = append(seen, at)
			}
		}
		if audio != in.audio && f != muxedFormat {
			s.Errorf("%s: %d audio streams, want %d", f, audio, in.audio)
		}
		base := 0.0
		if strings.HasPrefix(f, "format=m3u8-aapl") {
			base = 10 // where our transport streams begin
		}
		for _, at := range append(heard, seen...) {
			if math.Abs(at-base-want) > 0.045 { // a picture lasts 0.04
				s.Errorf("%s: seen at %.3f, heard at %.3f, want %.3f", f, seen, heard, want+base)
				break
			}
		}
	}
}

var (
	blackEnd   = regexp.MustCompile(`black_end:([0-9.]+)`)
	silenceEnd = regexp.MustCompile(`silence_end: ([0-9.]+)`)
)

// event has ffmpeg decode a stream and returns when the flash or the beep is.
func (s *stage) event(format, kind string, b []byte) float64 {
	s.Helper()
	path := filepath.Join(s.TempDir(), "x")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		s.Fatal(err)
	}
	filter, found := []string{"-vf", "blackdetect=d=0.5:pix_th=0.2"}, blackEnd
	if kind == "audio" {
		filter, found = []string{"-af", "silencedetect=n=-40dB:d=0.3"}, silenceEnd
	}
	args := append([]string{"-nostdin", "-hide_banner", "-nostats", "-copyts", "-xerror", "-i", path}, filter...)
	out, err := exec.Command("ffmpeg", append(args, "-f", "null", "-")...).CombinedOutput()
	m := found.FindSubmatch(out)
	if err != nil || m == nil {
		s.Errorf("%s %s: %v: %.1500s", format, kind, err, out)
		return -1
	}
	at, _ := strconv.ParseFloat(string(m[1]), 64)
	return at
}

// TestHour plays an hour: times stay exact to the end, and a segment at the end
// costs no more than one at the start.
func TestHour(t *testing.T) {
	s := newStage(t, nil)
	path := filepath.Join(t.TempDir(), "hour.mp4")
	args := "-v error -f lavfi -i color=s=16x16:r=2 -f lavfi -i anullsrc=r=8000:cl=mono -t 3700 -c:v libx264 -preset ultrafast -bf 2 -g 4 -keyint_min 4 -sc_threshold 0 -c:a aac -b:a 8k"
	if out, err := exec.Command("ffmpeg", append(strings.Fields(args), path)...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v: %s", err, out)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s.put("hour.mp4", b)
	s.put("hour.ism", []byte(`<smil><body><switch><video src="hour.mp4"/><audio src="hour.mp4"/></switch></body></smil>`))
	for _, f := range []string{"format=m3u8-aapl", "format=mpd-time-csf"} {
		for _, x := range s.played("hour.ism/manifest("+f+")", probe.Config{}).Streams {
			if n := x.Segments; n < 600 || math.Abs(x.End-x.Start-3700) > 1 && x.Kind != "I-frames" {
				t.Errorf("%s: %+v", f, *x)
			}
		}
	}
}
