package protect_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	ff "github.com/Eyevinn/mp4ff/mp4"

	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/mp4"
	"github.com/openams/openams/packager/protect"
)

// rows are all formats of parts of samples.
var rows = []struct {
	format string
	scheme protect.Scheme
}{
	{"mpd-time-csf", protect.CENC},
	{"mpd-time-cmaf", protect.CENC},
	{"mpd-time-cmaf", protect.CBCS},
	{"m3u8-cmaf", protect.CENC},
	{"m3u8-cmaf", protect.CBCS},
	{"", protect.CENC},
	{"", protect.PIFF},
}

// each calls f with every row and rendition, and the segments of both sorts,
// init segment first.
func each(t *testing.T, f func(t *testing.T, scheme protect.Scheme, r *packager.Rendition, clear, encrypted [][]byte)) {
	a := open(t)
	for _, row := range rows {
		p := protection(t, row.scheme)
		clear := format(t, row.format)
		encrypted, err := p.Format(clear)
		if err != nil {
			t.Fatal(err)
		}
		carrier := packager.FragmentedMP4
		if row.format == "" {
			carrier = packager.SmoothFragment
		}
		initClear, initEncrypted := clear.Init, encrypted.Init
		if initClear == nil { // Smooth has none, but tools need one
			csf := format(t, "mpd-time-csf")
			cenc, err := protection(t, protect.CENC).Format(csf)
			if err != nil {
				t.Fatal(err)
			}
			initClear, initEncrypted = csf.Init, cenc.Init
		}
		for _, track := range a.Tracks {
			for _, r := range track.Renditions {
				t.Run(fmt.Sprintf("%s/%s/%s-%d", row.format, row.scheme, track.Name, r.Bitrate), func(t *testing.T) {
					s, err := initClear(a.Presentation, r)
					c := [][]byte{a.bytes(t, s, err)}
					s, err = initEncrypted(a.Presentation, r)
					e := [][]byte{a.bytes(t, s, err)}
					for k, frag := range r.Fragments {
						s, err := clear.Fragment(a.Presentation, r, frag.Start)
						c = append(c, a.bytes(t, s, err))
						size := s.Size
						s, err = encrypted.Fragment(a.Presentation, r, frag.Start)
						b := a.bytes(t, s, err)
						e = append(e, b)
						if again := a.bytes(t, s, nil); !bytes.Equal(again, b) {
							t.Error("the segment differs the second time")
						}
						whole, first, err := p.Size(r, k, size, 0, carrier)
						if err != nil || whole != int64(len(b)) || first != whole-size {
							t.Errorf("fragment %d has %d bytes, Size says %d, %d, %v", k, len(b), whole, first, err)
						}
					}
					f(t, row.scheme, r, c, e)
				})
			}
		}
	}
}

// samples returns the bytes of all samples of a fragment, by mp4ff.
func samples(t *testing.T, init *ff.InitSegment, segment []byte, decrypt func(*ff.MediaSegment)) (list [][]byte) {
	t.Helper()
	f, err := ff.DecodeFile(bytes.NewReader(segment))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range f.Segments {
		if decrypt != nil {
			decrypt(s)
		}
		for _, fragment := range s.Fragments {
			full, err := fragment.GetFullSamples(init.Moov.Mvex.Trex)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range full {
				list = append(list, x.Data)
			}
		}
	}
	return list
}

