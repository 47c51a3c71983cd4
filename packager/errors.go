package packager

import (
	"errors"
	"fmt"
)

// A Code is an error code of the AMS streaming endpoint, as documented in its
// error code reference. The text of a Code is what clients saw.
type Code string

// The codes that this package and those below it return, and the HTTP statuses
// that AMS documented for them.
const (
	BadURLSyntax                Code = "MPE_BAD_URL_SYNTAX"                                // 400
	ResourceNotFound            Code = "MPE_RESOURCE_NOT_FOUND"                            // 404
	TrackNotFound               Code = "MPE_EGRESS_TRACK_NOT_FOUND"                        // 404
	MediaEntryNotFound          Code = "MPE_MANIFEST_MEDIA_ENTRY_NOT_FOUND"                // 404: no such bitrate
	FragmentTimestampNotFound   Code = "MPE_FRAGMENT_TIMESTAMP_NOT_FOUND"                  // 404
	MetadataNotFound            Code = "MPE_METADATA_NOT_FOUND"                            // 404: no tracks to play
	StorageResourceNotFound     Code = "MPE_STORAGE_RESOURCE_NOT_FOUND"                    // 404: the .ism names a file that is not there
	FormatNotSupported          Code = "MPE_FORMAT_NOT_SUPPORTED"                          // 415: more than MaxRenditions quality levels
	InputFormatNotSupported     Code = "MPE_INPUT_FORMAT_NOT_SUPPORTED"                    // 415: a manifest or file that cannot be read
	OutputFormatNotSupported    Code = "MPE_OUTPUT_FORMAT_NOT_SUPPORTED"                   // 415: no such format
	MediaTypeNotSupported       Code = "MPE_MEDIA_TYPE_NOT_SUPPORTED"                      // 415
	VideoEncodingNotSupported   Code = "MPE_VIDEO_ENCODING_NOT_SUPPORTED"                  // 415
	AudioEncodingNotSupported   Code = "MPE_AUDIO_ENCODING_NOT_SUPPORTED"                  // 415
	InputProtectionNotSupported Code = "MPE_INPUT_PROTECTION_FORMAT_NOT_SUPPORTED"         // 415: the source is encrypted
	InvalidNALUSize             Code = "MPE_INVALID_NALU_SIZE"                             // 415
	KeyFrameIntervalTooLarge    Code = "MPE_KEY_FRAME_INTERVAL_TOO_LARGE"                  // 415: or renditions not aligned
	FilterRemovedAll            Code = "MPE_FILTER_REMOVED_ALL_STREAMS"                    // 415
	FilterRangeInvalid          Code = "MPE_FILTER_RANGE_ATTRIBUTE_INVALID"                // 415
	FilterBackoffOverWindow     Code = "MPE_FILTER_LIVE_BACKOFF_OVER_PRESENTATION_WINDOW"  // 415
	FilterBackoffOverDVR        Code = "MPE_FILTER_LIVE_BACKOFF_OVER_DVRWINDOW"            // 415
	FilterForceEndOutside       Code = "MPE_FILTER_FORCE_END_LEFT_EDGE_CROSSED_DVR_WINDOW" // 410
)

// An Error is a failure that the caller of a streaming URL may read: it names
// files and tracks of the asset, never paths or hosts.
type Error struct {
	Code Code
	Msg  string
}

// Error returns the message without the code.
func (e *Error) Error() string { return e.Msg }

// Errorf returns an Error with the given code.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{code, fmt.Sprintf(format, args...)}
}

// CodeOf finds the Code in err's chain; "" if there is none, which means that
// err is not for clients to read.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}
