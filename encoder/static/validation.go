package static

import (
	"context"
	"io"

	"github.com/openams/openams/packager/ism"
	"github.com/openams/openams/packager/mp4"
	"github.com/openams/openams/packager/smooth"
)

// Validation tells whether a set can be streamed. Its output is the set, with
// the manifests that streaming needs.
type Validation struct {
	Smooth, HLS bool // what must be possible
}

// Run implements Task. The error says what cannot be streamed, and why.
func (t *Validation) Run(ctx context.Context, s *Set, dir string, progress func(float64)) ([]string, error) {
	p, err := s.presentation(0)
	if err != nil {
		return nil, err
	}
	if t.Smooth {
		if err := checkSmooth(p); err != nil {
			return nil, err
		}
	}
	m := &meter{ctx: ctx, report: progress, total: len(s.order)}
	if t.HLS {
		for _, track := range p.Tracks {
			for _, r := range track.Renditions {
				m.total += len(r.Fragments)
			}
		}
		if err := checkHLS(m, s, p); err != nil {
			return nil, err
		}
	}
	manifest := &ism.Manifest{Formats: "mp4", FragmentsPerHLSSegment: s.manifest.FragmentsPerHLSSegment, Meta: s.manifest.Meta}
	for _, track := range p.Tracks {
		kind := ism.Video
		if track.Kind == mp4.Audio {
			kind = ism.Audio
		}
		for _, r := range track.Renditions {
			manifest.Streams = append(manifest.Streams, ism.Stream{
				Kind: kind, Src: r.File, Bitrate: r.Bitrate, Language: track.Language, TrackID: r.Media.ID,
				TrackName: track.Name, TrackIndex: r.File + ".mpi", Role: track.Role, Accessibility: track.Accessibility,
			})
		}
	}
	var list []string
	for _, name := range manifest.Sources() {
		size := s.indexes[name].Size
		if err := create(dir, name, func(w io.Writer) error {
			_, err := io.Copy(w, &stopping{ctx, io.NewSectionReader(s.files[name], 0, size)})
			return err
		}); err != nil {
			return nil, err
		}
		if err := writeIndex(dir, name, name+".mpi"); err != nil {
			return nil, err
		}
		list = append(list, name, name+".mpi")
		if err := m.step(); err != nil {
			return nil, err
		}
	}
	if client := smooth.ClientManifest(p); client != nil {
		manifest.ClientManifest = s.name + ".ismc"
		if err := createText(dir, manifest.ClientManifest, client); err != nil {
			return nil, err
		}
		list = append(list, manifest.ClientManifest)
	}
	if err := createText(dir, s.name+".ism", manifest.Encode()); err != nil {
		return nil, err
	}
	return append(list, s.name+".ism"), nil
}

// A stopping reader ends with a context.
type stopping struct {
	ctx context.Context
	io.Reader
}

func (s *stopping) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.Reader.Read(p)
}
