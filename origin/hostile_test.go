package origin

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/openams/openams/blob"
)

// A server manifest reaches nothing but the files of its own asset.
func TestManifestsStayInTheirAsset(t *testing.T) {
	s := newStage(t, nil)
	const other = "asset-other"
	if _, err := s.blobs.CreateContainer(t.Context(), storage, other, blob.ContainerOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"secret.mp4": media(t)["film_360.mp4"], "secret.vtt": []byte("WEBVTT\n\n00:00.000 --> 00:05.000\nsecret\n"), "cam/header": media(t)["film_360.mp4"], "cam/0": {1}} {
		if _, err := s.blobs.Put(t.Context(), storage, other, name, bytes.NewReader(data), blob.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	s.put("sub/inner.mp4", media(t)["film_360.mp4"]) // what AMS called a folder is none of the asset's files
	s.get("film.ism/manifest")
	opened := s.opened.Load()
	sources := []string{
		"../asset-other/secret.mp4", "../../asset-other/secret.mp4", "/asset-other/secret.mp4", "asset-other/secret.mp4", `..\asset-other\secret.mp4`, "./../asset-other/secret.mp4",
		"%2e%2e%2fasset-other%2fsecret.mp4", "..%2Fasset-other%2Fsecret.mp4", "../asset-other/cam", "../cam", "/etc/passwd", "file:///etc/passwd", "//etc/passwd", "/proc/self/environ",
		"http://127.0.0.1/secret.mp4", storage + "/asset-other/secret.mp4", "sub/inner.mp4", "sub", ".", "..", "/", `\\server\share\x.mp4`, "film_360.mp4/../../asset-other/secret.mp4", "film_360.mp4\x7f",
	}
	for i, src := range sources {
		name := fmt.Sprintf("h%d.ism", i)
		s.put(name, []byte(`<smil><body><switch><video src="`+src+`"/></switch></body></smil>`))
		res, body := s.do("GET", s.at(name+"/manifest"))
		if code := res.Header.Get("X-Ms-Error-Code"); code != "MPE_STORAGE_RESOURCE_NOT_FOUND" && code != "MPE_INPUT_FORMAT_NOT_SUPPORTED" {
			t.Errorf("%s: %s: %s", src, res.Status, body)
		}
		opened++ // the .ism itself
		s.put(name, []byte(`<smil><body><switch><video src="film_180.mp4"/><textstream src="`+strings.ReplaceAll(src, ".mp4", ".vtt")+`"><param name="transcriptsrc" value="`+strings.ReplaceAll(src, ".mp4", ".vtt")+`"/></textstream></switch></body></smil>`))
		if res, body := s.do("GET", s.at(name+"/manifest(format=m3u8-cmaf)")); res.StatusCode == 200 && bytes.Contains(body, []byte("SUBTITLES")) {
			t.Errorf("captions from %s: %s", src, body)
		}
		opened++
	}
	if got := s.opened.Load(); got != opened {
		t.Errorf("%d blobs were opened, %d of them no server manifests", got, got-opened)
	}
	for _, path := range []string{"..%2Fasset-other%2Fsecret.mp4", "../asset-other/secret.mp4", "sub%2Finner.mp4", "%2e%2e/asset-other/secret.mp4", "film.ism/../../asset-other/secret.mp4"} {
		if res, body := s.do("GET", s.at(path)); res.StatusCode == 200 {
			t.Errorf("%s: %d bytes", path, len(body))
		}
	}
}

// Server manifests of very many streams are served or refused, and never cost
// much: they are a few kilobytes that anybody may write.
func TestManyStreams(t *testing.T) {
	s := newStage(t, nil)
	var many strings.Builder
	for i := range 1023 {
		fmt.Fprintf(&many, `<audio src="film_180.mp4" systemBitrate="%d"><param name="trackID" value="2"/><param name="trackName" value="a%d"/></audio>`, 64000+i, i)
	}
	s.put("many.ism", []byte(`<smil><body><switch><video src="film_180.mp4"/>`+many.String()+`</switch></body></smil>`))
	for _, f := range append([]string{muxedFormat}, everyFormat...) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		res, body := s.do("GET", s.at("many.ism/manifest("+f+")"))
		runtime.ReadMemStats(&after)
		if res.StatusCode != 200 || f != muxedFormat && !bytes.Contains(body, []byte("a1022")) {
			t.Errorf("%s: %s: %.200s", f, res.Status, body)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
			t.Errorf("%s: %d bytes of memory", f, n)
		}
	}
	s.put("more.ism", []byte(`<smil><body><switch><video src="film_180.mp4"/><video src="film_180.mp4"/>`+many.String()+`</switch></body></smil>`))
	s.refused("more.ism/manifest", 415, "MPE_INPUT_FORMAT_NOT_SUPPORTED", "1024 streams")
}

// Ranges that are enormous, many or nonsense get what RFC 9110 lets them have.
func TestHostileRanges(t *testing.T) {
	s := newStage(t, nil)
	for _, path := range append([]string{"film_360.mp4"}, segments...) {
		_, whole := s.do("GET", s.at(path))
		last := len(whole) - 1
		for value, want := range map[string]int{
			"bytes=0-18446744073709551615":                    200, // no number that we know
			"bytes=0-9223372036854775807":                     206,
			fmt.Sprintf("bytes=%d-9223372036854775807", last): 206,
			"bytes=9223372036854775807-":                      416,
			"bytes=-9223372036854775807":                      206,
			"bytes=-0":                                        416,
			"bytes=-":                                         200,
			"bytes=5-4":                                       200,
			"bytes=0-0," + strings.Repeat("1-1,", 2000):       200,
			strings.Repeat("bytes=", 500):                     200,
			"bytes=+1-2":                                      200,
		} {
			res, body := s.do("GET", s.at(path), header("Range", value))
			if res.StatusCode != want || want == 200 && !bytes.Equal(body, whole) || want == 206 && !bytes.HasSuffix(whole, body) {
				t.Errorf("%s: Range %.60s: %s, %d bytes of %d", path, value, res.Status, len(body), len(whole))
			}
		}
	}
}

// What a clear fMP4 segment or a file costs in memory does not grow with it: the
// bytes go from the file to the connection.
func TestMemoryOfAnswers(t *testing.T) {
	s := newStage(t, nil)
	s.put("large.mp4", make([]byte, 32<<20))
	for _, name := range []string{"film_180.mp4", "film_360.mp4"} {
		s.put(name, ours(t, media(t)[name])) // a segment is one extent
	}
	for _, path := range []string{"large.mp4", "film.ism/QualityLevels(600000)/Fragments(video=0,format=m3u8-cmaf)", "film.ism/QualityLevels(600000)/Fragments(video=0,format=mpd-time-csf)", "film.ism/QualityLevels(600000)/Fragments(video=0)"} {
		ask := func() (sent, plain int64) {
			w := &emptied{header: http.Header{}}
			s.handler.ServeHTTP(w, httptest.NewRequest("GET", "/"+s.locator+"/"+path, nil))
			return w.files + w.plain, w.plain
		}
		size, plain := ask()
		if plain > 8<<10 { // the header of a segment
			t.Errorf("%s: %d bytes of %d cannot be sent by sendfile", path, plain, size)
		}
		const times = 20
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range times {
			ask()
		}
		runtime.ReadMemStats(&after)
		if each := (after.TotalAlloc - before.TotalAlloc) / times; size < 300_000 || each > 64<<10 {
			t.Errorf("%s: %d bytes of memory for %d sent", path, each, size)
		}
	}
}

// emptied takes an answer as a connection does, which gets files to send them by
// sendfile, and keeps nothing.
type emptied struct {
	header       http.Header
	files, plain int64 // bytes
}

func (w *emptied) Header() http.Header { return w.header }
func (w *emptied) WriteHeader(int)     {}
func (w *emptied) Write(p []byte) (int, error) {
	w.plain += int64(len(p))
	return len(p), nil
}
func (w *emptied) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Discard.(io.ReaderFrom).ReadFrom(r)
	if l, ok := r.(*io.LimitedReader); ok {
		if _, ok := l.R.(*os.File); ok {
			w.files += n
			return n, err
		}
	}
	w.plain += n
	return n, err
}
