package encoder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openams/openams/ffmpeg"
)

// chunked is a plan for a clip of moving numbers, and its sources.
func chunked(t *testing.T, rate string, seconds int, c Clip) (*Plan, []Source) {
	t.Helper()
	path := clip(t, "film.mp4", "-f", "lavfi", "-i", fmt.Sprintf("testsrc2=size=160x90:rate=%s:duration=%d", rate, seconds),
		"-f", "lavfi", "-i", fmt.Sprintf("sine=duration=%d", seconds), "-c:v", "libx264", "-preset", "ultrafast", "-g", "37", "-bf", "2", "-crf", "18", "-c:a", "aac")
	info, err := tools(t).Probe(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	q := Request{Feeds: []Feed{{Files: []Source{{Name: "film.mp4", Path: path, Info: info}}, Clip: c}}}
	plan, err := NewPlan(standard(`{"codecs":[{"@odata.type":"#Microsoft.Media.H264Video","complexity":"Speed","layers":[
		{"bitrate":900000,"width":"160","height":"90"},{"bitrate":300000,"width":"80","height":"44"}]},
		{"@odata.type":"#Microsoft.Media.AacAudio","channels":2,"samplingRate":48000,"bitrate":64000}],
		"formats":[{"@odata.type":"#Microsoft.Media.Mp4Format","filenamePattern":"{Basename}-{Bitrate}{Extension}"}]}`), q)
	if err != nil {
		t.Fatal(err)
	}
	return plan, plan.sources(q)
}

// TestChunks compares every decoded picture of a film made in chunks with the
// same film made in one piece: a chunk that starts a frame early or late has the
// right number of frames at the right times, but other pictures.
func TestChunks(t *testing.T) {
	for _, tt := range []struct {
		rate string
		clip Clip
	}{{"24000/1001", Clip{}}, {"25", Clip{}}, {"30000/1001", Clip{Start: 1300 * time.Millisecond, End: 11200 * time.Millisecond}}} {
		t.Run(strings.ReplaceAll(tt.rate, "/", ":"), func(t *testing.T) {
			plan, srcs := chunked(t, tt.rate, 13, tt.clip)
			// Nearly lossless, or equal pictures would not stay alike.
			for i := range plan.Video.Rungs {
				r := &plan.Video.Rungs[i]
				r.Mode, r.CRF, r.MaxBitrate, r.Buffer = "CRF", 1, 1<<30, 0
			}
			if n := len(plan.chunks(srcs, How{Lanes: 2})); n < 2 {
				t.Fatalf("%d chunks", n)
			}
			videos := func(c How) (paths []string) {
				files, err := EncodeAs(t.Context(), tools(t), plan, srcs, c, filepath.Join(t.TempDir(), "out"), nil)
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range files {
					if strings.HasSuffix(f.Name, ".mp4") {
						paths = append(paths, f.Path)
					}
				}
				return paths
			}
			whole, parts := videos(How{}), videos(How{Lanes: 2})
			if len(whole) != 2 || len(parts) != 2 {
				t.Fatalf("%v and %v", whole, parts)
			}
			for i := range whole {
				want, err := indexFile(whole[i])
				if err != nil {
					t.Fatal(err)
				}
				joined, err := indexFile(parts[i])
				if err != nil {
					t.Fatal(err)
				}
				frames, keys := instants(want.Tracks[0])
				if f, k := instants(joined.Tracks[0]); joined.Tracks[0].Timescale != want.Tracks[0].Timescale || !slices.Equal(f, frames) || !slices.Equal(k, keys) {
					t.Errorf("rung %d: IDRs at %v of %d frames, in one piece at %v of %d", i, k, len(f), keys, len(frames))
				}
				same := alike(t, whole[i], parts[i], "null")
				if len(same) != want.Tracks[0].NumSamples() {
					t.Errorf("rung %d: %d frames are alike of %d", i, len(same), want.Tracks[0].NumSamples())
				}
				late := alike(t, whole[i], parts[i], "trim=start_frame=1,setpts=PTS-STARTPTS")
				if least, most := slices.Min(same), slices.Max(late); least < 0.99 || most > 0.99 {
					t.Errorf("rung %d: frames are alike by %.4f at least; a frame late, by %.4f at most", i, least, most)
				}
			}
		})
	}
}

// alike returns the SSIM of each frame of one film with that of another.
func alike(t *testing.T, one, other, filter string) (all []float64) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "ssim")
	args := append(ffmpeg.Input(one), ffmpeg.Input(other)...)
	graph := fmt.Sprintf("[1:v]%s[o];[0:v][o]ssim=shortest=1:stats_file=%s", filter, quoteFilter(log))
	if err := tools(t).Run(t.Context(), append(args, "-lavfi", graph, "-f", "null", "-"), nil); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		var n int
		var y, u, v, sum float64
		if _, err := fmt.Sscanf(line, "n:%d Y:%f U:%f V:%f All:%f", &n, &y, &u, &v, &sum); err != nil {
			t.Fatal(err)
		}
		all = append(all, sum)
	}
	return all
}

