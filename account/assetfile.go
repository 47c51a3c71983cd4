package account

import (
	"context"
	"path"
	"strings"

	"github.com/google/uuid"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
	"github.com/openams/openams/catalog"
)

// maxFileText bounds each text of an AssetFile, in bytes. AMS documents none.
const maxFileText = 4000

// CreateFile records a file of an asset. It is Exists if the asset has one of
// the name, Conflict if it has another primary file.
func (a *Account) CreateFile(ctx context.Context, f ams.AssetFile) (*ams.AssetFile, error) {
	if err := ams.ValidateAssetFileName(f.Name); err != nil {
		return nil, err
	}
	if err := checkFile(&f); err != nil {
		return nil, err
	}
	f.Account, f.ID, f.Asset = a.ID, uuid.NewString(), strings.ToLower(f.Asset)
	f.Created = a.s.now()
	f.LastModified = f.Created
	return &f, a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		if _, err := tx.AssetByID(a.ID, f.Asset); err != nil {
			return err
		}
		return a.s.insertFile(tx, &f)
	})
}

// insertFile adds a file to its asset, which exists.
func (s *Server) insertFile(tx *catalog.Tx, f *ams.AssetFile) error {
	n, err := tx.CountAssetFiles(f.Account, f.Asset)
	if err != nil {
		return err
	}
	if n >= s.Limits.FilesPerAsset {
		return full("files in an asset", s.Limits.FilesPerAsset)
	}
	if err := onePrimary(tx, f); err != nil {
		return err
	}
	err = tx.InsertAssetFile(f)
	if ams.CodeOf(err) == ams.Exists {
		err = ams.Errorf(ams.Exists, "The asset has a file named '%s' already.", f.Name)
	}
	return err
}

func checkFile(f *ams.AssetFile) error {
	if f.Size < 0 {
		return ams.Invalidf("ContentFileSize", "ContentFileSize is negative.")
	}
	for at, text := range map[string]string{
		"EncryptionVersion": f.EncryptionVersion, "EncryptionScheme": f.EncryptionScheme, "EncryptionKeyId": f.EncryptionKey,
		"InitializationVector": f.InitializationVector, "MimeType": f.MIMEType, "ContentChecksum": f.Checksum,
	} {
		if err := short(at, text, maxFileText); err != nil {
			return err
		}
	}
	return nil
}

// onePrimary refuses a second primary file of an asset.
func onePrimary(tx *catalog.Tx, f *ams.AssetFile) error {
	if !f.Primary {
		return nil
	}
	other, err := tx.PrimaryFile(f.Account, f.Asset)
	switch {
	case ams.CodeOf(err) == ams.NotFound:
		return nil
	case err != nil:
		return err
	case other.ID == f.ID:
		return nil
	}
	return ams.Errorf(ams.Conflict, "The primary file of the asset is '%s': an asset has at most one.", other.Name)
}

// File finds a file by its guid.
func (a *Account) File(ctx context.Context, id string) (f *ams.AssetFile, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		f, err = tx.AssetFile(a.ID, id)
		return err
	})
	return f, err
}

// FindFiles searches the files of all assets.
func (a *Account) FindFiles(ctx context.Context, s catalog.Search) (found *catalog.Found[ams.AssetFile], err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		found, err = tx.FindAssetFiles(a.ID, s)
		return err
	})
	return found, err
}

// UpdateFile changes what is recorded of a file. change may not touch its
// identity.
func (a *Account) UpdateFile(ctx context.Context, id string, change func(*ams.AssetFile)) (f *ams.AssetFile, err error) {
	err = a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		if f, err = tx.AssetFile(a.ID, id); err != nil {
			return err
		}
		name := f.Name
		change(f)
		if f.Name != name { // a name that CreateFileInfos took from a blob may stay
			if err := ams.ValidateAssetFileName(f.Name); err != nil {
				return err
			}
		}
		if err := checkFile(f); err != nil {
			return err
		}
		if err := onePrimary(tx, f); err != nil {
			return err
		}
		f.LastModified = a.s.now()
		err := tx.UpdateAssetFile(f)
		if ams.CodeOf(err) == ams.Exists {
			err = ams.Errorf(ams.Exists, "The asset has a file named '%s' already.", f.Name)
		}
		return err
	})
	return f, err
}

