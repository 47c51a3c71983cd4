package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/dial"
)

// A world is a catalog with an account and a transform, whose jobs are moved
// by hand.
type world struct {
	testing.TB
	db   *catalog.DB
	path string
}

func newWorld(t testing.TB) *world {
	w := &world{TB: t, path: filepath.Join(t.TempDir(), "openams.db")}
	w.db = openCatalog(t, w.path)
	w.update(func(tx *catalog.Tx) error {
		now := tx.Now()
		return errors.Join(
			tx.InsertAccount(&ams.Account{ID: "a1", Name: "media", SubscriptionID: "s1", ResourceGroup: "g1", Created: now, LastModified: now}),
			tx.InsertTransform(&ams.Transform{Account: "a1", Name: "T", Created: now, LastModified: now}),
		)
	})
	return w
}

func openCatalog(t testing.TB, path string) *catalog.DB {
	db, err := catalog.Open(context.Background(), catalog.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func (w *world) update(f func(*catalog.Tx) error) {
	w.Helper()
	if err := w.db.Update(context.Background(), f); err != nil {
		w.Fatal(err)
	}
}

// job queues a job with n tasks, whose ids are its name, "-" and their number.
func (w *world) job(name string, n int) {
	w.Helper()
	w.update(func(tx *catalog.Tx) error { return insertJob(tx, name, n) })
}

func insertJob(tx *catalog.Tx, name string, n int) error {
	j := &ams.Job{Account: "a1", Transform: "T", Name: name, ID: "id-" + name, Priority: ams.Normal, Created: tx.Now(), LastModified: tx.Now(),
		Correlation: map[string]string{"k": "v"}}
	for i := range n {
		j.Tasks = append(j.Tasks, ams.Task{ID: fmt.Sprintf("%s-%d", name, i), Label: fmt.Sprintf("p_%d", i), Asset: fmt.Sprintf("out%d", i), Priority: ams.Normal})
	}
	return tx.InsertJob(j)
}

// move brings a task to states, each in its own transaction.
func (w *world) move(task string, states ...ams.JobState) {
	w.Helper()
	for _, s := range states {
		w.update(func(tx *catalog.Tx) error { return moveTask(tx, task, s) })
	}
}

func moveTask(tx *catalog.Tx, task string, s ams.JobState) error {
	r, err := tx.TaskRecord(task)
	if err != nil {
		return err
	}
	if r.State = s; s == ams.Finished {
		r.Progress = 100
	}
	return tx.SaveTask(r)
}

func (w *world) finish(job string) {
	w.Helper()
	w.job(job, 1)
	w.move(job+"-0", ams.Scheduled, ams.Processing, ams.Finished)
}

// here lets targets be on this machine, without TLS.
func here() dial.Config {
	return dial.Config{AllowHTTP: true, AllowNets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
}

// fast is patient in milliseconds.
func fast(targets ...Target) Config {
	return Config{Targets: targets, Dial: here(), Backoff: []time.Duration{time.Millisecond, 5 * time.Millisecond}, Poll: 20 * time.Millisecond}
}

// start runs a notifier until the test ends or stop is called.
func (w *world) start(c Config) (stop func()) {
	w.Helper()
	n, err := New(w.db, c)
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	w.until("the targets are registered", func() bool {
		list, err := Statuses(ctx, w.db)
		return err != nil || len(list) == len(c.Targets)
	})
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				w.Errorf("Run: %v", err)
			}
			n.Close()
		})
	}
	w.Cleanup(stop)
	return stop
}

// until waits for a condition that other goroutines bring about.
func (w *world) until(what string, ok func() bool) {
	w.Helper()
	for deadline := time.Now().Add(90 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatalf("waited in vain until %s", what)
		}
	}
}

func (w *world) status(target string) Status {
	w.Helper()
	list, err := Statuses(context.Background(), w.db)
	if err != nil {
		w.Fatal(err)
	}
	for _, s := range list {
		if s.Name == target {
			return s
		}
	}
	w.Fatalf("no target %s", target)
	return Status{}
}

// A post is a request that a receiver got.
type post struct {
	Method string
	Header http.Header
	Body   []byte
	ID     string
	Type   string
	Job    string // of the subject
	Data   json.RawMessage
}

// A receiver is a web hook that keeps what it accepted.
type receiver struct {
	*httptest.Server
	t     testing.TB
	mu    sync.Mutex
	posts []post
	news  chan struct{}
}

