package origin

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/packager"
)

// A shield puts another streaming policy over one locator, and knows its keys.
type shield struct {
	Locators
	mu      sync.Mutex
	locator string
	policy  *ams.StreamingPolicy
	grants  []account.KeyGrant
}

func (s *shield) ResolveLocator(ctx context.Context, host, id string) (*account.Published, error) {
	p, err := s.Locators.ResolveLocator(ctx, host, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && id == s.locator {
		copied := *p
		copied.Policy = s.policy
		p = &copied
	}
	return p, err
}

func (s *shield) LocatorKeys(ctx context.Context, locator string) ([]account.KeyGrant, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if locator != s.locator {
		return nil, nil
	}
	return s.grants, nil
}

const (
	kidVideo = "11111111-2222-3333-4444-555555555555"
	kidAudio = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
)

var (
	valueVideo = []byte("0123456789abcdef")
	valueAudio = []byte("fedcba9876543210")
)

// grant is a key that everybody gets.
func grant(scheme ams.Scheme, kid string, value []byte, tracks ...ams.KeyTracks) account.KeyGrant {
	return account.KeyGrant{
		Key: &ams.ContentKey{ID: kid, Scheme: scheme, Value: value, Tracks: tracks},
		Policy: &ams.ContentKeyPolicy{Options: []ams.ContentKeyPolicyOption{{
			Configuration: json.RawMessage(`{"@odata.type":"#Microsoft.Media.ContentKeyPolicyClearKeyConfiguration"}`),
			Restriction:   json.RawMessage(`{"@odata.type":"#Microsoft.Media.ContentKeyPolicyOpenRestriction"}`),
		}}},
	}
}

func tracksOf(fourCC string) ams.KeyTracks {
	return ams.KeyTracks{Conditions: []ams.TrackCondition{{Property: "FourCC", Operation: "Equal", Value: fourCC}}}
}

const everything = `{
"envelopeEncryption":{"enabledProtocols":{"dash":true,"hls":true,"smoothStreaming":true}},
"commonEncryptionCenc":{"enabledProtocols":{"dash":true,"hls":true,"smoothStreaming":true},"drm":{"playReady":{},"widevine":{"customLicenseAcquisitionUrlTemplate":"https://drm.example/{ContentKeyId}"}}},
"commonEncryptionCbcs":{"enabledProtocols":{"dash":true,"hls":true},"drm":{"fairPlay":{}}}}`

func policyOf(t testing.TB, body string) *ams.StreamingPolicy {
	t.Helper()
	p := &ams.StreamingPolicy{Name: "guarded", Body: json.RawMessage(body)}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	return p
}

// newShielded publishes the asset twice: in the clear (s.locator) and under body.
func newShielded(t testing.TB, body string, grants ...account.KeyGrant) (s *stage, sh *shield, guarded string) {
	t.Helper()
	sh = &shield{policy: policyOf(t, body), grants: grants}
	s = newStage(t, func(c *Config) {
		sh.Locators, c.Locators, c.Keys, c.Changes = c.Locators, sh, sh, nil
	})
	guarded = s.publish("Predefined_ClearStreamingOnly")
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.locator = guarded
	return s, sh, guarded
}

func allKeys() []account.KeyGrant {
	var list []account.KeyGrant
	for _, scheme := range []ams.Scheme{ams.Envelope, ams.CENC, ams.CBCS} {
		list = append(list, grant(scheme, kidVideo, valueVideo))
	}
	return list
}

// under runs f with the guarded locator in the place of the clear one.
func (s *stage) under(locator string, f func()) {
	old := s.locator
	s.locator = locator
	defer func() { s.locator = old }()
	f()
}

func TestEnvelope(t *testing.T) {
	s, _, guarded := newShielded(t, everything, allKeys()...)
	for _, tt := range []struct{ playlist, clear, sealed string }{
		{"film.ism/QualityLevels(600000)/Manifest(video,format=m3u8-aapl,encryption=cbc)", "video=0,format=m3u8-aapl", ",encryption=cbc"},
		{"film.ism/QualityLevels(600000)/Manifest(video,format=m3u8-cmaf,encryption=cbc)", "video=60000000,format=m3u8-cmaf", ",encryption=cbc"},
		{"film.ism/manifest(format=mpd-time-csf,encryption=cbc)", "video=60000000,format=mpd-time-csf", ",encryption=cbc"},
		{"film.ism/manifest(encryption=cbc)", "video=60000000", ",encryption=cbc"},
	} {
		fragment := "film.ism/QualityLevels(600000)/Fragments(" + tt.clear
		clear := s.get(fragment + ")")
		s.under(guarded, func() {
			manifest := string(s.get(tt.playlist))
			m := regexp.MustCompile(`IV="?0x([0-9A-F]{32})`).FindStringSubmatch(manifest)
			if m == nil || !strings.Contains(manifest, s.url+"/keys/?kid="+kidVideo) {
				t.Fatalf("%s says nothing of the key:\n%s", tt.playlist, manifest)
			}
			iv, _ := hex.DecodeString(m[1])
			res, got := s.do("GET", s.at(fragment+tt.sealed+")"))
			if res.StatusCode != 200 || len(got) != (len(clear)/16+1)*16 {
				t.Fatalf("%s: %s, %d bytes of %d", fragment, res.Status, len(got), len(clear))
			}
			opened := s.opened.Load()
			for range 3 {
				if again := s.get(fragment + tt.sealed + ")"); !bytes.Equal(again, got) {
					t.Error("the same segment has other bytes the second time")
				}
			}
			if n := s.opened.Load(); n != opened {
				t.Errorf("a kept segment opened files %d times", n-opened)
			}
			if part, body := s.do("GET", s.at(fragment+tt.sealed+")"), header("Range", "bytes=100-199")); part.StatusCode != 206 || !bytes.Equal(body, got[100:200]) {
				t.Errorf("range: %s, %d bytes", part.Status, len(body))
			}
			block, _ := aes.NewCipher(valueVideo)
			cipher.NewCBCDecrypter(block, iv).CryptBlocks(got, got)
			if pad := int(got[len(got)-1]); pad > 16 || !bytes.Equal(got[:len(got)-pad], clear) {
				t.Errorf("%s does not decrypt to the clear segment", fragment)
			}
		})
	}
}

// TestCommonEncryption has ffmpeg decrypt what is served and compares pictures
// and sound.
func TestCommonEncryption(t *testing.T) {
	cenc := func(scheme ams.Scheme) []account.KeyGrant {
		return []account.KeyGrant{grant(scheme, kidVideo, valueVideo), grant(scheme, kidAudio, valueAudio, tracksOf("AACL"))}
	}
	s, _, guarded := newShielded(t, everything, append(cenc(ams.CENC), cenc(ams.CBCS)...)...)
	hash := func(data []byte, key []byte) string {
		path := filepath.Join(t.TempDir(), "x.mp4")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		args := []string{"-v", "error", "-nostdin"}
		if key != nil {
			args = append(args, "-decryption_key", hex.EncodeToString(key))
		}
		out, err := exec.Command("ffmpeg", append(args, "-i", path, "-f", "framemd5", "-")...).CombinedOutput()
		if err != nil {
			return "failed: " + string(out)
		}
		return regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(string(out), "")
	}
	for _, tt := range []struct {
		track  string
		format string
		value  []byte
		scheme []string
	}{
		// ffmpeg 5.1 decrypts cenc alone; cbcs is decrypted by mp4ff in package protect.
		{"QualityLevels(600000)/Fragments(video=", "format=mpd-time-csf", valueVideo, []string{"cenc"}},
		{"QualityLevels(600000)/Fragments(video=", "format=m3u8-cmaf", valueVideo, []string{"cenc"}},
		{"QualityLevels(64000)/Fragments(audio_eng=", "format=mpd-time-cmaf", valueAudio, []string{"cenc"}},
	} {
		clear := hash(append(s.get("film.ism/"+tt.track+"i,"+tt.format+")"), s.get("film.ism/"+tt.track+"0,"+tt.format+")")...), nil)
		if strings.Count(clear, "\n") < 40 {
			t.Fatalf("the clear segment has too little: %s", clear)
		}
		s.under(guarded, func() {
			for _, scheme := range tt.scheme {
				sealed := append(s.get("film.ism/"+tt.track+"i,"+tt.format+",encryption="+scheme+")"), s.get("film.ism/"+tt.track+"0,"+tt.format+",encryption="+scheme+")")...)
				if got := hash(sealed, tt.value); got != clear {
					t.Errorf("%s %s: decrypted, it is not what the clear one is:\n%s", tt.track, scheme, got)
				}
				if got := hash(sealed, []byte("another key 1234")); got == clear {
					t.Errorf("%s %s: plays with another key", tt.track, scheme)
				}
			}
		})
	}
	kept, err := filepath.Glob(filepath.Join(s.indexDir, "*.nal"))
	if err != nil || len(kept) != 2 {
		t.Errorf("kept maps of NAL units: %q, %v", kept, err)
	}
}

// TestSampleAES has ffmpeg play transport streams with encrypted samples, whose key
// it fetches, and compares pictures and sound with those of the clear ones.
func TestSampleAES(t *testing.T) {
	s, sh, guarded := newShielded(t, everything, allKeys()...)
	var asked atomic.Int64
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("kid") != kidVideo {
			http.Error(w, "no such key", http.StatusNotFound)
			return
		}
		asked.Add(1)
		w.Write(valueVideo)
	}))
	defer keys.Close()
	s.handler.c.KeyDelivery = keys.URL
	hash := func(path string) []string {
		out, err := exec.Command("ffmpeg", "-v", "quiet", "-nostdin", "-extension_picky", "0", "-allowed_extensions", "ALL", "-allowed_segment_extensions", "ALL", "-i", s.at(path), "-f", "framemd5", "-").Output()
		if err != nil {
			t.Fatalf("%s: %v: %s", path, err, out)
		}
		lines := strings.Split(regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(string(out), ""), "\n")
		return lines[:min(300, len(lines))] // ffmpeg 5.1 leaves the last packets of a playlist encrypted
	}
	for _, tt := range []struct{ playlist, segment string }{
		{"film.ism/QualityLevels(600000)/Manifest(video,format=m3u8-aapl", "film.ism/QualityLevels(600000)/Fragments(video=60000000,format=m3u8-aapl"},
		{"film.ism/QualityLevels(64000)/Manifest(audio_eng,format=m3u8-aapl", "film.ism/QualityLevels(64000)/Fragments(audio_eng=0,format=m3u8-aapl"},
		{"film.ism/QualityLevels(600000)/Manifest(video,format=m3u8-aapl-v3", "film.ism/QualityLevels(600000)/Fragments(video=0,format=m3u8-aapl-v3"},
	} {
		open := s.get(tt.segment + ")")
		clear := hash(tt.playlist + ")")
		if len(clear) < 300 {
			t.Fatalf("%s: only %d frames", tt.playlist, len(clear))
		}
		s.under(guarded, func() {
			list := string(s.get(tt.playlist + ",encryption=cbcs-aapl)"))
			for _, w := range []string{`METHOD=SAMPLE-AES,URI="skd://`, `KEYFORMAT="com.apple.streamingkeydelivery",KEYFORMATVERSIONS="1"`, `METHOD=SAMPLE-AES,URI="` + keys.URL + "/?kid=" + kidVideo + `",IV=0x`} {
				if !strings.Contains(list, w) {
					t.Errorf("no %s in\n%s", w, list)
				}
			}
			if d := cmp.Diff(clear, hash(tt.playlist+",encryption=cbcs-aapl)")); d != "" {
				t.Errorf("%s: decrypted, the frames differ:\n%s", tt.playlist, d)
			}
			sealed := s.get(tt.segment + ",encryption=cbcs-aapl)")
			if bytes.Equal(sealed, open) || !bytes.Equal(sealed[:188], open[:188]) {
				t.Errorf("%s is not encrypted", tt.segment)
			}
			res, part := s.do("GET", s.at(tt.segment+",encryption=cbcs-aapl)"), header("Range", "bytes=188-375"))
			if res.StatusCode != 206 || !bytes.Equal(part, sealed[188:376]) {
				t.Errorf("range: %s, %d bytes", res.Status, len(part))
			}
		})
	}
	if asked.Load() == 0 {
		t.Error("nobody asked for the key")
	}
	s.under(guarded, func() {
		const path = "film.ism/QualityLevels(600000)/Fragments(video=0,format=m3u8-aapl,encryption=cbcs-aapl)"
		res, body := s.do("GET", s.at(path))
		sh.grants = []account.KeyGrant{grant(ams.CBCS, kidVideo, valueAudio)}
		again, other := s.do("GET", s.at(path))
		if bytes.Equal(body, other) || res.Header.Get("Etag") == again.Header.Get("Etag") {
			t.Error("a kept segment is served under another key")
		}
		sh.policy = policyOf(t, `{"commonEncryptionCbcs":{"enabledProtocols":{"hls":true},"drm":{"widevine":{}}}}`)
		sh.grants[0].Policy = nil
		s.refused(path, 415, string(packager.OutputFormatNotSupported), "FairPlay")
		s.refused("film.ism/manifest(format=m3u8-aapl,encryption=cbcs-aapl)", 415, string(packager.OutputFormatNotSupported), "FairPlay")
		sh.policy, sh.grants = policyOf(t, everything), []account.KeyGrant{grant(ams.CBCS, kidVideo, valueVideo), grant(ams.CBCS, kidAudio, valueAudio, tracksOf("mp4a"))}
		s.refused("film.ism/manifest(format=m3u8-aapl-v3,encryption=cbcs-aapl)", 415, string(packager.OutputFormatNotSupported), "different keys")
	})
	if kept, _ := filepath.Glob(filepath.Join(s.indexDir, "*.nal")); len(kept) != 0 {
		t.Errorf("maps of NAL units for transport streams: %q", kept)
	}
}

