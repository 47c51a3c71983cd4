package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"image/color"
	"image/png"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	media "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/mediaservices/armmediaservices/v3"
	ff "github.com/Eyevinn/mp4ff/mp4"
	"github.com/golang-jwt/jwt/v5"
)

var tokenSecret = []byte("a symmetric key of a content key policy")

const (
	tokenIssuer   = "https://issuer.example/"
	tokenAudience = "urn:viewers"
)

// viewer is a token that the content key policy of the tests takes.
func viewer(t testing.TB, secret []byte) string {
	t.Helper()
	s, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"iss": tokenIssuer, "aud": tokenAudience, "exp": time.Now().Add(30 * time.Minute).Unix(),
	}).SignedString(secret)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A film is an asset published under encryption, with keys for who has a token.
type film struct {
	*sdk
	locator string            // its guid
	ism     string            // path of the server manifest
	keys    map[string][]byte // by key id
	scheme  map[string]string // key ids by encryption scheme
}

// protectedFilm publishes a film that the encoder has made.
func protectedFilm(t *testing.T) *film {
	return publishProtected(t, false, func(c *sdk) {
		c.createAsset(t, "in")
		c.createAsset(t, "out")
		c.upload(t, "in", clip(t, "film.mp4"))
		c.createTransform(t, "abr", media.EncoderNamedPresetAdaptiveStreaming)
		c.submit(t, "abr", "j", "in", "out")
		if job := c.await(t, "abr", "j", 3*time.Minute); *job.Properties.State != media.JobStateFinished {
			t.Fatalf("job ended %s", *job.Properties.State)
		}
	})
}

// publishProtected publishes the asset "out", which fill makes, under all
// encryptions; cenc for HLS only if asked for.
func publishProtected(t *testing.T, hlsCENC bool, fill func(*sdk)) *film {
	t.Helper()
	s := start(t, "")
	if status, _ := s.get(t, s.KeyDeliveryEndpoint+"/?kid=00000000-0000-0000-0000-000000000001"); status != http.StatusNotFound {
		t.Fatalf("key delivery answers %d", status)
	}
	c := newSDK(t, s, s.ClientID, s.ClientSecret)
	fill(c)
	return protect(t, s, c, "out", hlsCENC)
}

