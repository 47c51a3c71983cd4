package account

import (
	"bytes"
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

// CreateDeliveryPolicy makes a delivery policy, which does nothing until it is
// linked to an asset.
func (a *Account) CreateDeliveryPolicy(ctx context.Context, p ams.DeliveryPolicy) (*ams.DeliveryPolicy, error) {
	p.Account, p.ID = a.ID, uuid.NewString()
	p.Created = a.s.now()
	p.LastModified = p.Created
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if err := a.s.deliveries.admit(ctx, a, "delivery policies in the account", a.s.Limits.DeliveryPolicies); err != nil {
		return nil, err
	}
	return &p, a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.InsertDeliveryPolicy(&p) })
}

// DeliveryPolicy finds a delivery policy by its guid.
func (a *Account) DeliveryPolicy(ctx context.Context, id string) (p *ams.DeliveryPolicy, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		p, err = tx.DeliveryPolicy(a.ID, id)
		return err
	})
	return p, err
}

// FindDeliveryPolicies searches the delivery policies: all of them, or those of
// the asset with a guid.
func (a *Account) FindDeliveryPolicies(ctx context.Context, asset string, s catalog.Search) (found *catalog.Found[ams.DeliveryPolicy], err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		if asset != "" {
			if _, err := tx.AssetByID(a.ID, asset); err != nil {
				return err
			}
		}
		found, err = tx.FindDeliveryPolicies(a.ID, asset, s)
		return err
	})
	return found, err
}

// changeDelivery runs change on a delivery policy unless an asset that it is
// linked to is published: then it is Conflict (documented). What the assets have
// after it must make sense together.
func (a *Account) changeDelivery(ctx context.Context, id string, change func(*catalog.Tx, *ams.DeliveryPolicy) error) error {
	return a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		p, err := tx.DeliveryPolicy(a.ID, id)
		if err != nil {
			return err
		}
		assets, err := tx.DeliveryPolicyAssets(a.ID, p.ID)
		if err != nil {
			return err
		}
		for _, id := range assets {
			if _, err := a.unpublished(tx, id); err != nil {
				return err
			}
		}
		if err := change(tx, p); err != nil {
			return err
		}
		for _, id := range assets {
			if err := a.checkDelivery(tx, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// unpublished finds the asset with a guid. It is Conflict if it has a locator.
func (a *Account) unpublished(tx *catalog.Tx, id string) (*ams.Asset, error) {
	asset, err := tx.AssetByID(a.ID, id)
	if err != nil {
		return nil, err
	}
	locators, err := tx.AssetLocators(a.ID, asset.Name)
	if err != nil {
		return nil, err
	}
	if len(locators) > 0 {
		return nil, ams.Errorf(ams.Conflict, "The asset 'nb:cid:UUID:%s' has an OnDemandOrigin locator: delete it before its delivery policies change.", asset.ID)
	}
	return asset, nil
}

func (a *Account) checkDelivery(tx *catalog.Tx, asset string) error {
	list, err := tx.AssetDeliveryPolicies(a.ID, asset)
	if err == nil {
		_, _, err = ams.Delivered(list)
	}
	return err
}

// UpdateDeliveryPolicy changes a delivery policy.
func (a *Account) UpdateDeliveryPolicy(ctx context.Context, id string, change func(*ams.DeliveryPolicy)) error {
	return a.changeDelivery(ctx, id, func(tx *catalog.Tx, p *ams.DeliveryPolicy) error {
		change(p)
		p.LastModified = a.s.now()
		if err := p.Validate(); err != nil {
			return err
		}
		return tx.UpdateDeliveryPolicy(p)
	})
}

// DeleteDeliveryPolicy deletes a delivery policy with its links, and reports
// whether there was one.
func (a *Account) DeleteDeliveryPolicy(ctx context.Context, id string) (existed bool, err error) {
	return gone(a.changeDelivery(ctx, id, func(tx *catalog.Tx, p *ams.DeliveryPolicy) error {
		return tx.DeleteDeliveryPolicy(a.ID, p.ID)
	}))
}

// LinkDeliveryPolicy links a delivery policy to an asset; both by guid. It is
// Exists if it is linked already, and Conflict if another one is about the same
// protocol or the asset is published.
func (a *Account) LinkDeliveryPolicy(ctx context.Context, asset, id string) error {
	return a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		owner, err := tx.AssetByID(a.ID, asset)
		if err != nil {
			return err
		}
		p, err := tx.DeliveryPolicy(a.ID, id)
		if err != nil {
			return err
		}
		if _, err := a.unpublished(tx, owner.ID); err != nil {
			return err
		}
		if err := tx.LinkDeliveryPolicy(a.ID, owner.ID, p.ID); err != nil {
			return err
		}
		return a.checkDelivery(tx, owner.ID)
	})
}

// UnlinkDeliveryPolicy undoes LinkDeliveryPolicy.
func (a *Account) UnlinkDeliveryPolicy(ctx context.Context, asset, id string) error {
	return a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		owner, err := a.unpublished(tx, asset)
		if err != nil {
			return err
		}
		return tx.UnlinkDeliveryPolicy(a.ID, owner.ID, normalID(id))
	})
}

