package encoder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
	"github.com/openams/openams/blob/disk"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/dial"
	"github.com/openams/openams/jobqueue"
)

// A service is everything a worker works with, on a folder of its own.
type service struct {
	commands Commands // of workers and submissions
	t        *testing.T
	dir      string
	db       *catalog.DB
	blobs    *blob.Store
	queue    *jobqueue.Queue
	server   *account.Server
	account  *account.Account
	changes  chan catalog.JobChange // of tasks
}

func newService(t *testing.T, q jobqueue.Config) *service {
	t.Helper()
	ctx := t.Context()
	s := &service{t: t, dir: t.TempDir(), changes: make(chan catalog.JobChange, 1000)}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	s.db, err = catalog.Open(ctx, catalog.Config{Path: filepath.Join(s.dir, "openams.db")})
	must(err)
	t.Cleanup(func() { s.db.Close() })
	t.Cleanup(s.db.Watch(func(c catalog.JobChange) {
		if c.Task != "" {
			s.changes <- c
		}
	}))
	driver, err := disk.New(filepath.Join(s.dir, "blobs"))
	must(err)
	s.blobs = blob.New(s.db, driver, blob.Options{})
	_, err = s.blobs.Recover(ctx)
	must(err)
	s.queue = jobqueue.New(s.db, q)
	t.Cleanup(s.queue.Close)
	s.server = account.New(account.Config{Catalog: s.db, Blobs: s.blobs, BlobEndpoint: "http://127.0.0.1:1", StreamingHost: "localhost", Supports: s.commands.Supported, SupportsInput: SupportedInput, TaskPreset: s.commands.TaskPreset})
	t.Cleanup(s.server.Close)
	must(s.server.EnsureFirst(ctx, account.First{SubscriptionID: "00000000-0000-0000-0000-000000000001", ResourceGroup: "rg", Account: "media", Location: "local", StorageAccount: "store"}))
	s.account, err = s.server.Account(ctx, "00000000-0000-0000-0000-000000000001", "rg", "media")
	must(err)
	return s
}

func (s *service) worker(name string) *Worker {
	return NewWorker(WorkerConfig{
		Name: name, Queue: s.queue, Assets: s.server, Blobs: s.server.ClearBlobs(), Tools: tools(s.t), Scratch: filepath.Join(s.dir, "scratch"),
		Inputs: dial.New(dial.Config{AllowNets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, AllowHTTP: true}),
	})
}

// run starts a worker; it stops with the test.
func (s *service) run(w *Worker) {
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
		if left := list(s.t, w.c.Scratch); len(left) > 0 {
			s.t.Errorf("scratch holds %v", left)
		}
	})
}

// asset makes an asset that holds the given files.
func (s *service) asset(name string, files map[string]string) *ams.Asset {
	s.t.Helper()
	a, _, err := s.account.CreateOrUpdateAsset(s.t.Context(), name, account.AssetInput{})
	if err != nil {
		s.t.Fatal(err)
	}
	for file, path := range files {
		f, err := os.Open(path)
		if err != nil {
			s.t.Fatal(err)
		}
		_, err = s.blobs.Put(s.t.Context(), a.StorageAccount, a.Container, file, f, blob.PutOptions{})
		f.Close()
		if err != nil {
			s.t.Fatal(err)
		}
	}
	return a
}

// files lists an asset.
func (s *service) files(a *ams.Asset) []string {
	s.t.Helper()
	var names []string
	for b, err := range s.blobs.All(s.t.Context(), a.StorageAccount, a.Container, "") {
		if err != nil {
			s.t.Fatal(err)
		}
		names = append(names, b.Name)
	}
	slices.Sort(names)
	return names
}

func (s *service) submit(job, presetName string, in ams.JobInput, out string) *ams.Job {
	s.t.Helper()
	return s.submitWith(job, presetName, in, out, nil)
}

// submitWith is submit with correlationData.
func (s *service) submitWith(job, presetName string, in ams.JobInput, out string, correlation map[string]string) *ams.Job {
	s.t.Helper()
	ctx := s.t.Context()
	_, _, err := s.account.CreateOrUpdateTransform(ctx, presetName, account.TransformInput{Outputs: []ams.TransformOutput{{Preset: preset(presetName)}}})
	if err != nil {
		s.t.Fatal(err)
	}
	j, err := s.account.SubmitJob(ctx, presetName, job, account.JobRequest{Input: in, Outputs: []account.JobOutput{{Asset: out}}, Correlation: correlation})
	if err != nil {
		s.t.Fatal(err)
	}
	return j
}

