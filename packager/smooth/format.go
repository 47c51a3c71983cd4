package smooth

import (
	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/fmp4"
)

// V22 returns the format of manifest URLs without a format key.
func V22() *packager.Format { return format(flavour{}) }

// V20 returns the format fmp4-v20.
func V20() *packager.Format { return format(flavour{name: "fmp4-v20"}) }

func format(f flavour) *packager.Format {
	return &packager.Format{
		Name:     f.name,
		Protocol: packager.Smooth,
		Manifest: f.manifest,
		Fragment: func(_ *packager.Presentation, r *packager.Rendition, time uint64) (*packager.Segment, error) {
			k, err := r.FragmentAt(time)
			if err != nil {
				return nil, err
			}
			return r.Unprimed().MP4Segment(k, fmp4.Smooth)
		},
	}
}

// A flavour is one value of the URL key format.
type flavour struct {
	name string // "" for version 2.2
}

func (f flavour) old() bool { return f.name != "" }
