package catalog

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openams/openams/ams"
)

// Config says where the records are and how secrets are sealed.
type Config struct {
	Path string           // of the SQLite file; made when missing
	Key  [32]byte         // seals secrets at rest
	Now  func() time.Time // nil: time.Now
}

// A DB is an open catalog. It may be used by many goroutines; several
// processes may open one file.
type DB struct {
	dialect dialect
	read    *sql.DB // many connections, read only
	durable *sql.DB // one connection, synchronous=FULL
	quick   *sql.DB // one connection, synchronous=NORMAL
	turn    chan struct{}
	seal    cipher.AEAD
	now     func() time.Time
	changes atomic.Uint64

	watching  sync.Mutex
	watchers  []*func(JobChange)
	recorders []*func(*Tx, []JobChange) error
}

// Open opens the catalog, making or migrating it as needed. It fails when
// c.Key is not the key that the catalog was made with.
func Open(ctx context.Context, c Config) (*DB, error) {
	block, err := aes.NewCipher(c.Key[:])
	if err != nil {
		return nil, err
	}
	seal, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	db := &DB{dialect: sqlite{}, seal: seal, turn: make(chan struct{}, 1), now: c.Now}
	if db.now == nil {
		db.now = time.Now
	}
	if err := db.open(ctx, c.Path); err != nil {
		db.Close()
		return nil, fmt.Errorf("catalog %s: %w", c.Path, err)
	}
	return db, nil
}

func (db *DB) open(ctx context.Context, path string) error {
	var err error
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
	if err := migrate(ctx, db.durable); err != nil {
		return err
	}
	return db.Update(ctx, func(tx *Tx) error {
		if err := tx.checkKey(); err != nil {
			return err
		}
		return tx.seedPolicies()
	})
}

// Close waits for running transactions and closes the catalog.
func (db *DB) Close() error {
	var errs []error
	for _, p := range []*sql.DB{db.read, db.quick, db.durable} {
		if p != nil {
			errs = append(errs, p.Close())
		}
	}
	return errors.Join(errs...)
}

// Now is the instant by the clock of the catalog, to the precision it keeps.
func (db *DB) Now() time.Time { return db.now().UTC().Truncate(tick) }

// A Tx is a transaction. It is valid only inside the function it was given to
// and is not for concurrent use.
type Tx struct {
	db       *DB
	ctx      context.Context
	tx       *sql.Tx
	now      time.Time
	changes  []JobChange
	progress []JobChange
}

// Now is the instant of the transaction: what it writes happened then.
func (tx *Tx) Now() time.Time { return tx.now }

// View runs f over a read-only snapshot of one instant.
func (db *DB) View(ctx context.Context, f func(*Tx) error) error {
	return db.run(ctx, db.read, &sql.TxOptions{ReadOnly: true}, f)
}

// Update runs f as a read-write transaction, alone among all writers. It
// commits when f returns nil; then the changes are on disk.
func (db *DB) Update(ctx context.Context, f func(*Tx) error) error {
	err := db.write(ctx, db.durable, f)
	if err == nil {
		db.changes.Add(1)
	}
	return err
}

// Changes counts the Updates that this process committed: while it stands
// still, so does what View shows, apart from what Note and other processes
// write. It has risen when Update returns; who keeps an answer by it reads it
// before the View that makes the answer.
func (db *DB) Changes() uint64 { return db.changes.Load() }

// Note is Update for what may be lost with the power supply, but not with the
// process: progress and leases.
func (db *DB) Note(ctx context.Context, f func(*Tx) error) error {
	return db.write(ctx, db.quick, f)
}

