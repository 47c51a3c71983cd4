package restv2_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openams/openams/account"
	"github.com/openams/openams/blob"
	"github.com/openams/openams/blob/disk"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/encoder"
	"github.com/openams/openams/identity"
	"github.com/openams/openams/middleware"
	"github.com/openams/openams/restv2"
)

// tokens are callers by the name of their role, everywhere or at a scope:
// "Reader@/subscriptions/s".
type tokens struct{}

func (tokens) Check(_ context.Context, aud identity.Audience, bearer string) (*identity.Principal, error) {
	if aud != identity.Media || bearer == "bad" {
		return nil, &identity.TokenError{Reason: identity.WrongAudience, Msg: "not for this service"}
	}
	role, scope, scoped := strings.Cut(bearer, "@")
	if !scoped {
		scope = "/"
	}
	return &identity.Principal{ID: "p", Assignments: []identity.Assignment{{Role: identity.Role(role), Scope: scope}}}, nil
}

func newServer(t *testing.T) *httptest.Server {
	t.Helper()
	s, _, _ := newWorld(t)
	return s
}

// newWorld is newServer, with the account behind it and its blobs.
func newWorld(t *testing.T) (*httptest.Server, *account.Account, *blob.Store) {
	t.Helper()
	w := openWorld(t)
	return w.Server, w.account, w.blobs
}

// A world is a server with all that is behind it.
type world struct {
	*httptest.Server
	account  *account.Account
	accounts *account.Server
	blobs    *blob.Store
	db       *catalog.DB
}

