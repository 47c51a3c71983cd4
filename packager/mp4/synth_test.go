package mp4

import (
	"bytes"
	"encoding/binary"
	"io"
)

// synthTrack describes a track of a file that synth makes.
type synthTrack struct {
	handler   string // "vide", "soun" …
	entry     []byte // the whole sample entry
	timescale uint32
	dur       uint32
	sizes     []uint32
	ctos      []int32  // nil if none
	syncs     []uint32 // from 1; nil if all
	perChunk  uint32
	edits     []byte // payload of elst, nil if none
}

func u16s(v ...uint16) (b []byte) {
	for _, v := range v {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return b
}

func u32s(v ...uint32) (b []byte) {
	for _, v := range v {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// videoSynth is an avc1 sample entry without configuration.
func videoSynth() []byte {
	p := make([]byte, videoEntry)
	copy(p[24:], u16s(1280, 720))
	return appendBox(nil, "avc1", p)
}

// audioSynth is an mp4a sample entry without configuration.
func audioSynth() []byte {
	p := make([]byte, audioEntry)
	copy(p[16:], u16s(2, 16))
	copy(p[24:], u32s(48000<<16))
	return appendBox(nil, "mp4a", p)
}

// synth returns ftyp and moov of a file whose media, one track after another,
// lie from byte base on, and the size of the file.
func synth(base uint64, tracks ...synthTrack) (head []byte, size int64) {
	moov := appendBox(nil, "mvhd", join(u32s(0, 1, 2, 1000, 0), make([]byte, 80)))
	at := base
	for i, t := range tracks {
		n := uint32(len(t.sizes))
		tkhd := make([]byte, 84)
		copy(tkhd[12:], u32s(uint32(i+1)))
		copy(tkhd[40:], u32s(1<<16))
		var chunks []byte
		var count uint32
		for k, s := range t.sizes {
			if uint32(k)%t.perChunk == 0 {
				chunks = binary.BigEndian.AppendUint64(chunks, at)
				count++
			}
			at += uint64(s)
		}
		stbl := join(
			appendBox(nil, "stsd", join(u32s(0, 1), t.entry)),
			appendBox(nil, "stts", u32s(0, 1, n, t.dur)),
			appendBox(nil, "stsz", join(u32s(0, 0, n), u32s(t.sizes...))),
			appendBox(nil, "stsc", u32s(0, 1, 1, t.perChunk, 1)),
			appendBox(nil, "co64", join(u32s(0, count), chunks)),
		)
		if t.ctos != nil {
			p := u32s(1<<24, n)
			for _, c := range t.ctos {
				p = append(p, u32s(1, uint32(c))...)
			}
			stbl = appendBox(stbl, "ctts", p)
		}
		if t.syncs != nil {
			stbl = appendBox(stbl, "stss", join(u32s(0, uint32(len(t.syncs))), u32s(t.syncs...)))
		}
		mdia := join(
			appendBox(nil, "mdhd", join(u32s(0, 1, 2, t.timescale, 0), u16s(0x55c4, 0))),
			appendBox(nil, "hdlr", join(u32s(0, 0), []byte(t.handler), make([]byte, 13))),
			appendBox(nil, "minf", appendBox(nil, "stbl", stbl)),
		)
		trak := appendBox(nil, "tkhd", tkhd)
		if t.edits != nil {
			trak = appendBox(trak, "edts", appendBox(nil, "elst", t.edits))
		}
		moov = appendBox(moov, "trak", appendBox(trak, "mdia", mdia))
	}
	return join(appendBox(nil, "ftyp", []byte("isom\x00\x00\x02\x00isom")), appendBox(nil, "moov", moov)), int64(at)
}

// sparse reads as head and then zeros.
type sparse struct {
	head []byte
	size int64
}

func (s sparse) ReadAt(p []byte, off int64) (int, error) {
	if off >= s.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), s.size-off))
	clear(p[:n])
	if off < int64(len(s.head)) {
		copy(p[:n], s.head[off:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// repeat returns n times v.
func repeat[T any](v T, n int) []T {
	s := make([]T, n)
	for i := range s {
		s[i] = v
	}
	return s
}
