package ts

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/openams/openams/packager/mp4"
)

// A stamper puts one block in the place of every block that it encrypts, and counts
// them.
type stamper struct {
	block  string
	blocks int
}

func (s *stamper) Encrypt(b []byte, step int) {
	for ; len(b) >= 16; b = b[min(step, len(b)):] {
		copy(b, s.block)
		s.blocks++
	}
}

const starts = "\x00\x00\x01\x00\x00\x01\x00\x00\x02\x00\x00\x00\x00\x00\x03\x00"

// unescaped takes emulation prevention bytes away, as a decoder does.
func unescaped(b []byte) (out []byte) {
	zeros := 0
	for _, c := range b {
		if zeros >= 2 && c == 3 {
			zeros = 0
			continue
		}
		if c == 0 {
			zeros++
		} else {
			zeros = 0
		}
		out = append(out, c)
	}
	return out
}

func TestEscapes(t *testing.T) {
	for in, want := range map[string]string{
		"":                 "",
		"000000":           "00000300",
		"0000":             "0000",
		"000001":           "00000301",
		"000004":           "000004",
		"00000003":         "0000030003",
		"0000030000":       "000003030000",
		"000000000000":     "0000030000030000",
		"ff000003000003ff": "ff00000303000003" + "03ff",
		"0000000000":       "00000300000300",
	} {
		b, err := hex.DecodeString(in)
		if err != nil {
			t.Fatal(err)
		}
		got := appendEscaped(nil, b)
		if hex.EncodeToString(got) != want || escapes(b) != len(got)-len(b) || !bytes.Equal(unescaped(got), b) {
			t.Errorf("%s is escaped as %x with %d more bytes, want %s", in, got, escapes(b), want)
		}
	}
}

// TestEncryptedSlices looks at which blocks of which NAL units are encrypted.
func TestEncryptedSlices(t *testing.T) {
	const mark = "================"
	for _, tt := range []struct {
		name   string
		header byte
		size   int
		want   []int // where encrypted blocks start
	}{
		{"48 bytes stay clear", 0x65, 48, nil},
		{"49 do not", 0x65, 49, []int{32}},
		{"a slice of another picture", 0x41, 49, []int{32}},
		{"the second block in 160 bytes", 0x65, 32 + 160 + 17, []int{32, 192}},
		{"a last whole block stays clear", 0x65, 32 + 160 + 16, []int{32}},
		{"parameter sets", 0x67, 500, nil},
		{"SEI", 0x06, 500, nil},
	} {
		unit := append(binary.BigEndian.AppendUint32(nil, uint32(tt.size)), bytes.Repeat([]byte{'.'}, tt.size)...)
		unit[4] = tt.header
		m := mux{Stream: &Stream{codec: h264, lengthSize: 4}, cipher: &stamper{block: mark}}
		want := string(unit)
		for _, at := range tt.want {
			want = want[:4+at] + mark + want[4+at+16:]
		}
		got, err := m.encryptUnit(unit)
		if err != nil || string(got) != want {
			t.Errorf("%s: %v, %q", tt.name, err, got)
		}
	}
	m := mux{Stream: &Stream{codec: h264, lengthSize: 4}, cipher: &stamper{}}
	if _, err := m.encryptUnit([]byte{0, 0, 0, 9, 0x65}); err == nil {
		t.Error("a NAL unit longer than its sample is no error")
	}
	if _, err := m.encryptUnit([]byte{0, 0, 0, 1, 0x42}); err == nil {
		t.Error("data partitions stay clear")
	}
}

