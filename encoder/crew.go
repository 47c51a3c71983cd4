package encoder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/ffmpeg"
	"github.com/openams/openams/jobqueue"
)

// A crew hands the chunks of an encode out to lanes: those of one worker, or of
// all workers that share its folder of chunks.
type crew interface {
	// take returns a chunk that nobody works on, nil if there is none now.
	take(ctx context.Context) (*jobqueue.Chunk, error)
	// keep, finish and release are as in jobqueue.Queue.
	keep(ctx context.Context, c *jobqueue.Chunk, frames func() int64) (work context.Context, stop func())
	finish(ctx context.Context, c *jobqueue.Chunk) error
	release(ctx context.Context, c *jobqueue.Chunk, failed bool) error
	// progress returns the frames that each chunk has, and how many chunks are not
	// finished.
	progress(ctx context.Context) (done []int64, left int, err error)
}

// crew is who encodes the chunks, of which some are finished.
func (w *chunkWork) crew(ctx context.Context, how How, mark, kept string, finished []bool) (crew, error) {
	var frames []int64
	for _, c := range w.Chunks {
		frames = append(frames, c.Frames)
	}
	if how.Share == nil || how.Dir == "" || w.source.Blob == nil {
		a := &solo{frames: frames, done: make([]int64, len(frames))}
		for i, ok := range finished {
			if ok {
				a.done[i] = frames[i]
			} else {
				a.left = append(a.left, i)
			}
		}
		a.open = len(a.left)
		return a, nil
	}
	at := w.source.Blob
	w.Blob = &ams.Blob{StorageAccount: at.StorageAccount, Container: at.Container, Name: at.Name, ETag: at.ETag}
	b, err := json.Marshal(w)
	if err != nil {
		return nil, err
	}
	tmp := filepath.Join(kept, workFile+".new")
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return nil, err
	}
	if err := os.Rename(tmp, filepath.Join(kept, workFile)); err != nil {
		return nil, err
	}
	return how.Share(ctx, mark, frames, finished)
}

// workFile is the name of a chunkWork beside its chunks.
const workFile = "work.json"

// solo is a crew of one worker.
type solo struct {
	mu     sync.Mutex
	frames []int64
	done   []int64
	left   []int // not taken
	open   int   // not finished
}

func (a *solo) take(context.Context) (*jobqueue.Chunk, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.left) == 0 {
		return nil, nil
	}
	c := &jobqueue.Chunk{Number: a.left[0], Frames: a.frames[a.left[0]]}
	a.left = a.left[1:]
	return c, nil
}

func (a *solo) keep(ctx context.Context, _ *jobqueue.Chunk, _ func() int64) (context.Context, func()) {
	return context.WithCancel(ctx)
}

func (a *solo) finish(_ context.Context, c *jobqueue.Chunk) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.done[c.Number] = c.Frames
	a.open--
	return nil
}

func (a *solo) release(context.Context, *jobqueue.Chunk, bool) error { return nil }

func (a *solo) progress(context.Context) ([]int64, int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]int64(nil), a.done...), a.open, nil
}

// shared is a crew of all workers of a queue.
type shared struct {
	queue  queue
	task   string
	worker string
}

func (s *shared) take(ctx context.Context) (*jobqueue.Chunk, error) {
	return s.queue.TakeChunk(ctx, s.task, s.worker)
}

func (s *shared) keep(ctx context.Context, c *jobqueue.Chunk, frames func() int64) (context.Context, func()) {
	return s.queue.KeepChunk(ctx, c, frames)
}

func (s *shared) finish(ctx context.Context, c *jobqueue.Chunk) error {
	return s.queue.FinishChunk(ctx, c)
}

func (s *shared) release(ctx context.Context, c *jobqueue.Chunk, failed bool) error {
	return s.queue.ReleaseChunk(ctx, c, failed)
}

func (s *shared) progress(ctx context.Context) ([]int64, int, error) {
	return s.queue.Chunks(ctx, s.task)
}

