package restv3

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/restv3/arm"
)

// discriminator is how every @odata.type begins.
const discriminator = "#Microsoft.Media."

// presetTypes are the kinds of preset that the API has or had.
var presetTypes = []string{
	ams.BuiltIn, "StandardEncoderPreset", "AudioAnalyzerPreset", "VideoAnalyzerPreset", "FaceDetectorPreset",
}

// presetNames are the values of EncoderNamedPreset.
var presetNames = []string{
	"H264SingleBitrateSD", "H264SingleBitrate720p", "H264SingleBitrate1080p", "AdaptiveStreaming",
	"AACGoodQualityAudio", "DDGoodQualityAudio", "ContentAwareEncodingExperimental", "ContentAwareEncoding",
	"CopyAllBitrateNonInterleaved", "H264MultipleBitrate1080p", "H264MultipleBitrate720p", "H264MultipleBitrateSD",
	"H265ContentAwareEncoding", "H265AdaptiveStreaming", "H265SingleBitrate720p", "H265SingleBitrate1080p", "H265SingleBitrate4K",
}

// typeName is an @odata.type without its prefix. Clients were seen to leave
// out the number sign.
func typeName(odataType string) string {
	return strings.TrimPrefix("#"+strings.TrimPrefix(odataType, "#"), discriminator)
}

// readPreset reads the preset at the path at. An absent one is the zero Preset.
func readPreset(raw json.RawMessage, at string) (ams.Preset, error) {
	if !given(raw) {
		return ams.Preset{}, nil
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return ams.Preset{}, ams.Invalidf(at, "The preset is not a JSON object.")
	}
	var odataType string
	if err := json.Unmarshal(members["@odata.type"], &odataType); err != nil || odataType == "" {
		return ams.Preset{}, ams.Invalidf(at+".@odata.type", "The @odata.type of the preset is missing.")
	}
	delete(members, "@odata.type")
	p := ams.Preset{Type: typeName(odataType)}
	if !slices.Contains(presetTypes, p.Type) {
		return ams.Preset{}, ams.Invalidf(at+".@odata.type", "'%s' is not a type of preset.", odataType)
	}
	for name, raw := range members {
		if !given(raw) {
			delete(members, name)
		}
	}
	if p.Type == ams.BuiltIn {
		if err := checkBuiltIn(members, at); err != nil {
			return ams.Preset{}, err
		}
	}
	body, err := json.Marshal(members)
	p.Body = body
	return p, err
}

// checkBuiltIn checks the members of a BuiltInStandardEncoderPreset and drops
// those that it does not have.
func checkBuiltIn(members map[string]json.RawMessage, at string) error {
	var body struct {
		PresetName     string `json:"presetName"`
		Configurations *struct {
			Complexity                *string  `json:"complexity,omitempty"`
			InterleaveOutput          *string  `json:"interleaveOutput,omitempty"`
			KeyFrameIntervalInSeconds *float64 `json:"keyFrameIntervalInSeconds,omitempty"`
			MaxBitrateBps             *int     `json:"maxBitrateBps,omitempty"`
			MaxHeight                 *int     `json:"maxHeight,omitempty"`
			MaxLayers                 *int     `json:"maxLayers,omitempty"`
			MinBitrateBps             *int     `json:"minBitrateBps,omitempty"`
			MinHeight                 *int     `json:"minHeight,omitempty"`
		} `json:"configurations,omitempty"`
	}
	raw, err := json.Marshal(members)
	if err != nil {
		return err
	}
	if err := arm.Decode(raw, &body); err != nil {
		return err
	}
	if !slices.Contains(presetNames, body.PresetName) {
		return ams.Invalidf(at+".presetName", "'%s' is not a value of presetName.", body.PresetName)
	}
	clear(members)
	members["presetName"], err = json.Marshal(body.PresetName)
	if err == nil && body.Configurations != nil {
		members["configurations"], err = json.Marshal(body.Configurations)
	}
	return err
}

// presetBody is a preset as clients read it.
func presetBody(p ams.Preset) json.RawMessage {
	var b bytes.Buffer
	b.WriteString(`{"@odata.type":"` + discriminator + p.Type + `"`)
	if rest := bytes.TrimPrefix(p.Body, []byte("{")); len(rest) > 1 {
		b.WriteByte(',')
		b.Write(rest)
	} else {
		b.WriteByte('}')
	}
	return b.Bytes()
}
