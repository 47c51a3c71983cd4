package origin

import (
	"bytes"
	"compress/gzip"
	"encoding/xml"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/packager"
)

// Every form of manifest plays to its end over HTTP, in every spelling.
func TestPlay(t *testing.T) {
	s := newStage(t, nil)
	for _, path := range []string{
		"film.ism/manifest(format=m3u8-cmaf)",
		"film.ism/manifest(format=m3u8-aapl)",
		"film.ism/manifest(format=mpd-time-csf)",
		"film.ism/manifest(format=mpd-time-cmaf)",
		"film.ism/Manifest(Format=m3u8-CMAF).m3u8",
		"FILM.ISM/manifest%28format%3Dmpd-time-csf%29.mpd",
		"film.ism/manifest(format=m3u8-aapl,%20audio-only=false)?token=a%2Fb",
	} {
		args := []string{"-v", "error", "-count_packets", "-show_entries", "stream=codec_type,width,nb_read_packets", "-of", "csv=p=0", s.at(path)}
		if strings.Contains(strings.ToLower(path), "m3u8") {
			// Segment URLs of AMS have no extension, which ffmpeg took offence at in 2025.
			args = append([]string{"-allowed_extensions", "ALL", "-allowed_segment_extensions", "ALL", "-extension_picky", "0"}, args...)
		}
		out, err := exec.Command("ffprobe", args...).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v: %s", path, err, out)
			continue
		}
		lines := strings.Fields(string(out))
		var whole, audio bool
		for _, l := range lines {
			whole = whole || l == "video,640,325"
			if n, ok := strings.CutPrefix(l, "audio,"); ok {
				packets, _ := strconv.Atoi(n)
				audio = audio || packets >= 609 && packets <= 612 // 13 s of 1024 samples at 48 kHz
			}
		}
		if !whole || !audio {
			t.Errorf("%s: ffprobe read %q, want 325 pictures and 610 packets of audio", path, out)
		}
	}
}

// ffprobe knows no Smooth: follow its manifest by hand.
func TestSmooth(t *testing.T) {
	s := newStage(t, nil)
	for _, path := range []string{"film.ism/manifest", "film.ism/Manifest(format=fmp4-v20)"} {
		var m struct {
			Duration     int64 `xml:",attr"`
			TimeScale    int64 `xml:",attr"`
			StreamIndexs []struct {
				Type, Url     string `xml:",attr"`
				QualityLevels []struct {
					Bitrate string `xml:",attr"`
				} `xml:"QualityLevel"`
				C []struct {
					T string `xml:"t,attr"`
					D int64  `xml:"d,attr"`
					R int    `xml:"r,attr"`
				} `xml:"c"`
			} `xml:"StreamIndex"`
		}
		if err := xml.Unmarshal(s.get(path), &m); err != nil {
			t.Fatal(err)
		}
		if len(m.StreamIndexs) != 2 {
			t.Fatalf("%s: %d streams", path, len(m.StreamIndexs))
		}
		for _, x := range m.StreamIndexs {
			for _, q := range x.QualityLevels {
				at := int64(0)
				for _, c := range x.C {
					if c.T != "" {
						at, _ = strconv.ParseInt(c.T, 10, 64)
					}
					for range max(1, c.R) {
						u := strings.NewReplacer("{bitrate}", q.Bitrate, "{start time}", strconv.FormatInt(at, 10)).Replace(x.Url)
						if body := s.get("film.ism/" + u); !bytes.Contains(body[:64], []byte("moof")) {
							t.Errorf("%s: no fragment", u)
						}
						at += c.D
					}
				}
				if d := m.Duration - at; d < -1e6 || d > 1e6 {
					t.Errorf("%s: the fragments end at %d of %d", path, at, m.Duration)
				}
			}
		}
	}
}

