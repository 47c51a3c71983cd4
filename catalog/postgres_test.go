package catalog_test

import (
	"testing"
	"time"

	"github.com/openams/openams/catalog"
	"github.com/openams/openams/catalog/catalogtest"
)

func openURL(t *testing.T, url string, now func() time.Time) *catalog.DB {
	t.Helper()
	db, err := catalog.Open(t.Context(), catalog.Config{URL: url, Key: [32]byte{1}, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func TestPostgreSQL(t *testing.T) {
	server := catalogtest.StartPostgres(t)
	catalogtest.Run(t, func(t *testing.T, now func() time.Time) *catalog.DB {
		return openURL(t, server.Database(t), now)
	})
}
