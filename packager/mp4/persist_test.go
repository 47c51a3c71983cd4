package mp4

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"
)

// hour is a random but lifelike file: video with B-frames and audio.
func hour(seconds int) (*Track, *Track) {
	rnd := rand.New(rand.NewPCG(1, 2))
	v := newBuilder(0, 512)
	off := int64(5 << 20)
	ctos := [...]int32{2, 5, 2, 0, 1}
	for i := range seconds * 25 {
		size := 2000 + rnd.IntN(30000)
		if i%50 == 0 {
			size = 80000 + rnd.IntN(60000)
		}
		v.add(Sample{Offset: off, Size: uint32(size), CTO: 512 * ctos[i%len(ctos)], Dur: 512, Sync: i%50 == 0})
		off += int64(size)
		if i%150 == 149 {
			off += 100000 // the audio of the fragment
		}
	}
	a := newBuilder(0, 1)
	off = 5 << 20
	for i := range seconds * 48000 / 1024 {
		size := 330 + rnd.IntN(40)
		a.add(Sample{Offset: off, Size: uint32(size), Dur: 1024, Sync: true})
		off += int64(size)
		if i%282 == 281 {
			off += 3 << 20
		}
	}
	video := &Track{ID: 1, Kind: Video, Codec: "avc1", Timescale: 12800, Language: "und", Width: 1920, Height: 1080, SARNum: 1, SARDen: 1,
		SampleEntry: make([]byte, 150), Config: make([]byte, 50), EditStart: 1024, FirstCTO: 1024, mediaEnd: v.shown, table: v.done()}
	audio := &Track{ID: 2, Kind: Audio, Codec: "mp4a", Timescale: 48000, Language: "eng", SampleRate: 48000, Channels: 2,
		SampleEntry: make([]byte, 100), Config: []byte{0x11, 0x90}, EditStart: 1024, mediaEnd: a.shown, table: a.done()}
	return video, audio
}

func TestTable(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	b := newBuilder(0, 1)
	var want []Sample
	var dts uint64
	for range 1000 {
		s := Sample{Offset: rnd.Int64N(1 << 50), Size: rnd.Uint32() >> rnd.IntN(32), DTS: dts, CTO: int32(rnd.Uint32()), Dur: rnd.Uint32() >> 1, Sync: rnd.IntN(3) == 0}
		if rnd.IntN(2) == 0 && len(want) > 0 { // contiguous with the one before
			p := want[len(want)-1]
			s.Offset, s.CTO, s.Dur = p.Offset+int64(p.Size), p.CTO, p.Dur
		}
		b.add(s)
		want = append(want, s)
		dts += uint64(s.Dur)
	}
	tab := b.done()
	if got := tab.appendSamples(nil, 0, 1000); !slices.Equal(got, want) {
		t.Fatal("the samples read back differ")
	}
	for i, s := range want {
		if got := tab.size(i); got != s.Size {
			t.Errorf("size(%d) = %d, want %d", i, got, s.Size)
		}
		if got := tab.sample(i); got != s {
			t.Errorf("sample(%d) = %v, want %v", i, got, s)
		}
	}
	for _, r := range [][2]int{{0, 1}, {63, 2}, {64, 64}, {999, 1}, {999, 50}, {-5, 10}, {1000, 1}, {500, -1}} {
		lo, hi := max(0, r[0]), min(1000, max(r[0]+r[1], 0))
		part := want[min(lo, 1000):max(hi, min(lo, 1000))]
		if got := tab.appendSamples(nil, r[0], r[1]); !slices.Equal(got, part) {
			t.Errorf("appendSamples(%d, %d) has %d samples, want %d", r[0], r[1], len(got), len(part))
		}
		var sum int64
		var ext []Extent
		for _, s := range part {
			sum += int64(s.Size)
			if k := len(ext) - 1; s.Size == 0 {
			} else if k >= 0 && ext[k].Offset+ext[k].Length == s.Offset {
				ext[k].Length += int64(s.Size)
			} else {
				ext = append(ext, Extent{s.Offset, int64(s.Size)})
			}
		}
		if got := tab.bytes(r[0], r[1]); got != sum {
			t.Errorf("bytes(%d, %d) = %d, want %d", r[0], r[1], got, sum)
		}
		if got := tab.extents(r[0], r[1]); !slices.Equal(got, ext) {
			t.Errorf("extents(%d, %d) = %v, want %v", r[0], r[1], got, ext)
		}
	}
}

