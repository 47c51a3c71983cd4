package restblob

import (
	"net/http"
	"strconv"
	"strings"
)

// A span is part of a blob.
type span struct {
	off, n int64
	part   bool // a range was asked for
}

// readRange finds the range of a blob of size bytes that h asks for. A
// malformed or multiple range is as none (documented).
func readRange(h http.Header, size int64) (span, error) {
	text := h.Get("x-ms-range")
	if text == "" {
		text = h.Get("Range")
	}
	whole := span{0, size, false}
	text, ok := strings.CutPrefix(text, "bytes=")
	if !ok {
		return whole, nil
	}
	from, to, ok := strings.Cut(text, "-")
	if !ok {
		return whole, nil
	}
	first, err := parseOffset(from)
	if err != nil {
		return whole, nil
	}
	last := size - 1
	if to != "" {
		n, err := parseOffset(to)
		if err != nil || n < first {
			return whole, nil
		}
		last = min(last, n)
	}
	if first >= size {
		return whole, &fault{status: http.StatusRequestedRangeNotSatisfiable, code: "InvalidRange",
			msg:    "The range specified is invalid for the current size of the resource.",
			header: map[string]string{"Content-Range": "bytes */" + strconv.FormatInt(size, 10)}}
	}
	return span{first, last - first + 1, true}, nil
}

// parseOffset reads digits alone: no sign, no space.
func parseOffset(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err
}
