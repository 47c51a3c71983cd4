package catalog

import (
	"fmt"

	"github.com/openams/openams/ams"
)

var accounts = table[ams.Account]{
	name: "accounts", what: "media services account",
	columns: []column[ams.Account]{
		{name: "id", at: func(a *ams.Account) any { return &a.ID }},
		{name: "subscription", at: func(a *ams.Account) any { return &a.SubscriptionID }},
		{name: "resource_group", at: func(a *ams.Account) any { return &a.ResourceGroup }},
		{name: "name", at: func(a *ams.Account) any { return &a.Name }},
		{name: "name_key", at: func(a *ams.Account) any { return fold(a.Name) }, derived: true},
		{name: "created", at: func(a *ams.Account) any { return &a.Created }},
		{name: "last_modified", at: func(a *ams.Account) any { return &a.LastModified }},
	},
	rest: func(a *ams.Account) map[string]any {
		return map[string]any{
			"location": &a.Location, "tags": &a.Tags, "storage": &a.Storage,
			"settings": &a.Settings, "privateLinks": &a.PrivateLinks, "units": &a.Units, "monitoring": &a.Monitoring,
			"createdBy": &a.CreatedBy, "lastModifiedBy": &a.LastModifiedBy,
		}
	},
	fields: map[string]field{
		"name":    {column: "name_key", kind: folded, ops: all, order: true},
		"created": {column: "created", kind: date, ops: all, order: true},
	},
}

// Account finds an account by name, which is unique in the server.
func (tx *Tx) Account(name string) (*ams.Account, error) {
	return accounts.one(tx, "name_key = ?", fold(name))
}

// AccountByID finds an account by its guid.
func (tx *Tx) AccountByID(id string) (*ams.Account, error) {
	return accounts.one(tx, "id = ?", id)
}

// Accounts lists the accounts of the server.
func (tx *Tx) Accounts(q Query) ([]*ams.Account, string, error) {
	return accounts.list(tx, q, "1 = 1")
}

// CountAccounts is how many accounts the server has.
func (tx *Tx) CountAccounts() (int, error) { return accounts.count(tx, "1 = 1") }

// InsertAccount adds an account; a taken name is Exists.
func (tx *Tx) InsertAccount(a *ams.Account) error {
	_, err := accounts.insert(tx, a)
	return err
}

// UpdateAccount rewrites the account of a.ID.
func (tx *Tx) UpdateAccount(a *ams.Account) error {
	return accounts.update(tx, a, "id = ?", a.ID)
}

// DeleteAccount deletes an account with everything in it, storage accounts
// apart.
func (tx *Tx) DeleteAccount(id string) error {
	if _, err := policies.delete(tx, "account = ?", id); err != nil {
		return err
	}
	// What is on its way to notification endpoints goes with them.
	if _, err := eventTargets.delete(tx, "name >= ? AND name < ?", EndpointTarget(id, ""), "v2:"+id+";"); err != nil {
		return err
	}
	return accounts.deleteOne(tx, "id = ?", id)
}

// A storageRow is a storage account as it is stored.
type storageRow struct {
	ams.StorageAccount
	box []byte // Keys, sealed
}

var storageAccounts = table[storageRow]{
	name: "storage_accounts", what: "storage account",
	columns: []column[storageRow]{
		{name: "name", at: func(s *storageRow) any { return &s.Name }},
		{name: "name_key", at: func(s *storageRow) any { return fold(s.Name) }, derived: true},
		{name: "created", at: func(s *storageRow) any { return &s.Created }},
		{name: "sealed", at: func(s *storageRow) any { return &s.box }},
	},
	rest: func(*storageRow) map[string]any { return nil },
	fields: map[string]field{
		"name": {column: "name_key", kind: folded, ops: all, order: true},
	},
}

// StorageAccount finds a storage account, its keys opened.
func (tx *Tx) StorageAccount(name string) (*ams.StorageAccount, error) {
	row, err := storageAccounts.one(tx, "name_key = ?", fold(name))
	if err != nil {
		return nil, err
	}
	return tx.openKeys(row)
}

// StorageAccounts lists the storage accounts of the server.
func (tx *Tx) StorageAccounts(q Query) ([]*ams.StorageAccount, string, error) {
	rows, next, err := storageAccounts.list(tx, q, "1 = 1")
	if err != nil {
		return nil, "", err
	}
	list := make([]*ams.StorageAccount, len(rows))
	for i, row := range rows {
		if list[i], err = tx.openKeys(row); err != nil {
			return nil, "", err
		}
	}
	return list, next, nil
}

// InsertStorageAccount adds a storage account; a taken name is Exists.
func (tx *Tx) InsertStorageAccount(s *ams.StorageAccount) error {
	row, err := tx.sealKeys(s)
	if err == nil {
		_, err = storageAccounts.insert(tx, row)
	}
	return err
}

// UpdateStorageAccount replaces the keys of a storage account.
func (tx *Tx) UpdateStorageAccount(s *ams.StorageAccount) error {
	row, err := tx.sealKeys(s)
	if err != nil {
		return err
	}
	return storageAccounts.update(tx, row, "name_key = ?", fold(s.Name))
}

// DeleteStorageAccount forgets a storage account and its keys.
func (tx *Tx) DeleteStorageAccount(name string) error {
	return storageAccounts.deleteOne(tx, "name_key = ?", fold(name))
}

// The keys are sealed together, each after its length in one byte.
func (tx *Tx) sealKeys(s *ams.StorageAccount) (*storageRow, error) {
	var plain []byte
	for _, k := range s.Keys {
		if len(k) > 255 {
			return nil, fmt.Errorf("a key of storage account %s is longer than 255 bytes", s.Name)
		}
		plain = append(append(plain, byte(len(k))), k...)
	}
	return &storageRow{StorageAccount: *s, box: tx.db.sealed("storage account "+fold(s.Name), plain)}, nil
}

func (tx *Tx) openKeys(row *storageRow) (*ams.StorageAccount, error) {
	plain, err := tx.db.unsealed("storage account "+fold(row.Name), row.box)
	if err != nil {
		return nil, err
	}
	s := row.StorageAccount
	for i := range s.Keys {
		n := int(plain[0])
		s.Keys[i], plain = plain[1:1+n], plain[1+n:]
	}
	return &s, nil
}
