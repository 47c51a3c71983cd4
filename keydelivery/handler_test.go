package keydelivery

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/middleware"
)

const (
	kid      = "11111111-2222-3333-4444-555555555555"
	otherKid = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
	issuer1  = "https://issuer.example/"
	audience = "urn:players"
)

var (
	value  = []byte("0123456789abcdef")
	now    = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	secret = []byte("a symmetric key of the policy, 32+ bytes")
)

// A stand is a Handler over keys in memory.
type stand struct {
	testing.TB
	grants  map[string][]account.KeyGrant
	handler http.Handler
	h       *Handler
	log     bytes.Buffer
	mu      sync.Mutex
	records []Record
	now     time.Time
}

func (s *stand) KeyGrants(_ context.Context, kid string) ([]account.KeyGrant, error) {
	if g := s.grants[kid]; g != nil {
		return g, nil
	}
	return nil, ams.Errorf(ams.NotFound, "none")
}

// newStand makes a Handler that knows kid under the options.
func newStand(t testing.TB, change func(*Config), options ...ams.ContentKeyPolicyOption) *stand {
	s := &stand{TB: t, now: now, grants: map[string][]account.KeyGrant{kid: {grantOf(kid, value, options...)}}}
	c := Config{
		Keys: s, Uses: &counted{TB: t}, Now: func() time.Time { return s.now }, Log: slog.New(slog.NewTextHandler(&s.log, nil)),
		Audit: func(_ context.Context, r Record) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.records = append(s.records, r)
		},
	}
	if change != nil {
		change(&c)
	}
	s.h = New(c)
	s.handler = middleware.Wrap(s.h, middleware.Config{Name: "keys", Log: c.Log})
	return s
}

func grantOf(kid string, value []byte, options ...ams.ContentKeyPolicyOption) account.KeyGrant {
	return account.KeyGrant{
		Key:     &ams.ContentKey{ID: kid, Value: value},
		Policy:  &ams.ContentKeyPolicy{Name: "policy", Options: options},
		Account: &ams.Account{},
	}
}

func option(configuration string, rules *ams.TokenRules) ams.ContentKeyPolicyOption {
	o := ams.ContentKeyPolicyOption{
		Configuration: json.RawMessage(`{"@odata.type":"#Microsoft.Media.ContentKeyPolicy` + configuration + `"}`),
		Restriction:   json.RawMessage(`{"@odata.type":"#Microsoft.Media.ContentKeyPolicyOpenRestriction"}`),
	}
	if rules != nil {
		b, err := json.Marshal(rules)
		if err != nil {
			panic(err)
		}
		var m map[string]any
		json.Unmarshal(b, &m)
		m["@odata.type"] = "#Microsoft.Media.ContentKeyPolicyTokenRestriction"
		o.Restriction, _ = json.Marshal(m)
	}
	return o
}

func symmetric(key []byte) *ams.TokenKey {
	return &ams.TokenKey{Type: ams.SymmetricTokenKey, Symmetric: key}
}

func rulesOf(primary *ams.TokenKey, claims ...ams.TokenClaim) *ams.TokenRules {
	return &ams.TokenRules{Issuer: issuer1, Audience: audience, Type: ams.JWT, Primary: primary, Claims: claims}
}

// ask sends a request and returns the answer.
func (s *stand) ask(method, target string, body string, headers ...string) *http.Response {
	s.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	want := "*"
	if o := r.Header.Get("Origin"); o != "" {
		want = o
	}
	if res := w.Result(); res.Header.Get("Access-Control-Allow-Origin") != want || res.Header.Get("Cache-Control") != "no-store" {
		s.Errorf("%s %s: headers %v", method, target, res.Header)
	}
	return w.Result()
}

func (s *stand) want(res *http.Response, status int, body string) {
	s.Helper()
	got, _ := io.ReadAll(res.Body)
	if res.StatusCode != status || !strings.Contains(string(got), body) {
		s.Errorf("%s: %s; want %d with %q", res.Status, got, status, body)
	}
}

func claimsOf(more ...any) jwt.MapClaims {
	c := jwt.MapClaims{"iss": issuer1, "aud": audience, "exp": now.Add(30 * time.Minute).Unix(), "nbf": now.Add(-time.Minute).Unix()}
	for i := 0; i < len(more); i += 2 {
		c[more[i].(string)] = more[i+1]
	}
	return c
}

