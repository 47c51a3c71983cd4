package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/openams/openams/middleware"
)

const host = "localhost:8443"

// world is an authority with one principal and a clock that tests turn.
type world struct {
	*Authority
	folder     *Folder
	id, secret string
	now        time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	f, err := Open(filepath.Join(t.TempDir(), "secrets"))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{folder: f, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	if w.id, w.secret, err = f.Ensure("demo", Contributor); err != nil {
		t.Fatal(err)
	}
	w.Authority, err = New(Config{TenantID: f.TenantID, Aliases: []string{"contoso.onmicrosoft.com"},
		Hosts: []string{host, "127.0.0.1:8443"}, Audiences: []string{"api://media"},
		Directory: f, Key: f.Key(), Now: func() time.Time { return w.now }})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// ask sends a request for host to the authority.
func (w *world) ask(method, path string, form url.Values, header http.Header) (int, map[string]any) {
	r := httptest.NewRequest(method, "https://"+host+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for k, v := range header {
		r.Header[k] = v
	}
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, r)
	var body map[string]any
	if err := json.Unmarshal(rec.Body.Bytes(), &body); err != nil {
		body = map[string]any{"": rec.Body.String()}
	}
	return rec.Code, body
}

func (w *world) form(more ...string) url.Values {
	v := url.Values{"grant_type": {"client_credentials"}, "client_id": {w.id}, "client_secret": {w.secret}}
	for i := 0; i < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	return v
}

func (w *world) get(t *testing.T, path string, form url.Values) string {
	t.Helper()
	code, body := w.ask("POST", path, form, nil)
	if code != 200 {
		t.Fatalf("%s: %d %v", path, code, body)
	}
	return body["access_token"].(string)
}

func TestToken(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		path, field, value   string
		aud, ver, iss, v1res string
	}{
		{"/TENANT/oauth2/token?api-version=1.0", "resource", "https://localhost:8443/", "https://localhost:8443/", "1.0", "https://localhost:8443/TENANT/", "https://localhost:8443/"},
		{"/common/OAuth2/Token", "resource", "https://rest.media.azure.net", "https://rest.media.azure.net", "1.0", "https://localhost:8443/TENANT/", "https://rest.media.azure.net"},
		{"/TENANT/oauth2/token", "scope", "https://management.azure.com//.default", "https://management.azure.com/", "1.0", "https://localhost:8443/TENANT/", "https://management.azure.com/"},
		{"/TENANT/oauth2/v2.0/token", "scope", "https://localhost:8443/.default openid offline_access profile", "https://localhost:8443", "2.0", "https://localhost:8443/TENANT/v2.0", ""},
		{"/organizations/oauth2/v2.0/token?client-request-id=x", "scope", "https://management.core.windows.net//.default", "https://management.core.windows.net/", "2.0", "https://localhost:8443/TENANT/v2.0", ""},
		{"/contoso.onmicrosoft.com/oauth2/v2.0/token", "scope", "api://media/.default", "api://media", "2.0", "https://localhost:8443/TENANT/v2.0", ""},
		{"/adfs/oauth2/token", "scope", "https://localhost:8443/.default", "https://localhost:8443", "1.0", "https://localhost:8443/adfs", "https://localhost:8443"},
		{"/adfs/adfs/oauth2/token", "scope", "https://localhost:8443//.default", "https://localhost:8443/", "1.0", "https://localhost:8443/adfs", "https://localhost:8443/"},
		{"/adfs/TENANT/oauth2/token", "scope", "https://storage.azure.com/.default", "https://storage.azure.com", "1.0", "https://localhost:8443/adfs", "https://storage.azure.com"},
	} {
		t.Run(tt.path, func(t *testing.T) {
			tenant := strings.NewReplacer("TENANT", w.folder.TenantID).Replace
			code, body := w.ask("POST", tenant(tt.path), w.form(tt.field, tt.value, "x-client-sku", "test"), nil)
			if code != 200 || body["token_type"] != "Bearer" {
				t.Fatalf("%d %v", code, body)
			}
			if tt.v1res == "" {
				if body["expires_in"] != 3599.0 || body["ext_expires_in"] != 3599.0 || body["resource"] != nil {
					t.Errorf("v2 body %v", body)
				}
			} else if numeric := strings.HasPrefix(tt.path, "/adfs/"); numeric && body["expires_in"] != 3599.0 || !numeric && body["expires_in"] != "3599" || body["resource"] != tt.v1res ||
				body["expires_on"] != fmt.Sprint(w.now.Add(time.Hour).Unix()) || body["not_before"] != fmt.Sprint(w.now.Unix()) {
				t.Errorf("v1 body %v", body)
			}
			c := jwt.MapClaims{}
			tok, err := jwt.ParseWithClaims(body["access_token"].(string), c, func(*jwt.Token) (any, error) { return &w.folder.Key().PublicKey, nil },
				jwt.WithTimeFunc(func() time.Time { return w.now }))
			if err != nil || tok.Method.Alg() != "RS256" {
				t.Fatal(err, tok)
			}
			p, err := w.folder.Principal(t.Context(), w.id)
			if err != nil {
				t.Fatal(err)
			}
			for k, want := range map[string]any{
				"aud": tt.aud, "iss": tenant(tt.iss), "ver": tt.ver, "tid": w.folder.TenantID, "appid": w.id,
				"oid": p.ID, "sub": p.ID, "iat": float64(w.now.Unix()), "exp": float64(w.now.Add(time.Hour).Unix()),
			} {
				if c[k] != want {
					t.Errorf("claim %s = %v, want %v", k, c[k], want)
				}
			}
			if roles, _ := c["roles"].([]any); len(roles) != 1 || roles[0] != "Contributor" {
				t.Errorf("roles %v", c["roles"])
			}
			if tt.ver == "2.0" && c["azp"] != w.id {
				t.Errorf("azp %v", c["azp"])
			}
		})
	}
}

func TestTokenByBasicHeader(t *testing.T) {
	w := newWorld(t)
	r, _ := http.NewRequest("POST", "/", nil)
	form := w.form("scope", "https://localhost:8443/.default")
	form.Del("client_id")
	form.Del("client_secret")
	for secret, want := range map[string]int{w.secret: 200, "wrong": 401} {
		r.SetBasicAuth(w.id, url.QueryEscape(secret))
		if code, body := w.ask("POST", "/common/oauth2/v2.0/token", form, r.Header); code != want {
			t.Errorf("%d %v, want %d", code, body, want)
		}
	}
}

func TestTokenRefused(t *testing.T) {
	w := newWorld(t)
	const v2path = "/common/oauth2/v2.0/token"
	scope := []string{"scope", "https://localhost:8443/.default"}
	for _, tt := range []struct {
		name, method, path string
		form               url.Values
		status             int
		oauth              string
		code               float64
	}{
		{"secret", "POST", v2path, w.form(append(scope, "client_secret", "no")...), 401, "invalid_client", 7000215},
		{"no secret", "POST", v2path, w.form(append(scope, "client_secret", "")...), 401, "invalid_client", 7000218},
		{"assertion", "POST", v2path, w.form(append(scope, "client_secret", "", "client_assertion", "x.y.z")...), 400, "invalid_request", 900144},
		{"app", "POST", v2path, w.form(append(scope, "client_id", uuid.NewString())...), 400, "unauthorized_client", 700016},
		{"no app", "POST", v2path, w.form(append(scope, "client_id", "")...), 400, "invalid_request", 900144},
		{"no grant", "POST", v2path, w.form(append(scope, "grant_type", "")...), 400, "invalid_request", 900144},
		{"grant", "POST", v2path, w.form(append(scope, "grant_type", "implicit")...), 400, "unsupported_grant_type", 70003},
		{"tenant", "POST", "/" + uuid.NewString() + "/oauth2/token", w.form(scope...), 400, "invalid_request", 90002},
		{"scope form", "POST", v2path, w.form("scope", "https://localhost:8443/user_impersonation"), 400, "invalid_scope", 1002012},
		{"two scopes", "POST", v2path, w.form("scope", "https://localhost:8443/.default https://storage.azure.com/.default"), 400, "invalid_scope", 28000},
		{"no scope", "POST", v2path, w.form(), 400, "invalid_request", 900144},
		{"resource", "POST", "/common/oauth2/token", w.form("resource", "https://graph.microsoft.com/"), 400, "invalid_resource", 500011},
		{"other host", "POST", "/common/oauth2/token", w.form("resource", "https://localhost:9/"), 400, "invalid_resource", 500011},
		{"path", "POST", "/common/oauth2/token", w.form("resource", "https://localhost:8443/x"), 400, "invalid_resource", 500011},
		{"too large", "POST", v2path, w.form("claims", strings.Repeat("x", maxForm)), 400, "invalid_request", 90019},
		{"method", "GET", v2path, nil, 405, "invalid_request", 900561},
		{"discovery", "GET", "/" + uuid.NewString() + "/v2.0/.well-known/openid-configuration", nil, 400, "invalid_tenant", 90002},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id := uuid.NewString()
			code, body := w.ask(tt.method, tt.path, tt.form, http.Header{"Client-Request-Id": {id}})
			if code != tt.status || body["error"] != tt.oauth || fmt.Sprint(body["error_codes"]) != fmt.Sprint([]any{tt.code}) {
				t.Errorf("%d %v", code, body)
			}
			prefix := fmt.Sprintf("AADSTS%.0f: ", tt.code)
			d, _ := body["error_description"].(string)
			if !strings.HasPrefix(d, prefix) || body["correlation_id"] != id || uuid.Validate(body["trace_id"].(string)) != nil ||
				body["timestamp"] != "2026-03-01 12:00:00Z" || strings.Contains(d, w.secret) {
				t.Errorf("body %v", body)
			}
		})
	}
	if code, _ := w.ask("POST", "/common/oauth2/token", w.form(scope...), http.Header{"Content-Type": {"application/json"}}); code != 400 {
		t.Errorf("JSON: %d", code)
	}
}

