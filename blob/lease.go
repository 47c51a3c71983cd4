package blob

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/openams/openams/ams"
)

// Failures of leases. Of those about an operation, restblob says which kind of
// resource it was.
var (
	ErrLeaseHeld     error = &ams.Error{Code: ams.Conflict, Msg: "There is already a lease present."}
	ErrLeaseMismatch error = &ams.Error{Code: ams.Conflict, Msg: "The lease ID specified did not match the lease ID."}
	ErrLeaseAbsent   error = &ams.Error{Code: ams.Conflict, Msg: "There is currently no lease."}
	ErrLeaseBreaking error = &ams.Error{Code: ams.Conflict, Msg: "The lease ID matched, but the lease is currently in breaking state."}
	ErrLeaseBroken   error = &ams.Error{Code: ams.Conflict, Msg: "The lease ID matched, but the lease has been broken explicitly and cannot be renewed."}

	ErrLeaseMissing error = &ams.Error{Code: ams.Precondition, Msg: "There is currently a lease and no lease ID was specified in the request."}
	ErrLeaseOther   error = &ams.Error{Code: ams.Precondition, Msg: "The lease ID specified did not match the lease ID of the resource."}
	ErrLeaseNone    error = &ams.Error{Code: ams.Precondition, Msg: "There is currently no lease on the resource."}
	ErrLeaseLost    error = &ams.Error{Code: ams.Precondition, Msg: "A lease ID was specified, but the lease has expired."}
)

// A LeaseAction changes a lease at an instant (documented: Lease Blob, "Lease
// states", whose tables it follows).
type LeaseAction func(l *ams.Lease, now time.Time) error

// AcquireLease takes a free lease for 15 to 60 seconds, or -1 for ever, or
// takes the holder's anew. proposed may be "".
func AcquireLease(proposed string, seconds int) LeaseAction {
	if proposed == "" {
		proposed = NewGUID()
	}
	return func(l *ams.Lease, now time.Time) error {
		switch l.State(now) {
		case ams.LeaseLeased:
			if !strings.EqualFold(l.ID, proposed) {
				return ErrLeaseHeld
			}
		case ams.LeaseBreaking:
			if strings.EqualFold(l.ID, proposed) {
				return ErrLeaseBreaking
			}
			return ErrLeaseHeld
		}
		*l = ams.Lease{ID: strings.ToLower(proposed), Seconds: seconds}
		extend(l, now)
		return nil
	}
}

func extend(l *ams.Lease, now time.Time) {
	if l.Expires = (time.Time{}); l.Seconds > 0 {
		l.Expires = now.Add(time.Duration(l.Seconds) * time.Second)
	}
}

// RenewLease starts the holder's time again. An expired lease can be renewed
// while nobody wrote or took one in between: a write forgets it.
func RenewLease(id string) LeaseAction {
	return func(l *ams.Lease, now time.Time) error {
		switch state := l.State(now); {
		case state == ams.LeaseAvailable || !strings.EqualFold(l.ID, id):
			return ErrLeaseMismatch
		case state == ams.LeaseBreaking || state == ams.LeaseBroken:
			return ErrLeaseBroken
		}
		extend(l, now)
		return nil
	}
}

// ChangeLease gives the holder's lease another id.
func ChangeLease(id, proposed string) LeaseAction {
	return func(l *ams.Lease, now time.Time) error {
		state := l.State(now)
		switch {
		case state != ams.LeaseLeased && state != ams.LeaseBreaking:
			return ErrLeaseAbsent
		case !strings.EqualFold(l.ID, id) && !strings.EqualFold(l.ID, proposed):
			return ErrLeaseMismatch
		case state == ams.LeaseBreaking:
			return ErrLeaseBreaking
		}
		l.ID = strings.ToLower(proposed)
		return nil
	}
}

// ReleaseLease ends the holder's lease.
func ReleaseLease(id string) LeaseAction {
	return func(l *ams.Lease, now time.Time) error {
		if l.ID == "" || !strings.EqualFold(l.ID, id) {
			return ErrLeaseMismatch
		}
		*l = ams.Lease{}
		return nil
	}
}

// BreakLease ends anybody's lease after period, or after what is left of it,
// whichever is sooner. A negative period stands for what is left, which for a
// lease without end is nothing.
func BreakLease(period time.Duration) LeaseAction {
	return func(l *ams.Lease, now time.Time) error {
		var left time.Duration
		switch l.State(now) {
		case ams.LeaseAvailable:
			return ErrLeaseAbsent
		case ams.LeaseBroken:
			return nil
		case ams.LeaseExpired:
		case ams.LeaseBreaking:
			left = l.Broken.Sub(now)
			if period >= 0 {
				left = min(left, period)
			}
		default:
			left = max(period, 0)
			if l.Seconds > 0 {
				if rest := l.Expires.Sub(now); period < 0 || rest < left {
					left = rest
				}
			}
		}
		l.Broken = now.Add(left)
		return nil
	}
}

// Lease acts on the lease of a blob and returns the blob, whose ETag stays.
func (s *Store) Lease(ctx context.Context, account, container, name string, cond Conditions, act LeaseAction) (*ams.Blob, error) {
	var changed ams.Blob
	err := s.records.UpdateBlob(ctx, account, container, name, func(b *ams.Blob) error {
		if err := cond.check(b.ETag, b.LastModified); err != nil {
			return err
		}
		if err := act(&b.Lease, s.now()); err != nil {
			return err
		}
		changed = *b
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &changed, nil
}

// LeaseContainer is Lease for a container.
func (s *Store) LeaseContainer(ctx context.Context, account, name string, cond Conditions, act LeaseAction) (*ams.Container, error) {
	var changed ams.Container
	err := s.records.UpdateContainer(ctx, account, name, func(c *ams.Container) error {
		if err := cond.check(c.ETag, c.LastModified); err != nil {
			return err
		}
		if err := act(&c.Lease, s.now()); err != nil {
			return err
		}
		changed = *c
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &changed, nil
}

// checkLease reports why the bearer of id may not use what l protects. A write
// must name a lease that binds; whoever names one must name the right one.
func checkLease(l *ams.Lease, id string, write bool, now time.Time) error {
	state := l.State(now)
	binds := state == ams.LeaseLeased || state == ams.LeaseBreaking
	switch {
	case id == "" && binds && write:
		return ErrLeaseMissing
	case id == "":
		return nil
	case binds && !strings.EqualFold(l.ID, id):
		return ErrLeaseOther
	case binds:
		return nil
	case state != ams.LeaseAvailable && strings.EqualFold(l.ID, id):
		return ErrLeaseLost
	}
	return ErrLeaseNone
}

// keptLease is what of a lease is left after a write: one that no longer binds
// cannot be renewed any more.
func keptLease(l ams.Lease, now time.Time) ams.Lease {
	if l.Binds(now) {
		return l
	}
	return ams.Lease{}
}

// NewGUID is a random GUID, as leases and copies are named.
func NewGUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
