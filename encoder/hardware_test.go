package encoder

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/jobqueue"
)

// TestTryHardware: what does not work is told from what does, by trying; names
// that nobody knows are refused. On a machine with a card some work.
func TestTryHardware(t *testing.T) {
	if trials, err := TryHardware(t.Context(), tools(t), "off"); trials != nil || err != nil {
		t.Errorf("off: %v, %v", trials, err)
	}
	if _, err := TryHardware(t.Context(), tools(t), "h264_nvenc, libx264"); err == nil || !strings.Contains(err.Error(), "'libx264'") {
		t.Errorf("libx264: %v", err)
	}
	trials, err := TryHardware(t.Context(), tools(t), "h264_videotoolbox,h264_nvenc")
	if err != nil || len(trials) != 2 || trials[0].Encoder != "h264_videotoolbox" || trials[1].Encoder != "h264_nvenc" {
		t.Fatalf("%v, %v", trials, err)
	}
	if _, err := os.Stat("/dev/nvidia0"); err != nil && trials[1].Err == nil {
		t.Error("NVENC works without a card")
	}
	if got := Working([]Trial{{"a", nil}, {"b", errors.New("no")}, {"c", nil}}); !slices.Equal(got, []string{"a", "c"}) {
		t.Errorf("working: %q", got)
	}
}

// TestAccelerate: hardware is chosen for all rungs or none, the better first, and
// not for what it may not know.
func TestAccelerate(t *testing.T) {
	rung := func(codec string) Rung { return Rung{Codec: codec, Width: 640, Height: 360, Bitrate: 1e6, GOP: 50} }
	odd := rung("h264")
	odd.Mode = "CRF"
	ten := rung("hevc")
	ten.Profile = "Main10"
	tiny := rung("h264")
	tiny.Width = 100
	for name, tt := range map[string]struct {
		working []string
		rungs   []Rung
		want    string
	}{
		"none works":     {nil, []Rung{rung("h264")}, ""},
		"other codec":    {[]string{"hevc_nvenc"}, []Rung{rung("h264")}, ""},
		"all":            {[]string{"h264_qsv", "h264_vaapi"}, []Rung{rung("h264"), rung("h264")}, "h264_qsv h264_qsv"},
		"two codecs":     {[]string{"h264_nvenc", "hevc_nvenc"}, []Rung{rung("h264"), rung("hevc")}, "h264_nvenc hevc_nvenc"},
		"two makers":     {[]string{"h264_nvenc", "hevc_qsv"}, []Rung{rung("h264"), rung("hevc")}, ""},
		"one is special": {[]string{"h264_nvenc"}, []Rung{rung("h264"), odd}, ""},
		"ten bits":       {[]string{"hevc_nvenc"}, []Rung{ten}, ""},
		"too small":      {[]string{"h264_nvenc"}, []Rung{rung("h264"), tiny}, ""},
		"AV1":            {[]string{"h264_nvenc"}, []Rung{rung("av1")}, ""},
	} {
		p := &Plan{Video: &Video{Rungs: tt.rungs}}
		p.accelerate(tt.working)
		var got []string
		for _, r := range p.Video.Rungs {
			got = append(got, r.Hardware)
		}
		if s := strings.TrimSpace(strings.Join(got, " ")); s != tt.want || p.accelerated() != (tt.want != "") {
			t.Errorf("%s: %q, want %q", name, s, tt.want)
		}
		if p.decelerate() != (tt.want != "") || p.accelerated() {
			t.Errorf("%s: it is not taken back", name)
		}
	}
	(&Plan{}).accelerate([]string{"h264_nvenc"}) // sound alone
}

// TestHardwareArgs: key frames are forced where software has them, in every
// family, and only VA-API takes pictures from its own memory.
func TestHardwareArgs(t *testing.T) {
	for _, name := range hardware {
		codec, _, _ := strings.Cut(name, "_")
		p := &Plan{Inputs: []Input{{}}, Video: &Video{Parts: []Picture{{}}, Format: "yuv420p", Rungs: []Rung{
			{Codec: codec, Hardware: name, Width: 640, Height: 360, Bitrate: 1_000_000, GOP: 50, Coding: Coding{BFrames: 3}}}}}
		args := strings.Join(p.Args([]string{"in"}, "out"), " ")
		for _, want := range []string{"-c:v " + name + " ", "-g 50 ", "-force_key_frames expr:not(mod(n,50))", "-b:v 1000000 ", "-maxrate 1000000 ", "-bufsize 2000000"} {
			if !strings.Contains(args, want) {
				t.Errorf("%s: no %q in %s", name, want, args)
			}
		}
		if vaapi := strings.HasSuffix(name, "_vaapi"); strings.Contains(args, "hwupload") != vaapi || strings.Contains(args, "-vaapi_device "+renderNode+" ") != vaapi {
			t.Errorf("%s: %s", name, args)
		}
		if strings.Contains(args, "hvc1") != (codec == "hevc") {
			t.Errorf("%s: %s", name, args)
		}
	}
}

// TestHardwareFails: a card that worked in the trial and fails in earnest costs
// nothing but time.
func TestHardwareFails(t *testing.T) {
	if _, err := os.Stat("/dev/nvidia0"); err == nil {
		t.Skip("this machine has a card")
	}
	s := newService(t, jobqueue.Config{Attempts: 1})
	w := s.worker("one")
	w.c.Hardware = []string{"h264_nvenc"}
	s.run(w)
	s.asset("in", map[string]string{"film.mp4": film(t, "2", "640x360", "25")})
	out := s.asset("out", nil)
	j := s.submit("j", "H264SingleBitrateSD", assetInput("in"), "out")
	if task := s.wait(j); task.State != ams.Finished || task.Attempt != 1 {
		t.Fatalf("%s %v", task.State, task.Error)
	}
	if got := s.files(out); !slices.ContainsFunc(got, func(n string) bool { return filepath.Ext(n) == ".mp4" }) {
		t.Errorf("outputs %q", got)
	}
	x, err := s.account.ExplainJob(t.Context(), j.Transform, j.Name)
	if err != nil {
		t.Fatal(err)
	}
	var tried, made bool
	for _, run := range x.Tasks[0].Reports[0].Runs {
		line := strings.Join(run.Arguments, " ")
		tried = tried || strings.Contains(line, "h264_nvenc") && run.Exit != 0
		made = made || strings.Contains(line, "libx264") && run.Exit == 0
	}
	if !tried || !made {
		t.Errorf("in hardware first: %v, then in software: %v", tried, made)
	}
}