// The secret in a URL would be in every proxy's log; it is not looked for there.
func TestSecretInQuery(t *testing.T) {
	w := newWorld(t)
	code, body := w.ask("POST", "/common/oauth2/token?"+w.form("resource", "https://localhost:8443").Encode(), nil, nil)
	if code != 400 || body["error"] != "invalid_request" {
		t.Errorf("%d %v", code, body)
	}
}

func TestDiscovery(t *testing.T) {
	w := newWorld(t)
	tid := w.folder.TenantID
	base := "https://localhost:8443/"
	for path, want := range map[string][4]string{
		"/" + tid + "/v2.0/.well-known/openid-configuration":                  {tid + "/v2.0", tid + "/oauth2/v2.0/token", tid + "/oauth2/v2.0/authorize", tid + "/discovery/v2.0/keys"},
		"/common/v2.0/.well-known/openid-configuration":                       {tid + "/v2.0", tid + "/oauth2/v2.0/token", tid + "/oauth2/v2.0/authorize", tid + "/discovery/v2.0/keys"},
		"/" + strings.ToUpper(tid) + "/.well-known/openid-configuration":      {tid + "/", tid + "/oauth2/token", tid + "/oauth2/authorize", tid + "/discovery/keys"},
		"/adfs/.well-known/openid-configuration":                              {"adfs", "adfs/oauth2/token", "adfs/oauth2/authorize", "adfs/discovery/keys"},
		"/adfs/adfs/.well-known/openid-configuration":                         {"adfs", "adfs/oauth2/token", "adfs/oauth2/authorize", "adfs/discovery/keys"},
		"/adfs/" + tid + "/.well-known/openid-configuration":                  {"adfs", "adfs/oauth2/token", "adfs/oauth2/authorize", "adfs/discovery/keys"},
		"/contoso.onmicrosoft.com/V2.0/.Well-Known/OpenID-configuration?x=%7": {tid + "/v2.0", tid + "/oauth2/v2.0/token", tid + "/oauth2/v2.0/authorize", tid + "/discovery/v2.0/keys"},
	} {
		code, body := w.ask("GET", path, nil, nil)
		if code != 200 {
			t.Errorf("%s: %d %v", path, code, body)
			continue
		}
		for i, key := range []string{"issuer", "token_endpoint", "authorization_endpoint", "jwks_uri"} {
			if body[key] != base+want[i] {
				t.Errorf("%s: %s = %v, want %s", path, key, body[key], base+want[i])
			}
		}
		jwks := strings.TrimPrefix(body["jwks_uri"].(string), "https://"+host)
		if _, keys := w.ask("GET", jwks, nil, nil); len(keys["keys"].([]any)) != 1 {
			t.Errorf("%s: %v", jwks, keys)
		}
	}
	for path, want := range map[string]bool{
		"/v2/OAuth2-13": true, "/": false, "/subscriptions": false, "/adfs": false, "": false,
		"/metadata/endpoints": false, "/x/y/oauth2/token": false, "//common/oauth2/token": true, "/adfs/a/b/oauth2/token": false,
	} {
		if got := w.Serves(path); got != want {
			t.Errorf("Serves(%q) = %v", path, got)
		}
	}
}

