package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// A storage is a blob endpoint to be measured.
type storage struct {
	name, url, account, key string
	pid                     int
}

// ours is a server on a fresh folder.
func ours(b *testing.B) storage {
	s := start(b, "")
	return storage{"openams", s.BlobEndpoint, s.StorageAccountName, s.StorageKeys[0], s.cmd.Process.Pid}
}

// azurite is Azurite 3.37.0, where OPENAMS_TEST_AZURITE or e2e/js has it.
func azurite(b *testing.B) (storage, bool) {
	script := os.Getenv("OPENAMS_TEST_AZURITE")
	if script == "" {
		script = "js/node_modules/azurite/dist/src/blob/main.js"
	}
	if _, err := os.Stat(script); err != nil {
		b.Log("Azurite is not installed: measuring openams alone")
		return storage{}, false
	}
	const port = "18081"
	cmd := exec.Command("node", script, "--location", b.TempDir(), "--blobPort", port, "--skipApiVersionCheck", "--silent")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if c, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			c.Close()
			break
		} else if time.Now().After(deadline) {
			b.Fatal(err)
		}
	}
	// The account that every Azurite has (documented).
	return storage{"azurite", "http://127.0.0.1:" + port + "/devstoreaccount1", "devstoreaccount1",
		"Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==", cmd.Process.Pid}, true
}

func storages(b *testing.B) []storage {
	list := []storage{ours(b)}
	if a, ok := azurite(b); ok {
		list = append(list, a)
	}
	return list
}

func (s storage) client(b *testing.B) *container.Client {
	cred, err := azblob.NewSharedKeyCredential(s.account, s.key)
	if err != nil {
		b.Fatal(err)
	}
	c, err := azblob.NewClientWithSharedKeyCredential(s.url, cred, nil)
	if err != nil {
		b.Fatal(err)
	}
	k := c.ServiceClient().NewContainerClient("bench")
	k.Create(context.Background(), nil)
	return k
}

// A pattern is n bytes without a disk.
type pattern struct {
	block []byte
	n     int64
	at    int
}

func newPattern(n int64) *pattern {
	p := &pattern{block: make([]byte, 8<<20), n: n}
	rand.Read(p.block)
	return p
}

func (p *pattern) Read(b []byte) (int, error) {
	if p.n == 0 {
		return 0, io.EOF
	}
	k := copy(b[:min(int64(len(b)), p.n)], p.block[p.at:])
	p.at = (p.at + k) % len(p.block)
	p.n -= int64(k)
	return k, nil
}

// fromEnv is a number of the environment, or n where it has none.
func fromEnv(name string, n int64) int64 {
	if v, err := strconv.ParseInt(os.Getenv(name), 10, 64); err == nil {
		return v
	}
	return n
}

// BenchmarkBlob moves one big blob in blocks of 8 MiB, 8 at a time, with both
// SDKs. Clients and servers share the machine; the servers take turns, and
// each figure is the median of its rounds.
func BenchmarkBlob(b *testing.B) {
	mib := fromEnv("OPENAMS_TEST_BLOB_MIB", 1024)
	rounds := fromEnv("OPENAMS_TEST_BLOB_ROUNDS", 3)
	list := storages(b)
	figures := map[string][]float64{}
	for range rounds {
		for _, s := range list {
			s.move(b, mib, func(what string, v float64) { figures[s.name+"-"+what] = append(figures[s.name+"-"+what], v) })
		}
	}
	for what, v := range figures {
		slices.Sort(v)
		b.ReportMetric(v[len(v)/2], what)
	}
	for _, s := range list {
		b.ReportMetric(peakMiB(b, s.pid), s.name+"-peak-MiB")
	}
	b.ReportMetric(0, "ns/op")
}

