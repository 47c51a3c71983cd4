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
		{name: "options", at: func(a *ams.Asset) any { return &a.Options }},
		{name: "format_option", at: func(a *ams.Asset) any { return &a.FormatOption }},
		{name: "created", at: func(a *ams.Asset) any { return &a.Created }},
		{name: "last_modified", at: func(a *ams.Asset) any { return &a.LastModified }},
	},
	rest: func(a *ams.Asset) map[string]any {
		return map[string]any{
			"description": &a.Description, "format": &a.Format,
			"createdBy": &a.CreatedBy, "lastModifiedBy": &a.LastModifiedBy,
		}
	},
	indexes: map[string]map[string]string{
		"name_key": {"name_key": "assets_by_name", "alternate_id": "assets_alternate_id"},
		"created":  {"created": "assets_by_created", "alternate_id": "assets_alternate_id_created"},
		"id":       {"id": "assets_by_id", "alternate_id": "assets_alternate_id"},
		"label":    {"label": "assets_by_label", "alternate_id": "assets_alternate_id"},
	},
	fields: map[string]field{
		"name":        {column: "name_key", kind: folded, ops: []filter.Op{filter.Eq, filter.Gt, filter.Lt, filter.Ge, filter.Le}, order: true},
		"alternateid": {column: "alternate_id", kind: text, ops: equal},
		"assetid":     {column: "id", kind: guid, ops: equal},
		// The table of AMS has eq, gt and lt; ge and le do no harm.
		"created": {column: "created", kind: date, ops: []filter.Op{filter.Eq, filter.Gt, filter.Lt, filter.Ge, filter.Le}, order: true},
	},
	key: "Id",
	properties: map[string]field{
		"Id":                 {column: "id", kind: ident, prefix: assetPrefix},
		"State":              {column: "options * 0", kind: number, zero: true},
		"Created":            {column: "created", kind: date},
		"LastModified":       {column: "last_modified", kind: date},
		"AlternateId":        {column: "alternate_id", kind: text},
		"Name":               {column: "label", kind: text},
		"Options":            {column: "options", kind: number},
		"FormatOption":       {column: "format_option", kind: number},
		"StorageAccountName": {column: "storage_account", kind: text},
	},
}

// assetPrefix begins the v2 ids of assets and of their files.
const assetPrefix = "nb:cid:UUID:"

var assetFiles = table[ams.AssetFile]{
	name: "asset_files", what: "asset file",
	columns: []column[ams.AssetFile]{
		{name: "account", at: func(f *ams.AssetFile) any { return &f.Account }},
		{name: "id", at: func(f *ams.AssetFile) any { return &f.ID }},
		{name: "asset", at: func(f *ams.AssetFile) any { return &f.Asset }},
		{name: "name", at: func(f *ams.AssetFile) any { return &f.Name }},
		{name: "size", at: func(f *ams.AssetFile) any { return &f.Size }},
		{name: "is_primary", at: func(f *ams.AssetFile) any { return (*flag)(&f.Primary) }},
		{name: "is_encrypted", at: func(f *ams.AssetFile) any { return (*flag)(&f.Encrypted) }},
		{name: "encryption_version", at: func(f *ams.AssetFile) any { return &f.EncryptionVersion }},
		{name: "encryption_scheme", at: func(f *ams.AssetFile) any { return &f.EncryptionScheme }},
		{name: "encryption_key", at: func(f *ams.AssetFile) any { return &f.EncryptionKey }},
		{name: "iv", at: func(f *ams.AssetFile) any { return &f.InitializationVector }},
		{name: "mime_type", at: func(f *ams.AssetFile) any { return &f.MIMEType }},
		{name: "checksum", at: func(f *ams.AssetFile) any { return &f.Checksum }},
		{name: "options", at: func(f *ams.AssetFile) any { return &f.Options }},
		{name: "created", at: func(f *ams.AssetFile) any { return &f.Created }},
		{name: "last_modified", at: func(f *ams.AssetFile) any { return &f.LastModified }},
	},
	rest: func(*ams.AssetFile) map[string]any { return map[string]any{} },
	key:  "Id",
	properties: map[string]field{
		"Id":                   {column: "id", kind: ident, prefix: assetPrefix},
		"Name":                 {column: "name", kind: text},
		"ContentFileSize":      {column: "size", kind: number},
		"ParentAssetId":        {column: "asset", kind: ident, prefix: assetPrefix},
		"EncryptionVersion":    {column: "encryption_version", kind: text},
		"EncryptionScheme":     {column: "encryption_scheme", kind: text},
		"IsEncrypted":          {column: "is_encrypted", kind: boolean},
		"EncryptionKeyId":      {column: "encryption_key", kind: text},
		"InitializationVector": {column: "iv", kind: text},
		"IsPrimary":            {column: "is_primary", kind: boolean},
		"LastModified":         {column: "last_modified", kind: date},
		"Created":              {column: "created", kind: date},
		"MimeType":             {column: "mime_type", kind: text},
		"ContentChecksum":      {column: "checksum", kind: text},
		"Options":              {column: "options", kind: number},
	},
}

