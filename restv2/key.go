package restv2

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/identity"
	"github.com/openams/openams/restv2/odata"
)

// registerKeys adds content keys, their policies, and delivery policies.
func registerKeys(c *odata.Config) {
	c.Sets["ContentKeys"] = contentKeys{}
	c.Sets["ContentKeyAuthorizationPolicies"] = keyPolicies{}
	c.Sets["ContentKeyAuthorizationPolicyOptions"] = policyOptions{}
	c.Sets["AssetDeliveryPolicies"] = deliveryPolicies{}
	c.Calls["GetProtectionKeyId"] = func(ctx context.Context, _ string, args odata.Entity) (*odata.Result, error) {
		t, _ := args["contentKeyType"].(int64)
		if t < 0 || t > 8 || t == 5 {
			return nil, odata.BadRequest("The contentKeyType %d is not one of 0, 1, 2, 3, 4, 6, 7 and 8.", t)
		}
		id, err := of(ctx).ProtectionKeyID(ctx)
		return &odata.Result{Value: id}, err
	}
	c.Calls["GetProtectionKey"] = func(ctx context.Context, _ string, args odata.Entity) (*odata.Result, error) {
		id, _ := args["protectionKeyId"].(string)
		der, err := of(ctx).ProtectionKey(ctx, id)
		return &odata.Result{Value: base64.StdEncoding.EncodeToString(der)}, err
	}
	c.Calls["RebindContentKey"] = rebind
	c.Calls["ContentKeys/GetKeyDeliveryUrl"] = func(ctx context.Context, key string, args odata.Entity) (*odata.Result, error) {
		k, err := contentKey(ctx, key)
		if err != nil {
			return nil, err
		}
		delivery, _ := args["keyDeliveryType"].(int64)
		u, err := of(ctx).KeyDeliveryURL(k.ID, int(delivery))
		return &odata.Result{Value: u}, err
	}
}

// The actions of v3 that show what is otherwise hidden.
const (
	seeStorageKeys   = "Microsoft.Media/mediaservices/assets/getEncryptionKey/action"
	seeContentKeys   = "Microsoft.Media/mediaservices/streamingLocators/listContentKeys/action"
	seePolicySecrets = "Microsoft.Media/mediaservices/contentKeyPolicies/getPolicyPropertiesWithSecrets/action"
)

// rebind shows the value of a key: encrypted for the certificate of the caller,
// or as it is if that is empty (read in a client of AMS).
func rebind(ctx context.Context, _ string, args odata.Entity) (*odata.Result, error) {
	id, _ := args["id"].(string)
	k, err := contentKey(ctx, id)
	if err != nil {
		return nil, err
	}
	action := seeContentKeys
	if k.Type == ams.StorageKey || k.Type == ams.ConfigurationKey {
		action = seeStorageKeys
	}
	if !identity.FromContext(ctx).May(action, scope(ctx)) {
		return nil, odata.Errorf(http.StatusForbidden, "The caller does not have the permission '%s'.", action)
	}
	text, _ := args["x509Certificate"].(string)
	var certificate []byte
	if text != "" {
		// The pluses of base64 arrive as blanks where a client did not escape them.
		if certificate, err = base64.StdEncoding.DecodeString(strings.ReplaceAll(text, " ", "+")); err != nil {
			return nil, odata.BadRequest("x509Certificate is not base64.")
		}
	}
	value, err := of(ctx).RebindKey(ctx, k, certificate)
	return &odata.Result{Value: base64.StdEncoding.EncodeToString(value)}, err
}

// contentKeys serves the ContentKeys set. No answer has the value of a key but
// encrypted for this server.
type contentKeys struct{}

func contentKey(ctx context.Context, id string) (*ams.Key, error) {
	return of(ctx).Key(ctx, guid(keyID, id))
}

func (contentKeys) Get(ctx context.Context, key string) (odata.Entity, error) {
	k, err := contentKey(ctx, key)
	if err != nil {
		return nil, err
	}
	return keyEntity(k), nil
}

func (contentKeys) Query(ctx context.Context, q *odata.Query) (*odata.Page, error) {
	found, err := of(ctx).FindKeys(ctx, search(q))
	return page(found, err, keyEntity)
}

func (contentKeys) Create(ctx context.Context, in *odata.Insert) (*odata.Result, error) {
	id, _ := in.Values["Id"].(string)
	bare := guid(keyID, id)
	if id != "" && bare == "" {
		return nil, odata.BadRequest("The Id '%s' is not 'nb:kid:UUID:' and a GUID.", id)
	}
	t, _ := in.Values["ContentKeyType"].(int64)
	input, err := keyInput(in.Values)
	if err != nil {
		return nil, err
	}
	made, err := of(ctx).CreateKey(ctx, bare, ams.KeyType(t), input)
	if err != nil {
		return nil, err
	}
	return &odata.Result{Entity: keyEntity(made)}, nil
}

func (contentKeys) Update(ctx context.Context, key string, change odata.Entity) (*odata.Result, error) {
	input, err := keyInput(change)
	if err != nil {
		return nil, err
	}
	return nil, of(ctx).UpdateKey(ctx, guid(keyID, key), input)
}

func (contentKeys) Delete(ctx context.Context, key string, _ url.Values) (*odata.Result, error) {
	existed, err := of(ctx).DeleteKey(ctx, guid(keyID, key))
	return nil, deleted(existed, err, "ContentKeys")
}

