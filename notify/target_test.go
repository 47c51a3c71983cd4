package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/dial"
)

// finished is a target of one event per job.
func finished(name, url string) Target {
	return Target{Name: name, URL: url, Types: []string{prefix + "JobFinished"}}
}

func (w *world) dead(target string) (reasons []string) {
	w.Helper()
	if err := w.db.View(context.Background(), func(tx *catalog.Tx) error {
		list, err := tx.DeadDeliveries(target, 1000)
		for _, d := range list {
			reasons = append(reasons, d.Reason)
		}
		return err
	}); err != nil {
		w.Fatal(err)
	}
	return reasons
}

func TestAnswers(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer func(attempt int64, w http.ResponseWriter)
		tries  int64
		dead   string // part of the reason; empty: delivered
	}{
		{"at once", func(_ int64, w http.ResponseWriter) { w.WriteHeader(202) }, 1, ""},
		{"long answer", func(_ int64, w http.ResponseWriter) { io.CopyN(w, rand0{}, 1<<20) }, 1, ""},
		{"500 and well", func(n int64, w http.ResponseWriter) {
			if n < 4 {
				w.WriteHeader(500)
			}
		}, 4, ""},
		{"500 for ever", func(_ int64, w http.ResponseWriter) { w.WriteHeader(500) }, 6, "500"},
		{"cut", func(n int64, _ http.ResponseWriter) {
			if n < 3 {
				panic(http.ErrAbortHandler)
			}
		}, 3, ""},
		{"redirect", func(_ int64, w http.ResponseWriter) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(307)
		}, 6, "redirects are not followed"},
		{"bad request", func(_ int64, w http.ResponseWriter) { w.WriteHeader(400) }, 1, "400"},
		{"gone", func(_ int64, w http.ResponseWriter) { w.WriteHeader(410) }, 1, "410"},
		{"never in time", func(n int64, w http.ResponseWriter) {
			if n < 2 {
				time.Sleep(700 * time.Millisecond) // longer than the Timeout
			}
		}, 2, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			var tries atomic.Int64
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/hook" {
					t.Errorf("a request for %s", r.URL)
				}
				io.Copy(io.Discard, r.Body)
				tt.answer(tries.Add(1), w)
			}))
			defer srv.Close()
			c := fast(finished("hook", srv.URL+"/hook"))
			c.Attempts, c.Timeout = 6, 500*time.Millisecond
			w.start(c)
			w.finish("j")
			w.until("the event is delivered or dead", func() bool {
				return tries.Load() >= tt.tries && w.status("hook").Waiting == 0
			})
			dead := w.dead("hook")
			if tries.Load() != tt.tries || len(dead) > 1 || (len(dead) == 1) != (tt.dead != "") || len(dead) == 1 && !strings.Contains(dead[0], tt.dead) {
				t.Errorf("%d attempts, dead %q", tries.Load(), dead)
			}
		})
	}
}

type rand0 struct{}

func (rand0) Read(p []byte) (int, error) { return len(p), nil }

