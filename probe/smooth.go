package probe

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
)

// A quality is what a Smooth manifest says of a quality level.
type quality struct {
	track
	fourCC string
}

// smooth checks a client manifest ([MS-SSTR] 2.2.2) and lists its quality levels.
func (p *prober) smooth(base *url.URL, m *node) []*stream {
	at := base.String()
	need := func(n *node, names ...string) {
		for _, name := range names {
			if _, ok := n.lookup(name); !ok {
				p.fault(nil, at, "<%s> has no attribute %s ([MS-SSTR] 2.2.2)", n.name, name)
			}
		}
	}
	need(m, "MajorVersion", "MinorVersion", "Duration")
	if m.attr("MajorVersion") != "2" {
		p.fault(nil, at, "MajorVersion is %q", m.attr("MajorVersion"))
	}
	minor := m.number("MinorVersion", -1)
	scale := m.number("TimeScale", 10_000_000)
	if scale < 1 {
		p.fault(nil, at, "TimeScale is %d", scale)
		return nil
	}
	live := strings.EqualFold(m.attr("IsLive"), "true")
	p.report.Live = live
	total := float64(m.number("Duration", 0)) / float64(scale)
	var kids []string
	for _, k := range m.kids {
		kids = append(kids, k.name)
		if k.name != "StreamIndex" && k.name != "Protection" {
			p.fault(nil, at, "<%s> may not stand in <SmoothStreamingMedia>", k.name)
		}
	}
	if i := strings.Index(strings.Join(kids, " "), "StreamIndex"); i >= 0 && strings.Contains(strings.Join(kids, " ")[i:], "Protection") {
		p.fault(nil, at, "<Protection> stands behind a <StreamIndex>: clients look before")
	}
	key, kid := p.protection(at, m)
	var streams []*stream
	names := map[string]bool{}
	if len(m.all("StreamIndex")) == 0 {
		p.fault(nil, at, "there is no StreamIndex")
	}
	for _, index := range m.all("StreamIndex") {
		need(index, "Type", "Url", "QualityLevels")
		if !live {
			need(index, "Chunks")
		}
		kind := index.attr("Type")
		if kind != "video" && kind != "audio" && kind != "text" {
			p.fault(nil, at, "the Type of a StreamIndex is %q", kind)
		}
		name := index.attr("Name")
		if name == "" {
			name = kind
		}
		if names[name] {
			p.fault(nil, at, "two StreamIndex elements have the name %q", name)
		}
		names[name] = true
		template := index.attr("Url")
		if !strings.Contains(template, "{bitrate}") && !strings.Contains(template, "{Bitrate}") || !strings.Contains(template, "{start time}") && !strings.Contains(template, "{start_time}") {
			p.fault(nil, at, "the Url %q lacks {bitrate} or {start time}", template)
		}
		levels := index.all("QualityLevel")
		if int(index.number("QualityLevels", -1)) != len(levels) {
			p.fault(nil, at, "StreamIndex %s says QualityLevels=%q and has %d", name, index.attr("QualityLevels"), len(levels))
		}
		chunks := p.chunks(at, name, index, minor, live, float64(scale), total)
		indexes, rates := map[string]bool{}, map[string]bool{}
		for _, level := range levels {
			need(level, "Index", "Bitrate")
			if i := level.attr("Index"); indexes[i] {
				p.fault(nil, at, "StreamIndex %s has the Index %s twice", name, i)
			} else {
				indexes[i] = true
			}
			if b := level.attr("Bitrate"); rates[b] {
				p.fault(nil, at, "StreamIndex %s has the Bitrate %s twice: they share their URLs", name, b)
			} else {
				rates[b] = true
			}
			s := &stream{
				Stream: Stream{Name: name + " " + level.attr("Bitrate"), Kind: kind, Codecs: level.attr("FourCC"), Claimed: level.number("Bitrate", 0)},
				set:    name, container: "mp4", exact: true,
				width: int(level.number("MaxWidth", 0)), height: int(level.number("MaxHeight", 0)),
				smooth: &quality{fourCC: level.attr("FourCC"), track: track{timescale: uint32(min(scale, 1<<32-1))}},
			}
			p.level(s, level, need)
			if key != nil && kind != "text" {
				s.Scheme = "cenc"
				if key.whole {
					s.Scheme = "AES-128"
				} else {
					s.smooth.enc = &encryption{scheme: "cenc", ivSize: 8, kid: kid}
				}
			}
			for _, c := range chunks {
				if !p.room() {
					break
				}
				path := strings.NewReplacer("{bitrate}", level.attr("Bitrate"), "{Bitrate}", level.attr("Bitrate"),
					"{start time}", fmt.Sprint(c.time), "{start_time}", fmt.Sprint(c.time)).Replace(template)
				u, err := base.Parse(path)
				if err != nil {
					p.fault(s, "", "%q is no URI", path)
					break
				}
				c.url = u.String()
				if s.Scheme != "" {
					c.key = key
				}
				s.segments = append(s.segments, c)
			}
			streams = append(streams, s)
			if len(streams) > maxStreams {
				return streams
			}
		}
	}
	return streams
}

