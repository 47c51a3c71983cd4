package restv2

import (
	"context"
	"net/url"
	"strings"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/identity"
	"github.com/openams/openams/restv2/odata"
)

// notificationID begins the ids of notification endpoints, as messages of AMS
// had them; the documents have nb:ncid too.
const notificationID = "nb:nepid:UUID:"

// endpointGUID is the guid of a notification endpoint's id in either spelling.
func endpointGUID(id string) string {
	if g := guid("nb:ncid:UUID:", id); g != "" {
		return g
	}
	return guid(notificationID, id)
}

// notificationEndpoints serves the NotificationEndPoints set.
type notificationEndpoints struct{}

func (notificationEndpoints) Get(ctx context.Context, key string) (odata.Entity, error) {
	e, err := of(ctx).NotificationEndpoint(ctx, endpointGUID(key))
	if err != nil {
		return nil, err
	}
	return notificationEntity(ctx)(e), nil
}

func (notificationEndpoints) Query(ctx context.Context, q *odata.Query) (*odata.Page, error) {
	// There are few, and their addresses are sealed in the catalog.
	all := []odata.Entity{}
	for s := (catalog.Search{Top: catalog.PageSize}); ; {
		found, err := of(ctx).FindNotificationEndpoints(ctx, s)
		if err != nil {
			return nil, err
		}
		for _, e := range found.Rows {
			all = append(all, notificationEntity(ctx)(e))
		}
		if s.After = found.Next; s.After == "" {
			return q.Apply(all)
		}
	}
}

func (notificationEndpoints) Create(ctx context.Context, in *odata.Insert) (*odata.Result, error) {
	v := in.Values
	var e ams.NotificationEndpoint
	e.Name, _ = v["Name"].(string)
	kind, _ := v["EndPointType"].(int64)
	e.Kind = ams.NotificationKind(kind)
	e.Address, _ = v["EndPointAddress"].(string)
	credential, _ := v["CredentialType"].(int64)
	e.CredentialType = int(credential)
	e.ProtectionKey, _ = v["ProtectionKeyId"].(string)
	wrapped, _ := v["EncryptedEndPointCredential"].(string)
	made, err := of(ctx).CreateNotificationEndpoint(ctx, e, wrapped)
	if err != nil {
		return nil, err
	}
	return &odata.Result{Entity: notificationEntity(ctx)(made)}, nil
}

func (notificationEndpoints) Update(ctx context.Context, key string, change odata.Entity) (*odata.Result, error) {
	name, ok := change["Name"].(string)
	if !ok {
		_, err := of(ctx).NotificationEndpoint(ctx, endpointGUID(key))
		return nil, err
	}
	return nil, of(ctx).RenameNotificationEndpoint(ctx, endpointGUID(key), name)
}

func (notificationEndpoints) Delete(ctx context.Context, key string, _ url.Values) (*odata.Result, error) {
	existed, err := of(ctx).DeleteNotificationEndpoint(ctx, endpointGUID(key))
	if err == nil && !existed {
		err = odata.NotFound("NotificationEndPoints")
	}
	return nil, err
}

// notificationEntity spells an endpoint, without its signing key. The query of
// its address may let in who knows it: it is for who may make endpoints.
func notificationEntity(ctx context.Context) func(*ams.NotificationEndpoint) odata.Entity {
	secret := !identity.FromContext(ctx).May("Microsoft.Media/mediaservices/"+nouns["NotificationEndPoints"]+"write", scope(ctx))
	return func(e *ams.NotificationEndpoint) odata.Entity {
		address := e.Address
		if secret {
			address, _, _ = strings.Cut(address, "?")
		}
		return odata.Entity{"Id": notificationID + e.ID, "Name": e.Name, "Created": e.Created, "EndPointType": int(e.Kind), "EndPointAddress": address,
			"CredentialType": e.CredentialType, "ProtectionKeyId": optional(e.ProtectionKey), "ProtectionKeyType": 0}
	}
}
