package arm

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/openams/openams/identity"
	"github.com/openams/openams/middleware"
)

// limited refuses whoever asks.
type limited struct{}

func (limited) Check(context.Context, identity.Audience, string) (*identity.Principal, error) {
	return nil, &identity.RateError{After: 1200 * time.Millisecond}
}

func TestTooManyRequests(t *testing.T) {
	none := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { t.Error("passed on") })
	rec := do(Authenticate(limited{}, tenant, none), "GET", base+v, "x", "")
	const body = `{"error":{"code":"TooManyRequests","message":"The caller sends too many requests. Please retry after the time of the header 'Retry-After'."}}`
	if rec.Code != 429 || rec.Header().Get("Retry-After") != "2" || rec.Body.String() != body || rec.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("%d %v %s", rec.Code, rec.Header(), rec.Body)
	}
}

func TestLimitAddresses(t *testing.T) {
	served := 0
	h := LimitAddresses(middleware.Rate{PerSecond: 0.1, Burst: 2}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served++ }))
	ask := func(h http.Handler, remote string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = remote
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		return rec
	}
	for _, remote := range []string{"192.0.2.1:1", "192.0.2.1:2", "192.0.2.2:1"} {
		if rec := ask(h, remote); rec.Code != 200 {
			t.Errorf("%s: %d", remote, rec.Code)
		}
	}
	rec := ask(h, "192.0.2.1:3")
	if rec.Code != 429 || served != 3 || !strings.Contains(rec.Body.String(), `"TooManyRequests"`) {
		t.Errorf("%d %s, %d served", rec.Code, rec.Body, served)
	}
	if after := rec.Header().Get("Retry-After"); after != "10" {
		t.Errorf("Retry-After %q", after)
	}
	// What one client does in a burst by default: thousands of requests.
	for _, rate := range []middleware.Rate{{}, {PerSecond: -1}} {
		h := LimitAddresses(rate, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		for i := range 15_000 {
			if rec := ask(h, "192.0.2.1:1"); rec.Code != 200 {
				t.Fatalf("%+v: request %d: %d", rate, i, rec.Code)
			}
		}
	}
}
