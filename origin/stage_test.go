package origin

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
	"github.com/openams/openams/blob/disk"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/middleware"
	"github.com/openams/openams/packager/ism"
	"github.com/openams/openams/packager/mp4"
)

// A stage is a whole server below its API: records, bytes, accounts and a
// streaming endpoint with one asset, published.
type stage struct {
	testing.TB
	db       *catalog.DB
	blobs    *blob.Store
	accounts *account.Server
	account  *account.Account
	asset    *ams.Asset
	handler  *Handler
	url      string       // of the endpoint
	locator  string       // its guid, everything allowed in the clear
	resolved atomic.Int64 // how often a locator was looked up
	opened   atomic.Int64 // how often a blob was opened
	indexDir string
}

const (
	storage   = "teststore"
	container = "asset-film"
)

var (
	mediaOnce  sync.Once
	mediaFiles map[string][]byte
	mediaErr   error
)

// media makes the files of the test asset once for all tests: two rungs with
// the audio in both, 13 s long, GOPs of 2 s.
func media(t testing.TB) map[string][]byte {
	t.Helper()
	mediaOnce.Do(func() {
		var dir string
		if dir, mediaErr = os.MkdirTemp("", "origin-media"); mediaErr != nil {
			return
		}
		defer os.RemoveAll(dir)
		mediaFiles = map[string][]byte{}
		for _, rung := range []struct{ name, size, rate string }{{"film_180.mp4", "320x180", "150k"}, {"film_360.mp4", "640x360", "600k"}} {
			name := filepath.Join(dir, rung.name)
			out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=r=25:s="+rung.size, "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000",
				"-t", "13", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "50", "-keyint_min", "50", "-sc_threshold", "0", "-pix_fmt", "yuv420p",
				"-b:v", rung.rate, "-c:a", "aac", "-b:a", "64k", "-movflags", "+faststart", name).CombinedOutput()
			if err != nil {
				mediaErr = fmt.Errorf("ffmpeg: %v: %s", err, out)
				return
			}
			if mediaFiles[rung.name], mediaErr = os.ReadFile(name); mediaErr != nil {
				return
			}
		}
		m := &ism.Manifest{Formats: "mp4-v3", Streams: []ism.Stream{
			{Kind: ism.Audio, Src: "film_180.mp4", Bitrate: 64000, Language: "eng", TrackID: 2, TrackName: "audio_eng"},
			{Kind: ism.Video, Src: "film_180.mp4", Bitrate: 150000, TrackID: 1, TrackName: "video"},
			{Kind: ism.Video, Src: "film_360.mp4", Bitrate: 600000, TrackID: 1, TrackName: "video"},
		}}
		mediaFiles["film.ism"] = m.Encode()
		mediaFiles["captions.vtt"] = []byte("WEBVTT\n\n00:00.000 --> 00:05.000\nHello\n")
		mediaFiles["page.html"] = []byte("<script>alert(1)</script>")
	})
	if mediaErr != nil {
		t.Fatal(mediaErr)
	}
	return mediaFiles
}

// watched counts what a handler asks of the store and the accounts.
type watched struct {
	*blob.Store
	s *stage
}

func (w watched) Open(ctx context.Context, account, container, name string) (*blob.Reader, error) {
	w.s.opened.Add(1)
	return w.Store.Open(ctx, account, container, name)
}

func (w watched) ResolveLocator(ctx context.Context, host, id string) (*account.Published, error) {
	w.s.resolved.Add(1)
	return w.s.accounts.ResolveLocator(ctx, host, id)
}

func (w watched) EndpointOf(ctx context.Context, host string) (*ams.StreamingEndpoint, error) {
	return w.s.accounts.EndpointOf(ctx, host)
}

func (w watched) FindFilter(ctx context.Context, asset *ams.Asset, name string) (*ams.ManifestFilter, error) {
	return w.s.accounts.FindFilter(ctx, asset, name)
}

