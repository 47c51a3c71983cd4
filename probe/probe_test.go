package probe

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/openams/openams/packager/fmp4"
	"github.com/openams/openams/packager/mp4"
)

// TestPlaylistRules breaks rules of RFC 8216 one at a time.
func TestPlaylistRules(t *testing.T) {
	const head = "#EXTM3U\n#EXT-X-VERSION:7\n"
	const media = head + "#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:3\n#EXT-X-MAP:URI=\"i\"\n#EXTINF:6.0,\na\n#EXTINF:5.5,x\nb\n#EXT-X-ENDLIST\n"
	if m := parseMedia([]byte(media)); len(m.faults) > 0 || len(m.entries) != 2 || m.entries[1].number != 4 || !m.ended {
		t.Fatalf("%q: %+v", m.faults, m)
	}
	for _, tt := range [][3]string{
		{"#EXTM3U\n", "\n", "line 1"},
		{"#EXTM3U", "\ufeff#EXTM3U", "byte order mark"},
		{"VERSION:7", "VERSION:7\n#EXT-X-VERSION:7", "VERSION occurs"},
		{"#EXT-X-TARGETDURATION:6\n", "", "no EXT-X-TARGETDURATION"},
		{"#EXT-X-TARGETDURATION:6", "#EXT-X-TARGETDURATION:6.5", "TARGETDURATION"},
		{"#EXTINF:6.0", "#EXTINF:6.5", "lasts"},
		{"#EXTINF:6.0,\n", "", "without EXTINF"},
		{"#EXTINF:6.0,", "#EXTINF:6.0", "comma"},
		{"#EXTINF:6.0,", "#EXTINF:-1,", "EXTINF is"},
		{"VERSION:7", "VERSION:2", "needs 3"},
		{"\na\n", "\na \n", "white space"},
		{"\nb\n", "\n#EXT-X-MEDIA-SEQUENCE:1\nb\n", "after the first segment"},
		{"\nb\n", "\n#EXT-X-STREAM-INF:BANDWIDTH=1\nb\n", "in a media playlist"},
		{"\nb\n", "\n#EXT-X-KEY:METHOD=AES-128\nb\n", "no URI"},
		{"\nb\n", "\n#EXT-X-KEY:METHOD=NONE,URI=\"x\"\nb\n", "METHOD=NONE"},
		{"\nb\n", "\n#EXT-X-KEY:METHOD=AES-128,URI=\"x\",IV=0x12\nb\n", "128 bits"},
		{"\nb\n", "\n#EXT-X-KEY:METHOD=AES-128,URI=x\nb\n", "quoted"},
		{"\nb\n", "\n#EXT-X-BYTERANGE:5\nb\n", "does not follow"},
		{"\nb\n", "\n#EXT-X-BYTERANGE:x@1\nb\n", "BYTERANGE is"},
		{"URI=\"i\"", "URI=\"i\",URI=\"i\"", "twice"},
		{"URI=\"i\"", "URI=\"i", "closing quote"},
		{"#EXT-X-ENDLIST\n", "#EXTINF:1.0,\n", "no segment after it"},
		{"#EXT-X-TARGETDURATION:6\n", "#EXT-X-TARGETDURATION:6\n#EXT-X-PLAYLIST-TYPE:LIVE\n", "PLAYLIST-TYPE"},
	} {
		m := parseMedia([]byte(strings.Replace(media, tt[0], tt[1], 1)))
		if !strings.Contains(strings.Join(m.faults, "\n"), tt[2]) {
			t.Errorf("%q: %q, want %q", tt[1], m.faults, tt[2])
		}
	}
	const variants = head + `#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="one",DEFAULT=YES,AUTOSELECT=YES,URI="one"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="two",LANGUAGE="fr",AUTOSELECT=YES,URI="two"
#EXT-X-STREAM-INF:BANDWIDTH=100,CODECS="avc1.640028,mp4a.40.2",RESOLUTION=16x9,AUDIO="a",CLOSED-CAPTIONS=NONE
v1
#EXT-X-STREAM-INF:BANDWIDTH=200,CODECS="avc1.640028,mp4a.40.2",RESOLUTION=32x18,AUDIO="a",CLOSED-CAPTIONS=NONE
v2
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=20,CODECS="avc1.640028",RESOLUTION=16x9,URI="k1"
`
	read := func(s string) *multivariant {
		m := &multivariant{playlist: parsePlaylist([]byte(s)), base: &url.URL{Scheme: "http", Host: "h", Path: "/m"}, at: map[string]*stream{}, groups: map[string][]map[string]string{}}
		m.read()
		return m
	}
	if m := read(variants); len(m.faults)+len(m.warnings) > 0 || len(m.streams) != 5 {
		t.Fatalf("%q %q: %d streams", m.faults, m.warnings, len(m.streams))
	}
	for _, tt := range [][3]string{
		{"BANDWIDTH=100,", "", "BANDWIDTH"},
		{"RESOLUTION=16x9", "RESOLUTION=16:9", "RESOLUTION"},
		{"AUDIO=\"a\"", "AUDIO=\"b\"", "no group"},
		{",CLOSED-CAPTIONS=NONE", "", "CLOSED-CAPTIONS"},
		{"\nv1\n", "\n", "not followed"},
		{"NAME=\"two\"", "NAME=\"one\"", "name"},
		{"LANGUAGE=\"fr\",", "DEFAULT=YES,LANGUAGE=\"fr\",", "two defaults"},
		{"LANGUAGE=\"fr\",", "", "do not differ"},
		{",URI=\"k1\"", "", "no URI"},
		{"TYPE=AUDIO", "TYPE=SOUND", "TYPE"},
		{"GROUP-ID=\"a\",", "", "GROUP-ID"},
		{"DEFAULT=YES,AUTOSELECT=YES", "DEFAULT=YES,AUTOSELECT=NO", "AUTOSELECT=NO"},
		{"DEFAULT=YES", "FORCED=YES", "FORCED"},
		{"#EXT-X-VERSION:7\n", "#EXT-X-VERSION:3\n", "needs 4"},
		{"#EXT-X-VERSION:7\n", "#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:6\n", "tags of segments"},
	} {
		m := read(strings.Replace(variants, tt[0], tt[1], 1))
		if !strings.Contains(strings.Join(append(m.faults, m.warnings...), "\n"), tt[2]) {
			t.Errorf("%q: %q, want %q", tt[1], m.faults, tt[2])
		}
	}
}

