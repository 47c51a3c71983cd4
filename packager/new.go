package packager

import (
	"cmp"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/openams/openams/packager/ism"
	"github.com/openams/openams/packager/mp4"
)

// maxFragment is the longest fragment in seconds. AMS refused more than "about
// 20"; the second above allows for key frames that are late by a few frames.
const maxFragment = 21

// New builds the presentation that m describes. files holds the index of every
// file that m.Sources names, by the name of the file in the asset; names are
// matched exactly, then in any case. The error is always an *Error and names the
// file or track and what is missing.
func New(m *ism.Manifest, files map[string]*mp4.Index) (*Presentation, error) {
	return NewOf(m, files, 0)
}

// NewOf is New with fragments of about that length, 0 for the usual one. What is
// streamed has the usual one, as URLs name fragments by their times.
func NewOf(m *ism.Manifest, files map[string]*mp4.Index, fragment time.Duration) (*Presentation, error) {
	b := builder{files: files, fragment: fragment, used: map[*mp4.Track]bool{}}
	for i := range m.Streams {
		if err := b.add(&m.Streams[i]); err != nil {
			return nil, err
		}
	}
	if len(b.video)+len(b.audio) == 0 {
		return nil, Errorf(MetadataNotFound, "the server manifest names no video and no audio")
	}
	p := &Presentation{Text: b.text, Live: m.Early == ism.EarlyGrowing, Early: m.Early != "", FragmentsPerTS: max(1, m.FragmentsPerHLSSegment)}
	if err := b.videoTracks(p); err != nil {
		return nil, err
	}
	b.audioTracks(p)
	for _, t := range p.Tracks {
		if err := t.settle(); err != nil {
			return nil, err
		}
	}
	p.Start = p.Tracks[0].Renditions[0].Fragments[0].Start
	end := uint64(0)
	for _, t := range p.Tracks {
		for _, r := range t.Renditions {
			last := r.Fragments[len(r.Fragments)-1]
			p.Start, end = min(p.Start, r.Fragments[0].Start), max(end, last.Start+last.Length)
		}
	}
	p.Duration = end - p.Start
	return p, nil
}

// Describe makes a server manifest of files that have none: all video that can be
// streamed as one ladder, and the audio of files that have no video and of the
// first one that has both, as the rungs of a ladder repeat it.
func Describe(files []string, indexes map[string]*mp4.Index) *ism.Manifest {
	m := new(ism.Manifest)
	muxed := false
	for _, f := range files {
		var video, audio []ism.Stream
		for _, t := range indexes[f].Tracks {
			if _, err := codecOf(t); err != nil || t.NumSamples() == 0 {
				continue
			}
			switch t.Kind {
			case mp4.Video:
				video = append(video, ism.Stream{Kind: ism.Video, Src: f, TrackID: t.ID})
			case mp4.Audio:
				audio = append(audio, ism.Stream{Kind: ism.Audio, Src: f, TrackID: t.ID})
			}
		}
		m.Streams = append(m.Streams, video...)
		if len(video) == 0 || !muxed {
			m.Streams = append(m.Streams, audio...)
		}
		muxed = muxed || len(video) > 0 && len(audio) > 0
	}
	return m
}

// MissingManifest explains that name (.ism) is not among the files of an asset,
// and what the asset has instead. Its code is ResourceNotFound.
func MissingManifest(name string, files []string) *Error {
	var isms, mp4s []string
	for _, f := range files {
		switch lower := strings.ToLower(f); {
		case strings.HasSuffix(lower, ".ism"):
			isms = append(isms, f)
		case strings.HasSuffix(lower, ".mp4"), strings.HasSuffix(lower, ".m4a"), strings.HasSuffix(lower, ".m4v"), strings.HasSuffix(lower, ".mov"):
			mp4s = append(mp4s, f)
		}
	}
	switch {
	case len(isms) > 0:
		return Errorf(ResourceNotFound, "the asset has no server manifest %q; it has %s", name, list(isms))
	case len(mp4s) > 0:
		return Errorf(ResourceNotFound, "the asset has no server manifest %q, so nothing says how its files play together; it has %d MP4 file(s) that could be streamed: %s. Ask for one as {its name}.ism, encode the asset, or upload an .ism that names them as <video src=\"…\"/> and <audio src=\"…\"/>", name, len(mp4s), list(mp4s))
	}
	return Errorf(ResourceNotFound, "the asset has no server manifest %q and no MP4 file", name)
}

