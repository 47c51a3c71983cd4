package encoder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/ffmpeg"
	"github.com/openams/openams/packager/fmp4"
	"github.com/openams/openams/packager/mp4"
)

// Tracks that are copied are cut where all pictures of the set have a key frame:
// at the last such time before the clip, and at the first after it (AMS cut at
// the bounds of GOPs, documented). Sound is cut at the same times, to the sample.

// sameKey is how far apart key frames of two files may be and count as one: their
// timescales round.
const sameKey = 5 * time.Millisecond

// forever is the end of a cut that goes to the end.
const forever = time.Duration(math.MaxInt64)

// onClock converts ticks to time. A live archive counts from 1970 in 1e-7 s: a
// plain product would overflow.
func onClock(ticks int64, scale uint32) time.Duration {
	s := int64(scale)
	q, r := ticks/s, ticks%s
	return time.Duration(q)*time.Second + time.Duration(r*int64(time.Second)/s)
}

// ticksOf converts time to ticks, rounded down.
func ticksOf(d time.Duration, scale uint32) int64 {
	s := int64(scale)
	return int64(d/time.Second)*s + int64(d%time.Second)*s/int64(time.Second)
}

// showTime is when a sample is shown, on the file's clock.
func showTime(t *mp4.Track, s mp4.Sample) time.Duration {
	return onClock(int64(s.DTS)+int64(s.CTO)-t.EditStart, t.Timescale)
}

// keys are the times of the key frames of a track, in order.
func keys(t *mp4.Track) (all []time.Duration) {
	for _, s := range t.AppendSamples(nil, 0, t.NumSamples()) {
		if s.Sync {
			all = append(all, showTime(t, s))
		}
	}
	slices.Sort(all)
	return all
}

// keyAt returns whether a sorted list has a time that counts as at.
func keyAt(list []time.Duration, at time.Duration) bool {
	i, _ := slices.BinarySearch(list, at-sameKey)
	return i < len(list) && list[i] <= at+sameKey
}

// window moves the bounds of a clip to where all videos can be cut; they are the
// clip's own if there is no video. ok is false if no key frame is common to all.
func window(videos []*mp4.Track, clip Clip) (from, to time.Duration, ok bool) {
	from, to = clip.Start, forever
	if clip.End > 0 {
		to = clip.End
	}
	if len(videos) == 0 {
		return from, to, true
	}
	common := keys(videos[0])
	for _, v := range videos[1:] {
		list := keys(v)
		common = slices.DeleteFunc(common, func(at time.Duration) bool { return !keyAt(list, at) })
	}
	if len(common) == 0 {
		return 0, 0, false
	}
	from = common[0]
	for _, at := range common {
		if at <= clip.Start+sameKey {
			from = at
		}
	}
	if i := slices.IndexFunc(common, func(at time.Duration) bool { return at >= to-sameKey && at > from }); i >= 0 {
		to = common[i]
	} else {
		to = forever
	}
	return from, to, true
}

// A cut is the part of a track that lies in a window.
type cut struct {
	track    *mp4.Track
	first, n int
	skip     int64 // ticks of its first sample that lie before the window
	delay    int64 // ticks from the start of the window to its first sample
}

// cutTrack finds the part of a track in a window; n is 0 if there is none.
func cutTrack(t *mp4.Track, from, to time.Duration) cut {
	c := cut{track: t, first: -1}
	samples := t.AppendSamples(nil, 0, t.NumSamples())
	end := len(samples)
	for i, s := range samples {
		at := showTime(t, s)
		if t.Kind == mp4.Video {
			switch {
			case !s.Sync:
			case at <= from+sameKey || c.first < 0:
				c.first = i
			case to != forever && at >= to-sameKey:
				end = min(end, i)
			}
			continue
		}
		if at <= from || c.first < 0 {
			c.first = i
		}
		if to != forever && at >= to {
			end = min(end, i)
		}
	}
	if c.first < 0 || end <= c.first {
		return cut{track: t}
	}
	c.n = end - c.first
	off := ticksOf(showTime(t, samples[c.first])-from, t.Timescale)
	switch {
	case t.Kind == mp4.Video && off < ticksOf(sameKey, t.Timescale):
	case off < 0:
		c.skip = -off
	default:
		c.delay = off
	}
	return c
}

// write writes the cut as an MP4 of fragments, whose time 0 is the start of the
// window.
func (c *cut) write(path string, from io.ReaderAt) (err error) {
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	t := *c.track
	start := t.Sample(c.first)
	t.FirstCTO = start.CTO
	t.EditStart = int64(t.Sample(0).DTS) + int64(start.CTO) + c.skip
	if _, err := to.Write(fmp4.Init(&t, fmp4.CMAF)); err != nil {
		return err
	}
	number := uint32(0)
	for i := c.first; i < c.first+c.n; {
		samples := t.AppendSamples(nil, i, min(cutFragment, c.first+c.n-i))
		f := mp4.Fragment{First: i, N: len(samples), Decode: int64(samples[0].DTS-start.DTS) + c.delay}
		number++
		if _, err := to.Write(fmp4.Header(&t, f, samples, number, fmp4.CMAF)); err != nil {
			return err
		}
		for _, e := range t.Extents(i, len(samples)) {
			if _, err := io.Copy(to, io.NewSectionReader(from, e.Offset, e.Length)); err != nil {
				return err
			}
		}
		i += len(samples)
	}
	return nil
}

