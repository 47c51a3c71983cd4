package probe

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// maxFailures is how many segments of one stream may fail before the others are
// not tried.
const maxFailures = 5

// play reads the segments of s in order.
func (p *prober) play(ctx context.Context, s *stream) {
	n := len(s.segments)
	if p.c.Segments > 0 {
		n = min(n, p.c.Segments)
	}
	pl := &player{p: p, s: s}
	if s.smooth != nil {
		pl.track = &s.smooth.track
	}
	failures := 0
	for i := range n {
		g := &s.segments[i]
		if g.discontinuity {
			pl.joined = false
		}
		if err := pl.segment(ctx, i, g); err != nil {
			if ctx.Err() != nil {
				return
			}
			p.fault(s, g.url, "segment %d: %v", i, err)
			s.failed, pl.joined = true, false
			if failures++; failures == maxFailures {
				p.fault(s, "", "its other segments were not tried")
				return
			}
		}
	}
	if s.failed || len(s.marks) == 0 {
		return
	}
	s.Start, s.End = s.marks[0].start, s.marks[0].end
	for _, m := range s.marks {
		s.Start, s.End = min(s.Start, m.start), max(s.End, m.end)
	}
	s.measure()
}

// A player is the state of one stream while it is played.
type player struct {
	p        *prober
	s        *stream
	at       *resource // of the init segment that counts
	track    *track
	key      []byte // of samples
	noKey    bool
	joined   bool    // the next segment goes on where the last one ended
	next     uint64  // fMP4: decode time at which it should
	sequence uint32  // fMP4: of the last fragment
	ticks    float64 // TS: the same in 90 kHz, unwrapped
	last     float64 // TS: the last time stamp, to unwrap the next
	frame    float64 // TS: 90 kHz between pictures
	counters map[uint16]byte
	based    bool
	base     float64 // presentation time less manifest time
}

func (pl *player) segment(ctx context.Context, i int, g *segment) error {
	p, s := pl.p, pl.s
	if g.init != nil && (pl.at == nil || *pl.at != *g.init) {
		if err := pl.init(ctx, g.init); err != nil {
			return fmt.Errorf("the init segment: %w", err)
		}
		pl.at = g.init
	}
	b, header, err := p.get(ctx, g.resource, maxSegment)
	if err != nil {
		return err
	}
	s.Segments++
	s.Bytes += int64(len(b))
	size := len(b)
	switch s.container {
	case "mp4":
		p.contentType(s, g.url, header, "video/mp4", "audio/mp4", "application/mp4", "video/iso.segment", "audio/iso.segment")
	case "ts":
		p.contentType(s, g.url, header, "video/mp2t", "video/mp2ts")
	case "vtt":
		p.contentType(s, g.url, header, "text/vtt")
	}
	if g.key != nil && g.key.whole {
		if b, err = pl.open(ctx, g.key, b); err != nil {
			return err
		}
	}
	var m mark
	switch s.container {
	case "mp4":
		m, err = pl.fragment(ctx, i, g, b)
	case "ts":
		m, err = pl.transport(i, g, b)
	case "vtt":
		m, err = mark{g.start, g.start + g.length, 0, 0}, webVTT(b, true)
	default:
		m, err = mark{g.start, g.start + g.length, 0, 0}, wholeText(b)
	}
	if err != nil {
		return err
	}
	m.length, m.bytes = g.length, float64(size)
	if s.container == "mp4" && !s.iframes || s.container == "ts" && !s.iframes {
		pl.timing(i, g, m)
	}
	s.marks = append(s.marks, m)
	if p.c.Save != nil {
		return p.c.Save(s.Name, b)
	}
	return nil
}

// open decrypts a segment that is encrypted as a whole.
func (pl *player) open(ctx context.Context, k *key, b []byte) ([]byte, error) {
	value, err := pl.p.wholeKey(ctx, k.uri)
	if err != nil {
		return nil, fmt.Errorf("its key at %s: %w", withoutToken(k.uri), err)
	}
	iv := k.iv
	if iv == nil {
		iv = binary.BigEndian.AppendUint64(make([]byte, 8), k.number)
	}
	return openWhole(value, iv, b)
}

// init reads an init segment.
func (pl *player) init(ctx context.Context, r *resource) error {
	p, s := pl.p, pl.s
	b, _, err := p.get(ctx, *r, maxSegment)
	if err != nil {
		return err
	}
	init, err := parseInit(b)
	if err != nil {
		return err
	}
	pl.track = init.track
	if s.init == nil {
		s.init = init
	}
	pl.claims(init.track)
	if p.c.Save != nil {
		return p.c.Save(s.Name, b)
	}
	return nil
}

