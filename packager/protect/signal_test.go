package protect_test

import (
	"bytes"
	"crypto/aes"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	ff "github.com/Eyevinn/mp4ff/mp4"
	"github.com/google/go-cmp/cmp"

	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/mp4"
	"github.com/openams/openams/packager/protect"
)

var update = flag.Bool("update", false, "rewrite golden files")

// sketch is a presentation for what hangs on tracks alone.
func sketch() *packager.Presentation {
	p := new(packager.Presentation)
	for i, kind := range []mp4.Kind{mp4.Video, mp4.Audio} {
		t := &packager.Track{Name: kind.String(), Kind: kind}
		t.Renditions = []*packager.Rendition{{Track: t, Bitrate: int64(i + 1), File: kind.String() + ".mp4", Media: &mp4.Track{ID: 1, Kind: kind}}}
		p.Tracks = append(p.Tracks, t)
	}
	return p
}

func TestManifests(t *testing.T) {
	pres := sketch()
	video := pres.Tracks[0].Renditions[0]
	var b strings.Builder
	for _, scheme := range []protect.Scheme{protect.AES128, protect.CENC, protect.CBCS, protect.PIFF} {
		p := protection(t, scheme)
		p.Systems.PlayReadyAttributes = "<IIS_DRM_VERSION>8.0.1906.32</IIS_DRM_VERSION>"
		fmt.Fprintf(&b, "== %s: DASH\n%s== HLS\n%s== Smooth\n%s", scheme, p.ContentProtection(video), p.PlaylistKeys(video, packager.FragmentedMP4), p.ProtectionElement(pres))
		p.Keys = func(r *packager.Rendition) *protect.Key { return nil }
		if s := p.ContentProtection(video) + p.PlaylistKeys(video, packager.FragmentedMP4) + p.ProtectionElement(pres); s != "" {
			t.Errorf("%s: clear tracks are said to be encrypted: %s", scheme, s)
		}
	}
	path := filepath.Join("testdata", "manifests.txt")
	if *update {
		os.MkdirAll("testdata", 0o777)
		if err := os.WriteFile(path, []byte(b.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Error(d)
	}
}

// TestWellFormed parses the XML with the namespaces that a manifest declares.
func TestWellFormed(t *testing.T) {
	pres := sketch()
	for _, scheme := range []protect.Scheme{protect.AES128, protect.CENC, protect.CBCS} {
		p := protection(t, scheme)
		text := "<MPD " + protect.Namespaces + ">" + p.ContentProtection(pres.Tracks[0].Renditions[0]) + p.ProtectionElement(pres) + "</MPD>"
		d := xml.NewDecoder(strings.NewReader(text))
		for {
			token, err := d.Token()
			if token == nil {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v in %s", scheme, err, text)
			}
			if e, ok := token.(xml.StartElement); ok && !strings.Contains(e.Name.Space, ":") && e.Name.Space != "" {
				t.Errorf("%s: prefix %s is not declared", scheme, e.Name.Space)
			}
		}
	}
}

// TestPlayReadyObject reads the object as a client does.
func TestPlayReadyObject(t *testing.T) {
	for _, tt := range []struct {
		scheme        protect.Scheme
		keys          int
		version, algo string
	}{
		{protect.CENC, 1, "4.0.0.0", "AESCTR"},
		{protect.PIFF, 1, "4.0.0.0", "AESCTR"},
		{protect.CENC, 2, "4.3.0.0", "AESCTR"},
		{protect.CBCS, 1, "4.3.0.0", "AESCBC"},
	} {
		p := protection(t, tt.scheme)
		pres := sketch()
		video, audio := p.Keys(pres.Tracks[0].Renditions[0]), p.Keys(pres.Tracks[1].Renditions[0])
		b := p.PlayReadyObject([]*protect.Key{video, audio}[:tt.keys]...)
		le := binary.LittleEndian
		if int(le.Uint32(b)) != len(b) || le.Uint16(b[4:]) != 1 || le.Uint16(b[6:]) != 1 || int(le.Uint16(b[8:])) != len(b)-10 {
			t.Fatalf("%s: bad lengths in % x", tt.scheme, b[:10])
		}
		var text []uint16
		for i := 10; i < len(b); i += 2 {
			text = append(text, le.Uint16(b[i:]))
		}
		type kid struct {
			Value    string `xml:"VALUE,attr"`
			Checksum string `xml:"CHECKSUM,attr"`
			Algo     string `xml:"ALGID,attr"`
		}
		var h struct {
			Version  string `xml:"version,attr"`
			URL      string `xml:"DATA>LA_URL"`
			KID      string `xml:"DATA>KID"`
			Checksum string `xml:"DATA>CHECKSUM"`
			Algo     string `xml:"DATA>PROTECTINFO>ALGID"`
			KIDs     []kid  `xml:"DATA>PROTECTINFO>KIDS>KID"`
		}
		if err := xml.Unmarshal([]byte(string(utf16.Decode(text))), &h); err != nil {
			t.Fatal(err)
		}
		if h.KID != "" {
			h.KIDs = append(h.KIDs, kid{h.KID, h.Checksum, h.Algo})
		}
		if h.Version != tt.version || len(h.KIDs) != tt.keys || h.URL != "https://ams.example/keys/PlayReady/?kid="+videoKID+"&x=1" {
			t.Errorf("%s: %+v", tt.scheme, h)
		}
		for i, k := range h.KIDs {
			// The first three fields of the GUID are swapped.
			want, key := []byte{0x44, 0x33, 0x22, 0x11, 0x66, 0x55, 0x88, 0x77, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x00}, videoKey
			if i == 1 {
				want, key = []byte{0xcd, 0xab, 0x23, 0x01, 0x67, 0x45, 0xab, 0x89, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab}, audioKey
			}
			got, _ := base64.StdEncoding.DecodeString(k.Value)
			if !bytes.Equal(got, want) || k.Algo != tt.algo {
				t.Errorf("%s: key %d is % x with %s, want % x with %s", tt.scheme, i, got, k.Algo, want, tt.algo)
			}
			if tt.algo == "AESCTR" {
				block, _ := aes.NewCipher(key[:])
				block.Encrypt(want, want)
				if sum, _ := base64.StdEncoding.DecodeString(k.Checksum); !bytes.Equal(sum, want[:8]) {
					t.Errorf("%s: checksum % x, want % x", tt.scheme, sum, want[:8])
				}
			}
		}
	}
}

// TestInit reads the boxes of init segments by mp4ff.
func TestInit(t *testing.T) {
	a := open(t)
	for _, scheme := range []protect.Scheme{protect.CENC, protect.CBCS} {
		p := protection(t, scheme)
		f, err := p.Format(format(t, "m3u8-cmaf"))
		if err != nil {
			t.Fatal(err)
		}
		for _, track := range a.Tracks {
			r := track.Renditions[0]
			s, err := f.Init(a.Presentation, r)
			file, err := ff.DecodeFile(bytes.NewReader(a.bytes(t, s, err)))
			if err != nil {
				t.Fatal(err)
			}
			entry := file.Init.Moov.Trak.Mdia.Minf.Stbl.Stsd.Children[0]
			var sinf *ff.SinfBox
			switch e := entry.(type) {
			case *ff.VisualSampleEntryBox:
				sinf = e.Sinf
			case *ff.AudioSampleEntryBox:
				sinf = e.Sinf
			}
			kid, _ := keyOf(r)
			tenc := sinf.Schi.Tenc
			got := fmt.Sprintf("%s %s %s v%d %d %d:%d %d %x", entry.Type(), sinf.Frma.DataFormat, sinf.Schm.SchemeType, tenc.Version, tenc.DefaultPerSampleIVSize,
				tenc.DefaultCryptByteBlock, tenc.DefaultSkipByteBlock, len(tenc.DefaultConstantIV), []byte(tenc.DefaultKID))
			want := map[string]string{
				"cenc video": "encv " + r.Media.Codec + " cenc v0 8 0:0 0 " + kid,
				"cenc audio": "enca mp4a cenc v0 8 0:0 0 " + kid,
				"cbcs video": "encv " + r.Media.Codec + " cbcs v1 0 1:9 16 " + kid,
				"cbcs audio": "enca mp4a cbcs v1 0 0:0 16 " + kid,
			}[scheme.String()[:4]+" "+track.Kind.String()]
			if got != want {
				t.Errorf("%s: %s\nwant %s", track.Name, got, want)
			}
			var ids []string
			for _, box := range file.Init.Moov.Psshs {
				ids = append(ids, fmt.Sprintf("%s v%d %d", box.SystemID, box.Version, len(box.KIDs)))
			}
			if got := strings.Join(ids, ", "); got != "1077efec-c0b2-4d02-ace3-3c1e52e2fb4b v1 1, edef8ba9-79d6-4ace-a3c8-27dcd51d21ed v0 0, 9a04f079-9840-4286-ab92-e65be0885f95 v0 0" {
				t.Errorf("pssh: %s", got)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		scheme protect.Scheme
		format string
		ok     bool
	}{
		{protect.AES128, "m3u8-aapl", true},
		{protect.CENC, "m3u8-aapl", false},
		{protect.CBCS, "m3u8-aapl", true},
		{protect.CBCS, "m3u8-aapl-v3", true},
		{protect.CBCS, "", false},
		{protect.PIFF, "", true},
		{protect.PIFF, "mpd-time-csf", false},
		{protect.CBCS, "mpd-time-cmaf", true},
	} {
		_, err := protection(t, tt.scheme).Format(format(t, tt.format))
		if (err == nil) != tt.ok || err != nil && packager.CodeOf(err) != packager.OutputFormatNotSupported {
			t.Errorf("%s of %q: %v, want ok %v", tt.scheme, tt.format, err, tt.ok)
		}
	}
	// In a transport stream two systems alone know encrypted samples.
	other := protection(t, protect.CBCS)
	other.Systems.FairPlay, other.Systems.ClearKey = nil, nil
	if _, err := other.Format(format(t, "m3u8-aapl")); packager.CodeOf(err) != packager.OutputFormatNotSupported {
		t.Errorf("SAMPLE-AES for Widevine: %v", err)
	}
	// An index without NAL units is the server's mistake, not the client's.
	pres := sketch()
	p := protection(t, protect.CENC)
	r := pres.Tracks[0].Renditions[0]
	r.Media.Codec, r.Media.Config = "avc1", make([]byte, 10)
	if _, _, err := p.Size(r, 0, 0, 0, packager.FragmentedMP4); err == nil || packager.CodeOf(err) != "" {
		t.Errorf("without NAL units: %v", err)
	}
	r.Media.Codec = "av01"
	if _, _, err := p.Size(r, 0, 0, 0, packager.FragmentedMP4); packager.CodeOf(err) != packager.VideoEncodingNotSupported {
		t.Errorf("AV1: %v", err)
	}
}

// TestVectors holds what makes CTR safe: no vector for two samples.
func TestVectors(t *testing.T) {
	a := open(t)
	seen := map[string]string{}
	for _, version := range []string{"asset-1", "asset-2"} {
		p := protection(t, protect.CENC)
		p.Version = version
		f, err := p.Format(format(t, "mpd-time-csf"))
		if err != nil {
			t.Fatal(err)
		}
		for _, track := range a.Tracks {
			for _, r := range track.Renditions {
				kid, _ := keyOf(r)
				for _, frag := range r.Fragments {
					s, err := f.Fragment(a.Presentation, r, frag.Start)
					file, err := ff.DecodeFile(bytes.NewReader(a.bytes(t, s, err)))
					if err != nil {
						t.Fatal(err)
					}
					for i, iv := range file.Segments[0].Fragments[0].Moof.Traf.Senc.IVs {
						where := fmt.Sprintf("%s %s %d at %d+%d", version, track.Name, r.Bitrate, frag.Start, i)
						if other := seen[kid+string(iv)]; other != "" {
							t.Fatalf("%s and %s have vector %x", other, where, []byte(iv))
						}
						seen[kid+string(iv)] = where
					}
				}
			}
		}
	}
	if len(seen) < 1000 {
		t.Errorf("only %d vectors", len(seen))
	}
}

func TestParseKeyID(t *testing.T) {
	for _, tt := range []struct {
		s  string
		ok bool
	}{
		{videoKID, true},
		{strings.ToUpper(videoKID), true},
		{strings.ReplaceAll(videoKID, "-", ""), true},
		{videoKID[1:], false},
		{"nb:kid:UUID:" + videoKID, false},
		{"", false},
	} {
		id, err := protect.ParseKeyID(tt.s)
		if (err == nil) != tt.ok || err == nil && id.String() != videoKID {
			t.Errorf("ParseKeyID(%q) = %s, %v", tt.s, id, err)
		}
	}
}
