package encoder

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/ffmpeg"
	"github.com/openams/openams/packager/mp4"
)

// A Source is the file that an encode reads.
type Source struct {
	Name   string // as the user knows it: the file's name in the asset, or the last part of a URL
	URI    string // where it came from, without query; for the metadata file
	Path   string // where it is now
	Asset  string // guid of the input asset, empty of a URL
	Set    string // name of the server manifest that names it, if it was found by one
	Group  string // name of a server manifest that names it, if that only says what belongs together
	Title  string // what the outputs are named after, empty for Set or Name
	Info   *ffmpeg.Info
	Blob   *ams.Blob // where it is stored, if Path is the stored file itself; nil else
	Secret bool      // its asset is storage encrypted: nothing of it may lie outside of the scratch folder
}

// An OutputFile is one finished file of the output asset.
type OutputFile struct {
	Name        string // in the asset
	Path        string // where it is now
	ContentType string
}

// What percent of an encode ffmpeg's work is, and what percent of it the comparison
// of the rungs with the source, if there is one: it takes 0.3 times as much of the
// processor as encoding six rungs (measured), and keeps fewer cores busy.
const (
	encodeShare  = 96
	compareShare = 25
)

// Encode runs a plan and leaves its outputs, and nothing else, in workDir,
// which is made and must be empty; another folder beside it, its name with
// ".parts" added, is there meanwhile. They come in the order in which they are to
// be stored: the server manifest, which makes the asset playable, is the last.
// srcs are those that the plan reads, see Plan.sources.
//
// progress, which may be nil, is given a percentage that never falls. If Encode
// fails, workDir is gone; ffmpeg has ended in any case. The error is ctx's or
// has an *ams.JobError in its chain.
func Encode(ctx context.Context, tools ffmpeg.Tools, plan *Plan, srcs []Source, workDir string, progress func(percent float64)) ([]OutputFile, error) {
	return EncodeAs(ctx, tools, plan, srcs, How{}, workDir, progress)
}

// EncodeAs is Encode in the way that how says: the picture made in chunks, if it
// can be, or played while it is made.
func EncodeAs(ctx context.Context, tools ffmpeg.Tools, plan *Plan, srcs []Source, how How, workDir string, progress func(percent float64)) (files []OutputFile, err error) {
	var inputs []string
	for _, src := range srcs {
		if err := whole(src); err != nil && !plan.Tolerant {
			return nil, err
		}
		inputs = append(inputs, src.Path)
	}
	// Parts lie apart: users name the outputs.
	tmp := workDir + ".parts"
	for _, dir := range []string{workDir, tmp} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, serviceError(err)
		}
	}
	defer func() {
		os.RemoveAll(tmp)
		if err != nil {
			os.RemoveAll(workDir)
		}
	}()
	if progress == nil {
		progress = func(float64) {}
	}

	first := float64(encodeShare)
	report := plan.Report && plan.Video != nil && plan.Video.Rungs != nil
	if report {
		first -= compareShare
	}
	if err := plan.run(ctx, tools, srcs, inputs, how, tmp, func(part float64) { progress(first * part) }); err != nil {
		return nil, explain(ctx, tools, plan, srcs, err)
	}
	parts, err := inspect(plan, srcs, tmp)
	if err != nil {
		return nil, err
	}
	if report {
		if err := plan.compare(ctx, tools, inputs, parts, tmp, func(part float64) { progress(first + compareShare*part) }); err != nil {
			return nil, serviceError(err)
		}
	}
	taken := plan.namer()
	stills, err := plan.stills(srcs[0], tmp, workDir, taken)
	if err != nil {
		return nil, err
	}
	progress(encodeShare)
	all, err := finish(ctx, tools, plan, parts, tmp, workDir, taken, func(part float64) { progress(encodeShare + (100-encodeShare)*part) })
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, serviceError(err)
	}
	if files, err = describe(plan, srcs, all, stills, workDir); err != nil {
		return nil, serviceError(err)
	}
	progress(100)
	return files, nil
}

