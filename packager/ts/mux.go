package ts

import (
	"encoding/binary"
	"fmt"

	"github.com/openams/openams/packager/mp4"
)

// A Part is what one stream has in a fragment.
type Part struct {
	Stream  *Stream
	Samples []mp4.Sample // none if the stream is silent meanwhile
	Media   []byte       // their bytes, one after the other; overwritten
	Number  int          // of the stream's fragment, from 0
	Cipher  Cipher       // nil: the samples stay clear; else Stream.Ciphered has no objection
}

// AppendFragment appends a fragment of all parts, interleaved by decode time, to
// dst. number counts the fragments of the program from 0. The error tells of
// media that contradicts its index; dst is then to be thrown away.
func AppendFragment(dst []byte, number int, parts ...Part) ([]byte, error) {
	muxes := make([]mux, len(parts))
	for i, p := range parts {
		muxes[i] = mux{
			Stream: p.Stream, samples: p.Samples, media: p.Media, cipher: p.Cipher,
			cc: byte(p.Stream.counts[p.Number]), pcr: i == 0,
		}
		if p.Cipher != nil {
			muxes[i].end = byte(p.Stream.counts[p.Number+1])
		}
	}
	dst = appendPAT(dst, byte(number))
	dst = appendPMT(dst, byte(number), parts)
	for {
		var next *mux
		for i := range muxes {
			m := &muxes[i]
			if len(m.samples) > 0 && (next == nil || m.decode() < next.decode()) {
				next = m
			}
		}
		if next == nil {
			return dst, nil
		}
		var err error
		if dst, err = next.pes(dst); err != nil {
			return nil, err
		}
	}
}

// A mux writes the PES packets of one stream.
type mux struct {
	*Stream
	samples []mp4.Sample // still to come
	media   []byte       // of samples
	cipher  Cipher       // nil: none
	cc      byte
	end     byte // what cc is when no sample is left; with a cipher alone
	pcr     bool
}

// stamp converts a time of the file to 90 kHz on the common clock.
func (s *Stream) stamp(t int64) int64 {
	t -= s.track.EditStart
	scale := int64(s.track.Timescale)
	q, r := t/scale, t%scale
	if r < 0 {
		q, r = q-1, r+scale
	}
	return Base + q*90_000 + r*90_000/scale
}

func (m *mux) decode() int64 { return m.stamp(int64(m.samples[0].DTS) - m.shift) }

// group returns how many of samples share a PES packet, and the length of its
// payload.
func (s *Stream) group(samples []mp4.Sample) (n, size int) {
	if s.video() {
		size = len(s.delimiter) + int(samples[0].Size)
		if samples[0].Sync {
			size += len(s.parameters)
		}
		return 1, size
	}
	head := 0
	if s.codec == aac {
		head = len(s.adts)
	}
	first := s.stamp(int64(samples[0].DTS))
	for i := range samples {
		m := &samples[i]
		add := head + int(m.Size)
		if i > 0 && (size+add > maxAudioPES || s.stamp(int64(m.DTS)+int64(m.Dur))-first > maxAudioTicks || s.irregular(samples[i-1].Dur)) {
			break
		}
		n, size = n+1, size+add
	}
	return n, size
}

// irregular reports whether a frame lasts other than its kind does, so that the
// next one needs a time stamp of its own.
func (s *Stream) irregular(dur uint32) bool {
	d := int64(dur) - s.frame
	return d < -1 || d > 1
}

// headSize is the length of a PES header: video has PTS and DTS.
func (s *Stream) headSize() int {
	if s.video() {
		return 19
	}
	return 14
}

// pcrSize is what the adaptation field of a packet with a PCR takes. Every PES
// packet starts with one, needed or not, so that sizes hang on nothing else.
const pcrSize = 8

// packets returns the number of packets that samples take.
func (s *Stream) packets(samples []mp4.Sample) int {
	total := 0
	for len(samples) > 0 {
		n, size := s.group(samples)
		samples = samples[n:]
		total += (s.headSize() + size + pcrSize + PacketSize - 5) / (PacketSize - 4)
	}
	return total
}

