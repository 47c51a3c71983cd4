package mp4

import (
	"encoding/binary"
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
	return int64(binary.LittleEndian.Uint64(t.table.marks))
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

// FragmentsOf cuts the track before each of the samples firsts, numbers that
// ascend from 0: for tracks whose cuts are known from elsewhere.
func (t *Track) FragmentsOf(firsts []int) []Fragment {
	shift, sum := t.shift(), int64(0)
	decode := shift + int64(t.FirstCTO)
	var list []Fragment
	for _, i := range firsts {
		if i < 0 || i >= t.table.n || len(list) > 0 && i <= list[len(list)-1].First {
			continue
		}
		c := t.table.from(i)
		before := c.sum
		c.next()
		f := Fragment{First: i, Time: int64(c.last.DTS) + int64(c.last.CTO) + shift, Decode: int64(c.last.DTS) + decode}
		if k := len(list) - 1; k >= 0 {
			list[k].N = i - list[k].First
			list[k].Dur = f.Time - list[k].Time
			list[k].Bytes = before - sum
		}
		sum = before
		list = append(list, f)
	}
	if len(list) > 0 {
		last := &list[len(list)-1]
		last.N = t.table.n - last.First
		last.Bytes = t.table.sumBefore(t.table.n) - sum
		last.Dur = t.pieceEnd(last.Time, t.table.n) - last.Time
	}
	return list
}

// Recorded cuts the track into the pieces that hold samples of it, and returns
// the names of these beside.
func (t *Track) Recorded(pieces []Piece) (list []Fragment, names []uint64) {
	if t.table.n == 0 {
		return nil, nil
	}
	var firsts []int
	c := t.table.from(0)
	for i := range t.table.n {
		c.next()
		at := -1
		for at+1 < len(pieces) && pieces[at+1].Offset <= c.last.Offset {
			at++
		}
		if at >= 0 {
			firsts, names = append(firsts, i), append(names, pieces[at].Name)
			pieces = pieces[at+1:]
		}
	}
	return t.FragmentsOf(firsts), names
}

// Common cuts video tracks where all of them have a key frame at one
// presentation time, by the rule of Fragments, and returns the first samples of
// the fragments of each. The tracks need not have key frames elsewhere at the
// same times.
func Common(tracks []*Track, target time.Duration) [][]int {
	if target <= 0 {
		target = DefaultFragment
	}
	least := target.Seconds() - 0.001
	type point struct {
		sample int
		at     float64 // seconds on the presentation clock
	}
	points := make([][]point, len(tracks))
	tolerance := 0.0
	for i, t := range tracks {
		if t.table.n == 0 {
			return nil
		}
		tolerance = max(tolerance, 1.001/float64(t.Timescale))
		t.table.eachSync(func(p syncPoint) bool {
			points[i] = append(points[i], point{p.sample, t.seconds(p.dts + p.cto - t.EditStart)})
			return true
		})
	}
	firsts := make([][]int, len(tracks))
	for i := range firsts {
		firsts[i] = []int{0}
	}
	last := tracks[0].seconds(tracks[0].shift() + tracks[0].firstDTS() + int64(tracks[0].FirstCTO) - tracks[0].Lead())
candidates:
	for _, p := range points[0] {
		if p.sample == 0 || p.at-last < least {
			continue
		}
		at := make([]int, len(tracks))
		at[0] = p.sample
		for i := 1; i < len(tracks); i++ {
			for len(points[i]) > 0 && points[i][0].at < p.at-tolerance {
				points[i] = points[i][1:]
			}
			if len(points[i]) == 0 || points[i][0].at > p.at+tolerance || points[i][0].sample == 0 {
				continue candidates
			}
			at[i] = points[i][0].sample
		}
		for i := range tracks {
			firsts[i] = append(firsts[i], at[i])
		}
		last = p.at
	}
	return firsts
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

// Misaligned compares the fragments fa and fb of two video tracks, which may have
// different timescales, and describes the first difference: which fragment
// starts where in each. It returns nil if players can switch between the
// tracks at every fragment.
func Misaligned(a, b *Track, fa, fb []Fragment) error {
	leadA, leadB := a.Lead(), b.Lead()
	// One tick of the coarser timescale is rounding.
	tolerance := 1.001 / float64(min(a.Timescale, b.Timescale))
	for i := range min(len(fa), len(fb)) {
		x, y := a.seconds(fa[i].Time-leadA), b.seconds(fb[i].Time-leadB)
		if d := x - y; max(d, -d) > tolerance {
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