func sign(t testing.TB, method jwt.SigningMethod, key any, claims jwt.MapClaims, kid string) string {
	t.Helper()
	j := jwt.NewWithClaims(method, claims)
	if kid != "" {
		j.Header["kid"] = kid
	}
	s, err := j.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func hs(t testing.TB, more ...any) string {
	return sign(t, jwt.SigningMethodHS256, secret, claimsOf(more...), "")
}

func TestOpenKey(t *testing.T) {
	s := newStand(t, nil, option(ams.ClearKeyConfiguration, nil))
	for _, path := range []string{"/?kid=" + kid, "/keys/?KID=" + strings.ToUpper(kid), "/keys?kid=" + kid, "/HlsHandler.ashx?kid=" + kid, "/keys/HlsHandler.ashx?kid={" + kid + "}"} {
		for _, method := range []string{"GET", "POST"} {
			res := s.ask(method, path, "", "Content-Type", "text/xml")
			if got, _ := io.ReadAll(res.Body); !bytes.Equal(got, value) || res.Header.Get("Content-Type") != "application/octet-stream" {
				t.Errorf("%s %s: %s %q", method, path, res.Status, got)
			}
		}
	}
	s.want(s.ask("GET", "/?kid="+otherKid, ""), 404, "no content key")
	s.want(s.ask("GET", "/?kid=nonsense", ""), 400, "GUID")
	s.want(s.ask("GET", "/", ""), 400, "kid")
	s.want(s.ask("GET", "/elsewhere?kid="+kid, ""), 404, "path")
	s.want(s.ask("PUT", "/?kid="+kid, ""), 405, "")
	s.want(s.ask("GET", "/Widevine/?kid="+kid, ""), 405, "")
	s.want(s.ask("POST", "/?kid="+kid, strings.Repeat("x", maxBody+1)), 413, "")
	s.want(s.ask("POST", "/Widevine/?kid="+kid, "x"), 403, "no option")
	if strings.Contains(s.log.String(), string(value)) {
		t.Error("the log has the key")
	}
}

func TestPreflight(t *testing.T) {
	s := newStand(t, nil)
	res := s.ask("OPTIONS", "/keys/?kid="+kid, "", "Origin", "https://player.example", "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "authorization,content-type")
	if res.StatusCode != 204 || res.Header.Get("Access-Control-Allow-Headers") != "authorization,content-type" || !strings.Contains(res.Header.Get("Access-Control-Allow-Methods"), "POST") {
		t.Errorf("%s %v", res.Status, res.Header)
	}
}

// TestTokenForms sends a good token in each form that players use.
func TestTokenForms(t *testing.T) {
	s := newStand(t, nil, option(ams.ClearKeyConfiguration, rulesOf(symmetric(secret))))
	tok := hs(t)
	for _, header := range []string{"Bearer " + tok, "bearer " + tok, "Bearer=" + tok, "Bearer%3d" + tok, "Bearer%20" + tok, tok, "BEARER  " + tok} {
		s.want(s.ask("GET", "/?kid="+kid, "", "Authorization", header), 200, string(value))
	}
	for _, query := range []string{"token=" + tok, "Token=Bearer%20" + tok, "token=Bearer%3d" + tok, "token=Bearer=" + tok, "token=Bearer%253d" + tok, "a=b&token=Bearer+" + tok} {
		s.want(s.ask("GET", "/?kid="+kid+"&"+query, ""), 200, string(value))
		s.want(s.ask("GET", "/?"+query+"&kid="+kid, ""), 200, string(value))
	}
	res := s.ask("GET", "/?kid="+kid, "")
	if s.want(res, 401, "no token"); res.Header.Get("WWW-Authenticate") != "Bearer" {
		t.Error("no WWW-Authenticate")
	}
	s.want(s.ask("GET", "/?kid="+kid, "", "Authorization", "Basic "+tok), 401, "JSON web token")
	if strings.Contains(s.log.String(), tok) {
		t.Error("the log has the token")
	}
}

func TestJWT(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{}, &rsaKey.PublicKey, rsaKey)
	if err != nil {
		t.Fatal(err)
	}
	rsaToken := &ams.TokenKey{Type: ams.RSATokenKey, Modulus: rsaKey.N.Bytes(), Exponent: []byte{1, 0, 1}}
	x509Token := &ams.TokenKey{Type: ams.CertificateTokenKey, Certificate: certificate}
	spki, _ := x509.MarshalPKIXPublicKey(&rsaKey.PublicKey)
	none := jwt.NewWithClaims(jwt.SigningMethodNone, claimsOf())
	unsigned, _ := none.SignedString(jwt.UnsafeAllowNoneSignatureType)
	withAlternates := rulesOf(symmetric([]byte("the primary key is another one")))
	withAlternates.Alternates = []ams.TokenKey{*symmetric([]byte("not this one either, thanks")), *rsaToken, *symmetric(secret)}
	required := func(name string, v *string) ams.TokenClaim { return ams.TokenClaim{Type: name, Value: v} }
	text := func(s string) *string { return &s }

	for _, tt := range []struct {
		name   string
		rules  *ams.TokenRules
		token  string
		status int
		msg    string
	}{
		{"symmetric", rulesOf(symmetric(secret)), hs(t), 200, ""},
		{"rsa", rulesOf(rsaToken), sign(t, jwt.SigningMethodRS256, rsaKey, claimsOf(), ""), 200, ""},
		{"pss", rulesOf(rsaToken), sign(t, jwt.SigningMethodPS256, rsaKey, claimsOf(), ""), 200, ""},
		{"x509", rulesOf(x509Token), sign(t, jwt.SigningMethodRS256, rsaKey, claimsOf(), "any"), 200, ""},
		{"alternate symmetric", withAlternates, hs(t), 200, ""},
		{"alternate rsa", withAlternates, sign(t, jwt.SigningMethodRS512, rsaKey, claimsOf(), ""), 200, ""},
		{"several audiences", rulesOf(symmetric(secret)), hs(t, "aud", []string{"x", audience}), 200, ""},
		{"claims", rulesOf(symmetric(secret), required("level", text("3")), required("roles", text("b")), required("any", nil), required("on", text("true"))),
			hs(t, "level", 3, "roles", []string{"a", "b"}, "any", "x", "on", true), 200, ""},
		{"key id", rulesOf(symmetric(secret), required(ams.ContentKeyIDClaim, nil)), hs(t, ams.ContentKeyIDClaim, strings.ToUpper(kid)), 200, ""},
		{"within the skew", rulesOf(symmetric(secret)), hs(t, "exp", now.Add(-time.Minute).Unix()), 200, ""},

		{"other key", rulesOf(symmetric([]byte("another"))), hs(t), 401, "signature"},
		{"other rsa key", rulesOf(rsaToken), sign(t, jwt.SigningMethodRS256, other, claimsOf(), ""), 401, "signature"},
		{"unsigned", rulesOf(symmetric(secret)), unsigned, 401, ""},
		{"public key as secret", rulesOf(rsaToken), sign(t, jwt.SigningMethodHS256, spki, claimsOf(), ""), 401, "algorithm"},
		{"modulus as secret", rulesOf(rsaToken), sign(t, jwt.SigningMethodHS256, rsaKey.N.Bytes(), claimsOf(), ""), 401, "algorithm"},
		{"expired", rulesOf(symmetric(secret)), hs(t, "exp", now.Add(-time.Hour).Unix()), 401, "expired"},
		{"not yet", rulesOf(symmetric(secret)), hs(t, "nbf", now.Add(time.Hour).Unix()), 401, "not valid yet"},
		{"no end", rulesOf(symmetric(secret)), hs(t, "exp", nil), 401, ""},
		{"issuer", rulesOf(symmetric(secret)), hs(t, "iss", "https://issuer.example"), 401, "issuer"},
		{"audience", rulesOf(symmetric(secret)), hs(t, "aud", []string{"x"}), 401, "audience"},
		{"claim missing", rulesOf(symmetric(secret), required("level", nil)), hs(t), 401, "lacks"},
		{"claim value", rulesOf(symmetric(secret), required("level", text("3"))), hs(t, "level", "33"), 401, "another value"},
		{"key id of another", rulesOf(symmetric(secret), required(ams.ContentKeyIDClaim, nil)), hs(t, ams.ContentKeyIDClaim, otherKid), 401, "another content key"},
		{"a SWT", rulesOf(symmetric(secret)), "Issuer=x&HMACSHA256=x", 401, ""},
		{"no key at all", rulesOf(&ams.TokenKey{Type: "x"}), hs(t), 401, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStand(t, nil, option(ams.ClearKeyConfiguration, tt.rules))
			s.want(s.ask("GET", "/?kid="+kid, "", "Authorization", "Bearer "+tt.token), tt.status, tt.msg)
			r := s.records[0]
			if len(s.records) != 1 || r.Status != tt.status || r.TokenType != "Jwt" || r.Policy != "policy" || r.KeyIDs[0] != kid {
				t.Errorf("audit: %+v", s.records)
			}
			if tt.status == 200 && (r.Issuer != issuer1 || r.Claims["iss"] != issuer1) {
				t.Errorf("audit of who got the key: %+v", r)
			}
		})
	}
}