// pes appends the next PES packet.
func (m *mux) pes(dst []byte) ([]byte, error) {
	n, size := m.group(m.samples)
	samples := m.samples[:n]
	m.samples = m.samples[n:]
	first := samples[0]
	var picture []byte // what follows delimiter and parameter sets
	if m.video() {
		var err error
		if picture, err = m.picture(first); err != nil {
			return nil, err
		}
		size += len(picture) - int(first.Size)
	}
	pts := m.stamp(int64(first.DTS) + int64(first.CTO))
	dts := m.stamp(int64(first.DTS) - m.shift)

	// The head of the first packet is put together here; what follows is
	// copied straight from the media.
	var head [64]byte
	h := append(head[:0], 0, 0, 1, m.streamID)
	length := 0 // video: unbounded
	if !m.video() {
		length = size + m.headSize() - 6
		dts = pts
	}
	if length > 0xffff {
		return nil, fmt.Errorf("an audio frame of %d bytes does not fit a PES packet", size)
	}
	h = append(h, byte(length>>8), byte(length), 0x84) // aligned
	if m.video() {
		h = append(h, 0xc0, 10)
		h = appendStamp(h, 3, pts)
		h = appendStamp(h, 1, dts)
	} else {
		h = append(h, 0x80, 5)
		h = appendStamp(h, 2, pts)
	}

	p := packer{dst: dst, pid: m.pid, cc: m.cc, left: len(h) + size}
	p.begin(first.Sync, m.pcr, dts-pcrDelay)
	p.write(h)
	if m.video() {
		p.write(m.delimiter)
		if first.Sync {
			p.write(m.parameters)
		}
		p.write(picture)
		m.cc = p.cc
		return p.dst, nil
	}
	for i := range samples {
		frame, err := m.take(samples[i])
		if err != nil {
			return nil, err
		}
		if m.cipher != nil {
			if err := m.encryptFrame(frame); err != nil {
				return nil, err
			}
		}
		if m.codec == aac {
			adts := m.adts
			length := len(frame) + len(adts)
			adts[3] |= byte(length >> 11)
			adts[4] = byte(length >> 3)
			adts[5] |= byte(length << 5)
			p.write(adts[:])
		}
		p.write(frame)
	}
	m.cc = p.cc
	return p.dst, nil
}

// take returns the bytes of the next sample.
func (m *mux) take(s mp4.Sample) ([]byte, error) {
	size := int(s.Size)
	if size > len(m.media) {
		return nil, fmt.Errorf("sample of %d bytes, %d read", size, len(m.media))
	}
	b := m.media[:size]
	m.media = m.media[size:]
	return b, nil
}

// picture returns the next access unit in Annex B form, encrypted if there is a
// cipher.
func (m *mux) picture(s mp4.Sample) ([]byte, error) {
	unit, err := m.take(s)
	if err == nil && m.cipher != nil {
		unit, err = m.encryptUnit(unit)
	}
	if err == nil {
		err = m.annexB(unit)
	}
	if err != nil || m.cipher == nil || len(m.samples) > 0 {
		return unit, err
	}
	size := len(m.delimiter) + len(unit)
	if s.Sync {
		size += len(m.parameters)
	}
	return append(unit[:len(unit):len(unit)], make([]byte, m.padding(size))...), nil
}

// annexB puts a start code in place of each length of the NAL units of an access
// unit, and zeros in place of a delimiter.
func (s *Stream) annexB(unit []byte) error {
	n := s.lengthSize
	for len(unit) > 0 {
		length, err := s.nalLength(unit)
		if err != nil {
			return err
		}
		if length > 0 && s.isDelimiter(unit[n]) {
			clear(unit[:n+length])
		} else {
			clear(unit[:n-1])
			unit[n-1] = 1
		}
		unit = unit[n+length:]
	}
	return nil
}

