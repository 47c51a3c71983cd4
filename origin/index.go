package origin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/mp4"
)

const (
	// maxIndex bounds an index that is read back: 2 hours of video and audio
	// need about 2 MB.
	maxIndex = 64 << 20
	// indexMagic begins our own index files. AMS wrote others under the same
	// extension, which are of no use here.
	indexMagic  = "oamsidx"
	indexSuffix = ".mpi"
)

// indexes finds or builds the index of an MP4: in a blob beside it, where the
// encoder leaves it, on a shelf, where this package does, or from the
// file itself.
type indexes struct {
	blobs Blobs
	files *openFiles
	log   *slog.Logger
	shelf *shelf
	slots chan struct{} // builds at the same time
}

// load returns the index of s and its length in bytes, nals with the maps of NAL
// units. b is its record; beside finds the other blobs of the container, nil where there is none.
func (x *indexes) load(ctx context.Context, s source, b *ams.Blob, beside func(name string) *ams.Blob, nals bool) (*mp4.Index, int64, error) {
	if nals {
		return x.loadMapped(ctx, s, b, beside)
	}
	stem := b.Name[:len(b.Name)-len(filepath.Ext(b.Name))]
	for _, name := range []string{b.Name + indexSuffix, stem + indexSuffix} {
		if i := beside(name); i != nil {
			if index, size := x.fromBlob(ctx, i, b.Size); index != nil {
				return index, size, nil
			}
		}
	}
	path := ""
	if x.shelf.dir != "" && !s.grows {
		path = x.shelf.path(s.key(".idx"))
		if index, size := x.fromFile(path, b.Size); index != nil {
			return index, size, nil
		}
	}
	return x.build(ctx, s, b, path)
}

// key names what is made of one version of a file.
func (v version) key(suffix string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s\n%s", v.account, v.container, v.name, v.etag))
	return fmt.Sprintf("%x%s", sum[:16], suffix)
}

// mapped reports whether an index has all maps that it can have.
func mapped(index *mp4.Index) bool {
	for _, t := range index.Tracks {
		if t.CanHaveNALs() && !t.HasNALs() && t.NumSamples() > 0 {
			return false
		}
	}
	return true
}

// loadMapped is load with maps of NAL units. They are made when a file is first
// encrypted in part, which reads much of it, and are kept beside the indexes.
func (x *indexes) loadMapped(ctx context.Context, s source, b *ams.Blob, beside func(name string) *ams.Blob) (*mp4.Index, int64, error) {
	path := ""
	if x.shelf.dir != "" && !s.grows {
		path = x.shelf.path(s.key(".nal"))
		if index, size := x.fromFile(path, b.Size); index != nil && mapped(index) {
			return index, size, nil
		}
	}
	index, size, err := x.load(ctx, s, b, beside, false)
	if err != nil || mapped(index) {
		return index, size, err
	}
	select {
	case x.slots <- struct{}{}:
		defer func() { <-x.slots }()
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
	f, err := x.files.openSource(ctx, s)
	if err != nil {
		return nil, 0, err
	}
	defer f.release()
	start := time.Now()
	if index, err = mp4.AddNALs(index, f); err != nil {
		if e, ok := errors.AsType[*mp4.Error](err); ok {
			return nil, 0, errorf(packager.InputFormatNotSupported, "%s: %s", b.Name, strings.TrimPrefix(e.Error(), "mp4: "))
		}
		return nil, 0, fmt.Errorf("NAL units of %s: %w", b.Name, err)
	}
	data, err := index.AppendBinary(nil)
	if err != nil {
		return nil, 0, fmt.Errorf("index of %s: %w", b.Name, err)
	}
	x.log.Info("origin: the NAL units of a file were mapped for encryption", "container", b.Container, "blob", b.Name, "bytes", len(data), "took", time.Since(start))
	if path != "" {
		if err := x.shelf.keep(path, int64(len(data)), writing(data)); err != nil {
			x.log.Warn("origin: an index cannot be kept", "err", err)
		}
	}
	return index, int64(len(data)), nil
}

// fromBlob reads the encoder's index, or returns nil.
func (x *indexes) fromBlob(ctx context.Context, b *ams.Blob, size int64) (*mp4.Index, int64) {
	if b.Size > maxIndex || b.Size < int64(len(indexMagic)) {
		return nil, 0
	}
	r, err := x.blobs.Open(ctx, b.StorageAccount, b.Container, b.Name)
	if err != nil {
		return nil, 0
	}
	defer r.Close()
	magic := make([]byte, len(indexMagic))
	if _, err := r.ReadAt(magic, 0); err != nil || string(magic) != indexMagic {
		return nil, 0
	}
	data := make([]byte, min(r.Size(), maxIndex))
	if _, err := r.ReadAt(data, 0); err != nil && err != io.EOF {
		return nil, 0
	}
	return parseIndex(data, size)
}

// fromFile reads an index that was kept, or returns nil.
func (x *indexes) fromFile(path string, size int64) (*mp4.Index, int64) {
	if info, err := os.Stat(path); err != nil || info.Size() > maxIndex {
		return nil, 0
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, 0
	}
	index, n := parseIndex(data, size)
	if index == nil {
		x.log.Warn("origin: a kept index is damaged and will be built again", "file", path)
		return nil, 0
	}
	x.shelf.used(path)
	return index, n
}

// parseIndex reads an index of a file of the given size.
func parseIndex(data []byte, size int64) (*mp4.Index, int64) {
	if !bytes.HasPrefix(data, []byte(indexMagic)) {
		return nil, 0
	}
	index, err := mp4.ParseIndex(data)
	if err != nil || index.Size != size {
		return nil, 0
	}
	return index, int64(len(data))
}

// build reads the file's own tables. The result is kept under path, if any.
func (x *indexes) build(ctx context.Context, s source, b *ams.Blob, path string) (*mp4.Index, int64, error) {
	select {
	case x.slots <- struct{}{}:
		defer func() { <-x.slots }()
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
	f, err := x.files.openSource(ctx, s)
	if err != nil {
		return nil, 0, err
	}
	defer f.release()
	start := time.Now()
	index, err := mp4.BuildIndex(f, s.size)
	if err != nil {
		if e, ok := errors.AsType[*mp4.Error](err); ok {
			return nil, 0, errorf(packager.InputFormatNotSupported, "%s: %s", b.Name, strings.TrimPrefix(e.Error(), "mp4: "))
		}
		return nil, 0, fmt.Errorf("index of %s: %w", b.Name, err)
	}
	data, err := index.AppendBinary(nil)
	if err != nil {
		return nil, 0, fmt.Errorf("index of %s: %w", b.Name, err)
	}
	x.log.Info("origin: a file without an index was indexed", "container", b.Container, "blob", b.Name, "bytes", len(data), "took", time.Since(start))
	if path != "" {
		if err := x.shelf.keep(path, int64(len(data)), writing(data)); err != nil {
			x.log.Warn("origin: an index cannot be kept", "err", err)
		}
	}
	return index, int64(len(data)), nil
}

func writing(data []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}
}
