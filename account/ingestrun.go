package account

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
	"github.com/openams/openams/catalog"
)

// arrivals are the containers of manifests to which something was uploaded.
type arrivals struct {
	mu   sync.Mutex
	of   map[[2]string]bool // by storage account and container
	wake chan struct{}
}

// arrived notes that a blob may have come to the container of a manifest.
func (s *Server) arrived(storageAccount, container, _ string) {
	if !strings.HasPrefix(container, ams.IngestContainers) {
		return
	}
	s.uploads.mu.Lock()
	s.uploads.of[[2]string{storageAccount, container}] = true
	s.uploads.mu.Unlock()
	select {
	case s.uploads.wake <- struct{}{}:
	default:
	}
}

func (a *arrivals) take() map[[2]string]bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	taken := a.of
	a.of = map[[2]string]bool{}
	return taken
}

// ingestEvery is how often all manifests that wait are looked at: for what
// other processes took in, and for what failed for want of space or the like.
const ingestEvery = 30 * time.Second

// RunIngest moves the files of ingest manifests to their assets as they
// arrive, until ctx ends.
//
// A file is copied to the asset's container first; then one transaction makes
// its AssetFile and ends its wait; then it is deleted from the container of
// the manifest. A kill in between leaves it pending, to be copied again, or
// finished with its source, which the first look after a start deletes.
func (s *Server) RunIngest(ctx context.Context) error {
	defer s.Blobs.Watch(s.arrived)()
	tick := time.NewTicker(ingestEvery)
	defer tick.Stop()
	err := s.Ingest(ctx, false)
	for {
		if err != nil && ctx.Err() == nil {
			s.Log.ErrorContext(ctx, "bulk ingest", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			err = s.Ingest(ctx, true)
		case <-s.uploads.wake:
			err = nil
			for at := range s.uploads.take() {
				err = errors.Join(err, s.ingestContainer(ctx, at[0], at[1]))
			}
		}
	}
}

// Ingest looks once at all manifests, or at those alone that wait for files. It
// is for RunIngest and for tests: one call at a time.
func (s *Server) Ingest(ctx context.Context, waiting bool) error {
	const batch = 100
	after := ""
	var errs error
	for {
		var list []*ams.IngestManifest
		err := s.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
			list, err = tx.IngestManifests(waiting, after, batch)
			return err
		})
		if err != nil {
			return errors.Join(errs, err)
		}
		for _, m := range list {
			errs = errors.Join(errs, s.ingestManifest(ctx, m))
			after = m.ID
		}
		if len(list) < batch {
			return errs
		}
	}
}

func (s *Server) ingestContainer(ctx context.Context, storageAccount, container string) error {
	var m *ams.IngestManifest
	err := s.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		m, err = tx.IngestManifestByContainer(storageAccount, container)
		return err
	})
	if err != nil {
		_, err := gone(err)
		return err
	}
	return s.ingestManifest(ctx, m)
}

// ingestManifest moves what has arrived for a manifest.
func (s *Server) ingestManifest(ctx context.Context, m *ams.IngestManifest) error {
	if !m.Watched {
		err := s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
			now, err := tx.IngestManifest(m.Account, m.ID)
			if err != nil {
				return err
			}
			now.Watched = true
			return tx.UpdateIngestManifest(now)
		})
		if existed, err := gone(err); !existed {
			return err
		}
	}
	var errs error
	for b, err := range s.Blobs.All(ctx, m.StorageAccount, m.Container, "") {
		if err != nil {
			if errors.Is(err, ams.ErrContainerNotFound) {
				err = nil // deleted by a client: there is nothing to come
			}
			return errors.Join(errs, err)
		}
		if b.Copy != nil && b.Copy.Status == ams.CopyPending {
			continue // its end counts as an arrival
		}
		errs = errors.Join(errs, s.ingestBlob(ctx, m, b))
	}
	return errs
}

