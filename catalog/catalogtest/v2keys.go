package catalogtest

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/filter"
)

// finds checks what searches in the words of v2 find, one at a time: where and
// the names of the rows.
func finds[T any](f *fixture, find func(*catalog.Tx, catalog.Search) (*catalog.Found[T], error), name func(*T) string, want map[string]string) {
	f.Helper()
	for where, want := range want {
		s := catalog.Search{Top: 1, Count: true, Filter: must(filter.Parse(where))}
		var names []string
		for again := true; again; again = s.After != "" {
			f.view(func(tx *catalog.Tx) error {
				found, err := find(tx, s)
				if err != nil {
					return fmt.Errorf("%s: %w", where, err)
				}
				for _, row := range found.Rows {
					names = append(names, name(row))
				}
				if n := len(strings.Fields(want)); int(found.Count) != n {
					f.Errorf("%s: counted %d, want %d", where, found.Count, n)
				}
				s.After = found.Next
				return nil
			})
		}
		if got := strings.Join(names, " "); got != want {
			f.Errorf("%s: %s, want %s", where, got, want)
		}
	}
}

// testAccountKeys keeps the content keys of v2, links them to assets, and shows
// those of locators beside them.
func testAccountKeys(f *fixture) {
	key := func(id string) *ams.Key {
		return &ams.Key{Account: "acc1", ID: id, Name: "n" + id, Type: ams.StorageKey, Value: []byte("value of " + id), Wrapped: "box", ProtectionKey: "AB12",
			ProtectionType: 1, Checksum: "sum", Policy: "policy-p", TrackIdentifiers: "t", Created: f.now, LastModified: f.now.Add(time.Second)}
	}
	policy := &ams.ContentKeyPolicy{Account: "acc1", Name: "P", ID: "policy-p", Created: f.now, LastModified: f.now}
	of := func(id string, scheme ams.Scheme, policy string) *ams.ContentKey {
		return &ams.ContentKey{Account: "acc1", Locator: "loc-l", ID: id, Scheme: scheme, Policy: policy, Value: []byte("value of " + id)}
	}
	a, b := key("a"), key("b")
	b.Type, b.Policy = ams.EnvelopeKey, ""
	f.update(func(tx *catalog.Tx) error {
		for _, err := range []error{tx.InsertAccount(f.account("acc2", "media2")), tx.InsertAsset(f.asset("acc1", "in")), tx.InsertAsset(f.asset("acc1", "out")), tx.InsertLocator(f.locator("L", "in")),
			tx.InsertContentKeyPolicy(policy), tx.InsertKey(a), tx.InsertKey(b),
			// Two of one id are one key, and that of the account stands before both.
			tx.InsertContentKey(of("b", ams.Envelope, "P")), tx.InsertContentKey(of("c", ams.CENC, "P")), tx.InsertContentKey(of("c", ams.CBCS, ""))} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	shared := key("a")
	shared.Account, shared.Policy = "acc2", ""
	f.refused(ams.Exists, func(tx *catalog.Tx) error { return tx.InsertKey(a) })
	f.update(func(tx *catalog.Tx) error { return tx.InsertKey(shared) })
	c := &ams.Key{Account: "acc1", ID: "c", Type: ams.CommonKey, Value: []byte("value of c"), Policy: "policy-p", OfLocator: true, Created: f.now, LastModified: f.now}
	f.view(func(tx *catalog.Tx) error {
		f.same(a, must(tx.Key("acc1", "A")))
		f.same(b, must(tx.Key("acc1", "b")))
		f.same(c, must(tx.Key("acc1", "c")))
		f.same([]*ams.Key{a, shared}, must(tx.KeysByID("a")))
		return nil
	})
	f.view(func(tx *catalog.Tx) error {
		if n := must(tx.CountKeys("acc1")); n != 2 {
			f.Errorf("%d keys, want 2", n)
		}
		return nil
	})
	name := func(k *ams.Key) string { return k.ID }
	all := func(tx *catalog.Tx, s catalog.Search) (*catalog.Found[ams.Key], error) { return tx.FindKeys("acc1", s) }
	finds(f, all, name, map[string]string{
		"": "a b c", "Id eq 'nb:kid:UUID:B'": "b", "Name eq 'na'": "a", "ContentKeyType eq 1": "a", "ContentKeyType eq 0": "c", "ContentKeyType ge 1": "a b",
		"ProtectionKeyId eq 'AB12' and ProtectionKeyType eq 1": "a b", "ProtectionKeyType lt 0.5": "c", "startswith(TrackIdentifiers,'t') eq true": "a b", "TrackIdentifiers eq null": "c", "Checksum eq null": "c", "AuthorizationPolicyId eq 'nb:ckpid:UUID:policy-p'": "a c",
		"LastModified gt datetime'2024-06-01T12:00:00.5'": "a b", "Created gt datetime'2024-06-01T12:00:01'": "",
	})

	f.update(func(tx *catalog.Tx) error {
		for _, err := range []error{tx.LinkKey("acc1", "acc1-in", "b"), tx.LinkKey("acc1", "acc1-in", "a"), tx.LinkKey("acc1", "acc1-out", "a")} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	f.refused(ams.Exists, func(tx *catalog.Tx) error { return tx.LinkKey("acc1", "acc1-in", "a") })
	f.refused(ams.NotFound, func(tx *catalog.Tx) error { return tx.UnlinkKey("acc1", "acc1-out", "b") })
	f.view(func(tx *catalog.Tx) error {
		f.same([]*ams.Key{b, a}, must(tx.AssetKeys("acc1", "acc1-in"))) // in the order of the links
		f.same([]string{"acc1-in", "acc1-out"}, must(tx.KeyAssets("acc1", "a")))
		return nil
	})
	finds(f, func(tx *catalog.Tx, s catalog.Search) (*catalog.Found[ams.Key], error) {
		return tx.FindAssetKeys("acc1", "IN", "acc1-in", s)
	}, name, map[string]string{"": "a b c", "ContentKeyType eq 0": "c"})
	finds(f, func(tx *catalog.Tx, s catalog.Search) (*catalog.Found[ams.Key], error) {
		return tx.FindAssetKeys("acc1", "out", "acc1-out", s)
	}, name, map[string]string{"": "a"})

	// A changed value and policy reach the locators.
	b.Value, b.Policy, b.Name = []byte("another value"), "policy-p", "new"
	f.update(func(tx *catalog.Tx) error { return tx.UpdateKey(b, "P") })
	f.refused(ams.NotFound, func(tx *catalog.Tx) error { return tx.UpdateKey(key("none"), "") })
	f.view(func(tx *catalog.Tx) error {
		f.same(b, must(tx.Key("acc1", "b")))
		if k := must(tx.ContentKeys("b")); len(k) != 1 || string(k[0].Value) != "another value" || k[0].Policy != "P" {
			f.Errorf("the key of the locator: %v", k)
		}
		return nil
	})
	f.refused(ams.Conflict, func(tx *catalog.Tx) error { return tx.DeleteContentKeyPolicy("acc1", "p") })

	// Links go with the key and with the asset, the keys of a locator with it.
	f.update(func(tx *catalog.Tx) error {
		for _, err := range []error{tx.UnlinkKey("acc1", "acc1-in", "b"), tx.DeleteKey("acc1", "A"), tx.LinkKey("acc1", "acc1-out", "b")} {
			if err != nil {
				return err
			}
		}
		return tx.DeleteAsset("acc1", "out")
	})
	f.refused(ams.NotFound, func(tx *catalog.Tx) error { return tx.DeleteKey("acc1", "a") })
	f.view(func(tx *catalog.Tx) error {
		f.same([]*ams.Key(nil), must(tx.AssetKeys("acc1", "acc1-in")))
		f.same([]string(nil), must(tx.KeyAssets("acc1", "a")))
		f.same([]string(nil), must(tx.KeyAssets("acc1", "b")))
		f.same([]*ams.Key{shared}, must(tx.KeysByID("a"))) // another account's stays
		return nil
	})
	f.update(func(tx *catalog.Tx) error { return tx.DeleteLocator("acc1", "l") })
	finds(f, all, name, map[string]string{"": "b"})
	f.update(func(tx *catalog.Tx) error { return tx.DeleteAccount("acc2") })
	f.view(func(tx *catalog.Tx) error {
		f.same([]*ams.Key(nil), must(tx.KeysByID("a")))
		return nil
	})
}

// testPolicyOptions keeps the options of content key policies as entities: those
// that v2 made outlive their policies, those of v3 do not.
func testPolicyOptions(f *fixture) {
	option := func(id string) ams.ContentKeyPolicyOption {
		return ams.ContentKeyPolicyOption{ID: id, Name: "n" + id, Configuration: json.RawMessage(`{"@odata.type":"#Microsoft.Media.ContentKeyPolicyClearKeyConfiguration"}`),
			Restriction: json.RawMessage(`{"secret":"s"}`), V2: &ams.V2Option{Configuration: "text", Restrictions: []ams.V2Restriction{{Name: "r", Type: 1, Requirements: "<x/>"}}}}
	}
	policy := func(name string, options ...ams.ContentKeyPolicyOption) *ams.ContentKeyPolicy {
		return &ams.ContentKeyPolicy{Account: "acc1", Name: name, Label: "label " + name, ID: "policy-" + name, Options: options, Created: f.now, LastModified: f.now}
	}
	free, shared, bound := option("free"), option("shared"), option("bound")
	p, q := policy("p", shared, bound), policy("q", shared)
	f.update(func(tx *catalog.Tx) error {
		for _, err := range []error{tx.InsertPolicyOption("acc1", &free), tx.InsertPolicyOption("acc1", &shared), tx.InsertContentKeyPolicy(p), tx.InsertContentKeyPolicy(q)} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	f.refused(ams.Exists, func(tx *catalog.Tx) error { return tx.InsertPolicyOption("acc1", &free) })
	check := func() {
		f.Helper()
		f.view(func(tx *catalog.Tx) error {
			f.same(&free, must(tx.PolicyOption("acc1", "FREE")))
			f.same(&shared, must(tx.PolicyOption("acc1", "shared")))
			f.same(&bound, must(tx.PolicyOption("acc1", "bound")))
			f.same([]*ams.ContentKeyPolicy{p, q}, must(tx.OptionPolicies("acc1", "Shared")))
			f.same([]*ams.ContentKeyPolicy(nil), must(tx.OptionPolicies("acc1", "free")))
			f.same(p, must(tx.ContentKeyPolicyByID("acc1", "POLICY-p")))
			return nil
		})
	}
	check()
	of := func(policy string) func(*catalog.Tx, catalog.Search) (*catalog.Found[ams.ContentKeyPolicyOption], error) {
		return func(tx *catalog.Tx, s catalog.Search) (*catalog.Found[ams.ContentKeyPolicyOption], error) {
			return tx.FindPolicyOptions("acc1", policy, s)
		}
	}
	f.view(func(tx *catalog.Tx) error {
		if options, policies := must(tx.CountPolicyOptions("acc1")), must(tx.CountContentKeyPolicies("acc1")); options != 2 || policies != 2 {
			f.Errorf("%d options that v2 made and %d policies, want 2 and 2", options, policies)
		}
		return nil
	})
	name := func(o *ams.ContentKeyPolicyOption) string { return o.ID }
	finds(f, of(""), name, map[string]string{"": "bound free shared", "Name eq 'nbound'": "bound", "KeyDeliveryType eq 2": "bound free shared", "KeyDeliveryType ne 2": "", "Id ge 'nb:ckpoid:UUID:free'": "free shared"})
	finds(f, of("POLICY-P"), name, map[string]string{"": "bound shared"})
	finds(f, of("policy-q"), name, map[string]string{"": "shared"})
	finds(f, func(tx *catalog.Tx, s catalog.Search) (*catalog.Found[ams.ContentKeyPolicy], error) {
		return tx.FindContentKeyPolicies("acc1", s)
	}, func(p *ams.ContentKeyPolicy) string { return p.Name }, map[string]string{"": "p q", "Name eq 'label q'": "q", "Id eq 'nb:ckpid:UUID:policy-p'": "p"})

	free.Name, free.V2 = "new", nil
	shared.Restriction = json.RawMessage(`{"secret":"t"}`)
	p.Options[0], q.Options[0] = shared, shared
	f.update(func(tx *catalog.Tx) error {
		for _, err := range []error{tx.UpdatePolicyOption("acc1", &free), tx.UpdateContentKeyPolicy(p), tx.UpdateContentKeyPolicy(q)} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	check()
	none := option("none")
	f.refused(ams.NotFound, func(tx *catalog.Tx) error { return tx.UpdatePolicyOption("acc1", &none) })
	f.refused(ams.NotFound, func(tx *catalog.Tx) error { return tx.UpdatePolicyOption("acc2", &free) })

	// What v3 made goes when its policy drops it, what v2 made stays.
	kept := option("kept")
	p.Options = []ams.ContentKeyPolicyOption{kept}
	f.update(func(tx *catalog.Tx) error { return tx.UpdateContentKeyPolicy(p) })
	f.refused(ams.NotFound, func(tx *catalog.Tx) error { _, err := tx.PolicyOption("acc1", "bound"); return err })
	finds(f, of("policy-p"), name, map[string]string{"": "kept"})
	f.update(func(tx *catalog.Tx) error {
		for _, err := range []error{tx.KeepPolicyOption("acc1", "KEPT"), tx.DeleteContentKeyPolicy("acc1", "p"), tx.DeleteContentKeyPolicy("acc1", "q")} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	finds(f, of(""), name, map[string]string{"": "free kept shared"})
	f.update(func(tx *catalog.Tx) error { return tx.DeletePolicyOption("acc1", "Kept") })
	f.refused(ams.NotFound, func(tx *catalog.Tx) error { return tx.DeletePolicyOption("acc1", "kept") })
}

// testDeliveryPolicies keeps delivery policies and links them to assets.
func testDeliveryPolicies(f *fixture) {
	policy := func(id string) *ams.DeliveryPolicy {
		return &ams.DeliveryPolicy{Account: "acc1", ID: id, Name: "n" + id, Protocols: 65535, Type: 3, Configuration: `[{"Key":2,"Value":"https://x/"}]`, Created: f.now, LastModified: f.now.Add(time.Second)}
	}
	a, b := policy("a"), policy("b")
	b.Protocols, b.Type = ams.DeliverHLS, 2
	f.update(func(tx *catalog.Tx) error {
		for _, err := range []error{tx.InsertAsset(f.asset("acc1", "in")), tx.InsertAsset(f.asset("acc1", "out")), tx.InsertDeliveryPolicy(a), tx.InsertDeliveryPolicy(b),
			tx.LinkDeliveryPolicy("acc1", "acc1-in", "b"), tx.LinkDeliveryPolicy("acc1", "acc1-in", "a"), tx.LinkDeliveryPolicy("acc1", "acc1-out", "a")} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	f.refused(ams.Exists, func(tx *catalog.Tx) error { return tx.InsertDeliveryPolicy(a) })
	f.refused(ams.Exists, func(tx *catalog.Tx) error { return tx.LinkDeliveryPolicy("acc1", "acc1-in", "a") })
	f.refused(ams.NotFound, func(tx *catalog.Tx) error { return tx.UnlinkDeliveryPolicy("acc1", "acc1-out", "b") })
	f.refused(ams.NotFound, func(tx *catalog.Tx) error { return tx.UpdateDeliveryPolicy(policy("none")) })
	a.Name, a.Configuration, a.Protocols = "new", "", ams.DeliverDASH
	f.update(func(tx *catalog.Tx) error { return tx.UpdateDeliveryPolicy(a) })
	f.view(func(tx *catalog.Tx) error {
		f.same(a, must(tx.DeliveryPolicy("acc1", "A")))
		f.same([]*ams.DeliveryPolicy{a, b}, must(tx.AssetDeliveryPolicies("acc1", "acc1-in")))
		f.same([]string{"acc1-in", "acc1-out"}, must(tx.DeliveryPolicyAssets("acc1", "a")))
		return nil
	})
	of := func(asset string) func(*catalog.Tx, catalog.Search) (*catalog.Found[ams.DeliveryPolicy], error) {
		return func(tx *catalog.Tx, s catalog.Search) (*catalog.Found[ams.DeliveryPolicy], error) {
			return tx.FindDeliveryPolicies("acc1", asset, s)
		}
	}
	f.view(func(tx *catalog.Tx) error {
		if n := must(tx.CountDeliveryPolicies("acc1")); n != 2 {
			f.Errorf("%d delivery policies, want 2", n)
		}
		return nil
	})
	name := func(p *ams.DeliveryPolicy) string { return p.ID }
	finds(f, of(""), name, map[string]string{"": "a b", "Name eq 'nb'": "b", "AssetDeliveryProtocol eq 2": "a", "AssetDeliveryPolicyType eq 2": "b", "AssetDeliveryConfiguration eq null": "a", "endswith(AssetDeliveryConfiguration,'x/\"}]')": "b",
		"Id eq 'nb:adpid:UUID:A'": "a", "Created eq LastModified": ""})
	finds(f, of("acc1-out"), name, map[string]string{"": "a", "Name eq 'nb'": ""})
	s := catalog.Search{Top: 1, Orders: must(filter.ParseOrder("AssetDeliveryConfiguration desc"))}
	for _, want := range []string{"b", "a"} { // from page to page
		f.view(func(tx *catalog.Tx) error {
			found := must(of("")(tx, s))
			if len(found.Rows) != 1 || found.Rows[0].ID != want {
				f.Errorf("by configuration: %v, want %s", found.Rows, want)
			}
			s.After = found.Next
			return nil
		})
	}

	// Links go with the policy and with the asset.
	f.update(func(tx *catalog.Tx) error {
		for _, err := range []error{tx.UnlinkDeliveryPolicy("acc1", "acc1-in", "b"), tx.DeleteDeliveryPolicy("acc1", "a"), tx.LinkDeliveryPolicy("acc1", "acc1-out", "b"), tx.DeleteAsset("acc1", "out")} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	f.refused(ams.NotFound, func(tx *catalog.Tx) error { return tx.DeleteDeliveryPolicy("acc1", "a") })
	f.view(func(tx *catalog.Tx) error {
		f.same([]*ams.DeliveryPolicy(nil), must(tx.AssetDeliveryPolicies("acc1", "acc1-in")))
		f.same([]string(nil), must(tx.DeliveryPolicyAssets("acc1", "b")))
		return nil
	})

	odd := policy("odd")
	odd.Configuration = "a\x00b"
	f.update(func(tx *catalog.Tx) error { return tx.InsertDeliveryPolicy(odd) })
	finds(f, of(""), name, map[string]string{"endswith(AssetDeliveryConfiguration,'x/\"}]')": "b"}) // a character that PostgreSQL cannot take is no error
	f.view(func(tx *catalog.Tx) error {
		f.same(odd, must(tx.DeliveryPolicy("acc1", "odd")))
		return nil
	})

	// The streaming policy of delivery policies goes with its last locator.
	delivered := "AssetDelivery_" + strings.Repeat("0", 8)
	if !ams.IsDelivered(delivered) {
		f.Fatalf("%s is no name of such a policy", delivered)
	}
	f.update(func(tx *catalog.Tx) error {
		if err := tx.InsertPolicy(&ams.StreamingPolicy{Account: "acc1", Name: delivered, Created: f.now}); err != nil {
			return err
		}
		for _, name := range []string{"l", "m"} {
			l := f.locator(name, "in")
			l.Policy = delivered
			if err := tx.InsertLocator(l); err != nil {
				return err
			}
		}
		return tx.DeleteLocator("acc1", "l")
	})
	f.view(func(tx *catalog.Tx) error { _, err := tx.Policy("acc1", delivered); return err })
	f.update(func(tx *catalog.Tx) error { return tx.DeleteLocator("acc1", "m") })
	f.refused(ams.NotFound, func(tx *catalog.Tx) error { _, err := tx.Policy("acc1", delivered); return err })
}
