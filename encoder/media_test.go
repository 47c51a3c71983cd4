package encoder

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/packager/mp4"
)

// media returns the folder of the project's sample media, which is not part of
// the repository.
func media(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("OPENAMS_TEST_MEDIA")
	if dir == "" {
		t.Skip("OPENAMS_TEST_MEDIA does not name the folder of sample media")
	}
	return dir
}

// TestMedia encodes every sample clip and compares the best rendition with what
// a reference filter makes of the source.
func TestMedia(t *testing.T) {
	dir := media(t)
	const hdr = "zscale=t=linear:npl=%d,format=gbrpf32le,zscale=p=bt709,tonemap=hable:desat=0,zscale=t=bt709:m=bt709:r=tv,"
	for _, tt := range []struct {
		file, preset  string
		stream        int // of the picture in the source
		rungs         int
		width, height int // of the best rung
		frames        int
		seconds       float64 // of the sound; 0 for none
		reference     string  // from the coded picture to the upright one
		ssim          float64 // at least, of the best rung
	}{
		{"anamorphic-sar2x1-5s.mp4", "AdaptiveStreaming", 0, 3, 1280, 360, 150, 0, "", 0.93},
		{"audio-8-mono-tracks-61s.mp4", "AdaptiveStreaming", -1, 0, 0, 0, 0, 61.46, "", 0},
		{"bbb-1080p24-mpeg2-2.5s.ts", "AdaptiveStreaming", 0, 6, 1920, 1080, 60, 2.42, "", 0.93},
		{"bbb-360p30-vp8-3s.webm", "AdaptiveStreaming", 0, 3, 640, 360, 90, 0, "", 0.93},
		{"bbb-720p-2audio-2subs-5s.mkv", "AdaptiveStreaming", 0, 5, 1280, 720, 131, 5.21, "", 0.93},
		{"bbb-720p25-5.1-5s.mp4", "AdaptiveStreaming", 0, 5, 1280, 720, 132, 5.31, "", 0.93},
		{"hdr-hlg-1080p-0.3s.mp4", "AdaptiveStreaming", 1, 6, 1920, 1080, 9, 0.29, fmt.Sprintf(hdr, 203), 0.93},
		{"hdr-hlg-360p-1s.mov", "AdaptiveStreaming", 0, 3, 640, 360, 30, 1.0, fmt.Sprintf(hdr, 203), 0.93},
		{"hdr-pq-1080p-1s.mp4", "H264SingleBitrate720p", 0, 1, 1280, 720, 31, 1.0, "fps=30," + fmt.Sprintf(hdr, 100), 0.93},
		{"interlaced-576i25-tff.ts", "AdaptiveStreaming", 0, 4, 960, 540, 188, 7.51, "bwdif=mode=send_frame:parity=tff:deint=all,", 0.90},
		{"montage-720p24-stereo-42s.mp4", "H264SingleBitrateSD", 0, 1, 848, 480, 192, 8.0, "", 0.95},
		{"phone-portrait-rot90-2s.mov", "AdaptiveStreaming", 1, 2, 270, 480, 62, 2.04, "transpose=clock,", 0.93},
		{"screen-vfr-9s.mp4", "H264SingleBitrateSD", 0, 1, 848, 388, 262, 0, "fps=30,", 0.97},
		{"siesta-stereo-140s.mp3", "AdaptiveStreaming", -1, 0, 0, 0, 0, 139.70, "", 0},
		{"smallwmv-wmv3-5s.wmv", "AdaptiveStreaming", 2, 3, 480, 360, 153, 5.20, "", 0.93},
		{"traffic-432p12.5-stereo-30s.mp4", "AdaptiveStreaming", 0, 3, 640, 360, 377, 30.16, "", 0.93},
		{"video-only-360p-40s.mp4", "H264SingleBitrateSD", 0, 1, 848, 480, 240, 0, "", 0.97},
		{"malformed/one-frame-16x16.mp4", "AdaptiveStreaming", 0, 1, 16, 16, 1, 0, "", 0.5},
		{"malformed/audio-wav-renamed.mp4", "AdaptiveStreaming", -1, 0, 0, 0, 0, 1.0, "", 0},
	} {
		t.Run(tt.file, func(t *testing.T) {
			path, out := filepath.Join(dir, tt.file), filepath.Join(t.TempDir(), "out")
			var part Clip // of the long ones, the first seconds do
			if tt.preset == "H264SingleBitrateSD" && tt.frames < 250 {
				part.End = 8 * time.Second
			}
			files, plan, err := encodeWith(t, preset(tt.preset), part, out, path)
			if err != nil {
				t.Fatal(err)
			}
			indexes, p := check(t, files, plan, out)
			var best string
			rungs, width := 0, 0
			sound := 0.0
			for name, x := range indexes {
				for _, track := range x.Tracks {
					switch track.Kind {
					case mp4.Video:
						rungs++
						if n := track.NumSamples(); n < tt.frames-1 || n > tt.frames+1 {
							t.Errorf("%s has %d frames, want %d", name, n, tt.frames)
						}
						if track.Rotation != 0 || track.SARNum != track.SARDen {
							t.Errorf("%s: rotation %d, SAR %d:%d", name, track.Rotation, track.SARNum, track.SARDen)
						}
						if int(track.Width) > width {
							width, best = int(track.Width), name
							if int(track.Width) != tt.width && tt.rungs == 1 || int(track.Height) > tt.height {
								t.Errorf("%s is larger than %dx%d", name, tt.width, tt.height)
							}
						}
					case mp4.Audio:
						sound = float64(track.Duration()) / float64(track.Timescale)
						if track.Channels != 2 || track.SampleRate != 48000 {
							t.Errorf("%s: %d channels at %d Hz", name, track.Channels, track.SampleRate)
						}
					}
				}
			}
			if rungs != tt.rungs || width != tt.width {
				t.Errorf("%d rungs up to %d pixels wide, want %d up to %d", rungs, width, tt.rungs, tt.width)
			}
			if math.Abs(sound-tt.seconds) > 0.06 {
				t.Errorf("the sound lasts %.3f s, want %.3f", sound, tt.seconds)
			}
			want := 0
			if tt.rungs > 0 {
				want++
			}
			if tt.seconds > 0 {
				want++
			}
			if len(p.Tracks) != want {
				t.Errorf("the presentation has %d tracks, want %d", len(p.Tracks), want)
			}
			if best == "" {
				return
			}
			got := ssim(t, path, filepath.Join(out, best), tt.stream, tt.reference, tt.width, tt.height)
			t.Logf("%s: SSIM %.4f", best, got)
			if got < tt.ssim {
				t.Errorf("%s: SSIM %.4f, want %.2f", best, got, tt.ssim)
			}
		})
	}
}

