package encoder

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/ffmpeg"
)

// The types of the presets of the v2 processors that hold a picture still.
const (
	stabilizing  = "MediaStabilizer"
	hyperlapsing = "MediaHyperlapse"
)

// A steadiness is a configuration of one of them.
type steadiness struct {
	first, frames int64 // of the source; frames is 0 for all
	every         int64 // of so many frames one is kept
}

// Bounds of a time-lapse.
const (
	maxSpeed = 100
	noFrames = 1<<31 - 1 // what clients write for "all" (documented)
)

// parseHyperlapse reads a configuration of Azure Media Hyperlapse.
func parseHyperlapse(text string) (*steadiness, error) {
	root, err := parseNode(text)
	if err != nil {
		return nil, err
	}
	var rd reader
	s := &steadiness{every: 1}
	root.skip("Version")
	sources := root.get("Sources").items("Source")
	if len(sources) > 1 {
		return nil, fieldError(ams.Invalid, "Sources", "there is more than one")
	}
	for _, n := range sources {
		if v, ok := rd.int(n, "StartFrame"); ok {
			s.first = int64(v)
		}
		if k := n.get("NumFrames"); k != nil && k.text != fmt.Sprint(noFrames) {
			v, _ := rd.int(n, "NumFrames")
			if s.frames = int64(v); v < 1 {
				rd.fail(k, "'%s' is no number of frames", k.text)
			}
		}
	}
	options := root.get("Options")
	if v, ok := rd.int(options, "Speed"); ok {
		s.every = int64(v)
	}
	rd.bool(options, "Stabilize") // a time-lapse is always steady
	switch {
	case rd.err != nil:
		return nil, rd.err
	case s.first < 0:
		return nil, fieldError(ams.Invalid, "Sources.StartFrame", "it is negative")
	case s.every < 1 || s.every > maxSpeed:
		return nil, fieldError(ams.Invalid, "Options.Speed", "it is not from 1 to %d", maxSpeed)
	}
	return s, root.unread()
}

// parseStabilizer reads a configuration of Azure Media Stabilizer, which has
// nothing to choose.
func parseStabilizer(text string) (*steadiness, error) {
	root, err := parseNode(text)
	if err != nil {
		return nil, err
	}
	root.skip("Version", "Options")
	return &steadiness{every: 1}, root.unread()
}

func checkHyperlapse(configuration string) error {
	_, err := parseHyperlapse(configuration)
	return err
}

func checkStabilizer(configuration string) error {
	_, err := parseStabilizer(configuration)
	return err
}

func runHyperlapse(ctx context.Context, w *Worker, e *errand) (making, error) {
	s, err := parseHyperlapse(configuration(e.task.Preset))
	if err != nil {
		return making{}, jobErrorf(ams.ConfigurationUnsupported, "%s", err)
	}
	return w.steady(ctx, e, s, sameSize(ams.Hyperlapse, "{Basename}_hyperlapse{Extension}"))
}

func runStabilizer(ctx context.Context, w *Worker, e *errand) (making, error) {
	s, err := parseStabilizer(configuration(e.task.Preset))
	if err != nil {
		return making{}, jobErrorf(ams.ConfigurationUnsupported, "%s", err)
	}
	r := sameSize(ams.Stabilizer, "{Basename}_stabilized{Extension}")
	r.sounds = stereo(128_000)
	return w.steady(ctx, e, s, r)
}

// fineRate is the quality of pictures that are encoded at their own size, and
// roomy the bitrate that they have at most, in parts of what a rung of a ladder
// would have.
const (
	fineRate = 19
	roomy    = 3
)

// sameSize is a recipe for one MP4 with the picture at its own size; with sounds
// added, also these.
func sameSize(name, pattern string) *recipe {
	all := measure{n: 100, percent: true}
	l := layer{codec: "h264", width: all, height: all, stretch: "AutoSize", interval: gopTime,
		coding: Coding{Mode: "CRF", CRF: fineRate, BFrames: 3, References: 3}}
	return &recipe{name: name, v2: true, layers: []layer{l}, formats: []format{{kind: "mp4", pattern: pattern, kilo: true}}}
}

// limit sets the bitrate of a sameSize recipe, by the picture that it will have.
func (r *recipe) limit(q *Request) {
	const least = 500_000
	r.layers[0].bitrate = least
	for _, f := range q.Feeds {
		if v := pickVideo(f.Files[f.Chosen].Info); v != nil {
			w, h := v.DisplaySize()
			rate := roomy * autoRate(box{width: even(w), height: even(h)}, frameRate(v).Float())
			r.layers[0].bitrate = max(r.layers[0].bitrate, int(rate))
		}
	}
}