// ingestBlob moves one blob if a file of m waits for it.
func (s *Server) ingestBlob(ctx context.Context, m *ams.IngestManifest, b *ams.Blob) error {
	var f *ams.IngestFile
	var to *ams.Asset
	err := s.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		f, err = tx.IngestFileByName(m.ID, b.Name)
		if err != nil || f.State != ams.IngestPending {
			return err
		}
		to, err = assetOf(tx, f)
		return err
	})
	switch {
	case f == nil:
		_, err = gone(err)
		return err // nobody asked for it, or not yet
	case f.State == ams.IngestFinished && f.Source == b.ETag:
		return s.deleteSource(ctx, m, f)
	case f.State != ams.IngestPending:
		return nil
	}
	if err == nil {
		b, err = s.copyIn(ctx, m, b, to)
	}
	if err == nil {
		err = s.finishIngest(ctx, f, b)
	}
	switch {
	case errors.Is(err, ams.ErrBlobNotFound): // taken away again
		return nil
	case err == nil:
		return s.deleteSource(ctx, m, f)
	case ams.CodeOf(err) == ams.Internal || ams.CodeOf(err) == ams.Unavailable || ctx.Err() != nil:
		return err // to be tried again
	}
	return s.failIngest(ctx, f, err)
}

// assetOf is the asset that f is for.
func assetOf(tx *catalog.Tx, f *ams.IngestFile) (*ams.Asset, error) {
	in, err := tx.IngestAsset(f.Account, f.IngestAsset)
	if err != nil {
		return nil, err
	}
	asset, err := tx.AssetByID(f.Account, in.Asset)
	if ams.CodeOf(err) == ams.NotFound {
		err = ams.Errorf(ams.NotFound, "The asset was deleted.")
	}
	return asset, err
}

// copyIn copies an uploaded blob into the container of an asset, and returns
// it as it was when it was copied.
func (s *Server) copyIn(ctx context.Context, m *ams.IngestManifest, b *ams.Blob, to *ams.Asset) (*ams.Blob, error) {
	r, err := s.Blobs.Open(ctx, m.StorageAccount, m.Container, b.Name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b = r.Blob()
	_, err = s.Blobs.CopyBlob(ctx, r, to.StorageAccount, to.Container, b.Name,
		blob.PutOptions{Headers: b.Headers, Metadata: b.Metadata, Tier: b.Tier, Tags: b.Tags})
	return b, err
}

// finishIngest makes the AssetFile of f, whose blob b is in the asset.
func (s *Server) finishIngest(ctx context.Context, f *ams.IngestFile, b *ams.Blob) error {
	return s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		now, err := tx.IngestFile(f.Account, f.ID)
		if err != nil || now.State != ams.IngestPending {
			return err
		}
		asset, err := assetOf(tx, now)
		if err != nil {
			return err
		}
		made := fileOf(now, asset, b.Size)
		made.Created = s.now()
		made.LastModified = made.Created
		if err := s.insertFile(tx, made); err != nil {
			return err
		}
		now.State, now.Source, now.LastModified = ams.IngestFinished, b.ETag, s.now()
		*f = *now
		return tx.UpdateIngestFile(now)
	})
}

// fileOf is the AssetFile that f becomes.
func fileOf(f *ams.IngestFile, asset *ams.Asset, size int64) *ams.AssetFile {
	return &ams.AssetFile{Account: f.Account, ID: uuid.NewString(), Asset: asset.ID, Name: f.Name, Size: size, Primary: f.Primary,
		Encrypted: f.Encrypted, EncryptionVersion: f.EncryptionVersion, EncryptionScheme: f.EncryptionScheme,
		EncryptionKey: f.EncryptionKey, InitializationVector: f.InitializationVector, MIMEType: f.MIMEType, Options: asset.Options}
}

// deleteSource deletes the blob that f was made from, unless there is another
// by now.
func (s *Server) deleteSource(ctx context.Context, m *ams.IngestManifest, f *ams.IngestFile) error {
	err := s.Blobs.Delete(ctx, m.StorageAccount, m.Container, f.Name, blob.Conditions{IfMatch: []string{f.Source}})
	switch ams.CodeOf(err) {
	case ams.NotFound, ams.Precondition, ams.Conflict: // gone, replaced, or leased by a client
		return nil
	}
	return err
}

// failIngest records why f cannot be moved.
func (s *Server) failIngest(ctx context.Context, f *ams.IngestFile, why error) error {
	_, err := gone(s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		now, err := tx.IngestFile(f.Account, f.ID)
		if err != nil || now.State != ams.IngestPending {
			return err
		}
		now.State, now.Error, now.LastModified = ams.IngestFailed, why.Error(), s.now()
		return tx.UpdateIngestFile(now)
	}))
	return err
}
