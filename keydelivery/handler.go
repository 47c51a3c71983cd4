package keydelivery

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/middleware"
)

// Keys is what a Handler needs of the accounts. The error of KeyGrants is
// ams.NotFound for a key id that nobody uses.
type Keys interface {
	KeyGrants(ctx context.Context, kid string) ([]account.KeyGrant, error)
}

// Uses counts the uses of tokens that limit them. An account.Server does, for all
// servers of a catalog.
type Uses interface {
	// UseToken counts a use of a token, by the hash of what is signed, which ends
	// at until. It reports false, and counts nothing, if there were max uses.
	UseToken(ctx context.Context, token [sha256.Size]byte, max int64, until time.Time) (bool, error)
	ReturnToken(ctx context.Context, token [sha256.Size]byte) error
}

// A Fetcher fetches the OpenID Connect documents that policies name. A
// dial.Client does.
type Fetcher interface {
	Get(ctx context.Context, url string) (*http.Response, error)
}

// Config is what a Handler is made of.
type Config struct {
	Keys  Keys
	Fetch Fetcher // nil: OpenID Connect discovery is refused
	Uses  Uses    // nil: tokens that limit their uses are refused

	// Licence servers. Without a URL, requests are refused with an error that
	// names the setting.
	PlayReady, Widevine, FairPlay LicenceServer
	Client                        *http.Client // to licence servers; nil: one with a timeout

	Audit func(context.Context, Record) // told of each request for a key; nil: a line of Log
	Now   func() time.Time              // nil: time.Now
	Log   *slog.Logger                  // nil: slog.Default()
}

// A Handler delivers keys.
type Handler struct {
	c      Config
	tokens *tokens
}

// New makes a Handler.
func New(c Config) *Handler {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Client == nil {
		c.Client = &http.Client{
			Timeout:       20 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return &Handler{c, newTokens(c)}
}

// Mount returns a handler that serves what lies below /keys, and leaves the rest
// to next: key delivery on the port of a streaming endpoint.
func (h *Handler) Mount(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.ToLower(r.URL.Path)
		if path == "/keys" || strings.HasPrefix(path, "/keys/") {
			h.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// A refusal is an answer other than a key, which the caller may read.
type refusal struct {
	status int
	msg    string
}

func (r *refusal) Error() string { return r.msg }

func refuse(status int, format string, args ...any) error {
	return &refusal{status, fmt.Sprintf(format, args...)}
}

// maxBody bounds a request's body. A PlayReady challenge has some 20 KB.
const maxBody = 256 << 10

// A request is what a player asks for.
type request struct {
	*http.Request
	body   []byte
	tokens []string
	kid    string // guid in lower case; "": the body names keys
	used   map[usedToken]bool
	proofs map[string]map[string]proof // by restriction, by token
	record Record
}

// ServeHTTP answers a player.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := &request{Request: r, used: map[usedToken]bool{}, proofs: map[string]map[string]proof{}}
	allowOrigins(w.Header(), r)
	w.Header().Set("Cache-Control", "no-store")
	if r.Method == http.MethodOptions {
		w.Header().Set("Allow", "GET, HEAD, POST, OPTIONS")
		w.WriteHeader(http.StatusNoContent)
		return
	}
	serve, kind, ok := h.route(r)
	if !ok {
		h.fail(w, q, refuse(http.StatusNotFound, "There is nothing at this path. Keys are at /?kid=, licences at /ClearKey/, /PlayReady/, /Widevine/ and /FairPlay/."))
		return
	}
	q.record = Record{Time: h.c.Now().UTC(), RequestID: middleware.RequestID(r.Context()), KeyType: kind, Client: middleware.Remote(r)}
	q.record.Status = http.StatusOK
	err := q.read(w, kind)
	if err == nil {
		err = serve(w, q)
	}
	if err != nil {
		h.fail(w, q, err)
	}
	if q.record.Status >= http.StatusBadRequest {
		if err := h.tokens.giveBack(r.Context(), q.used); err != nil {
			h.c.Log.LogAttrs(r.Context(), slog.LevelError, "keydelivery: a use of a token was counted that got nothing",
				slog.Any("err", err), slog.String("request_id", q.record.RequestID))
		}
	}
	h.audit(r.Context(), q.record)
}

// route finds what a path asks for: in any case, with or without /keys.
func (h *Handler) route(r *http.Request) (serve func(http.ResponseWriter, *request) error, kind string, ok bool) {
	path := strings.Trim(strings.ToLower(r.URL.Path), "/")
	if path == "keys" {
		path = ""
	}
	switch strings.TrimPrefix(path, "keys/") {
	case "", "hlshandler.ashx", "envelope":
		return h.key, KeyClear, true
	case "clearkey":
		return h.clearKey, KeyClear, true
	case "playready", "playready/rightsmanager.asmx":
		return h.playReady, KeyPlayReady, true
	case "widevine", "widevine/getlicense":
		return h.widevine, KeyWidevine, true
	case "fairplay":
		return h.fairPlay, KeyFairPlay, true
	}
	return nil, "", false
}

// read takes what all kinds of requests have in common.
func (q *request) read(w http.ResponseWriter, kind string) error {
	switch {
	case q.Method == http.MethodPost:
	case (q.Method == http.MethodGet || q.Method == http.MethodHead) && kind == KeyClear:
	default:
		w.Header().Set("Allow", "POST, OPTIONS")
		return refuse(http.StatusMethodNotAllowed, "Licences are asked for by POST.")
	}
	if q.Body != nil {
		var err error
		q.body, err = io.ReadAll(http.MaxBytesReader(w, q.Body, maxBody))
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			return refuse(http.StatusRequestEntityTooLarge, "The body has more than %d bytes.", maxBody)
		}
		if err != nil {
			return refuse(http.StatusBadRequest, "The body broke off.")
		}
	}
	for name, values := range q.URL.Query() {
		if strings.EqualFold(name, "kid") && len(values) > 0 {
			id, err := uuid.Parse(strings.TrimSpace(values[0]))
			if err != nil {
				return refuse(http.StatusBadRequest, "The kid is not a GUID.")
			}
			q.kid = id.String()
		}
	}
	q.tokens = tokensOf(q.Request)
	return nil
}

// key answers with the bytes of a content key.
func (h *Handler) key(w http.ResponseWriter, q *request) error {
	if q.kid == "" {
		return refuse(http.StatusBadRequest, "The URL names no key: ?kid={guid} is missing.")
	}
	g, err := h.allow(q, q.kid, ams.ClearKeyConfiguration)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(g.value)))
	if q.Method != http.MethodHead {
		w.Write(g.value)
	}
	return nil
}

