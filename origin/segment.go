package origin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/openams/openams/packager"
)

// segmentCaching lets everybody keep a segment: another version of the asset
// has the same URLs, but players hold on to one version for a session.
var segmentCaching = []string{"public, max-age=259200, immutable"}

// earlySegmentCaching is for the segments of an encode under way, which may fail
// and leave none of them.
var earlySegmentCaching = []string{"public, max-age=60"}

// describeSegment sets the headers of a segment of p.
func describeSegment(a *answer, p *presentation, contentType string) {
	hd := a.Header()
	hd["Cache-Control"] = a.caching(segmentCaching)
	if p.Early {
		hd["Cache-Control"] = earlySegmentCaching
	}
	hd["Content-Type"] = []string{contentType}
}

// sendSegment answers with a segment or a range of it.
func (h *Handler) sendSegment(a *answer, r *http.Request, p *presentation, key keptKey, seal *seal, s *packager.Segment) error {
	sum := fnv.New64a()
	io.WriteString(sum, key.path)
	io.WriteString(sum, key.keys)
	etag := fmt.Sprintf(`"%s%016x"`, p.tag, sum.Sum64())

	files := opened{h: h, ctx: r.Context(), p: p}
	defer files.release()
	memory, err := check(s, p)
	if err != nil {
		return err
	}
	if s.Verbatim() {
		// Before the answer begins, so that it can still be an error.
		for i, x := range s.Extents {
			if i > 0 && s.Extents[i-1].File == x.File && p.files[x.File].pieces == nil {
				continue
			}
			f, err := files.open(x.File)
			if err != nil {
				return err
			}
			if j, ok := f.(*joined); ok {
				if err := j.ready(x.Offset, x.Length); err != nil {
					return err
				}
			}
		}
	}
	if s.Unsized { // the answer begins with the size
		k, err := h.keep(r.Context(), key, etag, p, s)
		if err != nil {
			return err
		}
		return sendKept(a, r, p, k)
	}
	describeSegment(a, p, s.ContentType)
	return sendRange(a, r, body{
		etag: etag, size: s.Size,
		write: func(w io.Writer, off, n int64) error {
			if s.Verbatim() {
				return files.copy(w, s, off, n)
			}
			if seal.keeps(s) {
				k, err := h.keep(r.Context(), key, etag, p, s)
				if err != nil {
					return err
				}
				return k.write(w, off, n)
			}
			// Slow clients hold what was made for them until they have it.
			ctx, cancel := context.WithTimeout(r.Context(), h.busy)
			defer cancel()
			if h.memory.Acquire(ctx, memory) != nil {
				return errorf(ServerBusy, "the server makes too many segments at the same time")
			}
			defer h.memory.Release(memory)
			part := &part{w: w, skip: off, left: n}
			if _, err := s.WriteTo(part, files.at); err != nil && err != errEnough {
				return err
			}
			return nil
		},
	})
}

const (
	// maxMade bounds a segment that is made in memory: 21 s at 50 Mbit/s. Its
	// media is in memory at the same time.
	maxMade = 128 << 20
	// busyTime is how long a client waits for others to take their segments.
	busyTime = 10 * time.Second
)

// check refuses a segment whose index does not fit its files: an index that
// lies beside a file comes from whoever may write to the container. It returns
// how much memory the making takes, if it is made at all.
func check(s *packager.Segment, p *presentation) (memory int64, err error) {
	total := s.Size
	if !s.Verbatim() && total > 2*maxMade {
		return 0, errorf(packager.InputFormatNotSupported, "a segment of %d bytes is too large to be made", total)
	}
	if s.Unsized {
		total += s.Size / 2 // the most that escapes can add
	}
	for _, x := range s.Extents {
		f := p.files[x.File]
		if x.Offset < 0 || x.Length < 0 || x.Length > f.size || x.Offset > f.size-x.Length {
			return 0, errorf(packager.InputFormatNotSupported, "the index of %s does not fit the file", x.File)
		}
		if total += x.Length; !s.Verbatim() && total > 2*maxMade {
			return 0, errorf(packager.InputFormatNotSupported, "a segment of %s is too large to be made", x.File)
		}
	}
	return total, nil
}

