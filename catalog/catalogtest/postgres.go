package catalogtest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// A Postgres is a throw-away PostgreSQL server, reached by a socket in a
// temporary folder. It does not survive the test, nor the test's process.
type Postgres struct {
	dir       string
	databases atomic.Int32
	server    *exec.Cmd
	exited    chan error
}

// StartPostgres starts a server, or skips the test where PostgreSQL is not
// installed.
func StartPostgres(tb testing.TB) *Postgres {
	tb.Helper()
	installed, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(installed) == 0 {
		tb.Skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
	}
	bin := filepath.Dir(installed[len(installed)-1])
	// Not tb.TempDir: only root could look into its parents.
	dir, err := os.MkdirTemp("", "openams-pg")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	owner := owner(tb, dir)

	data := filepath.Join(dir, "data")
	initdb := exec.Command(filepath.Join(bin, "initdb"), "--pgdata", data, "--username", "openams", "--auth", "trust", "--no-sync", "--encoding", "UTF8")
	initdb.Dir = dir
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: owner}
	if out, err := initdb.CombinedOutput(); err != nil {
		tb.Fatalf("initdb: %v\n%s", err, out)
	}
	p := &Postgres{dir: dir, exited: make(chan error, 1)}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		tb.Fatal(err)
	}
	defer log.Close()
	p.server = exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-k", dir,
		"-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=200")
	p.server.Dir, p.server.Stdout, p.server.Stderr = dir, log, log
	p.server.SysProcAttr = &syscall.SysProcAttr{Credential: owner, Pdeathsig: syscall.SIGQUIT}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the signal comes when the thread dies that started the server
		err := p.server.Start()
		started <- err
		if err == nil {
			p.exited <- p.server.Wait()
		}
	}()
	if err := <-started; err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(p.Stop)
	deadline := time.Now().Add(30 * time.Second)
	for {
		conn, err := pgx.Connect(context.Background(), p.url("postgres"))
		if err == nil {
			conn.Close(context.Background())
			return p
		}
		select {
		case <-p.exited:
			p.exited <- nil
			text, _ := os.ReadFile(log.Name())
			tb.Fatalf("PostgreSQL ended at once:\n%s", text)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			tb.Fatalf("PostgreSQL does not answer: %v", err)
		}
	}
}

// owner is who runs the server: PostgreSQL refuses to run as root.
func owner(tb testing.TB, dir string) *syscall.Credential {
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			tb.Skip("PostgreSQL refuses to run as root, and there is no user postgres or nobody")
		}
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		tb.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// Stop ends the server at once, as a crash would end it.
func (p *Postgres) Stop() {
	p.server.Process.Signal(syscall.SIGQUIT)
	p.exited <- <-p.exited
}

// Signal sends a signal to every process of the server.
func (p *Postgres) Signal(tb testing.TB, s syscall.Signal) {
	tb.Helper()
	main := p.server.Process.Pid
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", main, main))
	if err != nil {
		tb.Fatal(err)
	}
	pids := []int{main}
	for _, child := range strings.Fields(string(children)) {
		pid, err := strconv.Atoi(child)
		if err != nil {
			tb.Fatal(err)
		}
		pids = append(pids, pid)
	}
	for _, pid := range pids {
		syscall.Kill(pid, s)
	}
}

// Database makes an empty database and returns its URL.
func (p *Postgres) Database(tb testing.TB) string {
	tb.Helper()
	conn, err := pgx.Connect(context.Background(), p.url("postgres"))
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close(context.Background())
	name := fmt.Sprintf("openams%d", p.databases.Add(1))
	if _, err := conn.Exec(context.Background(), "CREATE DATABASE "+name); err != nil {
		tb.Fatal(err)
	}
	return p.url(name)
}

func (p *Postgres) url(database string) string {
	return "postgres://openams@/" + database + "?" + url.Values{"host": {p.dir}}.Encode()
}
