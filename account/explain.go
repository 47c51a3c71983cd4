package account

import (
	"context"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

// An Explanation tells what became of a job: what was planned, which programs
// ran, what they said, and what can be done about a failure. AMS had nothing
// like it; both APIs show it as the JSON that its tags say.
type Explanation struct {
	Transform string            `json:"transform,omitempty"` // empty of a job of v2
	Job       string            `json:"job"`                 // its name, of a job of v2 its guid
	State     ams.JobState      `json:"state"`
	Created   time.Time         `json:"created"`
	Started   time.Time         `json:"started,omitzero"`
	Ended     time.Time         `json:"ended,omitzero"`
	Tasks     []TaskExplanation `json:"tasks"`
}

// A TaskExplanation is what became of a task.
type TaskExplanation struct {
	ID       string            `json:"id"` // guid
	Label    string            `json:"label"`
	Asset    string            `json:"asset"` // the output asset, of several the first
	State    ams.JobState      `json:"state"`
	Progress float64           `json:"progress"` // percent
	Attempts int               `json:"attempts"`
	Started  time.Time         `json:"started,omitzero"`
	Ended    time.Time         `json:"ended,omitzero"`
	Error    *FailureReason    `json:"error,omitempty"`
	Reports  []*ams.TaskReport `json:"reports,omitempty"` // of the latest attempts
}

// A FailureReason is why a task failed, and what to do.
type FailureReason struct {
	Code     ams.JobErrorCode     `json:"code"`
	Message  string               `json:"message"`
	Category string               `json:"category"`
	Retry    string               `json:"retry"`
	Advice   string               `json:"advice"`
	Details  []ams.JobErrorDetail `json:"details,omitempty"`
}

// ExplainJob explains a job by its transform and name, as v3 finds it.
func (a *Account) ExplainJob(ctx context.Context, transform, name string) (e *Explanation, err error) {
	return a.explain(ctx, func(tx *catalog.Tx) (*ams.Job, error) { return tx.Job(a.ID, recorded(transform), name) })
}

// ExplainJobByID explains a job of either API by its guid.
func (a *Account) ExplainJobByID(ctx context.Context, id string) (e *Explanation, err error) {
	return a.explain(ctx, func(tx *catalog.Tx) (*ams.Job, error) { return a.jobByID(tx, id) })
}

func (a *Account) explain(ctx context.Context, find func(*catalog.Tx) (*ams.Job, error)) (e *Explanation, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		j, err := find(tx)
		if err != nil {
			return err
		}
		e = &Explanation{Transform: j.Transform, Job: j.Name, State: j.State, Created: j.Created, Started: j.Started, Ended: j.Ended}
		for i := range j.Tasks {
			t := &j.Tasks[i]
			x := TaskExplanation{ID: t.ID, Label: t.V2Name(), Asset: t.Asset, State: t.State, Progress: t.Progress, Attempts: t.Attempt, Started: t.Started, Ended: t.Ended}
			if f := t.Error; f != nil {
				x.Error = &FailureReason{Code: f.Code, Message: f.Message, Category: f.Code.Category(), Retry: f.Code.Retry(), Advice: f.Code.Advice(), Details: f.Details}
			}
			if x.Reports, err = tx.Reports(t.ID); err != nil {
				return err
			}
			e.Tasks = append(e.Tasks, x)
		}
		return nil
	})
	return e, err
}
