package account

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

// A LocatorRequest is what a client asks CreateLocator for.
type LocatorRequest struct {
	ID               string // guid chosen by the client; empty: random
	Asset            string
	Policy           string    // streaming policy
	Start            time.Time // zero: at once
	End              time.Time // zero: never
	AlternativeMedia string
	ContentKeyPolicy string       // for the keys that the streaming policy names none for
	ContentKeys      []KeyRequest // the others are random
	Filters          []string     // of the account or the asset

	// What v2 says of its locators. A nil label: the name.
	accessPolicy string
	label        *string
	bare         bool
}

// maxAlternativeMedia bounds an alternativeMediaId, in bytes. AMS documents
// no bound; it is a part of URLs.
const maxAlternativeMedia = 2048

// CreateLocator publishes an asset. Locators are immutable: a second one of
// the name is Exists, unless it asks for exactly the same, which is taken as
// the retry of a lost answer. So is the guid of another locator of the server.
func (a *Account) CreateLocator(ctx context.Context, name string, r LocatorRequest) (l *ams.StreamingLocator, err error) {
	if err := ams.ValidateName("streaming locator", name); err != nil {
		return nil, err
	}
	if r.End.IsZero() {
		r.End = ams.Never
	}
	if !r.End.After(r.Start) {
		return nil, ams.Invalidf("properties.endTime", "endTime must be after startTime.")
	}
	if r.ID != "" {
		id := normalID(r.ID)
		if id == "" {
			return nil, ams.Invalidf("properties.streamingLocatorId", "'%s' is not a GUID.", r.ID)
		}
		r.ID = id
	}
	if len(r.AlternativeMedia) > maxAlternativeMedia {
		return nil, ams.Invalidf("properties.alternativeMediaId", "alternativeMediaId is longer than %d bytes.", maxAlternativeMedia)
	}
	if len(r.Filters) > a.s.Limits.Filters {
		return nil, ams.Invalidf("properties.filters", "A streaming locator may name at most %d filters.", a.s.Limits.Filters)
	}
	if err := checkKeys(r.ContentKeys); err != nil {
		return nil, err
	}
	err = a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		old, err := tx.Locator(a.ID, name)
		if err == nil {
			keys, err := tx.LocatorKeys(old.ID)
			if err != nil {
				return err
			}
			if !sameLocator(old, r) || !sameKeys(keys, r.ContentKeys) {
				return ams.Errorf(ams.Exists, "The streaming locator '%s' exists already and can't be changed.", old.Name)
			}
			l = old
			return nil
		}
		if ams.CodeOf(err) != ams.NotFound {
			return err
		}
		l, err = a.createLocator(ctx, tx, name, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (a *Account) createLocator(ctx context.Context, tx *catalog.Tx, name string, r LocatorRequest) (*ams.StreamingLocator, error) {
	if r.Asset == "" {
		return nil, ams.Invalidf("properties.assetName", "assetName is missing.")
	}
	if r.Policy == "" {
		return nil, ams.Invalidf("properties.streamingPolicyName", "streamingPolicyName is missing.")
	}
	if len(r.Filters) > a.s.Limits.Filters {
		return nil, ams.Invalidf("properties.filters", "A streaming locator may name at most %d filters.", a.s.Limits.Filters)
	}
	asset, err := tx.Asset(a.ID, r.Asset)
	if err != nil {
		return nil, referred(err, "properties.assetName", "Asset '%s' is not found under account '%s'.", r.Asset, a.Name)
	}
	policy, err := tx.Policy(a.ID, r.Policy)
	if err != nil {
		return nil, referred(err, "properties.streamingPolicyName", "Streaming policy '%s' is not found under account '%s'.", r.Policy, a.Name)
	}
	delivered := ams.IsDelivered(policy.Name)
	if delivered && r.accessPolicy == "" {
		return nil, ams.Invalidf("properties.streamingPolicyName", "The streaming policy '%s' stands for the v2 delivery policies of an asset: it is for the locators of v2.", policy.Name)
	}
	if len(r.ContentKeys) > 0 && !policy.NeedsKeys() {
		return nil, ams.Invalidf("properties.contentKeys", "The streaming policy '%s' encrypts nothing: it takes no content keys.", policy.Name)
	}
	if r.ContentKeyPolicy != "" {
		p, err := tx.ContentKeyPolicy(a.ID, r.ContentKeyPolicy)
		if err != nil {
			return nil, referred(err, "properties.defaultContentKeyPolicyName", "Content key policy '%s' is not found under account '%s'.", r.ContentKeyPolicy, a.Name)
		}
		r.ContentKeyPolicy = p.Name
	}
	var keys []*ams.ContentKey
	if !delivered { // else they are the asset's: see rekey
		if keys, err = a.contentKeys(tx, policy, r.ContentKeyPolicy, r.ContentKeys); err != nil {
			return nil, err
		}
	}
	others, err := tx.AssetLocators(a.ID, asset.Name)
	if err != nil {
		return nil, err
	}
	if len(others) >= a.s.Limits.LocatorsPerAsset {
		return nil, ams.Errorf(ams.Limit, "The asset '%s' has %d streaming locators already: no more are allowed.", asset.Name, len(others))
	}
	if r.ID == "" {
		r.ID = uuid.NewString()
	} else if _, err := tx.LocatorByID(r.ID); err == nil {
		return nil, &ams.Error{Code: ams.Exists, Target: "properties.streamingLocatorId",
			Msg: "The streamingLocatorId '" + r.ID + "' is in use by another streaming locator."}
	} else if ams.CodeOf(err) != ams.NotFound {
		return nil, err
	}
	if err := a.checkFilters(tx, asset.Name, r.Filters); err != nil {
		return nil, err
	}
	l := &ams.StreamingLocator{
		Account: a.ID, Name: name, ID: r.ID, Asset: asset.Name, Policy: policy.Name,
		Start: r.Start, End: r.End, AlternativeMedia: r.AlternativeMedia,
		ContentKeyPolicy: r.ContentKeyPolicy, Filters: r.Filters,
		Created: a.s.now(), CreatedBy: caller(ctx),
		AssetID: asset.ID, AccessPolicy: r.accessPolicy, Label: name, Bare: r.bare,
	}
	set(&l.Label, r.label)
	if err := tx.InsertLocator(l); err != nil {
		return nil, err
	}
	for _, k := range keys {
		k.Locator = l.ID
		if err := tx.InsertContentKey(k); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// referred makes NotFound of an entity that a request refers to an Invalid
// property, as AMS did for the assets of jobs (azure-docs issue 29409).
func referred(err error, target, format string, args ...any) error {
	if ams.CodeOf(err) == ams.NotFound {
		return ams.Invalidf(target, format, args...)
	}
	return err
}

// sameLocator reports whether r asks for the locator that exists already.
func sameLocator(old *ams.StreamingLocator, r LocatorRequest) bool {
	return (r.ID == "" || r.ID == old.ID) && strings.EqualFold(r.Asset, old.Asset) && strings.EqualFold(r.Policy, old.Policy) &&
		r.Start.Equal(old.Start) && r.End.Equal(old.End) && r.AlternativeMedia == old.AlternativeMedia &&
		strings.EqualFold(r.ContentKeyPolicy, old.ContentKeyPolicy) && slices.Equal(r.Filters, old.Filters)
}

// Locator finds a streaming locator by name.
func (a *Account) Locator(ctx context.Context, name string) (l *ams.StreamingLocator, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		l, err = tx.Locator(a.ID, name)
		return err
	})
	return l, err
}

// Locators lists one page of streaming locators; next is empty on the last.
func (a *Account) Locators(ctx context.Context, q catalog.Query) (ls []*ams.StreamingLocator, next string, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		ls, next, err = tx.Locators(a.ID, q)
		return err
	})
	return ls, next, err
}

