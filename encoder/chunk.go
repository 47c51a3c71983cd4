package encoder

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/ffmpeg"
	"github.com/openams/openams/jobqueue"
	"github.com/openams/openams/packager/mp4"
)

// One ffmpeg that makes a ladder keeps fewer than two cores busy: its filters
// and muxers share a thread. So a long picture is cut into chunks of whole GOPs,
// each encoded by an ffmpeg of its own with one thread, several at a time, and
// joined. A chunk has the very frames that the whole would have there: reading
// starts half a frame early, which no rounding of times can undo, and counts
// frames from there.

// How says how a plan is carried out. The zero How means in one piece.
type How struct {
	Lanes int    // how many chunks are encoded at the same time; below 2: there are none
	Dir   string // where finished chunks are kept until the encode has ended, and found by the next attempt; empty: in the work folder

	// Of a plan that plays Early: Publish takes a file of the presentation that
	// grows, and may move it. Name tells its folders from those of other encodes
	// into the same asset.
	Publish func(ctx context.Context, f OutputFile) error
	Name    string

	// Share makes the crew that encodes the chunks, which begin with those that are
	// finished; nil: the lanes are alone.
	Share func(ctx context.Context, mark string, frames []int64, finished []bool) (crew, error)
}

// The length of chunks.
const (
	shortestChunk = 4 * time.Second
	longestChunk  = 30 * time.Second
	chunksPerLane = 5
)

// A chunk is a run of frames of the plan's picture.
type chunk struct {
	Start, Frames int64
	Last          bool // it goes to the end, wherever that is
}

// chunks cuts the plan's picture; nil if it has to be encoded in one piece: it is
// short, or what a frame looks like depends on frames far from it, or the source
// cannot be entered at any frame.
func (p *Plan) chunks(srcs []Source, how How) []chunk {
	v := p.Video
	if how.Lanes < 2 && how.Share == nil || v == nil || len(v.Parts) != 1 || v.Frames == 0 || len(v.Rungs) == 0 ||
		v.AsTimed || v.Overlays != nil || v.Fades != nil || v.Images != nil || p.Copies != nil {
		return nil
	}
	pic := v.Parts[0]
	if pic.Input < 0 || pic.Deinterlace != "" || p.Inputs[pic.Input].Loop || p.Inputs[pic.Input].Still != "" {
		return nil
	}
	info := srcs[pic.Input].Info
	if kind, _, _ := strings.Cut(info.Format, ","); kind != "mov" {
		return nil
	}
	for _, s := range info.Streams {
		if s.Index == pic.Stream && (s.VariableRate() || math.Abs(s.Rate.Float()-v.Rate.Float()) > 1e-9) {
			return nil
		}
	}
	gop := int64(v.Rungs[0].GOP)
	for _, r := range v.Rungs {
		if int64(r.GOP) != gop || r.Every != 0 || r.SceneCut || r.Codec == "av1" {
			return nil
		}
	}
	fps := v.Rate.Float()
	seconds := float64(v.Frames) / fps / float64(max(2, how.Lanes)*chunksPerLane)
	seconds = min(max(seconds, shortestChunk.Seconds()), longestChunk.Seconds())
	size := max(1, int64(math.Round(seconds*fps/float64(gop)))) * gop
	if v.Frames < 2*size {
		return nil
	}
	gops := (v.Frames + gop - 1) / gop
	n := min(gops, (v.Frames+size/2)/size)
	// The longer ones first, so that lanes end at about the same time.
	var all []chunk
	for i, start := int64(0), int64(0); i < n; i++ {
		c := chunk{Start: start, Frames: gops / n * gop, Last: i == n-1}
		if i < gops%n {
			c.Frames += gop
		}
		c.Frames = min(c.Frames, v.Frames-start)
		start += c.Frames
		all = append(all, c)
	}
	return all
}

// settled is how full a decoder's buffer is taken to be where a chunk starts. An
// encoder that takes it for full, as at the start of a film, spends it at once,
// and a film in chunks would be larger for it.
const settled = 0.5

// of is the plan of a chunk.
func (c chunk) of(p *Plan) *Plan {
	q, v := *p, *p.Video
	q.Video, q.Audio, q.Files = &v, nil, nil
	q.single = true
	pic := v.Parts[0]
	in := p.Inputs[pic.Input]
	at := func(frame float64) time.Duration { return time.Duration(frame / v.Rate.Float() * float64(time.Second)) }
	if c.Start > 0 {
		skip := pic.Origin + at(float64(c.Start)-0.5)
		in.Seek += skip
		if in.Until > 0 {
			in.Until -= skip
		}
		if pic.End > 0 {
			pic.End -= at(float64(c.Start))
		}
		pic.Reset = true
	}
	v.Rungs = slices.Clone(v.Rungs)
	for i := range v.Rungs {
		v.Rungs[i].Threads = 1
		if c.Start > 0 {
			v.Rungs[i].Buffered = settled
		}
	}
	if !c.Last {
		pic.Frames = c.Frames
		in.Until = at(float64(c.Frames)+2) + max(0, pic.Origin)
	}
	pic.Input, v.Parts = 0, []Picture{pic}
	q.Inputs = []Input{in}
	return &q
}

