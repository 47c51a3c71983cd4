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
)

// ended waits for the end of a v2 job's task and returns the job.
func (s *service) ended(j *ams.Job, task int) *ams.Job {
	s.t.Helper()
	for c := range s.changes {
		if c.Task == j.Tasks[task].ID && c.To.Final() {
			break
		}
	}
	now, err := s.account.JobByID(s.t.Context(), j.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	return now
}

func taskOf(processor, configuration string, in account.Port, out int) account.TaskRequest {
	i := slices.IndexFunc(ams.Processors, func(p ams.Processor) bool { return p.Name == processor })
	return account.TaskRequest{Spec: ams.TaskSpec{Processor: ams.Processors[i].ID, Configuration: configuration},
		Inputs: []account.Port{in}, Outputs: []account.OutputPort{{N: out}}}
}

// output reads a file of an asset.
func (s *service) read(a *ams.Asset, name string) (path string, body []byte) {
	s.t.Helper()
	r, err := s.blobs.OpenLocal(s.t.Context(), a.StorageAccount, a.Container, name)
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Close()
	path, _ = r.LocalPath()
	body, err = os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	return path, body
}

// The chained job of v2: its second task encodes the set that the first one
// made, from its best rung.
func TestChainedTasks(t *testing.T) {
	s := newService(t, jobqueue.Config{})
	s.run(s.worker("one"))
	in := s.asset("in", map[string]string{"My film.mp4": film(t, "1", "640x360", "25")})
	if err := s.account.CreateFileInfos(t.Context(), in.ID); err != nil {
		t.Fatal(err)
	}
	j, err := s.account.SubmitTasks(t.Context(), account.TaskJobRequest{Name: "NewTestJob", Inputs: []string{in.ID}, Tasks: []account.TaskRequest{
		taskOf(ams.AzureMediaEncoder, "H264 Adaptive Bitrate MP4 Set 720p", account.Port{}, 0),
		taskOf(ams.AzureMediaEncoder, "H264 Smooth Streaming 720p", account.Port{Output: true}, 1),
	}})
	if err != nil {
		t.Fatal(err)
	}
	j = s.ended(j, 1)
	if j.State != ams.Finished {
		t.Fatalf("%s: %v, %v", j.State, j.Tasks[0].Error, j.Tasks[1].Error)
	}
	for i, ext := range []string{".mp4", ".ismv"} {
		out, err := s.account.Asset(t.Context(), j.Tasks[i].Asset)
		if err != nil {
			t.Fatal(err)
		}
		files, err := s.account.AssetFiles(t.Context(), out)
		if err != nil {
			t.Fatal(err)
		}
		media := 0
		var recorded []string
		for _, f := range files {
			recorded = append(recorded, f.Name)
			if f.Primary != strings.HasSuffix(f.Name, ".ism") {
				t.Errorf("output %d: %s is primary: %v", i, f.Name, f.Primary)
			}
			if strings.HasSuffix(f.Name, ext) {
				media++
			}
			if !strings.HasPrefix(f.Name, "My film") && !strings.HasSuffix(f.Name, "_metadata.json") && !strings.HasSuffix(f.Name, ".xml") {
				t.Errorf("output %d: a file %s", i, f.Name)
			}
		}
		if media < 6 || !slices.Equal(recorded, s.files(out)) {
			t.Errorf("output %d: files %q, blobs %q", i, recorded, s.files(out))
		}
	}
	// The second one read the first one's best.
	second, _ := s.account.Asset(t.Context(), j.Tasks[1].Asset)
	i := slices.IndexFunc(s.files(second), func(n string) bool {
		return strings.HasSuffix(n, "_metadata.json") || strings.HasSuffix(n, "_metadata.xml")
	})
	if i < 0 {
		t.Fatalf("no metadata among %q", s.files(second))
	}
	_, body := s.read(second, s.files(second)[i])
	if !strings.Contains(string(body), `Name="My film_H264_3400kbps_`) {
		t.Errorf("not from the best rung: %s", body)
	}
}

// What a v2 task begins with: the primary file, or the best of what a server
// manifest names, with its sound; and what is amiss is named.
func TestTaskInput(t *testing.T) {
	s := newService(t, jobqueue.Config{})
	s.run(s.worker("one"))
	ctx := t.Context()
	large, small := film(t, "1", "320x180", "25"), film(t, "1", "160x90", "25")
	dir := t.TempDir()
	strip := func(name string, args ...string) string {
		to := filepath.Join(dir, name)
		if err := tools(t).Run(ctx, append(append([]string{"-i", large}, args...), to), nil); err != nil {
			t.Fatal(err)
		}
		return to
	}
	mute, deaf := strip("v.mp4", "-an", "-c", "copy"), strip("a.mp4", "-vn", "-c", "copy")
	manifest := filepath.Join(dir, "set.ism")
	if err := os.WriteFile(manifest, []byte(`<?xml version="1.0" encoding="utf-8"?><smil xmlns="http://www.w3.org/2001/SMIL20/Language"><head/><body><switch>
		<video src="v.mp4"/><audio src="a.mp4"/></switch></body></smil>`), 0o600); err != nil {
		t.Fatal(err)
	}
	record := func(a *ams.Asset, files ...string) {
		t.Helper()
		for i, name := range files {
			if _, err := s.account.CreateFile(ctx, ams.AssetFile{Asset: a.ID, Name: name, Primary: i == 0}); err != nil {
				t.Fatal(err)
			}
		}
	}
	primary := s.asset("primary", map[string]string{"large.mp4": large, "small.mp4": small})
	record(primary, "small.mp4", "large.mp4")
	set := s.asset("set", map[string]string{"set.ism": manifest, "v.mp4": mute, "a.mp4": deaf, "other.mp4": large})
	record(set, "set.ism", "v.mp4", "a.mp4", "other.mp4")
	bare := s.asset("bare", map[string]string{"large.mp4": large, "small.mp4": small}) // of v3: no AssetFiles
	gone := s.asset("gone", map[string]string{"large.mp4": large})
	record(gone, "large.mp4", "lost.mp4")
	var failed string
	for _, tt := range []struct {
		name   string
		inputs []*ams.Asset
		want   string // an output
		says   string // the error
	}{
		{"the primary file", []*ams.Asset{primary}, "small_176x100_56.mp4", ""},
		{"a set", []*ams.Asset{set}, "set_176x100_56.mp4", ""},
		{"the best blob", []*ams.Asset{bare}, "large_176x100_56.mp4", ""},
		{"several assets", []*ams.Asset{primary, bare}, "large_176x100_56.mp4", ""},
		{"a file without a blob", []*ams.Asset{gone}, "", "'lost.mp4'"},
	} {
		task := taskOf(ams.MediaEncoderStandard, "H264 Single Bitrate Low Quality SD for Android", account.Port{}, 0)
		r := account.TaskJobRequest{Inputs: []string{tt.inputs[0].ID}, Tasks: []account.TaskRequest{task}}
		for i, a := range tt.inputs[1:] {
			r.Inputs = append(r.Inputs, a.ID)
			r.Tasks[0].Inputs = append(r.Tasks[0].Inputs, account.Port{N: i + 1})
		}
		j, err := s.account.SubmitTasks(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		j = s.ended(j, 0)
		if tt.says != "" {
			if j.State != ams.Failed || !strings.Contains(j.Tasks[0].Error.Message, tt.says) {
				t.Errorf("%s: %s %v", tt.name, j.State, j.Tasks[0].Error)
			}
			failed = j.Tasks[0].Asset
			continue
		}
		if j.State != ams.Finished {
			t.Errorf("%s: %s %v", tt.name, j.State, j.Tasks[0].Error)
			continue
		}
		out, err := s.account.Asset(ctx, j.Tasks[0].Asset)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(s.files(out), tt.want) {
			t.Errorf("%s: no %s among %q", tt.name, tt.want, s.files(out))
			continue
		}
		path, _ := s.read(out, tt.want)
		info, err := tools(t).Probe(ctx, path)
		if err != nil || pickVideo(info) == nil || pickAudio(info) == nil {
			t.Errorf("%s: %+v %v", tt.name, info, err)
		}
	}
	// What the failed task was to fill goes.
	if err := s.server.SweepOutputs(ctx); err != nil {
		t.Error(err)
	}
	if _, err := s.account.Asset(ctx, failed); ams.CodeOf(err) != ams.NotFound {
		t.Errorf("the output of the failed task: %v", err)
	}
}
