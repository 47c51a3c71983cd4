package ts

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/openams/openams/packager/mp4"
)

// Base is the time stamp, in 90 kHz, of presentation time 0. It leaves room for
// what is decoded before: 10 s, as Apple's tools do.
const Base = 900_000

// PacketSize is the length of a transport stream packet.
const PacketSize = 188

const (
	pmtPID   = 0x1000
	videoPID = 0x100
	audioPID = 0x101

	pcrDelay = 45_000 // the clock runs 0.5 s ahead of decoding
	timeMask = 1<<33 - 1

	// Audio frames share a PES packet up to these bounds, to save padding.
	maxAudioPES   = 2930
	maxAudioTicks = 8100 // 90 ms: no more time between two PCRs than 100 ms
)

type codec uint8

const (
	h264 codec = iota
	hevc
	aac
	ac3
	eac3
)

// A Stream is a track prepared for a transport stream.
type Stream struct {
	track      *mp4.Track
	codec      codec
	pid        uint16
	streamType byte   // in the PMT
	streamID   byte   // in PES headers
	descriptor []byte // in the PMT

	lengthSize int    // of NAL unit lengths, 3 or 4
	delimiter  []byte // before every access unit
	parameters []byte // after the delimiter of a sync sample: SPS, PPS, VPS
	adts       [7]byte
	frame      int64 // ticks that a regular frame of audio lasts

	shift  int64    // keeps decode times at or before presentation times
	firsts []uint32 // packets of the first sample of each fragment
	counts []uint32 // counts[k]: packets of this stream in all fragments before k; one more than there are fragments
}

// NewStream prepares a track that is cut into fragments. It looks at every
// sample once. The error says why the track cannot go into a transport stream.
func NewStream(t *mp4.Track, fragments []mp4.Fragment) (*Stream, error) {
	s := &Stream{track: t}
	if err := s.configure(); err != nil {
		return nil, err
	}
	var samples []mp4.Sample
	minCTO := int32(0)
	s.counts = make([]uint32, 1, len(fragments)+1)
	for k, f := range fragments {
		samples = t.AppendSamples(samples[:0], f.First, f.N)
		for i := range samples {
			minCTO = min(minCTO, samples[i].CTO)
			if s.codec == aac && samples[i].Size > 8191-7 {
				return nil, fmt.Errorf("sample %d has %d bytes, too many for an AAC frame", f.First+i, samples[i].Size)
			}
		}
		s.firsts = append(s.firsts, uint32(s.packets(samples[:min(1, len(samples))])))
		s.counts = append(s.counts, s.counts[k]+uint32(s.packets(samples)))
	}
	s.shift = -int64(minCTO)
	return s, nil
}

// Size returns the bytes of fragment k alone in a transport stream.
func (s *Stream) Size(k int) int64 { return Size(k, s) }

// Size returns the bytes of fragment k of all streams in one transport stream.
func Size(k int, streams ...*Stream) int64 {
	n := int64(2)
	for _, s := range streams {
		n += int64(s.counts[k+1] - s.counts[k])
	}
	return n * PacketSize
}

// FirstSize returns how many of the first bytes of fragment k hold its tables and
// its first access unit, for an I-frame playlist.
func (s *Stream) FirstSize(k int) int64 { return (2 + int64(s.firsts[k])) * PacketSize }

func (s *Stream) video() bool { return s.codec <= hevc }

func (s *Stream) configure() error {
	c := s.track.Config
	switch s.track.Codec {
	case "avc1", "avc3":
		s.codec, s.pid, s.streamType, s.streamID = h264, videoPID, 0x1b, 0xe0
		s.delimiter = []byte{0, 0, 0, 1, 9, 0xf0}
		return s.configureAVC(c)
	case "hvc1", "hev1":
		s.codec, s.pid, s.streamType, s.streamID = hevc, videoPID, 0x24, 0xe0
		s.delimiter = []byte{0, 0, 0, 1, 0x46, 1, 0x50}
		s.descriptor = []byte("\x05\x04HEVC")
		return s.configureHEVC(c)
	case "mp4a":
		s.codec, s.pid, s.streamType, s.streamID = aac, audioPID, 0x0f, 0xc0
		return s.configureAAC(c)
	case "ac-3":
		s.codec, s.pid, s.streamType, s.streamID = ac3, audioPID, 0x81, 0xbd
		s.descriptor = []byte("\x05\x04AC-3")
		return s.setFrame(1536, s.track.SampleRate)
	case "ec-3":
		s.codec, s.pid, s.streamType, s.streamID = eac3, audioPID, 0x87, 0xbd
		s.descriptor = []byte("\x05\x04EAC3")
		return s.setFrame(1536, s.track.SampleRate)
	}
	return fmt.Errorf("%s cannot be carried in a transport stream", s.track.Codec)
}

