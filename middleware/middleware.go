package middleware

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/google/uuid"
)

// The headers by which Azure clients and services name a request.
const (
	headerRequestID     = "X-Ms-Request-Id"
	headerCorrelationID = "X-Ms-Correlation-Request-Id"
	headerClientID      = "X-Ms-Client-Request-Id"
)

// maxClientID bounds a request id chosen by a client; Azure Storage documents
// 1,024 characters for x-ms-client-request-id.
const maxClientID = 1024

// Config says how one listener treats its requests.
type Config struct {
	Name    string       // of the listener, in log and metrics: "management", "blob", "origin"
	Log     *slog.Logger // nil: slog.Default()
	Metrics *Metrics     // nil: none are counted

	// TrustForwarded believes X-Forwarded-Proto, -Host and -For. Only for a
	// listener that nobody but a proxy can reach.
	TrustForwarded bool

	// MaxBody bounds a request body in bytes; 0 leaves that to the handler.
	MaxBody int64

	// ReadTimeout bounds the time for a whole request with its body; 0 does
	// not, for uploads take what they take. NewServer uses it.
	ReadTimeout time.Duration

	// Patience bounds the time in which a client takes one piece of an answer,
	// as the handler writes them; 0 does not. Who asks for much and reads
	// nothing would make the server hold all of it.
	Patience time.Duration

	// Quiet tells which requests leave no line in the access log; nil: none.
	Quiet func(*http.Request) bool

	// Panic answers a request whose handler panicked before it wrote
	// anything. nil: status 500 with a JSON error body.
	Panic func(http.ResponseWriter, *http.Request)
}

// Wrap puts c around h.
func Wrap(h http.Handler, c Config) http.Handler {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Panic == nil {
		c.Panic = internalError
	}
	c.Log = c.Log.With("listener", c.Name)
	return &wrapper{next: h, c: c}
}

// NewServer returns a server of h in c with limits on what a client can make
// it hold: headers of 64 KiB, ten seconds to send them. Answers as a whole have
// no time limit, for segments take what they take.
func NewServer(h http.Handler, c Config) *http.Server {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return &http.Server{
		Handler:           Wrap(h, c),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       c.ReadTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		// TLS handshakes that fail are the client's affair.
		ErrorLog: slog.NewLogLogger(c.Log.With("listener", c.Name).Handler(), slog.LevelDebug),
	}
}

type wrapper struct {
	next http.Handler
	c    Config
}

func (m *wrapper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	req := &request{id: uuid.NewString()}
	if req.correlation = r.Header.Get(headerCorrelationID); !printable(req.correlation, 128) {
		req.correlation = req.id
	}
	h := w.Header()
	h[headerRequestID] = []string{req.id}
	h[headerCorrelationID] = []string{req.correlation}
	if id := r.Header.Get(headerClientID); printable(id, maxClientID) {
		h[headerClientID] = []string{id}
	}

	// The log says what came in, also when a handler rewrites its request.
	method, url := r.Method, *r.URL
	r = r.WithContext(context.WithValue(r.Context(), requestKey{}, req))
	if m.c.TrustForwarded {
		forwarded(r, req)
	}
	if m.c.MaxBody > 0 && r.Body != nil {
		r.Body = http.MaxBytesReader(w, r.Body, m.c.MaxBody)
	}

	rec := &recorder{ResponseWriter: w, patience: m.c.Patience}
	done := m.c.Metrics.begin(m.c.Name)
	defer func() {
		p := recover()
		if p != nil && p != http.ErrAbortHandler {
			m.c.Log.Error("panic", "request_id", req.id, "method", method, "url", RedactURL(&url),
				"panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			if rec.status == 0 && !rec.hijacked {
				m.c.Panic(rec, r)
				p = nil
			}
		}
		status := rec.status
		if status == 0 {
			// net/http answers 200 for a handler that wrote nothing.
			status = http.StatusOK
		}
		if p != nil {
			// The connection is cut: not what the client was first told.
			status = 499
		}
		rec.extend() // for what is written after the handler
		took := time.Since(start)
		done(method, status, rec.bytes, took)
		if m.c.Quiet == nil || !m.c.Quiet(r) {
			m.c.Log.LogAttrs(r.Context(), slog.LevelInfo, "request",
				slog.String("method", method), slog.String("url", RedactURL(&url)),
				slog.Int("status", status), slog.Int64("bytes", rec.bytes),
				slog.Float64("ms", float64(took.Round(time.Microsecond))/float64(time.Millisecond)),
				slog.String("remote", r.RemoteAddr),
				slog.String("request_id", req.id))
		}
		if p != nil {
			// An answer that was begun must not look complete.
			panic(http.ErrAbortHandler)
		}
	}()
	m.next.ServeHTTP(rec, r)
}

// internalError is the body that Azure Resource Manager gives for a failure of
// its own.
func internalError(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	for _, name := range []string{"Content-Length", "Content-Encoding", "Content-Range", "Etag", "Last-Modified", "Cache-Control"} {
		h.Del(name)
	}
	h.Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(http.StatusInternalServerError)
	fmt.Fprintf(w, `{"error":{"code":"InternalServerError","message":"The server failed. The request id is %s."}}`,
		RequestID(r.Context()))
}

// printable reports whether s may be repeated in a header and a log: 1 to max
// characters of printable ASCII.
func printable(s string, max int) bool {
	if s == "" || len(s) > max {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
