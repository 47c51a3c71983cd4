package encoder

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/ffmpeg"
	"github.com/openams/openams/packager/mp4"
)

// A content-aware preset has no ladder: Analyse encodes a few short samples of
// the title at every size and at two qualities, and Title.rungs chooses from
// these measurements which sizes at which rates are worth having. The rungs are
// encoded at a constant quality with a cap, so that a quiet scene costs little.

// An awareness is what a content-aware preset asks for.
type awareness struct {
	codec                  string // h264, hevc
	complexity             string // Speed, Balanced, Quality
	interval               time.Duration
	minBitrate, maxBitrate int // bit/s, 0 for no limit
	minHeight, maxHeight   int // pixels, of a wide picture; 0 for the default
	maxLayers              int
}

// smallest is the height below which no size was ever the best.
const smallest = 270

// awareLayers is the most rungs that a title gets.
const awareLayers = 8

func newAwareness(codec string) *awareness {
	return &awareness{codec: codec, complexity: "Balanced", interval: gopTime, maxLayers: awareLayers}
}

// awareCodecs are the content-aware presets of v3. The experimental one is the
// same under its first name (documented).
var awareCodecs = map[string]string{
	"ContentAwareEncoding":             "h264",
	"ContentAwareEncodingExperimental": "h264",
	"H265ContentAwareEncoding":         "hevc",
}

// contentAware returns the recipe of a content-aware preset.
func contentAware(name, codec string, configurations json.RawMessage) (*recipe, error) {
	a := newAwareness(codec)
	r := &recipe{name: name, sounds: stereo(128_000), aware: a}
	if blank(configurations) {
		return r, nil
	}
	var c struct {
		Complexity string   `json:"complexity"`
		Interleave string   `json:"interleaveOutput"`
		KeyFrames  *float64 `json:"keyFrameIntervalInSeconds"`
		MaxBitrate int      `json:"maxBitrateBps"`
		MinBitrate int      `json:"minBitrateBps"`
		MaxHeight  int      `json:"maxHeight"`
		MinHeight  int      `json:"minHeight"`
		MaxLayers  *int     `json:"maxLayers"`
	}
	if err := json.Unmarshal(configurations, &c); err != nil {
		return nil, ams.Errorf(ams.Invalid, "The configurations of the preset '%s': %v.", name, err)
	}
	const at = "configurations."
	switch c.Complexity {
	case "":
	case "Speed", "Balanced", "Quality":
		a.complexity = c.Complexity
	default:
		return nil, fieldError(ams.Invalid, at+"complexity", "'%s' is not Speed, Balanced or Quality", c.Complexity)
	}
	switch c.Interleave {
	case "", "InterleavedOutput":
	case "NonInterleavedOutput":
		r.apart = true
	default:
		return nil, fieldError(ams.Invalid, at+"interleaveOutput", "'%s' is not InterleavedOutput or NonInterleavedOutput", c.Interleave)
	}
	if s := c.KeyFrames; s != nil {
		if !(*s >= 0.5 && *s <= 20) {
			return nil, fieldError(ams.Invalid, at+"keyFrameIntervalInSeconds", "%v is not a number of 0.5 to 20 seconds", *s)
		}
		a.interval = time.Duration(*s * float64(time.Second))
	}
	for _, n := range []struct {
		field string
		value int
	}{{"maxBitrateBps", c.MaxBitrate}, {"minBitrateBps", c.MinBitrate}, {"maxHeight", c.MaxHeight}, {"minHeight", c.MinHeight}} {
		if n.value < 0 {
			return nil, fieldError(ams.Invalid, at+n.field, "%d is less than 0", n.value)
		}
	}
	switch {
	case c.MaxBitrate > 0 && c.MaxBitrate < max(minBitrate, c.MinBitrate):
		return nil, fieldError(ams.Invalid, at+"maxBitrateBps", "%d is less than minBitrateBps or %d", c.MaxBitrate, minBitrate)
	case c.MaxHeight > 0 && c.MaxHeight < c.MinHeight:
		return nil, fieldError(ams.Invalid, at+"maxHeight", "%d is less than minHeight, %d", c.MaxHeight, c.MinHeight)
	}
	a.minBitrate, a.maxBitrate, a.minHeight, a.maxHeight = c.MinBitrate, c.MaxBitrate, c.MinHeight, c.MaxHeight
	if n := c.MaxLayers; n != nil {
		if *n < 1 {
			return nil, fieldError(ams.Invalid, at+"maxLayers", "%d is less than 1", *n)
		}
		a.maxLayers = min(*n, awareLayers)
	}
	return r, nil
}

