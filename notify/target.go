package notify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

// A target is a Target at work. Its fields are of the goroutine of run alone,
// except what never changes.
type target struct {
	Target
	n         *Notifier
	place     string                    // URL without its query
	ask       bool                      // for agreement, before anything is sent
	secret    []byte                    // set by register
	endpoint  *ams.NotificationEndpoint // of v2; nil: a target of the configuration
	confirmed bool
	wake      chan struct{}
	log       *slog.Logger
	failures  int // of the whole target, in a row
}

// A failure is an attempt that did not deliver.
type failure struct {
	reason string
	final  bool          // trying again does not mend it
	after  time.Duration // as the target asked; zero: it did not
}

// run delivers to t until ctx ends.
func (t *target) run(ctx context.Context) {
	if t.ask && !t.confirmed && !t.confirm(ctx) {
		return
	}
	// What is under way when ctx ends is given a moment to succeed: else the
	// target would get it twice.
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(5*time.Second, cancel) })()

	results := make(chan *failure, t.n.c.Concurrency)
	underWay := 0
	for ctx.Err() == nil {
		pause := t.n.c.Poll
		if free := t.slots() - underWay; free > 0 {
			claimed, next, err := t.claim(ctx, free)
			if err != nil && ctx.Err() == nil {
				t.log.Error("events were not read", "error", err)
			}
			if t.endpoint != nil && err == nil && underWay+len(claimed) == 0 && next.IsZero() && t.retire() {
				return
			}
			for _, d := range claimed {
				underWay++
				go func() { results <- t.deliver(work, d) }()
			}
			if !next.IsZero() {
				pause = max(min(pause, next.Sub(t.n.db.Now())), time.Millisecond)
			}
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-t.wake:
		case <-timer.C:
		case f := <-results:
			underWay--
			t.note(ctx, f)
		}
		timer.Stop()
	}
	for ; underWay > 0; underWay-- {
		<-results
	}
}

// label names t in metrics.
func (t *target) label() string { return label(t.Name) }

func label(target string) string {
	if strings.HasPrefix(target, "v2:") {
		return "notification endpoints" // there may be thousands
	}
	return target
}

// slots is how many requests may be under way: one, to a target that fails.
func (t *target) slots() int {
	if t.failures >= 5 {
		return 1
	}
	return t.n.c.Concurrency
}

// note keeps the count of failures in a row, and lets a target that fails
// rest: each of its jobs has a backoff, but there may be thousands of jobs.
func (t *target) note(ctx context.Context, f *failure) {
	switch {
	case f == nil || f.final:
		if t.failures > 0 {
			t.log.Info("events are delivered again")
		}
		t.failures = 0
		return
	case t.failures == 0:
		t.log.Warn("an event was not delivered; it will be tried again", "reason", f.reason)
	}
	if t.failures++; t.failures >= 5 {
		wait(ctx, min(t.backoff(t.failures-4), time.Minute), nil)
	}
}

// backoff is the pause after the n-th attempt, give or take a fifth, so that
// many do not come back at one time.
func (t *target) backoff(n int) time.Duration {
	d := t.n.c.Backoff[min(max(n, 1), len(t.n.c.Backoff))-1]
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}

