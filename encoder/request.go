package encoder

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/ffmpeg"
)

// A Request is what a preset is applied to.
type Request struct {
	Feeds    []Feed // the inputs of the job, in its order
	Sequence bool   // they play one after another; else one of them is encoded
	Title    *Title // what Analyse measured, nil for presets that need no analysis
}

// A Feed is one input of a job: the files of an asset or a URL.
type Feed struct {
	Label  string   // what overlays call it by
	Asset  string   // guid of the asset, empty if it is none
	Files  []Source // the media files, with their Info
	Chosen int      // the one of them that is encoded, see Choose
	Clip   Clip
	Tracks []definition // the tracks to take, nil for the encoder's choice

	Cut  bool          // the files hold what the clip needs of the input, and no more than that
	Zero time.Duration // the time of the input at which they begin
}

// One is the request to encode one file.
func One(name string, info *ffmpeg.Info, clip Clip) Request {
	return Request{Feeds: []Feed{{Files: []Source{{Name: name, Info: info}}, Clip: clip}}}
}

// name is what the outputs of a file are named after: the set that it is of, or
// itself.
func (s *Source) name() string { return cmp.Or(s.Title, s.Set, s.Name) }

// A ref names a file of a Request.
type ref struct{ feed, file int }

func (q *Request) source(r ref) *Source { return &q.Feeds[r.feed].Files[r.file] }

// An Input is a file as a plan reads it.
type Input struct {
	Feed, File int           `json:",omitempty"` // in the Request
	Seek       time.Duration `json:",omitempty"` // where reading starts, less the file's start
	Until      time.Duration `json:",omitempty"` // how much is read from there, 0 for all
	Still      string        `json:",omitempty"` // the demuxer of a picture that stands still
	Loop       bool          `json:",omitempty"` // again and again
	Upright    bool          `json:",omitempty"` // ffmpeg must not turn the picture, and the outputs say how it is to be turned
}

// sources are the files that the plan reads, one for each of its inputs.
func (p *Plan) sources(q Request) []Source {
	var all []Source
	for _, in := range p.Inputs {
		all = append(all, *q.source(ref{in.Feed, in.File}))
	}
	return all
}

// A take is a part of one file, or of several with tracks of the same programme,
// that the output shows from beginning to end.
type take struct {
	main  ref // names the outputs, and whoever has to explain a failure
	info  *ffmpeg.Info
	clip  Clip
	video *track
	audio []programme // each becomes sounds of its own
}

// A track is a stream of a file.
type track struct {
	ref
	src    *ffmpeg.Info
	stream *ffmpeg.Stream
}

// A programme is the sound of one kind: one track, or several whose channels
// belong together.
type programme struct {
	tracks []track
	layout string // of the channels of several: stereo, 5.1; "" for one track
	picked bool   // the client has said where channels go
}