// opened are the files that one answer reads.
type opened struct {
	h     *Handler
	ctx   context.Context
	p     *presentation
	files []medium
	names []string
}

func (o *opened) open(name string) (medium, error) {
	for i, n := range o.names {
		if n == name {
			return o.files[i], nil
		}
	}
	v, ok := o.p.files[name]
	if !ok {
		return nil, fmt.Errorf("the packager asks for file %q", name)
	}
	f, err := o.h.files.openSource(o.ctx, v)
	if err != nil {
		return nil, err
	}
	o.files, o.names = append(o.files, f), append(o.names, name)
	return f, nil
}

// at is open in the form that the packager asks for.
func (o *opened) at(name string) (io.ReaderAt, error) { return o.open(name) }

func (o *opened) release() {
	for _, f := range o.files {
		f.release()
	}
}

// copy writes n bytes from off of a verbatim segment to w: large extents
// straight from the file, small ones together through a buffer. The encoder
// writes a segment as one extent; a file of another make has an extent for
// every few frames, each of which would cost two system calls.
func (o *opened) copy(w io.Writer, s *packager.Segment, off, n int64) error {
	g := gather{w: w}
	defer g.release()
	if head := int64(len(s.Header)); off < head {
		part := s.Header[off:min(head, off+n)]
		if err := g.add(part); err != nil {
			return err
		}
		n -= int64(len(part))
		off = 0
	} else {
		off -= head
	}
	for _, x := range s.Extents {
		if n == 0 {
			break
		}
		if off >= x.Length {
			off -= x.Length
			continue
		}
		f, err := o.open(x.File)
		if err != nil {
			return err
		}
		m := min(n, x.Length-off)
		if m < smallExtent {
			err = g.read(f, x.Offset+off, m)
		} else if err = g.flush(); err == nil {
			var sent int64
			if sent, err = f.WriteRange(w, x.Offset+off, m); err == nil && sent < m {
				err = io.ErrUnexpectedEOF
			}
		}
		if err != nil {
			return fmt.Errorf("%s: %d bytes at %d: %w", x.File, m, x.Offset+off, err)
		}
		n -= m
		off = 0
	}
	return g.flush()
}

const (
	smallExtent = 32 << 10
	gatherSize  = 256 << 10
)

var gatherBuffers = sync.Pool{New: func() any { return new([gatherSize]byte) }}

// gather joins small writes.
type gather struct {
	w   io.Writer
	buf *[gatherSize]byte // nil until something is added
	n   int
}

func (g *gather) room() ([]byte, error) {
	if g.buf == nil {
		g.buf = gatherBuffers.Get().(*[gatherSize]byte)
	}
	if g.n == gatherSize {
		if err := g.flush(); err != nil {
			return nil, err
		}
	}
	return g.buf[g.n:], nil
}

func (g *gather) add(p []byte) error {
	for len(p) > 0 {
		room, err := g.room()
		if err != nil {
			return err
		}
		n := copy(room, p)
		g.n += n
		p = p[n:]
	}
	return nil
}

// read adds n bytes of r from off.
func (g *gather) read(r io.ReaderAt, off, n int64) error {
	for n > 0 {
		room, err := g.room()
		if err != nil {
			return err
		}
		room = room[:min(int64(len(room)), n)]
		if k, err := r.ReadAt(room, off); k < len(room) {
			return cmp.Or(err, io.ErrUnexpectedEOF)
		}
		g.n += len(room)
		off += int64(len(room))
		n -= int64(len(room))
	}
	return nil
}

func (g *gather) flush() error {
	if g.n == 0 {
		return nil
	}
	_, err := g.w.Write(g.buf[:g.n])
	g.n = 0
	return err
}

func (g *gather) release() {
	if g.buf != nil {
		gatherBuffers.Put(g.buf)
		g.buf = nil
	}
}

// errEnough ends the making of a segment of which a part was asked for.
var errEnough = errors.New("enough")

