package catalog

import "github.com/openams/openams/ams"

var manifestFilters = table[ams.ManifestFilter]{
	name: "manifest_filters", what: "filter",
	columns: []column[ams.ManifestFilter]{
		{name: "account", at: func(f *ams.ManifestFilter) any { return &f.Account }},
		{name: "asset", at: func(f *ams.ManifestFilter) any { return &f.Asset }},
		{name: "asset_key", at: func(f *ams.ManifestFilter) any { return fold(f.Asset) }, derived: true},
		{name: "name", at: func(f *ams.ManifestFilter) any { return &f.Name }},
		{name: "name_key", at: func(f *ams.ManifestFilter) any { return fold(f.Name) }, derived: true},
		{name: "created", at: func(f *ams.ManifestFilter) any { return &f.Created }},
		{name: "last_modified", at: func(f *ams.ManifestFilter) any { return &f.LastModified }},
	},
	rest: func(f *ams.ManifestFilter) map[string]any {
		return map[string]any{
			"time": &f.Time, "firstQuality": &f.FirstQuality, "tracks": &f.Tracks,
			"createdBy": &f.CreatedBy, "lastModifiedBy": &f.LastModifiedBy,
		}
	},
	fields: map[string]field{
		"name": {column: "name_key", kind: folded, ops: all, order: true},
	},
	key: "Id",
	properties: map[string]field{ // of the filters of assets
		"Id":            {column: "('" + assetPrefix + "' || " + filterAsset + " || '" + ams.FilterIDMark + "' || name)", kind: text},
		"ParentAssetId": {column: filterAsset, kind: ident, prefix: assetPrefix},
		"Name":          {column: "name", kind: text},
	},
}

// filterAsset is the guid of the asset of a filter, in SQL.
const filterAsset = "(SELECT a.id FROM assets a WHERE a.account = manifest_filters.account AND a.name_key = manifest_filters.asset_key)"

const oneOfAsset = "account = ? AND asset_key = ? AND name_key = ?"

// ManifestFilter finds a filter of an asset, or of the account when asset is
// empty.
func (tx *Tx) ManifestFilter(account, asset, name string) (*ams.ManifestFilter, error) {
	return manifestFilters.one(tx, oneOfAsset, account, fold(asset), fold(name))
}

// ManifestFilters lists the filters of an asset, or of the account when asset
// is empty.
func (tx *Tx) ManifestFilters(account, asset string, q Query) ([]*ams.ManifestFilter, string, error) {
	return manifestFilters.list(tx, q, "account = ? AND asset_key = ?", account, fold(asset))
}

// FindAssetFilters searches the filters of all assets of an account.
func (tx *Tx) FindAssetFilters(account string, s Search) (*Found[ams.ManifestFilter], error) {
	return manifestFilters.search(tx, s, "account = ? AND asset_key <> ''", account)
}

// CountManifestFilters is how many filters an asset has, or the account when
// asset is empty.
func (tx *Tx) CountManifestFilters(account, asset string) (int, error) {
	return manifestFilters.count(tx, "account = ? AND asset_key = ?", account, fold(asset))
}

// InsertManifestFilter adds a filter; a taken name is Exists.
func (tx *Tx) InsertManifestFilter(f *ams.ManifestFilter) error {
	_, err := manifestFilters.insert(tx, f)
	return err
}

// UpdateManifestFilter rewrites the filter of that account, asset and name.
func (tx *Tx) UpdateManifestFilter(f *ams.ManifestFilter) error {
	return manifestFilters.update(tx, f, oneOfAsset, f.Account, fold(f.Asset), fold(f.Name))
}

// DeleteManifestFilter deletes a filter of an asset, or of the account when
// asset is empty.
func (tx *Tx) DeleteManifestFilter(account, asset, name string) error {
	return manifestFilters.deleteOne(tx, oneOfAsset, account, fold(asset), fold(name))
}
