package jobqueue

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

// A Chunk is a part of a running task in the hands of a worker, be it the one
// that has the task or another. It is a lease like a task's, fenced by a number of
// its own.
type Chunk struct {
	Task   string // guid
	Number int
	Mark   string // names the encode that it is a part of
	Frames int64

	attempt int
}

// Split offers the chunks of a claimed task to all workers, frames long each. Those
// that are finished already are not offered; those of the same mark that a living
// worker has stay with it, of other marks nothing stays. The error is ErrLost when
// c is not held.
func (q *Queue) Split(ctx context.Context, c *Claim, mark string, frames []int64, finished []bool) error {
	defer q.rouse()
	return q.db.Update(ctx, func(tx *catalog.Tx) error {
		if _, err := held(tx, c); err != nil {
			return err
		}
		if err := tx.DeleteChunks(c.Task.ID, mark); err != nil {
			return err
		}
		old, err := tx.Chunks(c.Task.ID)
		if err != nil {
			return err
		}
		known := map[int]*catalog.ChunkRecord{}
		for _, r := range old {
			known[r.Number] = r
		}
		for i, n := range frames {
			r := known[i]
			if r == nil {
				r = &catalog.ChunkRecord{Task: c.Task.ID, Number: i, Mark: mark, Frames: n}
			}
			if r.Finished = finished[i]; r.Finished {
				r.Done = n
			}
			if err := tx.SaveChunk(r); err != nil {
				return err
			}
		}
		return nil
	})
}

// TakeChunk takes a chunk of the task for a worker, nil if none is to be had now:
// the first that is not finished and that no living worker has.
func (q *Queue) TakeChunk(ctx context.Context, task, worker string) (c *Chunk, err error) {
	err = q.db.Update(ctx, func(tx *catalog.Tx) error {
		c = nil
		r, err := tx.NextChunk(task)
		if err != nil || r == nil {
			return err
		}
		r.Attempt++
		r.Worker, r.Done, r.LeaseEnd = worker, 0, tx.Now().Add(q.c.Lease)
		c = &Chunk{Task: r.Task, Number: r.Number, Mark: r.Mark, Frames: r.Frames, attempt: r.Attempt}
		return tx.SaveChunk(r)
	})
	return c, err
}

// KeepChunk renews the lease of c in the background, with the frames that done
// returns, until stop is called. The context ends when ctx does, when the chunk's
// task is canceled (cause ErrCanceled) or ends, or when the chunk is another's
// (ErrLost).
func (q *Queue) KeepChunk(ctx context.Context, c *Chunk, done func() int64) (work context.Context, stop func()) {
	work, end := context.WithCancelCause(ctx)
	q.mu.Lock()
	q.chunks[c] = end
	q.mu.Unlock()
	quit := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(q.c.ChunkBeat)
		defer tick.Stop()
		renewed := time.Now()
		for {
			select {
			case <-tick.C:
			case <-quit:
				return
			case <-work.Done():
				return
			}
			try, timeout := context.WithTimeout(work, q.c.Lease)
			cancel, err := q.beatChunk(try, c, done())
			timeout()
			switch {
			case cancel:
				end(ErrCanceled)
			case err == nil:
				renewed = time.Now()
			case errors.Is(err, ErrLost), time.Since(renewed) >= q.c.Lease:
				end(cmp.Or(err, ErrLost))
			}
		}
	}()
	return work, sync.OnceFunc(func() {
		close(quit)
		<-ended
		q.mu.Lock()
		delete(q.chunks, c)
		q.mu.Unlock()
		end(context.Canceled)
	})
}

func (q *Queue) beatChunk(ctx context.Context, c *Chunk, done int64) (cancel bool, err error) {
	err = q.db.Note(ctx, func(tx *catalog.Tx) error {
		r, err := heldChunk(tx, c)
		if err != nil {
			return err
		}
		t, err := tx.TaskRecord(c.Task)
		if err != nil {
			return err
		}
		if cancel = t.State == ams.Canceling; cancel {
			return nil
		}
		r.Done, r.LeaseEnd = max(r.Done, min(done, r.Frames)), tx.Now().Add(q.c.Lease)
		return tx.SaveChunk(r)
	})
	return cancel, err
}

// FinishChunk says that c is encoded and where all workers find it. The error is
// ErrLost when c is not held, which does not matter: it is there.
func (q *Queue) FinishChunk(ctx context.Context, c *Chunk) error {
	return q.settleChunk(ctx, c, func(r *catalog.ChunkRecord) { r.Finished, r.Done = true, r.Frames })
}

// ReleaseChunk gives c back; failed says that it could not be encoded: then it is
// left to the worker that has the task.
func (q *Queue) ReleaseChunk(ctx context.Context, c *Chunk, failed bool) error {
	return q.settleChunk(ctx, c, func(r *catalog.ChunkRecord) {
		if r.Done = 0; failed {
			r.Failures++
		}
	})
}

func (q *Queue) settleChunk(ctx context.Context, c *Chunk, change func(*catalog.ChunkRecord)) error {
	return q.db.Update(context.WithoutCancel(ctx), func(tx *catalog.Tx) error {
		r, err := heldChunk(tx, c)
		if err != nil {
			return err
		}
		r.Worker, r.LeaseEnd = "", time.Time{}
		change(r)
		return tx.SaveChunk(r)
	})
}

// Chunks says how many frames of each chunk of a task are encoded, and how many
// chunks are not finished.
func (q *Queue) Chunks(ctx context.Context, task string) (done []int64, left int, err error) {
	err = q.db.View(ctx, func(tx *catalog.Tx) error {
		all, err := tx.Chunks(task)
		done, left = nil, 0
		for _, r := range all {
			done = append(done, r.Done)
			if !r.Finished {
				left++
			}
		}
		return err
	})
	return done, left, err
}

func heldChunk(tx *catalog.Tx, c *Chunk) (*catalog.ChunkRecord, error) {
	r, err := tx.Chunk(c.Task, c.Number)
	if err != nil {
		return nil, err
	}
	if r == nil || r.Mark != c.Mark || r.Attempt != c.attempt || r.Finished || r.Worker == "" {
		return nil, ErrLost
	}
	return r, nil
}
