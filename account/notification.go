package account

import (
	"context"
	"net/url"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

// maxEndpointName bounds the name of a notification endpoint, in characters. AMS
// documents no bound.
const maxEndpointName = 512

// CreateNotificationEndpoint makes an endpoint for messages about jobs. The
// address is the URL of a web hook, or of a queue in a storage account that
// speaks Azure's protocol, with the signature that allows to add messages:
// this server has no queues of its own. wrapped is the key that signs messages,
// encrypted for the protection key; empty: they are not signed.
func (a *Account) CreateNotificationEndpoint(ctx context.Context, e ams.NotificationEndpoint, wrapped string) (*ams.NotificationEndpoint, error) {
	u, err := url.Parse(e.Address)
	remote := err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
	switch {
	case e.Name == "" || utf8.RuneCountInString(e.Name) > maxEndpointName:
		return nil, ams.Invalidf("Name", "The name of a notification endpoint has 1 to %d characters.", maxEndpointName)
	case e.Kind != ams.QueueEndpoint && e.Kind != ams.WebhookEndpoint:
		return nil, ams.Invalidf("EndPointType", "EndPointType must be 1 (a queue) or 3 (a web hook).")
	case len(e.Address) > ams.MaxHTTPInputURL:
		return nil, ams.Invalidf("EndPointAddress", "EndPointAddress is longer than %d characters.", ams.MaxHTTPInputURL)
	case e.Kind == ams.QueueEndpoint && !remote:
		return nil, ams.Errorf(ams.Unsupported, "This server has no storage queues. EndPointAddress must be the URL of a queue elsewhere, with a shared access signature that allows to add messages.")
	case !remote:
		return nil, ams.Invalidf("EndPointAddress", "EndPointAddress must be an http or https URL.")
	case e.CredentialType != 0 && e.CredentialType != 1:
		return nil, ams.Invalidf("CredentialType", "CredentialType must be 0 (none) or 1 (a signing key).")
	case (e.CredentialType == 1) != (wrapped != ""):
		return nil, ams.Invalidf("EncryptedEndPointCredential", "A signing key goes with CredentialType 1, and only with that.")
	}
	if wrapped != "" {
		p, err := a.s.protectionKey(ctx)
		if err == nil {
			err = p.is(e.ProtectionKey)
		}
		if err != nil {
			return nil, err
		}
		if e.Key, err = p.unwrap(wrapped); err != nil {
			return nil, ams.Invalidf("EncryptedEndPointCredential", "EncryptedEndPointCredential is not base64 of a key that is encrypted by RSA-OAEP for the protection key '%s'.", p.thumbprint)
		}
		if len(e.Key) == 0 {
			return nil, ams.Invalidf("EncryptedEndPointCredential", "The signing key is empty.")
		}
	}
	if a.s.CheckURL != nil {
		if err := a.s.CheckURL(e.Address); err != nil {
			return nil, ams.Invalidf("EndPointAddress", "This server may not send to EndPointAddress: %v.", err)
		}
	}
	e.Account, e.ID, e.Created = a.ID, uuid.NewString(), a.s.now()
	return &e, a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		n, err := tx.CountNotificationEndpoints(a.ID)
		if err != nil {
			return err
		}
		if n >= maxEndpoints {
			return full("notification endpoints in the account", maxEndpoints)
		}
		return tx.InsertNotificationEndpoint(&e)
	})
}

// NotificationEndpoint finds a notification endpoint by its guid.
func (a *Account) NotificationEndpoint(ctx context.Context, id string) (e *ams.NotificationEndpoint, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		e, err = tx.NotificationEndpoint(a.ID, id)
		return err
	})
	return e, err
}

// FindNotificationEndpoints searches the notification endpoints.
func (a *Account) FindNotificationEndpoints(ctx context.Context, s catalog.Search) (found *catalog.Found[ams.NotificationEndpoint], err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		found, err = tx.FindNotificationEndpoints(a.ID, s)
		return err
	})
	return found, err
}

// RenameNotificationEndpoint changes the name of a notification endpoint.
func (a *Account) RenameNotificationEndpoint(ctx context.Context, id, name string) error {
	if name == "" || utf8.RuneCountInString(name) > maxEndpointName {
		return ams.Invalidf("Name", "The name of a notification endpoint has 1 to %d characters.", maxEndpointName)
	}
	return a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.RenameNotificationEndpoint(a.ID, id, name) })
}

// DeleteNotificationEndpoint deletes a notification endpoint with what is on
// its way there, and reports whether there was one. Jobs that subscribe it tell
// it nothing more.
func (a *Account) DeleteNotificationEndpoint(ctx context.Context, id string) (existed bool, err error) {
	return gone(a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.DeleteNotificationEndpoint(a.ID, id) }))
}
