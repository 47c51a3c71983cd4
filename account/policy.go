package account

import (
	"context"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

// CreatePolicy makes a streaming policy without encryption that serves the
// given protocols. Policies are immutable: a second one of the name is
// Exists, unless it asks for exactly the same.
func (a *Account) CreatePolicy(ctx context.Context, name string, protocols map[ams.Scheme][]ams.Protocol) (p *ams.StreamingPolicy, err error) {
	if err := ams.ValidateName("streaming policy", name); err != nil {
		return nil, err
	}
	p = &ams.StreamingPolicy{Account: a.ID, Name: name, Protocols: protocols, Created: a.s.now(), CreatedBy: caller(ctx)}
	if p.NeedsKeys() {
		return nil, ams.Errorf(ams.Unsupported, "Streaming policies with encryption need content keys, which are not supported yet: only noEncryption is.")
	}
	err = a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		old, err := tx.Policy(a.ID, name)
		if err == nil {
			if !sameProtocols(old, p) {
				return ams.Errorf(ams.Exists, "The streaming policy '%s' exists already and can't be changed.", old.Name)
			}
			p = old
			return nil
		}
		if ams.CodeOf(err) != ams.NotFound {
			return err
		}
		all, _, err := tx.Policies(a.ID, catalog.Query{})
		if err != nil {
			return err
		}
		if len(all) >= maxPolicies+len(ams.PredefinedPolicies()) {
			return ams.Errorf(ams.Limit, "The account has %d streaming policies already: no more are allowed.", maxPolicies)
		}
		return tx.InsertPolicy(p)
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

func sameProtocols(a, b *ams.StreamingPolicy) bool {
	for _, s := range []ams.Scheme{ams.NoEncryption, ams.Envelope, ams.CENC, ams.CBCS} {
		for _, p := range []ams.Protocol{ams.Download, ams.DASH, ams.HLS, ams.SmoothStreaming} {
			if a.Allows(s, p) != b.Allows(s, p) {
				return false
			}
		}
	}
	return true
}

// Policy finds a streaming policy of the account, its own or predefined.
func (a *Account) Policy(ctx context.Context, name string) (p *ams.StreamingPolicy, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		p, err = tx.Policy(a.ID, name)
		return err
	})
	return p, err
}

// Policies lists one page of streaming policies, the predefined ones among
// them; next is empty on the last.
func (a *Account) Policies(ctx context.Context, q catalog.Query) (ps []*ams.StreamingPolicy, next string, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		ps, next, err = tx.Policies(a.ID, q)
		return err
	})
	return ps, next, err
}

// DeletePolicy deletes a streaming policy, and reports whether there was one.
// A predefined one, or one that a locator uses, is a Conflict.
func (a *Account) DeletePolicy(ctx context.Context, name string) (existed bool, err error) {
	return gone(a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		return tx.DeletePolicy(a.ID, name)
	}))
}
