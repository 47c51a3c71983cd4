package origin

import (
	"bytes"
	"context"
	"crypto/cipher"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/openams/openams/blob"
)

// interleaved is an MP4 with the audio of 20 s in small pieces between pictures.
func interleaved(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.mp4")
	out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=r=25:s=160x90", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000",
		"-t", "20", "-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-sc_threshold", "0", "-c:a", "aac", "-b:a", "64k", path).CombinedOutput()
	if err != nil {
		t.Fatalf("ffmpeg: %v: %s", err, out)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const interleavedISM = `<smil xmlns="http://www.w3.org/2001/SMIL20/Language"><body><switch><video src="foreign.mp4" systemBitrate="100000"/><audio src="foreign.mp4" systemBitrate="64000"/></switch></body></smil>`

// TestPacked: audio that lies scattered is laid out once in the background, and
// nobody can tell from what is served.
func TestPacked(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audio")
	packing := func(c *Config) { c.AudioDir, c.AudioDisk = dir, 1<<20 }
	s := newStage(t, packing)
	s.put("foreign.mp4", interleaved(t))
	s.put("foreign.ism", []byte(interleavedISM))
	paths := []string{"foreign.ism/manifest", "foreign.ism/QualityLevels(64000)/Fragments(audio=i,format=mpd-time-csf)"}
	for _, format := range []string{"", ",format=mpd-time-csf", ",format=m3u8-cmaf", ",format=m3u8-aapl"} {
		for _, time := range []int{0, 60160000, 120320000} {
			paths = append(paths, fmt.Sprintf("foreign.ism/QualityLevels(64000)/Fragments(audio=%d%s)", time, format))
		}
	}
	type answer struct {
		etag string
		body []byte
	}
	get := func() (all []answer) {
		for _, p := range paths {
			res, body := s.do("GET", s.at(p))
			if res.StatusCode != 200 {
				t.Fatalf("%s: %s %s", p, res.Status, body)
			}
			all = append(all, answer{res.Header.Get("Etag"), body})
		}
		return all
	}
	before := get()
	extents := func() int {
		show, err := s.handler.titles.open(t.Context(), s.asset, "foreign.ism", false, nil, "")
		if err != nil {
			t.Fatal(err)
		}
		r, err := show.Rendition("audio", 64000)
		if err != nil {
			t.Fatal(err)
		}
		return len(r.Extents(r.Fragments[1].First, r.Fragments[1].N))
	}
	for end := time.Now().Add(10 * time.Second); extents() != 1; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the audio is not laid out")
		}
	}
	same := func(after []answer) {
		t.Helper()
		for i, p := range paths {
			if after[i].etag != before[i].etag || !bytes.Equal(after[i].body, before[i].body) {
				t.Errorf("%s: %s and %d bytes before, %s and %d now", p, before[i].etag, len(before[i].body), after[i].etag, len(after[i].body))
			}
		}
	}
	same(get())
	if res, part := s.do("GET", s.at(paths[3]), header("Range", "bytes=5000-5999")); res.StatusCode != 206 || !bytes.Equal(part, before[3].body[5000:6000]) {
		t.Errorf("range: %s", res.Status)
	}
	// A copy that goes away is made again; meanwhile the file serves.
	kept, err := filepath.Glob(filepath.Join(dir, "*.audio"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("copies: %q, %v", kept, err)
	}
	s.handler.titles.packer.close()
	if err := os.Remove(kept[0]); err != nil {
		t.Fatal(err)
	}
	s.handler.files.close() // so that it is missed
	same(get())
	if n := extents(); n == 1 {
		t.Error("one piece, although the copy is gone")
	}
}

func TestPackedIsBounded(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audio")
	s := newStage(t, func(c *Config) { c.AudioDir, c.AudioDisk = dir, 1000 })
	s.put("foreign.mp4", interleaved(t))
	s.put("foreign.ism", []byte(interleavedISM))
	s.get("foreign.ism/manifest")
	s.handler.titles.packer.close()
	if kept, _ := filepath.Glob(filepath.Join(dir, "*")); len(kept) != 0 {
		t.Errorf("%q in a folder of 1000 bytes", kept)
	}
	if newPacker(nil, newShelf("", 5), nil) != nil || newPacker(nil, newShelf("x", 0), nil) != nil {
		t.Error("a packer that is off works")
	}
}

// clearBlobs decrypts all files, by a cipher that changes nothing.
type clearBlobs struct{ *blob.Store }

func (c clearBlobs) Open(ctx context.Context, account, container, name string) (*blob.Reader, error) {
	r, err := c.Store.Open(ctx, account, container, name)
	if err == nil {
		r.Decrypt(func(int64) cipher.Stream { return same{} }, "")
	}
	return r, err
}

type same struct{}

func (same) XORKeyStream(to, from []byte) { copy(to, from) }

// The audio of a storage-encrypted file is not laid out: the copy would lie in
// the clear on the disk.
func TestPackedIsNotSecret(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audio")
	s := newStage(t, func(c *Config) {
		c.AudioDir, c.AudioDisk = dir, 1<<20
		c.Blobs = clearBlobs{c.Blobs.(watched).Store}
	})
	s.put("foreign.mp4", interleaved(t))
	s.put("foreign.ism", []byte(interleavedISM))
	s.get("foreign.ism/manifest")
	p := s.handler.titles.packer
	idle := func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.queued) == 0
	}
	for end := time.Now().Add(10 * time.Second); !idle(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the packer does not end")
		}
	}
	if kept, _ := filepath.Glob(filepath.Join(dir, "*")); len(kept) != 0 {
		t.Errorf("kept in the clear: %q", kept)
	}
}
