package encoder

import (
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/ffmpeg"
)

// A Plan says what an encode makes and how. It depends on nothing but the
// preset, the probe of the source and the base name.
type Plan struct {
	Preset   string // presetName
	Basename string // first part of the names of all outputs
	Video    *Video // nil: no video output
	Audio    *Audio // nil: no audio output
	// AudioFile: the audio comes as an MP4 of its own. If Video is not nil,
	// every rung holds the audio besides.
	AudioFile bool
}

// Video is how the source's picture is treated, the same for all rungs.
type Video struct {
	Stream      int             // index in the source
	Codec       string          // of the source, for messages
	Origin      time.Duration   // time of the source, less its start, that becomes 0
	Rate        ffmpeg.Rational // frames per second
	GOP         int             // frames from IDR to IDR
	Deinterlace bool            // interlaced frames only
	ToneMap     string          // transfer function to map to SDR, "" for none
	Assume      []string        // what a picture to be tone-mapped does not tell, as options of setparams
	Frames      int64           // frames expected, 0 if the source does not tell
	Slack       int64           // how many may be missing
	Rungs       []Rung          // best first
}

// Audio is how the source's sound is treated.
type Audio struct {
	Streams  []int         // indexes in the source; two are mono tracks, left and right
	Mono     bool          // the one stream is mono
	Codec    string        // of the source, for messages
	Origin   time.Duration // as Video.Origin
	Bitrate  int           // bit/s aimed at
	Language string        // ISO 639-2, "und" if unknown
	Duration time.Duration // expected, 0 if the source does not tell
	Slack    time.Duration // how much may be missing
}

// The audio of every built-in preset: AAC-LC, stereo, 48 kHz.
const (
	audioRate     = 48000
	audioChannels = 2
)

// gopSeconds is the distance of IDRs in every built-in preset (documented).
const gopSeconds = 2

// maxBasename is how much of the source's name {Basename} takes (documented).
const maxBasename = 32

// Basename is AMS's macro {Basename} for a source file: its name without
// folder and extension, cut to 32 characters.
func Basename(file string) string {
	file = file[strings.LastIndexAny(file, `/\`)+1:]
	if i := strings.LastIndexByte(file, '.'); i > 0 {
		file = file[:i]
	}
	file = strings.Map(func(r rune) rune {
		if r < ' ' || strings.ContainsRune(`"*:<>?|%`, r) {
			return '_' // no file of an asset may be named so
		}
		return r
	}, file)
	if utf8.RuneCountInString(file) > maxBasename {
		file = string([]rune(file)[:maxBasename])
	}
	if file = strings.TrimRight(file, ". "); file == "" {
		return "output"
	}
	return file
}

// NewPlan decides what a preset makes of a source. The error is an
// *ams.JobError: the source holds nothing to encode, or not what the preset
// needs.
func NewPlan(preset ams.Preset, src *ffmpeg.Info, basename string) (*Plan, error) {
	name, l, err := lookup(preset)
	if err != nil {
		return nil, &ams.JobError{Code: ams.ConfigurationUnsupported, Message: err.Error()}
	}
	p := &Plan{Preset: name, Basename: basename}
	video, audio := pickVideo(src), pickAudio(src)
	if video == nil && audio == nil {
		return nil, jobErrorf(ams.ContentUnsupported, "it holds neither video nor audio%s", holds(src))
	}
	if l.boxes == nil && !l.auto {
		if audio == nil {
			return nil, jobErrorf(ams.ConfigurationUnsupported, "it has no audio, which is all that the preset %s makes", name)
		}
		video = nil
	}
	for _, s := range append([]*ffmpeg.Stream{video}, audio...) {
		switch {
		case s == nil:
		case s.Tag == "encv" || s.Tag == "enca" || s.Tag == "drmi" || s.Tag == "drms":
			return nil, jobErrorf(ams.ContentUnsupported, "its %s stream %d is encrypted", s.Kind, s.Index)
		case s.Codec == "" || s.Codec == "none" || s.Codec == "unknown":
			return nil, jobErrorf(ams.ContentUnsupported, "the codec of its %s stream %d (%q) is unknown", s.Kind, s.Index, s.Tag)
		}
	}
	if video != nil && (video.Width == 0 || video.Height == 0) {
		return nil, jobErrorf(ams.ContentMalformed, "its video stream %d (%s) has no readable picture", video.Index, video.Codec)
	}

	// Zero of the output is the first frame, or the first sound if that comes
	// sooner; then it is moved by less than half a frame, so that frames fall on
	// their grid and the sound keeps its distance from them.
	var origin time.Duration
	if audio != nil {
		origin = max(0, audio[0].Start-src.Start)
	}
	var lead int64 // frames before the source's first
	if video != nil {
		rate := frameRate(video)
		start := max(0, video.Start-src.Start)
		if audio != nil && origin < start {
			lead = int64(math.Round((start - origin).Seconds() * rate.Float()))
		}
		origin = start - time.Duration(math.Round(float64(lead)/rate.Float()*1e6))*time.Microsecond
		p.Video = newVideo(src, video, l)
		p.Video.Origin = origin
		if p.Video.Frames > 0 {
			p.Video.Frames += lead
		}
	}
	if audio != nil {
		p.Audio = newAudio(src, audio, l)
		p.Audio.Origin = origin
		if p.Audio.Duration > 0 {
			p.Audio.Duration = max(0, p.Audio.Duration+max(0, audio[0].Start-src.Start)-origin)
		}
		p.AudioFile = l.audioFile || video == nil
	}
	return p, nil
}

func newVideo(src *ffmpeg.Info, s *ffmpeg.Stream, l ladder) *Video {
	rate := frameRate(s)
	v := &Video{
		Stream: s.Index,
		Codec:  s.Codec,
		Rate:   rate,
		GOP:    max(1, int(math.Round(gopSeconds*rate.Float()))),
		// Frames flagged progressive pass through untouched.
		Deinterlace: s.FieldOrder != "progressive" && mayInterlace(s.Codec),
	}
	if s.HDR() {
		v.ToneMap = s.Transfer
		if s.Primaries == "" {
			v.Assume = append(v.Assume, "color_primaries=bt2020")
		}
		if s.Matrix == "" {
			v.Assume = append(v.Assume, "colorspace=bt2020nc")
		}
	}
	if d, exact := expected(src, s); d > 0 {
		v.Frames = int64(math.Round(d.Seconds() * rate.Float()))
		v.Slack = 2
		if !exact {
			v.Slack = int64(math.Ceil(rate.Float() * slack(d).Seconds()))
		}
	}
	w, h := s.DisplaySize()
	if l.auto {
		v.Rungs = autoRungs(w, h, rate.Float(), videoBitrate(src, s))
	} else {
		v.Rungs = fixedRungs(w, h, l.boxes)
	}
	return v
}

func newAudio(src *ffmpeg.Info, streams []*ffmpeg.Stream, l ladder) *Audio {
	a := &Audio{
		Mono:     len(streams) == 1 && streams[0].Channels == 1,
		Codec:    streams[0].Codec,
		Bitrate:  l.audioBitrate,
		Language: language(streams[0].Language),
	}
	for _, s := range streams {
		a.Streams = append(a.Streams, s.Index)
	}
	if d, exact := expected(src, streams[0]); d > 0 {
		a.Duration, a.Slack = d, 150*time.Millisecond
		if !exact {
			a.Slack = slack(d)
		}
	}
	return a
}

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
