package encoder

import (
	"fmt"
	"strings"
	"time"
)

// An expression is a named preset of the v2 processor Azure Media Encoder. They
// came from Expression Encoder, whose profiles clients still have.
type expression struct {
	profile string
	gop     time.Duration
	boxes   []box
	peaks   []int // kbit/s of each box; nil: its bitrate
	sounds  []int // kbit/s: of the sound in every file, then of each file with nothing else
	alone   bool  // the first sound also comes as a file of its own
	smooth  bool  // .ismv files
}

// The ladders of Azure Media Encoder, as client tools shipped them, where they
// differ from those of Media Encoder Standard.
var (
	ameSD16x9  = []box{{848, 480, 1_900_000}, {848, 480, 1_300_000}, {636, 360, 900_000}, {636, 360, 650_000}, {424, 240, 400_000}}
	ameSD4x3   = []box{{640, 480, 1_600_000}, {640, 480, 1_300_000}, {480, 360, 800_000}, {480, 360, 600_000}, {320, 240, 400_000}}
	ameXbox    = []box{{1280, 720, 4_500_000}, {1280, 720, 3_400_000}, {960, 540, 2_250_000}, {768, 432, 1_550_000}, {624, 352, 1_100_000}, {480, 272, 750_000}, {400, 224, 550_000}, {368, 208, 350_000}}
	ame3G      = append(ladder720[:6:6], box{320, 180, 250_000}, box{320, 180, 150_000})
	amePhone   = []box{{640, 360, 1_000_000}, {640, 360, 800_000}, {640, 360, 600_000}, {640, 360, 400_000}, {640, 360, 200_000}}
	vc1Xbox    = []box{{1280, 720, 4_500_000}, {1280, 720, 3_400_000}, {960, 540, 2_250_000}, {736, 416, 1_550_000}, {592, 336, 1_100_000}, {448, 256, 750_000}, {368, 208, 550_000}, {320, 176, 350_000}}
	vc1Ladder  = []box{{1920, 1080, 6_000_000}, {1600, 896, 4_700_000}, {1280, 720, 3_400_000}, {960, 540, 2_250_000}, {704, 400, 1_500_000}, {544, 304, 1_000_000}, {400, 224, 650_000}, {320, 176, 400_000}}
	vc1SD16x9  = []box{{852, 480, 1_900_000}, {656, 368, 1_300_000}, {512, 288, 900_000}, {400, 224, 650_000}, {320, 176, 400_000}}
	vc1SD4x3   = []box{{640, 480, 1_600_000}, {512, 384, 1_300_000}, {400, 304, 800_000}, {320, 240, 600_000}, {272, 208, 400_000}}
	vc1Peaks   = []int{8000, 6250, 4500, 3000, 2000, 1300, 850, 530}
	vc1SDPeaks = []int{2500, 1730, 1200, 860, 530}
)

