package packager

import (
	"slices"

	"github.com/openams/openams/packager/mp4"
)

// A Cut is what manifests leave out of a presentation. Segments know nothing of
// it. Times are in Timescale, on the clock of fragment names. The zero Cut
// leaves all.
type Cut struct {
	Start uint64 // what ends before stays out
	End   uint64 // what starts there or later stays out; 0: nothing does

	// Of a presentation that is Live: how much players may go back, 0 for no
	// bound, and how far they are kept behind its end. End counts only with
	// ForceEnd, and then ends the presentation.
	Window, Backoff uint64
	ForceEnd        bool

	Keep         func(*Rendition) bool // nil: all renditions
	FirstQuality int64                 // bitrate of the variant that HLS names first; 0: no wish
}

// Cut returns p without what c leaves out. Fragments that lie in the range in
// part stay whole. per is the number of fragments in a segment of the format: no
// segment is cut. The error is FilterRemovedAll, FilterRangeInvalid, or of a
// live presentation FilterBackoffTooLong or FilterForceEndOutside.
func (p *Presentation) Cut(c Cut, per int) (*Presentation, error) {
	out := *p
	out.FirstQuality = c.FirstQuality
	out.Tracks = nil
	for _, t := range p.Tracks {
		u := *t
		u.Renditions = nil
		for _, r := range t.Renditions {
			if c.Keep == nil || c.Keep(r) {
				s := *r
				s.Track = &u
				u.Renditions = append(u.Renditions, &s)
			}
		}
		if len(u.Renditions) > 0 {
			out.Tracks = append(out.Tracks, &u)
		}
	}
	if len(out.Of(mp4.Video))+len(out.Of(mp4.Audio)) == 0 {
		return nil, Errorf(FilterRemovedAll, "the filters leave no video and no audio track")
	}
	from, to, err := c.span(&out)
	if err != nil {
		return nil, err
	}
	if from == 0 && to == forever {
		return &out, nil
	}
	// The video says where the parts begin and end; audio and text have what
	// plays meanwhile.
	lead := out.Tracks[0]
	for _, kind := range []mp4.Kind{mp4.Video, mp4.Audio} {
		if of := out.Of(kind); len(of) > 0 {
			lead = of[0]
			break
		}
	}
	if !lead.cut(from, to, per) {
		return nil, Errorf(FilterRemovedAll, "the filters leave nothing of the presentation, which lasts from %d to %d (in 1/%d s)", p.Start, p.Start+p.Duration, Timescale)
	}
	f := lead.Renditions[0].Fragments
	last := f[len(f)-1]
	out.Start, to = f[0].Start, last.Start+last.Length
	if r := p.Tracks[slices.IndexFunc(p.Tracks, func(t *Track) bool { return t.Name == lead.Name })].Renditions[0]; last == r.Fragments[len(r.Fragments)-1] {
		to = forever // audio may be longer
	}
	out.Duration = min(p.Start+p.Duration, to) - out.Start
	from = out.Start
	if out.Start > 0 {
		from += sliver
	}
	if to != forever {
		to -= sliver
	}
	out.Tracks = slices.DeleteFunc(out.Tracks, func(t *Track) bool { return t != lead && !t.cut(from, to, per) })
	return &out, nil
}

// sliver is how much a cut may take from the start and the end of audio and
// text, whose fragments begin and end at other times than those of video: a
// fragment of 6 s is not worth its last tenth.
const sliver = Timescale / 10

const forever = 1<<64 - 1

// First returns the rendition for a FirstQuality: the best one of at most that
// bitrate, else the least.
func (t *Track) First(bitrate int64) *Rendition {
	first := t.Renditions[0]
	for _, r := range t.Renditions {
		if r.Bitrate <= bitrate {
			first = r
		}
	}
	return first
}

// span returns the range of time that stays of p.
func (c *Cut) span(p *Presentation) (from, to uint64, err error) {
	from, to = c.Start, c.End
	if to == 0 || p.Live && !c.ForceEnd {
		to = forever
	}
	if from >= to {
		return 0, 0, Errorf(FilterRangeInvalid, "the range of time that the filters leave is empty: it starts at %d and ends at %d", from, to)
	}
	if !p.Live {
		return from, to, nil
	}
	edge := p.Start + p.Duration
	if c.ForceEnd && c.End > 0 {
		if c.Start != 0 && c.Start < p.Start || c.End <= p.Start {
			return 0, 0, Errorf(FilterForceEndOutside, "the range of a filter with forceEndTimestamp has left the window, which starts at %d", p.Start)
		}
		if c.End <= edge {
			p.Live = false
			return from, to, nil
		}
	}
	if c.Window > 0 && c.Backoff >= c.Window {
		return 0, 0, Errorf(FilterBackoffOverWindow, "liveBackoffDuration is not shorter than presentationWindowDuration")
	}
	if c.Backoff >= p.Duration {
		return 0, 0, Errorf(FilterBackoffOverDVR, "liveBackoffDuration is not shorter than the window of %d s", p.Duration/Timescale)
	}
	edge -= c.Backoff
	if c.Backoff > 0 {
		to = min(to, edge)
	}
	if c.Window > 0 && c.Window < edge {
		from = max(from, edge-c.Window)
	}
	return from, to, nil
}

// cut leaves t the fragments that lie in [from, to), and those that share a
// segment with one. It reports whether there are any.
func (t *Track) cut(from, to uint64, per int) bool {
	f := t.Renditions[0].Fragments
	first := slices.IndexFunc(f, func(f Fragment) bool { return f.Start+f.Length > from })
	if first < 0 || f[first].Start >= to {
		return false
	}
	end := len(f)
	for end > first && f[end-1].Start >= to {
		end--
	}
	first -= first % per
	end = min(len(f), (end+per-1)/per*per)
	for _, r := range t.Renditions {
		r.Fragments, r.Skip = r.Fragments[min(first, len(r.Fragments)):min(end, len(r.Fragments))], r.Skip+first
	}
	return true
}