func TestOptionsInOrder(t *testing.T) {
	first, second := rulesOf(symmetric([]byte("key of another issuer"))), rulesOf(symmetric(secret))
	s := newStand(t, nil, option(ams.WidevineConfiguration, nil), option(ams.ClearKeyConfiguration, first), option(ams.ClearKeyConfiguration, second))
	s.want(s.ask("GET", "/?kid="+kid, "", "Authorization", "Bearer "+hs(t)), 200, string(value))
	s.want(s.ask("GET", "/?kid="+kid, ""), 401, "no token")
	broken := option(ams.ClearKeyConfiguration, nil)
	for _, restriction := range []string{``, `{}`, `{"@odata.type":"#Microsoft.Media.ContentKeyPolicyUnknownRestriction"}`, `{"@odata.type":"#Microsoft.Media.ContentKeyPolicyTokenRestriction","issuer":5}`, `[`} {
		broken.Restriction = json.RawMessage(restriction)
		s.grants[kid] = []account.KeyGrant{grantOf(kid, value, broken)}
		s.want(s.ask("GET", "/?kid="+kid, "", "Authorization", "Bearer "+hs(t)), 403, "")
	}
	// Several locators use the key: one policy that allows is enough.
	s.grants[kid] = []account.KeyGrant{grantOf(kid, value, broken), {Key: &ams.ContentKey{ID: kid, Value: value}}, grantOf(kid, value, option(ams.ClearKeyConfiguration, second))}
	s.want(s.ask("GET", "/?kid="+kid, "", "Authorization", "Bearer "+hs(t)), 200, string(value))
	s.grants[kid] = s.grants[kid][1:2]
	s.want(s.ask("GET", "/?kid="+kid, ""), 403, "nobody")
}

