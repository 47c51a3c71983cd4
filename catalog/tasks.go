package catalog

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openams/openams/ams"
)

// A TaskRecord is a task with what the queue alone needs to know of it. What
// the numbers mean is jobqueue's business.
type TaskRecord struct {
	ams.Task
	Worker    string    // who has the task; empty while Queued
	LeaseEnd  time.Time // when the worker is taken for dead
	NotBefore time.Time // not to be claimed earlier
	Failures  int       // attempts that ended in a transient failure
	Crashes   int       // attempts whose worker vanished

	account string
	job     int64 // seq of the job
	rank    int
	waits   int // tasks of the job that it needs and that are not Finished yet
	litter  int // 1: what it has left is to be deleted
}

var tasks = table[TaskRecord]{
	name: "tasks", what: "task",
	columns: []column[TaskRecord]{
		{name: "account", at: func(r *TaskRecord) any { return &r.account }},
		{name: "job", at: func(r *TaskRecord) any { return &r.job }},
		{name: "id", at: func(r *TaskRecord) any { return &r.ID }},
		{name: "position", at: func(r *TaskRecord) any { return &r.Index }},
		{name: "priority", at: func(r *TaskRecord) any { return &r.Priority }},
		{name: "rank", at: func(r *TaskRecord) any { return &r.rank }},
		{name: "number", at: func(r *TaskRecord) any { return r.Number() }, derived: true},
		{name: "waits", at: func(r *TaskRecord) any { return &r.waits }},
		{name: "litter", at: func(r *TaskRecord) any { return &r.litter }},
		{name: "name", at: func(r *TaskRecord) any { return r.V2Name() }, derived: true},
		{name: "processor", at: func(r *TaskRecord) any { return r.V2Processor() }, derived: true},
		{name: "state", at: func(r *TaskRecord) any { return &r.State }},
		{name: "state_number", at: func(r *TaskRecord) any { return r.State.Number() }, derived: true},
		{name: "progress", at: func(r *TaskRecord) any { return &r.Progress }},
		{name: "started", at: func(r *TaskRecord) any { return &r.Started }},
		{name: "ended", at: func(r *TaskRecord) any { return &r.Ended }},
		{name: "attempt", at: func(r *TaskRecord) any { return &r.Attempt }},
		{name: "worker", at: func(r *TaskRecord) any { return &r.Worker }},
		{name: "lease_end", at: func(r *TaskRecord) any { return &r.LeaseEnd }},
		{name: "not_before", at: func(r *TaskRecord) any { return &r.NotBefore }},
		{name: "failures", at: func(r *TaskRecord) any { return &r.Failures }},
		{name: "crashes", at: func(r *TaskRecord) any { return &r.Crashes }},
	},
	key: "Id",
	properties: map[string]field{
		"Id":                   {column: "id", kind: ident, prefix: "nb:tid:UUID:"},
		"Name":                 {column: "name", kind: text},
		"MediaProcessorId":     {column: "processor", kind: ident, prefix: "nb:mpid:UUID:"},
		"StartTime":            {column: "started", kind: date},
		"EndTime":              {column: "ended", kind: date},
		"Priority":             {column: "number", kind: number},
		"Progress":             {column: "progress", kind: number, float: true},
		"State":                {column: "state_number", kind: number},
		"Options":              {column: keptNumber("spec.options"), kind: number},
		"EncryptionKeyId":      {column: kept("spec.keyId"), kind: text},
		"EncryptionScheme":     {column: kept("spec.scheme"), kind: text},
		"EncryptionVersion":    {column: kept("spec.version"), kind: text},
		"InitializationVector": {column: kept("spec.iv"), kind: text},
	},
	rest: func(r *TaskRecord) map[string]any {
		return map[string]any{
			"label": &r.Label, "preset": &r.Preset, "override": &r.Override,
			"onError": &r.OnError, "asset": &r.Asset, "error": &r.Error,
			"spec": &r.Spec, "inputs": &r.Inputs, "outputs": &r.Outputs, "needs": &r.Needs,
			"v2Priority": &r.Rank, "subscriptions": &r.Subscriptions, "events": &r.Events,
		}
	},
}

// rank orders the queue: by the job's priority, then by the task's. Both have
// 32 bits.
func rank(j *ams.Job, t *ams.Task) int { return j.Number()<<32 + t.Number() }

// TaskRecord finds a task by its guid.
func (tx *Tx) TaskRecord(id string) (*TaskRecord, error) {
	return tasks.one(tx, "id = ?", id)
}

