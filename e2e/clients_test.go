package e2e

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestMainJobWithJavaScriptSDK(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	out := run(t, ctx, s.env(), "node", "js/flow.mjs", clip(t, "javascript.mp4"))
	var result struct {
		State          string
		HostName       string
		Names          []string
		Paged, Pages   int
		StreamingPaths []struct {
			StreamingProtocol string
			Paths             []string
		}
		DownloadPaths []string
	}
	if err := json.Unmarshal([]byte(out), &result); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if result.State != "Running" || len(result.StreamingPaths) < 3 || len(result.DownloadPaths) != 0 {
		t.Errorf("got %s", out)
	}
	if result.Paged != 1500 || result.Pages < 2 {
		t.Errorf("%d assets in %d pages, want 1500 in more than one", result.Paged, result.Pages)
	}
	if got := strings.Join(result.Names, " "); got != "js-input js-output" {
		t.Errorf("assets %q", got)
	}
	for _, p := range result.StreamingPaths {
		if p.StreamingProtocol != "SmoothStreaming" {
			packets(t, "http://"+result.HostName+p.Paths[0])
		}
	}
}

func TestMainJobWithAzureCLI(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	out := run(t, ctx, s.env(), "./az.sh", filepath.Join(s.dir, "endpoints.json"), clip(t, "azure-cli.mp4"))
	t.Log(out)
	for _, want := range []string{s.AccountName + "\n", "azure-cli.mp4", "job Finished", "Running", "format=m3u8", "format=mpd",
		"account-filter af 720000", "asset-filter sf", "content-key-policy ckp ClearKey", "streaming-policy sp Hls", "streaming-endpoint ep2 Running"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in the output", want)
		}
	}
	for line := range strings.Lines(out) {
		if line = strings.TrimSpace(line); strings.Contains(line, "format=") {
			packets(t, s.StreamingEndpoint+line)
		}
	}
}