// encodeChunks makes in dir what one run of ffmpeg would make there. The error is
// ctx's or an *ffmpeg.Error if a chunk cannot be encoded.
//
// kept is the folder of the chunks. before is run in the place of a chunk, and is
// the first to have one; nil: nothing.
func (p *Plan) encodeChunks(ctx context.Context, tools ffmpeg.Tools, srcs []Source, all []chunk, how How, kept, dir string, before func(context.Context) error, progress func(part float64)) error {
	work := &chunkWork{Plan: p, Chunks: all, source: srcs[p.Video.Parts[0].Input]}
	finished := make([]bool, len(all))
	for i := range all {
		finished[i] = work.check(i, filepath.Join(kept, chunkFolder(i))) == nil
	}
	crew, err := work.crew(ctx, how, filepath.Base(kept), kept, finished)
	if err != nil {
		return err
	}
	total := &count{done: make([]int64, len(all)), total: p.Video.Frames, report: progress}
	group, working := errgroup.WithContext(ctx)
	for lane := range max(1, how.Lanes) {
		group.Go(func() error {
			if lane == 0 && before != nil {
				if err := before(working); err != nil {
					return err
				}
			}
			return work.lane(working, tools, crew, kept, total)
		})
	}
	watched, stop := context.WithCancel(ctx)
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		work.watch(watched, crew, total)
	}()
	err = group.Wait()
	stop()
	<-watching
	if err != nil {
		return err
	}
	return p.join(ctx, tools, len(all), kept, dir)
}

// chunkFolder is the name of the folder of the i-th chunk.
func chunkFolder(i int) string { return fmt.Sprintf("%05d", i) }

// chunkWork is what whoever encodes chunks of a plan has to know.
type chunkWork struct {
	Plan   *Plan
	Chunks []chunk
	Blob   *ams.Blob // where the source is stored; nil: nowhere
	source Source    // of the picture
}

// lane encodes chunks until all are finished, by whomever.
func (w *chunkWork) lane(ctx context.Context, tools ffmpeg.Tools, crew crew, kept string, total *count) error {
	for {
		c, err := crew.take(ctx)
		if err != nil {
			return err
		}
		if c != nil {
			if err := w.turn(ctx, tools, crew, c, kept, func(frames int64) { total.set(c.Number, frames) }); err != nil {
				return err
			}
			continue
		}
		if _, left, err := crew.progress(ctx); err != nil || left == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(crewTime):
		}
	}
}

// crewTime is how often a lane that has nothing to do looks whether the others have
// finished, or have left a chunk.
const crewTime = 300 * time.Millisecond

