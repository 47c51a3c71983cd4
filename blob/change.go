package blob

import (
	"context"

	"github.com/openams/openams/ams"
)

// UpdateBlob changes the headers, metadata or tier of a blob. The bytes stay.
func (s *Store) UpdateBlob(ctx context.Context, account, container, name string, cond Conditions, change func(*ams.Blob) error) (*ams.Blob, error) {
	var changed ams.Blob
	err := s.records.UpdateBlob(ctx, account, container, name, func(b *ams.Blob) error {
		if err := cond.CheckChange(b); err != nil {
			return err
		}
		if err := change(b); err != nil {
			return err
		}
		b.LastModified, b.ETag = s.stamp()
		changed = *b
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &changed, nil
}

// Delete removes a blob and its staged blocks. Its readers keep what they read.
func (s *Store) Delete(ctx context.Context, account, container, name string, cond Conditions) error {
	var old []ams.Extent
	staged, err := s.records.DeleteBlob(ctx, account, container, name, func(b *ams.Blob) error {
		old = append([]ams.Extent(nil), b.Extents...)
		return cond.CheckChange(b)
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
