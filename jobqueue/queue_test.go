package jobqueue

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/catalog/catalogtest"
)

// patient keeps timers out of the tests that move the clock by hand.
var patient = Config{Poll: time.Hour, Heartbeat: time.Hour}

// TestQueue runs every test of the queue on each database.
func TestQueue(t *testing.T) {
	all := []struct {
		name string
		run  func(*testing.T, *fixture)
	}{
		{"LifeOfATask", testLifeOfATask},
		{"NoTaskTwice", testNoTaskTwice},
		{"StaleAttemptsAreFenced", testStaleAttemptsAreFenced},
		{"LateWorkerKeepsATaskThatNobodyTook", testLateWorkerKeepsATaskThatNobodyTook},
		{"CrashLoopEnds", testCrashLoopEnds},
		{"BusyWorkersReapToo", testBusyWorkersReapToo},
		{"TransientFailuresAreRetried", testTransientFailuresAreRetried},
		{"PermanentFailures", testPermanentFailures},
		{"CancelAtEachStage", testCancelAtEachStage},
		{"ReleaseCostsNothing", testReleaseCostsNothing},
		{"ProgressNeverFalls", testProgressNeverFalls},
		{"ClaimWakes", testClaimWakes},
		{"NeededTasksComeFirst", testNeededTasksComeFirst},
		{"ClaimWaitsForBackoff", testClaimWaitsForBackoff},
		{"Keep", testKeep},
		{"KilledWorker", testKilledWorker},
		{"Chunks", testChunks},
		{"ChunksAreCanceled", testChunksAreCanceled},
		{"KeepChunk", testKeepChunk},
	}
	t.Run("SQLite", func(t *testing.T) {
		for _, tt := range all {
			t.Run(tt.name, func(t *testing.T) { tt.run(t, newFixture(t, filepath.Join(t.TempDir(), "openams.db"))) })
		}
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		server := catalogtest.StartPostgres(t)
		for _, tt := range all {
			t.Run(tt.name, func(t *testing.T) { tt.run(t, newFixture(t, server.Database(t))) })
		}
	})
}

type fixture struct {
	*testing.T
	where  string       // a path or a URL
	offset atomic.Int64 // of the clock
	db     *catalog.DB
}