// list names at most five files.
func list(names []string) string {
	more := ""
	if len(names) > 5 {
		more = fmt.Sprintf(" and %d more", len(names)-5)
		names = names[:5]
	}
	return strings.Join(names, ", ") + more
}

// A source is one stream of the .ism with the track that it names.
type source struct {
	stream *ism.Stream
	*Rendition
}

type builder struct {
	files        map[string]*mp4.Index
	fragment     time.Duration
	used         map[*mp4.Track]bool
	video, audio []source
	text         []TextTrack
}

func (b *builder) add(s *ism.Stream) error {
	if s.Kind == ism.Text {
		b.text = append(b.text, TextTrack{
			Name: s.TrackName, File: s.Src, Transcript: s.Transcript, Bitrate: s.Bitrate, Language: s.Language,
			DisplayName: s.DisplayName, Default: s.Default, Characteristics: s.Characteristic, Hidden: s.Hidden(),
		})
		return nil
	}
	name, x := b.file(s.Src)
	if x == nil {
		return Errorf(StorageResourceNotFound, "the server manifest names %q, which is not in the asset", s.Src)
	}
	t, err := b.track(s, x)
	if err != nil || t == nil {
		return err
	}
	b.used[t] = true
	codec, err := codecOf(t)
	if err != nil {
		code := VideoEncodingNotSupported
		switch {
		case t.Codec == "encv" || t.Codec == "enca":
			code = InputProtectionNotSupported
		case t.Kind == mp4.Audio:
			code = AudioEncodingNotSupported
		}
		return Errorf(code, "%s: track %d: %v", s.Src, t.ID, err)
	}
	r := &Rendition{Bitrate: s.Bitrate, File: name, Media: t, Codec: codec}
	if r.Bitrate == 0 {
		r.Bitrate = max(1, int64(t.Bitrate))
	}
	if x.Pieces != nil {
		err = r.recorded(x.Pieces)
	} else {
		err = r.cut(t.Fragments(b.fragment), maxFragment)
	}
	if err != nil {
		return err
	}
	if t.Kind == mp4.Video {
		b.video = append(b.video, source{s, r})
	} else {
		b.audio = append(b.audio, source{s, r})
	}
	return nil
}

// file finds a file by the src of a stream, which may be percent-encoded or
// start with "./".
func (b *builder) file(src string) (string, *mp4.Index) {
	names := []string{src, strings.TrimPrefix(src, "./")}
	if u, err := url.PathUnescape(src); err == nil {
		names = append(names, u)
	}
	for _, n := range names {
		if x := b.files[n]; x != nil {
			return n, x
		}
	}
	found := ""
	for f, x := range b.files {
		// The least name, so that the choice does not hang on the order of a map.
		if x != nil && strings.EqualFold(f, src) && (found == "" || f < found) {
			found = f
		}
	}
	return found, b.files[found]
}

// track finds the track of x that s names, or the first one of its kind that no
// stream has taken yet. It returns nil for a repetition: a stream without
// trackID of a file whose tracks are all taken.
func (b *builder) track(s *ism.Stream, x *mp4.Index) (*mp4.Track, error) {
	kind := mp4.Video
	if s.Kind == ism.Audio {
		kind = mp4.Audio
	}
	if s.TrackID != 0 {
		t := x.Track(s.TrackID)
		// Files that were remuxed keep their .ism but not always their track ids.
		if t != nil && t.Kind == kind {
			return t, nil
		}
	}
	var has []string
	n := 0
	for _, t := range x.Tracks {
		if t.Kind != kind {
			has = append(has, t.Kind.String())
			continue
		}
		if n++; !b.used[t] {
			return t, nil
		}
	}
	if n > 0 {
		return nil, nil
	}
	if len(has) == 0 {
		has = []string{"no track"}
	}
	return nil, Errorf(MetadataNotFound, "%s: the server manifest says it has %s, the file has %s", s.Src, kind, strings.Join(has, ", "))
}