// run makes the parts of the plan in dir.
func (p *Plan) run(ctx context.Context, tools ffmpeg.Tools, srcs []Source, inputs []string, how How, dir string, progress func(part float64)) error {
	total := p.length(srcs[0].Info)
	share := func(q ffmpeg.Progress) float64 {
		if total <= 0 {
			return 0
		}
		return min(1, q.Time.Seconds()/total.Seconds())
	}
	first, rest := (*Plan)(nil), p // what comes before the chunks, and the others
	chunked := p.chunks(srcs, how) != nil
	switch {
	case p.Early && how.Publish != nil:
		first, rest = p.split()
		chunked = rest != nil && rest.chunks(srcs, how) != nil
	case chunked && p.Audio != nil:
		sound, picture := *p, *p
		sound.Video, picture.Audio = nil, nil
		first, rest = &sound, &picture
	}
	kept := dir
	if chunked {
		var err error
		if kept, err = rest.keep(srcs, how, dir); err != nil {
			return err
		}
	}
	report := sum(progress, 0, 1)
	var before func(context.Context) error
	if first != nil && first.Video == nil {
		before = func(ctx context.Context) error { return first.sound(ctx, tools, inputs, kept, dir) }
	} else if first != nil {
		part := 1.0
		if rest != nil {
			part = first.cost(srcs) / (first.cost(srcs) + rest.cost(srcs))
		}
		report = sum(progress, part, 1-part)
		before = func(ctx context.Context) error {
			return first.opening(ctx, tools, inputs, how, kept, dir, func(q ffmpeg.Progress) { report(0, share(q)) })
		}
	}
	if rest == nil {
		return before(ctx)
	}
	if chunked {
		return rest.encodeChunks(ctx, tools, srcs, rest.chunks(srcs, how), how, kept, dir, before, func(part float64) { report(1, part) })
	}
	group, working := errgroup.WithContext(ctx)
	if before != nil {
		group.Go(func() error { return before(working) })
	}
	group.Go(func() error {
		return tools.Run(working, rest.Args(inputs, dir), func(q ffmpeg.Progress) { report(1, share(q)) })
	})
	return group.Wait()
}

// sum makes one progress of several that go on side by side, given what part of
// the whole each is.
func sum(progress func(part float64), parts ...float64) func(i int, part float64) {
	var mu sync.Mutex
	done := make([]float64, len(parts))
	return func(i int, part float64) {
		mu.Lock()
		defer mu.Unlock()
		done[i] = max(done[i], part)
		total := 0.0
		for k, d := range done {
			total += d * parts[k]
		}
		progress(total)
	}
}

// cost is what a frame of the plan takes of the processor, in pixels of an encode.
func (p *Plan) cost(srcs []Source) float64 {
	const decode = 0.3 // of what encoding a pixel takes, in the presets that encode fastest
	sum := 0.0
	for _, pic := range p.Video.Parts {
		if pic.Input < 0 {
			continue
		}
		for _, s := range srcs[pic.Input].Info.Streams {
			if s.Index == pic.Stream {
				sum = max(sum, decode*float64(s.Width*s.Height))
			}
		}
	}
	for _, r := range p.Video.Rungs {
		w, h := r.size()
		sum += float64(w * h)
	}
	return max(1, sum)
}

// length is how long the outputs will be, 0 if unknown.
func (p *Plan) length(src *ffmpeg.Info) time.Duration {
	var d time.Duration
	if p.Video != nil && p.Video.Frames > 0 {
		d = time.Duration(float64(p.Video.Frames) / p.Video.Rate.Float() * float64(time.Second))
	}
	for _, a := range p.Audio {
		d = max(d, a.Duration)
	}
	if d == 0 {
		d = src.Duration
	}
	return d
}

// zero is where in the first file the outputs start.
func (p *Plan) zero() time.Duration {
	switch {
	case p.Video != nil && p.Video.Parts[0].Input >= 0:
		pic := &p.Video.Parts[0]
		return p.Inputs[pic.Input].Seek + pic.Origin
	case p.Audio != nil && p.Audio[0].Parts[0].Tracks != nil:
		a := &p.Audio[0].Parts[0]
		return p.Inputs[a.Tracks[0].Input].Seek + a.Origin
	}
	return 0
}

// reads lists the streams that the plan decodes or copies of an input.
func (p *Plan) reads(input int) []int {
	var streams []int
	if p.Video != nil {
		for _, pic := range p.Video.Parts {
			if pic.Input == input {
				streams = append(streams, pic.Stream)
			}
		}
		for _, o := range p.Video.Overlays {
			if o.Input == input {
				streams = append(streams, o.Stream)
			}
		}
	}
	for _, a := range p.Audio {
		for _, v := range a.Parts {
			for _, s := range v.Tracks {
				if s.Input == input {
					streams = append(streams, s.Stream)
				}
			}
		}
		for _, m := range a.Mix {
			if m.Input == input {
				streams = append(streams, m.Stream)
			}
		}
	}
	for _, c := range p.Copies {
		if c.Input == input {
			streams = append(streams, c.Stream)
		}
	}
	return streams
}

