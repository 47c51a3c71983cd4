package origin

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/openams/openams/packager"
)

// A Kind is what a request asks for.
type Kind uint8

// The kinds of request.
const (
	Manifest Kind = iota + 1 // multivariant playlist, MPD or Smooth manifest
	Playlist                 // HLS media playlist
	Init                     // initialization segment
	Media                    // media segment
	File                     // a file of the asset as it is
)

// String returns the kind in lower case, as metrics label it.
func (k Kind) String() string {
	switch k {
	case Manifest:
		return "manifest"
	case Playlist:
		return "playlist"
	case Init:
		return "init"
	case Media:
		return "segment"
	case File:
		return "file"
	}
	return "none"
}

// A Format is a value of the format key, in the spelling that this package
// writes into the URIs of manifests.
type Format string

// The formats of the URL grammar.
const (
	Smooth   Format = ""              // Smooth Streaming 2.2
	Smooth20 Format = "fmp4-v20"      // Smooth Streaming 2.0
	HLSv3    Format = "m3u8-aapl-v3"  // TS with muxed audio
	HLSv4    Format = "m3u8-aapl"     // TS, audio apart
	HLSCMAF  Format = "m3u8-cmaf"     // fMP4
	DASHCSF  Format = "mpd-time-csf"  // fMP4
	DASHCMAF Format = "mpd-time-cmaf" // fMP4
)

// spellings maps every accepted spelling, in lower case, to its Format.
var spellings = map[string]Format{
	"fmp4-v20":      Smooth20,
	"m3u8-aapl-v3":  HLSv3,
	"m3u8-aapl":     HLSv4,
	"m3u8-aapl-v4":  HLSv4,
	"m3u8-cmaf":     HLSCMAF,
	"m3u8-aapl-v8":  HLSCMAF, // observed on live events of the CMAF era
	"mpd-time-csf":  DASHCSF,
	"mpd-time-cmaf": DASHCMAF,
}

// hls reports whether the format has media playlists.
func (f Format) hls() bool { return strings.HasPrefix(string(f), "m3u8-") }

// ts reports whether segments are transport streams.
func (f Format) ts() bool { return f == HLSv3 || f == HLSv4 }

// An Encryption is a value of the encryption key.
type Encryption string

// The values of the encryption key.
const (
	Clear Encryption = ""
	CBC   Encryption = "cbc"       // AES-128 of whole segments
	CENC  Encryption = "cenc"      // common encryption, counter mode
	CBCS  Encryption = "cbcs-aapl" // common encryption, pattern mode
	PIFF  Encryption = "piff"      // Smooth PIFF 1.1
)

// A Request is a streaming URL taken apart.
type Request struct {
	Locator string // guid in lower case
	Kind    Kind
	Name    string // Manifest to Media: name of the .ism file without its extension; File: name of the file
	Ext     string // Manifest to Media: the extension as written, ".ism" or ".isml"

	Format     Format
	Encryption Encryption
	Direct     bool   // Playlist: asked for without QualityLevels, which means the best
	Bitrate    int64  // Playlist, Init, Media: of QualityLevels
	Track      string // Playlist, Init, Media: stream name
	Time       int64  // Media: start of the segment in ticks of the stream's timescale

	Filters     []string // Manifest, Playlist
	AudioTrack  string   // HLSv3: the audio muxed into the video; "": the default one
	NoAudioOnly bool     // Manifest, Playlist: audio-only=false
	KeyFrames   bool     // Playlist: type=keyframes
}

// Bounds on what a URL may hold. The path of a real one is under 500 bytes.
const (
	maxPath    = 4096
	maxKeys    = 32
	maxFilters = 10 // documented as the most on one locator; a URL was allowed 3
	maxName    = 1024
)