// receive makes a receiver. answer, unless nil, may answer a request itself;
// it says so by true.
func receive(t testing.TB, answer func(w http.ResponseWriter, p post) bool) *receiver {
	r := &receiver{t: t, news: make(chan struct{}, 1)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		p, err := readPost(req)
		if err != nil {
			t.Error(err)
		}
		if answer != nil && answer(w, p) {
			return
		}
		r.mu.Lock()
		r.posts = append(r.posts, p)
		r.mu.Unlock()
		signal(r.news)
	}))
	t.Cleanup(r.Close)
	return r
}

func readPost(req *http.Request) (p post, err error) {
	p = post{Method: req.Method, Header: req.Header}
	if p.Body, err = io.ReadAll(req.Body); err != nil || len(p.Body) == 0 {
		return p, nil // the client went away, or a handshake
	}
	if strings.HasPrefix(req.Header.Get("Content-Type"), "application/cloudevents+json") {
		var e cloudEvent
		err = json.Unmarshal(p.Body, &e)
		p.ID, p.Type, p.Data, p.Job = e.ID, e.Type, e.Data, e.Subject
	} else {
		var list []gridEvent
		if err = json.Unmarshal(p.Body, &list); err == nil && len(list) == 1 {
			p.ID, p.Type, p.Data, p.Job = list[0].ID, list[0].EventType, list[0].Data, list[0].Subject
		}
	}
	p.Job = p.Job[strings.LastIndexByte(p.Job, '/')+1:]
	p.Type = strings.TrimPrefix(p.Type, prefix)
	return p, err
}

func (r *receiver) got() []post {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.posts)
}

// until waits until the receiver has accepted n requests, and returns them.
func (r *receiver) until(n int) []post {
	r.t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		if list := r.got(); len(list) >= n {
			return list
		}
		select {
		case <-r.news:
		case <-deadline:
			r.t.Fatalf("%d requests, not %d", len(r.got()), n)
		}
	}
}

func types(list []post) (types []string) {
	for _, p := range list {
		types = append(types, p.Type)
	}
	return types
}

