package origin

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/openams/openams/packager"
)

// textCaching lets a manifest of a recorded presentation be kept for a minute:
// it changes only when somebody uploads another version.
const textCaching = "public, max-age=60"

// A textKey names a manifest or playlist of one version of a presentation.
type textKey struct {
	tag, container string
	path           string // canonical
	seal           string // what it says of keys
	view           string // what filters leave
}

// A text is a manifest or playlist, ready to be sent.
type text struct {
	packager.Document
	etag, gzipETag string // quoted

	once   sync.Once
	zipped []byte // nil: not worth it
}

// gzipped returns the text compressed, nil if that does not make it shorter.
func (t *text) gzipped() []byte {
	t.once.Do(func() {
		var b bytes.Buffer
		z, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed)
		z.Write(t.Body)
		z.Close()
		if b.Len() < len(t.Body) {
			t.zipped = b.Bytes()
		}
	})
	return t.zipped
}

// sendText answers with a manifest or playlist.
func (h *Handler) sendText(a *answer, r *http.Request, p *presentation, q *Request, seal *seal, v *view, f *packager.Format, o packager.Options) error {
	key := textKey{p.tag, p.made[0].Container, string(q.appendBelow(nil)), seal.tag(true), ""}
	if v != nil {
		key.view = v.id
	}
	t, err := h.texts.get(key, func() (*text, int64, error) {
		d, err := write(p, q, v, f, o)
		if err != nil {
			return nil, 0, err
		}
		sum := sha256.Sum256(d.Body)
		return &text{
			Document: *d,
			etag:     fmt.Sprintf(`"%x"`, sum[:8]),
			gzipETag: fmt.Sprintf(`"%x-gzip"`, sum[:8]),
		}, 2*int64(len(d.Body)) + 512, nil
	})
	if err != nil {
		return err
	}
	if seal != nil && seal.token != "" {
		return sendWithToken(a, r, t, seal.token)
	}
	hd := a.Header()
	body, etag := t.Body, t.etag
	if len(body) >= 512 && acceptsGzip(r.Header["Accept-Encoding"]) && t.gzipped() != nil {
		body, etag = t.gzipped(), t.gzipETag
		hd["Content-Encoding"] = gzipEncoding
	}
	hd["Etag"] = []string{etag}
	hd["Cache-Control"] = a.caching(textCachingHeader)
	if p.Early {
		hd["Cache-Control"] = earlyCaching // whatever the endpoint says of finished ones
	}
	hd["Vary"] = varyEncoding
	if done, err := conditions(a, r, time.Time{}, t.etag, t.gzipETag); done {
		return err
	}
	hd["Content-Type"] = []string{t.ContentType}
	hd["Content-Length"] = []string{strconv.Itoa(len(body))}
	a.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		a.Write(body)
	}
	return nil
}

var (
	gzipEncoding      = []string{"gzip"}
	varyEncoding      = []string{"Accept-Encoding"}
	textCachingHeader = []string{textCaching}
	earlyCaching      = []string{"public, max-age=1"}
)

// acceptsGzip reads Accept-Encoding.
func acceptsGzip(values []string) bool {
	for _, v := range values {
		for item := range strings.SplitSeq(v, ",") {
			name, param, _ := strings.Cut(item, ";")
			if name = strings.TrimSpace(name); !strings.EqualFold(name, "gzip") && name != "*" {
				continue
			}
			q, ok := strings.CutPrefix(strings.ReplaceAll(strings.ToLower(param), " ", ""), "q=")
			if !ok {
				return true
			}
			f, err := strconv.ParseFloat(q, 64)
			return err == nil && f > 0
		}
	}
	return false
}