// A target may ask for time, and a dead event waits for its replay while the
// job's later events go on.
func TestDeadAndReplay(t *testing.T) {
	w := newWorld(t)
	var refuse atomic.Bool
	refuse.Store(true)
	r := receive(t, func(w http.ResponseWriter, p post) bool {
		if refuse.Load() && p.Type == "JobProcessing" {
			w.WriteHeader(http.StatusForbidden)
			return true
		}
		return false
	})
	w.start(fast(Target{Name: "hook", URL: r.URL, Types: []string{prefix + "JobProcessing", prefix + "JobFinished"}}))
	before := w.db.Now()
	for i := range 3 {
		w.finish(fmt.Sprint("j", i))
	}
	for _, p := range r.until(3) {
		if p.Type != "JobFinished" {
			t.Errorf("got %s", p.Type)
		}
	}
	w.until("the rest is dead", func() bool { return w.status("hook").Dead == 3 })
	refuse.Store(false)
	n, err := Again(t.Context(), w.db, Replay{Target: "hook", Dead: true})
	if n != 3 || err != nil {
		t.Fatal(n, err)
	}
	got := r.until(6)[3:]
	for _, p := range got {
		if p.Type != "JobProcessing" {
			t.Errorf("got %s", p.Type)
		}
	}
	w.until("nothing is left", func() bool { s := w.status("hook"); return s.Dead+s.Waiting == 0 })

	// By id, and by time: all six, in their order for each job.
	if n, err = Again(t.Context(), w.db, Replay{IDs: []string{got[1].ID}}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if again := r.until(7)[6]; again.ID != got[1].ID {
		t.Errorf("replayed %s, not %s", again.ID, got[1].ID)
	}
	w.until("nothing is left", func() bool { return w.status("hook").Waiting == 0 })
	if n, err = Again(t.Context(), w.db, Replay{From: before}); n != 6 || err != nil {
		t.Fatal(n, err)
	}
	last := map[string]string{}
	for _, p := range r.until(13)[7:] {
		if p.Type == "JobFinished" && last[p.Job] != "JobProcessing" {
			t.Errorf("%s: JobFinished after %q", p.Job, last[p.Job])
		}
		last[p.Job] = p.Type
	}
	if n, err = Again(t.Context(), w.db, Replay{From: before, To: before}); n != 0 || err != nil {
		t.Errorf("replayed %d of no time, %v", n, err)
	}
	if _, err = Again(t.Context(), w.db, Replay{IDs: []string{"none"}}); ams.CodeOf(err) != ams.NotFound {
		t.Errorf("replay of no event: %v", err)
	}
	if _, err = Again(t.Context(), w.db, Replay{Target: "none"}); err == nil {
		t.Error("replay to no target")
	}
}

func TestRetryAfter(t *testing.T) {
	w := newWorld(t)
	var tries atomic.Int64
	r := receive(t, func(w http.ResponseWriter, _ post) bool {
		if tries.Add(1) == 1 {
			w.Header().Set("Retry-After", "3000")
			w.WriteHeader(http.StatusTooManyRequests)
			return true
		}
		return false
	})
	w.start(fast(finished("hook", r.URL)))
	w.finish("j")
	w.until("the next attempt is set", func() bool {
		var next time.Time
		if err := w.db.View(t.Context(), func(tx *catalog.Tx) (err error) {
			next, err = tx.NextDelivery("hook")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return next.Sub(w.db.Now()) > 40*time.Minute
	})
}

// A target that does not answer holds up neither jobs nor another target, nor
// more connections than it may.
func TestSlowTarget(t *testing.T) {
	w := newWorld(t)
	release := make(chan struct{})
	var now, most, all atomic.Int64
	slow := receive(t, func(http.ResponseWriter, post) bool {
		all.Add(1)
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		<-release
		return false
	})
	quick := receive(t, nil)
	c := fast(finished("slow", slow.URL), finished("quick", quick.URL))
	c.Concurrency = 3
	w.start(c)
	for i := range 20 {
		w.finish(fmt.Sprint("j", i))
	}
	quick.until(20)
	if got := slow.got(); len(got) > 0 {
		t.Fatalf("the slow target has %d already", len(got))
	}
	w.until("its requests are all under way", func() bool { return now.Load() == 3 })
	close(release)
	slow.until(20)
	if most.Load() != 3 || all.Load() != 20 {
		t.Errorf("%d requests at once, %d in all for 20 events", most.Load(), all.Load())
	}
}

// What is under way is nobody else's until its request must be over.
func TestClaim(t *testing.T) {
	w := newWorld(t)
	n, err := New(w.db, Config{Dial: here(), Targets: []Target{finished("hook", "http://127.0.0.1:1")}})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if err := n.register(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.finish("j")
	if err := n.dispatch(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, _, err := n.targets[0].claim(t.Context(), 10)
	if len(list) != 1 || err != nil {
		t.Fatal(list, err)
	}
	list, next, err := n.targets[0].claim(t.Context(), 10)
	if len(list) != 0 || err != nil || next.Sub(w.db.Now()) < n.c.Timeout {
		t.Errorf("claimed %d again, the next in %v, %v", len(list), next.Sub(w.db.Now()), err)
	}
}

func TestPrivateTarget(t *testing.T) {
	w, r := newWorld(t), receive(t, nil)
	// Only at the time of connecting is it known where a name leads.
	c := fast(finished("hook", strings.Replace(r.URL, "127.0.0.1", "localhost", 1)))
	c.Dial, c.Attempts = dial.Config{AllowHTTP: true}, 2
	w.start(c)
	w.finish("j")
	w.until("the event is dead", func() bool { return w.status("hook").Dead == 1 })
	if dead := w.dead("hook"); !strings.Contains(dead[0], "not allowed") || len(r.got()) > 0 {
		t.Errorf("dead %q, %d requests", dead, len(r.got()))
	}
}

func TestConfirmGrid(t *testing.T) {
	w := newWorld(t)
	var asked, right atomic.Int64
	r := receive(t, func(w http.ResponseWriter, p post) bool {
		if p.Header.Get("Aeg-Event-Type") != "SubscriptionValidation" {
			return false
		}
		if p.Type != validation || p.Header.Get("Webhook-Signature") == "" {
			t.Errorf("asked by %s", p.Body)
		}
		asked.Add(1)
		var data struct{ ValidationCode string }
		if err := json.Unmarshal(p.Data, &data); err != nil || data.ValidationCode == "" {
			t.Errorf("asked by %s", p.Body)
		}
		if right.Load() == 0 {
			data.ValidationCode = "another"
		}
		json.NewEncoder(w).Encode(map[string]string{"validationResponse": data.ValidationCode})
		return true
	})
	target := finished("grid", r.URL)
	target.Schema = EventGrid
	stop := w.start(fast(target))
	w.finish("early")
	w.until("it was asked twice", func() bool { return asked.Load() >= 2 })
	if s := w.status("grid"); s.Confirmed || len(r.got()) > 0 {
		t.Fatalf("%+v, %d events before it agreed", s, len(r.got()))
	}
	right.Store(1)
	if p := r.until(1)[0]; p.Job != "early" || !w.status("grid").Confirmed {
		t.Errorf("got %+v", p)
	}
	w.until("nothing is left", func() bool { return w.status("grid").Waiting == 0 })
	stop()
	n := asked.Load()
	stop = w.start(fast(target))
	w.finish("late")
	if p := r.until(2)[1]; p.Job != "late" || asked.Load() != n {
		t.Errorf("asked %d times, not %d; got %s", asked.Load(), n, p.Job)
	}
	stop()
	target.URL += "/other" // another receiver, perhaps
	w.start(fast(target))
	w.until("it is asked again", func() bool { return asked.Load() == n+1 })
}

func TestConfirmCloud(t *testing.T) {
	w := newWorld(t)
	var allow atomic.Value
	allow.Store("other.example")
	var asked atomic.Int64
	r := receive(t, func(w http.ResponseWriter, p post) bool {
		if p.Method != http.MethodOptions {
			return false
		}
		if p.Header.Get("WebHook-Request-Origin") != "ams.example" {
			t.Errorf("asked with %v", p.Header)
		}
		asked.Add(1)
		w.Header().Set("WebHook-Allowed-Origin", allow.Load().(string))
		return true
	})
	target := finished("cloud", r.URL)
	target.Confirm = ConfirmAlways
	c := fast(target)
	c.Origin = "ams.example"
	w.start(c)
	w.finish("j")
	w.until("it was asked twice", func() bool { return asked.Load() >= 2 })
	if len(r.got()) > 0 {
		t.Error("an event before it agreed")
	}
	allow.Store("*")
	r.until(1)
}

func TestFilters(t *testing.T) {
	e := &catalog.Event{Type: prefix + "JobFinished", Source: "/subscriptions/s/resourceGroups/g/providers/Microsoft.Media/mediaservices/media"}
	for _, tt := range []struct {
		types, accounts []string
		want            bool
	}{
		{nil, nil, true},
		{[]string{"Microsoft.Media.JobFinished"}, nil, true},
		{[]string{"microsoft.media.jobfinished"}, nil, true},
		{[]string{"Microsoft.Media.JobErrored", "Microsoft.Media.Job*"}, nil, true},
		{[]string{"*"}, nil, true},
		{[]string{"Microsoft.Media.JobOutput*"}, nil, false},
		{[]string{"Microsoft.Media.JobFinishedLater*"}, nil, false},
		{nil, []string{"Media"}, true},
		{nil, []string{"edia", "other"}, false},
		{[]string{"*"}, []string{"other"}, false},
	} {
		if got := wants(tt.types, tt.accounts, e); got != tt.want {
			t.Errorf("wants(%q, %q) = %v", tt.types, tt.accounts, got)
		}
	}
}

// What comes when the queue is full is given up, not kept: and can be replayed.
func TestFullQueue(t *testing.T) {
	w := newWorld(t)
	var up atomic.Bool
	r := receive(t, func(w http.ResponseWriter, _ post) bool {
		if !up.Load() {
			w.WriteHeader(500)
		}
		return !up.Load()
	})
	c := fast(finished("hook", r.URL))
	c.Queue, c.Attempts = 3, 1000000
	w.start(c)
	for i := range 5 {
		w.finish(fmt.Sprint("j", i))
	}
	w.until("two are dead", func() bool { return w.status("hook") == Status{Name: "hook", Place: r.URL, Waiting: 3, Dead: 2} })
	up.Store(true)
	r.until(3)
	if n, err := Again(t.Context(), w.db, Replay{Dead: true}); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	r.until(5)
}

// Events that cannot be delivered in time are given up, old ones forgotten.
func TestSweep(t *testing.T) {
	w, r := newWorld(t), receive(t, nil)
	target := finished("hook", r.URL)
	target.Schema = EventGrid // r does not know the handshake: nothing is sent
	c := fast(target)
	c.MaxAge = time.Nanosecond
	stop := w.start(c)
	w.finish("j")
	w.until("the event waits", func() bool { return w.status("hook").Waiting == 1 })
	stop()
	c.Retention = time.Hour
	n, err := New(w.db, c)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if err := n.sweepOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if dead := w.dead("hook"); len(dead) != 1 || !strings.Contains(dead[0], "time ran out") {
		t.Errorf("dead %q", dead)
	}
	n.c.Retention = 0
	if err := n.sweepOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.db.View(t.Context(), func(tx *catalog.Tx) error {
		list, err := tx.EventsSince(time.Time{}, tx.Now().Add(time.Hour), nil, 10)
		if len(list) > 0 {
			t.Errorf("%d events are left", len(list))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if s := w.status("hook"); s.Dead+s.Waiting > 0 {
		t.Errorf("left: %+v", s)
	}
}

// A target that the configuration names no more is forgotten, and without
// targets nothing is recorded.
func TestNoTargets(t *testing.T) {
	w, r := newWorld(t), receive(t, nil)
	w.start(fast(finished("hook", r.URL)))()
	stop := w.start(fast())
	w.finish("j")
	stop()
	if err := w.db.View(t.Context(), func(tx *catalog.Tx) error {
		list, err := tx.EventsSince(time.Time{}, tx.Now().Add(time.Hour), nil, 10)
		if len(list) > 0 {
			t.Errorf("%d events are kept", len(list))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// Jobs that change at the same time, a receiver that fails and dawdles, two
// notifiers over two catalogs of one file: nothing is lost, and each job's
// events are accepted in their order.
func TestOrder(t *testing.T) {
	w := newWorld(t)
	r := receive(t, func(w http.ResponseWriter, _ post) bool {
		switch n := rand.IntN(10); {
		case n < 3:
			w.WriteHeader(503)
			return true
		case n < 5:
			time.Sleep(time.Duration(rand.IntN(3)) * time.Millisecond)
		}
		return false
	})
	c := fast(Target{Name: "hook", URL: r.URL})
	c.Attempts = 1000
	c.Backoff = []time.Duration{time.Millisecond}
	w.start(c)
	other := *w
	other.db = openCatalog(t, w.path)
	other.start(c)

	const jobs, tasks = 12, 2
	var running sync.WaitGroup
	for i := range jobs {
		me := w
		if i%2 == 1 {
			me = &other
		}
		running.Go(func() {
			name := fmt.Sprint("j", i)
			me.job(name, tasks)
			for n := range tasks {
				me.move(fmt.Sprint(name, "-", n), ams.Scheduled, ams.Processing, ams.Finished)
			}
		})
	}
	running.Wait()
	var want []*catalog.Event
	w.update(func(tx *catalog.Tx) (err error) {
		want, err = tx.EventsSince(time.Time{}, tx.Now().Add(time.Hour), nil, 1000)
		return err
	})
	if len(want) != jobs*(tasks*6+6) {
		t.Fatalf("%d events", len(want))
	}
	w.until("all is delivered", func() bool { return len(r.got()) >= len(want) && w.status("hook").Waiting == 0 })
	checkOrder(t, want, r.got())
}

// checkOrder checks that of each lane every event was accepted, first times in
// order: an event may come again after it was accepted, never before another
// was.
func checkOrder(t *testing.T, want []*catalog.Event, got []post) {
	t.Helper()
	slices.SortFunc(want, func(a, b *catalog.Event) int { return int(a.Seq - b.Seq) })
	lanes, byID, repeated := map[string][]string{}, map[string]string{}, 0
	for _, e := range want {
		lanes[e.Lane] = append(lanes[e.Lane], e.ID)
		byID[e.ID] = e.Lane
	}
	seen := map[string]bool{}
	for _, p := range got {
		lane := byID[p.ID]
		switch {
		case seen[p.ID]:
			repeated++
		case len(lanes[lane]) == 0 || lanes[lane][0] != p.ID:
			t.Fatalf("event %s (%s) of %s came before its turn", p.ID, p.Type, lane)
		default:
			seen[p.ID] = true
			lanes[lane] = lanes[lane][1:]
		}
	}
	for lane, rest := range lanes {
		if len(rest) > 0 {
			t.Errorf("%s: %d events did not come", lane, len(rest))
		}
	}
	t.Logf("%d events, %d of them twice", len(want), repeated)
}