// wait waits until the only task of a job is in a final state.
func (s *service) wait(j *ams.Job) *ams.Task {
	s.t.Helper()
	deadline := time.After(time.Minute)
	for {
		select {
		case c := <-s.changes:
			if c.Task == j.Tasks[0].ID && c.To.Final() {
				now, err := s.account.Job(s.t.Context(), j.Transform, j.Name)
				if err != nil {
					s.t.Fatal(err)
				}
				return &now.Tasks[0]
			}
		case <-deadline:
			s.t.Fatalf("job %s does not end", j.Name)
		}
	}
}

func assetInput(name string, files ...string) ams.JobInput {
	return ams.JobInput{Kind: ams.InputAsset, Asset: name, Files: files}
}

func TestWorker(t *testing.T) {
	s := newService(t, jobqueue.Config{})
	s.run(s.worker("one"))
	path := film(t, "2", "320x180", "25")
	note := filepath.Join(t.TempDir(), "note")
	if err := os.WriteFile(note, []byte("<smil/>"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.asset("in", map[string]string{"My film.mp4": path, "old.ism": note, "old.mpi": note, "folder/other.mp4": note})

	out := s.asset("out", nil)
	task := s.wait(s.submit("good", "AdaptiveStreaming", assetInput("in"), "out"))
	if task.State != ams.Finished || task.Progress != 100 || task.Error != nil {
		t.Errorf("%+v, %v", task, task.Error)
	}
	files := s.files(out)
	for _, want := range []string{"My film.ism", "My film.ismc", "My film_manifest.json", "My film_AACAudio_128.mp4", "My film_AACAudio_128.mpi"} {
		if !slices.Contains(files, want) {
			t.Errorf("no %s among %q", want, files)
		}
	}
	if len(files) != 8 {
		t.Errorf("outputs %q", files)
	}

	// A part of the input, by a preset of the user's own that overrides the
	// transform's.
	part := s.asset("part", nil)
	_, _, err := s.account.CreateOrUpdateTransform(t.Context(), "own", account.TransformInput{Outputs: []ams.TransformOutput{{Preset: standard(standards["ladder"])}}})
	if err != nil {
		t.Fatal(err)
	}
	override := standard(standards["transport"])
	clipped := assetInput("in", "My film.mp4")
	clipped.Start = []byte(`{"@odata.type":"#Microsoft.Media.AbsoluteClipTime","time":"PT0.4S"}`)
	clipped.End = []byte(`{"@odata.type":"#Microsoft.Media.AbsoluteClipTime","time":"PT1.2S"}`)
	j, err := s.account.SubmitJob(t.Context(), "own", "part", account.JobRequest{Input: clipped, Outputs: []account.JobOutput{{Asset: "part", Override: &override}}})
	if err != nil {
		t.Fatal(err)
	}
	if task := s.wait(j); task.State != ams.Finished {
		t.Errorf("%+v, %v", task, task.Error)
	}
	if files := s.files(part); len(files) != 3 || !slices.Contains(files, "My film.ts") {
		t.Errorf("outputs %q", files)
	} else if r, err := s.blobs.OpenLocal(t.Context(), part.StorageAccount, part.Container, "My film.ts"); err != nil {
		t.Error(err)
	} else {
		defer r.Close()
		if path, ok := r.LocalPath(); !ok || frames(t, path) != 10 { // of 12.5 a second
			t.Errorf("%d frames, want 10", frames(t, path))
		}
	}

	// Failures, each with its code and no file left.
	s.asset("text", map[string]string{"text.mp4": note})
	s.asset("empty", nil)
	for _, tt := range []struct {
		name string
		in   ams.JobInput
		code ams.JobErrorCode
		says string
	}{
		{"text", assetInput("text"), ams.ContentUnsupported, "text.mp4"},
		{"missing", assetInput("in", "other.mp4"), ams.DownloadNotAccessible, "other.mp4"},
		{"empty", assetInput("empty"), ams.ContentUnsupported, "no files"},
	} {
		out := s.asset("out-"+tt.name, nil)
		task := s.wait(s.submit(tt.name, "AdaptiveStreaming", tt.in, "out-"+tt.name))
		if task.State != ams.Failed || task.Error == nil || task.Error.Code != tt.code || !strings.Contains(task.Error.Message, tt.says) {
			t.Errorf("%s: %s %+v", tt.name, task.State, task.Error)
		}
		if left := s.files(out); left != nil {
			t.Errorf("%s: %q is left", tt.name, left)
		}
	}
}

func TestWorkerHTTP(t *testing.T) {
	s := newService(t, jobqueue.Config{Attempts: 1})
	path := film(t, "1", "320x180", "25")
	web := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/film.mp4" && r.URL.RawQuery == "sig=secret":
			http.ServeFile(w, r, path)
		case r.URL.Path == "/busy.mp4":
			http.Error(w, "later", http.StatusServiceUnavailable)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(web.Close)
	w := s.worker("one")
	w.c.Inputs = downloads(func(ctx context.Context, raw string, to io.Writer) (int64, error) {
		// dial.Client with the test server's certificate.
		res, err := web.Client().Get(raw)
		if err != nil {
			return 0, err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return 0, &dial.StatusError{Code: res.StatusCode}
		}
		return io.Copy(to, res.Body)
	})
	s.run(w)
	out := s.asset("out", nil)
	in := func(file string) ams.JobInput {
		return ams.JobInput{Kind: ams.InputHTTP, BaseURI: web.URL, Files: []string{file}}
	}
	if task := s.wait(s.submit("good", "AACGoodQualityAudio", in("film.mp4?sig=secret"), "out")); task.State != ams.Finished {
		t.Errorf("%s %+v", task.State, task.Error)
	}
	if files := s.files(out); !slices.Contains(files, "film_AACAudio_192.mp4") {
		t.Errorf("outputs %q", files)
	}
	for file, code := range map[string]ams.JobErrorCode{"gone.mp4?sig=secret": ams.DownloadNotAccessible, "busy.mp4?sig=secret": ams.DownloadTransientError} {
		task := s.wait(s.submit("bad-"+file[:4], "AACGoodQualityAudio", in(file), "out"))
		if task.Error == nil || task.Error.Code != code || strings.Contains(task.Error.Message, "secret") {
			t.Errorf("%s: %+v", file, task.Error)
		}
	}
}

type downloads func(ctx context.Context, raw string, to io.Writer) (int64, error)

func (f downloads) Download(ctx context.Context, raw string, to io.Writer) (int64, error) {
	return f(ctx, raw, to)
}

// TestWorkerCancel: a canceled task stops, and its asset stays empty.
func TestWorkerCancel(t *testing.T) {
	s := newService(t, jobqueue.Config{Heartbeat: 50 * time.Millisecond})
	s.run(s.worker("one"))
	s.asset("in", map[string]string{"film.mp4": film(t, "30", "160x90", "25")})
	out := s.asset("out", nil)
	j := s.submit("long", "H264MultipleBitrate1080p", assetInput("in"), "out")
	for c := range s.changes {
		if c.To == ams.Processing {
			break
		}
	}
	if err := s.account.CancelJob(t.Context(), j.Transform, j.Name); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	task := s.wait(j)
	if task.State != ams.Canceled {
		t.Errorf("state %s", task.State)
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("it took %v to cancel", took)
	}
	if left := s.files(out); left != nil {
		t.Errorf("%q is left", left)
	}
}

// TestWorkerAgain: a worker dies while it stores its outputs. The next one ends
// the task, and there is no second copy of anything.
func TestWorkerAgain(t *testing.T) {
	s := newService(t, jobqueue.Config{Lease: 300 * time.Millisecond, Heartbeat: 50 * time.Millisecond, Poll: 50 * time.Millisecond})
	s.asset("in", map[string]string{"film.mp4": film(t, "1", "320x180", "25")})
	out := s.asset("out", nil)
	j := s.submit("twice", "AdaptiveStreaming", assetInput("in"), "out")

	// A first attempt that stored some files under other names and then died.
	dead, err := s.queue.Claim(t.Context(), "dead")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"film_320x180_AACAudio_999.mp4", "film.ismc"} {
		if _, err := s.blobs.Put(t.Context(), out.StorageAccount, out.Container, name, strings.NewReader("half"), blob.PutOptions{
			Metadata: map[string]string{account.MadeByTask: dead.Task.ID, account.MadeByAttempt: fmt.Sprint(dead.Task.Attempt)}}); err != nil {
			t.Fatal(err)
		}
	}
	// A file of the user's own stays.
	if _, err := s.blobs.Put(t.Context(), out.StorageAccount, out.Container, "notes.txt", strings.NewReader("mine"), blob.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	s.run(s.worker("two"))
	task := s.wait(j)
	if task.State != ams.Finished || task.Attempt != 2 {
		t.Fatalf("%s at attempt %d: %v", task.State, task.Attempt, task.Error)
	}
	files := s.files(out)
	mp4s := 0
	for _, f := range files {
		if strings.HasSuffix(f, ".mp4") {
			mp4s++
		}
	}
	if mp4s != 2 || len(files) != 9 || !slices.Contains(files, "notes.txt") || slices.Contains(files, "film_320x180_AACAudio_999.mp4") {
		t.Errorf("the asset holds %q", files)
	}
	if err := s.queue.Finish(t.Context(), dead); !errors.Is(err, jobqueue.ErrLost) {
		t.Errorf("the dead worker finishes: %v", err)
	}
}

// TestWorkerStops: a server that stops gives its task back at once.
func TestWorkerStops(t *testing.T) {
	s := newService(t, jobqueue.Config{})
	s.asset("in", map[string]string{"film.mp4": film(t, "30", "160x90", "25")})
	out := s.asset("out", nil)
	j := s.submit("long", "H264MultipleBitrate1080p", assetInput("in"), "out")
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.worker("one").Run(ctx) }()
	for c := range s.changes {
		if c.To == ams.Processing {
			break
		}
	}
	stop()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the worker does not stop")
	}
	now, err := s.account.Job(t.Context(), j.Transform, j.Name)
	if err != nil || now.Tasks[0].State != ams.Queued {
		t.Errorf("the task is %s, %v", now.Tasks[0].State, err)
	}
	if left := s.files(out); left != nil {
		t.Errorf("%q is left", left)
	}
}