// FindTasks searches the tasks of all jobs of an account, as v2 does.
func (tx *Tx) FindTasks(account string, s Search) (*Found[TaskRecord], error) {
	return tasks.search(tx, s, "account = ?", account)
}

// Task finds a task of an account by its guid.
func (tx *Tx) Task(account, id string) (*TaskRecord, error) {
	return tasks.one(tx, "account = ? AND id = ?", account, strings.ToLower(id))
}

// Litter are at most limit tasks that were begun and failed or were canceled, and of
// which Swept was not called.
func (tx *Tx) Litter(limit int) ([]*TaskRecord, error) {
	return tx.tasks("WHERE litter = 1 ORDER BY seq LIMIT ?", limit)
}

// Account is the Account.ID of the task's job.
func (r *TaskRecord) Account() string { return r.account }

// Swept says that what a task of Litter has left is gone.
func (tx *Tx) Swept(r *TaskRecord) error {
	_, err := tx.exec("UPDATE tasks SET litter = 0 WHERE id = ?", r.ID)
	return err
}

// NextTask is the queued task to claim now, or nil: of the highest job
// priority, then the highest relative priority, then the oldest. A task that
// needs others is not in the queue until they are Finished.
func (tx *Tx) NextTask() (*TaskRecord, error) {
	// The + keeps the planner from the index of not_before, which it would have to sort.
	r, err := tasks.one(tx, "state = 'Queued' AND waits = 0 AND +not_before <= ? ORDER BY rank DESC, seq LIMIT 1"+tx.db.dialect.claiming(), ticks(tx.now))
	if ams.CodeOf(err) == ams.NotFound {
		return nil, nil
	}
	return r, err
}

// NextDue is when the earliest queued task may be claimed that waits for its
// NotBefore, or the earliest lease ends; zero when there is neither.
func (tx *Tx) NextDue() (time.Time, error) {
	var due time.Time
	for _, query := range []string{
		"SELECT not_before FROM tasks WHERE state = 'Queued' AND not_before > ? ORDER BY not_before LIMIT 1",
		"SELECT lease_end FROM tasks WHERE state IN ('Scheduled', 'Processing', 'Canceling') AND lease_end > ? ORDER BY lease_end LIMIT 1",
	} {
		var t time.Time
		err := tx.queryRow(query, ticks(tx.now)).Scan((*instant)(&t))
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return time.Time{}, err
		}
		if err == nil && (due.IsZero() || t.Before(due)) {
			due = t
		}
	}
	return due, nil
}

// LostTasks are the tasks whose worker let the lease end, at most 100.
func (tx *Tx) LostTasks() ([]*TaskRecord, error) {
	return tx.tasks("WHERE state IN ('Scheduled', 'Processing', 'Canceling') AND lease_end <= ? ORDER BY lease_end LIMIT 100", ticks(tx.now))
}

// TaskJob is the job of a task, with all its tasks.
func (tx *Tx) TaskJob(r *TaskRecord) (*ams.Job, error) {
	return tx.job("seq = ?", r.job)
}

// SaveTask writes a task that was read in this transaction and what follows:
// for the tasks that need it, and for the state of its job.
func (tx *Tx) SaveTask(r *TaskRecord) error {
	var from ams.JobState
	var progress float64
	if err := tx.queryRow("SELECT state, progress FROM tasks WHERE id = ?", r.ID).Scan(&from, &progress); err != nil {
		return err
	}
	if from != r.State && !from.CanMove(r.State) {
		return fmt.Errorf("task %s: %s cannot become %s", r.ID, from, r.State)
	}
	if from == r.State {
		if err := tasks.update(tx, r, "id = ?", r.ID); err != nil {
			return err
		}
		return tx.progressed(r, progress)
	}
	j, err := jobs.one(tx, "seq = ?", r.job)
	if err != nil {
		return err
	}
	if err := tx.moved(j, r, from); err != nil {
		return err
	}
	if r.State.Final() {
		if err := tx.follow(j, r); err != nil {
			return err
		}
	}
	return tx.settle(r.job, j)
}

// moved writes a task that came from another state.
func (tx *Tx) moved(j *ams.Job, r *TaskRecord, from ams.JobState) error {
	e := ams.TaskEvent{Code: string(r.State), Time: tx.now}
	if r.State == ams.Queued {
		e.Code = "Requeued"
	}
	if r.State == ams.Failed {
		if r.Error != nil {
			e.Message = r.Error.Message
		}
	}
	if r.State.Final() && r.State != ams.Finished && (r.Attempt > 0 || r.Spec != nil && r.State == ams.Failed) {
		r.litter = 1
	}
	if r.State.Final() {
		if err := tx.DeleteChunks(r.ID, ""); err != nil {
			return err
		}
	}
	r.Events = append(r.Events, e)
	if n := len(r.Events) - ams.MaxTaskEvents; n > 0 {
		r.Events = r.Events[n:]
	}
	tx.changed(j, &r.Task, from, r.State)
	return tasks.update(tx, r, "id = ?", r.ID)
}

