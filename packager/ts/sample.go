package ts

import (
	"bytes"
	"errors"
	"fmt"
)

// A Cipher encrypts samples as Apple's MPEG-2 Stream Encryption Format for HTTP
// Live Streaming has it (METHOD=SAMPLE-AES).
type Cipher interface {
	// Encrypt encrypts, in place and chained, the first 16 of every step bytes of
	// b; what is less than 16 at the end stays. Each call starts a chain.
	Encrypt(b []byte, step int)
}

const (
	cipherBlock = 16

	// Of an H.264 slice 32 bytes stay clear, and nine blocks of ten of the rest.
	clearSlice = 32
	sliceStep  = 10 * cipherBlock

	// Of an audio frame 16 bytes behind the ADTS header stay clear.
	clearFrame = 16

	// maxSetup keeps the program map in one packet.
	maxSetup = 64
)

// Ciphered returns an error if the stream cannot be encrypted by samples.
func (s *Stream) Ciphered() error {
	switch {
	case s.codec == hevc:
		return errors.New("samples of HEVC cannot be encrypted in a transport stream")
	case len(s.track.Config) > maxSetup && !s.video():
		return errors.New("the decoder configuration is too long for the program map of an encrypted stream")
	}
	return nil
}

// Grows reports whether an encrypted fragment may be longer than Size says, by
// 16 packets or a multiple of it: what looks like a start code after encryption is
// escaped.
func (s *Stream) Grows() bool { return s.codec == h264 }

// cipheredTypes are the stream types of encrypted streams, their
// private_data_indicator, and the audio_type of their setup information.
var cipheredTypes = [...]struct {
	streamType       byte
	indicator, audio string
}{
	h264: {0xdb, "zavc", ""},
	aac:  {0xcf, "aacd", "zaac"},
	ac3:  {0xc1, "ac3d", "zac3"},
	eac3: {0xc2, "ec3d", "zec3"},
}

// signal returns the type of the part's stream and its descriptors for the PMT.
func (p *Part) signal() (byte, []byte) {
	s := p.Stream
	if p.Cipher == nil {
		return s.streamType, s.descriptor
	}
	t := cipheredTypes[s.codec]
	d := append([]byte{0x0f, 4}, t.indicator...) // private data indicator descriptor
	if s.video() {
		return t.streamType, d
	}
	setup := s.track.Config
	audio := t.audio
	switch s.codec {
	case aac:
		switch setup[0] >> 3 { // configureAAC has seen it
		case 5:
			audio = "zach" // HE-AAC
		case 29:
			audio = "zacp" // HE-AAC v2
		}
	case ac3:
		setup = p.Media[:min(10, len(p.Media))] // the start of a frame, which stays clear
	}
	d = append(d, 5, byte(4+8+len(setup))) // registration descriptor
	d = append(d, "apad"...)
	d = append(d, audio...)
	d = append(d, 0, 0, 1, byte(len(setup))) // priming, version
	return t.streamType, append(d, setup...)
}

// encryptUnit encrypts the slices of an access unit in place. It returns the unit,
// or a longer one with escapes, in which the lengths of NAL units count them.
func (m *mux) encryptUnit(unit []byte) ([]byte, error) {
	more, partitions := 0, false
	err := m.nals(unit, func(_, nal []byte) {
		if isSlice(nal) {
			// A last whole block stays clear.
			m.cipher.Encrypt(nal[clearSlice:len(nal)-1], sliceStep)
			more += escapes(nal)
		} else if len(nal) > 0 && nal[0]&31 >= 2 && nal[0]&31 <= 4 {
			partitions = true
		}
	})
	if partitions {
		return nil, errors.New("data partitions, which the format leaves clear, hold pictures")
	}
	if err != nil || more == 0 {
		return unit, err
	}
	out := make([]byte, 0, len(unit)+more)
	err = m.nals(unit, func(length, nal []byte) {
		at := len(out)
		out = append(out, length...)
		if !isSlice(nal) {
			out = append(out, nal...)
			return
		}
		out = appendEscaped(out, nal)
		n := len(out) - at - len(length)
		for i := range length {
			out[at+len(length)-1-i] = byte(n >> (8 * i))
		}
	})
	return out, err
}

// isSlice reports whether a NAL unit is encrypted: slices that are longer than what
// stays clear and a block.
func isSlice(nal []byte) bool {
	return len(nal) > clearSlice+cipherBlock && (nal[0]&31 == 1 || nal[0]&31 == 5)
}

// nals calls f with each NAL unit of an access unit and its length field.
func (s *Stream) nals(unit []byte, f func(length, nal []byte)) error {
	for len(unit) > 0 {
		n, err := s.nalLength(unit)
		if err != nil {
			return err
		}
		end := s.lengthSize + n
		f(unit[:s.lengthSize], unit[s.lengthSize:end])
		unit = unit[end:]
	}
	return nil
}

var zeros = []byte{0, 0}

// escapes counts the emulation prevention bytes that b needs (ISO/IEC 14496-10
// 7.4.1). It has had them before: those count as what they are now, bytes.
func escapes(b []byte) int {
	count := 0
	for {
		i := bytes.Index(b, zeros)
		if i < 0 || i+2 >= len(b) {
			return count
		}
		if b[i+2] <= 3 {
			count++
			b = b[i+2:]
		} else {
			b = b[i+3:]
		}
	}
}

// appendEscaped appends b with emulation prevention bytes.
func appendEscaped(dst, b []byte) []byte {
	for {
		i := bytes.Index(b, zeros)
		if i < 0 || i+2 >= len(b) {
			return append(dst, b...)
		}
		dst = append(dst, b[:i+2]...)
		b = b[i+2:]
		if b[0] <= 3 {
			dst = append(dst, 3)
		} else {
			dst, b = append(dst, b[0]), b[1:]
		}
	}
}

// encryptFrame encrypts an audio frame in place, of E-AC-3 every frame of every
// substream.
func (m *mux) encryptFrame(frame []byte) error {
	if m.codec != eac3 {
		if len(frame) > clearFrame {
			m.cipher.Encrypt(frame[clearFrame:], cipherBlock)
		}
		return nil
	}
	for len(frame) > 0 {
		// syncword, strmtyp, substreamid, frmsiz (ETSI TS 102 366 E.1.2.2)
		if len(frame) < 4 || frame[0] != 0x0b || frame[1] != 0x77 {
			return errors.New("a sample is no sequence of E-AC-3 frames")
		}
		n := 2 * (int(frame[2]&7)<<8 | int(frame[3]) + 1)
		if n > len(frame) {
			return fmt.Errorf("E-AC-3 frame of %d bytes where %d are left", n, len(frame))
		}
		if n > clearFrame {
			m.cipher.Encrypt(frame[clearFrame:n], cipherBlock)
		}
		frame = frame[n:]
	}
	return nil
}

// padding returns how many zero bytes follow the last access unit of a fragment,
// whose PES packet has size bytes behind its header, so that the continuity counter
// of the next fragment is what the index says.
func (m *mux) padding(size int) int {
	head := m.headSize() + pcrSize
	natural := (head + size + PacketSize - 5) / (PacketSize - 4)
	more := int(m.end-m.cc-byte(natural)) & 15
	if more == 0 {
		return 0
	}
	return (natural+more)*(PacketSize-4) - head - size
}
