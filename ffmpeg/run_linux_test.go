package ffmpeg

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestKilledWithParent starts this test binary again as a parent of ffmpeg,
// kills it, and sees ffmpeg go.
func TestKilledWithParent(t *testing.T) {
	if os.Getenv("FFMPEG_TEST_PARENT") != "" {
		args := []string{"-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25", "-f", "null", "-metadata", "title=" + os.Getenv("FFMPEG_TEST_PARENT"), "-"}
		tools(t).Run(t.Context(), args, func(Progress) { os.Stdout.WriteString("running\n") })
		return
	}
	mark := "orphan-" + strconv.Itoa(os.Getpid())
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledWithParent$")
	cmd.Env = append(os.Environ(), "FFMPEG_TEST_PARENT="+mark)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "running\n" {
		t.Fatalf("the parent says %q, %v", line, err)
	}
	pids := having(t, "title="+mark)
	if len(pids) != 1 {
		t.Fatalf("children %v", pids)
	}
	fd, err := unix.PidfdOpen(pids[0], 0)
	if err != nil {
		t.Skipf("this kernel cannot watch a process: %v", err)
	}
	defer unix.Close(fd)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	watch := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}} // readable once the process has ended
	for {
		n, err := unix.Poll(watch, 10_000)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n != 1 {
			t.Errorf("ffmpeg outlived its parent by 10 s: %v", err)
			unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		}
		return
	}
}

// having lists the processes with the given argument.
func having(t *testing.T, arg string) (pids []int) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(files) == 0 {
		t.Skip("no /proc to look into")
	}
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil && slices.Contains(strings.Split(string(b), "\x00"), arg) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(f)))
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

// TestRunStall: an ffmpeg that neither moves nor ends is killed.
func TestRunStall(t *testing.T) {
	script := func(text string) string {
		path := filepath.Join(t.TempDir(), "ffmpeg")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	err := Tools{FFmpeg: script("echo frame=1\necho progress=continue\nexec sleep 1000\n"), Stall: 200 * time.Millisecond}.Run(t.Context(), nil, nil)
	if e, ok := errors.AsType[*StallError](err); !ok || e.After != 200*time.Millisecond {
		t.Errorf("a hanging ffmpeg: %v", err)
	}
	// What counts as a move.
	for _, tt := range []struct {
		blocks string
		moves  int
	}{
		{"frame=0\nprogress=continue\nframe=0\nprogress=continue\n", 0},
		{"frame=1\nprogress=continue\nframe=1\nprogress=continue\nframe=2\nprogress=end\n", 2},
		{"total_size=N/A\nprogress=continue\ntotal_size=5\nprogress=continue\n", 1},
		{"out_time_us=40000\nprogress=continue\nout_time_us=40000\nprogress=continue\n", 1},
	} {
		moves := 0
		if err := readProgress(strings.NewReader(tt.blocks), nil, func() { moves++ }); err != nil || moves != tt.moves {
			t.Errorf("%q: %d moves, %v, want %d", tt.blocks, moves, err, tt.moves)
		}
	}
}
