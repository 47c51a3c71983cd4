package catalogtest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

func (f *fixture) queue(jobs ...*ams.Job) {
	f.Helper()
	f.update(func(tx *catalog.Tx) error {
		if _, err := tx.Transform("acc1", "t"); ams.CodeOf(err) == ams.NotFound {
			if err := tx.InsertTransform(f.transform("t")); err != nil {
				return err
			}
		}
		for _, j := range jobs {
			if err := tx.InsertJob(j); err != nil {
				return err
			}
		}
		return nil
	})
}

// move brings a task to a state, by way of those before it.
func (f *fixture) move(task string, states ...ams.JobState) {
	f.Helper()
	f.update(func(tx *catalog.Tx) error {
		for _, s := range states {
			r, err := tx.TaskRecord(task)
			if err != nil {
				return err
			}
			r.State = s
			if s == ams.Processing {
				r.Started = tx.Now()
			}
			if err := tx.SaveTask(r); err != nil {
				return err
			}
		}
		return nil
	})
}

func (f *fixture) state(job string) (ams.JobState, []ams.JobState) {
	f.Helper()
	var j *ams.Job
	f.view(func(tx *catalog.Tx) (err error) {
		j, err = tx.JobByID(job)
		return err
	})
	var tasks []ams.JobState
	for _, t := range j.Tasks {
		tasks = append(tasks, t.State)
	}
	return j.State, tasks
}

func testJobs(f *fixture) {
	f.queue(f.job("t", "j", ams.Task{}, ams.Task{}))
	created := f.now
	f.now = f.now.Add(time.Minute)
	f.move("job-tj-0", ams.Scheduled)
	f.move("job-tj-0", ams.Processing)
	started := f.now
	f.now = f.now.Add(time.Minute)
	f.move("job-tj-0", ams.Finished)
	f.view(func(tx *catalog.Tx) error {
		j := must(tx.JobByID("job-tj"))
		if j.State != ams.Processing || !j.Created.Equal(created) || !j.Started.Equal(started) || !j.Ended.IsZero() || !j.LastModified.Equal(started) {
			f.Errorf("half done: %+v", j)
		}
		return nil
	})
	f.move("job-tj-1", ams.Processing)
	f.now = f.now.Add(time.Minute)
	f.move("job-tj-1", ams.Finished)
	f.view(func(tx *catalog.Tx) error {
		j := must(tx.JobByID("job-tj"))
		if j.State != ams.Finished || !j.Started.Equal(started) || !j.Ended.Equal(f.now) || !j.LastModified.Equal(f.now) {
			f.Errorf("done: %+v", j)
		}
		return nil
	})
	// A final state is never left.
	f.refused(ams.Internal, func(tx *catalog.Tx) error {
		r := must(tx.TaskRecord("job-tj-1"))
		r.State = ams.Queued
		return tx.SaveTask(r)
	})
	f.update(func(tx *catalog.Tx) error { return tx.DeleteJob("acc1", "T", "J") })
	f.refused(ams.NotFound, func(tx *catalog.Tx) error { return tx.DeleteJob("acc1", "t", "j") })
	// A page has the tasks of each job, in order.
	for i := range 3 {
		f.queue(f.job("t", fmt.Sprint(i), make([]ams.Task, i)...))
	}
	f.view(func(tx *catalog.Tx) error {
		list, _, err := tx.Jobs("acc1", "t", catalog.Query{})
		for i, j := range list {
			if len(j.Tasks) != i || i == 2 && j.Tasks[1].ID != "job-t2-1" {
				f.Errorf("job %d has tasks %+v", i, j.Tasks)
			}
		}
		return err
	})
}

func testCancelJob(f *fixture) {
	for i, tt := range []struct {
		before, after []ams.JobState // of the tasks
		job           ams.JobState
	}{
		{[]ams.JobState{ams.Queued}, []ams.JobState{ams.Canceled}, ams.Canceled},
		{[]ams.JobState{ams.Scheduled, ams.Queued}, []ams.JobState{ams.Canceling, ams.Canceled}, ams.Canceling},
		{[]ams.JobState{ams.Processing, ams.Finished}, []ams.JobState{ams.Canceling, ams.Finished}, ams.Canceling},
		{[]ams.JobState{ams.Finished, ams.Queued}, []ams.JobState{ams.Finished, ams.Canceled}, ams.Canceled},
	} {
		name := fmt.Sprint(i)
		f.queue(f.job("t", name, make([]ams.Task, len(tt.before))...))
		for k, s := range tt.before {
			switch id := fmt.Sprintf("job-t%s-%d", name, k); s {
			case ams.Queued:
			case ams.Finished:
				f.move(id, ams.Processing, ams.Finished)
			default:
				f.move(id, s)
			}
		}
		for range 2 { // twice is fine while it is not over
			err := f.db.Update(f.Context(), func(tx *catalog.Tx) error {
				j, err := tx.CancelJob("acc1", "T", name)
				if err == nil && j.State != tt.job {
					f.Errorf("case %d: CancelJob returns state %s, want %s", i, j.State, tt.job)
				}
				return err
			})
			if err != nil && ams.CodeOf(err) != ams.Conflict {
				f.Errorf("case %d: %v", i, err)
			}
		}
		if job, tasks := f.state("job-t" + name); job != tt.job || !slices.Equal(tasks, tt.after) {
			f.Errorf("case %d: %s %v, want %s %v", i, job, tasks, tt.job, tt.after)
		}
	}
	f.refused(ams.Conflict, func(tx *catalog.Tx) error { _, err := tx.CancelJob("acc1", "t", "0"); return err })
	f.refused(ams.NotFound, func(tx *catalog.Tx) error { _, err := tx.CancelJob("acc1", "t", "none"); return err })
	f.view(func(tx *catalog.Tx) error {
		if j := must(tx.JobByID("job-t0")); !j.Ended.Equal(f.now) || !j.Tasks[0].Ended.Equal(f.now) {
			f.Errorf("a canceled job has no end: %+v", j)
		}
		return nil
	})
}