// TestEscapedFragment encrypts slices into start codes: fragments get longer, and
// the continuity counters still fit.
func TestEscapedFragment(t *testing.T) {
	for _, lengths := range []byte{3, 4} {
		track := &mp4.Track{Codec: "avc1", Config: avcC(lengths), Timescale: 25}
		s, err := NewStream(track, nil)
		if err != nil {
			t.Fatal(err)
		}
		for size := 40; size < 3000; size += 37 {
			var media []byte
			var samples []mp4.Sample
			for i := range 5 {
				n := size + i
				length := binary.BigEndian.AppendUint32(nil, uint32(n))[4-lengths:]
				media = append(append(media, length...), bytes.Repeat([]byte{'.'}, n)...)
				media[len(media)-n] = 0x65
				samples = append(samples, mp4.Sample{Size: uint32(n) + uint32(lengths), Sync: i == 0, Dur: 1, DTS: uint64(i)})
			}
			s.counts = []uint32{7, 7 + uint32(s.packets(samples))}
			cipher := &stamper{block: starts}
			b, err := AppendFragment(nil, 0, Part{Stream: s, Samples: samples, Media: bytes.Clone(media), Cipher: cipher})
			if err != nil {
				t.Fatal(err)
			}
			more := int64(len(b)) - s.Size(0)
			if more < 0 || more%(16*PacketSize) != 0 {
				t.Fatalf("slices of %d bytes: %d bytes more than planned", size, more)
			}
			if last := b[len(b)-PacketSize+3] & 15; last != byte(s.counts[1]-1)&15 {
				t.Fatalf("slices of %d bytes: the last continuity counter is %d, planned %d", size, last, byte(s.counts[1]-1)&15)
			}
			// What a player finds after a start code and without escapes is the
			// encrypted slice.
			es := payload(t, b, videoPID)
			for i := range 5 {
				nal := bytes.Repeat([]byte{'.'}, size+i)
				nal[0] = 0x65
				if size+i > 48 {
					(&stamper{block: starts}).Encrypt(nal[32:len(nal)-1], 160)
				}
				at := bytes.Index(es, []byte{0, 0, 1, 0x65})
				if at < 0 {
					t.Fatalf("slices of %d bytes: only %d start codes", size, i)
				}
				es = es[at+3:]
				end := bytes.Index(es, []byte{0, 0, 1})
				if end < 0 {
					end = len(es)
				}
				if got := unescaped(es[:end]); !bytes.HasPrefix(got, nal) {
					t.Fatalf("slice %d of %d bytes is %q", i, size+i, got)
				}
			}
			if size > 48 && cipher.blocks == 0 {
				t.Error("nothing is encrypted")
			}
		}
	}
}

func TestEncryptedFrames(t *testing.T) {
	const mark = "################"
	frame := func(n int, head string) string { return head + strings.Repeat(".", n-len(head)) }
	sealed := func(n int, head string) string {
		s := frame(n, head)
		for at := 16; at+16 <= n; at += 16 {
			s = s[:at] + mark + s[at+16:]
		}
		return s
	}
	for _, tt := range []struct {
		codec    codec
		in, want string // no want: refused
	}{
		{aac, frame(15, ""), frame(15, "")},
		{aac, frame(31, ""), frame(31, "")},
		{aac, frame(100, ""), sealed(100, "")},
		{ac3, frame(96, "\x0b\x77"), sealed(96, "\x0b\x77")},
		{eac3, frame(96, "\x0b\x77\x00\x2f"), sealed(96, "\x0b\x77\x00\x2f")},
		{eac3, frame(96, "\x0b\x77\x00\x2f") + frame(50, "\x0b\x77\x40\x18"), sealed(96, "\x0b\x77\x00\x2f") + sealed(50, "\x0b\x77\x40\x18")},
		{eac3, frame(95, "\x0b\x77\x00\x2f"), ""},
		{eac3, frame(97, "\x0b\x77\x00\x2f"), ""},
		{eac3, frame(96, "\x0b\x78\x00\x2f"), ""},
	} {
		b := []byte(tt.in)
		m := mux{Stream: &Stream{codec: tt.codec}, cipher: &stamper{block: mark}}
		err := m.encryptFrame(b)
		if tt.want == "" {
			if err == nil {
				t.Errorf("%q is encrypted", tt.in)
			}
		} else if err != nil || string(b) != tt.want {
			t.Errorf("%q is encrypted as %q, %v", tt.in, b, err)
		}
	}
}

