package restv2

import (
	"context"
	"net/url"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/identity"
	"github.com/openams/openams/restv2/odata"
)

// registerLocators adds access policies and locators.
func registerLocators(c *odata.Config) {
	c.Sets["AccessPolicies"] = accessPolicies{}
	c.Sets["Locators"] = locators{}
}

// accessPolicies serves the AccessPolicies set.
type accessPolicies struct{}

func (accessPolicies) Get(ctx context.Context, key string) (odata.Entity, error) {
	p, err := of(ctx).AccessPolicy(ctx, guid(accessPolicyID, key))
	if err != nil {
		return nil, err
	}
	return accessPolicyEntity(p), nil
}

func (accessPolicies) Query(ctx context.Context, q *odata.Query) (*odata.Page, error) {
	found, err := of(ctx).FindAccessPolicies(ctx, search(q))
	return page(found, err, accessPolicyEntity)
}

func (accessPolicies) Create(ctx context.Context, in *odata.Insert) (*odata.Result, error) {
	var p ams.LocatorPolicy
	p.Name, _ = in.Values["Name"].(string)
	p.Minutes, _ = in.Values["DurationInMinutes"].(float64)
	permissions, _ := in.Values["Permissions"].(int64)
	p.Permissions = int(permissions)
	made, err := of(ctx).CreateAccessPolicy(ctx, p)
	if err != nil {
		return nil, err
	}
	return &odata.Result{Entity: accessPolicyEntity(made)}, nil
}

func (accessPolicies) Delete(ctx context.Context, key string, _ url.Values) (*odata.Result, error) {
	existed, err := of(ctx).DeleteAccessPolicy(ctx, guid(accessPolicyID, key))
	if err == nil && !existed {
		err = odata.NotFound("AccessPolicies")
	}
	return nil, err
}

func accessPolicyEntity(p *ams.LocatorPolicy) odata.Entity {
	return odata.Entity{"Id": accessPolicyID + p.ID, "Created": p.Created, "LastModified": p.LastModified,
		"Name": p.Name, "DurationInMinutes": p.Minutes, "Permissions": p.Permissions}
}

// locators serves the Locators set: SAS locators, and the streaming locators of
// v3 as OnDemandOrigin ones.
type locators struct{}

func (locators) Get(ctx context.Context, key string) (odata.Entity, error) {
	l, err := of(ctx).V2Locator(ctx, guid(locatorID, key))
	if err != nil {
		return nil, err
	}
	entities, err := locatorEntities(ctx, l)
	if err != nil {
		return nil, err
	}
	return entities[0], nil
}

func (locators) Query(ctx context.Context, q *odata.Query) (*odata.Page, error) {
	found, err := of(ctx).FindLocators(ctx, search(q))
	if err != nil {
		return nil, err
	}
	p := &odata.Page{Count: found.Count, Next: found.Next}
	p.Entities, err = locatorEntities(ctx, found.Rows...)
	return p, err
}

func (locators) Create(ctx context.Context, in *odata.Insert) (*odata.Result, error) {
	var l ams.Locator
	if id, _ := in.Values["Id"].(string); id != "" {
		if l.ID = guid(locatorID, id); l.ID == "" {
			return nil, odata.BadRequest("The property 'Id' of a locator is '%s' and a guid.", locatorID)
		}
	}
	kind, _ := in.Values["Type"].(int64)
	l.Type = ams.LocatorType(kind)
	assetKey, _ := in.Values["AssetId"].(string)
	policyKey, _ := in.Values["AccessPolicyId"].(string)
	l.Asset, l.AccessPolicy = guid(assetID, assetKey), guid(accessPolicyID, policyKey)
	l.Label, _ = in.Values["Name"].(string)
	if t, ok := in.Values["StartTime"].(odata.DateTime); ok {
		l.Start, l.Bare = t.Time, t.Bare
	}
	if l.Type == ams.SASLocator && !mayList(ctx) {
		return nil, odata.Errorf(403, "The caller does not have the permission '%s', which a SAS locator takes.", listSAS)
	}
	made, err := of(ctx).NewLocator(ctx, l)
	if err != nil {
		return nil, err
	}
	entities, err := locatorEntities(ctx, made)
	if err != nil {
		return nil, err
	}
	return &odata.Result{Entity: entities[0]}, nil
}

func (locators) Update(ctx context.Context, key string, change odata.Entity) (*odata.Result, error) {
	var start, end *time.Time
	bare := false
	if value, ok := change["StartTime"]; ok {
		start = new(time.Time)
		if t, ok := value.(odata.DateTime); ok {
			*start, bare = t.Time, t.Bare
		}
	}
	if t, ok := change["ExpirationDateTime"].(odata.DateTime); ok {
		end = &t.Time
	}
	var label *string
	if value, ok := change["Name"]; ok {
		text, _ := value.(string)
		label = &text
	}
	return nil, of(ctx).UpdateLocator(ctx, guid(locatorID, key), label, start, end, bare)
}

func (locators) Delete(ctx context.Context, key string, _ url.Values) (*odata.Result, error) {
	existed, err := of(ctx).DeleteV2Locator(ctx, guid(locatorID, key))
	if err == nil && !existed {
		err = odata.NotFound("Locators")
	}
	return nil, err
}

// listSAS is the permission that v3 asks for URLs to a container.
const listSAS = "Microsoft.Media/mediaservices/assets/listContainerSas/action"

func mayList(ctx context.Context) bool { return identity.FromContext(ctx).May(listSAS, scope(ctx)) }

// locatorEntities spells locators. The URLs of SAS locators are for who may
// have such URLs made.
func locatorEntities(ctx context.Context, ls ...*ams.Locator) ([]odata.Entity, error) {
	urls, err := of(ctx).LocatorURLs(ctx, ls)
	if err != nil {
		return nil, err
	}
	signed := mayList(ctx)
	out := make([]odata.Entity, len(ls))
	for i, l := range ls {
		e := odata.Entity{
			"Id": locatorID + l.ID, "ExpirationDateTime": odata.DateTime{Time: l.End, Bare: l.Bare}, "Type": int(l.Type),
			"BaseUri": urls[i].Base, "AssetId": assetID + l.Asset, "Name": optional(l.Label),
		}
		if signed || l.Type != ams.SASLocator {
			e["Path"], e["ContentAccessComponent"] = urls[i].Path(), urls[i].Component
		}
		if l.AccessPolicy != "" {
			e["AccessPolicyId"] = accessPolicyID + l.AccessPolicy
		}
		if !l.Start.IsZero() {
			e["StartTime"] = odata.DateTime{Time: l.Start, Bare: l.Bare}
		}
		out[i] = e
	}
	return out, nil
}
