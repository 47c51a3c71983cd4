package encoder

import (
	"encoding/binary"
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

// A footage is a clip of the sample media, and what it becomes.
type footage struct {
	file, preset  string
	stream        int // of the picture in the source
	rungs         int
	width, height int // of the best rung
	frames        int
	seconds       float64 // of the sound; 0 for none
	reference     string  // from the coded picture to the upright one
	ssim          float64 // at least, of the best rung
}

const toSDR = "zscale=t=linear:npl=%d,format=gbrpf32le,zscale=p=bt709,tonemap=hable:desat=0,zscale=t=bt709:m=bt709:r=tv,"

var footages = []footage{
	{"anamorphic-sar2x1-5s.mp4", "AdaptiveStreaming", 0, 3, 1280, 360, 150, 0, "", 0.93},
	{"audio-8-mono-tracks-61s.mp4", "AdaptiveStreaming", -1, 0, 0, 0, 0, 61.46, "", 0},
	{"bbb-1080p24-mpeg2-2.5s.ts", "AdaptiveStreaming", 0, 6, 1920, 1080, 60, 2.42, "", 0.93},
	{"bbb-360p30-vp8-3s.webm", "AdaptiveStreaming", 0, 3, 640, 360, 90, 0, "", 0.93},
	{"bbb-720p-2audio-2subs-5s.mkv", "AdaptiveStreaming", 0, 5, 1280, 720, 131, 5.21, "", 0.93},
	{"bbb-720p25-5.1-5s.mp4", "AdaptiveStreaming", 0, 5, 1280, 720, 132, 5.31, "", 0.93},
	{"hdr-hlg-1080p-0.3s.mp4", "AdaptiveStreaming", 1, 6, 1920, 1080, 9, 0.29, fmt.Sprintf(toSDR, 203), 0.93},
	{"hdr-hlg-360p-1s.mov", "AdaptiveStreaming", 0, 3, 640, 360, 30, 1.0, fmt.Sprintf(toSDR, 203), 0.93},
	{"hdr-pq-1080p-1s.mp4", "H264SingleBitrate720p", 0, 1, 1280, 720, 31, 1.0, "fps=30," + fmt.Sprintf(toSDR, 100), 0.93},
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
}

// clip is the part of a footage that is encoded: of the long ones, the first
// seconds do.
func (f footage) clip() (c Clip) {
	if f.preset == "H264SingleBitrateSD" && f.frames < 250 {
		c.End = 8 * time.Second
	}
	return c
}

// TestMedia encodes every sample clip and compares the best rendition with what
// a reference filter makes of the source.
func TestMedia(t *testing.T) {
	dir := media(t)
	for _, tt := range footages {
		t.Run(tt.file, func(t *testing.T) {
			path, out := filepath.Join(dir, tt.file), filepath.Join(t.TempDir(), "out")
			files, plan, err := encodeWith(t, preset(tt.preset), tt.clip(), out, path)
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

// TestMediaTorture encodes every sample clip with presets of every kind, and
// looks at the pictures and listens to the sound.
func TestMediaTorture(t *testing.T) {
	if os.Getenv("OPENAMS_TEST_TORTURE") == "" {
		t.Skip("OPENAMS_TEST_TORTURE is not set")
	}
	dir := media(t)
	for name, preset := range map[string]ams.Preset{
		"built-in": preset("AdaptiveStreaming"),
		"custom": standard(`{"codecs":[{"#H264Video","complexity":"Quality","rateControlMode":"CRF","keyFrameInterval":"PT1S","layers":[{"bitrate":6000000,"crf":20,"height":"480"},{"bitrate":800000,"crf":24,"height":"240"}]},
			{"#AacAudio","channels":1,"bitrate":96000}],"formats":[{"#Mp4Format","filenamePattern":"{Basename}-{Bitrate}{Extension}"}]}`),
		"MES": configured(t, ams.MediaEncoderStandard, "H264 Multiple Bitrate 16x9 SD Audio 5.1"),
		"AME": configured(t, ams.AzureMediaEncoder, "H264 Adaptive Bitrate MP4 Set SD 16x9"),
	} {
		for _, tt := range footages {
			t.Run(name+"/"+tt.file, func(t *testing.T) {
				path, out := filepath.Join(dir, tt.file), filepath.Join(t.TempDir(), "out")
				files, plan, err := encodeWith(t, preset, tt.clip(), out, path)
				if err != nil {
					t.Fatal(err)
				}
				indexes, _ := check(t, files, plan, out)
				best, sound, size := "", "", 0
				var width, height int
				for name, x := range indexes {
					for _, k := range x.Tracks {
						switch n := int(k.Width) * int(k.Height); {
						case k.Kind == mp4.Audio:
							sound = name
							if got := float64(k.Duration()) / float64(k.Timescale); math.Abs(got-tt.seconds) > 0.1 {
								t.Errorf("%s: its sound lasts %.3f s, want %.3f", name, got, tt.seconds)
							}
						case k.NumSamples() < tt.frames-1 || k.NumSamples() > tt.frames+1:
							t.Errorf("%s: %d frames, want %d", name, k.NumSamples(), tt.frames)
						case n > size:
							best, size, width, height = name, n, int(k.Width), int(k.Height)
						}
					}
				}
				if (best != "") != (tt.frames > 0) || (sound != "") != (tt.seconds > 0) {
					t.Errorf("a picture in %q, sound in %q", best, sound)
				}
				if best != "" {
					if got := ssim(t, path, filepath.Join(out, best), tt.stream, tt.reference, width, height); got < tt.ssim-0.01 {
						t.Errorf("%s: SSIM %.4f, want %.2f", best, got, tt.ssim)
					} else {
						t.Logf("%s: SSIM %.4f", best, got)
					}
				}
				if sound != "" {
					// One of the eight tracks is compared with the two that are encoded.
					if like := echo(t, path, filepath.Join(out, sound)); like < 0.9 && !(like > 0.6 && strings.HasPrefix(tt.file, "audio-8")) {
						t.Errorf("%s: sounds alike by %.3f", sound, like)
					}
				}
			})
		}
	}
}

// echo returns how much two files sound alike, by how loud they are from moment
// to moment, and by no more than 30 ms apart: what precedes the first frame or
// the first sound is left out. Two silences are alike.
func echo(t *testing.T, source, rendition string) (like float64) {
	t.Helper()
	const moment = 480 // samples, 10 ms
	loudness := func(path string) (all []float64, peak float64) {
		b := command(t, "-i", path, "-af", "aresample=48000:async=1:first_pts=0,aformat=channel_layouts=mono", "-f", "f32le", "-c:a", "pcm_f32le", "-")
		for ; len(b) >= 4*moment; b = b[4*moment:] {
			sum := 0.0
			for i := range moment {
				v := float64(math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])))
				sum += v * v
			}
			all = append(all, math.Sqrt(sum/moment))
			peak = max(peak, all[len(all)-1])
		}
		return all, peak
	}
	a, most := loudness(source)
	b, peak := loudness(rendition)
	if most < 1e-4 && peak < 1e-4 {
		return 1
	}
	for lag := -3; lag <= 3; lag++ {
		var ab, aa, bb, ma, mb, n float64
		both := func(do func(x, y float64)) {
			for i := range b {
				if k := i - lag; k >= 0 && k < len(a) {
					do(a[k], b[i])
				}
			}
		}
		both(func(x, y float64) { ma, mb, n = ma+x, mb+y, n+1 })
		ma, mb = ma/n, mb/n
		both(func(x, y float64) { ab, aa, bb = ab+(x-ma)*(y-mb), aa+(x-ma)*(x-ma), bb+(y-mb)*(y-mb) })
		if math.Sqrt(bb/n) < 0.1*mb && math.Sqrt(aa/n) < 0.1*ma { // one tone all the way
			return 1
		}
		like = max(like, ab/math.Sqrt(aa*bb))
	}
	return like
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
