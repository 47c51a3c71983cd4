package blob

import (
	"context"

	"github.com/openams/openams/ams"
)

// ContainerOptions are what a new container may be told.
type ContainerOptions struct {
	Metadata     map[string]string
	PublicAccess string // "", "container" or "blob"
}

// CreateContainer makes an empty container, or fails with
// ams.ErrContainerExists. A container named like its account is refused: Go
// clients sign paths on host names as if the account were the container.
func (s *Store) CreateContainer(ctx context.Context, account, name string, o ContainerOptions) (*ams.Container, error) {
	c, err := s.NewContainer(account, name, o)
	if err != nil {
		return nil, err
	}
	if err := s.records.CreateContainer(ctx, c); err != nil {
		return nil, err
	}
	return c, nil
}

// NewContainer is the record of a container that does not exist yet, for
// callers that add it in a transaction of their own.
func (s *Store) NewContainer(account, name string, o ContainerOptions) (*ams.Container, error) {
	if err := ams.ValidateContainerName(name); err != nil {
		return nil, err
	}
	if name == account {
		return nil, ams.Errorf(ams.Invalid, "The container name '%s' is the name of its storage account.", name)
	}
	now, etag := s.stamp()
	return &ams.Container{
		StorageAccount: account, Name: name, ETag: etag, Created: now, LastModified: now,
		Metadata: o.Metadata, PublicAccess: o.PublicAccess,
	}, nil
}

// Container describes one container.
func (s *Store) Container(ctx context.Context, account, name string) (*ams.Container, error) {
	return s.records.Container(ctx, account, name)
}

// UpdateContainer changes metadata, public access or policies.
func (s *Store) UpdateContainer(ctx context.Context, account, name string, change func(*ams.Container) error) (*ams.Container, error) {
	var changed ams.Container
	err := s.records.UpdateContainer(ctx, account, name, func(c *ams.Container) error {
		if err := change(c); err != nil {
			return err
		}
		s.Stamp(c)
		changed = *c
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &changed, nil
}

// Stamp marks c as changed now, for callers that change it in a transaction of
// their own.
func (s *Store) Stamp(c *ams.Container) { c.LastModified, c.ETag = s.stamp() }

// DeleteContainer removes a container and all its blobs.
func (s *Store) DeleteContainer(ctx context.Context, account, name string, cond Conditions) error {
	var discard func(context.Context)
	err := s.Freeing(func() (err error) {
		discard, err = s.RemoveContainer(ctx, account, name, cond)
		return err
	})
	if err != nil {
		return err
	}
	discard(ctx)
	return nil
}

// RemoveContainer is DeleteContainer for who does more in one transaction of the
// catalog: the records go with that, the bytes when discard is called after its
// commit. If that never happens they go at the next Recover.
func (s *Store) RemoveContainer(ctx context.Context, account, name string, cond Conditions) (discard func(context.Context), err error) {
	files, err := s.records.DeleteContainer(ctx, account, name, func(c *ams.Container) error {
		return cond.CheckContainer(c, true, s.now())
	})
	return func(ctx context.Context) { s.discard(ctx, files) }, err
}

// Properties are the settings of a storage account; those of one that was
// never set up are zero.
func (s *Store) Properties(ctx context.Context, account string) (*ams.StorageProperties, error) {
	return s.records.StorageProperties(ctx, account)
}

// UpdateProperties changes the settings of a storage account.
func (s *Store) UpdateProperties(ctx context.Context, account string, change func(*ams.StorageProperties) error) error {
	return s.records.UpdateStorageProperties(ctx, account, change)
}
