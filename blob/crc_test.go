package blob

import (
	"hash/crc64"
	"math/rand/v2"
	"testing"

	"github.com/openams/openams/ams"
)

func TestCRCJoin(t *testing.T) {
	table := NewCRC()
	var j crcJoiner
	for _, n := range []int{0, 1, 2, 7, 8, 9, 255, 4096, 4096, 100_003} {
		p := make([]byte, n+10)
		rand.NewChaCha8([32]byte{byte(n)}).Read(p)
		got := j.join(crc64.Checksum(p[:10], table), crc64.Checksum(p[10:], table), int64(n))
		if want := crc64.Checksum(p, table); got != want {
			t.Errorf("10+%d bytes: %x, want %x", n, got, want)
		}
	}
}

func TestAfter(t *testing.T) {
	for prefix, want := range map[string]string{
		"a": "b", "dir/": "dir0", "é": "ê", "\ud7ff": "\ue000", "a\U0010ffff": "b", "\U0010ffff": "", "": "",
	} {
		if got, ok := After(prefix); got != want || ok != (want != "") {
			t.Errorf("After(%q) = %q, %v, want %q", prefix, got, ok, want)
		}
	}
}

func TestSlice(t *testing.T) {
	p := newPieces([]ams.Extent{{File: "a", Offset: 100, Length: 10}, {File: "b", Length: 5}, {File: "c", Offset: 7, Length: 20}})
	for off := int64(0); off <= 35; off++ {
		for n := int64(0); off+n <= 36; n++ {
			at, left := off, min(n, 35-off)
			for _, x := range p.slice(off, n) {
				i := p.index(at)
				whole := p.extents[i]
				if x.File != whole.File || x.Offset-whole.Offset != at-(p.ends[i]-whole.Length) || x.Length <= 0 {
					t.Fatalf("slice(%d, %d): %+v at %d", off, n, x, at)
				}
				at, left = at+x.Length, left-x.Length
			}
			if left != 0 {
				t.Fatalf("slice(%d, %d) is %d bytes short", off, n, left)
			}
		}
	}
}
