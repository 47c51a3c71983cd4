package restblob

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
)

// maxSyncCopy is the largest foreign source that is copied while the client
// waits (documented: Copy Blob From URL).
const maxSyncCopy = 256 << 20

// copyBlob serves Copy Blob and, with x-ms-requires-sync, Copy Blob From URL.
// A copy from this server is done at once, one from elsewhere in the
// background.
func (s *server) copyBlob(w http.ResponseWriter, q *request) error {
	var o blob.PutOptions
	if err := describe(q, &o, false); err != nil {
		return err
	}
	sync := strings.EqualFold(q.Header.Get("x-ms-requires-sync"), "true")
	src, err := s.openSource(q, "")
	if err != nil {
		return err
	}
	defer src.close()
	o.Headers = src.headers
	if o.Metadata == nil {
		o.Metadata = src.metadata
	}
	o.Copy = &ams.Copy{ID: blob.NewGUID(), Source: src.name}
	var b *ams.Blob
	switch {
	case src.reader != nil:
		if err := src.verify(q); err != nil {
			return err
		}
		b, err = s.Store.CopyBlob(q.Context(), src.reader, q.account, q.container, q.blob, o)
	case sync:
		b, err = s.putSource(q, src, o)
	default:
		b, err = s.Store.StartCopy(q.Context(), q.account, q.container, q.blob, src.open, o)
		src.detached = err == nil
	}
	if err != nil {
		return writing(q, err)
	}
	w.Header().Set("x-ms-copy-id", b.Copy.ID)
	w.Header().Set("x-ms-copy-status", string(b.Copy.Status))
	return written(w, b, http.StatusAccepted)
}

// putSource copies a foreign source while the client waits.
func (s *server) putSource(q *request, src *source, o blob.PutOptions) (*ams.Blob, error) {
	tooLarge := &fault{status: http.StatusConflict, code: "CannotVerifyCopySource", msg: "The source is larger than 256 MiB, the most that is copied in one request."}
	if src.size > maxSyncCopy {
		return nil, tooLarge
	}
	if err := src.sums(q, &o); err != nil {
		return nil, err
	}
	if o.MD5 == nil {
		o.MD5 = src.headers.ContentMD5
	}
	o.Size = max(src.size, 0)
	if o.Copy != nil {
		c := *o.Copy
		c.Status, c.Done, c.Total, c.Completed = ams.CopySuccess, o.Size, o.Size, q.now.UTC()
		o.Copy = &c
	}
	b, err := s.Store.Put(q.Context(), q.account, q.container, q.blob, src.reads(maxSyncCopy), o)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tooLarge // its length was not told
	}
	return b, err
}

// putBlobFromURL serves Put Blob From URL.
func (s *server) putBlobFromURL(w http.ResponseWriter, q *request) error {
	if q.Header.Get("x-ms-blob-type") != "BlockBlob" {
		return bad("InvalidHeaderValue", "The value of the header x-ms-blob-type is not BlockBlob.")
	}
	var o blob.PutOptions
	if err := describe(q, &o, false); err != nil {
		return err
	}
	src, err := s.openSource(q, "")
	if err != nil {
		return err
	}
	defer src.close()
	if src.size > maxPut {
		return &fault{status: http.StatusConflict, code: "CannotVerifyCopySource", msg: "The source is larger than 5000 MiB."}
	}
	if !strings.EqualFold(q.Header.Get("x-ms-copy-source-blob-properties"), "false") {
		mine, theirs := &o.Headers, &src.headers
		for _, f := range []struct{ to, from *string }{
			{&mine.ContentType, &theirs.ContentType}, {&mine.ContentEncoding, &theirs.ContentEncoding},
			{&mine.ContentLanguage, &theirs.ContentLanguage}, {&mine.ContentDisposition, &theirs.ContentDisposition},
			{&mine.CacheControl, &theirs.CacheControl},
		} {
			if *f.to == "" {
				*f.to = *f.from
			}
		}
	}
	if err := src.sums(q, &o); err != nil {
		return err
	}
	o.Size = max(src.size, 0)
	b, err := s.Store.Put(q.Context(), q.account, q.container, q.blob, src.reads(maxPut), o)
	if err != nil {
		return writing(q, err)
	}
	setMD5(w.Header(), "Content-MD5", b.Headers.ContentMD5)
	w.Header().Set("x-ms-content-crc64", crcText(b.Extents[0].CRC64))
	return written(w, b, http.StatusCreated)
}