// clearPolicy is what streams an asset that has no delivery policies: all
// protocols, in the clear (documented).
const clearPolicy = "Predefined_DownloadAndClearStreaming"

// originPolicy is the streaming policy of a new v2 locator of an asset: what the
// delivery policies of the asset say. It is Invalid for an asset that is storage
// encrypted and has none (documented).
func (a *Account) originPolicy(tx *catalog.Tx, asset *ams.Asset) (*ams.StreamingPolicy, error) {
	list, err := tx.AssetDeliveryPolicies(a.ID, asset.ID)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		if asset.Options == ams.StorageEncrypted {
			return nil, ams.Invalidf("AssetId", "The asset '%s' is storage encrypted: it needs a delivery policy before it can have an OnDemandOrigin locator.", asset.Label)
		}
		return tx.Policy(a.ID, clearPolicy)
	}
	p, _, err := ams.Delivered(list)
	if err != nil {
		return nil, err
	}
	old, err := tx.Policy(a.ID, p.Name)
	switch {
	case err == nil && bytes.Equal(old.Body, p.Body):
		return old, nil
	case err == nil:
		return nil, ams.Errorf(ams.Conflict, "The name '%s' is another streaming policy's.", p.Name)
	case ams.CodeOf(err) != ams.NotFound:
		return nil, err
	}
	p.Account, p.Created = a.ID, a.s.now()
	return p, tx.InsertPolicy(p)
}

// rekey gives the v2 locators of the asset with a guid the content keys that the
// asset is linked to. It is called whenever those or the locators change.
func (a *Account) rekey(tx *catalog.Tx, id string) error {
	asset, err := tx.AssetByID(a.ID, id)
	if err != nil {
		return err
	}
	locators, err := tx.AssetLocators(a.ID, asset.Name)
	if err != nil {
		return err
	}
	locators = slices.DeleteFunc(locators, func(l *ams.StreamingLocator) bool { return !ams.IsDelivered(l.Policy) })
	if len(locators) == 0 {
		return nil
	}
	keys, err := tx.AssetKeys(a.ID, asset.ID)
	if err != nil {
		return err
	}
	list, err := tx.AssetDeliveryPolicies(a.ID, asset.ID)
	if err != nil {
		return err
	}
	policy, ivs, err := ams.Delivered(list)
	if err != nil {
		return err
	}
	for _, l := range locators {
		if err := tx.DeleteContentKeys(l.ID); err != nil {
			return err
		}
		for _, s := range ams.Schemes()[1:] {
			k := ams.KeyFor(s, keys)
			if k == nil || len(policy.Protocols[s]) == 0 {
				continue // what has no key is not streamed
			}
			name, err := a.keyPolicy(tx, k.Policy)
			if err != nil {
				return err
			}
			err = tx.InsertContentKey(&ams.ContentKey{Account: a.ID, Locator: l.ID, ID: k.ID, Scheme: s, Label: ams.KeyLabel(s),
				Policy: name, Value: k.Value, IV: ivs[s], Given: true})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