// TestMP4FF decrypts sample by sample.
func TestMP4FF(t *testing.T) {
	each(t, func(t *testing.T, scheme protect.Scheme, r *packager.Rendition, clear, encrypted [][]byte) {
		if scheme == protect.CBCS && r.Track.Kind == mp4.Audio {
			t.Skip("mp4ff asks for senc where ISO/IEC 23001-7 has nothing for it to say")
		}
		_, key := keyOf(r)
		secret, _ := hex.DecodeString(key)
		decode := func(b []byte) *ff.InitSegment {
			f, err := ff.DecodeFile(bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}
			return f.Init
		}
		clearInit, init := decode(clear[0]), decode(encrypted[0])
		info, err := ff.DecryptInit(init)
		if err != nil {
			t.Fatal(err)
		}
		var box bytes.Buffer
		if err := init.Moov.Trak.Encode(&box); err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		clearInit.Moov.Trak.Encode(&want)
		if !bytes.Equal(box.Bytes(), want.Bytes()) {
			t.Error("the track of the decrypted init segment is not that of the clear one")
		}
		for i := 1; i < len(clear); i++ {
			c := samples(t, clearInit, clear[i], nil)
			hidden := samples(t, init, encrypted[i], nil)
			got := samples(t, init, encrypted[i], func(s *ff.MediaSegment) {
				if err := ff.DecryptSegment(s, info, secret); err != nil {
					t.Fatal(err)
				}
			})
			if len(got) != len(c) {
				t.Fatalf("%d samples, want %d", len(got), len(c))
			}
			same := 0
			for k := range c {
				if !bytes.Equal(got[k], c[k]) {
					t.Fatalf("segment %d: sample %d does not decrypt", i, k)
				}
				if bytes.Equal(hidden[k], c[k]) && len(c[k]) > 100 {
					same++
				}
			}
			if same > 0 {
				t.Errorf("segment %d: %d samples of %d are not encrypted", i, same, len(c))
			}
		}
	})
}

// packets returns a hash of every packet and of every decoded frame of a stream.
// ffmpeg reads it from a pipe: in a file of several fragments without sidx it
// looks for sample information in the wrong fragment.
func packets(t *testing.T, stream []byte, input ...string) string {
	t.Helper()
	hash := func(more ...string) string {
		args := append([]string{"-v", "error", "-xerror"}, input...)
		args = append(append(args, "-i", "-", "-map", "0:0"), more...)
		cmd := exec.Command("ffmpeg", append(args, "-f", "framemd5", "-")...)
		var errs bytes.Buffer
		cmd.Stdin, cmd.Stderr = bytes.NewReader(stream), &errs
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v\n%.2000s", cmd.Args, err, errs.Bytes())
		}
		var list []string
		for line := range strings.Lines(string(out)) {
			// stream, dts, pts, duration, size, hash, side data
			if f := strings.Split(line, ","); !strings.HasPrefix(line, "#") && len(f) > 5 {
				list = append(list, strings.TrimSpace(f[5]))
			}
		}
		return strings.Join(list, "\n")
	}
	return hash("-c", "copy") + "\ndecoded\n" + hash()
}

// TestFFmpeg decrypts and decodes with ffmpeg.
func TestFFmpeg(t *testing.T) {
	each(t, func(t *testing.T, scheme protect.Scheme, r *packager.Rendition, clear, encrypted [][]byte) {
		if string(encrypted[1][4:8]) == "moof" {
			t.Skip("ffmpeg does not read the uuid box of Smooth")
		}
		_, key := keyOf(r)
		want := packets(t, slices.Concat(clear...))
		if n := strings.Count(want, "\n"); n < 200 {
			t.Fatalf("only %d packets", n)
		}
		if packets(t, slices.Concat(encrypted...), "-decryption_key", key) != want {
			t.Error("packets or frames differ")
		}
	})
}

func write(t *testing.T, name string, parts [][]byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, slices.Concat(parts...), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// shakaPackager is OPENAMS_SHAKA_PACKAGER, that of the path, or the one that the
// JavaScript clients of the end-to-end tests bring along.
func shakaPackager(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("OPENAMS_SHAKA_PACKAGER"); path != "" {
		return path
	}
	if path, err := exec.LookPath("shaka-packager"); err == nil {
		return path
	}
	arch := map[string]string{"amd64": "x64"}[runtime.GOARCH]
	if arch == "" {
		arch = runtime.GOARCH
	}
	path, err := filepath.Abs("../../e2e/js/node_modules/shaka-packager/bin/packager-" + runtime.GOOS + "-" + arch)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Skip("no shaka-packager in the path nor in e2e/js (npm ci), and OPENAMS_SHAKA_PACKAGER is not set")
	}
	return path
}

