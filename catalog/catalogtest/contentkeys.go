package catalogtest

import (
	"encoding/json"
	"fmt"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/filter"
)

func testContentKeys(f *fixture) {
	policy := func(name string) *ams.ContentKeyPolicy {
		return &ams.ContentKeyPolicy{
			Account: "acc1", Name: name, ID: "policy-" + name, Description: "d " + name, Created: f.now, LastModified: f.now.Add(100), CreatedBy: "me", LastModifiedBy: "you",
			Options: []ams.ContentKeyPolicyOption{{ID: "1", Name: "o", Configuration: json.RawMessage(`{"ask":"s"}`), Restriction: json.RawMessage(`{}`)}},
		}
	}
	key := func(locator string, scheme ams.Scheme, label, policy string) *ams.ContentKey {
		return &ams.ContentKey{
			Account: "acc1", Locator: "loc-" + locator, ID: "kid", Scheme: scheme, Label: label, Policy: policy, Value: []byte("0123456789abcdef"), Given: true,
			Tracks: []ams.KeyTracks{{Conditions: []ams.TrackCondition{{Property: "FourCC", Operation: "Equal", Value: "hev1"}}}},
		}
	}
	p, q, r := policy("p"), policy("q"), policy("R")
	keys := []*ams.ContentKey{key("l", ams.CENC, "a", "Q"), key("l", ams.CBCS, "a", "")}
	f.update(func(tx *catalog.Tx) error {
		for _, x := range []*ams.ContentKeyPolicy{p, q, r} {
			if err := tx.InsertContentKeyPolicy(x); err != nil {
				return err
			}
		}
		for _, name := range []string{"l", "m"} {
			l := f.locator(name, "a")
			l.ContentKeyPolicy = "P"
			if err := tx.InsertLocator(l); err != nil {
				return err
			}
		}
		for _, k := range append(keys, key("m", ams.CENC, "a", "")) {
			if err := tx.InsertContentKey(k); err != nil {
				return err
			}
		}
		return nil
	})
	f.refused(ams.Exists, func(tx *catalog.Tx) error {
		again := policy("P")
		again.ID = "other"
		return tx.InsertContentKeyPolicy(again)
	})
	f.refused(ams.Exists, func(tx *catalog.Tx) error { return tx.InsertContentKey(keys[0]) })

	q.Description, q.Options = "new", append(q.Options, ams.ContentKeyPolicyOption{ID: "2"})
	f.update(func(tx *catalog.Tx) error { return tx.UpdateContentKeyPolicy(q) })
	f.refused(ams.NotFound, func(tx *catalog.Tx) error { return tx.UpdateContentKeyPolicy(policy("none")) })
	f.view(func(tx *catalog.Tx) error {
		f.same(q, must(tx.ContentKeyPolicy("acc1", "Q")))
		f.same(keys, must(tx.LocatorKeys("loc-l")))
		byLocator := must(tx.KeyIDs([]string{"loc-m", "none", "loc-l"}))
		if l := byLocator["loc-l"]; len(byLocator) != 2 || len(l) != 2 || l[0].Scheme != ams.CENC || l[0].Value != nil || len(byLocator["loc-m"]) != 1 {
			f.Errorf("ids of keys: %v", byLocator)
		}
		if all := must(tx.ContentKeys("kid")); len(all) != 3 || all[2].Locator != "loc-m" {
			f.Errorf("keys of one id: %v", all)
		}
		for text, want := range map[string]string{
			"": "[p q R]", "name gt 'P'": "[q R]", "properties/policyId ne 'policy-p'": "[q R]", "properties/description eq 'new'": "[q]",
		} {
			query := catalog.Query{OrderBy: "properties/created"}
			query.Filter = must(filter.Parse(text))
			list, _, err := tx.ContentKeyPolicies("acc1", query)
			var names []string
			for _, p := range list {
				names = append(names, p.Name)
			}
			if got := fmt.Sprint(names); err != nil || got != want {
				f.Errorf("%s: %s, %v, want %s", text, got, err, want)
			}
		}
		return nil
	})

	// In use: by the default of locators, by a key alone, by nothing.
	f.refused(ams.Conflict, func(tx *catalog.Tx) error { return tx.DeleteContentKeyPolicy("acc1", "p") })
	f.refused(ams.Conflict, func(tx *catalog.Tx) error { return tx.DeleteContentKeyPolicy("acc1", "q") })
	f.update(func(tx *catalog.Tx) error { return tx.DeleteContentKeyPolicy("acc1", "r") })
	f.refused(ams.NotFound, func(tx *catalog.Tx) error { return tx.DeleteContentKeyPolicy("acc1", "r") })
	f.update(func(tx *catalog.Tx) error { return tx.DeleteLocator("acc1", "l") })
	f.view(func(tx *catalog.Tx) error {
		if left := must(tx.ContentKeys("kid")); len(left) != 1 {
			f.Errorf("keys of a deleted locator stay: %v", left)
		}
		return nil
	})
	f.update(func(tx *catalog.Tx) error { return tx.DeleteContentKeyPolicy("acc1", "q") })
}
