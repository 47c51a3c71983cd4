package catalogtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/filter"
)

// A lister lists one noun of acc1 by name.
type lister func(tx *catalog.Tx, q catalog.Query) ([]string, string, error)

func named[T any](list func(*catalog.Tx, catalog.Query) ([]*T, string, error), name func(*T) string) lister {
	return func(tx *catalog.Tx, q catalog.Query) (names []string, next string, err error) {
		page, next, err := list(tx, q)
		for _, v := range page {
			names = append(names, name(v))
		}
		return names, next, err
	}
}

var listers = map[string]lister{
	"assets": named(func(tx *catalog.Tx, q catalog.Query) ([]*ams.Asset, string, error) { return tx.Assets("acc1", q) },
		func(a *ams.Asset) string { return a.Name }),
	"transforms": named(func(tx *catalog.Tx, q catalog.Query) ([]*ams.Transform, string, error) {
		return tx.Transforms("acc1", q)
	},
		func(t *ams.Transform) string { return t.Name }),
	"jobs": named(func(tx *catalog.Tx, q catalog.Query) ([]*ams.Job, string, error) { return tx.Jobs("acc1", "t1", q) },
		func(j *ams.Job) string { return j.Name }),
	"locators": named(func(tx *catalog.Tx, q catalog.Query) ([]*ams.StreamingLocator, string, error) {
		return tx.Locators("acc1", q)
	},
		func(l *ams.StreamingLocator) string { return l.Name }),
	"policies": named(func(tx *catalog.Tx, q catalog.Query) ([]*ams.StreamingPolicy, string, error) {
		return tx.Policies("acc1", q)
	},
		func(p *ams.StreamingPolicy) string { return p.Name }),
	"endpoints": named(func(tx *catalog.Tx, q catalog.Query) ([]*ams.StreamingEndpoint, string, error) {
		return tx.Endpoints("acc1", q)
	},
		func(e *ams.StreamingEndpoint) string { return e.Name }),
}

