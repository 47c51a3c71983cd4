package ams

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"strings"
	"testing"
)

func deliver(kind DeliveryType, protocols int, configuration string) *DeliveryPolicy {
	return &DeliveryPolicy{Type: kind, Protocols: protocols, Configuration: configuration}
}

// What delivery policies mean, as the streaming policy that v3 shows.
func TestDelivered(t *testing.T) {
	const off = `"dash":false,"download":false,"hls":false,"smoothStreaming":false`
	for _, tt := range []struct {
		name string
		list []*DeliveryPolicy
		body string
	}{
		{"blocked", []*DeliveryPolicy{deliver(DeliverBlocked, 65535, "")}, `{"noEncryption":{"enabledProtocols":{` + off + `}}}`},
		{"clear", []*DeliveryPolicy{deliver(DeliverClear, 65535, "")}, `{"noEncryption":{"enabledProtocols":{"dash":true,"download":true,"hls":true,"smoothStreaming":true}}}`},
		{"envelope and clear", []*DeliveryPolicy{deliver(DeliverEnvelope, 4, `[{"Key":"2","Value":"https://k.example/"}]`), deliver(DeliverClear, 16|2, "")},
			`{"envelopeEncryption":{"contentKeys":{"defaultKey":{"label":"envelope"},"keyToTrackMappings":[]},"customKeyAcquisitionUrlTemplate":"https://k.example/?KID={ContentKeyId}","enabledProtocols":{"dash":false,"download":false,"hls":true,"smoothStreaming":false}},"noEncryption":{"enabledProtocols":{"dash":true,"download":true,"hls":false,"smoothStreaming":false}}}`},
		{"common", []*DeliveryPolicy{deliver(DeliverCENC, 3, "[\t{\"Key\":4,\"Value\":\"https://p.example/\"},{\"Key\":8,\"Value\":\"https://w.example/?a=1\"},{\"Key\":12,\"Value\":\"mp4a\"}]")},
			`{"commonEncryptionCenc":{"clearTracks":[{"trackSelections":[{"operation":"Equal","property":"FourCC","value":"mp4a"}]}],"contentKeys":{"defaultKey":{"label":"cenc"},"keyToTrackMappings":[]},"drm":{"playReady":{"customLicenseAcquisitionUrlTemplate":"https://p.example/"},"widevine":{"customLicenseAcquisitionUrlTemplate":"https://w.example/?a=1\u0026KID={ContentKeyId}"}},"enabledProtocols":{"dash":true,"download":false,"hls":false,"smoothStreaming":true}}}`},
		{"cbcs of everything", []*DeliveryPolicy{deliver(DeliverCBCS, 65535, `[{"Key":"AllowPersistentLicense","Value":"True"}]`)},
			`{"commonEncryptionCbcs":{"contentKeys":{"defaultKey":{"label":"cbcs"},"keyToTrackMappings":[]},"drm":{"fairPlay":{"allowPersistentLicense":true}},"enabledProtocols":{"dash":true,"download":false,"hls":true,"smoothStreaming":false}}}`},
	} {
		for _, p := range tt.list {
			if err := p.Validate(); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
		p, _, err := Delivered(tt.list)
		if err != nil || string(p.Body) != tt.body || !IsDelivered(p.Name) {
			t.Errorf("%s: %v\n%s\n%s", tt.name, err, p.Body, tt.body)
		}
	}
	iv := base64.StdEncoding.EncodeToString([]byte("0123456789abcdef"))
	_, ivs, err := Delivered([]*DeliveryPolicy{deliver(DeliverEnvelope, 4, `[{"Key":3,"Value":"`+iv+`"}]`), deliver(DeliverCBCS, 2, `[{"Key":11,"Value":"`+iv+`"}]`)})
	if err != nil || string(ivs[Envelope]) != "0123456789abcdef" || string(ivs[CBCS]) != "0123456789abcdef" {
		t.Errorf("%v %v", ivs, err)
	}
	for name, list := range map[string][]*DeliveryPolicy{
		"one protocol twice": {deliver(DeliverClear, 2, ""), deliver(DeliverBlocked, 3, "")},
		"one scheme, two configurations": {deliver(DeliverEnvelope, 2, `[{"Key":2,"Value":"https://a.example/"}]`),
			deliver(DeliverEnvelope, 4, `[{"Key":2,"Value":"https://b.example/"}]`)},
	} {
		if _, _, err := Delivered(list); CodeOf(err) != Conflict {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, p := range []*DeliveryPolicy{
		deliver(0, 2, ""), deliver(6, 2, ""), deliver(DeliverClear, 0, ""), deliver(DeliverClear, 32, ""), deliver(DeliverCBCS, 1, ""), deliver(DeliverEnvelope, 16, ""),
		deliver(DeliverEnvelope, 4, "x"), deliver(DeliverEnvelope, 4, `[{"Key":99,"Value":"x"}]`), deliver(DeliverEnvelope, 4, `[{"Key":2,"Value":"no url"}]`),
		deliver(DeliverEnvelope, 4, `[{"Key":3,"Value":"c2hvcnQ="}]`), deliver(DeliverEnvelope, 4, `[{"Key":2,"Value":"https://a/"},{"Key":"2","Value":"https://a/"}]`),
		deliver(DeliverCBCS, 4, `[{"Key":13,"Value":"perhaps"}]`),
	} {
		if err := p.Validate(); CodeOf(err) != Invalid {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

func FuzzDelivered(f *testing.F) {
	f.Add(3, 4, `[{"Key":"2","Value":"https://k.example/"},{"Key":3,"Value":"MDEyMzQ1Njc4OWFiY2RlZg=="}]`)
	f.Add(4, 65535, `[{"Key":12,"Value":"mp4a;avc1"}]`)
	f.Fuzz(func(t *testing.T, kind, protocols int, configuration string) {
		p := deliver(DeliveryType(kind), protocols, configuration)
		if p.Validate() != nil {
			return
		}
		if _, _, err := Delivered([]*DeliveryPolicy{p}); err != nil {
			t.Fatalf("%+v is taken, and then: %v", p, err)
		}
	})
}

// The stream of a file begins anywhere.
func TestStorageCipher(t *testing.T) {
	key, clear := bytes.Repeat([]byte{1}, 32), []byte(strings.Repeat("0123456789", 50))
	const iv = 0xfedcba9876543210
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]byte, len(clear))
	cipher.NewCTR(block, []byte{0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10, 0, 0, 0, 0, 0, 0, 0, 0}).XORKeyStream(want, clear)
	c, err := NewStorageCipher(key, iv)
	if err != nil {
		t.Fatal(err)
	}
	for off := range 50 {
		got := make([]byte, 40)
		c.At(int64(off)).XORKeyStream(got, want[off:off+40])
		if !bytes.Equal(got, clear[off:off+40]) {
			t.Fatalf("from %d: %q", off, got)
		}
	}
}
