package origin

import (
	"container/list"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/openams/openams/ams"
)

// errChanged says that a blob is not any more the version asked for.
var errChanged = errors.New("the file changed")

// A version names one version of a blob; without an account, a file of a shelf by
// its path.
type version struct {
	account, container, name, etag string
}

// openFiles keeps files open between requests: opening one costs a look into
// the records and a system call or two, a player asks for one file hundreds of
// times. An open file keeps its bytes on the disk even if the blob is deleted,
// so nothing stays open long after its last use.
type openFiles struct {
	blobs Blobs
	max   int // files open and idle
	idle  time.Duration

	mu      sync.Mutex
	open    map[version]*openFile
	unused  list.List // of *openFile without users, most recently used first
	sweeper *time.Timer
	closed  bool
}

// content is the bytes of a blob, or of a file on a shelf.
type content interface {
	io.ReaderAt
	io.Closer
	WriteRange(w io.Writer, off, n int64) (int64, error)
	Size() int64
}

// An openFile is shared by all requests that read it.
type openFile struct {
	content
	version version
	ready   chan struct{}
	err     error
	users   int
	since   time.Time     // of the last use
	place   *list.Element // in unused
}

func newOpenFiles(blobs Blobs, max int, idle time.Duration) *openFiles {
	return &openFiles{blobs: blobs, max: max, idle: idle, open: map[version]*openFile{}}
}

// acquire opens a version of a blob or shares it; the caller releases it. The
// error is errChanged if the blob has another version by now or is gone.
func (o *openFiles) acquire(ctx context.Context, v version) (*openFile, error) {
	o.mu.Lock()
	f := o.open[v]
	if f != nil {
		f.users++
		if f.place != nil {
			o.unused.Remove(f.place)
			f.place = nil
		}
		o.mu.Unlock()
		<-f.ready
		if f.err != nil {
			return nil, f.err
		}
		return f, nil
	}
	f = &openFile{version: v, ready: make(chan struct{}), users: 1}
	o.open[v] = f
	o.mu.Unlock()

	// Others may wait for this one, so it does not end with our client.
	r, err := o.openVersion(context.WithoutCancel(ctx), v)
	if err != nil {
		o.mu.Lock()
		delete(o.open, v)
		o.mu.Unlock()
		f.err = err
		close(f.ready)
		return nil, err
	}
	f.content = r
	close(f.ready)
	return f, nil
}

func (o *openFiles) openVersion(ctx context.Context, v version) (content, error) {
	if v.account == "" { // a file on a shelf
		f, err := os.Open(v.name)
		if errors.Is(err, fs.ErrNotExist) {
			err = errChanged
		}
		return localFile{f}, err
	}
	r, err := o.blobs.Open(ctx, v.account, v.container, v.name)
	switch {
	case ams.CodeOf(err) == ams.NotFound:
		return nil, errChanged
	case err == nil && r.Blob().ETag != v.etag:
		r.Close()
		return nil, errChanged
	}
	return r, err
}

// release ends a use of f.
func (o *openFiles) release(f *openFile) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if f.users--; f.users > 0 {
		return
	}
	f.since = time.Now()
	f.place = o.unused.PushFront(f)
	if o.closed || o.unused.Len() > o.max {
		o.closeOldest()
	}
	if o.sweeper == nil && !o.closed {
		o.sweeper = time.AfterFunc(o.idle, o.sweep)
	}
}

func (o *openFiles) closeOldest() {
	f := o.unused.Remove(o.unused.Back()).(*openFile)
	delete(o.open, f.version)
	f.Close()
}

// sweep closes what was not used for the idle time.
func (o *openFiles) sweep() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sweeper = nil
	for o.unused.Len() > 0 {
		left := o.idle - time.Since(o.unused.Back().Value.(*openFile).since)
		if left > 0 {
			if !o.closed {
				o.sweeper = time.AfterFunc(left, o.sweep)
			}
			return
		}
		o.closeOldest()
	}
}

// close closes every file as soon as nobody uses it.
func (o *openFiles) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	if o.sweeper != nil {
		o.sweeper.Stop()
	}
	for o.unused.Len() > 0 {
		o.closeOldest()
	}
}
