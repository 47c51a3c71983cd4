package origin

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
)

// A deleted locator and a stopped endpoint serve nothing from the next request
// on, cached or not.
func TestEndsAtOnce(t *testing.T) {
	s := newStage(t, nil)
	paths := append([]string{"film.ism/manifest(format=m3u8-cmaf)", "film_180.mp4"}, segments[1])
	warm := func() {
		for _, p := range paths {
			s.get(p)
		}
	}
	warm()
	op, err := s.account.StopEndpoint(t.Context(), ams.DefaultEndpoint)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		s.refused(p, 503, "StreamingEndpointStopped", "not running")
	}
	s.wait(op)
	for _, p := range paths {
		s.refused(p, 503, "StreamingEndpointStopped", "not running")
	}
	if op, err = s.account.StartEndpoint(t.Context(), ams.DefaultEndpoint); err != nil {
		t.Fatal(err)
	}
	s.wait(op)
	warm()
	if _, err := s.account.DeleteLocator(t.Context(), "l-Predefined_DownloadAndClearStreaming"); err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		s.refused(p, 404, "MPE_RESOURCE_NOT_FOUND", "locator")
	}
	s.locator = s.publish("Predefined_DownloadAndClearStreaming")
	warm()
	if _, err := s.account.DeleteAsset(t.Context(), "film"); err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		s.refused(p, 404, "MPE_RESOURCE_NOT_FOUND", "locator")
	}
}

// wait waits for a long-running operation.
func (s *stage) wait(op *ams.Operation) {
	s.Helper()
	for end := time.Now().Add(10 * time.Second); ; {
		o, err := s.account.Operation(s.Context(), account.EndpointOperations, op.ID)
		if err != nil {
			s.Fatal(err)
		}
		if o.Status == ams.OperationSucceeded {
			return
		}
		if time.Now().After(end) {
			s.Fatalf("operation %+v", o)
		}
	}
}

// A locator is served between its times by the clock, without any change that
// would tell.
func TestLocatorTimes(t *testing.T) {
	var skew atomic.Int64
	s := newStage(t, func(c *Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(skew.Load())) }
		c.Changes = func() uint64 { return 1 }
	})
	s.locator = s.publishUntil(time.Now().Add(time.Hour))
	s.get("film.ism/manifest")
	skew.Store(int64(2 * time.Hour))
	s.refused("film.ism/manifest", 404, "MPE_RESOURCE_NOT_FOUND", "active")
}

// While nothing changes in the server, nothing is looked up.
func TestNothingIsLookedUpTwice(t *testing.T) {
	var changes atomic.Uint64
	s := newStage(t, func(c *Config) { c.Changes = changes.Load })
	for range 5 {
		s.get(segments[1])
		s.get("film.ism/manifest")
	}
	if n := s.resolved.Load(); n != 1 {
		t.Errorf("the locator was looked up %d times", n)
	}
	opened := s.opened.Load()
	changes.Add(1)
	for range 5 {
		s.get(segments[1])
	}
	if n := s.resolved.Load(); n != 2 {
		t.Errorf("the locator was looked up %d times, want 2 after a change", n)
	}
	if n := s.opened.Load(); n != opened {
		t.Errorf("files were opened %d times more", n-opened)
	}
}

// Another version of a file makes another presentation; never are bytes of one
// version sent by the index of another.
func TestReplacedFile(t *testing.T) {
	var changes atomic.Uint64
	var skew atomic.Int64
	s := newStage(t, func(c *Config) {
		c.Changes = changes.Load
		c.Now = func() time.Time { return time.Now().Add(time.Duration(skew.Load())) }
	})
	res, old := s.do("GET", s.at(segments[1]))
	manifest := s.get("film.ism/manifest(format=mpd-time-csf)")

	// The same name holds the other rung: sizes and offsets all differ.
	s.put("film_360.mp4", media(t)["film_180.mp4"])
	changes.Add(1)
	skew.Add(int64(2 * recheck))
	again, got := s.do("GET", s.at(segments[1]))
	if again.StatusCode != 200 || bytes.Equal(got, old) || again.Header.Get("Etag") == res.Header.Get("Etag") {
		t.Errorf("%s: the old segment of %d bytes, or its entity tag, is still served", again.Status, len(old))
	}
	if _, lower := s.do("GET", s.at(strings.Replace(segments[1], "600000", "150000", 1))); !bytes.Equal(got, lower) {
		t.Errorf("the segment has %d bytes, the same media at the other bitrate %d", len(got), len(lower))
	}
	if bytes.Equal(manifest, s.get("film.ism/manifest(format=mpd-time-csf)")) {
		t.Error("the old manifest is still served")
	}

	// A replacement that was not noticed yet is noticed when the file opens.
	s.handler.files.closeAll(t)
	s.put("film_360.mp4", media(t)["film_360.mp4"])
	if _, back := s.do("GET", s.at(segments[1])); !bytes.Equal(back, old) {
		t.Errorf("after the file came back the segment has %d bytes, want %d", len(back), len(old))
	}

	// And a file that goes away is missed.
	s.handler.files.closeAll(t)
	s.remove("film_360.mp4")
	s.refused(segments[1], 404, "MPE_STORAGE_RESOURCE_NOT_FOUND", "film_360.mp4")
}