func TestCheck(t *testing.T) {
	w := newWorld(t)
	good := w.get(t, "/common/oauth2/v2.0/token", w.form("scope", "https://localhost:8443/.default"))
	other := newWorld(t)
	sign := func(method jwt.SigningMethod, key any, kid string, edit func(c *single)) string {
		var c single
		if _, _, err := jwt.NewParser().ParseUnverified(good, &c.claims); err != nil {
			t.Fatal(err)
		}
		c.Audience = c.claims.Audience[0]
		if edit != nil {
			edit(&c)
		}
		tok := jwt.NewWithClaims(method, &c)
		tok.Header["kid"] = kid
		s, err := tok.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	mine := func(edit func(c *single)) string {
		return sign(jwt.SigningMethodRS256, w.folder.Key(), w.keyID, edit)
	}
	for _, tt := range []struct {
		name, bearer string
		aud          Audience
		after        time.Duration
		want         Reason // -1: accepted
	}{
		{"good", good, Management, 0, -1},
		{"resigned", mine(nil), Management, 0, -1},
		{"within the skew", good, Management, time.Hour + 4*time.Minute, -1},
		{"clock behind", good, Management, -4 * time.Minute, -1},
		{"expired", good, Management, time.Hour + 6*time.Minute, Expired},
		{"not yet", good, Management, -6 * time.Minute, Expired},
		{"empty", "", Management, 0, Malformed},
		{"no JWT", "abc", Management, 0, Malformed},
		{"huge", strings.Repeat("a", maxBearer+1), Management, 0, Malformed},
		{"cut", good[:len(good)-6], Management, 0, BadSignature},
		{"for v2", good, Media, 0, WrongAudience},
		{"for blobs", good, Storage, 0, WrongAudience},
		{"v2's here", mine(func(c *single) { c.Audience = "https://rest.media.azure.net/" }), Management, 0, WrongAudience},
		{"v2's", mine(func(c *single) { c.Audience = "https://rest.media.azure.net/" }), Media, 0, -1},
		{"account's", mine(func(c *single) { c.Audience = "https://store.blob.core.windows.net" }), Storage, 0, -1},
		{"other served host", mine(func(c *single) { c.Audience = "https://127.0.0.1:8443/" }), Management, 0, -1},
		{"configured", mine(func(c *single) { c.Audience = "api://media" }), Management, 0, -1},
		{"foreign host", mine(func(c *single) { c.Audience = "https://evil.example/" }), Management, 0, WrongAudience},
		{"suffix host", mine(func(c *single) { c.Audience = "https://host:8443/" }), Management, 0, WrongAudience},
		{"no audience", mine(func(c *single) { c.Audience = "" }), Management, 0, WrongAudience},
		{"other tenant", mine(func(c *single) { c.TenantID = uuid.NewString() }), Management, 0, WrongIssuer},
		{"other issuer", mine(func(c *single) { c.Issuer = "https://localhost:8443/" + uuid.NewString() + "/" }), Management, 0, WrongIssuer},
		{"issuer no URL", mine(func(c *single) { c.Issuer = w.folder.TenantID }), Management, 0, WrongIssuer},
		{"no expiry", mine(func(c *single) { c.ExpiresAt = nil }), Management, 0, Malformed},
		{"unknown app", mine(func(c *single) { c.AppID = uuid.NewString() }), Management, 0, Unknown},
		{"unknown object", mine(func(c *single) { c.ObjectID = uuid.NewString() }), Management, 0, Unknown},
		{"other key", sign(jwt.SigningMethodRS256, other.folder.Key(), w.keyID, nil), Management, 0, BadSignature},
		{"other kid", sign(jwt.SigningMethodRS256, w.folder.Key(), "x", nil), Management, 0, BadSignature},
		{"other alg", sign(jwt.SigningMethodRS512, w.folder.Key(), w.keyID, nil), Management, 0, BadSignature},
		{"alg none", sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, w.keyID, nil), Management, 0, BadSignature},
		{"public key as secret", sign(jwt.SigningMethodHS256, w.folder.Key().N.Bytes(), w.keyID, nil), Management, 0, BadSignature},
	} {
		t.Run(tt.name, func(t *testing.T) {
			issued := w.now
			w.now = issued.Add(tt.after)
			defer func() { w.now = issued }()
			p, err := w.Check(t.Context(), tt.aud, tt.bearer)
			var te *TokenError
			switch {
			case tt.want < 0:
				if err != nil || p.AppID != w.id || p.TenantID != w.folder.TenantID || p.Kind != Application {
					t.Errorf("%+v, %v", p, err)
				}
			case !errors.As(err, &te) || te.Reason != tt.want || p != nil:
				t.Errorf("%+v, %v; want reason %d", p, err, tt.want)
			}
		})
	}
	// A token for one storage account opens no other.
	for audience, want := range map[string]bool{
		"https://storage.azure.com/": true, "https://storage.azure.com": true, "https://store.blob.core.windows.net": true, "https://STORE.blob.core.windows.net//": true,
		"https://other.blob.core.windows.net": false, "https://x.store.blob.core.windows.net": false, "https://store.blob.core.windows.net.evil.example": false, "https://management.azure.com/": false,
	} {
		_, err := w.CheckStorage(t.Context(), "store", mine(func(c *single) { c.Audience = audience }))
		if te, ok := errors.AsType[*TokenError](err); want && err != nil || !want && (!ok || te.Reason != WrongAudience) {
			t.Errorf("a token for %s: %v", audience, err)
		}
	}
	if err := w.folder.Delete(w.id); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Check(t.Context(), Management, good); err == nil {
		t.Error("a deleted principal's token works")
	}
}

