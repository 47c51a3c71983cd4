package account

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

// CreateOrUpdateAccount makes an account with its default streaming endpoint,
// which is Stopped, or replaces the writable properties of an existing one
// with those of want: Location (fixed at creation), Tags, Storage and Settings.
// The change is done when it returns; the operation ends soon after. A name is
// Exists when an account elsewhere in the server has it.
func (s *Server) CreateOrUpdateAccount(ctx context.Context, want ams.Account) (a *Account, op *ams.Operation, created bool, err error) {
	if err := ams.ValidateAccountName(want.Name); err != nil {
		return nil, nil, false, err
	}
	a = &Account{s: s}
	err = s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		old, err := tx.Account(want.Name)
		switch {
		case err == nil && (!strings.EqualFold(old.SubscriptionID, want.SubscriptionID) || !strings.EqualFold(old.ResourceGroup, want.ResourceGroup)):
			return ams.Errorf(ams.Exists, "The account name '%s' is already in use.", want.Name)
		case err == nil:
			a.Account = *old
			op, err = a.change(ctx, tx, func(to *ams.Account) error {
				to.Location, to.Tags, to.Storage, to.Settings = want.Location, want.Tags, want.Storage, want.Settings
				return nil
			})
			return err
		case ams.CodeOf(err) != ams.NotFound:
			return err
		}
		n, err := tx.CountAccounts()
		if err != nil {
			return err
		}
		if n >= s.Limits.Accounts {
			return full("media services accounts", s.Limits.Accounts)
		}
		created = true
		now, by := s.now(), caller(ctx)
		want.ID, want.PrivateLinks = uuid.NewString(), nil
		want.Created, want.LastModified, want.CreatedBy, want.LastModifiedBy = now, now, by, by
		if err := s.checkAccount(ctx, tx, &want, nil); err != nil {
			return err
		}
		if err := s.insertAccount(tx, &want, ams.EndpointStopped); err != nil {
			return err
		}
		a.Account = want
		op, err = a.begin(tx, AccountOperations, "", "")
		return err
	})
	if err != nil {
		return nil, nil, false, err
	}
	s.endLater(ctx, op)
	return a, op, created, nil
}

// insertAccount adds an account and its default streaming endpoint.
func (s *Server) insertAccount(tx *catalog.Tx, a *ams.Account, endpoint ams.EndpointState) error {
	if err := tx.InsertAccount(a); err != nil {
		return err
	}
	return tx.InsertEndpoint(&ams.StreamingEndpoint{
		Account: a.ID, Name: ams.DefaultEndpoint, ID: uuid.NewString(), Location: a.Location,
		HostName: s.hostName(a.Name, ams.DefaultEndpoint), State: endpoint,
		Created: a.Created, LastModified: a.LastModified, CreatedBy: a.CreatedBy, LastModifiedBy: a.LastModifiedBy,
	})
}

// Update changes the writable properties of the account by change. The
// operation ends soon after.
func (a *Account) Update(ctx context.Context, change func(*ams.Account) error) (op *ams.Operation, err error) {
	err = a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		found, err := tx.AccountByID(a.ID)
		if err != nil {
			return err
		}
		a.Account = *found
		op, err = a.change(ctx, tx, change)
		return err
	})
	if err != nil {
		return nil, err
	}
	a.s.endLater(ctx, op)
	return op, nil
}

func (a *Account) change(ctx context.Context, tx *catalog.Tx, change func(*ams.Account) error) (*ams.Operation, error) {
	to := a.Account
	to.Tags, to.Storage, to.PrivateLinks = maps.Clone(to.Tags), slices.Clone(to.Storage), slices.Clone(to.PrivateLinks)
	if err := change(&to); err != nil {
		return nil, err
	}
	if to.Location != "" && !samePlace(to.Location, a.Location) {
		return nil, ams.Errorf(ams.Conflict, "The account '%s' is in '%s': its location can't be changed to '%s'.", a.Name, a.Location, to.Location)
	}
	to.ID, to.Name, to.SubscriptionID, to.ResourceGroup, to.Location = a.ID, a.Name, a.SubscriptionID, a.ResourceGroup, a.Location
	to.Created, to.CreatedBy = a.Created, a.CreatedBy
	to.LastModified, to.LastModifiedBy = a.s.now(), caller(ctx)
	if err := a.s.checkAccount(ctx, tx, &to, &a.Account); err != nil {
		return nil, err
	}
	for _, was := range a.Storage {
		if to.HasStorage(was.Name) {
			continue
		}
		used, err := tx.UsesStorage(a.ID, was.Name)
		if err != nil {
			return nil, err
		}
		if used {
			return nil, ams.Errorf(ams.Conflict, "The storage account '%s' can't be detached: assets of the account '%s' are in it.", was.Name, a.Name)
		}
	}
	op, err := a.begin(tx, AccountOperations, "", "")
	if err != nil {
		return nil, err
	}
	a.Account = to
	return op, tx.UpdateAccount(&to)
}

