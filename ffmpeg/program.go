package ffmpeg

import (
	"context"
	"io"
	"os/exec"
	"regexp"
	"strconv"
)

// A Program is one that does what ffmpeg cannot: it finds speech or faces. It
// comes from whoever runs the server, and is contained as ffmpeg is.
type Program struct {
	Path   string
	Args   []string
	Dir    string   // its working folder, its HOME and the place of its temporary files
	Reads  []string // files and folders that it may read besides those of the task
	Limits Limits

	// Progress is given what the program prints of its progress, in percent;
	// it may be nil, and is called by several goroutines.
	Progress func(percent float64)
}

// Do runs a program and waits for it. The error is an *Error if it failed, a
// *LimitError if it took too long, ctx's error if ctx ended first.
func (t Tools) Do(ctx context.Context, p Program) error {
	t.Limits = p.Limits
	for _, path := range p.Reads {
		t.Confine.Read(path)
	}
	t.prepare = func(cmd *exec.Cmd) {
		cmd.Dir = p.Dir
		cmd.Env = append(cmd.Env, "HOME="+p.Dir, "TMPDIR="+p.Dir)
		if p.Progress != nil {
			cmd.Stderr = io.MultiWriter(cmd.Stderr, &progressFinder{report: p.Progress})
		}
	}
	return t.stream(ctx, p.Path, p.Args, func(r io.Reader) error {
		if p.Progress == nil {
			return nil
		}
		_, err := io.Copy(&progressFinder{report: p.Progress}, r)
		return err
	})
}

// progressFinder looks for "progress = 45%", in any spelling, in what a program
// prints. whisper.cpp and many others write it so.
type progressFinder struct {
	report func(float64)
	line   []byte
}

var progressLine = regexp.MustCompile(`(?i)progress\W{1,4}(\d{1,3}(?:\.\d{1,6})?)`)

// maxLine bounds the line that is looked at.
const maxLine = 1 << 10

func (f *progressFinder) Write(p []byte) (int, error) {
	for _, c := range p {
		if c != '\n' && c != '\r' {
			if len(f.line) < maxLine {
				f.line = append(f.line, c)
			}
			continue
		}
		if m := progressLine.FindSubmatch(f.line); m != nil {
			if v, err := strconv.ParseFloat(string(m[1]), 64); err == nil && v <= 100 {
				f.report(v)
			}
		}
		f.line = f.line[:0]
	}
	return len(p), nil
}
