package formats_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/fmp4"
	"github.com/openams/openams/packager/formats"
	"github.com/openams/openams/packager/hls"
	"github.com/openams/openams/packager/mp4"
	"github.com/openams/openams/packager/ts"
)

// open returns an asset's file for Segment.WriteTo.
func (a *asset) open(t *testing.T) func(string) (io.ReaderAt, error) {
	return func(name string) (io.ReaderAt, error) {
		f, err := os.Open(filepath.Join(a.dir, name))
		if err == nil {
			t.Cleanup(func() { f.Close() })
		}
		return f, err
	}
}

var uri = regexp.MustCompile(`^QualityLevels\((\d+)\)/(Manifest|Fragments)\(([^,=]+)(?:=(\w+))?(?:,format=([\w-]+))?(,type=keyframes)?(?:,audiotrack=([\w.-]+))?\)$`)

// get answers a relative URI of a manifest as a streaming endpoint would.
func (a *asset) get(t *testing.T, rel string) []byte {
	t.Helper()
	m := uri.FindStringSubmatch(rel)
	if m == nil {
		t.Fatalf("URI %q has another form than AMS's", rel)
	}
	bitrate, _ := strconv.ParseInt(m[1], 10, 64)
	r, err := a.Rendition(m[3], bitrate)
	if err != nil {
		t.Fatal(err)
	}
	f, err := formats.Lookup(m[5])
	if err != nil {
		t.Fatal(err)
	}
	if f.Name == "m3u8-aapl-v3" {
		f = hls.Muxed(m[7])
	}
	if m[2] == "Manifest" {
		d, err := f.Playlist(a.Presentation, r, packager.Options{Keyframes: m[6] != ""})
		if err != nil {
			t.Fatal(err)
		}
		return d.Body
	}
	var s *packager.Segment
	if m[4] == "i" {
		s, err = f.Init(a.Presentation, r)
	} else {
		var time uint64
		if time, err = strconv.ParseUint(m[4], 10, 64); err == nil {
			s, err = f.Fragment(a.Presentation, r, time)
		}
	}
	if err != nil {
		t.Fatalf("%s: %v", rel, err)
	}
	var b bytes.Buffer
	if n, err := s.WriteTo(&b, a.open(t)); err != nil || n != s.Size || int64(b.Len()) != n {
		t.Fatalf("%s: wrote %d (%d) of %d bytes: %v", rel, n, b.Len(), s.Size, err)
	}
	return b.Bytes()
}

// A stream is one rendition as a player of a format would fetch it.
type stream struct {
	track    string
	bitrate  int64
	media    []byte    // init and all segments, in order
	segments []segment // as the manifest lists them
}

type segment struct {
	rel           string
	start, length float64 // seconds, as the manifest says
	size          int
}

func (a *asset) append(t *testing.T, s *stream, rel string, start, length float64) {
	t.Helper()
	b := a.get(t, rel)
	s.media = append(s.media, b...)
	s.segments = append(s.segments, segment{rel, start, length, len(b)})
}

func (a *asset) manifest(t *testing.T, format string, o packager.Options) []byte {
	t.Helper()
	f, err := formats.Lookup(format)
	if err != nil {
		t.Fatal(err)
	}
	d, err := f.Manifest(a.Presentation, o)
	if err != nil {
		t.Fatal(err)
	}
	return d.Body
}

// hls fetches every rendition that the multivariant playlist names.
func (a *asset) hls(t *testing.T, format string) []stream {
	var list []stream
	seen := map[string]bool{}
	master := string(a.manifest(t, format, packager.Options{}))
	for _, m := range regexp.MustCompile(`QualityLevels\([^"\n]*`).FindAllString(master, -1) {
		if seen[m] || strings.Contains(m, "type=keyframes") {
			continue
		}
		seen[m] = true
		parts := uri.FindStringSubmatch(m)
		bitrate, _ := strconv.ParseInt(parts[1], 10, 64)
		s := stream{track: parts[3], bitrate: bitrate}
		base := m[:strings.Index(m, "/")+1]
		at, length := 0.0, 0.0
		for line := range strings.Lines(string(a.get(t, m))) {
			line = strings.TrimSpace(line)
			if v, ok := strings.CutPrefix(line, "#EXTINF:"); ok {
				length, _ = strconv.ParseFloat(strings.TrimSuffix(v, ",no-desc"), 64)
			} else if v, ok := strings.CutPrefix(line, `#EXT-X-MAP:URI="`); ok {
				s.media = append(s.media, a.get(t, base+strings.TrimSuffix(v, `"`))...)
			} else if line != "" && line[0] != '#' {
				if len(s.segments) == 0 { // a late track has a late first segment
					ticks, _ := strconv.ParseFloat(uri.FindStringSubmatch(base + line)[4], 64)
					at = ticks / packager.Timescale
				}
				a.append(t, &s, base+line, at, length)
				at += length
			}
		}
		list = append(list, s)
	}
	return list
}

