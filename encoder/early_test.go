package encoder

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/openams/openams/packager/ism"
)

// TestEarly looks at what an encode publishes while it goes on: fragments before
// the manifest that names their folders, the lowest rung and the sound alone, and
// the names that the finished manifest has too.
func TestEarly(t *testing.T) {
	for name, how := range map[string]How{"in one piece": {}, "in chunks": {Lanes: 2}, "a single rung": {Lanes: 2}} {
		t.Run(name, func(t *testing.T) {
			plan, srcs := chunked(t, "25", 13, Clip{})
			if name == "a single rung" {
				plan.Video.Rungs = plan.Video.Rungs[:1]
				plan.Files = slices.DeleteFunc(plan.Files, func(f File) bool { return f.Parts[0] == "v1" })
			}
			if !plan.MayPlayEarly() {
				t.Fatal("it cannot play early")
			}
			plan.Early = true
			var names []string
			manifests := map[ism.Early]*ism.Manifest{}
			how.Name = "task"
			how.Publish = func(_ context.Context, f OutputFile) error {
				if strings.HasSuffix(f.Name, ".ism") {
					b, err := os.ReadFile(f.Path)
					if err != nil {
						return err
					}
					m, err := ism.Parse(b)
					if err != nil {
						return err
					}
					manifests[m.Early] = m
					for _, s := range m.Streams {
						if !slices.Contains(names, s.Src+"/header") || !slices.Contains(names, s.Src+"/0") {
							t.Errorf("%s is named when there is only %q", s.Src, names)
						}
					}
				}
				names = append(names, f.Name)
				return nil
			}
			files, err := EncodeAs(t.Context(), tools(t), plan, srcs, how, filepath.Join(t.TempDir(), "out"), nil)
			if err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(files[len(files)-1].Path)
			if err != nil {
				t.Fatal(err)
			}
			final, err := ism.Parse(b)
			if err != nil {
				t.Fatal(err)
			}
			early := manifests[ism.EarlyWhole]
			if early == nil || len(early.Streams) != 2 || final.Early != "" {
				t.Fatalf("early manifests %v, the last one %+v", manifests, final)
			}
			for _, s := range early.Streams {
				if !slices.ContainsFunc(final.Streams, func(f ism.Stream) bool {
					return f.Kind == s.Kind && f.Bitrate == s.Bitrate && f.TrackName == s.TrackName && f.Language == s.Language
				}) {
					t.Errorf("%+v is not in the finished manifest: %+v", s, final.Streams)
				}
			}
			fragments := slices.DeleteFunc(names, func(name string) bool { return !strings.Contains(name, "/") })
			if len(fragments) != 2*4 || !slices.Contains(fragments, early.Streams[1].Src+"/120000000") { // header, 0, 6 and 12 s
				t.Errorf("published %q", fragments)
			}
		})
	}
}

// TestComplete: a fragment counts once all of it is there.
func TestComplete(t *testing.T) {
	box := func(kind string, n int) string {
		return string([]byte{0, 0, 0, byte(8 + n)}) + kind + strings.Repeat("x", n)
	}
	head, data := box("moof", 20), box("mdat", 30)
	for _, tt := range []struct {
		file string
		from int64
		want int
	}{
		{"", 0, 0},
		{head, 0, 0},
		{head + data, 0, len(head + data)},
		{head + data[:len(data)-1], 0, 0},
		{head + data + head, 0, len(head + data)},
		{head + data + head + data, int64(len(head + data)), len(head + data + head + data)},
		{head + data + "\x00\x00\x00\x01mdat\xff\xff\xff\xff\xff\xff\xff\xff", 0, len(head + data)},
		{"\x00\x00\x00\x00mdat0123456789", 0, 0},
	} {
		path := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(path, []byte(tt.file), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := complete(f, tt.from); err != nil || got != int64(tt.want) {
			t.Errorf("%q from %d: %d, %v, want %d", tt.file, tt.from, got, err, tt.want)
		}
		f.Close()
	}
}
