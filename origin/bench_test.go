package origin

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/openams/openams/packager/mp4"
)

// BenchmarkRequests asks over one kept-alive connection of loopback TCP. The
// figures include the client, which reads and throws away.
func BenchmarkRequests(b *testing.B) {
	for _, bm := range []struct {
		name    string
		path    string
		resolve bool // look the locator up for each request
		foreign bool // the files as ffmpeg wrote them, not as our encoder lays them out
		packed  bool // the audio of foreign files is laid out already
	}{
		{"manifest", "film.ism/manifest(format=mpd-time-csf)", false, false, false},
		{"manifest-looked-up", "film.ism/manifest(format=mpd-time-csf)", true, false, false},
		{"playlist", "film.ism/QualityLevels(600000)/Manifest(video,format=m3u8-cmaf)", false, false, false},
		{"segment-cmaf", "film.ism/QualityLevels(600000)/Fragments(video=60000000,format=m3u8-cmaf)", false, false, false},
		{"segment-audio", "film.ism/QualityLevels(64000)/Fragments(audio_eng=0,format=m3u8-cmaf)", false, false, false},
		{"segment-cmaf-foreign", "film.ism/QualityLevels(600000)/Fragments(video=60000000,format=m3u8-cmaf)", false, true, false},
		{"segment-audio-foreign", "film.ism/QualityLevels(64000)/Fragments(audio_eng=0,format=m3u8-cmaf)", false, true, false},
		{"segment-audio-foreign-packed", "film.ism/QualityLevels(64000)/Fragments(audio_eng=0,format=m3u8-cmaf)", false, true, true},
		{"segment-ts", "film.ism/QualityLevels(600000)/Fragments(video=0,format=m3u8-aapl)", false, false, false},
		{"segment-ts-audio-kept", "film.ism/QualityLevels(64000)/Fragments(audio_eng=0,format=m3u8-aapl)", false, false, false},
		{"file", "film_360.mp4", false, false, false},
	} {
		b.Run(bm.name, func(b *testing.B) {
			s := newStage(b, func(c *Config) {
				c.Changes = func() uint64 { return 1 }
				if bm.resolve {
					c.Changes = nil
				}
				if bm.packed {
					c.AudioDir, c.AudioDisk = b.TempDir(), 1<<30
				}
			})
			if !bm.foreign {
				for _, name := range []string{"film_180.mp4", "film_360.mp4"} {
					s.put(name, ours(b, media(b)[name]))
				}
			}
			for bm.packed { // until it is
				s.get(bm.path)
				show, err := s.handler.titles.open(b.Context(), s.asset, "film.ism", false, nil, "")
				if err != nil {
					b.Fatal(err)
				}
				if r, _ := show.Rendition("audio_eng", 64000); r.Packed != "" {
					break
				}
				time.Sleep(time.Millisecond)
			}
			s.measure(b, bm.path)
		})
	}
}

// BenchmarkProtected is BenchmarkRequests under encryption.
func BenchmarkProtected(b *testing.B) {
	segment := "film.ism/QualityLevels(600000)/Fragments(video=60000000,format=m3u8-cmaf"
	sound := "film.ism/QualityLevels(64000)/Fragments(audio_eng=0,format=m3u8-cmaf"
	for _, bm := range []struct{ name, path string }{
		{"manifest", "film.ism/manifest(format=mpd-time-csf,encryption=cenc)"},
		{"manifest-token", "film.ism/manifest(format=mpd-time-csf,encryption=cenc)?token=" + strings.Repeat("t", 500)},
		{"segment-clear", segment + ")"},
		{"segment-cenc", segment + ",encryption=cenc)"},
		{"segment-cbcs", segment + ",encryption=cbcs-aapl)"},
		{"segment-piff", "film.ism/QualityLevels(600000)/Fragments(video=60000000,encryption=piff)"},
		{"segment-cbc-kept", segment + ",encryption=cbc)"},
		{"segment-ts-cbcs-kept", "film.ism/QualityLevels(600000)/Fragments(video=0,format=m3u8-aapl,encryption=cbcs-aapl)"},
		{"segment-audio-clear", sound + ")"},
		{"segment-audio-cenc-kept", sound + ",encryption=cenc)"},
		{"segment-audio-cbcs-kept", sound + ",encryption=cbcs-aapl)"},
		{"segment-audio-cbc-kept", sound + ",encryption=cbc)"},
		{"segment-audio-piff-kept", "film.ism/QualityLevels(64000)/Fragments(audio_eng=0,encryption=piff)"},
	} {
		b.Run(bm.name, func(b *testing.B) {
			s, _, guarded := newShielded(b, everything, allKeys()...)
			s.handler.c.Changes = func() uint64 { return 1 }
			s.handler.titles.changes = s.handler.c.Changes
			for _, name := range []string{"film_180.mp4", "film_360.mp4"} {
				s.put(name, ours(b, media(b)[name]))
			}
			if strings.Contains(bm.path, "encryption") {
				s.locator = guarded
			}
			s.measure(b, bm.path)
		})
	}
}

