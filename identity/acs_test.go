package identity

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// acsWorld has an account that signs in by its key, which has a plus in base64.
func acsWorld(t *testing.T) (*world, string) {
	t.Helper()
	w := newWorld(t)
	key := []byte(strings.Repeat("\xfb\xef\xbe123", 11))
	w.c.KeyAccounts = []KeyAccount{{Name: "openams", Key: key, Subscription: "sub", Scope: "/subscriptions/s/accounts/openams"}}
	return w, base64.StdEncoding.EncodeToString(key)
}

func acsForm(id, secret string) url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}, "scope": {"urn:WindowsAzureMediaServices"}}
}

// The token of ACS is good as it is and escaped once more, for six hours, for
// the v2 API alone, until the account's key changes.
func TestACS(t *testing.T) {
	w, key := acsWorld(t)
	code, v := w.ask("POST", "/v2/OAuth2-13", acsForm("openams", key), nil)
	token, _ := v["access_token"].(string)
	if code != 200 || v["token_type"] != "http://schemas.xmlsoap.org/ws/2009/11/swt-token-profile-1.0" || v["expires_in"] != "21600" || v["scope"] != "urn:WindowsAzureMediaServices" {
		t.Fatalf("%d %v", code, v)
	}
	if !strings.HasPrefix(token, "http%3a%2f%2fschemas.xmlsoap.org%2fws%2f2005%2f05%2fidentity%2fclaims%2fnameidentifier=openams&urn%3aSubscriptionId=sub&") ||
		!strings.Contains(token, "&Audience=urn%3aWindowsAzureMediaServices&ExpiresOn=1772388000&") {
		t.Errorf("token %s", token)
	}
	check := func(aud Audience, token string) error {
		p, err := w.Check(t.Context(), aud, token)
		if err == nil && (!p.May("Microsoft.Media/mediaservices/assets/write", "/subscriptions/s/accounts/openams") || p.May("Microsoft.Media/mediaservices/read", "/subscriptions/s") || p.Who() == "") {
			t.Errorf("%+v", p)
		}
		return err
	}
	for _, good := range []string{token, url.QueryEscape(token), url.PathEscape(token)} {
		if err := check(Media, good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	reason := func(err error) Reason {
		te, ok := errors.AsType[*TokenError](err)
		if !ok {
			t.Fatalf("%v", err)
		}
		return te.Reason
	}
	for _, tt := range []struct {
		aud   Audience
		token string
		want  Reason
	}{
		{Management, token, Malformed},
		{Storage, token, Malformed},
		{Media, strings.Replace(token, "ExpiresOn=1", "ExpiresOn=2", 1), BadSignature},
		{Media, strings.Replace(token, "=openams&", "=other&", 1), BadSignature},
		{Media, token + "x", BadSignature},
		{Media, "%HMACSHA256", Malformed},
		{Media, strings.Split(token, "&HMAC")[0] + "&HMACSHA256=", BadSignature},
	} {
		if got := reason(check(tt.aud, tt.token)); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.token, got, tt.want)
		}
	}
	w.now = w.now.Add(6*time.Hour + skew)
	if got := reason(check(Media, token)); got != Expired {
		t.Errorf("after six hours: %v", got)
	}
	w.now = w.now.Add(-time.Hour)
	w.c.KeyAccounts[0].Key = []byte("another")
	if got := reason(check(Media, token)); got != BadSignature {
		t.Errorf("with another key: %v", got)
	}
}

func TestACSRefuses(t *testing.T) {
	w, key := acsWorld(t)
	with := func(name, value string) url.Values {
		v := acsForm("openams", key)
		v.Set(name, value)
		return v
	}
	for _, tt := range []struct {
		form url.Values
		code int
		want string
	}{
		{with("client_secret", key+" "), 200, ""}, // amspy
		{with("client_secret", strings.ReplaceAll(key, "+", " ")), 200, ""},
		{with("client_id", "OpenAMS"), 200, ""},
		{with("client_id", "other"), 401, "invalid_client"},
		{with("client_secret", key[1:]), 401, "invalid_client"},
		{with("client_secret", ""), 401, "invalid_client"},
		{with("grant_type", "password"), 400, "unsupported_grant_type"},
		{with("scope", "urn:Other"), 400, "invalid_scope"},
	} {
		code, v := w.ask("POST", "/V2/oauth2-13", tt.form, nil)
		if code != tt.code || tt.want != "" && v["error"] != tt.want {
			t.Errorf("%v: %d %v", tt.form, code, v)
		}
	}
	if code, _ := w.ask("GET", "/v2/OAuth2-13", nil, http.Header{}); code != 405 {
		t.Errorf("GET: %d", code)
	}
}

func FuzzSimpleWebToken(f *testing.F) {
	a := &Authority{c: Config{Now: time.Now, KeyAccounts: []KeyAccount{{Name: "a", Key: []byte("k")}}}}
	f.Add(a.c.KeyAccounts[0].token("https://x/", time.Now().Add(time.Hour))[:40])
	f.Add("%25HMACSHA256")
	f.Add("ExpiresOn=x&HMACSHA256=%3d")
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := a.checkACS(s); err == nil {
			t.Fatalf("%q is taken: %+v", s, p)
		}
	})
}
