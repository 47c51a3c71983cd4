package dash

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/text/language"

	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/mp4"
	"github.com/openams/openams/packager/protect"
)

// A set is an AdaptationSet: the renditions of a track that have one codec, as
// players switch within a set and few can switch codecs.
type set struct {
	track      *packager.Track
	renditions []*packager.Rendition // descending by bitrate
}

func sets(p *packager.Presentation) []set {
	var list []set
	for _, t := range slices.Concat(p.Of(mp4.Audio), p.Of(mp4.Video), p.Of(mp4.Text)) {
		from := len(list)
		for _, r := range slices.Backward(t.Renditions) {
			i := slices.IndexFunc(list[from:], func(s set) bool { return s.renditions[0].Media.Codec == r.Media.Codec })
			if i < 0 {
				i = len(list) - from
				list = append(list, set{track: t})
			}
			list[from+i].renditions = append(list[from+i].renditions, r)
		}
	}
	return list
}

func (f flavour) manifest(p *packager.Presentation, o packager.Options) (*packager.Document, error) {
	sets := sets(p)
	longest := uint64(0)
	for _, s := range sets {
		for _, frag := range s.renditions[0].Fragments {
			longest = max(longest, frag.Length)
		}
	}
	var b bytes.Buffer
	b.WriteString("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n")
	namespaces := ""
	if o.Protection != nil {
		namespaces = " " + protect.Namespaces
	}
	fmt.Fprintf(&b, "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\"%s profiles=\"%s\" type=\"static\" mediaPresentationDuration=\"%s\" minBufferTime=\"PT%dS\">\n",
		namespaces, f.profiles, duration(p.Duration), max(1, (longest+packager.Timescale-1)/packager.Timescale))
	b.WriteString("  <Period>\n")
	for i, s := range sets {
		f.adaptationSet(&b, p, i+1, s, o)
	}
	b.WriteString("  </Period>\n</MPD>\n")
	return &packager.Document{ContentType: packager.TypeDASH, Body: b.Bytes()}, nil
}

// duration writes an xs:duration in milliseconds, rounded up: no media may lie
// behind the end.
func duration(ticks uint64) string {
	ms := (ticks + packager.Timescale/1000 - 1) / (packager.Timescale / 1000)
	s, ms := ms/1000, ms%1000
	var b strings.Builder
	b.WriteString("PT")
	if h := s / 3600; h > 0 {
		fmt.Fprintf(&b, "%dH", h)
	}
	if m := s / 60 % 60; m > 0 {
		fmt.Fprintf(&b, "%dM", m)
	}
	fmt.Fprintf(&b, "%d.%03dS", s%60, ms)
	return b.String()
}

// Groups of AdaptationSets as AMS numbered them.
const (
	videoGroup = 1
	textGroup  = 3
	audioGroup = 5
)

// adaptationSet writes s. The order of attributes is AMS's, that of elements
// the schema's.
func (f flavour) adaptationSet(b *bytes.Buffer, p *packager.Presentation, id int, s set, o packager.Options) {
	t, top := s.track, s.renditions[0]
	video := t.Kind == mp4.Video
	group, content, mime := audioGroup, "audio", "audio"
	switch t.Kind {
	case mp4.Video:
		group, content, mime = videoGroup, "video", "video"
	case mp4.Text:
		group, content, mime = textGroup, "text", "application"
	}
	fmt.Fprintf(b, "    <AdaptationSet id=\"%d\" group=\"%d\" profiles=\"ccff\" bitstreamSwitching=\"false\" segmentAlignment=\"true\" contentType=\"%s\" mimeType=\"%s/mp4\" codecs=\"%s\"",
		id, group, content, mime, codecs(top))
	if lang := languageTag(t.Language); lang != "" {
		fmt.Fprintf(b, " lang=\"%s\"", lang)
	}
	if video {
		var width, height uint16
		for _, r := range s.renditions {
			width, height = max(width, r.Media.Width), max(height, r.Media.Height)
		}
		fmt.Fprintf(b, " maxWidth=\"%d\" maxHeight=\"%d\" startWithSAP=\"1\"", width, height)
	}
	b.WriteString(">\n")
	if t.Kind == mp4.Audio {
		if n := top.Media.Channels; n > 0 {
			fmt.Fprintf(b, "      <AudioChannelConfiguration schemeIdUri=\"urn:mpeg:dash:23003:3:audio_channel_configuration:2011\" value=\"%d\"/>\n", channelConfiguration(n))
		}
	}
	protection, same := protection(s, o)
	if same {
		indent(b, "      ", protection[0])
	}
	if !video {
		fmt.Fprintf(b, "      <Label>%s</Label>\n", escape(cmp.Or(t.Label, t.Name)))
	}
	const scheme = "urn:mpeg:dash:role:2011"
	role := func(value string) {
		fmt.Fprintf(b, "      <Role schemeIdUri=\"%s\" value=\"%s\"/>\n", scheme, escape(value))
	}
	switch {
	case t.Kind == mp4.Text:
		role(textRole(t))
		if t.Default {
			role("main")
		}
	case t.DASHRole != "":
		role(t.DASHRole)
	case t.Accessibility == "description":
		fmt.Fprintf(b, "      <Accessibility schemeIdUri=\"%s\" value=\"description\"/>\n", scheme)
		role("alternate")
	case t.Role == "alternate":
		role("alternate")
	default:
		role("main")
	}
	f.template(b, p, t, top.Fragments, o)
	for i, r := range s.renditions {
		fmt.Fprintf(b, "      <Representation id=\"%d_%s_%s_%d\" bandwidth=\"%d\"", group, strings.ToUpper(content[:1]), t.Name, i+1+renditionsBefore(t, s), r.Bitrate)
		if c := codecs(r); c != codecs(top) {
			fmt.Fprintf(b, " codecs=\"%s\"", c)
		}
		if video {
			fmt.Fprintf(b, " width=\"%d\" height=\"%d\"", r.Media.Width, r.Media.Height)
			if m := r.Media; m.SARNum > 0 && m.SARDen > 0 && m.SARNum != m.SARDen {
				fmt.Fprintf(b, " sar=\"%d:%d\"", m.SARNum, m.SARDen)
			}
			num, den := packager.FrameRate(r.Media)
			fmt.Fprintf(b, " frameRate=\"%d", num)
			if den != 1 {
				fmt.Fprintf(b, "/%d", den)
			}
			b.WriteString("\"")
		} else if r.Media.SampleRate > 0 {
			fmt.Fprintf(b, " audioSamplingRate=\"%d\"", r.Media.SampleRate)
		}
		if same || protection[i] == "" {
			b.WriteString("/>\n")
			continue
		}
		b.WriteString(">\n")
		indent(b, "        ", protection[i])
		b.WriteString("      </Representation>\n")
	}
	b.WriteString("    </AdaptationSet>\n")
}

