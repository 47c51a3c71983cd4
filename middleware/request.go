package middleware

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

type requestKey struct{}

// request is what Wrap keeps of a request in its context.
type request struct {
	id          string
	correlation string
	scheme      string // as a trusted proxy said; empty: by the connection
	client      string // address, as a trusted proxy said; empty: the connection's
}

// RequestID returns the id of the request that ctx belongs to, the answer's
// x-ms-request-id. It is empty outside of Wrap.
func RequestID(ctx context.Context) string {
	if req, ok := ctx.Value(requestKey{}).(*request); ok {
		return req.id
	}
	return ""
}

// CorrelationID returns the id that the client shares between several
// requests, or else the request's own.
func CorrelationID(ctx context.Context) string {
	if req, ok := ctx.Value(requestKey{}).(*request); ok {
		return req.correlation
	}
	return ""
}

// Origin returns the scheme, host and port by which the client reached this
// server, such as "https://localhost:8443". It is fit to be put into URLs of
// an answer: a Host header that is no host gives the address of the listener.
func Origin(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	if req, ok := r.Context().Value(requestKey{}).(*request); ok && req.scheme != "" {
		scheme = req.scheme
	}
	host := r.Host
	if !validHost(host) {
		host = "localhost"
		if addr, ok := r.Context().Value(http.LocalAddrContextKey).(interface{ String() string }); ok {
			host = addr.String()
		}
	}
	return scheme + "://" + strings.ToLower(host)
}

// forwarded takes over what a proxy says about the client's connection: of
// scheme and host the first of several values, for that proxy is the nearest
// to the client; of its address the last one, for our proxy added it and all
// before may be the client's invention.
func forwarded(r *http.Request, req *request) {
	first := func(name string) string {
		v, _, _ := strings.Cut(r.Header.Get(name), ",")
		return strings.TrimSpace(v)
	}
	switch p := strings.ToLower(first("X-Forwarded-Proto")); p {
	case "http", "https":
		req.scheme = p
	}
	if h := first("X-Forwarded-Host"); validHost(h) {
		r.Host = h
	}
	if all := r.Header.Values("X-Forwarded-For"); len(all) > 0 {
		last := all[len(all)-1]
		req.client = strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
	}
}

// validHost reports whether h is a host name or address with or without a
// port, and nothing that could leave its place in a URL or in JSON.
func validHost(h string) bool {
	if h == "" || len(h) > 255+6 {
		return false
	}
	for i := range len(h) {
		switch c := h[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("-._:[]", c) >= 0:
		default:
			return false
		}
	}
	u, err := url.Parse("http://" + h)
	return err == nil && u.Host == h && u.Hostname() != ""
}
