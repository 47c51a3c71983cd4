package arm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	azarm "github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/google/go-cmp/cmp"

	"github.com/openams/openams/identity"
	"github.com/openams/openams/middleware"
)

var update = flag.Bool("update", false, "rewrite golden files")

const (
	tenant = "11111111-1111-1111-1111-111111111111"
	sub    = "22222222-2222-2222-2222-222222222222"
	group  = "/subscriptions/" + sub + "/resourceGroups/openams"
	base   = group + "/providers/Microsoft.Media/mediaServices/acc"
)

func facts() *Facts {
	return &Facts{
		TenantID: tenant, TenantName: "openams", SubscriptionID: sub, SubscriptionName: "openams",
		ResourceGroup: "openams", Location: "local", LocationName: "Local",
		StorageAccounts: func(context.Context) ([]StorageAccount, error) {
			return []StorageAccount{{Name: "store", BlobEndpoint: "http://127.0.0.1:10000/store/", Keys: [2]string{"a2V5MQ==", "a2V5Mg=="}}}, nil
		},
	}
}

// tokens checks bearers that are the names of roles.
type tokens struct{}

func (tokens) Check(_ context.Context, aud identity.Audience, bearer string) (*identity.Principal, error) {
	switch bearer {
	case "expired":
		return nil, &identity.TokenError{Reason: identity.Expired, Msg: "The access token expiry UTC time '1/2/2026 3:04:05 AM' is earlier than current UTC time '1/2/2026 4:04:05 AM'."}
	case "bad":
		return nil, &identity.TokenError{Reason: identity.BadSignature, Msg: `The access token is "bad".`}
	case "down":
		return nil, errors.New("the directory is down")
	}
	return &identity.Principal{ID: "oid", AppID: "app", Kind: identity.Application,
		Assignments: []identity.Assignment{{Role: identity.Role(bearer), Scope: "/"}}}, nil
}

// api is a router with a few routes like those of restv3.
func api(log io.Writer) http.Handler {
	rt := NewRouter(RouterConfig{Location: "local", Log: slog.New(slog.NewTextHandler(log, nil)), Fault: func(err error) *Error {
		if err.Error() == "missing" {
			return NotFound()
		}
		return nil
	}})
	facts().Register(rt)
	const account = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/Microsoft.Media/mediaServices/{accountName}"
	show := func(w http.ResponseWriter, r *http.Request) error {
		fmt.Fprintf(w, "%s %s|%s|%s", r.Method, r.PathValue("accountName"), r.PathValue("assetName"), r.PathValue("operationId"))
		return nil
	}
	rt.Handle("GET", account+"/assets", show)
	rt.Handle("GET", account+"/assets/{assetName}", show)
	rt.Handle("PUT", account+"/assets/{assetName}", show)
	rt.Handle("POST", account+"/assets/{assetName}/listContainerSas", show)
	rt.Handle("GET", account+"/assets/{assetName}/tracks/{trackName}/operationStatuses/{operationId}", show)
	rt.Handle("DELETE", account+"/assets/{assetName}", func(http.ResponseWriter, *http.Request) error { return fmt.Errorf("disk on fire") })
	rt.Handle("GET", account+"/jobs/{jobName}", func(http.ResponseWriter, *http.Request) error { return errors.New("missing") })
	rt.Handle("PUT", account+"/jobs/{jobName}", func(w http.ResponseWriter, r *http.Request) error {
		var body struct {
			Properties struct {
				Description string
				Priority    int
			}
		}
		if err := ReadJSON(r, &body); err != nil {
			return err
		}
		return WriteJSON(w, 201, body)
	})
	return Authenticate(tokens{}, tenant, rt)
}

func do(h http.Handler, method, target, bearer, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "https://localhost:8443"+target, strings.NewReader(body))
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const v = "?api-version=2022-08-01"

