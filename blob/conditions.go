package blob

import (
	"slices"
	"time"

	"github.com/openams/openams/ams"
)

// Conditions must hold for an operation to happen. The zero value always does.
type Conditions struct {
	IfMatch           []string // etags without quotes, or "*"
	IfNoneMatch       []string
	IfModifiedSince   time.Time // whole seconds
	IfUnmodifiedSince time.Time
	Lease             string // id of the lease that the caller holds, "" for none
	Unleased          bool   // the operation does not ask for the lease's id (documented for snapshots)
}

// CreateOnly holds only where no blob has the name yet.
func CreateOnly() Conditions { return Conditions{IfNoneMatch: []string{"*"}} }

// ErrNotModified is the answer of CheckRead for a reader whose copy is fresh.
var ErrNotModified error = &ams.Error{Code: ams.Precondition, Msg: "The condition specified using HTTP conditional header(s) is not met: the blob is unchanged."}

// ErrUnsatisfiable is the answer of CheckRead to "read it if it does not exist".
var ErrUnsatisfiable error = &ams.Error{Code: ams.Invalid, Msg: "The request includes an unsatisfiable condition for this operation."}

// CheckWrite reports why c forbids to write over b; b is nil where there is
// none (documented: "Specifying conditional headers for Blob service
// operations").
func (c *Conditions) CheckWrite(b *ams.Blob, now time.Time) error {
	if b == nil {
		switch {
		case len(c.IfMatch) > 0:
			return ams.ErrConditionNotMet
		case c.Lease != "":
			return ErrLeaseNone
		}
		return nil
	}
	if slices.Contains(c.IfNoneMatch, "*") {
		return ams.ErrBlobExists
	}
	return c.CheckChange(b, now)
}

// CheckChange is CheckWrite for an operation that changes an existing blob in
// place: set properties, delete.
func (c *Conditions) CheckChange(b *ams.Blob, now time.Time) error {
	if err := c.check(b.ETag, b.LastModified); err != nil {
		return err
	}
	if err := checkLease(&b.Lease, c.Lease, !c.Unleased, now); err != nil {
		return err
	}
	if b.Copy != nil && b.Copy.Status == ams.CopyPending {
		return ErrCopyPending
	}
	return nil
}

// CheckContainer is CheckChange for a container, whose lease is asked for by
// its deletion alone.
func (c *Conditions) CheckContainer(k *ams.Container, deleted bool, now time.Time) error {
	if err := c.check(k.ETag, k.LastModified); err != nil {
		return err
	}
	return checkLease(&k.Lease, c.Lease, deleted, now)
}

func (c *Conditions) check(etag string, modified time.Time) error {
	modified = modified.Truncate(time.Second)
	switch {
	case len(c.IfMatch) > 0 && !matches(c.IfMatch, etag),
		len(c.IfNoneMatch) > 0 && matches(c.IfNoneMatch, etag),
		!c.IfModifiedSince.IsZero() && !modified.After(c.IfModifiedSince),
		!c.IfUnmodifiedSince.IsZero() && modified.After(c.IfUnmodifiedSince):
		return ams.ErrConditionNotMet
	}
	return nil
}

// CheckRead reports why c forbids to read b.
func (c *Conditions) CheckRead(b *ams.Blob, now time.Time) error {
	if err := checkLease(&b.Lease, c.Lease, false, now); err != nil {
		return err
	}
	modified := b.LastModified.Truncate(time.Second)
	switch {
	case len(c.IfMatch) > 0 && !matches(c.IfMatch, b.ETag),
		!c.IfUnmodifiedSince.IsZero() && modified.After(c.IfUnmodifiedSince):
		return ams.ErrConditionNotMet
	case slices.Contains(c.IfNoneMatch, "*"):
		return ErrUnsatisfiable
	case len(c.IfNoneMatch) > 0:
		// An etag that differs outweighs the date (RFC 9110 13.2.2).
		if matches(c.IfNoneMatch, b.ETag) {
			return ErrNotModified
		}
	case !c.IfModifiedSince.IsZero() && !modified.After(c.IfModifiedSince):
		return ErrNotModified
	}
	return nil
}

func matches(etags []string, etag string) bool {
	return slices.Contains(etags, etag) || slices.Contains(etags, "*")
}
