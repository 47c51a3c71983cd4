package mp4_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/Eyevinn/mp4ff/avc"
	"github.com/Eyevinn/mp4ff/hevc"
	ff "github.com/Eyevinn/mp4ff/mp4"

	"github.com/openams/openams/packager/mp4"
)

// sliceClips are encoded with what makes slice headers long and irregular.
var sliceClips = map[string]string{
	"bframes.mp4":     "",
	"film.mp4":        "",
	"hevc.mp4":        "",
	"cmaf.mp4":        "",
	"cavlc.mp4":       video(25, 320, 180, 4) + " -c:v libx264 -profile:v baseline -refs 4 -g 50 -slices 4",
	"interlaced.mp4":  video(25, 320, 192, 4) + " -c:v libx264 -flags +ilme+ildct -x264opts tff:bframes=3:b-pyramid=normal:weightp=2:ref=5:slices=2",
	"weighted.mp4":    video(25, 320, 180, 4) + " -vf fade=in:0:50,fade=out:50:50 -c:v libx264 -preset slower -bf 8 -refs 8 -x264opts weightp=2:weightb=1:aud=1:nal-hrd=vbr:vbv-maxrate=500:vbv-bufsize=500 -threads 1",
	"hi444.mp4":       video(25, 320, 180, 2) + " -vf format=yuv444p -c:v libx264 -preset veryfast -bf 2",
	"many-slices.mp4": video(25, 640, 360, 1) + " -c:v libx264 -preset veryfast -bf 2 -x264opts slice-max-size=300",
	"hevc-slow.mp4":   video(25, 320, 180, 4) + " -vf fade=in:0:50,fade=out:50:50 -c:v libx265 -preset medium -x265-params log-level=error:bframes=6:weightb=1:ref=5:slices=2:wpp=1:ctu=16:keyint=40:open-gop=1:repeat-headers=1 -tag:v hev1",
	"hevc-sao.mp4":    video(25, 640, 360, 3) + " -c:v libx265 -preset fast -x265-params log-level=error:no-wpp=1:scaling-list=default:temporal-layers=3:amp=1:rect=1:limit-tu=4:deblock=-2,-2:sar=2 -tag:v hvc1",
}

func sliceClip(t testing.TB, name string) string {
	if args := sliceClips[name]; args != "" {
		clips[name] = args
	}
	return clip(t, name)
}

// TestAddNALs compares with the slice headers that mp4ff reads.
func TestAddNALs(t *testing.T) {
	for name := range sliceClips {
		t.Run(name, func(t *testing.T) { compareNALs(t, sliceClip(t, name)) })
	}
	dir := os.Getenv("OPENAMS_TEST_MEDIA")
	if dir == "" {
		t.Log("OPENAMS_TEST_MEDIA is not set: no real media tried")
	}
	for _, pattern := range []string{"*.mp4", "*.mov"} {
		list, _ := filepath.Glob(filepath.Join(dir, pattern))
		for _, path := range list {
			t.Run(filepath.Base(path), func(t *testing.T) { compareNALs(t, path) })
		}
	}
}

