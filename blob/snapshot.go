package blob

import (
	"context"
	"slices"
	"time"

	"github.com/openams/openams/ams"
)

// ErrSnapshotsPresent refuses to delete a blob that has snapshots.
var ErrSnapshotsPresent error = &ams.Error{Code: ams.Conflict, Msg: "This operation is not permitted because the blob has snapshots."}

// SnapshotTime is how the address of a snapshot says its time.
const SnapshotTime = "2006-01-02T15:04:05.0000000Z"

// TakeSnapshot keeps the present version of a blob. The snapshot has files of
// its own, linked to the blob's where the driver can: neither knows what
// becomes of the other. metadata replaces the blob's unless it is nil.
func (s *Store) TakeSnapshot(ctx context.Context, account, container, name string, cond Conditions, metadata map[string]string) (*ams.Blob, error) {
	cond.Unleased = true
	for {
		r, err := s.Open(ctx, account, container, name)
		if err != nil {
			return nil, err
		}
		b, again, err := s.takeSnapshot(ctx, r, cond, metadata)
		r.Close()
		if !again {
			return b, err
		}
	}
}

// takeSnapshot reports again when the blob changed meanwhile.
func (s *Store) takeSnapshot(ctx context.Context, r *Reader, cond Conditions, metadata map[string]string) (made *ams.Blob, again bool, err error) {
	from := r.blob
	if err := cond.CheckChange(from, s.now()); err != nil {
		return nil, false, err
	}
	extents, err := s.duplicate(ctx, r, from.StorageAccount, from.Container, from.Name)
	if err != nil {
		return nil, false, err
	}
	err = s.records.PutSnapshot(context.WithoutCancel(ctx), from.StorageAccount, from.Container, from.Name, func(b *ams.Blob) (*ams.Blob, error) {
		made = nil
		if err := cond.CheckChange(b, s.now()); err != nil {
			return nil, err
		}
		if again = b.ETag != from.ETag || !slices.Equal(b.Extents, from.Extents); again {
			return nil, errChanged
		}
		v := *b
		_, tick := s.stamp() // no two snapshots have one time
		v.Snapshot, v.Extents, v.Lease = tickTime(tick).Format(SnapshotTime), extents, ams.Lease{}
		if metadata != nil {
			v.Metadata = metadata
			v.ETag = tick
		}
		made = &v
		return made, nil
	})
	if err != nil && made == nil {
		s.discard(ctx, unnamed(extents, nil))
	}
	if err != nil {
		return nil, again, err
	}
	return made, false, nil
}

// duplicate gives the bytes of r files of another blob.
func (s *Store) duplicate(ctx context.Context, r *Reader, account, container, name string) ([]ams.Extent, error) {
	if len(r.blob.Extents) == 0 {
		return nil, nil
	}
	x, err := s.gather(ctx, r, Place{Account: account, Container: container, Blob: name})
	if err != nil {
		return nil, err
	}
	return []ams.Extent{x}, nil
}

// epoch is the year 1970 in .NET ticks, 100 ns from the year 1.
const epoch = 621355968000000000

// tickTime is the instant that an ETag of stamp stands for.
func tickTime(etag string) time.Time {
	var tick int64
	for _, c := range etag[2:] {
		tick <<= 4
		if c >= 'A' {
			tick += int64(c-'A') + 10
		} else {
			tick += int64(c - '0')
		}
	}
	ns := tick - epoch
	return time.Unix(ns/1e7, ns%1e7*100).UTC()
}
