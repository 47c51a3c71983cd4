package encoder

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/ffmpeg"
)

// BenchmarkEncode compares a whole encode, from probing to the last file of the
// asset, with ffmpeg alone making the same rungs and the sound from one decode. So
// does the same encode in chunks, two at a time, and one that plays early. They take
// turns. It reports all in seconds for each encode, the ratios, for chunks and ffmpeg
// the bitrate and quality of all rungs together, and by how many points progress was
// off: its distance from the share of the time that had passed.
func BenchmarkEncode(b *testing.B) {
	for _, size := range []struct{ name, preset string }{{"720p", "H264MultipleBitrate720p"}, {"1080p", "H264MultipleBitrate1080p"}} {
		b.Run(size.name, func(b *testing.B) { benchmarkEncode(b, size.name, size.preset) })
	}
}

// benchFilm is the film of the benchmarks in a size: the montage of the sample
// clips, or a test picture where there is none.
func benchFilm(b *testing.B, tools ffmpeg.Tools, size string) string {
	b.Helper()
	film := ""
	if dir := os.Getenv("OPENAMS_TEST_MEDIA"); dir != "" {
		film = filepath.Join(dir, "montage-720p24-stereo-42s.mp4")
		if size == "720p" {
			return film
		}
	}
	path := filepath.Join(b.TempDir(), "film.mp4")
	args := []string{"-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=24:duration=20", "-f", "lavfi", "-i", "sine=duration=20", "-c:a", "aac"}
	if film != "" {
		args = append(ffmpeg.Input(film), "-c:a", "copy")
	}
	if size == "1080p" {
		args = append(args, "-vf", "scale=1920:1080:flags=bicubic")
	}
	if err := tools.Run(b.Context(), append(args, "-c:v", "libx264", "-preset", "ultrafast", "-crf", "16", path), nil); err != nil {
		b.Fatal(err)
	}
	return path
}

