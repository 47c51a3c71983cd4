package protect

import (
	"crypto/aes"
	"crypto/cipher"

	"github.com/openams/openams/packager"
)

// EnvelopeSize returns the size of a segment of n bytes under AES128.
func EnvelopeSize(n int64) int64 { return n + aes.BlockSize - n%aes.BlockSize }

// envelope encrypts the whole of s (RFC 8216 4.3.2.4; ISO/IEC 23009-4 for DASH).
func (p *Protection) envelope(r *packager.Rendition, s *packager.Segment) *packager.Segment {
	key := p.key(r)
	if key == nil {
		return s
	}
	return &packager.Segment{
		ContentType: s.ContentType,
		Size:        EnvelopeSize(s.Size),
		Extents:     s.Extents,
		Transform: func(dst, media []byte) ([]byte, error) {
			from := len(dst)
			dst = append(dst, s.Header...)
			if s.Transform == nil {
				dst = append(dst, media...)
			} else {
				var err error
				if dst, err = s.Transform(dst, media); err != nil {
					return nil, err
				}
			}
			pad := aes.BlockSize - (len(dst)-from)%aes.BlockSize
			for range pad {
				dst = append(dst, byte(pad))
			}
			cipher.NewCBCEncrypter(key.block, key.iv[:]).CryptBlocks(dst[from:], dst[from:])
			return dst, nil
		},
	}
}
