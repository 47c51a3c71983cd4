package origin

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/packager/ism"
)

// shapes are the URLs below a locator in the spelling of the manifests.
var shapes = []string{
	"film.ism/manifest",
	"film.ism/manifest(format=fmp4-v20)",
	"film.ism/manifest(format=m3u8-aapl)",
	"film.ism/manifest(format=m3u8-aapl-v3)",
	"film.ism/manifest(format=m3u8-cmaf)",
	"film.ism/manifest(format=mpd-time-csf)",
	"film.ism/manifest(format=mpd-time-cmaf)",
	"film.ism/manifest(format=m3u8-aapl,audio-only=false)",
	"film.ism/manifest(format=m3u8-aapl,filter=Low)",
	"film.ism/manifest(format=m3u8-aapl-v3,audiotrack=audio_eng)",
	"film.ism/manifest(video,format=m3u8-aapl-v3,audiotrack=audio_eng)",
	"film.ism/manifest(video,format=m3u8-cmaf)",
	"film.ism/QualityLevels(600000)/Manifest(video,format=m3u8-cmaf)",
	"film.ism/QualityLevels(600000)/Manifest(video,format=m3u8-cmaf,type=keyframes)",
	"film.ism/QualityLevels(150000)/Manifest(video,format=m3u8-aapl,filter=Low)",
	"film.ism/QualityLevels(600000)/Manifest(video,format=m3u8-aapl,type=keyframes)",
	"film.ism/QualityLevels(600000)/Manifest(video,format=m3u8-aapl-v3,audiotrack=audio_eng)",
	"film.ism/QualityLevels(64000)/Manifest(audio_eng,format=m3u8-aapl)",
	"film.ism/QualityLevels(52)/Manifest(subt_en-us,format=m3u8-cmaf)",
	"film.ism/QualityLevels(600000)/Fragments(video=60000000)",
	"film.ism/QualityLevels(64000)/Fragments(audio_eng=60160000)",
	"film.ism/QualityLevels(52)/Fragments(subt_en-us=60000000)",
	"film.ism/QualityLevels(600000)/Fragments(video=i,format=mpd-time-csf)",
	"film.ism/QualityLevels(600000)/Fragments(video=60000000,format=mpd-time-csf)",
	"film.ism/QualityLevels(64000)/Fragments(audio_eng=i,format=mpd-time-cmaf)",
	"film.ism/QualityLevels(64000)/Fragments(audio_eng=60160000,format=mpd-time-cmaf)",
	"film.ism/QualityLevels(52)/Fragments(subt_en-us=i,format=mpd-time-cmaf)",
	"film.ism/QualityLevels(52)/Fragments(subt_en-us=60000000,format=mpd-time-cmaf)",
	"film.ism/QualityLevels(600000)/Fragments(video=i,format=m3u8-cmaf)",
	"film.ism/QualityLevels(600000)/Fragments(video=60000000,format=m3u8-cmaf)",
	"film.ism/QualityLevels(600000)/Fragments(video=60000000,format=m3u8-aapl)",
	"film.ism/QualityLevels(64000)/Fragments(audio_eng=60160000,format=m3u8-aapl)",
	"film.ism/QualityLevels(52)/Fragments(subt_en-us=60000000,format=m3u8-aapl)",
	"film.ism/QualityLevels(600000)/Fragments(video=60000000,format=m3u8-aapl-v3,audiotrack=audio_eng)",
}

