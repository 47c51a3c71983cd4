package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"

	"github.com/openams/openams/ams"
)

// The methods of this file are the records that package blob declares.

// PutSnapshot adds the snapshot that make returns of a whole blob.
func (db *DB) PutSnapshot(ctx context.Context, account, container, name string, make func(*ams.Blob) (*ams.Blob, error)) error {
	return db.change(ctx, func(tx *Tx) error {
		seq, err := tx.containerSeq(account, container)
		if err != nil {
			return err
		}
		b, err := tx.blob(seq, account, container, name, true)
		if err != nil {
			return err
		}
		if b, err = make(b); err != nil {
			return err
		}
		rest, extents, blocks, err := blobTexts(b)
		if err != nil {
			return err
		}
		_, err = tx.exec(`INSERT INTO blob_snapshots (container, name, snapshot, size, etag, created, last_modified, rest, extents, blocks)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			seq, blobName(name), b.Snapshot, b.Size, b.ETag, ticks(b.Created), ticks(b.LastModified), rest, extents, blocks)
		return err
	})
}

// Snapshot finds a snapshot, with its extents and without its block list.
func (db *DB) Snapshot(ctx context.Context, account, container, name, snapshot string) (b *ams.Blob, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		seq, err := tx.containerSeq(account, container)
		if err != nil {
			return err
		}
		var extents string
		b, err = scanBlob(tx.queryRow("SELECT "+blobColumns+", extents FROM blob_snapshots WHERE container = ? AND name = ? AND snapshot = ?",
			seq, blobName(name), snapshot), account, container, &extents)
		if errors.Is(err, sql.ErrNoRows) {
			return ams.ErrBlobNotFound
		}
		if err != nil {
			return err
		}
		b.Snapshot = snapshot
		b.Extents, err = parseExtents(extents)
		return err
	})
	return b, err
}

// Snapshots lists, without extents and block lists, the snapshots of the blobs
// from the name first to the name last, in the order of name and time.
func (db *DB) Snapshots(ctx context.Context, account, container, first, last string) (list []*ams.Blob, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		seq, err := tx.containerSeq(account, container)
		if err == nil {
			list, err = tx.snapshots(seq, account, container, first, last, false)
		}
		return err
	})
	return list, err
}

func (tx *Tx) snapshots(seq int64, account, container, first, last string, extents bool) (list []*ams.Blob, err error) {
	column := "''"
	if extents {
		column = "extents"
	}
	rows, err := tx.query("SELECT "+blobColumns+", snapshot, "+column+" FROM blob_snapshots WHERE container = ? AND name >= ? AND name <= ? ORDER BY name, snapshot",
		seq, blobName(first), blobName(last))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var snapshot, text string
		b, err := scanBlob(rows, account, container, &snapshot, &text)
		if err != nil {
			return nil, err
		}
		b.Snapshot = snapshot
		if extents {
			if b.Extents, err = parseExtents(text); err != nil {
				return nil, err
			}
		}
		list = append(list, b)
	}
	return list, rows.Err()
}

// PendingCopies lists, by name alone, the blobs whose copy is pending.
func (db *DB) PendingCopies(ctx context.Context) (list []*ams.Blob, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		list = nil
		rows, err := tx.query("SELECT c.account, c.name, b.name, b.rest FROM blobs b JOIN blob_containers c ON c.seq = b.container")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var b ams.Blob
			var rest string
			if err := rows.Scan(&b.StorageAccount, &b.Container, (*blobName)(&b.Name), &rest); err != nil {
				return err
			}
			if !strings.Contains(rest, `"copy":`) {
				continue
			}
			var r blobRest
			if err := json.Unmarshal([]byte(rest), &r); err != nil {
				return err
			}
			if r.Copy != nil && r.Copy.Status == ams.CopyPending {
				list = append(list, &b)
			}
		}
		return rows.Err()
	})
	return list, err
}

// Everything calls visit with every blob and snapshot, with its extents, and
// with every staged block as a blob of one extent, in no order.
func (db *DB) Everything(ctx context.Context, visit func(*ams.Blob) error) error {
	const from = " b JOIN blob_containers c ON c.seq = b.container"
	return db.View(ctx, func(tx *Tx) error {
		for _, query := range []string{
			"SELECT c.account, c.name, b.name, '', b.size, b.extents FROM blobs" + from,
			"SELECT c.account, c.name, b.name, b.snapshot, b.size, b.extents FROM blob_snapshots" + from,
		} {
			if err := tx.everyBlob(query, visit); err != nil {
				return err
			}
		}
		return tx.everyBlock("SELECT c.account, c.name, b.blob, b.size, b.crc64, b.file FROM blob_blocks"+from, visit)
	})
}

func (tx *Tx) everyBlob(query string, visit func(*ams.Blob) error) error {
	rows, err := tx.query(query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		b := new(ams.Blob)
		var extents string
		if err := rows.Scan(&b.StorageAccount, &b.Container, (*blobName)(&b.Name), &b.Snapshot, &b.Size, &extents); err != nil {
			return err
		}
		if b.Extents, err = parseExtents(extents); err != nil {
			return err
		}
		if err := visit(b); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (tx *Tx) everyBlock(query string, visit func(*ams.Blob) error) error {
	rows, err := tx.query(query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		b := new(ams.Blob)
		var x ams.Extent
		var crc int64
		if err := rows.Scan(&b.StorageAccount, &b.Container, (*blobName)(&b.Name), &b.Size, &crc, &x.File); err != nil {
			return err
		}
		x.Length, x.CRC64 = b.Size, uint64(crc)
		b.Extents = []ams.Extent{x}
		if err := visit(b); err != nil {
			return err
		}
	}
	return rows.Err()
}

// StorageProperties are the settings of an account, zero until they are set.
func (db *DB) StorageProperties(ctx context.Context, account string) (p *ams.StorageProperties, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		p, err = tx.storageProperties(account)
		return err
	})
	return p, err
}

func (tx *Tx) storageProperties(account string) (*ams.StorageProperties, error) {
	p := new(ams.StorageProperties)
	var text string
	err := tx.queryRow("SELECT properties FROM blob_services WHERE account = ?", account).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return p, nil
	}
	if err != nil {
		return nil, err
	}
	return p, json.Unmarshal([]byte(text), p)
}

// UpdateStorageProperties rewrites what change changes.
func (db *DB) UpdateStorageProperties(ctx context.Context, account string, change func(*ams.StorageProperties) error) error {
	return db.change(ctx, func(tx *Tx) error {
		p, err := tx.storageProperties(account)
		if err != nil {
			return err
		}
		if err := change(p); err != nil {
			return err
		}
		text, err := json.Marshal(p)
		if err != nil {
			return err
		}
		_, err = tx.exec("INSERT INTO blob_services (account, properties) VALUES (?, ?) ON CONFLICT (account) DO UPDATE SET properties = excluded.properties",
			account, string(text))
		return err
	})
}