// The case of a manifest's name is free, unless another one has that name.
func TestCaseOfNames(t *testing.T) {
	var changes atomic.Uint64
	var skew atomic.Int64
	s := newStage(t, func(c *Config) {
		c.Changes = changes.Load
		c.Now = func() time.Time { return time.Now().Add(time.Duration(skew.Load())) }
	})
	want := s.get("film.ism/manifest")
	if got := s.get("FILM.Ism/manifest"); !bytes.Equal(got, want) {
		t.Error("another case gives another manifest")
	}
	s.put("film.ism", []byte(`<smil xmlns="http://www.w3.org/2001/SMIL20/Language"><body><switch><video src="film_360.mp4" systemBitrate="1000"/></switch></body></smil>`))
	changes.Add(1)
	skew.Add(int64(2 * recheck))
	one := s.get("FILM.Ism/manifest")
	if bytes.Equal(one, want) || !bytes.Equal(one, s.get("film.ism/manifest")) {
		t.Error("after a change the two cases differ")
	}
	s.put("FILM.ism", media(t)["film.ism"])
	if got := s.get("FILM.ism/manifest"); !bytes.Equal(got, want) {
		t.Error("the exact name leads to another manifest")
	}
	if got := s.get("film.ism/manifest"); !bytes.Equal(got, one) {
		t.Error("the exact name leads to another manifest")
	}
}

// closeAll closes all files once nobody uses them: a client may have its answer
// before the handler has given the file back.
func (o *openFiles) closeAll(t *testing.T) {
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		o.mu.Lock()
		for o.unused.Len() > 0 {
			o.closeOldest()
		}
		left := len(o.open)
		o.mu.Unlock()
		if left == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d files stay in use", left)
		}
	}
}

