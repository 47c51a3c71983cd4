package protect

import (
	"crypto/cipher"
	"encoding/binary"
	"math"

	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/mp4"
)

// The pattern of CBCS, in cipher blocks.
const (
	blockSize   = 16
	cryptBlocks = 1
	skipBlocks  = 9
)

// sencUUID marks the sample encryption box of PIFF 1.1 and Smooth.
var sencUUID = [16]byte{0xa2, 0x39, 0x4f, 0x52, 0x5a, 0x9b, 0x4f, 0x14, 0xa2, 0x44, 0x6c, 0x42, 0x7c, 0x64, 0x8d, 0xf4}

const hasSubsamples = 2 // flag of senc

// fragment encrypts the samples of fragment k of r, planned as s, and tells
// about it at the end of traf (ISO/IEC 23001-7 7).
func (p *Protection) fragment(r *packager.Rendition, k int, s *packager.Segment) (*packager.Segment, error) {
	key := p.key(r)
	if key == nil {
		return s, nil
	}
	head := s.Header
	moof, err := walk(head, "moof")
	if err != nil {
		return nil, err
	}
	traf, err := walk(head, "moof", "traf")
	if err != nil {
		return nil, err
	}
	trun, err := walk(head, "moof", "traf", "trun")
	if err != nil {
		return nil, err
	}
	info, err := p.sampleInfo(r, k, key)
	if err != nil {
		return nil, err
	}
	boxes := info.boxes(p.inUUID(head), traf.end-moof.start())
	out := make([]byte, 0, len(head)+len(boxes))
	out = append(out, head[:traf.end]...)
	out = append(out, boxes...)
	out = append(out, head[traf.end:]...)
	traf.grow(out, len(boxes))
	offset := out[trun.start()+16:] // data_offset, from the start of moof
	binary.BigEndian.PutUint32(offset, binary.BigEndian.Uint32(offset)+uint32(len(boxes)))

	f := r.Fragments[k].Fragment
	return &packager.Segment{
		ContentType: s.ContentType,
		Size:        s.Size + int64(len(boxes)),
		Header:      out,
		Extents:     s.Extents,
		InPlace: func(media []byte) {
			if p.Scheme == CBCS {
				cbcs(media, r.Media, f, key)
			} else {
				cenc(media, r.Media, f, key, p.vector(key, r))
			}
		},
	}, nil
}

// inUUID reports whether a fragment with that header tells about its samples in
// a uuid box: Smooth fragments, which alone have nothing before moof.
func (p *Protection) inUUID(header []byte) bool {
	return p.Scheme == PIFF || string(header[4:8]) == "moof"
}

// A sampleInfo is the contents of senc and saiz.
type sampleInfo struct {
	flags uint32
	count int
	data  []byte // of all samples
	sizes []byte // of each
}

// maxInfo is the most that saiz can say of a sample.
const maxInfo = 255

func (p *Protection) sampleInfo(r *packager.Rendition, k int, key *Key) (x sampleInfo, err error) {
	if err := p.refuse(r); err != nil {
		return x, err
	}
	f := r.Fragments[k].Fragment
	t := r.Media
	video := t.Kind == mp4.Video
	vector := p.vector(key, r) + uint64(f.First)
	x.count = f.N
	x.sizes = make([]byte, 0, f.N)
	each := 8
	if video {
		x.flags = hasSubsamples
		each += 8
	}
	x.data = make([]byte, 0, each*f.N)
	for s, list := range t.Subsamples(f.First, f.N) {
		from := len(x.data)
		if p.Scheme != CBCS {
			x.data = binary.BigEndian.AppendUint64(x.data, vector)
			vector++
		}
		if video {
			if p.Scheme != CBCS {
				wholeBlocks(list)
			}
			x.subsamples(list)
		}
		n := len(x.data) - from
		if n > maxInfo {
			return x, packager.Errorf(packager.VideoEncodingNotSupported, "%s: track %d: the picture of %d bytes at byte %d has too much that must stay clear for encryption=%s", r.File, t.ID, s.Size, s.Offset, p.Scheme)
		}
		x.sizes = append(x.sizes, byte(n))
	}
	return x, nil
}