// FindAssets searches the assets of an account.
func (tx *Tx) FindAssets(account string, s Search) (*Found[ams.Asset], error) {
	return assets.search(tx, s, "account = ?", account)
}

// AssetParents searches the assets that the asset with an id was made from.
func (tx *Tx) AssetParents(account, id string, s Search) (*Found[ams.Asset], error) {
	return assets.search(tx, s, "account = ? AND id IN (SELECT parent FROM asset_parents p WHERE p.account = ? AND p.asset = ?)",
		account, account, strings.ToLower(id))
}

// InsertAssetParents notes that the asset with the id child was made from
// those with the ids parents.
func (tx *Tx) InsertAssetParents(account, child string, parents ...string) error {
	for _, p := range parents {
		if _, err := tx.exec("INSERT INTO asset_parents (account, asset, parent) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
			account, child, p); err != nil {
			return err
		}
	}
	return nil
}

// AssetFile finds a file by its guid.
func (tx *Tx) AssetFile(account, id string) (*ams.AssetFile, error) {
	return assetFiles.one(tx, "account = ? AND id = ?", account, strings.ToLower(id))
}

// FindAssetFiles searches the files of all assets of an account.
func (tx *Tx) FindAssetFiles(account string, s Search) (*Found[ams.AssetFile], error) {
	return assetFiles.search(tx, s, "account = ?", account)
}

// AssetFiles are the files of the asset with an id, by name.
func (tx *Tx) AssetFiles(account, asset string) (files []*ams.AssetFile, err error) {
	err = assetFiles.each(tx, func(_ int64, f *ams.AssetFile) error {
		files = append(files, f)
		return nil
	}, "WHERE account = ? AND asset = ? ORDER BY name", account, asset)
	return files, err
}

// CountAssetFiles is how many files an asset has.
func (tx *Tx) CountAssetFiles(account, asset string) (int, error) {
	return assetFiles.count(tx, "account = ? AND asset = ?", account, asset)
}

// PrimaryFile finds the primary file of an asset.
func (tx *Tx) PrimaryFile(account, asset string) (*ams.AssetFile, error) {
	return assetFiles.one(tx, "account = ? AND asset = ? AND is_primary = 1", account, asset)
}

// InsertAssetFile adds a file; a name that the asset has is Exists.
func (tx *Tx) InsertAssetFile(f *ams.AssetFile) error {
	_, err := assetFiles.insert(tx, f)
	return err
}

// UpdateAssetFile rewrites the file of that account and id.
func (tx *Tx) UpdateAssetFile(f *ams.AssetFile) error {
	return assetFiles.update(tx, f, "account = ? AND id = ?", f.Account, f.ID)
}

// DeleteAssetFile deletes a file's record. Its blob is none of its business.
func (tx *Tx) DeleteAssetFile(account, id string) error {
	return assetFiles.deleteOne(tx, "account = ? AND id = ?", account, strings.ToLower(id))
}

// ForgetAssetFile deletes the record of a file by its name, if there is one.
func (tx *Tx) ForgetAssetFile(account, asset, name string) error {
	_, err := assetFiles.delete(tx, "account = ? AND asset = ? AND name = ?", account, asset, name)
	return err
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
