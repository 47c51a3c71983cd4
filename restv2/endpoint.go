package restv2

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/identity"
	"github.com/openams/openams/restv2/odata"
)

// registerEndpoints adds what there is of streaming endpoints.
func registerEndpoints(c *odata.Config) {
	c.Sets["StreamingEndpoints"] = streamingEndpoints{}
	c.Calls["StreamingEndpoints/Start"] = func(ctx context.Context, key string, _ odata.Entity) (*odata.Result, error) {
		return operate(ctx, key, of(ctx).StartEndpoint)
	}
	c.Calls["StreamingEndpoints/Stop"] = func(ctx context.Context, key string, _ odata.Entity) (*odata.Result, error) {
		return operate(ctx, key, of(ctx).StopEndpoint)
	}
	c.Calls["StreamingEndpoints/Scale"] = func(ctx context.Context, key string, args odata.Entity) (*odata.Result, error) {
		units, ok := args["scaleUnits"].(int64)
		if !ok {
			return nil, odata.BadRequest("The parameter 'scaleUnits' is missing.")
		}
		return operate(ctx, key, func(ctx context.Context, name string) (*ams.Operation, error) {
			return of(ctx).ScaleEndpoint(ctx, name, int(units))
		})
	}
}

// operate begins a long-running operation on the endpoint with a key.
func operate(ctx context.Context, key string, begin func(context.Context, string) (*ams.Operation, error)) (*odata.Result, error) {
	e, err := endpoint(ctx, key)
	if err != nil {
		return nil, err
	}
	op, err := begin(ctx, e.Name)
	return begun(op), err
}

// begun is the Result of a long-running operation; nil for none.
func begun(op *ams.Operation) *odata.Result {
	if op == nil {
		return nil
	}
	return &odata.Result{Operation: operationID + op.ID}
}

// streamingEndpoints serves the StreamingEndpoints set. An account has few.
type streamingEndpoints struct{}

func endpoints(ctx context.Context) (all []*ams.StreamingEndpoint, err error) {
	var q catalog.Query
	for {
		page, next, err := of(ctx).Endpoints(ctx, q)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if q.After = next; next == "" {
			return all, nil
		}
	}
}

func endpoint(ctx context.Context, key string) (*ams.StreamingEndpoint, error) {
	all, err := endpoints(ctx)
	if err != nil {
		return nil, err
	}
	id := guid(endpointID, key)
	for _, e := range all {
		if strings.EqualFold(e.ID, id) {
			return e, nil
		}
	}
	return nil, odata.NotFound("StreamingEndpoints")
}

func (streamingEndpoints) Get(ctx context.Context, key string) (odata.Entity, error) {
	e, err := endpoint(ctx, key)
	if err != nil {
		return nil, err
	}
	return endpointEntity(ctx, e), nil
}

func (streamingEndpoints) Query(ctx context.Context, q *odata.Query) (*odata.Page, error) {
	all, err := endpoints(ctx)
	if err != nil {
		return nil, err
	}
	entities := make([]odata.Entity, len(all))
	for i, e := range all {
		entities[i] = endpointEntity(ctx, e)
	}
	return q.Apply(entities)
}

func (streamingEndpoints) Create(ctx context.Context, in *odata.Insert) (*odata.Result, error) {
	name, _ := in.Values["Name"].(string)
	e := ams.StreamingEndpoint{Name: name}
	if units, ok := in.Values["ScaleUnits"].(int64); ok {
		e.ScaleUnits = int(units)
	}
	if err := applyEndpoint(&e, in.Values); err != nil {
		return nil, err
	}
	made, op, err := of(ctx).NewEndpoint(ctx, e)
	if err != nil {
		return nil, err
	}
	result := begun(op)
	result.Entity = endpointEntity(ctx, made)
	return result, nil
}

func (streamingEndpoints) Update(ctx context.Context, key string, change odata.Entity) (*odata.Result, error) {
	e, err := endpoint(ctx, key)
	if err != nil {
		return nil, err
	}
	_, op, err := of(ctx).UpdateEndpoint(ctx, e.Name, func(e *ams.StreamingEndpoint) error { return applyEndpoint(e, change) })
	return begun(op), err
}

func (streamingEndpoints) Delete(ctx context.Context, key string, _ url.Values) (*odata.Result, error) {
	return operate(ctx, key, of(ctx).DeleteEndpoint)
}

// endpointEntity spells e. Keys shared with Akamai are for who may change
// them.
func endpointEntity(ctx context.Context, e *ams.StreamingEndpoint) odata.Entity {
	s := e.Settings
	out := odata.Entity{
		"Id": endpointID + e.ID, "Name": e.Name, "Description": e.Description, "Created": e.Created, "LastModified": e.LastModified,
		"HostName": e.HostName, "State": string(e.State), "ScaleUnits": e.ScaleUnits,
		"CdnEnabled": s.CDNEnabled, "StreamingEndpointVersion": "2.0", "CustomHostNames": texts(s.CustomHosts),
		// There is no trial: the year 1 says none.
		"FreeTrialEndTime": odata.DateTime{Time: time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), Bare: true},
	}
	if e.State == ams.EndpointCreating {
		out["State"] = string(ams.EndpointStopped) // v2 had no such state
	}
	if s.CDNProvider != nil {
		out["CdnProvider"] = *s.CDNProvider
	}
	if s.CDNProfile != nil {
		out["CdnProfile"] = *s.CDNProfile
	}
	if s.MaxCacheAge != nil {
		out["CacheControl"] = odata.Entity{"MaxAge": *s.MaxCacheAge}
	}
	if s.CrossSite != nil {
		out["CrossSiteAccessPolicies"] = odata.Entity{"ClientAccessPolicy": s.CrossSite.ClientAccess, "CrossDomainPolicy": s.CrossSite.CrossDomain}
	}
	if s.Access != nil {
		out["AccessControl"] = accessEntity(ctx, s.Access)
	}
	return out
}

