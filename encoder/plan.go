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
// preset and the Request.
type Plan struct {
	Preset   string        // its name, or its type
	Basename string        // first part of the names of all outputs
	Seek     time.Duration `json:",omitempty"` // where reading of the source starts, less its start
	Until    time.Duration `json:",omitempty"` // how much is read from there, 0 for all
	Video    *Video        // nil: no encoded picture
	Audio    *Audio        // nil: no encoded sound
	Copies   []Copy        `json:",omitempty"` // tracks taken over as they are
	Files    []File        // of the output asset, made of the tracks above
}

// A Request is what a preset is applied to.
type Request struct {
	Name   string         // of the source's file
	Source *ffmpeg.Info   // what is encoded
	Others []*ffmpeg.Info // the other media files of the input, for presets that copy all of them
	Clip   Clip
}

// Video is how the source's picture is treated, the same for all rungs.
type Video struct {
	Stream      int             // index in the source
	Codec       string          // of the source, for messages
	Origin      time.Duration   // time of the source, less where reading starts, that becomes 0
	End         time.Duration   `json:",omitempty"` // after Origin, where a clip ends
	Rate        ffmpeg.Rational // frames per second
	Deinterlace string          `json:",omitempty"` // parity: interlaced frames only; "" for not at all
	Rotate      int             `json:",omitempty"` // clockwise degrees, of the picture that is upright by the source's word
	Crop        []int           `json:",omitempty"` // left, top, width, height
	ToneMap     string          // transfer function to map to SDR, "" for none
	Assume      []string        // what a picture to be tone-mapped does not tell, as options of setparams
	Fades       []Fade          `json:",omitempty"`
	Format      string          // of pixels, for the richest rung
	Frames      int64           // frames expected, 0 if the source does not tell
	Slack       int64           // how many may be missing
	Rungs       []Rung          // best first
	Images      []Image         `json:",omitempty"`
}

// A Rung is one video rendition.
type Rung struct {
	Codec         string // h264, hevc
	Asked         string `json:",omitempty"` // the codec that was asked for: ffmpeg has none
	Label         string `json:",omitempty"`
	Width, Height int    // pixels, square and upright
	Pad           []int  `json:",omitempty"` // width and height of what the picture is centred in
	Bitrate       int    // bit/s aimed at
	GOP           int    // frames from IDR to IDR
	Coding
}

// Coding is how a rung is encoded, but for what depends on the source.
type Coding struct {
	Speed        string        `json:",omitempty"` // preset of x264 or x265
	Profile      string        `json:",omitempty"` // "" is High, or Main of H.265
	Level        string        `json:",omitempty"`
	Mode         string        `json:",omitempty"` // CBR, CRF, "" for ABR
	CRF          float64       `json:",omitempty"`
	MaxBitrate   int           `json:",omitempty"` // bit/s, 0 is Bitrate
	Buffer       time.Duration `json:",omitempty"` // of the decoder, 0 is bufferWindow
	BFrames      int
	References   int
	Slices       int  `json:",omitempty"`
	Cavlc        bool `json:",omitempty"`
	FixedBFrames bool `json:",omitempty"`
	SceneCut     bool `json:",omitempty"`
}

// A Fade is of the picture.
type Fade struct {
	Out   bool
	Start int64  // frame
	N     int64  // frames
	Color string // 0xRRGGBB
}

// Audio is how the source's sound is treated.
type Audio struct {
	Streams  []int         // indexes in the source; two are mono tracks, left and right
	Mono     bool          // the one stream is mono
	Codec    string        // of the source, for messages
	Origin   time.Duration // as Video.Origin
	End      time.Duration `json:",omitempty"`
	Language string        // ISO 639-2, "und" if unknown
	Duration time.Duration // expected, 0 if the source does not tell
	Slack    time.Duration // how much may be missing
	Tracks   []Sound
}

// A Sound is one encode of the source's sound.
type Sound struct {
	Codec    string // aac, ac3
	Label    string `json:",omitempty"`
	Channels int
	Rate     int    // Hz
	Bitrate  int    // bit/s aimed at
	Asked    string `json:",omitempty"` // the codec or HE-AAC profile that was asked for: ffmpeg has AAC-LC only
}

