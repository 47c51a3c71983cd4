package mp4

import "io"

// trex holds the defaults of a track's fragments.
type trex struct {
	desc, dur, size, flags uint32
}

// nonSync is sample_is_non_sync_sample in sample flags.
const nonSync = 1 << 16

// parseFragments reads the moof boxes of a fragmented file.
func (m *movie) parseFragments(r io.ReaderAt) error {
	mvex, err := m.moov.must("mvex")
	if err != nil {
		return err
	}
	err = mvex.each(0, func(b box) error {
		if b.typ != "trex" {
			return nil
		}
		_, _, data, err := b.full(20)
		if err != nil {
			return err
		}
		if t := m.trak(be32(data)); t != nil {
			t.trex = trex{be32(data[4:]), be32(data[8:]), be32(data[12:]), be32(data[16:])}
		}
		return nil
	})
	if err != nil {
		return err
	}
	pending := make(map[*trak]*fragReader)
	for _, s := range m.moofs {
		moof, err := s.read(r, m.size, maxMoof)
		if err != nil {
			return err
		}
		end := s.off // data without an offset of its own follows the traf before
		err = moof.each(0, func(b box) error {
			if b.typ != "traf" {
				return nil
			}
			return m.parseTraf(b, s.off, &end, pending)
		})
		if err != nil {
			return err
		}
	}
	for t, f := range pending {
		if err := f.flush(m, t, t.box, f.last.Dur); err != nil {
			return err
		}
	}
	return nil
}

func (m *movie) trak(id uint32) *trak {
	for _, t := range m.tracks {
		if t.ID == id {
			return t
		}
	}
	return nil
}

// A fragReader holds back the last sample of a track: if the next tfdt tells of
// a gap or an overlap, that sample's duration takes it up.
type fragReader struct {
	last Sample
	some bool
	dts  uint64 // of the sample after last
}

// flush adds the sample held back.
func (f *fragReader) flush(m *movie, t *trak, at box, dur uint32) error {
	if !f.some {
		return nil
	}
	f.some = false
	f.last.Dur = dur
	if t.build.n >= maxSamples {
		return at.errorf(Unsupported, "track %d has more than %d samples", t.ID, maxSamples)
	}
	return m.add(t, at, f.last)
}

func (m *movie) parseTraf(traf box, moof int64, end *int64, pending map[*trak]*fragReader) error {
	tfhd, err := traf.must("tfhd")
	if err != nil {
		return err
	}
	_, flags, data, err := tfhd.full(4)
	if err != nil {
		return err
	}
	t := m.trak(be32(data))
	if t == nil {
		return tfhd.errorf(Malformed, "a fragment of track %d, which the moov box does not have", be32(data))
	}
	base, defaults := *end, t.trex
	if flags&0x20000 != 0 { // default-base-is-moof
		base = moof
	}
	data = data[4:]
	field := func(flag uint32, n int) []byte {
		if flags&flag == 0 || len(data) < n {
			return nil
		}
		v := data[:n]
		data = data[n:]
		return v
	}
	if v := field(1, 8); v != nil {
		if base = int64(be64(v)); base < 0 {
			return tfhd.errorf(Malformed, "the base data offset is negative")
		}
	}
	for _, d := range [...]struct {
		flag  uint32
		value *uint32
	}{{2, &defaults.desc}, {8, &defaults.dur}, {0x10, &defaults.size}, {0x20, &defaults.flags}} {
		if v := field(d.flag, 4); v != nil {
			*d.value = be32(v)
		}
	}
	if t.raw {
		return nil
	}
	f := pending[t]
	if f == nil {
		f = &fragReader{dts: t.build.dts}
		pending[t] = f
	}
	if err := m.parseTfdt(t, traf, f); err != nil {
		return err
	}
	at := base
	return traf.each(0, func(b box) error {
		if b.typ != "trun" {
			return nil
		}
		if err := m.parseTrun(t, b, f, defaults, base, &at); err != nil {
			return err
		}
		*end = at
		return nil
	})
}

