package encoder

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/ffmpeg"
)

// digesting is the type of the presets of the v2 processor Azure Media Video
// Thumbnails, which makes a short film of the scenes of a long one.
const digesting = "MediaVideoThumbnails"

// A digest is a configuration of it.
type digest struct {
	length time.Duration // of the output; 0: as long as suits the source
	mute   bool
	fades  bool
	stills bool // pictures instead of a film
	most   int  // of them; 0: as many as suit the source
}

// parseDigest reads a configuration of Azure Media Video Thumbnails.
func parseDigest(text string) (*digest, error) {
	root, err := parseNode(text)
	if err != nil {
		return nil, err
	}
	var rd reader
	root.skip("Version")
	options := root.get("Options")
	d := &digest{fades: true}
	switch kind := rd.str(options, "OutputType"); strings.ToLower(kind) {
	case "", "video":
	case "image":
		d.stills = true
	default:
		return nil, fieldError(ams.Unsupported, "Options.OutputType", "'%s' is neither video nor image", kind)
	}
	if n, ok := rd.int(options, "MaxStaticThumbnailCount"); ok {
		if d.most = n; n < 0 || n > maxStills {
			return nil, fieldError(ams.Invalid, "Options.MaxStaticThumbnailCount", "it is not from 0 to %d", maxStills)
		}
	}
	if options.get("OutputAudio") != nil {
		d.mute = !rd.bool(options, "OutputAudio")
	}
	if options.get("FadeInFadeOut") != nil {
		d.fades = rd.bool(options, "FadeInFadeOut")
	}
	seconds := rd.float(options, "MaxMotionThumbnailDurationInSecs", 0)
	if seconds != 0 && !(seconds >= 1 && seconds <= 3600) {
		rd.fail(options.get("MaxMotionThumbnailDurationInSecs"), "it is neither 0 nor from 1 to 3600")
	}
	d.length = time.Duration(seconds * float64(time.Second))
	if rd.err != nil {
		return nil, rd.err
	}
	return d, root.unread()
}

func checkDigest(configuration string) error {
	_, err := parseDigest(configuration)
	return err
}

// suit sets how long the digest of a source is, and returns of how many scenes
// (documented: 2 to 3 for 15 s, and so on).
func (d *digest) suit(source time.Duration) (scenes int) {
	if d.length == 0 {
		switch {
		case source <= 3*time.Minute:
			d.length = 15 * time.Second
		case source <= 15*time.Minute:
			d.length = 30 * time.Second
		case source <= 30*time.Minute:
			d.length = time.Minute
		default:
			d.length = 90 * time.Second
		}
	}
	const scene = 6 * time.Second
	return min(max(2, int(d.length/scene)), maxScenes)
}

// maxScenes bounds what a digest is put together of: each is an input of ffmpeg.
const maxScenes = 15

// maxStills bounds the pictures of a digest.
const maxStills = 100

// A shot is a part of a source without a cut, by time since its start.
type shot struct{ from, to time.Duration }

// choose picks n parts of the shots that a source of some length consists of:
// from the middles of shots that lie evenly over its time, each of the same
// length, together as long as the digest.
func (d *digest) choose(cuts []time.Duration, length time.Duration, n int) []shot {
	each := d.length / time.Duration(n)
	var shots []shot
	from := time.Duration(0)
	for _, at := range append(slices.Clone(cuts), length) {
		if at-from >= each {
			shots = append(shots, shot{from, at})
		}
		from = at
	}
	if len(shots) < n { // a single take, or cut too fast: by the clock
		shots = nil
		for i := range n {
			shots = append(shots, shot{length * time.Duration(i) / time.Duration(n), length * time.Duration(i+1) / time.Duration(n)})
		}
	}
	var parts []shot
	for i := range n {
		s := shots[i*len(shots)/n]
		from := max(s.from, (s.from+s.to-each)/2)
		parts = append(parts, shot{from, min(from+each, length)})
	}
	return parts
}