// ParsePath takes a streaming URL's path apart. path is still escaped
// (url.URL.EscapedPath), so that an escaped slash does not part it. Letter
// case is free but in names; empty path segments are skipped. The error is a
// *packager.Error: BadURLSyntax, ResourceNotFound for a path without a locator,
// OutputFormatNotSupported for an unknown format, EncryptionNotSupported.
func ParsePath(path string) (*Request, error) {
	q := new(Request)
	if err := q.parse(path); err != nil {
		return nil, err
	}
	return q, nil
}

func (q *Request) parse(path string) error {
	if len(path) > maxPath {
		return errorf(packager.BadURLSyntax, "the path is longer than %d bytes", maxPath)
	}
	var parts []string
	for p := range strings.SplitSeq(path, "/") {
		if p == "" {
			continue
		}
		s, err := url.PathUnescape(p)
		if err != nil {
			return errorf(packager.BadURLSyntax, "the path has a broken percent escape in %q", p)
		}
		if parts = append(parts, s); len(parts) > 4 {
			return errorf(packager.BadURLSyntax, "the path has more than four segments")
		}
	}
	if len(parts) == 0 || !isGUID(parts[0]) {
		return errorf(packager.ResourceNotFound, "the path does not begin with the id of a streaming locator: /{locator guid}/{name}.ism/manifest")
	}
	q.Locator = strings.ToLower(parts[0])
	if len(parts) == 1 {
		return errorf(packager.ResourceNotFound, "the path names no file after the id of the streaming locator")
	}
	if !validName(parts[1]) {
		return errorf(packager.BadURLSyntax, "%q is not the name of a file", parts[1])
	}
	if len(parts) == 2 {
		q.Kind, q.Name = File, parts[1]
		return nil
	}
	if q.Name, q.Ext = cutISM(parts[1]); q.Ext == "" {
		return errorf(packager.BadURLSyntax, "%q does not end in .ism", parts[1])
	}
	if len(parts) == 3 {
		return q.parseManifest(parts[2])
	}
	if err := q.parseLevel(parts[2]); err != nil {
		return err
	}
	return q.parseUnderLevel(parts[3])
}

// parseManifest reads manifest[(…)][suffix].
func (q *Request) parseManifest(s string) error {
	noun, args, err := call(s)
	if err != nil {
		return err
	}
	if !strings.EqualFold(noun, "manifest") {
		return errorf(packager.BadURLSyntax, "%q is neither manifest nor QualityLevels", noun)
	}
	q.Kind = Manifest
	// Observed: manifest(video,format=m3u8-aapl-v3,audiotrack=audio) without
	// QualityLevels: the media playlist of the best bitrate.
	if len(args) > 0 && args[0].bare {
		q.Kind, q.Track, q.Direct = Playlist, args[0].key, true
		args = args[1:]
	}
	if err := q.parseKeys(args); err != nil {
		return err
	}
	return q.checkPlaylist()
}

// parseLevel reads QualityLevels(bitrate). Attributes after the bitrate, which
// [MS-SSTR] 2.2.3 allows, are ignored.
func (q *Request) parseLevel(s string) error {
	noun, args, err := call(s)
	if err != nil {
		return err
	}
	if !strings.EqualFold(noun, "QualityLevels") {
		return errorf(packager.BadURLSyntax, "%q is not QualityLevels", noun)
	}
	if len(args) == 0 || !args[0].bare {
		return errorf(packager.BadURLSyntax, "QualityLevels has no bitrate")
	}
	var ok bool
	if q.Bitrate, ok = number(args[0].key); !ok {
		return errorf(packager.BadURLSyntax, "%q is not a bitrate", args[0].key)
	}
	return nil
}

