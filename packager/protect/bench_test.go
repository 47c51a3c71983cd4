package protect_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/mp4"
	"github.com/openams/openams/packager/protect"
)

// BenchmarkSegment plans, reads from a file and makes a segment of 6 s, about 1.4
// MB of video or 98 kB of audio: what a server does without the network. memcpy
// is the bytes of the file copied once. Processor time is what counts: it does not
// hang on what else the machine does.
func BenchmarkSegment(b *testing.B) {
	dir := b.TempDir()
	list := map[string]*mp4.Index{}
	opened := map[string]*os.File{}
	for name, args := range map[string]string{
		"v.mp4": "-f lavfi -i testsrc2=s=640x360:r=25:d=6,noise=alls=40:allf=t -pix_fmt yuv420p -c:v libx264 -preset ultrafast -g 50 -b:v 1870k -minrate 1870k -maxrate 1870k -bufsize 1870k",
		"a.mp4": "-f lavfi -i anoisesrc=r=48000:d=6.016 -ac 2 -c:a aac -b:a 128k",
	} {
		path := filepath.Join(dir, name)
		run(b, "ffmpeg", append(append([]string{"-v", "error", "-nostdin"}, strings.Fields(args)...), path)...)
		list[name] = index(b, path)
		f, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		opened[name] = f
	}
	open := func(name string) (io.ReaderAt, error) { return opened[name], nil }
	p := present(b, `<video src="v.mp4"/><audio src="a.mp4"/>`, list)
	for _, track := range p.Tracks {
		r := track.Renditions[0]
		measure := func(name string, f *packager.Format) {
			b.Run(track.Kind.String()+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				var sent int64
				before := cpuTime()
				for b.Loop() {
					s, err := f.Fragment(p, r, 0)
					if err != nil {
						b.Fatal(err)
					}
					n, err := s.WriteTo(io.Discard, open)
					if err != nil {
						b.Fatal(err)
					}
					sent += n
				}
				used := cpuTime() - before
				b.ReportMetric(float64(sent)/1e9/used.Seconds(), "GB/cpu-s")
				b.ReportMetric(used.Seconds()*1e3/float64(b.N), "cpu-ms/op")
				b.ReportMetric(float64(sent)/1e6/float64(b.N), "MB/op")
			})
		}
		src, err := io.ReadAll(opened[r.File])
		if err != nil {
			b.Fatal(err)
		}
		dst := make([]byte, len(src))
		b.Run(track.Kind.String()+"/memcpy", func(b *testing.B) {
			before := cpuTime()
			for b.Loop() {
				copy(dst, src)
			}
			used := cpuTime() - before
			b.ReportMetric(float64(len(src))*float64(b.N)/1e9/used.Seconds(), "GB/cpu-s")
			b.ReportMetric(used.Seconds()*1e3/float64(b.N), "cpu-ms/op")
		})
		measure("clear", format(b, "mpd-time-cmaf"))
		for _, row := range []struct {
			scheme protect.Scheme
			format string
		}{
			{protect.CENC, "mpd-time-cmaf"},
			{protect.CBCS, "m3u8-cmaf"},
			{protect.PIFF, ""},
			{protect.AES128, "m3u8-cmaf"},
			{protect.AES128, "m3u8-aapl"},
			{protect.CBCS, "m3u8-aapl"},
		} {
			f, err := protection(b, row.scheme).Format(format(b, row.format))
			if err != nil {
				b.Fatal(err)
			}
			measure(row.scheme.String()+"-"+row.format, f)
		}
	}
}

// cpuTime is what the process has used so far.
func cpuTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
