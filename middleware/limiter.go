package middleware

import (
	"container/list"
	"math"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// Rate is how often something may happen: on average PerSecond, and Burst
// times at once.
type Rate struct {
	PerSecond float64
	Burst     int
}

// A Limiter keeps a token bucket per key. It remembers a fixed number of keys;
// of more, those longest unused begin anew with a full bucket. A nil Limiter
// lets everything pass.
type Limiter struct {
	rate Rate
	keys int
	now  func() time.Time

	mu      sync.Mutex
	buckets map[string]*list.Element // of *bucket
	recent  list.List                // the most recently used first
}

type bucket struct {
	key    string
	tokens float64
	at     time.Time // when tokens was right
}

// NewLimiter returns a Limiter that remembers up to keys keys. now nil is
// time.Now. A rate of zero or less limits nothing.
func NewLimiter(r Rate, keys int, now func() time.Time) *Limiter {
	if r.PerSecond <= 0 {
		return nil
	}
	if now == nil {
		now = time.Now
	}
	r.Burst = max(r.Burst, 1)
	return &Limiter{rate: r, keys: max(keys, 1), now: now, buckets: make(map[string]*list.Element)}
}

// Take takes one token of key's bucket. If there is none, wait is how long
// until there will be.
func (l *Limiter) Take(key string) (wait time.Duration) {
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bucket(key)
	if b.tokens >= 1 {
		b.tokens--
		return 0
	}
	return time.Duration(math.Ceil((1 - b.tokens) / l.rate.PerSecond * float64(time.Second)))
}

// Return gives back a token that was taken for what turned out not to count.
func (l *Limiter) Return(key string) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bucket(key)
	b.tokens = min(b.tokens+1, float64(l.rate.Burst))
}

// bucket returns key's bucket, filled up to now.
func (l *Limiter) bucket(key string) *bucket {
	now := l.now()
	e := l.buckets[key]
	if e == nil {
		if l.recent.Len() >= l.keys {
			oldest := l.recent.Back()
			delete(l.buckets, l.recent.Remove(oldest).(*bucket).key)
		}
		e = l.recent.PushFront(&bucket{key: key, tokens: float64(l.rate.Burst), at: now})
		l.buckets[key] = e
	}
	l.recent.MoveToFront(e)
	b := e.Value.(*bucket)
	if passed := now.Sub(b.at).Seconds(); passed > 0 {
		b.tokens = min(b.tokens+passed*l.rate.PerSecond, float64(l.rate.Burst))
		b.at = now
	}
	return b
}

// Address returns what to call the client of r by where it is: its IP address,
// or of an IPv6 address the first 64 bits, for those are one customer's.
// Behind a trusted proxy it is the address that the proxy saw.
func Address(r *http.Request) string {
	addr := Remote(r)
	switch {
	case !addr.IsValid():
		return "unknown"
	case addr.Is6():
		p, _ := addr.Prefix(64) // an IPv6 address has 128 bits
		return p.String()
	}
	return addr.String()
}

// Remote returns the IP address of the client of r, behind a trusted proxy the
// one that the proxy saw. It is not valid when there is none.
func Remote(r *http.Request) netip.Addr {
	text := ""
	if req, ok := r.Context().Value(requestKey{}).(*request); ok {
		text = req.client
	}
	if text == "" {
		text = r.RemoteAddr
	}
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}
