package ffmpeg

import (
	"fmt"
	"os/exec"
	"runtime"
	"time"
)

// Tools are the programs to run.
type Tools struct {
	FFmpeg  string // path of ffmpeg
	FFprobe string // path of ffprobe
	Nice    int    // added to the niceness of ffmpeg, so that serving goes before encoding; 0 leaves it
	// Stall is how long Run lets ffmpeg show no progress, in time, frames or
	// bytes, before it kills it; 0 is for ever. Find sets DefaultStall.
	Stall time.Duration
	// Observe, which may be nil, is told of every run that has ended, by the
	// goroutine that started it.
	Observe func(Ran)
	// Limits bound every run; Find sets DefaultLimits.
	Limits Limits
	// Confine, if it is not nil, names all files that runs may touch, where the
	// kernel can hold them to it.
	Confine *Confinement

	prepare func(*exec.Cmd) // changes what is about to start; nil: nothing
}

// DefaultLimits are what no honest encode reaches: three quarters of the machine's
// memory, a week, files of 1 TiB.
func DefaultLimits() Limits {
	const week = 7 * 24 * time.Hour
	return Limits{Memory: memory() / 4 * 3, CPU: week * time.Duration(runtime.NumCPU()), Wall: week, File: 1 << 40}
}

// Ran is a run of ffmpeg or ffprobe that has ended.
type Ran struct {
	Program string // its base name
	Args    []string
	Started time.Time
	Took    time.Duration
	CPU     time.Duration // that it used, of all its threads
	Exit    int           // exit status; -1 if a signal ended it
	Log     string        // the end of what it printed to stderr, at most 8 KiB
}

// DefaultStall is more than the slowest frame of the slowest encoder takes, and
// than reading on to the start of a clip does.
const DefaultStall = 5 * time.Minute

// Find looks for both programs. An empty name stands for "ffmpeg" or "ffprobe"
// in the search path.
func Find(ffmpeg, ffprobe string) (Tools, error) {
	t := Tools{FFmpeg: ffmpeg, FFprobe: ffprobe, Stall: DefaultStall, Limits: DefaultLimits()}
	for _, p := range []struct {
		path *string
		name string
	}{{&t.FFmpeg, "ffmpeg"}, {&t.FFprobe, "ffprobe"}} {
		if *p.path == "" {
			*p.path = p.name
		}
		found, err := exec.LookPath(*p.path)
		if err != nil {
			return Tools{}, fmt.Errorf("%s is not installed (Debian and Ubuntu: apt install ffmpeg): %w", p.name, err)
		}
		*p.path = found
	}
	return t, nil
}

// demuxers are the readers that a file from outside may be given to. None of
// them opens a second file. Images are missing on purpose: a still is no input
// of an encode.
const demuxers = "mov,matroska,webm,mpegts,mpeg,mpegvideo,avi,asf,flv,mxf,gxf,wtv,nut,ogg,dv,ivf,rm," +
	"h264,hevc,m4v,vc1,obu,av1,dnxhd,dirac,yuv4mpegpipe," +
	"wav,w64,aiff,au,caf,mp3,aac,ac3,eac3,dts,dtshd,truehd,flac,amr,amrnb,amrwb,ape,wv,tta"

// Input returns the arguments that open the local file path as the next input
// of ffmpeg or ffprobe, after the given input options.
func Input(path string, options ...string) []string {
	return append(options, "-protocol_whitelist", "file,pipe", "-format_whitelist", demuxers, "-i", File(path))
}

// File names a local file so that no character of its name means anything.
func File(path string) string { return "file:" + path }
