package encoder

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/openams/openams/ffmpeg"
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
}

// The length of chunks.
const (
	shortestChunk = 4 * time.Second
	longestChunk  = 30 * time.Second
	chunksPerLane = 5 // so that lanes end at about the same time
)

// A chunk is a run of frames of the plan's picture.
type chunk struct {
	start, frames int64
	last          bool // it goes to the end, wherever that is
}

// chunks cuts the plan's picture; nil if it has to be encoded in one piece: it is
// short, or what a frame looks like depends on frames far from it, or the source
// cannot be entered at any frame.
func (p *Plan) chunks(srcs []Source, lanes int) []chunk {
	v := p.Video
	if lanes < 2 || v == nil || len(v.Parts) != 1 || v.Frames == 0 || len(v.Rungs) == 0 ||
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
	seconds := float64(v.Frames) / fps / float64(lanes*chunksPerLane)
	seconds = min(max(seconds, shortestChunk.Seconds()), longestChunk.Seconds())
	size := max(1, int64(math.Round(seconds*fps/float64(gop)))) * gop
	n := v.Frames / size
	if n < 2 {
		return nil
	}
	var all []chunk
	for i := range n {
		all = append(all, chunk{start: i * size, frames: size, last: i == n-1})
	}
	all[n-1].frames = v.Frames - all[n-1].start
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
	pic := v.Parts[0]
	in := p.Inputs[pic.Input]
	at := func(frame float64) time.Duration { return time.Duration(frame / v.Rate.Float() * float64(time.Second)) }
	if c.start > 0 {
		skip := pic.Origin + at(float64(c.start)-0.5)
		in.Seek += skip
		if in.Until > 0 {
			in.Until -= skip
		}
		if pic.End > 0 {
			pic.End -= at(float64(c.start))
		}
		pic.Reset = true
	}
	v.Rungs = slices.Clone(v.Rungs)
	for i := range v.Rungs {
		v.Rungs[i].Threads = 1
		if c.start > 0 {
			v.Rungs[i].Buffered = settled
		}
	}
	if !c.last {
		pic.Frames = c.frames
		in.Until = at(float64(c.frames)+2) + max(0, pic.Origin)
	}
	pic.Input, v.Parts = 0, []Picture{pic}
	q.Inputs = []Input{in}
	return &q
}

// encodeChunks makes in dir what one run of ffmpeg would make there. The error is
// ctx's or an *ffmpeg.Error if a chunk cannot be encoded.
//
// before is run in the place of a chunk, and is the first to have one; nil: nothing.
func (p *Plan) encodeChunks(ctx context.Context, tools ffmpeg.Tools, srcs []Source, all []chunk, how How, dir string, before func(context.Context) error, progress func(part float64)) error {
	kept := how.Dir
	if kept == "" {
		kept = filepath.Join(dir, "chunks")
	}
	mark, err := p.mark(srcs)
	if err != nil {
		return err
	}
	kept = filepath.Join(kept, mark)
	if err := os.MkdirAll(kept, 0o700); err != nil {
		return err
	}

	var mu sync.Mutex
	done := make([]int64, len(all)) // frames
	report := func(i int, frames int64) {
		mu.Lock()
		defer mu.Unlock()
		done[i] = max(done[i], min(frames, all[i].frames))
		sum := int64(0)
		for _, n := range done {
			sum += n
		}
		progress(float64(sum) / float64(p.Video.Frames))
	}
	group, working := errgroup.WithContext(ctx)
	group.SetLimit(how.Lanes)
	if before != nil {
		group.Go(func() error { return before(working) })
	}
	pic := p.Video.Parts[0]
	for i, c := range all {
		group.Go(func() error {
			name := filepath.Join(kept, fmt.Sprintf("%05d", i))
			if _, err := os.Stat(name); err == nil {
				report(i, c.frames)
				return nil
			}
			tmp, err := os.MkdirTemp(kept, "unfinished-*")
			if err != nil {
				return err
			}
			defer os.RemoveAll(tmp)
			args := c.of(p).Args([]string{srcs[pic.Input].Path}, tmp)
			if err := tools.Run(working, args, func(f ffmpeg.Progress) { report(i, f.Frame) }); err != nil {
				return err
			}
			for r := range p.Video.Rungs {
				part, err := open(tmp, p.Video.Rungs[r].file(r), mp4.Video)
				if err != nil {
					return err
				}
				if n := int64(part.track().NumSamples()); n != c.frames && !c.last || n == 0 {
					return fmt.Errorf("chunk %d has %d frames, not %d", i, n, c.frames)
				}
			}
			report(i, c.frames)
			if err := os.Rename(tmp, name); err != nil && !errors.Is(err, os.ErrExist) {
				return err
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return p.join(ctx, tools, len(all), kept, dir)
}

// mark names an encode: equal marks mean equal chunks.
func (p *Plan) mark(srcs []Source) (string, error) {
	h := sha256.New()
	if err := json.NewEncoder(h).Encode(p); err != nil {
		return "", err
	}
	for _, src := range srcs {
		info, err := os.Stat(src.Path)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(h, src.Name, info.Size(), info.ModTime().UnixNano())
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
			path := filepath.Join(kept, fmt.Sprintf("%05d", i), partFile(part))
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
