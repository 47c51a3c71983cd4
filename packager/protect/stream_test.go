package protect_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/hls"
	"github.com/openams/openams/packager/mp4"
	"github.com/openams/openams/packager/protect"
)

// streamAsset has one track of each codec that transport streams encrypt.
func streamAsset(t testing.TB) *asset {
	t.Helper()
	a := open(t)
	dir := t.TempDir()
	list := map[string]*mp4.Index{}
	for name, args := range map[string]string{
		"ac3.mp4":  tone + " -c:a ac3 -b:a 128k",
		"eac3.mp4": tone + " -c:a eac3 -b:a 96k",
	} {
		run(t, "ffmpeg", append(append([]string{"-v", "error", "-nostdin"}, strings.Fields(args)...), filepath.Join(dir, name))...)
		list[name] = index(t, filepath.Join(dir, name))
	}
	for _, name := range []string{"v1.mp4", "v2.mp4", "a.mp4"} {
		if err := os.Link(filepath.Join(a.dir, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		list[name] = index(t, filepath.Join(dir, name))
	}
	return &asset{dir, present(t, `<video src="v1.mp4" systemBitrate="400000"/><video src="v2.mp4" systemBitrate="100000"/>`+
		`<audio src="a.mp4" systemBitrate="64000"><param name="trackName" value="aac"/></audio>`+
		`<audio src="ac3.mp4" systemBitrate="128000"><param name="trackName" value="ac3"/></audio>`+
		`<audio src="eac3.mp4" systemBitrate="96000"><param name="trackName" value="eac3"/></audio>`, list)}
}

// segments are all segments of r in f.
func (a *asset) segments(t testing.TB, f *packager.Format, r *packager.Rendition) (list [][]byte) {
	t.Helper()
	for k, frag := range r.Fragments {
		if k%a.FragmentsPerTS != 0 {
			continue
		}
		s, err := f.Fragment(a.Presentation, r, frag.Start)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if _, err := s.WriteTo(&b, a.open); err != nil {
			t.Fatal(err)
		}
		if got := int64(b.Len()); got != s.Size && !(s.Unsized && got > s.Size) {
			t.Fatalf("%d bytes, planned %d", got, s.Size)
		}
		list = append(list, b.Bytes())
	}
	return list
}

// played are hashes of the frames that ffmpeg decodes of segments behind a key
// line; it decrypts SAMPLE-AES.
func played(t *testing.T, key string, parts [][]byte) []string {
	t.Helper()
	dir := t.TempDir()
	var m strings.Builder
	m.WriteString("#EXTM3U\n#EXT-X-VERSION:5\n#EXT-X-TARGETDURATION:6\n#EXT-X-PLAYLIST-TYPE:VOD\n" + key)
	// ffmpeg 5.1 leaves the last packets of a playlist encrypted: the first segment
	// is there once more.
	for i, b := range append(slices.Clone(parts), parts[0]) {
		name := fmt.Sprintf("%d.ts", i)
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o666); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&m, "#EXTINF:6,\n%s\n", name)
	}
	m.WriteString("#EXT-X-ENDLIST\n")
	path := filepath.Join(dir, "index.m3u8")
	if err := os.WriteFile(path, []byte(m.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	// With a wrong key it fails, and what it has written till then counts.
	out, _ := exec.Command("ffmpeg", "-v", "fatal", "-nostdin", "-allowed_extensions", "ALL", "-i", path, "-vsync", "passthrough", "-f", "framemd5", "-").Output()
	var list []string
	for line := range strings.Lines(string(out)) {
		// stream, dts, pts, duration, size, hash
		if f := strings.Split(line, ","); !strings.HasPrefix(line, "#") && len(f) == 6 {
			list = append(list, f[0]+strings.TrimSpace(f[5]))
		}
	}
	return list
}

// keyLine tells ffmpeg of a key in a file.
func keyLine(t *testing.T, p *protect.Protection, r *packager.Rendition, value []byte) string {
	t.Helper()
	_, iv, ok := strings.Cut(p.PlaylistKeys(r, packager.TransportStream), ",IV=0x")
	if !ok {
		t.Fatalf("no vector in %s", p.PlaylistKeys(r, packager.TransportStream))
	}
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, value, 0o600); err != nil {
		t.Fatal(err)
	}
	return "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"file://" + path + "\",IV=0x" + iv
}

// TestSampleAES has ffmpeg decrypt transport streams and compares pictures and
// sound with those of the clear ones.
func TestSampleAES(t *testing.T) {
	a := streamAsset(t)
	p := protection(t, protect.CBCS)
	clear := format(t, "m3u8-aapl")
	f, err := p.Format(clear)
	if err != nil {
		t.Fatal(err)
	}
	for _, track := range a.Tracks {
		for _, r := range track.Renditions {
			t.Run(fmt.Sprintf("%s-%d", track.Name, r.Bitrate), func(t *testing.T) {
				_, key := keyOf(r)
				value, _ := hex.DecodeString(key)
				open, sealed := a.segments(t, clear, r), a.segments(t, f, r)
				want := played(t, "", open)
				if len(want) < 250 {
					t.Fatalf("the clear stream has only %d frames", len(want))
				}
				want = want[:len(want)-50] // ours, and some of the first segment
				got := played(t, keyLine(t, p, r, value), sealed)
				if d := cmp.Diff(want, got[:min(len(want), len(got))]); d != "" {
					t.Errorf("decrypted, the frames differ:\n%s", d)
				}
				other := played(t, keyLine(t, p, r, []byte("another key 1234")), sealed)
				if d := slices.Equal(want, other[:min(len(want), len(other))]); d {
					t.Error("plays with another key")
				}
				whole, _, err := p.Size(r, 0, int64(len(open[0])), 0, packager.TransportStream)
				if err != nil || whole < int64(len(sealed[0])) {
					t.Errorf("a segment of %d bytes, Size says %d, %v", len(sealed[0]), whole, err)
				}
				continuous(t, slices.Concat(sealed...))
			})
		}
	}
}

// TestSampleAESMuxed is TestSampleAES for video and audio in one stream.
func TestSampleAESMuxed(t *testing.T) {
	a := streamAsset(t)
	p := protection(t, protect.CBCS)
	video := a.Tracks[0].Renditions[1]
	clear := hls.Muxed("aac")
	f, err := p.Format(clear)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Playlist(a.Presentation, video, packager.Options{Protection: p}); packager.CodeOf(err) != packager.OutputFormatNotSupported {
		t.Errorf("two keys in one stream: %v", err)
	}
	key := p.Keys(video)
	for _, tt := range []struct {
		name string
		keys func(*packager.Rendition) *protect.Key
	}{
		{"one key", func(*packager.Rendition) *protect.Key { return key }},
		{"clear audio", func(r *packager.Rendition) *protect.Key {
			if r.Track.Kind == mp4.Audio {
				return nil
			}
			return key
		}},
	} {
		p.Keys = tt.keys
		list, err := f.Playlist(a.Presentation, video, packager.Options{Protection: p})
		if err != nil || strings.Count(string(list.Body), "EXT-X-KEY") != 2 || !strings.Contains(string(list.Body), "EXT-X-VERSION:5") {
			t.Errorf("%s: %v: %s", tt.name, err, list.Body)
		}
		sealed := a.segments(t, f, video)
		if tt.name == "one key" { // ffmpeg takes clear audio for encrypted
			want, got := played(t, "", a.segments(t, clear, video)), played(t, keyLine(t, p, video, videoKey[:]), sealed)
			want = want[:len(want)-50]
			if d := cmp.Diff(want, got[:min(len(want), len(got))]); d != "" {
				t.Errorf("%s: decrypted, the frames differ:\n%s", tt.name, d)
			}
		}
		continuous(t, slices.Concat(sealed...))
	}
}

// continuous checks the continuity counters of all streams.
func continuous(t *testing.T, b []byte) {
	t.Helper()
	next := map[uint16]byte{}
	for at := 0; at < len(b); at += 188 {
		pid := binary.BigEndian.Uint16(b[at+1:]) & 0x1fff
		cc := b[at+3] & 15
		if want, ok := next[pid]; ok && cc != want && pid != 0 && pid != 0x1000 {
			t.Fatalf("byte %d: the continuity counter of stream %#x is %d, want %d", at, pid, cc, want)
		}
		next[pid] = (cc + 1) & 15
	}
}

// A pes is what one PES packet carries.
type pes struct{ data []byte }

// demux reads the program map and the PES packets of the first stream.
func demux(t *testing.T, b []byte) (typ byte, descriptors []byte, list []pes) {
	t.Helper()
	var pid uint16 = 0x1fff
	var pmt uint16
	for at := 0; at+188 <= len(b); at += 188 {
		x := b[at : at+188]
		if x[0] != 0x47 {
			t.Fatalf("byte %d: no packet", at)
		}
		id := binary.BigEndian.Uint16(x[1:]) & 0x1fff
		start := x[1]&0x40 != 0
		body := x[4:]
		if x[3]&0x20 != 0 {
			body = body[1+int(body[0]):]
		}
		if x[3]&0x10 == 0 {
			continue
		}
		switch {
		case id == 0 && start:
			pmt = binary.BigEndian.Uint16(body[1+10:]) & 0x1fff
		case id == pmt && start && pid == 0x1fff:
			s := body[1:]
			s = s[12+int(binary.BigEndian.Uint16(s[10:])&0xfff):]
			typ, pid = s[0], binary.BigEndian.Uint16(s[1:])&0x1fff
			descriptors = bytes.Clone(s[5 : 5+int(binary.BigEndian.Uint16(s[3:])&0xfff)])
		case id == pid:
			if start {
				list = append(list, pes{})
				body = body[9+int(body[8]):]
			}
			p := &list[len(list)-1]
			p.data = append(p.data, body...)
		}
	}
	return typ, descriptors, list
}

// units splits a byte stream of Annex B; zeros around start codes are no part of a
// NAL unit.
func units(b []byte) (list [][]byte) {
	for {
		i := bytes.Index(b, []byte{0, 0, 1})
		if i < 0 {
			return list
		}
		b = b[i+3:]
		end := bytes.Index(b, []byte{0, 0, 1})
		if end < 0 {
			end = len(b)
		}
		list = append(list, bytes.TrimRight(b[:end], "\x00"))
	}
}

// TestSampleAESLikeShaka compares encrypted NAL units, audio frames and descriptors
// with those that shaka-packager makes of the same file, key and vector.
func TestSampleAESLikeShaka(t *testing.T) {
	tool := shakaPackager(t)
	a := streamAsset(t)
	p := protection(t, protect.CBCS)
	f, err := p.Format(format(t, "m3u8-aapl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, track := range a.Tracks {
		for _, r := range track.Renditions {
			t.Run(fmt.Sprintf("%s-%d", track.Name, r.Bitrate), func(t *testing.T) {
				kid, key := keyOf(r)
				_, iv, _ := strings.Cut(p.PlaylistKeys(r, packager.TransportStream), ",IV=0x")
				dir := t.TempDir()
				run(t, tool, "--quiet", "in="+filepath.Join(a.dir, r.File)+",stream="+track.Kind.String()+",segment_template="+dir+"/$Number%05d$.ts",
					"--segment_duration", "6", "--enable_raw_key_encryption", "--keys", "key_id="+kid+":key="+key, "--iv", strings.TrimSpace(iv),
					"--protection_scheme", "cbcs", "--clear_lead", "0", "--protection_systems", "FairPlay")
				files, err := filepath.Glob(dir + "/*.ts")
				if err != nil || len(files) == 0 {
					t.Fatal("shaka-packager wrote nothing", err)
				}
				var theirs []byte
				for _, name := range files {
					b, err := os.ReadFile(name)
					if err != nil {
						t.Fatal(err)
					}
					theirs = append(theirs, b...)
				}
				ours := slices.Concat(a.segments(t, f, r)...)
				typ, descriptors, list := demux(t, ours)
				wantType, wantDescriptors, wantList := demux(t, theirs)
				if typ != wantType || !bytes.Equal(descriptors, wantDescriptors) {
					t.Errorf("stream type %#x with % x; shaka-packager has %#x with % x", typ, descriptors, wantType, wantDescriptors)
				}
				join := func(list []pes) (all []byte) {
					for _, p := range list {
						all = append(all, p.data...)
					}
					return all
				}
				if track.Kind == mp4.Audio {
					got, want := join(list), join(wantList)
					if !bytes.Equal(got, want) {
						t.Errorf("%d bytes of audio differ from shaka-packager's %d", len(got), len(want))
					}
					return
				}
				slices := func(list []pes) (all [][]byte) {
					for _, u := range units(join(list)) {
						if len(u) > 0 && (u[0]&31 == 1 || u[0]&31 == 5) {
							all = append(all, u)
						}
					}
					return all
				}
				got, want := slices(list), slices(wantList)
				if len(got) != len(want) || len(got) < 200 {
					t.Fatalf("%d slices, shaka-packager has %d", len(got), len(want))
				}
				for i := range got {
					if !bytes.Equal(got[i], want[i]) {
						t.Fatalf("slice %d of %d bytes differs from shaka-packager's of %d", i, len(got[i]), len(want[i]))
					}
				}
			})
		}
	}
}
