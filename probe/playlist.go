package probe

import (
	"encoding/hex"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A line of a playlist: a tag, or a URI.
type line struct {
	n     int    // from 1
	tag   string // "" for a URI
	value string // what follows the colon, or the URI
}

// A playlist in lines, with the rules that all playlists obey (RFC 8216 4.1, 4.3.1).
type playlist struct {
	lines   []line
	version int // 1 if it does not say
	faults  []string
}

func (l *playlist) fault(format string, args ...any) {
	if len(l.faults) < 50 {
		l.faults = append(l.faults, fmt.Sprintf(format, args...))
	}
}

func parsePlaylist(b []byte) *playlist {
	l := &playlist{version: 1}
	if !utf8.Valid(b) {
		l.fault("the playlist is not UTF-8 (RFC 8216 4.1)")
	}
	if strings.HasPrefix(string(b), "\ufeff") {
		l.fault("the playlist has a byte order mark (RFC 8216 4.1)")
	}
	versions := 0
	for i, s := range strings.Split(strings.TrimPrefix(string(b), "\ufeff"), "\n") {
		s = strings.TrimSuffix(s, "\r")
		if i == 0 && s != "#EXTM3U" {
			l.fault("line 1 is not #EXTM3U alone (RFC 8216 4.3.1.1)")
		}
		if strings.TrimSpace(s) == "" {
			continue
		}
		if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			l.fault("line %d has a control character (RFC 8216 4.1)", i+1)
		}
		if !strings.HasPrefix(s, "#") {
			if s != strings.TrimSpace(s) {
				l.fault("line %d: white space around a URI (RFC 8216 4.1)", i+1)
			}
			l.lines = append(l.lines, line{i + 1, "", s})
			continue
		}
		if !strings.HasPrefix(s, "#EXT") {
			continue // a comment
		}
		tag, value, _ := strings.Cut(s, ":")
		l.lines = append(l.lines, line{i + 1, tag, value})
		if tag == "#EXT-X-VERSION" {
			versions++
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 {
				l.fault("line %d: EXT-X-VERSION is %q", i+1, value)
			} else {
				l.version = n
			}
		}
	}
	if versions > 1 {
		l.fault("EXT-X-VERSION occurs %d times (RFC 8216 4.3.1.2)", versions)
	}
	return l
}

// needs reports a feature that a version number is too low for (RFC 8216 7).
func (l *playlist) needs(version int, what string) {
	if l.version < version {
		l.fault("EXT-X-VERSION is %d, but %s needs %d (RFC 8216 7)", l.version, what, version)
	}
}

var (
	attributeName = regexp.MustCompile(`^[A-Z0-9-]+$`)
	resolutions   = regexp.MustCompile(`^\d+x\d+$`)
)

// attributes reads an attribute list (RFC 8216 4.2). Values of quoted names lose
// their quotes; faults say where quotes are missing or do not belong.
func (l *playlist) attributes(x line, quoted ...string) map[string]string {
	list := map[string]string{}
	rest := x.value
	for rest != "" {
		name, after, ok := strings.Cut(rest, "=")
		if !ok || !attributeName.MatchString(name) {
			l.fault("line %d: %.40q is no attribute (RFC 8216 4.2)", x.n, rest)
			return list
		}
		var value string
		isQuoted := strings.HasPrefix(after, `"`)
		if isQuoted {
			end := strings.IndexByte(after[1:], '"')
			if end < 0 {
				l.fault("line %d: the value of %s has no closing quote", x.n, name)
				return list
			}
			value, rest = after[1:end+1], after[end+2:]
			if rest != "" && !strings.HasPrefix(rest, ",") {
				l.fault("line %d: %s is not followed by a comma", x.n, name)
				return list
			}
			rest = strings.TrimPrefix(rest, ",")
		} else {
			value, rest, _ = strings.Cut(after, ",")
			if value == "" || strings.ContainsAny(value, " \"") {
				l.fault("line %d: the value of %s is %q", x.n, name, value)
			}
		}
		if should := slices.Contains(quoted, name); should != isQuoted && !strings.HasPrefix(name, "X-") {
			l.fault("line %d: the value of %s is quoted: %v (RFC 8216 4.2)", x.n, name, isQuoted)
		}
		if _, twice := list[name]; twice {
			l.fault("line %d: %s occurs twice (RFC 8216 4.2)", x.n, name)
		}
		list[name] = value
	}
	return list
}

// A media playlist.
type mediaPlaylist struct {
	*playlist
	target   int
	sequence uint64
	ended    bool
	kind     string // VOD, EVENT, ""
	iframes  bool
	entries  []entry
}

// An entry is a segment as the playlist tells of it.
type entry struct {
	uri           string
	length        float64
	off, n        int64
	mapURI        string
	mapOff, mapN  int64
	keys          []map[string]string // attributes of alternatives; nil: clear
	discontinuity bool
	number        uint64
}

