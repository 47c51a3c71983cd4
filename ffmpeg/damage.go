package ffmpeg

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
)

// A Fault is the first thing of a stream that cannot be decoded.
type Fault struct {
	Stream int           // index in the file
	At     time.Duration // end of the last frame before it, on the file's own clock less its start
	Cause  string        // what the decoder said
}

// FirstFault decodes the given streams of a file until something in one of them
// is damaged. It returns nil if nothing is. The error is ctx's, or tells that
// ffmpeg could not run.
func (t Tools) FirstFault(ctx context.Context, path string, streams []int) (*Fault, error) {
	var first *Fault
	for _, stream := range streams {
		args := append([]string{"-hide_banner", "-nostdin", "-v", "error", "-xerror"}, Input(path, Strict()...)...)
		args = append(args, "-map", "0:"+strconv.Itoa(stream), "-fps_mode", "passthrough", "-enc_time_base", "-1", "-f", "framecrc", "pipe:1")
		at := time.Duration(0)
		err := t.stream(ctx, t.FFmpeg, args, func(r io.Reader) (err error) {
			at, err = lastEnd(r)
			return err
		})
		if ctx.Err() != nil {
			return first, ctx.Err()
		}
		fail, ok := errors.AsType[*Error](err)
		if !ok {
			if err != nil {
				return first, err
			}
			continue
		}
		if first == nil || at < first.At {
			// Some messages start with the name of the file, which is nobody's business.
			first = &Fault{Stream: stream, At: at, Cause: strings.ReplaceAll(fail.Cause(), File(path)+": ", "")}
		}
	}
	return first, nil
}

// Strict returns the input options under which a decoder gives up at the first
// damage instead of covering it up. With -xerror, ffmpeg then fails.
func Strict() []string { return []string{"-err_detect", "explode"} }

// lastEnd reads the output of the framecrc muxer, "#tb 0: 1/25" and lines of
// "stream, dts, pts, duration, size, crc", and returns the end of the last
// frame.
func lastEnd(r io.Reader) (time.Duration, error) {
	var tb Rational
	var end time.Duration
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		if s, ok := strings.CutPrefix(line, "#tb 0: "); ok {
			tb = parseRational(s, "/")
			continue
		}
		f := strings.Split(line, ",")
		if len(f) < 5 || tb.Den == 0 {
			continue
		}
		pts, err1 := strconv.ParseInt(strings.TrimSpace(f[2]), 10, 64)
		dur, err2 := strconv.ParseInt(strings.TrimSpace(f[3]), 10, 64)
		if err1 == nil && err2 == nil {
			end = max(end, seconds(float64(pts+dur)*tb.Float()))
		}
	}
	return end, lines.Err()
}
