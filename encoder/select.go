package encoder

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/openams/openams/ams"
)

// A definition is an InputDefinition of v3: which tracks of which files an
// encode takes. What no definition names is left out.
type definition struct {
	each   bool   // FromEachInputFile
	file   string // InputFile: its name
	tracks []descriptor
}

// A descriptor is a TrackDescriptor.
type descriptor struct {
	kind      string // video, audio
	id        int    // of the track, -1 if it is not chosen by id
	attribute string // Bitrate, Language, "" if it is not chosen so
	filter    string // All, Top, Bottom, ValueEquals
	value     string
	channel   string // ChannelMapping, "" for none
}

// Bounds of inputDefinitions; the number of tracks is that of a professional
// recording with a channel in each.
const (
	maxDefinitions = 100
	maxDescriptors = 64
)

// channels are the places of ChannelMapping in the order of their layout.
var channels = map[string][]string{
	"5.1":    {"FrontLeft", "FrontRight", "Center", "LowFrequencyEffects", "BackLeft", "BackRight"},
	"stereo": {"StereoLeft", "StereoRight"},
}

// parseDefinitions reads the inputDefinitions of a job's input.
func parseDefinitions(raw json.RawMessage) ([]definition, error) {
	if blank(raw) {
		return nil, nil
	}
	var body []struct {
		Type     string `json:"@odata.type"`
		Filename string `json:"filename"`
		Tracks   []struct {
			Type    string      `json:"@odata.type"`
			ID      json.Number `json:"trackId"`
			Attr    string      `json:"attribute"`
			Filter  string      `json:"filter"`
			Value   string      `json:"filterValue"`
			Channel string      `json:"channelMapping"`
		} `json:"includedTracks"`
	}
	if err := json.Unmarshal(raw, &body); err != nil {
		return nil, ams.Errorf(ams.Invalid, "inputDefinitions is not a list of input definitions: %v", err)
	}
	fail := func(at, format string, args ...any) ([]definition, error) {
		return nil, ams.Errorf(ams.Invalid, "inputDefinitions%s: %s", at, fmt.Sprintf(format, args...))
	}
	if len(body) > maxDefinitions {
		return fail("", "there are more than %d", maxDefinitions)
	}
	var all []definition
	for i, b := range body {
		at := fmt.Sprintf("[%d]", i)
		var d definition
		switch kind := kindOf(b.Type); kind {
		case "FromAllInputFile":
		case "FromEachInputFile":
			d.each = true
		case "InputFile":
			if d.file = b.Filename; d.file == "" {
				return fail(at+".filename", "it is missing")
			}
		default:
			return fail(at, "'%s' is no kind of input definition", kind)
		}
		if len(b.Tracks) > maxDescriptors {
			return fail(at+".includedTracks", "there are more than %d", maxDescriptors)
		}
		for j, t := range b.Tracks {
			at := fmt.Sprintf("%s.includedTracks[%d]", at, j)
			k := descriptor{id: -1, kind: "video", attribute: t.Attr, filter: t.Filter, value: t.Value, channel: t.Channel}
			kind := kindOf(t.Type)
			if strings.Contains(kind, "Audio") {
				k.kind = "audio"
			}
			switch kind {
			case "VideoTrackDescriptor", "AudioTrackDescriptor":
				k.attribute = ""
			case "SelectVideoTrackById", "SelectAudioTrackById":
				id, err := strconv.Atoi(t.ID.String())
				if err != nil || id < 0 {
					return fail(at+".trackId", "'%s' is not the id of a track", t.ID)
				}
				k.id, k.attribute = id, ""
			case "SelectVideoTrackByAttribute", "SelectAudioTrackByAttribute":
				switch {
				case k.attribute != "Bitrate" && k.attribute != "Language":
					return fail(at+".attribute", "'%s' is neither Bitrate nor Language", k.attribute)
				case !slices.Contains([]string{"All", "Top", "Bottom", "ValueEquals"}, k.filter):
					return fail(at+".filter", "'%s' is none of All, Top, Bottom, ValueEquals", k.filter)
				case k.attribute == "Language" && (k.filter == "Top" || k.filter == "Bottom"):
					return fail(at+".filter", "languages have no %s", k.filter)
				case k.filter == "ValueEquals" && k.value == "":
					return fail(at+".filterValue", "it is missing")
				}
			default:
				return fail(at, "'%s' is no kind of track descriptor", kind)
			}
			if k.channel != "" && (k.kind == "video" || !slices.Contains(slices.Concat(channels["5.1"], channels["stereo"]), k.channel)) {
				return fail(at+".channelMapping", "'%s' is no channel of audio", k.channel)
			}
			d.tracks = append(d.tracks, k)
		}
		if d.tracks == nil { // documented as all tracks
			d.tracks = []descriptor{{kind: "video", id: -1}, {kind: "audio", id: -1}}
		}
		all = append(all, d)
	}
	return all, nil
}

