package catalog

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"net/url"

	"github.com/pressly/goose/v3"
	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// A dialect is what differs between databases. The SQL of this package keeps
// to what SQLite and PostgreSQL share: ON CONFLICT, RETURNING, row values,
// partial indexes, bigint times; JSON is opaque text to it.
type dialect interface {
	// bind rewrites the ? placeholders of query as the database spells them.
	bind(query string) string
	// duplicate reports whether err is the violation of a unique index.
	duplicate(err error) bool
}

type sqlite struct{}

//go:embed migrations/sqlite/*.sql
var migrations embed.FS

// openSQLite opens the file with the durability that synchronous names; empty
// means read only.
func openSQLite(path, synchronous string) (*sql.DB, error) {
	q := url.Values{"_pragma": {"busy_timeout(15000)", "foreign_keys(1)", "cache_size(-16000)"}}
	if synchronous == "" {
		q.Add("_pragma", "query_only(1)")
	} else {
		q.Set("_txlock", "immediate")
		q.Add("_pragma", "journal_mode(WAL)")
		q.Add("_pragma", "synchronous("+synchronous+")")
	}
	return sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
}

func (sqlite) bind(query string) string { return query }

func (sqlite) duplicate(err error) bool {
	e, ok := errors.AsType[*driver.Error](err)
	return ok && (e.Code() == lib.SQLITE_CONSTRAINT_UNIQUE || e.Code() == lib.SQLITE_CONSTRAINT_PRIMARYKEY)
}

// migrate brings the schema up to date. Migrations are numbered by the folder
// that needs them, so a lower number may arrive later.
func migrate(ctx context.Context, db *sql.DB) error {
	dir, err := fs.Sub(migrations, "migrations/sqlite")
	if err != nil {
		return err
	}
	var failed error
	for range 5 { // of processes that open a new catalog at once, some meet the tables of another
		p, err := goose.NewProvider(goose.DialectSQLite3, db, dir,
			goose.WithAllowOutofOrder(true), goose.WithDisableGlobalRegistry(true))
		if err != nil {
			return err
		}
		if _, failed = p.Up(ctx); failed == nil {
			return nil
		}
	}
	return failed
}
