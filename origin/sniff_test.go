package origin

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// testTLS makes a certificate for 127.0.0.1 and a client that trusts it.
func testTLS(t testing.TB) (server *tls.Config, client *http.Client) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &http.Client{Transport: tr}
}

func TestDualListener(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config, client := testTLS(t)
	dual := NewDualListener(l, config)
	name := filepath.Join(t.TempDir(), "big")
	want := strings.Repeat("0123456789abcdef", 1<<16)
	if err := os.WriteFile(name, []byte(want), 0o600); err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/file" {
			http.ServeFile(w, r, name)
			return
		}
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s tls=%t %s", r.Proto, r.TLS != nil, body)
	})}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(dual) }()
	addr := l.Addr().String()
	long := strings.Repeat("body", 5000) // more than is sniffed
	for _, tt := range []struct{ scheme, want string }{
		{"http", "HTTP/1.1 tls=false "},
		{"https", "HTTP/2.0 tls=true "},
	} {
		for _, body := range []string{"", "x", long} {
			res, err := client.Post(tt.scheme+"://"+addr+"/", "text/plain", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil || string(got) != tt.want+body {
				t.Errorf("%s: %.60q, %v", tt.scheme, got, err)
			}
		}
		res, err := client.Get(tt.scheme + "://" + addr + "/file")
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || string(got) != want {
			t.Errorf("%s: file of %d bytes, %v", tt.scheme, len(got), err)
		}
	}

	// A client that never says what it is does not keep others from being
	// served, and goes with the listener.
	silent, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	if res, err := client.Get("http://" + addr + "/"); err != nil {
		t.Error(err)
	} else {
		res.Body.Close()
	}
	srv.Close()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve: %v", err)
	}
	silent.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := silent.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
		t.Errorf("the silent connection is still open: %v", err)
	}
	if _, err := dual.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v", err)
	}
}

// A request in pieces, its first byte alone, is put together again.
func TestDualListenerSlowly(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dual := NewDualListener(l, new(tls.Config))
	defer dual.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	io.WriteString(client, "G")
	conn, err := dual.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, ok := conn.(io.ReaderFrom); !ok {
		t.Error("a plain connection has lost ReadFrom, hence sendfile")
	}
	io.WriteString(client, "ET /\n")
	if line, err := bufio.NewReader(conn).ReadString('\n'); line != "GET /\n" {
		t.Errorf("read %q, %v", line, err)
	}
}

// A player gets the same over TLS and HTTP/2 as in the clear.
func TestStreamingOverTLS(t *testing.T) {
	s := newStage(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config, client := testTLS(t)
	srv := &http.Server{Handler: s.handler}
	defer srv.Close()
	go srv.Serve(NewDualListener(l, config))
	for _, path := range append([]string{"film.ism/manifest", "film_360.mp4"}, segments...) {
		res, err := client.Get("https://" + l.Addr().String() + "/" + s.locator + "/" + path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		res.Body.Close()
		if want := s.get(path); err != nil || res.ProtoMajor != 2 || !bytes.Equal(got, want) {
			t.Errorf("%s: %s, %d bytes, want %d, %v", path, res.Proto, len(got), len(want), err)
		}
	}
}
