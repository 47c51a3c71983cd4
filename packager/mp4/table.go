package mp4

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"sort"
)

// A table holds the samples of a track in the form in which they are stored:
// blocks of blockLen samples as varints, with a mark before each block, so that
// a sample is found by decoding at most one block. A sample takes two bytes of
// audio and four or five of video.
//
// A sample is head [dur] [cto] [jump], all varints:
//
//	head  size<<4 | flags
//	dur   if flagDur: duration, else that of the sample before
//	cto   if flagCTO: zigzag of the change of CTO/unit since the sample before
//	jump  if flagJump: zigzag of the distance from the end of the sample before
//
// "Before" ends at the block: its first sample follows on a sample with
// duration 0 and CTO 0 that ends where the mark says.
//
// The reading side trusts nothing: damaged data gives wrong samples, never a
// panic.
type table struct {
	n     int    // samples
	unit  int32  // greatest common divisor of all CTOs, at least 1
	marks []byte // markLen bytes for each block
	data  []byte // blocks
	syncs []byte // nsync entries; unused if even
	nsync int
	even  bool // all samples are sync samples with the CTO of the first
}

const (
	blockLen = 64
	markLen  = 8 + 8 + 8 + 4 // DTS, offset, bytes of all samples before, position in data

	flagSync = 1 << 0
	flagDur  = 1 << 1
	flagCTO  = 1 << 2
	flagJump = 1 << 3
	headBits = 4
)

// A cursor walks over the samples of a table.
type cursor struct {
	t    *table
	i    int    // number of the next sample
	pos  int    // its position in t.data
	end  int64  // end of the sample before, in the file
	dts  uint64 // of the next sample
	sum  int64  // bytes of all samples before the next one
	dur  uint32
	cto  int64 // in units
	last Sample
}

// from returns a cursor whose next sample is i.
func (t *table) from(i int) cursor {
	c := cursor{t: t}
	c.enter(i / blockLen)
	for c.i < i {
		c.next()
	}
	return c
}

// enter places c at the start of a block.
func (c *cursor) enter(block int) {
	m := c.t.marks[block*markLen:][:markLen]
	c.i = block * blockLen
	c.dts = binary.LittleEndian.Uint64(m)
	c.end = int64(binary.LittleEndian.Uint64(m[8:]))
	c.sum = int64(binary.LittleEndian.Uint64(m[16:]))
	c.pos = int(binary.LittleEndian.Uint32(m[24:]))
	c.dur, c.cto = 0, 0
}

// next decodes the next sample into c.last. There must be one.
func (c *cursor) next() {
	if c.i%blockLen == 0 {
		c.enter(c.i / blockLen)
	}
	head := c.uvarint()
	if head&flagDur != 0 {
		c.dur = uint32(c.uvarint())
	}
	if head&flagCTO != 0 {
		c.cto += unzigzag(c.uvarint())
	}
	if head&flagJump != 0 {
		c.end += unzigzag(c.uvarint())
	}
	size := uint32(head >> headBits)
	c.last = Sample{
		Offset: c.end,
		Size:   size,
		DTS:    c.dts,
		CTO:    int32(c.cto * int64(c.t.unit)),
		Dur:    c.dur,
		Sync:   head&flagSync != 0,
	}
	c.i++
	c.end += int64(size)
	c.sum += int64(size)
	c.dts += uint64(c.dur)
}

func (c *cursor) uvarint() uint64 {
	v, n := varintAt(c.t.data, c.pos)
	c.pos += n
	return v
}

// varintAt reads the varint at pos and says how long it is; those of up to four
// bytes, as nearly all are, in one go.
func varintAt(data []byte, pos int) (v uint64, n int) {
	if pos <= len(data)-8 {
		x := binary.LittleEndian.Uint64(data[pos:])
		if x&0x80 == 0 {
			return x & 0x7f, 1
		}
		if n = bits.TrailingZeros64(^x&0x80808080)/8 + 1; n <= 4 {
			x &= 1<<(8*n) - 1
			return x&0x7f | x>>1&(0x7f<<7) | x>>2&(0x7f<<14) | x>>3&(0x7f<<21), n
		}
	}
	if pos >= len(data) {
		return 0, 0
	}
	return uvarint(data[pos:])
}

// uvarint is binary.Uvarint that reads 0 in one step from bad input.
func uvarint(b []byte) (uint64, int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, max(1, -n)
	}
	return v, n
}

func zigzag(v int64) uint64   { return uint64(v)<<1 ^ uint64(v>>63) }
func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

