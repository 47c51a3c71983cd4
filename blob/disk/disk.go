package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
)

const (
	blocksDir  = ".blocks"
	tmpDir     = ".tmp"
	orphansDir = ".orphans"
)

// A Driver keeps files in one folder. It implements blob.Driver.
type Driver struct {
	dir     string
	fs      fileSystem
	durable sync.Map // directories whose own entries are on stable storage
}

// New returns the driver of a folder, which it makes if needed.
func New(dir string) (*Driver, error) { return newDriver(dir, localFiles{}) }

func newDriver(dir string, files fileSystem) (*Driver, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	d := &Driver{dir: dir, fs: files}
	for _, sub := range []string{blocksDir, tmpDir} {
		if err := d.fs.MkdirAll(filepath.Join(dir, sub)); err != nil {
			return nil, err
		}
	}
	// What is in dir, syncEntry makes durable.
	return d, d.fs.Sync(filepath.Dir(dir))
}

// Create implements blob.Driver.
func (d *Driver) Create(_ context.Context, place blob.Place) (blob.Upload, error) {
	if !place.Staged {
		f, err := d.create(filepath.Join(tmpDir, random()))
		if err != nil {
			return nil, clean(err)
		}
		return &upload{d: d, f: f, place: place}, nil
	}
	// Nobody reads a block by its name, so it starts out where it stays.
	file := filepath.Join(blocksDir, place.Account, place.Container, random())
	f, err := d.create(file)
	if err != nil {
		return nil, clean(err)
	}
	return &upload{d: d, f: f, file: file}, nil
}

// create makes a new file, and the directories above it.
func (d *Driver) create(name string) (file, error) {
	path := filepath.Join(d.dir, name)
	f, err := d.fs.Create(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if err := d.fs.MkdirAll(filepath.Dir(path)); err != nil {
		return nil, err
	}
	return d.fs.Create(path)
}

// syncEntry makes the entry of file durable, and those of the directories
// above it. That another upload made a directory does not mean that it has
// synced it already.
func (d *Driver) syncEntry(file string) error {
	dir := filepath.Dir(file)
	if err := d.fs.Sync(filepath.Join(d.dir, dir)); err != nil {
		return err
	}
	if _, ok := d.durable.Load(dir); ok {
		return nil
	}
	for at := dir; at != "."; {
		at = filepath.Dir(at)
		if err := d.fs.Sync(filepath.Join(d.dir, at)); err != nil {
			return err
		}
	}
	d.durable.Store(dir, true)
	return nil
}

// reserve makes an empty file under the most readable name that is free.
// Renaming over it is the one atomic move that every file system has.
func (d *Driver) reserve(place blob.Place) (string, error) {
	name := fileName(place.Blob)
	for try := 0; ; try++ {
		file := filepath.Join(place.Account, place.Container, name)
		if try > 0 {
			file = filepath.Join(place.Account, place.Container, version(name, try))
		}
		f, err := d.create(file)
		switch {
		case err == nil:
			return file, f.Close()
		case !errors.Is(err, fs.ErrExist) || try > 20:
			return "", err
		}
	}
}

// move renames path, durable already, to the place, durably.
func (d *Driver) move(path string, place blob.Place) (string, error) {
	file, err := d.reserve(place)
	if err != nil {
		return "", err
	}
	to := filepath.Join(d.dir, file)
	if err = d.fs.Rename(path, to); err == nil {
		err = d.syncEntry(file)
	}
	if err != nil {
		d.fs.Remove(to)
		return "", err
	}
	return file, nil
}

// Adopt implements blob.Driver.
func (d *Driver) Adopt(ctx context.Context, localPath string, place blob.Place) (string, error) {
	f, err := os.Open(localPath)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a regular file", localPath)
	}
	if err := d.fs.Sync(localPath); err != nil {
		return "", clean(err)
	}
	if err := f.Chmod(0o600); err != nil {
		return "", err
	}
	file, err := d.move(localPath, place)
	if !errors.Is(err, syscall.EXDEV) {
		return file, clean(err)
	}
	up, err := d.Create(ctx, place) // another file system: copy
	if err != nil {
		return "", err
	}
	defer up.Abort()
	if _, err := io.Copy(up.(*upload).f, f); err != nil {
		return "", clean(err)
	}
	if file, err = up.Commit(ctx); err != nil {
		return "", err
	}
	return file, d.fs.Remove(localPath)
}

// Link implements blob.Driver.
func (d *Driver) Link(_ context.Context, file string, size int64, place blob.Place) (string, error) {
	from := filepath.Join(d.dir, file)
	info, err := os.Lstat(from)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Size() != size {
		return "", errors.ErrUnsupported
	}
	tmp := filepath.Join(d.dir, tmpDir, random())
	if err := d.fs.Link(from, tmp); err != nil {
		if errors.Is(err, syscall.ENOSPC) {
			return "", clean(err)
		}
		return "", errors.ErrUnsupported // exFAT and others have no links
	}
	// Renaming one link over another does nothing (rename(2)); the reserved
	// file is a different one, so this moves.
	to, err := d.move(tmp, place)
	if err != nil {
		d.fs.Remove(tmp)
		return "", clean(err)
	}
	return to, nil
}

// Open implements blob.Driver. What somebody put in the place of a file is not
// followed, and not waited for.
func (d *Driver) Open(_ context.Context, file string) (blob.Object, error) {
	f, err := os.OpenFile(filepath.Join(d.dir, file), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		f.Close()
		return nil, fmt.Errorf("%s is not a regular file", f.Name())
	}
	return f, nil
}

// Remove implements blob.Driver.
func (d *Driver) Remove(_ context.Context, file string) error {
	if err := d.fs.Remove(filepath.Join(d.dir, file)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// LocalPath implements blob.Driver.
func (d *Driver) LocalPath(file string) (string, bool) { return filepath.Join(d.dir, file), true }

// An upload is a file being written: one in .tmp that will move to place, or,
// with file set, a staged block where it stays.
type upload struct {
	d     *Driver
	f     file
	file  string
	place blob.Place
	done  bool
}

func (u *upload) Write(p []byte) (int, error) {
	n, err := u.f.Write(p)
	return n, clean(err)
}

func (u *upload) Commit(context.Context) (string, error) {
	file, err := u.commit()
	return file, clean(err)
}

func (u *upload) commit() (string, error) {
	if err := u.f.Sync(); err != nil {
		return "", err
	}
	if err := u.f.Close(); err != nil {
		return "", err
	}
	file := u.file
	var err error
	if file != "" {
		err = u.d.syncEntry(file)
	} else {
		file, err = u.d.move(u.f.Name(), u.place)
	}
	if err != nil {
		return "", err
	}
	u.done = true
	return file, nil
}

func (u *upload) Abort() {
	if u.done {
		return
	}
	u.done = true
	u.f.Close()
	u.d.fs.Remove(u.f.Name())
}

// clean turns a full disk or quota into the error that clients see.
func clean(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("%w (%v)", ams.ErrStorageFull, err)
	}
	return err
}