func TestJobEvents(t *testing.T) {
	w, r := newWorld(t), receive(t, nil)
	w.start(fast(Target{Name: "hook", URL: r.URL}))
	w.job("j", 2)
	w.move("j-0", ams.Scheduled, ams.Processing)
	w.move("j-1", ams.Scheduled, ams.Queued, ams.Processing)
	w.move("j-0", ams.Finished)
	w.update(func(tx *catalog.Tx) error {
		rec, err := tx.TaskRecord("j-1")
		if err != nil {
			return err
		}
		rec.State, rec.Error = ams.Failed, &ams.JobError{Code: ams.ContentMalformed, Message: "bad"}
		return tx.SaveTask(rec)
	})
	var got []string
	for _, p := range r.until(18) {
		got = append(got, p.Type+" "+string(p.Data))
	}
	const (
		head = `{"@odata.type":"#Microsoft.Media.JobOutputAsset",`
		tail = `,"jobCorrelationData":{"k":"v"}}`
		fail = `{"category":"Content","code":"ContentMalformed","details":[],"message":"bad","retry":"DoNotRetry"}`
	)
	out := func(from ams.JobState, n int, errored string, percent int, to ams.JobState) string {
		return fmt.Sprintf(`{"previousState":%q,"output":%s"assetName":"out%d","error":%s,"label":"p_%d","progress":%d,"state":%q}%s`, from, head, n, errored, n, percent, to, tail)
	}
	job := func(from, to ams.JobState) string {
		return fmt.Sprintf(`{"previousState":%q,"state":%q,"correlationData":{"k":"v"}}`, from, to)
	}
	var want []string
	output := func(suffix string, data string) {
		want = append(want, "JobOutputStateChange "+data, "JobOutput"+suffix+" "+data)
	}
	output("Scheduled", out("Queued", 0, "null", 0, "Scheduled"))
	want = append(want, "JobStateChange "+job("Queued", "Scheduled"), "JobScheduled "+job("Queued", "Scheduled"))
	output("Processing", out("Scheduled", 0, "null", 0, "Processing"))
	want = append(want, "JobStateChange "+job("Scheduled", "Processing"), "JobProcessing "+job("Scheduled", "Processing"))
	output("Scheduled", out("Queued", 1, "null", 0, "Scheduled"))
	// Nothing is said of the way back to the queue.
	output("Processing", out("Queued", 1, "null", 0, "Processing"))
	output("Finished", out("Processing", 0, "null", 100, "Finished"))
	output("Errored", out("Processing", 1, fail, 0, "Error"))
	want = append(want, "JobStateChange "+job("Processing", "Error"), "JobErrored "+strings.TrimSuffix(job("Processing", "Error"), "}")+
		`,"outputs":[`+head+`"assetName":"out0","error":null,"label":"p_0","progress":100,"state":"Finished"},`+
		head+`"assetName":"out1","error":`+fail+`,"label":"p_1","progress":0,"state":"Error"}]}`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCancelEvents(t *testing.T) {
	w, r := newWorld(t), receive(t, nil)
	w.start(fast(Target{Name: "hook", URL: r.URL, Types: []string{"Microsoft.Media.Job*"}}))
	w.job("j", 2)
	w.move("j-0", ams.Processing)
	r.until(4)
	w.update(func(tx *catalog.Tx) error {
		_, err := tx.CancelJob("a1", "T", "j")
		return err
	})
	w.move("j-0", ams.Canceled)
	want := []string{
		"JobOutputStateChange", "JobOutputCanceling", "JobOutputStateChange", "JobOutputCanceled", "JobStateChange", "JobCanceling",
		"JobOutputStateChange", "JobOutputCanceled", "JobStateChange", "JobCanceled",
	}
	if diff := cmp.Diff(want, types(r.until(14)[4:])); diff != "" {
		t.Error(diff)
	}
}

func TestProgressEvents(t *testing.T) {
	w, r := newWorld(t), receive(t, nil)
	w.start(fast(Target{Name: "hook", URL: r.URL, Types: []string{progressType, prefix + "JobOutputFinished"}}))
	w.job("j", 1)
	w.move("j-0", ams.Processing)
	for _, percent := range []float64{1, 4.9, 5.5, 9, 10.4, 10.6, 10.6, 40, 44.9, 45, 99} {
		if err := w.db.Note(t.Context(), func(tx *catalog.Tx) error {
			rec, err := tx.TaskRecord("j-0")
			if err != nil {
				return err
			}
			rec.Progress = percent
			return tx.SaveTask(rec)
		}); err != nil {
			t.Fatal(err)
		}
	}
	w.move("j-0", ams.Finished)
	var got []string
	for _, p := range r.until(6)[:5] {
		got = append(got, string(p.Data))
	}
	var want []string
	for _, n := range []int{5, 10, 40, 45, 99} {
		want = append(want, fmt.Sprintf(`{"jobCorrelationData":{"k":"v"},"label":"p_0","progress":%d}`, n))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// An event is there exactly when its change is.
func TestRecordIsAtomic(t *testing.T) {
	w, r := newWorld(t), receive(t, nil)
	w.start(fast(Target{Name: "hook", URL: r.URL}))
	w.job("j", 1)
	fail := errors.New("no")
	err := w.db.Update(t.Context(), func(tx *catalog.Tx) error {
		return errors.Join(moveTask(tx, "j-0", ams.Scheduled), fail)
	})
	if !errors.Is(err, fail) {
		t.Fatal(err)
	}
	// A recorder that fails undoes the change.
	stop := w.db.Record(func(*catalog.Tx, []catalog.JobChange) error { return fail })
	if err := w.db.Update(t.Context(), func(tx *catalog.Tx) error { return moveTask(tx, "j-0", ams.Scheduled) }); !errors.Is(err, fail) {
		t.Fatal(err)
	}
	stop()
	w.move("j-0", ams.Processing)
	if got := types(r.until(4)); !slices.Equal(got, []string{"JobOutputStateChange", "JobOutputProcessing", "JobStateChange", "JobProcessing"}) {
		t.Errorf("got %v", got)
	}
	// A job that one transaction makes and deletes, and one without targets.
	w.update(func(tx *catalog.Tx) error {
		return errors.Join(insertJob(tx, "k", 1), moveTask(tx, "k-0", ams.Scheduled), tx.DeleteJob("a1", "T", "k"))
	})
}

func TestEnvelopes(t *testing.T) {
	w := newWorld(t)
	secret := "whsec_" + base64.StdEncoding.EncodeToString([]byte("0123456789abcdef"))
	cloud, grid := receive(t, nil), receive(t, nil)
	never := Target{Name: "grid", URL: grid.URL + "/?code=k", Schema: EventGrid, Confirm: ConfirmNever, Types: []string{"microsoft.media.jobfinished"}}
	w.start(fast(Target{Name: "cloud", URL: cloud.URL, Secret: secret, Types: []string{prefix + "JobFinished"}}, never))
	w.finish("j")
	made, err := Secret(t.Context(), w.db, "grid")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Secret(t.Context(), w.db, "cloud"); err == nil {
		t.Error("a configured secret is told")
	}
	for _, tt := range []struct {
		r                   *receiver
		secret, contentType string
		want                map[string]any
	}{
		{cloud, secret, "application/cloudevents+json; charset=utf-8", map[string]any{
			"specversion": "1.0", "type": "Microsoft.Media.JobFinished", "subject": "transforms/T/jobs/j", "datacontenttype": "application/json",
			"source": "/subscriptions/s1/resourceGroups/g1/providers/Microsoft.Media/mediaservices/media",
		}},
		{grid, made, "application/json; charset=utf-8", map[string]any{
			"eventType": "Microsoft.Media.JobFinished", "subject": "transforms/T/jobs/j", "dataVersion": "1.0", "metadataVersion": "1",
			"topic": "/subscriptions/s1/resourceGroups/g1/providers/Microsoft.Media/mediaservices/media",
		}},
	} {
		p := tt.r.until(1)[0]
		if got := p.Header.Get("Content-Type"); got != tt.contentType {
			t.Errorf("Content-Type %q", got)
		}
		body := p.Body
		if tt.r == grid {
			if p.Header.Get("Aeg-Event-Type") != "Notification" || p.Header.Get("Aeg-Delivery-Count") != "0" {
				t.Errorf("headers %v", p.Header)
			}
			body = body[1 : len(body)-1] // of the array
		}
		var got map[string]any
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"time", "eventTime"} {
			if s, ok := got[name].(string); ok {
				if _, err := time.Parse(time.RFC3339, s); err != nil {
					t.Error(err)
				}
			}
			delete(got, name)
		}
		data, _ := json.Marshal(got["data"])
		if !strings.Contains(string(data), `"state":"Finished"`) || got["id"] != p.Header.Get("Webhook-Id") {
			t.Errorf("event %s", p.Body)
		}
		delete(got, "data")
		delete(got, "id")
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Error(diff)
		}
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(tt.secret, "whsec_"))
		if err != nil {
			t.Fatal(err)
		}
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", p.Header.Get("Webhook-Id"), p.Header.Get("Webhook-Timestamp"), p.Body)
		if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); p.Header.Get("Webhook-Signature") != want {
			t.Errorf("signature %q, want %q", p.Header.Get("Webhook-Signature"), want)
		}
	}
	if s := w.status("grid"); s.Place != grid.URL+"/" {
		t.Errorf("the place is %q: its key is not for showing", s.Place)
	}
}

