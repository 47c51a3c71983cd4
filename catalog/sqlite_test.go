package catalog_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/catalog/catalogtest"
	"github.com/openams/openams/filter"
)

func open(t *testing.T, path string, now func() time.Time) *catalog.DB {
	t.Helper()
	db, err := catalog.Open(t.Context(), catalog.Config{Path: path, Key: [32]byte{1}, Now: now})
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

func TestSQLite(t *testing.T) {
	catalogtest.Run(t, func(t *testing.T, now func() time.Time) *catalog.DB {
		return open(t, filepath.Join(t.TempDir(), "openams.db"), now)
	})
}

// Every way to search, which else only many rows would need.
func TestSearch(t *testing.T) {
	catalogtest.Lists(t, func(t *testing.T, now func() time.Time) *catalog.DB {
		db := open(t, filepath.Join(t.TempDir(), "openams.db"), now)
		db.SearchAsIfLarge()
		return db
	})
}

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "50% of #1?", "open ams.db")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	key := [32]byte{7}
	secret := bytes.Repeat([]byte("secret"), 10)
	for i := range 3 {
		db, err := catalog.Open(t.Context(), catalog.Config{Path: path, Key: key})
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(t.Context(), func(tx *catalog.Tx) error {
			if i == 0 {
				return tx.InsertStorageAccount(&ams.StorageAccount{Name: "store", Keys: [2][]byte{secret, nil}})
			}
			s, err := tx.StorageAccount("store")
			if err == nil && !bytes.Equal(s.Keys[0], secret) {
				t.Errorf("key reads back as %q", s.Keys[0])
			}
			return err
		})
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := os.ReadFile(path); err != nil || bytes.Contains(b, []byte("secretsecret")) {
		t.Errorf("a key is in the file as it is (%v)", err)
	}
	key[0]++
	if _, err := catalog.Open(t.Context(), catalog.Config{Path: path, Key: key}); err == nil || !strings.Contains(err.Error(), "key") {
		t.Errorf("opened with another key: %v", err)
	}
}

func TestViewIsASnapshotThatCannotWrite(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "openams.db"), nil)
	insert := func(name string) error {
		return db.Update(t.Context(), func(tx *catalog.Tx) error { return tx.InsertAccount(&ams.Account{ID: name, Name: name}) })
	}
	err := db.View(t.Context(), func(tx *catalog.Tx) error {
		if _, _, err := tx.Accounts(catalog.Query{}); err != nil {
			return err
		}
		if err := insert("later"); err != nil { // a reader does not hold up the writer
			return err
		}
		if _, err := tx.Account("later"); ams.CodeOf(err) != ams.NotFound {
			t.Errorf("a view sees what came after it: %v", err)
		}
		if err := tx.InsertAccount(&ams.Account{ID: "x", Name: "x"}); err == nil {
			t.Error("a view wrote")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Only what is committed counts as a change: caches stand on it.
func TestChangesStandStill(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "openams.db"), nil)
	before := db.Changes()
	if err := db.Update(t.Context(), func(*catalog.Tx) error { return errors.New("no") }); err == nil {
		t.Error("committed")
	}
	if err := db.Note(t.Context(), func(*catalog.Tx) error { return nil }); err != nil {
		t.Error(err)
	}
	if n := db.Changes(); n != before {
		t.Errorf("a failure and a note count as %d changes", n-before)
	}
}

// Writers of several handles, as of several processes, on one file lose no
// update and see no busy error.
func TestManyWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "openams.db")
	manyWriters(t, open(t, path, nil), open(t, path, nil))
}

