package restv3

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"reflect"
	"time"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/filter"
	"github.com/openams/openams/restv3/arm"
)

// noun is how a resource type is spelled: AMS was not of one mind.
type noun struct {
	id  string // in ids, after the account's
	typ string // in type, after "Microsoft.Media/mediaservices"
}

var (
	assetNoun     = noun{"/assets/", "/assets"}
	transformNoun = noun{"/transforms/", "/transforms"}
	locatorNoun   = noun{"/streamingLocators/", "/streamingLocators"}
	policyNoun    = noun{"/streamingPolicies/", "/streamingPolicies"}
	endpointNoun  = noun{"/streamingendpoints/", "/streamingEndpoints"} // mixed (recorded)
)

// accountID is the resource id of an account, with the lower-case
// mediaservices of the recordings.
func accountID(subscription, group, name string) string {
	return "/subscriptions/" + subscription + "/resourceGroups/" + group + "/providers/Microsoft.Media/mediaservices/" + name
}

func idOf(acc *account.Account) string {
	return accountID(acc.SubscriptionID, acc.ResourceGroup, acc.Name)
}

// entity is the envelope of a resource of an account.
func entity(acc *account.Account, n noun, name string, properties any, s stamps) *arm.Resource {
	return &arm.Resource{
		Name: name, ID: idOf(acc) + n.id + name, Type: "Microsoft.Media/mediaservices" + n.typ,
		Properties: properties, SystemData: s.systemData(),
	}
}

// stamps say who made and last changed a resource.
type stamps struct {
	by, lastBy        string
	created, modified time.Time
}

func (s stamps) systemData() *arm.SystemData {
	d := &arm.SystemData{CreatedAt: s.created, LastModifiedAt: s.modified}
	d.CreatedByType, d.CreatedBy = ams.SplitCaller(cmp.Or(s.by, "openams")) // the server itself
	d.LastModifiedByType, d.LastModifiedBy = ams.SplitCaller(cmp.Or(s.lastBy, "openams"))
	return d
}

// A date is a time as AMS wrote it: UTC, up to 7 digits of fraction. It reads
// what filter.ParseTime does; null and absence are the zero time.
type date time.Time

func (d date) IsZero() bool { return time.Time(d).IsZero() }

func (d date) time() time.Time { return time.Time(d) }

func (d date) MarshalJSON() ([]byte, error) {
	return []byte(`"` + arm.FormatTime(time.Time(d)) + `"`), nil
}

func (d *date) UnmarshalJSON(b []byte) error {
	var s *string
	if err := json.Unmarshal(b, &s); err != nil || s == nil {
		return err
	}
	t, err := filter.ParseTime(*s)
	if err != nil {
		// The decoder adds the path of the member to this type alone.
		return &json.UnmarshalTypeError{Value: "string " + *s, Type: reflect.TypeFor[time.Time]()}
	}
	*d = date(t)
	return nil
}

// An optional is a member of a PATCH body: absent leaves the property as it
// is, null clears it.
type optional[T any] struct {
	given bool
	value T
}

func (o *optional[T]) UnmarshalJSON(b []byte) error {
	o.given = true
	return json.Unmarshal(b, &o.value)
}

// pointer is nil for an absent member.
func (o optional[T]) pointer() *T {
	if !o.given {
		return nil
	}
	return &o.value
}

// into stores a member that was given; null stores the zero value.
func (o optional[T]) into(to *T) {
	if o.given {
		*to = o.value
	}
}

// given reports whether raw holds something: neither absent nor null.
func given(raw json.RawMessage) bool {
	return len(raw) > 0 && !bytes.Equal(bytes.TrimSpace(raw), []byte("null"))
}

// compact is raw without blanks, or nil when nothing is given.
func compact(raw json.RawMessage) json.RawMessage {
	if !given(raw) {
		return nil
	}
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return raw
	}
	return b.Bytes()
}

// created answers a PUT: 201 when it made the resource, else 200.
func created(w http.ResponseWriter, r *http.Request, made bool, res *arm.Resource) error {
	status := http.StatusOK
	if made {
		status = http.StatusCreated
	}
	return arm.WriteResource(w, r, status, res)
}

// deleted answers a DELETE: 200 when there was something to delete, else 204.
func deleted(w http.ResponseWriter, existed bool, err error) error {
	if err != nil {
		return err
	}
	if !existed {
		return arm.WriteEmpty(w, http.StatusNoContent)
	}
	return arm.WriteEmpty(w, http.StatusOK)
}
