package encoder

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/ffmpeg"
	"github.com/openams/openams/jobqueue"
)

// TestWithoutSecrets: what a report leaves out, and what it does not.
func TestWithoutSecrets(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"https://s.example/c/f.mp4?sv=2020&sr=b&sig=abc%2Bdef: Not Found", "https://s.example/c/f.mp4?[hidden] Not Found"},
		{"'https://s.example/f.mp4?sig=a' and 'http://x/y'", "'https://s.example/f.mp4?[hidden]' and 'http://x/y'"},
		{"rtmp://user:pass@host/live", "rtmp://host/live"},
		{"?sv=1&sig=abc&se=2", "?sv=1&sig=[hidden]&se=2"},
		{"crypto: KEY=0123 iv", "crypto: KEY=[hidden] iv"},
		{"keyint=48:min-keyint=48:nal-hrd=cbr", "keyint=48:min-keyint=48:nal-hrd=cbr"},
		{"[0:0]scale=64:36,split=2[a][b]; is it? yes", "[0:0]scale=64:36,split=2[a][b]; is it? yes"},
	} {
		if got := withoutSecrets(tt.text); got != tt.want {
			t.Errorf("%q becomes %q, want %q", tt.text, got, tt.want)
		}
	}
}

func FuzzWithoutSecrets(f *testing.F) {
	f.Add("https://s.example/f.mp4?sig=", " end")
	f.Add("http://a:b@c/?", "'")
	f.Fuzz(func(t *testing.T, before, after string) {
		const secret = "Zq3-secret"
		got := withoutSecrets(before + " https://s.example/f.mp4?se=1&sig=" + secret + " " + after)
		if strings.Contains(got, secret) && !strings.Contains(before+after, secret) {
			t.Errorf("%q", got)
		}
	})
}

// TestNotes: a report is bounded, keeps what failed, and knows no path of this
// machine.
func TestNotes(t *testing.T) {
	r := newNotes(&ams.Task{Attempt: 3}, "w", "/data/scratch/w/t-3")
	r.name("/data/scratch/w/t-3/in0/0", "film.mp4")
	r.name("/data/blobs/ab/12", "other.mp4")
	for i := range 3 * maxRuns {
		run := ffmpeg.Ran{Program: "ffmpeg", Started: time.Now(), Took: time.Second, Args: []string{
			"-decryption_key", "00112233", "-i", "file:/data/scratch/w/t-3/in0/0", "-i", "file:/data/blobs/ab/12", fmt.Sprint(i), "file:/data/scratch/w/t-3/out.parts/v0.mp4"}}
		if i == 1 {
			run.Exit, run.Log = 1, strings.Repeat("x", 3*maxLog)+"/data/blobs/ab/12: Invalid data\nhttps://a/b?sig=s3cret"
		}
		if i == 2 {
			run.Args = []string{strings.Repeat("y", 3*maxArguments), "never"}
		}
		r.ran(run)
	}
	r.planned(&Plan{Basename: "film"})
	r.ended(errors.Join(jobErrorf(ams.ServiceError, "no"), errors.New("open /data/scratch/w/t-3/x: token=s3cret")))
	got := r.tell()
	if len(got.Runs) != maxRuns || got.LeftOut != 2*maxRuns {
		t.Fatalf("%d runs, %d left out", len(got.Runs), got.LeftOut)
	}
	fail := got.Runs[0]
	if fail.Exit != 1 || len(fail.Log) > maxLog+100 || !strings.HasSuffix(fail.Log, "other.mp4: Invalid data\nhttps://a/b?[hidden]") {
		t.Errorf("the run that failed: exit %d, log of %d bytes", fail.Exit, len(fail.Log))
	}
	if want := "-decryption_key [hidden] -i file:film.mp4 -i file:other.mp4 71 file:out.parts/v0.mp4"; strings.Join(got.Runs[maxRuns-1].Arguments, " ") != want {
		t.Errorf("arguments %q, want %s", got.Runs[maxRuns-1].Arguments, want)
	}
	if got.Cause != "ServiceError: no\nopen x: token=[hidden]" || got.Error.Code != ams.ServiceError || got.Ended.IsZero() || !strings.Contains(string(got.Plan), `"film"`) {
		t.Errorf("%+v", got)
	}
	long := newNotes(&ams.Task{}, "w", "/d")
	long.ran(ffmpeg.Ran{Args: []string{strings.Repeat("y", 3*maxArguments), "never"}})
	if a := long.tell().Runs[0].Arguments; len(a) != 1 || len(a[0]) > maxArguments+10 {
		t.Errorf("%d arguments of a long line", len(a))
	}
}

// TestExplain: a task that failed explains itself.
func TestExplain(t *testing.T) {
	s := newService(t, jobqueue.Config{})
	s.run(s.worker("one"))
	path := film(t, "2", "320x180", "25")
	b := read(t, path)
	for i := len(b) / 3; i < len(b)/2; i += 7 { // rot in the middle of the media
		b[i] ^= 0x55
	}
	rotten := filepath.Join(t.TempDir(), "rotten.mp4")
	if err := os.WriteFile(rotten, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s.asset("in", map[string]string{"rotten.mp4": rotten})
	s.asset("out", nil)
	j := s.submit("bad", "AdaptiveStreaming", assetInput("in"), "out")
	if task := s.wait(j); task.Error == nil || task.Error.Code != ams.ContentMalformed {
		t.Fatalf("%s %v", task.State, task.Error)
	}
	x, err := s.account.ExplainJob(t.Context(), j.Transform, j.Name)
	if err != nil || len(x.Tasks) != 1 || len(x.Tasks[0].Reports) != 1 {
		t.Fatalf("%+v, %v", x, err)
	}
	e, r := x.Tasks[0].Error, x.Tasks[0].Reports[0]
	if e == nil || e.Retry != "DoNotRetry" || e.Category != "Content" || !strings.Contains(e.Advice, "damaged") {
		t.Errorf("%+v", e)
	}
	if r.Attempt != 1 || r.Worker != "one" || r.Ended.IsZero() || r.Error.Code != ams.ContentMalformed || !strings.Contains(string(r.Plan), `"Basename":"rotten"`) {
		t.Errorf("%+v", r)
	}
	encoded := false
	for _, run := range r.Runs {
		if line := strings.Join(run.Arguments, " "); run.Program == "ffmpeg" && run.Exit != 0 && strings.Contains(line, "libx264") {
			encoded = true
			if run.Seconds <= 0 || run.CPU <= 0 || run.Log == "" || !strings.Contains(line, "-i file:rotten.mp4") || !strings.Contains(line, "file:out.parts/v0.mp4") {
				t.Errorf("%+v", run)
			}
		}
	}
	if !encoded {
		t.Errorf("no run of an encode among %+v", r.Runs)
	}
	all, err := json.Marshal(x)
	if err != nil || strings.Contains(string(all), s.dir) || strings.Contains(string(all), "/tmp/") {
		t.Errorf("%v, or paths of this machine in %s", err, all)
	}
}
