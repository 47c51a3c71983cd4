package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/openams/openams/identity"
)

// storageTokens lets blob requests carry tokens of our authority, and
// signatures that are made in a user's name.
type storageTokens struct {
	authority *identity.Authority
	folder    *identity.Folder
}

func (s storageTokens) CheckStorage(ctx context.Context, token string) (read, write bool, err error) {
	p, err := s.authority.Check(ctx, identity.Storage, token)
	if err != nil {
		return false, false, err
	}
	return p.MayMethod(http.MethodGet), p.MayMethod(http.MethodPut), nil
}

func (s storageTokens) StorageUser(ctx context.Context, token string) (object, tenant string, err error) {
	p, err := s.authority.Check(ctx, identity.Storage, token)
	if err != nil {
		return "", "", err
	}
	return p.ID, p.TenantID, nil
}

func (s storageTokens) StorageRights(ctx context.Context, object, tenant string) (read, write bool, err error) {
	if !strings.EqualFold(tenant, s.folder.TenantID) {
		return false, false, fmt.Errorf("tenant %s is not ours", tenant)
	}
	if person, err := s.folder.Person(ctx, object); err == nil {
		return person.MayMethod(http.MethodGet), person.MayMethod(http.MethodPut), nil
	}
	principals, err := s.folder.Principals()
	if err != nil {
		return false, false, err
	}
	for _, p := range principals {
		if strings.EqualFold(p.ID, object) {
			return p.MayMethod(http.MethodGet), p.MayMethod(http.MethodPut), nil
		}
	}
	return false, false, fmt.Errorf("there is no principal %s", object)
}
