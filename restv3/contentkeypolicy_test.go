package restv3_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
)

const (
	openClearKey = `{"name":"open","configuration":{"@odata.type":"#Microsoft.Media.ContentKeyPolicyClearKeyConfiguration"},
		"restriction":{"@odata.type":"#Microsoft.Media.ContentKeyPolicyOpenRestriction"}}`
	// As in "Use DRM dynamic encryption", with keys of ours.
	tokenPlayReady = `{"name":"PlayReady","configuration":{"@odata.type":"#Microsoft.Media.ContentKeyPolicyPlayReadyConfiguration","licenses":[
			{"allowTestDevices":true,"beginDate":"2016-01-01T00:00:00Z","contentKeyLocation":{"@odata.type":"#Microsoft.Media.ContentKeyPolicyPlayReadyContentEncryptionKeyFromHeader"},
			"contentType":"UltraVioletStreaming","licenseType":"Persistent","playRight":{"imageConstraintForAnalogComponentVideoRestriction":true,
			"explicitAnalogTelevisionOutputRestriction":{"bestEffort":true,"configurationData":2},"allowPassingVideoContentToUnknownOutput":"Allowed",
			"digitalVideoOnlyContentRestriction":false,"imageConstraintForAnalogComputerMonitorRestriction":false}}]},
		"restriction":{"@odata.type":"#Microsoft.Media.ContentKeyPolicyTokenRestriction","issuer":"https://issuer","audience":"aud","restrictionTokenType":"Jwt",
			"primaryVerificationKey":{"@odata.type":"#Microsoft.Media.ContentKeyPolicySymmetricTokenKey","keyValue":"c2VjcmV0IHNlY3JldCBzZWNyZXQ="},
			"alternateVerificationKeys":[{"@odata.type":"#Microsoft.Media.ContentKeyPolicySymmetricTokenKey","keyValue":"c2VjcmV0IHNlY3JldCBzZWNyZXQ="}],
			"requiredClaims":[{"claimType":"urn:microsoft:azure:mediaservices:contentkeyidentifier"},{"claimType":"role","claimValue":"viewer"}]}}`
	fairPlay = `{"name":"FairPlay","configuration":{"@odata.type":"#Microsoft.Media.ContentKeyPolicyFairPlayConfiguration","ask":"MTIzNDU2Nzg5MDEyMzQ1Ng==",
			"fairPlayPfx":"c2VjcmV0","fairPlayPfxPassword":"secret","rentalAndLeaseKeyType":"DualExpiry","rentalDuration":0,
			"offlineRentalConfiguration":{"playbackDurationSeconds":500000,"storageDurationSeconds":300000}},
		"restriction":{"@odata.type":"#Microsoft.Media.ContentKeyPolicyOpenRestriction"}}`
	widevine = `{"name":"Widevine","configuration":{"@odata.type":"#Microsoft.Media.ContentKeyPolicyWidevineConfiguration","widevineTemplate":"{\"allowed_track_types\":\"SD_HD\"}"},
		"restriction":{"@odata.type":"#Microsoft.Media.ContentKeyPolicyOpenRestriction"}}`
)

