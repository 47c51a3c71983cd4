package middleware

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// logged serves one request by h in c and returns the answer and the log.
func logged(h http.HandlerFunc, c Config, r *http.Request) (*httptest.ResponseRecorder, string) {
	var log bytes.Buffer
	c.Log = slog.New(slog.NewJSONHandler(&log, nil))
	w := httptest.NewRecorder()
	Wrap(h, c).ServeHTTP(w, r)
	return w, log.String()
}

func TestRequestIDs(t *testing.T) {
	var inside, correlation string
	h := func(w http.ResponseWriter, r *http.Request) {
		inside, correlation = RequestID(r.Context()), CorrelationID(r.Context())
	}
	for _, tt := range []struct {
		name, client, corr string
		echo               string
		keepCorr           bool
	}{
		{name: "none"},
		{name: "both", client: "my-id", corr: "corr-1", echo: "my-id", keepCorr: true},
		{name: "too long", client: strings.Repeat("x", 1025), corr: strings.Repeat("x", 129)},
		{name: "longest", client: strings.Repeat("x", 1024), echo: strings.Repeat("x", 1024)},
		{name: "unprintable", client: "a\tb", corr: "é"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("x-ms-client-request-id", tt.client)
			r.Header.Set("x-ms-correlation-request-id", tt.corr)
			w, _ := logged(h, Config{}, r)
			id := w.Header().Get("x-ms-request-id")
			if len(id) != 36 || id != inside {
				t.Errorf("request id %q, in the context %q", id, inside)
			}
			if got := w.Header().Get("x-ms-client-request-id"); got != tt.echo {
				t.Errorf("echo %.20q, want %.20q", got, tt.echo)
			}
			want := id
			if tt.keepCorr {
				want = tt.corr
			}
			if got := w.Header().Get("x-ms-correlation-request-id"); got != want || got != correlation {
				t.Errorf("correlation %q (context %q), want %q", got, correlation, want)
			}
		})
	}
}

func TestAccessLogHidesSecrets(t *testing.T) {
	r := httptest.NewRequest("PUT", "/store/asset-1/in%2F1.mp4?comp=block&SIG=hunter2%3D&sv=2020-10-02&t%6Fken=hunter2&x=1;sig=hunter2&%zz=hunter2", nil)
	w, log := logged(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, "hello")
	}, Config{Name: "blob"}, r)
	if strings.Contains(log, "hunter2") {
		t.Fatalf("a secret was logged: %s", log)
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(log), &line); err != nil {
		t.Fatalf("want one line: %v: %s", err, log)
	}
	if ms, ok := line["ms"].(float64); !ok || ms < 0 || ms > 60_000 {
		t.Errorf("ms = %v, want milliseconds", line["ms"])
	}
	for k, want := range map[string]any{
		"listener": "blob", "method": "PUT", "status": 201.0, "bytes": 5.0,
		"request_id": w.Header().Get("x-ms-request-id"),
		"url":        "/store/asset-1/in%2F1.mp4?comp=block&SIG=REDACTED&sv=2020-10-02&t%6Fken=REDACTED&x=REDACTED&REDACTED",
	} {
		if line[k] != want {
			t.Errorf("%s = %v, want %v", k, line[k], want)
		}
	}
}

func TestQuiet(t *testing.T) {
	c := Config{Quiet: func(r *http.Request) bool { return r.URL.Path == "/livez" }}
	none := func(http.ResponseWriter, *http.Request) {}
	if _, log := logged(none, c, httptest.NewRequest("GET", "/livez", nil)); log != "" {
		t.Errorf("logged %s", log)
	}
	if _, log := logged(none, c, httptest.NewRequest("GET", "/", nil)); log == "" {
		t.Error("nothing logged")
	}
}

func TestPanic(t *testing.T) {
	w, log := logged(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "3")
		panic("boom")
	}, Config{}, httptest.NewRequest("GET", "/", nil))
	if w.Code != 500 || !strings.Contains(w.Body.String(), w.Header().Get("x-ms-request-id")) || w.Header().Get("Content-Length") != "" {
		t.Errorf("answer %d %s %v", w.Code, w.Body, w.Header())
	}
	if !strings.Contains(log, "boom") || !strings.Contains(log, "TestPanic") {
		t.Errorf("the log lacks the panic or its stack: %s", log)
	}
	if strings.Contains(w.Body.String(), "boom") {
		t.Errorf("the client sees the panic: %s", w.Body)
	}
}

