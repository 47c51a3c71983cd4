package mp4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
)

// A Subsample is a run of bytes of a sample that a decoder must be able to read
// before it has a key, and the run of slice data behind it, up to the end of a
// NAL unit. Clear holds lengths of NAL units, parameter sets, SEI, NAL and slice
// headers.
type Subsample struct{ Clear, Protected uint32 }

const (
	// maxSubsamples bounds the slices of a sample that are protected: saiz has
	// a byte for the size of what senc says of a sample (ISO/IEC 23001-7 7.1).
	// What is behind them stays clear.
	maxSubsamples = 36

	// minProtected is the least slice data worth a Subsample: a cipher block.
	minProtected = 16

	// maxHeader bounds the bytes of a NAL unit that are read for its header.
	maxHeader = 4096

	// unknownHeader is what stays clear of a slice whose header cannot be read:
	// of another layer, or after a damaged parameter set.
	unknownHeader = 256
)

// A nalMap holds the Subsamples of a track. A sample is pairs of varints
//
//	Clear<<1 | 1, Protected     if another pair follows
//	Clear<<1                    for the last: the rest of the sample is Protected
//
// in blocks of blockLen samples; marks has the position in data of each block,
// four bytes. Nearly all samples have one slice, and take one byte.
type nalMap struct{ marks, data []byte }

// HasNALs reports whether Subsamples knows the slices of the track.
func (t *Track) HasNALs() bool {
	return len(t.nals.marks) > 0 && len(t.nals.marks) == (t.table.n+blockLen-1)/blockLen*4
}

// CanHaveNALs reports whether AddNALs finds slices in the track's codec.
func (t *Track) CanHaveNALs() bool {
	size, params := t.nalFormat()
	return t.Kind == Video && size > 0 && params != nil
}

// Subsamples returns the samples [first, first+n), cut to those that exist, with
// what of each may be encrypted. The runs add up to the size of the sample. They
// are valid until the next one; they may be changed. A sample of a track without
// a map is one Subsample, all of it Protected.
func (t *Track) Subsamples(first, n int) iter.Seq2[Sample, []Subsample] {
	return func(yield func(Sample, []Subsample) bool) {
		first, n := t.table.clip(first, n)
		if n <= 0 {
			return
		}
		c := t.table.from(first)
		var scratch [maxSubsamples + 1]Subsample
		if !t.HasNALs() {
			for range n {
				c.next()
				scratch[0] = Subsample{0, c.last.Size}
				if !yield(c.last, scratch[:1]) {
					return
				}
			}
			return
		}
		pos := t.nals.enter(first)
		for i := first / blockLen * blockLen; i < first; i++ {
			_, pos = t.nals.read(scratch[:0], pos, 0)
		}
		for i := first; i < first+n; i++ {
			c.next()
			if i%blockLen == 0 {
				pos = t.nals.enter(i)
			}
			var list []Subsample
			list, pos = t.nals.read(scratch[:0], pos, c.last.Size)
			if !yield(c.last, list) {
				return
			}
		}
	}
}

func (m *nalMap) enter(sample int) int {
	return int(binary.LittleEndian.Uint32(m.marks[sample/blockLen*4:]))
}

// read appends the Subsamples of the sample at pos, which has size bytes. Forged
// data is cut to the size.
func (m *nalMap) read(list []Subsample, pos int, size uint32) ([]Subsample, int) {
	number := func() uint64 {
		if pos >= len(m.data) {
			return 0
		}
		v, n := uvarint(m.data[pos:])
		pos += n
		return v
	}
	for len(list) <= maxSubsamples {
		head := number()
		s := Subsample{Clear: uint32(min(head>>1, uint64(size)))}
		size -= s.Clear
		more := head&1 == 1 && len(list) < maxSubsamples
		if more {
			s.Protected = uint32(min(number(), uint64(size)))
		} else {
			s.Protected = size
		}
		size -= s.Protected
		list = append(list, s)
		if !more {
			break
		}
	}
	return list, pos
}

// add appends a sample. The last of list ends it.
func (m *nalMap) add(i int, list []Subsample) {
	if i%blockLen == 0 {
		m.marks = binary.LittleEndian.AppendUint32(m.marks, uint32(len(m.data)))
	}
	for k, s := range list {
		head := uint64(s.Clear) << 1
		if k == len(list)-1 {
			m.data = binary.AppendUvarint(m.data, head)
			return
		}
		m.data = binary.AppendUvarint(m.data, head|1)
		m.data = binary.AppendUvarint(m.data, uint64(s.Protected))
	}
}