var segments = []string{
	"film.ism/QualityLevels(600000)/Fragments(video=i,format=m3u8-cmaf)",
	"film.ism/QualityLevels(600000)/Fragments(video=60000000,format=m3u8-cmaf)",
	"film.ism/QualityLevels(600000)/Fragments(video=60000000,format=mpd-time-csf)",
	"film.ism/QualityLevels(600000)/Fragments(video=60000000)",
	"film.ism/QualityLevels(64000)/Fragments(audio_eng=0,format=mpd-time-cmaf)",
	"film.ism/QualityLevels(600000)/Fragments(video=0,format=m3u8-aapl)",
	"film.ism/QualityLevels(64000)/Fragments(audio_eng=0,format=m3u8-aapl)",
}

func TestRanges(t *testing.T) {
	s := newStage(t, nil)
	for _, path := range append([]string{"film_360.mp4", "captions.vtt"}, segments...) {
		res, whole := s.do("GET", s.at(path))
		if res.StatusCode != 200 {
			t.Errorf("%s: %s: %s", path, res.Status, whole)
			continue
		}
		etag, size := res.Header.Get("Etag"), len(whole)
		if head, body := s.do("HEAD", s.at(path)); len(body) > 0 || head.Header.Get("Etag") != etag || head.ContentLength != int64(size) || head.StatusCode != 200 {
			t.Errorf("%s: HEAD: %s, %v, body of %d bytes", path, head.Status, head.Header, len(body))
		}
		for _, tt := range []struct {
			value    string
			status   int
			from, to int
			asks     []ask
		}{
			{"bytes=0-0", 206, 0, 1, nil},
			{"bytes=5-", 206, 5, size, nil},
			{"bytes=-7", 206, size - 7, size, nil},
			{"bytes=-99999999", 206, 0, size, nil},
			{"bytes=3-99999999", 206, 3, size, nil},
			{"Bytes = 10-20", 206, 10, 21, nil},
			{"bytes=1-2,5-6", 200, 0, size, nil}, // several ranges: we may ignore them
			{"bytes=5-2", 200, 0, size, nil},
			{"lines=1-2", 200, 0, size, nil},
			{"bytes=a-b", 200, 0, size, nil},
			{"bytes=" + strconv.Itoa(size) + "-", 416, 0, 0, nil},
			{"bytes=-0", 416, 0, 0, nil},
			{"bytes=1-4", 206, 1, 5, []ask{header("If-Range", etag)}},
			{"bytes=1-4", 200, 0, size, []ask{header("If-Range", `"other"`)}},
			{"bytes=1-4", 200, 0, size, []ask{header("If-Range", "W/"+etag)}},
			{"bytes=1-4", 304, 0, 0, []ask{header("If-None-Match", etag)}},
		} {
			res, got := s.do("GET", s.at(path), append(tt.asks, header("Range", tt.value))...)
			if res.StatusCode != tt.status {
				t.Errorf("%s %q: %s, want %d", path, tt.value, res.Status, tt.status)
				continue
			}
			switch tt.status {
			case 200, 206:
				if !bytes.Equal(got, whole[tt.from:tt.to]) {
					t.Errorf("%s %q: %d other bytes, want [%d,%d)", path, tt.value, len(got), tt.from, tt.to)
				}
			case 416:
				if want := "bytes */" + strconv.Itoa(size); res.Header.Get("Content-Range") != want {
					t.Errorf("%s %q: Content-Range %q, want %q", path, tt.value, res.Header.Get("Content-Range"), want)
				}
			}
			if tt.status == 206 {
				if want := "bytes " + strconv.Itoa(tt.from) + "-" + strconv.Itoa(tt.to-1) + "/" + strconv.Itoa(size); res.Header.Get("Content-Range") != want {
					t.Errorf("%s %q: Content-Range %q, want %q", path, tt.value, res.Header.Get("Content-Range"), want)
				}
			}
		}
	}
	// The time of a file works too.
	res, _ := s.do("GET", s.at("film_360.mp4"))
	when := res.Header.Get("Last-Modified")
	if res, _ := s.do("GET", s.at("film_360.mp4"), header("If-Modified-Since", when)); res.StatusCode != 304 {
		t.Errorf("If-Modified-Since: %s", res.Status)
	}
	if res, body := s.do("GET", s.at("film_360.mp4"), header("Range", "bytes=4-7"), header("If-Range", when)); res.StatusCode != 206 || string(body) != "ftyp" {
		t.Errorf("If-Range by time: %s %q", res.Status, body)
	}
}

