package catalog

import (
	"context"
	"errors"
	"sync"

	"github.com/openams/openams/ams"
)

// A group collects the changes that come while a commit is under way, and
// commits them together: many clients that stage blocks share the price of
// one sync of the disk.
type group struct {
	mu      sync.Mutex
	waiting []*member
	busy    bool
}

// A member is a change that waits for its commit.
type member struct {
	ctx  context.Context
	f    func(*Tx) error
	err  error
	done chan struct{}
}

const maxGroup = 64

// change is Update, perhaps in one transaction with other changes. f fails
// alone, with an *ams.Error; it may run more than once.
func (db *DB) change(ctx context.Context, f func(*Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if tx := db.joined(ctx); tx != nil {
		return tx.within(f)
	}
	m := &member{ctx: ctx, f: f, done: make(chan struct{})}
	g := &db.group
	g.mu.Lock()
	g.waiting = append(g.waiting, m)
	lead := !g.busy
	g.busy = true
	g.mu.Unlock()
	if lead {
		go db.commitGroups()
	}
	<-m.done
	return m.err
}

// commitGroups works until nobody waits.
func (db *DB) commitGroups() {
	g := &db.group
	for {
		g.mu.Lock()
		n := min(len(g.waiting), maxGroup)
		members := g.waiting[:n:n]
		g.waiting = g.waiting[n:]
		if n == 0 {
			g.waiting, g.busy = nil, false
		}
		g.mu.Unlock()
		if n == 0 {
			return
		}
		db.commitGroup(members)
		for _, m := range members {
			close(m.done)
		}
	}
}

// commitGroup commits the changes of all members or, should anything but a
// refusal come between, each by itself.
func (db *DB) commitGroup(members []*member) {
	if len(members) > 1 {
		ctx := context.WithoutCancel(members[0].ctx)
		if db.Update(ctx, func(tx *Tx) error { return tx.together(members) }) == nil {
			return
		}
	}
	for _, m := range members {
		m.err = db.Update(m.ctx, m.f)
	}
}

// together runs the changes of members one after the other. What a refused
// one has written is undone.
func (tx *Tx) together(members []*member) error {
	for _, m := range members {
		if _, err := tx.exec("SAVEPOINT member"); err != nil {
			return err
		}
		m.err = m.f(tx)
		if _, refused := errors.AsType[*ams.Error](m.err); m.err != nil && !refused {
			return m.err
		}
		end := "RELEASE SAVEPOINT member"
		if m.err != nil {
			end = "ROLLBACK TO SAVEPOINT member"
		}
		if _, err := tx.exec(end); err != nil {
			return err
		}
	}
	return nil
}
