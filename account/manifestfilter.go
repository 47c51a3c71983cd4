package account

import (
	"context"
	"fmt"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

// The methods of filters take the asset that a filter belongs to, empty for a
// filter of the account.

// CreateOrUpdateFilter makes the filter f.Name of the asset, or replaces its
// writable properties. Locators and URLs that name it follow.
func (a *Account) CreateOrUpdateFilter(ctx context.Context, asset string, f ams.ManifestFilter) (_ *ams.ManifestFilter, created bool, err error) {
	return a.putFilter(ctx, asset, f, true)
}

// CreateFilter is CreateOrUpdateFilter of one that must not exist.
func (a *Account) CreateFilter(ctx context.Context, asset string, f ams.ManifestFilter) (*ams.ManifestFilter, error) {
	made, _, err := a.putFilter(ctx, asset, f, false)
	return made, err
}

func (a *Account) putFilter(ctx context.Context, asset string, f ams.ManifestFilter, replace bool) (_ *ams.ManifestFilter, created bool, err error) {
	err = a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		if f.Asset, err = a.owner(tx, asset); err != nil {
			return err
		}
		now, by := a.s.now(), caller(ctx)
		f.Account, f.Created, f.CreatedBy, f.LastModified, f.LastModifiedBy = a.ID, now, by, now, by
		old, err := tx.ManifestFilter(a.ID, f.Asset, f.Name)
		if err == nil && !replace {
			return ams.Errorf(ams.Exists, "A filter named '%s' exists already.", old.Name)
		}
		if err == nil {
			f.Name, f.Created, f.CreatedBy = old.Name, old.Created, old.CreatedBy
			if err := f.Validate(); err != nil {
				return err
			}
			return tx.UpdateManifestFilter(&f)
		}
		if ams.CodeOf(err) != ams.NotFound {
			return err
		}
		if err := f.Validate(); err != nil {
			return err
		}
		n, err := tx.CountManifestFilters(a.ID, f.Asset)
		if err != nil {
			return err
		}
		if n >= a.s.Limits.Filters {
			return full("filters", a.s.Limits.Filters)
		}
		created = true
		return tx.InsertManifestFilter(&f)
	})
	if err != nil {
		return nil, false, err
	}
	return &f, created, nil
}

// UpdateFilter changes a filter by change.
func (a *Account) UpdateFilter(ctx context.Context, asset, name string, change func(*ams.ManifestFilter) error) (f *ams.ManifestFilter, err error) {
	err = a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		if asset, err = a.owner(tx, asset); err != nil {
			return err
		}
		if f, err = tx.ManifestFilter(a.ID, asset, name); err != nil {
			return err
		}
		if err := change(f); err != nil {
			return err
		}
		if err := f.Validate(); err != nil {
			return err
		}
		f.LastModified, f.LastModifiedBy = a.s.now(), caller(ctx)
		return tx.UpdateManifestFilter(f)
	})
	return f, err
}

// Filter finds a filter.
func (a *Account) Filter(ctx context.Context, asset, name string) (f *ams.ManifestFilter, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		if asset, err = a.owner(tx, asset); err != nil {
			return err
		}
		f, err = tx.ManifestFilter(a.ID, asset, name)
		return err
	})
	return f, err
}

// Filters lists one page of filters; next is empty on the last.
func (a *Account) Filters(ctx context.Context, asset string, q catalog.Query) (fs []*ams.ManifestFilter, next string, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		if asset, err = a.owner(tx, asset); err != nil {
			return err
		}
		fs, next, err = tx.ManifestFilters(a.ID, asset, q)
		return err
	})
	return fs, next, err
}

// FindAssetFilters searches the filters of all assets. assets are the guids of
// theirs by the names that the filters have.
func (a *Account) FindAssetFilters(ctx context.Context, s catalog.Search) (found *catalog.Found[ams.ManifestFilter], assets map[string]string, err error) {
	assets = map[string]string{}
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		if found, err = tx.FindAssetFilters(a.ID, s); err != nil {
			return err
		}
		for _, f := range found.Rows {
			if assets[f.Asset] != "" {
				continue
			}
			asset, err := tx.Asset(a.ID, f.Asset)
			if err != nil {
				return err
			}
			assets[f.Asset] = asset.ID
		}
		return nil
	})
	return found, assets, err
}

// DeleteFilter deletes a filter, and reports whether there was one. Locators
// that name it stay, and fail to stream until it is back.
func (a *Account) DeleteFilter(ctx context.Context, asset, name string) (existed bool, err error) {
	return gone(a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		if asset, err = a.owner(tx, asset); err != nil {
			return err
		}
		return tx.DeleteManifestFilter(a.ID, asset, name)
	}))
}

// owner spells the asset of a filter as it was created; empty stays empty.
func (a *Account) owner(tx *catalog.Tx, asset string) (string, error) {
	if asset == "" {
		return "", nil
	}
	found, err := tx.Asset(a.ID, asset)
	if err != nil {
		return "", err
	}
	return found.Name, nil
}

// checkFilters makes sure that the filters that a locator of the asset names
// exist: the asset's own or the account's.
func (a *Account) checkFilters(tx *catalog.Tx, asset string, names []string) error {
	for i, name := range names {
		_, err := tx.ManifestFilter(a.ID, asset, name)
		if ams.CodeOf(err) == ams.NotFound {
			_, err = tx.ManifestFilter(a.ID, "", name)
		}
		if err != nil {
			return referred(err, fmt.Sprintf("properties.filters[%d]", i), "Filter '%s' is neither an asset filter of '%s' nor an account filter of '%s'.", name, asset, a.Name)
		}
	}
	return nil
}

// FindFilter finds the filter that a streaming URL or a locator of the asset
// names: the asset's own wins over the account's (documented).
func (s *Server) FindFilter(ctx context.Context, asset *ams.Asset, name string) (f *ams.ManifestFilter, err error) {
	err = s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		f, err = tx.ManifestFilter(asset.Account, asset.Name, name)
		if ams.CodeOf(err) == ams.NotFound {
			f, err = tx.ManifestFilter(asset.Account, "", name)
		}
		return err
	})
	return f, err
}
