package notify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/dial"
)

// Config says whom to tell, and how patiently. Zero fields take the value in
// brackets.
type Config struct {
	Targets []Target
	Origin  string      // host name of this server, by which handshakes introduce it ["localhost"]
	Dial    dial.Config // who may be reached; its timeouts and redirects do not count
	Log     *slog.Logger
	Metrics prometheus.Registerer // nil: none

	Timeout     time.Duration   // of one request [30 s]
	Backoff     []time.Duration // before the second, third … attempt; the last one repeats [10 s to 1 h]
	Attempts    int             // before an event is given up [30]
	MaxAge      time.Duration   // from the event's dispatch until it is given up [24 h]
	Retention   time.Duration   // how long events are kept for replays; at least MaxAge [7 days]
	Queue       int             // events waiting for one target; later ones are given up at once [10,000]
	Concurrency int             // requests to one target at the same time [4]
	Poll        time.Duration   // how often to look for the events of other processes [2 s]
}

// A Target is a web hook.
type Target struct {
	Name     string // unique: 1 to 64 of letters, digits, "-", "_", "."
	URL      string
	Schema   Schema   // empty: CloudEvents
	Secret   string   // signs requests; empty: one is made and kept, Secret(…) tells it
	Types    []string // event types, "*" at the end for all that begin so; none: all types
	Accounts []string // names of accounts; none: all accounts
	Confirm  Confirm
}

// Confirm says whether a target must agree in a handshake before it gets
// events.
type Confirm string

// By default Event Grid targets are asked, for receivers written for Event
// Grid expect it, and CloudEvents targets are not.
const (
	ConfirmDefault Confirm = ""
	ConfirmAlways  Confirm = "always"
	ConfirmNever   Confirm = "never"
)

// A Notifier records and delivers events.
type Notifier struct {
	db      *catalog.DB
	c       Config
	client  *http.Client
	dial    *dial.Client
	targets []*target
	metrics *metrics
	close   func()
	wake    chan struct{} // something may have been recorded

	running   sync.WaitGroup // of Run
	mu        sync.Mutex
	endpoints map[string]*target // notification endpoints that are served now; see start
}

// New checks the configuration and records events from now on, until Close;
// only Run delivers them. Every process that changes jobs needs a Notifier.
func New(db *catalog.DB, c Config) (*Notifier, error) {
	c.Origin = cmp.Or(c.Origin, "localhost")
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	c.Timeout = cmp.Or(c.Timeout, 30*time.Second)
	c.MaxAge = cmp.Or(c.MaxAge, 24*time.Hour)
	c.Retention = max(cmp.Or(c.Retention, 7*24*time.Hour), c.MaxAge)
	c.Queue = cmp.Or(c.Queue, maxQueue)
	c.Concurrency = cmp.Or(c.Concurrency, 4)
	c.Attempts = cmp.Or(c.Attempts, 30)
	c.Poll = cmp.Or(c.Poll, 2*time.Second)
	if len(c.Backoff) == 0 {
		c.Backoff = []time.Duration{10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour}
	}
	c.Dial.HeaderTimeout = c.Timeout
	n := &Notifier{db: db, c: c, dial: dial.New(c.Dial), wake: make(chan struct{}, 1), endpoints: map[string]*target{}}
	// A redirect would take the event to where nobody agreed to have it.
	client := *n.dial.HTTPClient()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	n.client = &client
	for _, t := range c.Targets {
		made, err := n.newTarget(t)
		if err != nil {
			return nil, fmt.Errorf("event target %q: %w", t.Name, err)
		}
		if slices.ContainsFunc(n.targets, func(o *target) bool { return o.Name == t.Name }) {
			return nil, fmt.Errorf("event target %q: there are two of this name", t.Name)
		}
		n.targets = append(n.targets, made)
	}
	var err error
	if n.metrics, err = newMetrics(c.Metrics); err != nil {
		return nil, err
	}
	n.close = db.Record(record)
	return n, nil
}

var targetName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func (n *Notifier) newTarget(t Target) (*target, error) {
	t.Schema = cmp.Or(t.Schema, CloudEvents)
	made := &target{Target: t, n: n, wake: make(chan struct{}, 1), log: n.c.Log.With("target", t.Name)}
	if !targetName.MatchString(t.Name) {
		return nil, errors.New("a name is 1 to 64 letters, digits, hyphens, dots and underscores")
	}
	if t.Schema != CloudEvents && t.Schema != EventGrid {
		return nil, fmt.Errorf("the schema %q is neither CloudEvents nor EventGrid", t.Schema)
	}
	switch t.Confirm {
	case ConfirmAlways, ConfirmNever:
		made.ask = t.Confirm == ConfirmAlways
	case ConfirmDefault:
		made.ask = t.Schema == EventGrid
	default:
		return nil, fmt.Errorf("confirm is %q, neither always nor never", t.Confirm)
	}
	if err := n.dial.Check(t.URL); err != nil {
		return nil, err
	}
	u, err := url.Parse(t.URL)
	if err != nil {
		return nil, errors.New("the URL is none")
	}
	u.RawQuery, u.Fragment = "", "" // they may hold a key
	made.place = u.String()
	if t.Secret != "" {
		if made.secret, err = parseSecret(t.Secret); err != nil {
			return nil, err
		}
	}
	for _, want := range t.Types {
		if !slices.ContainsFunc(Types(), func(known string) bool { return matches(want, known) }) {
			return nil, fmt.Errorf("no event has the type %q", want)
		}
	}
	return made, nil
}

