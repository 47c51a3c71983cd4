package protect

import (
	"bytes"
	"encoding/binary"

	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/mp4"
)

// initSegment tells in the sample entry of s how samples are encrypted
// (ISO/IEC 23001-7 4), and puts pssh boxes at the end of moov.
func (p *Protection) initSegment(r *packager.Rendition, s *packager.Segment) (*packager.Segment, error) {
	key := p.key(r)
	if key == nil {
		return s, nil
	}
	if err := p.refuse(r); err != nil {
		return nil, err
	}
	b := bytes.Clone(s.Header)
	codec := r.Media.Codec
	entry, err := walk(b, "moov", "trak", "mdia", "minf", "stbl", "stsd", codec)
	if err != nil {
		return nil, err
	}
	moov, err := walk(b, "moov")
	if err != nil {
		return nil, err
	}
	var sinf, pssh writer
	sinf.sinf(codec, p.Scheme, r.Media.Kind, key)
	for _, box := range p.psshs(key) {
		pssh.bytes(box)
	}
	if r.Media.Kind == mp4.Video {
		copy(b[entry.start()+4:], "encv")
	} else {
		copy(b[entry.start()+4:], "enca")
	}
	entry.grow(b, len(sinf.b))
	place{starts: moov.starts}.grow(b, len(pssh.b))
	out := make([]byte, 0, len(b)+len(sinf.b)+len(pssh.b))
	out = append(out, b[:entry.end]...)
	out = append(out, sinf.b...)
	out = append(out, b[entry.end:moov.end]...)
	out = append(out, pssh.b...)
	out = append(out, b[moov.end:]...)
	return &packager.Segment{ContentType: s.ContentType, Size: int64(len(out)), Header: out}, nil
}

func (w *writer) sinf(codec string, scheme Scheme, kind mp4.Kind, key *Key) {
	w.box("sinf", func() {
		w.box("frma", func() { w.b = append(w.b, codec...) })
		w.full("schm", 0, 0, func() {
			w.b = append(w.b, scheme.fourCC()...)
			w.u32(0x00010000)
		})
		w.box("schi", func() {
			if scheme != CBCS {
				w.full("tenc", 0, 0, func() {
					w.u8(0, 0, 1, 8) // protected, vectors of 8 bytes
					w.bytes(key.id[:])
				})
				return
			}
			w.full("tenc", 1, 0, func() {
				pattern := byte(0) // audio: all blocks
				if kind == mp4.Video {
					pattern = cryptBlocks<<4 | skipBlocks
				}
				w.u8(0, pattern, 1, 0)
				w.bytes(key.id[:])
				w.u8(16)
				w.bytes(key.iv[:])
			})
		})
	})
}

// psshs returns the pssh boxes of the systems that read them from media.
func (p *Protection) psshs(key *Key) [][]byte {
	list := [][]byte{commonPSSH(key.id)}
	if p.Systems.Widevine != nil {
		list = append(list, p.widevinePSSH(key))
	}
	if p.Systems.PlayReady != nil {
		list = append(list, p.playReadyPSSH(key))
	}
	return list
}

// pssh returns a Protection System Specific Header. Only version 1 lists ids.
func pssh(system [16]byte, ids []KeyID, data []byte) []byte {
	var w writer
	version := byte(0)
	if ids != nil {
		version = 1
	}
	w.full("pssh", version, 0, func() {
		w.bytes(system[:])
		if ids != nil {
			w.u32(uint32(len(ids)))
			for _, id := range ids {
				w.bytes(id[:])
			}
		}
		w.b = binary.BigEndian.AppendUint32(w.b, uint32(len(data)))
		w.bytes(data)
	})
	return w.b
}
