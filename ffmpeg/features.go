package ffmpeg

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
)

// A Feature is a part of ffmpeg that the encoder's command lines use. Builds
// differ in what they have.
type Feature struct {
	Kind string // encoder, filter, muxer, protocol
	Name string
	For  string // what does not work without it; empty: nothing does
	Have bool
}

func (f Feature) String() string { return f.Kind + " " + f.Name }

// features lists what is used.
var features = []Feature{
	{Kind: "encoder", Name: "libx264"},
	{Kind: "encoder", Name: "aac"},
	{Kind: "encoder", Name: "libx265", For: "H.265 presets"},
	{Kind: "encoder", Name: "libsvtav1", For: "the option openams.videoCodec=av1"},
	{Kind: "encoder", Name: "ac3", For: "Dolby Digital (DDAudio, DDGoodQualityAudio)"},
	{Kind: "encoder", Name: "mjpeg", For: "JPEG thumbnails and sprites"},
	{Kind: "encoder", Name: "png", For: "PNG thumbnails"},
	{Kind: "encoder", Name: "bmp", For: "BMP thumbnails"},

	{Kind: "filter", Name: "scale"},
	{Kind: "filter", Name: "format"},
	{Kind: "filter", Name: "setsar"},
	{Kind: "filter", Name: "setpts"},
	{Kind: "filter", Name: "fps"},
	{Kind: "filter", Name: "split"},
	{Kind: "filter", Name: "asplit"},
	{Kind: "filter", Name: "aresample"},
	{Kind: "filter", Name: "aformat"},
	{Kind: "filter", Name: "asetpts"},
	{Kind: "filter", Name: "pan"},
	{Kind: "filter", Name: "trim", For: "clips"},
	{Kind: "filter", Name: "atrim", For: "clips"},
	{Kind: "filter", Name: "bwdif", For: "interlaced sources"},
	{Kind: "filter", Name: "zscale", For: "HDR sources: they cannot be mapped to SDR"},
	{Kind: "filter", Name: "tonemap", For: "HDR sources: they cannot be mapped to SDR"},
	{Kind: "filter", Name: "setparams", For: "HDR sources that do not tell their colours"},
	{Kind: "filter", Name: "transpose", For: "the Rotation filter"},
	{Kind: "filter", Name: "crop", For: "the Crop filter"},
	{Kind: "filter", Name: "pad", For: "AutoFit, stitching of different shapes"},
	{Kind: "filter", Name: "fade", For: "fades"},
	{Kind: "filter", Name: "overlay", For: "overlays"},
	{Kind: "filter", Name: "amix", For: "the sound of overlays"},
	{Kind: "filter", Name: "concat", For: "stitching"},
	{Kind: "filter", Name: "tpad", For: "stitching"},
	{Kind: "filter", Name: "apad", For: "stitching"},
	{Kind: "filter", Name: "join", For: "channel mapping, pairs of mono tracks"},
	{Kind: "filter", Name: "color", For: "blackness in place of missing video"},
	{Kind: "filter", Name: "anullsrc", For: "silence in place of missing audio"},
	{Kind: "filter", Name: "select", For: "thumbnails"},
	{Kind: "filter", Name: "thumbnail", For: "the thumbnail {Best}"},
	{Kind: "filter", Name: "tile", For: "sprites"},
	{Kind: "filter", Name: "loudnorm", For: "the option openams.loudness"},
	{Kind: "filter", Name: "ssim", For: "content-aware encoding, the option openams.qualityReport"},
	{Kind: "filter", Name: "vidstabdetect", For: "the processors Azure Media Stabilizer and Hyperlapse"},
	{Kind: "filter", Name: "vidstabtransform", For: "the processors Azure Media Stabilizer and Hyperlapse"},

	{Kind: "muxer", Name: "mp4"},
	{Kind: "muxer", Name: "null"},
	{Kind: "muxer", Name: "framecrc", For: "the second at which a source is damaged"},
	{Kind: "muxer", Name: "mpegts", For: "transport streams"},
	{Kind: "muxer", Name: "image2", For: "thumbnails"},

	{Kind: "protocol", Name: "file"},
	{Kind: "protocol", Name: "pipe"},
}

// oldest is the first version that has all options of the command lines
// (-fps_mode).
var oldest = [2]int{5, 1}

// A Build is what an ffmpeg can do.
type Build struct {
	Version  string // as it says itself: 5.1.9-0+deb12u1
	Features []Feature
	Apart    bool // runs have namespaces of their own: no privileges, no network
	Confined bool // runs can be held to the files that they are given
}

// Missing lists the features that are not there.
func (b *Build) Missing() (all []Feature) {
	for _, f := range b.Features {
		if !f.Have {
			all = append(all, f)
		}
	}
	return all
}

// Check runs ffmpeg to learn what it can do. The error is ctx's, or says that it
// cannot run, is too old, or lacks what nothing works without; b then tells what
// is known, and is nil if nothing is.
func (t Tools) Check(ctx context.Context) (b *Build, err error) {
	for _, program := range []string{t.FFmpeg, t.FFprobe} {
		out, err := t.output(ctx, program, "-hide_banner", "-version")
		if err != nil {
			return nil, err
		}
		if b == nil {
			first, _, _ := strings.Cut(string(out), "\n")
			version, _, _ := strings.Cut(strings.TrimPrefix(first, "ffmpeg version "), " ")
			b = &Build{Version: strings.TrimSpace(version)}
		}
	}
	b.Confined = landlock() > 0
	probe := exec.CommandContext(ctx, t.FFmpeg, "-version")
	ownGroup(probe, true)
	b.Apart = runtime.GOOS == "linux" && probe.Run() == nil
	have := map[string]bool{}
	for _, kind := range []string{"encoder", "filter", "muxer", "protocol"} {
		out, err := t.output(ctx, t.FFmpeg, "-hide_banner", "-"+kind+"s")
		if err != nil {
			return b, err
		}
		for line := range strings.Lines(string(out)) {
			f := strings.Fields(line)
			if kind == "protocol" && len(f) == 1 { // they come without flags
				f = append(f, f[0])
			}
			if len(f) > 1 {
				for name := range strings.SplitSeq(f[1], ",") {
					have[kind+" "+name] = true
				}
			}
		}
	}
	var missing []string
	for _, f := range features {
		f.Have = have[f.String()]
		b.Features = append(b.Features, f)
		if !f.Have && f.For == "" {
			missing = append(missing, f.String())
		}
	}
	switch {
	case tooOld(b.Version):
		return b, fmt.Errorf("%s is version %s: openams needs %d.%d or later", t.FFmpeg, b.Version, oldest[0], oldest[1])
	case missing != nil:
		return b, fmt.Errorf("%s (version %s) lacks %s, without which openams cannot encode", t.FFmpeg, b.Version, strings.Join(missing, ", "))
	}
	return b, nil
}

// tooOld reports whether a version is older than oldest. Builds from the
// development branch, N-109000-g…, are taken for new.
func tooOld(version string) bool {
	major, rest, _ := strings.Cut(strings.TrimPrefix(version, "n"), ".")
	a, err := strconv.Atoi(major)
	if err != nil {
		return false
	}
	digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
	b, _ := strconv.Atoi(rest[:digits])
	return a < oldest[0] || a == oldest[0] && b < oldest[1]
}
