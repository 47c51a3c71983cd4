package restv2_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"testing"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
)

// A keyClient does with keys what the clients of v2 do.
type keyClient struct {
	*testing.T
	*world
	thumbprint string
	public     *rsa.PublicKey
}

func newKeyClient(t *testing.T) *keyClient {
	t.Helper()
	c := &keyClient{T: t, world: openWorld(t)}
	c.thumbprint = c.get("GetProtectionKeyId?contentKeyType=1")["value"].(string)
	der, err := base64.StdEncoding.DecodeString(c.get("GetProtectionKey?ProtectionKeyId='" + c.thumbprint + "'")["value"].(string))
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	if sum := fmt.Sprintf("%X", sha1.Sum(der)); sum != c.thumbprint {
		t.Errorf("the thumbprint of the certificate is %s, not %s", sum, c.thumbprint)
	}
	c.public = certificate.PublicKey.(*rsa.PublicKey)
	if c.public.Size() != 256 || certificate.CheckSignature(certificate.SignatureAlgorithm, certificate.RawTBSCertificate, certificate.Signature) != nil {
		t.Errorf("not a certificate of RSA 2048 that is signed: %d bytes", c.public.Size())
	}
	return c
}

// call sends a request and checks the status.
func (c *keyClient) call(status int, role, method, path, body string) map[string]any {
	c.Helper()
	code, _, v := ask(c.T, c.Server, role, method, path, body)
	if code != status {
		c.Fatalf("%s %s: %d %v, want %d", method, path, code, v, status)
	}
	return v
}

func (c *keyClient) get(path string) map[string]any {
	c.Helper()
	return c.call(200, "Contributor", "GET", path, "")
}

func (c *keyClient) wrap(value []byte) string {
	c.Helper()
	box, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, c.public, value, nil)
	if err != nil {
		c.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(box)
}

// key makes a content key and returns its path.
func (c *keyClient) key(id string, kind int, value []byte) string {
	c.Helper()
	k := c.call(201, "Contributor", "POST", "ContentKeys", c.keyBody(id, kind, value))
	return "ContentKeys('" + url.QueryEscape(k["Id"].(string)) + "')"
}

func (c *keyClient) keyBody(id string, kind int, value []byte) string {
	c.Helper()
	return fmt.Sprintf(`{"Id":"nb:kid:UUID:%s","Name":"n","ContentKeyType":"%d","EncryptedContentKey":%q,"ProtectionKeyId":%q,"ProtectionKeyType":1,"Checksum":"TfXtjCIlq1Y="}`,
		id, kind, c.wrap(value), c.thumbprint)
}

// made posts to a set and returns the id.
func (c *keyClient) made(set, body string) string {
	c.Helper()
	return c.call(201, "Contributor", "POST", set, body)["Id"].(string)
}

func (c *keyClient) link(status int, from, navigation, set, id string) {
	c.Helper()
	c.call(status, "Contributor", "POST", from+"/$links/"+navigation, `{"uri":"https://media.windows.net/api/`+set+`('`+url.QueryEscape(id)+`')"}`)
}

const keyGUID = "316d14d4-b603-4d90-b8db-0fede8aa48f8"