func TestHeaders(t *testing.T) {
	s := newStage(t, nil)
	for path, want := range map[string][2]string{
		"film.ism/manifest":                                                              {"text/xml", "public, max-age=60"},
		"film.ism/manifest(format=mpd-time-csf)":                                         {"application/dash+xml", "public, max-age=60"},
		"film.ism/manifest(format=m3u8-cmaf)":                                            {"application/vnd.apple.mpegurl", "public, max-age=60"},
		"film.ism/QualityLevels(600000)/Manifest(video,format=m3u8-cmaf)":                {"application/vnd.apple.mpegurl", "public, max-age=60"},
		"film.ism/QualityLevels(600000)/Manifest(video,format=m3u8-cmaf,type=keyframes)": {"application/vnd.apple.mpegurl", "public, max-age=60"},
		"film.ism/QualityLevels(600000)/Fragments(video=0,format=m3u8-cmaf)":             {"video/mp4", "public, max-age=259200, immutable"},
		"film.ism/QualityLevels(600000)/Fragments(video=0,format=m3u8-aapl)":             {"video/mp2t", "public, max-age=259200, immutable"},
		"film.ism/QualityLevels(64000)/Fragments(audio_eng=i,format=mpd-time-cmaf)":      {"audio/mp4", "public, max-age=259200, immutable"},
		"film_360.mp4": {"video/mp4", "public, max-age=3600"},
		"captions.vtt": {"text/vtt", "public, max-age=3600"},
		"page.html":    {"application/octet-stream", "public, max-age=3600"},
	} {
		res, body := s.do("GET", s.at(path))
		if res.StatusCode != 200 {
			t.Errorf("%s: %s %s", path, res.Status, body)
		}
		if got, _, _ := strings.Cut(res.Header.Get("Content-Type"), ";"); got != want[0] {
			t.Errorf("%s: Content-Type %q, want %q", path, got, want[0])
		}
		if got := res.Header.Get("Cache-Control"); got != want[1] {
			t.Errorf("%s: Cache-Control %q, want %q", path, got, want[1])
		}
		if !strings.Contains(res.Header.Get("Access-Control-Expose-Headers"), "Content-Range") {
			t.Errorf("%s: no Expose-Headers", path)
		}
		etag := res.Header.Get("Etag")
		if res, body := s.do("GET", s.at(path), header("If-None-Match", `"x", W/`+etag)); res.StatusCode != 304 || len(body) > 0 || res.Header.Get("Etag") != etag {
			t.Errorf("%s: If-None-Match: %s", path, res.Status)
		}
	}
	res, _ := s.do("OPTIONS", s.at("film.ism/manifest"), header("Origin", "https://player.example"), header("Access-Control-Request-Method", "GET"), header("Access-Control-Request-Headers", "range, authorization"))
	if res.StatusCode != 204 || res.Header.Get("Access-Control-Allow-Headers") != "range, authorization" || !strings.Contains(res.Header.Get("Access-Control-Allow-Methods"), "HEAD") {
		t.Errorf("preflight: %s %v", res.Status, res.Header)
	}
	if res, _ := s.do("POST", s.at("film.ism/manifest")); res.StatusCode != 405 || res.Header.Get("Allow") == "" {
		t.Errorf("POST: %s", res.Status)
	}
}

