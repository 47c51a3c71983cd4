package catalog

import (
	"errors"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/openams/openams/ams"
)

// TestFull: no room for a record is an error of the disk for every noun, not
// an internal one, and goes when there is room again.
func TestFull(t *testing.T) {
	db, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "openams.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.durable.Exec("PRAGMA max_page_count = 1"); err != nil { // as a full disk: the file may not grow
		t.Fatal(err)
	}
	insert := func(i int) error {
		return db.Update(t.Context(), func(tx *Tx) error {
			return tx.InsertStorageAccount(&ams.StorageAccount{Name: "store" + strconv.Itoa(i), Keys: [2][]byte{make([]byte, 200), nil}})
		})
	}
	for i := range 2000 {
		if err = insert(i); err != nil {
			break
		}
	}
	if !errors.Is(err, ams.ErrStorageFull) || ams.CodeOf(err) != ams.Unavailable {
		t.Errorf("on a full disk: %v, want %v", err, ams.ErrStorageFull)
	}
	if _, err := db.durable.Exec("PRAGMA max_page_count = 1000000"); err != nil {
		t.Fatal(err)
	}
	if err := insert(1000); err != nil {
		t.Errorf("with room again: %v", err)
	}
}
