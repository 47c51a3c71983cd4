package ffmpeg

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Progress is how far a run of ffmpeg has come.
type Progress struct {
	Time  time.Duration // of the output made so far; never falls
	Frame int64         // frames of the first video output so far
}

// An Error is a run of ffmpeg or ffprobe that did not succeed.
type Error struct {
	Program string // base name of the program
	Exit    int    // exit status; -1 if a signal ended it
	Tail    string // the end of what it printed to stderr, at most 8 KiB
}

// Error returns what the program said last.
func (e *Error) Error() string {
	said := e.Cause()
	if said == "" {
		said = "no message"
	}
	return fmt.Sprintf("%s: exit status %d: %s", e.Program, e.Exit, said)
}

// Cause returns the first line of Tail that names a reason, without the address
// of the object that printed it.
func (e *Error) Cause() string {
	for line := range strings.Lines(e.Tail) {
		if line = plain(line); line != "" {
			return line
		}
	}
	return ""
}

// Lacks names what this build of ffmpeg does not have and was asked for,
// "encoder libx265"; empty if it failed for another reason.
func (e *Error) Lacks() string {
	for _, k := range []struct{ said, kind string }{{"Unknown encoder '", "encoder "}, {"No such filter: '", "filter "}} {
		if _, rest, ok := strings.Cut(e.Tail, k.said); ok {
			name, _, _ := strings.Cut(rest, "'")
			return k.kind + name
		}
	}
	return ""
}

// OutOfMemory reports whether the program had no memory left, of the machine's or
// of its limit.
func (e *Error) OutOfMemory() bool {
	return strings.Contains(e.Tail, "Cannot allocate memory") || strings.Contains(e.Tail, "malloc of size")
}

// plain strips "[h264 @ 0x55…] " from a line of the log, and drops lines that
// say nothing on their own.
func plain(line string) string {
	line = strings.TrimSpace(line)
	for strings.HasPrefix(line, "[") {
		_, rest, ok := strings.Cut(line, "] ")
		if !ok {
			return ""
		}
		line = rest
	}
	if strings.HasPrefix(line, "Last message repeated") {
		return ""
	}
	return strings.TrimSuffix(line, ".")
}

// Run runs ffmpeg with the given arguments and waits for it. onProgress, which
// may be nil, is called about twice a second, by the goroutine that called Run.
// The error is an *Error if ffmpeg failed, a *StallError if it had to be killed
// because nothing moved any more, ctx's error if ctx ended first.
//
// An exit status of 0 does not mean that the output is whole: ffmpeg also exits
// with 0 after many kinds of damage unless told otherwise (-xerror).
func (t Tools) Run(ctx context.Context, args []string, onProgress func(Progress)) error {
	args = append([]string{"-hide_banner", "-nostdin", "-v", "error", "-progress", "pipe:1", "-stats_period", "0.5"}, args...)
	if t.Stall <= 0 {
		return t.stream(ctx, t.FFmpeg, args, func(r io.Reader) error {
			return readProgress(r, onProgress, nil)
		})
	}
	watched, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stall := time.AfterFunc(t.Stall, func() { cancel(&StallError{After: t.Stall}) })
	defer stall.Stop()
	err := t.stream(watched, t.FFmpeg, args, func(r io.Reader) error {
		return readProgress(r, onProgress, func() { stall.Reset(t.Stall) })
	})
	if e, ok := context.Cause(watched).(*StallError); ok && ctx.Err() == nil && err != nil {
		return e
	}
	return err
}

// A StallError is a run of ffmpeg that was killed because nothing moved.
type StallError struct{ After time.Duration }

func (e *StallError) Error() string { return fmt.Sprintf("ffmpeg made no progress for %v", e.After) }

// readProgress reads key=value lines, blocks of which end with progress=. It
// calls moved, which may be nil, for each block that tells of more output than
// the one before.
func readProgress(r io.Reader, report func(Progress), moved func()) error {
	var p, last Progress
	var size, lastSize int64
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), "=")
		switch key {
		case "frame":
			if n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64); err == nil {
				p.Frame = max(p.Frame, n)
			}
		case "out_time_us": // N/A before the first packet
			if us, err := strconv.ParseInt(value, 10, 64); err == nil && us < int64(maxDuration/time.Microsecond) {
				p.Time = max(p.Time, time.Duration(us)*time.Microsecond)
			}
		case "total_size":
			if n, err := strconv.ParseInt(value, 10, 64); err == nil {
				size = n
			}
		case "progress":
			if moved != nil && (p != last || size != lastSize) {
				moved()
			}
			last, lastSize = p, size
			if report != nil {
				report(p)
			}
		}
	}
	return lines.Err()
}

// maxOutput bounds what output returns.
const maxOutput = 16 << 20

