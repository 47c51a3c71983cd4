package catalog

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/openams/openams/ams"
)

// The methods of this file are the records that package blob declares.

// containerRest is what of a container has no column.
type containerRest struct {
	PublicAccess string             `json:"publicAccess,omitempty"`
	Metadata     map[string]string  `json:"metadata,omitempty"`
	Policies     []ams.AccessPolicy `json:"policies,omitempty"`
	Lease        *ams.Lease         `json:"lease,omitempty"`
}

const containerColumns = "seq, account, name, etag, created, last_modified, rest"

func scanContainer(row interface{ Scan(...any) error }) (int64, *ams.Container, error) {
	var seq int64
	var rest string
	c := new(ams.Container)
	err := row.Scan(&seq, &c.StorageAccount, &c.Name, &c.ETag, (*instant)(&c.Created), (*instant)(&c.LastModified), &rest)
	if err != nil {
		return 0, nil, err
	}
	var r containerRest
	if err := json.Unmarshal([]byte(rest), &r); err != nil {
		return 0, nil, err
	}
	c.PublicAccess, c.Metadata, c.Policies = r.PublicAccess, r.Metadata, r.Policies
	if r.Lease != nil {
		c.Lease = *r.Lease
	}
	return seq, c, nil
}

func (tx *Tx) container(account, name string) (int64, *ams.Container, error) {
	seq, c, err := scanContainer(tx.queryRow("SELECT "+containerColumns+" FROM blob_containers WHERE account = ? AND name = ?", account, name))
	if errors.Is(err, sql.ErrNoRows) {
		err = ams.ErrContainerNotFound
	}
	return seq, c, err
}

// containerSeq is container for those who need only the key.
func (tx *Tx) containerSeq(account, name string) (seq int64, err error) {
	err = tx.queryRow("SELECT seq FROM blob_containers WHERE account = ? AND name = ?", account, name).Scan(&seq)
	if errors.Is(err, sql.ErrNoRows) {
		err = ams.ErrContainerNotFound
	}
	return seq, err
}

func containerText(c *ams.Container) (string, error) {
	rest, err := json.Marshal(containerRest{c.PublicAccess, c.Metadata, c.Policies, leaseRest(c.Lease)})
	return string(rest), err
}

// leaseRest leaves out a lease that is none.
func leaseRest(l ams.Lease) *ams.Lease {
	if l.ID == "" {
		return nil
	}
	return &l
}

// StorageBytes is the sum of the sizes of the blobs of a storage account,
// without snapshots and staged blocks. It reads every row: a second for a
// million.
func (tx *Tx) StorageBytes(account string) (n int64, err error) {
	err = tx.queryRow("SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM blobs WHERE container IN (SELECT seq FROM blob_containers WHERE account = ?)", account).Scan(&n)
	return n, err
}

// CreateContainer adds c; a taken name is ams.ErrContainerExists.
func (db *DB) CreateContainer(ctx context.Context, c *ams.Container) error {
	return db.change(ctx, func(tx *Tx) error { return tx.InsertContainer(c) })
}

// InsertContainer is CreateContainer in a transaction of the caller's, which
// may go on when the name is taken.
func (tx *Tx) InsertContainer(c *ams.Container) error {
	rest, err := containerText(c)
	if err != nil {
		return err
	}
	r, err := tx.exec(`INSERT INTO blob_containers (account, name, etag, created, last_modified, rest) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (account, name) DO NOTHING`,
		c.StorageAccount, c.Name, c.ETag, ticks(c.Created), ticks(c.LastModified), rest)
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, ams.ErrContainerExists)
	}
	return nil
}

// Container finds a container.
func (db *DB) Container(ctx context.Context, account, name string) (c *ams.Container, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		_, c, err = tx.container(account, name)
		return err
	})
	return c, err
}

// Containers lists up to limit containers of an account whose names start
// with prefix and are not below from.
func (db *DB) Containers(ctx context.Context, account, prefix, from string, limit int) (list []*ams.Container, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		rows, err := tx.query("SELECT "+containerColumns+" FROM blob_containers WHERE account = ? AND name >= ? ORDER BY name LIMIT ?",
			account, max(prefix, from), limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			_, c, err := scanContainer(rows)
			if err != nil {
				return err
			}
			if !strings.HasPrefix(c.Name, prefix) {
				break // in order of name, those with the prefix come first
			}
			list = append(list, c)
		}
		return rows.Err()
	})
	return list, err
}

