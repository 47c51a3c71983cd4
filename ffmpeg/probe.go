package ffmpeg

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// maxDuration bounds every time read from a file: 1,000 days.
const maxDuration = 1000 * 24 * time.Hour

// maxStreams bounds how many streams of a file are looked at.
const maxStreams = 1000

// An Info is what a media file holds.
type Info struct {
	Format   string        // ffprobe's names of the container, "mov,mp4,m4a,3gp,3g2,mj2"
	LongName string        // the same for people
	Start    time.Duration // the earliest start of a stream on the file's clock; 0 if unknown
	Duration time.Duration // 0 if unknown
	Size     int64         // bytes
	BitRate  int64         // bit/s of everything, 0 if unknown
	Streams  []Stream
	Tags     map[string]string // what the container says of itself
}

// A Stream is one elementary stream of a file.
type Stream struct {
	Index     int    // in the file
	ID        string // the container's own number, "0x1"; may be empty
	Kind      string // video, audio, subtitle, data, attachment
	Codec     string // ffprobe's name: h264, aac; empty if unknown
	LongName  string
	Profile   string
	Tag       string // FourCC as the container has it
	Language  string // as the container has it: "eng", "und", ""
	TimeBase  string // "1/90000"
	Start     time.Duration
	Duration  time.Duration // 0 if the stream itself does not tell
	BitRate   int64         // bit/s, 0 if unknown
	Frames    int64         // as the container counts, 0 if it does not
	Default   bool
	Picture   bool // an attached picture (cover art), not a moving one
	Forced    bool
	Impaired  bool              // for the hearing or visually impaired
	Commented bool              // a commentary
	Tags      map[string]string // as the container has them

	Disposition map[string]int // ffprobe's names of all flags, 1 for those that are set

	// Video.
	Width, Height int      // of the coded picture, before SAR and Rotation
	SAR           Rational // sample aspect ratio, 1:1 if unknown
	Rotation      int      // clockwise degrees to turn the picture for viewing: 0, 90, 180, 270
	FieldOrder    string   // progressive, tt, bb, tb, bt, "" if unknown
	PixelFormat   string
	BFrames       int      // depth of reordering
	Rate          Rational // lowest rate that can time every frame exactly, "r_frame_rate"
	AverageRate   Rational // frames over duration
	Level         int
	Primaries     string // color_primaries, "" if unknown
	Transfer      string // color_transfer, "" if unknown
	Matrix        string // color_space, "" if unknown
	Range         string // color_range, "" if unknown
	Mastering     string // display that an HDR picture was graded on, as x265's master-display has it; "" if unknown
	LightLevel    string // brightest pixel and frame of an HDR picture in cd/m2, "1000,400"; "" if unknown

	// Audio.
	Channels      int
	ChannelLayout string
	SampleRate    int
	SampleFormat  string
	BitsPerSample int
}

// A Rational is a fraction; Den is 0 for an unknown one.
type Rational struct{ Num, Den int64 }

// Float returns the value, 0 for an unknown one.
func (r Rational) Float() float64 {
	if r.Den == 0 {
		return 0
	}
	return float64(r.Num) / float64(r.Den)
}

// String returns "30000/1001", or "25" for a whole number.
func (r Rational) String() string {
	if r.Den == 1 {
		return strconv.FormatInt(r.Num, 10)
	}
	return fmt.Sprintf("%d/%d", r.Num, r.Den)
}

// HDR reports whether the picture has a high dynamic range transfer function,
// PQ or HLG.
func (s *Stream) HDR() bool { return s.Transfer == "smpte2084" || s.Transfer == "arib-std-b67" }

// RGB reports whether pixels are kept as red, green and blue, or in a palette of
// these.
func (s *Stream) RGB() bool {
	for _, order := range []string{"rgb", "bgr", "gbr", "pal8"} {
		if strings.Contains(s.PixelFormat, order) {
			return true
		}
	}
	return false
}

// Interlaced reports whether the container or the codec says that frames hold
// two fields.
func (s *Stream) Interlaced() bool {
	switch s.FieldOrder {
	case "tt", "bb", "tb", "bt":
		return true
	}
	return false
}

// DisplaySize is the size of the picture as viewers see it, in square pixels:
// SAR widens or narrows it, then Rotation turns it.
func (s *Stream) DisplaySize() (width, height float64) {
	width, height = float64(s.Width), float64(s.Height)
	if s.SAR.Num > 0 && s.SAR.Den > 0 {
		width *= s.SAR.Float()
	}
	if s.Rotation == 90 || s.Rotation == 270 {
		width, height = height, width
	}
	return width, height
}

