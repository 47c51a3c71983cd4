package disk

import (
	"io"
	"os"
)

// A fileSystem is what the driver writes through: a test stands in between to
// lose what was not synced.
type fileSystem interface {
	Create(path string) (file, error) // fails when path exists
	MkdirAll(path string) error
	Sync(path string) error // of a file or a directory
	Rename(from, to string) error
	Link(from, to string) error
	Remove(path string) error
}

// A file is one that is being written.
type file interface {
	io.Writer
	Name() string
	Sync() error
	Close() error
}

// localFiles is the file system of the operating system.
type localFiles struct{}

func (localFiles) Create(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err // not a nil *os.File in an interface
	}
	return f, nil
}

func (localFiles) Sync(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

func (localFiles) MkdirAll(path string) error   { return os.MkdirAll(path, 0o700) }
func (localFiles) Rename(from, to string) error { return os.Rename(from, to) }
func (localFiles) Link(from, to string) error   { return os.Link(from, to) }
func (localFiles) Remove(path string) error     { return os.Remove(path) }
