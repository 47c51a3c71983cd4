package restblob

import (
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"net/http"
	"strconv"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
)

// Limits of bodies (documented).
const (
	maxPut   = 5000 << 20
	maxBlock = 4000 << 20
)

// putBlob serves Put Blob.
func (s *server) putBlob(w http.ResponseWriter, q *request) error {
	switch q.Header.Get("x-ms-blob-type") {
	case "BlockBlob":
	case "":
		return bad("MissingRequiredHeader", "An HTTP header that's mandatory for this request is not specified: x-ms-blob-type.")
	case "PageBlob", "AppendBlob":
		return bad("InvalidHeaderValue", "The value of the header x-ms-blob-type is not supported: openams keeps block blobs only.")
	default:
		return bad("InvalidHeaderValue", "The value of the header x-ms-blob-type is invalid.")
	}
	r, o, err := body(w, q, maxPut)
	if err != nil {
		return err
	}
	if err := describe(q, &o, true); err != nil {
		return err
	}
	if given := o.Headers.ContentMD5; given != nil && o.MD5 == nil {
		o.MD5 = given
	}
	b, err := s.Store.Put(q.Context(), q.account, q.container, q.blob, r, o)
	if err != nil {
		return writing(q, err)
	}
	h := w.Header()
	h.Set("Content-MD5", base64.StdEncoding.EncodeToString(b.Headers.ContentMD5))
	h.Set("x-ms-content-crc64", crcText(b.Extents[0].CRC64))
	return written(w, b, http.StatusCreated)
}

// describe reads the headers that describe a new blob.
func describe(q *request, o *blob.PutOptions, plain bool) (err error) {
	if o.Headers, err = blobHeaders(q.Header, plain); err != nil {
		return err
	}
	if o.Metadata, err = metadata(q.Header); err != nil {
		return err
	}
	if o.Tier, err = readTier(q.Header); err != nil {
		return err
	}
	if o.Tags, err = tagsHeader(q.Header); err != nil {
		return err
	}
	if o.If, err = conditions(q.Header); err != nil {
		return err
	}
	if q.createOnly {
		o.If.IfNoneMatch = append(o.If.IfNoneMatch, "*")
	}
	return nil
}

// writing tells a client that may only create why its write failed.
func writing(q *request, err error) error {
	if q.createOnly && errors.Is(err, ams.ErrBlobExists) {
		return forbidden("UnauthorizedBlobOverwrite", "This request is not authorized to perform blob overwrites.")
	}
	return err
}

// written answers a write of b.
func written(w http.ResponseWriter, b *ams.Blob, status int) error {
	setVersion(w.Header(), b.ETag, b.LastModified)
	w.Header().Set("x-ms-request-server-encrypted", "true")
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(status)
	return nil
}

// getBlob serves Get Blob and Get Blob Properties.
func (s *server) getBlob(w http.ResponseWriter, q *request) error {
	if q.query.Has("versionid") {
		return ams.ErrBlobNotFound // there are none
	}
	cond, err := conditions(q.Header)
	if err != nil {
		return err
	}
	if q.Method == http.MethodHead {
		b, err := s.Store.StatSnapshot(q.Context(), q.account, q.container, q.blob, q.query.Get("snapshot"))
		if err != nil {
			return err
		}
		if err := readable(w, q, &cond, b); err != nil {
			return err
		}
		setBlob(w.Header(), b, q.now)
		setMD5(w.Header(), "Content-MD5", b.Headers.ContentMD5)
		override(w.Header(), q)
		w.Header().Set("Content-Length", strconv.FormatInt(b.Size, 10))
		w.WriteHeader(http.StatusOK)
		return nil
	}
	r, err := s.Store.OpenSnapshot(q.Context(), q.account, q.container, q.blob, q.query.Get("snapshot"))
	if err != nil {
		return err
	}
	defer r.Close()
	return sendBlob(w, q, &cond, r)
}

func sendBlob(w http.ResponseWriter, q *request, cond *blob.Conditions, r *blob.Reader) error {
	b, h := r.Blob(), w.Header()
	if err := readable(w, q, cond, b); err != nil {
		return err
	}
	part, err := readRange(q.Header, b.Size)
	if err != nil {
		return err
	}
	if err := rangeSums(h, q, r, part); err != nil {
		return err
	}
	structured, err := wantsStructured(q)
	if err != nil {
		return err
	}
	setBlob(h, b, q.now)
	status := http.StatusOK
	if part.part {
		status = http.StatusPartialContent
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", part.off, part.off+part.n-1, b.Size))
		setMD5(h, "x-ms-blob-content-md5", b.Headers.ContentMD5)
	} else {
		setMD5(h, "Content-MD5", b.Headers.ContentMD5)
	}
	override(h, q)
	if structured {
		_, _, size := structuredSize(part.n)
		h.Set("x-ms-structured-body", structuredMark)
		h.Set("x-ms-structured-content-length", strconv.FormatInt(part.n, 10))
		h.Set("Content-Length", strconv.FormatInt(size, 10))
		w.WriteHeader(status)
		return writeStructured(w, r, part.off, part.n)
	}
	h.Set("Content-Length", strconv.FormatInt(part.n, 10))
	w.WriteHeader(status)
	_, err = r.WriteRange(w, part.off, part.n)
	return err
}

