package keydelivery

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"time"
)

// The kinds of keys, as AMS's diagnostic log has them.
const (
	KeyClear     = "Clear"
	KeyPlayReady = "PlayReady"
	KeyWidevine  = "Widevine"
	KeyFairPlay  = "FairPlay"
)

// Names of the operation in AMS's diagnostic log.
const (
	Operation = "MICROSOFT.MEDIA/MEDIASERVICES/CONTENTKEYS/READ"
	Category  = "KeyDeliveryRequests"
)

// A Record is what the audit log keeps of a request: the fields of AMS's
// diagnostic log, and no secrets.
type Record struct {
	Time      time.Time
	RequestID string
	Client    netip.Addr
	KeyType   string
	KeyIDs    []string
	Policy    string
	TokenType string // of the restriction: Jwt, Swt; "" without one
	Issuer    string // of a token that passed, as the policy has it
	Audience  string
	Claims    map[string]any // of a token that passed
	Status    int
	Message   string // of a refusal
}

func (h *Handler) audit(ctx context.Context, r Record) {
	if h.c.Audit != nil {
		h.c.Audit(ctx, r)
		return
	}
	// Claims say who watches: only an audit log of the operator's gets them.
	h.c.Log.LogAttrs(ctx, slog.LevelInfo, "key delivery",
		slog.String("operation", Operation), slog.String("category", Category),
		slog.String("key_type", r.KeyType), slog.String("key_id", strings.Join(r.KeyIDs, " ")),
		slog.String("policy", r.Policy), slog.String("token_type", r.TokenType),
		slog.String("issuer", r.Issuer), slog.String("audience", r.Audience),
		slog.Int("status", r.Status), slog.String("message", r.Message),
		slog.String("client", r.Client.String()), slog.String("request_id", r.RequestID))
}
