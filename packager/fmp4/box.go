package fmp4

import "encoding/binary"

// A writer appends boxes to a buffer.
type writer struct{ b []byte }

func (w *writer) u8(v ...byte) { w.b = append(w.b, v...) }
func (w *writer) u16(v uint16) { w.b = binary.BigEndian.AppendUint16(w.b, v) }
func (w *writer) u32(v ...uint32) {
	for _, v := range v {
		w.b = binary.BigEndian.AppendUint32(w.b, v)
	}
}
func (w *writer) u64(v uint64) { w.b = binary.BigEndian.AppendUint64(w.b, v) }
func (w *writer) str(s string) { w.b = append(w.b, s...) }
func (w *writer) zero(n int)   { w.b = append(w.b, make([]byte, n)...) }

// open starts a box and returns where it starts, for end.
func (w *writer) open(fourCC string) int {
	at := len(w.b)
	w.u32(0)
	w.str(fourCC)
	return at
}

// full starts a full box.
func (w *writer) full(fourCC string, version byte, flags uint32) int {
	at := w.open(fourCC)
	w.u32(uint32(version)<<24 | flags)
	return at
}

// end sets the size of the box that starts at at.
func (w *writer) end(at int) {
	binary.BigEndian.PutUint32(w.b[at:], uint32(len(w.b)-at))
}

// box writes a whole box.
func (w *writer) box(fourCC string, body func()) {
	at := w.open(fourCC)
	body()
	w.end(at)
}
