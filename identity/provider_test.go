package identity

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Another authority of our own kind is the provider.
func TestProvider(t *testing.T) {
	other := newWorld(t)
	other.c.Now = time.Now
	var fetched, down atomic.Int32
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fetched.Add(1)
		if down.Load() > 0 {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		other.Handler().ServeHTTP(w, r)
	}))
	defer srv.Close()
	issuer := srv.URL + "/" + other.folder.TenantID + "/v2.0"
	token := func(edit func(*single)) string {
		c := &single{claims: *other.claims(&Principal{ID: "object-1", Assignments: []Assignment{{MediaOperator, "/"}}}, v2, srv.URL, time.Now()), Audience: "api://media"}
		c.IDType, c.AppID, c.AZP, c.Username = typeUser, "app-1", "app-1", "bob@contoso.com"
		if edit != nil {
			edit(c)
		}
		signed := jwt.NewWithClaims(jwt.SigningMethodRS256, c)
		signed.Header["kid"] = other.keyID
		s, err := signed.SignedString(other.c.Key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}

	us := newWorld(t)
	clock := time.Now()
	make := func(edit func(*Provider)) *Authority {
		p := Provider{Issuer: issuer, Audiences: []string{"api://media", "api://other"}, Client: srv.Client(),
			Roles: map[string][]Assignment{string(MediaOperator): {{Reader, "/subscriptions/s"}}, "ops": {{Contributor, "/"}}}}
		if edit != nil {
			edit(&p)
		}
		a, err := New(Config{TenantID: us.folder.TenantID, Hosts: []string{host}, Directory: us.folder, Key: us.folder.Key(),
			Now: func() time.Time { return clock }, Providers: []Provider{p}})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}

	// As a client gets it, by client credentials.
	bought := other.form("scope", "api://media/.default")
	resp, err := srv.Client().PostForm(issuer[:len(issuer)-len("/v2.0")]+"/oauth2/v2.0/token", bought)
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(err, resp)
	}
	resp.Body.Close()
	a := make(nil)
	p, err := a.Check(t.Context(), Management, token(nil))
	if err != nil {
		t.Fatal(err)
	}
	if p.ID != "object-1" || p.AppID != "app-1" || p.Name != "bob@contoso.com" || p.Kind != User || p.TenantID != "" ||
		!slices.Equal(p.Assignments, []Assignment{{Reader, "/subscriptions/s"}}) {
		t.Errorf("%+v", p)
	}
	if p, err = a.Check(t.Context(), Media, token(func(c *single) {
		c.IDType, c.Roles = typeApp, []string{"ops", "stranger", string(MediaOperator)}
	})); err != nil || p.Kind != Application || len(p.Assignments) != 2 || !p.May("x/write", "/") {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err = a.Check(t.Context(), Storage, token(func(c *single) { c.Roles = nil })); err != nil || p.May("x/read", "/subscriptions/s") {
		t.Errorf("without a role: %+v, %v", p, err)
	}
	for _, tt := range []struct {
		name string
		edit func(*single)
		want Reason
	}{
		{"audience", func(c *single) { c.Audience = "https://management.azure.com/" }, WrongAudience},
		{"expired", func(c *single) { c.ExpiresAt = jwt.NewNumericDate(clock.Add(-6 * time.Minute)) }, Expired},
		{"not yet", func(c *single) { c.NotBefore = jwt.NewNumericDate(clock.Add(6 * time.Minute)) }, Expired},
		{"no expiry", func(c *single) { c.ExpiresAt = nil }, Malformed},
		{"nobody", func(c *single) { c.ObjectID, c.Subject = "", "" }, Malformed},
		{"issuer", func(c *single) { c.Issuer += "/" }, BadSignature}, // no provider's, so ours, and not signed by us
	} {
		var te *TokenError
		if p, err := a.Check(t.Context(), Management, token(tt.edit)); !errors.As(err, &te) || te.Reason != tt.want {
			t.Errorf("%s: %+v, %v", tt.name, p, err)
		}
	}
	if _, err := a.Check(t.Context(), Management, token(func(c *single) { c.ExpiresAt = jwt.NewNumericDate(clock.Add(-4 * time.Minute)) })); err != nil {
		t.Errorf("within the skew: %v", err)
	}

	// Keys that the provider does not have are asked for, but not without end.
	before := fetched.Load()
	for range 50 {
		c := &single{claims: *other.claims(&Principal{ID: "x"}, v2, srv.URL, time.Now()), Audience: "api://media"}
		forged := jwt.NewWithClaims(jwt.SigningMethodRS256, c)
		forged.Header["kid"] = "forged"
		s, _ := forged.SignedString(us.folder.Key())
		var te *TokenError
		if _, err := a.Check(t.Context(), Management, s); !errors.As(err, &te) || te.Reason != BadSignature {
			t.Fatal(err)
		}
	}
	if n := fetched.Load() - before; n > 6 {
		t.Errorf("%d fetches for forged tokens", n)
	}
	if _, err := a.Check(t.Context(), Management, token(nil)); err != nil {
		t.Errorf("after forged ones: %v", err)
	}
	// Our own tokens are as good as ever.
	own := us.form("scope", "https://localhost:8443/.default")
	clock = us.now
	if _, err := a.Check(t.Context(), Management, us.get(t, "/common/oauth2/v2.0/token", own)); err != nil {
		t.Error(err)
	}
	clock = time.Now()

	// A provider that is down is no reason to call a token bad, and it may
	// come up later.
	late := make(func(p *Provider) { p.RoleClaim = "azp" })
	down.Store(1)
	var te *TokenError
	if _, err := late.Check(t.Context(), Management, token(nil)); err == nil || errors.As(err, &te) {
		t.Errorf("provider down: %v", err)
	}
	down.Store(0)
	if _, err := late.Check(t.Context(), Management, token(nil)); err != nil {
		t.Errorf("provider up: %v", err)
	}

	for name, edit := range map[string]func(*Provider){
		"issuer":    func(p *Provider) { p.Issuer = "contoso" },
		"plain":     func(p *Provider) { p.Issuer = "http://contoso.com/" },
		"audiences": func(p *Provider) { p.Audiences = nil },
		"our own":   func(p *Provider) { p.Issuer = "https://localhost:8443/" + us.folder.TenantID + "/v2.0" },
		"role":      func(p *Provider) { p.Roles = map[string][]Assignment{"a": {{"King", "/"}}} },
	} {
		p := Provider{Issuer: issuer, Audiences: []string{"x"}}
		edit(&p)
		if _, err := New(Config{TenantID: us.folder.TenantID, Directory: us.folder, Key: us.folder.Key(), Providers: []Provider{p}}); err == nil {
			t.Errorf("bad %s: no error", name)
		}
	}
}

