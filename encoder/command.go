package encoder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/encoder/analysis"
	"github.com/openams/openams/ffmpeg"
)

// Commands are the programs, with their arguments, that do what ffmpeg cannot:
// docs/plugins.md tells how each is called. One that is nil is not configured,
// and what needs it is refused when it is submitted.
type Commands struct {
	Speech     []string // speech to text, called as whisper.cpp's whisper-cli
	Faces      []string
	Text       []string // in pictures
	Motion     []string
	Moderation []string

	Reads   []string      // files and folders that they may read: models, libraries
	Timeout time.Duration // of one call; 0: DefaultTimeout
	Memory  int64         // bytes that each may use; 0: as much as ffmpeg
}

// DefaultTimeout is how long a command may take for one file.
const DefaultTimeout = 6 * time.Hour

// A need is a command that a task cannot do without, by the setting that names
// it.
type need string

const (
	speechCommand     need = "speech-command"
	facesCommand      need = "faces-command"
	textCommand       need = "ocr-command"
	motionCommand     need = "motion-command"
	moderationCommand need = "moderation-command"
)

func (c *Commands) of(n need) []string {
	switch n {
	case speechCommand:
		return c.Speech
	case facesCommand:
		return c.Faces
	case textCommand:
		return c.Text
	case motionCommand:
		return c.Motion
	case moderationCommand:
		return c.Moderation
	}
	return nil
}

// missing is an error that names who asks and the setting, unless all needs are
// there.
func (c *Commands) missing(who string, needs []need) error {
	for _, n := range needs {
		if c.of(n) == nil {
			return ams.Errorf(ams.Unsupported, "'%s' needs a program that this server does not have: whoever runs it can name one by the setting '%s'.", who, n)
		}
	}
	return nil
}

// Supported returns an Unsupported or Invalid error, which names the preset, the
// property or the command that is missing, unless a worker with these commands
// can run p. A job with such a preset is to be refused when it is submitted.
func (c *Commands) Supported(p ams.Preset) error {
	proc := processorOf(p.Type)
	if proc == nil || !proc.v3 {
		return Supported(p)
	}
	needs, err := proc.check(p)
	if err != nil {
		return err
	}
	return c.missing(p.Type, needs)
}

// TaskPreset returns the preset that a v2 task of a processor stands for, with
// its configuration and so many input and output assets. The error names what
// this server cannot do; a job with such a task is to be refused when it is
// submitted.
func (c *Commands) TaskPreset(processor, configuration string, inputs, outputs int) (ams.Preset, error) {
	p, err := newTaskPreset(processor, configuration, inputs, outputs)
	if err != nil {
		return p, err
	}
	if proc := processorOf(p.Type); proc != nil && proc.check != nil {
		needs, err := proc.check(p)
		if err == nil {
			err = c.missing(processor, needs)
		}
		return p, err
	}
	return p, nil
}

// maxWritten is the largest file that a command may write.
const maxWritten = 16 << 30

// dataError is the exit status by which a command says that the media is at
// fault, not itself (EX_DATAERR of sysexits.h). What it printed last is for the
// user.
const dataError = 65

