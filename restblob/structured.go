package restblob

import (
	"encoding/binary"
	"hash"
	"hash/crc64"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/openams/openams/blob"
)

// structuredMark is the one kind of structured message that clients send: the
// content in numbered segments, each with its CRC-64.
const structuredMark = "XSM/1.0; properties=crc64"

// structuredSegment is the length of the segments that are sent. A message has
// at most 65,535, so those of very large ones are longer.
const structuredSegment = 4 << 20

// wantsStructured reports whether q asks for the bytes as a structured message.
func wantsStructured(q *request) (bool, error) {
	kind := q.Header.Get("x-ms-structured-body")
	if kind == "" {
		return false, nil
	}
	return true, checkStructured(kind)
}

func checkStructured(kind string) error {
	if strings.ReplaceAll(kind, " ", "") != strings.ReplaceAll(structuredMark, " ", "") {
		return bad("UnsupportedHeader", "One of the HTTP headers specified in the request is not supported: x-ms-structured-body is not %s.", structuredMark)
	}
	return nil
}

// structuredSize is how many segments the message of n bytes has, how long
// they are but the last, and how long the message is.
func structuredSize(n int64) (segments, segment, size int64) {
	segment = max(structuredSegment, (n+math.MaxUint16-1)/math.MaxUint16)
	segments = (n + segment - 1) / segment
	return segments, segment, 13 + segments*(10+8) + n + 8
}

// writeStructured sends n bytes from off as a structured message.
func writeStructured(w io.Writer, r *blob.Reader, off, n int64) error {
	segments, segment, size := structuredSize(n)
	head := binary.LittleEndian.AppendUint64([]byte{1}, uint64(size))
	head = binary.LittleEndian.AppendUint16(head, 1)
	head = binary.LittleEndian.AppendUint16(head, uint16(segments))
	whole, part := crc64.New(blob.NewCRC()), crc64.New(blob.NewCRC())
	for i := range segments {
		k := min(segment, n-i*segment)
		head = binary.LittleEndian.AppendUint16(head, uint16(i+1))
		head = binary.LittleEndian.AppendUint64(head, uint64(k))
		if _, err := w.Write(head); err != nil {
			return err
		}
		part.Reset()
		if _, err := io.Copy(io.MultiWriter(w, part, whole), io.NewSectionReader(r, off+i*segment, k)); err != nil {
			return err
		}
		head = binary.LittleEndian.AppendUint64(head[:0], part.Sum64())
	}
	_, err := w.Write(binary.LittleEndian.AppendUint64(head, whole.Sum64()))
	return err
}

// structuredBody decodes the structured message that is q's body.
func structuredBody(q *request, limit int64) (io.Reader, int64, error) {
	if err := checkStructured(q.Header.Get("x-ms-structured-body")); err != nil {
		return nil, 0, err
	}
	size, err := strconv.ParseInt(q.Header.Get("x-ms-structured-content-length"), 10, 64)
	if err != nil || size < 0 {
		return nil, 0, bad("MissingRequiredHeader", "x-ms-structured-content-length is missing or is not a length.")
	}
	if size > limit {
		return nil, 0, &fault{status: 413, code: "RequestBodyTooLarge", msg: "The request body is too large."}
	}
	d := &structured{r: bodyReader{q.Body}, size: size, whole: crc64.New(blob.NewCRC()), part: crc64.New(blob.NewCRC())}
	return d, size, d.head(q.ContentLength)
}

// structured reads the content of a structured message and verifies it on the
// way. Numbers are little-endian: version u8, length of the message u64, flags
// u16, segments u16; per segment number u16, length u64, bytes, CRC-64; at the
// end the CRC-64 of all content.
type structured struct {
	r           io.Reader
	size        int64 // of the content
	read        int64
	segment     uint16
	segments    uint16
	left        int64 // of the segment
	whole, part hash.Hash64
	done        bool
}

func malformed() error {
	return bad("InvalidStructuredMessage", "The structured message in the request body is not well formed.")
}

func (d *structured) head(length int64) error {
	var b [13]byte
	if err := d.full(b[:]); err != nil {
		return err
	}
	total := binary.LittleEndian.Uint64(b[1:])
	d.segments = binary.LittleEndian.Uint16(b[11:])
	if b[0] != 1 || binary.LittleEndian.Uint16(b[9:]) != 1 || length >= 0 && total != uint64(length) {
		return malformed()
	}
	return nil
}

func (d *structured) Read(p []byte) (int, error) {
	for d.left == 0 {
		if d.done {
			return 0, io.EOF
		}
		if err := d.next(); err != nil {
			return 0, err
		}
	}
	n, err := d.r.Read(p[:min(int64(len(p)), d.left)])
	d.left -= int64(n)
	d.read += int64(n)
	d.part.Write(p[:n])
	d.whole.Write(p[:n])
	if err == io.EOF {
		if err = nil; d.left > 0 {
			return n, malformed()
		}
	}
	if err == nil && d.left == 0 {
		err = d.sum(d.part.Sum64())
	}
	return n, err
}

// next starts a segment, or ends the message after the last.
func (d *structured) next() error {
	if d.segment == d.segments {
		d.done = true
		if d.read != d.size {
			return malformed()
		}
		return d.sum(d.whole.Sum64())
	}
	d.segment++
	var b [10]byte
	if err := d.full(b[:]); err != nil {
		return err
	}
	n := binary.LittleEndian.Uint64(b[2:])
	if binary.LittleEndian.Uint16(b[:]) != d.segment || n > uint64(d.size-d.read) {
		return malformed()
	}
	d.left = int64(n)
	d.part.Reset()
	if n == 0 {
		return d.sum(0)
	}
	return nil
}

// sum reads a CRC-64 and compares.
func (d *structured) sum(want uint64) error {
	var b [8]byte
	if err := d.full(b[:]); err != nil {
		return err
	}
	if binary.LittleEndian.Uint64(b[:]) != want {
		return blob.ErrCRC64
	}
	return nil
}

func (d *structured) full(b []byte) error {
	if _, err := io.ReadFull(d.r, b); err == io.EOF || err == io.ErrUnexpectedEOF {
		return malformed()
	} else if err != nil {
		return err
	}
	return nil
}
