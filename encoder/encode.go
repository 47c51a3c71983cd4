package encoder

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/ffmpeg"
	"github.com/openams/openams/packager/mp4"
)

// A Source is the file that an encode reads.
type Source struct {
	Name string // as the user knows it: the file's name in the asset, or the last part of a URL
	URI  string // where it came from, without query; for the metadata file
	Path string // where it is now
	Info *ffmpeg.Info
}

// An OutputFile is one finished file of the output asset.
type OutputFile struct {
	Name        string // in the asset
	Path        string // where it is now
	ContentType string
}

// Encode runs a plan and leaves its outputs, and nothing else, in workDir,
// which is made and must be empty. They come in the order in which they are to
// be stored: the server manifest, which makes the asset playable, is the last.
//
// progress, which may be nil, is given a percentage that never falls. If Encode
// fails, workDir is gone; ffmpeg has ended in any case. The error is ctx's or
// has an *ams.JobError in its chain.
func Encode(ctx context.Context, tools ffmpeg.Tools, plan *Plan, src Source, workDir string, progress func(percent float64)) (files []OutputFile, err error) {
	if err := whole(src); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(workDir, 0o700); err != nil {
		return nil, serviceError(err)
	}
	defer func() {
		if err != nil {
			os.RemoveAll(workDir)
		}
	}()
	if progress == nil {
		progress = func(float64) {}
	}

	const share = 96 // percent of the work that is ffmpeg's first run
	total := plan.length(src.Info)
	err = tools.Run(ctx, plan.Args(src.Path, workDir), func(p ffmpeg.Progress) {
		if total > 0 {
			progress(share * min(1, p.Time.Seconds()/total.Seconds()))
		}
	})
	if err != nil {
		return nil, explain(ctx, tools, plan, src, err)
	}
	made, err := inspect(plan, src, workDir)
	if err != nil {
		return nil, err
	}
	progress(share)
	if err := finish(ctx, tools, plan, made, workDir, func(part float64) { progress(share + (100-share)*part) }); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, serviceError(err)
	}
	if files, err = describe(plan, src, made, workDir); err != nil {
		return nil, serviceError(err)
	}
	progress(100)
	return files, nil
}

// length is how long the outputs will be, 0 if unknown.
func (p *Plan) length(src *ffmpeg.Info) time.Duration {
	var d time.Duration
	if p.Video != nil && p.Video.Frames > 0 {
		d = time.Duration(float64(p.Video.Frames) / p.Video.Rate.Float() * float64(time.Second))
	}
	if p.Audio != nil {
		d = max(d, p.Audio.Duration)
	}
	if d == 0 {
		d = src.Duration
	}
	return d
}

// A made file is one MP4 on its way to the asset.
type made struct {
	rung    *Rung      // nil: audio only
	name    string     // in the asset
	path    string     // where it is now
	index   *mp4.Index // of the file at path
	bitrate int64      // bit/s reached by its main track
}

// inspect reads what ffmpeg wrote and compares it with the plan and the rungs
// with each other. It returns the rungs, best first, then the audio.
func inspect(plan *Plan, src Source, dir string) ([]*made, error) {
	var all []*made
	if v := plan.Video; v != nil {
		for i := range v.Rungs {
			m, err := open(filepath.Join(dir, videoFile(i)), mp4.Video)
			if err != nil {
				return nil, serviceError(err)
			}
			m.rung = &v.Rungs[i]
			all = append(all, m)
		}
		if err := v.check(src, all); err != nil {
			return nil, err
		}
	}
	if a := plan.Audio; a != nil {
		m, err := open(filepath.Join(dir, audioFile), mp4.Audio)
		if err != nil {
			return nil, serviceError(err)
		}
		t := m.index.Tracks[0]
		got := time.Duration(float64(t.Duration()) / float64(t.Timescale) * float64(time.Second))
		if got < a.Duration-a.Slack {
			return nil, jobErrorf(ams.ContentMalformed, "%q: its audio stream %d (%s) ends at %.2f s of the %.2f s that the file announces.",
				src.Name, a.Streams[0], a.Codec, (a.Origin + got).Seconds(), (a.Origin + a.Duration).Seconds())
		}
		all = append(all, m)
	}
	plan.name(all)
	return all, nil
}

