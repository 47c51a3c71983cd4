package account

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/sas"
)

// An AssetInput is what a client writes of an asset. A nil field is not
// touched by UpdateAsset; CreateOrUpdateAsset takes it as empty.
type AssetInput struct {
	AlternateID *string
	Description *string
	Label       *string // CreateOrUpdateAsset leaves it, NewAsset takes nil as empty

	// Fixed at creation; empty: the default, or on an existing asset no opinion.
	Container      string
	StorageAccount string

	// Only NewAsset heeds these.
	Options      ams.AssetOptions
	FormatOption int
}

// CreateOrUpdateAsset makes the asset or replaces its writable properties.
//
// A container that exists already is adopted with its blobs (documented). It
// is Exists if the container is another asset's, Invalid if its name breaks
// the storage rules or the storage account is not one of this account.
func (a *Account) CreateOrUpdateAsset(ctx context.Context, name string, in AssetInput) (asset *ams.Asset, created bool, err error) {
	_, err = a.Asset(ctx, name)
	if err != nil && ams.CodeOf(err) == ams.NotFound {
		asset, err = a.createAsset(ctx, name, in)
		// Somebody else may have created it meanwhile: then this is an update.
		if e, ok := errors.AsType[*ams.Error](err); !ok || e.Code != ams.Exists || e.Target != "" {
			return asset, err == nil, err
		}
	} else if err != nil {
		return nil, false, err
	}
	if in.AlternateID == nil {
		in.AlternateID = new(string)
	}
	if in.Description == nil {
		in.Description = new(string)
	}
	asset, err = a.UpdateAsset(ctx, name, in)
	return asset, false, err
}

// NewAsset makes an asset as v2 does: the caller gives it a label, and the
// server a name after its id, behind which v3 shows it. A storage account that
// the account does not have is NotFound (documented).
func (a *Account) NewAsset(ctx context.Context, in AssetInput) (*ams.Asset, error) {
	asset, err := a.labelled(ctx, in)
	if err != nil {
		return nil, err
	}
	return asset, a.insertAsset(ctx, asset)
}

// labelled is the asset that NewAsset makes, not yet recorded.
func (a *Account) labelled(ctx context.Context, in AssetInput) (*ams.Asset, error) {
	asset := a.freshAsset(ctx, in)
	asset.Name = ams.DefaultContainer(asset.ID)
	set(&asset.Label, in.Label)
	asset.Options, asset.FormatOption = in.Options, in.FormatOption
	if asset.Options == ams.StorageEncrypted {
		asset.Format = ams.MediaStorageClientEncryption
	}
	if !a.HasStorage(asset.StorageAccount) {
		return nil, ams.Errorf(ams.NotFound, "The storage account '%s' is not attached to the media services account '%s'.", asset.StorageAccount, a.Name)
	}
	return asset, nil
}

// createAsset makes the asset and, unless there is one, its container.
func (a *Account) createAsset(ctx context.Context, name string, in AssetInput) (*ams.Asset, error) {
	asset := a.freshAsset(ctx, in)
	asset.Name, asset.Label = name, name
	if !a.HasStorage(asset.StorageAccount) {
		return nil, ams.Invalidf("properties.storageAccountName", "The storage account '%s' is not attached to the media services account '%s'.", asset.StorageAccount, a.Name)
	}
	return asset, a.insertAsset(ctx, asset)
}

// freshAsset is what every new asset has.
func (a *Account) freshAsset(ctx context.Context, in AssetInput) *ams.Asset {
	now, by := a.s.now(), caller(ctx)
	asset := &ams.Asset{
		Account: a.ID, ID: uuid.NewString(),
		StorageAccount: in.StorageAccount, Container: in.Container, Format: ams.NotEncrypted,
		Created: now, LastModified: now, CreatedBy: by, LastModifiedBy: by,
	}
	set(&asset.AlternateID, in.AlternateID)
	set(&asset.Description, in.Description)
	if asset.StorageAccount == "" {
		asset.StorageAccount = a.PrimaryStorage()
	}
	if asset.Container == "" {
		asset.Container = ams.DefaultContainer(asset.ID)
	}
	return asset
}

// insertAsset checks and records a new asset and, unless there is one, its
// container.
func (a *Account) insertAsset(ctx context.Context, asset *ams.Asset) error {
	container, err := a.checkAsset(asset)
	if err != nil {
		return err
	}
	if err := a.s.assets.admit(ctx, a, "assets in the account", a.s.Limits.Assets); err != nil {
		return err
	}
	return a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error { return recordAsset(tx, asset, container) })
}

