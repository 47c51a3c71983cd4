package catalog

import (
	"strings"
	"time"

	"github.com/openams/openams/ams"
)

var operations = table[ams.Operation]{
	name: "operations", what: "operation",
	columns: []column[ams.Operation]{
		{name: "account", at: func(o *ams.Operation) any { return &o.Account }},
		{name: "id", at: func(o *ams.Operation) any { return &o.ID }},
		{name: "kind", at: func(o *ams.Operation) any { return &o.Kind }},
		{name: "resource_key", at: func(o *ams.Operation) any { return fold(o.Resource) }, derived: true},
		{name: "status", at: func(o *ams.Operation) any { return &o.Status }},
		{name: "created", at: func(o *ams.Operation) any { return &o.Created }},
		{name: "ended", at: func(o *ams.Operation) any { return &o.Ended }},
	},
	rest: func(o *ams.Operation) map[string]any {
		return map[string]any{"resource": &o.Resource, "goal": &o.Goal, "code": &o.Code, "message": &o.Message}
	},
}

// Operation finds a long-running operation of an account.
func (tx *Tx) Operation(account, id string) (*ams.Operation, error) {
	return operations.one(tx, "account = ? AND id = ?", account, strings.ToLower(id))
}

// OperationByID finds a long-running operation of any account.
func (tx *Tx) OperationByID(id string) (*ams.Operation, error) {
	return operations.one(tx, "id = ?", strings.ToLower(id))
}

// PendingOperations are the operations in progress, oldest first: those of
// one resource by its full id, or all of the server when resource is empty.
func (tx *Tx) PendingOperations(resource string) ([]*ams.Operation, error) {
	where, args := "status = ?", []any{ams.OperationInProgress}
	if resource != "" {
		where, args = where+" AND resource_key = ?", append(args, fold(resource))
	}
	var list []*ams.Operation
	err := operations.each(tx, func(_ int64, o *ams.Operation) error {
		list = append(list, o)
		return nil
	}, "WHERE "+where+" ORDER BY seq", args...)
	return list, err
}

// InsertOperation adds a long-running operation.
func (tx *Tx) InsertOperation(o *ams.Operation) error {
	_, err := operations.insert(tx, o)
	return err
}

// UpdateOperation rewrites the operation of o.ID.
func (tx *Tx) UpdateOperation(o *ams.Operation) error {
	return operations.update(tx, o, "account = ? AND id = ?", o.Account, o.ID)
}

// DeleteOperations forgets the operations that ended before t.
func (tx *Tx) DeleteOperations(t time.Time) error {
	_, err := operations.delete(tx, "status <> ? AND ended < ?", ams.OperationInProgress, ticks(t))
	return err
}
