package encoder

import (
	"strings"
	"time"

	"github.com/openams/openams/ffmpeg"
)

// slack is how much shorter an output may be than a duration that its container
// only claims.
func slack(d time.Duration) time.Duration { return max(500*time.Millisecond, d/50) }

// expected returns how long a stream is, as far as its container is to be
// believed, 0 if it is not: elementary streams and transport streams have no
// duration but what ffprobe guesses from their bytes. exact: the container
// tells it of this very stream.
func expected(src *ffmpeg.Info, s *ffmpeg.Stream) (d time.Duration, exact bool) {
	name, _, _ := strings.Cut(src.Format, ",")
	switch name {
	case "mov":
		return s.Duration, true
	case "matroska", "avi", "asf", "mxf", "gxf", "wav", "w64", "aiff", "caf":
		if s.Duration > 0 {
			return s.Duration, false
		}
		if alone(src) {
			return src.Duration, false
		}
	}
	return 0, false
}

// alone reports whether the source has a single stream of video or audio, whose
// duration is then that of the file.
func alone(src *ffmpeg.Info) bool {
	n := 0
	for i := range src.Streams {
		if k := src.Streams[i].Kind; k == "video" || k == "audio" {
			n++
		}
	}
	return n == 1
}

// pickVideo returns the stream that is the picture: not cover art, which WMV,
// MP3 and M4A carry as a video stream, often the first and in WMV not always
// flagged.
func pickVideo(src *ffmpeg.Info) *ffmpeg.Stream {
	var best *ffmpeg.Stream
	rank := func(s *ffmpeg.Stream) int {
		n := 0
		switch s.Codec {
		case "mjpeg", "png", "bmp", "gif", "webp", "tiff":
			if s.AverageRate.Float() <= 0 {
				n -= 8 // a still
			}
			n -= 2
		}
		if s.Codec == "" {
			n -= 4
		}
		if s.Default {
			n++
		}
		return n
	}
	for i := range src.Streams {
		s := &src.Streams[i]
		if s.Kind == "video" && !s.Picture && (best == nil || rank(s) > rank(best)) {
			best = s
		}
	}
	if best != nil && rank(best) < -8 {
		return nil // nothing but an unflagged cover
	}
	return best
}

// pickAudio returns the stream that is the sound: the default one, else the
// first, that is not a commentary. If the first two are mono and nothing says
// that they differ in language, they are the left and right of one programme,
// as professional formats carry it.
func pickAudio(src *ffmpeg.Info) []*ffmpeg.Stream {
	var all []*ffmpeg.Stream
	for i := range src.Streams {
		if s := &src.Streams[i]; s.Kind == "audio" && s.Channels > 0 {
			all = append(all, s)
		}
	}
	if len(all) == 0 {
		return nil
	}
	if a := all[0]; len(all) > 1 && a.Channels == 1 {
		b := all[1]
		if b.Channels == 1 && a.Codec == b.Codec && a.SampleRate == b.SampleRate &&
			a.Start == b.Start && language(a.Language) == language(b.Language) && !b.Commented && !b.Impaired {
			return []*ffmpeg.Stream{a, b}
		}
	}
	best := all[0]
	score := func(s *ffmpeg.Stream) int {
		n := 0
		if s.Default {
			n++
		}
		if s.Commented || s.Impaired {
			n -= 4
		}
		if s.Codec == "" {
			n -= 8
		}
		return n
	}
	for _, s := range all {
		if score(s) > score(best) {
			best = s
		}
	}
	return []*ffmpeg.Stream{best}
}

// videoBitrate is the bitrate of a stream, bit/s; 0 if nothing tells.
func videoBitrate(src *ffmpeg.Info, s *ffmpeg.Stream) int64 {
	if s.BitRate > 0 {
		return s.BitRate
	}
	rest := src.BitRate
	for i := range src.Streams {
		rest -= src.Streams[i].BitRate
	}
	return max(0, rest)
}

// mayInterlace reports whether streams of a codec can hold interlaced frames.
func mayInterlace(codec string) bool {
	switch codec {
	case "vp8", "vp9", "av1", "hevc", "theora", "gif", "png", "mjpeg", "flv1", "h261", "cinepak":
		return false
	}
	return true
}

// language returns s if it looks like an ISO 639-2 code, else "und".
func language(s string) string {
	if len(s) != 3 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz") != "" {
		return "und"
	}
	return s
}

// holds lists what a source has instead of media, " (data, subtitle)".
func holds(src *ffmpeg.Info) string {
	if len(src.Streams) == 0 {
		return ""
	}
	var kinds []string
	for i := range src.Streams[:min(len(src.Streams), 8)] {
		s := &src.Streams[i]
		kind := s.Kind
		if s.Picture {
			kind = "picture"
		}
		kinds = append(kinds, kind)
	}
	return " (" + strings.Join(kinds, ", ") + ")"
}
