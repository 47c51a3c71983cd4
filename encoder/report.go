package encoder

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/openams/openams/ffmpeg"
)

// A likeness is how much a rung looks like what it was made of: the structural
// similarity (SSIM, 1 is the same) of its frames, each to the source's scaled to
// the rung's size.
type likeness struct{ mean, least float64 }

// compare measures every rung against the source, which is decoded once more
// for it.
func (p *Plan) compare(ctx context.Context, tools ffmpeg.Tools, paths []string, parts map[string]*part, dir string, progress func(part float64)) error {
	if strings.ContainsAny(dir, `\':;,[]%=`) {
		return fmt.Errorf("the scratch folder %q has a character that ffmpeg's filters do not take", dir)
	}
	rungs := *p.Video
	rungs.Images, rungs.Rungs = nil, slices.Clone(rungs.Rungs)
	for i := range rungs.Rungs {
		rungs.Rungs[i].Hardware = "" // pictures stay where the filter sees them
	}
	args := []string{}
	for i, in := range p.Inputs {
		args = append(args, in.open(paths[i], true)...)
	}
	graph := rungs.filters()
	stats := func(i int) string { return filepath.Join(dir, fmt.Sprintf("ssim-%d.txt", i)) }
	for i := range rungs.Rungs {
		args = append(args, ffmpeg.Input(parts[fmt.Sprintf("v%d", i)].path)...)
		// Frame by frame: times that are rounded differently would pair wrong ones.
		graph = append(graph, fmt.Sprintf("[v%d]settb=1/1000,setpts=N*1000[r%d];[%d:0]settb=1/1000,setpts=N*1000,setsar=1[e%d];[e%d][r%d]ssim=stats_file=%s[x%d]",
			i, i, len(p.Inputs)+i, i, i, i, stats(i), i))
	}
	args = append(args, "-filter_complex", strings.Join(graph, ";"))
	for i := range rungs.Rungs {
		args = append(args, "-map", fmt.Sprintf("[x%d]", i))
	}
	if err := tools.Run(ctx, append(args, "-fps_mode", "passthrough", "-f", "null", "-"), func(q ffmpeg.Progress) {
		if p.Video.Frames > 0 {
			progress(min(1, float64(q.Frame)/float64(p.Video.Frames)))
		}
	}); err != nil {
		return err
	}
	for i := range rungs.Rungs {
		l, err := readLikeness(stats(i))
		if err != nil {
			return err
		}
		parts[fmt.Sprintf("v%d", i)].likeness = &l
	}
	return nil
}

// readLikeness reads lines of "n:1 Y:0.99 U:0.99 V:0.99 All:0.99 (21.3)".
func readLikeness(path string) (l likeness, err error) {
	f, err := os.Open(path)
	if err != nil {
		return l, err
	}
	defer f.Close()
	n, sum := 0, 0.0
	l.least = 1
	for lines := bufio.NewScanner(f); lines.Scan(); {
		words := strings.Fields(lines.Text())
		i := slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(w, "All:") })
		if i < 0 {
			continue
		}
		v, err := strconv.ParseFloat(words[i][4:], 64)
		if err != nil || !(v <= 1) {
			return l, fmt.Errorf("ffmpeg's SSIM is %q", words[i])
		}
		n++
		sum += v
		l.least = min(l.least, v)
	}
	if n == 0 {
		return l, fmt.Errorf("ffmpeg compared no frames")
	}
	l.mean = sum / float64(n)
	return l, nil
}
