package origin

import (
	"container/list"
	"sync"
)

// A cache keeps values up to a total weight, dropping those unused for
// longest. A value being made is made once, however many wait for it.
type cache[K comparable, V any] struct {
	max int64

	mu     sync.Mutex
	weight int64
	slots  map[K]*slot[K, V]
	order  list.List // of *slot, most recently used first; only finished ones
}

type slot[K comparable, V any] struct {
	key    K
	ready  chan struct{}
	value  V
	err    error
	weight int64
	place  *list.Element // nil: being made, or dropped
}

func newCache[K comparable, V any](max int64) *cache[K, V] {
	return &cache[K, V]{max: max, slots: map[K]*slot[K, V]{}}
}

// get returns the value of k, made by build if it is not there. build also
// returns its weight. An error is passed to all who wait for it, and not kept.
func (c *cache[K, V]) get(k K, build func() (V, int64, error)) (V, error) {
	c.mu.Lock()
	s := c.slots[k]
	if s != nil {
		if s.place != nil {
			c.order.MoveToFront(s.place)
		}
		c.mu.Unlock()
		<-s.ready
		return s.value, s.err
	}
	s = &slot[K, V]{key: k, ready: make(chan struct{})}
	c.slots[k] = s
	c.mu.Unlock()

	defer close(s.ready)
	finished := false
	defer func() {
		if !finished { // build panicked: let the next one try
			s.err = errorf(StorageFailure, "the server failed")
			c.forget(s)
		}
	}()
	s.value, s.weight, s.err = build()
	finished = true
	if s.err != nil {
		c.forget(s)
		return s.value, s.err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.slots[k] != s {
		return s.value, nil // dropped while it was made
	}
	s.place = c.order.PushFront(s)
	c.weight += s.weight
	// The newest stays even if it alone is too heavy: it is in use.
	for c.weight > c.max && c.order.Len() > 1 {
		c.remove(c.order.Back().Value.(*slot[K, V]))
	}
	return s.value, nil
}

// peek returns the value of k if it is there, and waits for nobody who makes it.
func (c *cache[K, V]) peek(k K) (v V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.slots[k]
	if s == nil || s.place == nil {
		return v, false
	}
	c.order.MoveToFront(s.place)
	return s.value, true
}

// drop forgets k if its value is still v, as same says.
func (c *cache[K, V]) drop(k K, same func(V) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.slots[k]; s != nil && s.place != nil && same(s.value) {
		c.remove(s)
	}
}

func (c *cache[K, V]) forget(s *slot[K, V]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.slots[s.key] == s {
		delete(c.slots, s.key)
	}
}

func (c *cache[K, V]) remove(s *slot[K, V]) {
	delete(c.slots, s.key)
	c.order.Remove(s.place)
	s.place = nil
	c.weight -= s.weight
}
