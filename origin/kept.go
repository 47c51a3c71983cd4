package origin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/protect"
)

// A keptKey names a segment of one version of a presentation, under one seal:
// other keys or another policy make another one of it.
type keptKey struct {
	tag, account, container string
	path                    string // canonical
	keys                    string
}

// A kept segment is one that is not made again for everybody who asks for it.
type kept struct {
	contentType, etag string
	data              []byte
}

const (
	// maxKept bounds a segment that is kept encrypted.
	maxKept = 32 << 20
	// smallKept bounds a segment that is kept whatever it is made of: what it takes
	// to plan it and to go through its samples is more than what sending it does.
	smallKept = 256 << 10
)

func keyOf(p *presentation, q *Request, seal *seal) keptKey {
	return keptKey{p.tag, p.title.account, p.title.container, string(q.appendBelow(nil)), seal.tag(false)}
}

// needsNALs reports whether segments of f take maps of NAL units: transport streams
// go through them anyway.
func (s *seal) needsNALs(f Format) bool { return s != nil && s.scheme.NeedsNALs() && !f.ts() }

// keeps reports whether a segment that is made is worth keeping: a small one, and
// one that is encrypted as a whole, which cannot be done in parallel and costs
// more than all else.
func (s *seal) keeps(seg *packager.Segment) bool {
	if seg.Verbatim() {
		return false
	}
	return seg.Size <= smallKept || s != nil && s.scheme == protect.AES128 && seg.Size <= maxKept
}

// keep returns the segment s of that key and entity tag, made once for all who
// ask for it.
func (h *Handler) keep(ctx context.Context, key keptKey, etag string, p *presentation, s *packager.Segment) (*kept, error) {
	return h.kept.get(key, func() (*kept, int64, error) {
		// The segment is for all who wait, not only for the first.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.busy)
		defer cancel()
		memory, err := check(s, p)
		if err != nil {
			return nil, 0, err
		}
		if h.memory.Acquire(ctx, memory) != nil {
			return nil, 0, errorf(ServerBusy, "the server makes too many segments at the same time")
		}
		defer h.memory.Release(memory)
		files := opened{h: h, ctx: ctx, p: p}
		defer files.release()
		k := &kept{contentType: s.ContentType, etag: etag}
		if _, err := s.WriteTo(k, files.at); err != nil {
			return nil, 0, err
		}
		return k, int64(cap(k.data)) + 1024, nil
	})
}

// Write takes the segment: what is made is written at once.
func (k *kept) Write(p []byte) (int, error) {
	k.data = append(k.data, p...)
	return len(p), nil
}

// sendKept answers with a segment that was made for somebody else, without
// looking at the presentation's index.
func sendKept(a *answer, r *http.Request, p *presentation, k *kept) error {
	describeSegment(a, p, k.contentType)
	return sendRange(a, r, body{etag: k.etag, size: int64(len(k.data)), write: k.write})
}

// write writes n bytes from off.
func (k *kept) write(w io.Writer, off, n int64) error {
	if off+n > int64(len(k.data)) {
		return errors.New("a kept segment is shorter than planned")
	}
	_, err := w.Write(k.data[off : off+n])
	return err
}

// sendWithToken answers with a manifest that carries the client's token on: to
// playlists and to this server's key delivery, and no further. Nobody but that
// client may keep it.
func sendWithToken(a *answer, r *http.Request, t *text, token string) error {
	body := bytes.ReplaceAll(t.Body, []byte(tokenMark), []byte(token))
	hd := a.Header()
	hd["Cache-Control"] = []string{"private, no-store"}
	hd["Content-Type"] = []string{t.ContentType}
	hd["Content-Length"] = []string{strconv.Itoa(len(body))}
	a.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		a.Write(body)
	}
	return nil
}
