package mp4

import (
	"fmt"
	"time"
)

// DefaultFragment is the target duration of a fragment unless an asset says
// otherwise: three GOPs of 2 s, as AMS cut them.
const DefaultFragment = 6 * time.Second

// A Fragment is a run of samples that starts with a sync sample.
type Fragment struct {
	First, N int   // its samples are [First, First+N)
	Time     int64 // media time of its first sample: the name of the fragment in URLs and manifests
	Decode   int64 // decode time of its first sample for tfdt: DTS moved so that the track's first sample has Decode == Time
	Dur      int64 // to the next fragment's Time; for the last one to the end of the last sample shown
	Bytes    int64 // sum of its sample sizes
}

// Lead is the length of media that is decoded before presentation time 0:
// codec priming cut off by the edit list. It is 0 for a track that starts at 0
// or later.
func (t *Track) Lead() int64 { return max(0, t.EditStart-int64(t.FirstCTO)-t.firstDTS()) }

// firstDTS returns the decode time of the first sample.
func (t *Track) firstDTS() int64 {
	if t.table.n == 0 {
		return 0
	}
	return int64(t.table.sample(0).DTS)
}

// shift is what turns DTS + CTO into media time.
func (t *Track) shift() int64 { return t.Lead() - t.EditStart }

// ticks converts a duration to the track's timescale.
func (t *Track) ticks(d time.Duration) int64 {
	ts := int64(t.Timescale)
	return int64(d/time.Second)*ts + int64(d%time.Second)*ts/int64(time.Second)
}

// Fragments cuts the track into fragments. It is the one rule that everything
// in openams follows: the first fragment starts with the first sample, and a
// fragment ends before the first sync sample whose media time is at least
// target after the fragment's Time. One millisecond early counts as on time,
// because coarse timescales cannot say 6 s of every frame rate. For audio and
// text every sample is a sync sample, so that all fragments but the last hold
// the same number of frames if frames are equally long. Audio is not cut at
// the video's times.
//
// A target of 0 or less means DefaultFragment.
func (t *Track) Fragments(target time.Duration) []Fragment {
	if target <= 0 {
		target = DefaultFragment
	}
	least := max(1, t.ticks(target)-t.ticks(time.Millisecond))
	return t.cut(0, t.table.n, least)
}

// GOPs returns the groups of pictures in f, in the form of fragments: each
// starts with a sync sample and holds the samples up to the next one. To list
// those of the whole track, pass a Fragment of all its samples.
func (t *Track) GOPs(f Fragment) []Fragment {
	first, n := t.table.clip(f.First, f.N)
	if n <= 0 {
		return nil
	}
	return t.cut(first, first+n, 1)
}

// cut cuts samples [first, end) before the first sync sample that is at least
// least ticks after the start of the piece before.
func (t *Track) cut(first, end int, least int64) []Fragment {
	if first >= end {
		return nil
	}
	shift := t.shift()
	decode := shift + int64(t.FirstCTO)
	var list []Fragment
	add := func(p syncPoint) {
		f := Fragment{First: p.sample, Time: p.dts + p.cto + shift, Decode: p.dts + decode, Bytes: p.sum}
		if k := len(list) - 1; k >= 0 {
			list[k].N = f.First - list[k].First
			list[k].Dur = f.Time - list[k].Time
			list[k].Bytes = f.Bytes - list[k].Bytes
		}
		list = append(list, f)
	}

	c := t.table.from(first)
	sum := c.sum
	c.next()
	add(syncPoint{first, int64(c.last.DTS), int64(c.last.CTO), sum})
	if t.table.even {
		for cto := int64(t.FirstCTO); ; {
			// The sample before the first one that is late enough, then that one.
			c := t.table.at(list[len(list)-1].Time - shift - cto + least - 1)
			if c.i >= end || c.i <= list[len(list)-1].First {
				break
			}
			sum := c.sum
			i := c.i
			c.next()
			add(syncPoint{i, int64(c.last.DTS), cto, sum})
		}
	} else {
		t.table.points(func(p syncPoint) bool {
			if p.sample > first && p.sample < end && p.dts+p.cto+shift-list[len(list)-1].Time >= least {
				add(p)
			}
			return p.sample < end
		})
	}

	last := &list[len(list)-1]
	last.N = end - last.First
	last.Bytes = t.table.sumBefore(end) - last.Bytes
	last.Dur = t.pieceEnd(last.Time, end) - last.Time
	return list
}

// pieceEnd returns the media time at which a piece stops that starts at media
// time start and ends before sample end: the time of that sample, which starts
// a GOP, or the end of the track.
func (t *Track) pieceEnd(start int64, end int) int64 {
	if end < t.table.n {
		s := t.table.sample(end)
		return int64(s.DTS) + int64(s.CTO) + t.shift()
	}
	if shown := t.Duration() + t.Lead(); shown > start {
		return shown
	}
	return t.mediaEnd + t.shift() // the edit list ends before the piece
}

// Duration returns the presentation time at which the track ends.
func (t *Track) Duration() int64 {
	end := t.mediaEnd - t.EditStart
	if t.EditEnd > 0 {
		return min(end, t.EditEnd)
	}
	return end
}

// Misaligned compares the fragments of two video tracks, which may have
// different timescales, and describes the first difference: which fragment
// starts where in each. It returns nil if players can switch between the
// tracks at every fragment.
func Misaligned(a, b *Track, target time.Duration) error {
	fa, fb := a.Fragments(target), b.Fragments(target)
	for i := range min(len(fa), len(fb)) {
		// One tick of the coarser timescale is rounding.
		x, y := a.seconds(fa[i].Time-a.Lead()), b.seconds(fb[i].Time-b.Lead())
		if d := x - y; max(d, -d) > 1.001/float64(min(a.Timescale, b.Timescale)) {
			return fmt.Errorf("fragment %d starts at %.3f s in one and at %.3f s in the other", i+1, x, y)
		}
	}
	if len(fa) != len(fb) {
		return fmt.Errorf("one has %d fragments (%.3f s), the other %d (%.3f s)",
			len(fa), a.seconds(a.Duration()), len(fb), b.seconds(b.Duration()))
	}
	return nil
}

func (t *Track) seconds(ticks int64) float64 { return float64(ticks) / float64(t.Timescale) }
