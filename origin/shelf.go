package origin

import (
	"bufio"
	"cmp"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// A shelf is a folder of files that were made once and can be made again: those
// used longest ago go when there are too many.
type shelf struct {
	dir string // "": nothing is kept
	max int64  // bytes in dir

	mu    sync.Mutex
	bytes int64 // in dir; -1: not counted yet
}

func newShelf(dir string, max int64) *shelf { return &shelf{dir: dir, max: max, bytes: -1} }

// path is where a file of the shelf lies.
func (s *shelf) path(name string) string { return filepath.Join(s.dir, name) }

// used notes that a file is in use.
func (s *shelf) used(path string) {
	now := time.Now()
	os.Chtimes(path, now, now)
}

// keep puts what write writes, size bytes, under path, so that it is there whole
// or not at all. A file lost with the power is made again, so nothing is forced
// to the disk.
func (s *shelf) keep(path string, size int64, write func(io.Writer) error) error {
	if size > s.max {
		return nil
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	if err := s.makeRoom(size); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(s.dir, "new-*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	w := bufio.NewWriterSize(tmp, 256<<10)
	err = cmp.Or(write(w), w.Flush(), tmp.Close())
	if err != nil {
		tmp.Close()
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes += size
	return nil
}

// makeRoom removes the files used longest ago until n more bytes fit.
func (s *shelf) makeRoom(n int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bytes >= 0 && s.bytes+n <= s.max {
		return nil
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	var kept []fs.FileInfo
	bytes := int64(0)
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		if strings.HasSuffix(e.Name(), ".tmp") {
			if s.bytes < 0 { // of a process that was killed
				os.Remove(filepath.Join(s.dir, e.Name()))
			}
			continue
		}
		kept = append(kept, info)
		bytes += info.Size()
	}
	s.bytes = bytes
	slices.SortFunc(kept, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, info := range kept {
		if s.bytes+n <= s.max {
			break
		}
		if err := os.Remove(filepath.Join(s.dir, info.Name())); err != nil {
			return err
		}
		s.bytes -= info.Size()
	}
	return nil
}
