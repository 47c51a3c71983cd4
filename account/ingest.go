package account

import (
	"context"

	"github.com/google/uuid"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
	"github.com/openams/openams/catalog"
)

// Bulk ingest (v2): a client says which files it will upload for which assets,
// uploads them all to the container of a manifest, and the server moves each
// to its asset as it arrives; see ingestrun.go.

// maxManifestLabel bounds the v2 Name of a manifest, in bytes. AMS documents
// none.
const maxManifestLabel = 4000

// CreateIngestManifest makes a manifest and the container that takes its
// uploads. An empty storage account is the primary one; one that is not
// attached is NotFound.
func (a *Account) CreateIngestManifest(ctx context.Context, label, storageAccount string) (*ams.IngestManifest, error) {
	if err := short("Name", label, maxManifestLabel); err != nil {
		return nil, err
	}
	if storageAccount == "" {
		storageAccount = a.PrimaryStorage()
	}
	if !a.HasStorage(storageAccount) {
		return nil, ams.Errorf(ams.NotFound, "The storage account '%s' is not attached to the media services account '%s'.", storageAccount, a.Name)
	}
	now := a.s.now()
	m := &ams.IngestManifest{Account: a.ID, ID: uuid.NewString(), Label: label, StorageAccount: storageAccount, Created: now, LastModified: now}
	m.Container = ams.IngestContainers + m.ID
	container, err := a.s.Blobs.NewContainer(m.StorageAccount, m.Container, blob.ContainerOptions{})
	if err != nil {
		return nil, err
	}
	err = a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		n, err := tx.CountIngestManifests(a.ID)
		if err != nil {
			return err
		}
		if n >= a.s.Limits.IngestManifests {
			return full("ingest manifests in the account", a.s.Limits.IngestManifests)
		}
		if err := tx.InsertContainer(container); err != nil {
			return err
		}
		return tx.InsertIngestManifest(m)
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// IngestURL is where clients upload the files of a manifest. As in AMS it
// carries no signature: they sign with a key of the storage account.
func (a *Account) IngestURL(m *ams.IngestManifest) string {
	return a.s.BlobEndpoint + "/" + m.StorageAccount + "/" + m.Container
}

// IngestManifest finds a manifest by its guid.
func (a *Account) IngestManifest(ctx context.Context, id string) (m *ams.IngestManifest, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		m, err = tx.IngestManifest(a.ID, id)
		return err
	})
	return m, err
}

// FindIngestManifests searches the manifests of the account.
func (a *Account) FindIngestManifests(ctx context.Context, s catalog.Search) (found *catalog.Found[ams.IngestManifest], err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		found, err = tx.FindIngestManifests(a.ID, s)
		return err
	})
	return found, err
}

// IngestStatistics counts the files of some manifests, by IngestManifest.ID.
func (a *Account) IngestStatistics(ctx context.Context, manifests ...*ams.IngestManifest) (stats map[string]*ams.IngestStatistics, err error) {
	var ids []string
	for _, m := range manifests {
		ids = append(ids, m.ID)
	}
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		stats, err = tx.IngestStatistics(ids)
		return err
	})
	return stats, err
}

// UpdateIngestManifest gives a manifest another label.
func (a *Account) UpdateIngestManifest(ctx context.Context, id, label string) error {
	if err := short("Name", label, maxManifestLabel); err != nil {
		return err
	}
	return a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		m, err := tx.IngestManifest(a.ID, id)
		if err != nil {
			return err
		}
		m.Label, m.LastModified = label, a.s.now()
		return tx.UpdateIngestManifest(m)
	})
}

// DeleteIngestManifest deletes a manifest, what is in it, and its container
// with what was uploaded and not moved yet. The assets stay.
func (a *Account) DeleteIngestManifest(ctx context.Context, id string) error {
	if err := alone(catalog.Joined(ctx), "Deleting an ingest manifest"); err != nil {
		return err
	}
	return a.s.deleting(ctx, func(ctx context.Context, remove func(storage, container string) error) error {
		return a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
			m, err := tx.IngestManifest(a.ID, id)
			if err != nil {
				return err
			}
			if err := remove(m.StorageAccount, m.Container); err != nil {
				return err
			}
			return tx.DeleteIngestManifest(a.ID, m.ID)
		})
	})
}

