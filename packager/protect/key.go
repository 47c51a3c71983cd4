package protect

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// A KeyID names a content key, in the order of RFC 4122.
type KeyID [16]byte

// ParseKeyID reads a GUID with or without hyphens, in any case.
func ParseKeyID(s string) (id KeyID, err error) {
	b, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("%q is no key id: not a GUID", s)
	}
	return KeyID(b), nil
}

// String returns the GUID in lower case.
func (id KeyID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// littleEndian is the order of a GUID in the memory of Windows.
func (id KeyID) littleEndian() []byte {
	b := id[:]
	return []byte{b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]}
}

// A Key is a content key, ready for use and safe for concurrent use.
type Key struct {
	id    KeyID
	iv    [16]byte
	value [16]byte
	block cipher.Block
}

// NewKey returns the key with that id and value. iv is the configured vector of
// AES128 and CBCS; nil derives it from the key.
func NewKey(id KeyID, value [16]byte, iv *[16]byte) *Key {
	block, err := aes.NewCipher(value[:])
	if err != nil {
		panic(err) // only of other lengths than 16
	}
	k := &Key{id: id, value: value, block: block}
	if iv != nil {
		k.iv = *iv
	} else {
		copy(k.iv[:], k.derive("iv"))
	}
	return k
}

// ID returns the key's id.
func (k *Key) ID() KeyID { return k.id }

// derive returns 32 bytes that nobody without the key can know.
func (k *Key) derive(purpose string, parts ...string) []byte {
	mac := hmac.New(sha256.New, k.value[:])
	mac.Write(k.id[:])
	for _, s := range append([]string{purpose}, parts...) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		mac.Write(n[:])
		mac.Write([]byte(s))
	}
	return mac.Sum(nil)
}

// checksum proves to PlayReady clients that they hold the right key: the first
// bytes of the key id as Windows stores it, encrypted by the key.
func (k *Key) checksum() string {
	b := k.id.littleEndian()
	k.block.Encrypt(b, b)
	return base64.StdEncoding.EncodeToString(b[:8])
}