const maxEntries = 1 << 17

// segmentTags say that a playlist is one of segments, masterTags of variants.
var (
	segmentTags = []string{"#EXTINF", "#EXT-X-BYTERANGE", "#EXT-X-DISCONTINUITY", "#EXT-X-KEY", "#EXT-X-MAP", "#EXT-X-PROGRAM-DATE-TIME", "#EXT-X-DATERANGE",
		"#EXT-X-TARGETDURATION", "#EXT-X-MEDIA-SEQUENCE", "#EXT-X-DISCONTINUITY-SEQUENCE", "#EXT-X-ENDLIST", "#EXT-X-PLAYLIST-TYPE", "#EXT-X-I-FRAMES-ONLY", "#EXT-X-GAP"}
	masterTags = []string{"#EXT-X-MEDIA", "#EXT-X-STREAM-INF", "#EXT-X-I-FRAME-STREAM-INF", "#EXT-X-SESSION-DATA", "#EXT-X-SESSION-KEY", "#EXT-X-CONTENT-STEERING"}
)

func has(l *playlist, tags []string) bool {
	return slices.ContainsFunc(l.lines, func(x line) bool { return slices.Contains(tags, x.tag) })
}

// parseMedia reads a media playlist (RFC 8216 4.3.2 and 4.3.3).
func parseMedia(b []byte) *mediaPlaylist {
	m := &mediaPlaylist{playlist: parsePlaylist(b), target: -1}
	var e entry
	var info, rangeSet, renewed bool
	var next int64 // where a byte range without an offset begins
	var lastURI string
	once := map[string]int{}
	iframesMap := false
	for _, x := range m.lines {
		if slices.Contains(masterTags, x.tag) {
			m.fault("line %d: %s in a media playlist (RFC 8216 4.1)", x.n, x.tag)
		}
		switch x.tag {
		case "#EXT-X-TARGETDURATION", "#EXT-X-MEDIA-SEQUENCE", "#EXT-X-DISCONTINUITY-SEQUENCE", "#EXT-X-PLAYLIST-TYPE", "#EXT-X-ENDLIST", "#EXT-X-I-FRAMES-ONLY":
			if once[x.tag]++; once[x.tag] == 2 {
				m.fault("line %d: %s occurs twice (RFC 8216 4.3.3)", x.n, x.tag)
			}
		}
		switch x.tag {
		case "#EXT-X-TARGETDURATION":
			n, err := strconv.Atoi(x.value)
			if err != nil || n < 1 {
				m.fault("line %d: EXT-X-TARGETDURATION is %q", x.n, x.value)
			}
			m.target = n
		case "#EXT-X-MEDIA-SEQUENCE", "#EXT-X-DISCONTINUITY-SEQUENCE":
			n, err := strconv.ParseUint(x.value, 10, 64)
			if err != nil {
				m.fault("line %d: %s is %q", x.n, x.tag, x.value)
			}
			if len(m.entries) > 0 {
				m.fault("line %d: %s after the first segment (RFC 8216 4.3.3)", x.n, x.tag)
			}
			if x.tag == "#EXT-X-MEDIA-SEQUENCE" {
				m.sequence = n
			}
		case "#EXT-X-PLAYLIST-TYPE":
			if m.kind = x.value; m.kind != "VOD" && m.kind != "EVENT" {
				m.fault("line %d: EXT-X-PLAYLIST-TYPE is %q (RFC 8216 4.3.3.5)", x.n, x.value)
			}
		case "#EXT-X-ENDLIST":
			m.ended = true
		case "#EXT-X-I-FRAMES-ONLY":
			m.iframes = true
			m.needs(4, "EXT-X-I-FRAMES-ONLY")
		case "#EXT-X-ALLOW-CACHE":
			if m.version >= 7 {
				m.fault("line %d: EXT-X-ALLOW-CACHE was removed in version 7 (RFC 8216 7)", x.n)
			}
		case "#EXT-X-DISCONTINUITY":
			e.discontinuity = true
		case "#EXTINF":
			text, _, comma := strings.Cut(x.value, ",")
			if !comma {
				m.fault("line %d: EXTINF has no comma (RFC 8216 4.3.2.1)", x.n)
			}
			if strings.Contains(text, ".") {
				m.needs(3, "a length with a fraction")
			}
			d, err := strconv.ParseFloat(text, 64)
			if err != nil || d < 0 || math.IsInf(d, 0) || math.IsNaN(d) {
				m.fault("line %d: EXTINF is %q", x.n, x.value)
				d = 0
			}
			if info {
				m.fault("line %d: a second EXTINF for one segment", x.n)
			}
			e.length, info = d, true
		case "#EXT-X-BYTERANGE":
			m.needs(4, "EXT-X-BYTERANGE")
			var ok bool
			if e.n, e.off, ok = byteRange(x.value); !ok {
				m.fault("line %d: EXT-X-BYTERANGE is %q", x.n, x.value)
			}
			rangeSet = true
		case "#EXT-X-MAP":
			a := m.attributes(x, "URI", "BYTERANGE")
			if e.mapURI = a["URI"]; e.mapURI == "" {
				m.fault("line %d: EXT-X-MAP has no URI (RFC 8216 4.3.2.5)", x.n)
			}
			if r := a["BYTERANGE"]; r != "" {
				var ok bool
				if e.mapN, e.mapOff, ok = byteRange(r); !ok || e.mapOff < 0 {
					m.fault("line %d: BYTERANGE is %q", x.n, r)
				}
			}
			iframesMap = true
		case "#EXT-X-KEY":
			a := m.key(x)
			// Tags without segments between them are alternatives.
			if !renewed {
				e.keys, renewed = nil, true
			}
			if a["METHOD"] != "NONE" {
				e.keys = append(e.keys, a)
			}
		case "":
			if !info {
				m.fault("line %d: a segment without EXTINF (RFC 8216 4.3.2.1)", x.n)
			}
			if rangeSet && e.off < 0 {
				if e.off = next; lastURI != x.value {
					m.fault("line %d: a byte range without an offset does not follow one of the same file (RFC 8216 4.3.2.2)", x.n)
				}
			}
			next, lastURI = e.off+e.n, x.value
			e.uri, e.number = x.value, m.sequence+uint64(len(m.entries))
			if len(m.entries) == maxEntries {
				m.fault("there are more than %d segments", maxEntries)
				return m
			}
			m.entries = append(m.entries, e)
			if m.iframes && !rangeSet {
				m.fault("line %d: a key frame without a byte range", x.n)
			}
			e.discontinuity, e.n, e.off, info, rangeSet, renewed = false, 0, 0, false, false, false
		}
	}
	if iframesMap {
		if m.iframes {
			m.needs(5, "EXT-X-MAP with EXT-X-I-FRAMES-ONLY")
		} else {
			m.needs(6, "EXT-X-MAP")
		}
	}
	m.rules(info)
	return m
}

