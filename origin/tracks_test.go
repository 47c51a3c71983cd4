package origin

import (
	"bytes"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/packager/ism"
	"github.com/openams/openams/probe"
)

const (
	englishVTT = "WEBVTT\n\n00:01.000 --> 00:03.000\nHello\n\n00:05.000 --> 00:07.000 line:0\nover the edge\n\n00:12.500 --> 00:13.000\nend\n"
	germanTTML = `<tt xmlns="http://www.w3.org/ns/ttml" xml:lang="de"><body><div><p begin="1s" end="3s">Hallo</p><p begin="5s" end="7s">über die Kante</p></div></body></tt>`
)

func (s *stage) track(t ams.Track) {
	s.Helper()
	if _, _, _, err := s.account.CreateOrUpdateTrack(s.Context(), "film", t); err != nil {
		s.Fatal(err)
	}
}

// levelOf is the bitrate under which a multivariant playlist has a track.
func levelOf(t *testing.T, master []byte, track string) string {
	t.Helper()
	for _, m := range child.FindAllSubmatch(master, -1) {
		if string(m[2]) == track {
			return string(m[1])
		}
	}
	t.Fatalf("no track %s in\n%s", track, master)
	return ""
}

// newClockedStage is a stage whose clock runs a minute whenever it is asked, so
// that files are looked at for every request.
func newClockedStage(t *testing.T) *stage {
	var minutes atomic.Int64
	return newStage(t, func(c *Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(minutes.Add(1)) * time.Minute) }
	})
}

