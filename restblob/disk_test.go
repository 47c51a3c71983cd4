package restblob_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/openams/openams/blob"
	"github.com/openams/openams/blob/disk"
	"github.com/openams/openams/restblob"
)

// A full disk is a clean refusal, and works again once there is room.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	mount := filepath.Join(dir, "blobs")
	if err := os.Mkdir(mount, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", mount, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("needs the right to mount a small file system: %v", err)
	}
	defer syscall.Unmount(mount, syscall.MNT_DETACH)
	e := serveDir(t, dir)
	c := e.container(t, "videos")
	small := random(300_000)
	if _, err := c.NewBlockBlobClient("small").Upload(ctx, body(small), nil); err != nil {
		t.Fatal(err)
	}
	_, err := c.NewBlockBlobClient("large").Upload(ctx, body(random(2_000_000)), nil)
	wantCode(t, "a blob that does not fit", err, 507, "InsufficientStorage")
	_, err = c.NewBlockBlobClient("small").Upload(ctx, body(random(2_000_000)), nil)
	wantCode(t, "a version that does not fit", err, 507, "InsufficientStorage")
	_, err = c.NewBlockBlobClient("blocks").StageBlock(ctx, "AAAA", body(random(2_000_000)), nil)
	wantCode(t, "a block that does not fit", err, 507, "InsufficientStorage")
	if got, err := download(c.NewBlobClient("small"), nil); err != nil || !bytes.Equal(got, small) {
		t.Errorf("a full disk damaged what was there: %v", err)
	}
	if left := files(t, mount); len(left) != 1 {
		t.Errorf("refused writes left files: %v", left)
	}
	if _, err := c.NewBlockBlobClient("fits").Upload(ctx, body(random(400_000)), nil); err != nil {
		t.Errorf("a blob that fits: %v", err)
	}
	// Two blocks of a third of the disk each fit; joined they do not fit beside
	// themselves, and stay readable in pieces.
	for _, name := range []string{"small", "fits"} {
		if _, err := c.NewBlobClient(name).Delete(ctx, nil); err != nil {
			t.Fatal(err)
		}
	}
	bb := c.NewBlockBlobClient("blocks")
	for _, id := range []string{"AAAA", "BBBB"} {
		if _, err := bb.StageBlock(ctx, id, body(random(350_000)), nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := bb.CommitBlockList(ctx, []string{"AAAA", "BBBB"}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := e.store.OpenLocal(ctx, account, "videos", "blocks"); err == nil {
		t.Error("a join that does not fit succeeded")
	}
	if got, err := download(bb.BlobClient(), nil); err != nil || !bytes.Equal(got, append(random(350_000), random(350_000)...)) {
		t.Errorf("after a join that failed: %v", err)
	}
}

// A folder filled to the last byte can be emptied by those who use it.
func TestFullFolder(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=24m"); err != nil {
		t.Skipf("needs the right to mount a small file system: %v", err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	room := disk.NewReserve(filepath.Join(dir, "reserve"), 4<<20)
	e := &endpoint{dir: dir, room: room}
	e.start(t)
	if err := room.Keep(); err != nil {
		t.Fatal(err)
	}
	c := e.container(t, "videos")
	if _, err := c.NewBlockBlobClient("f").Upload(ctx, body(random(1_000_000)), nil); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	for i := range 200 { // the log of the database may have a page left
		if _, err := c.NewBlockBlobClient(fmt.Sprint(i)).StageBlock(ctx, "AAAA", body([]byte("x")), nil); err != nil {
			wantCode(t, "a block", err, 507, "InsufficientStorage")
			break
		}
	}
	if _, err := c.NewBlockBlobClient("f").Delete(ctx, nil); err != nil {
		t.Errorf("delete: %v", err)
	}
	if _, err := c.NewBlockBlobClient("g").Upload(ctx, body(random(100_000)), nil); err != nil {
		t.Errorf("a blob in its place: %v", err)
	}
}

// What WriteRange gives to a connection is a file, which it sends by sendfile.
func TestSendfile(t *testing.T) {
	store := openStore(t, t.TempDir(), blob.Options{})
	if _, err := store.CreateContainer(ctx, account, "videos", blob.ContainerOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Put(ctx, account, "videos", "f", strings.NewReader("0123456789"), blob.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	r := must[*blob.Reader](t)(store.Open(ctx, account, "videos", "f"))
	defer r.Close()
	var w connection
	if n, err := r.WriteRange(&w, 2, 3); n != 3 || err != nil || w.String() != "234" || !w.file {
		t.Errorf("wrote %q, %d, %v; from a file: %v", w.String(), n, err, w.file)
	}
	// A second writer at the same time has a position of its own.
	w = connection{}
	w.meanwhile = func() {
		var other connection
		if n, err := r.WriteRange(&other, 0, 10); n != 10 || err != nil || other.String() != "0123456789" {
			t.Errorf("the other wrote %q, %d, %v", other.String(), n, err)
		}
	}
	if n, err := r.WriteRange(&w, 5, 5); n != 5 || err != nil || w.String() != "56789" {
		t.Errorf("wrote %q, %d, %v", w.String(), n, err)
	}
}

// A connection knows files, as *net.TCPConn does.
type connection struct {
	bytes.Buffer
	file      bool
	meanwhile func()
}

func (c *connection) ReadFrom(r io.Reader) (int64, error) {
	if c.meanwhile != nil {
		c.meanwhile()
	}
	if l, ok := r.(*io.LimitedReader); ok {
		_, c.file = l.R.(*os.File)
	}
	return c.Buffer.ReadFrom(r)
}

// gone is the connection of a client that left, before anybody canceled its request.
type gone struct{ header http.Header }

func (w gone) Header() http.Header { return w.header }
func (w gone) WriteHeader(int)     {}
func (w gone) Write([]byte) (int, error) {
	return 0, &net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", syscall.EPIPE)}
}

// A client that leaves while it reads is no failure of the server.
func TestLeavingIsNoError(t *testing.T) {
	e := serve(t)
	store := e.store
	if _, err := store.CreateContainer(ctx, account, "videos", blob.ContainerOptions{PublicAccess: "blob"}); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Put(ctx, account, "videos", "f", strings.NewReader("0123456789"), blob.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	h := restblob.New(restblob.Config{Store: store, Keys: &e.keys, Delegates: &e.users, Secret: []byte("secret"), Now: time.Now, Log: slog.New(slog.NewTextHandler(&log, nil))})
	defer func() {
		if p := recover(); p != http.ErrAbortHandler || log.Len() > 0 {
			t.Errorf("ended with %v, logged %s", p, &log)
		}
	}()
	h.ServeHTTP(gone{http.Header{}}, httptest.NewRequest("GET", "/"+account+"/videos/f", nil))
}