// readable checks the conditions of a read; "not modified" still says which
// version it was.
func readable(w http.ResponseWriter, q *request, cond *blob.Conditions, b *ams.Blob) error {
	err := cond.CheckRead(b, q.now)
	if errors.Is(err, blob.ErrNotModified) {
		setVersion(w.Header(), b.ETag, b.LastModified)
	}
	return err
}

// maxSummed is the largest range whose sum may be asked for (documented).
const maxSummed = 4 << 20

// rangeSums sets the sums of the range that q asks for.
func rangeSums(h http.Header, q *request, r *blob.Reader, part span) error {
	wantMD5 := q.Header.Get("x-ms-range-get-content-md5") == "true"
	wantCRC := q.Header.Get("x-ms-range-get-content-crc64") == "true"
	switch {
	case !wantMD5 && !wantCRC:
		return nil
	case wantMD5 && wantCRC:
		return bad("InvalidInput", "Only one of x-ms-range-get-content-md5 and x-ms-range-get-content-crc64 may be asked for.")
	case !part.part:
		return bad("InvalidInput", "The sum of a range is asked for without a range.")
	case part.n > maxSummed:
		return bad("OutOfRangeInput", "One of the request inputs is out of range: the sum of more than 4 MiB is asked for.")
	}
	data := io.NewSectionReader(r, part.off, part.n)
	if wantMD5 {
		sum := md5.New()
		if _, err := io.Copy(sum, data); err != nil {
			return err
		}
		setMD5(h, "Content-MD5", sum.Sum(nil))
		return nil
	}
	sum := crc64.New(blob.NewCRC())
	if _, err := io.Copy(sum, data); err != nil {
		return err
	}
	h.Set("x-ms-content-crc64", crcText(sum.Sum64()))
	return nil
}

func setMD5(h http.Header, name string, sum []byte) {
	if len(sum) > 0 {
		h.Set(name, base64.StdEncoding.EncodeToString(sum))
	}
}

// override sets the headers that a signature prescribes for the answer.
func override(h http.Header, q *request) {
	if q.sas == nil {
		return
	}
	for name, v := range map[string]string{
		"Cache-Control":       q.sas.CacheControl,
		"Content-Disposition": q.sas.Disposition,
		"Content-Encoding":    q.sas.Encoding,
		"Content-Language":    q.sas.Language,
		"Content-Type":        q.sas.ContentType,
	} {
		if v != "" {
			h.Set(name, v)
		}
	}
}

// deleteBlob serves Delete Blob.
func (s *server) deleteBlob(w http.ResponseWriter, q *request) error {
	if q.query.Has("versionid") {
		return ams.ErrBlobNotFound
	}
	o := blob.DeleteOptions{Snapshot: q.query.Get("snapshot"), Snapshots: q.Header.Get("x-ms-delete-snapshots")}
	switch {
	case o.Snapshots != "" && o.Snapshots != "include" && o.Snapshots != "only":
		return bad("InvalidHeaderValue", "The value of the header x-ms-delete-snapshots is not one of include, only.")
	case o.Snapshots != "" && o.Snapshot != "":
		return bad("InvalidHeaderValue", "x-ms-delete-snapshots is for the blob, not for one of its snapshots.")
	}
	var err error
	if o.If, err = conditions(q.Header); err != nil {
		return err
	}
	if err := s.Store.Remove(q.Context(), q.account, q.container, q.blob, o); err != nil {
		return err
	}
	w.Header().Set("x-ms-delete-type-permanent", "true")
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// setBlobProperties serves Set Blob Properties: a header that is not named is
// cleared.
func (s *server) setBlobProperties(w http.ResponseWriter, q *request) error {
	headers, err := blobHeaders(q.Header, false)
	if err != nil {
		return err
	}
	return s.changeBlob(w, q, func(b *ams.Blob) { b.Headers = headers })
}

// setBlobMetadata serves Set Blob Metadata.
func (s *server) setBlobMetadata(w http.ResponseWriter, q *request) error {
	m, err := metadata(q.Header)
	if err != nil {
		return err
	}
	return s.changeBlob(w, q, func(b *ams.Blob) { b.Metadata = m })
}

// setBlobTier serves Set Blob Tier.
func (s *server) setBlobTier(w http.ResponseWriter, q *request) error {
	tier, err := readTier(q.Header)
	if err != nil {
		return err
	}
	if tier == "" {
		return bad("MissingRequiredHeader", "An HTTP header that's mandatory for this request is not specified: x-ms-access-tier.")
	}
	return s.changeBlob(w, q, func(b *ams.Blob) { b.Tier = tier })
}

func (s *server) changeBlob(w http.ResponseWriter, q *request, change func(*ams.Blob)) error {
	cond, err := conditions(q.Header)
	if err != nil {
		return err
	}
	b, err := s.Store.UpdateBlob(q.Context(), q.account, q.container, q.blob, cond, func(b *ams.Blob) error {
		change(b)
		return nil
	})
	if err != nil {
		return err
	}
	return written(w, b, http.StatusOK)
}

// blobMetadata serves Get Blob Metadata.
func (s *server) blobMetadata(w http.ResponseWriter, q *request) error {
	cond, err := conditions(q.Header)
	if err != nil {
		return err
	}
	b, err := s.Store.StatSnapshot(q.Context(), q.account, q.container, q.blob, q.query.Get("snapshot"))
	if err != nil {
		return err
	}
	if err := readable(w, q, &cond, b); err != nil {
		return err
	}
	setMetadata(w.Header(), b.Metadata)
	return written(w, b, http.StatusOK)
}