// defaultHeight is how high the top rung is at most unless maxHeight says
// otherwise (documented).
func (a *awareness) defaultHeight() int {
	if a.codec == "hevc" {
		return 2160
	}
	return 1080
}

// boxes are the sizes that the rungs of a picture may have, largest first: the
// lines within the limits, the picture's own size if none is.
func (a *awareness) boxes(width, height, fps float64, source int64) []box {
	most, least := a.maxHeight, a.minHeight
	if most == 0 {
		most = a.defaultHeight()
	}
	short := min(width, height)
	if short > float64(most) { // as if the source were no larger
		width, height = width*float64(most)/short, height*float64(most)/short
	}
	all := autoRungs(width, height, fps, source)
	var kept []box
	for i, b := range all {
		if i == 0 || min(b.width, b.height) >= max(least, smallest) {
			kept = append(kept, b)
		}
	}
	return kept
}

// A Title is what Analyse measured of a source: for each size that a rung may
// have, largest first, what two qualities cost and how good they are.
type Title struct {
	Curves []Curve
}

// A Curve is of one size.
type Curve struct {
	Width, Height int
	Fine, Coarse  Point
}

// A Point is one quality of a size.
type Point struct {
	CRF     float64
	Bitrate float64 // bit/s
	Quality float64 // dB: -10·log10(1-SSIM), of the picture enlarged to the source's size
}

// The qualities of the samples.
const (
	fineCRF   = 22
	coarseCRF = 34
)

// Between and near its points, a curve is straight in the CRF: the quality, and
// the logarithm of the bitrate.

// crf is the CRF at which c has a bitrate.
func (c *Curve) crf(bitrate float64) float64 {
	slope := math.Log(c.Coarse.Bitrate/c.Fine.Bitrate) / (c.Coarse.CRF - c.Fine.CRF)
	return c.Fine.CRF + math.Log(bitrate/c.Fine.Bitrate)/slope
}

func (c *Curve) bitrate(crf float64) float64 {
	slope := math.Log(c.Coarse.Bitrate/c.Fine.Bitrate) / (c.Coarse.CRF - c.Fine.CRF)
	return c.Fine.Bitrate * math.Exp(slope*(crf-c.Fine.CRF))
}

func (c *Curve) quality(crf float64) float64 {
	slope := (c.Coarse.Quality - c.Fine.Quality) / (c.Coarse.CRF - c.Fine.CRF)
	return c.Fine.Quality + slope*(crf-c.Fine.CRF)
}

const (
	topCRF   = 20  // of the best rung: what differs from the source is hard to see
	bestCRF  = 18  // no rung is finer: a larger size is better
	worstCRF = 37  // nor coarser: a smaller size is better
	spread   = 1.8 // ratio of neighbouring bitrates: players can tell them apart
	enough   = 300_000
	peak     = 2 // most of a rung's bitrate for a while, as a multiple of its average
)

// limit is the most bit/s that a rung may have: what the fixed ladder gives its
// size, no more than the source has or the preset allows.
func (a *awareness) limit(b box, fps float64, source int64) float64 {
	limit := autoRate(b, fps)
	if a.codec == "hevc" {
		limit /= 2
	}
	if a.maxBitrate > 0 {
		limit = min(limit, float64(a.maxBitrate))
	}
	if source > 0 {
		limit = min(limit, float64(source))
	}
	return limit
}

// layers are the rungs of a source, width by height pixels, of which Analyse
// measured t. Without a measurement they are those of AdaptiveStreaming within
// the limits.
func (a *awareness) layers(t *Title, width, height, fps float64, source int64) []layer {
	if t != nil {
		return t.rungs(a, fps, source)
	}
	var layers []layer
	for _, b := range a.boxes(width, height, fps, source) {
		rate := min(float64(b.bitrate), a.limit(b, fps, source))
		if len(layers) > 0 && layers[len(layers)-1].bitrate <= enough {
			break
		}
		if len(layers) > 0 && (rate < float64(a.minBitrate) || len(layers) == a.maxLayers) {
			break
		}
		layers = append(layers, layer{
			codec: a.codec, width: measure{n: float64(b.width)}, height: measure{n: float64(b.height)}, stretch: "None",
			interval: a.interval, bitrate: max(minBitrate, int(rate)), coding: Coding{Speed: a.speed(), BFrames: 3, References: 3},
		})
	}
	return layers
}

