package mp4

import (
	"bytes"
	"testing"

	"github.com/Eyevinn/mp4ff/aac"
	"github.com/Eyevinn/mp4ff/mp4"
)

// esdsOf is an esds box for AAC, as mp4ff writes it.
func esdsOf(t *testing.T, asc aac.AudioSpecificConfig) []byte {
	t.Helper()
	var config, b bytes.Buffer
	if err := asc.Encode(&config); err != nil {
		t.Fatal(err)
	}
	if err := mp4.CreateEsdsBox(config.Bytes()).Encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestAudioEntry(t *testing.T) {
	lc := esdsOf(t, aac.AudioSpecificConfig{ObjectType: aac.AAClc, SamplingFrequency: 44100, ChannelConfiguration: 6})
	he := esdsOf(t, aac.AudioSpecificConfig{ObjectType: aac.HEAACv1, SamplingFrequency: 24000, ExtensionFrequency: 48000, ChannelConfiguration: 2})
	he2 := esdsOf(t, aac.AudioSpecificConfig{ObjectType: aac.HEAACv2, SamplingFrequency: 22050, ExtensionFrequency: 44100, ChannelConfiguration: 1})
	var b bytes.Buffer
	if err := mp4.CreateEsdsBox([]byte{0x13, 0x10, 0x56, 0xe5, 0x98}).Encode(&b); err != nil {
		t.Fatal(err)
	}
	behind := b.Bytes()
	version := func(v uint16, extra int) []byte { // a QuickTime sound description
		p := make([]byte, audioEntry+extra)
		p[7] = 1
		copy(p[8:], u16s(v))
		copy(p[16:], u16s(2, 16))
		copy(p[24:], u32s(48000<<16))
		return p
	}
	for _, tt := range []struct {
		name           string
		typ            string
		payload        []byte
		rate, channels int
		config         int // bytes
		entry          int // bytes of SampleEntry, 0 for the same
	}{
		{"AAC 5.1", "mp4a", join(version(0, 0), lc), 44100, 6, 2, 0},
		{"HE-AAC", "mp4a", join(version(0, 0), he), 48000, 2, 4, 0},
		{"HE-AAC behind AAC-LC", "mp4a", join(version(0, 0), behind), 48000, 2, 5, 0},
		{"HE-AAC v2 is stereo", "mp4a", join(version(0, 0), he2), 44100, 2, 4, 0},
		{"QuickTime 1", "mp4a", join(version(1, 16), appendBox(nil, "wave", join(appendBox(nil, "frma", []byte("mp4a")), lc))), 44100, 6, 2, 36 + len(lc)},
		{"QuickTime 2", "mp4a", join(version(2, 36), lc), 44100, 6, 2, 36 + len(lc)},
		{"version 1 of ISO", "mp4a", join(version(1, 0), lc), 44100, 6, 2, 36 + len(lc)},
		{"AAC without esds", "mp4a", version(0, 0), 48000, 2, 0, 0},
		{"AC-3 5.1", "ac-3", join(version(0, 0), appendBox(nil, "dac3", []byte{0x10, 0x3d, 0x40})), 48000, 6, 3, 0},
		{"E-AC-3 7.1", "ec-3", join(version(0, 0), appendBox(nil, "dec3", []byte{0x08, 0x00, 0x20, 0x0f, 0x02, 0x02})), 48000, 8, 6, 0},
		{"PCM", "sowt", version(0, 0), 48000, 2, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := &trak{Track: Track{Kind: Audio}}
			b := box{"stbl", 0, 8, appendBox(nil, "stsd", join(u32s(0, 1), appendBox(nil, tt.typ, tt.payload)))}
			if _, err := tr.parseStsd(b); err != nil {
				t.Fatal(err)
			}
			if tr.SampleRate != uint32(tt.rate) || tr.Channels != uint16(tt.channels) || len(tr.Config) != tt.config || tr.raw != (tt.name == "PCM") {
				t.Errorf("%d Hz, %d channels, configuration %x", tr.SampleRate, tr.Channels, tr.Config)
			}
			if want := tt.entry; want == 0 && len(tr.SampleEntry) != 8+len(tt.payload) || want != 0 && len(tr.SampleEntry) != want {
				t.Errorf("the sample entry has %d bytes, want %d", len(tr.SampleEntry), want)
			}
			decoded, err := mp4.DecodeBox(0, bytes.NewReader(tr.SampleEntry))
			if err != nil {
				t.Fatal(err)
			}
			if e, ok := decoded.(*mp4.AudioSampleEntryBox); tt.typ == "mp4a" && tt.config > 0 && (!ok || e.Esds == nil) {
				t.Errorf("mp4ff finds no esds box in the sample entry")
			}
		})
	}
}
