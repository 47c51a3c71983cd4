package account

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

// A KeyRequest is a content key that a client gives to a new locator.
type KeyRequest struct {
	ID    string // guid
	Label string // of the streaming policy's key; empty: its only one
	Value []byte // nil: random
}

// ContentKeys are the content keys of a locator, with their values.
func (a *Account) ContentKeys(ctx context.Context, locator string) (keys []*ams.ContentKey, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		l, err := tx.Locator(a.ID, locator)
		if err != nil {
			return err
		}
		keys, err = tx.LocatorKeys(l.ID)
		return err
	})
	return keys, err
}

// KeyIDs are the content keys of some locators, by StreamingLocator.ID and
// without their values.
func (a *Account) KeyIDs(ctx context.Context, locators ...*ams.StreamingLocator) (keys map[string][]*ams.ContentKey, err error) {
	var ids []string
	for _, l := range locators {
		ids = append(ids, l.ID)
	}
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		keys, err = tx.KeyIDs(ids)
		return err
	})
	return keys, err
}

// contentKeys makes the keys of a new locator: one for every place that its
// streaming policy has, from those that the client gives by label, the rest
// random.
func (a *Account) contentKeys(tx *catalog.Tx, policy *ams.StreamingPolicy, locatorPolicy string, given []KeyRequest) ([]*ams.ContentKey, error) {
	places, err := a.keyPlaces(tx, policy, locatorPolicy)
	if err != nil {
		return nil, err
	}
	used := make([]bool, len(given))
	for _, k := range places {
		i := slices.IndexFunc(given, func(r KeyRequest) bool { return fits(r.Label, k, len(places)) })
		if i < 0 {
			k.ID, k.Value = uuid.NewString(), random()
			continue
		}
		used[i] = true
		if k.Value, err = a.givenKey(tx, given, i); err != nil {
			return nil, err
		}
		k.ID, k.Given = given[i].ID, true
	}
	for i, r := range given {
		if !used[i] {
			return nil, ams.Invalidf(fmt.Sprintf("properties.contentKeys[%d].labelReferenceInStreamingPolicy", i),
				"The streaming policy '%s' has no key with the label '%s' that is still free.", policy.Name, r.Label)
		}
	}
	return places, nil
}

// keyPlaces are the content keys that a streaming policy asks of a locator,
// without ids and values. Each must have a content key policy unless somebody
// else delivers it.
func (a *Account) keyPlaces(tx *catalog.Tx, policy *ams.StreamingPolicy, locatorPolicy string) (places []*ams.ContentKey, err error) {
	for _, s := range ams.Schemes()[1:] {
		if len(policy.Protocols[s]) == 0 {
			continue
		}
		e, err := policy.Encryption(s)
		if err != nil {
			return nil, err
		}
		if e == nil {
			continue
		}
		for _, place := range e.Keys() {
			k := &ams.ContentKey{Account: a.ID, Scheme: s, Label: place.Label, Tracks: place.Tracks}
			for _, name := range []string{place.Policy, locatorPolicy, policy.ContentKeyPolicy} {
				if k.Policy == "" {
					k.Policy = name
				}
			}
			if k.Policy == "" && !e.DeliveredElsewhere() {
				return nil, ams.Invalidf("properties.defaultContentKeyPolicyName",
					"The streaming policy '%s' needs a content key policy: defaultContentKeyPolicyName is missing.", policy.Name)
			}
			if k.Policy != "" {
				found, err := tx.ContentKeyPolicy(a.ID, k.Policy)
				if err != nil {
					return nil, referred(err, "properties.defaultContentKeyPolicyName", "Content key policy '%s' is not found under account '%s'.", k.Policy, a.Name)
				}
				k.Policy = found.Name
			}
			places = append(places, k)
		}
	}
	return places, nil
}

// fits reports whether a key given with a label is meant for the place k, one
// of n.
func fits(label string, k *ams.ContentKey, n int) bool {
	if strings.EqualFold(label, k.Label) || label == "" && n == 1 {
		return true
	}
	// The documents swap two words of the labels of predefined policies.
	return k.Label == "cencDefaultKey" && label == "cencKeyDefault" || k.Label == "cbcsDefaultKey" && label == "cbcsKeyDefault"
}

// givenKey is the value of the i-th of the given keys. One id has one value in
// the server, since the URL of a key names no account. Who gives the id alone
// means the key of that id in the account, never another account's.
func (a *Account) givenKey(tx *catalog.Tx, given []KeyRequest, i int) ([]byte, error) {
	r := given[i]
	others, err := tx.ContentKeys(r.ID)
	if err != nil {
		return nil, err
	}
	ofAccounts, err := tx.KeysByID(r.ID)
	if err != nil {
		return nil, err
	}
	at := fmt.Sprintf("properties.contentKeys[%d]", i)
	for _, k := range ofAccounts {
		if k.Account == a.ID && len(k.Value) != ams.ContentKeySize {
			return nil, ams.Invalidf(at+".id", "The content key '%s' has %d bytes: it can't encrypt streams.", r.ID, len(k.Value))
		}
		others = append(others, &ams.ContentKey{Account: k.Account, Value: k.Value})
	}
	if j := slices.IndexFunc(others, func(k *ams.ContentKey) bool { return k.Account == a.ID }); j >= 0 {
		if r.Value != nil && !bytes.Equal(r.Value, others[j].Value) {
			return nil, &ams.Error{Code: ams.Conflict, Target: at + ".value",
				Msg: "The content key '" + r.ID + "' has another value in another place."}
		}
		return others[j].Value, nil
	}
	for _, k := range others {
		if !bytes.Equal(r.Value, k.Value) {
			return nil, &ams.Error{Code: ams.Conflict, Target: at + ".id", Msg: "The content key id '" + r.ID + "' is in use."}
		}
	}
	if r.Value == nil {
		return random(), nil
	}
	return r.Value, nil
}

func random() []byte {
	b := make([]byte, ams.ContentKeySize)
	rand.Read(b)
	return b
}

// checkKeys checks the keys that a client gives, and brings their ids to the
// form of records.
func checkKeys(given []KeyRequest) error {
	seen := map[string]bool{}
	for i := range given {
		r, at := &given[i], fmt.Sprintf("properties.contentKeys[%d]", i)
		id := normalID(r.ID)
		switch {
		case id == "":
			return ams.Invalidf(at+".id", "The id of the content key is not a GUID.")
		case r.Value != nil && len(r.Value) != ams.ContentKeySize:
			return ams.Invalidf(at+".value", "A content key must have %d bytes, not %d.", ams.ContentKeySize, len(r.Value))
		case seen[strings.ToLower(r.Label)]:
			return ams.Invalidf(at+".labelReferenceInStreamingPolicy", "Two content keys have the label '%s'.", r.Label)
		}
		r.ID, seen[strings.ToLower(r.Label)] = id, true
	}
	return nil
}

// sameKeys reports whether the given keys are those that a client gave when
// it made the locator of keys.
func sameKeys(keys []*ams.ContentKey, given []KeyRequest) bool {
	ids := map[string]bool{}
	for _, k := range keys {
		if !k.Given {
			continue
		}
		ids[k.ID] = true
		if !slices.ContainsFunc(given, func(r KeyRequest) bool {
			return r.ID == k.ID && fits(r.Label, k, len(keys)) && (r.Value == nil || bytes.Equal(r.Value, k.Value))
		}) {
			return false
		}
	}
	for _, r := range given {
		if !ids[r.ID] {
			return false
		}
	}
	return true
}
