package odata

import (
	"bytes"
	"mime"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

// Bounds of a $batch.
const (
	maxOperations = 1000
	maxHeaders    = 64 // of a part
)

// An operation is a request inside a $batch.
type operation struct {
	method string
	target string // URL as it was written
	header http.Header
	body   []byte
}

// A step of a $batch is a changeset, or one operation outside of any.
type step struct {
	changeset  bool
	operations []*operation
}

// parseBatch reads the body of a $batch. Lines may end in LF alone, headers
// may be folded, and there may be lines before the first boundary, as the
// SDKs of AMS and its documents have it.
func parseBatch(contentType string, body []byte) ([]step, error) {
	boundary, err := boundaryOf(contentType)
	if err != nil {
		return nil, err
	}
	parts, err := split(body, boundary)
	if err != nil {
		return nil, err
	}
	var steps []step
	total := 0
	for _, part := range parts {
		header, content, err := readHeader(part)
		if err != nil {
			return nil, err
		}
		st := step{}
		members := [][]byte{part}
		if typ, _, _ := mime.ParseMediaType(header.Get("Content-Type")); typ == "multipart/mixed" {
			st.changeset = true
			inner, err := boundaryOf(header.Get("Content-Type"))
			if err != nil {
				return nil, err
			}
			if members, err = split(content, inner); err != nil {
				return nil, err
			}
		}
		for _, member := range members {
			if total++; total > maxOperations {
				return nil, BadRequest("The $batch has more than %d operations.", maxOperations)
			}
			op, err := readOperation(member)
			if err != nil {
				return nil, err
			}
			st.operations = append(st.operations, op)
		}
		steps = append(steps, st)
	}
	return steps, nil
}

func boundaryOf(contentType string) (string, error) {
	typ, params, err := mime.ParseMediaType(contentType)
	b := params["boundary"]
	if err != nil || typ != "multipart/mixed" || b == "" || len(b) > 200 || strings.ContainsAny(b, "\r\n") {
		return "", BadRequest("The content type '%s' is not that of a batch: multipart/mixed with a boundary.", clip(contentType))
	}
	return b, nil
}

// split returns the parts between lines of "--boundary". The line end before
// a boundary is the boundary's.
func split(body []byte, boundary string) ([][]byte, error) {
	var parts [][]byte
	start := -1
	for at := 0; at < len(body); {
		line, next := lineAt(body, at)
		rest, ok := strings.CutPrefix(string(line), "--"+boundary)
		end := strings.TrimRight(rest, " \t") == "--"
		if !ok || !end && strings.TrimRight(rest, " \t") != "" {
			at = next
			continue
		}
		if start >= 0 {
			if len(parts) == maxOperations {
				return nil, BadRequest("The $batch has more than %d parts.", maxOperations)
			}
			part := body[start:max(start, at)]
			part = bytes.TrimSuffix(part, []byte("\n"))
			parts = append(parts, bytes.TrimSuffix(part, []byte("\r")))
		}
		if end {
			return parts, nil
		}
		start, at = next, next
	}
	return nil, BadRequest("The end of the batch, a line '--%s--', is missing.", clip(boundary))
}

// lineAt returns the line of b that starts at a place, without its end, and
// where the next one starts.
func lineAt(b []byte, at int) (line []byte, next int) {
	if i := bytes.IndexByte(b[at:], '\n'); i >= 0 {
		return bytes.TrimSuffix(b[at:at+i], []byte("\r")), at + i + 1
	}
	return b[at:], len(b)
}

// readHeader reads headers up to an empty line. Blank lines before them are
// skipped.
func readHeader(b []byte) (http.Header, []byte, error) {
	h := http.Header{}
	last := ""
	at, lines := 0, 0
	for at < len(b) {
		line, next := lineAt(b, at)
		at = next
		if len(bytes.TrimSpace(line)) == 0 {
			if lines == 0 {
				continue
			}
			break
		}
		if lines++; lines > maxHeaders {
			return nil, nil, BadRequest("A part of the batch has more than %d header lines.", maxHeaders)
		}
		if last != "" && (line[0] == ' ' || line[0] == '\t') && bytes.IndexByte(line, ':') < 0 { // folded
			values := h[last]
			values[len(values)-1] += " " + string(bytes.TrimSpace(line))
			continue
		}
		name, value, ok := strings.Cut(string(line), ":")
		name = textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name))
		if !ok || name == "" {
			return nil, nil, BadRequest("A part of the batch has a header that cannot be read: '%s'.", clip(string(line)))
		}
		last = name
		h[name] = append(h[name], strings.TrimSpace(value))
	}
	return h, b[at:], nil
}

// readOperation reads an application/http part.
func readOperation(part []byte) (*operation, error) {
	outer, content, err := readHeader(part)
	if err != nil {
		return nil, err
	}
	if typ, _, _ := mime.ParseMediaType(outer.Get("Content-Type")); typ != "application/http" {
		return nil, BadRequest("A part of the batch has the content type '%s', not application/http.", clip(outer.Get("Content-Type")))
	}
	content = bytes.TrimLeft(content, "\r\n \t")
	line, next := lineAt(content, 0)
	method, rest, ok := strings.Cut(strings.TrimSpace(string(line)), " ")
	target := strings.TrimSpace(rest)
	if i := strings.LastIndex(target, " HTTP/"); i >= 0 {
		target = strings.TrimSpace(target[:i])
	}
	if !ok || target == "" || len(target) > 2*maxPath {
		return nil, BadRequest("A part of the batch has no request line: '%s'.", clip(string(line)))
	}
	op := &operation{method: strings.ToUpper(method), target: target}
	// The request may end here: a blank line at once means no headers.
	if after, n := lineAt(content, next); len(bytes.TrimSpace(after)) == 0 {
		op.header, op.body = http.Header{}, content[min(n, len(content)):]
	} else if op.header, op.body, err = readHeader(content[next:]); err != nil {
		return nil, err
	}
	if op.header.Get("Content-Id") == "" && outer.Get("Content-Id") != "" {
		op.header.Set("Content-Id", outer.Get("Content-Id"))
	}
	return op, nil
}

// inherited are the headers that a part has from the whole batch if it does
// not have its own.
var inherited = []string{"X-Ms-Version", "Dataserviceversion", "Maxdataserviceversion", "Accept-Charset"}

// call makes a call of an operation. The root is cut off its URL wherever it
// is: hosts do not count, and some clients put one slash too much.
func (s *Server) operationCall(outer *call, op *operation) (*call, error) {
	c := &call{ctx: outer.ctx, method: op.method, header: op.header, root: outer.root, part: true, body: bytes.TrimPrefix(op.body, []byte("\ufeff"))}
	if m := op.header.Get("X-Http-Method"); m != "" {
		c.method = strings.ToUpper(strings.TrimSpace(m))
	}
	for _, name := range inherited {
		if len(op.header[name]) == 0 && len(outer.header[name]) > 0 {
			c.header[name] = outer.header[name]
		}
	}
	path, raw, _ := strings.Cut(op.target, "?")
	if i := strings.Index(path, "://"); i >= 0 {
		rest := path[i+3:]
		slash := strings.IndexByte(rest, '/')
		if slash < 0 {
			slash = len(rest)
		}
		path = rest[slash:]
	}
	decoded, err := url.PathUnescape(path)
	if err != nil {
		return c, BadRequest("The URL '%s' of a part of the batch cannot be read.", clip(op.target))
	}
	c.path = s.below(decoded)
	c.query, err = parseQuery(raw)
	return c, err
}
