package arm

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/openams/openams/middleware"
)

// A Resource is the envelope that every resource comes in.
type Resource struct {
	Name       string            `json:"name"`
	ID         string            `json:"id"`
	Type       string            `json:"type"`
	Location   string            `json:"location,omitempty"` // of tracked resources only, like Tags
	Tags       map[string]string `json:"tags,omitempty"`
	Kind       string            `json:"kind,omitempty"`
	SKU        any               `json:"sku,omitempty"`
	Identity   any               `json:"identity,omitempty"`
	Properties any               `json:"properties,omitempty"`
	SystemData *SystemData       `json:"systemData,omitempty"` // Write leaves it out for api-versions that had none
}

// SystemData says who made a resource and who changed it last.
type SystemData struct {
	CreatedBy, CreatedByType           string // type: User, Application, ManagedIdentity or Key
	CreatedAt                          time.Time
	LastModifiedBy, LastModifiedByType string
	LastModifiedAt                     time.Time
}

// MarshalJSON implements json.Marshaler.
func (d *SystemData) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{
		"createdBy": d.CreatedBy, "createdByType": d.CreatedByType, "createdAt": FormatTime(d.CreatedAt),
		"lastModifiedBy": d.LastModifiedBy, "lastModifiedByType": d.LastModifiedByType, "lastModifiedAt": FormatTime(d.LastModifiedAt),
	})
}

// FormatTime spells a time as AMS did: UTC, up to seven digits of a second.
func FormatTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.9999999Z") }

// For returns res as r's api-version has it: systemData came with 2020-05-01.
func (res *Resource) For(r *http.Request) *Resource {
	if res.SystemData == nil || AtLeast(Version(r), "2020-05-01") {
		return res
	}
	old := *res
	old.SystemData = nil
	return &old
}

// WriteResource answers with a resource.
func WriteResource(w http.ResponseWriter, r *http.Request, status int, res *Resource) error {
	return WriteJSON(w, status, res.For(r))
}

// WriteResources answers with a page of resources. skiptoken leads to the
// next page and is empty on the last.
func WriteResources(w http.ResponseWriter, r *http.Request, page []*Resource, skiptoken string) error {
	for i, res := range page {
		page[i] = res.For(r)
	}
	return WriteList(w, r, page, skiptoken)
}

// WriteList answers with a page of anything.
func WriteList[T any](w http.ResponseWriter, r *http.Request, page []T, skiptoken string) error {
	body := struct {
		Value    []T    `json:"value"`
		NextLink string `json:"@odata.nextLink,omitempty"`
	}{Value: page}
	if page == nil {
		body.Value = []T{} // an empty list is not null
	}
	if skiptoken != "" {
		body.NextLink = NextLink(r, skiptoken)
	}
	return WriteJSON(w, http.StatusOK, body)
}

// NextLink returns the URL of the page after r's: the host that the client
// used and all of its query, with another $skiptoken.
func NextLink(r *http.Request, skiptoken string) string {
	values, _ := url.ParseQuery(r.URL.RawQuery) // as Query reads it
	for k := range values {
		if strings.EqualFold(k, "$skiptoken") {
			delete(values, k)
		}
	}
	values.Set("$skiptoken", skiptoken)
	// Some clients send the link as it is, some decode + as itself.
	q := strings.NewReplacer("+", "%20", "%24", "$").Replace(values.Encode())
	return middleware.Origin(r) + r.URL.EscapedPath() + "?" + q
}

// WriteJSON answers with body and the headers that AMS's answers had. (Not its
// Strict-Transport-Security: a browser would apply it to every port of
// localhost, and streaming over plain HTTP is one of them.)
func WriteJSON(w http.ResponseWriter, status int, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("arm: encode %T: %w", body, err)
	}
	h := w.Header()
	noCache(h)
	h.Set("Content-Type", "application/json; odata.metadata=minimal")
	h.Set("OData-Version", "4.0")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	// A client that does not take it is gone.
	_, _ = w.Write(b)
	return nil
}

// WriteEmpty answers without a body.
func WriteEmpty(w http.ResponseWriter, status int) error {
	noCache(w.Header())
	w.WriteHeader(status)
	return nil
}

func noCache(h http.Header) {
	h.Set("Cache-Control", "no-cache")
	h.Set("Pragma", "no-cache")
	h.Set("Expires", "-1")
	h.Set("X-Content-Type-Options", "nosniff")
}
