package mp4

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// seedFiles are small MP4s of all kinds from the mp4ff module.
func seedFiles(f *testing.F) (list [][]byte) {
	f.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/Eyevinn/mp4ff").Output()
	if err != nil {
		f.Fatalf("go list: %v", err)
	}
	names, _ := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "mp4", "testdata", "*.mp4"))
	for _, name := range names {
		if b, err := os.ReadFile(name); err == nil && len(b) < 40000 {
			list = append(list, b)
		}
	}
	if len(list) < 5 {
		f.Fatalf("%d seeds", len(list))
	}
	return list
}

// exercise calls what a packager calls.
func exercise(t *testing.T, x *Index) {
	for _, tr := range x.Tracks {
		tr.Duration()
		tr.SampleAt(1000)
		tr.SampleAt(-1000)
		for _, f := range tr.Fragments(0) {
			tr.Extents(f.First, f.N)
			tr.GOPs(f)
		}
		tr.AppendSamples(nil, 0, 1000)
		for range tr.Subsamples(0, 1000) {
		}
		first := x.Tracks[0]
		Misaligned(first, tr, first.Fragments(time.Second), tr.Fragments(time.Second))
		tr.Recorded([]Piece{{0, 1}, {100, 2}, {1 << 40, 3}})
		for i, firsts := range Common([]*Track{first, tr}, time.Second) {
			[]*Track{first, tr}[i].FragmentsOf(firsts)
		}
	}
}

func FuzzBuildIndex(f *testing.F) {
	for _, b := range seedFiles(f) {
		f.Add(b)
	}
	head, _ := synth(64, synthTrack{handler: "vide", entry: videoSynth(), timescale: 25, dur: 1, sizes: repeat(uint32(1), 90), ctos: repeat(int32(2), 90), syncs: []uint32{1, 50}, perChunk: 7, edits: u32s(0, 1, 4000, 0, 1<<16)})
	f.Add(append(head, make([]byte, 200)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		x, err := BuildIndex(bytes.NewReader(b), int64(len(b)))
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20+uint64(len(b))*64 {
			t.Fatalf("%d bytes of input took %d bytes of memory", len(b), used)
		}
		if err != nil {
			return
		}
		for _, tr := range x.Tracks {
			for _, s := range tr.AppendSamples(nil, 0, tr.NumSamples()) {
				if s.Offset < 0 || s.Offset+int64(s.Size) > x.Size {
					t.Fatalf("track %d: %+v is not in the file", tr.ID, s)
				}
			}
			n := 0
			for _, f := range tr.Fragments(0) {
				if f.First != n || f.N < 1 {
					t.Fatalf("track %d: %+v does not start at %d", tr.ID, f, n)
				}
				n += f.N
			}
			if n != tr.NumSamples() {
				t.Fatalf("track %d: %d of %d samples in fragments", tr.ID, n, tr.NumSamples())
			}
		}
		exercise(t, x)
		blob, _ := x.AppendBinary(nil)
		y, err := ParseIndex(blob)
		if err != nil {
			t.Fatalf("the index does not read back: %v", err)
		}
		if again, _ := y.AppendBinary(nil); !bytes.Equal(again, blob) {
			t.Fatal("the index reads back otherwise")
		}
		Relayout(&bytes.Buffer{}, bytes.NewReader(b), int64(len(b)), 0)
	})
}

// FuzzParseIndex mends the checksum, so that what is behind it is tried.
func FuzzParseIndex(f *testing.F) {
	video, audio := hour(2)
	blob, _ := (&Index{Size: 1 << 30, Tracks: []*Track{video, audio}}).AppendBinary(nil)
	f.Add(blob)
	f.Add(blob[:len(blob)/2])
	for _, b := range seedFiles(f) {
		if x, err := BuildIndex(bytes.NewReader(b), int64(len(b))); err == nil {
			blob, _ := x.AppendBinary(nil)
			f.Add(blob)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > len(magic)+4 && len(b) < 1<<16 {
			b = bytes.Clone(b)
			binary.LittleEndian.PutUint32(b[len(magic):], crc32.Checksum(b[len(magic)+4:], castagnoli))
		}
		if x, err := ParseIndex(b); err == nil {
			exercise(t, x)
		}
	})
}

// FuzzSubsamples scans a sample of foreign bytes under foreign parameter sets.
func FuzzSubsamples(f *testing.F) {
	for _, b := range seedFiles(f) {
		x, err := BuildIndex(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			continue
		}
		for _, tr := range x.Tracks {
			if !tr.CanHaveNALs() {
				continue
			}
			for i := range min(3, tr.NumSamples()) {
				s := tr.Sample(i)
				f.Add(tr.Codec[0] == 'h', tr.Config, b[s.Offset:s.Offset+int64(s.Size)])
			}
		}
	}
	f.Fuzz(func(t *testing.T, isHEVC bool, config, sample []byte) {
		codec := "avc1"
		if isHEVC {
			codec = "hvc1"
		}
		b := newBuilder(0, 1)
		for range 2 { // the second is read with the parameter sets of the first
			b.add(Sample{Size: uint32(len(sample)), Dur: 1, Sync: true})
		}
		x := &Index{Size: int64(len(sample)), Tracks: []*Track{{Kind: Video, Codec: codec, Timescale: 1, Config: config, table: b.done()}}}
		y, err := AddNALs(x, bytes.NewReader(sample))
		if err != nil {
			return
		}
		for s, list := range y.Tracks[0].Subsamples(0, 2) {
			sum := uint64(0)
			for i, u := range list {
				sum += uint64(u.Clear) + uint64(u.Protected)
				if len(list) > maxSubsamples+1 || u.Protected > 0 && u.Protected < minProtected && y.Tracks[0].HasNALs() || i < len(list)-1 && u.Protected == 0 {
					t.Fatalf("subsamples %v", list)
				}
			}
			if sum != uint64(s.Size) {
				t.Fatalf("%d bytes of %d in %v", sum, s.Size, list)
			}
		}
	})
}
