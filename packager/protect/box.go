package protect

import (
	"encoding/binary"
	"fmt"
)

// find returns where the first box of that type starts and ends among those in
// b[from:to].
func find(b []byte, from, to int, fourCC string) (start, end int, err error) {
	for from+8 <= to {
		n := int(binary.BigEndian.Uint32(b[from:]))
		if n < 8 || n > to-from {
			break
		}
		if string(b[from+4:from+8]) == fourCC {
			return from, from + n, nil
		}
		from += n
	}
	return 0, 0, fmt.Errorf("the segment has no %s box", fourCC)
}

// A place is a box to write into, with the boxes around it.
type place struct {
	starts []int // of the boxes on the way, the outermost first
	end    int   // of the innermost
}

// walk finds a box by its path. Boxes are searched after skip bytes of the
// header of stsd; all others on the path hold nothing but boxes.
func walk(b []byte, path ...string) (p place, err error) {
	from, to := 0, len(b)
	for _, fourCC := range path {
		start, end, err := find(b, from, to, fourCC)
		if err != nil {
			return p, err
		}
		p.starts = append(p.starts, start)
		p.end = end
		from, to = start+8, end
		if fourCC == "stsd" {
			from += 8
		}
	}
	return p, nil
}

// grow adds n to the sizes of all boxes of p.
func (p place) grow(b []byte, n int) {
	for _, at := range p.starts {
		binary.BigEndian.PutUint32(b[at:], binary.BigEndian.Uint32(b[at:])+uint32(n))
	}
}

func (p place) start() int { return p.starts[len(p.starts)-1] }

// A writer appends boxes.
type writer struct{ b []byte }

func (w *writer) u8(v ...byte)   { w.b = append(w.b, v...) }
func (w *writer) u32(v uint32)   { w.b = binary.BigEndian.AppendUint32(w.b, v) }
func (w *writer) bytes(v []byte) { w.b = append(w.b, v...) }

func (w *writer) box(fourCC string, body func()) {
	at := len(w.b)
	w.u32(0)
	w.b = append(w.b, fourCC...)
	body()
	binary.BigEndian.PutUint32(w.b[at:], uint32(len(w.b)-at))
}

func (w *writer) full(fourCC string, version byte, flags uint32, body func()) {
	w.box(fourCC, func() {
		w.u32(uint32(version)<<24 | flags)
		body()
	})
}
