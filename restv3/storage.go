package restv3

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/restv3/arm"
)

// Of Microsoft.Storage there is what accounts need: storage accounts to
// attach, and the rotation of their keys. arm.Facts reads them.

// storageOf is how arm.Facts learns the storage accounts of the server.
func storageOf(accounts *account.Server) func(context.Context) ([]arm.StorageAccount, error) {
	return func(ctx context.Context) ([]arm.StorageAccount, error) {
		all, err := accounts.StorageAccounts(ctx)
		list := make([]arm.StorageAccount, len(all))
		for i, s := range all {
			list[i] = arm.StorageAccount{Name: s.Name, BlobEndpoint: accounts.BlobEndpoint + "/" + s.Name + "/"}
			for k, key := range s.Keys {
				list[i].Keys[k] = base64.StdEncoding.EncodeToString(key)
			}
		}
		return list, err
	}
}

func (a *api) registerStorage(rt *arm.Router) {
	const path = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/Microsoft.Storage/storageAccounts/{accountName}"
	rt.Handle("PUT", path, a.putStorageAccount)
	rt.Handle("POST", path+"/regenerateKey", a.regenerateKey)
}

// putStorageAccount makes a storage account. Whatever the body says of tiers
// and replication has no effect.
func (a *api) putStorageAccount(w http.ResponseWriter, r *http.Request) error {
	if err := arm.ReadOptionalJSON(r, &struct{}{}); err != nil {
		return err
	}
	if _, _, err := a.accounts.CreateStorageAccount(r.Context(), r.PathValue("accountName")); err != nil {
		return err
	}
	return a.facts.WriteStorageAccount(w, r)
}

// regenerateKey replaces key1 or key2 and answers both keys.
func (a *api) regenerateKey(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		KeyName string `json:"keyName"`
	}
	if err := arm.ReadJSON(r, &body); err != nil {
		return err
	}
	index := 0
	switch strings.ToLower(body.KeyName) {
	case "key1":
	case "key2":
		index = 1
	default:
		return ams.Invalidf("keyName", "'%s' is not a key of a storage account: key1 or key2.", body.KeyName)
	}
	name := r.PathValue("accountName")
	_, err := a.accounts.RegenerateStorageKey(r.Context(), name, index)
	if ams.CodeOf(err) == ams.NotFound {
		return arm.ResourceNotFound("Microsoft.Storage/storageAccounts", name, r.PathValue("resourceGroupName"))
	}
	if err != nil {
		return err
	}
	return a.facts.WriteStorageKeys(w, r)
}
