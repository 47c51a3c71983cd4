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
}

// Options are the keys of a manifest URL that change the text of a manifest.
// None changes a segment.
type Options struct {
	NoAudioOnly bool   // audio-only=false: leave the audio-only variants out of HLS
	Keyframes   bool   // type=keyframes: the I-frame playlist; Playlist only
	Query       string // appended to child URIs after a "?" where not empty; the caller's to escape
}
