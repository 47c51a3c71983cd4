package hls

import (
	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/fmp4"
	"github.com/openams/openams/packager/mp4"
	"github.com/openams/openams/packager/ts"
)

// CMAF returns the format m3u8-cmaf.
func CMAF() *packager.Format {
	f := flavour{name: "m3u8-cmaf", version: 7}
	return &packager.Format{
		Name:     f.name,
		Protocol: packager.HLS,
		Manifest: f.multivariant,
		Playlist: f.playlist,
		Init: func(_ *packager.Presentation, r *packager.Rendition) (*packager.Segment, error) {
			if r.Text != nil {
				return nil, packager.Errorf(packager.MediaTypeNotSupported, "track %q is WebVTT, which has no initialization segments", r.Track.Name)
			}
			return r.InitSegment(fmp4.CMAF), nil
		},
		Fragment: func(_ *packager.Presentation, r *packager.Rendition, time uint64) (*packager.Segment, error) {
			k, err := r.FragmentAt(time)
			if err != nil {
				return nil, err
			}
			if r.Text != nil {
				return r.WebVTTSegment(k, 0), nil
			}
			return r.MP4Segment(k, fmp4.CMAF)
		},
	}
}

// TS returns the format m3u8-aapl.
func TS() *packager.Format {
	f := flavour{name: "m3u8-aapl", version: 4, ts: true}
	return f.format(&packager.Format{
		Manifest: f.multivariant,
		Playlist: f.playlist,
		Ciphered: func(p *packager.Presentation, r *packager.Rendition, time uint64, c packager.Ciphers) (*packager.Segment, error) {
			k, err := f.fragmentAt(p, r, time)
			if err != nil {
				return nil, err
			}
			if r.Text != nil {
				return r.WebVTTSegment(k, ts.Base), nil
			}
			return r.TSSegment(k, p.FragmentsPerTS, c)
		},
	})
}

// format completes a format of transport streams.
func (f flavour) format(of *packager.Format) *packager.Format {
	of.Name, of.Protocol = f.name, packager.HLS
	of.Fragment = func(p *packager.Presentation, r *packager.Rendition, time uint64) (*packager.Segment, error) {
		return of.Ciphered(p, r, time, nil)
	}
	return of
}

// fragmentAt is Rendition.FragmentAt for the first fragment of a segment.
func (f flavour) fragmentAt(p *packager.Presentation, r *packager.Rendition, time uint64) (int, error) {
	k, err := r.FragmentAt(time)
	if err == nil && f.ts && r.Text == nil && k%p.FragmentsPerTS != 0 {
		err = packager.Errorf(packager.FragmentTimestampNotFound, "track %q has no segment that starts at %d: segments are of %d fragments", r.Track.Name, time, p.FragmentsPerTS)
	}
	return k, err
}

// A flavour is one value of the URL key format.
type flavour struct {
	name    string
	version int
	ts      bool

	audioTrack string              // that one; "": the default one
	audio      *packager.Rendition // found by with
}

// A piece is one line of a media playlist.
type piece struct {
	first   int    // fragment
	n       int    // fragments
	start   uint64 // in packager.Timescale, as the next one
	length  uint64
	bytes   int64
	iframes []iframe // of video
}

// An iframe is the part of a segment that holds a key frame.
type iframe struct {
	offset, size int64
	length       uint64 // to the next one
}

// pieces returns the segments of r without their sizes.
func (f flavour) pieces(p *packager.Presentation, r *packager.Rendition) []piece {
	per := 1
	if f.ts && r.Text == nil {
		per = p.FragmentsPerTS
	}
	list := make([]piece, 0, len(r.Fragments)/per+1)
	for k, frag := range r.Fragments {
		if k%per == 0 {
			list = append(list, piece{first: k, start: frag.Start})
		}
		s := &list[len(list)-1]
		s.n++
		s.length += frag.Length
	}
	return list
}

// measured is pieces with sizes; those of fragmented MP4 may be off by some
// bytes unless exact. The error is that of Rendition.TS.
func (f flavour) measured(p *packager.Presentation, r *packager.Rendition, o packager.Options, exact bool) ([]piece, error) {
	list := f.pieces(p, r)
	for i := range list {
		s := &list[i]
		for k := s.first; k < s.first+s.n; k++ {
			whole, first, err := f.size(r, k, exact)
			if err != nil {
				return nil, err
			}
			if r.Track.Kind == mp4.Video {
				s.iframes = append(s.iframes, iframe{s.bytes, first, r.Fragments[k].Length})
			}
			s.bytes += whole
		}
		if o.Protection == nil {
			continue
		}
		// Only transport streams have more than one fragment a segment.
		var frame iframe
		if len(s.iframes) > 0 {
			frame = s.iframes[0]
		}
		whole, first, err := o.Protection.Size(r, s.first, s.bytes, frame.size, f.carrier())
		if err != nil {
			return nil, err
		}
		s.bytes = whole
		if len(s.iframes) > 0 && f.frames(o) {
			s.iframes[0].size = first
		}
	}
	return list, nil
}

func (f flavour) carrier() packager.Carrier {
	if f.ts {
		return packager.TransportStream
	}
	return packager.FragmentedMP4
}

// frames reports whether there are playlists of I-frames: these need the place of
// each frame, and be decrypted alone.
func (f flavour) frames(o packager.Options) bool {
	return o.Protection == nil || !o.Protection.Whole() && !f.ts
}

// size returns the bytes of fragment k, and how many of them hold its first
// sample.
func (f flavour) size(r *packager.Rendition, k int, exact bool) (whole, first int64, err error) {
	if !f.ts {
		whole, first = r.MP4Size(k, exact)
		return whole, first, nil
	}
	if f.audio != nil && r.Track.Kind == mp4.Video {
		whole, err = r.MuxedSize(k, f.audio)
		return whole, 0, err
	}
	s, err := r.TS()
	if err != nil {
		return 0, 0, err
	}
	return s.Size(r.Skip + k), s.FirstSize(r.Skip + k), nil
}

// A rate is a pair of bit rates.
type rate struct{ peak, average int64 }

func (a rate) plus(b rate) rate { return rate{a.peak + b.peak, a.average + b.average} }

// rateOf returns the bit rates of a playlist. The peak is the greatest rate of
// any run of segments that lasts 0.5 to 1.5 target durations (RFC 8216 4.1).
func rateOf(list []piece) rate {
	target := 0.0
	bits, length := 0.0, 0.0
	for _, s := range list {
		target = max(target, float64(s.length))
		bits += float64(s.bytes) * 8
		length += float64(s.length)
	}
	if length == 0 {
		return rate{}
	}
	average := bits / length
	peak := average
	for i := range list {
		bits, length := 0.0, 0.0
		for _, s := range list[i:] {
			bits += float64(s.bytes) * 8
			if length += float64(s.length); length > 1.5*target {
				break
			}
			if length >= 0.5*target {
				peak = max(peak, bits/length)
			}
		}
	}
	return rate{bitsPerSecond(peak), bitsPerSecond(average)}
}

// iframeRate is rateOf of an I-frame playlist, every frame alone.
func iframeRate(list []piece) rate {
	var frames []piece
	for _, s := range list {
		for _, i := range s.iframes {
			frames = append(frames, piece{length: i.length, bytes: i.size})
		}
	}
	return rateOf(frames)
}

func bitsPerSecond(perTick float64) int64 {
	const up = 0.999999 // a claim may be too high by a bit, not too low
	return int64(perTick*packager.Timescale + up)
}
