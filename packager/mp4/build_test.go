package mp4_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/openams/openams/packager/mp4"
)

// TestBuildIndex compares every sample of every track with the packets that
// ffprobe finds in the same file, with and without its reading of edit lists.
func TestBuildIndex(t *testing.T) {
	var files []string
	for _, name := range slices.Sorted(maps.Keys(clips)) {
		files = append(files, clip(t, name))
	}
	for _, path := range append(files, foreign(t)...) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			x, _ := open(t, path)
			blob, err := x.AppendBinary(nil)
			if err != nil {
				t.Fatal(err)
			}
			if x, err = mp4.ParseIndex(blob); err != nil {
				t.Fatal(err)
			}
			streams, packets := probe(t, path, "-ignore_editlist", "1")
			_, edited := probe(t, path)
			for i, s := range streams {
				tr := x.Track(uint32(number(t, s.ID)))
				if tr == nil {
					t.Errorf("no track %s", s.ID)
					continue
				}
				compareTrack(t, tr, s)
				if tr.NumSamples() == 0 && tr.SampleEntry != nil && s.Tag == "sowt" {
					continue
				}
				compareSamples(t, tr, packets[i], edited[i])
			}
		})
	}
}

func compareTrack(t *testing.T, tr *mp4.Track, s stream) {
	t.Helper()
	type desc struct {
		kind, codec, timeBase, lang, sar string
		width, height, channels          int
		rate                             string
		rotation                         int
	}
	got := desc{tr.Kind.String(), tr.Codec, fmt.Sprintf("1/%d", tr.Timescale), tr.Language, "", 0, 0, int(tr.Channels), "", int(tr.Rotation)}
	want := desc{s.Type, s.Tag, s.TimeBase, s.Tags["language"], "", 0, 0, s.Channels, s.SampleRate, 0}
	switch tr.Kind {
	case mp4.Video:
		got.width, got.height = int(tr.Width), int(tr.Height)
		want.width, want.height = s.Width, s.Height
		got.sar, want.sar = fmt.Sprintf("%d:%d", tr.SARNum, tr.SARDen), s.SAR
		if s.SAR == "" || s.SAR == "N/A" {
			want.sar = "1:1"
		}
		for _, d := range s.SideData {
			if d.Rotation != 0 {
				want.rotation = (360 - d.Rotation) % 360
			}
		}
		if len(tr.Config) == 0 && configured[tr.Codec] {
			t.Errorf("track %d: no %s configuration", tr.ID, tr.Codec)
		}
	case mp4.Audio:
		got.rate = fmt.Sprint(tr.SampleRate)
		if len(tr.Config) == 0 && configured[tr.Codec] {
			t.Errorf("track %d: no %s configuration", tr.ID, tr.Codec)
		}
	case mp4.Text:
		want.kind = "text"
	case mp4.Other:
		want.kind = "other"
	}
	if want.lang == "" {
		want.lang = "und"
	}
	if got != want {
		t.Errorf("track %d:\n got %+v\nwant %+v", tr.ID, got, want)
	}
	if string(tr.SampleEntry[4:8]) != tr.Codec {
		t.Errorf("track %d: sample entry starts with %q", tr.ID, tr.SampleEntry[:8])
	}
}

var configured = map[string]bool{"avc1": true, "hvc1": true, "hev1": true, "av01": true, "mp4a": true, "ac-3": true, "ec-3": true}