// clip cuts [first, first+n) to the samples that exist.
func (t *table) clip(first, n int) (int, int) {
	if first < 0 {
		first, n = 0, n+first
	}
	return first, min(n, t.n-first)
}

func (t *table) sample(i int) Sample {
	if i < 0 || i >= t.n {
		panic("mp4: sample number out of range")
	}
	c := t.from(i)
	c.next()
	return c.last
}

// size is sample(i).Size. It passes over all that it does not ask for.
func (t *table) size(i int) uint32 {
	if i < 0 || i >= t.n {
		panic("mp4: sample number out of range")
	}
	c := cursor{t: t}
	c.enter(i / blockLen)
	for range i % blockLen {
		// Each of the three bits says that there is another varint.
		for range bits.OnesCount64(c.uvarint() & (flagDur | flagCTO | flagJump)) {
			c.skip()
		}
	}
	return uint32(c.uvarint() >> headBits)
}

// skip passes over a varint.
func (c *cursor) skip() {
	for c.pos < len(c.t.data) && c.t.data[c.pos] >= 0x80 {
		c.pos++
	}
	c.pos++
}

func (t *table) appendSamples(dst []Sample, first, n int) []Sample {
	first, n = t.clip(first, n)
	if n <= 0 {
		return dst
	}
	dst = slices.Grow(dst, n)
	c := t.from(first)
	for n > 0 {
		in := min(n, blockLen-c.i%blockLen)
		dst = c.appendBlock(dst, in)
		n -= in
	}
	return dst
}

// appendBlock appends the next n samples, all of one block. It is next for
// many, which is what the making of segments and the measuring of renditions
// take most of their time for.
func (c *cursor) appendBlock(dst []Sample, n int) []Sample {
	if c.i%blockLen == 0 {
		c.enter(c.i / blockLen)
	}
	data, pos, unit := c.t.data, c.pos, int64(c.t.unit)
	end, dts, dur, cto, sum := c.end, c.dts, c.dur, c.cto, c.sum
	dst = slices.Grow(dst, n)
	out := dst[len(dst) : len(dst)+n]
	for i := range out {
		head, k := varintAt(data, pos)
		pos += k
		if head&(flagDur|flagCTO|flagJump) != 0 {
			var v uint64
			if head&flagDur != 0 {
				v, k = varintAt(data, pos)
				dur, pos = uint32(v), pos+k
			}
			if head&flagCTO != 0 {
				v, k = varintAt(data, pos)
				cto, pos = cto+unzigzag(v), pos+k
			}
			if head&flagJump != 0 {
				v, k = varintAt(data, pos)
				end, pos = end+unzigzag(v), pos+k
			}
		}
		size := uint32(head >> headBits)
		s := &out[i] // which is written once, not copied
		s.Offset, s.Size, s.DTS, s.CTO, s.Dur, s.Sync = end, size, dts, int32(cto*unit), dur, head&flagSync != 0
		end += int64(size)
		sum += int64(size)
		dts += uint64(dur)
	}
	c.i += n
	c.pos, c.end, c.dts, c.dur, c.cto, c.sum = pos, end, dts, dur, cto, sum
	return dst[:len(dst)+n]
}

func (t *table) extents(first, n int) []Extent {
	first, n = t.clip(first, n)
	if n <= 0 {
		return nil
	}
	var list []Extent
	c := t.from(first)
	for range n {
		c.next()
		if c.last.Size == 0 {
			continue
		}
		size := int64(c.last.Size)
		if k := len(list) - 1; k >= 0 && list[k].Offset+list[k].Length == c.last.Offset {
			list[k].Length += size
		} else {
			list = append(list, Extent{c.last.Offset, size})
		}
	}
	return list
}

func (t *table) bytes(first, n int) int64 {
	first, n = t.clip(first, n)
	if n <= 0 {
		return 0
	}
	return t.sumBefore(first+n) - t.sumBefore(first)
}

// sumBefore returns the bytes of samples [0, i).
func (t *table) sumBefore(i int) int64 {
	if i == 0 {
		return 0
	}
	c := t.from(i - 1) // a cursor cannot stand behind the last sample of the last block
	c.next()
	return c.sum
}

// at returns a cursor that has just passed the last sample with a DTS at or
// before dts, or the first sample if all are later.
func (t *table) at(dts int64) cursor {
	blocks := len(t.marks) / markLen
	b := sort.Search(blocks, func(i int) bool {
		return int64(binary.LittleEndian.Uint64(t.marks[i*markLen:])) > dts
	})
	c := t.from(max(0, b-1) * blockLen)
	c.next()
	// The next block starts later, so the walk ends inside this one.
	for end := min(t.n, max(1, b)*blockLen); c.i < end && int64(c.dts) <= dts; {
		c.next()
	}
	return c
}