// setFrame says how many PCM samples a frame has, of how many a second.
func (s *Stream) setFrame(samples int64, rate uint32) error {
	if rate == 0 {
		return errConfig
	}
	s.frame = samples * int64(s.track.Timescale) / int64(rate)
	return nil
}

var errConfig = errors.New("the decoder configuration is malformed")

func (s *Stream) setLengthSize(n int) error {
	if s.lengthSize = n; n < 3 {
		return fmt.Errorf("NAL unit lengths of %d bytes cannot become start codes", n)
	}
	return nil
}

// unit appends a parameter set with a length of two bytes in front to
// s.parameters and returns what follows it.
func (s *Stream) unit(b []byte) ([]byte, error) {
	if len(b) < 2 {
		return nil, errConfig
	}
	n := int(binary.BigEndian.Uint16(b))
	if b = b[2:]; len(b) < n {
		return nil, errConfig
	}
	if n > 0 {
		s.parameters = append(append(s.parameters, 0, 0, 0, 1), b[:n]...)
	}
	return b[n:], nil
}

func (s *Stream) configureAVC(c []byte) error {
	if len(c) < 7 {
		return errConfig
	}
	var err error
	count, rest := int(c[5]&31), c[6:]
	for range count {
		if rest, err = s.unit(rest); err != nil {
			return err
		}
	}
	if len(rest) < 1 {
		return errConfig
	}
	count, rest = int(rest[0]), rest[1:]
	for range count {
		if rest, err = s.unit(rest); err != nil {
			return err
		}
	}
	return s.setLengthSize(int(c[4]&3) + 1)
}

func (s *Stream) configureHEVC(c []byte) error {
	if len(c) < 23 {
		return errConfig
	}
	rest := c[23:]
	for range int(c[22]) {
		if len(rest) < 3 {
			return errConfig
		}
		var err error
		count := int(binary.BigEndian.Uint16(rest[1:]))
		rest = rest[3:]
		for range count {
			if rest, err = s.unit(rest); err != nil {
				return err
			}
		}
	}
	return s.setLengthSize(int(c[21]&3) + 1)
}

var aacRates = [...]uint32{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

// configureAAC makes the ADTS header. HE-AAC is signalled implicitly there: the
// header tells of the AAC-LC core (ISO/IEC 14496-3 1.6.5.1).
func (s *Stream) configureAAC(c []byte) error {
	if len(c) < 2 {
		return errConfig
	}
	at := 0
	read := func(n int) uint32 {
		var v uint32
		for ; n > 0; n, at = n-1, at+1 {
			v <<= 1
			if at/8 < len(c) {
				v |= uint32(c[at/8]>>(7-at%8)) & 1
			}
		}
		return v
	}
	frequency := func() uint32 {
		i := read(4)
		if i != 15 {
			return i
		}
		hz := read(24)
		for i, rate := range aacRates {
			if rate == hz {
				return uint32(i)
			}
		}
		return 15
	}
	objectType := read(5)
	rate := frequency()
	channels := read(4)
	if objectType == 5 || objectType == 29 {
		frequency() // of the extension
		objectType = read(5)
	}
	switch {
	case objectType < 1 || objectType > 4:
		return fmt.Errorf("AAC object type %d cannot be carried in ADTS", objectType)
	case rate > 12:
		return errors.New("the AAC sampling rate cannot be carried in ADTS")
	case channels < 1 || channels > 7:
		return errors.New("the AAC channel layout cannot be carried in ADTS")
	}
	s.adts = [7]byte{0xff, 0xf1, byte(objectType-1)<<6 | byte(rate)<<2 | byte(channels>>2), byte(channels) << 6, 0, 0x1f, 0xfc}
	return s.setFrame(1024, aacRates[rate])
}
