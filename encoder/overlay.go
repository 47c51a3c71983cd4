package encoder

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/openams/openams/ams"
)

// An overlay is what a preset lays over the picture or mixes into the sound. It
// comes from the job input with a label (v3) or from a file (v2).
type overlay struct {
	at      string // where the preset has it, for messages
	label   string
	file    string // its name, or %n% for the n-th input asset
	picture bool   // else sound alone

	left, top, width, height measure
	crop                     *[4]measure
	opacity                  float64

	start   time.Duration
	end     time.Duration // 0: with the overlay, a still with the picture
	fadeIn  time.Duration
	fadeOut time.Duration
	gone    time.Duration // when fadeOut starts, 0: so that it ends at the end
	gain    float64       // of its sound; 0 mutes it
	loop    bool
}

// maxOverlays bounds the overlays of a preset.
const maxOverlays = 16

// An Overlay is a picture on the picture.
type Overlay struct {
	Input, Stream int
	Still         bool  `json:",omitempty"`
	Crop          []int `json:",omitempty"` // left, top, width, height of what is shown of it
	X, Y          int   // in the canvas
	Width, Height int
	Opacity       float64
	Show
}

// A Mix is a sound in the sound.
type Mix struct {
	Input, Stream int
	Gain          float64
	Show
}

// A Show is when an overlay is there, by the clock of the output.
type Show struct {
	Start   time.Duration
	End     time.Duration `json:",omitempty"` // 0: to the end of the output
	FadeIn  time.Duration `json:",omitempty"`
	FadeOut time.Duration `json:",omitempty"`
	Gone    time.Duration `json:",omitempty"` // when FadeOut starts
}

// overlay plans the overlays. total is the length of the output in frames, 0 if
// unknown.
func (p *Plan) overlay(r *recipe, q *Request, total int64) error {
	length := time.Duration(float64(total) / p.Video.Rate.Float() * float64(time.Second)).Round(time.Microsecond)
	for i := range r.overlays {
		o := &r.overlays[i]
		fail := func(format string, args ...any) error {
			return jobErrorf(ams.ConfigurationUnsupported, "preset.%s: %s", o.at, fmt.Sprintf(format, args...))
		}
		at, err := q.overlaid(o)
		if err != nil {
			return err
		}
		src := q.source(at).Info
		in := Input{Feed: at.feed, File: at.file, Loop: o.loop && !src.Still()}
		if src.Still() {
			in.Still = src.Format
		}
		s := Show{Start: o.start, End: o.end, FadeIn: o.fadeIn, FadeOut: o.fadeOut, Gone: o.gone}
		if in.Still == "" && !in.Loop && src.Duration > 0 && (s.End == 0 || s.End > s.Start+src.Duration) {
			s.End = s.Start + src.Duration
		}
		if length > 0 {
			if s.Start >= length {
				return fail("it starts at %.2f s, and the picture ends at %.2f s", s.Start.Seconds(), length.Seconds())
			}
			if s.End > length || s.End == 0 && (s.FadeOut > 0 || in.Loop) {
				s.End = length
			}
		} else if in.Loop && s.End == 0 {
			return fail("the picture does not tell how long it is, so what goes on for ever needs an end")
		}
		if s.FadeOut > 0 && s.Gone == 0 {
			if s.End == 0 {
				return fail("the picture does not tell how long it is, so a fade out needs an end")
			}
			s.Gone = max(s.Start, s.End-s.FadeOut)
		}
		used := false
		if v := pickVideo(src); o.picture && (v != nil || in.Still != "") {
			l := Overlay{Still: in.Still != "", Opacity: o.opacity, Show: s, Input: p.input(in)}
			stream := v
			if stream == nil {
				stream = &src.Streams[0]
			}
			l.Stream = stream.Index
			w, h := stream.DisplaySize()
			canvas := p.Video.Canvas
			if o.crop != nil {
				pic := Picture{}
				if w, h, err = pic.crop(stream, o.crop); err != nil {
					return fail("cropRectangle: %s", err.(*ams.JobError).Message)
				}
				l.Crop = pic.Crop
			}
			l.X = int(math.Round(o.left.of(float64(canvas[0]))))
			l.Y = int(math.Round(o.top.of(float64(canvas[1]))))
			ow, oh := o.width.of(float64(canvas[0])), o.height.of(float64(canvas[1]))
			switch { // what is not given follows from the overlay's shape
			case ow == 0 && oh == 0:
				ow, oh = w, h
			case ow == 0:
				ow = oh * w / h
			case oh == 0:
				oh = ow * h / w
			}
			l.Width, l.Height = max(1, int(math.Round(ow))), max(1, int(math.Round(oh)))
			if l.Width > maxPixels || l.Height > maxPixels {
				return fail("position: it would have %dx%d pixels", l.Width, l.Height)
			}
			if l.X >= canvas[0] || l.Y >= canvas[1] {
				return fail("position: %d,%d is outside of the picture of %dx%d", l.X, l.Y, canvas[0], canvas[1])
			}
			p.Video.Overlays = append(p.Video.Overlays, l)
			used = true
		}
		if a := pickAudio(src); a != nil && o.gain > 0 {
			for k := range p.Audio {
				p.Audio[k].Mix = append(p.Audio[k].Mix, Mix{Input: p.input(in), Stream: a[0].Index, Gain: o.gain, Show: s})
			}
			used = used || p.Audio != nil
		} else if !o.picture && a == nil {
			return fail("%q has no audio", q.source(at).Name)
		}
		if !used && o.picture {
			return fail("%q has no picture", q.source(at).Name)
		}
	}
	return nil
}

