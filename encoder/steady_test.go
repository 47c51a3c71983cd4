package encoder

import (
	"bytes"
	"fmt"
	"image/jpeg"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/jobqueue"
)

// runTask runs a v2 task over an asset with one file and returns its output.
func (s *service) runTask(processor, configuration, name, path string) (*ams.Asset, *ams.JobError) {
	s.t.Helper()
	ctx := s.t.Context()
	in := s.asset(fmt.Sprintf("in %d", time.Now().UnixNano()), map[string]string{name: path})
	if err := s.account.CreateFileInfos(ctx, in.ID); err != nil {
		s.t.Fatal(err)
	}
	j, err := s.account.SubmitTasks(ctx, account.TaskJobRequest{Inputs: []string{in.ID}, Tasks: []account.TaskRequest{taskOf(processor, configuration, account.Port{}, 0)}})
	if err != nil {
		s.t.Fatal(err)
	}
	j = s.ended(j, 0)
	if j.State != ams.Finished {
		return nil, j.Tasks[0].Error
	}
	out, err := s.account.Asset(ctx, j.Tasks[0].Asset)
	if err != nil {
		s.t.Fatal(err)
	}
	return out, nil
}

// levels runs a filter that ends in signalstats and returns one of its numbers
// for each frame.
func levels(t *testing.T, path, filters, key string) (all []float64) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "levels.txt")
	args := []string{"-y", "-i", path, "-vf", filters + ",signalstats,metadata=print:key=lavfi.signalstats." + key + ":file=" + escapeFilter(file), "-an", "-f", "null", os.DevNull}
	if err := tools(t).Run(t.Context(), args, nil); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if _, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			n, err := strconv.ParseFloat(v, 64)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, n)
		}
	}
	return all
}

func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / math.Max(1, float64(len(v)))
}