// Content keys of every type come in wrapped and leave wrapped, for their owner
// alone in the clear.
func TestContentKey(t *testing.T) {
	c := newKeyClient(t)
	storage := bytes.Repeat([]byte{7}, 32)
	path := c.key(strings.ToUpper(keyGUID), 1, storage)
	k := c.get(path)
	if k["Id"] != "nb:kid:UUID:"+keyGUID || k["ContentKeyType"] != 1.0 || k["Checksum"] != "TfXtjCIlq1Y=" || k["ProtectionKeyType"] != 1.0 {
		t.Errorf("%v", k)
	}
	c.call(409, "Contributor", "POST", "ContentKeys", c.keyBody(keyGUID, 1, storage))

	for kind, size := range map[int]int{0: 16, 2: 32, 3: 16, 4: 16, 6: 16, 7: 16, 8: 9} {
		value := bytes.Repeat([]byte{byte(kind + 1)}, size)
		id := c.made("ContentKeys", fmt.Sprintf(`{"ContentKeyType":%d,"EncryptedContentKey":%q}`, kind, c.wrap(value)))
		got := c.get("RebindContentKey?id='" + url.QueryEscape(id) + "'&x509Certificate=''")["value"]
		if got != base64.StdEncoding.EncodeToString(value) {
			t.Errorf("type %d: %v", kind, got)
		}
	}
	for _, tt := range []struct {
		name, body, says string
	}{
		{"unknown protection key", strings.Replace(c.keyBody("416d14d4-b603-4d90-b8db-0fede8aa48f8", 1, storage), c.thumbprint, "7D9BB04D9D0A4A24800CADBFEF232689E048F69C", 1), "7D9BB04D"},
		{"a short storage key", c.keyBody("416d14d4-b603-4d90-b8db-0fede8aa48f8", 1, storage[:16]), "32 bytes"},
		{"a long common key", c.keyBody("416d14d4-b603-4d90-b8db-0fede8aa48f8", 0, storage[:24]), "16 bytes"},
		{"no type 5", c.keyBody("416d14d4-b603-4d90-b8db-0fede8aa48f8", 5, storage), "ContentKeyType"},
		{"no key", `{"ContentKeyType":1}`, "EncryptedContentKey"},
		{"not wrapped", `{"ContentKeyType":1,"EncryptedContentKey":"AAAA"}`, "RSA-OAEP"},
		{"not base64", `{"ContentKeyType":1,"EncryptedContentKey":"!"}`, "base64"},
		{"not an id", `{"Id":"nb:kid:UUID:x","ContentKeyType":1,"EncryptedContentKey":"AAAA"}`, "Id"},
		{"no such policy", strings.Replace(c.keyBody("416d14d4-b603-4d90-b8db-0fede8aa48f8", 1, storage), `"Name"`, `"AuthorizationPolicyId":"nb:ckpid:UUID:416d14d4-b603-4d90-b8db-0fede8aa48f8","Name"`, 1), "ContentKeyAuthorizationPolicy"},
	} {
		if v := c.call(400, "Contributor", "POST", "ContentKeys", tt.body); !strings.Contains(fmt.Sprint(v), tt.says) {
			t.Errorf("%s: %v", tt.name, v)
		}
	}

	// Without a checksum the server makes it. The value was computed by
	// openssl enc -aes-256-ecb -nopad of the 16 bytes of the id as .NET has it.
	c.call(204, "Contributor", "PUT", path, `{"Checksum":null}`)
	if k := c.get(path); k["Checksum"] != "BuccaVzhv1k=" {
		t.Errorf("%v", k["Checksum"])
	}
	c.call(204, "Contributor", "MERGE", path, `{"Name":"other","EncryptedContentKey":"`+c.wrap(storage)+`"}`)
	if found := c.get("ContentKeys?$filter=" + url.QueryEscape("Name eq 'other' and ContentKeyType eq 1"))["value"].([]any); len(found) != 1 {
		t.Errorf("%v", found)
	}

	// Rebound for a certificate of the caller.
	own, der := certificateOf(t)
	got := c.get("RebindContentKey?id='nb%3Akid%3AUUID%3A" + keyGUID + "'&x509Certificate='" + url.QueryEscape(base64.StdEncoding.EncodeToString(der)) + "'")
	box, err := base64.StdEncoding.DecodeString(got["value"].(string))
	if err != nil {
		t.Fatal(err)
	}
	if value, err := rsa.DecryptOAEP(sha1.New(), nil, own, box, nil); err != nil || !bytes.Equal(value, storage) {
		t.Errorf("%x %v", value, err)
	}
	c.call(400, "Contributor", "GET", "RebindContentKey?id='nb:kid:UUID:"+keyGUID+"'&x509Certificate='AAAA'", "")
	for _, role := range []string{"Reader", "Media Services Media Operator"} {
		c.call(403, role, "GET", "RebindContentKey?id='nb:kid:UUID:"+keyGUID+"'&x509Certificate=''", "")
		if s := fmt.Sprint(c.call(200, role, "GET", path, "")); strings.Contains(s, base64.StdEncoding.EncodeToString(storage)) {
			t.Errorf("%s sees the key: %s", role, s)
		}
	}
	c.call(403, "Reader", "POST", "ContentKeys", c.keyBody("516d14d4-b603-4d90-b8db-0fede8aa48f8", 1, storage))

	for delivery, want := range map[int]string{1: "/PlayReady/", 2: "/?KID=" + keyGUID, 3: "/Widevine/?KID=" + keyGUID, 4: "/FairPlay/?KID=" + keyGUID} {
		v := c.call(200, "Reader", "POST", path+"/GetKeyDeliveryUrl", fmt.Sprintf(`{"keyDeliveryType":%d}`, delivery))
		if v["value"] != "http://localhost:8888/keys"+want {
			t.Errorf("%d: %v", delivery, v["value"])
		}
	}
	c.call(400, "Contributor", "POST", path+"/GetKeyDeliveryUrl", `{"keyDeliveryType":9}`)
	c.call(404, "Contributor", "GET", "GetProtectionKey?protectionKeyId='00'", "")

	// Links.
	a := "Assets('" + c.made("Assets", `{"Name":"a","Options":1}`) + "')"
	c.link(204, a, "ContentKeys", "ContentKeys", "nb:kid:UUID:"+keyGUID)
	c.link(409, a, "ContentKeys", "ContentKeys", "nb:kid:UUID:"+keyGUID)
	second := c.key("616d14d4-b603-4d90-b8db-0fede8aa48f8", 1, storage)
	c.link(409, a, "ContentKeys", "ContentKeys", "nb:kid:UUID:616d14d4-b603-4d90-b8db-0fede8aa48f8")
	c.link(404, a, "ContentKeys", "ContentKeys", "nb:kid:UUID:716d14d4-b603-4d90-b8db-0fede8aa48f8")
	c.call(409, "Contributor", "MERGE", path, `{"EncryptedContentKey":"`+c.wrap(bytes.Repeat([]byte{8}, 32))+`"}`)
	if list := c.get(a + "/ContentKeys")["value"].([]any); len(list) != 1 || list[0].(map[string]any)["Id"] != "nb:kid:UUID:"+keyGUID {
		t.Errorf("%v", list)
	}
	if list := c.get(a + "/$links/ContentKeys")["value"].([]any); len(list) != 1 {
		t.Errorf("%v", list)
	}
	c.call(204, "Contributor", "DELETE", a+"/$links/ContentKeys('nb:kid:UUID:"+keyGUID+"')", "")
	c.call(404, "Contributor", "DELETE", a+"/$links/ContentKeys('nb:kid:UUID:"+keyGUID+"')", "")
	c.call(204, "Contributor", "DELETE", second, "")
	c.call(404, "Contributor", "DELETE", second, "")
}