// UpdateContainer rewrites what change changes.
func (db *DB) UpdateContainer(ctx context.Context, account, name string, change func(*ams.Container) error) error {
	return db.change(ctx, func(tx *Tx) error { return tx.UpdateContainer(account, name, change) })
}

// UpdateContainer is the same in a transaction of the caller's.
func (tx *Tx) UpdateContainer(account, name string, change func(*ams.Container) error) error {
	seq, c, err := tx.container(account, name)
	if err != nil {
		return err
	}
	if err := change(c); err != nil {
		return err
	}
	rest, err := containerText(c)
	if err != nil {
		return err
	}
	_, err = tx.exec("UPDATE blob_containers SET etag = ?, last_modified = ?, rest = ? WHERE seq = ?", c.ETag, ticks(c.LastModified), rest, seq)
	return err
}

// DeleteContainer removes a container with its blobs and staged blocks and
// returns the files they named.
func (db *DB) DeleteContainer(ctx context.Context, account, name string, check func(*ams.Container) error) (files []string, err error) {
	err = db.change(ctx, func(tx *Tx) error {
		seq, c, err := tx.container(account, name)
		if err != nil {
			return err
		}
		if err := check(c); err != nil {
			return err
		}
		files = nil
		if err := tx.files("WHERE container = ?", func(f string) { files = append(files, f) }, seq); err != nil {
			return err
		}
		_, err = tx.exec("DELETE FROM blob_containers WHERE seq = ?", seq)
		return err
	})
	return files, err
}

// Files calls visit with every file that a record names, some twice.
func (db *DB) Files(ctx context.Context, visit func(file string)) error {
	return db.View(ctx, func(tx *Tx) error { return tx.files("", visit) })
}

func (tx *Tx) files(where string, visit func(string), args ...any) error {
	for _, table := range []string{"blobs", "blob_snapshots"} {
		if err := tx.extentFiles("SELECT extents FROM "+table+" "+where, visit, args...); err != nil {
			return err
		}
	}
	rows, err := tx.query("SELECT file FROM blob_blocks "+where, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var file string
		if err := rows.Scan(&file); err != nil {
			return err
		}
		visit(file)
	}
	return rows.Err()
}

func (tx *Tx) extentFiles(query string, visit func(string), args ...any) error {
	rows, err := tx.query(query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return err
		}
		extents, err := parseExtents(text)
		if err != nil {
			return err
		}
		for _, x := range extents {
			visit(x.File)
		}
	}
	return rows.Err()
}

// blobRest is what of a blob has no column.
type blobRest struct {
	ContentType        string            `json:"type,omitempty"`
	ContentEncoding    string            `json:"encoding,omitempty"`
	ContentLanguage    string            `json:"language,omitempty"`
	ContentDisposition string            `json:"disposition,omitempty"`
	CacheControl       string            `json:"cache,omitempty"`
	ContentMD5         []byte            `json:"md5,omitempty"`
	Metadata           map[string]string `json:"metadata,omitempty"`
	Tier               string            `json:"tier,omitempty"`
	Tags               map[string]string `json:"tags,omitempty"`
	Lease              *ams.Lease        `json:"lease,omitempty"`
	Copy               *ams.Copy         `json:"copy,omitempty"`
}

// An extentRow and a blockRow are short, because a blob may have 50,000.
type extentRow struct {
	File   string `json:"f"`
	Offset int64  `json:"o,omitempty"`
	Length int64  `json:"n"`
	CRC64  uint64 `json:"c"`
	Whole  bool   `json:"w,omitempty"`
}

type blockRow struct {
	ID    string `json:"i"`
	Size  int64  `json:"n"`
	CRC64 uint64 `json:"c"`
}

func parseExtents(text string) ([]ams.Extent, error) {
	var rows []extentRow
	if err := json.Unmarshal([]byte(text), &rows); err != nil {
		return nil, err
	}
	list := make([]ams.Extent, len(rows))
	for i, x := range rows {
		list[i] = ams.Extent(x)
	}
	return list, nil
}

func parseBlocks(text string) ([]ams.Block, error) {
	if text == "" {
		return nil, nil
	}
	var rows []blockRow
	if err := json.Unmarshal([]byte(text), &rows); err != nil {
		return nil, err
	}
	list := make([]ams.Block, len(rows))
	for i, k := range rows {
		list[i] = ams.Block{ID: k.ID, Size: k.Size, CRC64: k.CRC64}
	}
	return list, nil
}

// A blobName is a blob's name as the database keeps it. PostgreSQL has no
// U+0000 in texts: it is U+0001 U+0001, and U+0001 is U+0001 U+0002, which
// leaves the order of names as it is.
type blobName string

var (
	keptName = strings.NewReplacer("\x00", "\x01\x01", "\x01", "\x01\x02")
	saidName = strings.NewReplacer("\x01\x01", "\x00", "\x01\x02", "\x01")
)

func (n blobName) Value() (driver.Value, error) { return keptName.Replace(string(n)), nil }

func (n *blobName) Scan(v any) error {
	s, ok := v.(string)
	if !ok {
		return fmt.Errorf("a blob's name is stored as %T", v)
	}
	*n = blobName(saidName.Replace(s))
	return nil
}

const blobColumns = "name, size, etag, created, last_modified, rest"

// scanBlob reads blobColumns, then into more.
func scanBlob(row interface{ Scan(...any) error }, account, container string, more ...any) (*ams.Blob, error) {
	b := &ams.Blob{StorageAccount: account, Container: container}
	var rest string
	dest := append([]any{(*blobName)(&b.Name), &b.Size, &b.ETag, (*instant)(&b.Created), (*instant)(&b.LastModified), &rest}, more...)
	if err := row.Scan(dest...); err != nil {
		return nil, err
	}
	var r blobRest
	if err := json.Unmarshal([]byte(rest), &r); err != nil {
		return nil, err
	}
	b.Headers = ams.BlobHeaders{
		ContentType: r.ContentType, ContentEncoding: r.ContentEncoding, ContentLanguage: r.ContentLanguage,
		ContentDisposition: r.ContentDisposition, CacheControl: r.CacheControl, ContentMD5: r.ContentMD5,
	}
	b.Metadata, b.Tier, b.Tags, b.Copy = r.Metadata, r.Tier, r.Tags, r.Copy
	if r.Lease != nil {
		b.Lease = *r.Lease
	}
	return b, nil
}

// blob reads a blob with its extents, and with its block list if whole.
func (tx *Tx) blob(seq int64, account, container, name string, whole bool) (*ams.Blob, error) {
	columns := blobColumns + ", extents, ''"
	if whole {
		columns = blobColumns + ", extents, blocks"
	}
	var extents, blocks string
	b, err := scanBlob(tx.queryRow("SELECT "+columns+" FROM blobs WHERE container = ? AND name = ?", seq, blobName(name)), account, container, &extents, &blocks)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ams.ErrBlobNotFound
	}
	if err != nil {
		return nil, err
	}
	if b.Extents, err = parseExtents(extents); err != nil {
		return nil, err
	}
	b.Blocks, err = parseBlocks(blocks)
	return b, err
}

// blobTexts are the columns of a blob that are text to the database.
func blobTexts(b *ams.Blob) (rest, extents, blocks string, err error) {
	h := b.Headers
	r, err := json.Marshal(blobRest{
		h.ContentType, h.ContentEncoding, h.ContentLanguage, h.ContentDisposition, h.CacheControl, h.ContentMD5,
		b.Metadata, b.Tier, b.Tags, leaseRest(b.Lease), b.Copy,
	})
	if err != nil {
		return "", "", "", err
	}
	xs := make([]extentRow, len(b.Extents))
	for i, x := range b.Extents {
		xs[i] = extentRow(x)
	}
	x, err := json.Marshal(xs)
	if err != nil || b.Blocks == nil {
		return string(r), string(x), "", err
	}
	ks := make([]blockRow, len(b.Blocks))
	for i, k := range b.Blocks {
		ks[i] = blockRow{k.ID, k.Size, k.CRC64}
	}
	k, err := json.Marshal(ks)
	return string(r), string(x), string(k), err
}

func (tx *Tx) writeBlob(seq int64, b *ams.Blob) error {
	rest, extents, blocks, err := blobTexts(b)
	if err != nil {
		return err
	}
	scattered := 1
	if b.OneFile() {
		scattered = 0
	}
	_, err = tx.exec(`INSERT INTO blobs (container, name, size, etag, created, last_modified, scattered, rest, extents, blocks)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (container, name) DO UPDATE SET size = excluded.size, etag = excluded.etag, created = excluded.created,
		last_modified = excluded.last_modified, scattered = excluded.scattered, rest = excluded.rest,
		extents = excluded.extents, blocks = excluded.blocks`,
		seq, blobName(b.Name), b.Size, b.ETag, ticks(b.Created), ticks(b.LastModified), scattered, rest, extents, blocks)
	return err
}