// dash fetches every Representation.
func (a *asset) dash(t *testing.T, format string) []stream {
	var mpd struct {
		Sets []struct {
			Template struct {
				Media    string `xml:"media,attr"`
				Init     string `xml:"initialization,attr"`
				Timeline []struct {
					T uint64 `xml:"t,attr"`
					D uint64 `xml:"d,attr"`
					R int    `xml:"r,attr"`
				} `xml:"SegmentTimeline>S"`
			} `xml:"SegmentTemplate"`
			Representations []struct {
				Bandwidth string `xml:"bandwidth,attr"`
			} `xml:"Representation"`
		} `xml:"Period>AdaptationSet"`
	}
	if err := xml.Unmarshal(a.manifest(t, format, packager.Options{}), &mpd); err != nil {
		t.Fatal(err)
	}
	var list []stream
	for _, set := range mpd.Sets {
		for _, r := range set.Representations {
			fill := func(s, time string) string {
				return strings.NewReplacer("$Bandwidth$", r.Bandwidth, "$Time$", time).Replace(s)
			}
			init := fill(set.Template.Init, "")
			parts := uri.FindStringSubmatch(init)
			bitrate, _ := strconv.ParseInt(r.Bandwidth, 10, 64)
			s := stream{track: parts[3], bitrate: bitrate, media: a.get(t, init)}
			at := uint64(0)
			for _, e := range set.Template.Timeline {
				at = max(at, e.T)
				for range e.R + 1 {
					a.append(t, &s, fill(set.Template.Media, fmt.Sprint(at)), float64(at)/1e7, float64(e.D)/1e7)
					at += e.D
				}
			}
			list = append(list, s)
		}
	}
	return list
}

// smooth fetches every QualityLevel. A client makes the init segment from the
// manifest; here it is the one of DASH with the time scale of Smooth.
func (a *asset) smooth(t *testing.T, format string) []stream {
	var m struct {
		Streams []struct {
			URL    string `xml:"Url,attr"`
			Chunks int    `xml:"Chunks,attr"`
			Levels []struct {
				Bitrate string `xml:"Bitrate,attr"`
			} `xml:"QualityLevel"`
			C []struct {
				T uint64 `xml:"t,attr"`
				D uint64 `xml:"d,attr"`
				R int    `xml:"r,attr"`
			} `xml:"c"`
		} `xml:"StreamIndex"`
	}
	if err := xml.Unmarshal(a.manifest(t, format, packager.Options{}), &m); err != nil {
		t.Fatal(err)
	}
	var list []stream
	for _, x := range m.Streams {
		for _, l := range x.Levels {
			fill := func(time string) string {
				return strings.NewReplacer("{bitrate}", l.Bitrate, "{start time}", time).Replace(x.URL)
			}
			parts := uri.FindStringSubmatch(fill("0"))
			bitrate, _ := strconv.ParseInt(l.Bitrate, 10, 64)
			r, err := a.Rendition(parts[3], bitrate)
			if err != nil {
				t.Fatal(err)
			}
			media := *r.Media
			media.Timescale, media.EditStart = 1e7, 0
			s := stream{track: parts[3], bitrate: bitrate, media: fmp4.Init(&media, fmp4.Smooth)}
			at := uint64(0)
			for _, c := range x.C {
				at = max(at, c.T)
				for range max(1, c.R) {
					a.append(t, &s, fill(fmt.Sprint(at)), float64(at)/1e7, float64(c.D)/1e7)
					at += c.D
				}
			}
			if len(s.segments) != x.Chunks {
				t.Errorf("%s: Chunks=%d, %d listed", parts[3], x.Chunks, len(s.segments))
			}
			list = append(list, s)
		}
	}
	return list
}

type packet struct {
	pts, dts, duration float64
	size               int
	key                bool
}