// TestStandardMedia: filters and scaling do with real pictures what reference
// filters do.
func TestStandardMedia(t *testing.T) {
	dir := media(t)
	const formats = `"formats":[{"#Mp4Format","filenamePattern":"out{Extension}"}]`
	for _, tt := range []struct {
		name, file, preset string
		stream             int
		reference          string
		width, height      int
	}{
		{"rotation dropped", "phone-portrait-rot90-2s.mov", `{"codecs":[{"#H264Video","layers":[{"bitrate":2000000}]}],"filters":{"rotation":"Rotate0"},` + formats + `}`, 1, "", 568, 320},
		{"rotation followed, then cropped", "phone-portrait-rot90-2s.mov", `{"codecs":[{"#H264Video","layers":[{"bitrate":2000000}]}],"filters":{"crop":{"left":"10%","top":"100","width":"200","height":"50%"}},` + formats + `}`, 1, "transpose=clock,crop=200:284:32:100,", 200, 284},
		{"stretched", "bbb-360p30-vp8-3s.webm", `{"codecs":[{"#H264Video","complexity":"Quality","stretchMode":"None","rateControlMode":"CRF","layers":[{"bitrate":2000000,"crf":18,"width":"320","height":"320"}]}],` + formats + `}`, 0, "", 320, 320},
		{"H.265 with bars", "anamorphic-sar2x1-5s.mp4", `{"codecs":[{"#H265Video","stretchMode":"AutoFit","layers":[{"bitrate":1500000,"width":"640","height":"360","profile":"Main10"}]}],` + formats + `}`, 0, "scale=640:180,pad=640:360:0:90,", 640, 360},
		{"interlaced, in 4:2:2", "interlaced-576i25-tff.ts", `{"codecs":[{"#H264Video","layers":[{"bitrate":6000000,"profile":"High422"}]}],"filters":{"deinterlace":{"parity":"TopFieldFirst"}},` + formats + `}`, 0, "bwdif=mode=send_frame:parity=tff:deint=all,", 1024, 576},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path, out := filepath.Join(dir, tt.file), filepath.Join(t.TempDir(), "out")
			if _, _, err := encodeWith(t, standard(tt.preset), Clip{}, out, path); err != nil {
				t.Fatal(err)
			}
			x, err := indexFile(filepath.Join(out, "out.mp4"))
			if err != nil {
				t.Fatal(err)
			}
			if v := x.Tracks[0]; int(v.Width) != tt.width || int(v.Height) != tt.height || v.Rotation != 0 {
				t.Errorf("%dx%d, rotation %d", v.Width, v.Height, v.Rotation)
			}
			if got := ssim(t, path, filepath.Join(out, "out.mp4"), tt.stream, tt.reference, tt.width, tt.height); got < 0.95 {
				t.Errorf("SSIM %.4f", got)
			} else {
				t.Logf("SSIM %.4f", got)
			}
		})
	}
}

