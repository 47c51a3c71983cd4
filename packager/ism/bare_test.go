package ism

import (
	"slices"
	"testing"
)

func TestBare(t *testing.T) {
	files := []string{"film_720p.mp4", "film.MP4", "film-audio.m4a", "filmstar.mp4", "film2.mp4", "film.vtt", "film_1.mpi", "other.mov"}
	for _, tt := range []struct {
		name  string
		files []string
		want  []string
	}{
		{"film.ism", files, []string{"film-audio.m4a", "film.MP4", "film_720p.mp4"}},
		{"FILM.ism", files, []string{"film-audio.m4a", "film.MP4", "film_720p.mp4"}},
		{"other.isml", files, []string{"other.mov"}},
		{"film_720p.ism", files, []string{"film_720p.mp4"}},
		{"none.ism", files, nil},
		{".ism", files, nil},
		{"film.ism", append(files, "x.ism"), nil},
	} {
		if got := Bare(tt.name, tt.files); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
