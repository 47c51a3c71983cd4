package packager_test

import (
	"testing"

	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/mp4"
)

// The asset lasts 13 s in fragments of 6, 6 and 1 s.
func TestCut(t *testing.T) {
	const second = packager.Timescale
	files := load(t, "ladder/v1.mp4", "ladder/v2.mp4", "ladder/a.mp4")
	p, err := build(t, `<video src="v1.mp4"/><video src="v2.mp4"/><audio src="a.mp4"/>`, files)
	if err != nil {
		t.Fatal(err)
	}
	live := *p
	live.Live = true
	for _, tt := range []struct {
		name     string
		p        *packager.Presentation
		cut      packager.Cut
		per      int
		skip, n  int // of video
		live     bool
		refused  packager.Code
		duration uint64
	}{
		{name: "all", p: p, n: 3, per: 1},
		{name: "whole segments of the format", p: p, cut: packager.Cut{Start: 7 * second, End: 8 * second}, per: 2, n: 2, duration: 12 * second},
		{name: "recorded media have no window", p: p, cut: packager.Cut{Window: second, Backoff: 5 * second}, per: 1, n: 3},
		{name: "the end of live media is not told", p: &live, cut: packager.Cut{End: 6 * second}, per: 1, n: 3, live: true},
		{name: "unless forced", p: &live, cut: packager.Cut{End: 6 * second, ForceEnd: true}, per: 1, n: 1, duration: 6 * second},
		{name: "an end to come", p: &live, cut: packager.Cut{End: 60 * second, ForceEnd: true}, per: 1, n: 3, live: true},
		{name: "window", p: &live, cut: packager.Cut{Window: 2 * second}, per: 1, skip: 1, n: 2, live: true},
		{name: "backoff", p: &live, cut: packager.Cut{Backoff: 2 * second}, per: 1, n: 2, live: true},
		{name: "both", p: &live, cut: packager.Cut{Window: 4 * second, Backoff: 2 * second}, per: 1, skip: 1, n: 1, live: true},
		{name: "no window left", p: &live, cut: packager.Cut{Window: 2 * second, Backoff: 2 * second}, per: 1, refused: packager.FilterBackoffOverWindow},
		{name: "nothing left", p: &live, cut: packager.Cut{Backoff: 20 * second}, per: 1, refused: packager.FilterBackoffOverDVR},
		{name: "empty", p: p, cut: packager.Cut{Start: 5, End: 5}, per: 1, refused: packager.FilterRangeInvalid},
		{name: "later", p: p, cut: packager.Cut{Start: 20 * second}, per: 1, refused: packager.FilterRemovedAll},
		{name: "no track", p: p, cut: packager.Cut{Keep: func(*packager.Rendition) bool { return false }}, per: 1, refused: packager.FilterRemovedAll},
	} {
		got, err := tt.p.Cut(tt.cut, tt.per)
		if packager.CodeOf(err) != tt.refused {
			t.Errorf("%s: %v", tt.name, err)
		}
		if err != nil {
			continue
		}
		r := got.Of(mp4.Video)[0].Renditions[1]
		if r.Skip != tt.skip || len(r.Fragments) != tt.n || got.Live != tt.live || tt.duration != 0 && got.Duration != tt.duration {
			t.Errorf("%s: skips %d, has %d, live %t, lasts %d", tt.name, r.Skip, len(r.Fragments), got.Live, got.Duration)
		}
		whole := p.Of(mp4.Video)[0].Renditions[1]
		for k := range r.Fragments {
			a, _ := r.MP4Size(k, true)
			if b, _ := whole.MP4Size(tt.skip+k, true); a != b {
				t.Errorf("%s: fragment %d has %d bytes, in the whole %d", tt.name, k, a, b)
			}
		}
	}

	// A window that moved on.
	later, err := p.Cut(packager.Cut{Start: 6 * second}, 1)
	if err != nil {
		t.Fatal(err)
	}
	later.Live = true
	if _, err := later.Cut(packager.Cut{Start: second, End: 12 * second, ForceEnd: true}, 1); packager.CodeOf(err) != packager.FilterForceEndOutside {
		t.Errorf("a forced range before the window: %v", err)
	}
}
