package restv2_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
	"github.com/openams/openams/keydelivery"
	"github.com/openams/openams/origin"
)

// fetch reads a URL and checks the status.
func fetch(t *testing.T, url string, status int) []byte {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status {
		t.Fatalf("%s: %d %s %v", url, resp.StatusCode, b, err)
	}
	return b
}

// An asset that its client encrypted for storage is published by v2 with an
// envelope delivery policy: what streams is encrypted by the linked key, which
// key delivery gives by the authorization policy; v3 shows all of it.
func TestDeliveryPolicy(t *testing.T) {
	c := newKeyClient(t)
	ctx := t.Context()
	// Two listeners that stand for the streaming endpoint.
	keys := keydelivery.New(keydelivery.Config{Keys: c.accounts, Log: slog.New(slog.DiscardHandler)})
	streams := origin.New(origin.Config{Locators: c.accounts, Keys: c.accounts, Blobs: c.accounts.ClearBlobs(), Changes: c.db.Changes, Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(streams.Close)
	player := httptest.NewServer(keys.Mount(streams))
	t.Cleanup(player.Close)

	film := filepath.Join(t.TempDir(), "film.mp4")
	if out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=160x90:rate=25:duration=2", "-f", "lavfi", "-i", "sine=duration=2",
		"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "50", "-c:a", "aac", film).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	clear, err := os.ReadFile(film)
	if err != nil {
		t.Fatal(err)
	}
	storage := bytes.Repeat([]byte{7}, 32)
	block, err := aes.NewCipher(storage)
	if err != nil {
		t.Fatal(err)
	}
	sealed := make([]byte, len(clear))
	cipher.NewCTR(block, append(bytes.Repeat([]byte{1}, 8), make([]byte, 8)...)).XORKeyStream(sealed, clear)
	id := c.made("Assets", `{"Name":"film","Options":1}`)
	a := "Assets('" + id + "')"
	owner, err := c.account.AssetByID(ctx, id[len("nb:cid:UUID:"):])
	if err != nil {
		t.Fatal(err)
	}
	manifest := `<?xml version="1.0" encoding="utf-8"?><smil xmlns="http://www.w3.org/2001/SMIL20/Language"><head/><body><switch><video src="film.mp4"/><audio src="film.mp4"/></switch></body></smil>`
	for name, body := range map[string]string{"film.mp4": string(sealed), "film.ism": manifest} {
		if _, err := c.blobs.Put(ctx, owner.StorageAccount, owner.Container, name, strings.NewReader(body), blob.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	c.key(keyGUID, 1, storage)
	c.link(204, a, "ContentKeys", "ContentKeys", "nb:kid:UUID:"+keyGUID)
	// 0x0101010101010101
	c.made("Files", fmt.Sprintf(`{"Name":"film.mp4","ParentAssetId":%q,"IsEncrypted":true,"EncryptionScheme":"StorageEncryption","EncryptionVersion":"1.0","EncryptionKeyId":"nb:kid:UUID:%s","InitializationVector":"72340172838076673"}`, id, keyGUID))
	c.made("Files", fmt.Sprintf(`{"Name":"film.ism","ParentAssetId":%q,"IsPrimary":true}`, id))

	access := c.made("AccessPolicies", `{"Name":"p","DurationInMinutes":"100","Permissions":1}`)
	locator := fmt.Sprintf(`{"AccessPolicyId":%q,"AssetId":%q,"Type":2}`, access, id)
	if v := c.call(400, "Contributor", "POST", "Locators", locator); !strings.Contains(fmt.Sprint(v), "delivery policy") {
		t.Errorf("%v", v)
	}
	const envelope = "b16d14d4-b603-4d90-b8db-0fede8aa48f8"
	secret := []byte("0123456789abcdef")
	k := c.key(envelope, 4, secret)
	c.link(204, a, "ContentKeys", "ContentKeys", "nb:kid:UUID:"+envelope)
	policy := c.made("ContentKeyAuthorizationPolicies", `{"Name":"open"}`)
	option := c.made("ContentKeyAuthorizationPolicyOptions", `{"Name":"o","KeyDeliveryType":2,"Restrictions":[{"Name":"r","KeyRestrictionType":0}]}`)
	c.link(204, "ContentKeyAuthorizationPolicies('"+policy+"')", "Options", "ContentKeyAuthorizationPolicyOptions", option)
	c.call(204, "Contributor", "PUT", k, `{"AuthorizationPolicyId":"`+policy+`"}`)
	iv := []byte("abcdefghijklmnop")
	configuration := `[{"Key":"2","Value":"` + player.URL + `/keys/"},{"Key":3,"Value":"YWJjZGVmZ2hpamtsbW5vcA=="}]`
	delivery := c.made("AssetDeliveryPolicies", quoted(t, map[string]any{"Name": "aes", "AssetDeliveryProtocol": 4, "AssetDeliveryPolicyType": 3, "AssetDeliveryConfiguration": configuration}))
	c.link(204, a, "DeliveryPolicies", "AssetDeliveryPolicies", delivery)
	c.link(409, a, "DeliveryPolicies", "AssetDeliveryPolicies", delivery)
	again := c.made("AssetDeliveryPolicies", `{"AssetDeliveryProtocol":6,"AssetDeliveryPolicyType":2}`)
	c.link(409, a, "DeliveryPolicies", "AssetDeliveryPolicies", again) // HLS is taken

	lid := c.made("Locators", locator)
	for _, body := range []struct{ method, path, body string }{
		{"MERGE", "AssetDeliveryPolicies('" + delivery + "')", `{"Name":"other"}`},
		{"DELETE", "AssetDeliveryPolicies('" + delivery + "')", ""},
		{"DELETE", a + "/$links/DeliveryPolicies('" + delivery + "')", ""},
	} {
		c.call(409, "Contributor", body.method, body.path, body.body)
	}
	bare := lid[len("nb:lid:UUID:"):]
	seen, err := c.account.Locator(ctx, "locator-"+bare)
	if err != nil || !ams.IsDelivered(seen.Policy) {
		t.Fatalf("%+v %v", seen, err)
	}
	streaming, err := c.account.Policy(ctx, seen.Policy)
	if err != nil || !streaming.Allows(ams.Envelope, ams.HLS) || streaming.NeedsKeys() == false || streaming.Allows(ams.NoEncryption, ams.DASH) {
		t.Errorf("%+v %v", streaming, err)
	}

	// What nobody named is blocked, what was named is encrypted.
	base := player.URL + "/" + bare + "/"
	fetch(t, base+"film.ism/manifest(format=mpd-time-csf)", 403)
	fetch(t, base+"film.mp4", 403)
	master := string(fetch(t, base+"film.ism/manifest(format=m3u8-aapl)", 200))
	media := regexp.MustCompile(`(?m)^QualityLevels\(\d+\)/Manifest\(video[^\r\n]*`).FindString(master)
	playlist := string(fetch(t, base+"film.ism/"+media, 200))
	key := regexp.MustCompile(`METHOD=AES-128,URI="([^"]*)",IV=0x([0-9A-Fa-f]*)`).FindStringSubmatch(playlist)
	if key == nil || !strings.HasSuffix(key[1], "/keys/?KID="+envelope) || !strings.EqualFold(key[2], hex.EncodeToString(iv)) {
		t.Fatalf("%q\n%s", key, playlist)
	}
	if got := fetch(t, key[1], 200); !bytes.Equal(got, secret) {
		t.Errorf("the key is %x", got)
	}
	segment := regexp.MustCompile(`(?m)^Fragments\([^\r\n]*`).FindString(playlist)
	body := fetch(t, base+"film.ism/"+media[:strings.Index(media, "/")+1]+segment, 200)
	if block, err = aes.NewCipher(secret); err != nil {
		t.Fatal(err)
	}
	dark := body[0]
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(body, body)
	if dark == 0x47 && body[188] == 0x47 || body[0] != 0x47 || body[188] != 0x47 {
		t.Errorf("not an encrypted transport stream: %x, in the clear %x and %x", dark, body[0], body[188])
	}
	// A storage key is delivered to nobody.
	fetch(t, player.URL+"/keys/?kid="+keyGUID, 404)

	// v3 deletes the locator; the policies can change again, and the streaming
	// policy is gone.
	if existed, err := c.account.DeleteLocator(ctx, seen.Name); err != nil || !existed {
		t.Fatal(existed, err)
	}
	if _, err := c.account.Policy(ctx, seen.Policy); ams.CodeOf(err) != ams.NotFound {
		t.Errorf("%v", err)
	}
	c.call(204, "Contributor", "DELETE", a+"/$links/DeliveryPolicies('"+delivery+"')", "")
	c.call(204, "Contributor", "DELETE", "AssetDeliveryPolicies('"+delivery+"')", "")
}
