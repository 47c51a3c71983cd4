package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// Limits are set in the file, by the names of account.Limits.
func TestLimitsInFile(t *testing.T) {
	for _, tt := range []struct{ text, refused string }{
		{"limits:\n  assets: 7\n  v2-locators-per-asset: 9\n  access-policies: -1\n  key-policies: 1\n  key-policy-options: 2\n  delivery-policies: 3\n  content-keys: 4\n  files-per-asset: 5\n  ingest-manifests: 6\n  ingest-files: 7\n", ""},
		{"limits:\n  asets: 7\n", "asets"},
	} {
		file := filepath.Join(t.TempDir(), "openams.yaml")
		if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
		serverFlags(flags)
		if err := flags.Parse([]string{"--data", t.TempDir(), "--config", file}); err != nil {
			t.Fatal(err)
		}
		c, err := loadConfig(flags)
		switch {
		case tt.refused != "":
			if err == nil || !strings.Contains(err.Error(), tt.refused) {
				t.Errorf("%q: %v", tt.text, err)
			}
		case err != nil:
			t.Errorf("%q: %v", tt.text, err)
		case c.Limits.Assets != 7 || c.Limits.V2LocatorsPerAsset != 9 || c.Limits.AccessPolicies != -1,
			c.Limits.KeyPolicies != 1, c.Limits.KeyPolicyOptions != 2, c.Limits.DeliveryPolicies != 3, c.Limits.ContentKeys != 4,
			c.Limits.FilesPerAsset != 5, c.Limits.IngestManifests != 6, c.Limits.IngestFiles != 7:
			t.Errorf("%+v", c.Limits)
		}
	}
}
