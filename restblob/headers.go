package restblob

import (
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
)

// conditions reads the conditional headers.
func conditions(h http.Header) (c blob.Conditions, err error) {
	c.IfMatch = etags(h.Values("If-Match"))
	c.IfNoneMatch = etags(h.Values("If-None-Match"))
	if c.Lease = h.Get("x-ms-lease-id"); c.Lease != "" && !isGUID(c.Lease) {
		return c, bad("InvalidHeaderValue", "The value of the header x-ms-lease-id is not a GUID.")
	}
	if c.IfModifiedSince, err = dateHeader(h, "If-Modified-Since"); err != nil {
		return c, err
	}
	c.IfUnmodifiedSince, err = dateHeader(h, "If-Unmodified-Since")
	return c, err
}

// etags reads a list of entity tags, which clients send with and without
// quotes. Ours have no commas.
func etags(values []string) (list []string) {
	for _, v := range values {
		for tag := range strings.SplitSeq(v, ",") {
			tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
			if tag = strings.Trim(tag, `"`); tag != "" {
				list = append(list, tag)
			}
		}
	}
	return list
}

func dateHeader(h http.Header, name string) (time.Time, error) {
	v := h.Get(name)
	if v == "" {
		return time.Time{}, nil
	}
	t, err := http.ParseTime(v)
	if err != nil {
		return t, bad("InvalidHeaderValue", "The value of the header %s is not an HTTP date.", name)
	}
	return t, nil
}

// maxMetadata bounds names and values together (documented).
const maxMetadata = 8 << 10

// metadata reads the x-ms-meta- headers. Names are kept in lower case: the
// case a client sent does not survive HTTP libraries.
func metadata(h http.Header) (map[string]string, error) {
	var m map[string]string
	size := 0
	for name, v := range h {
		name, ok := strings.CutPrefix(strings.ToLower(name), "x-ms-meta-")
		if !ok {
			continue
		}
		if name == "" {
			return nil, bad("EmptyMetadataKey", "The key for one of the metadata key-value pairs is empty.")
		}
		if !identifier(name) {
			return nil, bad("InvalidMetadata", "The metadata name '%s' is invalid: it must be letters, digits and _, and not start with a digit.", name)
		}
		if m == nil {
			m = make(map[string]string)
		}
		m[name] = strings.Join(v, ",")
		size += len(name) + len(m[name])
	}
	if size > maxMetadata {
		return nil, bad("MetadataTooLarge", "The specified metadata exceeds the maximum size permitted.")
	}
	return m, nil
}

func identifier(s string) bool {
	for i, c := range s {
		switch {
		case c == '_', c >= 'a' && c <= 'z', c > 0x7f:
		case c >= '0' && c <= '9' && i > 0:
		default:
			return false
		}
	}
	return true
}

func setMetadata(h http.Header, m map[string]string) {
	for name, v := range m {
		h.Set("x-ms-meta-"+name, v)
	}
}

// blobHeaders reads x-ms-blob-content-…. With plain, the standard headers
// count where those are missing: a Put Blob's body is the blob.
func blobHeaders(h http.Header, plain bool) (b ams.BlobHeaders, err error) {
	get := func(name, standard string) string {
		if v := h.Get(name); v != "" || !plain {
			return v
		}
		return h.Get(standard)
	}
	b.ContentType = get("x-ms-blob-content-type", "Content-Type")
	b.ContentEncoding = get("x-ms-blob-content-encoding", "Content-Encoding")
	b.ContentLanguage = get("x-ms-blob-content-language", "Content-Language")
	b.CacheControl = get("x-ms-blob-cache-control", "Cache-Control")
	b.ContentDisposition = h.Get("x-ms-blob-content-disposition")
	b.ContentMD5, err = md5Header(h, "x-ms-blob-content-md5")
	return b, err
}

func md5Header(h http.Header, name string) ([]byte, error) {
	v := h.Get(name)
	if v == "" {
		return nil, nil
	}
	sum, err := base64.StdEncoding.DecodeString(v)
	if err != nil || len(sum) != 16 {
		return nil, bad("InvalidMd5", "The MD5 value specified in the header %s is invalid: it must be the base64 of 16 bytes.", name)
	}
	return sum, nil
}

// crcHeader reads a CRC-64: base64 of its 8 bytes, the least first.
func crcHeader(h http.Header) (*uint64, error) {
	v := h.Get("x-ms-content-crc64")
	if v == "" {
		return nil, nil
	}
	b, err := base64.StdEncoding.DecodeString(v)
	if err != nil || len(b) != 8 {
		return nil, bad("InvalidHeaderValue", "The value of the header x-ms-content-crc64 is invalid: it must be the base64 of 8 bytes.")
	}
	sum := binary.LittleEndian.Uint64(b)
	return &sum, nil
}

func crcText(sum uint64) string {
	return base64.StdEncoding.EncodeToString(binary.LittleEndian.AppendUint64(nil, sum))
}

// setVersion sets the headers that tell versions of a blob or container apart.
func setVersion(h http.Header, etag string, modified time.Time) {
	h.Set("ETag", quoted(etag))
	h.Set("Last-Modified", httpTime(modified))
}

// setBlob sets the headers that describe b.
func setBlob(h http.Header, b *ams.Blob, now time.Time) {
	setVersion(h, b.ETag, b.LastModified)
	h.Set("Accept-Ranges", "bytes")
	h.Set("x-ms-blob-type", "BlockBlob")
	h.Set("x-ms-creation-time", httpTime(b.Created))
	h.Set("x-ms-server-encrypted", "true")
	if b.Snapshot == "" {
		setLease(h, &b.Lease, now)
	}
	setCopy(h, b.Copy)
	if len(b.Tags) > 0 {
		h.Set("x-ms-tag-count", strconv.Itoa(len(b.Tags)))
	}
	h.Set("x-ms-access-tier", tier(b))
	if b.Tier == "" {
		h.Set("x-ms-access-tier-inferred", "true")
	}
	h.Set("Content-Type", contentType(b))
	for name, v := range map[string]string{
		"Content-Encoding":    b.Headers.ContentEncoding,
		"Content-Language":    b.Headers.ContentLanguage,
		"Content-Disposition": b.Headers.ContentDisposition,
		"Cache-Control":       b.Headers.CacheControl,
	} {
		if v != "" {
			h.Set(name, v)
		}
	}
	setMetadata(h, b.Metadata)
}

func contentType(b *ams.Blob) string {
	if b.Headers.ContentType == "" {
		return "application/octet-stream"
	}
	return b.Headers.ContentType
}

func tier(b *ams.Blob) string {
	if b.Tier == "" {
		return "Hot"
	}
	return b.Tier
}

// readTier reads x-ms-access-tier, which is kept and has no effect.
func readTier(h http.Header) (string, error) {
	switch v := h.Get("x-ms-access-tier"); v {
	case "", "Hot", "Cool", "Cold", "Archive":
		return v, nil
	default:
		return "", bad("InvalidHeaderValue", "The value of the header x-ms-access-tier is not one of Hot, Cool, Cold, Archive.")
	}
}
