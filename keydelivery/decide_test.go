package keydelivery

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
)

// A token with a limit is spent by what the player gets, not by what fails.
func TestFailureSpendsNoUse(t *testing.T) {
	status := http.StatusInternalServerError
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status) }))
	defer upstream.Close()
	rules := rulesOf(symmetric(secret))
	s := newStand(t, func(c *Config) { c.Widevine.URL = upstream.URL },
		option(ams.WidevineConfiguration, rules), option(ams.PlayReadyConfiguration, rules), option(ams.ClearKeyConfiguration, rules))
	bearer := "Bearer " + hs(t, maxUsesClaim, 1)
	both := strings.Replace(fmt.Sprintf(challenge, windows(kid)), "</KID>", "</KID><KID>"+windows(otherKid)+"</KID>", 1)
	for _, tt := range []struct {
		name, path, body string
		status           int
	}{
		{"no licence server", "/PlayReady/", fmt.Sprintf(challenge, windows(kid)), 501},
		{"one of two keys is unknown", "/PlayReady/", both, 404},
		{"the licence server fails", "/Widevine/?kid=" + kid, "x", 500},
	} {
		if res := s.ask("POST", tt.path, tt.body, "Authorization", bearer); res.StatusCode != tt.status {
			t.Errorf("%s: %s, want %d", tt.name, res.Status, tt.status)
		}
	}
	status = http.StatusOK
	s.want(s.ask("POST", "/Widevine/?kid="+kid, "x", "Authorization", bearer), 200, "")
	s.want(s.ask("POST", "/Widevine/?kid="+kid, "x", "Authorization", bearer), 401, "limit")
	s.want(s.ask("GET", "/?kid="+kid, "", "Authorization", bearer), 401, "limit")
}

// Another account that has a key with the same id and another value answers no
// player of the first.
func TestOneIDIsOneKey(t *testing.T) {
	other := []byte("fedcba9876543210")
	guarded := grantOf(kid, value, option(ams.ClearKeyConfiguration, rulesOf(symmetric(secret))))
	stranger := grantOf(kid, other, option(ams.ClearKeyConfiguration, nil))
	stranger.Key.Account, stranger.Account = "b", &ams.Account{ID: "b"}
	s := newStand(t, nil)
	s.grants[kid] = []account.KeyGrant{guarded, stranger}
	s.want(s.ask("GET", "/?kid="+kid, ""), 401, "no token")
	s.want(s.ask("GET", "/?kid="+kid, "", "Authorization", "Bearer "+hs(t)), 200, string(value))
	s.want(s.ask("POST", "/ClearKey/", clearKeyRequest(kid)), 401, "no token")
	// The same key in another account is that key.
	stranger.Key.Value = value
	s.want(s.ask("GET", "/?kid="+kid, ""), 200, string(value))
}
