package restblob

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/openams/openams/blob"
	"github.com/openams/openams/sas"
)

// Keys finds the two keys of a storage account. An error whose ams.Code is
// NotFound means that there is no such account.
type Keys interface {
	StorageKeys(ctx context.Context, account string) ([2][]byte, error)
}

// Bearer says what the bearer of a token may do with blobs. An error means
// that the token is not good.
type Bearer interface {
	CheckStorage(ctx context.Context, token string) (read, write bool, err error)
}

// Config is what the face is made of.
type Config struct {
	Store  *blob.Store
	Keys   Keys
	Bearer Bearer           // nil: tokens are refused
	Now    func() time.Time // nil: time.Now
	Log    *slog.Logger     // nil: nothing is logged

	// Patience is how long an upload may bring nothing; 0: two minutes.
	Patience time.Duration
}

// New returns the blob endpoint's handler.
func New(c Config) http.Handler {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Patience == 0 {
		c.Patience = patience
	}
	return &server{c}
}

type server struct{ Config }

// defaultVersion is taken for a request that names none.
const defaultVersion = "2009-09-19"

// A request is one HTTP request as the protocol sees it.
type request struct {
	*http.Request
	target
	query   url.Values
	version string
	now     time.Time
	sas     *sas.Values // nil: not signed by URL
	// createOnly is set when the signature lets the client make blobs but not
	// replace them.
	createOnly bool
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := requestID()
	h := w.Header()
	h.Set("Server", "openams-blob")
	h.Set("x-ms-request-id", id)
	if client := r.Header.Get("x-ms-client-request-id"); client != "" && len(client) <= 1024 {
		h.Set("x-ms-client-request-id", client)
	}
	out := &response{ResponseWriter: w}
	r = r.WithContext(r.Context()) // a copy, whose Body is ours to replace
	body := &patientBody{ReadCloser: r.Body, conn: http.NewResponseController(w), wait: s.Patience}
	r.Body = body
	err := s.serve(out, r)
	if err == nil {
		return
	}
	f := toFault(err)
	if f == nil {
		f = &fault{status: http.StatusInternalServerError, code: "InternalError", msg: "The server encountered an internal error. Please retry the request."}
		if r.Context().Err() == nil {
			s.Log.ErrorContext(r.Context(), "blob request failed", "method", r.Method, "path", r.URL.Path, "request", id, "err", err)
		}
	}
	if out.started {
		// The status is sent: only a broken connection tells the client.
		panic(http.ErrAbortHandler)
	}
	drain(r, body, f)
	writeFault(w, r, f, id, s.Now())
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) error {
	q := &request{Request: r, query: r.URL.Query(), now: s.Now()}
	if err := q.readVersion(); err != nil {
		return err
	}
	w.Header().Set("x-ms-version", q.version)
	var err error
	if q.target, err = parseTarget(r); err != nil {
		return err
	}
	if r.Method == http.MethodOptions {
		return &fault{status: http.StatusForbidden, code: "CorsPreflightFailure", msg: "CORS not enabled or no matching rule found for this request."}
	}
	op, err := route(q)
	if err != nil {
		return err
	}
	if err := s.authorize(q, op); err != nil {
		return err
	}
	return op.run(s, w, q)
}

// readVersion accepts any date: clients are newer than every list of versions.
func (q *request) readVersion() error {
	q.version = q.Header.Get("x-ms-version")
	if q.version != "" {
		if !sas.ValidVersion(q.version) {
			return bad("InvalidHeaderValue", "The value of the header x-ms-version is not a date of the form YYYY-MM-DD.")
		}
		return nil
	}
	for _, v := range []string{q.query.Get("api-version"), q.query.Get("sv"), defaultVersion} {
		if sas.ValidVersion(v) {
			q.version = v
			return nil
		}
	}
	return nil
}

// A response knows whether its status is sent, and keeps sendfile working.
type response struct {
	http.ResponseWriter
	started bool
}

func (w *response) WriteHeader(status int) {
	w.started = w.started || status >= 200
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(p []byte) (int, error) {
	w.started = true
	return w.ResponseWriter.Write(p)
}

// ReadFrom hands a file on to the connection, which sends it by sendfile.
func (w *response) ReadFrom(r io.Reader) (int64, error) {
	w.started = true
	return io.Copy(w.ResponseWriter, r)
}

// Unwrap serves http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func requestID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func httpTime(t time.Time) string { return t.UTC().Format(http.TimeFormat) }

func quoted(etag string) string { return strconv.Quote(etag) }