// wants reports whether a target with these filters is told of e.
func wants(types, accounts []string, e *catalog.Event) bool {
	if e.To != "" {
		return false
	}
	name := e.Source[strings.LastIndexByte(e.Source, '/')+1:]
	return (len(types) == 0 || slices.ContainsFunc(types, func(t string) bool { return matches(t, e.Type) })) &&
		(len(accounts) == 0 || slices.ContainsFunc(accounts, func(a string) bool { return strings.EqualFold(a, name) }))
}

func matches(pattern, name string) bool {
	if p, ok := strings.CutSuffix(pattern, "*"); ok {
		return len(name) >= len(p) && strings.EqualFold(p, name[:len(p)])
	}
	return strings.EqualFold(pattern, name)
}

// Close ends the recording.
func (n *Notifier) Close() { n.close() }

// Run delivers events until ctx ends; then requests under way have five
// seconds. From here on events are kept for the targets of the configuration,
// and no longer for those that it does not name.
func (n *Notifier) Run(ctx context.Context) error {
	if err := n.register(ctx); err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	stop := n.db.Watch(func(catalog.JobChange) { signal(n.wake) })
	defer stop()
	for _, t := range n.targets {
		n.running.Go(func() { t.run(ctx) })
	}
	if err := n.startWaiting(ctx); err != nil && ctx.Err() == nil {
		n.c.Log.Error("messages of an earlier process are not delivered", "error", err)
	}
	n.running.Go(func() { n.sweep(ctx) })
	for ctx.Err() == nil {
		if err := n.dispatch(ctx); err != nil && ctx.Err() == nil {
			n.c.Log.Error("events were not dispatched", "error", err)
		}
		wait(ctx, n.c.Poll, n.wake)
	}
	n.running.Wait()
	return ctx.Err()
}

// startWaiting serves the notification endpoints for which messages wait.
func (n *Notifier) startWaiting(ctx context.Context) error {
	var names []string
	err := n.db.View(ctx, func(tx *catalog.Tx) (err error) {
		names, err = tx.WaitingEndpoints()
		return err
	})
	for _, name := range names {
		if err == nil {
			err = n.start(ctx, name)
		}
	}
	return err
}

// register writes the targets down, for recorders and for replays.
func (n *Notifier) register(ctx context.Context) error {
	return n.db.Update(ctx, func(tx *catalog.Tx) error {
		known, err := tx.EventTargets()
		if err != nil {
			return err
		}
		for _, k := range known {
			if !slices.ContainsFunc(n.targets, func(t *target) bool { return t.Name == k.Name }) {
				if err := tx.DeleteEventTarget(k.Name); err != nil {
					return err
				}
			}
		}
		for _, t := range n.targets {
			row := &catalog.EventTarget{Name: t.Name}
			if i := slices.IndexFunc(known, func(k *catalog.EventTarget) bool { return k.Name == t.Name }); i >= 0 {
				row = known[i]
			}
			row.Place, row.Types, row.Accounts = t.place, t.Types, t.Accounts
			switch {
			case t.Secret != "":
				row.Secret = nil // the configuration keeps it
			case len(row.Secret) == 0:
				row.Secret = newSecret()
			}
			if t.Secret == "" {
				t.secret = row.Secret
			}
			t.confirmed = row.Confirmed == t.agreement()
			if err := tx.SaveEventTarget(row); err != nil {
				return err
			}
		}
		return nil
	})
}

// dispatch makes the deliveries of all events that have none yet.
func (n *Notifier) dispatch(ctx context.Context) error {
	for {
		var found int
		err := n.db.View(ctx, func(tx *catalog.Tx) error {
			list, err := tx.FreshEvents(1)
			found = len(list)
			return err
		})
		if err != nil || found == 0 {
			return err
		}
		var endpoints map[string]int
		err = n.db.Note(ctx, func(tx *catalog.Tx) (err error) {
			endpoints, err = n.dispatchSome(tx)
			return err
		})
		if err != nil {
			return err
		}
		for _, t := range n.targets {
			signal(t.wake)
		}
		for name := range endpoints {
			if err := n.start(ctx, name); err != nil {
				return err
			}
		}
	}
}

