package fmp4

import (
	"encoding/binary"
	"math"

	"github.com/openams/openams/packager/mp4"
)

const smoothTimescale = 10_000_000

// Flags of samples, tfhd and trun (ISO/IEC 14496-12 8.8).
const (
	syncSample    = 0x02000000 // depends on no other
	nonSyncSample = 0x01010000

	tfhdDuration   = 0x08
	tfhdFlags      = 0x20
	tfhdBaseIsMoof = 0x020000

	trunOffset   = 0x001
	trunFirst    = 0x004
	trunDuration = 0x100
	trunSize     = 0x200
	trunFlags    = 0x400
	trunCTO      = 0x800
)

// A shape says what is the same for all samples of a fragment, and so what its
// boxes hold once or for each.
type shape struct {
	flags    uint32 // of trun
	duration uint32 // of all samples, if trunDuration is not among flags
	each     int    // bytes of header that each sample takes
	size     int    // of all from styp to the head of mdat
	media    int64  // bytes of sample data
}

// Header returns what comes before the media of fragment f: everything up to
// the first byte of sample data. sequence counts the fragments from 1, samples
// are those of f.
func Header(t *mp4.Track, f mp4.Fragment, samples []mp4.Sample, sequence uint32, style Style) []byte {
	video := t.Kind == mp4.Video
	clock := newClock(t, f, style)
	s := clock.shape(samples)
	w := &writer{make([]byte, 0, s.size)}
	switch style {
	case CMAF:
		w.box("styp", func() {
			w.str("cmfs")
			w.u32(0)
			w.str("cmfscmffmsdh")
		})
	case CSF:
		w.box("styp", func() {
			w.str("msdh")
			w.u32(0)
			w.str("msdhiso6dash")
		})
	}
	moof := w.open("moof")
	at := w.full("mfhd", 0, 0)
	w.u32(sequence)
	w.end(at)
	traf := w.open("traf")

	flags := uint32(tfhdFlags)
	if style != Smooth {
		flags |= tfhdBaseIsMoof
	}
	if s.flags&trunDuration == 0 {
		flags |= tfhdDuration
	}
	at = w.full("tfhd", 0, flags)
	w.u32(TrackID(t))
	if s.flags&trunDuration == 0 {
		w.u32(s.duration)
	}
	if video {
		w.u32(nonSyncSample)
	} else {
		w.u32(syncSample)
	}
	w.end(at)
	if style != Smooth {
		at = w.full("tfdt", 1, 0)
		w.u64(uint64(f.Decode))
		w.end(at)
	}

	at = w.full("trun", 1, s.flags)
	w.u32(uint32(len(samples)))
	offset := len(w.b)
	w.u32(0)
	if s.flags&trunFirst != 0 {
		w.u32(syncSample)
	}
	dts := f.Decode
	for i := range samples {
		m := &samples[i]
		if s.flags&trunDuration != 0 {
			w.u32(clock.duration(dts, m.Dur))
		}
		w.u32(m.Size)
		if s.flags&trunFlags != 0 {
			if m.Sync {
				w.u32(syncSample)
			} else {
				w.u32(nonSyncSample)
			}
		}
		if s.flags&trunCTO != 0 {
			w.u32(uint32(clock.cto(dts, m.CTO)))
		}
		dts += int64(m.Dur)
	}
	w.end(at)
	if style == Smooth && video {
		at = w.full("sdtp", 0, 0)
		for i := range samples {
			if samples[i].Sync {
				w.u8(0x20) // depends on no other
			} else {
				w.u8(0x10)
			}
		}
		w.end(at)
	}
	w.end(traf)
	w.end(moof)
	if s.media+8 > math.MaxUint32 {
		w.u32(1)
		w.str("mdat")
		w.u64(uint64(s.media) + 16)
	} else {
		w.u32(uint32(s.media) + 8)
		w.str("mdat")
	}
	binary.BigEndian.PutUint32(w.b[offset:], uint32(len(w.b)-moof))
	return w.b
}

// HeaderSize returns the length of Header without writing it: fixed, and each
// for every sample. Fragments of a track seldom differ in the two.
func HeaderSize(t *mp4.Track, f mp4.Fragment, samples []mp4.Sample, style Style) (fixed, each int) {
	s := newClock(t, f, style).shape(samples)
	return s.size - s.each*len(samples), s.each
}

// A clock tells times of a fragment in the units of its style.
type clock struct {
	t      *mp4.Track
	decode int64 // of the fragment
	zero   int64 // composition offset that is written as 0
	style  Style
}

func newClock(t *mp4.Track, f mp4.Fragment, style Style) clock {
	return clock{t, f.Decode, int64(t.FirstCTO) - baseCTO(t, style), style}
}

func (c clock) ticks(t int64) int64 {
	if c.style != Smooth {
		return t
	}
	// Split, so that neither long files nor fine timescales overflow. Floors
	// are taken of absolute times: rounding never adds up.
	scale := int64(c.t.Timescale)
	q, r := t/scale, t%scale
	if r < 0 {
		q, r = q-1, r+scale
	}
	return q*smoothTimescale + r*smoothTimescale/scale
}

func (c clock) duration(dts int64, dur uint32) uint32 {
	return uint32(c.ticks(dts+int64(dur)) - c.ticks(dts))
}

func (c clock) cto(dts int64, cto int32) int32 {
	rel := int64(cto) - c.zero
	return int32(c.ticks(dts+rel) - c.ticks(dts))
}

func (c clock) shape(samples []mp4.Sample) shape {
	s := shape{flags: trunOffset | trunSize}
	sameDuration, anyCTO, otherSync := true, false, false
	dts := c.decode
	for i := range samples {
		m := &samples[i]
		s.media += int64(m.Size)
		d := c.duration(dts, m.Dur)
		if i == 0 {
			s.duration = d
		}
		sameDuration = sameDuration && d == s.duration
		anyCTO = anyCTO || int64(m.CTO) != c.zero
		otherSync = otherSync || m.Sync == (i > 0) // or the first is none
		dts += int64(m.Dur)
	}
	s.each = 4
	s.size = 8 + 16 + 8 + 12 + 4 + 4 + 12 + 4 + 4 + 8 // moof mfhd traf tfhd{id,flags} trun{count,offset} mdat
	if c.style != Smooth {
		s.size += 28 + 20 // styp tfdt
	}
	if sameDuration {
		s.size += 4
	} else {
		s.flags |= trunDuration
		s.each += 4
	}
	if c.t.Kind == mp4.Video {
		if otherSync {
			s.flags |= trunFlags
			s.each += 4
		} else {
			s.flags |= trunFirst
			s.size += 4
		}
		if c.style == Smooth {
			s.size += 12
			s.each++
		}
	}
	if anyCTO {
		s.flags |= trunCTO
		s.each += 4
	}
	s.size += s.each * len(samples)
	if s.media+8 > math.MaxUint32 {
		s.size += 8
	}
	return s
}
