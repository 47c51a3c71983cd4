package mp4

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// frag is the part of a Fragment that a table row can tell.
type frag struct {
	n         int
	time, dur int64
}

func frags(list []Fragment) (out []frag) {
	for _, f := range list {
		out = append(out, frag{f.N, f.Time, f.Dur})
	}
	return out
}

// synthIndex builds the index of a synthetic file.
func synthIndex(t testing.TB, tracks ...synthTrack) *Index {
	t.Helper()
	head, size := synth(1<<20, tracks...)
	x, err := BuildIndex(sparse{head, size}, size)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestFragments(t *testing.T) {
	gop := func(n, every int) (s []uint32) {
		for i := 1; i <= n; i += every {
			s = append(s, uint32(i))
		}
		return s
	}
	elst := func(v ...uint32) []byte { return join(u32s(0, uint32(len(v)/3)), u32s(v...)) }
	for _, tt := range []struct {
		name   string
		track  synthTrack
		target time.Duration
		want   []frag
		decode int64 // of the first fragment
		lead   int64
	}{
		{"three GOPs of 2 s", synthTrack{timescale: 25, dur: 1, sizes: repeat(uint32(9), 320), syncs: gop(320, 50)}, 0,
			[]frag{{150, 0, 150}, {150, 150, 150}, {20, 300, 20}}, 0, 0},
		{"a GOP longer than the target is a fragment", synthTrack{timescale: 25, dur: 1, sizes: repeat(uint32(9), 500), syncs: []uint32{1, 201, 251}}, 0,
			[]frag{{200, 0, 200}, {300, 200, 300}}, 0, 0},
		{"one sync sample", synthTrack{timescale: 25, dur: 1, sizes: repeat(uint32(9), 500), syncs: []uint32{1}}, 0,
			[]frag{{500, 0, 500}}, 0, 0},
		{"no sync sample", synthTrack{timescale: 25, dur: 1, sizes: repeat(uint32(9), 500), syncs: []uint32{}}, 0,
			[]frag{{500, 0, 500}}, 0, 0},
		{"a timescale that cannot say 2 s", synthTrack{timescale: 24001, dur: 1001, sizes: repeat(uint32(9), 300), syncs: gop(300, 48)}, 0,
			[]frag{{144, 0, 144144}, {144, 144144, 144144}, {12, 288288, 12012}}, 0, 0},
		{"half a millisecond early is on time", synthTrack{timescale: 90000, dur: 3600, sizes: repeat(uint32(9), 320), syncs: gop(320, 50)}, 6*time.Second + 500*time.Microsecond,
			[]frag{{150, 0, 540000}, {150, 540000, 540000}, {20, 1080000, 72000}}, 0, 0},
		{"as AMS cut AAC", synthTrack{timescale: 48000, dur: 1024, sizes: repeat(uint32(9), 600)}, 0,
			[]frag{{282, 0, 288768}, {282, 288768, 288768}, {36, 577536, 36864}}, 0, 0},
		{"AAC priming", synthTrack{timescale: 48000, dur: 1024, sizes: repeat(uint32(9), 300), edits: elst(6000, 1024, 1<<16)}, 0,
			[]frag{{282, 0, 288768}, {18, 288768, 288000 + 1024 - 288768}}, 0, 1024},
		{"B-frames", synthTrack{timescale: 25, dur: 1, sizes: repeat(uint32(9), 200), ctos: slices.Concat(repeat(int32(2), 200)), syncs: gop(200, 50), edits: elst(8000, 2, 1<<16)}, 0,
			[]frag{{150, 0, 150}, {50, 150, 50}}, 0, 0},
		{"B-frames without an edit list start late", synthTrack{timescale: 25, dur: 1, sizes: repeat(uint32(9), 100), ctos: repeat(int32(2), 100), syncs: gop(100, 50)}, 0,
			[]frag{{100, 2, 100}}, 2, 0},
		{"an empty edit starts the track late", synthTrack{timescale: 25, dur: 1, sizes: repeat(uint32(9), 100), syncs: gop(100, 50), edits: elst(2000, math.MaxUint32, 1<<16, 4000, 0, 1<<16)}, time.Second,
			[]frag{{50, 50, 50}, {50, 100, 50}}, 50, 0},
		{"the edit list cuts the end", synthTrack{timescale: 25, dur: 1, sizes: repeat(uint32(9), 200), syncs: gop(200, 50), edits: elst(7000, 0, 1<<16)}, 0,
			[]frag{{150, 0, 150}, {50, 150, 25}}, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.track.handler, tt.track.entry, tt.track.perChunk = "vide", videoSynth(), 7
			tr := synthIndex(t, tt.track).Tracks[0]
			list := tr.Fragments(tt.target)
			if got := frags(list); !slices.Equal(got, tt.want) {
				t.Errorf("got  %v\nwant %v", got, tt.want)
			}
			if list[0].Decode != tt.decode || tr.Lead() != tt.lead {
				t.Errorf("decode %d, lead %d; want %d, %d", list[0].Decode, tr.Lead(), tt.decode, tt.lead)
			}
			checkFragments(t, tr, list)
		})
	}
}

