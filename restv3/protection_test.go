package restv3_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	ms "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/mediaservices/armmediaservices/v3"
)

// TestSDKProtection runs content key policies, custom streaming policies and
// locators with keys through the official client, as the samples do.
func TestSDKProtection(t *testing.T) {
	w := newWorld(t, nil)
	f, ctx := w.factory(), t.Context()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	fails := func(err error, status int) {
		t.Helper()
		if re, ok := errors.AsType[*azcore.ResponseError](err); !ok || re.StatusCode != status {
			t.Errorf("got %v, want %d", err, status)
		}
	}
	w.want(201, "PUT", "/assets/a", `{"properties":{}}`)
	der, public := certificate(t)

	policies := client(f, ms.NewContentKeyPoliciesClient)
	secret := []byte("a secret of thirty-two bytes, or")
	made, err := policies.CreateOrUpdate(ctx, group, acct, "drm", ms.ContentKeyPolicy{Properties: &ms.ContentKeyPolicyProperties{
		Description: to.Ptr("d"),
		Options: []*ms.ContentKeyPolicyOption{
			{
				Name:          to.Ptr("clear"),
				Configuration: &ms.ContentKeyPolicyClearKeyConfiguration{ODataType: to.Ptr("#Microsoft.Media.ContentKeyPolicyClearKeyConfiguration")},
				Restriction: &ms.ContentKeyPolicyTokenRestriction{
					ODataType: to.Ptr("#Microsoft.Media.ContentKeyPolicyTokenRestriction"), Issuer: to.Ptr("i"), Audience: to.Ptr("a"), RestrictionTokenType: to.Ptr(ms.ContentKeyPolicyRestrictionTokenTypeJwt),
					PrimaryVerificationKey: &ms.ContentKeyPolicySymmetricTokenKey{ODataType: to.Ptr("#Microsoft.Media.ContentKeyPolicySymmetricTokenKey"), KeyValue: secret},
					AlternateVerificationKeys: []ms.ContentKeyPolicyRestrictionTokenKeyClassification{
						&ms.ContentKeyPolicyRsaTokenKey{ODataType: to.Ptr("#Microsoft.Media.ContentKeyPolicyRsaTokenKey"), Exponent: []byte{1, 0, 1}, Modulus: public.N.Bytes()},
						&ms.ContentKeyPolicyX509CertificateTokenKey{ODataType: to.Ptr("#Microsoft.Media.ContentKeyPolicyX509CertificateTokenKey"), RawBody: der},
					},
					RequiredClaims: []*ms.ContentKeyPolicyTokenClaim{{ClaimType: to.Ptr("urn:microsoft:azure:mediaservices:contentkeyidentifier")}},
				},
			},
			{
				Name: to.Ptr("fairplay"),
				Configuration: &ms.ContentKeyPolicyFairPlayConfiguration{
					ODataType: to.Ptr("#Microsoft.Media.ContentKeyPolicyFairPlayConfiguration"), Ask: secret[:16], FairPlayPfx: to.Ptr("AAAA"), FairPlayPfxPassword: to.Ptr("pw"),
					RentalAndLeaseKeyType: to.Ptr(ms.ContentKeyPolicyFairPlayRentalAndLeaseKeyTypePersistentUnlimited), RentalDuration: to.Ptr[int64](2249),
				},
				Restriction: &ms.ContentKeyPolicyOpenRestriction{ODataType: to.Ptr("#Microsoft.Media.ContentKeyPolicyOpenRestriction")},
			},
		},
	}}, nil)
	check(err)
	restriction := func(p *ms.ContentKeyPolicyProperties) *ms.ContentKeyPolicyTokenRestriction {
		t.Helper()
		r, ok := p.Options[0].Restriction.(*ms.ContentKeyPolicyTokenRestriction)
		if !ok {
			t.Fatalf("restriction %T", p.Options[0].Restriction)
		}
		return r
	}
	if k := restriction(made.Properties).PrimaryVerificationKey.(*ms.ContentKeyPolicySymmetricTokenKey); k.KeyValue != nil {
		t.Errorf("a secret came back: %s", k.KeyValue)
	}

	// GET, change, PATCH: the secrets that GET left out stay.
	got, err := policies.Get(ctx, group, acct, "drm", nil)
	check(err)
	restriction(got.Properties).Audience = to.Ptr("b")
	_, err = policies.Update(ctx, group, acct, "drm", ms.ContentKeyPolicy{Properties: &ms.ContentKeyPolicyProperties{Options: got.Properties.Options}}, nil)
	check(err)
	whole, err := policies.GetPolicyPropertiesWithSecrets(ctx, group, acct, "drm", nil)
	check(err)
	r := restriction(&whole.ContentKeyPolicyProperties)
	if *r.Audience != "b" || string(r.PrimaryVerificationKey.(*ms.ContentKeyPolicySymmetricTokenKey).KeyValue) != string(secret) ||
		string(r.AlternateVerificationKeys[1].(*ms.ContentKeyPolicyX509CertificateTokenKey).RawBody) != string(der) || *whole.Description != "d" ||
		*whole.PolicyID != *made.Properties.PolicyID || *whole.Options[1].PolicyOptionID != *made.Properties.Options[1].PolicyOptionID {
		t.Errorf("with secrets: %+v", whole)
	}
	names := all(t, policies.NewListPager(group, acct, &ms.ContentKeyPoliciesClientListOptions{Filter: to.Ptr("properties/description eq 'd'")}), func(p ms.ContentKeyPoliciesClientListResponse) (n []*string) {
		for _, v := range p.Value {
			n = append(n, v.Name)
		}
		return n
	})
	if fmt.Sprint(names) != "[drm]" {
		t.Errorf("%v", names)
	}

	streaming, locators := client(f, ms.NewStreamingPoliciesClient), client(f, ms.NewStreamingLocatorsClient)
	yes, no := to.Ptr(true), to.Ptr(false)
	_, err = streaming.Create(ctx, group, acct, "cenc", ms.StreamingPolicy{Properties: &ms.StreamingPolicyProperties{
		DefaultContentKeyPolicyName: to.Ptr("drm"),
		CommonEncryptionCenc: &ms.CommonEncryptionCenc{
			EnabledProtocols: &ms.EnabledProtocols{Dash: yes, Download: no, Hls: no, SmoothStreaming: yes},
			ContentKeys:      &ms.StreamingPolicyContentKeys{DefaultKey: &ms.DefaultKey{Label: to.Ptr("key")}},
			Drm:              &ms.CencDrmConfiguration{Widevine: &ms.StreamingPolicyWidevineConfiguration{CustomLicenseAcquisitionURLTemplate: to.Ptr("https://w/{ContentKeyId}")}},
		},
	}}, nil)
	check(err)
	policy, err := streaming.Get(ctx, group, acct, "cenc", nil)
	check(err)
	if p := policy.Properties.CommonEncryptionCenc; *p.Drm.Widevine.CustomLicenseAcquisitionURLTemplate != "https://w/{ContentKeyId}" || *p.ContentKeys.DefaultKey.Label != "key" {
		t.Errorf("%+v", p)
	}
	id := "11111111-2222-3333-4444-555555555555"
	_, err = locators.Create(ctx, group, acct, "l", ms.StreamingLocator{Properties: &ms.StreamingLocatorProperties{
		AssetName: to.Ptr("a"), StreamingPolicyName: to.Ptr("cenc"),
		ContentKeys: []*ms.StreamingLocatorContentKey{{ID: &id, LabelReferenceInStreamingPolicy: to.Ptr("key"), Value: to.Ptr("MDEyMzQ1Njc4OWFiY2RlZg==")}},
	}}, nil)
	check(err)
	keys, err := locators.ListContentKeys(ctx, group, acct, "l", nil)
	check(err)
	if len(keys.ContentKeys) != 1 || *keys.ContentKeys[0].ID != id || *keys.ContentKeys[0].Value != "MDEyMzQ1Njc4OWFiY2RlZg==" ||
		*keys.ContentKeys[0].Type != ms.StreamingLocatorContentKeyTypeCommonEncryptionCenc || *keys.ContentKeys[0].PolicyName != "drm" {
		t.Errorf("%+v", keys.ContentKeys)
	}
	w.put("a", "clip.ism")
	paths, err := locators.ListPaths(ctx, group, acct, "l", nil)
	check(err)
	if len(paths.StreamingPaths) != 2 || *paths.StreamingPaths[1].EncryptionScheme != ms.EncryptionSchemeCommonEncryptionCenc {
		t.Errorf("%+v", paths)
	}
	_, err = policies.Delete(ctx, group, acct, "drm", nil)
	fails(err, 409)
	_, err = locators.Delete(ctx, group, acct, "l", nil)
	check(err)
	_, err = policies.Delete(ctx, group, acct, "drm", nil)
	check(err)
	_, err = policies.Get(ctx, group, acct, "drm", nil)
	fails(err, 404)
}
