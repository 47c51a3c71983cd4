package origin

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/middleware"
	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/formats"
	"github.com/openams/openams/packager/hls"
)

// ServeHTTP answers a player.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := &answer{ResponseWriter: w, r: r, patience: h.c.Patience}
	allowOrigins(w.Header(), r)
	var q *Request
	if h.c.Observe != nil {
		// Deferred, because an answer that breaks off ends in a panic.
		defer func() { h.observe(a, q) }()
	}
	q, err := h.serve(a, r)
	if err != nil {
		h.fail(a, err)
	}
}

func (h *Handler) observe(a *answer, q *Request) {
	o := Observation{Format: "none", Status: a.status, Code: a.code, Bytes: a.bytes}
	if q != nil {
		o.Kind = q.Kind
		_, o.Format = q.protocol()
	}
	h.c.Observe(o)
}

func (h *Handler) serve(a *answer, r *http.Request) (*Request, error) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodOptions:
		a.Header().Set("Allow", "GET, HEAD, OPTIONS")
		a.WriteHeader(http.StatusNoContent)
		return nil, nil
	default:
		a.Header().Set("Allow", "GET, HEAD, OPTIONS")
		return nil, errorf(MethodNotAllowed, "a streaming endpoint answers GET, HEAD and OPTIONS")
	}
	if served, err := h.crossSite(a, r); served {
		return nil, err
	}
	q, err := ParsePath(r.URL.EscapedPath())
	if err != nil {
		return nil, err
	}
	p, err := h.resolve(r.Context(), publishedKey{host(r), q.Locator})
	if err != nil {
		return q, err
	}
	a.endpoint = p.endpoint
	if err := p.endpoint.admit(r, h.c.Now()); err != nil {
		return q, err
	}
	if err := permit(p.Policy, q); err != nil {
		return q, err
	}
	seal, err := h.seal(r, p.Published, q)
	if err != nil {
		return q, err
	}
	send := func() error { return h.download(a, r, p.Asset, q.Name) }
	if q.Kind != File {
		v, err := h.view(r.Context(), p, q)
		if err != nil {
			return q, err
		}
		f, err := formats.Lookup(string(q.Format))
		if err != nil {
			return q, err
		}
		if q.Format == HLSv3 {
			f = hls.Muxed(q.AudioTrack)
		}
		send = func() error { return h.play(a, r, p, q, f, seal, v) }
	}
	// A file that is replaced between the look at the records and its opening
	// takes a second look.
	for try := 0; ; try++ {
		if err := send(); !errors.Is(err, errChanged) || try == 3 || a.status != 0 {
			return q, err
		}
	}
}

// play answers with a part of a presentation.
func (h *Handler) play(a *answer, r *http.Request, p *published, q *Request, f *packager.Format, seal *seal, v *view) error {
	show, err := h.titles.open(r.Context(), p.Asset, q.Name+q.Ext, seal.needsNALs(q.Format), p.Tracks, p.tracks)
	if err != nil {
		return err
	}
	respell(q, show.Presentation)
	key := keyOf(show, q, seal)
	if q.Kind == Media {
		prefetch(a, r, show.Presentation, q)
		if k, ok := h.kept.peek(key); ok {
			return sendKept(a, r, show, k)
		}
	}
	f, o, err := seal.sealed(show, f)
	if err != nil {
		return err
	}
	switch q.Kind {
	case Manifest, Playlist:
		return h.sendText(a, r, show, q, seal, v, f, o)
	}
	s, err := plan(show, q, f)
	if err != nil {
		return err
	}
	err = h.sendSegment(a, r, show, key, seal, s)
	if errors.Is(err, errChanged) {
		h.titles.drop(show)
	}
	return err
}

// respell names the tracks of q as p does, so that what is kept of an answer is
// found under every spelling. What p does not have is found to be missing later.
func respell(q *Request, p *packager.Presentation) {
	for _, name := range []*string{&q.Track, &q.AudioTrack} {
		if t, err := p.Track(*name); err == nil {
			*name = t.Name
		}
	}
	if q.Kind != Manifest && !q.Direct {
		if r, err := p.Rendition(q.Track, q.Bitrate); err == nil {
			q.Bitrate = r.Bitrate
		}
	}
}

// plan makes the segment that q asks for.
func plan(p *presentation, q *Request, f *packager.Format) (*packager.Segment, error) {
	r, err := p.Rendition(q.Track, q.Bitrate)
	if err != nil {
		return nil, err
	}
	if q.Kind == Media {
		return f.Fragment(p.Presentation, r, uint64(q.Time))
	}
	if f.Init == nil {
		return nil, errorf(packager.BadURLSyntax, "format %q has no initialization segments", f.Name)
	}
	return f.Init(p.Presentation, r)
}

