package catalog

import (
	"fmt"
	"strings"

	"github.com/openams/openams/ams"
)

// The prefixes of the v2 ids of bulk ingest.
const (
	manifestPrefix    = "nb:mid:UUID:"
	ingestAssetPrefix = "nb:maid:UUID:"
	ingestFilePrefix  = "nb:mfid:UUID:"
)

// countFiles is how many files of a manifest are in a state, in SQL.
func countFiles(s ams.IngestFileState) string {
	return fmt.Sprintf("(SELECT COUNT(*) FROM ingest_files f WHERE f.manifest = ingest_manifests.id AND f.state = %d)", s)
}

var ingestManifests = table[ams.IngestManifest]{
	name: "ingest_manifests", what: "ingest manifest",
	columns: []column[ams.IngestManifest]{
		{name: "account", at: func(m *ams.IngestManifest) any { return &m.Account }},
		{name: "id", at: func(m *ams.IngestManifest) any { return &m.ID }},
		{name: "label", at: func(m *ams.IngestManifest) any { return &m.Label }},
		{name: "storage_account", at: func(m *ams.IngestManifest) any { return &m.StorageAccount }},
		{name: "container", at: func(m *ams.IngestManifest) any { return &m.Container }},
		{name: "watched", at: func(m *ams.IngestManifest) any { return (*flag)(&m.Watched) }},
		{name: "created", at: func(m *ams.IngestManifest) any { return &m.Created }},
		{name: "last_modified", at: func(m *ams.IngestManifest) any { return &m.LastModified }},
	},
	rest: func(*ams.IngestManifest) map[string]any { return map[string]any{} },
	key:  "Id",
	properties: map[string]field{
		"Id":                 {column: "id", kind: ident, prefix: manifestPrefix},
		"Created":            {column: "created", kind: date},
		"LastModified":       {column: "last_modified", kind: date},
		"Name":               {column: "label", kind: text},
		"StorageAccountName": {column: "storage_account", kind: text},
		// As ams.IngestManifest.State has it.
		"State":                         {column: "(CASE WHEN " + countFiles(ams.IngestPending) + " = 0 THEN 0 WHEN watched = 0 THEN 1 ELSE 2 END)", kind: number},
		"Statistics/PendingFilesCount":  {column: countFiles(ams.IngestPending), kind: number},
		"Statistics/FinishedFilesCount": {column: countFiles(ams.IngestFinished), kind: number},
		"Statistics/ErrorFilesCount":    {column: countFiles(ams.IngestFailed), kind: number},
	},
}

var ingestAssets = table[ams.IngestAsset]{
	name: "ingest_assets", what: "asset of an ingest manifest",
	columns: []column[ams.IngestAsset]{
		{name: "account", at: func(a *ams.IngestAsset) any { return &a.Account }},
		{name: "id", at: func(a *ams.IngestAsset) any { return &a.ID }},
		{name: "manifest", at: func(a *ams.IngestAsset) any { return &a.Manifest }},
		{name: "asset", at: func(a *ams.IngestAsset) any { return &a.Asset }},
		{name: "created", at: func(a *ams.IngestAsset) any { return &a.Created }},
		{name: "last_modified", at: func(a *ams.IngestAsset) any { return &a.LastModified }},
	},
	rest: func(*ams.IngestAsset) map[string]any { return map[string]any{} },
	key:  "Id",
	properties: map[string]field{
		"Id":                     {column: "id", kind: ident, prefix: ingestAssetPrefix},
		"Created":                {column: "created", kind: date},
		"LastModified":           {column: "last_modified", kind: date},
		"ParentIngestManifestId": {column: "manifest", kind: ident, prefix: manifestPrefix},
	},
}