func TestNew(t *testing.T) {
	w := newWorld(t)
	ok := Target{Name: "a", URL: "http://127.0.0.1:1/x"}
	for name, change := range map[string]func(*Target, *Config){
		"no name":        func(t *Target, _ *Config) { t.Name = "" },
		"two of a name":  func(t *Target, c *Config) { c.Targets = append(c.Targets, ok) },
		"a schema":       func(t *Target, _ *Config) { t.Schema = "Other" },
		"confirm":        func(t *Target, _ *Config) { t.Confirm = "maybe" },
		"a scheme":       func(t *Target, _ *Config) { t.URL = "ftp://127.0.0.1/" },
		"no URL":         func(t *Target, _ *Config) { t.URL = "://" },
		"plain HTTP":     func(_ *Target, c *Config) { c.Dial.AllowHTTP = false },
		"private":        func(_ *Target, c *Config) { c.Dial.AllowNets = nil },
		"a short secret": func(t *Target, _ *Config) { t.Secret = "short" },
		"base64":         func(t *Target, _ *Config) { t.Secret = "whsec_not base64 at all" },
		"a type":         func(t *Target, _ *Config) { t.Types = []string{"Microsoft.Media.JobFinishd"} },
		"types":          func(t *Target, _ *Config) { t.Types = []string{"Job*"} },
	} {
		target, c := ok, Config{Dial: here()}
		c.Targets = []Target{target}
		change(&c.Targets[0], &c)
		if n, err := New(w.db, c); err == nil {
			n.Close()
			t.Errorf("%s: no error", name)
		}
	}
	n, err := New(w.db, Config{Dial: here(), Targets: []Target{ok}})
	if err != nil {
		t.Fatal(err)
	}
	n.Close()
}