func newFixture(t *testing.T, where string) *fixture {
	f := &fixture{T: t, where: where}
	f.db = f.open()
	err := f.db.Update(t.Context(), func(tx *catalog.Tx) error {
		if err := tx.InsertAccount(&ams.Account{ID: "acc", Name: "acc"}); err != nil {
			return err
		}
		return tx.InsertTransform(&ams.Transform{Account: "acc", Name: "t"})
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func config(where string) catalog.Config {
	if strings.HasPrefix(where, "postgres:") {
		return catalog.Config{URL: where}
	}
	return catalog.Config{Path: where}
}

// open opens the catalog once more, as another process would.
func (f *fixture) open() *catalog.DB {
	c := config(f.where)
	c.Now = func() time.Time { return time.Now().Add(time.Duration(f.offset.Load())) }
	db, err := catalog.Open(f.Context(), c)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { db.Close() })
	return db
}

func (f *fixture) sleep(d time.Duration) { f.offset.Add(int64(d)) }

func (f *fixture) queue(c Config) *Queue {
	q := New(f.db, c)
	f.Cleanup(q.Close)
	return q
}

// submit queues a job with tasks that treat a failure as given.
func (f *fixture) submit(name string, tasks ...ams.OnError) {
	f.Helper()
	j := &ams.Job{Account: "acc", Transform: "t", Name: name, ID: name, Created: f.db.Now()}
	for i, e := range tasks {
		j.Tasks = append(j.Tasks, ams.Task{ID: fmt.Sprintf("%s-%d", name, i), OnError: e})
	}
	if err := f.db.Update(f.Context(), func(tx *catalog.Tx) error { return tx.InsertJob(j) }); err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) cancel(db *catalog.DB, name string) {
	f.Helper()
	err := db.Update(f.Context(), func(tx *catalog.Tx) error {
		_, err := tx.CancelJob("acc", "t", name)
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) job(name string) *ams.Job {
	f.Helper()
	var j *ams.Job
	err := f.db.View(f.Context(), func(tx *catalog.Tx) (err error) {
		j, err = tx.JobByID(name)
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	return j
}

// expect checks the state of a job and then of its tasks.
func (f *fixture) expect(name string, states ...ams.JobState) {
	f.Helper()
	j := f.job(name)
	got := []ams.JobState{j.State}
	for _, t := range j.Tasks {
		got = append(got, t.State)
	}
	if !slices.Equal(got, states) {
		f.Errorf("job %s and its tasks are %v, want %v", name, got, states)
	}
}

// claim takes the next task, which must be there.
func (f *fixture) claim(q *Queue) *Claim {
	f.Helper()
	c, due, err := q.TryClaim(f.Context(), "w")
	if err != nil {
		f.Fatal(err)
	}
	if c == nil {
		f.Fatalf("nothing to claim, due %v", due)
	}
	return c
}

func (f *fixture) beat(q *Queue, c *Claim, progress float64) (cancel bool) {
	f.Helper()
	cancel, err := q.Heartbeat(f.Context(), c, progress)
	if err != nil {
		f.Fatal(err)
	}
	return cancel
}

func (f *fixture) ok(err error) {
	f.Helper()
	if err != nil {
		f.Error(err)
	}
}

func testLifeOfATask(t *testing.T, f *fixture) {
	q := f.queue(patient)
	f.submit("j", ams.StopProcessingJob, ams.StopProcessingJob)
	f.expect("j", ams.Queued, ams.Queued, ams.Queued)
	c := f.claim(q)
	if c.Job.Name != "j" || c.Task.ID != "j-0" || c.Task.Attempt != 1 || c.Task.State != ams.Scheduled {
		t.Errorf("claimed %+v", c.Task)
	}
	f.expect("j", ams.Scheduled, ams.Scheduled, ams.Queued)
	if f.beat(q, c, 10) {
		t.Error("canceled by nobody")
	}
	f.expect("j", ams.Processing, ams.Processing, ams.Queued)
	if j := f.job("j"); j.Started.IsZero() || !j.Started.Equal(j.Tasks[0].Started) {
		t.Errorf("started %v", j.Started)
	}
	f.ok(q.Finish(t.Context(), c))
	f.expect("j", ams.Processing, ams.Finished, ams.Queued)
	f.ok(q.Finish(t.Context(), f.claim(q))) // without a heartbeat
	f.expect("j", ams.Finished, ams.Finished, ams.Finished)
	if j := f.job("j"); j.Ended.IsZero() || j.Tasks[1].Started.IsZero() || j.Tasks[1].Ended.IsZero() || j.Tasks[0].Progress != 100 {
		t.Errorf("ended as %+v", j)
	}
	if c, due, err := q.TryClaim(t.Context(), "w"); c != nil || !due.IsZero() || err != nil {
		t.Errorf("an empty queue gives %v, %v, %v", c, due, err)
	}
	if err := q.Finish(t.Context(), c); !errors.Is(err, ErrLost) {
		t.Errorf("finishing twice: %v, want ErrLost", err)
	}
}

func testNoTaskTwice(t *testing.T, f *fixture) {
	const jobs, claimers = 20, 16
	for i := range jobs {
		f.submit(fmt.Sprint(i), ams.ContinueJob, ams.ContinueJob, ams.ContinueJob)
	}
	queues := []*Queue{f.queue(Config{}), New(f.open(), Config{})}
	defer queues[1].Close()
	var mu sync.Mutex
	seen := map[string]int{}
	var all sync.WaitGroup
	for i := range claimers {
		q := queues[i%2]
		all.Go(func() {
			for {
				c, _, err := q.TryClaim(t.Context(), fmt.Sprint("w", i))
				if err != nil {
					t.Error(err)
				}
				if c == nil {
					return
				}
				mu.Lock()
				seen[c.Task.ID]++
				mu.Unlock()
				if _, err := q.Heartbeat(t.Context(), c, 50); err != nil {
					t.Error(err)
				}
				if err := q.Finish(t.Context(), c); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if len(seen) != 3*jobs {
		t.Errorf("%d of %d tasks ran", len(seen), 3*jobs)
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("task %s ran %d times", id, n)
		}
	}
	for i := range jobs {
		f.expect(fmt.Sprint(i), ams.Finished, ams.Finished, ams.Finished, ams.Finished)
	}
}

func testStaleAttemptsAreFenced(t *testing.T, f *fixture) {
	q := f.queue(patient)
	f.submit("j", ams.StopProcessingJob)
	old := f.claim(q)
	f.beat(q, old, 60)
	f.sleep(19 * time.Second)
	if c, due, err := q.TryClaim(t.Context(), "thief"); c != nil || err != nil || due.IsZero() {
		t.Fatalf("a lease of 20 s ended in 19 s: %v, due %v, %v", c, due, err)
	}
	f.beat(q, old, 60) // renews
	f.sleep(19 * time.Second)
	if c, _, _ := q.TryClaim(t.Context(), "thief"); c != nil {
		t.Fatal("a heartbeat did not renew the lease")
	}
	f.sleep(2 * time.Second)
	c := f.claim(q)
	if c.Task.Attempt != 2 {
		t.Errorf("attempt %d, want 2", c.Task.Attempt)
	}
	stale := map[string]error{
		"Finish": q.Finish(t.Context(), old), "Cancelled": q.Cancelled(t.Context(), old), "Release": q.Release(t.Context(), old),
		"Fail": q.Fail(t.Context(), old, &ams.JobError{Code: ams.ContentMalformed}),
	}
	_, stale["Heartbeat"] = q.Heartbeat(t.Context(), old, 99)
	for what, err := range stale {
		if !errors.Is(err, ErrLost) {
			t.Errorf("%s of a stale attempt: %v, want ErrLost", what, err)
		}
	}
	f.expect("j", ams.Scheduled, ams.Scheduled)
	f.ok(q.Finish(t.Context(), c))
	f.expect("j", ams.Finished, ams.Finished)
}

func testLateWorkerKeepsATaskThatNobodyTook(t *testing.T, f *fixture) {
	q := f.queue(patient)
	f.submit("j", ams.StopProcessingJob)
	c := f.claim(q)
	f.sleep(time.Hour) // the machine slept
	f.beat(q, c, 1)
	f.ok(q.Finish(t.Context(), c))
	f.expect("j", ams.Finished, ams.Finished)
}

func testCrashLoopEnds(t *testing.T, f *fixture) {
	q := f.queue(patient)
	f.submit("j", ams.StopProcessingJob, ams.StopProcessingJob)
	for i := range 5 {
		c := f.claim(q)
		if c.Task.ID != "j-0" || c.Task.Attempt != i+1 {
			t.Fatalf("claim %d: %+v", i, c.Task)
		}
		f.beat(q, c, 10)
		f.sleep(21 * time.Second) // and it is gone
	}
	if c, _, err := q.TryClaim(t.Context(), "w"); c != nil || err != nil {
		t.Fatalf("claimed %v, %v after five crashes", c, err)
	}
	f.expect("j", ams.Failed, ams.Failed, ams.Canceled)
	if e := f.job("j").Tasks[0].Error; e == nil || e.Code != ams.ServiceError || !strings.Contains(e.Message, "5 times") {
		t.Errorf("error %+v", e)
	}
}

func testBusyWorkersReapToo(t *testing.T, f *fixture) {
	q := f.queue(patient)
	f.submit("a", ams.StopProcessingJob)
	f.submit("b", ams.StopProcessingJob)
	lost, busy := f.claim(q), f.claim(q)
	f.beat(q, lost, 1)
	f.sleep(21 * time.Second)
	f.cancel(f.db, "a")
	f.beat(q, busy, 1)
	f.expect("a", ams.Canceled, ams.Canceled)
	f.expect("b", ams.Processing, ams.Processing)
}

func testTransientFailuresAreRetried(t *testing.T, f *fixture) {
	q := f.queue(patient)
	f.submit("j", ams.StopProcessingJob)
	transient := &ams.JobError{Code: ams.DownloadTransientError, Message: "no route"}
	for _, backoff := range []time.Duration{5 * time.Second, 10 * time.Second} {
		c := f.claim(q)
		f.beat(q, c, 10)
		f.ok(q.Fail(t.Context(), c, transient))
		f.expect("j", ams.Queued, ams.Queued)
		f.sleep(backoff - time.Second)
		if c, due, err := q.TryClaim(t.Context(), "w"); c != nil || due.IsZero() || err != nil {
			t.Fatalf("claimed %v before the backoff of %v, due %v, %v", c, backoff, due, err)
		}
		f.sleep(time.Second)
	}
	f.ok(q.Fail(t.Context(), f.claim(q), transient))
	f.expect("j", ams.Failed, ams.Failed)
	if j := f.job("j"); j.Tasks[0].Error == nil || j.Tasks[0].Error.Message != "no route" || j.Ended.IsZero() {
		t.Errorf("ended as %+v", j)
	}
}

func testPermanentFailures(t *testing.T, f *fixture) {
	q := f.queue(patient)
	broken := &ams.JobError{Code: ams.ContentMalformed, Message: "broken"}
	f.submit("stop", ams.StopProcessingJob, ams.StopProcessingJob, ams.ContinueJob)
	first, second := f.claim(q), f.claim(q)
	f.beat(q, second, 10)
	f.ok(q.Fail(t.Context(), first, broken))
	f.expect("stop", ams.Canceling, ams.Failed, ams.Canceling, ams.Canceled)
	if !f.beat(q, second, 20) {
		t.Error("the other worker does not hear of it")
	}
	f.ok(q.Cancelled(t.Context(), second))
	f.expect("stop", ams.Failed, ams.Failed, ams.Canceled, ams.Canceled)

	f.submit("continue", ams.ContinueJob, ams.StopProcessingJob)
	f.ok(q.Fail(t.Context(), f.claim(q), broken))
	f.expect("continue", ams.Processing, ams.Failed, ams.Queued)
	f.ok(q.Finish(t.Context(), f.claim(q)))
	f.expect("continue", ams.Finished, ams.Failed, ams.Finished)
}

func testCancelAtEachStage(t *testing.T, f *fixture) {
	q := f.queue(patient)
	f.submit("queued", ams.StopProcessingJob)
	f.cancel(f.db, "queued")
	f.expect("queued", ams.Canceled, ams.Canceled)
	if c, _, _ := q.TryClaim(t.Context(), "w"); c != nil {
		t.Fatal("a canceled task was claimed")
	}
	for _, processing := range []bool{false, true} {
		for what, finish := range map[string]func(*Claim) error{
			"cancelled": func(c *Claim) error { return q.Cancelled(t.Context(), c) },
			"released":  func(c *Claim) error { return q.Release(t.Context(), c) },
			"transient": func(c *Claim) error {
				return q.Fail(t.Context(), c, &ams.JobError{Code: ams.ServiceTransientError})
			},
			"lost": func(*Claim) error {
				f.sleep(21 * time.Second)
				_, _, err := q.TryClaim(t.Context(), "w")
				return err
			},
		} {
			name := fmt.Sprintf("%s %v", what, processing)
			f.submit(name, ams.StopProcessingJob)
			c := f.claim(q)
			if processing {
				f.beat(q, c, 10)
			}
			f.cancel(f.db, name)
			f.expect(name, ams.Canceling, ams.Canceling)
			if !f.beat(q, c, 11) {
				t.Errorf("%s: the heartbeat does not say so", name)
			}
			f.ok(finish(c))
			f.expect(name, ams.Canceled, ams.Canceled)
		}
	}
	f.submit("finished", ams.StopProcessingJob)
	c := f.claim(q)
	f.cancel(f.db, "finished")
	f.ok(q.Finish(t.Context(), c)) // the cancel came too late
	f.expect("finished", ams.Finished, ams.Finished)
}

func testReleaseCostsNothing(t *testing.T, f *fixture) {
	q := f.queue(patient)
	f.submit("j", ams.StopProcessingJob)
	stopping, stop := context.WithCancel(t.Context())
	stop()
	for i := range 10 {
		c := f.claim(q)
		if c.Task.Attempt != i+1 {
			t.Errorf("attempt %d, want %d", c.Task.Attempt, i+1)
		}
		f.ok(q.Release(stopping, c)) // although the worker's context has ended
		f.expect("j", ams.Queued, ams.Queued)
	}
}

func testProgressNeverFalls(t *testing.T, f *fixture) {
	q := f.queue(patient)
	f.submit("j", ams.StopProcessingJob)
	c := f.claim(q)
	for _, tt := range [][2]float64{{10, 10}, {5, 10}, {60, 60}, {math.NaN(), 60}, {-1, 60}} {
		f.beat(q, c, tt[0])
		if got := f.job("j").Tasks[0].Progress; got != tt[1] {
			t.Errorf("after %v: %v, want %v", tt[0], got, tt[1])
		}
	}
	f.ok(q.Release(t.Context(), c))
	c = f.claim(q)
	for _, tt := range [][2]float64{{1, 60}, {70, 70}, {1e9, 100}} {
		f.beat(q, c, tt[0])
		if got := f.job("j").Tasks[0].Progress; got != tt[1] {
			t.Errorf("second attempt, after %v: %v, want %v", tt[0], got, tt[1])
		}
	}
}

// A task that needs another is handed out when that one is Finished, at once,
// and ends with it when it is lost for good.
func testNeededTasksComeFirst(t *testing.T, f *fixture) {
	chain := func(name string) {
		j := &ams.Job{Account: "acc", Name: name, ID: name, Created: f.db.Now(), Tasks: []ams.Task{
			{ID: name + "-0", Needs: []int{1}}, {ID: name + "-1"}}}
		f.ok(f.db.Update(t.Context(), func(tx *catalog.Tx) error { return tx.InsertJob(j) }))
	}
	q := f.queue(patient)
	chain("a")
	c := f.claim(q)
	if c.Task.ID != "a-1" {
		t.Fatalf("claimed %s", c.Task.ID)
	}
	f.beat(q, c, 1)
	if next, due, err := q.TryClaim(t.Context(), "w"); next != nil || err != nil || due.IsZero() {
		t.Fatalf("claimed %+v, due %v, %v", next, due, err)
	}
	got := make(chan *Claim)
	go func() {
		c, err := q.Claim(t.Context(), "w")
		if err != nil {
			t.Error(err)
		}
		got <- c
	}()
	f.ok(q.Finish(t.Context(), c))
	second := receive(t, got)
	if second.Task.ID != "a-0" || second.Job.Tasks[1].State != ams.Finished {
		t.Errorf("claimed %+v", second.Task)
	}
	f.ok(q.Finish(t.Context(), second))
	f.expect("a", ams.Finished, ams.Finished, ams.Finished)

	chain("b")
	for range 5 {
		f.beat(q, f.claim(q), 10)
		f.sleep(21 * time.Second) // and its worker is gone
	}
	if c, _, err := q.TryClaim(t.Context(), "w"); c != nil || err != nil {
		t.Errorf("claimed %+v, %v", c, err)
	}
	f.expect("b", ams.Failed, ams.Canceled, ams.Failed)
}

func testClaimWakes(t *testing.T, f *fixture) {
	patient := Config{Poll: time.Hour, Lease: time.Hour} // nor does the end of a lease wake it
	for _, tt := range []struct {
		name string
		q    *Queue
	}{
		{"at once within a process", f.queue(patient)},
		{"by polling for another process", func() *Queue { q := New(f.open(), Config{Poll: time.Millisecond}); t.Cleanup(q.Close); return q }()},
	} {
		got := make(chan *Claim)
		for range 3 {
			go func() {
				c, err := tt.q.Claim(t.Context(), "w")
				if err != nil {
					t.Error(err)
				}
				got <- c
			}()
		}
		for i := range 3 {
			f.submit(fmt.Sprint(tt.name, i), ams.StopProcessingJob)
			f.ok(tt.q.Finish(t.Context(), receive(t, got)))
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.queue(patient).Claim(ctx, "w"); !errors.Is(err, context.Canceled) {
		t.Errorf("a claim whose context ended: %v", err)
	}
}

// A waiting Claim takes a task when its backoff ends, however long the poll.
func testClaimWaitsForBackoff(t *testing.T, f *fixture) {
	c := patient
	c.Backoff = 50 * time.Millisecond
	q := f.queue(c)
	f.submit("j", ams.StopProcessingJob)
	f.ok(q.Fail(t.Context(), f.claim(q), &ams.JobError{Code: ams.ServiceTransientError}))
	got := make(chan *Claim)
	go func() {
		c, _ := q.Claim(t.Context(), "w")
		got <- c
	}()
	if c := receive(t, got); c.Task.Attempt != 2 {
		t.Errorf("attempt %d, want 2", c.Task.Attempt)
	}
}

func receive[T any](t *testing.T, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(time.Minute):
		t.Fatal("nothing happened for a minute")
	}
	return v
}

func testKeep(t *testing.T, f *fixture) {
	other := f.open()
	brisk := Config{Poll: time.Hour, Heartbeat: time.Millisecond}
	for _, tt := range []struct {
		name string
		c    Config
		do   func(name string)
		want error
	}{
		{"cancel here", patient, func(name string) { f.cancel(f.db, name) }, ErrCanceled},
		{"cancel elsewhere", brisk, func(name string) { f.cancel(other, name) }, ErrCanceled},
		{"delete", brisk, func(name string) {
			f.ok(other.Update(t.Context(), func(tx *catalog.Tx) error { return tx.DeleteJob("acc", "t", name) }))
		}, ErrLost},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := f.queue(tt.c)
			f.submit(tt.name, ams.StopProcessingJob)
			c := f.claim(q)
			beats := make(chan struct{}, 1)
			work, stop := q.Keep(t.Context(), c, func() float64 {
				select {
				case beats <- struct{}{}:
				default:
				}
				return 42
			})
			defer stop()
			receive(t, beats)
			tt.do(tt.name)
			receive(t, work.Done())
			if err := context.Cause(work); !errors.Is(err, tt.want) {
				t.Errorf("the work ended because %v, want %v", err, tt.want)
			}
			if tt.want == ErrCanceled {
				stop()
				f.ok(q.Cancelled(t.Context(), c))
				f.expect(tt.name, ams.Canceled, ams.Canceled)
			}
		})
	}
	t.Run("stop", func(t *testing.T) {
		q := f.queue(brisk)
		f.submit("s", ams.StopProcessingJob)
		c := f.claim(q)
		var beats atomic.Int64
		tenth := make(chan struct{})
		work, stop := q.Keep(t.Context(), c, func() float64 {
			if beats.Add(1) == 10 {
				close(tenth)
			}
			return 1
		})
		receive(t, tenth)
		stop()
		stop()
		if n := beats.Load(); work.Err() == nil || n < 10 {
			t.Errorf("after stop: %v, %d beats", work.Err(), n)
		}
		f.ok(q.Finish(t.Context(), c))
		f.expect("s", ams.Finished, ams.Finished)
	})
}

const doomedWorker = "OPENAMS_TEST_DOOMED_WORKER"

// TestDoomedWorker is the process that testKilledWorker kills.
func TestDoomedWorker(t *testing.T) {
	where := os.Getenv(doomedWorker)
	if where == "" {
		t.Skip("it is for testKilledWorker")
	}
	db, err := catalog.Open(t.Context(), config(where))
	if err != nil {
		t.Fatal(err)
	}
	q := New(db, Config{})
	c, err := q.Claim(t.Context(), "doomed")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Heartbeat(t.Context(), c, 33); err != nil {
		t.Fatal(err)
	}
	fmt.Println("working")
	select {} // until killed
}

// Three worker processes share a catalog and one is killed: its task goes to
// another within the lease, and every job ends once.
func testKilledWorker(t *testing.T, f *fixture) {
	const jobs = 12
	ended := map[string]int{}
	for i := range jobs {
		f.submit(fmt.Sprint(i), ams.StopProcessingJob)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestDoomedWorker$")
	cmd.Env = append(os.Environ(), doomedWorker+"="+f.where)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if n, err := out.Read(make([]byte, 7)); n == 0 {
		t.Fatal(err)
	}
	var mu sync.Mutex
	work := func(q *Queue, worker string) (attempts []int) {
		for {
			c, _, err := q.TryClaim(t.Context(), worker)
			if err != nil {
				t.Error(err)
			}
			if c == nil {
				return attempts
			}
			attempts = append(attempts, c.Task.Attempt)
			if err := q.Finish(t.Context(), c); err != nil {
				t.Error(err)
			}
			mu.Lock()
			ended[c.Job.Name]++
			mu.Unlock()
		}
	}
	others := []*Queue{f.queue(patient), New(f.open(), patient)}
	defer others[1].Close()
	share := func() (attempts []int) {
		var all sync.WaitGroup
		for i, q := range others {
			all.Go(func() {
				mine := work(q, fmt.Sprint("w", i))
				mu.Lock()
				defer mu.Unlock()
				attempts = append(attempts, mine...)
			})
		}
		all.Wait()
		return attempts
	}
	if n := len(share()); n != jobs-1 {
		t.Errorf("two workers ran %d tasks while the third had one of %d", n, jobs)
	}
	cmd.Process.Kill()
	cmd.Wait()
	if n := len(share()); n != 0 {
		t.Errorf("%d tasks ran before the lease of the killed worker ended", n)
	}
	f.sleep(20 * time.Second)
	if attempts := share(); !slices.Equal(attempts, []int{2}) {
		t.Errorf("after the lease tasks ran at the attempts %v, want one at its second", attempts)
	}
	for i := range jobs {
		f.expect(fmt.Sprint(i), ams.Finished, ams.Finished)
		if ended[fmt.Sprint(i)] != 1 {
			t.Errorf("job %d ended %d times", i, ended[fmt.Sprint(i)])
		}
	}
}