// choose fills in the tracks that the definitions name.
func (q *Request) choose(t *take, definitions []definition) error {
	feed := &q.Feeds[t.main.feed]
	places := map[string]track{}
	for _, d := range definitions {
		files := []int{t.main.file}
		if d.file != "" {
			i := slices.IndexFunc(feed.Files, func(s Source) bool { return strings.EqualFold(s.Name, d.file) })
			if i < 0 {
				return jobErrorf(ams.ConfigurationUnsupported, "the input has no media file '%s', which its inputDefinitions name", d.file)
			}
			files = []int{i}
		} else {
			for i := range feed.Files {
				if i != t.main.file {
					files = append(files, i)
				}
			}
		}
		for _, k := range d.tracks {
			found := q.find(t.main.feed, files, k)
			if len(found) == 0 && k.id >= 0 {
				return jobErrorf(ams.ConfigurationUnsupported, "no %s track has the id %d, which its inputDefinitions ask for", k.kind, k.id)
			}
			if len(found) == 0 && k.attribute != "" {
				return jobErrorf(ams.ConfigurationUnsupported, "no %s track has the %s that its inputDefinitions ask for (%s %s)", k.kind, k.attribute, k.filter, k.value)
			}
			switch {
			case len(found) == 0:
			case k.kind == "video":
				if t.video == nil {
					t.video = &found[0]
				}
			case k.channel != "":
				if _, twice := places[k.channel]; twice {
					return jobErrorf(ams.ConfigurationUnsupported, "two of its tracks are mapped to the channel %s", k.channel)
				}
				places[k.channel] = found[0]
			case k.id < 0 && k.attribute == "":
				p := programme{tracks: found}
				if len(found) > 1 {
					p.layout = "stereo"
				}
				t.audio = append(t.audio, p)
			default:
				for _, one := range found {
					t.audio = append(t.audio, programme{tracks: []track{one}})
				}
			}
		}
	}
	for _, layout := range []string{"stereo", "5.1"} {
		p := programme{layout: layout, picked: true}
		var missing []string
		for _, c := range channels[layout] {
			if one, ok := places[c]; ok {
				p.tracks = append(p.tracks, one)
			} else {
				missing = append(missing, c)
			}
		}
		switch {
		case p.tracks == nil:
		case missing != nil:
			return jobErrorf(ams.ConfigurationUnsupported, "the channelMapping of its tracks leaves out %s", strings.Join(missing, ", "))
		default:
			t.audio = append(t.audio, p)
		}
	}
	return nil
}

// find returns the tracks that a descriptor selects: without id or attribute the
// encoder's choice in the first file that has one.
func (q *Request) find(feed int, files []int, k descriptor) []track {
	var all []track
	for _, i := range files {
		at := ref{feed, i}
		src := q.source(at).Info
		if k.id < 0 && k.attribute == "" {
			if v := pickVideo(src); k.kind == "video" && v != nil {
				return []track{{at, src, v}}
			}
			if k.kind == "audio" {
				for _, s := range pickAudio(src) {
					all = append(all, track{at, src, s})
				}
				if all != nil {
					return all
				}
			}
			continue
		}
		for j := range src.Streams {
			s := &src.Streams[j]
			if s.Kind != k.kind || s.Picture {
				continue
			}
			switch {
			case k.id >= 0 && s.Index != k.id,
				k.filter == "ValueEquals" && k.attribute == "Language" && !sameLanguage(s.Language, k.value),
				k.filter == "ValueEquals" && k.attribute == "Bitrate" && strconv.FormatInt(rateOf(track{at, src, s}), 10) != k.value:
				continue
			}
			all = append(all, track{at, src, s})
		}
	}
	if k.id >= 0 || k.attribute == "" {
		return all[:min(1, len(all))]
	}
	if k.attribute == "Bitrate" {
		slices.SortStableFunc(all, func(a, b track) int { return int(rateOf(b) - rateOf(a)) })
	}
	switch n := len(all); {
	case n == 0:
	case k.filter == "Top":
		return all[:1]
	case k.filter == "Bottom":
		return all[n-1:]
	}
	return all
}

// rateOf is the bitrate of a track, bit/s.
func rateOf(t track) int64 {
	if t.stream.Kind == "video" {
		return videoBitrate(t.src, t.stream)
	}
	return t.stream.BitRate
}

// sameLanguage compares a container's code with a client's: "eng" is "en" and
// "en-US".
func sameLanguage(container, client string) bool {
	client, _, _ = strings.Cut(strings.ToLower(client), "-")
	container = strings.ToLower(container)
	return container == client || len(client) == 2 && short[container] == client
}

// short are the two-letter codes of the languages of ISO 639-2 that have media.
var short = map[string]string{
	"ara": "ar", "bul": "bg", "cat": "ca", "ces": "cs", "cze": "cs", "chi": "zh", "zho": "zh", "dan": "da", "deu": "de", "ger": "de",
	"dut": "nl", "nld": "nl", "ell": "el", "gre": "el", "eng": "en", "est": "et", "fin": "fi", "fra": "fr", "fre": "fr", "heb": "he",
	"hin": "hi", "hrv": "hr", "hun": "hu", "ind": "id", "isl": "is", "ice": "is", "ita": "it", "jpn": "ja", "kor": "ko", "lav": "lv",
	"lit": "lt", "may": "ms", "msa": "ms", "nor": "no", "pol": "pl", "por": "pt", "ron": "ro", "rum": "ro", "rus": "ru", "slk": "sk",
	"slo": "sk", "slv": "sl", "spa": "es", "srp": "sr", "swe": "sv", "tha": "th", "tur": "tr", "ukr": "uk", "vie": "vi",
}
