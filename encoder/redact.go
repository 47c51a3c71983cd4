package encoder

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/encoder/analysis"
)

// The types of the presets that make faces unknown, of v2 and of v3.
const (
	redacting    = "MediaRedactor"
	faceDetector = "FaceDetectorPreset"
)

// A redaction is a configuration of either.
type redaction struct {
	Mode       string `json:"mode"`       // analyze, redact, combined
	Resolution string `json:"resolution"` // StandardDefinition, SourceResolution: of analysis
	blur       string // box, low, med, high, black
}

func parseRedactor(text string) (*redaction, error) {
	root, err := parseNode(text)
	if err != nil {
		return nil, err
	}
	var rd reader
	root.skip("Version")
	o := root.get("Options")
	mode, blur := rd.str(o, "Mode"), rd.str(o, "BlurType")
	x, err := newRedaction(mode, "combined", blur, "Options.")
	if err != nil {
		return nil, err
	}
	return x, root.unread()
}

func parseFaceDetector(p ams.Preset) (*redaction, error) {
	var body struct {
		Mode       string `json:"mode"`
		BlurType   string `json:"blurType"`
		Resolution string `json:"resolution"`
	}
	if err := json.Unmarshal(p.Body, &body); err != nil {
		return nil, ams.Errorf(ams.Invalid, "The preset cannot be read: %v", err)
	}
	x, err := newRedaction(body.Mode, "analyze", body.BlurType, "")
	if err != nil {
		return nil, err
	}
	switch body.Resolution {
	case "", "SourceResolution", "StandardDefinition":
		x.Resolution = body.Resolution
	default:
		return nil, fieldError(ams.Invalid, "resolution", "'%s' is none", body.Resolution)
	}
	return x, nil
}

func newRedaction(mode, usual, blur, at string) (*redaction, error) {
	x := &redaction{Mode: strings.ToLower(mode), blur: strings.ToLower(blur)}
	if mode == "" {
		x.Mode = usual
	}
	if blur == "" {
		x.blur = "med"
	}
	if x.Mode != "analyze" && x.Mode != "redact" && x.Mode != "combined" {
		return nil, fieldError(ams.Invalid, at+"mode", "'%s' is none of analyze, redact and combined", mode)
	}
	if blurs[x.blur] == "" {
		return nil, fieldError(ams.Invalid, at+"blurType", "'%s' is none of Box, Low, Med, High and Black", blur)
	}
	return x, nil
}

// blurs are what faces are covered with: filters over the whole picture, of which
// the faces are taken.
var blurs = map[string]string{
	"low":   "boxblur=lr='max(1,min(w,h)/60)':lp=2:cr='max(1,min(cw,ch)/60)':cp=2",
	"med":   "boxblur=lr='max(2,min(w,h)/30)':lp=2:cr='max(1,min(cw,ch)/30)':cp=2",
	"high":  "boxblur=lr='max(2,min(w,h)/12)':lp=3:cr='max(1,min(cw,ch)/12)':cp=3",
	"black": "drawbox=color=black:t=fill",
	"box":   "drawbox=color=yellow:t=fill", // a frame around each: to see what was found
}

func (x *redaction) needs() []need {
	if x.Mode == "redact" {
		return nil // of faces that were found before
	}
	return []need{facesCommand}
}

func checkRedactor(p ams.Preset) ([]need, error) {
	x, err := parseRedactor(configuration(p))
	if err != nil {
		return nil, err
	}
	return x.needs(), nil
}

func checkFaceDetector(p ams.Preset) ([]need, error) {
	x, err := parseFaceDetector(p)
	if err != nil {
		return nil, err
	}
	return x.needs(), nil
}

func runRedactor(ctx context.Context, w *Worker, e *errand) (making, error) {
	x, err := parseRedactor(configuration(e.task.Preset))
	return w.redact(ctx, e, x, ams.Redactor, err)
}

func runFaceDetector(ctx context.Context, w *Worker, e *errand) (making, error) {
	x, err := parseFaceDetector(e.task.Preset)
	return w.redact(ctx, e, x, faceDetector, err)
}

