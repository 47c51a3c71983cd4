package restblob

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/openams/openams/blob"
	"github.com/openams/openams/middleware"
	"github.com/openams/openams/sas"
)

// Keys finds the two keys of a storage account. An error whose ams.Code is
// NotFound means that there is no such account.
type Keys interface {
	StorageKeys(ctx context.Context, account string) ([2][]byte, error)
}

// Bearer says what the bearer of a token may do with the blobs of a storage
// account. An error means that the token is not good.
type Bearer interface {
	CheckStorage(ctx context.Context, account, token string) (read, write bool, err error)
}

// Delegates knows the users who may sign URLs by tokens of theirs.
type Delegates interface {
	// StorageUser says whose a token for a storage account is, by object id and
	// tenant id.
	StorageUser(ctx context.Context, account, token string) (object, tenant string, err error)
	// StorageRights is what a user may do with the blobs of a storage account at
	// present. An error means that there is no such user.
	StorageRights(ctx context.Context, account, object, tenant string) (read, write bool, err error)
}

// Outgoing makes requests to other servers, with a guard against private
// addresses: a *dial.Client.
type Outgoing interface {
	Do(*http.Request) (*http.Response, error)
}

// Config is what the face is made of.
type Config struct {
	Store  *blob.Store
	Keys   Keys
	Bearer Bearer           // nil: tokens are refused
	Now    func() time.Time // nil: time.Now
	Log    *slog.Logger     // nil: nothing is logged

	// Delegates lets users sign URLs with keys of their own, derived from
	// Secret, which must stay the same. nil: they may not.
	Delegates Delegates
	Secret    []byte

	// Outgoing fetches what is copied from other servers; nil: nothing is.
	Outgoing Outgoing
	// Hosts are the "host:port" under which this endpoint is known, apart from
	// the one that a request names: a copy from them is a copy from here.
	Hosts []string
	// Origins of web pages that may always use the endpoint.
	Origins []string

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
	// trusted is set when the client has shown a key of the account, or a token
	// with the right to read it.
	trusted bool
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := blob.NewGUID()
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
	err := s.serve(out, r, nil)
	if err == nil {
		return
	}
	f := s.fault(r, id, err)
	if out.started {
		// The status is sent: only a broken connection tells the client.
		panic(http.ErrAbortHandler)
	}
	drain(r, body, f)
	writeFault(w, r, f, id, s.Now())
}

// fault is what r's client is told of err.
func (s *server) fault(r *http.Request, id string, err error) *fault {
	if f := toFault(err); f != nil {
		return f
	}
	if r.Context().Err() == nil && !middleware.Disconnected(err) {
		s.Log.ErrorContext(r.Context(), "blob request failed", "method", r.Method, "path", r.URL.Path, "request", id, "err", err)
	}
	return &fault{status: http.StatusInternalServerError, code: "InternalError", msg: "The server encountered an internal error. Please retry the request."}
}

// serve answers r, or returns why not. A part of a batch has the version of
// the whole.
func (s *server) serve(w *response, r *http.Request, whole *request) error {
	q := &request{Request: r, query: r.URL.Query(), now: s.Now()}
	if err := q.readVersion(); err != nil {
		return err
	}
	if whole != nil && q.Header.Get("x-ms-version") == "" {
		q.version = whole.version
	}
	w.Header().Set("x-ms-version", q.version)
	var err error
	if q.target, err = parseTarget(r); err != nil {
		return err
	}
	if r.Method == http.MethodOptions {
		return s.preflight(w, q)
	}
	if err := s.shareWith(w, q); err != nil {
		return err
	}
	op, err := route(q)
	if err != nil {
		return err
	}
	if err := s.authorize(q, op); err != nil {
		return err
	}
	for _, name := range []string{"x-ms-encryption-key", "x-ms-encryption-scope"} {
		if q.Header.Get(name) != "" { // to ignore it would store in the clear what the client thinks sealed
			return unserved("encryption by the client's keys or scopes")
		}
	}
	if err := op.run(s, w, q); err != nil {
		return q.leaseFault(err)
	}
	return nil
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
	exposed string // headers that a page of another origin may read, as its rule has them
}

func (w *response) WriteHeader(status int) {
	if w.exposed != "" {
		expose(w.Header(), w.exposed)
	}
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

func httpTime(t time.Time) string { return t.UTC().Format(http.TimeFormat) }

func quoted(etag string) string { return strconv.Quote(etag) }
