package keydelivery

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
)

// A token with a key that nobody knows makes the server ask its issuer. Viewers
// whose key is known do not wait for the answer.
func TestSlowIssuerHoldsNobodyUp(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "known", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	asked, answer := make(chan struct{}, 10), make(chan struct{})
	var slow, gaveUp atomic.Bool
	var provider *httptest.Server
	provider = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/jwks" {
			w.Write(set)
			return
		}
		if slow.Load() {
			asked <- struct{}{}
			<-answer
		}
		fmt.Fprintf(w, `{"jwks_uri":%q}`, provider.URL+"/jwks")
	}))
	defer provider.Close()
	rules := &ams.TokenRules{Issuer: issuer1, Audience: audience, Type: ams.JWT, Discovery: provider.URL}
	s := newStand(t, func(c *Config) { c.Fetch = impatient{&gaveUp} }, option(ams.ClearKeyConfiguration, rules))
	bearer := func(kid string) string { return "Bearer " + sign(t, jwt.SigningMethodES256, key, claimsOf(), kid) }
	s.want(s.ask("GET", "/?kid="+kid, "", "Authorization", bearer("known")), 200, string(value))

	slow.Store(true)
	s.now = now.Add(2 * time.Minute)
	refused := make(chan int)
	for range 3 {
		go func() {
			refused <- s.ask("GET", "/?kid="+kid, "", "Authorization", bearer("made up")).StatusCode
		}()
	}
	<-asked // one of them does, the others wait for it
	for range 5 {
		s.want(s.ask("GET", "/?kid="+kid, "", "Authorization", bearer("known")), 200, string(value))
	}
	if gaveUp.Load() {
		t.Error("they waited until the issuer was given up")
	}
	close(answer)
	for range 3 {
		if got := <-refused; got != http.StatusUnauthorized {
			t.Errorf("a token of a key that is made up: %d", got)
		}
	}
	if n := len(asked); n != 0 {
		t.Errorf("the issuer was asked %d times more", n)
	}
}

// An impatient fetcher says when a fetch took too long.
type impatient struct{ gaveUp *atomic.Bool }

func (i impatient) Get(ctx context.Context, url string) (*http.Response, error) {
	res, err := fetcher{}.Get(ctx, url)
	if ctx.Err() != nil {
		i.gaveUp.Store(true)
	}
	return res, err
}

// A request may ask for many keys with many tokens: each token is proven once.
func TestTokensAreProvenOnce(t *testing.T) {
	s := newStand(t, nil)
	var kids []string
	for range maxKIDs {
		id := uuid.NewString()
		kids = append(kids, id)
		s.grants[id] = []account.KeyGrant{grantOf(id, value, option(ams.ClearKeyConfiguration, rulesOf(symmetric(secret))))}
	}
	r := httptest.NewRequest("POST", "/ClearKey/", nil)
	for i := range 20 {
		r.Header.Add("Authorization", "Bearer "+hs(t, "iss", fmt.Sprint(i)))
	}
	q := &request{Request: r, tokens: tokensOf(r), used: map[usedToken]bool{}, proofs: map[string]map[string]proof{}}
	for _, kid := range kids {
		if _, err := s.h.allow(q, kid, ams.ClearKeyConfiguration); err == nil {
			t.Fatal("a token of another issuer passes")
		}
	}
	proofs := 0
	for _, of := range q.proofs {
		proofs += len(of)
	}
	if proofs != maxTokens {
		t.Errorf("%d proofs, want %d", proofs, maxTokens)
	}
}

// What is too large, too deep or too much is refused, and nothing leaves.
func TestHugeRequests(t *testing.T) {
	s := newStand(t, nil, option(ams.ClearKeyConfiguration, rulesOf(symmetric(secret))), option(ams.PlayReadyConfiguration, rulesOf(symmetric(secret))))
	bearer := "Bearer " + hs(t)
	var many []string
	for range maxKIDs + 1 {
		many = append(many, uuid.NewString())
	}
	deep := strings.Repeat("<a>", 60_000) + "<KID>" + windows(kid) + "</KID>"
	for _, tt := range []struct {
		name, path, body string
		status           int
	}{
		{"a body of a megabyte", "/?kid=" + kid, strings.Repeat("x", 1<<20), 413},
		{"a licence request of a megabyte", "/ClearKey/", strings.Repeat(" ", 1<<20), 413},
		{"too many keys", "/ClearKey/", clearKeyRequest(many...), 400},
		{"deep JSON", "/ClearKey/", strings.Repeat("[", 200_000), 400},
		{"deep JSON in an object", "/ClearKey/", `{"kids":` + strings.Repeat("[", 200_000), 400},
		{"deep XML", "/PlayReady/", deep, 400},
		{"an entity that grows", "/PlayReady/", `<!DOCTYPE a [<!ENTITY b "` + strings.Repeat("x", 1000) + `">]><a><KID>&b;&b;</KID></a>`, 400},
		{"a key id of another length", "/PlayReady/", "<KID>" + base64.StdEncoding.EncodeToString(make([]byte, 15)) + "</KID>", 400},
		{"UTF-16", "/PlayReady/", "\xff\xfe<\x00K\x00I\x00D\x00>\x00", 400},
		{"no key id at all", "/PlayReady/", "<a/>", 400},
	} {
		res := s.ask("POST", tt.path, tt.body, "Authorization", bearer)
		got, _ := io.ReadAll(res.Body)
		if res.StatusCode != tt.status || strings.Contains(string(got), string(value)) {
			t.Errorf("%s: %s: %.200s; want %d", tt.name, res.Status, got, tt.status)
		}
	}
	for _, header := range []string{
		"Bearer " + strings.Repeat("a", 64<<10),
		"Bearer " + strings.Repeat(".", 10_000),
		"Bearer " + strings.Repeat("&", 10_000) + swtSignature + "AAAA",
	} {
		s.want(s.ask("GET", "/?kid="+kid, "", "Authorization", header), 401, "")
	}
}

// A token for one key is no token for another, in a licence of both.
func TestLicenceHasOnlyItsKeys(t *testing.T) {
	claim := ams.TokenClaim{Type: ams.ContentKeyIDClaim}
	s := newStand(t, nil, option(ams.ClearKeyConfiguration, rulesOf(symmetric(secret), claim)))
	other := []byte("fedcba9876543210")
	s.grants[otherKid] = []account.KeyGrant{grantOf(otherKid, other, option(ams.ClearKeyConfiguration, rulesOf(symmetric(secret), claim)))}
	bearer := "Bearer " + hs(t, ams.ContentKeyIDClaim, kid)
	s.want(s.ask("GET", "/?kid="+otherKid, "", "Authorization", bearer), 401, "another content key")
	res := s.ask("POST", "/ClearKey/?kid="+otherKid, clearKeyRequest(otherKid, kid), "Authorization", bearer)
	body, _ := io.ReadAll(res.Body)
	if res.StatusCode != 200 || strings.Count(string(body), `"oct"`) != 1 || strings.Contains(string(body), base64.RawURLEncoding.EncodeToString(other)) {
		t.Errorf("%s: %s", res.Status, body)
	}
}
