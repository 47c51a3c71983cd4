package restv3_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/openams/openams/account"
	"github.com/openams/openams/blob"
	"github.com/openams/openams/blob/disk"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/identity"
	"github.com/openams/openams/restv3"
	"github.com/openams/openams/restv3/arm"
)

// allowed lists, for each role, what it may do besides reading (GET), as
// Azure's built-in roles define it: operations, or all of a group, less those
// with a minus. It is written from those definitions, not from the code.
var allowed = map[identity.Role]string{
	identity.Owner:       "*",
	identity.Contributor: "*",
	identity.Reader:      "",
	identity.MediaAccountAdministrator: `assets.listStreamingLocators streamingLocators.listPaths
		mediaservices.createOrUpdate mediaservices.update mediaservices.delete privateEndpointConnections.*`,
	identity.MediaLiveEventsAdministrator: `assets.* -assets.getEncryptionKey assetFilters.* tracks.*
		streamingLocators.* -streamingLocators.listContentKeys liveEvents.* liveOutputs.*`,
	identity.MediaOperator: `assets.* -assets.getEncryptionKey assetFilters.* tracks.*
		streamingLocators.* -streamingLocators.listContentKeys jobs.*`,
	identity.MediaPolicyAdministrator: `assets.listStreamingLocators streamingLocators.listPaths accountFilters.* streamingPolicies.*
		contentKeyPolicies.* -contentKeyPolicies.getPolicyPropertiesWithSecrets transforms.* jobs.*`,
	identity.MediaStreamingEndpointsAdministrator: `assets.listStreamingLocators streamingLocators.listPaths streamingEndpoints.*`,
}

// mayDo reports whether a role may do an operation.
func mayDo(role identity.Role, op, method string) bool {
	group, _, _ := strings.Cut(op, ".")
	words := strings.Fields(allowed[role])
	switch {
	case slices.Contains(words, "-"+op):
		return false
	case op == "operations.list": // belongs to no subscription: anybody with a token
		return true
	case method == http.MethodGet && strings.Contains(op, "."):
		// Media roles read what is in an account and the account, but not the
		// subscription around it.
		outside := op == "mediaservices.listBySubscription" || op == "mediaServicesOperationResults.get" || op == "mediaServicesOperationStatuses.get"
		if !outside || slices.Contains(words, "*") || role == identity.Reader {
			return true
		}
		return op == "mediaservices.listBySubscription" // Microsoft.Media/mediaservices/read
	}
	return slices.Contains(words, "*") || slices.Contains(words, op) || slices.Contains(words, group+".*")
}