func testQueue(f *fixture) {
	job := func(name string, job, task ams.Priority) *ams.Job {
		j := f.job("t", name, ams.Task{Priority: task})
		j.Priority = job
		return j
	}
	f.queue(job("1", ams.Low, ams.High), job("2", ams.Normal, ams.Normal), job("3", ams.Normal, ams.High),
		job("4", ams.High, ams.Low), job("5", ams.Normal, ams.Normal), job("6", ams.Normal, ams.Normal))
	f.update(func(tx *catalog.Tx) error { // 6 overtakes all
		j := must(tx.JobByID("job-t6"))
		j.Priority = ams.High
		return tx.UpdateJob(j)
	})
	later := f.now.Add(time.Minute)
	f.update(func(tx *catalog.Tx) error { // 5 waits
		r := must(tx.TaskRecord("job-t5-0"))
		r.NotBefore = later
		return tx.SaveTask(r)
	})
	f.update(func(tx *catalog.Tx) error {
		for _, want := range []string{"6", "4", "3", "2", "1"} {
			r := must(tx.NextTask())
			if r == nil || r.ID != "job-t"+want+"-0" {
				f.Fatalf("next is %+v, want %s", r, want)
			}
			r.State, r.LeaseEnd = ams.Scheduled, later.Add(time.Second)
			if err := tx.SaveTask(r); err != nil {
				return err
			}
		}
		if r := must(tx.NextTask()); r != nil {
			f.Errorf("next is %s before its time", r.ID)
		}
		if due := must(tx.NextDue()); !due.Equal(later) {
			f.Errorf("due %v, want %v", due, later)
		}
		return nil
	})
	f.now = later
	f.update(func(tx *catalog.Tx) error {
		if r := must(tx.NextTask()); r == nil || r.ID != "job-t5-0" {
			f.Errorf("next is %+v, want 5", r)
		}
		if lost := must(tx.LostTasks()); len(lost) != 0 {
			f.Errorf("%d tasks lost before their lease ended", len(lost))
		}
		return nil
	})
	f.now = later.Add(time.Second)
	f.view(func(tx *catalog.Tx) error {
		if lost := must(tx.LostTasks()); len(lost) != 5 {
			f.Errorf("%d tasks lost, want 5", len(lost))
		}
		return nil
	})
}

func testWatch(f *fixture) {
	var got []string
	stop := f.db.Watch(func(c catalog.JobChange) {
		got = append(got, fmt.Sprintf("%s%s:%s>%s", c.Job, c.Task, c.From, c.To))
	})
	f.queue(f.job("t", "j", ams.Task{}))
	f.move("job-tj-0", ams.Scheduled)
	err := f.db.Update(f.Context(), func(tx *catalog.Tx) error {
		if _, err := tx.CancelJob("acc1", "t", "j"); err != nil {
			return err
		}
		return ams.Errorf(ams.Limit, "taken back")
	})
	if ams.CodeOf(err) != ams.Limit {
		f.Fatal(err)
	}
	f.move("job-tj-0", ams.Canceled)
	stop()
	f.queue(f.job("t", "unwatched", ams.Task{}))
	want := []string{"j:>Queued", "jjob-tj-0:>Queued", "jjob-tj-0:Queued>Scheduled", "j:Queued>Scheduled", "jjob-tj-0:Scheduled>Canceled", "j:Scheduled>Canceled"}
	if !slices.Equal(got, want) {
		f.Errorf("watched %q\nwant    %q", got, want)
	}
}

