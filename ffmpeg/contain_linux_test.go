package ffmpeg

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// apart reports whether this machine lets children have namespaces.
func apart(t *testing.T) bool {
	t.Helper()
	cmd := exec.Command("true")
	ownGroup(cmd, true)
	err := cmd.Run()
	if err != nil && !refused(err) {
		t.Fatal(err)
	}
	return err == nil
}

// program writes a shell script to stand in for ffmpeg.
func program(t *testing.T, text string) Tools {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ffmpeg")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return Tools{FFmpeg: path}
}

// TestUnprivileged: a child has no capabilities, cannot get any, and knows nothing
// of this process's environment that it need not.
func TestUnprivileged(t *testing.T) {
	t.Setenv("OPENAMS_DATABASE", "postgres://user:s3cret@db/")
	tools := program(t, "cat /proc/self/status; env")
	out, err := tools.output(t.Context(), tools.FFmpeg)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"NoNewPrivs:\t1\n", "PATH="}
	if apart(t) {
		want = append(want, "CapEff:\t0000000000000000\n")
	}
	for _, w := range want {
		if !strings.Contains(string(out), w) {
			t.Errorf("no %q in\n%s", w, out)
		}
	}
	if strings.Contains(string(out), "s3cret") || strings.Contains(string(out), "OPENAMS") {
		t.Errorf("the child sees\n%s", out)
	}
	// This process keeps what it has.
	own, err := os.ReadFile("/proc/self/status")
	if err != nil || !strings.Contains(string(own), "NoNewPrivs:\t0\n") {
		t.Errorf("%v\n%s", err, own)
	}
}

// TestNoNetwork: even an ffmpeg that is told to cannot reach anybody.
func TestNoNetwork(t *testing.T) {
	if !apart(t) {
		t.Skip("this machine allows no namespaces")
	}
	var hits atomic.Int64
	web := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	defer web.Close()
	err := tools(t).Run(t.Context(), []string{"-i", web.URL + "/film.mp4", "-f", "null", "-"}, nil)
	if e, ok := errors.AsType[*Error](err); !ok || !strings.Contains(e.Tail, "Network is unreachable") || hits.Load() != 0 {
		t.Errorf("%v, %d requests", err, hits.Load())
	}
}

// TestConfine: a confined run reads its inputs and writes where it may, and
// nothing else.
func TestConfine(t *testing.T) {
	if landlock() == 0 {
		t.Skip("this kernel has no Landlock")
	}
	film := clip(t, "film.mp4", "-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25:duration=1", "-c:v", "libx264")
	other := filepath.Join(t.TempDir(), "other.mp4")
	if err := exec.Command("cp", film, other).Run(); err != nil {
		t.Fatal(err)
	}
	dir, outside := t.TempDir(), t.TempDir()
	tools := tools(t)
	tools.Confine = new(Confinement)
	tools.Confine.Read(film)
	tools.Confine.Write(filepath.Join(dir, "later"))
	into := func(in, out string) error {
		return tools.Run(t.Context(), slices.Concat([]string{"-y"}, Input(in), []string{"-c:v", "libx264", "-f", "mp4", File(out)}), nil)
	}
	if err := into(film, filepath.Join(dir, "later", "out.mp4")); err == nil {
		t.Error("it wrote into a folder that is not there")
	}
	if err := os.Mkdir(filepath.Join(dir, "later"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := into(film, filepath.Join(dir, "later", "out.mp4")); err != nil {
		t.Error(err)
	}
	if _, err := tools.Probe(t.Context(), film); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"read another file":     into(other, filepath.Join(dir, "later", "out.mp4")),
		"write elsewhere":       into(film, filepath.Join(outside, "out.mp4")),
		"read /etc/passwd":      into("/etc/passwd", filepath.Join(dir, "later", "out.mp4")),
		"read this process's /": into("/proc/self/environ", filepath.Join(dir, "later", "out.mp4")),
	} {
		if e, ok := errors.AsType[*Error](err); !ok || !strings.Contains(e.Tail, "Permission denied") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// This process is as free as before, on whatever thread.
	for range 50 {
		if _, err := os.ReadFile(other); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLimits: memory, processor time, time and file size are bounded.
func TestLimits(t *testing.T) {
	endless := []string{"-f", "lavfi", "-i", "nullsrc=size=1920x1080:rate=25", "-vf", "geq=random(1)*255:128:128", "-f", "null", "-"}
	for name, tt := range map[string]struct {
		limits Limits
		args   []string
		ok     func(error) bool
	}{
		"memory": {Limits{Memory: 64 << 20}, []string{"-f", "lavfi", "-i", "testsrc2=size=1920x1080:rate=25:duration=1", "-c:v", "libx264", "-f", "null", "-"}, func(err error) bool {
			e, ok := errors.AsType[*Error](err)
			return ok && e.OutOfMemory()
		}},
		"processor": {Limits{CPU: time.Second}, endless, func(err error) bool {
			e, ok := errors.AsType[*Error](err)
			return ok && e.Exit == -1
		}},
		"time": {Limits{Wall: 300 * time.Millisecond}, endless, func(err error) bool {
			e, ok := errors.AsType[*LimitError](err)
			return ok && e.After == 300*time.Millisecond
		}},
		"file": {Limits{File: 64 << 10}, []string{"-y", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=4", "-c:v", "mpeg2video", "-q:v", "2", "-f", "mpegts", File(filepath.Join(t.TempDir(), "out.ts"))}, func(err error) bool {
			return err != nil
		}},
	} {
		tools := tools(t)
		tools.Limits, tools.Stall = tt.limits, 20*time.Second
		if err := tools.Run(t.Context(), tt.args, nil); !tt.ok(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDoConfined: a program of the server's owner sees what it is given, and no
// other file.
func TestDoConfined(t *testing.T) {
	if landlock() == 0 {
		t.Skip("this kernel has no Landlock")
	}
	dir := t.TempDir()
	for _, name := range []string{"model", "secret"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := script(t, `cat "$1" > model && ! cat "$2" > secret 2>/dev/null && ! echo x > "$1"`)
	p.Args = []string{filepath.Join(dir, "model"), filepath.Join(dir, "secret")}
	p.Reads = p.Args[:1]
	tl := tools(t)
	tl.Confine = new(Confinement)
	tl.Confine.Write(p.Dir)
	if err := tl.Do(t.Context(), p); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]string{"model": "model", "secret": ""} {
		if b, err := os.ReadFile(filepath.Join(p.Dir, name)); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
}
