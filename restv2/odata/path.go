package odata

import (
	"net/url"
	"strings"
)

// Bounds of a URL's path.
const (
	maxPath     = 16 << 10 // bytes
	maxSegments = 24
	maxKey      = 4096 // bytes
)

// A segment of a path: Name, Name() or Name(key).
type segment struct {
	name   string
	keyed  bool   // there is a key
	key    string // without quotes or "guid"
	quoted bool   // text; else a guid
}

// Ref names an entity, by its set and key. Behind a $ reference of a
// changeset it names an entity that the changeset makes, and has its key once
// that is made.
type Ref struct {
	Set string
	Key string
}

// parsePath splits a decoded path below the service root. Slashes may be
// doubled; those inside a quoted key are part of it.
func parsePath(path string) ([]segment, error) {
	if len(path) > maxPath {
		return nil, BadRequest("The URL is longer than %d bytes.", maxPath)
	}
	var segments []segment
	for len(path) > 0 {
		if path[0] == '/' {
			path = path[1:]
			continue
		}
		if len(segments) == maxSegments {
			return nil, BadRequest("The URL has more than %d segments.", maxSegments)
		}
		n := segmentEnd(path)
		seg, err := parseSegment(path[:n])
		if err != nil {
			return nil, err
		}
		segments = append(segments, seg)
		path = path[n:]
	}
	return segments, nil
}

// segmentEnd is where the first segment of path ends: at a slash that no
// quotes are around.
func segmentEnd(path string) int {
	quoted := false
	for i := range len(path) {
		switch path[i] {
		case '\'':
			quoted = !quoted
		case '/':
			if !quoted {
				return i
			}
		}
	}
	return len(path)
}

func parseSegment(s string) (segment, error) {
	name, rest, ok := strings.Cut(s, "(")
	if !ok {
		return segment{name: s}, nil
	}
	if name == "" {
		return segment{}, badSegment(s)
	}
	inner, ok := strings.CutSuffix(strings.TrimSpace(rest), ")")
	if !ok {
		return segment{}, badSegment(s)
	}
	inner = strings.TrimSpace(inner)
	if inner == "" {
		return segment{name: name}, nil
	}
	// A key may name its property: Assets(Id='…').
	if i := strings.IndexAny(inner, "='"); i > 0 && inner[i] == '=' {
		inner = strings.TrimSpace(inner[i+1:])
	}
	quoted := true
	if len(inner) > 4 && strings.EqualFold(inner[:4], "guid") {
		inner, quoted = inner[4:], false
	} else if guidText.MatchString(inner) {
		inner, quoted = "'"+inner+"'", false
	}
	key, ok := unquote(inner)
	if !ok || len(key) > maxKey || !quoted && !guidText.MatchString(key) {
		return segment{}, badSegment(s)
	}
	if !quoted {
		key = strings.ToLower(key)
	}
	return segment{name: name, keyed: true, key: key, quoted: quoted}, nil
}

// unquote reads 'it”s'.
func unquote(s string) (string, bool) {
	if len(s) < 2 || s[0] != '\'' || s[len(s)-1] != '\'' {
		return "", false
	}
	s = s[1 : len(s)-1]
	if strings.Contains(strings.ReplaceAll(s, "''", ""), "'") {
		return "", false
	}
	return strings.ReplaceAll(s, "''", "'"), true
}

func badSegment(s string) *Error {
	return BadRequest("Bad Request - Error in query syntax: '%s'.", clip(s))
}

// String spells seg as a decoded path has it.
func (seg segment) String() string {
	if !seg.keyed {
		return seg.name
	}
	literal := "'" + strings.ReplaceAll(seg.key, "'", "''") + "'"
	if !seg.quoted {
		literal = "guid" + literal
	}
	return seg.name + "(" + literal + ")"
}

// keyURL spells the entity's URL below the root, as AMS did: everything but
// unreserved characters escaped in upper case.
func (s *EntitySet) keyURL(key string) string {
	if s.key.Type == "Edm.Guid" {
		return s.Name + "(guid'" + key + "')"
	}
	literal := strings.ReplaceAll(url.QueryEscape(key), "+", "%20")
	return s.Name + "('" + strings.ReplaceAll(literal, "%27", "''") + "')"
}

// ref reads the URL of an entity, absolute or not, escaped or not. Host and
// everything before the entity set do not count: documents name three
// different hosts in one article, and old ones are of servers long gone.
func (m *Model) ref(s string) (Ref, error) {
	bad := BadRequest("The URI '%s' does not name an entity.", clip(s))
	if len(s) > maxPath {
		return Ref{}, bad
	}
	path := s
	if i := strings.IndexAny(path, "?#"); i >= 0 && !strings.Contains(path[:i], "'") {
		path = path[:i]
	}
	decoded, err := url.PathUnescape(path)
	if err != nil {
		return Ref{}, bad
	}
	segments, err := parsePath(decoded)
	if err != nil || len(segments) == 0 {
		return Ref{}, bad
	}
	last := segments[len(segments)-1]
	set := m.sets[last.name]
	if set == nil || !last.keyed {
		return Ref{}, bad
	}
	return Ref{Set: last.name, Key: last.key}, nil
}
