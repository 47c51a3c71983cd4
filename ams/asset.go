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
	Label          string // the v2 Name: free text, may repeat; empty: the v3 Name
	AlternateID    string
	Description    string
	StorageAccount string
	Container      string // unique in its storage account
	Format         StorageEncryption
	Created        time.Time
	LastModified   time.Time
	CreatedBy      string
	LastModifiedBy string
}

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
	if err := ValidateName("asset", a.Name); err != nil {
		return err
	}
	return ValidateContainerName(a.Container)
}