// Blob finds a blob, with its extents and without its block list.
func (db *DB) Blob(ctx context.Context, account, container, name string) (b *ams.Blob, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		seq, err := tx.containerSeq(account, container)
		if err == nil {
			b, err = tx.blob(seq, account, container, name, false)
		}
		return err
	})
	return b, err
}

// Blobs lists up to limit blobs of a container, without extents and block
// lists, whose names start with prefix and are not below from.
func (db *DB) Blobs(ctx context.Context, account, container, prefix, from string, limit int) (list []*ams.Blob, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		seq, err := tx.containerSeq(account, container)
		if err != nil {
			return err
		}
		rows, err := tx.query("SELECT "+blobColumns+" FROM blobs WHERE container = ? AND name >= ? ORDER BY name LIMIT ?", seq, blobName(max(prefix, from)), limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			b, err := scanBlob(rows, account, container)
			if err != nil {
				return err
			}
			if !strings.HasPrefix(b.Name, prefix) {
				break
			}
			list = append(list, b)
		}
		return rows.Err()
	})
	return list, err
}

// PutBlob writes the record that make returns and forgets the staged blocks.
func (db *DB) PutBlob(ctx context.Context, account, container, name string, make func(old *ams.Blob, staged []ams.Block) (*ams.Blob, error)) error {
	return db.change(ctx, func(tx *Tx) error {
		seq, err := tx.containerSeq(account, container)
		if err != nil {
			return err
		}
		old, err := tx.blob(seq, account, container, name, true)
		if err != nil && !errors.Is(err, ams.ErrBlobNotFound) {
			return err
		}
		staged, err := tx.staged(seq, name)
		if err != nil {
			return err
		}
		b, err := make(old, staged)
		if err != nil {
			return err
		}
		if err := tx.writeBlob(seq, b); err != nil || len(staged) == 0 {
			return err
		}
		_, err = tx.exec("DELETE FROM blob_blocks WHERE container = ? AND blob = ?", seq, blobName(name))
		return err
	})
}

// UpdateBlob rewrites the whole record that change has changed.
func (db *DB) UpdateBlob(ctx context.Context, account, container, name string, change func(*ams.Blob) error) error {
	return db.change(ctx, func(tx *Tx) error {
		seq, err := tx.containerSeq(account, container)
		if err != nil {
			return err
		}
		b, err := tx.blob(seq, account, container, name, true)
		if err != nil {
			return err
		}
		if err := change(b); err != nil {
			return err
		}
		return tx.writeBlob(seq, b)
	})
}

// DeleteBlob removes what choose says: the blob with its staged blocks, which
// it returns, and those of its snapshots that gone names.
func (db *DB) DeleteBlob(ctx context.Context, account, container, name string, choose func(b *ams.Blob, snapshots []*ams.Blob) (base bool, gone []string, err error)) (staged []ams.Block, err error) {
	err = db.change(ctx, func(tx *Tx) error {
		staged = nil
		seq, err := tx.containerSeq(account, container)
		if err != nil {
			return err
		}
		b, err := tx.blob(seq, account, container, name, false)
		if err != nil {
			return err
		}
		snapshots, err := tx.snapshots(seq, account, container, name, name, true)
		if err != nil {
			return err
		}
		base, gone, err := choose(b, snapshots)
		if err != nil {
			return err
		}
		for _, t := range gone {
			if _, err := tx.exec("DELETE FROM blob_snapshots WHERE container = ? AND name = ? AND snapshot = ?", seq, blobName(name), t); err != nil {
				return err
			}
		}
		if !base {
			return nil
		}
		if staged, err = tx.staged(seq, name); err != nil {
			return err
		}
		if _, err := tx.exec("DELETE FROM blobs WHERE container = ? AND name = ?", seq, blobName(name)); err != nil {
			return err
		}
		_, err = tx.exec("DELETE FROM blob_blocks WHERE container = ? AND blob = ?", seq, blobName(name))
		return err
	})
	return staged, err
}

// staged lists the staged blocks of a blob in the order of staging.
func (tx *Tx) staged(seq int64, name string) (list []ams.Block, err error) {
	rows, err := tx.query("SELECT id, size, crc64, file, staged FROM blob_blocks WHERE container = ? AND blob = ? ORDER BY position", seq, blobName(name))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var k ams.Block
		var crc int64
		if err := rows.Scan(&k.ID, &k.Size, &crc, &k.File, (*instant)(&k.Staged)); err != nil {
			return nil, err
		}
		k.CRC64 = uint64(crc)
		list = append(list, k)
	}
	return list, rows.Err()
}

