package restv2

import (
	"context"
	"net/url"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/restv2/odata"
)

// registerIngest adds bulk ingest.
func registerIngest(c *odata.Config) {
	c.Sets["IngestManifests"] = ingestManifests{}
	c.Sets["IngestManifestAssets"] = ingestAssets{}
	c.Sets["IngestManifestFiles"] = ingestFiles{}
}

// ingestManifests serves the IngestManifests set.
type ingestManifests struct{}

func (ingestManifests) Get(ctx context.Context, key string) (odata.Entity, error) {
	m, err := of(ctx).IngestManifest(ctx, guid(manifestID, key))
	if err != nil {
		return nil, err
	}
	entity, err := manifestEntity(ctx, m)
	if err != nil {
		return nil, err
	}
	return entity(m), nil
}

func (ingestManifests) Query(ctx context.Context, q *odata.Query) (*odata.Page, error) {
	found, err := of(ctx).FindIngestManifests(ctx, search(q))
	if err != nil {
		return nil, err
	}
	entity, err := manifestEntity(ctx, found.Rows...)
	return page(found, err, entity)
}

func (ingestManifests) Create(ctx context.Context, in *odata.Insert) (*odata.Result, error) {
	name, _ := in.Values["Name"].(string)
	storage, _ := in.Values["StorageAccountName"].(string)
	m, err := of(ctx).CreateIngestManifest(ctx, name, storage)
	if err != nil {
		return nil, err
	}
	entity, err := manifestEntity(ctx, m)
	if err != nil {
		return nil, err
	}
	return &odata.Result{Entity: entity(m)}, nil
}

func (ingestManifests) Update(ctx context.Context, key string, change odata.Entity) (*odata.Result, error) {
	if name, ok := change["Name"]; ok {
		text, _ := name.(string)
		return nil, of(ctx).UpdateIngestManifest(ctx, guid(manifestID, key), text)
	}
	_, err := of(ctx).IngestManifest(ctx, guid(manifestID, key))
	return nil, err
}

func (ingestManifests) Delete(ctx context.Context, key string, _ url.Values) (*odata.Result, error) {
	return nil, of(ctx).DeleteIngestManifest(ctx, guid(manifestID, key))
}

// Related follows PendingIngestManifestAssets.
func (ingestManifests) Related(ctx context.Context, key, _ string, q *odata.Query) (*odata.Page, error) {
	found, err := of(ctx).FindPendingIngestAssets(ctx, guid(manifestID, key), search(q))
	return page(found, err, ingestAssetEntity)
}

// manifestEntity spells the given manifests, whose files it counts at once.
func manifestEntity(ctx context.Context, list ...*ams.IngestManifest) (func(*ams.IngestManifest) odata.Entity, error) {
	acc := of(ctx)
	stats, err := acc.IngestStatistics(ctx, list...)
	return func(m *ams.IngestManifest) odata.Entity {
		s := stats[m.ID]
		return odata.Entity{
			"Id": manifestID + m.ID, "Created": m.Created, "LastModified": m.LastModified, "Name": optional(m.Label),
			"State": int(m.State(s.Pending)), "BlobStorageUriForUpload": acc.IngestURL(m), "StorageAccountName": m.StorageAccount,
			"Statistics": odata.Entity{"PendingFilesCount": s.Pending, "FinishedFilesCount": s.Finished,
				"ErrorFilesCount": s.Failed, "ErrorFilesDetails": optional(s.Errors)},
		}
	}, err
}

// ingestAssets serves the IngestManifestAssets set.
type ingestAssets struct{}

func (ingestAssets) Get(ctx context.Context, key string) (odata.Entity, error) {
	a, err := of(ctx).IngestAsset(ctx, guid(ingestAssetID, key))
	if err != nil {
		return nil, err
	}
	return ingestAssetEntity(a), nil
}

func (ingestAssets) Query(ctx context.Context, q *odata.Query) (*odata.Page, error) {
	found, err := of(ctx).FindIngestAssets(ctx, search(q))
	return page(found, err, ingestAssetEntity)
}

