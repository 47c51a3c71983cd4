package ams

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestPredefinedKeys: what they serve, and that they name their keys.
func TestPredefinedKeys(t *testing.T) {
	for _, p := range PredefinedPolicies() {
		if got, want := p.NeedsKeys(), strings.Contains(p.Name, "Drm") || p.Name == "Predefined_ClearKey"; got != want {
			t.Errorf("%s needs keys: %v", p.Name, got)
		}
		for _, s := range Schemes()[1:] {
			e, err := p.Encryption(s)
			if err != nil {
				t.Fatal(err)
			}
			if (e != nil) != (len(p.Protocols[s]) > 0) {
				t.Errorf("%s: %s is offered: %v, for %v", p.Name, s, e != nil, p.Protocols[s])
			}
			if e != nil && (len(e.Keys()) != 1 || e.Keys()[0].Label == "" || e.DeliveredElsewhere()) {
				t.Errorf("%s: keys of %s: %+v", p.Name, s, e.Keys())
			}
		}
	}
	p := PredefinedPolicies()[5]
	if !p.Allows(CBCS, HLS) || p.Allows(CBCS, DASH) || !p.Allows(CENC, DASH) || p.Allows(CENC, HLS) || !p.Allows(Envelope, HLS) || p.Allows(NoEncryption, HLS) {
		t.Errorf("%s serves %v", p.Name, p.Protocols)
	}
}

func TestStreamingPolicyValidate(t *testing.T) {
	const hls = `"enabledProtocols":{"download":false,"dash":false,"hls":true,"smoothStreaming":false}`
	for _, tt := range []struct{ body, target string }{
		{`{"envelopeEncryption":{` + hls + `}}`, ""},
		{`{"noEncryption":{"enabledProtocols":{"download":true}}}`, ""},
		{`{"commonEncryptionCbcs":{` + hls + `,"drm":{"fairPlay":{"allowPersistentLicense":true,"customLicenseAcquisitionUrlTemplate":"skd://h/{ContentKeyId}"}}}}`, ""},
		{`{"commonEncryptionCenc":{` + hls + `,"contentKeys":{"defaultKey":{"label":"a"},"keyToTrackMappings":[{"label":"b","tracks":[{"trackSelections":[{"property":"FourCC","operation":"Equal","value":"hev1"}]}]}]}}}`, ""},

		{`{}`, "properties"},
		{`{"noEncryption":{"enabledProtocols":{}}}`, "properties"},
		{`{"noEncryption":{}}`, "properties.noEncryption.enabledProtocols"},
		{`{"envelopeEncryption":{"enabledProtocols":{"hls":true,"download":true}}}`, "properties.envelopeEncryption.enabledProtocols.download"},
		{`{"commonEncryptionCbcs":{"enabledProtocols":{"smoothStreaming":true}}}`, "properties.commonEncryptionCbcs.enabledProtocols.smoothStreaming"},
		{`{"commonEncryptionCenc":{` + hls + `,"contentKeys":{"keyToTrackMappings":[{"label":"b"}]}}}`, "properties.commonEncryptionCenc.contentKeys.defaultKey"},
		{`{"commonEncryptionCenc":{` + hls + `,"contentKeys":{"defaultKey":{"label":"a"},"keyToTrackMappings":[{"label":"b"}]}}}`, "properties.commonEncryptionCenc.contentKeys.keyToTrackMappings[0].tracks"},
		{`{"commonEncryptionCenc":{` + hls + `,"contentKeys":{"defaultKey":{"label":"a"},"keyToTrackMappings":[{"label":"A","tracks":[{"trackSelections":[{"property":"FourCC","operation":"Equal","value":"hev1"}]}]}]}}}`, "properties.commonEncryptionCenc.contentKeys.keyToTrackMappings[0].label"},
		{`{"commonEncryptionCenc":{` + hls + `,"contentKeys":{"defaultKey":{},"keyToTrackMappings":[{"tracks":[]}]}}}`, "properties.commonEncryptionCenc.contentKeys.keyToTrackMappings[0].label"},
		{`{"commonEncryptionCenc":{` + hls + `,"clearTracks":[{"trackSelections":[]}]}}`, "properties.commonEncryptionCenc.clearTracks[0].trackSelections"},
		{`{"commonEncryptionCenc":{` + hls + `,"clearTracks":[{"trackSelections":[{"property":"Unknown","operation":"Equal","value":"x"}]}]}}`, "properties.commonEncryptionCenc.clearTracks[0].trackSelections[0]"},
		{`{"envelopeEncryption":{` + hls + `,"customKeyAcquisitionUrlTemplate":"keys/{ContentKeyId}"}}`, "properties.envelopeEncryption.customKeyAcquisitionUrlTemplate"},
		{`{"commonEncryptionCenc":{` + hls + `,"drm":{"widevine":{"customLicenseAcquisitionUrlTemplate":"://"}}}}`, "properties.commonEncryptionCenc.drm.widevine.customLicenseAcquisitionUrlTemplate"},
	} {
		p := &StreamingPolicy{Name: "p", Body: json.RawMessage(tt.body)}
		err := p.Validate()
		e, _ := err.(*Error)
		if tt.target == "" && err != nil || tt.target != "" && (e == nil || e.Target != tt.target) {
			t.Errorf("%s: %v (%+v), want target %q", tt.body, err, e, tt.target)
		}
	}
}

