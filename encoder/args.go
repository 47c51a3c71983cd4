package encoder

import (
	"fmt"
	"math"
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

// partFile names what ffmpeg writes for a part of the plan in the work folder.
func partFile(part string) string { return part + ".mp4" }

// stillFile is the pattern of the names of an image set there.
func stillFile(i int, format string) string { return fmt.Sprintf("still%d-%%06d.%s", i, format) }

// Args returns the arguments with which ffmpeg makes every track of the plan
// from the files paths, one for each of its inputs, one file for each in folder
// dir. The source is decoded once.
func (p *Plan) Args(paths []string, dir string) []string {
	args := []string{"-y"}
	if !p.Tolerant {
		args = append(args, "-xerror")
	}
	if p.accelerated() {
		args = append(args, p.Video.Rungs[0].device()...)
	}
	if p.single {
		args = append(args, "-filter_complex_threads", "1")
	}
	for i, in := range p.Inputs {
		if p.single {
			args = append(args, "-threads", "1")
		}
		args = append(args, in.open(paths[i], p.Tolerant)...)
	}
	var graph []string
	if p.Video != nil {
		graph = append(graph, p.Video.filters()...)
	}
	n := 0 // of encoded sounds
	for i := range p.Audio {
		graph = append(graph, p.Audio[i].filters(n)...)
		n += len(p.Audio[i].Tracks)
	}
	if graph != nil {
		args = append(args, "-filter_complex", strings.Join(graph, ";"))
	}
	// What the source says of itself does not hold for an output; its chapters
	// would become a text track.
	clean := []string{"-map_metadata", "-1", "-map_chapters", "-1", "-max_muxing_queue_size", "4096"}
	output := func(part, language string) {
		args = append(args, clean...)
		if language != "" {
			args = append(args, "-metadata:s:a:0", "language="+language)
		}
		if p.growing {
			// Not empty_moov, which would be written before the edit list is known.
			args = append(args, "-movflags", "frag_keyframe+delay_moov", "-flush_packets", "1")
			if strings.HasPrefix(part, "a") {
				args = append(args, "-frag_duration", "1000000") // µs; each frame is a key frame
			}
		}
		args = append(args, "-f", "mp4", ffmpeg.File(filepath.Join(dir, partFile(part))))
	}
	if v := p.Video; v != nil {
		for i, r := range v.Rungs {
			args = append(args, "-map", fmt.Sprintf("[v%d]", i))
			args = append(args, r.codec()...)
			args = append(args, "-fps_mode", "passthrough", "-enc_time_base", "-1")
			output(r.file(i), "")
		}
		for i, im := range v.Images {
			args = append(args, "-map", fmt.Sprintf("[i%d]", i))
			args = append(args, im.codec()...)
			args = append(args, "-fps_mode", "passthrough", "-f", "image2",
				ffmpeg.File(filepath.Join(strings.ReplaceAll(dir, "%", "%%"), stillFile(i, im.Format))))
		}
	}
	n = 0
	for _, a := range p.Audio {
		for _, s := range a.Tracks {
			part := fmt.Sprintf("a%d", n)
			args = append(args, "-map", "["+part+"]", "-c:a", s.Codec, "-b:a", strconv.Itoa(s.Bitrate))
			output(part, a.Language)
			n++
		}
	}
	for i, c := range p.Copies {
		args = append(args, "-map", fmt.Sprintf("%d:%d", c.Input, c.Stream), "-c", "copy")
		language := ""
		if c.Kind == "audio" {
			language = c.Language
		} else if c.Codec == "hevc" {
			args = append(args, "-tag:v", "hvc1")
		}
		output(fmt.Sprintf("c%d", i), language)
	}
	return args
}

// open returns the arguments that open an input.
func (in Input) open(path string, tolerant bool) []string {
	var options []string
	if !tolerant {
		options = ffmpeg.Strict()
	}
	if in.Upright {
		options = append(options, "-noautorotate")
	}
	if in.Loop {
		options = append(options, "-stream_loop", "-1")
	}
	if in.Seek > 0 {
		options = append(options, "-ss", secs(in.Seek))
	}
	if in.Until > 0 {
		options = append(options, "-t", secs(in.Until))
	}
	if in.Still != "" {
		return ffmpeg.Picture(path, in.Still, options...)
	}
	return ffmpeg.Input(path, options...)
}

// codec returns the encoder's options for one rung. IDRs go by the number of the
// frame: by its time, GOPs of 23.976 fps would differ in length.
func (r *Rung) codec() []string {
	gop, rate, most := strconv.Itoa(r.GOP), strconv.Itoa(r.Bitrate), r.Bitrate
	if r.MaxBitrate > 0 {
		most = r.MaxBitrate
	}
	if r.Hardware != "" {
		if r.Mode == "CBR" {
			most = r.Bitrate
		}
		return r.hard(most)
	}
	pace := r.Speed
	if pace == "" {
		pace = speed
	}
	cut := "0"
	if r.SceneCut {
		cut = "40" // the default of both encoders
	}
	var args []string
	var private []string // x264-params or x265-params
	if r.Codec == "av1" {
		return r.av1(gop, rate)
	}
	if r.Codec == "hevc" {
		args = []string{"-c:v", "libx265", "-preset", pace, "-tag:v", "hvc1", "-pix_fmt", r.pixelFormat(), "-g", gop}
		private = append(private, "log-level=error", "open-gop=0", "keyint="+gop, "min-keyint="+gop, "scenecut="+cut,
			"bframes="+strconv.Itoa(r.BFrames), "ref="+strconv.Itoa(r.References))
		profile := "main"
		if r.Profile == "Main10" {
			profile = "main10"
		}
		args = append(args, "-profile:v", profile)
		if r.Grading != "" {
			private = append(private, r.Grading)
		}
		if r.Level != "" {
			private = append(private, "level-idc="+r.Level)
		}
		if r.FixedBFrames {
			private = append(private, "b-adapt=0")
		}
	} else {
		profile := strings.ToLower(r.Profile)
		if profile == "" {
			profile = "high"
		}
		args = []string{
			"-c:v", "libx264", "-preset", pace, "-profile:v", profile, "-pix_fmt", r.pixelFormat(),
			"-bf", strconv.Itoa(r.BFrames), "-refs", strconv.Itoa(r.References), "-flags", "+cgop", "-sc_threshold", cut,
			"-g", gop, "-keyint_min", gop, "-force_key_frames", "expr:not(mod(n," + gop + "))",
		}
		if r.Level != "" {
			args = append(args, "-level:v", r.Level)
		}
		if r.Cavlc {
			args = append(args, "-coder", "cavlc")
		}
		if r.FixedBFrames {
			args = append(args, "-b_strategy", "0")
		}
		if r.Slices > 0 {
			args = append(args, "-slices", strconv.Itoa(r.Slices))
		}
		if r.Mode == "CBR" {
			private = append(private, "nal-hrd=cbr")
		}
	}
	if r.Every > 0 {
		// A GOP has any number of frames: no more than come in its time at 300 a second.
		most := strconv.Itoa(int(r.Every.Seconds()*300) + 1)
		args = append(args, "-g", most, "-keyint_min", "1", "-force_key_frames", "expr:gte(t,n_forced*"+secs(r.Every)+")", "-forced-idr", "1")
		for i, s := range private {
			if name, _, _ := strings.Cut(s, "="); name == "keyint" {
				private[i] = name + "=" + most
			} else if name == "min-keyint" {
				private[i] = name + "=1"
			}
		}
	}
	switch r.Mode {
	case "CRF":
		args = append(args, "-crf", strconv.FormatFloat(r.CRF, 'f', -1, 64))
	case "CBR":
		most = r.Bitrate
		args = append(args, "-b:v", rate, "-minrate", rate)
	default:
		args = append(args, "-b:v", rate)
	}
	if r.Threads > 0 {
		args = append(args, "-threads", strconv.Itoa(r.Threads))
	}
	if r.Buffered > 0 {
		private = append(private, "vbv-init="+strconv.FormatFloat(r.Buffered, 'f', -1, 64))
	}
	args = append(args, "-maxrate", strconv.Itoa(most), "-bufsize", strconv.Itoa(r.bufferBits(most)))
	if private != nil {
		name := "-x264-params"
		if r.Codec == "hevc" {
			name = "-x265-params"
		}
		args = append(args, name, strings.Join(private, ":"))
	}
	return args
}

// av1Speeds are the presets of SVT-AV1 in the place of x265's.
var av1Speeds = map[string]string{"": "10", "superfast": "10", "veryfast": "10", "medium": "8", "slow": "5"}

// av1 is codec for AV1, which SVT-AV1 makes. It has no B-frames, references and
// levels of its own to choose.
func (r *Rung) av1(gop, rate string) []string {
	args := []string{"-c:v", "libsvtav1", "-preset", av1Speeds[r.Speed], "-pix_fmt", r.pixelFormat(), "-g", gop,
		"-svtav1-params", "scd=0:irefresh-type=2"}
	if r.Mode == "CRF" {
		return append(args, "-crf", strconv.FormatFloat(math.Round(r.CRF), 'f', -1, 64))
	}
	return append(args, "-b:v", rate)
}

// resize scales a picture and puts it into the middle of a frame.
func resize(width, height int, pad []int) string {
	s := fmt.Sprintf("scale=%d:%d:flags=bicubic", width, height)
	if pad != nil && (pad[0] != width || pad[1] != height) {
		s += fmt.Sprintf(",pad=%d:%d:(ow-iw)/2:(oh-ih)/2", pad[0], pad[1])
	}
	return s + ",setsar=1"
}

// filters returns the chains from the parts' pictures to one output for each
// rung, [v0], [v1] and so on, and for each set of images, [i0]. ffmpeg itself
// turns the picture upright before them: if it did not, it would write the
// source's rotation into the outputs, whatever became of the picture.
func (v *Video) filters() []string {
	var graph, chain []string
	if len(v.Parts) == 1 {
		chain = v.Parts[0].filters(v)
	} else {
		in := ""
		for i := range v.Parts {
			graph = append(graph, strings.Join(v.Parts[i].filters(v), ",")+fmt.Sprintf("[p%d]", i))
			in += fmt.Sprintf("[p%d]", i)
		}
		chain = []string{in + fmt.Sprintf("concat=n=%d", len(v.Parts))}
	}
	for i := range v.Overlays {
		o := &v.Overlays[i]
		graph = append(graph,
			strings.Join(chain, ",")+fmt.Sprintf("[b%d]", i),
			fmt.Sprintf("[%d:%d]%s[o%d]", o.Input, o.Stream, o.filters(v.Rate.String()), i))
		chain = []string{fmt.Sprintf("[b%d][o%d]%s", i, i, o.over())}
	}
	chain = append(chain, v.Effects...)
	colored := false
	for _, f := range v.Fades {
		way := "in"
		if f.Out {
			way = "out"
		}
		if f.Color != "0x000000" && !colored {
			colored = true
			chain = append(chain, "format=gbrp") // the filter fades to a colour in RGB only
		}
		chain = append(chain, fmt.Sprintf("fade=type=%s:start_frame=%d:nb_frames=%d:color=%s", way, f.Start, f.N, f.Color))
	}
	if colored {
		chain = append(chain, "scale=out_color_matrix=bt709:out_range=tv", "format="+v.Format, bt709)
	} else {
		chain = append(chain, "format="+v.Format)
	}
	var split strings.Builder
	var outputs []string
	branch := func(filters, name string) {
		fmt.Fprintf(&split, "[s%d]", len(outputs))
		outputs = append(outputs, fmt.Sprintf("[s%d]%s[%s]", len(outputs), filters, name))
	}
	for i, r := range v.Rungs {
		branch(resize(r.Width, r.Height, r.Pad)+r.upload(), fmt.Sprintf("v%d", i))
	}
	for i := range v.Images {
		branch(v.Images[i].filters(), fmt.Sprintf("i%d", i))
	}
	chain = append(chain, fmt.Sprintf("split=%d%s", len(outputs), split.String()))
	return append(append(graph, strings.Join(chain, ",")), outputs...)
}

// bt709 tells that a picture, converted before, has the colours of BT.709.
const bt709 = "setparams=colorspace=bt709:range=tv"

// filters is the chain from a file's picture to frames at the output's rate,
// upright, in SDR, from time 0 on.
func (pic *Picture) filters(v *Video) []string {
	if pic.Input < 0 {
		return []string{fmt.Sprintf("color=black:s=%dx%d:r=%s,trim=end_frame=%d,setsar=1,format=%s,%s", v.Canvas[0], v.Canvas[1], v.Rate, pic.Frames, v.Format, bt709)}
	}
	zero := "(" + secs(pic.Origin) + ")/TB"
	if pic.Reset {
		zero = "STARTPTS"
	}
	chain := []string{fmt.Sprintf("[%d:%d]setpts=PTS-%s", pic.Input, pic.Stream, zero)}
	if pic.Deinterlace != "" {
		chain = append(chain, "bwdif=mode=send_frame:parity="+pic.Deinterlace+":deint=interlaced")
	}
	switch pic.Rotate {
	case 90:
		chain = append(chain, "transpose=clock")
	case 180:
		chain = append(chain, "hflip", "vflip")
	case 270:
		chain = append(chain, "transpose=cclock")
	}
	if c := pic.Crop; c != nil {
		chain = append(chain, fmt.Sprintf("crop=%d:%d:%d:%d", c[2], c[3], c[0], c[1]))
	}
	if !v.AsTimed {
		chain = append(chain, "fps=fps="+v.Rate.String()+":start_time=0")
	}
	switch {
	case v.AsTimed:
		chain = append(chain, "trim=start=0")
		if pic.End > 0 {
			chain[len(chain)-1] += ":end=" + secs(pic.End)
		}
	case pic.Frames > 0: // the sound of the next part must not come early or late
		chain = append(chain, fmt.Sprintf("tpad=stop_mode=clone:stop=%d", pic.Slack), fmt.Sprintf("trim=end_frame=%d", pic.Frames))
	case pic.End > 0:
		chain = append(chain, fmt.Sprintf("trim=end_frame=%d", max(1, int64(math.Round(pic.End.Seconds()*v.Rate.Float())))))
	}
	if pic.Assume != nil {
		chain = append(chain, "setparams="+strings.Join(pic.Assume, ":"))
	}
	if pic.RGB {
		chain = append(chain, "scale=out_color_matrix=bt709:out_range=tv", "format="+v.Format, bt709)
	}
	if pic.ToneMap != "" {
		peak := "100" // nits of diffuse white that the curve starts from
		if pic.ToneMap == "arib-std-b67" {
			peak = "203"
		}
		chain = append(chain,
			"zscale=t=linear:npl="+peak, "format=gbrpf32le", "zscale=p=bt709", "tonemap=hable:desat=0",
			"zscale=t=bt709:m=bt709:r=tv")
	}
	if c := v.Canvas; c != nil {
		// Parts of another shape are letterboxed into the first one's, and parts of
		// other colours, like overlays, are given the same.
		matrix, tell := ":out_color_matrix=bt709:out_range=tv", ","+bt709
		if v.HDR != "" {
			matrix, tell = "", ""
		}
		chain = append(chain, fmt.Sprintf("scale='trunc(iw*sar/2)*2':ih,setsar=1,scale=%d:%d:force_original_aspect_ratio=decrease:force_divisible_by=2:flags=bicubic%s,pad=%d:%d:(ow-iw)/2:(oh-ih)/2,setsar=1",
			c[0], c[1], matrix, c[0], c[1]), "format="+v.Format+tell)
	}
	return chain
}

// layouts are ffmpeg's names of what a number of channels is.
var layouts = map[int]string{1: "mono", 2: "stereo", 5: "5.0", 6: "5.1", 8: "7.1"}

// filters returns the chains from the parts' sounds to the tracks, which are
// called [a…] from n on. What lies before time 0 is cut off, what is missing at
// the start or in between is silence.
func (a *Audio) filters(n int) []string {
	first := a.Tracks[0]
	var graph []string
	var chain string
	if len(a.Parts) == 1 {
		chain = a.Parts[0].filters(first)
	} else {
		in := ""
		for i := range a.Parts {
			label := fmt.Sprintf("[q%d_%d]", n, i)
			graph = append(graph, a.Parts[i].filters(first)+","+a.Parts[i].channels(first)+label)
			in += label
		}
		chain = in + fmt.Sprintf("concat=n=%d:v=0:a=1", len(a.Parts))
	}
	mono := a.Parts[0].Mono
	if len(a.Parts) > 1 {
		mono = first.Channels == 1 // they have been brought to that
	}
	if a.Mix != nil {
		// They may start before the sound does.
		chain += fmt.Sprintf(",aresample=%d:async=1:first_pts=0[n%d]", first.Rate, n)
		graph = append(graph, chain)
		in := fmt.Sprintf("[n%d]", n)
		for i := range a.Mix {
			m := &a.Mix[i]
			label := fmt.Sprintf("[m%d_%d]", n, i)
			graph = append(graph, fmt.Sprintf("[%d:%d]%s%s", m.Input, m.Stream, m.filters(first.Rate), label))
			in += label
		}
		chain = in + fmt.Sprintf("amix=inputs=%d:duration=first:normalize=0", 1+len(a.Mix))
	}
	out := func(s Sound) string {
		mix := s.mix(mono)
		if s.Loudness {
			mix += loudnorm
		}
		return mix + fmt.Sprintf("aresample=%d:async=1:first_pts=0,aformat=sample_fmts=fltp:channel_layouts=%s", s.Rate, layouts[s.Channels])
	}
	if len(a.Tracks) == 1 {
		return append(graph, chain+","+out(a.Tracks[0])+fmt.Sprintf("[a%d]", n))
	}
	chain += fmt.Sprintf(",asplit=%d", len(a.Tracks))
	var outputs []string
	for i, s := range a.Tracks {
		chain += fmt.Sprintf("[t%d]", n+i)
		outputs = append(outputs, fmt.Sprintf("[t%d]%s[a%d]", n+i, out(s), n+i))
	}
	return append(append(graph, chain), outputs...)
}

// mix makes one channel of two or two of one, at the level that each has. Left
// to itself, ffmpeg makes what is on both 3 dB quieter or louder, too loud for
// full scale. More channels are mixed to two as ITU-R BS.775 has it, by ffmpeg.
func (s Sound) mix(mono bool) string {
	switch {
	case mono && s.Channels > 1:
		return "pan=stereo|c0=c0|c1=c0,"
	case !mono && s.Channels == 1:
		return "aformat=sample_fmts=fltp:channel_layouts=stereo,pan=mono|c0=0.5*c0+0.5*c1,"
	}
	return ""
}

// loudnorm brings programmes to the level of EBU R128, and the peaks below what
// a lossy codec may add to. It is the filter's one-pass mode, which works on
// sound as it comes.
const loudnorm = "loudnorm=I=-23:LRA=7:TP=-2,"

// filters is the chain from a file's sound to one from time 0 on.
func (a *Voice) filters(like Sound) string {
	if a.Tracks == nil {
		return fmt.Sprintf("anullsrc=r=%d:cl=%s,atrim=end=%s", like.Rate, layouts[like.Channels], secs(a.Length))
	}
	var in string
	for _, s := range a.Tracks {
		in += fmt.Sprintf("[%d:%d]", s.Input, s.Stream)
	}
	if len(a.Tracks) > 1 {
		var places []string // left to itself, ffmpeg puts mono into the centre
		for i, c := range []string{"FL", "FR", "FC", "LFE", "BL", "BR"}[:len(a.Tracks)] {
			places = append(places, fmt.Sprintf("%d.0-%s", i, c))
		}
		in += fmt.Sprintf("join=inputs=%d:channel_layout=%s:map=%s,", len(a.Tracks), a.Layout, strings.Join(places, "|"))
	}
	in += "asetpts=PTS-(" + secs(a.Origin) + ")/TB"
	if a.End > 0 {
		in += ",atrim=end=" + secs(a.End)
	}
	return in
}

// channels brings a part to the form that all parts have, at its exact length.
func (a *Voice) channels(like Sound) string {
	return like.mix(a.Mono) + fmt.Sprintf("aresample=%d:async=1:first_pts=0,aformat=sample_fmts=fltp:channel_layouts=%s,apad,atrim=end=%s", like.Rate, layouts[like.Channels], secs(a.Length))
}

func secs(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }
