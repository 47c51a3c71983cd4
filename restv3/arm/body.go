package arm

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
)

const (
	maxBody  = 4 << 20 // bytes, Resource Manager's own limit of a request
	maxDepth = 64      // of objects and arrays in a body; AMS's models need a dozen
)

// ReadJSON reads the body of r, one JSON object, into what into points to.
// Members that into does not have are ignored, as AMS did. A failure is an
// *Error that names the property at fault where there is one.
func ReadJSON(r *http.Request, into any) error {
	b, err := ReadBody(r)
	if err != nil {
		return err
	}
	return Decode(b, into)
}

// ReadOptionalJSON is ReadJSON for an action that may come without a body;
// into then stays as it is.
func ReadOptionalJSON(r *http.Request, into any) error {
	b, err := read(r)
	if err != nil || len(b) == 0 {
		return err
	}
	return Decode(b, into)
}

// ReadBody reads the body of r and checks that it is one JSON object, not too
// deep. (A PATCH needs to know what was said and what was not.)
func ReadBody(r *http.Request) ([]byte, error) {
	b, err := read(r)
	if err != nil {
		return nil, err
	}
	if len(b) == 0 {
		return nil, InvalidContent("", "The request has no content")
	}
	return b, nil
}

// Decode reads b, which ReadBody returned or which is a part of it, into what
// into points to.
func Decode(b []byte, into any) error {
	err := json.Unmarshal(b, into)
	if err == nil {
		return nil
	}
	if te, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return InvalidContent(te.Field, "Cannot use a JSON %s as the value of '%s'", te.Value, te.Field)
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return InvalidContent("", "%s", strings.TrimPrefix(err.Error(), "json: "))
}

func read(r *http.Request) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok || len(b) > maxBody {
		return nil, Errorf(http.StatusRequestEntityTooLarge, "RequestContentTooLarge",
			"The request content is larger than %d bytes.", maxBody)
	}
	if err != nil {
		return nil, InvalidContent("", "The request content ended early")
	}
	// .NET's writers begin a text with a byte order mark.
	b = bytes.TrimSpace(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")))
	if len(b) == 0 {
		return nil, nil
	}
	if depth(b) > maxDepth {
		return nil, InvalidContent("", "The JSON is nested deeper than %d levels", maxDepth)
	}
	var raw json.RawMessage
	if err := json.Unmarshal(b, &raw); err != nil {
		if se, ok := errors.AsType[*json.SyntaxError](err); ok {
			return nil, InvalidContent("", "%s at byte %d", se, se.Offset)
		}
		return nil, InvalidContent("", "%s", err)
	}
	if b[0] != '{' {
		return nil, InvalidContent("", "The content is not a JSON object")
	}
	return b, nil
}

// depth returns how deep objects and arrays are nested in b, JSON or not.
func depth(b []byte) int {
	deepest, now, quoted := 0, 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			now++
			deepest = max(deepest, now)
		case c == '}' || c == ']':
			now--
		}
	}
	return deepest
}
