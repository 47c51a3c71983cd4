package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/openams/openams/identity"
)

// storageTokens lets blob requests carry tokens of our authority, and
// signatures that are made in a user's name.
type storageTokens struct {
	authority *identity.Authority
	folder    *identity.Folder
}

func (s storageTokens) CheckStorage(ctx context.Context, account, token string) (read, write bool, err error) {
	p, err := s.authority.CheckStorage(ctx, account, token)
	if err != nil {
		return false, false, err
	}
	read, write = s.rights(p, account)
	return read, write, nil
}

// rights is what p may do with the blobs of a storage account. A role on one
// media services account gives none: its assets are opened by
// listContainerSas.
func (s storageTokens) rights(p *identity.Principal, account string) (read, write bool) {
	const blobs = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/"
	scope := "/subscriptions/" + s.folder.SubscriptionID + "/resourceGroups/" + firstGroup +
		"/providers/Microsoft.Storage/storageAccounts/" + account
	return p.May(blobs+"read", scope), p.May(blobs+"write", scope)
}

func (s storageTokens) StorageUser(ctx context.Context, account, token string) (object, tenant string, err error) {
	p, err := s.authority.CheckStorage(ctx, account, token)
	if err != nil {
		return "", "", err
	}
	if p.TenantID == "" {
		return "", "", errors.New("a principal of another authority has no rights here but those in its tokens")
	}
	return p.ID, p.TenantID, nil
}

func (s storageTokens) StorageRights(ctx context.Context, account, object, tenant string) (read, write bool, err error) {
	if !strings.EqualFold(tenant, s.folder.TenantID) {
		return false, false, fmt.Errorf("tenant %s is not ours", tenant)
	}
	if person, err := s.folder.Person(ctx, object); err == nil {
		read, write = s.rights(&person.Principal, account)
		return read, write, nil
	}
	principals, err := s.folder.Principals()
	if err != nil {
		return false, false, err
	}
	for _, p := range principals {
		if strings.EqualFold(p.ID, object) {
			read, write = s.rights(p, account)
			return read, write, nil
		}
	}
	return false, false, fmt.Errorf("there is no principal %s", object)
}
