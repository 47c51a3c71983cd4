package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary is the openams that the tests drive: OPENAMS_TEST_BINARY, or one
// built from this tree.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		binary = os.Getenv("OPENAMS_TEST_BINARY")
		if binary == "" {
			dir, err := os.MkdirTemp("", "openams-e2e-")
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
			defer os.RemoveAll(dir)
			binary = filepath.Join(dir, "openams")
			if out, err := exec.Command("go", "build", "-o", binary, "../cmd/openams").CombinedOutput(); err != nil {
				fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
				return 1
			}
		}
		return m.Run()
	}())
}

// endpoints mirrors the keys of endpoints.json that the tests use.
type endpoints struct {
	Management, ManagementHTTP, CAFile, Authority, TenantID           string
	ClientID, ClientSecret, ReaderClientID, ReaderClientSecret        string
	SubscriptionID, ResourceGroup, AccountName, Location              string
	StorageAccountName                                                string
	StorageKeys                                                       []string
	BlobEndpoint, BlobEndpointTLS, StreamingEndpoint                  string
	StreamingEndpointTLS, KeyDeliveryEndpoint, V2Endpoint, AccountKey string
	ACSEndpoint                                                       string
}

// A server is a running openams process.
type server struct {
	endpoints
	dir  string
	cmd  *exec.Cmd
	log  *syncBuffer
	http *http.Client // trusts the server's CA
}

// start runs "openams serve" on dir (a new folder when empty) with free ports
// and waits until endpoints.json says that it is ready.
func start(t testing.TB, dir string, args ...string) *server {
	t.Helper()
	return startWith(t, dir, nil, args...)
}

// startWith is start with more in the environment.
func startWith(t testing.TB, dir string, env []string, args ...string) *server {
	t.Helper()
	if dir == "" {
		dir = filepath.Join(t.TempDir(), "data")
	}
	s := &server{dir: dir, log: new(syncBuffer)}
	s.cmd = exec.Command(binary, append([]string{"serve", "--data", dir, "--https-port", "0", "--http-port", "0",
		"--blob-port", "0", "--blob-tls-port", "0", "--streaming-port", "0"}, args...)...)
	s.cmd.Env = append(os.Environ(), env...)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	// A killed test run must not leave servers behind.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	os.Remove(filepath.Join(dir, "endpoints.json")) // of a server that a test has killed
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.cmd.ProcessState == nil {
			s.stop(t)
		}
		if t.Failed() {
			t.Logf("server log:\n%s", s.log)
		}
	})
	deadline := time.Now().Add(time.Minute)
	for {
		data, err := os.ReadFile(filepath.Join(dir, "endpoints.json"))
		if err == nil {
			if err := json.Unmarshal(data, &s.endpoints); err != nil {
				t.Fatalf("endpoints.json: %v", err)
			}
			break
		}
		if time.Now().After(deadline) || s.exited() {
			t.Fatalf("the server did not get ready:\n%s", s.log)
		}
		time.Sleep(20 * time.Millisecond)
	}
	pem, err := os.ReadFile(s.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	s.http = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}, Timeout: 5 * time.Minute}
	return s
}

func (s *server) exited() bool {
	return syscall.Kill(s.cmd.Process.Pid, 0) != nil
}

// stop ends the server as an operator would.
func (s *server) stop(t testing.TB) {
	t.Helper()
	s.cmd.Process.Signal(syscall.SIGTERM)
	done := make(chan error, 1)
	go func() { done <- s.cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("the server ended with %v", err)
		}
	case <-time.After(30 * time.Second):
		s.cmd.Process.Kill()
		<-done
		t.Error("the server did not stop within 30 s of SIGTERM")
	}
}

// kill ends the server as a power cut would end the process.
func (s *server) kill(t testing.TB) {
	t.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	s.cmd.Wait()
}

// account is the Resource Manager path of the first account.
func (s *server) account() string {
	return fmt.Sprintf("/subscriptions/%s/resourceGroups/%s/providers/Microsoft.Media/mediaServices/%s", s.SubscriptionID, s.ResourceGroup, s.AccountName)
}

// env is what child programs get to know of the server.
func (s *server) env(extra ...string) []string {
	return append(append(os.Environ(), "OPENAMS_ENDPOINTS="+filepath.Join(s.dir, "endpoints.json"), "NODE_EXTRA_CA_CERTS="+s.CAFile), extra...)
}

// run executes a program and fails the test with its output if it fails.
func run(t testing.TB, ctx context.Context, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s\n%s", name, strings.Join(args, " "), err, out.Bytes(), errs.Bytes())
	}
	return out.String()
}

// syncBuffer collects the output of a child process while the test reads it.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// clip makes a short film with a moving picture and a tone.
func clip(t testing.TB, name string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if len(args) == 0 {
		args = []string{"-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=14",
			"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=14",
			"-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-pix_fmt", "yuv420p", "-c:a", "aac"}
	}
	run(t, t.Context(), os.Environ(), "ffmpeg", append(append([]string{"-v", "error", "-nostdin", "-y"}, args...), path)...)
	return path
}
