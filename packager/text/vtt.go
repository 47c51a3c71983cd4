package text

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// parseVTT reads a WebVTT file (W3C WebVTT 6). Blocks that are no cues, styles
// or regions are skipped, as a browser does; a cue whose times make no sense is
// an error, as it is most likely a mistake.
func parseVTT(s string) (*Doc, error) {
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	s = strings.ReplaceAll(s, "\x00", "\ufffd")
	lines := strings.Split(s, "\n")
	if first := lines[0]; len(first) > len("WEBVTT") && first[6] != ' ' && first[6] != '\t' {
		return nil, errors.New("the first line is not WEBVTT")
	}
	d := &Doc{Codec: "wvtt"}
	i := 1
	for ; i < len(lines) && lines[i] != ""; i++ {
		// Metadata of the draft of 2012, which tools still write.
		if k, v, ok := strings.Cut(lines[i], ":"); ok && strings.EqualFold(strings.TrimSpace(k), "language") {
			d.Language = strings.TrimSpace(v)
		}
	}
	for i < len(lines) {
		if lines[i] == "" {
			i++
			continue
		}
		from := i
		for i < len(lines) && lines[i] != "" {
			i++
		}
		if err := d.block(lines[from:i], from+1); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// block reads lines between empty ones; number is that of the first.
func (d *Doc) block(lines []string, number int) error {
	id := ""
	if !strings.Contains(lines[0], "-->") {
		switch word, _, _ := strings.Cut(strings.TrimRight(lines[0], " \t"), " "); word {
		case "STYLE", "REGION":
			if len(d.cues) > 0 {
				return nil // not allowed behind a cue, and ignored
			}
			if d.header += strings.Join(lines, "\n") + "\n\n"; len(d.header) > maxHeader {
				return fmt.Errorf("line %d: the styles and regions are longer than %d bytes", number, maxHeader)
			}
			return nil
		case "NOTE":
			return nil
		}
		if len(lines) < 2 || !strings.Contains(lines[1], "-->") {
			return nil
		}
		id, lines, number = lines[0], lines[1:], number+1
	}
	begin, rest, _ := strings.Cut(lines[0], "-->")
	rest = strings.TrimLeft(rest, " \t")
	finish, settings := rest, ""
	if at := strings.IndexAny(rest, " \t"); at >= 0 {
		finish, settings = rest[:at], strings.TrimSpace(rest[at:])
	}
	start, ok1 := vttTime(strings.TrimSpace(begin))
	end, ok2 := vttTime(finish)
	switch {
	case !ok1 || !ok2:
		return fmt.Errorf("line %d: %q is not a start and an end such as 00:01.000 --> 00:02.000", number, lines[0])
	case end < start:
		return fmt.Errorf("line %d: the cue ends at %s, before it starts", number, finish)
	case len(d.cues) == maxCues:
		return fmt.Errorf("line %d: more than %d cues", number, maxCues)
	case end == start || len(lines) == 1:
		return nil // never shows
	}
	d.cues = append(d.cues, cue{start, end, id, settings, noBlankLines(strings.Join(lines[1:], "\n"))})
	return nil
}

// vttTime reads [hours:]minutes:seconds.milliseconds.
func vttTime(s string) (time.Duration, bool) {
	s, fraction, ok := strings.Cut(s, ".")
	if !ok || len(fraction) != 3 {
		return 0, false
	}
	ms, err := strconv.ParseUint(fraction, 10, 16)
	parts := strings.Split(s, ":")
	if err != nil || len(parts) < 2 || len(parts) > 3 {
		return 0, false
	}
	var seconds uint64
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 24)
		if err != nil || len(p) < 2 || (i > 0 || len(parts) == 2) && (len(p) != 2 || n > 59) {
			return 0, false
		}
		seconds = seconds*60 + n
	}
	return time.Duration(seconds)*time.Second + time.Duration(ms)*time.Millisecond, true
}

// WebVTT returns the segment of HLS with the cues that show in [from, to).
// mpegts is the time stamp of presentation time 0 in the other segments
// (RFC 8216 3.5).
func (d *Doc) WebVTT(from, to time.Duration, mpegts int64) []byte {
	b := fmt.Appendf(nil, "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:%d,LOCAL:00:00:00.000\n\n%s", mpegts, d.header)
	for _, c := range d.within(from, to) {
		if c.id != "" {
			b = append(b, c.id+"\n"...)
		}
		b = append(b, clock(c.start)+" --> "+clock(c.end)...)
		if c.settings != "" {
			b = append(b, " "+c.settings...)
		}
		b = append(b, "\n"+c.text+"\n\n"...)
	}
	return b
}

// markup calls f for each part of a cue's text: what it says, the name of an
// opening or closing tag ("i", "/i"), or a line break ("br").
func markup(s string, f func(text, tag string)) {
	for s != "" {
		at := strings.IndexAny(s, "<\n")
		if at < 0 {
			at = len(s)
		}
		if at > 0 {
			f(vttEntities.Replace(s[:at]), "")
			s = s[at:]
			continue
		}
		if s[0] == '\n' {
			f("", "br")
			s = s[1:]
			continue
		}
		tag, rest, ok := strings.Cut(s[1:], ">")
		if !ok {
			return // an unfinished tag hides the rest
		}
		name, _, _ := strings.Cut(tag, ".") // classes
		name, _, _ = strings.Cut(name, " ")
		f("", strings.ToLower(name))
		s = rest
	}
}

var vttEntities = strings.NewReplacer("&amp;", "&", "&lt;", "<", "&gt;", ">", "&nbsp;", "\u00a0", "&lrm;", "\u200e", "&rlm;", "\u200f")
