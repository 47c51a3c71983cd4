package formats_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/formats"
	"github.com/openams/openams/packager/mp4"
	"github.com/openams/openams/packager/protect"
)

// secret is the asset whose protected manifests are kept: indexes with the maps
// of NAL units.
var secret = assetOf{"protected", []file{
	{"v1.mp4", picture + "25 -t 7" + avc + " -b:v 300k"},
	{"v2.mp4", picture + "25 -t 7" + avc + " -s 160x90 -b:v 100k"},
	{"a.mp4", tone + " -t 7.01 -c:a aac -b:a 64k"},
}, `<video src="v1.mp4" systemBitrate="300000"/><video src="v2.mp4" systemBitrate="100000"/><audio src="a.mp4" systemBitrate="64000" systemLanguage="eng"/>`}

// mapped makes the files of secret and adds the maps.
func mapped(t *testing.T) *asset {
	t.Helper()
	a := &asset{dir: t.TempDir()}
	files := map[string]*mp4.Index{}
	for _, f := range secret.files {
		makeFile(t, a.dir, f)
		data, err := os.ReadFile(filepath.Join(a.dir, f.name))
		if err != nil {
			t.Fatal(err)
		}
		if files[f.name], err = mp4.AddNALs(index(t, a.dir, f.name), bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
		if *update {
			b, err := files[f.name].AppendBinary(nil)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join(secret.name, f.name+".index"), b)
		}
	}
	a.Presentation = present(t, secret.ism, files)
	return a
}

