package ts

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openams/openams/packager/mp4"
)

// avcC with SPS 67 64 00 0a and PPS 68 ee, and lengths of n bytes.
func avcC(n byte) []byte {
	return []byte{1, 0x64, 0, 0x0a, 0xfc | n - 1, 0xe1, 0, 4, 0x67, 0x64, 0, 0x0a, 1, 0, 2, 0x68, 0xee}
}

func TestConfigure(t *testing.T) {
	for _, tt := range []struct {
		codec, config string // hexadecimal
		parameters    string
		adts          string
		err           string
	}{
		{"avc1", hex.EncodeToString(avcC(4)), "000000016764000a0000000168ee", "", ""},
		{"avc1", hex.EncodeToString(avcC(3)), "000000016764000a0000000168ee", "", ""},
		{"avc1", hex.EncodeToString(avcC(2)), "", "", "lengths of 2 bytes"},
		{"avc1", "01640a", "", "", "malformed"},
		{"avc1", "0164000afce1ffff6764", "", "", "malformed"},
		{"hvc1", strings.Repeat("00", 21) + "0301" + "20000100024001", "000000014001", "", ""},
		{"hvc1", strings.Repeat("00", 21) + "0301" + "200001000940", "", "", "malformed"},
		{"mp4a", "1190", "", "fff14c80001ffc", ""},       // AAC-LC, 48 kHz, stereo
		{"mp4a", "1210", "", "fff15080001ffc", ""},       // 44.1 kHz
		{"mp4a", "2b118800", "", "fff15880001ffc", ""},   // HE-AAC, 24 to 48 kHz, stereo
		{"mp4a", "eb098800", "", "fff15840001ffc", ""},   // HE-AAC v2: a mono core
		{"mp4a", "17805dc010", "", "fff14c80001ffc", ""}, // a rate written out
		{"mp4a", "1180", "", "", "channel layout"},
		{"mp4a", "f94610", "", "", "object type"},
		{"mp4a", "", "", "", "malformed"},
		{"av01", "81000c00", "", "", "transport stream"},
	} {
		config, err := hex.DecodeString(tt.config)
		if err != nil {
			t.Fatal(err)
		}
		s, err := NewStream(&mp4.Track{Codec: tt.codec, Config: config, Timescale: 48000}, nil)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s %s: error %v, want %q", tt.codec, tt.config, err, tt.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s %s: %v", tt.codec, tt.config, err)
			continue
		}
		if got := hex.EncodeToString(s.parameters); got != tt.parameters {
			t.Errorf("%s: parameter sets %s, want %s", tt.codec, got, tt.parameters)
		}
		if got := hex.EncodeToString(s.adts[:]); tt.adts != "" && got != tt.adts {
			t.Errorf("%s %s: ADTS %s, want %s", tt.codec, tt.config, got, tt.adts)
		}
	}
}

func TestAnnexB(t *testing.T) {
	for _, tt := range []struct {
		name     string
		codec    codec
		n        int
		in, want string // hexadecimal; no want: refused
	}{
		{"two units", h264, 4, "0000000265aa" + "0000000141", "0000000165aa" + "0000000141"},
		{"lengths of three bytes", h264, 3, "00000265aa", "00000165aa"},
		{"a delimiter becomes zeros", h264, 4, "0000000209f0" + "0000000265aa", "000000000000" + "0000000165aa"},
		{"HEVC delimiter", hevc, 4, "00000003460150" + "000000022601", "00000000000000" + "000000012601"},
		{"no H.264 delimiter in HEVC", hevc, 4, "0000000209f0", "0000000109f0"},
		{"an empty unit", h264, 4, "00000000" + "0000000165", "00000001" + "0000000165"},
		{"nothing", h264, 4, "", ""},
		{"too long", h264, 4, "0000000365aa", "-"},
		{"far too long", h264, 4, "ffffffff65aa", "-"},
		{"half a length", h264, 4, "0000000165" + "0000", "-"},
	} {
		b, err := hex.DecodeString(tt.in)
		if err != nil {
			t.Fatal(err)
		}
		s := &Stream{codec: tt.codec, lengthSize: tt.n}
		err = s.annexB(b)
		if tt.want == "-" {
			if err == nil {
				t.Errorf("%s: no error", tt.name)
			}
			continue
		}
		if got := hex.EncodeToString(b); err != nil || got != tt.want {
			t.Errorf("%s: %s, %v, want %s", tt.name, got, err, tt.want)
		}
	}
}

// stamp33 reads what appendStamp wrote.
func stamp33(b []byte) int64 {
	return int64(b[0]>>1&7)<<30 | int64(b[1])<<22 | int64(b[2]>>1)<<15 | int64(b[3])<<7 | int64(b[4]>>1)
}

