package catalog

import (
	"database/sql"
	"errors"
	"strings"

	"github.com/openams/openams/ams"
)

// A keyRow is a key of an account as it is stored.
type keyRow struct {
	ams.Key
	box []byte // Value, sealed
}

var accountKeys = table[keyRow]{
	name: "account_keys", what: "content key",
	columns: []column[keyRow]{
		{name: "account", at: func(k *keyRow) any { return &k.Account }},
		{name: "id", at: func(k *keyRow) any { return &k.ID }},
		{name: "name", at: func(k *keyRow) any { return &k.Name }},
		{name: "type", at: func(k *keyRow) any { return &k.Type }},
		{name: "policy", at: func(k *keyRow) any { return &k.Policy }},
		{name: "protection_key", at: func(k *keyRow) any { return &k.ProtectionKey }},
		{name: "checksum", at: func(k *keyRow) any { return &k.Checksum }},
		{name: "created", at: func(k *keyRow) any { return &k.Created }},
		{name: "last_modified", at: func(k *keyRow) any { return &k.LastModified }},
		{name: "sealed", at: func(k *keyRow) any { return &k.box }},
	},
	rest: func(k *keyRow) map[string]any {
		return map[string]any{"wrapped": &k.Wrapped, "protectionType": &k.ProtectionType, "trackIdentifiers": &k.TrackIdentifiers}
	},
}

// allKeys is a view: accountKeys and the keys of locators, each id once. It is
// only read.
var allKeys = table[keyRow]{
	name: "all_keys", what: "content key",
	columns: append([]column[keyRow]{{name: "of_locator", at: func(k *keyRow) any { return (*flag)(&k.OfLocator) }}}, accountKeys.columns...),
	rest:    accountKeys.rest,
	key:     "Id",
	properties: map[string]field{
		"Id":                    {column: "id", kind: ident, prefix: "nb:kid:UUID:"},
		"Name":                  {column: "name", kind: text},
		"ContentKeyType":        {column: "type", kind: number},
		"Created":               {column: "created", kind: date},
		"LastModified":          {column: "last_modified", kind: date},
		"ProtectionKeyId":       {column: "protection_key", kind: text},
		"ProtectionKeyType":     {column: keptNumber("protectionType"), kind: number},
		"TrackIdentifiers":      {column: kept("trackIdentifiers"), kind: text},
		"Checksum":              {column: "checksum", kind: text},
		"AuthorizationPolicyId": {column: "policy", kind: ident, prefix: policyPrefix},
	},
}

// policyPrefix begins the v2 ids of content key policies.
const policyPrefix = "nb:ckpid:UUID:"

// Key finds a key of an account, or one of its locators', by its id.
func (tx *Tx) Key(account, id string) (*ams.Key, error) {
	row, err := allKeys.one(tx, "account = ? AND id = ?", account, strings.ToLower(id))
	if err != nil {
		return nil, err
	}
	return tx.openKey(row)
}

// KeysByID are the keys of all accounts with an id, without those of locators.
func (tx *Tx) KeysByID(id string) ([]*ams.Key, error) {
	return tx.keys("WHERE id = ? ORDER BY seq", id)
}

// AssetKeys are the keys that are linked to the asset with an id, the first
// linked first.
func (tx *Tx) AssetKeys(account, asset string) ([]*ams.Key, error) {
	return tx.keys(`WHERE account = ? AND id IN (SELECT l.id FROM asset_keys l WHERE l.account = ? AND l.asset = ?)
		ORDER BY (SELECT l.seq FROM asset_keys l WHERE l.account = account_keys.account AND l.asset = ? AND l.id = account_keys.id)`,
		account, account, asset, asset)
}

func (tx *Tx) keys(tail string, args ...any) (keys []*ams.Key, err error) {
	err = accountKeys.each(tx, func(_ int64, row *keyRow) error {
		k, err := tx.openKey(row)
		keys = append(keys, k)
		return err
	}, tail, args...)
	return keys, err
}

// FindKeys searches the keys of an account, those of its locators among them.
func (tx *Tx) FindKeys(account string, s Search) (*Found[ams.Key], error) {
	return tx.findKeys(s, "account = ?", account)
}

// FindAssetKeys searches the keys that the asset with that name and id has: by
// links and by its locators.
func (tx *Tx) FindAssetKeys(account, name, id string, s Search) (*Found[ams.Key], error) {
	return tx.findKeys(s, `account = ? AND (id IN (SELECT l.id FROM asset_keys l WHERE l.account = ? AND l.asset = ?)
		OR id IN (SELECT k.id FROM content_keys k JOIN streaming_locators s ON s.id = k.locator WHERE s.account = ? AND s.asset_key = ?))`,
		account, account, id, account, fold(name))
}

