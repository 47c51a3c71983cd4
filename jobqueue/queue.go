package jobqueue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

var (
	// ErrLost says that the task is no longer the claim's: the lease ran out
	// and another worker has it, or its job was deleted. The worker stops and
	// leaves nothing behind.
	ErrLost = errors.New("jobqueue: the task is lost to this worker")
	// ErrCanceled is the cause of a context that Keep ended because a client
	// canceled the task. The worker stops and calls Cancelled.
	ErrCanceled = errors.New("jobqueue: the task was canceled")
)

// Config says how patient a queue is. Zero fields take the value in brackets.
type Config struct {
	Lease     time.Duration // a worker silent for so long is dead [20 s]
	Heartbeat time.Duration // how often Keep renews the lease [5 s]
	Poll      time.Duration // how often a waiting Claim looks for the work of other processes [2 s]
	Backoff   time.Duration // before the second attempt after a transient failure; doubles each time [5 s]
	Attempts  int           // a task may fail transiently so often, less one [3]
	Crashes   int           // and lose so many workers, less one [5]
	ChunkBeat time.Duration // how often KeepChunk renews a lease [1 s]
}

// A Queue hands out the tasks of a catalog.
type Queue struct {
	db    *catalog.DB
	c     Config
	close func()

	mu   sync.Mutex
	wake chan struct{}                      // closed and replaced when a task is queued in this process
	kept map[string]context.CancelCauseFunc // by task id: claims under Keep

	chunks map[*Chunk]context.CancelCauseFunc // those under KeepChunk
}

// New makes a queue over db. It watches db until Close.
func New(db *catalog.DB, c Config) *Queue {
	c.Lease = cmp.Or(c.Lease, 20*time.Second)
	c.Heartbeat = cmp.Or(c.Heartbeat, 5*time.Second)
	c.Poll = cmp.Or(c.Poll, 2*time.Second)
	c.Backoff = cmp.Or(c.Backoff, 5*time.Second)
	c.Attempts = cmp.Or(c.Attempts, 3)
	c.Crashes = cmp.Or(c.Crashes, 5)
	c.ChunkBeat = cmp.Or(c.ChunkBeat, time.Second)
	q := &Queue{db: db, c: c, wake: make(chan struct{}), kept: map[string]context.CancelCauseFunc{}, chunks: map[*Chunk]context.CancelCauseFunc{}}
	q.close = db.Watch(q.notice)
	return q
}

// Close ends the queue's watch of the catalog. Claims stay valid.
func (q *Queue) Close() { q.close() }

