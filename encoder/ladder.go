package encoder

import (
	"math"

	"github.com/openams/openams/ffmpeg"
)

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
func autoRungs(width, height, fps float64, bitrate int64) []box {
	tall := height > width
	if tall {
		width, height = height, width
	}
	var rungs []box
	for _, line := range lines {
		if float64(line) <= height+0.5 {
			rungs = append(rungs, box{width: multiple(float64(line)*width/height, 4, width), height: line})
		}
	}
	if rungs == nil {
		rungs = []box{{width: multiple(width, 2, width), height: multiple(height, 2, height)}}
	}
	scale := 1.0
	if top := autoRate(rungs[0], fps); bitrate > 0 && top > float64(bitrate) {
		scale = float64(bitrate) / top
	}
	for i := range rungs {
		r := &rungs[i]
		kbps := autoRate(*r, fps) * scale / 1000
		if scale < 1 {
			r.bitrate = int(kbps/10+1e-9) * 10_000 // rounding up would exceed the source
		} else {
			r.bitrate = int(math.Round(kbps/10)) * 10_000
		}
		r.bitrate = max(minBitrate, r.bitrate)
		if tall {
			r.width, r.height = r.height, r.width
		}
	}
	return rungs
}

// autoRate is the bitrate that a rung deserves, bit/s.
func autoRate(r box, fps float64) float64 {
	return 3.421 * math.Pow(float64(r.width)*float64(r.height)*fps, 0.808)
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

// fit returns the size of the picture in a layer, and of the frame around it if
// that is larger. StretchMode None fills the layer whatever becomes of the
// picture's shape, AutoFit adds black bars, and AutoSize makes the layer smaller
// until it has the picture's shape. A source smaller than the layer is enlarged:
// the preset's files are what the user asked for. With AutoSize, the layers of a
// tall picture stand on end.
func (l *layer) fit(width, height float64) (w, h int, pad []int) {
	bw, bh := l.width.of(width), l.height.of(height)
	switch {
	case bw == 0 && bh == 0:
		bw, bh = max(2, math.Floor(width/2)*2), max(2, math.Floor(height/2)*2)
	case bw == 0:
		bw = bh * width / height
	case bh == 0:
		bh = bw * height / width
	}
	if l.stretch == "None" {
		return even(bw), even(bh), nil
	}
	absolute := !l.width.percent && !l.height.percent && l.width.n > 0 && l.height.n > 0
	if l.stretch != "AutoFit" && absolute && height > width && bw > bh {
		bw, bh = bh, bw
	}
	if shape := width * bh / (height * bw); shape > 0.99 && shape < 1.01 {
		return even(bw), even(bh), nil // 848x480 is 16:9 but for rounding
	}
	scale := min(bw/width, bh/height)
	w, h = min(multiple(width*scale, 2, bw), maxPixels), min(multiple(height*scale, 2, bh), maxPixels)
	if l.stretch == "AutoFit" {
		pad = []int{even(bw), even(bh)}
	}
	return w, h, pad
}

// even is the nearest size that an encoder takes.
func even(v float64) int { return min(max(2, int(math.Round(v/2))*2), maxPixels) }

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
