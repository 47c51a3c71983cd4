package protect

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/openams/openams/packager"
)

// Namespaces whose prefixes ContentProtection uses; an MPD declares them.
const Namespaces = `xmlns:cenc="urn:mpeg:cenc:2013" xmlns:mspr="urn:microsoft:playready" xmlns:dashif="https://dashif.org/CPS" xmlns:sea="urn:mpeg:dash:schema:sea:2012"`

const seaScheme = "urn:mpeg:dash:sea:2012"

func guid(id [16]byte) string { return KeyID(id).String() }

// ContentProtection returns the ContentProtection elements of r for an MPD, each
// on a line; "" if r is clear. They belong in the AdaptationSet if all its
// Representations have the same, else in each of these.
func (p *Protection) ContentProtection(r *packager.Rendition) string {
	key := p.key(r)
	if key == nil {
		return ""
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	if p.Scheme == AES128 {
		line(`<ContentProtection schemeIdUri="%s">%s</ContentProtection>`, seaScheme, p.sea(key))
		return b.String()
	}
	encode := base64.StdEncoding.EncodeToString
	line(`<ContentProtection schemeIdUri="urn:mpeg:dash:mp4protection:2011" value="%s" cenc:default_KID="%s"/>`, p.Scheme.fourCC(), key.id)
	if p.Systems.PlayReady != nil {
		line(`<ContentProtection schemeIdUri="urn:uuid:%s" value="MSPR 2.0"><cenc:pssh>%s</cenc:pssh><mspr:pro>%s</mspr:pro></ContentProtection>`,
			guid(playReadyID), encode(p.playReadyPSSH(key)), encode(p.PlayReadyObject(key)))
	}
	if p.Systems.Widevine != nil {
		line(`<ContentProtection schemeIdUri="urn:uuid:%s"><cenc:pssh>%s</cenc:pssh>%s</ContentProtection>`,
			guid(widevineID), encode(p.widevinePSSH(key)), laurl(p.Systems.Widevine(key.id), ""))
	}
	if p.Systems.ClearKey != nil {
		line(`<ContentProtection schemeIdUri="urn:uuid:%s" value="ClearKey1.0">%s</ContentProtection>`,
			guid(clearKeyID), laurl(p.Systems.ClearKey(key.id), ` Lic_type="EME-1.0"`))
		// The common pssh is in init segments alone: dash.js 5 takes one in the
		// manifest for another system, which it gives preference and fails with.
	}
	return b.String()
}

// laurl is the licence URL as in DASH-IF IOP Part 6.
func laurl(url, attributes string) string {
	if url == "" {
		return ""
	}
	return "<dashif:Laurl" + attributes + ">" + escape(url) + "</dashif:Laurl>"
}

// sea is the description of AES128 for DASH and Smooth (ISO/IEC 23009-4), as AMS
// wrote it.
func (p *Protection) sea(key *Key) string {
	return fmt.Sprintf(`<sea:SegmentEncryption schemeIdUri="urn:mpeg:dash:sea:aes128-cbc:2013"/>`+
		`<sea:KeySystem keySystemUri="urn:mpeg:dash:sea:keysys:http:2013"/>`+
		`<sea:CryptoPeriod IV="0x%X" keyUriTemplate="%s"/>`, key.iv, escape(p.keyURL(key)))
}

func (p *Protection) keyURL(key *Key) string {
	if p.Systems.Key == nil {
		return ""
	}
	return p.Systems.Key(key.id)
}

// ProtectionElement returns the Protection element of a Smooth client manifest
// on one line, "" if nothing of pres is encrypted. It stands before the
// StreamIndex elements ([MS-SSTR] 2.2.2).
func (p *Protection) ProtectionElement(pres *packager.Presentation) string {
	var keys []*Key
	for _, t := range pres.Tracks {
		for _, r := range t.Renditions {
			if k := p.key(r); k != nil && !slices.ContainsFunc(keys, func(o *Key) bool { return o.id == k.id }) {
				keys = append(keys, k)
			}
		}
	}
	if len(keys) == 0 {
		return ""
	}
	if p.Scheme == AES128 {
		// There is one for the whole presentation: several keys cannot be told.
		return `<Protection><ProtectionHeader SystemID="B47B251A-2409-4B42-958E-08DBAE7B4EE9">` +
			`<ContentProtection xmlns:sea="urn:mpeg:dash:schema:sea:2012" schemeIdUri="` + seaScheme + `">` + p.sea(keys[0]) +
			`</ContentProtection></ProtectionHeader></Protection>` + "\n"
	}
	return `<Protection><ProtectionHeader SystemID="` + strings.ToUpper(guid(playReadyID)) + `">` +
		base64.StdEncoding.EncodeToString(p.PlayReadyObject(keys...)) + `</ProtectionHeader></Protection>` + "\n"
}

// PlaylistKeys returns the EXT-X-KEY tags of a media playlist of r, each on a
// line; "" if r is clear. They stand after EXT-X-MAP, as the init segment is
// clear (RFC 8216 4.3.2.5).
func (p *Protection) PlaylistKeys(r *packager.Rendition, in packager.Carrier) string {
	key := p.key(r)
	if key == nil {
		return ""
	}
	var b strings.Builder
	if p.Scheme == AES128 {
		fmt.Fprintf(&b, "#EXT-X-KEY:METHOD=AES-128,URI=\"%s\",IV=0x%X\n", quoted(p.keyURL(key)), key.iv)
		return b.String()
	}
	method := "SAMPLE-AES-CTR"
	if p.Scheme == CBCS {
		method = "SAMPLE-AES"
	}
	line := func(format, uri, more string) {
		fmt.Fprintf(&b, "#EXT-X-KEY:METHOD=%s,URI=\"%s\",KEYFORMAT=\"%s\",KEYFORMATVERSIONS=\"1\"%s\n", method, quoted(uri), format, more)
	}
	encode := base64.StdEncoding.EncodeToString
	if p.Systems.FairPlay != nil && p.Scheme == CBCS {
		line("com.apple.streamingkeydelivery", p.Systems.FairPlay(key.id), "")
	}
	if in == packager.TransportStream {
		// No other system knows encrypted samples in transport streams; players
		// that decrypt themselves do.
		if url := p.keyURL(key); url != "" && p.Systems.ClearKey != nil {
			fmt.Fprintf(&b, "#EXT-X-KEY:METHOD=%s,URI=\"%s\",IV=0x%X\n", method, quoted(url), key.iv)
		}
		return b.String()
	}
	if p.Systems.Widevine != nil {
		line("urn:uuid:"+guid(widevineID), "data:text/plain;base64,"+encode(p.widevinePSSH(key)), fmt.Sprintf(",KEYID=0x%X", key.id[:]))
	}
	if p.Systems.PlayReady != nil {
		line("com.microsoft.playready", "data:text/plain;charset=UTF-16;base64,"+encode(p.PlayReadyObject(key)), "")
	}
	if p.Systems.ClearKey != nil {
		// The id itself: hls.js makes the licence request from it.
		line("org.w3.clearkey", "data:text/plain;base64,"+encode(key.id[:]), "")
		// Shaka knows ClearKey in HLS by this line alone. hls.js takes it for
		// its own decryptor, which has no SAMPLE-AES: it must not be there.
		if url := p.keyURL(key); url != "" && p.Scheme != CBCS {
			line("identity", url, fmt.Sprintf(",KEYID=0x%X", key.id[:]))
		}
	}
	return b.String()
}

// quoted makes s fit for a quoted string of a playlist.
func quoted(s string) string {
	return strings.NewReplacer(`"`, "%22", "\r", "", "\n", "").Replace(s)
}
