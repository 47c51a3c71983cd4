package notify

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/openams/openams/catalog"
)

// maxQueue is how many events may wait for one target.
const maxQueue = 10_000

// A Replay says which events to deliver again: those of IDs, or, without IDs,
// those from From to To, or, with Dead, those that were given up. A target's
// filters hold, except for what it was to get already.
type Replay struct {
	Target   string // name; empty: all targets
	IDs      []string
	From, To time.Time // To is exclusive; zero: until now
	Dead     bool
}

// Again queues events that were delivered or given up for another delivery and
// returns how many. What waits already is not queued twice. A process that
// runs a Notifier over the same catalog delivers them, within its Config.Poll.
// At 10,000 events waiting for a target it stops, with an error that says so.
func Again(ctx context.Context, db *catalog.DB, r Replay) (queued int, err error) {
	targets, err := targetsOf(ctx, db, r.Target)
	if err != nil {
		return 0, err
	}
	if r.To.IsZero() {
		r.To = db.Now().Add(time.Second)
	}
	for _, t := range targets {
		n, err := again(ctx, db, t, r)
		queued += n
		if err != nil {
			return queued, err
		}
	}
	return queued, nil
}

func again(ctx context.Context, db *catalog.DB, t *catalog.EventTarget, r Replay) (queued int, err error) {
	const page = 500
	var last *catalog.Event
	for more := true; more; {
		var changed int
		var full bool
		done := last
		err := db.Update(ctx, func(tx *catalog.Tx) error {
			changed, full, last = 0, false, done // it may run again
			var list []*catalog.Event
			var err error
			if list, more, err = r.page(tx, t, done, page); err != nil {
				return err
			}
			waiting, err := tx.CountDeliveries(t.Name, catalog.DeliveryWaiting, maxQueue)
			if err != nil {
				return err
			}
			for _, e := range list {
				if last = e; e.To != "" || !r.Dead && !wants(t.Types, t.Accounts, e) {
					continue
				}
				if waiting+changed >= maxQueue {
					full = true
					return nil
				}
				did, err := tx.EnsureDelivery(&catalog.Delivery{Event: e, Target: t.Name, State: catalog.DeliveryWaiting, Due: tx.Now(), Expires: tx.Now().Add(24 * time.Hour)})
				if err != nil {
					return err
				}
				if did {
					changed++
				}
			}
			return nil
		})
		if err != nil {
			return queued, err
		}
		queued += changed
		if full {
			return queued, fmt.Errorf("%d events wait for target %s; the rest, from event %s of %s on, can be replayed later",
				maxQueue, t.Name, last.ID, last.Time.Format(time.RFC3339Nano))
		}
	}
	return queued, nil
}

// page reads the next events that r selects.
func (r *Replay) page(tx *catalog.Tx, t *catalog.EventTarget, last *catalog.Event, limit int) (list []*catalog.Event, more bool, err error) {
	switch {
	case len(r.IDs) > 0:
		for _, id := range r.IDs {
			e, err := tx.Event(id)
			if err != nil {
				return nil, false, fmt.Errorf("event %s: %w", id, err)
			}
			list = append(list, e)
		}
		return list, false, nil
	case r.Dead:
		dead, err := tx.DeadDeliveries(t.Name, limit) // shrinks as they come back to life
		for _, d := range dead {
			list = append(list, d.Event)
		}
		return list, len(dead) == limit, err
	}
	list, err = tx.EventsSince(r.From, r.To, last, limit)
	return list, len(list) == limit, err
}

// A Status says how a target is served.
type Status struct {
	Name, Place string
	Confirmed   bool
	Waiting     int // at most 10,000 are counted
	Dead        int // likewise
}

// Statuses lists the targets that were last configured.
func Statuses(ctx context.Context, db *catalog.DB) (list []Status, err error) {
	err = db.View(ctx, func(tx *catalog.Tx) error {
		targets, err := tx.EventTargets()
		if err != nil {
			return err
		}
		list = make([]Status, 0, len(targets))
		for _, t := range targets {
			s := Status{Name: t.Name, Place: t.Place, Confirmed: t.Confirmed != ""}
			if s.Waiting, err = tx.CountDeliveries(t.Name, catalog.DeliveryWaiting, maxQueue); err != nil {
				return err
			}
			if s.Dead, err = tx.CountDeliveries(t.Name, catalog.DeliveryDead, maxQueue); err != nil {
				return err
			}
			list = append(list, s)
		}
		return nil
	})
	return list, err
}

// An Event is a kept event, for people to read.
type Event struct {
	ID, Type, Source, Subject string
	Time                      time.Time
	Reason                    string `json:",omitempty"` // why it was given up
}

func eventOf(e *catalog.Event, reason string) Event {
	return Event{ID: e.ID, Type: e.Type, Source: e.Source, Subject: e.Subject, Time: e.Time, Reason: reason}
}

// Events lists the events from one time to another, exclusive; zero: until
// now. There are at most 10,000: the first ones.
func Events(ctx context.Context, db *catalog.DB, from, to time.Time) (list []Event, err error) {
	if to.IsZero() {
		to = db.Now().Add(time.Second)
	}
	err = db.View(ctx, func(tx *catalog.Tx) error {
		events, err := tx.EventsSince(from, to, nil, maxQueue)
		list = make([]Event, len(events))
		for i, e := range events {
			list[i] = eventOf(e, "")
		}
		return err
	})
	return list, err
}

// Dead lists the events that were given up for a target, at most 10,000: the
// first ones.
func Dead(ctx context.Context, db *catalog.DB, target string) (list []Event, err error) {
	if _, err := targetsOf(ctx, db, target); err != nil {
		return nil, err
	}
	err = db.View(ctx, func(tx *catalog.Tx) error {
		dead, err := tx.DeadDeliveries(target, maxQueue)
		list = make([]Event, len(dead))
		for i, d := range dead {
			list[i] = eventOf(d.Event, d.Reason)
		}
		return err
	})
	return list, err
}

// Secret tells the secret that was made for a target, as Standard Webhooks
// spells it.
func Secret(ctx context.Context, db *catalog.DB, target string) (string, error) {
	targets, err := targetsOf(ctx, db, target)
	if err != nil {
		return "", err
	}
	if len(targets[0].Secret) == 0 {
		return "", fmt.Errorf("the secret of target %s is in the configuration", target)
	}
	return secretPrefix + base64.StdEncoding.EncodeToString(targets[0].Secret), nil
}

func targetsOf(ctx context.Context, db *catalog.DB, name string) (list []*catalog.EventTarget, err error) {
	err = db.View(ctx, func(tx *catalog.Tx) (err error) {
		list, err = tx.EventTargets()
		return err
	})
	if err != nil || name == "" {
		return list, err
	}
	for _, t := range list {
		if t.Name == name {
			return []*catalog.EventTarget{t}, nil
		}
	}
	return nil, fmt.Errorf("there is no event target %q", name)
}
