package origin

import (
	"bytes"
	"net/http"
	"testing"
	"time"
)

// TestConditions asks for a manifest, a segment and a file on conditions that
// hold and that do not.
func TestConditions(t *testing.T) {
	s := newStage(t, nil)
	for _, path := range []string{
		"film.ism/manifest(format=m3u8-aapl)",
		"film.ism/QualityLevels(600000)/Fragments(video=0,format=mpd-time-cmaf)",
		"film.ism/QualityLevels(600000)/Fragments(video=0,format=m3u8-aapl)",
		"film_360.mp4",
	} {
		res, _ := s.do("HEAD", s.at(path))
		etag, modified := res.Header.Get("Etag"), res.Header.Get("Last-Modified")
		if etag == "" {
			t.Fatalf("%s: no entity tag", path)
		}
		type row struct {
			name, value string
			status      int
			asks        []ask
		}
		rows := []row{
			{"If-Match", etag, 200, nil},
			{"If-Match", `"other", ` + etag, 200, nil},
			{"If-Match", "*", 200, nil},
			{"If-Match", `"other"`, 412, nil},
			{"If-Match", "W/" + etag, 412, nil}, // strong comparison
			{"If-Match", etag, 304, []ask{header("If-None-Match", etag)}},
			{"If-Match", `"other"`, 412, []ask{header("If-None-Match", etag)}},
			{"If-Match", `"other"`, 412, []ask{header("Range", "bytes=0-3")}},
			{"If-None-Match", `"other"`, 200, nil},
			{"If-None-Match", "W/" + etag, 304, nil},
		}
		if modified != "" {
			old := time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)
			rows = append(rows,
				row{"If-Unmodified-Since", modified, 200, nil},
				row{"If-Unmodified-Since", old, 412, nil},
				row{"If-Unmodified-Since", old, 200, []ask{header("If-Match", etag)}},
				row{"If-Modified-Since", old, 200, nil},
				row{"If-Modified-Since", modified, 304, nil},
				row{"If-Modified-Since", modified, 200, []ask{header("If-None-Match", `"other"`)}},
			)
		}
		for _, tt := range rows {
			for _, method := range []string{"GET", "HEAD"} {
				res, body := s.do(method, s.at(path), append(tt.asks, header(tt.name, tt.value))...)
				if res.StatusCode != tt.status {
					t.Errorf("%s %s: %s: %s gives %s, want %d", method, path, tt.name, tt.value, res.Status, tt.status)
				}
				if tt.status == 412 && (res.Header.Get("X-Ms-Error-Code") != string(ConditionNotMet) || res.Header.Get("Cache-Control") != "no-store") {
					t.Errorf("%s: 412 with %v", path, res.Header)
				}
				if tt.status == 304 && len(body) > 0 {
					t.Errorf("%s: 304 with a body", path)
				}
			}
		}
	}
}

// TestPrefetch plays on by what a CDN is told of the next segment.
func TestPrefetch(t *testing.T) {
	s := newStage(t, nil)
	s.put("pairs.ism", bytes.Replace(media(t)["film.ism"], []byte("</head>"), []byte(`<meta name="fragmentsPerHLSSegment" content="2"/></head>`), 1))
	for path, segments := range map[string]int{
		"film.ism/QualityLevels(600000)/Fragments(video=0,format=mpd-time-cmaf)": 3,
		"film.ism/QualityLevels(600000)/Fragments(video%3D0,format%3Dm3u8-aapl)": 3,
		"pairs.ism/QualityLevels(600000)/Fragments(video=0,format=m3u8-aapl)":    2,
		"film.ism/QualityLevels(64000)/Fragments(audio_eng=0)":                   3,
		"film.ism/QualityLevels(64000)/fragments(format=m3u8-cmaf, audio_eng=0)": 3,
	} {
		const name = "CDN-Origin-Assist-Prefetch-Path"
		if res, _ := s.do("GET", s.at(path)); res.Header.Get(name) != "" {
			t.Errorf("%s: not asked and told %s", path, res.Header.Get(name))
		}
		n := 1
		for at := path; ; n++ {
			res, body := s.do("GET", s.at(at), header("CDN-Origin-Assist-Prefetch-Enabled", "1"))
			if res.StatusCode != 200 {
				t.Fatalf("%s: %s %s", at, res.Status, body)
			}
			next := res.Header.Get(name)
			if next == "" {
				break
			}
			u, err := res.Request.URL.Parse(next)
			if err != nil {
				t.Fatal(err)
			}
			if n > 10 || u.Path == res.Request.URL.Path {
				t.Fatalf("%s leads to %s", at, next)
			}
			at = u.EscapedPath()[len("/"+s.locator+"/"):]
		}
		if n != segments {
			t.Errorf("%s: %d segments in a row", path, n)
		}
	}
	if res, _ := s.do("GET", s.at("film.ism/QualityLevels(600000)/Fragments(video=5,format=mpd-time-cmaf)"), header("CDN-Origin-Assist-Prefetch-Enabled", "1")); res.StatusCode != 404 || res.Header.Get("CDN-Origin-Assist-Prefetch-Path") != "" {
		t.Errorf("a segment that is not there: %s %v", res.Status, res.Header)
	}
}