// write waits its turn, so that writers of one process queue here in order
// and only those of other processes meet SQLite's busy handler.
func (db *DB) write(ctx context.Context, pool *sql.DB, f func(*Tx) error) error {
	select {
	case db.turn <- struct{}{}:
		defer func() { <-db.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	var changes []JobChange
	err := db.run(ctx, pool, nil, func(tx *Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		changes = tx.changes
		return tx.record()
	})
	if err == nil && len(changes) > 0 {
		db.tell(changes) // before the next writer's turn: watchers see the order of the commits
	}
	return err
}

func (db *DB) run(ctx context.Context, pool *sql.DB, o *sql.TxOptions, f func(*Tx) error) error {
	sqlTx, err := pool.BeginTx(ctx, o)
	if err != nil {
		return err
	}
	defer sqlTx.Rollback()
	if err := f(&Tx{db: db, ctx: ctx, tx: sqlTx, now: db.Now()}); err != nil {
		return err
	}
	return sqlTx.Commit()
}

// A JobChange says that a job or one of its tasks reached another state.
type JobChange struct {
	Account   string // Account.ID
	Transform string
	Job       string // name
	JobID     string
	Task      string // id; empty: the job itself
	TaskIndex int
	From, To  ams.JobState // From is empty for a new job
	Progress  float64      // percent, for Record alone
	At        time.Time
}

// Watch calls f after each commit of this process that changed the state of
// jobs, once per change, in the order of the commits. f must return soon and
// may not call db: a writer waits for it. The result ends the watch.
func (db *DB) Watch(f func(JobChange)) (stop func()) {
	db.watching.Lock()
	defer db.watching.Unlock()
	db.watchers = append(db.watchers, &f)
	return func() {
		db.watching.Lock()
		defer db.watching.Unlock()
		db.watchers = slices.DeleteFunc(db.watchers, func(g *func(JobChange)) bool { return g == &f })
	}
}

func (db *DB) tell(changes []JobChange) {
	db.watching.Lock()
	watchers := slices.Clone(db.watchers)
	db.watching.Unlock()
	for _, c := range changes {
		for _, f := range watchers {
			(*f)(c)
		}
	}
}

// sealed encrypts plain for the place named by context, which must be given
// again to open it: a sealed value cannot be moved to another row.
func (db *DB) sealed(context string, plain []byte) []byte {
	nonce := make([]byte, db.seal.NonceSize())
	rand.Read(nonce)
	return db.seal.Seal(nonce, nonce, plain, []byte(context))
}

func (db *DB) unsealed(context string, box []byte) ([]byte, error) {
	n := db.seal.NonceSize()
	if len(box) < n {
		return nil, fmt.Errorf("the secret of %s is damaged", context)
	}
	plain, err := db.seal.Open(nil, box[:n], box[n:], []byte(context))
	if err != nil {
		return nil, fmt.Errorf("the secret of %s does not open with this key", context)
	}
	return plain, nil
}

// checkKey proves that the catalog was made with the key of db, and marks a
// new catalog with it.
func (tx *Tx) checkKey() error {
	const name = "key check"
	var box []byte
	err := tx.queryRow("SELECT value FROM settings WHERE name = ?", name).Scan(&box)
	if errors.Is(err, sql.ErrNoRows) {
		_, err = tx.exec("INSERT INTO settings (name, value) VALUES (?, ?)", name, tx.db.sealed(name, []byte(name)))
		return err
	}
	if err != nil {
		return err
	}
	if _, err := tx.db.unsealed(name, box); err != nil {
		return errors.New("the key is not the one that this catalog was made with")
	}
	return nil
}

func (tx *Tx) exec(query string, args ...any) (sql.Result, error) {
	return tx.tx.ExecContext(tx.ctx, tx.db.dialect.bind(query), args...)
}

func (tx *Tx) query(query string, args ...any) (*sql.Rows, error) {
	return tx.tx.QueryContext(tx.ctx, tx.db.dialect.bind(query), args...)
}

func (tx *Tx) queryRow(query string, args ...any) *sql.Row {
	return tx.tx.QueryRowContext(tx.ctx, tx.db.dialect.bind(query), args...)
}