// AddIngestAsset says that files of a manifest are for an asset, both by their
// guids. An asset in another storage account, or in the manifest already, is
// Exists, which v2 shows as a conflict (documented).
func (a *Account) AddIngestAsset(ctx context.Context, manifest, asset string) (*ams.IngestAsset, error) {
	now := a.s.now()
	made := &ams.IngestAsset{Account: a.ID, ID: uuid.NewString(), Created: now, LastModified: now}
	return made, a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		m, err := tx.IngestManifest(a.ID, manifest)
		if err != nil {
			return err
		}
		to, err := tx.AssetByID(a.ID, asset)
		if err != nil {
			return err
		}
		if to.StorageAccount != m.StorageAccount {
			return ams.Errorf(ams.Conflict, "The asset is in the storage account '%s', the ingest manifest in '%s'.", to.StorageAccount, m.StorageAccount)
		}
		made.Manifest, made.Asset = m.ID, to.ID
		err = tx.InsertIngestAsset(made)
		if ams.CodeOf(err) == ams.Exists {
			err = ams.Errorf(ams.Exists, "The ingest manifest has the asset already.")
		}
		return err
	})
}

// IngestAsset finds an asset of a manifest by its own guid.
func (a *Account) IngestAsset(ctx context.Context, id string) (found *ams.IngestAsset, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		found, err = tx.IngestAsset(a.ID, id)
		return err
	})
	return found, err
}

// FindIngestAssets searches the assets of all manifests.
func (a *Account) FindIngestAssets(ctx context.Context, s catalog.Search) (found *catalog.Found[ams.IngestAsset], err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		found, err = tx.FindIngestAssets(a.ID, s)
		return err
	})
	return found, err
}

// FindPendingIngestAssets searches the assets of a manifest that wait for
// files.
func (a *Account) FindPendingIngestAssets(ctx context.Context, manifest string, s catalog.Search) (found *catalog.Found[ams.IngestAsset], err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		if _, err := tx.IngestManifest(a.ID, manifest); err != nil {
			return err
		}
		found, err = tx.FindPendingIngestAssets(a.ID, manifest, s)
		return err
	})
	return found, err
}

// DeleteIngestAsset takes an asset out of its manifest, with its files there.
// What was moved stays in the asset.
func (a *Account) DeleteIngestAsset(ctx context.Context, id string) error {
	return a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.DeleteIngestAsset(a.ID, id) })
}

// AddIngestFile says that a file will be uploaded. f names its manifest and
// the asset there. It may have been uploaded already.
func (a *Account) AddIngestFile(ctx context.Context, f ams.IngestFile) (*ams.IngestFile, error) {
	file := fileOf(&f, &ams.Asset{}, 0)
	if err := ams.ValidateAssetFileName(f.Name); err != nil {
		return nil, err
	}
	if err := checkFile(file); err != nil {
		return nil, err
	}
	f.Account, f.ID, f.State, f.Error, f.Source = a.ID, uuid.NewString(), ams.IngestPending, "", ""
	f.Created = a.s.now()
	f.LastModified = f.Created
	var m *ams.IngestManifest
	err := a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		var err error
		if m, err = tx.IngestManifest(a.ID, f.Manifest); err != nil {
			return err
		}
		in, err := tx.IngestAsset(a.ID, f.IngestAsset)
		if err != nil {
			return err
		}
		if in.Manifest != m.ID {
			return ams.Invalidf("ParentIngestManifestAssetId", "The asset is of another ingest manifest.")
		}
		f.Manifest, f.IngestAsset = m.ID, in.ID
		return a.addIngestFile(tx, &f)
	})
	if err != nil {
		return nil, err
	}
	a.s.arrived(m.StorageAccount, m.Container, f.Name)
	return &f, nil
}

func (a *Account) addIngestFile(tx *catalog.Tx, f *ams.IngestFile) error {
	n, err := tx.CountIngestFiles(f.Manifest)
	if err != nil {
		return err
	}
	if n >= a.s.Limits.IngestFiles {
		return full("files in an ingest manifest", a.s.Limits.IngestFiles)
	}
	if f.Primary {
		other, err := tx.PrimaryIngestFile(f.IngestAsset)
		if err == nil {
			return ams.Errorf(ams.Conflict, "The primary file of the asset is '%s': an asset has at most one.", other.Name)
		}
		if ams.CodeOf(err) != ams.NotFound {
			return err
		}
	}
	err = tx.InsertIngestFile(f)
	if ams.CodeOf(err) == ams.Exists {
		err = ams.Errorf(ams.Exists, "The ingest manifest has a file named '%s' already.", f.Name)
	}
	return err
}

// IngestFile finds a file of a manifest by its guid.
func (a *Account) IngestFile(ctx context.Context, id string) (f *ams.IngestFile, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		f, err = tx.IngestFile(a.ID, id)
		return err
	})
	return f, err
}

// FindIngestFiles searches the files of all manifests.
func (a *Account) FindIngestFiles(ctx context.Context, s catalog.Search) (found *catalog.Found[ams.IngestFile], err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		found, err = tx.FindIngestFiles(a.ID, s)
		return err
	})
	return found, err
}

// DeleteIngestFile takes a file out of its manifest. What was moved stays in
// the asset, what was only uploaded in the container of the manifest.
func (a *Account) DeleteIngestFile(ctx context.Context, id string) error {
	return a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.DeleteIngestFile(a.ID, id) })
}
