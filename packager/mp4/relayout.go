package mp4

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"time"
)

// Relayout rewrites a progressive MP4 with the moov box first and with the
// bytes of every fragment of every track as one contiguous extent, fragments
// of all tracks ordered by time. Samples, times, edit lists, sample entries and
// user data stay; creation times become 0, so that equal input gives equal
// output. Boxes of the top level other than ftyp, moov and mdat are left out.
// It holds the headers in memory and copies the media. Syncing dst is the
// caller's.
//
// A fragment of 0 or less means DefaultFragment. The error is an *Error if src
// is at fault, else what src or dst returned.
func Relayout(dst io.Writer, src io.ReaderAt, size int64, fragment time.Duration) error {
	m, err := readMovie(src, size)
	if err != nil {
		return err
	}
	l, err := newLayout(m, fragment)
	if err != nil {
		return err
	}
	head, err := l.head()
	if err != nil {
		return err
	}
	if _, err := dst.Write(head); err != nil {
		return fmt.Errorf("mp4: writing the headers: %w", err)
	}
	return l.copy(dst, src)
}

// A layout is the plan of a file to write.
type layout struct {
	m      *movie
	traks  map[int64]int // where a trak box was in the file: its number
	chunks [][]Fragment  // by track: each fragment becomes one chunk
	order  []piece
	bytes  int64 // of all pieces
}

// A piece is one fragment of one track.
type piece struct {
	track, chunk int
	at           float64 // seconds: when its decoding starts
	off          int64   // from the start of all pieces
}

func newLayout(m *movie, fragment time.Duration) (*layout, error) {
	if m.fragments {
		return nil, m.moov.errorf(Unsupported, "the file is fragmented already")
	}
	l := &layout{m: m, traks: make(map[int64]int)}
	for i, t := range m.tracks {
		if t.raw {
			return nil, t.box.errorf(Unsupported, "track %d is uncompressed audio (%s)", t.ID, t.Codec)
		}
		if err := t.finish(); err != nil {
			return nil, err
		}
		l.traks[t.box.off] = i
		list := t.Fragments(fragment)
		l.chunks = append(l.chunks, list)
		for j, f := range list {
			l.order = append(l.order, piece{track: i, chunk: j, at: t.seconds(f.Decode - t.Lead())})
		}
	}
	slices.SortStableFunc(l.order, func(a, b piece) int { return cmp.Compare(a.at, b.at) })
	for i := range l.order {
		p := &l.order[i]
		p.off = l.bytes
		l.bytes += l.chunks[p.track][p.chunk].Bytes
	}
	return l, nil
}

// head returns all bytes before the media: ftyp, moov, and the header of mdat.
func (l *layout) head() ([]byte, error) {
	ftyp := appendBox(nil, "ftyp", []byte("qt  \x00\x00\x02\x00qt  ")) // a file without one is old QuickTime
	if l.m.ftyp.typ != "" {
		ftyp = appendBox(nil, "ftyp", l.m.ftyp.data)
	}
	mdat := binary.BigEndian.AppendUint32(nil, uint32(8+l.bytes))
	mdat = append(mdat, "mdat"...)
	if l.bytes > math.MaxUint32-8 {
		mdat = append([]byte{0, 0, 0, 1}, "mdat"...)
		mdat = binary.BigEndian.AppendUint64(mdat, uint64(16+l.bytes))
	}
	moov, err := l.moov(0, false) // for its length
	if err != nil {
		return nil, err
	}
	base := int64(len(ftyp) + len(moov) + len(mdat))
	wide := base+l.bytes > math.MaxUint32
	if wide {
		if moov, err = l.moov(0, true); err != nil {
			return nil, err
		}
		base = int64(len(ftyp) + len(moov) + len(mdat))
	}
	if moov, err = l.moov(base, wide); err != nil {
		return nil, err
	}
	return slices.Concat(ftyp, moov, mdat), nil
}

// moov returns the moov box for media that starts at base.
func (l *layout) moov(base int64, wide bool) ([]byte, error) {
	offsets := make([][]int64, len(l.chunks))
	for i, list := range l.chunks {
		offsets[i] = make([]int64, len(list))
	}
	for _, p := range l.order {
		offsets[p.track][p.chunk] = base + p.off
	}
	track := -1
	var rewrite func(b box) ([]byte, error)
	rewrite = func(b box) ([]byte, error) {
		var payload []byte
		switch b.typ {
		case "trak":
			track = l.traks[b.off]
			fallthrough
		case "moov", "mdia", "minf", "stbl":
			err := b.each(0, func(c box) error {
				child, err := rewrite(c)
				payload = append(payload, child...)
				return err
			})
			if err != nil {
				return nil, err
			}
		case "mvhd", "tkhd", "mdhd":
			payload = slices.Clone(b.data)
			times := 8 // creation and modification
			if payload[0] == 1 {
				times = 16
			}
			clear(payload[4 : 4+times])
		case "stsc":
			entry := uint32(1)
			if len(b.data) >= 20 {
				entry = be32(b.data[16:])
			}
			payload = stscPayload(l.chunks[track], entry)
		case "stco", "co64":
			return stco(offsets[track], wide), nil
		case "saio", "saiz":
			return nil, b.errorf(Unsupported, "track %d is encrypted", l.m.tracks[track].ID)
		default:
			payload = b.data
		}
		return appendBox(nil, b.typ, payload), nil
	}
	return rewrite(l.m.moov)
}

// stscPayload says how many samples each chunk has, in runs.
func stscPayload(chunks []Fragment, entry uint32) []byte {
	p := make([]byte, 8)
	var runs uint32
	for i, f := range chunks {
		if i > 0 && f.N == chunks[i-1].N {
			continue
		}
		runs++
		p = binary.BigEndian.AppendUint32(p, uint32(i+1))
		p = binary.BigEndian.AppendUint32(p, uint32(f.N))
		p = binary.BigEndian.AppendUint32(p, entry)
	}
	binary.BigEndian.PutUint32(p[4:], runs)
	return p
}

func stco(offsets []int64, wide bool) []byte {
	p := binary.BigEndian.AppendUint32(make([]byte, 4), uint32(len(offsets)))
	for _, o := range offsets {
		if wide {
			p = binary.BigEndian.AppendUint64(p, uint64(o))
		} else {
			p = binary.BigEndian.AppendUint32(p, uint32(o))
		}
	}
	if wide {
		return appendBox(nil, "co64", p)
	}
	return appendBox(nil, "stco", p)
}

// copy writes the pieces in order.
func (l *layout) copy(dst io.Writer, src io.ReaderAt) error {
	buf := make([]byte, 1<<20)
	n := 0
	flush := func() error {
		_, err := dst.Write(buf[:n])
		if n = 0; err != nil {
			return fmt.Errorf("mp4: writing media: %w", err)
		}
		return nil
	}
	for _, p := range l.order {
		f := l.chunks[p.track][p.chunk]
		for _, e := range l.m.tracks[p.track].Extents(f.First, f.N) {
			for e.Length > 0 {
				if n == len(buf) {
					if err := flush(); err != nil {
						return err
					}
				}
				part := buf[n:][:min(e.Length, int64(len(buf)-n))]
				if k, err := src.ReadAt(part, e.Offset); k < len(part) {
					return fmt.Errorf("mp4: reading media at byte %d: %w", e.Offset, err)
				}
				n += len(part)
				e.Offset += int64(len(part))
				e.Length -= int64(len(part))
			}
		}
	}
	return flush()
}