// checkAccount reports the first rule that the writable properties of a break,
// and spells its storage accounts as they were created. was is the account so
// far, nil for a new one.
func (s *Server) checkAccount(ctx context.Context, tx *catalog.Tx, a, was *ams.Account) error {
	const at = "properties.storageAccounts"
	if err := validTags(a.Tags); err != nil {
		return err
	}
	if len(a.Storage) > s.Limits.StorageAccounts {
		return full("storage accounts of a media services account", s.Limits.StorageAccounts)
	}
	if err := small("", "media services account", a, maxAccount); err != nil {
		return err
	}
	primary := 0
	for i := range a.Storage {
		attached := &a.Storage[i]
		if was == nil || !hasStorage(was, attached.Name) {
			if err := mayAttach(ctx, a, attached.Name); err != nil {
				return err
			}
		}
		store, err := tx.StorageAccount(attached.Name)
		if err != nil {
			return referred(err, fmt.Sprintf("%s[%d].id", at, i), "The storage account '%s' was not found.", attached.Name)
		}
		attached.Name = store.Name
		if attached.Primary {
			primary++
		}
		for _, other := range a.Storage[:i] {
			if other.Name == attached.Name {
				return ams.Invalidf(fmt.Sprintf("%s[%d].id", at, i), "The storage account '%s' is given twice.", attached.Name)
			}
		}
	}
	if primary != 1 {
		return ams.Invalidf(at, "Exactly one storage account must be Primary, not %d.", primary)
	}
	return nil
}

// DeleteAccount deletes an account with everything in it, and reports whether
// there was one. As in Azure the storage accounts stay, with all containers
// and blobs.
func (s *Server) DeleteAccount(ctx context.Context, subscription, group, name string) (existed bool, err error) {
	return gone(s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		a, err := tx.Account(name)
		if err != nil {
			return err
		}
		if !strings.EqualFold(a.SubscriptionID, subscription) || !strings.EqualFold(a.ResourceGroup, group) {
			return ams.Errorf(ams.NotFound, "The media services account was not found.")
		}
		return tx.DeleteAccount(a.ID)
	}))
}

// SetPrivateLink stores a private endpoint connection. It has no effect: there
// is no private network of Azure here.
func (a *Account) SetPrivateLink(ctx context.Context, link ams.PrivateLink) error {
	if err := ams.ValidateName("private endpoint connection", link.Name); err != nil {
		return err
	}
	return a.setPrivateLinks(ctx, func(links []ams.PrivateLink) ([]ams.PrivateLink, error) {
		for i := range links {
			if strings.EqualFold(links[i].Name, link.Name) {
				links[i].State = link.State
				return links, nil
			}
		}
		if len(links) >= 100 {
			return nil, full("private endpoint connections", 100)
		}
		return append(links, link), nil
	})
}

// DeletePrivateLink deletes a private endpoint connection, and reports whether
// there was one.
func (a *Account) DeletePrivateLink(ctx context.Context, name string) (existed bool, err error) {
	err = a.setPrivateLinks(ctx, func(links []ams.PrivateLink) ([]ams.PrivateLink, error) {
		return slices.DeleteFunc(links, func(l ams.PrivateLink) bool {
			is := strings.EqualFold(l.Name, name)
			existed = existed || is
			return is
		}), nil
	})
	return existed, err
}

func (a *Account) setPrivateLinks(ctx context.Context, change func([]ams.PrivateLink) ([]ams.PrivateLink, error)) error {
	return a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		found, err := tx.AccountByID(a.ID)
		if err != nil {
			return err
		}
		if found.PrivateLinks, err = change(found.PrivateLinks); err != nil {
			return err
		}
		if err := small("", "media services account", found, maxAccount); err != nil {
			return err
		}
		a.Account = *found
		return tx.UpdateAccount(found)
	})
}
