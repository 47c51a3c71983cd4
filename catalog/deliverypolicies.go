package catalog

import (
	"strings"

	"github.com/openams/openams/ams"
)

var deliveryPolicies = table[ams.DeliveryPolicy]{
	name: "delivery_policies", what: "asset delivery policy",
	columns: []column[ams.DeliveryPolicy]{
		{name: "account", at: func(p *ams.DeliveryPolicy) any { return &p.Account }},
		{name: "id", at: func(p *ams.DeliveryPolicy) any { return &p.ID }},
		{name: "name", at: func(p *ams.DeliveryPolicy) any { return &p.Name }},
		{name: "protocols", at: func(p *ams.DeliveryPolicy) any { return &p.Protocols }},
		{name: "type", at: func(p *ams.DeliveryPolicy) any { return &p.Type }},
		{name: "created", at: func(p *ams.DeliveryPolicy) any { return &p.Created }},
		{name: "last_modified", at: func(p *ams.DeliveryPolicy) any { return &p.LastModified }},
	},
	rest: func(p *ams.DeliveryPolicy) map[string]any {
		return map[string]any{"configuration": &p.Configuration}
	},
	key: "Id",
	properties: map[string]field{
		"Id":                         {column: "id", kind: ident, prefix: "nb:adpid:UUID:"},
		"Name":                       {column: "name", kind: text},
		"AssetDeliveryProtocol":      {column: "protocols", kind: number},
		"AssetDeliveryPolicyType":    {column: "type", kind: number},
		"AssetDeliveryConfiguration": {column: kept("configuration"), kind: text},
		"Created":                    {column: "created", kind: date},
		"LastModified":               {column: "last_modified", kind: date},
	},
}

// DeliveryPolicy finds a delivery policy of an account by its guid.
func (tx *Tx) DeliveryPolicy(account, id string) (*ams.DeliveryPolicy, error) {
	return deliveryPolicies.one(tx, "account = ? AND id = ?", account, strings.ToLower(id))
}

// FindDeliveryPolicies searches the delivery policies of an account; asset, if
// not empty, is the id of the asset that they must be linked to.
func (tx *Tx) FindDeliveryPolicies(account, asset string, s Search) (*Found[ams.DeliveryPolicy], error) {
	where, args := "account = ?", []any{account}
	if asset != "" {
		where += " AND id IN (SELECT l.id FROM asset_delivery_policies l WHERE l.account = ? AND l.asset = ?)"
		args = append(args, account, asset)
	}
	return deliveryPolicies.search(tx, s, where, args...)
}

// AssetDeliveryPolicies are the delivery policies that are linked to the asset
// with an id.
func (tx *Tx) AssetDeliveryPolicies(account, asset string) (list []*ams.DeliveryPolicy, err error) {
	err = deliveryPolicies.each(tx, func(_ int64, p *ams.DeliveryPolicy) error {
		list = append(list, p)
		return nil
	}, "WHERE account = ? AND id IN (SELECT l.id FROM asset_delivery_policies l WHERE l.account = ? AND l.asset = ?) ORDER BY seq", account, account, asset)
	return list, err
}

// CountDeliveryPolicies is how many delivery policies an account has.
func (tx *Tx) CountDeliveryPolicies(account string) (int, error) {
	return deliveryPolicies.count(tx, "account = ?", account)
}

// InsertDeliveryPolicy adds a delivery policy.
func (tx *Tx) InsertDeliveryPolicy(p *ams.DeliveryPolicy) error {
	_, err := deliveryPolicies.insert(tx, p)
	return err
}

// UpdateDeliveryPolicy rewrites the delivery policy of that account and id.
func (tx *Tx) UpdateDeliveryPolicy(p *ams.DeliveryPolicy) error {
	return deliveryPolicies.update(tx, p, "account = ? AND id = ?", p.Account, p.ID)
}

// DeleteDeliveryPolicy deletes a delivery policy with its links.
func (tx *Tx) DeleteDeliveryPolicy(account, id string) error {
	return deliveryPolicies.deleteOne(tx, "account = ? AND id = ?", account, id)
}

// DeliveryPolicyAssets are the ids of the assets that a delivery policy is
// linked to.
func (tx *Tx) DeliveryPolicyAssets(account, id string) ([]string, error) {
	return tx.texts("SELECT asset FROM asset_delivery_policies WHERE account = ? AND id = ? ORDER BY seq", account, id)
}

// LinkDeliveryPolicy links a delivery policy to the asset with an id; a second
// time is Exists.
func (tx *Tx) LinkDeliveryPolicy(account, asset, id string) error {
	return tx.link("INSERT INTO asset_delivery_policies (account, asset, id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
		"The delivery policy is linked to the asset already.", account, asset, id)
}

// UnlinkDeliveryPolicy undoes LinkDeliveryPolicy; what is not linked is NotFound.
func (tx *Tx) UnlinkDeliveryPolicy(account, asset, id string) error {
	return tx.unlink("DELETE FROM asset_delivery_policies WHERE account = ? AND asset = ? AND id = ?",
		"The delivery policy is not linked to the asset.", account, asset, id)
}

// dropDelivered deletes the streaming policy of delivery policies with which
// the last locator is gone.
func (tx *Tx) dropDelivered(account, name string) error {
	if !ams.IsDelivered(name) {
		return nil
	}
	_, err := tx.exec(`DELETE FROM streaming_policies WHERE account = ? AND name_key = ?
		AND NOT EXISTS (SELECT 1 FROM streaming_locators l WHERE l.account = ? AND l.policy_key = ?)`, account, fold(name), account, fold(name))
	return err
}
