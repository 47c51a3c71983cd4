package restv2

import (
	"context"
	"net/url"
	"strconv"
	"strings"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/restv2/odata"
)

// registerAssets adds assets and their files.
func registerAssets(c *odata.Config) {
	c.Sets["Assets"] = assets{}
	c.Sets["Files"] = files{}
	c.Calls["CreateFileInfos"] = func(ctx context.Context, _ string, args odata.Entity) (*odata.Result, error) {
		id, _ := args["assetid"].(string)
		a, err := asset(ctx, id)
		if err != nil {
			return nil, err
		}
		return nil, of(ctx).CreateFileInfos(ctx, a.ID)
	}
	c.Calls["Assets/Publish"] = func(ctx context.Context, key string, _ odata.Entity) (*odata.Result, error) {
		_, err := asset(ctx, key) // it was deprecated, and nothing depends on the state (documented)
		return nil, err
	}
}

// assets serves the Assets set.
type assets struct{}

// asset finds an asset by its v2 id.
func asset(ctx context.Context, id string) (*ams.Asset, error) {
	return of(ctx).AssetByID(ctx, guid(assetID, id))
}

func (assets) Get(ctx context.Context, key string) (odata.Entity, error) {
	a, err := asset(ctx, key)
	if err != nil {
		return nil, err
	}
	return assetEntity(ctx)(a), nil
}

func (assets) Query(ctx context.Context, q *odata.Query) (*odata.Page, error) {
	found, err := of(ctx).FindAssets(ctx, search(q))
	return page(found, err, assetEntity(ctx))
}

func (assets) Create(ctx context.Context, in *odata.Insert) (*odata.Result, error) {
	v := in.Values
	options, _ := v["Options"].(int64)
	format, _ := v["FormatOption"].(int64)
	storage, _ := v["StorageAccountName"].(string)
	a, err := of(ctx).NewAsset(ctx, account.AssetInput{
		Label: pointer[string](v["Name"]), AlternateID: pointer[string](v["AlternateId"]),
		StorageAccount: storage, Options: ams.AssetOptions(options), FormatOption: int(format),
	})
	if err != nil {
		return nil, err
	}
	return &odata.Result{Entity: assetEntity(ctx)(a)}, nil
}

func (assets) Update(ctx context.Context, key string, change odata.Entity) (*odata.Result, error) {
	a, err := asset(ctx, key)
	if err != nil {
		return nil, err
	}
	var in account.AssetInput
	for name, at := range map[string]**string{"Name": &in.Label, "AlternateId": &in.AlternateID} {
		if value, ok := change[name]; ok {
			text, _ := value.(string)
			*at = &text
		}
	}
	_, err = of(ctx).UpdateAsset(ctx, a.Name, in)
	return nil, err
}

// Delete heeds keepcontainer, which leaves the files.
func (assets) Delete(ctx context.Context, key string, options url.Values) (*odata.Result, error) {
	a, err := asset(ctx, key)
	if err != nil {
		return nil, err
	}
	remove := of(ctx).DeleteAsset
	for name, values := range options {
		if !strings.EqualFold(name, "keepcontainer") {
			continue
		}
		keep, err := strconv.ParseBool(strings.ToLower(strings.Trim(values[0], "'")))
		if err != nil {
			return nil, odata.BadRequest("keepcontainer is either true or false.")
		}
		if keep {
			remove = of(ctx).ForgetAsset
		}
	}
	existed, err := remove(ctx, a.Name)
	if err == nil && !existed {
		err = odata.NotFound("Assets")
	}
	return nil, err
}

func (assets) Related(ctx context.Context, key, navigation string, q *odata.Query) (*odata.Page, error) {
	switch navigation {
	case "ParentAssets":
		found, err := of(ctx).AssetParents(ctx, guid(assetID, key), search(q))
		return page(found, err, assetEntity(ctx))
	case "ContentKeys":
		found, err := of(ctx).AssetKeys(ctx, guid(assetID, key), search(q))
		return page(found, err, keyEntity)
	case "DeliveryPolicies":
		a, err := asset(ctx, key)
		if err != nil {
			return nil, err
		}
		found, err := of(ctx).FindDeliveryPolicies(ctx, a.ID, search(q))
		return page(found, err, deliveryEntity)
	}
	return nil, odata.NotFound(navigation)
}

