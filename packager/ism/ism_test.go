package ism_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/openams/openams/packager/ism"
)

var update = flag.Bool("update", false, "rewrite golden files")

// encoded is a manifest as the AMS encoder wrote it, with a text track as the
// tracks API added it.
var encoded = &ism.Manifest{
	ClientManifest: "film.ismc",
	Formats:        "mp4-v3",
	Streams: []ism.Stream{
		{Kind: ism.Audio, Src: "film_180p.mp4", Bitrate: 128041, Language: "eng", TrackID: 2,
			TrackName: "aac_eng_2_128041_2_1", TrackIndex: "film_180p_2.mpi"},
		{Kind: ism.Video, Src: "film_720p.mp4", Bitrate: 3549855, TrackID: 1, TrackName: "video", TrackIndex: "film_720p_1.mpi"},
		{Kind: ism.Audio, Src: "described.m4a", Bitrate: 96000, Language: "eng",
			TrackName: "described", Accessibility: "description", Role: "alternate"},
		{Kind: ism.Text, Src: "en.cmft", Bitrate: 52, Language: "en-us", TrackID: 1, TrackName: "subt_en-us",
			DisplayName: "English & more", Default: true, Transcript: "en.vtt",
			Characteristic: "public.accessibility.transcribes-spoken-dialog",
			Params:         []ism.Param{{Name: "outputFlag", Value: "3"}, {Name: "armId", Value: "en"}}},
	},
}

func TestEncode(t *testing.T) {
	got := encoded.Encode()
	path := filepath.Join("testdata", "encoded.ism")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	again, err := ism.Parse(got)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(encoded, again); d != "" {
		t.Errorf("reads back otherwise (-want +got):\n%s", d)
	}
}

func utf16LE(s string, mark bool) string {
	var b strings.Builder
	if mark {
		b.WriteString("\xff\xfe")
	}
	for _, u := range utf16.Encode([]rune(s)) {
		b.WriteByte(byte(u))
		b.WriteByte(byte(u >> 8))
	}
	return b.String()
}

func utf16BE(s string) string {
	var b strings.Builder
	b.WriteString("\xfe\xff")
	for _, u := range utf16.Encode([]rune(s)) {
		b.WriteByte(byte(u >> 8))
		b.WriteByte(byte(u))
	}
	return b.String()
}

// minimal is the form of hand-made MP4 sets.
const minimal = `<?xml version="1.0" encoding="utf-16"?>
<smil xmlns="http://www.w3.org/2001/SMIL20/Language">
  <head><meta name="formats" content="mp4" /></head>
  <body><switch><video src="a é.mp4" /><video src="b.mp4" /><audio src="b.mp4" /></switch></body>
</smil>`

