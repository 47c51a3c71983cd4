package blob

import (
	"context"
	"time"

	"github.com/openams/openams/ams"
)

// Records is what a Store needs of a database. A method that takes a function
// calls it once, inside a transaction that no other writer enters, and changes
// nothing when the function returns an error, which it passes on.
//
// A missing container is ams.ErrContainerNotFound from every method that names
// one, a missing blob ams.ErrBlobNotFound. Names order by their UTF-8 bytes.
type Records interface {
	// CreateContainer adds c, or fails with ams.ErrContainerExists.
	CreateContainer(ctx context.Context, c *ams.Container) error
	Container(ctx context.Context, account, name string) (*ams.Container, error)
	// Containers lists up to limit containers whose names start with prefix
	// and are not below from.
	Containers(ctx context.Context, account, prefix, from string, limit int) ([]*ams.Container, error)
	UpdateContainer(ctx context.Context, account, name string, change func(*ams.Container) error) error
	// DeleteContainer removes a container, its blobs and staged blocks, and
	// returns the files they named.
	DeleteContainer(ctx context.Context, account, name string, check func(*ams.Container) error) (files []string, err error)

	// Blob returns a blob with its extents but without its block list.
	Blob(ctx context.Context, account, container, name string) (*ams.Blob, error)
	// Blobs lists up to limit blobs, without extents and block lists, whose
	// names start with prefix and are not below from.
	Blobs(ctx context.Context, account, container, prefix, from string, limit int) ([]*ams.Blob, error)
	// PutBlob writes the record that make returns and forgets the staged
	// blocks. old is the whole present record, nil when there is none.
	PutBlob(ctx context.Context, account, container, name string, make func(old *ams.Blob, staged []ams.Block) (*ams.Blob, error)) error
	// UpdateBlob writes back the whole record that change has changed.
	UpdateBlob(ctx context.Context, account, container, name string, change func(*ams.Blob) error) error
	// DeleteBlob removes what choose says: the blob itself with its staged
	// blocks, which it returns, and those of its snapshots that gone names.
	DeleteBlob(ctx context.Context, account, container, name string, choose func(b *ams.Blob, snapshots []*ams.Blob) (base bool, gone []string, err error)) (staged []ams.Block, err error)
	// PendingCopies lists, by name alone, the blobs whose copy is pending.
	PendingCopies(ctx context.Context) ([]*ams.Blob, error)

	// PutSnapshot adds the snapshot that make returns of a whole blob.
	PutSnapshot(ctx context.Context, account, container, name string, make func(*ams.Blob) (*ams.Blob, error)) error
	// Snapshot returns a snapshot with its extents but without its block list.
	Snapshot(ctx context.Context, account, container, name, snapshot string) (*ams.Blob, error)
	// Snapshots lists, without extents and block lists and in the order of name
	// and time, the snapshots of blobs from the name first to the name last.
	Snapshots(ctx context.Context, account, container, first, last string) ([]*ams.Blob, error)

	// StageBlock adds a block, or replaces the staged one with its id, whose
	// file it returns. check sees the blob without extents and block list
	// (nil when there is none), one of its staged blocks (zero when there is
	// none) and how many were staged since the last commit.
	StageBlock(ctx context.Context, account, container, name string, b ams.Block, check func(blob *ams.Blob, other ams.Block, staged int) error) (replaced string, err error)
	// Blocks returns a blob whole (nil when there is none) and its staged
	// blocks in the order of staging.
	Blocks(ctx context.Context, account, container, name string) (*ams.Blob, []ams.Block, error)
	// StagedBlobs lists up to limit names, in order and not below from, that
	// have staged blocks but no blob.
	StagedBlobs(ctx context.Context, account, container, prefix, from string, limit int) ([]string, error)
	// ExpireBlocks forgets up to limit blocks staged before t and returns
	// their files.
	ExpireBlocks(ctx context.Context, t time.Time, limit int) (files []string, err error)

	// ScatteredBlobs lists, in the order of account, container and name, up to
	// limit blobs after the given one whose bytes are not one ordinary file.
	// Only the names are filled in.
	ScatteredBlobs(ctx context.Context, account, container, name string, limit int) ([]*ams.Blob, error)
	// Files calls visit with every file that a record names, some twice.
	Files(ctx context.Context, visit func(file string)) error
	// Everything calls visit with every blob and snapshot, with its extents, and
	// with every staged block as a blob of one extent, in no order.
	Everything(ctx context.Context, visit func(*ams.Blob) error) error

	// StorageProperties are the settings of an account, zero until they are set.
	StorageProperties(ctx context.Context, account string) (*ams.StorageProperties, error)
	UpdateStorageProperties(ctx context.Context, account string, change func(*ams.StorageProperties) error) error
}
