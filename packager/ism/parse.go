package ism

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Bounds of what Parse reads.
const (
	MaxSize    = 1 << 20
	maxDepth   = 16
	maxStreams = 1024
	maxParams  = 16384 // of all streams together
)

// Parse reads a server manifest. Names of elements, attributes and params are
// taken in any case; unknown elements are skipped. Its errors say in one line
// what is wrong, for a person who may fix the file.
func Parse(b []byte) (*Manifest, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("server manifest: %d bytes, more than %d", len(b), MaxSize)
	}
	m, err := parse(toUTF8(b))
	if err != nil {
		return nil, fmt.Errorf("server manifest: %w", err)
	}
	return m, nil
}

// toUTF8 removes a byte order mark and turns UTF-16 into UTF-8. Without a mark
// a NUL in the first two bytes tells UTF-16 too, as every manifest starts with
// an ASCII character.
func toUTF8(b []byte) []byte {
	if b2, ok := bytes.CutPrefix(b, []byte("\xef\xbb\xbf")); ok {
		return b2
	}
	if len(b) < 2 {
		return b
	}
	var big bool
	switch {
	case b[0] == 0xfe && b[1] == 0xff:
		big, b = true, b[2:]
	case b[0] == 0xff && b[1] == 0xfe:
		b = b[2:]
	case b[0] == 0:
		big = true
	case b[1] != 0:
		return b
	}
	units := make([]uint16, len(b)/2)
	for i := range units {
		lo, hi := b[2*i], b[2*i+1]
		if big {
			lo, hi = hi, lo
		}
		units[i] = uint16(lo) | uint16(hi)<<8
	}
	return []byte(string(utf16.Decode(units)))
}

// asUTF8 ignores the encoding that the declaration names: clients write
// encoding="utf-16" into UTF-8 text. Anything that is not UTF-8 is Latin-1.
func asUTF8(_ string, r io.Reader) (io.Reader, error) {
	b, err := io.ReadAll(r)
	if err != nil || utf8.Valid(b) {
		return bytes.NewReader(b), err
	}
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return strings.NewReader(string(runes)), nil
}

func parse(b []byte) (*Manifest, error) {
	d := xml.NewDecoder(bytes.NewReader(b))
	d.CharsetReader = asUTF8
	m := &Manifest{}
	var path []string // of open elements, lower case
	var in *Stream    // the open stream element
	inDepth, params := 0, 0
	smil := false
	for {
		tok, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		switch tok := tok.(type) {
		case xml.Directive:
			return nil, errors.New("has a document type declaration, which is not allowed")
		case xml.StartElement:
			name := strings.ToLower(tok.Name.Local)
			if len(path) == maxDepth {
				return nil, fmt.Errorf("elements are nested more than %d deep", maxDepth)
			}
			path = append(path, name)
			if len(path) == 1 {
				if name != "smil" {
					return nil, fmt.Errorf("the root element is <%s>, not <smil>", tok.Name.Local)
				}
				if smil {
					return nil, errors.New("has two root elements")
				}
				smil = true
			}
			attr := attributes(tok)
			switch {
			case name == "meta" && in == nil:
				if params++; params > maxParams {
					return nil, fmt.Errorf("more than %d params", maxParams)
				}
				if err := m.meta(attr("name"), attr("content")); err != nil {
					return nil, err
				}
			case in == nil && kindOf(name) != 0:
				if len(m.Streams) == maxStreams {
					return nil, fmt.Errorf("more than %d streams", maxStreams)
				}
				m.Streams = append(m.Streams, Stream{Kind: kindOf(name)})
				in, inDepth = &m.Streams[len(m.Streams)-1], len(path)
				if in.Src = strings.TrimSpace(attr("src")); in.Src == "" {
					return nil, fmt.Errorf("a <%s> has no src", tok.Name.Local)
				}
				for _, a := range []string{"systemBitrate", "systemLanguage"} {
					if err := in.param(a, attr(a)); err != nil {
						return nil, err
					}
				}
			case in != nil && name == "param":
				if params++; params > maxParams {
					return nil, fmt.Errorf("more than %d params", maxParams)
				}
				if err := in.param(attr("name"), attr("value")); err != nil {
					return nil, err
				}
			}
		case xml.EndElement:
			if in != nil && len(path) == inDepth {
				in = nil
			}
			path = path[:len(path)-1]
		}
	}
	switch {
	case !smil:
		return nil, errors.New("has no <smil> element")
	case len(m.Streams) == 0:
		return nil, errors.New("names no <video>, <audio> or <textstream>")
	}
	return m, nil
}

func attributes(e xml.StartElement) func(string) string {
	return func(name string) string {
		for _, a := range e.Attr {
			if strings.EqualFold(a.Name.Local, name) {
				return a.Value
			}
		}
		return ""
	}
}

func kindOf(element string) Kind {
	for k := Video; k <= Text; k++ {
		if k.String() == element {
			return k
		}
	}
	return 0
}

// MaxFragmentsPerHLSSegment bounds the meta of that name.
const MaxFragmentsPerHLSSegment = 100

func (m *Manifest) meta(name, content string) error {
	if content = strings.TrimSpace(content); content == "" {
		return nil
	}
	switch strings.ToLower(name) {
	case "":
	case "clientmanifestrelativepath":
		m.ClientManifest = content
	case "formats":
		m.Formats = content
	case "fragmentsperhlssegment":
		n, err := strconv.Atoi(content)
		if err != nil || n < 1 || n > MaxFragmentsPerHLSSegment {
			return fmt.Errorf("fragmentsPerHLSSegment is %q, not a number from 1 to %d", content, MaxFragmentsPerHLSSegment)
		}
		m.FragmentsPerHLSSegment = n
	case strings.ToLower(earlyMeta):
		if m.Early = Early(content); m.Early != EarlyGrowing && m.Early != EarlyWhole {
			return fmt.Errorf("%s is %q, neither %s nor %s", earlyMeta, content, EarlyGrowing, EarlyWhole)
		}
	default:
		m.Meta = append(m.Meta, Param{name, content})
	}
	return nil
}

// param takes a param or an attribute of a stream. The encoder writes bitrate
// and language as both; the first that says something wins.
func (s *Stream) param(name, value string) error {
	value = strings.TrimSpace(value)
	if value == "" {
		return nil
	}
	set := func(to *string) {
		if *to == "" {
			*to = value
		}
	}
	switch strings.ToLower(name) {
	case "":
	case "systembitrate":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < 0 || n > 1<<40 {
			return fmt.Errorf("%s %q: systemBitrate is %q, not a number of bits per second", s.Kind, s.Src, value)
		}
		if s.Bitrate == 0 {
			s.Bitrate = n
		}
	case "trackid":
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil {
			return fmt.Errorf("%s %q: trackID is %q, not a number", s.Kind, s.Src, value)
		}
		s.TrackID = uint32(n)
	case "systemlanguage": // of SMIL: a list
		first, _, _ := strings.Cut(value, ",")
		value = strings.TrimSpace(first)
		set(&s.Language)
	case "trackname":
		set(&s.TrackName)
	case "trackindex":
		set(&s.TrackIndex)
	case "role":
		set(&s.Role)
	case "accessibility":
		set(&s.Accessibility)
	case "textdisplayname":
		set(&s.DisplayName)
	case "textisdefault":
		s.Default = strings.EqualFold(value, "true")
	case "texthlscharacteristic":
		set(&s.Characteristic)
	case "transcriptsrc":
		set(&s.Transcript)
	default:
		s.Params = append(s.Params, Param{name, value})
	}
	return nil
}
