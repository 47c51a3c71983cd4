package catalogtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/filter"
)

// find is the labels of the assets that a search in the words of v2 finds,
// read page by page.
func (f *fixture) find(where, order string, s catalog.Search) (labels []string, count int64, err error) {
	if s.Filter, err = filter.Parse(where); err != nil {
		f.Fatalf("%s: %v", where, err)
	}
	if s.Orders, err = filter.ParseOrder(order); err != nil {
		f.Fatalf("%s: %v", order, err)
	}
	for {
		var found *catalog.Found[ams.Asset]
		if err = f.db.View(f.Context(), func(tx *catalog.Tx) error {
			found, err = tx.FindAssets("acc1", s)
			return err
		}); err != nil {
			return nil, 0, err
		}
		for _, a := range found.Rows {
			labels = append(labels, a.Label)
		}
		if s.After = found.Next; s.After == "" {
			return labels, found.Count, nil
		}
	}
}

func testSearch(f *fixture) {
	f.update(func(tx *catalog.Tx) error {
		for i, label := range []string{"b.mp4", "A.mov", "a.mp4", "b.mp4", "", "%_?"} {
			a := f.asset("acc1", fmt.Sprintf("n%d", i))
			a.ID, a.Label, a.FormatOption, a.AlternateID = fmt.Sprintf("00%d", i), label, i%2, []string{"", "x"}[i%2]
			a.Created = f.now.AddDate(0, 0, -i)
			if err := tx.InsertAsset(a); err != nil {
				return err
			}
		}
		return nil
	})
	for _, tt := range []struct{ where, order, want string }{
		{"", "", "b.mp4|A.mov|a.mp4|b.mp4||%_?"},
		{"", "Name", "|%_?|A.mov|a.mp4|b.mp4|b.mp4"},
		{"", "Name desc", "b.mp4|b.mp4|a.mp4|A.mov|%_?|"},
		{"", "FormatOption desc,Name", "%_?|A.mov|b.mp4||a.mp4|b.mp4"},
		{"", "FormatOption,Created", "|a.mp4|b.mp4|%_?|b.mp4|A.mov"},
		{"", "State,Id desc", "%_?||b.mp4|a.mp4|A.mov|b.mp4"},
		{"Id eq 'NB:cid:UUID:002'", "", "a.mp4"},
		{"Id eq '002'", "", "a.mp4"}, // harmless
		{"Id gt 'nb:cid:UUID:003'", "", "|%_?"},
		{"'nb:cid:UUID:001' lt Id and Name ne null", "", "a.mp4|b.mp4|%_?"},
		{"startswith(Name,'b') or endswith(Name,'.mov')", "", "b.mp4|A.mov|b.mp4"},
		{"endswith('x',Name)", "", ""},
		{"endswith(Name,'')", "", "b.mp4|A.mov|a.mp4|b.mp4||%_?"},
		{"substringof('_',Name) or substringof('''',Name)", "", "%_?"},
		{"not substringof('.',Name)", "", "|%_?"},
		{"toupper(Name) eq 'A.MP4' or tolower(Name) eq 'a.mov'", "", "A.mov|a.mp4"},
		{"length(Name) lt 5 and length(Name) ge 1.5", "", "%_?"},
		{"FormatOption lt 0.5 and 0.5 lt length(Name)", "", "b.mp4|a.mp4"},
		{"FormatOption gt 0.5", "", "A.mov|b.mp4|%_?"},
		{"FormatOption eq 0.5", "", ""},
		{"concat(AlternateId,Name) eq trim(' xb.mp4 ')", "", "b.mp4"},
		{"AlternateId eq null and FormatOption eq 0", "", "b.mp4|a.mp4|"},
		{"(startswith(Name,'a') eq true) or (FormatOption eq 1) eq false and not (Name eq 'b.mp4')", "", "a.mp4|"},
		{"Created lt 2024-05-29 and true", "", "|%_?"},
		{"StorageAccountName eq Name or LastModified lt Created", "", ""},
	} {
		for _, top := range []int{1, 2, 4, 100} {
			got, _, err := f.find(tt.where, tt.order, catalog.Search{Top: top})
			if err != nil || strings.Join(got, "|") != tt.want {
				f.Errorf("%s, %s, %d at a time: %q, %v, want %q", tt.where, tt.order, top, strings.Join(got, "|"), err, tt.want)
			}
		}
	}
	if got, n, err := f.find("FormatOption eq 0", "Name", catalog.Search{Top: 2, Skip: 1, Count: true}); err != nil || n != 3 || strings.Join(got, "|") != "a.mp4|b.mp4" {
		f.Errorf("%q %d %v", got, n, err)
	}
	if got, n, err := f.find("", "", catalog.Search{Count: true}); err != nil || n != 6 || len(got) != 0 {
		f.Errorf("%q %d %v", got, n, err)
	}
	for _, tt := range []struct{ where, order, after string }{
		{"Name", "", ""}, {"Name eq 1", "", ""}, {"1 eq 1", "", ""}, {"Uri eq 'x'", "", ""}, {"null", "", ""}, {"length(FormatOption) eq 1", "", ""},
		{"FormatOption eq 'x'", "", ""}, {"Created eq 'x'", "", ""}, {"(Name eq 'a') eq 1", "", ""}, {"Name eq FormatOption", "", ""}, {"contains(Name,'a')", "", ""},
		{"", "Uri", ""}, {"", "", "!"}, {"", "", "WzFd"}, {"", "Name", "WyJhIl0"},
	} {
		if _, _, err := f.find(tt.where, tt.order, catalog.Search{Top: 1, After: tt.after}); ams.CodeOf(err) != ams.Invalid {
			f.Errorf("%+v: %v", tt, err)
		}
	}
}