// A shaken picture is held still, and a time-lapse of it has as many frames as
// were asked for.
func TestSteady(t *testing.T) {
	shaken := clip(t, "shaken.mp4",
		"-f", "lavfi", "-i", "mandelbrot=size=640x360:rate=25:end_scale=0.3:maxiter=100", "-f", "lavfi", "-i", "sine=duration=2",
		"-vf", "trim=end_frame=1,loop=49:1:0,setpts=N/(25*TB),crop=320:180:x='100+9*sin(n*1.9)':y='80+7*cos(n*2.3)'", "-t", "2",
		"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac")
	s := newService(t, jobqueue.Config{})
	w := s.worker("a, worker's [own]: folder") // its scratch folder is in a filter
	s.run(w)
	between := "crop=iw-80:ih-60,tblend=all_mode=difference"
	before := mean(levels(t, shaken, between, "YAVG"))
	out, e := s.runTask(ams.Stabilizer, "", "shaken.mp4", shaken)
	if e != nil {
		t.Fatal(e)
	}
	if !slices.Contains(s.files(out), "shaken_stabilized.mp4") || !slices.Contains(s.files(out), "shaken.ism") {
		t.Fatalf("%q", s.files(out))
	}
	path, _ := s.read(out, "shaken_stabilized.mp4")
	info, err := tools(t).Probe(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if v, a := pickVideo(info), pickAudio(info); v == nil || a == nil || v.Width != 320 || v.Height != 180 || v.Frames != 50 {
		t.Errorf("%+v", info)
	}
	if after := mean(levels(t, path, between, "YAVG")[5:]); after > before/2 {
		t.Errorf("frames differ by %.2f, of the source by %.2f", after, before)
	}

	const configuration = `<?xml version="1.0" encoding="utf-16"?><Preset Version="1.0" xmlns="http://www.windowsazure.com/media/encoding/Preset/2014/03">
		<Sources><Source StartFrame="10" NumFrames="30"/></Sources><Options><Speed>7</Speed></Options></Preset>`
	if out, e = s.runTask(ams.Hyperlapse, configuration, "shaken.mp4", shaken); e != nil {
		t.Fatal(e)
	}
	path, _ = s.read(out, "shaken_hyperlapse.mp4")
	if info, err = tools(t).Probe(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if v := pickVideo(info); v == nil || v.Frames != 5 || pickAudio(info) != nil {
		t.Errorf("%+v", info)
	}
	_, e = s.runTask(ams.Hyperlapse, `{"Version":1.0,"Sources":[{"StartFrame":50,"NumFrames":2147483647}],"Options":{"Speed":"1","Stabilize":false}}`, "shaken.mp4", shaken)
	if e == nil || e.Code != ams.ConfigurationUnsupported || !strings.Contains(e.Message, "frame 50") {
		t.Errorf("%v", e)
	}
}

// An ffmpeg that was built without vid.stab steadies by another filter.
func TestSteadyWithout(t *testing.T) {
	err := tools(t).Run(t.Context(), []string{"-f", "lavfi", "-i", "testsrc2=size=64x64:duration=1", "-vf", "nosuchfilter", "-f", "null", "-"}, nil)
	if !lacks(err, "nosuchfilter") || lacks(err, "vidstabdetect") {
		t.Fatalf("%v", err)
	}
	s := newService(t, jobqueue.Config{})
	w := s.worker("one")
	lesser := filepath.Join(t.TempDir(), "ffmpeg")
	if err := os.WriteFile(lesser, []byte("#!/bin/sh\ncase \"$*\" in *vidstab*) echo \"[AVFilterGraph @ 0x1] No such filter: 'vidstabdetect'\" >&2; exit 1;; esac\nexec "+w.c.Tools.FFmpeg+" \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.c.Tools.FFmpeg = lesser
	s.run(w)
	out, e := s.runTask(ams.Stabilizer, "", "film.mp4", film(t, "1", "160x90", "25"))
	if e != nil {
		t.Fatal(e)
	}
	path, _ := s.read(out, "film_stabilized.mp4")
	if info, err := tools(t).Probe(t.Context(), path); err != nil || pickVideo(info).Frames != 25 {
		t.Errorf("%+v, %v", info, err)
	}
}

// A digest has a part of each scene, for as long as it is to be, with a fade
// between; a short film stays whole.
func TestDigest(t *testing.T) {
	var args []string
	graph := ""
	for i, color := range []string{"0x202020", "0x606060", "0xa0a0a0", "0xe0e0e0"} {
		args = append(args, "-f", "lavfi", "-i", "color="+color+":size=160x90:rate=10:duration=5")
		graph += fmt.Sprintf("[%d]", i)
	}
	args = append(args, "-f", "lavfi", "-i", "sine=duration=20", "-filter_complex", graph+"concat=n=4[v]", "-map", "[v]", "-map", "4",
		"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac")
	scenes := clip(t, "scenes.mp4", args...)
	s := newService(t, jobqueue.Config{})
	s.run(s.worker("one"))
	out, e := s.runTask(ams.VideoThumbnails, `{"version":"1.0","options":{"outputAudio":"true","maxMotionThumbnailDurationInSecs":"8","fadeInFadeOut":"true"}}`, "scenes.mp4", scenes)
	if e != nil {
		t.Fatal(e)
	}
	path, _ := s.read(out, "scenes_MotionThumbnail.mp4")
	info, err := tools(t).Probe(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	v, a := pickVideo(info), pickAudio(info)
	if v == nil || a == nil || v.Frames != 80 || info.Duration < 7900*time.Millisecond || info.Duration > 8200*time.Millisecond {
		t.Fatalf("%+v", info)
	}
	light := levels(t, path, "null", "YAVG")
	near := func(i int, want float64) bool { return math.Abs(light[i]-want) < 6 }
	// Parts of the first and the third scene, four seconds each.
	if !near(20, 43) || !near(60, 153) || light[0] > 25 || light[39] > 40 || light[79] > 60 {
		t.Errorf("brightness %v", light)
	}
	if out, e = s.runTask(ams.VideoThumbnails, `{"version":"1.0","options":{"outputAudio":"false","fadeInFadeOut":"false","maxMotionThumbnailDurationInSecs":"30"}}`, "scenes.mp4", scenes); e != nil {
		t.Fatal(e)
	}
	path, _ = s.read(out, "scenes_MotionThumbnail.mp4")
	if info, err = tools(t).Probe(t.Context(), path); err != nil || pickVideo(info).Frames != 200 || pickAudio(info) != nil {
		t.Errorf("%+v, %v", info, err)
	}
	if out, e = s.runTask(ams.VideoThumbnails, `{"Version":"1.0","Options":{"OutputType":"image","MaxStaticThumbnailCount":"4"}}`, "scenes.mp4", scenes); e != nil {
		t.Fatal(e)
	}
	if got := s.files(out); len(got) != 4 || got[3] != "scenes_StaticThumbnail_000004.jpg" {
		t.Fatalf("%q", got)
	}
	for i, name := range s.files(out) { // of each scene one, from its middle
		_, b := s.read(out, name)
		picture, err := jpeg.Decode(bytes.NewReader(b))
		if err != nil || picture.Bounds().Dx() != 160 {
			t.Fatal(picture.Bounds(), err)
		}
		if r, _, _, _ := picture.At(80, 45).RGBA(); math.Abs(float64(r>>8)-float64(0x20+0x40*i)) > 6 {
			t.Errorf("%s is %#x", name, r>>8)
		}
	}
	sound := clip(t, "sound.m4a", "-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac")
	if _, e = s.runTask(ams.VideoThumbnails, `{"version":"1.0"}`, "sound.m4a", sound); e == nil || e.Code != ams.ContentUnsupported || !strings.Contains(e.Message, "no video") {
		t.Errorf("%v", e)
	}
}

func TestDigestChoice(t *testing.T) {
	seconds := func(s ...float64) (all []time.Duration) {
		for _, v := range s {
			all = append(all, time.Duration(v*float64(time.Second)))
		}
		return all
	}
	for _, tt := range []struct {
		name   string
		cuts   []time.Duration
		length float64
		n      int
		want   []float64 // starts
	}{
		{"shots", seconds(10, 20, 30, 40, 50), 60, 3, []float64{2.5, 22.5, 42.5}},
		{"a single take", nil, 60, 3, []float64{7.5, 27.5, 47.5}},
		{"cut too fast", seconds(1, 2, 3, 4, 5), 20, 2, []float64{1.25, 11.25}},
	} {
		d := digest{length: 15 * time.Second}
		parts := d.choose(tt.cuts, time.Duration(tt.length*float64(time.Second)), tt.n)
		var starts []float64
		for i, p := range parts {
			starts = append(starts, p.from.Seconds())
			if got := p.to - p.from; got != d.length/time.Duration(tt.n) || i > 0 && p.from < parts[i-1].to {
				t.Errorf("%s: part %d is %v", tt.name, i, p)
			}
		}
		if !slices.Equal(starts, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, starts, tt.want)
		}
	}
}

func TestProcessorConfigurations(t *testing.T) {
	for _, tt := range []struct{ processor, text, says string }{
		{ams.Hyperlapse, `{"Sources":[{"StartFrame":-1}]}`, "StartFrame"},
		{ams.Hyperlapse, `{"Sources":[{"NumFrames":0}]}`, "number of frames"},
		{ams.Hyperlapse, `{"Options":{"Speed":101}}`, "Speed"},
		{ams.Hyperlapse, `{"Options":{"Sped":1}}`, "Sped"},
		{ams.Stabilizer, `{"Strength":1}`, "Strength"},
		{ams.VideoThumbnails, `{"Options":{"OutputType":"sound"}}`, "sound"},
		{ams.VideoThumbnails, `{"Options":{"OutputType":"image","MaxStaticThumbnailCount":"101"}}`, "MaxStaticThumbnailCount"},
		{ams.VideoThumbnails, `{"Options":{"OutputAudio":"loud"}}`, "loud"},
		{ams.VideoThumbnails, `{"Options":{"MaxMotionThumbnailDurationInSecs":"-3"}}`, "3600"},
		{ams.VideoThumbnails, `nothing`, "JSON"},
		{ams.PremiumWorkflow, `<transform/>`, ams.PremiumWorkflow},
	} {
		_, err := TaskPreset(tt.processor, tt.text, 1, 1)
		if code := ams.CodeOf(err); code != ams.Invalid && code != ams.Unsupported || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s %s: %v", tt.processor, tt.text, err)
		}
	}
}

func TestEscapeFilter(t *testing.T) {
	if got, want := escapeFilter(`/a:b'c,[d]\`), `/a\\:b\\\'c\,\[d\]\\\\`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
