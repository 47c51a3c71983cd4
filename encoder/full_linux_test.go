package encoder

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/jobqueue"
)

// TestFullDisk: an encode that fills its disk fails in a way that may pass, leaves
// nothing, neither in the asset nor on the disk, and the next one works.
func TestFullDisk(t *testing.T) {
	small := t.TempDir()
	if err := unix.Mount("tmpfs", small, "tmpfs", 0, "size=700k"); err != nil {
		t.Skipf("a small disk cannot be mounted: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(small, unix.MNT_DETACH) })
	s := newService(t, jobqueue.Config{Attempts: 1})
	w := NewWorker(WorkerConfig{Name: "one", Queue: s.queue, Assets: s.server, Blobs: s.server.ClearBlobs(), Tools: tools(t), Scratch: small})
	s.run(w)
	s.asset("large", map[string]string{"large.mp4": film(t, "20", "640x360", "25")})
	s.asset("little", map[string]string{"little.mp4": film(t, "1", "160x90", "25")})
	out := s.asset("out", nil)
	task := s.wait(s.submit("large", "AdaptiveStreaming", assetInput("large"), "out"))
	if task.Error == nil || task.Error.Code != ams.ServiceTransientError || !strings.Contains(task.Error.Message, "ran out of disk space") {
		t.Errorf("%s %v", task.State, task.Error)
	}
	if left := s.files(out); left != nil {
		t.Errorf("%q is left", left)
	}
	if left, err := os.ReadDir(filepath.Join(small, "one")); err != nil || len(left) > 0 {
		t.Errorf("the disk holds %v, %v", left, err)
	}
	if task := s.wait(s.submit("little", "AdaptiveStreaming", assetInput("little"), "out")); task.State != ams.Finished {
		t.Errorf("the next one: %s %v", task.State, task.Error)
	}
}
