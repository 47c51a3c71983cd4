package catalogtest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

// A page holds about 8 MiB at most, and always an entity, whatever is large in
// it; Whole pages and counts do not care.
func testLargePages(f *fixture) {
	text := strings.Repeat("x", 3<<20)
	f.update(func(tx *catalog.Tx) error {
		for i := range 5 {
			name := fmt.Sprint("t", i)
			asset, t, e := f.asset("acc1", name), f.transform(name), f.endpoint(name)
			asset.Description, t.Description, e.Description, e.Settings.CustomHosts = text, text, text, nil
			if i == 4 {
				asset.Description = strings.Repeat("x", 10<<20)
			}
			e.HostName = name + ".example.org"
			job := f.job("t1", name, ams.Task{})
			job.Tasks[0].Preset.Body = []byte(`{"x":"` + text + `"}`)
			if err := tx.InsertAsset(asset); err != nil {
				return err
			}
			if err := tx.InsertTransform(t); err != nil {
				return err
			}
			if err := tx.InsertEndpoint(e); err != nil {
				return err
			}
			if i == 0 {
				continue
			}
			if err := tx.InsertJob(job); err != nil {
				return err
			}
		}
		return nil
	})
	for _, tt := range []struct {
		noun string
		q    catalog.Query
		want []int // entities on each page
	}{
		{"assets", catalog.Query{}, []int{2, 2, 1}},
		{"assets", catalog.Query{Desc: true}, []int{1, 2, 2}},
		{"assets", catalog.Query{OrderBy: "created"}, []int{2, 2, 1}},
		{"assets", catalog.Query{Top: 1}, []int{1, 1, 1, 1, 1}},
		{"assets", catalog.Query{Whole: true}, []int{5}},
		{"transforms", catalog.Query{}, []int{2, 2, 1}},
		{"endpoints", catalog.Query{}, []int{2, 2, 1}},
		{"jobs", catalog.Query{}, []int{2, 2}}, // large by their tasks
	} {
		var sizes []int
		var names []string
		for q := tt.q; ; {
			var page []string
			f.view(func(tx *catalog.Tx) (err error) {
				page, q.After, err = listers[tt.noun](tx, q)
				return err
			})
			names, sizes = append(names, page...), append(sizes, len(page))
			if q.After == "" || len(sizes) > 10 {
				break
			}
		}
		slices.Sort(names)
		if !slices.Equal(sizes, tt.want) || len(slices.Compact(names)) != len(names) {
			f.Errorf("%s, %+v: pages of %d, want %d: %q", tt.noun, tt.q, sizes, tt.want, names)
		}
	}
	f.view(func(tx *catalog.Tx) error {
		for what, count := range map[string]func() (int, error){
			"assets":     func() (int, error) { return tx.CountAssets("acc1") },
			"transforms": func() (int, error) { return tx.CountTransforms("acc1") },
			"endpoints":  func() (int, error) { return tx.CountEndpoints("acc1") },
		} {
			if n, err := count(); err != nil || n != 5 {
				f.Errorf("%d %s, %v", n, what, err)
			}
		}
		return nil
	})
}
