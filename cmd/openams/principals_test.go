package main

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/openams/openams/identity"
)

// run gives a command its arguments and returns what it printed.
func run(cmd *cobra.Command, stdin string, args ...string) (string, error) {
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetArgs(args)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	err := cmd.Execute()
	return out.String(), err
}

// A server has the folder open while the commands change it.
func TestPrincipals(t *testing.T) {
	dir := t.TempDir()
	server, err := identity.Open(filepath.Join(dir, "secrets"))
	if err != nil {
		t.Fatal(err)
	}
	const scope = "/subscriptions/s"
	out, err := run(principalsCommand(), "", "create", "robot", "--role", "media-operator,Reader", "--scope", scope, "--json", "--data", dir)
	if err != nil {
		t.Fatal(out, err)
	}
	var made struct{ TenantID, ClientID, ClientSecret string }
	if err := json.Unmarshal([]byte(out), &made); err != nil || made.TenantID != server.TenantID {
		t.Fatal(out, err)
	}
	p, err := server.Authenticate(t.Context(), made.ClientID, made.ClientSecret)
	if err != nil || p.Kind != identity.Application || len(p.Assignments) != 2 || p.Assignments[0] != (identity.Assignment{Role: identity.MediaOperator, Scope: scope}) {
		t.Errorf("%+v, %v", p, err)
	}
	if out, err := run(principalsCommand(), "", "rotate", "robot", "--data", dir); err != nil || !strings.Contains(out, made.ClientID) {
		t.Error(out, err)
	}
	if _, err := server.Authenticate(t.Context(), made.ClientID, made.ClientSecret); err == nil {
		t.Error("the old secret is good after rotate")
	}
	if out, err := run(principalsCommand(), "", "create", "vm", "--kind", "managed-identity", "--role", "owner", "--data", dir); err != nil || !strings.Contains(out, "client secret") {
		t.Error(out, err)
	}
	// By a certificate in place of a secret.
	file := filepath.Join(t.TempDir(), "signer.pem")
	key, der := selfSigned(t)
	pair := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	if err := os.WriteFile(file, pair, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err = run(principalsCommand(), "", "create", "signer", "--role", "reader", "--certificate", file, "--json", "--data", dir)
	var signer struct{ ClientID, ClientSecret string }
	if err != nil || json.Unmarshal([]byte(out), &signer) != nil || signer.ClientSecret != "" {
		t.Fatal(out, err)
	}
	if p, c, err := server.Certificate(t.Context(), signer.ClientID); err != nil || p.Name != "signer" || !bytes.Equal(c.Raw, der) {
		t.Errorf("%+v, %v", p, err)
	}
	if out, err := run(principalsCommand(), "", "rotate", "signer", "--data", dir); err != nil || !strings.Contains(out, "client secret") {
		t.Error(out, err)
	}
	if _, _, err := server.Certificate(t.Context(), signer.ClientID); err == nil {
		t.Error("the certificate is good after rotate")
	}
	if err := os.WriteFile(file, der, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := run(principalsCommand(), "", "rotate", "signer", "--certificate", file, "--data", dir); err != nil || strings.Contains(out, "secret") {
		t.Error(out, err)
	}
	if _, _, err := server.Certificate(t.Context(), signer.ClientID); err != nil {
		t.Error(err)
	}
	out, err = run(principalsCommand(), "", "list", "--data", dir)
	for _, want := range []string{"robot", made.ClientID, "Media Services Media Operator at /subscriptions/s, Reader at", "ManagedIdentity",
		"certificate until 2100-01-02"} {
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("list has no %q: %v\n%s", want, err, out)
		}
	}
	if strings.Contains(out, made.ClientSecret) {
		t.Error("list shows a secret")
	}
	if out, err := run(principalsCommand(), "", "delete", made.ClientID, "--data", dir); err != nil {
		t.Error(out, err)
	}
	if _, err := server.Principal(t.Context(), made.ClientID); err == nil {
		t.Error("deleted, and still there")
	}
	for _, args := range [][]string{
		{"create", "x", "--data", dir}, // no role
		{"create", "x", "--role", "king", "--data", dir},
		{"create", "x", "--role", "reader", "--kind", "person", "--data", dir},
		{"create", "vm", "--role", "reader", "--data", dir},
		{"create", "x", "--role", "reader", "--certificate", filepath.Join(dir, "none"), "--data", dir},
		{"create", "x", "--role", "reader", "--certificate", filepath.Join(dir, "secrets", "principals.json"), "--data", dir},
		{"create", "x", "--role", "reader", "--certificate", file, "--kind", "managed-identity", "--data", dir},
		{"rotate", "vm", "--certificate", file, "--data", dir},
		{"rotate", "nobody", "--certificate", file, "--data", dir},
		{"delete", "nobody", "--data", dir},
		{"rotate", "nobody", "--data", dir},
		{"list", "--data", filepath.Join(dir, "none")},
		{"list", "--data", ""},
	} {
		if out, err := run(principalsCommand(), "", args...); err == nil {
			t.Errorf("%v: %s", args, out)
		}
	}
}

// selfSigned is a key (PKCS 8) and its certificate.
func selfSigned(t *testing.T) (key, der []byte) {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Date(2100, 1, 2, 0, 0, 0, 0, time.UTC)}
	if der, err = x509.CreateCertificate(rand.Reader, template, template, private.Public(), private); err != nil {
		t.Fatal(err)
	}
	if key, err = x509.MarshalPKCS8PrivateKey(private); err != nil {
		t.Fatal(err)
	}
	return key, der
}