func TestParse(t *testing.T) {
	set := &ism.Manifest{Formats: "mp4", Streams: []ism.Stream{
		{Kind: ism.Video, Src: "a é.mp4"}, {Kind: ism.Video, Src: "b.mp4"}, {Kind: ism.Audio, Src: "b.mp4"},
	}}
	for _, tt := range []struct {
		name, in string
		want     *ism.Manifest
	}{
		{"UTF-8 that claims to be UTF-16", minimal, set},
		{"UTF-8 with a mark", "\ufeff" + minimal, set},
		{"UTF-16 LE", utf16LE(minimal, true), set},
		{"UTF-16 LE without a mark", utf16LE(minimal, false), set},
		{"UTF-16 BE", utf16BE(minimal), set},
		{"Latin-1", strings.ReplaceAll(strings.ReplaceAll(minimal, "utf-16", "iso-8859-1"), "é", "\xe9"), set},
		{"any case", strings.NewReplacer("smil", "SMIL", "video", "Video", "src", "SRC", "meta", "META", "formats", "Formats").Replace(minimal), set},
		{"no namespace, nothing but sources", `<smil><body><switch><video src=" v.mp4 "/></switch></body></smil>`,
			&ism.Manifest{Streams: []ism.Stream{{Kind: ism.Video, Src: "v.mp4"}}}},
		{"params without attributes", `<smil><head><meta name="fragmentsPerHLSSegment" content="2"/><meta name="x" content="y"/></head><body><switch>
			<audio src="a.mp4"><param name="SystemBitrate" value="5"/><param name="trackid" value="7"/><param name="systemLanguage" value="fra"/><param name="timeScale" value="90000"/></audio></switch></body></smil>`,
			&ism.Manifest{FragmentsPerHLSSegment: 2, Meta: []ism.Param{{Name: "x", Value: "y"}}, Streams: []ism.Stream{
				{Kind: ism.Audio, Src: "a.mp4", Bitrate: 5, TrackID: 7, Language: "fra", Params: []ism.Param{{Name: "timeScale", Value: "90000"}}}}}},
		{"streams of several switches, and of none", `<smil><body><video src="v.mp4"/><switch><audio src="a.mp4"/></switch><par><switch><audio src="b.mp4"/><switch><textstream src="t.vtt"/></switch></switch></par></body></smil>`,
			&ism.Manifest{Streams: []ism.Stream{{Kind: ism.Video, Src: "v.mp4"}, {Kind: ism.Audio, Src: "a.mp4"}, {Kind: ism.Audio, Src: "b.mp4"}, {Kind: ism.Text, Src: "t.vtt"}}}},
		{"a language and a bitrate said twice: the attribute counts", `<smil><body><switch><audio src="a.mp4" systemBitrate="5" systemLanguage="deu"><param name="systemBitrate" value="6"/><param name="systemLanguage" value="fra"/></audio></switch></body></smil>`,
			&ism.Manifest{Streams: []ism.Stream{{Kind: ism.Audio, Src: "a.mp4", Bitrate: 5, Language: "deu"}}}},
		{"several languages", `<smil><body><switch><audio src="a.mp4" systemLanguage="en-us, en"/><audio src="b.mp4" systemLanguage=" , en"/></switch></body></smil>`,
			&ism.Manifest{Streams: []ism.Stream{{Kind: ism.Audio, Src: "a.mp4", Language: "en-us"}, {Kind: ism.Audio, Src: "b.mp4"}}}},
		{"a name of a track in blanks, a param that is empty", `<smil><body><switch><audio src="a.mp4"><param name="trackName" value=" commentary "/><param name="role" value=" "/><param name="trackName" value="second"/></audio></switch></body></smil>`,
			&ism.Manifest{Streams: []ism.Stream{{Kind: ism.Audio, Src: "a.mp4", TrackName: "commentary"}}}},
		{"params of text", `<smil><body><switch><textstream src="t.vtt" systemBitrate="0"><param name="outputFlag" value="2"/><param name="textIsDefault" value="False"/><param name="armId" value="t"/></textstream></switch></body></smil>`,
			&ism.Manifest{Streams: []ism.Stream{{Kind: ism.Text, Src: "t.vtt", Params: []ism.Param{{Name: "outputFlag", Value: "2"}, {Name: "armId", Value: "t"}}}}}},
		{"unknown elements", `<smil><body><par><foo><bar/></foo><switch><ref src="x"/><video src="v.mp4"><foo/></video></switch></par></body></smil>`,
			&ism.Manifest{Streams: []ism.Stream{{Kind: ism.Video, Src: "v.mp4"}}}},
	} {
		got, err := ism.Parse([]byte(tt.in))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	streams := func(n int) string {
		return "<smil><body><switch>" + strings.Repeat(`<video src="v"/>`, n) + "</switch></body></smil>"
	}
	for _, tt := range []struct{ name, in, says string }{
		{"nothing", "", "no <smil>"},
		{"text", "hello", "no <smil>"},
		{"HTML", "<html></html>", "root element is <html>"},
		{"no streams", "<smil></smil>", "names no"},
		{"no src", "<smil><video/></smil>", "has no src"},
		{"cut off", `<smil><video src="v">`, "EOF"},
		{"two roots", `<smil><video src="v"/></smil><smil/>`, "two root"},
		{"a bomb", `<!DOCTYPE smil [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><smil><video src="&b;"/></smil>`, "document type"},
		{"an entity", `<smil><video src="&b;"/></smil>`, "entity"},
		{"too deep", strings.Repeat("<smil>", 17), "deep"},
		{"too many", streams(1025), "more than 1024 streams"},
		{"too big", strings.Repeat(" ", ism.MaxSize+1), "bytes"},
		{"a bitrate", `<smil><video src="v" systemBitrate="many"/></smil>`, `systemBitrate is "many"`},
		{"a negative bitrate", `<smil><video src="v" systemBitrate="-1"/></smil>`, `systemBitrate is "-1"`},
		{"a track", `<smil><video src="v"><param name="trackID" value="one"/></video></smil>`, `trackID is "one"`},
		{"no packing", `<smil><head><meta name="fragmentsPerHLSSegment" content="0"/></head></smil>`, "fragmentsPerHLSSegment"},
	} {
		_, err := ism.Parse([]byte(tt.in))
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: error %v, want one that says %q", tt.name, err, tt.says)
		}
	}
	if _, err := ism.Parse([]byte(streams(1024))); err != nil {
		t.Errorf("1024 streams: %v", err)
	}
}

func TestHidden(t *testing.T) {
	for flag, want := range map[string]bool{"": false, "0": true, "1": true, "2": false, "3": false, "many": false, "-1": false} {
		s := ism.Stream{Kind: ism.Text, Src: "t.vtt", Params: []ism.Param{{Name: "armId", Value: "1"}, {Name: "OutputFlag", Value: flag}}}
		if s.Hidden() != want {
			t.Errorf("outputFlag %q: hidden %v", flag, !want)
		}
	}
}

func TestSources(t *testing.T) {
	m, err := ism.Parse([]byte(`<smil><video src="a"/><audio src="b"/><textstream src="t"/><audio src="a"/></smil>`))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"a", "b"}, m.Sources()); d != "" {
		t.Error(d)
	}
}

// What is read must read back the same from what Encode writes of it.
func FuzzParse(f *testing.F) {
	f.Add(encoded.Encode())
	f.Add([]byte(minimal))
	f.Add([]byte(utf16LE(minimal, true)))
	f.Add([]byte(`<smil><video src="a"/><audio SRC='b' systemBitrate="1"><param name="x" value="&#1;"/></audio></smil>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ism.Parse(b)
		if err != nil {
			return
		}
		again, err := ism.Parse(m.Encode())
		if err != nil {
			t.Fatalf("%s: does not read back: %v", m.Encode(), err)
		}
		if d := cmp.Diff(m, again); d != "" {
			t.Fatalf("reads back otherwise (-want +got):\n%s", d)
		}
	})
}