// expressions are the presets with a picture.
//
// The ladder of "VC1 Smooth Streaming 1080p Xbox Live ADK" is not known: it
// gets that of the 720p one with the top of the 1080p ladder above it (inferred).
var expressions = map[string]expression{
	"H264 Broadband 1080p":   {profile: "High", gop: 5 * time.Second, boxes: []box{{1920, 1080, 6_750_000}}, sounds: []int{128}},
	"H264 Broadband 720p":    {profile: "Main", gop: 5 * time.Second, boxes: []box{{1280, 720, 4_500_000}}, sounds: []int{128}},
	"H264 Broadband SD 16x9": {profile: "Main", gop: 5 * time.Second, boxes: []box{{852, 480, 2_200_000}}, sounds: []int{128}},
	"H264 Broadband SD 4x3":  {profile: "Main", gop: 5 * time.Second, boxes: []box{{640, 480, 1_800_000}}, sounds: []int{128}},

	"H264 Adaptive Bitrate MP4 Set 1080p":   {profile: "High", boxes: ladder1080, sounds: []int{128, 56}, alone: true},
	"H264 Adaptive Bitrate MP4 Set 720p":    {profile: "Main", boxes: ladder720, sounds: []int{96, 56}, alone: true},
	"H264 Adaptive Bitrate MP4 Set SD 16x9": {profile: "Main", boxes: ameSD16x9, sounds: []int{96, 56}, alone: true},
	"H264 Adaptive Bitrate MP4 Set SD 4x3":  {profile: "Main", boxes: ameSD4x3, sounds: []int{96, 56}, alone: true},

	"H264 Adaptive Bitrate MP4 Set 1080p for iOS Cellular Only":   {profile: "High", boxes: ladder1080, sounds: []int{56}, alone: true},
	"H264 Adaptive Bitrate MP4 Set 720p for iOS Cellular Only":    {profile: "Main", boxes: ladder720, sounds: []int{56}, alone: true},
	"H264 Adaptive Bitrate MP4 Set SD 16x9 for iOS Cellular Only": {profile: "Main", boxes: ameSD16x9, sounds: []int{56}, alone: true},
	"H264 Adaptive Bitrate MP4 Set SD 4x3 for iOS Cellular Only":  {profile: "Main", boxes: ameSD4x3, sounds: []int{56}, alone: true},

	"H264 Smooth Streaming 1080p":                  {profile: "High", boxes: ladder1080, sounds: []int{128}, smooth: true},
	"H264 Smooth Streaming 720p":                   {profile: "Main", boxes: ladder720, sounds: []int{96}, smooth: true},
	"H264 Smooth Streaming SD 16x9":                {profile: "Main", boxes: ameSD16x9, sounds: []int{96}, smooth: true},
	"H264 Smooth Streaming SD 4x3":                 {profile: "Main", boxes: ameSD4x3, sounds: []int{96}, smooth: true},
	"H264 Smooth Streaming 720p Xbox Live ADK":     {profile: "High", boxes: ameXbox, sounds: []int{128}, smooth: true},
	"H264 Smooth Streaming 720p for 3G or 4G":      {profile: "Main", boxes: ame3G, sounds: []int{56}, smooth: true},
	"H264 Smooth Streaming Windows Phone 7 Series": {profile: "Main", boxes: amePhone, sounds: []int{64}, smooth: true},

	"VC1 Broadband 1080p":   {gop: 5 * time.Second, boxes: []box{{1920, 1080, 6_750_000}}, peaks: []int{10125}, sounds: []int{128}},
	"VC1 Broadband 720p":    {gop: 5 * time.Second, boxes: []box{{1280, 720, 4_500_000}}, peaks: []int{6750}, sounds: []int{128}},
	"VC1 Broadband SD 16x9": {gop: 5 * time.Second, boxes: []box{{852, 480, 2_200_000}}, peaks: []int{3300}, sounds: []int{128}},
	"VC1 Broadband SD 4x3":  {gop: 5 * time.Second, boxes: []box{{640, 480, 1_800_000}}, peaks: []int{2700}, sounds: []int{128}},

	"VC1 Smooth Streaming 1080p":              {boxes: vc1Ladder, peaks: vc1Peaks, sounds: []int{128}, smooth: true},
	"VC1 Smooth Streaming 720p":               {boxes: vc1Ladder[2:], peaks: vc1Peaks[2:], sounds: []int{128}, smooth: true},
	"VC1 Smooth Streaming SD 16x9":            {boxes: vc1SD16x9, peaks: vc1SDPeaks, sounds: []int{64}, smooth: true},
	"VC1 Smooth Streaming SD 4x3":             {boxes: vc1SD4x3, peaks: []int{2130, 1730, 1060, 800, 530}, sounds: []int{64}, smooth: true},
	"VC1 Smooth Streaming 720p Xbox Live ADK": {boxes: vc1Xbox, peaks: []int{6000, 4500, 3000, 2100, 1500, 1000, 750, 500}, sounds: []int{128}, smooth: true},
	"VC1 Smooth Streaming 1080p Xbox Live ADK": {
		boxes: append([]box{{1920, 1080, 6_000_000}}, vc1Xbox...), peaks: []int{8000, 6000, 4500, 3000, 2100, 1500, 1000, 750, 500}, sounds: []int{128}, smooth: true},
}

// The names of Azure Media Encoder's files; a documented one is
// "BigBuckBunny_H264_3400kbps_AAC_und_ch2_96kbps.mp4".
const (
	amePicture = "{Basename}_{Codec}_{VideoBitrate}kbps"
	ameSound   = "_AAC_{Language}_ch{Channel}_{AudioBitrate}kbps"
)

// azureMediaEncoder returns the named preset of the v2 processor Azure Media
// Encoder. ffmpeg has no VC-1 and no WMA Pro encoder: those presets make the
// same ladder in H.264 and AAC, and the metadata of the outputs says so.
func azureMediaEncoder(name string) (*recipe, bool) {
	r := &recipe{name: name, v2: true, nameLimit: maxName}
	stereo := func(kbps int) sound { return sound{codec: "aac", channels: 2, rate: 44100, bitrate: kbps * 1000} }
	f := format{kind: "mp4", pattern: amePicture + ameSound + "{Extension}", mute: amePicture + "{Extension}", deaf: "{Basename}" + ameSound + "{Extension}", kilo: true}
	switch name {
	case "AAC Good Quality Audio", "WMA High Quality Audio":
		if r.sounds = []sound{stereo(192)}; name[0] == 'W' {
			r.sounds[0].asked = "WMA"
		}
		r.formats = []format{f}
		return r, true
	case "Thumbnails":
		r.images = []image{{format: "jpg", width: measure{n: 300}, stretch: "AutoSize", quality: 70,
			step: position{time: 5 * time.Second}, until: position{percent: 100, isPct: true}}}
		r.formats = []format{{kind: "jpg", pattern: "{OriginalFilename}_{ThumbnailIndex}.{DefaultExtension}"}}
		return r, true
	}
	e, ok := expressions[name]
	if !ok {
		return nil, false
	}
	if e.gop == 0 {
		e.gop = gopTime
	}
	if e.smooth {
		f.kind = "ismv"
	}
	vc1 := strings.HasPrefix(name, "VC1 ")
	r.layers = ladder("h264", e.gop, e.boxes...)
	for i := range r.layers {
		l := &r.layers[i]
		l.label = fmt.Sprint("video", i)
		l.coding.References, l.coding.Profile = 4, e.profile
		if vc1 {
			l.asked, l.coding.MaxBitrate = "VC1", e.peaks[i]*1000
		}
		f.files = append(f.files, []string{l.label, "audio0"})
	}
	for i, kbps := range e.sounds {
		s := stereo(kbps)
		if s.label = fmt.Sprint("audio", i); vc1 {
			s.asked = "WMAPro"
		}
		r.sounds = append(r.sounds, s)
		if i > 0 || e.alone {
			f.files = append(f.files, []string{s.label})
		}
	}
	r.formats = []format{f}
	return r, true
}