func TestMay(t *testing.T) {
	const group = "/subscriptions/s/resourceGroups/g"
	const account = group + "/providers/Microsoft.Media/mediaservices/a"
	const m = "Microsoft.Media/mediaServices/"
	for _, tt := range []struct {
		role          Role
		scope, action string
		on            string
		want          bool
	}{
		{Owner, "/", m + "assets/write", account, true},
		{Owner, "/", "Microsoft.Authorization/roleAssignments/write", account, true},
		{Contributor, "/", m + "assets/listContainerSas/action", account, true},
		{Contributor, "/", "Microsoft.Authorization/roleAssignments/write", account, false},
		{Contributor, group, m + "assets/write", strings.ToUpper(account), true},
		{Contributor, group, m + "assets/write", "/subscriptions/s/resourceGroups/g2", false},
		{Contributor, account, m + "assets/write", account + "2", false},
		{Contributor, account, "Microsoft.Resources/subscriptions/read", "/subscriptions/s", false},
		{Reader, "/", m + "assets/READ", account, true},
		{Reader, "/", m + "assets/write", account, false},
		{Reader, "/", m + "assets/delete", account, false},
		{Reader, "/", m + "assets/listStreamingLocators/action", account, false},
		{Reader, "/", m + "streamingLocators/listPaths/action", account, false},
		{MediaOperator, "/", m + "assets/write", account, true},
		{MediaOperator, "/", m + "assets/assetFilters/write", account, true},
		{MediaOperator, "/", m + "assets/listContainerSas/action", account, true},
		{MediaOperator, "/", m + "assets/getEncryptionKey/action", account, false},
		{MediaOperator, "/", m + "streamingLocators/listContentKeys/action", account, false},
		{MediaOperator, "/", m + "transforms/jobs/cancelJob/action", account, true},
		{MediaOperator, "/", m + "transforms/write", account, false},
		{MediaPolicyAdministrator, "/", m + "contentKeyPolicies/write", account, true},
		{MediaPolicyAdministrator, "/", m + "contentKeyPolicies/getPolicyPropertiesWithSecrets/action", account, false},
		{MediaPolicyAdministrator, "/", m + "streamingLocators/write", account, false},
		{MediaLiveEventsAdministrator, "/", m + "liveEvents/start/action", account, true},
		{MediaStreamingEndpointsAdministrator, "/", m + "streamingEndpoints/start/action", account, true},
		{MediaStreamingEndpointsAdministrator, "/", m + "assets/write", account, false},
		{MediaAccountAdministrator, "/", m + "read", account, true},
		{MediaAccountAdministrator, "/", "Microsoft.Media/mediaservices/write", account, true},
		{MediaAccountAdministrator, "/", m + "assets/write", account, false},
		{"Nobody", "/", m + "assets/read", account, false},
	} {
		p := Principal{Assignments: []Assignment{{tt.role, tt.scope}}}
		if got := p.May(tt.action, tt.on); got != tt.want {
			t.Errorf("%s at %s may %s on %s: %v", tt.role, tt.scope, tt.action, tt.on, got)
		}
	}
}

