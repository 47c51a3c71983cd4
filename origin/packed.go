package origin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/openams/openams/blob"
	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/mp4"
)

// The audio of an MP4 that was made elsewhere lies in a thousand places between
// the pictures: a segment of 100 kB takes as many reads as it has pieces, which
// costs ten times what sending it does. A packer copies the samples of such a
// track behind each other into a file of its own, once and in the background; the
// users' files stay as they are. Segments are the same, byte by byte. What lies
// encrypted in the store is not copied: it would lie in the clear.
type packer struct {
	files *openFiles
	shelf *shelf
	log   *slog.Logger

	mu     sync.Mutex
	queued map[string][]func() // by path: what is called when the copy is there
	jobs   chan job
	stop   context.CancelFunc
	done   chan struct{}
}

// A job is a track to be copied.
type job struct {
	path  string
	from  source
	track *mp4.Track
}

// maxQueued bounds the tracks that wait: others wait for their next request.
const maxQueued = 256

// newPacker returns nil, which packs nothing, without a folder.
func newPacker(files *openFiles, s *shelf, log *slog.Logger) *packer {
	if s.dir == "" || s.max <= 0 {
		return nil
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &packer{files: files, shelf: s, log: log, queued: map[string][]func(){}, jobs: make(chan job, maxQueued), stop: stop, done: make(chan struct{})}
	go p.work(ctx)
	return p
}

func (p *packer) close() {
	if p != nil {
		p.stop()
		<-p.done
	}
}

// scattered reports whether a fragment in the middle of r is in so many pieces
// that a copy is worth its room.
func scattered(r *packager.Rendition) bool {
	f := r.Fragments[len(r.Fragments)/2]
	return r.Track.Kind == mp4.Audio && len(r.Media.Extents(f.First, f.N)) > 8
}

// use gives r its copy if there is one, and otherwise has one made; ready is
// called then.
func (p *packer) use(show *presentation, r *packager.Rendition, ready func()) {
	from := show.files[r.File]
	if p == nil || from.pieces != nil || !scattered(r) {
		return
	}
	path := p.shelf.path(from.key(fmt.Sprintf(".%d.audio", r.Media.ID)))
	size := r.Media.Bytes(0, r.Media.NumSamples())
	if info, err := os.Stat(path); err == nil && info.Size() == size {
		p.shelf.used(path)
		r.Packed = fmt.Sprintf("%s\n%d", r.File, r.Media.ID) // no blob's name has a line break
		show.files[r.Packed] = source{version: version{name: path, etag: from.etag}, size: size}
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if waiting := p.queued[path]; waiting != nil {
		if len(waiting) < maxQueued {
			p.queued[path] = append(waiting, ready)
		}
		return
	}
	if size > p.shelf.max {
		return
	}
	select {
	case p.jobs <- job{path, from, r.Media}:
		p.queued[path] = []func(){ready}
	default:
	}
}

func (p *packer) work(ctx context.Context) {
	defer close(p.done)
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-p.jobs:
			start := time.Now()
			err := p.pack(ctx, j)
			p.mu.Lock()
			ready := p.queued[j.path]
			delete(p.queued, j.path)
			p.mu.Unlock()
			if ctx.Err() != nil {
				return
			}
			if errors.Is(err, errSecret) {
				continue
			}
			if err != nil {
				p.log.Warn("origin: the audio of a file could not be laid out for streaming", "blob", j.from.name, "err", err)
				continue
			}
			p.log.Info("origin: the audio of a file was laid out for streaming", "container", j.from.container, "blob", j.from.name, "track", j.track.ID, "took", time.Since(start))
			for _, f := range ready {
				f()
			}
		}
	}
}

// errSecret says that a file is storage encrypted.
var errSecret = errors.New("the file is encrypted")

// pack writes the samples of a track in order.
func (p *packer) pack(ctx context.Context, j job) error {
	f, err := p.files.acquire(ctx, j.from.version)
	if err != nil {
		return err
	}
	defer p.files.release(f)
	if r, ok := f.content.(*blob.Reader); ok && r.Decrypts() {
		return errSecret
	}
	const step = 4096 // samples
	n := j.track.NumSamples()
	return p.shelf.keep(j.path, j.track.Bytes(0, n), func(w io.Writer) error {
		for first := 0; first < n; first += step {
			if err := ctx.Err(); err != nil {
				return err
			}
			for _, x := range j.track.Extents(first, step) {
				if x.Offset < 0 || x.Length < 0 || x.Length > j.from.size || x.Offset > j.from.size-x.Length {
					return fmt.Errorf("the index does not fit the file")
				}
				if _, err := io.Copy(w, io.NewSectionReader(f, x.Offset, x.Length)); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// A localFile is a file of a shelf.
type localFile struct{ *os.File }

// WriteRange writes a range through a buffer: what lies on a shelf is small.
func (f localFile) WriteRange(w io.Writer, off, n int64) (int64, error) {
	g := gather{w: w}
	defer g.release()
	if err := g.read(f, off, n); err != nil {
		return 0, err
	}
	return n, g.flush()
}

func (f localFile) Size() int64 {
	info, err := f.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}
