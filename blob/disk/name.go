package disk

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxName bounds the escaped name. File systems allow 255 bytes; a version
// mark must fit too.
const maxName = 200

// fileName is a file name that shows people which blob it holds. It need not
// be unique, and never leads out of its directory. "~" is kept for versions.
func fileName(blob string) string {
	stem, _, _ := strings.Cut(strings.ToUpper(blob), ".")
	var b strings.Builder
	for i, r := range blob {
		_, n := utf8.DecodeRuneInString(blob[i:])
		switch {
		case r == utf8.RuneError && n == 1, // not UTF-8
			r < ' ', r == 0x7f, strings.ContainsRune(`%/\~<>:"|?*`, r),
			i == 0 && (r == '.' || r == '-' || r == ' ' || device(stem)),
			i+n == len(blob) && (r == '.' || r == ' '),
			r > 0x7f && !unicode.IsPrint(r):
			for _, c := range []byte(blob[i : i+n]) {
				fmt.Fprintf(&b, "%%%02X", c)
			}
		default:
			b.WriteRune(r)
		}
	}
	return shorten(b.String())
}

// shorten cuts the middle of a name that is too long and keeps its extension.
func shorten(name string) string {
	if len(name) <= maxName {
		return name
	}
	_, ext := split(name)
	head := name[:maxName-len(ext)]
	for !utf8.ValidString(head) {
		head = head[:len(head)-1]
	}
	return strings.TrimRight(head, ". ") + ext
}

// version marks a name whose plain form is taken.
func version(name string, try int) string {
	stem, ext := split(name)
	if try < 8 {
		return fmt.Sprintf("%s~%d%s", stem, try+1, ext)
	}
	return stem + "~" + random() + ext
}

// split cuts a short extension off a name.
func split(name string) (stem, ext string) {
	if i := strings.LastIndexByte(name, '.'); i > 0 && len(name)-i <= 16 {
		return name[:i], name[i:]
	}
	return name, ""
}

// device reports whether an upper-case stem names a device on Windows, where
// people may mount or copy the folder.
func device(stem string) bool {
	switch stem {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return true
	}
	return len(stem) == 4 && (stem[:3] == "COM" || stem[:3] == "LPT") && stem[3] >= '0' && stem[3] <= '9'
}

func random() string {
	var b [12]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