// putBlockFromURL serves Put Block From URL.
func (s *server) putBlockFromURL(w http.ResponseWriter, q *request) error {
	lease, err := leaseCondition(q.Header)
	if err != nil {
		return err
	}
	src, err := s.openSource(q, q.Header.Get("x-ms-source-range"))
	if err != nil {
		return err
	}
	defer src.close()
	if src.size > maxBlock {
		return &http.MaxBytesError{Limit: maxBlock}
	}
	o := blob.PutOptions{If: lease, Size: max(src.size, 0)}
	if err := src.sums(q, &o); err != nil {
		return err
	}
	return s.stageBlock(w, q, src.reads(maxBlock), o)
}

// abortCopy serves Abort Copy Blob.
func (s *server) abortCopy(w http.ResponseWriter, q *request) error {
	if !strings.EqualFold(q.Header.Get("x-ms-copy-action"), "abort") {
		return bad("MissingRequiredHeader", "An HTTP header that's mandatory for this request is not specified: x-ms-copy-action.")
	}
	lease, err := leaseCondition(q.Header)
	if err != nil {
		return err
	}
	if err := s.Store.AbortCopy(q.Context(), q.account, q.container, q.blob, q.query.Get("copyid"), lease.Lease); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// A source is what a request asks to copy, opened.
type source struct {
	name     string       // its URL without signature
	reader   *blob.Reader // of this server; nil: foreign
	part     span         // of reader
	body     io.ReadCloser
	size     int64 // -1: unknown
	headers  ams.BlobHeaders
	metadata map[string]string
	cancel   context.CancelFunc // of a foreign request
	detached bool               // a copy in the background closes it
}

func (src *source) close() {
	switch {
	case src.reader != nil:
		src.reader.Close()
	case !src.detached:
		src.body.Close()
		src.cancel()
	}
}

// reads is what the source holds, at most limit bytes.
func (src *source) reads(limit int64) io.Reader {
	if src.reader != nil {
		return io.NewSectionReader(src.reader, src.part.off, src.part.n)
	}
	return http.MaxBytesReader(nil, io.NopCloser(sourceReader{src.body}), limit)
}

// open hands the foreign source to a copy in the background.
func (src *source) open(ctx context.Context) (io.ReadCloser, int64, error) {
	context.AfterFunc(ctx, src.cancel)
	return src.body, max(src.size, 0), nil
}

// sums reads the sums that the client says the source has.
func (src *source) sums(q *request, o *blob.PutOptions) (err error) {
	if o.MD5, err = md5Header(q.Header, "x-ms-source-content-md5"); err != nil {
		return err
	}
	if v := q.Header.Get("x-ms-source-content-crc64"); v != "" {
		o.CRC64, err = crcHeader(http.Header{"X-Ms-Content-Crc64": {v}})
	}
	return err
}

// verify compares a source of this server with the sum that the client says.
func (src *source) verify(q *request) error {
	want, err := md5Header(q.Header, "x-ms-source-content-md5")
	if err != nil || want == nil {
		return err
	}
	if string(want) != string(src.headers.ContentMD5) {
		return blob.ErrMD5
	}
	return nil
}

// A sourceReader marks what a foreign server broke.
type sourceReader struct{ io.Reader }

func (r sourceReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = unverified(http.StatusBadRequest, 0, "", "The copy source broke off.")
	}
	return n, err
}

// unverified is the refusal of a source, with what the source itself said.
func unverified(status, theirs int, code, msg string) error {
	f := &fault{status: status, code: "CannotVerifyCopySource", msg: msg, header: map[string]string{}}
	if theirs != 0 {
		f.header["x-ms-copy-source-status-code"] = strconv.Itoa(theirs)
	}
	if code != "" {
		f.header["x-ms-copy-source-error-code"] = code
	}
	return f
}

// maxSourceURL is documented for Copy Blob.
const maxSourceURL = 2 << 10

