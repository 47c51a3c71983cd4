package ams

import "time"

// A Track says more about one track of an asset than its files do, or adds one
// from a file of its container: a caption file, another language's audio.
// Its Name is unique in the asset and names the stream in manifests.
type Track struct {
	Account        string // Account.ID
	Asset          string // name of the asset
	Name           string
	Kind           TrackKind
	FileName       string // in the asset's container; VideoTrack has none
	DisplayName    string
	Language       string       // RFC 5646; read-only in v3 for a TextTrack
	Visibility     string       // TextTrack: Visible or Hidden
	HLS            *HLSSettings // nil: not said
	DASHRole       *string      // AudioTrack: dashSettings.role; nil: no dashSettings
	MPEG4TrackID   *int64       // AudioTrack: the track in the file
	Deleting       bool         // a long-running operation is about to delete it
	Created        time.Time
	LastModified   time.Time
	CreatedBy      string
	LastModifiedBy string
}

// HLSSettings is how HLS presents a track. Nil fields say nothing.
type HLSSettings struct {
	Default         *bool   `json:"default,omitempty"`
	Forced          *bool   `json:"forced,omitempty"`
	Characteristics *string `json:"characteristics,omitempty"`
}

// A TrackKind is the v3 discriminator without its "#Microsoft.Media." prefix.
type TrackKind string

// The kinds of Track.
const (
	AudioTrack TrackKind = "AudioTrack"
	VideoTrack TrackKind = "VideoTrack"
	TextTrack  TrackKind = "TextTrack"
)

// The values of the v3 property playerVisibility.
const (
	Visible = "Visible"
	Hidden  = "Hidden"
)

// Validate reports the first rule that t breaks.
func (t *Track) Validate() error {
	if err := ValidateName("track", t.Name); err != nil {
		return err
	}
	const at = "properties.track"
	switch t.Kind {
	case AudioTrack, VideoTrack:
	case TextTrack:
		if t.FileName == "" {
			return Invalidf(at+".fileName", "A text track needs the fileName of a WebVTT or TTML file in the asset's container.")
		}
	case "":
		return Invalidf(at, "The track is missing.")
	default:
		return Invalidf(at+".@odata.type", "'#Microsoft.Media.%s' is not a type of track.", t.Kind)
	}
	if t.FileName != "" {
		if err := ValidateFileName(t.FileName); err != nil {
			return Invalidf(at+".fileName", "%s", err.Error())
		}
	}
	if len(t.DisplayName) > 1024 {
		return Invalidf(at+".displayName", "displayName is longer than 1024 bytes.")
	}
	if len(t.Language) > 64 {
		return Invalidf(at+".languageCode", "languageCode is longer than 64 bytes.")
	}
	if t.Visibility != "" && t.Visibility != Visible && t.Visibility != Hidden {
		return Invalidf(at+".playerVisibility", "'%s' is not a value of playerVisibility: Visible or Hidden.", t.Visibility)
	}
	if t.MPEG4TrackID != nil && (*t.MPEG4TrackID < 1 || *t.MPEG4TrackID > 1<<32-1) {
		return Invalidf(at+".mpeg4TrackId", "mpeg4TrackId must be from 1 to 4294967295.")
	}
	return nil
}
