package encoder

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/openams/openams/ams"
)

// writtenAME reads a preset of Azure Media Encoder that is written out: the XML
// of Expression Encoder, a Preset, several of them in Presets, or a Thumbnail.
//
// Attributes that tune an encoder that ffmpeg does not have are accepted and
// make no difference; elements that are not known are refused.
func writtenAME(text string) (*recipe, error) {
	if !strings.HasPrefix(text, "<") {
		return nil, ams.Errorf(ams.Invalid, "The configuration is no XML, which presets of Azure Media Encoder are.")
	}
	root, err := parseNode(text)
	if err != nil {
		return nil, err
	}
	var rd reader
	r := &recipe{name: amePreset, v2: true, nameLimit: maxName}
	switch root.name {
	case "Thumbnail":
		err = r.ameThumbnail(&rd, root)
	case "Preset":
		err = r.amePreset(&rd, root, 0)
	case "Presets":
		all := root.items("Preset")
		if len(all) == 0 || len(all) > maxCodecs {
			return nil, fieldError(ams.Invalid, root.at, "it has %d presets, not 1 to %d", len(all), maxCodecs)
		}
		for i, p := range all {
			if err = r.amePreset(&rd, p, i); err != nil {
				break
			}
		}
	default:
		err = ams.Errorf(ams.Invalid, "The configuration is XML, and none of Preset, Presets, Thumbnail but a '%s'.", root.name)
	}
	if err == nil {
		err = rd.err
	}
	if err == nil {
		err = root.unread()
	}
	if err != nil {
		return nil, err
	}
	if len(r.layers) > maxLayers {
		return nil, fieldError(ams.Invalid, root.at, "it has more than %d streams", maxLayers)
	}
	for i, l := range r.layers {
		if l.rate != r.layers[0].rate {
			return nil, fieldError(ams.Invalid, root.at, "stream %d has another FrameRate than the first: all must agree", i)
		}
	}
	return r, nil
}

// amePreset reads a Preset: a set of streams with a sound in every file.
func (r *recipe) amePreset(rd *reader, n *node, i int) error {
	n.skip("Version", "Job")
	pattern := rd.str(n, "DefaultMediaOutputFileName")
	if job := n.get("Job"); job != nil {
		if s := rd.str(job, "DefaultMediaOutputFileName"); s != "" {
			pattern = s
		}
		job.all()
	}
	m := n.get("MediaFile")
	if m == nil {
		return fieldError(ams.Invalid, n.at+".MediaFile", "it is missing")
	}
	stretch := "None" // VideoResizeMode Stretch
	switch k := m.get("VideoResizeMode"); {
	case k == nil, k.text == "", strings.EqualFold(k.text, "Stretch"):
	case strings.EqualFold(k.text, "Letterbox"):
		stretch = "AutoFit"
	default:
		return fieldError(ams.Unsupported, k.at, "'%s' is neither Stretch nor Letterbox", k.text)
	}
	if strings.EqualFold(rd.str(m, "DeinterlaceMode"), "Off") {
		r.filters.progressive = true
	}
	m.skip("ResizeQuality", "AudioGainLevel", "NormalizeAudioPeak")
	loud := rd.bool(m, "NormalizeAudio")
	if i == 0 {
		if err := r.ameOverlays(rd, m); err != nil {
			return err
		}
		if err := r.ameSources(rd, m); err != nil {
			return err
		}
	} else {
		for _, k := range m.kids {
			if strings.Contains(k.name, "Overlay") || k.name == "Sources" {
				k.read = true // the first preset's hold
				k.all()
			}
		}
	}
	out := m.get("OutputFormat")
	if out == nil || len(out.kids) == 0 {
		return fieldError(ams.Invalid, m.at+".OutputFormat", "it is missing")
	}
	format := out.kids[0]
	format.read = true
	if !slices.Contains([]string{"MP4OutputFormat", "WindowsMediaOutputFormat"}, format.name) {
		return fieldError(ams.Unsupported, format.at, "this server has no such format")
	}
	format.skip("StreamCompatibility")
	// Condition says when the profile is used: if the source has such a track,
	// which is how it is in any case.
	asked := ""
	if format.name == "WindowsMediaOutputFormat" {
		asked = "WMA"
	}
	label := ""
	if a := format.get("AudioProfile"); a != nil {
		a.skip("Condition")
		s, err := ameAudio(rd, a, asked)
		if err != nil {
			return err
		}
		label = fmt.Sprint("audio", len(r.sounds))
		s.label, s.loudness = label, loud
		r.sounds = append(r.sounds, s)
	}
	f := ameFormat(pattern)
	v := format.get("VideoProfile")
	if v == nil {
		if label == "" {
			return fieldError(ams.Invalid, format.at, "it has neither an AudioProfile nor a VideoProfile")
		}
		f.files = [][]string{{label}}
		r.formats = append(r.formats, f)
		return nil
	}
	v.skip("Condition")
	first := len(r.layers)
	smooth, err := r.ameVideo(rd, v, stretch)
	if err != nil {
		return err
	}
	if smooth {
		f.kind = "ismv"
	}
	for k := first; k < len(r.layers); k++ {
		l := &r.layers[k]
		file := []string{l.label}
		if label != "" {
			file = append(file, label)
		}
		f.files = append(f.files, file)
	}
	r.formats = append(r.formats, f)
	return rd.err
}