// parseTfdt moves the decode time to where the fragment starts.
func (m *movie) parseTfdt(t *trak, traf box, f *fragReader) error {
	tfdt, err := traf.child("tfdt")
	if err != nil {
		return err
	}
	if tfdt.typ == "" {
		// Fragments of Smooth Streaming say it in a box of their own.
		if tfdt, err = traf.tfxd(); err != nil || tfdt.typ == "" {
			return err
		}
	}
	version, _, data, err := tfdt.full(4)
	if err != nil {
		return err
	}
	dts := uint64(be32(data))
	if version == 1 {
		if len(data) < 8 {
			return tfdt.errorf(Malformed, "the box is too short for its version")
		}
		dts = be64(data)
	}
	if t.build.n == 0 && !f.some && int64(dts) < 0 && -dts < 10*uint64(t.Timescale) {
		// Priming before time 0, as ffmpeg writes it into tfxd.
		t.early = -dts
		t.edits.start += int64(t.early)
	}
	dts += t.early
	switch {
	case dts > 1<<57: // in 1/10,000,000 s since 1970 it is 2018 at 1<<54
		return tfdt.errorf(Malformed, "decode time %d", dts)
	case t.build.n == 0 && !f.some:
		t.build.dts = dts
	case f.some && dts >= t.build.dts && dts-t.build.dts < 1<<31:
		if err := f.flush(m, t, tfdt, uint32(dts-t.build.dts)); err != nil {
			return err
		}
	case dts != f.dts:
		return tfdt.errorf(Unsupported, "track %d goes from decode time %d to %d", t.ID, f.dts, dts)
	}
	f.dts = dts
	return nil
}

// tfxdID is the type of the uuid box that holds time and duration of a fragment
// ([MS-SSTR] 2.2.4.4).
const tfxdID = "\x6d\x1d\x9b\x05\x42\xd5\x44\xe6\x80\xe2\x14\x1d\xaf\xf7\x57\xb2"

// tfxd returns the tfxd box in the form of a tfdt: they begin alike.
func (b box) tfxd() (found box, err error) {
	err = b.each(0, func(c box) error {
		if c.typ == "uuid" && len(c.data) > 16 && string(c.data[:16]) == tfxdID && found.typ == "" {
			found = box{"tfxd", c.off, c.head + 16, c.data[16:]}
		}
		return nil
	})
	return found, err
}

func (m *movie) parseTrun(t *trak, b box, f *fragReader, d trex, base int64, at *int64) error {
	_, flags, data, err := b.full(4)
	if err != nil {
		return err
	}
	n := be32(data)
	data = data[4:]
	need := func(k int) error {
		if len(data) < k {
			return b.errorf(Malformed, "the box is cut short")
		}
		return nil
	}
	if flags&1 != 0 {
		if err := need(4); err != nil {
			return err
		}
		*at = base + int64(int32(be32(data)))
		data = data[4:]
	}
	first, special := uint32(0), flags&4 != 0
	if special {
		if err := need(4); err != nil {
			return err
		}
		first, data = be32(data), data[4:]
	}
	var width uint64
	for flag := uint32(0x100); flag <= 0x800; flag <<= 1 {
		if flags&flag != 0 {
			width += 4
		}
	}
	if uint64(n)*width > uint64(len(data)) {
		return b.errorf(Malformed, "%d samples in %d bytes", n, len(data))
	}
	if flags&0x200 == 0 && d.size == 0 && n > 0 {
		return b.errorf(Malformed, "%d samples without a size", n)
	}
	if d.desc > 1 {
		return b.errorf(Unsupported, "track %d changes its sample entry", t.ID)
	}
	for i := range n {
		s := Sample{Size: d.size, Dur: d.dur}
		sf := d.flags
		if i == 0 && special {
			sf = first
		}
		for _, p := range [...]struct {
			flag uint32
			set  func(uint32)
		}{
			{0x100, func(v uint32) { s.Dur = v }},
			{0x200, func(v uint32) { s.Size = v }},
			{0x400, func(v uint32) { sf = v }},
			{0x800, func(v uint32) { s.CTO = int32(v) }},
		} {
			if flags&p.flag != 0 {
				p.set(be32(data))
				data = data[4:]
			}
		}
		s.Sync = sf&nonSync == 0
		if s.Dur > 1<<31 {
			return b.errorf(Malformed, "a sample lasts %d ticks", s.Dur)
		}
		if err := f.flush(m, t, b, f.last.Dur); err != nil {
			return err
		}
		if *at < 0 || *at > m.size || int64(s.Size) > m.size-*at {
			return m.beyond(t, b, uint64(max(0, *at)), uint64(s.Size))
		}
		s.Offset = *at
		*at += int64(s.Size)
		f.last, f.some = s, true
		f.dts += uint64(s.Dur)
	}
	return nil
}
