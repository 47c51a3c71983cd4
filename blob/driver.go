package blob

import (
	"context"
	"io"
)

// A Driver keeps files that are written once. It fails with
// ams.ErrStorageFull when there is no room, and with an error that is
// fs.ErrNotExist for a file that is not there.
type Driver interface {
	// Create starts a file that will hold (part of) the place's blob.
	Create(ctx context.Context, place Place) (Upload, error)
	// Adopt moves the finished local file in as the place's blob, durably.
	Adopt(ctx context.Context, localPath string, place Place) (file string, err error)
	// Link gives a file of exactly size bytes a second, durable name, without
	// copying. It returns errors.ErrUnsupported when the driver cannot, or the
	// file has another size.
	Link(ctx context.Context, file string, size int64, place Place) (string, error)
	// Open opens a file for reading. An *os.File is sent by sendfile.
	Open(ctx context.Context, file string) (Object, error)
	// Remove deletes a file. A missing file is no error.
	Remove(ctx context.Context, file string) error
	// LocalPath is the path of file in the local file system, if it has one.
	LocalPath(file string) (path string, ok bool)
	// Recover removes or sets aside what a previous process left behind and
	// no record names. Nothing else may use the driver meanwhile.
	Recover(ctx context.Context, named func(file string) bool) (Recovered, error)
	// Strays visits the files that Recover would remove or set aside.
	Strays(ctx context.Context, named func(file string) bool, visit func(file string)) error
}

// A Place says what a file will hold, so that a driver can give it a name
// that people recognise.
type Place struct {
	Account, Container, Blob string
	Staged                   bool // one block of the blob: the name is the driver's own
}

// An Upload is a file being written. Exactly one of Commit and Abort ends it;
// Abort after Commit does nothing.
type Upload interface {
	io.Writer
	// Commit makes the bytes durable and returns the file's name.
	Commit(ctx context.Context) (file string, err error)
	Abort()
}

// An Object is an open file.
type Object interface {
	io.ReaderAt
	io.Closer
}

// Recovered tells what Recover found.
type Recovered struct {
	Removed int // unfinished uploads and blocks that nothing names
	Aside   int // whole files that nothing names, kept for a week
}