func TestUsers(t *testing.T) {
	dir := t.TempDir()
	server, err := identity.Open(filepath.Join(dir, "secrets"))
	if err != nil {
		t.Fatal(err)
	}
	if out, err := run(usersCommand(), "first password\r\n", "create", "alice@contoso.com", "--role", "contributor", "--display-name", "Alice", "--data", dir); err != nil {
		t.Fatal(out, err)
	}
	if p, err := server.SignIn(t.Context(), "alice@contoso.com", "first password"); err != nil || !p.May("Microsoft.Media/mediaservices/assets/write", "/") || p.DisplayName != "Alice" {
		t.Errorf("%+v, %v", p, err)
	}
	if out, err := run(usersCommand(), "second password", "password", "alice@contoso.com", "--data", dir); err != nil {
		t.Error(out, err)
	}
	if _, err := server.SignIn(t.Context(), "alice@contoso.com", "second password"); err != nil {
		t.Error(err)
	}
	out, err := run(usersCommand(), "", "create", "bob", "--role", "reader", "--generate", "--data", dir)
	_, rest, _ := strings.Cut(out, "password ")
	made, _, _ := strings.Cut(rest, "\n")
	if _, err2 := server.SignIn(t.Context(), "bob", made); err != nil || err2 != nil {
		t.Error(out, err, err2)
	}
	if out, err := run(usersCommand(), "", "list", "--json", "--data", dir); err != nil || !strings.Contains(out, `"displayName": "Alice"`) || strings.Contains(out, "$2a$") {
		t.Error(out, err)
	}
	if out, err := run(usersCommand(), "", "delete", "ALICE@contoso.com", "--data", dir); err != nil {
		t.Error(out, err)
	}
	if out, err := run(usersCommand(), "", "list", "--data", dir); err != nil || strings.Contains(out, "alice") || !strings.Contains(out, "bob") {
		t.Error(out, err)
	}
	for _, args := range [][]string{
		{"create", "bob", "--role", "reader", "--data", dir}, // no password, and taken
		{"password", "nobody", "--generate", "--data", dir},
		{"delete", "nobody", "--data", dir},
	} {
		if out, err := run(usersCommand(), "", args...); err == nil {
			t.Errorf("%v: %s", args, out)
		}
	}
}

func TestProviderRoles(t *testing.T) {
	got, err := providerRoles([]string{"media team=contributor", "v=reader@/subscriptions/s", "v=Media Services Media Operator"})
	want := map[string][]identity.Assignment{
		"media team": {{Role: identity.Contributor, Scope: "/"}},
		"v":          {{Role: identity.Reader, Scope: "/subscriptions/s"}, {Role: identity.MediaOperator, Scope: "/"}},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	for _, s := range []string{"", "x", "=reader", "x=king", "x=reader@s"} {
		if _, err := providerRoles([]string{s}); err == nil {
			t.Errorf("%q: no error", s)
		}
	}
}