// claim takes up to limit deliveries, and says when the next one is due.
func (t *target) claim(ctx context.Context, limit int) (list []*catalog.Delivery, next time.Time, err error) {
	look := func(tx *catalog.Tx) (err error) {
		if list, err = tx.DueDeliveries(t.Name, limit); err != nil {
			return err
		}
		next, err = tx.NextDelivery(t.Name)
		return err
	}
	if err := t.n.db.View(ctx, look); err != nil || len(list) == 0 {
		return nil, next, err
	}
	err = t.n.db.Note(ctx, func(tx *catalog.Tx) error {
		if err := look(tx); err != nil { // again: another process may have been faster
			return err
		}
		for _, d := range list {
			// Longer than an attempt takes, or it would be made twice.
			if err := tx.ClaimDelivery(d, tx.Now().Add(2*t.n.c.Timeout)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, next, err
	}
	return list, next, nil
}

// deliver makes an attempt and writes down what came of it.
func (t *target) deliver(ctx context.Context, d *catalog.Delivery) *failure {
	f := t.send(ctx, d)
	err := t.n.db.Note(context.WithoutCancel(ctx), func(tx *catalog.Tx) error {
		if f == nil {
			return tx.DeleteDelivery(d)
		}
		d.Reason = f.reason
		d.Due = tx.Now().Add(max(t.backoff(d.Attempt), f.after))
		if ctx.Err() != nil { // the server stops: the target is not to blame
			d.Due = tx.Now()
		}
		if f.final || d.Attempt >= t.n.c.Attempts || d.Due.After(d.Expires) {
			d.State = catalog.DeliveryDead
		}
		return tx.SettleDelivery(d)
	})
	log := t.log.With("event", d.Event.ID, "type", d.Event.Type, "job", d.Event.Lane, "attempt", d.Attempt)
	switch {
	case ams.CodeOf(err) == ams.NotFound:
		log.Debug("another process delivers the event") // or the target is configured no more
	case err != nil:
		log.Error("the result of a delivery was not written; it will be made again", "error", err)
	case f == nil:
		t.n.metrics.count(t.label(), "delivered")
	case d.State == catalog.DeliveryDead:
		t.n.metrics.count(t.label(), "dead")
		log.Warn("an event was given up", "reason", f.reason)
	default:
		t.n.metrics.count(t.label(), "failed")
		log.Debug("an event was not delivered", "reason", f.reason)
	}
	return f
}

func (t *target) send(ctx context.Context, d *catalog.Delivery) *failure {
	if t.endpoint != nil {
		return t.tell(ctx, d)
	}
	body, contentType, err := t.Schema.encode(d.Event)
	if err != nil {
		return &failure{reason: err.Error(), final: true}
	}
	if len(body) > maxBody {
		return &failure{reason: fmt.Sprintf("the event has %d bytes, more than %d", len(body), maxBody), final: true}
	}
	h := http.Header{"Content-Type": {contentType}}
	if t.Schema == EventGrid {
		h.Set("Aeg-Event-Type", "Notification")
		h.Set("Aeg-Subscription-Name", t.Name)
		h.Set("Aeg-Delivery-Count", strconv.Itoa(d.Attempt-1))
		h.Set("Aeg-Data-Version", "1.0")
		h.Set("Aeg-Metadata-Version", "1")
	}
	_, _, f := t.do(ctx, http.MethodPost, h, d.Event.ID, body)
	return f
}

// do makes a signed request and returns what the target answered, the first
// 64 KiB of it.
func (t *target) do(ctx context.Context, method string, h http.Header, id string, body []byte) (http.Header, []byte, *failure) {
	ctx, cancel := context.WithTimeout(ctx, t.n.c.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, t.URL, bytes.NewReader(body))
	if err != nil {
		return nil, nil, &failure{reason: "the URL is none", final: true}
	}
	r.Header = h
	r.Header.Set("User-Agent", "openams")
	if t.endpoint == nil {
		sign(r.Header, t.secret, id, t.n.db.Now(), body)
	}
	res, err := t.n.client.Do(r)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // the URL's query may hold a key
		}
		if ctx.Err() == context.DeadlineExceeded {
			return nil, nil, &failure{reason: fmt.Sprintf("no answer within %v", t.n.c.Timeout)}
		}
		return nil, nil, &failure{reason: err.Error()}
	}
	defer res.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10)) // the status has said it all
	if res.StatusCode/100 == 2 {
		return res.Header, answer, nil
	}
	f := &failure{reason: "the answer was " + strconv.Itoa(res.StatusCode) + " " + http.StatusText(res.StatusCode)}
	switch res.StatusCode {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusGone, http.StatusRequestEntityTooLarge:
		f.final = true
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		if s, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && s > 0 {
			f.after = min(time.Duration(s), 3600) * time.Second
		}
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		f.reason += "; redirects are not followed"
	}
	return nil, nil, f
}

// agreement names what the owner of the target agrees to in a handshake.
func (t *target) agreement() string {
	sum := sha256.Sum256([]byte(string(t.Schema) + " " + t.URL))
	return hex.EncodeToString(sum[:])
}