func TestMaxUses(t *testing.T) {
	s := newStand(t, nil, option(ams.ClearKeyConfiguration, rulesOf(symmetric(secret))))
	tok := hs(t, maxUsesClaim, "2")
	for i := range 4 {
		want := 200
		if i >= 2 {
			want = 401
		}
		s.want(s.ask("GET", "/?kid="+kid, "", "Authorization", "Bearer "+tok), want, "")
	}
	s.want(s.ask("GET", "/?kid="+kid, "", "Authorization", "Bearer "+hs(t, maxUsesClaim, 1)), 200, "")
	s.want(s.ask("GET", "/?kid="+kid, "", "Authorization", "Bearer "+hs(t, maxUsesClaim, 1, "exp", now.Add(2*time.Hour).Unix())), 401, "live longer")
	s.want(s.ask("GET", "/?kid="+kid, "", "Authorization", "Bearer "+hs(t, maxUsesClaim, "many")), 401, "positive")
	// A request for two keys is one use.
	s.grants[otherKid] = []account.KeyGrant{grantOf(otherKid, value, option(ams.ClearKeyConfiguration, rulesOf(symmetric(secret))))}
	once := hs(t, maxUsesClaim, 1, "jti", "x")
	res := s.ask("POST", "/ClearKey/", clearKeyRequest(kid, otherKid), "Authorization", "Bearer "+once)
	if got, _ := io.ReadAll(res.Body); strings.Count(string(got), `"oct"`) != 2 {
		t.Errorf("%s %s", res.Status, got)
	}
	s.want(s.ask("GET", "/?kid="+kid, "", "Authorization", "Bearer "+once), 401, "limit")
	// A server that counts nothing does not let them pass.
	s = newStand(t, func(c *Config) { c.Uses = nil }, option(ams.ClearKeyConfiguration, rulesOf(symmetric(secret))))
	s.want(s.ask("GET", "/?kid="+kid, "", "Authorization", "Bearer "+hs(t, maxUsesClaim, 1)), 403, "does not count")
	s.want(s.ask("GET", "/?kid="+kid, "", "Authorization", "Bearer "+hs(t)), 200, string(value))
}

