package identity

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"golang.org/x/crypto/bcrypt"
)

const (
	azureCLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
	alice    = "alice@contoso.com"
	password = "correct horse"
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636, appendix B
	v2token  = "/common/oauth2/v2.0/token"
	v2scope  = "https://localhost:8443/.default"
)

func challenge() string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// withAlice adds a person who may read.
func withAlice(t *testing.T) (*world, *Person) {
	t.Helper()
	w := newWorld(t)
	w.folder.cost = bcrypt.MinCost
	p, err := w.folder.CreatePerson(alice, "Alice", password, []Assignment{{Reader, "/"}})
	if err != nil {
		t.Fatal(err)
	}
	w.c.Redirects = []string{"https://portal.example/back?x=1"}
	return w, p
}

// A browser keeps cookies, and goes where no redirect leads it.
type browser struct {
	w       *world
	cookies map[string]*http.Cookie
	header  http.Header // of every request
	remote  string
}

func (b *browser) do(method, target string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "https://"+host+target, strings.NewReader(form.Encode()))
	if method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	maps.Copy(r.Header, b.header)
	if b.remote != "" {
		r.RemoteAddr = b.remote
	}
	for _, c := range b.cookies {
		r.AddCookie(c)
	}
	rec := httptest.NewRecorder()
	b.w.Handler().ServeHTTP(rec, r)
	for _, c := range rec.Result().Cookies() {
		if b.cookies == nil {
			b.cookies = map[string]*http.Cookie{}
		}
		b.cookies[c.Name] = c
	}
	return rec
}

var (
	actionOf = regexp.MustCompile(`<form method="post" action="([^"]*)"`)
	hidden   = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
)

// formOf reads the form of a page.
func formOf(t *testing.T, rec *httptest.ResponseRecorder) (action string, fields url.Values) {
	t.Helper()
	body := rec.Body.String()
	m := actionOf.FindStringSubmatch(body)
	if m == nil {
		t.Fatalf("no form: %d %s", rec.Code, body)
	}
	fields = url.Values{}
	for _, f := range hidden.FindAllStringSubmatch(body, -1) {
		fields.Set(html.UnescapeString(f[1]), html.UnescapeString(f[2]))
	}
	return html.UnescapeString(m[1]), fields
}

func authorizeQuery(more ...string) url.Values {
	q := url.Values{"client_id": {azureCLI}, "response_type": {"code"}, "redirect_uri": {"http://localhost:8400/"},
		"scope": {v2scope + " openid offline_access profile"}, "state": {`st&"<>`}, "nonce": {"n-1"},
		"code_challenge": {challenge()}, "code_challenge_method": {"S256"}}
	for i := 0; i < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return q
}

// signIn goes through the page and returns the answer to the form.
func (b *browser) signIn(t *testing.T, path string, q url.Values, name, pass string) *httptest.ResponseRecorder {
	t.Helper()
	rec := b.do("GET", path+"?"+q.Encode(), nil)
	action, form := formOf(t, rec)
	form.Set("username", name)
	form.Set("password", pass)
	return b.do("POST", action, form)
}

func codeForm(code string, more ...string) url.Values {
	f := url.Values{"grant_type": {"authorization_code"}, "client_id": {azureCLI}, "code": {code},
		"redirect_uri": {"http://localhost:8400/"}, "code_verifier": {verifier}}
	for i := 0; i < len(more); i += 2 {
		f.Set(more[i], more[i+1])
	}
	return f
}

