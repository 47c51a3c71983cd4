package smooth

import (
	"encoding/binary"
	"encoding/hex"
	"strings"

	"github.com/openams/openams/packager/mp4"
)

// Codec private data is hexadecimal, [MS-SSTR] 2.2.2.5: for H.264 and HEVC the
// parameter sets, each behind a start code.

// units appends count parameter sets, each with a length of two bytes before
// it, and returns what follows them; ok is false if they do not fit.
func units(private []byte, b []byte, count int) (_, rest []byte, ok bool) {
	for range count {
		if len(b) < 2 {
			return nil, nil, false
		}
		n := int(binary.BigEndian.Uint16(b))
		if b = b[2:]; len(b) < n {
			return nil, nil, false
		}
		private = append(append(private, 0, 0, 0, 1), b[:n]...)
		b = b[n:]
	}
	return private, b, true
}

func upper(b []byte) []byte { return []byte(strings.ToUpper(hex.EncodeToString(b))) }

// avcPrivate returns nil for a malformed avcC.
func avcPrivate(c []byte) []byte {
	if len(c) < 7 {
		return nil
	}
	private, rest, ok := units(nil, c[6:], int(c[5]&31))
	if !ok || len(rest) < 1 {
		return nil
	}
	if private, _, ok = units(private, rest[1:], int(rest[0])); !ok {
		return nil
	}
	return upper(private)
}

// hevcPrivate returns nil for a malformed hvcC.
func hevcPrivate(c []byte) []byte {
	if len(c) < 23 {
		return nil
	}
	var private []byte
	rest := c[23:]
	for range int(c[22]) {
		if len(rest) < 3 {
			return nil
		}
		// VPS, SPS and PPS only: no SEI.
		typ, count := rest[0]&63, int(binary.BigEndian.Uint16(rest[1:]))
		with, after, ok := units(private, rest[3:], count)
		if !ok {
			return nil
		}
		if typ >= 32 && typ <= 34 {
			private = with
		}
		rest = after
	}
	return upper(private)
}

// eac3Private is the part of a WAVEFORMATEXTENSIBLE behind its size, with the
// dec3 box's payload behind it.
func eac3Private(m *mp4.Track) []byte {
	masks := map[uint16]uint32{1: 0x4, 2: 0x3, 6: 0x3f, 8: 0x63f}
	b := binary.LittleEndian.AppendUint16(nil, 1536) // samples per frame
	b = binary.LittleEndian.AppendUint32(b, masks[m.Channels])
	b = append(b, 0xaf, 0x87, 0xfb, 0xa7, 0x02, 0x2d, 0xfb, 0x42, 0xa4, 0xd4, 0x05, 0xcd, 0x93, 0x84, 0x3b, 0xdd) // KSDATAFORMAT_SUBTYPE_DOLBY_DDPLUS
	return append(b, m.Config...)
}
