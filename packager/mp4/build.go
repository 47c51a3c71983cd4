package mp4

import (
	"io"
	"math"
)

const (
	maxMoov    = 256 << 20
	maxMoof    = 16 << 20
	maxTracks  = 512
	maxSamples = 1 << 24 // of a track: 97 hours at 48 samples a second
)

// BuildIndex reads the index of an MP4 or QuickTime file of the given size:
// its headers, never its media. The moov box may lie anywhere, and the file may
// be fragmented. The error is an *Error if the file is at fault, else what r
// returned.
func BuildIndex(r io.ReaderAt, size int64) (*Index, error) {
	m, err := readMovie(r, size)
	if err != nil {
		return nil, err
	}
	return m.index()
}

// readMovie reads the headers of a file as far as it needs to.
func readMovie(r io.ReaderAt, size int64) (*movie, error) {
	m := &movie{size: size}
	var moov span
	var media bool // the file has media, or began to
	err := eachTop(r, size, func(s span) (err error) {
		switch s.typ {
		case "ftyp":
			if m.ftyp.typ == "" && s.size <= 4096 {
				m.ftyp, err = s.read(r, size, 4096)
			}
		case "mdat":
			media = true
		case "moof":
			m.moofs = append(m.moofs, s)
		case "moov":
			if moov.typ != "" {
				return s.errorf(Malformed, "the file has a second moov box")
			}
			moov = s
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case moov.typ == "" && media:
		return nil, &Error{Truncated, "moov", -1, "the file has media but no moov box: the recording or upload was not finished"}
	case moov.typ == "":
		return nil, &Error{Malformed, "moov", -1, "the file has no moov box"}
	}
	m.moov, err = moov.read(r, size, maxMoov)
	if err != nil {
		return nil, err
	}
	if err := m.parse(r); err != nil {
		return nil, err
	}
	return m, nil
}

// A movie is a file whose headers are in memory.
type movie struct {
	size      int64
	ftyp      box // zero if there is none
	moov      box
	moofs     []span
	timescale uint32 // of the moov box and its edit lists
	fragments bool   // there is an mvex box
	tracks    []*trak
	bytes     int64 // of all samples so far, at most size
}

// A trak is a track while it is read.
type trak struct {
	Track
	box   box
	trex  trex
	build *builder
	edits edits
	raw   bool   // uncompressed audio
	early uint64 // what is added to decode times of fragments, so that none is negative
}

func (m *movie) parse(r io.ReaderAt) error {
	mvhd, err := m.moov.must("mvhd")
	if err != nil {
		if c, e := m.moov.child("cmov"); e == nil && c.typ != "" {
			return c.errorf(Unsupported, "the moov box is compressed")
		}
		return err
	}
	if m.timescale, _, err = timescale(mvhd); err != nil {
		return err
	}
	err = m.moov.each(0, func(b box) error {
		switch b.typ {
		case "mvex":
			m.fragments = true
		case "trak":
			if len(m.tracks) == maxTracks {
				return b.errorf(Unsupported, "the file has more than %d tracks", maxTracks)
			}
			t, err := m.parseTrak(b)
			if err != nil {
				return err
			}
			for _, o := range m.tracks {
				if o.ID == t.ID {
					return b.errorf(Malformed, "two tracks have id %d", t.ID)
				}
			}
			m.tracks = append(m.tracks, t)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(m.tracks) == 0 {
		return m.moov.errorf(Malformed, "the file has no tracks")
	}
	if m.fragments {
		return m.parseFragments(r)
	}
	return nil
}

// index gives away the tracks.
func (m *movie) index() (*Index, error) {
	x := &Index{Size: m.size}
	for _, t := range m.tracks {
		if err := t.finish(); err != nil {
			return nil, err
		}
		track := t.Track // a pointer into t would keep the moov box in memory
		x.Tracks = append(x.Tracks, &track)
	}
	return x, nil
}

// finish sets what needs all samples.
func (t *trak) finish() error {
	t.table = t.build.done()
	if t.table.n == 0 {
		return nil
	}
	t.FirstCTO = t.build.first
	t.mediaEnd = t.build.shown
	t.EditStart = t.edits.start
	if end := t.edits.end; end > 0 {
		// Edits count in the coarse timescale of the movie: one tick of it is rounding.
		if d := t.mediaEnd - t.EditStart - end; d > t.edits.tick {
			t.EditEnd = end
		}
	}
	if d := int64(t.build.dts) - t.firstDTS(); t.Bitrate == 0 && d > 0 {
		t.Bitrate = uint32(min(math.MaxUint32, float64(t.build.sum)*8*float64(t.Timescale)/float64(d)))
	}
	t.build = nil
	return nil
}

// timescale reads mvhd or mdhd; rest follows the duration.
func timescale(b box) (ts uint32, rest []byte, err error) {
	version, _, data, err := b.full(20)
	if err != nil {
		return 0, nil, err
	}
	if version == 1 {
		if len(data) < 32 {
			return 0, nil, b.errorf(Malformed, "the box is too short for its version")
		}
		ts, rest = be32(data[16:]), data[28:]
	} else {
		ts, rest = be32(data[8:]), data[16:]
	}
	if ts == 0 {
		return 0, nil, b.errorf(Malformed, "the timescale is 0")
	}
	return ts, rest, nil
}

// parseTrak reads a track, and its samples unless they are uncompressed audio.
func (m *movie) parseTrak(b box) (*trak, error) {
	t := &trak{box: b}
	tkhd, err := b.must("tkhd")
	if err != nil {
		return nil, err
	}
	if err := t.parseTkhd(tkhd); err != nil {
		return nil, err
	}
	mdia, err := b.must("mdia")
	if err != nil {
		return nil, err
	}
	mdhd, err := mdia.must("mdhd")
	if err != nil {
		return nil, err
	}
	ts, rest, err := timescale(mdhd)
	if err != nil {
		return nil, err
	}
	if len(rest) < 2 {
		return nil, mdhd.errorf(Malformed, "the box ends before the language")
	}
	t.Timescale, t.Language = ts, language(be16(rest))
	hdlr, err := mdia.must("hdlr")
	if err != nil {
		return nil, err
	}
	_, _, rest, err = hdlr.full(8)
	if err != nil {
		return nil, err
	}
	switch string(rest[4:8]) {
	case "vide":
		t.Kind = Video
	case "soun":
		t.Kind = Audio
	case "text", "sbtl", "subt", "clcp":
		t.Kind = Text
	}
	minf, err := mdia.must("minf")
	if err != nil {
		return nil, err
	}
	stbl, err := minf.must("stbl")
	if err != nil {
		return nil, err
	}
	entry, err := t.parseStsd(stbl)
	if err != nil {
		return nil, err
	}
	if err := t.parseEdits(b, m.timescale); err != nil {
		return nil, err
	}
	if t.raw {
		t.build = newBuilder(0, 1)
		return t, nil
	}
	return t, m.parseSamples(t, stbl, entry)
}

func (t *trak) parseTkhd(b box) error {
	version, _, data, err := b.full(80)
	if err != nil {
		return err
	}
	if version == 1 {
		if len(data) < 92 {
			return b.errorf(Malformed, "the box is too short for its version")
		}
		t.ID, data = be32(data[16:]), data[32:]
	} else {
		t.ID, data = be32(data[8:]), data[20:]
	}
	if t.ID == 0 {
		return b.errorf(Malformed, "the track id is 0")
	}
	// data: reserved (8), layer, group, volume, reserved (2 each), matrix a b u c d …
	switch a, b := int32(be32(data[16:])), int32(be32(data[20:])); {
	case abs(b) > abs(a) && b > 0:
		t.Rotation = 90
	case abs(b) > abs(a):
		t.Rotation = 270
	case a < 0:
		t.Rotation = 180
	}
	return nil
}

func abs(v int32) int64 { return max(int64(v), -int64(v)) }

// macLanguages are the first language codes of classic QuickTime, as ISO 639-2.
const macLanguages = "eng fra deu ita nld swe spa dan por nor heb jpn ara fin ell"

// language unpacks the three letters of mdhd.
func language(v uint16) string {
	if v < 0x400 {
		if i := int(v) * 4; i < len(macLanguages) {
			return macLanguages[i : i+3]
		}
		return "und"
	}
	s := [3]byte{byte(v>>10&31) + 0x60, byte(v>>5&31) + 0x60, byte(v&31) + 0x60}
	for _, c := range s {
		if c < 'a' || c > 'z' {
			return "und"
		}
	}
	return string(s[:])
}

// edits is an edit list in the track's timescale.
type edits struct {
	start int64 // see Track.EditStart
	end   int64 // presentation time of the end, 0 if there is no list
	tick  int64 // length of a tick of the movie's timescale, at least 1
}

// parseEdits reads the edit list: any number of empty edits and then one of
// media, or several that play on without a jump. Others cannot be told to a
// player of segments.
func (t *trak) parseEdits(trak box, movie uint32) error {
	edts, err := trak.child("edts")
	if err != nil || edts.typ == "" {
		return err
	}
	elst, err := edts.child("elst")
	if err != nil || elst.typ == "" {
		return err
	}
	size := 12
	if len(elst.data) > 0 && elst.data[0] == 1 {
		size = 20
	}
	_, list, err := elst.table(size)
	if err != nil {
		return err
	}
	scale := func(d uint64) int64 { return int64(float64(d)/float64(movie)*float64(t.Timescale) + 0.5) }
	var empty, length uint64 // in the movie's timescale
	var started, open bool
	for ; len(list) > 0; list = list[size:] {
		var d uint64
		var at int64
		if size == 20 {
			d, at = be64(list), int64(be64(list[8:]))
		} else {
			d, at = uint64(be32(list)), int64(int32(be32(list[4:])))
		}
		if d > 1<<52 || at > 1<<52 || at < -1 {
			return elst.errorf(Malformed, "an edit has duration %d and media time %d", d, at)
		}
		rate := be32(list[size-4:])
		switch {
		case at < 0 && !started:
			empty += d
			continue
		case at < 0 && len(list) == size:
			continue // nothing at the end
		case t.Kind == Other:
			continue
		case rate != 1<<16:
			return elst.errorf(Unsupported, "track %d plays an edit at another rate than 1", t.ID)
		case !started:
			t.edits.start, started = at, true
		case open || at < 0 || max(at-t.edits.start-scale(length), t.edits.start+scale(length)-at) > 1+int64(t.Timescale/movie):
			return elst.errorf(Unsupported, "the edit list of track %d jumps: only a delay, a cut start and a cut end are understood", t.ID)
		}
		length += d
		open = d == 0 // "to the end", as fragmented files say
	}
	if started {
		t.edits.start -= scale(empty)
		if !open && length > 0 {
			t.edits.end = scale(empty + length)
		}
	}
	t.edits.tick = 1 + int64(t.Timescale/movie)
	return nil
}
