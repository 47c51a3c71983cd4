package keydelivery

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// freshKeys is how long the keys of an issuer are used unasked.
	freshKeys = time.Hour
	// pause is the least time between two fetches for one document: anybody may
	// send a token with an unknown key.
	pause = time.Minute
	// fetchTime bounds the fetches for one request.
	fetchTime = 10 * time.Second
	// maxDocument bounds a document, maxKeys the keys in it, maxIssuers the
	// documents that are remembered.
	maxDocument = 1 << 20
	maxKeys     = 100
	maxIssuers  = 1000
)

// discovery finds the keys behind OpenID Connect discovery documents.
type discovery struct {
	fetch Fetcher
	now   func() time.Time
	log   *slog.Logger

	mu      sync.Mutex
	issuers map[string]*issuer // by URL of the document
}

type issuer struct {
	mu     sync.Mutex
	set    []jose.JSONWebKey
	read   time.Time // when set was fetched
	tried  time.Time
	err    error         // of the last try
	trying chan struct{} // closed when the try that is under way ends; nil: none is
}

func newDiscovery(fetch Fetcher, now func() time.Time, log *slog.Logger) *discovery {
	return &discovery{fetch: fetch, now: now, log: log, issuers: map[string]*issuer{}}
}

// keys returns the keys of a document that a token with the key id kid may be
// signed by; all of them for a token without.
func (d *discovery) keys(ctx context.Context, url, kid string) ([]crypto.PublicKey, error) {
	if d.fetch == nil {
		return nil, refuse(http.StatusServiceUnavailable, "This server does not fetch OpenID Connect documents.")
	}
	i := d.issuer(url)
	i.mu.Lock()
	defer i.mu.Unlock()
	now := d.now()
	found := i.find(kid)
	stale := now.Sub(i.read) > freshKeys
	switch {
	case i.trying != nil:
		// Who has a key does not wait for who makes one up.
		if len(found) == 0 {
			trying := i.trying
			i.mu.Unlock()
			select {
			case <-trying:
			case <-ctx.Done():
			}
			i.mu.Lock()
			found = i.find(kid)
		}
	case (stale || len(found) == 0) && (i.tried.IsZero() || now.Sub(i.tried) >= pause):
		d.try(ctx, i, url, now)
		found = i.find(kid)
	}
	if len(found) > 0 {
		return found, nil
	}
	if i.err != nil && len(i.set) == 0 {
		return nil, refuse(http.StatusServiceUnavailable, "The OpenID Connect document of the content key policy can't be read now.")
	}
	return nil, unauthorized("The token is signed by a key that its issuer does not publish.")
}

// try fetches the keys of i, which is locked but for the time of the fetch.
func (d *discovery) try(ctx context.Context, i *issuer, url string, now time.Time) {
	i.tried, i.trying = now, make(chan struct{})
	i.mu.Unlock()
	// The keys are for all, not only for this request.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTime)
	defer cancel()
	var set []jose.JSONWebKey
	err := errors.New("the fetch broke off")
	defer func() {
		i.mu.Lock()
		close(i.trying)
		i.trying = nil
		if i.err = err; err == nil {
			i.set, i.read = set, now
		}
	}()
	if set, err = d.read(ctx, url); err != nil {
		d.log.Warn("keydelivery: the keys of an issuer cannot be fetched", "document", url, "err", err)
	}
}

func (d *discovery) issuer(url string) *issuer {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := d.issuers[url]
	if i == nil {
		if len(d.issuers) >= maxIssuers {
			clear(d.issuers)
		}
		i = new(issuer)
		d.issuers[url] = i
	}
	return i
}

func (i *issuer) find(kid string) []crypto.PublicKey {
	var list []crypto.PublicKey
	for _, k := range i.set {
		if (kid == "" || k.KeyID == kid) && (k.Use == "" || k.Use == "sig") && k.IsPublic() && k.Valid() {
			list = append(list, k.Key)
		}
	}
	return list
}

// read fetches the document and the keys that it leads to.
func (d *discovery) read(ctx context.Context, url string) ([]jose.JSONWebKey, error) {
	var document struct {
		Keys string `json:"jwks_uri"`
	}
	if err := d.get(ctx, url, &document); err != nil {
		return nil, err
	}
	if document.Keys == "" {
		return nil, fmt.Errorf("%s has no jwks_uri", url)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := d.get(ctx, document.Keys, &set); err != nil {
		return nil, err
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("%s has more than %d keys", document.Keys, maxKeys)
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var k jose.JSONWebKey
		// A key of a kind that we do not know spoils none of the others.
		if json.Unmarshal(raw, &k) == nil {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

func (d *discovery) get(ctx context.Context, url string, into any) error {
	res, err := d.fetch.Get(ctx, url)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxDocument+1))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK || len(body) > maxDocument {
		return fmt.Errorf("%s: status %d, %d bytes", url, res.StatusCode, len(body))
	}
	return json.Unmarshal(body, into)
}
