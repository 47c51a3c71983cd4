package packager

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openams/openams/packager/fmp4"
	"github.com/openams/openams/packager/mp4"
	"github.com/openams/openams/packager/text"
)

// AddText adds a text track with the captions of d, while p is being built. It
// is cut where the video is, so that filters cut both alike.
func (p *Presentation) AddText(t TextTrack, d *text.Doc) {
	language := cmp.Or(t.Language, d.Language)
	if strings.EqualFold(language, "und") {
		language = ""
	}
	track := &Track{
		Name: p.unusedName(safeName(cmp.Or(t.Name, "subt_"+cmp.Or(language, "und")))), Kind: mp4.Text, Language: language,
		Label: t.DisplayName, Default: t.Default, Forced: t.Forced, Characteristics: t.Characteristics,
	}
	track.Renditions = []*Rendition{{
		Track: track, Bitrate: max(1, t.Bitrate), File: t.File, Codec: d.Codec, Text: d,
		Media:     &mp4.Track{ID: 3, Kind: mp4.Text, Codec: d.Codec, Timescale: Timescale, Language: language, SampleEntry: d.SampleEntry()},
		Fragments: p.textFragments(),
	}}
	p.Tracks = append(p.Tracks, track)
}

func (p *Presentation) unusedName(name string) string {
	n := name
	for i := 2; slices.ContainsFunc(p.Tracks, func(t *Track) bool { return strings.EqualFold(t.Name, n) }); i++ {
		n = fmt.Sprintf("%s_%d", name, i)
	}
	return n
}

// textFragments cuts the time of the presentation where the first track is cut,
// in presentation time: text is decoded when it shows.
func (p *Presentation) textFragments() []Fragment {
	r := p.Tracks[0].Renditions[len(p.Tracks[0].Renditions)-1]
	lead := Ticks(r.Media.Lead(), r.Media.Timescale)
	var list []Fragment
	end := p.Duration
	for k, f := range slices.Backward(r.Fragments) {
		start := uint64(0)
		if k > 0 {
			start = max(f.Start, lead) - lead
		}
		if start < end {
			list = append(list, Fragment{mp4.Fragment{Time: int64(start), Decode: int64(start), Dur: int64(end - start)}, start, end - start})
			end = start
		}
	}
	slices.Reverse(list)
	return list
}

// textRange is when fragment k of a text track shows.
func (r *Rendition) textRange(k int) (from, to time.Duration) {
	const tick = time.Second / Timescale
	f := r.Fragments[k]
	return time.Duration(f.Start) * tick, time.Duration(f.Start+f.Length) * tick
}

// textSegment plans fragment k of a text track as fragmented MP4. Smooth
// Streaming has TTML alone, with times from the start of the fragment.
func (r *Rendition) textSegment(k int, style fmp4.Style) (*Segment, error) {
	from, to := r.textRange(k)
	var list []text.Sample
	if style == fmp4.Smooth {
		list = []text.Sample{{Length: to - from, Data: r.Text.TTML(from, to, from)}}
	} else {
		var err error
		if list, err = r.Text.Samples(from, to); err != nil {
			return nil, Errorf(InputFormatNotSupported, "%s: at second %.3f: %v", r.File, from.Seconds(), err)
		}
	}
	samples := make([]mp4.Sample, len(list))
	dts, size := from, 0
	for i, s := range list {
		// Differences of times in ticks: rounding never adds up.
		start, end := Ticks(int64(dts), uint32(time.Second)), Ticks(int64(dts+s.Length), uint32(time.Second))
		samples[i] = mp4.Sample{DTS: start, Size: uint32(len(s.Data)), Dur: uint32(end - start), Sync: true}
		dts += s.Length
		size += len(s.Data)
	}
	f := r.Fragments[k].Fragment
	f.N = len(samples)
	b := fmp4.Header(r.Media, f, samples, uint32(r.Skip+k+1), style)
	b = slices.Grow(b, size)
	for _, s := range list {
		b = append(b, s.Data...)
	}
	return &Segment{ContentType: TypeTextMP4, Size: int64(len(b)), Header: b}, nil
}

// WebVTTSegment plans fragment k of a text track for HLS. mpegts is the time
// stamp of presentation time 0 in the other segments.
func (r *Rendition) WebVTTSegment(k int, mpegts int64) *Segment {
	from, to := r.textRange(k)
	b := r.Text.WebVTT(from, to, mpegts)
	return &Segment{ContentType: TypeWebVTT, Size: int64(len(b)), Header: b}
}
