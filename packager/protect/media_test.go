package protect_test

import (
	"bytes"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/formats"
	"github.com/openams/openams/packager/ism"
	"github.com/openams/openams/packager/mp4"
	"github.com/openams/openams/packager/protect"
)

// The asset has what is encrypted in different ways: slices, parameter sets in
// band, several renditions, HEVC, audio.
const (
	picture = "-f lavfi -i testsrc2=s=320x180:r=25:d=9 -pix_fmt yuv420p"
	tone    = "-f lavfi -i sine=frequency=440:sample_rate=48000:d=9"
)

var files = map[string]string{
	"v1.mp4": picture + " -c:v libx264 -preset veryfast -bf 3 -g 50 -keyint_min 50 -sc_threshold 0 -b:v 400k -slices 3",
	"v2.mp4": picture + " -s 160x90 -c:v libx264 -preset veryfast -profile:v baseline -g 50 -keyint_min 50 -sc_threshold 0 -b:v 100k",
	"h.mp4":  picture + " -c:v libx265 -preset ultrafast -x265-params log-level=error:keyint=50:min-keyint=50:scenecut=0:open-gop=0:bframes=3:repeat-headers=1 -tag:v hvc1",
	"a.mp4":  tone + " -c:a aac -b:a 64k",
}

const streams = `<video src="v1.mp4" systemBitrate="400000"/><video src="v2.mp4" systemBitrate="100000"/>` +
	`<video src="h.mp4" systemBitrate="300000"><param name="trackName" value="hevc"/></video><audio src="a.mp4" systemBitrate="64000" systemLanguage="eng"/>`

type asset struct {
	dir string
	*packager.Presentation
}

var (
	theAsset *asset
	makeOnce sync.Once
)

// open makes the asset once for all tests.
func open(t testing.TB) *asset {
	t.Helper()
	makeOnce.Do(func() {
		dir := tempDir
		list := map[string]*mp4.Index{}
		for name, args := range files {
			run(t, "ffmpeg", append(append([]string{"-v", "error", "-nostdin"}, strings.Fields(args)...), filepath.Join(dir, name))...)
			list[name] = index(t, filepath.Join(dir, name))
		}
		theAsset = &asset{dir, present(t, streams, list)}
	})
	if theAsset == nil {
		t.Fatal("the asset could not be made")
	}
	return theAsset
}

func index(t testing.TB, path string) *mp4.Index {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	x, err := mp4.BuildIndex(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if x, err = mp4.AddNALs(x, bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
	return x
}

func present(t testing.TB, streams string, files map[string]*mp4.Index) *packager.Presentation {
	t.Helper()
	m, err := ism.Parse([]byte("<smil><head/><body><switch>" + streams + "</switch></body></smil>"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := packager.New(m, files)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var tempDir string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "protect")
	if err != nil {
		panic(err)
	}
	tempDir = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func run(t testing.TB, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, errs.Bytes())
	}
	return out
}

func (a *asset) open(name string) (io.ReaderAt, error) { return os.Open(filepath.Join(a.dir, name)) }

// bytes writes s as a server does.
func (a *asset) bytes(t testing.TB, s *packager.Segment, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := s.WriteTo(&b, a.open); err != nil {
		t.Fatal(err)
	}
	if int64(b.Len()) != s.Size {
		t.Fatalf("%d bytes, planned %d", b.Len(), s.Size)
	}
	return b.Bytes()
}

func format(t testing.TB, name string) *packager.Format {
	t.Helper()
	f, err := formats.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func unhex(s string) [16]byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return [16]byte(b)
}

const (
	videoKID = "11223344-5566-7788-99aa-bbccddeeff00"
	audioKID = "0123abcd-4567-89ab-cdef-0123456789ab"
)

var (
	videoKey = unhex("00112233445566778899aabbccddeeff")
	audioKey = unhex("f0e1d2c3b4a5968778695a4b3c2d1e0f")
)

// protection has a key for video and another for audio.
func protection(t testing.TB, scheme protect.Scheme) *protect.Protection {
	t.Helper()
	key := func(id string, value [16]byte) *protect.Key {
		kid, err := protect.ParseKeyID(id)
		if err != nil {
			t.Fatal(err)
		}
		return protect.NewKey(kid, value, nil)
	}
	video, audio := key(videoKID, videoKey), key(audioKID, audioKey)
	url := func(s string) func(protect.KeyID) string {
		return func(id protect.KeyID) string { return "https://ams.example/keys/" + s + "?kid=" + id.String() + "&x=1" }
	}
	return &protect.Protection{
		Scheme: scheme,
		Keys: func(r *packager.Rendition) *protect.Key {
			if r.Track.Kind == mp4.Video {
				return video
			}
			return audio
		},
		Version: "asset-1",
		Systems: protect.Systems{
			Key: url(""), PlayReady: url("PlayReady/"), Widevine: url("Widevine/"), ClearKey: url("ClearKey/"),
			FairPlay: func(id protect.KeyID) string { return "skd://ams.example/keys/FairPlay/?kid=" + id.String() },
		},
	}
}

func keyOf(r *packager.Rendition) (kid, key string) {
	if r.Track.Kind == mp4.Video {
		return strings.ReplaceAll(videoKID, "-", ""), hex.EncodeToString(videoKey[:])
	}
	return strings.ReplaceAll(audioKID, "-", ""), hex.EncodeToString(audioKey[:])
}