func (m *mediaPlaylist) rules(dangling bool) {
	if dangling {
		m.fault("an EXTINF has no segment after it")
	}
	if m.target < 0 {
		m.fault("there is no EXT-X-TARGETDURATION (RFC 8216 4.3.3.1)")
	}
	if len(m.entries) == 0 {
		m.fault("the playlist has no segments")
	}
	for i, e := range m.entries {
		if int(math.Round(e.length)) > m.target && m.target > 0 {
			m.fault("segment %d lasts %.3f s, more than EXT-X-TARGETDURATION %d (RFC 8216 4.3.3.1)", i, e.length, m.target)
		}
	}
	if m.kind == "VOD" && !m.ended {
		m.fault("the playlist is of type VOD and has no EXT-X-ENDLIST (RFC 8216 4.3.3.5)")
	}
}

// key reads EXT-X-KEY (RFC 8216 4.3.2.4).
func (m *playlist) key(x line) map[string]string {
	a := m.attributes(x, "URI", "KEYFORMAT", "KEYFORMATVERSIONS")
	switch a["METHOD"] {
	case "NONE":
		if len(a) > 1 {
			m.fault("line %d: METHOD=NONE with other attributes (RFC 8216 4.3.2.4)", x.n)
		}
	case "AES-128", "SAMPLE-AES", "SAMPLE-AES-CTR":
		if a["URI"] == "" {
			m.fault("line %d: EXT-X-KEY has no URI (RFC 8216 4.3.2.4)", x.n)
		}
	default:
		m.fault("line %d: METHOD is %q (RFC 8216 4.3.2.4)", x.n, a["METHOD"])
	}
	if v, ok := a["IV"]; ok {
		m.needs(2, "IV")
		if _, err := hex.DecodeString(iv(v)); err != nil || len(iv(v)) != 32 {
			m.fault("line %d: IV is %q, not 128 bits in hexadecimal", x.n, v)
		}
	}
	if _, ok := a["KEYFORMAT"]; ok {
		m.needs(5, "KEYFORMAT")
	}
	return a
}

func iv(s string) string {
	return strings.TrimPrefix(strings.TrimPrefix(s, "0x"), "0X")
}

// byteRange reads n[@off]; off is -1 if it is not told.
func byteRange(s string) (n, off int64, ok bool) {
	size, at, told := strings.Cut(s, "@")
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil || n < 1 {
		return 0, 0, false
	}
	if !told {
		return n, -1, true
	}
	off, err = strconv.ParseInt(at, 10, 64)
	return n, off, err == nil && off >= 0
}