// A part is one track that ffmpeg made, in a file of its own.
type part struct {
	name      string // as in File.Parts
	rung      *Rung  // one of the three is not nil
	sound     *Sound
	programme *Audio // of sound
	copy      *Copy
	path      string
	index     *mp4.Index
	bitrate   int64     // bit/s reached
	likeness  *likeness // nil: not measured
	uses      int       // files that it is still wanted for
}

func (t *part) track() *mp4.Track { return t.index.Tracks[0] }

// inspect reads what ffmpeg wrote and compares it with the plan and the rungs
// with each other.
func inspect(plan *Plan, srcs []Source, dir string) (map[string]*part, error) {
	all := map[string]*part{}
	src := srcs[0]
	if v := plan.Video; v != nil {
		var rungs []*part
		for i := range v.Rungs {
			m, err := open(dir, fmt.Sprintf("v%d", i), mp4.Video)
			if err != nil {
				return nil, serviceError(err)
			}
			m.rung = &v.Rungs[i]
			rungs = append(rungs, m)
			all[m.name] = m
		}
		if err := v.check(src, rungs, plan); err != nil {
			return nil, err
		}
	}
	for i, sound := range plan.tracks() {
		m, err := open(dir, fmt.Sprintf("a%d", i), mp4.Audio)
		if err != nil {
			return nil, serviceError(err)
		}
		a := plan.programme(i)
		m.sound, m.programme = sound, a
		t := m.track()
		got := time.Duration(float64(t.Duration()) / float64(t.Timescale) * float64(time.Second))
		if got < a.Duration-a.Slack && !plan.Tolerant {
			what := "audio"
			if tracks := a.Parts[0].Tracks; tracks != nil {
				what = fmt.Sprintf("audio stream %d (%s)", tracks[0].Stream, a.Parts[0].Codec)
			}
			return nil, jobErrorf(ams.ContentMalformed, "%q: its %s ends at %.2f s of the %.2f s that the file announces.",
				src.Name, what, (plan.zero() + got).Seconds(), (plan.zero() + a.Duration).Seconds())
		}
		all[m.name] = m
	}
	for i := range plan.Copies {
		c := &plan.Copies[i]
		kind := mp4.Video
		if c.Kind == "audio" {
			kind = mp4.Audio
		}
		m, err := open(dir, fmt.Sprintf("c%d", i), kind)
		if err != nil {
			return nil, serviceError(err)
		}
		m.copy = c
		// Edit lists hide samples that the container counts: some are not copied.
		if n := int64(m.track().NumSamples()); n < c.Frames-c.Frames/50-3 {
			return nil, jobErrorf(ams.ContentMalformed, "%q: its %s stream %d (%s) has %d frames of the %d that the file announces.",
				srcs[c.Input].Name, c.Kind, c.Stream, c.Codec, n, c.Frames)
		}
		all[m.name] = m
	}
	for _, f := range plan.Files {
		for _, name := range f.Parts {
			all[name].uses++
		}
	}
	return all, nil
}

// open indexes a part, a file with a single track of the given kind.
func open(dir, name string, kind mp4.Kind) (*part, error) {
	m := &part{name: name, path: filepath.Join(dir, partFile(name))}
	index, err := indexFile(m.path)
	if err != nil {
		return nil, err
	}
	if len(index.Tracks) != 1 || index.Tracks[0].Kind != kind {
		return nil, fmt.Errorf("%s has not one %s track", filepath.Base(m.path), kind)
	}
	m.index = index
	m.bitrate = bitrate(index.Tracks[0])
	return m, nil
}

func indexFile(path string) (*mp4.Index, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	index, err := mp4.BuildIndex(f, info.Size())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return index, nil
}