func TestParseIndex(t *testing.T) {
	video, audio := hour(60)
	x := &Index{Size: 1 << 33, Tracks: []*Track{video, audio}}
	blob, _ := x.AppendBinary([]byte("before"))
	blob = blob[len("before"):]
	y, err := ParseIndex(blob)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := y.AppendBinary(nil)
	if !slices.Equal(again, blob) {
		t.Error("what was read back is written otherwise")
	}
	for i, tr := range x.Tracks {
		if a, b := tr.AppendSamples(nil, 0, 1<<20), y.Tracks[i].AppendSamples(nil, 0, 1<<20); !slices.Equal(a, b) {
			t.Errorf("track %d: the samples read back differ", tr.ID)
		}
		if a, b := tr.Fragments(0), y.Tracks[i].Fragments(0); len(a) != 10 || !slices.Equal(a, b) {
			t.Errorf("track %d: %d fragments, read back %d", tr.ID, len(a), len(b))
		}
		checkFragments(t, y.Tracks[i], y.Tracks[i].Fragments(0))
	}

	for name, change := range map[string]func([]byte) []byte{
		"empty":         func(b []byte) []byte { return nil },
		"cut":           func(b []byte) []byte { return b[:len(b)-1] },
		"more":          func(b []byte) []byte { return append(b, 0) },
		"a bit":         func(b []byte) []byte { b[len(b)/2] ^= 4; return b },
		"other version": func(b []byte) []byte { b[7] = '3'; return b },
	} {
		_, err := ParseIndex(change(slices.Clone(blob)))
		want := Malformed
		if name == "other version" {
			want = Unsupported
		}
		if e, ok := errors.AsType[*Error](err); !ok || e.Fault != want {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
}

// TestTwoHours: the index of 2 h of six muxed renditions takes 12 MB at most, maps
// of NAL units included, and reading it takes nothing besides.
func TestTwoHours(t *testing.T) {
	blob, samples := twoHours()
	if total := 6 * len(blob); total > 12<<20 {
		t.Errorf("%d bytes for %d samples", total, samples)
	}
	if n := testing.AllocsPerRun(5, func() { ParseIndex(blob) }); n > 50 {
		t.Errorf("%.0f allocations", n)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	was := m.TotalAlloc
	ParseIndex(blob)
	runtime.ReadMemStats(&m)
	if n := m.TotalAlloc - was; n > 64<<10 {
		t.Errorf("reading an index of %d bytes takes %d more", len(blob), n)
	}
}

// twoHours is an index of one muxed rendition of 2 h, and the samples of six.
func twoHours() (blob []byte, samples int) {
	video, audio := hour(7200)
	for i := range video.NumSamples() { // one slice each, four in key frames
		list := []Subsample{{Clear: uint32(10 + i%3)}}
		if i%50 == 0 {
			list = []Subsample{{700, 20000}, {11, 20000}, {11, 20000}, {Clear: 11}}
		}
		video.nals.add(i, list)
	}
	x := &Index{Size: 1 << 33, Tracks: []*Track{video, audio}}
	blob, _ = x.AppendBinary(nil)
	return blob, 6 * (video.NumSamples() + audio.NumSamples())
}

// BenchmarkLoad reads what a streaming server reads to serve an asset of 2 h
// with six renditions in six muxed files, and reports the bytes it then holds.
func BenchmarkLoad(b *testing.B) {
	blob, samples := twoHours()
	x, err := ParseIndex(blob)
	if err != nil {
		b.Fatal(err)
	}
	video := x.Tracks[0]
	b.Run("parse", func(b *testing.B) {
		for b.Loop() {
			for range 6 {
				if _, err := ParseIndex(blob); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportMetric(float64(samples), "samples")
		b.ReportMetric(float64(6*len(blob))/1e6, "MB")
	})
	b.Run("subsamples/video", func(b *testing.B) {
		for b.Loop() {
			for range video.Subsamples(1000, 150) {
			}
		}
	})
	for _, tr := range x.Tracks {
		b.Run("fragments/"+tr.Kind.String(), func(b *testing.B) {
			for b.Loop() {
				tr.Fragments(0)
			}
		})
		b.Run("extents/"+tr.Kind.String(), func(b *testing.B) {
			list := tr.Fragments(6 * time.Second)
			for i := 0; b.Loop(); i++ {
				f := list[i%len(list)]
				if len(tr.Extents(f.First, f.N)) != 1 {
					b.Fatal("not one extent")
				}
			}
		})
	}
}

// BenchmarkBuildIndex indexes one muxed file of 2 h that nobody has laid out.
func BenchmarkBuildIndex(b *testing.B) {
	video, audio := hour(7200)
	sizes := func(tr *Track) (list []uint32) {
		for _, s := range tr.AppendSamples(nil, 0, tr.NumSamples()) {
			list = append(list, s.Size)
		}
		return list
	}
	var syncs []uint32
	for i := 1; i <= video.NumSamples(); i += 50 {
		syncs = append(syncs, uint32(i))
	}
	head, size := synth(20<<20,
		synthTrack{handler: "vide", entry: videoSynth(), timescale: 25, dur: 1, sizes: sizes(video), syncs: syncs, perChunk: 3},
		synthTrack{handler: "soun", entry: audioSynth(), timescale: 48000, dur: 1024, sizes: sizes(audio), perChunk: 6})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := BuildIndex(sparse{head, size}, size); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(head))/1e6, "MB-moov")
}