// TestUsesAreShared asks two servers of one catalog at the same time.
func TestUsesAreShared(t *testing.T) {
	dir := t.TempDir()
	at := func(c *Config) { c.Uses = counter(t, dir) }
	rules := option(ams.ClearKeyConfiguration, rulesOf(symmetric(secret)))
	stands := []*stand{newStand(t, at, rules), newStand(t, at, rules)}
	bearer := "Bearer " + hs(t, maxUsesClaim, 5)
	var got atomic.Int64
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			switch res := stands[i%2].ask("GET", "/?kid="+kid, "", "Authorization", bearer); res.StatusCode {
			case http.StatusOK:
				got.Add(1)
			case http.StatusUnauthorized:
			default:
				t.Errorf("%s", res.Status)
			}
		})
	}
	all.Wait()
	if n := got.Load(); n != 5 {
		t.Errorf("a token for 5 uses gave %d keys", n)
	}
	// One that starts later knows of them.
	late := newStand(t, at, rules)
	late.want(late.ask("GET", "/?kid="+kid, "", "Authorization", bearer), 401, "limit")
}

// counter counts in the catalog of a folder.
func counter(t testing.TB, dir string) Uses {
	t.Helper()
	db, err := catalog.Open(context.Background(), catalog.Config{Path: filepath.Join(dir, "openams.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return account.New(account.Config{Catalog: db})
}

// counted is counter of a folder that is made when something is to be counted.
type counted struct {
	testing.TB
	once sync.Once
	uses Uses
}

func (c *counted) UseToken(ctx context.Context, token [sha256.Size]byte, max int64, until time.Time) (bool, error) {
	c.once.Do(func() { c.uses = counter(c, c.TempDir()) })
	return c.uses.UseToken(ctx, token, max, until)
}

func (c *counted) ReturnToken(ctx context.Context, token [sha256.Size]byte) error {
	return c.uses.ReturnToken(ctx, token)
}

func swt(key []byte, pairs ...string) string {
	var parts []string
	for i := 0; i < len(pairs); i += 2 {
		parts = append(parts, url.QueryEscape(pairs[i])+"="+url.QueryEscape(pairs[i+1]))
	}
	text := strings.Join(parts, "&")
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return text + swtSignature + url.QueryEscape(base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

func TestSWT(t *testing.T) {
	any := ""
	rules := &ams.TokenRules{Issuer: "http://issuer.example/", Audience: "urn:test", Type: ams.SWT, Primary: symmetric([]byte("old")),
		Alternates: []ams.TokenKey{*symmetric(secret)}, Claims: []ams.TokenClaim{{Type: ams.ContentKeyIDClaim, Value: &any}}}
	s := newStand(t, nil, option(ams.ClearKeyConfiguration, rules))
	good := func(more ...string) []string {
		return append([]string{"Issuer", "http://issuer.example/", "Audience", "urn:test", "ExpiresOn", fmt.Sprint(now.Add(time.Hour).Unix()), ams.ContentKeyIDClaim, kid}, more...)
	}
	tok := swt(secret, good()...)
	for _, header := range []string{"Bearer=" + tok, "Bearer " + tok, tok, "Bearer%3d" + url.PathEscape(tok)} {
		s.want(s.ask("GET", "/?kid="+kid, "", "Authorization", header), 200, string(value))
	}
	for _, query := range []string{"token=Bearer%3d" + url.QueryEscape(tok), "token=" + url.QueryEscape(tok), "token=" + tok, "token=Bearer=" + tok} {
		s.want(s.ask("GET", "/?kid="+kid+"&"+query, ""), 200, string(value))
	}
	for name, bad := range map[string]string{
		"key":     swt([]byte("other"), good()...),
		"expired": swt(secret, "Issuer", "http://issuer.example/", "Audience", "urn:test", "ExpiresOn", fmt.Sprint(now.Add(-time.Hour).Unix()), ams.ContentKeyIDClaim, kid),
		"no end":  swt(secret, "Issuer", "http://issuer.example/", "Audience", "urn:test", ams.ContentKeyIDClaim, kid),
		"issuer":  swt(secret, "Issuer", "x", "Audience", "urn:test", "ExpiresOn", fmt.Sprint(now.Add(time.Hour).Unix()), ams.ContentKeyIDClaim, kid),
		"twice":   swt(secret, good("Issuer", "http://issuer.example/")...),
		"key id":  swt(secret, "Issuer", "http://issuer.example/", "Audience", "urn:test", "ExpiresOn", fmt.Sprint(now.Add(time.Hour).Unix()), ams.ContentKeyIDClaim, otherKid),
		"jwt":     hs(t),
		"changed": strings.Replace(tok, "urn%3Atest", "urn%3Abest", 1),
	} {
		res := s.ask("GET", "/?kid="+kid, "", "Authorization", "Bearer="+bad)
		if res.StatusCode != 401 {
			t.Errorf("%s: %s", name, res.Status)
		}
	}
}

// TestDiscovery changes the keys of an issuer while it is used.
func TestDiscovery(t *testing.T) {
	var mu sync.Mutex
	var set jose.JSONWebKeySet
	fetches, down := 0, false
	var provider *httptest.Server
	provider = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		fetches++
		switch {
		case down:
			http.Error(w, "down", 500)
		case r.URL.Path == "/.well-known/openid-configuration":
			fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, issuer1, provider.URL+"/jwks")
		default:
			body, _ := json.Marshal(set)
			w.Write(bytes.Replace(body, []byte(`"keys":[`), []byte(`"keys":[{"kty":"unheard of"},`), 1))
		}
	}))
	defer provider.Close()
	newKey := func(id string) (*ecdsa.PrivateKey, jose.JSONWebKey) {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k, jose.JSONWebKey{Key: &k.PublicKey, KeyID: id, Use: "sig"}
	}
	one, public := newKey("one")
	set.Keys = []jose.JSONWebKey{public, {Key: []byte("a symmetric key in public"), KeyID: "oct"}}
	rules := &ams.TokenRules{Issuer: issuer1, Audience: audience, Type: ams.JWT, Discovery: provider.URL + "/.well-known/openid-configuration"}
	s := newStand(t, func(c *Config) { c.Fetch = fetcher{} }, option(ams.ClearKeyConfiguration, rules))
	get := func(tok string, status int, msg string) {
		t.Helper()
		s.want(s.ask("GET", "/?kid="+kid, "", "Authorization", "Bearer "+tok), status, msg)
	}
	mu.Lock()
	down = true
	mu.Unlock()
	fresh := func(key any, method jwt.SigningMethod, id string) string {
		return sign(t, method, key, claimsOf("exp", s.now.Add(time.Hour).Unix()), id)
	}
	get(fresh(one, jwt.SigningMethodES256, "one"), 503, "can't be read now")
	mu.Lock()
	down = false
	mu.Unlock()
	s.now = s.now.Add(2 * time.Minute)
	for range 5 {
		get(fresh(one, jwt.SigningMethodES256, "one"), 200, "")
	}
	get(fresh(one, jwt.SigningMethodES256, ""), 200, "")
	get(fresh([]byte("a symmetric key in public"), jwt.SigningMethodHS256, "oct"), 401, "")
	mu.Lock()
	if fetches != 3 {
		t.Errorf("%d fetches for seven requests", fetches)
	}
	two, public := newKey("two")
	set.Keys = []jose.JSONWebKey{public}
	mu.Unlock()
	get(fresh(two, jwt.SigningMethodES256, "two"), 401, "does not publish") // asked a moment ago
	s.now = s.now.Add(2 * time.Minute)
	get(fresh(two, jwt.SigningMethodES256, "two"), 200, "")
	get(fresh(one, jwt.SigningMethodES256, "one"), 401, "")
	mu.Lock()
	down = true
	mu.Unlock()
	s.now = s.now.Add(2 * time.Hour)
	get(fresh(two, jwt.SigningMethodES256, "two"), 200, "") // old keys are better than none
	open := *rules
	open.Issuer = ""
	s.grants[otherKid] = []account.KeyGrant{grantOf(otherKid, value, option(ams.ClearKeyConfiguration, &open))}
	s.want(s.ask("GET", "/?kid="+otherKid, "", "Authorization", "Bearer "+fresh(two, jwt.SigningMethodES256, "two")), 403, "no issuer")
	s.h.tokens.discovery.fetch = nil
	get(fresh(two, jwt.SigningMethodES256, "two"), 503, "")
}

type fetcher struct{}

func (fetcher) Get(ctx context.Context, url string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return nil, err
	}
	return http.DefaultClient.Do(r)
}