// rungs chooses the rungs of a title. The best has the largest size at the
// quality topCRF, or as good as its limit allows: the rate that the fixed ladder
// gives that size, or less if the preset or the source says so. Each further rung
// has a bitrate lower by spread and the size that looks best at it. The last is
// the first that a slow line can carry.
func (t *Title) rungs(a *awareness, fps float64, source int64) []layer {
	top := &t.Curves[0]
	limit := a.limit(box{width: top.Width, height: top.Height}, fps, source)
	floor := float64(max(minBitrate, a.minBitrate))
	rate := max(floor, min(limit, top.bitrate(topCRF)))
	var layers []layer
	width := top.Width
	for len(layers) < a.maxLayers {
		var best *Curve
		for i := range t.Curves {
			c := &t.Curves[i]
			crf := c.crf(rate)
			switch last := len(t.Curves) - 1; {
			case c.Width > width: // smaller rungs follow larger ones
				continue
			case crf > worstCRF && i < last, crf < bestCRF && best != nil:
				continue
			}
			if best == nil || c.quality(crf) > best.quality(best.crf(rate)) {
				best = c
			}
		}
		if len(layers) == 0 && top.crf(rate) <= worstCRF {
			best = top // the title keeps its size if that can be
		}
		width = best.Width
		crf := min(max(best.crf(rate), bestCRF), worstCRF+4)
		l := layer{
			codec: a.codec, width: measure{n: float64(best.Width)}, height: measure{n: float64(best.Height)}, stretch: "None",
			interval: a.interval, bitrate: int(rate),
			coding: Coding{Speed: a.speed(), MaxBitrate: int(min(peak*rate, max(rate, peakLimit(a)))), BFrames: 3, References: 3},
		}
		if rate < limit { // else no guess is to exceed it
			l.coding.Mode, l.coding.CRF = "CRF", math.Round(crf*10)/10
		}
		layers = append(layers, l)
		if rate <= enough || rate/spread < floor {
			break
		}
		rate /= spread
	}
	return layers
}

// peakLimit is what no part of a rung may exceed, bit/s.
func peakLimit(a *awareness) float64 {
	if a.maxBitrate > 0 {
		return float64(a.maxBitrate)
	}
	return math.Inf(1)
}

func (a *awareness) speed() string {
	s := speeds[a.complexity]
	if a.codec == "hevc" {
		return s[1]
	}
	return s[0]
}

