package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	media "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/mediaservices/armmediaservices/v3"

	"github.com/openams/openams/catalog/catalogtest"
)

// TestThreeWorkersOneKilled runs a server and three worker processes on one
// PostgreSQL database, kills a worker that is at work, and expects every job
// to end Finished, once.
func TestThreeWorkersOneKilled(t *testing.T) {
	t.Parallel()
	database := catalogtest.StartPostgres(t).Database(t)
	env := []string{"OPENAMS_DATABASE=" + database}
	s := startWith(t, "", env, "--workers", "0")
	c := newSDK(t, s, s.ClientID, s.ClientSecret)
	c.createAsset(t, "in")
	c.upload(t, "in", clip(t, "many.mp4", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=20",
		"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"))
	c.createTransform(t, "abr", media.EncoderNamedPresetAdaptiveStreaming)
	const jobs = 5
	for i := range jobs {
		out := fmt.Sprintf("out-%d", i)
		c.createAsset(t, out)
		c.submit(t, "abr", fmt.Sprintf("j%d", i), "in", out)
	}

	var workers []*worker
	for range 3 {
		workers = append(workers, startWorker(t, s, env))
	}
	victim := -1
	for deadline := time.Now().Add(time.Minute); victim < 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no worker took a task within a minute")
		}
		for i, w := range workers {
			if log := w.log.String(); strings.Contains(log, "task started") && !strings.Contains(log, "task finished") {
				victim = i
			}
		}
	}
	if err := workers[victim].cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for i := range jobs {
		job := c.await(t, "abr", fmt.Sprintf("j%d", i), 5*time.Minute)
		if *job.Properties.State != media.JobStateFinished {
			t.Errorf("job %d ended %s", i, *job.Properties.State)
		}
		var manifests int
		for _, name := range c.blobs(t, fmt.Sprintf("out-%d", i)) {
			if strings.HasSuffix(name, ".ism") {
				manifests++
			}
		}
		if manifests != 1 {
			t.Errorf("job %d has %d server manifests, want 1", i, manifests)
		}
	}
	finished := 0
	for _, w := range workers {
		finished += strings.Count(w.log.String(), "task finished")
	}
	if finished != jobs {
		t.Errorf("the workers finished %d tasks of %d jobs", finished, jobs)
	}
	paths := c.publish(t, "l", "out-0", "Predefined_ClearStreamingOnly")
	packets(t, s.StreamingEndpoint+paths["Hls"][0])
}
