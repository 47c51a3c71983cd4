package catalog

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"net/url"
	"runtime"

	"github.com/pressly/goose/v3"
	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// A dialect is what differs between databases. The SQL of this package keeps
// to what SQLite and PostgreSQL share: ON CONFLICT, RETURNING, row values,
// partial indexes, bigint times; JSON is opaque text to it.
type dialect interface {
	// bind rewrites the ? placeholders of query as the database spells them,
	// and args as its driver takes them.
	bind(query string, args []any) (string, []any)
	options(readOnly bool) *sql.TxOptions
	// begin is the first thing in a transaction that writes. alone asks for
	// one that meets no conflict.
	begin(ctx context.Context, tx *sql.Tx, alone bool) error
	// claiming ends a SELECT of one row that the transaction is to take: rows
	// that others are taking are passed over.
	claiming() string
	// counts reports whether the planner knows how much there is.
	counts() bool
	// duplicate reports whether err is the violation of a unique index.
	duplicate(err error) bool
	// conflict reports whether the transaction may succeed when run again.
	conflict(err error) bool
	// full reports whether there is no room on the database's disk.
	full(err error) bool
	migrate(ctx context.Context, db *sql.DB) error
}

type sqlite struct{}

//go:embed migrations
var migrations embed.FS

func (db *DB) openSQLite(path string) (err error) {
	db.dialect = sqlite{}
	db.turn = make(chan struct{}, 1)
	if db.durable, err = openSQLite(path, "FULL"); err != nil {
		return err
	}
	db.durable.SetMaxOpenConns(1)
	if db.quick, err = openSQLite(path, "NORMAL"); err != nil {
		return err
	}
	db.quick.SetMaxOpenConns(1)
	if db.read, err = openSQLite(path, ""); err != nil {
		return err
	}
	readers := max(4, 2*runtime.GOMAXPROCS(0))
	db.read.SetMaxOpenConns(readers)
	db.read.SetMaxIdleConns(readers)
	return nil
}

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

func (sqlite) bind(query string, args []any) (string, []any) { return query, args }

func (sqlite) options(readOnly bool) *sql.TxOptions { return &sql.TxOptions{ReadOnly: readOnly} }

// begin has nothing to do: BEGIN IMMEDIATE made it the only writer.
func (sqlite) begin(context.Context, *sql.Tx, bool) error { return nil }

func (sqlite) claiming() string { return "" }

func (sqlite) counts() bool { return false }

func (sqlite) conflict(error) bool { return false }

func (sqlite) duplicate(err error) bool {
	e, ok := errors.AsType[*driver.Error](err)
	return ok && (e.Code() == lib.SQLITE_CONSTRAINT_UNIQUE || e.Code() == lib.SQLITE_CONSTRAINT_PRIMARYKEY)
}

func (sqlite) full(err error) bool {
	e, ok := errors.AsType[*driver.Error](err)
	return ok && e.Code()&0xff == lib.SQLITE_FULL
}

// Migrations are numbered by the folder that needs them, so a lower number may
// arrive later.
func (sqlite) migrate(ctx context.Context, db *sql.DB) error {
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