// cut sets the fragments of r; none may last longer than most seconds, 0 for no
// bound.
func (r *Rendition) cut(media []mp4.Fragment, most int64) error {
	if len(media) == 0 {
		return Errorf(InputFormatNotSupported, "%s: track %d has no samples", r.File, r.Media.ID)
	}
	scale := r.Media.Timescale
	r.Fragments = make([]Fragment, len(media))
	for i, f := range media {
		if most > 0 && f.Dur > most*int64(scale) {
			return Errorf(KeyFrameIntervalTooLarge, "%s: no key frame for %.1f seconds after second %.1f; a fragment may last 20 seconds", r.File, seconds(f.Dur, scale), seconds(f.Time, scale))
		}
		start := Ticks(f.Time, scale)
		r.Fragments[i] = Fragment{f, start, Ticks(f.Time+f.Dur, scale) - start}
	}
	return nil
}

// recorded sets the fragments of r to those of a live archive, under their names.
func (r *Rendition) recorded(pieces []mp4.Piece) error {
	media, names := r.Media.Recorded(pieces)
	if err := r.cut(media, 0); err != nil {
		return err
	}
	r.archived = true
	for k := range r.Fragments {
		// A name counts decode time, or in units that are not those of manifests.
		if off := int64(names[k] - r.Fragments[k].Start); max(off, -off) > Timescale {
			return nil
		}
	}
	for k := range r.Fragments {
		f := &r.Fragments[k]
		if f.Start = names[k]; k > 0 {
			r.Fragments[k-1].Length = f.Start - r.Fragments[k-1].Start
		}
	}
	return nil
}

func seconds(t int64, scale uint32) float64 { return float64(t) / float64(scale) }

// videoTracks makes one Track of all video streams that have one trackName;
// nearly always that is all of them, under the name "video".
func (b *builder) videoTracks(p *Presentation) error {
	for _, v := range b.video {
		name := safeName(cmp.Or(v.stream.TrackName, "video"))
		i := slices.IndexFunc(p.Tracks, func(t *Track) bool { return t.Name == name })
		if i < 0 {
			i = len(p.Tracks)
			p.Tracks = append(p.Tracks, &Track{Name: name, Kind: mp4.Video, Language: language(v)})
		}
		p.Tracks[i].Renditions = append(p.Tracks[i].Renditions, v.Rendition)
	}
	for _, t := range p.Tracks {
		if err := align(t.Renditions, b.fragment); err != nil {
			return err
		}
	}
	return nil
}

// align makes the fragments of all renditions of a video track begin at the same
// times. Where those by the usual rule do not, they are cut anew at the key
// frames that all renditions have.
func align(list []*Rendition, fragment time.Duration) error {
	if list[0].archived {
		return trim(list)
	}
	differ := misaligned(list)
	if differ == nil {
		return nil
	}
	media := make([]*mp4.Track, len(list))
	end := seconds(list[0].Media.Duration(), list[0].Media.Timescale)
	for i, r := range list {
		media[i] = r.Media
		if off := seconds(r.Media.Duration(), r.Media.Timescale) - end; max(off, -off) > 1 {
			return differ // who switches would find nothing
		}
	}
	firsts := mp4.Common(media, fragment)
	for i, r := range list {
		if firsts == nil || r.cut(r.Media.FragmentsOf(firsts[i]), maxFragment) != nil {
			return differ
		}
	}
	return misaligned(list)
}

// trim leaves out what some renditions of a live archive have before or behind
// the others. Between, each must have every fragment.
func trim(list []*Rendition) error {
	from, to := uint64(0), uint64(math.MaxUint64)
	for _, r := range list {
		from, to = max(from, r.Fragments[0].Start), min(to, r.Fragments[len(r.Fragments)-1].Start)
	}
	a := list[0]
	for _, r := range list {
		r.Fragments = slices.DeleteFunc(r.Fragments, func(f Fragment) bool { return f.Start < from || f.Start > to })
		for k := range max(len(a.Fragments), len(r.Fragments)) {
			if k >= len(a.Fragments) || k >= len(r.Fragments) || a.Fragments[k].Start != r.Fragments[k].Start {
				at := a
				if k >= len(a.Fragments) || k < len(r.Fragments) && r.Fragments[k].Start < a.Fragments[k].Start {
					at = r
				}
				return Errorf(KeyFrameIntervalTooLarge, "%s and %s are not aligned: only %s has a fragment at %d (second %.1f of the recording)", a.File, r.File, at.File,
					at.Fragments[k].Start, float64(at.Fragments[k].Start-at.Fragments[0].Start)/Timescale)
			}
		}
		if len(r.Fragments) == 0 {
			return Errorf(KeyFrameIntervalTooLarge, "%s and %s have no fragment in common", a.File, r.File)
		}
	}
	return nil
}

