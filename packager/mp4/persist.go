package mp4

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
)

// magic opens a persisted index; its last character is the version. Version 1
// had no map of NAL units and is still read.
const (
	magic    = "oamsidx2"
	magicOld = "oamsidx1"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// AppendBinary appends the persisted form of x to b: versioned, with a checksum,
// little endian. It implements encoding.BinaryAppender.
func (x *Index) AppendBinary(b []byte) ([]byte, error) {
	start := len(b)
	b = append(b, magic...)
	b = append(b, 0, 0, 0, 0) // checksum of all that follows
	w := writer{b}
	w.u64(uint64(x.Size))
	w.u32(uint32(len(x.Tracks)))
	for _, t := range x.Tracks {
		w.track(t)
	}
	binary.LittleEndian.PutUint32(w.b[start+len(magic):], crc32.Checksum(w.b[start+len(magic)+4:], castagnoli))
	return w.b, nil
}

// ParseIndex reads what AppendBinary wrote. The index keeps b and reads samples
// straight from it, so b must not be changed afterwards. The error is an *Error.
func ParseIndex(b []byte) (*Index, error) {
	bad := func(f Fault, format string, args ...any) (*Index, error) {
		return nil, &Error{f, "index", -1, fmt.Sprintf(format, args...)}
	}
	if len(b) < len(magic)+4 || string(b[:len(magic)-1]) != magic[:len(magic)-1] {
		return bad(Malformed, "not an index of openams")
	}
	old := string(b[:len(magic)]) == magicOld
	if string(b[:len(magic)]) != magic && !old {
		return bad(Unsupported, "version %q, not %q", b[len(magic)-1], magic[len(magic)-1])
	}
	b = b[len(magic):]
	if crc32.Checksum(b[4:], castagnoli) != binary.LittleEndian.Uint32(b) {
		return bad(Malformed, "the checksum is wrong: the index is damaged or cut short")
	}
	r := reader{b: b[4:], old: old}
	x := &Index{Size: int64(r.u64())}
	n := r.u32()
	if n > maxTracks {
		return bad(Malformed, "%d tracks", n)
	}
	for range n {
		t := new(Track)
		r.track(t)
		if r.bad {
			return bad(Malformed, "the data contradicts itself")
		}
		x.Tracks = append(x.Tracks, t)
	}
	if r.bad || len(r.b) > 0 {
		return bad(Malformed, "the data contradicts itself")
	}
	return x, nil
}

// writer and reader agree on the order of fields by their methods named track.

type writer struct{ b []byte }

func (w *writer) u8(v uint8)   { w.b = append(w.b, v) }
func (w *writer) u16(v uint16) { w.b = binary.LittleEndian.AppendUint16(w.b, v) }
func (w *writer) u32(v uint32) { w.b = binary.LittleEndian.AppendUint32(w.b, v) }
func (w *writer) u64(v uint64) { w.b = binary.LittleEndian.AppendUint64(w.b, v) }
func (w *writer) bytes(v []byte) {
	w.u32(uint32(len(v)))
	w.b = append(w.b, v...)
}

func (w *writer) track(t *Track) {
	w.u32(t.ID)
	w.u8(uint8(t.Kind))
	w.bytes([]byte(t.Codec))
	w.u32(t.Timescale)
	w.bytes([]byte(t.Language))
	w.u16(t.Width)
	w.u16(t.Height)
	w.u32(t.SARNum)
	w.u32(t.SARDen)
	w.u16(t.Rotation)
	w.u32(t.SampleRate)
	w.u16(t.Channels)
	w.u32(t.Bitrate)
	w.bytes(t.SampleEntry)
	w.bytes(t.Config)
	w.u64(uint64(t.EditStart))
	w.u64(uint64(t.EditEnd))
	w.u32(uint32(t.FirstCTO))
	w.u64(uint64(t.mediaEnd))
	w.u32(uint32(t.table.n))
	w.u32(uint32(t.table.unit))
	w.u32(uint32(t.table.nsync))
	even := uint8(0)
	if t.table.even {
		even = 1
	}
	w.u8(even)
	w.bytes(t.table.marks)
	w.bytes(t.table.data)
	w.bytes(t.table.syncs)
	w.bytes(t.nals.marks)
	w.bytes(t.nals.data)
}

type reader struct {
	b   []byte
	old bool // version 1
	bad bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.bad, r.b = true, nil
		return make([]byte, min(n, 8))
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) u8() uint8   { return r.take(1)[0] }
func (r *reader) u16() uint16 { return binary.LittleEndian.Uint16(r.take(2)) }
func (r *reader) u32() uint32 { return binary.LittleEndian.Uint32(r.take(4)) }
func (r *reader) u64() uint64 { return binary.LittleEndian.Uint64(r.take(8)) }

// bytes returns nil for no bytes.
func (r *reader) bytes() []byte {
	n := r.u32()
	if n == 0 || r.bad {
		return nil
	}
	if uint64(n) > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	return r.take(int(n))
}

func (r *reader) track(t *Track) {
	t.ID = r.u32()
	t.Kind = Kind(r.u8())
	t.Codec = string(r.bytes())
	t.Timescale = r.u32()
	t.Language = string(r.bytes())
	t.Width = r.u16()
	t.Height = r.u16()
	t.SARNum = r.u32()
	t.SARDen = r.u32()
	t.Rotation = r.u16()
	t.SampleRate = r.u32()
	t.Channels = r.u16()
	t.Bitrate = r.u32()
	t.SampleEntry = r.bytes()
	t.Config = r.bytes()
	t.EditStart = int64(r.u64())
	t.EditEnd = int64(r.u64())
	t.FirstCTO = int32(r.u32())
	t.mediaEnd = int64(r.u64())
	b := &t.table
	n, unit, nsync := r.u32(), r.u32(), r.u32()
	b.n, b.unit, b.nsync = int(n), int32(unit), int(nsync)
	b.even = r.u8() == 1
	b.marks = r.bytes()
	b.data = r.bytes()
	b.syncs = r.bytes()
	if !r.old {
		t.nals.marks = r.bytes()
		t.nals.data = r.bytes()
	}
	if t.Timescale == 0 || len(t.Codec) != 4 || n > math.MaxInt32 || b.unit < 1 ||
		len(b.marks) != (b.n+blockLen-1)/blockLen*markLen || b.nsync > len(b.syncs)/4 ||
		len(t.nals.marks) > 0 && !t.HasNALs() {
		r.bad = true
	}
}