func TestWebVTT(t *testing.T) {
	for text, says := range map[string]string{
		"WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000\n\n00:00.000 --> 00:05.000 line:1\nHi\n": "",
		"WEBVTT\n\n00:00.000 --> 00:05.000\nHi\n":                                                          "X-TIMESTAMP-MAP",
		"WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:9,LOCAL:0\n\n":                                                     "malformed",
		"SRT\n": "WEBVTT",
		"WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:9,LOCAL:00:00:00.000\n\n1 --> 2\nHi\n":             "times of a cue",
		"WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:9,LOCAL:00:00:00.000\n\n00:06.000 --> 00:05.000\n": "before it starts",
	} {
		err := webVTT([]byte(text), true)
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", text, err, says)
		}
	}
}

// TestSecrets looks for a token in what the probe says and asks.
func TestSecrets(t *testing.T) {
	const token = "very-secret-token"
	told := map[string]bool{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			told[r.URL.Path] = true
		}
		if r.URL.Path == "/m" {
			w.Write([]byte("#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXT-X-KEY:METHOD=AES-128,URI=\"key?token=" + token + "\"\n#EXTINF:6,\na?token=" + token + "\n#EXT-X-ENDLIST\n"))
			return
		}
		w.Write([]byte("0123456789abcdef"))
	}))
	defer srv.Close()
	r, err := Probe(t.Context(), srv.URL+"/m?x", Config{Token: token})
	if err != nil {
		t.Fatal(err)
	}
	if r.Faults() == 0 {
		t.Error("no fault of a segment that is none")
	}
	for _, p := range r.Problems {
		if strings.Contains(p.String(), token) {
			t.Errorf("a token in %q", p)
		}
	}
	if !told["/key"] || told["/a"] || told["/m"] {
		t.Errorf("the token went to %v", told)
	}
}

