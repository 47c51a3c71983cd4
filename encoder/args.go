package encoder

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/openams/openams/ffmpeg"
)

// speed is libx264's preset. Two speeds up from AMS's Balanced it costs half
// the time and, at these bitrates, hardly any quality.
const speed = "veryfast"

// bufferWindow is how many seconds of a rung's bitrate its decoder is assumed
// to buffer. The v2 presets say 5 (BufferWindow); within that, 2 keeps fragments
// of a rung close to the bitrate that manifests announce, in short clips too.
const bufferWindow = 2

// videoFile and audioFile name what ffmpeg writes in the work folder.
func videoFile(rung int) string { return fmt.Sprintf("video-%d.mp4", rung) }

const audioFile = "audio.mp4"

// Args returns the arguments with which ffmpeg makes every track of the plan
// from the file source, one file for each in folder dir. The source is decoded
// once.
func (p *Plan) Args(source, dir string) []string {
	args := append([]string{"-y", "-xerror"}, ffmpeg.Input(source, ffmpeg.Strict()...)...)
	var graph []string
	if p.Video != nil {
		graph = append(graph, p.Video.filters()...)
	}
	if p.Audio != nil {
		graph = append(graph, p.Audio.filters())
	}
	args = append(args, "-filter_complex", strings.Join(graph, ";"))
	// What the source says of itself does not hold for an output; its chapters
	// would become a text track.
	clean := []string{"-map_metadata", "-1", "-map_chapters", "-1", "-max_muxing_queue_size", "4096"}
	if p.Video != nil {
		for i, r := range p.Video.Rungs {
			args = append(args, "-map", fmt.Sprintf("[v%d]", i))
			args = append(args, p.Video.codec(r)...)
			args = append(args, clean...)
			args = append(args, "-f", "mp4", ffmpeg.File(filepath.Join(dir, videoFile(i))))
		}
	}
	if p.Audio != nil {
		args = append(args, "-map", "[a]", "-c:a", "aac", "-b:a", strconv.Itoa(p.Audio.Bitrate))
		args = append(args, clean...)
		args = append(args, "-metadata:s:a:0", "language="+p.Audio.Language, "-f", "mp4", ffmpeg.File(filepath.Join(dir, audioFile)))
	}
	return args
}

// codec returns the encoder's options for one rung. IDRs go by the number of the
// frame: by its time, GOPs of 23.976 fps would differ in length.
func (v *Video) codec(r Rung) []string {
	gop, rate := strconv.Itoa(v.GOP), strconv.Itoa(r.Bitrate)
	return []string{
		"-c:v", "libx264", "-preset", speed, "-profile:v", "high", "-pix_fmt", "yuv420p",
		"-bf", "3", "-refs", "3", "-flags", "+cgop", "-sc_threshold", "0",
		"-g", gop, "-keyint_min", gop, "-force_key_frames", "expr:not(mod(n," + gop + "))",
		"-b:v", rate, "-maxrate", rate, "-bufsize", strconv.Itoa(bufferWindow * r.Bitrate),
		"-fps_mode", "passthrough", "-enc_time_base", "-1",
	}
}

// filters returns the chains from the source's picture to one output for each
// rung, [v0], [v1] and so on. ffmpeg itself turns the picture upright before
// them.
func (v *Video) filters() []string {
	chain := []string{
		"setpts=PTS-(" + secs(v.Origin) + ")/TB",
	}
	if v.Deinterlace {
		chain = append(chain, "bwdif=mode=send_frame:parity=auto:deint=interlaced")
	}
	chain = append(chain, "fps=fps="+v.Rate.String()+":start_time=0")
	if v.ToneMap != "" {
		peak := "100" // nits of diffuse white that the curve starts from
		if v.ToneMap == "arib-std-b67" {
			peak = "203"
		}
		if v.Assume != nil {
			chain = append(chain, "setparams="+strings.Join(v.Assume, ":"))
		}
		chain = append(chain,
			"zscale=t=linear:npl="+peak, "format=gbrpf32le", "zscale=p=bt709", "tonemap=hable:desat=0",
			"zscale=t=bt709:m=bt709:r=tv")
	}
	chain = append(chain, "format=yuv420p")
	var split strings.Builder
	var rungs []string
	for i, r := range v.Rungs {
		fmt.Fprintf(&split, "[s%d]", i)
		rungs = append(rungs, fmt.Sprintf("[s%d]scale=%d:%d:flags=bicubic,setsar=1[v%d]", i, r.Width, r.Height, i))
	}
	chain = append(chain, fmt.Sprintf("split=%d%s", len(v.Rungs), split.String()))
	return append([]string{fmt.Sprintf("[0:%d]%s", v.Stream, strings.Join(chain, ","))}, rungs...)
}

// filters returns the chain from the source's sound to [a]. What lies before
// time 0 is cut off, what is missing at the start or in between is silence.
func (a *Audio) filters() string {
	var in string
	for _, s := range a.Streams {
		in += fmt.Sprintf("[0:%d]", s)
	}
	if len(a.Streams) > 1 {
		in += fmt.Sprintf("join=inputs=%d:channel_layout=stereo,", len(a.Streams))
	}
	if a.Mono {
		in += "pan=stereo|c0=c0|c1=c0," // left to itself, ffmpeg would make it 3 dB quieter
	}
	return in + "asetpts=PTS-(" + secs(a.Origin) + ")/TB," +
		fmt.Sprintf("aresample=%d:async=1:first_pts=0,aformat=sample_fmts=fltp:channel_layouts=stereo[a]", audioRate)
}

func secs(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }
