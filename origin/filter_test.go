package origin

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
)

// filterOf makes or changes a filter of the asset; of the account if asset is
// empty.
func (s *stage) filterOf(asset string, f ams.ManifestFilter) {
	s.Helper()
	if _, _, err := s.account.CreateOrUpdateFilter(s.Context(), asset, f); err != nil {
		s.Fatal(err)
	}
}

func span(start, end int64) *ams.TimeRange { return &ams.TimeRange{Start: &start, End: &end} }

// only selects the tracks for which all conditions hold: "Type=audio", "Name!=x".
func only(conditions ...string) ams.TrackSelection {
	var s ams.TrackSelection
	for _, c := range conditions {
		op := ams.IsEqual
		property, value, _ := strings.Cut(c, "=")
		if p, ok := strings.CutSuffix(property, "!"); ok {
			property, op = p, ams.IsNotEqual
		}
		s.Conditions = append(s.Conditions, ams.FilterCondition{Property: ams.TrackProperty(property), Value: value, Operation: op})
	}
	return s
}

// The asset lasts 13 s in fragments of 6, 6 and 1 s.
func TestFilterRanges(t *testing.T) {
	s := newStage(t, nil)
	scale := int64(1000)
	start, forced := int64(6500), true
	window := int64(60 * ams.DefaultTimescale)
	s.filterOf("", ams.ManifestFilter{Name: "Middle", Time: span(60000000, 120000000)})
	s.filterOf("", ams.ManifestFilter{Name: "Straddles", Time: span(40000000, 100000000)}) // documented: whole fragments
	s.filterOf("", ams.ManifestFilter{Name: "Late", Time: &ams.TimeRange{Start: &start, Timescale: &scale}})
	s.filterOf("", ams.ManifestFilter{Name: "Unlimited", Time: span(0, ams.Unlimited)})
	s.filterOf("", ams.ManifestFilter{Name: "Live", Time: &ams.TimeRange{Window: &window, End: ptr(int64(130000000)), ForceEndTime: &forced, Backoff: ptr(int64(1))}})
	s.filterOf("", ams.ManifestFilter{Name: "Behind", Time: span(500000000, 600000000)})
	s.filterOf("", ams.ManifestFilter{Name: "First", Time: span(0, 50000000)})

	all := string(s.get("film.ism/QualityLevels(600000)/Manifest(video,format=m3u8-cmaf)"))
	for _, tt := range []struct {
		filter   string
		times    string // of video fragments
		audio    string
		duration string // of the MPD
	}{
		{"Middle", "60000000", "60160000", "PT6.000S"},
		{"Straddles", "0 60000000", "0 60160000", "PT12.000S"},
		{"Late", "60000000 120000000", "60160000 120320000", "PT7.022S"},
		{"Unlimited", "0 60000000 120000000", "0 60160000 120320000", "PT13.022S"},
		{"Live", "0 60000000 120000000", "0 60160000 120320000", "PT13.022S"},
		{"Late;Middle", "60000000", "60160000", "PT6.000S"},
		{"First;Unlimited", "0", "0", "PT6.000S"},
	} {
		for _, format := range []string{"m3u8-cmaf", "m3u8-aapl"} {
			master := string(s.get("film.ism/manifest(format=" + format + ",filter=" + tt.filter + ")"))
			if want := "Manifest(video,format=" + format + ",filter=" + tt.filter + ")"; !strings.Contains(master, want) {
				t.Errorf("%s: %s\nhas no %s", tt.filter, master, want)
			}
			for track, want := range map[string]string{"QualityLevels(600000)/Manifest(video": tt.times, "QualityLevels(64000)/Manifest(audio_eng": tt.audio} {
				list := string(s.get("film.ism/" + track + ",format=" + format + ",filter=" + tt.filter + ")"))
				if got := times(list); got != want {
					t.Errorf("%s %s %s: segments %q, want %q", tt.filter, format, track, got, want)
				}
				sequence := "#EXT-X-MEDIA-SEQUENCE:0\n"
				if !strings.HasPrefix(want, "0") {
					sequence = "#EXT-X-MEDIA-SEQUENCE:1\n"
				}
				if !strings.Contains(list, sequence) || strings.Contains(list, "filter") {
					t.Errorf("%s %s:\n%s", tt.filter, format, list)
				}
				if format == "m3u8-cmaf" && strings.Contains(track, "video") {
					for _, line := range strings.Split(list, "\n") {
						if strings.HasPrefix(line, "Fragments") && !strings.Contains(all, line) {
							t.Errorf("%s: %s is no segment of the whole", tt.filter, line)
						}
					}
				}
			}
			keys := string(s.get("film.ism/QualityLevels(600000)/Manifest(video,format=" + format + ",type=keyframes,filter=" + tt.filter + ")"))
			if whole := string(s.get("film.ism/QualityLevels(600000)/Manifest(video,format=" + format + ",type=keyframes)")); !strings.Contains(whole, entries(keys)) {
				t.Errorf("%s: I-frames\n%s\nare none of\n%s", tt.filter, keys, whole)
			}
		}
		mpd := string(s.get("film.ism/manifest(format=mpd-time-csf,filter=" + tt.filter + ")"))
		first, _, _ := strings.Cut(tt.times, " ")
		if !strings.Contains(mpd, `mediaPresentationDuration="`+tt.duration+`"`) || strings.Contains(mpd, "filter") ||
			(first != "0") != strings.Contains(mpd, `presentationTimeOffset="`+first+`"`) || (first != "0") != strings.Contains(mpd, `<S t="`+first+`"`) {
			t.Errorf("%s:\n%s", tt.filter, mpd)
		}
		smooth := string(s.get("film.ism/manifest(filter=" + tt.filter + ")"))
		if n := len(strings.Fields(tt.times)); !strings.Contains(smooth, fmt.Sprintf(`<StreamIndex Chunks="%d" Type="video"`, n)) || !strings.Contains(smooth, `<c t="`+first+`"`) {
			t.Errorf("%s:\n%s", tt.filter, smooth)
		}
	}
	s.refused("film.ism/manifest(filter=Behind)", 415, "MPE_FILTER_REMOVED_ALL_STREAMS")
	s.refused("film.ism/manifest(filter=First;Late)", 415, "MPE_FILTER_RANGE_ATTRIBUTE_INVALID", "65000000", "50000000")
	s.refused("film.ism/QualityLevels(600000)/Manifest(video,format=m3u8-cmaf,filter=Behind)", 415, "MPE_FILTER_REMOVED_ALL_STREAMS")

	// A change counts from the next request on.
	s.filterOf("", ams.ManifestFilter{Name: "Middle", Time: span(0, 60000000)})
	if got := times(string(s.get("film.ism/QualityLevels(600000)/Manifest(video,format=m3u8-cmaf,filter=Middle)"))); got != "0" {
		t.Errorf("after a change of the filter: segments %s", got)
	}
	// The asset's own filter wins.
	s.filterOf("film", ams.ManifestFilter{Name: "Middle", Time: span(120000000, 130000000)})
	if got := times(string(s.get("film.ism/QualityLevels(600000)/Manifest(video,format=m3u8-cmaf,filter=middle)"))); got != "120000000" {
		t.Errorf("with a filter of the asset: segments %s", got)
	}
	if _, err := s.account.DeleteFilter(t.Context(), "film", "Middle"); err != nil {
		t.Fatal(err)
	}
	if got := times(string(s.get("film.ism/QualityLevels(600000)/Manifest(video,format=m3u8-cmaf,filter=Middle)"))); got != "0" {
		t.Errorf("without the filter of the asset: segments %s", got)
	}
}