// testAssetFiles keeps files apart from assets, and deletes them with theirs.
func testAssetFiles(f *fixture) {
	file := func(asset, name string) *ams.AssetFile {
		return &ams.AssetFile{Account: "acc1", ID: asset + name, Asset: asset, Name: name, Size: 1 << 40, Primary: name == "p", Encrypted: true, EncryptionVersion: "1.0",
			EncryptionScheme: "s", EncryptionKey: "k", InitializationVector: "iv", MIMEType: "m", Checksum: "c", Options: 1, Created: f.now, LastModified: f.now}
	}
	f.update(func(tx *catalog.Tx) error {
		for _, name := range []string{"a", "b", "c"} {
			if err := tx.InsertAsset(f.asset("acc1", name)); err != nil {
				return err
			}
		}
		for _, af := range []*ams.AssetFile{file("acc1-a", "p"), file("acc1-a", "q"), file("acc1-b", "p")} {
			if err := tx.InsertAssetFile(af); err != nil {
				return err
			}
		}
		return tx.InsertAssetParents("acc1", "acc1-c", "acc1-a", "acc1-b", "acc1-a")
	})
	again := file("acc1-a", "p")
	again.ID = "other"
	f.refused(ams.Exists, func(tx *catalog.Tx) error { return tx.InsertAssetFile(again) })
	f.update(func(tx *catalog.Tx) error {
		got := must(tx.PrimaryFile("acc1", "acc1-a"))
		f.same(file("acc1-a", "p"), got)
		got.Size, got.Primary = 7, false
		if err := tx.UpdateAssetFile(got); err != nil {
			return err
		}
		found, err := tx.FindAssetFiles("acc1", catalog.Search{Top: 9, Filter: must(filter.Parse("IsEncrypted and not IsPrimary and IsPrimary eq false and ContentFileSize le 7 and ParentAssetId eq 'nb:cid:UUID:acc1-a'"))})
		if err == nil {
			f.same([]*ams.AssetFile{got}, found.Rows)
		}
		return err
	})
	f.update(func(tx *catalog.Tx) error {
		parents, err := tx.AssetParents("acc1", "acc1-c", catalog.Search{Top: 9, Count: true})
		if err != nil || parents.Count != 2 || parents.Rows[1].ID != "acc1-b" {
			f.Errorf("%+v %v", parents, err)
		}
		if err := tx.DeleteAsset("acc1", "a"); err != nil {
			return err
		}
		if parents, err = tx.AssetParents("acc1", "acc1-c", catalog.Search{Top: 9}); err != nil || len(parents.Rows) != 1 {
			f.Errorf("%+v %v", parents, err)
		}
		left, err := tx.FindAssetFiles("acc1", catalog.Search{Top: 9})
		if err == nil {
			f.same([]*ams.AssetFile{file("acc1-b", "p")}, left.Rows)
		}
		return err
	})
}

