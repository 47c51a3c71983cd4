package formats_test

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/formats"
	"github.com/openams/openams/packager/mp4"
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
	if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); d != "" {
		t.Errorf("%s (-want +got):\n%s", path, d)
	}
}

// TestManifests holds every manifest and playlist against golden files. The
// media are indexes only, kept in testdata: encoders change from version to
// version.
func TestManifests(t *testing.T) {
	for _, name := range []string{"ladder", "multi-audio", "audio-only", "video-only"} {
		a := indexed(t, name)
		for _, format := range []string{"m3u8-cmaf", "m3u8-aapl", "mpd-time-csf", "mpd-time-cmaf", "", "fmp4-v20"} {
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