// packets asks ffprobe for the packets of a file's only stream of a kind.
func packets(t *testing.T, path string, kind mp4.Kind) []packet {
	t.Helper()
	selector := map[mp4.Kind]string{mp4.Video: "v:0", mp4.Audio: "a:0"}[kind]
	var stderr bytes.Buffer
	cmd := exec.Command("ffprobe", "-v", "warning", "-select_streams", selector, "-show_packets", "-of", "json", path)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ffprobe: %v: %s", err, &stderr)
	}
	if s := complaints(stderr.String()); s != "" {
		t.Errorf("ffprobe warns of %s: %s", filepath.Base(path), s)
	}
	var probe struct {
		Packets []struct {
			PTS      string `json:"pts_time"`
			DTS      string `json:"dts_time"`
			Duration string `json:"duration_time"`
			Size     string `json:"size"`
			Flags    string `json:"flags"`
		} `json:"packets"`
	}
	if err := json.Unmarshal(out, &probe); err != nil {
		t.Fatal(err)
	}
	var list []packet
	number := func(s string) float64 { v, _ := strconv.ParseFloat(s, 64); return v }
	for _, p := range probe.Packets {
		size, _ := strconv.Atoi(p.Size)
		list = append(list, packet{number(p.PTS), number(p.DTS), number(p.Duration), size, strings.HasPrefix(p.Flags, "K")})
	}
	return list
}