func compareSamples(t *testing.T, tr *mp4.Track, packets, edited []packet) {
	t.Helper()
	if len(packets) != tr.NumSamples() {
		t.Errorf("track %d: %d samples, ffprobe has %d packets", tr.ID, tr.NumSamples(), len(packets))
		return
	}
	shown := make(map[string]packet, len(edited))
	for _, p := range edited {
		shown[p.Pos] = p
	}
	samples := tr.AppendSamples(nil, 0, tr.NumSamples())
	for i, p := range packets {
		s := samples[i]
		if s != tr.Sample(i) {
			t.Fatalf("track %d: sample %d is %+v alone and %+v in a row", tr.ID, i, tr.Sample(i), s)
		}
		key := p.Flags[0] == 'K'
		if s.Offset != number(t, p.Pos) || int64(s.Size) != number(t, p.Size) || int64(s.DTS) != p.DTS || s.Sync != key ||
			int64(s.DTS)+int64(s.CTO) != p.PTS {
			t.Fatalf("track %d: sample %d is %+v, ffprobe has %+v", tr.ID, i, s, p)
		}
		if p.Duration != 0 && i+1 < len(packets) && int64(s.Dur) != packets[i+1].DTS-p.DTS {
			t.Fatalf("track %d: sample %d lasts %d, ffprobe has %+v", tr.ID, i, s.Dur, p)
		}
		e, ok := shown[p.Pos]
		if pts := int64(s.DTS) + int64(s.CTO) - tr.EditStart; ok && pts != e.PTS {
			t.Fatalf("track %d: sample %d plays at %d, ffprobe has %+v", tr.ID, i, pts, e)
		}
	}
}

// TestBuildIndexRefuses damages good files and reads files that are none.
func TestBuildIndexRefuses(t *testing.T) {
	moovLast := readAll(t, clip(t, "muxed.mp4"))
	moovFirst := readAll(t, relayout(t, clip(t, "muxed.mp4"), 0))
	fragmented := readAll(t, clip(t, "cmaf.mp4"))
	replace := func(b []byte, old, new string) []byte {
		if !bytes.Contains(b, []byte(old)) {
			t.Fatalf("no %q to replace", old)
		}
		return bytes.Replace(b, []byte(old), []byte(new), 1)
	}
	poke := func(b []byte, typ string, at int, v ...byte) []byte {
		b = bytes.Clone(b)
		i := bytes.Index(b, []byte(typ))
		if i < 0 {
			t.Fatalf("no %q", typ)
		}
		copy(b[i+at:], v)
		return b
	}
	big := []byte{0xff, 0xff, 0xff, 0xf0}
	for _, tt := range []struct {
		name  string
		data  []byte
		fault mp4.Fault
		says  string
	}{
		{"empty", nil, mp4.NotMP4, "empty"},
		{"text", []byte("This is not a film, but it is long enough for a header."), mp4.NotMP4, "does not start"},
		{"one byte", []byte{7}, mp4.NotMP4, "does not start"},
		{"cut before moov", moovLast[:len(moovLast)/2], mp4.Truncated, "not finished"},
		{"cut in moov", moovLast[:len(moovLast)-5], mp4.Truncated, "the file ends after"},
		{"cut in media", moovFirst[:len(moovFirst)*4/5], mp4.Truncated, "video, at 10."},
		{"last byte missing", moovFirst[:len(moovFirst)-1], mp4.Truncated, "at 14."},
		{"cut in a fragment", fragmented[:len(fragmented)*2/3], mp4.Truncated, "at "},
		{"no moov", replace(moovFirst, "moov", "free"), mp4.Truncated, "no moov box"},
		{"no tracks", replace(replace(moovFirst, "trak", "free"), "trak", "free"), mp4.Malformed, "no tracks"},
		{"no stsz", replace(moovFirst, "stsz", "free"), mp4.Malformed, "neither"},
		{"no stco", replace(moovFirst, "stco", "free"), mp4.Malformed, "neither"},
		{"no stts", replace(moovFirst, "stts", "free"), mp4.Malformed, "no stts"},
		{"no stsd", replace(moovFirst, "stsd", "free"), mp4.Malformed, "no stsd"},
		{"a compressed moov", replace(moovFirst, "mvhd", "cmov"), mp4.Unsupported, "compressed"},
		{"stsz claims 4 billion", poke(moovFirst, "stsz", 12, big...), mp4.Malformed, "the table has"},
		{"stsz claims equal samples", poke(moovFirst, "stsz", 8, 0, 1, 0, 0), mp4.Truncated, "lies at byte"},
		{"stco claims 4 billion", poke(moovFirst, "stco", 8, big...), mp4.Malformed, "the table has"},
		{"stts is too short", poke(moovFirst, "stts", 15, 1), mp4.Malformed, "durations"},
		{"a chunk is elsewhere", poke(moovFirst, "stco", 12, big...), mp4.Truncated, "lies at byte"},
		{"the timescale is 0", poke(moovFirst, "mdhd", 16, 0, 0, 0, 0), mp4.Malformed, "timescale"},
		{"a box is too small", poke(moovFirst, "trak", -4, 0, 0, 0, 4), mp4.Malformed, "4 bytes"},
		{"a box is too large", poke(moovFirst, "trak", -4, big...), mp4.Malformed, "around it"},
		{"the edit list plays faster", poke(moovFirst, "elst", 16, 0, 0, 0, 1, 0, 2), mp4.Unsupported, "another rate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := mp4.BuildIndex(bytes.NewReader(tt.data), int64(len(tt.data)))
			e, ok := errors.AsType[*mp4.Error](err)
			if !ok || e.Fault != tt.fault || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want %v: … %s …", err, tt.fault, tt.says)
			}
		})
	}
	broken := errors.New("the disk is on fire")
	if _, err := mp4.BuildIndex(brokenDisk{broken}, 100); !errors.Is(err, broken) {
		t.Errorf("a reader that fails: %v", err)
	}
}

