package smooth

import (
	"bytes"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"

	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/mp4"
)

// ClientManifest returns the version 2.2 client manifest of p, as served without
// a format and as written into an .ismc file. It is nil if Smooth Streaming can
// carry none of the codecs of p.
func ClientManifest(p *packager.Presentation) []byte {
	d, err := flavour{}.manifest(p, packager.Options{})
	if err != nil {
		return nil
	}
	return d.Body
}

func (f flavour) manifest(p *packager.Presentation, o packager.Options) (*packager.Document, error) {
	minor := 2
	if f.old() {
		minor = 0
	}
	var b bytes.Buffer
	b.WriteString("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n")
	fmt.Fprintf(&b, "<SmoothStreamingMedia MajorVersion=\"2\" MinorVersion=\"%d\" Duration=\"%d\" TimeScale=\"%d\">\n", minor, p.Duration, packager.Timescale)
	if o.Protection != nil {
		if element := o.Protection.ProtectionElement(p); element != "" {
			b.WriteString("  " + element)
		}
	}
	written, pictures := 0, 0
	for _, t := range slices.Concat(p.Of(mp4.Audio), p.Of(mp4.Video), p.Of(mp4.Text)) {
		if f.streamIndex(&b, t, o) {
			written++
			if t.Kind == mp4.Video {
				pictures++
			}
		}
	}
	if video := p.Of(mp4.Video); len(video) > 0 && pictures == 0 {
		return nil, packager.Errorf(packager.VideoEncodingNotSupported, "Smooth Streaming cannot carry the video of this asset: it is %s", video[0].Renditions[0].Codec)
	}
	if written == 0 {
		return nil, packager.Errorf(packager.MediaTypeNotSupported, "Smooth Streaming can carry none of the codecs of this asset; it has %s", p.Tracks[0].Renditions[0].Codec)
	}
	b.WriteString("</SmoothStreamingMedia>\n")
	return &packager.Document{ContentType: packager.TypeSmooth, Body: b.Bytes()}, nil
}

// streamIndex writes t and reports whether Smooth can carry any of it.
func (f flavour) streamIndex(b *bytes.Buffer, t *packager.Track, o packager.Options) bool {
	var levels bytes.Buffer
	n := 0
	for _, r := range slices.Backward(t.Renditions) {
		if qualityLevel(&levels, r, n) {
			n++
		}
	}
	if n == 0 {
		return false
	}
	query := ""
	if o.Query != "" {
		query = escape("?" + o.Query)
	}
	fragments := t.Renditions[0].Unprimed().Fragments
	fmt.Fprintf(b, "  <StreamIndex Chunks=\"%d\" Type=\"%s\" Url=\"QualityLevels({bitrate})/Fragments(%s={start time}%s)%s\" QualityLevels=\"%d\"",
		len(fragments), t.Kind, t.Name, o.Encryption(), query, n)
	if t.Kind == mp4.Text {
		subtype := "SUBT"
		if strings.Contains(t.Characteristics, "transcribes-spoken-dialog") {
			subtype = "CAPT"
		}
		fmt.Fprintf(b, " Subtype=\"%s\"", subtype)
	}
	if t.Language != "" {
		fmt.Fprintf(b, " Language=\"%s\"", escape(t.Language))
	}
	if t.Kind != mp4.Video || t.Name != "video" {
		fmt.Fprintf(b, " Name=\"%s\"", t.Name)
	}
	if t.Role != "" {
		fmt.Fprintf(b, " Role=\"%s\"", escape(t.Role))
	}
	if t.Accessibility != "" {
		fmt.Fprintf(b, " Accessibility=\"%s\"", escape(t.Accessibility))
	}
	b.WriteString(">\n")
	b.Write(levels.Bytes())
	f.chunks(b, fragments)
	b.WriteString("  </StreamIndex>\n")
	return true
}

// chunks writes the time line. r counts equal chunks; DASH's counts repeats.
func (f flavour) chunks(b *bytes.Buffer, fragments []packager.Fragment) {
	for i := 0; i < len(fragments); {
		n := 1
		if f.old() {
			fmt.Fprintf(b, "    <c n=\"%d\" d=\"%d\"", i, fragments[i].Length)
			if i == 0 && fragments[0].Start != 0 {
				fmt.Fprintf(b, " t=\"%d\"", fragments[0].Start)
			}
			b.WriteString("/>\n")
			i++
			continue
		}
		for i+n < len(fragments) && fragments[i+n].Length == fragments[i].Length {
			n++
		}
		b.WriteString("    <c")
		if i == 0 {
			fmt.Fprintf(b, " t=\"%d\"", fragments[0].Start)
		}
		fmt.Fprintf(b, " d=\"%d\"", fragments[i].Length)
		if n > 1 {
			fmt.Fprintf(b, " r=\"%d\"", n)
		}
		b.WriteString("/>\n")
		i += n
	}
}

// qualityLevel writes r and reports whether Smooth can carry it.
func qualityLevel(b *bytes.Buffer, r *packager.Rendition, index int) bool {
	m := r.Media
	if m.Kind == mp4.Video {
		fourCC := "H264"
		var private []byte
		switch m.Codec {
		case "avc1", "avc3":
			private = avcPrivate(m.Config)
		case "hvc1", "hev1":
			fourCC, private = "HEVC", hevcPrivate(m.Config)
		}
		if private == nil {
			return false
		}
		fmt.Fprintf(b, "    <QualityLevel Index=\"%d\" Bitrate=\"%d\" FourCC=\"%s\" MaxWidth=\"%d\" MaxHeight=\"%d\" CodecPrivateData=\"%s\"/>\n",
			index, r.Bitrate, fourCC, m.Width, m.Height, private)
		return true
	}
	if m.Kind == mp4.Text {
		fmt.Fprintf(b, "    <QualityLevel Index=\"%d\" Bitrate=\"%d\" FourCC=\"TTML\" CodecPrivateData=\"\"/>\n", index, r.Bitrate)
		return true
	}
	fourCC, tag, packet := "AACL", 255, 4
	private := m.Config
	switch m.Codec {
	case "mp4a":
		if r.Codec != "mp4a.40.2" {
			fourCC = "AACH"
		}
	case "ec-3":
		fourCC, tag, private = "EC-3", 65534, eac3Private(m)
	default:
		return false
	}
	fmt.Fprintf(b, "    <QualityLevel AudioTag=\"%d\" Index=\"%d\" BitsPerSample=\"16\" Bitrate=\"%d\" FourCC=\"%s\" CodecPrivateData=\"%s\" Channels=\"%d\" PacketSize=\"%d\" SamplingRate=\"%d\"/>\n",
		tag, index, r.Bitrate, fourCC, strings.ToUpper(hex.EncodeToString(private)), m.Channels, packet, m.SampleRate)
	return true
}

func escape(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a bytes.Buffer never fails
	return b.String()
}
