package origin

import (
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/openams/openams/packager"
)

const testGUID = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"

func TestParsePath(t *testing.T) {
	base := Request{Locator: testGUID, Name: "film", Ext: ".ism"}
	with := func(change func(*Request)) *Request {
		q := base
		change(&q)
		return &q
	}
	for _, tt := range []struct {
		path string
		want *Request
		code packager.Code
	}{
		{"film.ism/manifest", with(func(q *Request) { q.Kind = Manifest }), ""},
		{"film.ism/Manifest", with(func(q *Request) { q.Kind = Manifest }), ""},
		{"film.ISM/MANIFEST", with(func(q *Request) { q.Kind, q.Ext = Manifest, ".ISM" }), ""},
		{"film.ism/manifest()", with(func(q *Request) { q.Kind = Manifest }), ""},
		{"film.isml/manifest", with(func(q *Request) { q.Kind, q.Ext = Manifest, ".isml" }), ""},
		{"film.ism/manifest(format=m3u8-cmaf)", with(func(q *Request) { q.Kind, q.Format = Manifest, HLSCMAF }), ""},
		{"film.ism/manifest(format=m3u8-cmaf).m3u8", with(func(q *Request) { q.Kind, q.Format = Manifest, HLSCMAF }), ""},
		{"film.ism/manifest(format=mpd-time-csf).mpd", with(func(q *Request) { q.Kind, q.Format = Manifest, DASHCSF }), ""},
		{"film.ism/manifest(Format=MPD-TIME-CMAF).MPD", with(func(q *Request) { q.Kind, q.Format = Manifest, DASHCMAF }), ""},
		{"film.ism/manifest(format=fmp4-v20)", with(func(q *Request) { q.Kind, q.Format = Manifest, Smooth20 }), ""},
		{"film.ism/manifest(format=m3u8-aapl-v4)", with(func(q *Request) { q.Kind, q.Format = Manifest, HLSv4 }), ""},
		{"film.ism/manifest(format=m3u8-aapl,%20filter=MyFilter)", with(func(q *Request) {
			q.Kind, q.Format, q.Filters = Manifest, HLSv4, []string{"MyFilter"}
		}), ""},
		{"film.ism/manifest(filter=a;b;c,format=m3u8-aapl,audio-Only=FALSE)", with(func(q *Request) {
			q.Kind, q.Format, q.Filters, q.NoAudioOnly = Manifest, HLSv4, []string{"a", "b", "c"}, true
		}), ""},
		{"film.ism/manifest%28format%3Dm3u8-cmaf%2Cencryption%3Dcbcs-aapl%29", with(func(q *Request) {
			q.Kind, q.Format, q.Encryption = Manifest, HLSCMAF, CBCS
		}), ""},
		{"film.ism/manifest(format=m3u8-cmaf,filtername=x,foo=bar)", with(func(q *Request) { q.Kind, q.Format = Manifest, HLSCMAF }), ""},
		{"film.ism/manifest(video,format=m3u8-aapl-v3,audiotrack=audio).m3u8", with(func(q *Request) {
			q.Kind, q.Track, q.Direct, q.Format, q.AudioTrack = Playlist, "video", true, HLSv3, "audio"
		}), ""},
		{"film.ism/QualityLevels(2761648)/Manifest(video,format=m3u8-cmaf,type=keyframes,encryption=cbcs-aapl)", with(func(q *Request) {
			q.Kind, q.Bitrate, q.Track, q.Format, q.KeyFrames, q.Encryption = Playlist, 2761648, "video", HLSCMAF, true, CBCS
		}), ""},
		{"film.ism/qualitylevels(128041)/manifest(aac_eng_2_128041_2_1,filter=hls,FORMAT=m3u8-aapl)", with(func(q *Request) {
			q.Kind, q.Bitrate, q.Track, q.Format, q.Filters = Playlist, 128041, "aac_eng_2_128041_2_1", HLSv4, []string{"hls"}
		}), ""},
		{"film.ism/QualityLevels(2761648)/Fragments(video=93067200,format=m3u8-aapl-v3,audiotrack=audio_und)", with(func(q *Request) {
			q.Kind, q.Bitrate, q.Track, q.Time, q.Format, q.AudioTrack = Media, 2761648, "video", 93067200, HLSv3, "audio_und"
		}), ""},
		{"film.ism/QualityLevels(400000)/Fragments(video=0)", with(func(q *Request) {
			q.Kind, q.Bitrate, q.Track = Media, 400000, "video"
		}), ""},
		{"film.ism/QualityLevels(400000,hardware=x)/Fragments(video=60060000)", with(func(q *Request) {
			q.Kind, q.Bitrate, q.Track, q.Time = Media, 400000, "video", 60060000
		}), ""},
		{"film.ism/QualityLevels(400000)/Fragments(format=mpd-time-csf,video=i)", with(func(q *Request) {
			q.Kind, q.Bitrate, q.Track, q.Format = Init, 400000, "video", DASHCSF
		}), ""},
		{"film.ism/QualityLevels%28400000%29/Fragments%28video%3Di%2Cformat%3Dm3u8-cmaf%29", with(func(q *Request) {
			q.Kind, q.Bitrate, q.Track, q.Format = Init, 400000, "video", HLSCMAF
		}), ""},
		{"My%20clip%20(1).ism/manifest", with(func(q *Request) { q.Kind, q.Name = Manifest, "My clip (1)" }), ""},
		{"/film.ism//manifest", with(func(q *Request) { q.Kind = Manifest }), ""},
		{"film_720p.mp4", with(func(q *Request) { q.Kind, q.Name, q.Ext = File, "film_720p.mp4", "" }), ""},
		{"film.ism", with(func(q *Request) { q.Kind, q.Name, q.Ext = File, "film.ism", "" }), ""},

		{"", nil, packager.ResourceNotFound},
		{"film.ism/manifest(format=f4m-f4f)", nil, packager.OutputFormatNotSupported},
		{"film.ism/manifest(format=)", nil, packager.OutputFormatNotSupported},
		{"film.ism/manifest(encryption=rot13)", nil, EncryptionNotSupported},
		{"film.ism/manifest(format=m3u8-cmaf", nil, packager.BadURLSyntax},
		{"film.ism/manifest(format=m3u8-cmaf)x", nil, packager.BadURLSyntax},
		{"film.ism/manifests", nil, packager.BadURLSyntax},
		{"film.mp4/manifest", nil, packager.BadURLSyntax},
		{".ism/manifest", nil, packager.BadURLSyntax},
		{"film.ism/manifest(format=m3u8-cmaf,video)", nil, packager.BadURLSyntax},
		{"film.ism/manifest(video)", nil, packager.BadURLSyntax},
		{"film.ism/QualityLevels()/Fragments(video=0)", nil, packager.BadURLSyntax},
		{"film.ism/QualityLevels(x)/Fragments(video=0)", nil, packager.BadURLSyntax},
		{"film.ism/QualityLevels(-1)/Fragments(video=0)", nil, packager.BadURLSyntax},
		{"film.ism/QualityLevels(1)/Fragments(video=-1)", nil, packager.BadURLSyntax},
		{"film.ism/QualityLevels(1)/Fragments(video=99999999999999999999)", nil, packager.BadURLSyntax},
		{"film.ism/QualityLevels(1)/Fragments(video)", nil, packager.BadURLSyntax},
		{"film.ism/QualityLevels(1)/Fragments(video=i,format=m3u8-aapl)", nil, packager.BadURLSyntax},
		{"film.ism/QualityLevels(1)/Manifest(video,format=mpd-time-csf)", nil, packager.BadURLSyntax},
		{"film.ism/QualityLevels(1)/Other(video=0)", nil, packager.BadURLSyntax},
		{"film.ism/QualityLevels(1)/Fragments(video=0)/more", nil, packager.BadURLSyntax},
		{"..", nil, packager.BadURLSyntax},
		{"a%2Fb.mp4", nil, packager.BadURLSyntax},
		{"a%00.mp4", nil, packager.BadURLSyntax},
		{"film%zz.mp4", nil, packager.BadURLSyntax},
		{strings.Repeat("a", 5000), nil, packager.BadURLSyntax},
		{"film.ism/manifest(" + strings.Repeat("a=b,", 40) + ")", nil, packager.BadURLSyntax},
		{"film.ism/manifest(filter=1;2;3;4;5;6;7;8;9;10;11)", nil, TooManyFilters},
	} {
		got, err := ParsePath("/" + strings.ToUpper(testGUID) + "/" + tt.path)
		if tt.code != "" {
			if packager.CodeOf(err) != tt.code {
				t.Errorf("%s: error %v, want %s", tt.path, err, tt.code)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.path, err)
			continue
		}
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", tt.path, got, tt.want)
		}
	}
	for _, path := range []string{"", "/", "/favicon.ico", "/0f1e2d3c/film.ism/manifest", "/" + testGUID[:35] + "g/film.ism/manifest"} {
		if _, err := ParsePath(path); packager.CodeOf(err) != packager.ResourceNotFound {
			t.Errorf("%q: error %v, want %s", path, err, packager.ResourceNotFound)
		}
	}
}

// A path that parses reads back from its canonical spelling as the same thing.
func FuzzParsePath(f *testing.F) {
	for _, s := range []string{
		"film.ism/manifest(format=m3u8-aapl, filter=a;b)",
		"film.ism/QualityLevels(1)/Fragments(video=i,format=mpd-time-csf,encryption=cenc)",
		"film.ism/QualityLevels(1)/Manifest(audio,format=m3u8-aapl,type=keyframes)",
		"film.ism/manifest(video,format=m3u8-aapl-v3,audiotrack=audio).m3u8",
		"My%20clip%20%281%29.mp4",
	} {
		f.Add("/" + testGUID + "/" + s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		q, err := ParsePath(path)
		if err != nil {
			if packager.CodeOf(err) == "" {
				t.Fatalf("%q: error %v is none of ours", path, err)
			}
			return
		}
		u := url.URL{Path: q.Path()}
		again, err := ParsePath(u.EscapedPath())
		if err != nil || !reflect.DeepEqual(again, q) {
			t.Fatalf("%q: %+v reads back from %q as %+v, %v", path, q, u.EscapedPath(), again, err)
		}
	})
}
