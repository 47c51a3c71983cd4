package restv3

import (
	"net/http"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/restv3/arm"
)

// Account filters and asset filters differ in their address alone: the asset
// of the path is empty for those of the account.

type filterProperties struct {
	Time         *ams.TimeRange       `json:"presentationTimeRange,omitempty"`
	FirstQuality *firstQuality        `json:"firstQuality,omitempty"`
	Tracks       []ams.TrackSelection `json:"tracks"`
}

type firstQuality struct {
	Bitrate int64 `json:"bitrate"`
}

func filterBody(acc *account.Account, f *ams.ManifestFilter) *arm.Resource {
	p := filterProperties{Time: f.Time, Tracks: f.Tracks}
	if f.FirstQuality != 0 {
		p.FirstQuality = &firstQuality{f.FirstQuality}
	}
	if p.Tracks == nil {
		p.Tracks = []ams.TrackSelection{}
	}
	n := noun{"/accountFilters/", "/accountFilters"}
	if f.Asset != "" {
		n = noun{"/assets/" + f.Asset + "/assetFilters/", "/assets/assetFilters"}
	}
	return entity(acc, n, f.Name, p, stamps{f.CreatedBy, f.LastModifiedBy, f.Created, f.LastModified})
}

// filterWrite is the body of a PUT or PATCH.
type filterWrite struct {
	Properties struct {
		Time         optional[*ams.TimeRange]       `json:"presentationTimeRange"`
		FirstQuality optional[*firstQuality]        `json:"firstQuality"`
		Tracks       optional[[]ams.TrackSelection] `json:"tracks"`
	} `json:"properties"`
}

func (b *filterWrite) apply(f *ams.ManifestFilter) error {
	p := &b.Properties
	p.Time.into(&f.Time)
	p.Tracks.into(&f.Tracks)
	if p.FirstQuality.given {
		f.FirstQuality = 0
		if q := p.FirstQuality.value; q != nil {
			if q.Bitrate <= 0 {
				return ams.Invalidf("properties.firstQuality.bitrate", "The bitrate of firstQuality must be positive.")
			}
			f.FirstQuality = q.Bitrate
		}
	}
	return nil
}

// filterModel is the model of the path's kind of filter.
func filterModel(r *http.Request) string {
	if r.PathValue("assetName") != "" {
		return "AssetFilter"
	}
	return "AccountFilter"
}

func putFilter(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	var body filterWrite
	if err := readModel(r, filterModel(r), &body); err != nil {
		return err
	}
	f := ams.ManifestFilter{Name: r.PathValue("filterName")}
	if err := body.apply(&f); err != nil {
		return err
	}
	made, isNew, err := acc.CreateOrUpdateFilter(r.Context(), r.PathValue("assetName"), f)
	if err != nil {
		return err
	}
	return created(w, r, isNew, filterBody(acc, made))
}

func patchFilter(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	var body filterWrite
	if err := readPatch(r, filterModel(r), &body); err != nil {
		return err
	}
	f, err := acc.UpdateFilter(r.Context(), r.PathValue("assetName"), r.PathValue("filterName"), body.apply)
	if err != nil {
		return err
	}
	return arm.WriteResource(w, r, http.StatusOK, filterBody(acc, f))
}

func getFilter(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	f, err := acc.Filter(r.Context(), r.PathValue("assetName"), r.PathValue("filterName"))
	if err != nil {
		return err
	}
	return arm.WriteResource(w, r, http.StatusOK, filterBody(acc, f))
}

func deleteFilter(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	existed, err := acc.DeleteFilter(r.Context(), r.PathValue("assetName"), r.PathValue("filterName"))
	return deleted(w, existed, err)
}

func listFilters(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	p, err := pageOf(r)
	if err != nil {
		return err
	}
	fs, next, err := acc.Filters(r.Context(), r.PathValue("assetName"), p.Query)
	if err != nil {
		return err
	}
	return writeList(w, r, p, fs, next, func(f *ams.ManifestFilter) *arm.Resource { return filterBody(acc, f) })
}
