package packager

import (
	"encoding/hex"
	"fmt"
	"math/bits"
	"strings"

	"github.com/openams/openams/packager/mp4"
)

// codecOf returns the RFC 6381 name of the track's codec in lower case, or why
// the track cannot be streamed.
func codecOf(t *mp4.Track) (string, error) {
	c := t.Config
	short := fmt.Errorf("the %s configuration is missing or too short", t.Codec)
	switch t.Codec {
	case "avc1", "avc3":
		if len(c) < 7 {
			return "", short
		}
		return t.Codec + "." + hex.EncodeToString(c[1:4]), nil
	case "hvc1", "hev1":
		if len(c) < 23 {
			return "", short
		}
		return t.Codec + "." + hevcProfile(c), nil
	case "av01":
		if len(c) < 4 {
			return "", short
		}
		tier := "m"
		if c[2]&0x80 != 0 {
			tier = "h"
		}
		depth := 8
		if c[2]&0x40 != 0 {
			depth = 10
			if c[2]&0x20 != 0 {
				depth = 12
			}
		}
		return fmt.Sprintf("av01.%d.%02d%s.%02d", c[1]>>5, c[1]&31, tier, depth), nil
	case "mp4a":
		if len(c) < 2 {
			return "", fmt.Errorf("it is mp4a without an AudioSpecificConfig, so no AAC")
		}
		return fmt.Sprintf("mp4a.40.%d", audioObjectType(c)), nil
	case "ac-3", "ec-3":
		if len(c) < 3 && t.Codec == "ac-3" {
			return "", short
		}
		return t.Codec, nil
	case "encv", "enca":
		return "", fmt.Errorf("it is encrypted already")
	}
	return "", fmt.Errorf("%s codec %q is not supported", t.Kind, t.Codec)
}

// audioObjectType is the object type that players need to know: 5 or 29 if SBR
// or PS is signalled explicitly, be it in front or behind the AAC-LC part
// (ISO/IEC 14496-3 1.6.5).
func audioObjectType(asc []byte) int {
	bit := func(at, n int) int {
		v := 0
		for i := at; i < at+n; i++ {
			v <<= 1
			if i/8 < len(asc) {
				v |= int(asc[i/8]>>(7-i%8)) & 1
			}
		}
		return v
	}
	aot, at := bit(0, 5), 5
	if aot == 31 {
		aot, at = 32+bit(5, 6), 11
	}
	if aot != 2 {
		return aot
	}
	if bit(at, 4) == 15 {
		at += 24
	}
	at += 4 + 4 + 3 // frequency, channels, GASpecificConfig of three flags
	if at+16 <= len(asc)*8 && bit(at, 11) == 0x2b7 && bit(at+11, 5) == 5 && bit(at+16, 1) == 1 {
		return 5
	}
	return aot
}

// hevcProfile is the part of an HEVC codec name after the dot
// (ISO/IEC 14496-15 E.3).
func hevcProfile(c []byte) string {
	var b strings.Builder
	if space := c[1] >> 6; space > 0 {
		b.WriteByte("ABC"[space-1])
	}
	compat := uint32(c[2])<<24 | uint32(c[3])<<16 | uint32(c[4])<<8 | uint32(c[5])
	tier := "L"
	if c[1]&0x20 != 0 {
		tier = "H"
	}
	fmt.Fprintf(&b, "%d.%x.%s%d", c[1]&31, bits.Reverse32(compat), tier, c[12])
	last := 11
	for last >= 6 && c[last] == 0 {
		last--
	}
	for _, constraint := range c[6 : last+1] {
		fmt.Fprintf(&b, ".%x", constraint)
	}
	return b.String()
}

// codecName is the word that AMS's encoder used in track names.
func codecName(fourCC string) string {
	switch fourCC {
	case "mp4a":
		return "aac"
	case "ac-3":
		return "ac3"
	case "ec-3":
		return "eac3"
	}
	return safeName(strings.TrimSpace(fourCC))
}