// A Copy is a track of an input that is not encoded again.
type Copy struct {
	Input    int // 0 is the source, others follow
	Stream   int // index in the input
	Kind     string
	Codec    string
	Language string
	Frames   int64 `json:",omitempty"` // expected, 0 if unknown
}

// A File is one output file with media.
type File struct {
	Format  string   // mp4, ismv, ts
	Pattern string   `json:",omitempty"` // of its name; "" is AMS's own
	Kilo    bool     `json:",omitempty"` // {Bitrate} counts thousands
	Parts   []string // names of its tracks: v0 is the first rung, a0 the first sound, c0 the first copy
}

// maxBasename is how much of the source's name {Basename} takes, copyBasename
// how much if tracks are copied (documented).
const (
	maxBasename  = 32
	copyBasename = 64
)

// basename is AMS's macro {Basename} for a source file: its name without
// folder and extension, cut to limit characters.
func basename(file string, limit int) string {
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
	if utf8.RuneCountInString(file) > limit {
		file = string([]rune(file)[:limit])
	}
	if file = strings.TrimRight(file, ". "); file == "" {
		return "output"
	}
	return file
}

// maxArea bounds the pixels of a rendition, so that no preset can exhaust the
// memory of a worker: level 6.2 of H.264 allows 35 million.
const maxArea = 1 << 26

