package catalog

import (
	"database/sql"
	"errors"
	"time"

	"github.com/openams/openams/ams"
)

// A DeliveryState says whether a delivery is still to be made. One that was
// made has no record.
type DeliveryState string

// The states of deliveries.
const (
	DeliveryWaiting DeliveryState = "Waiting"
	DeliveryDead    DeliveryState = "Dead" // given up
)

// A Delivery is an event on its way to a target. When to try and when to give
// up is the business of notify.
type Delivery struct {
	Event   *Event
	Target  string // EventTarget.Name
	State   DeliveryState
	Attempt int // fencing number: rises with each claim
	Due     time.Time
	Expires time.Time
	Reason  string // why the last attempt failed

	seq, event int64
	lane       string
}

var deliveries = table[Delivery]{
	name: "deliveries", what: "delivery",
	columns: []column[Delivery]{
		{name: "event", at: func(d *Delivery) any { return &d.event }},
		{name: "target", at: func(d *Delivery) any { return &d.Target }},
		{name: "lane", at: func(d *Delivery) any { return &d.lane }},
		{name: "state", at: func(d *Delivery) any { return &d.State }},
		{name: "attempt", at: func(d *Delivery) any { return &d.Attempt }},
		{name: "due", at: func(d *Delivery) any { return &d.Due }},
		{name: "expires", at: func(d *Delivery) any { return &d.Expires }},
	},
	rest: func(d *Delivery) map[string]any { return map[string]any{"reason": &d.Reason} },
}

// EnsureDelivery sees to it that the event will be delivered to the target:
// it adds d, brings it back to life when it is Dead, or leaves alone one that
// is waiting already. It reports whether anything changed.
func (tx *Tx) EnsureDelivery(d *Delivery) (bool, error) {
	d.event, d.lane = d.Event.Seq, d.Event.Lane
	old, seq, err := deliveries.oneSeq(tx, "event = ? AND target = ?", d.event, d.Target)
	switch {
	case ams.CodeOf(err) == ams.NotFound:
		d.seq, err = deliveries.insert(tx, d)
		return true, err
	case err != nil, old.State == DeliveryWaiting:
		return false, err
	}
	d.seq = seq
	return true, deliveries.update(tx, d, "seq = ?", seq)
}

// CountDeliveries counts the deliveries of a target in a state, at most limit.
func (tx *Tx) CountDeliveries(target string, s DeliveryState, limit int) (n int, err error) {
	err = tx.queryRow("SELECT COUNT(*) FROM (SELECT 1 FROM deliveries WHERE target = ? AND state = ? LIMIT ?) counted", target, s, limit).Scan(&n)
	return n, err
}

// DueDeliveries are at most limit deliveries to make now, the longest due
// first: of each lane the first that waits, if it is due.
func (tx *Tx) DueDeliveries(target string, limit int) ([]*Delivery, error) {
	return tx.deliveries(`WHERE target = ? AND state = 'Waiting' AND due <= ? AND NOT EXISTS (
		SELECT 1 FROM deliveries ahead WHERE ahead.target = deliveries.target AND ahead.lane = deliveries.lane
		AND ahead.state = 'Waiting' AND ahead.event < deliveries.event) ORDER BY due, event LIMIT ?`, target, ticks(tx.now), limit)
}

// NextDelivery is when the first delivery of a target becomes due that is not
// due now; zero when there is none.
func (tx *Tx) NextDelivery(target string) (due time.Time, err error) {
	err = tx.queryRow("SELECT due FROM deliveries WHERE target = ? AND state = 'Waiting' AND due > ? ORDER BY due LIMIT 1",
		target, ticks(tx.now)).Scan((*instant)(&due))
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	return due, err
}

// DeadDeliveries lists what a target was not told, in the order of events.
func (tx *Tx) DeadDeliveries(target string, limit int) ([]*Delivery, error) {
	return tx.deliveries("WHERE target = ? AND state = 'Dead' ORDER BY event LIMIT ?", target, limit)
}

// ClaimDelivery takes a delivery that was read in this transaction, until an
// instant: then it is due again.
func (tx *Tx) ClaimDelivery(d *Delivery, until time.Time) error {
	d.Attempt++
	d.Due = until
	return deliveries.update(tx, d, "seq = ?", d.seq)
}

// SettleDelivery writes what became of a claimed delivery: it is Dead, or
// Waiting until d.Due and the lane behind it too. NotFound says that another
// claimed it since.
func (tx *Tx) SettleDelivery(d *Delivery) error {
	if err := deliveries.update(tx, d, "seq = ? AND attempt = ? AND state = 'Waiting'", d.seq, d.Attempt); err != nil || d.State == DeliveryDead {
		return err
	}
	// So that waiting for one does not mean looking at all of its lane each time.
	_, err := tx.exec("UPDATE deliveries SET due = ? WHERE target = ? AND lane = ? AND state = 'Waiting' AND due < ?", ticks(d.Due), d.Target, d.lane, ticks(d.Due))
	return err
}

// DeleteDelivery says that a claimed delivery was made. NotFound says that
// another claimed it since.
func (tx *Tx) DeleteDelivery(d *Delivery) error {
	return deliveries.deleteOne(tx, "seq = ? AND attempt = ? AND state = 'Waiting'", d.seq, d.Attempt)
}

// ExpiredDeliveries are at most limit deliveries of all targets whose time is
// over and that nobody has claimed.
func (tx *Tx) ExpiredDeliveries(limit int) ([]*Delivery, error) {
	return tx.deliveries("WHERE state = 'Waiting' AND expires <= ? AND due <= ? ORDER BY expires LIMIT ?", ticks(tx.now), ticks(tx.now), limit)
}

// deliveries reads deliveries with their events.
func (tx *Tx) deliveries(tail string, args ...any) (list []*Delivery, err error) {
	err = deliveries.each(tx, func(seq int64, d *Delivery) error {
		d.seq = seq
		list = append(list, d)
		return nil
	}, tail, args...)
	if err != nil {
		return nil, err
	}
	for _, d := range list {
		if d.Event, _, err = events.oneSeq(tx, "seq = ?", d.event); err != nil {
			return nil, err
		}
		d.Event.Seq = d.event
	}
	return list, nil
}