func TestStamps(t *testing.T) {
	for _, v := range []int64{0, 1, Base, 1<<33 - 1, 1 << 33, 1<<33 + 5, -1} {
		b := appendStamp(nil, 3, v)
		if got := stamp33(b); got != v&timeMask || b[0]>>4 != 3 || b[0]&b[2]&b[4]&1 != 1 {
			t.Errorf("%d is written as %d (%x)", v, got, b)
		}
	}
	s := &Stream{track: &mp4.Track{Timescale: 48000, EditStart: 1024}}
	for _, tt := range []struct{ in, want int64 }{
		{1024, Base}, {0, Base - 1920}, {1023, Base - 2}, {48000 + 1024, Base + 90000},
		{27 * 3600 * 48000, Base + 27*3600*90000 - 1920}, // 33 bits are full after 26.5 hours
	} {
		if got := s.stamp(tt.in); got != tt.want {
			t.Errorf("stamp(%d) = %d, want %d", tt.in, got, tt.want)
		}
	}
}

func TestChecksum(t *testing.T) {
	if got := checksum([]byte("123456789")); got != 0x0376e6e7 { // the check value of CRC-32/MPEG-2
		t.Errorf("%#x", got)
	}
}

// Sizes are said before media is read: what is written must have them, for every
// way a PES packet can end in a transport packet.
func TestSizes(t *testing.T) {
	for _, track := range []*mp4.Track{
		{Codec: "avc1", Config: avcC(4), Timescale: 25},
		{Codec: "mp4a", Config: []byte{0x11, 0x90}, Timescale: 48000},
	} {
		s, err := NewStream(track, nil)
		if err != nil {
			t.Fatal(err)
		}
		s.counts = []uint32{0}
		for size := uint32(5); size < 600; size++ {
			sample := mp4.Sample{Size: size, Sync: true, Dur: 1}
			media := make([]byte, size)
			media[2], media[3] = byte((size-4)>>8), byte(size-4)
			b, err := AppendFragment(nil, 0, Part{Stream: s, Samples: []mp4.Sample{sample}, Media: media})
			if err != nil {
				t.Fatal(err)
			}
			if want := (2 + s.packets([]mp4.Sample{sample})) * PacketSize; len(b) != want {
				t.Fatalf("%s of %d bytes: wrote %d, said %d", track.Codec, size, len(b), want)
			}
			if got := payload(t, b, s.pid); !bytes.HasSuffix(got, media) || len(got) < len(media)+s.headSize() {
				t.Fatalf("%s of %d bytes: %d bytes of payload end otherwise", track.Codec, size, len(got))
			}
		}
	}
}

// payload joins what the packets of a stream carry.
func payload(t *testing.T, b []byte, pid uint16) []byte {
	t.Helper()
	var all []byte
	for ; len(b) > 0; b = b[PacketSize:] {
		if b[0] != 0x47 || len(b) < PacketSize {
			t.Fatal("no packet")
		}
		if uint16(b[1]&31)<<8|uint16(b[2]) != pid {
			continue
		}
		at := 4
		if b[3]&0x20 != 0 {
			at += 1 + int(b[4])
		}
		if at > PacketSize {
			t.Fatalf("adaptation field of %d bytes", b[4])
		}
		all = append(all, b[at:PacketSize]...)
	}
	return all
}

// Two streams share a fragment in the order of decoding.
func TestInterleave(t *testing.T) {
	video, err := NewStream(&mp4.Track{Codec: "avc1", Config: avcC(4), Timescale: 25}, nil)
	if err != nil {
		t.Fatal(err)
	}
	audio, err := NewStream(&mp4.Track{Codec: "ac-3", Timescale: 25, SampleRate: 38400}, nil)
	if err != nil {
		t.Fatal(err)
	}
	video.counts, audio.counts = []uint32{15}, []uint32{0}
	samples := func(size uint32) []mp4.Sample {
		var list []mp4.Sample
		for i := range 4 {
			list = append(list, mp4.Sample{Size: size, DTS: uint64(3 * i), Dur: 3, Sync: i == 0})
		}
		return list
	}
	nal := []byte{0, 0, 0, 1, 0x65}
	b, err := AppendFragment(nil, 3, Part{Stream: video, Samples: samples(5), Media: bytes.Repeat(nal, 4)}, Part{Stream: audio, Samples: samples(7), Media: make([]byte, 28)})
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for at := 0; at < len(b); at += PacketSize {
		pid := uint16(b[at+1]&31)<<8 | uint16(b[at+2])
		name := map[uint16]string{0: "PAT", pmtPID: "PMT", videoPID: "v", audioPID: "a"}[pid]
		order = append(order, name+string("0123456789abcdef"[b[at+3]&15]))
	}
	if d := cmp.Diff("PAT3 PMT3 vf a0 v0 a1 v1 a2 v2 a3", strings.Join(order, " ")); d != "" {
		t.Error(d)
	}
}

// Configurations come from files.
func FuzzConfigure(f *testing.F) {
	f.Add("avc1", avcC(4))
	f.Add("hvc1", append(make([]byte, 21), 3, 1, 0x20, 0, 1, 0, 2, 0x40, 1))
	f.Add("mp4a", []byte{0x2b, 0x11, 0x88, 0})
	f.Fuzz(func(t *testing.T, codec string, config []byte) {
		s, err := NewStream(&mp4.Track{Codec: codec, Config: config, Timescale: 1000, SampleRate: 48000}, nil)
		if err == nil && len(s.parameters) > 3*len(config)+8 {
			t.Fatalf("%d bytes of parameter sets from %d", len(s.parameters), len(config))
		}
	})
}
