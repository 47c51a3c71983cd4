package text

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openams/openams/packager/mp4"
)

// SampleEntry returns the sample entry of fragments in the codec of d
// (ISO/IEC 14496-30 7.5, 14496-12 12.6.3).
func (d *Doc) SampleEntry() []byte {
	head := []byte{0, 0, 0, 0, 0, 0, 0, 1} // reserved, data reference 1
	if d.Codec == "stpp" {
		return box("stpp", head, []byte(ttmlNamespace+"\x00\x00\x00")) // no schema, no images
	}
	return box("wvtt", head, box("vttC", []byte("WEBVTT\n\n"+d.header)))
}

func box(fourCC string, parts ...[]byte) []byte {
	b := append(make([]byte, 4, 64), fourCC...)
	for _, p := range parts {
		b = append(b, p...)
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	return b
}

// A Sample is what shows for a time.
type Sample struct {
	Length time.Duration
	Data   []byte
}

// maxFragment bounds the samples of one fragment: many cues at the same time,
// each of them in every sample, would grow with their square.
const maxFragment = 4 << 20

// Samples returns the samples of the fragment [from, to), one after the other
// without a gap. Their lengths add up to its length.
func (d *Doc) Samples(from, to time.Duration) ([]Sample, error) {
	if d.Codec == "stpp" {
		return []Sample{{to - from, d.TTML(from, to, 0)}}, nil
	}
	cues := d.within(from, to)
	edges := []time.Duration{from, to}
	for _, c := range cues {
		edges = append(edges, max(c.start, from), min(c.end, to))
	}
	slices.Sort(edges)
	edges = slices.Compact(edges)
	var samples []Sample
	total, first := 0, 0
	for i, at := range edges[:len(edges)-1] {
		var data []byte
		for first < len(cues) && cues[first].end <= at {
			first++
		}
		for k, c := range cues[first:] {
			if c.start > at {
				break
			}
			if c.end > at {
				data = append(data, c.vttc(uint32(first+k), c.start < from || c.end > to)...)
			}
			if total+len(data) > maxFragment {
				return nil, errors.New("too much text shows at the same time")
			}
		}
		if data == nil {
			data = box("vtte")
		}
		total += len(data)
		samples = append(samples, Sample{edges[i+1] - at, data})
	}
	return samples, nil
}

// vttc is the box of a cue. Every sample has a part of some cue, so that each
// says of which.
func (c *cue) vttc(number uint32, edge bool) []byte {
	var parts [][]byte
	if !edge {
		// Within a fragment the parts of a cue belong together. Across fragments
		// numbers would have to agree, and nothing is lost without.
		parts = append(parts, box("vsid", binary.BigEndian.AppendUint32(nil, number)))
	}
	if c.id != "" {
		parts = append(parts, box("iden", []byte(c.id)))
	}
	if c.settings != "" {
		parts = append(parts, box("sttg", []byte(c.settings)))
	}
	return box("vttc", append(parts, box("payl", []byte(c.text)))...)
}

// parseMP4 reads a file of wvtt or stpp samples, as AMS made of uploaded ones.
func parseMP4(b []byte) (*Doc, error) {
	index, err := mp4.BuildIndex(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(index.Tracks, func(t *mp4.Track) bool { return t.Codec == "wvtt" || t.Codec == "stpp" })
	if i < 0 {
		return nil, errors.New("the file has no track of WebVTT (wvtt) or TTML (stpp)")
	}
	t := index.Tracks[i]
	d := &Doc{Codec: t.Codec}
	if t.Language != "und" {
		d.Language = t.Language
	}
	if t.Codec == "wvtt" && len(t.Config) <= maxHeader {
		if head, err := parseVTT(string(t.Config) + "\n\n"); err == nil && bytes.HasPrefix(t.Config, []byte("WEBVTT")) {
			d.header = head.header
		}
	}
	nodes := maxNodes
	for first := 0; first < t.NumSamples(); first += 1000 {
		for _, s := range t.AppendSamples(nil, first, 1000) {
			data := b[s.Offset : s.Offset+int64(s.Size)]
			at := func(ticks int64) time.Duration {
				scale := int64(t.Timescale)
				return time.Duration(ticks/scale)*time.Second + time.Duration(ticks%scale)*time.Second/time.Duration(scale)
			}
			start := int64(s.DTS) + int64(s.CTO) - t.EditStart
			if t.Codec == "wvtt" {
				err = d.addWVTT(data, at(start), at(start+int64(s.Dur)))
			} else {
				err = d.addSTPP(data, &nodes)
			}
			if err != nil {
				return nil, fmt.Errorf("at second %.3f: %w", at(start).Seconds(), err)
			}
		}
	}
	if d.Codec == "stpp" {
		if d.root == nil {
			d.root = emptyTTML()
		}
		if err := d.collect(); err != nil {
			return nil, err
		}
	}
	d.sort()
	return d, nil
}

// addWVTT reads the boxes of a sample.
func (d *Doc) addWVTT(data []byte, start, end time.Duration) error {
	if end <= start {
		return nil
	}
	return boxes(data, func(fourCC string, body []byte) error {
		if fourCC != "vttc" {
			return nil
		}
		c := cue{start: start, end: end}
		if err := boxes(body, func(fourCC string, body []byte) error {
			switch fourCC {
			case "iden":
				c.id = oneLine(string(body))
			case "sttg":
				c.settings = oneLine(string(body))
			case "payl":
				c.text = noBlankLines(string(body))
			}
			return nil
		}); err != nil || c.text == "" {
			return err
		}
		return d.add(c)
	})
}

// add adds a cue of a sample, or makes the one longer that it goes on.
func (d *Doc) add(c cue) error {
	for i := len(d.cues) - 1; i >= 0 && i >= len(d.cues)-64; i-- {
		o := &d.cues[i]
		if o.end == c.start && o.id == c.id && o.settings == c.settings && o.text == c.text {
			o.end = c.end
			return nil
		}
	}
	if len(d.cues) == maxCues {
		return fmt.Errorf("more than %d cues", maxCues)
	}
	d.cues = append(d.cues, c)
	return nil
}

// oneLine makes s fit for the line before a cue's text.
func oneLine(s string) string {
	s = strings.ReplaceAll(s, "-->", "")
	return string(bytes.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, []byte(s)))
}

// boxes calls f for each box in b.
func boxes(b []byte, f func(fourCC string, body []byte) error) error {
	for len(b) > 0 {
		if len(b) < 8 {
			return errors.New("a box of a cue is cut off")
		}
		n := binary.BigEndian.Uint32(b)
		if n < 8 || uint64(n) > uint64(len(b)) {
			return fmt.Errorf("a box %q of a cue has a size of %d", b[4:8], n)
		}
		if err := f(string(b[4:8]), b[8:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