func ptr[T any](v T) *T { return &v }

var segmentTime = regexp.MustCompile(`Fragments\([^=]*=(\d+)`)

// times are the starts of the segments of a playlist.
func times(list string) string {
	var all []string
	for _, m := range segmentTime.FindAllStringSubmatch(list, -1) {
		all = append(all, m[1])
	}
	return strings.Join(all, " ")
}

// entries are the segments of a playlist with their tags.
func entries(list string) string {
	_, list, _ = strings.Cut(list, "#EXTINF")
	list, _, _ = strings.Cut(list, "#EXT-X-ENDLIST")
	return list
}

func TestFilterTracks(t *testing.T) {
	s := newStage(t, nil)
	for name, selections := range map[string][]ams.TrackSelection{
		"video":     {only("Type=VIDEO")},
		"low":       {only("Type=video", "Bitrate=0-200000"), only("Type=audio")},
		"high":      {only("Type=video", "Bitrate=600000-2147483647"), only("Type=audio", "Name=AUDIO_ENG")},
		"exact":     {only("Bitrate=150000")},
		"english":   {only("Language=en"), only("FourCC=AVC1", "Bitrate!=150000")},
		"noEnglish": {only("Language!=en", "FourCC!=mp4a")},
		"none":      {only("Type=text")},
	} {
		s.filterOf("", ams.ManifestFilter{Name: name, Tracks: selections})
	}
	for _, tt := range []struct{ filter, want string }{
		{"video", "video@150000 video@600000"},
		{"low", "audio_eng@64000 video@150000"},
		{"high", "audio_eng@64000 video@600000"},
		{"exact", "video@150000"},
		{"english", "audio_eng@64000 video@600000"},
		{"noEnglish", "video@150000 video@600000"},
		{"low;video", "video@150000"},
	} {
		if got := offered(string(s.get("film.ism/manifest(format=m3u8-cmaf,audio-only=false,filter=" + tt.filter + ")"))); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.filter, got, tt.want)
		}
	}
	s.refused("film.ism/manifest(filter=none)", 415, "MPE_FILTER_REMOVED_ALL_STREAMS")
	s.refused("film.ism/manifest(filter=low;high;video)", 415, "MPE_FILTER_REMOVED_ALL_STREAMS")
	s.refused("film.ism/QualityLevels(600000)/Manifest(video,format=m3u8-cmaf,filter=low)", 404, "MPE_MANIFEST_MEDIA_ENTRY_NOT_FOUND")
	s.refused("film.ism/QualityLevels(64000)/Manifest(audio_eng,format=m3u8-cmaf,filter=video)", 404, "MPE_EGRESS_TRACK_NOT_FOUND")
	// Segments know no filters: caches share them.
	s.get("film.ism/QualityLevels(600000)/Fragments(video=0,format=m3u8-cmaf,filter=low)")
}

