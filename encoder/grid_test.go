package encoder

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/mp4"
)

// mixed is a ladder whose rungs differ in codec, size and B-frames, all in the
// same GOPs of a second.
const mixed = `{"codecs":[
	{"#H264Video","label":"a","complexity":"Speed","keyFrameInterval":"PT1S"%[1]s,"layers":[{"bitrate":300000,"width":"64","height":"36"},{"bitrate":100000,"width":"48","height":"28","profile":"Baseline"}]},
	{"#H265Video","label":"b","complexity":"Speed","keyFrameInterval":"PT1S"%[1]s,"layers":[{"bitrate":200000,"width":"64","height":"36"}]},
	{"#AacAudio"}],"formats":[{"#Mp4Format","filenamePattern":"out-{Codec}-{Bitrate}{Extension}"}]}`

// instants returns the times, in seconds as fractions of the track's ticks, at
// which samples are shown: of all in order, and of the IDRs.
func instants(k *mp4.Track) (all, keys []int64) {
	for _, s := range k.AppendSamples(nil, 0, k.NumSamples()) {
		all = append(all, shown(k, s))
		if s.Sync {
			keys = append(keys, shown(k, s))
		}
	}
	slices.Sort(all)
	return all, keys
}

// TestGrid: at every rate, and with uneven frames, all rungs have their IDRs and
// their frames at the same ticks, and those are exact multiples of a frame.
func TestGrid(t *testing.T) {
	for _, tt := range []struct{ rate, sync string }{
		{"24000/1001", ""}, {"24", ""}, {"25", ""}, {"30000/1001", ""}, {"50", ""}, {"60000/1001", ""},
		{"uneven", ""}, {"uneven", `,"syncMode":"Vfr"`}, {"uneven", `,"syncMode":"Passthrough"`},
	} {
		t.Run(strings.ReplaceAll(tt.rate, "/", ":")+strings.Trim(tt.sync, `,"`), func(t *testing.T) {
			rate := tt.rate
			var uneven []string
			if rate == "uneven" {
				// Like a screen capture: full speed, then a picture now and then.
				rate, uneven = "60", []string{"-vf", "select='lt(n,70)+not(mod(n,11))+not(mod(n,7))'", "-fps_mode", "passthrough"}
			}
			path := clip(t, "film.mp4", slices.Concat([]string{"-f", "lavfi", "-i", "testsrc2=size=64x36:duration=3.3:rate=" + rate,
				"-f", "lavfi", "-i", "sine=sample_rate=44100:duration=3.3", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-c:a", "aac"}, uneven)...)
			dir := filepath.Join(t.TempDir(), "out")
			files, plan, err := encodeWith(t, standard(fmt.Sprintf(mixed, tt.sync)), Clip{}, dir, path)
			if err != nil {
				t.Fatal(err)
			}
			indexes, p := check(t, files, plan, dir)
			var tracks []*mp4.Track
			for _, name := range []string{"out-H264-300000.mp4", "out-H264-100000.mp4", "out-HEVC-200000.mp4"} {
				if indexes[name] == nil {
					t.Fatalf("no %s", name)
				}
				tracks = append(tracks, indexes[name].Tracks[0])
			}
			frames, keys := instants(tracks[0])
			for i, k := range tracks {
				f, s := instants(k)
				if k.Timescale != tracks[0].Timescale || !slices.Equal(f, frames) || !slices.Equal(s, keys) {
					t.Errorf("rung %d: %d ticks a second, IDRs at %v, %d frames at %v\nthe first: %d ticks, IDRs at %v, %d frames at %v",
						i, k.Timescale, s, len(f), f, tracks[0].Timescale, keys, len(frames), frames)
				}
			}
			if len(keys) != 4 || keys[0] != 0 {
				t.Errorf("IDRs at %v", keys)
			}
			if tt.sync == "" {
				r, scale := plan.Video.Rate, int64(tracks[0].Timescale)
				gop := int64(math.Round(r.Float()))
				for i, at := range frames {
					if at*r.Num != int64(i)*r.Den*scale {
						t.Fatalf("frame %d is at %d/%d s, at %v frames a second", i, at, scale, r)
					}
				}
				for i, at := range keys {
					if at != frames[int64(i)*gop] {
						t.Errorf("IDR %d is at %d, frame %d at %d", i, at, int64(i)*gop, frames[int64(i)*gop])
					}
				}
			}
			// The packager cuts all of them at the same places.
			cuts := map[string]bool{}
			for _, track := range p.Tracks {
				for _, r := range track.Renditions {
					if r.Media.Kind == mp4.Video {
						cuts[fmt.Sprint(fragmentTimes(r))] = true
					}
				}
			}
			if len(cuts) != 1 {
				t.Errorf("fragments: %v", cuts)
			}
		})
	}
}

func fragmentTimes(r *packager.Rendition) (times []int64) {
	for _, f := range r.Fragments {
		times = append(times, f.Time) // the last frame of an uneven film lasts as long as its encoder guesses
	}
	return times
}

// TestSync: where the source flashes and beeps, the outputs do, and together to
// less than 10 ms, whatever the source's rate, clock, priming and offset.
func TestSync(t *testing.T) {
	const flash, sound = `nullsrc=size=64x36:duration=1.4:rate=%s,format=yuv420p,geq=lum='if(gte(T,0.9)*lt(T,1.1),235,16)':cb=128:cr=128`,
		`aevalsrc='if(gte(t,%[1]f)*lt(t,%[1]f+0.2),sin(2*PI*2000*t),0)':sample_rate=%[2]s:duration=1.4`
	const one = `{"codecs":[{"#H264Video","complexity":"Speed","keyFrameInterval":"PT1S","layers":[{"bitrate":300000,"width":"64","height":"36"}]},{"#AacAudio"}],
		"formats":[{"#Mp4Format","filenamePattern":"out-{Codec}-{Bitrate}{Extension}"}]}`
	for _, tt := range []struct {
		name, rate string
		frames     float64 // a second
		sound      string  // its rate
		late       float64 // what the sound comes later than the picture in the source, seconds
		clip       Clip
		preset     string
		args       []string
	}{
		{"a.mp4", "25", 25, "44100", 0, Clip{}, mixed, []string{"-c:a", "aac", "-bf", "3"}},
		{"b.mp4", "24000/1001", 24000. / 1001, "48000", 0, Clip{}, one, []string{"-c:a", "aac", "-bf", "2"}},
		{"c.ts", "30000/1001", 30000. / 1001, "48000", 0, Clip{}, one, []string{"-c:a", "mp2", "-bf", "2", "-output_ts_offset", "37"}},
		{"d.mkv", "60000/1001", 60000. / 1001, "44100", 0, Clip{}, one, []string{"-c:a", "libmp3lame", "-bf", "0"}},
		{"e.mov", "50", 50, "48000", 0.1, Clip{}, one, []string{"-c:a", "pcm_s16le", "-bf", "3"}},
		// Clips that start between two frames.
		{"f.mp4", "25", 25, "48000", 0, Clip{Start: 310 * time.Millisecond, End: 1300 * time.Millisecond}, one, []string{"-c:a", "aac", "-bf", "3", "-g", "10"}},
		{"g.mp4", "12", 12, "48000", 0, Clip{Start: 260 * time.Millisecond}, one, []string{"-c:a", "aac", "-bf", "3", "-g", "10"}},
		{"h.mkv", "24", 24, "48000", 0, Clip{Start: 275 * time.Millisecond}, one, []string{"-c:a", "pcm_s16le", "-bf", "1", "-g", "10"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// The sound goes with the frame that first shows the flash.
			at := math.Ceil(0.9*tt.frames-1e-9) / tt.frames
			path := clip(t, tt.name, slices.Concat([]string{"-f", "lavfi", "-i", fmt.Sprintf(flash, tt.rate), "-f", "lavfi", "-i", fmt.Sprintf(sound, at+tt.late, tt.sound),
				"-c:v", "libx264", "-preset", "ultrafast"}, tt.args)...)
			preset := tt.preset
			if preset == mixed {
				preset = fmt.Sprintf(mixed, "")
			}
			dir := filepath.Join(t.TempDir(), "out")
			files, plan, err := encodeWith(t, standard(preset), tt.clip, dir, path)
			if err != nil {
				t.Fatal(err)
			}
			check(t, files, plan, dir)
			for _, f := range files {
				if filepath.Ext(f.Name) != ".mp4" {
					continue
				}
				seen, heard := onset(brightness(t, f.Path), 120), onset(loud(t, f.Path), 8000)
				// Priming may come before the picture, which starts a little later then.
				if d := seen - (at - tt.clip.Start.Seconds()); math.Abs(d) > 0.05 {
					t.Errorf("%s: the flash is at %.4f s, want %.4f", f.Name, seen, at-tt.clip.Start.Seconds())
				}
				if late := heard - seen - tt.late; math.Abs(late) > 0.010 {
					t.Errorf("%s: the flash is at %.4f s, the sound %.1f ms late", f.Name, seen, late*1000)
				} else {
					t.Logf("%s: the flash is at %.4f s, the sound %.1f ms late", f.Name, seen, late*1000)
				}
			}
		})
	}
}

// onset returns the first time at which a value is over the limit.
func onset(values [][2]float64, limit float64) float64 {
	for _, v := range values {
		if v[1] > limit {
			return v[0]
		}
	}
	return math.NaN()
}

// brightness returns the times of a file's frames and their mean luma.
func brightness(t *testing.T, path string) (all [][2]float64) {
	t.Helper()
	out := string(command(t, "-i", path, "-map", "0:v", "-vf", "signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=-", "-f", "null", "-"))
	var when, y float64
	for line := range strings.Lines(out) {
		if _, rest, ok := strings.Cut(line, "pts_time:"); ok {
			fmt.Sscan(rest, &when)
		} else if _, rest, ok := strings.Cut(line, "YAVG="); ok {
			fmt.Sscan(rest, &y)
			all = append(all, [2]float64{when, y})
		}
	}
	return all
}

// loud returns the times of a file's sound and how loud it is there.
func loud(t *testing.T, path string) (all [][2]float64) {
	t.Helper()
	for i, v := range pcm(t, path, 0, 0) {
		all = append(all, [2]float64{float64(i) / 48000, math.Abs(v)})
	}
	return all
}