// TestWorkerUpload: if storing fails in the middle, nothing stays, and the task
// is tried again.
func TestWorkerUpload(t *testing.T) {
	s := newService(t, jobqueue.Config{Backoff: time.Millisecond, Poll: 20 * time.Millisecond})
	s.asset("in", map[string]string{"film.mp4": film(t, "1", "320x180", "25")})
	out := s.asset("out", nil)
	w := s.worker("one")
	full := &fullOnce{blobs: s.blobs}
	w.c.Blobs = full
	s.run(w)
	task := s.wait(s.submit("full", "AdaptiveStreaming", assetInput("in"), "out"))
	if task.State != ams.Finished || task.Attempt != 2 || !full.failed.Load() {
		t.Errorf("%s at attempt %d: %v", task.State, task.Attempt, task.Error)
	}
	if n := full.left.Load(); n != 0 {
		t.Errorf("%d files were left for the second attempt", n)
	}
	if files := s.files(out); len(files) != 8 {
		t.Errorf("outputs %q", files)
	}
}

// fullOnce is a store that is full when the third file comes, once.
type fullOnce struct {
	blobs
	puts   atomic.Int64
	failed atomic.Bool
	left   atomic.Int64 // files of the failed attempt when the next one starts
}

func (f *fullOnce) PutFile(ctx context.Context, account, container, name, path string, o blob.PutOptions) (*ams.Blob, error) {
	switch f.puts.Add(1) {
	case 3:
		f.failed.Store(true)
		return nil, ams.ErrStorageFull
	case 4:
		for range f.All(ctx, account, container, "") {
			f.left.Add(1)
		}
	}
	return f.blobs.PutFile(ctx, account, container, name, path, o)
}

