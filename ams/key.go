package ams

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"time"
)

// A Key is a content key of an account, which v2 makes and links to assets.
// The ContentKeys of a v2 locator are made of those linked to its asset.
type Key struct {
	Account          string // Account.ID
	ID               string // guid, lower case: the v2 Id is "nb:kid:UUID:" + ID
	Name             string
	Type             KeyType
	Value            []byte
	Wrapped          string // Value as a client sent it: base64 of RSA-OAEP for the ProtectionKey; empty: made here
	ProtectionKey    string // thumbprint of a certificate of this server
	ProtectionType   int    // as the client says it
	Checksum         string // as the client says it, else Sum
	Policy           string // ContentKeyPolicy.ID; empty: nobody is given the key
	TrackIdentifiers string
	OfLocator        bool // it lives and dies with a streaming locator of v3
	Created          time.Time
	LastModified     time.Time
}

// A KeyType says what a Key encrypts.
type KeyType int

// The types of keys (documented; there is no 5).
const (
	CommonKey         KeyType = 0 // streams, by CENC
	StorageKey        KeyType = 1 // the files of an asset
	ConfigurationKey  KeyType = 2 // the configuration of a task
	URLKey            KeyType = 3
	EnvelopeKey       KeyType = 4 // streams, by AES-128
	CBCSKey           KeyType = 6 // streams, by CBCS
	FairPlayKey       KeyType = 7 // an application secret key of Apple's
	FairPlayPFXSecret KeyType = 8 // the password of a certificate of Apple's
)

// maxSecret bounds the value of a key that is no key of a cipher: what RSA-OAEP
// of SHA-1 with 2048 bits can wrap.
const maxSecret = 214

// sizes are the bytes that a value may have, by type. (Documented for storage,
// configuration, common and envelope; AMS did not say it of the others.) AMS
// took 32 bytes of the latter two as well, as tests of the PHP SDK have them;
// such a key encrypts no stream.
var sizes = map[KeyType][]int{
	CommonKey: {16, 32}, StorageKey: {32}, ConfigurationKey: {32}, URLKey: {16, 32},
	EnvelopeKey: {16, 32}, CBCSKey: {16}, FairPlayKey: {16}, FairPlayPFXSecret: nil,
}

// Scheme is the scheme that the key encrypts streams by; empty: none.
func (t KeyType) Scheme() Scheme {
	switch t {
	case CommonKey:
		return CENC
	case EnvelopeKey:
		return Envelope
	case CBCSKey:
		return CBCS
	}
	return ""
}

// Bounds of the texts of a key, in bytes. AMS documents none.
const maxKeyText = 4096

// Validate reports the first rule that k breaks.
func (k *Key) Validate() error {
	allowed, ok := sizes[k.Type]
	if !ok {
		return Invalidf("ContentKeyType", "The ContentKeyType %d is not one of 0, 1, 2, 3, 4, 6, 7 and 8.", k.Type)
	}
	if allowed == nil {
		if len(k.Value) > maxSecret {
			return Invalidf("EncryptedContentKey", "A key of type %d may have at most %d bytes.", k.Type, maxSecret)
		}
	} else if !slices.Contains(allowed, len(k.Value)) {
		return Invalidf("EncryptedContentKey", "A key of type %d must have %d bytes, not %d.", k.Type, allowed[0], len(k.Value))
	}
	for name, text := range map[string]string{"Name": k.Name, "Checksum": k.Checksum, "TrackIdentifiers": k.TrackIdentifiers} {
		if len(text) > maxKeyText {
			return Invalidf(name, "%s is longer than %d bytes.", name, maxKeyText)
		}
	}
	return nil
}

// Sum is the checksum of the value of a key: the first bytes of the key's id as
// Windows stores it, encrypted by the key (documented). It is empty for a value
// that is no AES key.
func (k *Key) Sum() string {
	block, err := aes.NewCipher(k.Value)
	if err != nil {
		return ""
	}
	b, err := hex.DecodeString(strings.ReplaceAll(k.ID, "-", ""))
	if err != nil || len(b) != aes.BlockSize {
		return ""
	}
	slices.Reverse(b[:4])
	slices.Reverse(b[4:6])
	slices.Reverse(b[6:8])
	block.Encrypt(b, b)
	return base64.StdEncoding.EncodeToString(b[:8])
}

// StorageCipher is the encryption of one file of a storage-encrypted asset:
// AES in counter mode, whose counter is the initialization vector of the file
// in 8 bytes and the number of the block in 8 (read in clients of AMS).
type StorageCipher struct {
	block cipher.Block
	iv    uint64
}

// NewStorageCipher makes the cipher of the file with that initialization
// vector. key has 32 bytes.
func NewStorageCipher(key []byte, iv uint64) (*StorageCipher, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return &StorageCipher{block, iv}, nil
}

// At is the stream that encrypts and decrypts from the byte off of the file on.
func (c *StorageCipher) At(off int64) cipher.Stream {
	var counter [aes.BlockSize]byte
	for i := range 8 {
		counter[i] = byte(c.iv >> (56 - 8*i))
		counter[8+i] = byte(uint64(off/aes.BlockSize) >> (56 - 8*i))
	}
	s := cipher.NewCTR(c.block, counter[:])
	if skip := off % aes.BlockSize; skip > 0 {
		var b [aes.BlockSize]byte
		s.XORKeyStream(b[:skip], b[:skip])
	}
	return s
}
