package origin

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/openams/openams/ams"
)

func asked(name string) ask { return func(r *http.Request) { r.Host = name } }

// endpoint makes a running streaming endpoint beside the default one.
func (s *stage) endpoint(name string, settings ams.EndpointSettings) {
	s.Helper()
	_, op, _, err := s.account.CreateEndpoint(s.Context(), ams.StreamingEndpoint{Name: name, Location: "local", Settings: settings}, true)
	if err != nil {
		s.Fatal(err)
	}
	s.wait(op)
}

// set changes the settings of an endpoint.
func (s *stage) set(name string, settings ams.EndpointSettings) {
	s.Helper()
	_, op, err := s.account.UpdateEndpoint(s.Context(), name, func(e *ams.StreamingEndpoint) error {
		e.Settings = settings
		return nil
	})
	if err != nil {
		s.Fatal(err)
	}
	s.wait(op)
}

// TestEndpoints serves two endpoints by their host names: each with its own
// state.
func TestEndpoints(t *testing.T) {
	s := newStage(t, nil)
	s.endpoint("live", ams.EndpointSettings{CustomHosts: []string{"media.example.com"}})
	const manifest = "film.ism/manifest(format=m3u8-cmaf)"
	status := func(want map[string]int) {
		t.Helper()
		for name, code := range want {
			res, body := s.do("GET", s.at(manifest), asked(name))
			if res.StatusCode != code {
				t.Errorf("%s: %s: %s", name, res.Status, body)
			}
			if got := res.Header.Get("X-Ms-Error-Code"); code == 503 && got != string(EndpointStopped) || code == 404 && got != "MPE_RESOURCE_NOT_FOUND" {
				t.Errorf("%s: code %s", name, got)
			}
		}
	}
	all := []string{"localhost:1", "127.0.0.1:9", "live-acct.localhost:1", "LIVE-acct.localhost", "media.example.com", "MEDIA.example.com:443", "unknown.example.com"}
	for _, name := range all {
		status(map[string]int{name: 200})
	}
	op, err := s.account.StopEndpoint(t.Context(), "default")
	if err != nil {
		t.Fatal(err)
	}
	s.wait(op)
	status(map[string]int{"localhost:1": 503, "127.0.0.1:9": 503, "unknown.example.com": 503, "live-acct.localhost:1": 200, "media.example.com": 200})

	// The endpoint of another account does not know the locator.
	other, _, _, err := s.accounts.CreateOrUpdateAccount(t.Context(), ams.Account{Name: "other", SubscriptionID: s.account.SubscriptionID, ResourceGroup: "rg",
		Location: "local", Storage: []ams.AccountStorage{{Name: storage, Primary: true}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.StartEndpoint(t.Context(), "default"); err != nil {
		t.Fatal(err)
	}
	status(map[string]int{"other.localhost:1": 404})

	if op, err = s.account.DeleteEndpoint(t.Context(), "live"); err != nil {
		t.Fatal(err)
	}
	s.wait(op)
	status(map[string]int{"live-acct.localhost:1": 503, "media.example.com": 503}) // unknown names now
}

func TestEndpointCacheAge(t *testing.T) {
	s := newStage(t, nil)
	const manifest, segment, file = "film.ism/manifest(format=mpd-time-cmaf)", "film.ism/QualityLevels(600000)/Fragments(video=0,format=mpd-time-cmaf)", "captions.vtt"
	for _, tt := range []struct {
		age  *int64
		want [3]string
	}{
		{nil, [3]string{"public, max-age=60", "public, max-age=259200, immutable", "public, max-age=3600"}},
		{new(int64), [3]string{"public, max-age=0", "public, max-age=0", "public, max-age=3600"}},
	} {
		s.set("default", ams.EndpointSettings{MaxCacheAge: tt.age})
		for i, p := range []string{manifest, segment, file} {
			res, _ := s.do("GET", s.at(p))
			if got := res.Header.Get("Cache-Control"); res.StatusCode != 200 || got != tt.want[i] {
				t.Errorf("%s: %s, Cache-Control %q, want %q", p, res.Status, got, tt.want[i])
			}
		}
	}
}

func TestCrossSite(t *testing.T) {
	s := newStage(t, nil)
	const policy = `<?xml version="1.0"?><cross-domain-policy><allow-access-from domain="*"/></cross-domain-policy>`
	s.endpoint("second", ams.EndpointSettings{CrossSite: &ams.CrossSite{CrossDomain: policy}})
	get := func(host, path string, want int) string {
		t.Helper()
		res, body := s.do("GET", s.url+path, asked(host))
		if res.StatusCode != want {
			t.Errorf("%s%s: %s: %s", host, path, res.Status, body)
		}
		return string(body)
	}
	if got := get("second-acct.localhost", "/crossdomain.xml", 200); got != policy {
		t.Errorf("crossdomain.xml: %s", got)
	}
	get("second-acct.localhost", "/ClientAccessPolicy.xml", 404)
	get("localhost", "/crossdomain.xml", 404)
	op, err := s.account.StopEndpoint(t.Context(), "second")
	if err != nil {
		t.Fatal(err)
	}
	s.wait(op)
	get("second-acct.localhost", "/crossdomain.xml", 503)
}

func TestAddresses(t *testing.T) {
	bits := 8
	for _, tt := range []struct {
		allow  []ams.IPRange
		remote string
		ok     bool
	}{
		{nil, "192.0.2.1:5", true},
		{[]ams.IPRange{{Address: "10.0.0.0", PrefixLength: &bits}}, "10.255.0.1:5", true},
		{[]ams.IPRange{{Address: "10.0.0.0", PrefixLength: &bits}}, "11.0.0.1:5", false},
		{[]ams.IPRange{{Address: "10.0.0.0", PrefixLength: &bits}}, "[::ffff:10.0.0.1]:5", true},
		{[]ams.IPRange{{Address: "10.0.0.1"}}, "10.0.0.2:5", false},
		{[]ams.IPRange{{Address: "0.0.0.0", PrefixLength: new(int)}}, "10.0.0.2:5", true},
		{[]ams.IPRange{{Address: "0.0.0.0", PrefixLength: new(int)}}, "[2001:db8::1]:5", false}, // IPv6 needs its own (documented)
		{[]ams.IPRange{{Address: "::", PrefixLength: new(int)}}, "[2001:db8::1]:5", true},
		{[]ams.IPRange{{Address: "10.0.0.1"}}, "nonsense", false},
		{[]ams.IPRange{{Address: "bad"}}, "10.0.0.1:5", false},
	} {
		e := newEndpoint(&ams.StreamingEndpoint{Settings: ams.EndpointSettings{Access: &ams.EndpointAccess{IP: &ams.IPAccess{Allow: tt.allow}}}})
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = tt.remote
		if err := e.admit(r, time.Now()); (err == nil) != tt.ok {
			t.Errorf("%v at %s: %v", tt.allow, tt.remote, err)
		}
	}
	// Through the whole handler, which the test asks from the loopback address.
	s := newStage(t, nil)
	s.set("default", ams.EndpointSettings{Access: &ams.EndpointAccess{IP: &ams.IPAccess{Allow: []ams.IPRange{{Address: "192.0.2.1"}}}}})
	s.refused("film_360.mp4", 403, string(AccessDenied), "address")
	s.refused("film.ism/manifest", 403, string(AccessDenied))
	s.set("default", ams.EndpointSettings{Access: &ams.EndpointAccess{IP: &ams.IPAccess{Allow: []ams.IPRange{{Address: netip.MustParseAddr("127.0.0.1").String()}}}}})
	s.get("film.ism/manifest")
}

// sign makes the headers that an edge server of Akamai would send.
func sign(r *http.Request, version, nonce string, key []byte, at time.Time) {
	algorithm := map[string]func() hash.Hash{"3": md5.New, "5": sha256.New}[version]
	data := fmt.Sprintf("%s, 192.0.2.7, 192.0.2.8, %d, 1234.5678, %s", version, at.Unix(), nonce)
	r.Header.Set("X-Akamai-G2O-Auth-Data", data)
	if algorithm == nil {
		algorithm = md5.New
	}
	mac := hmac.New(algorithm, key)
	mac.Write([]byte(data + r.URL.RequestURI()))
	r.Header.Set("X-Akamai-G2O-Auth-Sign", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

func TestAkamai(t *testing.T) {
	now, key := time.Unix(1_800_000_000, 0), []byte("a secret key")
	encoded := base64.StdEncoding.EncodeToString(key)
	keys := []ams.AkamaiKey{{Identifier: "current", Key: encoded, Expiration: now.Add(time.Hour)}, {Identifier: "ended", Key: encoded, Expiration: now}, {Identifier: "endless", Key: encoded}}
	for name, tt := range map[string]struct {
		ok   bool
		make func(r *http.Request)
	}{
		"none":          {false, func(*http.Request) {}},
		"HMAC-SHA256":   {true, func(r *http.Request) { sign(r, "5", "current", key, now) }},
		"HMAC-MD5":      {true, func(r *http.Request) { sign(r, "3", "endless", key, now.Add(-29*time.Second)) }},
		"no MAC":        {false, func(r *http.Request) { sign(r, "1", "current", key, now) }},
		"other key":     {false, func(r *http.Request) { sign(r, "5", "current", []byte("another key"), now) }},
		"other name":    {false, func(r *http.Request) { sign(r, "5", "unknown", key, now) }},
		"ended key":     {false, func(r *http.Request) { sign(r, "5", "ended", key, now) }},
		"too old":       {false, func(r *http.Request) { sign(r, "5", "current", key, now.Add(-time.Minute)) }},
		"in the future": {false, func(r *http.Request) { sign(r, "5", "current", key, now.Add(time.Minute)) }},
		"other path": {false, func(r *http.Request) {
			sign(r, "5", "current", key, now)
			r.URL.Path = "/other"
		}},
	} {
		r := httptest.NewRequest("GET", "/x/film.ism/manifest(format=m3u8-cmaf)?a=b", nil)
		tt.make(r)
		if got := signed(r, keys, now); got != tt.ok {
			t.Errorf("%s: %v, want %v", name, got, tt.ok)
		}
	}
	s := newStage(t, func(c *Config) { c.Now = func() time.Time { return now } })
	s.set("default", ams.EndpointSettings{Access: &ams.EndpointAccess{Akamai: &ams.AkamaiAccess{Keys: keys[:1]}}})
	s.refused("film.ism/manifest", 403, string(AccessDenied), "signature")
	if res, body := s.do("GET", s.at("film.ism/manifest"), func(r *http.Request) { sign(r, "5", "current", key, now) }); res.StatusCode != 200 {
		t.Errorf("signed: %s: %s", res.Status, body)
	}
}

func FuzzSigned(f *testing.F) {
	f.Add("5, 192.0.2.7, 192.0.2.8, 1800000000, 1234.5678, current", "c2ln")
	f.Add("3,,,,,", "")
	f.Add("5,1,1,9223372036854775807,1,current", "!")
	f.Fuzz(func(t *testing.T, data, sig string) {
		r := httptest.NewRequest("GET", "/x", nil)
		r.Header["X-Akamai-G2o-Auth-Data"], r.Header["X-Akamai-G2o-Auth-Sign"] = []string{data}, []string{sig}
		if signed(r, []ams.AkamaiKey{{Identifier: "current", Key: base64.StdEncoding.EncodeToString([]byte("nobody knows this"))}}, time.Unix(1_800_000_000, 0)) {
			t.Fatalf("%q %q is signed", data, sig)
		}
	})
}