// TestSweep: an attempt that was given up removes its own files only.
func TestSweep(t *testing.T) {
	s := newService(t, jobqueue.Config{})
	out := s.asset("out", nil)
	task := &ams.Task{ID: "11111111-1111-1111-1111-111111111111"}
	for name, meta := range map[string]map[string]string{
		"mine.mp4":  {account.MadeByTask: task.ID, account.MadeByAttempt: "1"},
		"next.mp4":  {account.MadeByTask: task.ID, account.MadeByAttempt: "2"},
		"other.mp4": {account.MadeByTask: "22222222-2222-2222-2222-222222222222", account.MadeByAttempt: "1"},
		"user.mp4":  nil,
	} {
		if _, err := s.blobs.Put(t.Context(), out.StorageAccount, out.Container, name, strings.NewReader("x"), blob.PutOptions{Metadata: meta}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.account.CreateFileInfos(t.Context(), out.ID); err != nil {
		t.Fatal(err)
	}
	w := s.worker("one")
	if err := w.sweep(t.Context(), task, out, madeBy(1)); err != nil {
		t.Fatal(err)
	}
	if got, want := s.files(out), []string{"next.mp4", "other.mp4", "user.mp4"}; !slices.Equal(got, want) {
		t.Errorf("after attempt 1: %q, want %q", got, want)
	}
	if err := w.sweep(t.Context(), task, out, nil); err != nil {
		t.Fatal(err)
	}
	if got, want := s.files(out), []string{"other.mp4", "user.mp4"}; !slices.Equal(got, want) {
		t.Errorf("after all: %q, want %q", got, want)
	}
	// What is recorded of them goes too: a later task would miss the blobs.
	recorded, err := s.account.AssetFiles(t.Context(), out)
	if err != nil || len(recorded) != 2 || recorded[0].Name != "other.mp4" {
		t.Errorf("%d files are recorded, %v", len(recorded), err)
	}
}
