package mp4_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
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