// TestChunksResume kills an encode in chunks and takes it up again: what was
// finished is not made again, and progress starts from there.
func TestChunksResume(t *testing.T) {
	plan, srcs := chunked(t, "25", 21, Clip{})
	kept := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	c := How{Lanes: 2, Dir: kept}
	_, err := EncodeAs(ctx, tools(t), plan, srcs, c, filepath.Join(t.TempDir(), "out"), func(p float64) {
		if p > 45 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	finished := func() map[string]time.Time {
		all := map[string]time.Time{}
		dirs, _ := filepath.Glob(filepath.Join(kept, "*", "0*", "v0.mp4"))
		for _, d := range dirs {
			info, err := os.Stat(d)
			if err != nil {
				t.Fatal(err)
			}
			all[d] = info.ModTime()
		}
		return all
	}
	before := finished()
	if n := len(plan.chunks(srcs, How{Lanes: 2})); len(before) == 0 || len(before) == n {
		t.Fatalf("%d of %d chunks were finished", len(before), n)
	}
	first := -1.0
	if _, err := EncodeAs(t.Context(), tools(t), plan, srcs, c, filepath.Join(t.TempDir(), "out"), func(p float64) {
		if first < 0 && p > 0 {
			first = p
		}
	}); err != nil {
		t.Fatal(err)
	}
	after := finished()
	for d, made := range before {
		if !after[d].Equal(made) {
			t.Errorf("%s was made again", d)
		}
	}
	if first < 10 {
		t.Errorf("progress started again at %.1f %%", first)
	}
	if left, _ := filepath.Glob(filepath.Join(kept, "*", "unfinished-*")); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

// TestNoChunks: what a chunk cannot have exactly is made in one piece.
func TestNoChunks(t *testing.T) {
	for name, change := range map[string]func(*Plan, []Source){
		"interlaced":     func(p *Plan, _ []Source) { p.Video.Parts[0].Deinterlace = "auto" },
		"fades":          func(p *Plan, _ []Source) { p.Video.Fades = []Fade{{}} },
		"scene cuts":     func(p *Plan, _ []Source) { p.Video.Rungs[1].SceneCut = true },
		"unequal GOPs":   func(p *Plan, _ []Source) { p.Video.Rungs[1].GOP = 7 },
		"another rate":   func(p *Plan, _ []Source) { p.Video.Rate.Num = 30 },
		"unknown length": func(p *Plan, _ []Source) { p.Video.Frames = 0 },
		"a stream":       func(_ *Plan, s []Source) { s[0].Info.Format = "mpegts" },
		"short":          func(p *Plan, _ []Source) { p.Video.Frames = 150 },
	} {
		plan, srcs := chunked(t, "25", 13, Clip{})
		if len(plan.chunks(srcs, How{Lanes: 2})) < 2 {
			t.Fatal("the plan has no chunks to start with")
		}
		change(plan, srcs)
		if plan.chunks(srcs, How{Lanes: 2}) != nil {
			t.Errorf("%s: cut into chunks", name)
		}
	}
}

// TestWorkFile: what a helper reads back makes the very run of ffmpeg that the
// worker would make which wrote it.
func TestWorkFile(t *testing.T) {
	plan, srcs := chunked(t, "24000/1001", 13, Clip{Start: 1300 * time.Millisecond})
	plan.Early = true
	_, rest := plan.split()
	for _, p := range []*Plan{plan, rest} {
		work := &chunkWork{Plan: p, Chunks: p.chunks(srcs, How{Lanes: 2})}
		b, err := json.Marshal(work)
		if err != nil {
			t.Fatal(err)
		}
		read := new(chunkWork)
		if err := json.Unmarshal(b, read); err != nil {
			t.Fatal(err)
		}
		if len(read.Chunks) < 2 {
			t.Fatalf("%d chunks", len(read.Chunks))
		}
		for i, c := range read.Chunks {
			want := work.Chunks[i].of(work.Plan).Args([]string{"in"}, "out")
			if got := c.of(read.Plan).Args([]string{"in"}, "out"); !slices.Equal(got, want) {
				t.Errorf("chunk %d:\n%q\n%q", i, got, want)
			}
		}
	}
}
