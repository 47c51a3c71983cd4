package jobqueue

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openams/openams/ams"
)

// take takes a chunk of a task, any for "".
func (f *fixture) take(q *Queue, task, worker string) *Chunk {
	f.Helper()
	c, err := q.TakeChunk(f.Context(), task, worker)
	f.ok(err)
	return c
}

func (f *fixture) chunks(q *Queue, task string, left int, done ...int64) {
	f.Helper()
	got, n, err := q.Chunks(f.Context(), task)
	f.ok(err)
	if !slices.Equal(got, done) || n != left {
		f.Errorf("frames %v, %d left, want %v, %d", got, n, done, left)
	}
}

func testChunks(t *testing.T, f *fixture) {
	q := f.queue(patient)
	f.submit("j", ams.StopProcessingJob)
	c := f.claim(q)
	split := func(c *Claim, mark string, finished ...bool) error {
		return q.Split(t.Context(), c, mark, []int64{100, 100, 40}, finished)
	}
	f.ok(split(c, "m", true, false, false))
	if got := f.take(q, "", "helper"); got != nil {
		t.Errorf("%+v of a task that is not Processing", got)
	}
	f.beat(q, c, 1)
	f.chunks(q, "j-0", 2, 100, 0, 0)

	one := f.take(q, "", "helper")
	if one == nil || one.Task != "j-0" || one.Number != 1 || one.Mark != "m" || one.Frames != 100 {
		t.Fatalf("%+v", one)
	}
	two := f.take(q, "j-0", "owner")
	if two == nil || two.Number != 2 || f.take(q, "j-0", "owner") != nil {
		t.Fatalf("%+v", two)
	}
	if _, err := q.beatChunk(t.Context(), one, 30); err != nil {
		t.Error(err)
	}
	f.ok(q.FinishChunk(t.Context(), two))
	f.chunks(q, "j-0", 1, 100, 30, 40)

	// A worker that is silent loses its chunk, and is told so.
	f.sleep(21 * time.Second)
	f.beat(q, c, 2)
	again := f.take(q, "", "other")
	if again == nil || again.Number != 1 {
		t.Fatalf("%+v", again)
	}
	f.chunks(q, "j-0", 1, 100, 0, 40)
	if _, err := q.beatChunk(t.Context(), one, 90); !errors.Is(err, ErrLost) {
		t.Errorf("a lost chunk beats: %v", err)
	}
	if err := q.FinishChunk(t.Context(), one); !errors.Is(err, ErrLost) {
		t.Errorf("a lost chunk finishes: %v", err)
	}

	// What a helper cannot encode is left to the worker that has the task.
	f.ok(q.ReleaseChunk(t.Context(), again, true))
	if got := f.take(q, "", "helper"); got != nil {
		t.Errorf("a helper gets %+v", got)
	}
	own := f.take(q, "j-0", "owner")
	if own == nil || own.Number != 1 {
		t.Fatalf("%+v", own)
	}

	// A second attempt at the same encode leaves chunks to those who have them.
	f.ok(q.Release(t.Context(), c))
	if err := split(c, "m", true, false, true); !errors.Is(err, ErrLost) {
		t.Errorf("an attempt that is over splits: %v", err)
	}
	c = f.claim(q)
	f.ok(split(c, "m", true, false, true))
	if got := f.take(q, "j-0", "next"); got != nil {
		t.Errorf("%+v is taken from a living worker", got)
	}
	f.ok(q.FinishChunk(t.Context(), own))
	f.chunks(q, "j-0", 0, 100, 100, 40)

	// Another encode has nothing of the one before.
	f.ok(split(c, "n", false, false, false))
	f.chunks(q, "j-0", 3, 0, 0, 0)
	f.ok(q.Finish(t.Context(), c))
	f.chunks(q, "j-0", 0)
}

func testChunksAreCanceled(t *testing.T, f *fixture) {
	c := patient
	c.ChunkBeat = time.Hour
	here, there := f.queue(c), New(f.open(), c)
	t.Cleanup(there.Close)
	f.submit("j", ams.StopProcessingJob)
	claim := f.claim(here)
	f.ok(here.Split(t.Context(), claim, "m", []int64{10, 10}, []bool{false, false}))
	f.beat(here, claim, 1)
	var contexts []context.Context
	for _, q := range []*Queue{here, there} {
		chunk := f.take(q, "", "helper")
		if chunk == nil {
			t.Fatal("no chunk")
		}
		ctx, stop := q.KeepChunk(t.Context(), chunk, func() int64 { return 0 })
		defer stop()
		contexts = append(contexts, ctx)
	}
	f.cancel(f.db, "j")
	for i, ctx := range contexts {
		if i == 1 && f.where[0] == '/' {
			continue // no word passes between processes on SQLite
		}
		<-ctx.Done()
		if !errors.Is(context.Cause(ctx), ErrCanceled) {
			t.Errorf("%d: %v", i, context.Cause(ctx))
		}
	}
}

// testKeepChunk: heartbeats carry frames, and tell of cancels and losses.
func testKeepChunk(t *testing.T, f *fixture) {
	c := patient
	c.ChunkBeat = time.Millisecond
	q, other := f.queue(c), New(f.open(), patient) // one that cancels unheard on SQLite
	t.Cleanup(other.Close)
	f.submit("j", ams.StopProcessingJob)
	claim := f.claim(q)
	f.ok(q.Split(t.Context(), claim, "m", []int64{10}, []bool{false}))
	f.beat(q, claim, 1)
	var frames atomic.Int64
	ctx, stop := q.KeepChunk(t.Context(), f.take(q, "", "helper"), frames.Load)
	defer stop()
	frames.Store(7)
	for done := int64(0); done != 7; {
		all, _, err := q.Chunks(t.Context(), "j-0")
		f.ok(err)
		done = all[0]
	}
	f.cancel(other.db, "j")
	<-ctx.Done()
	if !errors.Is(context.Cause(ctx), ErrCanceled) {
		t.Errorf("%v", context.Cause(ctx))
	}
}