// The configuration of a task comes in encrypted and is never shown otherwise; one
// that cannot be decrypted is refused when the job is submitted.
func TestProtectedConfiguration(t *testing.T) {
	c := newKeyClient(t)
	asset := input(t, c.world)
	secret, iv := bytes.Repeat([]byte{3}, 32), []byte("0123456789abcdef")
	c.key(keyGUID, 2, secret)
	c.key("416d14d4-b603-4d90-b8db-0fede8aa48f8", 1, secret)
	seal := func(text string, key []byte) string {
		block, err := aes.NewCipher(key)
		if err != nil {
			t.Fatal(err)
		}
		pad := aes.BlockSize - len(text)%aes.BlockSize
		b := append([]byte(text), bytes.Repeat([]byte{byte(pad)}, pad)...)
		cipher.NewCBCEncrypter(block, iv).CryptBlocks(b, b)
		return base64.StdEncoding.EncodeToString(b)
	}
	job := func(status int, configuration, key, iv string) map[string]any {
		t.Helper()
		return c.call(status, "Contributor", "POST", "Jobs", quoted(t, map[string]any{"Name": "j", "InputMediaAssets@odata.bind": []string{uri("Assets", asset)}, "Tasks": []any{map[string]any{
			"MediaProcessorId": "nb:mpid:UUID:ff4df607-d419-42f0-bc17-a481b1331e56", "Configuration": configuration, "Options": 1, "EncryptionKeyId": key, "EncryptionScheme": "ConfigurationEncryption",
			"EncryptionVersion": "1.0", "InitializationVector": iv, "TaskBody": `<taskBody><inputAsset>JobInputAsset(0)</inputAsset><outputAsset>JobOutputAsset(0)</outputAsset></taskBody>`}}}))
	}
	const (
		good   = "nb:kid:UUID:" + keyGUID
		preset = "H264 Multiple Bitrate 720p"
	)
	vector := base64.StdEncoding.EncodeToString(iv)
	sealed := seal(preset, secret)
	id := job(201, sealed, strings.ToUpper(good[:len("nb:kid:UUID:")])+keyGUID, vector)["Id"].(string)
	for _, role := range []string{"Contributor", "Reader"} {
		task := c.call(200, role, "GET", key("Jobs", id)+"/Tasks", "")["value"].([]any)[0].(map[string]any)
		if task["Configuration"] != sealed || task["Options"] != 1.0 || task["InitializationVector"] != vector || task["EncryptionScheme"] != "ConfigurationEncryption" || strings.Contains(fmt.Sprint(task), preset) {
			t.Errorf("a %s sees %v", role, task)
		}
	}
	stored, err := c.account.JobByID(t.Context(), id[len("nb:jid:UUID:"):])
	if err != nil || strings.Contains(quoted(t, stored), preset) {
		t.Errorf("the record has the configuration in the clear: %v", err)
	}
	for _, tt := range []struct{ name, configuration, key, iv, says string }{
		{"no key", sealed, "", vector, "EncryptionKeyId"},
		{"no such key", sealed, "nb:kid:UUID:516d14d4-b603-4d90-b8db-0fede8aa48f8", vector, "EncryptionKeyId"},
		{"a storage key", sealed, "nb:kid:UUID:416d14d4-b603-4d90-b8db-0fede8aa48f8", vector, "type 1, not 2"},
		{"no vector", sealed, good, "", "InitializationVector"},
		{"a short vector", sealed, good, "AAAA", "InitializationVector"},
		{"in the clear", preset, good, vector, "cannot be decrypted"},
		{"another key's", seal(preset, bytes.Repeat([]byte{4}, 32)), good, vector, "cannot be decrypted"},
		{"cut off", sealed[:8], good, vector, "cannot be decrypted"},
		{"empty", "", good, vector, "cannot be decrypted"},
		{"no such preset", seal("No such preset", secret), good, vector, "No such preset"},
	} {
		if v := job(400, tt.configuration, tt.key, tt.iv); !strings.Contains(fmt.Sprint(v), tt.says) {
			t.Errorf("%s: %v, want %q", tt.name, v, tt.says)
		}
	}
	// Who may submit jobs and not see keys is not helped to read what others
	// have encrypted by one.
	refused := map[string]bool{}
	for _, configuration := range []string{preset, seal("No such preset", secret), seal(preset, bytes.Repeat([]byte{4}, 32)), sealed[:24]} {
		body := quoted(t, map[string]any{"Name": "j", "InputMediaAssets@odata.bind": []string{uri("Assets", asset)}, "Tasks": []any{map[string]any{
			"MediaProcessorId": "nb:mpid:UUID:ff4df607-d419-42f0-bc17-a481b1331e56", "Configuration": configuration, "Options": 1, "EncryptionKeyId": good,
			"InitializationVector": vector, "TaskBody": `<taskBody><inputAsset>JobInputAsset(0)</inputAsset><outputAsset>JobOutputAsset(0)</outputAsset></taskBody>`}}})
		refused[fmt.Sprint(c.call(400, "Media Services Media Operator", "POST", "Jobs", body))] = true
	}
	if len(refused) != 1 {
		t.Errorf("a Media Operator can tell apart %v", refused)
	}
}