func TestAddresses(t *testing.T) {
	s := newStand(t, nil, option(ams.ClearKeyConfiguration, nil))
	for rules, status := range map[string]int{
		``:                       200,
		`{}`:                     200,
		`{"accessControl":null}`: 200,
		`{"accessControl":{}}`:   200,
		`{"accessControl":{"defaultAction":"Allow","ipAllowList":["10.0.0.1"]}}`:     200,
		`{"accessControl":{"defaultAction":"Deny"}}`:                                 403,
		`{"accessControl":{"defaultAction":"Deny","ipAllowList":["10.0.0.0/8"]}}`:    403,
		`{"accessControl":{"defaultAction":"Deny","ipAllowList":["192.0.2.0/24"]}}`:  200,
		`{"accessControl":{"defaultAction":"Deny","ipAllowList":["x","192.0.2.1"]}}`: 200,
		`{"accessControl":5}`: 403,
	} {
		s.grants[kid][0].Account.Settings.KeyDelivery = json.RawMessage(rules)
		res := s.ask("GET", "/?kid="+kid, "") // from 192.0.2.1
		if res.StatusCode != status {
			t.Errorf("%s: %s", rules, res.Status)
		}
	}
}

func b64(id string) string {
	u := uuid.MustParse(id)
	return base64.RawURLEncoding.EncodeToString(u[:])
}

