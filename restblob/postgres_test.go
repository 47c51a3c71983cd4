package restblob_test

import (
	"testing"

	"github.com/openams/openams/blob"
	"github.com/openams/openams/blob/blobtest"
	"github.com/openams/openams/blob/disk"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/catalog/catalogtest"
)

// The records of blobs may be in PostgreSQL.
func TestStoreOverPostgreSQL(t *testing.T) {
	server := catalogtest.StartPostgres(t)
	blobtest.Run(t, func(t *testing.T, o blob.Options) *blob.Store {
		db, err := catalog.Open(t.Context(), catalog.Config{URL: server.Database(t)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		driver, err := disk.New(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		return blob.New(db, driver, o)
	})
}