// checkFragments holds what is true of any track.
func checkFragments(t testing.TB, tr *Track, list []Fragment) {
	t.Helper()
	next, shift := 0, tr.Lead()-tr.EditStart
	for i, f := range list {
		s := tr.Sample(f.First)
		if f.First != next || f.N < 1 || f.Dur < 0 || f.Bytes != tr.Bytes(f.First, f.N) ||
			f.Time != int64(s.DTS)+int64(s.CTO)+shift || f.Decode != int64(s.DTS)+int64(tr.FirstCTO)+shift {
			t.Fatalf("fragment %d is %+v, its first sample %+v, the one before ends at %d", i, f, s, next)
		}
		var size int64
		for _, s := range tr.AppendSamples(nil, f.First, f.N) {
			size += int64(s.Size)
		}
		if size != f.Bytes {
			t.Fatalf("fragment %d has %d bytes, its samples %d", i, f.Bytes, size)
		}
		if i+1 < len(list) && f.Time+f.Dur != list[i+1].Time {
			t.Fatalf("fragment %d ends at %d, the next starts at %d", i, f.Time+f.Dur, list[i+1].Time)
		}
		at := f.First
		for _, g := range tr.GOPs(f) {
			if g.First != at || g.N < 1 || (g.First > f.First && !tr.Sample(g.First).Sync) {
				t.Fatalf("fragment %d: GOP %+v does not start at sample %d", i, g, at)
			}
			at += g.N
		}
		if at != f.First+f.N {
			t.Fatalf("fragment %d: its GOPs end at sample %d, not %d", i, at, f.First+f.N)
		}
		next += f.N
	}
	if next != tr.NumSamples() {
		t.Fatalf("%d of %d samples are in fragments", next, tr.NumSamples())
	}
}

func TestGOPs(t *testing.T) {
	tr := synthIndex(t, synthTrack{handler: "vide", entry: videoSynth(), timescale: 25, dur: 1, sizes: repeat(uint32(9), 200), syncs: []uint32{1, 51, 76, 151}, perChunk: 200}).Tracks[0]
	list := tr.Fragments(0)
	if got, want := frags(tr.GOPs(list[0])), []frag{{50, 0, 50}, {25, 50, 25}, {75, 75, 75}}; !slices.Equal(got, want) {
		t.Errorf("GOPs of the first fragment: %v, want %v", got, want)
	}
	if got, want := frags(tr.GOPs(Fragment{First: 0, N: 200})), []frag{{50, 0, 50}, {25, 50, 25}, {75, 75, 75}, {50, 150, 50}}; !slices.Equal(got, want) {
		t.Errorf("all GOPs: %v, want %v", got, want)
	}
}

func TestSampleAt(t *testing.T) {
	x := synthIndex(t,
		synthTrack{handler: "soun", entry: audioSynth(), timescale: 48000, dur: 1024, sizes: repeat(uint32(9), 1000), perChunk: 3, edits: join(u32s(0, 1, 0, 1024, 1<<16))})
	tr := x.Tracks[0]
	for p, want := range map[int64]int{-5000: 0, -1024: 0, -1: 0, 0: 1, 1023: 1, 1024: 2, 64 * 1024: 65, 63*1024 - 1: 63, 62*1024 + 1: 63, 1 << 40: 999} {
		if got := tr.SampleAt(p); got != want {
			t.Errorf("SampleAt(%d) = %d, want %d", p, got, want)
		}
	}
}

func TestMisaligned(t *testing.T) {
	track := func(timescale, dur uint32, n int, syncs ...uint32) *Track {
		return synthIndex(t, synthTrack{handler: "vide", entry: videoSynth(), timescale: timescale, dur: dur, sizes: repeat(uint32(9), n), syncs: syncs, perChunk: 50}).Tracks[0]
	}
	a := track(25, 1, 400, 1, 151, 301)
	for _, tt := range []struct {
		b    *Track
		want string // "" for aligned
	}{
		{track(12800, 512, 400, 1, 151, 301), ""},
		{track(25, 1, 400, 1, 51, 151, 301), ""}, // a GOP more
		{track(25, 1, 400, 1, 161, 301), "fragment 2 starts at 6.000 s in one and at 6.400 s in the other"},
		{track(25, 1, 300, 1, 151), "one has 3 fragments (16.000 s), the other 2 (12.000 s)"},
	} {
		if err := Misaligned(a, tt.b, a.Fragments(0), tt.b.Fragments(0)); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Misaligned = %v, want %q", err, tt.want)
		}
	}
}

// TestWide: a file of more than 4 GiB gets 64-bit chunk offsets and a 64-bit
// mdat, and the index of what was written says so.
func TestWide(t *testing.T) {
	head, size := synth(1<<20,
		synthTrack{handler: "vide", entry: videoSynth(), timescale: 1, dur: 2, sizes: repeat(uint32(50<<20), 120), syncs: []uint32{1, 31, 61, 91}, perChunk: 1},
		synthTrack{handler: "soun", entry: audioSynth(), timescale: 1, dur: 1, sizes: repeat(uint32(77), 240), perChunk: 11})
	w := &headWriter{}
	if err := Relayout(w, sparse{head, size}, size, time.Minute); !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
	total := int64(len(w.b)) + 120*50<<20 + 240*77
	x, err := BuildIndex(sparse{w.b, total}, total)
	if err != nil {
		t.Fatal(err)
	}
	end := int64(len(w.b))
	for k := range 4 {
		for _, tr := range x.Tracks {
			f := tr.Fragments(time.Minute)[k]
			if e := tr.Extents(f.First, f.N); len(e) != 1 || e[0] != (Extent{end, f.Bytes}) {
				t.Errorf("track %d, fragment %d is at %v, want one extent at %d", tr.ID, k, e, end)
			}
			end += f.Bytes
		}
	}
	if end != total {
		t.Errorf("the media end at %d, the file at %d", end, total)
	}
}

var errEnough = errors.New("enough")

// headWriter keeps the first write and refuses the second.
type headWriter struct{ b []byte }

func (w *headWriter) Write(p []byte) (int, error) {
	if w.b != nil {
		return 0, errEnough
	}
	w.b = slices.Clone(p)
	return len(p), nil
}
