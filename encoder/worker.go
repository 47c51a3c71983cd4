package encoder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
	"github.com/openams/openams/ffmpeg"
	"github.com/openams/openams/jobqueue"
)

// queue is what a worker needs of jobqueue.Queue.
type queue interface {
	chunkQueue
	Claim(ctx context.Context, worker string) (*jobqueue.Claim, error)
	Keep(ctx context.Context, c *jobqueue.Claim, progress func() float64) (context.Context, func())
	Report(ctx context.Context, c *jobqueue.Claim, r *ams.TaskReport) error
	Finish(ctx context.Context, c *jobqueue.Claim) error
	Fail(ctx context.Context, c *jobqueue.Claim, e *ams.JobError) error
	Cancelled(ctx context.Context, c *jobqueue.Claim) error
	Release(ctx context.Context, c *jobqueue.Claim) error
}

// chunkQueue is what a worker needs of jobqueue.Queue to share chunks.
type chunkQueue interface {
	Split(ctx context.Context, c *jobqueue.Claim, mark string, frames []int64, finished []bool) error
	TakeChunk(ctx context.Context, task, worker string) (*jobqueue.Chunk, error)
	KeepChunk(ctx context.Context, c *jobqueue.Chunk, done func() int64) (work context.Context, stop func())
	FinishChunk(ctx context.Context, c *jobqueue.Chunk) error
	ReleaseChunk(ctx context.Context, c *jobqueue.Chunk, failed bool) error
	Chunks(ctx context.Context, task string) (done []int64, left int, err error)
}

// accounts finds the account of a job, and so the assets that it names;
// account.Server does.
type accounts interface {
	ByID(ctx context.Context, accountID string) (*account.Account, error)
}

// blobs is what a worker needs of blob.Store.
type blobs interface {
	All(ctx context.Context, account, container, prefix string) iter.Seq2[*ams.Blob, error]
	OpenLocal(ctx context.Context, account, container, name string) (*blob.Reader, error)
	PutFile(ctx context.Context, account, container, name, localPath string, o blob.PutOptions) (*ams.Blob, error)
	Delete(ctx context.Context, account, container, name string, cond blob.Conditions) error
}

// downloader fetches JobInputHttp files; dial.Client does.
type downloader interface {
	Download(ctx context.Context, rawURL string, w io.Writer) (int64, error)
}

// WorkerConfig is what a Worker works with.
type WorkerConfig struct {
	Name     string // unique: tells workers apart in the queue, the log and the scratch folder
	Queue    queue
	Assets   accounts
	Blobs    blobs
	Inputs   downloader
	Tools    ffmpeg.Tools
	Commands Commands // what ffmpeg cannot do
	Hardware []string // ffmpeg's encoders in hardware that may be used, see TryHardware
	Scratch  string   // folder for files on their way; workers may share it, each has a folder of its name in it
	Lanes    int      // chunks that are encoded at the same time; below 2: pictures are encoded in one piece
	Chunks   string   // folder of finished chunks, which outlive the process; empty: they do not
	Share    bool     // other workers, who have the same folder, may take chunks

	EarlyPlay bool // outputs play while they are made, unless a job says otherwise

	Log *slog.Logger
}

// A Worker encodes what the queue gives it, one task at a time.
type Worker struct {
	c       WorkerConfig
	scratch string
	notes   *notes // of the attempt under way
}

// NewWorker returns a worker that does nothing until Run.
func NewWorker(c WorkerConfig) *Worker {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Worker{c: c, scratch: filepath.Join(c.Scratch, c.Name)}
}

// Run claims and works until ctx ends; tasks under way then go back into the
// queue. It returns early only if the scratch folder cannot be used.
func (w *Worker) Run(ctx context.Context) error {
	// What an earlier process left is of no use to anyone.
	if err := os.RemoveAll(w.scratch); err != nil {
		return fmt.Errorf("encoder: empty the scratch folder: %w", err)
	}
	if err := os.MkdirAll(w.scratch, 0o700); err != nil {
		return fmt.Errorf("encoder: make the scratch folder: %w", err)
	}
	defer os.RemoveAll(w.scratch)
	if err := w.tidy(); err != nil {
		return fmt.Errorf("encoder: tidy the folder of chunks: %w", err)
	}
	for {
		claim, err := w.c.Queue.Claim(ctx, w.c.Name)
		switch {
		case ctx.Err() != nil:
			if claim != nil {
				w.do(ctx, claim) // gives it back
			}
			return nil
		case err != nil:
			w.c.Log.Error("claim a task", "worker", w.c.Name, "err", err)
			select {
			case <-ctx.Done():
			case <-time.After(time.Second): // the database is away: no need to hammer it
			}
		default:
			w.do(ctx, claim)
		}
	}
}

