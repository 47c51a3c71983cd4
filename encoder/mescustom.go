package encoder

import (
	"slices"
	"strings"

	"github.com/openams/openams/ams"
)

// writtenMES reads a preset of Media Encoder Standard that is written out, as
// JSON or as XML.
func writtenMES(text string) (*recipe, error) {
	root, err := parseNode(text)
	if err != nil {
		return nil, err
	}
	var rd reader
	r := &recipe{name: mesPreset, v2: true}
	root.skip("Version")
	stretch := rd.str(root, "StretchMode")
	var codecs []*node
	if root.name != "" { // XML
		if root.name != "Preset" {
			return nil, ams.Errorf(ams.Invalid, "The configuration is XML, and no Preset but a '%s'.", root.name)
		}
		if e := root.get("Encoding"); e != nil {
			codecs = e.kids
		}
		for _, k := range codecs {
			k.read = true
		}
	} else {
		codecs = root.get("Codecs").items("")
	}
	if n := len(codecs); n == 0 || n > maxCodecs {
		return nil, fieldError(ams.Invalid, "Codecs", "a preset has 1 to %d codecs, this one has %d", maxCodecs, n)
	}
	var pad bool // AutoFit by the legacy "Pad" of a source
	sources := root.get("Sources").items("Source")
	if len(sources) > maxLayers {
		return nil, fieldError(ams.Invalid, "Sources", "there are more than %d", maxLayers)
	}
	every := false // all bitrates are copied
	for i, s := range sources {
		if err := r.mesSource(&rd, s, i, &pad, &every); err != nil {
			return nil, err
		}
	}
	for _, c := range codecs {
		kind := c.name
		if kind == "" {
			kind = rd.str(c, "Type")
		}
		if err := r.mesCodec(&rd, c, kind, stretch, pad); err != nil {
			return nil, err
		}
	}
	if len(r.layers)+len(r.images) > maxLayers {
		return nil, fieldError(ams.Invalid, "Codecs", "they have more than %d layers", maxLayers)
	}
	for i, l := range r.layers {
		if l.rate != r.layers[0].rate {
			return nil, fieldError(ams.Invalid, "Codecs", "layer %d has another FrameRate than the first: all must agree", i)
		}
		if l.coding.SceneCut && len(r.layers) > 1 {
			return nil, fieldError(ams.Invalid, "Codecs", "SceneChangeDetection goes with a single layer only")
		}
	}
	outputs := root.get("Outputs").items("Output")
	if n := len(outputs); n == 0 || n > maxCodecs {
		return nil, fieldError(ams.Invalid, "Outputs", "a preset has 1 to %d outputs, this one has %d", maxCodecs, n)
	}
	for _, o := range outputs {
		if err := r.mesOutput(&rd, o); err != nil {
			return nil, err
		}
	}
	if rd.err != nil {
		return nil, rd.err
	}
	if err := root.unread(); err != nil {
		return nil, err
	}
	if r.copyVideo && (r.filters != (filters{}) || r.overlays != nil) {
		return nil, fieldError(ams.Invalid, "Sources", "the Filters change a picture that is copied")
	}
	if every && r.copyVideo {
		r.copyVideo, r.copyAudio, r.copyAll = false, false, copyTogether
		return r, nil
	}
	return r, r.matched()
}