// openSource opens what x-ms-copy-source names, or the range of it.
func (s *server) openSource(q *request, byteRange string) (*source, error) {
	text := q.Header.Get("x-ms-copy-source")
	u, err := url.Parse(text)
	if err != nil || len(text) > maxSourceURL*4 || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return nil, bad("InvalidHeaderValue", "The value of the header x-ms-copy-source is not an http or https URL.")
	}
	bare := *u
	bare.RawQuery, bare.Fragment = "", ""
	if snapshot := u.Query().Get("snapshot"); snapshot != "" {
		bare.RawQuery = url.Values{"snapshot": {snapshot}}.Encode()
	}
	var src *source
	if s.own(q, u) {
		src, err = s.openOwn(q, u, byteRange)
	} else {
		src, err = s.openForeign(q, u, byteRange)
	}
	if err != nil {
		return nil, err
	}
	src.name = bare.String()
	return src, nil
}

// own reports whether u is an address of this endpoint.
func (s *server) own(q *request, u *url.URL) bool {
	if strings.EqualFold(u.Host, q.Host) {
		return true
	}
	for _, h := range s.Hosts {
		if strings.EqualFold(u.Host, h) {
			return true
		}
	}
	if !q.hostStyle {
		return false
	}
	_, mine, _ := strings.Cut(q.Host, ".")
	_, theirs, ok := strings.Cut(u.Host, ".")
	return ok && strings.EqualFold(mine, theirs)
}

// sourceConditions turns x-ms-source-if-… into conditional headers.
func sourceConditions(h http.Header) http.Header {
	out := make(http.Header)
	for _, name := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		if v := h.Get("x-ms-source-" + name); v != "" {
			out.Set(name, v)
		}
	}
	return out
}

func sourceConditionNotMet() error {
	return &fault{status: http.StatusPreconditionFailed, code: "SourceConditionNotMet", msg: "The source condition specified using HTTP conditional header(s) is not met."}
}

// openOwn opens a blob or snapshot of this server, if the URL or the request
// itself has the right to read it.
func (s *server) openOwn(q *request, u *url.URL, byteRange string) (*source, error) {
	h := sourceConditions(q.Header)
	r := (&http.Request{Method: http.MethodGet, URL: u, Host: u.Host, RequestURI: u.RequestURI(), Header: h, RemoteAddr: q.RemoteAddr, TLS: q.TLS}).WithContext(q.Context())
	from := &request{Request: r, query: u.Query(), now: q.now, version: q.version}
	var err error
	if from.target, err = parseTarget(r); err != nil || from.blob == "" {
		return nil, bad("InvalidHeaderValue", "The value of the header x-ms-copy-source names no blob.")
	}
	auth := q.Header.Get("x-ms-copy-source-authorization")
	switch {
	case auth != "" && !strings.HasPrefix(strings.ToLower(auth), "bearer "):
		return nil, bad("InvalidHeaderValue", "x-ms-copy-source-authorization takes bearer tokens only.")
	case auth != "" || from.query.Has("sig") || !q.trusted || from.account != q.account:
		if auth != "" {
			h.Set("Authorization", auth)
		}
		// Its bytes are read, whatever comp and restype its address has.
		if err := s.authorize(from, readOperation()); err != nil {
			f := toFault(err)
			if f == nil {
				return nil, err
			}
			return nil, unverified(f.status, f.status, f.code, "The copy source may not be read: "+f.msg)
		}
	}
	reader, err := s.Store.OpenSnapshot(q.Context(), from.account, from.container, from.blob, from.query.Get("snapshot"))
	if err != nil {
		if f := toFault(err); f != nil {
			return nil, unverified(f.status, f.status, f.code, "The copy source can't be read: "+f.msg)
		}
		return nil, err
	}
	src, err := s.ownSource(q, reader, h, byteRange)
	if err != nil {
		reader.Close()
	}
	return src, err
}

func (s *server) ownSource(q *request, reader *blob.Reader, h http.Header, byteRange string) (*source, error) {
	b := reader.Blob()
	cond, err := conditions(h)
	if err != nil {
		return nil, err
	}
	if cond.CheckRead(b, q.now) != nil {
		return nil, sourceConditionNotMet()
	}
	if b.Copy != nil && b.Copy.Status == ams.CopyPending {
		return nil, blob.ErrCopyPending
	}
	src := &source{reader: reader, size: b.Size, part: span{n: b.Size}, headers: b.Headers, metadata: b.Metadata}
	if byteRange != "" {
		if src.part, err = readRange(http.Header{"Range": {byteRange}}, b.Size); err != nil {
			return nil, err
		}
		src.size = src.part.n
	}
	return src, nil
}