func certificateOf(t *testing.T) (*rsa.PrivateKey, []byte) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return key, der
}

const (
	tokenTemplate = `<TokenRestrictionTemplate xmlns:i="http://www.w3.org/2001/XMLSchema-instance" xmlns="http://schemas.microsoft.com/Azure/MediaServices/KeyDelivery/TokenRestrictionTemplate/v1">` +
		`<AlternateVerificationKeys><TokenVerificationKey i:type="SymmetricVerificationKey"><KeyValue>c2Vjb25k</KeyValue></TokenVerificationKey></AlternateVerificationKeys>` +
		`<Audience>urn:test</Audience><Issuer>http://issuer/</Issuer><PrimaryVerificationKey i:type="SymmetricVerificationKey"><KeyValue>Zmlyc3Q=</KeyValue></PrimaryVerificationKey>` +
		`<RequiredClaims><TokenClaim><ClaimType>urn:microsoft:azure:mediaservices:contentkeyidentifier</ClaimType><ClaimValue i:nil="true" /></TokenClaim></RequiredClaims></TokenRestrictionTemplate>`
	playReadyTemplate = `<?xml version="1.0" encoding="utf-16"?><PlayReadyLicenseResponseTemplate xmlns:i="http://www.w3.org/2001/XMLSchema-instance" xmlns="http://schemas.microsoft.com/Azure/MediaServices/KeyDelivery/PlayReadyTemplate/v1">` +
		`<LicenseTemplates><PlayReadyLicenseTemplate><AllowTestDevices>true</AllowTestDevices><ContentKey i:type="ContentEncryptionKeyFromHeader" /><LicenseType>Nonpersistent</LicenseType>` +
		`<PlayRight><AllowPassingVideoContentToUnknownOutput>Allowed</AllowPassingVideoContentToUnknownOutput></PlayRight></PlayReadyLicenseTemplate></LicenseTemplates></PlayReadyLicenseResponseTemplate>`
)

