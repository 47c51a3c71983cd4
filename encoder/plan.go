package encoder

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/ffmpeg"
)

// A Plan says what an encode makes and how. It depends on nothing but the
// preset and the Request.
type Plan struct {
	Preset   string  // its name, or its type
	Basename string  // first part of the names of all outputs
	Inputs   []Input // files that are read
	Video    *Video  // nil: no encoded picture
	Audio    []Audio `json:",omitempty"` // programmes of encoded sound
	Copies   []Copy  `json:",omitempty"` // tracks taken over as they are
	Files    []File  // of the output asset, made of the tracks above
	Tolerant bool    `json:",omitempty"` // damage is covered up
	Report   bool    `json:",omitempty"` // rungs are compared with the source
	Early    bool    `json:",omitempty"` // it plays while it is made
	v2       bool    // files that describe outputs are XML
	single   bool    // one thread for each step: other runs keep the other cores busy, and threads cost a little
	growing  bool    // files are made so that they can be read while they grow
}

// Video is how the picture is treated, the same for all rungs.
type Video struct {
	Parts    []Picture       // one after another
	Rate     ffmpeg.Rational // frames per second
	AsTimed  bool            `json:",omitempty"` // frames keep their times, whatever Rate is
	Canvas   []int           `json:",omitempty"` // width and height in square pixels that parts are fitted into and overlays lie on; nil: as they come
	Overlays []Overlay       `json:",omitempty"`
	Effects  []string        `json:",omitempty"` // filters of ffmpeg over all of it
	Fades    []Fade          `json:",omitempty"`
	Format   string          // of pixels, for the richest rung
	HDR      string          `json:",omitempty"` // the transfer function of a high dynamic range that is kept
	Frames   int64           // frames expected, 0 if the source does not tell
	Slack    int64           // how many may be missing
	Rungs    []Rung          // best first
	Images   []Image         `json:",omitempty"`

	grading string // of rungs in H.265
}

// A Picture is the picture of one file, or blackness.
type Picture struct {
	Input       int           // of the plan; -1: black
	Stream      int           // index in the file
	Codec       string        // of the file, for messages
	Origin      time.Duration // time of the file, less where reading starts, that becomes 0
	End         time.Duration `json:",omitempty"` // after Origin, where a clip ends
	Reset       bool          `json:",omitempty"` // the first frame read becomes 0, whatever its time
	Deinterlace string        `json:",omitempty"` // parity: interlaced frames only; "" for not at all
	Rotate      int           `json:",omitempty"` // clockwise degrees, of the picture that is upright by the source's word
	Crop        []int         `json:",omitempty"` // left, top, width, height
	ToneMap     string        `json:",omitempty"` // transfer function to map to SDR, "" for none
	RGB         bool          `json:",omitempty"` // it comes in RGB
	Assume      []string      `json:",omitempty"` // what it does not tell of its colours, as options of setparams
	Frames      int64         `json:",omitempty"` // of one part of several: its length
	Slack       int64         `json:",omitempty"` // of one part of several: how many frames the last one stands in for
}

// A Rung is one video rendition.
type Rung struct {
	Codec         string        // h264, hevc, av1
	Asked         string        `json:",omitempty"` // the codec that was asked for: ffmpeg has none
	Label         string        `json:",omitempty"`
	StreamID      string        `json:",omitempty"` // for the name of its file
	Width, Height int           // pixels, square and upright
	Pad           []int         `json:",omitempty"` // width and height of what the picture is centred in
	Bitrate       int           // bit/s aimed at
	GOP           int           // frames from IDR to IDR
	Every         time.Duration `json:",omitempty"` // time from IDR to IDR where frames keep theirs, instead
	Hardware      string        `json:",omitempty"` // ffmpeg's encoder in hardware that makes it; "" for software
	Threads       int           `json:",omitempty"` // of the encoder, 0 for its own choice
	Grading       string        `json:",omitempty"` // what x265 is to tell of the display that an HDR picture was graded on
	Buffered      float64       `json:",omitempty"` // part of the decoder's buffer that is full at the start, 0 for the encoder's choice
	Part          string        `json:",omitempty"` // as in File.Parts; empty: by its place
	Coding
}

