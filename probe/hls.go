package probe

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
)

// hls reads a multivariant playlist and all media playlists that it names, or
// one media playlist alone.
func (p *prober) hls(ctx context.Context, base *url.URL, doc []byte) []*stream {
	top := parsePlaylist(doc)
	if !has(top, masterTags) {
		s := &stream{Stream: Stream{Name: "playlist", Kind: "video"}, exact: true}
		p.media(s, base, doc)
		return []*stream{s}
	}
	m := &multivariant{playlist: top, base: base, at: map[string]*stream{}, groups: map[string][]map[string]string{}}
	m.read()
	for _, text := range m.faults {
		p.fault(nil, base.String(), "%s", text)
	}
	for _, text := range m.warnings {
		p.warn(nil, base.String(), "%s", text)
	}
	var streams []*stream
	for _, s := range m.streams {
		if len(streams) == maxStreams {
			break
		}
		link := s.segments[0].url
		s.segments = nil
		body, header, err := p.get(ctx, resource{url: link}, maxManifest)
		if err != nil {
			p.fault(s, link, "the playlist: %v", err)
			continue
		}
		p.contentType(s, link, header, "application/vnd.apple.mpegurl", "audio/mpegurl")
		at, err := url.Parse(link)
		if err != nil {
			continue
		}
		p.media(s, at, body)
		streams = append(streams, s)
	}
	return streams
}

// A multivariant playlist as it is read. Each stream has one segment: its
// playlist.
type multivariant struct {
	*playlist
	base     *url.URL
	streams  []*stream
	at       map[string]*stream // by URL
	groups   map[string][]map[string]string
	warnings []string
}

func (m *multivariant) read() {
	if has(m.playlist, segmentTags) {
		m.fault("a playlist of variants has tags of segments (RFC 8216 4.1)")
	}
	var info map[string]string
	var variants []map[string]string
	for _, x := range m.lines {
		if info != nil && x.tag != "" {
			m.fault("line %d: EXT-X-STREAM-INF is not followed by a URI (RFC 8216 4.3.4.2)", x.n)
			info = nil
		}
		switch x.tag {
		case "#EXT-X-MEDIA":
			m.media(x)
		case "#EXT-X-STREAM-INF":
			info = m.attributes(x, "CODECS", "AUDIO", "VIDEO", "SUBTITLES", "SUPPLEMENTAL-CODECS", "NAME", "STABLE-VARIANT-ID", "PATHWAY-ID",
				map[bool]string{true: "CLOSED-CAPTIONS"}[!strings.Contains(x.value, "CLOSED-CAPTIONS=NONE")])
			m.variant(x, info)
			variants = append(variants, info)
		case "#EXT-X-I-FRAME-STREAM-INF":
			m.needs(4, x.tag)
			a := m.attributes(x, "CODECS", "VIDEO", "URI", "SUPPLEMENTAL-CODECS", "NAME")
			m.variant(x, a)
			if a["URI"] == "" {
				m.fault("line %d: EXT-X-I-FRAME-STREAM-INF has no URI (RFC 8216 4.3.4.3)", x.n)
				continue
			}
			m.add("I-frames "+a["BANDWIDTH"], "I-frames", a["URI"], a)
		case "":
			if info == nil {
				m.fault("line %d: a URI without EXT-X-STREAM-INF (RFC 8216 4.3.4.2)", x.n)
				continue
			}
			kind := "video"
			if info["RESOLUTION"] == "" && info["CODECS"] != "" && !slices.ContainsFunc(strings.Split(info["CODECS"], ","), videoCodec) {
				kind = "audio"
			}
			m.add(kind+" "+info["BANDWIDTH"], kind, x.value, info)
			info = nil
		}
	}
	if info != nil {
		m.fault("EXT-X-STREAM-INF at the end has no URI (RFC 8216 4.3.4.2)")
	}
	if len(variants) == 0 {
		m.fault("there is no EXT-X-STREAM-INF")
	}
	m.refer(variants)
}

// videoCodec reports whether a codec of RFC 6381 is one of video.
func videoCodec(c string) bool {
	name, _, _ := strings.Cut(strings.TrimSpace(c), ".")
	return slices.Contains([]string{"avc1", "avc3", "hvc1", "hev1", "dvh1", "dvhe", "av01", "vp09"}, name)
}

// variant checks what EXT-X-STREAM-INF and EXT-X-I-FRAME-STREAM-INF share.
func (m *multivariant) variant(x line, a map[string]string) {
	if n, err := strconv.ParseInt(a["BANDWIDTH"], 10, 64); err != nil || n < 1 {
		m.fault("line %d: BANDWIDTH is %q (RFC 8216 4.3.4.2)", x.n, a["BANDWIDTH"])
	}
	if v := a["AVERAGE-BANDWIDTH"]; v != "" {
		if n, err := strconv.ParseInt(v, 10, 64); err != nil || n < 1 {
			m.fault("line %d: AVERAGE-BANDWIDTH is %q", x.n, v)
		}
	}
	if a["CODECS"] == "" {
		m.warnings = append(m.warnings, fmt.Sprintf("line %d: no CODECS (RFC 8216 4.3.4.2: SHOULD)", x.n))
	}
	if r := a["RESOLUTION"]; r != "" && !resolutions.MatchString(r) {
		m.fault("line %d: RESOLUTION is %q", x.n, r)
	}
	if v := a["FRAME-RATE"]; v != "" {
		if f, err := strconv.ParseFloat(v, 64); err != nil || f <= 0 {
			m.fault("line %d: FRAME-RATE is %q", x.n, v)
		}
	}
}