func (w *Worker) do(ctx context.Context, claim *jobqueue.Claim) {
	if claim.Chunk != nil {
		w.help(ctx, claim.Chunk)
		return
	}
	w.work(ctx, claim)
}

// chunks is the folder of a task's finished chunks.
func (w *Worker) chunks(task *ams.Task) string {
	if w.c.Chunks == "" {
		return ""
	}
	return filepath.Join(w.c.Chunks, task.ID)
}

// staleChunks is how long chunks are kept of which no attempt ends: a task is
// tried again within minutes.
const staleChunks = 24 * time.Hour

// tidy removes the chunks of tasks that were never taken up again.
func (w *Worker) tidy() error {
	if w.c.Chunks == "" {
		return nil
	}
	if err := os.MkdirAll(w.c.Chunks, 0o700); err != nil {
		return err
	}
	all, err := os.ReadDir(w.c.Chunks)
	if err != nil {
		return err
	}
	for _, e := range all {
		path := filepath.Join(w.c.Chunks, e.Name())
		if made := lastMade(path); !made.IsZero() && time.Since(made) > staleChunks {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// lastMade is when the last chunk of a task was made: another worker may be at it
// for days. It is zero for a folder that is gone.
func lastMade(folder string) (last time.Time) {
	marks, _ := filepath.Glob(filepath.Join(folder, "*"))
	for _, path := range append(marks, folder) {
		if info, err := os.Stat(path); err == nil && info.ModTime().After(last) {
			last = info.ModTime()
		}
	}
	return last
}

// settle bounds how long a worker tries to write down how a task ended.
const settle = 30 * time.Second

// work does one task, and tells the queue how it ended.
func (w *Worker) work(ctx context.Context, claim *jobqueue.Claim) {
	job, task := claim.Job, claim.Task
	log := w.c.Log.With("worker", w.c.Name, "job", job.Name, "transform", job.Transform, "task", task.ID, "attempt", task.Attempt)
	log.Info("task started", "preset", presetName(task.Preset))
	begin := time.Now()

	// For this attempt, another worker, who takes notes.
	busy, dir := *w, w.folder(task)
	busy.notes = newNotes(task, w.c.Name, dir)
	busy.notes.name(w.chunks(task), "chunks")
	busy.c.Tools.Observe = busy.notes.ran
	// Whatever takes over a program that reads the input finds nothing but it.
	busy.c.Tools.Confine = new(ffmpeg.Confinement)
	busy.c.Tools.Confine.Write(dir)
	busy.c.Tools.Confine.Write(w.chunks(task))
	report := func(ctx context.Context) {
		if err := w.c.Queue.Report(ctx, claim, busy.notes.tell()); err != nil && !errors.Is(err, jobqueue.ErrLost) {
			log.Warn("keep the report of an attempt", "err", err)
		}
	}

	var percent atomic.Uint64 // float bits
	held, release := w.c.Queue.Keep(ctx, claim, func() float64 { return math.Float64frombits(percent.Load()) })
	out, err := busy.run(held, job, task, dir, func() { report(ctx) }, func(p float64) { percent.Store(math.Float64bits(p)) })
	cause := context.Cause(held)
	release()

	// The end is written down even if the server is stopping.
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), settle)
	defer cancel()
	busy.notes.ended(err)
	report(end) // before anybody hears of the end
	if err == nil {
		err = w.c.Queue.Finish(end, claim)
	}
	if err != nil && out != nil {
		// Before the queue hears of it: a task that ended so has no outputs.
		which := madeBy(task.Attempt)
		if !errors.Is(err, jobqueue.ErrLost) && !errors.Is(cause, jobqueue.ErrLost) {
			which = nil // earlier attempts may have played early
		}
		if serr := w.sweep(end, task, out, which); serr != nil && ams.CodeOf(serr) != ams.NotFound {
			log.Warn("remove the outputs of a failed task", "asset", out.Name, "err", serr)
		}
	}
	var jobErr *ams.JobError
	kept := false // whether a later attempt will want the chunks
	switch {
	case err == nil:
	case errors.Is(err, jobqueue.ErrLost):
		kept = true
	case errors.Is(cause, jobqueue.ErrLost):
		err, kept = jobqueue.ErrLost, true
	case errors.Is(cause, jobqueue.ErrCanceled):
		err = errors.Join(jobqueue.ErrCanceled, w.c.Queue.Cancelled(end, claim))
	case errors.As(err, &jobErr):
		kept = jobErr.Code.Transient()
		err = errors.Join(err, w.c.Queue.Fail(end, claim, jobErr))
	case ctx.Err() != nil:
		kept = true
		err = errors.Join(errors.New("the worker is stopping"), w.c.Queue.Release(end, claim))
	default:
		kept = true
		e := jobErrorf(ams.ServiceTransientError, "The worker failed; the log of the server says why.")
		err = errors.Join(err, w.c.Queue.Fail(end, claim, e))
	}
	if dir := w.chunks(task); dir != "" && !kept {
		if rerr := os.RemoveAll(dir); rerr != nil {
			log.Warn("remove finished chunks", "err", rerr)
		}
	}
	took := slog.Duration("took", time.Since(begin).Round(time.Millisecond))
	if err != nil {
		log.Warn("task ended without outputs", "err", err, took)
		return
	}
	log.Info("task finished", took)
}

// reads says that the attempt's programs are to read a file, and what its user
// calls it.
func (w *Worker) reads(path, name string) {
	w.c.Tools.Confine.Read(path)
	w.notes.name(path, name)
}

// folder is where the files of an attempt at a task lie.
func (w *Worker) folder(task *ams.Task) string {
	return filepath.Join(w.scratch, fmt.Sprintf("%s-%d", task.ID, task.Attempt))
}

// run makes the outputs of a task in folder dir and stores them in its asset,
// which it also returns if it may have stored anything. planned is told of the
// plan before it is carried out.
func (w *Worker) run(ctx context.Context, job *ams.Job, task *ams.Task, dir string, planned func(), progress func(float64)) (stored *ams.Asset, err error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)

	acc, err := w.c.Assets.ByID(ctx, job.Account)
	if err != nil {
		return nil, err
	}
	clear := *task
	if clear.Preset, err = acc.TaskPreset(ctx, task); err != nil {
		if ams.CodeOf(err) == ams.Internal {
			return nil, err
		}
		return nil, jobErrorf(ams.ConfigurationUnsupported, "The task's configuration cannot be read any more: %s", err)
	}
	task = &clear
	out, err := acc.Asset(ctx, task.Asset)
	if err != nil {
		if ams.CodeOf(err) == ams.NotFound {
			return nil, jobErrorf(ams.UploadNotAccessible, "The output asset '%s' does not exist any more.", task.Asset)
		}
		return nil, err
	}
	if p := processorOf(task.Preset.Type); p != nil {
		made, err := p.run(ctx, w, &errand{job, task, dir, filepath.Join(dir, "out"), progress})
		if err != nil {
			return nil, err
		}
		if err := w.store(ctx, task, out, made.files); err != nil {
			return out, err
		}
		return out, errors.Join(w.record(ctx, out), w.makePrimary(ctx, out, made.primary))
	}
	request, done, err := w.fetch(ctx, job, task, dir)
	defer done()
	if err != nil {
		return nil, err
	}
	if err := cutCopies(ctx, w.c.Tools, task.Preset, &request, filepath.Join(dir, "cut")); err != nil {
		return nil, err
	}
	if request.Title, err = Analyse(ctx, w.c.Tools, task.Preset, request, filepath.Join(dir, "samples"), func(part float64) { progress(analysisShare * part) }); err != nil {
		return nil, err
	}
	begin := 0.0
	if request.Title != nil {
		begin = analysisShare
	}
	plan, err := NewPlan(task.Preset, request)
	if err != nil {
		return nil, err
	}
	plan.accelerate(w.c.Hardware)
	kept := w.chunks(task)
	if out.Options == ams.StorageEncrypted || slices.ContainsFunc(plan.sources(request), func(s Source) bool { return s.Secret }) {
		kept = "" // chunks outlive the attempt
	}
	how := How{Lanes: w.c.Lanes, Dir: kept, Name: task.ID}
	if w.c.Share && kept != "" {
		how.Share = w.share(&jobqueue.Claim{Job: job, Task: task})
	}
	if plan.Early, err = w.playsEarly(ctx, job, task, plan, out); err != nil {
		return nil, err
	}
	if plan.Early {
		how.Publish = func(ctx context.Context, f OutputFile) error { return w.put(ctx, task, out, f, true) }
	} else if task.Attempt > 1 {
		// An earlier attempt may have played early.
		if err := w.sweep(ctx, task, out, early); err != nil {
			return nil, uploadError(ctx, err, out, "its files")
		}
	}
	soft := how
	if plan.Early {
		plan.decelerate() // what is published cannot be made in another way
	} else if plan.accelerated() {
		how.Lanes, how.Share = 0, nil // hardware has few encoders, and one is enough
	}
	w.notes.planned(plan)
	planned()
	encode := func(how How) ([]OutputFile, error) {
		return EncodeAs(ctx, w.c.Tools, plan, plan.sources(request), how, filepath.Join(dir, "out"), func(p float64) { progress(begin + (99-begin)*p/100) })
	}
	outputs, err := encode(how)
	if e, ok := errors.AsType[*ams.JobError](err); ok && ctx.Err() == nil && e.Code.Category() == "Service" && plan.decelerate() {
		w.c.Log.Warn("hardware failed to encode; it is done again in software", "job", job.Name, "task", task.ID, "err", err)
		outputs, err = encode(soft)
	}
	if err != nil {
		return out, err
	}
	if err := w.store(ctx, task, out, outputs); err != nil {
		return out, err
	}
	return out, w.record(ctx, out)
}

