package account

import (
	"context"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

// A KeyGrant is a content key and what decides who gets it.
type KeyGrant struct {
	Key     *ams.ContentKey
	Policy  *ams.ContentKeyPolicy // with its secrets; nil: this server delivers the key to nobody
	Account *ams.Account          // Settings.KeyDelivery is its access control
}

// LocatorKeys are the content keys that what a locator streams is encrypted
// with, under every scheme; none when nothing is.
func (s *Server) LocatorKeys(ctx context.Context, locatorID string) (grants []KeyGrant, err error) {
	err = s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		keys, err := tx.LocatorKeys(normalID(locatorID))
		if err == nil {
			grants, err = s.grants(tx, keys)
		}
		return err
	})
	return grants, err
}

// KeyGrants are the ways to the content key with an id: that of the account
// whose key it is, and one for each locator that uses it, in any account. It is
// NotFound when there is none. The times of the locator do not matter: they say
// when it streams. Keys that encrypt no streams are not delivered.
func (s *Server) KeyGrants(ctx context.Context, keyID string) (grants []KeyGrant, err error) {
	err = s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		ofAccounts, err := tx.KeysByID(normalID(keyID))
		if err != nil {
			return err
		}
		var keys []*ams.ContentKey
		for _, k := range ofAccounts {
			if k.Type.Scheme() == "" {
				continue
			}
			key := &ams.ContentKey{Account: k.Account, ID: k.ID, Scheme: k.Type.Scheme(), Value: k.Value}
			if k.Policy != "" {
				p, err := tx.ContentKeyPolicyByID(k.Account, k.Policy)
				if err != nil {
					return err
				}
				key.Policy = p.Name
			}
			keys = append(keys, key)
		}
		ofLocators, err := tx.ContentKeys(normalID(keyID))
		if err != nil {
			return err
		}
		if keys = append(keys, ofLocators...); len(keys) == 0 {
			return ams.Errorf(ams.NotFound, "There is no content key with this id.")
		}
		grants, err = s.grants(tx, keys)
		return err
	})
	return grants, err
}

func (s *Server) grants(tx *catalog.Tx, keys []*ams.ContentKey) (grants []KeyGrant, err error) {
	for _, k := range keys {
		g := KeyGrant{Key: k}
		if g.Account, err = tx.AccountByID(k.Account); err != nil {
			return nil, err
		}
		if k.Policy != "" {
			if g.Policy, err = tx.ContentKeyPolicy(k.Account, k.Policy); err != nil {
				return nil, err
			}
		}
		grants = append(grants, g)
	}
	return grants, nil
}