// follow does what the end of r means for the tasks that need it: one less to
// wait for, or, if it is not Finished, their end too and that of those which
// need them.
func (tx *Tx) follow(j *ams.Job, r *TaskRecord) error {
	waiting, err := tx.tasks("WHERE job = ? AND waits > 0 AND state = 'Queued' ORDER BY position", r.job)
	if err != nil || len(waiting) == 0 {
		return err
	}
	ended := []*TaskRecord{r}
	for len(ended) > 0 {
		end := ended[0]
		ended = ended[1:]
		for _, w := range waiting {
			if w.State != ams.Queued || !slices.Contains(w.Needs, end.Index) {
				continue
			}
			if end.State == ams.Finished {
				w.waits--
				if err := tasks.update(tx, w, "id = ?", w.ID); err != nil {
					return err
				}
				continue
			}
			w.State, w.Ended = ams.Canceled, tx.now
			if err := tx.moved(j, w, ams.Queued); err != nil {
				return err
			}
			ended = append(ended, w)
		}
	}
	return nil
}

// CancelOthers cancels the tasks of r's job that have not ended, as CancelJob
// does, except r and those that are not to be canceled when others fail.
func (tx *Tx) CancelOthers(r *TaskRecord) error {
	j, err := jobs.one(tx, "seq = ?", r.job)
	if err != nil {
		return err
	}
	err = tx.cancelTasks(r.job, j, func(other *TaskRecord) bool {
		return other.ID != r.ID && !other.Spec.Has(ams.DoNotCancelOnJobFailure)
	})
	if err != nil {
		return err
	}
	return tx.settle(r.job, j)
}

// cancelTasks cancels those tasks of a job that it may.
func (tx *Tx) cancelTasks(job int64, j *ams.Job, may func(*TaskRecord) bool) error {
	var ended []*TaskRecord
	err := tx.eachTask(job, func(r *TaskRecord) error {
		from := r.State
		switch {
		case !may(r) || from.Final() || from == ams.Canceling:
			return nil
		case from == ams.Queued:
			r.State, r.Ended = ams.Canceled, tx.now
			ended = append(ended, r)
		default:
			r.State = ams.Canceling
		}
		return tx.moved(j, r, from)
	})
	for _, r := range ended {
		if err == nil {
			err = tx.follow(j, r)
		}
	}
	return err
}

// eachTask calls f, which may write, for the tasks of a job in order.
func (tx *Tx) eachTask(job int64, f func(*TaskRecord) error) error {
	list, err := tx.tasks("WHERE job = ? ORDER BY position", job)
	if err != nil {
		return err
	}
	for _, r := range list {
		if err := f(r); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) tasks(tail string, args ...any) (list []*TaskRecord, err error) {
	err = tasks.each(tx, func(_ int64, r *TaskRecord) error {
		list = append(list, r)
		return nil
	}, tail, args...)
	return list, err
}

// taskBytes is how much the tasks of jobs hold, by the jobs' seqs.
func taskBytes(tx *Tx, jobs []int64) (map[int64]int64, error) {
	args := make([]any, len(jobs))
	for i, seq := range jobs {
		args[i] = seq
	}
	rows, err := tx.query("SELECT job, CAST(SUM(octet_length(rest)) AS BIGINT) FROM tasks WHERE job IN (?"+strings.Repeat(", ?", len(args)-1)+") GROUP BY job", args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	bytes := make(map[int64]int64, len(jobs))
	for rows.Next() {
		var job, n int64
		if err := rows.Scan(&job, &n); err != nil {
			return nil, err
		}
		bytes[job] = n
	}
	return bytes, rows.Err()
}

// loadTasks fills in the Tasks of the jobs, given by seq.
func (tx *Tx) loadTasks(bySeq map[int64]*ams.Job) error {
	if len(bySeq) == 0 {
		return nil
	}
	args := make([]any, 0, len(bySeq))
	for seq := range bySeq {
		args = append(args, seq)
	}
	return tasks.each(tx, func(_ int64, r *TaskRecord) error {
		j := bySeq[r.job]
		j.Tasks = append(j.Tasks, r.Task)
		return nil
	}, "WHERE job IN (?"+strings.Repeat(", ?", len(args)-1)+") ORDER BY job, position", args...)
}
