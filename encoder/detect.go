package encoder

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/encoder/analysis"
	"github.com/openams/openams/ffmpeg"
)

// The types of the presets of v2 processors that look for something.
const (
	faceDetecting   = "MediaFaceDetector"
	motionDetecting = "MediaMotionDetector"
	textDetecting   = "MediaOCR"
	moderating      = "MediaContentModerator"
)

// A faceOptions is a configuration of Azure Media Face Detector.
type faceOptions struct {
	Mode          string `json:"mode"` // faces, perFaceEmotion, aggregateEmotion
	Tracking      string `json:"trackingMode,omitempty"`
	window, every time.Duration
}

func parseFaces(text string) (*faceOptions, error) {
	root, err := parseNode(text)
	if err != nil {
		return nil, err
	}
	var rd reader
	root.skip("Version")
	o := root.get("Options")
	x := &faceOptions{Mode: "faces", Tracking: rd.str(o, "TrackingMode"), window: 2 * time.Second, every: 500 * time.Millisecond}
	switch mode := rd.str(o, "Mode"); strings.ToLower(mode) {
	case "", "faces", "facedetection":
	case "perfaceemotion":
		x.Mode = "perFaceEmotion"
	case "aggregateemotion":
		x.Mode = "aggregateEmotion"
	default:
		return nil, fieldError(ams.Unsupported, "Options.Mode", "'%s' is none of faces, perFaceEmotion and aggregateEmotion", mode)
	}
	for _, t := range []struct {
		name string
		to   *time.Duration
		most int
	}{{"AggregateEmotionWindowMs", &x.window, 2000}, {"AggregateEmotionIntervalMs", &x.every, 1000}} {
		if ms, ok := rd.int(o, t.name); ok {
			if ms < 250 || ms > t.most {
				return nil, fieldError(ams.Invalid, "Options."+t.name, "it is not from 250 to %d", t.most)
			}
			*t.to = time.Duration(ms) * time.Millisecond
		}
	}
	if rd.err != nil {
		return nil, rd.err
	}
	return x, root.unread()
}

// A motionOptions is a configuration of Azure Media Motion Detector.
type motionOptions struct {
	Sensitivity string             `json:"sensitivityLevel"`
	Every       int                `json:"frameSamplingValue"`
	Light       bool               `json:"detectLightChange"`
	Zones       [][]analysis.Point `json:"detectionZones,omitempty"`
	merge       time.Duration
}

func parseMotion(text string) (*motionOptions, error) {
	root, err := parseNode(text)
	if err != nil {
		return nil, err
	}
	var rd reader
	root.skip("Version")
	o := root.get("Options")
	x := &motionOptions{Sensitivity: "medium", Every: 1, Light: rd.bool(o, "DetectLightChange"), merge: rd.time(o, "MergeTimeThreshold")}
	switch s := strings.ToLower(rd.str(o, "SensitivityLevel")); s {
	case "":
	case "low", "medium", "high":
		x.Sensitivity = s
	default:
		return nil, fieldError(ams.Invalid, "Options.SensitivityLevel", "'%s' is none of low, medium and high", s)
	}
	if n, ok := rd.int(o, "FrameSamplingValue"); ok {
		if x.Every = n; n < 1 || n > 1000 {
			return nil, fieldError(ams.Invalid, "Options.FrameSamplingValue", "it is not from 1 to 1000")
		}
	}
	const most = 8 // zones
	for i, z := range o.get("DetectionZones").items("DetectionZone") {
		var zone []analysis.Point
		for _, p := range z.items("Point") {
			at := analysis.Point{X: rd.float(p, "X", 0), Y: rd.float(p, "Y", 0)}
			if at.X < 0 || at.X > 1 || at.Y < 0 || at.Y > 1 {
				return nil, fieldError(ams.Invalid, p.at, "the point is not from 0 to 1")
			}
			zone = append(zone, at)
		}
		if len(zone) < 3 || len(zone) > 100 || i == most {
			return nil, fieldError(ams.Invalid, z.at, "there are at most %d zones, each of 3 to 100 points", most)
		}
		x.Zones = append(x.Zones, zone)
	}
	if rd.err != nil {
		return nil, rd.err
	}
	return x, root.unread()
}

// A textOptions is a configuration of Azure Media OCR.
type textOptions struct {
	Language    string       `json:"language"`
	Orientation string       `json:"textOrientation"`
	Interval    float64      `json:"timeInterval"` // s
	Regions     []textRegion `json:"detectRegions,omitempty"`
	advanced    bool
}

// A textRegion is where to look, in pixels.
type textRegion struct {
	Left   int `json:"left"`
	Top    int `json:"top"`
	Width  int `json:"width"`
	Height int `json:"height"`
}

