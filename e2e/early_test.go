package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	media "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/mediaservices/armmediaservices/v3"
)

// An earlyJob is a job "j" of transform "abr" whose output "out" is published
// before it is made.
type earlyJob struct {
	*sdk
	t    testing.TB
	base string // URL of the server manifest
}

// earlyFilm is what early jobs encode: long enough to be watched meanwhile.
func earlyFilm(t *testing.T) string {
	return clip(t, "early.mp4", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=26",
		"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=26",
		"-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-pix_fmt", "yuv420p", "-c:a", "aac")
}

// startEarly submits the job; correlation is its correlationData.
func startEarly(t *testing.T, s *server, film string, correlation map[string]*string) *earlyJob {
	t.Helper()
	ctx := context.Background()
	j := &earlyJob{sdk: newSDK(t, s, s.ClientID, s.ClientSecret), t: t}
	j.createAsset(t, "in")
	j.createAsset(t, "out")
	j.upload(t, "in", film)
	l, err := j.locators.Create(ctx, j.ResourceGroup, j.AccountName, "l", media.StreamingLocator{
		Properties: &media.StreamingLocatorProperties{AssetName: to.Ptr("out"), StreamingPolicyName: to.Ptr("Predefined_ClearStreamingOnly")},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	stem := strings.TrimSuffix(filepath.Base(film), ".mp4")
	j.base = fmt.Sprintf("%s/%s/%s.ism/manifest", s.StreamingEndpoint, *l.Properties.StreamingLocatorID, stem)
	j.createTransform(t, "abr", media.EncoderNamedPresetAdaptiveStreaming)
	_, err = j.jobs.Create(ctx, j.ResourceGroup, j.AccountName, "abr", "j", media.Job{Properties: &media.JobProperties{
		Input:           &media.JobInputAsset{AssetName: to.Ptr("in"), ODataType: to.Ptr("#Microsoft.Media.JobInputAsset")},
		Outputs:         []media.JobOutputClassification{&media.JobOutputAsset{AssetName: to.Ptr("out"), ODataType: to.Ptr("#Microsoft.Media.JobOutputAsset")}},
		CorrelationData: correlation,
	}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func (j *earlyJob) state() media.JobState {
	j.t.Helper()
	job, err := j.jobs.Get(context.Background(), j.ResourceGroup, j.AccountName, "abr", "j", nil)
	if err != nil {
		j.t.Fatal(err)
	}
	return *job.Properties.State
}

// playing waits until the manifest answers, and fails if the job has ended by then.
func (j *earlyJob) playing() {
	j.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		status, _ := j.get(j.t, j.base+"(format=m3u8-cmaf)")
		if state := j.state(); state != media.JobStateProcessing && state != media.JobStateScheduled && state != media.JobStateQueued {
			j.t.Fatalf("the job is %s; its manifest answered %d before", state, status)
		}
		if status == 200 {
			return
		}
	}
	j.t.Fatal("the manifest does not answer within a minute")
}

// segments are the URLs that a media playlist names, the first one its map.
func (j *earlyJob) segments(playlist string) (urls []string, text string) {
	j.t.Helper()
	status, body := j.get(j.t, playlist)
	if status != 200 {
		j.t.Fatalf("%s: status %d: %s", playlist, status, body)
	}
	at, err := url.Parse(playlist)
	if err != nil {
		j.t.Fatal(err)
	}
	for line := range strings.Lines(string(body)) {
		line = strings.TrimSpace(line)
		if _, uri, ok := strings.Cut(line, "EXT-X-MAP:URI=\""); ok {
			line = strings.TrimSuffix(uri, "\"")
		} else if line == "" || line[0] == '#' {
			continue
		}
		u, err := at.Parse(line)
		if err != nil {
			j.t.Fatal(err)
		}
		urls = append(urls, u.String())
	}
	return urls, string(body)
}

// playlists are the media playlists of the multivariant one, audio first.
func (j *earlyJob) playlists() (audio, video []string) {
	j.t.Helper()
	status, body := j.get(j.t, j.base+"(format=m3u8-cmaf)")
	if status != 200 {
		j.t.Fatalf("status %d: %s", status, body)
	}
	top := j.base[:len(j.base)-len("manifest")]
	for line := range strings.Lines(string(body)) {
		line = strings.TrimSpace(line)
		if _, uri, ok := strings.Cut(line, ",URI=\""); ok && strings.HasPrefix(line, "#EXT-X-MEDIA:") {
			uri, _, _ = strings.Cut(uri, "\"")
			audio = append(audio, top+uri)
		} else if line != "" && line[0] != '#' && strings.Contains(line, "Manifest(video") {
			video = append(video, top+line)
		}
	}
	return audio, video
}

// TestEarlyPlay plays the output of a job from when its first seconds are encoded
// until after its end, and compares what was served on the way with what the
// finished asset has there.
func TestEarlyPlay(t *testing.T) {
	t.Parallel()
	s := start(t, "", "--early-play", "--lanes", "2")
	j := startEarly(t, s, earlyFilm(t), nil)
	j.playing()

	// A player that begins now plays all of it.
	through := make(chan string, 1)
	go func() {
		args := append(packetArgs(j.base+"(format=m3u8-cmaf)"), "-live_start_index", "0", j.base+"(format=m3u8-cmaf)")
		out, err := exec.Command("ffprobe", args...).CombinedOutput()
		through <- fmt.Sprint(strings.Join(strings.Fields(string(out)), " "), err)
	}()

	served := map[string][]byte{} // by URL
	audio, video := j.playlists()
	if len(audio) != 1 || len(video) != 1 {
		t.Fatalf("playlists of sound %q and picture %q, want the lowest bitrate alone", audio, video)
	}
	grown := 0
	for j.state() == media.JobStateProcessing {
		for _, playlist := range append(audio, video...) {
			urls, text := j.segments(playlist)
			if whole := strings.Contains(text, "#EXT-X-ENDLIST"); whole == strings.Contains(text, "PLAYLIST-TYPE:EVENT") {
				t.Fatalf("neither a growing playlist nor a whole one:\n%s", text)
			}
			for _, u := range urls {
				if served[u] != nil {
					continue
				}
				grown++
				status, body := j.get(t, u)
				if status != 200 {
					t.Fatalf("%s: status %d", u, status)
				}
				served[u] = body
			}
		}
		if grown < 5 {
			for _, format := range []string{"", "(format=mpd-time-csf)", "(format=m3u8-aapl)"} {
				if status, body := j.get(t, j.base+format); status != 200 {
					t.Errorf("%s: status %d: %s", format, status, body)
				}
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	if job := j.await(t, "abr", "j", 5*time.Minute); *job.Properties.State != media.JobStateFinished {
		t.Fatalf("the job ended %s", *job.Properties.State)
	}
	if len(served) < 4 { // maps and first segments of sound and picture
		t.Errorf("%d segments were served before the job had ended", len(served))
	}

	rungs := 0
	for deadline := time.Now().Add(30 * time.Second); rungs < 2 && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		_, all := j.playlists() // files are looked for once a second
		rungs = len(all)
	}
	if rungs < 2 {
		t.Errorf("%d rungs after the end", rungs)
	}
	// The same URLs have the same bytes, and the lowest rung no others.
	for u, early := range served {
		if status, body := j.get(t, u); status != 200 {
			t.Errorf("%s: status %d after the end", u, status)
		} else if !strings.Contains(u, "=i,") && !bytes.Equal(early, body) {
			t.Errorf("%s: other bytes after the end: %d, %d", u, len(early), len(body))
		}
	}
	for _, playlist := range append(audio, video...) {
		urls, text := j.segments(playlist)
		if !strings.Contains(text, "#EXT-X-ENDLIST") || len(urls) != 6 { // 26 s in 6 s, and the map
			t.Errorf("%d segments after the end:\n%s", len(urls), text)
		}
	}
	if got := <-through; !strings.Contains(got, "h264,650") || !strings.Contains(got, "aac,1220") {
		t.Errorf("the player that began early read %s", got)
	}
	if got := packets(t, j.base+"(format=mpd-time-csf)"); !strings.Contains(got, "h264,650") {
		t.Errorf("at the end: %s", got)
	}
	if left := slices.DeleteFunc(j.blobs(t, "out"), func(name string) bool { return !strings.HasPrefix(name, "early-") }); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestEarlyPlayEnds: what plays of a job that fails or is canceled is gone when
// the job has ended.
func TestEarlyPlayEnds(t *testing.T) {
	t.Parallel()
	film := earlyFilm(t)
	rotten := filepath.Join(t.TempDir(), "early.mp4")
	b, err := os.ReadFile(film)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(b) * 17 / 20; i < len(b)*18/20; i++ {
		b[i] = byte(i * i >> 3)
	}
	if err := os.WriteFile(rotten, b, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, film string
		end        func(*earlyJob)
		want       media.JobState
	}{
		{"canceled", film, func(j *earlyJob) {
			if _, err := j.jobs.CancelJob(context.Background(), j.ResourceGroup, j.AccountName, "abr", "j", nil); err != nil {
				t.Fatal(err)
			}
		}, media.JobStateCanceled},
		{"failed", rotten, func(*earlyJob) {}, media.JobStateError},
		{"canceled when its worker is dead", film, func(j *earlyJob) {
			j.kill(t)
			old := j.StreamingEndpoint
			s := start(t, j.dir)
			j.sdk = newSDK(t, s, s.ClientID, s.ClientSecret)
			j.base = s.StreamingEndpoint + strings.TrimPrefix(j.base, old)
			if status, _ := j.get(t, j.base+"(format=m3u8-cmaf)"); status != 200 {
				t.Errorf("the manifest answers %d while another worker may take the task up", status)
			}
			if _, err := j.jobs.CancelJob(context.Background(), j.ResourceGroup, j.AccountName, "abr", "j", nil); err != nil {
				t.Fatal(err)
			}
		}, media.JobStateCanceled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, "", "--lanes", "2")
			j := startEarly(t, s, tt.film, map[string]*string{"openams.earlyPlay": to.Ptr("true")})
			j.playing()
			tt.end(j)
			if job := j.await(t, "abr", "j", 5*time.Minute); *job.Properties.State != tt.want {
				t.Fatalf("the job ended %s, want %s", *job.Properties.State, tt.want)
			}
			left := j.blobs(t, "out")
			for deadline := time.Now().Add(30 * time.Second); len(left) > 0 && strings.Contains(tt.name, "dead") && time.Now().Before(deadline); {
				left = j.blobs(t, "out") // the server sweeps when it hears of the end
			}
			if len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
			status := 0
			for deadline := time.Now().Add(30 * time.Second); status != 404 && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
				status, _ = j.get(t, j.base+"(format=m3u8-cmaf)") // files are looked for once a second
			}
			if status != 404 {
				t.Errorf("the manifest answers %d", status)
			}
		})
	}
}

// TestEarlyPlayInABrowser has hls.js begin while the job is at work, at the start
// of the film, and play to its end.
func TestEarlyPlayInABrowser(t *testing.T) {
	if os.Getenv("OPENAMS_TEST_TORTURE") != "1" {
		t.Skip("takes a browser and a longer film; OPENAMS_TEST_TORTURE=1 runs it")
	}
	s := start(t, "", "--early-play", "--lanes", "1")
	film := clip(t, "early.mp4", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=60",
		"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=60",
		"-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-pix_fmt", "yuv420p", "-c:a", "aac")
	j := startEarly(t, s, film, nil)
	j.playing()
	cmd := exec.CommandContext(t.Context(), "node", "js/early.mjs", j.base+"(format=m3u8-cmaf)")
	cmd.Env, cmd.Stderr = s.env(), os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "playing" {
		t.Fatalf("%q, %v", lines.Text(), lines.Err())
	}
	if state := j.state(); state != media.JobStateProcessing {
		t.Errorf("the job is %s when the picture moves", state)
	}
	lines.Scan()
	var got struct {
		Start, Time   float64
		Ended         bool
		Frames, Audio int
		Errors        []string
	}
	if err := json.Unmarshal(lines.Bytes(), &got); err != nil {
		t.Fatalf("%v in %q", err, lines.Text())
	}
	t.Logf("%s", lines.Bytes())
	if got.Start > 1 || got.Time < 59 || !got.Ended || got.Audio < 10_000 || len(got.Errors) > 0 {
		t.Errorf("%+v", got)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if job := j.await(t, "abr", "j", 5*time.Minute); *job.Properties.State != media.JobStateFinished {
		t.Errorf("the job ended %s", *job.Properties.State)
	}
}