// AddNALs returns a copy of x that knows the slices of its H.264 and HEVC
// tracks, which encryption of parts of samples needs; x itself if it has no such
// tracks or knows them. It reads the heads of all NAL units of the file behind
// r, in pieces of 16 KiB and mostly in order: put a bigger buffer in between if
// a read costs more than that. The error is an *Error for media that contradicts
// its index, else that of r.
func AddNALs(x *Index, r io.ReaderAt) (*Index, error) {
	y := &Index{Size: x.Size}
	changed := false
	for _, t := range x.Tracks {
		if t.CanHaveNALs() && !t.HasNALs() && t.table.n > 0 {
			copied := *t
			t = &copied
			if err := t.scanNALs(&window{r: r, size: x.Size}); err != nil {
				return nil, err
			}
			changed = true
		}
		y.Tracks = append(y.Tracks, t)
	}
	if !changed {
		return x, nil
	}
	return y, nil
}

// A role is what a kind of NAL unit means to encryption.
type role uint8

const (
	plain      role = iota // stays clear
	parameters             // stays clear and tells how to read slices
	slice
)

// A paramSets knows the NAL units of a codec. All its methods get at least one
// byte.
type paramSets interface {
	config(payload []byte)
	role(nal []byte) role
	learn(nal []byte)
	header(nal []byte) int
}

// nalFormat returns the bytes of a NAL unit's length and what reads the units.
func (t *Track) nalFormat() (int, paramSets) {
	switch t.Codec {
	case "avc1", "avc3":
		if len(t.Config) > 4 {
			return int(t.Config[4]&3) + 1, new(avcParams)
		}
	case "hvc1", "hev1":
		if len(t.Config) > 21 {
			return int(t.Config[21]&3) + 1, new(hevcParams)
		}
	}
	return 0, nil
}

func (t *Track) scanNALs(w *window) error {
	lengthSize, params := t.nalFormat()
	params.config(t.Config)
	t.nals = nalMap{}
	list := make([]Subsample, 0, maxSubsamples+1)
	c := t.table.from(0)
	for i := range t.table.n {
		c.next()
		var err error
		if list, err = w.slices(list[:0], c.last, lengthSize, params); err != nil {
			if e, ok := errors.AsType[*Error](err); ok {
				e.Msg = fmt.Sprintf("track %d: sample %d: %s", t.ID, i, e.Msg)
			}
			return err
		}
		if len(t.nals.data) > 1<<31 {
			return &Error{Unsupported, "", -1, fmt.Sprintf("track %d has too many slices", t.ID)}
		}
		t.nals.add(i, list)
	}
	t.nals.data = append(make([]byte, 0, len(t.nals.data)), t.nals.data...)
	return nil
}

// slices appends the Subsamples of s.
func (w *window) slices(list []Subsample, s Sample, lengthSize int, params paramSets) ([]Subsample, error) {
	at, end := s.Offset, s.Offset+int64(s.Size)
	clear := int64(0) // bytes before at that are in no Subsample yet
	for at < end {
		head, err := w.at(at, min(end-at, int64(lengthSize+maxHeader)))
		if err != nil {
			return nil, err
		}
		if len(head) < lengthSize {
			return nil, &Error{Malformed, "", at, "a NAL unit's length is cut short"}
		}
		size := int64(0)
		for _, b := range head[:lengthSize] {
			size = size<<8 | int64(b)
		}
		if size > end-at-int64(lengthSize) {
			return nil, &Error{Malformed, "", at, fmt.Sprintf("a NAL unit has %d bytes, the sample has %d left", size, end-at-int64(lengthSize))}
		}
		nal := head[lengthSize:min(int64(len(head)), size+int64(lengthSize))]
		lead := size
		if size > 0 {
			switch params.role(nal) {
			case parameters:
				params.learn(nal)
			case slice:
				n := int64(params.header(nal))
				if n == 0 {
					n = unknownHeader
				}
				if size-n >= minProtected && len(list) < maxSubsamples {
					lead = n
				}
			}
		}
		clear += int64(lengthSize) + lead
		if lead < size {
			list = append(list, Subsample{uint32(clear), uint32(size - lead)})
			clear = 0
		}
		at += int64(lengthSize) + size
	}
	if clear > 0 || len(list) == 0 {
		list = append(list, Subsample{Clear: uint32(clear)})
	}
	return list, nil
}

// A window reads a file in pieces.
type window struct {
	r    io.ReaderAt
	size int64 // of the file
	off  int64
	buf  []byte
}

const windowSize = 16 << 10

// at returns n bytes, at most windowSize, at off. They are valid until the next
// call.
func (w *window) at(off, n int64) ([]byte, error) {
	if off < 0 || n < 0 || off > w.size-n {
		return nil, &Error{Truncated, "", off, "a sample is not in the file"}
	}
	if off < w.off || off+n > w.off+int64(len(w.buf)) {
		if w.buf == nil {
			w.buf = make([]byte, windowSize)
		}
		w.buf = w.buf[:min(windowSize, w.size-off)]
		w.off = off
		if got, err := w.r.ReadAt(w.buf, off); got < len(w.buf) {
			w.buf = w.buf[:0]
			if err == io.EOF {
				err = &Error{Truncated, "", off, "the file is shorter than its index says"}
			}
			return nil, err
		}
	}
	return w.buf[off-w.off:][:n], nil
}
