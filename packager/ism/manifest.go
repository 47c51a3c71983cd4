package ism

import (
	"strconv"
	"strings"
)

// A Kind is the type of a Stream.
type Kind uint8

const (
	Video Kind = iota + 1
	Audio
	Text
)

// String returns the name of the element: "video", "audio" or "textstream".
func (k Kind) String() string {
	switch k {
	case Video:
		return "video"
	case Audio:
		return "audio"
	case Text:
		return "textstream"
	}
	return "unknown"
}

// A Manifest is the content of one .ism.
type Manifest struct {
	ClientManifest         string   // clientManifestRelativePath; "" if none
	Formats                string   // "mp4" (hand-made sets), "mp4-v3" (encoders); "" if not told
	FragmentsPerHLSSegment int      // 0 if not told
	Early                  Early    // of an encode that is under way; "" for others
	Meta                   []Param  // other head metas, in order
	Streams                []Stream // in order
}

// Early says how far an encode has come whose outputs play already. It is a meta
// of ours, openamsEarly.
type Early string

const (
	EarlyGrowing Early = "growing" // more fragments will come
	EarlyWhole   Early = "whole"   // all are there, other bitrates will come
)

const earlyMeta = "openamsEarly"

// A Stream is one video, audio or textstream element. Zero values mean that the
// manifest does not say.
type Stream struct {
	Kind       Kind
	Src        string // file in the asset, never empty
	Bitrate    int64  // bit/s
	Language   string // as written, the first of several: "eng", "en-us"
	TrackID    uint32 // track_ID in the MP4
	TrackName  string
	TrackIndex string // .mpi file; opaque

	Role          string // "alternate"; audio
	Accessibility string // "description"; audio

	DisplayName    string // text, as the next ones
	Default        bool   // textIsDefault
	Characteristic string // textHlsCharacteristic
	Transcript     string // transcriptsrc: the .vtt that a .cmft was made from

	Params []Param // all others, in order: outputFlag, armId, those of live archives
}

// Hidden reports whether players are not to see the stream, by its outputFlag
// (documented for text: 1 hides it, 3 shows it; seen on shown ones: 2).
func (s *Stream) Hidden() bool {
	for _, p := range s.Params {
		if strings.EqualFold(p.Name, "outputFlag") {
			n, err := strconv.ParseUint(p.Value, 10, 8)
			return err == nil && n&2 == 0
		}
	}
	return false
}

// A Param is a name and its value.
type Param struct {
	Name, Value string
}

// Sources returns the media files that the video and audio streams name, each
// once, in the order of the manifest.
func (m *Manifest) Sources() []string {
	var names []string
	seen := map[string]bool{}
	for _, s := range m.Streams {
		if s.Kind != Text && !seen[s.Src] {
			seen[s.Src] = true
			names = append(names, s.Src)
		}
	}
	return names
}