var ingestFiles = table[ams.IngestFile]{
	name: "ingest_files", what: "file of an ingest manifest",
	columns: []column[ams.IngestFile]{
		{name: "account", at: func(f *ams.IngestFile) any { return &f.Account }},
		{name: "id", at: func(f *ams.IngestFile) any { return &f.ID }},
		{name: "manifest", at: func(f *ams.IngestFile) any { return &f.Manifest }},
		{name: "ingest_asset", at: func(f *ams.IngestFile) any { return &f.IngestAsset }},
		{name: "name", at: func(f *ams.IngestFile) any { return &f.Name }},
		{name: "state", at: func(f *ams.IngestFile) any { return &f.State }},
		{name: "error", at: func(f *ams.IngestFile) any { return &f.Error }},
		{name: "is_primary", at: func(f *ams.IngestFile) any { return (*flag)(&f.Primary) }},
		{name: "mime_type", at: func(f *ams.IngestFile) any { return &f.MIMEType }},
		{name: "is_encrypted", at: func(f *ams.IngestFile) any { return (*flag)(&f.Encrypted) }},
		{name: "encryption_version", at: func(f *ams.IngestFile) any { return &f.EncryptionVersion }},
		{name: "encryption_scheme", at: func(f *ams.IngestFile) any { return &f.EncryptionScheme }},
		{name: "encryption_key", at: func(f *ams.IngestFile) any { return &f.EncryptionKey }},
		{name: "iv", at: func(f *ams.IngestFile) any { return &f.InitializationVector }},
		{name: "created", at: func(f *ams.IngestFile) any { return &f.Created }},
		{name: "last_modified", at: func(f *ams.IngestFile) any { return &f.LastModified }},
	},
	rest: func(f *ams.IngestFile) map[string]any { return map[string]any{"source": &f.Source} },
	key:  "Id",
	properties: map[string]field{
		"Id":                          {column: "id", kind: ident, prefix: ingestFilePrefix},
		"Created":                     {column: "created", kind: date},
		"LastModified":                {column: "last_modified", kind: date},
		"Name":                        {column: "name", kind: text},
		"State":                       {column: "state", kind: number},
		"ParentIngestManifestId":      {column: "manifest", kind: ident, prefix: manifestPrefix},
		"ParentIngestManifestAssetId": {column: "ingest_asset", kind: ident, prefix: ingestAssetPrefix},
		"ErrorDetail":                 {column: "error", kind: text},
		"IsPrimary":                   {column: "is_primary", kind: boolean},
		"MimeType":                    {column: "mime_type", kind: text},
		"EncryptionVersion":           {column: "encryption_version", kind: text},
		"EncryptionScheme":            {column: "encryption_scheme", kind: text},
		"IsEncrypted":                 {column: "is_encrypted", kind: boolean},
		"EncryptionKeyId":             {column: "encryption_key", kind: text},
		"InitializationVector":        {column: "iv", kind: text},
	},
}

// IngestManifest finds a manifest by its guid.
func (tx *Tx) IngestManifest(account, id string) (*ams.IngestManifest, error) {
	return ingestManifests.one(tx, "account = ? AND id = ?", account, strings.ToLower(id))
}

// IngestManifestByContainer finds the manifest of any account that takes the
// uploads to a container.
func (tx *Tx) IngestManifestByContainer(storageAccount, container string) (*ams.IngestManifest, error) {
	return ingestManifests.one(tx, "storage_account = ? AND container = ?", storageAccount, container)
}

// FindIngestManifests searches the manifests of an account.
func (tx *Tx) FindIngestManifests(account string, s Search) (*Found[ams.IngestManifest], error) {
	return ingestManifests.search(tx, s, "account = ?", account)
}

// CountIngestManifests is how many manifests an account has.
func (tx *Tx) CountIngestManifests(account string) (int, error) {
	return ingestManifests.count(tx, "account = ?", account)
}

// IngestManifests are the manifests of all accounts, those that wait for files
// alone if waiting; at most limit, in the order of their ids, after one.
func (tx *Tx) IngestManifests(waiting bool, after string, limit int) (list []*ams.IngestManifest, err error) {
	where := "WHERE id > ?"
	if waiting {
		where += fmt.Sprintf(" AND id IN (SELECT manifest FROM ingest_files WHERE state = %d)", ams.IngestPending)
	}
	err = ingestManifests.each(tx, func(_ int64, m *ams.IngestManifest) error {
		list = append(list, m)
		return nil
	}, fmt.Sprintf("%s ORDER BY id LIMIT %d", where, limit), after)
	return list, err
}

// InsertIngestManifest adds a manifest.
func (tx *Tx) InsertIngestManifest(m *ams.IngestManifest) error {
	_, err := ingestManifests.insert(tx, m)
	return err
}

// UpdateIngestManifest rewrites the manifest of that account and id.
func (tx *Tx) UpdateIngestManifest(m *ams.IngestManifest) error {
	return ingestManifests.update(tx, m, "account = ? AND id = ?", m.Account, m.ID)
}

// DeleteIngestManifest deletes a manifest with all that is in it. Its container
// is the caller's to delete.
func (tx *Tx) DeleteIngestManifest(account, id string) error {
	return ingestManifests.deleteOne(tx, "account = ? AND id = ?", account, strings.ToLower(id))
}

// maxIngestErrors is how many failed files IngestStatistics names.
const maxIngestErrors = 20

