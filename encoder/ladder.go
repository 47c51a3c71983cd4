package encoder

import (
	"math"

	"github.com/openams/openams/ffmpeg"
)

// A Rung is one video rendition.
type Rung struct {
	Width, Height int // pixels, square and upright
	Bitrate       int // bit/s aimed at
}

// lines are the heights of AdaptiveStreaming's rungs. 1080 and less are
// documented, the two above inferred.
var lines = []int{2160, 1440, 1080, 720, 540, 360, 270, 180}

// minBitrate is the least that a rung is given, bit/s. Only pictures of some
// dozen pixels get there.
const minBitrate = 50_000

// autoRungs is the ladder of AdaptiveStreaming: the lines that the source
// reaches, no bitrate above the source's (documented). A picture smaller than
// every line gets one rung of its own size.
//
// The rates follow kbps = 0.003421 · (w·h·fps)^0.808, which gives the documented
// examples for 1080p and 720p sources within 10 kbps. If the top rung would
// exceed the source's bitrate, the whole ladder is scaled down to it: read so,
// the documented 360p example is that of a 700 kbps source.
//
// width and height are those of the upright picture in square pixels. bitrate
// is the source's, 0 if unknown.
func autoRungs(width, height, fps float64, bitrate int64) []Rung {
	tall := height > width
	if tall {
		width, height = height, width
	}
	var rungs []Rung
	for _, line := range lines {
		if float64(line) <= height+0.5 {
			rungs = append(rungs, Rung{Width: multiple(float64(line)*width/height, 4, width), Height: line})
		}
	}
	if rungs == nil {
		rungs = []Rung{{Width: multiple(width, 2, width), Height: multiple(height, 2, height)}}
	}
	scale := 1.0
	if top := autoRate(rungs[0], fps); bitrate > 0 && top > float64(bitrate) {
		scale = float64(bitrate) / top
	}
	for i := range rungs {
		r := &rungs[i]
		kbps := autoRate(*r, fps) * scale / 1000
		if scale < 1 {
			r.Bitrate = int(kbps/10+1e-9) * 10_000 // rounding up would exceed the source
		} else {
			r.Bitrate = int(math.Round(kbps/10)) * 10_000
		}
		r.Bitrate = max(minBitrate, r.Bitrate)
		if tall {
			r.Width, r.Height = r.Height, r.Width
		}
	}
	return rungs
}

// autoRate is the bitrate that a rung deserves, bit/s.
func autoRate(r Rung, fps float64) float64 {
	return 3.421 * math.Pow(float64(r.Width)*float64(r.Height)*fps, 0.808)
}

// multiple rounds v to a multiple of n, at least n and at most limit if that
// leaves a choice.
func multiple(v float64, n int, limit float64) int {
	m := int(math.Round(v/float64(n))) * n
	if float64(m) > limit {
		m -= n
	}
	return max(n, m)
}

// fixedRungs fits the picture into the boxes of a fixed ladder without changing
// its shape, as StretchMode AutoSize does. A source smaller than a box is
// enlarged: the preset's files are what the user asked for. The boxes of a tall
// picture stand on end.
func fixedRungs(width, height float64, boxes []box) []Rung {
	rungs := make([]Rung, len(boxes))
	for i, b := range boxes {
		w, h := float64(b.width), float64(b.height)
		if height > width {
			w, h = h, w
		}
		if shape := width * h / (height * w); shape > 0.99 && shape < 1.01 {
			rungs[i] = Rung{int(w), int(h), b.bitrate} // 848x480 is 16:9 but for rounding
			continue
		}
		scale := min(w/width, h/height)
		rungs[i] = Rung{multiple(width*scale, 2, w), multiple(height*scale, 2, h), b.bitrate}
	}
	return rungs
}

// frameRate is the constant rate that the source's frames are timed with.
// Sources with evenly spaced frames keep theirs.
func frameRate(s *ffmpeg.Stream) ffmpeg.Rational {
	const most = 120 // frames per second; what is above is a time base, no frame rate
	r, avg := s.Rate, s.AverageRate
	switch {
	case r.Float() <= 0 && avg.Float() <= 0:
		return ffmpeg.Rational{Num: 30, Den: 1}
	case r.Float() <= 0:
		r = avg
	case s.VariableRate():
		// The finest rate that frames of a variable source need, if it is one
		// that screens have; else what screen capture and phones mean.
		if r.Float() > 60.5 || r.Float() < avg.Float() {
			r = ffmpeg.Rational{Num: 30, Den: 1}
			if avg.Float() > 31 {
				r.Num = 60
			}
		}
	case avg.Float() > 0 && r.Float() > 1.5*avg.Float():
		r = avg // fields, not frames
	}
	if r.Float() > most {
		r = ffmpeg.Rational{Num: 60, Den: 1}
	}
	return r
}
