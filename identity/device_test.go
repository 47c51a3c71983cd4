package identity

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestDeviceCode(t *testing.T) {
	for _, tt := range []struct{ name, base string }{{"v1", "/common/oauth2"}, {"v2", "/common/oauth2/v2.0"}, {"adfs", "/adfs/oauth2"}} {
		t.Run(tt.name, func(t *testing.T) {
			w, p := withAlice(t)
			begin := func() map[string]any {
				status, d := w.ask("POST", tt.base+"/devicecode", url.Values{"client_id": {azureCLI}, "scope": {v2scope + " openid offline_access"}}, nil)
				if status != 200 || d["verification_uri"] != "https://"+host+"/devicelogin" || d["interval"] != 5.0 || d["expires_in"] != 900.0 {
					t.Fatalf("%d %v", status, d)
				}
				return d
			}
			poll := func(d map[string]any) (int, map[string]any) {
				return w.ask("POST", tt.base+"/token", url.Values{"grant_type": {deviceGrant}, "client_id": {azureCLI}, "device_code": {d["device_code"].(string)}}, nil)
			}
			b := &browser{w: w}
			typeCode := func(code string) *httptest.ResponseRecorder {
				action, form := formOf(t, b.do("GET", "/devicelogin", nil))
				form.Set("user_code", code)
				return b.do("POST", action, form)
			}
			d := begin()
			code := d["user_code"].(string)
			if status, body := poll(d); status != 400 || body["error"] != "authorization_pending" {
				t.Errorf("%d %v", status, body)
			}
			if rec := typeCode("BCDFGHJKL"); !strings.Contains(rec.Body.String(), "no program") {
				t.Errorf("another code: %s", rec.Body)
			}
			action, form := formOf(t, typeCode(" "+strings.ToLower(code[:4])+"-"+code[4:]))
			form.Set("username", alice)
			form.Set("password", password)
			if rec := b.do("POST", action, form); rec.Code != 200 || !strings.Contains(rec.Body.String(), "signed in as") {
				t.Fatalf("%d %s", rec.Code, rec.Body)
			}
			if rec := b.do("POST", action, form); rec.Code != 400 {
				t.Errorf("approved twice: %d", rec.Code)
			}
			status, body := poll(d)
			if status != 200 || body["refresh_token"] == nil || body["id_token"] == nil {
				t.Fatalf("%d %v", status, body)
			}
			if who, err := w.Check(t.Context(), Management, body["access_token"].(string)); err != nil || who.ID != p.ID {
				t.Errorf("%+v, %v", who, err)
			}
			if status, body := poll(d); status != 400 || body["error"] != "bad_verification_code" {
				t.Errorf("used: %d %v", status, body)
			}
			d = begin()
			action, form = formOf(t, typeCode(d["user_code"].(string)))
			form.Set("action", "cancel")
			b.do("POST", action, form)
			if status, body := poll(d); status != 400 || body["error"] != "authorization_declined" {
				t.Errorf("declined: %d %v", status, body)
			}
			d = begin()
			w.now = w.now.Add(deviceLifetime + time.Second)
			if rec := typeCode(d["user_code"].(string)); !strings.Contains(rec.Body.String(), "no program") {
				t.Errorf("an old code: %s", rec.Body)
			}
			if status, body := poll(d); status != 400 || body["error"] != "expired_token" {
				t.Errorf("expired: %d %v", status, body)
			}
			for i := range maxPerAddress + 1 {
				status, body := w.ask("POST", tt.base+"/devicecode", url.Values{"client_id": {azureCLI}}, nil)
				if want := i == maxPerAddress; (status == 429) != want {
					t.Fatalf("%d waiting: %d %v", i, status, body)
				}
			}
			if status, _ := w.ask("POST", tt.base+"/devicecode", url.Values{"client_id": {"x"}}, nil); status != 400 {
				t.Errorf("program x: %d", status)
			}
		})
	}
}

func TestManagedIdentity(t *testing.T) {
	w := newWorld(t)
	id, secret, err := w.folder.Create("worker", ManagedIdentity, []Assignment{{MediaOperator, "/"}})
	if err != nil {
		t.Fatal(err)
	}
	const path = "/msi/token?api-version=2019-08-01&resource=" + "https%3A%2F%2Flocalhost%3A8443"
	for _, tt := range []struct {
		name, path, secret string
		status             int
	}{
		{"good", path, secret, 200},
		{"named", path + "&client_id=" + strings.ToUpper(id), secret, 200},
		{"another name", path + "&client_id=" + w.id, secret, 400},
		{"wrong secret", path, secret + "x", 401},
		{"secret of an application", path, w.secret, 401},
		{"no secret", path, "", 400},
		{"version", strings.Replace(path, "2019-08-01", "2017-09-01", 1), secret, 400},
		{"resource", strings.Replace(path, "localhost", "evil", 1), secret, 400},
		{"no resource", "/msi/token?api-version=2019-08-01", secret, 400},
	} {
		status, body := w.ask("GET", tt.path, nil, http.Header{"X-Identity-Header": {tt.secret}})
		if status != tt.status {
			t.Errorf("%s: %d %v", tt.name, status, body)
		} else if status == 200 {
			who, err := w.Check(t.Context(), Management, body["access_token"].(string))
			if err != nil || who.AppID != id || who.Kind != ManagedIdentity || body["expires_on"] != fmt.Sprint(w.now.Add(time.Hour).Unix()) {
				t.Errorf("%s: %+v %v %v", tt.name, who, err, body)
			}
		}
	}
}
