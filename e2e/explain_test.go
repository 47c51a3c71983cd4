package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	media "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/mediaservices/armmediaservices/v3"
)

// TestExplain: a job of a damaged file says on the command line what is wrong.
func TestExplain(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	c := newSDK(t, s, s.ClientID, s.ClientSecret)
	c.createAsset(t, "in")
	c.createAsset(t, "out")
	whole := clip(t, "film.mp4")
	info, err := os.Stat(whole)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(whole, info.Size()/2); err != nil { // the moov box is at the end
		t.Fatal(err)
	}
	c.upload(t, "in", whole)
	c.createTransform(t, "abr", media.EncoderNamedPresetAdaptiveStreaming)
	c.submit(t, "abr", "cut", "in", "out")
	if job := c.await(t, "abr", "cut", time.Minute); *job.Properties.State != media.JobStateError {
		t.Fatalf("job ended %s", *job.Properties.State)
	}
	for _, name := range []string{"cut", "abr/cut"} {
		out := run(t, t.Context(), os.Environ(), binary, "jobs", "explain", name, "--data", s.dir)
		for _, want := range []string{"Job cut of the transform abr: Error", "ContentMalformed (Content, DoNotRetry): \"film.mp4\"", "advice  The input is damaged", "Attempt 1 by the worker", "ffprobe", "moov atom not found"} {
			if !strings.Contains(out, want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
		if strings.Contains(out, filepath.Dir(s.dir)) {
			t.Errorf("it tells paths of the server:\n%s", out)
		}
	}
	var x struct {
		Tasks []struct {
			Error struct{ Code string }
		}
	}
	if err := json.Unmarshal([]byte(run(t, t.Context(), os.Environ(), binary, "jobs", "explain", "cut", "--json", "--data", s.dir)), &x); err != nil || len(x.Tasks) != 1 || x.Tasks[0].Error.Code != "ContentMalformed" {
		t.Errorf("%+v, %v", x, err)
	}
	if out, err := exec.Command(binary, "jobs", "explain", "other", "--data", s.dir).CombinedOutput(); err == nil || !strings.Contains(string(out), "no transform has a job other") {
		t.Errorf("a job that is not there: %v %s", err, out)
	}
}