var hexadecimal = regexp.MustCompile(`^([0-9A-Fa-f]{2})*$`)

// level reads what a QualityLevel says of its codec ([MS-SSTR] 2.2.2.5).
func (p *prober) level(s *stream, level *node, need func(*node, ...string)) {
	private := level.attr("CodecPrivateData")
	if !hexadecimal.MatchString(private) {
		p.fault(s, "", "CodecPrivateData is not hexadecimal")
	}
	data, _ := hex.DecodeString(private)
	q := s.smooth
	switch s.Kind {
	case "video":
		need(level, "FourCC", "MaxWidth", "MaxHeight", "CodecPrivateData")
		q.handler = "vide"
		q.codec = map[string]string{"H264": "avc1", "AVC1": "avc1", "HEVC": "hvc1", "HVC1": "hvc1", "HEV1": "hev1"}[strings.ToUpper(q.fourCC)]
		if q.codec == "" {
			p.warn(s, "", "FourCC is %q", q.fourCC)
		}
		if units := startCodes(data); q.codec == "avc1" && (len(units) < 2 || units[0][0]&31 != 7 || units[len(units)-1][0]&31 != 8) {
			p.fault(s, "", "CodecPrivateData holds no SPS and PPS behind start codes")
		}
	case "audio":
		need(level, "FourCC", "SamplingRate", "Channels", "BitsPerSample", "PacketSize", "AudioTag", "CodecPrivateData")
		q.handler = "soun"
		q.codec = map[string]string{"AACL": "mp4a", "AACH": "mp4a", "EC-3": "ec-3"}[strings.ToUpper(q.fourCC)]
		q.config = data
		q.rate, q.channels = int(level.number("SamplingRate", 0)), int(level.number("Channels", 0))
		if q.codec == "mp4a" && len(data) < 2 {
			p.fault(s, "", "CodecPrivateData holds no AudioSpecificConfig")
		}
	default:
		q.handler = "text"
	}
}

// startCodes cuts Annex B into its units, none of which is empty.
func startCodes(b []byte) [][]byte {
	var units [][]byte
	start := -1
	for i := 0; i+3 <= len(b); i++ {
		if b[i] != 0 || b[i+1] != 0 || b[i+2] != 1 {
			continue
		}
		if start >= 0 {
			end := i
			for end > start && b[end-1] == 0 {
				end--
			}
			if end > start {
				units = append(units, b[start:end])
			}
		}
		start = i + 3
		i += 2
	}
	if start >= 0 && start < len(b) {
		units = append(units, b[start:])
	}
	return units
}

