package dash

import (
	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/fmp4"
)

const isoLive = "urn:mpeg:dash:profile:isoff-live:2011"

// CSF returns the format mpd-time-csf.
func CSF() *packager.Format {
	return format(flavour{name: "mpd-time-csf", profiles: isoLive}, fmp4.CSF)
}

// CMAF returns the format mpd-time-cmaf.
func CMAF() *packager.Format {
	return format(flavour{name: "mpd-time-cmaf", profiles: isoLive + ",urn:mpeg:dash:profile:cmaf:2019"}, fmp4.CMAF)
}

func format(f flavour, style fmp4.Style) *packager.Format {
	return &packager.Format{
		Name:     f.name,
		Protocol: packager.DASH,
		Manifest: f.manifest,
		Init: func(_ *packager.Presentation, r *packager.Rendition) (*packager.Segment, error) {
			return r.InitSegment(style), nil
		},
		Fragment: func(_ *packager.Presentation, r *packager.Rendition, time uint64) (*packager.Segment, error) {
			k, err := r.FragmentAt(time)
			if err != nil {
				return nil, err
			}
			return r.MP4Segment(k, style)
		},
	}
}

// A flavour is one value of the URL key format.
type flavour struct {
	name     string
	profiles string // of the MPD
}
