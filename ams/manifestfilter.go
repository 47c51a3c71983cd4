package ams

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A ManifestFilter narrows what manifests offer: a part of the time, some of
// the tracks. v3 knows those of the account, which every asset may be streamed
// with, and those of one asset, which win over the account's of the same name
// (documented). Streaming URLs and locators name them.
type ManifestFilter struct {
	Account        string // Account.ID
	Asset          string // name of the asset; empty: a filter of the account
	Name           string
	Time           *TimeRange       // nil: all of it
	FirstQuality   int64            // bit/s of the first rendition in HLS; 0: no wish
	Tracks         []TrackSelection // none: all tracks. A track is kept when any selection holds
	Created        time.Time
	LastModified   time.Time
	CreatedBy      string
	LastModifiedBy string
}

// A TimeRange is the presentationTimeRange of a filter. Nil fields say nothing.
// All times are in units of Timescale.
type TimeRange struct {
	Start        *int64 `json:"startTimestamp,omitempty"`             // absolute
	End          *int64 `json:"endTimestamp,omitempty"`               // absolute
	Window       *int64 `json:"presentationWindowDuration,omitempty"` // live only: the sliding window
	Backoff      *int64 `json:"liveBackoffDuration,omitempty"`        // live only: how far players stay behind
	Timescale    *int64 `json:"timescale,omitempty"`                  // per second; nil: DefaultTimescale
	ForceEndTime *bool  `json:"forceEndTimestamp,omitempty"`          // live only: End ends it for good
}

// FilterIDMark stands in the v2 id of an asset's filter, between the id of the
// asset and the name.
const FilterIDMark = "__###__"

// DefaultTimescale is the timescale of filters that name none (documented).
const DefaultTimescale = 10_000_000

// Unlimited is the value that stands for no bound in a TimeRange (documented).
const Unlimited = math.MaxInt64

// A TrackSelection keeps the tracks for which all conditions hold.
type TrackSelection struct {
	Conditions []FilterCondition `json:"trackSelections"`
}

// A FilterCondition compares a property of a track.
type FilterCondition struct {
	Property  TrackProperty `json:"property"`
	Value     string        `json:"value"`
	Operation Comparison    `json:"operation"`
}

// A TrackProperty is what a FilterCondition looks at.
type TrackProperty string

// The properties of tracks. v3 lists Unknown too, and refuses it.
const (
	TrackType     TrackProperty = "Type"     // video, audio, text
	TrackName     TrackProperty = "Name"     //
	TrackLanguage TrackProperty = "Language" // RFC 5646
	TrackFourCC   TrackProperty = "FourCC"   // avc1, hev1, mp4a …
	TrackBitrate  TrackProperty = "Bitrate"  // "128000" or "0-2427000"
)

// A Comparison is the operation of a FilterCondition.
type Comparison string

// The comparisons.
const (
	IsEqual    Comparison = "Equal"
	IsNotEqual Comparison = "NotEqual"
)

// Bounds of a filter. AMS documents those of time; the counts keep a filter
// that runs on every manifest short.
const (
	minWindow     = 60  // seconds (documented)
	maxBackoff    = 300 // seconds (documented)
	maxSelections = 100
	maxConditions = 20
	maxCondition  = 260 // characters of a value
)

