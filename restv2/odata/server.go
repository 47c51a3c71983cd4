package odata

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/openams/openams/middleware"
)

// maxBody bounds a request, of a $batch too.
const maxBody = 16 << 20

// A Server serves a Model over HTTP.
type Server struct {
	c     Config
	all   *Model // with what is not served
	model *Model
}

// New returns a Server, or says what of c does not fit its Model.
func New(c Config) (*Server, error) {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	for name := range c.Sets {
		if c.Model.Set(name) == nil {
			return nil, fmt.Errorf("odata: no entity set %s", name)
		}
	}
	for id := range c.Calls {
		if !slices.ContainsFunc(c.Model.Functions, func(f *Function) bool { return f.ID() == id }) {
			return nil, fmt.Errorf("odata: no function %s", id)
		}
	}
	for _, set := range c.Model.Sets {
		h := c.Sets[set.Name]
		if h == nil {
			continue
		}
		for _, n := range set.Navigation {
			_, ok := h.(Navigator)
			if c.Sets[n.Set] != nil && n.Via == "" && !ok {
				return nil, fmt.Errorf("odata: nothing follows %s/%s", set.Name, n.Name)
			}
		}
	}
	s := &Server{c: c, all: c.Model}
	s.model = c.Model.served(func(set string) bool { return c.Sets[set] != nil }, func(id string) bool { return c.Calls[id] != nil })
	return s, nil
}

// Model is what s serves: the Model of its Config without what it does not.
func (s *Server) Model() *Model { return s.model }

// A call is a request, or a part of a $batch.
type call struct {
	ctx    context.Context
	method string // after X-HTTP-Method
	path   string // below the root, decoded
	query  url.Values
	header http.Header
	body   []byte
	root   string // URL, ending in a slash
	format format // of the answer

	part bool             // of a $batch
	made map[string]*made // in this changeset, by Content-ID
}

// metadata reports whether c asks for $metadata.
func (c *call) metadata() bool {
	return c.method == http.MethodGet && strings.Trim(c.path, "/") == "$metadata"
}

// A response is the answer to a call.
type response struct {
	status int
	header http.Header
	body   []byte

	// parts, in place of body, makes an answer piece by piece while it is sent:
	// that to a $batch may be a thousand times as large as the request.
	parts iter.Seq[[]byte]
}

// ServeHTTP implements http.Handler. The path of r is the whole one: a mux in
// front must not clean it, for clients double slashes and escape all of it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, err := s.newCall(r)
	if err == nil {
		if c.body, err = readBody(w, r); err == nil {
			s.send(w, r, c, s.answer(c))
			return
		}
	}
	s.send(w, r, c, s.failure(c, err))
}

// WriteError answers r with an error in the format that r asks for: for what
// happens before r gets to the Server, such as a bad token. An err that is no
// *Error is treated as a handler's.
func (s *Server) WriteError(w http.ResponseWriter, r *http.Request, err error) {
	c, _ := s.newCall(r)
	s.send(w, r, c, s.failure(c, err))
}

// newCall returns a call without its body. It is fit to be answered with an
// error even if there is one.
func (s *Server) newCall(r *http.Request) (*call, error) {
	c := &call{ctx: r.Context(), method: r.Method, header: r.Header, root: middleware.Origin(r) + s.c.Path}
	c.path = s.below(r.URL.Path)
	if c.method == http.MethodHead {
		c.method = http.MethodGet
	}
	if m := r.Header.Get("X-HTTP-Method"); m != "" {
		c.method = strings.ToUpper(strings.TrimSpace(m))
	}
	var err error
	c.query, err = parseQuery(r.URL.RawQuery)
	return c, err
}

// below cuts the path of the root off. Its words have no case.
func (s *Server) below(path string) string {
	path = strings.TrimLeft(path, "/")
	root := strings.Trim(s.c.Path, "/")
	if len(path) < len(root) || !strings.EqualFold(path[:len(root)], root) {
		return path
	}
	if rest := path[len(root):]; rest == "" || rest[0] == '/' {
		return rest
	}
	return path
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		if len(b) >= maxBody {
			return nil, Errorf(http.StatusRequestEntityTooLarge, "The request is larger than %d bytes.", maxBody)
		}
		return nil, BadRequest("The body of the request could not be read.")
	}
	return bytes.TrimPrefix(b, []byte("\ufeff")), nil
}