// TestNothingInTheClear asks for what the policy protects in every way but the
// right one.
func TestNothingInTheClear(t *testing.T) {
	only := `{"commonEncryptionCenc":{"enabledProtocols":{"dash":true},"clearTracks":[{"trackSelections":[{"property":"FourCC","operation":"Equal","value":"mp4a"}]}]}}`
	s, sh, guarded := newShielded(t, only, grant(ams.CENC, kidVideo, valueVideo))
	clearAudio := s.get("film.ism/QualityLevels(64000)/Fragments(audio_eng=0,format=mpd-time-csf)")
	clearVideo := s.get("film.ism/QualityLevels(600000)/Fragments(video=0,format=mpd-time-csf)")
	s.under(guarded, func() {
		for _, tt := range []struct {
			path   string
			status int
			code   packager.Code
		}{
			{"film.ism/manifest", 403, OutputFormatBlocked},
			{"film.ism/manifest(format=m3u8-cmaf)", 403, OutputFormatBlocked},
			{"film.ism/manifest(format=m3u8-aapl,encryption=cbc)", 403, OutputFormatBlocked},
			{"film_360.mp4", 403, OutputFormatBlocked},
			{"film.ism/manifest(format=mpd-time-csf,encryption=cbc)", 403, EncryptionNotInPolicy},
			{"film.ism/manifest(format=mpd-time-csf,encryption=cbcs-aapl)", 403, EncryptionNotInPolicy},
			{"film.ism/manifest(format=mpd-time-cmaf)", 400, EncryptionNotSpecified},
			{"film.ism/QualityLevels(600000)/Fragments(video=0,format=mpd-time-cmaf)", 400, EncryptionNotSpecified},
			{"film.ism/manifest(format=mpd-time-csf,encryption=piff)", 415, packager.OutputFormatNotSupported},
		} {
			s.refused(tt.path, tt.status, string(tt.code))
		}
		// The one scheme is understood where the URL names none.
		implied := s.get("film.ism/QualityLevels(600000)/Fragments(video=0,format=mpd-time-csf)")
		named := s.get("film.ism/QualityLevels(600000)/Fragments(video=0,format=mpd-time-csf,encryption=cenc)")
		if !bytes.Equal(implied, named) || bytes.Contains(implied, clearVideo[len(clearVideo)-2000:]) || bytes.Equal(implied, clearVideo) {
			t.Error("the segment is not encrypted")
		}
		if got := s.get("film.ism/QualityLevels(64000)/Fragments(audio_eng=0,format=mpd-time-csf)"); !bytes.Equal(got, clearAudio) {
			t.Error("a clear track is not served as it is")
		}
		mpd := string(s.get("film.ism/manifest(format=mpd-time-csf)"))
		if strings.Count(mpd, "mp4protection") != 1 || !strings.Contains(mpd, "encryption=cenc") {
			t.Errorf("the manifest:\n%s", mpd)
		}

		sh.grants = []account.KeyGrant{grant(ams.CENC, kidVideo, valueVideo, tracksOf("hvc1"))}
		s.refused("film.ism/QualityLevels(600000)/Fragments(video=0,format=mpd-time-csf)", 403, string(EncryptionNotInPolicy), "no content key")
		s.refused("film.ism/manifest(format=mpd-time-csf)", 403, string(EncryptionNotInPolicy))
		sh.grants = nil
		s.refused("film.ism/QualityLevels(600000)/Fragments(video=0,format=mpd-time-csf)", 403, string(EncryptionNotInPolicy))
	})
	s.handler.c.Keys = nil
	s.under(guarded, func() {
		s.refused("film.ism/manifest(format=mpd-time-csf)", 415, string(OutputProtectionMissing))
	})
}

