package e2e

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	media "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/mediaservices/armmediaservices/v3"

	"github.com/openams/openams/catalog/catalogtest"
)

// A worker is a process that encodes for a server.
type worker struct {
	cmd *exec.Cmd
	log *syncBuffer
}

// startWorker starts one that works for s, whose database env names.
func startWorker(t testing.TB, s *server, env []string, args ...string) *worker {
	t.Helper()
	w := &worker{exec.Command(binary, append([]string{"serve", "--role", "worker", "--shared", s.dir, "--workers", "1",
		"--data", filepath.Join(t.TempDir(), "worker")}, args...)...), new(syncBuffer)}
	w.cmd.Env = append(os.Environ(), env...)
	w.cmd.Stdout, w.cmd.Stderr = w.log, w.log
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.cmd.Process.Signal(syscall.SIGTERM)
		w.cmd.Wait()
		if t.Failed() {
			t.Logf("worker log:\n%s", w.log)
		}
	})
	return w
}

// said waits until a worker has logged what, and returns the first that has.
func said(t testing.TB, what string, workers ...*worker) *worker {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		for _, w := range workers {
			if strings.Contains(w.log.String(), what) {
				return w
			}
		}
	}
	t.Fatalf("no worker says %q within two minutes", what)
	return nil
}

// TestChunksOnThreeWorkers has three worker processes encode one job on a
// PostgreSQL database, and kills one that helps and the one that has the task. The
// third finishes the job: no chunk that was finished is made again, each of the
// dead has lost one at most, and the outputs are those of an undisturbed encode to
// the byte.
func TestChunksOnThreeWorkers(t *testing.T) {
	t.Parallel()
	env := []string{"OPENAMS_DATABASE=" + catalogtest.StartPostgres(t).Database(t)}
	s := startWith(t, "", env, "--workers", "0")
	c := newSDK(t, s, s.ClientID, s.ClientSecret)
	c.createAsset(t, "in")
	c.upload(t, "in", clip(t, "film.mp4", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=45",
		"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=45",
		"-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-pix_fmt", "yuv420p", "-c:a", "aac"))
	c.createTransform(t, "abr", media.EncoderNamedPresetAdaptiveStreaming)
	var workers []*worker
	for range 3 {
		workers = append(workers, startWorker(t, s, env, "--lanes", "1"))
	}
	for _, w := range workers {
		said(t, `"msg":"working"`, w)
	}
	c.createAsset(t, "out")
	c.submit(t, "abr", "j", "in", "out")
	owner := said(t, "task started", workers...)
	helpers := slices.DeleteFunc(slices.Clone(workers), func(w *worker) bool { return w == owner })
	helper := said(t, "chunk finished", helpers...)
	kill := func(w *worker) {
		t.Helper()
		if err := w.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		w.cmd.Wait()
	}
	kill(helper)
	if strings.Contains(owner.log.String(), "task finished") {
		t.Fatal("the task was finished before its workers could be killed: take a longer clip")
	}
	kill(owner)
	finished, unfinished := chunkFolders(t, s)
	if len(finished) == 0 || len(finished) >= 11 {
		t.Fatalf("%d chunks were finished when the workers were killed", len(finished))
	}
	if len(unfinished) > 3 {
		t.Errorf("%d chunks were under way on three workers of one lane each", len(unfinished))
	}
	third := slices.DeleteFunc(helpers, func(w *worker) bool { return w == helper })[0]
	said(t, "task started", third)
	again := map[string]os.FileInfo{}
	for !strings.Contains(third.log.String(), "task finished") {
		now, _ := chunkFolders(t, s)
		for name, info := range now {
			again[name] = info
		}
		if strings.Contains(third.log.String(), "without outputs") {
			t.Fatal("the task failed")
		}
		time.Sleep(10 * time.Millisecond)
	}
	for name, info := range finished {
		if !os.SameFile(info, again[name]) {
			t.Errorf("%s was finished, and made again", name)
		}
	}
	if job := c.await(t, "abr", "j", time.Minute); *job.Properties.State != media.JobStateFinished {
		t.Fatalf("the job ended %s", *job.Properties.State)
	}
	if left, other := chunkFolders(t, s); len(left)+len(other) > 0 {
		t.Errorf("chunks left behind: %v %v", left, other)
	}

	c.createAsset(t, "alone")
	c.submit(t, "abr", "k", "in", "alone")
	if job := c.await(t, "abr", "k", 5*time.Minute); *job.Properties.State != media.JobStateFinished {
		t.Fatalf("the second job ended %s", *job.Properties.State)
	}
	got, want := sums(t, c, "out"), sums(t, c, "alone")
	if len(want) < 2 || got != want {
		t.Errorf("the outputs differ from those of one worker:\n%s\n%s", got, want)
	}
	paths := c.publish(t, "l", "out", "Predefined_ClearStreamingOnly")
	if read := packets(t, s.StreamingEndpoint+paths["Hls"][0]); !strings.Contains(read, "h264,1125") {
		t.Errorf("ffprobe read %s", read)
	}
}

// chunkFolders are the folders of chunks on the disk of a server, and those that
// are not finished.
func chunkFolders(t *testing.T, s *server) (finished map[string]os.FileInfo, unfinished []string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(s.dir, "cache", "chunks", "*", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	finished = map[string]os.FileInfo{}
	for _, path := range all {
		name := filepath.Base(path)
		info, err := os.Stat(path)
		if err != nil || !info.IsDir() {
			continue
		}
		if strings.HasPrefix(name, "unfinished") {
			unfinished = append(unfinished, name)
		} else {
			finished[name] = info
		}
	}
	return finished, unfinished
}

// sums are the names and hashes of the MP4s of an asset.
func sums(t *testing.T, c *sdk, asset string) string {
	t.Helper()
	a, err := c.assets.Get(t.Context(), c.ResourceGroup, c.AccountName, asset, nil)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, name := range c.blobs(t, asset) {
		if !strings.HasSuffix(name, ".mp4") {
			continue
		}
		res, err := c.storage(t).DownloadStream(t.Context(), *a.Properties.Container, name, nil)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.New()
		_, err = io.Copy(sum, res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&text, "%s %x\n", name, sum.Sum(nil))
	}
	return text.String()
}
