package mp4

import (
	"encoding/binary"
	"fmt"
	"io"
)

// A box is a box whose payload is in memory.
type box struct {
	typ  string
	off  int64  // of its header in the file
	head int    // length of its header
	data []byte // payload
}

func (b box) errorf(f Fault, format string, args ...any) error {
	return &Error{f, b.typ, b.off, fmt.Sprintf(format, args...)}
}

// parseHeader reads a box header from the start of b, which belongs at offset
// off of the file. size is the whole box's, or 0 for "up to the end".
func parseHeader(b []byte, off int64) (typ string, head int, size uint64, err error) {
	if len(b) < 8 {
		return "", 0, 0, &Error{Malformed, "", off, "a box header is cut short"}
	}
	typ, head, size = string(b[4:8]), 8, uint64(binary.BigEndian.Uint32(b))
	if size == 1 {
		if len(b) < 16 {
			return "", 0, 0, &Error{Malformed, typ, off, "a 64-bit box size is cut short"}
		}
		head, size = 16, binary.BigEndian.Uint64(b[8:])
	}
	if size != 0 && size < uint64(head) {
		return "", 0, 0, &Error{Malformed, typ, off, fmt.Sprintf("the box says that it has %d bytes", size)}
	}
	return typ, head, size, nil
}

// each calls f with every child box in b's payload after skip bytes, until f
// fails. Up to 7 bytes may follow the last child: QuickTime ends some lists by
// a zero word.
func (b box) each(skip int, f func(box) error) error {
	if skip > len(b.data) {
		return b.errorf(Malformed, "the box has %d bytes of payload, at least %d are needed", len(b.data), skip)
	}
	rest := b.data[skip:]
	off := b.off + int64(b.head+skip)
	for len(rest) >= 8 {
		typ, head, size, err := parseHeader(rest, off)
		if err != nil {
			return err
		}
		if size == 0 {
			size = uint64(len(rest))
		}
		if size > uint64(len(rest)) {
			return &Error{Malformed, typ, off, fmt.Sprintf("the box has %d bytes, but %s around it ends after %d", size, b.typ, len(rest))}
		}
		if err := f(box{typ, off, head, rest[head:size:size]}); err != nil {
			return err
		}
		rest, off = rest[size:], off+int64(size)
	}
	return nil
}

// child returns the first child of that type, or a box without data.
func (b box) child(typ string) (found box, err error) {
	err = b.each(0, func(c box) error {
		if c.typ == typ && found.typ == "" {
			found = c
		}
		return nil
	})
	return found, err
}

// must is child for a box that the format demands.
func (b box) must(typ string) (box, error) {
	c, err := b.child(typ)
	if err == nil && c.typ == "" {
		err = b.errorf(Malformed, "the box holds no %s box", typ)
	}
	return c, err
}

// full reads version and flags of a full box with at least n more bytes.
func (b box) full(n int) (version byte, flags uint32, rest []byte, err error) {
	if len(b.data) < 4+n {
		return 0, 0, nil, b.errorf(Malformed, "the box has %d bytes of payload, at least %d are needed", len(b.data), 4+n)
	}
	return b.data[0], binary.BigEndian.Uint32(b.data) & 0xffffff, b.data[4:], nil
}

// table reads a full box that is a 32-bit count and as many entries of size
// bytes, and returns the bytes of the entries.
func (b box) table(size int) (version byte, entries []byte, err error) {
	version, _, rest, err := b.full(4)
	if err != nil {
		return 0, nil, err
	}
	n := uint64(binary.BigEndian.Uint32(rest))
	if n*uint64(size) > uint64(len(rest)-4) {
		return 0, nil, b.errorf(Malformed, "the table has %d entries, but room for %d", n, (len(rest)-4)/size)
	}
	return version, rest[4 : 4+n*uint64(size)], nil
}

func be16(b []byte) uint16 { return binary.BigEndian.Uint16(b) }
func be32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }
func be64(b []byte) uint64 { return binary.BigEndian.Uint64(b) }

// maxTop bounds the boxes of the top level, each of which is a read: three in a
// fragment of 2 s make days.
const maxTop = 1 << 20

// A span is a box of the top level, of which only the header was read.
type span struct {
	typ  string
	off  int64
	head int
	size int64 // whole box; may reach beyond the end of the file
}

func (s span) errorf(f Fault, format string, args ...any) error {
	return &Error{f, s.typ, s.off, fmt.Sprintf(format, args...)}
}

// topTypes are the boxes that a file of the family may start with.
var topTypes = [...]string{"ftyp", "moov", "mdat", "free", "skip", "wide", "pnot", "PICT", "uuid", "styp", "sidx", "moof", "udta", "meta", "emsg", "prft", "pdin", "junk"}

func isTop(typ string) bool {
	for _, t := range topTypes {
		if t == typ {
			return true
		}
	}
	return false
}

// eachTop calls f with every box of the top level. What follows the moov box
// and is no box ends the walk: cameras and editors pad files.
func eachTop(r io.ReaderAt, size int64, f func(span) error) error {
	if size == 0 {
		return &Error{NotMP4, "", -1, "the file is empty"}
	}
	seen := false
	count := 0
	for off := int64(0); off < size; {
		if count++; count > maxTop {
			return &Error{Unsupported, "", off, fmt.Sprintf("the file has more than %d boxes", maxTop)}
		}
		var buf [16]byte
		n, err := r.ReadAt(buf[:min(16, size-off)], off)
		if err != nil && (err != io.EOF || int64(n) < min(16, size-off)) {
			return fmt.Errorf("mp4: reading a box header at byte %d: %w", off, err)
		}
		typ, head, length, err := parseHeader(buf[:n], off)
		switch {
		case off == 0 && (err != nil || !isTop(typ)):
			return &Error{NotMP4, "", 0, "the file does not start with a box of an MP4 or QuickTime file"}
		case err != nil && seen:
			return nil
		case err != nil:
			return err
		}
		if length == 0 {
			length = uint64(size - off)
		}
		if length > 1<<62 {
			if seen {
				return nil
			}
			return &Error{Malformed, typ, off, fmt.Sprintf("the box says that it has %d bytes", length)}
		}
		if err := f(span{typ, off, head, int64(length)}); err != nil {
			return err
		}
		seen = seen || typ == "moov"
		if int64(length) > size-off {
			return nil
		}
		off += int64(length)
	}
	return nil
}

// read brings the whole box into memory if it has at most limit bytes.
func (s span) read(r io.ReaderAt, size, limit int64) (box, error) {
	if s.size > size-s.off {
		return box{}, s.errorf(Truncated, "the box has %d bytes, but the file ends after %d of them", s.size, size-s.off)
	}
	if s.size > limit {
		return box{}, s.errorf(Unsupported, "the box has %d bytes, more than %d", s.size, limit)
	}
	data := make([]byte, s.size-int64(s.head))
	if n, err := r.ReadAt(data, s.off+int64(s.head)); err != nil && (err != io.EOF || n < len(data)) {
		return box{}, fmt.Errorf("mp4: reading %s at byte %d: %w", s.typ, s.off, err)
	}
	return box{s.typ, s.off, s.head, data}, nil
}
