package blob

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"time"

	"github.com/openams/openams/ams"
)

// Limits of block lists (documented: Put Block, Put Block List).
const (
	MaxBlocks = 50_000
	maxStaged = 100_000
)

// Failures of block lists.
var (
	ErrBlockID     error = &ams.Error{Code: ams.Invalid, Msg: "The specified block ID is invalid: it must be the base64 of 1 to 64 bytes."}
	ErrBlockIDSize error = &ams.Error{Code: ams.Invalid, Msg: "The specified blob or block content is invalid: all block IDs of a blob must have the same length."}
	ErrBlockList   error = &ams.Error{Code: ams.Invalid, Msg: "The specified block list is invalid."}
	ErrManyBlocks  error = &ams.Error{Code: ams.Conflict, Msg: "The number of uncommitted blocks of the blob is at its limit of 100000."}
)

// A BlockSource says where a listed block is looked for.
type BlockSource int

// The places a listed block may come from.
const (
	Latest BlockSource = iota // staged, else committed
	Committed
	Uncommitted
)

// A BlockRef is one entry of a block list to be committed.
type BlockRef struct {
	ID   string
	From BlockSource
}

// StageBlock keeps one block until a commit names it, or a week. Staging an
// id again replaces the block.
func (s *Store) StageBlock(ctx context.Context, account, container, name, id string, r io.Reader, o PutOptions) (*ams.Block, error) {
	if err := ValidateName(name); err != nil {
		return nil, err
	}
	if raw, err := base64.StdEncoding.DecodeString(id); err != nil || len(raw) == 0 || len(raw) > 64 {
		return nil, ErrBlockID
	}
	if err := s.admitBlock(ctx, account, container, name, o.If); err != nil {
		return nil, err
	}
	place := Place{Account: account, Container: container, Blob: name, Staged: true}
	x, _, err := s.upload(ctx, place, r, o, false)
	if err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx)
	k := ams.Block{ID: id, Size: x.Length, CRC64: x.CRC64, File: x.File, Staged: s.now().UTC()}
	wrote := false
	replaced, err := s.records.StageBlock(ctx, account, container, name, k, func(b *ams.Blob, other ams.Block, staged int) error {
		wrote = false
		if err := checkStage(b, o.If, s.now()); err != nil {
			return err
		}
		switch {
		case other.ID != "" && len(other.ID) != len(id):
			return ErrBlockIDSize
		case staged >= maxStaged:
			return ErrManyBlocks
		}
		wrote = true
		return nil
	})
	if err != nil {
		if !wrote {
			s.discard(ctx, []string{k.File})
		} // else the commit may have happened: Recover decides
		return nil, err
	}
	if replaced != "" {
		s.discard(ctx, []string{replaced})
	}
	return &k, nil
}

// admitBlock refuses early, before a body is read, what the record would.
func (s *Store) admitBlock(ctx context.Context, account, container, name string, cond Conditions) error {
	b, err := s.records.Blob(ctx, account, container, name)
	if err != nil && !errors.Is(err, ams.ErrBlobNotFound) {
		return err
	}
	return checkStage(b, cond, s.now())
}

// checkStage reports why no block may be staged for b, nil when there is none.
// Staging changes nothing, but a lease keeps others from it all the same.
func checkStage(b *ams.Blob, cond Conditions, now time.Time) error {
	switch {
	case b == nil && cond.Lease != "":
		return ErrLeaseNone
	case b == nil:
		return nil
	case b.Copy != nil && b.Copy.Status == ams.CopyPending:
		return ErrCopyPending
	}
	return checkLease(&b.Lease, cond.Lease, true, now)
}

// CommitBlocks makes a blob of the listed blocks, in place of any older one,
// and forgets the staged blocks it does not name. It takes no time per byte.
// Only Headers, Metadata, Tier and If of o are looked at.
func (s *Store) CommitBlocks(ctx context.Context, account, container, name string, list []BlockRef, o PutOptions) (*ams.Blob, error) {
	if err := ValidateName(name); err != nil {
		return nil, err
	}
	if len(list) > MaxBlocks {
		return nil, ams.Errorf(ams.Invalid, "The block list has more than %d blocks.", MaxBlocks)
	}
	b, err := s.record(ctx, account, container, name, nil, func(old *ams.Blob, staged []ams.Block) (*ams.Blob, error) {
		b, err := s.fresh(account, container, name, old, o)
		if err != nil {
			return nil, err
		}
		if b.Extents, b.Blocks, err = compose(list, old, staged); err != nil {
			return nil, err
		}
		for _, x := range b.Extents {
			b.Size += x.Length
		}
		return b, nil
	})
	if err != nil {
		return nil, err
	}
	if !b.OneFile() {
		s.wakeJoiner()
	}
	return b, nil
}

// Blocks returns the blob with its committed block list (nil when there is
// none) and its staged blocks. A name with neither is ams.ErrBlobNotFound.
func (s *Store) Blocks(ctx context.Context, account, container, name string) (*ams.Blob, []ams.Block, error) {
	b, staged, err := s.records.Blocks(ctx, account, container, name)
	if err == nil && b == nil && len(staged) == 0 {
		err = ams.ErrBlobNotFound
	}
	return b, staged, err
}

// compose finds the bytes of each listed block.
func compose(list []BlockRef, old *ams.Blob, staged []ams.Block) ([]ams.Extent, []ams.Block, error) {
	uncommitted := make(map[string]ams.Block, len(staged))
	for _, k := range staged {
		uncommitted[k.ID] = k
	}
	committed := make(map[string]int)
	var starts []int64 // of the committed blocks
	var past pieces    // the old blob's extents, by offset
	if old != nil && len(old.Blocks) > 0 {
		starts = make([]int64, len(old.Blocks))
		var at int64
		for i, k := range old.Blocks {
			committed[k.ID] = i
			starts[i] = at
			at += k.Size
		}
		past = newPieces(old.Extents)
	}
	var out joiner
	blocks := make([]ams.Block, 0, len(list))
	for _, ref := range list {
		k, isStaged := uncommitted[ref.ID]
		i, isCommitted := committed[ref.ID]
		switch {
		case isStaged && ref.From != Committed:
			out.add(ams.Extent{File: k.File, Length: k.Size, CRC64: k.CRC64})
			blocks = append(blocks, ams.Block{ID: k.ID, Size: k.Size, CRC64: k.CRC64})
		case isCommitted && ref.From != Uncommitted:
			k := old.Blocks[i]
			for _, x := range past.slice(starts[i], k.Size) {
				x.CRC64 = k.CRC64 // one block lies in one extent: see joiner
				out.add(x)
			}
			blocks = append(blocks, k)
		default:
			return nil, nil, ErrBlockList
		}
	}
	return out.extents, blocks, nil
}

// A joiner collects extents and merges those that touch. It never splits one,
// so every block of a blob stays within one extent.
type joiner struct {
	extents []ams.Extent
	crc     crcJoiner
}

func (j *joiner) add(x ams.Extent) {
	if x.Length == 0 {
		return
	}
	if n := len(j.extents); n > 0 {
		last := &j.extents[n-1]
		if last.File == x.File && last.Offset+last.Length == x.Offset {
			last.CRC64 = j.crc.join(last.CRC64, x.CRC64, x.Length)
			last.Length += x.Length
			return
		}
	}
	j.extents = append(j.extents, x)
}