// Caption files of the tracks API play in every format, and change what
// manifests say at once.
func TestTextTracks(t *testing.T) {
	s := newClockedStage(t)
	s.put("en.vtt", []byte(englishVTT))
	s.put("de.ttml", []byte(germanTTML))
	before := s.get("film.ism/manifest(format=m3u8-cmaf)")
	if bytes.Contains(before, []byte("SUBTITLES")) {
		t.Fatalf("subtitles without a track:\n%s", before)
	}
	s.track(ams.Track{Name: "english", Kind: ams.TextTrack, FileName: "en.vtt", DisplayName: `The "English" ones`, Language: "en-us",
		HLS: &ams.HLSSettings{Default: ptr(true), Characteristics: ptr("public.accessibility.transcribes-spoken-dialog")}})
	s.track(ams.Track{Name: "german", Kind: ams.TextTrack, FileName: "de.ttml", HLS: &ams.HLSSettings{Forced: ptr(true)}})
	s.track(ams.Track{Name: "secret", Kind: ams.TextTrack, FileName: "de.ttml", Visibility: ams.Hidden})

	for _, f := range everyFormat {
		r := s.probed(manifestOf(f), probe.Config{})
		n := 0
		for _, x := range r.Streams {
			if x.Kind == "text" {
				n++
			}
		}
		if n != 2 {
			t.Errorf("%s: %d text streams", f, n)
		}
	}
	master := s.get("film.ism/manifest(format=m3u8-cmaf)")
	rates := func(text string) string {
		return strings.NewReplacer("{en}", levelOf(t, master, "english"), "{de}", levelOf(t, master, "german")).Replace(text)
	}
	for path, wants := range map[string][]string{
		"film.ism/manifest(format=m3u8-cmaf)": {
			`#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subs",NAME="The 'English' ones",LANGUAGE="en-us",DEFAULT=YES,AUTOSELECT=YES,CHARACTERISTICS="public.accessibility.transcribes-spoken-dialog",URI="QualityLevels({en})/Manifest(english,format=m3u8-cmaf)"`,
			`#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subs",NAME="german",LANGUAGE="de",DEFAULT=NO,AUTOSELECT=YES,FORCED=YES,URI="QualityLevels({de})/Manifest(german,format=m3u8-cmaf)"`,
			`AUDIO="audio",SUBTITLES="subs",CLOSED-CAPTIONS=NONE`,
		},
		"film.ism/QualityLevels({en})/Manifest(english,format=m3u8-aapl)": {"#EXTINF:6.000000,no-desc\nFragments(english=60000000,format=m3u8-aapl)\n", "#EXT-X-ENDLIST"},
		"film.ism/QualityLevels({en})/Fragments(english=60000000,format=m3u8-aapl)": {
			"WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000\n\n00:00:05.000 --> 00:00:07.000 line:0\nover the edge\n\n"},
		"film.ism/QualityLevels({en})/Fragments(english=60000000,format=m3u8-cmaf)": {"MPEGTS:0,"},
		"film.ism/QualityLevels({de})/Fragments(german=0,format=m3u8-cmaf)":         {"00:00:01.000 --> 00:00:03.000\nHallo\n\n", "über die Kante"},
		"film.ism/manifest(format=mpd-time-csf)": {
			`group="3" profiles="ccff" bitstreamSwitching="false" segmentAlignment="true" contentType="text" mimeType="application/mp4" codecs="wvtt" lang="en-US">`,
			`<Label>The &#34;English&#34; ones</Label>`, `value="caption"/>`, `codecs="stpp" lang="de">`, `value="forced-subtitle"/>`,
		},
		"film.ism/manifest": {
			`Type="text" Url="QualityLevels({bitrate})/Fragments(german={start time})" QualityLevels="1" Subtype="SUBT" Language="de" Name="german">`,
			`<QualityLevel Index="0" Bitrate="{de}" FourCC="TTML" CodecPrivateData=""/>`, `Subtype="CAPT"`,
		},
		"film.ism/QualityLevels({en})/Fragments(english=60000000)":                    {`<p begin="00:00:00.000" end="00:00:01.000">over the edge</p>`},
		"film.ism/QualityLevels({de})/Fragments(german=60000000)":                     {`<p begin="00:00:00.000" end="00:00:01.000">über die Kante</p>`},
		"film.ism/QualityLevels({de})/Fragments(german=60000000,format=mpd-time-csf)": {`<p begin="00:00:06.000" end="00:00:07.000">über die Kante</p>`},
		"film.ism/QualityLevels({en})/Fragments(english=0,format=mpd-time-cmaf)":      {"vtte", "vttc", "over the edge", "line:0"},
		"film.ism/QualityLevels({en})/Fragments(english=i,format=mpd-time-cmaf)":      {"wvtt", "nmhd", "vttC"},
		"film.ism/QualityLevels({de})/Fragments(german=i,format=mpd-time-cmaf)":       {"stpp", "sthd", "http://www.w3.org/ns/ttml"},
	} {
		got := string(s.get(rates(path)))
		for _, want := range wants {
			if want = rates(want); !strings.Contains(got, want) {
				t.Errorf("%s has no %s:\n%q", path, want, got)
			}
		}
		if strings.Contains(got, "secret") {
			t.Errorf("%s tells of a hidden track", path)
		}
	}
	s.refused(rates("film.ism/QualityLevels({en})/Fragments(english=i,format=m3u8-cmaf)"), 415, "MPE_MEDIA_TYPE_NOT_SUPPORTED")
	s.refused(rates("film.ism/QualityLevels({en})/Fragments(english=2,format=m3u8-cmaf)"), 404, "MPE_FRAGMENT_TIMESTAMP_NOT_FOUND", "english")
	if res, _ := s.do("GET", s.at(rates("film.ism/QualityLevels({en})/Fragments(english=0,format=m3u8-cmaf)"))); res.Header.Get("Content-Type") != "text/vtt" {
		t.Errorf("Content-Type %s", res.Header.Get("Content-Type"))
	}

	// Filters know text.
	s.filterOf("", ams.ManifestFilter{Name: "noDE", Tracks: []ams.TrackSelection{only("Type=video"), only("Type=text", "Language!=de")}})
	s.filterOf("", ams.ManifestFilter{Name: "middle", Time: span(60000000, 120000000)})
	if got := string(s.get("film.ism/manifest(format=m3u8-cmaf,filter=noDE)")); strings.Contains(got, "german") || !strings.Contains(got, "english") {
		t.Errorf("filtered:\n%s", got)
	}
	if got := times(string(s.get(rates("film.ism/QualityLevels({en})/Manifest(english,format=m3u8-cmaf,filter=middle)")))); got != "60000000" {
		t.Errorf("filtered: segments %s", got)
	}

	// What changes counts from the next request on: the file, the track.
	s.put("en.vtt", []byte(strings.Replace(englishVTT, "Hello", "Howdy", 1)))
	if got := string(s.get(rates("film.ism/QualityLevels({en})/Fragments(english=0,format=m3u8-cmaf)"))); !strings.Contains(got, "Howdy") {
		t.Errorf("after a change of the file: %s", got)
	}
	s.track(ams.Track{Name: "english", Kind: ams.TextTrack, FileName: "en.vtt", DisplayName: "Inglés"})
	if got := string(s.get("film.ism/manifest(format=m3u8-cmaf)")); !strings.Contains(got, `NAME="Inglés",DEFAULT=NO,URI=`) {
		t.Errorf("after a change of the track:\n%s", got)
	}
	// A file that breaks takes its track with it, not the film.
	s.put("de.ttml", []byte("<tt><p"))
	if got := string(s.get("film.ism/manifest(format=m3u8-cmaf)")); strings.Contains(got, "german") || !strings.Contains(got, "Inglés") {
		t.Errorf("with a broken file:\n%s", got)
	}
	if _, err := s.account.DeleteTrack(t.Context(), "film", "english"); err != nil {
		t.Fatal(err)
	}
	if got := s.get("film.ism/manifest(format=m3u8-cmaf)"); !bytes.Equal(got, before) {
		t.Errorf("without tracks:\n%s", got)
	}
	if _, _, _, err := s.account.CreateOrUpdateTrack(t.Context(), "film", ams.Track{Name: "x", Kind: ams.TextTrack, FileName: "de.ttml"}); ams.CodeOf(err) != ams.Invalid {
		t.Errorf("a track of a broken file: %v", err)
	}
}

