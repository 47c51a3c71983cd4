package probe

import (
	"encoding/binary"
	"errors"
	"fmt"
)

var (
	be16 = binary.BigEndian.Uint16
	be32 = binary.BigEndian.Uint32
	be64 = binary.BigEndian.Uint64
)

// A box of ISO/IEC 14496-12 with its payload.
type box struct {
	typ  string
	off  int // of its header in what was parsed
	head int
	data []byte
}

// eachBox calls f with the boxes that fill b.
func eachBox(b []byte, f func(box) error) error {
	for off := 0; off < len(b); {
		if len(b)-off < 8 {
			return fmt.Errorf("%d bytes follow the last box", len(b)-off)
		}
		n, head := uint64(be32(b[off:])), 8
		typ := string(b[off+4 : off+8])
		if n == 1 {
			if len(b)-off < 16 {
				return fmt.Errorf("the %q box is cut short", typ)
			}
			n, head = be64(b[off+8:]), 16
		}
		if n < uint64(head) || n > uint64(len(b)-off) {
			return fmt.Errorf("the %q box says it has %d bytes where %d are left", typ, n, len(b)-off)
		}
		if err := f(box{typ, off, head, b[off+head : off+int(n)]}); err != nil {
			return err
		}
		off += int(n)
	}
	return nil
}

// child returns the payload of the first box on a path, nil if there is none.
func child(b []byte, path ...string) []byte {
	for _, typ := range path {
		var found []byte
		_ = eachBox(b, func(x box) error {
			if x.typ == typ && found == nil {
				found = x.data
			}
			return nil
		})
		if found == nil {
			return nil
		}
		b = found
	}
	return b
}

// full takes version and flags off a full box with at least n more bytes.
func full(b []byte, n int) (version byte, flags uint32, rest []byte, err error) {
	if len(b) < 4+n {
		return 0, 0, nil, errors.New("a box is too short")
	}
	return b[0], be32(b) & 0xffffff, b[4:], nil
}

// An initSegment is a moov box with one track.
type initSegment struct {
	brand string
	*track
}

// A track is what the fragments of one stream need to be understood.
type track struct {
	id        uint32
	timescale uint32
	handler   string // vide, soun, text, subt …
	codec     string // FourCC of the sample entry, of the original format where encrypted
	config    []byte // payload of avcC, hvcC, av1C, dac3 …, or the AudioSpecificConfig
	width     int
	height    int
	rate      int // Hz
	channels  int
	edit      int64 // media time that plays at presentation time 0
	defaults  struct{ dur, size, flags uint32 }
	enc       *encryption
}

// encryption is what sinf says (ISO/IEC 23001-7 8.2).
type encryption struct {
	scheme      string
	kid         [16]byte
	ivSize      int
	constant    []byte // IV of all samples
	crypt, skip int    // blocks
}

// configBoxes are those in a sample entry that describe a codec.
var configBoxes = []string{"avcC", "hvcC", "av1C", "dac3", "dec3", "esds", "vttC"}