func TestExpandTemplate(t *testing.T) {
	for template, want := range map[string]string{
		"https://h/?kid={ContentKeyId}&a={alternativemediaid}": "https://h/?kid=k+1&a=m%26",
		"https://h/{ContentKeyId}/{ContentKeyId}/{Other}":      "https://h/k+1/k+1/{Other}",
		"İ{ASSETALTERNATIVEID}":                                "İm%26",
	} {
		if got := ExpandTemplate(template, "k 1", "m&"); got != want {
			t.Errorf("%s: %s, want %s", template, got, want)
		}
	}
}

const (
	open     = `{"@odata.type":"#Microsoft.Media.ContentKeyPolicyOpenRestriction"}`
	clearKey = `{"@odata.type":"#Microsoft.Media.ContentKeyPolicyClearKeyConfiguration"}`
)

func policyWith(configuration, restriction string) *ContentKeyPolicy {
	return &ContentKeyPolicy{Name: "p", Options: []ContentKeyPolicyOption{{ID: "1", Configuration: json.RawMessage(configuration), Restriction: json.RawMessage(restriction)}}}
}

func token(rest string) string {
	return `{"@odata.type":"#Microsoft.Media.ContentKeyPolicyTokenRestriction","issuer":"i","audience":"a"` + rest + `}`
}

func TestContentKeyPolicyValidate(t *testing.T) {
	const symmetric = `{"@odata.type":"#Microsoft.Media.ContentKeyPolicySymmetricTokenKey","keyValue":"AAAA"}`
	const rsa = `"@odata.type":"#Microsoft.Media.ContentKeyPolicyRsaTokenKey"`
	modulus := `"modulus":"` + strings.Repeat("//79", 64) + `"`
	fairPlay := func(rest string) string {
		return `{"@odata.type":"#Microsoft.Media.ContentKeyPolicyFairPlayConfiguration"` + rest + `}`
	}
	playReady := func(licenses string) string {
		return `{"@odata.type":"#Microsoft.Media.ContentKeyPolicyPlayReadyConfiguration","licenses":[` + licenses + `]}`
	}
	for _, tt := range []struct{ configuration, restriction, target string }{
		{clearKey, open, ""},
		{clearKey, token(`,"restrictionTokenType":"Swt","primaryVerificationKey":` + symmetric), ""},
		{clearKey, token(`,"restrictionTokenType":"Jwt","primaryVerificationKey":{` + rsa + `,"exponent":"AQAB",` + modulus + `}`), ""},
		{clearKey, token(`,"restrictionTokenType":"Jwt","openIdConnectDiscoveryDocument":"https://h/.well-known/openid-configuration"`), ""},
		{clearKey, `{"@odata.type":"#Microsoft.Media.ContentKeyPolicyUnknownRestriction"}`, ""},

		{"", open, "configuration"},
		{clearKey, "", "restriction"},
		{clearKey, token(`,"restrictionTokenType":"Unknown"`), "restriction.restrictionTokenType"},
		{clearKey, token(`,"restrictionTokenType":"Jwt"`), "restriction.primaryVerificationKey"},
		{clearKey, token(`,"restrictionTokenType":"Jwt","primaryVerificationKey":{"@odata.type":"#Microsoft.Media.ContentKeyPolicySymmetricTokenKey"}`), "restriction.primaryVerificationKey.keyValue"},
		{clearKey, token(`,"restrictionTokenType":"Swt","primaryVerificationKey":{` + rsa + `}`), "restriction.primaryVerificationKey.@odata.type"},
		{clearKey, token(`,"restrictionTokenType":"Jwt","primaryVerificationKey":{` + rsa + `,"exponent":"AQAB"}`), "restriction.primaryVerificationKey.modulus"},
		{clearKey, token(`,"restrictionTokenType":"Jwt","primaryVerificationKey":{` + rsa + `,"exponent":"AQAB","modulus":"AQAB"}`), "restriction.primaryVerificationKey.modulus"},
		{clearKey, token(`,"restrictionTokenType":"Jwt","primaryVerificationKey":{` + rsa + `,"exponent":"AA==",` + modulus + `}`), "restriction.primaryVerificationKey.exponent"},
		{clearKey, token(`,"restrictionTokenType":"Jwt","primaryVerificationKey":` + symmetric + `,"alternateVerificationKeys":[{"@odata.type":"#Microsoft.Media.ContentKeyPolicyX509CertificateTokenKey","rawBody":"AAAA"}]`), "restriction.alternateVerificationKeys[0].rawBody"},
		{clearKey, token(`,"restrictionTokenType":"Jwt","openIdConnectDiscoveryDocument":"http://h/"`), "restriction.openIdConnectDiscoveryDocument"},
		{clearKey, token(`,"restrictionTokenType":"Swt","openIdConnectDiscoveryDocument":"https://h/"`), "restriction.openIdConnectDiscoveryDocument"},
		{clearKey, token(`,"restrictionTokenType":"Jwt","primaryVerificationKey":` + symmetric + `,"requiredClaims":[{"claimValue":"v"}]`), "restriction.requiredClaims[0].claimType"},
		{`{"@odata.type":"#Microsoft.Media.ContentKeyPolicyWidevineConfiguration","widevineTemplate":"no"}`, open, "configuration.widevineTemplate"},
		{fairPlay(""), open, "configuration.ask"},
		{fairPlay(`,"ask":"MTIzNDU2Nzg5MDEyMzQ1Ng=="`), open, "configuration.fairPlayPfx"},
		{fairPlay(`,"ask":"MTIzNDU2Nzg5MDEyMzQ1Ng==","fairPlayPfx":"AAAA"`), open, "configuration.fairPlayPfxPassword"},
		{playReady(""), open, "configuration.licenses"},
		{playReady(`{}`), open, "configuration.licenses[0].contentKeyLocation"},
		{playReady(`{"beginDate":"x","relativeBeginDate":"x"}`), open, "configuration.licenses[0].relativeBeginDate"},
		{playReady(`{"expirationDate":"x","relativeExpirationDate":"x"}`), open, "configuration.licenses[0].relativeExpirationDate"},
	} {
		err := policyWith(tt.configuration, tt.restriction).Validate()
		e, _ := err.(*Error)
		if tt.target == "" && err != nil || tt.target != "" && (e == nil || e.Target != "properties.options[0]."+tt.target) {
			t.Errorf("%s %s: %v (%+v), want target %q", tt.configuration, tt.restriction, err, e, tt.target)
		}
	}
	p := policyWith(clearKey, open)
	for len(p.Options) < MaxContentKeyPolicyOptions {
		p.Options = append(p.Options, p.Options[0])
	}
	if err := p.Validate(); err != nil {
		t.Errorf("30 options: %v", err)
	}
	p.Options = append(p.Options, p.Options[0])
	if p.Validate() == nil {
		t.Error("31 options are taken")
	}
	p = policyWith(clearKey, `{"@odata.type":"#Microsoft.Media.ContentKeyPolicyOpenRestriction","x":"`+strings.Repeat("x", maxPolicySize)+`"}`)
	if p.Validate() == nil {
		t.Error("options without bound are taken")
	}
	p.Options = nil
	if err := p.Validate(); err != nil {
		t.Errorf("a policy as v2 makes it: %v", err)
	}
}

