package origin

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/ism"
	"github.com/openams/openams/packager/mp4"
	captions "github.com/openams/openams/packager/text"
)

// tracksID names all that the tracks of an asset say of a presentation; "" if
// there are none.
func tracksID(tracks []*ams.Track) (string, error) {
	if len(tracks) == 0 {
		return "", nil
	}
	sum := sha256.New()
	for _, t := range tracks {
		said := *t
		said.Created, said.LastModified, said.CreatedBy, said.LastModifiedBy = said.Created.UTC(), said.LastModified.UTC(), "", ""
		if err := json.NewEncoder(sum).Encode(said); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%x", sum.Sum(nil)[:16]), nil
}

// isHidden reports whether a text track is not for players.
func isHidden(t *ams.Track) bool { return t.Kind == ams.TextTrack && t.Visibility == ams.Hidden }

// withAudio adds to the streams of m the audio tracks that the asset has got
// since m was written. Those whose file is gone are left out.
func withAudio(m *ism.Manifest, tracks []*ams.Track, dir *folder) {
	for _, t := range tracks {
		if t.Kind != ams.AudioTrack || t.FileName == "" || dir.find(t.FileName) == nil || streamOf(m, ism.Audio, t.Name) >= 0 {
			continue
		}
		s := ism.Stream{Kind: ism.Audio, Src: t.FileName, TrackName: t.Name, Language: t.Language}
		if t.MPEG4TrackID != nil {
			s.TrackID = uint32(*t.MPEG4TrackID)
		}
		m.Streams = append(m.Streams, s)
	}
}

// streamOf is the index of the stream of that kind and name, -1 without.
func streamOf(m *ism.Manifest, kind ism.Kind, name string) int {
	return slices.IndexFunc(m.Streams, func(s ism.Stream) bool { return s.Kind == kind && strings.EqualFold(s.TrackName, name) })
}

// applyTracks makes p say of audio and video what the asset's tracks say.
func applyTracks(p *packager.Presentation, tracks []*ams.Track) {
	for _, t := range tracks {
		if t.Kind == ams.TextTrack {
			continue
		}
		track, err := p.Track(t.Name)
		if err != nil || track.Kind == mp4.Text || (track.Kind == mp4.Audio) != (t.Kind == ams.AudioTrack) {
			continue
		}
		track.Language = cmp.Or(t.Language, track.Language)
		track.Label = cmp.Or(t.DisplayName, track.Label)
		if t.DASHRole != nil {
			track.DASHRole = *t.DASHRole
		}
		if h := t.HLS; h != nil {
			track.Default = h.Default != nil && *h.Default
			if h.Characteristics != nil {
				track.Characteristics = *h.Characteristics
			}
		}
	}
}

// addTexts reads the caption files that the server manifest and the asset's
// tracks name and adds them to p. One that is not there or cannot be read is
// left out: the film is worth more. It returns how much memory they take.
func (t *titles) addTexts(ctx context.Context, p *presentation, dir *folder, tracks []*ams.Track) (weight int64, err error) {
	list := slices.Clone(p.Text)
	for _, track := range tracks {
		if track.Kind != ams.TextTrack {
			continue
		}
		i := slices.IndexFunc(list, func(l packager.TextTrack) bool { return strings.EqualFold(l.Name, track.Name) })
		if isHidden(track) {
			if i >= 0 {
				list = slices.Delete(list, i, i+1)
			}
			continue
		}
		if i < 0 {
			i = len(list)
			list = append(list, packager.TextTrack{Name: track.Name})
		}
		l := &list[i]
		l.File, l.Transcript, l.Hidden = track.FileName, "", false
		l.Language = cmp.Or(track.Language, l.Language)
		l.DisplayName = cmp.Or(track.DisplayName, l.DisplayName)
		if h := track.HLS; h != nil {
			l.Default, l.Forced = h.Default != nil && *h.Default, h.Forced != nil && *h.Forced
			if h.Characteristics != nil {
				l.Characteristics = *h.Characteristics
			}
		}
	}
	for _, l := range list {
		if l.Hidden {
			continue
		}
		var doc *captions.Doc
		for _, name := range []string{l.File, l.Transcript} {
			if name == "" || doc != nil {
				continue
			}
			if doc, err = t.readText(ctx, p, dir.source(name)); err != nil {
				if packager.CodeOf(err) == "" {
					return 0, err
				}
				t.indexes.log.Warn("origin: a text track is left out", "container", p.title.container, "file", name, "err", err)
			}
		}
		if doc == nil {
			continue
		}
		if l.Bitrate == 0 {
			l.Bitrate = textBitrate(doc, p.Duration)
		}
		p.AddText(l, doc)
		weight += doc.Size()
	}
	return weight, nil
}

// textBitrate is a bitrate that hardly any segment of a text track is above:
// four times what the file takes over its length, and what there is in each
// segment besides.
func textBitrate(doc *captions.Doc, duration uint64) int64 {
	seconds := int64(max(1, duration/packager.Timescale))
	return 4000 + 4*8*doc.Bytes/seconds + 8*int64(len(doc.TTML(0, 0, 0)))/int64(mp4.DefaultFragment.Seconds())
}

// readText reads a caption file. An error with a code is about the file.
func (t *titles) readText(ctx context.Context, p *presentation, b *ams.Blob) (*captions.Doc, error) {
	if b == nil {
		return nil, errorf(packager.StorageResourceNotFound, "the file is not in the asset")
	}
	if !slices.Contains(p.made, b) {
		p.made = append(p.made, b) // also of one that is broken: it may be mended
	}
	if b.Size > captions.MaxSize {
		return nil, errorf(packager.InputFormatNotSupported, "the file has %d bytes; a text track may have %d", b.Size, captions.MaxSize)
	}
	r, err := t.blobs.Open(ctx, b.StorageAccount, b.Container, b.Name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if r.Blob().ETag != b.ETag {
		return nil, errChanged
	}
	data := make([]byte, r.Size())
	if _, err := r.ReadAt(data, 0); err != nil && err != io.EOF {
		return nil, err
	}
	doc, err := captions.Parse(data)
	if err != nil {
		return nil, errorf(packager.InputFormatNotSupported, "%v", err)
	}
	return doc, nil
}
