package identity

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// A list is a private file of JSON records that several processes change: a
// server has it open while an admin command adds to it. Every change is made
// under a lock that all of them take, and replaces the file whole; so what
// stands under the name is always complete, and another file than before.
type list[T any] struct {
	path string

	mu   sync.Mutex
	seen os.FileInfo // of the file that all was read from; nil: none yet
	all  []T         // never changed in place
}

// openList makes an empty list if there is no file, and reads it.
func openList[T any](dir, name string) (*list[T], error) {
	if _, err := Once(dir, name, func() ([]byte, error) { return []byte("[]"), nil }); err != nil {
		return nil, err
	}
	l := &list[T]{path: filepath.Join(dir, name)}
	_, err := l.read()
	return l, err
}

// read returns the records as they are now. They are not to be changed.
func (l *list[T]) read() ([]T, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.load()
}

func (l *list[T]) load() ([]T, error) {
	st, err := os.Stat(l.path)
	if errors.Is(err, fs.ErrNotExist) && l.seen != nil {
		return l.all, nil // nobody changed it: it went with its folder, and comes back with it
	}
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	if l.seen != nil && os.SameFile(st, l.seen) && st.ModTime().Equal(l.seen.ModTime()) && st.Size() == l.seen.Size() {
		return l.all, nil
	}
	// If the file is replaced after Stat, the next load reads it once more.
	b, err := readPrivate(l.path)
	if err != nil {
		return nil, err
	}
	var all []T
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, fmt.Errorf("identity: %s: %w", l.path, err)
	}
	l.seen, l.all = st, all
	return all, nil
}

// update replaces the records by what change makes of them. change must not
// write into the slice that it gets.
func (l *list[T]) update(change func([]T) ([]T, error)) (err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// The file itself is replaced, so its lock is another one, which stays.
	lock, err := os.OpenFile(l.path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }() // which unlocks
	if err := giveTo(lock, filepath.Dir(l.path)); err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("identity: lock %s: %w", lock.Name(), err)
	}
	all, err := l.load()
	if err != nil {
		return err
	}
	if all, err = change(all); err != nil {
		return err
	}
	b, err := json.MarshalIndent(all, "", "\t")
	if err != nil {
		return err
	}
	if err := writePrivate(l.path, b, os.Rename); err != nil {
		return err
	}
	_, err = l.load()
	return err
}