// check holds the rungs against the plan: as many frames as the source has, an
// IDR at each multiple of the GOP, the same times in all. Rungs that differ in
// B-frames have other offsets in their tables for the same time.
func (v *Video) check(src Source, rungs []*part, plan *Plan) error {
	zero := plan.zero()
	var first []mp4.Sample
	for i, m := range rungs {
		t := m.track()
		samples := t.AppendSamples(nil, 0, t.NumSamples())
		if i == 0 {
			first = samples
			if n := int64(len(samples)); n < v.Frames-v.Slack && !plan.Tolerant {
				rate := v.Rate.Float()
				what := "video"
				if pic := v.Parts[0]; pic.Input >= 0 && len(v.Parts) == 1 {
					what = fmt.Sprintf("video stream %d (%s)", pic.Stream, pic.Codec)
				}
				return jobErrorf(ams.ContentMalformed, "%q: its %s ends at %.2f s of the %.2f s that the file announces.",
					src.Name, what, zero.Seconds()+float64(n)/rate, zero.Seconds()+float64(v.Frames)/rate)
			}
		}
		if len(samples) != len(first) || t.Timescale != rungs[0].track().Timescale {
			return serviceError(fmt.Errorf("rung %d has %d frames, the first %d", i, len(samples), len(first)))
		}
		gop := m.rung.GOP
		for n, s := range samples {
			// Frame n of a closed GOP in coding order is an IDR exactly where it
			// is one in display order.
			if v.AsTimed {
				if s.Sync != first[n].Sync {
					return serviceError(fmt.Errorf("rung %d: frame %d: IDR %v, not so in the first rung", i, n, s.Sync))
				}
			} else if due := n%gop == 0; s.Sync != due && !(m.rung.SceneCut && !due) {
				return serviceError(fmt.Errorf("rung %d: frame %d of GOPs of %d: IDR %v", i, n, gop, s.Sync))
			}
			if s.Sync && gop == rungs[0].rung.GOP && shown(t, s) != shown(rungs[0].track(), first[n]) {
				return serviceError(fmt.Errorf("rung %d: the IDR at frame %d is not where the first rung has it", i, n))
			}
		}
	}
	return nil
}

// shown is the time at which a sample is presented, in ticks of its track.
func shown(t *mp4.Track, s mp4.Sample) int64 { return int64(s.DTS) + int64(s.CTO) - t.EditStart }

// explain turns a failed run into an error that the user understands: if the
// source is damaged, where.
func explain(ctx context.Context, tools ffmpeg.Tools, plan *Plan, srcs []Source, err error) error {
	src := srcs[0]
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if stall, ok := errors.AsType[*ffmpeg.StallError](err); ok {
		return jobErrorf(ams.ServiceTransientError, "ffmpeg made no progress for %v while it encoded %q, and was stopped.", stall.After, src.Name)
	}
	if e, ok := errors.AsType[*ffmpeg.LimitError](err); ok {
		return errors.Join(jobErrorf(ams.ServiceError, "Encoding %q took longer than a task may: it was stopped after %v.", src.Name, e.After), err)
	}
	fail, ok := errors.AsType[*ffmpeg.Error](err)
	if !ok {
		return serviceError(err)
	}
	if fail.OutOfMemory() {
		return errors.Join(jobErrorf(ams.ServiceError, "ffmpeg had no memory left while it encoded %q; it may use %d MiB.", src.Name, tools.Limits.Memory>>20), err)
	}
	if fail.Exit < 0 {
		return jobErrorf(ams.ServiceTransientError, "ffmpeg was killed while it encoded %q.", src.Name)
	}
	if strings.Contains(fail.Tail, "No space left on device") {
		return jobErrorf(ams.ServiceTransientError, "The encoder ran out of disk space while it encoded %q.", src.Name)
	}
	if strings.Contains(fail.Tail, "File too large") {
		return errors.Join(jobErrorf(ams.ServiceError, "Encoding %q made a file of more than %d bytes, which is all that one may have.", src.Name, tools.Limits.File), err)
	}
	if lacks := fail.Lacks(); lacks != "" {
		return errors.Join(jobErrorf(ams.ConfigurationUnsupported, "This server's ffmpeg lacks the %s, which the preset needs.", lacks), err)
	}
	if strings.Contains(fail.Tail, "Decoder (codec") || strings.Contains(fail.Tail, "Unknown decoder") {
		return errors.Join(jobErrorf(ams.ContentUnsupported, "%q holds a codec that this server's ffmpeg cannot decode.", src.Name), err)
	}
	limited, stop := context.WithTimeout(ctx, maxDiagnosis)
	defer stop()
	healthy := true // as far as is known
	for i, src := range srcs {
		if plan.Inputs[i].Still != "" {
			continue
		}
		fault, ferr := tools.FirstFault(limited, src.Path, plan.reads(i))
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case fault != nil:
			return errors.Join(faultError(src, fault), err)
		case ferr != nil:
			healthy = false
		}
	}
	if healthy {
		return serviceError(err)
	}
	return errors.Join(jobErrorf(ams.ContentMalformed, "%q cannot be decoded.", src.Name), err)
}