// kept opens secret from the indexes in testdata.
func kept(t *testing.T) *asset {
	t.Helper()
	files := map[string]*mp4.Index{}
	for _, f := range secret.files {
		b, err := os.ReadFile(filepath.Join("testdata", secret.name, f.name+".index"))
		if errors.Is(err, fs.ErrNotExist) && *update {
			return mapped(t)
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[f.name], err = mp4.ParseIndex(b); err != nil {
			t.Fatal(err)
		}
	}
	return &asset{Presentation: present(t, secret.ism, files)}
}

// key returns the key whose id and value are made of one byte each.
func key(id, value byte) *protect.Key {
	return protect.NewKey(protect.KeyID(bytes.Repeat([]byte{id}, 16)), [16]byte(bytes.Repeat([]byte{value}, 16)), nil)
}

// protection gives all of video one key and audio another, or each video
// rendition its own.
func protection(scheme protect.Scheme, each bool) *protect.Protection {
	at := func(path string) func(protect.KeyID) string {
		return func(id protect.KeyID) string { return "https://keys.example/" + path + "?kid=" + id.String() }
	}
	video, audio, other := key(1, 0x11), key(2, 0x22), key(3, 0x33)
	return &protect.Protection{
		Scheme: scheme, Version: "1",
		Keys: func(r *packager.Rendition) *protect.Key {
			switch {
			case r.Track.Kind == mp4.Audio:
				return audio
			case each && r.Bitrate == 100000:
				return other
			}
			return video
		},
		Systems: protect.Systems{
			Key: at(""), PlayReady: at("PlayReady/"), Widevine: at("Widevine/"), ClearKey: at("ClearKey/"),
			FairPlay: func(id protect.KeyID) string { return "skd://keys.example/FairPlay/?kid=" + id.String() },
		},
	}
}

// cells are the formats and schemes that go together.
var cells = []struct {
	format  string
	schemes []protect.Scheme
}{
	{"m3u8-aapl", []protect.Scheme{protect.AES128, protect.CBCS}},
	{"m3u8-cmaf", []protect.Scheme{protect.AES128, protect.CENC, protect.CBCS}},
	{"mpd-time-csf", []protect.Scheme{protect.AES128, protect.CENC, protect.CBCS}},
	{"mpd-time-cmaf", []protect.Scheme{protect.AES128, protect.CENC, protect.CBCS}},
	{"", []protect.Scheme{protect.AES128, protect.CENC, protect.PIFF}},
	{"fmp4-v20", []protect.Scheme{protect.AES128, protect.CENC, protect.PIFF}},
}

func TestProtectedManifests(t *testing.T) {
	a := kept(t)
	for _, cell := range cells {
		f, err := formats.Lookup(cell.format)
		if err != nil {
			t.Fatal(err)
		}
		for _, scheme := range cell.schemes {
			for _, each := range []bool{false, true} {
				if each && (scheme != protect.CENC || cell.format != "mpd-time-cmaf") {
					continue
				}
				p := protection(scheme, each)
				name := f.Name
				if name == "" {
					name = "smooth"
				}
				name += "-" + scheme.String()
				if each {
					name += "-each"
				}
				o := packager.Options{Protection: p, PlaylistQuery: "token=T"}
				d, err := f.Manifest(a.Presentation, o)
				if err != nil {
					t.Fatal(err)
				}
				golden(t, filepath.Join("protected", name+".txt"), d.Body)
				if f.Playlist == nil {
					continue
				}
				for _, track := range a.Tracks {
					d, err := f.Playlist(a.Presentation, track.Renditions[0], o)
					if err != nil {
						t.Fatal(err)
					}
					golden(t, filepath.Join("protected", name+"-"+track.Name+".txt"), d.Body)
				}
				o.Keyframes = true
				d, err = f.Playlist(a.Presentation, a.Tracks[0].Renditions[0], o)
				if scheme == protect.AES128 || cell.format == "m3u8-aapl" {
					if packager.CodeOf(err) != packager.OutputFormatNotSupported {
						t.Errorf("%s: key frames: %v", name, err)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				golden(t, filepath.Join("protected", name+"-keyframes.txt"), d.Body)
			}
		}
	}
}

// TestKeyFrameRanges compares what I-frame playlists say of encrypted segments
// with the segments themselves.
func TestKeyFrameRanges(t *testing.T) {
	a := mapped(t)
	byteRange := regexp.MustCompile(`#EXT-X-BYTERANGE:(\d+)@(\d+)\n.*=(\d+),format`)
	for _, cell := range cells[:2] {
		clear, err := formats.Lookup(cell.format)
		if err != nil {
			t.Fatal(err)
		}
		for _, scheme := range cell.schemes {
			p := protection(scheme, false)
			f, err := p.Format(clear)
			if err != nil {
				t.Fatal(err)
			}
			o := packager.Options{Protection: p}
			for _, track := range a.Tracks {
				r := track.Renditions[len(track.Renditions)-1]
				d, err := clear.Playlist(a.Presentation, r, o)
				if err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(string(d.Body), "encryption="+scheme.String()+")") {
					t.Errorf("%s: a child has no encryption key:\n%s", scheme, d.Body)
				}
				if track.Kind != mp4.Video || scheme == protect.AES128 || cell.format == "m3u8-aapl" {
					continue
				}
				d, err = clear.Playlist(a.Presentation, r, packager.Options{Protection: p, Keyframes: true})
				if err != nil {
					t.Fatal(err)
				}
				ranges := byteRange.FindAllStringSubmatch(string(d.Body), -1)
				if len(ranges) != len(r.Fragments) {
					t.Errorf("%d byte ranges for %d fragments", len(ranges), len(r.Fragments))
				}
				for k, m := range ranges {
					size, _ := strconv.Atoi(m[1])
					time, _ := strconv.ParseUint(m[3], 10, 64)
					s, err := f.Fragment(a.Presentation, r, time)
					if err != nil {
						t.Fatal(err)
					}
					if want := len(s.Header) + int(r.Media.Sample(r.Fragments[k].First).Size); size != want || m[2] != "0" {
						t.Errorf("%s: key frame %d is said to be %s@%s, is %d@0 (header %s)", scheme, k, m[1], m[2], want, hex.EncodeToString(s.Header[:8]))
					}
				}
			}
		}
	}
}
