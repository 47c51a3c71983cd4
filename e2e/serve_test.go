package e2e

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	media "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/mediaservices/armmediaservices/v3"
)

func TestDataFolderIsPrivateAndStable(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	first, err := os.ReadFile(filepath.Join(s.dir, "endpoints.json"))
	if err != nil {
		t.Fatal(err)
	}

	out, err := exec.Command(binary, "serve", "--data", s.dir).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "in use") {
		t.Errorf("a second server on the folder: %v, %s", err, out)
	}

	for _, path := range []string{"/livez", "/readyz", "/metrics"} {
		if status := s.status(t, s.ManagementHTTP+path); status != http.StatusOK {
			t.Errorf("%s answers %d", path, status)
		}
	}

	err = filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if rel, _ := filepath.Rel(s.dir, path); info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v: others may read it", rel, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	s.stop(t)
	if _, err := os.Stat(filepath.Join(s.dir, "endpoints.json")); err == nil {
		t.Error("endpoints.json outlived the server")
	}
	if strings.Contains(s.log.String(), s.ClientSecret) || strings.Contains(s.log.String(), s.StorageKeys[0]) {
		t.Error("the log holds a secret")
	}

	again := start(t, s.dir)
	second, err := os.ReadFile(filepath.Join(s.dir, "endpoints.json"))
	if err != nil {
		t.Fatal(err)
	}
	var a, b map[string]any
	if json.Unmarshal(first, &a) != nil || json.Unmarshal(second, &b) != nil {
		t.Fatal("endpoints.json is not JSON")
	}
	for _, key := range []string{"tenantId", "clientId", "clientSecret", "readerClientSecret", "subscriptionId", "accountKey"} {
		if a[key] != b[key] || a[key] == "" {
			t.Errorf("%s changed over a restart", key)
		}
	}
	again.stop(t)
}

func TestUnknownSettingsAreRefused(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "openams.yaml")
	if err := os.WriteFile(file, []byte("https-port: 0\nhttps-prot: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, cmd := range map[string]*exec.Cmd{
		"https-prot":         exec.Command(binary, "serve", "--data", t.TempDir(), "--config", file),
		"OPENAMS_HTTPS_PROT": exec.Command(binary, "serve", "--data", t.TempDir()),
		"--nonsense":         exec.Command(binary, "serve", "--nonsense"),
		"--data":             exec.Command(binary, "serve"),
	} {
		if strings.HasPrefix(want, "OPENAMS") {
			cmd.Env = append(os.Environ(), want+"=1")
		}
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("want a refusal that names %s, got %v: %s", want, err, out)
		}
	}
}

