package static

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/hls"
	"github.com/openams/openams/packager/protect"
)

// HLS makes playlists and transport streams of a set, in version 3: each segment
// has the picture and the first sound.
type HLS struct {
	MaxBitrate int64         // bit/s: renditions above are left out; 0: none is
	Manifest   string        // name of the multivariant playlist; "": {set}-m3u8-aapl.m3u8
	Segment    time.Duration // length aimed at
	Log        string        // name of a file that says what was made; "": none
	Program    int64         // PROGRAM-ID; 0: 1
	Codecs     bool          // variants name their codecs
	Old        bool          // for iOS 3: lengths in whole seconds
	NoCaching  bool

	Encrypted bool      // by AES-128
	Key       *[16]byte // nil: one by chance
	KeyURI    string    // "": the key file beside the playlists
}

// The length of segments (the default is documented; more than 20 s cannot be
// cut).
const (
	usualSegment = 10 // s
	maxSegment   = 20 // s
)

func (p *properties) hls() *HLS {
	t := &HLS{
		MaxBitrate: p.number("maxbitrate", 1<<40), Manifest: p.file("manifest", ".m3u8"),
		Segment: p.seconds("segment", usualSegment, maxSegment), Log: p.file("log", ".log"),
		Program: p.number("pid", 1<<31-1), Codecs: p.bool("codecs", false), Old: p.bool("backwardcompatible", false),
		NoCaching: !p.bool("allowcaching", true), Encrypted: p.bool("encrypt", false),
	}
	p.text("overwrite") // outputs are new
	if p.text("passphrase") != "" {
		p.fail("passphrase", "has no effect here: give the key itself as 'key'.")
	}
	if s := p.text("key"); s != "" {
		b, err := hex.DecodeString(s)
		if err != nil || len(b) != 16 {
			p.fail("key", "is not 16 bytes in hexadecimal.")
		} else {
			t.Key = (*[16]byte)(b)
		}
	}
	if t.KeyURI = p.text("keyuri"); t.KeyURI != "" {
		if _, err := url.Parse(t.KeyURI); err != nil || strings.ContainsAny(t.KeyURI, "\"\r\n") {
			p.fail("keyuri", "is no URI.")
		}
	}
	return t
}

// Run implements Task.
func (t *HLS) Run(ctx context.Context, s *Set, dir string, progress func(float64)) ([]string, error) {
	p, err := s.presentation(t.Segment)
	if err != nil {
		return nil, err
	}
	p.FragmentsPerTS = 1 // fragments are as long as segments are to be
	if t.MaxBitrate > 0 {
		p, err = p.Cut(packager.Cut{Keep: func(r *packager.Rendition) bool { return r.Bitrate <= t.MaxBitrate }}, 1)
		if packager.CodeOf(err) == packager.FilterRemovedAll {
			return nil, jobErrorf(ams.ConfigurationUnsupported, "No track of '%s.ism' has at most the maxbitrate %d.", s.name, t.MaxBitrate)
		}
		if err != nil {
			return nil, refusal(err)
		}
	}
	w := hlsWriter{HLS: t, set: s, p: p, dir: dir, format: hls.Muxed(""), taken: names{}}
	if err := w.protect(); err != nil {
		return nil, err
	}
	w.meter = &meter{ctx: ctx, report: progress}
	for _, track := range p.Tracks {
		for _, r := range track.Renditions {
			w.meter.total += len(r.Fragments)
		}
	}
	if err := w.multivariant(); err != nil {
		return nil, refusal(err)
	}
	return w.list, nil
}

type hlsWriter struct {
	*HLS
	set    *Set
	p      *packager.Presentation
	dir    string
	format *packager.Format // encrypted, if it is to be
	said   packager.Options
	meter  *meter
	taken  names
	list   []string // of files written
	log    bytes.Buffer
}

func (w *hlsWriter) write(base, ext string, body func(io.Writer) error) (name string, err error) {
	name = w.taken.take(base, ext)
	w.list = append(w.list, name)
	return name, create(w.dir, name, body)
}

// protect makes the key and its file.
func (w *hlsWriter) protect() error {
	if !w.Encrypted {
		return nil
	}
	value := w.Key
	if value == nil {
		value = new([16]byte)
		rand.Read(value[:])
	}
	file, err := w.write(w.set.name, ".key", func(f io.Writer) error {
		_, err := f.Write(value[:])
		return err
	})
	if err != nil {
		return err
	}
	uri := w.KeyURI
	if uri == "" {
		uri = url.PathEscape(file)
	}
	key := protect.NewKey(protect.KeyID{}, *value, nil)
	p := &protect.Protection{
		Scheme: protect.AES128, Keys: func(*packager.Rendition) *protect.Key { return key },
		Systems: protect.Systems{Key: func(protect.KeyID) string { return uri }},
	}
	w.said.Protection = p
	w.format, err = p.Format(w.format)
	return err
}

