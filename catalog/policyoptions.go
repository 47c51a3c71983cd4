package catalog

import (
	"encoding/json"
	"strings"

	"github.com/openams/openams/ams"
)

// A storedOption is an option as it is sealed: with what v2 alone knows of it.
type storedOption struct {
	ams.ContentKeyPolicyOption
	V2 *ams.V2Option `json:"v2,omitempty"`
}

func (s storedOption) option() ams.ContentKeyPolicyOption {
	o := s.ContentKeyPolicyOption
	o.V2 = s.V2
	return o
}

// An optionRow is an option as an entity of its own. Policies hold copies of
// their options, which all that writes either keeps the same.
type optionRow struct {
	ams.ContentKeyPolicyOption
	account  string
	delivery int
	bound    bool // gone with the last policy that has it: v3 made it
	box      []byte
}

var policyOptions = table[optionRow]{
	name: "policy_options", what: "content key policy option",
	columns: []column[optionRow]{
		{name: "account", at: func(o *optionRow) any { return &o.account }},
		{name: "id", at: func(o *optionRow) any { return &o.ID }},
		{name: "name", at: func(o *optionRow) any { return &o.Name }},
		{name: "delivery", at: func(o *optionRow) any { return &o.delivery }},
		{name: "bound", at: func(o *optionRow) any { return (*flag)(&o.bound) }},
		{name: "sealed", at: func(o *optionRow) any { return &o.box }},
	},
	rest: func(*optionRow) map[string]any { return map[string]any{} },
	key:  "Id",
	properties: map[string]field{
		"Id":              {column: "id", kind: ident, prefix: "nb:ckpoid:UUID:"},
		"Name":            {column: "name", kind: text},
		"KeyDeliveryType": {column: "delivery", kind: number},
	},
}

func (tx *Tx) sealOption(account string, o *ams.ContentKeyPolicyOption, bound bool) (*optionRow, error) {
	plain, err := json.Marshal(storedOption{*o, o.V2})
	if err != nil {
		return nil, err
	}
	return &optionRow{*o, account, o.DeliveryType(), bound, tx.db.sealed("content key policy option "+o.ID, plain)}, nil
}

func (tx *Tx) openOption(row *optionRow) (*ams.ContentKeyPolicyOption, error) {
	plain, err := tx.db.unsealed("content key policy option "+row.ID, row.box)
	if err != nil {
		return nil, err
	}
	var s storedOption
	if err := json.Unmarshal(plain, &s); err != nil {
		return nil, err
	}
	o := s.option()
	return &o, nil
}

// PolicyOption finds an option of an account, its secrets opened.
func (tx *Tx) PolicyOption(account, id string) (*ams.ContentKeyPolicyOption, error) {
	row, err := policyOptions.one(tx, "account = ? AND id = ?", account, strings.ToLower(id))
	if err != nil {
		return nil, err
	}
	return tx.openOption(row)
}

// FindPolicyOptions searches the options of an account; policy, if not empty,
// is the id of the policy that must have them.
func (tx *Tx) FindPolicyOptions(account, policy string, s Search) (*Found[ams.ContentKeyPolicyOption], error) {
	where, args := "account = ?", []any{account}
	if policy != "" {
		where += " AND id IN (SELECT l.id FROM policy_option_links l WHERE l.account = ? AND l.policy = ?)"
		args = append(args, account, strings.ToLower(policy))
	}
	rows, err := policyOptions.search(tx, s, where, args...)
	if err != nil {
		return nil, err
	}
	found := &Found[ams.ContentKeyPolicyOption]{Count: rows.Count, Next: rows.Next}
	for _, row := range rows.Rows {
		o, err := tx.openOption(row)
		if err != nil {
			return nil, err
		}
		found.Rows = append(found.Rows, o)
	}
	return found, nil
}

// CountPolicyOptions is how many options of an account are not a policy's of v3.
func (tx *Tx) CountPolicyOptions(account string) (int, error) {
	return policyOptions.count(tx, "account = ? AND bound = 0", account)
}

// InsertPolicyOption adds an option that no policy has yet.
func (tx *Tx) InsertPolicyOption(account string, o *ams.ContentKeyPolicyOption) error {
	row, err := tx.sealOption(account, o, false)
	if err == nil {
		_, err = policyOptions.insert(tx, row)
	}
	return err
}

// OptionPolicies are the content key policies that have an option.
func (tx *Tx) OptionPolicies(account, id string) ([]*ams.ContentKeyPolicy, error) {
	ids, err := tx.texts("SELECT policy FROM policy_option_links WHERE account = ? AND id = ? ORDER BY policy", account, strings.ToLower(id))
	if err != nil {
		return nil, err
	}
	var list []*ams.ContentKeyPolicy
	for _, id := range ids {
		p, err := tx.ContentKeyPolicyByID(account, id)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

// UpdatePolicyOption rewrites an option that no policy has; UpdateContentKeyPolicy
// does it for those of a policy.
func (tx *Tx) UpdatePolicyOption(account string, o *ams.ContentKeyPolicyOption) error {
	old, err := policyOptions.one(tx, "account = ? AND id = ?", account, o.ID)
	if err != nil {
		return err
	}
	row, err := tx.sealOption(account, o, old.bound)
	if err != nil {
		return err
	}
	return policyOptions.update(tx, row, "account = ? AND id = ?", account, o.ID)
}

// DeletePolicyOption deletes an option that no policy has.
func (tx *Tx) DeletePolicyOption(account, id string) error {
	return policyOptions.deleteOne(tx, "account = ? AND id = ?", account, strings.ToLower(id))
}

// KeepPolicyOption lets an option outlive its policies.
func (tx *Tx) KeepPolicyOption(account, id string) error {
	_, err := tx.exec("UPDATE policy_options SET bound = 0 WHERE account = ? AND id = ?", account, strings.ToLower(id))
	return err
}

// linkOptions makes the entities and links of the options that p has.
func (tx *Tx) linkOptions(p *ams.ContentKeyPolicy) error {
	old, err := tx.optionIDs(p.ID)
	if err != nil {
		return err
	}
	if _, err := tx.exec("DELETE FROM policy_option_links WHERE policy = ?", p.ID); err != nil {
		return err
	}
	for i := range p.Options {
		o := &p.Options[i]
		err := tx.UpdatePolicyOption(p.Account, o)
		if ams.CodeOf(err) == ams.NotFound {
			row, serr := tx.sealOption(p.Account, o, true)
			if serr != nil {
				return serr
			}
			_, err = policyOptions.insert(tx, row)
		}
		if err != nil {
			return err
		}
		if _, err := tx.exec("INSERT INTO policy_option_links (account, policy, id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", p.Account, p.ID, o.ID); err != nil {
			return err
		}
	}
	return tx.dropOptions(p.Account, old)
}

// optionIDs are the ids of the options that a policy has.
func (tx *Tx) optionIDs(policy string) ([]string, error) {
	return tx.texts("SELECT id FROM policy_option_links WHERE policy = ?", policy)
}

// dropOptions deletes those of the options that no policy has any more and that
// live with one.
func (tx *Tx) dropOptions(account string, ids []string) error {
	for _, id := range ids {
		_, err := tx.exec(`DELETE FROM policy_options WHERE account = ? AND id = ? AND bound = 1
			AND NOT EXISTS (SELECT 1 FROM policy_option_links l WHERE l.account = policy_options.account AND l.id = policy_options.id)`, account, id)
		if err != nil {
			return err
		}
	}
	return nil
}
