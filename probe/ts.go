package probe

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// A program is what a segment of a transport stream holds.
type program struct {
	streams []*elementary
	pcrs    int
	counts  map[uint16][2]byte // first and last continuity counter
}

// An elementary stream of it.
type elementary struct {
	pid   uint16
	typ   byte // stream_type
	units []pes
}

// A pes is a PES packet. Times are in 90 kHz.
type pes struct {
	pts, dts uint64
	random   bool
	data     []byte
}

const packetSize = 188

func (e *elementary) video() bool { return e.typ == 0x1b || e.typ == 0x24 || e.typ == 0xdb }

// encrypted reports whether the samples are encrypted, of H.264, AAC, AC-3 or
// E-AC-3 (MPEG-2 Stream Encryption Format for HTTP Live Streaming).
func (e *elementary) encrypted() bool {
	return e.typ == 0xdb || e.typ == 0xcf || e.typ == 0xc1 || e.typ == 0xc2
}

// parseTS reads a segment strictly (ISO/IEC 13818-1): whole packets, PAT and PMT
// before all media (RFC 8216 3.2), counters without a jump, a clock.
func parseTS(b []byte) (*program, error) {
	if len(b) == 0 || len(b)%packetSize != 0 {
		return nil, fmt.Errorf("%d bytes are no whole number of packets", len(b))
	}
	g := &program{counts: map[uint16][2]byte{}}
	pmt := -1
	var open = map[uint16]*elementary{}
	var clock uint64
	for n := 0; n*packetSize < len(b); n++ {
		x := b[n*packetSize:][:packetSize]
		if x[0] != 0x47 {
			return nil, fmt.Errorf("packet %d does not begin with the sync byte", n)
		}
		if x[1]&0x80 != 0 {
			return nil, fmt.Errorf("packet %d says it has an error", n)
		}
		pid, start := uint16(x[1]&31)<<8|uint16(x[2]), x[1]&0x40 != 0
		if pid == 0x1fff {
			continue
		}
		payload, random := x[4:], false
		if x[3]&0x20 != 0 {
			size := int(x[4])
			if size > 183 {
				return nil, fmt.Errorf("packet %d has an adaptation field of %d bytes", n, size)
			}
			if size > 0 {
				random = x[5]&0x40 != 0
				if x[5]&0x10 != 0 && size >= 7 {
					now := uint64(x[6])<<25 | uint64(x[7])<<17 | uint64(x[8])<<9 | uint64(x[9])<<1 | uint64(x[10])>>7
					if g.pcrs++; g.pcrs > 1 && since(now, clock) < 0 {
						return nil, fmt.Errorf("packet %d: the clock goes back", n)
					}
					clock = now
				}
			}
			payload = x[5+size:]
		}
		if x[3]&0x10 == 0 {
			continue
		}
		cc := x[3] & 15
		if last, ok := g.counts[pid]; ok {
			if cc != (last[1]+1)&15 {
				return nil, fmt.Errorf("packet %d: the continuity counter of PID %#x goes from %d to %d", n, pid, last[1], cc)
			}
			g.counts[pid] = [2]byte{last[0], cc}
		} else {
			g.counts[pid] = [2]byte{cc, cc}
		}
		switch {
		case n == 0 && pid != 0:
			return nil, errors.New("it does not begin with a PAT (RFC 8216 3.2)")
		case pid == 0:
			table, err := section(payload)
			if err != nil || len(table) < 12 {
				return nil, errors.New("the PAT is malformed")
			}
			pmt = int(table[10]&31)<<8 | int(table[11])
		case int(pid) == pmt:
			table, err := section(payload)
			if err != nil {
				return nil, fmt.Errorf("the PMT: %w", err)
			}
			if err := g.programMap(table, open); err != nil {
				return nil, err
			}
		default:
			e := open[pid]
			if e == nil {
				return nil, fmt.Errorf("packet %d is of PID %#x, which no PMT before it names", n, pid)
			}
			if !start {
				if len(e.units) == 0 {
					return nil, fmt.Errorf("PID %#x begins in the middle of a PES packet", pid)
				}
				u := &e.units[len(e.units)-1]
				u.data = append(u.data, payload...)
				continue
			}
			u, err := parsePES(payload)
			if err != nil {
				return nil, fmt.Errorf("packet %d: %w", n, err)
			}
			u.random = random
			e.units = append(e.units, u)
		}
	}
	if len(g.streams) == 0 {
		return nil, errors.New("it has no PMT that names a stream")
	}
	if g.pcrs == 0 {
		return nil, errors.New("it has no clock (PCR)")
	}
	return g, nil
}