// analysisShare is what percent of a task the analysis of its source is: at most a
// tenth of the encode.
const analysisShare = 8

// record makes the AssetFiles of an output asset.
func (w *Worker) record(ctx context.Context, out *ams.Asset) error {
	a, err := w.c.Assets.ByID(ctx, out.Account)
	if err == nil {
		err = a.CreateFileInfos(ctx, out.ID)
	}
	if ams.CodeOf(err) == ams.Limit { // thousands of stills; who reads the blobs does not mind
		w.c.Log.Warn("not all files of an output asset are recorded", "asset", out.Name, "err", err)
		err = nil
	}
	return err
}

// asset finds an asset of the job's account.
func (w *Worker) asset(ctx context.Context, job *ams.Job, name string) (*ams.Asset, error) {
	a, err := w.c.Assets.ByID(ctx, job.Account)
	if err != nil {
		return nil, err
	}
	return a.Asset(ctx, name)
}

// store puts the outputs into the asset, in order, after what an attempt that
// was cut short has left there.
func (w *Worker) store(ctx context.Context, task *ams.Task, out *ams.Asset, outputs []OutputFile) error {
	if err := w.sweep(ctx, task, out, finished); err != nil {
		return uploadError(ctx, err, out, "its files")
	}
	for _, f := range outputs {
		if err := w.put(ctx, task, out, f, false); err != nil {
			return err
		}
	}
	// What plays now has the same segments.
	if err := w.sweep(ctx, task, out, early); err != nil {
		return uploadError(ctx, err, out, "its files")
	}
	return ctx.Err()
}