// DeleteFile deletes the record of a file, and reports whether there was one.
// The blob stays.
func (a *Account) DeleteFile(ctx context.Context, id string) (existed bool, err error) {
	return gone(a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.DeleteAssetFile(a.ID, id) }))
}

// CreateFileInfos records a file for each blob of an asset that has none, with
// its size. It makes one of them the primary file if the asset has none and
// there is no doubt which it is: the only .ism, or the only file.
//
// It is the function of v2, and what is called when an asset was filled by
// others than its clients: by a job or by bulk ingest.
func (a *Account) CreateFileInfos(ctx context.Context, id string) error {
	asset, err := a.AssetByID(ctx, id)
	if err != nil {
		return err
	}
	blobs, err := a.s.blobsOf(ctx, asset)
	if err != nil {
		return err
	}
	return a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		if _, err := tx.AssetByID(a.ID, asset.ID); err != nil {
			return err
		}
		return a.s.recordFiles(tx, asset, blobs)
	})
}

// recordFiles records a file for each blob that has none.
func (s *Server) recordFiles(tx *catalog.Tx, asset *ams.Asset, blobs []*ams.Blob) error {
	files, err := tx.AssetFiles(asset.Account, asset.ID)
	if err != nil {
		return err
	}
	known, havePrimary := map[string]bool{}, false
	for _, f := range files {
		known[f.Name] = true
		havePrimary = havePrimary || f.Primary
	}
	now := s.now()
	for _, b := range blobs {
		if known[b.Name] {
			continue
		}
		if len(files) >= s.Limits.FilesPerAsset {
			return full("files in an asset", s.Limits.FilesPerAsset)
		}
		f := &ams.AssetFile{Account: asset.Account, ID: uuid.NewString(), Asset: asset.ID, Name: b.Name, Size: b.Size,
			MIMEType: b.Headers.ContentType, Options: asset.Options, Created: now, LastModified: now}
		if err := tx.InsertAssetFile(f); err != nil {
			return err
		}
		files = append(files, f)
	}
	if p := mainFile(files); p != nil && !havePrimary {
		p.Primary = true
		return tx.UpdateAssetFile(p)
	}
	return nil
}

// mainFile is the file that is the primary one without doubt; nil if there is
// none.
func mainFile(files []*ams.AssetFile) (found *ams.AssetFile) {
	if len(files) == 1 {
		return files[0]
	}
	for _, f := range files {
		if strings.EqualFold(path.Ext(f.Name), ".ism") {
			if found != nil {
				return nil
			}
			found = f
		}
	}
	return found
}

// blobsOf are the files of an asset in order of their names: the blobs in the
// root of its container whose names are valid on NTFS (documented).
func (s *Server) blobsOf(ctx context.Context, asset *ams.Asset) (blobs []*ams.Blob, err error) {
	// A delimiter keeps a folder of a million blobs to one entry.
	o := blob.ListOptions{Delimiter: "/"}
	for {
		page, err := s.Blobs.List(ctx, asset.StorageAccount, asset.Container, o)
		if err != nil {
			if ams.CodeOf(err) == ams.NotFound {
				return nil, nil // the container was deleted behind the asset's back
			}
			return nil, err
		}
		for _, b := range page.Blobs {
			if ams.ValidateFileName(b.Name) == nil {
				blobs = append(blobs, b)
			}
		}
		if page.Next == "" {
			return blobs, nil
		}
		o.Marker = page.Next
	}
}

// AssetFiles are the files recorded of an asset, by name. An asset that no v2
// client has touched may have blobs and no records.
func (a *Account) AssetFiles(ctx context.Context, asset *ams.Asset) (files []*ams.AssetFile, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		files, err = tx.AssetFiles(a.ID, asset.ID)
		return err
	})
	return files, err
}

// ForgetFile deletes the record of a file by its name, if there is one.
func (a *Account) ForgetFile(ctx context.Context, asset *ams.Asset, name string) error {
	return a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.ForgetAssetFile(a.ID, asset.ID, name) })
}
