package account

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"slices"

	"github.com/google/uuid"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

// A KeyInput is what a client writes of a key of the account. A nil field is not
// touched by UpdateKey.
type KeyInput struct {
	Name             *string
	Wrapped          *string // base64 of RSA-OAEP (SHA-1) for the protection key
	ProtectionKey    *string // its thumbprint; empty: it is
	ProtectionType   *int
	Checksum         *string // kept as it is: clients of AMS compute it in two ways
	Policy           *string // guid of a content key policy; empty: none
	TrackIdentifiers *string
}

// CreateKey makes a key of the account. id is a guid or empty; one that is in
// use is Exists.
func (a *Account) CreateKey(ctx context.Context, id string, t ams.KeyType, in KeyInput) (*ams.Key, error) {
	if id == "" {
		id = uuid.NewString()
	}
	k := &ams.Key{Account: a.ID, ID: normalID(id), Type: t, Created: a.s.now()}
	if k.ID == "" {
		return nil, ams.Invalidf("Id", "The Id is not 'nb:kid:UUID:' and a GUID.")
	}
	if in.Wrapped == nil || *in.Wrapped == "" {
		return nil, ams.Invalidf("EncryptedContentKey", "EncryptedContentKey is missing.")
	}
	if err := a.applyKey(ctx, k, in); err != nil {
		return nil, err
	}
	if err := a.s.contentKeys.admit(ctx, a, "content keys in the account", a.s.Limits.ContentKeys); err != nil {
		return nil, err
	}
	return k, a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error { return a.insertKey(tx, k) })
}

// insertKey records a key whose id must be new. One id has one value in the
// server, since the URL of a key names no account.
func (a *Account) insertKey(tx *catalog.Tx, k *ams.Key) error {
	used := ams.Errorf(ams.Exists, "The content key id '%s' is in use.", k.ID)
	if _, err := tx.Key(a.ID, k.ID); err == nil {
		return used
	} else if ams.CodeOf(err) != ams.NotFound {
		return err
	}
	same, err := soleValue(tx, k.ID, k.Value)
	if err != nil {
		return err
	}
	if !same {
		return used
	}
	if _, err := a.keyPolicy(tx, k.Policy); err != nil {
		return err
	}
	return tx.InsertKey(k)
}

// soleValue reports whether every key of the server with an id has the value.
func soleValue(tx *catalog.Tx, id string, value []byte) (bool, error) {
	ofLocators, err := tx.ContentKeys(id)
	if err != nil {
		return false, err
	}
	ofAccounts, err := tx.KeysByID(id)
	if err != nil {
		return false, err
	}
	return !slices.ContainsFunc(ofLocators, func(k *ams.ContentKey) bool { return !bytes.Equal(k.Value, value) }) &&
		!slices.ContainsFunc(ofAccounts, func(k *ams.Key) bool { return !bytes.Equal(k.Value, value) }), nil
}

// keyPolicy is the name of the content key policy with an id; empty for none.
func (a *Account) keyPolicy(tx *catalog.Tx, id string) (string, error) {
	if id == "" {
		return "", nil
	}
	p, err := tx.ContentKeyPolicyByID(a.ID, id)
	if err != nil {
		return "", referred(err, "AuthorizationPolicyId", "There is no ContentKeyAuthorizationPolicy with the id '%s'.", id)
	}
	return p.Name, nil
}

// applyKey writes what in says into k, whose value follows.
func (a *Account) applyKey(ctx context.Context, k *ams.Key, in KeyInput) error {
	set(&k.Name, in.Name)
	set(&k.ProtectionKey, in.ProtectionKey)
	set(&k.ProtectionType, in.ProtectionType)
	set(&k.Policy, in.Policy)
	set(&k.TrackIdentifiers, in.TrackIdentifiers)
	k.LastModified = a.s.now()
	if in.Wrapped != nil || in.ProtectionKey != nil {
		p, err := a.s.protectionKey(ctx)
		if err != nil {
			return err
		}
		if err := p.is(k.ProtectionKey); err != nil {
			return err
		}
		k.ProtectionKey = p.thumbprint
		if in.Wrapped != nil {
			if k.Value, err = p.unwrap(*in.Wrapped); err != nil {
				return err
			}
			k.Wrapped = *in.Wrapped
		}
	}
	set(&k.Checksum, in.Checksum)
	if k.Checksum == "" {
		k.Checksum = k.Sum()
	}
	return k.Validate()
}

