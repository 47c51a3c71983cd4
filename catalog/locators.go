package catalog

import (
	"strings"

	"github.com/openams/openams/ams"
)

var locators = table[ams.StreamingLocator]{
	name: "streaming_locators", what: "streaming locator",
	columns: []column[ams.StreamingLocator]{
		{name: "account", at: func(l *ams.StreamingLocator) any { return &l.Account }},
		{name: "id", at: func(l *ams.StreamingLocator) any { return &l.ID }},
		{name: "name", at: func(l *ams.StreamingLocator) any { return &l.Name }},
		{name: "name_key", at: func(l *ams.StreamingLocator) any { return fold(l.Name) }, derived: true},
		{name: "asset", at: func(l *ams.StreamingLocator) any { return &l.Asset }},
		{name: "asset_key", at: func(l *ams.StreamingLocator) any { return fold(l.Asset) }, derived: true},
		{name: "policy", at: func(l *ams.StreamingLocator) any { return &l.Policy }},
		{name: "policy_key", at: func(l *ams.StreamingLocator) any { return fold(l.Policy) }, derived: true},
		{name: "content_key_policy_key", at: func(l *ams.StreamingLocator) any { return fold(l.ContentKeyPolicy) }, derived: true},
		{name: "start_time", at: func(l *ams.StreamingLocator) any { return &l.Start }},
		{name: "end_time", at: func(l *ams.StreamingLocator) any { return &l.End }},
		{name: "created", at: func(l *ams.StreamingLocator) any { return &l.Created }},
		{name: "asset_id", at: func(l *ams.StreamingLocator) any { return &l.AssetID }},
		{name: "access_policy", at: func(l *ams.StreamingLocator) any { return &l.AccessPolicy }},
		{name: "label", at: func(l *ams.StreamingLocator) any { return &l.Label }},
		{name: "bare", at: func(l *ams.StreamingLocator) any { return (*flag)(&l.Bare) }},
	},
	rest: func(l *ams.StreamingLocator) map[string]any {
		return map[string]any{
			"alternativeMedia": &l.AlternativeMedia, "contentKeyPolicy": &l.ContentKeyPolicy,
			"filters": &l.Filters, "createdBy": &l.CreatedBy,
		}
	},
	fields: map[string]field{
		"name":    {column: "name_key", kind: folded, ops: all, order: true},
		"created": {column: "created", kind: date, ops: all, order: true},
		"endtime": {column: "end_time", kind: date, ops: all, order: true},
	},
}

// Locator finds a streaming locator of an account by name.
func (tx *Tx) Locator(account, name string) (*ams.StreamingLocator, error) {
	return locators.one(tx, "account = ? AND name_key = ?", account, fold(name))
}

// LocatorByID finds the streaming locator of any account that a streaming
// path names.
func (tx *Tx) LocatorByID(id string) (*ams.StreamingLocator, error) {
	return locators.one(tx, "id = ?", strings.ToLower(id))
}

// Locators lists the streaming locators of an account.
func (tx *Tx) Locators(account string, q Query) ([]*ams.StreamingLocator, string, error) {
	return locators.list(tx, q, "account = ?", account)
}

// AssetLocators are the streaming locators of an asset, by name.
func (tx *Tx) AssetLocators(account, asset string) ([]*ams.StreamingLocator, error) {
	list, _, err := locators.list(tx, Query{Whole: true}, "account = ? AND asset_key = ?", account, fold(asset))
	return list, err
}

// InsertLocator adds a streaming locator. A taken name is Exists; so is an id
// that any account's locator has, with Target "properties.streamingLocatorId".
func (tx *Tx) InsertLocator(l *ams.StreamingLocator) error {
	if err := tx.freeLocatorID(l.ID); err != nil {
		return err
	}
	other, err := tx.LocatorByID(l.ID)
	if err == nil && (other.Account != l.Account || fold(other.Name) != fold(l.Name)) {
		return &ams.Error{Code: ams.Exists, Target: "properties.streamingLocatorId",
			Msg: "The streaming locator id '" + l.ID + "' is taken by another streaming locator."}
	}
	if err != nil && ams.CodeOf(err) != ams.NotFound {
		return err
	}
	_, err = locators.insert(tx, l)
	return err
}

// UpdateLocator rewrites the streaming locator with that id.
func (tx *Tx) UpdateLocator(l *ams.StreamingLocator) error {
	return locators.update(tx, l, "id = ?", l.ID)
}

// DeleteLocator deletes a streaming locator.
func (tx *Tx) DeleteLocator(account, name string) error {
	l, err := tx.Locator(account, name)
	if err != nil {
		return err
	}
	if err := locators.deleteOne(tx, "account = ? AND name_key = ?", account, fold(name)); err != nil {
		return err
	}
	return tx.dropDelivered(account, l.Policy)
}
