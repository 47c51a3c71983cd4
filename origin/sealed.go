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

// A sealedKey names an encrypted segment of one version of a presentation.
type sealedKey struct {
	tag, container string
	path           string // canonical
	keys           string
}

// maxKept bounds a segment that is kept encrypted.
const maxKept = 32 << 20

func (s *seal) needsNALs() bool { return s != nil && s.scheme.NeedsNALs() }

// keeps reports whether the encrypted segment is worth keeping: encryption of
// whole segments cannot be made in parallel, and costs more than all else.
func (s *seal) keeps(seg *packager.Segment) bool {
	return s.scheme == protect.AES128 && seg.Size <= maxKept
}

// sendSealed writes a part of a segment that is encrypted as a whole. It is made
// once for all who ask for it.
func (h *Handler) sendSealed(r *http.Request, w io.Writer, p *presentation, q *Request, seal *seal, s *packager.Segment, off, n int64) error {
	key := sealedKey{p.tag, p.made[0].Container, string(q.appendBelow(nil)), seal.tag(false)}
	data, err := h.sealed.get(key, func() ([]byte, int64, error) {
		// The segment is for all who wait, not only for the first.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), busyTime)
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
		b := bytes.NewBuffer(make([]byte, 0, s.Size))
		if _, err := s.WriteTo(b, files.at); err != nil {
			return nil, 0, err
		}
		return b.Bytes(), s.Size + 512, nil
	})
	if err != nil {
		return err
	}
	if off+n > int64(len(data)) {
		return errors.New("an encrypted segment is shorter than planned")
	}
	_, err = w.Write(data[off : off+n])
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