// ameVideo reads a VideoProfile, and reports whether it is for Smooth Streaming.
func (r *recipe) ameVideo(rd *reader, v *node, stretch string) (smooth bool, err error) {
	var p *node
	for _, k := range v.kids {
		if strings.HasSuffix(k.name, "VideoProfile") {
			k.read, p = true, k
		}
	}
	if p == nil {
		return false, fieldError(ams.Invalid, v.at, "it holds no profile")
	}
	base := layer{codec: "h264", stretch: stretch, interval: 5 * time.Second, coding: Coding{BFrames: 3, References: 4}}
	switch p.name {
	case "MainH264VideoProfile", "HighH264VideoProfile":
		base.coding.Profile = p.name[:4]
	case "BaselineH264VideoProfile":
		base.coding.Profile, base.coding.BFrames, base.coding.Cavlc = "Baseline", 0, true
	case "AdvancedVC1VideoProfile", "MainVC1VideoProfile", "SimpleVC1VideoProfile":
		base.asked = "VC1"
	default:
		return false, fieldError(ams.Unsupported, p.at, "this server has no such codec")
	}
	if n, ok := rd.int(p, "BFrameCount"); ok && base.coding.Profile != "Baseline" {
		base.coding.BFrames = n
	}
	if n, ok := rd.int(p, "ReferenceFrames"); ok {
		base.coding.References = max(1, n)
	}
	base.coding.Slices, _ = rd.int(p, "SliceCount")
	for name, n := range map[string]int{"BFrameCount": base.coding.BFrames, "ReferenceFrames": base.coding.References, "SliceCount": base.coding.Slices} {
		if n < 0 || n > 16 {
			return false, fieldError(ams.Invalid, p.at+"."+name, "%d is not from 0 to 16", n)
		}
	}
	if strings.EqualFold(rd.str(p, "EntropyMode"), "Cavlc") {
		base.coding.Cavlc = true
	}
	if k := p.get("AdaptiveBFrames"); k != nil {
		base.coding.FixedBFrames = !rd.bool(p, "AdaptiveBFrames")
	}
	if d := rd.time(p, "KeyFrameDistance"); d != 0 {
		if base.interval = d; d < 500*time.Millisecond || d > 20*time.Second {
			return false, fieldError(ams.Invalid, p.at+".KeyFrameDistance", "it is not from 0.5 to 20 seconds")
		}
	}
	if base.rate, err = parseRate(rd.str(p, "FrameRate")); err != nil {
		return false, fieldError(ams.Invalid, p.at+".FrameRate", "%v", err)
	}
	if rd.bool(p, "AutoFit") { // the size gives way to the picture's shape
		base.stretch = "AutoSize"
	}
	cut := rd.bool(p, "SceneChangeDetector")
	smooth = rd.bool(p, "SmoothStreaming")
	for _, k := range p.kids {
		if len(k.kids) == 0 {
			k.read = true // what tunes the encoder
		}
	}
	streams := p.get("Streams")
	if streams == nil {
		return false, fieldError(ams.Invalid, p.at+".Streams", "it is missing")
	}
	auto := rd.bool(streams, "AutoSize")
	streams.skip("FreezeSort")
	all := streams.items("StreamInfo")
	if len(all) == 0 || len(all) > maxLayers {
		return false, fieldError(ams.Invalid, streams.at, "it has %d streams, not 1 to %d", len(all), maxLayers)
	}
	for _, s := range all {
		l := base
		l.label = fmt.Sprint("video", len(r.layers))
		l.coding.SceneCut = cut && len(all) == 1
		l.stream = rd.str(s, "StreamId")
		if size := rd.str(s, "Size"); size != "" && !auto {
			w, h, ok := strings.Cut(size, ",")
			if l.width, err = parseMeasure(strings.TrimSpace(w)); err == nil {
				l.height, err = parseMeasure(strings.TrimSpace(h))
			}
			if err != nil || !ok {
				return false, fieldError(ams.Invalid, s.at+".Size", "'%s' is no size", size)
			}
		}
		var window time.Duration
		if l.bitrate, l.coding.MaxBitrate, window, err = ameBitrate(rd, s); err != nil {
			return false, err
		}
		if l.bitrate == 0 {
			return false, fieldError(ams.Invalid, s.at+".Bitrate", "it is missing")
		}
		if l.coding.Buffer = window; window != 0 && (window < 100*time.Millisecond || window > 100*time.Second) {
			return false, fieldError(ams.Invalid, s.at+".Bitrate", "its BufferWindow is not from 0.1 to 100 seconds")
		}
		r.layers = append(r.layers, l)
	}
	return smooth, rd.err
}

