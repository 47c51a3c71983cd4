package catalog_test

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/filter"
)

const million = 1_000_000

// BenchmarkMillionAssets measures what a client sees of an account with a
// million assets in SQLite, less HTTP. p99-ms is of single calls.
func BenchmarkMillionAssets(b *testing.B) {
	path := filepath.Join(b.TempDir(), "openams.db")
	fill(b, path, million)
	began := time.Now()
	db, err := catalog.Open(b.Context(), catalog.Config{Path: path, Key: [32]byte{1}})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	opened := time.Since(began)

	b.Run("Open", func(b *testing.B) {
		for b.Loop() {
			again, err := catalog.Open(b.Context(), catalog.Config{Path: path, Key: [32]byte{1}})
			if err != nil {
				b.Fatal(err)
			}
			again.Close()
		}
		b.ReportMetric(opened.Seconds(), "first-s")
	})
	b.Run("GET", func(b *testing.B) {
		calls(b, func() error {
			return db.View(b.Context(), func(tx *catalog.Tx) error {
				_, err := tx.Asset("acc", assetName(rand.IntN(million)))
				return err
			})
		})
	})
	b.Run("PUT", func(b *testing.B) {
		calls(b, func() error {
			id := uuid.NewString()
			return db.Update(b.Context(), func(tx *catalog.Tx) error {
				return tx.InsertAsset(&ams.Asset{Account: "acc", ID: id, Name: "new-" + id, StorageAccount: "store",
					Container: "asset-" + id, Created: tx.Now(), LastModified: tx.Now()})
			})
		})
	})
	for _, order := range []string{"", "created"} {
		for _, desc := range []bool{false, true} {
			deep := deepToken(b, db, order, desc)
			name := fmt.Sprintf("order=%s,desc=%v", order, desc)
			b.Run("FirstPage/"+name, func(b *testing.B) { page(b, db, catalog.Query{OrderBy: order, Desc: desc}) })
			b.Run("DeepPage/"+name, func(b *testing.B) { page(b, db, catalog.Query{OrderBy: order, Desc: desc, After: deep}) })
		}
	}
	for _, f := range []string{
		"properties/alternateId eq 'alt-7777'",
		"properties/assetId eq " + assetID(777_777),
		"name gt '" + assetName(900_000) + "'",
		"name ge '" + assetName(500_000) + "' and name lt '" + assetName(500_100) + "'",
		"properties/created gt " + timestamp(999_500),
		"properties/created gt " + timestamp(900_000),
		"properties/created gt " + timestamp(500_000),
		"properties/created gt " + timestamp(10),
		"properties/created gt " + timestamp(800_000),
		"properties/created gt " + timestamp(840_000),
		"properties/created lt " + timestamp(500_000),
		"properties/created ge " + timestamp(500_000) + " and properties/created lt " + timestamp(500_100),
		"properties/created gt " + timestamp(1_100_000), // none
		"properties/alternateId eq 'alt-7777' and properties/created gt " + timestamp(500_000),
		"properties/alternateId eq 'alt-7777' or name eq '" + assetName(3) + "'",
		"properties/alternateId eq 'alt-7777' or properties/assetId eq " + assetID(777_777) + " or name gt '" + assetName(900_000) + "'",
		"properties/alternateId eq 'alt-7777' or properties/created gt " + timestamp(700_000),
		"properties/alternateId eq 'alt-7777' or properties/created gt " + timestamp(640_000),
		"properties/created gt " + timestamp(640_000),
		"properties/created gt " + timestamp(660_000),
		"properties/created lt " + timestamp(340_000),
		"properties/created lt " + timestamp(340_000) + " or properties/created gt " + timestamp(700_000),
		"properties/created ge " + timestamp(200_000) + " and properties/created lt " + timestamp(500_000),
		"name gt '" + assetName(660_000) + "'",
		"name lt '" + assetName(340_000) + "'",
		"not (properties/alternateId eq 'alt-7777')",
		"not (properties/alternateId eq 'alt-7777' or properties/created lt " + timestamp(999_000) + ")",
	} {
		e, err := filter.Parse(f)
		if err != nil {
			b.Fatal(err)
		}
		for _, order := range []string{"", "created"} {
			for _, desc := range []bool{false, true} {
				b.Run(fmt.Sprintf("Filter/order=%s,desc=%v/%s", order, desc, strings.ReplaceAll(f, " ", "_")), func(b *testing.B) {
					page(b, db, catalog.Query{Filter: e, OrderBy: order, Desc: desc})
				})
			}
		}
	}
	for _, f := range []string{
		"Name eq 'film-0300000.mp4'",
		"Name gt 'film-0250000.mp4'",
		"startswith(Name,'film-04') and State eq 0",
		"Created gt datetime'2020-01-06T18:53:20'",
		"Created lt datetime'2020-01-04T22:26:40'",
		"AlternateId eq 'alt-7777' and Created gt datetime'2020-01-01T18:53:20'",
		"State eq 0 and Created gt datetime'2020-01-11T18:53:20'",
		"Name eq 'film-0300000.mp4' or AlternateId eq 'alt-7777' or Created gt datetime'2020-01-12T13:38:20'",
		"State ne 0",
	} {
		e, err := filter.Parse(f)
		if err != nil {
			b.Fatal(err)
		}
		for _, order := range []filter.Order{{Field: "Id"}, {Field: "Name"}, {Field: "Created", Desc: true}} {
			b.Run(fmt.Sprintf("V2/order=%v/%s", order, strings.ReplaceAll(f, " ", "_")), func(b *testing.B) {
				calls(b, func() error {
					return db.View(b.Context(), func(tx *catalog.Tx) error {
						_, err := tx.FindAssets("acc", catalog.Search{Filter: e, Orders: []filter.Order{order}, Top: 1000})
						return err
					})
				})
			})
		}
	}
	b.Run("Memory", func(b *testing.B) {
		for b.Loop() {
		}
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			b.Skip(err)
		}
		var peak float64
		_, text, _ := strings.Cut(string(status), "VmHWM:")
		fmt.Sscan(text, &peak)
		b.ReportMetric(peak/1024, "peak-MiB")
		b.ReportMetric(0, "ns/op")
	})
}