// Key finds a key of the account, or of one of its locators, by its guid.
func (a *Account) Key(ctx context.Context, id string) (k *ams.Key, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		k, err = tx.Key(a.ID, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return k, a.showKeys(ctx, k)
}

// FindKeys searches the keys of the account, those of its locators among them.
func (a *Account) FindKeys(ctx context.Context, s catalog.Search) (found *catalog.Found[ams.Key], err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		found, err = tx.FindKeys(a.ID, s)
		return err
	})
	if err != nil {
		return nil, err
	}
	return found, a.showKeys(ctx, found.Rows...)
}

// AssetKeys searches the keys of the asset with a guid.
func (a *Account) AssetKeys(ctx context.Context, asset string, s catalog.Search) (found *catalog.Found[ams.Key], err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		owner, err := tx.AssetByID(a.ID, asset)
		if err != nil {
			return err
		}
		found, err = tx.FindAssetKeys(a.ID, owner.Name, owner.ID, s)
		return err
	})
	if err != nil {
		return nil, err
	}
	return found, a.showKeys(ctx, found.Rows...)
}

// showKeys fills in what the keys that no client sent lack, and takes the values
// out: nobody is shown those but by RebindKey.
func (a *Account) showKeys(ctx context.Context, keys ...*ams.Key) error {
	for _, k := range keys {
		if k.Checksum == "" {
			k.Checksum = k.Sum()
		}
		if k.Wrapped == "" {
			p, err := a.s.protectionKey(ctx)
			if err != nil {
				return err
			}
			box, err := wrap(k.Value, &p.key.PublicKey)
			if err != nil {
				return err
			}
			k.Wrapped, k.ProtectionKey = base64.StdEncoding.EncodeToString(box), p.thumbprint
		}
		k.Value = nil
	}
	return nil
}

// UpdateKey changes what in gives. Its policy changes for the locators too that
// use the key, at once. A key that is used keeps its value.
func (a *Account) UpdateKey(ctx context.Context, id string, in KeyInput) error {
	return a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		k, err := tx.Key(a.ID, id)
		if err != nil {
			return err
		}
		value := k.Value
		if err := a.applyKey(ctx, k, in); err != nil {
			return err
		}
		if !bytes.Equal(value, k.Value) {
			if err := unused(tx, k); err != nil {
				return err
			}
		}
		policy, err := a.keyPolicy(tx, k.Policy)
		if err != nil {
			return err
		}
		if err := a.adopt(tx, k); err != nil {
			return err
		}
		return tx.UpdateKey(k, policy)
	})
}

// adopt makes a key of the account of one that is a locator's alone: what v2
// says of it has a place then, and it outlives the locator.
func (a *Account) adopt(tx *catalog.Tx, k *ams.Key) error {
	if !k.OfLocator {
		return nil
	}
	k.OfLocator = false
	return tx.InsertKey(k)
}

// unused refuses to change the value of a key that something is encrypted by.
func unused(tx *catalog.Tx, k *ams.Key) error {
	locators, err := tx.ContentKeys(k.ID)
	if err != nil {
		return err
	}
	assets, err := tx.KeyAssets(k.Account, k.ID)
	if err != nil {
		return err
	}
	if len(locators)+len(assets) > 0 {
		return ams.Errorf(ams.Conflict, "The content key '%s' is linked to an asset: its value can't be changed.", k.ID)
	}
	return nil
}

// DeleteKey deletes a key with its links, and reports whether there was one. That
// of a locator of v3 goes with it: Conflict.
func (a *Account) DeleteKey(ctx context.Context, id string) (existed bool, err error) {
	return gone(a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		k, err := tx.Key(a.ID, id)
		if err != nil {
			return err
		}
		if k.OfLocator {
			return ams.Errorf(ams.Conflict, "The content key '%s' belongs to a streaming locator, and goes with it.", k.ID)
		}
		assets, err := tx.KeyAssets(a.ID, k.ID)
		if err != nil {
			return err
		}
		if err := tx.DeleteKey(a.ID, k.ID); err != nil {
			return err
		}
		for _, asset := range assets {
			if err := a.rekey(tx, asset); err != nil {
				return err
			}
		}
		return nil
	}))
}

