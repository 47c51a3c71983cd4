package encoder

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/openams/openams/ffmpeg"
	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/fmp4"
	"github.com/openams/openams/packager/ism"
	"github.com/openams/openams/packager/mp4"
)

// Early play: an encode makes its least rung and the sound in a run of their own,
// before and beside the other rungs, into files that grow by whole fragments.
// Each fragment is published as soon as it is there, cut and named as the
// finished asset will have it, in the form of an archive that grows: a folder for
// each track, and a server manifest that names the folders. The finished rung is
// made of the same frames. See docs/decisions/0021-early-play.md.

// MayPlayEarly reports whether the outputs of the plan can be played while they
// are made: there is a rung whose bitrate is known beforehand, and nothing that is
// copied.
func (p *Plan) MayPlayEarly() bool {
	if p.Video == nil || len(p.Video.Rungs) == 0 || p.Copies != nil {
		return false
	}
	return p.Video.Rungs[p.Video.least()].Bitrate > 0
}

// least is the number of the rung with the lowest bitrate.
func (v *Video) least() int {
	least := 0
	for i, r := range v.Rungs {
		if r.Bitrate <= v.Rungs[least].Bitrate {
			least = i
		}
	}
	return least
}

// split returns the part of the plan that plays early, and the rest; rest is nil
// if there is none.
func (p *Plan) split() (first, rest *Plan) {
	least := p.Video.least()
	for i := range p.Video.Rungs {
		p.Video.Rungs[i].Part = fmt.Sprintf("v%d", i)
	}
	f, r := *p, *p
	fv, rv := *p.Video, *p.Video
	fv.Rungs, fv.Images = p.Video.Rungs[least:least+1:least+1], nil
	rv.Rungs = slices.Delete(slices.Clone(rv.Rungs), least, least+1)
	f.Video, f.Files, f.growing = &fv, nil, true
	r.Video, r.Audio, r.Files = &rv, nil, nil
	if len(rv.Rungs) == 0 && len(rv.Images) == 0 {
		return &f, nil
	}
	return &f, &r
}

// opening makes what plays early, in dir, and publishes it as it grows.
func (p *Plan) opening(ctx context.Context, tools ffmpeg.Tools, inputs []string, how How, kept, dir string, progress func(ffmpeg.Progress)) error {
	g := &growth{plan: p, how: how}
	made, err := p.first(kept, func(tmp string) error {
		g.dir = tmp
		return g.encode(ctx, tools, inputs, progress)
	})
	if err != nil {
		return err
	}
	g.dir = made
	if err := g.look(ctx, true); err != nil {
		return err
	}
	// The layout of the asset's files is made of files that do not grow.
	args := []string{"-y", "-xerror"}
	var outputs []string
	for i, part := range p.parts() {
		args = append(args, ffmpeg.Input(filepath.Join(made, partFile(part)))...)
		outputs = append(outputs, "-map", fmt.Sprint(i), "-c", "copy", "-f", "mp4", ffmpeg.File(filepath.Join(dir, partFile(part))))
	}
	return tools.Run(ctx, append(args, outputs...), nil)
}

// encode makes the parts of the plan, and publishes all fragments but the last.
func (g *growth) encode(ctx context.Context, tools ffmpeg.Tools, inputs []string, progress func(ffmpeg.Progress)) error {
	encoded := make(chan error, 1)
	working, stop := context.WithCancel(ctx)
	defer stop()
	go func() { encoded <- tools.Run(working, g.plan.Args(inputs, g.dir), progress) }()
	timer := time.NewTimer(lookTime)
	defer timer.Stop()
	for {
		select {
		case err := <-encoded:
			return err
		case <-timer.C:
			begin := time.Now()
			if err := g.look(working, false); err != nil {
				stop()
				<-encoded
				return err
			}
			// A file of hours takes longer to look at: no more than a twentieth of
			// the time goes into that.
			timer.Reset(max(lookTime, 20*time.Since(begin)))
		}
	}
}

// parts names the files that ffmpeg makes of the plan's pictures and sounds.
func (p *Plan) parts() (names []string) {
	if p.Video != nil {
		for i, r := range p.Video.Rungs {
			names = append(names, r.file(i))
		}
	}
	for i := range p.tracks() {
		names = append(names, fmt.Sprintf("a%d", i))
	}
	return names
}

// lookTime is how often files are looked at that grow.
const lookTime = 200 * time.Millisecond

// growth publishes files that grow.
type growth struct {
	plan      *Plan
	how       How
	dir       string // where the files are now
	tracks    []growing
	published bool // the server manifest
}

// growing is one of the files.
type growing struct {
	part, folder string
	read         int64 // bytes that were looked at
	fragments    int   // published
	stream       ism.Stream
}