// nalLength returns the length of the NAL unit that unit starts with.
func (s *Stream) nalLength(unit []byte) (int, error) {
	n := s.lengthSize
	if len(unit) < n {
		return 0, fmt.Errorf("%d bytes after the last NAL unit", len(unit))
	}
	length := int(unit[n-1]) | int(unit[n-2])<<8 | int(unit[n-3])<<16
	if n == 4 {
		length |= int(unit[0]) << 24
	}
	if length > len(unit)-n {
		return 0, fmt.Errorf("NAL unit of %d bytes where %d are left", length, len(unit)-n)
	}
	return length, nil
}

func (s *Stream) isDelimiter(b byte) bool {
	if s.codec == hevc {
		return b>>1&63 == 35
	}
	return b&31 == 9
}

// appendStamp appends a 33-bit time stamp with its marker bits.
func appendStamp(b []byte, prefix byte, t int64) []byte {
	t &= timeMask
	return append(b,
		prefix<<4|byte(t>>29)&0x0e|1,
		byte(t>>22), byte(t>>14)|1,
		byte(t>>7), byte(t<<1)|1)
}

// A packer cuts a PES packet of known length into transport packets.
type packer struct {
	dst  []byte
	pid  uint16
	cc   byte
	left int // bytes of the PES packet still to be written
	room int // bytes left in the open transport packet
}

// header opens a packet whose adaptation field has the given bytes at least,
// its length byte included, and more if what is left does not fill the packet.
func (p *packer) header(start bool, adaptation []byte) {
	b := [4]byte{0x47, byte(p.pid >> 8), byte(p.pid), 0x10 | p.cc&15}
	if start {
		b[1] |= 0x40
	}
	p.cc++
	p.room = PacketSize - 4
	field := max(len(adaptation), p.room-p.left)
	if field > 0 {
		b[3] |= 0x20
	}
	p.dst = append(p.dst, b[:]...)
	if field == 0 {
		return
	}
	p.room -= field
	at := len(p.dst)
	p.dst = append(p.dst, byte(field-1))
	if field == 1 {
		return
	}
	if len(adaptation) > 1 {
		p.dst = append(p.dst, adaptation[1:]...)
	} else {
		p.dst = append(p.dst, 0) // no flags
	}
	for len(p.dst) < at+field {
		p.dst = append(p.dst, 0xff)
	}
}

// begin opens the first packet. Without pcr as much room is taken: see pcrSize.
func (p *packer) begin(randomAccess, pcr bool, clock int64) {
	var a [pcrSize]byte
	if randomAccess {
		a[1] |= 0x40
	}
	if pcr {
		a[1] |= 0x10
		clock &= timeMask
		binary.BigEndian.PutUint32(a[2:], uint32(clock>>1))
		a[6] = byte(clock<<7) | 0x7e
	} else {
		for i := 2; i < len(a); i++ {
			a[i] = 0xff
		}
	}
	p.header(true, a[:])
}

// full writes the packets that b fills whole, nearly all of a picture, and
// returns the rest of b.
func (p *packer) full(b []byte) []byte {
	const size = PacketSize - 4
	for len(b) >= size && cap(p.dst)-len(p.dst) >= PacketSize {
		n := len(p.dst)
		p.dst = p.dst[:n+PacketSize]
		d := p.dst[n : n+PacketSize : n+PacketSize]
		d[0], d[1], d[2], d[3] = 0x47, byte(p.pid>>8), byte(p.pid), 0x10|p.cc&15
		copy(d[4:], b[:size])
		p.cc++
		p.left -= size
		b = b[size:]
	}
	return b
}

func (p *packer) write(b []byte) {
	for len(b) > 0 {
		if p.room == 0 {
			if b = p.full(b); len(b) == 0 {
				return
			}
			p.header(false, nil)
		}
		n := copy(p.dst[len(p.dst):len(p.dst)+min(p.room, cap(p.dst)-len(p.dst))], b)
		if n == 0 { // a caller that gave too small a buffer
			n = min(p.room, len(b))
			p.dst = append(p.dst, b[:n]...)
		} else {
			p.dst = p.dst[:len(p.dst)+n]
		}
		p.room -= n
		p.left -= n
		b = b[n:]
	}
}