// parseUnderLevel reads Manifest(track,…) and Fragments(track=time,…).
func (q *Request) parseUnderLevel(s string) error {
	noun, args, err := call(s)
	if err != nil {
		return err
	}
	switch {
	case strings.EqualFold(noun, "manifest"):
		q.Kind = Playlist
		if len(args) == 0 || !args[0].bare {
			return errorf(packager.BadURLSyntax, "Manifest names no track")
		}
		q.Track = args[0].key
		args = args[1:]
	case strings.EqualFold(noun, "fragments"):
		i := fragment(args)
		if i < 0 {
			return errorf(packager.BadURLSyntax, "Fragments has no {track}={time}")
		}
		q.Kind, q.Track = Media, args[i].key
		if strings.EqualFold(args[i].value, "i") {
			q.Kind = Init
		} else {
			q.Time, _ = number(args[i].value)
		}
		args = append(args[:i:i], args[i+1:]...)
	default:
		return errorf(packager.BadURLSyntax, "%q is neither Manifest nor Fragments", noun)
	}
	if err := q.parseKeys(args); err != nil {
		return err
	}
	return q.checkPlaylist()
}

// fragment is the index of the argument that reads {track}={time}, or -1.
func fragment(args []arg) int {
	for i, a := range args {
		if _, ok := number(a.value); a.bare || knownKey(a.key) || !ok && !strings.EqualFold(a.value, "i") {
			continue
		}
		return i
	}
	return -1
}

func (q *Request) checkPlaylist() error {
	switch {
	case q.Kind == Playlist && !q.Format.hls():
		return errorf(packager.BadURLSyntax, "a manifest of one track exists in HLS alone, and the URL's format is %q", string(q.Format))
	case q.Kind == Init && q.Format.ts():
		return errorf(packager.BadURLSyntax, "format %s has no initialization segments", string(q.Format))
	}
	// Keys that mean nothing here must not make two names of one answer.
	if q.Format != HLSv3 {
		q.AudioTrack = ""
	}
	if q.Kind != Playlist {
		q.KeyFrames = false
	}
	if q.Kind != Manifest && q.Kind != Playlist {
		q.Filters, q.NoAudioOnly = nil, false
	}
	return nil
}

func knownKey(k string) bool {
	switch strings.ToLower(k) {
	case "format", "encryption", "filter", "audiotrack", "audio-only", "type":
		return true
	}
	return false
}

// parseKeys reads key=value in any order. Of a repeated key the first counts;
// unknown keys are ignored, because brokers added their own (observed:
// filtername).
func (q *Request) parseKeys(args []arg) error {
	seen := map[string]bool{}
	for _, a := range args {
		key := strings.ToLower(a.key)
		if a.bare {
			return errorf(packager.BadURLSyntax, "%q is not of the form key=value", a.key)
		}
		if seen[key] {
			continue
		}
		seen[key] = true
		switch key {
		case "format":
			f, ok := spellings[strings.ToLower(a.value)]
			if !ok {
				return errorf(packager.OutputFormatNotSupported, "the format %q is not one of m3u8-cmaf, m3u8-aapl, m3u8-aapl-v3, mpd-time-csf, mpd-time-cmaf, fmp4-v20", a.value)
			}
			q.Format = f
		case "encryption":
			switch e := Encryption(strings.ToLower(a.value)); e {
			case CBC, CENC, CBCS, PIFF:
				q.Encryption = e
			default:
				return errorf(EncryptionNotSupported, "the encryption %q is not one of cbc, cenc, cbcs-aapl, piff", a.value)
			}
		case "filter":
			for f := range strings.SplitSeq(a.value, ";") {
				if f = strings.TrimSpace(f); f == "" {
					continue
				}
				if q.Filters = append(q.Filters, f); len(q.Filters) > maxFilters {
					return errorf(TooManyFilters, "the URL names more than %d filters", maxFilters)
				}
			}
		case "audiotrack":
			q.AudioTrack = a.value
		case "audio-only":
			q.NoAudioOnly = strings.EqualFold(a.value, "false")
		case "type":
			q.KeyFrames = strings.EqualFold(a.value, "keyframes")
		}
	}
	return nil
}

// An arg is one of the comma-separated arguments of a path segment.
type arg struct {
	key, value string
	bare       bool // no "="
}

