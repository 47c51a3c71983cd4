package ams

import "testing"

func TestProcessorMakes(t *testing.T) {
	for _, p := range Processors {
		encrypts := p.Name == MediaPackager || p.Name == MediaEncryptor
		for o, want := range map[AssetOptions]bool{0: true, StorageEncrypted: true, CommonEncryptionProtected: encrypts, EnvelopeEncryptionProtected: encrypts} {
			if got := p.Makes(o); got != want {
				t.Errorf("%s makes files for %d: %v", p.Name, o, got)
			}
		}
	}
}