// complaints drops from the messages of ffmpeg those that tell of ffmpeg.
func complaints(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		// It does not expect sdtp in more than one fragment, though Smooth
		// files of its own have it, and says then that it said so twice.
		// Its output has a constant frame rate, even if nobody sees it.
		if !strings.Contains(line, "Duplicated SDTP") && !strings.Contains(line, "Last message repeated") && !strings.Contains(line, "dts to muxer") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// TestPlay fetches every segment of every rendition in every format and holds
// what ffprobe sees against the source file: the same access units at the same
// times, without gap or overlap, that decode without complaint.
func TestPlay(t *testing.T) {
	for _, tt := range assets {
		t.Run(tt.name, func(t *testing.T) {
			a := makeAsset(t, tt)
			for _, format := range []string{"m3u8-cmaf", "m3u8-aapl", "m3u8-aapl-v3", "mpd-time-csf", "mpd-time-cmaf", "", "fmp4-v20"} {
				t.Run("format="+format, func(t *testing.T) {
					var streams []stream
					switch {
					case strings.HasPrefix(format, "m3u8"):
						streams = a.hls(t, format)
					case strings.HasPrefix(format, "mpd"):
						streams = a.dash(t, format)
					default:
						streams = a.smooth(t, format)
					}
					want := 0
					for _, track := range a.Tracks {
						for _, r := range track.Renditions {
							if strings.HasPrefix(format, "m3u8") || strings.HasPrefix(format, "mpd") || r.Media.Codec != "ac-3" {
								want++
							}
							if format == "m3u8-aapl-v3" && track.Kind == mp4.Audio && track != a.Of(mp4.Audio)[0] {
								want-- // it has one audio track
							}
						}
					}
					if len(streams) != want {
						t.Errorf("%d renditions are listed, want %d", len(streams), want)
					}
					for _, s := range streams {
						a.check(t, format, s)
						if format == "m3u8-aapl-v3" {
							a.checkMuxed(t, s)
						}
					}
				})
			}
		})
	}
}

func (a *asset) check(t *testing.T, format string, s stream) {
	t.Helper()
	r, err := a.Rendition(s.track, s.bitrate)
	if err != nil {
		t.Fatal(err)
	}
	a.checkAgainst(t, format, s, packets(t, filepath.Join(a.dir, r.File), r.Media.Kind))
}

// checkMuxed holds the audio of a transport stream of video against the file that
// it comes from.
func (a *asset) checkMuxed(t *testing.T, s stream) {
	t.Helper()
	checkTransport(t, s.track, s)
	voices := a.Of(mp4.Audio)
	if s.track != "video" || len(voices) == 0 {
		return
	}
	r := voices[0].Renditions[0]
	path := filepath.Join(t.TempDir(), "muxed.ts")
	if err := os.WriteFile(path, s.media, 0o600); err != nil {
		t.Fatal(err)
	}
	got, want := packets(t, path, mp4.Audio), packets(t, filepath.Join(a.dir, r.File), mp4.Audio)
	if len(got) != len(want) {
		t.Errorf("%s: %d frames of audio, the source has %d", s.track, len(got), len(want))
		return
	}
	for i := range got {
		if d := got[i].pts - ts.Base/90000.0 - want[i].pts; math.Abs(d) > 2.0/90000+2e-6 {
			t.Errorf("%s: frame %d of audio plays at %.6f s, in the source at %.6f s", s.track, i, got[i].pts-ts.Base/90000.0, want[i].pts)
			return
		}
	}
	// Each segment has what plays with its pictures.
	at := 0
	for i, seg := range s.segments {
		if err := os.WriteFile(path, s.media[at:at+seg.size], 0o600); err != nil {
			t.Fatal(err)
		}
		at += seg.size
		frames := packets(t, path, mp4.Audio)
		if first := frames[0].pts - ts.Base/90000.0; i > 0 && (first < seg.start-0.001 || first > seg.start+0.1) {
			t.Errorf("%s: the audio of the segment of second %.3f starts at second %.3f", s.track, seg.start, first)
		}
	}
}

func (a *asset) checkAgainst(t *testing.T, format string, s stream, want []packet) {
	t.Helper()
	r, err := a.Rendition(s.track, s.bitrate)
	if err != nil {
		t.Fatal(err)
	}
	transport := strings.HasPrefix(format, "m3u8-aapl")
	ext := ".mp4"
	if transport {
		ext = ".ts"
	}
	path := filepath.Join(t.TempDir(), "played"+ext)
	if err := os.WriteFile(path, s.media, 0o600); err != nil {
		t.Fatal(err)
	}
	kind := r.Media.Kind
	got := packets(t, path, kind)
	lead := float64(r.Media.Lead()) / float64(r.Media.Timescale)
	if format == "" || format == "fmp4-v20" {
		// Frames that are not heard are left out: there is no edit list to say so.
		n := r.Unprimed().Fragments[0].First
		want = want[n:]
		lead -= float64(r.Media.Sample(n).DTS-r.Media.Sample(0).DTS) / float64(r.Media.Timescale)
		if kind == mp4.Audio && math.Abs(lead) > 0.011 {
			t.Errorf("%s: it is heard %.3f s late", s.track, lead)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: %d access units, the source has %d", s.track, len(got), len(want))
		return
	}
	// One tick of the coarsest scale involved, and what ffprobe rounds.
	tick := 1/float64(r.Media.Timescale) + 2e-6
	shift := 0.0
	switch {
	case transport:
		tick = 2.0/90000 + 2e-6
		shift = ts.Base / 90000.0
	case format == "" || format == "fmp4-v20":
		// Smooth has no edit list, and ffmpeg makes negative composition
		// offsets positive by moving the track.
		shift = lead
		for i := range r.Media.NumSamples() {
			shift = max(shift, float64(r.Media.FirstCTO-r.Media.Sample(i).CTO)/float64(r.Media.Timescale))
		}
	}
	// AAC frames that share a PES packet get their times from the parser of
	// the demuxer, which counts from the last time stamp.
	for i := range got {
		if d := got[i].pts - shift - want[i].pts; math.Abs(d) > tick {
			t.Errorf("%s: access unit %d plays at %.6f s, in the source at %.6f s", s.track, i, got[i].pts-shift, want[i].pts)
			break
		}
		if i > 0 {
			if d := (got[i].dts - got[i-1].dts) - (want[i].dts - want[i-1].dts); math.Abs(d) > tick {
				t.Errorf("%s: %.6f s from access unit %d to the next, %.6f s in the source", s.track, got[i].dts-got[i-1].dts, i-1, want[i].dts-want[i-1].dts)
				break
			}
		}
		if !transport && got[i].size != want[i].size {
			t.Errorf("%s: access unit %d has %d bytes, in the source %d", s.track, i, got[i].size, want[i].size)
			break
		}
		if got[i].key != want[i].key {
			t.Errorf("%s: access unit %d: key %v, in the source %v", s.track, i, got[i].key, want[i].key)
			break
		}
	}
	// What the manifest says of the whole must be what the media lasts.
	last := s.segments[len(s.segments)-1]
	end := last.start + last.length - lead
	mediaEnd := 0.0
	for _, p := range want {
		mediaEnd = max(mediaEnd, p.pts+p.duration)
	}
	if e := r.Media.EditEnd; e > 0 { // samples behind it are there, but not shown
		mediaEnd = min(mediaEnd, float64(e)/float64(r.Media.Timescale))
	}
	if d := end - mediaEnd; math.Abs(d) > want[len(want)-1].duration+tick {
		t.Errorf("%s: ends at %.6f s by the manifest, at %.6f s in the source", s.track, end, mediaEnd)
	}
	cmd := exec.Command("ffmpeg", "-v", "warning", "-xerror", "-i", path, "-f", "null", "-")
	if out, err := cmd.CombinedOutput(); err != nil || complaints(string(out)) != "" {
		t.Errorf("%s: does not decode cleanly: %v: %s", s.track, err, out)
	}
}
