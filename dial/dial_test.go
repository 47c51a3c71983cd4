package dial

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestPublic(t *testing.T) {
	for addr, want := range map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "172.32.0.1": true, "11.0.0.1": true, "2606:4700::1111": true, "2a00:1450::1": true,
		"::ffff:8.8.8.8": true, "64:ff9b::8.8.8.8": true,

		"127.0.0.1": false, "127.255.0.1": false, "0.0.0.0": false, "0.1.2.3": false, "10.0.0.1": false, "172.16.0.1": false,
		"172.31.255.255": false, "192.168.1.1": false, "169.254.169.254": false, "100.64.0.1": false, "100.100.100.200": false,
		"168.63.129.16": false, "192.0.0.192": false, "198.18.0.1": false, "203.0.113.5": false, "224.0.0.1": false,
		"239.255.255.255": false, "240.0.0.1": false, "255.255.255.255": false,

		"::": false, "::1": false, "::127.0.0.1": false, "::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false,
		"fe80::1": false, "fe80::1%eth0": false, "fec0::1": false, "fc00::1": false, "fd00:ec2::254": false, "ff02::1": false,
		"64:ff9b::127.0.0.1": false, "64:ff9b::a9fe:a9fe": false, "64:ff9b:1::1": false, "2002:7f00:1::": false, "2001::1": false,
		"2001:db8::1": false, "100::1": false, "5f00::1": false,
	} {
		if got := public(netip.MustParseAddr(addr)); got != want {
			t.Errorf("public(%s) = %v", addr, got)
		}
	}
}

// source is a TLS server on the loopback interface.
func source(t *testing.T, h http.HandlerFunc) (*httptest.Server, *x509.CertPool) {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that the client ends
	srv.StartTLS()
	t.Cleanup(srv.Close)
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate())
	return srv, pool
}

func loopback() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }

func TestGuard(t *testing.T) {
	srv, pool := source(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "inside") })
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	byName := "https://localhost:" + u.Port()
	for _, tt := range []struct {
		name, url string
		c         Config
		refused   bool
	}{
		{"an address", srv.URL, Config{}, true},
		// Only the check at connect time knows where a name leads.
		{"a name", byName, Config{}, true},
		{"mapped", "https://[::ffff:127.0.0.1]:" + u.Port(), Config{}, true},
		{"another network", srv.URL, Config{AllowNets: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, true},
		{"its network", srv.URL, Config{AllowNets: loopback()}, false},
		{"its host", srv.URL, Config{AllowHosts: []string{"127.0.0.1"}}, false},
		{"its port", srv.URL, Config{AllowHosts: []string{u.Host}}, false},
		{"another port", srv.URL, Config{AllowHosts: []string{"127.0.0.1:1"}}, true},
		{"another host", byName, Config{AllowHosts: []string{"127.0.0.1"}}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.c.RootCAs = pool
			var got bytes.Buffer
			_, err := New(tt.c).Download(t.Context(), tt.url+"/?sig=hush", &got)
			if tt.refused != errors.Is(err, ErrRefused) || !tt.refused && (err != nil || got.String() != "inside") {
				t.Errorf("%q, %v", &got, err)
			}
			if err != nil && (strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "127.0.0.1")) {
				t.Errorf("the error tells too much: %v", err)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	for raw, ok := range map[string]bool{
		"https://example.com/a.mp4?sig=x": true, "https://8.8.8.8/a": true, "HTTPS://EXAMPLE.COM": true,
		"http://example.com/a": false, "ftp://example.com/": false, "file:///etc/passwd": false, "example.com": false, "": false,
		"https://": false, "https:///x": false, "https://:443/": false, "https://user@example.com/": false,
		"https://127.0.0.1/": false, "https://[::1]/": false, "https://[fe80::1%25eth0]/": false, "https://169.254.169.254/latest": false,
		"https://%zz": false, "https://example.com/" + strings.Repeat("a", maxURL): false,
	} {
		if err := New(Config{}).Check(raw); (err == nil) != ok || err != nil && !errors.Is(err, ErrRefused) {
			t.Errorf("%.60s: %v", raw, err)
		}
	}
	if err := New(Config{AllowHTTP: true}).Check("http://example.com/"); err != nil {
		t.Error(err)
	}
}

func TestRedirects(t *testing.T) {
	plainServer := httptest.NewServer(http.NotFoundHandler())
	defer plainServer.Close()
	srv, pool := source(t, func(w http.ResponseWriter, r *http.Request) {
		if ref := r.Header.Get("Referer"); ref != "" {
			t.Errorf("referer %s", ref)
		}
		switch r.URL.Path {
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/once":
			http.Redirect(w, r, "/end", http.StatusFound)
		case "/http":
			http.Redirect(w, r, plainServer.URL, http.StatusFound)
		case "/metadata":
			http.Redirect(w, r, "https://169.254.169.254/latest", http.StatusFound)
		case "/name":
			http.Redirect(w, r, "https://localhost"+strings.TrimPrefix(r.Host, "127.0.0.1")+"/end", http.StatusFound)
		case "/missing":
			http.NotFound(w, r)
		default:
			io.WriteString(w, "end")
		}
	})
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	// The host is allowed by its name, so a redirect to another name of the
	// same machine is not.
	c := New(Config{AllowHosts: []string{u.Host}, RootCAs: pool})
	for path, refused := range map[string]bool{"/once": false, "/loop": true, "/http": true, "/metadata": true, "/name": true} {
		_, err := c.Download(t.Context(), srv.URL+path+"?sig=hush", io.Discard)
		if errors.Is(err, ErrRefused) != refused || !refused && err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	_, err = c.Download(t.Context(), srv.URL+"/missing", io.Discard)
	if se, ok := errors.AsType[*StatusError](err); !ok || se.Code != 404 {
		t.Errorf("%v", err)
	}
}

func TestLimits(t *testing.T) {
	hold := make(chan struct{})
	srv, pool := source(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/declared":
			w.Header().Set("Content-Length", "11")
			io.WriteString(w, "01234567890")
		case "/chunked":
			for range 11 {
				io.WriteString(w, "x")
				w.(http.Flusher).Flush()
			}
		case "/fits":
			io.WriteString(w, "0123456789")
		case "/short":
			w.Header().Set("Content-Length", "9")
			io.WriteString(w, "01234")
		case "/stalls":
			io.WriteString(w, "01234")
			w.(http.Flusher).Flush()
			<-hold
		}
	})
	defer close(hold)
	c := New(Config{AllowNets: loopback(), RootCAs: pool, MaxBytes: 10})
	impatient := New(Config{AllowNets: loopback(), RootCAs: pool, IdleTimeout: time.Millisecond})
	for path, want := range map[string]error{
		"/declared": ErrTooLarge, "/chunked": ErrTooLarge, "/fits": nil, "/short": io.ErrUnexpectedEOF, "/stalls": ErrStalled,
	} {
		var got bytes.Buffer
		client := c
		if want == ErrStalled {
			client = impatient
		}
		_, err := client.Download(t.Context(), srv.URL+path, &got)
		if !errors.Is(err, want) || got.Len() > 10 {
			t.Errorf("%s: %v, %d bytes", path, err, got.Len())
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Get(ctx, srv.URL+"/fits"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestUntrusted(t *testing.T) {
	srv, _ := source(t, func(http.ResponseWriter, *http.Request) {})
	_, err := New(Config{AllowNets: loopback(), RootCAs: x509.NewCertPool()}).Get(t.Context(), srv.URL+"?sig=hush")
	if err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("%v", err)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("https://127.1/")
	f.Add("https://[::ffff:7f00:1]/")
	f.Add("https://0x7f000001/")
	c := New(Config{})
	f.Fuzz(func(t *testing.T, raw string) {
		if c.Check(raw) != nil {
			return
		}
		u, err := url.Parse(raw)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
			t.Fatalf("%q is taken", raw)
		}
		if ip, err := netip.ParseAddr(u.Hostname()); err == nil && (ip.IsLoopback() || ip.IsPrivate()) {
			t.Fatal(fmt.Sprint(raw, " is taken"))
		}
	})
}
