package account

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"github.com/google/uuid"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

// V2Jobs is the transform under which v3 finds the jobs of v2, by their guids:
// they have no transform of their own. It is in no list of transforms, and
// nobody can make one of its name.
const V2Jobs = "v2-jobs"

// recorded is the transform of a job as the catalog knows it.
func recorded(transform string) string {
	if strings.EqualFold(transform, V2Jobs) {
		return ""
	}
	return transform
}

// A JobRequest is what a client asks SubmitJob for.
type JobRequest struct {
	Description string
	Input       ams.JobInput
	Outputs     []JobOutput // one for each output of the transform, in its order
	Priority    ams.Priority
	Correlation map[string]string
}

// A JobOutput is where one output of a transform goes.
type JobOutput struct {
	Asset    string
	Label    string      // empty: {presetName}_{index}
	Override *ams.Preset // replaces the transform's preset: of the same type
}

// SubmitJob queues a job of the transform: the rows it writes are the queue
// entry. Everything that can be known to fail is refused here, not in the
// middle: inputs, assets, presets that the encoder cannot run.
//
// Jobs are immutable: a second job of the name is Exists, unless it asks for
// exactly the same, which is taken as the retry of a lost answer.
func (a *Account) SubmitJob(ctx context.Context, transform, name string, r JobRequest) (job *ams.Job, err error) {
	if err := ams.ValidateName("job", name); err != nil {
		return nil, err
	}
	if r.Priority == "" {
		r.Priority = ams.Normal
	}
	if !r.Priority.Valid() {
		return nil, ams.Invalidf("properties.priority", "'%s' is not a value of priority.", r.Priority)
	}
	if err := short("properties.description", r.Description, maxDescription); err != nil {
		return nil, err
	}
	if err := small("properties.correlationData", "correlation data", r.Correlation, maxCorrelation); err != nil {
		return nil, err
	}
	if err := a.s.checkInput(r.Input); err != nil {
		return nil, err
	}
	if err := a.s.jobs.admit(ctx, a, "jobs in the account", a.s.Limits.Jobs); err != nil {
		return nil, err
	}
	err = a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		t, err := tx.Transform(a.ID, transform)
		if err != nil {
			return err
		}
		job, err = tx.Job(a.ID, t.Name, name)
		switch {
		case err == nil && sameRequest(job, t, r):
			return nil
		case err == nil:
			return ams.Errorf(ams.Exists, "The job '%s' exists already and can't be changed.", job.Name)
		case ams.CodeOf(err) != ams.NotFound:
			return err
		}
		if job, err = a.newJob(ctx, t, name, r); err != nil {
			return err
		}
		if err := a.checkAssets(tx, job); err != nil {
			return err
		}
		return tx.InsertJob(job)
	})
	if err != nil {
		return nil, err
	}
	return job, nil
}

// newJob is the job that r asks for, queued.
func (a *Account) newJob(ctx context.Context, t *ams.Transform, name string, r JobRequest) (*ams.Job, error) {
	if len(r.Outputs) != len(t.Outputs) {
		return nil, ams.Invalidf("properties.outputs", "The job has %d outputs, the transform '%s' has %d: the numbers must be equal.", len(r.Outputs), t.Name, len(t.Outputs))
	}
	now, by := a.s.now(), caller(ctx)
	job := &ams.Job{
		Account: a.ID, Transform: t.Name, Name: name, ID: uuid.NewString(),
		Description: r.Description, Input: r.Input, Priority: r.Priority, State: ams.Queued,
		Correlation: r.Correlation, Created: now, LastModified: now, CreatedBy: by, LastModifiedBy: by,
	}
	for i, o := range r.Outputs {
		at := fmt.Sprintf("properties.outputs[%d]", i)
		of := t.Outputs[i]
		if o.Asset == "" {
			return nil, ams.Invalidf(at+".assetName", "assetName is missing.")
		}
		if o.Override != nil {
			if o.Override.Type != of.Preset.Type {
				return nil, ams.Invalidf(at+".presetOverride", "The preset override is a %s, the transform's preset a %s: the types must be equal.", o.Override.Type, of.Preset.Type)
			}
			of.Preset = *o.Override
		}
		if a.s.Supports != nil {
			if err := a.s.Supports(of.Preset); err != nil {
				return nil, about(err, at, "Output %d of the transform '%s': %s", i, t.Name, err)
			}
		}
		job.Tasks = append(job.Tasks, ams.Task{
			ID: uuid.NewString(), Index: i, Label: labelOf(o, of.Preset, i), Preset: of.Preset, Override: o.Override != nil,
			OnError: of.OnError, Priority: of.RelativePriority, Asset: o.Asset, State: ams.Queued,
		})
	}
	for i := range job.Tasks {
		for j := range i {
			if strings.EqualFold(job.Tasks[i].Label, job.Tasks[j].Label) {
				return nil, ams.Invalidf(fmt.Sprintf("properties.outputs[%d].label", i), "The label '%s' is given twice.", job.Tasks[i].Label)
			}
		}
	}
	return job, nil
}

// about says more about err, if the caller may read it, and which property it
// concerns.
func about(err error, target, format string, args ...any) error {
	code := ams.CodeOf(err)
	if code == ams.Internal {
		return err
	}
	return &ams.Error{Code: code, Target: target, Msg: fmt.Sprintf(format, args...)}
}

// labelOf is the label of the i-th output: documented as
// "{presetName}_{index}", and recorded with the type of the preset for one
// without a name.
func labelOf(o JobOutput, p ams.Preset, i int) string {
	if o.Label != "" {
		return o.Label
	}
	return fmt.Sprintf("%s_%d", p.Type, i)
}

