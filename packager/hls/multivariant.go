package hls

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/fmp4"
	"github.com/openams/openams/packager/mp4"
)

// A voice is an audio track as the multivariant playlist offers it: with its
// best rendition, as a group cannot hold one track twice.
type voice struct {
	*packager.Rendition
	rate
}

// A group is the audio tracks of one codec. A variant names exactly one group,
// and its CODECS must be true for whichever track of it plays.
type group struct {
	id     string
	codec  string
	voices []voice
	rate   // the greatest of voices
}

func (f flavour) multivariant(p *packager.Presentation, o packager.Options) (*packager.Document, error) {
	groups, err := f.groups(p, o)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-VERSION:%d\n", f.version)
	if !f.ts {
		b.WriteString("#EXT-X-INDEPENDENT-SEGMENTS\n")
	}
	for _, g := range groups {
		f.media(&b, g, o)
	}
	subtitles := f.subtitles(&b, p, o)
	variants := 0
	for _, t := range p.Of(mp4.Video) {
		for _, r := range firstly(t, p.FirstQuality) {
			list, err := f.measured(p, r, o, false)
			if packager.CodeOf(err) == packager.VideoEncodingNotSupported {
				continue // the other renditions may still play
			}
			if err != nil {
				return nil, err
			}
			variants++
			f.variants(&b, r, rateOf(list), groups, subtitles, o)
			if f.frames(o) {
				f.iframeVariant(&b, r, iframeRate(list), o)
			}
		}
	}
	if variants == 0 && len(p.Of(mp4.Video)) > 0 {
		return nil, packager.Errorf(packager.VideoEncodingNotSupported, "no video rendition can be carried in %s", f.name)
	}
	if !o.NoAudioOnly || variants == 0 {
		for _, g := range groups {
			// The first voice is the default one.
			v := g.voices[0]
			fmt.Fprintf(&b, "#EXT-X-STREAM-INF:BANDWIDTH=%d,AVERAGE-BANDWIDTH=%d,CODECS=\"%s\",AUDIO=\"%s\"%s\n%s\n",
				g.peak, g.average, g.codec, g.id, subtitles, f.child(v.Rendition, o, false))
		}
	}
	return &packager.Document{ContentType: packager.TypeHLS, Body: b.Bytes()}, nil
}

// groups sorts the audio tracks by codec. Those that the flavour cannot carry
// are left out, unless nothing else is there.
func (f flavour) groups(p *packager.Presentation, o packager.Options) ([]*group, error) {
	var groups []*group
	var refused error
	for _, t := range p.Of(mp4.Audio) {
		r := t.Renditions[len(t.Renditions)-1]
		list, err := f.measured(p, r, o, false)
		if packager.CodeOf(err) == packager.AudioEncodingNotSupported {
			refused = err
			continue
		}
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(groups, func(g *group) bool { return g.codec == r.Codec })
		if i < 0 {
			id := "audio"
			if i = len(groups); i > 0 {
				id += "_" + strings.NewReplacer(".", "_", "-", "").Replace(r.Codec)
			}
			groups = append(groups, &group{id: id, codec: r.Codec})
		}
		g := groups[i]
		v := voice{r, rateOf(list)}
		g.voices = append(g.voices, v)
		g.peak, g.average = max(g.peak, v.peak), max(g.average, v.average)
	}
	if len(groups) == 0 && refused != nil && len(p.Of(mp4.Video)) == 0 {
		return nil, refused
	}
	for _, g := range groups {
		// A description for the blind is never the default.
		// One that is said to be is.
		slices.SortStableFunc(g.voices, func(a, b voice) int {
			return cmp.Or(preferred(a)-preferred(b), described(a)-described(b))
		})
	}
	return groups, nil
}

// firstly puts the rendition that a filter wants first there.
func firstly(t *packager.Track, bitrate int64) []*packager.Rendition {
	first := t.First(bitrate)
	rest := slices.DeleteFunc(slices.Clone(t.Renditions), func(r *packager.Rendition) bool { return r == first })
	return append([]*packager.Rendition{first}, rest...)
}

func described(v voice) int {
	if v.Track.Accessibility == "description" {
		return 1
	}
	return 0
}

func preferred(v voice) int {
	if v.Track.Default {
		return 0
	}
	return 1
}

// media writes the EXT-X-MEDIA lines of a group. The first track is the default;
// players choose among the others by language, so one of each may be selected
// automatically.
func (f flavour) media(b *bytes.Buffer, g *group, o packager.Options) {
	languages := map[string]bool{}
	labels := map[string]bool{}
	for i, v := range g.voices {
		t := v.Track
		label := quotable(cmp.Or(t.Label, t.Name))
		if labels[label] {
			label += " (" + t.Name + ")"
		}
		labels[label] = true
		fmt.Fprintf(b, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"%s\",NAME=\"%s\"", g.id, label)
		lang := languageTag(t.Language)
		if lang != "" {
			fmt.Fprintf(b, ",LANGUAGE=\"%s\"", lang)
		}
		switch {
		case i == 0:
			b.WriteString(",DEFAULT=YES,AUTOSELECT=YES")
		case described(v) == 1:
			b.WriteString(",AUTOSELECT=YES")
		case lang != "" && !languages[lang]:
			b.WriteString(",AUTOSELECT=YES")
		}
		languages[lang] = true
		if c := t.Characteristics; c != "" {
			fmt.Fprintf(b, ",CHARACTERISTICS=\"%s\"", quotable(c))
		} else if described(v) == 1 {
			b.WriteString(",CHARACTERISTICS=\"public.accessibility.describes-video\"")
		}
		if f.version >= 7 && v.Media.Channels > 0 {
			fmt.Fprintf(b, ",CHANNELS=\"%d\"", v.Media.Channels)
		}
		fmt.Fprintf(b, ",URI=\"%s\"\n", f.child(v.Rendition, o, false))
	}
}

