package origin

import (
	"net/http"
	"strings"
	"testing"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/probe"
)

// HLS version 3 carries the audio that the URL names with the video.
func TestMuxed(t *testing.T) {
	s, _, guarded := newShielded(t, everything, allKeys()...)
	s.put("fr.mp4", media(t)["film_180.mp4"])
	s.track(ams.Track{Name: "french", Kind: ams.AudioTrack, FileName: "fr.mp4", Language: "fr"})
	for keys, want := range map[string]string{
		"format=m3u8-aapl-v3":                   "audio_eng",
		"Format=M3U8-AAPL-V3,audioTrack=French": "french",
		"format=m3u8-aapl-v3,audio-only=false":  "audio_eng",
	} {
		r := s.probed(manifestOf(keys), probe.Config{})
		if streams := map[bool]int{true: 2, false: 3}[strings.Contains(keys, "only")]; len(r.Streams) != streams {
			t.Errorf("%s: %d streams", keys, len(r.Streams))
		}
		master := string(s.get(manifestOf(keys)))
		if !strings.Contains(master, "QualityLevels(600000)/Manifest(video,format=m3u8-aapl-v3,audiotrack="+want+")\n") {
			t.Errorf("%s:\n%s", keys, master)
		}
	}
	list := string(s.get("film.ism/QualityLevels(600000)/Manifest(video,format=m3u8-aapl-v3,audiotrack=french)"))
	if !strings.Contains(list, "\nFragments(video=60000000,format=m3u8-aapl-v3,audiotrack=french)\n") {
		t.Error(list)
	}
	// Observed: without QualityLevels, of the best bitrate. Its segments lie below.
	below := func(level, list string) string {
		return strings.ReplaceAll(list, "\nFragments(", "\nQualityLevels("+level+")/Fragments(")
	}
	if got := string(s.get("film.ism/manifest(video,format=m3u8-aapl-v3,audiotrack=french)")); got != below("600000", list) {
		t.Errorf("without QualityLevels:\n%s", got)
	}
	s.filterOf("", ams.ManifestFilter{Name: "low", FirstQuality: 150000})
	if got, want := s.get("film.ism/manifest(video,format=m3u8-aapl-v3,filter=low)"), s.get("film.ism/QualityLevels(150000)/Manifest(video,format=m3u8-aapl-v3)"); string(got) != below("150000", string(want)) {
		t.Errorf("with firstQuality:\n%s", got)
	}
	s.filterOf("", ams.ManifestFilter{Name: "late", Time: span(60000000, 130000000)})
	s.probed(manifestOf("format=m3u8-aapl-v3", "filter=late"), probe.Config{})
	s.refused("film.ism/manifest(format=m3u8-aapl-v3,audiotrack=klingon)", 404, "MPE_EGRESS_TRACK_NOT_FOUND", "klingon", "french")
	s.refused("film.ism/QualityLevels(600000)/Fragments(video=0,format=m3u8-aapl-v3,audiotrack=video)", 404, "MPE_EGRESS_TRACK_NOT_FOUND", "video")
	s.refused("film.ism/QualityLevels(600000)/Manifest(video,format=m3u8-aapl-v3,type=keyframes)", 415, "MPE_OUTPUT_FORMAT_NOT_SUPPORTED", "I-frame")
	s.refused("film.ism/QualityLevels(600000)/Fragments(video=i,format=m3u8-aapl-v3)", 400, "MPE_BAD_URL_SYNTAX")
	s.under(guarded, func() {
		s.probed(manifestOf("format=m3u8-aapl-v3", "encryption=cbc"), probe.Config{Client: &http.Client{Transport: keyServer(valueVideo)}})
	})
}
