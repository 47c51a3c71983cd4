package restv2

import (
	"encoding/json"
	"testing"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/restv2/odata"
)

// FuzzRequirements: what is taken of a token restriction reads back as the same
// when it is spelled again.
func FuzzRequirements(f *testing.F) {
	f.Add(`<TokenRestrictionTemplate xmlns:i="http://www.w3.org/2001/XMLSchema-instance" xmlns="http://schemas.microsoft.com/Azure/MediaServices/KeyDelivery/TokenRestrictionTemplate/v1"><AlternateVerificationKeys/><Audience>urn:test</Audience><Issuer>http://issuer/</Issuer><PrimaryVerificationKey i:type="SymmetricVerificationKey"><KeyValue>Zmlyc3Q=</KeyValue></PrimaryVerificationKey><RequiredClaims><TokenClaim><ClaimType>a</ClaimType><ClaimValue i:nil="true" /></TokenClaim></RequiredClaims><TokenType>JWT</TokenType></TokenRestrictionTemplate>`)
	f.Add(`<TokenRestrictionTemplate xmlns:i="x"><OpenIdConnectDiscoveryDocument><OpenIdDiscoveryUri>https://login/.well-known</OpenIdDiscoveryUri></OpenIdConnectDiscoveryDocument></TokenRestrictionTemplate>`)
	f.Add(`<TokenRestrictionTemplate xmlns:i="x"><PrimaryVerificationKey i:type="b:RsaTokenVerificationKey"><RawBody>eyJlIjoiQVFBQiIsIm4iOiJBQUFBIn0=</RawBody></PrimaryVerificationKey></TokenRestrictionTemplate>`)
	f.Add(`<TokenRestrictionTemplate xmlns:i="x"><PrimaryVerificationKey i:type="b:RsaTokenVerificationKey"><RawBody>eyJlIjoiQVFBQiIsIm0iOiJ00010In0=</RawBody></PrimaryVerificationKey></TokenRestrictionTemplate>`)
	f.Fuzz(func(t *testing.T, s string) {
		once, _, err := readRestrictions([]any{odata.Entity{"KeyRestrictionType": int64(1), "Requirements": s}})
		if err != nil {
			return
		}
		o := ams.ContentKeyPolicyOption{Restriction: once, Configuration: []byte(`{"@odata.type":"#Microsoft.Media.ContentKeyPolicyClearKeyConfiguration"}`)}
		if o.Validate("option") != nil { // such as an RSA key without a modulus
			return
		}
		text := requirementsText(&o, tokenRestriction)
		twice, _, err := readRestrictions([]any{odata.Entity{"KeyRestrictionType": int64(1), "Requirements": text}})
		if err != nil {
			t.Fatalf("%s: %s is refused: %v", once, text, err)
		}
		a, _ := (&ams.ContentKeyPolicyOption{Restriction: once}).Token()
		b, _ := (&ams.ContentKeyPolicyOption{Restriction: twice}).Token()
		x, _ := json.Marshal(a)
		y, _ := json.Marshal(b)
		if string(x) != string(y) {
			t.Fatalf("%s\n%s\n%s", x, text, y)
		}
	})
}

// FuzzPlayReady is the same for PlayReady templates.
func FuzzPlayReady(f *testing.F) {
	f.Add(`<PlayReadyLicenseResponseTemplate xmlns:i="x"><LicenseTemplates><PlayReadyLicenseTemplate><BeginDate>2016-01-01T00:00:00Z</BeginDate><ContentKey i:type="ContentEncryptionKeyFromHeader" /><ContentType>UltravioletDownload</ContentType><GracePeriod>PT1H</GracePeriod><PlayRight><AgcAndColorStripeRestriction><ConfigurationData>1</ConfigurationData></AgcAndColorStripeRestriction><AnalogVideoOpl>100</AnalogVideoOpl><ExplicitAnalogTelevisionOutputRestriction><BestEffort>true</BestEffort><ConfigurationData>2</ConfigurationData></ExplicitAnalogTelevisionOutputRestriction></PlayRight></PlayReadyLicenseTemplate></LicenseTemplates><ResponseCustomData>&lt;x/&gt;</ResponseCustomData></PlayReadyLicenseResponseTemplate>`)
	f.Add(`<PlayReadyLicenseResponseTemplate xmlns:i="x"><LicenseTemplates><PlayReadyLicenseTemplate><ContentKey i:type="ContentEncryptionKeyFromKeyIdentifier"><KeyIdentifier>316d14d4-b603-4d90-b8db-0fede8aa48f8</KeyIdentifier></ContentKey></PlayReadyLicenseTemplate></LicenseTemplates></PlayReadyLicenseResponseTemplate>`)
	f.Fuzz(func(t *testing.T, s string) {
		once, err := readDelivery(1, s, nil)
		if err != nil {
			return
		}
		text := configurationText(&ams.ContentKeyPolicyOption{Configuration: once})
		if len(text) > maxOptionText || len(text) > maxXML {
			return
		}
		twice, err := readDelivery(1, text, nil)
		if err != nil {
			t.Fatalf("%s: %s is refused: %v", once, text, err)
		}
		if string(once) != string(twice) {
			t.Fatalf("%s\n%s\n%s", once, text, twice)
		}
	})
}