// output runs a program and returns what it printed to stdout.
func (t Tools) output(ctx context.Context, program string, args ...string) ([]byte, error) {
	var out bytes.Buffer
	err := t.stream(ctx, program, args, func(r io.Reader) error {
		n, err := out.ReadFrom(io.LimitReader(r, maxOutput))
		if err == nil && n == maxOutput {
			err = fmt.Errorf("%s printed more than %d bytes", program, maxOutput)
		}
		return err
	})
	return out.Bytes(), err
}

// A LimitError is a run that was stopped because it took longer than it may.
type LimitError struct {
	Program string
	After   time.Duration
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("%s ran for %v, which is all that it may", e.Program, e.After)
}

// stream runs a program and hands its stdout to read, which may stop early: the
// rest is discarded.
func (t Tools) stream(ctx context.Context, program string, args []string, read func(io.Reader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	limited, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if t.Limits.Wall > 0 {
		clock := time.AfterFunc(t.Limits.Wall, func() { cancel(&LimitError{base(program), t.Limits.Wall}) })
		defer clock.Stop()
	}
	stderr := &tail{limit: 8 << 10}
	started := time.Now()
	cmd, stdout, let, err := t.launch(limited, program, args, stderr)
	if err != nil {
		return err
	}
	defer let()
	readErr := read(stdout)
	io.Copy(io.Discard, stdout) // a full pipe would stop the program
	err = cmd.Wait()
	if t.Observe != nil && cmd.ProcessState != nil {
		state := cmd.ProcessState
		t.Observe(Ran{Program: base(program), Args: args, Started: started, Took: time.Since(started),
			CPU: state.UserTime() + state.SystemTime(), Exit: state.ExitCode(), Log: stderr.String()})
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if e, ok := context.Cause(limited).(*LimitError); ok && err != nil {
		return e
	}
	if exit, ok := err.(*exec.ExitError); ok {
		return &Error{Program: base(program), Exit: exit.ExitCode(), Tail: stderr.String()}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", base(program), err)
	}
	return readErr
}

// onOwnThread runs f on a thread that ends with it, and is not the process's
// first one, which stands for the process and cannot end.
func onOwnThread(f func()) {
	go func() {
		runtime.LockOSThread()
		if !firstThread() {
			f()
			return // without unlocking: the thread ends
		}
		away := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(away)
			f()
		}()
		<-away
		runtime.UnlockOSThread()
	}()
}

// launch starts a program, in namespaces of its own if that is allowed, on a
// thread that has lost rights and is never used for anything else. The kernel
// kills the child when that thread ends, so let is to be called once the child
// has been waited for, not before.
func (t Tools) launch(ctx context.Context, program string, args []string, stderr io.Writer) (cmd *exec.Cmd, stdout io.ReadCloser, let func(), err error) {
	for _, apart := range []bool{true, false} {
		cmd = exec.CommandContext(ctx, program, args...)
		cmd.Stderr = stderr
		cmd.Env = environment()
		cmd.WaitDelay = time.Second // for the pipes, should a grandchild hold them
		ownGroup(cmd, apart)
		cmd.Cancel = func() error { return killGroup(cmd.Process) }
		if t.prepare != nil {
			t.prepare(cmd)
		}
		if stdout, err = cmd.StdoutPipe(); err != nil {
			return nil, nil, nil, err
		}
		began, done := make(chan error), make(chan struct{})
		onOwnThread(func() {
			err := restrict(t.Confine, program)
			if err == nil {
				err = cmd.Start()
			}
			began <- err
			<-done
		})
		let = sync.OnceFunc(func() { close(done) })
		if err = <-began; err == nil {
			break
		}
		let()
		if !apart || !refused(err) {
			return nil, nil, nil, fmt.Errorf("%s: %w", base(program), err)
		}
	}
	if err := limit(cmd.Process, t.Limits); err != nil {
		// It may have ended already; else it must not run without.
		if killGroup(cmd.Process) == nil {
			io.Copy(io.Discard, stdout)
			cmd.Wait()
			let()
			return nil, nil, nil, fmt.Errorf("%s cannot be limited: %w", base(program), err)
		}
	}
	if t.Nice != 0 && program == t.FFmpeg {
		lower(cmd.Process, t.Nice)
	}
	return cmd, stdout, let, nil
}

func base(program string) string { return program[strings.LastIndexByte(program, os.PathSeparator)+1:] }

// tail keeps the last bytes written to it, from the start of a line.
type tail struct {
	limit int

	mu  sync.Mutex
	buf []byte
	cut bool
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p[max(0, len(p)-t.limit):]...)
	if extra := len(t.buf) - t.limit; extra > 0 {
		t.buf = append(t.buf[:0], t.buf[extra:]...)
		t.cut = true
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.buf
	if i := bytes.IndexByte(b, '\n'); t.cut && i >= 0 {
		b = b[i+1:]
	}
	return strings.ToValidUTF8(string(b), "?")
}