func benchmarkEncode(b *testing.B, size, name string) {
	tools, err := ffmpeg.Find("", "")
	if err != nil {
		b.Fatal(err)
	}
	path := benchFilm(b, tools, size)
	info, err := tools.Probe(b.Context(), path)
	if err != nil {
		b.Fatal(err)
	}
	plan, err := NewPlan(preset(name), One("film", info, Clip{}))
	if err != nil {
		b.Fatal(err)
	}
	encode := func(c *cost, how How) (files []OutputFile, off float64) {
		p := *plan
		p.Early = how.Publish != nil
		type mark struct{ at, percent float64 }
		var marks []mark
		begin := time.Now()
		c.add(b, func() error {
			media, _, err := Choose(b.Context(), tools, []Source{{Name: "film.mp4", Path: path}})
			if err != nil {
				return err
			}
			files, err = EncodeAs(b.Context(), tools, &p, media, how, filepath.Join(b.TempDir(), "out"),
				func(percent float64) { marks = append(marks, mark{time.Since(begin).Seconds(), percent}) })
			return err
		})
		whole := time.Since(begin).Seconds()
		for _, m := range marks {
			off = max(off, math.Abs(m.percent-100*m.at/whole))
		}
		return files, off
	}
	var whole, bare, chunked, early cost
	var inChunks, plain []rated
	var wholeOff, chunksOff, earlyOff, first float64
	for b.Loop() {
		_, wholeOff = encode(&whole, How{})
		dir := b.TempDir()
		bare.add(b, func() error { return exec.Command(tools.FFmpeg, bareArgs(plan, path, dir)...).Run() })
		var files []OutputFile
		files, chunksOff = encode(&chunked, How{Lanes: 2})
		begin := time.Now()
		first = 0
		_, earlyOff = encode(&early, How{Lanes: 2, Name: "film", Publish: func(_ context.Context, f OutputFile) error {
			if strings.HasSuffix(f.Name, ".ism") && first == 0 {
				first = time.Since(begin).Seconds()
			}
			return nil
		}})
		if inChunks == nil {
			inChunks = rate(b, tools, plan, path, files)
			var alone []OutputFile
			for i := range plan.Video.Rungs {
				alone = append(alone, OutputFile{Path: filepath.Join(dir, fmt.Sprintf("%d.mp4", i))})
			}
			plain = rate(b, tools, plan, path, alone)
		}
	}
	n := float64(b.N)
	b.ReportMetric(bare.wall/n, "ffmpeg-wall-s")
	b.ReportMetric(bare.cpu/n, "ffmpeg-cpu-s")
	b.ReportMetric(whole.wall/n, "job-wall-s")
	b.ReportMetric(whole.cpu/n, "job-cpu-s")
	b.ReportMetric(whole.wall/bare.wall, "wall-ratio")
	b.ReportMetric(whole.cpu/bare.cpu, "cpu-ratio")
	b.ReportMetric(wholeOff, "progress-off-points")
	b.ReportMetric(chunked.wall/n, "chunks-wall-s")
	b.ReportMetric(chunked.cpu/n, "chunks-cpu-s")
	b.ReportMetric(chunked.wall/(chunked.cpu/2), "chunks-wall-of-cpu/2")
	b.ReportMetric(chunked.cpu/bare.cpu, "chunks-cpu-ratio")
	b.ReportMetric(100*saving(plain, inChunks), "chunks-saved-%")
	b.ReportMetric(chunksOff, "chunks-progress-off-points")
	b.ReportMetric(early.wall/n, "early-wall-s")
	b.ReportMetric(early.cpu/bare.cpu, "early-cpu-ratio")
	b.ReportMetric(first, "early-first-s")
	b.ReportMetric(earlyOff, "early-progress-off-points")
	b.Logf("ffmpeg %v\nchunks %v", plain, inChunks)
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
	return append(args, "-map", "0:a:0", "-c:a", "aac", "-b:a", fmt.Sprint(p.Audio[0].Tracks[0].Bitrate), filepath.Join(dir, "audio.mp4"))
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

// BenchmarkContentAware compares the ladder of ContentAwareEncoding with
// AdaptiveStreaming's, both with the same top size: how many bits it takes for
// the same SSIM, over the range of qualities that both ladders have. It also
// reports what part of the processor's time went into the analysis.
func BenchmarkContentAware(b *testing.B) {
	dir := os.Getenv("OPENAMS_TEST_MEDIA")
	if dir == "" {
		b.Skip("OPENAMS_TEST_MEDIA names no folder with the sample clips")
	}
	tools, err := ffmpeg.Find("", "")
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range []string{"montage-720p24-stereo-42s.mp4", "traffic-432p12.5-stereo-30s.mp4", "video-only-360p-40s.mp4",
		"bbb-720p25-5.1-5s.mp4", "bbb-360p30-vp8-3s.webm", "anamorphic-sar2x1-5s.mp4", "bbb-1080p24-mpeg2-2.5s.ts"} {
		b.Run(name, func(b *testing.B) {
			path := filepath.Join(dir, name)
			for b.Loop() {
				media, n, err := Choose(b.Context(), tools, []Source{{Name: name, Path: path}})
				if err != nil {
					b.Fatal(err)
				}
				q := Request{Feeds: []Feed{{Files: media, Chosen: n}}}
				var encode cost
				run := func(preset ams.Preset, title *Title) []rated {
					q.Title = title
					plan, err := NewPlan(preset, q)
					if err != nil {
						b.Fatal(err)
					}
					out := filepath.Join(b.TempDir(), "out")
					var files []OutputFile
					encode = cost{}
					encode.add(b, func() error {
						files, err = Encode(b.Context(), tools, plan, plan.sources(q), out, nil)
						return err
					})
					return rate(b, tools, plan, path, files)
				}
				fixed := run(preset("AdaptiveStreaming"), nil)
				var analysis cost
				var title *Title
				analysis.add(b, func() (err error) {
					title, err = Analyse(b.Context(), tools, preset("ContentAwareEncoding"), q, filepath.Join(b.TempDir(), "samples"), func(float64) {})
					return err
				})
				aware := run(preset("ContentAwareEncoding"), title)
				b.ReportMetric(100*saving(fixed, aware), "saved-%")
				b.ReportMetric(100*analysis.cpu/encode.cpu, "analysis-%")
				b.ReportMetric(float64(len(fixed)), "fixed-rungs")
				b.ReportMetric(float64(len(aware)), "rungs")
				b.Logf("fixed %v\naware %v", fixed, aware)
			}
		})
	}
}

// A rated rung is its bitrate and its quality in dB, as Point has it.
type rated struct{ bitrate, quality float64 }

func (r rated) String() string { return fmt.Sprintf("%.0fk %.2f dB", r.bitrate/1000, r.quality) }

// rate compares the rungs of an encode with what the plan makes of the source
// before it is encoded.
func rate(b *testing.B, tools ffmpeg.Tools, plan *Plan, path string, files []OutputFile) []rated {
	b.Helper()
	var out []rated
	top := plan.Video.Rungs[0]
	for _, f := range files {
		info, err := tools.Probe(b.Context(), f.Path)
		if err != nil || pickVideo(info) == nil {
			continue
		}
		index, err := indexFile(f.Path)
		if err != nil {
			b.Fatal(err)
		}
		v := *plan.Video
		v.Rungs = []Rung{{Width: top.Width, Height: top.Height}}
		log := filepath.Join(b.TempDir(), "ssim")
		graph := append(v.filters(), fmt.Sprintf("[1:v]scale=%d:%d:flags=bicubic,setsar=1[x];[x][v0]ssim=stats_file=%s[o]", top.Width, top.Height, quoteFilter(log)))
		args := append(ffmpeg.Input(path), ffmpeg.Input(f.Path)...)
		if err := tools.Run(b.Context(), append(args, "-filter_complex", strings.Join(graph, ";"), "-map", "[o]", "-f", "null", "-"), nil); err != nil {
			b.Fatal(err)
		}
		var t tally
		if err := t.add(index.Tracks[0], log); err != nil {
			b.Fatal(err)
		}
		out = append(out, rated{float64(bitrate(index.Tracks[0])), t.quality()})
	}
	slices.SortFunc(out, func(a, b rated) int { return cmp.Compare(a.bitrate, b.bitrate) })
	return out
}

// saving is the part of the bits of fixed that other does without at equal
// quality: the mean over the qualities that both have.
func saving(fixed, other []rated) float64 {
	low := max(fixed[0].quality, other[0].quality)
	high := min(fixed[len(fixed)-1].quality, other[len(other)-1].quality)
	if len(other) == 1 || low > high { // where other has its only rung, or the one nearest to fixed
		low, high = other[0].quality, other[0].quality
	}
	at := func(list []rated, q float64) float64 { // logarithm of the bitrate
		if len(list) == 1 {
			return math.Log(list[0].bitrate)
		}
		i := 1
		for i < len(list)-1 && list[i].quality < q {
			i++
		}
		l, r := list[i-1], list[i]
		part := (q - l.quality) / (r.quality - l.quality)
		return math.Log(l.bitrate) + part*(math.Log(r.bitrate)-math.Log(l.bitrate))
	}
	const steps = 100
	sum := 0.0
	for i := range steps + 1 {
		q := low + (high-low)*float64(i)/steps
		sum += at(other, q) - at(fixed, q)
	}
	return 1 - math.Exp(sum/(steps+1))
}