// Metadata that names another issuer is somebody else's, unless the
// configuration says where it is.
func TestProviderDiscovery(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(`{"issuer":"https://sts.windows.net/x/","jwks_uri":"https://keys.example/","authorization_endpoint":"https://a","token_endpoint":"https://t"}`))
	}))
	defer srv.Close()
	for _, tt := range []struct {
		issuer, discovery string
		ok                bool
	}{{srv.URL, "", false}, {"https://sts.windows.net/x/", srv.URL, true}} {
		p, err := newProvider(Provider{Issuer: tt.issuer, Discovery: tt.discovery, Audiences: []string{"x"}}, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.keySet(context.Background()); (err == nil) != tt.ok {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

func TestTexts(t *testing.T) {
	claims := map[string]any{"roles": []any{"a", 1.0, "b"}, "one": "c", "realm_access": map[string]any{"roles": []any{"d"}},
		"https://x.example/roles": []any{"e"}, "n": 1.0}
	for name, want := range map[string][]string{"roles": {"a", "b"}, "one": {"c"}, "realm_access.roles": {"d"},
		"https://x.example/roles": {"e"}, "n": nil, "none": nil, "one.x": nil, "realm_access": nil} {
		if got := texts(claims, name); !slices.Equal(got, want) {
			t.Errorf("%s: %v", name, got)
		}
	}
}
