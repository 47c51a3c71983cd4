package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	media "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/mediaservices/armmediaservices/v3"

	"github.com/openams/openams/catalog/catalogtest"
)

// encodeFilm is the film of the benchmarks of encoding: the montage of the sample
// clips, or a test picture.
func encodeFilm(b *testing.B) string {
	if dir := os.Getenv("OPENAMS_TEST_MEDIA"); dir != "" {
		return filepath.Join(dir, "montage-720p24-stereo-42s.mp4")
	}
	return clip(b, "film.mp4", "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=24:duration=42", "-f", "lavfi", "-i", "sine=duration=42",
		"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac")
}

// ladder720 are ffmpeg's arguments for the rungs of H264MultipleBitrate720p and the
// sound, from one decode, as the encoder makes them.
func ladder720(film, dir string) []string {
	rungs := []struct{ width, height, kbps string }{
		{"1280", "720", "3400"}, {"960", "540", "2250"}, {"960", "540", "1500"}, {"640", "360", "1000"}, {"640", "360", "650"}, {"320", "180", "400"}}
	split, graph := "[0:v:0]split=6", ""
	args := []string{"-nostdin", "-v", "error", "-y", "-i", film}
	var outputs []string
	for i, r := range rungs {
		n := strconv.Itoa(i)
		split += "[s" + n + "]"
		graph += ";[s" + n + "]scale=" + r.width + ":" + r.height + ":flags=bicubic[v" + n + "]"
		outputs = append(outputs, "-map", "[v"+n+"]", "-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high", "-pix_fmt", "yuv420p",
			"-bf", "3", "-refs", "3", "-sc_threshold", "0", "-flags", "+cgop", "-force_key_frames", "expr:gte(t,n_forced*2)",
			"-b:v", r.kbps+"k", "-maxrate", r.kbps+"k", "-bufsize", twice(r.kbps), filepath.Join(dir, n+".mp4"))
	}
	args = append(append(args, "-filter_complex", split+graph), outputs...)
	return append(args, "-map", "0:a:0", "-c:a", "aac", "-b:a", "128k", filepath.Join(dir, "audio.mp4"))
}

// twice is the buffer of a rung: two seconds of its bitrate.
func twice(kbps string) string {
	n, _ := strconv.Atoi(kbps)
	return strconv.Itoa(2*n) + "k"
}

// cpuWithChildren is the user and system time of a process and of its children
// that have ended.
func cpuWithChildren(b *testing.B, pid int) float64 {
	b.Helper()
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		b.Fatal(err)
	}
	text := string(data)
	sum := 0.0
	for _, f := range strings.Fields(text[strings.LastIndexByte(text, ')')+2:])[11:15] {
		n, _ := strconv.ParseFloat(f, 64)
		sum += n / 100 // USER_HZ
	}
	return sum
}

// BenchmarkWorkers encodes the six rungs of 720p on two worker processes with one
// lane each, which share one job on PostgreSQL, and by ffmpeg alone.
func BenchmarkWorkers(b *testing.B) {
	env := []string{"OPENAMS_DATABASE=" + catalogtest.StartPostgres(b).Database(b)}
	s := startWith(b, "", env, "--workers", "0")
	c := newSDK(b, s, s.ClientID, s.ClientSecret)
	film := encodeFilm(b)
	c.createAsset(b, "in")
	c.upload(b, "in", film)
	c.createTransform(b, "abr", media.EncoderNamedPresetH264MultipleBitrate720P)
	workers := []*worker{startWorker(b, s, env, "--lanes", "1"), startWorker(b, s, env, "--lanes", "1")}
	for _, w := range workers {
		said(b, `"msg":"working"`, w)
	}
	n := 0
	for b.Loop() {
		name := "job" + strconv.Itoa(n)
		n++
		c.createAsset(b, name)
		before := 0.0
		for _, w := range workers {
			before += cpuWithChildren(b, w.cmd.Process.Pid)
		}
		begin := time.Now()
		c.submit(b, "abr", name, "in", name)
		if job := c.await(b, "abr", name, 10*time.Minute); *job.Properties.State != media.JobStateFinished {
			b.Fatalf("the job ended %s", *job.Properties.State)
		}
		wall := time.Since(begin).Seconds()
		cpu := -before
		for _, w := range workers {
			cpu += cpuWithChildren(b, w.cmd.Process.Pid)
		}
		begin = time.Now()
		bare := exec.Command("ffmpeg", ladder720(film, b.TempDir())...)
		if err := bare.Run(); err != nil {
			b.Fatal(err)
		}
		plain := time.Since(begin).Seconds()
		u := bare.ProcessState.SysUsage().(*syscall.Rusage)
		plainCPU := time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
		b.ReportMetric(wall, "wall-s")
		b.ReportMetric(cpu, "cpu-s")
		b.ReportMetric(wall/(cpu/2), "wall-of-cpu/2")
		b.ReportMetric(plain, "ffmpeg-wall-s")
		b.ReportMetric(plainCPU, "ffmpeg-cpu-s")
		b.ReportMetric(cpu/plainCPU, "cpu-ratio")
	}
	helped := 0
	for _, w := range workers {
		helped += strings.Count(w.log.String(), "chunk finished")
	}
	b.ReportMetric(float64(helped)/float64(n), "chunks-of-helper")
}

// BenchmarkEarlyPlay is how long it takes from the submission of a job until a
// player has the first segment of picture and sound.
func BenchmarkEarlyPlay(b *testing.B) {
	s := start(b, "", "--early-play")
	c := newSDK(b, s, s.ClientID, s.ClientSecret)
	film := encodeFilm(b)
	c.createAsset(b, "in")
	c.upload(b, "in", film)
	c.createTransform(b, "abr", media.EncoderNamedPresetH264MultipleBitrate720P)
	n := 0
	for b.Loop() {
		name := "job" + strconv.Itoa(n)
		n++
		c.createAsset(b, name)
		l, err := c.locators.Create(b.Context(), c.ResourceGroup, c.AccountName, name, media.StreamingLocator{
			Properties: &media.StreamingLocatorProperties{AssetName: to.Ptr(name), StreamingPolicyName: to.Ptr("Predefined_ClearStreamingOnly")},
		}, nil)
		if err != nil {
			b.Fatal(err)
		}
		j := &earlyJob{sdk: c, t: b, base: s.StreamingEndpoint + "/" + *l.Properties.StreamingLocatorID + "/" +
			strings.TrimSuffix(filepath.Base(film), ".mp4") + ".ism/manifest"}
		begin := time.Now()
		c.submit(b, "abr", name, "in", name)
		for {
			if status, _ := j.get(b, j.base+"(format=m3u8-cmaf)"); status == 200 {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		audio, video := j.playlists()
		for _, playlist := range append(audio, video[0]) {
			urls, _ := j.segments(playlist)
			for _, u := range urls[:2] { // the map and the first segment
				if status, _ := j.get(b, u); status != 200 {
					b.Fatalf("%s: %d", u, status)
				}
			}
		}
		first := time.Since(begin).Seconds()
		job, err := c.jobs.Get(b.Context(), c.ResourceGroup, c.AccountName, "abr", name, nil)
		if err != nil || *job.Properties.State != media.JobStateProcessing {
			b.Fatalf("the job is %v when its first segment is there, %v", *job.Properties.State, err)
		}
		b.ReportMetric(first, "first-segment-s")
		if job := c.await(b, "abr", name, 10*time.Minute); *job.Properties.State != media.JobStateFinished {
			b.Fatalf("the job ended %s", *job.Properties.State)
		}
		b.ReportMetric(time.Since(begin).Seconds(), "whole-job-s")
	}
}