// look publishes what was added since the last look; whole says that nothing more
// will be.
func (g *growth) look(ctx context.Context, whole bool) error {
	if g.tracks == nil {
		for _, part := range g.plan.parts() {
			g.tracks = append(g.tracks, growing{part: part, folder: "early-" + g.how.Name + "-" + part})
		}
	}
	ready := true
	for i := range g.tracks {
		if err := g.add(ctx, i, whole); err != nil {
			return err
		}
		ready = ready && g.tracks[i].fragments > 0
	}
	if !ready || g.published && !whole {
		return nil
	}
	m := &ism.Manifest{Formats: "mp4-v3", Early: ism.EarlyGrowing}
	if whole {
		m.Early = ism.EarlyWhole
	}
	for _, kind := range []ism.Kind{ism.Audio, ism.Video} { // as in the finished manifest
		for i := range g.tracks {
			if s := g.tracks[i].stream; s.Kind == kind {
				m.Streams = append(m.Streams, s)
			}
		}
	}
	name := g.plan.Basename + ".ism"
	path := filepath.Join(g.dir, "manifest")
	if err := os.WriteFile(path, m.Encode(), 0o600); err != nil {
		return err
	}
	g.published = true
	return g.how.Publish(ctx, OutputFile{Name: name, Path: path, ContentType: "application/smil+xml"})
}

// add publishes the new fragments of one file. The last one of a file that still
// grows may not be all of it.
func (g *growth) add(ctx context.Context, i int, whole bool) error {
	t := &g.tracks[i]
	f, err := os.Open(filepath.Join(g.dir, partFile(t.part)))
	if errors.Is(err, fs.ErrNotExist) && !whole {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := complete(f, t.read)
	if err != nil || size == t.read && !whole {
		return err
	}
	t.read = size
	index, err := mp4.BuildIndex(f, size)
	if err != nil || len(index.Tracks) != 1 {
		return fmt.Errorf("%s, while it is made: %w", t.part, err)
	}
	track := index.Tracks[0]
	if track.NumSamples() == 0 {
		return nil
	}
	t.stream = g.plan.early(i, track)
	t.stream.Src = t.folder
	p, err := packager.New(&ism.Manifest{Streams: []ism.Stream{{Kind: t.stream.Kind, Src: "file"}}}, map[string]*mp4.Index{"file": index})
	if err != nil {
		return err
	}
	r := p.Tracks[0].Renditions[0]
	n := len(r.Fragments)
	if !whole {
		n--
	}
	for ; t.fragments < n; t.fragments++ {
		if t.fragments == 0 {
			if err := g.publish(ctx, t.folder+"/header", r.InitSegment(fmp4.CMAF), f); err != nil {
				return err
			}
		}
		s, err := r.MP4Segment(t.fragments, fmp4.CMAF)
		if err != nil {
			return err
		}
		if err := g.publish(ctx, fmt.Sprintf("%s/%d", t.folder, r.Fragments[t.fragments].Start), s, f); err != nil {
			return err
		}
	}
	return nil
}

// publish makes a segment of the file from and publishes it.
func (g *growth) publish(ctx context.Context, name string, s *packager.Segment, from io.ReaderAt) error {
	path := filepath.Join(g.dir, "segment")
	to, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = s.WriteTo(to, func(string) (io.ReaderAt, error) { return from, nil })
	if err = errors.Join(err, to.Close()); err != nil {
		return err
	}
	return g.how.Publish(ctx, OutputFile{Name: name, Path: path, ContentType: s.ContentType})
}

// early is how a server manifest names the i-th part of a plan that plays early.
// What URLs are made of has to be the same once the encode has ended, so bitrates
// are those aimed at.
func (p *Plan) early(i int, t *mp4.Track) ism.Stream {
	if n := len(p.Video.Rungs); i >= n {
		s := p.tracks()[i-n]
		return earlySound(s, p.programme(i-n), t)
	}
	return ism.Stream{Kind: ism.Video, Bitrate: int64(p.Video.Rungs[i].Bitrate), TrackID: 1, TrackName: "video"}
}

func earlySound(s *Sound, of *Audio, t *mp4.Track) ism.Stream {
	return ism.Stream{
		Kind: ism.Audio, Bitrate: int64(s.Bitrate), Language: of.Language, TrackID: 1,
		TrackName: fmt.Sprintf("%s_%s_%d_%d_1_1", s.Codec, of.Language, t.Channels, s.Bitrate),
	}
}

// complete returns how much of a file of fragments, from what is known to be
// complete on, is complete: boxes up to the end of the last media data, and no
// header without its data.
func complete(f *os.File, from int64) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	for at := from; ; {
		var head [16]byte
		if n, err := f.ReadAt(head[:], at); n < len(head) {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return from, err
		}
		size, kind := int64(binary.BigEndian.Uint32(head[:])), string(head[4:8])
		if size == 1 {
			size = int64(binary.BigEndian.Uint64(head[8:]))
		}
		if size < 8 || size > info.Size()-at {
			return from, nil
		}
		if at += size; kind == "mdat" {
			from = at
		}
	}
}
