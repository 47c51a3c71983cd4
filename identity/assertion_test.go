package identity

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/golang-jwt/jwt/v5"
)

// certificateFor is a self-signed certificate that is good around now.
func certificateFor(t testing.TB, key *rsa.PrivateKey, now time.Time) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(48 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func rsaKey(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// The official SDK signs a program in by its certificate.
func TestAzidentityClientCertificate(t *testing.T) {
	w := newWorld(t)
	w.c.Now = time.Now
	key := rsaKey(t, 2048)
	certificate := certificateFor(t, key, time.Now())
	id, err := w.folder.CreateSigned("signer", []Assignment{{Contributor, "/"}}, certificate)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewTLSServer(w.Handler())
	defer srv.Close()
	w.c.Hosts = append(w.c.Hosts, srv.Listener.Addr().String())
	sign := func(key *rsa.PrivateKey, c *x509.Certificate, chain bool) (azcore.AccessToken, error) {
		t.Helper()
		cred, err := azidentity.NewClientCertificateCredential(w.folder.TenantID, id, []*x509.Certificate{c}, key, &azidentity.ClientCertificateCredentialOptions{
			ClientOptions: azcore.ClientOptions{
				Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: srv.URL + "/"},
				Transport: srv.Client(),
				Retry:     policy.RetryOptions{MaxRetries: -1},
			},
			DisableInstanceDiscovery: true, SendCertificateChain: chain,
		})
		if err != nil {
			t.Fatal(err)
		}
		return cred.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://rest.media.azure.net/.default"}})
	}
	for _, chain := range []bool{false, true} {
		token, err := sign(key, certificate, chain)
		if err != nil {
			t.Fatal(err)
		}
		var c claims
		if _, _, err := jwt.NewParser().ParseUnverified(token.Token, &c); err != nil || c.AZPACR != "2" {
			t.Errorf("azpacr %q, %v", c.AZPACR, err)
		}
		if who, err := w.Check(t.Context(), Media, token.Token); err != nil || who.AppID != id || who.Kind != Application {
			t.Errorf("%+v, %v", who, err)
		}
	}
	// Somebody else's certificate, shown in full, opens nothing.
	other := rsaKey(t, 2048)
	if _, err := sign(other, certificateFor(t, other, time.Now()), true); err == nil {
		t.Error("another certificate is taken")
	}
	// A new certificate ends the old one; a secret ends both.
	if got, err := w.folder.Register("signer", certificateFor(t, other, time.Now())); err != nil || got != id {
		t.Fatal(got, err)
	}
	if _, err := sign(key, certificate, false); err == nil {
		t.Error("the old certificate is taken")
	}
	if _, err := sign(other, certificateFor(t, other, time.Now()), false); err != nil {
		t.Error(err)
	}
	_, secret, err := w.folder.Rotate(id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sign(other, certificateFor(t, other, time.Now()), false); err == nil {
		t.Error("the certificate is taken beside a secret")
	}
	if p, err := w.folder.Authenticate(t.Context(), id, secret); err != nil || p.AppID != id {
		t.Errorf("%+v, %v", p, err)
	}
}

// An assertion is checked as RFC 7523 section 3 says.
func TestAssertion(t *testing.T) {
	w := newWorld(t)
	key, other := rsaKey(t, 2048), rsaKey(t, 2048)
	certificate := certificateFor(t, key, w.now)
	id, err := w.folder.CreateSigned("signer", []Assignment{{Reader, "/"}}, certificate)
	if err != nil {
		t.Fatal(err)
	}
	tenant := w.folder.TenantID
	const path = "/common/oauth2/token"
	endpoint := "https://" + host + "/" + tenant + "/oauth2/token"
	good := func() jwt.MapClaims {
		return jwt.MapClaims{"iss": id, "sub": id, "aud": endpoint, "jti": "1", "nbf": w.now.Unix(), "exp": w.now.Add(10 * time.Minute).Unix()}
	}
	with := func(more ...any) jwt.MapClaims {
		c := good()
		for i := 0; i < len(more); i += 2 {
			if name := more[i].(string); more[i+1] == nil {
				delete(c, name)
			} else {
				c[name] = more[i+1]
			}
		}
		return c
	}
	sign := func(m jwt.SigningMethod, key any, c jwt.Claims) string {
		token := jwt.NewWithClaims(m, c)
		sum := sha1.Sum(certificate.Raw)
		token.Header["x5t"] = base64.RawURLEncoding.EncodeToString(sum[:])
		s, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	rs := jwt.SigningMethodRS256
	form := func(assertion string, more ...string) url.Values {
		v := url.Values{"grant_type": {"client_credentials"}, "resource": {"https://rest.media.azure.net"}, "client_id": {id},
			"client_assertion_type": {assertionType}, "client_assertion": {assertion}}
		for i := 0; i < len(more); i += 2 {
			v.Set(more[i], more[i+1])
		}
		return v
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		form url.Values
		code int // 0: a token
	}{
		"good":                {form(sign(rs, key, good())), 0},
		"PS256":               {form(sign(jwt.SigningMethodPS256, key, good())), 0},
		"no client_id":        {form(sign(rs, key, good()), "client_id", ""), 0},
		"v2 endpoint":         {form(sign(rs, key, with("aud", "https://LOCALHOST:8443/contoso.onmicrosoft.com/oauth2/v2.0/token"))), 0},
		"AD FS":               {form(sign(rs, key, with("aud", "https://127.0.0.1:8443/adfs/oauth2/token"))), 0},
		"behind a proxy":      {form(sign(rs, key, with("aud", "https://localhost/"+tenant+"/oauth2/token?api-version=1.0"))), 0},
		"issuer":              {form(sign(rs, key, with("aud", []string{"x", "https://" + host + "/" + tenant + "/v2.0"}))), 0},
		"upper case":          {form(sign(rs, key, with("iss", "{"+id+"}"))), 700021},
		"no nbf":              {form(sign(rs, key, with("nbf", nil))), 0},
		"within the skew":     {form(sign(rs, key, with("exp", w.now.Add(-4*time.Minute).Unix()))), 0},
		"expired":             {form(sign(rs, key, with("exp", w.now.Add(-6*time.Minute).Unix()))), 700024},
		"no exp":              {form(sign(rs, key, with("exp", nil))), 700024},
		"for years":           {form(sign(rs, key, with("exp", w.now.Add(25*time.Hour).Unix()))), 700024},
		"not yet":             {form(sign(rs, key, with("nbf", w.now.Add(6*time.Minute).Unix()))), 700024},
		"another key":         {form(sign(rs, other, good())), 700027},
		"RS512":               {form(sign(jwt.SigningMethodRS512, key, good())), 700027},
		"HMAC":                {form(sign(jwt.SigningMethodHS256, public, good())), 700027},
		"none":                {form(sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, good())), 700027},
		"another issuer":      {form(sign(rs, key, with("iss", w.id))), 700021},
		"another subject":     {form(sign(rs, key, with("sub", w.id))), 700021},
		"no subject":          {form(sign(rs, key, with("sub", nil))), 700021},
		"neither":             {form(sign(rs, key, with("sub", nil)), "client_id", ""), 700016},
		"another host":        {form(sign(rs, key, with("aud", "https://login.microsoftonline.com/"+tenant+"/oauth2/token"))), 700023},
		"another tenant":      {form(sign(rs, key, with("aud", "https://"+host+"/72f988bf-86f1-41af-91ab-2d7cd011db47/oauth2/token"))), 700023},
		"another service":     {form(sign(rs, key, with("aud", "https://rest.media.azure.net"))), 700023},
		"another path":        {form(sign(rs, key, with("aud", "https://"+host+"/"+tenant+"/oauth2/authorize"))), 700023},
		"no audience":         {form(sign(rs, key, with("aud", nil))), 700023},
		"two ways":            {form(sign(rs, key, good()), "client_secret", "x"), 90019},
		"no type":             {form(sign(rs, key, good()), "client_assertion_type", ""), 900144},
		"another type":        {form(sign(rs, key, good()), "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"), 900144},
		"no JWT":              {form("x"), 50027},
		"wrong types":         {form(sign(rs, key, with("exp", "soon"))), 50027},
		"no certificate":      {form(sign(rs, key, with("iss", w.id, "sub", w.id)), "client_id", w.id), 700027},
		"unknown application": {form(sign(rs, key, good()), "client_id", tenant), 700016},
		"a token of ours":     {form(w.get(t, path, w.form("resource", "https://rest.media.azure.net"))), 700027},
	} {
		status, body := w.ask("POST", path, tt.form, nil)
		codes, _ := body["error_codes"].([]any)
		switch {
		case tt.code == 0 && status != 200, tt.code != 0 && (status == 200 || len(codes) != 1 || codes[0] != float64(tt.code)):
			t.Errorf("%s: %d %v, want %d", name, status, body, tt.code)
		}
	}
	// The Host header does not make a host ours.
	r := form(sign(rs, key, with("aud", "https://evil.example/"+tenant+"/oauth2/token")))
	if status, body := w.ask("POST", path, r, map[string][]string{"X-Forwarded-Host": {"evil.example"}}); status == 200 {
		t.Errorf("%v", body)
	}
	// The certificate ends.
	w.now = w.now.Add(47 * time.Hour)
	if status, body := w.ask("POST", path, form(sign(rs, key, good())), nil); status != 200 {
		t.Errorf("%v", body)
	}
	w.now = w.now.Add(2 * time.Hour)
	if status, body := w.ask("POST", path, form(sign(rs, key, good())), nil); status != 401 {
		t.Errorf("%d %v", status, body)
	}
	// A principal with a certificate has no secret, not the empty one either.
	for _, secret := range []string{"", " "} {
		if _, err := w.folder.Authenticate(t.Context(), id, secret); !errors.Is(err, ErrSecret) {
			t.Errorf("%q: %v", secret, err)
		}
	}
	if _, err := w.folder.CreateSigned("short", []Assignment{{Reader, "/"}}, certificateFor(t, rsaKey(t, 1024), w.now)); err == nil {
		t.Error("a short key is taken")
	}
	if _, err := w.folder.Register("demo", certificate); err == nil {
		t.Error("the principal whose secret must be shown loses it")
	}
}

func FuzzAssertion(f *testing.F) {
	key := rsaKey(f, 2048)
	w := &world{now: time.Unix(1_700_000_000, 0)}
	folder, err := Open(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	if w.Authority, err = New(Config{TenantID: folder.TenantID, Hosts: []string{host}, Directory: folder, Key: folder.Key(), Now: func() time.Time { return w.now }}); err != nil {
		f.Fatal(err)
	}
	id, err := folder.CreateSigned("signer", []Assignment{{Reader, "/"}}, certificateFor(f, key, w.now))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(`{"iss":"`+id+`","sub":"`+id+`","aud":"https://localhost:8443/common/oauth2/token","exp":1700000100}`, true)
	f.Add(`{"aud":["a","https://localhost:8443/adfs"],"exp":1e300}`, true)
	f.Add("e30.e30.x", false)
	f.Fuzz(func(t *testing.T, text string, signed bool) {
		if signed {
			var c jwt.MapClaims
			if json.Unmarshal([]byte(text), &c) != nil {
				return
			}
			var err error
			if text, err = jwt.NewWithClaims(jwt.SigningMethodRS256, c).SignedString(key); err != nil {
				return
			}
		}
		p, fault := w.assertion(t.Context(), id, assertionType, text)
		if (p == nil) == (fault == nil) || p != nil && !signed {
			t.Fatalf("%+v %+v", p, fault)
		}
	})
}