// claims holds what the manifest says of a codec against the init segment.
func (pl *player) claims(t *track) {
	p, s := pl.p, pl.s
	want := map[string]string{"video": "vide", "audio": "soun", "I-frames": "vide"}[s.Kind]
	if want != "" && t.handler != want {
		p.fault(s, "", "it is %s by the manifest, and of handler %q", s.Kind, t.handler)
	}
	if c := codecOf(t); c != "" && s.Codecs != "" && s.smooth == nil {
		claimed := strings.Split(strings.ToLower(s.Codecs), ",")
		if !slices.ContainsFunc(claimed, func(x string) bool { return strings.HasPrefix(strings.TrimSpace(x), c) }) {
			p.fault(s, "", "its codec is %s, the manifest says %s", c, s.Codecs)
		}
	}
	if s.buffer > 0 && s.width > 0 && (t.width != s.width || t.height != s.height) && t.handler == "vide" {
		p.fault(s, "", "its picture is %dx%d, the manifest says %dx%d", t.width, t.height, s.width, s.height)
	}
	switch {
	case t.enc == nil && (s.Scheme == "cenc" || s.Scheme == "cbcs"):
		p.fault(s, "", "the manifest says it is encrypted by %s, the init segment does not", s.Scheme)
	case t.enc != nil && s.Scheme == "":
		p.fault(s, "", "the init segment says it is encrypted by %s, the manifest does not", t.enc.scheme)
		s.Scheme = t.enc.scheme
	case t.enc != nil && s.Scheme != t.enc.scheme:
		p.fault(s, "", "the manifest says it is encrypted by %s, the init segment by %s", s.Scheme, t.enc.scheme)
	}
}

// codecOf spells the codec of a track as RFC 6381 does, or its beginning.
func codecOf(t *track) string {
	switch t.codec {
	case "avc1", "avc3":
		if len(t.config) > 3 {
			return t.codec + "." + hex.EncodeToString(t.config[1:4])
		}
	case "mp4a":
		if len(t.config) >= 2 {
			if aot := t.config[0] >> 3; aot != 2 { // SBR may be told behind AAC-LC
				return fmt.Sprintf("mp4a.40.%d", aot)
			}
			return "mp4a.40."
		}
	}
	return t.codec
}

// fragment reads a segment of fragmented MP4, decrypting it in place.
func (pl *player) fragment(ctx context.Context, i int, g *segment, b []byte) (mark, error) {
	p, s, t := pl.p, pl.s, pl.track
	if t == nil {
		return mark{}, errors.New("nothing says what is in it: there is no init segment")
	}
	parsed := b
	if s.iframes {
		parsed = keyFrameOf(b)
	}
	f, err := parseFragment(parsed, t, s.smooth != nil, g.time)
	if err != nil {
		return mark{}, err
	}
	video := t.handler == "vide"
	switch {
	case s.smooth == nil && !f.hasTime:
		return mark{}, errors.New("it has no tfdt")
	case s.smooth != nil && f.styp:
		p.fault(s, g.url, "segment %d: a fragment of Smooth Streaming has no styp box", i)
	case video && !f.samples[0].sync:
		p.fault(s, g.url, "segment %d begins with no key frame", i)
	}
	if t.id == 0 {
		t.id = f.tracks
	}
	if pl.joined && !s.iframes {
		// What Smooth rounds, each sample may round.
		off, allowed := int64(f.start-pl.next), int64(0)
		if s.smooth != nil {
			allowed = int64(len(f.samples)) + 1
		}
		if max(off, -off) > allowed {
			p.fault(s, g.url, "segment %d is decoded %.6f s off from the end of the one before it", i, float64(off)/float64(t.timescale))
		}
		if f.sequence != 0 && f.sequence <= pl.sequence {
			p.fault(s, g.url, "segment %d has the sequence number %d after %d", i, f.sequence, pl.sequence)
		}
	}
	pl.joined, pl.next, pl.sequence = true, f.end, f.sequence

	clear := true
	if t.enc != nil {
		if clear, err = pl.decrypt(ctx, g, b, f); err != nil {
			return mark{}, err
		}
	}
	if clear {
		if err := checkSamples(t, s.smooth != nil, b, f.samples, t.enc != nil); err != nil {
			return mark{}, err
		}
	}
	first, last := int64(math.MaxInt64), int64(math.MinInt64)
	for _, x := range f.samples {
		at := int64(x.dts) + int64(x.cto) - t.edit
		first, last = min(first, at), max(last, at+int64(x.dur))
	}
	scale := float64(t.timescale)
	return mark{start: float64(first) / scale, end: float64(last) / scale}, nil
}

