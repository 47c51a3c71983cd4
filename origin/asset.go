package origin

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/ism"
	"github.com/openams/openams/packager/mp4"
)

const (
	// recheck is how long a presentation is served without looking whether its
	// files are still the same, while other things in the server change.
	recheck = time.Second
	// maxISM bounds a server manifest. A real one is a few kilobytes.
	maxISM = 4 << 20
	// maxListed bounds the blobs of a container that are looked at. A
	// presentation of more files than that does not exist.
	maxListed = 20_000
	// loadTime bounds how long clients wait for a presentation to be made.
	loadTime = time.Minute
)

// A title names a presentation: a server manifest in a container.
type title struct {
	account, container, name string // name with extension
	nals                     bool   // with maps of NAL units, for encryption of parts of samples
	tracks                   string // names what the tracks of the asset say
}

// A presentation is one version of a title, ready to be served.
type presentation struct {
	*packager.Presentation
	title   title
	version string            // of the media files alone: see protect.Protection
	tag     string            // names the versions of all files: the stem of entity tags
	files   map[string]source // by the names that the packager uses
	made    []*ams.Blob       // all blobs that it was made of
	bare    []string          // the files of a title without a server manifest; nil for others
	failed  error             // these versions of the files make no presentation

	gone    atomic.Bool   // replaced by another version
	checked atomic.Int64  // when the blobs were last seen unchanged, Unix ns
	seen    atomic.Uint64 // the count of changes at that time
}

// A source is one version of a media file, or of a folder that is read as one.
type source struct {
	version
	size   int64
	pieces []piece // of a folder of fragments; nil for a file
	grows  bool    // the folder will have more
}

func fileOf(b *ams.Blob) source {
	return source{version: version{b.StorageAccount, b.Container, b.Name, b.ETag}, size: b.Size}
}

// titles makes presentations and keeps them.
type titles struct {
	blobs   Blobs
	indexes *indexes
	packer  *packer       // nil: none
	changes func() uint64 // nil: unknown
	now     func() time.Time
	cache   *cache[title, *presentation]
}

// open returns the present version of the title that name spells, its case
// free where no other blob has exactly that name. nals asks for maps of NAL
// units; tracks are those of the asset, as tracksID names them.
func (t *titles) open(ctx context.Context, a *ams.Asset, name string, nals bool, tracks []*ams.Track, tracksID string) (*presentation, error) {
	key := title{a.StorageAccount, a.Container, name, nals, tracksID}
	for {
		p, err := t.cache.get(key, func() (*presentation, int64, error) {
			// The presentation is for all who ask, not only for the first.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTime)
			defer cancel()
			return t.load(ctx, key, tracks)
		})
		if err != nil {
			return nil, err
		}
		fresh, err := t.fresh(ctx, p)
		if err != nil {
			return nil, err
		}
		if fresh {
			return p, p.failed
		}
		t.drop(p)
		t.cache.drop(key, func(q *presentation) bool { return p == q })
	}
}

// drop forgets p under its own name; under others it is found to be gone.
func (t *titles) drop(p *presentation) {
	p.gone.Store(true)
	t.cache.drop(p.title, func(q *presentation) bool { return p == q })
}

// count is the number of changes in the server so far.
func (t *titles) count() uint64 {
	if t.changes == nil {
		return 0
	}
	return t.changes()
}