var (
	playlistURI = regexp.MustCompile(`^QualityLevels\((\d+)\)/Manifest\(([^,)]+)[,)]`)
	fragmentURI = regexp.MustCompile(`^Fragments\([^=]+=(\d+)[,)]`)
	codecs      = regexp.MustCompile(`,CODECS="[^"]*"`)
	extinf      = regexp.MustCompile(`^#EXTINF:([0-9.]+)`)
)

// multivariant writes all files. Playlists are those of streams, with names of
// files in place of URLs.
func (w *hlsWriter) multivariant() error {
	d, err := w.format.Manifest(w.p, w.said)
	if err != nil {
		return err
	}
	text, err := rewrite(d.Body, func(line string) (string, error) {
		m := playlistURI.FindStringSubmatch(line)
		switch {
		case m != nil:
			bitrate, err := strconv.ParseInt(m[1], 10, 64)
			if err != nil {
				return "", err
			}
			r, err := w.p.Rendition(m[2], bitrate)
			if err != nil {
				return "", err
			}
			return w.playlist(r)
		case strings.HasPrefix(line, "#EXT-X-STREAM-INF:"):
			if !w.Codecs {
				line = codecs.ReplaceAllString(line, "")
			}
			return strings.Replace(line, "PROGRAM-ID=1,", fmt.Sprintf("PROGRAM-ID=%d,", max(1, w.Program)), 1), nil
		}
		return w.version(line), nil
	})
	if err != nil {
		return err
	}
	if w.Log != "" {
		if _, err := w.write(bare(w.Log), ".log", func(f io.Writer) error { _, err := w.log.WriteTo(f); return err }); err != nil {
			return err
		}
	}
	name := bare(w.Manifest)
	if w.Manifest == "" {
		name = w.set.name + "-m3u8-aapl"
	}
	_, err = w.write(name, ".m3u8", func(f io.Writer) error { _, err := f.Write(text); return err })
	return err
}

// version says what old clients know. Keys have vectors, which they know from
// version 2 on.
func (w *hlsWriter) version(line string) string {
	if w.Old && strings.HasPrefix(line, "#EXT-X-VERSION:") {
		return "#EXT-X-VERSION:2"
	}
	return line
}

// playlist writes the playlist of a rendition and its segments, and returns its
// URI.
func (w *hlsWriter) playlist(r *packager.Rendition) (string, error) {
	d, err := w.format.Playlist(w.p, r, w.said)
	if err != nil {
		return "", err
	}
	base := fmt.Sprintf("%s-%s-%d", w.set.name, r.Track.Name, r.Bitrate)
	n := 0
	text, err := rewrite(d.Body, func(line string) (string, error) {
		switch m := fragmentURI.FindStringSubmatch(line); {
		case m != nil:
			start, err := strconv.ParseUint(m[1], 10, 64)
			if err != nil {
				return "", err
			}
			seg, err := w.format.Fragment(w.p, r, start)
			if err != nil {
				return "", err
			}
			name, err := w.write(fmt.Sprintf("%s-%05d", base, n), ".ts", func(f io.Writer) error {
				_, err := seg.WriteTo(f, w.set.reader)
				return err
			})
			if err != nil {
				return "", err
			}
			n++
			return url.PathEscape(name), w.meter.step()
		case strings.HasPrefix(line, "#EXT-X-PROGRAM-DATE-TIME:"):
			return "", nil // of 1970
		case strings.HasPrefix(line, "#EXT-X-ALLOW-CACHE:") && !w.NoCaching:
			return "#EXT-X-ALLOW-CACHE:YES", nil
		}
		if m := extinf.FindStringSubmatch(line); m != nil && w.Old {
			length, err := strconv.ParseFloat(m[1], 64)
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("#EXTINF:%.0f,", max(1, length)), nil
		}
		return w.version(line), nil
	})
	if err != nil {
		return "", err
	}
	name, err := w.write(base, ".m3u8", func(f io.Writer) error { _, err := f.Write(text); return err })
	fmt.Fprintf(&w.log, "%s: %s, %d bit/s, %d segments\n", name, r.Codec, r.Bitrate, n)
	return url.PathEscape(name), err
}

// rewrite replaces lines; an empty one is left out.
func rewrite(text []byte, line func(string) (string, error)) ([]byte, error) {
	var b bytes.Buffer
	for l := range strings.Lines(string(text)) {
		l, err := line(strings.TrimSuffix(l, "\n"))
		if err != nil {
			return nil, err
		}
		if l != "" {
			b.WriteString(l + "\n")
		}
	}
	return b.Bytes(), nil
}

// checkHLS returns an error unless transport streams can carry all of p: it makes
// them.
func checkHLS(m *meter, s *Set, p *packager.Presentation) error {
	if _, err := hls.Muxed("").Manifest(p, packager.Options{}); err != nil {
		return refusal(err)
	}
	for _, t := range p.Tracks {
		for _, r := range t.Renditions {
			if _, err := r.TS(); err != nil {
				return refusal(err)
			}
			for k := range r.Fragments {
				seg, err := r.TSSegment(k, 1, nil)
				if err == nil {
					_, err = seg.WriteTo(io.Discard, s.reader)
				}
				if err != nil {
					return refusal(err)
				}
				if err := m.step(); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
