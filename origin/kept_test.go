package origin

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
)

// smallSegments are paths of segments that are made, and kept for they are small.
var smallSegments = []string{
	"film.ism/QualityLevels(64000)/Fragments(audio_eng=0,format=m3u8-cmaf,encryption=cenc)",
	"film.ism/QualityLevels(64000)/Fragments(audio_eng=0,format=m3u8-cmaf,encryption=cbcs-aapl)",
	"film.ism/QualityLevels(64000)/Fragments(audio_eng=0,format=m3u8-aapl,encryption=cbc)",
	"film.ism/QualityLevels(64000)/Fragments(audio_eng=0,encryption=piff)",
	"film.ism/QualityLevels(150000)/Fragments(video=0,format=mpd-time-csf,encryption=cenc)",
}

// TestSmallSegmentsAreKept reads no file for what was made before, and says the
// same of it.
func TestSmallSegmentsAreKept(t *testing.T) {
	s, _, guarded := newShielded(t, everything, allKeys()...)
	clearTS := "film.ism/QualityLevels(64000)/Fragments(audio_eng=0,format=m3u8-aapl)"
	kept := func(path string) {
		t.Helper()
		first, body := s.do("GET", s.at(path))
		if first.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s: %s", path, first.Status, body)
		}
		s.handler.files.close() // no file that is open already
		s.handler.files = newOpenFiles(s.handler.c.Blobs, 256, idleFile)
		opened := s.opened.Load()
		again, same := s.do("GET", s.at(path))
		if again.StatusCode != http.StatusOK || !bytes.Equal(same, body) {
			t.Errorf("%s: the second answer is another one: %s", path, again.Status)
		}
		for _, name := range []string{"Etag", "Content-Type", "Content-Length", "Cache-Control", "Accept-Ranges"} {
			if first.Header.Get(name) != again.Header.Get(name) {
				t.Errorf("%s: %s is %q, then %q", path, name, first.Header.Get(name), again.Header.Get(name))
			}
		}
		if part, some := s.do("GET", s.at(path), header("Range", "bytes=100-199")); part.StatusCode != 206 || !bytes.Equal(some, body[100:200]) {
			t.Errorf("%s: range: %s", path, part.Status)
		}
		if is, _ := s.do("GET", s.at(path), header("If-None-Match", first.Header.Get("Etag"))); is.StatusCode != http.StatusNotModified {
			t.Errorf("%s: If-None-Match: %s", path, is.Status)
		}
		if head, none := s.do("HEAD", s.at(path)); head.StatusCode != 200 || len(none) != 0 || head.ContentLength != int64(len(body)) {
			t.Errorf("%s: HEAD: %s", path, head.Status)
		}
		if next, _ := s.do("GET", s.at(path), header("CDN-Origin-Assist-Prefetch-Enabled", "1")); next.Header.Get("CDN-Origin-Assist-Prefetch-Path") == "" {
			t.Errorf("%s: no segment to prefetch", path)
		}
		if n := s.opened.Load() - opened; n != 0 {
			t.Errorf("%s: a kept segment opened files %d times", path, n)
		}
	}
	kept(clearTS)
	s.under(guarded, func() {
		for _, path := range smallSegments {
			kept(path)
		}
	})
}

// TestKeptSegmentsFollowKeys changes keys, policy and file under segments that are
// kept: nobody gets what was made before.
func TestKeptSegmentsFollowKeys(t *testing.T) {
	s, sh, guarded := newShielded(t, everything, allKeys()...)
	var now atomic.Int64 // how far the clock of the handler is ahead
	s.handler.titles.now = func() time.Time { return time.Now().Add(time.Duration(now.Load())) }
	clearAudio := s.get("film.ism/QualityLevels(64000)/Fragments(audio_eng=0,format=m3u8-cmaf)")
	s.under(guarded, func() {
		get := func() (all [][]byte) {
			for _, path := range smallSegments {
				all = append(all, s.get(path))
			}
			return all
		}
		differ := func(what string, old, now [][]byte) {
			t.Helper()
			for i := range old {
				if bytes.Equal(old[i], now[i]) {
					t.Errorf("after %s, the old bytes of %s", what, smallSegments[i])
				}
			}
		}
		first := get()
		var rekeyed []account.KeyGrant
		for _, scheme := range []ams.Scheme{ams.Envelope, ams.CENC, ams.CBCS} {
			rekeyed = append(rekeyed, grant(scheme, kidVideo, valueAudio))
		}
		sh.grants = rekeyed
		second := get()
		differ("another key", first, second)
		block, err := aes.NewCipher(valueAudio)
		if err != nil {
			t.Fatal(err)
		}
		ts := bytes.Clone(second[2])
		cipher.NewCBCDecrypter(block, ts[:16]).CryptBlocks(ts[16:], ts[16:]) // the first block is the vector of the rest
		if ts[188] != 0x47 || ts[376] != 0x47 {
			t.Error("the segment does not decrypt with the new key")
		}

		sh.grants = allKeys()
		for i, b := range get() {
			if !bytes.Equal(b, first[i]) {
				t.Errorf("with the first key again, other bytes of %s", smallSegments[i])
			}
		}

		// A policy that leaves the audio clear.
		sh.policy = policyOf(t, `{"commonEncryptionCenc":{"enabledProtocols":{"hls":true},"clearTracks":[{"trackSelections":[{"property":"FourCC","operation":"Equal","value":"mp4a"}]}]}}`)
		if got := s.get(smallSegments[0]); !bytes.Equal(got, clearAudio) {
			t.Error("a track that the policy has clear now is not")
		}
		s.refused(smallSegments[1], 403, string(EncryptionNotInPolicy))
		sh.grants = nil
		s.refused(smallSegments[0], 403, string(EncryptionNotInPolicy))
		sh.policy, sh.grants = policyOf(t, everything), allKeys()

		// Another file of the same name, with the same sound.
		now.Add(int64(2 * recheck))
		before := s.get(smallSegments[0])
		s.put("film_180.mp4", media(t)["film_360.mp4"])
		now.Add(int64(2 * recheck))
		if bytes.Equal(s.get(smallSegments[0]), before) {
			t.Error("a file was replaced, and its segment has the vectors of the old one")
		}
	})
}