// TestSecrets: what Redact takes away, Keep brings back, and nothing else.
func TestSecrets(t *testing.T) {
	const key = `{"@odata.type":"#Microsoft.Media.ContentKeyPolicySymmetricTokenKey","keyValue":"c2VjcmV0"}`
	whole := func() *ContentKeyPolicy {
		return policyWith(`{"@odata.type":"#Microsoft.Media.ContentKeyPolicyFairPlayConfiguration","ask":"c2VjcmV0","fairPlayPfx":"c2VjcmV0","fairPlayPfxPassword":"c2VjcmV0","rentalDuration":9007199254740993}`,
			token(`,"primaryVerificationKey":`+key+`,"alternateVerificationKeys":[`+key+`,{"@odata.type":"#Microsoft.Media.ContentKeyPolicyRsaTokenKey","exponent":"c2VjcmV0","modulus":"c2VjcmV0"}]`))
	}
	text := func(p *ContentKeyPolicy) string {
		b, err := json.Marshal(p.Options)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	p, old := whole(), whole()
	p.Redact()
	if shown := text(p); strings.Contains(shown, "c2VjcmV0") || strings.Contains(shown, "keyValue") || !strings.Contains(shown, "9007199254740993") {
		t.Errorf("shown: %s", shown)
	}
	p.Keep(old)
	old.Keep(old) // the same order of members
	if text(p) != text(old) {
		t.Errorf("kept:\n%s\nwant\n%s", text(p), text(old))
	}

	p = whole()
	p.Options[0].ID = "2"
	p.Redact()
	if p.Keep(old); strings.Contains(text(p), "c2VjcmV0") {
		t.Errorf("another option took secrets: %s", text(p))
	}
	p = policyWith(clearKey, token(`,"primaryVerificationKey":{"@odata.type":"#Microsoft.Media.ContentKeyPolicyX509CertificateTokenKey"}`))
	if p.Keep(old); strings.Contains(text(p), "c2VjcmV0") {
		t.Errorf("a key of another type took secrets: %s", text(p))
	}
}