// testV2Locators sees SAS and streaming locators as one list, and gives no id
// to two of them.
func testV2Locators(f *fixture) {
	policy := &ams.LocatorPolicy{Account: "acc1", ID: "p1", Name: "p", Minutes: 1.5, Permissions: 3, Created: f.now, LastModified: f.now}
	signed := &ams.Locator{Account: "acc1", ID: "s1", Type: ams.SASLocator, Asset: "acc1-a", AccessPolicy: "p1", Label: "l", Start: f.now, End: f.now.Add(time.Hour), Bare: true, Created: f.now}
	streaming := f.locator("B", "a")
	streaming.AssetID, streaming.AccessPolicy, streaming.Label, streaming.Bare = "acc1-a", "p1", "B", true
	f.update(func(tx *catalog.Tx) error {
		if err := tx.InsertAsset(f.asset("acc1", "a")); err != nil {
			return err
		}
		return errors.Join(tx.InsertLocatorPolicy(policy), tx.InsertSASLocator(signed), tx.InsertLocator(streaming))
	})
	twice := *signed
	twice.ID = streaming.ID
	f.refused(ams.Exists, func(tx *catalog.Tx) error { return tx.InsertSASLocator(&twice) })
	f.refused(ams.Exists, func(tx *catalog.Tx) error { return tx.InsertSASLocator(signed) })
	again := f.locator("C", "a")
	again.ID = signed.ID
	f.refused(ams.Exists, func(tx *catalog.Tx) error { return tx.InsertLocator(again) })
	find := func(tx *catalog.Tx, where, order string, top int) (ids string) {
		s := catalog.Search{Filter: must(filter.Parse(where)), Orders: must(filter.ParseOrder(order)), Top: top, Count: true}
		for {
			found := must(tx.FindLocators("acc1", s))
			for _, l := range found.Rows {
				ids += " " + l.ID
			}
			if s.After = found.Next; s.After == "" {
				return ids
			}
		}
	}
	f.view(func(tx *catalog.Tx) error {
		f.same(policy, must(tx.LocatorPolicy("acc1", "P1")))
		if found := must(tx.FindLocatorPolicies("acc1", catalog.Search{Filter: must(filter.Parse("DurationInMinutes gt 1.25 and DurationInMinutes lt 2")), Orders: must(filter.ParseOrder("DurationInMinutes")), Top: 1})); len(found.Rows) != 1 {
			f.Errorf("%+v", found)
		}
		f.same(signed, must(tx.V2Locator("acc1", "s1")))
		if n := must(tx.CountLocatorsOf("acc1", "acc1-a")); n != 2 {
			f.Errorf("%d locators", n)
		}
		for _, tt := range []struct{ where, order, want string }{
			{"", "", " loc-b s1"},
			{"", "Type,Name desc", " s1 loc-b"},
			{"", "ExpirationDateTime desc,Id", " loc-b s1"},
			{"Type eq 1 or Name eq 'B'", "Id desc", " s1 loc-b"},
			{"AssetId eq 'nb:cid:UUID:acc1-a' and Id ne 'nb:lid:UUID:s1' and AccessPolicyId ne null", "", " loc-b"},
		} {
			for _, top := range []int{1, 5} {
				if got := find(tx, tt.where, tt.order, top); got != tt.want {
					f.Errorf("%s, %s, %d at a time: %q, want %q", tt.where, tt.order, top, got, tt.want)
				}
			}
		}
		return nil
	})
	f.update(func(tx *catalog.Tx) error {
		streaming.End = f.now.Add(time.Minute)
		return errors.Join(tx.UpdateLocator(streaming), tx.DeleteLocatorPolicy("acc1", "p1"), tx.DeleteSASLocator("acc1", "s1"))
	})
	f.view(func(tx *catalog.Tx) error {
		if l := must(tx.V2Locator("acc1", streaming.ID)); !l.End.Equal(streaming.End) || l.Type != ams.OnDemandOrigin {
			f.Errorf("%+v", l)
		}
		return nil
	})
}

// testTransact joins Updates to one transaction, of which each may fail alone.
func testTransact(f *fixture) {
	boom := errors.New("boom")
	insert := func(ctx context.Context, name string, end error) error {
		return f.db.Update(ctx, func(tx *catalog.Tx) error { return errors.Join(tx.InsertAsset(f.asset("acc1", name)), end) })
	}
	has := func(ctx context.Context, name string) bool {
		err := f.db.View(ctx, func(tx *catalog.Tx) error {
			_, err := tx.Asset("acc1", name)
			return err
		})
		return err == nil
	}
	do := func(end error) func(context.Context) error {
		return func(ctx context.Context) error {
			if err := insert(ctx, "a", nil); err != nil {
				return err
			}
			if err := insert(ctx, "b", boom); !errors.Is(err, boom) {
				f.Errorf("%v", err)
			}
			if !catalog.Joined(ctx) || !has(ctx, "a") || has(ctx, "b") {
				f.Error("the transaction does not see what it did")
			}
			return end
		}
	}
	if err := f.db.Transact(f.Context(), do(boom)); !errors.Is(err, boom) || has(f.Context(), "a") {
		f.Errorf("rolled back: %v", err)
	}
	if err := f.db.Transact(f.Context(), do(nil)); err != nil || !has(f.Context(), "a") || has(f.Context(), "b") {
		f.Errorf("committed: %v", err)
	}
}
