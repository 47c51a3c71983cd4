package mp4

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestEdits(t *testing.T) {
	const empty, rate = math.MaxUint32, 1 << 16
	for _, tt := range []struct {
		name       string
		edits      []uint32 // duration in ms, media time at 25 a second, rate
		start, end int64
		says       string // of the error
	}{
		{"none", nil, 0, 0, ""},
		{"whole", []uint32{8000, 0, rate}, 0, 0, ""},
		{"cut start", []uint32{6000, 50, rate}, 50, 0, ""},
		{"cut end", []uint32{6000, 0, rate}, 0, 150, ""},
		{"late", []uint32{1000, empty, rate, 8000, 0, rate}, -25, 0, ""},
		{"late twice, cut both", []uint32{1000, empty, rate, 1000, empty, rate, 4000, 25, rate}, 25 - 50, 150, ""},
		{"to the end", []uint32{0, 10, rate}, 10, 0, ""},
		{"two that play on", []uint32{4000, 0, rate, 4000, 100, rate}, 0, 0, ""},
		{"empty at the end", []uint32{8000, 0, rate, 500, empty, rate}, 0, 0, ""},
		{"a jump", []uint32{2000, 0, rate, 4000, 100, rate}, 0, 0, "jumps"},
		{"a pause", []uint32{2000, 0, rate, 500, empty, rate, 4000, 50, rate}, 0, 0, "jumps"},
		{"fast", []uint32{2000, 0, 2 * rate}, 0, 0, "another rate"},
		{"before the start", []uint32{2000, empty - 1, rate}, 0, 0, "media time -2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := synthTrack{handler: "vide", entry: videoSynth(), timescale: 25, dur: 1, sizes: repeat(uint32(9), 200), syncs: []uint32{1}, perChunk: 200}
			if tt.edits != nil {
				tr.edits = join(u32s(0, uint32(len(tt.edits)/3)), u32s(tt.edits...))
			}
			head, size := synth(1<<20, tr)
			x, err := BuildIndex(sparse{head, size}, size)
			if tt.says != "" {
				if e, ok := errors.AsType[*Error](err); !ok || e.Box != "elst" || !strings.Contains(e.Msg, tt.says) {
					t.Fatalf("got %v, want … %s …", err, tt.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := x.Tracks[0]; got.EditStart != tt.start || got.EditEnd != tt.end {
				t.Errorf("starts at media time %d and ends at %d, want %d and %d", got.EditStart, got.EditEnd, tt.start, tt.end)
			}
		})
	}
}

// TestSizes reads both kinds of size table.
func TestSizes(t *testing.T) {
	for _, tt := range []struct {
		typ     string
		payload []byte
		want    []uint32
	}{
		{"stsz", u32s(0, 0, 3, 5, 1<<20, 7), []uint32{5, 1 << 20, 7}},
		{"stsz", u32s(0, 9, 3), []uint32{9, 9, 9}},
		{"stz2", append(u32s(0, 4, 3), 0x5f, 0x70), []uint32{5, 15, 7}},
		{"stz2", append(u32s(0, 8, 3), 5, 200, 7), []uint32{5, 200, 7}},
		{"stz2", append(u32s(0, 16, 2), u16s(5, 60000)...), []uint32{5, 60000}},
		{"stz2", append(u32s(0, 4, 3), 0x5f), nil}, // too short
		{"stz2", append(u32s(0, 5, 1), 0x5f), nil}, // no such width
		{"stsz", u32s(0, 0, 4, 1, 2, 3), nil},
	} {
		s, err := parseSizes(box{typ: "stbl", data: appendBox(nil, tt.typ, tt.payload)})
		if (err != nil) != (tt.want == nil) {
			t.Errorf("%s %x: %v", tt.typ, tt.payload, err)
			continue
		}
		var got []uint32
		for i := range s.n {
			if err == nil {
				got = append(got, s.at(i))
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s %x: %v, want %v", tt.typ, tt.payload, got, tt.want)
		}
	}
}

func TestLanguage(t *testing.T) {
	pack := func(s string) uint16 { return uint16(s[0]-0x60)<<10 | uint16(s[1]-0x60)<<5 | uint16(s[2]-0x60) }
	for v, want := range map[uint16]string{pack("nor"): "nor", pack("und"): "und", 0x7fff: "und", 0: "eng", 11: "jpn", 999: "und", 0x400: "und"} {
		if got := language(v); got != want {
			t.Errorf("language(%#x) = %q, want %q", v, got, want)
		}
	}
}

// TestOverlap: samples that share their bytes would make an index of any size
// from a small file.
func TestOverlap(t *testing.T) {
	head, _ := synth(0, synthTrack{handler: "soun", entry: audioSynth(), timescale: 48000, dur: 1024, sizes: repeat(uint32(500), 50), perChunk: 1})
	i := bytes.Index(head, []byte("co64")) + 12
	clear(head[i:][:8*50]) // every chunk is at 0
	size := int64(len(head))
	_, err := BuildIndex(sparse{head, size}, size)
	if e, ok := errors.AsType[*Error](err); !ok || e.Fault != Malformed || !strings.Contains(e.Msg, "overlap") {
		t.Errorf("got %v", err)
	}
}
