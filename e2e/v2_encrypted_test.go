package e2e

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// storageCTR is the storage encryption of AMS: AES-256 in counter mode, the
// counter beginning with the 8 bytes of the initialization vector.
func storageCTR(t testing.TB, key []byte, iv uint64, data []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	counter := make([]byte, aes.BlockSize)
	for i := range 8 {
		counter[i] = byte(iv >> (56 - 8*i))
	}
	out := make([]byte, len(data))
	cipher.NewCTR(block, counter).XORKeyStream(out, data)
	return out
}

// keyChecksum is the checksum of a content key that the documents describe: the
// guid as .NET stores it, encrypted by the key.
func keyChecksum(t testing.TB, key []byte, guid string) string {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(guid, "-", ""))
	if err != nil || len(b) != 16 {
		t.Fatalf("%s: %v", guid, err)
	}
	slices.Reverse(b[:4])
	slices.Reverse(b[4:6])
	slices.Reverse(b[6:8])
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	block.Encrypt(b, b)
	return base64.StdEncoding.EncodeToString(b[:8])
}

// atom posts an entry of the properties, in pairs, and returns the Id of the
// answer, which is Atom too.
func (c *v2Client) atom(set string, properties ...string) string {
	c.Helper()
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="utf-8"?><entry xmlns="http://www.w3.org/2005/Atom" xmlns:d="http://schemas.microsoft.com/ado/2007/08/dataservices" xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata">` +
		`<title /><author><name /></author><updated>2014-01-18T22:06:40Z</updated><id /><content type="application/xml"><m:properties>`)
	for i := 0; i < len(properties); i += 2 {
		fmt.Fprintf(&b, "<d:%s>%s</d:%[1]s>", properties[i], properties[i+1])
	}
	b.WriteString(`<d:Created m:type="Edm.DateTime">0001-01-01T00:00:00</d:Created></m:properties></content></entry>`)
	answer := c.send("POST", set, b.String(), 201, "Content-Type", "application/atom+xml", "Accept", "application/atom+xml,application/xml")
	id := regexp.MustCompile(`<d:Id>([^<]+)</d:Id>`).FindSubmatch(answer)
	if id == nil {
		c.Fatalf("no Id: %s", answer)
	}
	return string(id[1])
}

// contentKey makes a content key wrapped for the server, as the .NET SDK does.
func (c *v2Client) contentKey(kind int, key []byte) string {
	c.Helper()
	var g [16]byte
	rand.Read(g[:])
	guid := fmt.Sprintf("%x-%x-%x-%x-%x", g[:4], g[4:6], g[6:8], g[8:10], g[10:])
	var v struct{ Value string }
	if err := json.Unmarshal(c.send("GET", fmt.Sprintf("GetProtectionKeyId?contentKeyType=%d", kind), "", 200), &v); err != nil {
		c.Fatal(err)
	}
	id := c.atom("ContentKeys", "Id", "nb:kid:UUID:"+guid, "ContentKeyType", strconv.Itoa(kind), "EncryptedContentKey", c.wrap(key),
		"ProtectionKeyId", v.Value, "ProtectionKeyType", "0", "Checksum", keyChecksum(c, key, guid))
	if id != "nb:kid:UUID:"+guid {
		c.Fatalf("the key %s is %s", guid, id)
	}
	return id
}

// seal uploads a file into a new storage-encrypted asset as the .NET SDK does:
// encrypted before it leaves the client.
func (c *v2Client) seal(name string, clear, key []byte) (asset string) {
	c.Helper()
	asset = c.atom("Assets", "Name", name, "Options", "1")
	id := c.contentKey(1, key)
	c.send("POST", keyed("Assets", asset)+"/$links/ContentKeys", `<uri xmlns="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata">`+c.V2Endpoint+keyed("ContentKeys", id)+"</uri>", 204, "Content-Type", "application/xml")
	const iv = 0xfedcba9876543210
	file := c.atom("Files", "Name", name, "ParentAssetId", asset, "IsPrimary", "true", "IsEncrypted", "true", "EncryptionScheme", "StorageEncryption", "EncryptionVersion", "1.0",
		"EncryptionKeyId", id, "InitializationVector", strconv.FormatUint(iv, 10), "MimeType", "video/mp4")
	policy := c.atom("AccessPolicies", "Name", "write", "DurationInMinutes", "60", "Permissions", "2")
	locator := c.create("Locators", fmt.Sprintf(`{"AccessPolicyId":%q,"AssetId":%q,"Type":1}`, policy, asset))
	box, err := container.NewClientWithNoCredential(locator["Path"].(string), nil)
	if err != nil {
		c.Fatal(err)
	}
	if _, err := box.NewBlockBlobClient(name).UploadStream(c.Context(), bytes.NewReader(storageCTR(c, key, iv, clear)), &blockblob.UploadStreamOptions{BlockSize: 8 << 10, Concurrency: 3}); err != nil {
		c.Fatal(err)
	}
	c.send("MERGE", keyed("Files", file), fmt.Sprintf(`{"ContentFileSize":"%d"}`, len(clear)), 204)
	c.send("DELETE", keyed("Locators", locator["Id"]), "", 204)
	return asset
}

