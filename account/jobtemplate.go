package account

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

// CreateJobTemplate records a recipe for jobs; bodies are what its Body says of
// each task: the inputs and outputs, and in Spec nothing. It refuses what a job
// of it would be refused for whatever its assets are. A task template's id that
// the account has is Exists.
func (a *Account) CreateJobTemplate(ctx context.Context, t ams.JobTemplate, tasks []TaskRequest) (*ams.JobTemplate, error) {
	if utf8.RuneCountInString(t.Name) > maxJobName {
		return nil, ams.Invalidf("Name", "The name of the job template is longer than %d characters.", maxJobName)
	}
	r := TaskJobRequest{Tasks: tasks}
	for _, task := range tasks {
		for _, p := range task.Inputs {
			if !p.Output && p.N >= t.Inputs {
				t.Inputs = p.N + 1
			}
		}
	}
	r.Inputs = make([]string, t.Inputs)
	if err := r.check(); err != nil {
		return nil, err
	}
	needs, err := graph(r)
	if err != nil {
		return nil, err
	}
	if _, err := a.newTaskJob(ctx, r, needs); err != nil {
		return nil, err
	}
	t.Account, t.ID, t.Created = a.ID, uuid.NewString(), a.s.now()
	t.LastModified = t.Created
	for i := range t.Tasks {
		task := &t.Tasks[i]
		if err := short("Description", task.Description, maxTaskName); err != nil {
			return nil, err
		}
		task.Account, task.Template, task.Index, task.Created, task.LastModified = a.ID, t.ID, i, t.Created, t.Created
		task.ID = strings.ToLower(task.ID)
	}
	return &t, a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		n, err := tx.CountJobTemplates(a.ID)
		if err != nil {
			return err
		}
		if n >= maxTemplates {
			return full("job templates in the account", maxTemplates)
		}
		return tx.InsertJobTemplate(&t)
	})
}

// JobTemplate finds a job template by its guid, with its tasks.
func (a *Account) JobTemplate(ctx context.Context, id string) (t *ams.JobTemplate, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		t, err = tx.JobTemplate(a.ID, id)
		return err
	})
	return t, err
}

// FindJobTemplates searches the job templates. They come without their tasks.
func (a *Account) FindJobTemplates(ctx context.Context, s catalog.Search) (found *catalog.Found[ams.JobTemplate], err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		found, err = tx.FindJobTemplates(a.ID, s)
		return err
	})
	return found, err
}

// DeleteJobTemplate deletes a job template, not the jobs made from it, and
// reports whether there was one.
func (a *Account) DeleteJobTemplate(ctx context.Context, id string) (existed bool, err error) {
	return gone(a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.DeleteJobTemplate(a.ID, id) }))
}

// TaskTemplate finds a task template by its guid.
func (a *Account) TaskTemplate(ctx context.Context, id string) (t *ams.TaskTemplate, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		t, err = tx.TaskTemplate(a.ID, id)
		return err
	})
	return t, err
}

// FindTaskTemplates searches the task templates of all job templates.
func (a *Account) FindTaskTemplates(ctx context.Context, s catalog.Search) (found *catalog.Found[ams.TaskTemplate], err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		found, err = tx.FindTaskTemplates(a.ID, s)
		return err
	})
	return found, err
}