// redact does what x says; err is why there is none.
func (w *Worker) redact(ctx context.Context, e *errand, x *redaction, name string, err error) (making, error) {
	if err != nil {
		return making{}, jobErrorf(ams.ConfigurationUnsupported, "%s", err)
	}
	q, done, err := w.fetch(ctx, e.job, e.task, e.dir)
	defer done()
	if err != nil {
		return making{}, err
	}
	src, err := q.seen()
	if err != nil {
		return making{}, err
	}
	stem := basename(src.name(), maxName)
	var d *analysis.Detections
	var only map[int]bool // ids; nil: all
	share := 0.5          // of the work that is looking
	if x.Mode == "redact" {
		share = 0
		d, only, err = w.annotations(ctx, e, stem)
	} else {
		if x.Mode == "analyze" {
			share = 1
		}
		d, err = w.detect(ctx, facesCommand, e.dir, "faces", src, x, func(part float64) { e.progress(99 * share * part) })
	}
	if err != nil {
		return making{}, err
	}
	if x.Mode == "analyze" {
		if err := os.Mkdir(e.out, 0o700); err != nil {
			return making{}, err
		}
		o := scribe{dir: e.out}
		pictures, err := w.portraits(ctx, src, d, stem, e.out)
		if err != nil {
			return making{}, err
		}
		for _, id := range d.IDs() {
			if picture := pictures[id]; picture != "" {
				o.files = append(o.files, outputs(e.out, []string{picture})...)
			}
		}
		b, err := d.AnnotationsJSON(videoOf(src))
		if err != nil {
			return making{}, err
		}
		o.write(stem+"_annotations.json", b)
		return making{files: o.files}, o.err
	}
	r := sameSize(name, "{Basename}_redacted{Extension}")
	r.v2 = e.task.Spec != nil
	if pickAudio(src.Info) != nil {
		r.sounds = stereo(128_000)
	}
	r.limit(&q)
	plan, err := r.plan(q)
	if err != nil {
		return making{}, err
	}
	mask := filepath.Join(e.dir, "mask.y4m")
	from := plan.zero() - plan.Inputs[plan.Video.Parts[0].Input].Seek // what the plan cuts off at the start
	if err := writeMask(ctx, mask, d, only, videoOf(src), from.Seconds(), x.blur == "box"); err != nil {
		return making{}, serviceError(err)
	}
	plan.Video.Effects = []string{"split[ra][rb];[rb]" + blurs[x.blur] + "[rc];movie=" + escapeFilter(mask) +
		",format=gray[rm];[rm][rc]scale2ref=flags=bilinear[rn][rd];[rn]format=gray[ro];[rd][ro]alphamerge=shortest=1[re];[ra][re]overlay=format=auto:shortest=1"}
	w.notes.planned(plan)
	files, err := Encode(ctx, w.c.Tools, plan, plan.sources(q), e.out, func(p float64) { e.progress(99 * (share + (1-share)*p/100)) })
	return making{files: files}, err
}

// annotations reads the faces that an earlier task found, and the list of those
// to cover, which lie beside the video in an input asset.
func (w *Worker) annotations(ctx context.Context, e *errand, stem string) (d *analysis.Detections, only map[int]bool, err error) {
	var inputs []string
	if e.task.Spec != nil {
		inputs = e.task.Inputs
	} else {
		all, _ := leaves(e.job.Input)
		for _, l := range all {
			if l.Kind == ams.InputAsset {
				inputs = append(inputs, l.Asset)
			}
		}
	}
	for _, input := range inputs {
		in, err := w.input(ctx, e.job, input)
		if err != nil {
			return nil, nil, err
		}
		names, err := w.rootFiles(ctx, in, e.task)
		if err != nil {
			return nil, nil, err
		}
		find := func(suffix string) string {
			best := ""
			for _, n := range names {
				if strings.EqualFold(n, stem+suffix) {
					return n
				}
				if strings.HasSuffix(strings.ToLower(n), strings.ToLower(suffix)) {
					best = n
				}
			}
			return best
		}
		name := find("_annotations.json")
		if name == "" {
			continue
		}
		b, err := w.readBlob(ctx, in, name, analysis.MaxDetections)
		if err != nil {
			return nil, nil, err
		}
		if d, err = analysis.ParseAnnotations(b); err != nil {
			return nil, nil, jobErrorf(ams.ContentMalformed, "%q is no file of annotations: %v.", name, err)
		}
		list := find("_IDList.txt")
		if list == "" {
			return d, nil, nil
		}
		const most = 1 << 20
		if b, err = w.readBlob(ctx, in, list, most); err != nil {
			return nil, nil, err
		}
		for _, s := range strings.FieldsFunc(string(b), func(r rune) bool { return r < '0' || r > '9' }) {
			id, err := strconv.Atoi(s)
			if err != nil {
				return nil, nil, jobErrorf(ams.ContentMalformed, "%q has %q, which is no id.", list, s)
			}
			if only == nil {
				only = map[int]bool{}
			}
			only[id] = true
		}
		return d, only, nil
	}
	return nil, nil, jobErrorf(ams.ConfigurationUnsupported, "The input has no file '%s_annotations.json', which says where faces are: a task in the mode analyze makes it.", stem)
}