// ameBitrate reads a Bitrate, kbit/s in the preset; peak is at least bitrate.
func ameBitrate(rd *reader, n *node) (bitrate, peak int, window time.Duration, err error) {
	b := n.get("Bitrate")
	if b == nil || len(b.kids) == 0 {
		return 0, 0, 0, nil
	}
	k := b.kids[0]
	k.read = true
	k.skip("IsTwoPass", "Quality", "AverageBitrate", "MaxQuality")
	v, _ := rd.int(k, "Bitrate")
	if v == 0 {
		v, _ = rd.int(k, "AverageBitrate")
	}
	p, _ := rd.int(k, "PeakBitrate")
	window = rd.time(k, "BufferWindow")
	k.skip("PeakBufferWindow")
	if v < 0 || v > 1_000_000 || p < 0 || p > 2_000_000 {
		return 0, 0, 0, fieldError(ams.Invalid, k.at, "%d is no bitrate of up to 1,000,000 kbit/s", v)
	}
	return v * 1000, max(v, p) * 1000, window, rd.err
}

// ameAudio reads an AudioProfile.
func ameAudio(rd *reader, a *node, asked string) (sound, error) {
	var p *node
	for _, k := range a.kids {
		if strings.HasSuffix(k.name, "AudioProfile") {
			k.read, p = true, k
		}
	}
	if p == nil {
		return sound{}, fieldError(ams.Invalid, a.at, "it holds no profile")
	}
	s := sound{codec: "aac", channels: 2, rate: 44100, asked: asked}
	bitrate, _, _, err := ameBitrate(rd, p)
	if err != nil {
		return s, err
	}
	s.bitrate = bitrate
	if n, ok := rd.int(p, "Channels"); ok {
		s.channels = n
	}
	if n, ok := rd.int(p, "SamplesPerSecond"); ok {
		s.rate = n
	}
	switch {
	case p.name == "AacAudioProfile":
		switch c := strings.ToUpper(rd.str(p, "Codec")); c {
		case "", "AAC", "AACLC":
		default: // HE-AAC
			s.asked = c
		}
	case p.name == "DolbyDigitalPlusAudioProfile":
		s.codec = "eac3"
		switch mode := rd.str(p, "AudioCodingMode"); mode {
		case "Mode20", "":
			s.channels = 2
		case "Mode10":
			s.channels = 1
		case "Mode32":
			s.channels = 6
		default:
			return s, fieldError(ams.Unsupported, p.at+".AudioCodingMode", "this server makes Mode10, Mode20 and Mode32, no '%s'", mode)
		}
	case strings.HasPrefix(p.name, "Wma"):
		if s.asked = "WMA"; strings.Contains(p.name, "Pro") {
			s.asked = "WMAPro"
		}
	default:
		return s, fieldError(ams.Unsupported, p.at, "this server has no such codec")
	}
	for _, k := range p.kids {
		if len(k.kids) == 0 {
			k.read = true
		}
	}
	if s.bitrate == 0 { // WMA by quality
		s.bitrate = 192_000
	}
	rates, channels := aacRates, []int{1, 2, 6}
	if s.codec == "eac3" {
		rates = ac3Rates
	}
	switch {
	case !slices.Contains(channels, s.channels):
		return s, fieldError(ams.Invalid, p.at+".Channels", "%d is none of %v", s.channels, channels)
	case !slices.Contains(rates, s.rate):
		return s, fieldError(ams.Invalid, p.at+".SamplesPerSecond", "%d is none of %v", s.rate, rates)
	case s.bitrate < 8000 || s.bitrate > 6*s.rate*s.channels || s.codec == "eac3" && s.bitrate < 32_000:
		return s, fieldError(ams.Invalid, p.at+".Bitrate", "%d kbit/s is too little or too much for this codec", s.bitrate/1000)
	}
	return s, rd.err
}

