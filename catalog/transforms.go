package catalog

import "github.com/openams/openams/ams"

var transforms = table[ams.Transform]{
	name: "transforms", what: "transform",
	columns: []column[ams.Transform]{
		{name: "account", at: func(t *ams.Transform) any { return &t.Account }},
		{name: "name", at: func(t *ams.Transform) any { return &t.Name }},
		{name: "name_key", at: func(t *ams.Transform) any { return fold(t.Name) }, derived: true},
		{name: "created", at: func(t *ams.Transform) any { return &t.Created }},
		{name: "last_modified", at: func(t *ams.Transform) any { return &t.LastModified }},
	},
	rest: func(t *ams.Transform) map[string]any {
		return map[string]any{
			"description": &t.Description, "outputs": &t.Outputs,
			"createdBy": &t.CreatedBy, "lastModifiedBy": &t.LastModifiedBy,
		}
	},
	fields: map[string]field{
		"name":         {column: "name_key", kind: folded, ops: equal, order: true},
		"created":      {column: "created", kind: date, ops: ranges, order: true},
		"lastmodified": {column: "last_modified", kind: date, ops: ranges, order: true},
	},
}

// Transform finds a transform of an account.
func (tx *Tx) Transform(account, name string) (*ams.Transform, error) {
	return transforms.one(tx, "account = ? AND name_key = ?", account, fold(name))
}

// Transforms lists the transforms of an account.
func (tx *Tx) Transforms(account string, q Query) ([]*ams.Transform, string, error) {
	return transforms.list(tx, q, "account = ?", account)
}

// CountTransforms is how many transforms an account has.
func (tx *Tx) CountTransforms(account string) (int, error) {
	return transforms.count(tx, "account = ?", account)
}

// InsertTransform adds a transform; a taken name is Exists.
func (tx *Tx) InsertTransform(t *ams.Transform) error {
	_, err := transforms.insert(tx, t)
	return err
}

// UpdateTransform rewrites the transform of that account and name.
func (tx *Tx) UpdateTransform(t *ams.Transform) error {
	return transforms.update(tx, t, "account = ? AND name_key = ?", t.Account, fold(t.Name))
}

// DeleteTransform deletes a transform and its jobs, running ones too: their
// workers learn at the next heartbeat that the task is lost.
func (tx *Tx) DeleteTransform(account, name string) error {
	if _, err := jobs.delete(tx, "account = ? AND transform_key = ?", account, fold(name)); err != nil {
		return err
	}
	return transforms.deleteOne(tx, "account = ? AND name_key = ?", account, fold(name))
}