// subtitles writes the EXT-X-MEDIA lines of the text tracks, and returns the
// attribute that variants have for them.
func (f flavour) subtitles(b *bytes.Buffer, p *packager.Presentation, o packager.Options) string {
	tracks := p.Of(mp4.Text)
	if len(tracks) == 0 {
		return ""
	}
	labels := map[string]bool{}
	languages := map[string]bool{}
	chosen := false
	for _, t := range tracks {
		// Names are unique in a group (RFC 8216 4.3.4.1.1).
		label := quotable(cmp.Or(t.Label, t.Name))
		if labels[label] {
			label += " (" + t.Name + ")"
		}
		labels[label] = true
		fmt.Fprintf(b, "#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"subs\",NAME=\"%s\"", label)
		lang := languageTag(t.Language)
		if lang != "" {
			fmt.Fprintf(b, ",LANGUAGE=\"%s\"", lang)
		}
		// A group has one default.
		if t.Default && !chosen {
			chosen = true
			b.WriteString(",DEFAULT=YES,AUTOSELECT=YES")
		} else if b.WriteString(",DEFAULT=NO"); t.Forced || lang != "" && !languages[lang] {
			b.WriteString(",AUTOSELECT=YES")
		}
		if t.Forced {
			b.WriteString(",FORCED=YES")
		} else {
			languages[lang] = true
		}
		if t.Characteristics != "" {
			fmt.Fprintf(b, ",CHARACTERISTICS=\"%s\"", quotable(t.Characteristics))
		}
		fmt.Fprintf(b, ",URI=\"%s\"\n", f.child(t.Renditions[0], o, false))
	}
	return ",SUBTITLES=\"subs\""
}

// quotable makes free text fit for a quoted attribute.
func quotable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r < ' ':
			return ' '
		}
		return r
	}, s)
}

// languageTag lets through what may stand in a quoted attribute.
func languageTag(s string) string {
	for _, c := range s {
		if !(c == '-' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z') {
			return ""
		}
	}
	return s
}

// variants writes one EXT-X-STREAM-INF for each audio group.
func (f flavour) variants(b *bytes.Buffer, r *packager.Rendition, video rate, groups []*group, subtitles string, o packager.Options) {
	one := func(all rate, codecs, audio string) {
		fmt.Fprintf(b, "#EXT-X-STREAM-INF:BANDWIDTH=%d,AVERAGE-BANDWIDTH=%d,RESOLUTION=%s,FRAME-RATE=%s,CODECS=\"%s\"%s%s,CLOSED-CAPTIONS=NONE\n%s\n",
			all.peak, all.average, resolution(r.Media), frameRate(r.Media), codecs, audio, subtitles, f.child(r, o, false))
	}
	if len(groups) == 0 {
		one(video, r.Codec, "")
	}
	for _, g := range groups {
		one(video.plus(g.rate), r.Codec+","+g.codec, ",AUDIO=\""+g.id+"\"")
	}
}

func (f flavour) iframeVariant(b *bytes.Buffer, r *packager.Rendition, frames rate, o packager.Options) {
	fmt.Fprintf(b, "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=%d,AVERAGE-BANDWIDTH=%d,RESOLUTION=%s,CODECS=\"%s\",URI=\"%s\"\n",
		frames.peak, frames.average, resolution(r.Media), r.Codec, f.child(r, o, true))
}

// child returns the URI of a media playlist, relative to the manifest.
func (f flavour) child(r *packager.Rendition, o packager.Options, keyframes bool) string {
	typ := ""
	if keyframes {
		typ = ",type=keyframes"
	}
	filter := ""
	if o.Filters != "" {
		filter = ",filter=" + o.Filters
	}
	return fmt.Sprintf("QualityLevels(%d)/Manifest(%s,format=%s%s%s%s%s)%s", r.Bitrate, r.Track.Name, f.name, typ, o.Encryption(), f.audioKey(r), filter, queries(o.Query, o.PlaylistQuery))
}

func queries(parts ...string) string {
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	if len(parts) == 0 {
		return ""
	}
	return "?" + strings.Join(parts, "&")
}

// resolution is the size at which to show the picture, upright.
func resolution(t *mp4.Track) string {
	w, h := fmp4.DisplaySize(t)
	if t.Rotation == 90 || t.Rotation == 270 {
		w, h = h, w
	}
	return fmt.Sprintf("%dx%d", w, h)
}

func frameRate(t *mp4.Track) string {
	n, d := packager.FrameRate(t)
	return strconv.FormatFloat(float64(n)/float64(d), 'f', 3, 64)
}