// write makes the manifest or playlist that q asks for.
func write(all *presentation, q *Request, v *view, f *packager.Format, o packager.Options) (*packager.Document, error) {
	o.NoAudioOnly, o.Keyframes = q.NoAudioOnly, q.KeyFrames
	p := all.Presentation
	if v != nil {
		o.Filters = v.names
		per := 1
		if q.Format.ts() {
			per = p.FragmentsPerTS
		}
		var err error
		if p, err = p.Cut(v.Cut, per); err != nil {
			return nil, err
		}
	}
	if q.Kind == Manifest {
		return f.Manifest(p, o)
	}
	if f.Playlist == nil {
		return nil, errorf(packager.BadURLSyntax, "format %q has no manifest of one track", f.Name)
	}
	t, err := p.Track(q.Track)
	if err != nil {
		return nil, err
	}
	if q.Direct {
		r := t.Renditions[len(t.Renditions)-1]
		if p.FirstQuality != 0 {
			r = t.First(p.FirstQuality)
		}
		o.Base = fmt.Sprintf("QualityLevels(%d)/", r.Bitrate)
		return f.Playlist(p, r, o)
	}
	r, err := p.Rendition(q.Track, q.Bitrate)
	if err != nil {
		return nil, err
	}
	return f.Playlist(p, r, o)
}

// An answer watches what becomes of a response. It keeps the ways of the
// writer below: ReadFrom reaches sendfile.
type answer struct {
	http.ResponseWriter
	r        *http.Request
	endpoint *endpoint // whose answer it is; nil while that is not known
	patience time.Duration
	status   int
	bytes    int64
	code     packager.Code
	lost     bool // the client went away, or takes no more
}

func (a *answer) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	n, err := a.ResponseWriter.Write(p)
	a.bytes += int64(n)
	a.lost = a.lost || err != nil
	return n, err
}

func (a *answer) ReadFrom(r io.Reader) (int64, error) {
	if a.r.ProtoMajor != 1 { // there is no sendfile, and Write knows whose the errors are
		return io.Copy(struct{ io.Writer }{a}, r)
	}
	n, err := io.Copy(a.ResponseWriter, r)
	a.bytes += n
	a.lost = a.lost || middleware.Disconnected(err)
	return n, err
}

func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// fail answers err, or breaks the connection off if the answer has begun: half
// of a segment must not look like a whole one.
func (h *Handler) fail(a *answer, err error) {
	ctx := a.r.Context()
	gone := a.lost || aborted(ctx, err)
	var msg string
	if e, ok := errors.AsType[*packager.Error](err); ok {
		a.code, msg = e.Code, e.Msg
	} else if ams.CodeOf(err) == ams.Invalid { // a file that cannot be decrypted
		a.code, msg = packager.InputFormatNotSupported, err.Error()
	} else {
		a.code, msg = StorageFailure, "the server failed; the request id is "+middleware.RequestID(ctx)
		level, event := slog.LevelError, "origin: a request failed"
		if gone {
			level, event = slog.LevelDebug, "origin: a client went away"
		}
		h.c.Log.LogAttrs(ctx, level, event,
			slog.String("path", a.r.URL.Path), slog.Any("err", err),
			slog.String("request_id", middleware.RequestID(ctx)))
	}
	if a.status != 0 || gone {
		panic(http.ErrAbortHandler)
	}
	refuse(a, a.code, msg)
}

// refuse writes an error.
func refuse(a *answer, code packager.Code, msg string) {
	body, err := xml.Marshal(struct {
		XMLName xml.Name `xml:"Error"`
		Code    packager.Code
		Message string
	}{Code: code, Message: msg})
	if err != nil {
		body = []byte("<Error/>")
	}
	body = append([]byte(xml.Header), body...)
	hd := a.Header()
	for _, name := range []string{"Etag", "Last-Modified", "Content-Encoding", "Accept-Ranges", "CDN-Origin-Assist-Prefetch-Path"} {
		hd.Del(name)
	}
	hd.Set("Content-Type", "application/xml; charset=utf-8")
	hd.Set("Content-Length", strconv.Itoa(len(body)))
	hd.Set("Cache-Control", "no-store")
	hd.Set("X-Content-Type-Options", "nosniff")
	hd.Set("X-Ms-Error-Code", string(code))
	a.WriteHeader(status(code))
	if a.r.Method != http.MethodHead {
		a.Write(body)
	}
}

// exposed are the headers that a script of another origin may read.
const exposed = "Server, Date, ETag, Last-Modified, Content-Length, Content-Range, Accept-Ranges, x-ms-request-id, x-ms-error-code"

// allowOrigins lets players of every origin read what is streamed: access is
// by locator, never by cookie.
func allowOrigins(hd http.Header, r *http.Request) {
	hd["Access-Control-Allow-Origin"] = anyOrigin
	if r.Method != http.MethodOptions {
		hd["Access-Control-Expose-Headers"] = exposedHeaders
		return
	}
	hd.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
	hd.Set("Access-Control-Max-Age", "86400")
	// Players add headers of their own, for their CDN or their statistics.
	if want := r.Header.Get("Access-Control-Request-Headers"); want != "" && len(want) <= 1024 {
		hd.Set("Access-Control-Allow-Headers", want)
		hd.Set("Vary", "Access-Control-Request-Headers")
	}
}

// Header values that are the same in every answer are shared: nobody appends
// to them.
var (
	anyOrigin      = []string{"*"}
	exposedHeaders = []string{exposed}
)