func TestRoutes(t *testing.T) {
	h := api(io.Discard)
	for _, tt := range []struct {
		method, target string
		want           string
	}{
		{"GET", base + "/assets" + v, "GET acc||"},
		{"GET", base + "/assets/" + v, "GET acc||"},
		{"GET", "//" + base + "/assets" + v, "GET acc||"},
		{"GET", strings.ToUpper(base+"/assets/My") + v, "GET ACC|MY|"},
		{"GET", strings.ToLower(base) + "/ASSETS/Big%20Buck?Api-Version=2018-03-30-preview", "GET acc|Big Buck|"},
		{"GET", base + "/assets/a%2Fb" + v, "GET acc|a/b|"},
		{"GET", base + "/assets/listContainerSas" + v, "GET acc|listContainerSas|"},
		{"GET", base + "/assets/.." + v, "GET acc|..|"},
		{"PUT", base + "/assets/caf%C3%A9" + v, "PUT acc|café|"},
		{"POST", base + "/assets/x/LISTCONTAINERSAS" + v, "POST acc|x|"},
		{"GET", base + "/assets/x/tracks/t/operationstatuses/42" + v, "GET acc|x|42"},
		{"HEAD", base + "/assets/x" + v, "HEAD acc|x|"},
	} {
		if w := do(h, tt.method, tt.target, "Owner", ""); w.Code != 200 || w.Body.String() != tt.want {
			t.Errorf("%s %s: %d %s, want %s", tt.method, tt.target, w.Code, w.Body, tt.want)
		}
	}
	for _, version := range Versions() {
		if w := do(h, "GET", base+"/assets?api-version="+version, "Reader", ""); w.Code != 200 {
			t.Errorf("%s: %d %s", version, w.Code, w.Body)
		}
	}
}

func TestHandleTwice(t *testing.T) {
	rt := NewRouter(RouterConfig{})
	rt.Handle("GET", "/a/{b}", nil)
	defer func() {
		if recover() == nil {
			t.Error("a second route for one path is taken")
		}
	}()
	rt.Handle("GET", "/A/{c}", nil)
}

func TestActionOf(t *testing.T) {
	const account = "/subscriptions/{s}/resourceGroups/{g}/providers/Microsoft.Media/mediaservices/{a}"
	for _, tt := range []struct{ method, pattern, action, typ string }{
		{"GET", account, "Microsoft.Media/mediaservices/read", "mediaservices"},
		{"PATCH", account + "/assets/{n}", "Microsoft.Media/mediaservices/assets/write", "mediaservices/assets"},
		{"DELETE", account + "/transforms/{t}/jobs/{j}", "Microsoft.Media/mediaservices/transforms/jobs/delete", "mediaservices/transforms/jobs"},
		{"POST", account + "/transforms/{t}/jobs/{j}/cancelJob", "Microsoft.Media/mediaservices/transforms/jobs/cancelJob/action", "mediaservices/transforms/jobs"},
		{"POST", "/subscriptions/{s}/providers/Microsoft.Media/locations/{l}/checkNameAvailability", "Microsoft.Media/locations/checkNameAvailability/action", "locations"},
		{"GET", "/subscriptions/{s}", "Microsoft.Resources/subscriptions/read", "subscriptions"},
		{"GET", "/subscriptions", "", "subscriptions"},
		{"GET", "/providers/Microsoft.Media/operations", "", "operations"},
	} {
		_, typ, action := actionOf(tt.method, strings.Split(tt.pattern[1:], "/"))
		if action != tt.action || typ != tt.typ {
			t.Errorf("%s %s: %s, %s", tt.method, tt.pattern, action, typ)
		}
	}
}

