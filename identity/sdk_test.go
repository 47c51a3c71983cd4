package identity

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// The official SDK signs a person in by device code, and refreshes.
func TestAzidentityDeviceCode(t *testing.T) {
	w, p := withAlice(t)
	w.c.Now = time.Now
	w.interval = time.Second
	srv := httptest.NewTLSServer(w.Handler())
	defer srv.Close()
	b := &browser{w: w}
	prompts := 0
	cred, err := azidentity.NewDeviceCodeCredential(&azidentity.DeviceCodeCredentialOptions{
		ClientOptions: azcore.ClientOptions{
			Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: srv.URL + "/"},
			Transport: srv.Client(),
			Retry:     policy.RetryOptions{MaxRetries: -1},
		},
		TenantID:                 w.folder.TenantID,
		DisableInstanceDiscovery: true,
		UserPrompt: func(_ context.Context, m azidentity.DeviceCodeMessage) error {
			prompts++
			if m.VerificationURL != srv.URL+"/devicelogin" {
				t.Errorf("page %s", m.VerificationURL)
			}
			action, form := formOf(t, b.do("GET", "/devicelogin", nil))
			form.Set("user_code", m.UserCode)
			action, form = formOf(t, b.do("POST", action, form))
			form.Set("username", alice)
			form.Set("password", password)
			b.do("POST", action, form)
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, scope := range []string{srv.URL + "/.default", srv.URL + "/.default", "https://storage.azure.com/.default"} {
		token, err := cred.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{scope}})
		if err != nil {
			t.Fatal(err)
		}
		aud := Management
		if scope == "https://storage.azure.com/.default" {
			aud = Storage
		}
		if who, err := w.Check(t.Context(), aud, token.Token); err != nil || who.ID != p.ID || who.Kind != User {
			t.Errorf("%+v, %v", who, err)
		}
	}
	if prompts != 1 {
		t.Errorf("%d prompts: the cache and the refresh token should do for the rest", prompts)
	}
}

// The official SDK finds the token URL of a managed identity as in App Service.
func TestAzidentityManagedIdentity(t *testing.T) {
	w := newWorld(t)
	w.c.Now = time.Now
	id, secret, err := w.folder.Create("worker", ManagedIdentity, []Assignment{{Contributor, "/"}})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(w.Handler())
	defer srv.Close()
	t.Setenv("IDENTITY_ENDPOINT", srv.URL+"/msi/token")
	t.Setenv("IDENTITY_HEADER", secret)
	cred, err := azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{
		ClientOptions: azcore.ClientOptions{Transport: http.DefaultClient, Retry: policy.RetryOptions{MaxRetries: -1}}})
	if err != nil {
		t.Fatal(err)
	}
	token, err := cred.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://management.azure.com/.default"}})
	if err != nil {
		t.Fatal(err)
	}
	if who, err := w.Check(t.Context(), Management, token.Token); err != nil || who.AppID != id || who.Kind != ManagedIdentity {
		t.Errorf("%+v, %v", who, err)
	}
}
