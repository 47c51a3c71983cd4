package restv3_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/openams/openams/identity"
)

// principal makes a principal and lets as() speak for it.
func (w *world) principal(name string, assignments ...identity.Assignment) {
	w.t.Helper()
	id, secret, err := w.folder.Create(name, identity.Application, assignments)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { w.folder.Delete(id) })
	w.tokens[name] = w.token(id, secret)
}

// TestAttachedStorage: who attaches a storage account to an account must be
// allowed to list its keys, for by the account he can read and write in it.
func TestAttachedStorage(t *testing.T) {
	w := newWorld(t, nil)
	group := "/subscriptions/" + w.folder.SubscriptionID + "/resourceGroups/openams"
	store := func(name string) string { return group + "/providers/Microsoft.Storage/storageAccounts/" + name }
	second := group + "/providers/Microsoft.Media/mediaServices/second"
	w.principal("owner-of-second", identity.Assignment{Role: identity.Owner, Scope: second})
	w.principal("administrator", identity.Assignment{Role: identity.MediaAccountAdministrator, Scope: group})
	w.principal("owner-of-both", identity.Assignment{Role: identity.Owner, Scope: second}, identity.Assignment{Role: identity.Owner, Scope: store("secondstore")})
	w.want(200, "PUT", store("secondstore"), `{}`)
	w.want(200, "PUT", store("thirdstore"), `{}`)
	body := func(names ...string) string {
		var list []string
		for i, name := range names {
			list = append(list, fmt.Sprintf(`{"id":%q,"type":%q}`, store(name), []string{"Primary", "Secondary"}[min(i, 1)]))
		}
		return `{"location":"local","properties":{"storageAccounts":[` + strings.Join(list, ",") + `]}}`
	}
	for _, tt := range []struct {
		who, method string
		stores      []string
		want        int
	}{
		{"owner-of-second", "PUT", []string{"secondstore"}, 403},
		{"owner-of-second", "PUT", []string{"nosuchstore"}, 403},
		{"owner-of-both", "PUT", []string{"openamsstore"}, 403},
		{"owner-of-both", "PUT", []string{"secondstore"}, 201},
		{"owner-of-second", "PATCH", []string{"secondstore", "openamsstore"}, 403},
		{"owner-of-second", "PUT", []string{"secondstore", "openamsstore"}, 403},
		{"owner-of-second", "PATCH", []string{"secondstore", "OpenAMSStore"}, 403},
		{"administrator", "PATCH", []string{"secondstore", "thirdstore"}, 403},
		{"owner-of-second", "PATCH", []string{"SecondStore"}, 202}, // attached already
		{"owner-of-second", "PUT", []string{"secondstore"}, 200},
		{"Contributor", "PATCH", []string{"secondstore", "thirdstore"}, 202},
		{"administrator", "PATCH", []string{"thirdstore", "secondstore"}, 202}, // attached by another
	} {
		w.accounts.Close() // the operation before has ended
		a := w.as(tt.who, tt.method, second, body(tt.stores...))
		if a.status != tt.want || tt.want == 403 && a.at("error/code") != "LinkedAuthorizationFailed" {
			t.Errorf("%s %s of %q: %d %s, want %d", tt.who, tt.method, tt.stores, a.status, a.body, tt.want)
		}
	}

	w.accounts.Close()
	for _, id := range []string{
		"/subscriptions/x/resourceGroups/openams/providers/Microsoft.Storage/storageAccounts/openamsstore",
		strings.Replace(store("openamsstore"), "/openams/", "/y/", 1),
	} {
		w.refused(400, "BadRequest", "properties.storageAccounts[0].id", "was not found", "PATCH", second,
			`{"properties":{"storageAccounts":[{"id":"`+id+`","type":"Primary"}]}}`)
	}
}

// TestAccountOperationScope: who changed an account can ask how that went,
// whatever else he may not see.
func TestAccountOperationScope(t *testing.T) {
	w := newWorld(t, nil)
	w.principal("owner", identity.Assignment{Role: identity.Owner, Scope: w.account})
	w.principal("stranger", identity.Assignment{Role: identity.Owner, Scope: w.account + "2"})
	a := w.as("owner", "PATCH", "", `{"tags":{"a":"b"}}`)
	if a.status != 202 {
		t.Fatal(a)
	}
	w.accounts.Close()
	for _, header := range []string{"Azure-AsyncOperation", "Location"} {
		poll := a.header.Get(header)
		if got := w.as("owner", "GET", poll, ""); got.status != 200 {
			t.Errorf("%s: %d %s", header, got.status, got.body)
		} else if header != "Location" && got.header.Get("Retry-After") != "1" {
			t.Errorf("%s: no Retry-After: %v", header, got.header)
		}
		if got := w.as("stranger", "GET", poll, ""); got.status != 403 || got.at("error/code") != "AuthorizationFailed" {
			t.Errorf("a stranger asks %s: %d %s", header, got.status, got.body)
		}
		if got := w.as("Reader", "GET", poll, ""); got.status != 200 {
			t.Errorf("a Reader asks %s: %d %s", header, got.status, got.body)
		}
	}
}
