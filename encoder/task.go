package encoder

import (
	"github.com/openams/openams/ams"
)

// TaskPreset returns the preset that a v2 task of a processor stands for, with
// its configuration and so many input and output assets. The error names what
// this encoder cannot do; a job with such a task is to be refused when it is
// submitted.
func TaskPreset(processor, configuration string, inputs, outputs int) (ams.Preset, error) {
	p, err := ParseConfiguration(processor, configuration)
	if err == nil && outputs != 1 {
		err = ams.Errorf(ams.Unsupported, "The processor '%s' makes one output asset, not %d.", processor, outputs)
	}
	return p, err
}