func assetName(i int) string { return fmt.Sprintf("asset-%07d", i) }
func assetID(i int) string   { return fmt.Sprintf("%08x-0000-4000-8000-000000000000", i) }
func created(i int) time.Time {
	return time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * time.Second)
}

func timestamp(i int) string { return created(i).Format("2006-01-02T15:04:05.0000000Z") }

// fill makes the assets as they would be after years, by SQL.
func fill(b testing.TB, path string, n int) {
	b.Helper()
	db, err := catalog.Open(b.Context(), catalog.Config{Path: path, Key: [32]byte{1}})
	if err != nil {
		b.Fatal(err)
	}
	err = db.Update(b.Context(), func(tx *catalog.Tx) error {
		if err := tx.InsertAccount(&ams.Account{ID: "acc", Name: "media"}); err != nil {
			return err
		}
		return tx.InsertAsset(&ams.Asset{Account: "acc", ID: assetID(0), Name: assetName(0), AlternateID: "alt-0", StorageAccount: "store",
			Container: "asset-" + assetID(0), Created: created(0), LastModified: created(0), CreatedBy: "somebody@example.org", LastModifiedBy: "somebody@example.org"})
	})
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	if err != nil {
		b.Fatal(err)
	}
	raw, err := sql.Open("sqlite", path)
	if err != nil {
		b.Fatal(err)
	}
	defer raw.Close()
	_, err = raw.ExecContext(b.Context(), `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO assets (account, id, name, name_key, label, alternate_id, storage_account, container, created, last_modified, rest)
		SELECT account, printf('%08x', i) || substr(id, 9), printf('asset-%07d', i), printf('asset-%07d', i), printf('film-%07d.mp4', i / 2), 'alt-' || i / 50,
			storage_account, 'asset-' || printf('%08x', i) || substr(id, 9), created + i * 10000000, last_modified + i * 10000000, rest
		FROM n, assets WHERE seq = 1`, n-1)
	if err != nil {
		b.Fatal(err)
	}
}

// deepToken is the token of a page that begins past 990,000 assets: that of
// a page of one which begins there by a filter.
func deepToken(b *testing.B, db *catalog.DB, order string, desc bool) (token string) {
	b.Helper()
	n, than := 990_000, "ge"
	if desc {
		n, than = million-n, "le"
	}
	text := fmt.Sprintf("name %s '%s'", than, assetName(n))
	if order == "created" {
		text = fmt.Sprintf("created %s %s", than, timestamp(n))
	}
	e, err := filter.Parse(text)
	if err != nil {
		b.Fatal(err)
	}
	err = db.View(b.Context(), func(tx *catalog.Tx) (err error) {
		_, token, err = tx.Assets("acc", catalog.Query{Filter: e, OrderBy: order, Desc: desc, Top: 1})
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return token
}

func page(b *testing.B, db *catalog.DB, q catalog.Query) {
	calls(b, func() error {
		return db.View(b.Context(), func(tx *catalog.Tx) error {
			_, _, err := tx.Assets("acc", q)
			return err
		})
	})
}

// calls reports percentiles of f's time, and the processor's time, which
// other programs on the machine disturb less.
func calls(b *testing.B, f func() error) {
	var took []time.Duration
	busy := cpu()
	for b.Loop() {
		began := time.Now()
		if err := f(); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	b.ReportMetric(float64((cpu()-busy).Microseconds())/1000/float64(len(took)), "cpu-ms")
	slices.Sort(took)
	for _, p := range []int{50, 99} {
		b.ReportMetric(float64(took[len(took)*p/100].Microseconds())/1000, fmt.Sprintf("p%d-ms", p))
	}
}

func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