// TestDamagedFoldersAreRefused starts on folders that a start must leave alone:
// one of somebody else, and ones whose secrets were cut short. A key that is
// not whole must never be taken for a key.
func TestDamagedFoldersAreRefused(t *testing.T) {
	t.Parallel()
	refused := func(dir, want string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		out, err := exec.CommandContext(ctx, binary, "serve", "--data", dir, "--https-port", "0", "--http-port", "0",
			"--blob-port", "0", "--blob-tls-port", "0", "--streaming-port", "0").CombinedOutput()
		if err == nil || ctx.Err() != nil || !strings.Contains(string(out), want) {
			t.Errorf("want a refusal that names %s, got %v: %s", want, err, out)
		}
	}

	theirs := t.TempDir()
	work := filepath.Join(theirs, "scratch", "thesis.txt")
	if err := errors.Join(os.Mkdir(filepath.Dir(work), 0o700), os.WriteFile(work, []byte("work"), 0o600)); err != nil {
		t.Fatal(err)
	}
	refused(theirs, "scratch")
	if _, err := os.Stat(work); err != nil {
		t.Errorf("a file of somebody else is gone: %v", err)
	}

	s := start(t, "")
	s.stop(t)
	for _, name := range []string{"secrets/account.key", "secrets/catalog.key", "secrets/ids.json", "secrets/principals.json",
		"secrets/token-signing.pem", "tls/ca.pem", "tls/server-key.pem"} {
		path := filepath.Join(s.dir, name)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{0, len(whole) / 2} {
			if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
				t.Fatal(err)
			}
			refused(s.dir, filepath.Base(name))
		}
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestKilledWhileEncoding kills the whole server in the middle of a job, more
// than once, and expects the job to end Finished with one set of outputs.
func TestKilledWhileEncoding(t *testing.T) {
	t.Parallel()
	s := start(t, "", "--early-play")
	c := newSDK(t, s, s.ClientID, s.ClientSecret)
	c.createAsset(t, "in")
	c.createAsset(t, "out")
	c.upload(t, "in", clip(t, "kill.mp4", "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=25:duration=40",
		"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"))
	c.createTransform(t, "abr", media.EncoderNamedPresetAdaptiveStreaming)
	c.submit(t, "abr", "j", "in", "out")
	for range 2 {
		waitProcessing(t, c)
		s.kill(t)
		restarted := time.Now()
		s = start(t, s.dir, "--early-play")
		c = newSDK(t, s, s.ClientID, s.ClientSecret)
		waitProcessing(t, c)
		if d := time.Since(restarted); d > 30*time.Second {
			t.Errorf("the task ran again only %s after the kill", d)
		}
	}
	if job := c.await(t, "abr", "j", 5*time.Minute); *job.Properties.State != media.JobStateFinished {
		t.Fatalf("job ended %s", *job.Properties.State)
	}
	c.publish(t, "l", "out", "Predefined_ClearStreamingOnly")
	names := c.blobs(t, "out")
	var manifests int
	for _, n := range names {
		if strings.HasSuffix(n, ".ism") {
			manifests++
		}
	}
	if manifests != 1 {
		t.Errorf("%d server manifests after two kills, want 1: %q", manifests, names)
	}
	if slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "early-") }) {
		t.Errorf("what played early is still there: %q", names)
	}
	seen := map[string]bool{} // two attempts would write rungs of one size twice
	for _, n := range names {
		if parts := strings.Split(n, "_"); strings.HasSuffix(n, ".mp4") && len(parts) > 2 {
			if size := parts[1]; seen[size] {
				t.Errorf("two files of size %s: %q", size, names)
			} else {
				seen[size] = true
			}
		}
	}
	err := filepath.WalkDir(filepath.Join(s.dir, "scratch"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			t.Errorf("left in scratch: %s", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// waitProcessing waits until a worker runs the job "j" and has made progress.
func waitProcessing(t *testing.T, c *sdk) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		j, err := c.jobs.Get(context.Background(), c.ResourceGroup, c.AccountName, "abr", "j", nil)
		if err != nil {
			t.Fatal(err)
		}
		out := j.Properties.Outputs[0].GetJobOutput()
		switch *j.Properties.State {
		case media.JobStateProcessing:
			if *out.Progress > 0 {
				return
			}
		case media.JobStateFinished, media.JobStateError, media.JobStateCanceled:
			t.Fatalf("the job ended %s before it could be killed: take a longer clip", *j.Properties.State)
		}
	}
	t.Fatal("the job did not run within a minute")
}

func TestDemoPlaysEverything(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(binary, "demo", "--exit", "--https-port", "0", "--http-port", "0", "--blob-port", "0", "--blob-tls-port", "0", "--streaming-port", "0", clip(t, "demo.mp4"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("demo: %v\n%s", err, out)
	}
	for _, want := range []string{"ok     Hls", "ok     Dash", "ok     SmoothStreaming", "ok     Download", "Everything played"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	broken := filepath.Join(t.TempDir(), "broken.mp4")
	if err := os.WriteFile(broken, []byte("this is not a film"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err = exec.Command(binary, "demo", "--exit", broken).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "Content") {
		t.Errorf("demo of a text file: %v\n%s", err, out)
	}
}

// blobs lists the names of the files of an asset.
func (c *sdk) blobs(t testing.TB, asset string) []string {
	t.Helper()
	ctx := context.Background()
	a, err := c.assets.Get(ctx, c.ResourceGroup, c.AccountName, asset, nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for pager := c.storage(t).ServiceClient().NewContainerClient(*a.Properties.Container).NewListBlobsFlatPager(nil); pager.More(); {
		page, err := pager.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range page.Segment.BlobItems {
			names = append(names, *b.Name)
		}
	}
	return names
}

func (s *server) get(t testing.TB, url string) (int, []byte) {
	t.Helper()
	resp, err := s.http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}

// TestHTTPInput fetches a job's input from a web server: a private one only
// when the configuration allows it, and without its query string in answers.
func TestHTTPInput(t *testing.T) {
	t.Parallel()
	film := clip(t, "web.mp4", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=4", "-pix_fmt", "yuv420p")
	web := httptest.NewTLSServer(http.FileServer(http.Dir(filepath.Dir(film))))
	defer web.Close()
	ca := filepath.Join(t.TempDir(), "web.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	submit := func(c *sdk, base, file string) error {
		c.createAsset(t, "out")
		c.createTransform(t, "abr", media.EncoderNamedPresetAdaptiveStreaming)
		_, err := c.jobs.Create(context.Background(), c.ResourceGroup, c.AccountName, "abr", "j", media.Job{Properties: &media.JobProperties{
			Input: &media.JobInputHTTP{ODataType: to.Ptr("#Microsoft.Media.JobInputHttp"), BaseURI: to.Ptr(base), Files: []*string{to.Ptr(file)}},
			Outputs: []media.JobOutputClassification{
				&media.JobOutputAsset{ODataType: to.Ptr("#Microsoft.Media.JobOutputAsset"), AssetName: to.Ptr("out")}},
		}}, nil)
		return err
	}

	guarded := start(t, "")
	c := newSDK(t, guarded, guarded.ClientID, guarded.ClientSecret)
	for _, base := range []string{web.URL + "/", "http://example.com/", "https://169.254.169.254/latest/"} {
		if re, ok := errors.AsType[*azcore.ResponseError](submit(c, base, "web.mp4")); !ok || re.StatusCode != http.StatusBadRequest {
			t.Errorf("an input from %s: %v, want 400", base, re)
		}
	}

	open := startWith(t, "", []string{"SSL_CERT_FILE=" + ca}, "--allow-input-host", "127.0.0.0/8")
	c = newSDK(t, open, open.ClientID, open.ClientSecret)
	if err := submit(c, web.URL+"/", "web.mp4?sig=secret"); err != nil {
		t.Fatal(err)
	}
	job := c.await(t, "abr", "j", 2*time.Minute)
	if *job.Properties.State != media.JobStateFinished {
		t.Fatalf("job ended %s: %+v", *job.Properties.State, job.Properties.Outputs[0].GetJobOutput().Error)
	}
	if input := job.Properties.Input.(*media.JobInputHTTP); strings.Contains(*input.Files[0], "sig=") {
		t.Errorf("the query string came back: %s", *input.Files[0])
	}
	if strings.Contains(open.log.String(), "sig=secret") {
		t.Error("the log holds the query string")
	}
}
