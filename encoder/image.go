package encoder

import (
	"bytes"
	"fmt"
	"math"
	"time"

	"github.com/openams/openams/ams"
)

// An Image is one set of stills, or one sprite.
type Image struct {
	Format        string // jpg, png, bmp
	Label         string `json:",omitempty"`
	Pattern       string // of the names
	Width, Height int    // of one picture
	Pad           []int  `json:",omitempty"`
	Quality       int    `json:",omitempty"` // of a JPEG, 0 to 100
	First         int64  // frame of the first picture
	Step          int64  // frames from one to the next
	Last          int64  // frame before which they end
	Best          bool   `json:",omitempty"` // one picture, the most typical of those
	Count         int    // pictures expected
	Exact         bool   // Count is certain
	Columns, Rows int    `json:",omitempty"` // of a sprite
}

// maxImages bounds the pictures of one set.
const maxImages = 10_000

// Best looks at so many frames within so many seconds.
const (
	bestFrames  = 30
	bestSeconds = 30
)

func (v *Video) still(im image, r *recipe, w, h float64, total int64) error {
	rate := v.Rate.Float()
	if total == 0 {
		return jobErrorf(ams.ConfigurationUnsupported, "its duration is not known, so there is no saying where its images are")
	}
	l := layer{width: im.width, height: im.height, stretch: im.stretch}
	out := Image{Format: im.format, Label: im.label, Step: 1, Exact: v.Frames > 0}
	out.Width, out.Height, out.Pad = l.fit(w, h)
	if im.format == "jpg" {
		out.Quality = im.quality
	}
	for _, f := range r.formats {
		if f.kind == im.format {
			out.Pattern = f.pattern
		}
	}
	if im.start.best {
		// The filter takes the frame nearest to the average of all: hardly a black
		// one, unless most are.
		out.Best, out.Count = true, 1
		out.Last = min(total, max(1, int64(rate*bestSeconds)))
		out.Step = max(1, (out.Last+bestFrames-1)/bestFrames)
		v.Images = append(v.Images, out)
		return nil
	}
	out.First = im.start.in(rate, total)
	if out.First >= total {
		if im.start.isPct {
			out.First = total - 1 // 100% is the last frame
		} else {
			return jobErrorf(ams.ConfigurationUnsupported, "its images start at %.2f s, after its end at %.2f s", float64(out.First)/rate, float64(total)/rate)
		}
	}
	out.Step = max(1, im.step.in(rate, total))
	out.Last = min(total, out.First+max(1, im.until.in(rate, total)))
	if im.stop != nil {
		out.Last = max(out.First+1, min(total, im.stop.in(rate, total)+1))
	}
	n := (out.Last - out.First + out.Step - 1) / out.Step
	if n > maxImages {
		return jobErrorf(ams.ConfigurationUnsupported, "its images would be %d, more than %d", n, maxImages)
	}
	out.Count = int(n)
	if im.columns > 0 {
		out.Columns, out.Rows = im.columns, (out.Count+im.columns-1)/im.columns
		if width, height := out.size(); width*out.Columns > maxPixels || height*out.Rows > maxPixels {
			return jobErrorf(ams.ConfigurationUnsupported, "its sprite would have %dx%d pixels, more than %d on a side", width*out.Columns, height*out.Rows, maxPixels)
		}
	}
	v.Images = append(v.Images, out)
	return nil
}

func (im *Image) size() (width, height int) {
	if im.Pad != nil {
		return im.Pad[0], im.Pad[1]
	}
	return im.Width, im.Height
}

// filters is what comes between the frames of the picture and the encoder.
func (im *Image) filters() string {
	s := fmt.Sprintf("select='gte(n,%d)*lt(n,%d)*not(mod(n-%d,%d))',", im.First, im.Last, im.First, im.Step)
	s += resize(im.Width, im.Height, im.Pad)
	if im.Best {
		s += fmt.Sprintf(",thumbnail=%d", bestFrames)
	}
	if im.Columns > 0 {
		s += fmt.Sprintf(",tile=%dx%d", im.Columns, im.Rows)
	}
	switch im.Format {
	case "png":
		return s + ",format=rgb24"
	case "bmp":
		return s + ",format=bgr24"
	}
	return s + ",scale=out_color_matrix=bt601:out_range=full,format=yuvj420p" // the colours of JFIF
}

// codec returns the encoder's options. JPEG's scale of quality is turned into
// ffmpeg's, 31 to 2.
func (im *Image) codec() []string {
	if im.Format != "jpg" {
		return []string{"-c:v", im.Format}
	}
	return []string{"-c:v", "mjpeg", "-q:v", fmt.Sprint(2 + int(math.Round(float64(100-im.Quality)*29/100)))}
}

// thumbnails is the WebVTT file that tells which part of a sprite shows when.
func (im *Image) thumbnails(sprite string, rate float64) []byte {
	var b bytes.Buffer
	b.WriteString("WEBVTT\n\n")
	width, height := im.size()
	for i := range im.Count {
		from := im.First + int64(i)*im.Step
		to := min(from+im.Step, im.Last)
		fmt.Fprintf(&b, "%s --> %s\n%s#xywh=%d,%d,%d,%d\n\n", vttTime(float64(from)/rate), vttTime(float64(to)/rate), sprite,
			i%im.Columns*width, i/im.Columns*height, width, height)
	}
	return b.Bytes()
}

func vttTime(seconds float64) string {
	d := time.Duration(math.Round(seconds*1000)) * time.Millisecond
	return fmt.Sprintf("%02d:%02d:%02d.%03d", d/time.Hour, d/time.Minute%60, d/time.Second%60, d/time.Millisecond%1000)
}
