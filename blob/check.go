package blob

import (
	"context"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"io/fs"

	"github.com/openams/openams/ams"
)

// ErrDamaged is in the chain of every Damage's Err.
var ErrDamaged = errors.New("the bytes are not those that were written")

// A Damage is a record whose bytes are missing or not those that were written.
type Damage struct {
	Blob *ams.Blob // of a staged block, the blob that it is for
	File string    // the driver's name
	Err  error
}

// Checked tells what Check saw.
type Checked struct {
	Blobs   int // snapshots and staged blocks counted too
	Bytes   int64
	Damaged int
	Strays  int // files that no record names
}

// Check reads every byte that a record names and compares it with the sums
// that were made when it was written, and finds the files that no record
// names. Nothing may write meanwhile.
func (s *Store) Check(ctx context.Context, damaged func(Damage), stray func(file string)) (sum Checked, err error) {
	err = s.records.Everything(ctx, func(b *ams.Blob) error {
		sum.Blobs++
		var size int64
		good := true
		seen := make(map[ams.Extent]bool) // a list may repeat its blocks
		for _, x := range b.Extents {
			size += x.Length
			if seen[x] {
				continue
			}
			seen[x] = true
			n, err := s.checkExtent(ctx, x)
			sum.Bytes += n
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				good = false
				damaged(Damage{b, x.File, err})
			}
		}
		if size != b.Size {
			good = false
			damaged(Damage{b, "", fmt.Errorf("%w: the record says %d bytes and names %d", ErrDamaged, b.Size, size)})
		}
		if !good {
			sum.Damaged++
		}
		return nil
	})
	if err != nil {
		return sum, err
	}
	named, err := s.named(ctx)
	if err != nil {
		return sum, err
	}
	return sum, s.driver.Strays(ctx, named, func(file string) {
		sum.Strays++
		stray(file)
	})
}

// checkExtent reads an extent and compares its sum.
func (s *Store) checkExtent(ctx context.Context, x ams.Extent) (int64, error) {
	r := &Reader{store: s, blob: &ams.Blob{Size: x.Length, Extents: []ams.Extent{x}}, pieces: newPieces([]ams.Extent{x})}
	file, err := s.driver.Open(ctx, x.File)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("%w: there is no such file", ErrDamaged)
	}
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	defer file.Close()
	r.file = file
	sum := crc64.New(s.crc)
	n, err := r.writeExtent(io.MultiWriter(sum, stopper{ctx}), x)
	if err != nil {
		return n, fmt.Errorf("%w: %d of %d bytes could be read: %w", ErrDamaged, n, x.Length, err)
	}
	if sum.Sum64() != x.CRC64 {
		return n, fmt.Errorf("%w: sum %016x, want %016x", ErrDamaged, sum.Sum64(), x.CRC64)
	}
	return n, nil
}
