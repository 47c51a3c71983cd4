package protect

import (
	"crypto/aes"
	"crypto/cipher"
	"slices"

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
			mode := cipher.NewCBCEncrypter(key.block, key.iv[:])
			done := len(dst)
			encrypt := func() {
				n := (len(dst) - done) &^ (aes.BlockSize - 1)
				mode.CryptBlocks(dst[done:done+n], dst[done:done+n])
				done += n
			}
			from := done
			dst = append(dst, s.Header...)
			if s.Transform != nil {
				var err error
				if dst, err = s.Transform(dst, media); err != nil {
					return nil, err
				}
			} else {
				// In pieces, so that what is encrypted is in the cache.
				for piece := range slices.Chunk(media, 64<<10) {
					dst = append(dst, piece...)
					encrypt()
				}
			}
			pad := aes.BlockSize - (len(dst)-from)%aes.BlockSize
			for range pad {
				dst = append(dst, byte(pad))
			}
			encrypt()
			return dst, nil
		},
	}
}
