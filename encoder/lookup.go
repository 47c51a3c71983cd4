package encoder

import (
	"encoding/json"
	"strings"

	"github.com/openams/openams/ams"
)

// The types of presets besides ams.BuiltIn. Those of v2 tasks are ours: their
// body is {"presetName": …} for a preset with a name, and {"configuration": …},
// the text that the client wrote, for one written out.
const (
	standardPreset = "StandardEncoderPreset"
	mesPreset      = "MediaEncoderStandard"
	amePreset      = "AzureMediaEncoder"
)

// processors are the v2 processors that encode, and the type of their presets.
var processors = map[string]string{
	"Media Encoder Standard":      mesPreset,
	"Azure Media Encoder":         amePreset,
	"Windows Azure Media Encoder": amePreset,
}

// ParseConfiguration returns the preset that the Configuration of a v2 task
// stands for: the name of a preset of that processor, or a preset written out as
// JSON or XML. The error is Invalid or Unsupported and names the preset or what
// is wrong in it.
func ParseConfiguration(processor, text string) (ams.Preset, error) {
	kind, ok := processors[processor]
	if !ok {
		return ams.Preset{}, ams.Errorf(ams.Unsupported, "This server does not run the processor '%s'.", processor)
	}
	text = strings.TrimSpace(strings.TrimPrefix(text, "\ufeff"))
	field := "presetName"
	switch {
	case text == "":
		return ams.Preset{}, ams.Errorf(ams.Invalid, "The task has no configuration: it is to name a preset of the processor '%s'.", processor)
	case text[0] == '<' || text[0] == '{':
		field = "configuration"
	case len(text) > maxName:
		return ams.Preset{}, ams.Errorf(ams.Invalid, "The configuration is neither XML nor JSON, and too long to be the name of a preset.")
	}
	body, err := json.Marshal(map[string]string{field: text})
	if err != nil {
		return ams.Preset{}, err
	}
	p := ams.Preset{Type: kind, Body: body}
	_, err = lookup(p)
	return p, err
}

// maxName bounds the names of presets and what is taken of a file's.
const maxName = 200

// Supported returns an Unsupported or Invalid error, which names the preset or
// the property, unless this encoder can run p. A transform or a job with such a
// preset is to be refused when it is submitted.
func Supported(p ams.Preset) error {
	_, err := lookup(p)
	return err
}

// lookup finds what a preset means.
func lookup(p ams.Preset) (*recipe, error) {
	if p.Type == standardPreset {
		return parseStandard(p.Body)
	}
	var body struct {
		PresetName     string          `json:"presetName"`
		Configurations json.RawMessage `json:"configurations"`
		Configuration  string          `json:"configuration"`
	}
	finders := map[string]func(string) (*recipe, bool){ams.BuiltIn: builtIn, mesPreset: mediaEncoderStandard, amePreset: azureMediaEncoder}
	find := finders[p.Type]
	if find == nil {
		return nil, ams.Errorf(ams.Unsupported, "This server cannot encode with a preset of type '%s' yet.", p.Type)
	}
	if err := json.Unmarshal(p.Body, &body); err != nil {
		return nil, ams.Errorf(ams.Invalid, "The preset is not a JSON object with a presetName: %v", err)
	}
	if body.Configuration != "" && p.Type != ams.BuiltIn {
		if p.Type == amePreset {
			return writtenAME(body.Configuration)
		}
		return writtenMES(body.Configuration)
	}
	if codec := awareCodecs[body.PresetName]; codec != "" && p.Type == ams.BuiltIn {
		return contentAware(body.PresetName, codec, body.Configurations)
	}
	r, ok := find(body.PresetName)
	switch {
	case ok:
	case p.Type == mesPreset && known(azureMediaEncoder, body.PresetName):
		return nil, ams.Errorf(ams.Unsupported, "'%s' is a preset of the processor Azure Media Encoder, not of Media Encoder Standard.", body.PresetName)
	case p.Type == amePreset && known(mediaEncoderStandard, body.PresetName):
		return nil, ams.Errorf(ams.Unsupported, "'%s' is a preset of the processor Media Encoder Standard, not of Azure Media Encoder.", body.PresetName)
	default:
		return nil, ams.Errorf(ams.Unsupported, "This server cannot encode with the preset '%s' yet.", body.PresetName)
	}
	if !blank(body.Configurations) {
		return nil, ams.Errorf(ams.Unsupported, "The preset '%s' takes no configurations: only the content-aware presets do.", body.PresetName)
	}
	return r, nil
}

func known(find func(string) (*recipe, bool), name string) bool {
	_, ok := find(name)
	return ok
}
