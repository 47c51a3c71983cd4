package restblob_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openams/openams/blob"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/restblob"
)

// With this variable set, the test binary is a server to be killed.
const killDir = "OPENAMS_TEST_KILL_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(killDir); dir != "" {
		victim(dir)
	}
	os.Exit(m.Run())
}

// victim serves dir until it is killed. Its parent learns the address from
// its output.
func victim(dir string) {
	t := new(fatal)
	store := openStore(t, dir, blob.Options{})
	go store.Run(ctx)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(l.Addr())
	http.Serve(l, restblob.New(restblob.Config{Store: store, Keys: new(keys)}))
}

// fatal lets a process use test helpers.
type fatal struct{ testing.TB }

func (*fatal) Fatal(v ...any) { fmt.Fprintln(os.Stderr, v...); os.Exit(1) }
func (*fatal) Cleanup(func()) {}
func (*fatal) Helper()        {}

// A write is one that a worker made: what a blob may hold now.
type write struct {
	version uint64 // 0: the blob is absent
	acked   bool
}

// content is the bytes of a version.
func content(version uint64) []byte {
	p := make([]byte, 1+version*7919%120_000)
	rand.NewChaCha8([32]byte{byte(version), byte(version >> 8), byte(version >> 16)}).Read(p)
	return p
}

// A server that is killed at any moment keeps every write that it
// acknowledged, and shows every other whole or not at all.
func TestKill(t *testing.T) {
	rounds := 20
	if n, err := strconv.Atoi(os.Getenv("OPENAMS_TEST_KILL_ROUNDS")); err == nil {
		rounds = n
	}
	if testing.Short() {
		rounds = 3
	}
	const workers, names = 4, 5
	dir := t.TempDir()
	query := full("videos")
	var version atomic.Uint64
	var history [workers][names][]write // since the last acknowledged one, which comes first
	made := false
	for round := range rounds {
		if round > 0 && round%100 == 0 {
			t.Logf("%d rounds, %d writes", round, version.Load())
		}
		addr, kill := startVictim(t, dir)
		url := "http://" + addr + "/" + account + "/videos"
		if !made {
			client := newClient(t, "http://"+addr+"/"+account, credential(t, key1))
			if _, err := client.CreateContainer(ctx, "videos", nil); err != nil {
				t.Fatal(err)
			}
			made = true
		}
		for w := range workers {
			for n := range names {
				history[w][n] = verify(t, fmt.Sprintf("round %d, w%d-%d", round, w, n), fmt.Sprintf("%s/w%d-%d?%s", url, w, n, query), history[w][n])
			}
		}
		if t.Failed() {
			kill()
			return
		}
		var acks atomic.Int64
		limit := 5 + rand.Int64N(60)
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				client := &http.Client{Transport: &http.Transport{}}
				defer client.CloseIdleConnections()
				for {
					n := rand.IntN(names)
					v := version.Add(1)
					target := fmt.Sprintf("%s/w%d-%d?%s", url, w, n, query)
					var ok bool
					switch rand.IntN(8) {
					case 0:
						history[w][n] = append(history[w][n], write{})
						ok = request(client, "DELETE", target, nil, 202, 404)
					case 1, 2, 3:
						history[w][n] = append(history[w][n], write{version: v})
						ok = inBlocks(client, target, content(v))
					default:
						history[w][n] = append(history[w][n], write{version: v})
						ok = request(client, "PUT", target, content(v), 201)
					}
					if !ok {
						return // the server is dead
					}
					h := history[w][n]
					h[len(h)-1].acked = true
					history[w][n] = h[len(h)-1:]
					if acks.Add(1) == limit {
						kill()
					}
				}
			})
		}
		wg.Wait()
		kill()
	}
	// What the killed ones left behind is found at the next start.
	openStore(t, dir, blob.Options{})
	named := make(map[string]bool)
	db, err := catalog.Open(ctx, catalog.Config{Path: filepath.Join(dir, "openams.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	root := filepath.Join(dir, "blobs")
	if err := db.Files(ctx, func(f string) { named[filepath.Join(root, f)] = true }); err != nil {
		t.Fatal(err)
	}
	for _, f := range files(t, root) {
		if !named[f] && !strings.Contains(f, "/.orphans/") {
			t.Errorf("no record names %s", f)
		}
		delete(named, f)
	}
	for f := range named {
		t.Errorf("%s is missing", f)
	}
}

// verify reads a blob back. What it holds is the last acknowledged write or
// the one that was under way, and is acknowledged from now on.
func verify(t *testing.T, what, url string, h []write) []write {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	got, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if len(h) == 0 {
		h = []write{{acked: true}}
	}
	for _, w := range h {
		if w.version == 0 && r.StatusCode == 404 || w.version != 0 && r.StatusCode == 200 && bytes.Equal(got, content(w.version)) {
			return []write{{w.version, true}}
		}
	}
	t.Errorf("%s: %s with %d bytes, which is none of %v", what, r.Status, len(got), h)
	return h
}

func request(c *http.Client, method, url string, data []byte, want ...int) bool {
	r, err := http.NewRequest(method, url, bytes.NewReader(data))
	if err != nil {
		panic(err)
	}
	r.Header.Set("x-ms-blob-type", "BlockBlob")
	resp, err := c.Do(r)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return false
	}
	for _, status := range want {
		if resp.StatusCode == status {
			return true
		}
	}
	panic(fmt.Sprintf("%s %s: %s: %s", method, url, resp.Status, text))
}

func inBlocks(c *http.Client, url string, data []byte) bool {
	list := "<BlockList>"
	for i, n := 0, len(data)/3+1; i*n < len(data); i++ {
		id := base64.StdEncoding.EncodeToString([]byte{byte(i), 0, 0})
		if !request(c, "PUT", url+"&comp=block&blockid="+strings.ReplaceAll(id, "+", "%2B"), data[i*n:min((i+1)*n, len(data))], 201) {
			return false
		}
		list += "<Latest>" + id + "</Latest>"
	}
	return request(c, "PUT", url+"&comp=blocklist", []byte(list+"</BlockList>"), 201)
}

// startVictim starts a server on dir in a process of its own. kill is SIGKILL,
// and returns when the process is gone.
func startVictim(t *testing.T, dir string) (addr string, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), killDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	t.Cleanup(kill)
	lines := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(out).ReadString('\n')
		lines <- line
	}()
	select {
	case line := <-lines:
		if line == "" {
			t.Fatal("the server did not start")
		}
		return strings.TrimSpace(line), kill
	case <-time.After(60 * time.Second):
		t.Fatal("the server does not start")
	}
	return "", nil
}