func (w *Worker) put(ctx context.Context, task *ams.Task, out *ams.Asset, f OutputFile, early bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	meta := map[string]string{account.MadeByTask: task.ID, account.MadeByAttempt: strconv.Itoa(task.Attempt)}
	if early {
		meta[account.MadeEarly] = "true"
	}
	_, err := w.c.Blobs.PutFile(ctx, out.StorageAccount, out.Container, f.Name, f.Path, blob.PutOptions{
		Headers: ams.BlobHeaders{ContentType: f.ContentType}, Metadata: meta,
	})
	if err != nil {
		return uploadError(ctx, err, out, "'"+f.Name+"'")
	}
	return nil
}

// earlyPlay is the key of a job's correlationData that says, by true or false,
// whether its outputs play while they are made.
const earlyPlay = "openams.earlyPlay"

// playsEarly reports whether the plan's outputs are to be played while they are
// made, and can be: what an asset holds already under that name stays.
func (w *Worker) playsEarly(ctx context.Context, job *ams.Job, task *ams.Task, plan *Plan, out *ams.Asset) (bool, error) {
	wish := w.c.EarlyPlay
	if on, err := strconv.ParseBool(job.Correlation[earlyPlay]); err == nil {
		wish = on
	}
	if !wish || !plan.MayPlayEarly() || out.Options == ams.StorageEncrypted {
		return false, nil
	}
	for b, err := range w.c.Blobs.All(ctx, out.StorageAccount, out.Container, plan.Basename+".ism") {
		if err != nil {
			return false, uploadError(ctx, err, out, "its files")
		}
		if b.Name == plan.Basename+".ism" && b.Metadata[account.MadeByTask] != task.ID {
			return false, nil
		}
	}
	return true, nil
}

// sweep deletes the blobs of the asset that the task has made and which takes, nil
// for all of them.
func (w *Worker) sweep(ctx context.Context, task *ams.Task, out *ams.Asset, which func(*ams.Blob) bool) error {
	a, err := w.c.Assets.ByID(ctx, out.Account)
	if err != nil {
		return err
	}
	return a.DeleteMade(ctx, out, task.ID, which)
}

func early(b *ams.Blob) bool { return b.Metadata[account.MadeEarly] != "" }

func finished(b *ams.Blob) bool { return !early(b) }

func madeBy(attempt int) func(*ams.Blob) bool {
	return func(b *ams.Blob) bool { return b.Metadata[account.MadeByAttempt] == strconv.Itoa(attempt) }
}

func uploadError(ctx context.Context, err error, out *ams.Asset, what string) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case ams.CodeOf(err) == ams.NotFound:
		return jobErrorf(ams.UploadNotAccessible, "The container of the output asset '%s' is gone: %v", out.Name, err)
	case ams.CodeOf(err) == ams.Unavailable:
		return jobErrorf(ams.UploadTransientError, "%s could not be stored in the output asset '%s': %v", what, out.Name, err)
	}
	return fmt.Errorf("store %s in the asset %q: %w", what, out.Name, err)
}