// checkAsset checks a new asset, and makes the record of its container.
func (a *Account) checkAsset(asset *ams.Asset) (*ams.Container, error) {
	if err := checkTexts(asset); err != nil {
		return nil, err
	}
	if err := asset.Validate(); err != nil {
		return nil, err
	}
	return a.s.Blobs.NewContainer(asset.StorageAccount, asset.Container, blob.ContainerOptions{})
}

func recordAsset(tx *catalog.Tx, asset *ams.Asset, container *ams.Container) error {
	if err := tx.InsertContainer(container); err != nil && !errors.Is(err, ams.ErrContainerExists) {
		return err
	}
	return tx.InsertAsset(asset)
}

func (a *Account) updateAsset(ctx context.Context, tx *catalog.Tx, asset *ams.Asset, in AssetInput) error {
	if in.Container != "" && in.Container != asset.Container {
		return ams.Invalidf("properties.container", "The container of the asset '%s' is '%s' and can't be changed.", asset.Name, asset.Container)
	}
	if in.StorageAccount != "" && in.StorageAccount != asset.StorageAccount {
		return ams.Invalidf("properties.storageAccountName", "The storage account of the asset '%s' is '%s' and can't be changed.", asset.Name, asset.StorageAccount)
	}
	set(&asset.AlternateID, in.AlternateID)
	set(&asset.Description, in.Description)
	set(&asset.Label, in.Label)
	if err := checkTexts(asset); err != nil {
		return err
	}
	asset.LastModified, asset.LastModifiedBy = a.s.now(), caller(ctx)
	return tx.UpdateAsset(asset)
}

func checkTexts(asset *ams.Asset) error {
	if err := short("properties.alternateId", asset.AlternateID, maxAlternateID); err != nil {
		return err
	}
	if utf8.RuneCountInString(asset.Label) > maxLabel {
		return ams.Invalidf("Name", "Name is longer than %d characters.", maxLabel)
	}
	return short("properties.description", asset.Description, maxDescription)
}

// set stores *from in *to unless from is nil.
func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// UpdateAsset changes the properties that in gives.
func (a *Account) UpdateAsset(ctx context.Context, name string, in AssetInput) (asset *ams.Asset, err error) {
	err = a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		if asset, err = tx.Asset(a.ID, name); err != nil {
			return err
		}
		return a.updateAsset(ctx, tx, asset, in)
	})
	return asset, err
}

// Asset finds an asset by its v3 name.
func (a *Account) Asset(ctx context.Context, name string) (asset *ams.Asset, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		asset, err = tx.Asset(a.ID, name)
		return err
	})
	return asset, err
}

// AssetByID finds an asset by its guid.
func (a *Account) AssetByID(ctx context.Context, id string) (asset *ams.Asset, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		asset, err = tx.AssetByID(a.ID, id)
		return err
	})
	return asset, err
}

// FindAssets searches the assets.
func (a *Account) FindAssets(ctx context.Context, s catalog.Search) (found *catalog.Found[ams.Asset], err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		found, err = tx.FindAssets(a.ID, s)
		return err
	})
	return found, err
}

// AssetParents searches the assets that the asset with an id was made from.
func (a *Account) AssetParents(ctx context.Context, id string, s catalog.Search) (found *catalog.Found[ams.Asset], err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		if _, err := tx.AssetByID(a.ID, id); err != nil {
			return err
		}
		found, err = tx.AssetParents(a.ID, id, s)
		return err
	})
	return found, err
}

// AssetURL is the URL of an asset's container.
func (a *Account) AssetURL(asset *ams.Asset) string {
	return a.s.BlobEndpoint + "/" + asset.StorageAccount + "/" + asset.Container
}

// Assets lists one page of assets; next is empty on the last.
func (a *Account) Assets(ctx context.Context, q catalog.Query) (assets []*ams.Asset, next string, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		assets, next, err = tx.Assets(a.ID, q)
		return err
	})
	return assets, next, err
}

// DeleteAsset deletes the asset with its locators and its container, and
// reports whether there was one.
func (a *Account) DeleteAsset(ctx context.Context, name string) (existed bool, err error) {
	return a.deleteAsset(ctx, name, false)
}

// ForgetAsset deletes the asset with its locators, and leaves its container.
func (a *Account) ForgetAsset(ctx context.Context, name string) (existed bool, err error) {
	return a.deleteAsset(ctx, name, true)
}

func (a *Account) deleteAsset(ctx context.Context, name string, keepContainer bool) (existed bool, err error) {
	if err := alone(catalog.Joined(ctx) && !keepContainer, "Deleting an asset with its container"); err != nil {
		return false, err
	}
	return gone(a.s.deleting(ctx, func(ctx context.Context, remove func(storage, container string) error) error {
		return a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
			asset, err := tx.Asset(a.ID, name)
			if err != nil {
				return err
			}
			if err := a.s.unpublish(tx, asset); err != nil {
				return err
			}
			if !keepContainer {
				if err := remove(asset.StorageAccount, asset.Container); err != nil {
					return err
				}
			}
			return tx.DeleteAsset(a.ID, asset.Name)
		})
	}))
}

