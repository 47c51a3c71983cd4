package encoder

import (
	"fmt"
	stdimage "image"
	_ "image/jpeg"
	_ "image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/openams/openams/ffmpeg"
)

// corners is a filter source of a picture with another colour in each corner:
// red, green, blue and white, as people read.
func corners(size, rate, seconds string) string {
	return "nullsrc=size=" + size + ":rate=" + rate + ":duration=" + seconds +
		",format=gbrp,geq=r='255*(lt(X,W/2)*lt(Y,H/2)+gte(X,W/2)*gte(Y,H/2))':g='128*(gte(X,W/2)*lt(Y,H/2))+255*(gte(X,W/2)*gte(Y,H/2))':b='255*gte(Y,H/2)'"
}

// shown709 are options that encode corners as most films are.
var shown709 = []string{"-vf", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p,setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv",
	"-c:v", "libx264", "-preset", "ultrafast", "-qp", "5"}

// seen returns the colours in the corners of a file's n-th picture as it is
// coded, whatever its rotation.
func seen(t *testing.T, path string, n int) string {
	t.Helper()
	b := command(t, "-noautorotate", "-i", path, "-map", "0:v:0", "-vf", fmt.Sprintf("select='eq(n,%d)',format=gbrp,scale=8:8:flags=area,format=rgb24", n), "-frames:v", "1", "-f", "rawvideo", "-")
	if len(b) != 8*8*3 {
		t.Fatalf("%s: %d bytes of frame %d", path, len(b), n)
	}
	var all []string
	for _, at := range []int{8*1 + 1, 8*1 + 6, 8*6 + 1, 8*6 + 6} {
		all = append(all, near([3]byte(b[3*at:]), 14)) // less than mistaking BT.601 for BT.709 does
	}
	return strings.Join(all, " ")
}

// turned are the corners after a turn by so many degrees, clockwise.
var turned = map[int]string{0: "red green blue white", 90: "blue red white green", 180: "white blue green red", 270: "green white red blue"}

// TestRotation: the source's rotation is followed, kept or dropped, and the
// picture turned, as the preset says.
func TestRotation(t *testing.T) { rotate(t, false) }

func TestRotationTorture(t *testing.T) {
	if os.Getenv("OPENAMS_TEST_TORTURE") == "" {
		t.Skip("OPENAMS_TEST_TORTURE is not set")
	}
	rotate(t, true)
}

