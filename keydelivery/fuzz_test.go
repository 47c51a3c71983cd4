package keydelivery

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/openams/openams/ams"
)

// FuzzToken throws tokens at every kind of restriction: none may panic, and none
// that was not signed with the key may pass.
func FuzzToken(f *testing.F) {
	good := hs(f)
	f.Add("Bearer "+good, "")
	f.Add(good, "token=x")
	f.Add("", "token="+swt(secret, "Issuer", "x", "ExpiresOn", "1"))
	f.Add("Bearer%3d"+swt(secret, "a", "b"), "token=Bearer%3d&Token=%")
	f.Add("eyJhbGciOiJub25lIn0.e30.", "token=eyJhbGciOiJIUzI1NiJ9.e30.AAAA")
	unknown := []byte("a key that the fuzzer does not have")
	handlers := []*stand{}
	for _, rules := range []*ams.TokenRules{
		rulesOf(symmetric(unknown)),
		{Type: ams.SWT, Primary: symmetric(unknown)},
	} {
		handlers = append(handlers, newStand(f, nil, option(ams.ClearKeyConfiguration, rules)))
	}
	f.Fuzz(func(t *testing.T, header, query string) {
		r := &http.Request{Method: "GET", Header: http.Header{"Authorization": {header}}, URL: &url.URL{Path: "/", RawQuery: query}}
		for _, text := range tokensOf(r) {
			if text == "" || len(text) > maxToken {
				t.Errorf("token of %d bytes", len(text))
			}
			for _, s := range handlers {
				rules, _ := s.grants[kid][0].Policy.Options[0].Token()
				if _, err := s.h.tokens.check(t.Context(), rules, text, kid, map[string]proof{}); err == nil {
					t.Errorf("%q passes", text)
				}
			}
		}
	})
}

// FuzzSWT reads back what is signed.
func FuzzSWT(f *testing.F) {
	f.Add("Issuer=x&Audience=y&ExpiresOn=1&HMACSHA256=AAAA")
	f.Add(swt(secret, "Issuer", "a b", "c", "ä"))
	f.Fuzz(func(t *testing.T, text string) {
		signed, claims, mac, err := parseSWT(text)
		if err != nil {
			return
		}
		if !strings.HasPrefix(text, signed+swtSignature) || len(mac) != 32 || len(claims) > maxSWTClaims {
			t.Errorf("%q: %q, %d claims, signature of %d bytes", text, signed, len(claims), len(mac))
		}
	})
}

// FuzzLicenceRequest reads challenges and licence requests.
func FuzzLicenceRequest(f *testing.F) {
	f.Add([]byte(clearKeyRequest(kid)))
	f.Add([]byte(strings.Replace(challenge, "%s", windows(kid), 1)))
	f.Add([]byte(`<KID VALUE="` + windows(kid) + `"><KID/></KID>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, read := range []func([]byte) ([]string, error){clearKeyIDs, playReadyIDs} {
			kids, err := read(body)
			if err != nil {
				continue
			}
			if len(kids) > maxKIDs {
				t.Errorf("%d keys", len(kids))
			}
			for _, k := range kids {
				if len(k) != 36 {
					t.Errorf("key id %q", k)
				}
			}
		}
	})
}