func deleted(existed bool, err error, set string) error {
	if err == nil && !existed {
		return odata.NotFound(set)
	}
	return err
}

func keyInput(v odata.Entity) (in account.KeyInput, err error) {
	for name, at := range map[string]**string{"Name": &in.Name, "ProtectionKeyId": &in.ProtectionKey,
		"Checksum": &in.Checksum, "TrackIdentifiers": &in.TrackIdentifiers} {
		if value, ok := v[name]; ok {
			text, _ := value.(string)
			*at = &text
		}
	}
	in.Wrapped = pointer[string](v["EncryptedContentKey"]) // null is none
	if n, ok := v["ProtectionKeyType"].(int64); ok {
		t := int(n)
		in.ProtectionType = &t
	}
	if value, ok := v["AuthorizationPolicyId"]; ok {
		text, _ := value.(string)
		id := guid(policyID, text)
		if text != "" && id == "" {
			return in, odata.BadRequest("The AuthorizationPolicyId '%s' is not 'nb:ckpid:UUID:' and a GUID.", text)
		}
		in.Policy = &id
	}
	return in, nil
}

func keyEntity(k *ams.Key) odata.Entity {
	e := odata.Entity{
		"Id": keyID + k.ID, "Created": k.Created, "LastModified": k.LastModified, "ContentKeyType": int(k.Type),
		"EncryptedContentKey": k.Wrapped, "Name": optional(k.Name), "ProtectionKeyId": k.ProtectionKey, "ProtectionKeyType": k.ProtectionType,
		"Checksum": optional(k.Checksum), "TrackIdentifiers": optional(k.TrackIdentifiers),
	}
	if k.Policy != "" {
		e["AuthorizationPolicyId"] = policyID + k.Policy
	}
	return e
}

// Link links a content key or a delivery policy to an asset.
func (assets) Link(ctx context.Context, key, navigation string, to odata.Ref) error {
	return assetLink(ctx, key, navigation, to, of(ctx).LinkKey, of(ctx).LinkDeliveryPolicy)
}

// Unlink undoes Link.
func (assets) Unlink(ctx context.Context, key, navigation string, to odata.Ref) error {
	return assetLink(ctx, key, navigation, to, of(ctx).UnlinkKey, of(ctx).UnlinkDeliveryPolicy)
}

func assetLink(ctx context.Context, key, navigation string, to odata.Ref, keys, policies func(ctx context.Context, asset, id string) error) error {
	switch navigation {
	case "ContentKeys":
		return keys(ctx, guid(assetID, key), guid(keyID, to.Key))
	case "DeliveryPolicies":
		return policies(ctx, guid(assetID, key), guid(deliveryID, to.Key))
	}
	return odata.NotFound(navigation)
}

// deliveryPolicies serves the AssetDeliveryPolicies set.
type deliveryPolicies struct{}

func (deliveryPolicies) Get(ctx context.Context, key string) (odata.Entity, error) {
	p, err := of(ctx).DeliveryPolicy(ctx, guid(deliveryID, key))
	if err != nil {
		return nil, err
	}
	return deliveryEntity(p), nil
}

func (deliveryPolicies) Query(ctx context.Context, q *odata.Query) (*odata.Page, error) {
	found, err := of(ctx).FindDeliveryPolicies(ctx, "", search(q))
	return page(found, err, deliveryEntity)
}

func (deliveryPolicies) Create(ctx context.Context, in *odata.Insert) (*odata.Result, error) {
	var p ams.DeliveryPolicy
	applyDelivery(&p, in.Values)
	made, err := of(ctx).CreateDeliveryPolicy(ctx, p)
	if err != nil {
		return nil, err
	}
	return &odata.Result{Entity: deliveryEntity(made)}, nil
}

func (deliveryPolicies) Update(ctx context.Context, key string, change odata.Entity) (*odata.Result, error) {
	return nil, of(ctx).UpdateDeliveryPolicy(ctx, guid(deliveryID, key), func(p *ams.DeliveryPolicy) { applyDelivery(p, change) })
}

func (deliveryPolicies) Delete(ctx context.Context, key string, _ url.Values) (*odata.Result, error) {
	existed, err := of(ctx).DeleteDeliveryPolicy(ctx, guid(deliveryID, key))
	return nil, deleted(existed, err, "AssetDeliveryPolicies")
}

// applyDelivery writes what v names into p.
func applyDelivery(p *ams.DeliveryPolicy, v odata.Entity) {
	for name, at := range map[string]*string{"Name": &p.Name, "AssetDeliveryConfiguration": &p.Configuration} {
		if value, ok := v[name]; ok {
			*at, _ = value.(string)
		}
	}
	if n, ok := v["AssetDeliveryProtocol"].(int64); ok {
		p.Protocols = int(n)
	}
	if n, ok := v["AssetDeliveryPolicyType"].(int64); ok {
		p.Type = ams.DeliveryType(n)
	}
}

func deliveryEntity(p *ams.DeliveryPolicy) odata.Entity {
	return odata.Entity{
		"Id": deliveryID + p.ID, "Name": optional(p.Name), "AssetDeliveryProtocol": p.Protocols, "AssetDeliveryPolicyType": int(p.Type),
		"AssetDeliveryConfiguration": optional(p.Configuration), "Created": p.Created, "LastModified": p.LastModified,
	}
}