func (tx *Tx) findKeys(s Search, where string, args ...any) (*Found[ams.Key], error) {
	rows, err := allKeys.search(tx, s, where, args...)
	if err != nil {
		return nil, err
	}
	found := &Found[ams.Key]{Count: rows.Count, Next: rows.Next}
	for _, row := range rows.Rows {
		k, err := tx.openKey(row)
		if err != nil {
			return nil, err
		}
		found.Rows = append(found.Rows, k)
	}
	return found, nil
}

// openKey is the key of a row. A key has one sealing whatever table it is in.
func (tx *Tx) openKey(row *keyRow) (_ *ams.Key, err error) {
	k := row.Key
	k.Value, err = tx.db.unsealed("content key "+k.ID, row.box)
	return &k, err
}

func (tx *Tx) sealKey(k *ams.Key) *keyRow {
	return &keyRow{Key: *k, box: tx.db.sealed("content key "+k.ID, k.Value)}
}

// CountKeys is how many keys an account has, without those of locators.
func (tx *Tx) CountKeys(account string) (int, error) {
	return accountKeys.count(tx, "account = ?", account)
}

// InsertKey adds a key to an account; a taken id is Exists.
func (tx *Tx) InsertKey(k *ams.Key) error {
	_, err := accountKeys.insert(tx, tx.sealKey(k))
	return err
}

// UpdateKey rewrites the key of that account and id. The keys of locators with
// that id follow: in their value, and in the policy by the name policy.
func (tx *Tx) UpdateKey(k *ams.Key, policy string) error {
	row := tx.sealKey(k)
	if !k.OfLocator {
		if err := accountKeys.update(tx, row, "account = ? AND id = ?", k.Account, k.ID); err != nil {
			return err
		}
	}
	_, err := tx.exec("UPDATE content_keys SET sealed = ?, policy = ?, policy_key = ? WHERE account = ? AND id = ?",
		row.box, policy, fold(policy), k.Account, k.ID)
	return err
}

// DeleteKey deletes a key of an account with its links.
func (tx *Tx) DeleteKey(account, id string) error {
	return accountKeys.deleteOne(tx, "account = ? AND id = ?", account, strings.ToLower(id))
}

// KeyAssets are the ids of the assets that a key is linked to.
func (tx *Tx) KeyAssets(account, id string) ([]string, error) {
	return tx.texts("SELECT asset FROM asset_keys WHERE account = ? AND id = ? ORDER BY seq", account, id)
}

// LinkKey links a key to the asset with an id; a second time is Exists.
func (tx *Tx) LinkKey(account, asset, id string) error {
	return tx.link("INSERT INTO asset_keys (account, asset, id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
		"The content key is linked to the asset already.", account, asset, id)
}

// UnlinkKey undoes LinkKey; what is not linked is NotFound.
func (tx *Tx) UnlinkKey(account, asset, id string) error {
	return tx.unlink("DELETE FROM asset_keys WHERE account = ? AND asset = ? AND id = ?",
		"The content key is not linked to the asset.", account, asset, id)
}

func (tx *Tx) link(query, already string, args ...any) error {
	n, err := affected(tx.exec(query, args...))
	if err == nil && n == 0 {
		err = ams.Errorf(ams.Exists, "%s", already)
	}
	return err
}

func (tx *Tx) unlink(query, absent string, args ...any) error {
	n, err := affected(tx.exec(query, args...))
	if err == nil && n == 0 {
		err = ams.Errorf(ams.NotFound, "%s", absent)
	}
	return err
}

// texts are the values of the only column of a query.
func (tx *Tx) texts(query string, args ...any) (list []string, err error) {
	rows, err := tx.query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, rows.Err()
}

// Secret reads what SetSecret kept under a name; nil: nothing.
func (tx *Tx) Secret(name string) ([]byte, error) {
	var box []byte
	err := tx.queryRow("SELECT value FROM settings WHERE name = ?", name).Scan(&box)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return tx.db.unsealed("setting "+name, box)
}

// SetSecret keeps a secret of the server, once and for all processes that share
// the catalog: the first one stays.
func (tx *Tx) SetSecret(name string, value []byte) error {
	_, err := tx.exec("INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING", name, tx.db.sealed("setting "+name, value))
	return err
}
