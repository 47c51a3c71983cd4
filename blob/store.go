package blob

import (
	"context"
	"errors"
	"fmt"
	"hash/crc64"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/openams/openams/ams"
)

// Options are what a Store may be told; the zero value serves.
type Options struct {
	Log       *slog.Logger
	Now       func() time.Time
	BlockLife time.Duration // how long a staged block waits for its commit; 0: 7 days
	Room      Room          // nil: a full disk may refuse deletions too
}

// Room is space held back for deletions from a full disk.
type Room interface {
	// Keep holds it back, again if need be.
	Keep() error
	// Release gives it up, and reports whether there was any.
	Release() bool
}

// A Store keeps the containers and blobs of every storage account.
type Store struct {
	records Records
	driver  Driver
	log     *slog.Logger
	now     func() time.Time
	life    time.Duration
	crc     *crc64.Table
	ticks   atomic.Int64  // the last ETag given
	joins   chan struct{} // a blob was committed in pieces

	mu       sync.Mutex
	pins     map[string]int      // how many readers use a file
	doomed   map[string]bool     // pinned files to remove when the last pin goes
	removals uint64              // counts calls that removed something
	copies   map[string]*copying // that run, by id
	watchers []*func(account, container, name string)

	makingRoom sync.Mutex
	room       Room
}

// New makes a Store over records and the driver's files.
func New(records Records, driver Driver, o Options) *Store {
	s := &Store{
		records: records,
		driver:  driver,
		log:     o.Log,
		now:     o.Now,
		life:    o.BlockLife,
		room:    o.Room,
		crc:     NewCRC(),
		joins:   make(chan struct{}, 1),
		pins:    make(map[string]int),
		doomed:  make(map[string]bool),
		copies:  make(map[string]*copying),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.life == 0 {
		s.life = 7 * 24 * time.Hour // documented: Put Block
	}
	return s
}

// stamp returns the time of a change and an ETag that no other change has:
// Azure's are the time in .NET ticks.
func (s *Store) stamp() (time.Time, string) {
	now := s.now().UTC()
	for {
		last := s.ticks.Load()
		tick := max(now.UnixNano()/100+epoch, last+1)
		if s.ticks.CompareAndSwap(last, tick) {
			return now, fmt.Sprintf("0x%X", tick)
		}
	}
}

// Watch calls f with each blob that gets new bytes in this process, once they
// can be read. f must return soon: the writer waits for it. The result ends
// the watch.
func (s *Store) Watch(f func(account, container, name string)) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers = append(s.watchers, &f)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.watchers = slices.DeleteFunc(slices.Clone(s.watchers), func(g *func(string, string, string)) bool { return g == &f })
	}
}

func (s *Store) tell(account, container, name string) {
	s.mu.Lock()
	watchers := s.watchers
	s.mu.Unlock()
	for _, f := range watchers {
		(*f)(account, container, name)
	}
}

// pin keeps files from being removed until unpin. It reports false, and pins
// nothing, if any file was removed since seen: the caller's record may be old.
func (s *Store) pin(files []ams.Extent, seen uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.removals != seen {
		return false
	}
	for _, x := range files {
		s.pins[x.File]++
	}
	return true
}

func (s *Store) seen() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.removals
}

func (s *Store) unpin(ctx context.Context, files []ams.Extent) {
	var free []string
	s.mu.Lock()
	for _, x := range files {
		if s.pins[x.File]--; s.pins[x.File] > 0 {
			continue
		}
		delete(s.pins, x.File)
		if s.doomed[x.File] {
			delete(s.doomed, x.File)
			free = append(free, x.File)
		}
	}
	s.mu.Unlock()
	s.unlink(ctx, free)
}

// discard removes files that no record names any more; pinned ones later.
func (s *Store) discard(ctx context.Context, files []string) {
	if len(files) == 0 {
		return
	}
	var free []string
	s.mu.Lock()
	s.removals++
	for _, f := range files {
		if s.pins[f] > 0 {
			s.doomed[f] = true
		} else {
			free = append(free, f)
		}
	}
	s.mu.Unlock()
	s.unlink(ctx, free)
}

// unlink removes files. A failure only wastes space until the next Recover.
func (s *Store) unlink(ctx context.Context, files []string) {
	for _, f := range files {
		if err := s.driver.Remove(context.WithoutCancel(ctx), f); err != nil {
			s.log.Warn("blob: a file that nothing names stays until the next start", "file", f, "err", err)
		}
	}
}

// unnamed lists the files of old that the extents of now do not use.
func unnamed(old, now []ams.Extent) []string {
	kept := make(map[string]bool, len(now))
	for _, x := range now {
		kept[x.File] = true
	}
	var files []string
	for _, x := range old {
		if !kept[x.File] {
			kept[x.File] = true // once is enough
			files = append(files, x.File)
		}
	}
	return files
}

// ValidateName reports whether name may name a blob
// (documented: 1 to 1,024 characters, which Azure counts as UTF-16 units).
func ValidateName(name string) error {
	switch {
	case name == "":
		return ams.Errorf(ams.Invalid, "The blob name is empty.")
	case !utf8.ValidString(name):
		return ams.Errorf(ams.Invalid, "The blob name is not valid UTF-8.")
	case len(name) > 1024 && utf16Len(name) > 1024:
		return ams.Errorf(ams.Invalid, "The blob name is longer than 1024 characters.")
	}
	return nil
}

func utf16Len(s string) (n int) {
	for _, r := range s {
		n += utf16.RuneLen(r)
	}
	return n
}

// Freeing runs what frees space. Should there be no room for its record, it
// gets what was held back.
func (s *Store) Freeing(f func() error) error {
	err := f()
	if s.room == nil || !errors.Is(err, ams.ErrStorageFull) {
		return err
	}
	s.makingRoom.Lock()
	defer s.makingRoom.Unlock()
	if s.room.Release() {
		err = f()
		s.keepRoom() // of what is free now
	}
	return err
}

// hold is keepRoom for the background.
func (s *Store) hold() {
	s.makingRoom.Lock()
	defer s.makingRoom.Unlock()
	s.keepRoom()
}

func (s *Store) keepRoom() {
	if s.room == nil {
		return
	}
	if err := s.room.Keep(); err != nil {
		s.log.Warn("blob: there is no room to hold back for deletions", "err", err)
	}
}