func claimsOf(t *testing.T, token any) jwt.MapClaims {
	t.Helper()
	c := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(fmt.Sprint(token), c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAuthorizationCode(t *testing.T) {
	w, p := withAlice(t)
	for _, tt := range []struct{ flavour, base string }{
		{"v1", "/common/oauth2"}, {"v2", "/" + w.folder.TenantID + "/oauth2/v2.0"}, {"adfs", "/adfs/oauth2"},
	} {
		t.Run(tt.flavour, func(t *testing.T) {
			b := &browser{w: w}
			rec := b.signIn(t, tt.base+"/authorize", authorizeQuery(), strings.ToUpper(alice), password)
			to, err := url.Parse(rec.Header().Get("Location"))
			if rec.Code != 303 || err != nil || to.Scheme+"://"+to.Host+to.Path != "http://localhost:8400/" || to.Query().Get("state") != `st&"<>` {
				t.Fatalf("%d %s %s", rec.Code, to, rec.Body)
			}
			code := to.Query().Get("code")
			for name, form := range map[string]url.Values{
				"verifier": codeForm(code, "code_verifier", strings.Repeat("a", 43)),
				"none":     codeForm(code, "code_verifier", ""),
				"redirect": codeForm(code, "redirect_uri", "http://localhost:8401/"),
				"program":  codeForm(code, "client_id", uuid.NewString()),
				"code":     codeForm(code + "A"),
			} {
				if status, body := w.ask("POST", tt.base+"/token", form, nil); status != 400 || body["error"] != "invalid_grant" {
					t.Errorf("wrong %s: %d %v", name, status, body)
				}
			}
			status, body := w.ask("POST", tt.base+"/token", codeForm(code, "client_info", "1"), nil)
			if status != 200 || body["refresh_token"] == nil {
				t.Fatalf("%d %v", status, body)
			}
			who, err := w.Check(t.Context(), Management, body["access_token"].(string))
			if err != nil || who.Kind != User || who.ID != p.ID || who.Name != alice || who.AppID != azureCLI || who.May("Microsoft.Media/mediaservices/assets/write", "/") || !who.May("Microsoft.Media/mediaservices/assets/read", "/") {
				t.Errorf("%+v, %v", who, err)
			}
			id := claimsOf(t, body["id_token"])
			if id["aud"] != azureCLI || id["nonce"] != "n-1" || id["oid"] != p.ID || id["preferred_username"] != alice || id["upn"] != alice || id["name"] != "Alice" {
				t.Errorf("ID token %v", id)
			}
			if _, err := w.Check(t.Context(), Management, body["id_token"].(string)); err == nil {
				t.Error("an ID token opens the API")
			}
			info, _ := base64.RawURLEncoding.DecodeString(body["client_info"].(string))
			if string(info) != fmt.Sprintf(`{"uid":"%s","utid":"%s"}`, p.ID, w.folder.TenantID) {
				t.Errorf("client_info %s", info)
			}
			if status, body := w.ask("POST", tt.base+"/token", codeForm(code), nil); status != 400 || body["error"] != "invalid_grant" {
				t.Errorf("the code works twice: %d %v", status, body)
			}
		})
	}
}

func TestAuthorizeModes(t *testing.T) {
	w, _ := withAlice(t)
	b := &browser{w: w}
	rec := b.signIn(t, "/common/oauth2/v2.0/authorize", authorizeQuery("response_mode", "form_post", "redirect_uri", "https://portal.example/back?x=1"), alice, password)
	action, fields := formOf(t, rec)
	if rec.Code != 200 || action != "https://portal.example/back?x=1" || fields.Get("code") == "" || fields.Get("state") != `st&"<>` ||
		!strings.Contains(rec.Header().Get("Content-Security-Policy"), "form-action 'self' https://portal.example;") {
		t.Errorf("form_post: %s %v %v", action, fields, rec.Header())
	}
	rec = b.signIn(t, "/common/oauth2/v2.0/authorize", authorizeQuery("response_mode", "fragment"), alice, password)
	if to, err := url.Parse(rec.Header().Get("Location")); err != nil || to.RawQuery != "" || !strings.Contains(to.Fragment, "code=") {
		t.Errorf("fragment: %v", rec.Header())
	}
	rec = b.signIn(t, "/common/oauth2/v2.0/authorize", authorizeQuery("redirect_uri", "https://portal.example/back?x=1"), alice, password)
	if to, err := url.Parse(rec.Header().Get("Location")); err != nil || to.Query().Get("x") != "1" || to.Query().Get("code") == "" {
		t.Errorf("query beside a query: %v", rec.Header())
	}
	// Cancelled.
	action, fields = formOf(t, b.do("GET", "/common/oauth2/authorize?"+authorizeQuery().Encode(), nil))
	fields.Set("action", "cancel")
	if to, _ := url.Parse(b.do("POST", action, fields).Header().Get("Location")); to.Query().Get("error") != "access_denied" {
		t.Errorf("cancelled: %v", to)
	}
}

func TestAuthorizeRefused(t *testing.T) {
	w, _ := withAlice(t)
	for _, tt := range []struct {
		name string
		q    url.Values
		err  string // in the redirect; empty: a page
	}{
		{"foreign redirect", authorizeQuery("redirect_uri", "https://evil.example/"), ""},
		{"prefix of a redirect", authorizeQuery("redirect_uri", "https://portal.example/back?x=12"), ""},
		{"host with user", authorizeQuery("redirect_uri", "http://localhost@evil.example/"), ""},
		{"host that begins so", authorizeQuery("redirect_uri", "http://localhost.evil.example/"), ""},
		{"script", authorizeQuery("redirect_uri", "javascript://localhost/%0aalert(1)"), ""},
		{"fragment", authorizeQuery("redirect_uri", "http://localhost/#"), ""},
		{"no redirect", authorizeQuery("redirect_uri", ""), ""},
		{"no program", authorizeQuery("client_id", ""), ""},
		{"program", authorizeQuery("client_id", "<script>"), ""},
		{"long state", authorizeQuery("state", strings.Repeat("x", maxState+1)), ""},
		{"no challenge", authorizeQuery("code_challenge", ""), "invalid_request"},
		{"plain", authorizeQuery("code_challenge_method", "plain"), "invalid_request"},
		{"implicit", authorizeQuery("response_type", "token"), "unsupported_response_type"},
		{"mode", authorizeQuery("response_mode", "web_message"), "invalid_request"},
		{"scope", authorizeQuery("scope", "https://graph.microsoft.com/.default"), "invalid_resource"},
		{"silent", authorizeQuery("prompt", "none"), "login_required"},
	} {
		rec := (&browser{w: w}).do("GET", "/common/oauth2/v2.0/authorize?"+tt.q.Encode(), nil)
		to, err := url.Parse(rec.Header().Get("Location"))
		switch {
		case err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.err == "" && (rec.Code != 400 || rec.Header().Get("Location") != "" || strings.Contains(rec.Body.String(), "<script>")):
			t.Errorf("%s: %d %v %s", tt.name, rec.Code, rec.Header(), rec.Body)
		case tt.err != "" && (rec.Code != 303 || to.Query().Get("error") != tt.err || to.Query().Get("state") == ""):
			t.Errorf("%s: %d %v", tt.name, rec.Code, to)
		}
	}
	// Passwords do not cross a network in clear.
	for origin, want := range map[string]int{"http://ams.example": 400, "http://localhost:8080": 200, "https://ams.example": 200} {
		r := httptest.NewRequest("GET", origin+"/common/oauth2/v2.0/authorize?"+authorizeQuery().Encode(), nil)
		rec := httptest.NewRecorder()
		if w.Handler().ServeHTTP(rec, r); rec.Code != want {
			t.Errorf("%s: %d", origin, rec.Code)
		}
	}
}

// A page is good in the browser that got it, for a while, and from itself.
func TestPageIsBound(t *testing.T) {
	w, _ := withAlice(t)
	b := &browser{w: w}
	page := b.do("GET", "/common/oauth2/v2.0/authorize?"+authorizeQuery("login_hint", `"><b>`).Encode(), nil)
	if h := page.Header(); !strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'") || h.Get("X-Frame-Options") != "DENY" ||
		!strings.Contains(h.Get("Cache-Control"), "no-store") || strings.Contains(page.Body.String(), "<script") || strings.Contains(page.Body.String(), "<b>") {
		t.Errorf("%v %s", h, page.Body)
	}
	c := b.cookies["__Host-openams-signin"]
	if c == nil || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" {
		t.Fatalf("cookie %+v", c)
	}
	action, form := formOf(t, page)
	form.Set("username", alice)
	form.Set("password", password)
	refused := func(name string, b *browser, form url.Values) {
		t.Helper()
		if rec := b.do("POST", action, form); rec.Code != 400 || rec.Header().Get("Location") != "" {
			t.Errorf("%s: %d %v", name, rec.Code, rec.Header())
		}
	}
	refused("no cookie", &browser{w: w}, form)
	other := &browser{w: w}
	other.do("GET", "/devicelogin", nil)
	refused("another browser", other, form)
	refused("another site", &browser{w: w, cookies: b.cookies, header: http.Header{"Sec-Fetch-Site": {"cross-site"}}}, form)
	refused("another origin", &browser{w: w, cookies: b.cookies, header: http.Header{"Origin": {"https://evil.example"}}}, form)
	changed := maps.Clone(form)
	changed["flow"] = []string{form.Get("flow")[1:]}
	refused("changed", b, changed)
	began := w.now
	w.now = began.Add(flowLifetime)
	refused("old", b, form)
	w.now = began
	if rec := b.do("POST", action, form); rec.Code != 303 {
		t.Errorf("the good one: %d", rec.Code)
	}
	// A wrong password shows the page once more, without it.
	form.Set("password", "hunter2hunter2")
	rec := b.do("POST", action, form)
	if rec.Code != 200 || strings.Contains(rec.Body.String(), "hunter2") || !strings.Contains(rec.Body.String(), "wrong") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if again, fields := formOf(t, rec); again != action || fields.Get("flow") == "" {
		t.Errorf("no second try: %s", rec.Body)
	}
}

func TestGuessingIsSlow(t *testing.T) {
	w, _ := withAlice(t)
	guess := func(remote, pass string) (int, string, string) {
		form := url.Values{"grant_type": {"password"}, "client_id": {azureCLI}, "username": {alice}, "password": {pass}, "scope": {v2scope}}
		rec := (&browser{w: w, remote: remote}).do("POST", v2token, form)
		var body map[string]any
		if err := json.Unmarshal(rec.Body.Bytes(), &body); err != nil {
			t.Fatal(err)
		}
		return rec.Code, fmt.Sprint(body["error"]), rec.Header().Get("Retry-After")
	}
	for range 20 { // who knows the password is not counted
		if status, _, _ := guess("192.0.2.1:1", password); status != 200 {
			t.Fatal(status)
		}
	}
	for i := range 10 {
		if status, err, _ := guess("192.0.2.1:2", "wrong password"); status != 400 || err != "invalid_grant" {
			t.Fatalf("guess %d: %d %s", i, status, err)
		}
	}
	if status, _, after := guess("192.0.2.1:3", password); status != 429 || after != "60" {
		t.Errorf("%d after %q", status, after)
	}
	if status, _, _ := guess("192.0.2.2:3", password); status != 200 {
		t.Errorf("from elsewhere: %d", status)
	}
	w.now = w.now.Add(time.Minute)
	if status, _, _ := guess("192.0.2.1:4", password); status != 200 {
		t.Errorf("later: %d", status)
	}
}

func TestPasswordGrant(t *testing.T) {
	w, p := withAlice(t)
	form := func(more ...string) url.Values {
		v := url.Values{"grant_type": {"password"}, "client_id": {"d476653d-842c-4f52-862d-397463ada5e7"}, "username": {alice},
			"password": {password}, "resource": {"https://rest.media.azure.net"}, "scope": {"openid"}}
		for i := 0; i < len(more); i += 2 {
			v.Set(more[i], more[i+1])
		}
		return v
	}
	status, body := w.ask("POST", "/contoso.onmicrosoft.com/oauth2/token", form(), nil)
	if status != 200 || body["expires_in"] != "3599" || body["refresh_token"] == nil || body["id_token"] == nil {
		t.Fatalf("%d %v", status, body)
	}
	if who, err := w.Check(t.Context(), Media, body["access_token"].(string)); err != nil || who.ID != p.ID {
		t.Errorf("%+v, %v", who, err)
	}
	for name, form := range map[string]url.Values{
		"password":      form("password", "correct horsE"),
		"nobody":        form("username", "bob@contoso.com"),
		"long password": form("password", strings.Repeat("x", 73)),
	} {
		if status, body := w.ask("POST", "/common/oauth2/token", form, nil); status != 400 || body["error"] != "invalid_grant" ||
			!strings.HasPrefix(body["error_description"].(string), "AADSTS50126") {
			t.Errorf("%s: %d %v", name, status, body)
		}
	}
	for name, tt := range map[string]struct {
		form url.Values
		code float64
	}{
		"no password":         {form("password", ""), 900144},
		"no program":          {form("client_id", ""), 900144},
		"program is no GUID":  {form("client_id", "az"), 700016},
		"secret of a program": {form("client_id", w.id, "client_secret", "wrong"), 7000215},
		"certificate":         {form("client_id", w.id, "client_assertion", "e30.e30.x", "client_assertion_type", assertionType), 50027},
	} {
		if status, body := w.ask("POST", "/common/oauth2/token", tt.form, nil); status == 200 || fmt.Sprint(body["error_codes"]) != fmt.Sprint([]any{tt.code}) {
			t.Errorf("%s: %d %v", name, status, body)
		}
	}
	if status, body := w.ask("POST", "/common/oauth2/token", form("client_id", w.id, "client_secret", w.secret), nil); status != 200 {
		t.Errorf("a program with its secret: %d %v", status, body)
	}
	// ADAL asks this first.
	if status, body := w.ask("GET", "/common/userrealm/"+url.PathEscape(alice)+"?api-version=1.0", nil, nil); status != 200 || body["account_type"] != "Managed" {
		t.Errorf("realm: %d %v", status, body)
	}
}

func TestRefresh(t *testing.T) {
	w, _ := withAlice(t)
	first := url.Values{"grant_type": {"password"}, "client_id": {azureCLI}, "username": {alice}, "password": {password}, "scope": {v2scope}}
	_, body := w.ask("POST", v2token, first, nil)
	if body["access_token"] == nil || body["refresh_token"] != nil || body["id_token"] != nil {
		t.Errorf("nobody asked for a refresh token: %v", body)
	}
	first.Set("scope", v2scope+" offline_access")
	_, body = w.ask("POST", v2token, first, nil)
	refresh := func(token any, more ...string) (int, map[string]any) {
		f := url.Values{"grant_type": {"refresh_token"}, "client_id": {azureCLI}, "refresh_token": {fmt.Sprint(token)}}
		for i := 0; i < len(more); i += 2 {
			f.Set(more[i], more[i+1])
		}
		return w.ask("POST", v2token, f, nil)
	}
	old := body["refresh_token"]
	status, body := refresh(old)
	if status != 200 || body["refresh_token"] == nil || claimsOf(t, body["access_token"])["aud"] != "https://localhost:8443" {
		t.Fatalf("%d %v", status, body)
	}
	// For another resource, as azure-cli does.
	status, body = refresh(body["refresh_token"], "scope", "https://storage.azure.com/.default openid")
	if status != 200 || claimsOf(t, body["access_token"])["aud"] != "https://storage.azure.com" || body["id_token"] == nil {
		t.Errorf("another resource: %d %v", status, body)
	}
	if status, body = refresh(old, "scope", "openid"); status != 200 || claimsOf(t, body["access_token"])["aud"] != "https://localhost:8443" {
		t.Errorf("no resource: %d %v", status, body)
	}
	for name, status := range map[string]int{
		"program": first1(refresh(old, "client_id", uuid.NewString())),
		"scope":   first1(refresh(old, "scope", "https://graph.microsoft.com/.default")),
		"garbage": first1(refresh("x")),
		"access":  first1(refresh(body["access_token"])),
	} {
		if status != 400 {
			t.Errorf("wrong %s: %d", name, status)
		}
	}
	began := w.now
	w.now = began.Add(refreshLifetime)
	if status, _ := refresh(old); status != 400 {
		t.Errorf("after 90 days: %d", status)
	}
	w.now = began
	if err := w.folder.SetPassword(alice, "another password"); err != nil {
		t.Fatal(err)
	}
	if status, body := refresh(old); status != 400 || fmt.Sprint(body["error_codes"]) != "[50173]" {
		t.Errorf("after a new password: %d %v", status, body)
	}
	first.Set("password", "another password")
	_, body = w.ask("POST", v2token, first, nil)
	if err := w.folder.DeletePerson(alice); err != nil {
		t.Fatal(err)
	}
	if status, _ := refresh(body["refresh_token"]); status != 400 {
		t.Errorf("of a person who is gone: %d", status)
	}
	if _, err := w.Check(t.Context(), Management, body["access_token"].(string)); err == nil {
		t.Error("a token of a person who is gone")
	}
}

func first1(status int, _ map[string]any) int { return status }

// No form makes the authority fail, or give away a token.
func FuzzForms(f *testing.F) {
	dir := f.TempDir()
	folder, err := Open(dir)
	if err != nil {
		f.Fatal(err)
	}
	a, err := New(Config{TenantID: folder.TenantID, Directory: folder, Key: folder.Key()})
	if err != nil {
		f.Fatal(err)
	}
	a.byAddress, a.byName = nil, nil
	paths := []string{"/common/oauth2/token", "/common/oauth2/v2.0/token", "/adfs/oauth2/token", "/common/oauth2/v2.0/authorize",
		"/common/oauth2/devicecode", "/common/login", "/devicelogin", "/msi/token"}
	for i, s := range []string{
		"grant_type=client_credentials&client_id=x&client_secret=y&scope=z/.default",
		"grant_type=authorization_code&client_id=04b07795-8ddb-461a-bbee-02f9e1bf7b46&code=AAAA&code_verifier=" + verifier,
		"grant_type=refresh_token&client_id=04b07795-8ddb-461a-bbee-02f9e1bf7b46&refresh_token=AAAA",
		authorizeQuery().Encode(),
		"client_id=04b07795-8ddb-461a-bbee-02f9e1bf7b46&resource=https://rest.media.azure.net",
		"flow=AAAA&user_code=BCDF&action=cancel",
		"grant_type=device_code&client_id=04b07795-8ddb-461a-bbee-02f9e1bf7b46&code=x",
	} {
		f.Add(uint8(i), s, "openams-signin=AAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	}
	f.Fuzz(func(t *testing.T, where uint8, form, cookie string) {
		a.devices = devices{}
		for _, method := range []string{"GET", "POST"} {
			target := &url.URL{Scheme: "https", Host: host, Path: paths[int(where)%len(paths)]}
			if method == "GET" {
				target.RawQuery = form
			}
			r := httptest.NewRequest(method, "/", strings.NewReader(form))
			r.URL, r.Host = target, host
			r.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Cookie": {cookie}, "X-Identity-Header": {cookie}}
			rec := httptest.NewRecorder()
			a.Handler().ServeHTTP(rec, r)
			if rec.Code >= 500 || strings.Contains(rec.Body.String(), "access_token") || strings.Contains(rec.Header().Get("Location"), "code=") && !strings.Contains(form, "code=") {
				t.Fatalf("%s %s %q: %d %s", method, target.Path, form, rec.Code, rec.Body)
			}
			if to := rec.Header().Get("Location"); to != "" {
				if u, err := url.Parse(to); err != nil || u.Scheme != "http" || !isLoopback(u.Hostname()) {
					t.Fatalf("sends people to %q", to)
				}
			}
		}
	})
}