// media reads EXT-X-MEDIA (RFC 8216 4.3.4.1).
func (m *multivariant) media(x line) {
	a := m.attributes(x, "URI", "GROUP-ID", "LANGUAGE", "ASSOC-LANGUAGE", "NAME", "INSTREAM-ID", "CHARACTERISTICS", "CHANNELS", "STABLE-RENDITION-ID", "PATHWAY-ID")
	m.needs(4, "EXT-X-MEDIA")
	typ, group := a["TYPE"], a["GROUP-ID"]
	if !slices.Contains([]string{"AUDIO", "VIDEO", "SUBTITLES", "CLOSED-CAPTIONS"}, typ) {
		m.fault("line %d: TYPE is %q (RFC 8216 4.3.4.1)", x.n, typ)
	}
	if group == "" || a["NAME"] == "" {
		m.fault("line %d: EXT-X-MEDIA lacks GROUP-ID or NAME (RFC 8216 4.3.4.1)", x.n)
	}
	key := typ + " " + group
	for _, o := range m.groups[key] {
		if o["NAME"] == a["NAME"] {
			m.fault("line %d: the group %q has the name %q twice (RFC 8216 4.3.4.1.1)", x.n, group, a["NAME"])
		}
		if o["DEFAULT"] == "YES" && a["DEFAULT"] == "YES" {
			m.fault("line %d: the group %q has two defaults (RFC 8216 4.3.4.1.1)", x.n, group)
		}
		if o["AUTOSELECT"] == "YES" && a["AUTOSELECT"] == "YES" && o["LANGUAGE"] == a["LANGUAGE"] && o["ASSOC-LANGUAGE"] == a["ASSOC-LANGUAGE"] &&
			o["FORCED"] == a["FORCED"] && o["CHARACTERISTICS"] == a["CHARACTERISTICS"] {
			m.fault("line %d: two members of group %q that select themselves do not differ (RFC 8216 4.3.4.1.1)", x.n, group)
		}
	}
	m.groups[key] = append(m.groups[key], a)
	for _, name := range []string{"DEFAULT", "AUTOSELECT", "FORCED"} {
		if v := a[name]; v != "" && v != "YES" && v != "NO" {
			m.fault("line %d: %s is %q", x.n, name, v)
		}
	}
	switch {
	case a["DEFAULT"] == "YES" && a["AUTOSELECT"] == "NO":
		m.fault("line %d: DEFAULT=YES with AUTOSELECT=NO (RFC 8216 4.3.4.1)", x.n)
	case a["FORCED"] != "" && typ != "SUBTITLES":
		m.fault("line %d: FORCED for %s (RFC 8216 4.3.4.1)", x.n, typ)
	case typ == "SUBTITLES" && a["URI"] == "":
		m.fault("line %d: SUBTITLES have no URI (RFC 8216 4.3.4.1)", x.n)
	case typ == "CLOSED-CAPTIONS" && (a["URI"] != "" || a["INSTREAM-ID"] == ""):
		m.fault("line %d: CLOSED-CAPTIONS have an INSTREAM-ID and no URI (RFC 8216 4.3.4.1)", x.n)
	case typ != "CLOSED-CAPTIONS" && a["INSTREAM-ID"] != "":
		m.fault("line %d: INSTREAM-ID for %s", x.n, typ)
	}
	if a["URI"] != "" {
		kind := map[string]string{"AUDIO": "audio", "VIDEO": "video", "SUBTITLES": "text"}[typ]
		s := m.add(kind+" "+a["NAME"], kind, a["URI"], a)
		s.groups = append(s.groups, key)
	}
}

// add makes the stream behind a URI, or the one that is known already.
func (m *multivariant) add(name, kind, uri string, a map[string]string) *stream {
	link := uri
	if u, err := m.base.Parse(uri); err != nil {
		m.fault("%q is no URI", uri)
	} else {
		link = u.String()
	}
	s := m.at[link]
	if s == nil {
		s = &stream{Stream: Stream{Name: name, Kind: kind}, exact: true, iframes: kind == "I-frames", set: kind}
		if kind == "audio" {
			s.set = "audio " + link // another language has segments of its own
		}
		s.segments = []segment{{resource: resource{url: link}}}
		for _, o := range m.streams {
			if o.Name == s.Name {
				s.Name += fmt.Sprintf(" (%d)", len(m.streams))
				break
			}
		}
		m.at[link] = s
		m.streams = append(m.streams, s)
	}
	if n, err := strconv.ParseInt(a["BANDWIDTH"], 10, 64); err == nil && s.Claimed == 0 {
		s.Claimed = n
		s.average, _ = strconv.ParseInt(a["AVERAGE-BANDWIDTH"], 10, 64)
		if r := a["RESOLUTION"]; kind != "audio" && resolutions.MatchString(r) {
			fmt.Sscanf(r, "%dx%d", &s.width, &s.height)
		}
		s.Codecs = a["CODECS"]
		if g := a["AUDIO"]; g != "" && kind == "video" {
			s.groups = append(s.groups, "AUDIO "+g)
		}
	}
	return s
}

