package encoder

import (
	"encoding/xml"
	"math"
	"strings"

	"github.com/openams/openams/packager/mp4"
)

// The two metadata files of an output asset in the XML form of v2: the facts of
// the JSON form, bitrates in kbit/s. The names are documented (media encoder
// metadata schemas).

type outputXML struct {
	XMLName xml.Name        `xml:"http://schemas.microsoft.com/windowsazure/mediaservices/2013/05/mediaencoder/metadata AssetFiles"`
	Files   []outputXMLFile `xml:"AssetFile"`
}

type outputXMLFile struct {
	Name     string    `xml:",attr"`
	Size     int64     `xml:",attr"`
	Duration string    `xml:",attr"`
	Sources  []nameXML `xml:"Sources>Source"`
	Video    *videoXML `xml:"VideoTracks"` // nil, not empty
	Audio    *audioXML `xml:"AudioTracks"`
}

type videoXML struct {
	Tracks []outputXMLVideo `xml:"VideoTrack"`
}

type audioXML struct {
	Tracks []outputXMLAudio `xml:"AudioTrack"`
}

type nameXML struct {
	Name string `xml:",attr"`
}

type outputXMLVideo struct {
	ID                            int     `xml:"Id,attr"`
	FourCC                        string  `xml:",attr"`
	Profile                       string  `xml:",attr"`
	Level                         string  `xml:",attr"`
	Width                         string  `xml:",attr"`
	Height                        string  `xml:",attr"`
	DisplayAspectRatioNumerator   float64 `xml:",attr"`
	DisplayAspectRatioDenominator float64 `xml:",attr"`
	Framerate                     float64 `xml:",attr"`
	TargetFramerate               float64 `xml:",attr"`
	Bitrate                       int64   `xml:",attr"`
	TargetBitrate                 int64   `xml:",attr"`
	MaxGOPBitrate                 int64   `xml:",attr"`

	// Ours, no part of AMS's schema.
	RequestedCodec string  `xml:",attr,omitempty"`
	SSIMMean       float64 `xml:",attr,omitempty"`
	SSIMMinimum    float64 `xml:",attr,omitempty"`
}

type outputXMLAudio struct {
	ID               int    `xml:"Id,attr"`
	Codec            string `xml:",attr"`
	Channels         int    `xml:",attr"`
	SamplingRate     int    `xml:",attr"`
	Bitrate          int64  `xml:",attr"`
	BitsPerSample    int    `xml:",attr"`
	RequestedProfile string `xml:",attr,omitempty"` // ours
}

// codecsXML are the names of codecs in the XML form.
var codecsXML = map[string]string{"aac": "AacLc", "ac3": "Ac3", "eac3": "DolbyDigitalPlus"}

// outputMetadataXML is {Basename}_manifest.xml.
func outputMetadataXML(doc outputAsset, all []*made) []byte {
	var out outputXML
	for i, f := range doc.AssetFile {
		x := outputXMLFile{Name: f.Name, Size: f.Size, Duration: f.Duration}
		for _, s := range f.Sources {
			x.Sources = append(x.Sources, nameXML(s))
		}
		if f.VideoTracks != nil {
			x.Video = new(videoXML)
		}
		if f.AudioTracks != nil {
			x.Audio = new(audioXML)
		}
		for _, v := range f.VideoTracks {
			peak := int64(0)
			for _, p := range all[i].parts {
				if p.track().Kind == mp4.Video {
					peak = max(peak, peakGOP(p.track()))
				}
			}
			x.Video.Tracks = append(x.Video.Tracks, outputXMLVideo{
				ID: len(x.Video.Tracks), FourCC: strings.ToUpper(v.FourCC), Profile: v.Profile, Level: v.Level, Width: v.Width, Height: v.Height,
				DisplayAspectRatioNumerator: v.DisplayAspectRatioNumerator, DisplayAspectRatioDenominator: v.DisplayAspectRatioDenominator,
				Framerate: v.Framerate, TargetFramerate: v.Framerate, Bitrate: kbps(v.Bitrate), TargetBitrate: v.TargetBitrate / 1000,
				MaxGOPBitrate: kbps(peak), RequestedCodec: v.RequestedCodec, SSIMMean: v.SSIMMean, SSIMMinimum: v.SSIMMinimum,
			})
		}
		for _, a := range f.AudioTracks {
			codec := codecsXML[a.Codec]
			if codec == "" {
				codec = a.Codec
			}
			x.Audio.Tracks = append(x.Audio.Tracks, outputXMLAudio{
				ID: len(x.Audio.Tracks), Codec: codec, Channels: a.Channels, SamplingRate: a.SamplingRate, Bitrate: kbps(a.Bitrate), BitsPerSample: 16,
				RequestedProfile: a.RequestedProfile,
			})
		}
		out.Files = append(out.Files, x)
	}
	return encodeXML(out)
}

// peakGOP is the bitrate of the track's GOP that has the highest, bit/s.
func peakGOP(t *mp4.Track) int64 {
	var bytes, length, peak uint64
	end := func() {
		if length > 0 {
			peak = max(peak, uint64(float64(8*bytes)*float64(t.Timescale)/float64(length)))
		}
		bytes, length = 0, 0
	}
	for _, s := range t.AppendSamples(nil, 0, t.NumSamples()) {
		if s.Sync {
			end()
		}
		bytes += uint64(s.Size)
		length += uint64(s.Dur)
	}
	end()
	return int64(min(peak, math.MaxInt32))
}