// Validate reports the first rule that f breaks
// (documented: filters and dynamic manifests).
func (f *ManifestFilter) Validate() error {
	if err := ValidateName("filter", f.Name); err != nil {
		return err
	}
	if f.FirstQuality < 0 || f.FirstQuality > math.MaxInt32 {
		return Invalidf("properties.firstQuality.bitrate", "The bitrate of firstQuality must be from 1 to %d.", math.MaxInt32)
	}
	if f.Time != nil {
		if err := f.Time.validate("properties.presentationTimeRange"); err != nil {
			return err
		}
	}
	if len(f.Tracks) > maxSelections {
		return Invalidf("properties.tracks", "A filter may have at most %d track selections.", maxSelections)
	}
	for i, s := range f.Tracks {
		at := fmt.Sprintf("properties.tracks[%d].trackSelections", i)
		if len(s.Conditions) == 0 {
			return Invalidf(at, "The track selection has no conditions.")
		}
		if len(s.Conditions) > maxConditions {
			return Invalidf(at, "A track selection may have at most %d conditions.", maxConditions)
		}
		for j, c := range s.Conditions {
			if err := c.validate(fmt.Sprintf("%s[%d]", at, j)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *TimeRange) validate(at string) error {
	for _, m := range []struct {
		name  string
		value *int64
	}{
		{"startTimestamp", r.Start}, {"endTimestamp", r.End}, {"presentationWindowDuration", r.Window}, {"liveBackoffDuration", r.Backoff},
	} {
		if m.value != nil && *m.value < 0 {
			return Invalidf(at+"."+m.name, "%s must not be negative.", m.name)
		}
	}
	scale := int64(DefaultTimescale)
	if r.Timescale != nil {
		scale = *r.Timescale
	}
	// A bound keeps seconds × timescale within 64 bits.
	if scale <= 0 || scale > 1e12 {
		return Invalidf(at+".timescale", "timescale must be from 1 to 1000000000000.")
	}
	switch {
	case r.Start != nil && r.End != nil && *r.End <= *r.Start:
		return Invalidf(at+".endTimestamp", "endTimestamp must be after startTimestamp.")
	case r.ForceEndTime != nil && *r.ForceEndTime && r.End == nil:
		return Invalidf(at+".forceEndTimestamp", "forceEndTimestamp needs an endTimestamp.")
	case r.Window != nil && *r.Window < minWindow*scale:
		return Invalidf(at+".presentationWindowDuration", "presentationWindowDuration must be at least %d seconds.", minWindow)
	case r.Backoff != nil && *r.Backoff > maxBackoff*scale:
		return Invalidf(at+".liveBackoffDuration", "liveBackoffDuration must be at most %d seconds.", maxBackoff)
	}
	return nil
}

func (c *FilterCondition) validate(at string) error {
	if c.Operation != IsEqual && c.Operation != IsNotEqual {
		return Invalidf(at+".operation", "'%s' is not a value of operation: Equal or NotEqual.", c.Operation)
	}
	if c.Value == "" || len(c.Value) > 4*maxCondition {
		return Invalidf(at+".value", "value must have 1 to %d characters.", maxCondition)
	}
	switch c.Property {
	case TrackName, TrackLanguage:
	case TrackType:
		switch strings.ToLower(c.Value) {
		case "video", "audio", "text":
		default:
			return Invalidf(at+".value", "'%s' is not a type of track: video, audio or text.", c.Value)
		}
	case TrackFourCC:
		if len(c.Value) != 4 {
			return Invalidf(at+".value", "'%s' is not a FourCC: avc1, hev1, hvc1, mp4a, ec-3 …", c.Value)
		}
	case TrackBitrate:
		if _, _, err := ParseBitrates(c.Value); err != nil {
			return Invalidf(at+".value", "%s", err.Error())
		}
	default:
		return Invalidf(at+".property", "'%s' is not a value of property: Type, Name, Language, FourCC or Bitrate.", c.Property)
	}
	return nil
}

// ParseBitrates reads the value of a condition on TrackBitrate, "128000" or
// "0-2427000", as an inclusive range.
func ParseBitrates(s string) (least, most int64, err error) {
	from, to, isRange := strings.Cut(s, "-")
	least, err = strconv.ParseInt(strings.TrimSpace(from), 10, 64)
	if most = least; err == nil && isRange {
		most, err = strconv.ParseInt(strings.TrimSpace(to), 10, 64)
	}
	if err != nil || least < 0 || most < least {
		return 0, 0, Errorf(Invalid, "'%s' is not a bitrate or a range of bitrates such as 0-2427000.", s)
	}
	return least, most, nil
}