func compareNALs(t *testing.T, path string) {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	x, err := mp4.BuildIndex(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Skip(err)
	}
	for _, tr := range x.Tracks {
		if tr.HasNALs() {
			t.Error("a new index knows NAL units")
		}
	}
	y, err := mp4.AddNALs(x, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	blob, _ := y.AppendBinary(nil)
	if y, err = mp4.ParseIndex(blob); err != nil {
		t.Fatal(err)
	}
	if again, err := mp4.AddNALs(y, nil); err != nil || again != y {
		t.Errorf("an index that knows the NAL units is read again: %v", err)
	}
	for _, tr := range y.Tracks {
		if !tr.CanHaveNALs() {
			continue
		}
		if !tr.HasNALs() {
			t.Fatal("no map of NAL units")
		}
		ranges := oracle(t, tr)
		i, cut := 0, 0
		for s, got := range tr.Subsamples(0, tr.NumSamples()) {
			want, err := ranges(data[s.Offset : s.Offset+int64(s.Size)])
			if err != nil {
				t.Fatalf("sample %d: mp4ff: %v", i, err)
			}
			if len(got) > 36 {
				cut++
				got, want = got[:36], want[:36]
			}
			if !equal(got, want) {
				t.Fatalf("sample %d of %d bytes: %v, mp4ff says %v", i, s.Size, got, want)
			}
			i++
		}
		if i != tr.NumSamples() {
			t.Fatalf("%d of %d samples", i, tr.NumSamples())
		}
		// From anywhere, the same.
		for _, first := range []int{1, 63, 64, 65, i / 2, i - 1} {
			if first >= i {
				continue
			}
			for s, got := range tr.Subsamples(first, 1) {
				var sum uint32
				for _, x := range got {
					sum += x.Clear + x.Protected
				}
				if want := tr.Sample(first); s != want || sum != s.Size {
					t.Errorf("sample %d: %+v with %d bytes in subsamples, want %+v", first, s, sum, want)
				}
			}
		}
		t.Logf("%s: %d samples, %d cut", tr.Codec, i, cut)
	}
}

// oracle returns mp4ff's notion of a sample's Subsamples.
func oracle(t *testing.T, tr *mp4.Track) func([]byte) ([]mp4.Subsample, error) {
	split := func(p []ff.SubSamplePattern, err error) (list []mp4.Subsample, _ error) {
		clear := uint32(0)
		for _, s := range p {
			clear += uint32(s.BytesOfClearData)
			if n := s.BytesOfProtectedData; n >= 16 {
				list = append(list, mp4.Subsample{Clear: clear, Protected: n})
				clear = 0
			} else {
				clear += n
			}
		}
		if clear > 0 {
			list = append(list, mp4.Subsample{Clear: clear})
		}
		return list, err
	}
	if tr.Codec[0] == 'a' {
		conf, err := avc.DecodeAVCDecConfRec(tr.Config)
		if err != nil {
			t.Fatal(err)
		}
		spss, ppss := map[uint32]*avc.SPS{}, map[uint32]*avc.PPS{}
		for _, b := range conf.SPSnalus {
			s, err := avc.ParseSPSNALUnit(b, true)
			if err != nil {
				t.Fatal(err)
			}
			spss[s.ParameterID] = s
		}
		for _, b := range conf.PPSnalus {
			s, err := avc.ParsePPSNALUnit(b, spss)
			if err != nil {
				t.Fatal(err)
			}
			ppss[s.PicParameterSetID] = s
		}
		return func(b []byte) ([]mp4.Subsample, error) { return split(ff.GetAVCProtectRanges(spss, ppss, b, "cbcs")) }
	}
	conf, err := hevc.DecodeHEVCDecConfRec(tr.Config)
	if err != nil {
		t.Fatal(err)
	}
	spss, ppss := map[uint32]*hevc.SPS{}, map[uint32]*hevc.PPS{}
	for _, b := range conf.GetNalusForType(hevc.NALU_SPS) {
		s, err := hevc.ParseSPSNALUnit(b)
		if err != nil {
			t.Fatal(err)
		}
		spss[uint32(s.SpsID)] = s
	}
	for _, b := range conf.GetNalusForType(hevc.NALU_PPS) {
		s, err := hevc.ParsePPSNALUnit(b, spss)
		if err != nil {
			t.Fatal(err)
		}
		ppss[s.PicParameterSetID] = s
	}
	return func(b []byte) ([]mp4.Subsample, error) { return split(ff.GetHEVCProtectRanges(spss, ppss, b, "cbcs")) }
}

func equal(a, b []mp4.Subsample) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// BenchmarkAddNALs scans a clip; MB/s are of the whole file.
func BenchmarkAddNALs(b *testing.B) {
	data, err := os.ReadFile(sliceClip(b, "bframes.mp4"))
	if err != nil {
		b.Fatal(err)
	}
	x, err := mp4.BuildIndex(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := mp4.AddNALs(x, bytes.NewReader(data)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(x.Tracks[0].NumSamples()), "ns/sample")
}