// misaligned returns an error that names the first two files whose fragments
// begin apart, and where.
func misaligned(list []*Rendition) error {
	a := list[0]
	for _, b := range list[1:] {
		if err := mp4.Misaligned(a.Media, b.Media, a.media(), b.media()); err != nil {
			return Errorf(KeyFrameIntervalTooLarge, "%s and %s are not aligned: %v", a.File, b.File, err)
		}
	}
	return nil
}

func (r *Rendition) media() []mp4.Fragment {
	list := make([]mp4.Fragment, len(r.Fragments))
	for i, f := range r.Fragments {
		list[i] = f.Fragment
	}
	return list
}

// audioTracks makes a Track of each audio stream, but of streams with one
// trackName and language one Track with several renditions.
func (b *builder) audioTracks(p *Presentation) {
	taken := map[string]int{}
	for _, t := range p.Tracks {
		taken[strings.ToLower(t.Name)]++
	}
	for i, a := range b.audio {
		lang := language(a)
		if a.stream.TrackName != "" {
			name := safeName(a.stream.TrackName)
			same := slices.IndexFunc(p.Tracks, func(t *Track) bool {
				return t.Kind == mp4.Audio && t.Name == name && strings.EqualFold(t.Language, lang) &&
					t.Renditions[0].Media.Codec == a.Media.Codec
			})
			if same >= 0 {
				p.Tracks[same].Renditions = append(p.Tracks[same].Renditions, a.Rendition)
				continue
			}
		}
		p.Tracks = append(p.Tracks, &Track{
			Name: b.audioName(a, i, taken), Kind: mp4.Audio, Language: lang,
			Role: a.stream.Role, Accessibility: a.stream.Accessibility,
			Renditions: []*Rendition{a.Rendition},
		})
	}
}

// audioName is the trackName of the stream; for a stream without, "audio" if it
// is the only one, else a name in the form of AMS's encoder, as
// aac_eng_2_128041_2_1: codec, language, channels, bitrate, track id, and a
// number that makes it unique.
func (b *builder) audioName(a source, i int, taken map[string]int) string {
	name := a.stream.TrackName
	if name == "" {
		name = "audio"
		if len(b.audio) > 1 {
			name = fmt.Sprintf("%s_%s_%d_%d_%d_1", codecName(a.Media.Codec), cmp.Or(language(a), "und"), a.Media.Channels, a.Bitrate, a.Media.ID)
		}
	}
	name = safeName(name)
	for n := name; ; {
		key := strings.ToLower(n)
		taken[key]++
		if taken[key] == 1 {
			return n
		}
		n = fmt.Sprintf("%s_%d", name, taken[strings.ToLower(name)])
	}
}

func language(s source) string {
	lang := cmp.Or(s.stream.Language, s.Media.Language)
	if strings.EqualFold(lang, "und") {
		return ""
	}
	return lang
}

// safeName replaces what a name may not hold because URLs and manifests give it
// a meaning.
func safeName(s string) string {
	return strings.Map(func(r rune) rune {
		if r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-.", r) {
			return '_'
		}
		return r
	}, s)
}

// settle orders the renditions of t, makes their bitrates unique and completes
// them.
func (t *Track) settle() error {
	if len(t.Renditions) > MaxRenditions {
		return Errorf(FormatNotSupported, "track %q has %d quality levels; %d are allowed", t.Name, len(t.Renditions), MaxRenditions)
	}
	slices.SortStableFunc(t.Renditions, func(a, b *Rendition) int { return cmp.Compare(a.Bitrate, b.Bitrate) })
	for i, r := range t.Renditions {
		r.Track = t
		r.ts = sync.OnceValues(r.newTS)
		r.firsts = sync.OnceValue(r.newFirsts)
		r.header = sync.OnceValues(r.newHeader)
		r.unprimed = sync.OnceValue(r.newUnprimed)
		r.mux = r.muxesOf(t.Renditions[:i])
		if i > 0 {
			r.Bitrate = max(r.Bitrate, t.Renditions[i-1].Bitrate+1)
		}
		// Names come from the best rendition: timescales differ, and so may
		// the last tick of a time.
		for k, f := range t.Renditions[len(t.Renditions)-1].Fragments {
			r.Fragments[k].Start, r.Fragments[k].Length = f.Start, f.Length
		}
	}
	return nil
}
