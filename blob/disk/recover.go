package disk

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/openams/openams/blob"
)

// keepOrphans is how long a whole file that no record named is kept: it is
// mostly an upload that was never acknowledged, but after a database was lost
// or put back it is all there is.
const keepOrphans = 7 * 24 * time.Hour

// Recover implements blob.Driver.
func (d *Driver) Recover(ctx context.Context, named func(file string) bool) (found blob.Recovered, err error) {
	today := time.Now().UTC()
	if err := d.dropOrphans(today); err != nil {
		return found, err
	}
	dirs, err := d.strays(ctx, named, func(path, file string, e fs.DirEntry) error {
		if unfinished(file) || empty(e) {
			found.Removed++
			return os.Remove(path)
		}
		found.Aside++
		aside := filepath.Join(d.dir, orphansDir, today.Format(time.DateOnly), file)
		if err := os.MkdirAll(filepath.Dir(aside), 0o700); err != nil {
			return err
		}
		if _, err := os.Lstat(aside); err == nil {
			aside = filepath.Join(filepath.Dir(aside), version(filepath.Base(aside), 8))
		}
		return os.Rename(path, aside)
	})
	// Deepest first; a directory with something in it stays.
	for i := len(dirs) - 1; i >= 0 && err == nil; i-- {
		os.Remove(dirs[i])
	}
	return found, err
}

// Strays implements blob.Driver.
func (d *Driver) Strays(ctx context.Context, named func(file string) bool, visit func(file string)) error {
	_, err := d.strays(ctx, named, func(_, file string, _ fs.DirEntry) error {
		visit(file)
		return nil
	})
	return err
}

// strays visits the files that no record names, and lists the directories of
// accounts and containers.
func (d *Driver) strays(ctx context.Context, named func(file string) bool, visit func(path, file string, e fs.DirEntry) error) (dirs []string, err error) {
	err = filepath.WalkDir(d.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == d.dir {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		file, err := filepath.Rel(d.dir, path)
		if err != nil {
			return err
		}
		switch {
		case file == orphansDir:
			return fs.SkipDir
		case e.IsDir():
			if file != tmpDir && file != blocksDir {
				dirs = append(dirs, path)
			}
			return nil
		case named(file):
			return nil
		}
		return visit(path, file, e)
	})
	return dirs, err
}

// unfinished reports whether file is an upload or block, of which nothing is
// kept that no record names.
func unfinished(file string) bool {
	top, _, _ := strings.Cut(file, string(filepath.Separator))
	return top == tmpDir || top == blocksDir
}

// empty reports whether e is a name that was reserved and not filled.
func empty(e fs.DirEntry) bool {
	info, err := e.Info()
	return err == nil && info.Size() == 0
}

// dropOrphans deletes the orphans of long ago.
func (d *Driver) dropOrphans(today time.Time) error {
	root := filepath.Join(d.dir, orphansDir)
	days, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range days {
		day, bad := time.Parse(time.DateOnly, e.Name())
		if bad == nil && today.Sub(day) > keepOrphans {
			err = errors.Join(err, os.RemoveAll(filepath.Join(root, e.Name())))
		}
	}
	return err
}
