package arm

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/openams/openams/middleware"
)

// An Operation is where the client of a long-running call asks how it goes:
// absolute URLs, or paths with their query, which get the client's host.
type Operation struct {
	Status   string // answers an OperationStatus
	Location string // answers 202, then the resource; may be empty
}

// SetHeaders says so in an answer of status 201 or 202, or in that of a poll.
func (o Operation) SetHeaders(h http.Header, r *http.Request) {
	absolute := func(u string) string {
		if strings.HasPrefix(u, "/") {
			return middleware.Origin(r) + u
		}
		return u
	}
	if o.Status != "" {
		h.Set("Azure-AsyncOperation", absolute(o.Status))
	}
	if o.Location != "" {
		h.Set("Location", absolute(o.Location))
	}
	SetRetryAfter(h)
}

// SetRetryAfter asks the client to poll again in a second, as every answer to a
// poll of Azure-AsyncOperation does, the last one too. Without it azure-cli and
// the Python SDK wait 30 s. (Observed.)
func SetRetryAfter(h http.Header) { h.Set("Retry-After", "1") }

// The states of an operation.
const (
	InProgress = "InProgress"
	Succeeded  = "Succeeded"
	Failed     = "Failed"
	Canceled   = "Canceled"
)

// An OperationStatus is the answer to a poll.
type OperationStatus struct {
	ID        string     // may be empty
	Name      string     // GUID of the operation
	Status    string     // InProgress and so on
	StartTime *time.Time // may be nil
	EndTime   *time.Time // may be nil
	Error     *Detail    // of one that failed
}

// MarshalJSON implements json.Marshaler.
func (s *OperationStatus) MarshalJSON() ([]byte, error) {
	format := func(t *time.Time) string {
		if t == nil {
			return ""
		}
		return FormatTime(*t)
	}
	return json.Marshal(struct {
		ID        string  `json:"id,omitempty"`
		Name      string  `json:"name"`
		Status    string  `json:"status"`
		StartTime string  `json:"startTime,omitempty"`
		EndTime   string  `json:"endTime,omitempty"`
		Error     *Detail `json:"error,omitempty"`
	}{s.ID, s.Name, s.Status, format(s.StartTime), format(s.EndTime), s.Error})
}

// WriteOperation answers a poll.
func WriteOperation(w http.ResponseWriter, s *OperationStatus) error {
	SetRetryAfter(w.Header())
	return WriteJSON(w, http.StatusOK, s)
}