// takes decides which files of the request are encoded, one after another.
func (q *Request) takes(r *recipe) ([]take, error) {
	labels := map[string]bool{}
	for _, o := range r.overlays {
		labels[o.label] = o.label != ""
	}
	var feeds []int // those that are no overlays
	for i, f := range q.Feeds {
		if len(f.Files) > 0 && !(f.Label != "" && labels[f.Label]) {
			feeds = append(feeds, i)
		}
	}
	if len(feeds) == 0 {
		return nil, jobErrorf(ams.ConfigurationUnsupported, "The job has no input but those that overlays take.")
	}
	if r.sources != nil {
		return q.listed(r, feeds)
	}
	if !q.Sequence {
		best := feeds[0]
		for _, i := range feeds[1:] {
			if better(q.Feeds[i].Files[q.Feeds[i].Chosen].Info, q.Feeds[best].Files[q.Feeds[best].Chosen].Info) {
				best = i
			}
		}
		feeds = []int{best}
	}
	var all []take
	for _, i := range feeds {
		f := &q.Feeds[i]
		t, err := q.take(ref{i, f.Chosen}, f.Clip.of(f, r.copies()), f.Tracks)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

// listed are the takes that the preset itself lists, as v2 presets may.
func (q *Request) listed(r *recipe, feeds []int) ([]take, error) {
	var all []take
	for n, s := range r.sources {
		at := ref{feeds[0], q.Feeds[feeds[0]].Chosen}
		switch {
		case s.asset != "":
			i := slices.IndexFunc(q.Feeds, func(f Feed) bool { return strings.EqualFold(f.Asset, s.asset) })
			if i < 0 || len(q.Feeds[i].Files) == 0 {
				return nil, jobErrorf(ams.ConfigurationUnsupported, "Sources[%d].AssetID: the task has no input asset '%s'.", n, s.asset)
			}
			at = ref{i, q.Feeds[i].Chosen}
		case s.file != "":
			var err error
			if at, err = q.named(s.file, fmt.Sprintf("Sources[%d].MediaFile", n)); err != nil {
				return nil, err
			}
		}
		clip := q.Feeds[at.feed].Clip
		if s.clip != (Clip{}) {
			clip = s.clip
		}
		t, err := q.take(at, clip.of(&q.Feeds[at.feed], r.copies()), nil)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

// named finds a file by its name in the first input, or "%n%", the one to encode
// of input n.
func (q *Request) named(name, at string) (ref, error) {
	var n int
	if count, err := fmt.Sscanf(name, "%%%d%%", &n); err == nil && count == 1 {
		if n < 0 || n >= len(q.Feeds) || len(q.Feeds[n].Files) == 0 {
			return ref{}, jobErrorf(ams.ConfigurationUnsupported, "%s: '%s' needs %d input assets, the task has %d.", at, name, n+1, len(q.Feeds))
		}
		return ref{n, q.Feeds[n].Chosen}, nil
	}
	for i := range q.Feeds {
		for j := range q.Feeds[i].Files {
			if strings.EqualFold(q.Feeds[i].Files[j].Name, name) {
				return ref{i, j}, nil
			}
		}
	}
	return ref{}, jobErrorf(ams.ConfigurationUnsupported, "%s: the input has no media file '%s'.", at, name)
}

// take chooses the tracks of a file.
func (q *Request) take(at ref, clip Clip, tracks []definition) (take, error) {
	t := take{main: at, info: q.source(at).Info, clip: clip}
	if tracks != nil {
		if err := q.choose(&t, tracks); err != nil {
			return t, q.about(at, err)
		}
		return t, nil
	}
	src := t.info
	if src.Still() {
		return t, q.about(at, jobErrorf(ams.ContentUnsupported, "it is a picture that stands still"))
	}
	if v := pickVideo(src); v != nil {
		t.video = &track{at, src, v}
	}
	if streams := pickAudio(src); streams != nil {
		var p programme
		for _, s := range streams {
			p.tracks = append(p.tracks, track{at, src, s})
		}
		if len(streams) > 1 {
			p.layout = "stereo"
		}
		t.audio = []programme{p}
	} else if set := cmp.Or(q.source(at).Set, q.source(at).Group); set != "" { // its sound may be in another file of the set
		for i, f := range q.Feeds[at.feed].Files {
			if s := pickAudio(f.Info); cmp.Or(f.Set, f.Group) == set && s != nil {
				t.audio = []programme{{tracks: []track{{ref{at.feed, i}, f.Info, s[0]}}}}
				break
			}
		}
	}
	return t, nil
}

// check returns an error if a track cannot be decoded.
func (t *track) check() error {
	s := t.stream
	switch {
	case s.Tag == "encv" || s.Tag == "enca" || s.Tag == "drmi" || s.Tag == "drms":
		return jobErrorf(ams.ContentUnsupported, "its %s stream %d is encrypted", s.Kind, s.Index)
	case s.Codec == "" || s.Codec == "none" || s.Codec == "unknown":
		return jobErrorf(ams.ContentUnsupported, "the codec of its %s stream %d (%q) is unknown", s.Kind, s.Index, s.Tag)
	case s.Kind == "video" && (s.Width == 0 || s.Height == 0):
		return jobErrorf(ams.ContentMalformed, "its video stream %d (%s) has no readable picture", s.Index, s.Codec)
	}
	return nil
}

// about puts the name of the file before an error that speaks of "it".
func (q *Request) about(at ref, err error) error {
	if e, ok := err.(*ams.JobError); ok {
		e.Message = fmt.Sprintf("%q cannot be encoded: %s.", q.source(at).Name, strings.TrimSuffix(e.Message, "."))
	}
	return err
}