func TestGzip(t *testing.T) {
	s := newStage(t, nil)
	path := s.at("film.ism/manifest(format=m3u8-aapl)")
	plain, want := s.do("GET", path)
	res, body := s.do("GET", path, header("Accept-Encoding", "br, gzip;q=0.5"))
	if res.Header.Get("Content-Encoding") != "gzip" || res.Header.Get("Vary") != "Accept-Encoding" {
		t.Fatalf("headers %v", res.Header)
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(z)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes unpacked, want %d, %v", len(got), len(want), err)
	}
	if res.Header.Get("Etag") == plain.Header.Get("Etag") {
		t.Error("two encodings have one strong entity tag")
	}
	if res, _ := s.do("GET", path, header("Accept-Encoding", "gzip"), header("If-None-Match", res.Header.Get("Etag"))); res.StatusCode != 304 {
		t.Errorf("304 expected, %s", res.Status)
	}
	if res, _ := s.do("GET", path, header("Accept-Encoding", "gzip;q=0")); res.Header.Get("Content-Encoding") != "" {
		t.Error("gzip was refused and sent")
	}
}

func TestErrors(t *testing.T) {
	s := newStage(t, nil)
	for _, tt := range []struct {
		path   string
		status int
		code   string
		words  string
	}{
		{"film.ism/manifest(format=f4m-f4f)", 415, "MPE_OUTPUT_FORMAT_NOT_SUPPORTED", "f4m-f4f"},
		{"film.ism/manifest(format=m3u8-cmaf", 400, "MPE_BAD_URL_SYNTAX", "parenthesis"},
		{"film.ism/QualityLevels(1)/Other(video=0)", 400, "MPE_BAD_URL_SYNTAX", "Other"},
		{"other.ism/manifest", 404, "MPE_RESOURCE_NOT_FOUND", "other.ism film.ism"},
		{"film.ism/QualityLevels(7)/Fragments(video=0,format=m3u8-cmaf)", 404, "MPE_MANIFEST_MEDIA_ENTRY_NOT_FOUND", "7"},
		{"film.ism/QualityLevels(7)/Manifest(video,format=m3u8-cmaf)", 404, "MPE_MANIFEST_MEDIA_ENTRY_NOT_FOUND", "7"},
		{"film.ism/QualityLevels(600000)/Fragments(radio=0,format=m3u8-cmaf)", 404, "MPE_EGRESS_TRACK_NOT_FOUND", "radio audio_eng"},
		{"film.ism/QualityLevels(600000)/Fragments(video=123,format=m3u8-cmaf)", 404, "MPE_FRAGMENT_TIMESTAMP_NOT_FOUND", "123"},
		{"film.ism/QualityLevels(600000)/Fragments(video=i)", 400, "MPE_BAD_URL_SYNTAX", "init"},
		{"film.ism/manifest(format=m3u8-cmaf,filter=Short)", 404, "MPE_EGRESS_FILTER_NOT_FOUND", "Short"},
		{"film.ism/manifest(format=m3u8-cmaf,encryption=cenc)", 403, "MPE_ENC_ENCRYPTION_NOT_SET_IN_DELIVERY_POLICY", "cenc"},
		{"none.mp4", 404, "MPE_RESOURCE_NOT_FOUND", "none.mp4"},
	} {
		s.refused(tt.path, tt.status, tt.code, strings.Fields(tt.words)...)
	}
	locator := s.locator
	s.locator = s.publish("Predefined_ClearStreamingOnly")
	s.get("film.ism/manifest")
	s.refused("film_360.mp4", 403, "MPE_OUTPUT_FORMAT_BLOCKED", "Download")
	s.locator = s.publish("Predefined_DownloadOnly")
	s.get("film_360.mp4")
	s.refused("film.ism/manifest", 403, "MPE_OUTPUT_FORMAT_BLOCKED", "SmoothStreaming")
	s.refused("film.ism/manifest(format=mpd-time-csf)", 403, "MPE_OUTPUT_FORMAT_BLOCKED", "Dash")
	s.locator = locator[:35] + map[bool]string{true: "0", false: "1"}[locator[35] != '0']
	s.refused("film.ism/manifest", 404, "MPE_RESOURCE_NOT_FOUND", "locator")
	for _, path := range []string{"/", "/favicon.ico", "/x/y/z"} {
		if res, _ := s.do("GET", s.url+path); res.StatusCode != 404 {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
}

// What is wrong with an asset is said by name.
func TestBrokenAssets(t *testing.T) {
	s := newStage(t, nil)
	s.put("missing.ism", []byte(`<smil xmlns="http://www.w3.org/2001/SMIL20/Language"><body><switch><video src="gone.mp4"/></switch></body></smil>`))
	s.refused("missing.ism/manifest", 404, "MPE_STORAGE_RESOURCE_NOT_FOUND", "gone.mp4")
	s.put("bad.ism", []byte("not xml"))
	s.refused("bad.ism/manifest", 415, "MPE_INPUT_FORMAT_NOT_SUPPORTED", "bad.ism")
	s.put("bad.mp4", []byte("not an mp4 file at all, but some text instead of it"))
	s.put("bad2.ism", []byte(`<smil xmlns="http://www.w3.org/2001/SMIL20/Language"><body><switch><video src="bad.mp4"/></switch></body></smil>`))
	s.refused("bad2.ism/manifest", 415, "MPE_INPUT_FORMAT_NOT_SUPPORTED", "bad.mp4")
	opened := s.opened.Load()
	s.refused("bad2.ism/manifest", 415, "MPE_INPUT_FORMAT_NOT_SUPPORTED", "bad.mp4")
	if s.opened.Load() != opened {
		t.Error("a file that makes no presentation is read for each request")
	}
	s.remove("missing.ism")
	s.remove("bad.ism")
	s.remove("bad2.ism")
	s.remove("film.ism")
	s.refused("other.ism/manifest", 404, "MPE_RESOURCE_NOT_FOUND", "other.ism", "film_180.mp4")
}

// Policies that ask for encryption never get clear media.
func TestPermit(t *testing.T) {
	multi := &ams.StreamingPolicy{Name: "multi", Protocols: map[ams.Scheme][]ams.Protocol{
		ams.Envelope: {ams.HLS, ams.DASH}, ams.CENC: {ams.DASH}, ams.NoEncryption: {ams.SmoothStreaming, ams.Download},
	}}
	for _, tt := range []struct {
		q    Request
		code packager.Code
		then Encryption
	}{
		{Request{Kind: Manifest}, "", Clear},
		{Request{Kind: File}, "", Clear},
		{Request{Kind: Media, Encryption: CENC}, EncryptionNotInPolicy, CENC},
		{Request{Kind: Manifest, Format: HLSCMAF}, EncryptionNotSpecified, Clear},
		{Request{Kind: Manifest, Format: HLSv4}, "", CBC},
		{Request{Kind: Media, Format: HLSv4}, "", CBC},
		{Request{Kind: Media, Format: HLSv4, Encryption: CBC}, "", CBC},
		{Request{Kind: Media, Format: HLSv4, Encryption: CBCS}, EncryptionNotInPolicy, CBCS},
		{Request{Kind: Manifest, Format: DASHCSF}, EncryptionNotSpecified, Clear},
		{Request{Kind: Manifest, Format: DASHCSF, Encryption: CENC}, "", CENC},
	} {
		if err := permit(multi, &tt.q); packager.CodeOf(err) != tt.code || tt.q.Encryption != tt.then {
			t.Errorf("%+v: %v, want %q", tt.q, err, tt.code)
		}
	}
	files := &ams.StreamingPolicy{Protocols: map[ams.Scheme][]ams.Protocol{ams.Envelope: {ams.Download}}}
	if err := permit(files, &Request{Kind: File}); packager.CodeOf(err) != OutputFormatBlocked {
		t.Errorf("a file that should be encrypted: %v", err)
	}
}

// A playlist's URIs all exist, byte ranges included.
func TestPlaylistsLeadSomewhere(t *testing.T) {
	s := newStage(t, nil)
	uri := regexp.MustCompile(`URI="([^"]+)"`)
	seen := map[string]bool{}
	var follow func(base, path string)
	follow = func(base, path string) {
		if seen[path] {
			return
		}
		seen[path] = true
		body := string(s.get(base + path))
		if !strings.HasPrefix(body, "#EXTM3U") {
			return
		}
		dir := ""
		if i := strings.LastIndex(path, "/"); i >= 0 {
			dir = path[:i+1]
		}
		for line := range strings.Lines(body) {
			line = strings.TrimSpace(line)
			if m := uri.FindStringSubmatch(line); m != nil {
				follow(base, dir+m[1])
			} else if line != "" && !strings.HasPrefix(line, "#") {
				follow(base, dir+line)
			}
		}
	}
	follow("film.ism/", "manifest(format=m3u8-cmaf)")
	cmaf := len(seen)
	follow("film.ism/", "manifest(format=m3u8-aapl)")
	if cmaf < 12 || len(seen)-cmaf < 9 {
		t.Errorf("only %d and %d URIs were found", cmaf, len(seen)-cmaf)
	}
}

func TestForeignIndexIsKept(t *testing.T) {
	s := newStage(t, func(c *Config) { c.IndexDir = filepath.Join(c.IndexDir, "deep") })
	s.put("film_360_1.mpi", []byte("AMS's own")) // opaque, ignored
	s.put("film_360.mp4.mpi", []byte("oamsidx1 but damaged"))
	s.get("film.ism/manifest")
	kept, _ := filepath.Glob(filepath.Join(s.indexDir, "deep", "*.idx"))
	if len(kept) != 2 {
		t.Fatalf("%d indexes were kept, want 2", len(kept))
	}
	// A handler that starts later reads them, or builds them again.
	for _, name := range kept {
		if err := os.WriteFile(name, []byte("oamsidx1"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	again := New(Config{Locators: s.handler.c.Locators, Blobs: s.handler.c.Blobs, IndexDir: s.handler.c.IndexDir, Log: s.handler.c.Log})
	defer again.Close()
	if _, err := again.titles.open(t.Context(), s.asset, "film.ism", false, nil, ""); err != nil {
		t.Fatal(err)
	}
	for _, name := range kept {
		if info, err := os.Stat(name); err != nil || info.Size() < 100 {
			t.Errorf("%s was not built again: %v", name, err)
		}
	}
	s.opened.Store(0)
	third := New(Config{Locators: s.handler.c.Locators, Blobs: s.handler.c.Blobs, IndexDir: s.handler.c.IndexDir, Log: s.handler.c.Log})
	defer third.Close()
	if _, err := third.titles.open(t.Context(), s.asset, "film.ism", false, nil, ""); err != nil {
		t.Fatal(err)
	}
	if n := s.opened.Load(); n > 2 { // the .ism and the damaged .mpi
		t.Errorf("%d blobs were opened although indexes were kept", n)
	}
}

func TestIndexDiskIsBounded(t *testing.T) {
	x := newShelf(t.TempDir(), 100)
	for i := range 20 {
		if err := x.keep(x.path(strconv.Itoa(i)+".idx"), 30, writing(make([]byte, 30))); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.keep(x.path("huge.idx"), 101, writing(make([]byte, 101))); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(x.dir)
	if err != nil || len(left) != 3 {
		t.Errorf("%d files are left, want 3, %v", len(left), err)
	}
	if _, err := os.Stat(filepath.Join(x.dir, "19.idx")); err != nil {
		t.Error("the newest is gone")
	}
}

// The encoder's index beside the file is used, and saves reading the file.
func TestEncodersIndex(t *testing.T) {
	s := newStage(t, nil)
	for _, name := range []string{"film_180.mp4", "film_360.mp4"} {
		s.put(name+".mpi", index(t, media(t)[name]))
	}
	s.get("film.ism/manifest")
	if kept, _ := filepath.Glob(filepath.Join(s.indexDir, "*.idx")); len(kept) != 0 {
		t.Errorf("%d indexes were built in spite of the encoder's", len(kept))
	}
	if n := s.opened.Load(); n != 3 {
		t.Errorf("%d blobs were opened, want the .ism and two indexes", n)
	}
	s.get("film.ism/QualityLevels(600000)/Fragments(video=0)")
}

// An index that was forged costs its owner an error, not the server its memory.
func TestCheck(t *testing.T) {
	p := &presentation{files: map[string]source{"a": {size: 1000}}}
	made := func(dst, media []byte) ([]byte, error) { return dst, nil }
	many := make([]packager.Extent, 1<<20)
	for i := range many {
		many[i] = packager.Extent{File: "a", Length: 1000}
	}
	for i, tt := range []struct {
		s  packager.Segment
		ok bool
	}{
		{packager.Segment{Size: 1010, Extents: []packager.Extent{{File: "a", Length: 1000}}}, true},
		{packager.Segment{Size: 1010, Extents: []packager.Extent{{File: "a", Offset: 1, Length: 1000}}}, false},
		{packager.Segment{Size: 1010, Extents: []packager.Extent{{File: "a", Offset: 1 << 62, Length: 1 << 62}}}, false},
		{packager.Segment{Size: 1010, Extents: []packager.Extent{{File: "a", Offset: -1, Length: 1}}}, false},
		{packager.Segment{Size: 1010, Extents: []packager.Extent{{File: "a", Length: -1}}}, false},
		{packager.Segment{Size: 1010, Extents: []packager.Extent{{File: "b", Length: 1}}}, false},
		{packager.Segment{Size: 1010, Transform: made, Extents: []packager.Extent{{File: "a", Length: 1000}}}, true},
		{packager.Segment{Size: 2*maxMade + 1, Transform: made}, false},
		{packager.Segment{Size: 1010, Transform: made, Extents: many}, false},
	} {
		if _, err := check(&tt.s, p); (err == nil) != tt.ok {
			t.Errorf("case %d: %v, want ok %v", i, err, tt.ok)
		}
	}
}

// What a Range says never leads outside of the bytes.
func FuzzParseRange(f *testing.F) {
	for _, s := range []string{"bytes=0-0", "bytes=-5", "bytes=9-", "bytes=5-2", "lines=1-2", "bytes=1-2,3-4"} {
		f.Add(s, int64(10))
	}
	f.Fuzz(func(t *testing.T, s string, size int64) {
		if size < 0 {
			return
		}
		off, n, ok := parseRange(s, size)
		if ok && n >= 0 && (off < 0 || n == 0 || off > size-n) {
			t.Fatalf("%q of %d: %d bytes from %d", s, size, n, off)
		}
	})
}

func TestObserve(t *testing.T) {
	seen := make(chan Observation, 10)
	s := newStage(t, func(c *Config) { c.Observe = func(o Observation) { seen <- o } })
	for _, tt := range []struct {
		path string
		want Observation
	}{
		{"film.ism/manifest(format=mpd-time-csf)", Observation{Kind: Manifest, Format: "dash", Status: 200}},
		{"film.ism/QualityLevels(600000)/Fragments(video=0,format=m3u8-aapl)", Observation{Kind: Media, Format: "hls_ts", Status: 200}},
		{"film.ism/QualityLevels(600000)/Fragments(video=0)", Observation{Kind: Media, Format: "smooth", Status: 200}},
		{"film_180.mp4", Observation{Kind: File, Format: "download", Status: 200}},
		{"film.ism/bad", Observation{Format: "none", Status: 400, Code: packager.BadURLSyntax}},
	} {
		_, body := s.do("GET", s.at(tt.path))
		tt.want.Bytes = int64(len(body))
		if got := <-seen; got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.path, got, tt.want)
		}
	}
}

var _ http.Handler = (*Handler)(nil)