// call runs a command in a folder of its own, below dir, and returns that.
func (w *Worker) call(ctx context.Context, n need, dir, source string, arguments func(folder string) []string, progress func(part float64)) (folder string, err error) {
	command := w.c.Commands.of(n)
	if command == nil { // the server was set up otherwise when the job was submitted
		return "", jobErrorf(ams.ConfigurationUnsupported, "This server has no program for this task any more: the setting '%s' names none.", n)
	}
	if folder, err = os.MkdirTemp(dir, string(n)); err != nil {
		return "", err
	}
	limits := w.c.Tools.Limits
	limits.File = maxWritten
	if limits.Wall = w.c.Commands.Timeout; limits.Wall == 0 {
		limits.Wall = DefaultTimeout
	}
	if m := w.c.Commands.Memory; m > 0 {
		limits.Memory = m
	}
	err = w.c.Tools.Do(ctx, ffmpeg.Program{
		Path: command[0], Args: append(slices.Clone(command[1:]), arguments(folder)...), Dir: folder, Limits: limits,
		Reads:    append(slices.Clone(w.c.Commands.Reads), command...), // arguments that are paths are meant to be read
		Progress: func(percent float64) { progress(percent / 100) },
	})
	if err == nil || ctx.Err() != nil {
		return folder, ctx.Err()
	}
	fail, failed := errors.AsType[*ffmpeg.Error](err)
	late, timedOut := errors.AsType[*ffmpeg.LimitError](err)
	switch {
	case failed && fail.Exit == dataError:
		return "", errors.Join(jobErrorf(ams.ContentUnsupported, "%q: %s.", source, strings.TrimSuffix(lastLine(fail.Tail), ".")), err)
	case failed:
		return "", errors.Join(jobErrorf(ams.ServiceError, "The program that the setting '%s' names failed for %q (exit status %d); the log of the server says why.", n, source, fail.Exit), err)
	case timedOut:
		return "", errors.Join(jobErrorf(ams.ServiceError, "The program that the setting '%s' names did not end within %v for %q.", n, late.After, source), err)
	}
	return "", err
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	last := []rune(strings.TrimSpace(lines[len(lines)-1]))
	if len(last) == 0 {
		return "it cannot be analysed"
	}
	return string(last[:min(len(last), 500)])
}

// readResult reads a file that a command wrote.
func readResult(path string, most int64) ([]byte, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file", filepath.Base(path))
	}
	if info.Size() > most {
		return nil, fmt.Errorf("%s has %d bytes, more than %d", filepath.Base(path), info.Size(), most)
	}
	return os.ReadFile(path)
}

// badResult is the error of a command that wrote nonsense.
func badResult(n need, err error) error {
	return errors.Join(jobErrorf(ams.ServiceError, "The program that the setting '%s' names wrote a result that cannot be used: %v.", n, err), err)
}

// A look is what a detector is asked, in its file of options.
type look struct {
	Version int             `json:"version"` // 1
	Task    string          `json:"task"`
	Video   lookVideo       `json:"video"`
	Options json.RawMessage `json:"options,omitempty"` // of the task
}

type lookVideo struct {
	Width     int     `json:"width"` // upright, in square pixels
	Height    int     `json:"height"`
	FrameRate float64 `json:"frameRate"`
	Duration  float64 `json:"duration"` // s, 0 if unknown
	Stream    int     `json:"stream"`   // index in the file
}

// detect has a command look at a video.
func (w *Worker) detect(ctx context.Context, n need, dir, task string, src *Source, options any, progress func(part float64)) (*analysis.Detections, error) {
	s := pickVideo(src.Info)
	raw, err := json.Marshal(options)
	if err != nil {
		return nil, err
	}
	width, height := s.DisplaySize()
	ask, err := json.MarshalIndent(look{Version: 1, Task: task, Options: raw, Video: lookVideo{
		Width: even(width), Height: even(height), FrameRate: frameRate(s).Float(), Duration: src.Info.Duration.Seconds(), Stream: s.Index,
	}}, "", "  ")
	if err != nil {
		return nil, err
	}
	const result = "result.json"
	folder, err := w.call(ctx, n, dir, src.Name, func(folder string) []string {
		at := filepath.Join(folder, "options.json")
		if err := os.WriteFile(at, ask, 0o600); err != nil {
			at = "" // the command will fail
		}
		return []string{task, src.Path, at, filepath.Join(folder, result)}
	}, progress)
	if err != nil {
		return nil, err
	}
	b, err := readResult(filepath.Join(folder, result), analysis.MaxDetections)
	if err != nil {
		return nil, badResult(n, err)
	}
	d, err := analysis.ParseDetections(b)
	if err != nil {
		return nil, badResult(n, err)
	}
	return d, nil
}