// share offers the chunks of a task to all workers.
func (w *Worker) share(claim *jobqueue.Claim) func(context.Context, string, []int64, []bool) (crew, error) {
	return func(ctx context.Context, mark string, frames []int64, finished []bool) (crew, error) {
		err := w.c.Queue.Split(ctx, claim, mark, frames, finished)
		return &shared{w.c.Queue, claim.Task.ID, w.c.Name}, err
	}
}

// help encodes a chunk of a task that another worker has, and more beside it in the
// other lanes.
func (w *Worker) help(ctx context.Context, c *jobqueue.Chunk) {
	var lanes sync.WaitGroup
	for range w.c.Lanes - 1 {
		more, err := w.c.Queue.TakeChunk(ctx, "", w.c.Name)
		if err != nil || more == nil {
			break
		}
		lanes.Go(func() { w.helpWith(ctx, more) })
	}
	w.helpWith(ctx, c)
	lanes.Wait()
}

func (w *Worker) helpWith(ctx context.Context, c *jobqueue.Chunk) {
	log := w.c.Log.With("worker", w.c.Name, "task", c.Task, "chunk", c.Number)
	err := w.helpOut(ctx, c)
	switch {
	case err == nil:
		log.Info("chunk finished")
	case ctx.Err() != nil || errors.Is(err, context.Canceled):
		log.Info("chunk given up")
	default:
		log.Warn("chunk not encoded", "err", err)
	}
}

func (w *Worker) helpOut(ctx context.Context, c *jobqueue.Chunk) error {
	crew := &shared{w.c.Queue, c.Task, w.c.Name}
	work, done, err := w.chunkWork(ctx, c)
	defer done()
	if err != nil {
		return errors.Join(err, crew.release(ctx, c, ctx.Err() == nil))
	}
	tools := w.c.Tools
	tools.Confine = new(ffmpeg.Confinement)
	tools.Confine.Read(work.source.Path)
	tools.Confine.Write(filepath.Join(w.c.Chunks, c.Task))
	return work.turn(ctx, tools, crew, c, filepath.Join(w.c.Chunks, c.Task, c.Mark), func(int64) {})
}

// chunkWork reads what the worker that has the task wrote down, and opens the
// source, which done closes; it is never nil.
func (w *Worker) chunkWork(ctx context.Context, c *jobqueue.Chunk) (work *chunkWork, done func(), err error) {
	done = func() {}
	if w.c.Chunks == "" {
		return nil, done, errors.New("this worker has no folder of chunks")
	}
	b, err := os.ReadFile(filepath.Join(w.c.Chunks, c.Task, c.Mark, workFile))
	if err != nil {
		return nil, done, err
	}
	work = new(chunkWork)
	if err := json.Unmarshal(b, work); err != nil {
		return nil, done, fmt.Errorf("%s of task %s: %w", workFile, c.Task, err)
	}
	if work.Blob == nil || c.Number >= len(work.Chunks) || work.Plan == nil || work.Plan.Video == nil {
		return nil, done, fmt.Errorf("%s of task %s is not of this version", workFile, c.Task)
	}
	r, err := w.c.Blobs.OpenLocal(ctx, work.Blob.StorageAccount, work.Blob.Container, work.Blob.Name)
	if err != nil {
		return nil, done, err
	}
	done = func() { r.Close() }
	path, ok := r.LocalPath()
	if !ok || r.Blob().ETag != work.Blob.ETag {
		return nil, done, fmt.Errorf("%s is not the file any more that the task began with", work.Blob.Name)
	}
	work.source = Source{Name: work.Blob.Name, Path: path}
	return work, done, nil
}

// A count adds up the frames of chunks, and tells of what part of all they are.
type count struct {
	mu     sync.Mutex
	done   []int64
	sum    int64
	total  int64
	report func(part float64)
}

func (c *count) set(i int, frames int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if frames <= c.done[i] {
		return // a chunk that is encoded again
	}
	c.sum += frames - c.done[i]
	c.done[i] = frames
	c.report(float64(c.sum) / float64(c.total))
}
