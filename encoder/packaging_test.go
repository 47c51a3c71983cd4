package encoder

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/jobqueue"
	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/ism"
	"github.com/openams/openams/packager/mp4"
)

// defineTask writes a task definition of the packager or the encryptor.
func defineTask(id string, properties ...string) string {
	text := `<taskDefinition xmlns="http://schemas.microsoft.com/iis/media/v4/TM/TaskDefinition#"><name>N</name><id>` + id + `</id><properties namespace="n" prefix="p">`
	for _, p := range properties {
		name, value, _ := strings.Cut(p, "=")
		text += `<property name="` + name + `" value="` + value + `"/>`
	}
	return text + `</properties></taskDefinition>`
}

const (
	toSmooth  = "5e1e1a1c-bba6-11df-8991-0019d1916af0"
	toHLS     = "A72D7A5D-3022-45f2-89B4-1DDC5457C111"
	validate  = "859515BF-9BA3-4BDD-A3B6-400CEF07F870"
	playReady = "9A3BFEAC-F8AE-41CA-87FA-D639E4D1C753"
)

// The documented chain: an MP4 set is validated, made Smooth, then HLS and a
// protected set. The outputs are what their next reader takes.
func TestPackagingTasks(t *testing.T) {
	s := newService(t, jobqueue.Config{})
	s.run(s.worker("one"))
	in := s.asset("in", map[string]string{"film.mp4": film(t, "2", "320x180", "25")})
	if err := s.account.CreateFileInfos(t.Context(), in.ID); err != nil {
		t.Fatal(err)
	}
	out := func(n int) account.Port { return account.Port{Output: true, N: n} }
	j, err := s.account.SubmitTasks(t.Context(), account.TaskJobRequest{Name: "static", Inputs: []string{in.ID}, Tasks: []account.TaskRequest{
		taskOf(ams.MediaPackager, "\ufeff"+defineTask(validate, "SmoothRequired=true", "HLSRequired=true"), account.Port{}, 0),
		taskOf(ams.MediaPackager, defineTask(toSmooth), out(0), 1),
		taskOf(ams.MediaPackager, defineTask(toHLS, "maxbitrate=6600000", "encrypt=true", "keyuri=https://keys.example/film"), out(1), 2),
		taskOf(ams.MediaEncryptor, defineTask(playReady, "contentKey=AQIDBAUGBwgJCgsMDQ4PEA==", "licenseAcquisitionUrl=https://licence.example/"), out(1), 3),
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range j.Tasks {
		if i < 2 {
			continue
		}
		if now := s.ended(j, i); now.Tasks[i].State == ams.Failed {
			t.Fatalf("task %d: %v", i, now.Tasks[i].Error)
		}
	}
	for i, want := range []struct {
		primary string
		exts    []string
	}{
		{"film.ism", []string{".ism", ".ismc", ".mp4", ".mpi"}},
		{"film.ism", []string{".ism", ".isma", ".ismc", ".ismv", ".mpi"}},
		{"film-m3u8-aapl.m3u8", []string{".key", ".m3u8", ".ts"}},
		{"film.ism", []string{".ism", ".isma", ".ismc", ".ismv"}},
	} {
		a, err := s.account.Asset(t.Context(), j.Tasks[i].Asset)
		if err != nil {
			t.Fatal(err)
		}
		files, err := s.account.AssetFiles(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		var exts []string
		for _, f := range files {
			exts = append(exts, filepath.Ext(f.Name))
			if f.Primary != (f.Name == want.primary) {
				t.Errorf("output %d: %s is primary: %v", i, f.Name, f.Primary)
			}
		}
		slices.Sort(exts)
		if exts = slices.Compact(exts); !slices.Equal(exts, want.exts) {
			t.Errorf("output %d: files %q", i, s.files(a))
		}
	}
	// What the origin makes of a Smooth set: a presentation.
	a, _ := s.account.Asset(t.Context(), j.Tasks[1].Asset)
	_, text := s.read(a, "film.ism")
	m, err := ism.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	indexes := map[string]*mp4.Index{}
	for _, name := range m.Sources() {
		path, body := s.read(a, name)
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if indexes[name], err = mp4.BuildIndex(f, int64(len(body))); err != nil {
			t.Fatal(err)
		}
	}
	if p, err := packager.New(m, indexes); err != nil || len(p.Tracks) != 2 || p.Duration < 2*packager.Timescale {
		t.Errorf("%+v, %v", p, err)
	}
}

// What a task definition asks for and cannot be is refused when the job is
// submitted; what only the files tell, when it runs, by their names.
func TestPackagingRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, processor, text string
		inputs, outputs       int
		says                  string
		code                  ams.Code
	}{
		{"nothing", ams.MediaPackager, " ", 1, 1, ams.MediaPackager, ams.Invalid},
		{"a preset", ams.MediaPackager, "H264 Broadband 720p", 1, 1, "taskDefinition", ams.Invalid},
		{"two inputs", ams.MediaPackager, defineTask(toSmooth), 2, 1, "one input asset", ams.Unsupported},
		{"two outputs", ams.MediaPackager, defineTask(toSmooth), 1, 2, "one output asset", ams.Unsupported},
		{"another processor's", ams.MediaPackager, defineTask(playReady), 1, 1, ams.MediaEncryptor, ams.Unsupported},
		{"a packager's", ams.MediaEncryptor, defineTask(toHLS), 1, 1, ams.MediaEncryptor, ams.Unsupported},
		{"no licence", ams.MediaEncryptor, defineTask(playReady), 1, 1, "licenseAcquisitionUrl", ams.Invalid},
	} {
		_, err := TaskPreset(tt.processor, tt.text, tt.inputs, tt.outputs)
		if ams.CodeOf(err) != tt.code || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if err := Supported(ams.Preset{Type: packaging, Body: []byte(`{"configuration":"x"}`)}); ams.CodeOf(err) != ams.Unsupported {
		t.Errorf("a v3 preset of the packager: %v", err)
	}

	s := newService(t, jobqueue.Config{})
	s.run(s.worker("one"))
	long := clip(t, "long.mp4", "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=5:duration=24", "-c:v", "libx264", "-preset", "ultrafast", "-g", "1000", "-sc_threshold", "0", "-pix_fmt", "yuv420p")
	in := s.asset("in", map[string]string{"long.mp4": long})
	if err := s.account.CreateFileInfos(t.Context(), in.ID); err != nil {
		t.Fatal(err)
	}
	j, err := s.account.SubmitTasks(t.Context(), account.TaskJobRequest{Inputs: []string{in.ID}, Tasks: []account.TaskRequest{
		taskOf(ams.MediaPackager, defineTask(validate), account.Port{}, 0)}})
	if err != nil {
		t.Fatal(err)
	}
	e := s.ended(j, 0).Tasks[0].Error
	if e == nil || e.Code != ams.ContentUnsupported || !strings.Contains(e.Message, "A fragment is too long") || !strings.Contains(e.Message, "long.mp4") {
		t.Errorf("%v", e)
	}
}
