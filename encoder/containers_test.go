package encoder

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/openams/openams/packager/mp4"
)

// TestContainers: what AMS took as input, and more, becomes what it was: as many
// frames, as much sound. The less usual ones are for the torture.
func TestContainers(t *testing.T) {
	picture := []string{"-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=1"}
	sound := []string{"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=1"}
	small := standard(`{"codecs":[{"#H264Video","complexity":"Speed","layers":[{"bitrate":300000,"width":"160","height":"120"}]},{"#AacAudio","bitrate":96000}],` +
		`"formats":[{"#Mp4Format","filenamePattern":"out{Extension}"}]}`)
	heard := standard(`{"codecs":[{"#AacAudio","bitrate":96000}],"formats":[{"#Mp4Format","filenamePattern":"out{Extension}"}]}`)
	for name, args := range map[string][]string{
		"film.mp4":   {"-c:v", "mpeg4", "-c:a", "aac"},
		"hevc.mov":   {"-c:v", "libx265", "-x265-params", "log-level=none", "-c:a", "pcm_s16le"},
		"prores.mov": {"-c:v", "prores_ks", "-c:a", "pcm_s24le"},
		"dnxhd.mov":  {"-vf", "scale=1280:720", "-c:v", "dnxhd", "-b:v", "60M", "-pix_fmt", "yuv422p", "-c:a", "alac"},
		"j2k.mov":    {"-c:v", "jpeg2000", "-c:a", "aac"},
		"film.3gp":   {"-vf", "scale=352:288", "-c:v", "h263", "-an"},
		"film.mkv":   {"-c:v", "libx264", "-c:a", "flac"},
		"film.webm":  {"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus"},
		"theora.ogv": {"-c:v", "libtheora", "-c:a", "libvorbis", "-f", "ogg"},
		"film.ts":    {"-c:v", "libx264", "-c:a", "mp2"},
		"ac3.ts":     {"-c:v", "mpeg2video", "-c:a", "ac3"},
		"film.mpg":   {"-c:v", "mpeg2video", "-c:a", "mp2", "-f", "vob"},
		"mpeg1.mpg":  {"-c:v", "mpeg1video", "-c:a", "mp2", "-f", "mpeg"},
		"film.avi":   {"-c:v", "mjpeg", "-c:a", "pcm_s16le"},
		"divx.avi":   {"-c:v", "mpeg4", "-vtag", "DIVX", "-c:a", "libmp3lame"},
		"film.wmv":   {"-c:v", "wmv2", "-c:a", "wmav2"},
		"film.flv":   {"-c:v", "flv1", "-ar", "44100", "-c:a", "libmp3lame"},
		"avc.flv":    {"-c:v", "libx264", "-c:a", "aac"},
		"film.mxf":   {"-c:v", "mpeg2video", "-c:a", "pcm_s16le"},
		"film.gxf":   {"-vf", "scale=720:576", "-c:v", "mpeg2video", "-c:a", "pcm_s16le"},
		"film.dv":    {"-vf", "scale=720:576", "-pix_fmt", "yuv420p", "-c:v", "dvvideo", "-ar", "48000", "-ac", "2", "-c:a", "pcm_s16le"},
		"film.ismv":  {"-c:v", "libx264", "-bf", "0", "-c:a", "aac"},
		"film.nut":   {"-c:v", "ffv1", "-c:a", "pcm_s16le"},
		"raw.h264":   {"-c:v", "libx264", "-bsf:v", "h264_mp4toannexb", "-an"},
		"av1.mp4":    {"-c:v", "libsvtav1", "-preset", "12", "-c:a", "aac"},

		"sound.wav": nil, "sound.mp3": nil, "sound.flac": nil, "sound.aiff": nil, "sound.au": nil, "sound.caf": nil,
		"sound.m4a": nil, "sound.aac": nil, "sound.ac3": nil, "sound.eac3": nil, "sound.ogg": {"-c:a", "libvorbis"}, "sound.opus": {"-c:a", "libopus"},
		"sound.wma": nil, "sound.w64": nil, "sound.wv": nil, "sound.tta": nil, "24bit.wav": {"-c:a", "pcm_s24le"},
	} {
		usual := []string{"film.mp4", "prores.mov", "film.mkv", "film.webm", "film.ts", "film.mpg", "film.wmv", "avc.flv", "film.mxf", "film.gxf", "film.ismv", "sound.wav", "sound.mp3", "sound.flac"}
		if os.Getenv("OPENAMS_TEST_TORTURE") == "" && !slices.Contains(usual, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			films := args != nil && filepath.Ext(name) != ".ogg" && filepath.Ext(name) != ".opus" && filepath.Ext(name) != ".wav"
			preset, inputs := small, slices.Concat(picture, sound)
			if !films {
				preset, inputs = heard, sound
			}
			out := filepath.Join(t.TempDir(), "out")
			files, plan, err := encodeWith(t, preset, Clip{}, out, clip(t, name, append(inputs, args...)...))
			if err != nil {
				t.Fatal(err)
			}
			indexes, _ := check(t, files, plan, out)
			var frames int
			var seconds float64
			for _, k := range indexes["out.mp4"].Tracks {
				if k.Kind == mp4.Video {
					frames = k.NumSamples()
				} else {
					seconds = float64(k.Duration()) / float64(k.Timescale)
				}
			}
			if films && (frames < 24 || frames > 26) {
				t.Errorf("%d frames, want 25", frames)
			}
			if filepath.Ext(name) == ".gxf" {
				seconds -= 0.365 // its writer fills the last packet of 65536 samples up
			}
			if !slices.Contains(args, "-an") && math.Abs(seconds-1) > 0.11 { // frames of MP3, priming
				t.Errorf("%.3f s of sound", seconds)
			}
		})
	}
}
