package packager

import (
	"math/bits"
	"sort"
	"strings"

	"github.com/openams/openams/packager/mp4"
	"github.com/openams/openams/packager/text"
	"github.com/openams/openams/packager/ts"
)

// Timescale is the number of ticks a second in manifests and URLs.
const Timescale = 10_000_000

// MaxRenditions is the number of quality levels that a Track may have, as in AMS.
const MaxRenditions = 64

// A Presentation is all that one .ism offers to players.
type Presentation struct {
	Tracks   []*Track    // video first, then audio in the order of the .ism, then text as it was added
	Text     []TextTrack // of the .ism: for whoever reads their files to add
	Start    uint64      // of the first fragment that manifests offer, in Timescale; nearly always 0 but in live archives and after a Cut
	Duration uint64      // from Start to the end of the longest track, in Timescale
	Live     bool        // more is to come
	Early    bool        // it is what is there of an encode under way

	FirstQuality int64 // bitrate of the variant that HLS names first; 0: the least

	// FragmentsPerTS is the number of fragments that one TS segment holds, at
	// least 1: the fragmentsPerHLSSegment of the .ism.
	FragmentsPerTS int
}

// A Track is what a player chooses one rendition of at a time: the video, one
// language.
type Track struct {
	Name          string       // as URLs spell it: unique, and free of what would need escaping in them
	Kind          mp4.Kind     // Video, Audio or Text
	Language      string       // as the .ism or the file says; "" if unknown
	Role          string       // "alternate" or ""
	Accessibility string       // "description" or ""
	Renditions    []*Rendition // at least one, ascending by Bitrate

	// How players show it. Empty where nobody said it.
	Label           string // for people
	Default         bool   // chosen without a wish of the viewer
	Forced          bool   // text that shows even without captions
	Characteristics string // of HLS
	DASHRole        string // value of urn:mpeg:dash:role:2011
}

// A Rendition is one encoding of a Track: a track of an MP4 file.
type Rendition struct {
	Track     *Track
	Bitrate   int64      // bit/s as URLs say it: systemBitrate of the .ism; unique in the Track
	File      string     // key into the files given to New
	Media     *mp4.Track // never nil; of text it has no samples
	Packed    string     // name of a file that holds the samples of Media alone, in order; "": there is none
	Text      *text.Doc  // of text alone
	Codec     string     // RFC 6381, lower case: avc1.64001f, mp4a.40.2
	Fragments []Fragment // at least one; names and lengths are the same in all renditions of the Track
	Skip      int        // fragments of the media before Fragments[0]; 0 but after a Cut

	archived bool // the fragments are those of a live archive

	// Made when first needed.
	ts       func() (*ts.Stream, error)
	firsts   func() []uint32
	header   func() (fixed, each int)
	unprimed func() []Fragment
	mux      func(audio *Rendition) (*muxed, error)
}

// A Fragment is the unit of segments.
type Fragment struct {
	mp4.Fragment
	Start  uint64 // names the fragment in URLs and manifests, in Timescale
	Length uint64 // to the Start of the next one, in Timescale
}

// A TextTrack is a textstream of the .ism.
type TextTrack struct {
	Name            string // "": made of the language
	File            string // .vtt, .ttml or .cmft
	Transcript      string // what a .cmft was made from; ""
	Bitrate         int64
	Language        string // "": as the file says
	DisplayName     string
	Default         bool
	Forced          bool
	Characteristics string
	Hidden          bool // not for players
}

// Ticks converts a time in units of 1/scale seconds to Timescale, rounding down.
func Ticks(t int64, scale uint32) uint64 {
	hi, lo := bits.Mul64(uint64(max(0, t)), Timescale)
	if hi >= uint64(scale) {
		return 1<<64 - 1 // a forged index: no real time is that late
	}
	q, _ := bits.Div64(hi, lo, uint64(scale))
	return q
}

// Track returns the track with the given name: the exact one, else one that
// differs in case. The error is TrackNotFound.
func (p *Presentation) Track(name string) (*Track, error) {
	for _, t := range p.Tracks {
		if t.Name == name {
			return t, nil
		}
	}
	for _, t := range p.Tracks {
		if strings.EqualFold(t.Name, name) {
			return t, nil
		}
	}
	return nil, Errorf(TrackNotFound, "no track %q: the presentation has %s", name, strings.Join(p.trackNames(), ", "))
}

func (p *Presentation) trackNames() []string {
	var names []string
	for _, t := range p.Tracks {
		names = append(names, t.Name)
	}
	return names
}

// Rendition returns the rendition of the named track with the given bitrate.
// The error is TrackNotFound or MediaEntryNotFound.
func (p *Presentation) Rendition(track string, bitrate int64) (*Rendition, error) {
	t, err := p.Track(track)
	if err != nil {
		return nil, err
	}
	for _, r := range t.Renditions {
		// AMS gave text the bitrate 0, where nobody said another.
		if r.Bitrate == bitrate || t.Kind == mp4.Text && bitrate == 0 {
			return r, nil
		}
	}
	return nil, Errorf(MediaEntryNotFound, "track %q has no quality level of %d bit/s", t.Name, bitrate)
}

// Of returns the tracks of one kind.
func (p *Presentation) Of(kind mp4.Kind) []*Track {
	var of []*Track
	for _, t := range p.Tracks {
		if t.Kind == kind {
			of = append(of, t)
		}
	}
	return of
}

// FragmentAt returns the number of the fragment that starts at time, in
// Timescale. One tick more or less is forgiven: clients round. The error is
// FragmentTimestampNotFound.
func (r *Rendition) FragmentAt(time uint64) (int, error) {
	f := r.Fragments
	i := sort.Search(len(f), func(i int) bool { return f[i].Start+1 >= time })
	// Exact first: fragments of one tick would be within each other's tolerance.
	for j := i; j < len(f) && f[j].Start <= time; j++ {
		if f[j].Start == time {
			return j, nil
		}
	}
	if i < len(f) && (f[i].Start+1 == time || f[i].Start == time+1) {
		return i, nil
	}
	return 0, Errorf(FragmentTimestampNotFound, "track %q has no fragment that starts at %d", r.Track.Name, time)
}

// Extents returns the bytes of n samples from the first one on.
func (r *Rendition) Extents(first, n int) []Extent {
	if r.Packed != "" {
		return []Extent{{r.Packed, r.Media.Bytes(0, first), r.Media.Bytes(first, n)}}
	}
	media := r.Media.Extents(first, n)
	extents := make([]Extent, len(media))
	for i, x := range media {
		extents[i] = Extent{r.File, x.Offset, x.Length}
	}
	return extents
}
