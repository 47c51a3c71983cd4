package protect_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/mp4"
	"github.com/openams/openams/packager/protect"
)

// BenchmarkSegment plans and writes a segment of 6 s, about 1.4 MB of video or
// 98 kB of audio, from memory: what a server does without the network. memcpy
// is the bytes of the clear segment copied once.
func BenchmarkSegment(b *testing.B) {
	dir := b.TempDir()
	list := map[string]*mp4.Index{}
	data := map[string][]byte{}
	for name, args := range map[string]string{
		"v.mp4": "-f lavfi -i testsrc2=s=640x360:r=25:d=6,noise=alls=40:allf=t -pix_fmt yuv420p -c:v libx264 -preset ultrafast -g 50 -b:v 1870k -minrate 1870k -maxrate 1870k -bufsize 1870k",
		"a.mp4": "-f lavfi -i anoisesrc=r=48000:d=6.016 -ac 2 -c:a aac -b:a 128k",
	} {
		path := filepath.Join(dir, name)
		run(b, "ffmpeg", append(append([]string{"-v", "error", "-nostdin"}, strings.Fields(args)...), path)...)
		list[name] = index(b, path)
		var err error
		if data[name], err = os.ReadFile(path); err != nil {
			b.Fatal(err)
		}
	}
	open := func(name string) (io.ReaderAt, error) { return bytes.NewReader(data[name]), nil }
	p := present(b, `<video src="v.mp4"/><audio src="a.mp4"/>`, list)
	for _, track := range p.Tracks {
		r := track.Renditions[0]
		measure := func(name string, f *packager.Format) {
			b.Run(track.Kind.String()+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				var sent int64
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
				b.ReportMetric(float64(sent)/1e9/b.Elapsed().Seconds(), "GB/s")
				b.ReportMetric(float64(sent)/1e6/float64(b.N), "MB")
			})
		}
		src := data[r.File]
		dst := make([]byte, len(src))
		b.Run(track.Kind.String()+"/memcpy", func(b *testing.B) {
			for b.Loop() {
				copy(dst, src)
			}
			b.ReportMetric(float64(len(src))*float64(b.N)/1e9/b.Elapsed().Seconds(), "GB/s")
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
		} {
			f, err := protection(b, row.scheme).Format(format(b, row.format))
			if err != nil {
				b.Fatal(err)
			}
			measure(row.scheme.String()+"-"+row.format, f)
		}
	}
}