// A file deleted while it is read is read to its end.
func TestDeletedWhileRead(t *testing.T) {
	s := newStage(t, nil)
	want := media(t)["film_360.mp4"]
	res, err := http.Get(s.at("film_360.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got := make([]byte, 1000)
	if _, err := io.ReadFull(res.Body, got); err != nil {
		t.Fatal(err)
	}
	s.remove("film_360.mp4")
	rest, err := io.ReadAll(res.Body)
	if err != nil || !bytes.Equal(append(got, rest...), want) {
		t.Errorf("%d bytes of %d, %v", len(got)+len(rest), len(want), err)
	}
	s.refused("film_360.mp4", 404, "MPE_RESOURCE_NOT_FOUND")
}

// Idle files are closed after a while, so that deleted bytes leave the disk.
func TestIdleFilesAreClosed(t *testing.T) {
	s := newStage(t, nil)
	o := newOpenFiles(s.blobs, 10, time.Millisecond)
	b, err := s.blobs.Stat(t.Context(), storage, container, "film_180.mp4")
	if err != nil {
		t.Fatal(err)
	}
	v := version{storage, container, "film_180.mp4", b.ETag}
	f, err := o.acquire(t.Context(), v)
	if err != nil {
		t.Fatal(err)
	}
	if g, err := o.acquire(t.Context(), v); err != nil || f != g {
		t.Errorf("the second user got another file, %v", err)
	}
	o.release(f)
	o.release(f)
	closed := func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		return len(o.open) == 0 && o.sweeper == nil
	}
	for end := time.Now().Add(10 * time.Second); !closed(); {
		if time.Now().After(end) {
			t.Fatal("the file is still open")
		}
		time.Sleep(time.Millisecond)
	}
	if _, err := o.acquire(t.Context(), version{storage, container, "film_180.mp4", "0x0"}); !errors.Is(err, errChanged) {
		t.Errorf("another version: %v", err)
	}
}

// Many players, a server that changes under them: each answer is whole and of
// one version.
func TestManyPlayers(t *testing.T) {
	var changes atomic.Uint64
	s := newStage(t, func(c *Config) {
		c.Changes = changes.Load
		c.OpenFiles = 1
		c.TextMemory = 4096
		c.IndexMemory = 4096
	})
	paths := append([]string{"film.ism/manifest", "film.ism/manifest(format=m3u8-cmaf)", "film.ism/manifest(format=mpd-time-csf)", "film_180.mp4"}, segments...)
	want := map[string][]byte{}
	for _, p := range paths {
		want[p] = s.get(p)
	}
	var players sync.WaitGroup
	for i := range 8 {
		players.Go(func() {
			for n := range 40 {
				p := paths[(i*7+n)%len(paths)]
				if _, got := s.do("GET", s.at(p)); !bytes.Equal(got, want[p]) {
					t.Errorf("%s: %d bytes, want %d", p, len(got), len(want[p]))
				}
			}
		})
	}
	for n := range 20 {
		changes.Add(1)
		s.put(fmt.Sprintf("other-%d.txt", n), []byte("x"))
	}
	players.Wait()
}

func TestCache(t *testing.T) {
	c := newCache[string, int](10)
	made := 0
	get := func(k string, v int, w int64) int {
		got, err := c.get(k, func() (int, int64, error) { made++; return v, w, nil })
		if err != nil {
			t.Error(err)
		}
		return got
	}
	get("a", 1, 4)
	get("b", 2, 4)
	get("a", 9, 4)
	get("c", 3, 4) // b goes
	if got := get("a", 9, 4); got != 1 || made != 3 {
		t.Errorf("a = %d, %d made", got, made)
	}
	if got := get("b", 5, 4); got != 5 {
		t.Errorf("b = %d although it was the oldest", got)
	}
	get("huge", 6, 100)
	if c.weight != 100 || c.order.Len() != 1 {
		t.Errorf("weight %d, %d values", c.weight, c.order.Len())
	}
	c.drop("huge", func(v int) bool { return v == 7 })
	if c.order.Len() != 1 {
		t.Error("another value was dropped")
	}
	c.drop("huge", func(v int) bool { return v == 6 })
	if c.weight != 0 || len(c.slots) != 0 {
		t.Error("nothing was dropped")
	}
	failure := errors.New("no")
	if _, err := c.get("x", func() (int, int64, error) { return 0, 0, failure }); err != failure || len(c.slots) != 0 {
		t.Errorf("%v, %d slots", err, len(c.slots))
	}

	// One makes it, all get it.
	var builds atomic.Int64
	var all sync.WaitGroup
	start, entered := make(chan struct{}), make(chan struct{}, 10)
	for range 10 {
		all.Go(func() {
			entered <- struct{}{}
			v, err := c.get("slow", func() (int, int64, error) {
				<-start
				builds.Add(1)
				return 42, 1, nil
			})
			if v != 42 || err != nil {
				t.Errorf("%d, %v", v, err)
			}
		})
	}
	for range 10 {
		<-entered
	}
	close(start)
	all.Wait()
	if builds.Load() != 1 {
		t.Errorf("made %d times", builds.Load())
	}
}

// A build that panics does not lock the next one out.
func TestCachePanic(t *testing.T) {
	c := newCache[string, int](10)
	func() {
		defer func() { recover() }()
		c.get("k", func() (int, int64, error) { panic("boom") })
	}()
	if v, err := c.get("k", func() (int, int64, error) { return 1, 1, nil }); v != 1 || err != nil {
		t.Errorf("%d, %v", v, err)
	}
}

// A client that leaves early is not a failure of ours, and its file is given
// back.
func TestClientLeaves(t *testing.T) {
	seen := make(chan Observation, 1)
	s := newStage(t, func(c *Config) { c.Observe = func(o Observation) { seen <- o } })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", s.at("film_360.mp4"), nil)
	if err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler {
				panic(p)
			}
		}()
		s.handler.ServeHTTP(brokenWriter{http.Header{}}, r)
	}()
	if o := <-seen; o.Kind != File || o.Format != "download" {
		t.Errorf("observed %+v", o)
	}
	s.handler.files.mu.Lock()
	defer s.handler.files.mu.Unlock()
	for v, f := range s.handler.files.open {
		if f.users != 0 {
			t.Errorf("%v has %d users", v, f.users)
		}
	}
}

type brokenWriter struct{ h http.Header }

func (w brokenWriter) Header() http.Header       { return w.h }
func (w brokenWriter) WriteHeader(int)           {}
func (w brokenWriter) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// leaving fails after some bytes, as a connection does whose client left while
// its request has not been canceled yet.
type leaving struct {
	brokenWriter
	left int
}

func (w *leaving) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, &net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", syscall.EPIPE)}
	}
	return len(p), nil
}

func (w *leaving) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.CopyN(io.Discard, r, int64(w.left))
	if err == io.EOF {
		return n, nil
	}
	return n, &net.OpError{Op: "readfrom", Net: "tcp", Err: os.NewSyscallError("sendfile", syscall.ECONNRESET)}
}