// openForeign asks another server for the source.
func (s *server) openForeign(q *request, u *url.URL, byteRange string) (*source, error) {
	if s.Outgoing == nil {
		return nil, unverified(http.StatusForbidden, 0, "", "This server copies from nowhere but itself.")
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(q.Context()))
	// While the answer's head is awaited, the client may still hang up.
	stop := context.AfterFunc(q.Context(), cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		cancel()
		return nil, bad("InvalidHeaderValue", "The value of the header x-ms-copy-source is not a URL.")
	}
	r.Header = sourceConditions(q.Header)
	if u.Query().Has("sig") || q.Header.Get("x-ms-copy-source-authorization") != "" {
		r.Header.Set("x-ms-version", "2021-06-08")
	}
	if auth := q.Header.Get("x-ms-copy-source-authorization"); auth != "" {
		r.Header.Set("Authorization", auth)
	}
	if byteRange != "" {
		r.Header.Set("Range", byteRange)
	}
	resp, err := s.Outgoing.Do(r)
	stop()
	if err != nil {
		cancel()
		return nil, unverified(http.StatusNotFound, 0, "", "The copy source could not be reached, or is not allowed.")
	}
	src, err := foreignSource(resp, byteRange)
	if err != nil {
		resp.Body.Close()
		cancel()
		return nil, err
	}
	src.cancel = cancel
	return src, nil
}

func foreignSource(resp *http.Response, byteRange string) (*source, error) {
	switch code := resp.StatusCode; {
	case code == http.StatusNotModified, code == http.StatusPreconditionFailed:
		return nil, sourceConditionNotMet()
	case code == http.StatusUnauthorized, code == http.StatusForbidden, code == http.StatusNotFound:
		return nil, unverified(code, code, resp.Header.Get("x-ms-error-code"), fmt.Sprintf("The copy source answered %d.", code))
	case code != http.StatusOK && code != http.StatusPartialContent, code == http.StatusOK && byteRange != "":
		return nil, unverified(http.StatusBadRequest, code, resp.Header.Get("x-ms-error-code"), fmt.Sprintf("The copy source answered %d.", code))
	}
	h := resp.Header
	src := &source{body: resp.Body, size: resp.ContentLength, headers: ams.BlobHeaders{
		ContentType: h.Get("Content-Type"), ContentEncoding: h.Get("Content-Encoding"), ContentLanguage: h.Get("Content-Language"),
		ContentDisposition: h.Get("Content-Disposition"), CacheControl: h.Get("Cache-Control"),
	}}
	if sum, err := base64.StdEncoding.DecodeString(h.Get("Content-MD5")); err == nil && len(sum) == 16 && byteRange == "" {
		src.headers.ContentMD5 = sum
	}
	src.metadata, _ = metadata(h) // what cannot be kept is left out
	return src, nil
}

// setCopy sets the headers that tell where a blob was copied from.
func setCopy(h http.Header, c *ams.Copy) {
	if c == nil {
		return
	}
	h.Set("x-ms-copy-id", c.ID)
	h.Set("x-ms-copy-status", string(c.Status))
	h.Set("x-ms-copy-source", c.Source)
	h.Set("x-ms-copy-progress", fmt.Sprintf("%d/%d", c.Done, c.Total))
	if c.Description != "" {
		h.Set("x-ms-copy-status-description", c.Description)
	}
	if !c.Completed.IsZero() {
		h.Set("x-ms-copy-completion-time", httpTime(c.Completed))
	}
}

// copied is setCopy for lists.
func (b *xmlWriter) copied(c *ams.Copy) {
	if c == nil {
		return
	}
	b.element("CopyId", c.ID)
	b.element("CopyStatus", string(c.Status))
	b.element("CopySource", c.Source)
	b.element("CopyProgress", fmt.Sprintf("%d/%d", c.Done, c.Total))
	b.given("CopyStatusDescription", c.Description)
	if !c.Completed.IsZero() {
		b.element("CopyCompletionTime", httpTime(c.Completed))
	}
}
