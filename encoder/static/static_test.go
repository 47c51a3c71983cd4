package static

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	ff "github.com/Eyevinn/mp4ff/mp4"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/packager/ism"
	"github.com/openams/openams/packager/mp4"
	"github.com/openams/openams/packager/protect"
)

const seed, kid = "XVBovsmzhP9gRIZxWfFta3VVRPzVEWmJsazEJ46I", "2b5d8f10-0c7e-4b7b-9f3c-1f2e3d4c5b6a"

// define writes a task definition with properties "name=value".
func define(id string, properties ...string) string {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="utf-16"?><taskDefinition xmlns="http://schemas.microsoft.com/iis/media/v4/TM/TaskDefinition#"><name>N</name><id>` + id +
		`</id><description xml:lang="en"/><inputFolder/><properties namespace="x" prefix="y">`)
	for _, p := range properties {
		name, value, _ := strings.Cut(p, "=")
		fmt.Fprintf(&b, `<property name="%s" required="false" value="%s" helpText="h"/>`, name, value)
	}
	b.WriteString(`</properties><taskCode><type>t</type></taskCode></taskDefinition>`)
	return b.String()
}

func run(t *testing.T, args ...string) []byte {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ffmpeg", append([]string{"-v", "error", "-nostdin", "-y"}, args...)...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("ffmpeg %q: %s", args, exit.Stderr)
		}
		t.Fatal(err)
	}
	return out
}

// rung makes an MP4 with a picture of that size and a tone.
func rung(t *testing.T, dir, name, size string, more ...string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	args := []string{"-f", "lavfi", "-i", "testsrc2=size=" + size + ":rate=25:duration=9", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=9"}
	if len(more) == 0 {
		more = []string{"-g", "50", "-c:a", "aac"}
	}
	args = append(args, "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-sc_threshold", "0", "-pix_fmt", "yuv420p", "-metadata:s:a:0", "language=fra")
	run(t, append(append(args, more...), path)...)
	return path
}

// frames are the hashes of the decoded frames of a stream, with their times.
func frames(t *testing.T, stream string, input ...string) string {
	t.Helper()
	out := run(t, append(input, "-map", "0:"+stream+":0", "-f", "framemd5", "pipe:1")...)
	var keep []string
	for line := range strings.Lines(string(out)) {
		if f := strings.Split(line, ","); !strings.HasPrefix(line, "#") && len(f) > 4 {
			keep = append(keep, f[len(f)-1])
		}
	}
	return strings.Join(keep, "")
}

// sameSound compares frames of a fragmented file with those of its source: ffmpeg
// plays the priming of one, before 0, but not of the other.
func sameSound(got, want string) bool {
	_, got, _ = strings.Cut(got, "\n")
	return got == want
}

// do runs a task over files and returns what it made, by name, and the order.
func do(t *testing.T, task Task, name string, manifest *ism.Manifest, files map[string]string) (dir string, list []string, err error) {
	t.Helper()
	s, err := OpenSet(name, manifest, files)
	if err != nil {
		return "", nil, err
	}
	defer s.Close()
	dir = t.TempDir()
	last := 0.0
	list, err = task.Run(t.Context(), s, dir, func(p float64) {
		if p < last || p > 1 {
			t.Errorf("progress %v after %v", p, last)
		}
		last = p
	})
	if err == nil && last != 1 {
		t.Errorf("progress ends at %v", last)
	}
	if err == nil {
		have, _ := os.ReadDir(dir)
		if len(have) != len(list) {
			t.Errorf("%d files in the folder, %q", len(have), list)
		}
	}
	return dir, list, err
}

func packaging(t *testing.T, text string) Task {
	t.Helper()
	task, err := ParsePackaging(text)
	if err != nil {
		t.Fatal(err)
	}
	return task
}

// opened reads a written .ism and the files that it names.
func opened(t *testing.T, dir, name string) (*ism.Manifest, map[string]string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	m, err := ism.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range m.Sources() {
		files[f] = filepath.Join(dir, f)
	}
	return m, files
}

// An MP4 set becomes Smooth files; these become HLS, clear and encrypted, and a
// PlayReady set. At every step the pictures and the sound are those of the MP4s.
func TestPackage(t *testing.T) {
	src := t.TempDir()
	files := map[string]string{"film_hi.mp4": rung(t, src, "film_hi.mp4", "320x180"), "film_lo.mp4": rung(t, src, "film_lo.mp4", "160x90")}
	dir, list, err := do(t, packaging(t, define("5e1e1a1c-bba6-11df-8991-0019d1916af0", "keepSourceNames=true")), "film.ism", nil, files)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"film_hi.ismv", "film_lo.ismv", "film_hi.isma", "film.ismc", "film.ism"}
	for _, name := range want {
		if !slices.Contains(list, name) {
			t.Errorf("no %s among %q", name, list)
		}
	}
	if list[len(list)-1] != "film.ism" {
		t.Errorf("the last one is %s", list[len(list)-1])
	}
	m, smooth := opened(t, dir, "film.ism")
	if m.ClientManifest != "film.ismc" || len(m.Streams) != 3 {
		t.Errorf("%+v", m)
	}
	picture, sound := frames(t, "v", "-i", files["film_hi.mp4"]), frames(t, "a", "-i", files["film_hi.mp4"])
	if got := frames(t, "v", "-i", smooth["film_hi.ismv"]); got != picture || strings.Count(got, "\n") != 225 {
		t.Errorf("other pictures in the .ismv: %d of %d", strings.Count(got, "\n"), strings.Count(picture, "\n"))
	}
	if got := frames(t, "a", "-i", smooth["film_hi.isma"]); !sameSound(got, sound) {
		t.Errorf("other sound in the .isma: %d of %d frames", strings.Count(got, "\n"), strings.Count(sound, "\n"))
	}
	// The streams of both are the same.
	s, err := OpenSet("film.ism", m, smooth)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	b, err := OpenSet("film.ism", nil, files)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	p, err := s.presentation(0)
	if err != nil {
		t.Fatal(err)
	}
	q, err := b.presentation(0)
	if err != nil {
		t.Fatal(err)
	}
	for i, track := range p.Tracks {
		for k, r := range track.Renditions {
			o := q.Tracks[i].Renditions[k]
			for n, f := range r.Fragments {
				if f.Start != o.Fragments[n].Start || f.Length != o.Fragments[n].Length || f.N != o.Fragments[n].N {
					t.Errorf("%s, %d: fragment %d is %+v, of the MP4 %+v", track.Name, r.Bitrate, n, f, o.Fragments[n])
				}
			}
		}
	}
	t.Run("names with bitrates", func(t *testing.T) {
		_, list, err := do(t, packaging(t, define("5E1E1A1C-BBA6-11DF-8991-0019D1916AF0")), "film.ism", m, smooth)
		if err != nil || !slices.ContainsFunc(list, func(n string) bool { return strings.HasPrefix(n, "film_hi_") && strings.HasSuffix(n, ".ismv") }) {
			t.Errorf("%q, %v", list, err)
		}
	})
	t.Run("HLS", func(t *testing.T) { testHLS(t, m, smooth, picture, sound) })
	t.Run("PlayReady", func(t *testing.T) { testPlayReady(t, m, smooth, picture, sound) })
}

func testHLS(t *testing.T, m *ism.Manifest, smooth map[string]string, picture, sound string) {
	const id = "A72D7A5D-3022-45f2-89B4-1DDC5457C111"
	for _, tt := range []struct {
		name       string
		properties []string
		key        string // contents of the key file
	}{
		{"clear", []string{"maxbitrate=6600000", "manifest=", "segment=4", "log=made.log", "encrypt=false", "pid=7", "codecs=true", "backwardcompatible=false", "allowcaching=true", "key=", "keyuri=", "overwrite=true"}, ""},
		{"encrypted", []string{"maxbitrate=6600000", "segment=4", "encrypt=true", "key=000102030405060708090a0b0c0d0e0f"}, "000102030405060708090a0b0c0d0e0f"},
		{"old", []string{"segment=2", "backwardcompatible=true", "allowcaching=false", "manifest=mine.m3u8"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, list, err := do(t, packaging(t, define(id, tt.properties...)), "film.ism", m, smooth)
			if err != nil {
				t.Fatal(err)
			}
			main := "film-m3u8-aapl.m3u8"
			if tt.name == "old" {
				main = "mine.m3u8"
			}
			if list[len(list)-1] != main {
				t.Fatalf("the last file is %s", list[len(list)-1])
			}
			text, _ := os.ReadFile(filepath.Join(dir, main))
			if clear := tt.name == "clear"; strings.Contains(string(text), "CODECS") != clear || strings.Contains(string(text), "PROGRAM-ID=7") != clear || slices.Contains(list, "made.log") != clear {
				t.Errorf("%s", text)
			}
			open := []string{"-allowed_extensions", "ALL", "-i"}
			best := slices.IndexFunc(strings.Split(string(text), "\n"), func(l string) bool { return strings.Contains(l, "RESOLUTION=320x180") })
			variant := strings.Split(string(text), "\n")[best+1]
			if got := frames(t, "v", append(open, filepath.Join(dir, variant))...); got != picture {
				t.Errorf("other pictures: %d of %d", strings.Count(got, "\n"), strings.Count(picture, "\n"))
			}
			// A transport stream has no edit list: the priming is heard. It is
			// followed by the frames of the file.
			if n, all := strings.Count(frames(t, "a", append(open, filepath.Join(dir, main))...), "\n"), strings.Count(sound, "\n"); n < all || n > all+2 {
				t.Errorf("%d of %d frames of sound", n, all)
			}
			playlist, _ := os.ReadFile(filepath.Join(dir, variant))
			if got := strings.Count(string(playlist), ".ts\n"); tt.name != "old" && got != 3 || tt.name == "old" && got != 5 {
				t.Errorf("%d segments: %s", got, playlist)
			}
			if tt.name == "old" && (!strings.Contains(string(playlist), "#EXTINF:2,\n") || !strings.Contains(string(playlist), "VERSION:2\n") || !strings.Contains(string(playlist), "ALLOW-CACHE:NO")) {
				t.Errorf("%s", playlist)
			}
			key, _ := os.ReadFile(filepath.Join(dir, "film.key"))
			if hex.EncodeToString(key) != tt.key {
				t.Errorf("key %x", key)
			}
			if tt.key != "" {
				first, _ := os.ReadFile(filepath.Join(dir, strings.TrimSuffix(variant, ".m3u8")+"-00000.ts"))
				if !strings.Contains(string(playlist), `#EXT-X-KEY:METHOD=AES-128,URI="film.key",IV=0x`) || len(first) == 0 || len(first)%188 == 0 && first[0] == 0x47 {
					t.Errorf("not encrypted: %s", playlist)
				}
			}
		})
	}
	t.Run("too little", func(t *testing.T) {
		_, _, err := do(t, packaging(t, define(id, "maxbitrate=1000")), "film.ism", m, smooth)
		if e, ok := errors.AsType[*ams.JobError](err); !ok || e.Code != ams.ConfigurationUnsupported {
			t.Error(err)
		}
	})
	t.Run("some", func(t *testing.T) {
		most := int64(0)
		for _, s := range m.Streams {
			most = max(most, s.Bitrate)
		}
		_, list, err := do(t, packaging(t, define(id, fmt.Sprintf("maxbitrate=%d", most-1))), "film.ism", m, smooth)
		if err != nil || slices.ContainsFunc(list, func(n string) bool { return strings.Contains(n, fmt.Sprint(most)) }) {
			t.Errorf("%q %v", list, err)
		}
	})
}

