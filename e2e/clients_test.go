package e2e

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	media "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/mediaservices/armmediaservices/v3"
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

// TestPlayersInBrowser plays each published form with the players that people
// use, seeks, and looks for a picture. OPENAMS_TEST_SCREENSHOTS keeps the
// screenshots in a folder.
func TestPlayersInBrowser(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	c := newSDK(t, s, s.ClientID, s.ClientSecret)
	c.createAsset(t, "in")
	c.createAsset(t, "out")
	c.upload(t, "in", clip(t, "players.mp4"))
	c.createTransform(t, "abr", media.EncoderNamedPresetAdaptiveStreaming)
	c.submit(t, "abr", "j", "in", "out")
	if job := c.await(t, "abr", "j", 3*time.Minute); *job.Properties.State != media.JobStateFinished {
		t.Fatalf("job ended %s", *job.Properties.State)
	}
	paths := c.publish(t, "l", "out", "Predefined_ClearStreamingOnly")
	shots := os.Getenv("OPENAMS_TEST_SCREENSHOTS")
	if shots == "" {
		shots = t.TempDir()
	}
	find := func(protocol, format string) string {
		for _, p := range paths[protocol] {
			if strings.Contains(p, format) {
				return s.StreamingEndpoint + p
			}
		}
		t.Fatalf("no %s path with %q among %q", protocol, format, paths[protocol])
		return ""
	}
	for _, tt := range []struct{ player, protocol, format string }{
		{"hls.js", "Hls", "m3u8-aapl"},
		{"hls.js", "Hls", "m3u8-cmaf"},
		{"shaka", "Hls", "m3u8-cmaf"},
		{"shaka", "Hls", "m3u8-aapl"},
		{"shaka", "Dash", "mpd-time-csf"},
		{"shaka", "Dash", "mpd-time-cmaf"},
		{"dash.js", "Dash", "mpd-time-csf"},
		{"dash.js", "Dash", "mpd-time-cmaf"},
		{"dash.js", "SmoothStreaming", "anifest"},
	} {
		t.Run(tt.player+" "+tt.format, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
			defer cancel()
			shot := filepath.Join(shots, strings.ReplaceAll(tt.player+"-"+tt.format, ".", "")+".png")
			out := run(t, ctx, s.env(), "node", "js/play.mjs", tt.player, find(tt.protocol, tt.format), shot)
			var got struct {
				CurrentTime, SeekTo, Duration float64
				Width, Height, Colours        int
				Errors                        []string
			}
			if err := json.Unmarshal([]byte(out), &got); err != nil {
				t.Fatalf("%v in %s", err, out)
			}
			t.Logf("%s", out)
			if len(got.Errors) > 0 {
				t.Errorf("the player complained: %q", got.Errors)
			}
			if got.CurrentTime <= got.SeekTo || got.SeekTo < 8 {
				t.Errorf("stood at %.2f s after seeking to %.2f", got.CurrentTime, got.SeekTo)
			}
			if got.Duration < 13.5 || got.Duration > 14.5 {
				t.Errorf("the player thinks that 14 s last %.2f s", got.Duration)
			}
			if got.Height == 0 || got.Colours < 20 {
				t.Errorf("no picture: %dx%d, %d colours", got.Width, got.Height, got.Colours)
			}
		})
	}
}