// file is the part that the i-th rung of a plan becomes.
func (r *Rung) file(i int) string {
	if r.Part != "" {
		return r.Part
	}
	return fmt.Sprintf("v%d", i)
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

// Audio is how the sound of one programme is treated.
type Audio struct {
	Parts    []Voice       // one after another
	Mix      []Mix         `json:",omitempty"` // sounds of overlays
	Language string        // ISO 639-2, "und" if unknown
	Duration time.Duration // expected, 0 if the source does not tell
	Slack    time.Duration // how much may be missing
	Tracks   []Sound
}

// A Voice is the sound of one file, or of tracks of several, or silence.
type Voice struct {
	Tracks []Strand      // empty: silence
	Layout string        `json:",omitempty"` // of several tracks, or of picked channels: stereo, 5.1
	Mono   bool          `json:",omitempty"` // the one track is mono
	Codec  string        `json:",omitempty"` // for messages
	Origin time.Duration // as Picture.Origin
	End    time.Duration `json:",omitempty"`
	Length time.Duration `json:",omitempty"` // of one part of several, and of silence
}

// tracks are the encoded sounds of all programmes.
func (p *Plan) tracks() []*Sound {
	var all []*Sound
	for i := range p.Audio {
		for k := range p.Audio[i].Tracks {
			all = append(all, &p.Audio[i].Tracks[k])
		}
	}
	return all
}

// programme returns the programme of the n-th encoded sound.
func (p *Plan) programme(n int) *Audio {
	for i := range p.Audio {
		if n < len(p.Audio[i].Tracks) {
			return &p.Audio[i]
		}
		n -= len(p.Audio[i].Tracks)
	}
	return nil
}

// A Strand is a track of an input.
type Strand struct{ Input, Stream int }

// A Sound is one encode of the source's sound.
type Sound struct {
	Codec    string // aac, ac3
	Label    string `json:",omitempty"`
	Channels int
	Rate     int    // Hz
	Bitrate  int    // bit/s aimed at
	Loudness bool   `json:",omitempty"` // brought to -23 LUFS
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
	return r.plan(q)
}

// plan is NewPlan of a preset in the form of a recipe.
func (r *recipe) plan(q Request) (*Plan, error) {
	takes, err := q.takes(r)
	if err != nil {
		return nil, err
	}
	p := &Plan{Preset: r.name, v2: r.v2, Tolerant: r.tolerant, Report: r.report, Basename: basename(q.source(takes[0].main).name(), r.nameLen())}
	for i := range takes {
		if err := takes[i].suit(r); err != nil {
			return nil, q.about(takes[i].main, err)
		}
	}
	if r.copyAll != copyNone {
		return p, q.about(takes[0].main, p.copyEverything(r, &q, &takes[0]))
	}
	if err := p.make(r, &q, takes); err != nil {
		return nil, q.about(takes[0].main, err)
	}
	p.assemble(r)
	if len(p.Files) == 0 && (p.Video == nil || len(p.Video.Images) == 0) {
		return nil, q.about(takes[0].main, jobErrorf(ams.ConfigurationUnsupported, "it has nothing that a file of the preset %s is made of", r.name))
	}
	return p, nil
}

// suit drops the tracks of a take that the preset makes nothing of, and checks
// that what is left can be encoded.
func (t *take) suit(r *recipe) error {
	switch {
	case t.video == nil && t.audio == nil:
		var src *ffmpeg.Info
		if src = t.info; src == nil {
			src = new(ffmpeg.Info)
		}
		return jobErrorf(ams.ContentUnsupported, "it holds neither video nor audio%s", holds(src))
	case r.copyAll != copyNone:
		return nil
	case !r.picture() && t.audio == nil && !r.silence:
		return jobErrorf(ams.ConfigurationUnsupported, "it has no audio, which is all that the preset %s makes", r.name)
	case !r.sound() && t.video == nil && r.black == "":
		return jobErrorf(ams.ConfigurationUnsupported, "it has no video, which is all that the preset %s makes", r.name)
	}
	if !r.picture() {
		t.video = nil
	}
	if !r.sound() {
		t.audio = nil
	}
	if t.video != nil {
		if err := t.video.check(); err != nil {
			return err
		}
	}
	for _, a := range t.audio {
		for i := range a.tracks {
			if err := a.tracks[i].check(); err != nil {
				return err
			}
		}
	}
	return t.clip.check(t.info)
}

// input returns the number of a file among what the plan reads.
func (p *Plan) input(in Input) int {
	if i := slices.Index(p.Inputs, in); i >= 0 {
		return i
	}
	p.Inputs = append(p.Inputs, in)
	return len(p.Inputs) - 1
}

// reading opens a file for a take.
func (p *Plan) reading(at track, clip Clip) int {
	in := Input{Feed: at.feed, File: at.file}
	in.Seek, in.Until = clip.reading(at.src)
	return p.input(in)
}

// timing is where a take lies on the clocks of its file and of the output.
type timing struct {
	from, to time.Duration // of the clip, since the start of the file; to is 0 for its end
	lead     int64         // frames before the first of the file
	wait     time.Duration // since from, when a frame starts, if a clip starts amid one
	origin   time.Duration // since from, what becomes 0
	end      time.Duration // since origin, where the clip ends; 0 for that of the file
}

// timing: zero of the output is the first frame, or the first sound if that
// comes sooner; then it is moved by less than half a frame, so that frames fall
// on their grid and the sound keeps its distance from them. With a track that
// is copied, zero stays where the source has it.
func (t *take) timing(rate float64, copies bool) timing {
	var w timing
	w.from, w.to = t.clip.window(t.info)
	begin := func(k *track) time.Duration { return max(0, k.stream.Start-k.src.Start-w.from) }
	if t.audio != nil {
		w.origin = begin(&t.audio[0].tracks[0])
	}
	if t.video != nil {
		w.wait = t.video.wait(w.from)
		start := begin(t.video) + w.wait
		if t.audio != nil && w.origin < start {
			w.lead = int64(math.Round((start - w.origin).Seconds() * rate))
		}
		w.origin = start - time.Duration(math.Round(float64(w.lead)/rate*1e6))*time.Microsecond
	}
	if copies {
		if t.video != nil {
			w.lead = int64(math.Round(begin(t.video).Seconds() * rate))
		}
		w.origin = 0
	}
	if w.to > 0 {
		w.end = max(time.Millisecond, w.to-w.from-w.origin)
	}
	return w
}

// wait is how long after from, a time since the start of the file, the next frame
// starts. Where frames are unevenly spaced nobody knows.
func (k *track) wait(from time.Duration) time.Duration {
	since, rate := from-max(0, k.stream.Start-k.src.Start), frameRate(k.stream).Float()
	if since <= 0 || k.stream.VariableRate() {
		return 0
	}
	n := since.Seconds() * rate
	next := math.Ceil(n - 0.001) // times of frames are rounded
	return time.Duration(math.Round(max(0, next-n)/rate*1e6)) * time.Microsecond
}

// make plans the tracks of the outputs.
func (p *Plan) make(r *recipe, q *Request, takes []take) error {
	copies := r.copyVideo || r.copyAudio
	first := &takes[0]
	switch {
	case copies && len(takes) > 1:
		return jobErrorf(ams.ConfigurationUnsupported, "tracks that are copied cannot be put one after another: encode them")
	case copies && first.clip != (Clip{}): // cutCopies has not cut it
		return jobErrorf(ams.ConfigurationUnsupported, "a part of it cannot be copied: encode it, or leave out the clip")
	}
	moving, sounding := false, false // whether any part has video, audio
	rate := ffmpeg.Rational{Num: 25, Den: 1}
	for i := range takes {
		if v := takes[i].video; v != nil && !moving {
			moving, rate = true, frameRate(v.stream)
		}
		sounding = sounding || takes[i].audio != nil
	}
	if len(r.layers) > 0 && r.layers[0].rate.Num > 0 {
		rate = r.layers[0].rate
	}
	if !moving && sounding && r.black != "" {
		moving = true
		if r.black == blackBottom && len(r.layers) > 1 {
			r.layers = r.layers[len(r.layers)-1:]
		}
	}
	whens := make([]timing, len(takes))
	for i := range takes {
		whens[i] = takes[i].timing(rate.Float(), copies)
	}
	lengths := make([]int64, len(takes)) // frames of each part, if there are several
	if moving && !r.copyVideo {
		v := &Video{Rate: rate, Format: "yuv420p", HDR: r.keepsHDR(takes), AsTimed: r.asTimed}
		for i := range takes {
			if err := v.add(p, r, &takes[i], whens[i]); err != nil {
				return err
			}
			lengths[i] = v.Parts[i].Frames
			if len(takes) == 1 && v.Parts[i].Input < 0 {
				break // blackness is as long as it is told
			}
			if len(takes) == 1 {
				v.Parts[i].Frames, v.Parts[i].Slack = 0, 0
			} else if lengths[i] == 0 {
				return jobErrorf(ams.ConfigurationUnsupported, "%q does not tell how long it is, which a sequence needs: give its input an end", q.source(takes[i].main).Name)
			}
		}
		p.Video = v
	}
	if sounding && r.sounds != nil || p.Video != nil && r.sounds != nil && r.silence {
		p.hear(r, takes, whens, lengths, rate.Float())
	}
	if p.Video != nil {
		if err := p.dress(r, q, takes, whens); err != nil {
			return err
		}
	}
	if first.video != nil && r.copyVideo {
		p.Copies = append(p.Copies, newCopy(p.reading(*first.video, first.clip), first.video.src, first.video.stream))
	}
	if first.audio != nil && r.copyAudio {
		for _, a := range first.audio {
			p.Copies = append(p.Copies, newCopy(p.reading(a.tracks[0], first.clip), a.tracks[0].src, a.tracks[0].stream))
		}
	}
	return copyable(p.Copies)
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

// add plans the picture of one part.
func (v *Video) add(p *Plan, r *recipe, t *take, w timing) error {
	rate := v.Rate.Float()
	if t.video == nil {
		d := t.hearing(w)
		n := int64(math.Round(d.Seconds() * rate))
		v.Parts = append(v.Parts, Picture{Input: -1, Stream: -1, Frames: max(1, n)})
		v.Frames += n
		return nil
	}
	s := t.video.stream
	pic := Picture{Input: p.reading(*t.video, t.clip), Stream: s.Index, Codec: s.Codec, End: w.end}
	pic.Origin = w.origin + w.from - p.Inputs[pic.Input].Seek
	// Frames flagged progressive pass through untouched.
	if s.FieldOrder != "progressive" && mayInterlace(s.Codec) && !r.filters.progressive {
		if pic.Deinterlace = r.filters.parity; pic.Deinterlace == "" {
			pic.Deinterlace = "auto"
		}
	}
	pic.colors(s)
	if s.HDR() && s.Transfer != v.HDR {
		pic.ToneMap = s.Transfer
	} else if v.grading == "" && s.Mastering != "" {
		v.grading = "hdr10=1:master-display=" + s.Mastering
		if s.LightLevel != "" {
			v.grading += ":max-cll=" + s.LightLevel
		}
	}
	if d, exact := expected(t.video.src, s); d > 0 && !v.AsTimed {
		pic.Frames = int64(math.Round(max(0, inWindow(t.video.src, s, d, w.from, w.to)-w.wait).Seconds()*rate)) + w.lead
		pic.Slack = 2
		if !exact {
			pic.Slack = int64(math.Ceil(rate * slack(d).Seconds()))
		}
		if pic.Frames == w.lead {
			pic.Frames = 0
		}
	}
	v.Parts = append(v.Parts, pic)
	if pic.Frames > 0 {
		v.Frames += pic.Frames
		v.Slack += pic.Slack
	}
	return nil
}

// colors sets what has to be told of a picture's colours. Players guess what a
// film does not tell by the size of its picture: a ladder would change its
// colours from rung to rung.
func (pic *Picture) colors(s *ffmpeg.Stream) {
	switch {
	case s.HDR():
		if s.Primaries == "" {
			pic.Assume = append(pic.Assume, "color_primaries=bt2020")
		}
		if s.Matrix == "" {
			pic.Assume = append(pic.Assume, "colorspace=bt2020nc")
		}
	case s.RGB():
		pic.RGB = true
	case s.Matrix == "" && (s.Width >= 1280 || s.Height >= 720):
		pic.Assume = []string{"colorspace=bt709"}
	case s.Matrix == "":
		pic.Assume = []string{"colorspace=smpte170m"}
	}
}

// upright sets how a part is turned and cropped, and returns the size of its
// picture in square pixels.
func (pic *Picture) upright(p *Plan, r *recipe, s *ffmpeg.Stream) (w, h float64, err error) {
	stream := *s // the picture as the encoders get it, but for the crop
	switch r.filters.rotation {
	case "":
	case "None":
		p.Inputs[pic.Input].Upright = true
		stream.Rotation = 0
	default:
		stream.Rotation = map[string]int{"0": 0, "90": 90, "180": 180, "270": 270}[r.filters.rotation]
		pic.Rotate = (stream.Rotation - s.Rotation + 360) % 360
	}
	w, h = stream.DisplaySize()
	if c := r.filters.crop; c != nil {
		return pic.crop(&stream, c)
	}
	return w, h, nil
}

// dress decides on what needs the number of frames or the size of the picture.
func (p *Plan) dress(r *recipe, q *Request, takes []take, whens []timing) error {
	v := p.Video
	var w, h float64
	for i := range takes {
		t := takes[i].video
		if t == nil {
			continue
		}
		pw, ph, err := v.Parts[i].upright(p, r, t.stream)
		if err != nil {
			return err
		}
		if w == 0 {
			w, h = pw, ph
		}
	}
	var bitrate int64
	if t := takes[0].video; t != nil {
		bitrate = videoBitrate(t.src, t.stream)
	}
	if w == 0 {
		w, h = 1280, 720 // blackness has any size
		if len(r.layers) > 0 && !r.layers[0].width.percent && r.layers[0].width.n > 0 && r.layers[0].height.n > 0 {
			w, h = r.layers[0].width.n, r.layers[0].height.n
		}
	}
	if len(takes) > 1 || v.Parts[0].Input < 0 || r.overlays != nil {
		v.Canvas = []int{even(w), even(h)}
		w, h = float64(v.Canvas[0]), float64(v.Canvas[1])
	}
	if r.auto != "" {
		for _, b := range autoRungs(w, h, v.Rate.Float(), bitrate) {
			bitrate := b.bitrate
			if r.auto != "h264" {
				// Microsoft's single-bitrate H.265 presets have about half the rate of
				// the H.264 ones; the ladder's own rates are not documented.
				bitrate = max(minBitrate, bitrate/2)
			}
			v.rung(layer{codec: r.auto, interval: gopTime, bitrate: bitrate, coding: Coding{BFrames: 3, References: 3}}, b.width, b.height, nil)
		}
	}
	layers := r.layers
	if r.aware != nil {
		layers = r.aware.layers(q.Title, w, h, v.Rate.Float(), bitrate)
	}
	for _, l := range layers {
		width, height, pad := l.fit(w, h)
		v.rung(l, width, height, pad)
	}
	for _, g := range v.Rungs {
		if w, h := g.size(); w*h > maxArea {
			return jobErrorf(ams.ConfigurationUnsupported, "a rendition would have %dx%d pixels, more than %d", w, h, maxArea)
		}
	}
	total := v.Frames
	if total == 0 {
		d := takes[0].info.Duration
		if to := whens[0].to; to > 0 && (d == 0 || to < d) {
			d = to
		}
		total = int64(math.Round(max(0, d-whens[0].from).Seconds() * v.Rate.Float()))
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
	return p.overlay(r, q, total)
}

// crop sets the part of the upright coded picture that is kept, and returns its
// size in square pixels.
func (pic *Picture) crop(s *ffmpeg.Stream, c *[4]measure) (width, height float64, err error) {
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
	pic.Crop = []int{int(left), int(top), int(cw), int(ch)}
	return cw * sw, ch * sh, nil
}

// keepsHDR returns the transfer function of the takes' pictures if they stay as
// they are in dynamic range: all are alike, and all of the recipe is for screens
// that have it.
func (r *recipe) keepsHDR(takes []take) (transfer string) {
	if len(r.layers) == 0 || r.images != nil || r.overlays != nil {
		return ""
	}
	for _, l := range r.layers {
		if l.coding.Profile != "Main10" {
			return ""
		}
	}
	for i := range takes {
		v := takes[i].video
		if v == nil || !v.stream.HDR() || i > 0 && v.stream.Transfer != transfer {
			return ""
		}
		transfer = v.stream.Transfer
	}
	return transfer
}

// pixels orders pixel formats by how much of a picture they keep.
var pixels = map[string]int{"yuv420p": 0, "yuv420p10le": 1, "yuv422p": 2, "yuv444p": 3}

func (v *Video) rung(l layer, width, height int, pad []int) {
	c := l.coding
	if c.MaxBitrate == l.bitrate {
		c.MaxBitrate = 0
	}
	g := Rung{Codec: l.codec, Asked: l.asked, StreamID: l.stream, Label: l.label, Width: width, Height: height, Pad: pad, Bitrate: l.bitrate, Coding: c}
	g.GOP = max(1, int(math.Round(l.interval.Seconds()*v.Rate.Float())))
	if v.AsTimed {
		g.Every = l.interval
	}
	if g.Codec == "hevc" {
		g.Grading = v.grading
	}
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
