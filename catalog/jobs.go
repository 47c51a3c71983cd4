package catalog

import (
	"strings"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/filter"
)

var jobStates = []string{"Queued", "Scheduled", "Processing", "Finished", "Error", "Canceling", "Canceled"}

// jobs holds jobs without their Tasks, which have their own table.
var jobs = table[ams.Job]{
	name: "jobs", what: "job", below: taskBytes,
	columns: []column[ams.Job]{
		{name: "account", at: func(j *ams.Job) any { return &j.Account }},
		{name: "id", at: func(j *ams.Job) any { return &j.ID }},
		{name: "transform", at: func(j *ams.Job) any { return &j.Transform }},
		{name: "transform_key", at: func(j *ams.Job) any { return fold(j.Transform) }, derived: true},
		{name: "name", at: func(j *ams.Job) any { return &j.Name }},
		{name: "name_key", at: func(j *ams.Job) any { return fold(j.Name) }, derived: true},
		{name: "label", at: func(j *ams.Job) any { return j.V2Name() }, derived: true},
		{name: "priority", at: func(j *ams.Job) any { return &j.Priority }},
		{name: "number", at: func(j *ams.Job) any { return j.Number() }, derived: true},
		{name: "template", at: func(j *ams.Job) any { return &j.Template }},
		{name: "state", at: func(j *ams.Job) any { return &j.State }},
		{name: "state_number", at: func(j *ams.Job) any { return j.State.Number() }, derived: true},
		{name: "created", at: func(j *ams.Job) any { return &j.Created }},
		{name: "last_modified", at: func(j *ams.Job) any { return &j.LastModified }},
		{name: "started", at: func(j *ams.Job) any { return &j.Started }},
		{name: "ended", at: func(j *ams.Job) any { return &j.Ended }},
	},
	rest: func(j *ams.Job) map[string]any {
		return map[string]any{
			"description": &j.Description, "input": &j.Input, "correlation": &j.Correlation,
			"createdBy": &j.CreatedBy, "lastModifiedBy": &j.LastModifiedBy,
			"label": &j.Label, "rank": &j.Rank, "subscriptions": &j.Subscriptions,
		}
	},
	// By others than the id, a state is walked past: what most jobs are in would
	// have to be sorted.
	searched: true,
	indexes: map[string]map[string]string{
		"id":      {"id": "jobs_v2_id", "state_number": "jobs_v2_state", "label": "jobs_v2_name"},
		"label":   {"label": "jobs_v2_name"},
		"created": {"created": "jobs_v2_created"},
	},
	key: "Id",
	properties: map[string]field{
		"Id":           {column: "id", kind: ident, prefix: "nb:jid:UUID:"},
		"Name":         {column: "label", kind: text},
		"Created":      {column: "created", kind: date},
		"LastModified": {column: "last_modified", kind: date},
		"StartTime":    {column: "started", kind: date},
		"EndTime":      {column: "ended", kind: date},
		"Priority":     {column: "number", kind: number},
		"State":        {column: "state_number", kind: number},
		"TemplateId":   {column: "template", kind: ident, prefix: "nb:jtid:UUID:"},
	},
	fields: map[string]field{
		"name":         {column: "name_key", kind: folded, ops: equal, order: true},
		"state":        {column: "state", kind: enum, ops: []filter.Op{filter.Eq, filter.Ne}, values: jobStates},
		"created":      {column: "created", kind: date, ops: ranges, order: true},
		"lastmodified": {column: "last_modified", kind: date, ops: ranges, order: true},
	},
}

// FindJobs searches the jobs of an account as v2 does, of all transforms and
// of none. They come without their tasks.
func (tx *Tx) FindJobs(account string, s Search) (*Found[ams.Job], error) {
	return jobs.search(tx, s, "account = ?", account)
}

// Job finds a job of a transform, with its tasks.
func (tx *Tx) Job(account, transform, name string) (*ams.Job, error) {
	return tx.job("account = ? AND transform_key = ? AND name_key = ?", account, fold(transform), fold(name))
}

// JobByID finds a job of any account by its guid.
func (tx *Tx) JobByID(id string) (*ams.Job, error) {
	return tx.job("id = ?", strings.ToLower(id))
}

func (tx *Tx) job(where string, args ...any) (*ams.Job, error) {
	j, seq, err := jobs.oneSeq(tx, where, args...)
	if err != nil {
		return nil, err
	}
	return j, tx.loadTasks(map[int64]*ams.Job{seq: j})
}

// Jobs lists the jobs of a transform, with their tasks.
func (tx *Tx) Jobs(account, transform string, q Query) ([]*ams.Job, string, error) {
	list, seqs, next, err := jobs.listSeqs(tx, q, "account = ? AND transform_key = ?", account, fold(transform))
	if err != nil {
		return nil, "", err
	}
	bySeq := make(map[int64]*ams.Job, len(list))
	for i, j := range list {
		bySeq[seqs[i]] = j
	}
	return list, next, tx.loadTasks(bySeq)
}

