package mp4

// A bitReader reads the bits of a NAL unit, leaving out its emulation prevention
// bytes. Behind the end, and after a number too long to be true, it reads zeros
// and bad is set: whoever loops by a number that was read must bound it.
type bitReader struct {
	b     []byte
	pos   int // of the next byte
	zeros int // bytes of zero just before it
	cur   uint64
	n     int // bits of cur that are left
	bad   bool
}

func (r *bitReader) bit() uint32 {
	if r.n == 0 {
		if r.pos < len(r.b) && r.zeros >= 2 && r.b[r.pos] == 3 {
			r.pos++
			r.zeros = 0
		}
		if r.pos >= len(r.b) {
			r.bad = true
			return 0
		}
		c := r.b[r.pos]
		r.pos++
		if c == 0 {
			r.zeros++
		} else {
			r.zeros = 0
		}
		r.cur, r.n = uint64(c), 8
	}
	r.n--
	return uint32(r.cur>>r.n) & 1
}

func (r *bitReader) flag() bool { return r.bit() == 1 }

// bits reads up to 32 bits.
func (r *bitReader) bits(n int) (v uint32) {
	for range n {
		v = v<<1 | r.bit()
	}
	return v
}

func (r *bitReader) skip(n int) {
	for range n {
		if r.bad {
			return
		}
		r.bit()
	}
}

// ue reads an unsigned Exp-Golomb code.
func (r *bitReader) ue() uint32 {
	zeros := 0
	for r.bit() == 0 {
		if zeros++; r.bad || zeros > 31 {
			r.bad = true
			return 0
		}
	}
	return 1<<zeros - 1 + r.bits(zeros)
}

// se reads a signed Exp-Golomb code.
func (r *bitReader) se() int32 {
	v := r.ue()
	if v&1 == 1 {
		return int32(v/2) + 1
	}
	return -int32(v / 2)
}

// ues skips n codes, signed or not.
func (r *bitReader) ues(n int) {
	for range n {
		r.ue()
	}
}

// most reads a code that must not be greater than limit.
func (r *bitReader) most(limit uint32) int {
	v := r.ue()
	if v > limit {
		r.bad = true
		return 0
	}
	return int(v)
}

// done returns the number of bytes read, the begun one included.
func (r *bitReader) done() int { return r.pos }
