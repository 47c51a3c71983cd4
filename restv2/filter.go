package restv2

import (
	"context"
	"net/url"
	"strings"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/restv2/odata"
)

// filters serves the Filters set: those of the account, which are few.
type filters struct{}

func (filters) Get(ctx context.Context, key string) (odata.Entity, error) {
	f, err := of(ctx).Filter(ctx, "", key)
	if err != nil {
		return nil, err
	}
	return filterEntity(f), nil
}

func (filters) Query(ctx context.Context, q *odata.Query) (*odata.Page, error) {
	var all []odata.Entity
	var page catalog.Query
	for {
		fs, next, err := of(ctx).Filters(ctx, "", page)
		if err != nil {
			return nil, err
		}
		for _, f := range fs {
			all = append(all, filterEntity(f))
		}
		if page.After = next; next == "" {
			return q.Apply(all)
		}
	}
}

func (filters) Create(ctx context.Context, in *odata.Insert) (*odata.Result, error) {
	made, err := createFilter(ctx, "", in)
	if err != nil {
		return nil, err
	}
	return &odata.Result{Entity: filterEntity(made)}, nil
}

// createFilter makes a filter of the asset, or of the account.
func createFilter(ctx context.Context, asset string, in *odata.Insert) (*ams.ManifestFilter, error) {
	f := ams.ManifestFilter{}
	f.Name, _ = in.Values["Name"].(string)
	applyFilter(&f, in.Values)
	return of(ctx).CreateFilter(ctx, asset, f)
}

func (filters) Update(ctx context.Context, key string, change odata.Entity) (*odata.Result, error) {
	_, err := of(ctx).UpdateFilter(ctx, "", key, func(f *ams.ManifestFilter) error {
		applyFilter(f, change)
		return nil
	})
	return nil, err
}

func (filters) Delete(ctx context.Context, key string, _ url.Values) (*odata.Result, error) {
	existed, err := of(ctx).DeleteFilter(ctx, "", key)
	if err == nil && !existed {
		err = odata.NotFound("Filters")
	}
	return nil, err
}

// assetFilters serves the AssetFilters set.
type assetFilters struct{}

// assetFilter finds the asset and the name that the key of a filter has.
func assetFilter(ctx context.Context, key string) (a *ams.Asset, name string, err error) {
	id, name, ok := strings.Cut(key, ams.FilterIDMark)
	if !ok {
		return nil, "", odata.NotFound("AssetFilters")
	}
	a, err = asset(ctx, id)
	return a, name, err
}

func (assetFilters) Get(ctx context.Context, key string) (odata.Entity, error) {
	a, name, err := assetFilter(ctx, key)
	if err != nil {
		return nil, err
	}
	f, err := of(ctx).Filter(ctx, a.Name, name)
	if err != nil {
		return nil, err
	}
	return assetFilterEntity(f, a.ID), nil
}

func (assetFilters) Query(ctx context.Context, q *odata.Query) (*odata.Page, error) {
	found, assets, err := of(ctx).FindAssetFilters(ctx, search(q))
	return page(found, err, func(f *ams.ManifestFilter) odata.Entity { return assetFilterEntity(f, assets[f.Asset]) })
}

func (assetFilters) Create(ctx context.Context, in *odata.Insert) (*odata.Result, error) {
	parent, _ := in.Values["ParentAssetId"].(string)
	a, err := asset(ctx, parent)
	if err != nil {
		return nil, err
	}
	made, err := createFilter(ctx, a.Name, in)
	if err != nil {
		return nil, err
	}
	return &odata.Result{Entity: assetFilterEntity(made, a.ID)}, nil
}

func (assetFilters) Update(ctx context.Context, key string, change odata.Entity) (*odata.Result, error) {
	a, name, err := assetFilter(ctx, key)
	if err != nil {
		return nil, err
	}
	_, err = of(ctx).UpdateFilter(ctx, a.Name, name, func(f *ams.ManifestFilter) error {
		applyFilter(f, change)
		return nil
	})
	return nil, err
}

func (assetFilters) Delete(ctx context.Context, key string, _ url.Values) (*odata.Result, error) {
	a, name, err := assetFilter(ctx, key)
	if err != nil {
		return nil, err
	}
	existed, err := of(ctx).DeleteFilter(ctx, a.Name, name)
	if err == nil && !existed {
		err = odata.NotFound("AssetFilters")
	}
	return nil, err
}

func assetFilterEntity(f *ams.ManifestFilter, asset string) odata.Entity {
	out := filterEntity(f)
	out["ParentAssetId"] = assetID + asset
	out["Id"] = assetID + asset + ams.FilterIDMark + f.Name
	return out
}

func filterEntity(f *ams.ManifestFilter) odata.Entity {
	out := odata.Entity{"Name": f.Name}
	if t := f.Time; t != nil {
		// v2 spells out what v3 leaves open (documented).
		out["PresentationTimeRange"] = odata.Entity{
			"StartTimestamp": or(t.Start, 0), "EndTimestamp": or(t.End, ams.Unlimited),
			"PresentationWindowDuration": or(t.Window, ams.Unlimited), "LiveBackoffDuration": or(t.Backoff, 0),
			"Timescale": or(t.Timescale, ams.DefaultTimescale), "ForceEndTimestamp": or(t.ForceEndTime, false),
		}
	}
	tracks := []any{}
	for _, s := range f.Tracks {
		conditions := []any{}
		for _, c := range s.Conditions {
			conditions = append(conditions, odata.Entity{"Property": string(c.Property), "Value": c.Value, "Operator": string(c.Operation)})
		}
		tracks = append(tracks, odata.Entity{"PropertyConditions": conditions})
	}
	out["Tracks"] = tracks
	if f.FirstQuality > 0 {
		out["FirstQuality"] = odata.Entity{"Bitrate": f.FirstQuality}
	}
	return out
}

func or[T any](p *T, otherwise T) T {
	if p != nil {
		return *p
	}
	return otherwise
}

// applyFilter writes what v names into f.
func applyFilter(f *ams.ManifestFilter, v odata.Entity) {
	if value, ok := v["PresentationTimeRange"]; ok {
		f.Time = nil
		if t, ok := value.(odata.Entity); ok {
			f.Time = &ams.TimeRange{
				Start: pointer[int64](t["StartTimestamp"]), End: pointer[int64](t["EndTimestamp"]),
				Window: pointer[int64](t["PresentationWindowDuration"]), Backoff: pointer[int64](t["LiveBackoffDuration"]),
				Timescale: pointer[int64](t["Timescale"]), ForceEndTime: pointer[bool](t["ForceEndTimestamp"]),
			}
		}
	}
	if value, ok := v["FirstQuality"]; ok {
		f.FirstQuality = 0
		if q, ok := value.(odata.Entity); ok {
			f.FirstQuality, _ = q["Bitrate"].(int64)
		}
	}
	if value, ok := v["Tracks"]; ok {
		f.Tracks = nil
		items, _ := value.([]any)
		for _, item := range items {
			var s ams.TrackSelection
			conditions, _ := item.(odata.Entity)["PropertyConditions"].([]any)
			for _, condition := range conditions {
				c := condition.(odata.Entity)
				property, _ := c["Property"].(string)
				text, _ := c["Value"].(string)
				operator, _ := c["Operator"].(string)
				s.Conditions = append(s.Conditions, ams.FilterCondition{
					Property: ams.TrackProperty(property), Value: text, Operation: ams.Comparison(operator)})
			}
			f.Tracks = append(f.Tracks, s)
		}
	}
}