// fresh reports whether the blobs that p was made of are still there and the
// same. It asks the records at most once a second, and not at all while
// nothing in the server changes.
func (t *titles) fresh(ctx context.Context, p *presentation) (bool, error) {
	if p.gone.Load() {
		return false, nil
	}
	count, now := t.count(), t.now()
	if t.changes != nil && p.seen.Load() == count {
		return true, nil
	}
	last := p.checked.Load()
	if now.UnixNano()-last < int64(recheck) || !p.checked.CompareAndSwap(last, now.UnixNano()) {
		return true, nil // or another request looks right now
	}
	for _, b := range p.made {
		is, err := t.blobs.Stat(ctx, b.StorageAccount, b.Container, b.Name)
		if ams.CodeOf(err) == ams.NotFound || err == nil && is.ETag != b.ETag {
			return false, nil
		}
		if err != nil {
			p.checked.CompareAndSwap(now.UnixNano(), last)
			return false, err
		}
	}
	if p.Presentation != nil && p.Live {
		for _, f := range p.files {
			if f.pieces == nil {
				continue
			}
			if is, _, err := t.folder(ctx, p.title, f.name); err != nil || is.version != f.version {
				return false, err
			}
		}
	}
	if p.bare != nil {
		dir, err := t.list(ctx, p.title)
		if err != nil || !slices.Equal(p.bare, ism.Bare(p.title.name, dir.names)) {
			return false, err
		}
	}
	p.seen.Store(count)
	return true, nil
}

// aliasWeight is that of a title whose presentation has another one's name.
const aliasWeight = 512

// load makes the presentation of a title.
func (t *titles) load(ctx context.Context, key title, tracks []*ams.Track) (*presentation, int64, error) {
	p := &presentation{title: key, files: map[string]source{}}
	p.seen.Store(t.count())
	p.checked.Store(t.now().UnixNano())

	dir, err := t.list(ctx, key)
	if err != nil {
		return nil, 0, err
	}
	b := dir.find(key.name)
	if b == nil {
		if p.bare = ism.Bare(key.name, dir.names); p.bare == nil {
			return nil, 0, packager.MissingManifest(key.name, dir.names)
		}
	} else if b.Name != key.name {
		exact := key
		exact.name = b.Name
		p, err := t.cache.get(exact, func() (*presentation, int64, error) { return t.load(ctx, exact, tracks) })
		return p, aliasWeight, err
	}
	weight, err := t.compose(ctx, p, dir, b, tracks)
	if code := packager.CodeOf(err); code != "" && code != packager.StorageResourceNotFound {
		// The same files will fail again, and anybody may ask: do not read them
		// each time.
		p.failed = err
		return p, 4096, nil
	}
	return p, weight, err
}

// compose fills p with what the server manifest b says, nil for a title of files
// alone, and returns its weight.
func (t *titles) compose(ctx context.Context, p *presentation, dir *folder, b *ams.Blob, tracks []*ams.Track) (int64, error) {
	weight := int64(4096)
	var m *ism.Manifest
	indexed := map[string]*mp4.Index{}
	sum := sha256.New()
	// read indexes what the src of a stream means.
	read := func(src string) error {
		f := dir.source(src)
		var s source
		var err error
		if f != nil {
			s = fileOf(f)
		} else if s, f, err = t.folder(ctx, p.title, src); err != nil {
			return err
		} else if f == nil {
			return errorf(packager.StorageResourceNotFound, "%s names %q, which is not in the asset", p.title.name, src)
		}
		if indexed[f.Name] != nil {
			return nil
		}
		s.grows = m != nil && m.Early == ism.EarlyGrowing
		if s.pieces == nil {
			p.made = append(p.made, f)
		} else {
			fmt.Fprintf(sum, "%s\n%s\n", f.Name, f.ETag)
			p.made = append(p.made, &ams.Blob{StorageAccount: f.StorageAccount, Container: f.Container, Name: s.pieces[0].name, ETag: s.pieces[0].etag, Size: s.pieces[0].end})
			weight += 128 * int64(len(s.pieces))
		}
		p.files[f.Name] = s
		index, size, err := t.indexes.load(ctx, s, f, dir.exact, p.title.nals)
		if err != nil {
			return err
		}
		index.Pieces = s.recorded()
		indexed[f.Name] = index
		weight += size
		return nil
	}
	if b == nil {
		for _, name := range p.bare {
			if err := read(name); err != nil {
				return 0, err
			}
		}
		m = packager.Describe(p.bare, indexed)
	} else {
		p.made = append(p.made, b)
		var err error
		if m, err = t.manifest(ctx, b); err != nil {
			return 0, err
		}
	}
	withAudio(m, tracks, dir)
	for _, src := range m.Sources() {
		if err := read(src); err != nil {
			return 0, err
		}
	}
	var err error
	if p.Presentation, err = packager.New(m, indexed); err != nil {
		return 0, err
	}
	applyTracks(p.Presentation, tracks)
	more, err := t.addTexts(ctx, p, dir, tracks)
	if err != nil {
		return 0, err
	}
	weight += more
	for _, track := range p.Tracks {
		for _, r := range track.Renditions {
			weight += 128 * int64(len(r.Fragments))
		}
	}
	io.WriteString(sum, p.title.tracks)
	for _, b := range p.made {
		fmt.Fprintf(sum, "%s\n%s\n%d\n", b.Name, b.ETag, b.Size)
	}
	p.tag = fmt.Sprintf("%x", sum.Sum(nil)[:8])
	p.version = mediaVersion(p)
	for _, track := range p.Of(mp4.Audio) {
		for _, r := range track.Renditions {
			t.packer.use(p, r, func() { t.drop(p) })
		}
	}
	return weight, nil
}