// rotate goes through all pairs of the source's rotation and the preset's, or
// some.
func rotate(t *testing.T, all bool) {
	level := clip(t, "level.mp4", slices.Concat([]string{"-f", "lavfi", "-i", corners("128x72", "25", "0.2")}, shown709)...)
	for i, source := range []int{90, 0, 180, 270} {
		path := clip(t, "turned.mp4", "-i", level, "-c", "copy", "-metadata:s:v", fmt.Sprintf("rotate=%d", (360-source)%360))
		info, err := tools(t).Probe(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Streams[0].Rotation; got != source {
			t.Fatalf("the source is turned by %d, not %d", got, source)
		}
		for k, mode := range []string{"Auto", "None", "Rotate0", "Rotate90", "Rotate180", "Rotate270"} {
			if !all && i > 0 && (i+k)%3 != 0 {
				continue
			}
			turn, kept := source, 0
			switch mode {
			case "None":
				turn, kept = 0, source
			case "Auto":
			default:
				fmt.Sscanf(mode, "Rotate%d", &turn)
			}
			dir := filepath.Join(t.TempDir(), "out")
			files, plan, err := encodeWith(t, standard(`{"codecs":[{"#H264Video","complexity":"Speed","layers":[{"bitrate":400000},{"bitrate":200000,"width":"50%","height":"50%"}]}],"filters":{"rotation":"`+mode+`"},"formats":[{"#Mp4Format","filenamePattern":"out-{Bitrate}{Extension}"}]}`), Clip{}, dir, path)
			if err != nil {
				t.Errorf("%s of %d: %v", mode, source, err)
				continue
			}
			indexes, _ := check(t, files, plan, dir)
			for n, name := range []string{"out-400000.mp4", "out-200000.mp4"} {
				want := []int{128 >> n, 72 >> n}
				if turn == 90 || turn == 270 {
					slices.Reverse(want)
				}
				k := indexes[name].Tracks[0]
				if got := []int{int(k.Width), int(k.Height)}; !slices.Equal(got, want) || int(k.Rotation) != kept {
					t.Errorf("%s of %d: %s is of %v, to be turned by %d; want %v, %d", mode, source, name, got, k.Rotation, want, kept)
				}
				if got := seen(t, filepath.Join(dir, name), 3); got != turned[turn] {
					t.Errorf("%s of %d: %s shows %s, want %s", mode, source, name, got, turned[turn])
				}
			}
		}
	}
}

// TestShapes: whatever a source's pixels are like, the outputs have square ones,
// even sizes, its colours in their places, and tell how to show them.
func TestShapes(t *testing.T) {
	upright := turned[0]
	tagged := func(matrix, space string) []string {
		return []string{"-vf", "scale=out_color_matrix=" + matrix + ":out_range=tv,format=yuv420p,setparams=colorspace=" + space + ":range=tv", "-c:v", "libx264", "-preset", "ultrafast", "-qp", "5"}
	}
	for _, tt := range []struct {
		name, file, size string
		args             []string
		turn             int
		want             []int // width and height
		seen             string
		matrix           string
	}{
		{"wide pixels", "a.mp4", "96x90", append([]string{"-aspect", "192:90"}, shown709...), 0, []int{192, 90}, upright, "bt709"},
		{"narrow pixels, turned", "a.mp4", "128x60", append([]string{"-aspect", "96:60"}, shown709...), 90, []int{60, 96}, turned[90], "bt709"},
		{"odd, with all chroma", "a.mkv", "161x91", []string{"-c:v", "ffv1", "-pix_fmt", "yuv444p"}, 0, []int{160, 90}, upright, "smpte170m"},
		{"odd VP8", "a.webm", "161x91", []string{"-c:v", "libvpx", "-b:v", "2M"}, 0, []int{160, 90}, upright, "smpte170m"},
		{"RGB", "a.mp4", "160x90", []string{"-c:v", "libx264rgb", "-qp", "0"}, 0, []int{160, 90}, upright, "bt709"},
		{"a palette", "a.avi", "160x90", []string{"-c:v", "rawvideo", "-pix_fmt", "pal8"}, 0, []int{160, 90}, "", "bt709"},
		{"transparency", "a.mov", "160x90", []string{"-c:v", "png", "-pix_fmt", "rgba"}, 0, []int{160, 90}, upright, "bt709"},
		{"full range", "a.avi", "160x90", []string{"-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj444p"}, 0, []int{160, 90}, upright, "bt470bg"},
		{"ten bits", "a.mov", "160x90", []string{"-c:v", "prores_ks"}, 0, []int{160, 90}, upright, "smpte170m"},
		{"colours of BT.601", "a.mp4", "160x90", tagged("bt601", "smpte170m"), 0, []int{160, 90}, upright, "smpte170m"},
		{"two pixels", "a.mkv", "2x2", []string{"-c:v", "ffv1", "-pix_fmt", "yuv444p"}, 0, []int{2, 2}, "", "smpte170m"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := clip(t, tt.file, slices.Concat([]string{"-f", "lavfi", "-i", corners(tt.size, "25", "0.2")}, tt.args)...)
			if tt.turn != 0 {
				path = clip(t, tt.file, "-i", path, "-c", "copy", "-metadata:s:v", fmt.Sprintf("rotate=%d", 360-tt.turn))
			}
			dir := filepath.Join(t.TempDir(), "out")
			files, plan, err := encode(t, "AdaptiveStreaming", path, dir)
			if err != nil {
				t.Fatal(err)
			}
			indexes, _ := check(t, files, plan, dir)
			if len(indexes) != 1 {
				t.Fatalf("%d files", len(indexes))
			}
			for name, x := range indexes {
				k := x.Tracks[0]
				if got := []int{int(k.Width), int(k.Height)}; !slices.Equal(got, tt.want) || k.SARNum != k.SARDen || k.Rotation != 0 || k.NumSamples() != 5 {
					t.Errorf("%v, SAR %d:%d, to be turned by %d, %d frames; want %v and 5 frames", got, k.SARNum, k.SARDen, k.Rotation, k.NumSamples(), tt.want)
				}
				if tt.seen != "" {
					if got := seen(t, filepath.Join(dir, name), 3); got != tt.seen {
						t.Errorf("it shows %s, want %s", got, tt.seen)
					}
				}
				info, err := tools(t).Probe(t.Context(), filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				if v := info.Streams[0]; v.Matrix != tt.matrix || v.PixelFormat != "yuv420p" || v.Range != "tv" {
					t.Errorf("it is %s, %s, range %s; want yuv420p, %s, tv", v.PixelFormat, v.Matrix, v.Range, tt.matrix)
				}
			}
		})
	}
}

// TestColors: stills have the colours of their formats, and pictures that are
// put together have the same colours, whatever they come from.
func TestColors(t *testing.T) {
	film := clip(t, "film.mp4", slices.Concat([]string{"-f", "lavfi", "-i", corners("160x90", "25", "0.4")}, shown709)...)
	older := clip(t, "older.mp4", "-f", "lavfi", "-i", corners("160x90", "25", "0.4"),
		"-vf", "scale=out_color_matrix=bt601:out_range=tv,format=yuv420p,setparams=colorspace=smpte170m:range=tv", "-c:v", "libx264", "-preset", "ultrafast", "-qp", "5")
	logo := clip(t, "logo.png", "-f", "lavfi", "-i", corners("160x90", "1", "1"), "-frames:v", "1", "-pix_fmt", "rgb24")

	dir := filepath.Join(t.TempDir(), "out")
	if _, _, err := encodeWith(t, standard(`{"codecs":[{"#JpgImage","start":"0","range":"1","layers":[{"width":"160","height":"90","quality":100}]},{"#PngImage","start":"0","range":"1","layers":[{"width":"160","height":"90"}]}],
		"formats":[{"#JpgFormat","filenamePattern":"a{Index}{Extension}"},{"#PngFormat","filenamePattern":"a{Index}{Extension}"}]}`), Clip{}, dir, film); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a000001.jpg", "a000001.png"} {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		picture, _, err := stdimage.Decode(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, at := range [][2]int{{40, 20}, {120, 20}, {40, 70}, {120, 70}} {
			r, g, b, _ := picture.At(at[0], at[1]).RGBA()
			got = append(got, near([3]byte{byte(r >> 8), byte(g >> 8), byte(b >> 8)}, 14))
		}
		if s := strings.Join(got, " "); s != turned[0] {
			t.Errorf("%s shows %s", name, s)
		}
	}

	for _, tt := range []struct {
		name, preset string
		q            Request
	}{
		{"a sequence", ``, Request{Sequence: true, Feeds: []Feed{feed(t, "", Clip{}, older), feed(t, "", Clip{}, film)}}},
		{"an overlay", `"filters":{"overlays":[{"#VideoOverlay","inputLabel":"logo","start":"PT0.2S","position":{"left":"0","top":"0","width":"160","height":"90"}}]},`,
			Request{Feeds: []Feed{feed(t, "", Clip{}, older), feed(t, "logo", Clip{}, logo)}}},
	} {
		dir := filepath.Join(t.TempDir(), "out")
		if _, _, err := encodeRequest(t, standard(`{"codecs":[{"#H264Video","layers":[{"bitrate":900000,"width":"160","height":"90"}]}],`+tt.preset+plainMP4+`}`), tt.q, dir); err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		for _, n := range []int{2, 8, 14}[:len(tt.q.Feeds)+1-strings.Count(tt.name, "overlay")] {
			if got := seen(t, filepath.Join(dir, "out.mp4"), n); got != turned[0] {
				t.Errorf("%s: frame %d shows %s", tt.name, n, got)
			}
		}
	}
}

