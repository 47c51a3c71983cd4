package encoder

import (
	"encoding/json"

	"github.com/openams/openams/ams"
)

// A ladder is what a built-in preset makes of a source.
type ladder struct {
	auto         bool  // rungs come from the source, by autoRungs
	boxes        []box // fixed rungs, best first
	audioBitrate int   // bit/s
	audioFile    bool  // the audio also comes as an MP4 of its own
}

// A box is the space a picture is fitted into, for a wide picture; a tall one
// gets it on end.
type box struct {
	width, height, bitrate int // pixels, bit/s
}

// builtIn holds the presets of BuiltInStandardEncoderPreset. The names and the
// number of rungs are documented; the rungs are those of the v2 presets of the
// same names, which shipped with Microsoft's client tools.
//
// AdaptiveStreaming: the documentation says that audio comes as an MP4 of its
// own beside the video, while recorded file names ("…_1280x720_AACAudio_3551")
// and metadata show the audio inside every file too. Both are done: a rung
// downloaded alone has its sound.
var builtIn = map[string]ladder{
	"AdaptiveStreaming": {auto: true, audioBitrate: 128_000, audioFile: true},
	"H264MultipleBitrate1080p": {audioBitrate: 128_000, boxes: []box{
		{1920, 1080, 6_000_000}, {1920, 1080, 4_700_000},
		{1280, 720, 3_400_000}, {960, 540, 2_250_000}, {960, 540, 1_500_000},
		{640, 360, 1_000_000}, {640, 360, 650_000}, {320, 180, 400_000},
	}},
	"H264MultipleBitrate720p": {audioBitrate: 128_000, boxes: []box{
		{1280, 720, 3_400_000}, {960, 540, 2_250_000}, {960, 540, 1_500_000},
		{640, 360, 1_000_000}, {640, 360, 650_000}, {320, 180, 400_000},
	}},
	"H264MultipleBitrateSD": {audioBitrate: 128_000, boxes: []box{
		{848, 480, 1_900_000}, {848, 480, 1_300_000},
		{640, 360, 900_000}, {640, 360, 650_000}, {432, 240, 400_000},
	}},
	"H264SingleBitrate1080p": {audioBitrate: 128_000, boxes: []box{{1920, 1080, 6_750_000}}},
	"H264SingleBitrate720p":  {audioBitrate: 128_000, boxes: []box{{1280, 720, 4_500_000}}},
	"H264SingleBitrateSD":    {audioBitrate: 128_000, boxes: []box{{848, 480, 2_200_000}}},
	"AACGoodQualityAudio":    {audioBitrate: 192_000},
}

// Supported returns an Unsupported error, which names the preset, unless this
// encoder can run p. A transform or a job with such a preset is to be refused
// when it is submitted.
func Supported(p ams.Preset) error {
	_, _, err := lookup(p)
	return err
}

func lookup(p ams.Preset) (name string, l ladder, err error) {
	if p.Type != ams.BuiltIn {
		return "", ladder{}, ams.Errorf(ams.Unsupported, "This server cannot encode with a preset of type '%s' yet.", p.Type)
	}
	var body struct {
		PresetName string `json:"presetName"`
	}
	if err := json.Unmarshal(p.Body, &body); err != nil {
		return "", ladder{}, ams.Errorf(ams.Invalid, "The preset is not a JSON object with a presetName: %v", err)
	}
	l, ok := builtIn[body.PresetName]
	if !ok {
		return "", ladder{}, ams.Errorf(ams.Unsupported, "This server cannot encode with the preset '%s' yet.", body.PresetName)
	}
	return body.PresetName, l, nil
}
