package ism

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strconv"
)

// Encode writes m as the AMS encoder wrote server manifests: bitrate and
// language both as attributes and as params, one param a line. Parse reads it
// back as m.
func (m *Manifest) Encode() []byte {
	var b bytes.Buffer
	b.WriteString("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n")
	b.WriteString("<smil xmlns=\"http://www.w3.org/2001/SMIL20/Language\">\n  <head>\n")
	meta := func(name, content string) {
		if content != "" {
			fmt.Fprintf(&b, "    <meta name=\"%s\" content=\"%s\" />\n", escape(name), escape(content))
		}
	}
	meta("clientManifestRelativePath", m.ClientManifest)
	meta("formats", m.Formats)
	if m.FragmentsPerHLSSegment != 0 {
		meta("fragmentsPerHLSSegment", strconv.Itoa(m.FragmentsPerHLSSegment))
	}
	meta(earlyMeta, string(m.Early))
	for _, p := range m.Meta {
		meta(p.Name, p.Value)
	}
	b.WriteString("  </head>\n  <body>\n    <switch>\n")
	for i := range m.Streams {
		m.Streams[i].encode(&b)
	}
	b.WriteString("    </switch>\n  </body>\n</smil>\n")
	return b.Bytes()
}

func (s *Stream) encode(b *bytes.Buffer) {
	var bitrate, trackID, isDefault string
	if s.Bitrate != 0 {
		bitrate = strconv.FormatInt(s.Bitrate, 10)
	}
	if s.TrackID != 0 {
		trackID = strconv.FormatUint(uint64(s.TrackID), 10)
	}
	if s.Default {
		isDefault = "TRUE"
	}
	fmt.Fprintf(b, "      <%s src=\"%s\"", s.Kind, escape(s.Src))
	if bitrate != "" {
		fmt.Fprintf(b, " systemBitrate=\"%s\"", bitrate)
	}
	if s.Language != "" {
		fmt.Fprintf(b, " systemLanguage=\"%s\"", escape(s.Language))
	}
	params := []Param{
		{"systemBitrate", bitrate},
		{"trackID", trackID},
		{"trackName", s.TrackName},
		{"systemLanguage", s.Language},
		{"trackIndex", s.TrackIndex},
		{"accessibility", s.Accessibility},
		{"role", s.Role},
		{"textDisplayName", s.DisplayName},
		{"textIsDefault", isDefault},
		{"textHlsCharacteristic", s.Characteristic},
		{"transcriptsrc", s.Transcript},
	}
	// A file that is named and no more stays the minimal form.
	if s.TrackID == 0 && s.TrackName == "" && s.TrackIndex == "" {
		params[0].Value, params[3].Value = "", ""
	}
	open := false
	for _, p := range append(params, s.Params...) {
		if p.Value == "" {
			continue
		}
		if !open {
			b.WriteString(">\n")
			open = true
		}
		fmt.Fprintf(b, "        <param name=\"%s\" value=\"%s\" valuetype=\"data\" />\n", escape(p.Name), escape(p.Value))
	}
	if !open {
		b.WriteString(" />\n")
		return
	}
	fmt.Fprintf(b, "      </%s>\n", s.Kind)
}

func escape(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a bytes.Buffer never fails
	return b.String()
}
