package packager

// A Protocol groups formats as streaming policies do.
type Protocol string

// The protocols of streaming and delivery policies.
const (
	HLS    Protocol = "Hls"
	DASH   Protocol = "Dash"
	Smooth Protocol = "SmoothStreaming"
)

// A Format is what one value of the URL key "format" makes of a Presentation.
// A nil function means that the format has no such thing: Smooth has no init
// segment, only HLS has a Playlist per rendition. Functions return an *Error
// for what a client asked wrongly.
type Format struct {
	Name     string // as child URLs spell it; "" for Smooth 2.2
	Protocol Protocol

	// Manifest is what manifest(format=…) returns: the multivariant playlist,
	// the MPD, the Smooth client manifest.
	Manifest func(p *Presentation, o Options) (*Document, error)
	// Playlist is what QualityLevels(b)/Manifest(track,format=…) returns.
	Playlist func(p *Presentation, r *Rendition, o Options) (*Document, error)
	// Init is what Fragments(track=i,format=…) returns.
	Init func(p *Presentation, r *Rendition) (*Segment, error)
	// Fragment is what Fragments(track=time,format=…) returns; time is in
	// Timescale and may be off by one.
	Fragment func(p *Presentation, r *Rendition, time uint64) (*Segment, error)
	// Ciphered is Fragment with encrypted samples. Only transport streams have
	// it: those of fragmented MP4 are encrypted where they are.
	Ciphered func(p *Presentation, r *Rendition, time uint64, c Ciphers) (*Segment, error)
}

// A Carrier is what samples are in when they are encrypted.
type Carrier uint8

const (
	FragmentedMP4 Carrier = iota
	SmoothFragment
	TransportStream
)

// Options are what changes the text of a manifest. None changes a segment.
type Options struct {
	NoAudioOnly bool   // audio-only=false: leave the audio-only variants out of HLS
	Keyframes   bool   // type=keyframes: the I-frame playlist; Playlist only
	Filters     string // value of the URL key filter, escaped, which playlists repeat and segments do not; "" for none
	Base        string // put before the URIs of segments: where they lie from the playlist
	Query       string // appended to child URIs after a "?" where not empty; the caller's to escape

	// PlaylistQuery is appended like Query, but to the URIs of playlists alone:
	// segments keep the URLs that caches know.
	PlaylistQuery string

	// Protection is what the manifest says of encrypted segments; nil: they
	// are clear.
	Protection Protection
}

// Encryption returns what child URIs end in, ",encryption=…", "" for clear ones.
func (o Options) Encryption() string {
	if o.Protection == nil {
		return ""
	}
	return ",encryption=" + o.Protection.Name()
}

// A Protection is what manifests say of encrypted segments. Package protect has
// it. Texts are "" for a rendition that is clear.
type Protection interface {
	// Name is the value of the URL key "encryption".
	Name() string
	// Whole reports whether segments are encrypted from their first byte to
	// the last, so that no part of one can be played.
	Whole() bool
	// ContentProtection is elements of an MPD, each on a line.
	ContentProtection(*Rendition) string
	// PlaylistKeys is EXT-X-KEY tags, each on a line.
	PlaylistKeys(*Rendition, Carrier) string
	// ProtectionElement is that of a Smooth client manifest, on one line.
	ProtectionElement(*Presentation) string
	// Size returns the sizes of the encrypted segment that starts with fragment
	// k, and of its part up to the end of the first sample, from those of the
	// clear one. In a TransportStream they are upper bounds, nearly always.
	Size(r *Rendition, k int, whole, first int64, in Carrier) (int64, int64, error)
}