// call parses noun[(arg, …)][.m3u8|.mpd]. The suffix says nothing: tools
// append it because players look at it.
func call(s string) (noun string, args []arg, err error) {
	for _, suffix := range []string{".m3u8", ".mpd"} {
		if n := len(s) - len(suffix); n >= 0 && strings.EqualFold(s[n:], suffix) {
			s = s[:n]
			break
		}
	}
	s = strings.TrimSpace(s)
	noun, rest, ok := strings.Cut(s, "(")
	if !ok {
		return s, nil, nil
	}
	rest, ok = strings.CutSuffix(rest, ")")
	if !ok {
		return "", nil, errorf(packager.BadURLSyntax, "%q has no closing parenthesis at its end", s)
	}
	if strings.Count(rest, ",") >= maxKeys {
		return "", nil, errorf(packager.BadURLSyntax, "the URL has more than %d arguments in one place", maxKeys)
	}
	for a := range strings.SplitSeq(rest, ",") {
		if a = strings.TrimSpace(a); a == "" {
			continue
		}
		k, v, ok := strings.Cut(a, "=")
		args = append(args, arg{strings.TrimSpace(k), strings.TrimSpace(v), !ok})
		if k == "" {
			return "", nil, errorf(packager.BadURLSyntax, "%q names no key", a)
		}
	}
	return strings.TrimSpace(noun), args, nil
}

// number reads a decimal number without sign.
func number(s string) (int64, bool) {
	if s == "" || s[0] < '0' || s[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// validName reports whether s may name a file: assets keep theirs in the root
// of the container.
func validName(s string) bool {
	if s == "" || s == "." || s == ".." || len(s) > maxName {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] == '/' || s[i] == '\\' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// cutISM parts the name of a server manifest from its extension. ext is ""
// for any other name.
func cutISM(s string) (name, ext string) {
	for _, e := range []string{".ism", ".isml"} {
		if n := len(s) - len(e); n > 0 && strings.EqualFold(s[n:], e) {
			return s[:n], s[n:]
		}
	}
	return s, ""
}

func isGUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i] | 0x20
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if s[i] != '-' {
				return false
			}
		case s[i] >= '0' && s[i] <= '9', c >= 'a' && c <= 'f':
		default:
			return false
		}
	}
	return true
}

// Path writes the request in its canonical spelling, still unescaped: two
// requests for the same thing have the same path.
func (q *Request) Path() string {
	b := make([]byte, 0, 160)
	b = append(b, '/')
	b = append(b, q.Locator...)
	b = append(b, '/')
	b = append(b, q.Name...)
	if q.Kind == File {
		return string(b)
	}
	b = append(b, q.Ext...)
	return string(q.appendBelow(append(b, '/')))
}

// appendBelow appends the canonical spelling of what follows {name}.ism/.
func (q *Request) appendBelow(b []byte) []byte {
	if q.Kind != Manifest && !q.Direct {
		b = append(b, "QualityLevels("...)
		b = strconv.AppendInt(b, q.Bitrate, 10)
		b = append(b, ")/"...)
	}
	sep := byte(',')
	switch q.Kind {
	case Manifest:
		b = append(b, "manifest("...)
		sep = 0
	case Playlist:
		b = append(b, "Manifest("...) // in any case
		b = append(b, q.Track...)
	default:
		b = append(b, "Fragments("...)
		b = append(b, q.Track...)
		if q.Kind == Init {
			b = append(b, "=i"...)
		} else {
			b = append(b, '=')
			b = strconv.AppendInt(b, q.Time, 10)
		}
	}
	key := func(k, v string) {
		if v == "" {
			return
		}
		if sep != 0 {
			b = append(b, sep)
		}
		sep = ','
		b = append(b, k...)
		b = append(b, '=')
		b = append(b, v...)
	}
	key("format", string(q.Format))
	if q.KeyFrames {
		key("type", "keyframes")
	}
	key("encryption", string(q.Encryption))
	key("audiotrack", q.AudioTrack)
	if q.NoAudioOnly {
		key("audio-only", "false")
	}
	key("filter", strings.Join(q.Filters, ";"))
	return append(b, ')')
}
