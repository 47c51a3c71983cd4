package catalog

import (
	"strings"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/filter"
)

var assets = table[ams.Asset]{
	name: "assets", what: "asset",
	columns: []column[ams.Asset]{
		{name: "account", at: func(a *ams.Asset) any { return &a.Account }},
		{name: "id", at: func(a *ams.Asset) any { return &a.ID }},
		{name: "name", at: func(a *ams.Asset) any { return &a.Name }},
		{name: "name_key", at: func(a *ams.Asset) any { return fold(a.Name) }, derived: true},
		{name: "label", at: func(a *ams.Asset) any { return &a.Label }},
		{name: "alternate_id", at: func(a *ams.Asset) any { return &a.AlternateID }},
		{name: "storage_account", at: func(a *ams.Asset) any { return &a.StorageAccount }},
		{name: "container", at: func(a *ams.Asset) any { return &a.Container }},
		{name: "created", at: func(a *ams.Asset) any { return &a.Created }},
		{name: "last_modified", at: func(a *ams.Asset) any { return &a.LastModified }},
	},
	rest: func(a *ams.Asset) map[string]any {
		return map[string]any{
			"description": &a.Description, "format": &a.Format,
			"createdBy": &a.CreatedBy, "lastModifiedBy": &a.LastModifiedBy,
		}
	},
	walks: map[string]string{"name_key": "assets_name_created"},
	fields: map[string]field{
		"name":        {column: "name_key", kind: folded, ops: []filter.Op{filter.Eq, filter.Gt, filter.Lt, filter.Ge, filter.Le}, order: true},
		"alternateid": {column: "alternate_id", kind: text, ops: equal},
		"assetid":     {column: "id", kind: guid, ops: equal},
		// The table of AMS has eq, gt and lt; ge and le do no harm.
		"created": {column: "created", kind: date, ops: []filter.Op{filter.Eq, filter.Gt, filter.Lt, filter.Ge, filter.Le}, order: true},
	},
}

// Asset finds an asset of an account by its v3 name.
func (tx *Tx) Asset(account, name string) (*ams.Asset, error) {
	return assets.one(tx, "account = ? AND name_key = ?", account, fold(name))
}

// AssetByID finds an asset of an account by its guid.
func (tx *Tx) AssetByID(account, id string) (*ams.Asset, error) {
	return assets.one(tx, "account = ? AND id = ?", account, strings.ToLower(id))
}

// AssetByContainer finds the asset of any account whose files are in the
// container.
func (tx *Tx) AssetByContainer(storageAccount, container string) (*ams.Asset, error) {
	return assets.one(tx, "storage_account = ? AND container = ?", storageAccount, container)
}

// Assets lists the assets of an account.
func (tx *Tx) Assets(account string, q Query) ([]*ams.Asset, string, error) {
	return assets.list(tx, q, "account = ?", account)
}

// InsertAsset adds an asset. A taken name or id is Exists; so is a container
// that belongs to another asset, with Target "properties.container".
func (tx *Tx) InsertAsset(a *ams.Asset) error {
	if owner, err := tx.AssetByContainer(a.StorageAccount, a.Container); err == nil {
		if owner.Account == a.Account && fold(owner.Name) == fold(a.Name) {
			return ams.Errorf(ams.Exists, "The asset '%s' exists already.", a.Name)
		}
		return &ams.Error{Code: ams.Exists, Target: "properties.container",
			Msg: "The container '" + a.Container + "' belongs to another asset."}
	} else if ams.CodeOf(err) != ams.NotFound {
		return err
	}
	_, err := assets.insert(tx, a)
	return err
}

// UpdateAsset rewrites the asset of that account and name.
func (tx *Tx) UpdateAsset(a *ams.Asset) error {
	return assets.update(tx, a, "account = ? AND name_key = ?", a.Account, fold(a.Name))
}

// UsesStorage reports whether an asset of the account has its container in
// the storage account.
func (tx *Tx) UsesStorage(account, storageAccount string) (used bool, err error) {
	return used, tx.queryRow("SELECT EXISTS (SELECT 1 FROM assets WHERE storage_account = ? AND account = ?)", storageAccount, account).Scan(&used)
}

// CountAssets is how many assets an account has. It takes long for many.
func (tx *Tx) CountAssets(account string) (n int, err error) {
	return assets.count(tx, "account = ?", account)
}

// DeleteAsset deletes an asset, its locators, filters and tracks. Its container is the
// caller's to delete.
func (tx *Tx) DeleteAsset(account, name string) error {
	const ofAsset = "account = ? AND asset_key = ?"
	if _, err := locators.delete(tx, ofAsset, account, fold(name)); err != nil {
		return err
	}
	if _, err := manifestFilters.delete(tx, ofAsset, account, fold(name)); err != nil {
		return err
	}
	if _, err := tracks.delete(tx, ofAsset, account, fold(name)); err != nil {
		return err
	}
	return assets.deleteOne(tx, "account = ? AND name_key = ?", account, fold(name))
}
