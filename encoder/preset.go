package encoder

import (
	"time"

	"github.com/openams/openams/ffmpeg"
)

// A recipe is a preset of any kind and either API in the one form that NewPlan
// works from.
type recipe struct {
	name       string     // for messages
	auto       string     // "h264", "hevc": the layers come from the source, by autoRungs
	aware      *awareness // the layers come from what Analyse measured
	layers     []layer    // best first
	copyVideo  bool
	sounds     []sound // encodes of the audio
	copyAudio  bool
	copyAll    copyMode
	images     []image
	formats    []format // nil: an MP4 for each layer, with all audio, under AMS's own names
	audioFile  bool     // the audio also comes as an MP4 of its own
	apart      bool     // each file has one track
	filters    filters
	overlays   []overlay
	videoLabel string   // of the copied picture
	audioLabel string   // of the copied sound
	asTimed    bool     // frames keep their times: a variable rate stays variable
	report     bool     // outputs are compared with the source
	tolerant   bool     // damage is covered up
	sources    []source // what plays one after another; nil: what the job's inputs say
	silence    bool     // a source without audio gets silence
	black      blackness
	nameLimit  int  // characters of {Basename}, 0 for the usual
	v2         bool // files that describe outputs are XML
}

// A source is a part of what a v2 preset puts together.
type source struct {
	asset string // guid of an input asset
	file  string // name of a file, or %n% for the n-th input asset; with neither, the first input
	clip  Clip   // zero: that of the input
}

// blackness says which layers a source without video gets a black picture in.
type blackness string

const (
	blackAll    blackness = "all"
	blackBottom blackness = "bottom" // the last
)

// A copyMode is a CopyAllBitrate preset.
type copyMode int

const (
	copyNone copyMode = iota
	copyApart
	copyTogether
)

// picture reports whether the recipe makes anything of the source's picture.
func (r *recipe) picture() bool {
	return r.auto != "" || r.aware != nil || r.layers != nil || r.copyVideo || r.images != nil
}

// sound reports whether the recipe makes anything of the source's sound.
func (r *recipe) sound() bool { return r.sounds != nil || r.copyAudio }

// nameLen is how many characters {Basename} has at most.
func (r *recipe) nameLen() int {
	switch {
	case r.nameLimit > 0:
		return r.nameLimit
	case r.copyVideo || r.copyAudio || r.copyAll != copyNone:
		return copyBasename
	}
	return maxBasename
}

// A layer is one video rendition that a preset asks for.
type layer struct {
	codec         string // h264, hevc
	asked         string // the codec that the preset names, if ffmpeg has none: codec is made instead
	label         string
	stream        string // its StreamId, for the name of its file
	width, height measure
	stretch       string // None, AutoSize, AutoFit
	interval      time.Duration
	rate          ffmpeg.Rational // zero: the source's
	bitrate       int             // bit/s
	coding        Coding          // what does not depend on the source
}

// A box is the space a picture is fitted into, for a wide picture; a tall one
// gets it on end.
type box struct {
	width, height, bitrate int // pixels, bit/s
}

// A sound is one encode of the audio that a preset asks for.
type sound struct {
	label    string
	codec    string // aac, ac3
	channels int
	rate     int    // Hz
	bitrate  int    // bit/s
	loudness bool   // brought to -23 LUFS (EBU R128)
	asked    string // the codec or the HE-AAC profile that the preset names, if ffmpeg has none: AAC-LC is made instead
}

// An image is one set of stills that a preset asks for.
type image struct {
	format             string // jpg, png, bmp
	label              string
	width, height      measure
	stretch            string
	quality            int // of a JPEG, 0 to 100
	start, step, until position
	stop               *position // instead of until, where they end
	columns            int       // of a sprite, 0 for single images
}

// A format is the container and name of output files.
type format struct {
	kind    string // mp4, ismv, ts, jpg, png, bmp
	pattern string
	mute    string     // pattern of a file without audio, if it is another
	deaf    string     // pattern of a file without video, if it is another
	files   [][]string // labels of each file; nil: the default
	kilo    bool       // {Bitrate} counts thousands, as in v2
}

// media reports whether files of the format hold video or audio.
func (f *format) media() bool { return f.kind == "mp4" || f.kind == "ismv" || f.kind == "ts" }

