package ams

import (
	"encoding/json"
	"fmt"
	"time"
)

// A Transform is a recipe: what to do with the input of each job made from it.
type Transform struct {
	Account        string // Account.ID
	Name           string
	Description    string
	Outputs        []TransformOutput // 1 to 20
	Created        time.Time
	LastModified   time.Time
	CreatedBy      string
	LastModifiedBy string
}

// A TransformOutput is one result that a transform makes of a job's input.
type TransformOutput struct {
	Preset           Preset
	OnError          OnError
	RelativePriority Priority
}

// A Preset says what to make. Type is the v3 discriminator without its
// "#Microsoft.Media." prefix; Body holds the preset's properties in the v3
// spelling, the discriminators of nested objects included.
type Preset struct {
	Type string          `json:"type"`
	Body json.RawMessage `json:"body"`
}

// BuiltIn is the Type of presets that are a name alone:
// Body is {"presetName": …}.
const BuiltIn = "BuiltInStandardEncoderPreset"

// OnError says what a failed output does to the rest of its job.
type OnError string

// The values of the v3 property onError.
const (
	StopProcessingJob OnError = "StopProcessingJob"
	ContinueJob       OnError = "ContinueJob"
)

// Priority orders work in the queue.
type Priority string

// The values of the v3 properties priority and relativePriority.
const (
	Low    Priority = "Low"
	Normal Priority = "Normal"
	High   Priority = "High"
)

// Rank is the priority as a number, greater first.
func (p Priority) Rank() int {
	switch p {
	case High:
		return 1
	case Low:
		return -1
	}
	return 0
}

// Valid reports whether p is one of the three values.
func (p Priority) Valid() bool { return p == Low || p == Normal || p == High }

// Limits of a transform and its jobs (documented).
const (
	MaxTransformOutputs = 20
	MaxJobInputs        = 50
	MaxFilesPerInput    = 100
	MaxHTTPInputURL     = 4000
)

// Validate reports the first rule that t breaks, and fills in the defaults of
// OnError and RelativePriority.
func (t *Transform) Validate() error {
	if err := ValidateName("transform", t.Name); err != nil {
		return err
	}
	if len(t.Outputs) == 0 {
		return Invalidf("properties.outputs", "A transform needs at least one output.")
	}
	if len(t.Outputs) > MaxTransformOutputs {
		return Invalidf("properties.outputs", "A transform may have at most %d outputs.", MaxTransformOutputs)
	}
	for i := range t.Outputs {
		o := &t.Outputs[i]
		at := fmt.Sprintf("properties.outputs[%d]", i)
		if o.Preset.Type == "" {
			return Invalidf(at+".preset", "The output has no preset.")
		}
		if o.OnError == "" {
			o.OnError = StopProcessingJob
		}
		if o.OnError != StopProcessingJob && o.OnError != ContinueJob {
			return Invalidf(at+".onError", "'%s' is not a value of onError.", o.OnError)
		}
		if o.RelativePriority == "" {
			o.RelativePriority = Normal
		}
		if !o.RelativePriority.Valid() {
			return Invalidf(at+".relativePriority", "'%s' is not a value of relativePriority.", o.RelativePriority)
		}
	}
	return nil
}