// steady encodes a source whose camera shook as if it had not: ffmpeg looks how
// it moved, then moves the pictures back. An ffmpeg without the filters for that
// has another one, which does both in one go and less well.
func (w *Worker) steady(ctx context.Context, e *errand, s *steadiness, r *recipe) (making, error) {
	q, done, err := w.fetch(ctx, e.job, e.task, e.dir)
	defer done()
	if err != nil {
		return making{}, err
	}
	r.limit(&q)
	plan, err := r.plan(q)
	if err != nil {
		return making{}, err
	}
	v, srcs := plan.Video, plan.sources(q)
	if s.first > 0 || s.frames > 0 {
		cut := fmt.Sprintf("trim=start_frame=%d", s.first)
		if s.frames > 0 {
			cut += fmt.Sprintf(":end_frame=%d", s.first+s.frames)
		}
		v.Effects = append(v.Effects, cut, "setpts=PTS-STARTPTS")
		if v.Frames > 0 {
			if v.Frames -= s.first; v.Frames <= 0 {
				return making{}, jobErrorf(ams.ConfigurationUnsupported, "%q has no frame %d to start from.", srcs[0].Name, s.first)
			}
			if s.frames > 0 {
				v.Frames = min(v.Frames, s.frames)
			}
		}
	}
	moves := filepath.Join(e.dir, "moves.trf")
	const half = 50 // percent of the work
	err = w.watch(ctx, plan, srcs, moves, func(part float64) { e.progress(half * part) })
	switch {
	case err == nil:
		v.Effects = append(v.Effects, "vidstabtransform=input="+escapeFilter(moves)+":smoothing=15", "unsharp=5:5:0.4:3:3:0.2")
	case ctx.Err() == nil && lacks(err, "vidstabdetect"):
		w.c.Log.Warn("this ffmpeg has no vidstabdetect: deshake steadies instead, less well", "task", e.task.ID)
		v.Effects = append(v.Effects, "deshake")
	default:
		return making{}, explain(ctx, w.c.Tools, plan, srcs, err)
	}
	if s.every > 1 {
		v.Effects = append(v.Effects, fmt.Sprintf("select='not(mod(n,%d))'", s.every), "setpts=N/("+v.Rate.String()+"*TB)")
		v.Frames = int64(math.Ceil(float64(v.Frames) / float64(s.every)))
	}
	w.notes.planned(plan)
	files, err := Encode(ctx, w.c.Tools, plan, srcs, e.out, func(p float64) { e.progress(half + p*(99-half)/100) })
	return making{files: files}, err
}

// watch writes how the camera moved. The pictures are those that the plan would
// encode.
func (w *Worker) watch(ctx context.Context, plan *Plan, srcs []Source, to string, progress func(part float64)) error {
	look := *plan
	v := *plan.Video
	v.Effects = append(append([]string(nil), v.Effects...), "vidstabdetect=shakiness=5:accuracy=9:result="+escapeFilter(to))
	look.Video, look.Audio, look.Copies = &v, nil, nil
	args := []string{"-y", "-xerror"}
	for i, in := range look.Inputs {
		args = append(args, in.open(srcs[i].Path, plan.Tolerant)...)
	}
	v.Rungs = v.Rungs[:1]
	args = append(args, "-filter_complex", strings.Join(v.filters(), ";"), "-map", "[v0]", "-fps_mode", "passthrough", "-f", "null", os.DevNull)
	total := plan.length(srcs[0].Info)
	return w.c.Tools.Run(ctx, args, func(p ffmpeg.Progress) {
		if total > 0 {
			progress(min(1, p.Time.Seconds()/total.Seconds()))
		}
	})
}

// lacks reports whether ffmpeg failed because it has no such filter.
func lacks(err error, filter string) bool {
	return err != nil && strings.Contains(err.Error(), "No such filter: '"+filter+"'")
}

// escapeFilter makes a value of an option of a filter mean itself: once for the
// list of options, once for the graph (ffmpeg-filters, "Notes on filtergraph
// escaping").
func escapeFilter(s string) string {
	s = strings.NewReplacer(`\`, `\\`, `'`, `\'`, `:`, `\:`).Replace(s)
	return strings.NewReplacer(`\`, `\\`, `'`, `\'`, `[`, `\[`, `]`, `\]`, `,`, `\,`, `;`, `\;`).Replace(s)
}
