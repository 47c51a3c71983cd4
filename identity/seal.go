package identity

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"sync"
	"time"
)

// A sealer makes the texts that the authority hands out and gets back: the
// state of a sign-in page, authorization codes, refresh tokens. All that there
// is to know stands in the text, encrypted, so the authority keeps nothing per
// request, and refresh tokens outlive a restart.
type sealer struct{ aead cipher.AEAD }

// newSealer derives its key from the key that signs tokens.
func newSealer(k *rsa.PrivateKey) (*sealer, error) {
	key, err := hkdf.Key(sha256.New, x509.MarshalPKCS1PrivateKey(k), nil, "openams sign-in", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &sealer{aead}, nil
}

// maxSealed bounds a sealed text in bytes.
const maxSealed = 32 << 10

var errSealed = errors.New("identity: not a text of this authority, or its time is over")

type envelope struct {
	Expires int64           `json:"e"` // Unix seconds
	Value   json.RawMessage `json:"v"`
}

// seal returns v as a text that open reads, for the same purpose, until
// expires.
func (s *sealer) seal(purpose string, v any, expires time.Time) (string, error) {
	value, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	b, err := json.Marshal(envelope{expires.Unix(), value})
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, b, []byte(purpose))), nil
}

// open fails with errSealed.
func (s *sealer) open(purpose, text string, into any, now time.Time) error {
	if len(text) > maxSealed {
		return errSealed
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return errSealed
	}
	b, err = s.aead.Open(nil, nil, b, []byte(purpose))
	var e envelope
	if err != nil || json.Unmarshal(b, &e) != nil || now.Unix() >= e.Expires || json.Unmarshal(e.Value, into) != nil {
		return errSealed
	}
	return nil
}

// spent remembers what may be used once, until it would be refused anyway.
type spent struct {
	mu   sync.Mutex
	used map[string]time.Time // when each ends
}

const maxSpent = 10_000

// use reports whether id is used for the first time. When it remembers too
// many, nothing is.
func (s *spent) use(id string, expires, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.used[id]; ok {
		return false
	}
	if len(s.used) >= maxSpent {
		for id, end := range s.used {
			if now.After(end) {
				delete(s.used, id)
			}
		}
		if len(s.used) >= maxSpent {
			return false
		}
	}
	if s.used == nil {
		s.used = make(map[string]time.Time)
	}
	s.used[id] = expires
	return true
}

// unguessable is a text of 128 random bits or more.
func unguessable() string { return rand.Text() }