// Analyse measures the source of a request for a content-aware preset. For other
// presets, and for a source without a picture, too short to sample or so poor
// that it gets a single rung anyway, the Title is nil; NewPlan then does without.
// dir is made and removed again. progress is told of what part is done.
func Analyse(ctx context.Context, tools ffmpeg.Tools, preset ams.Preset, q Request, dir string, progress func(part float64)) (*Title, error) {
	r, err := lookup(preset)
	if err != nil || r.aware == nil {
		return nil, nil // NewPlan says what is wrong
	}
	q.Title = nil
	plan, err := NewPlan(preset, q)
	if err != nil || plan.Video == nil || plan.Video.Rungs[0].Bitrate <= enough {
		return nil, nil
	}
	v := *plan.Video
	v.Overlays, v.Fades, v.Images, v.Frames = nil, nil, nil, 0
	i := slices.IndexFunc(v.Parts, func(p Picture) bool { return p.Input >= 0 })
	if i < 0 {
		return nil, nil
	}
	part := v.Parts[i] // of a sequence, its first picture has to do
	src := plan.sources(q)[part.Input]
	from := plan.Inputs[part.Input].Seek + part.Origin
	to := src.Info.Duration
	if part.End > 0 {
		to = min(to, from+part.End)
	}
	starts, frames := samples(from, to, v.Rate.Float())
	if starts == nil {
		return nil, nil
	}
	part.Origin, part.End, part.Frames, part.Slack = 0, 0, 0, 0
	v.Parts = []Picture{part}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, serviceError(err)
	}
	defer os.RemoveAll(dir)

	boxes := r.aware.boxes(float64(v.Rungs[0].Width), float64(v.Rungs[0].Height), v.Rate.Float(), 0)
	// What the samples are compared with: the treated picture, hardly compressed.
	v.Rungs = []Rung{{Codec: "h264", Width: boxes[0].width, Height: boxes[0].height, GOP: frames, Bitrate: 1 << 30,
		Coding: Coding{Speed: "ultrafast", Mode: "CRF", CRF: 3, References: 1}}}
	for _, b := range boxes {
		for _, crf := range []float64{fineCRF, coarseCRF} {
			v.Rungs = append(v.Rungs, Rung{Codec: r.aware.codec, Width: b.width, Height: b.height, GOP: frames, Bitrate: 1 << 30,
				Coding: Coding{Speed: sampleSpeed, Mode: "CRF", CRF: crf, BFrames: 3, References: 1}})
		}
	}
	sums, err := sample(ctx, tools, &v, src.Path, starts, frames, dir, progress)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if _, ok := errors.AsType[*ffmpeg.Error](err); ok {
			return nil, nil // damage is for the encode to find and explain
		}
		return nil, serviceError(err)
	}
	if sums[1].inters == 0 || sums[1].likened == 0 {
		return nil, nil
	}
	t := &Title{}
	spent := 1.0
	if r.aware.complexity != "Speed" {
		spent = dearer
	}
	fps := v.Rate.Float()
	gop := float64(max(1, int(math.Round(r.aware.interval.Seconds()*fps))))
	for i, b := range boxes {
		c := Curve{Width: b.width, Height: b.height,
			Fine:   sums[1+2*i].point(fineCRF, gop, fps*spent),
			Coarse: sums[2+2*i].point(coarseCRF, gop, fps*spent)}
		if c.Fine.Bitrate > c.Coarse.Bitrate { // else a still picture, of which nothing can be learned
			t.Curves = append(t.Curves, c)
		}
	}
	if t.Curves == nil {
		return nil, nil
	}
	return t, nil
}

// sampleSpeed is the preset of x264 or x265 for samples: they are compared with
// each other alone.
const sampleSpeed = "veryfast"

// dearer is how many more bits the slower presets spend at the same CRF, and
// well: measured with x264 on the sample clips, 1.2 to 1.4.
const dearer = 1.3

// sampleShare is how much of a title is sampled. An analysed frame costs about
// as much as an encoded one.
const sampleShare = 0.05

// samples says where samples of the window start, and how many frames each has.
func samples(from, to time.Duration, fps float64) (starts []time.Duration, frames int) {
	frames = min(max(10, int(math.Round(fps/2))), 30)
	one := time.Duration(float64(frames) / fps * float64(time.Second))
	length := to - from
	if length < 2*one {
		return nil, 0
	}
	least := 2
	if length > 10*time.Second {
		least = 3
	}
	const most = 24
	n := min(max(least, int(length.Seconds()*fps*sampleShare)/frames), most, int(length/one))
	for i := range n {
		starts = append(starts, from+time.Duration(float64(length-one)*(float64(i)+0.5)/float64(n)))
	}
	return starts, frames
}

// A tally adds up what the samples of one size and quality showed.
type tally struct {
	intra, inter      float64 // bytes of the first frames of samples, and of all others
	intras, inters    int
	likeness, likened float64 // SSIM, sum and number
}

// point is what the samples say of a whole title with GOPs of so many frames.
func (t *tally) point(crf, gop, fps float64) Point {
	intra, inter := t.intra/float64(t.intras), t.inter/float64(t.inters)
	return Point{CRF: crf, Bitrate: (intra + (gop-1)*inter) / gop * fps * 8, Quality: t.quality()}
}

func (t *tally) quality() float64 { return -10 * math.Log10(max(1e-6, 1-t.likeness/t.likened)) }