// A syncPoint is a sync sample of a table that is not even.
type syncPoint struct {
	sample int
	dts    int64
	cto    int64
	sum    int64 // bytes of all samples before it
}

// points calls f with each sync point in order, until f returns false.
func (t *table) points(f func(syncPoint) bool) {
	var p syncPoint
	b := t.syncs
	read := func() uint64 {
		v, n := uvarint(b)
		b = b[min(n, len(b)):]
		return v
	}
	for range t.nsync {
		p.sample += int(read() & math.MaxInt32)
		p.dts += int64(read())
		p.cto = unzigzag(read())
		p.sum += int64(read())
		if p.sample >= t.n || !f(p) {
			return
		}
	}
}

// eachSync is points for every table.
func (t *table) eachSync(f func(syncPoint) bool) {
	if !t.even || t.n == 0 {
		t.points(f)
		return
	}
	c := t.from(0)
	for i := range t.n {
		sum := c.sum
		c.next()
		if !f(syncPoint{i, int64(c.last.DTS), int64(c.last.CTO), sum}) {
			return
		}
	}
}

// A builder makes a table from samples in decoding order.
type builder struct {
	table
	dts   uint64
	first int32 // CTO of sample 0
	end   int64 // of the sample before, in the file
	sum   int64
	dur   uint32
	cto   int64
	sync  syncPoint
	shown int64 // greatest DTS + CTO + Dur
}

// newBuilder starts a table at a decode time; unit divides every CTO to come.
func newBuilder(dts uint64, unit int32) *builder {
	return &builder{table: table{unit: max(1, unit), even: true}, dts: dts, shown: math.MinInt64}
}

// add appends a sample; s.DTS is ignored: each follows on the one before.
func (b *builder) add(s Sample) {
	if b.n%blockLen == 0 {
		b.marks = binary.LittleEndian.AppendUint64(b.marks, b.dts)
		b.marks = binary.LittleEndian.AppendUint64(b.marks, uint64(s.Offset))
		b.marks = binary.LittleEndian.AppendUint64(b.marks, uint64(b.sum))
		b.marks = binary.LittleEndian.AppendUint32(b.marks, uint32(len(b.data)))
		b.end, b.dur, b.cto = s.Offset, 0, 0
	}
	if b.n == 0 {
		b.first = s.CTO
	}
	cto := int64(s.CTO / b.unit)
	head := uint64(s.Size) << headBits
	if s.Sync {
		head |= flagSync
	}
	if s.Dur != b.dur {
		head |= flagDur
	}
	if cto != b.cto {
		head |= flagCTO
	}
	if s.Offset != b.end {
		head |= flagJump
	}
	b.data = binary.AppendUvarint(b.data, head)
	if s.Dur != b.dur {
		b.data = binary.AppendUvarint(b.data, uint64(s.Dur))
	}
	if cto != b.cto {
		b.data = binary.AppendUvarint(b.data, zigzag(cto-b.cto))
	}
	if s.Offset != b.end {
		b.data = binary.AppendUvarint(b.data, zigzag(s.Offset-b.end))
	}
	if s.Sync {
		p := syncPoint{b.n, int64(b.dts), int64(s.CTO), b.sum}
		b.syncs = binary.AppendUvarint(b.syncs, uint64(p.sample-b.sync.sample))
		b.syncs = binary.AppendUvarint(b.syncs, uint64(p.dts-b.sync.dts))
		b.syncs = binary.AppendUvarint(b.syncs, zigzag(p.cto))
		b.syncs = binary.AppendUvarint(b.syncs, uint64(p.sum-b.sync.sum))
		b.sync = p
		b.nsync++
	}
	b.even = b.even && s.Sync && s.CTO == b.first
	b.shown = max(b.shown, int64(b.dts)+int64(s.CTO)+int64(s.Dur))
	b.n++
	b.end = s.Offset + int64(s.Size)
	b.sum += int64(s.Size)
	b.dur, b.cto = s.Dur, cto
	b.dts += uint64(s.Dur)
}

// done returns the table without spare capacity.
func (b *builder) done() table {
	t := b.table
	if t.even {
		t.syncs, t.nsync = nil, 0
	}
	t.marks = append(make([]byte, 0, len(t.marks)), t.marks...)
	t.data = append(make([]byte, 0, len(t.data)), t.data...)
	t.syncs = append([]byte(nil), t.syncs...)
	return t
}