// StageBlock adds a block, or replaces the staged one with its id, whose file
// it returns. check sees the blob, nil when there is none, one staged block and how many were
// staged since the last commit, a replaced one counted again: that is one
// step in an index, where counting rows would cost more with every block.
func (db *DB) StageBlock(ctx context.Context, account, container, name string, b ams.Block, check func(blob *ams.Blob, other ams.Block, staged int) error) (replaced string, err error) {
	err = db.change(ctx, func(tx *Tx) error {
		replaced = ""
		seq, err := tx.containerSeq(account, container)
		if err != nil {
			return err
		}
		base, err := scanBlob(tx.queryRow("SELECT "+blobColumns+" FROM blobs WHERE container = ? AND name = ?", seq, blobName(name)), account, container)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		var other ams.Block
		var position int
		err = tx.queryRow("SELECT id, size, position FROM blob_blocks WHERE container = ? AND blob = ? ORDER BY position DESC LIMIT 1", seq, blobName(name)).
			Scan(&other.ID, &other.Size, &position)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err := check(base, other, position); err != nil {
			return err
		}
		err = tx.queryRow("DELETE FROM blob_blocks WHERE container = ? AND blob = ? AND id = ? RETURNING file", seq, blobName(name), b.ID).Scan(&replaced)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		_, err = tx.exec("INSERT INTO blob_blocks (container, blob, id, position, size, crc64, file, staged) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			seq, blobName(name), b.ID, position+1, b.Size, int64(b.CRC64), b.File, ticks(b.Staged))
		return err
	})
	return replaced, err
}

// Blocks returns a blob whole, nil when there is none, and its staged blocks.
func (db *DB) Blocks(ctx context.Context, account, container, name string) (b *ams.Blob, staged []ams.Block, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		seq, err := tx.containerSeq(account, container)
		if err != nil {
			return err
		}
		if b, err = tx.blob(seq, account, container, name, true); err != nil && !errors.Is(err, ams.ErrBlobNotFound) {
			return err
		}
		staged, err = tx.staged(seq, name)
		return err
	})
	return b, staged, err
}

// StagedBlobs lists up to limit names, in order and not below from, that have
// staged blocks but no blob.
func (db *DB) StagedBlobs(ctx context.Context, account, container, prefix, from string, limit int) (list []string, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		seq, err := tx.containerSeq(account, container)
		if err != nil {
			return err
		}
		rows, err := tx.query(`SELECT DISTINCT blob FROM blob_blocks k WHERE container = ? AND blob >= ?
			AND NOT EXISTS (SELECT 1 FROM blobs b WHERE b.container = k.container AND b.name = k.blob)
			ORDER BY blob LIMIT ?`, seq, blobName(max(prefix, from)), limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			if err := rows.Scan((*blobName)(&name)); err != nil {
				return err
			}
			if !strings.HasPrefix(name, prefix) {
				break
			}
			list = append(list, name)
		}
		return rows.Err()
	})
	return list, err
}

// ExpireBlocks forgets up to limit blocks staged before t and returns their
// files.
func (db *DB) ExpireBlocks(ctx context.Context, t time.Time, limit int) (files []string, err error) {
	err = db.change(ctx, func(tx *Tx) error {
		rows, err := tx.query(`DELETE FROM blob_blocks WHERE seq IN
			(SELECT seq FROM blob_blocks WHERE staged < ? ORDER BY staged LIMIT ?) RETURNING file`, ticks(t), limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		files = nil
		for rows.Next() {
			var file string
			if err := rows.Scan(&file); err != nil {
				return err
			}
			files = append(files, file)
		}
		return rows.Err()
	})
	return files, err
}

// ScatteredBlobs lists, in the order of account, container and name, the
// names of up to limit blobs after the given one whose bytes are not one
// ordinary file.
func (db *DB) ScatteredBlobs(ctx context.Context, account, container, name string, limit int) (list []*ams.Blob, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		rows, err := tx.query(`SELECT c.account, c.name, b.name FROM blobs b JOIN blob_containers c ON c.seq = b.container
			WHERE b.scattered = 1 AND (c.account, c.name, b.name) > (?, ?, ?) ORDER BY c.account, c.name, b.name LIMIT ?`,
			account, container, blobName(name), limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			b := new(ams.Blob)
			if err := rows.Scan(&b.StorageAccount, &b.Container, (*blobName)(&b.Name)); err != nil {
				return err
			}
			list = append(list, b)
		}
		return rows.Err()
	})
	return list, err
}
