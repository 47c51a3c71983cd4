package catalogtest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/filter"
)

// A random filter is text of both APIs, and what it means in each.
type randomFilter struct {
	v3, v2   string
	ok3, ok2 func(*ams.Asset) bool
}

// testRandomFilters lists by filters that no one would write, in every order
// and in pages, and compares with what the filters mean.
func testRandomFilters(f *fixture) {
	rng := rand.New(rand.NewPCG(3, 4))
	var all []*ams.Asset
	start := f.now.Truncate(time.Second)
	f.update(func(tx *catalog.Tx) error {
		for i := range 300 {
			a := f.asset("acc1", fmt.Sprintf("%c%03d", "aBcD"[rng.IntN(4)], i))
			a.Label = fmt.Sprintf("%c.%d", "aBcD"[rng.IntN(4)], rng.IntN(40))
			a.Options = ams.AssetOptions(rng.IntN(2))
			a.AlternateID = string("xyz"[min(rng.IntN(6), 2)])
			a.Created = start.Add(time.Duration(i/2+rng.IntN(20)) * time.Minute) // ties, and nearly in the order of numbers
			all = append(all, a)
			if err := tx.InsertAsset(a); err != nil {
				return err
			}
		}
		return nil
	})
	comparison := func() randomFilter {
		a := all[rng.IntN(len(all))]
		op := []string{"eq", "gt", "ge", "lt", "le"}[rng.IntN(5)]
		holds := func(c int) bool {
			return map[string]bool{"eq": c == 0, "gt": c > 0, "ge": c >= 0, "lt": c < 0, "le": c <= 0}[op]
		}
		same := func(v3, v2 string, ok func(*ams.Asset) bool) randomFilter { return randomFilter{v3, v2, ok, ok} }
		switch rng.IntN(6) {
		case 0:
			eq := " eq '" + a.AlternateID + "'"
			return same("properties/alternateId"+eq, "AlternateId"+eq, func(b *ams.Asset) bool { return a.AlternateID == b.AlternateID })
		case 1:
			return same("'"+a.ID+"' eq properties/assetId", "'nb:cid:UUID:"+a.ID+"' eq Id", func(b *ams.Asset) bool { return a.ID == b.ID })
		case 2, 3:
			f := randomFilter{v3: "name " + op + " '" + strings.ToUpper(a.Name) + "'", ok3: func(b *ams.Asset) bool {
				return holds(strings.Compare(strings.ToLower(b.Name), strings.ToLower(a.Name)))
			}}
			f.v2, f.ok2 = "Name "+op+" '"+a.Label+"'", func(b *ams.Asset) bool { return holds(strings.Compare(b.Label, a.Label)) }
			switch rng.IntN(4) {
			case 0:
				f.v2, f.ok2 = "startswith(Name,'"+a.Label[:1]+"')", func(b *ams.Asset) bool { return a.Label[0] == b.Label[0] }
			case 1:
				f.v2, f.ok2 = "Options "+op+" 1 and 0 ge State and not (State gt 0.5)", func(b *ams.Asset) bool { return holds(int(b.Options) - 1) }
			}
			return f
		}
		than := " " + op + " " + a.Created.Format(time.RFC3339)
		return same("properties/created"+than, "Created"+than, func(b *ams.Asset) bool { return holds(b.Created.Compare(a.Created)) })
	}
	var random func(depth int) randomFilter
	random = func(depth int) randomFilter {
		if depth == 0 {
			return comparison()
		}
		l := random(rng.IntN(depth))
		if rng.IntN(5) == 0 {
			return randomFilter{"not (" + l.v3 + ")", "not (" + l.v2 + ")",
				func(a *ams.Asset) bool { return !l.ok3(a) }, func(a *ams.Asset) bool { return !l.ok2(a) }}
		}
		r := random(rng.IntN(depth))
		if rng.IntN(2) == 0 {
			return randomFilter{"(" + l.v3 + ") and (" + r.v3 + ")", "(" + l.v2 + ") and (" + r.v2 + ")",
				func(a *ams.Asset) bool { return l.ok3(a) && r.ok3(a) }, func(a *ams.Asset) bool { return l.ok2(a) && r.ok2(a) }}
		}
		return randomFilter{"(" + l.v3 + ") or (" + r.v3 + ")", "(" + l.v2 + ") or (" + r.v2 + ")",
			func(a *ams.Asset) bool { return l.ok3(a) || r.ok3(a) }, func(a *ams.Asset) bool { return l.ok2(a) || r.ok2(a) }}
	}
	wanted := func(ok func(*ams.Asset) bool, compare func(a, b *ams.Asset) int, desc bool) (want []string) {
		sorted := slices.Clone(all)
		slices.SortStableFunc(sorted, compare)
		if desc {
			slices.Reverse(sorted)
		}
		for _, a := range sorted {
			if ok(a) {
				want = append(want, a.Name)
			}
		}
		return want
	}
	orders := map[string]func(a, b *ams.Asset) int{ // ties: as inserted
		"name":    func(a, b *ams.Asset) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) },
		"Name":    func(a, b *ams.Asset) int { return strings.Compare(a.Label, b.Label) },
		"Id":      func(a, b *ams.Asset) int { return strings.Compare(a.ID, b.ID) },
		"created": func(a, b *ams.Asset) int { return a.Created.Compare(b.Created) },
		"Created": func(a, b *ams.Asset) int { return a.Created.Compare(b.Created) },
	}
	for range 300 {
		odd := random(1 + rng.IntN(6))
		for _, by := range []string{"name", "created"} {
			q := catalog.Query{OrderBy: by, Desc: rng.IntN(2) == 0, Top: 1 + rng.IntN(100)}
			want, said := wanted(odd.ok3, orders[by], q.Desc), q
			var got []string
			for more := true; more; more = q.After != "" {
				page, next, err := f.page("assets", odd.v3, q)
				if err != nil || next != "" && len(page) != q.Top {
					f.Fatalf("%+v: %s: a page of %d, %v", q, odd.v3, len(page), err)
				}
				got, q.After = append(got, page...), next
			}
			if !slices.Equal(got, want) {
				f.Fatalf("%+v: %s\n got %v\nwant %v", said, odd.v3, got, want)
			}
		}
		for _, by := range []string{"Id", "Name", "Created"} {
			s := catalog.Search{Top: 1 + rng.IntN(100), Skip: max(0, rng.IntN(40)-20), Count: true}
			desc := rng.IntN(2) == 0
			if by != "Id" || desc {
				s.Orders = []filter.Order{{Field: by, Desc: desc}}
			}
			want, said := wanted(odd.ok2, orders[by], desc), s
			count := int64(len(want))
			want = want[min(len(want), s.Skip):]
			var got []string
			for more := true; more; more = s.After != "" {
				page, err := f.search(odd.v2, s)
				if err != nil || page.Count != count || page.Next != "" && len(page.Rows) != s.Top {
					f.Fatalf("%+v: %s: a page of %d of %d, want of %d, %v", s, odd.v2, len(page.Rows), page.Count, count, err)
				}
				for _, a := range page.Rows {
					got = append(got, a.Name)
				}
				s.After = page.Next
			}
			if !slices.Equal(got, want) {
				f.Fatalf("%+v: %s\n got %v\nwant %v", said, odd.v2, got, want)
			}
		}
	}
}

func (f *fixture) search(text string, s catalog.Search) (found *catalog.Found[ams.Asset], err error) {
	if s.Filter, err = filter.Parse(text); err != nil {
		return nil, err
	}
	err = f.db.View(f.Context(), func(tx *catalog.Tx) (err error) {
		found, err = tx.FindAssets("acc1", s)
		return err
	})
	return found, err
}
