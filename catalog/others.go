package catalog

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Staleness is how long after the commit of another process Changes may still
// stand: commonly glance, and never longer than this.
const Staleness = time.Second

// glance is how often a process looks whether others have written.
const glance = 100 * time.Millisecond

// others follows what other processes do in the same PostgreSQL database, on
// a connection of its own.
//
// That they wrote shows in pg_current_snapshot(), the numbers of the
// transactions that one sees: it differs after every commit. Looking at it
// costs the writers nothing, where NOTIFY would let only one of them commit at
// a time. Changes of jobs are rarer and do come by NOTIFY.
type others struct {
	self  string // tells this DB's notifications from those of others
	start time.Time
	seen  atomic.Int64 // when the last good look began, after start
	stop  context.CancelFunc
	done  chan struct{}
}

const channel = "openams_jobs"

// An announcement is the payload of a notification.
type announcement struct {
	From    string
	Changes []JobChange
}

// follow ends when its close is called. It fails when the first connection
// does.
func follow(ctx context.Context, db *DB, config *pgx.ConnConfig) (*others, error) {
	conn, err := listen(ctx, config)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	o := &others{self: uuid.NewString(), start: time.Now(), stop: stop, done: make(chan struct{})}
	go func() {
		defer close(o.done)
		for {
			if conn != nil {
				o.read(ctx, db, conn)
				conn.Close(ctx)
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(glance):
			}
			conn, _ = listen(ctx, config) // silent says what a failure means
			db.changes.Add(1)
		}
	}()
	return o, nil
}

func listen(ctx context.Context, config *pgx.ConnConfig) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		conn.Close(ctx)
		return nil, err
	}
	return conn, nil
}

func (o *others) close() error {
	o.stop()
	<-o.done
	return nil
}

// silent reports whether the last good look is too long ago to rely on it.
func (o *others) silent() bool {
	return time.Since(o.start)-time.Duration(o.seen.Load()) > Staleness
}

// read returns when the connection fails or ctx ends.
func (o *others) read(ctx context.Context, db *DB, conn *pgx.Conn) {
	var last string
	for ctx.Err() == nil {
		began := time.Since(o.start)
		look, cancel := context.WithTimeout(ctx, Staleness)
		var snapshot string
		err := conn.QueryRow(look, "SELECT pg_current_snapshot()::text").Scan(&snapshot)
		cancel()
		if err != nil {
			return
		}
		if snapshot != last {
			db.changes.Add(1)
			last = snapshot
		}
		o.seen.Store(int64(began))

		pause, cancel := context.WithTimeout(ctx, glance)
		for err == nil {
			n, failed := conn.WaitForNotification(pause)
			if err = failed; err == nil {
				o.hear(db, n.Payload)
			}
		}
		cancel()
		if conn.IsClosed() {
			return
		}
	}
}

// hear tells the watchers of this process what another announced.
func (o *others) hear(db *DB, payload string) {
	var a announcement
	if json.Unmarshal([]byte(payload), &a) != nil || a.From == o.self {
		return
	}
	db.telling.Lock()
	defer db.telling.Unlock()
	db.tell(a.Changes)
}

// announce tells the others of the changes of tx when it commits.
func (o *others) announce(tx *Tx) error {
	// A payload ends at 8000 bytes; the labels of v2 jobs alone can be longer.
	const most = 7999
	for rest := tx.changes; len(rest) > 0; {
		n := min(4, len(rest))
		payload, err := json.Marshal(announcement{o.self, rest[:n]})
		for ; err == nil && len(payload) > most && n > 1; n-- {
			payload, err = json.Marshal(announcement{o.self, rest[:n-1]})
		}
		if err != nil {
			return err
		}
		if len(payload) <= most {
			if _, err := tx.exec("SELECT pg_notify(?, ?)", channel, string(payload)); err != nil {
				return err
			}
		}
		rest = rest[n:]
	}
	return nil
}