// TestEncryptedMap reads stream types and descriptors.
func TestEncryptedMap(t *testing.T) {
	for _, tt := range []struct {
		track mp4.Track
		typ   byte
		want  string // hexadecimal
	}{
		{mp4.Track{Codec: "avc1", Config: avcC(4), Timescale: 25}, 0xdb, "0f047a617663"},
		{mp4.Track{Codec: "mp4a", Config: []byte{0x11, 0x90}, Timescale: 48000}, 0xcf, "0f0461616364" + "050e617061647a6161630000" + "01021190"},
		{mp4.Track{Codec: "mp4a", Config: []byte{0x2b, 0x11, 0x88, 0}, Timescale: 48000}, 0xcf, "0f0461616364" + "0510617061647a6163680000" + "01042b118800"},
		{mp4.Track{Codec: "mp4a", Config: []byte{0xeb, 0x09, 0x88, 0}, Timescale: 48000}, 0xcf, "0f0461616364" + "0510617061647a6163700000" + "0104eb098800"},
		{mp4.Track{Codec: "ac-3", SampleRate: 48000, Timescale: 48000}, 0xc1, "0f0461633364" + "0516617061647a6163330000" + "010a0b770102030405060708"},
		{mp4.Track{Codec: "ec-3", SampleRate: 48000, Timescale: 48000, Config: []byte{1, 2, 3, 4, 5}}, 0xc2, "0f0465633364" + "0511617061647a6563330000" + "01050102030405"},
	} {
		s, err := NewStream(&tt.track, nil)
		if err != nil || s.Ciphered() != nil {
			t.Fatal(err, s.Ciphered())
		}
		p := Part{Stream: s, Cipher: &stamper{}, Media: []byte("\x0b\x77\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a")}
		typ, descriptors := p.signal()
		if got := hex.EncodeToString(descriptors); typ != tt.typ || got != tt.want {
			t.Errorf("%s: type %#x with %s, want %#x with %s", tt.track.Codec, typ, got, tt.typ, tt.want)
		}
		if b := appendPMT(nil, 0, []Part{p, p}); len(b) != PacketSize {
			t.Errorf("%s: a program map of %d bytes", tt.track.Codec, len(b))
		}
	}
	hevc, err := NewStream(&mp4.Track{Codec: "hvc1", Config: append(make([]byte, 21), 3, 0), Timescale: 25}, nil)
	if err != nil || hevc.Ciphered() == nil {
		t.Errorf("HEVC can be encrypted (%v)", err)
	}
	long, err := NewStream(&mp4.Track{Codec: "mp4a", Config: append([]byte{0x11, 0x90}, make([]byte, 63)...), Timescale: 48000}, nil)
	if err != nil || long.Ciphered() == nil {
		t.Errorf("a configuration of 65 bytes is put in the program map (%v)", err)
	}
}

// FuzzEncrypt has media that contradicts its index.
func FuzzEncrypt(f *testing.F) {
	f.Add(byte(0), []byte("\x00\x00\x00\x41\x65"+strings.Repeat(".", 64)))
	f.Add(byte(4), []byte("\x0b\x77\x00\x07............"))
	f.Fuzz(func(t *testing.T, c byte, b []byte) {
		m := mux{Stream: &Stream{codec: codec(c % 5), lengthSize: 4}, cipher: &stamper{block: starts}}
		if m.video() {
			m.codec = h264
			out, err := m.encryptUnit(bytes.Clone(b))
			if err == nil && (len(out) < len(b) || m.annexB(out) != nil) {
				t.Fatalf("%x becomes %x", b, out)
			}
			return
		}
		_ = m.encryptFrame(b)
	})
}
