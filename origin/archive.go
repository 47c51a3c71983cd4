package origin

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/mp4"
)

// A live archive keeps each track as a folder of blobs: the server manifest names
// the folder, as a src without an extension, which holds the init segment as
// "header" and each fragment under the time at which it starts. The packager gets
// it as one file: header and fragments one after the other.

// maxPieces bounds the fragments of a track: 25 hours, the longest archive of
// AMS, in pieces of 1 s.
const maxPieces = 100_000

// A piece is a blob of a folder.
type piece struct {
	name, etag string
	end        int64  // of its bytes in the whole
	start      uint64 // by its name; 0 for the header
}

// pieces finds the blobs of a folder, nil if there is no such folder.
func (t *titles) pieces(ctx context.Context, key title, folder string) ([]piece, error) {
	if folder == "" || path.Ext(folder) != "" || strings.ContainsAny(folder, "/\\") {
		return nil, nil
	}
	type fragment struct {
		*ams.Blob
		start uint64
	}
	var header *ams.Blob
	var list []fragment
	for b, err := range t.blobs.All(ctx, key.account, key.container, folder+"/") {
		if err != nil {
			return nil, err
		}
		name := b.Name[len(folder)+1:]
		if strings.EqualFold(name, "header") {
			header = b
		} else if start, err := strconv.ParseUint(name, 10, 64); err == nil {
			if len(list) == maxPieces {
				return nil, errorf(packager.InputFormatNotSupported, "%s has more than %d fragments", folder, maxPieces)
			}
			list = append(list, fragment{b, start})
		}
	}
	switch {
	case header == nil && len(list) == 0:
		return nil, nil
	case header == nil:
		return nil, errorf(packager.StorageResourceNotFound, "the archive %s has fragments, but no header", folder)
	case len(list) == 0:
		return nil, errorf(packager.MetadataNotFound, "the archive %s has no fragments", folder)
	}
	slices.SortFunc(list, func(a, b fragment) int { return cmp.Compare(a.start, b.start) })
	out := []piece{{header.Name, header.ETag, header.Size, 0}}
	for _, f := range list {
		out = append(out, piece{f.Name, f.ETag, out[len(out)-1].end + f.Size, f.start})
	}
	return out, nil
}

// folder makes a source of a folder, and a record that stands for all its blobs.
// It is nil if there is no such folder.
func (t *titles) folder(ctx context.Context, key title, name string) (source, *ams.Blob, error) {
	list, err := t.pieces(ctx, key, name)
	if err != nil || list == nil {
		return source{}, nil, err
	}
	sum := sha256.New()
	for _, p := range list {
		fmt.Fprintf(sum, "%s\n%s\n%d\n", p.name, p.etag, p.end)
	}
	b := &ams.Blob{
		StorageAccount: key.account, Container: key.container, Name: name,
		ETag: fmt.Sprintf("%x", sum.Sum(nil)[:16]), Size: list[len(list)-1].end,
	}
	return source{version: version{b.StorageAccount, b.Container, b.Name, b.ETag}, size: b.Size, pieces: list}, b, nil
}

// recorded is the fragments of a folder, nil for a file.
func (s source) recorded() []mp4.Piece {
	if s.pieces == nil {
		return nil
	}
	list := make([]mp4.Piece, len(s.pieces)-1)
	for i := range list {
		list[i] = mp4.Piece{Offset: s.pieces[i].end, Name: s.pieces[i+1].start}
	}
	return list
}

// A medium is what segments are made of: a file, or a folder as one.
type medium interface {
	io.ReaderAt
	WriteRange(w io.Writer, off, n int64) (int64, error)
	release()
}

// openSource opens a source; the caller releases it.
func (o *openFiles) openSource(ctx context.Context, s source) (medium, error) {
	if s.pieces != nil {
		return &joined{files: o, ctx: ctx, source: s}, nil
	}
	f, err := o.acquire(ctx, s.version)
	if err != nil {
		return nil, err
	}
	return held{f, o}, nil
}

// held is an open file that knows whom to give it back to.
type held struct {
	*openFile
	files *openFiles
}

func (h held) release() { h.files.release(h.openFile) }

// joined reads the blobs of a folder as one file, with one of them open at a time.
// It is for one goroutine.
type joined struct {
	source
	files *openFiles
	ctx   context.Context
	at    int       // the piece that is open
	open  *openFile // nil: none
}

// piece opens the piece that has the byte at off, and returns where that byte lies
// in it and how many bytes are left of it.
func (j *joined) piece(off int64) (in, left int64, err error) {
	i, found := slices.BinarySearchFunc(j.pieces, off, func(p piece, off int64) int { return cmp.Compare(p.end, off) })
	if found {
		i++ // it is the first byte behind that piece
	}
	if off < 0 || i >= len(j.pieces) {
		return 0, 0, io.EOF
	}
	if j.open == nil || j.at != i {
		j.release()
		p := j.pieces[i]
		f, err := j.files.acquire(j.ctx, version{j.account, j.container, p.name, p.etag})
		if err != nil {
			return 0, 0, err
		}
		j.open, j.at = f, i
	}
	start := int64(0)
	if i > 0 {
		start = j.pieces[i-1].end
	}
	return off - start, j.pieces[i].end - off, nil
}

// ready opens every piece of a range once, so that one that is gone is known
// before an answer begins.
func (j *joined) ready(off, n int64) error {
	for n > 0 {
		_, left, err := j.piece(off)
		if err != nil {
			return err
		}
		off, n = off+left, n-left
	}
	return nil
}

func (j *joined) ReadAt(b []byte, off int64) (n int, err error) {
	for len(b) > 0 {
		in, left, err := j.piece(off)
		if err != nil {
			return n, err
		}
		k, err := j.open.ReadAt(b[:min(int64(len(b)), left)], in)
		n += k
		if err != nil && !(errors.Is(err, io.EOF) && int64(k) == min(int64(len(b)), left)) {
			return n, err
		}
		b, off = b[k:], off+int64(k)
	}
	return n, nil
}

func (j *joined) WriteRange(w io.Writer, off, n int64) (sent int64, err error) {
	for n > 0 {
		in, left, err := j.piece(off)
		if err != nil {
			return sent, err
		}
		m := min(n, left)
		k, err := j.open.WriteRange(w, in, m)
		sent += k
		if err != nil || k < m {
			return sent, err
		}
		off, n = off+m, n-m
	}
	return sent, nil
}

func (j *joined) release() {
	if j.open != nil {
		j.files.release(j.open)
		j.open = nil
	}
}
