package origin

import (
	"net/http"

	"github.com/openams/openams/packager"
)

// Codes of errors that the packager never meets. Like all of them they are
// those of AMS (documented: streaming endpoint error codes), but the last three,
// for which AMS had none: its stopped endpoint had no address at all, and who
// may not read or used a wrong method met another front end.
const (
	EncryptionNotSpecified  packager.Code = "MPE_ENC_ENCRYPTION_NOT_SPECIFIED_IN_URL"
	OutputFormatBlocked     packager.Code = "MPE_OUTPUT_FORMAT_BLOCKED"
	EncryptionNotInPolicy   packager.Code = "MPE_ENC_ENCRYPTION_NOT_SET_IN_DELIVERY_POLICY"
	FilterNotFound          packager.Code = "MPE_EGRESS_FILTER_NOT_FOUND"
	TooManyFilters          packager.Code = "MPE_FILTER_COMPOSITION_FILTER_COUNT_OVER_LIMIT"
	SeveralFirstQualities   packager.Code = "MPE_FILTER_COMPOSITION_MULTIPLE_FIRST_QUALITY_OPERATOR_NOT_ALLOWED"
	EncryptionNotSupported  packager.Code = "MPE_ENCRYPTION_NOT_SUPPORTED"
	OutputProtectionMissing packager.Code = "MPE_OUTPUT_PROTECTION_FORMAT_NOT_SUPPORTED"
	ConditionNotMet         packager.Code = "MPE_STORAGE_PRECONDITION_FAILED"
	InvalidRange            packager.Code = "MPE_STORAGE_INVALID_RANGE"
	StorageFailure          packager.Code = "MPE_STORAGE_FAILURE"
	ServerBusy              packager.Code = "MPE_STORAGE_SERVER_BUSY"
	EndpointStopped         packager.Code = "StreamingEndpointStopped"
	AccessDenied            packager.Code = "StreamingEndpointAccessDenied"
	MethodNotAllowed        packager.Code = "MethodNotAllowed"
)

// statuses is the HTTP status of every code but those of 415.
var statuses = map[packager.Code]int{
	packager.BadURLSyntax:              http.StatusBadRequest,
	EncryptionNotSpecified:             http.StatusBadRequest,
	OutputFormatBlocked:                http.StatusForbidden,
	EncryptionNotInPolicy:              http.StatusForbidden,
	packager.ResourceNotFound:          http.StatusNotFound,
	packager.TrackNotFound:             http.StatusNotFound,
	packager.MediaEntryNotFound:        http.StatusNotFound,
	packager.FragmentTimestampNotFound: http.StatusNotFound,
	packager.MetadataNotFound:          http.StatusNotFound,
	packager.StorageResourceNotFound:   http.StatusNotFound,
	FilterNotFound:                     http.StatusNotFound,
	packager.FilterForceEndOutside:     http.StatusGone,
	AccessDenied:                       http.StatusForbidden,
	MethodNotAllowed:                   http.StatusMethodNotAllowed,
	ConditionNotMet:                    http.StatusPreconditionFailed,
	InvalidRange:                       http.StatusRequestedRangeNotSatisfiable,
	StorageFailure:                     http.StatusInternalServerError,
	ServerBusy:                         http.StatusServiceUnavailable,
	EndpointStopped:                    http.StatusServiceUnavailable,
}

// status is the HTTP status that a code is answered with. All codes about
// media and formats that cannot be served have 415.
func status(c packager.Code) int {
	if s, ok := statuses[c]; ok {
		return s
	}
	return http.StatusUnsupportedMediaType
}

func errorf(code packager.Code, format string, args ...any) error {
	return packager.Errorf(code, format, args...)
}
