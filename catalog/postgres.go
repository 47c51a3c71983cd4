package catalog

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/openams/openams/ams"
)

// postgres is PostgreSQL 13 and later. Transactions that write are
// SERIALIZABLE: what one checked before it wrote still holds when it commits,
// although others write at the same time. PostgreSQL sees to it by failing
// one of two that do not go together, which write runs again. So no code
// above this file thinks of locks.
type postgres struct{}

// pgWriters is how many transactions of one process may write at once.
const pgWriters = 4

func (db *DB) openPostgres(ctx context.Context, url string) error {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return err
	}
	config.ConnectTimeout = cmp.Or(config.ConnectTimeout, 10*time.Second)
	config.RuntimeParams["application_name"] = cmp.Or(config.RuntimeParams["application_name"], "openams")
	pool := func(connections int, settings ...string) *sql.DB {
		c := config.Copy()
		for i := 0; i < len(settings); i += 2 {
			c.RuntimeParams[settings[i]] = settings[i+1]
		}
		p := stdlib.OpenDB(*c)
		p.SetMaxOpenConns(connections)
		p.SetMaxIdleConns(connections)
		return p
	}
	db.dialect = postgres{}
	db.turn = make(chan struct{}, pgWriters)
	// A scan of a table conflicts with every write to it, an index scan with few.
	db.durable = pool(pgWriters, "synchronous_commit", "on", "enable_seqscan", "off")
	db.quick = pool(pgWriters, "synchronous_commit", "off", "enable_seqscan", "off")
	db.read = pool(max(4, 2*runtime.GOMAXPROCS(0)), "default_transaction_read_only", "on")

	var version int
	if err := db.read.QueryRowContext(ctx, "SELECT current_setting('server_version_num')::int").Scan(&version); err != nil {
		return err
	}
	if version < 130000 {
		return fmt.Errorf("PostgreSQL %d is too old: openams needs 13 or newer", version/10000)
	}
	db.others, err = follow(ctx, db, config)
	return err
}

func (postgres) bind(query string, args []any) (string, []any) {
	if len(args) == 0 {
		return query, nil
	}
	var b strings.Builder
	for n := 1; ; n++ {
		before, after, found := strings.Cut(query, "?")
		b.WriteString(before)
		if !found {
			break
		}
		b.WriteString("$" + strconv.Itoa(n))
		query = after
	}
	plain := make([]any, len(args))
	for i, a := range args {
		plain[i] = argument{a}
	}
	return b.String(), plain
}

// An argument is a value as database/sql would pass it to other drivers: the
// kind counts, not the Go type.
type argument struct{ of any }

func (a argument) Value() (driver.Value, error) {
	v, err := driver.DefaultParameterConverter.ConvertValue(a.of)
	if s, ok := v.(string); ok && (strings.ContainsRune(s, 0) || !utf8.ValidString(s)) {
		return nil, ams.Errorf(ams.Invalid, "The text %q has a character that cannot be stored.", s)
	}
	return v, err
}

func (postgres) options(readOnly bool) *sql.TxOptions {
	if readOnly {
		return &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	}
	return &sql.TxOptions{Isolation: sql.LevelSerializable}
}

// begin keeps a transaction that wants to be alone and all others apart, by a
// lock of a table that the others hardly use. It comes before the
// transaction's snapshot: LOCK does not take one.
func (postgres) begin(ctx context.Context, tx *sql.Tx, alone bool) error {
	mode := "ROW SHARE"
	if alone {
		mode = "EXCLUSIVE"
	}
	_, err := tx.ExecContext(ctx, "LOCK TABLE settings IN "+mode+" MODE")
	return err
}

func (postgres) claiming() string { return " FOR UPDATE SKIP LOCKED" }

func (postgres) counts() bool { return true }

// The codes are of PostgreSQL's appendix A.
func code(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

func (postgres) duplicate(err error) bool { return code(err) == "23505" }

func (postgres) conflict(err error) bool {
	c := code(err)
	return c == "40001" || c == "40P01" // serialization_failure, deadlock_detected
}

func (postgres) full(err error) bool { return code(err) == "53100" }

func (postgres) migrate(ctx context.Context, db *sql.DB) error {
	dir, err := fs.Sub(migrations, "migrations/postgres")
	if err != nil {
		return err
	}
	one, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, dir, goose.WithSessionLocker(one),
		goose.WithAllowOutofOrder(true), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	if pending, err := p.HasPending(ctx); err == nil && !pending {
		return nil
	}
	_, err = p.Up(ctx)
	return err
}