// open indexes a file with a single track of the given kind.
func open(path string, kind mp4.Kind) (*made, error) {
	index, err := indexFile(path)
	if err != nil {
		return nil, err
	}
	if len(index.Tracks) != 1 || index.Tracks[0].Kind != kind {
		return nil, fmt.Errorf("%s has not one %s track", filepath.Base(path), kind)
	}
	t := index.Tracks[0]
	m := &made{path: path, index: index}
	if d := t.Duration(); d > 0 {
		m.bitrate = int64(float64(8*t.Bytes(0, t.NumSamples())) * float64(t.Timescale) / float64(d))
	}
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
// IDR at each multiple of the GOP, the same times in all.
func (v *Video) check(src Source, rungs []*made) error {
	var first []mp4.Sample
	for i, m := range rungs {
		t := m.index.Tracks[0]
		samples := t.AppendSamples(nil, 0, t.NumSamples())
		if i == 0 {
			first = samples
			if n := int64(len(samples)); n < v.Frames-v.Slack {
				rate := v.Rate.Float()
				return jobErrorf(ams.ContentMalformed, "%q: its video stream %d (%s) ends at %.2f s of the %.2f s that the file announces.",
					src.Name, v.Stream, v.Codec, v.Origin.Seconds()+float64(n)/rate, v.Origin.Seconds()+float64(v.Frames)/rate)
			}
		}
		if len(samples) != len(first) || t.Timescale != rungs[0].index.Tracks[0].Timescale {
			return serviceError(fmt.Errorf("rung %d has %d frames, the first %d", i, len(samples), len(first)))
		}
		for n, s := range samples {
			// Frame n of a closed GOP in coding order is an IDR exactly where it
			// is one in display order.
			if s.Sync != (n%v.GOP == 0) {
				return serviceError(fmt.Errorf("rung %d: frame %d of GOPs of %d: IDR %v", i, n, v.GOP, s.Sync))
			}
			if s.Sync && s.DTS+uint64(s.CTO) != first[n].DTS+uint64(first[n].CTO) {
				return serviceError(fmt.Errorf("rung %d: the IDR at frame %d is not where the first rung has it", i, n))
			}
		}
	}
	return nil
}

// finish muxes the audio into the rungs and lays every file out for streaming.
// Afterwards the files and their indexes lie in dir under their final names.
func finish(ctx context.Context, tools ffmpeg.Tools, plan *Plan, all []*made, dir string, progress func(part float64)) error {
	if plan.Video != nil && plan.Audio != nil {
		if err := mux(ctx, tools, all, dir); err != nil {
			return err
		}
		if !plan.AudioFile {
			audio := all[len(all)-1]
			if err := os.Remove(audio.path); err != nil {
				return err
			}
			all = all[:len(all)-1]
		}
	}
	for i, m := range all {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := m.relayout(filepath.Join(dir, m.name)); err != nil {
			return fmt.Errorf("lay out %s: %w", m.name, err)
		}
		progress(float64(i+1) / float64(len(all)))
	}
	return nil
}

// mux adds the audio, the last of all, to each of the others. The audio was
// encoded once, and ffmpeg cannot write one encode into files of different
// pictures.
func mux(ctx context.Context, tools ffmpeg.Tools, all []*made, dir string) error {
	rungs, audio := all[:len(all)-1], all[len(all)-1]
	args := []string{"-y", "-xerror"}
	for _, m := range all {
		args = append(args, ffmpeg.Input(m.path)...)
	}
	for i := range rungs {
		args = append(args, "-map", fmt.Sprint(i), "-map", fmt.Sprint(len(rungs)), "-c", "copy",
			"-f", "mp4", ffmpeg.File(filepath.Join(dir, muxedFile(i))))
	}
	if err := tools.Run(ctx, args, nil); err != nil {
		return err
	}
	for i, m := range rungs {
		if err := os.Remove(m.path); err != nil {
			return err
		}
		m.path = filepath.Join(dir, muxedFile(i))
		index, err := indexFile(m.path)
		if err != nil {
			return err
		}
		if len(index.Tracks) != 2 || index.Tracks[0].NumSamples() != m.index.Tracks[0].NumSamples() ||
			index.Tracks[1].NumSamples() != audio.index.Tracks[0].NumSamples() {
			return fmt.Errorf("%s lost samples when it was muxed", m.name)
		}
		m.index = index
	}
	return nil
}

// relayout moves the file to path with every fragment as one extent, and writes
// its index beside it.
func (m *made) relayout(path string) (err error) {
	from, err := os.Open(m.path)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	if err := mp4.Relayout(to, from, m.index.Size, mp4.DefaultFragment); err != nil {
		return err
	}
	info, err := to.Stat()
	if err != nil {
		return err
	}
	index, err := mp4.BuildIndex(to, info.Size())
	if err != nil {
		return err
	}
	b, err := index.AppendBinary(nil)
	if err != nil {
		return err
	}
	if err := os.WriteFile(indexName(path), b, 0o600); err != nil {
		return err
	}
	if err := os.Remove(m.path); err != nil {
		return err
	}
	m.path, m.index = path, index
	return nil
}

// indexName is the name of the packager's index of an MP4. AMS named its own
// fragment index so; the content is ours.
func indexName(mp4Name string) string { return strings.TrimSuffix(mp4Name, ".mp4") + ".mpi" }

// explain turns a failed run into an error that the user understands: if the
// source is damaged, where.
func explain(ctx context.Context, tools ffmpeg.Tools, plan *Plan, src Source, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if stall, ok := errors.AsType[*ffmpeg.StallError](err); ok {
		return jobErrorf(ams.ServiceTransientError, "ffmpeg made no progress for %v while it encoded %q, and was stopped.", stall.After, src.Name)
	}
	fail, ok := errors.AsType[*ffmpeg.Error](err)
	if !ok {
		return serviceError(err)
	}
	if fail.Exit < 0 {
		return jobErrorf(ams.ServiceTransientError, "ffmpeg was killed while it encoded %q.", src.Name)
	}
	if strings.Contains(fail.Tail, "No space left on device") {
		return jobErrorf(ams.ServiceTransientError, "The encoder ran out of disk space while it encoded %q.", src.Name)
	}
	if strings.Contains(fail.Tail, "Decoder (codec") || strings.Contains(fail.Tail, "Unknown decoder") {
		return errors.Join(jobErrorf(ams.ContentUnsupported, "%q holds a codec that this server's ffmpeg cannot decode.", src.Name), err)
	}
	var streams []int
	if plan.Video != nil {
		streams = append(streams, plan.Video.Stream)
	}
	if plan.Audio != nil {
		streams = append(streams, plan.Audio.Streams...)
	}
	limited, stop := context.WithTimeout(ctx, maxDiagnosis)
	defer stop()
	fault, ferr := tools.FirstFault(limited, src.Path, streams)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case fault != nil:
		return faultError(src, fault)
	case ferr == nil:
		return serviceError(err)
	}
	return errors.Join(jobErrorf(ams.ContentMalformed, "%q cannot be decoded.", src.Name), err)
}