// move is a round of BenchmarkBlob.
func (s storage) move(b *testing.B, mib int64, figure func(what string, v float64)) {
	c := s.client(b)
	bb := c.NewBlockBlobClient("go")
	ctx := context.Background()
	var from time.Time
	var used float64
	begin := func() { from, used = time.Now(), cpuSeconds(b, s.pid) }
	report := func(what string) {
		figure(what+"-MiB/s", float64(mib)/time.Since(from).Seconds())
		figure(what+"-cpu-s", cpuSeconds(b, s.pid)-used)
	}
	begin()
	if _, err := bb.UploadStream(ctx, newPattern(mib<<20), &blockblob.UploadStreamOptions{BlockSize: 8 << 20, Concurrency: 8}); err != nil {
		b.Fatal(err)
	}
	report("go-upload")
	buffer := make([]byte, min(mib, 128)<<20)
	begin()
	for at := int64(0); at < mib<<20; at += int64(len(buffer)) {
		if _, err := bb.DownloadBuffer(ctx, buffer, &blob.DownloadBufferOptions{Range: blob.HTTPRange{Offset: at, Count: int64(len(buffer))}, BlockSize: 8 << 20, Concurrency: 8}); err != nil {
			b.Fatal(err)
		}
	}
	report("go-download")
	begin()
	r, err := bb.DownloadStream(ctx, nil)
	if err != nil {
		b.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, r.Body); err != nil || n != mib<<20 {
		b.Fatal(n, err)
	}
	r.Body.Close()
	report("go-stream")
	if _, err := bb.Delete(ctx, nil); err != nil {
		b.Fatal(err)
	}
	out := run(b, ctx, os.Environ(), "node", "js/blob.mjs", "bench", s.url, s.account, s.key, fmt.Sprint(mib), "bench")
	var js struct{ Upload, Download, Stream, DownloadCPU float64 }
	if err := json.Unmarshal([]byte(out), &js); err != nil {
		b.Fatal(err)
	}
	figure("js-upload-MiB/s", js.Upload)
	figure("js-download-MiB/s", js.Download)
	figure("js-download-client-cpu-s", js.DownloadCPU)
	figure("js-stream-MiB/s", js.Stream)
}

// BenchmarkSmallBlobs puts blobs of 4 KiB, 16 at a time, and lists them.
// Azurite lists in the same way but gets fewer, or it would take minutes.
func BenchmarkSmallBlobs(b *testing.B) {
	for _, s := range storages(b) {
		c := s.client(b)
		n := fromEnv("OPENAMS_TEST_SMALL_BLOBS", 100_000)
		if s.name == "azurite" {
			n = min(n, 5000)
		}
		data := make([]byte, 4<<10)
		var next atomic.Int64
		errs := make(chan error, 16)
		from := time.Now()
		for range 16 {
			go func() {
				for i := next.Add(1); i <= n; i = next.Add(1) {
					if _, err := c.NewBlockBlobClient(fmt.Sprintf("f%07d", i)).UploadBuffer(context.Background(), data, nil); err != nil {
						errs <- err
						return
					}
				}
				errs <- nil
			}()
		}
		for range 16 {
			if err := <-errs; err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(n)/time.Since(from).Seconds(), s.name+"-blobs/s")
		from = time.Now()
		var listed int64
		for pager := c.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{MaxResults: to.Ptr(int32(5000))}); pager.More(); {
			page, err := pager.NextPage(context.Background())
			if err != nil {
				b.Fatal(err)
			}
			listed += int64(len(page.Segment.BlobItems))
		}
		if listed != n {
			b.Fatalf("%s listed %d of %d", s.name, listed, n)
		}
		b.ReportMetric(float64(n)/time.Since(from).Seconds(), s.name+"-listed/s")
	}
	b.ReportMetric(0, "ns/op")
}

