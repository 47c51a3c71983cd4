package account

import (
	"context"
	"slices"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

// NewContentKeyPolicy makes a content key policy as v2 does: with a label and
// without options, which are linked later.
func (a *Account) NewContentKeyPolicy(ctx context.Context, label string) (*ams.ContentKeyPolicy, error) {
	now, id := a.s.now(), uuid.NewString()
	p := &ams.ContentKeyPolicy{
		Account: a.ID, Name: "policy-" + id, Label: label, ID: id,
		Created: now, LastModified: now, CreatedBy: caller(ctx), LastModifiedBy: caller(ctx),
	}
	if err := checkLabel(label); err != nil {
		return nil, err
	}
	if err := a.admitKeyPolicy(ctx); err != nil {
		return nil, err
	}
	return p, a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.InsertContentKeyPolicy(p) })
}

// maxPolicyLabel bounds the v2 Names of policies and options, in characters.
// AMS documents no bound.
const maxPolicyLabel = 4000

func checkLabel(s string) error {
	if utf8.RuneCountInString(s) > maxPolicyLabel {
		return ams.Invalidf("Name", "Name is longer than %d characters.", maxPolicyLabel)
	}
	return nil
}

// ContentKeyPolicyByID finds a content key policy by its guid, without its
// secrets.
func (a *Account) ContentKeyPolicyByID(ctx context.Context, id string) (p *ams.ContentKeyPolicy, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		p, err = tx.ContentKeyPolicyByID(a.ID, id)
		return err
	})
	if err == nil {
		p.Redact()
	}
	return p, err
}

// FindContentKeyPolicies searches the content key policies, without their
// secrets.
func (a *Account) FindContentKeyPolicies(ctx context.Context, s catalog.Search) (found *catalog.Found[ams.ContentKeyPolicy], err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		found, err = tx.FindContentKeyPolicies(a.ID, s)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, p := range found.Rows {
		p.Redact()
	}
	return found, nil
}

// LabelContentKeyPolicy changes the label of the policy with a guid.
func (a *Account) LabelContentKeyPolicy(ctx context.Context, id, label string) error {
	if err := checkLabel(label); err != nil {
		return err
	}
	return a.changePolicy(ctx, id, func(_ *catalog.Tx, p *ams.ContentKeyPolicy) error {
		p.Label = label
		return nil
	})
}

// changePolicy changes the policy with a guid.
func (a *Account) changePolicy(ctx context.Context, id string, change func(*catalog.Tx, *ams.ContentKeyPolicy) error) error {
	return a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		p, err := tx.ContentKeyPolicyByID(a.ID, id)
		if err != nil {
			return err
		}
		if err := change(tx, p); err != nil {
			return err
		}
		return a.writePolicy(ctx, tx, p)
	})
}

func (a *Account) writePolicy(ctx context.Context, tx *catalog.Tx, p *ams.ContentKeyPolicy) error {
	p.LastModified, p.LastModifiedBy = a.s.now(), caller(ctx)
	if err := p.Validate(); err != nil {
		return err
	}
	return tx.UpdateContentKeyPolicy(p)
}

// DeleteContentKeyPolicyByID is DeleteContentKeyPolicy by the guid. Options that
// v2 made stay.
func (a *Account) DeleteContentKeyPolicyByID(ctx context.Context, id string) (existed bool, err error) {
	return gone(a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		p, err := tx.ContentKeyPolicyByID(a.ID, id)
		if err != nil {
			return err
		}
		return tx.DeleteContentKeyPolicy(a.ID, p.Name)
	}))
}

// CreatePolicyOption makes an option that no policy has yet.
func (a *Account) CreatePolicyOption(ctx context.Context, o ams.ContentKeyPolicyOption) (*ams.ContentKeyPolicyOption, error) {
	o.ID = uuid.NewString()
	if err := checkOption(&o); err != nil {
		return nil, err
	}
	if err := a.s.policyOptions.admit(ctx, a, "content key policy options in the account", a.s.Limits.KeyPolicyOptions); err != nil {
		return nil, err
	}
	return &o, a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.InsertPolicyOption(a.ID, &o) })
}