func quoted(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A policy that v2 makes is a content key policy of v3 and the reverse; each
// reads back what it wrote.
func TestContentKeyAuthorizationPolicy(t *testing.T) {
	c := newKeyClient(t)
	ctx := context.Background()
	ask, password := "816d14d4-b603-4d90-b8db-0fede8aa48f8", "916d14d4-b603-4d90-b8db-0fede8aa48f8"
	c.key(ask, 7, []byte("0123456789abcdef"))
	c.key(password, 8, []byte("pässword"))
	policy := c.made("ContentKeyAuthorizationPolicies", `{"Name":"my policy"}`)
	p := "ContentKeyAuthorizationPolicies('" + policy + "')"
	option := func(delivery int, configuration string, restrictions ...any) string {
		t.Helper()
		return c.made("ContentKeyAuthorizationPolicyOptions", quoted(t, map[string]any{"Name": fmt.Sprint("option ", delivery),
			"KeyDeliveryType": delivery, "KeyDeliveryConfiguration": configuration, "Restrictions": restrictions}))
	}
	restriction := func(kind int, requirements any) map[string]any {
		return map[string]any{"Name": "r", "KeyRestrictionType": kind, "Requirements": requirements}
	}
	fairPlay := `{"ASkId":"` + ask + `","FairPlayPfxPasswordId":"` + password + `","FairPlayPfx":"AAAA","ContentEncryptionIV":"0102","RentalAndLeaseKeyType":1039325691,"RentalDuration":123}`
	ids := []string{
		option(2, "", restriction(1, tokenTemplate)),
		option(1, playReadyTemplate, restriction(0, nil)),
		option(3, `{"allowed_track_types":"SD_HD"}`, restriction(2, "10.0.0.0/8, 192.0.2.1")),
		option(4, fairPlay, restriction(0, nil)),
	}
	for _, id := range ids {
		c.link(204, p, "Options", "ContentKeyAuthorizationPolicyOptions", id)
	}
	c.link(409, p, "Options", "ContentKeyAuthorizationPolicyOptions", ids[0])
	if list := c.get(p + "/Options")["value"].([]any); len(list) != 4 {
		t.Fatalf("%v", list)
	}
	text := func(role, id string) (configuration, requirements any) {
		t.Helper()
		o := c.call(200, role, "GET", "ContentKeyAuthorizationPolicyOptions('"+id+"')", "")
		return o["KeyDeliveryConfiguration"], o["Restrictions"].([]any)[0].(map[string]any)["Requirements"]
	}
	if _, got := text("Contributor", ids[0]); got != tokenTemplate {
		t.Errorf("%v", got)
	}
	if got, _ := text("Reader", ids[1]); got != playReadyTemplate {
		t.Errorf("%v", got)
	}
	if got, _ := text("Contributor", ids[3]); got != fairPlay {
		t.Errorf("%v", got)
	}
	for _, secret := range []string{"Zmlyc3Q=", "c2Vjb25k"} {
		if _, got := text("Reader", ids[0]); strings.Contains(got.(string), secret) || !strings.Contains(got.(string), "http://issuer/") {
			t.Errorf("a Reader sees %v", got)
		}
	}
	if got, _ := text("Reader", ids[3]); strings.Contains(got.(string), `"FairPlayPfx":"AAAA"`) {
		t.Errorf("a Reader sees %v", got)
	}

	// v3 sees it.
	id := policy[len("nb:ckpid:UUID:"):]
	whole, err := c.account.ContentKeyPolicySecrets(ctx, "policy-"+id)
	if err != nil || whole.ID != id || len(whole.Options) != 4 {
		t.Fatalf("%+v %v", whole, err)
	}
	rules, err := whole.Options[0].Token()
	if err != nil || rules.Issuer != "http://issuer/" || string(rules.Primary.Symmetric) != "first" || string(rules.Alternates[0].Symmetric) != "second" ||
		rules.Type != ams.SWT || rules.Claims[0].Type != ams.ContentKeyIDClaim || rules.Claims[0].Value != nil {
		t.Errorf("%+v %v", rules, err)
	}
	for i, want := range []string{
		`{"@odata.type":"#Microsoft.Media.ContentKeyPolicyClearKeyConfiguration"}`,
		`{"@odata.type":"#Microsoft.Media.ContentKeyPolicyPlayReadyConfiguration","licenses":[{"allowTestDevices":true,"contentKeyLocation":{"@odata.type":"#Microsoft.Media.ContentKeyPolicyPlayReadyContentEncryptionKeyFromHeader"},"contentType":"Unspecified","licenseType":"NonPersistent","playRight":{"allowPassingVideoContentToUnknownOutput":"Allowed","digitalVideoOnlyContentRestriction":false,"imageConstraintForAnalogComponentVideoRestriction":false,"imageConstraintForAnalogComputerMonitorRestriction":false}}]}`,
		`{"@odata.type":"#Microsoft.Media.ContentKeyPolicyWidevineConfiguration","widevineTemplate":"{\"allowed_track_types\":\"SD_HD\"}"}`,
		`{"@odata.type":"#Microsoft.Media.ContentKeyPolicyFairPlayConfiguration","ask":"MDEyMzQ1Njc4OWFiY2RlZg==","fairPlayPfx":"AAAA","fairPlayPfxPassword":"pässword","rentalAndLeaseKeyType":"PersistentUnlimited","rentalDuration":123}`,
	} {
		if got := string(whole.Options[i].Configuration); got != want {
			t.Errorf("option %d:\n%s\n%s", i, got, want)
		}
	}

	// v3 writes it back with one change, as it was shown: without secrets.
	shown, err := c.account.ContentKeyPolicy(ctx, whole.Name)
	if err != nil {
		t.Fatal(err)
	}
	shown.Options[1].Name = "renamed"
	shown.Options[2].Restriction = []byte(`{"@odata.type":"#Microsoft.Media.ContentKeyPolicyUnknownRestriction"}`)
	if _, err := c.account.UpdateContentKeyPolicy(ctx, whole.Name, account.ContentKeyPolicyInput{Options: shown.Options}); err != nil {
		t.Fatal(err)
	}
	if _, got := text("Contributor", ids[0]); got != tokenTemplate {
		t.Errorf("v3 touched what it did not change: %v", got)
	}
	if got, _ := text("Contributor", ids[3]); got != fairPlay {
		t.Errorf("v3 touched what it did not change: %v", got)
	}
	if _, got := text("Contributor", ids[2]); got != "10.0.0.0/8, 192.0.2.1" {
		t.Errorf("v3 cannot say an IP restriction, and takes it away: %v", got)
	}
	if o := c.get("ContentKeyAuthorizationPolicyOptions('" + ids[1] + "')"); o["Name"] != "renamed" {
		t.Errorf("%v", o)
	}

	// v2 writes back what a reader is shown: the secrets stay.
	_, masked := text("Reader", ids[0])
	masked = strings.Replace(masked.(string), "urn:test", "urn:other", 1)
	c.call(204, "Contributor", "MERGE", "ContentKeyAuthorizationPolicyOptions('"+ids[0]+"')", quoted(t, map[string]any{"Restrictions": []any{restriction(1, masked)}}))
	whole, err = c.account.ContentKeyPolicySecrets(ctx, whole.Name)
	if err != nil {
		t.Fatal(err)
	}
	if rules, err := whole.Options[0].Token(); err != nil || rules.Audience != "urn:other" || string(rules.Primary.Symmetric) != "first" || string(rules.Alternates[0].Symmetric) != "second" {
		t.Errorf("%+v %v", rules, err)
	}

	// A policy of v3 in v2.
	made, _, err := c.account.CreateOrUpdateContentKeyPolicy(ctx, "of v3", account.ContentKeyPolicyInput{Options: []ams.ContentKeyPolicyOption{{
		Name: "o", Configuration: whole.Options[1].Configuration, Restriction: whole.Options[0].Restriction}}})
	if err != nil {
		t.Fatal(err)
	}
	found := c.get("ContentKeyAuthorizationPolicies?$filter=" + url.QueryEscape("Name eq 'of v3'"))["value"].([]any)
	if len(found) != 1 || found[0].(map[string]any)["Id"] != "nb:ckpid:UUID:"+made.ID {
		t.Fatalf("%v", found)
	}
	o := c.get("ContentKeyAuthorizationPolicies('nb:ckpid:UUID:" + made.ID + "')/Options")["value"].([]any)[0].(map[string]any)
	requirements := o["Restrictions"].([]any)[0].(map[string]any)["Requirements"].(string)
	if o["KeyDeliveryType"] != 1.0 || !strings.Contains(o["KeyDeliveryConfiguration"].(string), "<AllowTestDevices>true</AllowTestDevices>") || !strings.Contains(requirements, "<KeyValue>Zmlyc3Q=</KeyValue>") {
		t.Errorf("%v", o)
	}
	// What v2 reads of it says the same when it writes it.
	c.call(204, "Contributor", "MERGE", "ContentKeyAuthorizationPolicyOptions('"+o["Id"].(string)+"')",
		quoted(t, map[string]any{"KeyDeliveryConfiguration": o["KeyDeliveryConfiguration"], "Restrictions": o["Restrictions"]}))
	again, err := c.account.ContentKeyPolicySecrets(ctx, "of v3")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(again.Options[0].Configuration), string(whole.Options[1].Configuration); got != want {
		t.Errorf("\n%s\n%s", got, want)
	}
	if rules, err := again.Options[0].Token(); err != nil || rules.Audience != "urn:other" || rules.Type != ams.SWT {
		t.Errorf("%+v %v", rules, err)
	}
	// v2 deletes the option, and v3 the policy with what is left.
	c.call(204, "Contributor", "DELETE", "ContentKeyAuthorizationPolicyOptions('"+o["Id"].(string)+"')", "")
	if again, err = c.account.ContentKeyPolicySecrets(ctx, "of v3"); err != nil || len(again.Options) != 0 {
		t.Errorf("%+v %v", again, err)
	}
	if existed, err := c.account.DeleteContentKeyPolicy(ctx, "of v3"); err != nil || !existed {
		t.Error(existed, err)
	}

	// In use: the key keeps it.
	k := c.key(keyGUID, 4, []byte("0123456789abcdef"))
	c.call(204, "Contributor", "PUT", k, `{"AuthorizationPolicyId":"`+policy+`"}`)
	c.call(409, "Contributor", "DELETE", p, "")
	c.call(204, "Contributor", "MERGE", k, `{"AuthorizationPolicyId":null}`)
	c.call(204, "Contributor", "DELETE", p+"/$links/Options('"+ids[0]+"')", "")
	c.call(404, "Contributor", "DELETE", p+"/$links/Options('"+ids[0]+"')", "")
	c.call(204, "Contributor", "DELETE", p, "")
	c.get("ContentKeyAuthorizationPolicyOptions('" + ids[0] + "')") // stays

	for _, tt := range []struct{ name, body, says string }{
		{"no XML", quoted(t, map[string]any{"KeyDeliveryType": 2, "Restrictions": []any{restriction(1, "<a")}}), "XML"},
		{"another root", quoted(t, map[string]any{"KeyDeliveryType": 2, "Restrictions": []any{restriction(1, "<a/>")}}), "TokenRestrictionTemplate"},
		{"no key", quoted(t, map[string]any{"KeyDeliveryType": 2, "Restrictions": []any{restriction(1, "<TokenRestrictionTemplate/>")}}), "primaryVerificationKey"},
		{"a key without value", quoted(t, map[string]any{"KeyDeliveryType": 2, "Restrictions": []any{restriction(1, strings.Replace(tokenTemplate, "Zmlyc3Q=", "", 1))}}), "keyValue"},
		{"no address", quoted(t, map[string]any{"KeyDeliveryType": 2, "Restrictions": []any{restriction(2, "here")}}), "here"},
		{"no such restriction", quoted(t, map[string]any{"KeyDeliveryType": 2, "Restrictions": []any{restriction(3, "")}}), "KeyRestrictionType"},
		{"no such delivery", `{"KeyDeliveryType":5}`, "KeyDeliveryType"},
		{"no licence", `{"KeyDeliveryType":1,"KeyDeliveryConfiguration":"<PlayReadyLicenseResponseTemplate/>"}`, "license"},
		{"no JSON", `{"KeyDeliveryType":3,"KeyDeliveryConfiguration":"x"}`, "Widevine"},
		{"no such key", `{"KeyDeliveryType":4,"KeyDeliveryConfiguration":"{}"}`, "ASkId"},
	} {
		if v := c.call(400, "Contributor", "POST", "ContentKeyAuthorizationPolicyOptions", tt.body); !strings.Contains(fmt.Sprint(v), tt.says) {
			t.Errorf("%s: %v", tt.name, v)
		}
	}
}

// The keys of a v3 locator are content keys of v2.
func TestLocatorKey(t *testing.T) {
	c := newKeyClient(t)
	ctx := context.Background()
	a := c.made("Assets", `{"Name":"a"}`)
	name := "asset-" + a[len("nb:cid:UUID:"):]
	open := []ams.ContentKeyPolicyOption{{Configuration: []byte(`{"@odata.type":"#Microsoft.Media.ContentKeyPolicyClearKeyConfiguration"}`), Restriction: []byte(`{"@odata.type":"#Microsoft.Media.ContentKeyPolicyOpenRestriction"}`)}}
	for _, name := range []string{"p", "q"} {
		if _, _, err := c.account.CreateOrUpdateContentKeyPolicy(ctx, name, account.ContentKeyPolicyInput{Options: open}); err != nil {
			t.Fatal(err)
		}
	}
	l, err := c.account.CreateLocator(ctx, "l", account.LocatorRequest{Asset: name, Policy: "Predefined_ClearKey", ContentKeyPolicy: "p",
		ContentKeys: []account.KeyRequest{{ID: keyGUID, Label: "clearKeyDefault", Value: []byte("0123456789abcdef")}}})
	if err != nil {
		t.Fatal(err)
	}
	list := c.get("Assets('" + a + "')/ContentKeys")["value"].([]any)
	if len(list) != 1 {
		t.Fatalf("%v", list)
	}
	k := list[0].(map[string]any)
	if k["Id"] != "nb:kid:UUID:"+keyGUID || k["ContentKeyType"] != 4.0 || k["ProtectionKeyId"] != c.thumbprint || k["AuthorizationPolicyId"] == nil {
		t.Errorf("%v", k)
	}
	if got := c.get("RebindContentKey?id='nb:kid:UUID:" + keyGUID + "'&x509Certificate=''")["value"]; got != "MDEyMzQ1Njc4OWFiY2RlZg==" {
		t.Errorf("%v", got)
	}
	path := "ContentKeys('nb:kid:UUID:" + keyGUID + "')"
	c.call(409, "Contributor", "DELETE", path, "")
	c.call(409, "Contributor", "POST", "ContentKeys", c.keyBody(keyGUID, 4, []byte("0123456789abcdef")))
	q, err := c.account.ContentKeyPolicy(ctx, "q")
	if err != nil {
		t.Fatal(err)
	}
	c.call(204, "Contributor", "MERGE", path, `{"AuthorizationPolicyId":"nb:ckpid:UUID:`+q.ID+`","Name":"now mine"}`)
	keys, err := c.account.ContentKeys(ctx, l.Name)
	if err != nil || keys[0].Policy != "q" {
		t.Errorf("%+v %v", keys, err)
	}
	// A key of v2 in a locator of v3.
	c.key("a16d14d4-b603-4d90-b8db-0fede8aa48f8", 4, []byte("fedcba9876543210"))
	if _, err := c.account.CreateLocator(ctx, "m", account.LocatorRequest{Asset: name, Policy: "Predefined_ClearKey", ContentKeyPolicy: "p",
		ContentKeys: []account.KeyRequest{{ID: "a16d14d4-b603-4d90-b8db-0fede8aa48f8", Label: "clearKeyDefault"}}}); err != nil {
		t.Fatal(err)
	}
	if keys, err = c.account.ContentKeys(ctx, "m"); err != nil || string(keys[0].Value) != "fedcba9876543210" {
		t.Errorf("%+v %v", keys, err)
	}
	if _, err := c.account.CreateLocator(ctx, "n", account.LocatorRequest{Asset: name, Policy: "Predefined_ClearKey", ContentKeyPolicy: "p",
		ContentKeys: []account.KeyRequest{{ID: "a16d14d4-b603-4d90-b8db-0fede8aa48f8", Label: "clearKeyDefault", Value: []byte("another one 1234")}}}); ams.CodeOf(err) != ams.Conflict {
		t.Errorf("%v", err)
	}
}