func TestFolderKeeps(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "secrets")
	first, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	id, secret, err := first.Ensure("demo", Contributor)
	if err != nil {
		t.Fatal(err)
	}
	hidden, hiddenSecret, err := first.Create("robot", Application, []Assignment{{Reader, "/"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := first.Create("robot", Application, nil); err == nil {
		t.Error("two principals of one name")
	}
	if _, _, err := first.Create("king", Application, []Assignment{{"King", "/"}}); err == nil {
		t.Error("an unknown role")
	}
	again, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if again.TenantID != first.TenantID || again.SubscriptionID != first.SubscriptionID || !again.Key().Equal(first.Key()) {
		t.Error("the folder does not keep its ids or its key")
	}
	if id2, secret2, err := again.Ensure("demo", Contributor); id2 != id || secret2 != secret || err != nil {
		t.Errorf("Ensure: %v", err)
	}
	ctx := context.Background()
	if p, err := again.Authenticate(ctx, strings.ToUpper(hidden), hiddenSecret); err != nil || p.Name != "robot" || p.TenantID != first.TenantID {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := again.Authenticate(ctx, hidden, secret); !errors.Is(err, ErrSecret) {
		t.Errorf("another's secret: %v", err)
	}
	if _, err := again.Authenticate(ctx, "x", secret); !errors.Is(err, ErrNoPrincipal) {
		t.Errorf("nobody: %v", err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 5 { // with users.json and a lock

		t.Errorf("%v, %v", files, err)
	}
	for _, f := range files {
		st, err := f.Info()
		if err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", f.Name(), st.Mode(), err)
		}
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil || strings.Contains(string(b), hiddenSecret) {
			t.Errorf("%s has a secret that is not to be kept (%v)", f.Name(), err)
		}
	}
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("%v %v", st.Mode(), err)
	}
}

func TestOnce(t *testing.T) {
	dir := t.TempDir()
	for _, content := range []string{"one", "two"} {
		b, err := Once(dir, "x", func() ([]byte, error) { return []byte(content), nil })
		if err != nil || string(b) != "one" {
			t.Errorf("%q, %v", b, err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Once(dir, "x", nil); err != nil {
		t.Error(err)
	}
	if st, _ := os.Stat(filepath.Join(dir, "x")); st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v stays", st.Mode())
	}
	if _, err := Once(dir, "y", func() ([]byte, error) { return nil, errors.New("no") }); err == nil {
		t.Error("a failure to make is silent")
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("left over: %v", files)
	}
}

func TestOpenRefusesBrokenFiles(t *testing.T) {
	for file, content := range map[string]string{idsFile: `{"tenantId":"x"}`, keyFile: "x", principalsFile: "{"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// The official SDK signs in, over TLS, at a host and port of the test's own.
func TestAzidentity(t *testing.T) {
	w := newWorld(t)
	w.c.Now = time.Now
	srv := httptest.NewTLSServer(w.Handler())
	defer srv.Close()
	options := azidentity.ClientSecretCredentialOptions{
		ClientOptions: azcore.ClientOptions{
			Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: srv.URL + "/"},
			// The client of the test server trusts its certificate.
			Transport: srv.Client(),
			Retry:     policy.RetryOptions{MaxRetries: -1},
		},
		DisableInstanceDiscovery: true,
	}
	for _, tenant := range []string{w.folder.TenantID, "contoso.onmicrosoft.com"} {
		cred, err := azidentity.NewClientSecretCredential(tenant, w.id, w.secret, &options)
		if err != nil {
			t.Fatal(err)
		}
		for _, scope := range []string{srv.URL + "/.default", srv.URL + "//.default", "https://management.azure.com/.default"} {
			token, err := cred.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{scope}, EnableCAE: true})
			if err != nil {
				t.Fatalf("%s %s: %v", tenant, scope, err)
			}
			if p, err := w.Check(t.Context(), Management, token.Token); err != nil || p.AppID != w.id {
				t.Errorf("%s %s: %+v, %v", tenant, scope, p, err)
			}
		}
	}
	cred, err := azidentity.NewClientSecretCredential(w.folder.TenantID, w.id, "wrong", &options)
	if err != nil {
		t.Fatal(err)
	}
	var failed *azidentity.AuthenticationFailedError
	_, err = cred.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{srv.URL + "/.default"}})
	if !errors.As(err, &failed) || !strings.Contains(err.Error(), "AADSTS7000215") {
		t.Errorf("wrong secret: %v", err)
	}
}

func FuzzCheck(f *testing.F) {
	dir := f.TempDir()
	folder, err := Open(dir)
	if err != nil {
		f.Fatal(err)
	}
	a, err := New(Config{TenantID: folder.TenantID, Directory: folder, Key: folder.Key()})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add("..")
	f.Fuzz(func(t *testing.T, bearer string) {
		// Nobody here holds the key.
		if p, err := a.Check(t.Context(), Management, bearer); err == nil || p != nil {
			t.Fatalf("%q passes as %+v", bearer, p)
		}
	})
}

func FuzzFind(f *testing.F) {
	f.Add("/common/oauth2/token")
	f.Add("/adfs/adfs/.well-known/openid-configuration")
	f.Fuzz(func(t *testing.T, path string) {
		if p, ok := find(path); ok && (p.serve == nil || strings.Contains(p.tenant, "/")) {
			t.Fatalf("%q: %+v", path, p)
		}
	})
}

func TestRate(t *testing.T) {
	w := newWorld(t)
	a, err := New(Config{TenantID: w.folder.TenantID, Directory: w.folder, Key: w.folder.Key(), Hosts: []string{host},
		Now: func() time.Time { return w.now }, Rate: middleware.Rate{PerSecond: 1, Burst: 2}})
	if err != nil {
		t.Fatal(err)
	}
	w.Authority = a
	token := w.get(t, "/common/oauth2/token", w.form("resource", "https://localhost:8443/"))
	blobs := w.get(t, "/common/oauth2/token", w.form("resource", "https://storage.azure.com/"))
	check := func(aud Audience, bearer string, ok bool) {
		t.Helper()
		_, err := a.Check(t.Context(), aud, bearer)
		if re, limited := errors.AsType[*RateError](err); limited == ok || limited && re.After != time.Second || ok && err != nil {
			t.Errorf("%v", err)
		}
	}
	check(Management, token, true)
	check(Management, token, true)
	check(Management, token, false)
	check(Storage, blobs, true)
	w.now = w.now.Add(time.Second)
	check(Management, token, true)
	check(Management, token, false)
	if _, err := a.Check(t.Context(), Management, "x"); errors.As(err, new(*RateError)) {
		t.Error("a bad token costs somebody a call")
	}
}
