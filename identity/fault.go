package identity

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/openams/openams/middleware"
)

// fault is a refusal in the shape of Azure AD: an OAuth 2.0 error and a number
// that programs and people search for.
type fault struct {
	status int
	oauth  string // RFC 6749 5.2
	code   int    // AADSTS…
	text   string
	after  time.Duration // when to try again; 0: says nothing
}

// describe is the fault for people: without ids.
func (f *fault) describe() string { return fmt.Sprintf("AADSTS%d: %s", f.code, f.text) }

func (a *Authority) after(w http.ResponseWriter, f *fault) {
	if f.after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((f.after+time.Second-1)/time.Second)))
	}
}

func tenantMissing(tenant string) string {
	return fmt.Sprintf("Tenant '%s' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud.", clip(tenant))
}

func (a *Authority) fail(w http.ResponseWriter, r *http.Request, f *fault) {
	trace := middleware.RequestID(r.Context())
	if trace == "" {
		trace = uuid.NewString()
	}
	correlation := trace
	for _, id := range []string{r.Header.Get("client-request-id"), r.URL.Query().Get("client-request-id")} {
		if uuid.Validate(id) == nil {
			correlation = id
			break
		}
	}
	now := a.c.Now().UTC().Format("2006-01-02 15:04:05Z")
	a.after(w, f)
	if f.status == http.StatusUnauthorized && r.Header.Get("Authorization") != "" { // RFC 6749 5.2
		w.Header().Set("WWW-Authenticate", `Basic realm="openams"`)
	}
	writeJSON(w, f.status, struct {
		Error         string `json:"error"`
		Description   string `json:"error_description"`
		Codes         []int  `json:"error_codes"`
		Timestamp     string `json:"timestamp"`
		TraceID       string `json:"trace_id"`
		CorrelationID string `json:"correlation_id"`
	}{
		f.oauth,
		fmt.Sprintf("%s Trace ID: %s Correlation ID: %s Timestamp: %s", f.describe(), trace, correlation, now),
		[]int{f.code}, now, trace, correlation,
	})
}

// clip shortens what a client sent to what an error may repeat: runs of a
// length that nobody reads, or that nobody meant to show, are cut.
func clip(s string) string {
	const most = 200
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// timeText is a time as Resource Manager writes it in the refusal of a token.
func timeText(t time.Time) string { return t.UTC().Format("1/2/2006 3:04:05 PM") }