// download reads the files of an asset through a SAS locator.
func (c *v2Client) download(asset any) map[string][]byte {
	c.Helper()
	policy := c.create("AccessPolicies", `{"Name":"read","DurationInMinutes":"60","Permissions":1}`)["Id"]
	locator := c.create("Locators", fmt.Sprintf(`{"AccessPolicyId":%q,"AssetId":%q,"Type":1}`, policy, asset))
	all := map[string][]byte{}
	for _, f := range c.list(keyed("Assets", asset) + "/Files") {
		name := f["Name"].(string)
		resp, err := c.http.Get(fmt.Sprint(locator["BaseUri"]) + "/" + url.PathEscape(name) + fmt.Sprint(locator["ContentAccessComponent"]))
		if err != nil {
			c.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || fmt.Sprint(f["ContentFileSize"]) != strconv.Itoa(len(b)) {
			c.Fatalf("%s: %s, %d bytes of %v, %v", name, resp.Status, len(b), f["ContentFileSize"], err)
		}
		all[name] = b
	}
	return all
}

// TestV2StorageEncryption: a film that its client encrypted is encoded, by a
// configuration that is encrypted too, into an asset that the server encrypts
// again; its owner decrypts that with the key of the asset, the Storage
// Decryption processor makes clear copies of both, and players get it in the
// clear by a delivery policy.
func TestV2StorageEncryption(t *testing.T) {
	t.Parallel()
	s := start(t, "", "--workers", "1")
	c := newV2(t, s)
	clear, err := os.ReadFile(clip(t, "film.mp4", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=1", "-f", "lavfi", "-i", "sine=sample_rate=48000:duration=1",
		"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"))
	if err != nil {
		t.Fatal(err)
	}
	key := make([]byte, 32)
	rand.Read(key)
	in := c.seal("film.mp4", clear, key)
	if got := c.download(in)["film.mp4"]; bytes.Equal(got, clear) || len(got) != len(clear) {
		t.Fatal("what was uploaded is not what was encrypted")
	}

	// ConfigurationEncryption: AES-256 in CBC mode with PKCS #7.
	secret, iv := make([]byte, 32), make([]byte, aes.BlockSize)
	rand.Read(secret)
	rand.Read(iv)
	text := []byte("H264 Single Bitrate 4x3 SD")
	pad := aes.BlockSize - len(text)%aes.BlockSize
	text = append(text, bytes.Repeat([]byte{byte(pad)}, pad)...)
	block, err := aes.NewCipher(secret)
	if err != nil {
		t.Fatal(err)
	}
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(text, text)
	configuration := base64.StdEncoding.EncodeToString(text)

	const decryption = "nb:mpid:UUID:aec03716-7c5e-4f68-b592-f4850eba9f10"
	body := func(from, output string) string {
		return `<?xml version=\"1.0\" encoding=\"utf-16\"?><taskBody><inputAsset>` + from + `</inputAsset>` + output + `</outputAsset></taskBody>`
	}
	job := c.create("Jobs", `{"Name":"encrypted","InputMediaAssets@odata.bind":["`+c.V2Endpoint+keyed("Assets", in)+`"],"Tasks":[`+
		fmt.Sprintf(`{"MediaProcessorId":"nb:mpid:UUID:ff4df607-d419-42f0-bc17-a481b1331e56","Configuration":%q,"Options":1,"EncryptionKeyId":%q,"EncryptionScheme":"ConfigurationEncryption","EncryptionVersion":"1.0","InitializationVector":%q,"TaskBody":"%s"},`,
			configuration, c.contentKey(2, secret), base64.StdEncoding.EncodeToString(iv), body("JobInputAsset(0)", `<outputAsset assetCreationOptions=\"1\">JobOutputAsset(0)`))+
		fmt.Sprintf(`{"MediaProcessorId":%q,"TaskBody":"%s"},`, decryption, body("JobOutputAsset(0)", `<outputAsset>JobOutputAsset(1)`))+
		fmt.Sprintf(`{"MediaProcessorId":%q,"TaskBody":"%s"}]}`, decryption, body("JobInputAsset(0)", `<outputAsset assetName=\"clear\">JobOutputAsset(2)`)))["Id"]
	if state := c.wait(job); state != `{"d":{"State":3}}` {
		t.Fatalf("%s: %v", state, c.list(keyed("Jobs", job)+"/Tasks"))
	}
	if task := c.list(keyed("Jobs", job) + "/Tasks")[0]; task["Configuration"] != configuration || strings.Contains(s.log.String(), "H264 Single Bitrate") {
		t.Errorf("the configuration of the task reads %v", task["Configuration"])
	}
	outputs := c.list(keyed("Jobs", job) + "/OutputMediaAssets")
	if len(outputs) != 3 || fmt.Sprint(outputs[0]["Options"], outputs[1]["Options"], outputs[2]["Options"]) != "1 0 0" {
		t.Fatalf("%v", outputs)
	}
	if got := c.download(outputs[2]["Id"]); len(got) != 1 || !bytes.Equal(got["film.mp4"], clear) {
		t.Errorf("the decrypted copy of the input has %d files, film.mp4 with %d bytes", len(got), len(got["film.mp4"]))
	}

	// The output's own key opens it.
	keys := c.list(keyed("Assets", outputs[0]["Id"]) + "/ContentKeys")
	if len(keys) != 1 || keys[0]["ContentKeyType"] != 1.0 {
		t.Fatalf("keys of the output: %v", keys)
	}
	var rebound struct{ Value []byte }
	if err := json.Unmarshal(c.send("GET", "RebindContentKey?id='"+url.QueryEscape(fmt.Sprint(keys[0]["Id"]))+"'&x509Certificate=''", "", 200), &rebound); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(rebound.Value, key) {
		t.Error("the output has the key of the input")
	}
	dark, bright := c.download(outputs[0]["Id"]), c.download(outputs[1]["Id"])
	for _, f := range c.list(keyed("Assets", outputs[0]["Id"]) + "/Files") {
		name := f["Name"].(string)
		vector, err := strconv.ParseUint(fmt.Sprint(f["InitializationVector"]), 10, 64)
		if err != nil || f["IsEncrypted"] != true || f["EncryptionScheme"] != "StorageEncryption" || f["EncryptionVersion"] != "1.0" || f["EncryptionKeyId"] != keys[0]["Id"] {
			t.Fatalf("%v %v", f, err)
		}
		if bytes.Equal(dark[name], bright[name]) || !bytes.Equal(storageCTR(t, rebound.Value, vector, dark[name]), bright[name]) {
			t.Errorf("%s: not encrypted, or not as the key and the vector say", name)
		}
	}
	if len(dark) < 2 || len(dark) != len(bright) {
		t.Errorf("%d files encrypted, %d in the clear", len(dark), len(bright))
	}

	// Streaming needs a delivery policy.
	policy := c.create("AccessPolicies", `{"Name":"read","DurationInMinutes":"60","Permissions":1}`)["Id"]
	origin := fmt.Sprintf(`{"AccessPolicyId":%q,"AssetId":%q,"Type":2}`, policy, outputs[0]["Id"])
	c.send("POST", "Locators", origin, 400)
	delivery := c.create("AssetDeliveryPolicies", `{"Name":"clear","AssetDeliveryProtocol":7,"AssetDeliveryPolicyType":2,"AssetDeliveryConfiguration":null}`)["Id"]
	c.send("POST", keyed("Assets", outputs[0]["Id"])+"/$links/DeliveryPolicies", `{"uri":"`+c.V2Endpoint+keyed("AssetDeliveryPolicies", delivery)+`"}`, 204)
	root := fmt.Sprint(c.create("Locators", origin)["Path"])
	for _, format := range []string{"", "(format=m3u8-aapl)", "(format=mpd-time-csf)"} {
		run(t, t.Context(), os.Environ(), binary, "probe", root+"film.ism/manifest"+format)
	}

	// A killed server leaves nothing decrypted: the scratch folder is for its
	// user alone, and empty after the next start.
	scratch := filepath.Join(s.dir, "scratch")
	if info, err := os.Stat(scratch); err != nil || info.Mode().Perm() != 0o700 {
		t.Fatalf("%v %v", info, err)
	}
	again := c.create("Jobs", `{"Name":"killed","InputMediaAssets@odata.bind":["`+c.V2Endpoint+keyed("Assets", in)+`"],"Tasks":[{"MediaProcessorId":"nb:mpid:UUID:ff4df607-d419-42f0-bc17-a481b1331e56","Configuration":"H264 Multiple Bitrate 1080p","TaskBody":"`+
		body("JobInputAsset(0)", `<outputAsset assetCreationOptions=\"1\">JobOutputAsset(0)`)+`"}]}`)["Id"]
	decrypted := func() (found bool) {
		filepath.WalkDir(scratch, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				b, err := os.ReadFile(path)
				found = found || err == nil && bytes.Equal(b, clear)
			}
			return nil
		})
		return found
	}
	for deadline := time.Now().Add(time.Minute); !decrypted(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the input was never in the scratch folder: %s", c.send("GET", keyed("Jobs", again), "", 200))
		}
	}
	s.kill(t)
	if !decrypted() {
		t.Error("the job ended before the server was killed")
	}
	after := start(t, s.dir, "--workers", "0")
	if decrypted() {
		t.Error("the decrypted input is still there")
	}
	after.stop(t)
}