func testPlayReady(t *testing.T, m *ism.Manifest, smooth map[string]string, picture, sound string) {
	const id = "9A3BFEAC-F8AE-41CA-87FA-D639E4D1C753"
	key := [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	const key64 = "AQIDBAUGBwgJCgsMDQ4PEA=="
	properties := []string{"keyId=" + kid, "contentKey=" + key64, "licenseAcquisitionUrl=https://licence.example/rights?a=1&amp;b=2",
		"customAttributes=Shop:one, Tier:gold", "serviceId={237A4EB1-9D01-4F4A-A2D2-79E51468014D}"}
	encrypt := func(t *testing.T, more ...string) (dir string) {
		task, err := ParseEncryption(define(id, append(more, properties...)...))
		if err != nil {
			t.Fatal(err)
		}
		dir, list, err := do(t, task, "film.ism", m, smooth)
		if err != nil {
			t.Fatal(err)
		}
		if want := []string{"film_lo.ismv", "film_hi.ismv", "film_hi.isma", "film.ismc", "film.ism"}; !slices.Equal(list, want) {
			t.Errorf("%q, want %q", list, want)
		}
		return dir
	}
	t.Run("senc", func(t *testing.T) {
		dir := encrypt(t, "useSencBox=true", "adjustSubSamples=true")
		secret := hex.EncodeToString(key[:])
		// Without the index at the end, this ffmpeg takes the wrong vectors from
		// the second fragment on, of its own files too.
		if got := frames(t, "v", "-use_mfra_for", "pts", "-decryption_key", secret, "-i", filepath.Join(dir, "film_hi.ismv")); got != picture {
			t.Errorf("other pictures: %d of %d", strings.Count(got, "\n"), strings.Count(picture, "\n"))
		}
		if got := frames(t, "a", "-use_mfra_for", "pts", "-decryption_key", secret, "-i", filepath.Join(dir, "film_hi.isma")); !sameSound(got, sound) {
			t.Errorf("other sound: %d of %d frames", strings.Count(got, "\n"), strings.Count(sound, "\n"))
		}
		client, _ := os.ReadFile(filepath.Join(dir, "film.ismc"))
		if !bytes.Contains(client, []byte(`<ProtectionHeader SystemID="9A04F079-9840-4286-AB92-E65BE0885F95">`)) || bytes.Contains(client, []byte("encryption=")) {
			t.Errorf("%s", client)
		}
		manifest, files := opened(t, dir, "film.ism")
		_, _, err := do(t, &Validation{Smooth: true}, "film.ism", manifest, files)
		if e, ok := errors.AsType[*ams.JobError](err); !ok || e.Code != ams.ContentUnsupported {
			t.Errorf("encrypted files are valid: %v", err)
		}
	})
	t.Run("uuid", func(t *testing.T) {
		dir := encrypt(t)
		for _, name := range []string{"film_hi.ismv", "film_hi.isma"} {
			decrypted := decrypt(t, filepath.Join(dir, name), key[:])
			stream, want := "v", picture
			if strings.HasSuffix(name, "a") {
				stream, want = "a", sound
			}
			if got := frames(t, stream, "-i", decrypted); got != want && !(stream == "a" && sameSound(got, want)) {
				t.Errorf("%s: other frames: %d of %d", name, strings.Count(got, "\n"), strings.Count(want, "\n"))
			}
		}
	})
	t.Run("some formats", func(t *testing.T) {
		dir := encrypt(t, "dataFormats=h264, avc1")
		if got := frames(t, "a", "-i", filepath.Join(dir, "film_hi.isma")); !sameSound(got, sound) {
			t.Error("the sound is encrypted")
		}
	})
}

// decrypt writes the clear form of a file by mp4ff.
func decrypt(t *testing.T, path string, key []byte) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := ff.DecodeFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	info, err := ff.DecryptInit(f.Init)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := f.Init.Encode(&out); err != nil {
		t.Fatal(err)
	}
	for _, s := range f.Segments {
		if err := ff.DecryptSegment(s, info, key); err != nil {
			t.Fatal(err)
		}
		if err := s.Encode(&out); err != nil {
			t.Fatal(err)
		}
	}
	to := filepath.Join(t.TempDir(), "clear.mp4")
	if err := os.WriteFile(to, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}

// What can be streamed is said to be, and comes with manifests; what cannot is
// named with its file.
func TestValidation(t *testing.T) {
	src := t.TempDir()
	a := rung(t, src, "a.mp4", "160x90")
	apart := rung(t, src, "apart.mp4", "320x180", "-g", "45", "-c:a", "aac", "-t", "7.5")
	dolby := rung(t, src, "dolby.mp4", "160x90", "-g", "50", "-c:a", "ac3")
	mpeg4 := filepath.Join(src, "mpeg4.mp4")
	run(t, "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25:duration=2", "-c:v", "mpeg4", mpeg4)
	text := filepath.Join(src, "text.mp4")
	if err := os.WriteFile(text, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	whole, _ := os.ReadFile(a)
	cut := filepath.Join(src, "cut.mp4")
	if err := os.WriteFile(cut, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	task := packaging(t, define("859515BF-9BA3-4BDD-A3B6-400CEF07F870", "SmoothRequired=true", "HLSRequired=true"))
	hlsOnly := packaging(t, define("859515BF-9BA3-4BDD-A3B6-400CEF07F870", "SmoothRequired=false", "HLSRequired=true"))
	for _, tt := range []struct {
		name  string
		task  Task
		files []string
		code  ams.JobErrorCode
		says  []string
	}{
		{"a set", task, []string{a}, "", nil},
		{"misaligned", task, []string{a, apart}, ams.ContentUnsupported, []string{misaligned, "apart.mp4", "a.mp4"}},
		{"Dolby", hlsOnly, []string{dolby}, "", nil},
		{"Dolby in Smooth", task, []string{dolby}, ams.ContentUnsupported, []string{"dolby.mp4", "ac-3"}},
		{"MPEG-4", task, []string{mpeg4}, ams.ContentUnsupported, nil},
		{"text", task, []string{text}, ams.ContentUnsupported, []string{"text.mp4"}},
		{"half a file", task, []string{cut}, ams.ContentMalformed, []string{"cut.mp4"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string]string{}
			for _, f := range tt.files {
				files[filepath.Base(f)] = f
			}
			dir, list, err := do(t, tt.task, "set.ism", nil, files)
			if tt.code != "" {
				e, ok := errors.AsType[*ams.JobError](err)
				if !ok || e.Code != tt.code {
					t.Fatalf("%v", err)
				}
				for _, s := range tt.says {
					if !strings.Contains(e.Message, s) {
						t.Errorf("%q does not say %q", e.Message, s)
					}
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			m, out := opened(t, dir, "set.ism")
			if list[len(list)-1] != "set.ism" || len(m.Streams) != 2 {
				t.Errorf("%q: %+v", list, m)
			}
			for name := range maps.Keys(out) {
				was, _ := os.ReadFile(files[name])
				is, err := os.ReadFile(out[name])
				if err != nil || !bytes.Equal(was, is) {
					t.Errorf("%s is another file: %v", name, err)
				}
				b, err := os.ReadFile(out[name] + ".mpi")
				if err != nil {
					t.Fatal(err)
				}
				if _, err := mp4.ParseIndex(b); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	const hls, playReady = "A72D7A5D-3022-45f2-89B4-1DDC5457C111", "9A3BFEAC-F8AE-41CA-87FA-D639E4D1C753"
	for _, tt := range []struct {
		name, text, says string
		code             ams.Code
	}{
		{"nothing", "", "taskDefinition", ams.Invalid},
		{"another root", "<a/>", "taskDefinition", ams.Invalid},
		{"another task", define("11111111-bba6-11df-8991-0019d1916af0"), "11111111-", ams.Unsupported},
		{"the encryptor's", define(playReady), ams.MediaEncryptor, ams.Unsupported},
		{"a property", define(hls, "maxbitrte=5"), "maxbitrte", ams.Invalid},
		{"a number", define(hls, "maxbitrate=much"), "much", ams.Invalid},
		{"a long segment", define(hls, "segment=21"), "segment", ams.Invalid},
		{"a name", define(hls, "manifest=../a.m3u8"), "manifest", ams.Invalid},
		{"another kind of name", define(hls, "manifest=a.ts"), "m3u8", ams.Invalid},
		{"a short key", define(hls, "key=00ff"), "16 bytes", ams.Invalid},
		{"a boolean", define(hls, "encrypt=perhaps"), "perhaps", ams.Invalid},
		{"a passphrase", define(hls, "passphrase=x"), "passphrase", ams.Invalid},
	} {
		_, err := ParsePackaging(tt.text)
		if ams.CodeOf(err) != tt.code || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	const url = "licenseAcquisitionUrl=https://a.example/"
	for _, tt := range []struct{ name, text, says string }{
		{"no URL", define(playReady, "contentKey=AQIDBAUGBwgJCgsMDQ4PEA=="), "licenseAcquisitionUrl"},
		{"no key", define(playReady, url), "keySeedValue"},
		{"a key", define(playReady, url, "contentKey=AQID"), "16 bytes"},
		{"a seed", define(playReady, url, "keySeedValue=AQID"), "30 bytes"},
		{"an id", define(playReady, url, "keySeedValue="+seed, "keyId=one"), "one"},
		{"attributes", define(playReady, url, "keySeedValue="+seed, "customAttributes=&lt;a:b"), "name1:value1"},
		{"another task", define(hls), "A72D7A5D"},
	} {
		_, err := ParseEncryption(tt.text)
		if err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(tt.says)) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if _, err := ParseEncryption(define(playReady, url, "keySeedValue="+seed, "keyId="+kid)); err != nil {
		t.Error(err)
	}
}

// A key seed gives the key, by its checksum, that a published Smooth asset of
// Microsoft's has in its header (SuperSpeedway of the PlayReady test server).
func TestKeySeed(t *testing.T) {
	task, err := ParseEncryption(define(playReady, "keySeedValue="+seed, "keyId={09e36702-8f33-436c-a5dd-60ffe6671e70}", "licenseAcquisitionUrl=https://a.example/",
		"serviceId=deb47f00-8a3b-416d-9b1e-5d55fd023044"))
	if err != nil {
		t.Fatal(err)
	}
	p := task.(*PlayReady)
	key := protect.NewKey(*p.ID, *keyOfSeed(p.Seed, *p.ID), nil)
	header := string((&protect.Protection{Scheme: protect.CENC, Systems: protect.Systems{PlayReadyService: p.Service}}).PlayReadyObject(key))
	header = strings.ReplaceAll(header, "\x00", "")
	for _, want := range []string{"<KID>AmfjCTOPbEOl3WD/5mcecA==</KID>", "<CHECKSUM>BGw1aYZ1YXM=</CHECKSUM>", "<DS_ID>AH+03juKbUGbHl1V/QIwRA==</DS_ID>"} {
		if !strings.Contains(header, want) {
			t.Errorf("%s is not in %s", want, header)
		}
	}
}

// A canceled task ends and leaves nothing to say.
func TestCancel(t *testing.T) {
	src := t.TempDir()
	s, err := OpenSet("a.ism", nil, map[string]string{"a.mp4": rung(t, src, "a.mp4", "160x90")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, task := range []Task{&Smooth{}, &HLS{Segment: 4e9}, &Validation{HLS: true}} {
		if _, err := task.Run(ctx, s, t.TempDir(), func(float64) {}); !errors.Is(err, context.Canceled) {
			t.Errorf("%T: %v", task, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(define(toHLS, "maxbitrate=5", "key=000102030405060708090a0b0c0d0e0f"))
	f.Add(define(toSmooth, "keepSourceNames=TRUE"))
	f.Add(define(validate, "HLSRequired=0"))
	f.Add(define(playReady, "keySeedValue="+seed, "licenseAcquisitionUrl=https://a/"))
	f.Fuzz(func(t *testing.T, text string) {
		if task, err := ParsePackaging(text); err == nil {
			if h, ok := task.(*HLS); ok && (h.Segment <= 0 || h.Segment > maxSegment*1e9 || h.MaxBitrate < 0) {
				t.Fatalf("%+v", h)
			}
		} else if ams.CodeOf(err) == ams.Internal {
			t.Fatal(err)
		}
		if task, err := ParseEncryption(text); err == nil {
			if p := task.(*PlayReady); p.Key == nil && len(p.Seed) < seedLength {
				t.Fatalf("%+v", p)
			}
		}
	})
}
