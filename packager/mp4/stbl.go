package mp4

import "time"

// parseSamples reads the sample tables of a track whose samples use the sample
// entry of that number (from 1) in stsd.
func (m *movie) parseSamples(t *trak, stbl box, entry uint32) error {
	sizes, err := parseSizes(stbl)
	if err != nil {
		return err
	}
	if sizes.n > maxSamples {
		return sizes.box.errorf(Unsupported, "track %d has %d samples, more than %d", t.ID, sizes.n, maxSamples)
	}
	if sizes.n == 0 {
		t.build = newBuilder(0, 1)
		return nil
	}
	chunks, err := parseChunks(stbl)
	if err != nil {
		return err
	}
	stts, err := parseRuns(stbl, "stts")
	if err != nil {
		return err
	}
	if stts.box.typ == "" {
		return stbl.errorf(Malformed, "the box holds no stts box")
	}
	ctts, err := parseRuns(stbl, "ctts")
	if err != nil {
		return err
	}
	syncs, err := parseSyncs(stbl)
	if err != nil {
		return err
	}

	t.build = newBuilder(0, ctts.gcd())
	for i := uint32(0); i < sizes.n; {
		off, n, desc, ok := chunks.next()
		if !ok {
			return chunks.stsc.errorf(Malformed, "track %d has %d samples, but its chunks hold %d", t.ID, sizes.n, i)
		}
		if desc != entry && n > 0 {
			return chunks.stsc.errorf(Unsupported, "track %d changes its sample entry at sample %d", t.ID, i+1)
		}
		for n = min(n, sizes.n-i); n > 0; n-- {
			s := Sample{Size: sizes.at(i), Sync: syncs.has(i + 1)}
			dur, ok := stts.next()
			if !ok || dur > 1<<31 {
				return stts.box.errorf(Malformed, "track %d has %d samples, but valid durations for %d", t.ID, sizes.n, i)
			}
			s.Dur = dur
			if ctts.box.typ != "" {
				cto, ok := ctts.next()
				if !ok {
					return ctts.box.errorf(Malformed, "track %d has %d samples, but composition offsets for %d", t.ID, sizes.n, i)
				}
				s.CTO = int32(cto) // version 0 is unsigned, but was written signed before version 1 came
			}
			if off > uint64(m.size) || uint64(s.Size) > uint64(m.size)-off {
				return m.beyond(t, stbl, off, uint64(s.Size))
			}
			s.Offset = int64(off)
			if err := m.add(t, stbl, s); err != nil {
				return err
			}
			off += uint64(s.Size)
			i++
		}
	}
	return nil
}

// add appends a sample that lies inside the file.
func (m *movie) add(t *trak, at box, s Sample) error {
	// Samples of honest files do not overlap; this also bounds what is made of
	// tables that say much in few bytes.
	if m.bytes += int64(s.Size); m.bytes > m.size {
		return at.errorf(Malformed, "the samples have more bytes together than the file: they overlap")
	}
	t.build.add(s)
	return nil
}

// beyond reports a sample that the file does not hold.
func (m *movie) beyond(t *trak, at box, off, size uint64) error {
	second := (time.Duration(float64(t.build.dts) / float64(t.Timescale) * float64(time.Second))).Round(time.Millisecond)
	return at.errorf(Truncated, "sample %d of track %d (%s, at %v) lies at byte %d with %d bytes, but the file ends at byte %d",
		t.build.n+1, t.ID, t.Kind, second, off, size, m.size)
}

// sizes is stsz or stz2.
type sizes struct {
	box     box
	n       uint32
	uniform uint32 // if not 0, the size of every sample
	bits    int
	data    []byte
}

func parseSizes(stbl box) (s sizes, err error) {
	if s.box, err = stbl.child("stsz"); err != nil {
		return s, err
	}
	s.bits = 32
	if s.box.typ == "" {
		if s.box, err = stbl.must("stz2"); err != nil {
			return s, &Error{Malformed, stbl.typ, stbl.off, "the box holds neither an stsz nor an stz2 box"}
		}
	}
	_, _, rest, err := s.box.full(8)
	if err != nil {
		return s, err
	}
	s.n = be32(rest[4:])
	if s.box.typ == "stz2" {
		s.bits = int(rest[3])
		if s.bits != 4 && s.bits != 8 && s.bits != 16 {
			return s, s.box.errorf(Malformed, "sizes of %d bits", s.bits)
		}
	} else if s.uniform = be32(rest); s.uniform != 0 {
		return s, nil
	}
	s.data = rest[8:]
	if need := (uint64(s.n)*uint64(s.bits) + 7) / 8; need > uint64(len(s.data)) {
		return s, s.box.errorf(Malformed, "the table has %d entries, but %d bytes", s.n, len(s.data))
	}
	return s, nil
}

