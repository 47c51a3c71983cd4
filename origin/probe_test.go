package origin

import (
	"bytes"
	"encoding/hex"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/openams/openams/probe"
)

// probed plays a manifest below the locator and wants no problem.
func (s *stage) probed(path string, c probe.Config) *probe.Report {
	s.Helper()
	r := s.played(path, c)
	for _, p := range r.Problems {
		if p.Warning {
			s.Errorf("%s: %s", path, p)
		}
	}
	return r
}

// played is probed where warnings are no wonder: tiny clips have bit rates that
// their headers outweigh.
func (s *stage) played(path string, c probe.Config) *probe.Report {
	s.Helper()
	r, err := probe.Probe(s.Context(), s.at(path), c)
	if err != nil {
		s.Fatalf("%s: %v", path, err)
	}
	for _, p := range r.Problems {
		if !p.Warning {
			s.Errorf("%s: %s", path, p)
		}
	}
	if len(r.Streams) == 0 {
		s.Errorf("%s: no streams", path)
	}
	for _, x := range r.Streams {
		if x.Segments == 0 || x.Bytes == 0 || x.Peak < x.Average || x.Peak == 0 && x.Kind != "text" {
			s.Errorf("%s: %+v", path, *x)
		}
	}
	return r
}

var everyFormat = []string{"", "format=fmp4-v20", "format=m3u8-cmaf", "format=m3u8-aapl", "format=mpd-time-csf", "format=mpd-time-cmaf"}

// muxedFormat has one audio track, muxed into the video, and no text.
const muxedFormat = "format=m3u8-aapl-v3"

func manifestOf(keys ...string) string {
	return "film.ism/manifest(" + strings.Trim(strings.Join(keys, ","), ",") + ")"
}

func TestProbe(t *testing.T) {
	s := newStage(t, nil)
	for _, f := range append(slices.Clone(everyFormat), muxedFormat) {
		r := s.probed(manifestOf(f), probe.Config{})
		for _, x := range r.Streams {
			if length := x.End - x.Start; length < 11.9 || length > 13.1 || x.Segments != 3 {
				t.Errorf("%s: %+v", f, *x)
			}
		}
	}
}

// A tamper stands between the probe and the server.
type tamper func(req *http.Request, res *http.Response, body []byte) []byte

func (f tamper) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil {
		return nil, err
	}
	body = f(req, res, body)
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return res, nil
}

// keyServer answers for the key delivery that manifests name.
func keyServer(value []byte) tamper {
	return func(req *http.Request, res *http.Response, body []byte) []byte {
		if strings.HasPrefix(req.URL.Path, "/keys") {
			res.StatusCode = 200
			return value
		}
		return body
	}
}

