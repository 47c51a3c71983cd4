package account

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/sas"
)

// Access policies and locators of v2. A SAS locator is a stored access policy
// of the container, and dies with it; an OnDemandOrigin locator is a streaming
// locator.

// maxStoredPolicies is how many stored access policies a container has at most
// (documented).
const maxStoredPolicies = 5

// CreateAccessPolicy makes an access policy of v2.
func (a *Account) CreateAccessPolicy(ctx context.Context, p ams.LocatorPolicy) (*ams.LocatorPolicy, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if err := short("Name", p.Name, maxFileText); err != nil {
		return nil, err
	}
	if err := a.s.accessPolicies.admit(ctx, a, "access policies in the account", a.s.Limits.AccessPolicies); err != nil {
		return nil, err
	}
	p.Account, p.ID, p.Created = a.ID, uuid.NewString(), a.s.now()
	p.LastModified = p.Created
	return &p, a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.InsertLocatorPolicy(&p) })
}

// AccessPolicy finds an access policy of v2 by its guid.
func (a *Account) AccessPolicy(ctx context.Context, id string) (p *ams.LocatorPolicy, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		p, err = tx.LocatorPolicy(a.ID, id)
		return err
	})
	return p, err
}

// FindAccessPolicies searches the access policies of v2.
func (a *Account) FindAccessPolicies(ctx context.Context, s catalog.Search) (found *catalog.Found[ams.LocatorPolicy], err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		found, err = tx.FindLocatorPolicies(a.ID, s)
		return err
	})
	return found, err
}

// DeleteAccessPolicy deletes an access policy of v2, and reports whether there
// was one. Locators that were made with it stay as they are.
func (a *Account) DeleteAccessPolicy(ctx context.Context, id string) (existed bool, err error) {
	return gone(a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.DeleteLocatorPolicy(a.ID, id) }))
}

// NewLocator makes a locator as v2 does: of l it takes the ID (empty: random),
// the Type, Asset, AccessPolicy, Label, Start and Bare. The access policy says
// what it allows and when it ends. It is Conflict for an asset that has as many
// locators as AMS let it have, and Exists if a locator has the ID.
func (a *Account) NewLocator(ctx context.Context, l ams.Locator) (made *ams.Locator, err error) {
	if l.Type != ams.SASLocator && l.Type != ams.OnDemandOrigin {
		return nil, ams.Invalidf("Type", "The type of a locator is 1 (SAS) or 2 (OnDemandOrigin).")
	}
	if l.ID == "" {
		l.ID = uuid.NewString()
	} else if l.ID = normalID(l.ID); l.ID == "" {
		return nil, ams.Invalidf("Id", "The id of a locator is 'nb:lid:UUID:' and a guid.")
	}
	if err := short("Name", l.Label, maxFileText); err != nil {
		return nil, err
	}
	l.Account, l.Created = a.ID, a.s.now()
	err = a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		asset, err := tx.AssetByID(a.ID, l.Asset)
		if err != nil {
			return err
		}
		policy, err := tx.LocatorPolicy(a.ID, l.AccessPolicy)
		if err != nil {
			return err
		}
		n, err := tx.CountLocatorsOf(a.ID, asset.ID)
		if err != nil {
			return err
		}
		if most := a.s.Limits.V2LocatorsPerAsset; n >= most {
			return ams.Errorf(ams.Conflict, "The asset '%s' has %d locators: it may have at most %d at one time.", asset.Label, n, most)
		}
		fresh := l
		fresh.Asset, fresh.AccessPolicy = asset.ID, policy.ID
		from := fresh.Start
		if from.IsZero() {
			from = a.s.now()
		}
		fresh.End = policy.Until(from)
		made = &fresh
		if fresh.Type == ams.SASLocator {
			return a.insertSASLocator(tx, asset, policy, made)
		}
		return a.insertOriginLocator(ctx, tx, asset, made)
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

func (a *Account) insertSASLocator(tx *catalog.Tx, asset *ams.Asset, policy *ams.LocatorPolicy, l *ams.Locator) error {
	// A shared access signature counts in seconds.
	if l.Start, l.End = l.Start.Truncate(time.Second), l.End.Truncate(time.Second); !l.End.After(l.Start) {
		l.End = l.Start.Add(time.Second)
	}
	if err := tx.InsertSASLocator(l); err != nil {
		return err
	}
	err := tx.UpdateContainer(asset.StorageAccount, asset.Container, func(c *ams.Container) error {
		if len(c.Policies) >= maxStoredPolicies && a.s.Limits.V2LocatorsPerAsset <= maxStoredPolicies {
			return ams.Errorf(ams.Conflict, "The container of the asset has %d stored access policies: no more are allowed.", len(c.Policies))
		}
		// The times are in the URL.
		c.Policies = append(c.Policies, ams.AccessPolicy{ID: l.ID, Permissions: policy.SAS()})
		a.s.Blobs.Stamp(c)
		return nil
	})
	if ams.CodeOf(err) == ams.NotFound {
		err = ams.Errorf(ams.Conflict, "The container '%s' of the asset does not exist.", asset.Container)
	}
	return err
}

func (a *Account) insertOriginLocator(ctx context.Context, tx *catalog.Tx, asset *ams.Asset, l *ams.Locator) error {
	policy, err := a.originPolicy(tx, asset)
	if err != nil {
		return err
	}
	_, err = a.createLocator(ctx, tx, "locator-"+l.ID, LocatorRequest{
		ID: l.ID, Asset: asset.Name, Policy: policy.Name, Start: l.Start, End: l.End,
		accessPolicy: l.AccessPolicy, label: &l.Label, bare: l.Bare,
	})
	if err != nil {
		return err
	}
	return a.rekey(tx, asset.ID)
}

// V2Locator finds a locator of either type by its guid.
func (a *Account) V2Locator(ctx context.Context, id string) (l *ams.Locator, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		l, err = tx.V2Locator(a.ID, id)
		return err
	})
	return l, err
}