// Text streams of a server manifest, in the forms of AMS.
func TestTextStreams(t *testing.T) {
	s := newStage(t, nil)
	m, err := ism.Parse(media(t)["film.ism"])
	if err != nil {
		t.Fatal(err)
	}
	m.Streams = append(m.Streams,
		ism.Stream{Kind: ism.Text, Src: "en.cmft", Transcript: "en.vtt", Bitrate: 5200, Language: "en-us", TrackName: "subt_en-us", DisplayName: "English", Default: true},
		ism.Stream{Kind: ism.Text, Src: "de.ttml", Language: "de"},
		ism.Stream{Kind: ism.Text, Src: "de.ttml", Language: "de", TrackName: "draft", DisplayName: "Entwurf", Params: []ism.Param{{Name: "outputFlag", Value: "1"}}},
		ism.Stream{Kind: ism.Text, Src: "gone.vtt", TrackName: "gone"})
	s.put("en.vtt", []byte(englishVTT)) // the .cmft is lost
	s.put("de.ttml", []byte(germanTTML))
	s.put("film.ism", m.Encode())
	for _, f := range everyFormat {
		s.probed(manifestOf(f), probe.Config{})
	}
	master := string(s.get("film.ism/manifest(format=m3u8-aapl)"))
	for _, want := range []string{
		`NAME="English",LANGUAGE="en-us",DEFAULT=YES,AUTOSELECT=YES,URI="QualityLevels(5200)/Manifest(subt_en-us,format=m3u8-aapl)"`,
		`NAME="subt_de",LANGUAGE="de",DEFAULT=NO,AUTOSELECT=YES,URI="QualityLevels(` + levelOf(t, []byte(master), "subt_de") + `)/Manifest(subt_de,format=m3u8-aapl)"`,
	} {
		if !strings.Contains(master, want) {
			t.Errorf("no %s in\n%s", want, master)
		}
	}
	if strings.Contains(master, "gone") {
		t.Errorf("a track without its file:\n%s", master)
	}
	if strings.Contains(master, "draft") || strings.Contains(master, "Entwurf") {
		t.Errorf("a track that is not for players:\n%s", master)
	}
	s.refused("film.ism/QualityLevels(5200)/Manifest(draft,format=m3u8-aapl)", 404, "MPE_EGRESS_TRACK_NOT_FOUND", "draft")
	// A track of the API tells the stream of its name how to look.
	s.track(ams.Track{Name: "subt_en-us", Kind: ams.TextTrack, FileName: "en.vtt", Visibility: ams.Hidden})
	if got := string(s.get("film.ism/manifest(format=m3u8-aapl)")); strings.Contains(got, "subt_en-us") {
		t.Errorf("hidden:\n%s", got)
	}
	s.track(ams.Track{Name: "draft", Kind: ams.TextTrack, FileName: "de.ttml", Visibility: ams.Visible})
	if got := string(s.get("film.ism/manifest(format=m3u8-aapl)")); !strings.Contains(got, `NAME="Entwurf"`) {
		t.Errorf("shown:\n%s", got)
	}
}

