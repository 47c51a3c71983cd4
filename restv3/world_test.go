package restv3_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
	"github.com/openams/openams/blob/disk"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/identity"
	"github.com/openams/openams/middleware"
	"github.com/openams/openams/restv3"
	"github.com/openams/openams/restv3/arm"
)

var update = flag.Bool("update", false, "rewrite golden files and docs/coverage.md")

// A world is a server over a real catalog, real blobs and a real authority,
// behind TLS because the SDKs take nothing else.
type world struct {
	t        testing.TB
	server   *httptest.Server
	accounts *account.Server
	db       *catalog.DB
	blobs    *blob.Store
	folder   *identity.Folder
	appID    string // of a Contributor
	secret   string
	tokens   map[string]string // by role
	account  string            // URL path of the account
	dir      string            // of the catalog and the blobs
}

// principals is a folder of identities that all tests share: making RSA keys
// takes long.
var principals string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "restv3")
	if err != nil {
		panic(err)
	}
	principals = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// newWorld starts a server; tune may change how.
func newWorld(t testing.TB, tune func(*account.Config)) *world {
	t.Helper()
	ctx, dir := t.Context(), t.TempDir()
	w := &world{t: t, tokens: map[string]string{}, dir: dir}
	w.folder = must(identity.Open(principals))(t)
	w.db = must(catalog.Open(ctx, catalog.Config{Path: filepath.Join(dir, "openams.db")}))(t)
	t.Cleanup(func() { w.db.Close() })
	w.blobs = blob.New(w.db, must(disk.New(filepath.Join(dir, "blobs")))(t), blob.Options{})
	c := account.Config{
		Catalog: w.db, Blobs: w.blobs,
		BlobEndpoint: "http://127.0.0.1:10000", StreamingHost: "localhost:8888",
		Supports: func(p ams.Preset) error {
			if p.Type != ams.BuiltIn || strings.Contains(string(p.Body), "H265") {
				return ams.Errorf(ams.Unsupported, "the preset %s %s", p.Type, p.Body)
			}
			return nil
		},
		SupportsInput: func(in ams.JobInput) error {
			if in.Inputs != nil || in.Start != nil {
				return ams.Errorf(ams.Unsupported, "the input %s %s", in.Kind, in.Start)
			}
			return nil
		},
		CheckURL: func(u string) error {
			if strings.Contains(u, "10.0.0.1") {
				return io.EOF
			}
			return nil
		},
		Log: slog.New(slog.DiscardHandler),
	}
	if tune != nil {
		tune(&c)
	}
	w.accounts = account.New(c)
	t.Cleanup(w.accounts.Close)
	const group = "openams"
	if err := w.accounts.EnsureFirst(ctx, account.First{
		SubscriptionID: w.folder.SubscriptionID, ResourceGroup: group, Account: "openams", Location: "local", StorageAccount: "openamsstore",
	}); err != nil {
		t.Fatal(err)
	}
	facts := &arm.Facts{
		TenantID: w.folder.TenantID, SubscriptionID: w.folder.SubscriptionID, ResourceGroup: group, Location: "local",
	}
	mux := http.NewServeMux()
	w.server = httptest.NewTLSServer(middleware.Wrap(mux, middleware.Config{Name: "management", Log: slog.New(slog.DiscardHandler)}))
	t.Cleanup(w.server.Close)
	host := must(url.Parse(w.server.URL))(t).Host
	authority := must(identity.New(identity.Config{TenantID: w.folder.TenantID, Hosts: []string{host}, Directory: w.folder, Key: w.folder.Key()}))(t)
	face := restv3.New(restv3.Config{Accounts: w.accounts, Facts: facts, Tokens: authority, TenantID: w.folder.TenantID, Log: slog.New(slog.DiscardHandler)})
	mux.HandleFunc("/", func(rw http.ResponseWriter, r *http.Request) {
		if authority.Serves(r.URL.Path) {
			authority.Handler().ServeHTTP(rw, r)
			return
		}
		face.ServeHTTP(rw, r)
	})
	w.account = "/subscriptions/" + w.folder.SubscriptionID + "/resourceGroups/openams/providers/Microsoft.Media/mediaServices/openams"
	for _, role := range []identity.Role{identity.Contributor, identity.Reader} {
		id, secret, err := w.folder.Ensure(string(role), role)
		if err != nil {
			t.Fatal(err)
		}
		if role == identity.Contributor {
			w.appID, w.secret = id, secret
		}
		w.tokens[string(role)] = w.token(id, secret)
	}
	return w
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (w *world) token(id, secret string) string {
	w.t.Helper()
	resp, err := w.server.Client().PostForm(w.server.URL+"/"+w.folder.TenantID+"/oauth2/v2.0/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}, "scope": {w.server.URL + "/.default"},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	var body struct {
		Token string `json:"access_token"`
	}
	if json.NewDecoder(resp.Body).Decode(&body); body.Token == "" {
		w.t.Fatalf("no token: %s", resp.Status)
	}
	return body.Token
}

// An answer is what a client got.
type answer struct {
	status int
	header http.Header
	body   string
}

// at is the value at a path such as "properties.outputs.0.state", or nil.
func (a answer) at(path string) any {
	var v any
	if json.Unmarshal([]byte(a.body), &v) != nil {
		return nil
	}
	for name := range strings.SplitSeq(path, "/") {
		switch x := v.(type) {
		case map[string]any:
			v = x[name]
		case []any:
			var i int
			if json.Unmarshal([]byte(name), &i) != nil || i >= len(x) {
				return nil
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}

// do sends a request as a Contributor. path is below the account, or absolute
// when it begins with "/subscriptions" or "https://"; an api-version is added
// unless it has a query with one.
func (w *world) do(method, path, body string) answer {
	return w.as("Contributor", method, path, body)
}

func (w *world) as(role, method, path, body string) answer {
	w.t.Helper()
	if !strings.HasPrefix(path, "https://") {
		if !strings.HasPrefix(path, "/subscriptions") && !strings.HasPrefix(path, "/providers") {
			path = w.account + path
		}
		path = w.server.URL + path
	}
	if !strings.Contains(path, "api-version=") && !strings.Contains(path, "nov=") {
		sep := "?"
		if strings.Contains(path, "?") {
			sep = "&"
		}
		path += sep + "api-version=2022-08-01"
	}
	req, err := http.NewRequest(method, path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if token := w.tokens[role]; token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := w.server.Client().Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

// want is do, and fails unless the status is as given.
func (w *world) want(status int, method, path, body string) answer {
	w.t.Helper()
	a := w.do(method, path, body)
	if a.status != status {
		w.t.Fatalf("%s %s: status %d, want %d\n%s", method, path, a.status, status, a.body)
	}
	return a
}

// refused is do, and fails unless the answer is an error of that status, code
// and target whose message contains text.
func (w *world) refused(status int, code, target, text, method, path, body string) {
	w.t.Helper()
	a := w.do(method, path, body)
	got, _ := a.at("error/target").(string)
	message, _ := a.at("error/message").(string)
	if a.status != status || a.at("error/code") != code || got != target || !strings.Contains(message, text) {
		w.t.Errorf("%s %s %s:\n%d %s\nwant %d %s at %q with %q", method, path, body, a.status, a.body, status, code, target, text)
	}
}

// put writes a blob into the container of an asset.
func (w *world) put(asset, name string) {
	w.t.Helper()
	a := w.want(200, "GET", "/assets/"+asset, "")
	_, err := w.blobs.Put(w.t.Context(), "openamsstore", a.at("properties/container").(string), name, strings.NewReader("x"), blob.PutOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
}

// masks hide what differs from run to run in golden bodies.
var masks = []struct {
	re   *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "GUID"},
	{regexp.MustCompile(`sig=[^"&]*`), "sig=SIGNATURE"},
	{regexp.MustCompile(`127\.0\.0\.1:\d{5}\b`), "HOST"},
}

// golden compares a body, indented and masked, with testdata/name.
func golden(t *testing.T, name, body string) {
	t.Helper()
	got := body
	for _, m := range masks {
		got = m.re.ReplaceAllString(got, m.with)
	}
	var b bytes.Buffer
	if json.Indent(&b, []byte(got), "", "  ") == nil {
		got = b.String()
	}
	got += "\n"
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// clock is the time in golden bodies.
func clock() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 890123400, time.UTC) }
