package catalog

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	crand "crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openams/openams/ams"
)

// Config says where the records are and how secrets are sealed.
type Config struct {
	Path string           // of the SQLite file; made when missing
	URL  string           // postgres://…: the records are in that database instead, which exists
	Key  [32]byte         // seals secrets at rest
	Now  func() time.Time // nil: time.Now
}

// A DB is an open catalog. It may be used by many goroutines; several
// processes may open one file or database.
type DB struct {
	dialect dialect
	read    *sql.DB       // many connections, read only
	durable *sql.DB       // for Update
	quick   *sql.DB       // for Note
	turn    chan struct{} // as many places as there may be writers at once
	seal    cipher.AEAD
	now     func() time.Time
	changes atomic.Uint64
	group   group
	others  *others // nil: nobody else's changes are followed
	fewRows int     // see search

	telling   sync.Mutex // held from a commit that changed jobs until its watchers were told
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
	db := &DB{seal: seal, now: c.Now, fewRows: fewRows}
	if db.now == nil {
		db.now = time.Now
	}
	where := c.Path
	if c.URL != "" {
		where = "in PostgreSQL" // the URL may hold a password
		err = db.openPostgres(ctx, c.URL)
	} else {
		err = db.openSQLite(c.Path)
	}
	if err == nil {
		err = db.prepare(ctx)
	}
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("catalog %s: %w", where, err)
	}
	return db, nil
}

