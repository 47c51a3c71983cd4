package catalog

import (
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/openams/openams/ams"
)

// Record calls f at the end of each transaction of this process that changed
// the state or the progress of jobs, before it commits: what f writes with tx
// is committed with the change or not at all, and an error of f undoes both.
// The changes have the order in which they were made; one whose From is its To
// is of a task's Progress. f must not change jobs. The result ends it.
func (db *DB) Record(f func(tx *Tx, changes []JobChange) error) (stop func()) {
	db.watching.Lock()
	defer db.watching.Unlock()
	db.recorders = append(db.recorders, &f)
	return func() {
		db.watching.Lock()
		defer db.watching.Unlock()
		db.recorders = slices.DeleteFunc(db.recorders, func(g *func(*Tx, []JobChange) error) bool { return g == &f })
	}
}

func (tx *Tx) record() error {
	changes := slices.Concat(tx.changes, tx.progress)
	if len(changes) == 0 {
		return nil
	}
	tx.db.watching.Lock()
	recorders := slices.Clone(tx.db.recorders)
	tx.db.watching.Unlock()
	for _, f := range recorders {
		if err := (*f)(tx, changes); err != nil {
			return err
		}
	}
	return nil
}

// progressed notes for recorders that r, whose state is the same, went on
// from the given percent.
func (tx *Tx) progressed(r *TaskRecord, from float64) error {
	tx.db.watching.Lock()
	idle := len(tx.db.recorders) == 0
	tx.db.watching.Unlock()
	if idle || r.Progress <= from {
		return nil
	}
	j, err := jobs.one(tx, "seq = ?", r.job)
	if err != nil {
		return err
	}
	tx.progress = append(tx.progress, JobChange{Account: j.Account, Transform: j.Transform, Job: j.Name, JobID: j.ID,
		Task: r.ID, TaskIndex: r.Index, From: r.State, To: r.State, Progress: r.Progress, At: tx.now})
	return nil
}

// An Event is something that happened, ready to be told to others. It stays
// as it is, whatever becomes of what it is about.
type Event struct {
	Seq     int64  // position in the order of events; set by InsertEvent
	ID      string // guid
	Account string // Account.ID
	Lane    string // within one, events are delivered in order: the id of a job
	About   string // what of the lane it is about, for LatestEvent; may be empty
	Type    string
	Source  string // path of the account
	Subject string // path below Source
	To      string // EventTarget.Name: it goes there alone; empty: to all that want it
	Time    time.Time
	Data    json.RawMessage
}

var events = table[Event]{
	name: "events", what: "event",
	columns: []column[Event]{
		{name: "id", at: func(e *Event) any { return &e.ID }},
		{name: "account", at: func(e *Event) any { return &e.Account }},
		{name: "lane", at: func(e *Event) any { return &e.Lane }},
		{name: "about", at: func(e *Event) any { return &e.About }},
		{name: "type", at: func(e *Event) any { return &e.Type }},
		{name: "time", at: func(e *Event) any { return &e.Time }},
		{name: "fresh", at: func(*Event) any { return 1 }, derived: true},
	},
	rest: func(e *Event) map[string]any {
		return map[string]any{"source": &e.Source, "subject": &e.Subject, "to": &e.To, "data": &e.Data}
	},
}

// InsertEvent adds an event, to be dispatched.
func (tx *Tx) InsertEvent(e *Event) (err error) {
	e.Seq, err = events.insert(tx, e)
	return err
}

// Event finds an event by its id.
func (tx *Tx) Event(id string) (*Event, error) {
	e, seq, err := events.oneSeq(tx, "id = ?", id)
	if err != nil {
		return nil, err
	}
	e.Seq = seq
	return e, nil
}

// LatestEvent is the last event of a type about something, or nil.
func (tx *Tx) LatestEvent(about, eventType string) (*Event, error) {
	list, err := tx.events("WHERE about = ? AND type = ? ORDER BY seq DESC LIMIT 1", about, eventType)
	if len(list) == 0 {
		return nil, err
	}
	return list[0], nil
}

// FreshEvents are the oldest events that EventDispatched was not called for.
func (tx *Tx) FreshEvents(limit int) ([]*Event, error) {
	return tx.events("WHERE fresh = 1 ORDER BY seq LIMIT ?", limit)
}

// EventDispatched says that the event has all its deliveries.
func (tx *Tx) EventDispatched(e *Event) error {
	_, err := tx.exec("UPDATE events SET fresh = 0 WHERE seq = ?", e.Seq)
	return err
}

