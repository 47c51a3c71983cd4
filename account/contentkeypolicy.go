package account

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

// A ContentKeyPolicyInput is what a client writes of a content key policy. A
// nil field is not touched by UpdateContentKeyPolicy; CreateOrUpdate takes it
// as empty. An option with the name or in the place of one that exists is that
// option changed: it keeps its ID and the secrets that it leaves out.
type ContentKeyPolicyInput struct {
	Description *string
	Options     []ams.ContentKeyPolicyOption
}

// CreateOrUpdateContentKeyPolicy makes a content key policy or replaces what
// may change of it. Requests for keys see the change at once.
func (a *Account) CreateOrUpdateContentKeyPolicy(ctx context.Context, name string, in ContentKeyPolicyInput) (p *ams.ContentKeyPolicy, created bool, err error) {
	if in.Description == nil {
		in.Description = new(string)
	}
	if in.Options == nil {
		in.Options = []ams.ContentKeyPolicyOption{}
	}
	if err := someOptions(in); err != nil {
		return nil, false, err
	}
	if _, err := a.ContentKeyPolicy(ctx, name); ams.CodeOf(err) == ams.NotFound {
		if err := a.admitKeyPolicy(ctx); err != nil {
			return nil, false, err
		}
	}
	err = a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		old, err := tx.ContentKeyPolicy(a.ID, name)
		if err == nil {
			created = false
			p, err = a.updateContentKeyPolicy(ctx, tx, old, in)
			return err
		}
		if ams.CodeOf(err) != ams.NotFound {
			return err
		}
		created = true
		now := a.s.now()
		p = &ams.ContentKeyPolicy{
			Account: a.ID, Name: name, Label: name, ID: uuid.NewString(), Description: *in.Description, Options: withIDs(in.Options, nil),
			Created: now, LastModified: now, CreatedBy: caller(ctx), LastModifiedBy: caller(ctx),
		}
		if err := p.Validate(); err != nil {
			return err
		}
		return tx.InsertContentKeyPolicy(p)
	})
	if err != nil {
		return nil, false, err
	}
	p.Redact()
	return p, created, nil
}

func (a *Account) admitKeyPolicy(ctx context.Context) error {
	return a.s.keyPolicies.admit(ctx, a, "content key policies in the account", a.s.Limits.KeyPolicies)
}

// UpdateContentKeyPolicy changes the given parts of a content key policy.
func (a *Account) UpdateContentKeyPolicy(ctx context.Context, name string, in ContentKeyPolicyInput) (p *ams.ContentKeyPolicy, err error) {
	if err := someOptions(in); err != nil {
		return nil, err
	}
	err = a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		old, err := tx.ContentKeyPolicy(a.ID, name)
		if err == nil {
			p, err = a.updateContentKeyPolicy(ctx, tx, old, in)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	p.Redact()
	return p, nil
}

// someOptions refuses a policy without options, which only v2 knows.
func someOptions(in ContentKeyPolicyInput) error {
	if in.Options != nil && len(in.Options) == 0 {
		return ams.Invalidf("properties.options", "A content key policy needs at least one option.")
	}
	return nil
}

func (a *Account) updateContentKeyPolicy(ctx context.Context, tx *catalog.Tx, old *ams.ContentKeyPolicy, in ContentKeyPolicyInput) (*ams.ContentKeyPolicy, error) {
	p := *old
	if in.Description != nil {
		p.Description = *in.Description
	}
	if in.Options != nil {
		p.Options = withIDs(in.Options, old)
		p.Keep(old)
	}
	p.LastModified, p.LastModifiedBy = a.s.now(), caller(ctx)
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if err := tx.UpdateContentKeyPolicy(&p); err != nil {
		return nil, err
	}
	return &p, a.spread(tx, &p)
}

// spread brings the options of p into the other policies that v2 linked them to.
func (a *Account) spread(tx *catalog.Tx, p *ams.ContentKeyPolicy) error {
	for i := range p.Options {
		policies, err := tx.OptionPolicies(a.ID, p.Options[i].ID)
		if err != nil {
			return err
		}
		for _, other := range policies {
			if other.ID == p.ID {
				continue
			}
			other.Options[optionIn(other, p.Options[i].ID)] = p.Options[i]
			if err := tx.UpdateContentKeyPolicy(other); err != nil {
				return err
			}
		}
	}
	return nil
}

// withIDs gives every option its ID: that of the option of old with its name,
// else of the one in its place if no other has it, else a new one.
func withIDs(options []ams.ContentKeyPolicyOption, old *ams.ContentKeyPolicy) []ams.ContentKeyPolicyOption {
	out := slices.Clone(options)
	for i := range out {
		out[i].ID = ""
	}
	var was []ams.ContentKeyPolicyOption
	if old != nil {
		was = slices.Clone(old.Options)
	}
	for i := range out {
		o := &out[i]
		j := slices.IndexFunc(was, func(w ams.ContentKeyPolicyOption) bool { return w.ID != "" && w.Name != "" && w.Name == o.Name })
		if j >= 0 {
			o.ID, was[j].ID = was[j].ID, ""
		}
	}
	for i := range out {
		switch o := &out[i]; {
		case o.ID != "":
		case i < len(was) && was[i].ID != "":
			o.ID = was[i].ID
		default:
			o.ID = uuid.NewString()
		}
	}
	return out
}

// ContentKeyPolicy finds a content key policy by name, without its secrets.
func (a *Account) ContentKeyPolicy(ctx context.Context, name string) (*ams.ContentKeyPolicy, error) {
	p, err := a.ContentKeyPolicySecrets(ctx, name)
	if err == nil {
		p.Redact()
	}
	return p, err
}

// ContentKeyPolicySecrets finds a content key policy with its secrets.
func (a *Account) ContentKeyPolicySecrets(ctx context.Context, name string) (p *ams.ContentKeyPolicy, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		p, err = tx.ContentKeyPolicy(a.ID, name)
		return err
	})
	return p, err
}

// ContentKeyPolicies lists one page of content key policies without their
// secrets; next is empty on the last.
func (a *Account) ContentKeyPolicies(ctx context.Context, q catalog.Query) (ps []*ams.ContentKeyPolicy, next string, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		ps, next, err = tx.ContentKeyPolicies(a.ID, q)
		return err
	})
	for _, p := range ps {
		p.Redact()
	}
	return ps, next, err
}

// DeleteContentKeyPolicy deletes a content key policy, and reports whether
// there was one. One that a locator uses is a Conflict.
func (a *Account) DeleteContentKeyPolicy(ctx context.Context, name string) (existed bool, err error) {
	return gone(a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		return tx.DeleteContentKeyPolicy(a.ID, name)
	}))
}