// TestDynamicRange: pictures of a high dynamic range become ones that every
// screen can show, or, where all of a preset asks for it, stay as they are.
func TestDynamicRange(t *testing.T) {
	for _, transfer := range []string{"smpte2084", "arib-std-b67"} {
		path := clip(t, "hdr.mp4", "-f", "lavfi", "-i", corners("160x90", "25", "0.2"),
			"-vf", "setparams=colorspace=gbr:color_primaries=bt709:color_trc=bt709:range=pc,zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt2020,zscale=t="+transfer+":m=bt2020nc:r=tv:npl=203,format=yuv420p10le",
			"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error:crf=8:hdr10=1:repeat-headers=1:colorprim=bt2020:transfer="+transfer+":colormatrix=bt2020nc:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400", "-tag:v", "hvc1")
		dir := filepath.Join(t.TempDir(), "out")
		files, plan, err := encode(t, "AdaptiveStreaming", path, dir)
		if err != nil {
			t.Fatal(err)
		}
		check(t, files, plan, dir)
		v := streamOf(t, files[0].Path)
		if v.HDR() || v.PixelFormat != "yuv420p" || v.Transfer != "bt709" || v.Primaries != "bt709" || v.Matrix != "bt709" {
			t.Errorf("%s became %s, transfer %s, primaries %s, matrix %s", transfer, v.PixelFormat, v.Transfer, v.Primaries, v.Matrix)
		}
		// Highlights need room above white; hues are as they were, and white is grey.
		b := command(t, "-i", files[0].Path, "-vf", "scale=8:8:flags=area,format=rgb24", "-frames:v", "1", "-f", "rawvideo", "-")
		for i, at := range []int{1*8 + 1, 1*8 + 6, 6*8 + 1, 6*8 + 6} {
			c, full := [3]byte(b[3*at:]), [][3]bool{{true}, {1: true}, {2: true}, {true, true, true}}[i]
			for k, v := range c {
				if full[k] != (v > 70) || !full[k] && v > 20 {
					t.Errorf("%s: corner %d is %v", transfer, i, c)
				}
			}
		}

		dir = filepath.Join(t.TempDir(), "out")
		files, plan, err = encodeWith(t, standard(`{"codecs":[{"#H265Video","complexity":"Speed","layers":[{"bitrate":900000,"profile":"Main10"},{"bitrate":500000,"width":"80","height":"46","profile":"Main10"}]}],"formats":[{"#Mp4Format","filenamePattern":"out-{Bitrate}{Extension}"}]}`), Clip{}, dir, path)
		if err != nil {
			t.Fatal(err)
		}
		check(t, files, plan, dir)
		for _, name := range []string{"out-900000.mp4", "out-500000.mp4"} {
			v := streamOf(t, filepath.Join(dir, name))
			source := streamOf(t, path)
			if v.Mastering != source.Mastering || v.LightLevel != source.LightLevel || transfer == "smpte2084" && source.LightLevel != "1000,400" {
				t.Errorf("%s of %s was graded for %q, %q, want %q, %q", name, transfer, v.Mastering, v.LightLevel, source.Mastering, source.LightLevel)
			}
			if v.Transfer != transfer || v.PixelFormat != "yuv420p10le" || v.Primaries != "bt2020" || v.Matrix != "bt2020nc" {
				t.Errorf("%s of %s: %s, transfer %s, primaries %s, matrix %s", name, transfer, v.PixelFormat, v.Transfer, v.Primaries, v.Matrix)
			}
		}
		if got := alike(t, path, filepath.Join(dir, "out-900000.mp4"), "null"); len(got) != 5 || slices.Min(got) < 0.97 {
			t.Errorf("%s: frames are alike by %v", transfer, got)
		}
	}
}