// subsamples appends the list. A count of clear bytes has 16 bits.
func (x *sampleInfo) subsamples(list []mp4.Subsample) {
	at := len(x.data)
	x.data = append(x.data, 0, 0)
	n := 0
	for _, s := range list {
		for ; s.Clear > math.MaxUint16; s.Clear -= math.MaxUint16 {
			x.data = append(x.data, 0xff, 0xff, 0, 0, 0, 0)
			n++
		}
		x.data = binary.BigEndian.AppendUint16(x.data, uint16(s.Clear))
		x.data = binary.BigEndian.AppendUint32(x.data, s.Protected)
		n++
	}
	binary.BigEndian.PutUint16(x.data[at:], uint16(n))
}

// wholeBlocks keeps the part of a cipher block at the start of slice data clear.
func wholeBlocks(list []mp4.Subsample) {
	for i := range list {
		odd := list[i].Protected % blockSize
		list[i].Clear += odd
		list[i].Protected -= odd
	}
}

// boxes returns the boxes for the end of traf. offset is where they will start,
// from the start of moof.
func (x *sampleInfo) boxes(uuid bool, offset int) []byte {
	if len(x.data) == 0 {
		return nil // whole samples under a constant vector: tenc says it all
	}
	w := writer{make([]byte, 0, len(x.data)+len(x.sizes)+100)}
	senc := func() {
		w.u32(uint32(x.count))
		w.bytes(x.data)
	}
	if uuid {
		w.box("uuid", func() {
			w.bytes(sencUUID[:])
			w.u32(x.flags)
			senc()
		})
		return w.b
	}
	w.full("senc", 0, x.flags, senc)
	w.full("saiz", 0, 0, func() {
		same := x.sizes[0]
		for _, n := range x.sizes {
			if n != same {
				same = 0
				break
			}
		}
		w.u8(same)
		w.u32(uint32(x.count))
		if same == 0 {
			w.bytes(x.sizes)
		}
	})
	w.full("saio", 0, 0, func() {
		w.u32(1)
		w.u32(uint32(offset + 16)) // behind the head of senc
	})
	return w.b
}

// cenc encrypts the samples of f, which media holds, where they are.
func cenc(media []byte, t *mp4.Track, f mp4.Fragment, key *Key, vector uint64) {
	vector += uint64(f.First)
	video := t.Kind == mp4.Video
	for _, list := range t.Subsamples(f.First, f.N) {
		var iv [blockSize]byte
		binary.BigEndian.PutUint64(iv[:], vector)
		vector++
		if video {
			wholeBlocks(list)
		}
		stream := cipher.NewCTR(key.block, iv[:])
		for _, s := range list {
			media = media[s.Clear:]
			stream.XORKeyStream(media[:s.Protected], media[:s.Protected])
			media = media[s.Protected:]
		}
	}
}

// cbcs encrypts the samples of f, which media holds, where they are.
func cbcs(media []byte, t *mp4.Track, f mp4.Fragment, key *Key) {
	step := blockSize
	if t.Kind == mp4.Video {
		step = (cryptBlocks + skipBlocks) * blockSize
	}
	for _, list := range t.Subsamples(f.First, f.N) {
		for _, s := range list {
			key.Encrypt(media[s.Clear:s.Clear+s.Protected], step)
			media = media[s.Clear+s.Protected:]
		}
	}
}

// Encrypt encrypts one block in step bytes by CBC, in place: see ts.Cipher.
func (k *Key) Encrypt(b []byte, step int) {
	chain := k.iv
	for len(b) >= blockSize {
		block := b[:blockSize]
		lo := binary.LittleEndian.Uint64(block) ^ binary.LittleEndian.Uint64(chain[:])
		hi := binary.LittleEndian.Uint64(block[8:]) ^ binary.LittleEndian.Uint64(chain[8:])
		binary.LittleEndian.PutUint64(block, lo)
		binary.LittleEndian.PutUint64(block[8:], hi)
		k.block.Encrypt(block, block)
		copy(chain[:], block)
		b = b[min(step, len(b)):]
	}
}
