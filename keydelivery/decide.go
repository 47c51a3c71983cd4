package keydelivery

import (
	"bytes"
	"errors"
	"net/http"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
)

// A granted is a key that the request may have, and the option that says so.
type granted struct {
	id     string
	value  []byte
	option *ams.ContentKeyPolicyOption
}

// allow finds the first option that gives the key to the request in the form of
// a kind of configuration.
func (h *Handler) allow(q *request, kid, kind string) (*granted, error) {
	q.record.KeyIDs = append(q.record.KeyIDs, kid)
	grants, err := h.c.Keys.KeyGrants(q.Context(), kid)
	if ams.CodeOf(err) == ams.NotFound || err == nil && len(grants) == 0 {
		return nil, refuse(http.StatusNotFound, "There is no content key with the id %s.", kid)
	}
	if err != nil {
		return nil, err
	}
	// One id is one key, the oldest: what another account keeps under the same
	// id is none of this player's business, and its policy not of this key.
	// Of several refusals the most telling one is answered.
	var no error
	worse := func(err error) {
		if no == nil || weight(err) > weight(no) {
			no = err
		}
	}
	for _, g := range grants {
		if !bytes.Equal(g.Key.Value, grants[0].Key.Value) {
			continue
		}
		found, err := h.allowBy(q, g, kind)
		if err == nil {
			return found, nil
		}
		if _, ok := errors.AsType[*refusal](err); !ok {
			return nil, err
		}
		worse(err)
	}
	return nil, no
}

// weight orders refusals: what a client can mend comes first.
func weight(err error) int {
	if no, ok := errors.AsType[*refusal](err); ok {
		switch no.status {
		case http.StatusUnauthorized:
			return 3
		case http.StatusServiceUnavailable:
			return 2
		case http.StatusForbidden:
			return 1
		}
	}
	return 0
}

func (h *Handler) allowBy(q *request, g account.KeyGrant, kind string) (*granted, error) {
	switch {
	case !admits(g.Account, q.record.Client):
		return nil, refuse(http.StatusForbidden, "Key delivery does not allow the address of the client.")
	case g.Policy == nil || len(g.Key.Value) != ams.ContentKeySize:
		return nil, refuse(http.StatusForbidden, "The content key has no content key policy: this server delivers it to nobody.")
	}
	q.record.Policy = g.Policy.Name
	var no error = refuse(http.StatusForbidden, "The content key policy has no option that delivers the key in this form.")
	for i := range g.Policy.Options {
		o := &g.Policy.Options[i]
		if o.Delivers() != kind {
			continue
		}
		err := h.meets(q, o, g.Key.ID)
		if err == nil {
			return &granted{g.Key.ID, g.Key.Value, o}, nil
		}
		if _, ok := errors.AsType[*refusal](err); !ok {
			return nil, err
		}
		if weight(err) >= weight(no) {
			no = err
		}
	}
	return nil, no
}

// meets says whether the request passes the restriction of an option.
func (h *Handler) meets(q *request, o *ams.ContentKeyPolicyOption, kid string) error {
	switch o.Restricts() {
	case ams.OpenRestriction:
		return nil
	case ams.AddressRestriction:
		rules, err := o.Address()
		if err != nil {
			return refuse(http.StatusForbidden, "The restriction of the content key policy can't be read.")
		}
		if !within(rules.Allow, q.record.Client) {
			return refuse(http.StatusForbidden, "The content key policy does not allow the address of the client.")
		}
		inner := rules.Option()
		return h.meets(q, &inner, kid)
	case ams.TokenRestriction:
	default:
		return refuse(http.StatusForbidden, "The restriction of the content key policy can't be met.")
	}
	rules, err := o.Token()
	if err != nil || rules == nil {
		return refuse(http.StatusForbidden, "The restriction of the content key policy can't be read.")
	}
	q.record.TokenType = string(rules.Type)
	if len(q.tokens) == 0 {
		return refuse(http.StatusUnauthorized, "The request has no token: send it as \"Authorization: Bearer {token}\" or as ?token=.")
	}
	proofs := q.proofs[string(o.Restriction)]
	if proofs == nil {
		proofs = map[string]proof{}
		q.proofs[string(o.Restriction)] = proofs
	}
	var no error
	for _, text := range q.tokens {
		t, err := h.tokens.check(q.Context(), rules, text, kid, proofs)
		if err == nil {
			if err = h.tokens.use(q.Context(), t, q.used); err == nil {
				q.record.Issuer, q.record.Audience, q.record.Claims = rules.Issuer, rules.Audience, t.claims
				return nil
			}
		}
		if no == nil || weight(err) > weight(no) {
			no = err
		}
	}
	return no
}