func TestManifestsSayWhereKeysAre(t *testing.T) {
	s, _, guarded := newShielded(t, everything, allKeys()...)
	s.under(guarded, func() {
		for _, tt := range []struct {
			path string
			want []string
			not  []string
		}{
			{"film.ism/manifest(format=m3u8-aapl,encryption=cbc)?token=Bearer%20a.b%2Bc",
				[]string{"Manifest(video,format=m3u8-aapl,encryption=cbc)?token=Bearer+a.b%2Bc\n", `encryption=cbc)?token=Bearer+a.b%2Bc"`}, []string{tokenMark, "I-FRAME"}},
			{"film.ism/QualityLevels(600000)/Manifest(video,format=m3u8-aapl,encryption=cbc)?token=a.b",
				[]string{"/keys/?kid=" + kidVideo + "&token=a.b\"", "Fragments(video=0,format=m3u8-aapl,encryption=cbc)\n"}, []string{tokenMark}},
			{"film.ism/manifest(format=mpd-time-csf,encryption=cenc)?token=a.b",
				[]string{"/keys/ClearKey/?kid=" + kidVideo + "&amp;token=a.b<", "<dashif:Laurl>https://drm.example/" + kidVideo + "<", "9a04f079"}, []string{tokenMark, "drm.example/" + kidVideo + "?"}},
			{"film.ism/QualityLevels(600000)/Manifest(video,format=m3u8-cmaf,encryption=cbcs-aapl)",
				[]string{`URI="skd://`, "/keys/FairPlay/?kid=" + kidVideo, "org.w3.clearkey"}, []string{"edef8ba9"}},
			{"film.ism/manifest(encryption=cenc)", []string{`SystemID="9A04F079`, "{start time},encryption=cenc)"}, nil},
			{"film.ism/manifest(encryption=piff)", []string{"{start time},encryption=piff)"}, nil},
		} {
			res, body := s.do("GET", s.at(tt.path))
			text := string(body)
			for _, w := range tt.want {
				if !strings.Contains(text, w) {
					t.Errorf("%s: %s: no %q in\n%s", tt.path, res.Status, w, text)
				}
			}
			for _, w := range tt.not {
				if strings.Contains(text, w) {
					t.Errorf("%s: %q in\n%s", tt.path, w, text)
				}
			}
			if tokened := strings.Contains(tt.path, "token="); tokened != (res.Header.Get("Cache-Control") == "private, no-store") {
				t.Errorf("%s: Cache-Control %q", tt.path, res.Header.Get("Cache-Control"))
			}
		}
		// A manifest without a token must not have another client's.
		if text := string(s.get("film.ism/QualityLevels(600000)/Manifest(video,format=m3u8-aapl,encryption=cbc)")); strings.Contains(text, "token") {
			t.Errorf("a token from nowhere:\n%s", text)
		}
		s.refused("film.ism/manifest(format=m3u8-aapl,encryption=cbc)?token="+strings.Repeat("a", maxToken+1), 400, string(packager.BadURLSyntax))
	})
}

