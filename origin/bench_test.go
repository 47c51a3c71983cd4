package origin

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
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
	}{
		{"manifest", "film.ism/manifest(format=mpd-time-csf)", false, false},
		{"manifest-looked-up", "film.ism/manifest(format=mpd-time-csf)", true, false},
		{"playlist", "film.ism/QualityLevels(600000)/Manifest(video,format=m3u8-cmaf)", false, false},
		{"segment-cmaf", "film.ism/QualityLevels(600000)/Fragments(video=60000000,format=m3u8-cmaf)", false, false},
		{"segment-audio", "film.ism/QualityLevels(64000)/Fragments(audio_eng=0,format=m3u8-cmaf)", false, false},
		{"segment-cmaf-foreign", "film.ism/QualityLevels(600000)/Fragments(video=60000000,format=m3u8-cmaf)", false, true},
		{"segment-audio-foreign", "film.ism/QualityLevels(64000)/Fragments(audio_eng=0,format=m3u8-cmaf)", false, true},
		{"segment-ts", "film.ism/QualityLevels(600000)/Fragments(video=0,format=m3u8-aapl)", false, false},
		{"file", "film_360.mp4", false, false},
	} {
		b.Run(bm.name, func(b *testing.B) {
			s := newStage(b, func(c *Config) {
				c.Changes = func() uint64 { return 1 }
				if bm.resolve {
					c.Changes = nil
				}
			})
			if !bm.foreign {
				for _, name := range []string{"film_180.mp4", "film_360.mp4"} {
					s.put(name, ours(b, media(b)[name]))
				}
			}
			s.measure(b, bm.path)
		})
	}
}

// BenchmarkProtected is BenchmarkRequests under encryption.
func BenchmarkProtected(b *testing.B) {
	segment := "film.ism/QualityLevels(600000)/Fragments(video=60000000,format=m3u8-cmaf"
	for _, bm := range []struct{ name, path string }{
		{"manifest", "film.ism/manifest(format=mpd-time-csf,encryption=cenc)"},
		{"manifest-token", "film.ism/manifest(format=mpd-time-csf,encryption=cenc)?token=" + strings.Repeat("t", 500)},
		{"segment-clear", segment + ")"},
		{"segment-cenc", segment + ",encryption=cenc)"},
		{"segment-cbcs", segment + ",encryption=cbcs-aapl)"},
		{"segment-cbc-kept", segment + ",encryption=cbc)"},
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
func ours(b *testing.B, file []byte) []byte {
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