// watch counts what the whole crew has encoded, until ctx ends.
func (w *chunkWork) watch(ctx context.Context, crew crew, total *count) {
	for {
		if done, _, err := crew.progress(ctx); err == nil { // else the lanes hear of it
			for i, n := range done {
				total.set(i, n)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}

// turn encodes a chunk that crew has given. A chunk that somebody else has by now
// is no error.
func (w *chunkWork) turn(ctx context.Context, tools ffmpeg.Tools, crew crew, c *jobqueue.Chunk, kept string, report func(frames int64)) error {
	var frames atomic.Int64
	working, stop := crew.keep(ctx, c, frames.Load)
	err := w.make(working, tools, c.Number, kept, func(n int64) {
		frames.Store(n)
		report(n)
	})
	lost := ctx.Err() == nil && working.Err() != nil
	stop()
	if err != nil {
		rerr := crew.release(ctx, c, !lost && ctx.Err() == nil)
		if lost && errors.Is(context.Cause(working), jobqueue.ErrLost) {
			return nil
		}
		if errors.Is(rerr, jobqueue.ErrLost) {
			rerr = nil
		}
		return errors.Join(err, rerr)
	}
	if err := crew.finish(ctx, c); err != nil && !errors.Is(err, jobqueue.ErrLost) {
		return err
	}
	return nil
}

// make encodes the i-th chunk into its folder in kept, which appears when it is
// whole.
func (w *chunkWork) make(ctx context.Context, tools ffmpeg.Tools, i int, kept string, report func(frames int64)) error {
	tmp, err := os.MkdirTemp(kept, "unfinished-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	c := w.Chunks[i]
	args := c.of(w.Plan).Args([]string{w.source.Path}, tmp)
	if err := tools.Run(ctx, args, func(f ffmpeg.Progress) { report(min(f.Frame, c.Frames)) }); err != nil {
		return err
	}
	if err := w.check(i, tmp); err != nil {
		return err
	}
	report(c.Frames)
	name := filepath.Join(kept, chunkFolder(i))
	if err := os.Rename(tmp, name); err != nil {
		if w.check(i, name) == nil {
			return nil // another was faster
		}
		if err := os.RemoveAll(name); err != nil { // of a machine that lost its power
			return err
		}
		return os.Rename(tmp, name)
	}
	return nil
}

// check reports whether a folder holds all of the i-th chunk.
func (w *chunkWork) check(i int, dir string) error {
	c := w.Chunks[i]
	for r := range w.Plan.Video.Rungs {
		part, err := open(dir, w.Plan.Video.Rungs[r].file(r), mp4.Video)
		if err != nil {
			return err
		}
		if n := int64(part.track().NumSamples()); n != c.Frames && !c.Last || n == 0 {
			return fmt.Errorf("chunk %d has %d frames, not %d", i, n, c.Frames)
		}
	}
	return nil
}

// keep makes the folder of an encode's finished chunks.
func (p *Plan) keep(srcs []Source, how How, dir string) (string, error) {
	mark, err := p.mark(srcs)
	if err != nil {
		return "", err
	}
	at := how.Dir
	if at == "" {
		at = filepath.Join(dir, "chunks")
	}
	at = filepath.Join(at, mark)
	return at, os.MkdirAll(at, 0o700)
}

// sound makes the plan's sound in dir.
func (p *Plan) sound(ctx context.Context, tools ffmpeg.Tools, inputs []string, kept, dir string) error {
	made, err := p.first(kept, func(tmp string) error { return tools.Run(ctx, p.Args(inputs, tmp), nil) })
	for i := range p.tracks() {
		if err == nil {
			name := partFile(fmt.Sprintf("a%d", i))
			err = os.Symlink(filepath.Join(made, name), filepath.Join(dir, name))
		}
	}
	return err
}

// first makes what comes before the chunks, or finds it where an earlier attempt
// has finished it: run is given a folder for it, made is where it then is.
func (p *Plan) first(kept string, run func(tmp string) error) (made string, err error) {
	made = filepath.Join(kept, "first")
	found := true
	for _, part := range p.parts() {
		kind := mp4.Video
		if part[0] == 'a' {
			kind = mp4.Audio
		}
		if _, err := open(made, part, kind); err != nil {
			found = false
		}
	}
	if found {
		return made, nil
	}
	if err := os.RemoveAll(made); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(kept, "unfinished-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	if err := run(tmp); err != nil {
		return "", err
	}
	return made, os.Rename(tmp, made)
}

// mark names an encode: equal marks mean equal chunks.
func (p *Plan) mark(srcs []Source) (string, error) {
	h := sha256.New()
	if err := json.NewEncoder(h).Encode(p); err != nil {
		return "", err
	}
	for _, src := range srcs {
		if b := src.Blob; b != nil {
			fmt.Fprintln(h, src.Name, b.StorageAccount, b.Container, b.Name, b.ETag)
			continue
		}
		f, err := os.Open(src.Path)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(h, src.Name)
		_, err = io.Copy(h, f) // it may have been downloaded again
		if err = errors.Join(err, f.Close()); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:12]), nil
}

// join puts the n chunks in folder kept together, rung by rung, in dir.
func (p *Plan) join(ctx context.Context, tools ffmpeg.Tools, n int, kept, dir string) error {
	args := []string{"-y", "-xerror"}
	var outputs []string
	for r := range p.Video.Rungs {
		part := p.Video.Rungs[r].file(r)
		var list strings.Builder
		for i := range n {
			path := filepath.Join(kept, chunkFolder(i), partFile(part))
			fmt.Fprintf(&list, "file 'file:%s'\n", strings.ReplaceAll(path, "'", `'\''`))
		}
		name := filepath.Join(dir, part+".txt")
		if err := os.WriteFile(name, []byte(list.String()), 0o600); err != nil {
			return err
		}
		args = append(args, "-f", "concat", "-safe", "0", "-protocol_whitelist", "file", "-i", name)
		outputs = append(outputs, "-map", fmt.Sprint(r), "-c", "copy", "-map_metadata", "-1", "-f", "mp4", ffmpeg.File(filepath.Join(dir, partFile(part))))
	}
	return tools.Run(ctx, append(args, outputs...), nil)
}
