package encoder

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/openams/openams/ffmpeg"
	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/mp4"
)

// The two metadata files of an output asset in the JSON form that v3 wrote. The
// names of their members are documented (media encoder metadata schemas); in the
// output file sizes of pictures are strings, as in Microsoft's example.

type outputAsset struct {
	AssetFile []outputAssetFile
}

type outputAssetFile struct {
	Sources     []namedFile
	VideoTracks []outputVideo
	AudioTracks []outputAudio
	Name        string
	Size        int64  // bytes
	Duration    string // ISO 8601
}

type namedFile struct{ Name string }

type outputVideo struct {
	ID                            int `json:"Id"`
	FourCC                        string
	Profile                       string
	Level                         string
	Width                         string
	Height                        string
	DisplayAspectRatioNumerator   float64
	DisplayAspectRatioDenominator float64
	Framerate                     float64
	Bitrate                       int64 // bit/s reached
	TargetBitrate                 int64

	// Ours, no part of AMS's schema: what could not be made, and how much the
	// frames look like the source's, if that was asked for.
	RequestedCodec string  `json:",omitempty"`
	SSIMMean       float64 `json:",omitempty"`
	SSIMMinimum    float64 `json:",omitempty"`
}

type outputAudio struct {
	ID           int `json:"Id"`
	Codec        string
	Language     string
	Channels     int
	SamplingRate int
	Bitrate      int64

	// Profile is what was made if RequestedProfile, HE-AAC or WMA, could not be:
	// ours, no part of AMS's schema.
	Profile          string `json:",omitempty"`
	RequestedProfile string `json:",omitempty"`
}

// outputMetadata is what {Basename}_manifest.json tells.
func outputMetadata(plan *Plan, srcs []Source, all []*made) outputAsset {
	var doc outputAsset
	for _, m := range all {
		f := outputAssetFile{Name: m.name, Size: m.size()}
		used := map[int]bool{}
		var length time.Duration
		for i, p := range m.parts {
			input := 0
			if p.copy != nil {
				input = p.copy.Input
			}
			if !used[input] {
				used[input] = true
				f.Sources = append(f.Sources, namedFile{srcs[input].Name})
			}
			t := p.track()
			id := i + 1
			if m.index != nil {
				t = m.index.Tracks[i]
				id = int(t.ID)
			}
			length = max(length, time.Duration(float64(t.Duration())/float64(t.Timescale)*float64(time.Second)))
			switch t.Kind {
			case mp4.Video:
				dar := ratio(int64(t.Width), int64(t.Height))
				num, den := packager.FrameRate(t)
				rate := float64(num) / float64(max(1, den))
				if plan.Video != nil {
					rate = plan.Video.Rate.Float()
				}
				v := outputVideo{
					ID: id, FourCC: t.Codec,
					Width: strconv.Itoa(int(t.Width)), Height: strconv.Itoa(int(t.Height)),
					DisplayAspectRatioNumerator: float64(dar.Num), DisplayAspectRatioDenominator: float64(dar.Den),
					Framerate: math.Round(rate*1000) / 1000,
					Bitrate:   bitrate(t),
				}
				if p.rung != nil {
					v.TargetBitrate, v.RequestedCodec = int64(p.rung.Bitrate), p.rung.Asked
				}
				v.Profile, v.Level = profile(t)
				if l := p.likeness; l != nil {
					v.SSIMMean, v.SSIMMinimum = math.Round(l.mean*1e5)/1e5, math.Round(l.least*1e5)/1e5
				}
				f.VideoTracks = append(f.VideoTracks, v)
			case mp4.Audio:
				a := outputAudio{
					ID: id, Codec: p.codec(), Language: t.Language,
					Channels: int(t.Channels), SamplingRate: int(t.SampleRate), Bitrate: bitrate(t),
				}
				if p.sound != nil {
					a.Language, a.RequestedProfile = p.programme.Language, p.sound.Asked
					if a.RequestedProfile != "" {
						a.Profile = "AacLc"
					}
				}
				f.AudioTracks = append(f.AudioTracks, a)
			}
		}
		f.Duration = isoDuration(length)
		doc.AssetFile = append(doc.AssetFile, f)
	}
	return doc
}