// dispatchSome returns the notification endpoints that got deliveries, with how
// many wait for each.
func (n *Notifier) dispatchSome(tx *catalog.Tx) (endpoints map[string]int, err error) {
	list, err := tx.FreshEvents(100)
	if err != nil {
		return nil, err
	}
	endpoints = map[string]int{}
	for _, e := range list {
		if e.To == "" {
			continue
		}
		waiting, counted := endpoints[e.To]
		if !counted {
			if there, err := tx.HasTarget(e.To); err != nil {
				return nil, err
			} else if !there {
				continue
			}
			if waiting, err = tx.CountDeliveries(e.To, catalog.DeliveryWaiting, n.c.Queue); err != nil {
				return nil, err
			}
		}
		endpoints[e.To] = waiting + 1
		if err := n.dispatchTo(tx, e, e.To, waiting); err != nil {
			return nil, err
		}
	}
	for _, t := range n.targets {
		waiting, err := tx.CountDeliveries(t.Name, catalog.DeliveryWaiting, n.c.Queue)
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			if !wants(t.Types, t.Accounts, e) {
				continue
			}
			if err := n.dispatchTo(tx, e, t.Name, waiting); err != nil {
				return nil, err
			}
			waiting++
		}
	}
	for _, e := range list {
		if err := tx.EventDispatched(e); err != nil {
			return nil, err
		}
	}
	return endpoints, nil
}

// dispatchTo makes the delivery of an event to a target for which others wait.
func (n *Notifier) dispatchTo(tx *catalog.Tx, e *catalog.Event, target string, waiting int) error {
	d := &catalog.Delivery{Event: e, Target: target, State: catalog.DeliveryWaiting, Due: tx.Now(), Expires: tx.Now().Add(n.c.MaxAge)}
	if waiting >= n.c.Queue {
		d.State, d.Reason = catalog.DeliveryDead, fmt.Sprintf("%d events were waiting already", n.c.Queue)
		n.metrics.count(label(target), "dead")
	}
	_, err := tx.EnsureDelivery(d)
	return err
}

// sweep gives up what is too old, forgets what nobody will ask for again and
// measures the queues, every half minute.
func (n *Notifier) sweep(ctx context.Context) {
	for ctx.Err() == nil {
		if err := n.sweepOnce(ctx); err != nil && ctx.Err() == nil {
			n.c.Log.Error("old events were not removed", "error", err)
		}
		wait(ctx, 30*time.Second, nil)
	}
}

func (n *Notifier) sweepOnce(ctx context.Context) error {
	const batch = 500 // so that no writer waits long
	for more := true; more; {
		err := n.db.Note(ctx, func(tx *catalog.Tx) error {
			old, err := tx.ExpiredDeliveries(batch)
			if err != nil {
				return err
			}
			for _, d := range old {
				d.State, d.Reason = catalog.DeliveryDead, strings.TrimPrefix(d.Reason+"; its time ran out", "; ")
				if err := tx.SettleDelivery(d); err != nil && ams.CodeOf(err) != ams.NotFound {
					return err
				}
				n.metrics.count(label(d.Target), "dead")
			}
			gone, err := tx.DeleteEvents(tx.Now().Add(-n.c.Retention), batch)
			more = len(old) == batch || gone == batch
			return err
		})
		if err != nil {
			return err
		}
	}
	return n.db.View(ctx, func(tx *catalog.Tx) error {
		for _, t := range n.targets {
			waiting, err := tx.CountDeliveries(t.Name, catalog.DeliveryWaiting, n.c.Queue)
			if err != nil {
				return err
			}
			n.metrics.backlog.WithLabelValues(t.Name).Set(float64(waiting))
		}
		return nil
	})
}

// wait returns after d, or when ctx ends, or when something comes from wake.
func wait(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-timer.C:
	}
}

// signal leaves a sign in c unless there is one.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

type metrics struct {
	deliveries *prometheus.CounterVec // target, result
	backlog    *prometheus.GaugeVec   // target
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "openams_webhook_deliveries_total",
			Help: "Attempts to deliver events, by target and result: delivered, failed (to be tried again) or dead (given up).",
		}, []string{"target", "result"}),
		backlog: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "openams_webhook_backlog",
			Help: "Events that wait for their delivery, by target.",
		}, []string{"target"}),
	}
	if reg == nil {
		return m, nil
	}
	return m, errors.Join(reg.Register(m.deliveries), reg.Register(m.backlog))
}

func (m *metrics) count(target, result string) { m.deliveries.WithLabelValues(target, result).Inc() }