// mesSource reads an item of Sources.
func (r *recipe) mesSource(rd *reader, n *node, i int, pad, every *bool) error {
	var s source
	s.asset = strings.TrimPrefix(rd.str(n, "AssetID"), "nb:cid:UUID:")
	s.clip.Start = rd.time(n, "StartTime")
	if d := rd.time(n, "Duration"); d > 0 {
		s.clip.End = s.clip.Start + d
	}
	*pad = rd.bool(n, "Pad") || *pad
	if streams := n.get("Streams"); streams != nil {
		lists := []*node{streams}
		if streams.list {
			lists = streams.items("")
		}
		for _, l := range lists {
			for _, kind := range []string{"VideoStream", "AudioStream"} {
				switch k := l.get(kind); {
				case k == nil || k.text == "" || strings.EqualFold(k.text, "TopBitrate"):
				case k.text == "*":
					*every = *every || kind == "VideoStream"
				default:
					rd.fail(k, "'%s' is neither TopBitrate nor *", k.text)
				}
			}
		}
	}
	own := filters{}
	if f := n.get("Filters"); f != nil {
		if d := f.get("Deinterlace"); d != nil {
			switch mode := rd.str(d, "Mode"); {
			case strings.EqualFold(mode, "Off"):
				own.progressive = true
			case mode != "" && !strings.EqualFold(mode, "AutoPixelAdaptive"):
				rd.fail(d, "'%s' is neither Off nor AutoPixelAdaptive", mode)
			}
		}
		if k := f.get("Rotation"); k != nil {
			if !slices.Contains([]string{"", "0", "90", "180", "270"}, k.text) && !strings.EqualFold(k.text, "Auto") {
				rd.fail(k, "'%s' is none of Auto, 0, 90, 180, 270", k.text)
			} else if !strings.EqualFold(k.text, "Auto") {
				own.rotation = k.text
			}
		}
		var err error
		if own.crop, err = rectangle(rd, f.get("Crop")).parse(n.at + ".Filters.Crop"); err != nil {
			return err
		}
		overlays := f.items("VideoOverlay")
		if k := f.get("VideoOverlay"); k != nil && k.list {
			overlays = k.items("")
		}
		for _, o := range overlays {
			if err := r.mesOverlay(rd, o); err != nil {
				return err
			}
		}
	}
	if i == 0 {
		r.filters = own
	} else if own != (filters{}) {
		return fieldError(ams.Unsupported, n.at+".Filters", "filters of further sources: those of the first hold for all")
	}
	if s != (source{}) || i > 0 {
		for len(r.sources) < i {
			r.sources = append(r.sources, source{})
		}
		r.sources = append(r.sources, s)
	}
	return rd.err
}

// rectangle reads X, Y, Width and Height, in pixels.
func rectangle(rd *reader, n *node) *rectangleBody {
	if n == nil {
		return nil
	}
	return &rectangleBody{Left: rd.str(n, "X"), Top: rd.str(n, "Y"), Width: rd.str(n, "Width"), Height: rd.str(n, "Height")}
}

// mesOverlay reads a VideoOverlay. AMS never implemented its Opacity.
func (r *recipe) mesOverlay(rd *reader, n *node) error {
	o := overlay{at: n.at, picture: true, opacity: 1, file: rd.str(n, "Source"), gain: rd.float(n, "AudioGainLevel", 0)}
	n.skip("Opacity")
	if o.file == "" {
		return fieldError(ams.Invalid, n.at+".Source", "it is missing")
	}
	if !(o.gain >= 0 && o.gain <= 10) {
		return fieldError(ams.Invalid, n.at+".AudioGainLevel", "%v is not from 0 to 10", o.gain)
	}
	if p := n.get("Position"); p != nil {
		b, err := rectangle(rd, p).parse(p.at)
		if err != nil {
			return err
		}
		o.left, o.top, o.width, o.height = b[0], b[1], b[2], b[3]
	}
	if c := n.get("Clip"); c != nil {
		o.start = rd.time(c, "StartTime")
		if d := rd.time(c, "Duration"); d > 0 {
			o.end = o.start + d
		}
	}
	if f := n.get("FadeInDuration"); f != nil {
		f.skip("StartTime")
		o.fadeIn = rd.time(f, "Duration")
	}
	if f := n.get("FadeOutDuration"); f != nil {
		o.gone, o.fadeOut = rd.time(f, "StartTime"), rd.time(f, "Duration")
	}
	for _, p := range n.get("MediaParams").items("MediaParam") {
		p.skip("OverlayLoopCount")
		if rd.bool(p, "IsOverlay") && rd.bool(p, "InputLoop") {
			o.loop = true
		} else {
			p.skip("InputLoop")
		}
	}
	if r.overlays = append(r.overlays, o); len(r.overlays) > maxOverlays {
		return fieldError(ams.Invalid, n.at, "there are more than %d overlays", maxOverlays)
	}
	return rd.err
}

// mesCodec reads an item of Codecs, an element of Encoding.
func (r *recipe) mesCodec(rd *reader, n *node, kind, stretch string, pad bool) error {
	switch strings.ToLower(kind) {
	case "h264video":
		return r.mesVideo(rd, n, stretch, pad)
	case "aacaudio":
		return r.mesAudio(rd, n)
	case "copyvideo":
		r.copyVideo = true
	case "copyaudio":
		r.copyAudio = true
	case "jpgimage", "pngimage", "bmpimage":
		return r.mesImage(rd, n, strings.ToLower(kind[:3]), stretch)
	default:
		return fieldError(ams.Unsupported, n.at, "this server has no codec '%s'", kind)
	}
	return nil
}