// TestTagsFollowKeys sees other entity tags for other keys of the same asset.
func TestTagsFollowKeys(t *testing.T) {
	s, sh, guarded := newShielded(t, everything, allKeys()...)
	s.under(guarded, func() {
		seen := map[string]string{}
		for _, value := range [][]byte{valueVideo, valueAudio} {
			sh.grants = []account.KeyGrant{grant(ams.Envelope, kidVideo, value), grant(ams.CENC, kidVideo, value), grant(ams.CBCS, kidVideo, value)}
			for _, e := range []string{"cbc", "cenc", "cbcs-aapl"} {
				res, body := s.do("GET", s.at("film.ism/QualityLevels(600000)/Fragments(video=0,format=m3u8-cmaf,encryption="+e+")"))
				if res.StatusCode != http.StatusOK {
					t.Fatalf("%s: %s", res.Status, body)
				}
				tag := res.Header.Get("Etag")
				if old, ok := seen[tag]; ok {
					t.Errorf("%s and %s have one entity tag", e, old)
				}
				seen[tag] = e
			}
		}
	})
}

func TestWellFormed(t *testing.T) {
	for s, ok := range map[string]bool{
		"": true, "text &amp; <a b='c'/>": true, "<a><b/></a>": true,
		"</a><a>": false, "<a>": false, "&": false, "<!DOCTYPE x>": false, "</a></a>": false, "<?xml version='1.0'?>": false,
	} {
		if wellFormed(s) != ok {
			t.Errorf("wellFormed(%q) = %t", s, !ok)
		}
	}
}