func (ingestAssets) Create(ctx context.Context, in *odata.Insert) (*odata.Result, error) {
	manifest, _ := in.Values["ParentIngestManifestId"].(string)
	a, err := of(ctx).AddIngestAsset(ctx, guid(manifestID, manifest), guid(assetID, in.Bind["Asset"][0].Key))
	if err != nil {
		return nil, err
	}
	return &odata.Result{Entity: ingestAssetEntity(a)}, nil
}

func (ingestAssets) Delete(ctx context.Context, key string, _ url.Values) (*odata.Result, error) {
	return nil, of(ctx).DeleteIngestAsset(ctx, guid(ingestAssetID, key))
}

// Related follows Asset.
func (ingestAssets) Related(ctx context.Context, key, _ string, q *odata.Query) (*odata.Page, error) {
	in, err := of(ctx).IngestAsset(ctx, guid(ingestAssetID, key))
	if err != nil {
		return nil, err
	}
	a, err := of(ctx).AssetByID(ctx, in.Asset)
	switch {
	case ams.CodeOf(err) == ams.NotFound:
		return &odata.Page{}, nil
	case err != nil:
		return nil, err
	}
	return q.Apply([]odata.Entity{assetEntity(ctx)(a)})
}

func ingestAssetEntity(a *ams.IngestAsset) odata.Entity {
	return odata.Entity{"Id": ingestAssetID + a.ID, "Created": a.Created, "LastModified": a.LastModified, "ParentIngestManifestId": manifestID + a.Manifest}
}

// ingestFiles serves the IngestManifestFiles set.
type ingestFiles struct{}

func (ingestFiles) Get(ctx context.Context, key string) (odata.Entity, error) {
	f, err := of(ctx).IngestFile(ctx, guid(ingestFileID, key))
	if err != nil {
		return nil, err
	}
	return ingestFileEntity(f), nil
}

func (ingestFiles) Query(ctx context.Context, q *odata.Query) (*odata.Page, error) {
	found, err := of(ctx).FindIngestFiles(ctx, search(q))
	return page(found, err, ingestFileEntity)
}

func (ingestFiles) Create(ctx context.Context, in *odata.Insert) (*odata.Result, error) {
	v := in.Values
	manifest, _ := v["ParentIngestManifestId"].(string)
	asset, _ := v["ParentIngestManifestAssetId"].(string)
	f := ams.IngestFile{Manifest: guid(manifestID, manifest), IngestAsset: guid(ingestAssetID, asset)}
	for name, at := range map[string]*string{
		"Name": &f.Name, "MimeType": &f.MIMEType, "EncryptionVersion": &f.EncryptionVersion, "EncryptionScheme": &f.EncryptionScheme,
		"EncryptionKeyId": &f.EncryptionKey, "InitializationVector": &f.InitializationVector,
	} {
		*at, _ = v[name].(string)
	}
	f.Primary, _ = v["IsPrimary"].(bool)
	f.Encrypted, _ = v["IsEncrypted"].(bool)
	made, err := of(ctx).AddIngestFile(ctx, f)
	if err != nil {
		return nil, err
	}
	return &odata.Result{Entity: ingestFileEntity(made)}, nil
}

func (ingestFiles) Delete(ctx context.Context, key string, _ url.Values) (*odata.Result, error) {
	return nil, of(ctx).DeleteIngestFile(ctx, guid(ingestFileID, key))
}

func ingestFileEntity(f *ams.IngestFile) odata.Entity {
	return odata.Entity{
		"Id": ingestFileID + f.ID, "Created": f.Created, "LastModified": f.LastModified, "Name": f.Name, "State": int(f.State),
		"ParentIngestManifestId": manifestID + f.Manifest, "ParentIngestManifestAssetId": ingestAssetID + f.IngestAsset,
		"ErrorDetail": optional(f.Error), "IsPrimary": f.Primary, "MimeType": optional(f.MIMEType),
		"EncryptionVersion": optional(f.EncryptionVersion), "EncryptionScheme": optional(f.EncryptionScheme), "IsEncrypted": f.Encrypted,
		"EncryptionKeyId": optional(f.EncryptionKey), "InitializationVector": optional(f.InitializationVector),
	}
}