// refer checks that groups exist and agree.
func (m *multivariant) refer(variants []map[string]string) {
	none, some := 0, 0
	for _, a := range variants {
		for _, typ := range []string{"AUDIO", "VIDEO", "SUBTITLES", "CLOSED-CAPTIONS"} {
			g := a[typ]
			if typ == "CLOSED-CAPTIONS" {
				if g == "NONE" {
					none++
					continue
				}
				if a["RESOLUTION"] != "" {
					some++
				}
			}
			if g != "" && m.groups[typ+" "+g] == nil {
				m.fault("%s=%q names no group of EXT-X-MEDIA (RFC 8216 4.3.4.2)", typ, g)
			}
		}
	}
	if none > 0 && some > 0 {
		m.fault("CLOSED-CAPTIONS=NONE stands in some EXT-X-STREAM-INF and not in all (RFC 8216 4.3.4.2)")
	}
	used := map[string]bool{}
	for _, a := range variants {
		for _, typ := range []string{"AUDIO", "VIDEO", "SUBTITLES", "CLOSED-CAPTIONS"} {
			used[typ+" "+a[typ]] = true
		}
	}
	for g := range m.groups {
		if !used[g] {
			m.warnings = append(m.warnings, "no variant uses the group "+g)
		}
	}
	slices.Sort(m.warnings)
}

// media fills s with the segments of its playlist.
func (p *prober) media(s *stream, base *url.URL, doc []byte) {
	m := parseMedia(doc)
	for _, text := range m.faults {
		p.fault(s, base.String(), "%s", text)
	}
	if m.iframes != s.iframes {
		p.fault(s, base.String(), "EXT-X-I-FRAMES-ONLY: %v, where the multivariant playlist says %v", m.iframes, s.iframes)
	}
	if !m.ended {
		p.mu.Lock()
		p.report.Live = true
		p.mu.Unlock()
	}
	s.target = float64(m.target)
	at := 0.0
	resolve := func(uri string) string {
		u, err := base.Parse(uri)
		if err != nil {
			p.fault(s, "", "%q is no URI", uri)
			return uri
		}
		return u.String()
	}
	maps := map[resource]*resource{}
	keys := map[string]*key{}
	for _, e := range m.entries {
		if !p.room() {
			break
		}
		g := segment{resource: resource{resolve(e.uri), e.off, e.n}, start: at, length: e.length, discontinuity: e.discontinuity}
		at += e.length
		if e.mapURI != "" {
			r := resource{resolve(e.mapURI), e.mapOff, e.mapN}
			if maps[r] == nil {
				maps[r] = &r
			}
			g.init = maps[r]
		}
		g.key = p.playlistKey(s, e, resolve, keys)
		s.segments = append(s.segments, g)
	}
	if len(s.segments) == 0 {
		return
	}
	switch {
	case s.segments[0].init != nil:
		s.container = "mp4"
	case s.Kind == "text", strings.EqualFold(path.Ext(m.entries[0].uri), ".vtt"):
		s.container = "vtt"
	default:
		s.container = "ts"
	}
}

// playlistKey is the key of a segment: AES-128, or a sign that samples are
// encrypted.
func (p *prober) playlistKey(s *stream, e entry, resolve func(string) string, keys map[string]*key) *key {
	if len(e.keys) == 0 {
		return nil
	}
	a := e.keys[0]
	for _, k := range e.keys {
		if f := k["KEYFORMAT"]; f == "org.w3.clearkey" || f == "" || f == "identity" {
			a = k
			break
		}
	}
	if a["METHOD"] != "AES-128" {
		s.Scheme = map[string]string{"SAMPLE-AES": "cbcs", "SAMPLE-AES-CTR": "cenc"}[a["METHOD"]]
		if a["KEYFORMAT"] == "org.w3.clearkey" {
			_, data, ok := strings.Cut(a["URI"], "base64,")
			if id, err := base64.StdEncoding.DecodeString(data); !ok || err != nil || len(id) != 16 {
				p.fault(s, "", "the URI of a ClearKey EXT-X-KEY holds no key id of 16 bytes")
			}
		}
		return &key{}
	}
	s.Scheme = "AES-128"
	name := a["URI"] + " " + a["IV"]
	k := keys[name]
	if k == nil {
		k = &key{whole: true, uri: resolve(a["URI"])}
		if v := a["IV"]; v != "" {
			k.iv, _ = hex.DecodeString(iv(v))
		}
		keys[name] = k
	}
	if k.iv == nil { // RFC 8216 5.2: the number of the segment
		return &key{whole: true, uri: k.uri, number: e.number}
	}
	return k
}