func checkOption(o *ams.ContentKeyPolicyOption) error {
	if err := checkLabel(o.Name); err != nil {
		return err
	}
	return o.Validate("option")
}

// PolicyOption finds an option with its secrets.
func (a *Account) PolicyOption(ctx context.Context, id string) (o *ams.ContentKeyPolicyOption, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		o, err = tx.PolicyOption(a.ID, id)
		return err
	})
	return o, err
}

// FindPolicyOptions searches the options, with their secrets: all of them, or
// those of the policy with a guid.
func (a *Account) FindPolicyOptions(ctx context.Context, policy string, s catalog.Search) (found *catalog.Found[ams.ContentKeyPolicyOption], err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		if policy != "" {
			if _, err := tx.ContentKeyPolicyByID(a.ID, policy); err != nil {
				return err
			}
		}
		found, err = tx.FindPolicyOptions(a.ID, policy, s)
		return err
	})
	return found, err
}

// UpdatePolicyOption changes an option, in all policies that have it. Secrets
// that change leaves out stay.
func (a *Account) UpdatePolicyOption(ctx context.Context, id string, change func(*ams.ContentKeyPolicyOption) error) error {
	return a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		o, err := tx.PolicyOption(a.ID, id)
		if err != nil {
			return err
		}
		was := *o
		if err := change(o); err != nil {
			return err
		}
		o.ID = was.ID
		o.KeepSecrets(&was)
		if err := checkOption(o); err != nil {
			return err
		}
		policies, err := tx.OptionPolicies(a.ID, o.ID)
		if err != nil {
			return err
		}
		for _, p := range policies {
			p.Options[optionIn(p, o.ID)] = *o
			if err := a.writePolicy(ctx, tx, p); err != nil {
				return err
			}
		}
		return tx.UpdatePolicyOption(a.ID, o)
	})
}

// optionIn is the place of an option in a policy, -1 for none.
func optionIn(p *ams.ContentKeyPolicy, id string) int {
	return slices.IndexFunc(p.Options, func(o ams.ContentKeyPolicyOption) bool { return o.ID == id })
}

// DeletePolicyOption deletes an option, out of all policies that have it, and
// reports whether there was one.
func (a *Account) DeletePolicyOption(ctx context.Context, id string) (existed bool, err error) {
	return gone(a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		o, err := tx.PolicyOption(a.ID, id)
		if err != nil {
			return err
		}
		if err := tx.KeepPolicyOption(a.ID, o.ID); err != nil {
			return err
		}
		policies, err := tx.OptionPolicies(a.ID, o.ID)
		if err != nil {
			return err
		}
		for _, p := range policies {
			i := optionIn(p, o.ID)
			p.Options = slices.Delete(p.Options, i, i+1)
			if err := a.writePolicy(ctx, tx, p); err != nil {
				return err
			}
		}
		return tx.DeletePolicyOption(a.ID, o.ID)
	}))
}

// LinkPolicyOption makes an option the last one of a policy; both by guid. It is
// Exists if the policy has it.
func (a *Account) LinkPolicyOption(ctx context.Context, policy, id string) error {
	return a.changePolicy(ctx, policy, func(tx *catalog.Tx, p *ams.ContentKeyPolicy) error {
		o, err := tx.PolicyOption(a.ID, id)
		if err != nil {
			return err
		}
		if optionIn(p, o.ID) >= 0 {
			return ams.Errorf(ams.Exists, "The option is linked to the policy already.")
		}
		p.Options = append(p.Options, *o)
		return nil
	})
}

// UnlinkPolicyOption takes an option out of a policy; the option stays.
func (a *Account) UnlinkPolicyOption(ctx context.Context, policy, id string) error {
	return a.changePolicy(ctx, policy, func(tx *catalog.Tx, p *ams.ContentKeyPolicy) error {
		i := optionIn(p, normalID(id))
		if i < 0 {
			return ams.Errorf(ams.NotFound, "The option is not linked to the policy.")
		}
		p.Options = slices.Delete(p.Options, i, i+1)
		return tx.KeepPolicyOption(a.ID, normalID(id))
	})
}