// notice spares claims and cancels of this process the wait for a poll.
func (q *Queue) notice(c catalog.JobChange) {
	if c.Task == "" {
		return
	}
	if c.To == ams.Queued || c.To == ams.Finished { // what needed it may begin
		q.rouse()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if c.To == ams.Canceling {
		if cancel := q.kept[c.Task]; cancel != nil {
			cancel(ErrCanceled)
		}
	}
	if c.To == ams.Canceling || c.To.Final() {
		for chunk, cancel := range q.chunks {
			if chunk.Task == c.Task {
				cancel(ErrCanceled)
			}
		}
	}
}

// rouse has waiting claims of this process look again.
func (q *Queue) rouse() {
	q.mu.Lock()
	defer q.mu.Unlock()
	close(q.wake)
	q.wake = make(chan struct{})
}

// A Claim is a task in the hands of a worker, or a chunk of another's.
type Claim struct {
	Job  *ams.Job  // as it was when claimed
	Task *ams.Task // Attempt is the number that fences the claim's writes

	Chunk *Chunk // then Job and Task are nil
}

// Claim waits until a task is queued, takes it for the worker of that name
// and returns it, in state Scheduled; or, while no task is to be had, until there
// is a chunk. It fails only when ctx ends or the catalog fails.
func (q *Queue) Claim(ctx context.Context, worker string) (*Claim, error) {
	for {
		q.mu.Lock()
		wake := q.wake // taken before looking, so that no task slips in between
		q.mu.Unlock()
		c, due, err := q.TryClaim(ctx, worker)
		if c != nil || err != nil {
			return c, err
		}
		chunk, err := q.TakeChunk(ctx, "", worker)
		if err != nil {
			return nil, err
		}
		if chunk != nil {
			return &Claim{Chunk: chunk}, nil
		}
		wait := q.c.Poll
		if !due.IsZero() {
			wait = max(min(wait, due.Sub(q.db.Now())), time.Millisecond)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-wake:
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
}

// TryClaim is Claim without the wait: when nothing is to be claimed now, the
// Claim is nil, and due is when that may change by itself, or zero.
func (q *Queue) TryClaim(ctx context.Context, worker string) (c *Claim, due time.Time, err error) {
	err = q.db.Update(ctx, func(tx *catalog.Tx) error {
		c, due = nil, time.Time{}
		if err := q.reap(tx); err != nil {
			return err
		}
		r, err := tx.NextTask()
		if err != nil {
			return err
		}
		if r == nil {
			due, err = tx.NextDue()
			return err
		}
		r.State, r.Worker, r.LeaseEnd = ams.Scheduled, worker, tx.Now().Add(q.c.Lease)
		r.Attempt++
		if err := tx.SaveTask(r); err != nil {
			return err
		}
		job, err := tx.TaskJob(r)
		if err != nil {
			return err
		}
		c = &Claim{Job: job, Task: &job.Tasks[r.Index]}
		return nil
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	return c, due, nil
}

// reap takes tasks back whose worker is dead.
func (q *Queue) reap(tx *catalog.Tx) error {
	for {
		lost, err := tx.LostTasks()
		if err != nil || len(lost) == 0 {
			return err
		}
		for _, r := range lost {
			// An earlier one of the list may have canceled this one.
			if r, err = tx.TaskRecord(r.ID); err != nil {
				return err
			}
			switch r.Crashes++; {
			case r.State == ams.Canceling:
				err = end(tx, r, ams.Canceled)
			case r.Crashes >= q.c.Crashes:
				err = fail(tx, r, &ams.JobError{Code: ams.ServiceError,
					Message: fmt.Sprintf("The workers that ran this output stopped answering %d times.", r.Crashes)})
			default:
				err = requeue(tx, r, time.Time{})
			}
			if err != nil {
				return err
			}
		}
	}
}

// Heartbeat renews the lease of c and writes its progress in percent; the
// first one makes the task Processing. cancel says that a client canceled the
// task; the lease goes on until the worker calls Cancelled.
func (q *Queue) Heartbeat(ctx context.Context, c *Claim, progress float64) (cancel bool, err error) {
	err = q.db.Note(ctx, func(tx *catalog.Tx) error {
		r, err := held(tx, c)
		if err != nil {
			return err
		}
		if r.State == ams.Scheduled {
			begin(tx, r)
		}
		r.LeaseEnd = tx.Now().Add(q.c.Lease)
		if progress > r.Progress { // false for NaN
			r.Progress = min(progress, 100)
		}
		cancel = r.State == ams.Canceling
		if err := tx.SaveTask(r); err != nil {
			return err
		}
		return q.reap(tx) // when all workers are busy no claim does it
	})
	return cancel, err
}

// Keep renews the lease of c in the background, with what progress returns,
// until stop is called. The context it returns ends when ctx does or the
// worker must stop, with cause ErrCanceled (a client canceled the task;
// within one process at once, else by the next heartbeat) or ErrLost. The
// lease is kept after ErrCanceled, so that the worker can clean up.
func (q *Queue) Keep(ctx context.Context, c *Claim, progress func() float64) (work context.Context, stop func()) {
	work, end := context.WithCancelCause(ctx)
	q.mu.Lock()
	q.kept[c.Task.ID] = end
	q.mu.Unlock()

	// The heart outlives ctx: a worker told to stop still holds its task.
	beat, quit := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(q.c.Heartbeat)
		defer tick.Stop()
		renewed := time.Now()
		for {
			try, timeout := context.WithTimeout(beat, q.c.Lease)
			cancel, err := q.Heartbeat(try, c, progress())
			timeout()
			switch {
			case err == nil && cancel:
				end(ErrCanceled)
				fallthrough
			case err == nil:
				renewed = time.Now()
			case errors.Is(err, ErrLost):
				end(ErrLost)
				return
			case time.Since(renewed) >= q.c.Lease: // another worker may have it by now
				end(fmt.Errorf("%w: %w", ErrLost, err))
				return
			}
			select {
			case <-tick.C:
			case <-beat.Done():
				return
			}
		}
	}()
	return work, sync.OnceFunc(func() {
		quit()
		<-done
		q.mu.Lock()
		delete(q.kept, c.Task.ID)
		q.mu.Unlock()
		end(context.Canceled)
	})
}

// Report keeps what the worker did in this attempt at the task, so far or until
// its end; it is ErrLost when there is no such task any more.
func (q *Queue) Report(ctx context.Context, c *Claim, r *ams.TaskReport) error {
	err := q.db.Update(context.WithoutCancel(ctx), func(tx *catalog.Tx) error { return tx.SaveReport(c.Task.ID, r) })
	if ams.CodeOf(err) == ams.NotFound {
		return ErrLost
	}
	return err
}

// Finish ends the task as Finished; its outputs must be complete. It wins
// over a cancel that the worker did not see. Like the three below it is
// carried out even when ctx has ended, and is ErrLost when c is not held.
func (q *Queue) Finish(ctx context.Context, c *Claim) error {
	return q.settle(ctx, c, func(tx *catalog.Tx, r *catalog.TaskRecord) error {
		if r.State == ams.Scheduled {
			begin(tx, r)
			if err := tx.SaveTask(r); err != nil {
				return err
			}
		}
		r.Progress = 100
		return end(tx, r, ams.Finished)
	})
}

// Fail ends the attempt with an error: a transient one puts the task back
// for later while it has attempts left, any other ends it in Error. A
// transient failure of a canceled task ends it as Canceled.
func (q *Queue) Fail(ctx context.Context, c *Claim, e *ams.JobError) error {
	return q.settle(ctx, c, func(tx *catalog.Tx, r *catalog.TaskRecord) error {
		if !e.Code.Transient() {
			return fail(tx, r, e)
		}
		r.Failures++
		switch {
		case r.State == ams.Canceling:
			return end(tx, r, ams.Canceled)
		case r.Failures >= q.c.Attempts:
			return fail(tx, r, e)
		}
		return requeue(tx, r, tx.Now().Add(q.c.Backoff<<(r.Failures-1)))
	})
}

// Cancelled ends the task as Canceled.
func (q *Queue) Cancelled(ctx context.Context, c *Claim) error {
	return q.settle(ctx, c, func(tx *catalog.Tx, r *catalog.TaskRecord) error {
		return end(tx, r, ams.Canceled)
	})
}

// Release gives the task back, to be claimed again at once by whoever comes
// first; a canceled one ends as Canceled. A worker that shuts down uses it.
func (q *Queue) Release(ctx context.Context, c *Claim) error {
	return q.settle(ctx, c, func(tx *catalog.Tx, r *catalog.TaskRecord) error {
		if r.State == ams.Canceling {
			return end(tx, r, ams.Canceled)
		}
		return requeue(tx, r, time.Time{})
	})
}

func (q *Queue) settle(ctx context.Context, c *Claim, f func(*catalog.Tx, *catalog.TaskRecord) error) error {
	return q.db.Update(context.WithoutCancel(ctx), func(tx *catalog.Tx) error {
		r, err := held(tx, c)
		if err != nil {
			return err
		}
		return f(tx, r)
	})
}

// held reads the task of c, or returns ErrLost if it is not c's any more. A
// lease that ran out unnoticed still holds.
func held(tx *catalog.Tx, c *Claim) (*catalog.TaskRecord, error) {
	r, err := tx.TaskRecord(c.Task.ID)
	if ams.CodeOf(err) == ams.NotFound {
		return nil, ErrLost
	}
	if err != nil {
		return nil, err
	}
	if r.Attempt != c.Task.Attempt || r.State == ams.Queued || r.State.Final() {
		return nil, ErrLost
	}
	return r, nil
}

// begin marks the start of processing; a later attempt keeps the first start.
func begin(tx *catalog.Tx, r *catalog.TaskRecord) {
	r.State = ams.Processing
	if r.Started.IsZero() {
		r.Started = tx.Now()
	}
}

func requeue(tx *catalog.Tx, r *catalog.TaskRecord, notBefore time.Time) error {
	r.State, r.Worker, r.LeaseEnd, r.NotBefore = ams.Queued, "", time.Time{}, notBefore
	return tx.SaveTask(r)
}

func fail(tx *catalog.Tx, r *catalog.TaskRecord, e *ams.JobError) error {
	r.Error = e
	if err := end(tx, r, ams.Failed); err != nil || r.OnError == ams.ContinueJob {
		return err
	}
	return tx.CancelOthers(r)
}

func end(tx *catalog.Tx, r *catalog.TaskRecord, s ams.JobState) error {
	r.State, r.Worker, r.LeaseEnd, r.Ended = s, "", time.Time{}, tx.Now()
	return tx.SaveTask(r)
}