// VariableRate reports whether the frames are not evenly spaced, as far as the
// headers tell.
func (s *Stream) VariableRate() bool {
	r, avg := s.Rate.Float(), s.AverageRate.Float()
	if r <= 0 || avg <= 0 {
		return false
	}
	// Interlaced H.264 gives its field rate, twice the rate of its frames; GXF
	// counts fields in the average.
	return math.Abs(r-avg) > 0.01*r && math.Abs(r-2*avg) > 0.001*r && math.Abs(2*r-avg) > 0.001*r
}

// Probe asks ffprobe what a local file holds. The error is an *Error if ffprobe
// could make nothing of the file.
func (t Tools) Probe(ctx context.Context, path string) (*Info, error) {
	return t.probe(ctx, Input(path))
}

func (t Tools) probe(ctx context.Context, input []string) (*Info, error) {
	args := append([]string{"-v", "error", "-show_format", "-show_streams", "-of", "json=compact=1"}, input...)
	out, err := t.output(ctx, t.FFprobe, args...)
	if err != nil {
		return nil, err
	}
	info, err := ParseInfo(out)
	if err != nil {
		return nil, err
	}
	for i := range info.Streams {
		if s := &info.Streams[i]; s.Transfer == "smpte2084" && !s.Picture {
			if err := t.grading(ctx, s, input); err != nil {
				return nil, err
			}
		}
	}
	return info, nil
}

// ParseInfo reads what "ffprobe -show_format -show_streams -of json" prints.
// Values that make no sense are taken as unknown.
func ParseInfo(b []byte) (*Info, error) {
	var p probed
	if err := json.Unmarshal(b, &p); err != nil {
		return nil, fmt.Errorf("ffprobe: %w", err)
	}
	info := &Info{
		Format:   p.Format.Names,
		LongName: p.Format.LongName,
		Start:    parseTime(p.Format.Start),
		Duration: max(0, parseTime(p.Format.Duration)),
		Size:     max(0, parseInt(p.Format.Size)),
		BitRate:  max(0, parseInt(p.Format.BitRate)),
		Tags:     p.Format.Tags,
	}
	for i := range p.Streams[:min(len(p.Streams), maxStreams)] {
		info.Streams = append(info.Streams, p.Streams[i].stream())
	}
	return info, nil
}

type probed struct {
	Format struct {
		Names    string `json:"format_name"`
		LongName string `json:"format_long_name"`
		Start    string `json:"start_time"`
		Duration string `json:"duration"`
		Size     string `json:"size"`
		BitRate  string `json:"bit_rate"`

		Tags map[string]string `json:"tags"`
	} `json:"format"`
	Streams []probedStream `json:"streams"`
}

type probedStream struct {
	Index         int               `json:"index"`
	ID            string            `json:"id"`
	Kind          string            `json:"codec_type"`
	Codec         string            `json:"codec_name"`
	LongName      string            `json:"codec_long_name"`
	Profile       string            `json:"profile"`
	Tag           string            `json:"codec_tag_string"`
	TimeBase      string            `json:"time_base"`
	Start         string            `json:"start_time"`
	Duration      string            `json:"duration"`
	BitRate       string            `json:"bit_rate"`
	Frames        string            `json:"nb_frames"`
	Disposition   map[string]int    `json:"disposition"`
	Tags          map[string]string `json:"tags"`
	Width         int               `json:"width"`
	Height        int               `json:"height"`
	SAR           string            `json:"sample_aspect_ratio"`
	FieldOrder    string            `json:"field_order"`
	PixelFormat   string            `json:"pix_fmt"`
	BFrames       int               `json:"has_b_frames"`
	Rate          string            `json:"r_frame_rate"`
	AverageRate   string            `json:"avg_frame_rate"`
	Level         int               `json:"level"`
	Primaries     string            `json:"color_primaries"`
	Transfer      string            `json:"color_transfer"`
	Matrix        string            `json:"color_space"`
	Range         string            `json:"color_range"`
	Channels      int               `json:"channels"`
	ChannelLayout string            `json:"channel_layout"`
	SampleRate    string            `json:"sample_rate"`
	SampleFormat  string            `json:"sample_fmt"`
	BitsPerSample int               `json:"bits_per_sample"`
	SideData      []struct {
		Type     string      `json:"side_data_type"`
		Rotation json.Number `json:"rotation"`
	} `json:"side_data_list"`
}

