package probe

import (
	"encoding/hex"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// dash checks an MPD and lists its Representations.
func (p *prober) dash(base *url.URL, mpd *node) []*stream {
	if mpd.space != mpdSpace {
		p.fault(nil, base.String(), "the namespace of the MPD is %q", mpd.space)
		mpd.space = mpdSpace
	}
	p.schema(base.String(), mpd)
	buffer, _ := duration(mpd.attr("minBufferTime"))
	total, told := duration(mpd.attr("mediaPresentationDuration"))
	periods := mpd.all("Period")
	if mpd.attr("type") == "dynamic" {
		p.report.Live = true
		if mpd.attr("availabilityStartTime") == "" {
			p.fault(nil, base.String(), "a dynamic MPD has no availabilityStartTime (5.3.1.2)")
		}
	} else if !told && (len(periods) == 0 || periods[len(periods)-1].attr("duration") == "") {
		p.fault(nil, base.String(), "nothing tells how long the presentation is: neither mediaPresentationDuration nor a duration of the last Period (5.3.1.2)")
	}
	if len(periods) == 0 {
		p.fault(nil, base.String(), "the MPD has no Period")
	}
	var streams []*stream
	ids := map[string]bool{}
	for pi, period := range periods {
		for si, set := range period.all("AdaptationSet") {
			reps := set.all("Representation")
			if len(reps) == 0 {
				p.fault(nil, base.String(), "AdaptationSet %d has no Representation", si+1)
			}
			for _, rep := range reps {
				id := rep.attr("id")
				if key := fmt.Sprint(pi, " ", id); ids[key] {
					p.fault(nil, base.String(), "two Representations have the id %q (5.3.5.2)", id)
				} else {
					ids[key] = true
				}
				s := &stream{
					Stream: Stream{Name: id, Kind: kindOf(set, rep), Codecs: first("codecs", rep, set), Claimed: rep.number("bandwidth", 0)},
					set:    fmt.Sprintf("set %d.%d", pi, si), buffer: buffer,
					width: int(rep.number("width", 0)), height: int(rep.number("height", 0)),
				}
				if first("mimeType", rep, set) == "" {
					p.fault(s, "", "it has no mimeType (5.3.7.2)")
				}
				if s.Codecs == "" && s.Kind != "text" {
					p.warn(s, "", "it has no codecs")
				}
				if s.Kind == "video" && (s.width == 0 || s.height == 0) {
					p.warn(s, "", "it has no width or height")
				}
				p.representation(s, base, []*node{mpd, period, set, rep}, total)
				streams = append(streams, s)
			}
		}
	}
	return streams
}

// first returns the first of an attribute that the nodes have.
func first(attr string, nodes ...*node) string {
	for _, n := range nodes {
		if v := n.attr(attr); v != "" {
			return v
		}
	}
	return ""
}

func kindOf(set, rep *node) string {
	kind, _, _ := strings.Cut(first("mimeType", rep, set), "/")
	if c := set.attr("contentType"); c != "" {
		kind = c
	}
	switch kind {
	case "video", "audio":
		return kind
	}
	return "text"
}

// representation lists the segments of a Representation. path leads to it from
// the MPD.
func (p *prober) representation(s *stream, base *url.URL, path []*node, total float64) {
	for _, n := range path {
		if b := n.child("BaseURL"); b != nil {
			u, err := base.Parse(b.text)
			if err != nil {
				p.fault(s, "", "BaseURL is %q", b.text)
				return
			}
			base = u
		}
	}
	encryption := p.contentProtection(s, path[2:], base)
	t := map[string]string{} // attributes of all templates, the innermost first
	var timeline *node
	found := false
	for i := len(path) - 1; i > 0; i-- {
		n := path[i].child("SegmentTemplate")
		if n == nil {
			continue
		}
		found = true
		for _, a := range n.attrs {
			if _, ok := t[a.Name.Local]; !ok {
				t[a.Name.Local] = a.Value
			}
		}
		if timeline == nil {
			timeline = n.child("SegmentTimeline")
		}
	}
	if !found {
		// A whole file: subtitles, mostly.
		s.container = "text"
		s.segments = []segment{{resource: resource{url: base.String()}}}
		return
	}
	s.container, s.exact = "mp4", true
	scale, err := strconv.ParseFloat(t["timescale"], 64)
	if err != nil || scale < 1 {
		scale = 1
	}
	offset, _ := strconv.ParseFloat(t["presentationTimeOffset"], 64)
	s.offset = offset / scale
	fill := func(template string, number int64, time uint64) string {
		text, err := expand(template, s.Name, s.Claimed, number, time)
		if err != nil {
			p.fault(s, "", "%v", err)
		}
		u, err := base.Parse(text)
		if err != nil {
			p.fault(s, "", "%q is no URI", text)
			return text
		}
		return u.String()
	}
	if t["media"] == "" || t["initialization"] == "" {
		p.fault(s, "", "SegmentTemplate lacks media or initialization")
		return
	}
	init := &resource{url: fill(t["initialization"], 0, 0)}
	number, err := strconv.ParseInt(t["startNumber"], 10, 64)
	if err != nil {
		number = 1
	}
	add := func(time uint64, length float64) bool {
		if !p.room() {
			return false
		}
		s.segments = append(s.segments, segment{
			resource: resource{url: fill(t["media"], number, time)}, init: init, key: encryption,
			start: (float64(time) - offset) / scale, length: length / scale,
		})
		number++
		return true
	}
	if timeline == nil {
		d, _ := strconv.ParseFloat(t["duration"], 64)
		if d <= 0 {
			p.fault(s, "", "SegmentTemplate has neither a SegmentTimeline nor a duration")
			return
		}
		s.exact = false
		for at := 0.0; at/scale < total-0.0005 && add(uint64(at), min(d, total*scale-at)); at += d {
		}
		return
	}
	var at uint64
	for i, e := range timeline.all("S") {
		if v, ok := e.lookup("t"); ok {
			v, err := strconv.ParseUint(v, 10, 64)
			switch {
			case err != nil:
			case i > 0 && v < at:
				p.fault(s, "", "S %d of the SegmentTimeline begins at %d, before the one before it ends at %d", i+1, v, at)
				at = v
			default:
				if i > 0 && v > at {
					p.warn(s, "", "the SegmentTimeline has a gap of %.3f s before S %d", float64(v-at)/scale, i+1)
				}
				at = v
			}
		}
		d := e.number("d", 0)
		if d <= 0 {
			p.fault(s, "", "S %d of the SegmentTimeline has d=%q", i+1, e.attr("d"))
			return
		}
		r := e.number("r", 0)
		if r < 0 { // to the end
			r = int64((total*scale-float64(at))/float64(d)+0.999) - 1
		}
		for ; r >= 0; r-- {
			if !add(at, float64(d)) {
				return
			}
			at += uint64(d)
		}
	}
	if end := float64(at)/scale - offset/scale; total > 0 && end > total+0.001 {
		p.fault(s, "", "its segments end at %.3f s, the presentation at %.3f s", end, total)
	}
}

// contentProtection reads how a Representation is encrypted, nil for clear.
func (p *prober) contentProtection(s *stream, path []*node, base *url.URL) *key {
	var k *key
	for _, n := range path {
		for _, c := range n.all("ContentProtection") {
			if k == nil {
				k = &key{}
			}
			switch scheme := strings.ToLower(c.attr("schemeIdUri")); scheme {
			case "urn:mpeg:dash:mp4protection:2011":
				s.Scheme = c.attr("value")
			case "urn:uuid:e2719d58-a985-b3c9-781a-b030af78d30e":
				if l := c.child("Laurl"); l != nil {
					if u, err := base.Parse(l.text); err == nil {
						k.license = u.String()
					}
				}
			case "urn:mpeg:dash:sea:2012":
				p.envelope(s, c, base, k)
			}
		}
	}
	return k
}

// envelope reads the encryption of whole segments (ISO/IEC 23009-4).
func (p *prober) envelope(s *stream, c *node, base *url.URL, k *key) {
	period := c.child("CryptoPeriod")
	if c.child("SegmentEncryption") == nil || c.child("KeySystem") == nil || period == nil {
		p.fault(s, "", "the envelope encryption lacks SegmentEncryption, KeySystem or CryptoPeriod")
		return
	}
	s.Scheme = "AES-128"
	k.whole = true
	u, err := base.Parse(period.attr("keyUriTemplate"))
	if err != nil {
		p.fault(s, "", "keyUriTemplate is no URI")
		return
	}
	k.uri = u.String()
	if k.iv, err = hex.DecodeString(iv(period.attr("IV"))); err != nil || len(k.iv) != 16 {
		p.fault(s, "", "the IV of CryptoPeriod is %q", period.attr("IV"))
		k.iv = make([]byte, 16)
	}
}

// expand fills a template of URLs (5.3.9.4.4).
func expand(template, id string, bandwidth, number int64, time uint64) (string, error) {
	var b strings.Builder
	for rest := template; ; {
		head, after, found := strings.Cut(rest, "$")
		b.WriteString(head)
		if !found {
			return b.String(), nil
		}
		name, tail, found := strings.Cut(after, "$")
		if !found {
			return template, fmt.Errorf("the template %q has a $ without another", template)
		}
		rest = tail
		name, width, _ := strings.Cut(name, "%")
		digits := 1
		if width != "" {
			n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(width, "0"), "d"))
			if err != nil || n < 1 || n > 20 {
				return template, fmt.Errorf("the template %q has a width %q", template, width)
			}
			digits = n
		}
		switch name {
		case "":
			b.WriteByte('$')
		case "RepresentationID":
			b.WriteString(id)
		case "Bandwidth":
			fmt.Fprintf(&b, "%0*d", digits, bandwidth)
		case "Number":
			fmt.Fprintf(&b, "%0*d", digits, number)
		case "Time":
			fmt.Fprintf(&b, "%0*d", digits, time)
		default:
			return template, fmt.Errorf("the template %q names $%s$", template, name)
		}
	}
}