// chunks reads the time line of a StreamIndex ([MS-SSTR] 2.2.2.6).
func (p *prober) chunks(at, name string, index *node, minor int64, live bool, scale, total float64) []segment {
	var list []segment
	var time uint64
	for i, c := range index.all("c") {
		if t, ok := c.lookup("t"); ok {
			v, err := strconv.ParseUint(t, 10, 64)
			if err != nil {
				p.fault(nil, at, "chunk %d of %s has t=%q", i, name, t)
			} else {
				if i > 0 && v < time {
					p.fault(nil, at, "chunk %d of %s begins at %d, before the one before it ends at %d", i, name, v, time)
				} else if i > 0 && v > time {
					p.warn(nil, at, "the time line of %s has a gap of %.3f s before chunk %d", name, float64(v-time)/scale, i)
				}
				time = v
			}
		}
		if n, ok := c.lookup("n"); ok && n != fmt.Sprint(len(list)) {
			p.fault(nil, at, "chunk %d of %s has n=%q", len(list), name, n)
		}
		d, told := c.lookup("d")
		length, err := strconv.ParseUint(d, 10, 63)
		if !told || err != nil || length == 0 {
			p.fault(nil, at, "chunk %d of %s has d=%q", i, name, d)
			break
		}
		r := c.number("r", 1)
		if r != 1 && minor < 2 {
			p.fault(nil, at, "a chunk of %s has r, which MinorVersion %d does not know", name, minor)
		}
		for ; r > 0 && p.room(); r-- {
			list = append(list, segment{time: time, start: float64(time) / scale, length: float64(length) / scale})
			time += length
		}
	}
	if n := index.number("Chunks", int64(len(list))); n != int64(len(list)) && !live {
		p.fault(nil, at, "StreamIndex %s says Chunks=%d and has %d", name, n, len(list))
	}
	if len(list) > 0 && !live {
		if got := float64(time)/scale - list[0].start; got > total+0.001 {
			p.fault(nil, at, "the chunks of %s last %.3f s, the presentation %.3f s", name, got, total)
		}
	}
	return list
}

// protection reads the Protection element: PlayReady, or the envelope of AMS.
func (p *prober) protection(at string, m *node) (*key, [16]byte) {
	var kid [16]byte
	protection := m.child("Protection")
	if protection == nil {
		return nil, kid
	}
	header := protection.child("ProtectionHeader")
	if header == nil {
		p.fault(nil, at, "<Protection> has no ProtectionHeader ([MS-SSTR] 2.2.2.2)")
		return nil, kid
	}
	switch id := strings.ToLower(strings.Trim(header.attr("SystemID"), "{}")); id {
	case "9a04f079-9840-4286-ab92-e65be0885f95":
		pro, err := base64.StdEncoding.DecodeString(header.text)
		if err == nil {
			kid, err = playReadyKID(pro)
		}
		if err != nil {
			p.fault(nil, at, "the PlayReady object: %v", err)
		}
		return &key{}, kid
	case "b47b251a-2409-4b42-958e-08dbae7b4ee9":
		k := &key{}
		s := &stream{}
		if c := header.child("ContentProtection"); c != nil {
			u, _ := url.Parse(at)
			p.envelope(s, c, u, k)
			return k, kid
		}
		p.fault(nil, at, "the envelope header holds no ContentProtection")
		return k, kid
	default:
		p.warn(nil, at, "the protection system %q is not known", id)
		return &key{}, kid
	}
}

var recordKID = regexp.MustCompile(`<KID[^>]*?(?:VALUE="([^"]+)"[^>]*/?>|>([^<]+)</KID>)`)

// playReadyKID finds the key id in a PlayReady object, whose GUIDs are little
// endian.
func playReadyKID(b []byte) (kid [16]byte, err error) {
	if len(b) < 10 || int(uint32(b[0])|uint32(b[1])<<8|uint32(b[2])<<16|uint32(b[3])<<24) != len(b) {
		return kid, fmt.Errorf("its length is wrong")
	}
	units := make([]uint16, (len(b)-10)/2)
	for i := range units {
		units[i] = uint16(b[10+2*i]) | uint16(b[11+2*i])<<8
	}
	m := recordKID.FindStringSubmatch(string(utf16.Decode(units)))
	if m == nil {
		return kid, fmt.Errorf("it has no KID")
	}
	id, err := base64.StdEncoding.DecodeString(m[1] + m[2])
	if err != nil || len(id) != 16 {
		return kid, fmt.Errorf("its KID is malformed")
	}
	for i, from := range []int{3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15} {
		kid[i] = id[from]
	}
	return kid, nil
}
