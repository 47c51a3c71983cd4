package encoder

import (
	"fmt"
	"slices"
	"strings"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/ffmpeg"
)

// streamable are the codecs that a track may have to be copied into an MP4 that
// a streaming endpoint can serve.
var streamable = []string{"h264", "hevc", "av1", "aac", "ac3", "eac3"}

func newCopy(input int, src *ffmpeg.Info, s *ffmpeg.Stream) Copy {
	c := Copy{Input: input, Stream: s.Index, Kind: s.Kind, Codec: s.Codec, Language: language(s.Language)}
	if _, exact := expected(src, s); exact {
		c.Frames = s.Frames
	}
	return c
}

func copyable(copies []Copy) error {
	for _, c := range copies {
		if !slices.Contains(streamable, c.Codec) {
			return jobErrorf(ams.ConfigurationUnsupported, "its %s stream %d (%s) cannot be copied into an MP4 that streams; encode it", c.Kind, c.Stream, c.Codec)
		}
	}
	return nil
}

// copyEverything plans the CopyAllBitrate presets: every track of every media
// file of the input, apart or each picture with the sound of its file.
func (p *Plan) copyEverything(r *recipe, q *Request, t *take) error {
	if t.clip != (Clip{}) {
		return jobErrorf(ams.ConfigurationUnsupported, "a part of it cannot be copied: encode it, or leave out the clip")
	}
	feed := &q.Feeds[t.main.feed]
	order := []int{t.main.file}
	for i := range feed.Files {
		if i != t.main.file && !feed.Files[i].Info.Still() {
			order = append(order, i)
		}
	}
	for _, i := range order {
		src := feed.Files[i].Info
		var video, audio []string
		for k := range src.Streams {
			s := &src.Streams[k]
			if s.Kind != "video" && s.Kind != "audio" || s.Picture {
				continue
			}
			part := fmt.Sprintf("c%d", len(p.Copies))
			p.Copies = append(p.Copies, newCopy(p.reading(track{ref{t.main.feed, i}, src, s}, t.clip), src, s))
			if s.Kind == "video" {
				video = append(video, part)
			} else {
				audio = append(audio, part)
			}
		}
		if r.copyAll == copyTogether && video != nil {
			for _, part := range video {
				p.Files = append(p.Files, File{Format: "mp4", Parts: append([]string{part}, audio...)})
			}
			continue
		}
		for _, part := range append(video, audio...) {
			p.Files = append(p.Files, File{Format: "mp4", Parts: []string{part}})
		}
	}
	return copyable(p.Copies)
}

// assemble decides which tracks go into which file.
func (p *Plan) assemble(r *recipe) {
	var video, audio []string
	labels := map[string][]string{}
	add := func(list *[]string, kind byte, n int, label string) {
		part := fmt.Sprintf("%c%d", kind, n)
		*list = append(*list, part)
		if label != "" {
			labels[label] = append(labels[label], part)
		}
	}
	if p.Video != nil {
		for i, g := range p.Video.Rungs {
			add(&video, 'v', i, g.Label)
		}
	}
	for _, s := range p.tracks() {
		add(&audio, 'a', len(audio), s.Label)
	}
	for i, c := range p.Copies {
		if c.Kind == "video" {
			add(&video, 'c', i, r.videoLabel)
		} else {
			add(&audio, 'c', i, r.audioLabel)
		}
	}
	formats := r.formats
	if formats == nil {
		formats = []format{{kind: "mp4"}}
	}
	for _, f := range formats {
		if !f.media() {
			continue
		}
		first := len(p.Files)
		file := func(parts ...string) {
			out := File{Format: f.kind, Pattern: f.pattern, Kilo: f.kilo, Parts: parts}
			has := func(list []string) bool {
				return slices.ContainsFunc(parts, func(s string) bool { return slices.Contains(list, s) })
			}
			if f.mute != "" && !has(audio) {
				out.Pattern = f.mute
			}
			if f.deaf != "" && !has(video) {
				out.Pattern = f.deaf
			}
			same := func(g File) bool { return slices.Equal(g.Parts, parts) }
			if !slices.ContainsFunc(p.Files[first:], same) { // without the video, files of several layers would be alike
				p.Files = append(p.Files, out)
			}
		}
		switch {
		case f.files != nil:
			for _, wanted := range f.files {
				var parts []string
				for _, label := range wanted {
					for _, part := range labels[label] {
						if !slices.Contains(parts, part) {
							parts = append(parts, part)
						}
					}
				}
				slices.SortStableFunc(parts, func(a, b string) int { // pictures first
					if a[0] == 'c' && b[0] == 'c' {
						return strings.Compare(a, b)
					}
					return int(b[0]) - int(a[0])
				})
				if parts != nil {
					file(parts...)
				}
			}
		case video == nil:
			for _, part := range audio {
				file(part)
			}
		default:
			for _, part := range video {
				if r.apart {
					file(part)
				} else {
					file(append([]string{part}, audio...)...)
				}
			}
			if r.audioFile || r.apart {
				for _, part := range audio {
					file(part)
				}
			}
		}
	}
}
