package middleware

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestLimiter(t *testing.T) {
	now := time.Unix(0, 0)
	l := NewLimiter(Rate{PerSecond: 2, Burst: 3}, 2, func() time.Time { return now })
	take := func(key string, want time.Duration) {
		t.Helper()
		if got := l.Take(key); got != want {
			t.Errorf("Take(%s) = %v, want %v", key, got, want)
		}
	}
	for range 3 {
		take("a", 0)
	}
	take("a", 500*time.Millisecond)
	take("b", 0) // another's bucket
	now = now.Add(250 * time.Millisecond)
	take("a", 250*time.Millisecond)
	now = now.Add(250 * time.Millisecond)
	take("a", 0)
	take("a", 500*time.Millisecond)
	l.Return("a")
	take("a", 0)
	now = now.Add(time.Hour)
	l.Return("a") // does not overflow
	for range 3 {
		take("a", 0)
	}
	take("a", 500*time.Millisecond)
	now = now.Add(-time.Minute) // a clock that is set back takes nothing away
	take("a", 500*time.Millisecond)

	take("c", 0) // a third key: b, longest unused, is forgotten, not a
	take("a", 500*time.Millisecond)
	for i := range 1000 {
		l.Take(fmt.Sprint(i))
	}
	if len(l.buckets) != 2 || l.recent.Len() != 2 {
		t.Errorf("%d keys are remembered", len(l.buckets))
	}

	var none *Limiter
	if none = NewLimiter(Rate{}, 1, nil); none.Take("x") != 0 {
		t.Error("no rate limits something")
	}
	none.Return("x")
}

func TestLimiterTogether(t *testing.T) {
	l := NewLimiter(Rate{PerSecond: 1e-9, Burst: 50}, 10, nil)
	var passed atomic.Int32
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if l.Take("a") == 0 {
				passed.Add(1)
			}
		})
	}
	wg.Wait()
	if passed.Load() != 50 {
		t.Errorf("%d passed", passed.Load())
	}
}

func TestAddress(t *testing.T) {
	for _, tt := range []struct {
		remote, forwarded string
		trust             bool
		want              string
	}{
		{"192.0.2.1:1234", "", false, "192.0.2.1"},
		{"[::ffff:192.0.2.1]:1234", "", false, "192.0.2.1"},
		{"[2001:db8:1:2:3::4]:1", "", false, "2001:db8:1:2::/64"},
		{"[fe80::1%eth0]:1", "", false, "fe80::/64"},
		{"@", "", false, "unknown"}, // a Unix socket
		{"192.0.2.1:1", "198.51.100.7", false, "192.0.2.1"},
		{"192.0.2.1:1", "6.6.6.6, 198.51.100.7", true, "198.51.100.7"},
		{"192.0.2.1:1", "198.51.100.7:55", true, "198.51.100.7"},
		{"192.0.2.1:1", "<script>", true, "unknown"},
		{"192.0.2.1:1", "", true, "192.0.2.1"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = tt.remote
		if tt.forwarded != "" {
			r.Header.Set("X-Forwarded-For", tt.forwarded)
		}
		var got string
		h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = Address(r) })
		Wrap(h, Config{TrustForwarded: tt.trust, Log: slog.New(slog.DiscardHandler)}).ServeHTTP(httptest.NewRecorder(), r)
		if got != tt.want {
			t.Errorf("%+v: %s", tt, got)
		}
	}
}
