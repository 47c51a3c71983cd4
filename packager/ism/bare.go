package ism

import (
	"path"
	"slices"
	"strings"
	"unicode"
)

// Bare returns the files that play together under the name of a server manifest
// that an asset does not have, as "film.ism": the MP4s of that name, and those
// whose names go on from it behind something that is no letter and no digit, as
// film.mp4, film_720p.mp4, film-audio.m4a. It is nil in an asset with any server
// manifest: what that leaves out was left out on purpose.
func Bare(name string, files []string) []string {
	stem := strings.ToLower(strings.TrimSuffix(name, path.Ext(name)))
	var list []string
	for _, f := range files {
		low := strings.ToLower(f)
		switch path.Ext(low) {
		case ".ism", ".isml":
			return nil
		case ".mp4", ".m4v", ".m4a", ".mov", ".cmfv", ".cmfa", ".ismv", ".isma":
		default:
			continue
		}
		rest, ok := strings.CutPrefix(strings.TrimSuffix(low, path.Ext(low)), stem)
		if !ok || stem == "" {
			continue
		}
		if r := []rune(rest); len(r) == 0 || !unicode.IsLetter(r[0]) && !unicode.IsDigit(r[0]) {
			list = append(list, f)
		}
	}
	slices.Sort(list)
	return list
}
