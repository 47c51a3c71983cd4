package catalog

import "github.com/openams/openams/ams"

var policies = table[ams.StreamingPolicy]{
	name: "streaming_policies", what: "streaming policy",
	columns: []column[ams.StreamingPolicy]{
		{name: "account", at: func(p *ams.StreamingPolicy) any { return &p.Account }},
		{name: "name", at: func(p *ams.StreamingPolicy) any { return &p.Name }},
		{name: "name_key", at: func(p *ams.StreamingPolicy) any { return fold(p.Name) }, derived: true},
		{name: "created", at: func(p *ams.StreamingPolicy) any { return &p.Created }},
	},
	rest: func(p *ams.StreamingPolicy) map[string]any {
		return map[string]any{
			"contentKeyPolicy": &p.ContentKeyPolicy, "protocols": &p.Protocols,
			"body": &p.Body, "createdBy": &p.CreatedBy,
		}
	},
	fields: map[string]field{
		"name":    {column: "name_key", kind: folded, ops: all, order: true},
		"created": {column: "created", kind: date, ops: all, order: true},
	},
}

// seedPolicies writes the predefined policies as they are today, so that
// lists find, filter and page them like the others.
func (tx *Tx) seedPolicies() error {
	for _, p := range ams.PredefinedPolicies() {
		err := policies.update(tx, p, "account = '' AND name_key = ?", fold(p.Name))
		if ams.CodeOf(err) == ams.NotFound {
			_, err = policies.insert(tx, p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Policy finds a streaming policy of an account, its own or predefined.
func (tx *Tx) Policy(account, name string) (*ams.StreamingPolicy, error) {
	return policies.one(tx, "account IN (?, '') AND name_key = ?", account, fold(name))
}

// Policies lists the streaming policies of an account, the predefined ones
// (Account empty) among them.
func (tx *Tx) Policies(account string, q Query) ([]*ams.StreamingPolicy, string, error) {
	return policies.list(tx, q, "account IN (?, '')", account)
}

// CountPolicies is how many streaming policies an account has, apart from the
// predefined ones and those that delivery policies stand behind.
func (tx *Tx) CountPolicies(account string) (n int, err error) {
	names, err := tx.texts("SELECT name FROM streaming_policies WHERE account = ?", account)
	for _, name := range names {
		if !ams.IsDelivered(name) {
			n++
		}
	}
	return n, err
}

// InsertPolicy adds a streaming policy; a taken or predefined name is Exists.
// Policies are immutable.
func (tx *Tx) InsertPolicy(p *ams.StreamingPolicy) error {
	if _, err := tx.Policy(p.Account, p.Name); err == nil {
		return ams.Errorf(ams.Exists, "The streaming policy '%s' exists already.", p.Name)
	} else if ams.CodeOf(err) != ams.NotFound {
		return err
	}
	_, err := policies.insert(tx, p)
	return err
}

// DeletePolicy deletes a streaming policy. Predefined ones and those that a
// locator uses are Conflict.
func (tx *Tx) DeletePolicy(account, name string) error {
	p, err := tx.Policy(account, name)
	if err != nil {
		return err
	}
	if p.Account == "" {
		return ams.Errorf(ams.Conflict, "The streaming policy '%s' is predefined and cannot be deleted.", p.Name)
	}
	var used int
	if err := tx.queryRow("SELECT count(*) FROM streaming_locators WHERE account = ? AND policy_key = ?", account, fold(name)).Scan(&used); err != nil {
		return err
	}
	if used > 0 {
		return ams.Errorf(ams.Conflict, "The streaming policy '%s' is used by %d streaming locators.", p.Name, used)
	}
	return policies.deleteOne(tx, "account = ? AND name_key = ?", account, fold(name))
}