// FindLocators searches the locators of both types.
func (a *Account) FindLocators(ctx context.Context, s catalog.Search) (found *catalog.Found[ams.Locator], err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		found, err = tx.FindLocators(a.ID, s)
		return err
	})
	return found, err
}

// UpdateLocator changes the v2 Name of an OnDemandOrigin locator and when it
// begins and ends. A new start without an end moves the end, by the access
// policy. SAS locators are Invalid: their URLs say the times, and are signed.
func (a *Account) UpdateLocator(ctx context.Context, id string, label *string, start, end *time.Time, bare bool) error {
	return a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		l, err := tx.V2Locator(a.ID, id)
		if err != nil {
			return err
		}
		if l.Type == ams.SASLocator {
			return ams.Invalidf("", "A SAS locator cannot be updated: make a new one.")
		}
		s, err := tx.LocatorByID(l.ID)
		if err != nil {
			return err
		}
		if start != nil {
			s.Start, s.Bare = *start, bare
			policy, err := tx.LocatorPolicy(a.ID, s.AccessPolicy)
			switch {
			case end != nil:
			case err == nil:
				s.End = policy.Until(*start)
			case ams.CodeOf(err) != ams.NotFound:
				return err
			}
		}
		set(&s.Label, label)
		set(&s.End, end)
		if !s.End.After(s.Start) {
			return ams.Invalidf("ExpirationDateTime", "ExpirationDateTime must be after StartTime.")
		}
		return tx.UpdateLocator(s)
	})
}

// DeleteV2Locator deletes a locator of either type, and reports whether there
// was one. The URLs of a SAS locator are refused from now on.
func (a *Account) DeleteV2Locator(ctx context.Context, id string) (existed bool, err error) {
	return gone(a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		l, err := tx.V2Locator(a.ID, id)
		if err != nil {
			return err
		}
		if l.Type == ams.OnDemandOrigin {
			s, err := tx.LocatorByID(l.ID)
			if err != nil {
				return err
			}
			return tx.DeleteLocator(a.ID, s.Name)
		}
		asset, err := tx.AssetByID(a.ID, l.Asset)
		if err != nil {
			return err
		}
		return a.s.deleteSASLocators(tx, asset, l)
	}))
}

// deleteSASLocators deletes locators of an asset and their stored access
// policies.
func (s *Server) deleteSASLocators(tx *catalog.Tx, asset *ams.Asset, ls ...*ams.Locator) error {
	if len(ls) == 0 {
		return nil
	}
	for _, l := range ls {
		if err := tx.DeleteSASLocator(l.Account, l.ID); err != nil {
			return err
		}
	}
	err := tx.UpdateContainer(asset.StorageAccount, asset.Container, func(c *ams.Container) error {
		c.Policies = slices.DeleteFunc(c.Policies, func(p ams.AccessPolicy) bool {
			return slices.ContainsFunc(ls, func(l *ams.Locator) bool { return l.ID == p.ID })
		})
		s.Blobs.Stamp(c)
		return nil
	})
	if ams.CodeOf(err) == ams.NotFound {
		return nil // the container was deleted behind the asset's back
	}
	return err
}

// A LocatorURL is where a locator leads. The URL of a SAS locator is a secret.
type LocatorURL struct {
	Base      string // without a slash at its end
	Component string // what opens it: "?" and a signature, or the guid
}

// Path is the whole URL.
func (u LocatorURL) Path() string {
	if strings.HasPrefix(u.Component, "?") {
		return u.Base + u.Component
	}
	return u.Base + "/" + u.Component + "/"
}

// LocatorURLs are where locators lead, in their order. SAS locators are signed
// with the first key that their storage account has today.
func (a *Account) LocatorURLs(ctx context.Context, ls []*ams.Locator) (urls []LocatorURL, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		keys := map[string][]byte{}
		host := ""
		urls = make([]LocatorURL, len(ls))
		for i, l := range ls {
			if l.Type == ams.OnDemandOrigin {
				if host == "" {
					e, err := tx.Endpoint(a.ID, ams.DefaultEndpoint)
					if err != nil {
						return err
					}
					host = e.HostName
				}
				urls[i] = LocatorURL{Base: "http://" + host, Component: l.ID}
				continue
			}
			asset, err := tx.AssetByID(a.ID, l.Asset)
			if err != nil {
				return err
			}
			if keys[asset.StorageAccount] == nil {
				store, err := tx.StorageAccount(asset.StorageAccount)
				if err != nil {
					return err
				}
				keys[asset.StorageAccount] = store.Keys[0]
			}
			urls[i] = LocatorURL{Base: a.AssetURL(asset), Component: sasComponent(asset, l, keys[asset.StorageAccount])}
		}
		return nil
	})
	return urls, err
}

// sasComponent spells a shared access signature as AMS did, in the version that
// its clients know (documented).
func sasComponent(asset *ams.Asset, l *ams.Locator, key []byte) string {
	v := sas.Values{Version: "2012-02-12", Resource: "c", Identifier: l.ID, Expiry: sasTime(l.End)}
	start := ""
	if !l.Start.IsZero() {
		v.Start = sasTime(l.Start)
		start = "&st=" + url.QueryEscape(v.Start)
	}
	signature := sas.MAC(key, v.StringToSign(asset.StorageAccount, asset.Container, ""))
	return fmt.Sprintf("?sv=%s&sr=c&si=%s&sig=%s%s&se=%s", v.Version, l.ID, url.QueryEscape(signature), start, url.QueryEscape(v.Expiry))
}

func sasTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