// parseInit reads an init segment strictly: ftyp, then moov with one track and
// without samples.
func parseInit(b []byte) (*initSegment, error) {
	out := &initSegment{}
	var moov []byte
	err := eachBox(b, func(x box) error {
		switch {
		case x.typ == "ftyp" && x.off == 0 && len(x.data) >= 8:
			out.brand = string(x.data[:4])
		case x.typ == "moov" && moov == nil:
			moov = x.data
		case x.typ == "moof" || x.typ == "mdat":
			return fmt.Errorf("an init segment holds a %q box", x.typ)
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case out.brand == "":
		return nil, errors.New("it does not begin with an ftyp box")
	case moov == nil:
		return nil, errors.New("it has no moov box")
	}
	tracks := 0
	err = eachBox(moov, func(x box) (err error) {
		if x.typ == "trak" {
			if tracks++; tracks == 1 {
				out.track, err = parseTrack(x.data)
			}
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case tracks != 1:
		return nil, fmt.Errorf("it has %d tracks, not one", tracks)
	}
	if trex := child(moov, "mvex", "trex"); len(trex) >= 24 {
		if id := be32(trex[4:]); id != out.id {
			return nil, fmt.Errorf("trex is of track %d, not %d", id, out.id)
		}
		out.defaults.dur, out.defaults.size, out.defaults.flags = be32(trex[12:]), be32(trex[16:]), be32(trex[20:])
	} else {
		return nil, errors.New("it has no trex box: nothing says that fragments follow")
	}
	return out, nil
}

func parseTrack(trak []byte) (*track, error) {
	t := new(track)
	mdia := child(trak, "mdia")
	tkhd, mdhd, hdlr, stsd := child(trak, "tkhd"), child(mdia, "mdhd"), child(mdia, "hdlr"), child(mdia, "minf", "stbl", "stsd")
	if len(tkhd) < 84 || len(mdhd) < 24 || len(hdlr) < 12 || len(stsd) < 16 {
		return nil, errors.New("tkhd, mdhd, hdlr or stsd is missing or too short")
	}
	t.id, t.timescale = be32(tkhd[12:]), be32(mdhd[12:])
	if tkhd[0] == 1 {
		t.id = be32(tkhd[20:])
	}
	if mdhd[0] == 1 {
		t.timescale = be32(mdhd[20:])
	}
	if t.timescale == 0 {
		return nil, errors.New("the timescale is 0")
	}
	t.handler = string(hdlr[8:12])
	if elst := child(trak, "edts", "elst"); elst != nil {
		if err := t.edits(elst); err != nil {
			return nil, err
		}
	}
	return t, t.entry(stsd)
}

// edits reads an edit list of one entry of media.
func (t *track) edits(elst []byte) error {
	version, _, rest, err := full(elst, 4)
	if err != nil {
		return err
	}
	n, rest := be32(rest), rest[4:]
	size := 12
	if version == 1 {
		size = 20
	}
	if n != 1 || len(rest) < size {
		return fmt.Errorf("the edit list has %d entries: players of segments follow one", n)
	}
	if version == 1 {
		t.edit = int64(be64(rest[8:]))
	} else {
		t.edit = int64(int32(be32(rest[4:])))
	}
	return nil
}

// entry reads the first sample entry.
func (t *track) entry(stsd []byte) error {
	var e box
	if err := eachBox(stsd[8:], func(x box) error {
		if e.typ == "" {
			e = x
		}
		return nil
	}); err != nil {
		return fmt.Errorf("stsd: %w", err)
	}
	t.codec = e.typ
	skip := 8
	switch t.handler {
	case "vide":
		if skip = 78; len(e.data) >= skip {
			t.width, t.height = int(be16(e.data[24:])), int(be16(e.data[26:]))
		}
	case "soun":
		if skip = 28; len(e.data) >= skip {
			t.channels, t.rate = int(be16(e.data[16:])), int(be32(e.data[24:])>>16)
		}
	default: // text: strings before boxes
		if e.typ == "stpp" {
			skip = len(e.data)
		}
	}
	if len(e.data) < skip {
		return fmt.Errorf("the sample entry %q is too short", e.typ)
	}
	inner := e.data[skip:]
	for _, name := range configBoxes {
		if c := child(inner, name); c != nil {
			t.config = c
			if name == "esds" {
				t.config = audioConfig(c)
			}
			break
		}
	}
	sinf := child(inner, "sinf")
	if sinf == nil {
		return nil
	}
	frma, schm, tenc := child(sinf, "frma"), child(sinf, "schm"), child(sinf, "schi", "tenc")
	if len(frma) < 4 || len(schm) < 12 || len(tenc) < 24 {
		return errors.New("sinf lacks frma, schm or tenc")
	}
	t.codec = string(frma[:4])
	t.enc = &encryption{scheme: string(schm[4:8]), ivSize: int(tenc[7]), kid: [16]byte(tenc[8:24])}
	if tenc[0] > 0 {
		t.enc.crypt, t.enc.skip = int(tenc[5]>>4), int(tenc[5]&15)
	}
	if tenc[6] == 1 && t.enc.ivSize == 0 {
		if len(tenc) < 25 || len(tenc) < 25+int(tenc[24]) {
			return errors.New("tenc has neither a size of IVs nor a constant one")
		}
		t.enc.constant = tenc[25 : 25+int(tenc[24])]
	}
	return nil
}

// audioConfig finds the AudioSpecificConfig in esds (ISO/IEC 14496-1 7.2.6).
func audioConfig(b []byte) []byte {
	if len(b) < 4 {
		return nil
	}
	b = b[4:]
	for len(b) >= 2 {
		tag, n, i := b[0], 0, 1
		for ; i < len(b) && i < 5; i++ {
			n = n<<7 | int(b[i]&0x7f)
			if b[i]&0x80 == 0 {
				i++
				break
			}
		}
		if i > len(b) {
			return nil
		}
		b = b[i:]
		skip := 0
		switch tag {
		case 3: // ES_Descriptor
			skip = 3
		case 4: // DecoderConfigDescriptor
			skip = 13
		case 5:
			return b[:min(n, len(b))]
		default:
			skip = n
		}
		b = b[min(skip, len(b)):]
	}
	return nil
}

// A sample of a fragment.
type sample struct {
	dts      uint64
	cto      int32
	dur      uint32
	off      int // in the segment
	size     int
	sync     bool
	iv       []byte
	parts    []subsample
	boundary bool // the first one of a moof
}

type subsample struct{ clear, hidden int }

// A fragment is a media segment of fragmented MP4.
type fragment struct {
	styp     bool
	hasTime  bool   // a tfdt
	start    uint64 // decode time of the first sample
	end      uint64 // and of what follows
	sequence uint32
	samples  []sample
	tracks   uint32 // track id
}

const maxSamples = 1 << 16 // of a segment

// parseFragment reads a media segment strictly. smooth tells that its boxes are
// those of Smooth Streaming: no tfdt, so that time is where it starts.
func parseFragment(b []byte, t *track, smooth bool, time uint64) (*fragment, error) {
	f := &fragment{start: time}
	var moof *box
	at := time
	from := 0
	err := eachBox(b, func(x box) error {
		switch x.typ {
		case "styp":
			f.styp = true
		case "moof":
			if moof != nil {
				return errors.New("a moof follows another without an mdat between")
			}
			moof, from = &x, len(f.samples)
			var err error
			at, err = f.moof(x, t, smooth, at)
			return err
		case "mdat":
			if moof == nil {
				return errors.New("an mdat without a moof before it")
			}
			begin, end := x.off+x.head, x.off+x.head+len(x.data)
			next := begin
			for i := range f.samples[from:] {
				s := &f.samples[from+i]
				s.off += moof.off
				if s.off != next || s.size > end-s.off {
					return fmt.Errorf("sample %d lies at byte %d, not where mdat and the sample before it say (%d to %d)", from+i, s.off, next, end)
				}
				next += s.size
			}
			if next != end {
				return fmt.Errorf("mdat holds %d bytes that belong to no sample", end-next)
			}
			moof = nil
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case moof != nil:
		return nil, errors.New("the last moof has no mdat")
	case len(f.samples) == 0:
		return nil, errors.New("it holds no samples")
	}
	f.end = at
	return f, nil
}

// moof appends the samples of one moof and returns the decode time after it.
// Their offsets count from the moof.
func (f *fragment) moof(x box, t *track, smooth bool, at uint64) (uint64, error) {
	var traf []byte
	n := 0
	err := eachBox(x.data, func(c box) error {
		switch c.typ {
		case "mfhd":
			if len(c.data) < 8 {
				return errors.New("mfhd is too short")
			}
			f.sequence = be32(c.data[4:])
		case "traf":
			traf = c.data
			n++
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	if n != 1 {
		return 0, fmt.Errorf("a moof has %d traf boxes, not one", n)
	}
	first := len(f.samples)
	var tfhd, tfdt []byte
	var truns [][]byte
	var senc []byte
	err = eachBox(traf, func(c box) error {
		switch {
		case c.typ == "tfhd":
			tfhd = c.data
		case c.typ == "tfdt":
			tfdt = c.data
		case c.typ == "trun":
			truns = append(truns, c.data)
		case c.typ == "senc":
			senc = c.data
		case c.typ == "uuid" && len(c.data) > 16 && string(c.data[:16]) == piffSenc && senc == nil:
			senc = c.data[16:]
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	_, flags, rest, err := full(tfhd, 4)
	if err != nil {
		return 0, errors.New("traf has no tfhd")
	}
	f.tracks = be32(rest)
	rest = rest[4:]
	if t.id != 0 && f.tracks != t.id {
		return 0, fmt.Errorf("a fragment of track %d, where the init segment has %d", f.tracks, t.id)
	}
	if flags&1 != 0 {
		return 0, errors.New("tfhd has a base data offset: the segment would not be movable")
	}
	if !smooth && flags&0x20000 == 0 {
		return 0, errors.New("tfhd lacks default-base-is-moof")
	}
	defaults := t.defaults
	for _, d := range []struct {
		flag uint32
		to   *uint32
	}{{2, new(uint32)}, {8, &defaults.dur}, {0x10, &defaults.size}, {0x20, &defaults.flags}} {
		if flags&d.flag == 0 {
			continue
		}
		if len(rest) < 4 {
			return 0, errors.New("tfhd is too short for its flags")
		}
		*d.to, rest = be32(rest), rest[4:]
	}
	if tfdt != nil {
		version, _, rest, err := full(tfdt, 4)
		if err != nil || version == 1 && len(rest) < 8 {
			return 0, errors.New("tfdt is too short")
		}
		if at = uint64(be32(rest)); version == 1 {
			at = be64(rest)
		}
		if first > 0 && at != f.samples[first-1].dts+uint64(f.samples[first-1].dur) {
			return 0, fmt.Errorf("within the segment decode time goes to %d where the sample before ends at %d", at, f.samples[first-1].dts+uint64(f.samples[first-1].dur))
		}
		if first == 0 {
			f.start, f.hasTime = at, true
		}
	}
	off, known := 0, false
	for _, r := range truns {
		if at, off, err = f.trun(r, defaults, at, off, &known); err != nil {
			return 0, err
		}
	}
	if len(f.samples) > first {
		f.samples[first].boundary = true
	}
	if senc != nil && t.enc != nil {
		return at, encrypted(senc, t.enc, f.samples[first:])
	}
	return at, nil
}

const piffSenc = "\xa2\x39\x4f\x52\x5a\x9b\x4f\x14\xa2\x44\x6c\x42\x7c\x64\x8d\xf4"

func (f *fragment) trun(b []byte, d struct{ dur, size, flags uint32 }, at uint64, off int, known *bool) (uint64, int, error) {
	short := errors.New("trun is too short for what it says")
	_, flags, rest, err := full(b, 4)
	if err != nil {
		return 0, 0, short
	}
	n := be32(rest)
	rest = rest[4:]
	take := func() (v uint32) {
		if len(rest) < 4 {
			err = short
			return 0
		}
		v, rest = be32(rest), rest[4:]
		return v
	}
	if flags&1 != 0 {
		off, *known = int(int32(take())), true
	}
	if !*known {
		return 0, 0, errors.New("trun has no data offset")
	}
	first := d.flags
	if flags&4 != 0 {
		first = take()
	}
	width := uint64(0)
	for bit := uint32(0x100); bit <= 0x800; bit <<= 1 {
		if flags&bit != 0 {
			width += 4
		}
	}
	if err != nil || uint64(n)*width > uint64(len(rest)) || len(f.samples)+int(n) > maxSamples {
		return 0, 0, short
	}
	for i := range n {
		s := sample{dts: at, dur: d.dur, off: off, size: int(d.size)}
		sf := d.flags
		if i == 0 {
			sf = first
		}
		if flags&0x100 != 0 {
			s.dur = take()
		}
		if flags&0x200 != 0 {
			s.size = int(take())
		}
		if flags&0x400 != 0 {
			sf = take()
		}
		if flags&0x800 != 0 {
			s.cto = int32(take())
		}
		s.sync = sf&0x10000 == 0
		at += uint64(s.dur)
		off += s.size
		f.samples = append(f.samples, s)
	}
	return at, off, err
}

// encrypted reads senc into samples.
func encrypted(b []byte, e *encryption, samples []sample) error {
	short := errors.New("senc is too short")
	_, flags, rest, err := full(b, 4)
	if err != nil {
		return short
	}
	if int(be32(rest)) != len(samples) {
		return fmt.Errorf("senc is of %d samples, trun of %d", be32(rest), len(samples))
	}
	rest = rest[4:]
	for i := range samples {
		s := &samples[i]
		if len(rest) < e.ivSize {
			return short
		}
		if e.ivSize > 0 {
			s.iv, rest = rest[:e.ivSize], rest[e.ivSize:]
		}
		if flags&2 == 0 {
			continue
		}
		if len(rest) < 2 {
			return short
		}
		n := int(be16(rest))
		if rest = rest[2:]; len(rest) < 6*n {
			return short
		}
		s.parts = make([]subsample, n)
		for k := range n {
			s.parts[k] = subsample{int(be16(rest)), int(be32(rest[2:]))}
			rest = rest[6:]
		}
	}
	if len(rest) > 0 {
		return fmt.Errorf("%d bytes follow the last entry of senc", len(rest))
	}
	return nil
}
