package restv3_test

import (
	"encoding/json"
	"net/url"
	"testing"

	"github.com/google/uuid"

	"github.com/openams/openams/identity"
)

// TestSystemData: records name who made and changed them, and what he is.
func TestSystemData(t *testing.T) {
	w := newWorld(t, nil)
	owner := []identity.Assignment{{Role: identity.Owner, Scope: "/"}}
	alice, err := w.folder.CreatePerson("alice", "Alice", "correct horse", owner)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.folder.DeletePerson(alice.ID) })
	resp, err := w.server.Client().PostForm(w.server.URL+"/"+w.folder.TenantID+"/oauth2/token", url.Values{
		"grant_type": {"password"}, "client_id": {uuid.NewString()}, "username": {"alice"}, "password": {"correct horse"}, "resource": {w.server.URL + "/"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var token struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&token); err != nil {
		t.Fatal(err)
	}
	w.tokens["alice"] = token.Token
	id, secret, err := w.folder.Create("machine", identity.ManagedIdentity, owner)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.folder.Delete(id) })
	w.tokens["machine"] = w.token(id, secret)

	for _, tt := range []struct{ who, name, kind string }{
		{"alice", "alice", "User"},
		{"machine", id, "ManagedIdentity"},
		{"Contributor", w.appID, "Application"},
	} {
		if a := w.as(tt.who, "PUT", "/assets/of-"+tt.who, `{}`); a.status != 201 {
			t.Fatal(a)
		}
		w.want(200, "PATCH", "/assets/of-"+tt.who, `{"properties":{"description":"d"}}`)
		a := w.want(200, "GET", "/assets/of-"+tt.who, "")
		if a.at("systemData/createdBy") != tt.name || a.at("systemData/createdByType") != tt.kind ||
			a.at("systemData/lastModifiedBy") != w.appID || a.at("systemData/lastModifiedByType") != "Application" {
			t.Errorf("%s: %s", tt.who, a.body)
		}
	}
}