// overlaid finds the file of an overlay.
func (q *Request) overlaid(o *overlay) (ref, error) {
	if o.label == "" {
		return q.named(o.file, o.at)
	}
	i := slices.IndexFunc(q.Feeds, func(f Feed) bool { return f.Label == o.label })
	switch {
	case i < 0:
		return ref{}, jobErrorf(ams.ConfigurationUnsupported, "preset.%s.inputLabel: no input of the job has the label '%s'.", o.at, o.label)
	case len(q.Feeds[i].Files) == 0:
		return ref{}, jobErrorf(ams.ConfigurationUnsupported, "preset.%s.inputLabel: the input '%s' has no media file.", o.at, o.label)
	case len(q.Feeds[i].Files) > 1: // documented
		return ref{}, jobErrorf(ams.ConfigurationUnsupported, "preset.%s.inputLabel: the input '%s' has %d files, an overlay has exactly one.", o.at, o.label, len(q.Feeds[i].Files))
	}
	return ref{i, q.Feeds[i].Chosen}, nil
}

// filters is the chain from an overlay's own picture to one that lies where and
// when it is to be seen. rate is that of the output.
func (o *Overlay) filters(rate string) string {
	var chain []string
	if c := o.Crop; c != nil {
		chain = append(chain, fmt.Sprintf("crop=%d:%d:%d:%d", c[2], c[3], c[0], c[1]))
	}
	chain = append(chain, fmt.Sprintf("scale=%d:%d:flags=bicubic:out_color_matrix=bt709:out_range=tv", o.Width, o.Height), "setsar=1", "format=yuva444p", bt709)
	if o.Still {
		chain = append(chain, "loop=loop=-1:size=1", "setpts=N/("+rate+")/TB+("+secs(o.Start)+")/TB", "fps="+rate)
	} else {
		chain = append(chain, "setpts=PTS-STARTPTS+("+secs(o.Start)+")/TB")
	}
	if o.End > 0 {
		chain = append(chain, "trim=end="+secs(o.End))
	}
	if o.FadeIn > 0 {
		chain = append(chain, fmt.Sprintf("fade=t=in:st=%s:d=%s:alpha=1", secs(o.Start), secs(o.FadeIn)))
	}
	if o.FadeOut > 0 {
		chain = append(chain, fmt.Sprintf("fade=t=out:st=%s:d=%s:alpha=1", secs(o.Gone), secs(o.FadeOut)))
	}
	if o.Opacity < 1 {
		chain = append(chain, fmt.Sprintf("colorchannelmixer=aa=%g", o.Opacity))
	}
	return strings.Join(chain, ",")
}

// over is the filter that lays it on the picture.
func (o *Overlay) over() string {
	s := fmt.Sprintf("overlay=x=%d:y=%d:eof_action=pass", o.X, o.Y)
	if o.Still && o.End == 0 {
		s += ":shortest=1" // it never ends by itself
	}
	return s
}

// filters is the chain from a sound of its own to one that is mixed in.
func (m *Mix) filters(rate int) string {
	chain := []string{"asetpts=PTS-STARTPTS", fmt.Sprintf("aresample=%d", rate)}
	if m.End > 0 {
		chain = append(chain, "atrim=end="+secs(m.End-m.Start))
	}
	if m.FadeIn > 0 {
		chain = append(chain, "afade=t=in:st=0:d="+secs(m.FadeIn))
	}
	if m.FadeOut > 0 {
		chain = append(chain, fmt.Sprintf("afade=t=out:st=%s:d=%s", secs(m.Gone-m.Start), secs(m.FadeOut)))
	}
	if m.Gain != 1 {
		chain = append(chain, fmt.Sprintf("volume=%g", m.Gain))
	}
	if m.Start > 0 {
		chain = append(chain, fmt.Sprintf("adelay=%d:all=1", m.Start.Milliseconds()))
	}
	return strings.Join(chain, ",")
}
