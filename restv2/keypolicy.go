package restv2

import (
	"context"
	"net/url"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/identity"
	"github.com/openams/openams/restv2/odata"
)

// keyPolicies serves the ContentKeyAuthorizationPolicies set: the content key
// policies of v3.
type keyPolicies struct{}

func (keyPolicies) Get(ctx context.Context, key string) (odata.Entity, error) {
	p, err := of(ctx).ContentKeyPolicyByID(ctx, guid(policyID, key))
	if err != nil {
		return nil, err
	}
	return policyEntity(p), nil
}

func (keyPolicies) Query(ctx context.Context, q *odata.Query) (*odata.Page, error) {
	found, err := of(ctx).FindContentKeyPolicies(ctx, search(q))
	return page(found, err, policyEntity)
}

func (keyPolicies) Create(ctx context.Context, in *odata.Insert) (*odata.Result, error) {
	name, _ := in.Values["Name"].(string)
	p, err := of(ctx).NewContentKeyPolicy(ctx, name)
	if err != nil {
		return nil, err
	}
	return &odata.Result{Entity: policyEntity(p)}, nil
}

func (keyPolicies) Update(ctx context.Context, key string, change odata.Entity) (*odata.Result, error) {
	id := guid(policyID, key)
	value, ok := change["Name"]
	if !ok {
		_, err := of(ctx).ContentKeyPolicyByID(ctx, id)
		return nil, err
	}
	name, _ := value.(string)
	return nil, of(ctx).LabelContentKeyPolicy(ctx, id, name)
}

func (keyPolicies) Delete(ctx context.Context, key string, _ url.Values) (*odata.Result, error) {
	existed, err := of(ctx).DeleteContentKeyPolicyByID(ctx, guid(policyID, key))
	return nil, deleted(existed, err, "ContentKeyAuthorizationPolicies")
}

func (keyPolicies) Related(ctx context.Context, key, navigation string, q *odata.Query) (*odata.Page, error) {
	id := guid(policyID, key)
	if navigation != "Options" || id == "" {
		return nil, odata.NotFound(navigation)
	}
	found, err := of(ctx).FindPolicyOptions(ctx, id, search(q))
	return page(found, err, optionEntity(ctx))
}

func (keyPolicies) Link(ctx context.Context, key, _ string, to odata.Ref) error {
	return of(ctx).LinkPolicyOption(ctx, guid(policyID, key), guid(optionID, to.Key))
}

func (keyPolicies) Unlink(ctx context.Context, key, _ string, to odata.Ref) error {
	return of(ctx).UnlinkPolicyOption(ctx, guid(policyID, key), guid(optionID, to.Key))
}

func policyEntity(p *ams.ContentKeyPolicy) odata.Entity {
	return odata.Entity{"Id": policyID + p.ID, "Name": optional(p.Label)}
}

// policyOptions serves the ContentKeyAuthorizationPolicyOptions set.
type policyOptions struct{}

func (policyOptions) Get(ctx context.Context, key string) (odata.Entity, error) {
	o, err := of(ctx).PolicyOption(ctx, guid(optionID, key))
	if err != nil {
		return nil, err
	}
	return optionEntity(ctx)(o), nil
}

func (policyOptions) Query(ctx context.Context, q *odata.Query) (*odata.Page, error) {
	found, err := of(ctx).FindPolicyOptions(ctx, "", search(q))
	return page(found, err, optionEntity(ctx))
}

func (policyOptions) Create(ctx context.Context, in *odata.Insert) (*odata.Result, error) {
	o := ams.ContentKeyPolicyOption{V2: new(ams.V2Option)}
	if err := applyOption(ctx, &o, in.Values, true); err != nil {
		return nil, err
	}
	made, err := of(ctx).CreatePolicyOption(ctx, o)
	if err != nil {
		return nil, err
	}
	return &odata.Result{Entity: optionEntity(ctx)(made)}, nil
}

func (policyOptions) Update(ctx context.Context, key string, change odata.Entity) (*odata.Result, error) {
	return nil, of(ctx).UpdatePolicyOption(ctx, guid(optionID, key), func(o *ams.ContentKeyPolicyOption) error {
		v2 := ams.V2Option{}
		if o.V2 != nil {
			v2 = *o.V2
		}
		o.V2 = &v2
		return applyOption(ctx, o, change, false)
	})
}

func (policyOptions) Delete(ctx context.Context, key string, _ url.Values) (*odata.Result, error) {
	existed, err := of(ctx).DeletePolicyOption(ctx, guid(optionID, key))
	return nil, deleted(existed, err, "ContentKeyAuthorizationPolicyOptions")
}

// applyOption writes what v names into o.
func applyOption(ctx context.Context, o *ams.ContentKeyPolicyOption, v odata.Entity, made bool) error {
	if value, ok := v["Name"]; ok {
		o.Name, _ = value.(string)
	}
	delivery, given := v["KeyDeliveryType"].(int64)
	text, said := v["KeyDeliveryConfiguration"]
	if made || given || said {
		kind := o.DeliveryType()
		if given || made {
			kind = int(delivery)
		}
		configuration, _ := text.(string)
		if !said && !made {
			configuration = configurationText(o)
		}
		var err error
		if o.Configuration, err = readDelivery(kind, configuration, func(ask, password string) ([2][]byte, error) {
			return of(ctx).FairPlaySecrets(ctx, ask, password)
		}); err != nil {
			return err
		}
		o.V2.Configuration = configuration
	}
	if value, ok := v["Restrictions"]; ok || made {
		items, _ := value.([]any)
		var err error
		if o.Restriction, o.V2.Restrictions, err = readRestrictions(items); err != nil {
			return err
		}
	}
	return nil
}

// optionEntity spells options, without their secrets for callers who may not
// see those.
func optionEntity(ctx context.Context) func(*ams.ContentKeyPolicyOption) odata.Entity {
	secret := !identity.FromContext(ctx).May(seePolicySecrets, scope(ctx))
	return func(o *ams.ContentKeyPolicyOption) odata.Entity {
		shown := *o
		if secret {
			shown.Redact()
		}
		return odata.Entity{
			"Id": optionID + o.ID, "Name": optional(o.Name), "KeyDeliveryType": o.DeliveryType(),
			"KeyDeliveryConfiguration": optional(configurationText(&shown)), "Restrictions": restrictionItems(&shown),
		}
	}
}
