package account

import (
	"context"
	"strings"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/filter"
)

// A TransformInput is what a client writes of a transform. A nil field is not
// touched by UpdateTransform.
type TransformInput struct {
	Description *string
	Outputs     []ams.TransformOutput // nil: not given
}

// CreateOrUpdateTransform makes the transform or replaces its writable
// properties. Jobs already submitted keep the presets they were made with.
func (a *Account) CreateOrUpdateTransform(ctx context.Context, name string, in TransformInput) (t *ams.Transform, created bool, err error) {
	if in.Description == nil {
		in.Description = new(string)
	}
	if in.Outputs == nil {
		in.Outputs = []ams.TransformOutput{} // Validate names the missing property
	}
	err = a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		t, err = tx.Transform(a.ID, name)
		if ams.CodeOf(err) == ams.NotFound {
			created = true
			t, err = a.createTransform(ctx, tx, name, in)
			return err
		}
		if err != nil {
			return err
		}
		return a.updateTransform(ctx, tx, t, in)
	})
	if err != nil {
		return nil, false, err
	}
	return t, created, nil
}

func (a *Account) createTransform(ctx context.Context, tx *catalog.Tx, name string, in TransformInput) (*ams.Transform, error) {
	now, by := a.s.now(), caller(ctx)
	t := &ams.Transform{
		Account: a.ID, Name: name, Description: *in.Description, Outputs: in.Outputs,
		Created: now, LastModified: now, CreatedBy: by, LastModifiedBy: by,
	}
	if err := checkTransform(t); err != nil {
		return nil, err
	}
	n, err := tx.CountTransforms(a.ID)
	if err != nil {
		return nil, err
	}
	if n >= a.s.Limits.Transforms {
		return nil, full("transforms in the account", a.s.Limits.Transforms)
	}
	return t, tx.InsertTransform(t)
}

func checkTransform(t *ams.Transform) error {
	if strings.EqualFold(t.Name, V2Jobs) {
		return ams.Invalidf("name", "The name '%s' is kept for the jobs of the v2 API.", V2Jobs)
	}
	if err := short("properties.description", t.Description, maxDescription); err != nil {
		return err
	}
	return t.Validate()
}

func (a *Account) updateTransform(ctx context.Context, tx *catalog.Tx, t *ams.Transform, in TransformInput) error {
	set(&t.Description, in.Description)
	if in.Outputs != nil {
		t.Outputs = in.Outputs
	}
	if err := checkTransform(t); err != nil {
		return err
	}
	t.LastModified, t.LastModifiedBy = a.s.now(), caller(ctx)
	return tx.UpdateTransform(t)
}

// UpdateTransform changes the properties that in gives.
func (a *Account) UpdateTransform(ctx context.Context, name string, in TransformInput) (t *ams.Transform, err error) {
	err = a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		if t, err = tx.Transform(a.ID, name); err != nil {
			return err
		}
		return a.updateTransform(ctx, tx, t, in)
	})
	return t, err
}

// Transform finds a transform.
func (a *Account) Transform(ctx context.Context, name string) (t *ams.Transform, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		t, err = tx.Transform(a.ID, name)
		return err
	})
	return t, err
}

// Transforms lists one page of transforms; next is empty on the last.
func (a *Account) Transforms(ctx context.Context, q catalog.Query) (ts []*ams.Transform, next string, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		ts, next, err = tx.Transforms(a.ID, q)
		return err
	})
	return ts, next, err
}

// DeleteTransform deletes the transform and its jobs, and reports whether
// there was one. A job that a worker is busy with is a Conflict: cancel it
// first.
func (a *Account) DeleteTransform(ctx context.Context, name string) (existed bool, err error) {
	err = a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		t, err := tx.Transform(a.ID, name)
		if err != nil {
			return err
		}
		busy, _, err := tx.Jobs(a.ID, t.Name, catalog.Query{Filter: inProgress(), Top: 1})
		if err != nil {
			return err
		}
		if len(busy) > 0 {
			return ams.Errorf(ams.Conflict, "The job '%s' of the transform '%s' is %s: cancel it first.", busy[0].Name, t.Name, busy[0].State)
		}
		return tx.DeleteTransform(a.ID, t.Name)
	})
	return gone(err)
}

// inProgress selects the jobs that a worker is busy with.
func inProgress() *filter.Expr {
	is := func(s ams.JobState) *filter.Expr {
		return &filter.Expr{Op: filter.Eq, Args: []*filter.Expr{
			{Op: filter.Field, Name: "state"}, {Op: filter.Literal, Value: string(s)},
		}}
	}
	or := func(a, b *filter.Expr) *filter.Expr { return &filter.Expr{Op: filter.Or, Args: []*filter.Expr{a, b}} }
	return or(is(ams.Scheduled), or(is(ams.Processing), is(ams.Canceling)))
}

// gone turns the error of a deletion into whether there was something to
// delete: that there was nothing is no error.
func gone(err error) (existed bool, _ error) {
	if err != nil && ams.CodeOf(err) == ams.NotFound {
		return false, nil
	}
	return err == nil, err
}