func parseText(text string) (*textOptions, error) {
	root, err := parseNode(text)
	if err != nil {
		return nil, err
	}
	var rd reader
	root.skip("Version")
	o := root.get("Options")
	x := &textOptions{Language: "AutoDetect", Orientation: "AutoDetect", Interval: 0.5, advanced: rd.bool(o, "AdvancedOutput")}
	if s := rd.str(o, "Language"); s != "" {
		x.Language = s
	}
	switch s := rd.str(o, "TextOrientation"); s {
	case "":
	case "AutoDetect", "Up", "Left", "Right", "Down":
		x.Orientation = s
	default:
		return nil, fieldError(ams.Invalid, "Options.TextOrientation", "'%s' is none", s)
	}
	if d := rd.time(o, "TimeInterval"); d > 0 {
		x.Interval = d.Seconds()
	}
	const most = 8 // regions
	for i, r := range o.get("DetectRegions").items("DetectRegion") {
		var t textRegion
		for name, to := range map[string]*int{"Left": &t.Left, "Top": &t.Top, "Width": &t.Width, "Height": &t.Height} {
			*to, _ = rd.int(r, name)
		}
		if i == most || t.Left < 0 || t.Top < 0 || t.Width < 40 || t.Height < 40 || t.Width > 32000 || t.Height > 32000 {
			return nil, fieldError(ams.Invalid, r.at, "there are at most %d regions, of 40 to 32000 pixels", most)
		}
		x.Regions = append(x.Regions, t)
	}
	if rd.err != nil {
		return nil, rd.err
	}
	return x, root.unread()
}

// parseModeration reads a configuration of Azure Media Content Moderator.
func parseModeration(text string) error {
	root, err := parseNode(text)
	if err != nil {
		return err
	}
	root.skip("Version")
	if o := root.get("Options"); o != nil {
		o.all() // of previews, undocumented
	}
	return root.unread()
}

func checkFaces(p ams.Preset) ([]need, error) {
	_, err := parseFaces(configuration(p))
	return []need{facesCommand}, err
}

func checkMotion(p ams.Preset) ([]need, error) {
	_, err := parseMotion(configuration(p))
	return []need{motionCommand}, err
}

func checkText(p ams.Preset) ([]need, error) {
	_, err := parseText(configuration(p))
	return []need{textCommand}, err
}

func checkModeration(p ams.Preset) ([]need, error) {
	return []need{moderationCommand}, parseModeration(configuration(p))
}

// A sighting is what a detector of v2 makes of one video.
type sighting func(src *Source, v analysis.Video, progress func(part float64)) (name string, body []byte, err error)

// sight fetches the video of a task and writes the file that see returns.
func (w *Worker) sight(ctx context.Context, e *errand, see sighting) (making, error) {
	q, done, err := w.fetch(ctx, e.job, e.task, e.dir)
	defer done()
	if err != nil {
		return making{}, err
	}
	src, err := q.seen()
	if err != nil {
		return making{}, err
	}
	if err := os.Mkdir(e.out, 0o700); err != nil {
		return making{}, err
	}
	suffix, body, err := see(src, videoOf(src), func(part float64) { e.progress(99 * part) })
	if err != nil {
		return making{}, err
	}
	o := scribe{dir: e.out}
	o.write(basename(src.name(), maxName)+suffix, body)
	return making{files: o.files}, o.err
}

// seen is the source of a request that is to be looked at.
func (q *Request) seen() (*Source, error) {
	f := &q.Feeds[0]
	src := &f.Files[f.Chosen]
	if v := pickVideo(src.Info); v == nil {
		return nil, jobErrorf(ams.ConfigurationUnsupported, "%q has no video, which is all that is looked at.", src.Name)
	}
	if src.Info.Duration == 0 {
		return nil, jobErrorf(ams.ContentUnsupported, "%q does not tell how long it is, which a detector needs.", src.Name)
	}
	return src, nil
}

func videoOf(src *Source) analysis.Video {
	s := pickVideo(src.Info)
	w, h := s.DisplaySize()
	rate := frameRate(s)
	v := analysis.Video{Width: even(w), Height: even(h), Num: rate.Num, Den: rate.Den, Duration: src.Info.Duration}
	for v.Num < 1000 { // ticks finer than frames
		v.Num, v.Den = v.Num*1000, v.Den*1000
	}
	return v
}