// size is that of the file, bytes.
func (m *made) size() int64 {
	if m.index != nil {
		return m.index.Size
	}
	info, err := os.Stat(m.path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// profile reads a track's profile and level from its avcC (version, profile,
// compatibility, level) or hvcC (version, profile …, level at 12).
func profile(t *mp4.Track) (profile, level string) {
	c := t.Config
	switch {
	case strings.HasPrefix(t.Codec, "avc") && len(c) > 3:
		level = fmt.Sprintf("%d.%d", c[3]/10, c[3]%10)
		switch c[1] {
		case 66:
			return "Baseline", level
		case 77:
			return "Main", level
		case 122:
			return "High422", level
		case 244:
			return "High444", level
		}
		return "High", level
	case strings.HasPrefix(t.Codec, "h") && len(c) > 12:
		level = fmt.Sprintf("%d.%d", c[12]/30, c[12]%30/3)
		if c[1]&31 == 2 {
			return "Main10", level
		}
		return "Main", level
	}
	return "", ""
}

type inputAsset struct {
	AssetFile []inputAssetFile
}

// AMS wrote beside numbers that may be unknown whether they are known.
type inputAssetFile struct {
	VideoTracks             []inputVideo `json:",omitempty"`
	AudioTracks             []inputAudio `json:",omitempty"`
	Metadata                []metadatum  `json:",omitempty"`
	Name                    string
	URI                     string `json:"Uri"`
	Size                    int64
	Duration                string
	NumberOfStreams         int
	FormatNames             string
	FormatVerboseName       string
	StartTime               string
	OverallBitRate          int64 // bit/s
	OverallBitRateSpecified bool
}

type inputVideo struct {
	FourCC                                string
	Profile                               string
	Level                                 string
	PixelFormat                           string
	Width                                 string
	Height                                string
	DisplayAspectRatioNumerator           float64
	DisplayAspectRatioDenominator         float64
	SampleAspectRatioNumerator            float64
	SampleAspectRatioNumeratorSpecified   bool
	SampleAspectRatioDenominator          float64
	SampleAspectRatioDenominatorSpecified bool
	FrameRate                             float64
	Bitrate                               int64 // bit/s
	BitrateSpecified                      bool
	HasBFrames                            int
	HasBFramesSpecified                   bool
	inputTrack
}

type inputAudio struct {
	SampleFormat           string
	ChannelLayout          string
	Channels               int
	SamplingRate           int
	Bitrate                int64 // bit/s
	BitrateSpecified       bool
	BitsPerSample          int
	BitsPerSampleSpecified bool
	inputTrack
}

// inputTrack is what both kinds end with.
type inputTrack struct {
	Disposition             inputDisposition
	Metadata                []metadatum `json:",omitempty"`
	ID                      int         `json:"Id"`
	Codec                   string
	CodecLongName           string
	TimeBase                string
	NumberOfFrames          int64
	NumberOfFramesSpecified bool
	StartTime               string
	Duration                string
}

type inputDisposition struct {
	Default         int `json:",omitempty" xml:",attr"`
	Dub             int `json:",omitempty" xml:",attr"`
	Original        int `json:",omitempty" xml:",attr"`
	Comment         int `json:",omitempty" xml:",attr"`
	Lyrics          int `json:",omitempty" xml:",attr"`
	Karaoke         int `json:",omitempty" xml:",attr"`
	Forced          int `json:",omitempty" xml:",attr"`
	HearingImpaired int `json:",omitempty" xml:",attr"`
	VisualImpaired  int `json:",omitempty" xml:",attr"`
	CleanEffects    int `json:",omitempty" xml:",attr"`
	AttachedPic     int `json:",omitempty" xml:",attr"`
}

// A metadatum is what a file says of itself or of a track.
type metadatum struct {
	Key   string `json:"key" xml:"key,attr"`
	Value string `json:"value" xml:"value,attr"`
}

// told are the tags that are passed on. Films of phones tell where they were
// taken, too, and outputs may be published.
var told = []string{"major_brand", "minor_version", "compatible_brands", "creation_time", "language", "handler_name", "encoder", "title"}

func metadata(tags map[string]string) (all []metadatum) {
	for _, key := range told {
		if v := tags[key]; v != "" && len(v) <= 1000 {
			all = append(all, metadatum{key, v})
		}
	}
	return all
}

// inputMetadata is what {GUID}_metadata.json tells: what ffprobe says of the
// sources under AMS's names.
func inputMetadata(srcs []Source) inputAsset {
	var doc inputAsset
	seen := map[string]bool{}
	for _, src := range srcs {
		if !seen[src.Path] { // parts of one file may be read one by one
			seen[src.Path] = true
			doc.AssetFile = append(doc.AssetFile, inputFile(src))
		}
	}
	return doc
}

func inputFile(src Source) inputAssetFile {
	info := src.Info
	f := inputAssetFile{
		Name: src.Name, URI: src.URI, Size: info.Size, Metadata: metadata(info.Tags),
		Duration: isoDuration(info.Duration), StartTime: isoDuration(info.Start),
		NumberOfStreams: len(info.Streams), FormatNames: info.Format, FormatVerboseName: info.LongName,
		OverallBitRate: info.BitRate, OverallBitRateSpecified: info.BitRate > 0,
	}
	for i := range info.Streams {
		s := &info.Streams[i]
		t := inputTrack{
			ID: s.Index, Codec: s.Codec, CodecLongName: s.LongName, TimeBase: s.TimeBase,
			NumberOfFrames: s.Frames, NumberOfFramesSpecified: s.Frames > 0, StartTime: isoDuration(s.Start), Duration: isoDuration(s.Duration),
			Metadata: metadata(s.Tags),
		}
		d := &t.Disposition
		for name, to := range map[string]*int{"default": &d.Default, "dub": &d.Dub, "original": &d.Original, "comment": &d.Comment, "lyrics": &d.Lyrics, "karaoke": &d.Karaoke,
			"forced": &d.Forced, "hearing_impaired": &d.HearingImpaired, "visual_impaired": &d.VisualImpaired, "clean_effects": &d.CleanEffects, "attached_pic": &d.AttachedPic} {
			*to = s.Disposition[name]
		}
		switch s.Kind {
		case "video":
			dar := ratio(int64(s.Width)*s.SAR.Num, int64(s.Height)*s.SAR.Den)
			f.VideoTracks = append(f.VideoTracks, inputVideo{
				inputTrack: t, FourCC: s.Tag, Profile: s.Profile, Level: levelName(s.Codec, s.Level), PixelFormat: s.PixelFormat,
				Width: strconv.Itoa(s.Width), Height: strconv.Itoa(s.Height),
				DisplayAspectRatioNumerator: float64(dar.Num), DisplayAspectRatioDenominator: float64(dar.Den),
				SampleAspectRatioNumerator: float64(s.SAR.Num), SampleAspectRatioNumeratorSpecified: true,
				SampleAspectRatioDenominator: float64(s.SAR.Den), SampleAspectRatioDenominatorSpecified: true,
				FrameRate: math.Round(s.AverageRate.Float()*1000) / 1000, Bitrate: s.BitRate, BitrateSpecified: s.BitRate > 0,
				HasBFrames: s.BFrames, HasBFramesSpecified: true,
			})
		case "audio":
			f.AudioTracks = append(f.AudioTracks, inputAudio{
				inputTrack: t, SampleFormat: s.SampleFormat, ChannelLayout: s.ChannelLayout,
				Channels: s.Channels, SamplingRate: s.SampleRate, Bitrate: s.BitRate, BitrateSpecified: s.BitRate > 0,
				BitsPerSample: s.BitsPerSample, BitsPerSampleSpecified: true,
			})
		}
	}
	return f
}

// levelName is a level as people write it, "4.1", from how its codec counts.
func levelName(codec string, level int) string {
	switch {
	case level <= 0:
		return ""
	case codec == "h264":
		return fmt.Sprintf("%d.%d", level/10, level%10)
	case codec == "hevc":
		return fmt.Sprintf("%d.%d", level/30, level%30/3)
	}
	return strconv.Itoa(level)
}

// ratio reduces a fraction; 0/1 if it has no value.
func ratio(num, den int64) ffmpeg.Rational {
	a, b := num, den
	for b != 0 {
		a, b = b, a%b
	}
	if a == 0 || den == 0 {
		return ffmpeg.Rational{Num: 0, Den: 1}
	}
	return ffmpeg.Rational{Num: num / a, Den: den / a}
}

// isoDuration writes "PT1M10.315S".
func isoDuration(d time.Duration) string {
	sign := ""
	if d < 0 {
		sign, d = "-", -d
	}
	var b strings.Builder
	b.WriteString(sign + "PT")
	if h := d / time.Hour; h > 0 {
		fmt.Fprintf(&b, "%dH", h)
	}
	if m := d % time.Hour / time.Minute; m > 0 {
		fmt.Fprintf(&b, "%dM", m)
	}
	if s := (d % time.Minute).Round(time.Millisecond); s > 0 || d < time.Minute {
		b.WriteString(strconv.FormatFloat(s.Seconds(), 'f', -1, 64) + "S")
	}
	return b.String()
}

func encodeJSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		panic(err) // only finite numbers, strings and lists go in
	}
	return b.Bytes()
}