func openWorld(t *testing.T) *world {
	t.Helper()
	ctx, dir := t.Context(), t.TempDir()
	db, err := catalog.Open(ctx, catalog.Config{Path: filepath.Join(dir, "openams.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	driver, err := disk.New(filepath.Join(dir, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	blobs := blob.New(db, driver, blob.Options{})
	accounts := account.New(account.Config{Catalog: db, Blobs: blobs,
		BlobEndpoint: "http://127.0.0.1:10000", StreamingHost: "localhost:8888", KeyDelivery: "http://localhost:8888/keys", Log: slog.New(slog.DiscardHandler),
		Supports: encoder.Supported, TaskPreset: encoder.TaskPreset})
	t.Cleanup(accounts.Close)
	if err := accounts.EnsureFirst(ctx, account.First{SubscriptionID: "s", ResourceGroup: "g", Account: "openams", Location: "local", StorageAccount: "store"}); err != nil {
		t.Fatal(err)
	}
	s := serve(t, accounts, "openams")
	acc, err := accounts.Account(ctx, "s", "g", "openams")
	if err != nil {
		t.Fatal(err)
	}
	return &world{s, acc, accounts, blobs, db}
}

// serve is the v2 API of an account.
func serve(t *testing.T, accounts *account.Server, name string) *httptest.Server {
	t.Helper()
	face, err := restv2.New(restv2.Config{Tokens: tokens{}, Path: "/api/", Log: slog.New(slog.DiscardHandler),
		Account: func(r *http.Request) (*account.Account, error) { return accounts.Account(r.Context(), "s", "g", name) }})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(middleware.Wrap(face, middleware.Config{Name: "media", Log: slog.New(slog.DiscardHandler)}))
	t.Cleanup(s.Close)
	return s
}

// ask sends a request in JSON light and returns the status, the headers and
// the members of the answer.
func ask(t *testing.T, s *httptest.Server, role, method, path, body string) (int, http.Header, map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+"/api/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"Accept": "application/json", "Content-Type": "application/json", "x-ms-version": "2.19", "Authorization": "Bearer " + role} {
		r.Header.Set(name, value)
	}
	resp, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if len(b) > 0 {
		if err := json.Unmarshal(b, &v); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
	}
	return resp.StatusCode, resp.Header, v
}

// finish polls an operation to its end.
func finish(t *testing.T, s *httptest.Server, h http.Header) map[string]any {
	t.Helper()
	id := h.Get("operation-id")
	deadline := time.Now().Add(20 * time.Second)
	for {
		code, _, op := ask(t, s, "Reader", "GET", "Operations('"+id+"')", "")
		if code != 200 || time.Now().After(deadline) {
			t.Fatalf("%s: %d %v", id, code, op)
		}
		if op["State"] != "InProgress" {
			return op
		}
	}
}

// A streaming endpoint is made, changed, started and deleted as v2 had it.
func TestStreamingEndpoint(t *testing.T) {
	s := newServer(t)
	code, h, e := ask(t, s, "Contributor", "POST", "StreamingEndpoints", `{"Name":"second","Description":"d","CacheControl":{"MaxAge":"60"},
		"AccessControl":{"IP":{"Allow":[{"Name":"all","Address":"0.0.0.0","SubnetPrefixLength":0}]},
		"Akamai":{"AkamaiSignatureHeaderAuthenticationKeyList":[{"Identifier":"i","Expiration":"2030-01-01T00:00:00","Base64Key":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTIzNA=="}]}}}`)
	if code != 202 || !strings.HasPrefix(h.Get("operation-id"), "nb:opid:UUID:") {
		t.Fatalf("%d %v %v", code, h, e)
	}
	id := e["Id"].(string)
	path := "StreamingEndpoints('" + strings.ToUpper(id[len(id)-36:]) + "')"
	path = strings.Replace(path, "('", "('nb:oid:UUID:", 1)
	if op := finish(t, s, h); op["State"] != "Succeeded" || op["TargetEntityId"] != id {
		t.Errorf("%v", op)
	}
	if code, _, _ := ask(t, s, "Contributor", "POST", "StreamingEndpoints", `{"Name":"second"}`); code != 409 {
		t.Errorf("a second one of the name: %d", code)
	}
	for _, step := range []struct{ method, path, body, state string }{
		{"POST", path + "/Start", "", "Running"},
		{"POST", path + "/Scale", `{"scaleUnits":"2"}`, "Running"},
		{"MERGE", path, `{"Description":"new","CacheControl":null}`, "Running"},
		{"POST", path + "/Stop", "", "Stopped"},
	} {
		code, h, v := ask(t, s, "Contributor", step.method, step.path, step.body)
		if code != 202 {
			t.Fatalf("%s %s: %d %v", step.method, step.path, code, v)
		}
		finish(t, s, h)
		if _, _, e = ask(t, s, "Contributor", "GET", path, ""); e["State"] != step.state {
			t.Errorf("after %s: %v", step.path, e)
		}
	}
	if e["ScaleUnits"] != 2.0 || e["Description"] != "new" || e["CacheControl"] != nil {
		t.Errorf("%v", e)
	}
	key := func(role string) any {
		_, _, e := ask(t, s, role, "GET", path, "")
		list := e["AccessControl"].(map[string]any)["Akamai"].(map[string]any)["AkamaiSignatureHeaderAuthenticationKeyList"].([]any)
		return list[0].(map[string]any)["Base64Key"]
	}
	if key("Reader") != "" || key("Contributor") == "" {
		t.Error("a Reader sees a secret, or a Contributor none")
	}
	_, _, list := ask(t, s, "Reader", "GET", "StreamingEndpoints?$filter=Name%20eq%20'default'&$select=Name", "")
	if v := list["value"].([]any); len(v) != 1 {
		t.Errorf("%v", list)
	}
	code, h, _ = ask(t, s, "Contributor", "DELETE", path, "")
	if code != 202 || finish(t, s, h)["State"] != "Succeeded" {
		t.Errorf("%d", code)
	}
	if code, _, _ = ask(t, s, "Contributor", "GET", path, ""); code != 404 {
		t.Errorf("deleted, but %d", code)
	}
}

// A filter of the account, as the documents of v2 print it.
func TestFilter(t *testing.T) {
	s := newServer(t)
	body := `{"Name":"GlobalFilter","PresentationTimeRange":{"StartTimestamp":"0","EndTimestamp":"9223372036854775807",
		"PresentationWindowDuration":"12000000000","LiveBackoffDuration":"0","Timescale":"10000000"},
		"Tracks":[{"PropertyConditions":[{"Property":"Type","Value":"audio","Operator":"Equal"},{"Property":"Bitrate","Value":"0-2147483647","Operator":"Equal"}]}]}`
	code, _, f := ask(t, s, "Contributor", "POST", "Filters", body)
	if code != 201 {
		t.Fatalf("%d %v", code, f)
	}
	if code, _, _ := ask(t, s, "Contributor", "POST", "Filters", body); code != 409 {
		t.Errorf("a second one of the name: %d", code)
	}
	if code, _, v := ask(t, s, "Contributor", "MERGE", "Filters('GlobalFilter')", `{"FirstQuality":{"Bitrate":"550000"}}`); code != 204 {
		t.Errorf("%d %v", code, v)
	}
	_, _, f = ask(t, s, "Reader", "GET", "Filters('GlobalFilter')", "")
	delete(f, "odata.metadata")
	b, err := json.Marshal(f)
	if want := `{"FirstQuality":{"Bitrate":550000},"Name":"GlobalFilter","PresentationTimeRange":{"EndTimestamp":"9223372036854775807","ForceEndTimestamp":false,"LiveBackoffDuration":"0","PresentationWindowDuration":"12000000000","StartTimestamp":"0","Timescale":"10000000"},"Tracks":[{"PropertyConditions":[{"Operator":"Equal","Property":"Type","Value":"audio"},{"Operator":"Equal","Property":"Bitrate","Value":"0-2147483647"}]}]}`; string(b) != want || err != nil {
		t.Errorf("%s\n%s", b, want)
	}
	for _, code := range []int{204, 404} {
		if got, _, _ := ask(t, s, "Contributor", "DELETE", "Filters('GlobalFilter')", ""); got != code {
			t.Errorf("%d, want %d", got, code)
		}
	}
}

func TestLists(t *testing.T) {
	s, acc, blobs := newWorld(t)
	_, _, v := ask(t, s, "Reader", "GET", "MediaProcessors()?$filter=Name%20eq%20'Media%20Encoder%20Standard'", "")
	if p := v["value"].([]any)[0].(map[string]any); p["Id"] != "nb:mpid:UUID:ff4df607-d419-42f0-bc17-a481b1331e56" || p["Version"] != "1.1" {
		t.Errorf("%v", v)
	}
	if _, _, v = ask(t, s, "Reader", "GET", "StorageAccounts('store')", ""); v["IsDefault"] != true || v["BytesUsed"] != "0" {
		t.Errorf("%v", v)
	}
	e, id := create(t, s, "Assets", `{"Name":"a"}`)
	if _, err := blobs.Put(t.Context(), "store", strings.TrimPrefix(fmt.Sprint(e["Uri"]), "http://127.0.0.1:10000/store/"), "x", strings.NewReader("12345"), blob.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) { // until the last count is too old
		_, _, v = ask(t, s, "Reader", "GET", "Assets('"+id+"')/StorageAccount", "")
		if v["BytesUsed"] == "5" {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%v", v)
		}
	}
	if n, err := acc.StorageBytes(t.Context(), "store"); n != 5 || err != nil {
		t.Errorf("%d %v", n, err)
	}
}

// Who may not write is told so, whatever the body is and whatever there is.
func TestReaderWritesNothing(t *testing.T) {
	s, _, _ := newWorld(t)
	var m struct {
		Value []struct{ Name string }
	}
	status, body := sendAs(t, s, "application/json", "application/json", "GET", "", "")
	if err := json.Unmarshal([]byte(body), &m); err != nil || status != 200 || len(m.Value) < 20 {
		t.Fatal(status, body, err)
	}
	for _, set := range m.Value {
		for _, method := range []string{"POST", "MERGE", "PUT", "PATCH", "DELETE"} {
			path := set.Name
			if method != "POST" {
				path += "('x')"
			}
			code, _, v := ask(t, s, "Reader", method, path, `{"no":"body"}`)
			if code != 403 && code != 405 && (code != 400 || !strings.Contains(fmt.Sprint(v), "cannot be updated")) {
				t.Errorf("%s %s: %d %v", method, path, code, v)
			}
		}
	}
	for path, body := range map[string]string{"Assets('x')/Files": "{", "Assets('x')/$links/ContentKeys": "{", "Jobs('x')/Tasks": "{",
		"StreamingEndpoints('x')/Start": "{", "Assets('x')/Publish": "{"} {
		if code, _, v := ask(t, s, "Reader", "POST", path, body); code != 403 {
			t.Errorf("POST %s: %d %v", path, code, v)
		}
	}
}

func TestRefused(t *testing.T) {
	s := newServer(t)
	for _, tt := range []struct {
		role, method, path, body string
		code                     int
	}{
		{"bad", "GET", "StorageAccounts", "", 401},
		{"Nobody", "GET", "StorageAccounts", "", 403},
		{"Reader", "POST", "StreamingEndpoints", `{"Name":"x"}`, 403},
		{"Reader", "POST", "StreamingEndpoints('nb:oid:UUID:x')/Start", ``, 403},
		{"Contributor", "POST", "StreamingEndpoints('nb:oid:UUID:x')/Start", ``, 404},
		{"Contributor", "POST", "StreamingEndpoints", `{"Name":"no such name!"}`, 400},
		{"Contributor", "GET", "Operations('nb:opid:UUID:x')", "", 404},
		{"Contributor", "GET", "Channels", "", 501},
		{"Contributor", "GET", "CancelJob?jobid=''", "", 404},
		{"Reader", "GET", "CancelJob?jobid=''", "", 403},
	} {
		code, _, v := ask(t, s, tt.role, tt.method, tt.path, tt.body)
		if code != tt.code || v["odata.error"] == nil {
			t.Errorf("%+v: %d %v", tt, code, v)
		}
	}
}
