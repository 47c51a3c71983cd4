package blob

import (
	"context"
	"crypto/cipher"
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/openams/openams/ams"
)

// Stat describes a blob without its block list.
func (s *Store) Stat(ctx context.Context, account, container, name string) (*ams.Blob, error) {
	return s.StatSnapshot(ctx, account, container, name, "")
}

// StatSnapshot is Stat for a snapshot, or with "" for the blob itself.
func (s *Store) StatSnapshot(ctx context.Context, account, container, name, snapshot string) (*ams.Blob, error) {
	if snapshot != "" {
		return s.records.Snapshot(ctx, account, container, name, snapshot)
	}
	b, err := s.records.Blob(ctx, account, container, name)
	if err == nil {
		s.progress(b)
	}
	return b, err
}

// A Reader reads one version of a blob, however the blob changes meanwhile.
// Its methods may be called from several goroutines; Close comes last.
type Reader struct {
	store  *Store
	blob   *ams.Blob
	pieces pieces
	cipher func(off int64) cipher.Stream // nil: none

	mu   sync.Mutex
	at   int    // the extent that file has open
	file Object // nil: none
}

// Open opens the present version of a blob.
func (s *Store) Open(ctx context.Context, account, container, name string) (*Reader, error) {
	return s.OpenSnapshot(ctx, account, container, name, "")
}

// OpenSnapshot is Open for a snapshot, or with "" for the blob itself.
func (s *Store) OpenSnapshot(ctx context.Context, account, container, name, snapshot string) (*Reader, error) {
	for {
		seen := s.seen()
		b, err := s.StatSnapshot(ctx, account, container, name, snapshot)
		if err != nil {
			return nil, err
		}
		if !s.pin(b.Extents, seen) {
			continue // a file was removed after the record was read: it may be ours
		}
		r := &Reader{store: s, blob: b, pieces: newPieces(b.Extents)}
		if len(b.Extents) > 0 {
			if r.file, err = s.driver.Open(ctx, b.Extents[0].File); err != nil {
				s.unpin(ctx, b.Extents)
				if errors.Is(err, fs.ErrNotExist) {
					s.log.Error("blob: the bytes of a blob are missing", "account", account, "container", container, "blob", name, "file", b.Extents[0].File)
				}
				return nil, err
			}
		}
		return r, nil
	}
}

// OpenLocal is Open for readers that need a path: it first makes the bytes one
// file, where they are still in pieces.
func (s *Store) OpenLocal(ctx context.Context, account, container, name string) (*Reader, error) {
	for {
		r, err := s.Open(ctx, account, container, name)
		if err != nil {
			return nil, err
		}
		if r.blob.OneFile() {
			return r, nil
		}
		r.Close()
		if err := s.join(ctx, account, container, name); err != nil {
			return nil, err
		}
	}
}

// Blob describes the version that r reads.
func (r *Reader) Blob() *ams.Blob { return r.blob }

// Size is the blob's length in bytes.
func (r *Reader) Size() int64 { return r.blob.Size }

// Decrypt makes r read what the blob's bytes are in the clear. stream begins at
// any byte; version tells what it does from other ways to read the same bytes,
// and becomes a part of the ETag. It is called before any other method.
func (r *Reader) Decrypt(stream func(off int64) cipher.Stream, version string) {
	b := *r.blob
	b.ETag += version
	r.blob, r.cipher = &b, stream
}

// Decrypts reports whether Decrypt was called.
func (r *Reader) Decrypts() bool { return r.cipher != nil }

// LocalPath is the path of an ordinary file that is the blob. It is valid
// until Close. ok is false for a driver without files, while the blob is in
// pieces (see OpenLocal), and if r decrypts.
func (r *Reader) LocalPath() (path string, ok bool) {
	if !r.blob.OneFile() || r.cipher != nil {
		return "", false
	}
	return r.store.driver.LocalPath(r.blob.Extents[0].File)
}

// ReadAt implements io.ReaderAt.
func (r *Reader) ReadAt(p []byte, off int64) (n int, err error) {
	n, err = r.readAt(p, off)
	if r.cipher != nil && n > 0 {
		r.cipher(off).XORKeyStream(p[:n], p[:n])
	}
	return n, err
}

func (r *Reader) readAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("blob: negative offset")
	}
	for len(p) > 0 && off < r.blob.Size {
		k, err := r.readPiece(p, off)
		n += k
		if err != nil {
			return n, err
		}
		p, off = p[k:], off+int64(k)
	}
	if len(p) > 0 {
		return n, io.EOF
	}
	return n, nil
}

// readPiece reads from the one extent at off.
func (r *Reader) readPiece(p []byte, off int64) (int, error) {
	i := r.pieces.index(off)
	x, left := r.pieces.extents[i], r.pieces.ends[i]-off
	p = p[:min(int64(len(p)), left)]
	at := x.Offset + x.Length - left
	if len(r.pieces.extents) == 1 {
		return full(r.file.ReadAt(p, at))
	}
	// A blob in pieces is read with one piece open at a time: it will be one
	// file soon.
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at != i || r.file == nil {
		f, err := r.store.driver.Open(context.Background(), x.File)
		if err != nil {
			return 0, err
		}
		if r.file != nil {
			r.file.Close()
		}
		r.at, r.file = i, f
	}
	return full(r.file.ReadAt(p, at))
}

// full turns the end of a file that ought to be longer into an error.
func full(n int, err error) (int, error) {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// WriteRange writes up to n bytes from off to w, by sendfile where the driver
// has files and w is a connection.
func (r *Reader) WriteRange(w io.Writer, off, n int64) (written int64, err error) {
	if r.cipher != nil {
		return r.writeDecrypted(w, off, n)
	}
	for _, x := range r.pieces.slice(off, n) {
		k, err := r.writeExtent(w, x)
		written += k
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// writeDecrypted is WriteRange by way of memory.
func (r *Reader) writeDecrypted(w io.Writer, off, n int64) (written int64, err error) {
	n = min(n, r.blob.Size-off)
	if off < 0 || n <= 0 {
		return 0, nil
	}
	stream, buf := r.cipher(off), make([]byte, min(n, pieceSize))
	for written < n {
		p := buf[:min(n-written, int64(len(buf)))]
		k, err := r.readAt(p, off+written)
		if k < len(p) {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return written, err
		}
		stream.XORKeyStream(p, p)
		k, err = w.Write(p)
		written += int64(k)
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

func (r *Reader) writeExtent(w io.Writer, x ams.Extent) (int64, error) {
	var obj Object
	if len(r.pieces.extents) == 1 && r.mu.TryLock() {
		defer r.mu.Unlock() // r.file's position is ours
		obj = r.file
	} else {
		o, err := r.store.driver.Open(context.Background(), x.File)
		if err != nil {
			return 0, err
		}
		defer o.Close()
		obj = o
	}
	var src io.Reader
	if f, ok := obj.(*os.File); ok {
		if _, err := f.Seek(x.Offset, io.SeekStart); err != nil {
			return 0, err
		}
		src = &io.LimitedReader{R: f, N: x.Length}
	} else {
		src = io.NewSectionReader(obj, x.Offset, x.Length)
	}
	n, err := io.Copy(w, src)
	if err == nil && n < x.Length {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Close ends the use of r's files.
func (r *Reader) Close() error {
	var err error
	if r.file != nil {
		err = r.file.Close()
		r.file = nil
	}
	r.store.unpin(context.Background(), r.blob.Extents)
	return err
}