// TestShakaPackager decrypts with shaka-packager, where there is one.
func TestShakaPackager(t *testing.T) {
	tool := shakaPackager(t)
	each(t, func(t *testing.T, scheme protect.Scheme, r *packager.Rendition, clear, encrypted [][]byte) {
		if string(encrypted[1][4:8]) == "moof" {
			t.Skip("shaka-packager does not read Smooth fragments")
		}
		kid, key := keyOf(r)
		in, out := write(t, "encrypted.mp4", firstTrack(encrypted)), filepath.Join(t.TempDir(), "out.mp4")
		run(t, tool, "--quiet", "in="+in+",stream="+r.Track.Kind.String()+",output="+out,
			"--enable_raw_key_decryption", "--keys", "key_id="+kid+":key="+key)
		got, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if packets(t, got) != packets(t, slices.Concat(clear...)) {
			t.Error("packets or frames differ")
		}
	})
}

// firstTrack sets all track ids to 1: shaka-packager 3.4.2 crashes if the only
// track, clear or not, has another.
func firstTrack(parts [][]byte) (list [][]byte) {
	for i, b := range parts {
		b = bytes.Clone(b)
		head := b[:bytes.Index(append(b, "mdat"...), []byte("mdat"))]
		for box, at := range map[string]int{"tkhd": 16, "trex": 8, "tfhd": 8} {
			if k := bytes.Index(head, []byte(box)); k > 0 && (i == 0) == (box != "tfhd") {
				copy(head[k+at:], []byte{0, 0, 0, 1})
			}
		}
		list = append(list, b)
	}
	return list
}

// TestAES128 decrypts with openssl.
func TestAES128(t *testing.T) {
	a := open(t)
	p := protection(t, protect.AES128)
	for _, name := range []string{"m3u8-aapl", "m3u8-cmaf", "mpd-time-csf", "mpd-time-cmaf", "fmp4-v20", ""} {
		clear := format(t, name)
		encrypted, err := p.Format(clear)
		if err != nil {
			t.Fatal(err)
		}
		for _, track := range a.Tracks {
			r := track.Renditions[0]
			t.Run(name+"/"+track.Name, func(t *testing.T) {
				_, key := keyOf(r)
				_, iv, _ := strings.Cut(p.PlaylistKeys(r, packager.TransportStream), "IV=0x")
				for k, frag := range r.Fragments {
					if name == "m3u8-aapl" && k%a.FragmentsPerTS != 0 {
						continue
					}
					s, err := clear.Fragment(a.Presentation, r, frag.Start)
					want := a.bytes(t, s, err)
					size := protect.EnvelopeSize(s.Size)
					s, err = encrypted.Fragment(a.Presentation, r, frag.Start)
					b := a.bytes(t, s, err)
					if int64(len(b)) != size {
						t.Errorf("%d bytes, EnvelopeSize says %d", len(b), size)
					}
					path := write(t, "segment", [][]byte{b})
					got := run(t, "openssl", "enc", "-d", "-aes-128-cbc", "-K", key, "-iv", strings.TrimSpace(iv), "-in", path)
					if !bytes.Equal(got, want) {
						t.Fatal("what openssl decrypts is not the clear segment")
					}
				}
				if clear.Init != nil {
					s, err := encrypted.Init(a.Presentation, r)
					got := a.bytes(t, s, err)
					s, err = clear.Init(a.Presentation, r)
					if !bytes.Equal(got, a.bytes(t, s, err)) {
						t.Error("the init segment is not clear")
					}
				}
			})
		}
	}
}