// newStage sets everything up. change may change the handler's configuration.
func newStage(t testing.TB, change func(*Config)) *stage {
	t.Helper()
	ctx := t.Context()
	dir := t.TempDir()
	s := &stage{TB: t, indexDir: filepath.Join(dir, "index")}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	s.db, err = catalog.Open(ctx, catalog.Config{Path: filepath.Join(dir, "openams.db")})
	check(err)
	t.Cleanup(func() { s.db.Close() })
	driver, err := disk.New(filepath.Join(dir, "blobs"))
	check(err)
	s.blobs = blob.New(s.db, driver, blob.Options{})
	s.accounts = account.New(account.Config{Catalog: s.db, Blobs: s.blobs, BlobEndpoint: "http://127.0.0.1:1", StreamingHost: "localhost:1"})
	t.Cleanup(s.accounts.Close)
	check(s.accounts.EnsureFirst(ctx, account.First{SubscriptionID: "4b5a6978-0000-0000-0000-000000000001", ResourceGroup: "rg", Account: "acct", Location: "local", StorageAccount: storage}))
	s.account, err = s.accounts.Account(ctx, "4b5a6978-0000-0000-0000-000000000001", "rg", "acct")
	check(err)
	_, err = s.blobs.CreateContainer(ctx, storage, container, blob.ContainerOptions{})
	check(err)
	s.asset, _, err = s.account.CreateOrUpdateAsset(ctx, "film", account.AssetInput{Container: container})
	check(err)
	for name, data := range media(t) {
		s.put(name, data)
	}
	s.locator = s.publish("Predefined_DownloadAndClearStreaming")

	c := Config{
		Locators: watched{s.blobs, s}, Blobs: watched{s.blobs, s}, Changes: changesOf(s.db),
		IndexDir: s.indexDir, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	if change != nil {
		change(&c)
	}
	s.handler = New(c)
	quiet := middleware.Config{Name: "origin", Log: c.Log}
	srv := httptest.NewServer(middleware.Wrap(s.handler, quiet))
	t.Cleanup(func() {
		srv.Close()
		s.handler.Close()
	})
	s.url = srv.URL
	return s
}

// changesOf is the catalog's count of changes.
func changesOf(db any) func() uint64 {
	if c, ok := db.(interface{ Changes() uint64 }); ok {
		return c.Changes
	}
	return nil
}

func (s *stage) put(name string, data []byte) *ams.Blob {
	s.Helper()
	b, err := s.blobs.Put(s.Context(), storage, container, name, bytes.NewReader(data), blob.PutOptions{})
	if err != nil {
		s.Fatal(err)
	}
	return b
}

func (s *stage) remove(name string) {
	s.Helper()
	if err := s.blobs.Delete(s.Context(), storage, container, name, blob.Conditions{}); err != nil {
		s.Fatal(err)
	}
}

// publish makes a locator and returns its guid.
func (s *stage) publish(policy string) string {
	s.Helper()
	l, err := s.account.CreateLocator(s.Context(), "l-"+policy, account.LocatorRequest{Asset: "film", Policy: policy})
	if err != nil {
		s.Fatal(err)
	}
	return l.ID
}

// publishUntil makes a locator that ends.
func (s *stage) publishUntil(end time.Time) string {
	s.Helper()
	l, err := s.account.CreateLocator(s.Context(), "l-ends", account.LocatorRequest{Asset: "film", Policy: "Predefined_ClearStreamingOnly", End: end})
	if err != nil {
		s.Fatal(err)
	}
	return l.ID
}

// at is the URL of a path below the locator.
func (s *stage) at(path string) string { return s.url + "/" + s.locator + "/" + path }

// An ask changes a request.
type ask func(*http.Request)

func header(name, value string) ask {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// do sends a request without any kindness of the client.
func (s *stage) do(method, url string, asks ...ask) (*http.Response, []byte) {
	s.Helper()
	r, err := http.NewRequestWithContext(s.Context(), method, url, nil)
	if err != nil {
		s.Fatal(err)
	}
	for _, a := range asks {
		a(r)
	}
	res, err := plainClient.Do(r)
	if err != nil {
		s.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.Fatalf("%s: %v", url, err)
	}
	if method != http.MethodHead && res.StatusCode != 304 && res.StatusCode != 204 && res.Header.Get("Content-Length") == "" {
		s.Errorf("%s: no Content-Length", url)
	}
	if res.Header.Get("Access-Control-Allow-Origin") != "*" {
		s.Errorf("%s: no CORS header", url)
	}
	return res, body
}

var plainClient = &http.Client{Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64}}

// get gets a path below the locator and wants 200.
func (s *stage) get(path string) []byte {
	s.Helper()
	res, body := s.do("GET", s.at(path))
	if res.StatusCode != 200 {
		s.Fatalf("%s: %s: %s", path, res.Status, body)
	}
	return body
}

// refused gets a path below the locator and wants an error whose text has all
// the words.
func (s *stage) refused(path string, status int, code string, words ...string) {
	s.Helper()
	res, body := s.do("GET", s.at(path))
	if res.StatusCode != status || res.Header.Get("X-Ms-Error-Code") != code || !bytes.Contains(body, []byte("<Code>"+code+"</Code>")) {
		s.Errorf("%s: %s: %.300s; want %d %s", path, res.Status, body, status, code)
		return
	}
	for _, w := range words {
		if !strings.Contains(string(body), w) {
			s.Errorf("%s: %s does not say %q", path, body, w)
		}
	}
}

// index is the persisted index of an MP4.
func index(t testing.TB, file []byte) []byte {
	t.Helper()
	x, err := mp4.BuildIndex(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	data, err := x.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
