package origin

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/bits"
	"net/url"
	"slices"
	"strings"
	"sync"

	"golang.org/x/text/language"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/packager"
)

// A view is what the filters of a request leave of a presentation: those of its
// locator, which no URL can undo, and those that its URL names. Segments know
// no filters, so that all views share them.
type view struct {
	packager.Cut
	id    string // names the filters in all that they say
	names string // those of the URL, as child URLs repeat them
}

// found keeps the filters that one resolution of a locator has met.
type found struct {
	mu sync.Mutex
	of map[string]*ams.ManifestFilter
}

// filter finds a filter of the asset or its account.
func (h *Handler) filter(ctx context.Context, p *published, name string) (*ams.ManifestFilter, error) {
	p.filters.mu.Lock()
	f := p.filters.of[name]
	p.filters.mu.Unlock()
	if f != nil {
		return f, nil
	}
	f, err := h.c.Locators.FindFilter(ctx, p.Asset, name)
	if ams.CodeOf(err) == ams.NotFound {
		return nil, errorf(FilterNotFound, "there is no filter %q", name)
	}
	if err != nil {
		return nil, err
	}
	p.filters.mu.Lock()
	defer p.filters.mu.Unlock()
	if p.filters.of == nil {
		p.filters.of = map[string]*ams.ManifestFilter{}
	}
	if len(p.filters.of) < 1000 { // spellings of a name may be many
		p.filters.of[name] = f
	}
	return f, nil
}

// view returns what a manifest or playlist shows, nil for all there is.
func (h *Handler) view(ctx context.Context, p *published, q *Request) (*view, error) {
	if q.Kind != Manifest && q.Kind != Playlist || len(p.Locator.Filters)+len(q.Filters) == 0 {
		return nil, nil
	}
	var list []*ams.ManifestFilter
	for _, name := range slices.Concat(p.Locator.Filters, q.Filters) {
		f, err := h.filter(ctx, p, name)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(list, func(g *ams.ManifestFilter) bool { return g.Asset == f.Asset && g.Name == f.Name }) {
			list = append(list, f)
		}
	}
	if len(list) > maxFilters {
		return nil, errorf(TooManyFilters, "%d filters apply; at most %d may", len(list), maxFilters)
	}
	v := new(view)
	if err := v.combine(list); err != nil {
		return nil, err
	}
	sum := sha256.New()
	for _, f := range list {
		if err := json.NewEncoder(sum).Encode([]any{f.Time, f.FirstQuality, f.Tracks}); err != nil {
			return nil, err
		}
	}
	v.id = fmt.Sprintf("%x", sum.Sum(nil)[:16])
	var names []string
	for _, name := range q.Filters {
		names = append(names, url.PathEscape(name))
	}
	v.names = strings.Join(names, ";")
	return v, nil
}

// combine makes v show what all filters show (documented).
func (v *view) combine(list []*ams.ManifestFilter) error {
	for _, f := range list {
		if f.FirstQuality != 0 {
			if v.FirstQuality != 0 {
				return errorf(SeveralFirstQualities, "more than one of the filters has a firstQuality")
			}
			v.FirstQuality = f.FirstQuality
		}
		if r := f.Time; r != nil {
			at := func(t *int64) uint64 { return filterTicks(t, r.Timescale) }
			v.Start = max(v.Start, at(r.Start))
			v.End = least(v.End, at(r.End))
			v.Window = least(v.Window, at(r.Window))
			v.Backoff = max(v.Backoff, at(r.Backoff))
			v.ForceEnd = v.ForceEnd || r.ForceEndTime != nil && *r.ForceEndTime
		}
	}
	v.Keep = func(r *packager.Rendition) bool {
		return !slices.ContainsFunc(list, func(f *ams.ManifestFilter) bool { return !keeps(f, r) })
	}
	return nil
}

// least is the lesser of two bounds, of which 0 is none.
func least(a, b uint64) uint64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// filterTicks converts a time of a filter to packager.Timescale. Nothing and
// ams.Unlimited are 0.
func filterTicks(t, scale *int64) uint64 {
	if t == nil || *t <= 0 || *t == ams.Unlimited {
		return 0
	}
	per := uint64(ams.DefaultTimescale)
	if scale != nil && *scale > 0 {
		per = uint64(*scale)
	}
	hi, lo := bits.Mul64(uint64(*t), packager.Timescale)
	if hi >= per {
		return 1<<64 - 1
	}
	n, _ := bits.Div64(hi, lo, per)
	return n
}

// keeps reports whether f leaves r in manifests: one of its selections holds,
// with all conditions.
func keeps(f *ams.ManifestFilter, r *packager.Rendition) bool {
	return len(f.Tracks) == 0 || slices.ContainsFunc(f.Tracks, func(s ams.TrackSelection) bool {
		return !slices.ContainsFunc(s.Conditions, func(c ams.FilterCondition) bool {
			return is(c, r) == (c.Operation == ams.IsNotEqual)
		})
	})
}

// unboundBitrate is how clients write a range of bitrates without an end
// (documented).
const unboundBitrate = 1<<31 - 1

// is reports whether the property of r has the value that c names.
func is(c ams.FilterCondition, r *packager.Rendition) bool {
	switch c.Property {
	case ams.TrackType:
		return strings.EqualFold(c.Value, r.Track.Kind.String())
	case ams.TrackName:
		return strings.EqualFold(c.Value, r.Track.Name)
	case ams.TrackLanguage:
		return sameLanguage(c.Value, r.Track.Language)
	case ams.TrackFourCC:
		return isFourCC(c.Value, r)
	case ams.TrackBitrate:
		from, to, err := ams.ParseBitrates(c.Value)
		return err == nil && r.Bitrate >= from && (r.Bitrate <= to || to == unboundBitrate)
	}
	return false
}

// sameLanguage compares tags by what they mean: server manifests say "eng"
// where filters say "en". No language is "und".
func sameLanguage(a, b string) bool {
	if strings.EqualFold(a, b) {
		return true
	}
	return canonical(a) == canonical(b)
}

func canonical(s string) string {
	if s == "" {
		s = "und"
	}
	tag, err := language.Parse(s)
	if err != nil {
		return strings.ToLower(s)
	}
	return tag.String()
}