// prepare brings the schema up to date and fills in what every catalog has.
func (db *DB) prepare(ctx context.Context) error {
	if err := db.dialect.migrate(ctx, db.durable); err != nil {
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
	if db.others != nil {
		errs = append(errs, db.others.close())
	}
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
	joint    bool // of a Transact
}

// Now is the instant of the transaction: what it writes happened then.
func (tx *Tx) Now() time.Time { return tx.now }

// View runs f over a read-only snapshot of one instant.
func (db *DB) View(ctx context.Context, f func(*Tx) error) error {
	if tx := db.joined(ctx); tx != nil {
		return f(tx)
	}
	sqlTx, err := db.read.BeginTx(ctx, db.dialect.options(true))
	if err != nil {
		return err
	}
	defer sqlTx.Rollback()
	if err := f(&Tx{db: db, ctx: ctx, tx: sqlTx, now: db.Now()}); err != nil {
		return err
	}
	return sqlTx.Commit()
}

// Update runs f in a read-write transaction, as if alone among all writers. It
// commits when f returns nil; then the changes are on disk.
//
// PostgreSQL may find that f saw what another writer changes meanwhile. Then
// all that f wrote is undone and f runs again: it starts over with what it
// captures, does nothing outside tx, and passes on the errors of tx.
func (db *DB) Update(ctx context.Context, f func(*Tx) error) error {
	if tx := db.joined(ctx); tx != nil {
		return tx.within(f)
	}
	err := db.write(ctx, db.durable, f)
	if err == nil {
		db.changes.Add(1)
	}
	return err
}

type txKey struct{}

// Transact runs do in one transaction: every View, Update and Note of db with
// the context that do gets is part of it. It is committed when do returns nil.
// do is not to pass the context to what outlives it; like what Update runs, it
// may run again.
func (db *DB) Transact(ctx context.Context, do func(context.Context) error) error {
	return db.Update(ctx, func(tx *Tx) error {
		tx.joint = true
		return do(context.WithValue(ctx, txKey{}, tx))
	})
}

// Joined reports whether ctx is that of a Transact: what cannot be taken back
// is not to be done then.
func Joined(ctx context.Context) bool { return ctx.Value(txKey{}) != nil }

// Joined reports whether tx is that of a Transact.
func (tx *Tx) Joined() bool { return tx.joint }

// joined is the transaction of ctx; nil: none.
func (db *DB) joined(ctx context.Context) *Tx {
	if tx, _ := ctx.Value(txKey{}).(*Tx); tx != nil && tx.db == db {
		return tx
	}
	return nil
}

// within runs f so that nothing of it stays when it fails.
func (tx *Tx) within(f func(*Tx) error) error {
	if _, err := tx.exec("SAVEPOINT inner_update"); err != nil {
		return err
	}
	changes, progress := len(tx.changes), len(tx.progress)
	end := "RELEASE SAVEPOINT inner_update"
	err := f(tx)
	if err != nil {
		tx.changes, tx.progress = tx.changes[:changes], tx.progress[:progress]
		end = "ROLLBACK TO SAVEPOINT inner_update"
	}
	if _, sqlErr := tx.exec(end); err == nil {
		err = sqlErr
	}
	return err
}

// Changes counts the Updates that this process committed, and on PostgreSQL
// the times that others were seen to have written: while it stands still, so
// does what View shows, apart from what Note writes and from what others
// wrote within Staleness. It has risen when Update returns; who keeps an
// answer by it reads it before the View that makes the answer. While
// PostgreSQL does not answer, it rises with every call. On SQLite the changes
// of other processes do not count.
func (db *DB) Changes() uint64 {
	if db.others != nil && db.others.silent() {
		return db.changes.Add(1)
	}
	return db.changes.Load()
}

// Note is Update for what may be lost with the power supply, but not with the
// process: progress and leases.
func (db *DB) Note(ctx context.Context, f func(*Tx) error) error {
	if tx := db.joined(ctx); tx != nil {
		return tx.within(f)
	}
	return db.write(ctx, db.quick, f)
}

// write waits its turn, so that on SQLite writers of one process queue here
// in order and only those of other processes meet the busy handler. It runs f
// again after a conflict: a few times in the hope that the others are gone,
// then with all of them held off. A full disk is ams.ErrStorageFull, whatever
// was to be written: nothing of it is.
func (db *DB) write(ctx context.Context, pool *sql.DB, f func(*Tx) error) error {
	select {
	case db.turn <- struct{}{}:
		defer func() { <-db.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	const hopeful, most = 5, 10
	for try := 1; ; try++ {
		err := db.writeOnce(ctx, pool, try > hopeful, f)
		if err != nil && db.dialect.full(err) {
			return fmt.Errorf("%w (%w)", ams.ErrStorageFull, err)
		}
		if err == nil || try == most || !db.dialect.conflict(err) {
			return err
		}
		select {
		case <-time.After(rand.N(time.Duration(try) * 2 * time.Millisecond)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (db *DB) writeOnce(ctx context.Context, pool *sql.DB, alone bool, f func(*Tx) error) error {
	sqlTx, err := pool.BeginTx(ctx, db.dialect.options(false))
	if err != nil {
		return err
	}
	defer sqlTx.Rollback()
	if err := db.dialect.begin(ctx, sqlTx, alone); err != nil {
		return err
	}
	tx := &Tx{db: db, ctx: ctx, tx: sqlTx, now: db.Now()}
	if err := f(tx); err != nil {
		return err
	}
	if err := tx.record(); err != nil {
		return err
	}
	if len(tx.changes) == 0 {
		return sqlTx.Commit()
	}
	if db.others != nil {
		if err := db.others.announce(tx); err != nil {
			return err
		}
	}
	db.telling.Lock() // watchers see the order of the commits
	defer db.telling.Unlock()
	if err := sqlTx.Commit(); err != nil {
		return err
	}
	db.tell(tx.changes)
	return nil
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
// jobs, once per change, in the order of the commits, one call at a time. On
// PostgreSQL it is called for the commits of other processes too, soon after
// them; those are missed while the connection is broken. f must return soon
// and may not call db: a writer waits for it. The result ends the watch.
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
	crand.Read(nonce)
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
	query, args = tx.db.dialect.bind(query, args)
	return tx.tx.ExecContext(tx.ctx, query, args...)
}

func (tx *Tx) query(query string, args ...any) (*sql.Rows, error) {
	query, args = tx.db.dialect.bind(query, args)
	return tx.tx.QueryContext(tx.ctx, query, args...)
}

func (tx *Tx) queryRow(query string, args ...any) *sql.Row {
	query, args = tx.db.dialect.bind(query, args)
	return tx.tx.QueryRowContext(tx.ctx, query, args...)
}