// checkAssets makes sure that the assets that a new job names exist, and
// spells them as they were created.
func (a *Account) checkAssets(tx *catalog.Tx, job *ams.Job) error {
	check := func(name *string, target string) error {
		asset, err := tx.Asset(a.ID, *name)
		if err != nil && ams.CodeOf(err) == ams.NotFound {
			// MicrosoftDocs/azure-docs issue 29409: 400, not 404.
			return ams.Invalidf(target, "Asset '%s' is not found under account '%s'.", *name, a.Name)
		}
		if err == nil {
			*name = asset.Name
		}
		return err
	}
	for i := range job.Tasks {
		if err := check(&job.Tasks[i].Asset, fmt.Sprintf("properties.outputs[%d].assetName", i)); err != nil {
			return err
		}
	}
	var inputs func(in *ams.JobInput, at string) error
	inputs = func(in *ams.JobInput, at string) error {
		if in.Kind == ams.InputAsset {
			if err := check(&in.Asset, at+".assetName"); err != nil {
				return err
			}
		}
		for i := range in.Inputs {
			if err := inputs(&in.Inputs[i], fmt.Sprintf("%s.inputs[%d]", at, i)); err != nil {
				return err
			}
		}
		return nil
	}
	return inputs(&job.Input, "properties.input")
}

// sameRequest reports whether r asks for the job that exists already.
func sameRequest(old *ams.Job, t *ams.Transform, r JobRequest) bool {
	if len(old.Tasks) != len(r.Outputs) || len(t.Outputs) != len(r.Outputs) ||
		old.Description != r.Description || old.Priority != r.Priority || !maps.Equal(old.Correlation, r.Correlation) {
		return false
	}
	was, _ := json.Marshal(old.Input)
	is, _ := json.Marshal(r.Input)
	// Asset names match without regard to case.
	if !bytes.EqualFold(was, is) {
		return false
	}
	for i, o := range r.Outputs {
		task := old.Tasks[i]
		if !strings.EqualFold(o.Asset, task.Asset) || labelOf(o, task.Preset, i) != task.Label || task.Override != (o.Override != nil) {
			return false
		}
		if o.Override != nil && (o.Override.Type != task.Preset.Type || !bytes.Equal(o.Override.Body, task.Preset.Body)) {
			return false
		}
	}
	return true
}

// Job finds a job with its tasks.
func (a *Account) Job(ctx context.Context, transform, name string) (job *ams.Job, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		job, err = tx.Job(a.ID, recorded(transform), name)
		return err
	})
	return job, err
}

// Jobs lists one page of a transform's jobs; next is empty on the last.
func (a *Account) Jobs(ctx context.Context, transform string, q catalog.Query) (jobs []*ams.Job, next string, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		if transform = recorded(transform); transform != "" {
			if _, err := tx.Transform(a.ID, transform); err != nil {
				return err
			}
		}
		jobs, next, err = tx.Jobs(a.ID, transform, q)
		return err
	})
	return jobs, next, err
}

// A JobUpdate is what may change of a job. Nil fields stay.
type JobUpdate struct {
	Description *string
	Priority    *ams.Priority // matters only while the job is queued (documented)
}

// UpdateJob changes the description and, while the job is queued, the
// priority.
func (a *Account) UpdateJob(ctx context.Context, transform, name string, u JobUpdate) (job *ams.Job, err error) {
	if u.Priority != nil && !u.Priority.Valid() {
		return nil, ams.Invalidf("properties.priority", "'%s' is not a value of priority.", *u.Priority)
	}
	err = a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		if job, err = tx.Job(a.ID, recorded(transform), name); err != nil {
			return err
		}
		set(&job.Description, u.Description)
		if err := short("properties.description", job.Description, maxDescription); err != nil {
			return err
		}
		if job.State == ams.Queued {
			if u.Priority != nil && *u.Priority != job.Priority {
				job.Rank = 0 // v2's number of another one
			}
			set(&job.Priority, u.Priority)
		}
		job.LastModified, job.LastModifiedBy = a.s.now(), caller(ctx)
		return tx.UpdateJob(job)
	})
	return job, err
}

// CancelJob cancels what is queued at once and asks the workers to stop what
// runs. A job that is being or was cancelled stays so; one that has ended
// otherwise is a Conflict.
func (a *Account) CancelJob(ctx context.Context, transform, name string) error {
	return a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		job, err := tx.Job(a.ID, recorded(transform), name)
		if err != nil {
			return err
		}
		switch job.State {
		case ams.Canceled, ams.Canceling:
			return nil
		case ams.Finished, ams.Failed:
			return ams.Errorf(ams.Conflict, "The job '%s' can't be canceled: its state is %s.", job.Name, job.State)
		}
		_, err = tx.CancelJob(a.ID, job.Transform, job.Name)
		return err
	})
}

// DeleteJob deletes the job, never its assets, and reports whether there was
// one. A job that a worker is busy with is a Conflict: cancel it first.
func (a *Account) DeleteJob(ctx context.Context, transform, name string) (existed bool, err error) {
	return gone(a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		job, err := tx.Job(a.ID, recorded(transform), name)
		if err != nil {
			return err
		}
		if job.State != ams.Queued && !job.State.Final() {
			return ams.Errorf(ams.Conflict, "The job '%s' can't be deleted: its state is %s. Cancel it first.", job.Name, job.State)
		}
		return tx.DeleteJob(a.ID, job.Transform, job.Name)
	}))
}