// part passes on the bytes [skip, skip+left) of what is written to it.
type part struct {
	w          io.Writer
	skip, left int64
}

func (p *part) Write(b []byte) (int, error) {
	n := len(b)
	if int64(len(b)) <= p.skip {
		p.skip -= int64(len(b))
		return n, nil
	}
	b = b[p.skip:]
	p.skip = 0
	enough := int64(len(b)) >= p.left
	b = b[:min(int64(len(b)), p.left)]
	if _, err := p.w.Write(b); err != nil {
		return 0, err
	}
	if p.left -= int64(len(b)); enough {
		return n, errEnough
	}
	return n, nil
}

// A body is something that ranges can be taken of.
type body struct {
	etag     string    // quoted
	modified time.Time // zero: not known
	size     int64
	write    func(w io.Writer, off, n int64) error // exactly n bytes, or an error
}

// sendRange answers GET and HEAD of c with the conditions and the range of the
// request. The caller has set the headers that describe c. A failure of
// c.write before it wrote anything is still answered as an error.
func sendRange(a *answer, r *http.Request, c body) error {
	hd := a.Header()
	hd["Etag"] = []string{c.etag}
	hd["Accept-Ranges"] = acceptRanges
	if done, err := conditions(a, r, c.modified, c.etag); done {
		return err
	}
	off, n, code := int64(0), c.size, http.StatusOK
	if rg := r.Header.Get("Range"); rg != "" && ifRange(r, hd) {
		var ok bool
		off, n, ok = parseRange(rg, c.size)
		switch {
		case !ok:
			hd.Set("Content-Range", "bytes */"+strconv.FormatInt(c.size, 10))
			return errorf(InvalidRange, "the range %q lies outside of %d bytes", rg, c.size)
		case n >= 0:
			code = http.StatusPartialContent
			hd.Set("Content-Range", "bytes "+strconv.FormatInt(off, 10)+"-"+strconv.FormatInt(off+n-1, 10)+"/"+strconv.FormatInt(c.size, 10))
		default: // not a range that we know: the whole
			off, n = 0, c.size
		}
	}
	hd["Content-Length"] = []string{strconv.FormatInt(n, 10)}
	if r.Method == http.MethodHead || n == 0 {
		a.WriteHeader(code)
		return nil
	}
	l := &late{answer: a, code: code, patience: a.patience, conn: http.NewResponseController(a.ResponseWriter)}
	defer l.conn.SetWriteDeadline(time.Time{}) // what comes next on the connection has its own time
	return c.write(l, off, n)
}

var acceptRanges = []string{"bytes"}

// late writes the header with the first byte, and gives up on a client that
// takes nothing: it would hold the memory of what was made for it, and files.
type late struct {
	*answer
	code     int
	patience time.Duration // for each piece begun, 0: endless
	conn     *http.ResponseController
}

const (
	// pieceSize is how much a client has to take in the time of its patience.
	pieceSize = 1 << 20
	// maxPiece is how much is sent at once: as much as one call of sendfile.
	maxPiece = 4 << 20
)

// expect begins the answer, and the time in which n bytes have to be gone.
func (l *late) expect(n int64) {
	if l.status == 0 {
		l.answer.WriteHeader(l.code)
	}
	if l.patience > 0 {
		// A writer without deadlines is one of a test.
		_ = l.conn.SetWriteDeadline(time.Now().Add(l.patience * time.Duration(1+n/pieceSize)))
	}
}

func (l *late) Write(p []byte) (int, error) {
	l.expect(int64(len(p)))
	return l.answer.Write(p)
}

func (l *late) ReadFrom(r io.Reader) (sent int64, err error) {
	whole, ok := r.(*io.LimitedReader)
	if !ok {
		whole = &io.LimitedReader{R: r, N: math.MaxInt64}
	}
	for whole.N > 0 {
		part := &io.LimitedReader{R: whole.R, N: min(whole.N, maxPiece)}
		want := part.N
		l.expect(want)
		n, err := l.answer.ReadFrom(part)
		sent += n
		whole.N -= n
		if err != nil || n < want {
			return sent, err
		}
	}
	return sent, nil
}