func clearKeyRequest(kids ...string) string {
	var list []string
	for _, k := range kids {
		list = append(list, b64(k))
	}
	body, _ := json.Marshal(map[string]any{"kids": list, "type": "temporary"})
	return string(body)
}

func TestClearKey(t *testing.T) {
	s := newStand(t, nil, option(ams.ClearKeyConfiguration, rulesOf(symmetric(secret))))
	bearer := "Bearer " + hs(t)
	res := s.ask("POST", "/keys/ClearKey/?kid="+otherKid, clearKeyRequest(kid), "Authorization", bearer)
	want := `{"keys":[{"kty":"oct","kid":"` + b64(kid) + `","k":"` + base64.RawURLEncoding.EncodeToString(value) + `"}],"type":"temporary"}`
	s.want(res, 200, want)
	s.want(s.ask("POST", "/clearkey?kid="+kid, "", "Authorization", bearer), 200, want)
	s.want(s.ask("POST", "/clearkey?token="+hs(t), clearKeyRequest(kid, otherKid)), 200, want)
	s.want(s.ask("POST", "/clearkey", clearKeyRequest(kid)), 401, "token")
	s.want(s.ask("POST", "/clearkey", clearKeyRequest(otherKid), "Authorization", bearer), 404, "")
	s.want(s.ask("POST", "/clearkey", "{"), 400, "")
	s.want(s.ask("POST", "/clearkey", ""), 400, "")
	s.want(s.ask("POST", "/clearkey", `{"kids":["AA"]}`), 400, "")
	s.want(s.ask("GET", "/clearkey?kid="+kid, "", "Authorization", bearer), 405, "")
	s.want(s.ask("POST", "/clearkey", clearKeyRequest(make33()...)), 400, "more than")
}

func make33() []string {
	var list []string
	for range maxKIDs + 1 {
		list = append(list, uuid.NewString())
	}
	return list
}

