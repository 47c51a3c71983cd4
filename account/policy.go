package account

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

// CreatePolicy makes a streaming policy. body is as ams.StreamingPolicy.Body,
// contentKeyPolicy the content key policy of the keys that body names none
// for. Policies are immutable: a second one of the name is Exists, unless it
// asks for exactly the same.
func (a *Account) CreatePolicy(ctx context.Context, name, contentKeyPolicy string, body json.RawMessage) (p *ams.StreamingPolicy, err error) {
	made := &ams.StreamingPolicy{
		Account: a.ID, Name: name, ContentKeyPolicy: contentKeyPolicy, Body: body,
		Created: a.s.now(), CreatedBy: caller(ctx),
	}
	if err := made.Validate(); err != nil {
		return nil, err
	}
	if ams.IsDelivered(name) {
		return nil, ams.Invalidf("name", "The name '%s' is kept for streaming policies that stand for v2 delivery policies.", name)
	}
	err = a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		old, err := tx.Policy(a.ID, name)
		if err == nil {
			if !bytes.Equal(old.Body, made.Body) || !strings.EqualFold(old.ContentKeyPolicy, made.ContentKeyPolicy) {
				return ams.Errorf(ams.Exists, "The streaming policy '%s' exists already and can't be changed.", old.Name)
			}
			p = old
			return nil
		}
		if ams.CodeOf(err) != ams.NotFound {
			return err
		}
		n, err := tx.CountPolicies(a.ID)
		if err != nil {
			return err
		}
		if n >= a.s.Limits.Policies {
			return ams.Errorf(ams.Limit, "The account has %d streaming policies already: no more are allowed.", a.s.Limits.Policies)
		}
		p = made
		if err := a.checkKeyPolicies(tx, p); err != nil {
			return err
		}
		return tx.InsertPolicy(p)
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// checkKeyPolicies reports the first content key policy that p names and the
// account does not have.
func (a *Account) checkKeyPolicies(tx *catalog.Tx, p *ams.StreamingPolicy) error {
	exists := func(name, at string) error {
		if name == "" {
			return nil
		}
		_, err := tx.ContentKeyPolicy(a.ID, name)
		return referred(err, at, "Content key policy '%s' is not found under account '%s'.", name, a.Name)
	}
	if err := exists(p.ContentKeyPolicy, "properties.defaultContentKeyPolicyName"); err != nil {
		return err
	}
	for _, s := range ams.Schemes() {
		e, err := p.Encryption(s)
		if err != nil {
			return err
		}
		if e == nil {
			continue
		}
		for i, k := range e.Keys() {
			at := "properties." + s.Member() + ".contentKeys.defaultKey.policyName"
			if i > 0 {
				at = fmt.Sprintf("properties.%s.contentKeys.keyToTrackMappings[%d].policyName", s.Member(), i-1)
			}
			if err := exists(k.Policy, at); err != nil {
				return err
			}
		}
	}
	return nil
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
