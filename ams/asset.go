package ams

import (
	"strings"
	"time"
)

// An Asset is a named set of media files that share one blob container.
// Name, ID, StorageAccount and Container never change once the asset exists.
type Asset struct {
	Account        string // Account.ID
	Name           string // the v3 name, unique in the account
	ID             string // guid: v3 assetId; the v2 Id is "nb:cid:UUID:" + ID
	Label          string // the v2 Name: free text, may repeat; of an asset that v3 made its Name
	AlternateID    string
	Description    string
	StorageAccount string
	Container      string // unique in its storage account
	Format         StorageEncryption
	Options        AssetOptions
	FormatOption   int // v2: 1 for an asset that is a set for adaptive streaming, else 0
	Created        time.Time
	LastModified   time.Time
	CreatedBy      string
	LastModifiedBy string
}

// AssetOptions say how the client that uploads an asset's files encrypted them
// (v2).
type AssetOptions int

// The options of an asset, of which it has one.
const (
	OptionsNone                 AssetOptions = 0
	StorageEncrypted            AssetOptions = 1 // Format is MediaStorageClientEncryption
	CommonEncryptionProtected   AssetOptions = 2
	EnvelopeEncryptionProtected AssetOptions = 4
)

// StorageEncryption says whether the files of an asset are encrypted at rest
// by the client that uploaded them (v2 Options 1).
type StorageEncryption string

// The values of the v3 property storageEncryptionFormat.
const (
	NotEncrypted                 StorageEncryption = "None"
	MediaStorageClientEncryption StorageEncryption = "MediaStorageClientEncryption"
)

// DefaultContainer is the container of an asset whose creator named none.
func DefaultContainer(assetID string) string { return "asset-" + strings.ToLower(assetID) }

// Validate reports the first rule that a breaks, as an Invalid error.
func (a *Asset) Validate() error {
	switch a.Options {
	case OptionsNone, StorageEncrypted, CommonEncryptionProtected, EnvelopeEncryptionProtected:
	default:
		return Invalidf("Options", "Options must be one of 0, 1, 2 and 4.")
	}
	if a.FormatOption != 0 && a.FormatOption != 1 {
		return Invalidf("FormatOption", "FormatOption must be 0 or 1.")
	}
	if err := ValidateName("asset", a.Name); err != nil {
		return err
	}
	return ValidateContainerName(a.Container)
}

// An AssetFile is what v2 keeps of a file of an asset, apart from the blob of
// that name: either may be there without the other.
type AssetFile struct {
	Account              string // Account.ID
	ID                   string // guid; the v2 Id is "nb:cid:UUID:" + ID
	Asset                string // Asset.ID
	Name                 string // unique in the asset
	Size                 int64  // as the client says it
	Primary              bool   // at most one in the asset
	Encrypted            bool
	EncryptionVersion    string
	EncryptionScheme     string
	EncryptionKey        string // id of a content key as the client spells it
	InitializationVector string
	MIMEType             string
	Checksum             string // as the client says it
	Options              AssetOptions
	Created              time.Time
	LastModified         time.Time
}

// reservedInFiles may not occur in the name of a file, for it is a part of
// streaming URLs (documented: upload files by REST).
const reservedInFiles = `!*'();:@&=+$,/?%#[]"`

// ValidateAssetFileName reports whether a client may give an AssetFile the
// name.
func ValidateAssetFileName(name string) error {
	switch {
	case strings.ContainsAny(name, reservedInFiles):
		return Invalidf("Name", "The file name '%s' has a reserved character. Names can't include: %s", name, reservedInFiles)
	case strings.Count(name, ".") > 1:
		return Invalidf("Name", "The file name '%s' has more than one '.'.", name)
	}
	return ValidateFileName(name)
}
