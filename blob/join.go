package blob

import (
	"context"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"slices"
	"time"

	"github.com/openams/openams/ams"
)

// Recover removes or sets aside the files of earlier processes that no record
// names. Call it once, before anything else uses the store.
func (s *Store) Recover(ctx context.Context) (Recovered, error) {
	if err := s.failCopies(ctx); err != nil {
		return Recovered{}, fmt.Errorf("blob: recover: %w", err)
	}
	named, err := s.named(ctx)
	if err != nil {
		return Recovered{}, fmt.Errorf("blob: recover: %w", err)
	}
	return s.driver.Recover(ctx, named)
}

// named tells which files a record names.
func (s *Store) named(ctx context.Context) (func(file string) bool, error) {
	named := make(map[uint64]struct{}) // hashes: a collision keeps a file that could go
	err := s.records.Files(ctx, func(file string) {
		named[crc64.Checksum([]byte(file), s.crc)] = struct{}{}
	})
	return func(file string) bool {
		_, ok := named[crc64.Checksum([]byte(file), s.crc)]
		return ok
	}, err
}

// Run joins blobs that were committed in pieces and forgets staged blocks that
// waited too long, until ctx ends.
func (s *Store) Run(ctx context.Context) error {
	hourly := time.NewTicker(time.Hour)
	defer hourly.Stop()
	defer s.stopCopies()
	s.hold()
	s.expire(ctx)
	s.joinAll(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.joins:
		case <-hourly.C:
			s.hold()
			s.expire(ctx)
		}
		s.joinAll(ctx)
	}
}

func (s *Store) wakeJoiner() {
	select {
	case s.joins <- struct{}{}:
	default:
	}
}

// expire forgets staged blocks older than their life.
func (s *Store) expire(ctx context.Context) {
	for ctx.Err() == nil {
		files, err := s.records.ExpireBlocks(ctx, s.now().Add(-s.life), 1000)
		if err != nil {
			s.log.Error("blob: expire staged blocks", "err", err)
			return
		}
		s.discard(ctx, files)
		if len(files) == 0 {
			return
		}
	}
}

// joinAll joins every scattered blob that can be joined.
func (s *Store) joinAll(ctx context.Context) {
	var last ams.Blob
	for ctx.Err() == nil {
		list, err := s.records.ScatteredBlobs(ctx, last.StorageAccount, last.Container, last.Name, 100)
		if err != nil {
			s.log.Error("blob: list scattered blobs", "err", err)
			return
		}
		for _, b := range list {
			last = *b
			if err := s.joinIfSmall(ctx, b); err != nil && ctx.Err() == nil {
				s.log.Error("blob: join the pieces of a blob", "account", b.StorageAccount, "container", b.Container, "blob", b.Name, "err", err)
			}
		}
		if len(list) == 0 {
			return
		}
	}
}

// joinIfSmall leaves alone a blob that repeats blocks, whose one file would
// take more room than its pieces.
func (s *Store) joinIfSmall(ctx context.Context, key *ams.Blob) error {
	b, err := s.records.Blob(ctx, key.StorageAccount, key.Container, key.Name)
	if err != nil {
		return gone(err)
	}
	if len(b.Extents) == 0 {
		return nil // its copy may be under way
	}
	seen := make(map[string]bool, len(b.Extents))
	for _, x := range b.Extents {
		if k := fmt.Sprint(x.File, x.Offset); seen[k] {
			return nil
		} else {
			seen[k] = true
		}
	}
	return gone(s.join(ctx, key.StorageAccount, key.Container, key.Name))
}

// gone forgives that a blob vanished before it was joined.
func gone(err error) error {
	if errors.Is(err, ams.ErrBlobNotFound) || errors.Is(err, ams.ErrContainerNotFound) {
		return nil
	}
	return err
}

var errChanged = errors.New("blob: changed while it was joined")

// join makes the bytes of a blob one ordinary file. It changes neither ETag
// nor Last-Modified. A blob that changes meanwhile is left to the next join.
func (s *Store) join(ctx context.Context, account, container, name string) error {
	r, err := s.Open(ctx, account, container, name)
	if err != nil {
		return err
	}
	defer r.Close()
	if r.blob.OneFile() {
		return nil
	}
	x, err := s.gather(ctx, r, Place{Account: account, Container: container, Blob: name})
	if err != nil {
		return err
	}
	// Once more without the caller's deadline: the copy is made, keep it.
	ctx = context.WithoutCancel(ctx)
	now := []ams.Extent{x}
	wrote := false
	err = s.records.UpdateBlob(ctx, account, container, name, func(b *ams.Blob) error {
		wrote = false
		if !slices.Equal(b.Extents, r.blob.Extents) {
			return errChanged
		}
		b.Extents = now
		wrote = true
		return nil
	})
	switch {
	case err == nil:
		s.discard(ctx, unnamed(r.blob.Extents, now))
		return nil
	case wrote: // the commit may have happened: Recover decides
		return err
	}
	s.discard(ctx, []string{x.File})
	if errors.Is(err, errChanged) {
		return nil
	}
	return err
}

// gather makes one file at place of what r reads, without copying where the
// driver can, and else checks every extent's sum.
func (s *Store) gather(ctx context.Context, r *Reader, place Place) (ams.Extent, error) {
	if xs := r.blob.Extents; len(xs) == 1 && xs[0].Offset == 0 {
		if x, err := s.relink(ctx, xs[0], place); err == nil || !errors.Is(err, errors.ErrUnsupported) {
			return x, err
		}
	}
	up, err := s.driver.Create(ctx, place)
	if err != nil {
		return ams.Extent{}, err
	}
	defer up.Abort()
	var whole uint64
	var sums crcJoiner
	sum := crc64.New(s.crc)
	for _, x := range r.blob.Extents {
		sum.Reset()
		if _, err := r.writeExtent(io.MultiWriter(up, sum, stopper{ctx}), x); err != nil {
			return ams.Extent{}, err
		}
		if sum.Sum64() != x.CRC64 {
			return ams.Extent{}, fmt.Errorf("file %q at %d: the bytes are not those that were written: sum %x, want %x", x.File, x.Offset, sum.Sum64(), x.CRC64)
		}
		whole = sums.join(whole, x.CRC64, x.Length)
	}
	file, err := up.Commit(ctx)
	if err != nil {
		return ams.Extent{}, err
	}
	return ams.Extent{File: file, Length: r.blob.Size, CRC64: whole, Whole: true}, nil
}

// relink gives a file that is all of a blob the blob's name.
func (s *Store) relink(ctx context.Context, x ams.Extent, place Place) (ams.Extent, error) {
	file, err := s.driver.Link(ctx, x.File, x.Length, place)
	if err != nil {
		return ams.Extent{}, err
	}
	return ams.Extent{File: file, Length: x.Length, CRC64: x.CRC64, Whole: true}, nil
}

// A stopper ends a copy when its context does.
type stopper struct{ ctx context.Context }

func (s stopper) Write(p []byte) (int, error) { return len(p), s.ctx.Err() }
