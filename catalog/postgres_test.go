package catalog_test

import (
	"database/sql"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/openams/openams/ams"
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
	for _, tt := range []struct {
		name string
		run  func(*testing.T, string)
	}{
		{"OpenAtOnce", testOpenAtOnce},
		{"ManyWriters", func(t *testing.T, url string) { manyWriters(t, openURL(t, url, nil), openURL(t, url, nil)) }},
		{"CheckedThenWritten", testCheckedThenWritten},
		{"OneDuplicateIsNotTheEnd", testDuplicateIsNotTheEnd},
		{"TextThatCannotBeStored", testUnstorable},
		{"ViewCannotWrite", testViewCannotWrite},
		{"SchemasAgree", testSchemasAgree},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, server.Database(t)) })
	}
	t.Run("Others", func(t *testing.T) { testOthers(t, server) }) // stops the server
}

func insertAccount(name string) func(*catalog.Tx) error {
	return func(tx *catalog.Tx) error { return tx.InsertAccount(&ams.Account{ID: name, Name: name}) }
}

// Processes that start together on an empty database share one schema.
func testOpenAtOnce(t *testing.T, url string) {
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			db, err := catalog.Open(t.Context(), catalog.Config{URL: url})
			if err != nil {
				t.Error(err)
				return
			}
			db.Close()
		})
	}
	all.Wait()
	if db, err := catalog.Open(t.Context(), catalog.Config{URL: url, Key: [32]byte{9}}); err == nil {
		db.Close()
		t.Error("opened with another key")
	}
}

// Two processes each see that there is room for one more and take it, at the
// same time: one of them is made to look again.
func testCheckedThenWritten(t *testing.T, url string) {
	var looked sync.WaitGroup
	looked.Add(2)
	var runs atomic.Int32
	var all sync.WaitGroup
	for i, db := range []*catalog.DB{openURL(t, url, nil), openURL(t, url, nil)} {
		all.Go(func() {
			first := true
			err := db.Update(t.Context(), func(tx *catalog.Tx) error {
				runs.Add(1)
				list, _, err := tx.Accounts(catalog.Query{})
				if first {
					first = false
					looked.Done()
					looked.Wait()
				}
				if err != nil || len(list) > 0 {
					return err
				}
				return insertAccount(string(rune('a' + i)))(tx)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	err := openURL(t, url, nil).View(t.Context(), func(tx *catalog.Tx) error {
		list, _, err := tx.Accounts(catalog.Query{})
		if len(list) != 1 || runs.Load() < 3 {
			t.Errorf("%d accounts after %d runs, want 1 after 3", len(list), runs.Load())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func testDuplicateIsNotTheEnd(t *testing.T, url string) {
	db := openURL(t, url, nil)
	err := db.Update(t.Context(), func(tx *catalog.Tx) error {
		if err := insertAccount("a")(tx); err != nil {
			return err
		}
		if err := insertAccount("a")(tx); ams.CodeOf(err) != ams.Exists {
			t.Errorf("a second account: %v", err)
		}
		return insertAccount("b")(tx)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func testUnstorable(t *testing.T, url string) {
	db := openURL(t, url, nil)
	for _, name := range []string{"a\x00b", "a\xffb"} {
		if err := db.Update(t.Context(), insertAccount(name)); ams.CodeOf(err) != ams.Invalid {
			t.Errorf("%q is stored: %v", name, err)
		}
		err := db.View(t.Context(), func(tx *catalog.Tx) error {
			_, err := tx.AssetByContainer("store", name)
			return err
		})
		if ams.CodeOf(err) != ams.Invalid {
			t.Errorf("%q is looked up: %v", name, err)
		}
	}
}

func testViewCannotWrite(t *testing.T, url string) {
	db := openURL(t, url, nil)
	if err := db.View(t.Context(), insertAccount("x")); err == nil {
		t.Error("a view wrote")
	}
}

// Both databases have the same tables with the same columns, so that a
// migration is not written for one of them alone.
func testSchemasAgree(t *testing.T, url string) {
	columns := func(db *sql.DB, query string) map[string]bool {
		t.Helper()
		defer db.Close()
		rows, err := db.QueryContext(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		found := map[string]bool{}
		for rows.Next() {
			var table, column string
			if err := rows.Scan(&table, &column); err != nil {
				t.Fatal(err)
			}
			found[table+"."+column] = true
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return found
	}
	path := filepath.Join(t.TempDir(), "openams.db")
	open(t, path, nil)
	openURL(t, url, nil)
	lite, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	pg, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	inLite := columns(lite, "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type IN ('table', 'view') AND t.name NOT LIKE 'sqlite%' AND t.name <> 'goose_db_version'")
	inPG := columns(pg, "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'goose_db_version'")
	for _, c := range slices.Sorted(maps.Keys(inLite)) {
		if !inPG[c] {
			t.Errorf("%s is in SQLite alone", c)
		}
	}
	for _, c := range slices.Sorted(maps.Keys(inPG)) {
		if !inLite[c] {
			t.Errorf("%s is in PostgreSQL alone", c)
		}
	}
	if len(inLite) < 50 {
		t.Errorf("only %d columns", len(inLite))
	}
	loose, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer loose.Close(t.Context())
	var text *string
	err = loose.QueryRow(t.Context(), `SELECT string_agg(table_name || '.' || column_name, ', ') FROM information_schema.columns
		WHERE table_schema = 'public' AND table_name <> 'goose_db_version' AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'`).Scan(&text)
	if err != nil {
		t.Fatal(err)
	}
	if text != nil {
		t.Errorf("without COLLATE \"C\", so sorted by the server's language: %s", *text)
	}
}

// What one process writes another learns: by Changes within Staleness, by
// Watch for jobs. When the database falls silent, Changes says so.
func testOthers(t *testing.T, server *catalogtest.Postgres) {
	url := server.Database(t)
	here, there := openURL(t, url, nil), openURL(t, url, nil)
	heard := make(chan catalog.JobChange, 10)
	defer there.Watch(func(c catalog.JobChange) { heard <- c })()
	eventually := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: not in 20 s", what)
			}
		}
	}
	rises := func() bool { // with every call
		first := there.Changes()
		return there.Changes() != first
	}
	eventually("standing still", func() bool {
		before := there.Changes()
		time.Sleep(250 * time.Millisecond) // more than one look
		return there.Changes() == before
	})
	before := there.Changes()
	err := here.Update(t.Context(), func(tx *catalog.Tx) error {
		if err := insertAccount("acc")(tx); err != nil {
			return err
		}
		return tx.InsertJob(&ams.Job{Account: "acc", ID: "j", Name: "j", Tasks: []ams.Task{{ID: "t"}}})
	})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	eventually("Changes", func() bool { return there.Changes() != before })
	t.Logf("Changes rose after %v", time.Since(began))
	for _, task := range []string{"", "t"} {
		select {
		case c := <-heard:
			if c.JobID != "j" || c.Task != task || c.To != ams.Queued || c.Account != "acc" {
				t.Errorf("heard of %+v", c)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("the watcher was not told")
		}
	}

	server.Signal(t, syscall.SIGSTOP)
	eventually("silence", rises)
	server.Signal(t, syscall.SIGCONT)
	eventually("the end of silence", func() bool { return !rises() })
	eventually("work after silence", func() bool { return there.Update(t.Context(), insertAccount("after")) == nil })

	server.Stop()
	eventually("the end", rises)
	if err := there.Update(t.Context(), insertAccount("too late")); err == nil {
		t.Error("wrote without a server")
	}
}