func (r *recipe) mesVideo(rd *reader, n *node, stretch string, pad bool) error {
	n.skip("TwoPass", "SyncMode", "Chapters", "PreserveResolutionAfterRotation", "Start", "Step", "Range")
	c := codecBody{
		KeyFrameInterval: rd.str(n, "KeyFrameInterval"), SceneChangeDetection: rd.bool(n, "SceneChangeDetection"),
		Complexity: rd.str(n, "Complexity"), StretchMode: rd.str(n, "StretchMode"),
	}
	if c.StretchMode == "" {
		c.StretchMode = stretch
	}
	if c.StretchMode == "" && pad && r.filters.crop == nil {
		c.StretchMode = "AutoFit"
	}
	switch k := n.get("Condition"); {
	case k == nil || k.text == "":
	case strings.EqualFold(k.text, "InsertBlackIfNoVideo"):
		r.black = blackAll
	case strings.EqualFold(k.text, "InsertBlackIfNoVideoBottomLayerOnly"):
		r.black = blackBottom
	default:
		rd.fail(k, "'%s' is neither InsertBlackIfNoVideo nor InsertBlackIfNoVideoBottomLayerOnly", k.text)
	}
	for _, l := range n.get("H264Layers").items("H264Layer") {
		b := layerBody{
			Width: rd.str(l, "Width"), Height: rd.str(l, "Height"), FrameRate: rd.str(l, "FrameRate"), BufferWindow: rd.str(l, "BufferWindow"),
			Profile: rd.str(l, "Profile"), Level: rd.str(l, "Level"), EntropyMode: rd.str(l, "EntropyMode"), Label: rd.str(l, "Label"),
		}
		l.skip("Type")
		kilo := func(name string) int {
			v, _ := rd.int(l, name)
			return v * 1000
		}
		b.Bitrate, b.MaxBitrate = kilo("Bitrate"), kilo("MaxBitrate")
		b.Slices, _ = rd.int(l, "Slices")
		for name, to := range map[string]**int{"BFrames": &b.BFrames, "ReferenceFrames": &b.ReferenceFrames} {
			if v, ok := rd.int(l, name); ok {
				*to = &v
			}
		}
		if l.get("AdaptiveBFrame") != nil {
			v := rd.bool(l, "AdaptiveBFrame")
			b.AdaptiveBFrame = &v
		}
		c.Layers = append(c.Layers, b)
	}
	if rd.err != nil {
		return rd.err
	}
	return r.video(&c, n.at, false)
}

func (r *recipe) mesAudio(rd *reader, n *node) error {
	c := codecBody{Profile: map[string]string{"AACLC": "AacLc", "HEAACV1": "HeAacV1", "HEAACV2": "HeAacV2"}[strings.ToUpper(rd.str(n, "Profile"))], Label: rd.str(n, "Label")}
	if p := rd.str(n, "Profile"); p != "" && c.Profile == "" {
		return fieldError(ams.Invalid, n.at+".Profile", "'%s' is none of AACLC, HEAACV1, HEAACV2", p)
	}
	c.Channels, _ = rd.int(n, "Channels")
	c.SamplingRate, _ = rd.int(n, "SamplingRate")
	c.Bitrate, _ = rd.int(n, "Bitrate")
	c.Bitrate *= 1000
	switch k := n.get("Condition"); {
	case k == nil || k.text == "":
	case strings.EqualFold(k.text, "InsertSilenceIfNoAudio"):
		r.silence = true
	default:
		rd.fail(k, "'%s' is not InsertSilenceIfNoAudio", k.text)
	}
	if rd.err != nil {
		return rd.err
	}
	if err := r.encodeAudio(&c, n.at, false); err != nil {
		return err
	}
	s := r.sounds[len(r.sounds)-1]
	if low, high, ok := aacLimits(strings.ToUpper(c.Profile), s.channels, s.rate); ok && (s.bitrate < low*1000 || s.bitrate > high*1000) {
		return fieldError(ams.Invalid, n.at+".Bitrate", "%d is not from %d to %d kbit/s, as %d channels at %d Hz of this profile have", s.bitrate/1000, low, high, s.channels, s.rate)
	}
	return nil
}