// measure asks for a path again and again.
func (s *stage) measure(b *testing.B, path string) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	request := fmt.Sprintf("GET /%s/%s HTTP/1.1\r\nHost: x\r\n\r\n", s.locator, path)
	one := func() int64 {
		io.WriteString(conn, request)
		res, err := http.ReadResponse(in, nil)
		if err != nil || res.StatusCode != 200 {
			b.Fatal(res, err)
		}
		n, err := io.Copy(io.Discard, res.Body)
		if err != nil {
			b.Fatal(err)
		}
		return n
	}
	one()
	var sent int64
	before := cpu()
	for b.Loop() {
		sent += one()
	}
	seconds := b.Elapsed().Seconds()
	b.ReportMetric(float64(b.N)/seconds, "requests/s")
	b.ReportMetric(float64(sent)/1e6/seconds, "MB/s")
	b.ReportMetric((cpu()-before).Seconds()*1e6/float64(b.N), "cpu-us/request") // client included
}

// ours is a file in the layout of our encoder.
func ours(b testing.TB, file []byte) []byte {
	var out bytes.Buffer
	if err := mp4.Relayout(&out, bytes.NewReader(file), int64(len(file)), 0); err != nil {
		b.Fatal(err)
	}
	return out.Bytes()
}

// cpu is the time that this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkCold asks a server that has just started, with nothing in memory, for
// one thing of an asset of two hours: six muxed files, with the encoder's indexes
// beside. It reports the time to the first byte; the rest of b.N is not of use.
func BenchmarkCold(b *testing.B) {
	s := newStage(b, nil)
	dir := b.TempDir()
	clip := filepath.Join(dir, "clip.mp4")
	run := func(args ...string) {
		b.Helper()
		if out, err := exec.Command("ffmpeg", append([]string{"-v", "error", "-nostdin"}, args...)...).CombinedOutput(); err != nil {
			b.Fatalf("ffmpeg: %v: %s", err, out)
		}
	}
	run("-f", "lavfi", "-i", "testsrc2=r=25:s=160x90", "-f", "lavfi", "-i", "sine=sample_rate=48000", "-t", "60", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "50", "-sc_threshold", "0", "-b:v", "50k", "-c:a", "aac", "-b:a", "32k", clip)
	long := filepath.Join(dir, "long.mp4")
	run("-stream_loop", "120", "-i", clip, "-t", "7200", "-c", "copy", long)
	file, err := os.ReadFile(long)
	if err != nil {
		b.Fatal(err)
	}
	file = ours(b, file)
	mpi := index(b, file)
	streams := `<audio src="long0.mp4" systemBitrate="32000"/>`
	for i := range 6 {
		s.put(fmt.Sprintf("long%d.mp4", i), file)
		s.put(fmt.Sprintf("long%d.mp4.mpi", i), mpi)
		streams += fmt.Sprintf(`<video src="long%d.mp4" systemBitrate="%d"/>`, i, 100000*(i+1))
	}
	s.put("long.ism", []byte("<smil><body><switch>"+streams+"</switch></body></smil>"))
	show, err := s.handler.titles.open(b.Context(), s.asset, "long.ism", false, nil, "")
	if err != nil {
		b.Fatal(err)
	}
	video := show.Of(mp4.Video)[0].Renditions[0].Fragments
	middle := video[len(video)/2].Start
	mpd := string(s.get("long.ism/manifest(format=mpd-time-csf)"))
	if !strings.Contains(mpd, "PT2H") {
		b.Fatalf("MPD: %.500s", mpd)
	}
	for _, bm := range []struct{ name, path string }{
		{"mpd", "long.ism/manifest(format=mpd-time-csf)"},
		{"master-cmaf", "long.ism/manifest(format=m3u8-cmaf)"},
		{"master-ts", "long.ism/manifest(format=m3u8-aapl)"},
		{"master-ts-muxed", "long.ism/manifest(format=m3u8-aapl-v3)"},
		{"smooth", "long.ism/manifest"},
		{"playlist", "long.ism/QualityLevels(600000)/Manifest(video,format=m3u8-cmaf)"},
		{"segment-cmaf", fmt.Sprintf("long.ism/QualityLevels(600000)/Fragments(video=%d,format=m3u8-cmaf)", middle)},
		{"segment-ts", fmt.Sprintf("long.ism/QualityLevels(600000)/Fragments(video=%d,format=m3u8-aapl)", middle)},
	} {
		b.Run(bm.name, func(b *testing.B) {
			var first, best, used time.Duration
			for b.Loop() {
				b.StopTimer()
				h := New(s.handler.c)
				r := httptest.NewRequest("GET", "/"+s.locator+"/"+bm.path, nil)
				w := &firstByte{header: http.Header{}}
				b.StartTimer()
				before := cpu()
				w.start = time.Now()
				h.ServeHTTP(w, r)
				used += cpu() - before
				b.StopTimer()
				if w.status != 200 {
					b.Fatal(w.status)
				}
				h.Close()
				if first += w.took; best == 0 || w.took < best {
					best = w.took
				}
				b.StartTimer()
			}
			b.ReportMetric(first.Seconds()*1e3/float64(b.N), "ms-to-first-byte")
			b.ReportMetric(best.Seconds()*1e3, "ms-best")
			b.ReportMetric(used.Seconds()*1e3/float64(b.N), "cpu-ms")
		})
	}
}

// firstByte notes when an answer begins.
type firstByte struct {
	header http.Header
	status int
	start  time.Time
	took   time.Duration
}

func (w *firstByte) Header() http.Header { return w.header }
func (w *firstByte) WriteHeader(status int) {
	w.status, w.took = status, time.Since(w.start)
}
func (w *firstByte) Write(p []byte) (int, error) { return len(p), nil }
