package packager_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/fmp4"
	"github.com/openams/openams/packager/ism"
	"github.com/openams/openams/packager/mp4"
)

// load reads the indexes that the golden tests of package formats keep:
// "ladder/v1.mp4" becomes "v1.mp4".
func load(t *testing.T, names ...string) map[string]*mp4.Index {
	t.Helper()
	files := map[string]*mp4.Index{}
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join("formats", "testdata", name+".index"))
		if err != nil {
			t.Fatal(err)
		}
		if files[filepath.Base(name)], err = mp4.ParseIndex(b); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func build(t *testing.T, streams string, files map[string]*mp4.Index) (*packager.Presentation, error) {
	t.Helper()
	m, err := ism.Parse([]byte("<smil><body><switch>" + streams + "</switch></body></smil>"))
	if err != nil {
		t.Fatal(err)
	}
	return packager.New(m, files)
}

func TestNew(t *testing.T) {
	files := load(t, "ladder/v1.mp4", "ladder/v2.mp4", "ladder/a.mp4", "multi-audio/a1.mp4", "multi-audio/a2.mp4", "multi-audio/a3.mp4")
	files["Two Words.mp4"] = files["v1.mp4"]
	for _, tt := range []struct{ name, ism, want string }{
		{"the .ism says the bitrate", `<video src="v1.mp4" systemBitrate="7"/><video src="v2.mp4" systemBitrate="3"/>`, "video:3@v2.mp4,7@v1.mp4"},
		{"the file says it", `<audio src="a.mp4"/>`, "audio:64244@a.mp4"},
		{"equal bitrates", `<video src="v1.mp4" systemBitrate="7"/><video src="v2.mp4" systemBitrate="7"/>`, "video:7@v1.mp4,8@v2.mp4"},
		{"any case, escapes", `<video src="V1.MP4" systemBitrate="7"/><video src="two%20words.mp4" systemBitrate="8"/><video src="./v2.mp4" systemBitrate="9"/>`, ""},
		{"percent-encoded", `<video src="Two%20Words.mp4" systemBitrate="8"/>`, "video:8@Two Words.mp4"},
		{"case of a file", `<video src="V1.MP4" systemBitrate="7"/>`, "video:7@v1.mp4"},
		{"video first", `<audio src="a.mp4" systemBitrate="1"/><video src="v1.mp4" systemBitrate="7"/>`, "video:7@v1.mp4 audio:1@a.mp4"},
		{"track names", `<audio src="a1.mp4" systemBitrate="1"><param name="trackName" value="en"/></audio><audio src="a2.mp4" systemBitrate="2"><param name="trackName" value="a b,(c)=$é"/></audio>`, "en:1@a1.mp4 a_b__c____:2@a2.mp4"},
		{"names made", `<audio src="a1.mp4" systemBitrate="1"/><audio src="a2.mp4" systemBitrate="2" systemLanguage="x"/><audio src="a3.mp4" systemBitrate="3"/>`,
			"aac_eng_1_1_1_1:1@a1.mp4 aac_x_1_2_1_1:2@a2.mp4 ac3_deu_6_3_1_1:3@a3.mp4"},
		{"one name, two languages", `<audio src="a1.mp4" systemBitrate="1"><param name="trackName" value="x"/></audio><audio src="a2.mp4" systemBitrate="2"><param name="trackName" value="X"/></audio>`, "x:1@a1.mp4 X_2:2@a2.mp4"},
		{"two bitrates of a language", `<audio src="a1.mp4" systemBitrate="9"><param name="trackName" value="x"/></audio><audio src="a.mp4" systemLanguage="eng" systemBitrate="2"><param name="trackName" value="x"/></audio>`, "x:2@a.mp4,9@a1.mp4"},
		{"a track id that is gone", `<video src="v1.mp4" systemBitrate="7"><param name="trackID" value="99"/></video>`, "video:7@v1.mp4"},
		{"a stream said twice", `<audio src="a.mp4" systemBitrate="7"/><audio src="a.mp4" systemBitrate="7"/>`, "audio:7@a.mp4"},
		{"text is kept apart", `<textstream src="en.vtt"/><audio src="a.mp4" systemBitrate="7"/>`, "audio:7@a.mp4"},
	} {
		p, err := build(t, tt.ism, files)
		if tt.want == "" {
			if packager.CodeOf(err) != packager.StorageResourceNotFound {
				t.Errorf("%s: error %v", tt.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got := describe(p); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

func describe(p *packager.Presentation) string {
	var tracks []string
	for _, t := range p.Tracks {
		var renditions []string
		for _, r := range t.Renditions {
			renditions = append(renditions, strconv.FormatInt(r.Bitrate, 10)+"@"+r.File)
		}
		tracks = append(tracks, t.Name+":"+strings.Join(renditions, ","))
	}
	return strings.Join(tracks, " ")
}

func TestNewRefuses(t *testing.T) {
	files := load(t, "ladder/v1.mp4", "ladder/a.mp4", "multi-audio/v.mp4")
	files["slow.mp4"] = encode(t, "-f lavfi -i color=s=64x36:r=2:d=30 -c:v libx264 -preset ultrafast -g 100 -keyint_min 100")
	files["five.mp4"] = encode(t, "-f lavfi -i color=s=64x36:r=2:d=30 -c:v libx264 -preset ultrafast -g 10 -keyint_min 10")
	files["seven.mp4"] = encode(t, "-f lavfi -i color=s=64x36:r=2:d=30 -c:v libx264 -preset ultrafast -g 14 -keyint_min 14")
	files["mpeg4.mp4"] = encode(t, "-f lavfi -i color=s=64x36:r=2:d=2 -c:v mpeg4")
	files["mp3.mp4"] = encode(t, "-f lavfi -i sine=d=1 -c:a libmp3lame")
	many := strings.Repeat(`<video src="v1.mp4"><param name="trackID" value="1"/></video>`, packager.MaxRenditions+1)
	for _, tt := range []struct {
		name, ism string
		code      packager.Code
		says      string
	}{
		{"file not there", `<video src="gone.mp4"/>`, packager.StorageResourceNotFound, `"gone.mp4"`},
		{"no video in it", `<video src="a.mp4"/>`, packager.MetadataNotFound, "a.mp4: the server manifest says it has video, the file has audio"},
		{"no audio in it", `<audio src="v1.mp4"/>`, packager.MetadataNotFound, "v1.mp4"},
		{"text only", `<textstream src="en.vtt"/>`, packager.MetadataNotFound, "no video and no audio"},
		{"not aligned", `<video src="v1.mp4"/><video src="v.mp4"/>`, packager.KeyFrameIntervalTooLarge, "v1.mp4 and v.mp4 are not aligned"},
		{"no key frame in common", `<video src="five.mp4"/><video src="seven.mp4"/>`, packager.KeyFrameIntervalTooLarge, "five.mp4 and seven.mp4 are not aligned: fragment 2 starts at 10.000 s in one and at 7.000 s in the other"},
		{"long GOP", `<video src="slow.mp4"/>`, packager.KeyFrameIntervalTooLarge, "slow.mp4: no key frame for 30.0 seconds after second 0.0"},
		{"video codec", `<video src="mpeg4.mp4"/>`, packager.VideoEncodingNotSupported, `"mp4v"`},
		{"audio codec", `<audio src="mp3.mp4"/>`, packager.AudioEncodingNotSupported, "mp3.mp4"},
		{"too many", many, packager.FormatNotSupported, "65 quality levels"},
	} {
		_, err := build(t, tt.ism, files)
		if packager.CodeOf(err) != tt.code || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: error %q (%s), want %s and %q", tt.name, err, packager.CodeOf(err), tt.code, tt.says)
		}
	}
}

// TestMisaligned plays renditions whose GOPs have other lengths: they are cut
// where all have a key frame.
func TestMisaligned(t *testing.T) {
	const source = "-f lavfi -i color=s=64x36:r=10:d=26 -c:v libx264 -preset ultrafast -bf 2 "
	p, err := build(t, `<video src="two.mp4"/><video src="four.mp4"/><video src="all.mp4"/>`, map[string]*mp4.Index{
		"two.mp4":  encode(t, source+"-g 20 -keyint_min 20"),
		"four.mp4": encode(t, source+"-g 40 -keyint_min 40 -video_track_timescale 90000"),
		"all.mp4":  encode(t, "-f lavfi -i color=s=64x36:r=10:d=26 -c:v libx264 -preset ultrafast -g 1"),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range p.Tracks[0].Renditions {
		var starts []uint64
		samples := 0
		for k, f := range r.Fragments {
			starts = append(starts, f.Start/packager.Timescale)
			samples += f.N
			if !r.Media.Sample(f.First).Sync {
				t.Errorf("%s: fragment %d begins with no key frame", r.File, k)
			}
		}
		if d := cmp.Diff([]uint64{0, 8, 16, 24}, starts); d != "" || samples != 260 {
			t.Errorf("%s: %d samples, fragments %s", r.File, samples, d)
		}
	}
}

func encode(t *testing.T, args string) *mp4.Index {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.mp4")
	cmd := exec.Command("ffmpeg", append(append([]string{"-v", "error"}, strings.Fields(args)...), path)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v: %s", err, out)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	x, err := mp4.BuildIndex(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestMissingManifest(t *testing.T) {
	for _, tt := range []struct {
		files []string
		says  string
	}{
		{[]string{"a.MP4", "b.mp4", "x.jpg"}, "2 MP4 file(s) that could be streamed: a.MP4, b.mp4."},
		{[]string{"other.ism", "b.mp4"}, "it has other.ism"},
		{[]string{"x.jpg"}, "no MP4 file"},
		{[]string{"1.mp4", "2.mp4", "3.mp4", "4.mp4", "5.mp4", "6.mp4"}, "5.mp4 and 1 more"},
	} {
		err := packager.MissingManifest("film.ism", tt.files)
		if err.Code != packager.ResourceNotFound || !strings.Contains(err.Msg, tt.says) || !strings.Contains(err.Msg, `"film.ism"`) {
			t.Errorf("%v: %s %s", tt.files, err.Code, err.Msg)
		}
	}
}

func TestLookups(t *testing.T) {
	p, err := build(t, `<video src="v1.mp4" systemBitrate="7"/><audio src="a.mp4" systemBitrate="3"/>`, load(t, "ladder/v1.mp4", "ladder/a.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		track   string
		bitrate int64
		code    packager.Code
	}{
		{"video", 7, ""}, {"VIDEO", 7, ""}, {"audio", 3, ""},
		{"video", 8, packager.MediaEntryNotFound}, {"text", 7, packager.TrackNotFound},
	} {
		if _, err := p.Rendition(tt.track, tt.bitrate); packager.CodeOf(err) != tt.code {
			t.Errorf("Rendition(%q, %d): %v", tt.track, tt.bitrate, err)
		}
	}
	r, err := p.Rendition("audio", 3)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		time uint64
		want int
	}{
		{0, 0}, {1, 0}, {2, -1}, {60159998, -1}, {60159999, 1}, {60160000, 1}, {60160001, 1}, {60160002, -1},
		{120320000, 2}, {1 << 63, -1}, {1<<64 - 1, -1},
	} {
		k, err := r.FragmentAt(tt.time)
		if err != nil {
			k = -1
			if packager.CodeOf(err) != packager.FragmentTimestampNotFound {
				t.Errorf("FragmentAt(%d): %v", tt.time, err)
			}
		}
		if k != tt.want {
			t.Errorf("FragmentAt(%d) = %d, want %d", tt.time, k, tt.want)
		}
	}
}

func TestTicks(t *testing.T) {
	for _, tt := range []struct {
		t     int64
		scale uint32
		want  uint64
	}{
		{0, 1, 0}, {-5, 1, 0}, {1, 3, 3333333}, {1 << 50, 90000, 1 << 50 * 1000 / 9}, {1 << 62, 1, 1<<64 - 1},
	} {
		if got := packager.Ticks(tt.t, tt.scale); got != tt.want {
			t.Errorf("Ticks(%d, %d) = %d, want %d", tt.t, tt.scale, got, tt.want)
		}
	}
}

// A file that changed or lost its end must not give a segment that looks whole.
func TestWriteToTruncated(t *testing.T) {
	p, err := build(t, `<video src="v1.mp4" systemBitrate="7"/>`, load(t, "ladder/v1.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	r := p.Tracks[0].Renditions[0]
	cut := func(string) (io.ReaderAt, error) { return bytes.NewReader(make([]byte, 1000)), nil }
	if n, err := mp4Segment(t, r, fmp4.CMAF).WriteTo(io.Discard, cut); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("fMP4: wrote %d, %v", n, err)
	}
	s, err := r.TSSegment(1, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.WriteTo(io.Discard, cut); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("TS: wrote %d, %v", n, err)
	}
	zeros := func(string) (io.ReaderAt, error) { return bytes.NewReader(bytes.Repeat([]byte{0xff}, 1<<20)), nil }
	if n, err := s.WriteTo(io.Discard, zeros); n != 0 || packager.CodeOf(err) != packager.InvalidNALUSize || !strings.Contains(err.Error(), "v1.mp4: at second 6.000") {
		t.Errorf("TS of noise: wrote %d, %v", n, err)
	}
	gone := errors.New("gone")
	for _, s := range []*packager.Segment{s, mp4Segment(t, r, fmp4.CMAF)} {
		if _, err := s.WriteTo(io.Discard, func(string) (io.ReaderAt, error) { return nil, gone }); err != gone {
			t.Errorf("error %v of open is lost", err)
		}
	}
}

func mp4Segment(t *testing.T, r *packager.Rendition, style fmp4.Style) *packager.Segment {
	t.Helper()
	s, err := r.MP4Segment(1, style)
	if err != nil {
		t.Error(err)
		s = new(packager.Segment)
	}
	return s
}

// A segment may not hang on what else the asset holds.
func TestSegmentAlone(t *testing.T) {
	files := load(t, "ladder/v1.mp4", "ladder/v2.mp4", "ladder/a.mp4")
	all, err := build(t, `<video src="v1.mp4" systemBitrate="7"/><video src="v2.mp4" systemBitrate="3"/><audio src="a.mp4"/>`, files)
	if err != nil {
		t.Fatal(err)
	}
	alone, err := build(t, `<video src="v1.mp4" systemBitrate="7"/>`, files)
	if err != nil {
		t.Fatal(err)
	}
	for _, style := range []fmp4.Style{fmp4.CMAF, fmp4.CSF, fmp4.Smooth} {
		var got [2]*packager.Segment
		for i, p := range []*packager.Presentation{all, alone} {
			r, err := p.Rendition("video", 7)
			if err != nil {
				t.Fatal(err)
			}
			got[i] = mp4Segment(t, r, style)
		}
		if d := cmp.Diff(got[0], got[1]); d != "" {
			t.Errorf("style %d:\n%s", style, d)
		}
	}
}

// Requests share a presentation: what is made on first use must be made once.
func TestConcurrent(t *testing.T) {
	p, err := build(t, `<video src="v1.mp4" systemBitrate="7"/>`, load(t, "ladder/v1.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	r := p.Tracks[0].Renditions[0]
	var sizes [8]int64
	var wg sync.WaitGroup
	for i := range sizes {
		wg.Go(func() {
			s, err := r.TSSegment(0, 3, nil)
			if err != nil {
				t.Error(err)
				return
			}
			whole, _ := r.MP4Size(1, false)
			sizes[i] = s.Size + whole + mp4Segment(t, r, fmp4.Smooth).Size
		})
	}
	wg.Wait()
	for _, size := range sizes {
		if size != sizes[0] || size == 0 {
			t.Errorf("sizes differ: %v", sizes)
		}
	}
}
