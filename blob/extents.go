package blob

import (
	"sort"

	"github.com/openams/openams/ams"
)

// pieces are a blob's extents, findable by offset.
type pieces struct {
	extents []ams.Extent
	ends    []int64 // of each extent, within the blob
}

func newPieces(extents []ams.Extent) pieces {
	p := pieces{extents, make([]int64, len(extents))}
	var at int64
	for i, x := range extents {
		at += x.Length
		p.ends[i] = at
	}
	return p
}

// index is the extent that holds the byte at off.
func (p pieces) index(off int64) int {
	return sort.Search(len(p.ends), func(i int) bool { return p.ends[i] > off })
}

// slice returns the extents of n bytes from off, cut to fit. The sum of a cut
// extent is unknown and left 0; an uncut one that fills its file stays Whole.
func (p pieces) slice(off, n int64) []ams.Extent {
	var out []ams.Extent
	for i := p.index(off); n > 0 && i < len(p.ends); i++ {
		x := p.extents[i]
		skip := off - (p.ends[i] - x.Length)
		if take := min(x.Length-skip, n); take != x.Length {
			x = ams.Extent{File: x.File, Offset: x.Offset + skip, Length: take}
		}
		out = append(out, x)
		off += x.Length
		n -= x.Length
	}
	return out
}
