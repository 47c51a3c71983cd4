package text

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// Bounds of a source.
const (
	MaxSize   = 8 << 20 // bytes of a file
	maxCues   = 100_000
	maxHeader = 64 << 10 // bytes of style and region blocks
)

// A Doc is a caption file. It is never changed and safe for concurrent use.
type Doc struct {
	Codec    string // of its fragments: "wvtt" or "stpp"
	Language string // as the file says, "" if it does not
	Bytes    int64  // of the file

	header string // WebVTT: style and region blocks
	cues   []cue  // by start
	root   *node  // TTML: the document; nil for WebVTT
}

// A cue is a text and when it shows.
type cue struct {
	start, end time.Duration
	id         string
	settings   string
	text       string // WebVTT cue text, no empty line within
}

// Parse reads a caption file. The error says what is wrong with the file, for a
// person who may mend it.
func Parse(b []byte) (*Doc, error) {
	size := int64(len(b))
	if size > MaxSize {
		return nil, errors.New("the file is too large for a text track")
	}
	if len(b) >= 8 && isMP4(string(b[4:8])) {
		d, err := parseMP4(b)
		if err == nil {
			d.Bytes = size
		}
		return d, err
	}
	b, _, err := transform.Bytes(unicode.BOMOverride(unicode.UTF8.NewDecoder()), b)
	if err != nil {
		return nil, err
	}
	var d *Doc
	switch trimmed := bytes.TrimLeft(b, " \t\r\n"); {
	case bytes.HasPrefix(b, []byte("WEBVTT")):
		d, err = parseVTT(string(b))
	case bytes.HasPrefix(trimmed, []byte("<")):
		d, err = parseTTML(trimmed)
	default:
		return nil, errors.New("the file is neither WebVTT nor TTML")
	}
	if err != nil {
		return nil, err
	}
	d.sort()
	d.Bytes = size
	return d, nil
}

func isMP4(box string) bool { return box == "ftyp" || box == "styp" || box == "moov" || box == "moof" }

func (d *Doc) sort() {
	slices.SortStableFunc(d.cues, func(a, b cue) int { return cmp.Compare(a.start, b.start) })
}

// Size is about the memory that d takes.
func (d *Doc) Size() int64 {
	n := int64(len(d.header)) + 4096
	for i := range d.cues {
		n += int64(len(d.cues[i].text)) + 128
	}
	if d.root != nil {
		n *= 4
	}
	return n
}

// within returns the cues that show in [from, to).
func (d *Doc) within(from, to time.Duration) []cue {
	end, _ := slices.BinarySearchFunc(d.cues, to, func(c cue, t time.Duration) int { return cmp.Compare(c.start, t) })
	var list []cue
	for _, c := range d.cues[:end] {
		if c.end > from {
			list = append(list, c)
		}
	}
	return list
}

// clock writes a time with three digits of a second, as WebVTT and TTML both
// have it.
func clock(t time.Duration) string {
	ms := t.Milliseconds()
	var b [16]byte
	s := appendInt(b[:0], ms/3_600_000, 2)
	s = appendInt(append(s, ':'), ms/60_000%60, 2)
	s = appendInt(append(s, ':'), ms/1000%60, 2)
	s = appendInt(append(s, '.'), ms%1000, 3)
	return string(s)
}

func appendInt(b []byte, v int64, digits int) []byte {
	var d []byte
	for ; v > 0 || len(d) < digits; v /= 10 {
		d = append(d, byte('0'+v%10))
	}
	slices.Reverse(d)
	return append(b, d...)
}

// noBlankLines takes out what would end a cue or begin another.
func noBlankLines(s string) string {
	lines := strings.Split(strings.ReplaceAll(s, "\r", "\n"), "\n")
	lines = slices.DeleteFunc(lines, func(l string) bool { return strings.TrimSpace(l) == "" })
	return strings.ReplaceAll(strings.Join(lines, "\n"), "-->", "--&gt;")
}
