package restblob

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
)

// leaseBlob serves Lease Blob.
func (s *server) leaseBlob(w http.ResponseWriter, q *request) error {
	a, err := leaseAction(q)
	if err != nil {
		return err
	}
	b, err := s.Store.Lease(q.Context(), q.account, q.container, q.blob, a.cond, a.act)
	if err != nil {
		return a.fault(err)
	}
	setVersion(w.Header(), b.ETag, b.LastModified)
	return a.answer(w, &b.Lease, q.now)
}

// leaseContainer serves Lease Container.
func (s *server) leaseContainer(w http.ResponseWriter, q *request) error {
	a, err := leaseAction(q)
	if err != nil {
		return err
	}
	c, err := s.Store.LeaseContainer(q.Context(), q.account, q.container, a.cond, a.act)
	if err != nil {
		return a.fault(err)
	}
	setVersion(w.Header(), c.ETag, c.LastModified)
	return a.answer(w, &c.Lease, q.now)
}

// A leaseRequest is what a client asks for.
type leaseRequest struct {
	cond   blob.Conditions
	act    blob.LeaseAction
	name   string
	status int
}

func leaseAction(q *request) (a leaseRequest, err error) {
	h := q.Header
	if a.cond, err = conditions(h); err != nil {
		return a, err
	}
	id, proposed := a.cond.Lease, h.Get("x-ms-proposed-lease-id")
	if proposed != "" && !isGUID(proposed) {
		return a, bad("InvalidHeaderValue", "The value of the header x-ms-proposed-lease-id is not a GUID.")
	}
	a.name, a.status = strings.ToLower(h.Get("x-ms-lease-action")), http.StatusOK
	missing := func(name string) error {
		return bad("MissingRequiredHeader", "An HTTP header that's mandatory for this request is not specified: %s.", name)
	}
	switch a.name {
	case "acquire":
		seconds, err := strconv.Atoi(h.Get("x-ms-lease-duration"))
		if err != nil || seconds != -1 && (seconds < 15 || seconds > 60) {
			return a, bad("InvalidHeaderValue", "The value of the header x-ms-lease-duration is not -1 or 15 to 60 seconds.")
		}
		a.status, a.act = http.StatusCreated, blob.AcquireLease(proposed, seconds)
		return a, nil
	case "break":
		period := -1
		if v := h.Get("x-ms-lease-break-period"); v != "" {
			if period, err = strconv.Atoi(v); err != nil || period < 0 || period > 60 {
				return a, bad("InvalidHeaderValue", "The value of the header x-ms-lease-break-period is not 0 to 60 seconds.")
			}
		}
		a.status, a.act = http.StatusAccepted, blob.BreakLease(time.Duration(period)*time.Second)
		return a, nil
	case "renew":
		a.act = blob.RenewLease(id)
	case "release":
		a.act = blob.ReleaseLease(id)
	case "change":
		if proposed == "" {
			return a, missing("x-ms-proposed-lease-id")
		}
		a.act = blob.ChangeLease(id, proposed)
	case "":
		return a, missing("x-ms-lease-action")
	default:
		return a, bad("InvalidHeaderValue", "The value of the header x-ms-lease-action is not one of acquire, renew, change, release, break.")
	}
	if id == "" {
		return a, missing("x-ms-lease-id")
	}
	return a, nil
}

// fault tells apart what a lease that is being broken refuses.
func (a *leaseRequest) fault(err error) error {
	if a.name == "change" && errors.Is(err, blob.ErrLeaseBreaking) {
		return &fault{status: http.StatusConflict, code: "LeaseIsBreakingAndCannotBeChanged", msg: blob.ErrLeaseBreaking.Error()}
	}
	return err
}

func (a *leaseRequest) answer(w http.ResponseWriter, l *ams.Lease, now time.Time) error {
	h := w.Header()
	if a.name == "break" {
		// Rounded up: after that many seconds it is broken.
		left := max(0, (l.Broken.Sub(now)+time.Second-1)/time.Second)
		h.Set("x-ms-lease-time", strconv.FormatInt(int64(left), 10))
	} else if l.ID != "" {
		h.Set("x-ms-lease-id", l.ID)
	}
	h.Set("Content-Length", "0")
	w.WriteHeader(a.status)
	return nil
}

// leaseFault says of what kind the leased resource is.
func (q *request) leaseFault(err error) error {
	if q.blob != "" {
		return err
	}
	for from, code := range map[error]string{
		blob.ErrLeaseOther: "LeaseIdMismatchWithContainerOperation",
		blob.ErrLeaseNone:  "LeaseNotPresentWithContainerOperation",
	} {
		if errors.Is(err, from) {
			return &fault{status: http.StatusPreconditionFailed, code: code, msg: from.Error()}
		}
	}
	return err
}

// leaseCondition is conditions for what takes no other one.
func leaseCondition(h http.Header) (blob.Conditions, error) {
	c, err := conditions(h)
	return blob.Conditions{Lease: c.Lease}, err
}

func leaseWords(l *ams.Lease, now time.Time) (status, state, duration string) {
	state = string(l.State(now))
	if !l.Binds(now) {
		return "unlocked", state, ""
	}
	if l.Seconds < 0 {
		return "locked", state, "infinite"
	}
	return "locked", state, "fixed"
}

func setLease(h http.Header, l *ams.Lease, now time.Time) {
	status, state, duration := leaseWords(l, now)
	h.Set("x-ms-lease-status", status)
	h.Set("x-ms-lease-state", state)
	if duration != "" {
		h.Set("x-ms-lease-duration", duration)
	}
}

func (b *xmlWriter) lease(l *ams.Lease, now time.Time) {
	status, state, duration := leaseWords(l, now)
	b.element("LeaseStatus", status)
	b.element("LeaseState", state)
	b.given("LeaseDuration", duration)
}

// isGUID reports whether s is a GUID with hyphens.
func isGUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range s {
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case !strings.ContainsRune("0123456789abcdefABCDEF", c):
			return false
		}
	}
	return true
}
