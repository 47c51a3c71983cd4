package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	media "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/mediaservices/armmediaservices/v3"
)

// The benchmarks of this folder start whole programs and measure for fixed
// times: run them with -benchtime 1x, as make bench does. Rates on a shared
// machine vary; the CPU time of the server per request is the figure to
// compare, and the peer runs in turn with us in the same run.

// rounds is how often the two servers of a comparison take turns, and
// roundTime how long one turn lasts.
const (
	rounds    = 3
	roundTime = 3 * time.Second
)

// A load is what wrk measured of one server, the CPU it used included.
type load struct {
	requests, bytes float64
	seconds         float64
	cpu             float64 // seconds of user and system time
	p99             float64 // milliseconds
	failed          bool
}

// cpuSeconds is the user and system time of a process.
func cpuSeconds(b *testing.B, pid int) float64 {
	b.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+2:]))
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100 // USER_HZ
}

// wrk asks for the URLs in turn over 8 kept-alive connections from core 1.
func wrk(b *testing.B, pid int, urls []string) load {
	b.Helper()
	script := filepath.Join(b.TempDir(), "urls.lua")
	var lua strings.Builder
	lua.WriteString("local paths = {\n")
	for _, u := range urls {
		parsed, err := url.Parse(u)
		if err != nil {
			b.Fatal(err)
		}
		fmt.Fprintf(&lua, "%q,\n", parsed.RequestURI())
	}
	lua.WriteString(`}
local i = 0
request = function() i = i % #paths + 1; return wrk.format("GET", paths[i]) end
done = function(s, l) io.write(string.format("RESULT %d %d %d %d %d\n", s.requests, s.bytes, s.duration, l:percentile(99), s.errors.status + s.errors.read + s.errors.connect + s.errors.timeout)) end
`)
	if err := os.WriteFile(script, []byte(lua.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	before := cpuSeconds(b, pid)
	out := run(b, context.Background(), os.Environ(), "taskset", "-c", "1", "wrk", "-t1", "-c8", "-d", fmt.Sprint(int(roundTime.Seconds()), "s"), "-s", script, urls[0])
	l := load{cpu: cpuSeconds(b, pid) - before}
	m := regexp.MustCompile(`RESULT (\d+) (\d+) (\d+) (\d+) (\d+)`).FindStringSubmatch(out)
	if m == nil {
		b.Fatalf("wrk said %s", out)
	}
	number := func(i int) float64 { f, _ := strconv.ParseFloat(m[i], 64); return f }
	l.requests, l.bytes, l.seconds, l.p99 = number(1), number(2), number(3)/1e6, number(4)/1e3
	l.failed = number(5) > 0
	return l
}

// median reports the median round's figures of one server.
func median(b *testing.B, name string, loads []load) load {
	b.Helper()
	slices.SortFunc(loads, func(x, y load) int {
		return int(1e9 * (x.cpu/x.requests - y.cpu/y.requests))
	})
	l := loads[len(loads)/2]
	b.ReportMetric(1000*l.cpu/l.requests, name+"-cpu-ms/req")
	b.ReportMetric(l.requests/l.seconds, name+"-req/s")
	b.ReportMetric(l.bytes/l.seconds/1e6, name+"-MB/s")
	b.ReportMetric(l.p99, name+"-p99-ms")
	return l
}

// nginx serves a folder from one worker on core 0.
func nginx(b *testing.B, root string) (base string, pid int) {
	b.Helper()
	dir := b.TempDir()
	conf := filepath.Join(dir, "nginx.conf")
	socket := "127.0.0.1:18088"
	text := fmt.Sprintf(`daemon off; master_process off; worker_processes 1; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 256; }
http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; open_file_cache max=1000; open_file_cache_valid 60s;
client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
server { listen %[2]s; root %[3]s; } }`, dir, socket, root)
	if os.Geteuid() == 0 {
		text = "user root;\n" + text
	}
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command("taskset", "-c", "0", "nginx", "-c", conf, "-e", filepath.Join(dir, "error.log"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if resp, err := http.Get("http://" + socket + "/"); err == nil {
			resp.Body.Close()
			return "http://" + socket, cmd.Process.Pid // taskset has become nginx
		} else if time.Now().After(deadline) {
			b.Fatal(err)
		}
	}
}

// ladderClip is real footage where the tests have it.
func ladderClip(b *testing.B) string {
	if dir := os.Getenv("OPENAMS_TEST_MEDIA"); dir != "" {
		return filepath.Join(dir, "montage-720p24-stereo-42s.mp4")
	}
	b.Log("OPENAMS_TEST_MEDIA is unset: measuring with a synthetic clip")
	return clip(b, "ladder.mp4", "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=24:duration=42", "-f", "lavfi", "-i", "sine=sample_rate=48000:duration=42",
		"-c:v", "libx264", "-preset", "veryfast", "-b:v", "4M", "-pix_fmt", "yuv420p", "-c:a", "aac")
}

// published encodes a ladder and returns a started server, the paths of the asset
// in the clear, and the asset under every encryption.
func published(b *testing.B) (*server, map[string][]string, *film) {
	b.Helper()
	b.Setenv("GOMAXPROCS", "1")
	s := start(b, "")
	c := newSDK(b, s, s.ClientID, s.ClientSecret)
	c.createAsset(b, "in")
	c.createAsset(b, "out")
	c.upload(b, "in", ladderClip(b))
	c.createTransform(b, "ladder", media.EncoderNamedPresetH264MultipleBitrate720P)
	c.submit(b, "ladder", "j", "in", "out")
	if job := c.await(b, "ladder", "j", 20*time.Minute); *job.Properties.State != media.JobStateFinished {
		b.Fatalf("job ended %s", *job.Properties.State)
	}
	paths := c.publish(b, "l", "out", "Predefined_DownloadAndClearStreaming")
	protected := protect(b, s, c, "out", false)
	// On one core, away from wrk.
	run(b, context.Background(), os.Environ(), "taskset", "-a", "-p", "-c", "0", fmt.Sprint(s.cmd.Process.Pid))
	return s, paths, protected
}

// smoothSegments lists all fragment URLs of one kind from a Smooth manifest,
// whose grammar says them all.
func smoothSegments(b *testing.B, s *server, manifest, kind string) (names []string) {
	b.Helper()
	var m struct {
		Streams []struct {
			Type   string `xml:"Type,attr"`
			URL    string `xml:"Url,attr"`
			Levels []struct {
				Bitrate int `xml:"Bitrate,attr"`
			} `xml:"QualityLevel"`
			Chunks []struct {
				T *uint64 `xml:"t,attr"`
				D uint64  `xml:"d,attr"`
				R int     `xml:"r,attr"`
			} `xml:"c"`
		} `xml:"StreamIndex"`
	}
	status, body := s.get(b, manifest)
	if status != http.StatusOK || xml.Unmarshal(body, &m) != nil {
		b.Fatalf("%s: %d %s", manifest, status, body)
	}
	for _, st := range m.Streams {
		if st.Type != kind {
			continue
		}
		at := uint64(0)
		for _, ch := range st.Chunks {
			if ch.T != nil {
				at = *ch.T
			}
			for range max(1, ch.R) {
				for _, l := range st.Levels {
					names = append(names, strings.NewReplacer("{bitrate}", fmt.Sprint(l.Bitrate), "{start time}", fmt.Sprint(at)).Replace(st.URL))
				}
				at += ch.D
			}
		}
	}
	return names
}

// segmentRows are the kinds of segments that BenchmarkSegments measures.
var segmentRows = []struct{ name, kind, format, encryption string }{
	{"dash-video", "video", "mpd-time-cmaf", ""},
	{"hls-cmaf-video", "video", "m3u8-cmaf", ""},
	{"smooth-video", "video", "", ""},
	{"hls-ts-video", "video", "m3u8-aapl", ""},
	{"hls-ts-muxed", "video", "m3u8-aapl-v3", ""},
	{"dash-video-cenc", "video", "mpd-time-cmaf", "cenc"},
	{"hls-cmaf-video-cbcs", "video", "m3u8-cmaf", "cbcs-aapl"},
	{"smooth-video-piff", "video", "", "piff"},
	{"hls-ts-video-aes128", "video", "m3u8-aapl", "cbc"},
	{"hls-ts-video-cbcs", "video", "m3u8-aapl", "cbcs-aapl"},
	{"dash-audio", "audio", "mpd-time-cmaf", ""},
	{"hls-cmaf-audio", "audio", "m3u8-cmaf", ""},
	{"smooth-audio", "audio", "", ""},
	{"hls-ts-audio", "audio", "m3u8-aapl", ""},
	{"dash-audio-cenc", "audio", "mpd-time-cmaf", "cenc"},
	{"hls-cmaf-audio-cbcs", "audio", "m3u8-cmaf", "cbcs-aapl"},
	{"hls-ts-audio-aes128", "audio", "m3u8-aapl", "cbc"},
}

// BenchmarkSegments compares the server with nginx serving byte copies of the
// same segments, in turn, on one core.
func BenchmarkSegments(b *testing.B) {
	s, paths, protected := published(b)
	manifest := s.StreamingEndpoint + paths["SmoothStreaming"][0]
	base := manifest[:strings.LastIndex(manifest, "/")+1]
	root := b.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		b.Fatal(err)
	}
	peer, peerPID := nginx(b, root)
	for _, tt := range segmentRows {
		b.Run(tt.name, func(b *testing.B) {
			at := base
			if tt.encryption != "" {
				at = protected.ism + "/"
			}
			var ours, theirs []string
			for i, name := range smoothSegments(b, s, manifest, tt.kind) {
				for key, value := range map[string]string{"format": tt.format, "encryption": tt.encryption} {
					if value != "" {
						name = strings.TrimSuffix(name, ")") + "," + key + "=" + value + ")"
					}
				}
				status, body := s.get(b, at+name)
				if status != http.StatusOK {
					b.Fatalf("%s: %d %.300s", at+name, status, body)
				}
				file := fmt.Sprintf("%s-%d.m4s", tt.name, i)
				if err := os.WriteFile(filepath.Join(root, file), body, 0o644); err != nil {
					b.Fatal(err)
				}
				ours, theirs = append(ours, at+name), append(theirs, peer+"/"+file)
			}
			for b.Loop() {
				var us, them []load
				for range rounds {
					us, them = append(us, wrk(b, s.cmd.Process.Pid, ours)), append(them, wrk(b, peerPID, theirs))
				}
				for _, l := range append(slices.Clone(us), them...) {
					if l.failed {
						b.Error("requests failed")
					}
				}
				o, n := median(b, "openams", us), median(b, "nginx", them)
				b.ReportMetric(o.cpu/o.requests/(n.cpu/n.requests), "cpu-ratio")
				b.ReportMetric(o.bytes/o.requests/1e6, "MB/segment")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
	for name, urls := range map[string][]string{
		"manifest":           {s.StreamingEndpoint + paths["Dash"][0], s.StreamingEndpoint + paths["Hls"][0]},
		"manifest-protected": {protected.ism + "/manifest(format=mpd-time-csf,encryption=cenc)", protected.ism + "/manifest(format=m3u8-cmaf,encryption=cbcs-aapl)"},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				var us []load
				for range rounds {
					us = append(us, wrk(b, s.cmd.Process.Pid, urls))
				}
				median(b, "openams", us)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
	b.Run("idle-clients", func(b *testing.B) {
		for b.Loop() {
			idleClients(b, s, s.StreamingEndpoint+paths["Dash"][0])
		}
		b.ReportMetric(0, "ns/op")
	})
}

// idleClients opens 5,000 connections that each asked once and stay open, and
// reports the memory of the server before and then.
func idleClients(b *testing.B, s *server, link string) {
	b.Helper()
	const clients = 5000
	u, err := url.Parse(link)
	if err != nil {
		b.Fatal(err)
	}
	before := residentMiB(b, s.cmd.Process.Pid)
	conns := make([]net.Conn, 0, clients)
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	buf := make([]byte, 64<<10)
	for range clients {
		c, err := net.Dial("tcp", u.Host)
		if err != nil {
			b.Fatal(err)
		}
		conns = append(conns, c)
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", u.RequestURI(), u.Host)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{res.Body}, buf); err != nil || res.StatusCode != http.StatusOK {
			b.Fatalf("%s %v", res.Status, err)
		}
	}
	b.ReportMetric(before, "MiB-before")
	b.ReportMetric(residentMiB(b, s.cmd.Process.Pid), "MiB-with-5000-idle")
}

// residentMiB is the memory that a process holds.
func residentMiB(b *testing.B, pid int) float64 {
	b.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	m := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(data)
	if m == nil {
		b.Fatal("no VmRSS")
	}
	kb, _ := strconv.ParseFloat(string(m[1]), 64)
	return kb / 1024
}

// BenchmarkAPI measures management calls over TLS with bearer tokens from 8
// clients at once, as the SDKs make them.
func BenchmarkAPI(b *testing.B) {
	s := start(b, "")
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {s.ClientID}, "client_secret": {s.ClientSecret}, "scope": {s.Management + "/.default"}}
	resp, err := s.http.PostForm(s.Authority+"/"+s.TenantID+"/oauth2/v2.0/token", form)
	if err != nil {
		b.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	token := regexp.MustCompile(`"access_token":"([^"]+)"`).FindSubmatch(body)
	if token == nil {
		b.Fatalf("no token in %s", body)
	}
	s.http.Transport.(*http.Transport).MaxIdleConnsPerHost = 8
	call := func(method, path, body string) (int, error) {
		req, err := http.NewRequest(method, s.Management+s.account()+path+"?api-version=2022-08-01", strings.NewReader(body))
		if err != nil {
			return 0, err
		}
		req.Header.Set("Authorization", "Bearer "+string(token[1]))
		req.Header.Set("Content-Type", "application/json")
		resp, err := s.http.Do(req)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		io.Copy(io.Discard, resp.Body)
		return resp.StatusCode, nil
	}
	var made atomic.Int64
	for _, tt := range []struct {
		name, method string
		path         func(i int) string
		want         int
	}{
		{"put-asset", http.MethodPut, func(int) string { return fmt.Sprintf("/assets/bench-%d", made.Add(1)-1) }, http.StatusCreated},
		{"get-asset", http.MethodGet, func(int) string { return "/assets/bench-0" }, http.StatusOK},
		{"list-assets", http.MethodGet, func(int) string { return "/assets" }, http.StatusOK},
	} {
		b.Run(tt.name, func(b *testing.B) {
			for b.Loop() {
				const clients, each = 8, 250
				var mu sync.Mutex
				var took []time.Duration
				var wg sync.WaitGroup
				began := time.Now()
				for c := range clients {
					wg.Go(func() {
						for i := range each {
							t := time.Now()
							status, err := call(tt.method, tt.path(c*each+i), `{"properties":{"description":"bench"}}`)
							d := time.Since(t)
							mu.Lock()
							took = append(took, d)
							mu.Unlock()
							if err != nil || status != tt.want {
								b.Errorf("%s: %d %v", tt.name, status, err)
								return
							}
						}
					})
				}
				wg.Wait()
				elapsed := time.Since(began)
				slices.Sort(took)
				b.ReportMetric(float64(len(took))/elapsed.Seconds(), "calls/s")
				b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
				b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}
