package probe

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
)

// A key is how a segment is encrypted as a whole, or where the keys of its
// samples are.
type key struct {
	whole   bool   // AES-128: of the whole segment, else by the boxes of an fMP4
	uri     string // of the key itself (whole)
	iv      []byte // nil: the number of the segment
	license string // URL of a ClearKey licence server that the manifest names; ""
	number  uint64 // of the segment
}

// fetched is a key that is asked for once.
type fetched struct {
	once  sync.Once
	value []byte
	err   error
}

func (p *prober) once(name string, get func() ([]byte, error)) ([]byte, error) {
	p.keysMu.Lock()
	f := p.keys[name]
	if f == nil {
		f = new(fetched)
		p.keys[name] = f
	}
	p.keysMu.Unlock()
	f.once.Do(func() { f.value, f.err = get() })
	return f.value, f.err
}

// wholeKey fetches the key of AES-128.
func (p *prober) wholeKey(ctx context.Context, uri string) ([]byte, error) {
	return p.once(uri, func() ([]byte, error) {
		b, _, _, err := p.do(ctx, http.MethodGet, resource{url: uri}, nil, p.c.Token, maxKey)
		if err == nil && len(b) != 16 {
			err = fmt.Errorf("it has %d bytes, not 16", len(b))
		}
		return b, err
	})
}

var errNoKey = errors.New("no key was given and no ClearKey licence server is known")

// sampleKey finds the key of a key id: among those given, else by a licence of
// W3C ClearKey.
func (p *prober) sampleKey(ctx context.Context, kid [16]byte, server string) ([]byte, error) {
	if k := p.c.Keys[hex.EncodeToString(kid[:])]; len(k) == 16 {
		return k, nil
	}
	if p.c.License != "" {
		server = p.c.License
	}
	if server == "" {
		return nil, errNoKey
	}
	return p.once(server+"\n"+string(kid[:]), func() ([]byte, error) {
		id := base64.RawURLEncoding.EncodeToString(kid[:])
		ask, err := json.Marshal(map[string]any{"kids": []string{id}, "type": "temporary"})
		if err != nil {
			return nil, err
		}
		b, _, _, err := p.do(ctx, http.MethodPost, resource{url: server}, bytes.NewReader(ask), p.c.Token, maxKey)
		if err != nil {
			return nil, err
		}
		var licence struct {
			Keys []struct{ Kty, Kid, K string }
		}
		if err := json.Unmarshal(b, &licence); err != nil {
			return nil, errors.New("the licence is no JSON")
		}
		for _, k := range licence.Keys {
			if value, err := base64.RawURLEncoding.DecodeString(k.K); err == nil && k.Kid == id && k.Kty == "oct" && len(value) == 16 {
				return value, nil
			}
		}
		return nil, errors.New("the licence holds no such key")
	})
}

// openWhole decrypts AES-128 with PKCS#7 in place (RFC 8216 4.3.2.4).
func openWhole(key, iv, b []byte) ([]byte, error) {
	if len(b) == 0 || len(b)%aes.BlockSize != 0 {
		return nil, fmt.Errorf("%d bytes are no AES-CBC", len(b))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(b, b)
	pad := int(b[len(b)-1])
	if pad < 1 || pad > aes.BlockSize || !bytes.Equal(b[len(b)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil, errors.New("the padding is wrong after decryption: another key or IV")
	}
	return b[:len(b)-pad], nil
}

// openSamples decrypts the samples of a fragment in place (ISO/IEC 23001-7 9 and
// 10). A sample has IV of its own or that of the track.
func openSamples(key []byte, t *track, b []byte, samples []sample) error {
	block, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	for i := range samples {
		s := &samples[i]
		iv := make([]byte, aes.BlockSize)
		if s.iv != nil {
			copy(iv, s.iv)
		} else if copy(iv, t.enc.constant); len(t.enc.constant) == 0 {
			return fmt.Errorf("sample %d has no IV", i)
		}
		data := b[s.off : s.off+s.size]
		parts := s.parts
		if parts == nil {
			parts = []subsample{{0, len(data)}}
		}
		var ctr cipher.Stream
		if t.enc.scheme == "cenc" {
			ctr = cipher.NewCTR(block, iv)
		}
		for _, x := range parts {
			if x.clear+x.hidden > len(data) {
				return fmt.Errorf("the subsamples of sample %d are longer than it", i)
			}
			hidden := data[x.clear : x.clear+x.hidden]
			data = data[x.clear+x.hidden:]
			if ctr != nil {
				ctr.XORKeyStream(hidden, hidden)
				continue
			}
			mode := cipher.NewCBCDecrypter(block, iv) // begins anew in each subsample (10.4.2)
			crypt, skip := t.enc.crypt*aes.BlockSize, t.enc.skip*aes.BlockSize
			if crypt == 0 {
				crypt, skip = len(hidden)&^15, 0
			}
			for len(hidden) >= aes.BlockSize && crypt > 0 {
				n := min(crypt, len(hidden)&^15)
				mode.CryptBlocks(hidden[:n], hidden[:n])
				hidden = hidden[min(n+skip, len(hidden)):]
				if n < crypt {
					break
				}
			}
		}
		if len(data) > 0 && s.parts != nil {
			return fmt.Errorf("the subsamples of sample %d end %d bytes before it", i, len(data))
		}
	}
	return nil
}