// A player of a forged MPD that lists segments for ever stops somewhere.
func TestBounds(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/m" {
			http.NotFound(w, r)
			return
		}
		w.Write([]byte(`<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="x" minBufferTime="PT1S" mediaPresentationDuration="PT1S"><Period>` +
			strings.Repeat(`<AdaptationSet mimeType="video/mp4"><SegmentTemplate media="$Time$" initialization="i"><SegmentTimeline><S d="1" r="9000000000000000000"/></SegmentTimeline></SegmentTemplate><Representation id="a" bandwidth="1"/></AdaptationSet>`, 100) + `</Period></MPD>`))
	}))
	defer srv.Close()
	r, err := Probe(t.Context(), srv.URL+"/m", Config{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Requests > 100*(2*maxFailures+2) || len(r.Problems) > maxProblems {
		t.Errorf("%d requests, %d problems", r.Requests, len(r.Problems))
	}
}

func FuzzProbe(f *testing.F) {
	init := fmp4.Init(&mp4.Track{ID: 1, Kind: mp4.Video, Codec: "avc1", Timescale: 90000, SampleEntry: make([]byte, 86)}, fmp4.CMAF)
	f.Add([]byte("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:6\n#EXT-X-MAP:URI=\"i\"\n#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"data:,\"\n#EXTINF:6,\na\n#EXT-X-ENDLIST\n"), init)
	f.Add([]byte("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"a\"\nm\n"), []byte("WEBVTT\n"))
	f.Add([]byte(`<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="x" minBufferTime="PT1S"><Period><AdaptationSet mimeType="video/mp4"><SegmentTemplate media="$Number%05d$" initialization="i" duration="1"/><Representation id="a" bandwidth="1"/></AdaptationSet></Period></MPD>`), append([]byte("\x00\x00\x00\x08moof"), 0, 0, 0, 8, 'm', 'd', 'a', 't'))
	f.Add([]byte(`<SmoothStreamingMedia MajorVersion="2" MinorVersion="2" Duration="9"><Protection><ProtectionHeader SystemID="9A04F079-9840-4286-AB92-E65BE0885F95">AAAA</ProtectionHeader></Protection><StreamIndex Type="video" Url="{bitrate}{start time}" QualityLevels="1"><QualityLevel Index="0" Bitrate="1" FourCC="H264" CodecPrivateData="0000000167"/><c d="9" r="3"/></StreamIndex></SmoothStreamingMedia>`), make([]byte, 188))
	f.Fuzz(func(t *testing.T, manifest, media []byte) {
		client := &http.Client{Transport: answers{manifest, media}}
		r, err := Probe(t.Context(), "http://h/m", Config{Client: client, MaxBytes: 4 << 20})
		if err == nil && len(r.Problems) > maxProblems {
			t.Errorf("%d problems", len(r.Problems))
		}
	})
}

// answers gives the manifest to the first request and media to all others.
type answers struct{ manifest, media []byte }

func (a answers) RoundTrip(req *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	if req.URL.Path == "/m" {
		w.Write(a.manifest)
	} else if req.Header.Get("Range") != "" {
		w.WriteHeader(http.StatusPartialContent)
		w.Write(a.media)
	} else {
		w.Write(a.media)
	}
	res := w.Result()
	res.Request = req
	return res, nil
}

func FuzzMedia(f *testing.F) {
	for _, kind := range []mp4.Kind{mp4.Video, mp4.Audio} {
		t := &mp4.Track{ID: 1, Kind: kind, Codec: "avc1", Timescale: 90000, SampleEntry: append([]byte{0, 0, 0, 86, 'a', 'v', 'c', '1'}, make([]byte, 78)...)}
		f.Add(fmp4.Init(t, fmp4.CMAF))
		samples := []mp4.Sample{{Size: 10, Dur: 3000, Sync: true}, {Size: 10, Dur: 3000, CTO: 5}}
		f.Add(append(fmp4.Header(t, mp4.Fragment{N: 2}, samples, 1, fmp4.CMAF), make([]byte, 20)...))
		f.Add(append(fmp4.Header(t, mp4.Fragment{N: 2}, samples, 1, fmp4.Smooth), make([]byte, 20)...))
	}
	packet := make([]byte, 376)
	copy(packet, "\x47\x40\x00\x10\x00\x00\xb0\x0d\x00\x01\xc1\x00\x00\x00\x01\xf0\x00\x2a\xb1\x04\xb2")
	copy(packet[188:], "\x47\x50\x00\x10\x00\x02\xb0\x17\x00\x01\xc1\x00\x00\xe1\x00\xf0\x00\x1b\xe1\x00\xf0\x00\x0f\xe1\x01\xf0\x00\x2f\x44\xb9\x9b")
	f.Add(packet)
	f.Fuzz(func(t *testing.T, b []byte) {
		if g, err := parseTS(b); err == nil {
			for _, e := range g.streams {
				_ = checkElementary(e)
			}
		}
		if init, err := parseInit(b); err == nil {
			_ = codecOf(init.track)
		}
		for _, codec := range []string{"avc1", "hvc1", "mp4a", "ac-3"} {
			x := &track{codec: codec, timescale: 1, enc: &encryption{scheme: "cbcs", crypt: 1, skip: 9, constant: make([]byte, 16)}}
			for _, in := range [][]byte{b, keyFrameOf(b)} {
				if frag, err := parseFragment(in, x, len(b)%2 == 0, 0); err == nil {
					_ = checkSamples(x, false, in, frag.samples, true)
					_ = openSamples(make([]byte, 16), x, in, frag.samples)
				}
			}
		}
	})
}
