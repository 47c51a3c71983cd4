package protect

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"strings"
	"unicode/utf16"
)

// System ids of pssh boxes and manifests.
var (
	playReadyID = [16]byte{0x9a, 0x04, 0xf0, 0x79, 0x98, 0x40, 0x42, 0x86, 0xab, 0x92, 0xe6, 0x5b, 0xe0, 0x88, 0x5f, 0x95}
	widevineID  = [16]byte{0xed, 0xef, 0x8b, 0xa9, 0x79, 0xd6, 0x4a, 0xce, 0xa3, 0xc8, 0x27, 0xdc, 0xd5, 0x1d, 0x21, 0xed}
	clearKeyID  = [16]byte{0xe2, 0x71, 0x9d, 0x58, 0xa9, 0x85, 0xb3, 0xc9, 0x78, 0x1a, 0xb0, 0x30, 0xaf, 0x78, 0xd3, 0x0e}
	commonID    = [16]byte{0x10, 0x77, 0xef, 0xec, 0xc0, 0xb2, 0x4d, 0x02, 0xac, 0xe3, 0x3c, 0x1e, 0x52, 0xe2, 0xfb, 0x4b}
)

// Systems says how players get keys, by functions from key id to URL. A system
// whose function is nil is not offered; one whose function returns "" is offered
// without a URL, which the player must then know.
type Systems struct {
	Key       func(KeyID) string // of the key itself; AES128 needs it, others ignore it
	PlayReady func(KeyID) string // licence acquisition URL
	Widevine  func(KeyID) string // licence URL
	ClearKey  func(KeyID) string // W3C ClearKey licence URL
	FairPlay  func(KeyID) string // skd: URI; CBCS only

	// PlayReadyAttributes is XML for CUSTOMATTRIBUTES of the PlayReady header,
	// the caller's to escape.
	PlayReadyAttributes string

	// PlayReadyService is the DS_ID of the PlayReady header, a GUID in base64;
	// "" for none.
	PlayReadyService string
}

// commonPSSH is the pssh that any system may read: a list of key ids (W3C EME
// Common PSSH Box).
func commonPSSH(ids ...KeyID) []byte { return pssh(commonID, ids, nil) }

// widevinePSSH holds a WidevinePsshData message.
func (p *Protection) widevinePSSH(key *Key) []byte {
	data := append([]byte{2<<3 | 2, 16}, key.id[:]...) // key_ids
	// protection_scheme is left out for cenc, as shaka-packager does: it is
	// the default and old clients know no other.
	if p.Scheme == CBCS {
		data = append(data, 9<<3)
		data = binary.AppendUvarint(data, uint64(binary.BigEndian.Uint32([]byte("cbcs"))))
	}
	return pssh(widevineID, nil, data)
}

func (p *Protection) playReadyPSSH(key *Key) []byte {
	return pssh(playReadyID, nil, p.PlayReadyObject(key))
}

// PlayReadyObject returns the PlayReady Object with a WRMHEADER for the keys, of
// which there must be one at least; the licence URL is that of the first.
func (p *Protection) PlayReadyObject(keys ...*Key) []byte {
	text := utf16.Encode([]rune(p.playReadyHeader(keys)))
	n := len(text) * 2
	b := binary.LittleEndian.AppendUint32(nil, uint32(6+4+n))
	b = binary.LittleEndian.AppendUint16(b, 1) // records
	b = binary.LittleEndian.AppendUint16(b, 1) // type: rights management header
	b = binary.LittleEndian.AppendUint16(b, uint16(n))
	for _, c := range text {
		b = binary.LittleEndian.AppendUint16(b, c)
	}
	return b
}

// playReadyHeader returns a WRMHEADER: of version 4.0, which every client reads,
// for one key of AES-CTR; of 4.3, which alone has AES-CBC, for anything else.
func (p *Protection) playReadyHeader(keys []*Key) string {
	var b strings.Builder
	url := ""
	if p.Systems.PlayReady != nil {
		url = p.Systems.PlayReady(keys[0].id)
	}
	version := "4.0.0.0"
	if p.Scheme == CBCS || len(keys) > 1 {
		version = "4.3.0.0"
	}
	b.WriteString(`<WRMHEADER xmlns="http://schemas.microsoft.com/DRM/2007/03/PlayReadyHeader" version="` + version + `"><DATA>`)
	if version == "4.0.0.0" {
		k := keys[0]
		b.WriteString(`<PROTECTINFO><KEYLEN>16</KEYLEN><ALGID>AESCTR</ALGID></PROTECTINFO><KID>` +
			base64.StdEncoding.EncodeToString(k.id.littleEndian()) + `</KID><CHECKSUM>` + k.checksum() + `</CHECKSUM>`)
	} else {
		b.WriteString(`<PROTECTINFO><KIDS>`)
		for _, k := range keys {
			kid := base64.StdEncoding.EncodeToString(k.id.littleEndian())
			if p.Scheme == CBCS {
				// A checksum is defined for AESCTR alone.
				b.WriteString(`<KID ALGID="AESCBC" VALUE="` + kid + `"></KID>`)
			} else {
				b.WriteString(`<KID ALGID="AESCTR" CHECKSUM="` + k.checksum() + `" VALUE="` + kid + `"></KID>`)
			}
		}
		b.WriteString(`</KIDS></PROTECTINFO>`)
	}
	if url != "" {
		b.WriteString(`<LA_URL>` + escape(url) + `</LA_URL>`)
	}
	if p.Systems.PlayReadyService != "" {
		b.WriteString(`<DS_ID>` + escape(p.Systems.PlayReadyService) + `</DS_ID>`)
	}
	if p.Systems.PlayReadyAttributes != "" {
		b.WriteString(`<CUSTOMATTRIBUTES>` + p.Systems.PlayReadyAttributes + `</CUSTOMATTRIBUTES>`)
	}
	b.WriteString(`</DATA></WRMHEADER>`)
	return b.String()
}

func escape(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a bytes.Buffer never fails
	return b.String()
}
