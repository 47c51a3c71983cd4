package packager

import (
	"fmt"
	"io"
	"sync"
)

// Content types of answers.
const (
	TypeVideoMP4 = "video/mp4"
	TypeAudioMP4 = "audio/mp4"
	TypeTextMP4  = "application/mp4"
	TypeWebVTT   = "text/vtt"
	TypeTS       = "video/mp2t"
	TypeHLS      = "application/vnd.apple.mpegurl"
	TypeDASH     = "application/dash+xml"
	TypeSmooth   = "text/xml"
)

// A Document is a manifest or playlist, UTF-8 text.
type Document struct {
	ContentType string
	Body        []byte
}

// An Extent is a contiguous range of one of the asset's files.
type Extent struct {
	File           string // as the .ism spells it, resolved to the name in the file map given to New
	Offset, Length int64
}

// A Segment is the plan of one init or media segment. Its size is known before
// any media is read. If it is Verbatim its bytes are Header, then the bytes of
// Extents in order: a server may send them without looking (sendfile).
// Otherwise only WriteTo can make them.
type Segment struct {
	ContentType string
	Size        int64
	Header      []byte
	Extents     []Extent

	// Unsized says that Size is a guess, nearly always right and never too
	// high: only making the segment tells it. Of a Transform alone.
	Unsized bool

	// At most one of these is set.
	Transform Transform
	InPlace   func(media []byte) // changes the bytes of all Extents where they are
}

// A Transform appends the bytes that follow the Header to dst and returns the
// result. media holds the bytes of all Extents and may be overwritten; neither
// slice may be kept.
type Transform func(dst, media []byte) ([]byte, error)

// Verbatim reports whether the segment is Header and Extents as they are.
func (s *Segment) Verbatim() bool { return s.Transform == nil && s.InPlace == nil }

// maxPooled keeps a rare giant segment from staying in the pool for ever.
const maxPooled = 32 << 20

var buffers = sync.Pool{New: func() any { return new([]byte) }}

func buffer(n int64) *[]byte {
	b := buffers.Get().(*[]byte)
	if int64(cap(*b)) < n {
		*b = make([]byte, n)
	}
	*b = (*b)[:n]
	return b
}

func release(b *[]byte) {
	if cap(*b) <= maxPooled {
		buffers.Put(b)
	}
}

// WriteTo writes the segment to w. open returns the named file; WriteTo calls it
// once for each run of extents of a file and does not close what it returns. A
// verbatim segment is copied in pieces, any other is made whole in memory first,
// so that nothing is written if its media cannot be read.
func (s *Segment) WriteTo(w io.Writer, open func(file string) (io.ReaderAt, error)) (int64, error) {
	if s.Verbatim() {
		return s.copyTo(w, open)
	}
	if s.InPlace != nil {
		return s.writeInPlace(w, open)
	}
	var total int64
	for _, x := range s.Extents {
		total += x.Length
	}
	media := buffer(total)
	defer release(media)
	if err := s.read(*media, open); err != nil {
		return 0, err
	}
	out := buffer(s.Size)
	defer release(out)
	b, err := s.Transform(append((*out)[:0], s.Header...), *media)
	if err != nil {
		return 0, err
	}
	if int64(len(b)) != s.Size && !s.Unsized {
		return 0, fmt.Errorf("segment has %d bytes, planned %d", len(b), s.Size)
	}
	n, err := w.Write(b)
	return int64(n), err
}

// writeInPlace needs one buffer where a Transform needs two: moving media costs
// more than encrypting it.
func (s *Segment) writeInPlace(w io.Writer, open func(file string) (io.ReaderAt, error)) (int64, error) {
	total := int64(len(s.Header))
	for _, x := range s.Extents {
		total += x.Length
	}
	if total != s.Size {
		return 0, fmt.Errorf("segment has %d bytes, planned %d", total, s.Size)
	}
	out := buffer(total)
	defer release(out)
	media := (*out)[copy(*out, s.Header):]
	if err := s.read(media, open); err != nil {
		return 0, err
	}
	s.InPlace(media)
	n, err := w.Write(*out)
	return int64(n), err
}

// copySize is what copyTo writes at once.
const copySize = 256 << 10

// copyTo copies header and extents through a buffer: extents may be many and
// small, writes should be neither.
func (s *Segment) copyTo(w io.Writer, open func(file string) (io.ReaderAt, error)) (sent int64, err error) {
	b := buffer(max(min(s.Size, copySize), int64(len(s.Header))))
	defer release(b)
	n := copy(*b, s.Header)
	flush := func() error {
		m, err := w.Write((*b)[:n])
		sent, n = sent+int64(m), 0
		return err
	}
	var r io.ReaderAt
	for i, x := range s.Extents {
		if i == 0 || s.Extents[i-1].File != x.File {
			if r, err = open(x.File); err != nil {
				return sent, err
			}
		}
		for x.Length > 0 {
			if n == len(*b) {
				if err := flush(); err != nil {
					return sent, err
				}
			}
			m := int(min(x.Length, int64(len(*b)-n)))
			if got, err := r.ReadAt((*b)[n:n+m], x.Offset); got < m {
				return sent, fmt.Errorf("%s: byte %d: %w", x.File, x.Offset+int64(got), err)
			}
			n, x.Offset, x.Length = n+m, x.Offset+int64(m), x.Length-int64(m)
		}
	}
	return sent, flush()
}

// read fills media with the bytes of all extents.
func (s *Segment) read(media []byte, open func(file string) (io.ReaderAt, error)) error {
	var r io.ReaderAt
	var err error
	for i, x := range s.Extents {
		if i == 0 || s.Extents[i-1].File != x.File {
			if r, err = open(x.File); err != nil {
				return err
			}
		}
		if n, err := r.ReadAt(media[:x.Length], x.Offset); n < int(x.Length) {
			return fmt.Errorf("%s: byte %d: %w", x.File, x.Offset+int64(n), err)
		}
		media = media[x.Length:]
	}
	return nil
}
