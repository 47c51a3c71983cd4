package encoder

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/openams/openams/ffmpeg"
)

// BenchmarkEncode compares a whole encode, from probing to the last file of the
// asset, with ffmpeg alone making the same rungs and the sound from one decode.
// The two take turns. It reports both in seconds for each encode, and the ratio.
func BenchmarkEncode(b *testing.B) {
	tools, err := ffmpeg.Find("", "")
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(b.TempDir(), "film.mp4")
	if dir := os.Getenv("OPENAMS_TEST_MEDIA"); dir != "" {
		path = filepath.Join(dir, "montage-720p24-stereo-42s.mp4")
	} else if err := tools.Run(b.Context(), []string{"-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=24:duration=20",
		"-f", "lavfi", "-i", "sine=duration=20", "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", path}, nil); err != nil {
		b.Fatal(err)
	}
	info, err := tools.Probe(b.Context(), path)
	if err != nil {
		b.Fatal(err)
	}
	plan, err := NewPlan(preset("H264MultipleBitrate720p"), Request{Source: info, Name: "film"})
	if err != nil {
		b.Fatal(err)
	}
	var whole, bare cost
	for b.Loop() {
		whole.add(b, func() error {
			src, _, err := Choose(b.Context(), tools, []Source{{Name: "film.mp4", Path: path}})
			if err != nil {
				return err
			}
			_, err = Encode(b.Context(), tools, plan, []Source{src}, filepath.Join(b.TempDir(), "out"), nil)
			return err
		})
		bare.add(b, func() error { return exec.Command(tools.FFmpeg, bareArgs(plan, path, b.TempDir())...).Run() })
	}
	n := float64(b.N)
	b.ReportMetric(whole.wall/n, "job-wall-s")
	b.ReportMetric(bare.wall/n, "ffmpeg-wall-s")
	b.ReportMetric(whole.wall/bare.wall, "wall-ratio")
	b.ReportMetric(whole.cpu/n, "job-cpu-s")
	b.ReportMetric(bare.cpu/n, "ffmpeg-cpu-s")
	b.ReportMetric(whole.cpu/bare.cpu, "cpu-ratio")
}

// bareArgs is the ladder of a plan as one would type it.
func bareArgs(p *Plan, in, dir string) []string {
	var split, scale []string
	for i, r := range p.Video.Rungs {
		split = append(split, fmt.Sprintf("[s%d]", i))
		scale = append(scale, fmt.Sprintf("[s%d]scale=%d:%d:flags=bicubic[v%d]", i, r.Width, r.Height, i))
	}
	graph := fmt.Sprintf("[0:v:0]split=%d%s;%s", len(split), strings.Join(split, ""), strings.Join(scale, ";"))
	args := []string{"-nostdin", "-v", "error", "-y", "-i", in, "-filter_complex", graph}
	for i, r := range p.Video.Rungs {
		args = append(args, "-map", fmt.Sprintf("[v%d]", i), "-c:v", "libx264", "-preset", speed, "-profile:v", "high", "-pix_fmt", "yuv420p",
			"-bf", "3", "-refs", "3", "-sc_threshold", "0", "-flags", "+cgop", "-force_key_frames", "expr:gte(t,n_forced*2)",
			"-b:v", fmt.Sprint(r.Bitrate), "-maxrate", fmt.Sprint(r.Bitrate), "-bufsize", fmt.Sprint(bufferWindow*r.Bitrate),
			filepath.Join(dir, fmt.Sprintf("%d.mp4", i)))
	}
	return append(args, "-map", "0:a:0", "-c:a", "aac", "-b:a", fmt.Sprint(p.Audio.Tracks[0].Bitrate), filepath.Join(dir, "audio.mp4"))
}

// cost is time on the wall and of the processor, children included, in seconds.
type cost struct{ wall, cpu float64 }

func (c *cost) add(b *testing.B, f func() error) {
	cpu := func() (total float64) {
		for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
			var u syscall.Rusage
			if err := syscall.Getrusage(who, &u); err != nil {
				b.Fatal(err)
			}
			total += time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
		}
		return total
	}
	wall, before := time.Now(), cpu()
	if err := f(); err != nil {
		b.Fatal(err)
	}
	c.wall += time.Since(wall).Seconds()
	c.cpu += cpu() - before
}