// certificate is a certificate in DER and its public key.
func certificate(t testing.TB) (der []byte, key *rsa.PublicKey) {
	t.Helper()
	private := must(rsa.GenerateKey(rand.Reader, 2048))(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	return must(x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private))(t), &private.PublicKey
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func TestContentKeyPolicies(t *testing.T) {
	w := newWorld(t, func(c *account.Config) { c.Now = clock })
	put := func(options ...string) string {
		return `{"properties":{"description":"d","options":[` + strings.Join(options, ",") + `]}}`
	}
	const path = "/contentKeyPolicies/drm"
	w.want(201, "PUT", path, put(openClearKey, tokenPlayReady, fairPlay, widevine))
	for _, version := range []string{"2018-07-01", "2023-01-01"} {
		golden(t, "contentkeypolicy."+version+".json", w.want(200, "GET", path+"?api-version="+version, "").body)
		golden(t, "contentkeypolicysecrets."+version+".json", w.want(200, "POST", path+"/getPolicyPropertiesWithSecrets?api-version="+version, "").body)
	}
	secrets := func() (v any) {
		t.Helper()
		if err := json.Unmarshal([]byte(w.want(200, "POST", path+"/getPolicyPropertiesWithSecrets", "").body), &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	whole := secrets()
	for _, a := range []answer{w.want(200, "GET", path, ""), w.want(200, "GET", "/contentKeyPolicies", ""), w.want(200, "PUT", path, put(openClearKey, tokenPlayReady, fairPlay, widevine)), w.want(200, "PATCH", path, `{}`)} {
		for _, secret := range []string{"c2VjcmV0", "MTIzNDU2", `"secret"`} {
			if strings.Contains(a.body, secret) {
				t.Errorf("%s in %s", secret, a.body)
			}
		}
	}

	// What clients were shown they may send back: nothing is lost.
	shown := w.want(200, "GET", path, "").body
	w.want(200, "PATCH", path, shown)
	w.want(200, "PUT", path, shown)
	if diff := cmp.Diff(whole, secrets()); diff != "" {
		t.Errorf("after PATCH and PUT of what GET said (-before +after):\n%s", diff)
	}
	// Options keep their ids by name, else by place.
	id := func(a answer, i int) any { return a.at(fmt.Sprintf("properties/options/%d/policyOptionId", i)) }
	before := w.want(200, "GET", path, "")
	after := w.want(200, "PATCH", path, put(widevine, openClearKey, strings.Replace(fairPlay, "FairPlay", "renamed", 1)))
	if id(after, 0) != id(before, 3) || id(after, 1) != id(before, 0) || id(after, 2) != id(before, 2) || id(after, 3) != nil {
		t.Errorf("ids before %s\nafter %s", before.body, after.body)
	}
	if a := w.want(200, "PATCH", path, `{"properties":{"description":null}}`); a.at("properties/description") != nil || id(a, 2) != id(before, 2) {
		t.Errorf("PATCH of the description: %s", a.body)
	}

	// Every kind of token key, and the shape that reading gives.
	der, public := certificate(t)
	keys := []string{
		`{"@odata.type":"#Microsoft.Media.ContentKeyPolicyX509CertificateTokenKey","rawBody":"` + b64(der) + `"}`,
		`{"@odata.type":"#Microsoft.Media.ContentKeyPolicyRsaTokenKey","exponent":"AQAB","modulus":"` + b64(public.N.Bytes()) + `"}`,
	}
	w.want(201, "PUT", "/contentKeyPolicies/keys", put(`{"configuration":{"@odata.type":"#Microsoft.Media.ContentKeyPolicyClearKeyConfiguration"},
		"restriction":{"@odata.type":"#Microsoft.Media.ContentKeyPolicyTokenRestriction","issuer":"i","audience":"a","restrictionTokenType":"Jwt",
		"primaryVerificationKey":`+keys[0]+`,"alternateVerificationKeys":[`+keys[1]+`]}}`))
	acc := must(w.accounts.Account(t.Context(), w.folder.SubscriptionID, group, acct))(t)
	p := must(acc.ContentKeyPolicySecrets(t.Context(), "KEYS"))(t)
	rules := must(p.Options[0].Token())(t)
	if rules.Type != ams.JWT || rules.Primary.Type != ams.CertificateTokenKey || string(rules.Primary.Certificate) != string(der) ||
		rules.Alternates[0].Type != ams.RSATokenKey || new(big.Int).SetBytes(rules.Alternates[0].Modulus).Cmp(public.N) != 0 || p.Options[0].Delivers() != ams.ClearKeyConfiguration {
		t.Errorf("read: %+v", rules)
	}

	token := func(rest string) string {
		return put(`{"configuration":{"@odata.type":"#Microsoft.Media.ContentKeyPolicyClearKeyConfiguration"},
			"restriction":{"@odata.type":"#Microsoft.Media.ContentKeyPolicyTokenRestriction"` + rest + `}}`)
	}
	const at = "properties.options[0]."
	for _, tt := range []struct{ body, code, target, text string }{
		{`{"properties":{}}`, "BadRequest", "properties.options", "at least one"},
		{put(), "BadRequest", "properties.options", "at least one"},
		{put(strings.Repeat(openClearKey+",", 30) + openClearKey), "BadRequest", "properties.options", "30"},
		{put(`{}`), "BadRequest", at + "configuration", ""},
		{put(`{"configuration":{"@odata.type":"#Microsoft.Media.ContentKeyPolicyNoConfiguration"}}`), "BadRequest", at + "configuration.@odata.type", "NoConfiguration"},
		{put(strings.Replace(openClearKey, "OpenRestriction", "ClosedRestriction", 1)), "BadRequest", at + "restriction.@odata.type", ""},
		{put(strings.Replace(tokenPlayReady, `"Persistent"`, `"Eternal"`, 1)), "BadRequest", at + "configuration.licenses[0].licenseType", "Eternal"},
		{put(strings.Replace(tokenPlayReady, `"configurationData":2`, `"configurationData":4`, 1)), "BadRequest", at + "configuration.licenses[0].playRight.explicitAnalogTelevisionOutputRestriction.configurationData", "0 to 3"},
		{put(strings.Replace(tokenPlayReady, `"2016-01-01T00:00:00Z"`, `"soon"`, 1)), "InvalidRequestContent", at + "configuration.licenses[0].beginDate", "soon"},
		{put(strings.Replace(fairPlay, `"ask":"MTIzNDU2Nzg5MDEyMzQ1Ng=="`, `"ask":"%"`, 1)), "BadRequest", at + "configuration.ask", "base64"},
		{put(strings.Replace(fairPlay, `"rentalDuration":0`, `"rentalDuration":-1`, 1)), "BadRequest", at + "configuration.rentalDuration", ""},
		{token(`,"audience":"a","restrictionTokenType":"Jwt"`), "BadRequest", at + "restriction.issuer", "missing"},
		{token(`,"issuer":"i","audience":"a","restrictionTokenType":"Saml"`), "BadRequest", at + "restriction.restrictionTokenType", "Saml"},
		{token(`,"issuer":"i","audience":"a","restrictionTokenType":"Jwt"`), "BadRequest", at + "restriction.primaryVerificationKey", ""},
		{token(`,"issuer":"i","audience":"a","restrictionTokenType":"Jwt","primaryVerificationKey":{"@odata.type":"#Microsoft.Media.ContentKeyPolicySymmetricTokenKey","keyValue":null}`), "BadRequest", at + "restriction.primaryVerificationKey.keyValue", "missing"},
	} {
		w.refused(400, tt.code, tt.target, tt.text, "PUT", "/contentKeyPolicies/bad", tt.body)
	}
	w.want(404, "GET", "/contentKeyPolicies/bad", "")
	w.want(404, "PATCH", "/contentKeyPolicies/bad", put(openClearKey))
	w.want(404, "POST", "/contentKeyPolicies/bad/getPolicyPropertiesWithSecrets", "")
	if a := w.as("Reader", "POST", path+"/getPolicyPropertiesWithSecrets", ""); a.status != 403 {
		t.Errorf("a Reader sees secrets: %d %s", a.status, a.body)
	}
	if a := w.want(200, "GET", "/contentKeyPolicies?$filter=properties/policyId%20eq%20"+before.at("properties/policyId").(string), ""); a.at("value/0/name") != "drm" || a.at("value/1") != nil {
		t.Errorf("filtered: %s", a.body)
	}
	if a := w.want(200, "GET", "/contentKeyPolicies?$orderby=properties/lastModified%20desc&$top=1", ""); a.at("value/0/name") == nil || a.at("value/1") != nil {
		t.Errorf("ordered: %s", a.body)
	}
	w.want(200, "DELETE", "/contentKeyPolicies/KEYS", "")
	w.want(204, "DELETE", "/contentKeyPolicies/keys", "")
}

// TestSecretsAtRest: nothing of a key or a policy is readable in the files of
// the catalog.
func TestSecretsAtRest(t *testing.T) {
	w := newWorld(t, nil)
	w.want(201, "PUT", "/assets/a", `{"properties":{}}`)
	w.want(201, "PUT", "/contentKeyPolicies/p", `{"properties":{"options":[`+tokenPlayReady+`,`+fairPlay+`]}}`)
	value := "0123456789abcdef"
	w.want(201, "PUT", "/streamingLocators/l", `{"properties":{"assetName":"a","streamingPolicyName":"Predefined_ClearKey","defaultContentKeyPolicyName":"p",
		"contentKeys":[{"id":"aaaaaaaa-1111-2222-3333-444444444444","labelReferenceInStreamingPolicy":"clearKeyDefault","value":"`+b64([]byte(value))+`"}]}}`)
	files := must(filepath.Glob(filepath.Join(w.dir, "openams.db*")))(t)
	read := 0
	for _, file := range files {
		b := must(os.ReadFile(file))(t)
		read += len(b)
		for _, secret := range []string{value, b64([]byte(value)), "c2VjcmV0", "MTIzNDU2Nzg5MDEyMzQ1Ng", "https://issuer"} {
			if strings.Contains(string(b), secret) {
				t.Errorf("%s is readable in %s", secret, filepath.Base(file))
			}
		}
	}
	if read == 0 {
		t.Fatal("no files of the catalog")
	}
}