// The golden file shows what clients read when a call is refused.
func TestRefusals(t *testing.T) {
	var log bytes.Buffer
	h := api(&log)
	var got bytes.Buffer
	for _, tt := range []struct{ name, method, target, bearer, body string }{
		{"no token", "GET", base + "/assets" + v, "", ""},
		{"bad token", "GET", base + "/assets" + v, "bad", ""},
		{"expired token", "GET", base + "/nothing", "expired", ""},
		{"directory down", "GET", base + "/assets" + v, "down", ""},
		{"reader writes", "PUT", base + "/assets/x" + v, "Reader", "{}"},
		{"reader acts", "POST", base + "/assets/x/listContainerSas" + v, "Reader", ""},
		{"reader deletes in another group", "DELETE", strings.Replace(base, "openams", "g2", 1) + "/assets/x" + v, "Reader", ""},
		{"nobody reads", "GET", base + "/assets/a%2Fb" + v, "Nobody", ""},
		{"no version", "GET", base + "/assets", "Owner", ""},
		{"empty version", "GET", base + "/assets?api-version=", "Owner", ""},
		{"odd version", "GET", base + "/assets?api-version=v3", "Owner", ""},
		{"unknown version", "GET", base + "/assets?api-version=2030-01-01", "Owner", ""},
		{"odd version elsewhere", "GET", "/subscriptions?api-version=x", "Owner", ""},
		{"no such type", "GET", base + "/toasts/x" + v, "Owner", ""},
		{"no such path", "GET", "/toasts" + v, "Owner", ""},
		{"wrong method", "PATCH", base + "/assets/x" + v, "Owner", "{}"},
		{"subscription", "GET", "/subscriptions/x/resourceGroups/openams" + v, "Owner", ""},
		{"group", "GET", strings.Replace(base, "openams", "g2", 1) + "/assets" + v, "Owner", ""},
		{"storage account", "GET", group + "/providers/Microsoft.Storage/storageAccounts/none" + v, "Owner", ""},
		{"namespace", "GET", "/subscriptions/" + sub + "/providers/Microsoft.Toast" + v, "Owner", ""},
		{"entity", "GET", base + "/jobs/x" + v, "Owner", ""},
		{"internal", "DELETE", base + "/assets/x?token=hush&api-version=2022-08-01", "Owner", ""},
		{"no body", "PUT", base + "/jobs/x" + v, "Owner", ""},
		{"no JSON", "PUT", base + "/jobs/x" + v, "Owner", `{"properties":`},
		{"no object", "PUT", base + "/jobs/x" + v, "Owner", `[]`},
		{"two values", "PUT", base + "/jobs/x" + v, "Owner", `{}{}`},
		{"wrong type", "PUT", base + "/jobs/x" + v, "Owner", `{"properties":{"priority":"high"}}`},
		{"too deep", "PUT", base + "/jobs/x" + v, "Owner", `{"a":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`},
		{"too large", "PUT", base + "/jobs/x" + v, "Owner", `{"a":"` + strings.Repeat("x", maxBody) + `"}`},
	} {
		w := do(h, tt.method, tt.target, tt.bearer, tt.body)
		fmt.Fprintf(&got, "-- %s --\n%d\n", tt.name, w.Code)
		for _, k := range []string{"Www-Authenticate", "Allow", "Content-Type"} {
			if s := w.Header().Get(k); s != "" {
				fmt.Fprintf(&got, "%s: %s\n", k, s)
			}
		}
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, w.Body.Bytes(), "", "  "); err != nil {
			t.Errorf("%s: %v: %s", tt.name, err, w.Body)
		}
		fmt.Fprintf(&got, "%s\n", &pretty)
	}
	golden(t, "refusals.golden", got.Bytes())
	if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), "disk on fire") || strings.Contains(log.String(), "hush") {
		t.Errorf("log: %s", &log)
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func TestReadJSON(t *testing.T) {
	type body struct {
		Properties struct {
			Description string
			Priority    int
		}
	}
	for _, in := range []string{
		`{"properties":{"description":"d","priority":2}}`,
		"\xef\xbb\xbf" + ` {"properties":{"description":"d","priority":2,"new":[{}]},"@odata.type":"x"} `,
		`{"Properties":{"DESCRIPTION":"d","priority":2}}`,
	} {
		var b body
		r := httptest.NewRequest("PUT", "/", strings.NewReader(in))
		if err := ReadJSON(r, &b); err != nil || b.Properties.Description != "d" || b.Properties.Priority != 2 {
			t.Errorf("%s: %+v, %v", in, b, err)
		}
	}
	kept := body{}
	kept.Properties.Priority = 7
	if err := ReadOptionalJSON(httptest.NewRequest("POST", "/", nil), &kept); err != nil || kept.Properties.Priority != 7 {
		t.Errorf("%+v, %v", kept, err)
	}
	err := ReadOptionalJSON(httptest.NewRequest("POST", "/", strings.NewReader(`{"properties":{"priority":[]}}`)), &kept)
	if e, ok := errors.AsType[*Error](err); !ok || e.Target != "properties.priority" && e.Target != "Properties.Priority" {
		t.Errorf("%#v", err)
	}
}

func TestWriteResource(t *testing.T) {
	at := time.Date(2020, 7, 20, 20, 32, 32, 913_000_000, time.FixedZone("x", 3600))
	res := &Resource{Name: "a1", ID: base + "/assets/a1", Type: "Microsoft.Media/mediaservices/assets",
		Properties: map[string]any{"container": "asset-1"},
		SystemData: &SystemData{"app", "Application", at, "app", "Application", at}}
	for version, want := range map[string]string{
		"2018-07-01": `{"name":"a1","id":"` + base + `/assets/a1","type":"Microsoft.Media/mediaservices/assets","properties":{"container":"asset-1"}}`,
		"2020-05-01": `{"name":"a1","id":"` + base + `/assets/a1","type":"Microsoft.Media/mediaservices/assets","properties":{"container":"asset-1"},` +
			`"systemData":{"createdAt":"2020-07-20T19:32:32.913Z","createdBy":"app","createdByType":"Application","lastModifiedAt":"2020-07-20T19:32:32.913Z","lastModifiedBy":"app","lastModifiedByType":"Application"}}`,
	} {
		w := httptest.NewRecorder()
		w.Header().Set("ETag", `"1"`)
		if err := WriteResource(w, httptest.NewRequest("GET", "/?api-version="+version, nil), 201, res); err != nil {
			t.Fatal(err)
		}
		if w.Code != 201 || w.Body.String() != want {
			t.Errorf("%s: %d %s", version, w.Code, w.Body)
		}
		for k, want := range map[string]string{
			"Content-Type": "application/json; odata.metadata=minimal", "OData-Version": "4.0", "Cache-Control": "no-cache",
			"Pragma": "no-cache", "Expires": "-1", "X-Content-Type-Options": "nosniff", "Etag": `"1"`,
		} {
			if got := w.Header().Get(k); got != want {
				t.Errorf("%s: %q", k, got)
			}
		}
	}
}

func TestWriteList(t *testing.T) {
	r := httptest.NewRequest("GET", "https://localhost:8443/a%20b?api-version=2022-08-01&$FILTER=name%20eq%20'a+b'&%24SkipToken=old", nil)
	w := httptest.NewRecorder()
	if err := WriteList(w, r, []int{1}, "Asset+517&x"); err != nil {
		t.Fatal(err)
	}
	var got struct {
		NextLink string `json:"@odata.nextLink"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	const want = "https://localhost:8443/a%20b?$FILTER=name%20eq%20%27a%20b%27&$skiptoken=Asset%2B517%26x&api-version=2022-08-01"
	if got.NextLink != want {
		t.Errorf("%s\nwant %s", got.NextLink, want)
	}
	next := httptest.NewRequest("GET", got.NextLink, nil)
	if s := Query(next, "$skiptoken"); s != "Asset+517&x" {
		t.Errorf("skiptoken %q", s)
	}
	if s := Query(next, "$filter"); s != Query(r, "$filter") {
		t.Errorf("filter %q", s)
	}
	w = httptest.NewRecorder()
	if err := WriteList(w, r, []int(nil), ""); err != nil || w.Body.String() != `{"value":[]}` {
		t.Errorf("%s, %v", w.Body, err)
	}
}

func TestOperation(t *testing.T) {
	r := httptest.NewRequest("POST", "http://localhost:8080/x", nil)
	w := httptest.NewRecorder()
	Operation{Status: "/ops/1?api-version=2022-08-01", Location: "https://elsewhere/2"}.SetHeaders(w.Header(), r)
	if err := WriteEmpty(w, 202); err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]string{
		"Azure-AsyncOperation": "http://localhost:8080/ops/1?api-version=2022-08-01", "Location": "https://elsewhere/2", "Retry-After": "1",
	} {
		if got := w.Header().Get(k); got != want {
			t.Errorf("%s: %q", k, got)
		}
	}
	end := time.Date(2022, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		s    OperationStatus
		want string
	}{
		{OperationStatus{Name: "1", Status: InProgress}, `{"name":"1","status":"InProgress"}`},
		{OperationStatus{Name: "1", Status: Failed, EndTime: &end, Error: &Detail{Code: "C", Message: "m"}},
			`{"name":"1","status":"Failed","endTime":"2022-01-02T03:04:05Z","error":{"code":"C","message":"m"}}`},
	} {
		w := httptest.NewRecorder()
		if err := WriteOperation(w, &tt.s); err != nil || w.Body.String() != tt.want || w.Header().Get("Retry-After") != "1" {
			t.Errorf("%s %v, %v", w.Body, w.Header(), err)
		}
	}
}

func TestTooMany(t *testing.T) {
	w := httptest.NewRecorder()
	w.Header().Set("ETag", "stale")
	WriteError(w, TooMany(100*time.Millisecond, "slow down"))
	if w.Code != 429 || w.Header().Get("Retry-After") != "1" || w.Header().Get("ETag") != "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

func TestFacts(t *testing.T) {
	h := api(io.Discard)
	for target, want := range map[string]string{
		"/subscriptions?api-version=2019-11-01":                                                `"displayName":"openams"`,
		"/Subscriptions/" + sub + "?api-version=2019-11-01":                                    `"state":"Enabled"`,
		"/subscriptions/" + sub + "/locations?api-version=2019-11-01":                          `"name":"local"`,
		"/tenants?api-version=2019-11-01":                                                      tenant,
		"/subscriptions/" + sub + "/resourcegroups?api-version=2021-04-01":                     group,
		strings.ToLower(group) + "?api-version=2021-04-01":                                     `"provisioningState":"Succeeded"`,
		"/subscriptions/" + sub + "/providers?api-version=2021-04-01":                          `"resourceType":"mediaServices/assets"`,
		"/subscriptions/" + sub + "/providers/microsoft.media?api-version=2021-04-01":          `"registrationState":"Registered"`,
		"/subscriptions/" + sub + "/providers/Microsoft.Storage/storageaccounts" + v:           "http://127.0.0.1:10000/store/",
		group + "/providers/microsoft.storage/storageAccounts" + v:                             "http://127.0.0.1:10000/store/",
		group + "/providers/Microsoft.Storage/storageAccounts/STORE?api-version=2022-09-01":    `"name":"store"`,
		"/providers/Microsoft.Media/operations?api-version=2021-11-01":                         `"name":"Microsoft.Media/mediaServices/assets/listContainerSas/action"`,
		"/subscriptions/" + sub + "/providers/Microsoft.Storage/storageAccounts?api-version=1": "InvalidApiVersionParameter",
	} {
		w := do(h, "GET", target, "Reader", "")
		if !strings.Contains(w.Body.String(), want) || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s: %d %s lacks %s", target, w.Code, w.Body, want)
		}
		if strings.Contains(w.Body.String(), "a2V5") {
			t.Errorf("%s shows a key to a reader", target)
		}
	}
	keys := group + "/providers/Microsoft.Storage/storageAccounts/store/listKeys" + v
	if w := do(h, "POST", keys, "Reader", ""); w.Code != 403 {
		t.Errorf("a reader lists keys: %d", w.Code)
	}
	if w := do(h, "POST", keys, "Contributor", ""); w.Code != 200 || !strings.Contains(w.Body.String(), `"value":"a2V5MQ=="`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for g, want := range map[string]int{"openams": 204, "other": 404} {
		if w := do(h, "HEAD", "/subscriptions/"+sub+"/resourcegroups/"+g+v, "Reader", ""); w.Code != want {
			t.Errorf("HEAD %s: %d", g, w.Code)
		}
	}
}

func TestMetadata(t *testing.T) {
	h := facts().Metadata()
	w := do(h, "GET", "/metadata/endpoints?api-version=2015-01-01", "", "")
	var old struct {
		Authentication struct {
			LoginEndpoint string
			Audiences     []string
		}
		GalleryEndpoint, GraphEndpoint, PortalEndpoint string
	}
	if err := json.Unmarshal(w.Body.Bytes(), &old); err != nil || old.Authentication.LoginEndpoint != "https://localhost:8443/adfs" ||
		!slices.Equal(old.Authentication.Audiences, []string{"https://localhost:8443"}) || old.GalleryEndpoint == "" || old.GraphEndpoint == "" || old.PortalEndpoint == "" {
		t.Errorf("%s, %v", w.Body, err)
	}
	for _, version := range []string{"2019-05-01", "2022-09-01"} {
		w = do(h, "GET", "/metadata/endpoints?api-version="+version, "", "")
		var clouds []struct {
			Name, ResourceManager, Media string
			Authentication               struct{ LoginEndpoint, Tenant, IdentityProvider string }
			Suffixes                     struct{ Storage string }
		}
		if err := json.Unmarshal(w.Body.Bytes(), &clouds); err != nil || len(clouds) != 1 ||
			clouds[0].ResourceManager != "https://localhost:8443/" || clouds[0].Authentication.LoginEndpoint != "https://localhost:8443/adfs" ||
			clouds[0].Suffixes.Storage != "localhost" {
			t.Errorf("%s, %v", w.Body, err)
		}
	}
	if w := do(h, "GET", "/metadata/endpoints", "", ""); w.Code != 400 {
		t.Errorf("no version: %d", w.Code)
	}
	if w := do(h, "POST", "/metadata/endpoints"+v, "", ""); w.Code != 405 {
		t.Errorf("POST: %d", w.Code)
	}
}

// The official SDK's Resource Manager pipeline signs in at the authority and
// calls the API, over TLS, both on one host.
func TestSDKPipeline(t *testing.T) {
	folder, err := identity.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	authority, err := identity.New(identity.Config{TenantID: folder.TenantID, Directory: folder, Key: folder.Key()})
	if err != nil {
		t.Fatal(err)
	}
	rt := NewRouter(RouterConfig{Location: "local"})
	facts().Register(rt)
	protected := Authenticate(authority, folder.TenantID, rt)
	srv := httptest.NewTLSServer(middleware.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if authority.Serves(r.URL.Path) {
			authority.Handler().ServeHTTP(w, r)
			return
		}
		protected.ServeHTTP(w, r)
	}), middleware.Config{Log: slog.New(slog.NewTextHandler(io.Discard, nil))}))
	defer srv.Close()

	call := func(role identity.Role, method, path string) (int, string) {
		id, secret, err := folder.Ensure(string(role), role)
		if err != nil {
			t.Fatal(err)
		}
		options := policy.ClientOptions{
			Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: srv.URL + "/",
				Services: map[cloud.ServiceName]cloud.ServiceConfiguration{cloud.ResourceManager: {Endpoint: srv.URL, Audience: srv.URL + "/"}}},
			Transport: srv.Client(), Retry: policy.RetryOptions{MaxRetries: -1},
		}
		cred, err := azidentity.NewClientSecretCredential(folder.TenantID, id, secret,
			&azidentity.ClientSecretCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true})
		if err != nil {
			t.Fatal(err)
		}
		client, err := azarm.NewClient("openams", "v0.0.0", cred, &azarm.ClientOptions{ClientOptions: options, DisableRPRegistration: true})
		if err != nil {
			t.Fatal(err)
		}
		req, err := runtime.NewRequest(t.Context(), method, runtime.JoinPaths(client.Endpoint(), path))
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Pipeline().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		if id := res.Header.Get("x-ms-request-id"); id == "" {
			t.Error("no request id")
		}
		return res.StatusCode, string(b)
	}
	keys := group + "/providers/Microsoft.Storage/storageAccounts/store/listKeys?api-version=2022-09-01"
	for _, tt := range []struct {
		role         identity.Role
		method, path string
		code         int
		want         string
	}{
		{identity.Contributor, "GET", "/subscriptions?api-version=2019-11-01", 200, sub},
		{identity.Reader, "GET", "/subscriptions/" + sub + "?api-version=2019-11-01", 200, sub},
		{identity.Contributor, "POST", keys, 200, "a2V5MQ=="},
		{identity.Reader, "POST", keys, 403, "Microsoft.Storage/storageAccounts/listKeys/action"},
	} {
		if code, body := call(tt.role, tt.method, tt.path); code != tt.code || !strings.Contains(body, tt.want) {
			t.Errorf("%s %s %s: %d %s", tt.role, tt.method, tt.path, code, body)
		}
	}
}

func TestParseID(t *testing.T) {
	for _, tt := range []struct {
		in, typ, name, parent string
	}{
		{base + "/assets/a b", "Microsoft.Media/mediaServices/assets", "a b", base},
		{base, "Microsoft.Media/mediaServices", "acc", group},
		{group, "Microsoft.Resources/resourceGroups", "openams", "/subscriptions/" + sub},
		{"/subscriptions/" + sub, "Microsoft.Resources/subscriptions", sub, "/subscriptions/" + sub},
		{"/subscriptions/s/providers/Microsoft.Media/locations/local", "Microsoft.Media/locations", "local", "/subscriptions/s"},
	} {
		id, err := ParseID(tt.in)
		if err != nil || id.String() != tt.in || id.Type() != tt.typ || id.Name() != tt.name || id.Parent().String() != tt.parent {
			t.Errorf("%s: %+v %s, %v", tt.in, id, id.Parent(), err)
		}
		if upper, err := ParseID(strings.ToUpper(tt.in)); err != nil || !upper.Equal(id) {
			t.Errorf("%s: %v, %v", tt.in, upper, err)
		}
	}
	for _, bad := range []string{"", "/", "x", "/subscriptions", "/subscriptions/s/x", "/subscriptions/s/resourceGroups//providers/N/t/n",
		"/subscriptions/s/providers/N", "/subscriptions/s/providers/N/t", "/s/s", "/subscriptions/" + strings.Repeat("x", maxID), strings.Repeat("/subscriptions/s", 20)} {
		if id, err := ParseID(bad); err == nil {
			t.Errorf("%q is %+v", bad, id)
		}
	}
	id, _ := ParseID(base)
	a, b := id.Child("assets", "a"), id.Child("assets", "b")
	if a.String() != base+"/assets/a" || b.String() != base+"/assets/b" {
		t.Errorf("%s %s", a, b)
	}
}

func FuzzParseID(f *testing.F) {
	f.Add(base + "/assets/x")
	f.Add("/SUBSCRIPTIONS/s/RESOURCEGROUPS/g/")
	f.Add("/subscriptions/s/providers/n/t/n")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseID(s)
		if err != nil {
			return
		}
		again, err := ParseID(id.String())
		if err != nil || !cmp.Equal(again, id) {
			t.Fatalf("%q: %#v reads back as %#v, %v", s, id, again, err)
		}
		id.Parent()
	})
}

func FuzzReadJSON(f *testing.F) {
	f.Add(`{"properties":{"description":"d","outputs":[{"preset":{"@odata.type":"#Microsoft.Media.BuiltInStandardEncoderPreset"}}]}}`)
	f.Add("\xef\xbb\xbf{}")
	f.Add(`{"a":"\\"}`)
	f.Add(strings.Repeat("[", 100))
	f.Fuzz(func(t *testing.T, s string) {
		var into map[string]any
		err := ReadJSON(httptest.NewRequest("PUT", "/", strings.NewReader(s)), &into)
		if err != nil {
			if e, ok := errors.AsType[*Error](err); !ok || e.Status != 400 {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		if into == nil || !json.Valid([]byte(strings.TrimPrefix(s, "\xef\xbb\xbf"))) {
			t.Fatalf("%q is taken", s)
		}
	})
}

func FuzzRouter(f *testing.F) {
	h := api(io.Discard)
	f.Add(base[1:] + "/assets/x")
	f.Add("%zz//..")
	f.Fuzz(func(t *testing.T, path string) {
		r, err := http.NewRequest("GET", "https://localhost/"+path, nil)
		if err != nil {
			return
		}
		r.Header.Set("Authorization", "Bearer Nobody")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		// Whoever has no role sees what every caller does, and no more.
		if w.Code == 200 && !strings.EqualFold(strings.Trim(r.URL.Path, "/"), "subscriptions") &&
			!strings.EqualFold(strings.Trim(r.URL.Path, "/"), "tenants") && !strings.Contains(strings.ToLower(r.URL.Path), "operations") {
			t.Fatalf("%q: %d %s", path, w.Code, w.Body)
		}
	})
}