// EventsSince lists the events from one instant, inclusive, to another,
// exclusive, in their order; after is the last of the page before, or nil.
func (tx *Tx) EventsSince(from, to time.Time, after *Event, limit int) ([]*Event, error) {
	if after == nil {
		after = &Event{Time: from.Add(-1)}
	}
	return tx.events("WHERE time >= ? AND time < ? AND (time, seq) > (?, ?) ORDER BY time, seq LIMIT ?",
		ticks(from), ticks(to), ticks(after.Time), after.Seq, limit)
}

// DeleteEvents forgets at most limit events of before t that wait for no
// delivery, with the deliveries of theirs that are Dead.
func (tx *Tx) DeleteEvents(t time.Time, limit int) (int64, error) {
	return events.delete(tx, `seq IN (SELECT seq FROM events e WHERE time < ? AND fresh = 0
		AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.event = e.seq AND d.state = 'Waiting') ORDER BY time LIMIT ?)`, ticks(t), limit)
}

func (tx *Tx) events(tail string, args ...any) (list []*Event, err error) {
	err = events.each(tx, func(seq int64, e *Event) error {
		e.Seq = seq
		list = append(list, e)
		return nil
	}, tail, args...)
	return list, err
}

// An EventTarget is a place outside that is told of events. How to reach it
// is configuration and not kept here.
type EventTarget struct {
	Name      string
	Confirmed string // what it agreed to receive; empty: nothing yet
	Secret    []byte // signs what is sent to it; encrypted at rest
	Place     string // where it is, for people to read
	Types     []string
	Accounts  []string // names
}

type targetRow struct {
	EventTarget
	box []byte // Secret, sealed
}

var eventTargets = table[targetRow]{
	name: "event_targets", what: "event target",
	columns: []column[targetRow]{
		{name: "name", at: func(t *targetRow) any { return &t.Name }},
		{name: "confirmed", at: func(t *targetRow) any { return &t.Confirmed }},
		{name: "sealed", at: func(t *targetRow) any { return &t.box }},
	},
	rest: func(t *targetRow) map[string]any {
		return map[string]any{"place": &t.Place, "types": &t.Types, "accounts": &t.Accounts}
	},
}

// ofConfiguration tells the targets of the configuration from those of
// notification endpoints: see EndpointTarget.
const ofConfiguration = "(name < 'v2:' OR name >= 'v2;')"

// HasEventTargets reports whether anybody is told of all events.
func (tx *Tx) HasEventTargets() (bool, error) { return tx.hasTargets(ofConfiguration) }

// HasEndpointTargets reports whether there are notification endpoints.
func (tx *Tx) HasEndpointTargets() (bool, error) { return tx.hasTargets("NOT " + ofConfiguration) }

func (tx *Tx) hasTargets(where string) (bool, error) {
	var one int
	err := tx.queryRow("SELECT 1 FROM event_targets WHERE " + where + " LIMIT 1").Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// HasTarget reports whether there is a target of the name, of either kind.
func (tx *Tx) HasTarget(name string) (bool, error) {
	n, err := eventTargets.count(tx, "name = ?", name)
	return n > 0, err
}

// WaitingEndpoints are the targets of notification endpoints for which
// deliveries wait.
func (tx *Tx) WaitingEndpoints() (names []string, err error) {
	rows, err := tx.query("SELECT name FROM event_targets WHERE NOT " + ofConfiguration +
		" AND EXISTS (SELECT 1 FROM deliveries d WHERE d.target = event_targets.name AND d.state = 'Waiting')")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

// EventTargets lists the targets of the configuration by name.
func (tx *Tx) EventTargets() (list []*EventTarget, err error) {
	err = eventTargets.each(tx, func(_ int64, row *targetRow) (err error) {
		row.Secret, err = tx.db.unsealed("event target "+row.Name, row.box)
		list = append(list, &row.EventTarget)
		return err
	}, "WHERE "+ofConfiguration+" ORDER BY name")
	return list, err
}

// SaveEventTarget adds the target, or rewrites the one of its name.
func (tx *Tx) SaveEventTarget(t *EventTarget) error {
	row := &targetRow{EventTarget: *t, box: tx.db.sealed("event target "+t.Name, t.Secret)}
	err := eventTargets.update(tx, row, "name = ?", t.Name)
	if ams.CodeOf(err) == ams.NotFound {
		_, err = eventTargets.insert(tx, row)
	}
	return err
}

// DeleteEventTarget forgets a target with its deliveries.
func (tx *Tx) DeleteEventTarget(name string) error {
	return eventTargets.deleteOne(tx, "name = ?", name)
}
