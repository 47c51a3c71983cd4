package account

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

// A protection is the key that v2 clients wrap content keys for, with its
// certificate. All processes of a catalog share one.
type protection struct {
	mu         sync.Mutex
	key        *rsa.PrivateKey // nil: not read yet
	der        []byte
	thumbprint string // SHA-1 of der, 40 hex digits in upper case
}

// protectionSecret is the name under which the catalog keeps it: the length of
// the certificate in 4 bytes, the certificate, the key in PKCS #1.
const protectionSecret = "protection key"

// protectionKey reads the protection key, and makes it when there is none.
func (s *Server) protectionKey(ctx context.Context) (*protection, error) {
	p := &s.protection
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.key != nil {
		return p, nil
	}
	var kept []byte
	read := func(tx *catalog.Tx) (err error) {
		kept, err = tx.Secret(protectionSecret)
		return err
	}
	if err := s.Catalog.View(ctx, read); err != nil {
		return nil, err
	}
	if kept == nil {
		made, err := newProtection(s.Now())
		if err != nil {
			return nil, err
		}
		err = s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
			if err := tx.SetSecret(protectionSecret, made); err != nil {
				return err
			}
			return read(tx) // perhaps another process was first
		})
		if err != nil {
			return nil, err
		}
	}
	return p, p.parse(kept)
}

// newProtection makes a key and a certificate that it signs for itself.
func newProtection(now time.Time) ([]byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "openams content key protection"},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.AddDate(100, 0, 0),
		KeyUsage: x509.KeyUsageKeyEncipherment | x509.KeyUsageDataEncipherment, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	n := len(der)
	out := append([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, der...)
	return append(out, x509.MarshalPKCS1PrivateKey(key)...), nil
}

func (p *protection) parse(kept []byte) error {
	if len(kept) < 4 {
		return fmt.Errorf("the protection key is damaged")
	}
	n := int(kept[0])<<24 | int(kept[1])<<16 | int(kept[2])<<8 | int(kept[3])
	if n < 0 || n > len(kept)-4 {
		return fmt.Errorf("the protection key is damaged")
	}
	key, err := x509.ParsePKCS1PrivateKey(kept[4+n:])
	if err != nil {
		return fmt.Errorf("the protection key is damaged: %w", err)
	}
	p.der, p.key = kept[4:4+n], key
	p.thumbprint = fmt.Sprintf("%X", sha1.Sum(p.der))
	return nil
}

// is refuses the id of another certificate; none means this one.
func (p *protection) is(id string) error {
	if id == "" || strings.EqualFold(id, p.thumbprint) {
		return nil
	}
	return ams.Invalidf("ProtectionKeyId", "There is no protection key with the id '%s': GetProtectionKeyId says which one to use.", id)
}

// unwrap opens a key that a client wrapped for the certificate.
func (p *protection) unwrap(text string) ([]byte, error) {
	box, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, ams.Invalidf("EncryptedContentKey", "EncryptedContentKey is not base64.")
	}
	value, err := p.key.Decrypt(nil, box, &rsa.OAEPOptions{Hash: crypto.SHA1})
	if err != nil {
		return nil, ams.Invalidf("EncryptedContentKey", "EncryptedContentKey is not encrypted by RSA-OAEP for the protection key '%s'.", p.thumbprint)
	}
	return value, nil
}

// wrap is the reverse of unwrap for any key.
func wrap(value []byte, key *rsa.PublicKey) ([]byte, error) {
	return rsa.EncryptOAEP(sha1.New(), rand.Reader, key, value, nil)
}

// ProtectionKeyID is the thumbprint of the certificate that keys of a type are
// wrapped for: one for all types and accounts.
func (a *Account) ProtectionKeyID(ctx context.Context) (string, error) {
	p, err := a.s.protectionKey(ctx)
	if err != nil {
		return "", err
	}
	return p.thumbprint, nil
}

// ProtectionKey is the certificate with a thumbprint, in DER.
func (a *Account) ProtectionKey(ctx context.Context, id string) ([]byte, error) {
	p, err := a.s.protectionKey(ctx)
	if err != nil {
		return nil, err
	}
	if !strings.EqualFold(id, p.thumbprint) {
		return nil, ams.Errorf(ams.NotFound, "There is no protection key with the id '%s'.", id)
	}
	return p.der, nil
}