func (p *probedStream) stream() Stream {
	s := Stream{
		Index: p.Index, ID: p.ID, Kind: p.Kind, Codec: p.Codec, LongName: p.LongName, Profile: p.Profile, Tag: p.Tag,
		Language:      p.Tags["language"],
		TimeBase:      p.TimeBase,
		Start:         parseTime(p.Start),
		Duration:      max(0, parseTime(p.Duration)),
		BitRate:       max(0, parseInt(p.BitRate)),
		Frames:        max(0, parseInt(p.Frames)),
		Default:       p.Disposition["default"] != 0,
		Picture:       p.Disposition["attached_pic"] != 0 || p.Disposition["still_image"] != 0 || p.Disposition["timed_thumbnails"] != 0,
		Forced:        p.Disposition["forced"] != 0,
		Impaired:      p.Disposition["hearing_impaired"] != 0 || p.Disposition["visual_impaired"] != 0,
		Commented:     p.Disposition["comment"] != 0,
		Tags:          p.Tags,
		Disposition:   p.Disposition,
		Width:         min(max(0, p.Width), 1<<15),
		Height:        min(max(0, p.Height), 1<<15),
		SAR:           Rational{1, 1},
		FieldOrder:    known(p.FieldOrder),
		PixelFormat:   p.PixelFormat,
		BFrames:       p.BFrames,
		Rate:          parseRational(p.Rate, "/"),
		AverageRate:   parseRational(p.AverageRate, "/"),
		Level:         p.Level,
		Primaries:     known(p.Primaries),
		Transfer:      known(p.Transfer),
		Matrix:        known(p.Matrix),
		Range:         known(p.Range),
		Channels:      min(max(0, p.Channels), 1024),
		ChannelLayout: p.ChannelLayout,
		SampleRate:    int(min(max(0, parseInt(p.SampleRate)), 10_000_000)),
		SampleFormat:  p.SampleFormat,
		BitsPerSample: p.BitsPerSample,
	}
	if sar := parseRational(p.SAR, ":"); sar.Num > 0 && sar.Float() < 20 && sar.Float() > 0.05 {
		s.SAR = sar
	}
	// Matroska keeps a stream's duration in a tag, "00:00:05.234000000". ffmpeg
	// writes the time of its end there, mkvmerge its length: take the shorter.
	if s.Duration == 0 {
		for key, value := range p.Tags {
			if name, _, _ := strings.Cut(strings.ToUpper(key), "-"); name == "DURATION" {
				s.Duration = max(0, parseClock(value)-max(0, s.Start))
			}
		}
	}
	for _, d := range p.SideData {
		if r, err := d.Rotation.Float64(); err == nil && d.Type == "Display Matrix" {
			// ffprobe counts anticlockwise. Angles between are the player's affair.
			s.Rotation = ((-int(math.Round(math.Mod(r, 360)/90))*90)%360 + 360) % 360
		}
	}
	return s
}

func known(s string) string {
	if s == "unknown" {
		return ""
	}
	return s
}

func parseInt(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// parseTime reads seconds with a fraction. Times out of all reason are unknown,
// 0.
func parseTime(s string) time.Duration {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0
	}
	return seconds(f)
}

func seconds(f float64) time.Duration {
	if !(math.Abs(f) < maxDuration.Seconds()) {
		return 0
	}
	return time.Duration(math.Round(f*1e6)) * time.Microsecond
}

// parseClock reads "hh:mm:ss.fraction".
func parseClock(s string) time.Duration {
	f := strings.Split(s, ":")
	if len(f) != 3 {
		return 0
	}
	var total float64
	for _, part := range f {
		v, err := strconv.ParseFloat(part, 64)
		if err != nil || v < 0 {
			return 0
		}
		total = total*60 + v
	}
	return seconds(total)
}

// parseRational reads "30000/1001" or "16:9". A fraction that is not positive
// or not small is unknown.
func parseRational(s, sep string) Rational {
	a, b, ok := strings.Cut(s, sep)
	if !ok {
		return Rational{}
	}
	num, den := parseInt(a), parseInt(b)
	if num <= 0 || den <= 0 || num > math.MaxInt32 || den > math.MaxInt32 {
		return Rational{}
	}
	return Rational{num, den}
}