// TestEverySpelling asks for all shapes of URLs in all the ways in which clients
// were seen to write them, and gets the same bytes.
func TestEverySpelling(t *testing.T) {
	s := newStage(t, nil)
	m, err := ism.Parse(media(t)["film.ism"])
	if err != nil {
		t.Fatal(err)
	}
	m.Streams = append(m.Streams, ism.Stream{Kind: ism.Text, Src: "captions.vtt", Bitrate: 52, Language: "en-us", TrackName: "subt_en-us"})
	s.put("film.ism", m.Encode())
	s.filterOf("", ams.ManifestFilter{Name: "Low", Tracks: []ams.TrackSelection{only("Bitrate=0-200000")}})
	closing := func(suffix string) func(string) string {
		return func(path string) string {
			if strings.HasSuffix(path, ")") {
				path += suffix
			}
			return path
		}
	}
	spellings := map[string]func(path string) string{
		"capitals":      strings.ToUpper,
		"small letters": strings.ToLower,
		"escapes":       strings.NewReplacer("(", "%28", ")", "%29", ",", "%2C", "=", "%3D").Replace,
		"small escapes": strings.NewReplacer("(", "%28", ")", "%29", ",", "%2c", "=", "%3d").Replace,
		"blanks":        strings.NewReplacer(",", ",%20").Replace,
		"a .m3u8":       closing(".m3u8"),
		"a .mpd":        closing(".MPD"),
		"an empty list": func(path string) string {
			return strings.TrimSuffix(path, ")") + map[bool]string{true: ")", false: "()"}[strings.HasSuffix(path, ")")]
		},
		"an unknown key":  func(path string) string { return strings.Replace(path, ",format=", ",filtername=x,format=", 1) },
		"a query":         func(path string) string { return path + "?cdn=1%2F2&format=mpd-time-csf" },
		"double slashes":  func(path string) string { return strings.Replace(path, "/", "//", 1) },
		"the format last": formatLast,
		"an older name":   strings.NewReplacer("format=m3u8-aapl,", "format=m3u8-aapl-v4,", "format=m3u8-aapl)", "format=m3u8-aapl-v4)").Replace,
	}
	for _, path := range shapes {
		want, body := s.do("GET", s.at(path))
		if want.StatusCode != 200 {
			t.Errorf("%s: %s: %s", path, want.Status, body)
			continue
		}
		for how, spell := range spellings {
			same := func(at string) {
				res, got := s.do("GET", at)
				equal := bytes.Equal(got, body)
				if strings.Contains(path, "filter=") && strings.EqualFold(string(got), string(body)) {
					equal = true // manifests repeat filters as they were written
					res.Header.Set("Etag", want.Header.Get("Etag"))
				}
				if res.StatusCode != 200 || !equal || res.Header.Get("Etag") != want.Header.Get("Etag") || res.Header.Get("Content-Type") != want.Header.Get("Content-Type") {
					t.Errorf("%s: %s: %s: %.200s", how, at, res.Status, got)
				}
			}
			same(s.at(spell(path)))
			if how == "capitals" {
				same(s.url + "/" + strings.ToUpper(s.locator) + "/" + spell(path))
			}
		}
	}
	// Text without a bitrate had 0 in AMS.
	for _, path := range shapes {
		if strings.Contains(path, "(52)") {
			if !bytes.Equal(s.get(strings.Replace(path, "(52)", "(0)", 1)), s.get(path)) {
				t.Errorf("%s: not the same under 0", path)
			}
		}
	}
	// What a playlist names is there, also from one level above.
	for _, path := range shapes {
		base, err := url.Parse(s.at(path))
		if err != nil {
			t.Fatal(err)
		}
		body := string(s.get(path))
		if !strings.HasPrefix(body, "#EXTM3U") {
			continue
		}
		if !strings.Contains(body, "60000000") && !strings.Contains(body, "60160000") && !strings.Contains(body, "STREAM-INF") {
			t.Errorf("%s: %s", path, body)
		}
		for line := range strings.Lines(body) {
			_, uri, ok := strings.Cut(line, `URI="`)
			if uri, _, _ = strings.Cut(uri, `"`); !ok {
				if uri = strings.TrimSpace(line); uri == "" || uri[0] == '#' {
					continue
				}
			}
			u, err := base.Parse(uri)
			if err != nil {
				t.Fatal(err)
			}
			if res, b := s.do("GET", u.String()); res.StatusCode != 200 {
				t.Errorf("%s leads to %s: %s: %.200s", path, u, res.Status, b)
			}
		}
	}
}

// formatLast moves the format behind all other keys.
func formatLast(path string) string {
	head, tail, ok := strings.Cut(path, "format=")
	format, rest, more := strings.Cut(tail, ",")
	if !ok || !more {
		return path
	}
	return fmt.Sprintf("%s%s,format=%s)", head, strings.TrimSuffix(rest, ")"), format)
}