// TestTorture is for make torture: it needs OPENAMS_TEST_TORTURE, because it
// sends 50 GiB. 50 clients upload 1 GiB each at once, and one blob of 260 GB
// is made of one block, repeated; the server's memory stays flat. Block ids
// are repeated, so that the disk holds 64 MiB of each GiB.
func TestTorture(t *testing.T) {
	if os.Getenv("OPENAMS_TEST_TORTURE") == "" {
		t.Skip("OPENAMS_TEST_TORTURE is unset: this sends 50 GiB")
	}
	clients, mib := 50, int64(1024)
	if n, err := strconv.Atoi(os.Getenv("OPENAMS_TEST_TORTURE")); err == nil && n > 1 {
		clients = n
	}
	s := start(t, "")
	cred, err := azblob.NewSharedKeyCredential(s.StorageAccountName, s.StorageKeys[0])
	if err != nil {
		t.Fatal(err)
	}
	client, err := azblob.NewClientWithSharedKeyCredential(s.BlobEndpoint, cred, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	c := client.ServiceClient().NewContainerClient("torture")
	if _, err := c.Create(ctx, nil); err != nil {
		t.Fatal(err)
	}
	errs := make(chan error, clients)
	block := make([]byte, 8<<20)
	rand.Read(block)
	for i := range clients {
		go func() { errs <- pieces(ctx, c.NewBlockBlobClient(fmt.Sprintf("f%d", i)), block, mib/8) }()
	}
	for range clients {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	if p, err := c.NewBlobClient("f0").GetProperties(ctx, nil); err != nil || *p.ContentLength != mib<<20 {
		t.Fatalf("an upload is not %d MiB: %v, %v", mib, p.ContentLength, err)
	}
	t.Logf("%d uploads of %d MiB at once: at most %.0f MiB of memory", clients, mib, peakMiB(t, s.cmd.Process.Pid))
	big := c.NewBlockBlobClient("260 GB")
	const blocks = 50_000
	part := make([]byte, 260_000_000_000/blocks)
	copy(part, block)
	if _, err := big.StageBlock(ctx, "AAAA", body(part), nil); err != nil {
		t.Fatal(err)
	}
	ids := make([]string, blocks)
	for i := range ids {
		ids[i] = "AAAA"
	}
	from := time.Now()
	if _, err := big.CommitBlockList(ctx, ids, nil); err != nil {
		t.Fatal(err)
	}
	t.Logf("committed 260 GB in %v", time.Since(from))
	p, err := big.GetProperties(ctx, nil)
	if err != nil || *p.ContentLength != blocks*int64(len(part)) {
		t.Fatalf("%d bytes, %v", *p.ContentLength, err)
	}
	// The last bytes of the last repetition, and a range over a seam.
	for _, off := range []int64{*p.ContentLength - 100, 49_999*int64(len(part)) - 50} {
		r, err := big.DownloadStream(ctx, &blob.DownloadStreamOptions{Range: blob.HTTPRange{Offset: off, Count: 100}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r.Body)
		r.Body.Close()
		want := make([]byte, 100)
		for i := range want {
			want[i] = part[(off+int64(i))%int64(len(part))]
		}
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("at %d: other bytes, %v", off, err)
		}
	}
	if mb := peakMiB(t, s.cmd.Process.Pid); mb > 400 {
		t.Errorf("the server used %.0f MiB of memory", mb)
	} else {
		t.Logf("at most %.0f MiB of memory in all", mb)
	}
}

// pieces uploads n times a block that all clients share, under 8 ids: of those
// staged under one, the last stays.
func pieces(ctx context.Context, b *blockblob.Client, block []byte, n int64) error {
	var ids []string
	for i := range n {
		id := fmt.Sprintf("%08d", i%8)
		if _, err := b.StageBlock(ctx, id, body(block), nil); err != nil {
			return err
		}
		ids = append(ids, id)
	}
	_, err := b.CommitBlockList(ctx, ids, nil)
	return err
}

func body(p []byte) io.ReadSeekCloser { return nopCloser{bytes.NewReader(p)} }

type nopCloser struct{ io.ReadSeeker }

func (nopCloser) Close() error { return nil }

// peakMiB is the most memory that a process has used.
func peakMiB(t testing.TB, pid int) float64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "VmHWM:")
	kb, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	return kb / 1024
}