// textRole tells captions for those who do not hear from translations.
func textRole(t *packager.Track) string {
	switch {
	case t.Forced:
		return "forced-subtitle"
	case strings.Contains(t.Characteristics, "transcribes-spoken-dialog"), strings.Contains(t.Characteristics, "describes-music-and-sound"):
		return "caption"
	}
	return "subtitle"
}

// protection returns the ContentProtection elements of each rendition of s, and
// whether they are all the same: then they belong to the set.
func protection(s set, o packager.Options) (texts []string, same bool) {
	texts, same = make([]string, len(s.renditions)), true
	if o.Protection == nil {
		return texts, true
	}
	for i, r := range s.renditions {
		texts[i] = o.Protection.ContentProtection(r)
		same = same && texts[i] == texts[0]
	}
	return texts, same
}

func indent(b *bytes.Buffer, by, lines string) {
	for line := range strings.Lines(lines) {
		b.WriteString(by + line)
	}
}

// renditionsBefore counts the renditions of t that other sets hold and that come
// first, so that ids stay unique when a track has two codecs.
func renditionsBefore(t *packager.Track, s set) int {
	n := 0
	for _, r := range slices.Backward(t.Renditions) {
		if r.Media.Codec != s.renditions[0].Media.Codec && r.Bitrate > s.renditions[0].Bitrate {
			n++
		}
	}
	return n
}

// template writes the SegmentTemplate. A client puts the bandwidth of a
// Representation into $Bandwidth$, which is the bitrate that URLs name.
func (f flavour) template(b *bytes.Buffer, p *packager.Presentation, t *packager.Track, fragments []packager.Fragment, o packager.Options) {
	query := ""
	if o.Query != "" {
		query = escape("?" + strings.ReplaceAll(o.Query, "$", "$$"))
	}
	url := func(time string) string {
		return fmt.Sprintf("QualityLevels($Bandwidth$)/Fragments(%s=%s,format=%s%s)%s", t.Name, time, f.name, o.Encryption(), query)
	}
	offset := ""
	if p.Start > 0 {
		offset = fmt.Sprintf(" presentationTimeOffset=\"%d\"", p.Start)
	}
	fmt.Fprintf(b, "      <SegmentTemplate timescale=\"%d\"%s media=\"%s\" initialization=\"%s\">\n        <SegmentTimeline>\n",
		packager.Timescale, offset, url("$Time$"), url("i"))
	for i := 0; i < len(fragments); {
		n := 1
		for i+n < len(fragments) && fragments[i+n].Length == fragments[i].Length {
			n++
		}
		b.WriteString("          <S")
		if i == 0 && fragments[0].Start != 0 {
			fmt.Fprintf(b, " t=\"%d\"", fragments[0].Start)
		}
		fmt.Fprintf(b, " d=\"%d\"", fragments[i].Length)
		if n > 1 {
			fmt.Fprintf(b, " r=\"%d\"", n-1)
		}
		b.WriteString("/>\n")
		i += n
	}
	b.WriteString("        </SegmentTimeline>\n      </SegmentTemplate>\n")
}

// codecs spells the profile bytes of H.264 in capitals, as AMS did in MPDs.
func codecs(r *packager.Rendition) string {
	if c, profile, ok := strings.Cut(r.Codec, "."); ok && strings.HasPrefix(c, "avc") {
		return c + "." + strings.ToUpper(profile)
	}
	return r.Codec
}

// channelConfiguration is the ChannelConfiguration of ISO/IEC 23003-3 for the
// usual layout of n channels.
func channelConfiguration(n uint16) uint16 {
	if n == 8 {
		return 7
	}
	return n
}

// languageTag returns the RFC 5646 tag, of two letters where there is one; ""
// for what is no language.
func languageTag(s string) string {
	if s == "" {
		return ""
	}
	tag, err := language.Parse(s)
	if err != nil || tag == language.Und {
		return ""
	}
	return tag.String()
}

func escape(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a bytes.Buffer never fails
	return b.String()
}