// A client must not take a broken answer for a whole one.
func TestPanicMidway(t *testing.T) {
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	for _, p := range []any{"boom", http.ErrAbortHandler} {
		srv := httptest.NewServer(Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "half")
			w.(http.Flusher).Flush()
			panic(p)
		}), Config{Log: quiet}))
		res, err := http.Get(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(res.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%v: reading gave %v, want an unexpected EOF", p, err)
		}
		res.Body.Close()
		srv.Close()
	}
}

func TestMaxBody(t *testing.T) {
	for body, ok := range map[string]bool{"12345": true, "123456": false} {
		logged(func(w http.ResponseWriter, r *http.Request) {
			_, err := io.ReadAll(r.Body)
			var tooLarge *http.MaxBytesError
			if (err == nil) != ok || errors.As(err, &tooLarge) == ok {
				t.Errorf("%q: %v, want ok %v", body, err, ok)
			}
		}, Config{MaxBody: 5}, httptest.NewRequest("PUT", "/", strings.NewReader(body)))
	}
}

// A client can make the server hold neither huge headers nor many.
func TestLargeHeaders(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), Config{Log: slog.New(slog.DiscardHandler)})
	defer s.Close()
	go s.Serve(l)
	for name, tt := range map[string]struct {
		headers string
		want    int
	}{
		"metadata as large as it may be": {"x-ms-meta-a: " + strings.Repeat("x", 8<<10) + "\r\n", 200},
		"one":                            {"x-ms-meta-a: " + strings.Repeat("x", 200<<10) + "\r\n", 431},
		"many":                           {strings.Repeat("x-ms-meta-a: x\r\n", 20_000), 431},
	} {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		go io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n"+tt.headers+"\r\n")
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || r.StatusCode != tt.want {
			t.Errorf("%s: %v, %v, want %d", name, r, err, tt.want)
		}
		c.Close()
	}
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	m, err := NewMetrics(reg)
	if err != nil {
		t.Fatal(err)
	}
	h := func(w http.ResponseWriter, r *http.Request) {
		if n := testutil.ToFloat64(m.inFlight.WithLabelValues("api")); n != 1 {
			t.Errorf("in flight %v, want 1", n)
		}
		w.WriteHeader(404)
		io.WriteString(w, "gone")
	}
	for _, method := range []string{"GET", "GET", "BREW"} {
		logged(h, Config{Name: "api", Metrics: m}, httptest.NewRequest(method, "/", nil))
	}
	for _, tt := range []struct {
		got, want float64
	}{
		{testutil.ToFloat64(m.requests.WithLabelValues("api", "GET", "4xx")), 2},
		{testutil.ToFloat64(m.requests.WithLabelValues("api", "other", "4xx")), 1},
		{testutil.ToFloat64(m.bytes.WithLabelValues("api")), 12},
		{testutil.ToFloat64(m.inFlight.WithLabelValues("api")), 0},
	} {
		if tt.got != tt.want {
			t.Errorf("got %v, want %v", tt.got, tt.want)
		}
	}
}

// watchedConn notes the readers that the server hands to the connection whole.
// net.TCPConn sends an *os.File, or a LimitedReader of one, by sendfile.
type watchedConn struct {
	*net.TCPConn
	seen *seen
}

type seen struct {
	sync.Mutex
	file  bool
	bytes int64
}

func (c watchedConn) ReadFrom(r io.Reader) (int64, error) {
	n, err := c.TCPConn.ReadFrom(r)
	inner := r
	if lr, ok := r.(*io.LimitedReader); ok {
		inner = lr.R
	}
	_, file := inner.(interface{ Fd() uintptr })
	c.seen.Lock()
	c.seen.file = c.seen.file || file
	c.seen.bytes += n
	c.seen.Unlock()
	return n, err
}

type watchedListener struct {
	net.Listener
	seen *seen
}

func (l watchedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return watchedConn{c.(*net.TCPConn), l.seen}, nil
}