// exposed are the headers that a script of another origin may read.
const exposed = "Server, Date, Content-Length, x-ms-request-id, WWW-Authenticate"

// allowOrigins lets players of every origin ask: access is by token, never by
// cookie. dash.js asks with credentials as soon as there is an Authorization
// header, and browsers take no "*" for an answer to that.
func allowOrigins(hd http.Header, r *http.Request) {
	hd.Set("Access-Control-Allow-Origin", "*")
	if origin := r.Header.Get("Origin"); origin != "" {
		hd.Set("Access-Control-Allow-Origin", origin)
		hd.Set("Access-Control-Allow-Credentials", "true")
		hd.Add("Vary", "Origin")
	}
	if r.Method != http.MethodOptions {
		hd.Set("Access-Control-Expose-Headers", exposed)
		return
	}
	hd.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, OPTIONS")
	hd.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, SOAPAction, Accept, Range, X-Requested-With")
	hd.Set("Access-Control-Max-Age", "86400")
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" && len(asked) < 1024 && headerList(asked) {
		hd.Set("Access-Control-Allow-Headers", asked)
	}
}

// headerList reports whether s is names of headers with commas.
func headerList(s string) bool {
	for _, c := range s {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-_, ", c)) {
			return false
		}
	}
	return true
}

// fail answers err.
func (h *Handler) fail(w http.ResponseWriter, q *request, err error) {
	no, ok := errors.AsType[*refusal](err)
	if !ok {
		if q.Context().Err() == nil {
			h.c.Log.LogAttrs(q.Context(), slog.LevelError, "keydelivery: a request failed",
				slog.Any("err", err), slog.String("request_id", middleware.RequestID(q.Context())))
		}
		no = &refusal{http.StatusInternalServerError, "The server failed. The request id is " + middleware.RequestID(q.Context()) + "."}
	}
	q.record.Status, q.record.Message = no.status, no.msg
	body, err := json.Marshal(struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}{struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}{strings.ReplaceAll(http.StatusText(no.status), " ", ""), no.msg}})
	if err != nil {
		body = []byte("{}")
	}
	hd := w.Header()
	hd.Set("Content-Type", "application/json; charset=utf-8")
	hd.Set("Content-Length", strconv.Itoa(len(body)))
	hd.Set("X-Content-Type-Options", "nosniff")
	if no.status == http.StatusUnauthorized {
		hd.Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(no.status)
	if q.Method != http.MethodHead {
		w.Write(body)
	}
}

// admits reports whether the access rules of an account let an address in: the
// keyDelivery property of v3. Rules that cannot be read admit nobody.
func admits(a *ams.Account, addr netip.Addr) bool {
	if a == nil || len(a.Settings.KeyDelivery) == 0 {
		return true
	}
	var rules struct {
		Access *struct {
			Default string   `json:"defaultAction"`
			Allowed []string `json:"ipAllowList"`
		} `json:"accessControl"`
	}
	if json.Unmarshal(a.Settings.KeyDelivery, &rules) != nil {
		return false
	}
	if rules.Access == nil || rules.Access.Default == "" || strings.EqualFold(rules.Access.Default, "Allow") {
		return true
	}
	return within(rules.Access.Allowed, addr)
}

// within reports whether a list of addresses and CIDR ranges has an address.
func within(list []string, addr netip.Addr) bool {
	addr = addr.Unmap()
	for _, s := range list {
		if p, err := netip.ParsePrefix(s); err == nil && p.Contains(addr) {
			return true
		}
		if ip, err := netip.ParseAddr(s); err == nil && ip.Unmap() == addr {
			return true
		}
	}
	return false
}