// IngestStatistics counts the files of some manifests, by their ids.
func (tx *Tx) IngestStatistics(manifests []string) (map[string]*ams.IngestStatistics, error) {
	stats := map[string]*ams.IngestStatistics{}
	if len(manifests) == 0 {
		return stats, nil
	}
	var args []any
	for _, id := range manifests {
		stats[id] = new(ams.IngestStatistics)
		args = append(args, id)
	}
	rows, err := tx.query("SELECT manifest, state, COUNT(*) FROM ingest_files WHERE manifest IN (?"+strings.Repeat(", ?", len(args)-1)+") GROUP BY manifest, state", args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var failed []string
	for rows.Next() {
		var id string
		var state ams.IngestFileState
		var n int
		if err := rows.Scan(&id, &state, &n); err != nil {
			return nil, err
		}
		switch s := stats[id]; state {
		case ams.IngestPending:
			s.Pending = n
		case ams.IngestFinished:
			s.Finished = n
		case ams.IngestFailed:
			s.Failed = n
			failed = append(failed, id)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	for _, id := range failed {
		var errs []string
		err := ingestFiles.each(tx, func(_ int64, f *ams.IngestFile) error {
			errs = append(errs, f.Name+": "+f.Error)
			return nil
		}, fmt.Sprintf("WHERE manifest = ? AND state = %d ORDER BY seq LIMIT %d", ams.IngestFailed, maxIngestErrors), id)
		if err != nil {
			return nil, err
		}
		stats[id].Errors = strings.Join(errs, "\n")
	}
	return stats, nil
}

// IngestAsset finds an asset of a manifest by its own guid.
func (tx *Tx) IngestAsset(account, id string) (*ams.IngestAsset, error) {
	return ingestAssets.one(tx, "account = ? AND id = ?", account, strings.ToLower(id))
}

// FindIngestAssets searches the assets of all manifests of an account.
func (tx *Tx) FindIngestAssets(account string, s Search) (*Found[ams.IngestAsset], error) {
	return ingestAssets.search(tx, s, "account = ?", account)
}

// FindPendingIngestAssets searches the assets of a manifest that wait for
// files.
func (tx *Tx) FindPendingIngestAssets(account, manifest string, s Search) (*Found[ams.IngestAsset], error) {
	return ingestAssets.search(tx, s, fmt.Sprintf("account = ? AND manifest = ? AND EXISTS (SELECT 1 FROM ingest_files f WHERE f.ingest_asset = ingest_assets.id AND f.state = %d)", ams.IngestPending),
		account, strings.ToLower(manifest))
}

// InsertIngestAsset adds an asset to a manifest; one that is in it is Exists.
func (tx *Tx) InsertIngestAsset(a *ams.IngestAsset) error {
	_, err := ingestAssets.insert(tx, a)
	return err
}

// DeleteIngestAsset takes an asset out of its manifest, with its files.
func (tx *Tx) DeleteIngestAsset(account, id string) error {
	return ingestAssets.deleteOne(tx, "account = ? AND id = ?", account, strings.ToLower(id))
}

// IngestFile finds a file of a manifest by its guid.
func (tx *Tx) IngestFile(account, id string) (*ams.IngestFile, error) {
	return ingestFiles.one(tx, "account = ? AND id = ?", account, strings.ToLower(id))
}

// IngestFileByName finds a file of a manifest by the name of its blob.
func (tx *Tx) IngestFileByName(manifest, name string) (*ams.IngestFile, error) {
	return ingestFiles.one(tx, "manifest = ? AND name = ?", manifest, name)
}

// PrimaryIngestFile finds the primary file of an asset of a manifest.
func (tx *Tx) PrimaryIngestFile(ingestAsset string) (*ams.IngestFile, error) {
	return ingestFiles.one(tx, "ingest_asset = ? AND is_primary = 1", ingestAsset)
}

// CountIngestFiles is how many files a manifest has.
func (tx *Tx) CountIngestFiles(manifest string) (int, error) {
	return ingestFiles.count(tx, "manifest = ?", manifest)
}

// FindIngestFiles searches the files of all manifests of an account.
func (tx *Tx) FindIngestFiles(account string, s Search) (*Found[ams.IngestFile], error) {
	return ingestFiles.search(tx, s, "account = ?", account)
}

// InsertIngestFile adds a file to a manifest; a name that is in it is Exists.
func (tx *Tx) InsertIngestFile(f *ams.IngestFile) error {
	_, err := ingestFiles.insert(tx, f)
	return err
}

// UpdateIngestFile rewrites the file of that account and id.
func (tx *Tx) UpdateIngestFile(f *ams.IngestFile) error {
	return ingestFiles.update(tx, f, "account = ? AND id = ?", f.Account, f.ID)
}

// DeleteIngestFile takes a file out of its manifest.
func (tx *Tx) DeleteIngestFile(account, id string) error {
	return ingestFiles.deleteOne(tx, "account = ? AND id = ?", account, strings.ToLower(id))
}