// LinkKey links a key to an asset. It is Exists when it is linked already, and
// Conflict when the asset has another storage key (documented).
func (a *Account) LinkKey(ctx context.Context, asset, id string) error {
	return a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		owner, err := tx.AssetByID(a.ID, asset)
		if err != nil {
			return err
		}
		k, err := tx.Key(a.ID, id)
		if err != nil {
			return err
		}
		linked, err := tx.AssetKeys(a.ID, owner.ID)
		if err != nil {
			return err
		}
		for _, other := range linked {
			if other.ID != k.ID && other.Type == ams.StorageKey && k.Type == ams.StorageKey {
				return ams.Errorf(ams.Conflict, "The asset has a storage encryption key already: it takes one.")
			}
		}
		if len(linked) >= maxAssetKeys {
			return full("content keys linked to an asset", maxAssetKeys)
		}
		if err := a.adopt(tx, k); err != nil {
			return err
		}
		if err := tx.LinkKey(a.ID, owner.ID, k.ID); err != nil {
			return err
		}
		return a.rekey(tx, owner.ID)
	})
}

// maxAssetKeys bounds the keys of an asset. AMS documents no bound.
const maxAssetKeys = 100

// UnlinkKey undoes LinkKey. What its locators stream by that key they do not
// stream any more.
func (a *Account) UnlinkKey(ctx context.Context, asset, id string) error {
	return a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		owner, err := tx.AssetByID(a.ID, asset)
		if err != nil {
			return err
		}
		if err := tx.UnlinkKey(a.ID, owner.ID, normalID(id)); err != nil {
			return err
		}
		return a.rekey(tx, owner.ID)
	})
}

// RebindKey is the value of a key: encrypted for an RSA key, or with nil as it
// is. Who may see keys may call it, and nobody else.
func (a *Account) RebindKey(ctx context.Context, k *ams.Key, certificate []byte) ([]byte, error) {
	value, err := a.keyValue(ctx, k.ID)
	if err != nil || certificate == nil {
		return value, err
	}
	c, err := x509.ParseCertificate(certificate)
	if err != nil {
		return nil, ams.Invalidf("x509Certificate", "x509Certificate is not an X.509 certificate in DER and base64.")
	}
	public, ok := c.PublicKey.(*rsa.PublicKey)
	if !ok || public.Size() > 2048 {
		return nil, ams.Invalidf("x509Certificate", "The certificate has no RSA key of at most 16384 bits.")
	}
	box, err := wrap(value, public)
	if err != nil {
		return nil, ams.Invalidf("x509Certificate", "The RSA key of the certificate is too short for the content key.")
	}
	return box, nil
}

func (a *Account) keyValue(ctx context.Context, id string) (value []byte, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		k, err := tx.Key(a.ID, id)
		if err == nil {
			value = k.Value
		}
		return err
	})
	return value, err
}

// FairPlaySecrets are the values of the two keys that a FairPlay configuration
// of v2 names.
func (a *Account) FairPlaySecrets(ctx context.Context, ask, password string) (values [2][]byte, err error) {
	for i, want := range []struct {
		id string
		t  ams.KeyType
		at string
	}{{ask, ams.FairPlayKey, "ASkId"}, {password, ams.FairPlayPFXSecret, "FairPlayPfxPasswordId"}} {
		err := a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
			k, err := tx.Key(a.ID, want.id)
			if err == nil && k.Type != want.t {
				return ams.Invalidf("KeyDeliveryConfiguration", "%s names a content key of type %d, not %d.", want.at, k.Type, want.t)
			}
			if err == nil {
				values[i] = k.Value
			}
			return referred(err, "KeyDeliveryConfiguration", "%s names no content key.", want.at)
		})
		if err != nil {
			return values, err
		}
	}
	return values, nil
}

// KeyDeliveryURL is where this server delivers a key in the form of a v2
// KeyDeliveryType.
func (a *Account) KeyDeliveryURL(id string, delivery int) (string, error) {
	switch delivery {
	case 1:
		return a.s.KeyDelivery + "/PlayReady/", nil
	case 2:
		return a.s.KeyDelivery + "/?KID=" + id, nil
	case 3:
		return a.s.KeyDelivery + "/Widevine/?KID=" + id, nil
	case 4:
		return a.s.KeyDelivery + "/FairPlay/?KID=" + id, nil
	}
	return "", ams.Invalidf("keyDeliveryType", "The keyDeliveryType must be 1, 2, 3 or 4.")
}