// TestAuthorization asks for every operation of the API with every kind of
// token. What is named in the paths does not exist: who may do something gets
// another answer than who may not, and nothing happens.
func TestAuthorization(t *testing.T) {
	b, err := os.ReadFile("operations.json")
	if err != nil {
		t.Fatal(err)
	}
	var operations []struct{ Op, Method, Path string }
	if err := json.Unmarshal(b, &operations); err != nil || len(operations) != 99 {
		t.Fatal(len(operations), err)
	}
	for _, o := range operations { // ours stands beside AMS's
		if o.Op == "jobs.get" {
			o.Op, o.Path = "jobs.explain", o.Path+"/explanation"
			operations = append(operations, o)
		}
	}
	dir := t.TempDir()
	f := must(identity.Open(filepath.Join(dir, "secrets")))(t)
	now := time.Now()
	const host = "localhost:8443"
	authority := must(identity.New(identity.Config{TenantID: f.TenantID, Hosts: []string{host}, Directory: f, Key: f.Key(),
		Now: func() time.Time { return now }}))(t)
	db := must(catalog.Open(t.Context(), catalog.Config{Path: filepath.Join(dir, "openams.db")}))(t)
	defer db.Close()
	accounts := account.New(account.Config{Catalog: db, Blobs: blob.New(db, must(disk.New(filepath.Join(dir, "blobs")))(t), blob.Options{})})
	defer accounts.Close()
	face := restv3.New(restv3.Config{Accounts: accounts, Tokens: authority, TenantID: f.TenantID, Log: slog.New(slog.DiscardHandler),
		Facts: &arm.Facts{TenantID: f.TenantID, SubscriptionID: f.SubscriptionID, ResourceGroup: "openams", Location: "local"}})

	// The tokens.
	role := map[string]identity.Role{} // by the name of a credential
	bearer := map[string]string{}      // the Authorization header
	reason := map[string][2]string{    // of a refusal: its code, and a part of its text
		"none":           {"AuthenticationFailed", "missing"},
		"other scheme":   {"AuthenticationFailed", "invalid format"},
		"malformed":      {"InvalidAuthenticationToken", "invalid"},
		"expired":        {"ExpiredAuthenticationToken", "expiry"},
		"not signed":     {"InvalidAuthenticationToken", "signature"},
		"wrong audience": {"InvalidAuthenticationToken", "audience"},
		"wrong issuer":   {"InvalidAuthenticationToken", "issuer"},
	}
	for r := range allowed {
		name := strings.ReplaceAll(string(r), " ", "-")
		id, secret, err := f.Create(name, identity.Application, []identity.Assignment{{Role: r, Scope: "/"}})
		if err != nil {
			t.Fatal(err)
		}
		role[name] = r
		bearer[name] = "Bearer " + buy(t, authority, url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}, "resource": {"https://" + host + "/"}})
		if r != identity.Owner {
			continue
		}
		bearer["wrong audience"] = "Bearer " + buy(t, authority, url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}, "resource": {"https://rest.media.azure.net"}})
	}
	// A person is as good as a principal.
	if _, err := f.CreatePerson("alice", "", "correct horse", []identity.Assignment{{Role: identity.MediaOperator, Scope: "/"}}); err != nil {
		t.Fatal(err)
	}
	role["alice"] = identity.MediaOperator
	bearer["alice"] = "Bearer " + buy(t, authority, url.Values{"grant_type": {"password"}, "client_id": {uuid.NewString()}, "username": {"alice"}, "password": {"correct horse"}, "resource": {"https://" + host + "/"}})
	// Roles hold below their scope alone.
	elsewhere, secret, err := f.Create("elsewhere", identity.Application, []identity.Assignment{{Role: identity.Owner, Scope: "/subscriptions/" + uuid.NewString()}})
	if err != nil {
		t.Fatal(err)
	}
	role["elsewhere"] = ""
	bearer["elsewhere"] = "Bearer " + buy(t, authority, url.Values{"grant_type": {"client_credentials"}, "client_id": {elsewhere}, "client_secret": {secret}, "resource": {"https://" + host + "/"}})

	owner := strings.TrimPrefix(bearer["Owner"], "Bearer ")
	bearer["none"], bearer["other scheme"] = "", "Basic b3duZXI6eA=="
	bearer["malformed"], bearer["not signed"] = "Bearer x.y.z", bearer["Owner"][:len(bearer["Owner"])-8]+"AAAAAAAA"
	change := func(edit func(jwt.MapClaims)) string {
		c := jwt.MapClaims{}
		old, _, err := jwt.NewParser().ParseUnverified(owner, c)
		if err != nil {
			t.Fatal(err)
		}
		edit(c)
		signed := jwt.NewWithClaims(jwt.SigningMethodRS256, c)
		signed.Header["kid"] = old.Header["kid"]
		return "Bearer " + must(signed.SignedString(f.Key()))(t)
	}
	bearer["expired"] = change(func(c jwt.MapClaims) { c["exp"] = now.Add(-time.Hour).Unix() })
	bearer["wrong issuer"] = change(func(c jwt.MapClaims) {
		c["iss"] = strings.Replace(c["iss"].(string), f.TenantID, uuid.NewString(), 1)
	})
	if same := change(func(jwt.MapClaims) {}); same == "" {
		t.Fatal("the control is empty")
	} else {
		role["control"], bearer["control"] = identity.Owner, same // so it is not the signing that is refused
	}

	names := regexp.MustCompile(`\{[^}]*\}`)
	body := regexp.MustCompile(`does not have authorization to perform action '[^']+' over scope '/subscriptions/`)
	refused, passed := 0, 0
	for _, o := range operations {
		path := strings.NewReplacer("{subscriptionId}", f.SubscriptionID, "{resourceGroupName}", "openams").Replace(o.Path)
		path = names.ReplaceAllString(path, "nothing")
		for who, header := range bearer {
			var content io.Reader
			if o.Method == http.MethodPut || o.Method == http.MethodPatch {
				content = strings.NewReader(`[]`) // read only once the caller may
			}
			r := httptest.NewRequest(o.Method, "https://"+host+path+"?api-version=2022-08-01", content)
			if header != "" {
				r.Header.Set("Authorization", header)
			}
			w := serve(face, r)
			code := answer{body: w.Body.String()}.at("error/code")
			text := fmt.Sprint(answer{body: w.Body.String()}.at("error/message"))
			what := fmt.Sprintf("%s %s as %s: %d %s", o.Op, o.Method, who, w.Code, w.Body)
			if want, bad := reason[who]; bad {
				challenge := w.Header().Get("WWW-Authenticate")
				if w.Code != 401 || code != want[0] || !strings.Contains(text, want[1]) ||
					!strings.HasPrefix(challenge, `Bearer authorization_uri="https://`+host+"/"+f.TenantID+`", error="invalid_token"`) {
					t.Errorf("%s %s", what, challenge)
				}
				refused++
				continue
			}
			may := mayDo(role[who], o.Op, o.Method) && role[who] != "" || o.Op == "operations.list"
			switch {
			case may && (w.Code == 401 || w.Code == 403 || w.Code == 500):
				t.Errorf("%s, and should be allowed", what)
			case !may && (w.Code != 403 || code != "AuthorizationFailed" || !body.MatchString(text)):
				t.Errorf("%s, and should be refused", what)
			case may:
				passed++
			default:
				refused++
			}
		}
	}
	t.Logf("%d requests were refused and %d let through", refused, passed)
}

// buy gets a token.
func buy(t *testing.T, authority *identity.Authority, form url.Values) string {
	t.Helper()
	r := httptest.NewRequest("POST", "https://localhost:8443/common/oauth2/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var body struct {
		Token string `json:"access_token"`
	}
	w := serve(authority.Handler(), r)
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || body.Token == "" {
		t.Fatalf("no token: %d %s", w.Code, w.Body)
	}
	return body.Token
}

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}