const challenge = `<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body><AcquireLicense xmlns="http://schemas.microsoft.com/DRM/2007/03/protocols"><challenge><Challenge xmlns="http://schemas.microsoft.com/DRM/2007/03/protocols/messages"><LA><ContentHeader><WRMHEADER version="4.0.0.0"><DATA><KID>%s</KID></DATA></WRMHEADER></ContentHeader></LA></Challenge></challenge></AcquireLicense></soap:Body></soap:Envelope>`

func windows(id string) string {
	b := uuid.MustParse(id)
	return base64.StdEncoding.EncodeToString([]byte{b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]})
}

func TestLicenceServers(t *testing.T) {
	type call struct {
		path, body, action, key, id string
	}
	var calls []call
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		calls = append(calls, call{r.URL.String(), string(body), r.Header.Get("SOAPAction"), r.Header.Get("X-Key"), r.Header.Get("X-Id")})
		if r.Header.Get("Authorization") != "" {
			t.Error("the token went to the licence server")
		}
		w.Header().Set("Content-Type", "text/x-licence")
		w.WriteHeader(map[bool]int{true: 200, false: 500}[string(body) != "broken"])
		io.WriteString(w, "a licence")
	}))
	defer upstream.Close()
	rules := rulesOf(symmetric(secret))
	options := []ams.ContentKeyPolicyOption{option(ams.PlayReadyConfiguration, rules), option(ams.WidevineConfiguration, rules), option(ams.FairPlayConfiguration, rules)}
	configured := newStand(t, func(c *Config) {
		server := LicenceServer{URL: upstream.URL + "/l?k={ContentKeyId}", Header: map[string]string{"X-Key": "{ContentKey}", "X-Id": "{ContentKeyIds}"}}
		c.PlayReady, c.Widevine, c.FairPlay = server, server, server
	}, options...)
	bare := newStand(t, nil, options...)
	asked := fmt.Sprintf(challenge, windows(kid))
	bearer := "Bearer " + hs(t)
	for _, tt := range []struct{ path, body, setting string }{
		{"/PlayReady/", asked, "playready-license-url"},
		{"/PlayReady/RightsManager.asmx", asked, "playready-license-url"},
		{"/Widevine/?kid=" + kid, "\x08\x04", "widevine-license-url"},
		{"/FairPlay/?kid=" + kid, "spc=AAAA&assetId=1", "fairplay-license-url"},
	} {
		calls = nil
		res := configured.ask("POST", tt.path, tt.body, "Authorization", bearer, "SOAPAction", `"x"`)
		configured.want(res, 200, "a licence")
		want := call{"/l?k=" + kid, tt.body, `"x"`, base64.StdEncoding.EncodeToString(value), kid}
		if len(calls) != 1 || calls[0] != want || res.Header.Get("Content-Type") != "text/x-licence" {
			t.Errorf("%s: forwarded as %+v", tt.path, calls)
		}
		calls = nil
		configured.want(configured.ask("POST", tt.path, tt.body), 401, "token")
		if len(calls) != 0 {
			t.Errorf("%s: forwarded without a token", tt.path)
		}
		bare.want(bare.ask("POST", tt.path, tt.body, "Authorization", bearer), 501, tt.setting)
		bare.want(bare.ask("POST", tt.path, tt.body), 401, "token")
	}
	configured.want(configured.ask("POST", "/Widevine/?kid="+kid, "broken", "Authorization", bearer), 500, "a licence")
	configured.want(configured.ask("POST", "/Widevine/", "x", "Authorization", bearer), 400, "kid")
	configured.want(configured.ask("POST", "/Widevine/?kid="+otherKid, "x", "Authorization", bearer), 404, "")
	// The URL's key does not stand for the challenge's.
	configured.want(configured.ask("POST", "/PlayReady/?kid="+kid, fmt.Sprintf(challenge, windows(otherKid)), "Authorization", bearer), 404, otherKid)
	configured.want(configured.ask("POST", "/PlayReady/", "<a>", "Authorization", bearer), 400, "XML")
	configured.want(configured.ask("POST", "/PlayReady/", fmt.Sprintf(challenge, "AAAA"), "Authorization", bearer), 400, "16 bytes")
	upstream.Close()
	configured.want(configured.ask("POST", "/Widevine/?kid="+kid, "x", "Authorization", bearer), 502, "does not answer")
	if strings.Contains(configured.log.String(), upstream.URL) {
		t.Error("the log has the URL of the licence server")
	}
}
