package blob

import "hash/crc64"

// crcPoly is the reflected polynomial of Azure storage's CRC-64.
const crcPoly = 0x9A6C9329AC4BC9B5

// NewCRC returns the table of Azure storage's CRC-64, for hash/crc64.
func NewCRC() *crc64.Table { return crc64.MakeTable(crcPoly) }

// A gf2 is a 64×64 matrix over GF(2): one column per bit.
type gf2 [64]uint64

func (m *gf2) times(v uint64) (sum uint64) {
	for i := 0; v != 0; v, i = v>>1, i+1 {
		if v&1 != 0 {
			sum ^= m[i]
		}
	}
	return sum
}

func (m *gf2) after(n *gf2) (p gf2) {
	for i := range p {
		p[i] = m.times(n[i])
	}
	return p
}

// zeros is the matrix that turns the CRC of a text into the CRC of the text
// followed by n zero bytes, initial and final inversion left out.
func zeros(n int64) gf2 {
	var op, sum gf2
	op[0] = crcPoly // one zero bit
	for i := 1; i < 64; i++ {
		op[i] = 1 << (i - 1)
	}
	for i := range sum {
		sum[i] = 1 << i
	}
	for range 3 { // one zero byte
		op = op.after(&op)
	}
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			sum = op.after(&sum)
		}
		op = op.after(&op)
	}
	return sum
}

// A crcJoiner computes the CRC of two texts put together from their CRCs. It
// remembers one matrix, because the blocks of a blob have mostly one length.
type crcJoiner struct {
	n int64
	m gf2
}

// join is the CRC of a text with CRC a followed by one of n bytes with CRC b.
func (j *crcJoiner) join(a, b uint64, n int64) uint64 {
	if n == 0 {
		return a
	}
	if j.n != n {
		j.n, j.m = n, zeros(n)
	}
	return j.m.times(a) ^ b
}
