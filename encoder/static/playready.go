package static

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"net/url"
	"strings"

	"github.com/google/uuid"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/mp4"
	"github.com/openams/openams/packager/protect"
)

// PlayReady makes a Smooth set that is encrypted (ISO/IEC 23001-7, cenc), with
// what PlayReady clients need to ask for a licence.
type PlayReady struct {
	ID         *protect.KeyID  // of the key; nil: one by chance
	Key        *[16]byte       // nil: from Seed
	Seed       []byte          // of 30 bytes at least
	LicenseURL string          // of the licence server
	Formats    map[string]bool // what is encrypted, by FourCC; nil: all
	Attributes string          // XML of CUSTOMATTRIBUTES
	Service    string          // DS_ID, base64
	UUIDBox    bool            // sample information is in the box of PIFF, not in senc
}

func (p *properties) playReady() *PlayReady {
	t := &PlayReady{LicenseURL: p.text("licenseAcquisitionUrl"), UUIDBox: !p.bool("useSencBox", false)}
	p.bool("adjustSubSamples", true) // encrypted parts are whole cipher blocks, always
	if u, err := url.Parse(t.LicenseURL); t.LicenseURL == "" || err != nil || u.Host == "" {
		p.fail("licenseAcquisitionUrl", "is to be the URL of a licence server.")
	}
	if s := strings.Trim(p.text("keyId"), "{}"); s != "" {
		id, err := protect.ParseKeyID(s)
		if err != nil {
			p.fail("keyId", "is '%s', no GUID.", s)
		}
		t.ID = &id
	}
	decode := func(name string, atLeast, atMost int) []byte {
		s := p.text(name)
		if s == "" {
			return nil
		}
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil || len(b) < atLeast || len(b) > atMost {
			p.fail(name, "is not %d bytes in base64.", atLeast)
			return nil
		}
		return b
	}
	if key := decode("contentKey", 16, 16); key != nil {
		t.Key = (*[16]byte)(key)
	}
	if t.Seed = decode("keySeedValue", seedLength, 1<<10); t.Key == nil && t.Seed == nil {
		p.fail("contentKey", "is missing: it or 'keySeedValue' is needed.")
	}
	if s := strings.Trim(p.text("serviceId"), "{}"); s != "" {
		id, err := protect.ParseKeyID(s)
		if err != nil {
			p.fail("serviceId", "is '%s', no GUID.", s)
		}
		t.Service = base64.StdEncoding.EncodeToString(windowsOrder(id))
	}
	if s := p.text("dataFormats"); s != "" {
		t.Formats = map[string]bool{}
		for f := range strings.SplitSeq(s, ",") {
			t.Formats[strings.ToLower(strings.TrimSpace(f))] = true
		}
	}
	if s := p.text("customAttributes"); s != "" {
		for pair := range strings.SplitSeq(s, ",") {
			name, value, ok := strings.Cut(strings.TrimSpace(pair), ":")
			if !ok || !isXMLName(name) {
				p.fail("customAttributes", "is not of the form name1:value1,name2:value2.")
				break
			}
			var b bytes.Buffer
			_ = xml.EscapeText(&b, []byte(value)) // a bytes.Buffer never fails
			t.Attributes += "<" + name + ">" + b.String() + "</" + name + ">"
		}
	}
	return t
}

// isXMLName is strict: letters, digits and _ only, no digit first.
func isXMLName(s string) bool {
	for i, c := range s {
		if !(c == '_' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || i > 0 && c >= '0' && c <= '9') {
			return false
		}
	}
	return s != ""
}

// spellings are how task definitions call a codec.
var spellings = map[string][]string{
	"avc1": {"avc1", "h264"}, "avc3": {"avc1", "avc3", "h264"}, "hvc1": {"hvc1", "hevc"}, "hev1": {"hev1", "hevc"},
	"mp4a": {"mp4a", "aacl", "aach"}, "ac-3": {"ac-3"}, "ec-3": {"ec-3"},
}

// encrypts reports whether tracks of a codec are to be encrypted.
func (t *PlayReady) encrypts(codec string) bool {
	if t.Formats == nil {
		return true
	}
	for _, s := range spellings[codec] {
		if t.Formats[s] {
			return true
		}
	}
	return false
}

// Run implements Task.
func (t *PlayReady) Run(ctx context.Context, s *Set, dir string, progress func(float64)) ([]string, error) {
	for _, name := range s.order { // a file is read once more, in order
		var err error
		if s.indexes[name], err = mp4.AddNALs(s.indexes[name], s.files[name]); err != nil {
			return nil, jobErrorf(ams.ContentMalformed, "%q is damaged: %v.", name, err)
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	p, err := s.presentation(0)
	if err == nil {
		err = checkSmooth(p)
	}
	if err != nil {
		return nil, err
	}
	id := protect.KeyID(uuid.New())
	if t.ID != nil {
		id = *t.ID
	}
	value := t.Key
	if value == nil {
		value = keyOfSeed(t.Seed, id)
	}
	key := protect.NewKey(id, *value, nil)
	protection := &protect.Protection{
		Scheme:  protect.CENC,
		Version: rand.Text(), // no two runs share vectors
		Keys: func(r *packager.Rendition) *protect.Key {
			if t.encrypts(r.Media.Codec) {
				return key
			}
			return nil
		},
		Systems: protect.Systems{
			PlayReady:           func(protect.KeyID) string { return t.LicenseURL },
			PlayReadyAttributes: t.Attributes, PlayReadyService: t.Service,
		},
	}
	if t.UUIDBox {
		protection.Scheme = protect.PIFF
	}
	return s.writeSmooth(ctx, p, protection, dir, func(r *packager.Rendition) string { return bare(r.File) }, progress)
}

// seedLength is how much of a key seed counts.
const seedLength = 30

// keyOfSeed derives a content key from a key seed and the key's id, as PlayReady
// servers do (PlayReady Header Specification, "Key Seed").
func keyOfSeed(seed []byte, id protect.KeyID) *[16]byte {
	seed = seed[:seedLength]
	kid := windowsOrder(id)
	a := sha256.Sum256(bytes.Join([][]byte{seed, kid}, nil))
	b := sha256.Sum256(bytes.Join([][]byte{seed, kid, seed}, nil))
	c := sha256.Sum256(bytes.Join([][]byte{seed, kid, seed, kid}, nil))
	var key [16]byte
	for i := range key {
		key[i] = a[i] ^ a[i+16] ^ b[i] ^ b[i+16] ^ c[i] ^ c[i+16]
	}
	return &key
}

// windowsOrder is a GUID as Windows stores it.
func windowsOrder(id protect.KeyID) []byte {
	b := id[:]
	return []byte{b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]}
}