// streamOf is what a file tells of its first track.
func streamOf(t *testing.T, path string) *ffmpeg.Stream {
	t.Helper()
	info, err := tools(t).Probe(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return &info.Streams[0]
}

// TestInterlace: fields become whole frames where frames are said to have two,
// by their order, and nothing else is touched.
func TestInterlace(t *testing.T) {
	// Upright bars that move sideways: between the lines of a whole frame nothing changes.
	const moving = "nullsrc=size=160x96:rate=50:duration=0.48,format=gray,geq=lum='20+200*lt(mod(X+N*7,64),32)',format=yuv420p"
	const fields = "tinterlace=interleave_%s,fieldorder=%s"
	for _, tt := range []struct {
		name, file string
		args       []string
		filters    string
		combed     bool
	}{
		{"top first, H.264", "tff.mp4", []string{"-vf", fmt.Sprintf(fields, "top", "tff"), "-c:v", "libx264", "-flags", "+ildct+ilme", "-x264-params", "tff=1:crf=8"}, "", false},
		{"bottom first, MPEG-2", "bff.ts", []string{"-vf", fmt.Sprintf(fields, "bottom", "bff"), "-c:v", "mpeg2video", "-flags", "+ildct+ilme", "-top", "0", "-q:v", "2"}, "", false},
		{"told so", "tff.mp4", []string{"-vf", fmt.Sprintf(fields, "top", "tff"), "-c:v", "libx264", "-flags", "+ildct+ilme", "-x264-params", "tff=1:crf=8"}, `"filters":{"deinterlace":{"mode":"AutoPixelAdaptive","parity":"TopFieldFirst"}},`, false},
		{"left alone", "tff.mp4", []string{"-vf", fmt.Sprintf(fields, "top", "tff"), "-c:v", "libx264", "-flags", "+ildct+ilme", "-x264-params", "tff=1:crf=8"}, `"filters":{"deinterlace":{"mode":"Off"}},`, true},
		{"whole frames", "p.mp4", []string{"-vf", "fps=25", "-c:v", "libx264", "-crf", "8"}, "", false},
	} {
		path := clip(t, tt.file, slices.Concat([]string{"-f", "lavfi", "-i", moving}, tt.args)...)
		dir := filepath.Join(t.TempDir(), "out")
		files, plan, err := encodeWith(t, standard(`{"codecs":[{"#H264Video","rateControlMode":"CRF","layers":[{"bitrate":5000000,"crf":8}]}],`+tt.filters+plainMP4+`}`), Clip{}, dir, path)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		indexes, _ := check(t, files, plan, dir)
		b := command(t, "-i", filepath.Join(dir, "out.mp4"), "-pix_fmt", "gray", "-f", "rawvideo", "-")
		comb := 0
		for i := 160; i+160 < len(b); i++ {
			if i/160%96 != 0 {
				d := int(b[i]) - int(b[i-160])
				comb += max(d, -d)
			}
		}
		mean := float64(comb) / float64(len(b))
		t.Logf("%s: from line to line %.2f", tt.name, mean)
		if (mean > 8) != tt.combed {
			t.Errorf("%s: from line to line pixels change by %.2f, combed: %v", tt.name, mean, tt.combed)
		}
		if n := indexes["out.mp4"].Tracks[0].NumSamples(); n != 12 {
			t.Errorf("%s: %d frames, want 12", tt.name, n)
		}
		if v := streamOf(t, filepath.Join(dir, "out.mp4")); v.FieldOrder != "progressive" {
			t.Errorf("%s: the output says that it is %q", tt.name, v.FieldOrder)
		}
	}
}