type inputXML struct {
	XMLName xml.Name       `xml:"http://schemas.microsoft.com/windowsazure/mediaservices/2014/07/mediaencoder/inputmetadata AssetFiles"`
	Files   []inputXMLFile `xml:"AssetFile"`
}

type inputXMLFile struct {
	Name              string          `xml:",attr"`
	Size              int64           `xml:",attr"`
	Duration          string          `xml:",attr"`
	NumberOfStreams   int             `xml:",attr"`
	FormatNames       string          `xml:",attr"`
	FormatVerboseName string          `xml:",attr"`
	StartTime         string          `xml:",attr"`
	OverallBitRate    int64           `xml:",attr,omitempty"` // kbit/s
	Video             []inputXMLVideo `xml:"VideoTracks>VideoTrack"`
	Audio             []inputXMLAudio `xml:"AudioTracks>AudioTrack"`
	Metadata          []metadatum
}

type inputXMLTrack struct {
	ID             int    `xml:"Id,attr"`
	Codec          string `xml:",attr"`
	CodecLongName  string `xml:",attr"`
	TimeBase       string `xml:",attr"`
	NumberOfFrames int64  `xml:",attr,omitempty"`
	StartTime      string `xml:",attr"`
	Duration       string `xml:",attr"`
}

type inputXMLVideo struct {
	inputXMLTrack
	FourCC                        string  `xml:",attr"`
	Profile                       string  `xml:",attr,omitempty"`
	Level                         string  `xml:",attr,omitempty"`
	PixelFormat                   string  `xml:",attr"`
	Width                         string  `xml:",attr"`
	Height                        string  `xml:",attr"`
	DisplayAspectRatioNumerator   float64 `xml:",attr"`
	DisplayAspectRatioDenominator float64 `xml:",attr"`
	SampleAspectRatioNumerator    float64 `xml:",attr"`
	SampleAspectRatioDenominator  float64 `xml:",attr"`
	FrameRate                     float64 `xml:",attr"`
	Bitrate                       int64   `xml:",attr,omitempty"` // kbit/s
	HasBFrames                    int     `xml:",attr"`
	Disposition                   inputDisposition
	Metadata                      []metadatum
}

type inputXMLAudio struct {
	inputXMLTrack
	SampleFormat  string `xml:",attr"`
	ChannelLayout string `xml:",attr,omitempty"`
	Channels      int    `xml:",attr"`
	SamplingRate  int    `xml:",attr"`
	Bitrate       int64  `xml:",attr,omitempty"` // kbit/s
	BitsPerSample int    `xml:",attr"`
	Disposition   inputDisposition
	Metadata      []metadatum
}

// inputMetadataXML is {guid of the input asset}_metadata.xml.
func inputMetadataXML(doc inputAsset) []byte {
	var out inputXML
	for _, f := range doc.AssetFile {
		x := inputXMLFile{Name: f.Name, Size: f.Size, Duration: f.Duration, NumberOfStreams: f.NumberOfStreams, FormatNames: f.FormatNames,
			FormatVerboseName: f.FormatVerboseName, StartTime: f.StartTime, OverallBitRate: f.OverallBitRate / 1000, Metadata: f.Metadata}
		track := func(t inputTrack) inputXMLTrack {
			return inputXMLTrack{t.ID, t.Codec, t.CodecLongName, t.TimeBase, t.NumberOfFrames, t.StartTime, t.Duration}
		}
		for _, v := range f.VideoTracks {
			x.Video = append(x.Video, inputXMLVideo{inputXMLTrack: track(v.inputTrack), FourCC: v.FourCC, Profile: v.Profile, Level: v.Level,
				PixelFormat: v.PixelFormat, Width: v.Width, Height: v.Height,
				DisplayAspectRatioNumerator: v.DisplayAspectRatioNumerator, DisplayAspectRatioDenominator: v.DisplayAspectRatioDenominator,
				SampleAspectRatioNumerator: v.SampleAspectRatioNumerator, SampleAspectRatioDenominator: v.SampleAspectRatioDenominator,
				FrameRate: v.FrameRate, Bitrate: v.Bitrate / 1000, HasBFrames: v.HasBFrames, Disposition: v.Disposition, Metadata: v.Metadata})
		}
		for _, a := range f.AudioTracks {
			x.Audio = append(x.Audio, inputXMLAudio{inputXMLTrack: track(a.inputTrack), SampleFormat: a.SampleFormat, ChannelLayout: a.ChannelLayout,
				Channels: a.Channels, SamplingRate: a.SamplingRate, Bitrate: a.Bitrate / 1000, BitsPerSample: a.BitsPerSample,
				Disposition: a.Disposition, Metadata: a.Metadata})
		}
		out.Files = append(out.Files, x)
	}
	return encodeXML(out)
}

func encodeXML(v any) []byte {
	b, err := xml.MarshalIndent(v, "", "  ")
	if err != nil {
		panic(err) // nothing but numbers and strings goes in
	}
	return append([]byte(xml.Header), append(b, '\n')...)
}