func TestFileReachesConnection(t *testing.T) {
	const size = 1 << 20
	name := filepath.Join(t.TempDir(), "segment")
	if err := os.WriteFile(name, bytes.Repeat([]byte("0123456789abcdef"), size/16), 0o600); err != nil {
		t.Fatal(err)
	}
	copies := map[string]func(w io.Writer, f *os.File) (int64, error){
		"whole": func(w io.Writer, f *os.File) (int64, error) { return io.Copy(w, f) },
		"range": func(w io.Writer, f *os.File) (int64, error) { return io.CopyN(w, f, size) },
	}
	for label, copyTo := range copies {
		t.Run(label, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			s := &seen{}
			srv := NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				f, err := os.Open(name)
				if err != nil {
					t.Error(err)
					return
				}
				defer f.Close()
				w.Header().Set("Content-Type", "video/mp4")
				w.Header().Set("Content-Length", "1048580")
				io.WriteString(w, "head")
				if n, err := copyTo(w, f); n != size || err != nil {
					t.Errorf("copied %d, %v", n, err)
				}
			}), Config{Log: slog.New(slog.NewJSONHandler(&log, nil))})
			go srv.Serve(watchedListener{ln, s})
			res, err := http.Get("http://" + ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if n != size+4 || err != nil {
				t.Errorf("received %d, %v", n, err)
			}
			if err := srv.Shutdown(context.Background()); err != nil {
				t.Fatal(err)
			}
			s.Lock()
			defer s.Unlock()
			if !s.file || s.bytes < size-4096 {
				t.Errorf("the connection got a file: %v, %d bytes by ReadFrom", s.file, s.bytes)
			}
			if !strings.Contains(log.String(), `"bytes":1048580`) {
				t.Errorf("log: %s", log.String())
			}
		})
	}
}

func TestHijackAndController(t *testing.T) {
	srv := httptest.NewServer(Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		if err := rc.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Errorf("deadline: %v", err)
		}
		c, _, err := rc.Hijack()
		if err != nil {
			t.Errorf("hijack: %v", err)
			return
		}
		io.WriteString(c, "HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\n\r\n")
		c.Close()
	}), Config{Log: slog.New(slog.NewTextHandler(io.Discard, nil))}))
	defer srv.Close()
	res, err := http.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusTeapot {
		t.Errorf("status %d", res.StatusCode)
	}
}

func TestOrigin(t *testing.T) {
	for _, tt := range []struct {
		host, proto, fhost string
		trust              bool
		want               string
	}{
		{host: "LocalHost:8443", want: "http://localhost:8443"},
		{host: "[::1]:8443", want: "http://[::1]:8443"},
		{host: `evil"><script>`, want: "http://localhost"},
		{host: "a/b", want: "http://localhost"},
		{host: "user@host", want: "http://localhost"},
		{host: "in:8080", proto: "https", fhost: "ams.example.com", want: "http://in:8080"},
		{host: "in:8080", proto: "https", fhost: "ams.example.com, in", trust: true, want: "https://ams.example.com"},
		{host: "in:8080", proto: "gopher", fhost: "a b", trust: true, want: "http://in:8080"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = tt.host
		r.Header.Set("X-Forwarded-Proto", tt.proto)
		r.Header.Set("X-Forwarded-Host", tt.fhost)
		var got string
		logged(func(w http.ResponseWriter, r *http.Request) { got = Origin(r) }, Config{TrustForwarded: tt.trust}, r)
		if got != tt.want {
			t.Errorf("%+v: %s", tt, got)
		}
	}
}

func FuzzRedactURL(f *testing.F) {
	f.Add("sv=1&sig=SECRET")
	f.Add("%73ig=SECRET&a;sig=SECRET")
	f.Fuzz(func(t *testing.T, q string) {
		u := &url.URL{Path: "/", RawQuery: q}
		got := RedactURL(u)
		for name, values := range u.Query() {
			for _, v := range values {
				if secret(name) && len(v) > 8 && strings.Contains(got, v) && strings.Count(q, v) == 1 {
					t.Fatalf("%q shows %q: %s", q, v, got)
				}
			}
		}
		if len(got) > 8*maxLogged {
			t.Fatalf("%d bytes", len(got))
		}
	})
}

// A client that takes nothing of a large answer does not keep it in memory for
// ever; one that pauses between its requests loses nothing.
func TestPatience(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/small" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		var err error
		for piece := make([]byte, 1<<20); err == nil; {
			_, err = w.Write(piece)
		}
		ended <- err
	})
	srv := httptest.NewUnstartedServer(nil)
	srv.Config = NewServer(h, Config{Name: "t", Log: slog.New(slog.DiscardHandler), Patience: 2 * time.Second})
	srv.Start()
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ask := func(path string) {
		t.Helper()
		if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path); err != nil {
			t.Fatal(err)
		}
	}
	in := bufio.NewReader(conn)
	for pause := range 2 {
		time.Sleep(time.Duration(pause) * 2100 * time.Millisecond) // longer than the patience with one piece
		ask("/small")
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.StatusCode != http.StatusNoContent {
			t.Fatal(resp, err)
		}
	}
	ask("/large")
	if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
}
