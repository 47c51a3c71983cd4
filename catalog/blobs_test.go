package catalog

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/openams/openams/ams"
)

// What blob/blobtest tests through a store is not tested again: here is what
// only the records show.
func TestBlobRecords(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "openams.db")
	db, err := Open(ctx, Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	now := time.Date(2026, 11, 22, 1, 2, 3, 456789100, time.UTC)
	for _, name := range []string{"box", "other"} {
		if err := db.CreateContainer(ctx, &ams.Container{StorageAccount: "acct", Name: name, ETag: "0x1", Created: now, LastModified: now}); err != nil {
			t.Fatal(err)
		}
	}
	whole := ams.Blob{
		StorageAccount: "acct", Container: "box", Name: "a\x00b", Size: 30, ETag: "0x2", Created: now, LastModified: now,
		Headers:  ams.BlobHeaders{ContentType: "t", ContentEncoding: "e", ContentLanguage: "l", ContentDisposition: "d", CacheControl: "c", ContentMD5: []byte{1, 2}},
		Metadata: map[string]string{"k": "v"}, Tier: "Cool",
		Extents: []ams.Extent{{File: "f", Offset: 7, Length: 10, CRC64: 1<<64 - 1}, {File: "g", Length: 20}},
		Blocks:  []ams.Block{{ID: "AAAA", Size: 30, CRC64: 1 << 63}},
	}
	put := func(b ams.Blob, wantStaged int) {
		t.Helper()
		err := db.PutBlob(ctx, b.StorageAccount, b.Container, b.Name, func(old *ams.Blob, staged []ams.Block) (*ams.Blob, error) {
			if len(staged) != wantStaged {
				t.Errorf("%d staged blocks, want %d", len(staged), wantStaged)
			}
			return &b, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	check := func(*ams.Blob, ams.Block, int) error { return nil }
	stage := func(container, name, id, file string, at time.Time) (replaced string) {
		t.Helper()
		replaced, err := db.StageBlock(ctx, "acct", container, name, ams.Block{ID: id, Size: 5, CRC64: 1<<64 - 2, File: file, Staged: at}, check)
		if err != nil {
			t.Fatal(err)
		}
		return replaced
	}
	stage("box", whole.Name, "AAAA", "b1", now)
	if got := stage("box", whole.Name, "AAAA", "b2", now); got != "b1" {
		t.Errorf("replaced %q", got)
	}
	put(whole, 1)
	got, staged, err := db.Blocks(ctx, "acct", "box", whole.Name)
	if err != nil || len(staged) != 0 {
		t.Fatal(staged, err)
	}
	if got.Name != whole.Name || got.Headers.ContentDisposition != "d" || !slices.Equal(got.Headers.ContentMD5, whole.Headers.ContentMD5) ||
		got.Metadata["k"] != "v" || got.Tier != "Cool" || !got.Created.Equal(now) || !slices.Equal(got.Extents, whole.Extents) || !slices.Equal(got.Blocks, whole.Blocks) {
		t.Errorf("read back %+v, want %+v", got, whole)
	}
	one := ams.Blob{StorageAccount: "acct", Container: "other", Name: "one", Extents: []ams.Extent{{File: "w", Length: 1, Whole: true}}}
	put(one, 0)
	two := ams.Blob{StorageAccount: "acct", Container: "other", Name: "none"}
	put(two, 0)
	var names []string
	last := new(ams.Blob)
	for {
		list, err := db.ScatteredBlobs(ctx, last.StorageAccount, last.Container, last.Name, 1)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		last = list[0]
		names = append(names, last.Container+"/"+last.Name)
	}
	if !slices.Equal(names, []string{"box/a\x00b", "other/none"}) {
		t.Errorf("scattered: %q", names)
	}
	stage("other", "old", "AAAA", "b3", now.Add(-time.Hour))
	stage("other", "young", "AAAA", "b4", now)
	if files, err := db.ExpireBlocks(ctx, now, 10); err != nil || !slices.Equal(files, []string{"b3"}) {
		t.Errorf("expired %v, %v", files, err)
	}
	var all []string
	if err := db.Files(ctx, func(f string) { all = append(all, f) }); err != nil {
		t.Fatal(err)
	}
	if slices.Sort(all); !slices.Equal(all, []string{"b4", "f", "g", "w"}) {
		t.Errorf("files: %v", all)
	}
	// A refusal changes nothing.
	no := errors.New("no")
	if _, err := db.DeleteContainer(ctx, "acct", "other", func(*ams.Container) error { return no }); !errors.Is(err, no) {
		t.Errorf("refused deletion: %v", err)
	}
	if err := db.UpdateBlob(ctx, "acct", "other", "one", func(b *ams.Blob) error { b.Size = 99; return no }); !errors.Is(err, no) {
		t.Errorf("refused update: %v", err)
	}
	if b, err := db.Blob(ctx, "acct", "other", "one"); err != nil || b.Size != 0 {
		t.Errorf("after refusals: %+v, %v", b, err)
	}
	files, err := db.DeleteContainer(ctx, "acct", "other", func(*ams.Container) error { return nil })
	if slices.Sort(files); err != nil || !slices.Equal(files, []string{"b4", "w"}) {
		t.Errorf("deleted with files %v, %v", files, err)
	}
	var rows int
	if err := db.read.QueryRow("SELECT (SELECT count(*) FROM blobs) + (SELECT count(*) FROM blob_blocks)").Scan(&rows); err != nil || rows != 1 {
		t.Errorf("%d rows are left, %v", rows, err)
	}
}

// Lists and lookups must be steps in an index, however many blobs there are.
func TestBlobQueryPlans(t *testing.T) {
	ctx := context.Background()
	db, err := Open(ctx, Config{Path: filepath.Join(t.TempDir(), "openams.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, q := range []string{
		"SELECT name FROM blobs WHERE container = 1 AND name >= 'a' ORDER BY name LIMIT 10",
		"SELECT size FROM blobs WHERE container = 1 AND name = 'a'",
		"SELECT id FROM blob_blocks WHERE container = 1 AND blob = 'a' ORDER BY position DESC LIMIT 1",
		"SELECT seq FROM blob_blocks WHERE staged < 1 ORDER BY staged LIMIT 10",
		"SELECT name FROM blob_containers WHERE account = 'a' AND name >= 'a' ORDER BY name LIMIT 10",
	} {
		rows, err := db.read.Query("EXPLAIN QUERY PLAN " + q)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var id, parent, unused int
			var step string
			if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
				t.Fatal(err)
			}
			if len(step) >= 4 && step[:4] == "SCAN" || step == "USE TEMP B-TREE FOR ORDER BY" {
				t.Errorf("%s: %s", q, step)
			}
		}
		rows.Close()
	}
}
