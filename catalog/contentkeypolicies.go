package catalog

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/filter"
)

// A contentKeyPolicyRow is a content key policy as it is stored.
type contentKeyPolicyRow struct {
	ams.ContentKeyPolicy
	box []byte // Options, sealed
}

var contentKeyPolicies = table[contentKeyPolicyRow]{
	name: "content_key_policies", what: "content key policy",
	columns: []column[contentKeyPolicyRow]{
		{name: "account", at: func(p *contentKeyPolicyRow) any { return &p.Account }},
		{name: "id", at: func(p *contentKeyPolicyRow) any { return &p.ID }},
		{name: "name", at: func(p *contentKeyPolicyRow) any { return &p.Name }},
		{name: "name_key", at: func(p *contentKeyPolicyRow) any { return fold(p.Name) }, derived: true},
		{name: "label", at: func(p *contentKeyPolicyRow) any { return &p.Label }},
		{name: "description", at: func(p *contentKeyPolicyRow) any { return &p.Description }},
		{name: "created", at: func(p *contentKeyPolicyRow) any { return &p.Created }},
		{name: "last_modified", at: func(p *contentKeyPolicyRow) any { return &p.LastModified }},
		{name: "sealed", at: func(p *contentKeyPolicyRow) any { return &p.box }},
	},
	rest: func(p *contentKeyPolicyRow) map[string]any {
		return map[string]any{"createdBy": &p.CreatedBy, "lastModifiedBy": &p.LastModifiedBy}
	},
	fields: map[string]field{
		"name":         {column: "name_key", kind: folded, ops: all, order: true},
		"created":      {column: "created", kind: date, ops: all, order: true},
		"lastmodified": {column: "last_modified", kind: date, ops: all, order: true},
		"description":  {column: "description", kind: text, ops: all},
		"policyid":     {column: "id", kind: guid, ops: []filter.Op{filter.Eq, filter.Ne}},
	},
	key: "Id",
	properties: map[string]field{
		"Id":   {column: "id", kind: ident, prefix: policyPrefix},
		"Name": {column: "label", kind: text},
	},
}

// ContentKeyPolicy finds a content key policy of an account, its secrets
// opened.
func (tx *Tx) ContentKeyPolicy(account, name string) (*ams.ContentKeyPolicy, error) {
	row, err := contentKeyPolicies.one(tx, "account = ? AND name_key = ?", account, fold(name))
	if err != nil {
		return nil, err
	}
	return tx.openPolicy(row)
}

// ContentKeyPolicyByID finds a content key policy of an account by its guid.
func (tx *Tx) ContentKeyPolicyByID(account, id string) (*ams.ContentKeyPolicy, error) {
	row, err := contentKeyPolicies.one(tx, "account = ? AND id = ?", account, strings.ToLower(id))
	if err != nil {
		return nil, err
	}
	return tx.openPolicy(row)
}

// FindContentKeyPolicies searches the content key policies of an account.
func (tx *Tx) FindContentKeyPolicies(account string, s Search) (*Found[ams.ContentKeyPolicy], error) {
	rows, err := contentKeyPolicies.search(tx, s, "account = ?", account)
	if err != nil {
		return nil, err
	}
	found := &Found[ams.ContentKeyPolicy]{Count: rows.Count, Next: rows.Next}
	for _, row := range rows.Rows {
		p, err := tx.openPolicy(row)
		if err != nil {
			return nil, err
		}
		found.Rows = append(found.Rows, p)
	}
	return found, nil
}

// ContentKeyPolicies lists the content key policies of an account, their
// secrets opened.
func (tx *Tx) ContentKeyPolicies(account string, q Query) ([]*ams.ContentKeyPolicy, string, error) {
	rows, next, err := contentKeyPolicies.list(tx, q, "account = ?", account)
	if err != nil {
		return nil, "", err
	}
	list := make([]*ams.ContentKeyPolicy, len(rows))
	for i, row := range rows {
		if list[i], err = tx.openPolicy(row); err != nil {
			return nil, "", err
		}
	}
	return list, next, nil
}

// CountContentKeyPolicies is how many content key policies an account has.
func (tx *Tx) CountContentKeyPolicies(account string) (int, error) {
	return contentKeyPolicies.count(tx, "account = ?", account)
}

// InsertContentKeyPolicy adds a content key policy; a taken name is Exists.
func (tx *Tx) InsertContentKeyPolicy(p *ams.ContentKeyPolicy) error {
	row, err := tx.sealPolicy(p)
	if err != nil {
		return err
	}
	if _, err := contentKeyPolicies.insert(tx, row); err != nil {
		return err
	}
	return tx.linkOptions(p)
}

// UpdateContentKeyPolicy rewrites the content key policy of p.Account and
// p.Name. Its ID stays.
func (tx *Tx) UpdateContentKeyPolicy(p *ams.ContentKeyPolicy) error {
	row, err := tx.sealPolicy(p)
	if err != nil {
		return err
	}
	if err := contentKeyPolicies.update(tx, row, "account = ? AND name_key = ?", p.Account, fold(p.Name)); err != nil {
		return err
	}
	return tx.linkOptions(p)
}

