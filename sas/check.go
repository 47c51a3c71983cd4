package sas

import (
	"errors"
	"net/netip"
	"strings"
	"time"
)

// The reasons why a well-signed signature does not serve a request.
var (
	ErrIncomplete = errors.New("sas: permissions or expiry are missing")
	ErrTwice      = errors.New("sas: a field is given both in the URL and in the stored access policy")
	ErrTime       = errors.New("sas: not valid at this time")
	ErrProtocol   = errors.New("sas: not valid over this protocol")
	ErrAddress    = errors.New("sas: not valid from this address")
	ErrNotServed  = errors.New("sas: signed request headers and query parameters are not served")
)

// Policy is a stored access policy: what it does not say is "".
type Policy struct {
	Start, Expiry, Permissions string
}

// WithPolicy fills the fields of v that the policy it names holds. A field in
// both places is ErrTwice. The result is for Check only: its signature covers
// what stood in the URL.
func (v Values) WithPolicy(p Policy) (Values, error) {
	for _, f := range []struct {
		mine   *string
		theirs string
	}{{&v.Start, p.Start}, {&v.Expiry, p.Expiry}, {&v.Permissions, p.Permissions}} {
		switch {
		case f.theirs == "":
		case *f.mine != "":
			return v, ErrTwice
		default:
			*f.mine = f.theirs
		}
	}
	return v, nil
}

// Check reports why v does not serve a request made at now (nil: it does).
// The permission that the request needs is the caller's to compare.
func (v *Values) Check(now time.Time, client netip.Addr, tls bool) error {
	if v.Permissions == "" || v.Expiry == "" {
		return ErrIncomplete
	}
	if v.SignedHeaders != "" || v.SignedQuery != "" {
		return ErrNotServed
	}
	if err := within(now, v.Start, v.Expiry); err != nil {
		return err
	}
	if v.Kind() == Delegation {
		if err := within(now, v.KeyStart, v.KeyExpiry); err != nil {
			return err
		}
	}
	switch v.Protocol {
	case "", "https,http", "http,https":
	case "https":
		if !tls {
			return ErrProtocol
		}
	default:
		return ErrProtocol
	}
	if v.IP != "" && !inRange(client, v.IP) {
		return ErrAddress
	}
	return nil
}

// within reports ErrTime unless start <= now < expiry. A client signs st with
// its own clock, so a start up to a minute ahead is taken as now.
func within(now time.Time, start, expiry string) error {
	if start != "" {
		t, err := ParseTime(start)
		if err != nil || now.Add(time.Minute).Before(t) {
			return ErrTime
		}
	}
	t, err := ParseTime(expiry)
	if err != nil || !now.Before(t) {
		return ErrTime
	}
	return nil
}

// inRange reports whether addr lies in "first-last" or equals a single address.
func inRange(addr netip.Addr, allowed string) bool {
	first, last, ranged := strings.Cut(allowed, "-")
	if !ranged {
		last = first
	}
	lo, err1 := netip.ParseAddr(first)
	hi, err2 := netip.ParseAddr(last)
	if err1 != nil || err2 != nil || !addr.IsValid() {
		return false
	}
	addr, lo, hi = addr.Unmap(), lo.Unmap(), hi.Unmap()
	return addr.BitLen() == lo.BitLen() && addr.BitLen() == hi.BitLen() && lo.Compare(addr) <= 0 && addr.Compare(hi) <= 0
}