func manyWriters(t *testing.T, dbs ...*catalog.DB) {
	err := dbs[0].Update(t.Context(), func(tx *catalog.Tx) error {
		return tx.InsertAccount(&ams.Account{ID: "acc", Name: "acc"})
	})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	const writers, rounds = 8, 20
	for w := range writers {
		db := dbs[w%2]
		write := db.Update
		if w%4 < 2 {
			write = db.Note
		}
		all.Go(func() {
			for range rounds {
				err := write(t.Context(), func(tx *catalog.Tx) error {
					a, err := tx.AccountByID("acc")
					if err != nil {
						return err
					}
					a.Location += "x"
					return tx.UpdateAccount(a)
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	err = dbs[0].View(t.Context(), func(tx *catalog.Tx) error {
		a, err := tx.AccountByID("acc")
		if err == nil && len(a.Location) != writers*rounds {
			t.Errorf("%d of %d updates", len(a.Location), writers*rounds)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A filter that lets most of a long list through finds the same, by another
// way, as one that lets little through.
func TestWideFilter(t *testing.T) {
	const n = 200_000
	path := filepath.Join(t.TempDir(), "openams.db")
	fill(t, path, n)
	db := open(t, path, nil)
	for _, first := range []int{2, n - 500, n - 5} {
		for _, desc := range []bool{false, true} {
			e, err := filter.Parse("properties/created ge " + timestamp(first))
			if err != nil {
				t.Fatal(err)
			}
			err = db.View(t.Context(), func(tx *catalog.Tx) error {
				page, next, err := tx.Assets("acc", catalog.Query{Filter: e, Desc: desc, Top: 100})
				if err != nil {
					return err
				}
				at := first
				step := 1
				if desc {
					at, step = n-1, -1
				}
				for i, a := range page {
					if want := assetName(at + i*step); a.Name != want {
						t.Errorf("from %d, desc %v: asset %d is %s, want %s", first, desc, i, a.Name, want)
						break
					}
				}
				if len(page) != min(100, n-first) || (next == "") != (n-first <= 100) {
					t.Errorf("from %d, desc %v: %d assets, next %q", first, desc, len(page), next)
				}
				if next == "" {
					return nil
				}
				page, _, err = tx.Assets("acc", catalog.Query{Filter: e, Desc: desc, Top: 100, After: next})
				if want := assetName(at + 100*step); err == nil && page[0].Name != want {
					t.Errorf("from %d, desc %v: the second page begins with %s, want %s", first, desc, page[0].Name, want)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
	}
}

// A process that is killed while it writes leaves a catalog that opens, with
// everything it had reported as done and whole transactions only.
func TestKilledWriter(t *testing.T) {
	const path = "OPENAMS_TEST_KILLED_WRITER"
	if p := os.Getenv(path); p != "" {
		first, _ := strconv.Atoi(os.Getenv(path + "_FIRST"))
		killedWriter(t, p, first)
		return
	}
	file := filepath.Join(t.TempDir(), "openams.db")
	rng := rand.New(rand.NewPCG(3, 4))
	done := -1
	for range 6 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledWriter$", "-test.v")
		cmd.Env = append(os.Environ(), path+"="+file, fmt.Sprintf("%s_FIRST=%d", path, done+1))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// Killed after some reports, in the middle of what follows.
		lines, reports := bufio.NewScanner(out), 1+rng.IntN(20)
		for lines.Scan() {
			if n, ok := strings.CutPrefix(lines.Text(), "done "); ok {
				done, _ = strconv.Atoi(n)
				if reports--; reports == 0 {
					cmd.Process.Kill()
				}
			}
		}
		cmd.Wait()
		if reports > 0 {
			t.Fatal("the writer ended by itself")
		}
		db := open(t, file, nil)
		err = db.View(t.Context(), func(tx *catalog.Tx) error {
			for i := 0; ; i++ {
				j, err := tx.Job("acc", "t", strconv.Itoa(i))
				if ams.CodeOf(err) == ams.NotFound {
					if i <= done {
						t.Fatalf("job %d was reported as done and is gone", i)
					}
					return nil
				}
				if err != nil {
					return err
				}
				if len(j.Tasks) != 3 {
					t.Fatalf("job %d has %d of 3 tasks", i, len(j.Tasks))
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if done < 6 {
		t.Errorf("only %d jobs were written", done)
	}
}

func killedWriter(t *testing.T, path string, first int) {
	db := open(t, path, nil)
	for i := first; ; i++ {
		err := db.Update(t.Context(), func(tx *catalog.Tx) error {
			if _, err := tx.AccountByID("acc"); ams.CodeOf(err) == ams.NotFound {
				if err := tx.InsertAccount(&ams.Account{ID: "acc", Name: "acc"}); err != nil {
					return err
				}
				if err := tx.InsertTransform(&ams.Transform{Account: "acc", Name: "t"}); err != nil {
					return err
				}
			}
			j := &ams.Job{Account: "acc", Transform: "t", Name: strconv.Itoa(i), ID: strconv.Itoa(i)}
			for k := range 3 {
				j.Tasks = append(j.Tasks, ams.Task{ID: fmt.Sprintf("%d-%d", i, k)})
			}
			err := tx.InsertJob(j)
			if ams.CodeOf(err) == ams.Exists {
				return nil // by one that was killed before
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("done %d\n", i)
	}
}

func TestFoldKeepsPages(t *testing.T) {
	// Names whose foldings are long and far apart in Unicode page like others.
	db := open(t, filepath.Join(t.TempDir(), "openams.db"), nil)
	names := []string{"Z", "a", "É", "е", "ΣΊΓΜΑ", "東京", "ǅ", "ß", "İ", "𐐀", strings.Repeat("W", 260)}
	err := db.Update(t.Context(), func(tx *catalog.Tx) error {
		if err := tx.InsertAccount(&ams.Account{ID: "acc", Name: "acc"}); err != nil {
			return err
		}
		for i, n := range names {
			if err := tx.InsertAsset(&ams.Asset{Account: "acc", ID: strconv.Itoa(i), Name: n, Container: strconv.Itoa(i)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	q := catalog.Query{Top: 2}
	for range 6 {
		err := db.View(t.Context(), func(tx *catalog.Tx) error {
			page, next, err := tx.Assets("acc", q)
			for _, a := range page {
				got[a.Name] = true
			}
			q.After = next
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(got) != len(names) || q.After != "" {
		t.Errorf("%d of %d names, next %q", len(got), len(names), q.After)
	}
	err = db.View(t.Context(), func(tx *catalog.Tx) error {
		for _, n := range []string{"é", "Е", "σίγμα", "ǆ", "𐐨"} {
			if _, err := tx.Asset("acc", n); err != nil {
				t.Errorf("%q: %v", n, err)
			}
		}
		if _, err := tx.Asset("acc", "i"); ams.CodeOf(err) != ams.NotFound {
			t.Error("i is found as İ")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestOpenAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "openams.db")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			db, err := catalog.Open(t.Context(), catalog.Config{Path: path})
			if err != nil {
				t.Error(err)
				return
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}
