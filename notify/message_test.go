package notify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

// An inbox takes what notification endpoints are told.
type inbox struct {
	*httptest.Server
	mu     sync.Mutex
	refuse int // so many requests first
	got    []string
	heads  []http.Header
}

func openInbox(t *testing.T, ok int) *inbox {
	b := &inbox{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		defer b.mu.Unlock()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if b.refuse--; b.refuse >= 0 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		r.Header.Set("Url", r.URL.String())
		b.got, b.heads = append(b.got, string(body)), append(b.heads, r.Header)
		w.WriteHeader(ok)
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *inbox) all() ([]string, []http.Header) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.got...), append([]http.Header(nil), b.heads...)
}

func (w *world) endpoint(id, address string, kind ams.NotificationKind, key []byte) {
	w.Helper()
	w.update(func(tx *catalog.Tx) error {
		return tx.InsertNotificationEndpoint(&ams.NotificationEndpoint{Account: "a1", ID: id, Name: id, Kind: kind, Address: address, Key: key, Created: tx.Now()})
	})
}

// A v2 job tells its endpoints what it and its tasks subscribe for them, in
// order, signed, and through failures; and no target of the configuration is
// told of it so.
func TestMessages(t *testing.T) {
	w := newWorld(t)
	key := []byte("0123456789abcdef")
	hook, queue, config := openInbox(t, 200), openInbox(t, 201), receive(t, nil)
	hook.refuse = 3
	w.endpoint("hook", hook.URL+"/in?code=x", ams.WebhookEndpoint, key)
	w.endpoint("queue", queue.URL+"/account/queue?sig=a%2Bb", ams.QueueEndpoint, nil)
	w.endpoint("other", hook.URL+"/never", ams.WebhookEndpoint, nil)
	w.start(fast(Target{Name: "config", URL: config.URL}))
	w.update(func(tx *catalog.Tx) error {
		return tx.InsertJob(&ams.Job{Account: "a1", Name: "j", ID: "j", Label: "My job", Priority: ams.Normal, Created: tx.Now(), LastModified: tx.Now(),
			Subscriptions: []ams.Subscription{{Endpoint: "hook", States: ams.AllStates}, {Endpoint: "queue", States: ams.FinalStates}, {Endpoint: "gone", States: ams.AllStates}},
			Tasks:         []ams.Task{{ID: "j-0", Spec: &ams.TaskSpec{}, Subscriptions: []ams.Subscription{{Endpoint: "hook", States: ams.FinalStates, Progress: true}}}}})
	})
	w.move("j-0", ams.Scheduled, ams.Processing)
	for _, percent := range []float64{3, 12, 14, 40} {
		w.update(func(tx *catalog.Tx) error {
			r, err := tx.TaskRecord("j-0")
			if err != nil {
				return err
			}
			r.Progress = percent
			return tx.SaveTask(r)
		})
	}
	w.move("j-0", ams.Finished)
	w.until("all is told", func() bool {
		h, _ := hook.all()
		q, _ := queue.all()
		return len(h) == 6 && len(q) == 1
	})
	bodies, heads := hook.all()
	var told []string
	for i, body := range bodies {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(body))
		if got, want := heads[i].Get("ms-signature"), "sha256="+strings.ToUpper(hex.EncodeToString(mac.Sum(nil))); got != want {
			t.Errorf("signature %s, want %s", got, want)
		}
		if heads[i].Get("ms-mediaservices-accountid") != "a1" || heads[i].Get("Webhook-Signature") != "" || heads[i].Get("Url") != "/in?code=x" {
			t.Errorf("headers %v", heads[i])
		}
		var m struct {
			MessageVersion, ETag string
			EventType            int
			Properties           map[string]string
		}
		if err := json.Unmarshal([]byte(body), &m); err != nil || m.MessageVersion != "1.1" || len(m.ETag) != 64 {
			t.Errorf("%s: %v", body, err)
		}
		p := m.Properties
		if p["JobId"] != "nb:jid:UUID:j" || p["AccountName"] != "media" || p["AccountId"] != "a1" || p["NotificationEndPointId"] != "nb:nepid:UUID:hook" || p["JobName"] != "My job" {
			t.Errorf("%s", body)
		}
		told = append(told, fmt.Sprint(m.EventType, p["TaskId"], p["OldState"], ">", p["NewState"], p["LastComputedProgress"]))
	}
	want := "1Queued>Scheduled 1Scheduled>Processing 5nb:tid:UUID:j-0>12 5nb:tid:UUID:j-0>40 4nb:tid:UUID:j-0Processing>Finished 1Processing>Finished"
	if got := strings.Join(told, " "); got != want {
		t.Errorf("told %s\nwant %s", got, want)
	}

	bodies, heads = queue.all()
	var q struct{ MessageText string }
	if err := xml.Unmarshal([]byte(bodies[0]), &q); err != nil {
		t.Fatal(err)
	}
	text, err := base64.StdEncoding.DecodeString(q.MessageText)
	if err != nil || !strings.Contains(string(text), `"EventType":"JobStateChange"`) || !strings.Contains(string(text), `"NewState":"Finished"`) ||
		heads[0].Get("Url") != "/account/queue/messages?sig=a%2Bb" {
		t.Errorf("queue: %s %v %v", text, heads[0], err)
	}
	for _, p := range config.got() {
		if strings.HasPrefix(p.Type, "v2.") {
			t.Errorf("a target of the configuration is told %s", p.Type)
		}
	}
	// An endpoint that is gone gets nothing, and keeps nobody waiting.
	w.update(func(tx *catalog.Tx) error { return tx.DeleteNotificationEndpoint("a1", "queue") })
	w.finish("later")
	if list, err := Statuses(t.Context(), w.db); err != nil || len(list) != 1 {
		t.Errorf("targets %+v, %v", list, err)
	}
}

// What a stopped process left is told by the next one.
func TestMessagesAfterRestart(t *testing.T) {
	w, hook := newWorld(t), openInbox(t, 200)
	hook.refuse = 2
	w.endpoint("hook", hook.URL, ams.WebhookEndpoint, nil)
	c := fast()
	stop := w.start(c)
	w.update(func(tx *catalog.Tx) error {
		return tx.InsertJob(&ams.Job{Account: "a1", Name: "j", ID: "j", Created: tx.Now(), Subscriptions: []ams.Subscription{{Endpoint: "hook", States: ams.FinalStates}},
			Tasks: []ams.Task{{ID: "j-0", Spec: &ams.TaskSpec{}}}})
	})
	stop()
	n, err := New(w.db, c) // records, and delivers nothing
	if err != nil {
		t.Fatal(err)
	}
	w.move("j-0", ams.Processing, ams.Finished)
	n.Close()
	w.start(c)
	w.until("the message comes", func() bool { got, _ := hook.all(); return len(got) == 1 })
}