// section reads a section of PSI that fits into one packet, and its checksum.
func section(b []byte) ([]byte, error) {
	if len(b) < 1 || len(b) < 1+int(b[0])+3 {
		return nil, errors.New("it is cut short")
	}
	b = b[1+b[0]:]
	n := 3 + int(b[1]&15)<<8 + int(b[2])
	if n > len(b) || n < 12 {
		return nil, fmt.Errorf("its section has %d bytes", n)
	}
	if crcMPEG(b[:n]) != 0 {
		return nil, errors.New("its checksum is wrong")
	}
	return b[:n], nil
}

// crcMPEG is the CRC of ISO/IEC 13818-1 annex A; 0 over a section with its own.
func crcMPEG(b []byte) uint32 {
	crc := uint32(math.MaxUint32)
	for _, c := range b {
		crc ^= uint32(c) << 24
		for range 8 {
			if crc&(1<<31) != 0 {
				crc = crc<<1 ^ 0x04c11db7
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}

func (g *program) programMap(b []byte, open map[uint16]*elementary) error {
	at := 12 + int(b[10]&15)<<8 + int(b[11])
	for at+5 <= len(b)-4 {
		typ, pid := b[at], uint16(b[at+1]&31)<<8|uint16(b[at+2])
		if open[pid] == nil {
			if len(g.streams) == 16 {
				return errors.New("the PMT names more than 16 streams")
			}
			open[pid] = &elementary{pid: pid, typ: typ}
			g.streams = append(g.streams, open[pid])
		}
		at += 5 + int(b[at+3]&15)<<8 + int(b[at+4])
	}
	if at != len(b)-4 {
		return errors.New("the PMT is malformed")
	}
	return nil
}

func parsePES(b []byte) (u pes, err error) {
	if len(b) < 9 || b[0] != 0 || b[1] != 0 || b[2] != 1 {
		return u, errors.New("a PES packet has no start code")
	}
	head := 9 + int(b[8])
	if b[7]&0x80 == 0 || len(b) < 14 || head > len(b) {
		return u, errors.New("a PES packet has no time stamp")
	}
	stamp := func(b []byte) uint64 {
		return uint64(b[0]>>1&7)<<30 | uint64(b[1])<<22 | uint64(b[2]>>1)<<15 | uint64(b[3])<<7 | uint64(b[4]>>1)
	}
	u.pts = stamp(b[9:])
	u.dts = u.pts
	if b[7]&0x40 != 0 && len(b) >= 19 {
		u.dts = stamp(b[14:])
	}
	if since(u.pts, u.dts) < 0 {
		return u, errors.New("a PES packet is shown before it is decoded")
	}
	u.data = slices.Clone(b[head:])
	return u, nil
}

// since is the distance of time stamps of 33 bits.
func since(now, then uint64) int64 {
	d := int64((now - then) & (1<<33 - 1))
	if d >= 1<<32 {
		d -= 1 << 33
	}
	return d
}

// transport reads a segment of a transport stream.
func (pl *player) transport(i int, g *segment, b []byte) (mark, error) {
	p, s := pl.p, pl.s
	prog, err := parseTS(b)
	if err != nil {
		return mark{}, err
	}
	for pid, c := range prog.counts {
		if last, ok := pl.counters[pid]; ok && pl.joined && !s.iframes && c[0] != (last+1)&15 {
			p.warn(s, g.url, "segment %d: the continuity counter of PID %#x does not go on from the segment before", i, pid)
		}
	}
	pl.counters = map[uint16]byte{}
	for pid, c := range prog.counts {
		pl.counters[pid] = c[1]
	}
	main := prog.streams[0]
	sampleAES, hidden := g.key != nil && !g.key.whole, false
	for _, e := range prog.streams {
		if len(e.units) == 0 {
			return mark{}, fmt.Errorf("PID %#x has no media", e.pid)
		}
		if e.video() && !main.video() {
			main = e
		}
		if e.encrypted() {
			hidden = true
			if !sampleAES {
				return mark{}, fmt.Errorf("PID %#x has encrypted samples, and the playlist tells of no key", e.pid)
			}
		}
		if err := checkElementary(e); err != nil {
			return mark{}, fmt.Errorf("PID %#x: %w", e.pid, err)
		}
	}
	if sampleAES && !hidden {
		return mark{}, errors.New("the playlist tells of encrypted samples, and the program map of none")
	}
	if s.iframes {
		if len(prog.streams) != 1 || len(main.units) != 1 {
			return mark{}, errors.New("the range does not hold one picture alone")
		}
	}
	kind := "audio"
	if main.video() {
		kind = "video"
		if len(prog.streams) > 1 {
			kind = "video+audio"
		}
		if !main.units[0].random {
			p.warn(s, g.url, "segment %d: random_access_indicator is not set at its start", i)
		}
	}
	if i == 0 && !s.iframes {
		if want := s.Kind; want != kind && !(want == "video" && kind == "video+audio") {
			p.fault(s, g.url, "it is %s by the manifest, and holds %s", want, kind)
		}
		s.Kind = kind
	}
	return pl.join(i, g, prog, main), nil
}

// join holds the times of a segment against those of the one before.
func (pl *player) join(i int, g *segment, prog *program, main *elementary) mark {
	p, s := pl.p, pl.s
	first := main.units[0]
	begin := float64(first.dts)
	if pl.joined || len(s.marks) > 0 { // unwrap by the last time stamp that is known
		begin = pl.last + float64(since(first.dts, uint64(int64(pl.last))&(1<<33-1)))
	}
	var frame float64
	prev := first.dts
	lowest, highest := begin+float64(since(first.pts, first.dts)), 0.0
	for k, u := range main.units {
		if step := since(u.dts, prev); k > 0 {
			if step <= 0 {
				p.fault(s, g.url, "segment %d: decode time stands still or goes back at unit %d", i, k)
			}
			frame = max(frame, float64(step))
		}
		prev = u.dts
		at := begin + float64(since(u.pts, first.dts))
		lowest, highest = min(lowest, at), max(highest, at)
	}
	last := begin + float64(since(prev, first.dts))
	if frame == 0 {
		frame = pl.frame
	}
	end := last + frame
	if n, rate := adtsFrames(main.units[len(main.units)-1].data); !main.video() && rate > 0 {
		end = last + float64(n)*1024*90000/float64(rate)
		frame = 2
	}
	if pl.joined && !s.iframes {
		if off := begin - pl.ticks; math.Abs(off) > max(2, frame/2) {
			p.fault(s, g.url, "segment %d is decoded %.3f s off from the end of the one before it", i, off/90000)
		}
	}
	for _, e := range prog.streams {
		if e != main && !s.iframes {
			if off := float64(since(e.units[0].pts, first.pts)) / 90000; math.Abs(off) > 0.25 {
				p.warn(s, g.url, "segment %d: PID %#x starts %.3f s off from the pictures", i, e.pid, off)
			}
		}
	}
	pl.joined, pl.ticks, pl.last, pl.frame = true, end, last, frame
	shown := highest + frame
	if !main.video() {
		shown = end
	}
	return mark{start: lowest / 90000, end: shown / 90000}
}

// checkElementary looks into the units of a stream, of an encrypted one at the
// parts that are clear.
func checkElementary(e *elementary) error {
	switch e.typ {
	case 0x1b, 0x24, 0xdb:
		codec := "avc1"
		if e.typ == 0x24 {
			codec = "hvc1"
		}
		for k, u := range e.units {
			slices, keys := 0, 0
			for _, unit := range startCodes(u.data) {
				slice, key, err := checkUnit(codec, unit)
				if err != nil {
					return fmt.Errorf("picture %d: %w", k, err)
				}
				if slice {
					slices++
				}
				if key {
					keys++
				}
			}
			if slices == 0 {
				return fmt.Errorf("picture %d has no slice", k)
			}
			if k == 0 && keys == 0 {
				return errors.New("it begins with no key frame")
			}
		}
	case 0x0f, 0xcf:
		for k, u := range e.units {
			if n, _ := adtsFrames(u.data); n == 0 {
				return fmt.Errorf("PES packet %d is not whole ADTS frames", k)
			}
		}
	}
	return nil
}

// adtsFrames counts the ADTS frames that fill b, 0 if they do not.
func adtsFrames(b []byte) (n, rate int) {
	rates := [16]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}
	for len(b) > 0 {
		if len(b) < 7 || b[0] != 0xff || b[1]&0xf0 != 0xf0 {
			return 0, 0
		}
		size := int(b[3]&3)<<11 | int(b[4])<<3 | int(b[5])>>5
		rate = rates[b[2]>>2&15]
		if size < 7 || size > len(b) {
			return 0, 0
		}
		b = b[size:]
		n++
	}
	return n, rate
}
