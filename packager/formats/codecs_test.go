package formats_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/formats"
	"github.com/openams/openams/packager/mp4"
)

// AV1 goes through as it is where the format has it, and is refused elsewhere.
func TestAV1(t *testing.T) {
	a := makeAsset(t, assetOf{"av1", []file{
		{"v.mp4", picture + "25 -t 8 -c:v libaom-av1 -cpu-used 8 -usage realtime -row-mt 1 -g 50 -keyint_min 50 -b:v 150k"},
		{"a.mp4", tone + " -t 8 -c:a aac"},
	}, `<video src="v.mp4" systemBitrate="150000"/><audio src="a.mp4"/>`})
	for _, s := range a.hls(t, "m3u8-cmaf") {
		a.check(t, "m3u8-cmaf", s)
	}
	for _, format := range []string{"mpd-time-csf", "mpd-time-cmaf"} {
		for _, s := range a.dash(t, format) {
			a.check(t, format, s)
		}
	}
	for _, format := range []string{"m3u8-cmaf", "mpd-time-cmaf"} {
		if m := string(a.manifest(t, format, packager.Options{})); !strings.Contains(m, "av01.0.0") {
			t.Errorf("%s does not say av01:\n%s", format, m)
		}
	}
	for _, format := range []string{"m3u8-aapl", "m3u8-aapl-v3", "", "fmp4-v20"} {
		f, err := formats.Lookup(format)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Manifest(a.Presentation, packager.Options{}); packager.CodeOf(err) != packager.VideoEncodingNotSupported {
			t.Errorf("%q of AV1: %v", format, err)
		}
	}
}

// HE-AAC is told from AAC-LC by its decoder configuration alone. ffmpeg cannot
// encode it, so that of an AAC-LC file of half the rate is changed: a decoder
// finds no SBR data, which is legal, and plays at the whole rate.
func TestHEAAC(t *testing.T) {
	dir := t.TempDir()
	makeFile(t, dir, file{"lc.mp4", "-f lavfi -i sine=frequency=440:sample_rate=24000 -t 8 -ac 1 -c:a aac -b:a 48k"})
	lc, err := os.ReadFile(filepath.Join(dir, "lc.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	config := []byte{0x13, 0x08, 0x56, 0xe5, 0x00} // AAC-LC, 24 kHz, mono; no SBR
	if bytes.Count(lc, config) != 1 {
		t.Fatal("ffmpeg writes another AudioSpecificConfig")
	}
	for name, to := range map[string]string{
		"explicit":            "2b098800", // SBR in front (5 bytes are kept)
		"backward compatible": "130856e598",
	} {
		config2, err := hex.DecodeString(to)
		if err != nil {
			t.Fatal(err)
		}
		config2 = append(config2, make([]byte, len(config)-len(config2))...)
		if err := os.WriteFile(filepath.Join(dir, "he.mp4"), bytes.Replace(lc, config, config2, 1), 0o600); err != nil {
			t.Fatal(err)
		}
		a := &asset{dir, present(t, `<audio src="he.mp4" systemBitrate="48000"/>`, map[string]*mp4.Index{"he.mp4": index(t, dir, "he.mp4")})}
		r := a.Tracks[0].Renditions[0]
		if r.Codec != "mp4a.40.5" || r.Media.SampleRate != 48000 || len(r.Fragments) != 2 {
			t.Errorf("%s: %s, %d Hz, %d fragments", name, r.Codec, r.Media.SampleRate, len(r.Fragments))
		}
		for format, want := range map[string]string{
			"m3u8-cmaf": `CODECS="mp4a.40.5"`, "m3u8-aapl": `CODECS="mp4a.40.5"`, "m3u8-aapl-v3": `CODECS="mp4a.40.5"`,
			"mpd-time-csf": `codecs="mp4a.40.5"`, "": `FourCC="AACH" CodecPrivateData="` + strings.ToUpper(hex.EncodeToString(config2)) + `" Channels="1" PacketSize="4" SamplingRate="48000"`,
		} {
			if m := string(a.manifest(t, format, packager.Options{})); !strings.Contains(m, want) {
				t.Errorf("%s: %q has no %s:\n%s", name, format, want, m)
			}
		}
		for _, format := range []string{"m3u8-cmaf", "m3u8-aapl", "m3u8-aapl-v3"} {
			for _, s := range a.hls(t, format) {
				a.checkAgainst(t, format, s, a.indexPackets(t, s))
			}
		}
	}
}
