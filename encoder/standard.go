package encoder

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/openams/openams/ams"
)

// The StandardEncoderPreset of v3 as JSON. One type holds the properties of all
// codecs: which of them a codec has is the API's business, and checked there.
type standardBody struct {
	Codecs  []codecBody       `json:"codecs"`
	Formats []formatBody      `json:"formats"`
	Filters *filtersBody      `json:"filters"`
	Options map[string]string `json:"experimentalOptions"`
}

type codecBody struct {
	Type                 string      `json:"@odata.type"`
	Label                string      `json:"label"`
	KeyFrameInterval     string      `json:"keyFrameInterval"`
	StretchMode          string      `json:"stretchMode"`
	SyncMode             string      `json:"syncMode"`
	SceneChangeDetection bool        `json:"sceneChangeDetection"`
	Complexity           string      `json:"complexity"`
	RateControlMode      string      `json:"rateControlMode"`
	Layers               []layerBody `json:"layers"`
	Channels             int         `json:"channels"`
	SamplingRate         int         `json:"samplingRate"`
	Bitrate              int         `json:"bitrate"`
	Profile              string      `json:"profile"`
	Start                string      `json:"start"`
	Step                 string      `json:"step"`
	Range                string      `json:"range"`
	SpriteColumn         int         `json:"spriteColumn"`
}

type layerBody struct {
	Width           string   `json:"width"`
	Height          string   `json:"height"`
	Label           string   `json:"label"`
	Bitrate         int      `json:"bitrate"`
	MaxBitrate      int      `json:"maxBitrate"`
	BFrames         *int     `json:"bFrames"`
	FrameRate       string   `json:"frameRate"`
	Slices          int      `json:"slices"`
	AdaptiveBFrame  *bool    `json:"adaptiveBFrame"`
	Profile         string   `json:"profile"`
	Level           string   `json:"level"`
	BufferWindow    string   `json:"bufferWindow"`
	CRF             *float64 `json:"crf"`
	ReferenceFrames *int     `json:"referenceFrames"`
	EntropyMode     string   `json:"entropyMode"`
	Quality         *int     `json:"quality"`
}

type formatBody struct {
	Type            string `json:"@odata.type"`
	FilenamePattern string `json:"filenamePattern"`
	OutputFiles     []struct {
		Labels []string `json:"labels"`
	} `json:"outputFiles"`
}

type filtersBody struct {
	Deinterlace *struct {
		Parity string `json:"parity"`
		Mode   string `json:"mode"`
	} `json:"deinterlace"`
	Rotation string         `json:"rotation"`
	Crop     *rectangleBody `json:"crop"`
	FadeIn   *fadeBody      `json:"fadeIn"`
	FadeOut  *fadeBody      `json:"fadeOut"`
	Overlays []overlayBody  `json:"overlays"`
}

type overlayBody struct {
	Type            string         `json:"@odata.type"`
	InputLabel      string         `json:"inputLabel"`
	Start           string         `json:"start"`
	End             string         `json:"end"`
	FadeInDuration  string         `json:"fadeInDuration"`
	FadeOutDuration string         `json:"fadeOutDuration"`
	AudioGainLevel  *float64       `json:"audioGainLevel"`
	Position        *rectangleBody `json:"position"`
	Opacity         *float64       `json:"opacity"`
	CropRectangle   *rectangleBody `json:"cropRectangle"`
}

type rectangleBody struct{ Left, Top, Width, Height string }

func (b *rectangleBody) parse(at string) (*[4]measure, error) {
	if b == nil {
		return nil, nil
	}
	r := new([4]measure)
	for i, s := range []string{b.Left, b.Top, b.Width, b.Height} {
		m, err := parseMeasure(s)
		if err != nil || i > 1 && s != "" && m.n == 0 {
			return nil, fieldError(ams.Invalid, at, "'%s' is neither a number of pixels nor a percentage", s)
		}
		r[i] = m
	}
	return r, nil
}

