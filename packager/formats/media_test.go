package formats_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/ism"
	"github.com/openams/openams/packager/mp4"
)

// An asset is a folder of files that ffmpeg made, and its presentation.
type asset struct {
	dir string
	*packager.Presentation
}

// A file is one MP4 for ffmpeg to make; {dir} is where the ones before it are.
type file struct{ name, args string }

const (
	// A picture that moves everywhere, so that frames differ.
	picture = "-f lavfi -i testsrc2=s=320x180:r="
	tone    = " -f lavfi -i sine=frequency=440:sample_rate=48000"
	avc     = " -c:v libx264 -preset veryfast -bf 3 -g 50 -keyint_min 50 -sc_threshold 0 -pix_fmt yuv420p"
)

type assetOf struct {
	name  string
	files []file
	ism   string // the streams
}

// assets are the kinds of files that are played in every format.
var assets = []assetOf{
	{"ladder", []file{
		{"v1.mp4", picture + "25 -t 13" + avc + " -b:v 300k"},
		{"v2.mp4", picture + "25 -t 13" + avc + " -s 160x90 -b:v 100k -video_track_timescale 90000"},
		{"a.mp4", tone + " -t 13.01 -c:a aac -b:a 64k"},
	}, `<video src="v1.mp4" systemBitrate="300000"/><video src="v2.mp4" systemBitrate="100000"/><audio src="a.mp4" systemLanguage="eng"/>`},
	{"muxed-29.97", []file{
		{"m1.mp4", picture + "30000/1001" + tone + " -t 14" + avc + " -g 60 -keyint_min 60 -b:v 300k -c:a aac -b:a 96k -movflags +faststart"},
		{"m2.mp4", picture + "30000/1001" + tone + " -t 14" + avc + " -g 60 -keyint_min 60 -s 160x90 -b:v 100k -c:a aac -b:a 96k"},
	}, `<video src="m1.mp4"/><video src="m2.mp4"/><audio src="m1.mp4"/>`},
	{"hevc-23.976", []file{
		{"h.mp4", picture + "24000/1001" + tone + " -t 9 -c:v libx265 -preset ultrafast -x265-params log-level=error:keyint=48:min-keyint=48:scenecut=0:open-gop=0:bframes=3 -tag:v hvc1 -pix_fmt yuv420p -c:a aac"},
	}, `<video src="h.mp4"/><audio src="h.mp4"/>`},
	{"multi-audio", []file{
		{"v.mp4", picture + "50 -t 8" + avc + " -g 100 -b:v 200k"},
		{"a1.mp4", tone + " -t 8 -c:a aac -b:a 64k -metadata:s:a:0 language=eng"},
		{"a2.mp4", " -f lavfi -i sine=frequency=880:sample_rate=44100 -t 8 -c:a aac -b:a 64k -metadata:s:a:0 language=fra"},
		{"a3.mp4", tone + " -t 8 -ac 6 -c:a ac3 -b:a 192k -metadata:s:a:0 language=deu"},
		{"a4.mp4", tone + " -t 8 -ac 2 -c:a eac3 -b:a 96k -metadata:s:a:0 language=ita"},
	}, `<video src="v.mp4"/><audio src="a1.mp4"/><audio src="a2.mp4"/><audio src="a3.mp4"/><audio src="a4.mp4"/>`},
	{"audio-only", []file{{"a.mp4", tone + " -t 7 -c:a aac -ac 2"}}, `<audio src="a.mp4"/>`},
	{"video-only", []file{{"v.mp4", picture + "12.5 -t 7" + avc + " -g 25"}}, `<video src="v.mp4"/>`},
}

func makeAsset(t *testing.T, tt assetOf) *asset {
	t.Helper()
	dir := t.TempDir()
	files := map[string]*mp4.Index{}
	for _, f := range tt.files {
		makeFile(t, dir, f)
		files[f.name] = index(t, dir, f.name)
	}
	return &asset{dir, present(t, tt.ism, files)}
}

func makeFile(t *testing.T, dir string, f file) {
	t.Helper()
	args := append([]string{"-v", "error", "-nostdin"}, strings.Fields(strings.ReplaceAll(f.args, "{dir}", dir))...)
	if out, err := exec.Command("ffmpeg", append(args, filepath.Join(dir, f.name))...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg %s: %v\n%s", f.name, err, out)
	}
}

func index(t *testing.T, dir, name string) *mp4.Index {
	t.Helper()
	x, err := indexFile(dir, name)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return x
}

func indexFile(dir, name string) (*mp4.Index, error) {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return mp4.BuildIndex(f, info.Size())
}

func present(t *testing.T, streams string, files map[string]*mp4.Index) *packager.Presentation {
	t.Helper()
	p, err := tryPresent(streams, files)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func tryPresent(streams string, files map[string]*mp4.Index) (*packager.Presentation, error) {
	m, err := ism.Parse([]byte("<smil><head/><body><switch>" + streams + "</switch></body></smil>"))
	if err != nil {
		return nil, err
	}
	return packager.New(m, files)
}
