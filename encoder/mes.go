package encoder

import (
	"strings"
	"time"
)

// mesNames are the file names of the named presets of Media Encoder Standard.
const (
	mesVideo = "{Basename}_{Width}x{Height}_{VideoBitrate}.mp4"
	mesAudio = "{Basename}_AAC_{AudioBitrate}.mp4"
)

// mediaEncoderStandard returns the named preset of the v2 processor Media
// Encoder Standard, as client tools shipped them. "… Audio 5.1" is a preset of
// its own for each ladder that is not for phones. HE-AAC is made as AAC-LC: see
// sound.asked. The content-adaptive preset goes by size, frame rate and bitrate of
// the source, not yet by what it shows.
func mediaEncoderStandard(name string) (*recipe, bool) {
	r := &recipe{name: name, v2: true, sounds: stereo(128_000), formats: []format{{kind: "mp4", pattern: mesVideo, kilo: true}}}
	phone := func(asked string, bitrate int) {
		r.sounds = []sound{{codec: "aac", channels: 2, rate: 48000, bitrate: bitrate, asked: asked}}
	}
	profiles := func(list ...string) { // "Main 3.1" for each layer
		for i := range r.layers {
			c := &r.layers[i].coding
			c.Profile, c.Level, _ = strings.Cut(list[i], " ")
			if c.Profile == "Baseline" {
				c.BFrames, c.Cavlc = 0, true
			}
		}
	}
	six := ladder("h264", gopTime, ladder720...)
	switch base := strings.TrimSuffix(name, " Audio 5.1"); base {
	case "H264 Multiple Bitrate 1080p":
		r.layers = ladder("h264", gopTime, ladder1080...)
	case "H264 Multiple Bitrate 720p":
		r.layers = six
	case "H264 Multiple Bitrate 16x9 SD":
		r.layers = ladder("h264", gopTime, ladderSD...)
	case "H264 Multiple Bitrate 4x3 SD":
		r.layers = ladder("h264", gopTime, box{640, 480, 1_600_000}, box{640, 480, 1_300_000}, box{480, 360, 800_000}, box{480, 360, 600_000}, box{360, 240, 400_000})
	case "H264 Multiple Bitrate 4K":
		r.layers = ladder("h264", gopTime,
			box{4096, 2304, 20_000_000}, box{3840, 2160, 18_000_000}, box{3840, 2160, 16_000_000}, box{3840, 2160, 14_000_000},
			box{2560, 1440, 12_000_000}, box{2560, 1440, 10_000_000}, box{2560, 1440, 8_000_000}, box{1920, 1080, 6_000_000}, box{1920, 1080, 4_700_000},
			box{1280, 720, 3_400_000}, box{960, 540, 2_250_000}, box{640, 360, 1_000_000})
	case "H264 Single Bitrate 4K":
		r.layers = ladder("h264", gopTime, box{3840, 2160, 18_000_000})
	case "H264 Single Bitrate 1080p":
		r.layers = ladder("h264", gopTime, box{1920, 1080, 6_750_000})
	case "H264 Single Bitrate 720p":
		r.layers = ladder("h264", gopTime, box{1280, 720, 4_500_000})
	case "H264 Single Bitrate 16x9 SD":
		r.layers = ladder("h264", gopTime, box{848, 480, 2_200_000})
	case "H264 Single Bitrate 4x3 SD":
		r.layers = ladder("h264", gopTime, box{640, 480, 1_800_000})
	default:
		if base != name {
			return nil, false
		}
		return r, r.alone(name, phone, profiles)
	}
	if strings.HasSuffix(name, " Audio 5.1") {
		r.sounds = []sound{{codec: "aac", channels: 6, rate: 48000, bitrate: 384_000}}
	}
	if len(r.layers) == 1 {
		r.layers[0].coding.SceneCut = true
	}
	return r, true
}

// alone fills in the presets that have no 5.1 sibling.
func (r *recipe) alone(name string, sound func(asked string, bitrate int), profiles func(...string)) bool {
	switch name {
	case "Adaptive Streaming":
		r.auto, r.audioFile, r.formats = "h264", true, nil
	case "Content Adaptive Multiple Bitrate MP4":
		r.aware = newAwareness("h264")
	case "AAC Audio":
		r.formats[0].pattern = mesAudio
	case "AAC Good Quality Audio":
		r.sounds, r.formats[0].pattern = stereo(192_000), mesAudio
	case "H264 Multiple Bitrate 16x9 for iOS":
		r.layers = ladder("h264", 3*time.Second, box{1920, 1080, 8_500_000}, box{1280, 720, 6_500_000}, box{1280, 720, 5_000_000}, box{960, 540, 3_500_000},
			box{640, 360, 1_200_000}, box{640, 360, 600_000}, box{480, 270, 400_000}, box{416, 234, 200_000})
		profiles("High 4", "Main 3.1", "Main 3.1", "Main 3.1", "Baseline 3.1", "Baseline 3", "Baseline 3", "Baseline 3")
		sound("HEAACV2", 64_000)
	case "H264 Multiple Bitrate 4x3 for iOS":
		r.layers = ladder("h264", 3*time.Second, box{1920, 1440, 8_500_000}, box{1280, 960, 6_500_000}, box{1280, 960, 5_000_000}, box{960, 720, 3_500_000},
			box{640, 480, 1_200_000}, box{640, 480, 600_000}, box{480, 360, 400_000}, box{400, 300, 200_000})
		profiles("High 5", "Main 3.2", "Main 3.2", "Main 3.1", "Baseline 3.1", "Baseline 3", "Baseline 3", "Baseline 3")
		sound("HEAACV2", 64_000)
	case "H264 Single Bitrate 720p for Android":
		r.layers = ladder("h264", 5*time.Second, box{1280, 720, 2_000_000})
		profiles("Baseline 3.1")
		sound("", 192_000)
	case "H264 Single Bitrate High Quality SD for Android":
		r.layers = ladder("h264", 5*time.Second, box{480, 360, 500_000})
		profiles("Baseline 3")
		sound("", 128_000)
	case "H264 Single Bitrate Low Quality SD for Android":
		r.layers = ladder("h264", 5*time.Second, box{176, 144, 56_000})
		profiles("Baseline 2")
		r.layers[0].rate.Num, r.layers[0].rate.Den = 12, 1
		sound("HEAACV2", 24_000)
	default:
		return false
	}
	return true
}