// claimable lists what NextTask would hand out, in order.
func (f *fixture) claimable() (ids []string) {
	f.Helper()
	errUndo := ams.Errorf(ams.Limit, "undo")
	err := f.db.Update(f.Context(), func(tx *catalog.Tx) error {
		ids = nil
		for {
			r, err := tx.NextTask()
			if err != nil {
				return err
			}
			if r == nil {
				return errUndo
			}
			ids = append(ids, r.ID)
			r.State = ams.Scheduled
			if err := tx.SaveTask(r); err != nil {
				return err
			}
		}
	})
	if ams.CodeOf(err) != ams.Limit {
		f.Fatal(err)
	}
	return ids
}

// A v2 job is a graph: 2 needs 0 and 1, 3 needs 2, 4 needs 1, 5 nothing.
func testTaskGraph(f *fixture) {
	graph := func(name string) {
		tasks := []ams.Task{{}, {}, {Needs: []int{0, 1}}, {Needs: []int{2}}, {Needs: []int{1}},
			{Spec: &ams.TaskSpec{Name: "alone", Options: ams.DoNotCancelOnJobFailure}}}
		f.queue(f.job("", name, tasks...))
	}
	want := func(job ams.JobState, ready []string, tasks ...ams.JobState) {
		f.Helper()
		if got := f.claimable(); !slices.Equal(got, ready) {
			f.Errorf("claimable: %q, want %q", got, ready)
		}
		if j, got := f.state("job-" + ready0(ready, "g")); len(tasks) > 0 && (j != job || !slices.Equal(got, tasks)) {
			f.Errorf("%s %v, want %s %v", j, got, job, tasks)
		}
	}
	const q, fin, err, can, cing, run = ams.Queued, ams.Finished, ams.Failed, ams.Canceled, ams.Canceling, ams.Processing

	graph("g")
	want(q, []string{"job-g-0", "job-g-1", "job-g-5"}, q, q, q, q, q, q)
	f.move("job-g-0", run, fin)
	want(run, []string{"job-g-1", "job-g-5"}, fin, q, q, q, q, q)
	f.move("job-g-1", run, fin)
	want(run, []string{"job-g-2", "job-g-4", "job-g-5"}, fin, fin, q, q, q, q)
	// A retry of a task lets no other begin.
	f.move("job-g-2", run, q)
	want(run, []string{"job-g-2", "job-g-4", "job-g-5"})
	f.move("job-g-2", run, err) // 3 needs it
	want(run, []string{"job-g-4", "job-g-5"}, fin, fin, err, can, q, q)
	f.move("job-g-4", run, fin)
	f.move("job-g-5", run, fin)
	want(err, nil, fin, fin, err, can, fin, fin)
	f.view(func(tx *catalog.Tx) error {
		j := must(tx.JobByID("job-g"))
		var codes []string
		for _, e := range j.Tasks[2].Events {
			codes = append(codes, e.Code)
		}
		if want := []string{"Queued", "Processing", "Requeued", "Processing", "Error"}; !slices.Equal(codes, want) {
			f.Errorf("events %q, want %q", codes, want)
		}
		if j.Tasks[3].Ended.IsZero() {
			f.Error("the canceled task has no end")
		}
		return nil
	})

	// A failure that stops the job leaves alone who asked for it, unless it
	// needs what is stopped; running tasks are told.
	f.queue(f.job("", "h", ams.Task{}, ams.Task{}, ams.Task{Spec: &ams.TaskSpec{Options: ams.DoNotCancelOnJobFailure}},
		ams.Task{Needs: []int{1}, Spec: &ams.TaskSpec{Options: ams.DoNotCancelOnJobFailure}}, ams.Task{}))
	f.move("job-h-0", run)
	f.move("job-h-1", run)
	f.update(func(tx *catalog.Tx) error {
		r := must(tx.TaskRecord("job-h-0"))
		r.State, r.Error = err, &ams.JobError{Code: ams.ContentMalformed, Message: "rotten"}
		if err := tx.SaveTask(r); err != nil {
			return err
		}
		return tx.CancelOthers(r)
	})
	want(cing, []string{"job-h-2"}, err, cing, q, q, can)
	f.move("job-h-1", can)
	want(run, []string{"job-h-2"}, err, can, q, can, can)
	f.move("job-h-2", run, fin)
	want(err, nil)

	// Canceled as a whole; what wins over its cancel starts nothing.
	graph("g2")
	f.move("job-g2-0", run)
	f.update(func(tx *catalog.Tx) error { _, err := tx.CancelJob("acc1", "", "g2"); return err })
	f.move("job-g2-0", fin)
	want(can, nil)
	if j, got := f.state("job-g2"); j != can || !slices.Equal(got, []ams.JobState{fin, can, can, can, can, can}) {
		f.Errorf("%s %v", j, got)
	}
}

// ready0 is the name of the job that the first task belongs to.
func ready0(ready []string, otherwise string) string {
	if len(ready) == 0 {
		return otherwise
	}
	return strings.Split(ready[0], "-")[1]
}