func texts(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

func accessEntity(ctx context.Context, a *ams.EndpointAccess) odata.Entity {
	out := odata.Entity{}
	if a.IP != nil {
		ranges := []any{}
		for _, r := range a.IP.Allow {
			item := odata.Entity{"Name": r.Name, "Address": r.Address}
			if r.PrefixLength != nil {
				item["SubnetPrefixLength"] = *r.PrefixLength
			}
			ranges = append(ranges, item)
		}
		out["IP"] = odata.Entity{"Allow": ranges}
	}
	if a.Akamai != nil {
		secret := !identity.FromContext(ctx).May("Microsoft.Media/mediaservices/streamingEndpoints/write", scope(ctx))
		keys := []any{}
		for _, k := range a.Akamai.Keys {
			item := odata.Entity{"Identifier": k.Identifier, "Base64Key": k.Key, "Expiration": k.Expiration}
			if secret {
				item["Base64Key"] = ""
			}
			keys = append(keys, item)
		}
		out["Akamai"] = odata.Entity{"AkamaiSignatureHeaderAuthenticationKeyList": keys}
	}
	return out
}

// applyEndpoint writes what v names into e.
func applyEndpoint(e *ams.StreamingEndpoint, v odata.Entity) error {
	s := &e.Settings
	for name, value := range v {
		switch name {
		case "Description":
			e.Description, _ = value.(string)
		case "CdnEnabled":
			s.CDNEnabled, _ = value.(bool)
		case "CdnProvider":
			s.CDNProvider = pointer[string](value)
		case "CdnProfile":
			s.CDNProfile = pointer[string](value)
		case "CustomHostNames":
			s.CustomHosts = nil
			items, _ := value.([]any)
			for _, item := range items {
				s.CustomHosts = append(s.CustomHosts, item.(string))
			}
		case "CacheControl":
			s.MaxCacheAge = nil
			if c, ok := value.(odata.Entity); ok {
				s.MaxCacheAge = pointer[int64](c["MaxAge"])
			}
		case "CrossSiteAccessPolicies":
			s.CrossSite = nil
			if c, ok := value.(odata.Entity); ok {
				s.CrossSite = &ams.CrossSite{}
				s.CrossSite.ClientAccess, _ = c["ClientAccessPolicy"].(string)
				s.CrossSite.CrossDomain, _ = c["CrossDomainPolicy"].(string)
			}
		case "AccessControl":
			s.Access = readAccess(value)
		case "StreamingEndpointVersion":
			if value != nil && value != "" && value != "2.0" {
				return odata.BadRequest("The property 'StreamingEndpointVersion' can be '2.0' alone on this server.")
			}
		}
	}
	return nil
}

func pointer[T any](v any) *T {
	if t, ok := v.(T); ok {
		return &t
	}
	return nil
}

func readAccess(v any) *ams.EndpointAccess {
	in, ok := v.(odata.Entity)
	if !ok {
		return nil
	}
	out := &ams.EndpointAccess{}
	if ip, ok := in["IP"].(odata.Entity); ok {
		out.IP = &ams.IPAccess{}
		items, _ := ip["Allow"].([]any)
		for _, item := range items {
			e := item.(odata.Entity)
			var r ams.IPRange
			r.Name, _ = e["Name"].(string)
			r.Address, _ = e["Address"].(string)
			if n, ok := e["SubnetPrefixLength"].(int64); ok {
				length := int(n)
				r.PrefixLength = &length
			}
			out.IP.Allow = append(out.IP.Allow, r)
		}
	}
	if akamai, ok := in["Akamai"].(odata.Entity); ok {
		out.Akamai = &ams.AkamaiAccess{}
		items, _ := akamai["AkamaiSignatureHeaderAuthenticationKeyList"].([]any)
		for _, item := range items {
			e := item.(odata.Entity)
			var k ams.AkamaiKey
			k.Identifier, _ = e["Identifier"].(string)
			k.Key, _ = e["Base64Key"].(string)
			if t, ok := e["Expiration"].(odata.DateTime); ok {
				k.Expiration = t.Time
			}
			out.Akamai.Keys = append(out.Akamai.Keys, k)
		}
	}
	return out
}

// operations serves the Operations set: of streaming endpoints, one by one.
type operations struct{}

func (operations) Get(ctx context.Context, key string) (odata.Entity, error) {
	op, err := of(ctx).Operation(ctx, account.EndpointOperations, guid(operationID, key))
	if err != nil {
		if ams.CodeOf(err) == ams.NotFound || ams.CodeOf(err) == ams.Invalid {
			return nil, odata.NotFound("Operations")
		}
		return nil, err
	}
	out := odata.Entity{"Id": operationID + op.ID, "State": string(op.Status)}
	if op.Status == ams.OperationFailed {
		out["ErrorCode"], out["ErrorMessage"] = op.Code, op.Message
	}
	e, err := of(ctx).Endpoint(ctx, op.Resource[strings.LastIndexByte(op.Resource, '/')+1:])
	switch {
	case err == nil:
		out["TargetEntityId"] = endpointID + e.ID
	case ams.CodeOf(err) != ams.NotFound: // it may have been deleted
		return nil, err
	}
	return out, nil
}

// Query is refused: operations were asked for by their id.
func (operations) Query(context.Context, *odata.Query) (*odata.Page, error) {
	return nil, odata.BadRequest("Operations can be read one by one, by their id.")
}
