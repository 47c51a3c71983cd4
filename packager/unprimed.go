package packager

import (
	"slices"

	"github.com/openams/openams/packager/mp4"
)

// Unprimed returns r for clients that know no edit list, as those of Smooth
// Streaming: fragments have the names that they have elsewhere, and hold what is
// heard from then on. Audio loses the frames that are decoded before
// presentation time 0, nearest to a whole number, and so every fragment begins
// that much later in the media; with them it would be heard 21 ms after the
// pictures (AAC). Fragments of live archives stay as they were recorded.
func (r *Rendition) Unprimed() *Rendition {
	if r.Text != nil {
		return r
	}
	list := r.unprimed()
	if list == nil {
		return r
	}
	s := *r
	s.Fragments = list[r.Skip : r.Skip+len(r.Fragments)]
	return &s
}

// newUnprimed makes the fragments of Unprimed, nil where they are those of r.
func (r *Rendition) newUnprimed() []Fragment {
	m := r.Media
	if r.Track.Kind != mp4.Audio || r.archived || m.Lead() == 0 {
		return nil
	}
	n := m.SampleAt(0)
	if before := m.Sample(n); 2*(m.EditStart-int64(m.FirstCTO)-int64(before.DTS)) > int64(before.Dur) {
		n++
	}
	total := m.NumSamples()
	if n == 0 || n >= total {
		return nil
	}
	list := slices.Clone(r.Fragments)
	for k := range list {
		f := &list[k]
		// Each keeps a frame, also behind a last one that is shorter than n.
		f.First = min(f.First+n, total-len(list)+k)
		if k > 0 {
			list[k-1].N = f.First - list[k-1].First
		}
	}
	last := &list[len(list)-1]
	last.N = total - last.First
	last.Dur = max(last.Dur-int64(m.Sample(n).DTS-m.Sample(0).DTS), int64(m.Sample(total-1).Dur), 1)
	last.Length = max(1, Ticks(last.Time+last.Dur, m.Timescale)-last.Start)
	for k := range list {
		list[k].Bytes = m.Bytes(list[k].First, list[k].N)
	}
	return list
}