// mediaVersion tells the media of p from all others that there may ever be.
func mediaVersion(p *presentation) string {
	names := slices.Sorted(maps.Keys(p.files))
	version := fmt.Sprintf("%q %q", p.title.account, p.title.container)
	for _, name := range names {
		version += fmt.Sprintf(" %q %q", name, p.files[name].etag)
	}
	return version
}

// manifest reads a server manifest.
func (t *titles) manifest(ctx context.Context, b *ams.Blob) (*ism.Manifest, error) {
	if b.Size > maxISM {
		return nil, errorf(packager.InputFormatNotSupported, "%s has %d bytes; a server manifest may have %d", b.Name, b.Size, maxISM)
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
	m, err := ism.Parse(data)
	if err != nil {
		return nil, errorf(packager.InputFormatNotSupported, "%s is not a server manifest: %v", b.Name, err)
	}
	return m, nil
}

// A folder is the files of an asset.
type folder struct {
	names  []string
	blobs  map[string]*ams.Blob
	folded map[string]*ams.Blob // by name in lower case
}

func (t *titles) list(ctx context.Context, key title) (*folder, error) {
	d := &folder{blobs: map[string]*ams.Blob{}, folded: map[string]*ams.Blob{}}
	for b, err := range t.blobs.All(ctx, key.account, key.container, "") {
		if errors.Is(err, ams.ErrContainerNotFound) {
			return nil, errorf(packager.ResourceNotFound, "the container of the asset is gone")
		}
		if err != nil {
			return nil, err
		}
		if strings.Contains(b.Name, "/") {
			continue // only the root of the container belongs to the asset
		}
		if len(d.names) == maxListed {
			break
		}
		d.names = append(d.names, b.Name)
		d.blobs[b.Name] = b
		if low := strings.ToLower(b.Name); d.folded[low] == nil {
			d.folded[low] = b
		}
	}
	return d, nil
}

func (d *folder) exact(name string) *ams.Blob { return d.blobs[name] }

// find returns the blob of that name, else the first one that differs in case.
func (d *folder) find(name string) *ams.Blob {
	if b := d.blobs[name]; b != nil {
		return b
	}
	return d.folded[strings.ToLower(name)]
}

// source finds the file that the src of a stream means, in the ways in which
// the packager looks for it.
func (d *folder) source(src string) *ams.Blob {
	for _, s := range []string{src, strings.TrimPrefix(src, "./")} {
		if b := d.blobs[s]; b != nil {
			return b
		}
	}
	if u, err := url.PathUnescape(src); err == nil {
		if b := d.blobs[u]; b != nil {
			return b
		}
	}
	return d.folded[strings.ToLower(src)]
}