// ameMacro is a variable of Azure Media Encoder's file names.
var ameMacro = regexp.MustCompile(`\{[A-Za-z ]{1,32}\}`)

// ameFormat translates a pattern of file names: AMS put an underscore between
// two macros (documented).
func ameFormat(pattern string) format {
	f := format{kind: "mp4", kilo: true}
	if pattern == "" {
		pattern = "{Original File Name}_{Video Codec}{Video Bitrate}{Audio Codec}{Language}{Channel Count}{Audio Bitrate}.{Default Extension}"
	}
	translate := func(video, audio bool) string {
		var b strings.Builder
		last := 0
		gap := false // a macro has just ended
		add := func(s string) {
			if so := b.String(); gap && so != "" && !strings.HasSuffix(so, "_") {
				b.WriteString("_")
			}
			b.WriteString(s)
			gap = true
		}
		for _, m := range ameMacro.FindAllStringIndex(pattern, -1) {
			if m[0] > last {
				b.WriteString(pattern[last:m[0]])
				gap = false
			}
			last = m[1]
			switch strings.ToLower(strings.ReplaceAll(pattern[m[0]+1:m[1]-1], " ", "")) {
			case "originalfilename":
				add("{Basename}")
			case "defaultextension":
				gap = false
				add("{DefaultExtension}")
			case "videocodec":
				if video {
					add("{VideoCodec}")
				}
			case "videobitrate", "bitrate":
				if video {
					add("{VideoBitrate}kbps")
				}
			case "streamid":
				if video {
					add("{StreamId}")
				}
			case "audiocodec":
				if audio {
					add("{AudioCodec}")
				}
			case "language":
				if audio {
					add("{Language}")
				}
			case "channelcount":
				if audio {
					add("ch{Channel}")
				}
			case "audiobitrate":
				if audio {
					add("{AudioBitrate}kbps")
				}
			}
		}
		return b.String() + pattern[last:]
	}
	f.pattern, f.mute, f.deaf = translate(true, true), translate(true, false), translate(false, true)
	return f
}

// ameThumbnail reads a Thumbnail.
func (r *recipe) ameThumbnail(rd *reader, n *node) error {
	kind := map[string]string{"": "jpg", "jpeg": "jpg", "jpg": "jpg", "png": "png", "bmp": "bmp"}[strings.ToLower(rd.str(n, "Type"))]
	if kind == "" {
		return fieldError(ams.Unsupported, n.at+".Type", "it is none of Jpeg, Png, Bmp")
	}
	base := image{format: kind, stretch: "AutoSize", quality: 70}
	n.skip("Quality")
	if q, ok := rd.int(n, "Quality"); ok {
		if base.quality = q; q < 0 || q > 100 {
			return fieldError(ams.Invalid, n.at+".Quality", "%d is not from 0 to 100", q)
		}
	}
	if size := rd.str(n, "Size"); size != "" {
		w, h, _ := strings.Cut(size, ",")
		for _, side := range []struct {
			text string
			to   *measure
		}{{w, &base.width}, {h, &base.height}} {
			text := strings.TrimSpace(side.text)
			if text == "*" {
				continue // follows from the other
			}
			var err error
			if *side.to, err = parseMeasure(text); err != nil {
				return fieldError(ams.Invalid, n.at+".Size", "%v", err)
			}
		}
	}
	pattern := rd.str(n, "Filename")
	if pattern == "" {
		pattern = "{OriginalFilename}_{ThumbnailIndex}.{DefaultExtension}"
	}
	f := formatBody{Type: title(kind) + "Format", FilenamePattern: pattern}
	times := n.items("Time")
	if len(times) == 0 || len(times) > maxLayers {
		return fieldError(ams.Invalid, n.at, "it has %d Times, not 1 to %d", len(times), maxLayers)
	}
	for _, t := range times {
		im := base
		im.step, im.until = position{frames: 1, isFrame: true}, position{frames: 1, isFrame: true} // one picture
		var stop *position
		for name, set := range map[string]func(p position){
			"Value": func(p position) { im.start = p },
			"Step":  func(p position) { im.step, im.until = p, position{percent: 100, isPct: true} },
			"Stop":  func(p position) { stop = &p },
		} {
			text := rd.str(t, name)
			if text == "" {
				continue
			}
			p, err := parsePosition(text)
			if err != nil || p.best && name != "Value" {
				return fieldError(ams.Invalid, t.at+"."+name, "'%s' is neither a time, a number of frames nor a percentage", text)
			}
			set(p)
		}
		im.stop = stop
		r.images = append(r.images, im)
	}
	if rd.err != nil {
		return rd.err
	}
	return r.format(&f, n.at)
}

