package disk

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// A Reserve is room that is kept on a disk for the day when it is full: the
// record of a deletion needs some before it can free any. It implements
// blob.Room, for one caller at a time.
type Reserve struct {
	path string
	size int64
}

// NewReserve is a reserve of size bytes in a file, which Keep makes.
func NewReserve(path string, size int64) *Reserve { return &Reserve{path, size} }

// Keep implements blob.Room.
func (r *Reserve) Keep() error {
	f, err := os.OpenFile(r.path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return clean(err)
	}
	err = syscall.Fallocate(int(f.Fd()), 0, 0, r.size)
	if errors.Is(err, syscall.EOPNOTSUPP) {
		_, err = f.Write(make([]byte, r.size))
	}
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(r.path) // a part would be of no use, and others need it
	}
	return clean(err)
}

// Release implements blob.Room.
func (r *Reserve) Release() bool {
	err := os.Remove(r.path)
	return err == nil || !errors.Is(err, fs.ErrNotExist) && os.Truncate(r.path, 0) == nil
}