type fadeBody struct {
	Duration  string `json:"duration"`
	FadeColor string `json:"fadeColor"`
	Start     string `json:"start"`
}

// Bounds of a preset. AMS had none that is documented; these are far above what
// a machine can do in one decode.
const (
	maxCodecs      = 32
	maxLayers      = 32 // of all codecs together
	maxOutputFiles = 64 // outputFiles of a format
)

// A fieldError names the property of a preset that is wrong, or that this
// encoder cannot honour.
func fieldError(code ams.Code, at, format string, args ...any) error {
	return ams.Errorf(code, "preset.%s: %s", at, fmt.Sprintf(format, args...))
}

func parseStandard(raw json.RawMessage) (*recipe, error) {
	var body standardBody
	if err := json.Unmarshal(raw, &body); err != nil {
		return nil, ams.Errorf(ams.Invalid, "The preset is not a StandardEncoderPreset: %v", err)
	}
	if n := len(body.Codecs); n == 0 || n > maxCodecs {
		return nil, fieldError(ams.Invalid, "codecs", "a preset has 1 to %d codecs, this one has %d", maxCodecs, n)
	}
	if n := len(body.Formats); n == 0 || n > maxCodecs {
		return nil, fieldError(ams.Invalid, "formats", "a preset has 1 to %d formats, this one has %d", maxCodecs, n)
	}
	r := &recipe{name: standardPreset}
	for i := range body.Codecs {
		if err := r.codec(&body.Codecs[i], fmt.Sprintf("codecs[%d]", i)); err != nil {
			return nil, err
		}
	}
	if len(r.layers)+len(r.images) > maxLayers {
		return nil, fieldError(ams.Invalid, "codecs", "they have more than %d layers", maxLayers)
	}
	for i, l := range r.layers {
		if l.rate != r.layers[0].rate {
			return nil, fieldError(ams.Unsupported, "codecs", "layer %d has another frameRate than the first: all must agree", i)
		}
		if l.coding.SceneCut && len(r.layers) > 1 {
			return nil, fieldError(ams.Invalid, "codecs", "sceneChangeDetection goes with a single layer only")
		}
	}
	for i := range body.Formats {
		if err := r.format(&body.Formats[i], fmt.Sprintf("formats[%d]", i)); err != nil {
			return nil, err
		}
	}
	if err := r.matched(); err != nil {
		return nil, err
	}
	if err := r.options(body.Options); err != nil {
		return nil, err
	}
	if body.Filters != nil {
		if err := r.filter(body.Filters); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func kindOf(odata string) string { return strings.TrimPrefix(odata, "#Microsoft.Media.") }

func (r *recipe) codec(c *codecBody, at string) error {
	switch kind := kindOf(c.Type); kind {
	case "H264Video", "H265Video":
		return r.video(c, at, kind == "H265Video")
	case "AacAudio", "DDAudio":
		return r.encodeAudio(c, at, kind == "DDAudio")
	case "CopyVideo":
		r.copyVideo, r.videoLabel = true, c.Label
	case "CopyAudio":
		r.copyAudio, r.audioLabel = true, c.Label
	case "JpgImage", "PngImage":
		return r.still(c, at, strings.ToLower(kind[:3]))
	default:
		return fieldError(ams.Unsupported, at, "this server has no codec '%s'", kind)
	}
	return nil
}

// speeds maps complexity to the presets of x264 and x265. What says nothing is
// made at the speed of the built-in presets.
var speeds = map[string][2]string{"": {speed, "veryfast"}, "Speed": {"veryfast", "superfast"}, "Balanced": {"medium", "medium"}, "Quality": {"slow", "slow"}}

var levelText = regexp.MustCompile(`^[1-6](\.[0-3])?$`)

func (r *recipe) video(c *codecBody, at string, hevc bool) error {
	switch c.SyncMode {
	case "", "Auto", "Cfr":
	case "Passthrough", "Vfr": // ffmpeg drops frames of equal times either way
		r.asTimed = true
	default:
		return fieldError(ams.Invalid, at+".syncMode", "'%s' is none of Auto, Passthrough, Cfr, Vfr", c.SyncMode)
	}
	interval := gopTime
	if c.KeyFrameInterval != "" {
		d, err := parseDuration(c.KeyFrameInterval)
		if err != nil || d < 500*time.Millisecond || d > 20*time.Second {
			return fieldError(ams.Invalid, at+".keyFrameInterval", "'%s' is not a duration of 0.5 to 20 seconds", c.KeyFrameInterval)
		}
		interval = d
	}
	stretch := c.StretchMode
	if stretch == "" {
		stretch = "AutoSize"
	}
	if !slices.Contains([]string{"None", "AutoSize", "AutoFit"}, stretch) {
		return fieldError(ams.Invalid, at+".stretchMode", "'%s' is none of None, AutoSize, AutoFit", stretch)
	}
	pace, ok := speeds[c.Complexity]
	if !ok {
		return fieldError(ams.Invalid, at+".complexity", "'%s' is none of Speed, Balanced, Quality", c.Complexity)
	}
	if len(c.Layers) == 0 || len(c.Layers) > maxLayers {
		return fieldError(ams.Invalid, at+".layers", "a video codec has 1 to %d layers, this one has %d", maxLayers, len(c.Layers))
	}
	for i := range c.Layers {
		l, err := c.Layers[i].video(fmt.Sprintf("%s.layers[%d]", at, i), hevc, c.RateControlMode)
		if err != nil {
			return err
		}
		if l.label == "" {
			l.label = c.Label
		}
		l.interval, l.stretch, l.coding.SceneCut = interval, stretch, c.SceneChangeDetection
		l.coding.Speed = pace[0]
		if hevc {
			l.coding.Speed = pace[1]
		}
		r.layers = append(r.layers, l)
	}
	return nil
}

func (b *layerBody) video(at string, hevc bool, mode string) (layer, error) {
	l := layer{codec: "h264", label: b.Label, bitrate: b.Bitrate, coding: Coding{BFrames: 3, References: 3}}
	c := &l.coding
	var err error
	fail := func(field, format string, args ...any) (layer, error) {
		return layer{}, fieldError(ams.Invalid, at+"."+field, format, args...)
	}
	if l.width, err = parseMeasure(b.Width); err != nil {
		return fail("width", "%v", err)
	}
	if l.height, err = parseMeasure(b.Height); err != nil {
		return fail("height", "%v", err)
	}
	if b.Bitrate < 1000 || b.Bitrate > 1_000_000_000 {
		return fail("bitrate", "%d is no bitrate of 1,000 to 1,000,000,000 bit/s", b.Bitrate)
	}
	c.MaxBitrate = b.Bitrate
	if b.MaxBitrate != 0 {
		if c.MaxBitrate = b.MaxBitrate; c.MaxBitrate < b.Bitrate || c.MaxBitrate > 2_000_000_000 {
			return fail("maxBitrate", "%d is less than the bitrate, or too much", b.MaxBitrate)
		}
	}
	if b.BufferWindow != "" {
		if c.Buffer, err = parseDuration(b.BufferWindow); err != nil || c.Buffer < 100*time.Millisecond || c.Buffer > 100*time.Second {
			return fail("bufferWindow", "'%s' is not a duration of 0.1 to 100 seconds", b.BufferWindow)
		}
	}
	if l.rate, err = parseRate(b.FrameRate); err != nil {
		return fail("frameRate", "%v", err)
	}
	for _, p := range []struct {
		field string
		from  *int
		to    *int
		most  int
	}{{"bFrames", b.BFrames, &c.BFrames, 16}, {"referenceFrames", b.ReferenceFrames, &c.References, 16}, {"slices", &b.Slices, &c.Slices, 16}} {
		if p.from == nil {
			continue
		}
		if *p.from < 0 || *p.from > p.most {
			return fail(p.field, "%d is not from 0 to %d", *p.from, p.most)
		}
		*p.to = *p.from
	}
	c.References = max(1, c.References)
	c.FixedBFrames = b.AdaptiveBFrame != nil && !*b.AdaptiveBFrame
	c.Cavlc = b.EntropyMode == "Cavlc"
	profiles := []string{"", "Auto", "Baseline", "Main", "High", "High422", "High444"}
	if hevc {
		l.codec = "hevc"
		profiles = []string{"", "Auto", "Main", "Main10"}
		if c.Slices > 0 {
			return layer{}, fieldError(ams.Unsupported, at+".slices", "this server's H.265 encoder has no slices")
		}
	}
	if !slices.Contains(profiles, b.Profile) {
		return fail("profile", "'%s' is no profile of this codec", b.Profile)
	}
	if b.Profile != "Auto" {
		c.Profile = b.Profile
	}
	if c.Profile == "Baseline" {
		c.BFrames, c.Cavlc = 0, true
	}
	if b.Level != "" && !strings.EqualFold(b.Level, "auto") {
		if !levelText.MatchString(b.Level) {
			return fail("level", "'%s' is no level", b.Level)
		}
		c.Level = b.Level
	}
	switch mode {
	case "", "ABR", "CBR", "CRF":
		c.Mode = strings.TrimPrefix(mode, "ABR")
	default:
		return fail("rateControlMode", "'%s' is none of ABR, CBR, CRF", mode)
	}
	if b.CRF != nil {
		if !(*b.CRF >= 0 && *b.CRF <= 51) {
			return fail("crf", "%v is not from 0 to 51", *b.CRF)
		}
		if hevc {
			c.Mode = "CRF" // H265Video has no rateControlMode to say so
		}
	}
	if c.Mode == "CRF" {
		c.CRF = 23
		if hevc {
			c.CRF = 28
		}
		if b.CRF != nil {
			c.CRF = *b.CRF
		}
	}
	return l, nil
}

var (
	aacRates    = []int{8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000}
	ac3Rates    = []int{32000, 44100, 48000}
	ac3Bitrates = []int{32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640} // kbit/s
)

func (r *recipe) encodeAudio(c *codecBody, at string, dolby bool) error {
	s := sound{label: c.Label, codec: "aac", channels: 2, rate: 48000, bitrate: 128_000}
	rates, channels := aacRates, []int{1, 2, 5, 6, 8}
	if dolby {
		s.codec, s.bitrate = "ac3", 192_000
		rates, channels = ac3Rates, []int{1, 2, 6}
	}
	if c.Channels != 0 {
		s.channels = c.Channels
	}
	if c.SamplingRate != 0 {
		s.rate = c.SamplingRate
	}
	if c.Bitrate != 0 {
		s.bitrate = c.Bitrate
	}
	switch {
	case !slices.Contains(channels, s.channels):
		return fieldError(ams.Invalid, at+".channels", "%d is none of %v", s.channels, channels)
	case !slices.Contains(rates, s.rate):
		return fieldError(ams.Invalid, at+".samplingRate", "%d is none of %v", s.rate, rates)
	case dolby && (s.bitrate%1000 != 0 || !slices.Contains(ac3Bitrates, s.bitrate/1000)):
		return fieldError(ams.Invalid, at+".bitrate", "%d is none of %v thousand", s.bitrate, ac3Bitrates)
	case !dolby && (s.bitrate < 8000 || s.bitrate > 6*s.rate*s.channels):
		// ISO/IEC 14496-3: a frame of 1024 samples has at most 6144 bits a channel.
		return fieldError(ams.Invalid, at+".bitrate", "%d bit/s is less than 8000 or more than AAC can have at this samplingRate", s.bitrate)
	}
	switch c.Profile {
	case "", "AacLc":
	case "HeAacV1", "HeAacV2":
		s.asked = c.Profile
	default:
		return fieldError(ams.Invalid, at+".profile", "'%s' is none of AacLc, HeAacV1, HeAacV2", c.Profile)
	}
	r.sounds = append(r.sounds, s)
	return nil
}

func (r *recipe) still(c *codecBody, at, kind string) error {
	im := image{format: kind, label: c.Label, columns: c.SpriteColumn, stretch: c.StretchMode}
	if im.stretch == "" {
		im.stretch = "AutoSize"
	}
	if !slices.Contains([]string{"None", "AutoSize", "AutoFit"}, im.stretch) {
		return fieldError(ams.Invalid, at+".stretchMode", "'%s' is none of None, AutoSize, AutoFit", im.stretch)
	}
	if c.SpriteColumn < 0 || c.SpriteColumn > 100 || kind != "jpg" && c.SpriteColumn != 0 {
		return fieldError(ams.Invalid, at+".spriteColumn", "%d is not from 0 to 100, or not of a JpgImage", c.SpriteColumn)
	}
	for _, p := range []struct {
		field, text, def string
		to               *position
	}{{"start", c.Start, "{Best}", &im.start}, {"step", c.Step, "10%", &im.step}, {"range", c.Range, "100%", &im.until}} {
		if p.text == "" {
			p.text = p.def
		}
		v, err := parsePosition(p.text)
		if err != nil || v.best && p.field != "start" {
			return fieldError(ams.Invalid, at+"."+p.field, "'%s' is neither a time, a number of frames nor a percentage", p.text)
		}
		*p.to = v
	}
	if im.start.best && im.columns > 0 {
		return fieldError(ams.Invalid, at+".start", "a sprite has many images, {Best} is one")
	}
	layers := c.Layers
	if len(layers) == 0 {
		layers = []layerBody{{}}
	}
	if len(layers) > maxLayers {
		return fieldError(ams.Invalid, at+".layers", "an image has at most %d layers", maxLayers)
	}
	for i, l := range layers {
		one, at := im, fmt.Sprintf("%s.layers[%d]", at, i)
		var err error
		if one.width, err = parseMeasure(l.Width); err != nil {
			return fieldError(ams.Invalid, at+".width", "%v", err)
		}
		if one.height, err = parseMeasure(l.Height); err != nil {
			return fieldError(ams.Invalid, at+".height", "%v", err)
		}
		one.quality = 70
		if l.Quality != nil {
			if one.quality = *l.Quality; one.quality < 0 || one.quality > 100 {
				return fieldError(ams.Invalid, at+".quality", "%d is not from 0 to 100", one.quality)
			}
		}
		if l.Label != "" {
			one.label = l.Label
		}
		r.images = append(r.images, one)
	}
	return nil
}

func (r *recipe) format(f *formatBody, at string) error {
	out := format{pattern: f.FilenamePattern}
	switch kind := kindOf(f.Type); kind {
	case "Mp4Format":
		out.kind = "mp4"
	case "TransportStreamFormat":
		out.kind = "ts"
	case "JpgFormat":
		out.kind = "jpg"
	case "PngFormat":
		out.kind = "png"
	case "BmpFormat": // of v2
		out.kind = "bmp"
	default:
		return fieldError(ams.Unsupported, at, "this server has no format '%s'", kind)
	}
	plain := macro.ReplaceAllString(out.pattern, "x")
	if strings.ContainsAny(plain, `{}/\"*:<>?|%`) || ams.ValidateFileName(plain) != nil {
		return fieldError(ams.Invalid, at+".filenamePattern", "'%s' makes no file names", out.pattern)
	}
	if len(f.OutputFiles) > maxOutputFiles {
		return fieldError(ams.Invalid, at+".outputFiles", "there are more than %d", maxOutputFiles)
	}
	labels := map[string]bool{r.videoLabel: true, r.audioLabel: true}
	for _, l := range r.layers {
		labels[l.label] = true
	}
	for _, s := range r.sounds {
		labels[s.label] = true
	}
	for i, o := range f.OutputFiles {
		if len(o.Labels) == 0 || len(o.Labels) > maxLayers {
			return fieldError(ams.Invalid, fmt.Sprintf("%s.outputFiles[%d].labels", at, i), "a file has 1 to %d labels", maxLayers)
		}
		for _, label := range o.Labels {
			if label == "" || !labels[label] {
				return fieldError(ams.Invalid, fmt.Sprintf("%s.outputFiles[%d].labels", at, i), "no layer and no audio codec has the label '%s'", label)
			}
		}
		out.files = append(out.files, o.Labels)
	}
	r.formats = append(r.formats, out)
	return nil
}

// matched checks that every codec has a format to go into, and every format a
// codec.
func (r *recipe) matched() error {
	has := func(kinds ...string) bool {
		return slices.ContainsFunc(r.formats, func(f format) bool { return slices.Contains(kinds, f.kind) })
	}
	media := r.layers != nil || r.copyVideo || r.sound()
	switch {
	case media != has("mp4", "ts"):
		return fieldError(ams.Invalid, "formats", "video and audio codecs and an Mp4Format or TransportStreamFormat need each other")
	case r.copyVideo && r.layers != nil || r.copyAudio && r.sounds != nil:
		return fieldError(ams.Unsupported, "codecs", "this server cannot both copy and encode a track")
	}
	for _, kind := range []string{"jpg", "png", "bmp"} {
		if has(kind) != slices.ContainsFunc(r.images, func(im image) bool { return im.format == kind }) {
			return fieldError(ams.Invalid, "formats", "a %sImage and a %sFormat need each other", title(kind), title(kind))
		}
	}
	return nil
}

func title(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func (r *recipe) filter(b *filtersBody) error {
	f := &r.filters
	if err := r.overlay(b.Overlays); err != nil {
		return err
	}
	if d := b.Deinterlace; d != nil {
		f.progressive = d.Mode == "Off"
		switch d.Parity {
		case "", "Auto":
		case "TopFieldFirst":
			f.parity = "tff"
		case "BottomFieldFirst":
			f.parity = "bff"
		default:
			return fieldError(ams.Invalid, "filters.deinterlace.parity", "'%s' is none of Auto, TopFieldFirst, BottomFieldFirst", d.Parity)
		}
	}
	switch degrees, ok := strings.CutPrefix(b.Rotation, "Rotate"); {
	case b.Rotation == "" || b.Rotation == "Auto":
	case ok && slices.Contains([]string{"0", "90", "180", "270"}, degrees):
		f.rotation = degrees
	case b.Rotation == "None":
		f.rotation = "None"
	default:
		return fieldError(ams.Invalid, "filters.rotation", "'%s' is no rotation", b.Rotation)
	}
	var err error
	if f.crop, err = b.Crop.parse("filters.crop"); err != nil {
		return err
	}
	if f.fadeIn, err = parseFade(b.FadeIn, "filters.fadeIn"); err != nil {
		return err
	}
	if f.fadeOut, err = parseFade(b.FadeOut, "filters.fadeOut"); err != nil {
		return err
	}
	if r.copyVideo && (*f != (filters{}) || r.overlays != nil) {
		return fieldError(ams.Invalid, "filters", "a copied picture cannot be changed")
	}
	return nil
}

// overlay reads the overlays of a StandardEncoderPreset.
func (r *recipe) overlay(list []overlayBody) error {
	if len(list) > maxOverlays {
		return fieldError(ams.Invalid, "filters.overlays", "there are more than %d", maxOverlays)
	}
	for i, b := range list {
		o := overlay{at: fmt.Sprintf("filters.overlays[%d]", i), label: b.InputLabel, opacity: 1, gain: 1}
		switch kind := kindOf(b.Type); kind {
		case "VideoOverlay":
			o.picture = true
		case "AudioOverlay":
			if b.Position != nil || b.Opacity != nil || b.CropRectangle != nil {
				return fieldError(ams.Invalid, o.at, "an AudioOverlay has no picture to place")
			}
		default:
			return fieldError(ams.Unsupported, o.at, "this server has no overlay '%s'", kind)
		}
		if o.label == "" {
			return fieldError(ams.Invalid, o.at+".inputLabel", "it is missing")
		}
		for _, d := range []struct {
			field, text string
			to          *time.Duration
		}{{"start", b.Start, &o.start}, {"end", b.End, &o.end}, {"fadeInDuration", b.FadeInDuration, &o.fadeIn}, {"fadeOutDuration", b.FadeOutDuration, &o.fadeOut}} {
			if d.text == "" {
				continue
			}
			var err error
			if *d.to, err = parseDuration(d.text); err != nil {
				return fieldError(ams.Invalid, o.at+"."+d.field, "%v", err)
			}
		}
		if b.End != "" && o.end <= o.start {
			return fieldError(ams.Invalid, o.at+".end", "%v is not after its start, %v", o.end, o.start)
		}
		for _, n := range []struct {
			field string
			from  *float64
			to    *float64
		}{{"opacity", b.Opacity, &o.opacity}, {"audioGainLevel", b.AudioGainLevel, &o.gain}} {
			if n.from == nil {
				continue
			}
			if !(*n.from >= 0 && *n.from <= 1) {
				return fieldError(ams.Invalid, o.at+"."+n.field, "%v is not from 0 to 1", *n.from)
			}
			*n.to = *n.from
		}
		if b.Position != nil {
			p, err := b.Position.parse(o.at + ".position")
			if err != nil {
				return err
			}
			o.left, o.top, o.width, o.height = p[0], p[1], p[2], p[3]
		}
		var err error
		if o.crop, err = b.CropRectangle.parse(o.at + ".cropRectangle"); err != nil {
			return err
		}
		r.overlays = append(r.overlays, o)
	}
	if r.overlays != nil && r.layers == nil && r.images == nil && r.sounds == nil {
		return fieldError(ams.Invalid, "filters.overlays", "a preset that encodes nothing has nothing to lay them over")
	}
	return nil
}

// options reads experimentalOptions, by which a preset asks for what this
// server does beyond AMS.
func (r *recipe) options(list map[string]string) error {
	for name, value := range list {
		on := strings.EqualFold(value, "true")
		at := "experimentalOptions." + name
		if name != "openams.videoCodec" && !on && !strings.EqualFold(value, "false") {
			return fieldError(ams.Invalid, at, "'%s' is neither true nor false", value)
		}
		switch name {
		case "openams.videoCodec":
			if !strings.EqualFold(value, "av1") {
				return fieldError(ams.Unsupported, at, "'%s' is no codec that layers can be made in instead of H.265: av1 is", value)
			}
			for i := range r.layers {
				if r.layers[i].codec == "hevc" {
					r.layers[i].codec = "av1"
				}
			}
		case "openams.loudness":
			for i := range r.sounds {
				r.sounds[i].loudness = on
			}
		case "openams.qualityReport":
			r.report = on
		case "openams.tolerateDamage":
			r.tolerant = on
		default:
			return fieldError(ams.Unsupported, at, "this server knows no such option")
		}
	}
	return nil
}

func parseFade(b *fadeBody, at string) (*fade, error) {
	if b == nil {
		return nil, nil
	}
	f := new(fade)
	var err error
	if f.color, err = parseColor(b.FadeColor); err != nil {
		return nil, fieldError(ams.Invalid, at+".fadeColor", "%v", err)
	}
	if f.duration, err = parsePosition(b.Duration); err != nil || f.duration.best {
		return nil, fieldError(ams.Invalid, at+".duration", "'%s' is not a duration", b.Duration)
	}
	if b.Start != "" {
		p, err := parsePosition(b.Start)
		if err != nil || p.best {
			return nil, fieldError(ams.Invalid, at+".start", "'%s' is neither a time, a number of frames nor a percentage", b.Start)
		}
		f.start = &p
	}
	return f, nil
}

// bufferBits is the decoder's buffer at a rate, bit.
func (c Coding) bufferBits(rate int) int {
	window := c.Buffer.Seconds()
	if window == 0 {
		window = bufferWindow
	}
	return int(min(math.Round(window*float64(rate)), math.MaxInt32))
}
