package packager

import (
	"fmt"
	"sync"

	"github.com/openams/openams/packager/fmp4"
	"github.com/openams/openams/packager/mp4"
	"github.com/openams/openams/packager/ts"
)

var samplePool = sync.Pool{New: func() any { return new([]mp4.Sample) }}

// withSamples calls f with n samples of r from the first one on.
func (r *Rendition) withSamples(first, n int, f func([]mp4.Sample)) {
	p := samplePool.Get().(*[]mp4.Sample)
	*p = r.Media.AppendSamples((*p)[:0], first, n)
	f(*p)
	samplePool.Put(p)
}

func (r *Rendition) mp4Type() string {
	switch r.Track.Kind {
	case mp4.Video:
		return TypeVideoMP4
	case mp4.Text:
		return TypeTextMP4
	}
	return TypeAudioMP4
}

// InitSegment plans the init segment of r.
func (r *Rendition) InitSegment(style fmp4.Style) *Segment {
	b := fmp4.Init(r.Media, style)
	return &Segment{ContentType: r.mp4Type(), Size: int64(len(b)), Header: b}
}

// MP4Segment plans fragment k as fragmented MP4. The error is of text alone.
func (r *Rendition) MP4Segment(k int, style fmp4.Style) (*Segment, error) {
	if r.Text != nil {
		return r.textSegment(k, style)
	}
	f := r.Fragments[k].Fragment
	s := &Segment{ContentType: r.mp4Type(), Extents: r.Extents(f.First, f.N)}
	r.withSamples(f.First, f.N, func(samples []mp4.Sample) {
		s.Header = fmp4.Header(r.Media, f, samples, uint32(r.Skip+k+1), style)
	})
	s.Size = int64(len(s.Header))
	for _, x := range s.Extents {
		s.Size += x.Length
	}
	return s, nil
}

// MP4Size returns the size of fragment k in the style of CMAF, and of video that
// of its part up to the end of the first sample. Unless exact, the headers of all fragments
// but the first and the last are taken to be like that of the middle one, which
// costs less to tell and is seldom wrong.
func (r *Rendition) MP4Size(k int, exact bool) (whole, first int64) {
	fixed, each := r.header()
	if exact || k == 0 || k == len(r.Fragments)-1 {
		fixed, each = r.headerSize(k)
	}
	f := r.Fragments[k]
	header := int64(fixed + each*f.N)
	if whole = header + f.Bytes; r.Media.Kind == mp4.Video {
		first = header + int64(r.firsts()[r.Skip+k])
	}
	return whole, first
}

func (r *Rendition) headerSize(k int) (fixed, each int) {
	f := r.Fragments[k].Fragment
	r.withSamples(f.First, f.N, func(samples []mp4.Sample) {
		fixed, each = fmp4.HeaderSize(r.Media, f, samples, fmp4.CMAF)
	})
	return fixed, each
}

// newHeader returns the headerSize of the fragment in the middle.
func (r *Rendition) newHeader() (fixed, each int) { return r.headerSize(len(r.Fragments) / 2) }

// newFirsts returns the size of the first sample of each fragment.
func (r *Rendition) newFirsts() []uint32 {
	sizes := make([]uint32, len(r.Fragments))
	for k, f := range r.Fragments {
		sizes[k] = r.Media.SampleSize(f.First)
	}
	return sizes
}

// TS returns what r is in a transport stream. It is made once, on first use.
// The error is VideoEncodingNotSupported or AudioEncodingNotSupported.
func (r *Rendition) TS() (*ts.Stream, error) { return r.ts() }

func (r *Rendition) newTS() (*ts.Stream, error) {
	s, err := ts.NewStream(r.Media, r.media())
	if err != nil {
		return nil, r.unsupported(err)
	}
	return s, nil
}

// unsupported says that the codec of r is not for a transport stream.
func (r *Rendition) unsupported(err error) error {
	code := AudioEncodingNotSupported
	if r.Media.Kind == mp4.Video {
		code = VideoEncodingNotSupported
	}
	return Errorf(code, "%s: track %d: %v", r.File, r.Media.ID, err)
}

// Ciphers says how the samples of each rendition are encrypted in a transport
// stream, nil for one that stays clear. Ciphers that are nil leave all clear.
type Ciphers func(*Rendition) ts.Cipher

// Ciphered returns an error if samples of r cannot be encrypted in a transport
// stream, or r cannot be in one: VideoEncodingNotSupported or
// AudioEncodingNotSupported.
func (r *Rendition) Ciphered() error {
	s, err := r.TS()
	if err != nil {
		return err
	}
	if err := s.Ciphered(); err != nil {
		return r.unsupported(err)
	}
	return nil
}

// of returns the cipher of r. The error is that of Rendition.Ciphered.
func (c Ciphers) of(r *Rendition) (ts.Cipher, error) {
	if c == nil {
		return nil, nil
	}
	cipher := c(r)
	if cipher == nil {
		return nil, nil
	}
	return cipher, r.Ciphered()
}

// TSSegment plans n fragments from k on, or as many as there are, as one segment
// of a transport stream with r alone.
func (r *Rendition) TSSegment(k, n int, ciphers Ciphers) (*Segment, error) {
	stream, err := r.TS()
	if err != nil {
		return nil, err
	}
	cipher, err := ciphers.of(r)
	if err != nil {
		return nil, err
	}
	n = min(n, len(r.Fragments)-k)
	fragments := r.Fragments[k : k+n]
	count := 0
	s := &Segment{ContentType: TypeTS, Unsized: cipher != nil && stream.Grows()}
	for i, f := range fragments {
		count += f.N
		s.Size += stream.Size(r.Skip + k + i)
	}
	s.Extents = r.Extents(fragments[0].First, count)
	s.Transform = func(dst, media []byte) ([]byte, error) {
		var err error
		for i, f := range fragments {
			if f.Bytes > int64(len(media)) {
				return nil, fmt.Errorf("%s: fragment of %d bytes, %d read", r.File, f.Bytes, len(media))
			}
			r.withSamples(f.First, f.N, func(samples []mp4.Sample) {
				number := r.Skip + k + i
				dst, err = ts.AppendFragment(dst, number, ts.Part{
					Stream: stream, Samples: samples, Media: media[:f.Bytes], Number: number, Cipher: cipher,
				})
			})
			if err != nil {
				return nil, Errorf(InvalidNALUSize, "%s: at second %.3f: %v", r.File, seconds(f.Time, r.Media.Timescale), err)
			}
			media = media[f.Bytes:]
		}
		return dst, nil
	}
	return s, nil
}
