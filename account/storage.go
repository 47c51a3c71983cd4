package account

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/identity"
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

// mayAttach refuses to attach a storage account to a for a caller who may not
// list its keys: who may use an account can read and write in what is attached
// to it. (A linked permission, documented.) The server itself may.
func mayAttach(ctx context.Context, a *ams.Account, storage string) error {
	const action = "Microsoft.Storage/storageAccounts/listKeys/action"
	scope := "/subscriptions/" + a.SubscriptionID + "/resourceGroups/" + a.ResourceGroup + "/providers/Microsoft.Storage/storageAccounts/" + storage
	p := identity.FromContext(ctx)
	if p == nil || p.May(action, scope) {
		return nil
	}
	return ams.Errorf(ams.Forbidden, "The client '%s' with object id '%s' has permission to change the media services account '%s'; however, it does not have permission to perform action '%s' on the linked scope '%s', or the linked scope is invalid.",
		p.Who(), p.ID, a.Name, action, scope)
}

// hasStorage is HasStorage for a name as a client spells it.
func hasStorage(a *ams.Account, name string) bool {
	return slices.ContainsFunc(a.Storage, func(s ams.AccountStorage) bool { return strings.EqualFold(s.Name, name) })
}

// usage keeps what StorageBytes found.
type usage struct {
	mu sync.Mutex
	of map[string]used // by the name of the storage account
}

type used struct {
	bytes      int64
	from, till time.Time // of the count
}

// StorageBytes is how many bytes the blobs of a storage account have. Counting
// takes long where there are many, so that the number may be as old as fifty
// times that.
func (a *Account) StorageBytes(ctx context.Context, name string) (int64, error) {
	u := &a.s.usage
	u.mu.Lock()
	defer u.mu.Unlock()
	if known, ok := u.of[name]; ok && time.Since(known.till) < 50*known.till.Sub(known.from) {
		return known.bytes, nil
	}
	now := used{from: time.Now()}
	err := a.s.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		now.bytes, err = tx.StorageBytes(name)
		return err
	})
	if err != nil {
		return 0, err
	}
	now.till = time.Now()
	u.of[name] = now
	return now.bytes, nil
}

// SyncStorageKeys is what clients call after they rotated the keys of a
// storage account. Here accounts read the keys each time they sign, so that
// there is nothing to do but to say whether the storage account, a name or a
// resource id, is attached.
func (a *Account) SyncStorageKeys(storage string) error {
	name := storage[strings.LastIndexByte(storage, '/')+1:]
	if hasStorage(&a.Account, name) {
		return nil
	}
	return ams.Invalidf("id", "The storage account '%s' is not attached to the media services account '%s'.", name, a.Name)
}
