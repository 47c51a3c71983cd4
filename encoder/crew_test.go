package encoder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/jobqueue"
)

// running counts the ffmpegs that this process has started.
func running(t *testing.T) (n int) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(all) == 0 {
		t.Skip("there is no /proc that lists processes")
	}
	for _, path := range all {
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) || err != nil {
			continue // it has ended
		}
		var parent int
		var state string
		text := string(b)
		if _, err := fmt.Sscan(text[strings.LastIndexByte(text, ')')+1:], &state, &parent); err == nil &&
			parent == os.Getpid() && strings.Contains(text, "(ffmpeg)") && state != "Z" {
			n++
		}
	}
	return n
}

// team starts two workers that share their chunks.
func (s *service) team() (chunks string) {
	chunks = filepath.Join(s.dir, "chunks")
	for _, name := range []string{"one", "two"} {
		w := s.worker(name)
		w.c.Lanes, w.c.Chunks, w.c.Share = 2, chunks, true
		w.c.Scratch = filepath.Join(s.dir, "scratch of "+name)
		w.scratch = filepath.Join(w.c.Scratch, name)
		s.run(w)
	}
	return chunks
}

// long is a film that a team is at for a while.
func long(t *testing.T) string {
	return clip(t, "long.mp4", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=60",
		"-f", "lavfi", "-i", "sine=duration=60", "-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-c:a", "aac")
}

// TestCancelChunks cancels a job while two workers encode its chunks: when the job
// is Canceled no process of it runs any more, and nothing of it is left.
func TestCancelChunks(t *testing.T) {
	film := long(t)
	for _, early := range []bool{false, true} {
		t.Run(fmt.Sprintf("early play %v", early), func(t *testing.T) {
			s := newService(t, jobqueue.Config{Poll: 50 * time.Millisecond})
			chunks := s.team()
			s.asset("in", map[string]string{"long.mp4": film})
			out := s.asset("out", nil)
			j := s.submitWith("j", "AdaptiveStreaming", assetInput("in"), "out", map[string]string{earlyPlay: fmt.Sprint(early)})
			for running(t) < 4 || early && len(s.files(out)) == 0 { // two lanes of two workers
				select {
				case c := <-s.changes:
					if c.To.Final() {
						t.Fatalf("the task ended %s before it was canceled", c.To)
					}
				case <-time.After(5 * time.Millisecond):
				}
			}
			begin := time.Now()
			if err := s.account.CancelJob(t.Context(), j.Transform, j.Name); err != nil {
				t.Fatal(err)
			}
			task := s.wait(j)
			t.Logf("canceled in %v", time.Since(begin))
			if task.State != ams.Canceled {
				t.Errorf("the task ended %s", task.State)
			}
			if files := s.files(out); len(files) > 0 {
				t.Errorf("left in the asset: %q", files)
			}
			// The other worker stops at the same word, but nobody waits for it.
			for deadline := time.Now().Add(30 * time.Second); running(t) > 0; time.Sleep(5 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("%d ffmpegs run on", running(t))
				}
			}
			t.Logf("all processes had ended after %v", time.Since(begin))
			for deadline := time.Now().Add(30 * time.Second); len(list(t, chunks)) > 0; time.Sleep(5 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("chunks left: %q", list(t, chunks))
				}
			}
		})
	}
}

// TestProgress holds what an encode says of itself against what there is of it:
// never less, never more than the share of frames that are encoded, give or take
// the chunks that are under way.
func TestProgress(t *testing.T) {
	plan, srcs := chunked(t, "25", 41, Clip{})
	all := plan.chunks(srcs, How{Lanes: 2})
	kept := t.TempDir()
	last := 0.0
	_, err := EncodeAs(t.Context(), tools(t), plan, srcs, How{Lanes: 2, Dir: kept}, filepath.Join(t.TempDir(), "out"), func(p float64) {
		if p < last {
			t.Errorf("progress fell from %.1f to %.1f", last, p)
		}
		last = p
		done, _ := filepath.Glob(filepath.Join(kept, "*", "0*"))
		finished := 0.0
		for _, path := range done {
			if i, err := strconv.Atoi(filepath.Base(path)); err == nil {
				finished += float64(all[i].Frames)
			}
		}
		share := p / encodeShare * float64(plan.Video.Frames)
		if under := 2*float64(all[0].Frames) + 1; p < encodeShare && (share < finished-under || share > finished+under) {
			t.Errorf("%.1f %%: %.0f frames, %.0f are finished", p, share, finished)
		}
	})
	if err != nil || last != 100 {
		t.Errorf("%v at %.1f %%", err, last)
	}
}

// TestStages: the share of what comes after the first run of ffmpeg is its own.
func TestStages(t *testing.T) {
	plan, srcs := chunked(t, "25", 13, Clip{})
	plan.Report = true
	var seen []float64
	if _, err := EncodeAs(t.Context(), tools(t), plan, srcs, How{}, filepath.Join(t.TempDir(), "out"), func(p float64) { seen = append(seen, p) }); err != nil {
		t.Fatal(err)
	}
	between := 0
	for i, p := range seen {
		if i > 0 && p < seen[i-1] {
			t.Errorf("progress fell from %.1f to %.1f", seen[i-1], p)
		}
		if p > 71 && p < 95 {
			between++
		}
	}
	if between == 0 || seen[len(seen)-1] != 100 {
		t.Errorf("progress %.1f", seen)
	}
}

// TestTidy: chunks that nobody has come back to for a day go, those of a long
// encode stay.
func TestTidy(t *testing.T) {
	s := newService(t, jobqueue.Config{})
	w := s.worker("one")
	w.c.Chunks = filepath.Join(s.dir, "chunks")
	old := time.Now().Add(-2 * staleChunks)
	for task, made := range map[string]time.Time{"left": old, "busy": time.Now()} {
		mark := filepath.Join(w.c.Chunks, task, "mark")
		if err := os.MkdirAll(mark, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.Chtimes(mark, made, made), os.Chtimes(filepath.Dir(mark), old, old)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.tidy(); err != nil {
		t.Fatal(err)
	}
	if got := list(t, w.c.Chunks); len(got) != 1 || got[0] != "busy" {
		t.Errorf("left are %q", got)
	}
}
