package restblob

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/openams/openams/blob"
)

// patience is how long a body may bring nothing before it counts as broken
// off. There is no limit to the whole: honest uploads may be slow.
const patience = 2 * time.Minute

// A patientBody gives each read of a body its own deadline.
type patientBody struct {
	io.ReadCloser
	conn *http.ResponseController
	wait time.Duration
	err  error // the end, once reached
}

func (b *patientBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	b.extend() // where the server has no deadlines, the body has none
	n, err := b.ReadCloser.Read(p)
	if b.err = err; err == io.EOF {
		// The server goes on reading the connection, to see the client leave.
		b.conn.SetReadDeadline(time.Time{})
	}
	return n, err
}

func (b *patientBody) extend() { b.conn.SetReadDeadline(time.Now().Add(b.wait)) }

// body is the request's body with what its headers say about it, up to limit
// bytes of content.
func body(w http.ResponseWriter, q *request, limit int64) (io.Reader, blob.PutOptions, error) {
	var o blob.PutOptions
	var err error
	if o.MD5, err = md5Header(q.Header, "Content-MD5"); err != nil {
		return nil, o, err
	}
	if o.CRC64, err = crcHeader(q.Header); err != nil {
		return nil, o, err
	}
	if q.Header.Get("x-ms-structured-body") != "" {
		r, size, err := structuredBody(q, limit)
		o.Size = size
		w.Header().Set("x-ms-structured-body", structuredMark)
		return r, o, err
	}
	if q.ContentLength > limit {
		return nil, o, &http.MaxBytesError{Limit: limit}
	}
	o.Size = max(q.ContentLength, 0) // chunked: unknown
	return bodyReader{http.MaxBytesReader(w, q.Body, limit)}, o, nil
}

// A bodyReader marks what the client broke.
type bodyReader struct{ io.Reader }

func (r bodyReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && err != io.EOF {
		if _, ok := errors.AsType[*http.MaxBytesError](err); !ok {
			err = fmt.Errorf("%w: %w", errBody, err)
		}
	}
	return n, err
}

// maxDrained is the most of a refused body that is read and thrown away.
const maxDrained = 64 << 20

// drain reads what is left of a small body, for clients that send all of it
// before they look at the answer: a connection closed under them would hide
// the answer. Strangers, and clients that wait for 100 Continue, get none.
func drain(r *http.Request, b *patientBody, f *fault) {
	switch {
	case f.status == http.StatusUnauthorized, f.status == http.StatusForbidden,
		r.Header.Get("Expect") != "", r.ContentLength > maxDrained:
	default:
		io.CopyN(io.Discard, b, maxDrained)
	}
	if b.err == nil {
		b.extend() // the server itself reads on for a while
	}
}