// observe runs the command as the task's configuration says, which parse reads, and
// stores in a file with suffix what write makes of the detections.
func observe[T any](ctx context.Context, w *Worker, e *errand, command need, what, suffix string, parse func(string) (*T, error), write func(*analysis.Detections, analysis.Video, *T) ([]byte, error)) (making, error) {
	x, err := parse(configuration(e.task.Preset))
	if err != nil {
		return making{}, jobErrorf(ams.ConfigurationUnsupported, "%s", err)
	}
	return w.sight(ctx, e, func(src *Source, v analysis.Video, progress func(float64)) (string, []byte, error) {
		d, err := w.detect(ctx, command, e.dir, what, src, x, progress)
		if err != nil {
			return "", nil, err
		}
		b, err := write(d, v, x)
		return suffix, b, err
	})
}

func runFaces(ctx context.Context, w *Worker, e *errand) (making, error) {
	return observe(ctx, w, e, facesCommand, "faces", "_annotations.json", parseFaces, func(d *analysis.Detections, v analysis.Video, x *faceOptions) ([]byte, error) {
		if x.Mode != "aggregateEmotion" {
			return d.FacesJSON(v, x.Mode == "perFaceEmotion")
		}
		b, err := d.EmotionsJSON(v, x.window, x.every)
		if err != nil {
			return nil, badResult(facesCommand, err)
		}
		return b, nil
	})
}

func runMotion(ctx context.Context, w *Worker, e *errand) (making, error) {
	return observe(ctx, w, e, motionCommand, "motion", "_motion.json", parseMotion, func(d *analysis.Detections, v analysis.Video, x *motionOptions) ([]byte, error) {
		return d.MotionJSON(v, x.Zones, x.Light, x.merge)
	})
}

func runText(ctx context.Context, w *Worker, e *errand) (making, error) {
	return observe(ctx, w, e, textCommand, "text", "_ocr.json", parseText, func(d *analysis.Detections, v analysis.Video, x *textOptions) ([]byte, error) {
		return d.TextJSON(v, x.advanced)
	})
}

func runModeration(ctx context.Context, w *Worker, e *errand) (making, error) {
	return w.sight(ctx, e, func(src *Source, v analysis.Video, progress func(float64)) (string, []byte, error) {
		const half = 0.5
		shots, err := sceneCuts(ctx, w.c.Tools, src, pickVideo(src.Info), filepath.Join(e.dir, "cuts.txt"), func(part float64) { progress(half * part) })
		if err != nil {
			return "", nil, err
		}
		d, err := w.detect(ctx, moderationCommand, e.dir, "moderation", src, nil, func(part float64) { progress(half + half*part) })
		if err != nil {
			return "", nil, err
		}
		b, err := d.ModerationJSON(v, shots)
		return "_moderation.json", b, err
	})
}

// maxPortraits bounds how many pictures of faces are made (documented: 64 faces a
// video).
const maxPortraits = 64

// portraits writes a picture of each face, where it is largest, as
// stem_thumb000001.jpg for the face with the id 1, and returns their names.
func (w *Worker) portraits(ctx context.Context, src *Source, d *analysis.Detections, stem, dir string) (map[int]string, error) {
	names := map[int]string{}
	video := pickVideo(src.Info)
	for _, id := range d.IDs() {
		if len(names) == maxPortraits {
			break
		}
		at, box := d.Best(id)
		name := fmt.Sprintf("%s_thumb%06d.jpg", stem, id)
		crop := fmt.Sprintf(",crop='max(2,iw*%.6f)':'max(2,ih*%.6f)':'iw*%.6f':'ih*%.6f'", box.Width, box.Height, box.X, box.Y)
		if err := w.snapshot(ctx, src, video, at, crop, filepath.Join(dir, name)); err != nil {
			return nil, err
		}
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil { // a face at the very end has no frame
			names[id] = name
		}
	}
	return names, nil
}

// snapshot writes the picture of a source at a time since its start, or a part of
// it, as a JPEG. There is none at the very end.
func (w *Worker) snapshot(ctx context.Context, src *Source, video *ffmpeg.Stream, at time.Duration, filters, file string) error {
	args := append([]string{"-y"}, ffmpeg.Input(src.Path, "-ss", secs(at))...)
	args = append(args, "-map", fmt.Sprintf("0:%d", video.Index), "-vf", "scale='trunc(iw*sar/2)*2':ih,setsar=1"+filters, "-frames:v", "1", "-q:v", "3", "-f", "image2", "-update", "1", ffmpeg.File(file))
	err := w.c.Tools.Run(ctx, args, nil)
	if err != nil && ctx.Err() == nil {
		err = errors.Join(jobErrorf(ams.ContentMalformed, "%q cannot be decoded at second %.2f.", src.Name, at.Seconds()), err)
	}
	return err
}

// round is a number of pixels.
func round(v float64) int { return int(math.Round(v)) }
