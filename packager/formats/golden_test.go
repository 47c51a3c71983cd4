package formats_test

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/formats"
	"github.com/openams/openams/packager/mp4"
	"github.com/openams/openams/packager/text"
)

var update = flag.Bool("update", false, "rewrite golden files")

// golden compares got with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := gocmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); d != "" {
		t.Errorf("%s (-want +got):\n%s", path, d)
	}
}

// TestManifests holds every manifest and playlist against golden files. The
// media are indexes only, kept in testdata: encoders change from version to
// version.
func TestManifests(t *testing.T) {
	for _, name := range []string{"ladder", "multi-audio", "audio-only", "video-only"} {
		a := indexed(t, name)
		for _, format := range []string{"m3u8-cmaf", "m3u8-aapl", "m3u8-aapl-v3", "mpd-time-csf", "mpd-time-cmaf", "", "fmp4-v20"} {
			f, err := formats.Lookup(format)
			if err != nil {
				t.Fatal(err)
			}
			if format == "" {
				format = "smooth"
			}
			golden(t, filepath.Join(name, format+".txt"), a.manifest(t, f.Name, packager.Options{}))
			if f.Playlist == nil {
				continue
			}
			for _, track := range a.Tracks {
				r := track.Renditions[0]
				for _, keyframes := range []bool{false, true} {
					d, err := f.Playlist(a.Presentation, r, packager.Options{Keyframes: keyframes})
					if keyframes && format == "m3u8-aapl-v3" {
						if packager.CodeOf(err) != packager.OutputFormatNotSupported {
							t.Errorf("key frames of version 3: %v", err)
						}
						continue
					}
					if keyframes && track.Name != "video" {
						if packager.CodeOf(err) != packager.MediaTypeNotSupported {
							t.Errorf("%s: key frames of audio: %v", track.Name, err)
						}
						continue
					}
					if err != nil {
						t.Fatal(err)
					}
					suffix := ""
					if keyframes {
						suffix = "-keyframes"
					}
					golden(t, filepath.Join(name, format+"-"+track.Name+suffix+".txt"), d.Body)
				}
			}
		}
	}
}

// indexed opens an asset of the table from the indexes in testdata. Under
// -update they are made where they are missing; its media then go.
func indexed(t *testing.T, name string) *asset {
	t.Helper()
	i := slices.IndexFunc(assets, func(a assetOf) bool { return a.name == name })
	tt := assets[i]
	files := map[string]*mp4.Index{}
	for _, f := range tt.files {
		path := filepath.Join("testdata", name, f.name+".index")
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) && *update {
			b, err = makeIndex(t, f), os.MkdirAll(filepath.Dir(path), 0o755)
			if err == nil {
				err = os.WriteFile(path, b, 0o644)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[f.name], err = mp4.ParseIndex(b); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	return &asset{Presentation: present(t, tt.ism, files)}
}

func makeIndex(t *testing.T, f file) []byte {
	t.Helper()
	dir := t.TempDir()
	makeFile(t, dir, f)
	b, err := index(t, dir, f.name).AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestTextManifests holds the manifests of a film with subtitles against golden
// files, and the segments of text of each format.
func TestTextManifests(t *testing.T) {
	a := indexed(t, "ladder")
	for _, tt := range []struct {
		track  packager.TextTrack
		source string
	}{
		{packager.TextTrack{Name: "subt_en", File: "en.vtt", Bitrate: 4000, Language: "en-us", DisplayName: "English & more", Default: true, Characteristics: "public.accessibility.transcribes-spoken-dialog"},
			"WEBVTT\n\n1\n00:01.000 --> 00:07.000 line:0\n<i>One</i> &amp; two\n"},
		{packager.TextTrack{File: "de.ttml", Bitrate: 5000, Forced: true},
			`<tt xmlns="http://www.w3.org/ns/ttml" xml:lang="de"><body><div><p begin="5s" end="7s">Hallo<br/>Welt</p></div></body></tt>`},
	} {
		d, err := text.Parse([]byte(tt.source))
		if err != nil {
			t.Fatal(err)
		}
		a.AddText(tt.track, d)
	}
	for _, format := range []string{"m3u8-cmaf", "m3u8-aapl", "mpd-time-csf", "mpd-time-cmaf", ""} {
		f, err := formats.Lookup(format)
		if err != nil {
			t.Fatal(err)
		}
		name := cmp.Or(format, "smooth")
		golden(t, filepath.Join("captions", name+".txt"), a.manifest(t, format, packager.Options{}))
		for _, track := range a.Of(mp4.Text) {
			r := track.Renditions[0]
			if f.Playlist != nil {
				d, err := f.Playlist(a.Presentation, r, packager.Options{})
				if err != nil {
					t.Fatal(err)
				}
				golden(t, filepath.Join("captions", name+"-"+track.Name+".txt"), d.Body)
			}
			var all []byte
			for _, fragment := range r.Fragments {
				s, err := f.Fragment(a.Presentation, r, fragment.Start)
				if err != nil {
					t.Fatal(err)
				}
				if !s.Verbatim() || len(s.Extents) > 0 || s.Size != int64(len(s.Header)) {
					t.Errorf("%s: the segment is not whole in its header", track.Name)
				}
				all = fmt.Appendf(all, "%s %q\n", s.ContentType, s.Header)
			}
			golden(t, filepath.Join("captions", name+"-"+track.Name+"-segments.txt"), all)
		}
	}
}