// cutFragment is how many samples a fragment of a cut has: it is read once.
const cutFragment = 256

// A reel is a file of which a part is copied.
type reel struct {
	name  string // for messages
	file  io.ReaderAt
	index *mp4.Index
}

// cutReels writes the part of each file that the clip covers as an MP4 in dir, and
// returns the paths, empty of a file with nothing in the clip, and the time in the
// files that has become 0.
func cutReels(ctx context.Context, tools ffmpeg.Tools, reels []reel, clip Clip, dir string) (paths []string, zero time.Duration, err error) {
	var videos []*mp4.Track
	for _, r := range reels {
		for _, t := range r.index.Tracks {
			if t.Kind == mp4.Video && t.NumSamples() > 0 {
				videos = append(videos, t)
			}
		}
	}
	from, to, ok := window(videos, clip)
	if !ok {
		return nil, 0, jobErrorf(ams.ContentUnsupported, "The pictures of the input (%q and others) have no key frame in common, at which they could be cut without being encoded again.", reels[0].name)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, 0, err
	}
	found := false
	for i, r := range reels {
		args := []string{"-y", "-xerror", "-copyts"}
		var maps []string
		for k, t := range r.index.Tracks {
			if t.Kind != mp4.Video && t.Kind != mp4.Audio {
				continue
			}
			c := cutTrack(t, from, to)
			if c.n == 0 {
				continue
			}
			path := filepath.Join(dir, fmt.Sprintf("%d-%d.mp4", i, k))
			if err := c.write(path, r.file); err != nil {
				return nil, 0, fmt.Errorf("cut %q: %w", r.name, err)
			}
			args = append(args, ffmpeg.Input(path)...)
			maps = append(maps, "-map", fmt.Sprint(len(maps)/2))
		}
		if maps == nil {
			paths = append(paths, "")
			continue
		}
		found = true
		path := filepath.Join(dir, fmt.Sprintf("%d.mp4", i))
		if err := tools.Run(ctx, slices.Concat(args, maps, []string{"-c", "copy", "-f", "mp4", ffmpeg.File(path)}), nil); err != nil {
			return nil, 0, err
		}
		paths = append(paths, path)
	}
	if !found {
		return nil, 0, jobErrorf(ams.ConfigurationUnsupported, "Nothing of the input (%q) lies in the clip.", reels[0].name)
	}
	return paths, from, nil
}

// copies reports whether the preset takes tracks over as they are.
func (r *recipe) copies() bool { return r.copyAll != copyNone || r.copyVideo || r.copyAudio }

// cutCopies cuts the files whose tracks are copied, if a part of them is asked for.
func cutCopies(ctx context.Context, tools ffmpeg.Tools, preset ams.Preset, q *Request, dir string) error {
	r, err := lookup(preset)
	if err != nil || !r.copies() {
		return nil // NewPlan says what is wrong
	}
	takes, err := q.takes(r)
	if err != nil || len(takes) != 1 || takes[0].clip == (Clip{}) {
		return nil
	}
	t := takes[0]
	if err := t.clip.check(t.info); err != nil {
		return q.about(t.main, err)
	}
	feed := &q.Feeds[t.main.feed]
	var reels []reel
	var which []int
	var opened closers
	defer func() { opened.close() }()
	for i := range feed.Files {
		src := &feed.Files[i]
		uses := r.copyAll != copyNone && !src.Info.Still() || t.video != nil && t.video.ref == (ref{t.main.feed, i})
		for _, a := range t.audio {
			for _, k := range a.tracks {
				uses = uses || k.ref == (ref{t.main.feed, i})
			}
		}
		if !uses {
			continue
		}
		f, err := os.Open(src.Path)
		if err != nil {
			return err
		}
		opened = append(opened, f)
		info, err := f.Stat()
		if err != nil {
			return err
		}
		index, err := mp4.BuildIndex(f, info.Size())
		if e, ok := errors.AsType[*mp4.Error](err); ok {
			if e.Fault == mp4.Truncated {
				return whole(*src)
			}
			return jobErrorf(ams.ConfigurationUnsupported, "%q: a part of it cannot be copied, as only MP4 files can be cut without being encoded again: encode it, or leave out the clip.", src.Name)
		}
		if err != nil {
			return err
		}
		reels, which = append(reels, reel{src.Name, f, index}), append(which, i)
	}
	paths, zero, err := cutReels(ctx, tools, reels, t.clip, dir)
	if err != nil {
		return err
	}
	var gone []int
	for n, i := range which {
		if paths[n] == "" {
			gone = append(gone, i)
			continue
		}
		src := &feed.Files[i]
		src.Path, src.Blob = paths[n], nil
		if src.Info, err = tools.Probe(ctx, src.Path); err != nil {
			return err
		}
	}
	for _, i := range slices.Backward(gone) {
		feed.Files = slices.Delete(feed.Files, i, i+1)
		if feed.Chosen > i {
			feed.Chosen--
		}
	}
	feed.Cut, feed.Zero = true, zero
	return nil
}