func TestProbeProtected(t *testing.T) {
	s, _, guarded := newShielded(t, everything, allKeys()...)
	key := func(value []byte) map[string][]byte {
		return map[string][]byte{strings.ReplaceAll(kidVideo, "-", ""): value}
	}
	wrong := []byte("another key 1234")
	// The clear bytes that reach a decoder are those of the clear stream.
	saved := func(keys ...string) (probe.Config, map[string][]byte) {
		var mu sync.Mutex
		all := map[string][]byte{}
		return probe.Config{Keys: key(valueVideo), Client: &http.Client{Transport: keyServer(valueVideo)}, Save: func(name string, b []byte) error {
			mu.Lock()
			defer mu.Unlock()
			all[name] = append(all[name], b...)
			return nil
		}}, all
	}
	c, clear := saved()
	s.probed(manifestOf("format=m3u8-cmaf"), c)
	c, clearTS := saved()
	s.probed(manifestOf("format=m3u8-aapl"), c)
	for _, tt := range []struct {
		format, scheme string
	}{
		{"", "cbc"}, {"format=m3u8-aapl", "cbc"}, {muxedFormat, "cbc"}, {"format=m3u8-cmaf", "cbc"}, {"format=mpd-time-csf", "cbc"}, {"format=mpd-time-cmaf", "cbc"},
		{"", "cenc"}, {"", "piff"}, {"format=fmp4-v20", "cenc"}, {"format=m3u8-cmaf", "cenc"}, {"format=mpd-time-csf", "cenc"}, {"format=mpd-time-cmaf", "cenc"},
		{"format=m3u8-cmaf", "cbcs-aapl"}, {"format=m3u8-aapl", "cbcs-aapl"}, {muxedFormat, "cbcs-aapl"}, {"format=mpd-time-csf", "cbcs-aapl"}, {"format=mpd-time-cmaf", "cbcs-aapl"},
	} {
		path := manifestOf(tt.format, "encryption="+tt.scheme)
		s.under(guarded, func() {
			c, got := saved()
			r := s.probed(path, c)
			for _, x := range r.Streams {
				if want := map[string]string{"cbc": "AES-128", "cbcs-aapl": "cbcs"}[tt.scheme]; x.Scheme != want && (want != "" || x.Scheme != "cenc") {
					t.Errorf("%s: %s is encrypted by %q", path, x.Name, x.Scheme)
				}
			}
			switch path {
			case manifestOf("format=m3u8-aapl", "encryption=cbc"):
				for _, name := range []string{"audio audio_eng"} {
					if !bytes.Equal(got[name], clearTS[name]) {
						t.Errorf("%s: %s: decrypted, %d bytes are not the %d clear ones", path, name, len(got[name]), len(clearTS[name]))
					}
				}
			case manifestOf("format=m3u8-cmaf", "encryption=cenc"):
				const name = "audio audio_eng"
				if n := len(clear[name]); n == 0 || !bytes.Contains(got[name], clear[name][n-5000:]) {
					t.Errorf("%s: %s: decrypted, the last frames are not the clear ones", path, name)
				}
			}
			if strings.Contains(tt.format, "aapl") && tt.scheme == "cbcs-aapl" {
				return // it sees what is clear alone
			}
			bad, err := probe.Probe(t.Context(), s.at(path), probe.Config{Keys: key(wrong), Client: &http.Client{Transport: keyServer(wrong)}})
			if err != nil {
				t.Fatal(err)
			}
			if bad.Faults() == 0 {
				t.Errorf("%s: another key goes unnoticed", path)
			}
			for _, p := range bad.Problems {
				if strings.Contains(p.String(), hex.EncodeToString(wrong)) {
					t.Errorf("the report tells a key: %s", p)
				}
			}
		})
	}
	s.under(guarded, func() { // without a key, what can be seen is checked
		r, err := probe.Probe(t.Context(), s.at(manifestOf("format=m3u8-cmaf", "encryption=cenc")), probe.Config{})
		if err != nil || r.Faults() > 0 || len(r.Problems) != len(r.Streams) {
			t.Errorf("without keys: %v, %v", r.Problems, err)
		}
	})
}