func (s *sizes) at(i uint32) uint32 {
	switch {
	case s.uniform != 0:
		return s.uniform
	case s.bits == 4:
		return uint32(s.data[i/2]>>(4*(1-i%2))) & 15
	case s.bits == 8:
		return uint32(s.data[i])
	case s.bits == 16:
		return uint32(be16(s.data[2*i:]))
	}
	return be32(s.data[4*i:])
}

// chunks walks stsc and stco or co64 together.
type chunks struct {
	stsc    box
	entries []byte // of stsc that are still to come
	offsets []byte // of chunks that are still to come
	wide    bool
	number  uint32 // of the next chunk, from 1
	n, desc uint32 // of the entry in force
}

func parseChunks(stbl box) (c chunks, err error) {
	if c.stsc, err = stbl.must("stsc"); err != nil {
		return c, err
	}
	if _, c.entries, err = c.stsc.table(12); err != nil {
		return c, err
	}
	stco, err := stbl.child("stco")
	if err != nil {
		return c, err
	}
	size := 4
	if stco.typ == "" {
		if stco, err = stbl.child("co64"); err != nil {
			return c, err
		}
		if stco.typ == "" {
			return c, stbl.errorf(Malformed, "the box holds neither an stco nor a co64 box")
		}
		c.wide, size = true, 8
	}
	_, c.offsets, err = stco.table(size)
	if err == nil && len(c.entries) > 0 && be32(c.entries) != 1 {
		err = c.stsc.errorf(Malformed, "the first entry is for chunk %d", be32(c.entries))
	}
	c.number = 1
	return c, err
}

// next returns offset, number of samples and sample entry of the next chunk.
func (c *chunks) next() (off uint64, n, desc uint32, ok bool) {
	if len(c.entries) > 0 && be32(c.entries) <= c.number {
		c.n, c.desc = be32(c.entries[4:]), be32(c.entries[8:])
		c.entries = c.entries[12:]
	}
	if len(c.offsets) == 0 {
		return 0, 0, 0, false
	}
	if c.wide {
		off, c.offsets = be64(c.offsets), c.offsets[8:]
	} else {
		off, c.offsets = uint64(be32(c.offsets)), c.offsets[4:]
	}
	c.number++
	return off, c.n, c.desc, true
}

// runs is stts or ctts: a value for so many samples.
type runs struct {
	box     box
	entries []byte
	left    uint32
	value   uint32
}

func parseRuns(stbl box, typ string) (r runs, err error) {
	if r.box, err = stbl.child(typ); err != nil || r.box.typ == "" {
		return r, err
	}
	_, r.entries, err = r.box.table(8)
	return r, err
}

func (r *runs) next() (value uint32, ok bool) {
	for r.left == 0 {
		if len(r.entries) == 0 {
			return 0, false
		}
		r.left, r.value = be32(r.entries), be32(r.entries[4:])
		r.entries = r.entries[8:]
	}
	r.left--
	return r.value, true
}

// gcd returns the greatest common divisor of all values as signed numbers.
func (r *runs) gcd() int32 {
	var g int64
	for e := r.entries; len(e) > 0 && g != 1; e = e[8:] {
		a, b := g, abs(int32(be32(e[4:])))
		for b != 0 {
			a, b = b, a%b
		}
		g = a
	}
	if g < 1 || g > 1<<30 {
		return 1
	}
	return int32(g)
}

// syncs is stss.
type syncs struct {
	all     bool
	entries []byte
}

func parseSyncs(stbl box) (s syncs, err error) {
	b, err := stbl.child("stss")
	if err != nil {
		return s, err
	}
	if b.typ == "" {
		return syncs{all: true}, nil
	}
	_, s.entries, err = b.table(4)
	return s, err
}

// has tells whether sample number i, from 1, is a sync sample. i must grow.
func (s *syncs) has(i uint32) bool {
	for len(s.entries) > 0 && be32(s.entries) < i {
		s.entries = s.entries[4:]
	}
	return s.all || len(s.entries) > 0 && be32(s.entries) == i
}