// answer serves a call.
func (s *Server) answer(c *call) *response {
	var err error
	if c.format, err = accepted(c.header); err != nil {
		return s.failure(c, err)
	}
	if err := checkVersions(c); err != nil {
		return s.failure(c, err)
	}
	resp, err := s.serve(c)
	if err != nil {
		return s.failure(c, err)
	}
	return resp
}

// failure answers with an error.
func (s *Server) failure(c *call, err error) *response {
	if f, ferr := accepted(c.header); ferr == nil {
		c.format = f
	}
	e := s.fault(c, err)
	resp := newResponse(e.Status)
	for name, values := range e.Header {
		resp.header[http.CanonicalHeaderKey(name)] = values
	}
	resp.header.Set("DataServiceVersion", versionOf(c.format))
	resp.set(formatTypes[c.format], writeErrorBody(c.format, e))
	return resp
}

func newResponse(status int) *response {
	return &response{status: status, header: http.Header{}}
}

func (resp *response) set(contentType string, body []byte) {
	resp.header.Set("Content-Type", contentType)
	resp.body = body
}

// versionOf is the version that an answer without an entity names.
func versionOf(f format) string {
	if f.light() {
		return "3.0;"
	}
	return "1.0;"
}

func (s *Server) send(w http.ResponseWriter, r *http.Request, c *call, resp *response) {
	h := w.Header()
	for name, values := range resp.header {
		h[name] = values
	}
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	if strings.HasPrefix(c.root, "https:") {
		h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	}
	if id := middleware.RequestID(c.ctx); id != "" {
		h.Set("Request-Id", id)
	}
	if id := r.Header.Get("x-ms-client-request-id"); id != "" && len(id) <= 1024 {
		h.Set("X-Ms-Client-Request-Id", id)
	}
	if resp.parts != nil {
		w.WriteHeader(resp.status)
		for part := range resp.parts {
			if _, err := w.Write(part); err != nil {
				return // the client is gone
			}
		}
		return
	}
	if resp.status != http.StatusNoContent {
		h.Set("Content-Length", strconv.Itoa(len(resp.body)))
	}
	w.WriteHeader(resp.status)
	if r.Method != http.MethodHead {
		// A client that does not take it is gone.
		_, _ = w.Write(resp.body)
	}
}

func (s *Server) allow(c *call, method, what string) error {
	if s.c.Allow == nil {
		return nil
	}
	return s.c.Allow(c.ctx, method, what)
}

// serve dispatches a call whose headers are good.
func (s *Server) serve(c *call) (*response, error) {
	segments, err := parsePath(c.path)
	if err != nil {
		return nil, err
	}
	if len(segments) == 0 || len(segments) == 1 {
		name := ""
		if len(segments) == 1 {
			name = segments[0].name
		}
		switch name {
		case "":
			return s.read(c, s.serviceDocument)
		case "$metadata":
			return s.read(c, s.metadata)
		case "$batch":
			if c.method != http.MethodPost || c.part {
				return nil, Errorf(http.StatusMethodNotAllowed, "A $batch is a POST and has no $batch inside.")
			}
			return s.batch(c)
		}
		if f := s.all.function("", name); f != nil {
			return s.call(c, f, "")
		}
	}
	t, err := s.resolve(c, segments)
	if err != nil {
		return nil, err
	}
	switch {
	case t.function != nil:
		return s.call(c, t.function, t.key)
	case c.method == http.MethodGet:
		return s.get(c, t)
	}
	return s.change(c, t)
}

func (s *Server) read(c *call, write func(c *call) *response) (*response, error) {
	if c.method != http.MethodGet {
		return nil, Errorf(http.StatusMethodNotAllowed, "The HTTP method '%s' is not allowed here.", clip(c.method))
	}
	return write(c), nil
}