// TestProbeFinds damages what the server sends, one thing at a time.
func TestProbeFinds(t *testing.T) {
	s := newStage(t, nil)
	replace := func(in, old, new string) tamper {
		return func(req *http.Request, _ *http.Response, b []byte) []byte {
			if strings.Contains(req.URL.Path, in) {
				return bytes.ReplaceAll(b, []byte(old), []byte(new))
			}
			return b
		}
	}
	// change gets the segment or playlist whose path holds in, and its bytes.
	change := func(in string, f func(b []byte) []byte) tamper {
		return func(req *http.Request, _ *http.Response, b []byte) []byte {
			if strings.Contains(req.URL.Path, in) && req.Header.Get("Range") == "" {
				return f(bytes.Clone(b))
			}
			return b
		}
	}
	other := func(in, by string) tamper { // another segment in the place of one
		var mu sync.Mutex
		return func(req *http.Request, _ *http.Response, b []byte) []byte {
			if strings.Contains(req.URL.Path, in) {
				mu.Lock()
				defer mu.Unlock()
				_, b = s.do("GET", strings.Replace(req.URL.String(), in, by, 1))
			}
			return b
		}
	}
	for _, tt := range []struct {
		what, format string
		do           tamper
		says         string
	}{
		{"a missing segment", "format=m3u8-cmaf", func(req *http.Request, res *http.Response, b []byte) []byte {
			if strings.Contains(req.URL.Path, "video=60000000") {
				res.StatusCode = 404
			}
			return b
		}, "404"},
		{"a repeated segment", "format=m3u8-cmaf", other("video=60000000", "video=0"), "decoded"},
		{"a repeated TS segment", "format=m3u8-aapl", other("video=60000000", "video=0"), "decoded"},
		{"a repeated Smooth fragment", "", other("video=120000000", "video=0"), "lasts"},
		{"a repeated DASH segment", "format=mpd-time-csf", other("audio_eng=60160000", "audio_eng=0"), "decoded"},
		{"a cut segment", "format=mpd-time-cmaf", change("video=0", func(b []byte) []byte { return b[:len(b)-100] }), "mdat"},
		{"a cut TS segment", "format=m3u8-aapl", change("video=0", func(b []byte) []byte { return b[:len(b)-100] }), "packets"},
		{"a lost TS packet", "format=m3u8-aapl", change("video=0", func(b []byte) []byte { return append(b[:188*30], b[188*31:]...) }), "continuity counter"},
		{"a damaged PMT", "format=m3u8-aapl", change("video=0", func(b []byte) []byte { b[188+4+1+14] ^= 1; return b }), "PMT"},
		{"a false NAL length", "format=m3u8-cmaf", change("video=0", func(b []byte) []byte { b[bytes.Index(b, []byte("mdat"))+4] ^= 1; return b }), "NAL unit"},
		{"a low BANDWIDTH", "format=m3u8-cmaf", replace("manifest(", "#EXT-X-STREAM-INF:BANDWIDTH=72", "#EXT-X-STREAM-INF:BANDWIDTH=22"), "peak"},
		{"a low AVERAGE-BANDWIDTH", "format=m3u8-cmaf", replace("manifest(", "AVERAGE-BANDWIDTH=68", "AVERAGE-BANDWIDTH=28"), "average"},
		{"a low target duration", "format=m3u8-cmaf", replace("Manifest(", "TARGETDURATION:6", "TARGETDURATION:5"), "TARGETDURATION"},
		{"no end", "format=m3u8-aapl", replace("Manifest(", "#EXT-X-ENDLIST\n", ""), "ENDLIST"},
		{"a false EXTINF", "format=m3u8-aapl", replace("Manifest(", "EXTINF:6.000000", "EXTINF:5.500000"), "segment 1 starts"},
		{"another codec", "format=m3u8-cmaf", replace("manifest(", "avc1.4d401e", "avc1.640028"), "codec"},
		{"a version too low", "format=m3u8-cmaf", replace("Manifest(", "VERSION:7", "VERSION:4"), "needs 6"},
		{"an unknown group", "format=m3u8-cmaf", replace("manifest(", `AUDIO="audio"`, `AUDIO="radio"`), "no group"},
		{"no EXTM3U", "format=m3u8-cmaf", replace("Manifest(", "#EXTM3U\n", ""), "EXTM3U"},
		{"a false range", "format=m3u8-cmaf", change("type=keyframes", func(b []byte) []byte { return bytes.Replace(b, []byte("BYTERANGE:1"), []byte("BYTERANGE:"), -1) }), "segment"},
		{"a wrong order", "format=mpd-time-csf", change("manifest(", func(b []byte) []byte {
			label := []byte("      <Label>audio_eng</Label>\n")
			b = bytes.Replace(b, label, nil, 1)
			return bytes.Replace(b, []byte("      <Representation id=\"5"), append(label, "      <Representation id=\"5"...), 1)
		}), "order"},
		{"no bandwidth", "format=mpd-time-csf", replace("manifest(", ` bandwidth="64000"`, ""), "no attribute bandwidth"},
		{"an unknown attribute", "format=mpd-time-csf", replace("manifest(", ` group="1"`, ` grup="1"`), "grup"},
		{"a double id", "format=mpd-time-csf", replace("manifest(", "1_V_video_2", "1_V_video_1"), "id"},
		{"another size", "format=mpd-time-csf", replace("manifest(", ` height="360"`, ` height="368"`), "640x360"},
		{"an early end", "format=mpd-time-csf", replace("manifest(", "PT13", "PT12"), "presentation at"},
		{"a false number of chunks", "", replace("manifest", `Chunks="3"`, `Chunks="4"`), "Chunks"},
		{"no CodecPrivateData", "", replace("manifest", "CodecPrivateData", "PrivateData"), "CodecPrivateData"},
		{"a wrong Content-Type", "format=m3u8-aapl", func(req *http.Request, res *http.Response, b []byte) []byte {
			if strings.Contains(req.URL.Path, "Fragments") {
				res.Header.Set("Content-Type", "text/plain")
			}
			return b
		}, "text/plain"},
	} {
		t.Run(tt.what, func(t *testing.T) {
			r, err := probe.Probe(t.Context(), s.at(manifestOf(tt.format)), probe.Config{Client: &http.Client{Transport: tt.do}})
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, p := range r.Problems {
				found = found || strings.Contains(p.Text, tt.says)
			}
			if !found {
				t.Errorf("nothing says %q: %v", tt.says, r.Problems)
			}
		})
	}
}

// A player gets what the account's policy allows, through the probe too.
func TestProbeRefused(t *testing.T) {
	s := newStage(t, nil)
	s.locator = s.publish("Predefined_DownloadOnly")
	if _, err := probe.Probe(t.Context(), s.at("film.ism/manifest"), probe.Config{}); err == nil || !strings.Contains(err.Error(), "MPE_OUTPUT_FORMAT_BLOCKED") {
		t.Errorf("a refused manifest: %v", err)
	}
	if _, err := probe.Probe(t.Context(), s.at("film.ism/QualityLevels(1)"), probe.Config{}); err == nil {
		t.Error("an error page is no manifest")
	}
}