var child = regexp.MustCompile(`QualityLevels\((\d+)\)/Manifest\(([^,]*),[^)]*\)`)

// offered are the tracks and bitrates of a multivariant playlist, I-frame
// variants aside.
func offered(master string) string {
	var all []string
	for _, line := range strings.Split(master, "\n") {
		if m := child.FindStringSubmatch(line); m != nil && !strings.Contains(line, "keyframes") {
			all = append(all, m[2]+"@"+m[1])
		}
	}
	return strings.Join(all, " ")
}

func TestFilterFirstQuality(t *testing.T) {
	s := newStage(t, nil)
	s.filterOf("", ams.ManifestFilter{Name: "exact", FirstQuality: 600000})
	s.filterOf("", ams.ManifestFilter{Name: "near", FirstQuality: 599999})
	s.filterOf("", ams.ManifestFilter{Name: "least", FirstQuality: 1})
	for filter, want := range map[string]string{
		"exact": "audio_eng@64000 video@600000 video@150000", "near": "audio_eng@64000 video@150000 video@600000", "least": "audio_eng@64000 video@150000 video@600000",
	} {
		if got := offered(string(s.get("film.ism/manifest(format=m3u8-aapl,audio-only=false,filter=" + filter + ")"))); got != want {
			t.Errorf("%s: %s", filter, got)
		}
	}
	s.refused("film.ism/manifest(format=m3u8-aapl,filter=exact;near)", 415, "MPE_FILTER_COMPOSITION_MULTIPLE_FIRST_QUALITY_OPERATOR_NOT_ALLOWED")
	s.get("film.ism/manifest(format=m3u8-aapl,filter=exact;EXACT)") // one filter, said twice
}

func TestFiltersOfLocator(t *testing.T) {
	s := newStage(t, nil)
	s.filterOf("", ams.ManifestFilter{Name: "low", Tracks: []ams.TrackSelection{only("Bitrate=0-200000")}})
	s.filterOf("", ams.ManifestFilter{Name: "all", Tracks: []ams.TrackSelection{only("Bitrate=0-2147483647")}})
	s.filterOf("", ams.ManifestFilter{Name: "high", Tracks: []ams.TrackSelection{only("Bitrate=600000")}})
	l, err := s.account.CreateLocator(t.Context(), "filtered", account.LocatorRequest{Asset: "film", Policy: "Predefined_ClearStreamingOnly", Filters: []string{"low"}})
	if err != nil {
		t.Fatal(err)
	}
	s.locator = l.ID
	for _, path := range []string{"film.ism/manifest(format=m3u8-cmaf)", "film.ism/manifest(format=m3u8-cmaf,filter=all)"} {
		if got := offered(string(s.get(path))); got != "audio_eng@64000 video@150000 audio_eng@64000" {
			t.Errorf("%s: %s", path, got)
		}
	}
	if master := string(s.get("film.ism/manifest(format=m3u8-cmaf)")); strings.Contains(master, "filter") {
		t.Errorf("a default filter is in child URLs:\n%s", master)
	}
	s.refused("film.ism/manifest(filter=high)", 415, "MPE_FILTER_REMOVED_ALL_STREAMS")
	// A playlist of what the default filter leaves out is not to be had.
	s.refused("film.ism/QualityLevels(600000)/Manifest(video,format=m3u8-cmaf)", 404, "MPE_MANIFEST_MEDIA_ENTRY_NOT_FOUND")
	if _, err := s.account.DeleteFilter(t.Context(), "", "low"); err != nil {
		t.Fatal(err)
	}
	s.refused("film.ism/manifest", 404, "MPE_EGRESS_FILTER_NOT_FOUND", "low")
	names := make([]string, 11)
	for i := range names {
		names[i] = fmt.Sprintf("f%d", i)
		s.filterOf("", ams.ManifestFilter{Name: names[i]})
	}
	s.filterOf("", ams.ManifestFilter{Name: "low"})
	s.refused("film.ism/manifest(filter="+strings.Join(names, ";")+")", 415, "MPE_FILTER_COMPOSITION_FILTER_COUNT_OVER_LIMIT")
	s.refused("film.ism/manifest(filter="+strings.Join(names[1:], ";")+")", 415, "MPE_FILTER_COMPOSITION_FILTER_COUNT_OVER_LIMIT")
	s.get("film.ism/manifest(filter=" + strings.Join(names[2:], ";") + ")")
}
