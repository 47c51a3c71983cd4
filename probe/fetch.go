package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

type counter = atomic.Int64

const (
	requestTime = 30 * time.Second
	maxManifest = 32 << 20
	maxSegment  = 256 << 20
	maxKey      = 64 << 10
)

// get fetches a resource of at most limit bytes.
func (p *prober) get(ctx context.Context, r resource, limit int64) ([]byte, http.Header, error) {
	body, header, _, err := p.do(ctx, http.MethodGet, r, nil, "", limit)
	return body, header, err
}

func (p *prober) do(ctx context.Context, method string, r resource, send io.Reader, token string, limit int64) ([]byte, http.Header, *url.URL, error) {
	req, err := http.NewRequestWithContext(ctx, method, r.url, send)
	if err != nil {
		return nil, nil, nil, errors.New("the URL is malformed")
	}
	for name, values := range p.c.Header {
		req.Header[name] = values
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if send != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.n > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", r.off, r.off+r.n-1))
	}
	p.requests.Add(1)
	res, err := p.client.Do(req)
	if err != nil {
		// Without the URL, which may carry a token.
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err
		}
		return nil, nil, nil, err
	}
	defer res.Body.Close()
	limit = min(limit, p.c.MaxBytes-p.bytes.Load())
	if limit <= 0 {
		return nil, nil, nil, errors.New("the bound on bytes in all is reached")
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	p.bytes.Add(int64(len(body)))
	switch {
	case err != nil:
		return nil, nil, nil, fmt.Errorf("the body breaks off after %d bytes", len(body))
	case int64(len(body)) > limit:
		return nil, nil, nil, fmt.Errorf("there are more than %d bytes", limit)
	case r.n > 0 && res.StatusCode != http.StatusPartialContent:
		return nil, nil, nil, fmt.Errorf("a range is answered with %s", status(res, body))
	case r.n == 0 && res.StatusCode != http.StatusOK:
		return nil, nil, nil, errors.New(status(res, body))
	case r.n > 0 && int64(len(body)) != r.n:
		return nil, nil, nil, fmt.Errorf("%d bytes were asked for, %d came", r.n, len(body))
	}
	return body, res.Header, res.Request.URL, nil
}

// status is a status line, with what a streaming endpoint says of the error.
func status(res *http.Response, body []byte) string {
	s := strconv.Itoa(res.StatusCode) + " " + http.StatusText(res.StatusCode)
	if len(body) > 4096 {
		return s
	}
	if e, err := parseXML(body); err == nil && e.name == "Error" {
		for _, name := range []string{"Code", "Message"} {
			if c := e.child(name); c != nil {
				s += ", " + c.text
			}
		}
	}
	return s
}

// manifest fetches the manifest that all begins with, and where it was in the end.
func (p *prober) manifest(ctx context.Context, link *url.URL) ([]byte, *url.URL, error) {
	body, _, at, err := p.do(ctx, http.MethodGet, resource{url: link.String()}, nil, "", maxManifest)
	if err != nil {
		return nil, nil, fmt.Errorf("the manifest: %w", err)
	}
	return body, at, nil
}

// contentType checks the media type of an answer.
func (p *prober) contentType(s *stream, url string, h http.Header, want ...string) {
	got, _, _ := strings.Cut(strings.ToLower(h.Get("Content-Type")), ";")
	for _, w := range want {
		if strings.TrimSpace(got) == w {
			return
		}
	}
	p.warn(s, url, "Content-Type is %q, not %s", got, strings.Join(want, " or "))
}