// Audio of another language, added to a film that is published already.
func TestLateAudio(t *testing.T) {
	s := newClockedStage(t)
	s.put("fr.mp4", media(t)["film_180.mp4"])
	s.get("film.ism/manifest(format=m3u8-cmaf)")
	s.track(ams.Track{Name: "french", Kind: ams.AudioTrack, FileName: "fr.mp4", MPEG4TrackID: ptr(int64(2)), Language: "fr", DisplayName: "Français", HLS: &ams.HLSSettings{Default: ptr(true)}, DASHRole: ptr("dub")})
	s.track(ams.Track{Name: "audio_eng", Kind: ams.AudioTrack, DisplayName: "Original", HLS: &ams.HLSSettings{Characteristics: ptr("public.accessibility.describes-video")}})
	for _, f := range everyFormat {
		n := 0
		for _, x := range s.probed(manifestOf(f), probe.Config{}).Streams {
			if x.Kind == "audio" {
				n++
			}
		}
		if n < 2 {
			t.Errorf("%s: %d audio streams", f, n)
		}
	}
	master := string(s.get("film.ism/manifest(format=m3u8-aapl)"))
	rate := child.FindStringSubmatch(master[strings.Index(master, "Français"):])[1]
	for path, wants := range map[string][]string{
		"film.ism/manifest(format=m3u8-aapl)": {
			`NAME="Français",LANGUAGE="fr",DEFAULT=YES,AUTOSELECT=YES,URI="QualityLevels(` + rate + `)/Manifest(french,format=m3u8-aapl)"`,
			`NAME="Original",LANGUAGE="eng",AUTOSELECT=YES,CHARACTERISTICS="public.accessibility.describes-video",URI=`,
		},
		"film.ism/manifest(format=mpd-time-cmaf)": {`lang="fr"`, "<Label>Français</Label>", `value="dub"/>`},
		"film.ism/manifest":                       {`Language="fr" Name="french"`},
	} {
		got := string(s.get(path))
		for _, want := range wants {
			if !strings.Contains(got, want) {
				t.Errorf("%s has no %s:\n%s", path, want, got)
			}
		}
	}
	segment := fmt.Sprintf("film.ism/QualityLevels(%s)/Fragments(french=0,format=m3u8-cmaf)", rate)
	if a, b := s.get(segment), s.get("film.ism/QualityLevels(64000)/Fragments(audio_eng=0,format=m3u8-cmaf)"); !bytes.Equal(a, b) {
		t.Error("the same audio gives other segments")
	}
	s.remove("fr.mp4")
	if got := string(s.get("film.ism/manifest(format=m3u8-aapl)")); strings.Contains(got, "french") {
		t.Errorf("without its file:\n%s", got)
	}
}

// Whole segments of text are encrypted too, their parts never.
func TestTextProtected(t *testing.T) {
	s, _, guarded := newShielded(t, everything, allKeys()...)
	s.put("en.vtt", []byte(englishVTT))
	s.track(ams.Track{Name: "english", Kind: ams.TextTrack, FileName: "en.vtt", Language: "en"})
	master := s.get("film.ism/manifest(format=m3u8-cmaf)")
	rates := func(text string) string { return strings.ReplaceAll(text, "{en}", levelOf(t, master, "english")) }
	clear := s.get(rates("film.ism/QualityLevels({en})/Fragments(english=0,format=m3u8-cmaf)"))
	s.under(guarded, func() {
		if got := s.get(rates("film.ism/QualityLevels({en})/Fragments(english=0,format=m3u8-cmaf,encryption=cbc)")); bytes.Contains(got, []byte("WEBVTT")) || len(got)%16 != 0 {
			t.Errorf("AES-128: %q", got)
		}
		if got := string(s.get(rates("film.ism/QualityLevels({en})/Manifest(english,format=m3u8-cmaf,encryption=cbc)"))); !strings.Contains(got, "#EXT-X-KEY:METHOD=AES-128") {
			t.Error(got)
		}
		for _, scheme := range []string{"cenc", "cbcs-aapl"} {
			if got := s.get(rates("film.ism/QualityLevels({en})/Fragments(english=0,format=m3u8-cmaf,encryption=" + scheme + ")")); !bytes.Equal(got, clear) {
				t.Errorf("%s: %q", scheme, got)
			}
			if got := string(s.get(rates("film.ism/QualityLevels({en})/Manifest(english,format=m3u8-cmaf,encryption=" + scheme + ")"))); strings.Contains(got, "EXT-X-KEY") {
				t.Error(got)
			}
		}
	})
}
