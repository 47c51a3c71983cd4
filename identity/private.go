package identity

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Once returns the content of the private file name in the folder dir. If
// there is no such file, it is made of what produce returns: mode 0600, whole
// or not at all, and on disk before Once returns. The folder is made too, with
// mode 0700.
func Once(dir, name string, produce func() ([]byte, error)) ([]byte, error) {
	path := filepath.Join(dir, name)
	b, err := readPrivate(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return b, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	if b, err = produce(); err != nil {
		return nil, fmt.Errorf("identity: make %s: %w", path, err)
	}
	// A link fails where a rename would replace: of two at once, one wins and
	// both return its content.
	err = writePrivate(path, b, func(from, to string) error {
		defer os.Remove(from)
		return os.Link(from, to)
	})
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return readPrivate(path)
}

func readPrivate(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	if st, err := os.Stat(path); err == nil && st.Mode().Perm()&0o077 != 0 {
		// Restored from a backup, say. Nobody but the owner needs to read it.
		if err := os.Chmod(path, 0o600); err != nil {
			return nil, fmt.Errorf("identity: others can read %s: %w", path, err)
		}
	}
	return b, nil
}

// writePrivate brings b to path by way of a temporary file, which install
// moves there.
func writePrivate(path string, b []byte, install func(from, to string) error) error {
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	_, err = tmp.Write(b)
	err = errors.Join(err, giveTo(tmp, dir), tmp.Sync(), tmp.Close())
	if err == nil {
		err = install(tmp.Name(), path)
	}
	if err != nil {
		os.Remove(tmp.Name())
		return fmt.Errorf("identity: write %s: %w", path, err)
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("identity: sync %s: %w", dir, err)
	}
	return nil
}

// giveTo makes the owner of the folder dir that of f, if we are root: a server
// of another user must be able to read what an administrator changes.
func giveTo(f *os.File, dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	st, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if owner, ok := st.Sys().(*syscall.Stat_t); ok {
		return f.Chown(int(owner.Uid), int(owner.Gid))
	}
	return nil
}
