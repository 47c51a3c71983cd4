package ffmpeg

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// script is a program of a few lines.
func script(t *testing.T, text string) Program {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return Program{Path: path, Dir: t.TempDir(), Limits: Limits{Wall: time.Minute}}
}

func TestDo(t *testing.T) {
	t.Setenv("SECRET", "x")
	p := script(t, `echo "$1" "$SECRET" > out; test "$HOME" = "$PWD" || exit 1; echo 'progress = 25%'; printf 'whisper_print_progress_callback: progress =  50%%\rprogress: 75.5\n' >&2`)
	p.Args = []string{"a $b `c`"}
	var mu sync.Mutex
	var seen []float64
	p.Progress = func(v float64) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, v)
	}
	if err := tools(t).Do(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(p.Dir, "out")); string(b) != "a $b `c` \n" {
		t.Errorf("%q, %v", b, err)
	}
	slices.Sort(seen)
	if !slices.Equal(seen, []float64{25, 50, 75.5}) {
		t.Errorf("progress %v", seen)
	}
}

func TestDoFails(t *testing.T) {
	err := tools(t).Do(t.Context(), script(t, "echo first; echo why >&2; exit 65"))
	if e, ok := errors.AsType[*Error](err); !ok || e.Exit != 65 || strings.TrimSpace(e.Tail) != "why" {
		t.Errorf("%v", err)
	}
	p := script(t, "sleep 30 & sleep 30")
	p.Limits.Wall = 100 * time.Millisecond
	begin := time.Now()
	if _, ok := errors.AsType[*LimitError](tools(t).Do(t.Context(), p)); !ok || time.Since(begin) > 10*time.Second {
		t.Errorf("it ran on for %v", time.Since(begin))
	}
	ctx, cancel := context.WithCancel(t.Context())
	p = script(t, "echo progress 1; sleep 30")
	p.Progress = func(float64) { cancel() }
	if err := tools(t).Do(ctx, p); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	p = script(t, "sleep 0.3; head -c 100000 /dev/zero > out")
	p.Limits.File = 1000
	if err := tools(t).Do(t.Context(), p); err == nil {
		t.Error("it wrote more than it may")
	}
}
