package origin

import (
	"io"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/packager"
)

// fileCaching lets a file be kept for an hour: unlike a segment it may be
// replaced under its name while somebody uses it.
var fileCaching = []string{"public, max-age=3600"}

// types are the content types of the files that assets hold. What a browser
// would run is not among them: whoever may upload to one asset must not write
// pages for the host of all.
var types = map[string]string{
	".mp4": "video/mp4", ".m4v": "video/mp4", ".m4a": "audio/mp4", ".mov": "video/quicktime",
	".ismv": "video/mp4", ".isma": "audio/mp4", ".cmfv": "video/mp4", ".cmfa": "audio/mp4", ".cmft": "application/mp4",
	".ts": "video/mp2t", ".webm": "video/webm", ".mkv": "video/x-matroska", ".mxf": "application/mxf", ".wmv": "video/x-ms-wmv",
	".mp3": "audio/mpeg", ".aac": "audio/aac", ".wav": "audio/wav", ".ogg": "audio/ogg",
	".vtt": "text/vtt", ".ttml": "application/ttml+xml", ".srt": "application/x-subrip",
	".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".gif": "image/gif", ".bmp": "image/bmp", ".webp": "image/webp",
	".json": "application/json", ".txt": "text/plain", ".xml": "application/xml",
	".ism": "application/xml", ".ismc": "application/xml",
	".m3u8": packager.TypeHLS, ".mpd": packager.TypeDASH,
}

// contentType is the type by which a file is sent.
func contentType(b *ams.Blob) string {
	if t, ok := types[strings.ToLower(path.Ext(b.Name))]; ok {
		return t
	}
	t := b.Headers.ContentType
	kind, _, _ := strings.Cut(strings.ToLower(t), "/")
	if (kind == "video" || kind == "audio" || kind == "image") && !strings.Contains(t, "svg") {
		return t
	}
	return "application/octet-stream"
}

// download answers with a file of the asset as it is.
func (h *Handler) download(a *answer, r *http.Request, asset *ams.Asset, name string) error {
	b, err := h.c.Blobs.Stat(r.Context(), asset.StorageAccount, asset.Container, name)
	if ams.CodeOf(err) == ams.NotFound {
		return errorf(packager.ResourceNotFound, "the asset has no file %q", name)
	}
	if err != nil {
		return err
	}
	f, err := h.files.acquire(r.Context(), version{b.StorageAccount, b.Container, b.Name, b.ETag})
	if err != nil {
		return err
	}
	defer h.files.release(f)
	hd := a.Header()
	hd["Cache-Control"] = fileCaching
	hd["Content-Type"] = []string{contentType(b)}
	hd.Set("X-Content-Type-Options", "nosniff")
	if e := b.Headers.ContentEncoding; e != "" {
		hd.Set("Content-Encoding", e)
	}
	modified := b.LastModified.UTC().Truncate(time.Second)
	hd.Set("Last-Modified", modified.Format(http.TimeFormat))
	return sendRange(a, r, body{
		etag: `"` + b.ETag + `"`, modified: modified, size: f.Size(),
		write: func(w io.Writer, off, n int64) error {
			sent, err := f.WriteRange(w, off, n)
			if err == nil && sent < n {
				err = io.ErrUnexpectedEOF
			}
			return err
		},
	})
}

// ifRange reports whether the Range of r counts: it does unless If-Range names
// another version than the one whose headers are in hd. RFC 9110 13.1.5: a weak
// entity tag never matches.
func ifRange(r *http.Request, hd http.Header) bool {
	v := r.Header.Get("If-Range")
	switch {
	case v == "":
		return true
	case strings.HasPrefix(v, `"`):
		return v == hd.Get("Etag")
	}
	return v == hd.Get("Last-Modified") && v != ""
}

// parseRange reads a Range header over size bytes. ok is false if no byte of
// the range exists. n is -1 for what is not a single range of bytes, which a
// server may ignore (RFC 9110 14.2).
func parseRange(s string, size int64) (off, n int64, ok bool) {
	unit, spec, found := strings.Cut(s, "=")
	if !found || !strings.EqualFold(strings.TrimSpace(unit), "bytes") || strings.Contains(spec, ",") {
		return 0, -1, true
	}
	from, to, found := strings.Cut(strings.TrimSpace(spec), "-")
	if !found {
		return 0, -1, true
	}
	if from == "" { // the last n bytes
		n, ok := number(to)
		if !ok {
			return 0, -1, true
		}
		n = min(n, size)
		return size - n, n, n > 0
	}
	off, ok = number(from)
	if !ok {
		return 0, -1, true
	}
	last := size - 1
	if to != "" {
		if last, ok = number(to); !ok || last < off {
			return 0, -1, true
		}
		last = min(last, size-1)
	}
	return off, last - off + 1, off < size
}