// InsertJob queues a job: it and its tasks are Queued once the transaction
// commits, whatever State says. A taken name is Exists; a transform that does
// not exist is NotFound.
func (tx *Tx) InsertJob(j *ams.Job) error {
	if j.Transform != "" {
		if _, err := tx.Transform(j.Account, j.Transform); err != nil {
			return err
		}
	}
	for i := range j.Tasks {
		t := &j.Tasks[i]
		t.Index, t.State, t.Attempt = i, ams.Queued, 0
		t.Events = []ams.TaskEvent{{Code: string(ams.Queued), Time: tx.now}}
	}
	j.State = ams.DeriveState(j.Tasks)
	seq, err := jobs.insert(tx, j)
	if err != nil {
		return err
	}
	tx.changed(j, nil, "", j.State)
	for i := range j.Tasks {
		r := &TaskRecord{Task: j.Tasks[i], account: j.Account, job: seq, rank: rank(j, &j.Tasks[i]), waits: len(j.Tasks[i].Needs)}
		if _, err := tasks.insert(tx, r); err != nil {
			return err
		}
		tx.changed(j, &r.Task, "", r.State)
	}
	return nil
}

// UpdateJob rewrites what a client may change: Description, Priority, Rank,
// Correlation, LastModified and LastModifiedBy. The new priority holds for
// the tasks that are still queued.
func (tx *Tx) UpdateJob(j *ams.Job) error {
	now, seq, err := jobs.oneSeq(tx, "id = ?", j.ID)
	if err != nil {
		return err
	}
	now.Description, now.Priority, now.Rank, now.Correlation = j.Description, j.Priority, j.Rank, j.Correlation
	now.LastModified, now.LastModifiedBy = j.LastModified, j.LastModifiedBy
	if err := jobs.update(tx, now, "seq = ?", seq); err != nil {
		return err
	}
	return tx.eachTask(seq, func(r *TaskRecord) error {
		r.rank = rank(j, &r.Task)
		return tasks.update(tx, r, "id = ?", r.ID)
	})
}

// CancelJob asks for the end of a job: its queued tasks are Canceled at once,
// those that a worker has become Canceling, which the worker learns from its
// next heartbeat. A job that has ended is Conflict; canceling twice is fine.
func (tx *Tx) CancelJob(account, transform, name string) (*ams.Job, error) {
	j, seq, err := jobs.oneSeq(tx, "account = ? AND transform_key = ? AND name_key = ?", account, fold(transform), fold(name))
	if err != nil {
		return nil, err
	}
	if j.State.Final() {
		return nil, ams.Errorf(ams.Conflict, "The job '%s' has ended: its state is %s.", j.Name, j.State)
	}
	if err := tx.cancelTasks(seq, j, func(*TaskRecord) bool { return true }); err != nil {
		return nil, err
	}
	if err := tx.settle(seq, j); err != nil {
		return nil, err
	}
	return j, nil
}

// DeleteJob deletes a job and its tasks in any state: a worker that has one
// learns at the next heartbeat that it is lost.
func (tx *Tx) DeleteJob(account, transform, name string) error {
	return jobs.deleteOne(tx, "account = ? AND transform_key = ? AND name_key = ?", account, fold(transform), fold(name))
}

// CountJobs is how many jobs an account has. It takes long for many.
func (tx *Tx) CountJobs(account string) (n int, err error) {
	return jobs.count(tx, "account = ?", account)
}

// DeleteEndedJobs deletes up to limit jobs of the server that ended before t,
// with their tasks, and returns how many.
func (tx *Tx) DeleteEndedJobs(t time.Time, limit int) (int64, error) {
	return jobs.delete(tx, "seq IN (SELECT seq FROM jobs WHERE ended > ? AND ended < ? LIMIT ?)", ticks(time.Time{}), ticks(t), limit)
}

// settle derives the state of the job from its tasks, which it reloads, and
// writes what follows from it.
func (tx *Tx) settle(seq int64, j *ams.Job) error {
	j.Tasks = nil
	if err := tx.loadTasks(map[int64]*ams.Job{seq: j}); err != nil {
		return err
	}
	from := j.State
	j.State = ams.DeriveState(j.Tasks)
	started := j.Started
	for _, t := range j.Tasks {
		if !t.Started.IsZero() && (j.Started.IsZero() || t.Started.Before(j.Started)) {
			j.Started = t.Started
		}
	}
	if j.State == from && j.Started.Equal(started) {
		return nil
	}
	if j.State != from {
		j.LastModified = tx.now
		if j.State.Final() {
			j.Ended = tx.now
		}
		tx.changed(j, nil, from, j.State)
	}
	return jobs.update(tx, j, "seq = ?", seq)
}

func (tx *Tx) changed(j *ams.Job, t *ams.Task, from, to ams.JobState) {
	c := JobChange{Account: j.Account, Transform: j.Transform, Job: j.Name, JobID: j.ID, From: from, To: to, At: tx.now}
	if t != nil {
		c.Task, c.TaskIndex = t.ID, t.Index
	}
	tx.changes = append(tx.changes, c)
}