// DeleteContentKeyPolicy deletes a content key policy. One that a locator or a
// key uses is Conflict.
func (tx *Tx) DeleteContentKeyPolicy(account, name string) error {
	p, err := contentKeyPolicies.one(tx, "account = ? AND name_key = ?", account, fold(name))
	if err != nil {
		return err
	}
	var used int
	if err := tx.queryRow(`SELECT count(*) FROM streaming_locators l WHERE l.account = ? AND (l.content_key_policy_key = ?
		OR EXISTS (SELECT 1 FROM content_keys k WHERE k.locator = l.id AND k.policy_key = ?))`,
		account, fold(name), fold(name)).Scan(&used); err != nil {
		return err
	}
	if used > 0 {
		return ams.Errorf(ams.Conflict, "The content key policy '%s' is used by %d streaming locators.", p.Name, used)
	}
	if err := tx.queryRow("SELECT count(*) FROM account_keys WHERE account = ? AND policy = ?", account, p.ID).Scan(&used); err != nil {
		return err
	}
	if used > 0 {
		return ams.Errorf(ams.Conflict, "The content key policy '%s' is used by %d content keys.", p.Name, used)
	}
	options, err := tx.optionIDs(p.ID)
	if err != nil {
		return err
	}
	if err := contentKeyPolicies.deleteOne(tx, "account = ? AND name_key = ?", account, fold(name)); err != nil {
		return err
	}
	return tx.dropOptions(account, options)
}

// The options are sealed whole, under the id that never changes.
func (tx *Tx) sealPolicy(p *ams.ContentKeyPolicy) (*contentKeyPolicyRow, error) {
	options := make([]storedOption, len(p.Options))
	for i, o := range p.Options {
		options[i] = storedOption{o, o.V2}
	}
	plain, err := json.Marshal(options)
	if err != nil {
		return nil, err
	}
	return &contentKeyPolicyRow{ContentKeyPolicy: *p, box: tx.db.sealed("content key policy "+p.ID, plain)}, nil
}

func (tx *Tx) openPolicy(row *contentKeyPolicyRow) (*ams.ContentKeyPolicy, error) {
	plain, err := tx.db.unsealed("content key policy "+row.ID, row.box)
	if err != nil {
		return nil, err
	}
	p := row.ContentKeyPolicy
	var options []storedOption
	if err := json.Unmarshal(plain, &options); err != nil {
		return nil, err
	}
	for _, o := range options {
		p.Options = append(p.Options, o.option())
	}
	return &p, nil
}

// A contentKeyRow is a content key as it is stored.
type contentKeyRow struct {
	ams.ContentKey
	box []byte // Value, sealed
}

var contentKeys = table[contentKeyRow]{
	name: "content_keys", what: "content key",
	columns: []column[contentKeyRow]{
		{name: "account", at: func(k *contentKeyRow) any { return &k.Account }},
		{name: "locator", at: func(k *contentKeyRow) any { return &k.Locator }},
		{name: "id", at: func(k *contentKeyRow) any { return &k.ID }},
		{name: "scheme", at: func(k *contentKeyRow) any { return &k.Scheme }},
		{name: "label", at: func(k *contentKeyRow) any { return &k.Label }},
		{name: "policy", at: func(k *contentKeyRow) any { return &k.Policy }},
		{name: "policy_key", at: func(k *contentKeyRow) any { return fold(k.Policy) }, derived: true},
		{name: "sealed", at: func(k *contentKeyRow) any { return &k.box }},
	},
	rest: func(k *contentKeyRow) map[string]any {
		return map[string]any{"given": &k.Given, "tracks": &k.Tracks, "iv": &k.IV}
	},
}

// LocatorKeys are the content keys of a locator, in the order they were
// inserted.
func (tx *Tx) LocatorKeys(locatorID string) ([]*ams.ContentKey, error) {
	return tx.contentKeys("WHERE locator = ? ORDER BY seq", locatorID)
}

// KeyIDs are the content keys of some locators, by locator, without their
// values.
func (tx *Tx) KeyIDs(locatorIDs []string) (map[string][]*ams.ContentKey, error) {
	keys := map[string][]*ams.ContentKey{}
	for ids := range slices.Chunk(locatorIDs, 500) { // placeholders of one statement
		args := make([]any, len(ids))
		for i, id := range ids {
			args[i] = id
		}
		err := contentKeys.each(tx, func(_ int64, row *contentKeyRow) error {
			keys[row.Locator] = append(keys[row.Locator], &row.ContentKey)
			return nil
		}, "WHERE locator IN (?"+strings.Repeat(", ?", len(ids)-1)+") ORDER BY seq", args...)
		if err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// ContentKeys are all content keys with an id: the same key of several
// locators, in several accounts perhaps.
func (tx *Tx) ContentKeys(id string) ([]*ams.ContentKey, error) {
	return tx.contentKeys("WHERE id = ? ORDER BY seq", id)
}

func (tx *Tx) contentKeys(tail string, args ...any) (keys []*ams.ContentKey, err error) {
	err = contentKeys.each(tx, func(_ int64, row *contentKeyRow) error {
		key := row.ContentKey
		key.Value, err = tx.db.unsealed("content key "+key.ID, row.box)
		keys = append(keys, &key)
		return err
	}, tail, args...)
	return keys, err
}

// InsertContentKey adds a content key to a locator.
func (tx *Tx) InsertContentKey(k *ams.ContentKey) error {
	_, err := contentKeys.insert(tx, &contentKeyRow{ContentKey: *k, box: tx.db.sealed("content key "+k.ID, k.Value)})
	return err
}

// DeleteContentKeys deletes the content keys of a locator.
func (tx *Tx) DeleteContentKeys(locatorID string) error {
	_, err := contentKeys.delete(tx, "locator = ?", locatorID)
	return err
}
