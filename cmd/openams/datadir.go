package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/openams/openams/identity"
)

// openData makes the data folder and takes its lock, so that no second server
// works on it. The lock goes with the process, however it ends.
//
// From here on everything that the process makes is its owner's alone: the
// folder holds keys, and the catalog's files would follow the usual umask.
func openData(dir string) (*os.File, error) {
	syscall.Umask(0o077)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := foreign(dir); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("the data folder %s is in use by another openams server", dir)
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return lock, nil
}

// foreign tells a folder of somebody else, say a home folder, by a name that
// openams would use in it. A start removes DIR/scratch, and what no record
// names from DIR/blobs: none of that may be anybody's work.
func foreign(dir string) error {
	for _, ours := range []string{"lock", "openams.db"} {
		if _, err := os.Lstat(filepath.Join(dir, ours)); err == nil {
			return nil
		}
	}
	for _, name := range []string{"blobs", "cache", "scratch", "secrets", "tls", "endpoints.json"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return fmt.Errorf("%s is not a data folder of openams, yet it holds %q: give openams a folder of its own", dir, name)
		}
	}
	return nil
}

// onceKey reads the key of 32 bytes in dir/name, and makes it at first start.
// A key cut short, by a full disk or a bad copy, must not become a guessable
// one.
func onceKey(dir, name string) ([32]byte, error) {
	key, err := identity.Once(dir, name, func() ([]byte, error) { return random(32), nil })
	if err != nil {
		return [32]byte{}, err
	}
	if len(key) != 32 {
		return [32]byte{}, fmt.Errorf("%s is not a key of 32 bytes", filepath.Join(dir, name))
	}
	return [32]byte(key), nil
}

// writePrivate writes a file that only its owner may read, whole or not at
// all.
func writePrivate(path string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".tmp-") // CreateTemp makes it 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