// DeleteLocator unpublishes, and reports whether there was such a locator.
func (a *Account) DeleteLocator(ctx context.Context, name string) (existed bool, err error) {
	return gone(a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		return tx.DeleteLocator(a.ID, name)
	}))
}

// Published is what a streaming path's first segment leads to.
type Published struct {
	Locator  *ams.StreamingLocator
	Asset    *ams.Asset
	Policy   *ams.StreamingPolicy
	Endpoint *ams.StreamingEndpoint // a Running one
	Tracks   []*ams.Track           // of the asset, that clients have made
}

// ResolveLocator finds what the guid in a streaming path publishes now to a
// request to the host (the Host header; empty: any). It is NotFound without
// such a locator, and at a host of another account; Conflict outside the
// locator's times; Unavailable when the streaming endpoint that answers to the
// host does not run. A host that no endpoint has, such as the address of the
// machine, stands for the default endpoint of the locator's account.
func (s *Server) ResolveLocator(ctx context.Context, host, id string) (*Published, error) {
	id = normalID(id)
	if id == "" {
		return nil, ams.Errorf(ams.NotFound, "The path does not begin with a streaming locator's id.")
	}
	p := new(Published)
	err := s.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		if p.Locator, err = tx.LocatorByID(id); err != nil {
			return err
		}
		if p.Endpoint, err = tx.EndpointByHost(host); ams.CodeOf(err) == ams.NotFound {
			p.Endpoint, err = tx.Endpoint(p.Locator.Account, ams.DefaultEndpoint)
		}
		if err != nil {
			return err
		}
		if p.Endpoint.Account != p.Locator.Account {
			return ams.Errorf(ams.NotFound, "The streaming locator is another account's.")
		}
		if !p.Locator.Active(s.Now()) {
			return ams.Errorf(ams.Conflict, "The streaming locator is not active at this time.")
		}
		if p.Asset, err = tx.Asset(p.Locator.Account, p.Locator.Asset); err != nil {
			return err
		}
		if p.Policy, err = tx.Policy(p.Locator.Account, p.Locator.Policy); err != nil {
			return err
		}
		if p.Tracks, err = tx.Tracks(p.Asset.Account, p.Asset.Name); err != nil {
			return err
		}
		p.Tracks = slices.DeleteFunc(p.Tracks, func(t *ams.Track) bool { return t.Deleting })
		if p.Endpoint.State != ams.EndpointRunning {
			return ams.Errorf(ams.Unavailable, "The streaming endpoint is not running.")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}