// aacLimits returns the bitrates in kbit/s that Media Encoder Standard allows
// (documented); ok is false where it says nothing.
func aacLimits(profile string, channels, rate int) (low, high int, ok bool) {
	type limits map[int][2]int // by rate
	if channels == 5 {
		channels = 6
	}
	all := map[string]map[int]limits{
		"": {
			1: {11025: {8, 15}, 12000: {8, 15}, 16000: {8, 31}, 22050: {24, 31}, 24000: {24, 31}, 32000: {32, 192}, 44100: {56, 288}, 48000: {56, 288}, 88200: {128, 288}, 96000: {128, 288}},
			2: {11025: {16, 23}, 12000: {16, 23}, 16000: {16, 39}, 22050: {32, 39}, 24000: {32, 39}, 32000: {40, 384}, 44100: {96, 576}, 48000: {96, 576}, 88200: {256, 576}, 96000: {256, 576}},
			6: {32000: {160, 896}, 44100: {240, 1024}, 48000: {240, 1024}, 88200: {640, 1024}, 96000: {640, 1024}},
			8: {32000: {224, 1024}, 44100: {384, 1024}, 48000: {384, 1024}, 88200: {896, 1024}, 96000: {896, 1024}},
		},
		"HEAACV1": {
			1: {22050: {8, 8}, 24000: {8, 10}, 32000: {12, 64}, 44100: {20, 64}, 48000: {20, 64}, 88200: {64, 64}},
			2: {32000: {16, 128}, 44100: {16, 128}, 48000: {16, 128}, 88200: {96, 128}, 96000: {96, 128}},
			6: {32000: {64, 320}, 44100: {64, 320}, 48000: {64, 320}, 88200: {256, 320}, 96000: {256, 320}},
			8: {32000: {96, 448}, 44100: {96, 448}, 48000: {96, 448}, 88200: {384, 448}, 96000: {384, 448}},
		},
		"HEAACV2": {2: {22050: {8, 10}, 24000: {8, 10}, 32000: {12, 64}, 44100: {20, 64}, 48000: {20, 64}, 88200: {64, 64}}},
	}
	l, ok := all[strings.TrimSuffix(profile, "AACLC")][channels][rate]
	return l[0], l[1], ok
}

func (r *recipe) mesImage(rd *reader, n *node, kind, stretch string) error {
	n.skip("PreserveResolutionAfterRotation", "KeyFrameInterval", "SyncMode")
	c := codecBody{Start: rd.str(n, "Start"), Step: rd.str(n, "Step"), Range: rd.str(n, "Range"), StretchMode: rd.str(n, "StretchMode"), Label: rd.str(n, "Label")}
	c.SpriteColumn, _ = rd.int(n, "SpriteColumn")
	if c.StretchMode == "" {
		c.StretchMode = stretch
	}
	title := title(kind)
	for _, l := range n.get(title + "Layers").items(title + "Layer") {
		l.skip("Type")
		b := layerBody{Width: rd.str(l, "Width"), Height: rd.str(l, "Height"), Label: rd.str(l, "Label")}
		if v, ok := rd.int(l, "Quality"); ok {
			b.Quality = &v
		}
		c.Layers = append(c.Layers, b)
	}
	if rd.err != nil {
		return rd.err
	}
	return r.still(&c, n.at, kind)
}

// mesOutput reads an item of Outputs.
func (r *recipe) mesOutput(rd *reader, n *node) error {
	f := formatBody{FilenamePattern: rd.str(n, "FileName")}
	kind := ""
	if k := n.get("Format"); k != nil {
		kind = rd.str(k, "Type")
	} else {
		for _, k := range n.kids { // XML: <MP4Format/>
			if strings.HasSuffix(k.name, "Format") {
				k.read, kind = true, k.name
			}
		}
	}
	kinds := map[string]string{"mp4format": "Mp4Format", "tsformat": "TransportStreamFormat", "mpeg2tsformat": "TransportStreamFormat",
		"jpgformat": "JpgFormat", "pngformat": "PngFormat", "bmpformat": "BmpFormat"}
	if f.Type = kinds[strings.ToLower(kind)]; f.Type == "" {
		return fieldError(ams.Unsupported, n.at+".Format", "this server has no format '%s'", kind)
	}
	if f.FilenamePattern == "" {
		return fieldError(ams.Invalid, n.at+".FileName", "it is missing")
	}
	for _, image := range []string{"Jpg", "Png", "Bmp"} {
		if f.Type == image+"Format" && strings.Count(strings.ToLower(f.FilenamePattern), "{index}") != 1 {
			return fieldError(ams.Invalid, n.at+".FileName", "names of images have {Index} once, '%s' does not", f.FilenamePattern)
		}
	}
	if err := r.format(&f, n.at); err != nil {
		return err
	}
	r.formats[len(r.formats)-1].kilo = true
	return nil
}