// filters is how the picture is changed before it is scaled.
type filters struct {
	progressive bool   // do not deinterlace
	parity      string // auto, tff, bff
	rotation    string // "" follows the source, else degrees
	crop        *[4]measure
	fadeIn      *fade
	fadeOut     *fade
}

type fade struct {
	start    *position // nil: at the very start, or so that it ends with the picture
	duration position
	color    string // 0xRRGGBB
}

// stereo is the audio of every built-in preset: AAC-LC, stereo, 48 kHz.
func stereo(bitrate int) []sound {
	return []sound{{codec: "aac", channels: 2, rate: 48000, bitrate: bitrate}}
}

// ladder makes layers of boxes, as all presets with a name have them.
func ladder(codec string, interval time.Duration, boxes ...box) []layer {
	var layers []layer
	for _, b := range boxes {
		layers = append(layers, layer{
			codec: codec, width: measure{n: float64(b.width)}, height: measure{n: float64(b.height)}, stretch: "AutoSize",
			interval: interval, bitrate: b.bitrate, coding: Coding{BFrames: 3, References: 3},
		})
	}
	return layers
}

// gopTime is the distance of IDRs in every built-in preset (documented).
const gopTime = 2 * time.Second

// The ladders that presets of both APIs share, best first.
var (
	ladder1080 = []box{
		{1920, 1080, 6_000_000}, {1920, 1080, 4_700_000},
		{1280, 720, 3_400_000}, {960, 540, 2_250_000}, {960, 540, 1_500_000},
		{640, 360, 1_000_000}, {640, 360, 650_000}, {320, 180, 400_000},
	}
	ladder720 = ladder1080[2:]
	ladderSD  = []box{
		{848, 480, 1_900_000}, {848, 480, 1_300_000},
		{640, 360, 900_000}, {640, 360, 650_000}, {432, 240, 400_000},
	}
)

// builtIn holds the presets of BuiltInStandardEncoderPreset. The names and the
// number of rungs are documented; the rungs are those of the v2 presets of the
// same names, which shipped with Microsoft's client tools.
//
// AdaptiveStreaming: the documentation says that audio comes as an MP4 of its
// own beside the video, while recorded file names ("…_1280x720_AACAudio_3551")
// and metadata show the audio inside every file too. Both are done: a rung
// downloaded alone has its sound.
//
// The content-aware presets are contentAware's.
func builtIn(name string) (*recipe, bool) {
	r := &recipe{name: name, sounds: stereo(128_000)}
	switch name {
	case "AdaptiveStreaming":
		r.auto, r.audioFile = "h264", true
	case "H265AdaptiveStreaming":
		r.auto, r.audioFile = "hevc", true
	case "H264MultipleBitrate1080p":
		r.layers = ladder("h264", gopTime, ladder1080...)
	case "H264MultipleBitrate720p":
		r.layers = ladder("h264", gopTime, ladder720...)
	case "H264MultipleBitrateSD":
		r.layers = ladder("h264", gopTime, ladderSD...)
	case "H264SingleBitrate1080p":
		r.layers = ladder("h264", gopTime, box{1920, 1080, 6_750_000})
	case "H264SingleBitrate720p":
		r.layers = ladder("h264", gopTime, box{1280, 720, 4_500_000})
	case "H264SingleBitrateSD":
		r.layers = ladder("h264", gopTime, box{848, 480, 2_200_000})
	case "H265SingleBitrate720p":
		r.layers = ladder("hevc", gopTime, box{1280, 720, 1_800_000})
	case "H265SingleBitrate1080p":
		r.layers = ladder("hevc", gopTime, box{1920, 1080, 3_500_000})
	case "H265SingleBitrate4K":
		r.layers = ladder("hevc", gopTime, box{3840, 2160, 9_500_000})
	case "AACGoodQualityAudio":
		r.sounds = stereo(192_000)
	case "DDGoodQualityAudio":
		r.sounds = []sound{{codec: "ac3", channels: 2, rate: 48000, bitrate: 192_000}}
	case "CopyAllBitrateNonInterleaved":
		r.sounds, r.copyAll = nil, copyApart
	case "CopyAllBitrateInterleaved":
		r.sounds, r.copyAll = nil, copyTogether
	default:
		return nil, false
	}
	return r, true
}