func runDigest(ctx context.Context, w *Worker, e *errand) (making, error) {
	d, err := parseDigest(configuration(e.task.Preset))
	if err != nil {
		return making{}, jobErrorf(ams.ConfigurationUnsupported, "%s", err)
	}
	q, done, err := w.fetch(ctx, e.job, e.task, e.dir)
	defer done()
	if err != nil {
		return making{}, err
	}
	feed := &q.Feeds[0]
	src := &feed.Files[feed.Chosen]
	video := pickVideo(src.Info)
	length := src.Info.Duration
	switch {
	case video == nil:
		return making{}, jobErrorf(ams.ContentUnsupported, "%q has no video, of which a digest is made.", src.Name)
	case length == 0:
		return making{}, jobErrorf(ams.ContentUnsupported, "%q does not tell how long it is, which a digest needs.", src.Name)
	}
	r := sameSize(ams.VideoThumbnails, "{Basename}_MotionThumbnail{Extension}")
	if !d.mute {
		r.sounds = stereo(128_000)
	}
	r.limit(&q)
	const look = 50 // percent of the work
	n := d.suit(length)
	var parts []shot
	if d.stills {
		if d.most > 0 {
			n = d.most
		}
		d.length = 0 // pictures take no time
	}
	if length > d.length {
		cuts, err := sceneCuts(ctx, w.c.Tools, src, video, filepath.Join(e.dir, "cuts.txt"), func(part float64) { e.progress(look * part) })
		if err != nil {
			return making{}, err
		}
		parts = d.choose(cuts, length, n)
	}
	if d.stills {
		return w.stills(ctx, e, src, video, parts)
	}
	for _, p := range parts {
		r.sources = append(r.sources, source{clip: Clip{Start: src.Info.Start + p.from, End: src.Info.Start + p.to}})
	}
	plan, err := r.plan(q)
	if err != nil {
		return making{}, err
	}
	if d.fades {
		plan.Video.Effects = fadesBetween(plan.Video)
	}
	w.notes.planned(plan)
	files, err := Encode(ctx, w.c.Tools, plan, plan.sources(q), e.out, func(p float64) { e.progress(look + p*(99-look)/100) })
	return making{files: files}, err
}

// stills writes a picture of each part.
func (w *Worker) stills(ctx context.Context, e *errand, src *Source, video *ffmpeg.Stream, parts []shot) (making, error) {
	if err := os.Mkdir(e.out, 0o700); err != nil {
		return making{}, err
	}
	var names []string
	for i, p := range parts {
		name := fmt.Sprintf("%s_StaticThumbnail_%06d.jpg", basename(src.name(), maxName), i+1)
		if err := w.snapshot(ctx, src, video, p.from, "", filepath.Join(e.out, name)); err != nil {
			return making{}, err
		}
		names = append(names, name)
		e.progress(50 + 49*float64(i+1)/float64(len(parts)))
	}
	return making{files: outputs(e.out, names)}, nil
}

// fadesBetween darkens the ends of the parts of a picture. The filter keeps what
// lies behind a fade out dark, so each is on for its own time only.
func fadesBetween(v *Video) (effects []string) {
	const half = 0.4 // s, on either side of a cut
	at := 0.0
	for i := range v.Parts {
		frames := v.Parts[i].Frames
		if len(v.Parts) == 1 {
			frames = v.Frames
		}
		end := at + float64(frames)/v.Rate.Float()
		if end-at > 3*half {
			effects = append(effects,
				fmt.Sprintf("fade=t=in:st=%.3f:d=%.1f:enable='between(t,%.3f,%.3f)'", at, half, at, at+half),
				fmt.Sprintf("fade=t=out:st=%.3f:d=%.1f:enable='between(t,%.3f,%.3f)'", end-half, half, end-half, end))
		}
		at = end
	}
	return effects
}

// Bounds and threshold of cuts.
const (
	cutScore = 0.3 // of ffmpeg's scene score, 0 to 1
	maxCuts  = 100_000
)

// sceneCuts returns when the picture of a source changes all at once, since the
// source's start, in order. file is where ffmpeg may write.
func sceneCuts(ctx context.Context, tools ffmpeg.Tools, src *Source, video *ffmpeg.Stream, file string, progress func(part float64)) ([]time.Duration, error) {
	args := append([]string{"-y"}, ffmpeg.Input(src.Path)...)
	filters := fmt.Sprintf("scale=320:-2,select='gt(scene,%g)',metadata=print:file=%s", cutScore, escapeFilter(file))
	args = append(args, "-map", fmt.Sprintf("0:%d", video.Index), "-vf", filters, "-fps_mode", "passthrough", "-f", "null", os.DevNull)
	err := tools.Run(ctx, args, func(p ffmpeg.Progress) { progress(min(1, p.Time.Seconds()/src.Info.Duration.Seconds())) })
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, errors.Join(jobErrorf(ams.ContentMalformed, "%q cannot be decoded.", src.Name), err)
	}
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var cuts []time.Duration
	lines := bufio.NewScanner(f)
	for lines.Scan() && len(cuts) < maxCuts {
		_, at, ok := strings.Cut(lines.Text(), "pts_time:")
		if !ok {
			continue
		}
		at, _, _ = strings.Cut(at, " ")
		if s, err := strconv.ParseFloat(at, 64); err == nil && s > 0 && s < src.Info.Duration.Seconds() {
			cuts = append(cuts, time.Duration(s*float64(time.Second)))
		}
	}
	return cuts, lines.Err()
}