// keyFrameOf makes a range of a segment that ends behind its first sample whole:
// the other samples of its moof get no bytes.
func keyFrameOf(b []byte) []byte {
	b = slices.Clone(b)
	for off := 0; off+8 <= len(b); {
		n := int(be32(b[off:]))
		if string(b[off+4:off+8]) == "mdat" {
			binary.BigEndian.PutUint32(b[off:], uint32(len(b)-off))
			return b
		}
		if n < 8 || n > len(b)-off {
			return b
		}
		if string(b[off+4:off+8]) == "moof" {
			oneSample(b[off : off+n])
		}
		off += n
	}
	return b
}

// oneSample lets a moof tell of its first sample alone.
func oneSample(moof []byte) {
	_ = eachBox(moof[8:], func(x box) error {
		if x.typ != "traf" {
			return nil
		}
		return eachBox(x.data, func(c box) error {
			switch {
			case c.typ == "trun" && len(c.data) >= 8 && be32(c.data[4:]) > 1:
				binary.BigEndian.PutUint32(c.data[4:], 1)
			case c.typ == "senc":
				copy(x.data[c.off+4:], "free")
			}
			return nil
		})
	})
}

// decrypt decrypts the samples of a fragment; clear is false if there is no key.
func (pl *player) decrypt(ctx context.Context, g *segment, b []byte, f *fragment) (clear bool, err error) {
	p, s, e := pl.p, pl.s, pl.track.enc
	if e.scheme != "cenc" && e.scheme != "cbcs" {
		p.warn(s, "", "the encryption scheme %q is not known here", e.scheme)
		return false, nil
	}
	if pl.key == nil && !pl.noKey {
		license := ""
		if g.key != nil {
			license = g.key.license
		}
		pl.key, err = p.sampleKey(ctx, e.kid, license)
		if errors.Is(err, errNoKey) {
			pl.noKey = true
			p.warn(s, "", "it stays encrypted: %v", err)
		} else if err != nil {
			return false, fmt.Errorf("the key %s: %w", hex.EncodeToString(e.kid[:]), err)
		}
	}
	if pl.noKey || s.iframes {
		return false, nil
	}
	return true, openSamples(pl.key, pl.track, b, f.samples)
}

// timing holds when a segment was found to play against what the manifest says.
func (pl *player) timing(i int, g *segment, m mark) {
	p, s := pl.p, pl.s
	const tolerance = 0.005
	if g.discontinuity {
		pl.based = false
	}
	if !pl.based {
		pl.based, pl.base = true, m.start-g.start
		const text = "segment %d starts at %.3f s, the MPD says %.3f s"
		switch off := pl.base - s.offset; {
		case s.buffer > 0 && off > 0.25:
			p.fault(s, g.url, text, i, m.start, g.start+s.offset)
		case s.buffer > 0 && off < -0.25: // an edit list hides what is decoded first
			p.warn(s, g.url, text, i, m.start, g.start+s.offset)
		}
	}
	if off := m.start - g.start - pl.base; s.exact && math.Abs(off) > tolerance && s.Kind != "text" {
		p.fault(s, g.url, "segment %d starts %.3f s off from where the manifest says (%.3f s)", i, off, g.start)
	}
	// The last one ends where its last sample does, which may be a frame off.
	if off := m.end - m.start - g.length; s.exact && math.Abs(off) > 0.15 && s.Kind != "text" {
		p.fault(s, g.url, "segment %d lasts %.3f s, the manifest says %.3f s", i, m.end-m.start, g.length)
	}
}

// measure sets the bit rates of s.
func (s *stream) measure() {
	bits, length := 0.0, 0.0
	for _, m := range s.marks {
		bits += m.bytes * 8
		length += m.length
	}
	if length == 0 {
		return
	}
	s.Average = int64(bits / length)
	peak := bits / length
	if s.target == 0 {
		for _, m := range s.marks {
			if m.length > 0 && m.length > length/float64(len(s.marks))/2 {
				peak = max(peak, m.bytes*8/m.length)
			}
		}
		s.Peak = int64(peak)
		return
	}
	// RFC 8216 4.1: of any run of segments of 0.5 to 1.5 target durations.
	longest := 0.0
	for _, m := range s.marks {
		longest = max(longest, m.length)
	}
	for i := range s.marks {
		bits, length := 0.0, 0.0
		for _, m := range s.marks[i:] {
			bits += m.bytes * 8
			if length += m.length; length > 1.5*s.target {
				break
			}
			if length >= 0.5*s.target {
				peak = max(peak, bits/length)
			}
		}
	}
	s.Peak = int64(peak)
}