type brokenDisk struct{ err error }

func (d brokenDisk) ReadAt([]byte, int64) (int, error) { return 0, d.err }

// TestBuildIndexDamaged reads the damaged files of OPENAMS_TEST_MEDIA.
func TestBuildIndexDamaged(t *testing.T) {
	media := os.Getenv("OPENAMS_TEST_MEDIA")
	if media == "" {
		t.Skip("OPENAMS_TEST_MEDIA is not set")
	}
	for name, want := range map[string]mp4.Fault{
		"audio-wav-renamed.mp4": mp4.NotMP4, "random-bytes.mp4": mp4.NotMP4, "text-renamed.mp4": mp4.NotMP4, "zero-bytes.mp4": mp4.NotMP4,
		"moov-missing.mp4": mp4.Truncated, "truncated-faststart.mp4": mp4.Truncated,
		"bitrot-mdat.mp4": 0, "one-frame-16x16.mp4": 0, // an index does not read the media
	} {
		b := readAll(t, filepath.Join(media, "malformed", name))
		_, err := mp4.BuildIndex(bytes.NewReader(b), int64(len(b)))
		e, _ := errors.AsType[*mp4.Error](err)
		if want == 0 && err != nil || want != 0 && (e == nil || e.Fault != want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
		t.Logf("%s: %v", name, err)
	}
}

// TestDelays: what the common clock says when tracks start apart.
func TestDelays(t *testing.T) {
	x, _ := open(t, clip(t, "late.mp4"))
	video, audio := x.Tracks[0], x.Tracks[1]
	if f := video.Fragments(0)[0]; f.Time != 0 || video.Lead() != 0 {
		t.Errorf("video starts at %d with lead %d", f.Time, video.Lead())
	}
	start := audio.Fragments(0)[0].Time - audio.Lead()
	if s := float64(start) / float64(audio.Timescale); s < 0.4 || s > 0.5 { // 0.5 s less the priming
		t.Errorf("audio starts at %.3f s", s)
	}
}

// TestSARInSPS: a file whose sample entry has no pasp box tells its sample
// aspect ratio in the SPS alone.
func TestSARInSPS(t *testing.T) {
	b := bytes.Replace(readAll(t, clip(t, "anamorph.mp4")), []byte("pasp"), []byte("free"), 1)
	x, err := mp4.BuildIndex(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if tr := x.Tracks[0]; tr.SARNum != 16 || tr.SARDen != 11 {
		t.Errorf("%d:%d, want 16:11", tr.SARNum, tr.SARDen)
	}
}
