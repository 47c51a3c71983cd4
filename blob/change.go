package blob

import (
	"context"
	"errors"

	"github.com/openams/openams/ams"
)

// UpdateBlob changes the headers, metadata or tier of a blob. The bytes stay.
func (s *Store) UpdateBlob(ctx context.Context, account, container, name string, cond Conditions, change func(*ams.Blob) error) (*ams.Blob, error) {
	var changed ams.Blob
	err := s.records.UpdateBlob(ctx, account, container, name, func(b *ams.Blob) error {
		if err := cond.CheckChange(b, s.now()); err != nil {
			return err
		}
		if err := change(b); err != nil {
			return err
		}
		b.Lease = keptLease(b.Lease, s.now())
		b.LastModified, b.ETag = s.stamp()
		changed = *b
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &changed, nil
}

// DeleteOptions say which of a blob and its snapshots go.
type DeleteOptions struct {
	If       Conditions
	Snapshot string // this one alone
	// Snapshots is what happens to all of them: "" refuses with
	// ErrSnapshotsPresent while there are any, "include" takes them too, "only"
	// takes them and leaves the blob.
	Snapshots string
}

// Delete removes a blob and its staged blocks; one with snapshots is refused
// (see Remove). Its readers keep what they read.
func (s *Store) Delete(ctx context.Context, account, container, name string, cond Conditions) error {
	return s.Remove(ctx, account, container, name, DeleteOptions{If: cond})
}

// Remove is Delete for blobs that may have snapshots.
func (s *Store) Remove(ctx context.Context, account, container, name string, o DeleteOptions) error {
	var old []ams.Extent
	choose := func(b *ams.Blob, snapshots []*ams.Blob) (base bool, gone []string, err error) {
		old = nil
		if o.Snapshot == "" {
			if err := o.If.CheckChange(b, s.now()); err != nil && !errors.Is(err, ErrCopyPending) {
				return false, nil, err
			}
		}
		base = o.Snapshot == "" && o.Snapshots != "only"
		if base {
			old = append(old, b.Extents...)
		}
		for _, v := range snapshots {
			switch {
			case o.Snapshot != "" && v.Snapshot != o.Snapshot:
				continue
			case o.Snapshot == "" && o.Snapshots == "":
				return false, nil, ErrSnapshotsPresent
			}
			gone = append(gone, v.Snapshot)
			old = append(old, v.Extents...)
		}
		if !base && len(gone) == 0 {
			return false, nil, ams.ErrBlobNotFound
		}
		return base, gone, nil
	}
	var staged []ams.Block
	err := s.Freeing(func() (err error) {
		staged, err = s.records.DeleteBlob(ctx, account, container, name, choose)
		return err
	})
	if err != nil {
		return err
	}
	for _, k := range staged {
		old = append(old, ams.Extent{File: k.File})
	}
	s.discard(ctx, unnamed(old, nil))
	return nil
}
