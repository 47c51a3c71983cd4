package encoder

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/openams/openams/ffmpeg"
)

// Encoders in hardware are fast and spend more bits for the same quality, so they
// are used only where the server's owner asks for them. An ffmpeg that lists one
// need not be able to use it: it is tried with a few frames first. Should it fail
// in earnest, the task is encoded in software.

// hardware are the encoders that are known how to be told, the better first.
var hardware = []string{
	"h264_nvenc", "hevc_nvenc", "h264_qsv", "hevc_qsv", "h264_vaapi", "hevc_vaapi",
	"h264_videotoolbox", "hevc_videotoolbox", "h264_amf", "hevc_amf",
}

// renderNode is the first graphics card of Linux.
const renderNode = "/dev/dri/renderD128"

// A Trial is how an encoder did with a few frames.
type Trial struct {
	Encoder string
	Err     error // nil: it works
}

// TryHardware tries the encoders that wish names: "auto" for all that are known,
// "off" or "" for none, or some of them, separated by commas. The error names one
// that is not known.
func TryHardware(ctx context.Context, tools ffmpeg.Tools, wish string) ([]Trial, error) {
	var names []string
	switch wish = strings.TrimSpace(wish); wish {
	case "", "off":
		return nil, nil
	case "auto":
		names = hardware
	default:
		for n := range strings.SplitSeq(wish, ",") {
			if n = strings.TrimSpace(n); !slices.Contains(hardware, n) {
				return nil, fmt.Errorf("'%s' is none of auto, off, %s", n, strings.Join(hardware, ", "))
			}
			names = append(names, n)
		}
	}
	var all []Trial
	for _, n := range names {
		all = append(all, Trial{n, try(ctx, tools, n)})
	}
	return all, nil
}

// Working lists the encoders whose trial succeeded.
func Working(trials []Trial) (names []string) {
	for _, t := range trials {
		if t.Err == nil {
			names = append(names, t.Encoder)
		}
	}
	return names
}

// maxTrial bounds a trial: a driver may hang.
const maxTrial = 20 * time.Second

// try encodes some frames as a task would.
func try(ctx context.Context, tools ffmpeg.Tools, name string) error {
	limited, stop := context.WithTimeout(ctx, maxTrial)
	defer stop()
	codec, _, _ := strings.Cut(name, "_")
	r := Rung{Codec: codec, Hardware: name, Width: 640, Height: 360, Bitrate: 1_000_000, GOP: 5, Coding: Coding{BFrames: 2, References: 3}}
	tools.Confine = new(ffmpeg.Confinement)
	args := append(r.device(), "-xerror", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25", "-frames:v", "10", "-vf", "format=yuv420p"+r.upload())
	return tools.Run(limited, append(append(args, r.codec()...), "-f", "null", "-"), nil)
}

// accelerate has all rungs made by hardware, if there is an encoder among the
// working ones that makes each as the preset wants it. Rungs of different encoders
// would differ in more than they should.
func (p *Plan) accelerate(working []string) {
	if p.Video == nil || p.Video.AsTimed {
		return
	}
	var chosen []string
	for i := range p.Video.Rungs {
		r := &p.Video.Rungs[i]
		n := slices.IndexFunc(working, func(name string) bool { return strings.HasPrefix(name, r.Codec+"_") })
		if n < 0 || !r.plain() || chosen != nil && family(chosen[0]) != family(working[n]) {
			return
		}
		chosen = append(chosen, working[n])
	}
	for i := range chosen {
		p.Video.Rungs[i].Hardware = chosen[i]
	}
}

// decelerate takes accelerate back, and reports whether there was anything to take
// back.
func (p *Plan) decelerate() (was bool) {
	if p.Video != nil {
		for i := range p.Video.Rungs {
			was = was || p.Video.Rungs[i].Hardware != ""
			p.Video.Rungs[i].Hardware = ""
		}
	}
	return was
}

// accelerated reports whether hardware makes the rungs.
func (p *Plan) accelerated() bool {
	return p.Video != nil && len(p.Video.Rungs) > 0 && p.Video.Rungs[0].Hardware != ""
}

func family(encoder string) string { return encoder[strings.IndexByte(encoder, '_')+1:] }

// plain reports whether a rung asks for nothing that hardware may not know.
func (r *Rung) plain() bool {
	w, h := r.size()
	return r.Mode != "CRF" && r.pixelFormat() == "yuv420p" && slices.Contains([]string{"", "High", "Main"}, r.Profile) &&
		r.Level == "" && r.Every == 0 && !r.SceneCut && !r.Cavlc && !r.FixedBFrames && r.Slices == 0 && w >= 160 && h >= 90
}

// device returns the options that open the hardware, before all inputs.
func (r *Rung) device() []string {
	if family(r.Hardware) == "vaapi" {
		return []string{"-vaapi_device", renderNode}
	}
	return nil
}

// upload is the filters that hand pictures to the hardware.
func (r *Rung) upload() string {
	if r.Hardware != "" && family(r.Hardware) == "vaapi" {
		return ",format=nv12,hwupload"
	}
	return ""
}

// hard is codec for hardware.
func (r *Rung) hard(most int) []string {
	gop := strconv.Itoa(r.GOP)
	profile := strings.ToLower(r.Profile)
	if profile == "" {
		if profile = "high"; r.Codec == "hevc" {
			profile = "main"
		}
	}
	b := r.BFrames
	args := []string{"-c:v", r.Hardware, "-profile:v", profile, "-g", gop, "-force_key_frames", "expr:not(mod(n," + gop + "))"}
	switch family(r.Hardware) {
	case "nvenc":
		rc := "vbr"
		if r.Mode == "CBR" {
			rc = "cbr"
		}
		if r.Codec == "hevc" { // older cards have none
			b = 0
		}
		args = append(args, "-pix_fmt", "yuv420p", "-preset", "p4", "-rc", rc, "-forced-idr", "1", "-no-scenecut", "1", "-strict_gop", "1")
	case "qsv":
		args = append(args, "-pix_fmt", "nv12", "-preset", "medium", "-forced_idr", "1", "-idr_interval", "0")
	case "vaapi":
		b = 0 // many drivers have none
		args = append(args, "-idr_interval", "0")
	case "videotoolbox":
		args = append(args, "-pix_fmt", "yuv420p", "-allow_sw", "0")
	case "amf":
		b = 0
		args = append(args, "-pix_fmt", "yuv420p", "-usage", "transcoding", "-quality", "balanced", "-forced_idr", "1")
	}
	if r.Codec == "hevc" {
		args = append(args, "-tag:v", "hvc1")
	}
	return append(args, "-bf", strconv.Itoa(b), "-b:v", strconv.Itoa(r.Bitrate), "-maxrate", strconv.Itoa(most), "-bufsize", strconv.Itoa(r.bufferBits(most)))
}