func assetEntity(ctx context.Context) func(*ams.Asset) odata.Entity {
	acc := of(ctx)
	return func(a *ams.Asset) odata.Entity {
		return odata.Entity{
			"Id": assetID + a.ID, "State": 0, "Created": a.Created, "LastModified": a.LastModified,
			"AlternateId": optional(a.AlternateID), "Name": optional(a.Label), "Options": int(a.Options), "FormatOption": a.FormatOption,
			"Uri": acc.AssetURL(a), "StorageAccountName": a.StorageAccount,
		}
	}
}

// files serves the Files set.
type files struct{}

func (files) Get(ctx context.Context, key string) (odata.Entity, error) {
	f, err := of(ctx).File(ctx, guid(assetID, key))
	if err != nil {
		return nil, err
	}
	return fileEntity(f), nil
}

func (files) Query(ctx context.Context, q *odata.Query) (*odata.Page, error) {
	found, err := of(ctx).FindFiles(ctx, search(q))
	return page(found, err, fileEntity)
}

func (files) Create(ctx context.Context, in *odata.Insert) (*odata.Result, error) {
	parent, _ := in.Values["ParentAssetId"].(string)
	options, _ := in.Values["Options"].(int64)
	f := ams.AssetFile{Asset: guid(assetID, parent), Options: ams.AssetOptions(options)}
	applyFile(&f, in.Values)
	made, err := of(ctx).CreateFile(ctx, f)
	if err != nil {
		return nil, err
	}
	return &odata.Result{Entity: fileEntity(made)}, nil
}

func (files) Update(ctx context.Context, key string, change odata.Entity) (*odata.Result, error) {
	_, err := of(ctx).UpdateFile(ctx, guid(assetID, key), func(f *ams.AssetFile) { applyFile(f, change) })
	return nil, err
}

func (files) Delete(ctx context.Context, key string, _ url.Values) (*odata.Result, error) {
	existed, err := of(ctx).DeleteFile(ctx, guid(assetID, key))
	if err == nil && !existed {
		err = odata.NotFound("Files")
	}
	return nil, err
}

// applyFile writes what v names into f.
func applyFile(f *ams.AssetFile, v odata.Entity) {
	for name, at := range map[string]*string{
		"Name": &f.Name, "EncryptionVersion": &f.EncryptionVersion, "EncryptionScheme": &f.EncryptionScheme, "EncryptionKeyId": &f.EncryptionKey,
		"InitializationVector": &f.InitializationVector, "MimeType": &f.MIMEType, "ContentChecksum": &f.Checksum,
	} {
		if value, ok := v[name]; ok {
			*at, _ = value.(string)
		}
	}
	for name, at := range map[string]*bool{"IsPrimary": &f.Primary, "IsEncrypted": &f.Encrypted} {
		if value, ok := v[name]; ok {
			*at, _ = value.(bool)
		}
	}
	if value, ok := v["ContentFileSize"]; ok {
		f.Size, _ = value.(int64)
	}
}

func fileEntity(f *ams.AssetFile) odata.Entity {
	return odata.Entity{
		"Id": assetID + f.ID, "Name": f.Name, "ContentFileSize": f.Size, "ParentAssetId": assetID + f.Asset,
		"EncryptionVersion": optional(f.EncryptionVersion), "EncryptionScheme": optional(f.EncryptionScheme), "IsEncrypted": f.Encrypted,
		"EncryptionKeyId": optional(f.EncryptionKey), "InitializationVector": optional(f.InitializationVector), "IsPrimary": f.Primary,
		"LastModified": f.LastModified, "Created": f.Created, "MimeType": optional(f.MIMEType), "ContentChecksum": optional(f.Checksum),
		"Options": int(f.Options),
	}
}