// protect publishes an asset under every encryption, cenc for HLS only if asked
// for, with keys for who has a token.
func protect(t testing.TB, s *server, c *sdk, asset string, hlsCENC bool) *film {
	t.Helper()
	ctx := t.Context()
	cred, armOptions := s.signIn(t, s.ClientID, s.ClientSecret)
	keyPolicies, err1 := media.NewContentKeyPoliciesClient(s.SubscriptionID, cred, armOptions)
	policies, err2 := media.NewStreamingPoliciesClient(s.SubscriptionID, cred, armOptions)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	_, err := keyPolicies.CreateOrUpdate(ctx, s.ResourceGroup, s.AccountName, "viewers", media.ContentKeyPolicy{Properties: &media.ContentKeyPolicyProperties{
		Options: []*media.ContentKeyPolicyOption{{
			Configuration: &media.ContentKeyPolicyClearKeyConfiguration{ODataType: to.Ptr("#Microsoft.Media.ContentKeyPolicyClearKeyConfiguration")},
			Restriction: &media.ContentKeyPolicyTokenRestriction{
				ODataType: to.Ptr("#Microsoft.Media.ContentKeyPolicyTokenRestriction"),
				Issuer:    to.Ptr(tokenIssuer), Audience: to.Ptr(tokenAudience),
				RestrictionTokenType: to.Ptr(media.ContentKeyPolicyRestrictionTokenTypeJwt),
				PrimaryVerificationKey: &media.ContentKeyPolicySymmetricTokenKey{
					ODataType: to.Ptr("#Microsoft.Media.ContentKeyPolicySymmetricTokenKey"), KeyValue: tokenSecret},
			},
		}},
	}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	on := func(dash, hls, smooth bool) *media.EnabledProtocols {
		return &media.EnabledProtocols{Dash: to.Ptr(dash), Hls: to.Ptr(hls), SmoothStreaming: to.Ptr(smooth), Download: to.Ptr(false)}
	}
	_, err = policies.Create(ctx, s.ResourceGroup, s.AccountName, "everything", media.StreamingPolicy{Properties: &media.StreamingPolicyProperties{
		EnvelopeEncryption:   &media.EnvelopeEncryption{EnabledProtocols: on(true, true, true)},
		CommonEncryptionCenc: &media.CommonEncryptionCenc{EnabledProtocols: on(true, hlsCENC, true), ContentKeys: &media.StreamingPolicyContentKeys{DefaultKey: &media.DefaultKey{Label: to.Ptr("cenc")}}},
		CommonEncryptionCbcs: &media.CommonEncryptionCbcs{EnabledProtocols: on(true, true, false), ContentKeys: &media.StreamingPolicyContentKeys{DefaultKey: &media.DefaultKey{Label: to.Ptr("cbcs")}}},
	}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := c.locators.Create(ctx, s.ResourceGroup, s.AccountName, "protected", media.StreamingLocator{Properties: &media.StreamingLocatorProperties{
		AssetName: to.Ptr(asset), StreamingPolicyName: to.Ptr("everything"), DefaultContentKeyPolicyName: to.Ptr("viewers"),
	}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	f := &film{sdk: c, locator: *l.Properties.StreamingLocatorID, keys: map[string][]byte{}, scheme: map[string]string{}}
	keys, err := c.locators.ListContentKeys(ctx, s.ResourceGroup, s.AccountName, "protected", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys.ContentKeys {
		value, err := base64.StdEncoding.DecodeString(*k.Value)
		if err != nil {
			t.Fatal(err)
		}
		f.keys[*k.ID] = value
		f.scheme[string(*k.Type)] = *k.ID
	}
	if len(f.scheme) != 3 {
		t.Fatalf("the locator has keys for %v", f.scheme)
	}
	for _, name := range c.blobs(t, asset) {
		if strings.HasSuffix(name, ".ism") {
			f.ism = s.StreamingEndpoint + "/" + f.locator + "/" + name
		}
	}
	return f
}

// ok gets a URL and wants 200.
func (f *film) ok(t *testing.T, url string) []byte {
	t.Helper()
	status, body := f.get(t, url)
	if status != http.StatusOK {
		t.Fatalf("%s: %d %s", url, status, body)
	}
	return body
}

// TestProtectionEndToEnd makes policies and a locator with the Go SDK, and
// decrypts what the server streams with openssl, ffmpeg and mp4ff, and plays it
// in a browser.
func TestProtectionEndToEnd(t *testing.T) {
	t.Parallel()
	f := protectedFilm(t)
	good := viewer(t, tokenSecret)
	f.publish(t, "clear", "out", "Predefined_ClearStreamingOnly")
	l, err := f.locators.Get(t.Context(), f.ResourceGroup, f.AccountName, "clear", nil)
	if err != nil {
		t.Fatal(err)
	}
	clear := strings.Replace(f.ism, f.locator, *l.Properties.StreamingLocatorID, 1)
	master := string(f.ok(t, clear+"/manifest(format=m3u8-cmaf)"))
	level := regexp.MustCompile(`QualityLevels\(\d+\)/Manifest\(video`).FindString(master)
	level = strings.TrimSuffix(level, "Manifest(video")

	t.Run("openssl", func(t *testing.T) {
		want := f.ok(t, clear+"/"+level+"Fragments(video=0,format=m3u8-aapl)")
		sealed := f.ok(t, f.ism+"/"+level+"Fragments(video=0,format=m3u8-aapl,encryption=cbc)")
		playlist := string(f.ok(t, f.ism+"/"+level+"Manifest(video,format=m3u8-aapl,encryption=cbc)?token="+good))
		m := regexp.MustCompile(`URI="([^"]+)",IV=0x([0-9A-F]{32})`).FindStringSubmatch(playlist)
		if m == nil {
			t.Fatalf("no key in\n%s", playlist)
		}
		key := f.ok(t, m[1])
		if !bytes.Equal(key, f.keys[f.scheme["EnvelopeEncryption"]]) {
			t.Error("key delivery has another key than listContentKeys")
		}
		cmd := exec.Command("openssl", "enc", "-d", "-aes-128-cbc", "-K", hex.EncodeToString(key), "-iv", m[2])
		cmd.Stdin = bytes.NewReader(sealed)
		if got, err := cmd.Output(); err != nil || !bytes.Equal(got, want) {
			t.Errorf("openssl: %d bytes, want %d: %v", len(got), len(want), err)
		}
	})
	t.Run("ffmpeg", func(t *testing.T) {
		// It takes the key from key delivery with the token that the manifest carries on.
		args := []string{"-v", "error", "-allowed_extensions", "ALL", "-allowed_segment_extensions", "ALL", "-extension_picky", "0"}
		count := func(url string) (int, string) {
			cmd := exec.Command("ffmpeg", append(args, "-i", url, "-map", "0:v:0", "-f", "framemd5", "-")...)
			var errs bytes.Buffer
			cmd.Stderr = &errs
			out, err := cmd.Output()
			if err != nil {
				errs.WriteString(err.Error())
			}
			return strings.Count(string(out), "\n"), errs.String()
		}
		if n, errs := count(f.ism + "/manifest(format=m3u8-aapl,encryption=cbc)?token=" + good); n < 300 || errs != "" {
			t.Errorf("%d frames: %s", n, errs)
		}
		if n, _ := count(f.ism + "/manifest(format=m3u8-aapl,encryption=cbc)"); n > 20 {
			t.Errorf("%d frames without a token", n)
		}
		hash := func(data []byte, key []byte) string {
			path := filepath.Join(t.TempDir(), "x.mp4")
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			args := []string{"-v", "error"}
			if key != nil {
				args = append(args, "-decryption_key", hex.EncodeToString(key))
			}
			out, err := exec.Command("ffmpeg", append(args, "-i", path, "-f", "framemd5", "-")...).CombinedOutput()
			if err != nil {
				return err.Error() + string(out)
			}
			return regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(string(out), "")
		}
		part := func(base, more string) []byte {
			return append(f.ok(t, base+"/"+level+"Fragments(video=i,format=mpd-time-csf"+more+")"), f.ok(t, base+"/"+level+"Fragments(video=0,format=mpd-time-csf"+more+")")...)
		}
		want := hash(part(clear, ""), nil)
		if strings.Count(want, "\n") < 40 {
			t.Fatalf("the clear segment: %s", want)
		}
		if got := hash(part(f.ism, ",encryption=cenc"), f.keys[f.scheme["CommonEncryptionCenc"]]); got != want {
			t.Errorf("cenc does not decrypt: %.300s", got)
		}
	})
	t.Run("mp4ff", func(t *testing.T) {
		decode := func(b []byte) *ff.File {
			file, err := ff.DecodeFile(bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}
			return file
		}
		init := decode(f.ok(t, f.ism+"/"+level+"Fragments(video=i,format=m3u8-cmaf,encryption=cbcs-aapl)"))
		segment := decode(f.ok(t, f.ism+"/"+level+"Fragments(video=0,format=m3u8-cmaf,encryption=cbcs-aapl)"))
		info, err := ff.DecryptInit(init.Init)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range segment.Segments {
			if err := ff.DecryptSegment(s, info, f.keys[f.scheme["CommonEncryptionCbcs"]]); err != nil {
				t.Fatal(err)
			}
		}
		want := decode(f.ok(t, clear+"/"+level+"Fragments(video=0,format=m3u8-cmaf)"))
		got, expected := segment.Segments[0].Fragments[0].Mdat.Data, want.Segments[0].Fragments[0].Mdat.Data
		if !bytes.Equal(got, expected) {
			t.Error("cbcs does not decrypt to the clear samples")
		}
	})
	t.Run("refused", func(t *testing.T) {
		for path, status := range map[string]int{
			"/manifest(format=m3u8-cmaf)": 400, "/manifest(format=mpd-time-csf)": 400, "/manifest": 400,
			"/" + level + "Fragments(video=0,format=m3u8-cmaf)": 400, "/manifest(format=m3u8-cmaf,encryption=cenc)": 403,
		} {
			if got, body := f.get(t, f.ism+path); got != status || !bytes.Contains(body, []byte("MPE_ENC_")) {
				t.Errorf("%s: %d %s", path, got, body)
			}
		}
		id := f.scheme["EnvelopeEncryption"]
		bad := viewer(t, []byte("not the key of the policy"))
		for query, status := range map[string]int{"": 401, "&token=" + bad: 401, "&token=" + good: 200, "&token=Bearer%3D" + url.QueryEscape(good): 200} {
			if got, body := f.get(t, f.KeyDeliveryEndpoint+"/?kid="+id+query); got != status {
				t.Errorf("%.20s: %d %s", query, got, body)
			}
		}
	})

	shots := os.Getenv("OPENAMS_TEST_SCREENSHOTS")
	if shots == "" {
		shots = t.TempDir()
	}
	bad := viewer(t, []byte("not the key of the policy"))
	type ask map[string]any
	for _, tt := range []struct {
		name, player, format string
		ask                  ask
	}{
		{"AES-128 TS, token in the manifest's URL", "hls.js", "format=m3u8-aapl,encryption=cbc)?token=" + good, ask{}},
		{"AES-128 TS, token in the header", "hls.js", "format=m3u8-aapl,encryption=cbc)", ask{"token": good}},
		{"AES-128 CMAF", "hls.js", "format=m3u8-cmaf,encryption=cbc)?token=" + good, ask{}},
		{"SAMPLE-AES TS", "hls.js", "format=m3u8-aapl,encryption=cbcs-aapl)?token=" + good, ask{}},
		{"cbcs CMAF", "hls.js", "format=m3u8-cmaf,encryption=cbcs-aapl)", ask{"token": good, "licence": true}},
		{"cenc", "shaka", "format=mpd-time-csf,encryption=cenc)", ask{"token": good, "licence": true}},
		{"cbcs", "shaka", "format=mpd-time-cmaf,encryption=cbcs-aapl)", ask{"token": good, "licence": true}},
		{"cenc, by the manifest alone", "dash.js", "format=mpd-time-csf,encryption=cenc)?token=" + good, ask{}},
		{"cbcs, by the manifest alone", "dash.js", "format=mpd-time-cmaf,encryption=cbcs-aapl)?token=" + good, ask{}},
		{"cenc, by configuration", "dash.js", "format=mpd-time-csf,encryption=cenc)", ask{"token": good, "licence": true}},
		{"wrong token", "hls.js", "format=m3u8-aapl,encryption=cbc)?token=" + bad, ask{"fail": true}},
		{"wrong token", "shaka", "format=mpd-time-csf,encryption=cenc)", ask{"token": bad, "licence": true, "fail": true}},
		{"wrong token", "dash.js", "format=mpd-time-cmaf,encryption=cbcs-aapl)?token=" + bad, ask{"fail": true}},
		{"wrong key", "hls.js", "format=m3u8-aapl,encryption=cbc)?token=" + good, ask{"fail": true, "wrongKey": true}},
		{"wrong key, SAMPLE-AES", "hls.js", "format=m3u8-aapl,encryption=cbcs-aapl)?token=" + good, ask{"fail": true, "wrongKey": true}},
		{"wrong key", "shaka", "format=mpd-time-csf,encryption=cenc)", ask{"token": good, "licence": true, "fail": true, "wrongKey": true}},
		{"wrong key", "dash.js", "format=mpd-time-cmaf,encryption=cbcs-aapl)?token=" + good, ask{"fail": true, "wrongKey": true}},
	} {
		t.Run(tt.player+" "+tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
			defer cancel()
			tt.ask["player"], tt.ask["url"], tt.ask["keys"] = tt.player, f.ism+"/manifest("+tt.format, f.KeyDeliveryEndpoint
			tt.ask["screenshot"] = filepath.Join(shots, "protected-"+strings.NewReplacer(" ", "-", ".", "", ",", "", "'", "").Replace(tt.player+" "+tt.name)+".png")
			request, err := json.Marshal(tt.ask)
			if err != nil {
				t.Fatal(err)
			}
			out := run(t, ctx, f.env(), "node", "js/protected.mjs", string(request))
			t.Logf("%s", out)
			var got struct {
				CurrentTime, SeekTo float64
				Height              int
				KeyStatuses         []int
				Errors              []string
			}
			if err := json.Unmarshal([]byte(out), &got); err != nil {
				t.Fatalf("%v in %s", err, out)
			}
			if len(got.KeyStatuses) == 0 {
				t.Error("nobody asked for a key")
			}
			if tt.ask["fail"] == true {
				if got.CurrentTime > 1 || len(got.Errors) == 0 && got.CurrentTime > 0 {
					t.Errorf("it plays: %s", out)
				}
				wrong := tt.name == "wrong token"
				for _, status := range got.KeyStatuses {
					if wrong != (status == http.StatusUnauthorized) {
						t.Errorf("a key request was answered with %d", status)
					}
				}
				return
			}
			if len(got.Errors) > 0 {
				t.Errorf("the player complained: %q", got.Errors)
			}
			if got.CurrentTime <= got.SeekTo || got.SeekTo < 8 || got.Height == 0 {
				t.Errorf("stood still: %s", out)
			}
			// Scripts cannot read pictures that were decrypted by the browser.
			if n := colours(t, tt.ask["screenshot"].(string)); n < 20 {
				t.Errorf("no picture: %d colours", n)
			}
		})
	}
	if log := f.log.String(); strings.Contains(log, good) {
		t.Error("the log holds a token")
	}
}

// colours counts the different colours in a screenshot.
func colours(t *testing.T, path string) int {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	picture, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[color.Color]bool{}
	for y := picture.Bounds().Min.Y; y < picture.Bounds().Max.Y; y += 4 {
		for x := picture.Bounds().Min.X; x < picture.Bounds().Max.X; x += 4 {
			seen[picture.At(x, y)] = true
		}
	}
	return len(seen)
}