// Clients leave all the time: no log but one for debugging tells of it.
func TestLeavingIsNoError(t *testing.T) {
	var log lockedBuffer
	s := newStage(t, func(c *Config) {
		c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	s.put("large.mp4", make([]byte, 64<<20))
	for _, path := range append([]string{"film_360.mp4", "large.mp4"}, segments...) {
		for _, proto := range []int{1, 2} {
			r := httptest.NewRequestWithContext(t.Context(), "GET", s.at(path), nil)
			r.ProtoMajor = proto
			log.take()
			if p := recovered(func() { s.handler.ServeHTTP(&leaving{brokenWriter{http.Header{}}, 100}, r) }); p != http.ErrAbortHandler {
				t.Errorf("%s: ended with %v, not with a cut", path, p)
			}
			told(t, path, log.take())
		}
	}
	// The same with a real connection, of which the kernel says why it broke.
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "GET /%s/large.mp4 HTTP/1.1\r\nHost: x\r\n\r\n", s.locator)
	if _, err := io.ReadFull(c, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
	var line string
	for deadline := time.Now().Add(10 * time.Second); line == "" && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		line = log.take()
	}
	told(t, "a connection", line)
	// What fails on our side is still told.
	broken := &answer{ResponseWriter: httptest.NewRecorder(), r: httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)}
	s.handler.fail(broken, &fs.PathError{Op: "read", Path: "film", Err: syscall.EIO})
	if got := log.take(); !strings.Contains(got, "level=ERROR") || broken.status != 500 {
		t.Errorf("a broken disk gives %d and logs %q", broken.status, got)
	}
}

// A client that takes nothing is cut off, and gives back what it held; one that
// takes its time between two requests is not.
func TestStalledClients(t *testing.T) {
	seen := make(chan Observation, 10)
	s := newStage(t, func(c *Config) { c.Observe = func(o Observation) { seen <- o } })
	s.put("large.mp4", make([]byte, 64<<20))
	path := filepath.Join(t.TempDir(), "thick.mp4")
	args := "-v error -f lavfi -i testsrc2=s=426x240:r=25:d=6 -vf noise=alls=100:allf=t+u -c:v libx264 -preset ultrafast -tune zerolatency -qp 4 -g 50 -pix_fmt yuv420p"
	if out, err := exec.Command("ffmpeg", append(strings.Fields(args), path)...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v: %s", err, out)
	}
	thick, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s.put("thick.mp4", thick)
	s.put("large.ism", []byte(`<smil><body><switch><video src="thick.mp4" systemBitrate="600000"/></switch></body></smil>`))
	const ts = "large.ism/QualityLevels(600000)/Fragments(video=0,format=m3u8-aapl)"
	s.get(ts)
	if o := <-seen; o.Bytes < 8<<20 {
		t.Fatalf("a segment of %d bytes fits into the buffers of a connection", o.Bytes)
	}
	s.handler.c.Patience = 50 * time.Millisecond
	for _, path := range []string{"large.mp4", ts} {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.(*net.TCPConn).SetReadBuffer(4096)
		fmt.Fprintf(c, "GET /%s/%s HTTP/1.1\r\nHost: x\r\n\r\n", s.locator, path)
		if o := <-seen; o.Status != 200 || o.Bytes > 60<<20 {
			t.Errorf("%s: %+v", path, o)
		}
	}
	if !s.handler.memory.TryAcquire(512 << 20) {
		t.Error("the memory of a segment that nobody took is lost")
	}
	s.handler.memory.Release(512 << 20)
	// A connection that waits longer than that between requests is no such client.
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in := bufio.NewReader(c)
	for _, path := range []string{"captions.vtt", "film.ism/manifest", "captions.vtt"} {
		fmt.Fprintf(c, "GET /%s/%s HTTP/1.1\r\nHost: x\r\n\r\n", s.locator, path)
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if n, err := io.Copy(io.Discard, res.Body); err != nil || n != res.ContentLength {
			t.Errorf("%s: %d bytes of %d, %v", path, n, res.ContentLength, err)
		}
		time.Sleep(3 * s.handler.c.Patience)
	}
}

// told fails unless log is one line of no importance.
func told(t *testing.T, what, log string) {
	t.Helper()
	if !strings.Contains(log, "level=DEBUG") || strings.Contains(log, "level=ERROR") || strings.Contains(log, "level=WARN") {
		t.Errorf("%s: the log says %q", what, log)
	}
}

func recovered(f func()) (p any) {
	defer func() { p = recover() }()
	f()
	return nil
}

// A lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// take empties the log.
func (l *lockedBuffer) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.b.Reset()
	return l.b.String()
}
