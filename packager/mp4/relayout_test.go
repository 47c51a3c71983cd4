package mp4_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/openams/openams/packager/mp4"
)

// relayout writes the file anew and returns where.
func relayout(t testing.TB, path string, fragment time.Duration) string {
	t.Helper()
	src, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	st, err := src.Stat()
	if err != nil {
		t.Fatal(err)
	}
	dst, err := os.Create(filepath.Join(t.TempDir(), filepath.Base(path)))
	if err != nil {
		t.Fatal(err)
	}
	defer dst.Close()
	if err := mp4.Relayout(dst, src, st.Size(), fragment); err != nil {
		t.Fatal(err)
	}
	return dst.Name()
}

// frames returns time, size and MD5 of every packet, as ffmpeg sees them.
func frames(t testing.TB, path string) string {
	t.Helper()
	out, err := exec.Command("ffmpeg", "-v", "error", "-i", path, "-map", "0", "-c", "copy", "-copy_unknown", "-f", "framemd5", "-").Output()
	if err != nil {
		t.Fatalf("framemd5 %s: %v", path, err)
	}
	return string(out)
}

// TestRelayout shows that a fragment is one extent afterwards, that nothing
// else changed, and that a second pass changes nothing.
func TestRelayout(t *testing.T) {
	for _, tt := range []struct {
		name     string
		fragment time.Duration
	}{
		{"muxed.mp4", 0}, {"muxed.mp4", 2 * time.Second}, {"film.mp4", 0}, {"bframes.mp4", 0}, {"hevc.mp4", time.Second},
		{"vfr.mp4", time.Second}, {"late.mp4", time.Second}, {"surround.mp4", time.Second}, {"ac3.mp4", time.Second},
		{"captions.mp4", 2 * time.Second}, {"anamorph.mp4", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			old := clip(t, tt.name)
			path := relayout(t, old, tt.fragment)
			before, _ := open(t, old)
			after, _ := open(t, path)
			for i, tr := range after.Tracks {
				list := tr.Fragments(tt.fragment)
				if i == 0 && len(list) < 2 && tt.fragment > 0 {
					t.Errorf("track %d has %d fragments: the clip shows nothing", tr.ID, len(list))
				}
				for k, f := range list {
					if e := tr.Extents(f.First, f.N); len(e) != 1 || e[0].Length != f.Bytes {
						t.Errorf("track %d, fragment %d: %d bytes in extents %v", tr.ID, k, f.Bytes, e)
					}
				}
				if was := before.Tracks[i]; was.EditStart != tr.EditStart || was.EditEnd != tr.EditEnd || !bytes.Equal(was.SampleEntry, tr.SampleEntry) || was.Language != tr.Language {
					t.Errorf("track %d was %+v, is %+v", tr.ID, was, tr)
				}
			}
			if a, b := frames(t, old), frames(t, path); a != b {
				t.Errorf("ffmpeg reads other packets: before\n%.600s\nafter\n%.600s", a, b)
			}
			if head := readAll(t, path); !bytes.Equal(head[4:8], []byte("ftyp")) || bytes.Index(head, []byte("moov")) > bytes.Index(head, []byte("mdat")) {
				t.Error("moov is not before mdat")
			}
			if again := relayout(t, path, tt.fragment); !bytes.Equal(readAll(t, again), readAll(t, path)) {
				t.Error("a second pass changed the file")
			}
		})
	}
}

// TestRelayoutDefault: the layout of DefaultFragment serves 6 s of 25 fps and
// of 23.976 fps, three GOPs each, in every track of a muxed file.
func TestRelayoutDefault(t *testing.T) {
	for _, tt := range []struct {
		name  string
		video []int // samples by fragment
		audio []int
	}{
		{"muxed.mp4", []int{150, 150, 50}, []int{282, 282, 94}},
		{"film.mp4", []int{144, 144, 24}, []int{259, 259, 43}},
	} {
		x, _ := open(t, relayout(t, clip(t, tt.name), 0))
		for i, want := range [][]int{tt.video, tt.audio} {
			tr := x.Tracks[i]
			list := tr.Fragments(0)
			if len(list) != len(want) {
				t.Fatalf("%s: track %d has %d fragments, want %d", tt.name, tr.ID, len(list), len(want))
			}
			for k, f := range list {
				if e := tr.Extents(f.First, f.N); f.N != want[k] || len(e) != 1 {
					t.Errorf("%s: track %d, fragment %d has %d samples in %d extents, want %d in 1", tt.name, tr.ID, k, f.N, len(e), want[k])
				}
			}
		}
	}
}

func TestRelayoutRefuses(t *testing.T) {
	for name, want := range map[string]mp4.Fault{"cmaf.mp4": mp4.Unsupported, "many.mov": mp4.Unsupported} {
		data := readAll(t, clip(t, name))
		err := mp4.Relayout(io.Discard, bytes.NewReader(data), int64(len(data)), 0)
		if e, ok := errors.AsType[*mp4.Error](err); !ok || e.Fault != want {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	data := readAll(t, clip(t, "muxed.mp4"))
	full := errors.New("disk full")
	if err := mp4.Relayout(&failing{200000, full}, bytes.NewReader(data), int64(len(data)), 0); !errors.Is(err, full) {
		t.Errorf("on a full disk: %v", err)
	}
}

// failing takes n bytes and then fails.
type failing struct {
	n   int
	err error
}

func (f *failing) Write(p []byte) (int, error) {
	if f.n -= len(p); f.n < 0 {
		return 0, f.err
	}
	return len(p), nil
}

func readAll(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