// readBlob reads a small file of an asset.
func (w *Worker) readBlob(ctx context.Context, in *ams.Asset, name string, most int64) ([]byte, error) {
	r, err := w.c.Blobs.OpenLocal(ctx, in.StorageAccount, in.Container, name)
	if err != nil {
		return nil, fmt.Errorf("open %q of the asset %q: %w", path.Base(name), in.Name, err)
	}
	defer r.Close()
	if r.Size() > most {
		return nil, jobErrorf(ams.ContentMalformed, "%q has %d bytes, more than %d.", name, r.Size(), most)
	}
	return io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
}

// The mask of faces: white where they are. Its cells are coarse, as faces are.
const (
	maskWidth = 160
	maxMask   = 8 << 30 // bytes; rather fewer frames than more
)

// writeMask writes the mask as a film of one look each (YUV4MPEG2). A face is
// covered from half a look before it is found, until the next look, and a little
// around: rather too much than too little. from is the second of the source that
// the encoded picture starts at.
func writeMask(ctx context.Context, file string, d *analysis.Detections, only map[int]bool, v analysis.Video, from float64, frame bool) (err error) {
	width := maskWidth
	height := max(2, round(maskWidth*float64(v.Height)/float64(v.Width)/2)*2)
	step := d.Interval
	frames := math.Ceil((v.Duration.Seconds()+1)/step) + 2 // the picture may last a little longer than is said
	if most := float64(maxMask) / float64(width*height); frames > most {
		step, frames = step*frames/most, most
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	b := bufio.NewWriterSize(f, 1<<20)
	const second = 1_000_000
	fmt.Fprintf(b, "YUV4MPEG2 W%d H%d F%d:%d Ip A1:1 Cmono\n", width, height, second, max(1, round(step*second)))
	picture := make([]byte, width*height)
	const hold = 1.0 // s, at most, until the next look
	until := func(i int) float64 {
		end := d.Samples[i].Time + d.Interval
		if i+1 < len(d.Samples) {
			end = max(end, min(d.Samples[i+1].Time, d.Samples[i].Time+hold))
		}
		return end + d.Interval/2
	}
	low := 0
	for n := range int64(frames) {
		if n%1000 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		start, end := from+float64(n)*step, from+float64(n+1)*step
		clear(picture)
		for low < len(d.Samples) && d.Samples[low].Time+hold+2*d.Interval < start {
			low++
		}
		for i := low; i < len(d.Samples) && d.Samples[i].Time-d.Interval/2 < end; i++ {
			if until(i) <= start {
				continue
			}
			for _, face := range d.Samples[i].Faces {
				if only == nil || only[face.ID] {
					cover(picture, width, height, face.Box, frame)
				}
			}
		}
		b.WriteString("FRAME\n")
		if _, err := b.Write(picture); err != nil {
			return err
		}
	}
	return b.Flush()
}

// cover whitens a box and a tenth around it, or only its edge.
func cover(picture []byte, width, height int, box analysis.Box, edge bool) {
	const around = 0.1
	cell := func(v float64, n int) int { return min(max(0, int(math.Floor(v*float64(n)))), n-1) }
	x0, x1 := cell(box.X-around*box.Width, width), cell(box.X+(1+around)*box.Width, width)
	y0, y1 := cell(box.Y-around*box.Height, height), cell(box.Y+(1+around)*box.Height, height)
	for y := y0; y <= y1; y++ {
		for x := x0; x <= x1; x++ {
			if !edge || y == y0 || y == y1 || x == x0 || x == x1 {
				picture[y*width+x] = 0xff
			}
		}
	}
}