// ssim compares a rendition with the source as the filter reference, scaled to
// width and height, shows it; frame by frame, whatever their times.
func ssim(t *testing.T, source, rendition string, stream int, reference string, width, height int) float64 {
	t.Helper()
	graph := fmt.Sprintf("[0:%d]%sscale=%d:%d:flags=bicubic,setsar=1,format=yuv420p,settb=1/1000,setpts=N*40[a];"+
		"[1:v:0]format=yuv420p,settb=1/1000,setpts=N*40[b];[b][a]ssim=shortest=1", stream, reference, width, height)
	out, err := exec.Command(tools(t).FFmpeg, "-nostdin", "-hide_banner", "-noautorotate", "-i", source, "-i", rendition,
		"-filter_complex", graph, "-f", "null", "-").CombinedOutput()
	m := regexp.MustCompile(`SSIM .* All:([0-9.]+)`).FindSubmatch(out)
	if err != nil || m == nil {
		t.Fatalf("ssim: %v\n%s", err, out)
	}
	v, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestMalformed: each damaged sample fails with its code, a sentence that names
// the cause, and nothing left behind.
func TestMalformed(t *testing.T) {
	dir := filepath.Join(media(t), "malformed")
	for _, tt := range []struct {
		file string
		code ams.JobErrorCode
		says string
	}{
		{"zero-bytes.mp4", ams.ContentMalformed, "is empty: it has 0 bytes"},
		{"text-renamed.mp4", ams.ContentUnsupported, "is not a media file: it holds text"},
		{"random-bytes.mp4", ams.ContentUnsupported, "is not a media file"},
		{"moov-missing.mp4", ams.ContentMalformed, "without its index (moov box)"},
		{"truncated-faststart.mp4", ams.ContentMalformed, "is cut short: sample 70 of track 1 (video, at 2.76s)"},
		{"bitrot-mdat.mp4", ams.ContentMalformed, "video stream 0 (h264) cannot be decoded from second 0.0"},
	} {
		out := filepath.Join(t.TempDir(), "out")
		_, _, err := encode(t, "AdaptiveStreaming", filepath.Join(dir, tt.file), out)
		fail, ok := errors.AsType[*ams.JobError](err)
		if !ok || fail.Code != tt.code || !strings.Contains(fail.Message, tt.says) || !strings.Contains(fail.Message, tt.file) {
			t.Errorf("%s: %v, want %s: %s", tt.file, err, tt.code, tt.says)
		}
		if left := list(t, out); left != nil {
			t.Errorf("%s: %v is left", tt.file, left)
		}
	}
}
