package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

// The types under which messages of v2 are kept. They are for one notification
// endpoint each, and no target of the configuration is told of them.
const (
	jobMessage      = "v2.JobStateChange"
	taskMessage     = "v2.TaskStateChange"
	progressMessage = "v2.TaskProgress"
)

// eventTypes number the types of messages (documented: web hooks with .NET).
var eventTypes = map[string]int{jobMessage: 1, taskMessage: 4, progressMessage: 5}

// A message is what v2 told web hooks and queues.
type message struct {
	MessageVersion string
	ETag           string
	EventType      any // a number for web hooks, its name for queues
	TimeStamp      time.Time
	Properties     map[string]string
}

// messages writes what the subscriptions of a v2 job and its tasks ask for.
func (r *recorder) messages(c catalog.JobChange, j *ams.Job) error {
	list, kind := j.Subscriptions, jobMessage
	if c.Task != "" {
		list, kind = j.Tasks[c.TaskIndex].Subscriptions, taskMessage
	}
	for _, s := range list {
		about := ""
		switch {
		case c.From == "": // a new job is where its creator put it
			continue
		case c.From == c.To && s.Progress && c.Task != "":
			kind, about = progressMessage, c.Task+" "+s.Endpoint
			due, err := r.stepped(about, c)
			if err != nil {
				return err
			}
			if !due {
				continue
			}
		case c.From == c.To || !s.States.Covers(c.To):
			continue
		}
		if err := r.message(c, j, s.Endpoint, kind, about); err != nil {
			return err
		}
	}
	return nil
}

// stepped reports whether progress has grown by a step since the endpoint was
// told of it.
func (r *recorder) stepped(about string, c catalog.JobChange) (bool, error) {
	last, err := r.tx.LatestEvent(about, progressMessage)
	if err != nil || last == nil {
		return int(c.Progress) >= step, err
	}
	var told message
	if err := json.Unmarshal(last.Data, &told); err != nil {
		return false, err
	}
	var percent int
	if _, err := fmt.Sscan(told.Properties["LastComputedProgress"], &percent); err != nil {
		return false, err
	}
	return int(c.Progress) >= percent+step, nil
}

func (r *recorder) message(c catalog.JobChange, j *ams.Job, endpoint, kind, about string) error {
	target := catalog.EndpointTarget(c.Account, endpoint)
	exists, err := r.tx.HasTarget(target)
	if err != nil || !exists { // it was deleted
		return err
	}
	account, err := r.tx.AccountByID(c.Account)
	if err != nil {
		return err
	}
	m := message{EventType: eventTypes[kind], TimeStamp: c.At, Properties: map[string]string{
		"JobId": "nb:jid:UUID:" + c.JobID, "JobName": j.V2Name(),
		"AccountName": account.Name, "AccountId": account.ID, "NotificationEndPointId": "nb:nepid:UUID:" + endpoint,
	}}
	if c.Task != "" {
		m.Properties["TaskId"] = "nb:tid:UUID:" + c.Task
	}
	if kind == progressMessage {
		m.Properties["LastComputedProgress"] = fmt.Sprint(int(c.Progress))
	} else {
		m.Properties["OldState"], m.Properties["NewState"] = string(c.From), string(c.To)
	}
	return r.insertTo(target, about, c, m, kind)
}

// tell posts a message to a notification endpoint.
func (t *target) tell(ctx context.Context, d *catalog.Delivery) *failure {
	var m message
	if err := json.Unmarshal(d.Event.Data, &m); err != nil {
		return &failure{reason: err.Error(), final: true}
	}
	tag := sha256.Sum256([]byte(d.Event.ID))
	m.MessageVersion, m.ETag = "1.1", hex.EncodeToString(tag[:])
	queue := t.endpoint.Kind == ams.QueueEndpoint
	if queue { // documented: queues with .NET
		m.MessageVersion, m.EventType = "1.0", strings.TrimPrefix(d.Event.Type, "v2.")
	}
	body, err := json.Marshal(m)
	if err != nil {
		return &failure{reason: err.Error(), final: true}
	}
	h := http.Header{"Content-Type": {"application/json; charset=utf-8"}, "Ms-Mediaservices-Accountid": {t.endpoint.Account}}
	if queue {
		// Azure's clients of that time wrote texts of queues in base64.
		var b bytes.Buffer
		b.WriteString("<QueueMessage><MessageText>" + base64.StdEncoding.EncodeToString(body) + "</MessageText></QueueMessage>")
		body = b.Bytes()
		h = http.Header{"Content-Type": {"application/xml"}, "X-Ms-Version": {"2015-12-11"}, "X-Ms-Date": {t.n.db.Now().Format(http.TimeFormat)}}
	} else if len(t.endpoint.Key) > 0 {
		mac := hmac.New(sha256.New, t.endpoint.Key)
		mac.Write(body)
		h.Set("Ms-Signature", "sha256="+strings.ToUpper(hex.EncodeToString(mac.Sum(nil))))
	}
	_, _, f := t.do(ctx, http.MethodPost, h, d.Event.ID, body)
	return f
}

// endpointURL is where messages for an endpoint are posted.
func endpointURL(e *ams.NotificationEndpoint) (string, error) {
	u, err := url.Parse(e.Address)
	if err != nil {
		return "", err
	}
	if e.Kind == ams.QueueEndpoint {
		u.Path = strings.TrimSuffix(u.Path, "/") + "/messages"
		u.RawPath = ""
	}
	return u.String(), nil
}

// start sees to it that the endpoint of a target is served. Endpoints come and
// go while the server runs, and most of the time there is nothing for them: one
// is served from a message's dispatch until none waits.
func (n *Notifier) start(ctx context.Context, name string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if t := n.endpoints[name]; t != nil {
		signal(t.wake)
		return nil
	}
	account, id, _ := strings.Cut(strings.TrimPrefix(name, "v2:"), ":")
	var e *ams.NotificationEndpoint
	err := n.db.View(ctx, func(tx *catalog.Tx) (err error) {
		e, err = tx.NotificationEndpoint(account, id)
		return err
	})
	if ams.CodeOf(err) == ams.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	at, err := endpointURL(e)
	if err != nil {
		return err
	}
	t := &target{Target: Target{Name: name, URL: at}, n: n, endpoint: e, wake: make(chan struct{}, 1),
		log: n.c.Log.With("target", "notification endpoint "+e.ID)}
	n.endpoints[name] = t
	n.running.Go(func() { t.run(ctx) })
	return nil
}

// retire ends the service of an endpoint for which nothing waits, unless
// something came meanwhile.
func (t *target) retire() bool {
	t.n.mu.Lock()
	defer t.n.mu.Unlock()
	select {
	case <-t.wake:
		return false
	default:
		delete(t.n.endpoints, t.Name)
		return true
	}
}