// NewPlan decides what a preset makes of a source. The error is an
// *ams.JobError: the source holds nothing to encode, or not what the preset
// needs.
func NewPlan(preset ams.Preset, q Request) (*Plan, error) {
	r, err := lookup(preset)
	if err != nil {
		return nil, &ams.JobError{Code: ams.ConfigurationUnsupported, Message: err.Error()}
	}
	p := &Plan{Preset: r.name, Basename: basename(q.Name, r.nameLen())}
	src := q.Source
	video, audio := pickVideo(src), pickAudio(src)
	if video == nil && audio == nil {
		return nil, jobErrorf(ams.ContentUnsupported, "it holds neither video nor audio%s", holds(src))
	}
	if r.copyAll != copyNone {
		return p, p.copyEverything(r, q)
	}
	switch {
	case !r.picture() && audio == nil:
		return nil, jobErrorf(ams.ConfigurationUnsupported, "it has no audio, which is all that the preset %s makes", r.name)
	case !r.sound() && video == nil:
		return nil, jobErrorf(ams.ConfigurationUnsupported, "it has no video, which is all that the preset %s makes", r.name)
	}
	if !r.picture() {
		video = nil
	}
	if !r.sound() {
		audio = nil
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
	if err := q.Clip.check(src); err != nil {
		return nil, err
	}
	copies := r.copyVideo || r.copyAudio
	if copies && q.Clip != (Clip{}) {
		return nil, jobErrorf(ams.ConfigurationUnsupported, "this server cannot copy a part of a track: encode it, or leave out the job input's start and end")
	}
	from, to := q.Clip.window(src)
	p.Seek, p.Until = q.Clip.reading(src)

	// Zero of the output is the first frame, or the first sound if that comes
	// sooner; then it is moved by less than half a frame, so that frames fall on
	// their grid and the sound keeps its distance from them. With a track that is
	// copied, zero stays where the source has it.
	var origin time.Duration
	begin := func(s *ffmpeg.Stream) time.Duration { return max(0, s.Start-src.Start-from) }
	if audio != nil {
		origin = begin(audio[0])
	}
	rate := ffmpeg.Rational{Num: 25, Den: 1}
	var lead int64 // frames before the source's first
	if video != nil {
		rate = frameRate(video)
		if len(r.layers) > 0 && r.layers[0].rate.Num > 0 {
			rate = r.layers[0].rate
		}
		start := begin(video)
		if audio != nil && origin < start {
			lead = int64(math.Round((start - origin).Seconds() * rate.Float()))
		}
		origin = start - time.Duration(math.Round(float64(lead)/rate.Float()*1e6))*time.Microsecond
	}
	if copies {
		if video != nil {
			lead = int64(math.Round(begin(video).Seconds() * rate.Float()))
		}
		origin = 0
	}
	// Where the output's zero is on the clock of what is read.
	zero := origin + from - p.Seek
	var end time.Duration
	if to > 0 {
		end = max(time.Millisecond, to-from-origin)
	}
	if video != nil && !r.copyVideo {
		p.Video = newVideo(src, video, rate, r, from, to)
		p.Video.Origin, p.Video.End = zero, end
		if p.Video.Frames > 0 {
			p.Video.Frames += lead
		}
		if err := p.Video.dress(src, video, r, from, to); err != nil {
			return nil, err
		}
		for _, g := range p.Video.Rungs {
			if w, h := g.size(); w*h > maxArea {
				return nil, jobErrorf(ams.ConfigurationUnsupported, "a rendition would have %dx%d pixels, more than %d", w, h, maxArea)
			}
		}
	}
	if audio != nil && r.sounds != nil {
		p.Audio = newAudio(src, audio, r, from, to)
		p.Audio.Origin, p.Audio.End = zero, end
		if p.Audio.Duration > 0 {
			p.Audio.Duration = max(0, p.Audio.Duration+begin(audio[0])-origin)
		}
	}
	if video != nil && r.copyVideo {
		p.Copies = append(p.Copies, newCopy(0, src, video))
	}
	if audio != nil && r.copyAudio {
		p.Copies = append(p.Copies, newCopy(0, src, audio[0]))
	}
	if err := copyable(p.Copies); err != nil {
		return nil, err
	}
	p.assemble(r)
	if len(p.Files) == 0 && (p.Video == nil || len(p.Video.Images) == 0) {
		return nil, jobErrorf(ams.ConfigurationUnsupported, "it has nothing that a file of the preset %s is made of", r.name)
	}
	return p, nil
}

// inWindow returns how much of a stream lies in the window, given how long it is,
// 0 if that is not known.
func inWindow(src *ffmpeg.Info, s *ffmpeg.Stream, d, from, to time.Duration) time.Duration {
	if d == 0 {
		return 0
	}
	start := max(0, s.Start-src.Start)
	end := start + d
	if to > 0 {
		end = min(end, to)
	}
	return max(0, end-max(start, from))
}

func newVideo(src *ffmpeg.Info, s *ffmpeg.Stream, rate ffmpeg.Rational, r *recipe, from, to time.Duration) *Video {
	v := &Video{Stream: s.Index, Codec: s.Codec, Rate: rate, Format: "yuv420p"}
	// Frames flagged progressive pass through untouched.
	if s.FieldOrder != "progressive" && mayInterlace(s.Codec) && !r.filters.progressive {
		if v.Deinterlace = r.filters.parity; v.Deinterlace == "" {
			v.Deinterlace = "auto"
		}
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
		v.Frames = int64(math.Round(inWindow(src, s, d, from, to).Seconds() * rate.Float()))
		v.Slack = 2
		if !exact {
			v.Slack = int64(math.Ceil(rate.Float() * slack(d).Seconds()))
		}
	}
	return v
}

// dress decides on what needs the number of frames or the size of the picture.
func (v *Video) dress(src *ffmpeg.Info, s *ffmpeg.Stream, r *recipe, from, to time.Duration) error {
	stream := *s // the picture as the encoders get it, but for the crop
	if r.filters.rotation != "" {
		stream.Rotation = map[string]int{"0": 0, "90": 90, "180": 180, "270": 270}[r.filters.rotation]
		v.Rotate = (stream.Rotation - s.Rotation + 360) % 360
	}
	w, h := stream.DisplaySize()
	if c := r.filters.crop; c != nil {
		var err error
		if w, h, err = v.crop(&stream, c); err != nil {
			return err
		}
	}
	if r.auto != "" {
		for _, b := range autoRungs(w, h, v.Rate.Float(), videoBitrate(src, s)) {
			bitrate := b.bitrate
			if r.auto == "hevc" {
				// Microsoft's single-bitrate H.265 presets have about half the rate of
				// the H.264 ones; the ladder's own rates are not documented.
				bitrate = max(minBitrate, bitrate/2)
			}
			v.rung(layer{codec: r.auto, interval: gopTime, bitrate: bitrate, coding: Coding{BFrames: 3, References: 3}}, b.width, b.height, nil)
		}
	}
	for _, l := range r.layers {
		width, height, pad := l.fit(w, h)
		v.rung(l, width, height, pad)
	}
	total := v.Frames
	if total == 0 {
		d := src.Duration
		if to > 0 && (d == 0 || to < d) {
			d = to
		}
		total = int64(math.Round(max(0, d-from).Seconds() * v.Rate.Float()))
	}
	for i, f := range []*fade{r.filters.fadeIn, r.filters.fadeOut} {
		if f == nil {
			continue
		}
		n := max(1, f.duration.in(v.Rate.Float(), total))
		fd := Fade{Out: i == 1, N: n, Color: f.color}
		switch {
		case f.start != nil:
			fd.Start = f.start.in(v.Rate.Float(), total)
		case fd.Out && total == 0:
			return jobErrorf(ams.ConfigurationUnsupported, "its duration is not known, so fadeOut needs a start")
		case fd.Out:
			fd.Start = max(0, total-n)
		}
		v.Fades = append(v.Fades, fd)
	}
	for _, im := range r.images {
		if err := v.still(im, r, w, h, total); err != nil {
			return err
		}
	}
	return nil
}

// crop sets the part of the upright coded picture that is kept, and returns its
// size in square pixels.
func (v *Video) crop(s *ffmpeg.Stream, c *[4]measure) (width, height float64, err error) {
	w, h := float64(s.Width), float64(s.Height)
	sw, sh := 1.0, 1.0
	if s.SAR.Num > 0 && s.SAR.Den > 0 {
		sw = s.SAR.Float()
	}
	if s.Rotation == 90 || s.Rotation == 270 {
		w, h, sw, sh = h, w, sh, sw
	}
	left, top := math.Round(c[0].of(w)), math.Round(c[1].of(h))
	cw, ch := math.Round(c[2].of(w)), math.Round(c[3].of(h))
	if cw == 0 {
		cw = w - left
	}
	if ch == 0 {
		ch = h - top
	}
	cw, ch = min(cw, w-left), min(ch, h-top)
	if cw < 2 || ch < 2 {
		return 0, 0, jobErrorf(ams.ConfigurationUnsupported, "the crop at %.0f,%.0f leaves nothing of its picture of %.0fx%.0f", left, top, w, h)
	}
	v.Crop = []int{int(left), int(top), int(cw), int(ch)}
	return cw * sw, ch * sh, nil
}

// pixels orders pixel formats by how much of a picture they keep.
var pixels = map[string]int{"yuv420p": 0, "yuv420p10le": 1, "yuv422p": 2, "yuv444p": 3}

func (v *Video) rung(l layer, width, height int, pad []int) {
	c := l.coding
	if c.MaxBitrate == l.bitrate {
		c.MaxBitrate = 0
	}
	g := Rung{Codec: l.codec, Asked: l.asked, Label: l.label, Width: width, Height: height, Pad: pad, Bitrate: l.bitrate, Coding: c}
	g.GOP = max(1, int(math.Round(l.interval.Seconds()*v.Rate.Float())))
	if f := g.pixelFormat(); pixels[f] > pixels[v.Format] {
		v.Format = f
	}
	v.Rungs = append(v.Rungs, g)
}

func (g Rung) pixelFormat() string {
	switch g.Profile {
	case "High422":
		return "yuv422p"
	case "High444":
		return "yuv444p"
	case "Main10":
		return "yuv420p10le"
	}
	return "yuv420p"
}

// size is the size of the coded picture.
func (g *Rung) size() (width, height int) {
	if g.Pad != nil {
		return g.Pad[0], g.Pad[1]
	}
	return g.Width, g.Height
}

func newAudio(src *ffmpeg.Info, streams []*ffmpeg.Stream, r *recipe, from, to time.Duration) *Audio {
	a := &Audio{
		Mono:     len(streams) == 1 && streams[0].Channels == 1,
		Codec:    streams[0].Codec,
		Language: language(streams[0].Language),
	}
	for _, s := range streams {
		a.Streams = append(a.Streams, s.Index)
	}
	for _, s := range r.sounds {
		a.Tracks = append(a.Tracks, Sound{Codec: s.codec, Label: s.label, Channels: s.channels, Rate: s.rate, Bitrate: s.bitrate, Asked: s.asked})
	}
	if d, exact := expected(src, streams[0]); d > 0 {
		a.Duration, a.Slack = inWindow(src, streams[0], d, from, to), 150*time.Millisecond
		if !exact {
			a.Slack = slack(d)
		}
	}
	return a
}
