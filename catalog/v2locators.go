package catalog

import (
	"strings"

	"github.com/openams/openams/ams"
)

var locatorPolicies = table[ams.LocatorPolicy]{
	name: "access_policies", what: "access policy",
	columns: []column[ams.LocatorPolicy]{
		{name: "account", at: func(p *ams.LocatorPolicy) any { return &p.Account }},
		{name: "id", at: func(p *ams.LocatorPolicy) any { return &p.ID }},
		{name: "name", at: func(p *ams.LocatorPolicy) any { return &p.Name }},
		{name: "minutes", at: func(p *ams.LocatorPolicy) any { return &p.Minutes }},
		{name: "permissions", at: func(p *ams.LocatorPolicy) any { return &p.Permissions }},
		{name: "created", at: func(p *ams.LocatorPolicy) any { return &p.Created }},
		{name: "last_modified", at: func(p *ams.LocatorPolicy) any { return &p.LastModified }},
	},
	rest: func(*ams.LocatorPolicy) map[string]any { return map[string]any{} },
	key:  "Id",
	properties: map[string]field{
		"Id":                {column: "id", kind: ident, prefix: accessPolicyPrefix},
		"Created":           {column: "created", kind: date},
		"LastModified":      {column: "last_modified", kind: date},
		"Name":              {column: "name", kind: text},
		"DurationInMinutes": {column: "minutes", kind: number, float: true},
		"Permissions":       {column: "permissions", kind: number},
	},
}

const (
	accessPolicyPrefix = "nb:pid:UUID:"
	locatorPrefix      = "nb:lid:UUID:"
)

// LocatorPolicy finds an access policy of v2 by its guid.
func (tx *Tx) LocatorPolicy(account, id string) (*ams.LocatorPolicy, error) {
	return locatorPolicies.one(tx, "account = ? AND id = ?", account, strings.ToLower(id))
}

// FindLocatorPolicies searches the access policies of an account.
func (tx *Tx) FindLocatorPolicies(account string, s Search) (*Found[ams.LocatorPolicy], error) {
	return locatorPolicies.search(tx, s, "account = ?", account)
}

// CountLocatorPolicies is how many access policies an account has. It takes
// long for many.
func (tx *Tx) CountLocatorPolicies(account string) (int, error) {
	return locatorPolicies.count(tx, "account = ?", account)
}

// InsertLocatorPolicy adds an access policy.
func (tx *Tx) InsertLocatorPolicy(p *ams.LocatorPolicy) error {
	_, err := locatorPolicies.insert(tx, p)
	return err
}

// DeleteLocatorPolicy deletes an access policy. Its locators stay as they are.
func (tx *Tx) DeleteLocatorPolicy(account, id string) error {
	return locatorPolicies.deleteOne(tx, "account = ? AND id = ?", account, strings.ToLower(id))
}

var sasLocators = table[ams.Locator]{
	name: "sas_locators", what: "locator",
	columns: []column[ams.Locator]{
		{name: "account", at: func(l *ams.Locator) any { return &l.Account }},
		{name: "id", at: func(l *ams.Locator) any { return &l.ID }},
		{name: "asset", at: func(l *ams.Locator) any { return &l.Asset }},
		{name: "access_policy", at: func(l *ams.Locator) any { return &l.AccessPolicy }},
		{name: "label", at: func(l *ams.Locator) any { return &l.Label }},
		{name: "start_time", at: func(l *ams.Locator) any { return &l.Start }},
		{name: "end_time", at: func(l *ams.Locator) any { return &l.End }},
		{name: "bare", at: func(l *ams.Locator) any { return (*flag)(&l.Bare) }},
		{name: "created", at: func(l *ams.Locator) any { return &l.Created }},
	},
	rest: func(*ams.Locator) map[string]any { return map[string]any{} },
}

// v2Locators is a view of SAS and streaming locators, to be read alone.
var v2Locators = table[ams.Locator]{
	name: "v2_locators", what: "locator",
	columns: append([]column[ams.Locator]{{name: "type", at: func(l *ams.Locator) any { return &l.Type }}}, sasLocators.columns...),
	rest:    sasLocators.rest,
	key:     "Id",
	properties: map[string]field{
		"Id":                 {column: "id", kind: ident, prefix: locatorPrefix},
		"ExpirationDateTime": {column: "end_time", kind: date},
		"Type":               {column: "type", kind: number},
		"AccessPolicyId":     {column: "access_policy", kind: ident, prefix: accessPolicyPrefix},
		"AssetId":            {column: "asset", kind: ident, prefix: assetPrefix},
		"StartTime":          {column: "start_time", kind: date},
		"Name":               {column: "label", kind: text},
	},
}

// V2Locator finds a locator of either type by its guid.
func (tx *Tx) V2Locator(account, id string) (*ams.Locator, error) {
	return v2Locators.one(tx, "account = ? AND id = ?", account, strings.ToLower(id))
}

// FindLocators searches the locators of an account, of both types.
func (tx *Tx) FindLocators(account string, s Search) (*Found[ams.Locator], error) {
	return v2Locators.search(tx, s, "account = ?", account)
}

// SASLocators are the SAS locators of the asset with an id.
func (tx *Tx) SASLocators(account, asset string) (ls []*ams.Locator, err error) {
	err = sasLocators.each(tx, func(_ int64, l *ams.Locator) error {
		l.Type = ams.SASLocator
		ls = append(ls, l)
		return nil
	}, "WHERE account = ? AND asset = ? ORDER BY id", account, asset)
	return ls, err
}

// CountLocatorsOf is how many locators the asset with an id has, of both types.
func (tx *Tx) CountLocatorsOf(account, asset string) (int, error) {
	return v2Locators.count(tx, "account = ? AND asset = ?", account, asset)
}

// InsertSASLocator adds a SAS locator. An id that a locator has is Exists. The
// stored access policy is the caller's to make.
func (tx *Tx) InsertSASLocator(l *ams.Locator) error {
	if _, err := tx.LocatorByID(l.ID); err == nil {
		return ams.Errorf(ams.Exists, "The locator id '%s' is taken.", l.ID)
	} else if ams.CodeOf(err) != ams.NotFound {
		return err
	}
	_, err := sasLocators.insert(tx, l)
	return err
}

// DeleteSASLocator deletes a SAS locator. The stored access policy is the
// caller's to delete.
func (tx *Tx) DeleteSASLocator(account, id string) error {
	return sasLocators.deleteOne(tx, "account = ? AND id = ?", account, strings.ToLower(id))
}

// freeLocatorID refuses the id of a SAS locator.
func (tx *Tx) freeLocatorID(id string) error {
	n, err := sasLocators.count(tx, "id = ?", id)
	if err == nil && n > 0 {
		err = &ams.Error{Code: ams.Exists, Target: "properties.streamingLocatorId",
			Msg: "The streaming locator id '" + id + "' is taken by another locator."}
	}
	return err
}
