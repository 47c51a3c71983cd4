package main

import (
	"testing"

	"github.com/openams/openams/identity"
)

// Who may do anything in one media services account may nothing to the storage
// of another.
func TestStorageRights(t *testing.T) {
	folder, err := identity.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	group := "/subscriptions/" + folder.SubscriptionID + "/resourceGroups/" + firstGroup
	s := storageTokens{folder: folder}
	for name, c := range map[string]struct {
		role        identity.Role
		scope       string
		read, write bool
	}{
		"owner":         {identity.Owner, "/", true, true},
		"contributor":   {identity.Contributor, "/subscriptions/" + folder.SubscriptionID, true, true},
		"reader":        {identity.Reader, group, true, false},
		"one-account":   {identity.Owner, group + "/providers/Microsoft.Media/mediaServices/other", false, false},
		"another-group": {identity.Owner, "/subscriptions/" + folder.SubscriptionID + "/resourceGroups/other", false, false},
		"this-storage":  {identity.Owner, group + "/providers/Microsoft.Storage/storageAccounts/store", true, true},
		"other-storage": {identity.Owner, group + "/providers/Microsoft.Storage/storageAccounts/other", false, false},
		"media-role":    {identity.MediaOperator, "/", false, false},
	} {
		appID, _, err := folder.Create(name, identity.Application, []identity.Assignment{{Role: c.role, Scope: c.scope}})
		if err != nil {
			t.Fatal(err)
		}
		p, err := folder.Principal(t.Context(), appID)
		if err != nil {
			t.Fatal(err)
		}
		read, write, err := s.StorageRights(t.Context(), "store", p.ID, folder.TenantID)
		if read != c.read || write != c.write || err != nil {
			t.Errorf("%s: read %v, write %v, %v", name, read, write, err)
		}
	}
}
