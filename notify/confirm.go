package notify

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/openams/openams/catalog"
)

// validation is the type of Event Grid's question to a new target.
const validation = "Microsoft.EventGrid.SubscriptionValidationEvent"

// confirm asks the target, until it agrees, whether it wants events. It
// reports false when ctx ended first.
func (t *target) confirm(ctx context.Context) bool {
	for attempt := 1; ; attempt++ {
		f := t.handshake(ctx)
		if f == nil {
			err := t.n.db.Update(ctx, t.saveConfirmed)
			if err == nil {
				t.log.Info("the target agreed to receive events")
				return true
			}
			f = &failure{reason: err.Error()}
		}
		if ctx.Err() != nil {
			return false
		}
		if attempt == 1 {
			t.log.Warn("the target did not agree to receive events; it will be asked again", "reason", f.reason)
		}
		wait(ctx, max(t.backoff(attempt), f.after), nil)
	}
}

func (t *target) saveConfirmed(tx *catalog.Tx) error {
	list, err := tx.EventTargets()
	if err != nil {
		return err
	}
	for _, row := range list {
		if row.Name == t.Name {
			row.Confirmed = t.agreement()
			return tx.SaveEventTarget(row)
		}
	}
	return nil // configured no more
}

func (t *target) handshake(ctx context.Context) *failure {
	if t.Schema == EventGrid {
		return t.handshakeGrid(ctx)
	}
	return t.handshakeCloud(ctx)
}

// handshakeGrid sends a code that the target must give back (Event Grid's
// "synchronous handshake").
func (t *target) handshakeGrid(ctx context.Context) *failure {
	id, code := uuid.NewString(), uuid.NewString()
	data, err := json.Marshal(map[string]string{"validationCode": code})
	if err != nil {
		return &failure{reason: err.Error()}
	}
	body, contentType, err := EventGrid.encode(&catalog.Event{ID: id, Type: validation, Source: t.n.c.Origin, Time: time.Now().UTC(), Data: data})
	if err != nil {
		return &failure{reason: err.Error()}
	}
	_, answer, f := t.do(ctx, http.MethodPost, http.Header{
		"Content-Type": {contentType}, "Aeg-Event-Type": {"SubscriptionValidation"}, "Aeg-Subscription-Name": {t.Name},
	}, id, body)
	if f != nil {
		return f
	}
	var back struct {
		ValidationResponse string `json:"validationResponse"`
	}
	if err := json.Unmarshal(answer, &back); err != nil || back.ValidationResponse != code {
		return &failure{reason: "the answer does not repeat the validation code"}
	}
	return nil
}

// handshakeCloud is the one of the CloudEvents HTTP 1.1 Web Hooks document,
// section 4.
func (t *target) handshakeCloud(ctx context.Context) *failure {
	h, _, f := t.do(ctx, http.MethodOptions, http.Header{"Webhook-Request-Origin": {t.n.c.Origin}}, uuid.NewString(), nil)
	if f != nil {
		return f
	}
	if allowed := h.Get("WebHook-Allowed-Origin"); allowed != "*" && !strings.EqualFold(allowed, t.n.c.Origin) {
		return &failure{reason: "the answer does not allow the origin " + t.n.c.Origin}
	}
	return nil
}