// fill makes t1 … t4 of each noun, made a minute apart from 12:01 on; the
// names of assets differ in case.
func (f *fixture) fill() {
	start := f.now
	f.update(func(tx *catalog.Tx) error {
		for i := 1; i <= 4; i++ {
			f.now = start.Truncate(time.Hour).Add(time.Duration(i) * time.Minute)
			name := fmt.Sprintf("t%d", i)
			asset := f.asset("acc1", []string{"", "Alpha", "beta", "Gamma", "delta"}[i])
			locator := f.locator(name, "x")
			if i < 3 {
				locator.End = f.now.Add(time.Hour)
			}
			job := f.job("t1", name, ams.Task{})
			if i == 4 {
				job.Tasks, job.State = nil, ams.Finished
			}
			for _, err := range []error{tx.InsertAsset(asset), tx.InsertTransform(f.transform(name)), tx.InsertJob(job),
				tx.InsertLocator(locator), tx.InsertEndpoint(f.endpoint(name)),
				tx.InsertPolicy(&ams.StreamingPolicy{Account: "acc1", Name: name, Created: f.now})} {
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
		}
		return nil
	})
	f.now = start
}

func (f *fixture) list(noun, text string, q catalog.Query) ([]string, error) {
	names, _, err := f.page(noun, text, q)
	return names, err
}

func (f *fixture) page(noun, text string, q catalog.Query) (names []string, next string, err error) {
	e, err := filter.Parse(text)
	if err != nil {
		f.Fatalf("%s: %v", text, err)
	}
	q.Filter = e
	err = f.db.View(f.Context(), func(tx *catalog.Tx) (err error) {
		names, next, err = listers[noun](tx, q)
		return err
	})
	return names, next, err
}

func testFilters(f *fixture) {
	f.fill()
	for _, tt := range []struct{ noun, filter, want string }{
		{"assets", "", "Alpha beta delta Gamma"},
		{"assets", "name eq 'ALPHA'", "Alpha"},
		{"assets", "'alpha' eq name", "Alpha"},
		{"assets", "name gt 'Beta'", "delta Gamma"},
		{"assets", "'Beta' le name and name le 'DELTA'", "beta delta"},
		{"assets", "properties/alternateId eq 'alt beta'", "beta"},
		{"assets", "properties/alternateId eq 'ALT beta'", ""},
		{"assets", "properties/assetId eq 'acc1-delta'", "delta"},
		{"assets", "properties.created gt 2024-06-01T12:02:00Z", "delta Gamma"},
		{"assets", "properties/created eq '2024-06-01T12:02:00Z'", "beta"},
		{"assets", "created lt datetime'2024-06-01T12:02:00'", "Alpha"},
		{"assets", "created lt 2024-06-01T14:02:00+02:00", "Alpha"},
		{"assets", "name eq 'alpha' or name eq 'beta' and created lt 2024-01-01", "Alpha"},
		{"assets", "not (name eq 'alpha' or name eq 'beta')", "delta Gamma"},
		{"assets", "name eq ''' or 1 eq 1 --'", ""},
		{"transforms", "name eq 'T2'", "t2"},
		{"transforms", "properties/lastModified ge 2024-06-01T12:03:00Z", "t3 t4"},
		{"jobs", "properties/state eq Microsoft.Media.JobState'Finished'", "t4"},
		{"jobs", "properties/state ne 'finished' and properties/created lt 2024-06-01T12:03:00Z", "t1 t2"},
		{"jobs", "properties/lastModified gt 2024-06-01T12:03:00Z", "t4"},
		{"jobs", "name eq 't3'", "t3"},
		{"locators", "properties/endTime lt 9999-12-31T23:59:59Z", "t1 t2"},
		{"locators", "properties/endTime eq 9999-12-31T23:59:59.9999999Z", "t3 t4"},
		{"locators", "name ne 't1' and name lt 't3'", "t2"},
		{"policies", "name lt 'predefined_download'", "Predefined_ClearKey Predefined_ClearStreamingOnly"},
		{"policies", "properties/created gt 2020-01-01", "t1 t2 t3 t4"},
	} {
		want := strings.Fields(tt.want)
		got, err := f.list(tt.noun, tt.filter, catalog.Query{})
		if err != nil || !slices.Equal(got, want) {
			f.Errorf("%s where %s: %v, %v, want %v", tt.noun, tt.filter, got, err, want)
		}
	}
	// The longest chain that the grammar allows is not too much for the database.
	if _, err := f.list("assets", "name eq 'a'"+strings.Repeat(" or name eq 'a'", 499), catalog.Query{}); err != nil {
		f.Errorf("500 terms: %v", err)
	}
	if _, err := f.list("assets", strings.Repeat("not (", 25)+"name eq 'a'"+strings.Repeat(")", 25), catalog.Query{}); err != nil {
		f.Errorf("50 deep: %v", err)
	}
}

func testFilterErrors(f *fixture) {
	for _, tt := range []struct{ noun, filter, says string }{
		{"assets", "description eq 'x'", "'description'"},
		{"assets", "properties/container eq 'x'", "'properties/container'"},
		{"assets", "name ne 'x'", "'ne' is not supported for 'name'"},
		{"assets", "properties/assetId gt 'x'", "'gt'"},
		{"assets", "name eq 7", "no text"},
		{"assets", "created gt true", "no date"},
		{"assets", "created gt 'soon'", "'soon' is not a date"},
		{"assets", "name", "'name' is not a condition"},
		{"assets", "name eq created", "does not compare"},
		{"assets", "1 eq 1", "does not compare"},
		{"assets", "startswith(name,'x')", "'startswith' is not supported"},
		{"assets", "tolower(name) eq 'x'", "'tolower' is not supported"},
		{"assets", "(name eq 'x') eq true", "does not compare"},
		{"transforms", "name gt 'x'", "'gt'"},
		{"transforms", "created eq 2020-01-01", "'eq'"},
		{"jobs", "properties/state eq 'Sleeping'", "not one of Queued"},
		{"jobs", "properties/state gt 'Queued'", "'gt'"},
		{"jobs", "properties/priority eq 'High'", "'properties/priority'"},
	} {
		_, err := f.list(tt.noun, tt.filter, catalog.Query{})
		if e, ok := errors.AsType[*ams.Error](err); !ok || e.Code != ams.Invalid || e.Target != "$filter" || !strings.Contains(e.Msg, tt.says) {
			f.Errorf("%s where %s: %v, want Invalid saying %q", tt.noun, tt.filter, err, tt.says)
		}
	}
}

func testOrders(f *fixture) {
	f.fill()
	for _, tt := range []struct {
		noun, by string
		desc     bool
		want     string
	}{
		{"assets", "name", false, "Alpha beta delta Gamma"},
		{"assets", "", true, "Gamma delta beta Alpha"},
		{"assets", "properties/created", false, "Alpha beta Gamma delta"},
		{"assets", "Properties/Created", true, "delta Gamma beta Alpha"},
		{"transforms", "properties/lastModified", true, "t4 t3 t2 t1"},
		{"jobs", "properties/created", true, "t4 t3 t2 t1"},
		{"locators", "properties/endTime", false, "t1 t2 t3 t4"},
		{"endpoints", "", false, "t1 t2 t3 t4"},
	} {
		got, err := f.list(tt.noun, "", catalog.Query{OrderBy: tt.by, Desc: tt.desc})
		if err != nil || !slices.Equal(got, strings.Fields(tt.want)) {
			f.Errorf("%s by %s: %v, %v, want %v", tt.noun, tt.by, got, err, tt.want)
		}
		// The same in pages of one.
		var paged []string
		q := catalog.Query{OrderBy: tt.by, Desc: tt.desc, Top: 1}
		for range 10 {
			f.view(func(tx *catalog.Tx) error {
				page, next, err := listers[tt.noun](tx, q)
				paged, q.After = append(paged, page...), next
				return err
			})
			if q.After == "" {
				break
			}
		}
		if !slices.Equal(got, paged) {
			f.Errorf("%s by %s: pages give %v, the whole %v", tt.noun, tt.by, paged, got)
		}
	}
	for _, by := range []string{"description", "properties/assetId", "properties/container"} {
		if _, err := f.list("assets", "", catalog.Query{OrderBy: by}); ams.CodeOf(err) != ams.Invalid {
			f.Errorf("assets by %s: %v, want Invalid", by, err)
		}
	}
}

// Whatever is inserted and deleted between two pages, what existed all along
// is listed exactly once, in order.
func testPagesWhileChanging(f *fixture) {
	rng := rand.New(rand.NewPCG(1, 2))
	f.update(func(tx *catalog.Tx) error {
		for i := range 200 {
			f.now = f.now.Add(time.Duration(rng.IntN(2)) * time.Second) // many ties
			if err := tx.InsertAsset(f.asset("acc1", fmt.Sprintf("stays %03d", rng.IntN(1e6)*1000+i))); err != nil {
				return err
			}
		}
		return nil
	})
	for _, q := range []catalog.Query{{Top: 7}, {Top: 7, Desc: true}, {Top: 7, OrderBy: "properties/created"}, {Top: 7, OrderBy: "created", Desc: true}} {
		var stayed []string
		var brief []string // made in between; the last one is deleted in between
		for page := 0; page == 0 || q.After != ""; page++ {
			if page > 400 {
				f.Fatalf("%+v does not end", q)
			}
			f.view(func(tx *catalog.Tx) error {
				list, next, err := tx.Assets("acc1", q)
				q.After = next
				for _, a := range list {
					if strings.HasPrefix(a.Name, "stays") {
						stayed = append(stayed, a.Name)
					}
				}
				if len(list) > 7 || next != "" && len(list) != 7 {
					f.Errorf("a page of %d", len(list))
				}
				return err
			})
			f.update(func(tx *catalog.Tx) error {
				a := f.asset("acc1", fmt.Sprintf("%c brief %d", 'a'+rune(rng.IntN(26)), rng.Int()))
				a.Created = f.now.Add(-time.Duration(rng.IntN(200)) * time.Second)
				brief = append(brief, a.Name)
				if err := tx.InsertAsset(a); err != nil {
					return err
				}
				if i := rng.IntN(len(brief)); i%2 == 0 {
					if err := tx.DeleteAsset("acc1", brief[i]); err != nil {
						return err
					}
					brief = slices.Delete(brief, i, i+1)
				}
				return nil
			})
		}
		if slices.Sort(stayed); len(stayed) != 200 || len(slices.Compact(stayed)) != 200 {
			f.Errorf("%+v listed %d of 200", q, len(stayed))
		}
	}
}

func testTokens(f *fixture) {
	f.fill()
	var token string
	f.view(func(tx *catalog.Tx) (err error) {
		_, token, err = tx.Assets("acc1", catalog.Query{Top: 2})
		return err
	})
	if token == "" {
		f.Fatal("no token for the second page")
	}
	for _, q := range []catalog.Query{
		{After: token, Desc: true}, {After: token, OrderBy: "properties/created"},
		{After: "x"}, {After: "!"}, {After: token + "="}, {After: "bnVsbA"},
	} {
		if _, err := f.list("assets", "", q); ams.CodeOf(err) != ams.Invalid {
			f.Errorf("%+v: %v, want Invalid", q, err)
		}
	}
}
