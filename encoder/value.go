package encoder

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/openams/openams/ffmpeg"
)

// A measure is a number of pixels, or a percentage of the source's. Zero is
// "not given".
type measure struct {
	n       float64
	percent bool
}

// maxPixels bounds a width or a height; x264 and x265 take no more.
const maxPixels = 16384

func parseMeasure(s string) (measure, error) {
	digits, percent := strings.CutSuffix(strings.TrimSpace(s), "%")
	if s == "" {
		return measure{}, nil
	}
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || !(n >= 0) || n > maxPixels || !percent && n != math.Trunc(n) {
		return measure{}, fmt.Errorf("'%s' is neither a number of pixels nor a percentage", s)
	}
	return measure{n, percent}, nil
}

// of returns the measure in pixels, given the source's.
func (m measure) of(source float64) float64 {
	if m.percent {
		return source * m.n / 100
	}
	return m.n
}

// A position is a place on the source's timeline, or a distance there: a time, a
// number of frames, or a percentage of its duration.
type position struct {
	best    bool // {Best}: the server's choice
	time    time.Duration
	frames  int64   // if isFrame
	percent float64 // if isPct
	isFrame bool
	isPct   bool
}

// maxTime bounds every time in a preset: those of live archives count from 1970.
// Two of them can be added.
const maxTime = 40_000 * 24 * time.Hour

func parsePosition(s string) (position, error) {
	s = strings.TrimSpace(s)
	if strings.EqualFold(s, "{Best}") {
		return position{best: true}, nil
	}
	if digits, ok := strings.CutSuffix(s, "%"); ok {
		n, err := strconv.ParseFloat(digits, 64)
		if err != nil || !(n >= 0) || n > 100 {
			return position{}, fmt.Errorf("'%s' is not a percentage from 0%% to 100%%", s)
		}
		return position{percent: n, isPct: true}, nil
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n >= 0 && n < 1<<40 {
		return position{frames: n, isFrame: true}, nil
	}
	d, err := parseDuration(s)
	if err != nil {
		return position{}, fmt.Errorf("'%s' is neither a time, a number of frames nor a percentage", s)
	}
	return position{time: d}, nil
}

// in returns the position in frames, given the rate and the number of frames of
// the whole.
func (p position) in(rate float64, total int64) int64 {
	switch {
	case p.isFrame:
		return p.frames
	case p.isPct:
		return int64(math.Round(float64(total) * p.percent / 100))
	}
	return int64(math.Round(p.time.Seconds() * rate))
}

var (
	isoTime   = regexp.MustCompile(`^P(?:(\d{1,5})D)?(?:T(?:(\d{1,5})H)?(?:(\d{1,6})M)?(?:(\d{1,9}(?:\.\d{1,9})?)S)?)?$`)
	clockTime = regexp.MustCompile(`^(?:(\d{1,5})\.)?(\d{1,2}):(\d{1,2}):(\d{1,2}(?:\.\d{1,9})?)$`)
)

// parseDuration reads ISO 8601 ("PT1M30.5S", no years, months or weeks) and
// "hh:mm:ss.fff".
func parseDuration(s string) (time.Duration, error) {
	m := isoTime.FindStringSubmatch(s)
	if m == nil || strings.HasSuffix(s, "T") || s == "P" {
		if m = clockTime.FindStringSubmatch(s); m == nil {
			return 0, fmt.Errorf("'%s' is not a duration", s)
		}
	}
	var total float64
	for i, unit := range []float64{86400, 3600, 60, 1} {
		if m[i+1] == "" {
			continue
		}
		v, err := strconv.ParseFloat(m[i+1], 64)
		if err != nil {
			return 0, err
		}
		total += v * unit
	}
	if total > maxTime.Seconds() {
		return 0, fmt.Errorf("'%s' is too long", s)
	}
	return time.Duration(math.Round(total*1e6)) * time.Microsecond, nil
}

// parseRate reads "30000/1001", "29.97" or "25"; "", "0" and "0/1" are the
// source's rate.
func parseRate(s string) (ffmpeg.Rational, error) {
	bad := fmt.Errorf("'%s' is not a frame rate", s)
	var r ffmpeg.Rational
	if s = strings.TrimSpace(s); s == "" || strings.EqualFold(s, "auto") {
		return r, nil
	}
	if a, b, ok := strings.Cut(s, "/"); ok {
		num, err1 := strconv.ParseInt(a, 10, 32)
		den, err2 := strconv.ParseInt(b, 10, 32)
		if err1 != nil || err2 != nil || num < 0 || den <= 0 {
			return r, bad
		}
		r = ffmpeg.Rational{Num: num, Den: den}
	} else {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || !(f >= 0) || f > 1000 {
			return r, bad
		}
		r = ffmpeg.Rational{Num: int64(math.Round(f * 1000)), Den: 1000}
		for _, n := range []int64{24, 30, 48, 60, 120} { // "29.97" means 30000/1001
			if math.Abs(f-float64(n)*1000/1001) < 0.005 {
				r = ffmpeg.Rational{Num: n * 1000, Den: 1001}
			}
		}
	}
	if r.Num == 0 {
		return ffmpeg.Rational{}, nil
	}
	if f := r.Float(); f < 0.1 || f > 300 {
		return ffmpeg.Rational{}, bad
	}
	return ratio(r.Num, r.Den), nil
}

// colors are the sixteen names of CSS level 1.
var colors = map[string]string{
	"aqua": "00ffff", "black": "000000", "blue": "0000ff", "fuchsia": "ff00ff", "gray": "808080", "green": "008000",
	"lime": "00ff00", "maroon": "800000", "navy": "000080", "olive": "808000", "purple": "800080", "red": "ff0000",
	"silver": "c0c0c0", "teal": "008080", "white": "ffffff", "yellow": "ffff00",
}

var (
	hexColor = regexp.MustCompile(`^(?:0x|#)([0-9a-f]{6})$`)
	rgbColor = regexp.MustCompile(`^rgb\(\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*\)$`)
)

// parseColor returns a color as ffmpeg has it, 0xRRGGBB.
func parseColor(s string) (string, error) {
	low := strings.ToLower(strings.TrimSpace(s))
	if c, ok := colors[low]; ok {
		return "0x" + c, nil
	}
	if m := hexColor.FindStringSubmatch(low); m != nil {
		return "0x" + m[1], nil
	}
	if m := rgbColor.FindStringSubmatch(low); m != nil {
		out := "0x"
		for _, part := range m[1:] {
			n, err := strconv.Atoi(part)
			if err != nil || n > 255 {
				return "", fmt.Errorf("'%s' is not a color", s)
			}
			out += fmt.Sprintf("%02x", n)
		}
		return out, nil
	}
	return "", fmt.Errorf("'%s' is not a color", s)
}
