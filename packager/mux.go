package packager

import (
	"fmt"
	"slices"
	"sync"

	"github.com/openams/openams/packager/mp4"
	"github.com/openams/openams/packager/ts"
)

// muxed is the audio that plays with a video rendition in one transport stream,
// cut where the video is cut.
type muxed struct {
	*ts.Stream
	fragments []mp4.Fragment // as many as the video has; N may be 0
}

// muxesOf returns what makes the muxed of r with an audio rendition, once for
// each. The renditions before r whose pictures are cut at the same times share
// theirs.
func (r *Rendition) muxesOf(before []*Rendition) func(audio *Rendition) (*muxed, error) {
	for _, o := range before {
		if r.Media.Timescale == o.Media.Timescale && r.Media.Lead() == o.Media.Lead() &&
			slices.EqualFunc(r.Fragments, o.Fragments, func(a, b Fragment) bool { return a.Time == b.Time }) {
			return o.mux
		}
	}
	return r.newMuxes()
}

// newMuxes returns a function that makes the muxed of r with an audio rendition
// once for each.
func (r *Rendition) newMuxes() func(audio *Rendition) (*muxed, error) {
	var made sync.Map // of *mp4.Track, as Cut copies renditions
	return func(audio *Rendition) (*muxed, error) {
		once, _ := made.LoadOrStore(audio.Media, sync.OnceValues(func() (*muxed, error) { return r.newMuxed(audio) }))
		return once.(func() (*muxed, error))()
	}
}

func (r *Rendition) newMuxed(audio *Rendition) (*muxed, error) {
	m := &muxed{fragments: make([]mp4.Fragment, len(r.Fragments))}
	media := audio.Media
	next := 0
	for k := range r.Fragments {
		end := media.NumSamples()
		if k+1 < len(r.Fragments) {
			// The first frame at or after the first picture of the next fragment.
			at := ticksOf(r.Fragments[k+1].Time-r.Media.Lead(), r.Media.Timescale, media.Timescale)
			i := media.SampleAt(at)
			if s := media.Sample(i); int64(s.DTS)+int64(media.FirstCTO)-media.EditStart < at {
				i++
			}
			end = max(next, i)
		}
		m.fragments[k] = mp4.Fragment{First: next, N: end - next, Bytes: media.Bytes(next, end-next)}
		next = end
	}
	var err error
	if m.Stream, err = ts.NewStream(media, m.fragments); err != nil {
		return nil, Errorf(AudioEncodingNotSupported, "%s: track %d: %v", audio.File, media.ID, err)
	}
	return m, nil
}

// ticksOf converts a time from one timescale to another, rounding down.
func ticksOf(t int64, from, to uint32) int64 {
	q, r := t/int64(from), t%int64(from)
	if r < 0 {
		q, r = q-1, r+int64(from)
	}
	return q*int64(to) + r*int64(to)/int64(from)
}

// MuxedSize is the size of fragment k with audio in the same transport stream.
func (r *Rendition) MuxedSize(k int, audio *Rendition) (int64, error) {
	video, err := r.TS()
	if err != nil {
		return 0, err
	}
	m, err := r.mux(audio)
	if err != nil {
		return 0, err
	}
	return ts.Size(r.Skip+k, video, m.Stream), nil
}

// MuxedSegment plans n fragments from k on, or as many as there are, as one
// segment of a transport stream with r and the audio that plays with it.
func (r *Rendition) MuxedSegment(k, n int, audio *Rendition, ciphers Ciphers) (*Segment, error) {
	video, err := r.TS()
	if err != nil {
		return nil, err
	}
	m, err := r.mux(audio)
	if err != nil {
		return nil, err
	}
	look, err := ciphers.of(r)
	if err != nil {
		return nil, err
	}
	hear, err := ciphers.of(audio)
	if err != nil {
		return nil, err
	}
	n = min(n, len(r.Fragments)-k)
	fragments, first := r.Fragments[k:k+n], r.Skip+k
	sounds := m.fragments[first : first+n]
	s := &Segment{ContentType: TypeTS, Unsized: look != nil && video.Grows()}
	pictures, frames := 0, 0
	var bytes int64 // of video
	for i, f := range fragments {
		pictures += f.N
		frames += sounds[i].N
		bytes += f.Bytes
		s.Size += ts.Size(first+i, video, m.Stream)
	}
	s.Extents = append(r.Extents(fragments[0].First, pictures), audio.Extents(sounds[0].First, frames)...)
	s.Transform = func(dst, media []byte) ([]byte, error) {
		if bytes > int64(len(media)) {
			return nil, fmt.Errorf("%s: fragments of %d bytes, %d read", r.File, bytes, len(media))
		}
		seen, heard := media[:bytes], media[bytes:]
		for i, f := range fragments {
			a := sounds[i]
			if f.Bytes > int64(len(seen)) || a.Bytes > int64(len(heard)) {
				return nil, fmt.Errorf("%s: a fragment is longer than what was read", r.File)
			}
			var err error
			r.withSamples(f.First, f.N, func(p []mp4.Sample) {
				audio.withSamples(a.First, a.N, func(q []mp4.Sample) {
					number := first + i
					parts := []ts.Part{
						{Stream: video, Samples: p, Media: seen[:f.Bytes], Number: number, Cipher: look},
						{Stream: m.Stream, Samples: q, Media: heard[:a.Bytes], Number: number, Cipher: hear},
					}
					dst, err = ts.AppendFragment(dst, number, parts...)
				})
			})
			if err != nil {
				return nil, Errorf(InvalidNALUSize, "%s: at second %.3f: %v", r.File, seconds(f.Time, r.Media.Timescale), err)
			}
			seen, heard = seen[f.Bytes:], heard[a.Bytes:]
		}
		return dst, nil
	}
	return s, nil
}