// deleting runs what deletes records together with containers, all or nothing.
// The bytes go after the commit. A container that is gone already is no error.
func (s *Server) deleting(ctx context.Context, do func(ctx context.Context, remove func(storage, container string) error) error) error {
	if catalog.Joined(ctx) { // then remove must not be called: see alone
		return do(ctx, nil)
	}
	var discards []func(context.Context)
	err := s.Blobs.Freeing(func() error {
		return s.Catalog.Transact(ctx, func(ctx context.Context) error {
			discards = nil // it may run twice
			return do(ctx, func(storage, container string) error {
				discard, err := s.Blobs.RemoveContainer(ctx, storage, container, blob.Conditions{})
				if err == nil {
					discards = append(discards, discard)
				}
				if ams.CodeOf(err) == ams.NotFound {
					err = nil
				}
				return err
			})
		})
	})
	if err != nil {
		return err
	}
	for _, discard := range discards {
		discard(ctx)
	}
	return nil
}

// unpublish deletes the locators of an asset.
func (s *Server) unpublish(tx *catalog.Tx, asset *ams.Asset) error {
	signed, err := tx.SASLocators(asset.Account, asset.ID)
	if err != nil {
		return err
	}
	if err := s.deleteSASLocators(tx, asset, signed...); err != nil {
		return err
	}
	locators, err := tx.AssetLocators(asset.Account, asset.Name)
	if err != nil {
		return err
	}
	for _, l := range locators {
		if err := tx.DeleteLocator(l.Account, l.Name); err != nil {
			return err
		}
	}
	return nil
}

// AssetLocators lists the streaming locators of an asset.
func (a *Account) AssetLocators(ctx context.Context, name string) (locators []*ams.StreamingLocator, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		asset, err := tx.Asset(a.ID, name)
		if err != nil {
			return err
		}
		locators, err = tx.AssetLocators(a.ID, asset.Name)
		return err
	})
	return locators, err
}

// A ContainerPermission is what the URLs of ContainerSAS allow.
type ContainerPermission string

// The permissions of listContainerSas.
const (
	Read            ContainerPermission = "Read"
	ReadWrite       ContainerPermission = "ReadWrite"
	ReadWriteDelete ContainerPermission = "ReadWriteDelete"
)

// sp is the permission as a shared access signature spells it (recorded).
func (p ContainerPermission) sp() string {
	switch p {
	case Read:
		return "rl"
	case ReadWrite:
		return "rwl"
	case ReadWriteDelete:
		return "rwdl"
	}
	return ""
}

// maxSAS is how far ahead the URLs of ContainerSAS may expire (documented).
const maxSAS = 24 * time.Hour

// ContainerSAS makes two URLs to the asset's container that grant p until
// expiry: one signed with each key of the storage account, so that the keys
// can be rolled one after the other (documented).
func (a *Account) ContainerSAS(ctx context.Context, name string, p ContainerPermission, expiry time.Time) ([]string, error) {
	asset, err := a.Asset(ctx, name)
	if err != nil {
		return nil, err
	}
	now := a.s.Now()
	switch {
	case p.sp() == "":
		return nil, ams.Invalidf("permissions", "'%s' is not a value of permissions: Read, ReadWrite or ReadWriteDelete.", p)
	case expiry.IsZero():
		return nil, ams.Invalidf("expiryTime", "expiryTime is missing.")
	case !expiry.After(now):
		return nil, ams.Invalidf("expiryTime", "expiryTime must be in the future.")
	case expiry.Sub(now) >= maxSAS:
		return nil, ams.Invalidf("expiryTime", "expiryTime must be less than 24 hours ahead.")
	}
	keys, err := a.s.StorageKeys(ctx, asset.StorageAccount)
	if err != nil {
		return nil, err
	}
	var urls []string
	for _, key := range keys {
		v := sas.Values{Version: sas.DefaultVersion, Resource: "c", Permissions: p.sp(), Expiry: sas.Time(expiry)}
		urls = append(urls, a.AssetURL(asset)+"?"+v.Sign(key, asset.StorageAccount, asset.Container, ""))
	}
	return urls, nil
}

// normalID is a guid as records keep it, or "" when s is none. Braces and
// missing hyphens are fine, as .NET's Guid reads them.
func normalID(s string) string {
	s = strings.ToLower(strings.Trim(s, "{}"))
	raw, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil || len(raw) != 16 {
		return ""
	}
	id, _ := uuid.FromBytes(raw)
	return id.String()
}
