package account

import (
	"context"
	"crypto/rand"
	"strings"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

// StorageAccounts lists the storage accounts of the server, with their keys.
func (s *Server) StorageAccounts(ctx context.Context) (list []*ams.StorageAccount, err error) {
	err = s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		for q := (catalog.Query{}); ; {
			page, next, err := tx.StorageAccounts(q)
			list = append(list, page...)
			if err != nil || next == "" {
				return err
			}
			q.After = next
		}
	})
	return list, err
}

// maxStorageAccounts is how many storage accounts a server has at most: as
// many as Azure gave a subscription in one region (documented).
const maxStorageAccounts = 250

// CreateStorageAccount makes a storage account with two random keys, or leaves
// the one there is as it is.
func (s *Server) CreateStorageAccount(ctx context.Context, name string) (store *ams.StorageAccount, created bool, err error) {
	if err := ams.ValidateAccountName(name); err != nil {
		return nil, false, err
	}
	err = s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		all, _, err := tx.StorageAccounts(catalog.Query{})
		if err != nil {
			return err
		}
		if store, err = tx.StorageAccount(name); ams.CodeOf(err) != ams.NotFound {
			return err
		}
		if len(all) >= maxStorageAccounts {
			return full("storage accounts", maxStorageAccounts)
		}
		created = true
		store, err = s.newStorage(tx, name)
		return err
	})
	return store, created, err
}

func (s *Server) newStorage(tx *catalog.Tx, name string) (*ams.StorageAccount, error) {
	store := &ams.StorageAccount{Name: name, Created: s.now()}
	for i := range store.Keys {
		store.Keys[i] = newKey()
	}
	return store, tx.InsertStorageAccount(store)
}

func newKey() []byte {
	key := make([]byte, 64)
	rand.Read(key) // never fails (crypto/rand)
	return key
}

// RegenerateStorageKey replaces the first or second key of a storage account
// (index 0 or 1) by a new one. What the old key signed is refused at once.
func (s *Server) RegenerateStorageKey(ctx context.Context, name string, index int) (store *ams.StorageAccount, err error) {
	err = s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		if store, err = tx.StorageAccount(name); err != nil {
			return err
		}
		store.Keys[index] = newKey()
		return tx.UpdateStorageAccount(store)
	})
	return store, err
}

// SyncStorageKeys is what clients call after they rotated the keys of a
// storage account. Here accounts read the keys each time they sign, so that
// there is nothing to do but to say whether the storage account, a name or a
// resource id, is attached.
func (a *Account) SyncStorageKeys(storage string) error {
	name := storage[strings.LastIndexByte(storage, '/')+1:]
	for _, s := range a.Storage {
		if strings.EqualFold(s.Name, name) {
			return nil
		}
	}
	return ams.Invalidf("id", "The storage account '%s' is not attached to the media services account '%s'.", name, a.Name)
}
