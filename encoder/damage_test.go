package encoder

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/jobqueue"
	"github.com/openams/openams/packager/mp4"
)

// TestTolerateDamage: by default a damaged file is refused; asked to, the encoder
// makes what it can of it, and still refuses what holds nothing.
func TestTolerateDamage(t *testing.T) {
	dir := filepath.Join(media(t), "malformed")
	body := func(options string) ams.Preset {
		return standard(`{"codecs":[{"#H264Video","layers":[{"bitrate":300000,"width":"320","height":"180"}]},{"#AacAudio","bitrate":96000}],` +
			`"formats":[{"#Mp4Format","filenamePattern":"out{Extension}"}]` + options + `}`)
	}
	strict, no, tolerant := body(""), body(`,"experimentalOptions":{"openams.tolerateDamage":"false"}`), body(`,"experimentalOptions":{"openams.tolerateDamage":"true"}`)
	for _, tt := range []struct {
		file        string
		least, most int // frames, if damage is tolerated; 0: nothing to save
	}{
		{"truncated-faststart.mp4", 65, 75}, // 2.76 s at 25 frames a second, of a film of 30 s
		{"bitrot-mdat.mp4", 130, 134},
		{"moov-missing.mp4", 0, 0},
		{"zero-bytes.mp4", 0, 0},
		{"text-renamed.mp4", 0, 0},
	} {
		path := filepath.Join(dir, tt.file)
		var said []string
		for _, p := range []ams.Preset{strict, no} {
			out := filepath.Join(t.TempDir(), "out")
			_, _, err := encodeWith(t, p, Clip{}, out, path)
			fail, ok := errors.AsType[*ams.JobError](err)
			if !ok || fail.Code.Category() != "Content" || list(t, out) != nil {
				t.Errorf("%s: %v, and %q is left", tt.file, err, list(t, out))
				continue
			}
			said = append(said, fail.Message)
		}
		out := filepath.Join(t.TempDir(), "out")
		files, plan, err := encodeWith(t, tolerant, Clip{}, out, path)
		if tt.most == 0 {
			if fail, ok := errors.AsType[*ams.JobError](err); !ok || len(said) == 0 || fail.Message != said[0] {
				t.Errorf("%s: %v, want %q", tt.file, err, said)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.file, err)
			continue
		}
		indexes, _ := check(t, files, plan, out)
		for _, k := range indexes["out.mp4"].Tracks {
			if n := k.NumSamples(); k.Kind == mp4.Video && (n < tt.least || n > tt.most) {
				t.Errorf("%s: %d frames, want %d to %d", tt.file, n, tt.least, tt.most)
			}
		}
	}
}

// TestLeftovers: what earlier jobs left in an asset does not change which file is
// encoded, nor what the outputs are called.
func TestLeftovers(t *testing.T) {
	s := newService(t, jobqueue.Config{})
	s.run(s.worker("one"))
	write := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	smil := func(src string) string {
		return write("x.ism", `<smil xmlns="http://www.w3.org/2001/SMIL20/Language"><head/><body><switch><video src="`+src+`" systemBitrate="1000"/></switch></body></smil>`)
	}
	path := film(t, "1", "320x180", "25")
	picture := clip(t, "big.png", "-f", "lavfi", "-i", "testsrc2=size=1920x1080:duration=0.04", "-frames:v", "1")
	files := map[string]string{
		"film.mp4": path,
		"gone.ism": smil("gone_1080.mp4"), "broken.ism": write("b", "<smil"), "empty.ism": write("e", ""), "folder.ism": smil("archive.mp4"), "ghost.ism": smil("cam_600000"),
		"film.ismc": write("c", "<SmoothStreamingMedia/>"), "film.mpi": write("i", "\x00\x01"), "other.mpi": write("j", "junk"),
		"aaa_thumb.jpg": picture, "Thumbnail000001.png": picture, "sprite.vtt": write("v", "WEBVTT\n"), "film_manifest.json": write("m", "{}"),
		"00000000-0000-0000-0000-000000000000_metadata.xml": write("x", "<AssetFiles/>"), "notes.txt": write("n", "film.mp4"), "film.m3u8": write("l", "#EXTM3U\nfile:///etc/passwd\n"),
		"report": write("r", "no media, and no extension either"),
	}
	in := s.asset("in", files)
	out := s.asset("out", nil)
	if task := s.wait(s.submit("v3", "AACGoodQualityAudio", assetInput("in"), "out")); task.State != ams.Finished {
		t.Fatalf("%s %v", task.State, task.Error)
	}
	if got := s.files(out); !slices.Contains(got, "film_AACAudio_192.mp4") || !slices.Contains(got, "film.ism") {
		t.Errorf("outputs %q", got)
	}
	// v2 begins with the primary file.
	if _, err := s.account.CreateFile(t.Context(), ams.AssetFile{Asset: in.ID, Name: "film.mp4", Primary: true}); err != nil {
		t.Fatal(err)
	}
	if err := s.account.CreateFileInfos(t.Context(), in.ID); err != nil {
		t.Fatal(err)
	}
	task := s.mes(in, "AAC Audio")
	if task.State != ams.Finished {
		t.Fatalf("%s %v", task.State, task.Error)
	}
	made, err := s.account.Asset(t.Context(), task.Asset)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.files(made); !slices.ContainsFunc(got, func(n string) bool { return strings.HasPrefix(n, "film_AAC_") }) {
		t.Errorf("outputs %q", got)
	}
}

// TestMissingBytes: a blob whose bytes are gone from the disk fails its task, which
// names the file, and says so to nobody but the log in more words.
func TestMissingBytes(t *testing.T) {
	s := newService(t, jobqueue.Config{Attempts: 1})
	s.run(s.worker("one"))
	in := s.asset("in", map[string]string{"film.mp4": film(t, "1", "320x180", "25")})
	out := s.asset("out", nil)
	path, _ := s.read(in, "film.mp4")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	task := s.wait(s.submit("j", "AdaptiveStreaming", assetInput("in"), "out"))
	if task.Error == nil || task.Error.Code != ams.DownloadTransientError || !strings.Contains(task.Error.Message, "'film.mp4'") || strings.Contains(task.Error.Message, s.dir) {
		t.Errorf("%s %v", task.State, task.Error)
	}
	if left := s.files(out); left != nil {
		t.Errorf("%q is left", left)
	}
}