// ameSources reads the Sources of a MediaFile, which play one after another.
func (r *recipe) ameSources(rd *reader, m *node) error {
	all := m.get("Sources").items("Source")
	if len(all) > maxLayers {
		return fieldError(ams.Invalid, m.at+".Sources", "there are more than %d", maxLayers)
	}
	for _, s := range all {
		s.skip("AudioStreamIndex", "ResizeMode", "ApplyCrop")
		src := source{file: rd.str(s, "MediaFile")}
		if src.file == "" {
			src.file = "%0%"
		}
		clips := s.get("Clips").items("Clip")
		if len(clips) > maxLayers {
			return fieldError(ams.Invalid, s.at, "it has more than %d clips", maxLayers)
		}
		for _, c := range clips {
			one := src
			one.clip = Clip{Start: rd.time(c, "StartTime"), End: rd.time(c, "EndTime")}
			if one.clip.End != 0 && one.clip.End <= one.clip.Start {
				return fieldError(ams.Invalid, c.at+".EndTime", "%v is not after the StartTime", one.clip.End)
			}
			r.sources = append(r.sources, one)
		}
		if clips == nil {
			r.sources = append(r.sources, src)
		}
	}
	return rd.err
}

// ameOverlays reads the attributes of a MediaFile that lay a picture and a
// sound over it.
func (r *recipe) ameOverlays(rd *reader, m *node) error {
	for _, prefix := range []string{"Overlay", "AudioOverlay"} {
		get := func(name string) string { return rd.str(m, prefix+name) }
		o := overlay{at: m.at + "." + prefix, file: get("FileName"), picture: prefix == "Overlay", opacity: 1}
		o.fadeIn, o.fadeOut = rd.time(m, prefix+"FadeInDuration"), rd.time(m, prefix+"FadeOutDuration")
		start, end := rd.time(m, prefix+"StartTime"), rd.time(m, prefix+"EndTime")
		switch mode := get("LayoutMode"); {
		case mode == "", strings.EqualFold(mode, "WholeSequence"):
		case strings.EqualFold(mode, "Custom"):
			if o.start, o.end = start, end; end != 0 && end <= start {
				return fieldError(ams.Invalid, m.at+"."+prefix+"EndTime", "%v is not after the start", end)
			}
		default:
			return fieldError(ams.Unsupported, m.at+"."+prefix+"LayoutMode", "'%s' is neither WholeSequence nor Custom", mode)
		}
		o.gain = rd.float(m, prefix+"GainLevel", 1)
		m.skip(prefix + "LoopingGap")
		o.loop = rd.bool(m, prefix+"Loop")
		if o.picture {
			o.gain = 0
			o.opacity = rd.float(m, "OverlayOpacity", 1)
			if rect := get("Rect"); rect != "" {
				var v [4]float64
				f := strings.Split(rect, ",")
				for i := range f[:min(len(f), 4)] {
					n, err := strconv.ParseFloat(strings.TrimSpace(f[i]), 64)
					if err != nil || !(n >= 0 && n <= maxPixels) {
						return fieldError(ams.Invalid, m.at+".OverlayRect", "'%s' is no rectangle", rect)
					}
					v[i] = n
				}
				o.left, o.top, o.width, o.height = measure{n: v[0]}, measure{n: v[1]}, measure{n: v[2]}, measure{n: v[3]}
			}
		}
		if !(o.opacity >= 0 && o.opacity <= 1) || !(o.gain >= 0 && o.gain <= 10) {
			return fieldError(ams.Invalid, o.at, "its opacity is not from 0 to 1, or its gain not from 0 to 10")
		}
		if o.file != "" {
			r.overlays = append(r.overlays, o)
		}
	}
	return rd.err
}