// sample encodes the samples, put one after the other, in every way that v has,
// and compares the results with the first.
func sample(ctx context.Context, tools ffmpeg.Tools, v *Video, path string, starts []time.Duration, frames int, dir string, progress func(part float64)) ([]tally, error) {
	const encodes = 0.7 // what part of it is to encode; the rest is to compare
	share := func(q ffmpeg.Progress) float64 { return min(1, float64(q.Frame)/float64(frames*len(starts))) }
	length := time.Duration(float64(frames) / v.Rate.Float() * float64(time.Second))
	args := []string{"-y"}
	var cut, joined strings.Builder
	for i, at := range starts {
		args = append(args, ffmpeg.Input(path, "-ss", secs(at), "-t", secs(length+time.Second))...)
		fmt.Fprintf(&cut, "[%d:%d]setpts=PTS-STARTPTS,fps=fps=%s:start_time=0,trim=end_frame=%d[c%d];", i, v.Parts[0].Stream, v.Rate, frames, i)
		fmt.Fprintf(&joined, "[c%d]", i)
	}
	graph := v.filters()
	graph[0] = fmt.Sprintf("%s%sconcat=n=%d[c];[c]%s", cut.String(), joined.String(), len(starts), strings.TrimPrefix(graph[0], fmt.Sprintf("[%d:%d]", v.Parts[0].Input, v.Parts[0].Stream)))
	args = append(args, "-filter_complex", strings.Join(graph, ";"))
	file := func(i int) string { return filepath.Join(dir, strconv.Itoa(i)+".mp4") }
	for i, r := range v.Rungs {
		args = append(args, "-map", fmt.Sprintf("[v%d]", i))
		args = append(args, r.codec()...)
		args = append(args, "-threads", "1", "-fps_mode", "passthrough", "-enc_time_base", "-1", "-f", "mp4", ffmpeg.File(file(i)))
	}
	if err := tools.Run(ctx, args, func(q ffmpeg.Progress) { progress(encodes * share(q)) }); err != nil {
		return nil, err
	}

	args = nil
	log := func(i int) string { return filepath.Join(dir, strconv.Itoa(i)+".ssim") }
	var split, compare strings.Builder
	for i := range v.Rungs {
		args = append(args, ffmpeg.Input(file(i))...)
		if i > 0 {
			fmt.Fprintf(&split, "[r%d]", i)
			fmt.Fprintf(&compare, ";[%d:0]scale=%d:%d:flags=bicubic,setsar=1[x%d];[x%d][r%d]ssim=stats_file=%s[o%d]",
				i, v.Rungs[0].Width, v.Rungs[0].Height, i, i, i, quoteFilter(log(i)), i)
		}
	}
	args = append(args, "-filter_complex", fmt.Sprintf("[0:0]split=%d%s%s", len(v.Rungs)-1, split.String(), compare.String()))
	for i := 1; i < len(v.Rungs); i++ {
		args = append(args, "-map", fmt.Sprintf("[o%d]", i))
	}
	if err := tools.Run(ctx, append(args, "-f", "null", "-"), func(q ffmpeg.Progress) { progress(encodes + (1-encodes)*share(q)) }); err != nil {
		return nil, err
	}
	sums := make([]tally, len(v.Rungs))
	for i := 1; i < len(v.Rungs); i++ {
		part, err := open(dir, strconv.Itoa(i), mp4.Video)
		if err != nil {
			return nil, err
		}
		if err := sums[i].add(part.track(), log(i)); err != nil {
			return nil, err
		}
	}
	return sums, nil
}

// add reads the sizes of an encode's frames and how like the source they are.
func (t *tally) add(track *mp4.Track, log string) error {
	for _, s := range track.AppendSamples(nil, 0, track.NumSamples()) {
		if s.Sync {
			t.intra += float64(s.Size)
			t.intras++
		} else {
			t.inter += float64(s.Size)
			t.inters++
		}
	}
	f, err := os.Open(log)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() { // n:1 Y:0.99 U:0.99 V:0.99 All:0.99 (20.0)
		_, all, ok := strings.Cut(lines.Text(), "All:")
		all, _, _ = strings.Cut(all, " ")
		if v, err := strconv.ParseFloat(all, 64); ok && err == nil {
			t.likeness += v
			t.likened++
		}
	}
	return lines.Err()
}

// quoteFilter quotes a file name as the value of a filter's option: once for
// the option, once for the graph.
func quoteFilter(path string) string {
	option := strings.NewReplacer(`\`, `\\`, `'`, `\'`, `:`, `\:`).Replace(path)
	return `'` + strings.ReplaceAll(option, `'`, `'\''`) + `'`
}
